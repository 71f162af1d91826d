/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_store_files.c - what only a file can do: be there after a kill, be damaged, have no room
 */
#include "store_world.h"

#include <netd/store/store.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

static void count(void *arg, const char *words)
{
	(void)words;
	++*(int *)arg;
}

/* How many complaints the database has about itself, or negative errno. */
static int complaints(struct world *w)
{
	struct store *view;
	int n = 0, r = store_open_view(w->path, &view, w->error);

	if (r < 0)
		return r;
	r = store_integrity(view, count, &n);
	store_close(view);
	return r < 0 ? r : n;
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
	assert_int_equal(complaints(w), 0);
	assert_int_equal(truncate(w->path, 5000), 0);
	assert_int_equal(complaints(w), -EBADMSG);
	assert_int_equal(truncate(w->path, 0), 0);
	open_store(w);
}

/* The last letter of a key in the index, and only there. */
static void turn_key(const struct world *w, const char *key, char to)
{
	FILE *f = fopen(w->path, "r+b");
	char page[4096], *at;

	assert_non_null(f);
	for (long n = 0; fread(page, sizeof(page), 1, f) == 1; n++) {
		at = page[0] == 0x0a ? memmem(page, sizeof(page), key, strlen(key)) : NULL;
		if (!at)                /* no leaf of an index */
			continue;
		fseek(f, n * (long)sizeof(page) + (at - page) + (long)strlen(key) - 1, SEEK_SET);
		fputc(to, f);
		break;
	}
	assert_int_equal(fclose(f), 0);
}

/* What is wrong with the database is known when all was read of it, and nothing was written before. */
static void examined(void **state)
{
	struct world *w = *state;
	struct store_config conf = { .path = w->path, .loop = w->loop, .now_ms = NOW_MS,
				     .history_events = KEEP };
	struct store_batch *b = batch(w);

	put(w, b, "a", "v", NULL);
	put(w, b, "b", "w", NULL);
	assert_int_equal(run(w, b), 0);
	store_close(take_ptr(w->store));
	turn_key(w, "podsdefaultb", 'c');
	assert_int_equal(store_open(&conf, &w->store, w->error), -EBADMSG);
	assert_non_null(strstr(w->error, "object_key"));
	for (int sound = 0; sound < 2; sound++) {
		conf.examine_beside = true;
		assert_int_equal(store_open(&conf, &w->store, w->error), 0);
		expect_objects(w, "pods/default/a=v@0\npods/default/b=w@1\n");
		assert_int_equal(store_examined(w->store, w->error), sound ? 0 : -EBADMSG);
		if (sound)
			break;
		assert_non_null(strstr(w->error, "object_key"));
		assert_int_equal(store_meta_put(w->store, "k", "v"), -EBADMSG);
		store_close(take_ptr(w->store));
		turn_key(w, "podsdefaultc", 'b');
	}
	assert_int_equal(store_examined(w->store, w->error), 0);
	b = batch(w);
	put(w, b, "b", "x", "w");
	assert_int_equal(run(w, b), 0);
	reopen_file(w);
	expect_objects(w, "pods/default/a=v@0\npods/default/b=x@2\n");
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

static const struct loss {
	const char *says, *file;
	bool cut;                   /* to nothing; else renamed */
	int want;
	const char *words;
} losses[] = {
	{ "the log is deleted", "-wal", false, 0, NULL },
	{ "its index is deleted", "-shm", false, 0, NULL },
	{ "the database is deleted", "", false, -EIO, "deleted or replaced" },
	{ "the log is cut off", "-wal", true, -EIO, "cut off" },
};

/* In a child that is gone without a word: what it was told has been written is there. */
static void lose_file(struct world *w, const struct loss *loss)
{
	char path[128], away[140];
	struct store_batch *b = batch(w);

	snprintf(path, sizeof(path), "%s%s", w->path, loss->file);
	snprintf(away, sizeof(away), "%s.away", path);
	put(w, b, "before", "v", NULL);
	if (run(w, b) < 0)      /* behind the first one the log may be brought to the database */
		_exit(1);
	b = batch(w);
	put(w, b, "before", "v", NULL);
	if (run(w, b) < 0 || (loss->cut ? truncate(path, 0) : rename(path, away)) < 0)
		_exit(1);
	b = batch(w);
	put(w, b, "after", "v", NULL);
	if (run(w, b) != loss->want)
		_exit(2);
	if (loss->words && (!strstr(w->error, loss->words) || !strstr(w->error, w->path)))
		_exit(3);
	if (loss->cut)
		_exit(0);
	if (!loss->want)
		_exit(unlink(away));
	b = batch(w);               /* as it was: so it goes on */
	put(w, b, "after", "v", NULL);
	if (rename(away, path) < 0 || run(w, b) < 0)
		_exit(4);
	_exit(0);
}

static void lost_file(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
		struct world *w = NULL;
		int status;
		pid_t pid;

		assert_int_equal(begin_file((void **)&w), 0);
		store_close(take_ptr(w->store));
		pid = fork();
		if (pid == 0) {
			open_store(w);
			lose_file(w, &losses[i]);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			fail_msg("%s: step %d", losses[i].says, WEXITSTATUS(status));
		open_store(w);
		if (!losses[i].cut)
			expect_objects(w, losses[i].want ?
				       "pods/default/before=v@1\npods/default/after=v@3\n" :
				       "pods/default/before=v@1\npods/default/after=v@2\n");
		end((void **)&w);
	}
	(void)state;
}

/* A mount of our own over the row's directory; skipped without the rights to have one. */
static void mount_small(struct world *w)
{
	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) ||
	    mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
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
	assert_int_equal(mount("none", w->dir, "", MS_REMOUNT, "size=8m"), 0);
	b = batch(w);
	put(w, b, "b", "fits", NULL);
	assert_int_equal(run(w, b), 0);
	store_close(take_ptr(w->store));
	assert_int_equal(complaints(w), 0);
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
	assert_int_equal(mount("none", w->dir, "", MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(store_open(&conf, &w->store, w->error), -EROFS);
	assert_true(w->error[0]);
	umount2(w->dir, MNT_DETACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kill_keeps_revision, begin_file, end),
		cmocka_unit_test_setup_teardown(refused_files, begin_file, end),
		cmocka_unit_test_setup_teardown(examined, begin_file, end),
		cmocka_unit_test_setup_teardown(no_room, begin_file, end),
		cmocka_unit_test(lost_file),
		cmocka_unit_test_setup_teardown(full_disk, begin_file, end),
		cmocka_unit_test_setup_teardown(read_only_disk, begin_file, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
