/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delete.c - DELETE of one object: it goes, or is marked and waits for grace and finalizers
 *
 * Room: rest.  Source: API-CONTRACT 5.  A policy of Foreground or Orphan is a finalizer, which
 * control works off (netd/control/owners.c).
 * May include: http, codec, state, model, netd/base.
 */
#include "delete.h"
#include <stdio.h>

static int find_dependent(void *arg, struct object *obj)
{
	const char *uid = arg;

	for (size_t i = 0; i < obj->meta->nowners; i++)
		if (strcmp(obj->meta->owners[i].uid, uid) == 0)
			return 1;
	return 0;
}

/* Without dependents there is nothing to wait for. */
static bool has_dependents(const struct call *c, const struct object *obj)
{
	void *uid = (void *)(uintptr_t)obj->meta->uid;
	int found = 0;

	for (size_t k = 0; k < KIND_COUNT && !found; k++)
		found = state_each_accepted(c->rest->state, &kinds[k], NULL, find_dependent, uid);
	return found != 0;
}

static int add_finalizer(struct doc *doc, const char *finalizer)
{
	char path[48];

	snprintf(path, sizeof(path), "metadata.finalizers[%zu]",
		 doc_len(doc, "metadata.finalizers"));
	return doc_set_str(doc, path, finalizer);
}

static int mark(struct call *c, struct doc *doc, const struct object *obj,
		const struct delete_options *o, bool held)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	char now[24];
	int r = held ? add_finalizer(doc, o->finalizer) : 0, stays;

	if (r < 0)
		return r;
	stays = h->retire ? h->retire(c, doc, obj, o->grace_s) : 0;
	if (stays != 0 || (!obj->meta->nfinalizers && !held))
		return stays;
	time_format(now_realtime_s(), now);
	if (!obj->meta->deleted)
		r = doc_set_str(doc, "metadata.deletionTimestamp", now);
	if (r == 0)
		r = doc_set_int(doc, "metadata.deletionGracePeriodSeconds", 0);
	return r < 0 ? r : 1;
}

/* What goes at once need not be read. */
int delete_mark(struct call *c, const struct object *obj, const struct delete_options *o,
		struct doc **ret)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	bool held = o->finalizer && !obj->meta->deleted && c->kind->id != KIND_NAMESPACE &&
		    has_dependents(c, obj);

	if (!held && !obj->meta->nfinalizers &&
	    (!h->retire || (h->at_once && h->at_once(obj, o->grace_s))))
		return 0;
	*ret = object_doc(obj);
	return *ret ? mark(c, *ret, obj, o, held) : -ENOMEM;
}

static int reply_done(struct call *c, struct txn *txn, struct object *obj)
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

static int delete_object(struct call *c, struct object *obj, const struct delete_options *o)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int stays = delete_mark(c, obj, o, &doc);
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
	struct delete_options o;
	struct object *obj;
	int r = delete_options(c, &o);

	if (r < 0)
		return r;
	obj = state_accepted(c->rest->state, c->kind, c->ns, c->name);
	if (!obj)
		return refuse_object(c, 404, "NotFound");
	r = check_match(c, obj);
	if (r == 0)
		r = delete_preconditions(c, &o, obj);
	if (r == 0 && h->deletable)
		r = h->deletable(c, obj);
	return r < 0 ? r : delete_object(c, obj, &o);
}
