/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.h - objects as bytes: the interface that sqlite.c and memory.c implement
 *
 * Room: (kind, namespace/name) -> (revision, bytes), claims, and the history that watches resume
 * from.  The revision of each write is given by the caller, from store_next_revision(), and grows
 * with each write; batches commit in the order they were submitted, on a thread of the store's own
 * (group commit: what arrives while one transaction commits is the next one).  If a transaction
 * fails, every batch submitted after it that had not been committed fails with it, since it was
 * built on top.  Revisions never go back, also across restarts, a lost tail and an older database in
 * its place: a ceiling is stored ahead, a witness outside, and the time is a floor.
 *
 * Durable batches are fsynced (WAL, synchronous=FULL).  A transaction that holds only batches
 * marked "soft" (status that the kernel can tell again) is committed without the fsync.
 */
#ifndef NETD_STORE_H
#define NETD_STORE_H

#include <netd/base/loop.h>

#define STORE_WORDS 256         /* room for the words of an error */

struct store;

enum store_op_type { STORE_PUT, STORE_DELETE, STORE_CLAIM, STORE_RELEASE };

/** One change.  Strings are borrowed until the batch is done; keep them in the batch's arena. */
struct store_op {
	enum store_op_type type;
	uint64_t rev;               /* PUT, DELETE: revision of the write */
	const char *kind;           /* "pods" or "networks.podnet.dev"; CLAIM: "ip", "block", ... */
	const char *ns, *name;      /* ns "" for cluster scope; CLAIM, RELEASE: name is the key */
	struct bytes *bytes;        /* PUT: the object; DELETE: its last state with the new revision */
	struct bytes *prev;         /* the state before, or NULL: what selectors of a watch need */
	const char *owner;          /* CLAIM: uid of the owner */
	int64_t free_after;         /* RELEASE: seconds since the epoch until nobody may have it */
	bool cooled;                /* CLAIM: the caller knows by a better clock that it is free */
	bool quiet;                 /* PUT, DELETE: no event is kept of it, and its revision is any */
};

struct store_batch {
	struct qnode node;
	struct arena arena;
	struct store_op *ops;
	size_t n;
	bool soft;
	bool probe;                 /* the store's own: see whether it takes writes again */
	unsigned epoch;             /* the store's own */
	int rc;                     /* result: 0, -ENOSPC, -EROFS, -EIO, -EBADMSG (corrupt) ... */
	char error[STORE_WORDS];    /* result: the database's words, and which it is */
	uint64_t commit_us;         /* result: what its transaction took; first batch of one only */
	void (*done)(struct store_batch *batch);    /* called on the loop's thread; owns the batch */
	void *arg;
};

struct store_config {
	const char *path;           /* the database; NULL: memory */
	struct loop *loop;          /* where done() is called */
	const char *witness;        /* a file beside it, that outlives the process; NULL: none */
	int64_t now_ms;             /* clock at start: the first revision of this run is no less */
	unsigned history_events;    /* 0: LIMIT_HISTORY_EVENTS */
	/* revisions are another's, who has what is lost here: counting goes on from what is there */
	bool replica;
	/* whether the database is sound is found out beside what reads it: see store_examined() */
	bool examine_beside;
};

int store_open(const struct store_config *conf, struct store **ret, char error[STORE_WORDS]);
/**
 * store_examined() - wait until it is known that the database is sound, and begin to write
 *
 * For who has opened it with examine_beside, behind store_load(): it reads meanwhile, and whatever it
 * finds there, this is the better answer.  store_open() without it has done this by itself.  Nothing
 * may be submitted earlier; store_meta_put() waits itself.
 * Return: 0, -EBADMSG and @error of a damaged one, or what store_open() returns.
 */
int store_examined(struct store *store, char error[STORE_WORDS]);
/** store_close() - commits what was submitted, calls done() for it, joins the thread */
void store_close(struct store *store);
DEFINE_CLEANUP(struct store, store_close)

uint64_t store_revision(const struct store *store);         /* last given out */
/**
 * store_behind() - whether writes were acknowledged that are not there at the start: the log was lost, or
 * an older database put in its place; @there: the last revision in it, @was: the last known
 */
bool store_behind(const struct store *store, uint64_t *there, uint64_t *was);
/** store_restored() - the revision at which the copy was made that was put in place; 0: it is none */
uint64_t store_restored(const struct store *store);
/** store_lost() - whether who has seen revision @rev may have seen what is not there any more */
bool store_lost(struct store *store, uint64_t rev);
uint64_t store_next_revision(struct store *store);          /* loop's thread only */
/** store_seen() - of a replica: revisions up to @rev were given out elsewhere */
void store_seen(struct store *store, uint64_t rev);
void store_submit(struct store *store, struct store_batch *batch);

/**
 * store_health() - 0, or the error that transactions fail with, and its words
 *
 * The error of a database (no room, read-only, an I/O error), not a refusal of one batch.  While it
 * lasts every batch is tried all the same, and by itself the store tries a small one each second;
 * the first that commits ends it.  But -EBADMSG stays: nothing more is written to a database that
 * was seen to be damaged.
 */
int store_health(const struct store *store, const char **words);
/** store_on_health() - @changed is called on the loop's thread when store_health() changes */
void store_on_health(struct store *store, void (*changed)(void *arg), void *arg);

/* Reading, on the loop's thread; all of it committed. */
int store_load(struct store *store,
	       int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			   uint64_t rev, const char *bytes, size_t len), void *arg);
int store_load_claims(struct store *store,
		      int (*each)(void *arg, const char *kind, const char *key, const char *owner,
				  int64_t free_after), void *arg);
int store_meta_get(struct store *store, const char *key, char *buf, size_t size);  /* -ENOENT */
int store_meta_put(struct store *store, const char *key, const char *value);    /* durable, at start */

enum store_event_type { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };
/**
 * store_history() - events of @kind (NULL: all) after revision @after, in order, at most @max
 *
 * @each ends it early with a negative number, which is returned.
 * Return: number delivered, or -ESTALE when some of them were trimmed: list again (410).
 */
int store_history(struct store *store, const char *kind, uint64_t after, unsigned max,
		  int (*each)(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
			      const char *ns, const char *name, const char *bytes, size_t len,
			      const char *prev, size_t prev_len), void *arg);

/**
 * store_open_view() - the database at @path as it is now, to be read only, also beside a netd that runs
 *
 * What is read of it is one snapshot, the history from 0 on included.  For store_load(),
 * store_load_claims(), store_history(), store_meta_get(), store_revision(), store_integrity() and
 * store_close(); the rest may not be called.
 */
int store_open_view(const char *path, struct store **ret, char error[STORE_WORDS]);
/**
 * store_backup() - a copy of the database at @path, also while a netd writes to it
 *
 * Mode 0600, on the disk when it returns, and named @to then and not before; what is there is never
 * replaced (-EEXIST).  @rev: the last revision in it.
 */
int store_backup(const char *path, const char *to, uint64_t *rev, char error[STORE_WORDS]);
/**
 * store_integrity() - the database's own look at itself
 * Return: how many complaints @each was called with, or negative errno.
 */
int store_integrity(struct store *view, void (*each)(void *arg, const char *words), void *arg);

#endif
