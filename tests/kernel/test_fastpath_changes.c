/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_fastpath_changes.c - peers and prefixes that come and go: who is carried by the kernel, and to whom
 *
 * Room: the public header, as an embedder.  Between two changes, packets both ways, and a model that looks
 * at every prefix.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/frames.h>

#define PEERS 5                 /* 10.0.0.2 and on */
#define PREFIXES 3
#define PACKETS 16              /* between two changes, each way */
#define CHANGES 2000

static const char *const nets[] = {
	"0.0.0.0/0", "::/0", "172.16.0.0/16", "172.16.1.0/24", "172.16.1.0/24", "172.16.2.0/24", "172.16.2.128/25",
	"172.16.2.200/32", "10.9.0.0/16", "fd00::/48", "fd00:0:0:1::/64", "fd00:0:0:2::/64", "fd00:0:0:2::9/128",
	"::ffff:0:0/96", "::ffff:172.16.2.0/120",
};
static const char *const four[] = {
	"172.16.1.1", "172.16.1.9", "172.16.2.1", "172.16.2.129", "172.16.2.200", "172.16.3.3", "10.9.0.1", "192.0.2.1",
};
static const char *const six[] = {
	"fd00:0:0:1::1", "fd00:0:0:2::1", "fd00:0:0:2::9", "fd00:0:0:3::1", "2001:db8::1", "::ffff:172.16.2.1",
	"::ffff:172.16.1.1",
};

/* What a handle has been told. */
struct model {
	struct known {
		bool there;
		enum podnet_overlay_framing framing;
		struct podnet_prefix v[PREFIXES];
		size_t n;
		unsigned int order;
	} peers[PEERS], local;
	unsigned int order;
};

static uint32_t below(uint32_t n)
{
	static uint32_t seed = 1;

	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static int longest(const struct known *k, const char *ip)
{
	struct podnet_prefix a = prefix(ip);
	int ret = -1;

	for (size_t i = 0; i < k->n && k->there; i++)
		if (podnet_prefix_contains(&k->v[i], &a) && k->v[i].len > ret)
			ret = k->v[i].len;
	return ret;
}

static const struct known *owner(const struct model *m, const char *ip)
{
	const struct known *ret = NULL;
	int len = -1;

	for (size_t i = 0; i < PEERS; i++) {
		int found = longest(&m->peers[i], ip);

		if (found < 0 || found < len || (found == len && m->peers[i].order < ret->order))
			continue;
		ret = &m->peers[i];
		len = found;
	}
	return ret;
}

static bool ours(const struct model *m, const char *ip)
{
	if (m->local.n)
		return longest(&m->local, ip) >= 0;
	for (size_t i = 0; i < PEERS; i++)
		if (longest(&m->peers[i], ip) > 0)
			return false;
	return true;
}

static void pick(struct known *k)
{
	k->there = true;
	k->framing = below(3) ? PODNET_OVERLAY_FASTPATH : PODNET_OVERLAY_RAW;
	k->n = below(PREFIXES + 1);
	for (size_t i = 0; i < k->n; i++)
		k->v[i] = prefix(nets[below(ARRAY_SIZE(nets))]);
}

static void change(struct bench *b, struct model *m)
{
	unsigned int which = below(PEERS);
	struct known *k = &m->peers[which];
	struct podnet_overlay_peer p = { .address = prefix(outer(false, (int)which + 2)), .port = PORT };
	struct podnet_error err = { 0 };

	switch (below(4)) {
	case 0:
		assert_int_equal(podnet_overlay_peer_delete(b->one->ov, &p.address, PORT), k->there ? 0 : -ENOENT);
		k->there = false;
		return;
	case 1:
		pick(&m->local);
		test_ok(podnet_overlay_local(b->one->ov, m->local.v, m->local.n, &err), &err);
		return;
	}
	pick(k);
	k->order = ++m->order;
	p.framing = k->framing;
	p.prefixes = k->v;
	p.nprefixes = k->n;
	test_ok(podnet_overlay_peer_put(b->one->ov, &p, &err), &err);
}

/* A packet, and what became of it: by whom, 0: nobody */
struct packet {
	const char *src, *dst;
	unsigned int peer;          /* that it is from */
	unsigned int fast, slow;
};

static void make_packet(struct packet *p)
{
	bool is6 = below(2);

	*p = (struct packet){ .peer = 2 + below(PEERS) };
	p->src = is6 ? six[below(ARRAY_SIZE(six))] : four[below(ARRAY_SIZE(four))];
	p->dst = is6 ? six[below(ARRAY_SIZE(six))] : four[below(ARRAY_SIZE(four))];
}

/* The number of the packet at @ip, or -1: it is none of ours; those that are forwarded have lost a hop. */
static int number_of(const uint8_t *ip, ssize_t len)
{
	bool is6 = ip[0] >> 4 == 6;
	const uint8_t *udp = ip + (is6 ? 40 : 20);

	if (len < (is6 ? 48 : 28) || ip[is6 ? 6 : 9] != IPPROTO_UDP || ip[is6 ? 7 : 8] != 64 ||
	    (udp[0] << 8 | udp[1]) != 7001)
		return -1;
	return udp[3];
}

/* The inner packets of a frame: the forwarder's come in pieces that nobody has cut yet. */
static void look_into(const uint8_t *frame, ssize_t n, struct packet *v, bool fast)
{
	ssize_t len;

	for (ssize_t at = IN4; at + 20 < n; at += len) {
		bool is6 = frame[at] >> 4 == 6;
		int i = number_of(frame + at, n - at);

		len = (frame[at + (is6 ? 4 : 2)] << 8 | frame[at + (is6 ? 5 : 3)]) + (is6 ? 40 : 0);
		if (i < 0)
			continue;
		assert_int_equal(!(frame[UDP4 + 6] | frame[UDP4 + 7]), fast);
		*(fast ? &v[i].fast : &v[i].slow) = frame[OUTER + 19];
	}
}

static void look_at_wire(struct bench *b, struct packet *v, bool fast)
{
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	uint8_t buf[2048];
	ssize_t n;

	while ((n = recvfrom(b->wire, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &size)) >= 0)
		if (from.sll_pkttype != PACKET_OUTGOING && buf[12] == 8 && buf[13] == 0 && buf[OUTER + 9] == IPPROTO_UDP)
			look_into(buf, n, v, fast);
}

static void look_at_device(struct bench *b, struct packet *v, bool fast)
{
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	uint8_t buf[2048];
	ssize_t n;

	while ((n = recvfrom(b->device, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &size)) >= 0) {
		int i = from.sll_pkttype == PACKET_OUTGOING ? -1 : number_of(buf, n);

		if (i >= 0)
			*(fast ? &v[i].fast : &v[i].slow) = v[i].peer;
	}
}

static void judge(const struct packet *p, const struct known *peer, unsigned int number, const char *way)
{
	bool mapped = strncmp(p->src, "::ffff", 6) == 0 || strncmp(p->dst, "::ffff", 6) == 0;
	/* what comes is taken whether or not its sender is known to have a fast path */
	bool fast = peer && (peer->framing == PODNET_OVERLAY_FASTPATH || strcmp(way, "in") == 0) && !mapped;

	if (p->fast != (fast ? number : 0) || p->slow != (peer && !fast ? number : 0))
		fail_msg("%s, %s to %s, peer %u: %u by the kernel, %u by the forwarder", way, p->src, p->dst,
			 peer ? number : 0, p->fast, p->slow);
}

static void out_and_look(struct bench *b, const struct model *m)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct packet v[PACKETS];
	uint8_t buf[256];

	enter(b->one->netns);
	to.sll_ifindex = (int)if_nametoindex("t0");
	for (unsigned int i = 0; i < PACKETS; i++) {
		size_t len;

		make_packet(&v[i]);
		len = put_datagram(buf, v[i].src, v[i].dst, 7001, (uint16_t)i, DATA);
		to.sll_protocol = htons(is_six(v[i].src) ? ETH_P_IPV6 : ETH_P_IP);
		assert_int_equal(sendto(b->device, buf, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	}
	settle(b);
	look_at_wire(b, v, true);
	turns(b->one);
	settle(b);
	look_at_wire(b, v, false);
	for (unsigned int i = 0; i < PACKETS; i++) {
		const struct known *to_whom = ours(m, v[i].src) ? owner(m, v[i].dst) : NULL;

		judge(&v[i], to_whom, to_whom ? (unsigned int)(to_whom - m->peers) + 2 : 0, "out");
	}
}

static void in_and_look(struct bench *b, const struct model *m)
{
	struct packet v[PACKETS];
	uint8_t buf[256] = { 0 };

	put_mac(buf, 1);
	put_mac(buf + 6, 2);
	put16(buf + 12, ETH_P_IP);
	look_at_device(b, v, true);     /* what went out */
	for (unsigned int i = 0; i < PACKETS; i++) {
		size_t len;

		make_packet(&v[i]);
		len = put_datagram(buf + IN4, v[i].src, v[i].dst, 7001, (uint16_t)i, DATA);
		len = put_datagram(buf + OUTER, outer(false, (int)v[i].peer), "10.0.0.1", PORT, PORT, len);
		assert_int_equal(send(b->wire, buf, OUTER + len, 0), OUTER + len);
	}
	settle(b);
	look_at_device(b, v, true);
	turns(b->one);
	settle(b);
	look_at_device(b, v, false);
	for (unsigned int i = 0; i < PACKETS; i++) {
		const struct known *from = owner(m, v[i].src);

		if (from != &m->peers[v[i].peer - 2] || !ours(m, v[i].dst))
			from = NULL;
		judge(&v[i], from, v[i].peer, "in");
	}
}

/* Who has what, and what is ours, changes; the kernel carries just what the forwarder would, to the same. */
static void changes(void **state)
{
	struct model m = { .local = { .there = true } };
	struct bench b;

	(void)state;
	bench_open(&b, false);
	sh_in(b.one, "for i in 2 3 4 5 6; do ip neigh replace 10.0.0.$i lladdr 02:00:00:00:00:02 dev u0; done");
	assert_int_equal(podnet_overlay_peer_delete(b.one->ov, &(struct podnet_prefix){ AF_INET, 32, { 10, 0, 0, 2 } },
						    PORT), 0);
	test_ok(podnet_overlay_local(b.one->ov, NULL, 0, NULL), NULL);
	for (int i = 0; i < CHANGES; i++) {
		change(&b, &m);
		out_and_look(&b, &m);
		in_and_look(&b, &m);
	}
	bench_close(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(changes, netns_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
