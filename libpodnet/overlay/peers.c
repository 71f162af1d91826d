/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.c - who has an address, and who sends from where
 *
 * Room: overlay; pure.
 *
 * Prefixes lie in one another or beside each other, so all of them together cut the addresses into
 * ranges, each with one owner, the longest prefix over it.  A table is made whole and never changed
 * again: finding an owner is a binary search in one array.
 */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>

static int addr_cmp(struct addr a, struct addr b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return (a.lo > b.lo) - (a.lo < b.lo);
}

static uint64_t read64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

struct addr pn_prefix_addr(const struct podnet_prefix *p)
{
	if (p->family == AF_INET)
		return (struct addr){ 0, get32(p->addr) };
	return (struct addr){ read64(p->addr), read64(p->addr + 8) };
}

/* ---- ranges ---- */

struct span {
	struct addr from, to;       /* the last one */
	uint8_t len;
	uint64_t order;
	void *owner;
};

/* Of the low @bits of a number */
static uint64_t ones(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static struct span span_of(const struct range_source *s)
{
	struct podnet_prefix net = podnet_prefix_mask(s->prefix);
	unsigned int host = (net.family == AF_INET ? 32u : 128u) - net.len;
	struct span span = { .from = pn_prefix_addr(&net), .len = net.len, .order = s->order,
			     .owner = s->owner };

	span.to = span.from;
	span.to.lo |= ones(host);
	if (host > 64)
		span.to.hi |= ones(host - 64);
	return span;
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int cmp = addr_cmp(x->from, y->from);

	if (cmp)
		return cmp;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int emit(struct ranges *r, struct addr from, void *owner)
{
	int rc;

	if (r->n && addr_cmp(r->v[r->n - 1].from, from) == 0) {
		r->v[r->n - 1].owner = owner;
		return 0;
	}
	rc = pn_grow(r);
	if (rc == 0)
		r->v[r->n++] = (struct range){ from, owner };
	return rc;
}

/* The prefixes that are open at a point, one in the other: not more than there are lengths. */
struct nest {
	const struct span *v[130];
	size_t n;
};

/* Close those that end before @until (NULL: all); behind each the one around it goes on. */
static int close_ended(struct ranges *r, struct nest *nest, const struct addr *until)
{
	int rc = 0;

	while (rc == 0 && nest->n && (!until || addr_cmp(nest->v[nest->n - 1]->to, *until) < 0)) {
		struct addr next = nest->v[--nest->n]->to;

		if (++next.lo == 0 && ++next.hi == 0)
			continue;               /* behind the last address is nothing */
		rc = emit(r, next, nest->n ? nest->v[nest->n - 1]->owner : NULL);
	}
	return rc;
}

static int sweep(const struct span *v, size_t n, struct ranges *r)
{
	struct nest nest = { .n = 0 };
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = close_ended(r, &nest, &v[i].from);
		if (nest.n && addr_cmp(nest.v[nest.n - 1]->from, v[i].from) == 0 &&
		    nest.v[nest.n - 1]->len == v[i].len)
			nest.n--;               /* the same prefix again: the later one has it */
		nest.v[nest.n++] = &v[i];
		if (rc == 0)
			rc = emit(r, v[i].from, v[i].owner);
	}
	return rc < 0 ? rc : close_ended(r, &nest, NULL);
}

int pn_ranges_make(struct range_source *v, size_t n, struct ranges ret[2])
{
	_cleanup_free_ struct span *spans = calloc(n ? n : 1, sizeof(*spans));
	int rc = spans ? 0 : -ENOMEM;

	for (int six = 0; six < 2 && rc == 0; six++) {
		size_t k = 0;

		for (size_t i = 0; i < n; i++)
			if ((v[i].prefix->family == AF_INET6) == six)
				spans[k++] = span_of(&v[i]);
		qsort(spans, k, sizeof(*spans), by_start);
		rc = sweep(spans, k, &ret[six]);
	}
	return rc;
}

void pn_ranges_fini(struct ranges r[2])
{
	for (int i = 0; i < 2; i++) {
		free(r[i].v);
		r[i] = (struct ranges){ 0 };
	}
}

void *pn_ranges_find(const struct ranges *r, struct addr a)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (addr_cmp(r->v[mid].from, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? r->v[low - 1].owner : NULL;
}

/* ---- peers ---- */

int pn_socket_address(const struct podnet_prefix *address, uint16_t port, struct sockaddr_storage *ret,
		   socklen_t *len)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;

	*ret = (struct sockaddr_storage){ .ss_family = address->family };
	*len = address->family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	if (address->family == AF_INET) {
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, address->addr, sizeof(v4->sin_addr));
		return 0;
	}
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, address->addr, sizeof(v6->sin6_addr));
	return address->family == AF_INET6 ? 0 : -EAFNOSUPPORT;
}

/* Address and port, without the flow label and scope that the kernel may tell. */
static void source_key(const struct sockaddr_storage *at, uint8_t key[20])
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;

	memset(key, 0, 20);
	put16(key, (uint16_t)at->ss_family);
	if (at->ss_family == AF_INET) {
		memcpy(key + 2, &v4->sin_port, 2);
		memcpy(key + 4, &v4->sin_addr, 4);
	} else {
		memcpy(key + 2, &v6->sin6_port, 2);
		memcpy(key + 4, &v6->sin6_addr, 16);
	}
}

bool pn_peer_at(const struct peer *p, const struct sockaddr_storage *at)
{
	uint8_t a[20], b[20];

	source_key(&p->at, a);
	source_key(at, b);
	return memcmp(a, b, sizeof(a)) == 0;
}

static void counters_unref(struct counters *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

void pn_peer_unref(struct peer *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	counters_unref(p->counters);
	free(p->prefixes);
	free(p);
}

DEFINE_CLEANUP(struct peer, pn_peer_unref)

struct peer *pn_peer_make(const struct podnet_overlay_peer *spec, struct peer *before)
{
	_cleanup_(pn_peer_unrefp) struct peer *p = calloc(1, sizeof(*p));
	size_t size = spec->nprefixes * sizeof(*spec->prefixes);

	if (!p)
		return NULL;
	atomic_store(&p->refs, 1);
	pn_socket_address(&spec->address, spec->port, &p->at, &p->at_len);
	p->framing = spec->framing;
	p->counters = before ? before->counters : calloc(1, sizeof(*p->counters));
	if (!p->counters)
		return NULL;
	atomic_fetch_add(&p->counters->refs, 1);
	p->prefixes = malloc(size ? size : 1);
	if (!p->prefixes)
		return NULL;
	if (size)
		memcpy(p->prefixes, spec->prefixes, size);
	p->nprefixes = spec->nprefixes;
	return take_ptr(p);
}

/* ---- tables ---- */

void pn_table_unref(struct table *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (size_t i = 0; i < t->nslots; i++)
		pn_peer_unref(t->by_source[i]);
	free(t->by_source);
	pn_ranges_fini(t->peers);
	pn_ranges_fini(t->local);
	free(t);
}

DEFINE_CLEANUP(struct table, pn_table_unref)

static struct peer **slot_of(const struct table *t, const struct sockaddr_storage *at)
{
	uint8_t key[20];
	size_t i;

	source_key(at, key);
	i = pn_hash(key, sizeof(key)) & (t->nslots - 1);
	while (t->by_source[i] && !pn_peer_at(t->by_source[i], at))
		i = (i + 1) & (t->nslots - 1);
	return &t->by_source[i];
}

struct peer *pn_table_source(const struct table *t, const struct sockaddr_storage *at)
{
	return *slot_of(t, at);
}

static int add_peers(struct table *t, struct peer *const *peers, size_t npeers)
{
	_cleanup_free_ struct range_source *v = NULL;
	size_t n = 0, k = 0;

	for (size_t i = 0; i < npeers; i++)
		n += peers[i]->nprefixes;
	v = calloc(n ? n : 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < npeers; i++) {
		struct peer *p = peers[i];

		atomic_fetch_add(&p->refs, 1);
		*slot_of(t, &p->at) = p;
		for (size_t j = 0; j < p->nprefixes; j++)
			v[k++] = (struct range_source){ &p->prefixes[j], p, p->order };
	}
	return pn_ranges_make(v, n, t->peers);
}

static int add_local(struct table *t, const struct podnet_prefix *local, size_t nlocal)
{
	_cleanup_free_ struct range_source *v = calloc(nlocal, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < nlocal; i++)
		v[i] = (struct range_source){ &local[i], t, i };
	return pn_ranges_make(v, nlocal, t->local);
}

/* What is behind a peer is not ours; who has all is where all else goes. */
static int add_others(struct table *t, struct peer *const *peers, size_t npeers)
{
	_cleanup_free_ struct range_source *v = NULL;
	size_t n = 0, k = 0;

	t->others = true;
	for (size_t i = 0; i < npeers; i++)
		n += peers[i]->nprefixes;
	v = calloc(n ? n : 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < npeers; i++)
		for (size_t j = 0; j < peers[i]->nprefixes; j++)
			if (peers[i]->prefixes[j].len)
				v[k++] = (struct range_source){ &peers[i]->prefixes[j], peers[i], 0 };
	return pn_ranges_make(v, k, t->local);
}

struct table *pn_table_make(struct peer *const *peers, size_t npeers, const struct podnet_prefix *local,
			 size_t nlocal)
{
	_cleanup_(pn_table_unrefp) struct table *t = calloc(1, sizeof(*t));
	size_t nslots = 8;

	while (nslots < 2 * npeers)
		nslots *= 2;
	if (!t)
		return NULL;
	atomic_store(&t->refs, 1);
	t->by_source = calloc(nslots, sizeof(struct peer *));
	if (!t->by_source)
		return NULL;
	t->nslots = nslots;
	t->npeers = npeers;
	if (add_peers(t, peers, npeers) < 0 ||
	    (nlocal ? add_local(t, local, nlocal) : add_others(t, peers, npeers)) < 0)
		return NULL;
	return take_ptr(t);
}
