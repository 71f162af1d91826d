/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_store.c - both backends of netd/store by the same rows, and what only a file can do
 */
#include "lib/testlib.h"

#include <errno.h>
#include <netd/store/store.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOW_MS  1700000000000
#define KEEP    200

struct world {
	bool file;
	char dir[64], path[96], error[160];
	struct loop *loop;
	struct store *store;
	unsigned waiting;
	struct buf seen;            /* what callbacks told, one line each */
	int rcs[8];
	unsigned done;
};

static void open_store(struct world *w)
{
	struct store_config conf = { .path = w->file ? w->path : NULL, .loop = w->loop,
				     .now_ms = NOW_MS, .history_events = KEEP };
	int r = store_open(&conf, &w->store, w->error);

	if (r < 0)
		fail_msg("store_open: %s: %s", strerror(-r), w->error);
}

/* Closing waits for the writer, so what it had to tidy up is done. */
static void reopen_file(struct world *w)
{
	if (!w->file)
		return;
	store_close(take_ptr(w->store));
	open_store(w);
}

static int begin(void **state, bool file)
{
	struct world *w = calloc(1, sizeof(*w));

	w->file = file;
	snprintf(w->dir, sizeof(w->dir), "/tmp/podnet-store-XXXXXX");
	if (!mkdtemp(w->dir) || loop_new(&w->loop) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/netd.db", w->dir);
	*state = w;
	open_store(w);
	return 0;
}

static int begin_file(void **state) { return begin(state, true); }
static int begin_memory(void **state) { return begin(state, false); }

static int end(void **state)
{
	static const char *const files[] = { "netd.db", "netd.db-wal", "netd.db-shm" };
	struct world *w = *state;
	char path[128];

	store_close(w->store);
	loop_free(w->loop);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
		unlink(path);
	}
	rmdir(w->dir);
	buf_fini(&w->seen);
	free(w);
	return 0;
}

static void on_done(struct store_batch *b)
{
	struct world *w = b->arg;

	if (w->done < ARRAY_SIZE(w->rcs))
		w->rcs[w->done] = b->rc;
	w->done++;
	snprintf(w->error, sizeof(w->error), "%s", b->error);
	for (size_t i = 0; i < b->n; i++) {
		bytes_unref(b->ops[i].bytes);
		bytes_unref(b->ops[i].prev);
	}
	arena_fini(&b->arena);
	free(b);
	if (--w->waiting == 0)
		loop_stop(w->loop);
}

static struct store_batch *batch(struct world *w)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	b->arg = w;
	b->done = on_done;
	b->ops = arena_alloc(&b->arena, 8 * sizeof(*b->ops));
	return b;
}

static struct store_op *op(struct store_batch *b, enum store_op_type type, const char *kind,
			   const char *name)
{
	struct store_op *o = &b->ops[b->n++];

	*o = (struct store_op){ .type = type, .kind = kind, .ns = "default",
				.name = arena_strdup(&b->arena, name) };
	return o;
}

static struct bytes *text(const char *s)
{
	return s ? bytes_new(s, strlen(s)) : NULL;
}

static void put(struct world *w, struct store_batch *b, const char *name, const char *value,
		const char *prev)
{
	struct store_op *o = op(b, STORE_PUT, "pods", name);

	o->rev = store_next_revision(w->store);
	o->bytes = text(value);
	o->prev = text(prev);
}

static void del(struct world *w, struct store_batch *b, const char *name, const char *last)
{
	struct store_op *o = op(b, STORE_DELETE, "pods", name);

	o->rev = store_next_revision(w->store);
	o->bytes = text(last);
}

static void claim(struct store_batch *b, const char *key, const char *owner)
{
	op(b, STORE_CLAIM, "ip", key)->owner = owner;
}

static void release(struct store_batch *b, const char *key, const char *owner, int64_t free_after)
{
	struct store_op *o = op(b, STORE_RELEASE, "ip", key);

	o->owner = owner;
	o->free_after = free_after;
}

static void submit(struct world *w, struct store_batch *b)
{
	w->waiting++;
	store_submit(w->store, b);
}

/* The result of the last one. */
static int wait_all(struct world *w)
{
	w->done = 0;
	assert_int_equal(loop_run(w->loop), 0);
	return w->rcs[w->done - 1];
}

static int run(struct world *w, struct store_batch *b)
{
	submit(w, b);
	return wait_all(w);
}

static int see_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		      const char *bytes, size_t len)
{
	struct world *w = arg;

	buf_printf(&w->seen, "%s/%s/%s=%.*s@%d\n", kind, ns, name, (int)len, bytes,
		   (int)(rev - NOW_MS));
	return 0;
}

static int see_claim(void *arg, const char *kind, const char *key, const char *owner,
		     int64_t free_after)
{
	struct world *w = arg;

	buf_printf(&w->seen, "%s/%s=%s%s\n", kind, key, owner, free_after ? " cooling" : "");
	return 0;
}

static int see_event(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
		     const char *ns, const char *name, const char *bytes, size_t len,
		     const char *prev, size_t prev_len)
{
	struct world *w = arg;

	(void)kind;
	(void)ns;
	buf_printf(&w->seen, "%c%d %s=%.*s<%.*s\n", "AMD"[type], (int)(rev - NOW_MS), name, (int)len,
		   bytes, (int)prev_len, prev ? prev : "");
	return 0;
}

static void expect(struct world *w, const char *want)
{
	buf_str(&w->seen, "");
	assert_string_equal(w->seen.data, want);
	buf_fini(&w->seen);
}

static void expect_objects(struct world *w, const char *want)
{
	assert_int_equal(store_load(w->store, see_object, w), 0);
	expect(w, want);
}

static void expect_claims(struct world *w, const char *want)
{
	assert_int_equal(store_load_claims(w->store, see_claim, w), 0);
	expect(w, want);
}

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

/* A child writes and is gone without a word; counting goes on above all it may have shown. */
static void kill_keeps_revision(void **state)
{
	struct world *w = *state;
	uint64_t start;
	struct stat st;
	int status;
	pid_t pid;

	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	store_close(take_ptr(w->store));
	pid = fork();
	if (pid == 0) {
		open_store(w);
		for (int i = 0; i < 3; i++) {
			struct store_batch *b = batch(w);

			put(w, b, "a", "v", NULL);
			b->soft = i > 0;
			if (run(w, b) < 0)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	open_store(w);
	expect_objects(w, "pods/default/a=v@2\n");
	start = store_revision(w->store);
	assert_true(start > NOW_MS + 2);
	/* what is between the last event and here may have been seen and lost */
	assert_int_equal(store_history(w->store, NULL, NOW_MS + 2, 9, see_event, w), 0);
	assert_int_equal(store_history(w->store, NULL, NOW_MS + 3, 9, see_event, w), -ESTALE);
	assert_int_equal(store_history(w->store, NULL, start - 1, 9, see_event, w), -ESTALE);
	assert_int_equal(store_history(w->store, NULL, start, 9, see_event, w), 0);
	reopen_file(w);
	assert_int_equal(store_revision(w->store), start);
}

static void pragma(const struct world *w, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static const struct refusal { const char *says, *sql, *text; int want; } refusals[] = {
	{ "newer", "PRAGMA user_version = 99", "newer than this netd", -ENOTSUP },
	{ "another program's", "PRAGMA application_id = 7", "another program", -EBADMSG },
};

static void refused_files(void **state)
{
	struct store_config conf = { .now_ms = NOW_MS };
	struct world *w = *state;

	conf.path = w->path;
	conf.loop = w->loop;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		store_close(take_ptr(w->store));
		pragma(w, refusals[i].sql);
		assert_int_equal(store_open(&conf, &w->store, w->error), refusals[i].want);
		assert_null(w->store);
		if (!strstr(w->error, refusals[i].text))
			fail_msg("%s: %s", refusals[i].says, w->error);
		pragma(w, "PRAGMA user_version = 1; PRAGMA application_id = 0x706f646e");
		open_store(w);
	}
	store_close(take_ptr(w->store));
	assert_int_equal(store_check(w->path, w->error), 0);
	assert_int_equal(truncate(w->path, 5000), 0);
	assert_true(store_check(w->path, w->error) < 0);
	assert_int_equal(truncate(w->path, 0), 0);
	open_store(w);
}

/* A file that cannot grow: the write fails, what follows it too, and later ones work again. */
static void no_room(void **state)
{
	struct world *w = *state;
	struct rlimit all, little = { .rlim_cur = 16 * 1024 };
	char *large = calloc(1, 100001);
	struct store_batch *b;

	signal(SIGXFSZ, SIG_IGN);
	memset(large, 'x', 100000);
	getrlimit(RLIMIT_FSIZE, &all);
	little.rlim_max = all.rlim_max;
	setrlimit(RLIMIT_FSIZE, &little);
	for (int i = 0; i < 2; i++) {
		b = batch(w);
		put(w, b, "a", i == 0 ? large : "small", NULL);
		submit(w, b);
	}
	wait_all(w);
	setrlimit(RLIMIT_FSIZE, &all);
	free(large);
	assert_int_equal(w->rcs[0], -EIO);
	assert_int_equal(w->rcs[1], -EIO);
	assert_true(w->error[0]);
	expect_objects(w, "");
	b = batch(w);
	put(w, b, "a", "again", NULL);
	assert_int_equal(run(w, b), 0);
	expect_objects(w, "pods/default/a=again@2\n");
}

/* A mount of our own over the row's directory; skipped without the rights to have one. */
static void mount_small(struct world *w)
{
	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", w->dir, "tmpfs", 0, "size=256k") < 0)
		skip();
}

static void full_disk(void **state)
{
	struct world *w = *state;
	int n = 0, rc = 0;
	struct store_batch *b;
	char *large = calloc(1, 8001);

	memset(large, 'x', 8000);
	store_close(take_ptr(w->store));
	mount_small(w);
	open_store(w);
	for (; rc == 0 && n < 100; n++) {
		b = batch(w);
		put(w, b, "a", large, NULL);
		rc = run(w, b);
	}
	free(large);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(mount(NULL, w->dir, NULL, MS_REMOUNT, "size=8m"), 0);
	b = batch(w);
	put(w, b, "b", "fits", NULL);
	assert_int_equal(run(w, b), 0);
	store_close(take_ptr(w->store));
	assert_int_equal(store_check(w->path, w->error), 0);
	umount2(w->dir, MNT_DETACH);
}

static void read_only_disk(void **state)
{
	struct world *w = *state;
	struct store_config conf = { .path = w->path, .loop = w->loop, .now_ms = NOW_MS };

	store_close(take_ptr(w->store));
	mount_small(w);
	open_store(w);
	store_close(take_ptr(w->store));
	assert_int_equal(mount(NULL, w->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(store_open(&conf, &w->store, w->error), -EROFS);
	assert_true(w->error[0]);
	umount2(w->dir, MNT_DETACH);
}

#define BOTH(fn) \
	{ #fn " (file)", fn, begin_file, end, NULL }, { #fn " (memory)", fn, begin_memory, end, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(objects_and_history), BOTH(claims), BOTH(failure_takes_followers),
		BOTH(trimming), BOTH(meta), BOTH(close_commits),
		cmocka_unit_test_setup_teardown(kill_keeps_revision, begin_file, end),
		cmocka_unit_test_setup_teardown(refused_files, begin_file, end),
		cmocka_unit_test_setup_teardown(no_room, begin_file, end),
		cmocka_unit_test_setup_teardown(full_disk, begin_file, end),
		cmocka_unit_test_setup_teardown(read_only_disk, begin_file, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
