/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * networks.c - Networks must not overlap each other or the node, nor go while pods are attached
 *
 * Room: rest.  May include: codec, state, model, reconcile.h, netd/base.
 */
#include "internal.h"
#include <stdio.h>

static bool overlaps(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return podnet_prefix_contains(a, b) || podnet_prefix_contains(b, a);
}

struct overlap {
	struct causes *causes;
	const struct network *mine;
	const char *name;
};

static int check_overlap(void *arg, struct object *obj)
{
	const struct overlap *o = arg;
	const struct network *other = obj->network;
	char field[32], text[PODNET_PREFIX_STRLEN];

	if (strcmp(obj->meta->name, o->name) == 0)
		return 0;
	for (size_t i = 0; i < o->mine->ncidrs; i++) {
		const struct podnet_prefix *p = &o->mine->cidrs[i];

		for (size_t k = 0; k < other->ncidrs; k++) {
			if (!overlaps(p, &other->cidrs[k]))
				continue;
			snprintf(field, sizeof(field), "spec.cidrs[%zu]", i);
			causes_add(o->causes, CAUSE_INVALID, field, podnet_prefix_format(p, text),
				   "overlaps with Network \"%s\"", obj->meta->name);
		}
	}
	return 0;
}

static bool overlaps_any(const struct podnet_prefix *p, const struct podnet_prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (overlaps(p, &v[i]))
			return true;
	return false;
}

/* An address of a pod that is also a Service's could not be reached. */
static void check_service_range(struct call *c, const struct network *net)
{
	const struct node_config *conf = state_config(c->rest->state);
	char field[32], text[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; i < net->ncidrs; i++) {
		const struct podnet_prefix *p = &net->cidrs[i];

		if (!overlaps_any(p, conf->service_cidrs, conf->nservice_cidrs) &&
		    !overlaps_any(p, conf->balancer_cidrs, conf->nbalancer_cidrs))
			continue;
		snprintf(field, sizeof(field), "spec.cidrs[%zu]", i);
		causes_add(&c->refusal.causes, CAUSE_INVALID, field,
			   podnet_prefix_format(&net->cidrs[i], text),
			   "overlaps with the addresses of Services");
	}
}

static void check_host(struct call *c, const struct network *net)
{
	char field[32], text[PODNET_PREFIX_STRLEN], theirs[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; c->rest->reconcile && i < net->ncidrs; i++) {
		const struct podnet_prefix *p = &net->cidrs[i];
		const struct podnet_prefix *other = reconcile_node_overlap(c->rest->reconcile, p);

		if (!other)
			continue;
		snprintf(field, sizeof(field), "spec.cidrs[%zu]", i);
		causes_add(&c->refusal.causes, CAUSE_INVALID, field, podnet_prefix_format(p, text),
			   "overlaps with %s, an address or a connected route of this node",
			   podnet_prefix_format(other, theirs));
	}
}

/* Of the node itself; the kernel says it too, as its own route, but not that of a bridge that is down. */
static int check_bridge(void *arg, struct object *obj)
{
	const struct overlap *o = arg;
	const struct bridge *br = obj->bridge;
	char field[32], text[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; !br->netns && i < o->mine->ncidrs; i++)
		for (size_t k = 0; k < br->naddresses; k++) {
			struct podnet_prefix of = podnet_prefix_mask(&br->addresses[k]);

			if (!overlaps(&o->mine->cidrs[i], &of))
				continue;
			snprintf(field, sizeof(field), "spec.cidrs[%zu]", i);
			causes_add(o->causes, CAUSE_INVALID, field,
				   podnet_prefix_format(&o->mine->cidrs[i], text),
				   "overlaps with the addresses of Bridge \"%s\"", obj->meta->name);
		}
	return 0;
}

static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	struct overlap o = { .causes = &c->refusal.causes, .name = c->name };

	if (old)        /* the CIDRs cannot be changed */
		return 0;
	o.mine = kind_decode_doc(c->kind, doc, request_arena(c->req));
	if (!o.mine)
		return refuse_memory(c);
	check_service_range(c, o.mine);
	check_host(c, o.mine);
	state_each_accepted(c->rest->state, &kinds[KIND_BRIDGE], NULL, check_bridge, &o);
	return state_each_accepted(c->rest->state, c->kind, NULL, check_overlap, &o);
}

struct user {
	const char *network;
	const struct object *pod;
};

static int find_user(void *arg, struct object *obj)
{
	struct user *u = arg;

	for (size_t i = 0; i < obj->pod->nattached; i++)
		if (strcmp(obj->pod->attached[i].network, u->network) == 0)
			u->pod = obj;
	return u->pod != NULL;
}

static int deletable(struct call *c, const struct object *obj)
{
	struct user u = { .network = obj->meta->name };

	if (strcmp(u.network, "default") == 0)
		return refuse(c, 403, "Forbidden", "%s \"default\" is forbidden: the default "
			      "network cannot be deleted", c->kind->store_name);
	state_each_accepted(c->rest->state, &kinds[KIND_POD], NULL, find_user, &u);
	if (!u.pod)
		return 0;
	return refuse(c, 403, "Forbidden", "%s \"%s\" is forbidden: pod \"%s/%s\" is attached to it",
		      c->kind->store_name, u.network, u.pod->meta->ns, u.pod->meta->name);
}

const struct kind_hooks network_hooks = {
	.validate = validate,
	.deletable = deletable,
};
