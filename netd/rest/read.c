/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read.c - get and list
 *
 * Room: rest.  What is returned are the stored bytes, or a form made of them; a list joins them.
 * Source: API-CONTRACT 5, List.  May include: http, codec, state, netd/base.
 */
#include "read.h"
#include <inttypes.h>

int verb_get(struct call *c)
{
	struct object *obj = state_get(c->rest->state, c->kind, c->ns, c->name);
	struct bytes *body;

	if (!obj)
		return refuse_object(c, 404, "NotFound");
	if (c->form.type == FORM_PLAIN)
		etag_send(c, obj->rev);
	if (etag_unchanged(c, obj)) {
		reply_json(c->req, 304, NULL);
		return 0;
	}
	body = form_object(&c->form, c->served, obj->bytes, true);
	if (!body)
		return refuse_memory(c);
	reply_json(c->req, 200, body);
	return 0;
}

struct listing {
	struct call *c;
	const struct selector *sel;
	uint64_t limit;             /* 0: none */
	struct page after;          /* name NULL: from the beginning; rev: of the snapshot */
	const char *ns, *name;      /* the last one in it */
	size_t n, left;             /* in it, and behind the limit */
	struct buf items;
};

static bool is_behind(const struct page *page, const char *ns, const char *name)
{
	int cmp = page->name ? strcmp(ns, page->ns) : 1;

	return cmp ? cmp > 0 : strcmp(name, page->name) > 0;
}

static int list_one(void *arg, const char *ns, const char *name, struct bytes *bytes)
{
	struct listing *l = arg;

	int r = is_behind(&l->after, ns, name)
		? selects(l->c->rest, l->sel, ns, name, bytes) : 0;

	if (r <= 0)
		return r;
	if (l->limit && l->n == l->limit) {
		l->left++;
		return 0;
	}
	l->ns = ns;
	l->name = name;
	return form_list_item(&l->c->form, l->c->served, bytes->data, bytes->len, !l->n++, &l->items);
}

static int forbid_match(struct call *c, const char *why)
{
	causes_add(&c->refusal.causes, CAUSE_FORBIDDEN, "resourceVersionMatch", NULL, "%s", why);
	return refuse(c, 422, "Invalid", "resourceVersionMatch: Forbidden: %s", why);
}

/* resourceVersionMatch; @rev as text, NULL: none is given */
static int check_revision_match(struct call *c, const char *rev, bool *exact)
{
	const char *match = request_query(c->req, "resourceVersionMatch");

	*exact = match && strcmp(match, "Exact") == 0;
	if (!match || !*match)
		return 0;
	if (!rev)
		return forbid_match(c, "it needs resourceVersion");
	if (*exact && strcmp(rev, "0") == 0)
		return forbid_match(c, "Exact needs a resourceVersion that is not 0");
	if (*exact || strcmp(match, "NotOlderThan") == 0)
		return 0;
	causes_add(&c->refusal.causes, CAUSE_NOT_SUPPORTED, "resourceVersionMatch", match,
		   "supported values: \"Exact\", \"NotOlderThan\"");
	return refuse(c, 422, "Invalid", "resourceVersionMatch: Unsupported value: \"%.80s\": "
		      "supported values: \"Exact\", \"NotOlderThan\"", match);
}

/* Which snapshot is asked for: the present, unless exactly another one is. */
static int choose_revision(struct call *c, uint64_t *ret)
{
	uint64_t now = state_revision(c->rest->state), asked;
	const char *text;
	bool exact = false;
	int r = parse_revision(c, "resourceVersion", &text, &asked);

	if (r == 0)
		r = check_revision_match(c, text, &exact);
	if (r < 0)
		return r;
	if (asked > now) {
		c->refusal.retry_after_s = 1;
		causes_add(&c->refusal.causes, CAUSE_REVISION_TOO_LARGE, "", NULL,
			   "Too large resource version");
		return refuse(c, 504, "Timeout", "Too large resource version: %" PRIu64
			      ", current: %" PRIu64, asked, now);
	}
	*ret = exact ? asked : now;
	return 0;
}

static int parse_continue(struct call *c, const char *token, struct page *ret)
{
	const char *rev = request_query(c->req, "resourceVersion");
	const char *match = request_query(c->req, "resourceVersionMatch");
	int r;

	if (match && *match)
		return forbid_match(c, "it may not be given with continue");
	if (rev && *rev && strcmp(rev, "0") != 0)
		return refuse(c, 400, "BadRequest",
			      "specifying resource version is not allowed when using continue");
	r = page_parse(token, request_arena(c->req), ret);
	if (r == -ENOMEM)
		return refuse_memory(c);
	if (r < 0 || (c->ns && strcmp(c->ns, ret->ns) != 0))
		return refuse(c, 400, "BadRequest", "continue key is not valid");
	return 0;
}

static int begin_list(struct call *c, struct listing *l)
{
	const char *token = request_query(c->req, "continue"), *text;
	int r = parse_revision(c, "limit", &text, &l->limit);

	if (r < 0)
		return r;
	if (token && *token)
		return parse_continue(c, token, &l->after);
	return choose_revision(c, &l->after.rev);
}

static int refuse_expired(struct call *c)
{
	const char *token = request_query(c->req, "continue");

	return refuse(c, 410, "Expired", token && *token
		      ? "The provided continue parameter is too old to display a consistent list "
		      "result. You must start a new list without the continue parameter."
		      : "The resourceVersion for the provided list is too old.");
}

static void add_head(struct listing *l, const char *next, struct buf *out)
{
	const struct form_list head = {
		.rev = l->after.rev, .next = next,
		.remaining = !selector_is_all(l->sel) ? -1 : (int64_t)l->left,
	};

	form_list_begin(&l->c->form, l->c->served, &head, out);
}

/* The head of a page is written when it is known whether there is more. */
static struct bytes *join_page(struct listing *l)
{
	const struct page last = { .rev = l->after.rev, .ns = l->ns, .name = l->name };
	const char *next = l->left ? page_token(&last, request_arena(l->c->req)) : NULL;
	struct buf out = { .failed = l->items.failed || (l->left && !next) };
	struct bytes *body;

	add_head(l, next, &out);
	buf_add(&out, l->items.data, l->items.len);
	form_list_end(&out);
	body = buf_bytes(&out);
	buf_fini(&out);
	return body;
}

static struct bytes *make_list(struct listing *l, const struct snapshot *snapshot)
{
	if (!l->limit)
		add_head(l, NULL, &l->items);
	if (snapshot_each(snapshot, list_one, l) < 0)
		return NULL;
	if (l->limit)
		return join_page(l);
	form_list_end(&l->items);
	return buf_bytes(&l->items);
}

int verb_list(struct call *c)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct selector sel;
	struct listing l = { .c = c, .sel = &sel };
	struct bytes *body;
	int r;

	if (request_query_bool(c->req, "watch"))
		return verb_watch(c);
	r = parse_selector(c, request_arena(c->req), &sel);
	if (r == 0)
		r = begin_list(c, &l);
	if (r < 0)
		return r;
	r = snapshot_open(c->rest->state, c->kind, c->ns, l.after.rev, &snapshot);
	if (r == -ESTALE)
		return refuse_expired(c);
	body = r == 0 ? make_list(&l, snapshot) : NULL;
	buf_fini(&l.items);
	if (!body)
		return refuse_memory(c);
	reply_json(c->req, 200, body);
	return 0;
}
