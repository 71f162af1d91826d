/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * expr.c - rules made of expressions, in the forms that nft(8) makes and can print
 *
 * Room: building a rule and turning one into comparable text.  May include: libpodnet/base,
 * libmnl, libnftnl.
 *
 * nft 1.0.6 recognises expressions by their order and aborts on some it did not make itself, so
 * each function here emits exactly what `nft --debug=netlink` shows for the same words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>

/* every match loads into the same register and compares at once */
#define REG NFT_REG_1

static struct nftnl_expr *add(struct nft_rule *r, const char *kind)
{
	struct nftnl_expr *e = r->rc ? NULL : nftnl_expr_alloc(kind);

	if (e)
		nftnl_rule_add_expr(r->rule, e);
	else if (!r->rc)
		r->rc = -ENOMEM;
	return e;
}

void nft_rule_init(struct nft_rule *r, const char *table, const char *chain, const char *comment)
{
	uint8_t udata[2 + NFTNL_UDATA_COMMENT_MAXLEN];
	size_t len = strlen(comment) + 1;

	*r = (struct nft_rule){ .rule = nftnl_rule_alloc() };
	if (!r->rule || len > NFTNL_UDATA_COMMENT_MAXLEN) {
		r->rc = r->rule ? -EINVAL : -ENOMEM;
		return;
	}
	udata[0] = NFTNL_UDATA_RULE_COMMENT;
	udata[1] = (uint8_t)len;
	memcpy(udata + 2, comment, len);
	nftnl_rule_set_u32(r->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	if (nftnl_rule_set_str(r->rule, NFTNL_RULE_TABLE, table) < 0 ||
	    nftnl_rule_set_str(r->rule, NFTNL_RULE_CHAIN, chain) < 0 ||
	    nftnl_rule_set_data(r->rule, NFTNL_RULE_USERDATA, udata, 2 + (uint32_t)len) < 0)
		r->rc = -ENOMEM;
}

void nft_rule_fini(struct nft_rule *r)
{
	if (r->rule)
		nftnl_rule_free(r->rule);
	*r = (struct nft_rule){ 0 };
}

static void load(struct nft_rule *r, uint32_t offset, uint32_t size)
{
	struct nftnl_expr *e = add(r, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, REG);
}

static void compare(struct nft_rule *r, uint32_t op, const void *data, uint32_t size)
{
	struct nftnl_expr *e = add(r, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, REG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	if (nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, size) < 0)
		r->rc = -ENOMEM;
}

void nft_match_family(struct nft_rule *r, uint8_t family)
{
	struct nftnl_expr *e = add(r, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_NFPROTO);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, REG);
	compare(r, NFT_CMP_EQ, &family, sizeof(family));
}

void nft_match_set(struct nft_rule *r, uint32_t offset, uint32_t size, const char *set, bool not)
{
	struct nftnl_expr *e;

	load(r, offset, size);
	e = add(r, "lookup");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, REG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, not ? NFT_LOOKUP_F_INV : 0);
	/* by name: a set that the same batch makes is found that way as well */
	if (nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set) < 0)
		r->rc = -ENOMEM;
}

static void mask(struct nft_rule *r, uint32_t size, unsigned int bits)
{
	static const uint8_t zero[16];
	uint8_t m[16] = { 0 };
	struct nftnl_expr *e = add(r, "bitwise");

	if (!e)
		return;
	for (unsigned int bit = 0; bit < bits; bit++)
		m[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, REG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, REG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	if (nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, m, size) < 0 ||
	    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, size) < 0)
		r->rc = -ENOMEM;
}

void nft_match_not_prefix(struct nft_rule *r, uint32_t offset, const struct podnet_prefix *p)
{
	/* nft loads whole bytes only where the length allows, and masks where it does not */
	uint32_t whole = p->family == AF_INET ? 4 : 16;
	uint32_t size = p->len % 8 ? whole : p->len / 8u;

	load(r, offset, size);
	if (p->len % 8)
		mask(r, size, p->len);
	compare(r, NFT_CMP_NEQ, p->addr, size);
}

void nft_masquerade(struct nft_rule *r, uint32_t flags)
{
	struct nftnl_expr *e = add(r, "masq");

	if (e)
		nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, flags);
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
