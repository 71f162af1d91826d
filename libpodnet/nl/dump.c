/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dump.c - reading the kernel: whole dumps and single objects
 *
 * Room: bytes.  May include: libpodnet/base, libmnl, linux/.
 *
 * A dump goes over many datagrams while the kernel changes: it marks one that may have missed
 * something by NLM_F_DUMP_INTR, and the only cure is another one.  A dump that its reader gives up
 * is read to its end all the same, because the socket refuses a second one until then.
 */
#include "ack.h"

#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nl/nl.h>

#define DUMP_REPEATS 8

struct reading {
	struct nl *nl;
	uint32_t seq;
	int (*each)(const struct nlmsghdr *nlh, void *arg);
	void *arg;
	int stopped;                /* what @each returned */
	bool interrupted, done;
	int rc;                     /* refusal of the kernel */
	char text[128];
	uint8_t buf[NL_RECV_BYTES] __attribute__((aligned(8)));
};

static void on_end(struct reading *rd, const struct nlmsghdr *nlh)
{
	struct nl_ack ack = { 0 };
	int r = nl_ack_parse(nlh, &ack);

	rd->done = true;
	/* a message without a code at the end of a dump means success to old kernels */
	rd->rc = r < 0 && nlh->nlmsg_type == NLMSG_ERROR ? r : ack.rc;
	if (ack.text) {
		strncpy(rd->text, ack.text, sizeof(rd->text) - 1);
		rd->text[sizeof(rd->text) - 1] = '\0';
	}
}

static void on_message(struct reading *rd, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_seq != rd->seq || nlh->nlmsg_pid != rd->nl->portid || rd->done)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		rd->interrupted = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
		on_end(rd, nlh);
	else if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && !rd->stopped && !rd->interrupted)
		rd->stopped = rd->each(nlh, rd->arg);
}

static int read_all(struct reading *rd)
{
	while (!rd->done) {
		ssize_t left = nl_recv(rd->nl->fd, rd->buf, sizeof(rd->buf));

		if (left == -ENOBUFS)
			rd->interrupted = true;     /* and go on: the socket must become free */
		else if (left < 0)
			return (int)left;
		for (const struct nlmsghdr *nlh = (void *)rd->buf;
		     left > 0 && mnl_nlmsg_ok(nlh, (int)left);) {
			on_message(rd, nlh);
			left -= NLMSG_ALIGN(nlh->nlmsg_len);
			nlh = (const void *)((const uint8_t *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
		}
	}
	return 0;
}

/* one request and all that answers it; 0, the reader's own code, or an error of the transport */
static int ask(struct reading *rd, struct nlmsghdr *request)
{
	int r;

	rd->stopped = rd->rc = 0;
	rd->interrupted = rd->done = false;
	rd->text[0] = '\0';
	rd->seq = request->nlmsg_seq = rd->nl->seq++;
	request->nlmsg_pid = rd->nl->portid;
	r = nl_send(rd->nl->fd, request, request->nlmsg_len);
	return r < 0 ? r : read_all(rd);
}

int nl_dump(struct nl *nl, struct nlmsghdr *request, int (*each)(const struct nlmsghdr *, void *),
	    void (*reset)(void *), void *arg, struct podnet_error *err)
{
	struct reading rd = { .nl = nl, .each = each, .arg = arg };

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	for (int i = 0; i <= DUMP_REPEATS; i++) {
		int r;

		if (i > 0 && reset)
			reset(arg);
		r = ask(&rd, request);
		/* what was lost may have been the end itself, and then the queue runs dry */
		if (r == -EIO && rd.interrupted)
			continue;
		if (r < 0)
			return pn_err(err, r, "dump", NULL, NULL);
		if (rd.stopped)
			return rd.stopped;
		if (rd.interrupted || rd.rc == -EINTR)
			continue;
		return rd.rc ? pn_err(err, rd.rc, "dump", NULL, rd.text) : 0;
	}
	return pn_err_why(err, -EAGAIN, "dump", NULL, "interrupted by changes, again and again");
}

int nl_get(struct nl *nl, struct nlmsghdr *request, int (*each)(const struct nlmsghdr *, void *),
	   void *arg, struct podnet_error *err)
{
	struct reading rd = { .nl = nl, .each = each, .arg = arg };
	int r;

	/* the ack that follows the answer says that there is no more */
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	r = ask(&rd, request);
	if (r < 0)
		return pn_err(err, r, "get", NULL, NULL);
	if (rd.stopped)
		return rd.stopped;
	return rd.rc ? pn_err(err, rd.rc, "get", NULL, rd.text) : 0;
}
