/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep.c - DELETE of a collection: what the selectors choose, or all
 *
 * Room: rest.  What is chosen is what is there at the beginning; if one of it may not be deleted,
 * nothing is.  It goes in transactions of a bearable size, each after the one before it has
 * committed, so that other requests come between; the answer, the list of what was deleted, comes
 * after the last.  If the client goes away meanwhile, the sweep goes on.
 * May include: http, codec, state, watch, netd/base.
 */
#include "delete.h"
#include <inttypes.h>
#include <stdio.h>

#define TRIES         50
#define ROUND_OBJECTS 100       /* with tombstones and addresses below LIMIT_BATCH_WRITES */

struct sweep {
	struct rest *rest;
	struct request *req;        /* NULL: the client has gone */
	const struct kind *kind, *served;
	struct delete_options options;  /* without preconditions: they were looked at */
	struct audit audit;
	struct object **objs;
	size_t n, cap, next, begun, deleted;
	unsigned tries;             /* of the transaction from @begun on */
	struct buf items;
	struct txn *txn;            /* being built */
};

DEFINE_CLEANUP(struct object, object_unref)

static void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		object_unref(s->objs[i]);
	free(s->objs);
	buf_fini(&s->items);
	audit_forget(&s->audit);
	free(s);
}
DEFINE_CLEANUP(struct sweep, sweep_free)

struct choice {
	struct sweep *sweep;
	const struct selector *sel;
};

static int choose(void *arg, struct object *obj)
{
	const struct choice *choice = arg;
	struct sweep *s = choice->sweep;
	size_t cap = s->cap ? 2 * s->cap : 64;
	struct object **more;
	int r = selects_object(s->rest, choice->sel, obj);

	if (r <= 0)
		return r;
	if (s->n == s->cap) {
		more = realloc(s->objs, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->objs = more;
		s->cap = cap;
	}
	s->objs[s->n++] = object_ref(obj);
	return 0;
}

static void add_item(struct sweep *s, const struct object *obj)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = kind_bytes(s->served, obj->bytes);

	if (s->deleted++)
		buf_add(&s->items, ",", 1);
	if (bytes)
		buf_add(&s->items, bytes->data, bytes->len);
	else
		s->items.failed = true;
}

static void reply_list(struct sweep *s)
{
	struct call c = { .req = s->req, .kind = s->kind };
	struct buf out = { 0 };
	struct bytes *body;
	char api[64];

	buf_printf(&out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":"
		   "{\"resourceVersion\":\"%" PRIu64 "\"},\"items\":[", s->kind->name,
		   kind_api_version(s->served, api), state_revision(s->rest->state));
	if (s->items.len)
		buf_add(&out, s->items.data, s->items.len);
	buf_str(&out, "]}");
	body = s->items.failed ? NULL : buf_bytes(&out);
	buf_fini(&out);
	if (body) {
		reply_json(s->req, 200, body);
		return;
	}
	refuse_memory(&c);
	reply_refusal(&c);
}

static int sweep_object(struct sweep *s, struct object *obj, struct object *chosen,
			struct object **place)
{
	struct call c = { .rest = s->rest, .req = s->req, .kind = s->kind };
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *kept;
	int r;

	if (!obj || strcmp(obj->meta->uid, chosen->meta->uid) != 0) {
		if (s->tries)           /* the time before it did go */
			*place = object_ref(chosen);
		return 0;
	}
	r = delete_mark(&c, obj, &s->options, &doc);
	if (r > 0)
		r = txn_put(s->txn, s->kind, doc, obj, &kept);
	else if (r == 0)
		r = txn_delete(s->txn, obj, &kept);
	if (r == 0)
		*place = object_ref(kept);
	return r;
}

/* 0, also for one that went or was made anew meanwhile, whose place is empty then */
static int sweep_one(struct sweep *s, struct object **place)
{
	_cleanup_(object_unrefp) struct object *chosen = take_ptr(*place);
	const struct meta *meta = chosen ? chosen->meta : NULL;

	if (!meta)
		return 0;
	return sweep_object(s, state_accepted(s->rest->state, s->kind, meta->ns, meta->name),
			    chosen, place);
}

static void sweep_end(struct sweep *s, int rc, const char *words)
{
	struct call c = { .rest = s->rest, .req = s->req, .kind = s->kind };
	char more[32];

	for (size_t i = 0; i < s->next; i++)
		if (s->objs[i])
			add_item(s, s->objs[i]);
	s->audit.code = rc < 0 ? store_code(rc) : 200;
	s->audit.rev = rc < 0 ? 0 : state_revision(s->rest->state);
	snprintf(more, sizeof(more), " objects=%zu", s->deleted);
	audit_line(&s->audit, more);
	if (s->req)
		http_on_abort(s->req, NULL, NULL);
	if (s->req && rc == 0) {
		reply_list(s);
	} else if (s->req) {
		refuse_store(&c, rc, words);
		reply_refusal(&c);
	}
	sweep_free(s);
}

static void sweep_round(void *arg, int rc, const char *words)
{
	struct sweep *s = arg;
	size_t end;

	if (rc == -ECANCELED && s->tries++ < TRIES) {
		s->next = s->begun;     /* another node was faster with one of them */
		rc = 0;
	} else {
		s->tries = 0;
	}
	s->begun = s->next;
	end = s->next + ROUND_OBJECTS < s->n ? s->next + ROUND_OBJECTS : s->n;
	if (rc < 0 || s->next == s->n) {
		sweep_end(s, rc, words);
		return;
	}
	rc = txn_new(s->rest->state, &s->txn);
	while (rc == 0 && s->next < end)
		rc = sweep_one(s, &s->objs[s->next++]);
	if (rc < 0) {
		txn_drop(take_ptr(s->txn));
		sweep_end(s, rc, NULL);
		return;
	}
	txn_submit(take_ptr(s->txn), false, sweep_round, s);
}

static void client_gone(void *arg)
{
	struct sweep *s = arg;

	s->req = NULL;
}

static int check_all(struct call *c, const struct delete_options *o, const struct sweep *s)
{
	const struct kind_hooks *h = hooks_of(c->kind);
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		r = delete_preconditions(c, o, s->objs[i]);
		if (r == 0 && h->deletable)
			r = h->deletable(c, s->objs[i]);
	}
	return r;
}

static int dry_sweep(struct sweep *s)
{
	for (size_t i = 0; i < s->n; i++)
		add_item(s, s->objs[i]);
	reply_list(s);
	return 0;
}

int verb_delete_collection(struct call *c)
{
	_cleanup_(sweep_freep) struct sweep *s = calloc(1, sizeof(*s));
	struct choice choice = { .sweep = s };
	struct selector sel;
	int r = s ? parse_selector(c, request_arena(c->req), &sel) : refuse_memory(c);

	if (r == 0)
		r = delete_options(c, &s->options);
	if (r < 0)
		return r;
	s->rest = c->rest;
	s->req = c->req;
	s->kind = c->kind;
	s->served = c->served;
	s->audit = (struct audit){
		.peer = *request_peer(c->req), .verb = c->verb, .kind = c->kind, .ns = c->ns,
	};
	if (audit_keep(&s->audit) < 0)
		return refuse_memory(c);
	choice.sel = &sel;
	if (state_each_accepted(c->rest->state, c->kind, c->ns, choose, &choice) < 0)
		return refuse_memory(c);
	r = check_all(c, &s->options, s);
	if (r < 0)
		return r;
	s->options.uid = s->options.rev = NULL;
	if (c->dry_run)
		return dry_sweep(s);
	http_on_abort(c->req, client_gone, s);
	sweep_round(take_ptr(s), 0, NULL);
	return 0;
}
