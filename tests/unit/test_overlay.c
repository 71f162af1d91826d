/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_overlay.c - packets looked at, owners found, pieces cut and joined; no kernel
 *
 * Room: unit tests of libpodnet/overlay.  Checksums are compared with a reference that adds 16-bit
 * words, and owners with one that looks at every prefix.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <libpodnet/overlay/inner.h>
#include <stdio.h>

static uint32_t seed = 1;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* RFC 1071, the plain way; big endian words */
static uint16_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void sums(void **state)
{
	uint8_t v[4096], copy[4098];

	(void)state;
	for (size_t i = 0; i < sizeof(v); i++)
		v[i] = (uint8_t)random_below(256);
	memset(v + 100, 0xff, 300);
	for (int i = 0; i < 2000; i++) {
		size_t at = random_below(64), len = random_below(i < 1000 ? 200 : 4000);
		uint64_t half = pn_sum_add(0, v + at, len & ~(size_t)1);
		uint16_t got = pn_sum_fold(pn_sum_add(half, v + at + (len & ~(size_t)1), len & 1));

		assert_int_equal(ntohs(got), plain_sum(0, v + at, len));
		assert_int_equal(pn_sum_fold(pn_sum_add(0, v + at, len)), got);
		memset(copy, 0, sizeof(copy));
		assert_int_equal(pn_sum_fold(pn_sum_copy(0, copy + 1, v + at, len)), got);
		assert_memory_equal(copy + 1, v + at, len);
		assert_true(copy[0] == 0 && copy[1 + len] == 0);        /* and nothing else */
	}
}

/* ---- packets ---- */

#define V4 "\x45\x00\x00\x1c\x00\x01\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02"
#define UDP8 "\x00\x01\x00\x02\x00\x08\x00\x00"
#define V6(len, next) "\x60\x00\x00\x00\x00" len next "\x40" \
	"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

static const struct look {
	const char *says, *bytes;
	size_t len;
	bool ok;
	uint32_t l4, data, whole;
} looks[] = {
	{ "UDP over IPv4", V4 UDP8, 28, true, 20, 28, 28 },
	{ "with something behind it", V4 UDP8 "xxxx", 32, true, 20, 28, 28 },
	{ "one byte short", V4 UDP8, 27, false, 0, 0, 0 },
	{ "no bytes", "", 0, false, 0, 0, 0 },
	{ "half a header", V4, 19, false, 0, 0, 0 },
	{ "version 5", "\x55" V4, 21, false, 0, 0, 0 },
	{ "a header of 16 bytes", "\x44\0\0\x1c" V4 UDP8, 32, false, 0, 0, 0 },
	{ "a header longer than the packet", "\x4f\0\0\x1c" V4 UDP8, 32, false, 0, 0, 0 },
	{ "a length less than the header", "\x45\0\0\x13" V4, 24, false, 0, 0, 0 },
	{ "a fragment", "\x45\0\0\x1c\0\1\x20\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2" UDP8, 28, true, 20, 0, 28 },
	{ "a UDP length that is not its", V4 "\0\1\0\2\0\x09\0\0", 28, true, 20, 0, 28 },
	{ "half of a TCP header", "\x45\0\0\x1c\0\1\x40\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2" UDP8, 28, true,
	  20, 0, 28 },
	{ "UDP over IPv6", V6("\x08", "\x11") UDP8, 48, true, 40, 48, 48 },
	{ "IPv6, one byte short", V6("\x08", "\x11") UDP8, 47, false, 0, 0, 0 },
	{ "IPv6 alone", V6("\x00", "\x3b"), 40, true, 40, 0, 40 },
	{ "IPv6, half a header", V6("\x00", "\x3b"), 39, false, 0, 0, 0 },
};

static void look_at(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		const struct look *c = &looks[i];
		_cleanup_free_ uint8_t *exact = malloc(c->len ? c->len : 1);    /* a sanitizer sees its end */
		struct packet p = { 0 };

		assert_non_null(exact);
		memcpy(exact, c->bytes, c->len);
		if (pn_packet_look(exact, c->len, &p) != c->ok)
			fail_msg("%s", c->says);
		if (c->ok && (p.l4 != c->l4 || p.data != c->data || p.len != c->whole))
			fail_msg("%s: %u %u %u", c->says, p.l4, p.data, p.len);
	}
}

static void framings(void **state)
{
	static const struct { const char *says, *bytes; size_t len; enum podnet_overlay_framing f; int want; }
	rows[] = {
		{ "bare", "\x45", 1, PODNET_OVERLAY_RAW, 0 },
		{ "nothing", "", 0, PODNET_OVERLAY_RAW, 0 },
		{ "IPv4", "\0\0\x08\0\x45", 5, PODNET_OVERLAY_PI, 4 },
		{ "IPv6", "\0\0\x86\xdd\x60", 5, PODNET_OVERLAY_PI, 4 },
		{ "IPv6 said of IPv4", "\0\0\x86\xdd\x45", 5, PODNET_OVERLAY_PI, -EPROTO },
		{ "flags", "\0\1\x08\0\x45", 5, PODNET_OVERLAY_PI, -EPROTO },
		{ "nothing behind it", "\0\0\x08\0", 4, PODNET_OVERLAY_PI, -EPROTO },
		{ "too short", "\0\0", 2, PODNET_OVERLAY_PI, -EPROTO },
		{ "ARP", "\0\0\x08\x06\x45", 5, PODNET_OVERLAY_PI, -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (pn_framing_take(rows[i].f, (const uint8_t *)rows[i].bytes, rows[i].len) != rows[i].want)
			fail_msg("%s", rows[i].says);
}

/* ---- owners ---- */

static const struct podnet_prefix *naive(const struct podnet_prefix *v, size_t n,
					 const struct podnet_prefix *a)
{
	const struct podnet_prefix *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (v[i].family == a->family && podnet_prefix_contains(&v[i], a) &&
		    (!best || v[i].len >= best->len))
			best = &v[i];
	return best;
}

/* In few bits, so that prefixes lie in one another; the ends of the whole among them. */
static struct podnet_prefix some_prefix(bool host)
{
	static const uint8_t bytes[] = { 0, 1, 0x0a, 0x7f, 0x80, 0xff };
	struct podnet_prefix p = { .family = random_below(2) ? AF_INET : AF_INET6 };
	unsigned int size = p.family == AF_INET ? 4 : 16;

	for (unsigned int i = 0; i < size; i++)
		p.addr[i] = i % 4 < 2 ? bytes[random_below(ARRAY_SIZE(bytes))] : random_below(2) ? 0xff : 0;
	p.len = (uint8_t)(host ? 8 * size : random_below(8 * size + 1));
	return podnet_prefix_mask(&p);
}

static void owners(void **state)
{
	struct podnet_prefix v[64];
	struct range_source s[64];

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct ranges r[2] = { { 0 }, { 0 } };
		size_t n = random_below(ARRAY_SIZE(v) + 1);

		for (size_t i = 0; i < n; i++) {
			v[i] = some_prefix(random_below(8) == 0);
			s[i] = (struct range_source){ &v[i], &v[i], i };
		}
		assert_int_equal(pn_ranges_make(s, n, r), 0);
		for (int i = 0; i < 200; i++) {
			struct podnet_prefix a = some_prefix(true);

			assert_ptr_equal(pn_ranges_find(&r[a.family == AF_INET6], pn_prefix_addr(&a)),
					 naive(v, n, &a));
		}
		pn_ranges_fini(r);
	}
}

static void sources(void **state)
{
	struct peer *peers[100];
	struct table *t;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(peers); i++) {
		struct podnet_prefix net = prefix("10.1.0.0/16");
		struct podnet_overlay_peer spec = { .address = prefix(i % 2 ? "fd00::1" : "192.0.2.1"),
						    .port = (uint16_t)(9000 + i / 2), .prefixes = &net,
						    .nprefixes = 1 };

		spec.address.addr[3] = (uint8_t)i;
		peers[i] = pn_peer_make(&spec, NULL);
		assert_non_null(peers[i]);
		peers[i]->order = i;
	}
	t = pn_table_make(peers, ARRAY_SIZE(peers), NULL, 0);
	assert_non_null(t);
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		struct sockaddr_storage at = peers[i]->at;
		struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&at;

		assert_ptr_equal(pn_table_source(t, &at), peers[i]);
		v4->sin_port = (uint16_t)(v4->sin_port ^ 0xff00);
		assert_null(pn_table_source(t, &at));
	}
	/* of all that have it the last one does */
	assert_ptr_equal(pn_table_owner(t, 4, (struct addr){ 0, 0x0a010203 }), peers[99]);
	assert_null(pn_table_owner(t, 4, (struct addr){ 0, 0x0a020203 }));
	assert_null(pn_table_owner(t, 6, (struct addr){ 0, 0x0a010203 }));
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
		pn_peer_unref(peers[i]);
	pn_table_unref(t);
}

/* ---- cut and joined ---- */

struct flow {
	const char *says;
	bool six, tcp, pi, may_cut; /* may_cut: without Don't Fragment */
	uint32_t payload;
	uint16_t size;
	uint32_t options;           /* bytes of TCP's */
	uint8_t flags;              /* of TCP */
};

static const struct flow flows[] = {
	{ "TCP, IPv4", false, true, false, false, 14000, 1400, 12, 0x18 },
	{ "TCP, IPv4, a rest", false, true, false, false, 14001, 1400, 12, 0x10 },
	{ "TCP, IPv4, framed", false, true, true, false, 60000, 1428, 0, 0x18 },
	{ "TCP, IPv4, without Don't Fragment", false, true, false, true, 5000, 1000, 0, 0x10 },
	{ "TCP, IPv6", true, true, false, false, 60001, 1388, 12, 0x18 },
	{ "TCP, IPv6, framed, odd parts", true, true, true, false, 9999, 333, 40, 0x10 },
	{ "TCP, one part", false, true, false, false, 77, 1400, 0, 0x18 },
	{ "UDP, IPv4", false, false, false, false, 6400, 100, 0, 0 },
	{ "UDP, IPv4, one byte a datagram", false, false, false, false, 60, 1, 0, 0 },
	{ "UDP, IPv6, framed, a rest", true, false, true, false, 6401, 200, 0, 0 },
};

#define PAYLOAD_SEQ 0xfffff000u     /* wraps on the way */

static uint32_t make_packet(const struct flow *f, uint8_t *ip, struct virtio_net_hdr *vnet)
{
	uint32_t l4 = f->six ? 40 : 20, header = f->tcp ? 20 + f->options : 8;
	uint32_t len = l4 + header + f->payload, at = f->tcp ? 16 : 6;
	struct packet p;
	uint16_t sum;

	memset(ip, 0, l4 + header);
	ip[0] = f->six ? 0x60 : 0x45;
	if (f->six) {
		ip[6] = f->tcp ? IPPROTO_TCP : IPPROTO_UDP;
		ip[7] = 63;
		ip[23] = 1, ip[39] = 2;
	} else {
		put16(ip + 4, 0xfffe);
		put16(ip + 6, f->may_cut ? 0 : 0x4000);
		ip[8] = 63, ip[9] = f->tcp ? IPPROTO_TCP : IPPROTO_UDP;
		ip[15] = 1, ip[19] = 2;
	}
	pn_ip_finish(ip, f->six ? 6 : 4, (uint16_t)l4, len);
	put16(ip + l4, 1234), put16(ip + l4 + 2, 80);
	if (f->tcp) {
		put32(ip + l4 + 4, PAYLOAD_SEQ), put32(ip + l4 + 8, 77);
		ip[l4 + 12] = (uint8_t)(header / 4 << 4), ip[l4 + 13] = f->flags;
		memset(ip + l4 + 20, 1, f->options);
	} else {
		put16(ip + l4 + 4, (uint16_t)(8 + f->payload));
	}
	for (uint32_t i = 0; i < f->payload; i++)
		ip[l4 + header + i] = (uint8_t)random_below(256);
	assert_true(pn_packet_look(ip, len, &p));
	assert_int_equal(p.data, l4 + header);
	sum = pn_sum_fold(pn_sum_pseudo(&p, p.protocol, len - l4));
	memcpy(ip + l4 + at, &sum, 2);
	*vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .hdr_len = p.data, .gso_size = f->size,
		.gso_type = !f->tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			f->six ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.csum_start = (uint16_t)l4, .csum_offset = (uint16_t)at,
	};
	return len;
}

/* One packet as it is on the wire, by the plain sums. */
static void check_packet(const struct flow *f, const uint8_t *ip, uint32_t len)
{
	uint32_t l4 = f->six ? 40 : 20;
	uint32_t pseudo = (f->tcp ? IPPROTO_TCP : IPPROTO_UDP) + len - l4;
	uint16_t addresses = plain_sum(0, ip + (f->six ? 8 : 12), f->six ? 32 : 8);

	if (!f->six) {
		assert_int_equal(plain_sum(0, ip, 20), 0xffff);
		assert_int_equal(get16(ip + 2), len);
	} else {
		assert_int_equal(get16(ip + 4), len - 40);
	}
	assert_int_equal(plain_sum(pseudo + addresses, ip + l4, len - l4), 0xffff);
}

struct wire {
	uint8_t *bytes;             /* of all datagrams, each behind HEAD_ROOM bytes */
	size_t used, n;
	struct { size_t at, len; } v[2048];
};

struct sender {
	struct out *out;
	struct wire *wire;
};

static void to_wire(void *arg)
{
	struct sender *s = arg;
	struct wire *w = s->wire;

	for (size_t i = 0; i < s->out->n; i++) {
		const struct datagram *d = &s->out->v[i];

		w->used += HEAD_ROOM;
		w->v[w->n].at = w->used;
		w->v[w->n++].len = d->len;
		memcpy(w->bytes + w->used, d->at, d->len);
		w->used += d->len;
		/* those that were cut lie one behind the other */
		assert_true(i == 0 || d->at == d[-1].at + d[-1].len);
	}
	s->out->n = s->out->ncut = 0;
}

static void check_wire(const struct flow *f, const struct wire *w, const uint8_t *payload)
{
	uint32_t at = 0, head = (f->six ? 40u : 20u) + (f->tcp ? 20 + f->options : 8);
	uint32_t ahead = f->pi ? 4 : 0;

	assert_int_equal(w->n, (f->payload + f->size - 1) / f->size);
	for (size_t i = 0; i < w->n; i++) {
		const uint8_t *d = w->bytes + w->v[i].at, *ip = d + ahead;
		uint32_t len = (uint32_t)w->v[i].len - ahead, l4 = f->six ? 40 : 20;

		if (f->pi)
			assert_int_equal(get32(d), f->six ? 0x86dd : 0x0800);
		check_packet(f, ip, len);
		if (!f->six)
			assert_int_equal(get16(ip + 4), (uint16_t)(0xfffe + i));
		if (f->tcp) {
			assert_int_equal(get32(ip + l4 + 4), PAYLOAD_SEQ + at);
			assert_int_equal(ip[l4 + 13], i + 1 < w->n ? f->flags & ~0x08 : f->flags);
		}
		assert_memory_equal(ip + head, payload + at, len - head);
		at += len - head;
	}
	assert_int_equal(at, f->payload);
}

struct device {
	uint8_t *bytes;
	size_t len, pieces;
	struct virtio_net_hdr vnet;
	int says;
};

static int to_device(void *arg, const struct iovec *iov, size_t niov)
{
	struct device *d = arg;

	memcpy(&d->vnet, iov[0].iov_base, sizeof(d->vnet));
	d->len = 0;
	for (size_t i = 1; i < niov; i++) {
		memcpy(d->bytes + d->len, iov[i].iov_base, iov[i].iov_len);
		d->len += iov[i].iov_len;
	}
	d->pieces++;
	return d->says;
}

static struct peer *some_peer(const struct flow *f)
{
	struct podnet_overlay_peer spec = { .address = prefix("192.0.2.1"), .port = 9000,
					    .framing = f->pi ? PODNET_OVERLAY_PI : PODNET_OVERLAY_RAW };

	return pn_peer_make(&spec, NULL);
}

static void cut_and_join(void **state)
{
	const struct flow *f = *state;
	_cleanup_free_ struct out *out = calloc(1, sizeof(*out));
	_cleanup_free_ struct wire *w = calloc(1, sizeof(*w));
	_cleanup_free_ uint8_t *all = malloc(6 * 65536);
	uint8_t *packet = all + HEAD_ROOM, *copy = all + 65536 + 64, *joined = all + 2 * 65536 + 128;
	struct sender s = { out, w };
	struct device dev = { .bytes = joined };
	struct merge m = { .room = all + 5 * 65536, .tcp = true, .udp = true, .write = to_device, .arg = &dev };
	struct peer *peer = some_peer(f);
	struct virtio_net_hdr vnet;
	struct packet p;
	uint32_t len;

	assert_true(out && w && all && peer);
	w->bytes = all + 3 * 65536;
	len = make_packet(f, packet, &vnet);
	memcpy(copy, packet, len);
	assert_true(pn_packet_look(packet, len, &p));
	assert_int_equal(pn_segment(out, &vnet, &p, peer, to_wire, &s), (f->payload + f->size - 1) / f->size);
	to_wire(&s);
	check_wire(f, w, packet + p.data);
	for (size_t i = 0; i < w->n; i++) {
		int skip = pn_framing_take(peer->framing, w->bytes + w->v[i].at, w->v[i].len);

		assert_int_equal(skip, f->pi ? 4 : 0);
		assert_true(pn_packet_look(w->bytes + w->v[i].at + skip, w->v[i].len - (size_t)skip, &p));
		pn_merge_add(&m, &p);
	}
	pn_merge_flush(&m);
	assert_int_equal(dev.pieces, 1);
	assert_int_equal(dev.len, len);
	if (w->n > 1) {
		assert_memory_equal(dev.bytes, copy, len);
		assert_memory_equal(&dev.vnet, &vnet, sizeof(vnet));
	} else {
		assert_int_equal(dev.vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		check_packet(f, dev.bytes, len);
	}
	pn_peer_unref(peer);
}

/* What must not be joined: two packets that would be, but for one change to the second. */
static const struct change {
	const char *says;
	uint32_t at;                /* of the second packet of TCP over IPv4; 0: none */
	uint8_t value;
	bool finish;                /* its checksums are right again */
	size_t pieces;
} changes[] = {
	{ "no change", 0, 0, true, 1 },
	{ "a wrong checksum", 60, 0x5a, false, 2 },
	{ "another source", 15, 9, true, 2 },
	{ "another time to live", 8, 9, true, 2 },
	{ "another type of service", 1, 3, true, 2 },
	{ "without Don't Fragment, and not counted on", 6, 0, true, 2 },
	{ "another port", 21, 9, true, 2 },
	{ "a gap", 27, 9, true, 2 },
	{ "another acknowledgement", 31, 9, true, 2 },
	{ "FIN", 33, 0x11, true, 2 },
	{ "URG", 33, 0x30, true, 2 },
	{ "no ACK", 33, 0x00, true, 2 },
	{ "another window", 35, 9, true, 2 },
	{ "another option", 43, 9, true, 2 },
	{ "PSH, which ends a piece", 33, 0x18, true, 1 },
};

static void finish(uint8_t *ip, uint32_t len)
{
	struct packet p;
	uint16_t sum;

	pn_ip_finish(ip, 4, 20, len);
	assert_true(pn_packet_look(ip, len, &p));
	memset(ip + 36, 0, 2);
	sum = (uint16_t)~pn_sum_fold(pn_sum_add(pn_sum_pseudo(&p, IPPROTO_TCP, len - 20), ip + 20, len - 20));
	memcpy(ip + 36, &sum, 2);
}

static void join_or_not(void **state)
{
	static const struct flow f = { "", false, true, false, false, 1000, 1000, 12, 0x10 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];
		uint8_t a[1200], b[1200], got[4096], joined[4096];
		struct device dev = { .bytes = got };
		struct merge m = { .room = joined, .tcp = true, .udp = true, .write = to_device, .arg = &dev };
		struct virtio_net_hdr vnet;
		uint32_t len = make_packet(&f, a, &vnet);
		struct packet p;

		memcpy(b, a, len);
		put32(b + 24, PAYLOAD_SEQ + 1000);
		finish(a, len);
		finish(b, len);
		if (c->at)
			b[c->at] = c->value;
		if (c->finish)
			finish(b, len);
		assert_true(pn_packet_look(a, len, &p));
		pn_merge_add(&m, &p);
		assert_true(pn_packet_look(b, len, &p));
		pn_merge_add(&m, &p);
		pn_merge_flush(&m);
		if (dev.pieces != c->pieces)
			fail_msg("%s: %zu pieces", c->says, dev.pieces);
	}
}

/* What a device would have to be broken to say. */
static void broken_device(void **state)
{
	static const struct flow f = { "", false, true, false, false, 2000, 1000, 12, 0x10 };
	_cleanup_free_ struct out *out = calloc(1, sizeof(*out));
	struct peer *peer = some_peer(&f);
	struct virtio_net_hdr good, v[8];
	uint8_t room[2200];
	struct packet p;
	uint32_t len = make_packet(&f, room + HEAD_ROOM, &good);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = good;
	v[0].gso_size = 0;
	v[1].gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	v[2].gso_type = VIRTIO_NET_HDR_GSO_UDP;
	v[3].csum_start = 0xffff;
	v[4].flags = 0;
	v[5].gso_type = VIRTIO_NET_HDR_GSO_NONE, v[5].csum_offset = 0xffff;
	v[6].csum_start = (uint16_t)(len - 19);
	v[7].gso_type = VIRTIO_NET_HDR_GSO_NONE, v[7].csum_start = 0, v[7].csum_offset = 0;
	assert_true(out && peer && pn_packet_look(room + HEAD_ROOM, len, &p));
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		assert_int_equal(pn_segment(out, &v[i], &p, peer, to_wire, NULL), -EINVAL);
	assert_int_equal(out->n, 0);
	pn_peer_unref(peer);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(sums), cmocka_unit_test(look_at), cmocka_unit_test(framings),
		cmocka_unit_test(owners), cmocka_unit_test(sources), cmocka_unit_test(join_or_not),
		cmocka_unit_test(broken_device),
	};
	struct CMUnitTest tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(flows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
		tests[ARRAY_SIZE(fixed) + i] = (struct CMUnitTest){ flows[i].says, cut_and_join, NULL, NULL,
								    (void *)(uintptr_t)&flows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
