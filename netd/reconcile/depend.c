/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * depend.c - who uses the namespaces and bridges of others
 *
 * Room: reconcile.  What was made anew comes back empty: its users must look again.
 */
#include "inner.h"

struct search {
	struct reconcile *rec;
	const char *netns;          /* name of a namespace that came back, or NULL */
	const char *bridge;         /* name of a bridge that came back, or NULL */
	const char *bridge_netns;   /* ... and where it is, NULL: the node's */
	const char *network;        /* network whose bridge or MTU changed, or NULL */
};

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool uses_end(const struct search *s, const struct veth_end *end)
{
	bool place = s->bridge_netns ? same(end->netns, s->bridge_netns) : !end->netns;

	return same(end->netns, s->netns) || (place && same(end->bridge, s->bridge));
}

static bool uses_network(const struct search *s, const struct pod *pod)
{
	size_t i;

	for (i = 0; s->network && i < pod->nattached; i++)
		if (same(pod->attached[i].network, s->network))
			return true;
	return false;
}

static bool uses(const struct search *s, const struct object *obj)
{
	switch (obj->kind->id) {
	case KIND_POD:
		return uses_network(s, obj->pod);
	case KIND_VETH:
		return uses_end(s, &obj->veth->ends[0]) || uses_end(s, &obj->veth->ends[1]);
	case KIND_BRIDGE:
		return same(obj->bridge->netns, s->netns);
	case KIND_ROUTE:
		return same(obj->route->netns, s->netns) ||
		       (s->bridge && same(obj->route->interface, s->bridge));
	case KIND_NAMESPACE:
	case KIND_NODE:
	case KIND_EVENT:
	case KIND_NETWORK:
	case KIND_NETNS:
	case KIND_TUNNEL:
	case KIND_SERVICE:
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
	case KIND_NETWORK_POLICY:
	case KIND_COUNT:
		return false;
	}
	return false;
}

static int mark_user(void *arg, struct object *obj)
{
	const struct search *s = arg;
	struct scope *scope = uses(s, obj) ? scope_find(s->rec, obj->meta->uid) : NULL;

	if (scope)
		reconcile_mark(s->rec, scope, 0);
	return 0;
}

static void mark_users(struct reconcile *rec, struct search *s)
{
	static const enum kind_id users[] = { KIND_VETH, KIND_BRIDGE, KIND_ROUTE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(users); i++)
		state_each(rec->conf.state, &kinds[users[i]], NULL, mark_user, s);
	if (s->network)
		state_each_here(rec->conf.state, &kinds[KIND_POD], mark_user, s);
}

/* A veth's ends and a tunnel carry routes; those that name the interface look again. */
static int mark_route(void *arg, struct object *obj)
{
	const struct search *s = arg;
	struct scope *scope = same(obj->route->interface, s->bridge) ?
			      scope_find(s->rec, obj->meta->uid) : NULL;

	if (scope)
		reconcile_mark(s->rec, scope, 0);
	return 0;
}

static void mark_routes_of(struct reconcile *rec, const char *interface)
{
	struct search s = { .rec = rec, .bridge = interface };

	state_each(rec->conf.state, &kinds[KIND_ROUTE], NULL, mark_route, &s);
}

void depend_mark_network(struct reconcile *rec, const char *network)
{
	struct search s = { .rec = rec, .network = network };

	mark_users(rec, &s);
}

void depend_mark(struct reconcile *rec, const struct scope *scope)
{
	const struct object *obj = scope->now;
	struct search s = { .rec = rec };
	char name[256];

	if (!obj)
		return;
	if (obj->kind->id == KIND_VETH) {
		mark_routes_of(rec, obj->veth->ends[0].name);
		mark_routes_of(rec, obj->veth->ends[1].name);
		return;
	}
	if (obj->kind->id == KIND_TUNNEL) {
		mark_routes_of(rec, obj->tunnel->interface);
		return;
	}
	if (obj->kind->id == KIND_POD)
		s.netns = pod_netns_name(obj->pod, name);
	if (obj->kind->id == KIND_NETNS)
		s.netns = obj->meta->name;
	if (obj->kind->id == KIND_NETWORK)
		s.network = obj->meta->name;
	if (obj->kind->id == KIND_BRIDGE) {
		s.bridge = obj->bridge->interface ? obj->bridge->interface : obj->meta->name;
		s.bridge_netns = obj->bridge->netns;
	}
	if (s.netns || s.bridge || s.network)
		mark_users(rec, &s);
}
