/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite.c - the store as a SQLite database: opening, transactions, closing
 *
 * Room: the connection that writes.  Write-ahead log; a durable transaction runs with
 * synchronous=FULL, one fsync of the log, which covers soft transactions (NORMAL: none) before it.
 * Checkpoints are ours (sqlite_tidy.c).  This process never opens and closes the database
 * file beside SQLite while SQLite has it open: that would drop SQLite's POSIX locks (fcntl(2)).
 * May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <fcntl.h>
#include <netd/base/limits.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

static struct sqlite *of(struct backend *b)
{
	return (struct sqlite *)b;
}

static int fail(struct sqlite *s, int r)
{
	snprintf(s->b.error, sizeof(s->b.error), "%s", sqlite3_errmsg(s->writer.conn));
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
	r = sqlite_synchronous(s, durable);
	if (r == 0)
		r = db_do(&s->writer, SQL_BEGIN);
	if (r == 0)
		return 0;
	fail(s, r);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void rollback(struct backend *b)
{
	struct sqlite *s = of(b);

	if (!sqlite3_get_autocommit(s->writer.conn))
		db_do(&s->writer, SQL_ROLLBACK);
	pthread_mutex_unlock(&s->lock);
}

static int commit(struct backend *b)
{
	struct sqlite *s = of(b);
	int r = sqlite_mark(s);

	if (r == 0)
		r = db_do(&s->writer, SQL_COMMIT);
	if (r < 0)
		return fail(s, r);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int ceiling(struct backend *b, uint64_t rev)
{
	int r = db_meta_put_number(&of(b)->writer, META_CEILING, rev);

	return r < 0 ? fail(of(b), r) : 0;
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
	sqlite3_stmt *stmt = db_stmt(&s->writer, SQL_EVENT);

	bind_key(stmt, op);
	sqlite3_bind_int64(stmt, 4, (int64_t)op->rev);
	bind_bytes(stmt, 5, op->bytes);
	bind_bytes(stmt, 6, op->prev);
	sqlite3_bind_int(stmt, 7, type);
	s->since_mark++;
	s->last = op->rev;
	return db_run(&s->writer, stmt);
}

static int apply_put(struct sqlite *s, const struct store_op *op)
{
	enum store_event_type type = STORE_MODIFIED;
	int r = write_object(s, op, SQL_UPDATE);

	if (r == 0 && sqlite3_changes(s->writer.conn) == 0) {
		type = STORE_ADDED;
		r = write_object(s, op, SQL_INSERT);
	}
	return r < 0 ? r : write_event(s, op, type);
}

static int apply_delete(struct sqlite *s, const struct store_op *op)
{
	int r = write_object(s, op, SQL_DELETE);

	return r < 0 ? r : write_event(s, op, STORE_DELETED);
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

	return write_claim(s, op, now ? SQL_RELEASE_NOW : SQL_RELEASE, op->free_after);
}

static int apply(struct backend *b, const struct store_op *op)
{
	struct sqlite *s = of(b);
	int r = -EINVAL;

	switch (op->type) {
	case STORE_PUT:
		r = apply_put(s, op);
		break;
	case STORE_DELETE:
		r = apply_delete(s, op);
		break;
	case STORE_RELEASE:
		r = apply_release(s, op);
		break;
	case STORE_CLAIM:
		r = write_claim(s, op, SQL_CLAIM, now_realtime_s());
		if (r < 0 || sqlite3_changes(s->writer.conn) > 0)
			break;
		snprintf(s->b.error, sizeof(s->b.error), "%s %s is claimed", op->kind, op->name);
		return -EEXIST;
	}
	return r < 0 ? fail(s, r) : 0;
}

static int meta_put(struct backend *b, const char *key, const char *value)
{
	struct sqlite *s = of(b);
	int r;

	pthread_mutex_lock(&s->lock);
	r = sqlite_synchronous(s, 1);
	if (r == 0)
		r = db_meta_put(&s->writer, key, value);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int on_commit(void *arg, sqlite3 *conn, const char *name, int pages)
{
	(void)conn;
	(void)name;
	__atomic_store_n(&((struct sqlite *)arg)->wal_pages, pages, __ATOMIC_RELAXED);
	return SQLITE_OK;
}

static void discard(struct sqlite *s)
{
	if (!s)
		return;
	db_close(&s->reader);
	db_close(&s->writer);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}
DEFINE_CLEANUP(struct sqlite, discard)

static void close_clean(struct backend *b, uint64_t rev)
{
	struct sqlite *s = of(b);

	if (sqlite_synchronous(s, 1) == 0)
		db_meta_put_number(&s->writer, META_CLEAN, rev);
	discard(s);
}

static const struct backend_ops sqlite_ops = {
	.close = close_clean, .begin = begin, .apply = apply, .ceiling = ceiling, .commit = commit,
	.rollback = rollback, .tidy = sqlite_tidy, .untidy = sqlite_untidy, .load = sqlite_load,
	.load_claims = sqlite_load_claims, .meta_get = sqlite_meta_get, .meta_put = meta_put,
	.history = sqlite_history,
};

/* SQLite gives a new file the umask's mode; the log and its index inherit the database's. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	close(fd);
	return 0;
}

static int open_writer(struct sqlite *s, const char *path)
{
	int r = make_file(path);

	if (r == 0)
		r = db_open(&s->writer, path, SQLITE_OPEN_READWRITE);
	if (r == 0 && sqlite3_db_readonly(s->writer.conn, "main") == 1)
		r = -EROFS;
	if (r == 0)
		r = db_exec(&s->writer, "PRAGMA cache_size = -512; PRAGMA mmap_size = 0; "
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
			    "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY");
	s->synchronous_full = 1;
	return r;
}

/* The counter goes on where an orderly end left it, or else from the ceiling. */
static int read_counter(struct sqlite *s)
{
	struct db *db = &s->writer;
	uint64_t clean = 0, high = 0, trimmed = 0;
	sqlite3_stmt *stmt;
	int64_t last = 0;
	int r = db_number(db, "SELECT max(rev) FROM event", &last);

	if (r == 0)
		r = db_meta_number(db, META_CLEAN, &clean);
	if (r == 0)
		r = db_meta_number(db, META_CEILING, &high);
	if (r == 0)
		r = db_meta_number(db, META_TRIMMED, &trimmed);
	if (r < 0)
		return r;
	if ((uint64_t)last < trimmed)
		last = (int64_t)trimmed;
	s->b.ceiling = high;
	s->b.rev = clean > (uint64_t)last ? clean : (uint64_t)last;
	if (clean || high <= (uint64_t)last)
		return 0;
	s->b.rev = high;
	stmt = db_stmt(db, SQL_GAP_ADD);
	sqlite3_bind_int64(stmt, 1, last);
	sqlite3_bind_int64(stmt, 2, (int64_t)high);
	return db_run(db, stmt);
}

/* In one durable transaction: from here on the end is not an orderly one until it was. */
static int start_counting(struct sqlite *s)
{
	sqlite3_stmt *stmt;
	int r = db_do(&s->writer, SQL_BEGIN);

	if (r == 0)
		r = read_counter(s);
	if (r == 0) {
		stmt = db_stmt(&s->writer, SQL_META_DEL);
		sqlite3_bind_text(stmt, 1, META_CLEAN, -1, SQLITE_STATIC);
		r = db_run(&s->writer, stmt);
	}
	return r < 0 ? r : db_do(&s->writer, SQL_COMMIT);
}

int sqlite_open(const struct store_config *conf, struct backend **ret, char error[160])
{
	_cleanup_(discardp) struct sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->b.ops = &sqlite_ops;
	s->keep = conf->history_events ? conf->history_events : LIMIT_HISTORY_EVENTS;
	error[0] = '\0';
	r = open_writer(s, conf->path);
	if (r == 0)
		r = schema_ensure(&s->writer, first_revision(conf), error);
	if (r == 0)
		r = start_counting(s);
	if (r == 0)
		r = sqlite_count_marks(s);
	if (r < 0 && !error[0])
		snprintf(error, 160, "%s", r == -EROFS ? "the database is read-only" :
			 s->writer.conn ? sqlite3_errmsg(s->writer.conn) : strerror(-r));
	if (r < 0)
		return r;
	r = db_open(&s->reader, conf->path, SQLITE_OPEN_READONLY);
	if (r == 0)
		r = db_exec(&s->reader, "PRAGMA cache_size = -64; PRAGMA mmap_size = 0");
	if (r < 0) {
		snprintf(error, 160, "%s", sqlite3_errmsg(s->reader.conn));
		return r;
	}
	sqlite3_wal_hook(s->writer.conn, on_commit, s);
	*ret = &take_ptr(s)->b;
	return 0;
}

static int check_row(void *arg, int n, char **value, char **name)
{
	(void)name;
	if (n > 0 && value[0] && !*(char *)arg)
		snprintf(arg, 160, "%s", value[0]);
	return 0;
}

int store_check(const char *path, char error[160])
{
	struct db db = { 0 };
	int r = db_open(&db, path, SQLITE_OPEN_READONLY);

	error[0] = '\0';
	if (r == 0 && sqlite3_exec(db.conn, "PRAGMA integrity_check(1)", check_row, error,
				   NULL) != SQLITE_OK)
		r = db_errno(&db);
	if (r == 0 && strcmp(error, "ok") != 0)
		r = -EBADMSG;
	if (r < 0 && !error[0])
		snprintf(error, 160, "%s", db.conn ? sqlite3_errmsg(db.conn) : strerror(-r));
	db_close(&db);
	return r;
}
