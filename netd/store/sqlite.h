/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite.h - what the files of the SQLite backend share
 *
 * Room: store.  May include: netd/base, sqlite3.
 */
#ifndef NETD_STORE_SQLITE_H
#define NETD_STORE_SQLITE_H

#include <netd/store/backend.h>
#include <pthread.h>
#include <sqlite3.h>

#define META_CEILING    "ceiling"       /* no revision above was seen before this was raised */
#define META_CLEAN      "clean"         /* last revision of an orderly end; absent while running */
#define META_TRIMMED    "trimmed"       /* history is complete after this revision */

enum statement {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_UPDATE, SQL_INSERT, SQL_DELETE, SQL_EVENT,
	SQL_CLAIM, SQL_RELEASE_NOW, SQL_RELEASE, SQL_META_PUT, SQL_META_GET, SQL_META_DEL,
	SQL_MARK, SQL_OLD_MARK, SQL_TRIM, SQL_TRIM_MARKS, SQL_TRIM_GAPS, SQL_TRIM_CLAIMS,
	SQL_LAST, SQL_GAP_ADD, SQL_GAP, SQL_LOAD, SQL_CLAIMS, SQL_HISTORY, SQL_COUNT
};

/* A connection and its statements, prepared at first use and kept. */
struct db {
	sqlite3 *conn;
	sqlite3_stmt *stmt[SQL_COUNT];
};

struct sqlite {
	struct backend b;
	struct db writer, reader;   /* the writer's thread's, the loop's */
	pthread_mutex_t lock;       /* of the writer's connection: store_meta_put() uses it too */
	char *path;
	int synchronous_full;       /* what the connection is set to */
	unsigned keep;              /* events */
	unsigned step;              /* events between two marks */
	unsigned since_mark;
	int64_t mark_s;             /* time of the last mark */
	uint64_t last;              /* last revision written in this transaction */
	int64_t oldest_s;           /* and of the first */
	int64_t events;             /* up to the last mark */
	int wal_pages;              /* atomic: store_meta_put() commits too */
	bool log_ready;             /* the log has its whole length on the disk */
};

/* sqlite_db.c */
int db_open(struct db *db, const char *path, int flags);
void db_close(struct db *db);
int db_errno(const struct db *db);
sqlite3_stmt *db_stmt(struct db *db, enum statement which);     /* NULL: db_errno() */
int db_run(struct db *db, sqlite3_stmt *stmt);                  /* to its end, then reset */
int db_do(struct db *db, enum statement which);
int db_exec(struct db *db, const char *sql);
int db_number(struct db *db, const char *sql, int64_t *ret);
int db_meta_get(struct db *db, const char *key, char *buf, size_t size);
int db_meta_number(struct db *db, const char *key, uint64_t *ret);     /* absent: 0 */
int db_meta_put(struct db *db, const char *key, const char *value);
int db_meta_put_number(struct db *db, const char *key, uint64_t value);

/* schema.c */
int schema_ensure(struct db *db, uint64_t first, char error[160]);

/** sqlite_synchronous() - what a commit waits for: the disk, or nothing; with the lock held */
int sqlite_synchronous(struct sqlite *s, bool full);

/* sqlite_tidy.c */
int sqlite_mark(struct sqlite *s);              /* in the open transaction */
bool sqlite_tidy(struct backend *b, bool must);
bool sqlite_untidy(const struct backend *b);
int sqlite_count_marks(struct sqlite *s);

/* sqlite_read.c */
int sqlite_load(struct backend *b,
		int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			    uint64_t rev, const char *bytes, size_t len), void *arg);
int sqlite_load_claims(struct backend *b,
		       int (*each)(void *arg, const char *kind, const char *key,
				   const char *owner, int64_t free_after), void *arg);
int sqlite_meta_get(struct backend *b, const char *key, char *buf, size_t size);
int sqlite_history(struct backend *b, const char *only, uint64_t after, unsigned max,
		   int (*each)(void *arg, uint64_t rev, enum store_event_type type,
			       const char *kind, const char *ns, const char *name,
			       const char *bytes, size_t len, const char *prev, size_t prev_len),
		   void *arg);

#endif
