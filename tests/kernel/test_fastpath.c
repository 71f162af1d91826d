/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_fastpath.c - traffic that the kernel carries between forwarders that nobody serves
 *
 * Room: the public header, as an embedder.  What passes while no forwarder runs has passed by the
 * fast path; what passes only when one is served has not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <tests/lib/forwarder.h>
#include <unistd.h>

#define MIB (1u << 20)
#define SOON_MS 300             /* for what must not come */
#define PATIENCE_MS 20000

/* ---- there and back ---- */

static const struct way {
	const char *says;
	bool inner, outer;          /* IPv6 */
} ways[] = {
	{ "IPv4 over IPv4", false, false },
	{ "IPv6 over IPv4", true, false },
	{ "IPv4 over IPv6", false, true },
	{ "IPv6 over IPv6", true, true },
};

/* Both ends have counted the same, and not less than @bytes in @packets. */
static void counted(const struct nodes *w, unsigned int from, unsigned int to, uint64_t packets, uint64_t bytes)
{
	struct podnet_overlay_peer_stats out, in;

	for (int i = 0; i < PATIENCE_MS; i++) {
		out = stats_of(w, &w->v[from], &w->v[to]);
		in = stats_of(w, &w->v[to], &w->v[from]);
		if (out.out_packets == in.in_packets && out.out_bytes == in.in_bytes && in.in_packets >= packets &&
		    in.in_bytes >= bytes)
			return;
		usleep(1000);           /* acknowledgements are under way */
	}
	fail_msg("out %lu packets, %lu bytes; in %lu, %lu; at least %lu, %lu", (unsigned long)out.out_packets,
		 (unsigned long)out.out_bytes, (unsigned long)in.in_packets, (unsigned long)in.in_bytes,
		 (unsigned long)packets, (unsigned long)bytes);
}

static void nothing_dropped(const struct nodes *w)
{
	for (unsigned int i = 0; i < w->n; i++)
		for (int why = 0; why < PODNET_OVERLAY_OUT_MALFORMED; why++)    /* out: what IPv6 tells its group */
			if (dropped(w->v[i].ov, (enum podnet_overlay_drop)why))
				fail_msg("node %u: %s", i + 1, told(w->v[i].ov));
}

static void carried(void **state)
{
	const struct way *way = *state;
	const char *one = inner(way->inner, 1), *two = inner(way->inner, 2);
	struct podnet_overlay_peer_stats s;
	struct nodes w;
	char ping[80];

	nodes_open(&w, 2, way->outer);
	snprintf(ping, sizeof(ping), "ping -c3 -i0.01 -W20 -s 900 %s >/dev/null", two);
	sh_in(&w.v[0], ping);
	s = stats_of(&w, &w.v[0], &w.v[1]);
	assert_int_equal(s.out_packets, 3);
	assert_int_equal(s.out_bytes, 3 * (900 + 8 + (way->inner ? 40 : 20)));
	assert_int_equal(s.in_packets, 3);
	assert_int_equal(s.in_bytes, s.out_bytes);
	for (size_t len = 1; len <= 1400; len += 199) {
		assert_true(udp_passes(&w.v[0], one, &w.v[1], two, len, PATIENCE_MS));
		assert_true(udp_passes(&w.v[1], two, &w.v[0], one, len, PATIENCE_MS));
	}
	assert_true(udp_passes(&w.v[0], one, &w.v[1], two, 20000, PATIENCE_MS));   /* in fragments */
	stream(&w.v[0], one, &w.v[1], two, 8 * MIB);
	stream(&w.v[1], two, &w.v[0], one, 8 * MIB);
	counted(&w, 0, 1, 8 * MIB / 1452, 8 * MIB);
	counted(&w, 1, 0, 8 * MIB / 1452, 8 * MIB);
	nothing_dropped(&w);
	nodes_close(&w);
}

/* The same with forwarders that run: what goes which way does not matter. */
static void served(void **state)
{
	const struct way *way = *state;
	struct nodes w;

	nodes_open(&w, 2, way->outer);
	for (unsigned int i = 0; i < 2; i++)
		serve(&w.v[i]);
	stream(&w.v[0], inner(way->inner, 1), &w.v[1], inner(way->inner, 2), 4 * MIB);
	counted(&w, 0, 1, 4 * MIB / 1452, 4 * MIB);
	assert_true(udp_pieces_pass(&w.v[0], inner(way->inner, 1), &w.v[1], inner(way->inner, 2), 20, PATIENCE_MS));
	nodes_close(&w);
}

/* One that has no fast path, and is declared so, is served by the forwarders, both ways. */
static void to_one_without(void **state)
{
	const struct way *way = *state;
	const char *one = inner(way->inner, 1), *two = inner(way->inner, 2);
	struct nodes w;

	nodes_open(&w, 2, way->outer);
	put_node(&w, &w.v[0], &w.v[1], PODNET_OVERLAY_RAW);
	podnet_overlay_close(w.v[1].ov);
	open_node(&w, &w.v[1], false);
	put_node(&w, &w.v[1], &w.v[0], PODNET_OVERLAY_FASTPATH);
	assert_false(udp_passes(&w.v[0], one, &w.v[1], two, 100, SOON_MS));
	assert_false(udp_passes(&w.v[1], two, &w.v[0], one, 100, SOON_MS));
	serve(&w.v[0]);
	serve(&w.v[1]);
	assert_true(udp_passes(&w.v[0], one, &w.v[1], two, 100, PATIENCE_MS));
	stream(&w.v[0], one, &w.v[1], two, MIB);
	stream(&w.v[1], two, &w.v[0], one, MIB);
	nodes_close(&w);
}

/* ---- ends ---- */

static void closed(void **state)
{
	struct nodes w;

	(void)state;
	nodes_open(&w, 2, false);
	assert_true(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 100, PATIENCE_MS));
	enter(w.v[1].netns);
	assert_int_equal(programs("u0", false), 1);
	assert_int_equal(programs("t0", true), 1);
	assert_int_equal(programs("u0", true) + programs("t0", false), 0);
	podnet_overlay_close(w.v[1].ov);
	assert_int_equal(programs("u0", false), 0);
	open_node(&w, &w.v[1], false);
	assert_int_equal(programs("u0", false) + programs("t0", true), 0);
	put_node(&w, &w.v[1], &w.v[0], PODNET_OVERLAY_RAW);
	put_node(&w, &w.v[0], &w.v[1], PODNET_OVERLAY_RAW);
	assert_false(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 100, SOON_MS));
	serve(&w.v[0]);
	serve(&w.v[1]);
	stream(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), MIB);
	nodes_close(&w);
}

/* The device stays (it is persistent); who carried is killed. */
static void killed(void **state)
{
	struct nodes w;
	int up[2], status;
	char byte;
	pid_t pid;

	(void)state;
	nodes_open(&w, 2, false);
	podnet_overlay_close(w.v[1].ov);
	w.v[1].ov = NULL;
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		open_node(&w, &w.v[1], true);
		put_node(&w, &w.v[1], &w.v[0], PODNET_OVERLAY_FASTPATH);
		if (ioctl(w.v[1].tun, TUNSETPERSIST, 1) < 0 || write(up[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(up[1]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	assert_true(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 100, PATIENCE_MS));
	enter(w.v[1].netns);
	assert_int_equal(programs("u0", false) + programs("t0", true), 2);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(programs("u0", false) + programs("t0", true), 0);
	assert_false(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 100, SOON_MS));
	nodes_close(&w);
}

/* ---- forwarded ---- */

static void set_feature(const char *device, uint32_t cmd)
{
	struct ethtool_value off = { .cmd = cmd };
	struct ifreq ifr = { .ifr_data = (void *)&off };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(ifr.ifr_name, device, strlen(device) + 1);
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		fail_msg("ethtool %u of %s: %s", cmd, device, strerror(errno));
}

static void without_offloads(int netns, const char *device)
{
	enter(netns);
	set_feature(device, ETHTOOL_STSO);
	set_feature(device, ETHTOOL_SGSO);
	set_feature(device, ETHTOOL_STXCSUM);
}

/*
 * A guest behind a node: its own namespace, c0 there, g0 at the node.  Guest 1 has 172.16.1.9 and
 * fd00:0:0:1::9, which the node's prefixes hold.
 */
static struct node guest_of(const struct nodes *w, const struct node *host)
{
	struct node guest = { .number = host->number };

	enter(w->home);
	assert_int_equal(sh("ip netns add g") , 0);
	sh_in(host, "ip link add g0 type veth peer name c0 netns g; ip link set g0 mtu 1452 up; "
		    "ip addr add 169.254.1.1/32 dev g0; ip addr add fe80::1/64 dev g0 nodad; "
		    "ip route add 172.16.$1.9/32 dev g0; ip route add fd00:0:0:$1::9/128 dev g0; "
		    "ip netns exec g sh -ec 'sysctl -qw net.ipv6.conf.default.accept_dad=0; ip link set c0 mtu 1452 up; "
		    "ip addr add 172.16.'$1'.9/32 dev c0; ip addr add fd00:0:0:'$1'::9/128 dev c0 nodad; "
		    "ip route add 169.254.1.1 dev c0; ip route add default via 169.254.1.1 src 172.16.'$1'.9; "
		    "ip route add default via fe80::1 dev c0 src fd00:0:0:'$1'::9; "
		    "until ip route get fd00:0:0:'$1'::9 2>/dev/null | grep -q ^local; do :; done'");
	guest.netns = open("/run/netns/g", O_RDONLY | O_CLOEXEC);
	assert_true(guest.netns >= 0);
	return guest;
}

static const struct forwarding {
	const char *says;
	bool inner, outer;
	bool wire, link;            /* links without offloads: the underlay's, the guest's */
	bool relayed;               /* by node 2, to node 3: not by each other's addresses */
} forwardings[] = {
	{ "to a guest, IPv4 over IPv4", false, false, false, false, false },
	{ "to a guest, IPv6 over IPv4", true, false, false, false, false },
	{ "to a guest, IPv4 over IPv6", false, true, false, false, false },
	{ "to a guest, IPv6 over IPv6", true, true, false, false, false },
	{ "to a guest, no offloads of its link", false, false, false, true, false },
	{ "to a guest, no offloads of its link, IPv6 over IPv6", true, true, false, true, false },
	{ "to a guest, no offloads of the wire", false, false, true, false, false },
	{ "to a guest, no offloads of the wire, IPv6 over IPv4", true, false, true, false, false },
	{ "to a guest, no offloads of the wire, IPv4 over IPv6", false, true, true, false, false },
	{ "to a guest, no offloads of the wire, IPv6 over IPv6", true, true, true, false, false },
	{ "to a guest, no offloads", false, false, true, true, false },
	{ "by a relay, IPv4 over IPv4", false, false, false, false, true },
	{ "by a relay, IPv6 over IPv4", true, false, false, false, true },
	{ "by a relay, IPv4 over IPv6", false, true, false, false, true },
	{ "by a relay, IPv6 over IPv6", true, true, false, false, true },
	{ "by a relay, no offloads of the wire", false, false, true, false, true },
	{ "by a relay, no offloads of the wire, IPv6 over IPv6", true, true, true, false, true },
};

static void to_guest(struct nodes *w, const struct forwarding *f)
{
	struct node guest = guest_of(w, &w->v[1]);
	const char *from = inner(f->inner, 1), *to = f->inner ? "fd00:0:0:2::9" : "172.16.2.9";

	if (f->link) {
		without_offloads(w->v[1].netns, "g0");
		without_offloads(guest.netns, "c0");
	}
	assert_true(udp_passes(&w->v[0], from, &guest, to, 1000, PATIENCE_MS));
	stream(&w->v[0], from, &guest, to, 8 * MIB);
	stream(&guest, to, &w->v[0], from, 8 * MIB);
	counted(w, 0, 1, 8 * MIB / 1452, 8 * MIB);
	nothing_dropped(w);
	closep(&guest.netns);
}

static void all_behind(const struct nodes *w, const struct node *at, const struct node *relay)
{
	struct podnet_prefix nets[2], all[] = { prefix("172.16.0.0/16"), prefix("fd00::/48") };
	struct podnet_overlay_peer p = peer_of(w, relay, nets);
	struct podnet_error err = { 0 };

	p.prefixes = all;
	test_ok(podnet_overlay_peer_put(at->ov, &p, &err), &err);
}

/* 1 and 3 know only 2, which takes what is for the others for its own and has it go out again. */
static void by_relay(struct nodes *w, const struct forwarding *f)
{
	const char *one = inner(f->inner, 1), *three = inner(f->inner, 3);
	struct podnet_prefix all[] = { prefix("172.16.0.0/16"), prefix("fd00::/48") }, at[2];
	struct podnet_error err = { 0 };

	for (int i = 0; i < 3; i += 2) {
		at[0] = prefix(outer(w->six, 4 - w->v[i].number));
		assert_int_equal(podnet_overlay_peer_delete(w->v[i].ov, &at[0], PORT), 0);
		all_behind(w, &w->v[i], &w->v[1]);
	}
	test_ok(podnet_overlay_local(w->v[1].ov, all, 2, &err), &err);
	for (int i = 0; i < 3; i++)
		serve(&w->v[i]);
	assert_true(udp_passes(&w->v[0], one, &w->v[2], three, 1000, PATIENCE_MS));
	stream(&w->v[0], one, &w->v[2], three, 4 * MIB);
	stream(&w->v[2], three, &w->v[0], one, 4 * MIB);
}

static void forwarded(void **state)
{
	const struct forwarding *f = *state;
	struct nodes w;

	nodes_open(&w, f->relayed ? 3 : 2, f->outer);
	for (unsigned int i = 0; i < w.n && f->wire; i++) {
		char port[] = { 'p', (char)('1' + i), 0 };

		without_offloads(w.v[i].netns, "u0");
		without_offloads(w.home, port);
	}
	if (f->relayed)
		by_relay(&w, f);
	else
		to_guest(&w, f);
	nodes_close(&w);
}

/* ---- the way to a peer ---- */

/* Each node on a wire of its own, and the namespace between them routes. */
static void through_gateway(void **state)
{
	const struct way *way = *state;
	struct nodes w;

	nodes_open(&w, 2, way->outer);
	for (int i = 0; i < 2; i++)
		sh_in(&w.v[i], "ip addr del 10.0.0.$1/24 dev u0; ip addr add 10.0.0.$1/32 dev u0; "
			       "ip addr del fd01::$1/64 dev u0; ip addr add fd01::$1/128 dev u0 nodad; "
			       "ip route add 192.0.2.$1 dev u0; ip route add default via 192.0.2.$1 dev u0; "
			       "ip -6 route add fd02::$1 dev u0; ip -6 route add default via fd02::$1 dev u0");
	enter(w.home);
	assert_int_equal(sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv4.ip_forward=1 "
			    "net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0; for i in 1 2; do "
			    "ip link set p$i nomaster; ip addr add 192.0.2.$i/32 dev p$i; ip route add 10.0.0.$i dev p$i; "
			    "ip addr add fd02::$i/128 dev p$i nodad; ip -6 route add fd01::$i dev p$i; done"), 0);
	/* that the first packet needs to find the neighbour makes it the forwarder's */
	for (int i = 0; i < 2; i++) {
		struct node *a = &w.v[i], *b = &w.v[1 - i];

		if (udp_passes(a, inner(way->inner, i + 1), b, inner(way->inner, 2 - i), 1000, SOON_MS)) {
			assert_true(i);         /* it may have learned it when it was asked */
			continue;
		}
		turns(a);
		do
			turns(b);
		while (!stats_of(&w, b, a).in_packets);
		assert_true(udp_passes(a, inner(way->inner, i + 1), b, inner(way->inner, 2 - i), 1000, PATIENCE_MS));
	}
	stream(&w.v[0], inner(way->inner, 1), &w.v[1], inner(way->inner, 2), 2 * MIB);
	counted(&w, 0, 1, 2 * MIB / 1452, 2 * MIB);
	nothing_dropped(&w);
	nodes_close(&w);
}

/* The device of node 1 holds more than the wire does: then it is the forwarder's, which has it in fragments. */
static void too_long(void **state)
{
	const struct way *way = *state;
	const char *one = inner(way->inner, 1), *two = inner(way->inner, 2);
	struct nodes w;

	nodes_open(&w, 2, way->outer);
	for (int i = 0; i < 2; i++)
		sh_in(&w.v[i], "ip link set t0 mtu 1500");
	assert_true(udp_passes(&w.v[0], one, &w.v[1], two, 1400, PATIENCE_MS));
	assert_false(udp_passes(&w.v[0], one, &w.v[1], two, 1445, SOON_MS));
	serve(&w.v[0]);
	serve(&w.v[1]);
	stream(&w.v[0], one, &w.v[1], two, MIB);
	nodes_close(&w);
}

/* What a device of a smaller MTU would not take of the kernel it takes of the forwarder. */
static void device_is_smaller(void **state)
{
	struct nodes w;

	(void)state;
	nodes_open(&w, 2, false);
	without_offloads(w.v[0].netns, "u0");
	sh_in(&w.v[1], "ip link set t0 mtu 1300");
	assert_false(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 1400, SOON_MS));
	serve(&w.v[1]);
	assert_true(udp_passes(&w.v[0], inner(false, 1), &w.v[1], inner(false, 2), 1400, PATIENCE_MS));
	nodes_close(&w);
}

/* ---- what cannot be opened ---- */

static void refused(int tun, int udp, int want, const char *field)
{
	struct podnet_error err = { 0 };
	int fds[PODNET_OVERLAY_FASTPATH_FDS] = { -7, -7, -7, -7 };

	assert_int_equal(podnet_overlay_fastpath_open(tun, udp, fds, &err), want);
	assert_int_equal(err.code, want);
	if (field)
		assert_string_equal(err.field, field);
	for (int i = 0; i < PODNET_OVERLAY_FASTPATH_FDS; i++)
		assert_int_equal(fds[i], -7);
}

static void drop_right(uint32_t right)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	data[right / 32].effective &= ~(1u << right % 32);
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

static void take_right_back(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

static void refusals(void **state)
{
	static const uint32_t rights[] = { CAP_BPF, CAP_NET_ADMIN };
	_cleanup_close_ int tun = make_tun(IFF_TUN | IFF_NO_PI), wild, lo, good, six;

	(void)state;
	assert_int_equal(sh("ip link add u0 type veth peer name p0 && ip addr add 10.0.0.1/24 dev u0 && "
			    "ip link set u0 up && ip link set lo up && ip link set t0 up"), 0);
	wild = make_udp("0.0.0.0", PORT);
	six = make_udp("::", PORT + 1);
	lo = make_udp("127.0.0.1", PORT + 2);
	good = make_udp("10.0.0.1", PORT + 3);
	refused(tun, wild, -EADDRNOTAVAIL, "udp");
	refused(tun, six, -EADDRNOTAVAIL, "udp");
	refused(tun, lo, -EOPNOTSUPP, "udp");
	refused(good, good, -ENOTTY, "tun");
	refused(-1, good, -EBADF, "tun");
	refused(tun, -1, -EBADF, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		drop_right(CAP_SYS_ADMIN);
		drop_right(rights[i]);
		refused(tun, good, -EPERM, NULL);
		take_right_back();
	}
	assert_int_equal(programs("u0", false) + programs("t0", true), 0);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test_setup(closed, netns_setup),
		cmocka_unit_test_setup(killed, netns_setup),
		cmocka_unit_test_setup(device_is_smaller, netns_setup),
		cmocka_unit_test_setup(refusals, netns_setup),
	};
	static const struct {
		const char *says;
		void (*runs)(void **state);
	} each_way[] = {
		{ "", carried }, { ", served", served }, { ", to one without", to_one_without },
		{ ", through a gateway", through_gateway }, { ", too long", too_long },
	};
	static char names[ARRAY_SIZE(each_way)][ARRAY_SIZE(ways)][80];
	struct CMUnitTest tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(each_way) * ARRAY_SIZE(ways) + ARRAY_SIZE(forwardings)];
	size_t k = ARRAY_SIZE(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(each_way); i++)
		for (size_t j = 0; j < ARRAY_SIZE(ways); j++) {
			snprintf(names[i][j], sizeof(names[i][j]), "%s%s", ways[j].says, each_way[i].says);
			tests[k++] = (struct CMUnitTest){ names[i][j], each_way[i].runs, netns_setup, NULL,
							  (void *)(uintptr_t)&ways[j] };
		}
	for (size_t i = 0; i < ARRAY_SIZE(forwardings); i++)
		tests[k++] = (struct CMUnitTest){ forwardings[i].says, forwarded, netns_setup, NULL,
						  (void *)(uintptr_t)&forwardings[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
