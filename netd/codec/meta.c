/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.c - the envelope: metadata's members, their rules, and struct meta
 *
 * Room (codec): API-CONTRACT 4 and 15.1.  May include: model, netd/base, jansson.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/codec/format.h>
#include <netd/codec/json.h>
#include <netd/codec/meta.h>
#include <stdio.h>

static const struct field owner_fields[] = {
	{ .name = "uid", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(owner, uid) },
	{ .name = "apiVersion", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(owner, api_version) },
	{ .name = "kind", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(owner, kind) },
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(owner, name) },
	{ .name = "controller", .type = FIELD_BOOL },
	{ .name = "blockOwnerDeletion", .type = FIELD_BOOL },
	{ 0 }
};

const struct field meta_fields[] = {
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_STORED, AT(meta, name) },
	{ .name = "generateName", .type = FIELD_STRING },
	{ .name = "namespace", .type = FIELD_STRING, .flags = FIELD_STORED, AT(meta, ns) },
	{ .name = "uid", .type = FIELD_STRING, .flags = FIELD_STORED, AT(meta, uid) },
	{ .name = "resourceVersion", .type = FIELD_STRING },
	{ .name = "generation", .type = FIELD_INT, .flags = FIELD_STORED, AT(meta, generation) },
	{ .name = "creationTimestamp", .type = FIELD_TIME, .flags = FIELD_STORED,
	  AT(meta, created) },
	{ .name = "deletionTimestamp", .type = FIELD_TIME, .flags = FIELD_STORED,
	  AT(meta, deleted) },
	{ .name = "deletionGracePeriodSeconds", .type = FIELD_INT },
	{ .name = "labels", .type = FIELD_STRING_MAP, .flags = FIELD_STORED,
	  LIST_AT(meta, labels, nlabels) },
	{ .name = "annotations", .type = FIELD_STRING_MAP, .flags = FIELD_STORED,
	  LIST_AT(meta, annotations, nannotations) },
	{ .name = "finalizers", .type = FIELD_LIST, .elem = FIELD_QUALIFIED },
	{ .name = "ownerReferences", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = owner_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(meta, owners, nowners) },
	{ 0 }
};

static const char *const condition_types[] = {
	"Ready", "NetworkReady", "PodScheduled", "Initialized", "ContainersReady", NULL
};
static const char *const condition_states[] = { "True", "False", "Unknown", NULL };

const struct field condition_fields[] = {
	{ .name = "type", .type = FIELD_STRING, .values = condition_types,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(condition, type) },
	{ .name = "status", .type = FIELD_ENUM, .values = condition_states,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(condition, status) },
	{ .name = "reason", .type = FIELD_STRING, .flags = FIELD_STORED, AT(condition, reason) },
	{ .name = "message", .type = FIELD_STRING, .flags = FIELD_STORED, AT(condition, message) },
	{ .name = "lastTransitionTime", .type = FIELD_TIME, .flags = FIELD_STORED,
	  AT(condition, since) },
	{ 0 }
};

const struct field plain_status_fields[] = {
	{ .name = "observedGeneration", .type = FIELD_INT },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

static void check_name(const struct kind *kind, const struct doc *doc, struct causes *causes)
{
	const char *name = doc_str(doc, "metadata.name"), *why;
	const char *prefix = doc_str(doc, "metadata.generateName");
	char sample[300];

	if (prefix && prefix[0]) {
		/* what will stand behind it may follow a '-' or '.' */
		snprintf(sample, sizeof(sample), "%.58sx", prefix);
		why = kind->name_is_label ? format_label(sample) : format_subdomain(sample);
		if (why)
			causes_add(causes, CAUSE_INVALID, "metadata.generateName", prefix, "%s",
				   why);
	}
	if (!name || !name[0]) {
		if ((!prefix || !prefix[0]) && (name || !doc_has(doc, "metadata.name")))
			causes_add(causes, CAUSE_REQUIRED, "metadata.name", NULL,
				   "name or generateName is required");
		return;
	}
	why = kind->name_is_label ? format_label(name) : format_subdomain(name);
	if (why)
		causes_add(causes, CAUSE_INVALID, "metadata.name", name, "%s", why);
}

static void check_namespace(const struct kind *kind, const struct doc *doc, struct causes *causes)
{
	const char *ns = doc_str(doc, "metadata.namespace"), *why;

	if (!ns || !ns[0])
		return;
	if (!kind->namespaced) {
		causes_add(causes, CAUSE_FORBIDDEN, "metadata.namespace", NULL,
			   "not allowed on this type");
		return;
	}
	why = format_label(ns);
	if (why)
		causes_add(causes, CAUSE_INVALID, "metadata.namespace", ns, "%s", why);
}

static void check_labels(const struct doc *doc, struct causes *causes)
{
	json_t *labels = doc_at(doc, "metadata.labels"), *v;
	const char *key, *why;

	json_object_foreach(labels, key, v) {
		const char *value = json_string_value(v);

		why = format_qualified(key);
		if (why)
			causes_add(causes, CAUSE_INVALID, "metadata.labels", key, "%s", why);
		why = value ? format_label_value(value) : NULL;
		if (why)
			causes_add(causes, CAUSE_INVALID, "metadata.labels", value, "%s", why);
	}
}

static void check_annotations(const struct doc *doc, struct causes *causes)
{
	json_t *annotations = doc_at(doc, "metadata.annotations"), *v;
	const char *key, *why;
	size_t total = 0;
	char text[24];

	json_object_foreach(annotations, key, v) {
		why = format_qualified(key);
		if (why)
			causes_add(causes, CAUSE_INVALID, "metadata.annotations", key, "%s", why);
		total += strlen(key) + json_string_length(v);
	}
	if (total <= LIMIT_ANNOTATIONS_BYTES)
		return;
	snprintf(text, sizeof(text), "%zu", total);
	causes_add(causes, CAUSE_TOO_MANY, "metadata.annotations", text,
		   "must have at most %d bytes", LIMIT_ANNOTATIONS_BYTES);
}

static void check_owners(const struct doc *doc, struct causes *causes)
{
	json_t *owners = doc_at(doc, "metadata.ownerReferences"), *owner;
	unsigned controllers = 0;
	size_t i;

	json_array_foreach(owners, i, owner)
		controllers += json_is_true(json_object_get(owner, "controller"));
	if (controllers > 1)
		causes_add(causes, CAUSE_INVALID, "metadata.ownerReferences", NULL,
			   "Only one reference can have Controller set to true");
}

void meta_check(const struct kind *kind, const struct doc *doc, struct causes *causes)
{
	check_name(kind, doc, causes);
	check_namespace(kind, doc, causes);
	check_labels(doc, causes);
	check_annotations(doc, causes);
	check_owners(doc, causes);
}

static uint64_t revision(const char *text)
{
	return text && text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : 0;
}

int kind_fill(const struct value *doc, const struct field *fields, struct arena *arena, void *base)
{
	struct meta *meta = base;
	const struct value *v = value_member(doc, "metadata");
	int r = field_decode(fields, doc, arena, base);

	if (r < 0)
		return r;
	if (!meta->ns)
		meta->ns = "";
	if (!meta->name)
		meta->name = "";
	if (!meta->uid)
		meta->uid = "";
	meta->rev = revision(value_text(value_member(v, "resourceVersion")));
	meta->nfinalizers = value_len(value_member(v, "finalizers"));
	for (size_t i = 0; i < meta->nowners; i++)
		meta->owners[i].uid = meta->owners[i].uid ? meta->owners[i].uid : "";
	return 0;
}

void *kind_new(const struct value *doc, const struct field *fields, size_t size,
	       struct arena *arena)
{
	void *base = arena_alloc(arena, size);

	if (!base || kind_fill(doc, fields, arena, base) < 0)
		return NULL;
	return base;
}

static int passable(int r)
{
	return r == -ENOMEM ? r : 0;
}

int default_str(struct doc *doc, const char *path, const char *value)
{
	const json_t *there = doc_at(doc, path);

	if (there && (!json_is_string(there) || json_string_length(there)))
		return 0;
	return passable(doc_set_str(doc, path, value));
}

int default_bool(struct doc *doc, const char *path, bool value)
{
	return doc_has(doc, path) ? 0 : passable(doc_set_bool(doc, path, value));
}

int default_list(struct doc *doc, const char *path)
{
	return passable(doc_set_list(doc, path));
}

int default_object(struct doc *doc, const char *path)
{
	return passable(doc_set_object(doc, path));
}

void check_immutable(const struct doc *doc, const struct doc *old, const char *path,
		     struct causes *causes)
{
	if (old && !doc_equal_at(doc, old, path))
		doc_cause(causes, CAUSE_INVALID, doc, path, "field is immutable");
}
