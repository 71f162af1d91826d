/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * network.c - what a network and the node need whatever pods there are
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * A routed network has nothing of its own.  A bridge network has its bridge, with the first address
 * of each of this node's blocks.  The node forwards, has the gateway's address on lo (so a pod can
 * ask its gateway) and the first address of each IPv6 block of routed networks (so it has an
 * address to speak to its pods from where it has no other), and answers for what nobody has: the
 * unreachable routes of its blocks lose against every pod's route and every bridge's.
 *
 * net.ipv6.conf.all.forwarding makes a node ignore router advertisements; one that lives by them
 * needs accept_ra = 2 on its uplink, which is the administrator's to say.
 */
#include "room.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <stdio.h>
#include <sys/socket.h>

static void put_sysctl(struct building *b, const char *key, const char *value)
{
	struct podnet_sysctl sysctl = { .key = key, .value = value };

	compile_note(b, podnet_set_sysctl(b->set, &sysctl, b->err));
}

uint32_t compile_mtu(const struct compile_input *in, const struct network *net)
{
	uint32_t mtu = net->mtu ? net->mtu : in->mtu ? in->mtu : compile_underlay_room(in, net);
	size_t i;

	for (i = 0; i < net->ncidrs; i++)
		if (net->cidrs[i].family == AF_INET6 && mtu && mtu < LIMIT_MTU_IPV6)
			mtu = LIMIT_MTU_IPV6;
	return mtu;
}

static void put_bridge(struct building *b, const struct compile_input *in,
		       const struct network *net)
{
	const struct podnet_prefix *blocks = NULL;
	char name[16], key[64];
	struct podnet_link bridge = {
		.name = compile_bridge_name(net, name),
		.flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN | PODNET_LINK_NO_SNOOPING,
		.mtu = compile_mtu(in, net),
	};
	size_t i, n = in->blocks(in->arg, net->meta.name, &blocks);

	if (net->isolation)
		bridge.flags |= PODNET_LINK_PROXY_ARP_PVLAN;
	compile_note(b, podnet_set_bridge(b->set, &bridge, b->err));
	for (i = 0; i < n; i++) {
		struct podnet_addr addr = {
			.link = name, .prefix = compile_first(&blocks[i], blocks[i].len),
		};

		compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	}
	if (!net->isolation)
		return;
	snprintf(key, sizeof(key), "ipv4/conf/%s/send_redirects", name);
	put_sysctl(b, key, "0");
	/* the answer for another port waits up to 0.8 s by default (arp(7), proxy_delay) */
	snprintf(key, sizeof(key), "ipv4/neigh/%s/proxy_delay", name);
	put_sysctl(b, key, "0");
}

int compile_network(const struct compile_input *in, const struct network *net,
		    struct podnet_set **ret, struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct building b = { .err = err };

	b.rc = podnet_set_new(&set, net->meta.uid, err);
	if (b.rc < 0)
		return b.rc;
	b.set = set;
	if (net->type == NETWORK_BRIDGE)
		put_bridge(&b, in, net);
	if (b.rc < 0)
		return b.rc;
	*ret = take_ptr(set);
	return 0;
}

static void put_blocks(struct building *b, const struct compile_input *in,
		       const struct network *net)
{
	const struct podnet_prefix *blocks = NULL;
	size_t i, n = in->blocks(in->arg, net->meta.name, &blocks);

	for (i = 0; i < n; i++) {
		struct podnet_route route = {
			.dst = podnet_prefix_mask(&blocks[i]), .type = PODNET_ROUTE_UNREACHABLE,
			.metric = COMPILE_NODE_METRIC,
		};
		struct podnet_addr addr = {
			.link = "lo", .prefix = compile_first(&blocks[i], 128),
		};

		compile_note(b, podnet_set_route(b->set, &route, b->err));
		if (net->type == NETWORK_ROUTED && blocks[i].family == AF_INET6)
			compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	}
}

/* What any of the networks asks of the node as a whole. */
static void put_forwarding(struct building *b, const struct network *const *networks, size_t n)
{
	bool v6 = false, isolated = false;
	size_t i, k;

	for (i = 0; i < n; i++) {
		isolated |= networks[i]->type == NETWORK_BRIDGE && networks[i]->isolation;
		for (k = 0; k < networks[i]->ncidrs; k++)
			v6 |= networks[i]->cidrs[k].family == AF_INET6;
	}
	put_sysctl(b, "ipv4/ip_forward", "1");
	if (v6)
		put_sysctl(b, "ipv6/conf/all/forwarding", "1");
	if (isolated)           /* the kernel sends them when either `all` or the link says so */
		put_sysctl(b, "ipv4/conf/all/send_redirects", "0");
}

/*
 * Each node on the L2 is a neighbour, and behind gc_thresh3 the kernel refuses packets to one it does
 * not know (arp(7)).  Twice as many are enough; where it allows more already, that stays.
 */
static void put_neighbours(struct building *b, const struct compile_input *in)
{
	static const char *const names[] = { "ipv4", "ipv6" };
	uint32_t limit = 1024;
	char key[64], value[16];

	while (limit < 2 * in->others && limit < 1u << 20)
		limit *= 2;
	for (size_t i = 0; i < 2 && limit > 1024; i++) {
		if (!in->neighbours[i] || in->neighbours[i] > limit)
			continue;
		snprintf(key, sizeof(key), "%s/neigh/default/gc_thresh3", names[i]);
		snprintf(value, sizeof(value), "%u", limit);
		put_sysctl(b, key, value);
		snprintf(key, sizeof(key), "%s/neigh/default/gc_thresh2", names[i]);
		snprintf(value, sizeof(value), "%u", limit / 2);
		put_sysctl(b, key, value);
	}
}

static const char *uplink(const struct compile_input *in, bool v6)
{
	return in->uplinks[v6] && *in->uplinks[v6] ? in->uplinks[v6] : NULL;
}

/*
 * So that the node itself can connect(2) to a cluster IP where it has no default route: what goes
 * there is sent elsewhere, refused or dropped before it would leave.  Where there is no uplink, lo
 * serves; but then the kernel sends the node no ICMP error, and IPv6 takes such a route for one
 * that rejects.  By a link with an MTU below 1280 the kernel has no IPv6 at all.
 */
static void put_services(struct building *b, const struct compile_input *in)
{
	for (size_t i = 0; i < in->conf->nservice_cidrs; i++) {
		struct podnet_route route = {
			.dst = podnet_prefix_mask(&in->conf->service_cidrs[i]),
			.metric = COMPILE_NODE_METRIC,
		};
		bool v6 = route.dst.family == AF_INET6;

		route.link = uplink(in, v6) ? uplink(in, v6) : v6 && in->narrow ? NULL :
			     uplink(in, !v6) ? uplink(in, !v6) : v6 ? NULL : "lo";
		if (route.link)
			compile_note(b, podnet_set_route(b->set, &route, b->err));
	}
}

static int fill_nat(const struct network *const *networks, size_t n, struct podnet_nat *nat)
{
	struct podnet_prefix *inside = calloc(2 * n + 1, sizeof(*inside));
	struct podnet_prefix *masquerade = calloc(2 * n + 1, sizeof(*masquerade));
	size_t i, k;

	if (!inside || !masquerade) {
		free(inside);
		free(masquerade);
		return -ENOMEM;
	}
	*nat = (struct podnet_nat){ .inside = inside, .masquerade = masquerade };
	for (i = 0; i < n; i++) {
		for (k = 0; k < networks[i]->ncidrs; k++) {
			inside[nat->ninside++] = podnet_prefix_mask(&networks[i]->cidrs[k]);
			if (networks[i]->masquerade)
				masquerade[nat->nmasquerade++] = inside[nat->ninside - 1];
		}
	}
	return 0;
}

int compile_node(const struct compile_input *in, const struct network *const *networks,
		 size_t nnetworks, struct podnet_set **ret, struct podnet_nat *nat,
		 struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	/* what the node sends to pods has the node's own address, and the gateway's where it has none */
	struct podnet_addr gateway = {
		.link = "lo", .prefix = compile_gateway(AF_INET), .local = in->has_ipv4,
	};
	struct building b = { .err = err };
	size_t i;

	b.rc = podnet_set_new(&set, "node", err);
	if (b.rc < 0)
		return b.rc;
	b.set = set;
	put_forwarding(&b, networks, nnetworks);
	compile_note(&b, podnet_set_addr(set, &gateway, b.err));
	for (i = 0; i < nnetworks; i++)
		put_blocks(&b, in, networks[i]);
	put_services(&b, in);
	compile_put_tunnels(&b, in);
	put_neighbours(&b, in);
	compile_balanced(&b, in);
	if (b.rc == 0 && fill_nat(networks, nnetworks, nat) < 0)
		return compile_fail(err, -ENOMEM, "node_compile", NULL, "");
	nat->clamp = in->tunnels ? COMPILE_TUNNEL_PREFIX : NULL;
	if (b.rc < 0)
		return b.rc;
	*ret = take_ptr(set);
	return 0;
}
