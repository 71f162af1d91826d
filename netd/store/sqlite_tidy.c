/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_tidy.c - checkpoints, the length of the log, the trimming of history
 *
 * Room: work on the database that no client waits for.  The writer calls for it when nothing came
 * for a while; only when the write-ahead log or the history has grown far beyond what is
 * wanted it is done between two commits.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>

#define MARKS           100         /* in the events that are kept */
#define MARK_SECONDS    300
#define WAL_WANTED      1000        /* pages of 4 KiB */
#define WAL_LIMIT       2000
#define WAL_BYTES       (WAL_LIMIT * (4096 + 24) + 32)  /* of so many pages: frames and a header */
#define WAL_STEP        (1024 * 1024)

int sqlite_count_marks(struct sqlite *s)
{
	int64_t events = 0, last = 0, oldest = 0;
	int r = db_number(&s->writer, "SELECT sum(events) FROM mark", &events);

	if (r == 0)
		r = db_number(&s->writer, "SELECT max(time) FROM mark", &last);
	if (r == 0)
		r = db_number(&s->writer, "SELECT min(time) FROM mark", &oldest);
	s->now.events = events;
	s->now.mark_s = last ? last : now_realtime_s();
	s->now.oldest_s = oldest ? oldest : INT64_MAX;
	s->step = s->keep / MARKS ? s->keep / MARKS : 1;
	return r;
}

/* A mark at revision R and time T: all up to R is older than T. */
int sqlite_mark(struct sqlite *s)
{
	sqlite3_stmt *stmt;
	int64_t now = now_realtime_s();
	bool early = now >= s->now.mark_s && now - s->now.mark_s < MARK_SECONDS;
	int r;

	if (s->now.since_mark < s->step && (!s->now.since_mark || early))
		return 0;
	stmt = db_stmt(&s->writer, SQL_MARK);
	sqlite3_bind_int64(stmt, 1, (int64_t)s->now.last);
	sqlite3_bind_int64(stmt, 2, now);
	sqlite3_bind_int64(stmt, 3, s->now.since_mark);
	r = db_run(&s->writer, stmt);
	if (r < 0)
		return r;
	s->now.events += s->now.since_mark;
	s->now.since_mark = 0;
	s->now.mark_s = now;
	if (s->now.oldest_s > now)
		s->now.oldest_s = now;
	return 0;
}

static int run_with(struct sqlite *s, enum statement which, int64_t value)
{
	sqlite3_stmt *stmt = db_stmt(&s->writer, which);

	sqlite3_bind_int64(stmt, 1, value);
	return db_run(&s->writer, stmt);
}

static int64_t trim_to(struct sqlite *s)
{
	sqlite3_stmt *stmt = db_stmt(&s->writer, SQL_OLD_MARK);
	int64_t rev = 0;

	sqlite3_bind_int64(stmt, 1, s->keep);
	sqlite3_bind_int64(stmt, 2, now_realtime_s() - LIMIT_HISTORY_SECONDS);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		rev = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return rev;
}

static int trim_all(struct sqlite *s, int64_t rev)
{
	int r = run_with(s, SQL_TRIM, rev);

	if (r == 0)
		r = run_with(s, SQL_TRIM_MARKS, rev);
	if (r == 0)
		r = run_with(s, SQL_TRIM_GAPS, rev);
	if (r == 0)
		r = run_with(s, SQL_TRIM_CLAIMS, now_realtime_s());
	if (r == 0)
		r = db_meta_put_number(&s->writer, META_TRIMMED, (uint64_t)rev);
	return r;
}

/* A failure is left for the next time: history that is too long harms nobody. */
static bool trim(struct sqlite *s)
{
	bool done = false;
	int64_t rev;

	if (s->b.ops->begin(&s->b, false) < 0)
		return false;
	rev = trim_to(s);
	if (rev && trim_all(s, rev) == 0 && s->b.ops->commit(&s->b) == 0)
		done = true;
	else
		s->b.ops->rollback(&s->b);
	pthread_mutex_lock(&s->lock);
	sqlite_count_marks(s);
	pthread_mutex_unlock(&s->lock);
	return done;
}

static bool log_long(const struct sqlite *s, bool must)
{
	return __atomic_load_n(&s->wal_pages, __ATOMIC_RELAXED) > (must ? WAL_LIMIT : WAL_WANTED);
}

/* Until it succeeds the log grows, so the first failure is worth a word. */
static void tell_stuck(struct sqlite *s, int rc)
{
	char quoted[2 * STORE_WORDS];

	if (rc != SQLITE_OK && !s->stuck) {
		sqlite_fail(s, db_errno(&s->writer));
		log_event(LOG_LEVEL_WARNING, "checkpoint_failed", "err=%s",
			  log_quote(s->b.error, quoted, sizeof(quoted)));
	}
	s->stuck = rc != SQLITE_OK;
}

bool sqlite_checkpoint(struct sqlite *s)
{
	int all = 0, done = 0, rc;

	if (!s->writer.conn)
		return false;
	errno = 0;
	rc = sqlite3_wal_checkpoint_v2(s->writer.conn, NULL, SQLITE_CHECKPOINT_PASSIVE, &all,
				       &done);
	s->unsynced |= rc != SQLITE_OK &&
		       sqlite3_extended_errcode(s->writer.conn) == SQLITE_IOERR_FSYNC;
	tell_stuck(s, rc);
	if (rc != SQLITE_OK || all != done)
		return false;
	__atomic_store_n(&s->wal_pages, 0, __ATOMIC_RELAXED);
	s->raised = false;
	return true;
}

static bool history_long(const struct sqlite *s, bool must)
{
	if (must)
		return s->now.events > (int64_t)s->keep + s->keep / 5 + LIMIT_BATCH_WRITES;
	return s->now.events > (int64_t)s->keep + 2 * s->step ||
	       s->now.oldest_s < now_realtime_s() - LIMIT_HISTORY_SECONDS;
}

static sqlite3_file *log_file(const struct sqlite *s, sqlite3_int64 *size)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(s->writer.conn, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) !=
	    SQLITE_OK || !file || !file->pMethods || file->pMethods->xFileSize(file, size) != SQLITE_OK)
		return NULL;
	return file;
}

/*
 * An fdatasync(2) of a file that has grown waits for the file system's own journal too, which
 * doubles what a commit costs.  So the log gets the length it will have ahead of time, in blocks
 * that are written, not only reserved.  Zeros behind the last frame are no frame to SQLite.
 * The transaction keeps other processes from appending meanwhile.
 */
static bool lengthen_log(struct sqlite *s)
{
	static const char zeros[4096];
	sqlite3_int64 size = 0, end;
	sqlite3_file *file;
	int r = SQLITE_OK;

	if (s->b.ops->begin(&s->b, false) < 0)
		return false;
	file = log_file(s, &size);
	end = size + WAL_STEP < WAL_BYTES ? size + WAL_STEP : WAL_BYTES;
	for (; file && r == SQLITE_OK && size < end; size += (sqlite3_int64)sizeof(zeros))
		r = file->pMethods->xWrite(file, zeros, (int)sizeof(zeros), size);
	if (file && r == SQLITE_OK) {
		r = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
		s->unsynced |= r != SQLITE_OK;
	}
	s->log_ready = !file || r != SQLITE_OK || size >= WAL_BYTES;  /* or never will be */
	s->b.ops->rollback(&s->b);
	return file && r == SQLITE_OK;
}

bool sqlite_untidy(const struct backend *b)
{
	const struct sqlite *s = (const struct sqlite *)b;

	return log_long(s, false) || history_long(s, false) || !s->log_ready;
}

bool sqlite_tidy(struct backend *b, bool must)
{
	struct sqlite *s = (struct sqlite *)b;
	bool did = false;

	pthread_mutex_lock(&s->lock);
	/* now, when nobody waits: the next durable write has no SQL to compile */
	if (must && s->writer.conn)
		sqlite_synchronous(s, true);
	/* a ceiling that only the log has would be lost with it */
	if (log_long(s, must) || s->raised)
		did = sqlite_checkpoint(s);
	pthread_mutex_unlock(&s->lock);
	if (!did && history_long(s, must))
		did = trim(s);
	if (!did && !must && !s->log_ready)
		did = lengthen_log(s);
	return did;
}
