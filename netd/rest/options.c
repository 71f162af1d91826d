/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.c - DeleteOptions: as the body of a DELETE, or by the same names in the query
 *
 * Room: rest.  Source: API-CONTRACT 5.  What is set in both, the body says.
 * May include: http, codec, state, netd/base.
 */
#include "delete.h"
#include <stdio.h>
#include <stdlib.h>

/* Background needs nothing of the object: control collects what refers to one that is gone. */
static const struct {
	const char *name, *finalizer;
} policies[] = {
	{ "Background", NULL },
	{ "Foreground", "foregroundDeletion" },
	{ "Orphan", "orphan" },
};

static int wrong_type(struct call *c, const char *field, const char *want)
{
	return refuse(c, 400, "BadRequest", "DeleteOptions in the body: %s: must be %s", field,
		      want);
}

static int query_grace(struct call *c, struct delete_options *o)
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

static int body_grace(struct call *c, const struct doc *doc, struct delete_options *o)
{
	if (!doc_has(doc, "gracePeriodSeconds"))
		return 0;
	o->grace_s = doc_int(doc, "gracePeriodSeconds", -1);
	return o->grace_s >= 0 ? 0 : wrong_type(c, "gracePeriodSeconds", "a number, 0 or more");
}

static int set_policy(struct call *c, const char *name, struct delete_options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		if (strcmp(policies[i].name, name) != 0)
			continue;
		o->finalizer = policies[i].finalizer;
		return 0;
	}
	causes_add(&c->refusal.causes, CAUSE_NOT_SUPPORTED, "propagationPolicy", name,
		   "supported values: \"Foreground\", \"Background\", \"Orphan\"");
	return refuse(c, 422, "Invalid", "DeleteOptions.meta.k8s.io \"\" is invalid: "
		      "propagationPolicy: Unsupported value: \"%.80s\": supported values: "
		      "\"Foreground\", \"Background\", \"Orphan\"", name);
}

/* orphanDependents is the older way to say propagationPolicy; the two together are refused. */
static int policy(struct call *c, const struct doc *doc, struct delete_options *o)
{
	const char *name = doc ? doc_str(doc, "propagationPolicy") : NULL;
	const char *orphan = request_query(c->req, "orphanDependents");
	bool said = orphan || (doc && doc_has(doc, "orphanDependents"));
	bool set = orphan && request_query_bool(c->req, "orphanDependents");

	if (doc && doc_has(doc, "propagationPolicy") && !name)
		return wrong_type(c, "propagationPolicy", "a string");
	if (!name)
		name = request_query(c->req, "propagationPolicy");
	if (doc)
		set = doc_bool(doc, "orphanDependents", set);
	if (name && *name && said) {
		causes_add(&c->refusal.causes, CAUSE_INVALID, "propagationPolicy", name,
			   "orphanDependents and deletionPropagation cannot be both set");
		return refuse(c, 422, "Invalid", "DeleteOptions.meta.k8s.io \"\" is invalid: "
			      "propagationPolicy: Invalid value: \"%.80s\": orphanDependents and "
			      "deletionPropagation cannot be both set", name);
	}
	if (name && *name)
		return set_policy(c, name, o);
	return set ? set_policy(c, "Orphan", o) : 0;
}

static int dry_run(struct call *c, const struct doc *doc)
{
	const char *word;

	if (!doc_has(doc, "dryRun"))
		return 0;
	if (!doc_is_list(doc, "dryRun"))
		return wrong_type(c, "dryRun", "a list of strings");
	for (size_t i = 0; i < doc_len(doc, "dryRun"); i++) {
		char path[32];

		snprintf(path, sizeof(path), "dryRun[%zu]", i);
		word = doc_str(doc, path);
		if (!word || strcmp(word, "All") != 0)
			return refuse_dry_run(c, word ? word : "");
		c->dry_run = true;
	}
	return 0;
}

static int preconditions(struct call *c, struct doc *doc, struct delete_options *o)
{
	struct arena *arena = request_arena(c->req);

	if (doc_set_object(doc, "preconditions") == -EINVAL)
		return wrong_type(c, "preconditions", "an object");
	o->uid = arena_strdup(arena, doc_str(doc, "preconditions.uid"));
	o->rev = arena_strdup(arena, doc_str(doc, "preconditions.resourceVersion"));
	if (doc_has(doc, "preconditions.uid") && !o->uid)
		return wrong_type(c, "preconditions.uid", "a string");
	if (doc_has(doc, "preconditions.resourceVersion") && !o->rev)
		return wrong_type(c, "preconditions.resourceVersion", "a string");
	return 0;
}

static int body_options(struct call *c, struct doc *doc, struct delete_options *o)
{
	const char *kind = doc_str(doc, "kind");
	int r;

	if (kind && *kind && strcmp(kind, "DeleteOptions") != 0)
		return refuse(c, 400, "BadRequest", "kind in the body (%.80s) must be DeleteOptions",
			      kind);
	r = body_grace(c, doc, o);
	if (r == 0)
		r = preconditions(c, doc, o);
	return r < 0 ? r : dry_run(c, doc);
}

int delete_options(struct call *c, struct delete_options *ret)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct delete_options o = { .grace_s = -1 };
	size_t len;
	int r;

	request_body(c->req, &len);
	r = len ? check_content_type(c, "application/json") : 0;
	if (r == 0 && len)
		r = parse_body(c, &doc);
	if (r == 0)
		r = query_grace(c, &o);
	if (r == 0 && doc)
		r = body_options(c, doc, &o);
	if (r == 0)
		r = policy(c, doc, &o);
	if (r == 0)
		*ret = o;
	return r;
}

int delete_preconditions(struct call *c, const struct delete_options *o, const struct object *obj)
{
	char rev[24];

	snprintf(rev, sizeof(rev), "%llu", (unsigned long long)obj->rev);
	if (o->uid && *o->uid && strcmp(o->uid, obj->meta->uid) != 0)
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": "
			      "Precondition failed: UID in precondition: %.80s, UID in object "
			      "meta: %s", c->kind->store_name, obj->meta->name, o->uid,
			      obj->meta->uid);
	if (o->rev && *o->rev && strcmp(o->rev, rev) != 0)
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": "
			      "Precondition failed: ResourceVersion in precondition: %.40s, "
			      "ResourceVersion in object meta: %s", c->kind->store_name,
			      obj->meta->name, o->rev, rev);
	return 0;
}
