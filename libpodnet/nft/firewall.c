/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * firewall.c - chains of others that drop what comes to their end
 *
 * Room: nft; reads, changes nothing.  May include: nft.h, libpodnet/nl, libpodnet/base,
 * include/podnet/, libmnl, libnftnl.
 *
 * A chain drops by its policy or, as those of firewalld do, by a last rule without a condition.
 */
#include "nft.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nl/nl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <podnet/firewall.h>
#include <stdio.h>

#define MOST 64

struct base_chain {
	uint32_t family, hook;
	bool drops;
	char table[NFT_NAME_MAXLEN], name[NFT_NAME_MAXLEN];
};

struct chains {
	const char *ours;
	struct base_chain *v;
	size_t n;
};

static const char *family_name(uint32_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" :
	       family == NFPROTO_INET ? "inet" : NULL;
}

static void note(struct chains *chains, const struct nftnl_chain *c)
{
	const char *table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
	const char *name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
	uint32_t family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
	uint32_t hook = nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM);
	struct base_chain *to = &chains->v[chains->n];

	if (!table || !name || !family_name(family) || chains->n == MOST ||
	    !nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
		return;
	if (hook < NF_INET_LOCAL_IN || hook > NF_INET_LOCAL_OUT ||
	    (family == NFPROTO_INET && strcmp(table, chains->ours) == 0))
		return;
	*to = (struct base_chain){
		.family = family, .hook = hook,
		.drops = nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP,
	};
	snprintf(to->table, sizeof(to->table), "%s", table);
	snprintf(to->name, sizeof(to->name), "%s", name);
	chains->n++;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(nlh, c) == 0)
		note(arg, c);
	nftnl_chain_free(c);
	return 0;
}

static void forget_chains(void *arg)
{
	struct chains *chains = arg;

	chains->n = 0;
}

static bool ends_here(struct nftnl_expr *e)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME), *target;

	if (strcmp(name, "reject") == 0)
		return true;
	if (strcmp(name, "immediate") == 0)
		return nftnl_expr_is_set(e, NFTNL_EXPR_IMM_VERDICT) &&
		       nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT) == NF_DROP;
	target = strcmp(name, "target") == 0 ? nftnl_expr_get_str(e, NFTNL_EXPR_TG_NAME) : NULL;
	return target && strcmp(target, "REJECT") == 0;         /* of iptables-nft */
}

/* Nothing but, perhaps, a counter, and an end. */
static bool drops_all(const struct nftnl_rule *rule)
{
	struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
	struct nftnl_expr *e = iter ? nftnl_expr_iter_next(iter) : NULL;
	bool drops = false;

	while (e && strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter") == 0)
		e = nftnl_expr_iter_next(iter);
	if (e)
		drops = ends_here(e) && !nftnl_expr_iter_next(iter);
	if (iter)
		nftnl_expr_iter_destroy(iter);
	return drops;
}

/* The last one decides. */
static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct base_chain *chain = arg;
	const char *name;

	if (!rule)
		return -ENOMEM;
	if (nftnl_rule_nlmsg_parse(nlh, rule) == 0 &&
	    (name = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN)) && strcmp(name, chain->name) == 0)
		chain->drops = drops_all(rule);
	nftnl_rule_free(rule);
	return 0;
}

static void forget_rules(void *arg)
{
	struct base_chain *chain = arg;

	chain->drops = false;
}

/* A table that went meanwhile drops nothing. */
static int look_at_rules(struct nl *nl, struct base_chain *chain, struct podnet_error *why)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETRULE,
						     (uint16_t)chain->family, 0, 0);
	int r;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, chain->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain->name);
	r = nl_dump(nl, nlh, on_rule, forget_rules, chain, why);
	return r == -ENOENT ? 0 : r;
}

static int tell(const struct chains *chains, int (*each)(const struct podnet_dropper *, void *),
		void *arg)
{
	int n = 0, r;

	for (size_t i = 0; i < chains->n; i++) {
		const struct base_chain *c = &chains->v[i];
		struct podnet_dropper dropper = {
			.family = family_name(c->family), .table = c->table, .chain = c->name,
			.hook = (enum podnet_hook)c->hook,
		};

		if (!c->drops)
			continue;
		r = each(&dropper, arg);
		if (r < 0)
			return r;
		n++;
	}
	return n;
}

int podnet_droppers(struct podnet *ctx, int (*each)(const struct podnet_dropper *dropper, void *arg),
		    void *arg, struct podnet_error *err)
{
	_cleanup_free_ struct base_chain *v = calloc(MOST, sizeof(*v));
	char ours[NFT_NAME_SIZE];
	struct chains chains = { .ours = ours, .v = v };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	int r = v ? nft_socket(ctx, err) : pn_err(err, -ENOMEM, "droppers", NULL, NULL);

	if (r < 0)
		return r;
	nft_table_name(ctx, ours);
	r = nl_dump(&ctx->nft, nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, 0, 0),
		    on_chain, forget_chains, &chains, &why);
	for (size_t i = 0; i < chains.n && r >= 0; i++)
		if (!v[i].drops)
			r = look_at_rules(&ctx->nft, &v[i], &why);
	if (r < 0)
		return pn_err(err, r, "droppers", NULL, why.kernel);
	return tell(&chains, each, arg);
}
