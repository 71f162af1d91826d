/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.c - Events: what was done to an object, and why it failed
 *
 * Room: control.  The name of an Event is made from what it says, so the same thing said again
 * finds the Event there is and counts it up, also after a restart.  They are gathered for 100 ms
 * and written softly, in one transaction; the oldest go when there are too many, and the old ones.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <stdio.h>

#define FLUSH_MS 100
#define TRIM_MS  60000
#define RETRY_MS 1000

struct pending_event {
	struct arena arena;
	const char *ns, *name;      /* of the Event */
	const char *about_kind, *about_api, *about_ns, *about_name, *about_uid;
	uint64_t about_rev;
	const char *type, *reason, *message;
	int64_t first, last, count;
};

static void pending_free(struct pending_event *p)
{
	struct arena arena = p->arena;  /* the struct lives in it */

	arena_fini(&arena);
}

void events_free(struct control *control)
{
	struct pending_event *p;
	size_t pos = 0;

	while ((p = map_next(&control->pending, &pos)))
		pending_free(p);
	map_fini(&control->pending);
}

/* FNV-1a, 64 bits: names the same thing the same in every run. */
static uint64_t mix(uint64_t h, const char *s)
{
	do {
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	} while (*s++);
	return h;
}

static void event_name(const struct object *about, const char *type, const char *reason,
		       const char *message, char buf[256])
{
	uint64_t h = mix(mix(mix(mix(0xcbf29ce484222325ull, about->meta->uid), type), reason),
			 message);

	snprintf(buf, 256, "%.230s.%016llx", about->meta->name, (unsigned long long)h);
}

static struct pending_event *pending_new(const struct object *about, const char *name,
					 const char *type, const char *reason, const char *message)
{
	struct arena arena = { 0 };
	struct pending_event *p = arena_alloc(&arena, sizeof(*p));
	char api[64];

	if (!p) {
		arena_fini(&arena);
		return NULL;
	}
	p->ns = arena_strdup(&arena, *about->meta->ns ? about->meta->ns : "default");
	p->name = arena_strdup(&arena, name);
	p->about_kind = about->kind->name;
	p->about_api = arena_strdup(&arena, kind_api_version(about->kind, api));
	p->about_ns = arena_strdup(&arena, about->meta->ns);
	p->about_name = arena_strdup(&arena, about->meta->name);
	/* kubelet's way, and what kubectl describe of a Node asks for */
	p->about_uid = arena_strdup(&arena, about->kind->id == KIND_NODE ? about->meta->name
									 : about->meta->uid);
	p->about_rev = about->rev;
	p->type = arena_strdup(&arena, type);
	p->reason = arena_strdup(&arena, reason);
	p->message = arena_strdup(&arena, message);
	p->first = now_realtime_s();
	p->arena = arena;
	if (p->ns && p->name && p->about_api && p->about_ns && p->about_name && p->about_uid &&
	    p->type && p->reason && p->message)
		return p;
	arena_fini(&arena);
	return NULL;
}

void control_event(struct control *control, const struct object *about, const char *type,
		   const char *reason, const char *fmt, ...)
{
	struct pending_event *p;
	char message[1024], name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	event_name(about, type, reason, message, name);
	p = map_get(&control->pending, name);
	if (!p && control->pending.n < LIMIT_EVENT_OBJECTS)
		p = pending_new(about, name, type, reason, message);
	else if (!p)
		control->dropped++;
	if (!p)
		return;
	p->last = now_realtime_s();
	if (!p->count++ && map_put(&control->pending, p->name, p) < 0) {
		pending_free(p);
		return;
	}
	if (control->pending.n == 1 && p->count == 1)
		loop_timer_set(control->event_timer, FLUSH_MS);
}

static int set_about(struct doc *doc, const struct pending_event *p)
{
	char rev[24];
	struct { const char *path, *value; } rows[] = {
		{ "involvedObject.kind", p->about_kind },
		{ "involvedObject.namespace", p->about_ns },
		{ "involvedObject.name", p->about_name },
		{ "involvedObject.uid", p->about_uid },
		{ "involvedObject.apiVersion", p->about_api },
		{ "involvedObject.resourceVersion", rev },
		{ "reason", p->reason },
		{ "message", p->message },
		{ "type", p->type },
		{ "source.component", "netd" },
		{ "reportingComponent", "netd" },
	};
	int r = 0;

	snprintf(rev, sizeof(rev), "%llu", (unsigned long long)p->about_rev);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
		if (*rows[i].value)
			r = doc_set_str(doc, rows[i].path, rows[i].value);
	return r;
}

static int write_event(struct control *control, struct txn *txn, const struct pending_event *p)
{
	const struct kind *kind = &kinds[KIND_EVENT];
	const char *node = state_config(control->state)->node_name;
	struct object *old = state_accepted(control->state, kind, p->ns, p->name), *obj;
	_cleanup_(doc_freep) struct doc *doc = old ? object_doc(old)
						   : new_object(kind, p->ns, p->name);
	const struct object *ns = state_accepted(control->state, &kinds[KIND_NAMESPACE], "", p->ns);
	char text[24];
	int r;

	if (!ns || (ns->namespace->terminating && !old))
		return 0;       /* what is said of the content of a namespace ends with it */
	r = doc ? set_about(doc, p) : -ENOMEM;
	time_format(p->first, text);
	if (r == 0 && !old)
		r = doc_set_str(doc, "firstTimestamp", text);
	time_format(p->last, text);
	if (r == 0)
		r = doc_set_str(doc, "lastTimestamp", text);
	if (r == 0)
		r = doc_set_int(doc, "count", doc_int(doc, "count", 0) + p->count);
	if (r == 0)
		r = doc_set_str(doc, "source.host", node);
	if (r == 0)
		r = doc_set_str(doc, "reportingInstance", node);
	return r < 0 ? r : txn_put(txn, kind, doc, old, &obj);
}

struct oldest {
	struct object *obj;
	int64_t before, after;      /* what is older goes in any case, and what the clock was set back from */
	uint64_t rev;               /* and what was said before this */
	size_t left;
	struct txn *txn;
	size_t removed;
};

static int trim_old(void *arg, struct object *obj)
{
	struct oldest *o = arg;
	int64_t at = obj->event->last ? obj->event->last : obj->meta->created;

	o->left++;
	if ((at >= o->before && at <= o->after && obj->rev > o->rev) || o->removed >= LIMIT_BATCH_WRITES / 2)
		return 0;
	o->left--;
	o->removed++;
	return txn_delete(o->txn, obj, NULL);
}

static int collect_revs(void *arg, struct object *obj)
{
	uint64_t **next = arg;

	*(*next)++ = obj->rev;
	return 0;
}

static int rev_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The revision up to which they go, so that few enough are left: their times may go back. */
static uint64_t cut_off(struct control *control, size_t n)
{
	uint64_t *revs = n > LIMIT_EVENT_OBJECTS ? calloc(n, sizeof(*revs)) : NULL, *next = revs;
	uint64_t rev = 0;

	if (!revs)
		return 0;
	state_each_accepted(control->state, &kinds[KIND_EVENT], NULL, collect_revs, &next);
	qsort(revs, (size_t)(next - revs), sizeof(*revs), rev_cmp);
	if ((size_t)(next - revs) > LIMIT_EVENT_OBJECTS)
		rev = revs[(size_t)(next - revs) - LIMIT_EVENT_OBJECTS - 1];
	free(revs);
	return rev;
}

static size_t trim(struct control *control, struct txn *txn)
{
	int64_t now = now_realtime_s();
	struct oldest o = {
		.txn = txn, .before = now - LIMIT_EVENT_SECONDS, .after = now + LIMIT_EVENT_SECONDS,
		.rev = cut_off(control, state_count(control->state, &kinds[KIND_EVENT])),
	};

	state_each_accepted(control->state, &kinds[KIND_EVENT], NULL, trim_old, &o);
	return o.left + control->pending.n;
}

void events_flush(void *arg)
{
	struct control *control = arg;
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	struct pending_event *p;
	const char *words;
	size_t pos = 0;
	int r;

	if (state_health(control->state, &words) < 0) {
		loop_timer_set(control->event_timer, RETRY_MS);     /* they wait with us */
		return;
	}
	r = txn_new(control->state, &txn);
	if (control->dropped)
		log_event(LOG_LEVEL_WARNING, "events_dropped", "count=%zu", control->dropped);
	control->dropped = 0;
	while (r == 0 && (p = map_next(&control->pending, &pos)))
		r = write_event(control, txn, p);
	events_free(control);
	if (r < 0) {
		log_event(LOG_LEVEL_ERROR, "events_lost", "err=%s", strerror(-r));
		return;
	}
	if (state_chosen(control->state, "events") && trim(control, txn))
		loop_timer_set(control->event_timer, TRIM_MS);
	control_submit(control, take_ptr(txn), true);
}
