/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read.c - get and list
 *
 * Room: rest.  What is returned are the stored bytes, or a form made of them; list.c joins them.
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

static int refuse_expired(struct call *c)
{
	const char *token = request_query(c->req, "continue");

	return refuse(c, 410, "Expired", token && *token
		      ? "The provided continue parameter is too old to display a consistent list "
		      "result. You must start a new list without the continue parameter."
		      : "The resourceVersion for the provided list is too old.");
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
	if (asked && state_lost(c->rest->state, asked))
		return refuse_expired(c);       /* what was seen then may be newer than this */
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

static int begin_list(struct call *c, struct list_conf *conf)
{
	const char *token = request_query(c->req, "continue"), *text;
	int r = parse_revision(c, "limit", &text, &conf->limit);

	if (r < 0)
		return r;
	if (token && *token)
		return parse_continue(c, token, &conf->after);
	return choose_revision(c, &conf->after.rev);
}

int verb_list(struct call *c)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct selector *sel = arena_alloc(request_arena(c->req), sizeof(*sel));
	struct list_conf conf = { .sel = sel };
	int r;

	if (request_query_bool(c->req, "watch"))
		return verb_watch(c);
	if (!sel)
		return refuse_memory(c);
	r = parse_selector(c, request_arena(c->req), sel);
	if (r == 0)
		r = begin_list(c, &conf);
	if (r < 0)
		return r;
	r = snapshot_open(c->rest->state, c->kind, c->ns, conf.after.rev, &snapshot);
	if (r == -ESTALE)
		return refuse_expired(c);
	return r < 0 ? refuse_memory(c) : list_answer(c, &conf, snapshot);
}
