/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - one open watch: first what is there, then what happens
 *
 * Room: rest.  Source: API-CONTRACT 8.  A watch is asked for more when its socket takes more, so a
 * slow reader holds nothing but a cursor.  The bytes of an event are shared, never copied; a
 * line is sent in three parts, the middle one being the stored object.
 * May include: http, codec, state, watch, metrics, netd/base.
 */
#include "internal.h"
#include <netd/base/limits.h>
#include <netd/metrics/metrics.h>
#include <inttypes.h>
#include <stdio.h>

#define BOOKMARK_S 60

struct watch {
	struct rest *rest;
	const struct kind *kind, *served;
	struct http_stream *stream;
	struct hub_sub *sub;
	struct loop_timer *timer;
	struct arena arena;         /* of the selector and the namespace */
	struct selector sel;
	const char *ns;
	struct form form;
	bool columns;               /* a Table's columns were sent */
	uint64_t ends_us, bookmark_us, initial_us;
	bool bookmarks, initial_end, ending, over;
	/* what was there at the start */
	struct object **initial;
	size_t ninitial, initial_cap, next;
	uint64_t from;
	/* the line under way */
	char head[40];
	struct bytes *object;
	size_t sent;
};

static void watch_free(void *arg)
{
	struct watch *w = arg;

	while (w->next < w->ninitial)
		object_unref(w->initial[w->next++]);
	free(w->initial);
	hub_unsubscribe(w->sub);
	loop_timer_free(w->timer);
	bytes_unref(w->object);
	arena_fini(&w->arena);
	w->rest->nwatches--;
	metric_set(METRIC_WATCHES, (int64_t)w->rest->nwatches);
	free(w);
}

/* Begins a line; takes the reference. */
static void line(struct watch *w, const char *type, struct bytes *object)
{
	snprintf(w->head, sizeof(w->head), "{\"type\":\"%s\",\"object\":", type);
	w->object = object;
	w->sent = 0;
}

/* An event's object in the form that was asked for. */
static void object_line(struct watch *w, const char *type, struct bytes *object)
{
	struct bytes *formed = form_object(&w->form, w->served, object, !w->columns);

	w->columns = true;
	if (formed)
		line(w, type, formed);
	else
		w->over = true;
}

static void error_line(struct watch *w, unsigned code, const char *reason, const char *message)
{
	struct status st = { .code = code, .reason = reason, .message = message };
	struct bytes *body = status_bytes(&st);

	w->over = true;
	if (body)
		line(w, "ERROR", body);
}

static void bookmark_line(struct watch *w, uint64_t rev, bool initial_end)
{
	struct bytes *body = form_bookmark(&w->form, w->served, rev, initial_end);

	if (body)
		line(w, "BOOKMARK", body);
}

/* Copies what fits of the line; true when all of it is out. */
static bool copy_line(struct watch *w, char *buf, size_t max, size_t *n)
{
	const struct { const char *data; size_t len; } parts[] = {
		{ w->head, strlen(w->head) },
		{ w->object->data, w->object->len },
		{ "}\n", 2 },
	};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); at += parts[i++].len) {
		size_t skip = w->sent > at ? w->sent - at : 0, len;

		if (skip >= parts[i].len)
			continue;
		len = parts[i].len - skip;
		if (len > max - *n)
			len = max - *n;
		memcpy(buf + *n, parts[i].data + skip, len);
		*n += len;
		w->sent += len;
	}
	return w->sent == at;
}

static bool next_initial(struct watch *w)
{
	struct object *obj;

	if (w->next < w->ninitial) {
		obj = w->initial[w->next++];
		object_line(w, "ADDED", obj->bytes);
		object_unref(obj);
		return true;
	}
	if (!w->initial_end)
		return false;
	w->initial_end = false;
	bookmark_line(w, w->from, true);
	return w->object != NULL;
}

/* The object as it was, with the version of the event by which it ceased to match. */
static struct bytes *as_it_was(const struct hub_event *ev)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160], rev[24];

	snprintf(rev, sizeof(rev), "%" PRIu64, ev->rev);
	if (doc_parse(ev->prev->data, ev->prev->len, &doc, why) < 0 ||
	    doc_set_str(doc, "metadata.resourceVersion", rev) < 0)
		return NULL;
	return doc_bytes(doc);
}

/* One that ceases to match is gone, to who watches what matches. */
static int ceased_line(struct watch *w, const struct hub_event *ev)
{
	struct bytes *was = as_it_was(ev);

	if (!was)
		return -ENOMEM;
	object_line(w, "DELETED", was);
	bytes_unref(was);
	return 0;
}

/* What the event is to this watch: 1, a line was begun; 0, nothing; or negative errno. */
static int show_event(struct watch *w, const struct hub_event *ev)
{
	struct bytes *prev = ev->prev ? ev->prev : ev->bytes;
	int is = selects(w->rest, &w->sel, ev->ns, ev->name, ev->bytes), was = is;

	if (ev->type != HUB_ADDED && selector_needs_object(&w->sel))
		was = selects(w->rest, &w->sel, ev->ns, ev->name, prev);
	if (is < 0 || was < 0)
		return is < 0 ? is : was;
	if (ev->type == HUB_DELETED && was)
		object_line(w, "DELETED", ev->bytes);
	else if (ev->type != HUB_DELETED && is)
		object_line(w, ev->type == HUB_MODIFIED && was ? "MODIFIED" : "ADDED", ev->bytes);
	else if (ev->type == HUB_MODIFIED && was)
		return ceased_line(w, ev) < 0 ? -ENOMEM : 1;
	else
		return 0;
	return 1;
}

/* Out of memory ends the watch: its client comes back and loses nothing. */
static bool next_event(struct watch *w)
{
	struct hub_event ev;
	int r, shown = 0;

	do {
		r = hub_next(w->sub, &ev);
		if (r > 0)
			shown = show_event(w, &ev);
	} while (r > 0 && !shown);
	if (r == -ESTALE)
		error_line(w, 410, "Expired", "too old resource version: list again");
	w->over |= r < 0 || shown < 0;
	return w->object != NULL;
}

static bool next_bookmark(struct watch *w)
{
	uint64_t now = now_monotonic_us();

	if (!w->bookmarks || (now < w->bookmark_us && !w->ending))
		return false;
	w->bookmark_us = now + BOOKMARK_S * 1000000ull;
	if (w->ending)
		w->bookmarks = false;
	bookmark_line(w, hub_position(w->sub), false);
	return w->object != NULL;
}

static bool next_line(struct watch *w)
{
	if (w->over)
		return false;
	if (next_initial(w) || (w->sub && next_event(w)) || (w->sub && next_bookmark(w)))
		return true;
	w->over |= w->ending;
	return false;
}

static ssize_t watch_read(void *arg, char *buf, size_t max)
{
	struct watch *w = arg;
	size_t n = 0;

	while (n < max && (w->object || next_line(w))) {
		if (!copy_line(w, buf, max, &n))
			continue;
		bytes_unref(w->object);
		w->object = NULL;
	}
	if (n)
		return (ssize_t)n;
	return w->over ? -1 : 0;
}

/* The server stops: the line under way is the last. */
static void watch_end(void *arg)
{
	struct watch *w = arg;

	w->over = true;
}

static void watch_wake(void *arg)
{
	struct watch *w = arg;

	if (w->stream)
		http_stream_wake(w->stream);
}

static void arm(struct watch *w)
{
	uint64_t now = now_monotonic_us(), at = w->ends_us;

	if (w->bookmarks && w->bookmark_us < at)
		at = w->bookmark_us;
	if (w->next < w->ninitial && w->initial_us < at)
		at = w->initial_us;
	loop_timer_set(w->timer, at > now ? (int64_t)((at - now + 999) / 1000) : 0);
}

static void watch_timer(void *arg)
{
	struct watch *w = arg;

	uint64_t now = now_monotonic_us();

	if (w->next < w->ninitial && now >= w->initial_us) {
		http_stream_cut(w->stream);     /* it holds objects as they were long ago */
		return;
	}
	if (now >= w->ends_us)
		w->ending = true;
	else if (w->bookmarks && w->bookmark_us <= now)
		loop_timer_set(w->timer, 1000);
	else
		arm(w);
	watch_wake(w);
}

static int keep_initial(void *arg, struct object *obj)
{
	struct watch *w = arg;

	int r = selects_object(w->rest, &w->sel, obj);

	if (r <= 0)
		return r;
	if (w->ninitial == w->initial_cap) {
		size_t cap = w->initial_cap * 2 + 16;
		struct object **p = realloc(w->initial, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		w->initial = p;
		w->initial_cap = cap;
	}
	w->initial[w->ninitial++] = object_ref(obj);
	return 0;
}

/* Where it begins: everything there is, or behind a revision. */
static int begin(struct call *c, struct watch *w)
{
	bool send = request_query_bool(c->req, "sendInitialEvents");
	const char *match = request_query(c->req, "resourceVersionMatch");
	struct state *state = c->rest->state;
	const char *text;
	int r = parse_revision(c, "resourceVersion", &text, &w->from);

	if (r < 0)
		return r;
	if (send && (!match || strcmp(match, "NotOlderThan") != 0 || !w->bookmarks))
		return refuse(c, 422, "Invalid", "sendInitialEvents: Forbidden: needs "
			      "resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true");
	if (w->from > state_revision(state)) {
		error_line(w, 410, "Expired", "the resource version is from the future of this "
			   "server: list again");
		return 0;
	}
	if (send || !w->from) {
		w->from = state_revision(state);
		w->initial_end = send;
		r = state_each(state, w->kind, c->ns, keep_initial, w);
	}
	if (r == 0)
		r = hub_subscribe(state_hub(state), w->kind, w->ns, NULL, w->from, watch_wake, w,
				  &w->sub);
	if (r == -ESTALE) {
		error_line(w, 410, "Expired", "too old resource version: list again");
		return 0;
	}
	return r < 0 ? refuse_memory(c) : 0;
}

static int set_times(struct call *c, struct watch *w)
{
	uint64_t now = now_monotonic_us(), seconds;
	const char *text;
	uint16_t random = 0;
	int r = parse_revision(c, "timeoutSeconds", &text, &seconds);

	if (r < 0)
		return r;
	random_bytes(&random, sizeof(random));
	if (!seconds || seconds > 86400)
		seconds = 1800 + random % 1800;
	w->ends_us = now + seconds * 1000000;
	w->bookmark_us = now + BOOKMARK_S * 1000000ull;
	w->initial_us = now + LIMIT_REPLY_SECONDS * 1000000ull;
	r = loop_timer_new(c->rest->loop, watch_timer, w, &w->timer);
	if (r < 0)
		return refuse_memory(c);
	arm(w);
	return 0;
}

static int open_watch(struct call *c, struct watch *w)
{
	int r;

	w->bookmarks = request_query_bool(c->req, "allowWatchBookmarks");
	w->ns = arena_strdup(&w->arena, c->ns);
	if (c->ns && !w->ns)
		return refuse_memory(c);
	if (c->ns && !*c->ns)       /* cluster scope: the hub need not compare "" */
		w->ns = NULL;
	r = parse_selector(c, &w->arena, &w->sel);
	if (r == 0)
		r = begin(c, w);
	if (r == 0)
		r = set_times(c, w);
	if (r < 0)
		return r;
	w->stream = http_stream(c->req, "application/json", watch_read, watch_free, w);
	if (!w->stream)
		return refuse_memory(c);
	http_stream_on_end(w->stream, watch_end);
	return 0;
}

int verb_watch(struct call *c)
{
	struct watch *w;
	int r;

	if (!request_may_stream(c->req))
		return refuse_busy(c, "there are too many watches");
	w = calloc(1, sizeof(*w));
	if (!w)
		return refuse_memory(c);
	w->rest = c->rest;
	w->kind = c->kind;
	w->served = c->served;
	w->form = c->form;
	metric_set(METRIC_WATCHES, (int64_t)++c->rest->nwatches);
	r = open_watch(c, w);
	if (r < 0)
		watch_free(w);
	return r;
}
