/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namespaces.c - a Namespace's label, finalizer and phase; deleting marks it and control empties it
 *
 * Room: rest.  Source: API-CONTRACT 5, 15.2.  May include: codec, state, model, netd/base.
 */
#include "internal.h"

/* They change by the subresource finalize alone. */
static int keep_finalizers(struct doc *doc, const struct object *old)
{
	_cleanup_(doc_freep) struct doc *was = object_doc(old);

	return was ? doc_set_copy(doc, "spec.finalizers", was, "spec.finalizers") : -ENOMEM;
}

static int prepare(struct call *c, struct doc *doc, const struct object *old)
{
	const char *name = doc_str(doc, "metadata.name");
	int r = old ? keep_finalizers(doc, old) : 0;

	(void)c;
	if (!name || r == -ENOMEM)
		return r;
	r = doc_set_str(doc, "metadata.labels[\"kubernetes.io/metadata.name\"]", name);
	if (r == 0 && !doc_has(doc, "spec.finalizers"))
		r = doc_set_json(doc, "spec.finalizers", "[\"kubernetes\"]");
	if (r == 0 && !old)
		r = doc_set_str(doc, "status.phase", "Active");
	return r == -ENOMEM ? r : 0;        /* what is in the way is found by the checks */
}

static int deletable(struct call *c, const struct object *obj)
{
	static const char *const kept[] = { "default", "kube-system", "kube-public" };

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (strcmp(obj->meta->name, kept[i]) == 0)
			return refuse(c, 403, "Forbidden", "namespaces \"%s\" is forbidden: this "
				      "namespace may not be deleted", kept[i]);
	return 0;
}

static int retire(struct call *c, struct doc *doc, const struct object *obj, int64_t grace_s)
{
	char now[24];
	int r = 0;

	(void)c;
	(void)grace_s;
	time_format(now_realtime_s(), now);
	if (!obj->meta->deleted)
		r = doc_set_str(doc, "metadata.deletionTimestamp", now);
	if (r == 0)
		r = doc_set_str(doc, "status.phase", "Terminating");
	return r < 0 ? r : 1;
}

const struct kind_hooks namespace_hooks = {
	.prepare = prepare,
	.deletable = deletable,
	.retire = retire,
};
