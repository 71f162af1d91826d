/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * routes.c - two Routes cannot be the same one of the kernel, nor a Route a Tunnel's
 *
 * Room: rest.  Accepted, they would overwrite each other, and deleting one would take away the
 * other's.  May include: codec, state, model, netd/base.
 */
#include "internal.h"

static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	const struct route *mine = kind_decode_doc(c->kind, doc, request_arena(c->req));
	const struct object *other;
	const char *tunnel;

	(void)old;
	if (!mine)
		return refuse_memory(c);
	other = state_same(c->rest->state, c->kind, mine->identity);
	if (other && strcmp(other->meta->name, mine->meta.name) != 0)
		causes_add(&c->refusal.causes, CAUSE_INVALID, "spec.destination",
			   doc_str(doc, "spec.destination"), "Route \"%s\" is the same: its "
			   "network namespace, table, destination and metric",
			   other->meta->name);
	tunnel = tunnel_with_route(c, mine);
	if (tunnel)
		causes_add(&c->refusal.causes, CAUSE_INVALID, "spec.destination",
			   doc_str(doc, "spec.destination"), "Tunnel \"%s\" has it", tunnel);
	return 0;
}

const struct kind_hooks route_hooks = {
	.prepare = node_local_prepare,
	.validate = validate,
};
