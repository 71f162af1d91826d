/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * txn.c - one atomic nf_tables transaction
 *
 * Room: batch header and footer, the send, the answers.  Knows nothing of tables.
 * May include: libpodnet/nl, libpodnet/base, libmnl, libnftnl.
 *
 * Source: Linux net/netfilter/nfnetlink.c, nfnetlink_rcv_batch(): all of it runs inside sendmsg(),
 * so when that returns every answer waits in the socket.  Refusals are delivered in the order of
 * the messages; what concerns the batch as a whole (ERESTART, EPERM, ENOMEM, a failed commit)
 * answers the batch header.  Only the last message asks for an ack: a receive buffer holds 256.
 * #syscalls: getsockopt setsockopt
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <libpodnet/nl/ack.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

/* the longest message and some: attribute lengths have 16 bits */
#define MSG_ROOM (72 * 1024)

int nft_socket(struct podnet *ctx, struct podnet_error *err)
{
	int r = ctx->nft.fd >= 0 ? 0 : nl_open_at(&ctx->nft, NETLINK_NETFILTER, ctx->netns_fd);

	return r < 0 ? pn_err(err, r, "nft_open", NULL, NULL) : 0;
}

static int keep_generation(const struct nlmsghdr *nlh, void *arg)
{
	uint32_t *generation = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == NFTA_GEN_ID &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			*generation = ntohl(mnl_attr_get_u32(attr));
	}
	return 0;
}

int nft_generation(struct nl *nl, uint32_t *ret, struct podnet_error *err)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	uint32_t generation = 0;
	int r = nl_get(nl, nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0),
		       keep_generation, &generation, err);

	if (r < 0)
		return r;
	*ret = generation;
	return 0;
}

/* the message being built becomes a finished one */
static void finish(struct nft_txn *t)
{
	if (t->nlh)
		t->len += NLMSG_ALIGN(t->nlh->nlmsg_len);
	t->nlh = NULL;
}

static bool make_room(struct nft_txn *t)
{
	size_t cap = t->cap ? t->cap * 2 : 2 * MSG_ROOM;
	uint8_t *buf;

	if (t->cap - t->len >= MSG_ROOM)
		return true;
	buf = realloc(t->buf, cap);
	if (!buf) {
		t->sticky = -ENOMEM;
		return false;
	}
	t->buf = buf;
	t->cap = cap;
	return true;
}

/* header or footer of the batch */
static void put_frame(struct nft_txn *t, uint16_t type)
{
	struct nfgenmsg *nfg;

	finish(t);
	if (t->sticky || !make_room(t))
		return;
	t->nlh = mnl_nlmsg_put_header(t->buf + t->len);
	t->nlh->nlmsg_type = type;
	t->nlh->nlmsg_flags = NLM_F_REQUEST;
	t->nlh->nlmsg_seq = t->nl->seq++;
	nfg = mnl_nlmsg_put_extra_header(t->nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

void nft_txn_init(struct nft_txn *t, struct nl *nl, uint32_t generation)
{
	*t = (struct nft_txn){ .nl = nl, .first_seq = nl->seq };
	put_frame(t, NFNL_MSG_BATCH_BEGIN);
	if (t->nlh && generation)
		mnl_attr_put_u32(t->nlh, NFNL_BATCH_GENID, htonl(generation));
}

void nft_txn_fini(struct nft_txn *t)
{
	free(t->buf);
	free(t->ops.v);
	*t = (struct nft_txn){ .nl = t->nl };
}

struct nlmsghdr *nft_txn_msg(struct nft_txn *t, uint16_t type, uint16_t flags, const char *step,
			     const char *object)
{
	finish(t);
	if (t->sticky || !make_room(t))
		return NULL;
	t->sticky = pn_grow(&t->ops);
	if (t->sticky)
		return NULL;
	t->ops.v[t->ops.n].step = step;
	snprintf(t->ops.v[t->ops.n++].object, NFT_NAME_SIZE, "%s", object);
	t->nlh = nftnl_nlmsg_build_hdr((char *)t->buf + t->len, type, NFPROTO_INET, flags,
				       t->nl->seq++);
	return t->nlh;
}

/* a batch is one message to the kernel, so the send buffer must hold all of it */
static void widen(const struct nft_txn *t)
{
	int have = 0, want = (int)t->len + 4096;
	socklen_t len = sizeof(have);

	if (getsockopt(t->nl->fd, SOL_SOCKET, SO_SNDBUF, &have, &len) < 0 || have >= want)
		return;
	if (setsockopt(t->nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(t->nl->fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want));
}

struct verdict {
	int rc;                     /* of the first refusal */
	bool lost;                  /* ENOBUFS: some answers are gone */
	bool complete;              /* the last message, or the whole batch, was answered */
};

static void on_answer(struct nft_txn *t, const struct nlmsghdr *nlh, struct verdict *v,
		      struct podnet_error *err)
{
	uint32_t i = nlh->nlmsg_seq - t->first_seq;     /* 0 is the batch header */
	struct nl_ack ack = { 0 };
	const struct nft_op *op;

	if (nlh->nlmsg_type != NLMSG_ERROR || i > t->ops.n || nl_ack_parse(nlh, &ack) < 0)
		return;
	v->complete = v->complete || i == 0 || i == t->ops.n;
	if (v->rc || !ack.rc)
		return;
	op = i ? &t->ops.v[i - 1] : NULL;
	v->rc = pn_err(err, ack.rc, op ? op->step : "nft_batch", NULL, ack.text);
	if (op)
		pn_err_object(err, op->object);
}

static struct verdict read_answers(struct nft_txn *t, struct podnet_error *err)
{
	uint8_t buf[8192] __attribute__((aligned(8)));
	struct verdict v = { 0 };
	ssize_t left;

	while ((left = nl_recv(t->nl->fd, buf, sizeof(buf))) != -EIO) {
		const struct nlmsghdr *nlh = (const void *)buf;
		int bytes = (int)left;

		v.lost = v.lost || left == -ENOBUFS;
		if (left < 0 && left != -ENOBUFS && left != -EMSGSIZE) {
			v.rc = pn_err(err, (int)left, "nft_batch_ack", NULL, NULL);
			return v;
		}
		for (; left > 0 && mnl_nlmsg_ok(nlh, bytes); nlh = mnl_nlmsg_next(nlh, &bytes))
			on_answer(t, nlh, &v, err);
	}
	return v;
}

int nft_txn_send(struct nft_txn *t, struct podnet_error *err)
{
	struct verdict v;
	int r;

	if (t->nlh && t->ops.n)
		t->nlh->nlmsg_flags |= NLM_F_ACK;
	put_frame(t, NFNL_MSG_BATCH_END);
	finish(t);
	if (t->sticky)
		return pn_err(err, t->sticky, "nft_batch_build", NULL, NULL);
	widen(t);
	r = nl_send(t->nl->fd, t->buf, t->len);
	if (r < 0)
		return pn_err(err, r, "nft_batch_send", NULL, NULL);
	v = read_answers(t, err);
	if (v.rc)
		return v.rc;
	if (v.complete)
		return 0;
	return pn_err(err, v.lost ? -ENOBUFS : -EIO, "nft_batch_ack", NULL, NULL);
}
