/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_read.c - what the loop's thread reads
 *
 * Room: a connection of its own that can only read.  It sees what is committed, never blocks the
 * writer and is never blocked by it.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>

/* What is read is read to its end before the connection may be opened anew. */
static struct db *take(struct backend *b)
{
	struct sqlite *s = (struct sqlite *)b;

	pthread_mutex_lock(&s->read_lock);
	return &s->reader;
}

static void leave(struct backend *b)
{
	pthread_mutex_unlock(&((struct sqlite *)b)->read_lock);
}

static const char *text(sqlite3_stmt *stmt, int column)
{
	const char *s = (const char *)sqlite3_column_text(stmt, column);

	return s ? s : "";
}

struct load {
	int (*object)(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		      const char *bytes, size_t len);
	int (*claim)(void *arg, const char *kind, const char *key, const char *owner,
		     int64_t free_after);
	int (*event)(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
		     const char *ns, const char *name, const char *bytes, size_t len,
		     const char *prev, size_t prev_len);
	void *arg;
	struct row_tally *tally;    /* of objects */
};

static int object_row(sqlite3_stmt *stmt, void *arg)
{
	const struct load *l = arg;
	const char *bytes = sqlite3_column_blob(stmt, 4);

	sqlite_tally_row(l->tally, stmt, 5);
	return l->object(l->arg, text(stmt, 0), text(stmt, 1), text(stmt, 2),
			 (uint64_t)sqlite3_column_int64(stmt, 3), bytes ? bytes : "",
			 (size_t)sqlite3_column_bytes(stmt, 4));
}

static int claim_row(sqlite3_stmt *stmt, void *arg)
{
	const struct load *l = arg;

	return l->claim(l->arg, text(stmt, 0), text(stmt, 1), text(stmt, 2),
			sqlite3_column_int64(stmt, 3));
}

static int event_row(sqlite3_stmt *stmt, void *arg)
{
	const struct load *l = arg;
	const char *bytes = sqlite3_column_blob(stmt, 5);

	return l->event(l->arg, (uint64_t)sqlite3_column_int64(stmt, 0),
			(enum store_event_type)sqlite3_column_int(stmt, 1), text(stmt, 2),
			text(stmt, 3), text(stmt, 4), bytes ? bytes : "",
			(size_t)sqlite3_column_bytes(stmt, 5), sqlite3_column_blob(stmt, 6),
			(size_t)sqlite3_column_bytes(stmt, 6));
}

int sqlite_load(struct backend *b,
		int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			    uint64_t rev, const char *bytes, size_t len), void *arg)
{
	struct sqlite *s = (struct sqlite *)b;
	struct load l = { .object = each, .arg = arg, .tally = &s->loaded };
	struct db *db = take(b);
	int r;

	s->loaded = (struct row_tally){ 0 };
	r = db_each(db, db_stmt(db, SQL_LOAD), object_row, &l);
	s->counted = r >= 0;
	sqlite3_db_release_memory(db->conn);
	leave(b);
	return r < 0 ? r : 0;
}

int sqlite_load_claims(struct backend *b,
		       int (*each)(void *arg, const char *kind, const char *key,
				   const char *owner, int64_t free_after), void *arg)
{
	struct load l = { .claim = each, .arg = arg };
	struct db *db = take(b);
	int r = db_each(db, db_stmt(db, SQL_CLAIMS), claim_row, &l);

	leave(b);
	return r < 0 ? r : 0;
}

int sqlite_meta_get(struct backend *b, const char *key, char *buf, size_t size)
{
	int r = db_meta_get(take(b), key, buf, size);

	leave(b);
	return r;
}

static int row_exists(sqlite3_stmt *stmt, void *arg)
{
	(void)stmt;
	(void)arg;
	return 0;
}

/* 1 if @after lies in a range of which something may be lost. */
static int in_gap(const struct sqlite *s, struct db *db, uint64_t after)
{
	sqlite3_stmt *stmt;

	if (s->high && s->low < after && after < s->high)
		return 1;       /* what this run's beginning says, be it written yet or not */
	stmt = db_stmt(db, SQL_GAP);
	sqlite3_bind_int64(stmt, 1, (int64_t)after);
	return db_each(db, stmt, row_exists, NULL);
}

static int read_events(struct db *db, const char *only, uint64_t after, unsigned max,
		       struct load *l)
{
	sqlite3_stmt *stmt = db_stmt(db, SQL_HISTORY);

	sqlite3_bind_int64(stmt, 1, (int64_t)after);
	sqlite3_bind_int64(stmt, 2, max);
	if (only)
		sqlite3_bind_text(stmt, 3, only, -1, SQLITE_STATIC);
	return db_each(db, stmt, event_row, l);
}

static int read_history(struct sqlite *s, const char *only, uint64_t after, unsigned max,
			struct load *l)
{
	struct db *db = &s->reader;
	uint64_t trimmed;
	int r = db_meta_number(db, META_TRIMMED, &trimmed);

	if (r < 0)
		return r;
	if (after < trimmed)
		return -ESTALE;
	r = in_gap(s, db, after);
	if (r != 0)
		return r < 0 ? r : -ESTALE;
	return read_events(db, only, after, max, l);
}

int sqlite_read_all_history(struct backend *b, const char *only, uint64_t after, unsigned max,
			    int (*each)(void *arg, uint64_t rev, enum store_event_type type,
					const char *kind, const char *ns, const char *name,
					const char *bytes, size_t len, const char *prev,
					size_t prev_len), void *arg)
{
	struct load l = { .event = each, .arg = arg };
	int r = read_events(take(b), only, after, max, &l);

	leave(b);
	return r;
}

/* A history that cannot be read is as good as none: who wanted it lists again. */
static int unreadable(struct sqlite *s, int r)
{
	char quoted[2 * STORE_WORDS];

	if (r != -EBADMSG && r != -EIO && r != -EACCES)
		return r;
	if (!s->unreadable)
		log_event(LOG_LEVEL_ERROR, "history_unreadable", "path=%s err=%s",
			  s->path[FILE_DATABASE],
			  log_quote(s->reader.conn ? sqlite3_errmsg(s->reader.conn) : strerror(-r),
				    quoted, sizeof(quoted)));
	s->unreadable = true;
	return -ESTALE;
}

bool sqlite_lost(struct backend *b, uint64_t rev)
{
	bool is = in_gap((struct sqlite *)b, take(b), rev) > 0;

	leave(b);
	return is;
}

/* One read transaction, so that nothing is trimmed between the question and the answer. */
int sqlite_history(struct backend *b, const char *only, uint64_t after, unsigned max,
		   int (*each)(void *arg, uint64_t rev, enum store_event_type type,
			       const char *kind, const char *ns, const char *name,
			       const char *bytes, size_t len, const char *prev, size_t prev_len),
		   void *arg)
{
	struct load l = { .event = each, .arg = arg };
	struct db *db = take(b);
	int r = db_exec(db, "BEGIN");

	if (r == 0) {
		r = read_history((struct sqlite *)b, only, after > INT64_MAX ? INT64_MAX : after, max, &l);
		sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL);
	}
	r = unreadable((struct sqlite *)b, r);
	leave(b);
	return r;
}
