/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_check.c - whether a database is whole, and one to look at
 *
 * Room: store; reads only.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/store/sqlite.h>
#include <signal.h>
#include <stdio.h>

/* Of @table and its indexes, NULL: of everything; as store_integrity(). */
static int look_at(struct db *db, const char *pragma, const char *table,
		   void (*each)(void *arg, const char *words), void *arg)
{
	sqlite3_stmt *stmt = NULL;
	int n = 0, r;
	char sql[64];

	snprintf(sql, sizeof(sql), table ? "PRAGMA %s('%s')" : "PRAGMA %s", pragma, table);
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

/*
 * What is loaded and what writes rest on is looked at while it is loaded, by a thread with a
 * connection of its own.  To look each row up in the index, as SQLite does to compare the two, takes
 * as long as all the rest of it; so the index is read in its own order here, and is of the same rows
 * as the table when the sums over both are the same.  The history, by far the largest part, is left
 * to netd --check: when it cannot be read, watches begin anew.
 */
static void keep_first(void *arg, const char *words)
{
	struct sqlite *s = arg;

	if (!s->complaint[0])
		snprintf(s->complaint, sizeof(s->complaint), "the database is damaged: %.100s (%.100s)",
			 words, s->path[FILE_DATABASE]);
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static uint64_t mix_text(uint64_t h, const char *text, size_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	if (len)
		memcpy(&word, text, len);
	return mix(h, word);
}

void sqlite_tally_row(struct row_tally *t, sqlite3_stmt *stmt, int rowid)
{
	uint64_t h = mix(0, (uint64_t)sqlite3_column_int64(stmt, rowid));

	for (int i = 0; i < 3; i++) {
		uint64_t type = (uint64_t)sqlite3_column_type(stmt, i);
		const char *text = (const char *)sqlite3_column_text(stmt, i);
		size_t len = (size_t)sqlite3_column_bytes(stmt, i);

		h = mix_text(mix(h, len << 8 | type), text, len);
	}
	t->n++;
	t->sum += h;
}

/** The key of a row of the index and of the one before it: kind, ns, name, each with its NUL. */
struct walk {
	struct row_tally *tally;
	char key[2][1024];
	unsigned now;
};

static bool ascends(struct walk *w, sqlite3_stmt *stmt)
{
	char *key = w->key[w->now ^= 1];
	size_t n = 0;

	for (int i = 0; i < 3; i++) {
		const char *text = (const char *)sqlite3_column_text(stmt, i);
		size_t len = text ? strnlen(text, sizeof(w->key[0]) / 3 - 1) : 0;

		if (len)
			memcpy(key + n, text, len);
		key[n + len] = '\0';
		n += len + 1;
	}
	return memcmp(w->key[w->now ^ 1], key, n) <= 0;
}

static int index_row(sqlite3_stmt *stmt, void *arg)
{
	struct walk *w = arg;

	sqlite_tally_row(w->tally, stmt, 3);
	return ascends(w, stmt) ? 0 : -EBADMSG;
}

static int table_row(sqlite3_stmt *stmt, void *arg)
{
	sqlite_tally_row(arg, stmt, 3);
	return 0;
}

static int read_index(struct db *db, struct sqlite *s)
{
	struct walk w = { .tally = &s->indexed };
	int r = db_each(db, db_stmt(db, SQL_INDEX), index_row, &w);

	if (r == -EBADMSG)
		keep_first(s, "the index object_key is not in order");
	return r < 0 ? r : 0;
}

static int examine(struct sqlite *s, struct db *db)
{
	static const struct { const char *pragma, *table; } looks[] = {
		{ "quick_check", "object" }, { "integrity_check", "claim" },
		{ "integrity_check", "meta" }, { "integrity_check", "mark" },
		{ "integrity_check", "gap" },
	};
	int r = db_open(db, s->path[FILE_DATABASE], SQLITE_OPEN_READONLY);

	if (r == 0)
		r = db_exec(db, "PRAGMA cache_size = -512; PRAGMA mmap_size = 0");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(looks); i++)
		r = look_at(db, looks[i].pragma, looks[i].table, keep_first, s);
	return r == 0 ? read_index(db, s) : r;
}

static void *examiner(void *arg)
{
	struct sqlite *s = arg;
	struct db db = { 0 };
	int r = examine(s, &db);

	if (r < 0 && !s->complaint[0])
		snprintf(s->complaint, sizeof(s->complaint), "%.100s (%.100s)",
			 db.conn ? sqlite3_errmsg(db.conn) : strerror(-r), s->path[FILE_DATABASE]);
	db_close(&db);
	s->examined = r > 0 ? -EBADMSG : r;
	return NULL;
}

/* Signals are the loop's. */
int sqlite_examine(struct sqlite *s)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->examiner, NULL, examiner, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->examining = r == 0;
	return -r;
}

void sqlite_join_examiner(struct sqlite *s)
{
	if (s->examining)
		pthread_join(s->examiner, NULL);
	s->examining = false;
}

/* Mostly all rows were loaded meanwhile. */
static int compare_rows(struct sqlite *s)
{
	int r = 0;

	if (!s->counted) {
		s->loaded = (struct row_tally){ 0 };
		r = db_each(&s->reader, db_stmt(&s->reader, SQL_KEYS), table_row, &s->loaded);
	}
	if (r < 0)
		return r;
	if (s->loaded.n == s->indexed.n && s->loaded.sum == s->indexed.sum)
		return 0;
	keep_first(s, "the index object_key is not that of the rows");
	return -EBADMSG;
}

int sqlite_judge(struct sqlite *s)
{
	bool first = s->examining;

	sqlite_join_examiner(s);
	if (first && s->examined == 0)
		s->examined = compare_rows(s);
	return s->examined;
}

int sqlite_integrity(struct backend *b, void (*each)(void *arg, const char *words), void *arg)
{
	return look_at(&((struct sqlite *)b)->reader, "integrity_check", NULL, each, arg);
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
