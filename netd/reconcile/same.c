/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * same.c - a Route that would be, in the kernel, one of netd's own
 *
 * Room: reconcile.  All routes of ours bear one protocol, so a plan cannot tell whose one is: it would
 * be replaced, and taken away with the Route.  What pods and the node need goes first, also before a
 * Route that was there earlier; two Routes are told apart when they are written (rest/routes.c).
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

/* A set takes no two different routes of one key, and none of ours has this MTU. */
static bool has_route(struct podnet_set *set, const struct route *route)
{
	struct podnet_route key = {
		.netns = route->netns, .dst = route->destination, .table = route->table,
		.metric = route->metric, .type = PODNET_ROUTE_UNREACHABLE, .mtu = 1,
	};

	return podnet_set_route(set, &key, NULL) == -EEXIST;
}

static bool is_host(const struct podnet_prefix *p)
{
	return p->len == (p->family == AF_INET6 ? 128 : 32);
}

struct search {
	struct reconcile *rec;
	const struct route *route;
	struct object *pod;         /* with an address that is the route's destination; NULL: none yet */
};

static bool has_address(const struct pod_network *net, const struct podnet_prefix *p)
{
	size_t i;

	for (i = 0; i < net->nips; i++)
		if (memcmp(&net->ips[i], p, sizeof(*p)) == 0)
			return true;
	return false;
}

static int find_pod(void *arg, struct object *obj)
{
	struct search *s = arg;
	size_t i;

	for (i = 0; i < obj->pod->nattached && !s->pod && scope_is_ours(s->rec, obj); i++)
		if (has_address(&obj->pod->attached[i], &s->route->destination))
			s->pod = obj;
	return s->pod != NULL;
}

/* Whose namespace this is: "<pod>.<namespace>", and a namespace has no dot in its name. */
static struct object *pod_in(const struct reconcile *rec, const char *netns)
{
	const char *dot = strrchr(netns, '.');
	char name[256], again[256];
	struct object *pod;

	if (!dot || dot == netns)
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)(dot - netns), netns);
	pod = state_get(rec->conf.state, &kinds[KIND_POD], dot + 1, name);
	return pod && strcmp(pod_netns_name(pod->pod, again), netns) == 0 ? pod : NULL;
}

static bool pod_has(struct reconcile *rec, struct object *pod, const struct route *route)
{
	struct podnet_set *set = NULL;
	bool has = pod && want_compile(rec, pod, &set) == 0 && has_route(set, route);

	podnet_set_free(set);
	return has;
}

/* A Route of another node may have come from here: see scope_may_be_here(). */
static bool moved_on(const struct reconcile *rec, const struct object *obj)
{
	const char *rest = strchr(obj->route->identity, '/');
	_cleanup_free_ char *here = NULL;

	if (scope_is_ours(rec, obj))
		return false;
	return !rest || asprintf(&here, "%s%s", rec->node->node_name, rest) < 0 ||
	       state_same(rec->conf.state, obj->kind, here);
}

bool same_as_other(struct reconcile *rec, const struct object *obj, struct podnet_error *err)
{
	const struct route *route = obj->route;
	struct search s = { .rec = rec, .route = route };
	char text[PODNET_PREFIX_STRLEN];
	const char *whose = NULL;

	if (obj->kind->id != KIND_ROUTE)
		return false;
	if (route->netns)
		s.pod = pod_in(rec, route->netns);
	else if (is_host(&route->destination))
		state_each_here(rec->conf.state, &kinds[KIND_POD], find_pod, &s);
	if (pod_has(rec, s.pod, route))
		whose = "it is the route of a pod";
	else if (!route->netns && route->metric == COMPILE_NODE_METRIC)
		whose = "the metric is that of netd's own routes";
	else if (moved_on(rec, obj))
		whose = "it is another Route's";
	if (!whose)
		return false;
	if (!err)
		return true;
	*err = (struct podnet_error){
		.code = -EEXIST, .step = "route_add", .field = "dst", .why = whose,
	};
	snprintf(err->object, sizeof(err->object), "route %s",
		 podnet_prefix_format(&route->destination, text));
	return true;
}

static int mark_route(void *arg, struct object *obj)
{
	const struct search *s = arg;
	struct search there = { .rec = s->rec, .route = obj->route };
	struct scope *scope = NULL;

	if (!obj->route->netns && is_host(&obj->route->destination) && find_pod(&there, s->pod))
		scope = scope_find(s->rec, obj->meta->uid);
	if (scope)
		reconcile_mark(s->rec, scope, 0);
	return 0;
}

void same_mark(struct reconcile *rec, struct object *pod)
{
	struct search s = { .rec = rec, .pod = pod };

	if (!pod->pod->nattached || !rec->routes)       /* others' may be many */
		return;
	state_each(rec->conf.state, &kinds[KIND_ROUTE], NULL, mark_route, &s);
}
