/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * form.c - objects and lists as they are, as Tables, or their metadata alone
 *
 * Room (codec).  Source: API-CONTRACT 10.  May include: model, netd/base, jansson.
 */
#include <errno.h>
#include <inttypes.h>
#include <netd/codec/columns.h>
#include <netd/codec/form.h>

static void add_text(struct buf *out, const char *text, size_t len)
{
	json_dump_text(text, len, out);
}

static void add_member(struct buf *out, const char *member, const char *text)
{
	buf_printf(out, ",\"%s\":", member);
	add_text(out, text, strlen(text));
}

static void add_column(const struct column *c, struct buf *out)
{
	buf_str(out, "{\"name\":");
	add_text(out, c->name, strlen(c->name));
	add_member(out, "type", c->type ? c->type : "string");
	add_member(out, "format", c->format ? c->format : "");
	add_member(out, "description", c->description);
	buf_printf(out, ",\"priority\":%d}", c->priority);
}

static void add_columns(const struct kind *kind, struct buf *out)
{
	const struct column *first = columns_of(kind);

	for (const struct column *c = first; c->name; c++) {
		if (c != first)
			buf_add(out, ",", 1);
		add_column(c, out);
	}
}

static void add_cell(const struct column *c, const struct doc *doc, struct buf *out)
{
	struct buf text = { 0 };

	column_text(c, doc, &text);
	if (text.failed)
		out->failed = true;
	else if (c->type)           /* a number */
		buf_add(out, text.data, text.len);
	else
		add_text(out, text.len ? text.data : "", text.len);
	buf_fini(&text);
}

static void add_partial(const struct form *form, const struct doc *doc, struct buf *out)
{
	const json_t *meta = doc_at(doc, "metadata");

	buf_printf(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\","
		   "\"metadata\":", form->version);
	if (meta)
		json_dump_buf(meta, out);
	else
		buf_str(out, "{}");
	buf_add(out, "}", 1);
}

static void add_row(const struct form *form, const struct kind *kind, const struct doc *doc,
		    const char *object, size_t len, struct buf *out)
{
	const struct column *first = columns_of(kind);

	buf_str(out, "{\"cells\":[");
	for (const struct column *c = first; c->name; c++) {
		if (c != first)
			buf_add(out, ",", 1);
		add_cell(c, doc, out);
	}
	buf_str(out, "],\"object\":");
	switch (form->include) {
	case INCLUDE_METADATA:
		add_partial(form, doc, out);
		break;
	case INCLUDE_OBJECT:
		buf_add(out, object, len);
		break;
	case INCLUDE_NONE:
		buf_str(out, "null");
		break;
	}
	buf_add(out, "}", 1);
}

/* An element of a list in a version that it is not stored in. */
static int add_other_version(const struct form *form, const struct kind *kind, const char *object,
			     size_t len, bool first, struct buf *out)
{
	_cleanup_(bytes_unrefp) struct bytes *stored = bytes_new(object, len), *other = NULL;

	other = stored ? kind_bytes(kind, stored) : NULL;
	return other ? form_list_item(form, kind->stored, other->data, other->len, first, out) :
	       -ENOMEM;
}

int form_list_item(const struct form *form, const struct kind *kind, const char *object, size_t len,
		   bool first, struct buf *out)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160];

	if (kind->stored)
		return add_other_version(form, kind, object, len, first, out);
	if (!first)
		buf_add(out, ",", 1);
	if (form->type == FORM_PLAIN) {
		buf_add(out, object, len);
		return out->failed ? -ENOMEM : 0;
	}
	if (doc_parse(object, len, &doc, why) < 0)      /* our own bytes */
		return -ENOMEM;
	if (form->type == FORM_TABLE)
		add_row(form, kind, doc, object, len, out);
	else
		add_partial(form, doc, out);
	return out->failed ? -ENOMEM : 0;
}

static void table_begin(const struct form *form, struct buf *out)
{
	buf_printf(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\"", form->version);
}

static void table_columns(const struct kind *kind, bool columns, struct buf *out)
{
	buf_str(out, ",\"columnDefinitions\":");
	if (columns) {
		buf_add(out, "[", 1);
		add_columns(kind, out);
		buf_add(out, "]", 1);
	} else {
		buf_str(out, "null");
	}
	buf_str(out, ",\"rows\":[");
}

static void begin(const struct form *form, const struct kind *kind, struct buf *out)
{
	char api[64];

	switch (form->type) {
	case FORM_PLAIN:
		buf_printf(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\"", kind->name,
			   kind_api_version(kind, api));
		return;
	case FORM_TABLE:
		table_begin(form, out);
		return;
	case FORM_METADATA:
		buf_printf(out, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":"
			   "\"meta.k8s.io/%s\"", form->version);
		return;
	}
}

static void list_metadata(const struct form_list *list, struct buf *out)
{
	buf_printf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", list->rev);
	if (list->next)
		add_member(out, "continue", list->next);
	if (list->next && list->remaining >= 0)
		buf_printf(out, ",\"remainingItemCount\":%" PRId64, list->remaining);
	buf_add(out, "}", 1);
}

void form_list_begin(const struct form *form, const struct kind *kind,
		     const struct form_list *list, struct buf *out)
{
	begin(form, kind, out);
	if (list)
		list_metadata(list, out);
	if (form->type == FORM_TABLE)
		table_columns(kind, true, out);
	else
		buf_str(out, ",\"items\":[");
}

void form_list_end(const struct form_list *list, struct buf *out)
{
	buf_add(out, "]", 1);
	if (list)
		list_metadata(list, out);
	buf_add(out, "}", 1);
}

static void one_row(const struct form *form, const struct kind *kind, const struct doc *doc,
		    const struct bytes *object, bool columns, struct buf *out)
{
	const char *rev = doc_str(doc, "metadata.resourceVersion");

	table_begin(form, out);
	buf_str(out, ",\"metadata\":{\"resourceVersion\":");
	add_text(out, rev ? rev : "", rev ? strlen(rev) : 0);
	buf_add(out, "}", 1);
	table_columns(kind, columns, out);
	add_row(form, kind, doc, object->data, object->len, out);
	form_list_end(NULL, out);
}

struct bytes *form_object(const struct form *form, const struct kind *kind, struct bytes *stored,
			  bool columns)
{
	_cleanup_(bytes_unrefp) struct bytes *object = kind_bytes(kind, stored);
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct buf out = { 0 };
	struct bytes *ret;
	char why[160];

	if (!object)
		return NULL;
	if (form->type == FORM_PLAIN)
		return take_ptr(object);
	if (doc_parse(object->data, object->len, &doc, why) < 0)
		return NULL;
	if (form->type == FORM_TABLE)
		one_row(form, kind, doc, object, columns, &out);
	else
		add_partial(form, doc, &out);
	ret = buf_bytes(&out);
	buf_fini(&out);
	return ret;
}

struct bytes *form_bookmark(const struct form *form, const struct kind *kind, uint64_t rev,
			    bool initial_end)
{
	struct buf out = { 0 };
	struct bytes *ret;
	char api[64];

	if (form->type == FORM_TABLE)
		table_begin(form, &out);
	else if (form->type == FORM_METADATA)
		buf_printf(&out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":"
			   "\"meta.k8s.io/%s\"", form->version);
	else
		buf_printf(&out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\"", kind->name,
			   kind_api_version(kind, api));
	buf_printf(&out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"%s}", rev,
		   initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	if (form->type == FORM_TABLE) {
		table_columns(kind, false, &out);
		form_list_end(NULL, &out);
	} else {
		buf_add(&out, "}", 1);
	}
	ret = buf_bytes(&out);
	buf_fini(&out);
	return ret;
}
