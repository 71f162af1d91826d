/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_slots.c - which endpoint of a frontend has which slot
 *
 * Room: pure functions.  May include: services.h, libpodnet/base.
 *
 * An endpoint has as many slots as its weight, over what all weights have in common.  Endpoints
 * that stay keep their slots; one that goes is replaced by the last, so that a change costs two
 * elements and not a table.  Maglev fills a table of a fixed size instead, each endpoint taking the
 * next free slot of its own permutation in turns (Eisenbud et al., NSDI 2016, section 3.4).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>

int svc_dest_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct svc_dest));
}

static int append(struct svc_dests *to, const struct svc_dest *dest, size_t times)
{
	for (size_t i = 0; i < times; i++) {
		if (pn_grow(to) < 0)
			return -ENOMEM;
		to->v[to->n++] = *dest;
	}
	return 0;
}

static unsigned int common(unsigned int a, unsigned int b)
{
	while (b) {
		unsigned int rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static bool counts(const struct podnet_endpoint *e, bool local_only)
{
	return !e->leaving && (local_only ? e->local : !e->outside_only);
}

static unsigned int weight(const struct podnet_endpoint *e)
{
	return e->weight ? e->weight : 1;
}

static struct svc_dest dest_of(const struct podnet_endpoint *e)
{
	struct svc_dest dest = { .port_be = htons(e->port) };

	memcpy(dest.addr, e->ip.addr, sizeof(dest.addr));
	return dest;
}

int svc_leaving_of(const struct podnet_frontend *f, struct svc_dests *ret)
{
	for (size_t i = 0; i < f->nendpoints; i++) {
		struct svc_dest dest = dest_of(&f->endpoints[i]);

		if (f->endpoints[i].leaving && append(ret, &dest, 1) < 0)
			return -ENOMEM;
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), svc_dest_cmp);
	return 0;
}

int svc_dests_of(const struct podnet_frontend *f, bool local_only, struct svc_dests *ret)
{
	bool weighs = !(f->flags & PODNET_FRONTEND_MAGLEV);
	unsigned int unit = 0;

	for (size_t i = 0; i < f->nendpoints; i++)
		if (counts(&f->endpoints[i], local_only))
			unit = common(weight(&f->endpoints[i]), unit);
	for (size_t i = 0; i < f->nendpoints; i++) {
		const struct podnet_endpoint *e = &f->endpoints[i];
		struct svc_dest dest = dest_of(e);

		if (!counts(e, local_only))
			continue;
		if (append(ret, &dest, weighs ? weight(e) / unit : 1) < 0)
			return -ENOMEM;
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), svc_dest_cmp);
	return 0;
}

/* The first unused one of those equal to @dest in the sorted @want. */
static bool take(const struct svc_dests *want, bool *used, const struct svc_dest *dest)
{
	const struct svc_dest *at = want->n ? bsearch(dest, want->v, want->n, sizeof(*dest),
						      svc_dest_cmp) : NULL;
	size_t i;

	if (!at)
		return false;
	for (i = (size_t)(at - want->v); i > 0 && svc_dest_cmp(&want->v[i - 1], dest) == 0; i--)
		;
	for (; i < want->n && svc_dest_cmp(&want->v[i], dest) == 0; i++) {
		if (used[i])
			continue;
		used[i] = true;
		return true;
	}
	return false;
}

/* Fills the holes from those that are new, then from the end. */
static size_t close_holes(struct svc_dest *v, bool *hole, size_t n, const struct svc_dests *want,
			  const bool *used)
{
	size_t fresh = 0;

	for (size_t i = 0; i < n; i++) {
		if (!hole[i])
			continue;
		while (fresh < want->n && used[fresh])
			fresh++;
		if (fresh < want->n) {
			v[i] = want->v[fresh++];
			hole[i] = false;
			continue;
		}
		while (n > i && hole[n - 1])
			n--;
		if (n > i) {
			v[i] = v[--n];
			hole[i] = false;
		}
	}
	for (; fresh < want->n; fresh++)
		if (!used[fresh])
			v[n++] = want->v[fresh];
	return n;
}

static int copy(struct svc_dests *to, const struct svc_dests *from)
{
	if (from->n)
		memcpy(to->v, from->v, from->n * sizeof(*to->v));
	to->n = from->n;
	return 0;
}

int svc_slots(const struct svc_dests *old, const struct svc_dests *want, struct svc_dests *ret)
{
	_cleanup_free_ bool *used = NULL;
	bool *hole;

	ret->cap = old->n + want->n;
	ret->v = calloc(ret->cap + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	if (!old->n)                    /* as all of them are at the first load */
		return copy(ret, want);
	used = calloc(want->n + old->n, sizeof(*used));
	if (!used)
		return -ENOMEM;
	hole = used + want->n;
	for (size_t i = 0; i < old->n; i++) {
		ret->v[i] = old->v[i];
		hole[i] = !take(want, used, &old->v[i]);
	}
	ret->n = close_holes(ret->v, hole, old->n, want, used);
	return 0;
}

int svc_maglev(const struct svc_dests *dests, uint16_t *ret)
{
	_cleanup_free_ uint32_t *next = calloc(dests->n + 1, 2 * sizeof(*next));
	_cleanup_free_ bool *taken = calloc(PODNET_MAGLEV_SLOTS, sizeof(*taken));
	uint32_t *skip = next + dests->n;
	size_t filled = 0;

	if (!next || !taken)
		return -ENOMEM;
	for (size_t i = 0; i < dests->n; i++) {
		uint64_t h = pn_hash(&dests->v[i], sizeof(dests->v[i]));

		next[i] = (uint32_t)(h >> 32) % PODNET_MAGLEV_SLOTS;
		skip[i] = (uint32_t)h % (PODNET_MAGLEV_SLOTS - 1) + 1;
	}
	for (size_t i = 0; dests->n && filled < PODNET_MAGLEV_SLOTS; i = (i + 1) % dests->n) {
		while (taken[next[i]])
			next[i] = (next[i] + skip[i]) % PODNET_MAGLEV_SLOTS;
		taken[next[i]] = true;
		ret[next[i]] = (uint16_t)i;
		filled++;
	}
	return 0;
}
