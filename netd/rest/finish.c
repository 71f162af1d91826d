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

/* A write that has no answer yet. */
struct pending {
	struct request *req;        /* NULL: the client has gone */
	struct audit audit;
	struct bytes *body;
	struct arena arena;
};

static void pending_free(struct pending *p)
{
	bytes_unref(p->body);
	arena_fini(&p->arena);
	free(p);
}

static void client_gone(void *arg)
{
	struct pending *p = arg;

	p->req = NULL;
}

static void committed(void *arg, int rc, const char *error)
{
	struct pending *p = arg;
	struct call c = { .req = p->req, .kind = p->audit.kind };

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
		etag_send(&c, p->audit.rev);
		reply_json(p->req, p->audit.code, take_ptr(p->body));
	}
	pending_free(p);
}

int write_finish(struct call *c, struct txn *txn, unsigned code, const struct object *obj,
		 struct bytes *body)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p) {
		p->req = c->req;
		p->body = kind_bytes(c->served, body);
		p->audit = (struct audit){
			.peer = *request_peer(c->req), .verb = c->verb, .kind = c->kind,
			.ns = obj->meta->ns, .name = obj->meta->name, .code = code, .rev = obj->rev,
		};
	}
	if (!p || !p->body || audit_keep(&p->audit, &p->arena) < 0) {
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
