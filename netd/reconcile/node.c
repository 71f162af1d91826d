/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * node.c - what the node is and how it does
 *
 * Room: reconcile.
 */
#include "services.h"

#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/socket.h>

static int add_blocks(void *arg, struct object *obj)
{
	const struct podnet_prefix *blocks = NULL;
	struct { struct state *state; size_t n; } *count = arg;

	count->n += ipam_blocks(state_ipam(count->state), obj->meta->name, &blocks);
	return 0;
}

size_t node_count_blocks(const struct reconcile *rec)
{
	struct { struct state *state; size_t n; } count = { rec->conf.state, 0 };

	state_each(rec->conf.state, &kinds[KIND_NETWORK], NULL, add_blocks, &count);
	return count.n;
}

size_t node_blocks(const struct reconcile *rec, const struct object *network)
{
	const struct podnet_prefix *blocks = NULL;

	return ipam_blocks(state_ipam(rec->conf.state), network->meta->name, &blocks);
}

struct scope *node_short_of_blocks(const struct reconcile *rec, const struct pod *pod, size_t i)
{
	const struct object *net = state_get(rec->conf.state, &kinds[KIND_NETWORK], "",
					     pod->attached[i].network);
	struct scope *scope = net ? scope_find(rec, net->meta->uid) : NULL;

	return scope && scope->blocks != node_blocks(rec, net) ? scope : NULL;
}

bool node_has_blocks(const struct reconcile *rec, const struct pod *pod)
{
	size_t i = 0;

	while (i < pod->nattached && !node_short_of_blocks(rec, pod, i))
		i++;
	return i == pod->nattached && node_count_blocks(rec) == rec->blocks;
}

/* The first of each family, IPv4 first. */
static size_t choose(const struct podnet_prefix *from, size_t n, struct podnet_prefix ret[2])
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	size_t i, f, found = 0;

	memset(ret, 0, 2 * sizeof(*ret));
	for (f = 0; f < 2; f++) {
		for (i = 0; i < n && from[i].family != families[f]; i++)
			;
		if (i < n)
			ret[found++] = from[i];
	}
	return found;
}

size_t reconcile_node_addresses(const struct reconcile *rec, const struct podnet_prefix **ret)
{
	*ret = rec->conf.nnode_ips ? rec->conf.node_ips : rec->facts.addresses;
	return rec->conf.nnode_ips ? rec->conf.nnode_ips : rec->facts.naddresses;
}

size_t reconcile_reserved(const struct reconcile *rec, const struct podnet_prefix **ret)
{
	*ret = rec->facts.reserved;
	return rec->facts.nreserved;
}

/*
 * What comes from pods of another node by another way than answers go to it: while two nodes change from
 * one backend to another, and wherever their ways differ.  Tunnels of ours take it, an uplink may not.
 */
static void tell_strict(struct reconcile *rec)
{
	const char *link = rec->facts.uplinks[0];
	const struct object *node;

	if (rec->told_strict == rec->facts.strict)
		return;
	rec->told_strict = rec->facts.strict;
	if (!rec->told_strict)
		return;
	log_event(LOG_LEVEL_WARNING, "strict_reverse_path", "link=%s", link);
	node = state_get(rec->conf.state, &kinds[KIND_NODE], "", rec->node->node_name);
	if (node)
		control_event(rec->conf.control, node, "Warning", "StrictReversePath",
			      "%s drops what comes by another way than its answer would go: pods of other "
			      "nodes may not get through while their ways change; net.ipv4.conf.%s.rp_filter "
			      "of 2 takes it", link, link);
}

void node_report(struct reconcile *rec)
{
	struct node_report report = {
		.ready = rec->node_ok, .reason = "PodNetworkReady", .dropper = rec->facts.dropper,
	};
	const struct podnet_prefix *from;
	size_t i, n = reconcile_node_addresses(rec, &from);
	char small[160], paths[PATHS_TEXT];

	for (i = 0; i < n && i < ARRAY_SIZE(report.addresses); i++)
		report.addresses[report.naddresses++] = from[i];
	n = reconcile_reserved(rec, &from);
	for (i = 0; i < n && i < ARRAY_SIZE(report.reserved); i++)
		report.reserved[report.nreserved++] = from[i];
	report.message = "the node forwards and its networks are programmed";
	if (!rec->conf.mtu && rec->facts.mtu < LIMIT_MTU_IPV6) {
		snprintf(small, sizeof(small), "pods with IPv6 have MTU %u, which it needs, and the "
			 "default route's link only %u", LIMIT_MTU_IPV6, rec->facts.mtu);
		report.message = small;
	}
	if (!rec->node_ok) {
		report.reason = "KernelError";
		report.message = rec->node_why;
	}
	report.link_local = rec->facts.link_local;
	tunnels_fast(rec, report.fastpath);
	paths_report(rec, paths, &report);
	rec->paths_due = false;
	if (report.others)
		tell_strict(rec);
	control_node(rec->conf.control, &report);
}

const struct podnet_prefix *reconcile_node_overlap(const struct reconcile *rec,
						   const struct podnet_prefix *p)
{
	const struct podnet_prefix *taken = rec->facts.taken;
	size_t i;

	for (i = 0; i < rec->facts.ntaken; i++)
		if (podnet_prefix_contains(p, &taken[i]) || podnet_prefix_contains(&taken[i], p))
			return &taken[i];
	return NULL;
}

static int mark_network(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = scope_find(rec, obj->meta->uid);

	if (scope)
		reconcile_mark(rec, scope, 0);
	return 0;
}

void node_mark_networks(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_NETWORK], NULL, mark_network, rec);
}

static bool same_taken(const struct kernel_facts *a, const struct kernel_facts *b)
{
	return a->ntaken == b->ntaken && !memcmp(a->taken, b->taken, sizeof(a->taken));
}

static bool same_addresses(const struct kernel_facts *a, const struct kernel_facts *b)
{
	return a->naddresses == b->naddresses &&
	       !memcmp(a->addresses, b->addresses, sizeof(a->addresses));
}

static bool same_links(const struct kernel_facts *a, const struct kernel_facts *b)
{
	return a->nlinks == b->nlinks && !memcmp(a->links, b->links, sizeof(a->links));
}

static void take_facts(struct reconcile *rec, const struct kernel_facts *facts)
{
	rec->facts = *facts;
	for (size_t i = 0; i < facts->nlinks; i++)
		rec->links[i] = (struct compile_link){ rec->facts.links[i].prefix,
						       rec->facts.links[i].link };
}

/* Ports of the node are on other addresses; and what is its own is not answered for a Service. */
static void readdress(struct reconcile *rec)
{
	struct scope *node = scope_find(rec, NODE_SCOPE);

	ports_moved(rec);
	balanced_moved(rec);
	overlap_mark(rec);              /* and `local` of a Tunnel may be here now */
	if (node)
		reconcile_mark(rec, node, 0);
}

void node_facts(void *arg, const struct kernel_facts *facts)
{
	struct reconcile *rec = arg;
	const struct podnet_prefix *from = facts->addresses;
	size_t n = facts->naddresses;
	bool mtu_changed = facts->mtu != rec->facts.mtu;
	struct podnet_prefix ips[2];
	bool retake, moved, relinked, readdressed = !same_addresses(facts, &rec->facts);

	early_drop(rec);
	if (rec->conf.nnode_ips) {
		from = rec->conf.node_ips;
		n = rec->conf.nnode_ips;
	}
	n = choose(from, n, ips);
	if (rec->begun)
		ports_tunnels_moved(rec->services->ports);
	if (n != rec->nips || memcmp(ips, rec->ips, sizeof(ips)) != 0)
		rec->epoch++;
	else if (!mtu_changed && rec->begun) {
		retake = !same_taken(facts, &rec->facts);
		moved = memcmp(facts->uplinks, rec->facts.uplinks, sizeof(facts->uplinks)) != 0;
		relinked = readdressed || !same_links(facts, &rec->facts);
		take_facts(rec, facts);
		if (relinked)
			paths_mark(rec);
		if (moved)
			reconcile_mark(rec, scope_find(rec, NODE_SCOPE), 0);
		if (retake)
			node_mark_networks(rec);
		if (readdressed)
			readdress(rec);
		node_report(rec);
		return;
	}
	memcpy(rec->ips, ips, sizeof(ips));
	rec->nips = n;
	take_facts(rec, facts);
	if (!rec->begun) {
		reconcile_begin(rec);
		return;
	}
	paths_mark(rec);
	reconcile_mark_all(rec, 0);
	health_moved(rec);
	if (readdressed)
		readdress(rec);
	node_report(rec);
}
