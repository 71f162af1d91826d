/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sqlite_check.c - whether a database is whole
 *
 * Room: store.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

static int check_row(void *arg, int n, char **value, char **name)
{
	(void)name;
	if (n > 0 && value[0] && !*(char *)arg)
		snprintf(arg, STORE_WORDS, "%s", value[0]);
	return 0;
}

int store_check(const char *path, char error[STORE_WORDS])
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
		snprintf(error, STORE_WORDS, "%s", db.conn ? sqlite3_errmsg(db.conn) : strerror(-r));
	db_close(&db);
	return r;
}
