/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path.c - how packets get to the pods of another node
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * A path is chosen for a pair of nodes and a block.  Direct, where the other's address lies in a
 * prefix that a link of ours reaches without a gateway: a route of the block by that address; of an
 * IPv6 block where the nodes have IPv4 only, by the link-local address that the other tells.  Else
 * through a tunnel over the underlay, by IPv4 where both nodes have it: a VXLAN device a node and
 * family, on which nothing is learned and nothing is flooded.  Its MAC address is made of the node's
 * name, so each node knows all others' and nobody is asked.
 *
 * The gateway of a route through a tunnel is an address that the other's device need not have: what
 * counts is the permanent neighbour entry that gives the device's MAC.  For IPv4 it is the block's
 * own, which no pod gets, for IPv6 a link-local one made of the MAC.  This node's device has the first
 * address of a block of this node: what the node itself sends through the tunnel, also masqueraded,
 * bears that, and the answer comes back through the tunnel.
 */
#include "room.h"

#include <errno.h>
#include <podnet/tun.h>
#include <podnet/vxlan.h>
#include <stdio.h>
#include <sys/socket.h>

#define VXLAN_ROOM4     50          /* outer IPv4, UDP, VXLAN and inner Ethernet headers */
#define VXLAN_ROOM6     70
#define UDP_ROOM4       28          /* outer IPv4 and UDP headers */
#define UDP_ROOM6       48

/** One block's way. */
struct path_way {
	enum { WAY_NONE, WAY_DIRECT, WAY_TUNNEL } how;
	const char *link;
	const struct podnet_prefix *via;        /* WAY_DIRECT */
	unsigned tunnel;            /* WAY_TUNNEL: its number */
	const char *why;            /* WAY_NONE: what is missing */
};

const char *const compile_tunnel_names[COMPILE_TUNNELS + 1] = {
	"pn-vxlan4", "pn-vxlan6", "pn-udp4", "pn-udp6", NULL
};
static const struct {
	bool v6;                    /* the underlay */
	bool udp;                   /* podnet-fwd carries it; else VXLAN */
	uint32_t room;
} tunnels[COMPILE_TUNNELS] = {
	{ false, false, VXLAN_ROOM4 },
	{ true, false, VXLAN_ROOM6 },
	{ false, true, UDP_ROOM4 },
	{ true, true, UDP_ROOM6 },
};

/* The link that reaches @ip without a gateway, or NULL. */
static const struct compile_link *link_to(const struct compile_input *in,
					  const struct podnet_prefix *ip)
{
	const struct compile_link *best = NULL;

	for (size_t i = 0; i < in->nlinks; i++)
		if (podnet_prefix_contains(&in->links[i].prefix, ip) &&
		    (!best || best->prefix.len < in->links[i].prefix.len))
			best = &in->links[i];
	return best;
}

/* What no backend can mend. */
static const char *flaw(const struct compile_input *in, const struct node *node)
{
	const struct podnet_prefix *ips = node->underlay;

	if (!ips[0].family && !ips[1].family)
		return "it says no address of its own";
	for (size_t i = 0; i < 2; i++)
		if (ips[i].family && compile_is_own(in->own, in->nown, &ips[i]))
			return "its address is this node's too";
	return NULL;
}

static struct path_way through(const struct compile_input *in, const struct node *node, bool udp)
{
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		if (tunnels[i].udp == udp && node->underlay[tunnels[i].v6].family && in->underlay[tunnels[i].v6].family)
			return (struct path_way){ .how = WAY_TUNNEL, .link = compile_tunnel_names[i],
						  .tunnel = i };
	return (struct path_way){ .why = "this node and it have no address of one family" };
}

static struct path_way straight(const struct compile_input *in, const struct node *node, bool v6)
{
	const struct podnet_prefix *ip = &node->underlay[v6], *via = ip;
	const struct compile_link *link = ip->family ? link_to(in, ip) : NULL;

	if (!link && v6 && node->link_local.family && node->underlay[0].family) {
		link = link_to(in, &node->underlay[0]);
		via = &node->link_local;
	}
	if (link)
		return (struct path_way){ .how = WAY_DIRECT, .link = link->name, .via = via };
	return (struct path_way){ .why = ip->family ? "it is on none of this node's links" :
				  "it has no address of the block's family" };
}

static struct path_way choose(const struct compile_input *in, const struct node *node,
			      const struct compile_block *block)
{
	struct path_way way = { .why = flaw(in, node) };

	if (way.why)
		return way;
	switch (block->backend) {
	case BACKEND_DIRECT:
		return straight(in, node, block->prefix.family == AF_INET6);
	case BACKEND_AUTO:
		way = straight(in, node, block->prefix.family == AF_INET6);
		if (way.how == WAY_DIRECT)
			return way;
		/* fall through */
	case BACKEND_VXLAN:
		return through(in, node, in->no_vxlan);
	case BACKEND_UDP:
		return through(in, node, true);
	}
	return way;
}

unsigned compile_tunnels(const struct compile_input *in, const struct compile_path *path)
{
	unsigned bits = 0;

	for (size_t i = 0; i < path->nblocks; i++) {
		struct path_way way = choose(in, path->node, &path->blocks[i]);

		bits |= way.how == WAY_TUNNEL ? 1u << way.tunnel : 0;
	}
	return bits;
}

uint32_t compile_underlay_room(const struct compile_input *in, const struct network *net)
{
	unsigned bits = net->backend == BACKEND_DIRECT ? 0 : in->tunnels;
	uint32_t room = 0;

	bool v4 = in->underlay[0].family || !in->underlay[1].family;

	/* also before there is another node */
	if (net->backend == BACKEND_VXLAN && !in->no_vxlan)
		bits |= v4 ? COMPILE_VXLAN4 : COMPILE_VXLAN6;
	else if (net->backend == BACKEND_VXLAN || net->backend == BACKEND_UDP)
		bits |= v4 ? COMPILE_UDP4 : COMPILE_UDP6;
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		if (bits & 1u << i && tunnels[i].room > room)
			room = tunnels[i].room;
	return in->underlay_mtu > room ? in->underlay_mtu - room : in->underlay_mtu;
}

static void tunnel_mac(const char *node, unsigned tunnel, uint8_t ret[6])
{
	compile_mac(node, compile_tunnel_names[tunnel], ret);
}

static void sign(struct compile_way *ret, const struct podnet_prefix *prefix, const uint8_t *mac)
{
	struct compile_sign *to = &ret->signs[ret->nsigns++];

	to->prefix = *prefix;
	if (mac)
		memcpy(to->mac, mac, sizeof(to->mac));
}

/* Where the other's device is; declared once for all of its blocks. */
static void put_vxlan(struct building *b, const struct node *node, const struct path_way *way,
		      struct podnet_route *route, struct compile_way *ret)
{
	struct podnet_fdb fdb = {
		.link = way->link, .dst = compile_host(&node->underlay[tunnels[way->tunnel].v6]),
	};
	struct podnet_neigh neigh = { .link = way->link };

	tunnel_mac(node->meta.name, way->tunnel, fdb.mac);
	memcpy(neigh.mac, fdb.mac, sizeof(neigh.mac));
	neigh.addr = route->dst.family == AF_INET ? compile_host(&route->dst) : compile_link_local(fdb.mac);
	route->via = neigh.addr;
	route->onlink = true;
	compile_note(b, podnet_set_fdb(b->set, &fdb, b->err));
	compile_note(b, podnet_set_neigh(b->set, &neigh, b->err));
	sign(ret, &fdb.dst, fdb.mac);
	sign(ret, &neigh.addr, NULL);
}

static void put_block(struct building *b, const struct node *node, const struct path_way *way,
		      const struct podnet_prefix *block, struct compile_way *ret)
{
	struct podnet_route route = { .dst = podnet_prefix_mask(block), .link = way->link };

	if (way->how == WAY_DIRECT)
		route.via = *way->via;
	else if (!tunnels[way->tunnel].udp)
		put_vxlan(b, node, way, &route, ret);
	compile_note(b, podnet_set_route(b->set, &route, b->err));
	sign(ret, &route.dst, NULL);
}

static void say_missing(const struct node *node, const struct podnet_prefix *block,
			const char *why, char missing[COMPILE_MISSING])
{
	char text[PODNET_PREFIX_STRLEN];

	if (*missing)
		return;             /* the first one is told */
	snprintf(missing, COMPILE_MISSING, "no path to %s of node %s: %s",
		 podnet_prefix_format(block, text), node->meta.name, why);
}

void compile_way_fini(struct compile_way *way)
{
	podnet_set_free(take_ptr(way->set));
	free(take_ptr(way->signs));
}

int compile_path(const struct compile_input *in, const struct compile_path *path,
		 struct compile_way *ret, struct podnet_error *err)
{
	struct compile_way made = { .signs = calloc(3 * path->nblocks + 1, sizeof(*made.signs)) };
	struct building b = { .err = err };

	b.rc = made.signs ? podnet_set_new(&made.set, path->node->meta.uid, err) : -ENOMEM;
	b.set = made.set;
	for (size_t i = 0; i < path->nblocks && b.rc == 0; i++) {
		const struct compile_block *block = &path->blocks[i];
		struct path_way way = choose(in, path->node, block);

		if (way.how == WAY_NONE)
			say_missing(path->node, &block->prefix, way.why, made.missing);
		else
			put_block(&b, path->node, &way, &block->prefix, &made);
	}
	if (b.rc < 0) {
		compile_way_fini(&made);
		return b.rc;
	}
	*ret = made;
	return 0;
}

/* Of a block of this node, Network "default" before others. */
static bool own_address(const struct compile_input *in, struct podnet_prefix *ret)
{
	const struct podnet_prefix *blocks = NULL;
	size_t n = in->blocks(in->arg, "default", &blocks);

	for (size_t i = 0; i < n; i++) {
		if (blocks[i].family != AF_INET)
			continue;
		*ret = compile_first(&blocks[i], 32);
		return true;
	}
	return false;
}

static uint32_t tunnel_mtu(const struct compile_input *in, unsigned i)
{
	return in->underlay_mtu > tunnels[i].room ? in->underlay_mtu - tunnels[i].room : 0;
}

static void put_device(struct building *b, const struct compile_input *in, unsigned i)
{
	struct podnet_link link = {
		.name = compile_tunnel_names[i], .flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN,
		.mtu = tunnel_mtu(in, i),
	};
	struct podnet_tun tun = {
		.link = link, .flags = PODNET_TUN_VNET_HDR | PODNET_TUN_MULTI_QUEUE,
	};
	struct podnet_vxlan vxlan = {
		.link = link, .id = NODE_VXLAN_ID, .port = in->conf->vxlan_port,
		.local = compile_host(&in->underlay[tunnels[i].v6]),
	};

	if (tunnels[i].udp) {
		compile_note(b, podnet_set_tun(b->set, &tun, b->err));
		return;
	}
	tunnel_mac(in->conf->node_name, i, vxlan.link.mac);
	compile_note(b, podnet_set_vxlan(b->set, &vxlan, b->err));
}

static void put_tunnel(struct building *b, const struct compile_input *in, unsigned i)
{
	struct podnet_addr addr = { .link = compile_tunnel_names[i] };
	struct podnet_sysctl loose = { .value = "2" };
	char key[64];

	put_device(b, in, i);
	if (own_address(in, &addr.prefix))
		compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	/* while a backend changes, each of two nodes may already or still send by the other way */
	snprintf(key, sizeof(key), "ipv4/conf/%s/rp_filter", compile_tunnel_names[i]);
	loose.key = key;
	compile_note(b, podnet_set_sysctl(b->set, &loose, b->err));
}

void compile_put_tunnels(struct building *b, const struct compile_input *in)
{
	for (unsigned i = 0; i < COMPILE_TUNNELS; i++)
		if (in->tunnels & 1u << i && in->underlay[tunnels[i].v6].family)
			put_tunnel(b, in, i);
}
