/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_files.c - what happens to the database's files while netd runs
 *
 * Room: store; with the writer's lock held.  SQLite goes on with the files it has open, also when
 * their names are gone: what it then commits is lost with the process, and another process that
 * opens the database makes a log and an index of its own.  So before each transaction the names are
 * looked at (three stat(2), no open: that would drop SQLite's locks).  A log or index that was
 * deleted is mended by bringing all to the database and opening both connections anew; a database
 * that was deleted or replaced, or a log that was cut off, is nothing that may be written to.
 *
 * After an fsync that failed the kernel may hold for clean what never reached the disk, and the next
 * fsync says nothing of it.  A commit behind such a hole would be lost in a crash.  So everything
 * is brought to the database first, and the log begins anew.  May include: netd/base, sqlite3.
 * #syscalls: stat newfstatat statx statfs fstatfs
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define FRAME           (4096 + 24)     /* of the log: a page and its header */
#define LOG_HEADER      32
#define ROOM_BYTES      (1024 * 1024)   /* that must be free before the disk is said to have room */

void sqlite_files_note(struct sqlite *s)
{
	struct stat st;

	for (int i = 0; i < FILE_COUNT; i++) {
		if (stat(s->path[i], &st) < 0)
			memset(&st, 0, sizeof(st));
		s->file[i].dev = st.st_dev;
		s->file[i].ino = st.st_ino;
	}
}

static bool is_there(const struct sqlite *s, int i, struct stat *st)
{
	return stat(s->path[i], st) == 0 && st->st_dev == s->file[i].dev &&
	       st->st_ino == s->file[i].ino;
}

static bool is_cut_off(const struct sqlite *s, const struct stat *log)
{
	int pages = __atomic_load_n(&s->log_pages, __ATOMIC_RELAXED);

	return pages && log->st_size < LOG_HEADER + (off_t)pages * FRAME;
}

/* The log holds nothing any more that the database has not, and the next frame is its first. */
static int empty_log(struct sqlite *s)
{
	int all = 0, done = 0;

	errno = 0;
	if (sqlite3_wal_checkpoint_v2(s->writer.conn, NULL, SQLITE_CHECKPOINT_RESTART, &all,
				      &done) != SQLITE_OK)
		return sqlite_fail(s, db_errno(&s->writer));
	__atomic_store_n(&s->wal_pages, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->log_pages, 0, __ATOMIC_RELAXED);
	s->unsynced = false;
	return 0;
}

static int refuse(struct sqlite *s, const char *words)
{
	snprintf(s->b.error, sizeof(s->b.error), "%s (%.150s)", words, s->path[FILE_DATABASE]);
	return -EIO;
}

static int reconnect(struct sqlite *s)
{
	int r;

	pthread_mutex_lock(&s->read_lock);
	db_close(&s->reader);
	db_close(&s->writer);
	r = sqlite_connect(s);
	pthread_mutex_unlock(&s->read_lock);
	return r;
}

/* What was committed to a log without a name is in the database before that log is let go. */
static int reopen(struct sqlite *s)
{
	int r = empty_log(s);

	if (r == 0)
		r = reconnect(s);
	log_event(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
		  r < 0 ? "store_log_deleted" : "store_log_made_anew", "path=%s",
		  s->path[FILE_LOG]);
	return r;
}

int sqlite_files(struct sqlite *s)
{
	struct stat st;

	if (!is_there(s, FILE_DATABASE, &st))
		return refuse(s, "the database was deleted or replaced while netd had it open");
	if (!s->writer.conn)
		return reconnect(s);
	if (!is_there(s, FILE_LOG, &st))
		return reopen(s);
	if (is_cut_off(s, &st) && !__atomic_load_n(&s->wal_pages, __ATOMIC_RELAXED))
		return reopen(s);       /* nothing was in it that is not in the database */
	if (is_cut_off(s, &st))
		return refuse(s, "the database's log was cut off while netd had it open");
	if (!is_there(s, FILE_INDEX, &st))
		return reopen(s);
	return s->unsynced ? empty_log(s) : 0;
}

/* A write of the smallest size may well fit where the next one would not. */
static bool has_room(const struct sqlite *s)
{
	off_t used = LOG_HEADER + (off_t)__atomic_load_n(&s->wal_pages, __ATOMIC_RELAXED) * FRAME;
	struct statvfs fs;
	struct stat log;

	if (stat(s->path[FILE_LOG], &log) == 0 && log.st_size - used >= ROOM_BYTES)
		return true;
	return statvfs(s->path[FILE_DATABASE], &fs) < 0 ||
	       (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM_BYTES;
}

int sqlite_probe(struct backend *b)
{
	struct sqlite *s = (struct sqlite *)b;
	int r;

	pthread_mutex_lock(&s->lock);
	sqlite_checkpoint(s);
	pthread_mutex_unlock(&s->lock);
	r = b->ops->begin(b, true);
	if (r < 0)
		return r;
	r = db_meta_put_number(&s->writer, META_PROBE, (uint64_t)now_realtime_s());
	if (r < 0)
		sqlite_fail(s, r);
	if (r == 0 && !has_room(s)) {
		refuse(s, "the disk is nearly full");
		r = -ENOSPC;
	}
	if (r == 0)
		r = b->ops->commit(b);
	if (r < 0)
		b->ops->rollback(b);
	else
		s->log_ready = false;   /* it may be lengthened now */
	return r;
}
