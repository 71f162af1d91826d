/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_overlay.c - any bytes as datagrams of peers and strangers, and as pieces of the device
 *
 * A record is a byte, a length of two bytes and so many bytes.  The lower two bits of the byte say who
 * sends: nobody we know, a peer with bare packets, one with framed ones, or the device; of a peer the
 * rest is the length of a datagram (times 8), 0: it is one.  What goes to the device has a source of the
 * peer that sent it and a destination of ours; what was joined gives, cut again, what it was made of.
 * What the device gave becomes datagrams that lie in its buffer, and whose packets are whole.
 */
#include "fuzz.h"

#include <errno.h>
#include <libpodnet/overlay/inner.h>

enum { STRANGER, BARE, FRAMED, DEVICE };

struct world {
	struct queue q;
	struct peer *sender;        /* whose datagrams are being looked at */
	size_t largest;             /* and what a piece can have at most */
};

static struct podnet_prefix net(const char *text)
{
	struct podnet_prefix p;

	must(podnet_prefix_parse(text, &p) == 0);
	return p;
}

static struct sockaddr_storage place(int who)
{
	struct podnet_prefix at = net("192.0.2.1");
	struct sockaddr_storage ret;
	socklen_t len;

	at.addr[3] = (uint8_t)who;
	must(pn_socket_address(&at, 9000, &ret, &len) == 0);
	return ret;
}

static struct table *make_table(void)
{
	static const char *const behind[][2] = { { "10.1.0.0/16", "fd01::/16" }, { "10.2.0.0/16", "fd02::/16" } };
	struct podnet_prefix local[] = { net("10.0.0.0/16"), net("fd00::/16") };
	struct peer *peers[2];
	struct table *t;

	for (int i = 0; i < 2; i++) {
		struct podnet_prefix nets[] = { net(behind[i][0]), net(behind[i][1]) };
		struct podnet_overlay_peer spec = {
			.address = net(i ? "192.0.2.2" : "192.0.2.1"), .port = 9000, .prefixes = nets, .nprefixes = 2,
			.framing = i ? PODNET_OVERLAY_PI : PODNET_OVERLAY_RAW,
		};

		peers[i] = pn_peer_make(&spec, NULL);
		must(peers[i]);
	}
	t = pn_table_make(peers, 2, local, 2);
	must(t);
	pn_peer_unref(peers[0]);
	pn_peer_unref(peers[1]);
	return t;
}

/* ---- to the device ---- */

/** A piece cut again, beside what it was made of. */
struct again {
	const struct iovec *iov;    /* of the piece: vnet, the first packet, payload, payload ... */
	uint8_t *piece;             /* as it lies in one place */
	size_t at;                  /* datagrams seen */
	struct out *out;
};

static void check_cut(void *arg)
{
	struct again *a = arg;

	for (size_t i = 0; i < a->out->n; i++, a->at++) {
		const struct datagram *d = &a->out->v[i];
		const struct iovec *parts = &a->out->iov[d->iov], *from = &a->iov[1 + a->at];
		size_t head = parts[0].iov_len, skip = a->at ? 0 : head;
		struct packet p;
		uint8_t *whole = malloc(d->len);

		must(whole && d->niov == 2 && parts[1].iov_len == from->iov_len - skip);
		must(memcmp(parts[1].iov_base, (uint8_t *)from->iov_base + skip, parts[1].iov_len) == 0);
		memcpy(whole, parts[0].iov_base, head);
		memcpy(whole + head, parts[1].iov_base, parts[1].iov_len);
		must(pn_packet_look(whole, d->len, &p) && p.len == d->len && p.data);
		must(pn_sum_fold(pn_sum_add(pn_sum_pseudo(&p, p.protocol, p.len - p.l4), whole + p.l4, p.len - p.l4)) ==
		     0xffff);
		free(whole);
	}
	a->out->n = a->out->niov = a->out->nheads = 0;
}

static void cut_again(const struct virtio_net_hdr *vnet, const struct iovec *iov, size_t niov, size_t len)
{
	struct podnet_overlay_peer spec = { .address = net("192.0.2.9"), .port = 1 };
	struct peer *peer = pn_peer_make(&spec, NULL);
	struct out *out = calloc(1, sizeof(*out));
	uint8_t *room = malloc(HEAD_ROOM + len);
	struct again a = { iov, room + HEAD_ROOM, 0, out };
	struct packet p;

	must(peer && out && room);
	for (size_t i = 1, at = HEAD_ROOM; i < niov; at += iov[i++].iov_len)
		memcpy(room + at, iov[i].iov_base, iov[i].iov_len);
	must(pn_packet_look(a.piece, len, &p) && p.len == len);
	must(pn_segment(out, vnet, &p, peer, check_cut, &a) == (int)niov - 1);
	check_cut(&a);
	must(a.at == niov - 1);
	free(room);
	free(out);
	pn_peer_unref(peer);
}

static int to_device(void *arg, const struct iovec *iov, size_t niov)
{
	struct world *w = arg;
	struct virtio_net_hdr vnet;
	struct packet p;
	size_t len = 0;

	must(niov >= 2 && niov <= MERGE_MAX + 1 && iov[0].iov_len == sizeof(vnet));
	memcpy(&vnet, iov[0].iov_base, sizeof(vnet));
	for (size_t i = 1; i < niov; i++)
		len += iov[i].iov_len;
	/* the first one alone is shorter than its header says when others follow */
	must(len <= PIECE_MAX && iov[1].iov_len >= 20);
	p.ip = iov[1].iov_base;
	if (niov == 2)
		must(pn_packet_look(p.ip, len, &p) && p.len == len && vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE);
	else
		cut_again(&vnet, iov, niov, len);
	p.version = p.ip[0] >> 4;
	if (p.version == 4) {
		must(p.ip[12] == 10 && p.ip[13] == (w->sender->framing == PODNET_OVERLAY_PI ? 2 : 1));
		must(p.ip[16] == 10 && p.ip[17] == 0);
	} else {
		must(p.version == 6 && p.ip[8] == 0xfd && p.ip[24] == 0xfd && p.ip[25] == 0);
		must(p.ip[9] == (w->sender->framing == PODNET_OVERLAY_PI ? 2 : 1));
	}
	return w->largest % 7 == 0 ? -EIO : 0;
}

static void from_peer(struct world *w, uint8_t control, uint8_t *data, size_t len)
{
	struct sockaddr_storage from = place(control & 3);
	size_t part = (size_t)(control >> 2) * 8;

	w->sender = pn_table_source(w->q.table, &from);
	must((w->sender == NULL) == ((control & 3) == STRANGER));
	pn_queue_take(&w->q, &from, data, len, part ? part : len);
	pn_merge_flush(&w->q.merge);
}

/* ---- from the device ---- */

struct given {
	struct out *out;
	const uint8_t *begin, *end; /* of the buffer */
	enum podnet_overlay_framing framing;
	bool cut;
};

static void check_given(void *arg)
{
	struct given *g = arg;

	for (size_t i = 0; i < g->out->n; i++) {
		const struct datagram *d = &g->out->v[i];
		const struct iovec *parts = &g->out->iov[d->iov];
		uint8_t *whole = malloc(d->len ? d->len : 1);
		size_t at = 0;
		struct packet p;
		int skip;

		must(whole && d->niov == (g->cut ? 2 : 1) && d->iov + d->niov <= g->out->niov);
		for (uint16_t k = 0; k < d->niov; at += parts[k++].iov_len)
			memcpy(whole + at, parts[k].iov_base, parts[k].iov_len);
		must(at == d->len);
		must((const uint8_t *)parts[d->niov - 1].iov_base >= g->begin &&
		     (const uint8_t *)parts[d->niov - 1].iov_base + parts[d->niov - 1].iov_len <= g->end);
		skip = pn_framing_take(g->framing, whole, at);
		must(skip >= 0 && pn_packet_look(whole + skip, at - (size_t)skip, &p));
		must(p.len == at - (size_t)skip);
		free(whole);
	}
	g->out->n = g->out->niov = g->out->nheads = 0;
}

static void from_device(struct world *w, uint8_t control, const uint8_t *data, size_t len)
{
	struct virtio_net_hdr vnet;
	struct given g = { .out = &w->q.out };
	struct packet p;
	struct peer *peer;
	uint8_t *room;

	if (len < sizeof(vnet))
		return;
	memcpy(&vnet, data, sizeof(vnet));
	data += sizeof(vnet);
	len -= sizeof(vnet);
	room = malloc(HEAD_ROOM + len);
	must(room);
	memcpy(room + HEAD_ROOM, data, len);
	g.begin = room;
	g.end = room + HEAD_ROOM + len;
	if (pn_packet_look(room + HEAD_ROOM, len, &p)) {
		struct sockaddr_storage at = place(control & 4 ? FRAMED : BARE);

		peer = pn_table_source(w->q.table, &at);
		g.framing = peer->framing;
		g.cut = vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE;
		/* a piece of one byte a datagram is many */
		if (pn_segment(&w->q.out, &vnet, &p, peer, check_given, &g) >= 0)
			check_given(&g);
		else
			must(w->q.out.n == 0);
	}
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));

	must(w);
	w->q.tun = w->q.udp = -1;
	w->q.table = make_table();
	w->q.merge = (struct merge){ .tcp = true, .udp = true, .write = to_device, .arg = w };
	w->largest = size;
	while (size >= 3) {
		size_t len = (size_t)data[1] << 8 | data[2], n = len < size - 3 ? len : size - 3;
		uint8_t *exact = malloc(n ? n : 1);

		must(exact);
		memcpy(exact, data + 3, n);
		if ((data[0] & 3) == DEVICE)
			from_device(w, data[0], exact, n);
		else
			from_peer(w, data[0], exact, n);
		free(exact);
		data += 3 + n;
		size -= 3 + n;
	}
	pn_table_unref(w->q.table);
	free(w);
	return 0;
}
