/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * select.c - which objects a query means
 *
 * Room: rest.  An event is looked at by every watch there is, one after the other: the last
 * objects that were parsed are kept, so that each event is parsed once and not once a watch.
 * May include: http, codec, netd/base.
 */
#include "internal.h"

int parse_selector(struct call *c, struct arena *arena, struct selector *ret)
{
	char why[160];
	int r = selector_parse(c->kind, request_query(c->req, "labelSelector"),
			       request_query(c->req, "fieldSelector"), arena, ret, why);

	if (r == -ENOMEM)
		return refuse_memory(c);
	return r < 0 ? refuse(c, 400, "BadRequest", "%s", why) : 0;
}

static const struct doc *parsed(struct rest *rest, struct bytes *bytes)
{
	struct parsed *p = rest->parsed, last;
	char why[160];

	for (size_t i = 0; i < ARRAY_SIZE(rest->parsed); i++)
		if (p[i].bytes == bytes)
			return p[i].doc;
	last = (struct parsed){ .bytes = bytes };
	if (doc_parse(bytes->data, bytes->len, &last.doc, why) < 0)
		return NULL;
	bytes_ref(bytes);
	bytes_unref(p[1].bytes);
	doc_free(p[1].doc);
	p[1] = p[0];
	p[0] = last;
	return last.doc;
}

void select_forget(struct rest *rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(rest->parsed); i++) {
		bytes_unref(rest->parsed[i].bytes);
		doc_free(rest->parsed[i].doc);
		rest->parsed[i] = (struct parsed){ 0 };
	}
}

int selects_doc(struct rest *rest, const struct selector *sel, struct bytes *bytes,
		const struct doc **doc)
{
	*doc = parsed(rest, bytes);
	return *doc ? selector_matches(sel, *doc) : -ENOMEM;
}

int selects(struct rest *rest, const struct selector *sel, const char *ns, const char *name,
	    struct bytes *bytes)
{
	const struct doc *doc;

	if (!selector_needs_object(sel))
		return selector_matches_name(sel, ns, name);
	return selects_doc(rest, sel, bytes, &doc);
}

int selects_object(struct rest *rest, const struct selector *sel, const struct object *obj)
{
	if (!selector_needs_doc(sel))
		return selector_matches_meta(sel, obj->meta);
	return selects(rest, sel, obj->meta->ns, obj->meta->name, obj->bytes);
}
