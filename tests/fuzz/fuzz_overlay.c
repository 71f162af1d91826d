/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_overlay.c - any bytes as datagrams of peers and strangers, and as pieces of the device
 *
 * A record is a byte, a length of two bytes and so many bytes.  The lower two bits of the byte say who
 * sends: nobody we know, a peer with bare packets, one with framed ones, or the device; of a peer the
 * rest is the length of a datagram (times 8), 0: it is one.  What goes to the device has a source of the
 * peer that sent it and a destination of ours; what was joined gives, cut again, what it was made of.
 * What the device gave becomes datagrams that lie in its buffer, or where they were cut to, and whose
 * packets are whole.
 */
#include "fuzz.h"

#include <errno.h>
#include <libpodnet/overlay/inner.h>

enum { STRANGER, BARE, FRAMED, DEVICE };

struct world {
	struct queue q;
	struct peer *sender;        /* whose datagrams are being looked at */
	size_t largest;             /* and what a piece can have at most */
	struct { const uint8_t *at; size_t len; } payload[8192];    /* of them, in their order */
	size_t npayload, seen;      /* handed on so far */
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
	struct world *w;
	struct out *out;
	size_t n;                   /* datagrams seen */
};

/* The next one that came and had this payload. */
static void came(struct world *w, const uint8_t *at, size_t len)
{
	while (w->seen < w->npayload &&
	       (w->payload[w->seen].len != len || memcmp(w->payload[w->seen].at, at, len) != 0))
		w->seen++;
	must(w->seen++ < w->npayload);
}

static void check_cut(void *arg)
{
	struct again *a = arg;

	for (size_t i = 0; i < a->out->n; i++, a->n++) {
		const struct datagram *d = &a->out->v[i];
		struct packet p;

		must(pn_packet_look(d->at, d->len, &p) && p.len == d->len && p.data);
		came(a->w, d->at + p.data, d->len - p.data);
		must(pn_sum_fold(pn_sum_add(pn_sum_pseudo(&p, p.protocol, p.len - p.l4), d->at + p.l4, p.len - p.l4)) ==
		     0xffff);
	}
	a->out->n = a->out->ncut = 0;
}

static void cut_again(struct world *w, const struct virtio_net_hdr *vnet, const struct iovec *iov, size_t len)
{
	struct podnet_overlay_peer spec = { .address = net("192.0.2.9"), .port = 1 };
	struct peer *peer = pn_peer_make(&spec, NULL);
	struct out *out = calloc(1, sizeof(*out));
	uint8_t *room = malloc(HEAD_ROOM + len);
	struct again a = { w, out, 0 };
	struct packet p;
	uint32_t n = w->q.merge.packets;

	must(peer && out && room);
	for (size_t i = 1, at = HEAD_ROOM; i < PIECE_IOV; at += iov[i++].iov_len)
		memcpy(room + at, iov[i].iov_base, iov[i].iov_len);
	must(pn_packet_look(room + HEAD_ROOM, len, &p) && p.len == len);
	must(pn_segment(out, vnet, &p, peer, check_cut, &a) == (int)n);
	check_cut(&a);
	must(a.n == n);
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

	must(niov == (w->q.merge.packets > 1 ? PIECE_IOV : PIECE_IOV - 1) && iov[0].iov_len == sizeof(vnet));
	must(w->q.merge.packets <= MERGE_MAX);
	memcpy(&vnet, iov[0].iov_base, sizeof(vnet));
	for (size_t i = 1; i < niov; i++)
		len += iov[i].iov_len;
	/* the first one alone is shorter than its header says when others follow */
	must(len <= PIECE_MAX && iov[1].iov_len >= 20);
	p.ip = iov[1].iov_base;
	if (niov < PIECE_IOV)
		must(pn_packet_look(p.ip, len, &p) && p.len == len && vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE);
	else
		cut_again(w, &vnet, iov, len);
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

static void note_payload(struct world *w, uint8_t *data, size_t len)
{
	int skip = pn_framing_take(w->sender->framing, data, len);
	struct packet p;

	if (skip < 0 || !pn_packet_look(data + skip, len - (size_t)skip, &p) || !p.data)
		return;
	w->payload[w->npayload].at = p.ip + p.data;
	w->payload[w->npayload++].len = p.len - p.data;
}

static void from_peer(struct world *w, uint8_t control, uint8_t *data, size_t len)
{
	struct sockaddr_storage from = place(control & 3);
	size_t part = (size_t)(control >> 2) * 8;

	w->sender = pn_table_source(w->q.table, &from);
	must((w->sender == NULL) == ((control & 3) == STRANGER));
	part = part ? part : len;
	w->npayload = w->seen = 0;
	for (size_t at = 0; w->sender && at < len; at += part)
		note_payload(w, data + at, len - at < part ? len - at : part);
	pn_queue_take(&w->q, &from, data, len, part);
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
		const uint8_t *begin = g->cut ? g->out->cut : g->begin;
		struct packet p;
		int skip;

		must(d->at >= begin && d->at + d->len <= (g->cut ? begin + g->out->ncut : g->end));
		skip = pn_framing_take(g->framing, d->at, d->len);
		must(skip >= 0 && pn_packet_look(d->at + skip, d->len - (size_t)skip, &p));
		must(p.len == d->len - (size_t)skip);
	}
	must(g->out->ncut <= CUT_SIZE);
	g->out->n = g->out->ncut = 0;
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
	w->q.merge = (struct merge){ .room = malloc(PIECE_MAX), .tcp = true, .udp = true, .write = to_device,
				     .arg = w };
	must(w->q.merge.room);
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
	free(w->q.merge.room);
	free(w);
	return 0;
}
