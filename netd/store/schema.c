/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * schema.c - the tables, and the way from older ones
 *
 * Room: the file's identity and version.  steps[] leads from each version to the next; a row is
 * never changed once it was released.  A file that is newer than this netd, or not netd's, is
 * refused and left alone.  May include: netd/base, sqlite3.
 */
#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/log.h>
#include <netd/store/sqlite.h>
#include <stdio.h>

#define APPLICATION_ID  0x706f646e      /* "podn" */

/*
 * object is a rowid table: an index b-tree would push every object of more than 1 KiB to overflow
 * pages of its own.  event is append-only.  mark says how far the events came at what time, and
 * how many they were since the mark before, so that trimming need not look at them.  gap holds
 * ranges of revisions of which something may be lost: who has seen one of them has to list again.
 */
static const char *const steps[] = {
	"CREATE TABLE object (kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,"
	"  rev INTEGER NOT NULL, bytes BLOB NOT NULL);"
	"CREATE UNIQUE INDEX object_key ON object (kind, ns, name);"
	"CREATE TABLE event (rev INTEGER PRIMARY KEY, kind TEXT NOT NULL, ns TEXT NOT NULL,"
	"  name TEXT NOT NULL, type INTEGER NOT NULL, bytes BLOB NOT NULL, prev BLOB);"
	"CREATE TABLE claim (kind TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL,"
	"  free_after INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;"
	"CREATE INDEX claim_free ON claim (free_after) WHERE owner = '';"
	"CREATE TABLE mark (rev INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
	"  events INTEGER NOT NULL);"
	"CREATE TABLE gap (low INTEGER PRIMARY KEY, high INTEGER NOT NULL);"
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
};

/* A test build has one more step when the environment says which: how the next one will go. */
static const char *next_step(void)
{
#ifdef PODNET_FAULT
	return getenv("PODNET_FAULT_SCHEMA");
#else
	return NULL;
#endif
}

static int64_t newest(void)
{
	return (int64_t)ARRAY_SIZE(steps) + (next_step() != NULL);
}

static int upgrade(struct db *db, int64_t from)
{
	char sql[96];
	int r = 0;

	for (int64_t i = from; r == 0 && i < newest(); i++)
		r = db_exec(db, i < (int64_t)ARRAY_SIZE(steps) ? steps[i] : next_step());
	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
		 APPLICATION_ID, (long long)newest());
	return db_exec(db, sql);
}

/* In one transaction, so that a crash leaves the old version or the new one. */
static int upgrade_at_once(struct db *db, int64_t from, uint64_t first)
{
	int r = db_exec(db, "BEGIN IMMEDIATE");

	if (r == 0)
		r = upgrade(db, from);
	if (r == 0 && from == 0)
		r = db_meta_put_number(db, META_TRIMMED, first);
	if (r == 0 && from == 0)
		r = db_meta_put_number(db, META_CLEAN, first);
	if (from > 0)
		fault_point("schema-before-commit");
	if (r == 0)
		r = db_exec(db, "COMMIT");
	if (r < 0)
		sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* An older netd refuses what a newer one has made of its database: the copy is the way back. */
static int copy_first(const char *path, int64_t from, char error[STORE_WORDS])
{
	_cleanup_free_ char *to = NULL;
	char words[STORE_WORDS];
	uint64_t rev;
	int r;

	if (asprintf(&to, "%s.schema-%lld", path, (long long)from) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	r = sqlite_backup(path, to, true, &rev, words);
	if (r < 0)
		snprintf(error, STORE_WORDS, "no copy could be made before the upgrade of schema %lld: "
			 "%.180s", (long long)from, words);
	else
		log_event(LOG_LEVEL_INFO, "schema_upgrade", "from=%lld to=%lld copy=%s",
			  (long long)from, (long long)newest(), to);
	return r;
}

int schema_known(struct db *db, int64_t *version, char error[STORE_WORDS])
{
	int64_t application = 0, tables = 0;
	int r = db_number(db, "PRAGMA user_version", version);

	if (r == 0)
		r = db_number(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = db_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r;
	if (application != APPLICATION_ID && (application || *version || tables)) {
		snprintf(error, STORE_WORDS, "this is a database of another program");
		return -EBADMSG;
	}
	if (*version < 0 || *version > newest()) {
		snprintf(error, STORE_WORDS,
			 "schema version %lld is newer than this netd, which knows %lld",
			 (long long)*version, (long long)newest());
		return -ENOTSUP;
	}
	return 0;
}

int schema_ensure(struct db *db, const char *path, uint64_t first, char error[STORE_WORDS])
{
	int64_t version = 0;
	int r = schema_known(db, &version, error);

	if (r < 0 || version == newest())
		return r;
	if (version > 0)
		r = copy_first(path, version, error);
	if (r < 0)
		return r;
	fault_point("schema-copied");
	r = upgrade_at_once(db, version, first);
	if (version > 0)
		fault_point("schema-after-commit");
	return r;
}
