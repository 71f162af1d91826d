/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * range.c - sets of addresses as sorted, disjoint ranges
 *
 * Room: pure functions, no kernel.  May include: libpodnet/base, include/podnet/ip.h.
 *
 * The kernel refuses overlapping intervals, and merging is lossy to undo, so prefixes are joined
 * here and only ranges with gaps between them ever reach it.
 */
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>

void nft_ranges_fini(struct nft_ranges *r)
{
	free(r->v);
	*r = (struct nft_ranges){ .size = r->size };
}

int nft_ranges_add(struct nft_ranges *r, const struct podnet_prefix *p)
{
	struct podnet_prefix first = podnet_prefix_mask(p);
	int rc = pn_grow(r);
	struct nft_range *range;

	if (rc < 0)
		return rc;
	range = &r->v[r->n++];
	memcpy(range->from, first.addr, sizeof(range->from));
	memcpy(range->to, first.addr, sizeof(range->to));
	for (unsigned int bit = p->len; bit < r->size * 8u; bit++)
		range->to[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return 0;
}

static int by_start(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct nft_range));
}

/* the address after @addr; false when there is none */
static bool after(const uint8_t addr[16], uint8_t size, uint8_t ret[16])
{
	memcpy(ret, addr, 16);
	for (int i = size - 1; i >= 0; i--) {
		if (++ret[i])
			return true;
	}
	return false;
}

void nft_ranges_normalise(struct nft_ranges *r)
{
	size_t n = 0;

	if (r->n == 0)
		return;
	qsort(r->v, r->n, sizeof(*r->v), by_start);
	for (size_t i = 1; i < r->n; i++) {
		struct nft_range *last = &r->v[n];
		uint8_t next[16];

		if (after(last->to, r->size, next) && memcmp(r->v[i].from, next, r->size) > 0)
			r->v[++n] = r->v[i];
		else if (memcmp(r->v[i].to, last->to, r->size) > 0)
			memcpy(last->to, r->v[i].to, sizeof(last->to));
	}
	r->n = n + 1;
}

int nft_ranges_minus(const struct nft_ranges *a, const struct nft_ranges *b,
		     struct nft_ranges *ret)
{
	size_t j = 0;

	ret->size = a->size;
	for (size_t i = 0; i < a->n; i++) {
		int rc;

		while (j < b->n && by_start(&b->v[j], &a->v[i]) < 0)
			j++;
		if (j < b->n && by_start(&b->v[j], &a->v[i]) == 0)
			continue;
		rc = pn_grow(ret);
		if (rc < 0)
			return rc;
		ret->v[ret->n++] = a->v[i];
	}
	return 0;
}
