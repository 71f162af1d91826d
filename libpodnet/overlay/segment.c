/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.c - what the device gave, up to 64 KiB of one flow, to datagrams of the size asked for
 *
 * Room: overlay; pure.
 *
 * What a network card does with TSO and USO: each datagram gets the headers of the whole with its
 * own length, sequence number and checksum.  The payload is read once, for the checksum, and copied
 * by the kernel alone: a datagram is two places in memory, its headers and its part of the payload.
 */
#include "inner.h"

#include <errno.h>

#define TCP_FIN_PSH (0x01 | 0x08)
#define TCP_CWR     0x80
#define GSO_KIND(v) ((v)->gso_type & ~VIRTIO_NET_HDR_GSO_ECN)

/** What all datagrams of a piece have in common. */
struct cut {
	struct out *o;
	struct packet *p;
	struct peer *peer;
	bool tcp;
	uint16_t l4, head;          /* offsets in the packet: transport, payload */
	uint16_t size;              /* payload of each but the last */
	uint64_t pseudo;            /* without the length */
	void (*flush)(void *arg);
	void *arg;
};

static void begin(struct cut *c)
{
	struct out *o = c->o;

	if (o->n + 1 > DATAGRAMS || o->niov + 2 > ARRAY_SIZE(o->iov) ||
	    o->nheads + HEAD_MAX > HEADS_SIZE)
		c->flush(c->arg);
	o->v[o->n] = (struct datagram){ .peer = c->peer, .iov = (uint16_t)o->niov };
}

static void add_iov(struct out *o, uint8_t *at, size_t len)
{
	o->iov[o->niov++] = (struct iovec){ at, len };
	o->v[o->n].niov++;
	o->v[o->n].len += (uint32_t)len;
}

/* The checksum of what is behind @start, to a field that holds the sum of what is not there. */
static bool finish_checksum(const struct packet *p, uint32_t start, uint32_t offset)
{
	uint16_t sum;

	if (start < p->l4 || start > p->len || offset + 2 > p->len - start)
		return false;
	sum = (uint16_t)~pn_sum_fold(pn_sum_add(0, p->ip + start, p->len - start));
	if (!sum)
		sum = 0xffff;           /* of UDP 0 says that there is none (RFC 768) */
	memcpy(p->ip + start + offset, &sum, sizeof(sum));
	return true;
}

static int send_whole(struct cut *c, const struct virtio_net_hdr *vnet)
{
	uint8_t pi[PI_SIZE];
	size_t ahead = pn_framing_put(c->peer->framing, c->p->version, pi);

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !finish_checksum(c->p, vnet->csum_start, vnet->csum_offset))
		return -EINVAL;
	begin(c);
	memcpy(c->p->ip - ahead, pi, ahead);
	add_iov(c->o, c->p->ip - ahead, c->p->len + ahead);
	c->o->n++;
	return 1;
}

static uint16_t checksum(const struct cut *c, uint8_t *l4, const uint8_t *data, uint32_t len)
{
	uint32_t header = c->head - c->l4;
	uint8_t total[4];
	uint64_t sum;
	uint16_t folded;

	put32(total, header + len);
	sum = pn_sum_add(c->pseudo, total, sizeof(total));
	sum = pn_sum_add(sum, l4, header);         /* even, so the payload begins at an even place */
	folded = (uint16_t)~pn_sum_fold(pn_sum_add(sum, data, len));
	return folded || c->tcp ? folded : 0xffff;
}

static void finish_tcp(uint8_t *tcp, uint32_t offset, bool first, bool last)
{
	put32(tcp + 4, get32(tcp + 4) + offset);
	if (!last)
		tcp[13] &= (uint8_t)~TCP_FIN_PSH;
	if (!first)
		tcp[13] &= (uint8_t)~TCP_CWR;
}

/* The @i-th datagram, with @len bytes of payload from @offset on. */
static void send_part(struct cut *c, uint32_t i, uint32_t offset, uint32_t len)
{
	const struct packet *p = c->p;
	uint8_t *data = p->ip + c->head + offset, *head, *ip, *l4;
	uint32_t at = c->tcp ? 16 : 6;
	uint16_t sum;
	size_t ahead;

	begin(c);
	head = c->o->heads + c->o->nheads;
	ahead = pn_framing_put(c->peer->framing, p->version, head);
	ip = head + ahead;
	l4 = ip + c->l4;
	memcpy(ip, p->ip, c->head);
	if (p->version == 4)
		put16(ip + 4, (uint16_t)(get16(ip + 4) + i));
	pn_ip_finish(ip, p->version, c->l4, c->head + len);
	if (c->tcp)
		finish_tcp(l4, offset, offset == 0, c->head + offset + len == p->len);
	else
		put16(l4 + 4, (uint16_t)(c->head - c->l4 + len));
	memset(l4 + at, 0, 2);
	sum = checksum(c, l4, data, len);
	memcpy(l4 + at, &sum, sizeof(sum));
	add_iov(c->o, head, ahead + c->head);
	add_iov(c->o, data, len);
	c->o->nheads += (ahead + c->head + 7) & ~(size_t)7;
	c->o->n++;
}

/* Where the headers are; the device says where the transport is, behind whatever extension headers. */
static bool look(struct cut *c, const struct virtio_net_hdr *vnet)
{
	uint8_t kind = GSO_KIND(vnet), version = kind == VIRTIO_NET_HDR_GSO_TCPV6 ? 6 : 4;
	const struct packet *p = c->p;
	uint32_t least;

	c->tcp = kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6;
	least = c->tcp ? 20 : 8;
	if ((!c->tcp && kind != VIRTIO_NET_HDR_GSO_UDP_L4) || (c->tcp && p->version != version) ||
	    !vnet->gso_size || !(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	    vnet->csum_start < p->l4 || vnet->csum_start + least > p->len)
		return false;
	c->l4 = vnet->csum_start;
	c->head = (uint16_t)(c->l4 + (c->tcp ? (p->ip[c->l4 + 12] >> 4) * 4 : 8));
	c->size = vnet->gso_size;
	return c->head >= c->l4 + least && c->head <= p->len && c->head + PI_SIZE <= HEAD_MAX;
}

int pn_segment(struct out *o, const struct virtio_net_hdr *vnet, struct packet *p, struct peer *peer,
	    void (*flush)(void *arg), void *arg)
{
	struct cut c = { .o = o, .p = p, .peer = peer, .flush = flush, .arg = arg };
	uint32_t offset = 0, payload, i = 0;

	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return send_whole(&c, vnet);
	if (!look(&c, vnet))
		return -EINVAL;
	c.pseudo = pn_sum_pseudo(p, c.tcp ? IPPROTO_TCP : IPPROTO_UDP, 0);
	payload = p->len - c.head;
	do {
		uint32_t len = payload - offset < c.size ? payload - offset : c.size;

		send_part(&c, i++, offset, len);
		offset += len;
	} while (offset < payload);
	return (int)i;
}
