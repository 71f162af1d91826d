/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit.c - what one durable commit of SQLite costs on this disk
 *
 * Room: tests/bench; SQLite.  The peer that netd's writes are compared with: write-ahead log,
 * synchronous=FULL, one INSERT of a row as large as an object in a transaction of its own.
 */
#include "bench.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct commit {
	sqlite3 *db;
	sqlite3_stmt *insert, *one, *all;
	char *row;
	size_t size;
	sqlite3_int64 next;
};

static const char schema[] =
	"PRAGMA journal_mode=WAL;"
	"PRAGMA synchronous=FULL;"
	"CREATE TABLE object(kind TEXT, ns TEXT, name TEXT, rev INTEGER, bytes BLOB,"
	" PRIMARY KEY (kind, ns, name)) WITHOUT ROWID;";

struct commit *commit_open(const char *dir, size_t row_size)
{
	static const char insert[] = "INSERT INTO object VALUES ('pods', 'default', ?1, ?1, ?2)";
	static const char one[] =
		"SELECT rev, bytes FROM object WHERE kind = 'pods' AND ns = 'default' AND name = ?1";
	static const char all[] =
		"SELECT name, rev, bytes FROM object WHERE kind = 'pods' AND ns = 'default'";
	struct commit *c = calloc(1, sizeof(*c));
	char path[600];

	if (!c || !(c->row = malloc(row_size)))
		die("out of memory");
	memset(c->row, 'x', row_size);
	c->size = row_size;
	snprintf(path, sizeof(path), "%s/commit.db", dir);
	if (sqlite3_open(path, &c->db) != SQLITE_OK ||
	    sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, insert, -1, &c->insert, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, one, -1, &c->one, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, all, -1, &c->all, NULL) != SQLITE_OK)
		die("%s: %s", path, sqlite3_errmsg(c->db));
	return c;
}

double commit_once(struct commit *c)
{
	uint64_t start = now_ns();

	sqlite3_bind_int64(c->insert, 1, c->next++);
	sqlite3_bind_blob(c->insert, 2, c->row, (int)c->size, SQLITE_STATIC);
	if (sqlite3_step(c->insert) != SQLITE_DONE || sqlite3_reset(c->insert) != SQLITE_OK)
		die("the peer's commit: %s", sqlite3_errmsg(c->db));
	return ms_since(start);
}

void commit_select(struct commit *c, unsigned i)
{
	char name[32];

	snprintf(name, sizeof(name), "%u", i);
	sqlite3_bind_text(c->one, 1, name, -1, SQLITE_STATIC);
	if (sqlite3_step(c->one) != SQLITE_ROW ||
	    sqlite3_column_bytes(c->one, 1) != (int)c->size || !sqlite3_column_blob(c->one, 1))
		die("the peer has no row %u: %s", i, sqlite3_errmsg(c->db));
	sqlite3_reset(c->one);
}

size_t commit_select_all(struct commit *c)
{
	size_t n = 0;

	while (sqlite3_step(c->all) == SQLITE_ROW)
		n += sqlite3_column_blob(c->all, 2) ? (size_t)sqlite3_column_bytes(c->all, 2) : 0;
	sqlite3_reset(c->all);
	return n;
}

void commit_close(struct commit *c)
{
	sqlite3_finalize(c->one);
	sqlite3_finalize(c->all);
	sqlite3_finalize(c->insert);
	sqlite3_close(c->db);
	free(c->row);
	free(c);
}
