/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * object.c - one version of an object: its bytes and its decoded struct
 *
 * Room: state.  May include: codec, netd/base.
 */
#include "internal.h"
#include <errno.h>

/* @doc says what @bytes say; NULL: they are parsed. */
int object_new(const struct kind *kind, const struct doc *doc, struct bytes *bytes, uint64_t rev,
	       struct object **ret)
{
	struct object *obj = calloc(1, sizeof(*obj));
	void *model = NULL;
	int r = 0;

	if (!obj)
		return -ENOMEM;
	obj->refs = 1;
	obj->kind = kind;
	obj->rev = rev;
	obj->bytes = bytes_ref(bytes);
	if (doc)
		model = kind->decode(doc, &obj->arena);
	else
		r = kind_decode(kind, bytes->data, bytes->len, &obj->arena, &model);
	if (r < 0 || !model) {
		object_unref(obj);
		return r < 0 ? r : -ENOMEM;
	}
	obj->model = model;
	*ret = obj;
	return 0;
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

/* A tombstone says by its apiVersion and kind what it was. */
const struct kind *object_kind_of(const char *bytes, size_t len)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	const char *api, *name;
	char why[160], buf[64];

	if (doc_parse(bytes, len, &doc, why) < 0)
		return NULL;
	api = doc_str(doc, "apiVersion");
	name = doc_str(doc, "kind");
	for (size_t i = 0; api && name && i < KIND_COUNT; i++)
		if (strcmp(kinds[i].name, name) == 0 &&
		    strcmp(kind_api_version(&kinds[i], buf), api) == 0)
			return &kinds[i];
	return NULL;
}
