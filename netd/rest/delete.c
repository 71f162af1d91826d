/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delete.c - DELETE with its options: preconditions, grace, finalizers
 *
 * Room: rest.  Source: API-CONTRACT 5.  May include: http, codec, state, model, netd/base.
 */
#include "internal.h"
#include <stdio.h>
#include <stdlib.h>

struct options {
	int64_t grace_s;            /* -1: not given */
	const char *uid, *rev;      /* preconditions, in the request's arena or NULL */
};

static int query_grace(struct call *c, struct options *o)
{
	const char *text = request_query(c->req, "gracePeriodSeconds");
	char *end;

	if (!text || !*text)
		return 0;
	errno = 0;
	o->grace_s = strtoll(text, &end, 10);
	if (errno || *end || o->grace_s < 0)
		return refuse(c, 400, "BadRequest", "gracePeriodSeconds: Invalid value: \"%.40s\"",
			      text);
	return 0;
}

static int body_options(struct call *c, const struct doc *doc, struct options *o)
{
	const char *kind = doc_str(doc, "kind"), *dry;
	struct arena *arena = request_arena(c->req);

	if (kind && *kind && strcmp(kind, "DeleteOptions") != 0)
		return refuse(c, 400, "BadRequest", "kind in the body (%.80s) must be DeleteOptions",
			      kind);
	if (doc_has(doc, "gracePeriodSeconds")) {
		o->grace_s = doc_int(doc, "gracePeriodSeconds", -1);
		if (o->grace_s < 0)
			return refuse(c, 400, "BadRequest", "gracePeriodSeconds: must be a number, "
				      "0 or more");
	}
	o->uid = arena_strdup(arena, doc_str(doc, "preconditions.uid"));
	o->rev = arena_strdup(arena, doc_str(doc, "preconditions.resourceVersion"));
	if (!doc_len(doc, "dryRun"))
		return 0;
	dry = doc_str(doc, "dryRun[0]");
	c->dry_run = dry && strcmp(dry, "All") == 0 && doc_len(doc, "dryRun") == 1;
	return c->dry_run ? 0 : refuse(c, 422, "Invalid", "dryRun: Unsupported value: supported "
				       "values: \"All\"");
}

static int parse_options(struct call *c, struct options *o)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	size_t len;
	int r;

	request_body(c->req, &len);
	r = len ? check_content_type(c, "application/json") : 0;
	if (r == 0 && len)
		r = parse_body(c, &doc);
	if (r == 0)
		r = query_grace(c, o);
	if (r == 0 && doc)
		r = body_options(c, doc, o);
	return r;
}

static int check_preconditions(struct call *c, const struct options *o, const struct object *obj)
{
	char rev[24];

	snprintf(rev, sizeof(rev), "%llu", (unsigned long long)obj->rev);
	if (o->uid && *o->uid && strcmp(o->uid, obj->meta->uid) != 0)
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": "
			      "Precondition failed: UID in precondition: %.80s, UID in object "
			      "meta: %s", c->kind->store_name, c->name, o->uid, obj->meta->uid);
	if (o->rev && *o->rev && strcmp(o->rev, rev) != 0)
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": "
			      "Precondition failed: ResourceVersion in precondition: %.40s, "
			      "ResourceVersion in object meta: %s", c->kind->store_name, c->name,
			      o->rev, rev);
	return 0;
}

/* 1: @doc was marked as being deleted and stays; 0: nothing holds the object. */
static int retire(struct call *c, struct doc *doc, const struct object *obj, int64_t grace_s)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	char now[24];
	int r = h->retire ? h->retire(c, doc, obj, grace_s) : 0;

	if (r != 0 || !obj->meta->nfinalizers)
		return r;
	time_format(now_realtime_s(), now);
	if (!obj->meta->deleted)
		r = doc_set_str(doc, "metadata.deletionTimestamp", now);
	if (r == 0)
		r = doc_set_int(doc, "metadata.deletionGracePeriodSeconds", 0);
	return r < 0 ? r : 1;
}

static int reply_done(struct call *c, struct txn *txn, const struct object *obj)
{
	struct bytes *body = c->kind->delete_returns_object ? bytes_ref(obj->bytes)
			     : status_success(c->kind, c->name, obj->meta->uid);
	int r;

	if (!body) {
		txn_drop(txn);
		return refuse_memory(c);
	}
	if (c->dry_run) {
		txn_drop(txn);
		reply_json(c->req, 200, body);
		return 0;
	}
	r = write_finish(c, txn, 200, obj, body);
	bytes_unref(body);
	return r;
}

static int delete_object(struct call *c, struct object *obj, int64_t grace_s)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(obj);
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int stays = doc ? retire(c, doc, obj, grace_s) : -ENOMEM;
	struct object *kept;
	int r;

	if (stays < 0)
		return c->refusal.code ? stays : refuse_memory(c);
	if (stays && c->dry_run)
		return write_dry(c, doc, obj, 200);
	r = txn_new(c->rest->state, &txn);
	if (r == 0 && stays)
		r = txn_put(txn, c->kind, doc, obj, &kept);
	if (r == 0 && !stays)
		r = txn_delete(txn, obj, &kept);
	if (r < 0)
		return refuse_memory(c);
	if (stays)
		return write_finish(c, take_ptr(txn), 200, kept, kept->bytes);
	return reply_done(c, take_ptr(txn), kept);
}

int verb_delete(struct call *c)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	struct options o = { .grace_s = -1 };
	struct object *obj;
	int r = parse_options(c, &o);

	if (r < 0)
		return r;
	obj = state_accepted(c->rest->state, c->kind, c->ns, c->name);
	if (!obj)
		return refuse_object(c, 404, "NotFound");
	r = check_preconditions(c, &o, obj);
	if (r == 0 && h->deletable)
		r = h->deletable(c, obj);
	return r < 0 ? r : delete_object(c, obj, o.grace_s);
}
