/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod.c - what a pod is in the kernel: its namespace and, for each network, a veth pair
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * Routed networks.  The pod has its addresses with the length of a host and reaches everything
 * through a gateway that exists nowhere as a host: 169.254.1.1 and fe80::1 with a permanent
 * neighbour entry that holds the MAC of the host's end, so nobody sends ARP or neighbour
 * solicitations, and nothing has to answer them.  The host has a route and a permanent neighbour
 * per address.  The gateway route is `onlink`, so it needs no route of its own.
 *
 * Bridge networks.  The host's end is a port of the network's bridge.  IPv4 addresses have the
 * length of their block, and the gateway is the block's first address, which the bridge has.  The
 * route to the block is declared and not left to the kernel, which makes it with the address only:
 * flushed, it would be gone for good, and with it the way to the gateway.
 * Between isolated ports the bridge answers ARP for all (proxy_arp_pvlan); there is no such thing
 * for IPv6, so there the pod takes only the gateway for a neighbour: a host's length and an onlink
 * route, and the node sends no redirects because the bridge has no link-local address.  Without one
 * it cannot ask for the neighbour of a packet that it forwards either (RFC 4861, 7.2.2; Linux
 * net/ipv6/ndisc.c): the bridge has a permanent neighbour for each IPv6 address of a pod.
 *
 * Bandwidth is per link.  What goes into the pod is limited where it leaves the host's end.  What
 * leaves the pod is limited on the end inside, except in a namespace that somebody else made, whose
 * root could take the limit away: there it is limited as it comes out, on the host's end.
 */
#include "room.h"

#include <errno.h>
#include <sys/socket.h>

/** One attachment while it is built. */
struct attach {
	const struct pod *pod;
	const struct pod_network *att;
	const struct network *net;
	const char *netns;              /* reference of the pod's namespace */
	const char *host;               /* name of the host's end */
	uint8_t mac[6];                 /* of the end inside; all zero: chosen when it is made */
	const struct podnet_prefix *blocks;
	size_t nblocks;
};

static void put_pair(struct building *b, const struct compile_input *in, const struct attach *a)
{
	uint32_t mtu = compile_mtu(in, a->net);
	uint32_t flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN;
	struct podnet_veth veth = { .end = {
		{ .name = a->host, .flags = flags, .mtu = mtu },
		{ .netns = a->netns, .name = a->att->interface, .flags = flags, .mtu = mtu },
	} };
	char bridge[16];

	memcpy(veth.end[1].mac, a->mac, sizeof(veth.end[1].mac));
	if (a->net->type == NETWORK_BRIDGE) {
		veth.end[0].master = compile_bridge_name(a->net, bridge);
		if (a->net->isolation)
			veth.end[0].flags |= PODNET_LINK_ISOLATED;
	}
	compile_note(b, podnet_set_veth(b->set, &veth, b->err));
}

static struct podnet_addr routed_addr(const char *netns, const char *link,
				      const struct podnet_prefix *ip)
{
	return (struct podnet_addr){
		.netns = netns, .link = link, .prefix = compile_host(ip),
		.no_prefix_route = ip->family == AF_INET6,
	};
}

/* Permanent neighbours at both ends; a MAC that is zero is that of the other end. */
static void put_routed(struct building *b, const struct attach *a, const struct podnet_prefix *ip)
{
	struct podnet_addr addr = routed_addr(a->netns, a->att->interface, ip);
	struct podnet_neigh gateway = {
		.netns = a->netns, .link = a->att->interface, .addr = compile_gateway(ip->family),
	};
	struct podnet_neigh pod = { .link = a->host, .addr = compile_host(ip) };
	struct podnet_route route = { .dst = compile_host(ip), .link = a->host };

	compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	compile_note(b, podnet_set_neigh(b->set, &gateway, b->err));
	compile_note(b, podnet_set_route(b->set, &route, b->err));
	compile_note(b, podnet_set_neigh(b->set, &pod, b->err));
}

static const struct podnet_prefix *block_of(const struct attach *a, const struct podnet_prefix *ip)
{
	size_t i;

	for (i = 0; i < a->nblocks; i++)
		if (podnet_prefix_contains(&a->blocks[i], ip))
			return &a->blocks[i];
	return NULL;
}

static void put_bridge_neigh(struct building *b, const struct attach *a,
			     const struct podnet_prefix *ip)
{
	char bridge[16];
	struct podnet_neigh pod = {
		.link = compile_bridge_name(a->net, bridge), .addr = compile_host(ip),
	};

	memcpy(pod.mac, a->mac, sizeof(pod.mac));
	compile_note(b, podnet_set_neigh(b->set, &pod, b->err));
}

static void put_bridged(struct building *b, const struct attach *a, const struct podnet_prefix *ip)
{
	const struct podnet_prefix *block = block_of(a, ip);
	bool alone = ip->family == AF_INET6 && a->net->isolation;
	struct podnet_addr addr = {
		.netns = a->netns, .link = a->att->interface, .prefix = *ip,
		.no_prefix_route = true,
	};
	struct podnet_route route = {
		.netns = a->netns, .link = a->att->interface, .src = compile_host(ip),
	};

	addr.prefix.len = block && !alone ? block->len : compile_host(ip).len;
	route.dst = podnet_prefix_mask(&addr.prefix);
	compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	if (block && !alone)
		compile_note(b, podnet_set_route(b->set, &route, b->err));
	if (ip->family == AF_INET6)
		put_bridge_neigh(b, a, ip);
}

static struct podnet_prefix gateway_of(const struct attach *a, const struct podnet_prefix *ip)
{
	const struct podnet_prefix *block;

	if (a->net->type == NETWORK_ROUTED)
		return compile_gateway(ip->family);
	block = block_of(a, ip);
	if (!block)
		return (struct podnet_prefix){ 0 };
	return compile_first(block, compile_host(ip).len);
}

static void put_gateway_route(struct building *b, const struct attach *a,
			      const struct podnet_prefix *ip, struct podnet_prefix dst)
{
	bool alone = ip->family == AF_INET6 && a->net->isolation;
	struct podnet_route route = {
		.netns = a->netns, .dst = dst, .via = gateway_of(a, ip), .link = a->att->interface,
		.onlink = a->net->type == NETWORK_ROUTED || alone,
	};

	if (!route.via.family) {
		compile_note(b, compile_fail(b->err, -ENOENT, "pod_compile", "network",
					     a->net->meta.name));
		return;
	}
	compile_note(b, podnet_set_route(b->set, &route, b->err));
}

/* A block that is the whole CIDR is on link already, by the route to the block. */
static bool on_link(const struct attach *a, const struct podnet_prefix *ip,
		    const struct podnet_prefix *cidr)
{
	const struct podnet_prefix *block = block_of(a, ip);

	if (a->net->type == NETWORK_ROUTED || (ip->family == AF_INET6 && a->net->isolation))
		return false;
	return block && block->len <= cidr->len;
}

/* The default route by one network; the others are reached by routes of their own CIDRs. */
static void put_routes(struct building *b, const struct attach *a, const struct podnet_prefix *ip)
{
	size_t i;

	if (a->att->default_route) {
		put_gateway_route(b, a, ip, compile_any(ip->family));
		return;
	}
	for (i = 0; i < a->net->ncidrs; i++)
		if (a->net->cidrs[i].family == ip->family && !on_link(a, ip, &a->net->cidrs[i]))
			put_gateway_route(b, a, ip, podnet_prefix_mask(&a->net->cidrs[i]));
}

static void put_limits(struct building *b, const struct attach *a)
{
	bool inside = !a->pod->netns;
	struct podnet_limit into = { .link = a->host, .rate = a->pod->ingress_bps };
	struct podnet_limit out = {
		.netns = inside ? a->netns : NULL,
		.link = inside ? a->att->interface : a->host,
		.incoming = !inside,
		.rate = a->pod->egress_bps,
	};

	if (into.rate)
		compile_note(b, podnet_set_limit(b->set, &into, b->err));
	if (out.rate)
		compile_note(b, podnet_set_limit(b->set, &out, b->err));
}

/* What the pod asked for; on a bridge the node must know it beforehand. */
static void choose_mac(struct attach *a)
{
	static const uint8_t none[6];

	memcpy(a->mac, a->att->mac, sizeof(a->mac));
	if (a->net->type == NETWORK_BRIDGE && memcmp(a->mac, none, sizeof(none)) == 0)
		compile_mac(a->pod->meta.uid, a->att->network, a->mac);
}

static void put_attachment(struct building *b, const struct compile_input *in,
			   const struct pod *pod, const struct pod_network *att, const char *netns)
{
	char host[16];
	struct attach a = { .pod = pod, .att = att, .netns = netns };
	size_t i;

	a.net = in->network(in->arg, att->network);
	if (!a.net) {
		compile_note(b, compile_fail(b->err, -ENOENT, "pod_compile", "network",
					     att->network));
		return;
	}
	a.host = compile_link_name(pod->meta.uid, att->network, host);
	a.nblocks = in->blocks(in->arg, att->network, &a.blocks);
	choose_mac(&a);
	put_pair(b, in, &a);
	for (i = 0; i < att->nips; i++) {
		if (a.net->type == NETWORK_ROUTED)
			put_routed(b, &a, &att->ips[i]);
		else
			put_bridged(b, &a, &att->ips[i]);
		put_routes(b, &a, &att->ips[i]);
	}
	put_limits(b, &a);
}

/* A namespace that somebody else made is pinned at the pod's name; it is not ours to make. */
static void put_namespace(struct building *b, const struct pod *pod, const char *name)
{
	struct podnet_netns made = { .name = name, .scope = pod->meta.uid };
	struct podnet_link lo = { .netns = name, .name = "lo", .flags = PODNET_LINK_UP };

	if (pod->netns)
		compile_note(b, podnet_set_link(b->set, &lo, b->err));
	else
		compile_note(b, podnet_set_netns(b->set, &made, b->err));
}

int compile_pod(const struct compile_input *in, const struct pod *pod, struct podnet_set **ret,
		struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct building b = { .err = err };
	char name[256];
	size_t i;

	b.rc = podnet_set_new(&set, pod->meta.uid, err);
	if (b.rc < 0)
		return b.rc;
	b.set = set;
	if (!pod->host_network) {
		pod_netns_name(pod, name);
		put_namespace(&b, pod, name);
		for (i = 0; i < pod->nattached; i++)
			put_attachment(&b, in, pod, &pod->attached[i], name);
	}
	if (b.rc < 0)
		return b.rc;
	*ret = take_ptr(set);
	return 0;
}

int compile_ahead(struct podnet_set **ret, struct podnet_error *err)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, "ahead", err);
	size_t i;

	for (i = 0; i < 2 && r == 0; i++) {
		struct podnet_neigh gateway = {
			.netns = "ahead", .link = "eth0", .addr = compile_gateway(families[i]),
		};
		struct podnet_route route = {
			.netns = "ahead", .link = "eth0", .dst = compile_any(families[i]),
			.via = gateway.addr, .onlink = true,
		};

		r = podnet_set_neigh(set, &gateway, err);
		if (r == 0)
			r = podnet_set_route(set, &route, err);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(set);
	return 0;
}

int compile_ahead_of_one(const struct podnet_prefix *ips, size_t n, struct podnet_set **ret,
			 struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, "ahead", err);
	size_t i;

	for (i = 0; i < n && r == 0; i++) {
		struct podnet_addr addr = routed_addr("ahead", "eth0", &ips[i]);
		struct podnet_neigh pod = { .link = "host", .addr = compile_host(&ips[i]) };

		r = podnet_set_addr(set, &addr, err);
		if (r == 0)
			r = podnet_set_neigh(set, &pod, err);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(set);
	return 0;
}
