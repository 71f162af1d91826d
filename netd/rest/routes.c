/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * routes.c - two Routes cannot be the same one of the kernel
 *
 * Room: rest.  Accepted, they would overwrite each other, and deleting one would take away the
 * other's.  May include: codec, state, model, netd/base.
 */
#include "internal.h"
#include <sys/socket.h>

#define TABLE_MAIN  254         /* RT_TABLE_MAIN, where a route without a table goes */
#define METRIC_V6   1024        /* IP6_RT_PRIO_USER, what the kernel makes of an IPv6 metric of 0 */

struct rival {
	const struct route *mine;
	const char *name;
	const struct object *other;
};

static uint32_t metric_of(const struct route *r)
{
	return !r->metric && r->destination.family == AF_INET6 ? METRIC_V6 : r->metric;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_destination(const struct route *a, const struct route *b)
{
	struct podnet_prefix x = podnet_prefix_mask(&a->destination);
	struct podnet_prefix y = podnet_prefix_mask(&b->destination);

	return x.family == y.family && x.len == y.len && !memcmp(x.addr, y.addr, sizeof(x.addr));
}

static int find_rival(void *arg, struct object *obj)
{
	struct rival *v = arg;
	const struct route *a = v->mine, *b = obj->route;
	uint32_t table_a = a->table ? a->table : TABLE_MAIN;
	uint32_t table_b = b->table ? b->table : TABLE_MAIN;

	if (strcmp(obj->meta->name, v->name) != 0 && same_text(a->node_name, b->node_name) &&
	    same_text(a->netns, b->netns) && table_a == table_b && metric_of(a) == metric_of(b) &&
	    same_destination(a, b))
		v->other = obj;
	return v->other != NULL;
}

static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	struct rival v = { .name = c->name };

	(void)old;
	v.mine = c->kind->decode(doc, request_arena(c->req));
	if (!v.mine)
		return refuse_memory(c);
	state_each_accepted(c->rest->state, c->kind, NULL, find_rival, &v);
	if (v.other)
		causes_add(&c->refusal.causes, CAUSE_INVALID, "spec.destination",
			   doc_str(doc, "spec.destination"), "Route \"%s\" is the same: its "
			   "network namespace, table, destination and metric",
			   v.other->meta->name);
	return 0;
}

const struct kind_hooks route_hooks = {
	.prepare = node_local_prepare,
	.validate = validate,
};
