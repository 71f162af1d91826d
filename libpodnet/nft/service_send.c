/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_send.c - what changed since the last commit, as one transaction
 *
 * Room: from versions of frontends to messages; reads nothing.  May include: services.h,
 * libpodnet/base.
 *
 * The transaction carries no generation id: others commit all the time, and what they did to our
 * table shows as a refusal (an element to be deleted is gone, a map is not there) or is told by the
 * monitor; either leads to svc_sync().  Order: maps and chains, elements out, elements in, then
 * chains and maps that nothing leads to any more.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

/*
 * Three quarters of a power of two, since the kernel adds a third and rounds up to one: 8 bytes for
 * each, and there are 40 maps of which most are empty.
 */
#define SIZE_LEAST 192

struct change {
	struct svc_elems gone, fresh;
};

static void change_fini(struct change *c)
{
	free(c->gone.v);
	free(c->fresh.v);
}

/* ---- putting things into a transaction ---- */

/* Where an interval ends: for ranges of ports it is the first key but for the port. */
static void put_end(const struct svc_elem *e, struct nft_elem *out)
{
	size_t addr = e->family == SVC_V4 ? 4 : 16;

	if (e->map != SVC_PORT_RANGES) {
		memcpy(out->end, e->u.data, sizeof(out->end));
		return;
	}
	memcpy(out->end, e->key, sizeof(out->end));
	memcpy(out->end + addr + 4, e->u.data + 16, 2);
}

static struct nft_elem convert(const struct svc_elem *e, char name[NFT_NAME_SIZE])
{
	struct nft_elem out = { .verdict = 0 };
	const struct svc_verdict *to = &e->u.to.verdict;
	struct svc_key key;

	memcpy(out.key, e->key, sizeof(e->key));
	if (!svc_is_verdict(e->map)) {
		memcpy(out.data, e->u.data, sizeof(out.data));
		put_end(e, &out);
		return out;
	}
	key = svc_elem_key(e);
	svc_chain_name(e->family, to, &key, name);
	out.chain = *name ? name : NULL;
	out.verdict = !*name ? NF_DROP :
		      to->to == SVC_ASK_STICKY || to->to == SVC_SET_STICKY ? NFT_JUMP : NFT_GOTO;
	return out;
}

void svc_put_elems(const struct podnet_services *s, struct nft_txn *t,
		   const struct svc_elems *elems, uint16_t type)
{
	char name[NFT_NAME_SIZE], chain[NFT_NAME_SIZE];
	struct nft_elems out = { .t = t, .type = type };
	struct nft_map map;

	for (size_t i = 0; i < elems->n; i++) {
		const struct svc_elem *e = &elems->v[i];
		struct nft_elem elem = convert(e, chain);

		if (i == 0 || e->map != e[-1].map || e->family != e[-1].family) {
			nft_elems_end(&out);
			svc_map(s->table, e->family, e->map, name, &map);
			out.map = &map;
		}
		nft_elems_put(&out, &elem);
	}
	nft_elems_end(&out);
}

void svc_put_map(struct podnet_services *s, struct nft_txn *t, uint8_t family, uint8_t map,
		 uint32_t need)
{
	char name[NFT_NAME_SIZE];
	struct nft_map m;

	svc_map(s->table, family, map, name, &m);
	for (m.size = SIZE_LEAST; m.size < need + need / 8; m.size *= 2)
		;
	s->room[family][map] = m.size;
	nft_map_put(t, &m, 1u + map * SVC_FAMILIES + family);
}

static void put_rules(struct nft_txn *t, struct svc_chain *c)
{
	for (size_t i = 0; i < c->nrules; i++)
		nft_rule_put(t, &c->rules[i]);
	svc_chain_fini(c);
}

void svc_put_chain(struct nft_txn *t, struct svc_chain *c)
{
	nft_chain_put(t, &c->chain);
	put_rules(t, c);
}

void svc_put_sticky(const struct podnet_services *s, struct nft_txn *t, const struct svc_front *f)
{
	char names[2][NFT_NAME_SIZE];
	struct svc_chain chains[2];
	struct nft_map maps[2];

	svc_sticky_maps(s->table, &f->key, names, maps);
	svc_sticky(s->table, &f->key, f->sticky_s, chains);
	for (int i = 0; i < 2; i++)
		nft_map_put(t, &maps[i], 0);
	for (int i = 0; i < 2; i++)
		svc_put_chain(t, &chains[i]);
}

static void drop_sticky(const struct podnet_services *s, struct nft_txn *t,
			const struct svc_front *f)
{
	char names[2][NFT_NAME_SIZE];
	struct svc_chain chains[2];
	struct nft_map maps[2];

	svc_sticky_maps(s->table, &f->key, names, maps);
	svc_sticky(s->table, &f->key, f->sticky_s, chains);
	for (int i = 0; i < 2; i++) {
		nft_chain_flush(t, &chains[i].chain);
		nft_chain_delete(t, &chains[i].chain);
		svc_chain_fini(&chains[i]);
	}
	for (int i = 0; i < 2; i++)
		nft_map_delete(t, &maps[i]);
}

/* Another time: the rules that remember are written anew. */
static void renew_sticky(const struct podnet_services *s, struct nft_txn *t,
			 const struct svc_front *f)
{
	struct svc_chain chains[2];

	svc_sticky(s->table, &f->key, f->sticky_s, chains);
	nft_chain_flush(t, &chains[1].chain);
	for (size_t i = 0; i < chains[1].nrules; i++)
		nft_rule_put(t, &chains[1].rules[i]);
	svc_chain_fini(&chains[0]);
	svc_chain_fini(&chains[1]);
}

/* ---- what differs ---- */

static void one_gone(struct podnet_services *s, const struct svc_elem *e, struct change *c)
{
	int r = svc_shared(e->map) ? svc_ref(s, e, -1) : 1;

	if (r > 0)
		svc_add(&c->gone, e);
	else if (r < 0)
		c->gone.rc = r;
}

static void one_fresh(struct podnet_services *s, const struct svc_elem *e, struct change *c)
{
	int r = svc_shared(e->map) ? svc_ref(s, e, 1) : 1;

	if (r > 0)
		svc_add(&c->fresh, e);
	else if (r < 0)
		c->fresh.rc = r;
}

static void compare(struct podnet_services *s, const struct svc_elems *old,
		    const struct svc_elems *new, struct change *c)
{
	size_t i = 0, k = 0;

	while (i < old->n || k < new->n) {
		int cmp = i == old->n ? 1 : k == new->n ? -1 :
			  svc_elem_cmp(&old->v[i], &new->v[k]);

		if (cmp < 0 || (cmp == 0 && !svc_elem_same(&old->v[i], &new->v[k])))
			one_gone(s, &old->v[i], c);
		if (cmp > 0 || (cmp == 0 && !svc_elem_same(&old->v[i], &new->v[k])))
			one_fresh(s, &new->v[k], c);
		i += cmp <= 0;
		k += cmp >= 0;
	}
}

static void sort(struct svc_elems *e)
{
	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), svc_elem_cmp);
}

static int gather(struct podnet_services *s, struct change *c)
{
	for (size_t i = 0; i < s->dirty.n; i++) {
		const struct svc_entry *e = s->dirty.v[i];
		struct svc_elems old = { 0 }, new = { 0 };

		if (e->sent)
			svc_front_elems(e->sent, &old);
		if (e->want)
			svc_front_elems(e->want, &new);
		sort(&old);
		sort(&new);
		if (!old.rc && !new.rc)
			compare(s, &old, &new, c);
		else
			c->fresh.rc = -ENOMEM;
		free(old.v);
		free(new.v);
	}
	sort(&c->gone);
	sort(&c->fresh);
	return c->gone.rc ? c->gone.rc : c->fresh.rc;
}

/* ---- the transaction ---- */

/* The way to a class is a rule among those of the others, so all of them are written anew. */
static void need_class(struct podnet_services *s, struct nft_txn *t, uint8_t family, uint8_t map)
{
	struct svc_chain c;

	if (!s->room[family][map])
		svc_put_map(s, t, family, map, 0);
	svc_choose(s, family, &c);
	nft_chain_flush(t, &c.chain);
	put_rules(t, &c);
}

static void need_chain(struct podnet_services *s, struct nft_txn *t, const struct svc_elem *e)
{
	struct svc_verdict v, of;
	struct svc_chain c;

	if (!svc_leads_to(e, &v) || svc_knows_chain(s, e->family, &v))
		return;
	if (svc_know_chain(s, e->family, &v) < 0) {
		t->sticky = -ENOMEM;
		return;
	}
	svc_balance(s->table, e->family, &v, &c);
	svc_put_chain(t, &c);
	for (uint8_t m = SVC_CLASS; m < SVC_MAPS; m++)
		if (svc_class(m, &of) && memcmp(&of, &v, sizeof(v)) == 0)
			need_class(s, t, e->family, m);
}

/* Counts by map; maps that are not there yet are made.  -ENOSPC: one would be too full. */
static int make_room(struct podnet_services *s, struct nft_txn *t, const struct change *c)
{
	for (size_t i = 0; i < c->fresh.n; i++)
		s->held[c->fresh.v[i].family][c->fresh.v[i].map]++;
	for (size_t i = 0; i < c->gone.n; i++)
		s->held[c->gone.v[i].family][c->gone.v[i].map]--;
	for (uint8_t f = 0; f < SVC_FAMILIES; f++)
		for (uint8_t m = 0; m < SVC_MAPS; m++) {
			if (s->held[f][m] > s->room[f][m] && s->room[f][m])
				return -ENOSPC;
			if (s->held[f][m] && !s->room[f][m])
				svc_put_map(s, t, f, m, s->held[f][m]);
		}
	return 0;
}

static bool sticks(const struct svc_front *f)
{
	return f && f->sticky_s;
}

static int build(struct podnet_services *s, struct nft_txn *t, const struct change *c)
{
	int r = make_room(s, t, c);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->fresh.n; i++)
		need_chain(s, t, &c->fresh.v[i]);
	for (size_t i = 0; i < s->dirty.n; i++) {
		const struct svc_entry *e = s->dirty.v[i];

		if (sticks(e->want) && !sticks(e->sent))
			svc_put_sticky(s, t, e->want);
		else if (sticks(e->want) && e->want->sticky_s != e->sent->sticky_s)
			renew_sticky(s, t, e->want);
	}
	svc_put_elems(s, t, &c->gone, NFT_MSG_DELSETELEM);
	svc_put_elems(s, t, &c->fresh, NFT_MSG_NEWSETELEM);
	for (size_t i = 0; i < s->dirty.n; i++)
		if (sticks(s->dirty.v[i]->sent) && !sticks(s->dirty.v[i]->want))
			drop_sticky(s, t, s->dirty.v[i]->sent);
	return 0;
}

static int forget_clients(struct podnet_services *s, struct podnet_error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->dirty.n && r == 0; i++) {
		const struct svc_entry *e = s->dirty.v[i];

		if (sticks(e->want) && sticks(e->sent))
			r = svc_forget_clients(s, e->want, err);
	}
	return r;
}

int svc_send(struct podnet_services *s, struct podnet_error *err)
{
	_cleanup_(change_fini) struct change c = { 0 };
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	int r = gather(s, &c), n;

	if (r < 0)
		return pn_err(err, r, "services_commit", NULL, NULL);
	nft_txn_init(&t, &s->ctx->nft, 0);
	r = build(s, &t, &c);
	n = (int)(c.gone.n + c.fresh.n);
	if (r == 0 && t.ops.n)
		r = nft_txn_send(&t, err);
	if (r == 0)
		r = forget_clients(s, err);
	if (r < 0)
		return r;
	svc_sent(s);
	return n;
}
