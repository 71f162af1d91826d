/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_fastpath_frames.c - frame by frame: what the kernel takes off the wire by itself, and what it leaves
 *
 * Room: the public header, as an embedder.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <tests/lib/frames.h>

/* ---- frames ---- */

enum fate {
	FAST,                       /* the kernel takes it to the device */
	SLOW,                       /* the forwarder does */
	DROPPED,                    /* the forwarder counts it */
	NOWHERE,                    /* the kernel's own stack drops it */
	EITHER,                     /* FAST or SLOW: a switch may cut it to its length */
};

enum { SUMMED = 1, BAD_SUM = 2, BAD_HEADER = 4, OPTIONS = 8, EMPTY = 16 };

static const struct frame {
	const char *says;
	const char *from;           /* outer source; NULL: the peer that has a fast path */
	const char *src, *dst;      /* inner */
	unsigned int flags;
	int more;                   /* bytes behind it; negative: that are missing */
	struct { uint16_t at; uint8_t value; } patch[3];
	enum fate fate;
	enum podnet_overlay_drop why;
} frames[] = {
	{ "what is right", NULL, "172.16.2.9", "172.16.1.1", .fate = FAST },
	{ "IPv6 within", NULL, "fd00:0:0:2::9", "fd00:0:0:1::1", .fate = FAST },
	{ "a UDP checksum", NULL, "172.16.2.9", "172.16.1.1", .flags = SUMMED, .fate = SLOW },
	{ "a wrong UDP checksum", NULL, "172.16.2.9", "172.16.1.1", .flags = SUMMED | BAD_SUM, .fate = NOWHERE },
	{ "of a stranger", "10.0.0.8", "172.16.2.9", "172.16.1.1", .fate = DROPPED, .why = PODNET_OVERLAY_IN_STRANGER },
	{ "of the peer's other port", NULL, "172.16.2.9", "172.16.1.1", .patch = { { UDP4 + 1, 9 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_STRANGER },
	{ "to another port", NULL, "172.16.2.9", "172.16.1.1", .patch = { { UDP4 + 3, 9 } }, .fate = NOWHERE },
	{ "to another address", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 19, 7 } }, .fate = NOWHERE },
	{ "to another MAC", NULL, "172.16.2.9", "172.16.1.1", .patch = { { 5, 7 } }, .fate = NOWHERE },
	{ "to all MACs", NULL, "172.16.2.9", "172.16.1.1", .patch = { { 0, 3 } }, .fate = SLOW },
	{ "of a peer without a fast path", "10.0.0.3", "172.16.3.9", "172.16.1.1", .fate = FAST },
	{ "as such a peer, its source", NULL, "172.16.3.9", "172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_SOURCE },
	{ "as another that has one, its source", "10.0.0.4", "172.16.2.9", "172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_SOURCE },
	{ "a source of ours", NULL, "172.16.1.1", "172.16.1.1", .fate = DROPPED, .why = PODNET_OVERLAY_IN_SOURCE },
	{ "a source of nobody's", NULL, "192.0.2.9", "172.16.1.1", .fate = DROPPED, .why = PODNET_OVERLAY_IN_SOURCE },
	{ "a destination of a peer's", NULL, "172.16.2.9", "172.16.3.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_DESTINATION },
	{ "a destination of its own", NULL, "172.16.2.9", "172.16.2.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_DESTINATION },
	{ "a destination of nobody's", NULL, "172.16.2.9", "127.0.0.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_DESTINATION },
	{ "mapped addresses", NULL, "::ffff:172.16.2.9", "::ffff:172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_SOURCE },
	{ "a mapped source", NULL, "::ffff:172.16.2.9", "fd00:0:0:1::1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_SOURCE },
	{ "a mapped destination", NULL, "fd00:0:0:2::9", "::ffff:172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_DESTINATION },
	{ "options outside", NULL, "172.16.2.9", "172.16.1.1", .flags = OPTIONS, .fate = SLOW },
	{ "a first fragment", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 6, 0x20 } }, .fate = NOWHERE },
	{ "another fragment", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 7, 1 } }, .fate = NOWHERE },
	{ "not to be cut", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 6, 0x40 } }, .fate = FAST },
	{ "a wrong header checksum", NULL, "172.16.2.9", "172.16.1.1", .flags = BAD_HEADER, .fate = NOWHERE },
	{ "another protocol", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 9, 253 } }, .fate = NOWHERE },
	{ "another version", NULL, "172.16.2.9", "172.16.1.1", .patch = { { OUTER, 0x65 } }, .fate = NOWHERE },
	{ "a VLAN's EtherType", NULL, "172.16.2.9", "172.16.1.1", .patch = { { 12, 0x81 } }, .fate = NOWHERE },
	{ "IPv6's EtherType", NULL, "172.16.2.9", "172.16.1.1", .patch = { { 12, 0x86 }, { 13, 0xdd } }, .fate = NOWHERE },
	{ "something behind it", NULL, "172.16.2.9", "172.16.1.1", .more = 5, .fate = EITHER },
	{ "cut short", NULL, "172.16.2.9", "172.16.1.1", .more = -1, .fate = NOWHERE },
	{ "cut to its headers", NULL, "172.16.2.9", "172.16.1.1", .more = -84, .fate = NOWHERE },
	{ "a UDP length that is short", NULL, "172.16.2.9", "172.16.1.1", .patch = { { UDP4 + 5, 91 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "a UDP length that is long", NULL, "172.16.2.9", "172.16.1.1", .patch = { { UDP4 + 5, 93 } }, .fate = NOWHERE },
	{ "empty", NULL, "172.16.2.9", "172.16.1.1", .flags = EMPTY, .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "an inner length that is long", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4 + 3, 85 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "an inner length that is short", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4 + 3, 83 } },
	  .fate = SLOW },
	{ "an inner length of a part of a header", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4 + 3, 19 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "an inner header that is short", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4, 0x44 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "options within", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4, 0x46 } }, .fate = SLOW },
	{ "another version within", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4, 0x55 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
	{ "IPv6 within, by its version only", NULL, "172.16.2.9", "172.16.1.1", .patch = { { IN4, 0x65 } },
	  .fate = DROPPED, .why = PODNET_OVERLAY_IN_SOURCE },
	{ "over IPv6", "fd01::2", "172.16.2.9", "172.16.1.1", .fate = FAST },
	{ "over IPv6, IPv6 within", "fd01::2", "fd00:0:0:2::9", "fd00:0:0:1::1", .fate = FAST },
	{ "over IPv6, a UDP checksum", "fd01::2", "172.16.2.9", "172.16.1.1", .flags = SUMMED, .fate = SLOW },
	{ "over IPv6, of a stranger", "fd01::8", "172.16.2.9", "172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_STRANGER },
	{ "over IPv6, of a peer without a fast path", "fd01::3", "172.16.3.9", "172.16.1.1", .fate = FAST },
	{ "over IPv6, a source of nobody's", "fd01::2", "192.0.2.9", "172.16.1.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_SOURCE },
	{ "over IPv6, a destination of nobody's", "fd01::2", "172.16.2.9", "127.0.0.1", .fate = DROPPED,
	  .why = PODNET_OVERLAY_IN_DESTINATION },
	{ "over IPv6, to another port", "fd01::2", "172.16.2.9", "172.16.1.1", .patch = { { UDP6 + 3, 9 } },
	  .fate = NOWHERE },
	{ "over IPv6, a fragment", "fd01::2", "172.16.2.9", "172.16.1.1", .patch = { { OUTER + 6, 44 } }, .fate = NOWHERE },
	{ "over IPv6, something behind it", "fd01::2", "172.16.2.9", "172.16.1.1", .more = 5, .fate = EITHER },
	{ "over IPv6, cut short", "fd01::2", "172.16.2.9", "172.16.1.1", .more = -1, .fate = NOWHERE },
	{ "over IPv6, an inner length that is long", "fd01::2", "172.16.2.9", "172.16.1.1",
	  .patch = { { IN6 + 3, 85 } }, .fate = DROPPED, .why = PODNET_OVERLAY_IN_MALFORMED },
};

static size_t make_frame(uint8_t *frame, const struct frame *f)
{
	const char *from = f->from ? f->from : "10.0.0.2", *to = is_six(from) ? "fd01::1" : "10.0.0.1";
	size_t head = is_six(from) ? 40 : 20, at = OUTER + head + 8, len;

	memset(frame, 1, 256);          /* options: no operation */
	put_mac(frame, 1);
	put_mac(frame + 6, 2);
	put16(frame + 12, is_six(from) ? ETH_P_IPV6 : ETH_P_IP);
	len = f->flags & EMPTY ? 0 : put_datagram(frame + at, f->src, f->dst, 7001, 7000, DATA);
	put_datagram(frame + OUTER, from, to, PORT, PORT, len);
	for (size_t i = 0; i < ARRAY_SIZE(f->patch) && (f->patch[i].at || f->patch[i].value); i++)
		frame[f->patch[i].at] = f->patch[i].value;
	if (f->flags & SUMMED)
		put_udp_sum(frame + OUTER);
	if (f->flags & BAD_SUM)
		frame[UDP4 + 6] ^= 1;
	len += at;
	if (f->flags & OPTIONS) {
		memmove(frame + UDP4 + 4, frame + UDP4, len - UDP4);
		frame[OUTER] = 0x46;
		memset(frame + UDP4, 1, 4);
		frame[OUTER + 3] = (uint8_t)(frame[OUTER + 3] + 4);
		head += 4;
		len += 4;
	}
	if (!is_six(from)) {
		put16(frame + OUTER + 10, 0);
		put16(frame + OUTER + 10, internet_sum(frame + OUTER, head, f->flags & BAD_HEADER ? 1 : 0));
	}
	return (size_t)((int)len + f->more);
}

/* Packets with data of ours that came into the device since the last look. */
static unsigned int came(struct bench *b)
{
	struct sockaddr_ll from;
	uint8_t buf[2048];
	unsigned int n = 0;
	ssize_t got;
	socklen_t len = sizeof(from);

	while ((got = recvfrom(b->device, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >= 0)
		n += from.sll_pkttype != PACKET_OUTGOING;
	return n;
}

static void put_extra(struct bench *b, int number, enum podnet_overlay_framing framing)
{
	put_node(&b->w, b->one, &(struct node){ .number = number }, framing);
}

static void a_frame(void **state)
{
	const struct frame *f = *state;
	struct podnet_overlay_stats s;
	struct bench b;
	uint8_t frame[256];
	size_t len = make_frame(frame, f);
	unsigned int fast, slow;

	bench_open(&b, f->from && is_six(f->from));
	put_extra(&b, 3, PODNET_OVERLAY_RAW);
	put_extra(&b, 4, PODNET_OVERLAY_FASTPATH);
	came(&b);
	assert_int_equal(send(b.wire, frame, len, 0), len);
	settle(&b);
	fast = came(&b);
	turns(b.one);
	slow = came(&b);
	if (f->fate == EITHER ? fast + slow != 1 : fast != (f->fate == FAST) || slow != (f->fate == SLOW))
		fail_msg("%u fast, %u slow; %s", fast, slow, told(b.one->ov));
	podnet_overlay_stats(b.one->ov, &s);
	for (int i = 0; i < PODNET_OVERLAY_OUT_MALFORMED; i++)
		if (s.dropped[i] != (f->fate == DROPPED && (int)f->why == i))
			fail_msg("%s", told(b.one->ov));
	bench_close(&b);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(frames)];
	size_t k = 0;

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		tests[k++] = (struct CMUnitTest){ frames[i].says, a_frame, netns_setup, NULL,
						  (void *)(uintptr_t)&frames[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
