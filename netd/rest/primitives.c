/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * primitives.c - NetworkNamespace, Veth, Bridge and Route: they belong to a node
 *
 * Room: rest.  May include: codec, state, model, netd/base.
 */
#include "internal.h"

int node_local_prepare(struct call *c, struct doc *doc, const struct object *old)
{
	const char *node = state_config(c->rest->state)->node_name;
	_cleanup_(doc_freep) struct doc *was = old ? object_doc(old) : NULL;
	const char *before = was ? doc_str(was, "spec.nodeName") : NULL;

	if (old && !was)
		return -ENOMEM;
	if (doc_has(doc, "spec.nodeName"))
		return 0;
	return doc_set_str(doc, "spec.nodeName", before ? before : node) == -ENOMEM ? -ENOMEM : 0;
}

const struct kind_hooks node_local_hooks = {
	.prepare = node_local_prepare,
};
