/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * want.c - what a scope asks of the kernel, as a task
 *
 * Room: reconcile.  Compiles with what the state says now.
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <stdio.h>
#include <sys/socket.h>

#define REF_MAX 256

/** Where compile looks things up. */
struct lookup {
	const struct state *state;
	/* what is taken away may outlive its network, whose links are named all the same */
	bool going;
	bool other;                 /* as if isolation were what it is not */
	struct network changed;
};

static const struct network *find_network(void *arg, const char *name)
{
	static const struct network gone = { .type = NETWORK_ROUTED };
	struct lookup *l = arg;
	struct object *obj = state_get(l->state, &kinds[KIND_NETWORK], "", name);

	if (!obj)
		return l->going ? &gone : NULL;
	if (!l->other || obj->network->type != NETWORK_BRIDGE)
		return obj->network;
	l->changed = *obj->network;
	l->changed.isolation = !l->changed.isolation;
	return &l->changed;
}

static size_t find_blocks(void *arg, const char *name, const struct podnet_prefix **ret)
{
	const struct lookup *l = arg;

	return ipam_blocks(state_ipam((struct state *)(uintptr_t)l->state), name, ret);
}

static int compile_object(const struct compile_input *in, const struct object *obj,
			  struct podnet_set **ret, struct podnet_error *err)
{
	switch (obj->kind->id) {
	case KIND_POD:
		return compile_pod(in, obj->pod, ret, err);
	case KIND_NETWORK:
		return compile_network(in, obj->network, ret, err);
	case KIND_NETNS:
		return compile_netns(in, obj->netns, ret, err);
	case KIND_VETH:
		return compile_veth(in, obj->veth, ret, err);
	case KIND_BRIDGE:
		return compile_bridge(in, obj->bridge, ret, err);
	case KIND_ROUTE:
		return compile_route(in, obj->route, ret, err);
	case KIND_TUNNEL:
		return compile_tunnel(in, obj->tunnel, ret, err);
	case KIND_NAMESPACE:
	case KIND_NODE:
	case KIND_EVENT:
	case KIND_SERVICE:
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
	case KIND_NETWORK_POLICY:
	case KIND_COUNT:
		return -EINVAL;
	}
	return -EINVAL;
}

struct networks {
	const struct network **v;
	size_t n;
};

static int add_network(void *arg, struct object *obj)
{
	struct networks *nets = arg;

	nets->v[nets->n++] = obj->network;
	return 0;
}

static int put_service_nets(struct reconcile *rec, const struct compile_input *in,
			    const struct networks *nets, struct kernel_task *task)
{
	struct podnet_prefix *inside = calloc(2 * nets->n + 1, sizeof(*inside)), *local = NULL;
	struct podnet_prefix *ips = calloc(ARRAY_SIZE(rec->ips), sizeof(*ips));
	struct podnet_service_nets *to = &task->nets;
	int r = inside && ips ? 0 : -ENOMEM;

	if (r == 0)
		r = compile_service_nets(in, nets->v, nets->n, inside, &to->ninside, &local,
					 &to->nlocal);
	if (ips)
		memcpy(ips, rec->ips, sizeof(rec->ips));
	*to = (struct podnet_service_nets){
		.inside = inside, .ninside = to->ninside, .local = local, .nlocal = to->nlocal,
		.services = rec->node->service_cidrs, .nservices = rec->node->nservice_cidrs,
		.node_ips = ips, .nnode_ips = rec->nips,
	};
	return r;
}

/* What is answered, and what of it is announced where. */
static int put_announce(const struct compile_input *in, struct kernel_task *task)
{
	task->announce = calloc(in->nbalanced + 1, sizeof(*task->announce));
	if (!task->announce)
		return -ENOMEM;
	for (size_t i = 0; i < in->nbalanced; i++) {
		struct kernel_announce *to = &task->announce[task->nannounce];
		const char *link = compile_announce_on(in, &in->balanced[i]);

		if (!link)
			continue;
		snprintf(to->link, sizeof(to->link), "%s", link);
		to->ip = in->balanced[i];
		task->nannounce++;
	}
	return 0;
}

static int compile_all_networks(struct reconcile *rec, const struct compile_input *in,
				struct kernel_task *task, struct podnet_error *err)
{
	size_t count = state_count(rec->conf.state, &kinds[KIND_NETWORK]);
	_cleanup_free_ const struct network **v = calloc(count + 1, sizeof(*v));
	_cleanup_free_ struct podnet_prefix *balanced = NULL;
	struct compile_input with = *in;
	struct networks nets = { .v = v };
	int r = v ? balanced_get(rec, &balanced, &with.nbalanced) : -ENOMEM;

	if (r < 0)
		return r;
	with.balanced = balanced;
	state_each(rec->conf.state, &kinds[KIND_NETWORK], NULL, add_network, &nets);
	r = compile_node(&with, nets.v, nets.n, &task->set, &task->nat, err);
	if (r == 0)
		r = put_announce(&with, task);
	if (r == 0)
		r = put_service_nets(rec, in, &nets, task);
	if (r < 0)
		return r;
	task->has_nat = true;
	task->node_metric = COMPILE_NODE_METRIC;
	task->node_links = compile_tunnel_names;
	rec->blocks = node_count_blocks(rec);
	return 0;
}

/* Where it lives, so that kernel events find it. */
static int copy_places(struct kernel_task *task, const char *a, const char *b, const char *pin)
{
	if (a && !(task->netns[0] = strdup(a)))
		return -ENOMEM;
	if (b && (!a || strcmp(a, b) != 0) && !(task->netns[1] = strdup(b)))
		return -ENOMEM;
	return pin && !(task->pin = strdup(pin)) ? -ENOMEM : 0;
}

/* What outlives its namespace's pins, and has no mark that a sweep would see: kernel/records.c. */
static int put_record(struct kernel_task *task, const struct object *obj)
{
	char text[PODNET_PREFIX_STRLEN + 32], to[PODNET_PREFIX_STRLEN];
	const char *link = NULL;

	if (obj->kind->id == KIND_ROUTE)
		snprintf(text, sizeof(text), "%s %u %u",
			 podnet_prefix_format(&obj->route->destination, to), obj->route->table,
			 obj->route->metric);
	if (obj->kind->id == KIND_BRIDGE && obj->bridge->netns)
		link = obj->bridge->interface;
	/* of a pair with an end at home that one tells */
	if (obj->kind->id == KIND_VETH && obj->veth->ends[0].netns && obj->veth->ends[1].netns)
		link = obj->veth->ends[0].name;
	if (link)
		snprintf(text, sizeof(text), "link %s", link);
	if (!link && obj->kind->id != KIND_ROUTE)
		return 0;
	task->record = strdup(text);
	return task->record ? 0 : -ENOMEM;
}

static int put_places(struct kernel_task *task, const struct object *obj)
{
	char name[256];

	switch (obj->kind->id) {
	case KIND_POD:
		return copy_places(task, pod_netns_name(obj->pod, name), NULL, obj->pod->netns);
	case KIND_NETNS:
		task->tell_inode = true;
		return copy_places(task, obj->meta->name, NULL, obj->netns->path);
	case KIND_VETH:
		return copy_places(task, obj->veth->ends[0].netns, obj->veth->ends[1].netns, NULL);
	case KIND_BRIDGE:
		return copy_places(task, obj->bridge->netns, NULL, NULL);
	case KIND_ROUTE:
		task->home = !obj->route->netns;
		return copy_places(task, obj->route->netns, NULL, NULL);
	case KIND_NAMESPACE:
	case KIND_NODE:
	case KIND_EVENT:
	case KIND_NETWORK:
	case KIND_TUNNEL:           /* its routes are on a link of its own */
	case KIND_SERVICE:
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
	case KIND_NETWORK_POLICY:
	case KIND_COUNT:
		return 0;
	}
	return 0;
}

static bool nothing_in_kernel(const struct reconcile *rec, const struct object *obj)
{
	if (obj->kind->id == KIND_NODE)     /* of this one's own there is the scope "node" */
		return strcmp(obj->meta->name, rec->node->node_name) == 0;
	return obj->kind->id == KIND_POD && obj->pod->host_network;
}

static void fill_input(struct reconcile *rec, struct lookup *l, struct compile_input *in)
{
	size_t nodes = state_count(rec->conf.state, &kinds[KIND_NODE]);

	*in = (struct compile_input){
		.conf = rec->node,
		.mtu = rec->conf.mtu, .underlay_mtu = rec->facts.mtu,
		.has_ipv4 = rec->nips && rec->ips[0].family == AF_INET,
		.uplinks = { rec->facts.uplinks[0], rec->facts.uplinks[1] },
		.narrow = rec->facts.mtu < LIMIT_MTU_IPV6,
		.own = rec->facts.addresses, .nown = rec->facts.naddresses,
		.links = rec->links, .nlinks = rec->facts.nlinks,
		.tunnels = rec->tunnels, .no_vxlan = rec->no_vxlan,
		.others = nodes ? nodes - 1 : 0,
		.neighbours = { rec->facts.neighbours[0], rec->facts.neighbours[1] },
		.network = find_network,
		.blocks = find_blocks,
		.arg = l,
	};
	for (size_t i = 0; i < rec->nips; i++)
		in->underlay[rec->ips[i].family == AF_INET6] = rec->ips[i];
}

void want_input(struct reconcile *rec, struct compile_input *in)
{
	fill_input(rec, NULL, in);
}

int want_compile(struct reconcile *rec, struct object *obj, struct podnet_set **ret)
{
	struct lookup here = { .state = rec->conf.state };
	struct compile_input in;

	fill_input(rec, &here, &in);
	return compile_object(&in, obj, ret, NULL);
}

static bool on_bridge(const struct reconcile *rec, const struct pod *pod)
{
	size_t i;

	for (i = 0; i < pod->nattached; i++) {
		const struct object *net = state_get(rec->conf.state, &kinds[KIND_NETWORK], "",
						     pod->attached[i].network);

		if (net && net->network->type == NETWORK_BRIDGE)
			return true;
	}
	return false;
}

/*
 * What the kernel may hold of an earlier wish.  The routes of a pod also hang on the isolation of
 * its bridge networks, the one thing of a Network that a pod's set is made of and that may change;
 * it may have changed while nobody was there to see it, too.
 */
static void put_was(struct reconcile *rec, const struct scope *scope, struct kernel_task *task)
{
	struct lookup l = { .state = rec->conf.state, .going = true };
	const struct object *obj = scope->now;
	struct compile_input in;

	if (scope->npast)
		obj = scope->past[scope->npast - 1];
	else if ((scope->tried || scope->first) && obj->kind->id == KIND_POD)
		l.other = on_bridge(rec, obj->pod);
	fill_input(rec, &l, &in);
	if ((scope->npast || l.other) && !same_as_other(rec, obj, NULL))
		compile_object(&in, obj, &task->was, NULL);
}

static void put_sign(struct kernel_task *task, const struct podnet_prefix *dst)
{
	task->signs[task->nsigns++].prefix = podnet_prefix_mask(dst);
}

/* Where declared routes lead: another's in the place of one of them says nothing of ours. */
static int put_declared(struct kernel_task *task, const struct object *obj)
{
	size_t n = obj->kind->id == KIND_ROUTE && !obj->route->netns;

	for (size_t i = 0; obj->kind->id == KIND_TUNNEL && i < obj->tunnel->npeers; i++)
		n += obj->tunnel->peers[i].ncidrs;
	if (!n)
		return 0;
	task->signs = calloc(n, sizeof(*task->signs));
	if (!task->signs)
		return -ENOMEM;
	if (obj->kind->id == KIND_ROUTE) {
		put_sign(task, &obj->route->destination);
		return 0;
	}
	for (size_t i = 0; i < obj->tunnel->npeers; i++)
		for (size_t k = 0; k < obj->tunnel->peers[i].ncidrs; k++)
			put_sign(task, &obj->tunnel->peers[i].cidrs[k]);
	return 0;
}

static int ensure_task(struct reconcile *rec, struct scope *scope, struct kernel_task *task,
		       struct podnet_error *err)
{
	struct lookup here = { .state = rec->conf.state };
	struct compile_input in;
	int r;

	fill_input(rec, &here, &in);
	if (scope->node)
		return compile_all_networks(rec, &in, task, err);
	if (scope->now->kind->id == KIND_NODE)
		return paths_ensure(rec, &in, scope, task, err);
	if (same_as_other(rec, scope->now, err))
		return -EEXIST;
	if (scope->now->kind->id == KIND_NETWORK)
		scope->blocks = node_blocks(rec, scope->now);
	task->set = early_take_set(rec, scope->now);
	r = task->set ? 0 : compile_object(&in, scope->now, &task->set, err);
	if (r < 0)
		return r;
	put_was(rec, scope, task);
	r = put_declared(task, scope->now);
	if (r == 0)
		r = put_places(task, scope->now);
	return r < 0 ? r : put_record(task, scope->now);
}

static int absent_task(struct reconcile *rec, struct scope *scope, struct kernel_task *task,
		       struct podnet_error *err)
{
	const struct object *last = scope->past[scope->npast - 1];
	struct lookup l = { .state = rec->conf.state, .going = true };
	struct compile_input in;
	int r;

	fill_input(rec, &l, &in);
	if (last->kind->id == KIND_NODE)
		return paths_absent(rec, &in, scope, task, err);
	carry_gone(rec, scope);
	r = compile_object(&in, last, &task->set, err);
	return r < 0 ? r : put_places(task, last);
}

static bool nothing_left(struct reconcile *rec, const struct scope *scope)
{
	const struct object *last = scope->npast ? scope->past[scope->npast - 1] : NULL;

	return !scope->held || !last || nothing_in_kernel(rec, last) || same_as_other(rec, last, NULL);
}

int want_task(struct reconcile *rec, struct scope *scope, struct kernel_task **ret,
	      struct podnet_error *err)
{
	bool gone = !scope->node && !scope->now;
	_cleanup_(kernel_task_freep) struct kernel_task *task = NULL;
	int r;

	*ret = NULL;
	if (gone ? nothing_left(rec, scope) : !scope->node && nothing_in_kernel(rec, scope->now))
		return 0;
	task = kernel_task_new(gone ? KERNEL_ABSENT : KERNEL_ENSURE, scope->uid);
	if (!task)
		return -ENOMEM;
	r = gone ? absent_task(rec, scope, task, err) : ensure_task(rec, scope, task, err);
	if (r < 0)
		return r;
	task->urgent = scope->urgent;
	task->drift = scope->drift;
	task->fresh = !gone && !scope->node && !scope->tried && !scope->first && !scope->npast;
	*ret = take_ptr(task);
	return 0;
}
