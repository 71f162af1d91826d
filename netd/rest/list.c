/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.c - the objects of a list, joined while they are sent
 *
 * Room: rest.  Theory: a list of thousands of objects takes a tenth of a second to make as a Table,
 * and nobody else would be served meanwhile.  So only which objects it has is settled at once, by
 * references to their bytes, which never change; the text is made a piece at a time as the client
 * takes it.  Names and labels are known without parsing.  Other fields are not, and are asked for
 * piece by piece too; where that also decides whether there is a next page, its token, with the
 * rest of the metadata, stands behind the items.
 * May include: http, codec, state, metrics, netd/base.
 */
#include "read.h"
#include <netd/metrics/metrics.h>
#include <stdlib.h>

#define DOCS_PER_PIECE 16       /* parsed in one turn, a fraction of a millisecond */

enum phase { LIST_HEAD, LIST_ITEMS, LIST_TAIL, LIST_DONE };

/* Text that is being sent. */
struct piece {
	const char *at;
	size_t left;
};

struct list {
	struct rest *rest;
	struct arena *arena;        /* the request's */
	struct form form;
	const struct kind *served;
	const struct selector *sel; /* still to be asked of each item; NULL: all of them are meant */
	struct list_conf conf;
	struct bytes **items;
	size_t n, cap, next;        /* next: those before it are sent or passed over */
	size_t bytes;               /* of all items */
	size_t sent, left;          /* left: behind the limit */
	struct page last;           /* the last one in it */
	struct form_list meta;
	enum phase phase;
	struct bytes *item;         /* that the piece is of */
	struct buf text;
	struct piece piece[2];      /* the text, and where it is sent as it is, the item */
	unsigned docs;              /* parsed in this turn */
};

static void list_free(struct list *l)
{
	if (!l)
		return;
	for (; l->next < l->n; l->next++)
		bytes_unref(l->items[l->next]);
	bytes_unref(l->item);
	free(l->items);
	buf_fini(&l->text);
	free(l);
}
DEFINE_CLEANUP(struct list, list_free)

static int add_item(struct list *l, struct bytes *bytes)
{
	size_t cap = l->cap ? l->cap * 2 : 64;
	struct bytes **items;

	if (l->n == l->cap) {
		items = realloc(l->items, cap * sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = bytes_ref(bytes);
	l->bytes += bytes->len;
	return 0;
}

static int is_meant(struct list *l, const struct listed *one)
{
	if (l->sel)                 /* asked later */
		return 1;
	if (one->obj)
		return selector_matches_meta(l->conf.sel, one->obj->meta);
	return selects(l->rest, l->conf.sel, one->ns, one->name, one->bytes);
}

static int collect(void *arg, const struct listed *one)
{
	struct list *l = arg;
	int r = is_meant(l, one);

	if (r <= 0)
		return r;
	if (l->conf.limit && !l->sel && l->n == l->conf.limit) {
		l->left++;
		return 0;
	}
	l->last.ns = one->ns;
	l->last.name = one->name;
	return add_item(l, one->bytes);
}

static int say_next(struct list *l)
{
	l->meta.next = page_token(&l->last, l->arena);
	return l->meta.next ? 0 : -ENOMEM;
}

/* 1: it is meant, and its name is kept for the token; 0; or -ENOMEM. */
static int ask_item(struct list *l)
{
	const struct doc *doc;
	const char *ns;
	int r = selects_doc(l->rest, l->sel, l->item, &doc);

	l->docs++;
	if (r <= 0 || l->sent == l->conf.limit)
		return r;
	ns = doc_str(doc, "metadata.namespace");
	l->last.ns = arena_strdup(l->arena, ns ? ns : "");
	l->last.name = arena_strdup(l->arena, doc_str(doc, "metadata.name"));
	return l->last.ns && l->last.name ? 1 : -ENOMEM;
}

static int begin_item(struct list *l)
{
	int r;

	l->item = l->items[l->next++];
	if (l->next == l->n)
		l->phase = LIST_TAIL;
	r = l->sel ? ask_item(l) : 1;
	if (r <= 0)
		return r;
	if (l->sel && l->conf.limit && l->sent == l->conf.limit) {
		l->phase = LIST_TAIL;
		return say_next(l);
	}
	if (l->form.type == FORM_PLAIN && !l->served->stored) {
		buf_add(&l->text, ",", l->sent++ ? 1 : 0);
		l->piece[1] = (struct piece){ l->item->data, l->item->len };
		return 0;
	}
	l->docs++;
	return form_list_item(&l->form, l->served, l->item->data, l->item->len, !l->sent++,
			      &l->text);
}

static int begin_piece(struct list *l)
{
	bool meta_last = l->sel && l->conf.limit;
	int r = 0;

	bytes_unref(take_ptr(l->item));
	l->text.len = 0;
	switch (l->phase) {
	case LIST_HEAD:
		form_list_begin(&l->form, l->served, meta_last ? NULL : &l->meta, &l->text);
		l->phase = l->n ? LIST_ITEMS : LIST_TAIL;
		break;
	case LIST_ITEMS:
		r = begin_item(l);
		break;
	case LIST_TAIL:
		form_list_end(meta_last ? &l->meta : NULL, &l->text);
		l->phase = LIST_DONE;
		break;
	case LIST_DONE:
		break;
	}
	l->piece[0] = (struct piece){ l->text.data, l->text.len };
	return l->text.failed ? -ENOMEM : r;
}

static size_t copy_piece(struct list *l, char *buf, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(l->piece); i++) {
		struct piece *p = &l->piece[i];
		size_t len = p->left < max - n ? p->left : max - n;

		if (!len)
			continue;
		memcpy(buf + n, p->at, len);
		p->at += len;
		p->left -= len;
		n += len;
	}
	return n;
}

/* Between two items a blank says nothing, and that there is more to come. */
static ssize_t list_read(void *arg, char *buf, size_t max)
{
	struct list *l = arg;
	size_t n = 0;

	l->docs = 0;
	for (;;) {
		n += copy_piece(l, buf + n, max - n);
		if (n == max || l->phase == LIST_DONE || l->docs >= DOCS_PER_PIECE)
			break;
		if (begin_piece(l) < 0)
			return -ENOMEM;
	}
	if (!n && l->phase != LIST_DONE)
		buf[n++] = '\n';
	return (ssize_t)n;
}

static void list_close(void *arg)
{
	list_free(arg);
}

/* 0: only its sending tells. */
static uint64_t size_of(struct list *l)
{
	uint64_t size;

	if (l->sel || l->form.type != FORM_PLAIN || l->served->stored)
		return 0;
	form_list_begin(&l->form, l->served, &l->meta, &l->text);
	form_list_end(NULL, &l->text);
	size = l->text.failed ? 0 : l->text.len + l->bytes + (l->n ? l->n - 1 : 0);
	l->text.len = 0;
	return size;
}

static int begin(struct list *l, const struct snapshot *snapshot)
{
	int r = snapshot_each(snapshot, &l->conf.after, collect, l);

	if (r < 0)
		return r;
	l->meta.rev = l->last.rev = l->conf.after.rev;
	l->meta.remaining = selector_is_all(l->conf.sel) ? (int64_t)l->left : -1;
	return l->left ? say_next(l) : 0;
}

int list_answer(struct call *c, const struct list_conf *conf, const struct snapshot *snapshot)
{
	struct http_body body = { .read = list_read, .close = list_close };
	_cleanup_(list_freep) struct list *l = calloc(1, sizeof(*l));

	if (!l)
		return refuse_memory(c);
	l->rest = c->rest;
	l->arena = request_arena(c->req);
	l->form = c->form;
	l->served = c->served;
	l->conf = *conf;
	l->sel = selector_needs_doc(conf->sel) ? conf->sel : NULL;
	if (begin(l, snapshot) < 0)
		return refuse_memory(c);
	body.size = size_of(l);
	body.held = l->bytes + l->cap * sizeof(*l->items);
	if (body.held >= LARGE_BYTES && !request_may_hold(c->req, body.held))
		return refuse_held(c);
	metric_time(METRIC_TIME_REQUEST, now_monotonic_us() - request_started_us(c->req));
	if (http_produce(c->req, "application/json", &body, l) < 0)
		return refuse_memory(c);
	take_ptr(l);
	return 0;
}
