/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_db.c - connections, statements, error numbers
 *
 * Room: everything that calls sqlite3_prepare.  All the SQL of running netd stands here; the schema
 * is in schema.c.  May include: netd/base, sqlite3.
 * #syscalls: open openat read write pread64 pwrite64 ftruncate fsync fdatasync fcntl lseek close
 * #syscalls: stat lstat fstat newfstatat statx access faccessat faccessat2 unlink unlinkat
 * #syscalls: readlink readlinkat fchmod fchown getpid geteuid mmap:0 munmap mremap nanosleep
 * #syscalls: clock_nanosleep
 */
#include <errno.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

#define BUSY_MS 5000

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_UPDATE] = "UPDATE object SET rev = ?4, bytes = ?5 "
		       "WHERE kind = ?1 AND ns = ?2 AND name = ?3",
	/* of one that is there already no row changes */
	[SQL_INSERT] = "INSERT INTO object (kind, ns, name, rev, bytes) VALUES (?1, ?2, ?3, ?4, ?5) "
		       "ON CONFLICT (kind, ns, name) DO NOTHING",
	[SQL_DELETE] = "DELETE FROM object WHERE kind = ?1 AND ns = ?2 AND name = ?3",
	[SQL_EVENT] = "INSERT INTO event (kind, ns, name, rev, bytes, prev, type) "
		      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	/* taken, or ours already, or free again: else no row changes */
	[SQL_CLAIM] = "INSERT INTO claim (kind, key, owner, free_after) VALUES (?1, ?2, ?3, 0) "
		      "ON CONFLICT DO UPDATE SET owner = excluded.owner, free_after = 0 "
		      "WHERE owner = excluded.owner OR (owner = '' AND free_after <= ?4)",
	[SQL_RELEASE_NOW] = "DELETE FROM claim "
			    "WHERE kind = ?1 AND key = ?2 AND (?3 IS NULL OR owner = ?3)",
	[SQL_RELEASE] = "UPDATE claim SET owner = '', free_after = ?4 "
			"WHERE kind = ?1 AND key = ?2 AND (?3 IS NULL OR owner = ?3)",
	[SQL_META_PUT] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
	[SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[SQL_META_DEL] = "DELETE FROM meta WHERE key = ?1",
	[SQL_MARK] = "INSERT INTO mark (rev, time, events) VALUES (?1, ?2, ?3)",
	/* what ?1 events are newer than, or what is older than ?2 */
	[SQL_OLD_MARK] = "SELECT max(rev) FROM (SELECT rev, time, sum(events) OVER (ORDER BY rev DESC "
			 "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer FROM mark) "
			 "WHERE newer >= ?1 OR time < ?2",
	[SQL_TRIM] = "DELETE FROM event WHERE rev <= ?1",
	[SQL_TRIM_MARKS] = "DELETE FROM mark WHERE rev <= ?1",
	[SQL_TRIM_GAPS] = "DELETE FROM gap WHERE high <= ?1",
	[SQL_TRIM_CLAIMS] = "DELETE FROM claim WHERE owner = '' AND free_after <= ?1",
	[SQL_LAST] = "SELECT max(rev) FROM event",
	[SQL_GAP_ADD] = "INSERT OR REPLACE INTO gap (low, high) VALUES (?1, ?2)",
	[SQL_GAP] = "SELECT 1 FROM gap WHERE low < ?1 AND high > ?1 LIMIT 1",
	[SQL_LOAD] = "SELECT kind, ns, name, rev, bytes, rowid FROM object NOT INDEXED",
	[SQL_KEYS] = "SELECT kind, ns, name, rowid FROM object NOT INDEXED",
	[SQL_INDEX] = "SELECT kind, ns, name, rowid FROM object INDEXED BY object_key "
		      "ORDER BY kind, ns, name",
	[SQL_CLAIMS] = "SELECT kind, key, owner, free_after FROM claim",
	[SQL_HISTORY] = "SELECT rev, type, kind, ns, name, bytes, prev FROM event "
			"WHERE rev > ?1 AND (?3 IS NULL OR kind = ?3) ORDER BY rev LIMIT ?2",
};

/*
 * The system's own number says more than SQLite's where a call of the system failed.  It is errno
 * itself, which each of our calls begins with as 0: sqlite3_system_errno() does not know of a COMMIT.
 */
static int io_errno(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
		return -ENOSPC;
	case EROFS:
		return -EROFS;
	case EACCES:
	case EPERM:
		return -EACCES;
	case ENOENT:
		return -ENOENT;
	default:
		return -EIO;
	}
}

int db_errno(const struct db *db)
{
	if (!db->conn)
		return -EIO;
	switch (sqlite3_errcode(db->conn) & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	default:
		return io_errno();
	}
}

int db_open(struct db *db, const char *path, int flags)
{
	int r;

	errno = 0;
	r = sqlite3_open_v2(path, &db->conn, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (!db->conn)
		return -ENOMEM;
	if (r != SQLITE_OK)
		return db_errno(db);
	sqlite3_extended_result_codes(db->conn, 1);
	/* its statements are kept, so it allocates little: 100 KiB for that are not worth it */
	sqlite3_db_config(db->conn, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	sqlite3_busy_timeout(db->conn, BUSY_MS);
	return 0;
}

void db_close(struct db *db)
{
	for (unsigned i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(take_ptr(db->stmt[i]));
	sqlite3_close(take_ptr(db->conn));
}

sqlite3_stmt *db_stmt(struct db *db, enum statement which)
{
	errno = 0;
	if (!db->stmt[which] && db->conn)
		sqlite3_prepare_v3(db->conn, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
				   &db->stmt[which], NULL);
	return db->stmt[which];
}

/* The number is taken before the reset; what is bound is borrowed, so let go of at once. */
int db_run(struct db *db, sqlite3_stmt *stmt)
{
	int r;

	if (!stmt)
		return db_errno(db);
	errno = 0;
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW)
		;
	r = r == SQLITE_DONE ? 0 : db_errno(db);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

int db_each(struct db *db, sqlite3_stmt *stmt, int (*row)(sqlite3_stmt *stmt, void *arg), void *arg)
{
	int n = 0, r = 0, step;

	if (!stmt)
		return db_errno(db);
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW && r >= 0) {
		r = row(stmt, arg);
		n++;
	}
	if (r >= 0 && step != SQLITE_DONE)
		r = db_errno(db);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r < 0 ? r : n;
}

int db_do(struct db *db, enum statement which)
{
	return db_run(db, db_stmt(db, which));
}

int db_exec(struct db *db, const char *sql)
{
	if (!db->conn)
		return -EIO;
	errno = 0;
	return sqlite3_exec(db->conn, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_errno(db);
}

/* The first column of the first row; 0 if there is none. */
int db_number(struct db *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	int r;

	errno = 0;
	if (sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
		return db_errno(db);
	r = sqlite3_step(stmt);
	if (r == SQLITE_ROW || r == SQLITE_DONE)
		*ret = r == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	r = r == SQLITE_ROW || r == SQLITE_DONE ? 0 : db_errno(db);
	sqlite3_finalize(stmt);
	return r;
}

int db_meta_get(struct db *db, const char *key, char *buf, size_t size)
{
	sqlite3_stmt *stmt = db_stmt(db, SQL_META_GET);
	const char *text;
	int r;

	if (!stmt)
		return db_errno(db);
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	r = sqlite3_step(stmt);
	text = r == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	if (text && strlen(text) >= size)
		r = -ENOBUFS;
	else if (text)
		r = snprintf(buf, size, "%s", text) < 0 ? -EIO : 0;
	else
		r = r == SQLITE_DONE ? -ENOENT : db_errno(db);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

int db_meta_number(struct db *db, const char *key, uint64_t *ret)
{
	char text[32];
	int r = db_meta_get(db, key, text, sizeof(text));

	if (r < 0 && r != -ENOENT)
		return r;
	*ret = r == 0 ? strtoull(text, NULL, 10) : 0;
	return 0;
}

int db_meta_put(struct db *db, const char *key, const char *value)
{
	sqlite3_stmt *stmt = db_stmt(db, SQL_META_PUT);

	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
	return db_run(db, stmt);
}

int db_meta_put_number(struct db *db, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return db_meta_put(db, key, text);
}
