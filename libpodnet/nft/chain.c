/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chain.c - chains with their rules: make, empty, compare
 *
 * Room: one chain at a time, whoever's it is.  May include: libpodnet/nl, libpodnet/base, libmnl,
 * libnftnl.
 *
 * Rules are static and few, so they are compared as text, in their order, and replaced together
 * when one is not as it should be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

void nft_chain_put(struct nft_txn *t, const struct nft_chain *c)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
					   "nft_chain_create", c->name);
	struct nlattr *hook;

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, c->table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, c->name);
	if (!c->type)
		return;
	hook = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl(c->hook));
	mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl((uint32_t)c->priority));
	mnl_attr_nest_end(nlh, hook);
	mnl_attr_put_u32(nlh, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, c->type);
}

void nft_chain_flush(struct nft_txn *t, const struct nft_chain *c)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_DELRULE, 0, "nft_rule_flush", c->name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, c->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, c->name);
}

void nft_chain_delete(struct nft_txn *t, const struct nft_chain *c)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_DELCHAIN, 0, "nft_chain_delete", c->name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, c->table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, c->name);
}

/* ---- reading ---- */

struct reading {
	const struct nft_chain *chain;
	const struct nft_rule *rules;
	size_t n;
	struct nft_chain_seen *seen;
};

static bool as_wanted(const struct nftnl_chain *c, const struct nft_chain *want)
{
	const char *type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);

	if (!want->type)
		return !nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM);
	return nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) && type && strcmp(type, want->type) == 0 &&
	       nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == want->hook &&
	       nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO) == want->priority &&
	       nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_ACCEPT;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct reading *rd = arg;

	if (!c)
		return -ENOMEM;
	rd->seen->there = true;
	rd->seen->wrong = nftnl_chain_nlmsg_parse(nlh, c) < 0 || !as_wanted(c, rd->chain);
	nftnl_chain_free(c);
	return 0;
}

static bool same_rule(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
	char text[2][NFT_TEXT_SIZE];

	return nft_rule_text(a, text[0]) == 0 && nft_rule_text(b, text[1]) == 0 &&
	       strcmp(text[0], text[1]) == 0;
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct reading *rd = arg;
	struct nft_chain_seen *s = rd->seen;
	const char *chain;

	if (!rule)
		return -ENOMEM;
	/* a kernel that does not filter the dump sends the rules of all chains */
	if (nftnl_rule_nlmsg_parse(nlh, rule) == 0 &&
	    (chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN)) &&
	    strcmp(chain, rd->chain->name) == 0) {
		if (s->nrules >= rd->n || !same_rule(rule, rd->rules[s->nrules].rule))
			s->rules_wrong = true;
		s->nrules++;
	}
	nftnl_rule_free(rule);
	return 0;
}

static void forget_rules(void *arg)
{
	struct reading *rd = arg;

	rd->seen->nrules = 0;
	rd->seen->rules_wrong = false;
}

int nft_chain_see(struct nl *nl, const struct nft_chain *chain, const struct nft_rule *rules,
		  size_t n, struct nft_chain_seen *ret, struct podnet_error *err)
{
	struct reading rd = { chain, rules, n, ret };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh;
	int r;

	*ret = (struct nft_chain_seen){ 0 };
	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETCHAIN, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, chain->table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, chain->name);
	r = nl_get(nl, nlh, on_chain, &rd, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return pn_err(err, r, "nft_chain_get", NULL, why.kernel);
	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETRULE, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, chain->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain->name);
	r = nl_dump(nl, nlh, on_rule, forget_rules, &rd, &why);
	ret->rules_wrong |= ret->nrules != n;
	return r < 0 ? pn_err(err, r, "nft_rule_dump", NULL, why.kernel) : 0;
}

struct names {
	const char *table;
	int (*each)(void *arg, const char *name);
	void (*reset)(void *arg);
	void *arg;
};

static int on_name(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	const struct names *names = arg;
	const char *table, *name;
	int r = 0;

	if (!c)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(nlh, c) == 0 &&
	    (table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE)) &&
	    (name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME)) && strcmp(table, names->table) == 0)
		r = names->each(names->arg, name);
	nftnl_chain_free(c);
	return r;
}

static void forget_names(void *arg)
{
	const struct names *names = arg;

	names->reset(names->arg);
}

int nft_chain_names(struct nl *nl, const char *table, int (*each)(void *arg, const char *name),
		    void (*reset)(void *arg), void *arg, struct podnet_error *err)
{
	struct names names = { table, each, reset, arg };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	int r = nl_dump(nl, nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETCHAIN, NFPROTO_INET, 0, 0),
			on_name, forget_names, &names, &why);

	return r < 0 ? pn_err(err, r, "nft_chain_dump", NULL, why.kernel) : 0;
}
