/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * status.c - Status objects, the body of every error
 *
 * Room (codec): API-CONTRACT 9, word by word, since clients show and parse it.
 * May include: model (causes), netd/base, jansson.
 */
#include <netd/codec/json.h>
#include <netd/codec/kind.h>

#define MODIFIED "the object has been modified; please apply your changes to the latest version " \
		 "and try again"

static void add_resource(struct buf *b, const struct status *st)
{
	buf_str(b, st->kind ? st->kind->store_name : "");
	if (st->name)
		buf_printf(b, " \"%s\"", st->name);
}

/* F: M, or [F1: M1, F2: M2]; an unknown field is named in its message */
static void add_causes(struct buf *b, const struct causes *causes)
{
	bool many = causes && causes->n > 1;

	buf_str(b, many ? "[" : "");
	for (size_t i = 0; causes && i < causes->n; i++) {
		const struct cause *c = &causes->v[i];

		buf_str(b, i ? ", " : "");
		if (c->reason != CAUSE_UNKNOWN)
			buf_printf(b, "%s: ", c->field);
		buf_str(b, c->message);
	}
	buf_str(b, many ? "]" : "");
}

static void invalid(struct buf *b, const struct status *st)
{
	const char *group = st->kind ? st->kind->group : "";

	buf_printf(b, "%s%s%s \"%s\" is invalid: ", st->kind ? st->kind->name : "",
		   group[0] ? "." : "", group, st->name ? st->name : "");
	add_causes(b, st->causes);
}

static void bad_request(struct buf *b, const struct status *st)
{
	const struct kind *kind = st->kind;

	if (kind)
		buf_printf(b, "%s in version \"%s\" cannot be handled as a %s: ", kind->name,
			   kind->version, kind->name);
	add_causes(b, st->causes);
}

static void not_found(struct buf *b, const struct status *st)
{
	if (!st->kind) {
		buf_str(b, "the server could not find the requested resource");
		return;
	}
	add_resource(b, st);
	buf_str(b, " not found");
}

static void already_exists(struct buf *b, const struct status *st)
{
	add_resource(b, st);
	buf_str(b, " already exists");
}

static void conflict(struct buf *b, const struct status *st)
{
	buf_str(b, "Operation cannot be fulfilled on ");
	add_resource(b, st);
	buf_printf(b, ": %s", st->why ? st->why : MODIFIED);
}

static void forbidden(struct buf *b, const struct status *st)
{
	add_resource(b, st);
	buf_str(b, " is forbidden");
	if (st->why)
		buf_printf(b, ": %s", st->why);
}

static void not_allowed(struct buf *b, const struct status *st)
{
	(void)st;
	buf_str(b, "the server does not allow this method on the requested resource");
}

static void add_message(struct buf *b, const struct status *st)
{
	static const struct {
		const char *reason;
		void (*make)(struct buf *b, const struct status *st);
	} forms[] = {
		{ "Invalid", invalid },
		{ "BadRequest", bad_request },
		{ "NotFound", not_found },
		{ "AlreadyExists", already_exists },
		{ "Conflict", conflict },
		{ "Forbidden", forbidden },
		{ "MethodNotAllowed", not_allowed },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (strcmp(forms[i].reason, st->reason) != 0)
			continue;
		forms[i].make(b, st);
		return;
	}
	buf_str(b, st->why ? st->why : st->reason);
}

/* Text joined from pieces; bytes that are no UTF-8 are repaired by json_text(). */
static json_t *message(const struct status *st)
{
	struct buf b = { 0 };
	json_t *v = NULL;

	if (st->message)
		return json_text(st->message);
	add_message(&b, st);
	buf_add(&b, "", 1);
	if (!b.failed)
		v = json_text(b.data);
	buf_fini(&b);
	return v;
}

/* 0 or -1, as jansson has it; takes @v, whose NULL is "no memory" */
static int put(json_t *obj, const char *key, json_t *v)
{
	return json_object_set_new(obj, key, v);
}

static int put_text(json_t *obj, const char *key, const char *text)
{
	return text && text[0] ? put(obj, key, json_text(text)) : 0;
}

static json_t *cause_json(const struct cause *c)
{
	json_t *v = json_object();

	if (v && put_text(v, "reason", cause_reason_name(c->reason)) == 0 &&
	    put_text(v, "message", c->message) == 0 && put_text(v, "field", c->field) == 0)
		return v;
	json_decref(v);
	return NULL;
}

static int put_causes(json_t *details, const struct causes *causes)
{
	json_t *list;

	if (!causes || !causes->n)
		return 0;
	list = json_array();
	for (size_t i = 0; list && i < causes->n; i++) {
		if (json_array_append_new(list, cause_json(&causes->v[i])) == 0)
			continue;
		json_decref(list);
		list = NULL;
	}
	return put(details, "causes", list);
}

/* details.kind is the plural, but of Invalid the Kind */
static int put_details(json_t *root, const struct status *st)
{
	bool is_invalid = strcmp(st->reason, "Invalid") == 0;
	const struct kind *kind = st->kind;
	json_t *d = json_object();

	if (!d)
		return -1;
	if (put_text(d, "name", st->name) < 0 ||
	    put_text(d, "group", kind ? kind->group : NULL) < 0 ||
	    put_text(d, "kind", !kind ? NULL : is_invalid ? kind->name : kind->plural) < 0 ||
	    put_text(d, "uid", st->uid) < 0 || put_causes(d, st->causes) < 0 ||
	    (st->retry_after_s &&
	     put(d, "retryAfterSeconds", json_integer(st->retry_after_s)) < 0)) {
		json_decref(d);
		return -1;
	}
	if (!json_object_size(d)) {
		json_decref(d);
		return 0;
	}
	return put(root, "details", d);
}

static struct doc *envelope(const char *status)
{
	struct doc *doc = doc_new();

	if (doc && put_text(doc->root, "kind", "Status") == 0 &&
	    put_text(doc->root, "apiVersion", "v1") == 0 &&
	    put(doc->root, "metadata", json_object()) == 0 &&
	    put_text(doc->root, "status", status) == 0)
		return doc;
	doc_free(doc);
	return NULL;
}

static struct bytes *text_of(const struct doc *doc)
{
	struct buf b = { 0 };
	struct bytes *ret;

	json_dump_buf(doc->root, &b);
	ret = buf_bytes(&b);
	buf_fini(&b);
	return ret;
}

struct bytes *status_bytes(const struct status *st)
{
	_cleanup_(doc_freep) struct doc *doc = envelope("Failure");

	if (!doc || put(doc->root, "message", message(st)) < 0 ||
	    put_text(doc->root, "reason", st->reason) < 0 || put_details(doc->root, st) < 0 ||
	    put(doc->root, "code", json_integer(st->code)) < 0)
		return NULL;
	return text_of(doc);
}

struct bytes *status_success(const struct kind *kind, const char *name, const char *uid)
{
	const struct status st = { .reason = "", .kind = kind, .name = name, .uid = uid };
	_cleanup_(doc_freep) struct doc *doc = envelope("Success");

	if (!doc || put_details(doc->root, &st) < 0)
		return NULL;
	return text_of(doc);
}
