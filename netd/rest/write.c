/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * write.c - create and replace, and the same of the status subresource; patch.c comes here too
 *
 * Room: rest.  The order of the checks is that of API-CONTRACT 5.  A write is checked against the
 * accepted version and answered after its commit, so patches of concurrent clients all land.
 * May include: http, codec, state, model, reconcile.h, netd/base.
 */
#include "internal.h"
#include <netd/base/limits.h>
#include <stdio.h>

/* What only the server writes in metadata. */
static const char *const server_members[] = {
	"metadata.uid", "metadata.creationTimestamp", "metadata.deletionTimestamp",
	"metadata.deletionGracePeriodSeconds", "metadata.generation",
};

static int bad(struct call *c, const char *what, const char *got, const char *want)
{
	return refuse(c, 400, "BadRequest", "%s in the body (%.253s) does not match the URL (%.253s)",
		      what, got ? got : "not a string", want);
}

/* A member that may be absent, but if present must say what the URL says. */
static int match(struct call *c, const struct doc *doc, const char *path, const char *want)
{
	const char *got = doc_str(doc, path);

	if (!doc_has(doc, path) || (got && strcmp(got, want) == 0))
		return 0;
	return bad(c, path, got, want);
}

static bool empty(const struct doc *doc, const char *path)
{
	const char *text = doc_str(doc, path);

	return text ? !*text : !doc_has(doc, path);
}

/* What is there has matched. */
static int fill(struct doc *doc, const char *path, const char *value)
{
	return doc_has(doc, path) ? 0 : doc_set_str(doc, path, value);
}

static int set_envelope(struct call *c, struct doc *doc)
{
	char api[64];
	int r = match(c, doc, "apiVersion", kind_api_version(c->served, api));

	if (r == 0)
		r = match(c, doc, "kind", c->kind->name);
	if (r == 0 && (c->kind->namespaced || !empty(doc, "metadata.namespace")))
		r = match(c, doc, "metadata.namespace", c->ns);
	if (r == 0 && c->name)
		r = match(c, doc, "metadata.name", c->name);
	if (r < 0)
		return r;
	r = fill(doc, "apiVersion", api);
	if (r == 0)
		r = kind_take_in(c->served, doc);
	if (r == 0)
		r = fill(doc, "kind", c->kind->name);
	if (r == 0)
		r = doc_set_object(doc, "metadata");
	if (r == 0 && c->kind->namespaced)
		r = fill(doc, "metadata.namespace", c->ns);
	if (r == -EINVAL)
		return refuse(c, 400, "BadRequest", "metadata: must be an object");
	doc_remove(doc, "metadata.selfLink");
	doc_remove(doc, "metadata.managedFields");
	if (!c->kind->namespaced)
		doc_remove(doc, "metadata.namespace");
	return r;
}

/* The name that it would have; of one that is to be generated, its beginning. */
static const char *name_in(struct call *c, const struct doc *doc)
{
	const char *name = doc_str(doc, "metadata.name");

	name = name && *name ? name : doc_str(doc, "metadata.generateName");
	return name && *name ? arena_strdup(request_arena(c->req), name) : NULL;
}

static int check_namespace(struct call *c, const struct doc *doc)
{
	const struct kind *kind = &kinds[KIND_NAMESPACE];
	const struct object *ns;

	if (!c->kind->namespaced)
		return 0;
	ns = state_accepted(c->rest->state, kind, "", c->ns);
	if (!ns)
		return refuse_other(c, 404, "NotFound", kind, c->ns);
	if (!ns->namespace->terminating)
		return 0;
	causes_add(&c->refusal.causes, CAUSE_NAMESPACE_TERMINATING, "metadata.namespace", NULL,
		   "namespace %s is being terminated", c->ns);
	c->refusal.why = arena_printf(request_arena(c->req), "unable to create new content in "
				      "namespace %s because it is being terminated", c->ns);
	return refuse_other(c, 403, "Forbidden", c->kind, name_in(c, doc));
}

/* generateName: five characters that make no words. */
static int generate_name(struct call *c, struct doc *doc)
{
	const char *prefix = doc_str(doc, "metadata.generateName");
	char name[64];

	if (doc_has(doc, "metadata.name") || !prefix || !*prefix)
		return 0;
	if (name_generate(prefix, name) < 0)
		return refuse_memory(c);
	return doc_set_str(doc, "metadata.name", name);
}

static int set_identity(struct rest *rest, struct doc *doc)
{
	char uid[37], now[24];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(server_members); i++)
		doc_remove(doc, server_members[i]);
	uuid_next(&rest->uuids, uid);
	time_format(now_realtime_s(), now);
	r = doc_set_str(doc, "metadata.uid", uid);
	return r < 0 ? r : doc_set_str(doc, "metadata.creationTimestamp", now);
}

static int check_doc(struct call *c, struct doc *doc, const struct object *old,
		     const struct doc *was)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	int r;

	check_fields(c, doc, was);
	r = h->prepare ? h->prepare(c, doc, old) : 0;
	if (r == 0 && c->kind->defaults)
		r = c->kind->defaults(doc);
	if (r == -ENOMEM)
		return refuse_memory(c);
	c->name = c->name ? c->name : arena_strdup(request_arena(c->req),
						   doc_str(doc, "metadata.name"));
	kind_check(c->kind, doc, was, &c->refusal.causes);
	r = refuse_causes(c);
	if (r == 0 && h->validate)
		r = h->validate(c, doc, old);
	return r < 0 ? r : refuse_causes(c);
}

/* Everything up to "is the name free". */
static int prepare_create(struct call *c, struct doc *doc)
{
	const char *rev;
	int r = set_envelope(c, doc);

	if (r < 0)
		return r;
	rev = doc_str(doc, "metadata.resourceVersion");
	if (rev && *rev)
		return refuse(c, 400, "BadRequest",
			      "resourceVersion should not be set on objects to be created");
	r = check_namespace(c, doc);
	if (r == 0)
		r = generate_name(c, doc);
	if (r < 0)
		return r;
	if (c->kind->has_status)
		doc_remove(doc, "status");
	r = set_identity(c->rest, doc);
	return r < 0 ? refuse_memory(c) : check_doc(c, doc, NULL, NULL);
}

/* A Network that is being deleted keeps its name until that has committed: so do its claims. */
static bool name_taken(const struct call *c)
{
	return state_accepted(c->rest->state, c->kind, c->ns, c->name) ||
	       (c->kind->id == KIND_NETWORK && state_get(c->rest->state, c->kind, c->ns, c->name));
}

static int create(struct call *c, struct doc *doc)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	struct rest *rest = c->rest;
	struct object *obj;
	int r = prepare_create(c, doc);

	if (r < 0)
		return r;
	if (name_taken(c))
		return refuse_object(c, 409, "AlreadyExists");
	warn_node(c, doc);
	r = txn_new(c->rest->state, &txn);
	if (r == 0 && h->admit)
		r = h->admit(c, txn, doc);
	if (r < 0 || refuse_causes(c) < 0)
		return r < 0 ? r : -EINVAL;
	if (c->dry_run)
		return write_dry(c, doc, NULL, 201);
	r = txn_put(txn, c->kind, doc, NULL, &obj);
	if (r < 0)
		return refuse_memory(c);
	object_ref(obj);                /* the transaction's until it is submitted */
	r = write_finish(c, take_ptr(txn), 201, obj, obj->bytes);
	if (r == 0 && h->accepted)
		h->accepted(rest, obj);
	object_unref(obj);
	return r;
}

int verb_create(struct call *c)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	int r = parse_object(c, &doc);

	return r < 0 ? r : create(c, doc);
}

/* The members of the old version that a request cannot change. */
static int keep_server_members(struct call *c, struct doc *doc, const struct doc *was)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(server_members); i++) {
		doc_remove(doc, server_members[i]);
		if (doc_has(was, server_members[i]))
			r = doc_set_copy(doc, server_members[i], was, server_members[i]);
	}
	if (r == 0)
		r = doc_set_str(doc, "metadata.name", c->name);
	if (r < 0 || !c->kind->has_status)
		return r;
	doc_remove(doc, "status");
	return doc_has(was, "status") ? doc_set_copy(doc, "status", was, "status") : 0;
}

/* Optimistic locking: what the body says of the version it was made from. */
static int check_lock(struct call *c, const struct doc *body, const struct object *old)
{
	const char *rev = doc_str(body, "metadata.resourceVersion");
	const char *uid = doc_str(body, "metadata.uid");
	char now[24];

	snprintf(now, sizeof(now), "%llu", (unsigned long long)old->rev);
	if (rev && *rev && strcmp(rev, now) != 0)
		return refuse_conflict(c);
	if (uid && *uid && strcmp(uid, old->meta->uid) != 0)
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": "
			      "Precondition failed: UID in precondition: %.80s, UID in object "
			      "meta: %s", c->kind->store_name, c->name, uid, old->meta->uid);
	return 0;
}

/* An object that only waited for its finalizers goes with the last of them. */
static bool finalized(const struct doc *doc, const struct object *old)
{
	return old->meta->deleted && !doc_len(doc, "metadata.finalizers") &&
	       !doc_int(doc, "metadata.deletionGracePeriodSeconds", 0) &&
	       old->kind->id != KIND_NAMESPACE;
}

static int write_version(struct call *c, struct doc *doc, struct object *old)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	struct object *obj;
	const struct kind_hooks *h = hooks_of(c->kind);
	int r = txn_new(c->rest->state, &txn);

	if (r < 0)
		return refuse_memory(c);
	if (h->revise && !c->status)
		r = h->revise(c, txn, doc, old);
	if (r < 0 || refuse_causes(c) < 0)
		return r < 0 ? r : -EINVAL;
	if (c->dry_run)
		return write_dry(c, doc, old, 200);
	if (r == 0)
		r = txn_put(txn, c->kind, doc, old, &obj);
	if (r == 0 && finalized(doc, old))
		r = txn_delete(txn, obj, NULL);
	if (r < 0)
		return refuse_memory(c);
	if (obj->bytes->len > LIMIT_BODY_BYTES)     /* patches make it grow bit by bit */
		return refuse(c, 413, "RequestEntityTooLarge",
			      "the object would be larger than %d bytes", LIMIT_BODY_BYTES);
	return write_finish(c, take_ptr(txn), 200, obj, obj->bytes);
}

static bool holds(const struct doc *doc, const char *finalizer)
{
	size_t n = doc_len(doc, "metadata.finalizers");
	char path[48];

	for (size_t i = 0; i < n; i++) {
		const char *got;

		snprintf(path, sizeof(path), "metadata.finalizers[%zu]", i);
		got = doc_str(doc, path);
		if (got && strcmp(got, finalizer) == 0)
			return true;
	}
	return false;
}

/* Who deletes waits for the finalizers that were there: it must come to an end. */
static void check_finalizers(struct call *c, const struct doc *doc, const struct object *old,
			     const struct doc *was)
{
	size_t n = old->meta->deleted ? doc_len(doc, "metadata.finalizers") : 0;
	char path[48];

	for (size_t i = 0; i < n; i++) {
		const char *f;

		snprintf(path, sizeof(path), "metadata.finalizers[%zu]", i);
		f = doc_str(doc, path);
		if (f && !holds(was, f))
			causes_add(&c->refusal.causes, CAUSE_FORBIDDEN, path, NULL,
				   "no new finalizers can be added if the object is being deleted");
	}
}

/* The PUT path; a patch has made @doc from the old version and comes here too. */
static int update(struct call *c, struct doc *doc, struct object *old)
{
	_cleanup_(doc_freep) struct doc *was = object_doc(old);
	int r = was ? set_envelope(c, doc) : refuse_memory(c);

	if (r < 0)
		return r;
	r = keep_server_members(c, doc, was);
	if (r < 0)
		return refuse_memory(c);
	check_finalizers(c, doc, old, was);
	r = check_doc(c, doc, old, was);
	return r < 0 ? r : write_version(c, doc, old);
}

/* Only status is taken from @body. */
static int update_status(struct call *c, const struct doc *body, struct object *old)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	_cleanup_(doc_freep) struct doc *doc = object_doc(old), *was = object_doc(old);
	int r = doc && was ? doc_set_copy(doc, "status", body, "status") : -ENOMEM;
	char now[24];

	if (r < 0)
		return refuse_memory(c);
	kind_check_status(c->kind, doc, &c->refusal.causes);
	r = refuse_causes(c);
	if (r < 0)
		return r;
	time_format(now_realtime_s(), now);
	if (doc_stamp_conditions(doc, was, "status.conditions", now) < 0 ||
	    (h->keep_status && h->keep_status(doc, old) < 0))
		return refuse_memory(c);
	return write_version(c, doc, old);
}

/* A patch left in @body what it did not change: also its resourceVersion and uid. */
int write_update(struct call *c, struct doc *body, struct object *old)
{
	int r = check_match(c, old);

	if (r == 0)
		r = check_lock(c, body, old);
	if (r < 0)
		return r;
	return c->status ? update_status(c, body, old) : update(c, body, old);
}

/* A whole object in the body, and the one that it is to replace. */
static int parse_update(struct call *c, struct doc **doc, struct object **old)
{
	char api[64];
	int r = parse_object(c, doc);

	if (r == 0)
		r = match(c, *doc, "apiVersion", kind_api_version(c->served, api));
	if (r == 0)
		r = match(c, *doc, "kind", c->kind->name);
	if (r == 0)
		r = match(c, *doc, "metadata.name", c->name);
	if (r < 0)
		return r;
	*old = state_accepted(c->rest->state, c->kind, c->ns, c->name);
	return *old || (c->kind->put_creates && !c->status) ? 0 : refuse_object(c, 404, "NotFound");
}

/* Which kinds a PUT creates is as in Kubernetes; of a version that is not there it is none. */
static int create_by_put(struct call *c, struct doc *doc)
{
	const char *rev = doc_str(doc, "metadata.resourceVersion");
	int r = rev && *rev ? refuse_object(c, 404, "NotFound") : check_absent(c);

	if (r < 0)
		return r;
	if (empty(doc, "metadata.name") && doc_set_str(doc, "metadata.name", c->name) == -ENOMEM)
		return refuse_memory(c);
	return create(c, doc);
}

int verb_replace(struct call *c)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *old;
	int r = parse_update(c, &doc, &old);

	if (r < 0)
		return r;
	return old ? write_update(c, doc, old) : create_by_put(c, doc);
}

/* Only spec.finalizers is taken: what must be done before the Namespace may go. */
int verb_finalize(struct call *c)
{
	static const char path[] = "spec.finalizers";
	_cleanup_(doc_freep) struct doc *body = NULL, *doc = NULL;
	struct object *old;
	int r = parse_update(c, &body, &old);

	if (r == 0)
		r = check_match(c, old);
	if (r == 0)
		r = check_lock(c, body, old);
	if (r < 0)
		return r;
	if (doc_set_object(body, "spec") == -EINVAL)
		return refuse(c, 400, "BadRequest", "spec: must be an object");
	doc = object_doc(old);
	if (!doc || doc_set_copy(doc, path, body, path) < 0 ||
	    (!doc_has(doc, path) && doc_set_list(doc, path) < 0))
		return refuse_memory(c);
	kind_check(c->kind, doc, NULL, &c->refusal.causes);
	r = refuse_causes(c);
	return r < 0 ? r : write_version(c, doc, old);
}
