/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite.c - the store as a SQLite database: transactions, and the end
 *
 * Room: the connection that writes.  Write-ahead log; a durable transaction runs with
 * synchronous=FULL, one fsync of the log, which covers soft transactions (NORMAL: none) before it.
 * Checkpoints are ours (sqlite_tidy.c), the beginning is sqlite_open.c's.  This process never opens
 * and closes the database file beside SQLite while SQLite has it open: that would drop SQLite's
 * POSIX locks (fcntl(2)).  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

static struct sqlite *of(struct backend *b)
{
	return (struct sqlite *)b;
}

int sqlite_fail(struct sqlite *s, int r)
{
	int code = s->writer.conn ? sqlite3_extended_errcode(s->writer.conn) : SQLITE_CANTOPEN;
	bool io = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;

	snprintf(s->b.error, sizeof(s->b.error), "%.80s%s%.40s (%.120s)", sqlite3_errstr(code),
		 io ? ": " : "", io ? strerror(-r) : "", s->path[FILE_DATABASE]);
	s->unsynced |= code == SQLITE_IOERR_FSYNC;
	s->damaged |= r == -EBADMSG;
	return r;
}

int sqlite_synchronous(struct sqlite *s, bool full)
{
	int r;

	if (s->synchronous_full == (int)full)
		return 0;
	r = db_exec(&s->writer, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (r == 0)
		s->synchronous_full = full;
	return r;
}

static int begin(struct backend *b, bool durable)
{
	struct sqlite *s = of(b);
	int r;

	pthread_mutex_lock(&s->lock);
	s->before = s->now;
	r = sqlite_files(s);
	if (r < 0) {
		pthread_mutex_unlock(&s->lock);
		return r;
	}
	r = sqlite_synchronous(s, durable);
	if (r == 0)
		r = db_do(&s->writer, SQL_BEGIN);
	if (r == 0 && !s->begun)
		r = sqlite_begin_run(s);
	if (r == 0)
		return 0;
	sqlite_fail(s, r);
	b->ops->rollback(b);
	return r;
}

static void rollback(struct backend *b)
{
	struct sqlite *s = of(b);

	if (!sqlite3_get_autocommit(s->writer.conn))
		db_do(&s->writer, SQL_ROLLBACK);
	s->now = s->before;
	pthread_mutex_unlock(&s->lock);
}

static int commit(struct backend *b)
{
	struct sqlite *s = of(b);
	int r = sqlite_mark(s);

	if (r == 0)
		r = db_do(&s->writer, SQL_COMMIT);
	if (r < 0)
		return sqlite_fail(s, r);
	s->begun = true;
	if (s->synchronous_full && s->now.last != s->noted)
		witness_note(s, s->noted = s->now.last);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int ceiling(struct backend *b, uint64_t rev)
{
	int r = db_meta_put_number(&of(b)->writer, META_CEILING, rev);

	of(b)->raised |= r == 0;
	return r < 0 ? sqlite_fail(of(b), r) : 0;
}

static void bind_key(sqlite3_stmt *stmt, const struct store_op *op)
{
	sqlite3_bind_text(stmt, 1, op->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, op->ns, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, op->name, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *stmt, int column, const struct bytes *bytes)
{
	if (bytes)
		sqlite3_bind_blob64(stmt, column, bytes->data, bytes->len, SQLITE_STATIC);
}

static int write_object(struct sqlite *s, const struct store_op *op, enum statement which)
{
	sqlite3_stmt *stmt = db_stmt(&s->writer, which);

	bind_key(stmt, op);
	if (which != SQL_DELETE) {
		sqlite3_bind_int64(stmt, 4, (int64_t)op->rev);
		bind_bytes(stmt, 5, op->bytes);
	}
	return db_run(&s->writer, stmt);
}

static int write_event(struct sqlite *s, const struct store_op *op, enum store_event_type type)
{
	sqlite3_stmt *stmt;

	if (op->quiet)
		return 0;
	stmt = db_stmt(&s->writer, SQL_EVENT);
	bind_key(stmt, op);
	sqlite3_bind_int64(stmt, 4, (int64_t)op->rev);
	bind_bytes(stmt, 5, op->bytes);
	bind_bytes(stmt, 6, op->prev);
	sqlite3_bind_int(stmt, 7, type);
	s->now.since_mark++;
	s->now.last = op->rev;
	return db_run(&s->writer, stmt);
}

/* What was loaded or written is in the table; if SQLite does not find it, its index is damaged. */
static int missing(struct sqlite *s, const struct store_op *op)
{
	snprintf(s->b.error, sizeof(s->b.error), "the row of %.60s %.60s is not found (%.100s)",
		 op->kind, op->name, s->path[FILE_DATABASE]);
	s->damaged = true;
	return -EBADMSG;
}

/* A replica may be told anew of what it has: no state before does not say that there is no row. */
static int apply_put(struct sqlite *s, const struct store_op *op)
{
	enum store_event_type type = op->prev ? STORE_MODIFIED : STORE_ADDED;
	int r = write_object(s, op, op->prev ? SQL_UPDATE : SQL_INSERT);
	bool done = r < 0 || sqlite3_changes(s->writer.conn) > 0;

	if (!done && op->prev)
		return missing(s, op);
	if (!done) {
		type = STORE_MODIFIED;
		r = write_object(s, op, SQL_UPDATE);
	}
	if (r == 0)
		r = write_event(s, op, type);
	return r < 0 ? sqlite_fail(s, r == -EEXIST ? -EBADMSG : r) : 0;
}

static int apply_delete(struct sqlite *s, const struct store_op *op)
{
	int r = write_object(s, op, SQL_DELETE);

	if (r == 0 && sqlite3_changes(s->writer.conn) == 0)
		return missing(s, op);
	if (r == 0)
		r = write_event(s, op, STORE_DELETED);
	return r < 0 ? sqlite_fail(s, r == -EEXIST ? -EBADMSG : r) : 0;
}

static int write_claim(struct sqlite *s, const struct store_op *op, enum statement which,
		       int64_t time)
{
	sqlite3_stmt *stmt = db_stmt(&s->writer, which);

	sqlite3_bind_text(stmt, 1, op->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, op->name, -1, SQLITE_STATIC);
	if (op->owner)
		sqlite3_bind_text(stmt, 3, op->owner, -1, SQLITE_STATIC);
	if (which != SQL_RELEASE_NOW)
		sqlite3_bind_int64(stmt, 4, time);
	return db_run(&s->writer, stmt);
}

static int apply_release(struct sqlite *s, const struct store_op *op)
{
	bool now = op->free_after <= now_realtime_s();
	int r = write_claim(s, op, now ? SQL_RELEASE_NOW : SQL_RELEASE, op->free_after);

	return r < 0 ? sqlite_fail(s, r) : 0;
}

static int apply_claim(struct sqlite *s, const struct store_op *op)
{
	int r = write_claim(s, op, SQL_CLAIM, op->cooled ? INT64_MAX : now_realtime_s());

	if (r < 0)
		return sqlite_fail(s, r);
	if (sqlite3_changes(s->writer.conn) > 0)
		return 0;
	snprintf(s->b.error, sizeof(s->b.error), "%s %s is claimed", op->kind, op->name);
	return -EEXIST;
}

static int apply(struct backend *b, const struct store_op *op)
{
	struct sqlite *s = of(b);

	switch (op->type) {
	case STORE_PUT:
		return apply_put(s, op);
	case STORE_DELETE:
		return apply_delete(s, op);
	case STORE_RELEASE:
		return apply_release(s, op);
	case STORE_CLAIM:
		return apply_claim(s, op);
	}
	return -EINVAL;
}

static int meta_put(struct backend *b, const char *key, const char *value)
{
	struct sqlite *s = of(b);
	int r = sqlite_examined(b);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = sqlite_synchronous(s, 1);
	if (r == 0)
		r = db_meta_put(&s->writer, key, value);
	pthread_mutex_unlock(&s->lock);
	return r;
}

void sqlite_free(struct sqlite *s)
{
	if (!s)
		return;
	sqlite_join_examiner(s);
	db_close(&s->reader);
	db_close(&s->writer);
	closep(&s->witness);
	pthread_mutex_destroy(&s->read_lock);
	pthread_mutex_destroy(&s->lock);
	for (int i = 0; i < FILE_COUNT; i++)
		free(s->path[i]);
	free(s);
}

/* Only when all is well the end is an orderly one; else the next run counts from the ceiling on. */
static void close_clean(struct backend *b, uint64_t rev)
{
	struct sqlite *s = of(b);

	if (s->begun && !s->damaged && sqlite_files(s) == 0 && sqlite_synchronous(s, 1) == 0)
		db_meta_put_number(&s->writer, META_CLEAN, rev);
	sqlite_free(s);
}

const struct backend_ops sqlite_ops = {
	.examined = sqlite_examined, .close = close_clean, .begin = begin, .apply = apply,
	.ceiling = ceiling, .commit = commit, .rollback = rollback, .probe = sqlite_probe,
	.tidy = sqlite_tidy, .untidy = sqlite_untidy, .load = sqlite_load, .load_claims = sqlite_load_claims,
	.lost = sqlite_lost, .meta_get = sqlite_meta_get, .meta_put = meta_put, .history = sqlite_history,
};
