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
#define META_ID         "id"            /* of the database, made with it */
#define META_BACKUP     "backup"        /* of a copy: its last revision; until a netd has begun on it */
#define META_PROBE      "probe"         /* when it was last seen whether this can be written */

enum statement {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_UPDATE, SQL_INSERT, SQL_DELETE, SQL_EVENT,
	SQL_CLAIM, SQL_RELEASE_NOW, SQL_RELEASE, SQL_META_PUT, SQL_META_GET, SQL_META_DEL,
	SQL_MARK, SQL_OLD_MARK, SQL_TRIM, SQL_TRIM_MARKS, SQL_TRIM_GAPS, SQL_TRIM_CLAIMS,
	SQL_LAST, SQL_GAP_ADD, SQL_GAP, SQL_LOAD, SQL_KEYS, SQL_INDEX, SQL_CLAIMS,
	SQL_HISTORY, SQL_COUNT
};

/* A connection and its statements, prepared at first use and kept. */
struct db {
	sqlite3 *conn;              /* NULL: it could not be opened again */
	sqlite3_stmt *stmt[SQL_COUNT];
};

/* What is counted as a transaction goes, and is as it was before when the transaction fails. */
struct tally {
	unsigned since_mark;        /* events since the last mark */
	int64_t mark_s;             /* time of the last mark */
	int64_t oldest_s;           /* and of the first */
	int64_t events;             /* up to the last mark */
	uint64_t last;              /* last revision written */
};

/** Rows of objects by their keys, whatever the order. */
struct row_tally {
	uint64_t n, sum;
};

enum { FILE_DATABASE, FILE_LOG, FILE_INDEX, FILE_COUNT };

struct sqlite {
	struct backend b;
	struct db writer, reader;   /* the writer's thread's, the loop's */
	/* of the connections: store_meta_put() writes too, and reopening concerns both */
	pthread_mutex_t lock, read_lock;
	char *path[FILE_COUNT];
	struct { dev_t dev; ino_t ino; } file[FILE_COUNT];      /* as they were opened */
	int synchronous_full;       /* what the connection is set to */
	unsigned keep;              /* events */
	unsigned step;              /* events between two marks */
	struct tally now, before;   /* before: the open transaction */
	int wal_pages;              /* of the log, that the database has not; atomic: also of meta_put */
	int log_pages;              /* in the log's file; atomic too */
	bool log_ready;             /* the log has its whole length on the disk */
	bool unsynced;              /* an fsync failed: what it was to cover may be lost */
	bool begun;                 /* this run's beginning is in the database */
	uint64_t low, high;         /* revisions between, of which some may be lost; 0: none */
	char id[40];                /* of the database, for ever */
	int witness;                /* sqlite_witness.c; -1: none */
	uint64_t noted;             /* there */
	bool raised;                /* a ceiling that is in the log only */
	pthread_t examiner;         /* while @examining */
	bool examining, settled;    /* settled: the run has begun, or will not */
	int examined;               /* what came of it */
	struct row_tally indexed, loaded;      /* of the index of objects; of their table */
	bool counted;               /* @loaded is of all of them */
	char complaint[STORE_WORDS];    /* the examiner's first */
	bool stuck;                 /* the last checkpoint failed */
	bool damaged;
	bool unreadable;            /* the reader's: it was said that the history cannot be read */
};

/* sqlite_db.c */
int db_open(struct db *db, const char *path, int flags);
void db_close(struct db *db);
int db_errno(const struct db *db);
sqlite3_stmt *db_stmt(struct db *db, enum statement which);     /* NULL: db_errno() */
int db_run(struct db *db, sqlite3_stmt *stmt);                  /* to its end, then reset */
int db_do(struct db *db, enum statement which);
/** db_each() - each row to @row, which ends it by a negative number; how many, or that */
int db_each(struct db *db, sqlite3_stmt *stmt, int (*row)(sqlite3_stmt *stmt, void *arg), void *arg);
int db_exec(struct db *db, const char *sql);
int db_number(struct db *db, const char *sql, int64_t *ret);
int db_meta_get(struct db *db, const char *key, char *buf, size_t size);
int db_meta_number(struct db *db, const char *key, uint64_t *ret);     /* absent: 0 */
int db_meta_put(struct db *db, const char *key, const char *value);
int db_meta_put_number(struct db *db, const char *key, uint64_t value);

/* schema.c */
int schema_ensure(struct db *db, const char *path, uint64_t first, char error[STORE_WORDS]);
/** schema_known() - 0, -EBADMSG (another program's), -ENOTSUP (newer), with words; @version its own */
int schema_known(struct db *db, int64_t *version, char error[STORE_WORDS]);

extern const struct backend_ops sqlite_ops;
void sqlite_free(struct sqlite *s);
DEFINE_CLEANUP(struct sqlite, sqlite_free)
/** sqlite_fail() - the words of the writer's last error; returns @r */
int sqlite_fail(struct sqlite *s, int r);
/** sqlite_synchronous() - what a commit waits for: the disk, or nothing; with the lock held */
int sqlite_synchronous(struct sqlite *s, bool full);

/** Where counting stands. */
struct counter {
	uint64_t last;              /* of the history, or where it was trimmed */
	uint64_t clean;             /* at an orderly end, 0: there was none */
	uint64_t ceiling;
};

/* sqlite_witness.c */
/** witness_open() - *@ret: what it says of this database, 0: nothing */
int witness_open(struct sqlite *s, const char *path, uint64_t *ret);
void witness_note(struct sqlite *s, uint64_t rev);

/* sqlite_backup.c */
/** sqlite_backup() - as store_backup(); @replace: over what is there */
int sqlite_backup(const char *path, const char *to, bool replace, uint64_t *rev,
		  char error[STORE_WORDS]);
/** sqlite_drop_stale_log() - 1: there was one; SQLite must not have the database open */
int sqlite_drop_stale_log(const struct sqlite *s);

/* sqlite_check.c */
/** sqlite_examine() - begin to look at what is loaded and what writes rest on, in a thread */
int sqlite_examine(struct sqlite *s);
/** sqlite_judge() - wait for it: 0, or a negative errno with words in s->complaint */
int sqlite_judge(struct sqlite *s);
void sqlite_join_examiner(struct sqlite *s);
/** sqlite_tally_row() - of a row whose first columns are kind, ns and name; @rowid: the column of it */
void sqlite_tally_row(struct row_tally *t, sqlite3_stmt *stmt, int rowid);

/* sqlite_open.c */
int sqlite_set_paths(struct sqlite *s, const char *path);
int sqlite_counter(struct db *db, struct counter *ret);
/** sqlite_connect() - both connections, to a database that is there; with both locks held */
int sqlite_connect(struct sqlite *s);
/** sqlite_examined() - the same, and begin the run; as store_examined() */
int sqlite_examined(struct backend *b);
/** sqlite_begin_run() - in the first transaction of a run: its end is not an orderly one yet */
int sqlite_begin_run(struct sqlite *s);

/* sqlite_files.c */
/** sqlite_files() - the files are those that were opened, and what was not synced is; or made so */
int sqlite_files(struct sqlite *s);
void sqlite_files_note(struct sqlite *s);
int sqlite_probe(struct backend *b);

/* sqlite_tidy.c */
int sqlite_mark(struct sqlite *s);              /* in the open transaction */
bool sqlite_tidy(struct backend *b, bool must);
bool sqlite_untidy(const struct backend *b);
bool sqlite_checkpoint(struct sqlite *s);       /* with the lock held; true: all of it */
int sqlite_count_marks(struct sqlite *s);

/* sqlite_read.c */
int sqlite_load(struct backend *b,
		int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			    uint64_t rev, const char *bytes, size_t len), void *arg);
int sqlite_load_claims(struct backend *b,
		       int (*each)(void *arg, const char *kind, const char *key,
				   const char *owner, int64_t free_after), void *arg);
int sqlite_meta_get(struct backend *b, const char *key, char *buf, size_t size);
bool sqlite_lost(struct backend *b, uint64_t rev);
/** sqlite_read_all_history() - in the transaction that is open: also what would be -ESTALE */
int sqlite_read_all_history(struct backend *b, const char *only, uint64_t after, unsigned max,
			    int (*each)(void *arg, uint64_t rev, enum store_event_type type,
					const char *kind, const char *ns, const char *name,
					const char *bytes, size_t len, const char *prev,
					size_t prev_len), void *arg);
int sqlite_history(struct backend *b, const char *only, uint64_t after, unsigned max,
		   int (*each)(void *arg, uint64_t rev, enum store_event_type type,
			       const char *kind, const char *ns, const char *name,
			       const char *bytes, size_t len, const char *prev, size_t prev_len),
		   void *arg);

#endif
