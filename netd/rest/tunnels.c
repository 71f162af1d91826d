/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnels.c - what two Tunnels of a node, or a Tunnel and a Route, cannot both have
 *
 * Room: rest.  Accepted, one of them would never be in the kernel, or both would overwrite each
 * other's routes.  May include: codec, state, model, netd/base.
 */
#include "internal.h"

#include <netinet/in.h>
#include <stdio.h>

#define TABLE_MAIN 254          /* RT_TABLE_MAIN, where the routes of a tunnel are */
#define METRIC_V6  1024         /* IP6_RT_PRIO_USER, what the kernel makes of an IPv6 metric of 0 */

/** A prefix behind one of the tunnel's peers. */
struct behind {
	struct podnet_prefix p;
	size_t peer, cidr;
};

struct others {
	struct causes *causes;
	const struct tunnel *mine;
	struct behind *v;           /* sorted by prefix */
	size_t n;
};

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_prefix(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void taken(const struct others *o, const char *field, const char *value,
		  const struct object *by)
{
	causes_add(o->causes, CAUSE_INVALID, field, value, "%s \"%s\" has it", by->kind->name,
		   by->meta->name);
}

static void taken_number(const struct others *o, const char *field, uint32_t value,
			 const struct object *by)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	causes_add_bare(o->causes, CAUSE_INVALID, field, text, "%s \"%s\" has it", by->kind->name,
			by->meta->name);
}

/* A VXLAN port is open at every address of its family, and for all VXLAN devices together. */
static bool same_socket(const struct tunnel *a, const struct tunnel *b)
{
	if (a->port != b->port || a->local.family != b->local.family)
		return false;
	if (a->type == TUNNEL_VXLAN && b->type == TUNNEL_VXLAN)
		return false;
	return a->type != b->type || same_prefix(&a->local, &b->local);
}

static int by_prefix(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct podnet_prefix));
}

static int sort_prefixes(struct others *o, struct arena *arena)
{
	size_t i, k;

	for (i = 0; i < o->mine->npeers; i++)
		o->n += o->mine->peers[i].ncidrs;
	o->v = arena_alloc(arena, (o->n + 1) * sizeof(*o->v));
	if (!o->v)
		return -ENOMEM;
	o->n = 0;
	for (i = 0; i < o->mine->npeers; i++)
		for (k = 0; k < o->mine->peers[i].ncidrs; k++)
			o->v[o->n++] = (struct behind){ o->mine->peers[i].cidrs[k], i, k };
	qsort(o->v, o->n, sizeof(*o->v), by_prefix);
	return 0;
}

static void check_prefix(const struct others *o, const struct podnet_prefix *dst,
			 const struct object *by)
{
	const struct behind *mine = bsearch(dst, o->v, o->n, sizeof(*o->v), by_prefix);
	char field[64], text[PODNET_PREFIX_STRLEN];

	if (!mine)
		return;
	snprintf(field, sizeof(field), "spec.peers[%zu].cidrs[%zu]", mine->peer, mine->cidr);
	taken(o, field, podnet_prefix_format(dst, text), by);
}

/*
 * What leads to the pods of other nodes is netd's, though it may not be there yet; its ports are the
 * same on every node, whichever one the Tunnel is to be on.
 */
static void check_nodes(const struct others *o, const struct node_config *conf)
{
	const struct tunnel *mine = o->mine;
	bool shares = mine->type == TUNNEL_VXLAN && mine->port == conf->vxlan_port;
	bool theirs = shares ? mine->id == NODE_VXLAN_ID
			     : mine->port == conf->vxlan_port || mine->port == conf->udp_port;
	char text[16];

	if (!theirs)
		return;
	snprintf(text, sizeof(text), "%u", shares ? mine->id : mine->port);
	causes_add_bare(o->causes, CAUSE_INVALID, shares ? "spec.id" : "spec.port", text,
			"netd itself has it, for the pods of other nodes");
}

static int check_tunnel(void *arg, struct object *obj)
{
	const struct others *o = arg;
	const struct tunnel *mine = o->mine, *t = obj->tunnel;

	if (same(t->meta.name, mine->meta.name) || !same(t->node_name, mine->node_name))
		return 0;
	if (same(t->interface, mine->interface))
		taken(o, "spec.interface", mine->interface, obj);
	if (same_socket(t, mine))
		taken_number(o, "spec.port", mine->port, obj);
	if (t->type == TUNNEL_VXLAN && mine->type == TUNNEL_VXLAN && t->id == mine->id &&
	    t->port == mine->port && t->local.family == mine->local.family)
		taken_number(o, "spec.id", mine->id, obj);
	for (size_t i = 0; i < t->npeers; i++)
		for (size_t k = 0; k < t->peers[i].ncidrs; k++)
			check_prefix(o, &t->peers[i].cidrs[k], obj);
	return 0;
}

/* Is it, but for its destination, a route as a tunnel's are? */
static bool is_plain(const struct route *r)
{
	return !r->netns && (!r->table || r->table == TABLE_MAIN) &&
	       (!r->metric || (r->destination.family == AF_INET6 && r->metric == METRIC_V6));
}

static int check_route(void *arg, struct object *obj)
{
	const struct others *o = arg;

	if (is_plain(obj->route) && same(obj->route->node_name, o->mine->node_name))
		check_prefix(o, &obj->route->destination, obj);
	return 0;
}

static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	struct others o = { .causes = &c->refusal.causes };

	(void)old;
	o.mine = kind_decode_doc(c->kind, doc, request_arena(c->req));
	if (!o.mine || sort_prefixes(&o, request_arena(c->req)) < 0)
		return refuse_memory(c);
	check_nodes(&o, state_config(c->rest->state));
	state_each_accepted(c->rest->state, c->kind, NULL, check_tunnel, &o);
	return state_each_accepted(c->rest->state, &kinds[KIND_ROUTE], NULL, check_route, &o);
}

struct find {
	const struct route *route;
	const struct object *tunnel;
};

static int find_tunnel(void *arg, struct object *obj)
{
	struct find *f = arg;
	const struct tunnel *t = obj->tunnel;

	for (size_t i = 0; i < t->npeers && same(t->node_name, f->route->node_name); i++)
		for (size_t k = 0; k < t->peers[i].ncidrs; k++)
			if (same_prefix(&t->peers[i].cidrs[k], &f->route->destination))
				f->tunnel = obj;
	return f->tunnel != NULL;
}

const char *tunnel_with_route(struct call *c, const struct route *route)
{
	struct find f = { .route = route };

	if (is_plain(route))
		state_each_accepted(c->rest->state, &kinds[KIND_TUNNEL], NULL, find_tunnel, &f);
	return f.tunnel ? f.tunnel->meta->name : NULL;
}

const struct kind_hooks tunnel_hooks = {
	.prepare = node_local_prepare,
	.validate = validate,
};
