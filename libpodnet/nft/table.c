/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.c - the one table that every user of this room shares, and whose it is
 *
 * Room: its name, whether it is there, making it.  May include: libpodnet/nl, libpodnet/base,
 * libmnl, libnftnl.
 *
 * The kernel ties an owned table to the socket that made it.  When that is closed the table stays
 * (flag persist) as nobody's, and the next who wants to own it may take it over; what was made
 * without these flags can never get them, nor lose them (nf_tables_updtable()).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#ifndef NFT_TABLE_F_PERSIST
#define NFT_TABLE_F_PERSIST 0x4     /* since 6.9 */
#endif
#define OWNED (NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST)

void nft_table_name(const struct podnet *ctx, char ret[NFT_NAME_SIZE])
{
	if (strcmp(ctx->owner, "netd") == 0)
		snprintf(ret, NFT_NAME_SIZE, "podnet");
	else
		snprintf(ret, NFT_NAME_SIZE, "podnet-%s", ctx->owner);
}

static int keep_flags(const struct nlmsghdr *nlh, void *arg)
{
	uint32_t *flags = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			*flags = ntohl(mnl_attr_get_u32(attr));
	}
	return 0;
}

static int flags_of(struct nl *nl, const char *table, uint32_t *flags, struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	int r;

	*flags = 0;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	r = nl_get(nl, nlh, keep_flags, flags, &why);
	return r < 0 && r != -ENOENT ? pn_err(err, r, "nft_table_get", NULL, why.kernel) : r;
}

int nft_table_seen(struct nl *nl, const char *table, struct podnet_error *err)
{
	uint32_t flags;
	int r = flags_of(nl, table, &flags, err);

	return r < 0 ? r : !(flags & NFT_TABLE_F_DORMANT);
}

static void put_flags(struct nft_txn *t, uint16_t type, const char *table, uint32_t flags)
{
	bool make = type == NFT_MSG_NEWTABLE;
	struct nlmsghdr *nlh = nft_txn_msg(t, type, make ? NLM_F_CREATE : 0,
					   make ? "nft_table_create" : "nft_table_delete", table);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	if (make)
		mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(flags));
}

void nft_table_put(struct nft_txn *t, const char *table, bool owned)
{
	put_flags(t, NFT_MSG_NEWTABLE, table, owned ? OWNED : 0);
}

/* A table that comes and goes in one transaction tells whether the kernel knows the flags. */
static bool kernel_can(struct podnet *ctx, const char *table)
{
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	char name[NFT_NAME_SIZE + 8];

	snprintf(name, sizeof(name), "%s-probe", table);
	nft_txn_init(&t, &ctx->nft, 0);
	put_flags(&t, NFT_MSG_NEWTABLE, name, OWNED);
	put_flags(&t, NFT_MSG_DELTABLE, name, 0);
	return nft_txn_send(&t, NULL) == 0;
}

int nft_table_claim(struct podnet *ctx, struct podnet_error *err)
{
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	char table[NFT_NAME_SIZE];
	uint32_t flags;
	int r;

	if (ctx->nft_claimed)
		return 0;
	nft_table_name(ctx, table);
	if (ctx->nft_owner && !kernel_can(ctx, table))
		ctx->nft_owner = false;
	r = flags_of(&ctx->nft, table, &flags, err);
	if (r < 0 && r != -ENOENT)
		return r;
	/* not there, or just so, or of somebody who lives: what he says is heard at the first change */
	ctx->nft_claimed = true;
	if (r == -ENOENT || flags & NFT_TABLE_F_OWNER ||
	    (!ctx->nft_owner && !(flags & NFT_TABLE_F_PERSIST)))
		return 0;
	nft_txn_init(&t, &ctx->nft, 0);
	if (ctx->nft_owner && flags & NFT_TABLE_F_PERSIST)
		put_flags(&t, NFT_MSG_NEWTABLE, table, OWNED);
	else
		put_flags(&t, NFT_MSG_DELTABLE, table, 0);
	r = nft_txn_send(&t, err);
	return r == -ENOENT ? 0 : r;
}
