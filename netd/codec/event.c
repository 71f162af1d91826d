/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * event.c - v1 Event
 *
 * Room (codec): its fields stand at the top of the object.  May include: model, netd/base.
 */
#include <netd/codec/rows.h>

static const char *const types[] = { "Normal", "Warning", NULL };
static const char *const kind_names[] = {
	"Pod", "Network", "Node", "NetworkNamespace", "Veth", "Bridge", "Route", "Namespace", NULL
};

static const struct field involved_fields[] = {
	{ .name = "kind", .type = FIELD_STRING, .values = kind_names, .flags = FIELD_STORED,
	  AT(event, involved_kind) },
	{ .name = "namespace", .type = FIELD_LABEL, .flags = FIELD_STORED,
	  AT(event, involved_ns) },
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_STORED, AT(event, involved_name) },
	{ .name = "uid", .type = FIELD_STRING, .flags = FIELD_STORED, AT(event, involved_uid) },
	{ .name = "apiVersion", .type = FIELD_STRING },
	{ .name = "resourceVersion", .type = FIELD_STRING },
	{ .name = "fieldPath", .type = FIELD_STRING },
	{ 0 }
};

static const struct field source_fields[] = {
	{ .name = "component", .type = FIELD_STRING },
	{ .name = "host", .type = FIELD_STRING },
	{ 0 }
};

const struct field event_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "involvedObject", .type = FIELD_OBJECT, .sub = involved_fields },
	{ .name = "reason", .type = FIELD_STRING, .flags = FIELD_STORED, AT(event, reason) },
	{ .name = "message", .type = FIELD_STRING, .flags = FIELD_STORED, AT(event, message) },
	{ .name = "type", .type = FIELD_ENUM, .values = types },
	{ .name = "count", .type = FIELD_INT, .min = 0, .max = INT32_MAX, .flags = FIELD_STORED,
	  AT(event, count) },
	{ .name = "firstTimestamp", .type = FIELD_TIME },
	{ .name = "lastTimestamp", .type = FIELD_TIME, .flags = FIELD_STORED, AT(event, last) },
	{ .name = "eventTime", .type = FIELD_TIME },
	{ .name = "source", .type = FIELD_OBJECT, .sub = source_fields },
	{ .name = "reportingComponent", .type = FIELD_STRING },
	{ .name = "reportingInstance", .type = FIELD_STRING },
	{ .name = "action", .type = FIELD_STRING },
	{ .name = "related", .type = FIELD_OBJECT },
	{ .name = "series", .type = FIELD_OBJECT },
	{ 0 }
};

int event_defaults(struct doc *doc)
{
	return default_object(doc, "involvedObject");
}

/* Events of cluster-scoped objects live in "default". */
void event_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *involved = doc_str(doc, "involvedObject.namespace");
	const char *ns = doc_str(doc, "metadata.namespace");

	(void)old;
	if (!ns || !ns[0])
		return;                 /* it comes from the path, which the caller compares */
	if (!involved || !involved[0])
		involved = "default";
	if (strcmp(involved, ns) != 0)
		causes_add(causes, CAUSE_INVALID, "involvedObject.namespace", involved,
			   "does not match event.namespace");
}

void *event_decode(const struct value *doc, struct arena *arena)
{
	return kind_new(doc, event_fields, sizeof(struct event), arena);
}
