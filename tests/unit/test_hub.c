/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_hub.c - subscribers of netd/watch against a model: nothing missed, doubled or out of order
 */
#include "lib/testlib.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <netd/watch/hub.h>
#include <stdio.h>

#define EVENTS  6000
#define SUBS    8

static const char kinds[2];     /* addresses that stand for kinds */
static unsigned memos;          /* that are not freed */

/* The store's history as the hub is given it: @committed runs ahead of what was published. */
struct world {
	struct hub_event all[EVENTS];
	size_t committed, published, trimmed;
	unsigned reads;
	int fail;
	struct hub *hub;
};

struct reader {
	struct hub_sub *sub;
	const void *kind;
	const char *ns, *name;
	uint64_t pos;               /* the model's cursor */
	unsigned wakes, odd;        /* odd: only revisions that it divides */
	bool stale;
};

static const char *const spaces[] = { "default", "other" };
static const char *const names[] = { "a", "b", "c" };

static int history(void *arg, const void *kind, uint64_t after, unsigned max,
		   int (*each)(void *each_arg, const struct hub_event *ev), void *each_arg)
{
	struct world *w = arg;
	unsigned n = 0;

	w->reads++;
	if (w->fail)
		return w->fail;
	if (w->trimmed && after < w->all[w->trimmed - 1].rev)
		return -ESTALE;
	for (size_t i = w->trimmed; i < w->committed && n < max; i++) {
		int r;

		if (w->all[i].rev <= after || w->all[i].kind != kind)
			continue;
		r = each(each_arg, &w->all[i]);
		if (r < 0)
			return r;
		n++;
	}
	return (int)n;
}

#define LARGE (30 * 1024)       /* some are so large that few of them fill a batch */

static struct bytes *event_bytes(uint64_t rev)
{
	static char text[LARGE];

	memcpy(text, &rev, sizeof(rev));
	return bytes_new(text, rev % 32 ? sizeof(rev) : LARGE);
}

static void fill(struct world *w)
{
	unsigned seed = 3;
	uint64_t rev = 1000;

	for (size_t i = 0; i < EVENTS; i++) {
		rev += 1 + (uint64_t)rand_r(&seed) % 3;
		w->all[i] = (struct hub_event){
			.rev = rev, .type = (enum hub_type)(rand_r(&seed) % 3),
			.kind = &kinds[rand_r(&seed) % 4 == 0],
			.ns = spaces[rand_r(&seed) % 2], .name = names[rand_r(&seed) % 3],
			.bytes = event_bytes(rev),
		};
	}
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	fill(w);
	*state = w;
	return hub_new(&w->hub, 1000, history, w);
}

static int end(void **state)
{
	struct world *w = *state;

	hub_free(w->hub);
	assert_int_equal(memos, 0);
	for (size_t i = 0; i < EVENTS; i++) {
		assert_int_equal(w->all[i].bytes->refs, 1);     /* the hub let go of all */
		bytes_unref(w->all[i].bytes);
	}
	free(w);
	return 0;
}

static void publish(struct world *w, size_t n)
{
	for (; n && w->published < EVENTS; n--) {
		if (w->committed <= w->published)
			w->committed = w->published + 1;
		assert_int_equal(hub_publish(w->hub, &w->all[w->published++]), 0);
	}
}

static void on_wake(void *arg)
{
	((struct reader *)arg)->wakes++;
}

/* What is made of an event is there again when it is looked at the next time. */
static void count_free(void *made)
{
	(*(unsigned *)made)--;
}

static bool is_wanted(void *arg, const struct hub_event *ev)
{
	const struct reader *r = arg;

	assert_non_null(ev->memo);
	if (!ev->memo->made) {
		memos++;
		*ev->memo = (struct hub_memo){ &memos, count_free };
	}
	return ev->rev % r->odd == 0;
}

static void subscribe(struct world *w, struct reader *r, uint64_t from)
{
	r->pos = from;
	assert_int_equal(hub_subscribe(w->hub, r->kind, r->ns, r->name, from, on_wake, r, &r->sub),
			 0);
	if (r->odd)
		hub_filter(r->sub, is_wanted);
}

static const struct hub_event *expected(const struct world *w, const struct reader *r)
{
	for (size_t i = 0; i < w->published; i++) {
		const struct hub_event *e = &w->all[i];

		if (e->rev > r->pos && e->kind == r->kind &&
		    (!r->ns || strcmp(r->ns, e->ns) == 0) &&
		    (!r->name || strcmp(r->name, e->name) == 0) &&
		    (!r->odd || e->rev % r->odd == 0))
			return e;
	}
	return NULL;
}

/* One step of a reader, compared with the model.  False: nothing there. */
static bool step(struct world *w, struct reader *r)
{
	const struct hub_event *want = expected(w, r);
	struct hub_event ev;
	int got;

	do {
		got = hub_next(r->sub, &ev);
	} while (got == -EAGAIN && r->odd);
	r->wakes = 0;
	if (got == -ESTALE) {
		r->stale = true;
		return false;
	}
	assert_int_equal(got, want != NULL);
	if (!want) {
		assert_true(hub_position(r->sub) >= hub_revision(w->hub));
		return false;
	}
	assert_true(ev.rev == want->rev && ev.type == want->type && ev.kind == want->kind);
	assert_string_equal(ev.ns, want->ns);
	assert_string_equal(ev.name, want->name);
	assert_memory_equal(ev.bytes->data, &ev.rev, sizeof(ev.rev));
	assert_true(hub_position(r->sub) >= ev.rev);
	r->pos = ev.rev;
	return true;
}

/* Readers of different speed, some so slow that they fall off the ring and come back. */
static void interleavings(void **state)
{
	struct world *w = *state;
	struct reader readers[SUBS] = {
		{ .kind = &kinds[0] }, { .kind = &kinds[1] },
		{ .kind = &kinds[0], .ns = "default" }, { .kind = &kinds[1], .name = "b" },
		{ .kind = &kinds[0], .odd = 7 }, { .kind = &kinds[0], .ns = "other", .odd = 301 },
		{ .kind = &kinds[0], .ns = "other", .name = "c" }, { .kind = &kinds[0] },
	};
	unsigned seed = 5;

	for (size_t i = 0; i < SUBS; i++)
		subscribe(w, &readers[i], 1000);
	while (w->published < EVENTS) {
		size_t i = (size_t)rand_r(&seed) % SUBS;

		publish(w, (size_t)rand_r(&seed) % 40);
		if (rand_r(&seed) % 3 == 0 && w->committed < EVENTS)
			w->committed++;     /* committed, not published yet */
		if (i == SUBS - 1 && rand_r(&seed) % 8)
			continue;           /* the slow one */
		for (int n = rand_r(&seed) % 200; n > 0 && step(w, &readers[i]); n--)
			;
	}
	for (size_t i = 0; i < SUBS; i++) {
		while (step(w, &readers[i]))
			;
		assert_false(readers[i].stale);
		assert_null(expected(w, &readers[i]));
		hub_unsubscribe(readers[i].sub);
	}
	assert_true(w->reads > 0);
}

static void starts_in_the_past(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = &kinds[0] };

	publish(w, 3000);
	for (size_t i = 0; i < 3000; i += 501) {
		subscribe(w, &r, w->all[i].rev);
		while (step(w, &r))
			;
		assert_false(r.stale);
		hub_unsubscribe(r.sub);
	}
}

/*
 * Right after the start the ring is empty: an older cursor reads history to where the hub began,
 * but not what is committed and still to be published.
 */
static void empty_ring(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = w->all[0].kind };

	for (w->committed = 0; w->committed < 6; w->committed += 3) {
		w->reads = 0;
		subscribe(w, &r, 990);
		assert_false(step(w, &r));
		assert_int_equal(w->reads, 1);
		hub_unsubscribe(r.sub);
	}
	subscribe(w, &r, 990);
	publish(w, 3);
	assert_true(step(w, &r));
	hub_unsubscribe(r.sub);
}

static void trimmed_history_is_stale(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = &kinds[0] };
	struct hub_event ev;

	publish(w, 3000);
	w->trimmed = 500;
	subscribe(w, &r, w->all[499].rev);
	assert_true(step(w, &r));
	hub_unsubscribe(r.sub);
	subscribe(w, &r, w->all[498].rev);
	assert_int_equal(hub_next(r.sub, &ev), -ESTALE);
	hub_unsubscribe(r.sub);
	w->fail = -EIO;
	subscribe(w, &r, w->all[600].rev);
	assert_int_equal(hub_next(r.sub, &ev), -EIO);
	hub_unsubscribe(r.sub);
}

/* Whoever has nothing to read is carried along, and does not fall behind by silence. */
static void silence_is_not_lag(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = "a kind without events" };
	struct hub_event ev;

	subscribe(w, &r, 1000);
	assert_int_equal(hub_next(r.sub, &ev), 0);
	publish(w, 3000);
	w->trimmed = 2900;
	assert_int_equal(r.wakes, 0);
	assert_int_equal(hub_position(r.sub), hub_revision(w->hub));
	assert_int_equal(hub_next(r.sub, &ev), 0);
	assert_int_equal(w->reads, 0);
	hub_unsubscribe(r.sub);
}

/* Who wants nothing of what comes is not woken, and is carried along too. */
static void a_filter_is_not_lag(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = &kinds[0], .odd = 1000000 };
	struct hub_event ev;

	subscribe(w, &r, 1000);
	assert_int_equal(hub_next(r.sub, &ev), 0);
	publish(w, 3000);
	w->trimmed = 2900;
	assert_int_equal(r.wakes, 0);
	assert_int_equal(hub_position(r.sub), hub_revision(w->hub));
	assert_int_equal(hub_next(r.sub, &ev), 0);
	assert_int_equal(w->reads, 0);
	hub_unsubscribe(r.sub);
}

/* A long history in which nothing is wanted is read in pieces. */
static void a_filter_yields(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = &kinds[0], .odd = 1000000 };
	struct hub_event ev;
	unsigned turns = 0;
	int got;

	publish(w, 3000);
	subscribe(w, &r, 1000);
	while ((got = hub_next(r.sub, &ev)) == -EAGAIN)
		assert_int_equal(w->reads, ++turns);
	assert_int_equal(got, 0);
	assert_true(turns > 10);
	assert_int_equal(hub_position(r.sub), hub_revision(w->hub));
	hub_unsubscribe(r.sub);
}

static void wakes_once(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = &kinds[0] };

	subscribe(w, &r, 1000);
	publish(w, 50);
	assert_int_equal(r.wakes, 1);
	while (step(w, &r))
		;
	publish(w, 50);
	assert_int_equal(r.wakes, 1);
	hub_unsubscribe(r.sub);
}

struct leaver {
	struct hub_sub *sub[2];
};

static void leave(void *arg)
{
	struct leaver *l = arg;

	hub_unsubscribe(take_ptr(l->sub[0]));
	hub_unsubscribe(take_ptr(l->sub[1]));
}

static void unsubscribe_inside_wake(void **state)
{
	struct world *w = *state;
	struct leaver l;

	for (int i = 0; i < 2; i++)
		assert_int_equal(hub_subscribe(w->hub, w->all[0].kind, NULL, NULL, 1000, leave, &l,
					       &l.sub[i]), 0);
	publish(w, 10);
	assert_null(l.sub[0]);
}

/* An event that is lent out stays whole although the ring went round meanwhile. */
static void lent_events_stay(void **state)
{
	struct world *w = *state;
	struct reader r = { .kind = w->all[0].kind };
	struct hub_event ev;

	publish(w, 1);
	subscribe(w, &r, 1000);
	assert_int_equal(hub_next(r.sub, &ev), 1);
	publish(w, 2 * LIMIT_RING_EVENTS);
	assert_string_equal(ev.name, w->all[0].name);
	assert_memory_equal(ev.bytes->data, &ev.rev, sizeof(ev.rev));
	hub_unsubscribe(r.sub);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(interleavings), ROW(starts_in_the_past), ROW(empty_ring),
		ROW(trimmed_history_is_stale), ROW(silence_is_not_lag), ROW(wakes_once),
		ROW(a_filter_is_not_lag), ROW(a_filter_yields),
		ROW(unsubscribe_inside_wake),
		ROW(lent_events_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
