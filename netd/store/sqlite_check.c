/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_check.c - whether a database is whole, and one to look at
 *
 * Room: store; reads only.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

int db_integrity(struct db *db, const char *table, void (*each)(void *arg, const char *words),
		 void *arg)
{
	sqlite3_stmt *stmt = NULL;
	int n = 0, r;
	char sql[64];

	snprintf(sql, sizeof(sql), table ? "PRAGMA integrity_check('%s')" : "PRAGMA integrity_check",
		 table);
	errno = 0;
	if (!db->conn || sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
		return db_errno(db);
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *words = (const char *)sqlite3_column_text(stmt, 0);

		if (!words || strcmp(words, "ok") == 0)
			continue;
		each(arg, words);
		n++;
	}
	r = r == SQLITE_DONE ? n : db_errno(db);
	sqlite3_finalize(stmt);
	return r;
}

int sqlite_integrity(struct backend *b, void (*each)(void *arg, const char *words), void *arg)
{
	return db_integrity(&((struct sqlite *)b)->reader, NULL, each, arg);
}

static void close_view(struct backend *b, uint64_t rev)
{
	(void)rev;
	sqlite_free((struct sqlite *)b);
}

static const struct backend_ops view_ops = {
	.close = close_view, .load = sqlite_load, .load_claims = sqlite_load_claims,
	.meta_get = sqlite_meta_get, .history = sqlite_read_all_history,
};

static int look(struct sqlite *s)
{
	struct counter c = { 0 };
	int64_t version = 0;
	int r = db_open(&s->reader, s->path[FILE_DATABASE], SQLITE_OPEN_READONLY);

	if (r == 0)
		r = db_exec(&s->reader, "PRAGMA mmap_size = 0; BEGIN");
	if (r == 0)
		r = schema_known(&s->reader, &version, s->b.error);
	if (r == 0 && !version) {
		snprintf(s->b.error, sizeof(s->b.error), "it is empty");
		r = -EBADMSG;
	}
	if (r == 0)
		r = sqlite_counter(&s->reader, &c);
	s->b.rev = c.clean ? c.clean : c.ceiling;
	return r;
}

int sqlite_open_view(const char *path, struct backend **ret, char error[STORE_WORDS])
{
	_cleanup_(sqlite_freep) struct sqlite *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	s->witness = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->read_lock, NULL);
	s->b.ops = &view_ops;
	r = sqlite_set_paths(s, path);
	if (r == 0)
		r = look(s);
	if (r < 0) {
		snprintf(error, STORE_WORDS, "%s", s->b.error[0] ? s->b.error : s->reader.conn ?
			 sqlite3_errmsg(s->reader.conn) : strerror(-r));
		return r;
	}
	*ret = &take_ptr(s)->b;
	return 0;
}
