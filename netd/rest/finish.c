/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * finish.c - the end of a write: submit, wait for the commit, log, answer
 *
 * Room: rest.  The client may go away meanwhile; the write goes on.
 * May include: http, codec, state, netd/base.
 */
#include "read.h"
#include <netd/base/fault.h>
#include <stdio.h>

#define TRIES 50

/* A write that has no answer yet. */
struct pending {
	struct rest *rest;
	struct request *req;        /* NULL: the client has gone */
	const struct kind *served;
	struct object *obj;         /* what is written */
	unsigned tries;             /* how often it was before */
	struct audit audit;
	struct bytes *body;         /* NULL: it is the object, which has no revision yet */
};

static void pending_free(struct pending *p)
{
	bytes_unref(p->body);
	object_unref(p->obj);
	audit_forget(&p->audit);
	free(p);
}

static void client_gone(void *arg)
{
	struct pending *p = arg;

	p->req = NULL;
}

/* Another node was faster: all of it once more, upon what there is now. */
static bool try_again(struct pending *p, int rc)
{
	struct rest *rest = p->rest;
	struct request *req = p->req;

	if (rc != -ECANCELED || !req || p->tries >= TRIES)
		return false;
	http_on_abort(req, NULL, NULL);
	rest->again = req;
	rest->tries = p->tries + 1;
	pending_free(p);
	rest_handle(rest, req);
	rest->again = NULL;
	return true;
}

static void answer(struct pending *p)
{
	struct call c = { .req = p->req, .kind = p->audit.kind };

	if (!p->body)
		p->body = kind_bytes(p->served, p->obj->bytes);
	etag_send(&c, p->audit.rev);
	if (p->body) {
		reply_json(p->req, p->audit.code, take_ptr(p->body));
	} else {                        /* it is written all the same */
		refuse_memory(&c);
		reply_refusal(&c);
	}
}

static void committed(void *arg, int rc, const char *error)
{
	struct pending *p = arg;
	struct call c = { .req = p->req, .kind = p->audit.kind, .name = p->audit.name };

	if (rc == 0 && p->obj->rev >= OBJECT_PROVISIONAL && !p->obj->pending)
		rc = -ECANCELED;        /* it is the same as what was refused meanwhile */
	if (try_again(p, rc))
		return;
	p->audit.rev = p->obj->rev;
	if (rc < 0) {
		p->audit.code = store_code(rc);
		p->audit.rev = 0;       /* there is none */
	}
	audit_line(&p->audit, "");
	if (p->req)
		http_on_abort(p->req, NULL, NULL);
	if (p->req && rc < 0) {
		refuse_store(&c, rc, error);
		reply_refusal(&c);
	} else if (p->req) {
		answer(p);
	}
	pending_free(p);
}

int write_finish(struct call *c, struct txn *txn, unsigned code, struct object *obj,
		 struct bytes *body)
{
	bool later = body == obj->bytes && obj->rev >= OBJECT_PROVISIONAL;
	struct pending *p = calloc(1, sizeof(*p));

	if (p) {
		p->rest = c->rest;
		p->req = c->req;
		p->served = c->served;
		p->obj = object_ref(obj);
		p->tries = c->rest->again == c->req ? c->rest->tries : 0;
		p->body = later ? NULL : kind_bytes(c->served, body);
		p->audit = (struct audit){
			.peer = *request_peer(c->req), .verb = c->verb, .kind = c->kind,
			.ns = obj->meta->ns, .name = obj->meta->name, .code = code, .rev = obj->rev,
		};
	}
	if (!p || (!p->body && !later) || audit_keep(&p->audit) < 0) {
		if (p)
			pending_free(p);
		txn_drop(txn);
		return refuse_memory(c);
	}
	causes_fini(&c->refusal.causes);
	fault_point("request-accepted");
	http_on_abort(c->req, client_gone, p);
	txn_submit(txn, false, committed, p);
	return 0;
}

/* Nothing is written, so the version is the old one's, or there is none. */
int write_dry(struct call *c, struct doc *doc, const struct object *old, unsigned code)
{
	struct bytes *body;
	char rev[24];
	int r = 0;

	doc_remove(doc, "metadata.resourceVersion");
	if (!old && c->kind->id != KIND_EVENT)
		r = doc_set_int(doc, "metadata.generation", 1);
	if (old) {
		snprintf(rev, sizeof(rev), "%llu", (unsigned long long)old->rev);
		r = doc_set_str(doc, "metadata.resourceVersion", rev);
	}
	if (r == 0)
		r = kind_hand_out(c->served, doc);
	body = r == 0 ? doc_bytes(doc) : NULL;
	if (!body)
		return refuse_memory(c);
	reply_json(c->req, code, body);
	return 0;
}
