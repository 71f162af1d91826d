/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnel.c - an overlay's device, and what is behind it
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * A UDP tunnel is a TUN device, which podnet-fwd reads and writes: routes lead into it, and that
 * is all the kernel knows.  A VXLAN device is Ethernet.  Each peer is a gateway on it, with a
 * permanent neighbour and an entry of the forwarding database, so nothing is ever asked or flooded.
 * The gateway of IPv4 on an IPv4 underlay is the peer's own address there, marked as on-link.  IPv6
 * refuses a gateway that another link leads to (net/ipv6/route.c, ip6_validate_gw()), so for all
 * else it is the link-local address that RFC 4291, appendix A, makes of the peer's MAC; nobody has
 * to have it, for the neighbour is permanent.
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define NODE_FLAGS (PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN)

void compile_vxlan_mac(uint32_t id, const struct podnet_prefix *address, uint8_t ret[6])
{
	char text[PODNET_PREFIX_STRLEN], name[16];

	snprintf(name, sizeof(name), "vxlan %u", id);
	compile_mac(podnet_prefix_format_addr(address, text), name, ret);
}

static uint32_t overhead(enum tunnel_type type, uint8_t family, bool pi)
{
	uint32_t outer = (family == AF_INET6 ? 40 : 20) + 8;

	/* VXLAN's header and the inner Ethernet's: RFC 7348, 5 */
	return outer + (type == TUNNEL_VXLAN ? 8 + 14 : pi ? 4 : 0);
}

/** What stands at the far end of a VXLAN device. */
struct far_end {
	const struct tunnel_peer *peer;
	uint8_t mac[6];
};

static struct podnet_prefix gateway_of(const struct far_end *end, uint8_t family)
{
	bool own = family == AF_INET && end->peer->address.family == AF_INET;

	return own ? end->peer->address : compile_link_local(end->mac);
}

static void put_routes(struct building *b, const char *link, const struct far_end *end)
{
	for (size_t i = 0; i < end->peer->ncidrs; i++) {
		struct podnet_route route = {
			.dst = end->peer->cidrs[i], .link = link, .onlink = true,
			.via = gateway_of(end, end->peer->cidrs[i].family),
		};

		compile_note(b, podnet_set_route(b->set, &route, b->err));
	}
}

/* the same one twice is declared once */
static void put_neighbours(struct building *b, const char *link, const struct far_end *end)
{
	for (size_t i = 0; i < end->peer->ncidrs; i++) {
		struct podnet_neigh neigh = {
			.link = link, .addr = gateway_of(end, end->peer->cidrs[i].family),
		};

		memcpy(neigh.mac, end->mac, sizeof(neigh.mac));
		compile_note(b, podnet_set_neigh(b->set, &neigh, b->err));
	}
}

static void put_entry(struct building *b, const char *link, const struct far_end *end)
{
	struct podnet_fdb fdb = { .link = link, .dst = end->peer->address };

	memcpy(fdb.mac, end->mac, sizeof(fdb.mac));
	compile_note(b, podnet_set_fdb(b->set, &fdb, b->err));
}

static bool has_pi(const struct tunnel *t)
{
	for (size_t i = 0; i < t->npeers; i++)
		if (t->peers[i].framing == TUNNEL_PI)
			return true;
	return false;
}

static uint32_t mtu_of(const struct compile_input *in, const struct tunnel *t)
{
	uint32_t room = overhead(t->type, t->local.family, has_pi(t));

	if (t->mtu)
		return t->mtu;
	return in->underlay_mtu > room ? in->underlay_mtu - room : 0;
}

static void put_addresses(struct building *b, const struct tunnel *t)
{
	for (size_t i = 0; i < t->naddresses; i++) {
		struct podnet_addr addr = { .link = t->interface, .prefix = t->addresses[i] };

		compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	}
}

static void put_udp(struct building *b, const struct compile_input *in, const struct tunnel *t)
{
	struct podnet_tun tun = {
		.link = { .name = t->interface, .flags = NODE_FLAGS, .mtu = mtu_of(in, t) },
		.flags = PODNET_TUN_VNET_HDR | PODNET_TUN_MULTI_QUEUE,
	};

	compile_note(b, podnet_set_tun(b->set, &tun, b->err));
	put_addresses(b, t);
	for (size_t i = 0; i < t->npeers; i++)
		for (size_t k = 0; k < t->peers[i].ncidrs; k++) {
			struct podnet_route route = { .dst = t->peers[i].cidrs[k],
						      .link = t->interface };

			compile_note(b, podnet_set_route(b->set, &route, b->err));
		}
}

/* what somebody said, or the one that both ends make of the address */
static void mac_of(const struct tunnel *t, const uint8_t said[6], const struct podnet_prefix *at,
		   uint8_t ret[6])
{
	static const uint8_t none[6];

	if (memcmp(said, none, sizeof(none)))
		memcpy(ret, said, sizeof(none));
	else
		compile_vxlan_mac(t->id, at, ret);
}

/* kind by kind, as a set is sorted: each goes to its end */
static void put_ends(struct building *b, const char *link, const struct far_end *ends, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		put_routes(b, link, &ends[i]);
	for (i = 0; i < n; i++)
		put_neighbours(b, link, &ends[i]);
	for (i = 0; i < n; i++)
		put_entry(b, link, &ends[i]);
}

static void put_vxlan(struct building *b, const struct compile_input *in, const struct tunnel *t)
{
	_cleanup_free_ struct far_end *ends = calloc(t->npeers + 1, sizeof(*ends));
	struct podnet_vxlan vxlan = {
		.link = { .name = t->interface, .flags = NODE_FLAGS, .mtu = mtu_of(in, t) },
		.id = t->id, .local = t->local, .port = (uint16_t)t->port,
	};

	if (!ends) {
		b->rc = -ENOMEM;
		return;
	}
	mac_of(t, t->mac, &t->local, vxlan.link.mac);
	compile_note(b, podnet_set_vxlan(b->set, &vxlan, b->err));
	put_addresses(b, t);
	for (size_t i = 0; i < t->npeers; i++) {
		ends[i].peer = &t->peers[i];
		mac_of(t, t->peers[i].mac, &t->peers[i].address, ends[i].mac);
	}
	put_ends(b, t->interface, ends, t->npeers);
}

int compile_tunnel(const struct compile_input *in, const struct tunnel *tunnel,
		   struct podnet_set **ret, struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct building b = { .err = err };
	int r = podnet_set_new(&set, tunnel->meta.uid, err);

	if (r < 0)
		return r;
	b.set = set;
	switch (tunnel->type) {
	case TUNNEL_UDP:
		put_udp(&b, in, tunnel);
		break;
	case TUNNEL_VXLAN:
		put_vxlan(&b, in, tunnel);
		break;
	}
	if (b.rc < 0)
		return b.rc;
	*ret = take_ptr(set);
	return 0;
}
