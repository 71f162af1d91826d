/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.c - what the device gave, up to 64 KiB of one flow, to datagrams of the size asked for
 *
 * Room: overlay; pure.
 *
 * What a network card does with TSO and USO: each datagram gets the headers of the whole with its
 * own length, sequence number and checksum.  The payload is copied behind the headers where it is
 * summed up, which costs nothing more: the kernel takes many datagrams that lie one behind the other
 * in half the time that it takes for as many headers and payloads in places of their own.
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
	uint64_t common;            /* of the transport's checksum: what is the same in all */
	void (*flush)(void *arg);
	void *arg;
};

static void begin(struct cut *c, size_t len)
{
	struct out *o = c->o;

	if (o->n + 1 > DATAGRAMS || o->ncut + len > CUT_SIZE)
		c->flush(c->arg);
}

static void add(struct cut *c, uint8_t *at, size_t len)
{
	struct out *o = c->o;

	o->v[o->n++] = (struct datagram){ c->peer, at, (uint32_t)len };
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
	begin(c, 0);
	memcpy(c->p->ip - ahead, pi, ahead);
	add(c, c->p->ip - ahead, c->p->len + ahead);
	return 1;
}

/*
 * The sum of the addresses and of the transport header, without what send_part() puts there.  A field
 * that has just been written is not read again for it: that would wait until it is stored.
 */
static uint64_t common_sum(const struct cut *c)
{
	uint8_t header[HEAD_MAX];
	uint32_t len = c->head - c->l4;

	memcpy(header, c->p->ip + c->l4, len);
	memset(header + 4, 0, 4);       /* TCP: sequence number; UDP: length, checksum */
	if (c->tcp) {
		memset(header + 12, 0, 2);      /* flags */
		memset(header + 16, 0, 2);
	}
	return pn_sum_add(pn_sum_pseudo(c->p, c->tcp ? IPPROTO_TCP : IPPROTO_UDP, 0), header, len);
}

/* Both return the sum of what they wrote. */
static uint64_t put_tcp(const struct cut *c, uint8_t *tcp, uint32_t offset, bool last)
{
	uint32_t seq = get32(c->p->ip + c->l4 + 4) + offset;
	uint16_t flags = get16(c->p->ip + c->l4 + 12);

	if (!last)
		flags &= (uint16_t)~TCP_FIN_PSH;
	if (offset)
		flags &= (uint16_t)~TCP_CWR;
	put32(tcp + 4, seq);
	put16(tcp + 12, flags);
	return (uint64_t)htonl(seq) + htons(flags);
}

static uint64_t put_udp(uint8_t *udp, uint32_t len)
{
	put16(udp + 4, (uint16_t)len);
	return htons((uint16_t)len);
}

/* The @i-th datagram, with @len bytes of payload from @offset on. */
static void send_part(struct cut *c, uint32_t i, uint32_t offset, uint32_t len)
{
	const struct packet *p = c->p;
	uint32_t header = c->head - c->l4;
	uint8_t *head, *ip, *l4;
	uint16_t folded;
	uint64_t sum;
	size_t ahead;

	begin(c, PI_SIZE + c->head + len);
	head = c->o->cut + c->o->ncut;
	ahead = pn_framing_put(c->peer->framing, p->version, head);
	ip = head + ahead;
	l4 = ip + c->l4;
	memcpy(ip, p->ip, c->head);
	if (p->version == 4)
		put16(ip + 4, (uint16_t)(get16(p->ip + 4) + i));
	pn_ip_finish(ip, p->version, c->l4, c->head + len);
	sum = c->common + htonl(header + len);     /* the length is of the pseudo header */
	sum += c->tcp ? put_tcp(c, l4, offset, c->head + offset + len == p->len) : put_udp(l4, header + len);
	/* the header is even, so the payload begins at an even place */
	folded = (uint16_t)~pn_sum_fold(pn_sum_copy(sum, l4 + header, p->ip + c->head + offset, len));
	if (!folded && !c->tcp)
		folded = 0xffff;
	memcpy(l4 + (c->tcp ? 16 : 6), &folded, sizeof(folded));
	add(c, head, ahead + c->head + len);
	c->o->ncut += ahead + c->head + len;
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
	c.common = common_sum(&c);
	payload = p->len - c.head;
	do {
		uint32_t len = payload - offset < c.size ? payload - offset : c.size;

		send_part(&c, i++, offset, len);
		offset += len;
	} while (offset < payload);
	return (int)i;
}
