/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nodes.c - a Node keeps its CIDRs, which no other gets, and the one that netd runs on cannot be deleted
 *
 * Room: rest.  Its uid owns the blocks of this node: with another one, every address would be lost.
 * May include: codec, state, model, netd/base.
 */
#include "internal.h"
#include <stdio.h>

static int prepare(struct call *c, struct doc *doc, const struct object *old)
{
	_cleanup_(doc_freep) struct doc *was = old ? object_doc(old) : NULL;
	int r;

	(void)c;
	if (old && !was)
		return -ENOMEM;
	if (!was || doc_has(doc, "spec.podCIDR") || doc_has(doc, "spec.podCIDRs") ||
	    !doc_has(was, "spec.podCIDRs"))
		return 0;
	r = doc_set_copy(doc, "spec.podCIDRs", was, "spec.podCIDRs");
	return r == -ENOMEM ? r : 0;        /* what is in the way is found by the checks */
}

struct block {
	struct call *c;
	const struct podnet_prefix *p;
	const char *field;
	bool found;
};

static bool overlaps(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return podnet_prefix_contains(a, b) || podnet_prefix_contains(b, a);
}

static void say_overlap(struct block *b, const char *whose, const char *name)
{
	char text[PODNET_PREFIX_STRLEN];

	b->found = true;
	causes_add(&b->c->refusal.causes, CAUSE_INVALID, b->field, podnet_prefix_format(b->p, text),
		   "overlaps with %s \"%s\"", whose, name);
}

static int check_other(void *arg, struct object *obj)
{
	struct block *b = arg;

	if (strcmp(obj->meta->name, b->c->name) == 0)
		return 0;
	for (size_t i = 0; i < obj->node->npod_cidrs && !b->found; i++)
		if (overlaps(b->p, &obj->node->pod_cidrs[i]))
			say_overlap(b, "a block of Node", obj->meta->name);
	return b->found;
}

/* A Node shows its first blocks only; this one may have further ones. */
static int check_mine(void *arg, struct object *obj)
{
	struct block *b = arg;
	const struct state *state = b->c->rest->state;
	const struct podnet_prefix *blocks;
	size_t n = ipam_blocks(state_ipam(b->c->rest->state), obj->meta->name, &blocks);

	for (size_t i = 0; i < n && !b->found; i++)
		if (overlaps(b->p, &blocks[i]))
			say_overlap(b, "a block of Node", state_config(state)->node_name);
	return b->found;
}

static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	const struct node *node;
	char field[32];

	if (!doc_has(doc, "spec.podCIDRs") || (old && old->node->npod_cidrs) ||
	    strcmp(c->name, state_config(c->rest->state)->node_name) == 0)
		return 0;               /* they cannot be changed, and netd sets its own */
	node = kind_decode_doc(c->kind, doc, request_arena(c->req));
	if (!node)
		return refuse_memory(c);
	for (size_t i = 0; i < node->npod_cidrs; i++) {
		struct block b = { .c = c, .p = &node->pod_cidrs[i], .field = field };

		snprintf(field, sizeof(field), "spec.podCIDRs[%zu]", i);
		state_each_accepted(c->rest->state, c->kind, NULL, check_other, &b);
		if (!b.found)
			state_each_accepted(c->rest->state, &kinds[KIND_NETWORK], NULL, check_mine, &b);
	}
	return 0;
}

static bool is_inside(const struct object *net, const struct podnet_prefix *p)
{
	for (size_t i = 0; net && i < net->network->ncidrs; i++)
		if (podnet_prefix_contains(&net->network->cidrs[i], p))
			return true;
	return false;
}

/* Of the default Network they are the other's, as if its netd had claimed them: no pod here gets their addresses. */
static int hold(struct call *c, struct txn *txn, const struct doc *doc)
{
	const struct object *net = state_accepted(c->rest->state, &kinds[KIND_NETWORK], "", "default");
	const struct node *node = kind_decode_doc(c->kind, doc, request_arena(c->req));
	char field[32], text[PODNET_PREFIX_STRLEN];
	int r = node ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < node->npod_cidrs; i++) {
		const struct podnet_prefix *p = &node->pod_cidrs[i];

		if (!is_inside(net, p))
			continue;
		r = txn_hold_block(txn, "default", p, doc_str(doc, "metadata.uid"));
		if (r != -EADDRINUSE)
			continue;
		snprintf(field, sizeof(field), "spec.podCIDRs[%zu]", i);
		causes_add(&c->refusal.causes, CAUSE_INVALID, field, podnet_prefix_format(p, text),
			   "overlaps with a block of a node");
		r = 0;
	}
	return r < 0 ? refuse_memory(c) : 0;
}

static int admit(struct call *c, struct txn *txn, struct doc *doc)
{
	return doc_has(doc, "spec.podCIDRs") ? hold(c, txn, doc) : 0;
}

/* They are set once. */
static int revise(struct call *c, struct txn *txn, struct doc *doc, const struct object *old)
{
	if (old->node->npod_cidrs || strcmp(c->name, state_config(c->rest->state)->node_name) == 0)
		return 0;
	return admit(c, txn, doc);
}

static int deletable(struct call *c, const struct object *obj)
{
	if (!state_node_lives(c->rest->state, obj->meta->name))
		return 0;
	return refuse(c, 403, "Forbidden", "nodes \"%s\" is forbidden: netd runs on it",
		      obj->meta->name);
}

const struct kind_hooks node_hooks = {
	.prepare = prepare,
	.validate = validate,
	.admit = admit,
	.revise = revise,
	.deletable = deletable,
};
