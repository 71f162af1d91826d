/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_open.c - the beginning: the file, two connections, where counting goes on
 *
 * Room: store.  What a run writes at its beginning goes into its first transaction, so a disk that
 * is full by then does not keep netd from reading.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <fcntl.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

static int on_commit(void *arg, sqlite3 *conn, const char *name, int pages)
{
	struct sqlite *s = arg;

	(void)conn;
	(void)name;
	__atomic_store_n(&s->wal_pages, pages, __ATOMIC_RELAXED);
	__atomic_store_n(&s->log_pages, pages, __ATOMIC_RELAXED);
	return SQLITE_OK;
}

/* SQLite gives a new file the umask's mode; the log and its index inherit the database's. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	close(fd);
	return 0;
}

static int connect_writer(struct sqlite *s)
{
	int r = db_open(&s->writer, s->path[FILE_DATABASE], SQLITE_OPEN_READWRITE);
	int64_t version;

	if (r == 0 && sqlite3_db_readonly(s->writer.conn, "main") == 1) {
		snprintf(s->b.error, sizeof(s->b.error), "the database is read-only (%.150s)",
			 s->path[FILE_DATABASE]);
		return -EROFS;
	}
	if (r == 0)             /* before anything in it is changed */
		r = schema_known(&s->writer, &version, s->b.error);
	if (r < 0 && s->b.error[0])
		return r;
	if (r == 0)
		r = db_exec(&s->writer, "PRAGMA cache_size = -512; PRAGMA mmap_size = 0; "
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
			    "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY");
	if (r < 0)
		return sqlite_fail(s, r);
	sqlite3_wal_hook(s->writer.conn, on_commit, s);
	s->synchronous_full = 1;
	s->log_ready = false;
	__atomic_store_n(&s->wal_pages, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->log_pages, 0, __ATOMIC_RELAXED);
	return 0;
}

static int connect_reader(struct sqlite *s)
{
	int r = db_open(&s->reader, s->path[FILE_DATABASE], SQLITE_OPEN_READONLY);

	if (r == 0)
		r = db_exec(&s->reader, "PRAGMA cache_size = -64; PRAGMA mmap_size = 0");
	if (r < 0)
		snprintf(s->b.error, sizeof(s->b.error), "%.100s (%.150s)",
			 s->reader.conn ? sqlite3_errmsg(s->reader.conn) : strerror(-r),
			 s->path[FILE_DATABASE]);
	return r;
}

int sqlite_connect(struct sqlite *s)
{
	int r;

	s->b.error[0] = '\0';
	r = connect_writer(s);
	if (r == 0)
		r = connect_reader(s);
	if (r < 0) {
		db_close(&s->reader);
		db_close(&s->writer);
		return r;
	}
	sqlite_files_note(s);
	return 0;
}

int sqlite_counter(struct db *db, struct counter *ret)
{
	uint64_t trimmed = 0;
	int64_t last = 0;
	int r = db_number(db, "SELECT max(rev) FROM event", &last);

	if (r == 0)
		r = db_meta_number(db, META_CLEAN, &ret->clean);
	if (r == 0)
		r = db_meta_number(db, META_CEILING, &ret->ceiling);
	if (r == 0)
		r = db_meta_number(db, META_TRIMMED, &trimmed);
	ret->last = (uint64_t)last > trimmed ? (uint64_t)last : trimmed;
	return r;
}

static void at_least(uint64_t *rev, uint64_t least)
{
	if (*rev < least)
		*rev = least;
}

/*
 * Counting goes on above all that anybody may have seen: what is in the database; without an orderly
 * end its ceiling; what the witness says was committed, whatever became of it; and the time, for a
 * database that is older than what was last here, with no witness left.  What lies between is known
 * only to who saw it then, and has to list again.
 */
static int set_counter(struct sqlite *s, const struct store_config *conf)
{
	struct counter c = { 0 };
	uint64_t seen = 0;
	int r = sqlite_counter(&s->writer, &c);

	if (r == 0)
		r = db_meta_get(&s->writer, META_ID, s->id, sizeof(s->id));
	if (r == -ENOENT) {
		uuid_make(s->id);
		r = 0;
	}
	if (r == 0)
		r = db_meta_number(&s->writer, META_BACKUP, &s->b.restored);
	if (r == 0)
		r = witness_open(s, conf->witness, &seen);
	if (r < 0)
		return r;
	s->b.ceiling = c.ceiling;
	if (conf->replica) {
		s->b.rev = s->now.last = s->noted = c.last;
		return 0;
	}
	s->low = c.clean > c.last ? c.clean : c.last;
	s->b.rev = s->low;
	if (!c.clean && c.ceiling > c.last)
		at_least(&s->b.rev, c.ceiling + 1);
	if (seen > c.last) {
		s->b.there = c.last;
		s->b.was = seen;
		at_least(&s->b.rev, seen + 1);
	}
	at_least(&s->b.rev, first_revision(conf));
	s->high = s->b.rev > s->low ? s->b.rev : 0;
	s->now.last = s->noted = c.last > seen ? c.last : seen;
	return 0;
}

int sqlite_begin_run(struct sqlite *s)
{
	static const char *const over[] = { META_CLEAN, META_BACKUP };
	sqlite3_stmt *stmt;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(over); i++) {
		stmt = db_stmt(&s->writer, SQL_META_DEL);
		sqlite3_bind_text(stmt, 1, over[i], -1, SQLITE_STATIC);
		r = db_run(&s->writer, stmt);
	}
	if (r == 0)
		r = db_meta_put(&s->writer, META_ID, s->id);
	if (r < 0 || !s->high)
		return r;
	stmt = db_stmt(&s->writer, SQL_GAP_ADD);
	sqlite3_bind_int64(stmt, 1, (int64_t)s->low);
	sqlite3_bind_int64(stmt, 2, (int64_t)s->high);
	return db_run(&s->writer, stmt);
}

/* Durable, and in the database's file itself: who has lost the log knows at least that. */
static int begin_run(struct sqlite *s)
{
	int r = s->b.ops->begin(&s->b, true);

	if (r < 0)
		return r;
	r = s->b.ops->commit(&s->b);
	if (r < 0) {
		s->b.ops->rollback(&s->b);
		return r;
	}
	pthread_mutex_lock(&s->lock);
	sqlite_checkpoint(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int sqlite_examined(struct backend *b)
{
	struct sqlite *s = (struct sqlite *)b;

	if (s->settled)
		return s->examined;
	s->settled = true;
	s->examined = sqlite_judge(s);
	if (s->examined < 0)
		snprintf(b->error, sizeof(b->error), "%s", s->complaint);
	else
		s->examined = begin_run(s);
	if (s->examined != -ENOSPC)
		return s->examined;
	b->failing = s->examined;
	return s->examined = 0;
}

static int open_all(struct sqlite *s, const struct store_config *conf)
{
	struct backend *b = &s->b;
	int r = make_file(s->path[FILE_DATABASE]), looked;

	if (r < 0) {
		snprintf(b->error, sizeof(b->error), "%s (%.150s)", strerror(-r),
			 s->path[FILE_DATABASE]);
		return r;
	}
	r = sqlite_drop_stale_log(s);
	if (r > 0)
		log_event(LOG_LEVEL_WARNING, "stale_log_dropped", "path=%s", s->path[FILE_LOG]);
	r = sqlite_connect(s);
	if (r < 0)
		return r;
	r = schema_ensure(&s->writer, s->path[FILE_DATABASE], first_revision(conf), b->error);
	if (r < 0 && b->error[0])
		return r;
	if (r == 0)
		r = sqlite_examine(s);
	if (r == 0)
		r = set_counter(s, conf);
	if (r == 0)
		r = sqlite_count_marks(s);
	if (r == 0)
		return 0;
	sqlite_fail(s, r);
	looked = sqlite_judge(s);       /* what it finds says more */
	if (looked < 0)
		snprintf(b->error, sizeof(b->error), "%s", s->complaint);
	return looked < 0 ? looked : r;
}

int sqlite_set_paths(struct sqlite *s, const char *path)
{
	static const char *const suffixes[FILE_COUNT] = { "", "-wal", "-shm" };
	size_t size = strlen(path) + 5;

	for (int i = 0; i < FILE_COUNT; i++) {
		s->path[i] = malloc(size);
		if (!s->path[i])
			return -ENOMEM;
		snprintf(s->path[i], size, "%s%s", path, suffixes[i]);
	}
	return 0;
}

int sqlite_open(const struct store_config *conf, struct backend **ret, char error[STORE_WORDS])
{
	_cleanup_(sqlite_freep) struct sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->witness = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->read_lock, NULL);
	s->b.ops = &sqlite_ops;
	s->keep = conf->history_events ? conf->history_events : LIMIT_HISTORY_EVENTS;
	r = sqlite_set_paths(s, conf->path);
	if (r == 0)
		r = open_all(s, conf);
	if (r < 0) {
		snprintf(error, STORE_WORDS, "%s", s->b.error[0] ? s->b.error : strerror(-r));
		return r;
	}
	*ret = &take_ptr(s)->b;
	return 0;
}
