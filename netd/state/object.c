/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * object.c - one version of an object: its bytes and its decoded struct
 *
 * Room: state.  May include: codec, netd/base.
 */
#include "internal.h"
#include <errno.h>

int object_new(const struct kind *kind, const struct value *doc, struct bytes *bytes, uint64_t rev,
	       struct object **ret)
{
	struct object *obj = calloc(1, sizeof(*obj));
	if (!obj)
		return -ENOMEM;
	obj->refs = 1;
	obj->kind = kind;
	obj->rev = rev;
	obj->bytes = bytes_ref(bytes);
	obj->model = kind->decode(doc, &obj->arena);
	if (!obj->model) {
		object_unref(obj);
		return -ENOMEM;
	}
	*ret = obj;
	return 0;
}

int object_read(const struct kind *kind, struct bytes *bytes, uint64_t rev, struct object **ret)
{
	_cleanup_(tape_fini) struct tape tape;
	char why[160];
	int r;

	tape_init(&tape);
	r = tape_read(&tape, bytes->data, bytes->len, why);
	return r < 0 ? r : object_new(kind, tape.v, bytes, rev, ret);
}

int object_restamp(const struct object *obj, uint64_t rev, struct object **ret)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	_cleanup_(tape_fini) struct tape tape;
	char why[160];
	int r;

	tape_init(&tape);
	r = tape_read(&tape, obj->bytes->data, obj->bytes->len, why);
	if (r < 0)
		return r;
	bytes = kind_restamp(&tape, obj->bytes, rev);
	r = bytes ? object_new(obj->kind, tape.v, bytes, rev, ret) : -ENOMEM;
	if (r == 0)
		((struct meta *)(uintptr_t)(*ret)->meta)->rev = rev;
	return r;
}

struct object *object_ref(struct object *obj)
{
	if (obj)
		obj->refs++;
	return obj;
}

void object_unref(struct object *obj)
{
	if (!obj || --obj->refs)
		return;
	bytes_unref(obj->bytes);
	arena_fini(&obj->arena);
	free(obj);
}

struct doc *object_doc(const struct object *obj)
{
	struct doc *doc;
	char why[160];

	return doc_parse(obj->bytes->data, obj->bytes->len, &doc, why) == 0 ? doc : NULL;
}

const struct kind *object_kind_of(const struct value *doc)
{
	const char *api = value_text(value_member(doc, "apiVersion"));
	const char *name = value_text(value_member(doc, "kind"));
	char buf[64];

	for (size_t i = 0; api && name && i < KIND_COUNT; i++)
		if (strcmp(kinds[i].name, name) == 0 &&
		    strcmp(kind_api_version(&kinds[i], buf), api) == 0)
			return &kinds[i];
	return NULL;
}

/* Of the node's own network no address tells it: one whose deletion was handed in (hand_in.c), say. */
static bool has_ended(const struct object *pod)
{
	return pod->meta->deleted && pod->pod->phase && strcmp(pod->pod->phase, "Failed") == 0;
}

bool object_unattached(const struct object *obj)
{
	if (obj->kind->id != KIND_POD || obj->pod->nattached)
		return false;
	return !obj->pod->host_network || has_ended(obj);
}

const char *object_node(const struct object *obj)
{
	switch (obj->kind->id) {
	case KIND_POD:
		return obj->pod->node_name;
	case KIND_NETNS:
		return obj->netns->node_name;
	case KIND_VETH:
		return obj->veth->node_name;
	case KIND_BRIDGE:
		return obj->bridge->node_name;
	case KIND_ROUTE:
		return obj->route->node_name;
	case KIND_TUNNEL:
		return obj->tunnel->node_name;
	case KIND_NAMESPACE:
	case KIND_NODE:
	case KIND_EVENT:
	case KIND_NETWORK:
	case KIND_SERVICE:
	case KIND_ENDPOINTS:
	case KIND_ENDPOINT_SLICE:
	case KIND_NETWORK_POLICY:
	case KIND_COUNT:
		return NULL;
	}
	return NULL;
}
