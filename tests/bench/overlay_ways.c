/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay_ways.c - the ways from one node to another, made
 *
 * Room: tests/bench.  The underlay is 10.0.0.1 and 10.0.0.2; what goes through a tunnel is
 * 172.16.1.1 and 172.16.2.1.  IPv6 is off, or the kernel's own packets would end socat.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <podnet/podnet.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 9000

static const char *const names[WAYS] = {
	"wire", "direct by ip", "direct by podnet", "vxlan by ip", "vxlan by podnet", "socat", "podnet-fwd, one by one",
	"podnet-fwd, offloads", "podnet-fwd, fast path",
};

const char *way_name(enum way way)
{
	return names[way];
}

static int new_netns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("a network namespace: %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/ns/net: %s", strerror(errno));
	return fd;
}

void enter_netns(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns: %s", strerror(errno));
}

/* In one of the two nodes: @n is 1 or 2, and $1 in the script; $2 is the other. */
static void run_in(const struct pair *p, int n, const char *script)
{
	const char *argv[] = { "sh", "-ec", script, "sh", n == 1 ? "1" : "2", n == 1 ? "2" : "1", NULL };
	struct command cmd = { .argv = argv, .netns = n == 1 ? p->near : p->far };

	if (command_run(&cmd) != 0)
		die("%s: this failed: %s", names[p->way], script);
}

static void run_in_both(const struct pair *p, const char *script)
{
	run_in(p, 1, script);
	run_in(p, 2, script);
}

static void make_wire(struct pair *p)
{
	char script[200];

	snprintf(script, sizeof(script), "ip link add u0 type veth peer name u0 netns /proc/%d/fd/%d",
		 getpid(), p->far);
	run_in(p, 1, script);
	run_in_both(p, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1; ip link set lo up; "
			"ip addr add 10.0.0.$1/24 dev u0; ip link set u0 up");
}

/* ---- by the library ---- */

static void must(int r, const struct podnet_error *err)
{
	char text[300];

	if (r >= 0)
		return;
	podnet_error_text(err, text, sizeof(text));
	die("%s", text);
}

static struct podnet_prefix address(const char *fmt, int n)
{
	struct podnet_prefix p;
	char text[64];

	snprintf(text, sizeof(text), fmt, n);
	if (podnet_prefix_parse(text, &p) < 0)
		die("%s: no address", text);
	return p;
}

static void declare_vxlan(struct podnet_set *set, int n, struct podnet_error *err)
{
	struct podnet_vxlan vxlan = {
		.link = { .name = "vx", .mtu = 1450, .flags = PODNET_LINK_UP, .mac = { 2, 0, 0, 0, 0, (uint8_t)n } },
		.id = 7, .local = address("10.0.0.%d", n),
	};
	struct podnet_addr addr = { .link = "vx", .prefix = address("172.16.%d.1/32", n) };
	struct podnet_prefix far = address("10.0.0.%d", 3 - n);
	struct podnet_route route = { .dst = address("172.16.%d.0/24", 3 - n), .via = far, .link = "vx",
				      .src = address("172.16.%d.1", n), .onlink = true };
	struct podnet_neigh neigh = { .link = "vx", .addr = far, .mac = { 2, 0, 0, 0, 0, (uint8_t)(3 - n) } };
	struct podnet_fdb fdb = { .link = "vx", .mac = { 2, 0, 0, 0, 0, (uint8_t)(3 - n) }, .dst = far };

	must(podnet_set_vxlan(set, &vxlan, err), err);
	must(podnet_set_addr(set, &addr, err), err);
	must(podnet_set_route(set, &route, err), err);
	must(podnet_set_neigh(set, &neigh, err), err);
	must(podnet_set_fdb(set, &fdb, err), err);
}

static void declare_direct(struct podnet_set *set, int n, struct podnet_error *err)
{
	struct podnet_route route = { .dst = address("172.16.%d.0/24", 3 - n), .link = "u0",
				      .via = address("10.0.0.%d", 3 - n), .src = address("172.16.%d.1", n) };

	must(podnet_set_route(set, &route, err), err);
}

static void by_library(const struct pair *p, int n,
		       void (*declare)(struct podnet_set *set, int n, struct podnet_error *err))
{
	struct podnet_error err = { 0 };
	struct podnet_plan *plan = NULL;
	struct podnet_set *set = NULL;
	struct podnet *ctx = NULL;

	enter_netns(n == 1 ? p->near : p->far);
	must(podnet_open(&ctx, NULL, &err), &err);
	must(podnet_set_new(&set, "bench", &err), &err);
	declare(set, n, &err);
	must(podnet_plan_make(ctx, set, 0, &plan, &err), &err);
	must(podnet_plan_commit(ctx, plan, &err), &err);
	podnet_plan_free(plan);
	podnet_set_free(set);
	podnet_close(ctx);
}

/* ---- by processes ---- */

static void socat(struct pair *p, int n)
{
	char tun[100], udp[100];
	const char *argv[] = { "socat", tun, udp, NULL };
	struct command cmd = { .argv = argv, .netns = n == 1 ? p->near : p->far };

	snprintf(tun, sizeof(tun), "TUN:172.16.%d.1/16,iff-no-pi,iff-up,tun-name=t0", n);
	snprintf(udp, sizeof(udp), "UDP:10.0.0.%d:%d,bind=10.0.0.%d:%d", 3 - n, PORT, n, PORT);
	p->carriers[n - 1] = command_start(&cmd);
}

static int open_tun(void)
{
	struct ifreq ifr = { .ifr_name = "t0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("/dev/net/tun: %s", strerror(errno));
	return fd;
}

static _Noreturn void forward(const struct pair *p, int n)
{
	int tun, udp, fastpath[PODNET_OVERLAY_FASTPATH_FDS];
	struct podnet_prefix all = { .family = AF_INET }, here = address("10.0.0.%d", n);
	struct podnet_overlay_spec spec = { .tun = &tun, .udp = &udp, .queues = 1,
					    .plain = p->way == WAY_ONE_BY_ONE };
	struct podnet_overlay_peer peer = { .address = address("10.0.0.%d", 3 - n), .port = PORT,
					    .prefixes = &all, .nprefixes = 1 };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct podnet_overlay *ov = NULL;
	struct podnet_error err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter_netns(n == 1 ? p->near : p->far);
	tun = open_tun();
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin_addr, here.addr, sizeof(at.sin_addr));
	if (bind(udp, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("bind: %s", strerror(errno));
	if (p->way == WAY_FASTPATH) {
		must(podnet_overlay_fastpath_open(tun, udp, fastpath, &err), &err);
		spec.fastpath = fastpath;
		peer.framing = PODNET_OVERLAY_FASTPATH;
	}
	must(podnet_overlay_open(&spec, &ov, &err), &err);
	must(podnet_overlay_peer_put(ov, &peer, &err), &err);
	must(podnet_overlay_run(ov, 0, &err), &err);
	_exit(0);
}

static void forwarder(struct pair *p, int n)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0)
		forward(p, n);
	p->carriers[n - 1] = pid;
}

/* A device is there when its program has started: no event tells a script so. */
static void through_tun(struct pair *p, void (*start)(struct pair *p, int n))
{
	static const char wait[] = "i=0; until ip link set t0 mtu 1472 up; do i=$((i+1)); [ $i -lt 500 ]; "
				   "sleep 0.01; done; ip addr replace 172.16.$1.1/16 dev t0";

	for (int n = 1; n <= 2; n++)
		start(p, n);
	run_in_both(p, wait);
}

static bool has(const char *program)
{
	const char *argv[] = { "sh", "-c", "command -v \"$1\"", "sh", program, NULL };
	struct command cmd = { .argv = argv, .netns = -1 };

	return command_run(&cmd) == 0;
}

static void make_way(struct pair *p)
{
	switch (p->way) {
	case WAY_WIRE:
	case WAYS:
		return;
	case WAY_DIRECT:
	case WAY_OUR_DIRECT:
		run_in_both(p, "ip addr add 172.16.$1.1/32 dev lo");
		if (p->way == WAY_DIRECT) {
			run_in_both(p, "ip route add 172.16.$2.0/24 via 10.0.0.$2 src 172.16.$1.1");
			return;
		}
		by_library(p, 1, declare_direct);
		by_library(p, 2, declare_direct);
		return;
	case WAY_VXLAN:
		run_in_both(p, "ip link add vx address 02:00:00:00:00:0$1 type vxlan id 7 local 10.0.0.$1 "
			       "dstport 4789 nolearning; ip link set vx mtu 1450 up; "
			       "ip addr add 172.16.$1.1/32 dev vx; "
			       "ip route add 172.16.$2.0/24 via 10.0.0.$2 dev vx onlink src 172.16.$1.1; "
			       "ip neigh add 10.0.0.$2 lladdr 02:00:00:00:00:0$2 dev vx nud permanent; "
			       "bridge fdb append 02:00:00:00:00:0$2 dev vx dst 10.0.0.$2");
		return;
	case WAY_OUR_VXLAN:
		by_library(p, 1, declare_vxlan);
		by_library(p, 2, declare_vxlan);
		return;
	case WAY_SOCAT:
		through_tun(p, socat);
		return;
	case WAY_ONE_BY_ONE:
	case WAY_OFFLOADS:
	case WAY_FASTPATH:
		through_tun(p, forwarder);
		return;
	}
}

bool pair_open(enum way way, bool still, struct pair *ret)
{
	*ret = (struct pair){ .way = way, .still = still,
			      .to = way == WAY_WIRE ? "10.0.0.2" : "172.16.2.1" };
	if (way == WAY_SOCAT && !has("socat")) {
		fprintf(stderr, "overlay: socat: not on this machine, left out\n");
		return false;
	}
	ret->arrived = mmap(NULL, sizeof(*ret->arrived), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	if (ret->arrived == MAP_FAILED)
		die("memory: %s", strerror(errno));
	ret->near = new_netns();
	ret->far = new_netns();
	make_wire(ret);
	make_way(ret);
	serve(ret);
	return true;
}

void pair_close(struct pair *p)
{
	pid_t pids[] = { p->server, p->carriers[0], p->carriers[1] };

	for (size_t i = 0; i < 3; i++) {
		if (!pids[i])
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	close(p->near);
	close(p->far);
	munmap(p->arrived, sizeof(*p->arrived));
}

double carriers_spent(const struct pair *p)
{
	unsigned long long ns, sum = 0;

	for (int i = 0; i < 2; i++) {
		char path[64];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/schedstat", p->carriers[i]);
		f = p->carriers[i] ? fopen(path, "re") : NULL;
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	return (double)sum / 1e9;
}
