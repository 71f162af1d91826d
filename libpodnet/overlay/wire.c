/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire.c - IP packets looked at, what stands ahead of them in a datagram, checksums
 *
 * Room: overlay; pure.  Nothing here reads behind the length that it is given.
 */
#include "inner.h"

#include <errno.h>
#include <linux/if_ether.h>

#define IPV4_LEAST  20u
#define IPV6_HEADER 40u
#define TCP_LEAST   20u
#define UDP_HEADER  8u

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

/* Where the payload begins, if the transport is one that we know and its header is whole. */
static void look_at_transport(struct packet *p)
{
	uint32_t left = p->len - p->l4, header = 0;
	const uint8_t *l4 = p->ip + p->l4;

	if (p->protocol == IPPROTO_TCP && left >= TCP_LEAST)
		header = (uint32_t)(l4[12] >> 4) * 4;
	else if (p->protocol == IPPROTO_UDP && left >= UDP_HEADER && get16(l4 + 4) == left)
		header = UDP_HEADER;
	if (header >= UDP_HEADER && header <= left &&
	    (p->protocol == IPPROTO_UDP || header >= TCP_LEAST))
		p->data = (uint16_t)(p->l4 + header);
}

static bool look_at_4(uint8_t *ip, size_t len, struct packet *p)
{
	uint32_t header = (ip[0] & 15u) * 4u;

	if (len < IPV4_LEAST || header < IPV4_LEAST)
		return false;
	p->len = get16(ip + 2);
	if (p->len < header || p->len > len)
		return false;
	p->src = (struct addr){ 0, get32(ip + 12) };
	p->dst = (struct addr){ 0, get32(ip + 16) };
	p->l4 = (uint16_t)header;
	p->protocol = get16(ip + 6) & 0x3fff ? 0 : ip[9];   /* More Fragments, or an offset */
	return true;
}

/* Behind a header that we do not look at there is no transport for us: it is carried all the same. */
static bool look_at_6(uint8_t *ip, size_t len, struct packet *p)
{
	if (len < IPV6_HEADER)
		return false;
	p->len = IPV6_HEADER + get16(ip + 4);
	if (p->len > len)
		return false;
	p->src = (struct addr){ get64(ip + 8), get64(ip + 16) };
	p->dst = (struct addr){ get64(ip + 24), get64(ip + 32) };
	p->l4 = IPV6_HEADER;
	p->protocol = ip[6];
	return true;
}

bool pn_packet_look(uint8_t *ip, size_t len, struct packet *ret)
{
	struct packet p = { .ip = ip };

	if (!len)
		return false;
	p.version = ip[0] >> 4;
	if (p.version == 4 ? !look_at_4(ip, len, &p) : p.version != 6 || !look_at_6(ip, len, &p))
		return false;
	look_at_transport(&p);
	*ret = p;
	return true;
}

/* ---- checksums ---- */

static uint64_t add_carry(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < a);
}

typedef uint64_t lanes __attribute__((vector_size(16)));

static lanes load(const uint8_t *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store(uint8_t *p, lanes v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * The sum of 16-bit words is the same, to its byte order, taken in larger ones (RFC 1071, 2): halves
 * of 32 bits into sums of 64, several side by side, where a packet cannot overflow one.  Only the high
 * halves are added by themselves: the whole words are too, modulo 2^64, and what they have beyond the
 * high halves is the low ones.  With @to they are copied there on the way.
 */
static inline uint64_t sum_blocks(uint64_t sum, uint8_t *to, const uint8_t *p, size_t len)
{
	lanes whole[2] = { { 0 } }, high[2] = { { 0 } };

	for (size_t at = 0; at < len; at += 64) {
		lanes w = load(p + at), x = load(p + at + 16), y = load(p + at + 32), z = load(p + at + 48);

		if (to) {
			store(to + at, w);
			store(to + at + 16, x);
			store(to + at + 32, y);
			store(to + at + 48, z);
		}
		whole[0] += w + x;
		whole[1] += y + z;
		high[0] += (w >> 32) + (x >> 32);
		high[1] += (y >> 32) + (z >> 32);
	}
	whole[0] += whole[1];
	high[0] += high[1];
	whole[0] += high[0] - (high[0] << 32);
	return add_carry(sum, whole[0][0] + whole[0][1]);
}

/* Less than a block: it cannot overflow before all of it is added. */
static uint64_t sum_rest(uint64_t sum, const uint8_t *p, size_t len)
{
	uint64_t rest = 0;
	uint32_t word;
	uint16_t half;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		rest += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		rest += half;
		p += 2;
		len -= 2;
	}
	if (len) {
		uint8_t odd[2] = { *p, 0 };

		memcpy(&half, odd, 2);
		rest += half;
	}
	return add_carry(sum, rest);
}

uint64_t pn_sum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	size_t blocks = len & ~(size_t)63;

	if (blocks)
		sum = sum_blocks(sum, NULL, p, blocks);
	return sum_rest(sum, p + blocks, len - blocks);
}

uint64_t pn_sum_copy(uint64_t sum, uint8_t *to, const uint8_t *p, size_t len)
{
	size_t blocks = len & ~(size_t)63;

	if (blocks)
		sum = sum_blocks(sum, to, p, blocks);
	memcpy(to + blocks, p + blocks, len - blocks);
	return sum_rest(sum, p + blocks, len - blocks);
}

uint16_t pn_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint64_t pn_sum_pseudo(const struct packet *p, uint8_t protocol, uint32_t len)
{
	uint32_t at = p->version == 4 ? 12 : 8, size = p->version == 4 ? 8 : 32;
	uint8_t rest[8] = { 0 };

	put32(rest, len);
	rest[7] = protocol;
	return pn_sum_add(pn_sum_add(0, p->ip + at, size), rest, sizeof(rest));
}

void pn_ip_finish(uint8_t *ip, uint8_t version, uint16_t header, uint32_t len)
{
	uint16_t sum;

	if (version == 6) {
		put16(ip + 4, (uint16_t)(len - IPV6_HEADER));
		return;
	}
	put16(ip + 2, (uint16_t)len);
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~pn_sum_fold(pn_sum_add(0, ip, header));
	memcpy(ip + 10, &sum, 2);
}

/* ---- framing ---- */

size_t pn_framing_put(enum podnet_overlay_framing framing, uint8_t version, uint8_t pi[PI_SIZE])
{
	if (framing != PODNET_OVERLAY_PI)
		return 0;
	memset(pi, 0, 2);
	put16(pi + 2, version == 4 ? ETH_P_IP : ETH_P_IPV6);
	return PI_SIZE;
}

/* The flags say only that the sender's device cut the packet short (TUN_PKT_STRIP): not whole then. */
int pn_framing_take(enum podnet_overlay_framing framing, const uint8_t *data, size_t len)
{
	uint16_t type;

	if (framing != PODNET_OVERLAY_PI)
		return 0;
	if (len <= PI_SIZE || get16(data) != 0)
		return -EPROTO;
	type = get16(data + 2);
	if (type != (data[PI_SIZE] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6))
		return -EPROTO;
	return (int)PI_SIZE;
}
