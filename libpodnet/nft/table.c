/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.c - the one table that every user of this room shares
 *
 * Room: its name, whether it is there, making it.  May include: libpodnet/nl, libpodnet/base,
 * libmnl, libnftnl.
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

int nft_table_seen(struct nl *nl, const char *table, struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh;
	uint32_t flags = 0;
	int r;

	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	r = nl_get(nl, nlh, keep_flags, &flags, &why);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return pn_err(err, r, "nft_table_get", NULL, why.kernel);
	return !(flags & NFT_TABLE_F_DORMANT);
}

void nft_table_put(struct nft_txn *t, const char *table)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_NEWTABLE, NLM_F_CREATE, "nft_table_create",
					   table);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, 0);
}
