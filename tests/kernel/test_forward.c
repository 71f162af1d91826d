/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_forward.c - a forwarder between a TUN device and sockets of this test
 *
 * Room: the public header, as an embedder.  The device's address answers pings, so what the peer
 * sends is seen to arrive by what comes back; what must be dropped is seen in the counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <podnet/overlay.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <tests/lib/forwarder.h>

/* ---- a forwarder at work ---- */

struct forwarder {
	struct podnet_overlay *ov;
	pthread_t threads[4];
	unsigned int queues;
	int peer;                   /* a socket of the peer, connected to the forwarder's; -1 */
};

struct service {
	struct podnet_overlay *ov;
	unsigned int queue;
};

static void *serve_queue(void *arg)
{
	struct service s = *(struct service *)arg;

	free(arg);
	return (void *)(intptr_t)podnet_overlay_run(s.ov, s.queue, NULL);
}

static void begin(struct forwarder *n, const struct podnet_overlay_spec *spec)
{
	struct podnet_error err = { 0 };

	test_ok(podnet_overlay_open(spec, &n->ov, &err), &err);
	for (n->queues = 0; n->queues < spec->queues; n->queues++) {
		struct service *s = malloc(sizeof(*s));

		assert_non_null(s);
		*s = (struct service){ n->ov, n->queues };
		assert_int_equal(pthread_create(&n->threads[n->queues], NULL, serve_queue, s), 0);
	}
}

static void end(struct forwarder *n)
{
	podnet_overlay_stop(n->ov);
	for (unsigned int i = 0; i < n->queues; i++) {
		void *r;

		pthread_join(n->threads[i], &r);
		assert_ptr_equal(r, NULL);
	}
	podnet_overlay_close(n->ov);
	closep(&n->peer);
}

static void put_peer(struct forwarder *n, const char *ip, uint16_t port, enum podnet_overlay_framing framing,
		     const char *net, const char *net6)
{
	struct podnet_prefix nets[] = { prefix(net), prefix(net6) };
	struct podnet_overlay_peer peer = { .address = prefix(ip), .port = port, .framing = framing,
					    .prefixes = nets, .nprefixes = net6 ? 2 : 1 };
	struct podnet_error err = { 0 };

	test_ok(podnet_overlay_peer_put(n->ov, &peer, &err), &err);
}

/* asked for, the kernel notices the carrier: before, what it sends by the device is lost */
#define DEVICE "ip link set lo up && ip addr add 172.16.0.1/16 dev t0 && " \
	"ip addr add fd00::1/64 dev t0 nodad && ip link set t0 up && ip link show t0 >/dev/null"
/* the kernel routes to an IPv6 address of its own only when its worker has come by */
#define SETTLED "for ip in fd00::1 fd01::1 fd01::2; do " \
	"until ip route get $ip 2>/dev/null | grep -q ^local; do :; done; done"

static const char *const underlay[2][2] = { { "127.0.0.1", "127.0.0.2" }, { "fd01::1", "fd01::2" } };

static void begin_with_peer(struct forwarder *n, short flags, bool six, enum podnet_overlay_framing framing)
{
	struct podnet_prefix local[] = { prefix("172.16.0.0/24"), prefix("fd00::/80") };
	int tun = make_tun((short)(IFF_TUN | IFF_NO_PI | flags)), udp;
	struct podnet_overlay_spec spec = { .tun = &tun, .udp = &udp, .queues = 1, .local = local,
					    .nlocal = 2 };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	assert_int_equal(sh(DEVICE " && ip addr add fd01::1 dev lo nodad && ip addr add fd01::2 dev lo nodad && "
			    SETTLED), 0);
	inet_pton(AF_INET, underlay[0][0], &v4.sin_addr);
	inet_pton(AF_INET6, underlay[1][0], &v6.sin6_addr);
	udp = make_udp(underlay[six][0], PORT);
	begin(n, &spec);
	n->peer = make_udp(underlay[six][1], PORT);
	assert_int_equal(connect(n->peer, six ? (void *)&v6 : (void *)&v4, six ? sizeof(v6) : sizeof(v4)), 0);
	put_peer(n, underlay[six][1], PORT, framing, "172.16.1.0/24", "fd00:0:0:0:1::/80");
}

/* ---- pings ---- */

/* An echo request; returns its length. */
static size_t ping4(uint8_t *ip, const char *from, const char *to, size_t data)
{
	size_t len = 28 + data;

	memset(ip, 0, len);
	ip[0] = 0x45, ip[8] = 64, ip[9] = 1;
	put16(ip + 2, (uint16_t)len);
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	put16(ip + 10, internet_sum(ip, 20, 0));
	ip[20] = 8;
	put16(ip + 22, internet_sum(ip + 20, len - 20, 0));
	return len;
}

static size_t ping6(uint8_t *ip, const char *from, const char *to, size_t data)
{
	size_t len = 48 + data;

	memset(ip, 0, len);
	ip[0] = 0x60, ip[6] = 58, ip[7] = 64;
	put16(ip + 4, (uint16_t)(len - 40));
	inet_pton(AF_INET6, from, ip + 8);
	inet_pton(AF_INET6, to, ip + 24);
	ip[40] = 128;
	put16(ip + 42, internet_sum(ip + 8, len - 8, (uint32_t)(len - 40) + 58));
	return len;
}

/* Does an answer come, in the framing of the question? */
static bool answered(int fd, const uint8_t *question, size_t len, size_t ahead)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint8_t buf[65536];

	for (;;) {
		size_t at = question[ahead] >> 4 == 4 ? 20 : 40;
		ssize_t n;

		if (poll(&p, 1, 20000) <= 0)
			return false;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n == (ssize_t)len && memcmp(buf, question, ahead) == 0 &&
		    (buf[ahead + at] == 0 || buf[ahead + at] == 129))
			return true;        /* else a neighbour discovery of the kernel's own */
	}
}

static const struct ways {
	const char *says;
	short flags;
	bool six;
	enum podnet_overlay_framing framing;
} ways[] = {
	{ "bare, over IPv4, with offloads", IFF_VNET_HDR, false, PODNET_OVERLAY_RAW },
	{ "framed, over IPv4, with offloads", IFF_VNET_HDR, false, PODNET_OVERLAY_PI },
	{ "bare, over IPv6, one by one", 0, true, PODNET_OVERLAY_RAW },
	{ "framed, over IPv6, one by one", 0, true, PODNET_OVERLAY_PI },
};

static void ask(struct forwarder *n, enum podnet_overlay_framing framing, bool six, size_t data)
{
	uint8_t buf[65536];
	size_t ahead = framing == PODNET_OVERLAY_PI ? 4 : 0, len;

	put16(buf, 0);
	put16(buf + 2, six ? 0x86dd : 0x0800);
	len = ahead + (six ? ping6(buf + ahead, "fd00::1:0:0:9", "fd00::1", data) :
			     ping4(buf + ahead, "172.16.1.9", "172.16.0.1", data));
	if (send(n->peer, buf, len, 0) != (ssize_t)len)
		fail_msg("send: %s", strerror(errno));
	if (!answered(n->peer, buf, len, ahead))
		fail_msg("no answer; %s", told(n->ov));
}

static void there_and_back(void **state)
{
	const struct ways *w = *state;
	struct podnet_prefix at = prefix(underlay[w->six][1]);
	struct podnet_overlay_peer_stats s;
	struct forwarder n = { 0 };

	begin_with_peer(&n, w->flags, w->six, w->framing);
	ask(&n, w->framing, false, 56);
	ask(&n, w->framing, true, 56);
	ask(&n, w->framing, false, 1400);
	do      /* the answer is here before it is counted */
		assert_int_equal(podnet_overlay_peer_stats(n.ov, &at, PORT, &s), 0);
	while (s.out_packets < 3 || s.out_bytes < 84 + 104 + 1428);
	assert_int_equal(s.in_packets, 3);
	assert_int_equal(s.in_bytes, 84 + 104 + 1428);
	assert_int_equal(s.in_dropped, 0);
	end(&n);
}

/* ---- what is not forwarded ---- */

/* What is dropped is counted a little later than what came after it is answered: the counter, once it is @n. */
static uint64_t dropped_at_last(const struct forwarder *f, enum podnet_overlay_drop why, uint64_t n)
{
	for (int i = 0; i < 20000 && dropped(f->ov, why) < n; i++)
		usleep(1000);
	return dropped(f->ov, why);
}

static struct podnet_overlay_peer_stats stats_at_last(const struct forwarder *f, uint64_t in, uint64_t in_dropped)
{
	struct podnet_prefix at = prefix("127.0.0.2");
	struct podnet_overlay_peer_stats s = { 0 };

	for (int i = 0; i < 20000 && (!i || s.in_packets < in || s.in_dropped < in_dropped); i++) {
		if (i)
			usleep(1000);
		assert_int_equal(podnet_overlay_peer_stats(f->ov, &at, PORT, &s), 0);
	}
	return s;
}

static const struct bad {
	const char *says;
	enum podnet_overlay_framing framing;
	const char *from, *to;      /* of a ping; NULL: random bytes */
	size_t len;                 /* cut or made longer to this; 0: as it is */
	enum podnet_overlay_drop why;
} bads[] = {
	{ "a source of ours", PODNET_OVERLAY_RAW, "172.16.0.1", "172.16.0.1", 0, PODNET_OVERLAY_IN_SOURCE },
	{ "a source of nobody's", PODNET_OVERLAY_RAW, "8.8.8.8", "172.16.0.1", 0, PODNET_OVERLAY_IN_SOURCE },
	{ "a source of another peer", PODNET_OVERLAY_RAW, "172.16.2.1", "172.16.0.1", 0,
	  PODNET_OVERLAY_IN_SOURCE },
	{ "a source within, that another has", PODNET_OVERLAY_RAW, "172.16.1.129", "172.16.0.1", 0,
	  PODNET_OVERLAY_IN_SOURCE },
	{ "a destination of another peer", PODNET_OVERLAY_RAW, "172.16.1.9", "172.16.2.1", 0,
	  PODNET_OVERLAY_IN_DESTINATION },
	{ "a destination of its own", PODNET_OVERLAY_RAW, "172.16.1.9", "172.16.1.8", 0,
	  PODNET_OVERLAY_IN_DESTINATION },
	{ "the loopback", PODNET_OVERLAY_RAW, "172.16.1.9", "127.0.0.1", 0, PODNET_OVERLAY_IN_DESTINATION },
	{ "truncated", PODNET_OVERLAY_RAW, "172.16.1.9", "172.16.0.1", 83, PODNET_OVERLAY_IN_MALFORMED },
	{ "truncated to a header", PODNET_OVERLAY_RAW, "172.16.1.9", "172.16.0.1", 19,
	  PODNET_OVERLAY_IN_MALFORMED },
	{ "empty", PODNET_OVERLAY_RAW, NULL, NULL, 0, PODNET_OVERLAY_IN_MALFORMED },
	{ "one byte", PODNET_OVERLAY_RAW, NULL, NULL, 1, PODNET_OVERLAY_IN_MALFORMED },
	{ "garbage", PODNET_OVERLAY_RAW, NULL, NULL, 100, PODNET_OVERLAY_IN_MALFORMED },
	{ "garbage of full length", PODNET_OVERLAY_RAW, NULL, NULL, 65507, PODNET_OVERLAY_IN_MALFORMED },
	{ "framed, where it is bare", PODNET_OVERLAY_RAW, "\0\0\x08", "172.16.0.1", 0,
	  PODNET_OVERLAY_IN_MALFORMED },
	{ "bare, where it is framed", PODNET_OVERLAY_PI, "172.16.1.9", "172.16.0.1", 0,
	  PODNET_OVERLAY_IN_MALFORMED },
	{ "framed garbage", PODNET_OVERLAY_PI, NULL, NULL, 100, PODNET_OVERLAY_IN_MALFORMED },
};

static void not_forwarded(void **state)
{
	const struct bad *b = *state;
	struct podnet_overlay_peer_stats s;
	uint8_t buf[65536];
	size_t len = 84;
	struct forwarder n = { 0 };

	memset(buf, 0xa7, sizeof(buf));
	begin_with_peer(&n, IFF_VNET_HDR, false, b->framing);
	put_peer(&n, "127.0.0.3", PORT, PODNET_OVERLAY_RAW, "172.16.2.0/24", NULL);
	put_peer(&n, "127.0.0.4", PORT, PODNET_OVERLAY_RAW, "172.16.1.128/25", NULL);
	if (b->from && b->from[0]) {
		ping4(buf, b->from, b->to, 56);
	} else if (b->from) {
		memcpy(buf, "\0\0\x08\0", 4);
		len = 4 + ping4(buf + 4, "172.16.1.9", b->to, 56);
	}
	if (b->len || !b->from)
		len = b->len;
	assert_int_equal(send(n.peer, buf, len, 0), len);
	ask(&n, b->framing, false, 56);         /* what was sent before it has been looked at */
	assert_int_equal(dropped_at_last(&n, b->why, 1), 1);
	s = stats_at_last(&n, 1, 1);
	assert_int_equal(s.in_packets, 1);
	assert_int_equal(s.in_dropped, 1);
	end(&n);
}

/* Without prefixes of ours: what no peer has, but for one that has all. */
static void ours_is_the_rest(void **state)
{
	struct forwarder n = { 0 };
	uint8_t buf[128];
	size_t len = ping4(buf, "172.16.1.9", "172.16.2.1", 56);

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	put_peer(&n, "127.0.0.3", PORT, PODNET_OVERLAY_RAW, "172.16.2.0/24", NULL);
	put_peer(&n, "127.0.0.4", PORT, PODNET_OVERLAY_RAW, "0.0.0.0/0", "::/0");
	assert_int_equal(podnet_overlay_local(n.ov, NULL, 0, NULL), 0);
	assert_int_equal(send(n.peer, buf, len, 0), len);
	ask(&n, PODNET_OVERLAY_RAW, false, 56);
	assert_int_equal(dropped_at_last(&n, PODNET_OVERLAY_IN_DESTINATION, 1), 1);
	assert_int_not_equal(sh("ip addr add 172.16.2.1/32 dev lo && "
				"ping -c1 -W0.2 -I 172.16.2.1 172.16.1.9 >/dev/null"), 0);
	assert_true(dropped_at_last(&n, PODNET_OVERLAY_OUT_SOURCE, 1) > 0);
	end(&n);
}

/* From the address of a peer, but another port, and from another address. */
static void strangers(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	_cleanup_close_ int port = make_udp("127.0.0.1", 0), other;
	struct forwarder n = { 0 };
	uint8_t buf[128];
	size_t len = ping4(buf, "172.16.1.9", "172.16.0.1", 56);

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	other = make_udp("127.0.0.2", PORT + 1);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	assert_int_equal(sendto(port, buf, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	assert_int_equal(sendto(other, buf, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	ask(&n, PODNET_OVERLAY_RAW, false, 56);
	assert_int_equal(dropped_at_last(&n, PODNET_OVERLAY_IN_STRANGER, 2), 2);
	end(&n);
}

static void peers_come_and_go(void **state)
{
	struct podnet_prefix at = prefix("127.0.0.2"), local = prefix("172.16.0.0/16");
	struct podnet_overlay_peer_stats s;
	struct podnet_error err = { 0 };
	struct forwarder n = { 0 };

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	for (int i = 0; i < 100; i++) {
		enum podnet_overlay_framing f = i % 2 ? PODNET_OVERLAY_RAW : PODNET_OVERLAY_PI;

		put_peer(&n, "127.0.0.2", PORT, f, "172.16.1.0/24", NULL);
		ask(&n, f, false, 56);
	}
	s = stats_at_last(&n, 100, 0);
	assert_int_equal(s.in_packets, 100);    /* they go on */
	assert_int_equal(podnet_overlay_peer_delete(n.ov, &at, PORT), 0);
	assert_int_equal(podnet_overlay_peer_delete(n.ov, &at, PORT), -ENOENT);
	assert_int_equal(podnet_overlay_peer_stats(n.ov, &at, PORT, &s), -ENOENT);
	assert_int_not_equal(sh("ping -c1 -W0.2 172.16.1.9 >/dev/null"), 0);
	assert_true(dropped_at_last(&n, PODNET_OVERLAY_OUT_NO_PEER, 1) > 0);
	put_peer(&n, "127.0.0.2", PORT, PODNET_OVERLAY_RAW, "172.16.1.0/24", NULL);
	test_ok(podnet_overlay_local(n.ov, &local, 1, &err), &err);
	ask(&n, PODNET_OVERLAY_RAW, false, 56);
	end(&n);
}

/* The peer's port is closed: the kernel says so of the next datagram, and nothing comes of it. */
static void nobody_listens(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct forwarder n = { 0 };

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	close(n.peer);
	assert_int_not_equal(sh("ping -c3 -i0.01 -W0.2 172.16.1.9 >/dev/null"), 0);
	n.peer = make_udp("127.0.0.2", PORT);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	assert_int_equal(connect(n.peer, (struct sockaddr *)&to, sizeof(to)), 0);
	ask(&n, PODNET_OVERLAY_RAW, false, 56);
	/* no way to the peer, and back */
	put_peer(&n, "192.0.2.1", PORT, PODNET_OVERLAY_RAW, "172.16.3.0/24", NULL);
	assert_int_not_equal(sh("ping -c1 -W0.2 172.16.3.1 >/dev/null"), 0);
	assert_true(dropped_at_last(&n, PODNET_OVERLAY_OUT_REFUSED, 1) > 0);
	ask(&n, PODNET_OVERLAY_RAW, false, 56);
	end(&n);
}

static void device_gone(void **state)
{
	struct podnet_error err = { 0 };
	struct forwarder n = { .peer = -1 };
	void *r;

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	assert_int_equal(sh("ip link del t0"), 0);
	pthread_join(n.threads[0], &r);
	assert_ptr_equal(r, (void *)(intptr_t)-EBADFD);
	assert_int_equal(podnet_overlay_run(n.ov, 0, &err), -EBADFD);
	n.queues = 0;
	end(&n);
}

/* ---- what cannot be opened ---- */

static void refusals(void **state)
{
	_cleanup_close_ int tap = make_tun(IFF_TAP | IFF_NO_PI), udp = make_udp("127.0.0.1", 0);
	_cleanup_close_ int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct podnet_prefix wrong = { .family = AF_INET, .len = 33 };
	struct podnet_overlay_spec spec = { .tun = &tap, .udp = &udp, .queues = 1 };
	struct podnet_overlay *ov = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_overlay_open(&spec, &ov, &err), -EINVAL);
	assert_string_equal(err.field, "tun");
	spec.tun = &udp;
	assert_int_equal(podnet_overlay_open(&spec, &ov, &err), -EINVAL);
	assert_string_equal(err.field, "tun");
	closep(&tap);
	tap = make_tun(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	spec.tun = &tap;
	spec.udp = &tcp;
	assert_int_equal(podnet_overlay_open(&spec, &ov, &err), -EINVAL);
	assert_string_equal(err.field, "udp");
	spec.udp = &udp;
	spec.local = &wrong;
	spec.nlocal = 1;
	assert_int_equal(podnet_overlay_open(&spec, &ov, &err), -EINVAL);
	assert_string_equal(err.field, "local");
	spec.queues = 0;
	assert_int_equal(podnet_overlay_open(&spec, &ov, &err), -EINVAL);
	assert_string_equal(err.field, "queues");
	assert_null(ov);
	assert_true(fcntl(tap, F_GETFD) >= 0 && fcntl(udp, F_GETFD) >= 0);     /* still ours */
}

static void wrong_peers(void **state)
{
	struct podnet_prefix bad = { .family = AF_INET6, .len = 129 };
	struct podnet_overlay_peer good = { .address = prefix("192.0.2.1"), .port = 1 }, v[4];
	static const char *const fields[] = { "address", "port", "framing", "prefixes" };
	struct podnet_error err = { 0 };
	struct forwarder n = { 0 };

	(void)state;
	begin_with_peer(&n, IFF_VNET_HDR, false, PODNET_OVERLAY_RAW);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = good;
	v[0].address.family = 0;
	v[1].port = 0;
	v[2].framing = (enum podnet_overlay_framing)7;
	v[3].prefixes = &bad;
	v[3].nprefixes = 1;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		assert_int_equal(podnet_overlay_peer_put(n.ov, &v[i], &err), -EINVAL);
		assert_string_equal(err.field, fields[i]);
	}
	end(&n);
}

/* Two queues, served by two threads, while peers change. */
static void two_queues(void **state)
{
	int tun[2], udp[2];
	struct podnet_overlay_spec spec = { .tun = tun, .udp = udp, .queues = 2, .busy_us = 50 };
	struct forwarder n = { .peer = -1 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		tun[i] = make_tun(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
		udp[i] = make_udp("127.0.0.1", PORT);
	}
	assert_int_equal(sh(DEVICE), 0);
	begin(&n, &spec);
	for (uint16_t i = 0; i < 8; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };

		n.peer = make_udp("127.0.0.2", (uint16_t)(9100 + i));
		inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
		assert_int_equal(connect(n.peer, (struct sockaddr *)&to, sizeof(to)), 0);
		put_peer(&n, "127.0.0.2", (uint16_t)(9100 + i), PODNET_OVERLAY_RAW, "172.16.1.0/24", NULL);
		for (int k = 0; k < 20; k++)
			ask(&n, PODNET_OVERLAY_RAW, false, 56);
		drop_fd(&n.peer);
	}
	end(&n);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test_setup(strangers, netns_setup),
		cmocka_unit_test_setup(ours_is_the_rest, netns_setup),
		cmocka_unit_test_setup(peers_come_and_go, netns_setup),
		cmocka_unit_test_setup(nobody_listens, netns_setup),
		cmocka_unit_test_setup(device_gone, netns_setup),
		cmocka_unit_test_setup(refusals, netns_setup),
		cmocka_unit_test_setup(wrong_peers, netns_setup),
		cmocka_unit_test_setup(two_queues, netns_setup),
	};
	struct CMUnitTest tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(ways) + ARRAY_SIZE(bads)];
	size_t k = ARRAY_SIZE(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		tests[k++] = (struct CMUnitTest){ ways[i].says, there_and_back, netns_setup, NULL,
						  (void *)(uintptr_t)&ways[i] };
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++)
		tests[k++] = (struct CMUnitTest){ bads[i].says, not_forwarded, netns_setup, NULL,
						  (void *)(uintptr_t)&bads[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
