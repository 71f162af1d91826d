/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hub.c - revisions to subscribers
 *
 * Room: a ring of records and a list of cursors; no sockets, no JSON, no store.  A cursor is a
 * revision: all up to it was delivered or did not match.  While a subscriber has nothing to read
 * its cursor goes along with what does not match, so that silence never makes it fall off.
 * A cursor that is older than the ring reads batches of history, up to the last revision that was
 * published, and is then inside the ring again.  May include: netd/base, libc.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/watch/hub.h>

#define BATCH_EVENTS    128
#define BATCH_BYTES     (64 * 1024)     /* what one subscriber holds of the history */
#define BATCH_FULL      (-ENOBUFS)

struct record {
	unsigned refs;
	struct record *next;        /* in a subscriber's batch */
	struct hub_event ev;
	struct hub_memo memo;
	char text[];                /* ns, name */
};

struct hub {
	struct record *ring[LIMIT_RING_EVENTS];
	uint64_t end;               /* number of the next record; its place is the remainder */
	uint64_t base;              /* the ring has all after this revision ... */
	uint64_t rev;               /* ... and up to this one */
	hub_history history;
	void *arg;
	struct hub_sub *subs, *walk;        /* @walk: whose turn is next while publishing */
};

struct hub_sub {
	struct hub *hub;
	struct hub_sub *next, **link;
	const void *kind;
	char *ns, *name;
	void (*wake)(void *arg);
	bool (*wanted)(void *arg, const struct hub_event *ev);
	void *arg;
	uint64_t pos;
	bool drained;               /* hub_next() said 0, and nothing that matches came since */
	bool woken;
	struct record *current;     /* lent out */
	struct record *batch, **batch_last;
	uint64_t batch_end;         /* the cursor once the batch is read */
	size_t batch_bytes;
};

static struct record *record_new(const struct hub_event *ev)
{
	size_t ns = strlen(ev->ns) + 1, name = strlen(ev->name) + 1;
	struct record *r = malloc(sizeof(*r) + ns + name);

	if (!r)
		return NULL;
	r->refs = 1;
	r->next = NULL;
	r->ev = *ev;
	r->ev.ns = memcpy(r->text, ev->ns, ns);
	r->ev.name = memcpy(r->text + ns, ev->name, name);
	r->memo = (struct hub_memo){ 0 };
	r->ev.memo = &r->memo;
	bytes_ref(ev->bytes);
	bytes_ref(ev->prev);
	return r;
}

static void record_unref(struct record *r)
{
	if (!r || --r->refs)
		return;
	bytes_unref(r->ev.bytes);
	bytes_unref(r->ev.prev);
	if (r->memo.free)
		r->memo.free(r->memo.made);
	free(r);
}

static uint64_t first_number(const struct hub *hub)
{
	return hub->end > LIMIT_RING_EVENTS ? hub->end - LIMIT_RING_EVENTS : 0;
}

static struct record *at(const struct hub *hub, uint64_t number)
{
	return hub->ring[number % LIMIT_RING_EVENTS];
}

/* The number of the first record behind revision @rev, by halving. */
static uint64_t number_after(const struct hub *hub, uint64_t rev)
{
	uint64_t low = first_number(hub), high = hub->end;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (at(hub, mid)->ev.rev <= rev)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int hub_new(struct hub **ret, uint64_t rev, hub_history history, void *arg)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return -ENOMEM;
	hub->base = hub->rev = rev;
	hub->history = history;
	hub->arg = arg;
	*ret = hub;
	return 0;
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	for (uint64_t i = first_number(hub); i < hub->end; i++)
		record_unref(at(hub, i));
	free(hub);
}

static bool matches_key(const struct hub_sub *sub, const struct hub_event *ev)
{
	return ev->kind == sub->kind && (!sub->ns || strcmp(sub->ns, ev->ns) == 0) &&
	       (!sub->name || strcmp(sub->name, ev->name) == 0);
}

static bool matches(const struct hub_sub *sub, const struct hub_event *ev)
{
	return matches_key(sub, ev) && (!sub->wanted || sub->wanted(sub->arg, ev));
}

static void notice(struct hub_sub *sub, const struct hub_event *ev)
{
	if (!matches(sub, ev)) {
		if (sub->drained && sub->pos < ev->rev)
			sub->pos = ev->rev;
		return;
	}
	sub->drained = false;
	if (sub->woken)
		return;
	sub->woken = true;
	sub->wake(sub->arg);
}

int hub_publish(struct hub *hub, const struct hub_event *ev)
{
	struct record **slot = &hub->ring[hub->end % LIMIT_RING_EVENTS], *r = record_new(ev);

	if (!r)
		return -ENOMEM;
	if (*slot)
		hub->base = (*slot)->ev.rev;
	record_unref(*slot);
	*slot = r;
	hub->end++;
	hub->rev = ev->rev;
	for (struct hub_sub *sub = hub->subs; sub; sub = hub->walk) {
		hub->walk = sub->next;      /* hub_unsubscribe() moves it on */
		notice(sub, &r->ev);
	}
	return 0;
}

uint64_t hub_revision(const struct hub *hub)
{
	return hub->rev;
}

int hub_subscribe(struct hub *hub, const void *kind, const char *ns, const char *name,
		  uint64_t from, void (*wake)(void *arg), void *arg, struct hub_sub **ret)
{
	struct hub_sub *sub = calloc(1, sizeof(*sub));

	if (!sub)
		return -ENOMEM;
	*sub = (struct hub_sub){ .hub = hub, .kind = kind, .wake = wake, .arg = arg, .pos = from,
				 .next = hub->subs, .link = &hub->subs };
	sub->ns = ns ? strdup(ns) : NULL;
	sub->name = name ? strdup(name) : NULL;
	if ((ns && !sub->ns) || (name && !sub->name)) {
		free(sub->ns);
		free(sub->name);
		free(sub);
		return -ENOMEM;
	}
	sub->batch_last = &sub->batch;
	if (sub->next)
		sub->next->link = &sub->next;
	hub->subs = sub;
	*ret = sub;
	return 0;
}

void hub_filter(struct hub_sub *sub, bool (*wanted)(void *arg, const struct hub_event *ev))
{
	sub->wanted = wanted;
}

static void drop_batch(struct hub_sub *sub)
{
	while (sub->batch) {
		struct record *next = sub->batch->next;

		record_unref(sub->batch);
		sub->batch = next;
	}
	sub->batch_last = &sub->batch;
}

void hub_unsubscribe(struct hub_sub *sub)
{
	if (!sub)
		return;
	if (sub->hub->walk == sub)
		sub->hub->walk = sub->next;
	*sub->link = sub->next;
	if (sub->next)
		sub->next->link = sub->link;
	drop_batch(sub);
	record_unref(sub->current);
	free(sub->ns);
	free(sub->name);
	free(sub);
}

/* What is committed but not published yet will come by the ring. */
static int collect(void *arg, const struct hub_event *ev)
{
	struct hub_sub *sub = arg;
	struct record *r;

	if (sub->batch_bytes >= BATCH_BYTES)
		return BATCH_FULL;
	if (ev->rev > sub->hub->rev) {
		sub->batch_end = sub->hub->rev;
		return 0;
	}
	if (!matches_key(sub, ev)) {
		sub->batch_end = ev->rev;
		return 0;
	}
	r = record_new(ev);
	if (!r)
		return -ENOMEM;
	sub->batch_end = ev->rev;
	if (!matches(sub, &r->ev)) {
		record_unref(r);
		return 0;
	}
	*sub->batch_last = r;
	sub->batch_last = &r->next;
	sub->batch_bytes += sizeof(*r) + ev->bytes->len + (ev->prev ? ev->prev->len : 0);
	return 0;
}

static int read_history(struct hub_sub *sub)
{
	struct hub *hub = sub->hub;
	int n;

	sub->batch_end = sub->pos;
	sub->batch_bytes = 0;
	n = hub->history(hub->arg, sub->kind, sub->pos, BATCH_EVENTS, collect, sub);
	if (n < 0 && n != BATCH_FULL) {
		drop_batch(sub);
		return n;
	}
	if (n >= 0 && n < BATCH_EVENTS)         /* that was all of it */
		sub->batch_end = hub->rev;
	if (!sub->batch)
		sub->pos = sub->batch_end;
	return 0;
}

static void lend(struct hub_sub *sub, struct record *r, struct hub_event *ev)
{
	sub->current = r;
	sub->pos = r->ev.rev;
	*ev = r->ev;
}

static bool next_of_batch(struct hub_sub *sub, struct hub_event *ev)
{
	struct record *r = sub->batch;

	if (!r)
		return false;
	sub->batch = r->next;
	lend(sub, r, ev);
	if (!sub->batch) {
		sub->batch_last = &sub->batch;
		sub->pos = sub->batch_end;
	}
	return true;
}

static bool next_of_ring(struct hub_sub *sub, struct hub_event *ev)
{
	struct hub *hub = sub->hub;

	for (uint64_t i = number_after(hub, sub->pos); i < hub->end; i++) {
		struct record *r = at(hub, i);

		sub->pos = r->ev.rev;
		if (!matches(sub, &r->ev))
			continue;
		r->refs++;
		lend(sub, r, ev);
		return true;
	}
	return false;
}

int hub_next(struct hub_sub *sub, struct hub_event *ev)
{
	int r;

	record_unref(take_ptr(sub->current));
	sub->woken = false;
	if (next_of_batch(sub, ev))
		return 1;
	while (sub->pos < sub->hub->base) {
		r = read_history(sub);
		if (r < 0)
			return r;
		if (next_of_batch(sub, ev))
			return 1;
		if (sub->wanted && sub->pos < sub->hub->base)
			return -EAGAIN;
	}
	if (next_of_ring(sub, ev))
		return 1;
	sub->drained = true;
	return 0;
}

uint64_t hub_position(const struct hub_sub *sub)
{
	return sub->pos;
}
