/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nodes.c - a Node keeps its CIDRs, and the one that netd runs on cannot be deleted
 *
 * Room: rest.  Its uid owns the blocks of this node: with another one, every address would be lost.
 * May include: codec, state, model, netd/base.
 */
#include "internal.h"

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

static int deletable(struct call *c, const struct object *obj)
{
	if (strcmp(obj->meta->name, state_config(c->rest->state)->node_name) != 0)
		return 0;
	return refuse(c, 403, "Forbidden", "nodes \"%s\" is forbidden: netd runs on it",
		      obj->meta->name);
}

const struct kind_hooks node_hooks = {
	.prepare = prepare,
	.deletable = deletable,
};
