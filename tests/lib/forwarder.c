/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forwarder.c - devices, sockets, nodes of one switch, and traffic between them
 *
 * Room: tests only.
 */
#include "forwarder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define PATIENCE_MS 20000

int make_tun(short flags)
{
	struct ifreq ifr = { .ifr_name = "t0" };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ifr.ifr_flags = flags;
	assert_true(fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0);
	return fd;
}

socklen_t socket_at(const char *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (void *)ret;
	struct sockaddr_in *v4 = (void *)ret;

	*ret = (struct sockaddr_storage){ .ss_family = strchr(ip, ':') ? AF_INET6 : AF_INET };
	if (ret->ss_family == AF_INET) {
		v4->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, ip, &v4->sin_addr), 1);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
	return sizeof(*v6);
}

int make_udp(const char *ip, uint16_t port)
{
	struct sockaddr_storage at;
	socklen_t len = socket_at(ip, port, &at);
	int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

uint16_t internet_sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v;
}

uint64_t dropped(struct podnet_overlay *ov, enum podnet_overlay_drop why)
{
	struct podnet_overlay_stats s;

	podnet_overlay_stats(ov, &s);
	return s.dropped[why];
}

const char *told(struct podnet_overlay *ov)
{
	static char text[512];
	struct podnet_overlay_stats s;
	size_t at = 0;

	podnet_overlay_stats(ov, &s);
	for (int i = 0; i < PODNET_OVERLAY_DROPS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %lu ",
				       podnet_overlay_drop_name((enum podnet_overlay_drop)i),
				       (unsigned long)s.dropped[i]);
	return text;
}

/* ---- nodes ---- */

static int netns_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

void enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

void sh_in(const struct node *n, const char *command)
{
	char number[12];
	int r;

	enter(n->netns);
	snprintf(number, sizeof(number), "%d", n->number);
	r = test_run("/bin/sh", "-ec", command, "sh", number, NULL);
	if (r)
		fail_msg("node %d: %s: %d", n->number, command, r);
}

static const char *text_of(const char *form, int number)
{
	static char text[32][40];
	static unsigned int at;
	char *ret = text[at++ % ARRAY_SIZE(text)];

	snprintf(ret, sizeof(text[0]), form, number);
	return ret;
}

const char *outer(bool six, int number)
{
	return text_of(six ? "fd01::%d" : "10.0.0.%d", number);
}

const char *inner(bool six, int number)
{
	return text_of(six ? "fd00:0:0:%d::1" : "172.16.%d.1", number);
}

static struct podnet_prefix net_of(bool six, int number)
{
	return prefix(text_of(six ? "fd00:0:0:%d::/64" : "172.16.%d.0/24", number));
}

void open_node(struct nodes *w, struct node *n, bool fast)
{
	struct podnet_prefix local[] = { net_of(false, n->number), net_of(true, n->number) };
	struct podnet_error err = { 0 };
	int fds[PODNET_OVERLAY_FASTPATH_FDS], udp;
	struct podnet_overlay_spec spec = { .tun = &n->tun, .udp = &udp, .queues = 1, .local = local, .nlocal = 2 };

	enter(n->netns);
	n->tun = make_tun(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	sh_in(n, "ip addr add 172.16.$1.1/16 dev t0; ip addr add fd00:0:0:$1::1/48 dev t0 nodad; "
		 "ip link set t0 mtu 1452 up; ip link show t0 >/dev/null; for ip in fd00:0:0:$1::1 fd01::$1; do "
		 "until ip route get $ip 2>/dev/null | grep -q ^local; do :; done; done");
	udp = make_udp(outer(w->six, n->number), PORT);
	if (fast) {
		test_ok(podnet_overlay_fastpath_open(n->tun, udp, fds, &err), &err);
		spec.fastpath = fds;
	}
	test_ok(podnet_overlay_open(&spec, &n->ov, &err), &err);
}

struct podnet_overlay_peer peer_of(const struct nodes *w, const struct node *of, struct podnet_prefix *nets)
{
	nets[0] = net_of(false, of->number);
	nets[1] = net_of(true, of->number);
	return (struct podnet_overlay_peer){ .address = prefix(outer(w->six, of->number)), .port = PORT,
					     .framing = PODNET_OVERLAY_FASTPATH, .prefixes = nets, .nprefixes = 2 };
}

void put_node(const struct nodes *w, const struct node *at, const struct node *peer,
	      enum podnet_overlay_framing framing)
{
	struct podnet_prefix nets[2];
	struct podnet_overlay_peer p = peer_of(w, peer, nets);
	struct podnet_error err = { 0 };

	p.framing = framing;
	test_ok(podnet_overlay_peer_put(at->ov, &p, &err), &err);
}

static void make_node(struct nodes *w, struct node *n, int number)
{
	char command[256];

	*n = (struct node){ .number = number };
	enter(w->home);
	snprintf(command, sizeof(command), "ip netns add n%d && ip link add p%d type veth peer name u0 netns n%d "
		 "address 02:00:00:00:00:%02d && ip link set p%d master br0 up", number, number, number, number, number);
	assert_int_equal(sh(command), 0);
	n->netns = netns_of(text_of("/run/netns/n%d", number));
	sh_in(n, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.default.accept_dad=0 "
		 "net.ipv6.conf.all.forwarding=1; ip link set lo up; "
		 "ip addr add 10.0.0.$1/24 dev u0; ip addr add fd01::$1/64 dev u0 nodad; ip link set u0 up; "
		 "for i in 1 2 3; do [ $i = $1 ] && continue; ip neigh add 10.0.0.$i lladdr 02:00:00:00:00:0$i dev u0; "
		 "ip neigh add fd01::$i lladdr 02:00:00:00:00:0$i dev u0; done");
}

void nodes_open(struct nodes *w, unsigned int n, bool six)
{
	*w = (struct nodes){ .home = netns_of("/proc/thread-self/ns/net"), .n = n, .six = six };
	assert_int_equal(sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link add br0 type bridge && "
			    "ip link set br0 up"), 0);
	for (unsigned int i = 0; i < n; i++)
		make_node(w, &w->v[i], (int)i + 1);
	for (unsigned int i = 0; i < n; i++)
		open_node(w, &w->v[i], true);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < n; j++)
			if (i != j)
				put_node(w, &w->v[i], &w->v[j], PODNET_OVERLAY_FASTPATH);
}

static void *run(void *arg)
{
	return (void *)(intptr_t)podnet_overlay_run(arg, 0, NULL);
}

void serve(struct node *n)
{
	assert_int_equal(pthread_create(&n->thread, NULL, run, n->ov), 0);
	n->served = true;
}

void turns(struct node *n)
{
	while (podnet_overlay_turn(n->ov, 0) == 1)
		;
}

void nodes_close(struct nodes *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		struct node *n = &w->v[i];

		if (n->served) {
			podnet_overlay_stop(n->ov);
			pthread_join(n->thread, NULL);
		}
		podnet_overlay_close(n->ov);
		closep(&n->netns);
	}
	enter(w->home);
	closep(&w->home);
}

struct podnet_overlay_peer_stats stats_of(const struct nodes *w, const struct node *at, const struct node *peer)
{
	struct podnet_overlay_peer_stats s;
	struct podnet_prefix address = prefix(outer(w->six, peer->number));

	assert_int_equal(podnet_overlay_peer_stats(at->ov, &address, PORT, &s), 0);
	return s;
}

/* ---- traffic ---- */

static uint8_t byte_at(size_t i)
{
	return (uint8_t)((i * 2654435761u) >> 13);
}

bool udp_passes(const struct node *a, const char *from, const struct node *b, const char *to, size_t len, int ms)
{
	struct sockaddr_storage at;
	uint8_t out[65536], in[65536];
	_cleanup_close_ int near = -1, far = -1;
	struct pollfd p = { .events = POLLIN };

	enter(b->netns);
	far = make_udp(to, 7000);
	enter(a->netns);
	near = make_udp(from, 7001);
	for (size_t i = 0; i < len; i++)
		out[i] = byte_at(i);
	p.fd = far;
	if (sendto(near, out, len, 0, (struct sockaddr *)&at, socket_at(to, 7000, &at)) != (ssize_t)len)
		return false;
	return poll(&p, 1, ms) == 1 && recv(far, in, sizeof(in), 0) == (ssize_t)len && memcmp(in, out, len) == 0;
}

/* One call of the sender's, which the kernel cuts where it must; the receiver has them one by one. */
bool udp_pieces_pass(const struct node *a, const char *from, const struct node *b, const char *to, size_t n, int ms)
{
	struct sockaddr_storage at;
	uint8_t out[65536], in[65536];
	_cleanup_close_ int near = -1, far = -1;
	struct pollfd p = { .events = POLLIN };
	int part = 1000;

	enter(b->netns);
	far = make_udp(to, 7000);
	enter(a->netns);
	near = make_udp(from, 7001);
	for (size_t i = 0; i < n * 1000; i++)
		out[i] = byte_at(i);
	p.fd = far;
	assert_int_equal(setsockopt(near, IPPROTO_UDP, UDP_SEGMENT, &part, sizeof(part)), 0);
	assert_int_equal(sendto(near, out, n * 1000, 0, (struct sockaddr *)&at, socket_at(to, 7000, &at)), n * 1000);
	for (size_t i = 0; i < n; i++)
		if (poll(&p, 1, ms) != 1 || recv(far, in, sizeof(in), 0) != 1000 || memcmp(in, out + i * 1000, 1000) != 0)
			return false;
	return true;
}

static void connect_pair(const struct node *a, const char *from, const struct node *b, const char *to, int fds[2])
{
	struct sockaddr_storage here, there;
	socklen_t near = socket_at(from, 0, &here), far = socket_at(to, 7000, &there);
	_cleanup_close_ int listener = -1;
	struct pollfd p = { .events = POLLIN };
	int on = 1;

	enter(b->netns);
	listener = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&there, far), 0);
	assert_int_equal(listen(listener, 1), 0);
	enter(a->netns);
	fds[0] = socket(here.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&here, near), 0);
	assert_true(connect(fds[0], (struct sockaddr *)&there, far) == 0 || errno == EINPROGRESS);
	p.fd = listener;
	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("no connection from %s to %s", from, to);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fds[1] >= 0);
}

static void write_some(int fd, size_t bytes, size_t *at)
{
	uint8_t buf[65536];
	size_t n = bytes - *at < sizeof(buf) ? bytes - *at : sizeof(buf);
	ssize_t r;

	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(*at + i);
	r = write(fd, buf, n);
	assert_true(r > 0 || errno == EAGAIN);
	*at += r > 0 ? (size_t)r : 0;
}

static void read_some(int fd, size_t *at)
{
	uint8_t buf[65536];
	ssize_t r = read(fd, buf, sizeof(buf));

	assert_true(r > 0 || errno == EAGAIN);
	for (ssize_t i = 0; i < r; i++)
		if (buf[i] != byte_at(*at + (size_t)i))
			fail_msg("byte %zu is not what was sent", *at + (size_t)i);
	*at += r > 0 ? (size_t)r : 0;
}

void stream(const struct node *a, const char *from, const struct node *b, const char *to, size_t bytes)
{
	size_t sent = 0, got = 0;
	int fds[2];

	connect_pair(a, from, b, to, fds);
	while (got < bytes) {
		struct pollfd p[] = { { fds[1], POLLIN, 0 }, { fds[0], POLLOUT, 0 } };

		if (poll(p, sent < bytes ? 2 : 1, PATIENCE_MS) <= 0)
			fail_msg("%s to %s: nothing moves behind %zu of %zu bytes", from, to, got, sent);
		if (sent < bytes && p[1].revents)
			write_some(fds[0], bytes, &sent);
		if (p[0].revents)
			read_some(fds[1], &got);
	}
	close(fds[0]);
	close(fds[1]);
}

int programs(const char *device, bool egress)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = if_nametoindex(device);
	attr.query.attach_type = egress ? 47 : 46;      /* BPF_TCX_EGRESS, BPF_TCX_INGRESS */
	if (syscall(__NR_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0)
		return errno == ENOENT ? 0 : -errno;
	return (int)attr.query.prog_cnt;
}
