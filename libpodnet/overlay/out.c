/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * out.c - from the device to the socket
 *
 * Room: overlay.
 *
 * Packets are read one behind the other into one buffer, for the device gives one a call, until
 * there is none left or a buffer is full.  Then datagrams of one length to one peer go as one
 * message, which the kernel cuts (UDP_SEGMENT), and all messages in one call.
 * #syscalls: read sendmmsg sendmsg ppoll poll
 */
#include "inner.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <unistd.h>

#define RUN_MAX     64u             /* UDP_MAX_SEGMENTS of Linux before 6.9 */
#define RUN_BYTES   65000u          /* of a message: IPv6's length field holds them with a UDP header */
#define TURN        64u             /* packets of the device */
#define PATIENCE_MS 10

union segment_size {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

/* How many datagrams from @v on can go as one message. */
static size_t run_of(const struct queue *q, const struct datagram *v, size_t n)
{
	uint32_t total = v[0].len;
	size_t k = 1;

	while (q->gso && k < n && k < RUN_MAX && v[k].peer == v[0].peer && v[k].len <= v[0].len &&
	       v[k - 1].len == v[0].len && total + v[k].len <= RUN_BYTES)
		total += v[k++].len;
	return k;
}

static void address(struct msghdr *h, struct peer *p, struct iovec *iov)
{
	h->msg_name = &p->at;
	h->msg_namelen = p->at_len;
	h->msg_iov = iov;
}

static void append(struct msghdr *h, const struct datagram *d)
{
	struct iovec *last = h->msg_iovlen ? &h->msg_iov[h->msg_iovlen - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == d->at)
		last->iov_len += d->len;
	else
		h->msg_iov[h->msg_iovlen++] = (struct iovec){ d->at, d->len };
}

static void cut_into(struct msghdr *h, union segment_size *size, uint16_t len)
{
	struct cmsghdr *c;

	h->msg_control = size->bytes;
	h->msg_controllen = sizeof(size->bytes);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(len));
	memcpy(CMSG_DATA(c), &len, sizeof(len));
}

static void sent(struct queue *q, const struct datagram *v, size_t n, bool ok)
{
	struct counters *c = v[0].peer->counters;
	unsigned long bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].len;
	if (v[0].peer->framing == PODNET_OVERLAY_PI)
		bytes -= n * PI_SIZE;
	if (ok) {
		count(&c->out_packets, n);
		count(&c->out_bytes, bytes);
		return;
	}
	count(&c->out_dropped, n);
	drop(q, PODNET_OVERLAY_OUT_REFUSED, n);
}

/*
 * An error of an earlier datagram, as when nobody listened there (ICMP), is told by the next call
 * and is no reason not to send this one.  A full socket gets a moment.
 */
static bool again(const struct queue *q, int error)
{
	struct pollfd p = { q->udp, POLLOUT, 0 };

	if (error == EAGAIN || error == ENOBUFS)
		return poll(&p, 1, PATIENCE_MS) > 0;
	return error == ECONNREFUSED || error == EINTR;
}

static void send_one_by_one(struct queue *q, const struct datagram *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct iovec iov = { v[i].at, v[i].len };
		struct msghdr h = { .msg_iovlen = 1 };
		ssize_t r;

		address(&h, v[i].peer, &iov);
		r = sendmsg(q->udp, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && again(q, errno))
			r = sendmsg(q->udp, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent(q, &v[i], 1, r >= 0);
	}
}

struct messages {
	struct mmsghdr v[DATAGRAMS];
	struct iovec iov[DATAGRAMS];
	union segment_size size[DATAGRAMS];
	uint16_t first[DATAGRAMS + 1];  /* datagram that a message begins with */
	unsigned int n;
};

static void gather(struct queue *q, struct messages *m)
{
	struct out *o = &q->out;
	size_t i = 0, niov = 0;

	for (m->n = 0; i < o->n; m->n++) {
		const struct datagram *d = &o->v[i];
		size_t k = run_of(q, d, o->n - i);
		struct msghdr *h = &m->v[m->n].msg_hdr;

		*h = (struct msghdr){ 0 };
		address(h, d->peer, m->iov + niov);
		for (size_t j = 0; j < k; j++)
			append(h, &d[j]);
		niov += h->msg_iovlen;
		if (k > 1)
			cut_into(h, &m->size[m->n], (uint16_t)d->len);
		m->first[m->n] = (uint16_t)i;
		i += k;
	}
	m->first[m->n] = (uint16_t)i;
}

/* The message that was refused: its datagrams one by one if that can help, as when they are too long. */
static void refused(struct queue *q, const struct messages *m, unsigned int i, int error)
{
	const struct datagram *d = &q->out.v[m->first[i]];
	size_t n = m->first[i + 1] - m->first[i];

	if ((n > 1 && (error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP)) ||
	    again(q, error))
		send_one_by_one(q, d, n);
	else
		sent(q, d, n, false);
}

static void send_out(void *arg)
{
	struct queue *q = arg;
	struct messages m;
	unsigned int at = 0;

	gather(q, &m);
	while (at < m.n) {
		int n = sendmmsg(q->udp, m.v + at, m.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0) {
			refused(q, &m, at, n < 0 ? errno : EAGAIN);
			at++;
			continue;
		}
		for (int i = 0; i < n; i++, at++)
			sent(q, &q->out.v[m.first[at]], m.first[at + 1] - m.first[at], true);
	}
	q->out.n = q->out.ncut = 0;
}

static void carry(struct queue *q, const struct virtio_net_hdr *vnet, uint8_t *ip, size_t len)
{
	struct packet p;
	struct peer *peer;

	if (!pn_packet_look(ip, len, &p)) {
		drop(q, PODNET_OVERLAY_OUT_MALFORMED, 1);
		return;
	}
	if (!pn_table_local(q->table, p.version, p.src)) {
		drop(q, PODNET_OVERLAY_OUT_SOURCE, 1);
		return;
	}
	peer = pn_table_owner(q->table, p.version, p.dst);
	if (!peer) {
		drop(q, PODNET_OVERLAY_OUT_NO_PEER, 1);
		return;
	}
	if (pn_segment(&q->out, vnet, &p, peer, send_out, q) < 0)
		drop(q, PODNET_OVERLAY_OUT_MALFORMED, 1);
}

/*
 * At @at is room for what stands ahead of the packet, and for a packet.  How much of it is needed
 * until all is sent; of what is cut nothing: the next one comes to the same place, which is still in
 * the processor's cache.
 */
static ssize_t read_one(struct queue *q, uint8_t *at)
{
	struct virtio_net_hdr vnet = { 0 };
	size_t ahead = q->vnet ? sizeof(vnet) : 0;
	uint8_t *from = at + HEAD_ROOM - ahead;
	ssize_t n = read(q->tun, from, ahead + PIECE_MAX);

	if (n < 0)
		return -errno;
	if (n <= (ssize_t)ahead)
		return 0;
	if (!q->out.n)                  /* datagrams that wait point to peers */
		pn_refresh(q);
	memcpy(&vnet, from, ahead);
	carry(q, &vnet, at + HEAD_ROOM, (size_t)n - ahead);
	return vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE ? n + HEAD_ROOM : 0;
}

int pn_queue_out(struct queue *q)
{
	size_t used = 0;
	ssize_t n = 0;
	unsigned int i;

	for (i = 0; i < TURN && used + HEAD_ROOM + PIECE_MAX <= ARENA && q->out.ncut + CUT_ROOM <= CUT_SIZE;
	     i++) {
		n = read_one(q, q->arena + used);
		if (n < 0)
			break;
		used += ((size_t)n + 15) & ~(size_t)15;
	}
	if (q->out.n)
		send_out(q);
	if (n < 0 && n != -EAGAIN && n != -EINTR)
		return (int)n;
	return i > 0;
}
