/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * batch.c - requests built calmly, sent once, every ack read
 *
 * Room: bytes.  May include: libpodnet/base, libmnl, linux/.
 *
 * The buffer has one size for life, so that pointers into the message being built stay good.
 * Behind it lies a spare area of SPILL bytes: when a thing does not fit, its builder is handed
 * that instead, writes there in peace, and learns of it from nl_batch_send().
 *
 * The kernel handles a datagram inside sendmsg(2) and queues refusals and the last request's ack
 * before it returns, so reading never waits: an empty queue means that acks were lost.
 */
#include "ack.h"

#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nl/nl.h>
#include <stdio.h>
#include <sys/socket.h>

#define SPILL 4096
#define REQUEST_MAX 4096            /* what nl_batch_room() keeps free for the next request */

int nl_batch_init(struct nl_batch *b)
{
	memset(b, 0, sizeof(*b));
	b->buf = malloc(NL_BATCH_BYTES + SPILL);
	return b->buf ? 0 : -ENOMEM;
}

void nl_batch_fini(struct nl_batch *b)
{
	free(b->buf);
	b->buf = NULL;
}

bool nl_batch_room(const struct nl_batch *b)
{
	return b->n < NL_BATCH_MAX && b->len + REQUEST_MAX <= NL_BATCH_BYTES;
}

static void *spill(struct nl_batch *b, int code)
{
	if (!b->sticky)
		b->sticky = code;
	return memset(b->buf + NL_BATCH_BYTES, 0, SPILL);
}

/* aligned zeroed bytes at the end of the current message, or of the spare area */
static void *extend(struct nl_batch *b, size_t len)
{
	size_t room = NLMSG_ALIGN(len);
	uint8_t *at = b->buf + b->len;

	if (b->sticky || len > SPILL || b->len + room > NL_BATCH_BYTES)
		return spill(b, -EMSGSIZE);
	memset(at, 0, room);
	b->len += room;
	if (b->nlh)
		b->nlh->nlmsg_len += (uint32_t)room;
	return at;
}

void *nl_msg(struct nl_batch *b, uint16_t type, uint16_t flags, size_t header, const char *step,
	     const void *tag)
{
	struct nlmsghdr *nlh;
	struct nl_op *op;

	b->nlh = NULL;
	if (b->sticky || b->n >= NL_BATCH_MAX || header > SPILL - NLMSG_HDRLEN)
		return spill(b, -EMSGSIZE);
	op = &b->ops[b->n];
	memset(op, 0, sizeof(*op));
	op->step = step;
	op->tag = tag;
	op->at = (uint32_t)b->len;
	op->rc = -EINPROGRESS;
	nlh = extend(b, NLMSG_HDRLEN + header);
	if (b->sticky)
		return nlh;
	b->n++;
	b->nlh = nlh;
	nlh->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(header));
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags | NLM_F_REQUEST | NLM_F_ACK;
	return NLMSG_DATA(nlh);
}

static void note_field(struct nl_batch *b, const struct nlattr *attr, const char *field)
{
	struct nl_op *op = &b->ops[b->n - 1];

	if (!field || op->nfields == ARRAY_SIZE(op->fields))
		return;
	op->fields[op->nfields].off = (uint16_t)((const uint8_t *)attr - (uint8_t *)b->nlh);
	op->fields[op->nfields++].field = field;
}

void nl_put(struct nl_batch *b, uint16_t attr, const void *data, size_t len, const char *field)
{
	struct nlattr *nla;

	if (!b->nlh || len > SPILL - NLA_HDRLEN) {
		spill(b, -EMSGSIZE);
		return;
	}
	nla = extend(b, NLA_HDRLEN + len);
	nla->nla_type = attr;
	nla->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len)
		memcpy((uint8_t *)nla + NLA_HDRLEN, data, len);
	if (!b->sticky)
		note_field(b, nla, field);
}

void nl_put_u8(struct nl_batch *b, uint16_t attr, uint8_t v, const char *field)
{
	nl_put(b, attr, &v, sizeof(v), field);
}

void nl_put_u16(struct nl_batch *b, uint16_t attr, uint16_t v, const char *field)
{
	nl_put(b, attr, &v, sizeof(v), field);
}

void nl_put_u32(struct nl_batch *b, uint16_t attr, uint32_t v, const char *field)
{
	nl_put(b, attr, &v, sizeof(v), field);
}

void nl_put_u64(struct nl_batch *b, uint16_t attr, uint64_t v, const char *field)
{
	nl_put(b, attr, &v, sizeof(v), field);
}

void nl_put_str(struct nl_batch *b, uint16_t attr, const char *v, const char *field)
{
	nl_put(b, attr, v, strlen(v) + 1, field);
}

struct nlattr *nl_nest(struct nl_batch *b, uint16_t attr)
{
	struct nlattr *nla = b->nlh ? extend(b, NLA_HDRLEN) : spill(b, -EMSGSIZE);

	nla->nla_type = attr | NLA_F_NESTED;
	nla->nla_len = NLA_HDRLEN;
	return nla;
}

void nl_nest_end(struct nl_batch *b, struct nlattr *nest)
{
	size_t len = (size_t)(b->buf + b->len - (uint8_t *)nest);

	if (b->sticky)
		return;
	if (len > UINT16_MAX)
		spill(b, -EMSGSIZE);
	else
		nest->nla_len = (uint16_t)len;
}

void *nl_reserve(struct nl_batch *b, size_t len)
{
	return b->nlh ? extend(b, len) : spill(b, -EMSGSIZE);
}

/* the member whose attribute holds the offset: the attribute itself, or the nest around it */
static const char *field_at(const struct nl_batch *b, const struct nl_op *op, uint32_t off)
{
	const uint8_t *msg = b->buf + op->at;
	const char *found = NULL;

	for (size_t i = 0; i < op->nfields; i++) {
		struct nlattr nla;

		memcpy(&nla, msg + op->fields[i].off, sizeof(nla));
		if (off >= op->fields[i].off && off < (uint32_t)op->fields[i].off + nla.nla_len)
			found = op->fields[i].field;
	}
	return found;
}

struct acks {
	struct nl_batch *b;
	uint32_t n;                 /* requests */
	const void *failed;
	struct podnet_error *err;
	int rc;
};

static void on_ack(struct acks *a, const struct nlmsghdr *nlh)
{
	uint32_t i = nlh->nlmsg_seq - a->b->first_seq;
	struct nl_op *op;
	struct nl_ack ack;

	/* a late ack of an earlier batch, or the answer to a request that asks for one */
	if (i >= a->n || nlh->nlmsg_type != NLMSG_ERROR || nl_ack_parse(nlh, &ack) < 0)
		return;
	op = &a->b->ops[i];
	if (op->rc != -EINPROGRESS)
		return;
	op->rc = ack.rc;
	if (!op->rc || a->rc || (a->b->tolerate && a->b->tolerate(op, op->rc)))
		return;
	a->rc = pn_err(a->err, op->rc, op->step, ack.off ? field_at(a->b, op, ack.off) : NULL,
		       ack.text);
	a->failed = op->tag;
}

static int read_acks(struct nl *nl, struct acks *a)
{
	uint8_t buf[NL_RECV_BYTES] __attribute__((aligned(8)));

	while (a->b->ops[a->n - 1].rc == -EINPROGRESS) {
		ssize_t left = nl_recv(nl->fd, buf, sizeof(buf));

		if (left < 0)
			return (int)left;
		for (const struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, (int)left);) {
			if (nlh->nlmsg_pid == nl->portid)
				on_ack(a, nlh);
			left -= NLMSG_ALIGN(nlh->nlmsg_len);
			nlh = (const void *)((const uint8_t *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
		}
	}
	for (uint32_t i = 0; i < a->n; i++)
		if (a->b->ops[i].rc == -EINPROGRESS)
			a->b->ops[i].rc = 0;
	return 0;
}

/*
 * Sequence numbers are the socket's: given as late as possible, so a batch knows no socket.  Only
 * the last request asks for an ack; a refusal is told anyway (netlink(7)), and told before.
 */
static void number(struct nl *nl, struct nl_batch *b)
{
	b->first_seq = nl->seq;
	for (uint32_t i = 0; i < b->n; i++) {
		struct nlmsghdr *nlh = (void *)(b->buf + b->ops[i].at);

		nlh->nlmsg_seq = nl->seq++;
		nlh->nlmsg_pid = nl->portid;
		if (i + 1 < b->n)
			nlh->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	}
}

static int send_and_read(struct nl *nl, struct nl_batch *b, const void **failed,
			 struct podnet_error *err)
{
	struct acks a = { .b = b, .n = b->n, .err = err };
	int r;

	number(nl, b);
	r = nl_send(nl->fd, b->buf, b->len);
	if (r < 0)
		return pn_err(err, r, "batch_send", NULL, NULL);
	r = read_acks(nl, &a);
	if (a.rc && failed)
		*failed = a.failed;
	if (a.rc || !r)
		return a.rc;
	return pn_err(err, r, "batch_acks", NULL, NULL);
}

int nl_batch_send(struct nl *nl, struct nl_batch *b, const void **failed, struct podnet_error *err)
{
	int r = 0;

	if (failed)
		*failed = NULL;
	if (b->sticky)
		r = pn_err(err, b->sticky, "batch_build", NULL, NULL);
	else if (b->n)
		r = send_and_read(nl, b, failed, err);
	b->len = 0;
	b->n = 0;
	b->nlh = NULL;
	b->sticky = 0;
	return r;
}
