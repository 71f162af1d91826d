/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * merge.c - packets of one flow that follow each other, to one piece for the device
 *
 * Room: overlay; pure but for handing a piece on.
 *
 * What a network card does with GRO, and by the same rules: headers equal but for what TCP counts
 * up, each payload as long as the first but the last, and each checksum right, for a piece has none
 * of its own any more: the kernel believes it.  A packet that is alone is handed on as it came, and
 * the kernel looks at its checksum.  Cut again, a piece gives the packets that it was made of.
 * Payload that is joined is copied behind what is there while it is summed up: the kernel takes one
 * long place in memory faster than many short ones.
 * Source: Linux net/ipv4/tcp_offload.c, net/ipv4/udp_offload.c, net/core/gro.c.
 */
#include "inner.h"

#define TCP_PSH     0x08
#define TCP_ACK     0x10
#define DONT_FRAGMENT 0x4000

static uint32_t payload_of(const struct packet *p)
{
	return p->len - p->data;
}

static bool checksum_right(const struct packet *p)
{
	uint32_t len = p->len - p->l4;

	return pn_sum_fold(pn_sum_add(pn_sum_pseudo(p, p->protocol, len), p->ip + p->l4, len)) == 0xffff;
}

/* Can anything be joined with it, if its checksum is right?  Of IPv4 no options. */
static bool joinable(const struct packet *p, bool tcp, bool udp)
{
	const uint8_t *l4 = p->ip + p->l4;

	if (!p->data || !payload_of(p) || (p->version == 4 && p->l4 != 20))
		return false;
	if (p->protocol == IPPROTO_TCP)
		return tcp && (l4[13] & ~TCP_PSH) == TCP_ACK;
	return udp && get16(l4 + 6) != 0;
}

/* Equal but for length, identification and checksum; those of a TCP that may not be cut count up. */
static bool same_ip(const struct merge *m, const struct packet *p)
{
	const uint8_t *a = m->first.ip, *b = p->ip;

	if (p->version == 6)
		return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 34) == 0;
	if (memcmp(a, b, 2) != 0 || memcmp(a + 6, b + 6, 4) != 0 || memcmp(a + 12, b + 12, 8) != 0)
		return false;
	return get16(b + 6) & DONT_FRAGMENT || get16(b + 4) == (uint16_t)(m->last_id + 1);
}

static bool same_transport(const struct merge *m, const struct packet *p)
{
	const uint8_t *a = m->first.ip + m->first.l4, *b = p->ip + p->l4;

	if (memcmp(a, b, 4) != 0)       /* ports */
		return false;
	if (p->protocol == IPPROTO_UDP)
		return true;
	return p->data == m->first.data && get32(b + 4) == get32(a + 4) + (m->len - m->first.data) &&
	       memcmp(a + 8, b + 8, 5) == 0 && (b[13] & ~TCP_PSH) == TCP_ACK &&
	       memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, p->data - p->l4 - 18u) == 0;
}

static bool follows(const struct merge *m, const struct packet *p)
{
	const struct packet *f = &m->first;

	return m->size && !m->sealed && f->version == p->version && f->protocol == p->protocol &&
	       f->l4 == p->l4 && m->packets < MERGE_MAX && payload_of(p) && payload_of(p) <= m->size &&
	       m->len + payload_of(p) <= PIECE_MAX && p->data && same_ip(m, p) && same_transport(m, p) &&
	       joinable(p, true, true);
}

/* Its payload to where it would be; false: its checksum is wrong, and it is not there. */
static bool copy_payload(struct merge *m, const struct packet *p)
{
	uint32_t len = p->len - p->l4, at = m->len - m->first.len;
	uint64_t sum = pn_sum_pseudo(p, p->protocol, len);

	sum = pn_sum_add(sum, p->ip + p->l4, p->data - p->l4);     /* even, as TCP's and UDP's headers are */
	return pn_sum_fold(pn_sum_copy(sum, m->room + at, p->ip + p->data, payload_of(p))) == 0xffff;
}

static void join(struct merge *m, const struct packet *p)
{
	uint8_t *l4 = m->first.ip + m->first.l4;

	m->packets++;
	m->len += payload_of(p);
	if (p->version == 4)
		m->last_id = get16(p->ip + 4);
	if (p->protocol == IPPROTO_TCP && p->ip[p->l4 + 13] & TCP_PSH) {
		l4[13] |= TCP_PSH;
		m->sealed = true;
	}
	if (payload_of(p) < m->size)
		m->sealed = true;
}

static void start(struct merge *m, const struct packet *p)
{
	m->vnet = (struct virtio_net_hdr){ 0 };
	m->first = *p;
	m->packets = 1;
	m->len = p->len;
	m->size = 0;
	m->sealed = false;
	if (!joinable(p, m->tcp, m->udp) || !checksum_right(p))
		return;
	/* the kernel need not look again */
	m->vnet.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	m->size = (uint16_t)payload_of(p);
	m->last_id = p->version == 4 ? get16(p->ip + 4) : 0;
	m->sealed = p->protocol == IPPROTO_TCP && p->ip[p->l4 + 13] & TCP_PSH;
}

/* The length of all, and the sum without the payload: the kernel finishes it where that is needed. */
static void seal(struct merge *m)
{
	struct packet *p = &m->first;
	bool tcp = p->protocol == IPPROTO_TCP;
	uint32_t len = m->len - p->l4, at = tcp ? 16 : 6;
	uint16_t sum;

	pn_ip_finish(p->ip, p->version, p->l4, m->len);
	if (!tcp)
		put16(p->ip + p->l4 + 4, (uint16_t)len);
	sum = pn_sum_fold(pn_sum_pseudo(p, p->protocol, len));
	memcpy(p->ip + p->l4 + at, &sum, sizeof(sum));
	m->vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			p->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = p->data, .gso_size = m->size,
		.csum_start = p->l4, .csum_offset = (uint16_t)at,
	};
}

void pn_merge_flush(struct merge *m)
{
	struct iovec iov[PIECE_IOV] = {
		{ &m->vnet, sizeof(m->vnet) }, { m->first.ip, m->first.len },
		{ m->room, m->len - m->first.len },
	};

	if (!m->packets)
		return;
	if (m->packets > 1)
		seal(m);
	if (m->write(m->arg, iov, m->packets > 1 ? PIECE_IOV : PIECE_IOV - 1) < 0)
		m->refused += m->packets;
	m->packets = 0;
}

void pn_merge_add(struct merge *m, const struct packet *p)
{
	if (m->packets && follows(m, p) && copy_payload(m, p)) {
		join(m, p);
		return;
	}
	pn_merge_flush(m);
	start(m, p);
}
