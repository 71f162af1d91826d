/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nat.c - masquerade for what leaves the pod networks; segments that fit into tunnels
 *
 * Room: one user of the shared table.  Owns the sets inside4, inside6, masq4, masq6 and the chains
 * postrouting and tunnels, whole; touches nothing else in the table, and only podnet_nat_absent() deletes it.
 * May include: libpodnet/nl, libpodnet/base, include/podnet/, libmnl, libnftnl.
 *
 * The repair is the least that will do: elements are sent as a difference; the two rules are
 * replaced together when either is not as it should be, since they are static and few; a chain or
 * set of the wrong kind is made anew, for which the rules that hold it must go first.  All in one
 * transaction, so that no packet sees half of it.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <podnet/nat.h>
#include <stdio.h>

#define CHAIN "postrouting"
#define TUNNELS "tunnels"
#define NSETS 4
#define NRULES 2

/* sets[2 * family] is inside, sets[2 * family + 1] is masquerade */
static const struct family {
	uint8_t nfproto, size;
	const char *inside, *masq, *comment;
	struct podnet_prefix never[3];  /* destinations that no router may pass on */
} families[NRULES] = {
	{ NFPROTO_IPV4, 4, "inside4", "masq4", "podnet nat 1: leaves the pod networks",
	  { { AF_INET, 4, { 224 } }, { AF_INET, 16, { 169, 254 } },
	    { AF_INET, 32, { 255, 255, 255, 255 } } } },
	{ NFPROTO_IPV6, 16, "inside6", "masq6", "podnet nat 1: leaves the pod networks",
	  { { AF_INET6, 8, { 0xff } }, { AF_INET6, 10, { 0xfe, 0x80 } }, { 0 } } },
};

struct want {
	bool owned;                 /* the table, by the context alone */
	char table[NFT_NAME_SIZE];
	struct nft_set sets[NSETS];
	struct nft_ranges ranges[NSETS];
	struct nft_chain chain;
	struct nft_rule rules[NRULES];
	bool clamps;
	struct nft_chain tunnels;
	struct nft_rule clamp;
};

struct seen {
	bool table, awake;
	struct nft_set_seen sets[NSETS];
	struct nft_chain_seen chain, tunnels;
	const struct want *want;
};

static void want_fini(struct want *w)
{
	for (int i = 0; i < NSETS; i++)
		nft_ranges_fini(&w->ranges[i]);
	for (int i = 0; i < NRULES; i++)
		nft_rule_fini(&w->rules[i]);
	nft_rule_fini(&w->clamp);
}

static void seen_fini(struct seen *s)
{
	for (int i = 0; i < NSETS; i++)
		nft_ranges_fini(&s->sets[i].ranges);
}

static int want_prefixes(struct want *w, int which, const struct podnet_prefix *v, size_t n,
			 const char *field, struct podnet_error *err)
{
	if (n && !v)
		return pn_err(err, -EINVAL, "nat_ensure", field, NULL);
	for (size_t i = 0; i < n; i++) {
		bool v6 = v[i].family == AF_INET6;
		int r;

		if ((!v6 && v[i].family != AF_INET) || v[i].len > (v6 ? 128 : 32))
			return pn_err(err, -EINVAL, "nat_ensure", field, NULL);
		r = nft_ranges_add(&w->ranges[2 * v6 + which], &v[i]);
		if (r < 0)
			return pn_err(err, r, "nat_ensure", NULL, NULL);
	}
	return 0;
}

static void want_rule(struct nft_rule *r, const char *table, const struct family *f)
{
	nft_rule_init(r, table, CHAIN, f->comment);
	nft_match_family(r, f->nfproto);
	nft_key_addr(r, f->nfproto, NFT_SOURCE);
	nft_match_set(r, f->masq, false);
	nft_key_addr(r, f->nfproto, NFT_DESTINATION);
	nft_match_set(r, f->inside, true);
	for (size_t i = 0; i < ARRAY_SIZE(f->never) && f->never[i].family; i++)
		nft_match_not_prefix(r, f->nfproto, NFT_DESTINATION, &f->never[i]);
	nft_masquerade(r, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
}

static int want_clamp(struct want *w, const char *links, struct podnet_error *err)
{
	size_t len = links ? strlen(links) : 0;

	w->tunnels = (struct nft_chain){ w->table, TUNNELS, "filter", NF_INET_FORWARD, NF_IP_PRI_MANGLE };
	w->clamps = links;
	if (!links)
		return 0;
	if (len < 1 || len > 15)
		return pn_err(err, -EINVAL, "nat_ensure", "clamp", NULL);
	nft_rule_init(&w->clamp, w->table, TUNNELS, "podnet nat 2: fits into the tunnel");
	nft_match_out_prefix(&w->clamp, links);
	nft_match_l4proto(&w->clamp, IPPROTO_TCP);
	nft_match_tcp_syn(&w->clamp);
	nft_clamp_mss(&w->clamp);
	return w->clamp.rc ? pn_err(err, w->clamp.rc, "nat_ensure", NULL, NULL) : 0;
}

/* @w zeroed by the caller, who frees it in any case */
static int want_all(struct want *w, const struct podnet *ctx, const struct podnet_nat *spec,
		    struct podnet_error *err)
{
	int r = 0;

	nft_table_name(ctx, w->table);
	w->chain = (struct nft_chain){ w->table, CHAIN, "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC };
	for (int i = 0; i < NSETS; i++) {
		const struct family *f = &families[i / 2];

		w->sets[i] = (struct nft_set){ w->table, i % 2 ? f->masq : f->inside, f->size };
		w->ranges[i].size = f->size;
	}
	r = want_prefixes(w, 0, spec->inside, spec->ninside, "inside", err);
	if (r == 0)
		r = want_prefixes(w, 1, spec->masquerade, spec->nmasquerade, "masquerade", err);
	if (r < 0)
		return r;
	for (int i = 0; i < NSETS; i++)
		nft_ranges_normalise(&w->ranges[i]);
	for (int i = 0; i < NRULES; i++) {
		want_rule(&w->rules[i], w->table, &families[i]);
		if (w->rules[i].rc)
			return pn_err(err, w->rules[i].rc, "nat_ensure", NULL, NULL);
	}
	return want_clamp(w, spec->clamp, err);
}

/* @s zeroed by the caller, who frees it in any case */
static int see_all(struct nl *nl, struct seen *s, struct podnet_error *err)
{
	int r = nft_table_seen(nl, s->want->table, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	s->table = true;
	s->awake = r;
	for (int i = 0; i < NSETS; i++) {
		r = nft_set_see(nl, &s->want->sets[i], &s->sets[i], err);
		if (r < 0)
			return r;
	}
	r = nft_chain_see(nl, &s->want->chain, s->want->rules, NRULES, &s->chain, err);
	return r < 0 ? r : nft_chain_see(nl, &s->want->tunnels, &s->want->clamp, s->want->clamps,
					 &s->tunnels, err);
}

static int repair_tunnels(struct nft_txn *t, const struct want *w, const struct nft_chain_seen *s)
{
	bool wrong = s->wrong || (s->there && !w->clamps);

	if (s->there == w->clamps && !wrong && !s->rules_wrong)
		return 0;
	if (s->nrules)
		nft_chain_flush(t, &w->tunnels);
	if (wrong)
		nft_chain_delete(t, &w->tunnels);
	if (w->clamps && (!s->there || wrong))
		nft_chain_put(t, &w->tunnels);
	if (w->clamps)
		nft_rule_put(t, &w->clamp);
	return 1;
}

/* put into @t what makes the kernel as wanted.  Return: number of changes or -ENOMEM. */
static int repair(struct nft_txn *t, const struct seen *s)
{
	const struct nft_chain *chain = &s->want->chain;
	bool rules = !s->chain.there || s->chain.rules_wrong || s->chain.wrong;
	int changes = 0;

	for (int i = 0; i < NSETS; i++)
		rules = rules || s->sets[i].wrong;
	if (!s->table || !s->awake) {
		nft_table_put(t, s->want->table, s->want->owned);
		changes++;
	}
	if (rules && s->chain.nrules)
		nft_chain_flush(t, chain);
	if (s->chain.wrong)
		nft_chain_delete(t, chain);
	for (int i = 0; i < NSETS; i++) {
		int r = nft_set_repair(t, &s->want->sets[i], &s->want->ranges[i], &s->sets[i],
				       (uint32_t)i + 1);

		if (r < 0)
			return r;
		changes += r;
	}
	if (!s->chain.there || s->chain.wrong) {
		nft_chain_put(t, chain);
		changes++;
	}
	for (int i = 0; i < NRULES && rules; i++, changes++)
		nft_rule_put(t, &s->want->rules[i]);
	return changes + repair_tunnels(t, s->want, &s->tunnels);
}

/*
 * One try.  @pending: changes of a try whose answer was lost.  Return: number of changes, or
 * -ERESTART: others got in between, or the answer was lost, so look again.
 */
static int attempt(struct nl *nl, const struct want *w, int *pending, struct podnet_error *err)
{
	_cleanup_(seen_fini) struct seen s = { .want = w };
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	uint32_t before, after;
	int n, r = nft_generation(nl, &before, err);

	if (r == 0)
		r = see_all(nl, &s, err);
	if (r < 0)      /* it vanished while we read, or the dump was interrupted too often */
		return r == -ENOENT || r == -EAGAIN ? -ERESTART : r;
	nft_txn_init(&t, nl, before);
	n = repair(&t, &s);
	if (n < 0)
		return pn_err(err, n, "nat_ensure", NULL, NULL);
	if (n == 0) {
		r = nft_generation(nl, &after, err);
		if (r < 0)
			return r;
		return before == after ? *pending : -ERESTART;
	}
	r = nft_txn_send(&t, err);
	if (r == -ENOBUFS) {
		*pending = n;
		return -ERESTART;
	}
	return r < 0 ? r : n;
}

int podnet_nat_ensure(struct podnet *ctx, const struct podnet_nat *spec, struct podnet_error *err)
{
	_cleanup_(want_fini) struct want w = { 0 };
	struct podnet_error why = { 0 };
	int pending = 0, r = want_all(&w, ctx, spec, err);

	if (r == 0)
		r = nft_socket(ctx, err);
	if (r == 0)
		r = nft_table_claim(ctx, err);
	if (r < 0)
		return r;
	w.owned = ctx->nft_owner;
	for (int i = 0; i < NFT_REPEATS; i++) {
		r = attempt(&ctx->nft, &w, &pending, &why);
		if (r != -ERESTART)
			break;
	}
	if (r >= 0)
		return r;
	if (r == -ERESTART)
		return pn_err_why(err, -EAGAIN, "nat_ensure", NULL, "others commit again and again");
	if (err)
		*err = why;
	return r;
}

int podnet_nat_absent(struct podnet *ctx, struct podnet_error *err)
{
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	struct podnet_error why = { 0 };
	char table[NFT_NAME_SIZE];
	struct nlmsghdr *nlh;
	int r = nft_socket(ctx, err);

	if (r < 0)
		return r;
	nft_table_name(ctx, table);
	nft_txn_init(&t, &ctx->nft, 0);
	nlh = nft_txn_msg(&t, NFT_MSG_DELTABLE, 0, "nft_table_delete", table);
	if (nlh)
		mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	r = nft_txn_send(&t, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : 1;
}
