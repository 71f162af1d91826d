/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipam_set.c - the bits of a block, and the heap of what cools down
 *
 * Room (model): pure book-keeping.  May include: netd/base, include/podnet/ip.h, libc.
 */
#include <errno.h>
#include <netd/model/ipam_set.h>
#include <netinet/in.h>

bool ipam_same(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return a->family == b->family && a->len == b->len &&
	       memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static unsigned width(const struct podnet_prefix *p)
{
	return p->family == AF_INET ? 32 : 128;
}

/* host part of @ip in @block; UINT64_MAX where it does not fit 32 bits */
static uint64_t offset_in(const struct podnet_prefix *block, const struct podnet_prefix *ip)
{
	unsigned bytes = width(block) / 8;
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++) {
		unsigned keep = block->len > 8 * i ? block->len - 8 * i : 0;
		uint8_t host = keep >= 8 ? 0 : ip->addr[i] & (uint8_t)(0xff >> keep);

		if (v >> 32)
			return UINT64_MAX;
		v = v << 8 | host;
	}
	return v >> 32 ? UINT64_MAX : v;
}

struct podnet_prefix ipam_block_address(const struct ipam_block *b, uint32_t slot)
{
	struct podnet_prefix ip = b->prefix;
	unsigned last = width(&ip) / 8 - 1;

	for (unsigned i = 0; slot; i++, slot >>= 8)
		ip.addr[last - i] |= (uint8_t)slot;
	ip.len = (uint8_t)width(&ip);
	return ip;
}

bool ipam_block_reserved(const struct podnet_prefix *block, const struct podnet_prefix *ip)
{
	unsigned bits = width(block) - block->len;
	uint64_t at = offset_in(block, ip);

	if (at <= 1)
		return true;
	return block->family == AF_INET && at == (bits >= 32 ? UINT32_MAX : (1ULL << bits) - 1);
}

int ipam_block_init(struct ipam_block *b, const struct podnet_prefix *prefix)
{
	unsigned bits = width(prefix) - prefix->len;
	uint32_t slots = bits >= 16 ? IPAM_WINDOW : (uint32_t)1 << bits;
	uint64_t *words = calloc((slots + 63) / 64, sizeof(*words));

	if (!words)
		return -ENOMEM;
	*b = (struct ipam_block){ .prefix = *prefix, .bits = words, .slots = slots,
				  .nfree = slots };
	for (uint32_t i = slots; i < 64; i++)
		words[0] |= 1ULL << i;          /* behind the end of a tiny block */
	ipam_block_mark(b, 0, true);
	if (slots > 1)
		ipam_block_mark(b, 1, true);
	if (prefix->family == AF_INET && bits < 17 && !ipam_block_test(b, slots - 1))
		ipam_block_mark(b, slots - 1, true);
	return 0;
}

void ipam_block_fini(struct ipam_block *b)
{
	free(b->bits);
	b->bits = NULL;
}

int64_t ipam_block_slot(const struct ipam_block *b, const struct podnet_prefix *ip)
{
	uint64_t at;

	if (!podnet_prefix_contains(&b->prefix, ip))
		return -1;
	at = offset_in(&b->prefix, ip);
	return at < b->slots ? (int64_t)at : -1;
}

bool ipam_block_test(const struct ipam_block *b, uint32_t slot)
{
	return b->bits[slot / 64] >> (slot % 64) & 1;
}

void ipam_block_mark(struct ipam_block *b, uint32_t slot, bool taken)
{
	if (ipam_block_test(b, slot) == taken)
		return;
	b->bits[slot / 64] ^= 1ULL << (slot % 64);
	b->nfree += taken ? (uint32_t)-1 : 1;
}

/* first free slot in [from, slots), or -1 */
static int64_t scan(const struct ipam_block *b, uint32_t from)
{
	uint64_t skip = (1ULL << (from % 64)) - 1;

	for (uint32_t w = from / 64; w < (b->slots + 63) / 64; w++, skip = 0) {
		uint64_t open = ~(b->bits[w] | skip);

		if (open)
			return (int64_t)w * 64 + __builtin_ctzll(open);
	}
	return -1;
}

int64_t ipam_block_peek(const struct ipam_block *b, uint32_t *cursor)
{
	int64_t slot;

	if (!b->nfree)
		return -1;
	slot = scan(b, *cursor);
	if (slot < 0)
		slot = scan(b, 0);
	if (slot >= 0)
		*cursor = (uint32_t)(slot + 1) % b->slots;
	return slot;
}

int64_t ipam_block_next(struct ipam_block *b)
{
	return ipam_block_peek(b, &b->cursor);
}

int ipam_cooling_reserve(struct ipam_cooling *c)
{
	size_t cap = c->cap ? 2 * c->cap : 16;
	struct ipam_cool *v;

	if (c->n < c->cap)
		return 0;
	v = realloc(c->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	c->v = v;
	c->cap = cap;
	return 0;
}

static void swap(struct ipam_cool *a, struct ipam_cool *b)
{
	struct ipam_cool t = *a;

	*a = *b;
	*b = t;
}

static void sift_up(struct ipam_cooling *c, size_t i)
{
	for (; i && c->v[i].free_after < c->v[(i - 1) / 2].free_after; i = (i - 1) / 2)
		swap(&c->v[i], &c->v[(i - 1) / 2]);
}

static void sift_down(struct ipam_cooling *c, size_t i)
{
	for (;;) {
		size_t least = 2 * i + 1;

		if (least >= c->n)
			return;
		if (least + 1 < c->n && c->v[least + 1].free_after < c->v[least].free_after)
			least++;
		if (c->v[i].free_after <= c->v[least].free_after)
			return;
		swap(&c->v[i], &c->v[least]);
		i = least;
	}
}

void ipam_cooling_add(struct ipam_cooling *c, const struct podnet_prefix *ip, int64_t free_after)
{
	c->v[c->n] = (struct ipam_cool){ free_after, *ip };
	sift_up(c, c->n++);
}

static void remove_at(struct ipam_cooling *c, size_t i)
{
	c->v[i] = c->v[--c->n];
	if (i >= c->n)
		return;
	sift_up(c, i);
	sift_down(c, i);
}

bool ipam_cooling_remove(struct ipam_cooling *c, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!ipam_same(&c->v[i].ip, ip))
			continue;
		remove_at(c, i);
		return true;
	}
	return false;
}

int64_t ipam_cooling_until(const struct ipam_cooling *c, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < c->n; i++)
		if (ipam_same(&c->v[i].ip, ip))
			return c->v[i].free_after;
	return 0;
}

bool ipam_cooling_pop(struct ipam_cooling *c, int64_t now, struct podnet_prefix *ip)
{
	if (!c->n || c->v[0].free_after > now)
		return false;
	*ip = c->v[0].ip;
	remove_at(c, 0);
	return true;
}

void ipam_cooling_fini(struct ipam_cooling *c)
{
	free(c->v);
}
