/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * in.c - from the socket to the device
 *
 * Room: overlay.
 *
 * A message that is received is one datagram, or several of one length of one sender, one behind
 * the other (UDP_GRO).  Each is looked at by itself.
 * #syscalls: recvmmsg writev
 */
#include "inner.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>

struct incoming {
	struct mmsghdr v[MESSAGES];
	struct iovec iov[MESSAGES];
	struct sockaddr_storage from[MESSAGES];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control[MESSAGES];
};

int pn_incoming_new(struct incoming **ret, uint8_t *messages)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	for (size_t i = 0; i < MESSAGES; i++)
		in->iov[i] = (struct iovec){ messages + i * MESSAGE_SIZE + HEAD_ROOM, 65535 };
	*ret = in;
	return 0;
}

static void rearm(struct incoming *in, size_t i)
{
	in->v[i].msg_hdr = (struct msghdr){
		.msg_name = &in->from[i], .msg_namelen = sizeof(in->from[i]),
		.msg_iov = &in->iov[i], .msg_iovlen = 1,
		.msg_control = in->control[i].bytes, .msg_controllen = sizeof(in->control[i].bytes),
	};
}

/* Length of each datagram of a message but the last. */
static size_t part_of(struct msghdr *h, size_t len)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int size = 0;

	if (c && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO &&
	    c->cmsg_len >= CMSG_LEN(sizeof(size)))
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 ? (size_t)size : len;
}

static void refuse(struct queue *q, struct peer *peer, enum podnet_overlay_drop why, unsigned long n)
{
	drop(q, why, n);
	if (peer)
		count(&peer->counters->in_dropped, n);
}

/* One datagram; its bytes of IP, or 0: dropped. */
static uint32_t take(struct queue *q, struct peer *peer, uint8_t *data, size_t len)
{
	int skip = pn_framing_take(peer->framing, data, len);
	struct packet p;

	if (skip < 0 || !pn_packet_look(data + skip, len - (size_t)skip, &p)) {
		refuse(q, peer, PODNET_OVERLAY_IN_MALFORMED, 1);
		return 0;
	}
	if (pn_table_owner(q->table, p.version, p.src) != peer) {
		refuse(q, peer, PODNET_OVERLAY_IN_SOURCE, 1);
		return 0;
	}
	if (!pn_table_local(q->table, p.version, p.dst)) {
		refuse(q, peer, PODNET_OVERLAY_IN_DESTINATION, 1);
		return 0;
	}
	pn_merge_add(&q->merge, &p);
	return p.len;
}

void pn_queue_take(struct queue *q, const struct sockaddr_storage *from, uint8_t *data, size_t len, size_t part)
{
	struct peer *peer = pn_table_source(q->table, from);
	size_t parts = part ? (len + part - 1) / part : 1;
	unsigned long packets = 0, bytes = 0;

	if (!peer || !len) {
		refuse(q, peer, peer ? PODNET_OVERLAY_IN_MALFORMED : PODNET_OVERLAY_IN_STRANGER, parts);
		return;
	}
	for (size_t at = 0; at < len; at += part) {
		uint32_t n = take(q, peer, data + at, len - at < part ? len - at : part);

		packets += n > 0;
		bytes += n;
	}
	if (packets) {
		count(&peer->counters->in_packets, packets);
		count(&peer->counters->in_bytes, bytes);
	}
}

/* The buffer holds the longest datagram there is, so one that was cut is none. */
static void take_message(struct queue *q, struct msghdr *h, size_t len)
{
	size_t whole = h->msg_flags & MSG_TRUNC ? 0 : len;

	pn_queue_take(q, h->msg_name, h->msg_iov->iov_base, whole, part_of(h, len));
}

/*
 * An error that waits at the socket is of a datagram that was sent: it is read, and that is all.
 * Of others there is nothing to be done here either, but the next call may find a datagram.
 */
int pn_queue_in(struct queue *q)
{
	struct incoming *in = q->incoming;
	int n;

	for (size_t i = 0; i < MESSAGES; i++)
		rearm(in, i);
	n = recvmmsg(q->udp, in->v, MESSAGES, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno != EAGAIN;
	pn_refresh(q);
	for (int i = 0; i < n; i++)
		take_message(q, &in->v[i].msg_hdr, in->v[i].msg_len);
	pn_merge_flush(&q->merge);
	if (q->merge.refused)
		drop(q, PODNET_OVERLAY_IN_REFUSED, q->merge.refused);
	q->merge.refused = 0;
	return n > 0;
}
