/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnel_stats.c - what podnet-fwd has carried and dropped, in /metrics
 *
 * Room: rest.  Counters are as they were told last; a scrape has them told anew, and waits for other
 * things for longer than that takes.
 */
#include "special.h"
#include <inttypes.h>
#include <netinet/in.h>
#include <podnet/ip.h>
#include <podnet/overlay.h>

struct series {
	struct buf *out;
	bool peers;                 /* or what was dropped, by reason */
	enum fwd_count first;       /* of two: received, sent */
	const char *name;
};

static const char *peer_text(const struct fwd_addr *at, char buf[64])
{
	struct podnet_prefix p = { .family = at->family };
	char text[PODNET_PREFIX_STRLEN];

	memcpy(p.addr, at->addr, sizeof(p.addr));
	podnet_prefix_format_addr(&p, text);
	snprintf(buf, 64, at->family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(at->port_be));
	return buf;
}

static void put_row(void *arg, const char *tunnel, const struct fwd_counts *c)
{
	static const char *const ways[] = { "received", "sent" };
	/* which of the two stands where: wire.h */
	const struct series *s = arg;
	char peer[64];

	if (s->peers != (c->msg.at.family != 0))
		return;
	for (int i = 0; !s->peers && i < PODNET_OVERLAY_DROPS; i++)
		buf_printf(s->out, "%s{tunnel=\"%s\",reason=\"%s\"} %" PRIu64 "\n", s->name, tunnel,
			   podnet_overlay_drop_name((enum podnet_overlay_drop)i), c->v[i]);
	for (int way = 0; s->peers && way < 2; way++) {
		int step = s->first == FWD_IN_DROPPED ? 1 : 2;

		buf_printf(s->out, "%s{tunnel=\"%s\",peer=\"%s\",way=\"%s\"} %" PRIu64 "\n", s->name, tunnel,
			   peer_text(&c->msg.at, peer), ways[way], c->v[(int)s->first + way * step]);
	}
}

static void any(void *arg, const char *tunnel, const struct fwd_counts *c)
{
	(void)tunnel, (void)c;
	*(bool *)arg = true;
}

void put_tunnels(struct buf *out, const struct rest *rest)
{
	static const struct { const char *name, *help; bool peers; enum fwd_count first; } v[] = {
		{ "podnet_tunnel_packets_total", "IP packets of UDP tunnels, by peer.", true, FWD_IN_PACKETS },
		{ "podnet_tunnel_bytes_total", "Bytes of them.", true, FWD_IN_BYTES },
		{ "podnet_tunnel_peer_dropped_total", "Packets dropped, by peer.", true, FWD_IN_DROPPED },
		{ "podnet_tunnel_dropped_total", "Packets of UDP tunnels dropped, by reason.", false, 0 },
	};
	bool some = false;

	reconcile_tunnels_each(rest->reconcile, any, &some);
	for (size_t i = 0; some && i < ARRAY_SIZE(v); i++) {
		struct series s = { out, v[i].peers, v[i].first, v[i].name };

		buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", v[i].name, v[i].help, v[i].name);
		reconcile_tunnels_each(rest->reconcile, put_row, &s);
	}
}
