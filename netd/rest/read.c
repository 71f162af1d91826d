/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read.c - get and list
 *
 * Room: rest.  What is returned are the stored bytes; a list joins them.
 * May include: http, codec, state, netd/base.
 */
#include "internal.h"
#include <inttypes.h>

int verb_get(struct call *c)
{
	struct object *obj = state_get(c->rest->state, c->kind, c->ns, c->name);

	if (!obj)
		return refuse_object(c, 404, "NotFound");
	reply_json(c->req, 200, bytes_ref(obj->bytes));
	return 0;
}

struct listing {
	struct buf out;
	const struct selector *sel;
	size_t n;
};

static int list_one(void *arg, struct object *obj)
{
	struct listing *l = arg;

	if (!selector_matches(l->sel, obj->meta->ns, obj->meta->name))
		return 0;
	if (l->n++)
		buf_add(&l->out, ",", 1);
	buf_add(&l->out, obj->bytes->data, obj->bytes->len);
	return l->out.failed ? -ENOMEM : 0;
}

/* resourceVersion and resourceVersionMatch (API-CONTRACT 5): what is served is the present. */
static int check_revision(struct call *c)
{
	uint64_t now = state_revision(c->rest->state), asked;
	const char *match = request_query(c->req, "resourceVersionMatch");
	const char *text;
	int r = parse_revision(c, "resourceVersion", &text, &asked);

	if (r < 0)
		return r;
	if (match && *match && !text)
		return refuse(c, 422, "Invalid",
			      "resourceVersionMatch: Forbidden: needs resourceVersion");
	if (asked > now) {
		c->refusal.retry_after_s = 1;
		causes_add(&c->refusal.causes, CAUSE_REVISION_TOO_LARGE, "", NULL,
			   "Too large resource version");
		return refuse(c, 504, "Timeout", "Too large resource version: %" PRIu64
			      ", current: %" PRIu64, asked, now);
	}
	if (match && strcmp(match, "Exact") == 0 && asked != now)
		return refuse(c, 410, "Expired", "The resourceVersion for the provided list is too "
			      "old.");
	return 0;
}

int verb_list(struct call *c)
{
	struct listing l = { 0 };
	struct selector sel;
	struct bytes *body;
	char api[64];
	int r;

	if (request_query_bool(c->req, "watch"))
		return verb_watch(c);
	r = parse_selector(c, request_arena(c->req), &sel);
	if (r == 0)
		r = check_revision(c);
	if (r < 0)
		return r;
	l.sel = &sel;
	buf_printf(&l.out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":"
		   "{\"resourceVersion\":\"%" PRIu64 "\"},\"items\":[", c->kind->name,
		   kind_api_version(c->kind, api), state_revision(c->rest->state));
	r = state_each(c->rest->state, c->kind, c->ns, list_one, &l);
	buf_str(&l.out, "]}");
	body = r == 0 ? buf_bytes(&l.out) : NULL;
	buf_fini(&l.out);
	if (!body)
		return refuse_memory(c);
	reply_json(c->req, 200, body);
	return 0;
}
