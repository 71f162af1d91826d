/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_store.c - both backends of netd/store by the same rows
 */
#include "store_world.h"

#include <netd/store/store.h>

static void objects_and_history(void **state)
{
	struct world *w = *state;
	struct store_batch *b = batch(w);

	assert_int_equal(store_revision(w->store), NOW_MS - 1);
	expect_objects(w, "");
	put(w, b, "a", "one", NULL);
	put(w, b, "a", "two", "one");
	assert_int_equal(run(w, b), 0);
	b = batch(w);
	put(w, b, "b", "x", NULL);
	del(w, b, "b", "y");
	put(w, b, "b", "z", NULL);
	del(w, b, "b", "gone");
	b->soft = true;
	assert_int_equal(run(w, b), 0);
	expect_objects(w, "pods/default/a=two@1\n");
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 1, 100, see_event, w), 6);
	expect(w, "A0 a=one<\nM1 a=two<one\nA2 b=x<\nD3 b=y<\nA4 b=z<\nD5 b=gone<\n");
	assert_int_equal(store_history(w->store, NULL, NOW_MS + 1, 2, see_event, w), 2);
	expect(w, "A2 b=x<\nD3 b=y<\n");
	assert_int_equal(store_history(w->store, NULL, NOW_MS + 5, 2, see_event, w), 0);
	assert_int_equal(store_history(w->store, "pods", NOW_MS + 3, 9, see_event, w), 2);
	expect(w, "A4 b=z<\nD5 b=gone<\n");
	assert_int_equal(store_history(w->store, "nodes", NOW_MS - 1, 9, see_event, w), 0);
	expect(w, "");
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 2, 2, see_event, w), -ESTALE);
	assert_int_equal(store_revision(w->store), NOW_MS + 5);
}

static void claims(void **state)
{
	int64_t later = now_realtime_s() + 1000, past = now_realtime_s() - 1;
	struct world *w = *state;
	struct store_batch *b;
	static const struct row {
		const char *says, *key;
		const char *owner;          /* claim by; NULL: release */
		const char *releaser;
		bool cool;
		int want;
	} rows[] = {
		{ "a free key", "1", "u1", NULL, false, 0 },
		{ "ours already", "1", "u1", NULL, false, 0 },
		{ "somebody else's", "1", "u2", NULL, false, -EEXIST },
		{ "another's release does nothing", "1", NULL, "u2", false, 0 },
		{ "so it is still taken", "1", "u2", NULL, false, -EEXIST },
		{ "released with a cool-down", "1", NULL, "u1", true, 0 },
		{ "cooling for others", "1", "u2", NULL, false, -EEXIST },
		{ "and for the one who had it", "1", "u1", NULL, false, -EEXIST },
		{ "released at once", "1", NULL, NULL, false, 0 },
		{ "free again", "1", "u2", NULL, false, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		b = batch(w);
		if (rows[i].owner)
			claim(b, rows[i].key, rows[i].owner);
		else
			release(b, rows[i].key, rows[i].releaser, rows[i].cool ? later : past);
		if (run(w, b) != rows[i].want)
			fail_msg("%s: %d", rows[i].says, w->rcs[0]);
	}
	expect_claims(w, "ip/1=u2\n");
	b = batch(w);
	release(b, "1", "u2", later);
	assert_int_equal(run(w, b), 0);
	expect_claims(w, "ip/1= cooling\n");
}

/* A refused claim takes its whole batch along, but not what was submitted before it. */
static void failure_takes_followers(void **state)
{
	struct world *w = *state;
	struct store_batch *b = batch(w);

	claim(b, "1", "u1");
	assert_int_equal(run(w, b), 0);
	for (int i = 0; i < 4; i++) {
		char name[2] = { (char)('a' + i), 0 };

		b = batch(w);
		put(w, b, name, "v", NULL);
		if (i == 1)
			claim(b, "1", "u2");
		submit(w, b);
	}
	wait_all(w);
	assert_int_equal(w->done, 4);
	assert_int_equal(w->rcs[0], 0);
	for (int i = 1; i < 4; i++)
		assert_int_equal(w->rcs[i], -EEXIST);
	assert_string_equal(w->error, "ip 1 is claimed");
	expect_objects(w, "pods/default/a=v@0\n");
	b = batch(w);
	put(w, b, "a", "w", NULL);
	assert_int_equal(run(w, b), 0);
	expect_objects(w, "pods/default/a=w@4\n");
}

/* A file is trimmed when its writer has nothing else to do, or has far too much. */
static void trimming(void **state)
{
	struct world *w = *state;
	uint64_t total = 6 * KEEP, least = NOW_MS + total - KEEP - 1;
	int n;

	for (uint64_t i = 0; i < total; i++) {
		struct store_batch *b = batch(w);

		b->soft = true;
		put(w, b, "a", "v", NULL);
		submit(w, b);
		if (i % 8 == 7)
			wait_all(w);
	}
	reopen_file(w);
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 1, 10, see_event, w), -ESTALE);
	n = store_history(w->store, NULL, least, 10 * KEEP, see_event, w);
	assert_int_equal(n, KEEP);
	assert_memory_equal(w->seen.data, "M1000 ", 6);
	buf_fini(&w->seen);
	expect_objects(w, "pods/default/a=v@1199\n");
}

static void meta(void **state)
{
	struct world *w = *state;
	char value[8] = "as was";

	assert_int_equal(store_meta_get(w->store, "k", value, sizeof(value)), -ENOENT);
	assert_string_equal(value, "as was");
	assert_int_equal(store_meta_put(w->store, "k", "v1"), 0);
	assert_int_equal(store_meta_put(w->store, "k", "v2"), 0);
	assert_int_equal(store_meta_get(w->store, "k", value, sizeof(value)), 0);
	assert_string_equal(value, "v2");
	assert_int_equal(store_meta_put(w->store, "k", "longer than that"), 0);
	assert_int_equal(store_meta_get(w->store, "k", value, sizeof(value)), -ENOBUFS);
}

static void close_commits(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 20; i++) {
		struct store_batch *b = batch(w);

		put(w, b, "a", "v", NULL);
		submit(w, b);
	}
	w->waiting++;               /* nobody runs the loop */
	store_close(take_ptr(w->store));
	assert_int_equal(w->done, 20);
	assert_int_equal(w->rcs[7], 0);
	open_store(w);
	if (!w->file)
		return;
	expect_objects(w, "pods/default/a=v@19\n");
	assert_int_equal(store_next_revision(w->store), NOW_MS + 20);
}

/* A replica is told again of what it has: no state before, and there is a row. */
static void told_again(void **state)
{
	struct world *w = *state;
	struct store_batch *b = batch(w);

	put(w, b, "a", "one", NULL);
	assert_int_equal(run(w, b), 0);
	b = batch(w);
	put(w, b, "a", "two", NULL);
	put(w, b, "b", "x", NULL);
	assert_int_equal(run(w, b), 0);
	b = batch(w);
	del(w, b, "b", "gone");         /* of two a store in memory tells in any order */
	assert_int_equal(run(w, b), 0);
	expect_objects(w, "pods/default/a=two@1\n");
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 1, 9, see_event, w), 4);
	expect(w, "A0 a=one<\nM1 a=two<\nA2 b=x<\nD3 b=gone<\n");
}

/* What is a node's own in a replica: a row without an event, of whatever revision. */
static void quiet(void **state)
{
	struct world *w = *state;
	struct store_batch *b = batch(w);

	put(w, b, "a", "own", NULL);
	b->ops[0].quiet = true;
	b->ops[0].rev = 0;
	put(w, b, "b", "all's", NULL);
	assert_int_equal(run(w, b), 0);
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 1, 9, see_event, w), 1);
	expect(w, "A1 b=all's<\n");
	b = batch(w);
	del(w, b, "a", "own");
	b->ops[0].quiet = true;
	b->ops[0].rev = 0;
	assert_int_equal(run(w, b), 0);
	expect_objects(w, "pods/default/b=all's@1\n");
	assert_int_equal(store_history(w->store, NULL, NOW_MS - 1, 9, see_event, w), 1);
	expect(w, "A1 b=all's<\n");
}

/* A replica counts from what is there: what is lost here another has, and the time is nothing to it. */
static void replica(void **state)
{
	struct world *w = *state;
	struct store_batch *b = batch(w);

	put(w, b, "a", "one", NULL);
	b->ops[0].rev = NOW_MS - 1 + 500000;
	store_seen(w->store, b->ops[0].rev);
	assert_int_equal(run(w, b), 0);
	store_seen(w->store, NOW_MS + 500007);
	w->replica = true;
	reopen_file(w);
	assert_int_equal(store_revision(w->store), NOW_MS - 1 + 500000);
}


#define BOTH(fn) \
	{ #fn " (file)", fn, begin_file, end, NULL }, { #fn " (memory)", fn, begin_memory, end, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(objects_and_history), BOTH(claims), BOTH(failure_takes_followers),
		BOTH(trimming), BOTH(meta), BOTH(close_commits), BOTH(quiet),
		BOTH(told_again),
		cmocka_unit_test_setup_teardown(replica, begin_file, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
