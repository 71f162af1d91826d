/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_backup.c - a whole copy of a database, and a copy that was put in its place
 *
 * Room: store.  The copy is made of one snapshot, beside whoever writes, under a name of its own; it
 * gets its name when it is on the disk.  It carries a mark by which the next start knows it for a
 * copy.  It is not in write-ahead mode, as no database of netd ever is: so a log that lies beside
 * one is the log of the database that was there before, and must not be read into it.
 * May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <fcntl.h>
#include <netd/base/fault.h>
#include <netd/store/sqlite.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define WRITE_VERSION   18      /* of the header: 1 rollback journal, 2 write-ahead log */

/* Locked, so that two backups to one name do not write into each other. */
static int make_part(const char *part)
{
	int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), r;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 && fchmod(fd, 0600) == 0)
		return fd;
	r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return r;
}

static int copy_into(struct db *from, const char *part)
{
	sqlite3_stmt *stmt = NULL;
	int r;

	errno = 0;
	if (sqlite3_prepare_v2(from->conn, "VACUUM INTO ?1", -1, &stmt, NULL) != SQLITE_OK)
		return db_errno(from);
	sqlite3_bind_text(stmt, 1, part, -1, SQLITE_STATIC);
	r = db_run(from, stmt);
	sqlite3_finalize(stmt);
	return r;
}

static int mark(struct db *copy, uint64_t *rev)
{
	struct counter c = { 0 };
	sqlite3_stmt *stmt;
	int r = db_exec(copy, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");

	if (r == 0)
		r = sqlite_counter(copy, &c);
	if (r == 0)
		r = db_meta_put_number(copy, META_BACKUP, c.last);
	if (r < 0)
		return r;
	*rev = c.last;
	stmt = db_stmt(copy, SQL_META_DEL);
	sqlite3_bind_text(stmt, 1, META_CLEAN, -1, SQLITE_STATIC);
	return db_run(copy, stmt);
}

static int say(const struct db *db, int r, char error[STORE_WORDS])
{
	if (r < 0)
		snprintf(error, STORE_WORDS, "%s", db->conn ? sqlite3_errmsg(db->conn) : strerror(-r));
	return r;
}

static int make_copy(const char *path, const char *part, uint64_t *rev, char error[STORE_WORDS])
{
	struct db from = { 0 }, copy = { 0 };
	int64_t version;
	int r = db_open(&from, path, SQLITE_OPEN_READONLY);

	error[0] = '\0';
	if (r == 0)
		r = schema_known(&from, &version, error);
	if (r == 0)
		r = copy_into(&from, part);
	if (!error[0])
		say(&from, r, error);
	db_close(&from);
	if (r < 0)
		return r;
	fault_point("backup-copied");
	r = db_open(&copy, part, SQLITE_OPEN_READWRITE);
	if (r == 0)
		r = mark(&copy, rev);
	say(&copy, r, error);
	db_close(&copy);
	return r;
}

static int sync_directory(const char *path)
{
	char dir[4096];
	_cleanup_close_ int fd = -1;
	char *slash;

	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int give_name(int fd, const char *part, const char *to, bool replace)
{
	if (fsync(fd) < 0)
		return -errno;
	fault_point("backup-synced");
	if (renameat2(AT_FDCWD, part, AT_FDCWD, to, replace ? 0 : RENAME_NOREPLACE) < 0)
		return -errno;
	return sync_directory(to);
}

int sqlite_backup(const char *path, const char *to, bool replace, uint64_t *rev,
		  char error[STORE_WORDS])
{
	_cleanup_free_ char *part = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!replace && lstat(to, &st) == 0) {
		snprintf(error, STORE_WORDS, "%.200s is there already", to);
		return -EEXIST;
	}
	if (asprintf(&part, "%s.part", to) < 0) {
		part = NULL;
		return -ENOMEM;
	}
	r = fd = make_part(part);
	if (r < 0) {
		snprintf(error, STORE_WORDS, "%.200s: %s", part,
			 r == -EBUSY ? "another backup is writing it" : strerror(-r));
		return r;
	}
	r = make_copy(path, part, rev, error);
	if (r == 0) {
		r = give_name(fd, part, to, replace);
		snprintf(error, STORE_WORDS, "%.200s: %s", to, strerror(-r));
	}
	if (r < 0)
		unlink(part);
	return r;
}

int store_backup(const char *path, const char *to, uint64_t *rev, char error[STORE_WORDS])
{
	return sqlite_backup(path, to, false, rev, error);
}

/* Before SQLite has the file: whether it is a copy with somebody else's log beside it. */
int sqlite_drop_stale_log(const struct sqlite *s)
{
	_cleanup_close_ int fd = open(s->path[FILE_DATABASE], O_RDONLY | O_CLOEXEC);
	unsigned char version = 0;
	struct stat st;

	if (fd < 0 || pread(fd, &version, 1, WRITE_VERSION) != 1 || version != 1 ||
	    stat(s->path[FILE_LOG], &st) < 0)
		return 0;
	if (unlink(s->path[FILE_LOG]) < 0 ||
	    (unlink(s->path[FILE_INDEX]) < 0 && errno != ENOENT))
		return -errno;
	return st.st_size > 0;
}
