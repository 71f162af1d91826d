/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_sync.c - what is wanted compared with the kernel, and put right
 *
 * Room: what a start, a doubt and a repair do.  May include: services.h, libpodnet/base.
 *
 * Elements are compared one by one; a chain whose rules differ gets all of them anew; a map of
 * another type, or too small, has everything made anew in the same transaction.  What others put
 * into our table under other names stays.
 *
 * The kernel tells who listens of each element, which takes as long as adding it and fills any
 * buffer, so while much is sent the context's own monitor listens elsewhere.  Had somebody committed
 * meanwhile, the generation is not the next one, and all is read once more.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#define MUCH 1000               /* elements */

/** A chain that is wanted, and what is to be done about it. */
struct plan {
	struct svc_chain c;
	struct nft_chain_seen have;
	bool rules;                 /* to be put */
};

/** The maps of a frontend with affinity, as the kernel has them. */
struct sticky {
	const struct svc_front *front;
	struct nft_map_seen maps[2];
};

struct repair {
	struct podnet_services *s;
	struct nft_txn *t;
	struct svc_seen *seen;
	struct { struct plan *v; size_t n, cap; } plans;
	struct { struct sticky *v; size_t n, cap; } sticky;
	struct nft_map_seen counts[SVC_FAMILIES][SVC_COUNTS];
	int changes;
};

static void repair_fini(struct repair *r)
{
	for (size_t i = 0; i < r->plans.n; i++)
		svc_chain_fini(&r->plans.v[i].c);
	free(r->plans.v);
	free(r->sticky.v);
}

static struct svc_chain *next_chain(struct repair *r)
{
	return pn_grow(&r->plans) < 0 ? NULL : &r->plans.v[r->plans.n++].c;
}

static int want_balance(struct repair *r, uint8_t family, const struct svc_verdict *v)
{
	struct svc_chain *c;

	if (svc_knows_chain(r->s, family, v))
		return 0;
	c = next_chain(r);
	if (!c || svc_know_chain(r->s, family, v) < 0)
		return -ENOMEM;
	svc_balance(r->s->table, family, v, c);
	return 0;
}

/* Those in use, and those that were: they stay, so that a class in use again costs nothing. */
static int want_balances(struct repair *r, const struct svc_elems *want)
{
	struct svc_chain *c;
	struct svc_verdict v;
	uint8_t family;
	int rc = 0;

	r->s->chains.n = 0;
	for (size_t i = 0; i < want->n && rc == 0; i++)
		if (svc_leads_to(&want->v[i], &v))
			rc = want_balance(r, want->v[i].family, &v);
	for (size_t i = 0; i < r->seen->chains.n && rc == 0; i++)
		if (svc_balance_parse(r->seen->chains.v[i], &family, &v))
			rc = want_balance(r, family, &v);
	for (family = 0; family < SVC_FAMILIES && rc == 0; family++) {
		c = next_chain(r);
		if (!c)
			return -ENOMEM;
		svc_choose(r->s, family, c);
	}
	return rc;
}

static int want_chains(struct repair *r, const struct svc_elems *want)
{
	struct svc_chain *c, fixed, pair[2];
	size_t i = 0;

	for (size_t k = 0; svc_static(r->s->table, k, &fixed); k++) {
		c = next_chain(r);
		if (!c)
			return -ENOMEM;
		*c = fixed;
		c->chain.name = NULL;       /* see name_chains() */
	}
	for (struct svc_entry *e; (e = pn_table_next(&r->s->entries, &i)); ) {
		if (!e->want || !e->want->sticky_s)
			continue;
		svc_sticky(r->s->table, &e->key, e->want->sticky_s, pair);
		for (int k = 0; k < 2; k++) {
			c = next_chain(r);
			if (!c)
				return -ENOMEM;
			*c = pair[k];
		}
	}
	return want_balances(r, want);
}

/* The array has grown for the last time: names lie in it. */
static int see_chains(struct repair *r, struct podnet_error *err)
{
	for (size_t i = 0; i < r->plans.n; i++) {
		struct plan *p = &r->plans.v[i];
		int rc = 0;

		p->c.chain.name = p->c.name;
		if (svc_seen_chain(r->seen, p->c.name))
			rc = nft_chain_see(&r->s->ctx->nft, &p->c.chain, p->c.rules, p->c.nrules,
					   &p->have, err);
		if (rc < 0)
			return rc;
		p->rules = !p->have.there || p->have.wrong || p->have.rules_wrong || r->seen->anew;
		r->changes += p->rules;
	}
	return 0;
}

static bool wanted(const struct repair *r, const char *name)
{
	for (size_t i = 0; i < r->plans.n; i++)
		if (strcmp(r->plans.v[i].c.name, name) == 0)
			return true;
	return false;
}

/* Rules first, since they hold the maps; those that hold nothing wrong are put again. */
static void clear_chains(struct repair *r)
{
	for (size_t i = 0; i < r->plans.n; i++) {
		const struct plan *p = &r->plans.v[i];

		if (p->rules && p->have.nrules)
			nft_chain_flush(r->t, &p->c.chain);
		if (p->have.wrong)
			nft_chain_delete(r->t, &p->c.chain);
	}
}

static void put_chains(struct repair *r)
{
	for (size_t i = 0; i < r->plans.n; i++)
		if (!r->plans.v[i].have.there || r->plans.v[i].have.wrong)
			nft_chain_put(r->t, &r->plans.v[i].c.chain);
}

static void put_rules(struct repair *r)
{
	for (size_t i = 0; i < r->plans.n; i++) {
		const struct plan *p = &r->plans.v[i];

		for (size_t k = 0; p->rules && k < p->c.nrules; k++)
			nft_rule_put(r->t, &p->c.rules[k]);
	}
}

/* A chain of a class needs its maps, full or empty. */
static bool needs_map(const struct podnet_services *s, uint8_t family, uint8_t map)
{
	struct svc_verdict v;

	if (map < SVC_BACKENDS || s->held[family][map])
		return true;
	if (svc_class(map, &v))
		return svc_knows_chain(s, family, &v);
	for (size_t i = 0; i < s->chains.n; i++)
		if (s->chains.v[i].family == family &&
		    SVC_BACKENDS + s->chains.v[i].v.scope * SVC_PROTOS + s->chains.v[i].v.proto == map)
			return true;
	return false;
}

static void put_maps(struct repair *r)
{
	struct podnet_services *s = r->s;

	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t m = 0; m < SVC_MAPS; m++) {
			const struct nft_map_seen *have = &r->seen->maps[f][m];
			char name[NFT_NAME_SIZE];
			struct nft_map map;

			svc_map(s->table, f, m, name, &map);
			if (have->there && r->seen->anew)
				nft_map_delete(r->t, &map);
			s->room[f][m] = have->there && !r->seen->anew ? have->size : 0;
			if (s->room[f][m] || !needs_map(s, f, m))
				continue;
			svc_put_map(s, r->t, f, m, s->held[f][m]);
			r->changes++;
		}
}

static int put_ranges(struct repair *r)
{
	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t i = 0; i < SVC_RANGES; i++) {
			char name[NFT_NAME_SIZE];
			struct nft_set set;
			int n;

			svc_range(r->s->table, f, i, name, &set);
			n = nft_set_repair(r->t, &set, &r->s->ranges[f][i], &r->seen->ranges[f][i],
					   1000u + i * SVC_FAMILIES + f);
			if (n < 0)
				return n;
			r->changes += n;
		}
	return 0;
}

/* The two maps of a frontend with affinity stay if they are there: they know the clients. */
static int see_sticky_maps(struct repair *r, struct podnet_error *err)
{
	size_t i = 0;

	for (struct svc_entry *e; (e = pn_table_next(&r->s->entries, &i)); ) {
		char names[2][NFT_NAME_SIZE];
		struct nft_map maps[2];
		struct sticky *found;

		if (!e->want || !e->want->sticky_s)
			continue;
		if (pn_grow(&r->sticky) < 0)
			return -ENOMEM;
		found = &r->sticky.v[r->sticky.n++];
		found->front = e->want;
		svc_sticky_maps(r->s->table, &e->key, names, maps);
		for (int k = 0; k < 2; k++) {
			int rc = nft_map_see(&r->s->ctx->nft, &maps[k], &found->maps[k], err);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static void put_sticky_maps(struct repair *r)
{
	for (size_t i = 0; i < r->sticky.n; i++) {
		const struct sticky *found = &r->sticky.v[i];
		char names[2][NFT_NAME_SIZE];
		struct nft_map maps[2];

		svc_sticky_maps(r->s->table, &found->front->key, names, maps);
		for (int k = 0; k < 2; k++) {
			if (found->maps[k].there && found->maps[k].wrong)
				nft_map_delete(r->t, &maps[k]);
			if (found->maps[k].there && !found->maps[k].wrong)
				continue;
			nft_map_put(r->t, &maps[k], 0);
			r->changes++;
		}
	}
}

/* The sets that count stay if they are there, with what they have counted. */
static int see_counts(struct repair *r, struct podnet_error *err)
{
	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t i = 0; i < SVC_COUNTS; i++) {
			char name[NFT_NAME_SIZE];
			struct nft_map set;
			int rc;

			svc_count_set(r->s->table, f, i, name, &set);
			rc = nft_map_see(&r->s->ctx->nft, &set, &r->counts[f][i], err);
			if (rc < 0)
				return rc;
		}
	return 0;
}

static void put_counts(struct repair *r)
{
	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t i = 0; i < SVC_COUNTS; i++) {
			const struct nft_map_seen *have = &r->counts[f][i];
			char name[NFT_NAME_SIZE];
			struct nft_map set;

			svc_count_set(r->s->table, f, i, name, &set);
			if (have->there && have->wrong)
				nft_map_delete(r->t, &set);
			if (have->there && !have->wrong)
				continue;
			nft_map_put(r->t, &set, 2000u + i * SVC_FAMILIES + f);
			r->changes++;
		}
}

/* What served a frontend with affinity that is no more: two chains, then two maps. */
static void drop_stale(struct repair *r)
{
	static const char stem[] = "sticky-", *const maps[] = { "client-", "client-port-" };
	const struct podnet_services *s = r->s;

	for (size_t i = 0; i < r->seen->chains.n; i++) {
		const char *name = r->seen->chains.v[i];
		struct nft_chain c = { .table = s->table, .name = name };
		bool asks = strncmp(name, stem, sizeof(stem) - 1) == 0;

		if ((!asks && strncmp(name, "remember-", 9) != 0) || !svc_is_sticky(name) ||
		    wanted(r, name))
			continue;
		nft_chain_flush(r->t, &c);
		nft_chain_delete(r->t, &c);
		r->changes++;
	}
	for (size_t i = 0; i < r->seen->chains.n; i++) {
		const char *name = r->seen->chains.v[i];

		if (strncmp(name, stem, sizeof(stem) - 1) != 0 || !svc_is_sticky(name) ||
		    wanted(r, name))
			continue;
		for (int k = 0; k < 2; k++) {
			char map[NFT_NAME_SIZE + 8];

			snprintf(map, sizeof(map), "%s%s", maps[k], name + sizeof(stem) - 1);
			nft_map_delete(r->t, &(struct nft_map){ .table = s->table, .name = map });
		}
	}
}

static int diff(const struct svc_elems *want, const struct svc_elems *have, struct svc_elems *gone,
		struct svc_elems *fresh)
{
	size_t w = 0, h = 0;

	while (w < want->n || h < have->n) {
		int cmp = w == want->n ? 1 : h == have->n ? -1 :
			  svc_elem_cmp(&want->v[w], &have->v[h]);

		if (cmp == 0 && svc_elem_same(&want->v[w], &have->v[h])) {
			w++;
			h++;
			continue;
		}
		if (cmp >= 0)
			svc_add(gone, &have->v[h]);
		if (cmp <= 0)
			svc_add(fresh, &want->v[w]);
		w += cmp <= 0;
		h += cmp >= 0;
	}
	return gone->rc ? gone->rc : fresh->rc;
}

/* Frontends that went while nobody looked: known by nothing but their elements. */
static void note_gone(struct podnet_services *s, const struct svc_elems *gone)
{
	for (size_t i = 0; i < gone->n; i++) {
		uint8_t map = gone->v[i].map;
		struct svc_key key;

		if (map != SVC_SERVICES && map != SVC_NODE_PORTS && map != SVC_PORT_RANGES &&
		    map < SVC_CLASS)
			continue;
		key = svc_elem_key(&gone->v[i]);
		if (!svc_find(s, &key))
			svc_unsettle(s, &key);
	}
}

/* Everything into the transaction, in the order in which one thing needs the other. */
static int build(struct repair *r, const struct svc_elems *want)
{
	static const struct svc_elems none;
	struct svc_elems gone = { 0 }, fresh = { 0 };
	bool same = r->seen->same && !r->seen->anew;
	int rc = same ? 0 : diff(want, r->seen->anew ? &none : &r->seen->elems, &gone, &fresh);

	if (rc == 0) {
		if (!r->seen->table || !r->seen->awake) {
			nft_table_put(r->t, r->s->table, r->s->ctx->nft_owner);
			r->changes++;
		}
		clear_chains(r);
		put_maps(r);
		put_sticky_maps(r);
		put_counts(r);
		rc = put_ranges(r);
	}
	if (rc == 0) {
		put_chains(r);
		/* a map that a rule is bound to is walked, once for each chain that has such a rule */
		put_rules(r);
		svc_put_elems(r->s, r->t, &gone, NFT_MSG_DELSETELEM);
		svc_put_elems(r->s, r->t, &fresh, NFT_MSG_NEWSETELEM);
		drop_stale(r);
		note_gone(r->s, &gone);
		r->changes += (int)(gone.n + fresh.n);
	}
	free(gone.v);
	free(fresh.v);
	return rc;
}

/* All that is read is read before the transaction is begun, which numbers its messages in a row. */
static int see_rest(struct repair *r, const struct svc_elems *want, struct podnet_error *err)
{
	int rc = want_chains(r, want);

	if (rc == 0)
		rc = see_chains(r, err);
	if (rc == 0)
		rc = see_counts(r, err);
	return rc < 0 ? rc : see_sticky_maps(r, err);
}

/*
 * 1: sent, and somebody else may have committed unheard.  While anybody listens, in whatever network
 * namespace (netlink_has_listeners() looks at none), the kernel writes down each element in a buffer
 * of its own: half of a large load, and not ours to help when the listener is another's.
 */
static int send_unheard(struct podnet *ctx, struct nft_txn *t, uint32_t before,
			struct podnet_error *err)
{
	uint32_t now = before;
	int r;

	if (ctx->nft_ears < 0)
		return nft_txn_send(t, err);
	nl_hear(ctx->nft_ears, NFNLGRP_NFTABLES, false);
	r = nft_txn_send(t, err);
	nl_hear(ctx->nft_ears, NFNLGRP_NFTABLES, true);
	if (r == 0)
		r = nft_generation(&ctx->nft, &now, err);
	return r < 0 ? r : now - before != 1;
}

/*
 * One try.  Return: number of changes, or -ERESTART: others got in between, or the answer was lost,
 * so look again.
 */
static int attempt(struct podnet_services *s, bool anew, int *pending, struct podnet_error *err)
{
	_cleanup_(svc_seen_fini) struct svc_seen seen = { .anew = anew };
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	struct svc_elems want = { 0 };
	struct repair r = { .s = s, .t = &t, .seen = &seen };
	uint32_t before;
	int rc = nft_generation(&s->ctx->nft, &before, err);

	if (rc == 0)
		rc = svc_recall(s, before, &seen, &want);
	if (rc == 0)
		rc = svc_see(s, &seen, err);
	if (rc < 0) {   /* it vanished while we read, or the dump was interrupted too often */
		free(want.v);
		return rc == -ENOENT || rc == -EAGAIN ? -ERESTART : rc;
	}
	rc = svc_wanted(s, &seen, &want);
	if (rc == 0)
		rc = see_rest(&r, &want, err);
	if (rc == 0) {
		nft_txn_init(&t, &s->ctx->nft, before);
		rc = build(&r, &want);
	}
	free(want.v);
	if (rc == 0 && t.ops.n)
		rc = r.changes < MUCH ? nft_txn_send(&t, err) :
					send_unheard(s->ctx, &t, before, err);
	else if (rc == 0)
		r.changes = *pending;
	repair_fini(&r);
	if (rc == -ENOBUFS || rc > 0) {
		*pending = r.changes;
		return -ERESTART;
	}
	return rc < 0 ? rc : r.changes;
}

int svc_sync(struct podnet_services *s, bool anew, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	int pending = 0, r = -ERESTART;

	for (int i = 0; i < NFT_REPEATS && r == -ERESTART; i++) {
		svc_forget_refs(s);
		r = attempt(s, anew, &pending, &why);
	}
	if (r >= 0) {
		s->unsettled[0].all |= r > 0 || !s->synced;
		s->synced = true;
		svc_kept_free(take_ptr(s->kept));
		svc_sent(s);
		return r;
	}
	if (r == -ERESTART)
		return pn_err_why(err, -EAGAIN, "services_commit", NULL, "others commit again and again");
	if (err)
		*err = why;
	return r;
}
