/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conntrack.c - the table of connections read, and entries deleted while it is read
 *
 * Room: podnet/conntrack.h.  May include: conntrack.h, libpodnet/nl, libpodnet/base,
 * libpodnet/context.h, libmnl, linux/.
 *
 * Two sockets: one is read, and what of it is to go is sent on the other, NL_BATCH_MAX at a time,
 * before the next datagram is asked for.  So memory is that of one batch, whatever the table.
 */
#include "conntrack.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/context.h>
#include <libpodnet/nl/nl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

enum { READS, DELETES };            /* sockets of the context */

struct walk {
	struct podnet *ctx;
	const struct podnet_conntrack_filter *filter;
	int (*each)(const struct podnet_conntrack *entry, void *arg);
	void *arg;
	bool deletes;
	int gone;
	struct podnet_error *err;
};

static bool gone_already(const struct nl_op *op, int rc)
{
	(void)op;
	return rc == -ENOENT;
}

static int flush(struct walk *w)
{
	struct nl_batch *b = &w->ctx->batch;
	uint32_t n = b->n;
	int r;

	b->tolerate = gone_already;
	r = nl_batch_send(&w->ctx->ct[DELETES], b, NULL, w->err);
	b->tolerate = NULL;
	for (uint32_t i = 0; i < n && r == 0; i++)
		w->gone += b->ops[i].rc == 0;
	return r;
}

/* What names an entry goes back as it came; its id tells it from a later one of the same tuple. */
static int put_delete(struct walk *w, const struct nlmsghdr *entry)
{
	const struct nfgenmsg *from = mnl_nlmsg_get_payload(entry);
	struct nl_batch *b = &w->ctx->batch;
	const struct nlattr *attr;
	struct nfgenmsg *nfg;
	int r = nl_batch_room(b) ? 0 : flush(w);

	if (r < 0)
		return r;
	nfg = nl_msg(b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, sizeof(*nfg),
		     "conntrack_delete", NULL);
	nfg->nfgen_family = from->nfgen_family;
	nfg->version = NFNETLINK_V0;
	mnl_attr_for_each(attr, entry, sizeof(*from)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == CTA_TUPLE_ORIG || type == CTA_ZONE || type == CTA_ID)
			nl_put(b, attr->nla_type, mnl_attr_get_payload(attr),
			       mnl_attr_get_payload_len(attr), NULL);
	}
	return 0;
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	struct walk *w = arg;
	struct podnet_conntrack entry;
	int r = ct_parse(nlh, &entry);

	if (r < 0 || !ct_matches(w->filter, &entry))
		return 0;
	if (!w->deletes)
		return w->each(&entry, w->arg);
	r = w->each ? w->each(&entry, w->arg) : 1;
	return r > 0 ? put_delete(w, nlh) : r;
}

static int open_sockets(struct podnet *ctx)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ctx->ct) && r == 0; i++)
		if (ctx->ct[i].fd < 0)
			r = nl_open_at(&ctx->ct[i], NETLINK_NETFILTER, ctx->netns_fd);
	return r;
}

static int walk(struct walk *w)
{
	static const struct podnet_conntrack_filter all;
	uint8_t buf[CT_REQUEST_BYTES] __attribute__((aligned(8)));
	struct nl *nl = &w->ctx->ct[READS];
	struct podnet_error why = { 0 };
	int r;

	w->filter = w->filter ? w->filter : &all;
	r = ct_check(w->filter, w->err);
	if (r < 0)
		return r;
	r = open_sockets(w->ctx);
	if (r < 0)
		return pn_err(w->err, r, "conntrack_open", NULL, NULL);
	r = nl_dump(nl, ct_request(buf, w->filter, true), on_entry, NULL, w, &why);
	/* a kernel that knows a part of the filter not at all: all of it is looked at here then */
	if (r == -EOPNOTSUPP && why.code == r)
		r = nl_dump(nl, ct_request(buf, w->filter, false), on_entry, NULL, w, &why);
	if (r < 0 && w->err && why.code == r)
		*w->err = why;
	return r;
}

int podnet_conntrack_list(struct podnet *ctx, const struct podnet_conntrack_filter *filter,
			  int (*each)(const struct podnet_conntrack *entry, void *arg), void *arg,
			  struct podnet_error *err)
{
	struct walk w = { .ctx = ctx, .filter = filter, .each = each, .arg = arg, .err = err };

	return walk(&w);
}

int podnet_conntrack_delete(struct podnet *ctx, const struct podnet_conntrack_filter *filter,
			    int (*match)(const struct podnet_conntrack *entry, void *arg),
			    void *arg, struct podnet_error *err)
{
	struct walk w = { .ctx = ctx, .filter = filter, .each = match, .arg = arg,
			  .deletes = true, .err = err };
	int r = walk(&w), sent = flush(&w);

	if (r == 0)
		r = sent;
	return r < 0 ? r : w.gone;
}
