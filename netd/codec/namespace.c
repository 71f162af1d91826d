/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namespace.c - v1 Namespace
 *
 * Room (codec): API-CONTRACT 15.2.  May include: model, netd/base.
 */
#include <errno.h>
#include <netd/codec/rows.h>
#include <stdio.h>

static const char *const phases[] = { "Active", "Terminating", NULL };

static const struct field spec_fields[] = {
	{ .name = "finalizers", .type = FIELD_LIST, .elem = FIELD_QUALIFIED },
	{ 0 }
};

static const struct field status_fields[] = {
	{ .name = "phase", .type = FIELD_ENUM, .values = phases },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

const struct field namespace_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields },
	STATUS_FIELD(status_fields),
	{ 0 }
};

/* The label is always the name: it is how selectors find a namespace by name. */
static int name_label(struct doc *doc)
{
	static const char path[] = "metadata.labels[\"kubernetes.io/metadata.name\"]";
	const char *name = doc_str(doc, "metadata.name"), *label = doc_str(doc, path);
	int r;

	if (!name || !name[0] || (label && strcmp(label, name) == 0))
		return 0;
	r = doc_set_str(doc, path, name);
	return r == -ENOMEM ? r : 0;
}

int namespace_defaults(struct doc *doc)
{
	int r = name_label(doc);

	if (r == 0 && !doc_has(doc, "spec.finalizers"))
		r = doc_set_str(doc, "spec.finalizers[0]", "kubernetes");
	if (r == 0 || r == -EINVAL)
		r = default_str(doc, "status.phase", "Active");
	return r;
}

static bool is_held(const struct value *finalizers)
{
	const struct value *v;

	value_each(finalizers, v)
		if (value_is(v, VALUE_STRING) && strcmp(v->text, "kubernetes") != 0)
			return true;
	return false;
}

void *namespace_decode(const struct value *doc, struct arena *arena)
{
	struct namespace *ns = kind_new(doc, namespace_fields, sizeof(*ns), arena);
	const char *phase = value_text(value_at(doc, "status.phase"));

	if (!ns)
		return NULL;
	ns->terminating = ns->meta.deleted || (phase && strcmp(phase, "Terminating") == 0);
	ns->held = is_held(value_at(doc, "spec.finalizers"));
	return ns;
}
