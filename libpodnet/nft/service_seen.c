/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_seen.c - the kernel read, and what is wanted beside it
 *
 * Room: reading, and slots as they are.  May include: services.h, libpodnet/base.
 *
 * Which endpoint has which slot is read back, so that a start where nothing has changed changes
 * nothing.  The kernel goes through a map from its begin for each 32 KiB that it tells
 * (nft_hash_walk()): up to some 50,000 elements that is little, of 250,000 it is half of a start.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>

void svc_seen_fini(struct svc_seen *seen)
{
	free(seen->elems.v);
	free(seen->chains.v);
	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int i = 0; i < SVC_RANGES; i++)
			nft_ranges_fini(&seen->ranges[f][i].ranges);
}

/* ---- reading ---- */

/* As put_end() of service_send.c puts it. */
static void keep_range(struct svc_elem *e, const struct nft_elem *elem)
{
	size_t addr = e->family == SVC_V4 ? 4 : 16;

	memcpy(e->u.data, elem->data, addr);
	memcpy(e->u.data + 16, elem->end + addr + 4, 2);
}

static int on_elem(void *arg, const struct nft_elem *elem)
{
	struct svc_seen *seen = arg;
	struct svc_elem e = { .map = seen->map, .family = seen->family };

	memcpy(e.key, elem->key, sizeof(e.key));
	if (e.map == SVC_ALLOWED || e.map == SVC_PUBLISHED_RANGES)
		memcpy(e.u.data, elem->end, sizeof(e.u.data));
	else if (e.map == SVC_PORT_RANGES)
		keep_range(&e, elem);
	else if (!svc_is_verdict(e.map))
		memcpy(e.u.data, elem->data, sizeof(e.u.data));
	else if (elem->chain)
		e.u.to.chain = pn_hash(elem->chain, strlen(elem->chain));
	svc_add(&seen->elems, &e);
	return seen->elems.rc;
}

static void forget_elems(void *arg)
{
	struct svc_seen *seen = arg;

	seen->elems.n = seen->start;
}

static int on_chain(void *arg, const char *name)
{
	struct svc_seen *seen = arg;

	if (strlen(name) >= NFT_NAME_SIZE)
		return 0;           /* none of ours */
	if (pn_grow(&seen->chains) < 0)
		return -ENOMEM;
	memcpy(seen->chains.v[seen->chains.n++], name, strlen(name) + 1);
	return 0;
}

static void forget_chains(void *arg)
{
	((struct svc_seen *)arg)->chains.n = 0;
}

static int see_map(struct podnet_services *s, struct svc_seen *seen, struct podnet_error *err)
{
	struct nft_map_seen *m = &seen->maps[seen->family][seen->map];
	char name[NFT_NAME_SIZE];
	struct nft_map map;
	int r;

	svc_map(s->table, seen->family, seen->map, name, &map);
	r = nft_map_see(&s->ctx->nft, &map, m, err);
	seen->start = seen->elems.n;
	if (r == 0 && m->there && !m->wrong && !seen->same)
		r = nft_map_elements(&s->ctx->nft, &map, on_elem, forget_elems, seen, err);
	seen->anew |= m->wrong;
	return r;
}

static int see_ranges(struct podnet_services *s, struct svc_seen *seen, struct podnet_error *err)
{
	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t i = 0; i < SVC_RANGES; i++) {
			char name[NFT_NAME_SIZE];
			struct nft_set set;
			int r;

			svc_range(s->table, f, i, name, &set);
			r = nft_set_see(&s->ctx->nft, &set, &seen->ranges[f][i], err);
			if (r < 0)
				return r;
			seen->anew |= seen->ranges[f][i].wrong;
		}
	return 0;
}

int svc_see(struct podnet_services *s, struct svc_seen *seen, struct podnet_error *err)
{
	int r = nft_table_seen(&s->ctx->nft, s->table, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	seen->table = true;
	seen->awake = r;
	for (seen->family = 0; seen->family < SVC_FAMILIES; seen->family++)
		for (seen->map = 0; seen->map < SVC_MAPS; seen->map++) {
			r = see_map(s, seen, err);
			if (r < 0)
				return r;
		}
	if (seen->elems.n)
		qsort(seen->elems.v, seen->elems.n, sizeof(*seen->elems.v), svc_elem_cmp);
	r = see_ranges(s, seen, err);
	return r < 0 ? r : nft_chain_names(&s->ctx->nft, s->table, on_chain, forget_chains, seen,
					   err);
}

bool svc_seen_chain(const struct svc_seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->chains.n; i++)
		if (strcmp(seen->chains.v[i], name) == 0)
			return true;
	return false;
}

/* ---- slots as they are ---- */

/* The first seen element that is not before @key. */
static size_t lower_bound(const struct svc_elems *elems, const struct svc_elem *key)
{
	size_t lo = 0, hi = elems->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (svc_elem_cmp(&elems->v[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The backends of @f in the kernel, by slot; @ret has @n places, and holes stay zero. */
static void read_slots(const struct svc_seen *seen, const struct svc_elem *first, size_t slot_at,
		       struct svc_dest *ret, size_t n)
{
	size_t addr = first->family == SVC_V4 ? 4 : 16;

	for (size_t i = lower_bound(&seen->elems, first); i < seen->elems.n; i++) {
		const struct svc_elem *e = &seen->elems.v[i];
		uint32_t slot;

		if (e->map != first->map || e->family != first->family ||
		    memcmp(e->key, first->key, slot_at) != 0)
			break;
		memcpy(&slot, e->key + slot_at, sizeof(slot));
		if (slot >= n)
			continue;
		memcpy(ret[slot].addr, e->u.data, addr);
		memcpy(&ret[slot].port_be, e->u.data + addr, 2);
	}
}

static int keep_slots(const struct svc_seen *seen, struct svc_dests *dests, const struct svc_elem *first,
		      size_t slot_at)
{
	struct svc_dests old = { .n = dests->n + 1 }, want = *dests, kept = { 0 };
	int r;

	old.v = calloc(old.n, sizeof(*old.v));
	if (!old.v)
		return -ENOMEM;
	read_slots(seen, first, slot_at, old.v, old.n);
	qsort(want.v, want.n, sizeof(*want.v), svc_dest_cmp);
	r = svc_slots(&old, &want, &kept);
	free(old.v);
	if (r < 0) {
		free(kept.v);
		return r;
	}
	free(dests->v);
	*dests = kept;
	return 0;
}

static bool at_port(const struct svc_key *key)
{
	static const uint8_t none[16];

	return memcmp(key->addr, none, sizeof(none)) == 0;
}

static int keep_front(const struct svc_seen *seen, struct svc_front *f)
{
	bool port = at_port(&f->key);

	for (int local = 0; local < 2; local++) {
		struct svc_dests *dests = local ? &f->local : &f->all;
		unsigned int scope = port ? SVC_PORT_ALL + local : SVC_ALL + local;
		size_t addr = port ? 0 : f->key.family == SVC_V4 ? 4 : 16;
		struct svc_elem first = { .family = f->key.family };
		int r = 0;

		first.map = (uint8_t)(SVC_BACKENDS + scope * SVC_PROTOS + f->key.proto);
		memcpy(first.key, f->key.addr, addr);
		memcpy(first.key + addr, &f->key.port_be, 2);
		if (dests->n && !f->key.last_be && !(f->flags & PODNET_FRONTEND_MAGLEV))
			r = keep_slots(seen, dests, &first, addr + 4);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- what is wanted ---- */

/* There is something in the kernel that may stay. */
static bool compares(const struct svc_seen *seen)
{
	return !seen->anew && seen->elems.n;
}

int svc_want_all(struct podnet_services *s, const struct svc_seen *seen, struct svc_elems *out)
{
	size_t i = 0, n = 0;

	for (struct svc_entry *e; (e = pn_table_next(&s->entries, &i)); ) {
		int r = e->want && compares(seen) ? keep_front(seen, e->want) : 0;

		if (r < 0)
			return r;
		if (e->want)
			svc_front_elems(e->want, out);
	}
	for (size_t k = 0; k < s->node_ips.n; k++)
		svc_add(out, &s->node_ips.v[k]);
	if (out->rc)
		return out->rc;
	for (size_t k = 0; k < out->n; k++) {
		int r = svc_shared(out->v[k].map) ? svc_ref(s, &out->v[k], 1) : 1;

		if (r < 0)
			return r;
		if (r > 0)
			out->v[n++] = out->v[k];
	}
	out->n = n;
	return 0;
}

/* By map; and by key too where there is anything to compare with. */
static int arrange(const struct svc_seen *seen, struct svc_elems *elems)
{
	size_t at[SVC_MAPS * SVC_FAMILIES + 1] = { 0 }, *of;
	struct svc_elem *sorted;

	if (!elems->n)
		return 0;
	if (compares(seen)) {
		qsort(elems->v, elems->n, sizeof(*elems->v), svc_elem_cmp);
		return 0;
	}
	sorted = malloc(elems->n * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	of = at + 1;
	for (size_t i = 0; i < elems->n; i++)
		of[elems->v[i].map * SVC_FAMILIES + elems->v[i].family]++;
	for (size_t i = 0; i < SVC_MAPS * SVC_FAMILIES; i++)
		of[i] += at[i];
	for (size_t i = 0; i < elems->n; i++)
		sorted[at[elems->v[i].map * SVC_FAMILIES + elems->v[i].family]++] = elems->v[i];
	free(elems->v);
	elems->v = sorted;
	elems->cap = elems->n;
	return 0;
}

/* Counts what each map will hold; one that is too small has all made anew. */
static void count(struct podnet_services *s, const struct svc_elems *want, struct svc_seen *seen)
{
	memset(s->held, 0, sizeof(s->held));
	for (size_t i = 0; i < want->n; i++)
		s->held[want->v[i].family][want->v[i].map]++;
	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int m = 0; m < SVC_MAPS; m++)
			seen->anew |= seen->maps[f][m].there &&
				      seen->maps[f][m].size < s->held[f][m];
}

int svc_wanted(struct podnet_services *s, struct svc_seen *seen, struct svc_elems *out)
{
	int r = seen->same ? 0 : svc_want_all(s, seen, out);

	if (r < 0)
		return r;
	count(s, out, seen);
	return seen->same && !seen->anew ? 0 : arrange(seen, out);
}
