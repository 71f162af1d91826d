/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rule.c - a rule from its start to the transaction, and as comparable text
 *
 * Room: rules as wholes; what they are made of is in expr.c.  May include: libpodnet/base, libmnl,
 * libnftnl.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>

void nft_rule_init(struct nft_rule *r, const char *table, const char *chain, const char *comment)
{
	uint8_t udata[2 + NFTNL_UDATA_COMMENT_MAXLEN];
	size_t len = comment ? strlen(comment) + 1 : 0;

	*r = (struct nft_rule){ .rule = nftnl_rule_alloc() };
	if (!r->rule || len > NFTNL_UDATA_COMMENT_MAXLEN) {
		r->rc = r->rule ? -EINVAL : -ENOMEM;
		return;
	}
	nftnl_rule_set_u32(r->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	if (nftnl_rule_set_str(r->rule, NFTNL_RULE_TABLE, table) < 0 ||
	    nftnl_rule_set_str(r->rule, NFTNL_RULE_CHAIN, chain) < 0)
		r->rc = -ENOMEM;
	if (!comment)
		return;
	udata[0] = NFTNL_UDATA_RULE_COMMENT;
	udata[1] = (uint8_t)len;
	memcpy(udata + 2, comment, len);
	if (nftnl_rule_set_data(r->rule, NFTNL_RULE_USERDATA, udata, 2 + (uint32_t)len) < 0)
		r->rc = -ENOMEM;
}

void nft_rule_fini(struct nft_rule *r)
{
	if (r->rule)
		nftnl_rule_free(r->rule);
	*r = (struct nft_rule){ 0 };
}

void nft_rule_put(struct nft_txn *t, const struct nft_rule *r)
{
	struct nlmsghdr *nlh;

	if (r->rc) {
		t->sticky = t->sticky ? t->sticky : r->rc;
		return;
	}
	nlh = nft_txn_msg(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "nft_rule_add",
			  nftnl_rule_get_str(r->rule, NFTNL_RULE_CHAIN));
	if (nlh)
		nftnl_rule_nlmsg_build_payload(nlh, r->rule);
}

#define NEVER "timeout 0ms "

struct text {
	char *buf;
	size_t len;
};

static int add_text(struct nftnl_expr *e, void *data)
{
	struct text *t = data;
	const char *kind = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	int n = snprintf(t->buf + t->len, NFT_TEXT_SIZE - t->len, "[%s ", kind ? kind : "?");

	if (n < 0 || (size_t)n >= NFT_TEXT_SIZE - t->len)
		return -E2BIG;
	t->len += (size_t)n;
	n = nftnl_expr_snprintf(t->buf + t->len, NFT_TEXT_SIZE - t->len, e, NFTNL_OUTPUT_DEFAULT,
				0);
	if (n < 0 || (size_t)n + 2 >= NFT_TEXT_SIZE - t->len)
		return -E2BIG;
	t->len += (size_t)n;
	/* of a set without time-outs the kernel tells one that was never asked for */
	if (t->len > sizeof(NEVER) && strcmp(t->buf + t->len - (sizeof(NEVER) - 1), NEVER) == 0)
		t->len -= sizeof(NEVER) - 1;
	t->buf[t->len++] = ']';
	t->buf[t->len] = '\0';
	return 0;
}

int nft_rule_text(const struct nftnl_rule *rule, char buf[NFT_TEXT_SIZE])
{
	struct text t = { .buf = buf };
	uint32_t len = 0;
	const uint8_t *udata;

	buf[0] = '\0';
	/* libnftnl's iterator wants a rule it may write to, and does not */
	if (nftnl_expr_foreach((struct nftnl_rule *)(uintptr_t)rule, add_text, &t) < 0)
		return -E2BIG;
	udata = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	for (uint32_t i = 0; udata && i < len; i++) {
		if (t.len + 3 > NFT_TEXT_SIZE)
			return -E2BIG;
		t.len += (size_t)snprintf(buf + t.len, NFT_TEXT_SIZE - t.len, "%02x", udata[i]);
	}
	return 0;
}
