/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.h - what store.c asks of a place that keeps bytes
 *
 * Room: store.  begin, apply, commit, rollback, tidy run on the writer's thread, the rest on the
 * loop's; examined() comes before all of the former.  May include: netd/base.
 */
#ifndef NETD_STORE_BACKEND_H
#define NETD_STORE_BACKEND_H

#include <netd/store/store.h>

struct backend {
	const struct backend_ops *ops;
	uint64_t rev;               /* at open: the last revision that may have been given out */
	uint64_t ceiling;           /* at open: what a durable transaction promised not to pass */
	/* at open: the last revision in it, when a later one, `was`, is known to have been committed */
	uint64_t there, was;
	uint64_t restored;          /* at open: it is a copy, made at this revision */
	int failing;                /* at open: it can be read, and not be written yet; why */
	char error[STORE_WORDS];    /* of the writer's last failure */
};

struct backend_ops {
	/* what store_examined() waits for, before anything is written; NULL: nothing */
	int (*examined)(struct backend *b);
	void (*close)(struct backend *b, uint64_t rev);     /* everything committed up to @rev */
	int (*begin)(struct backend *b, bool durable);
	int (*apply)(struct backend *b, const struct store_op *op);
	int (*ceiling)(struct backend *b, uint64_t rev);    /* in the open transaction */
	int (*commit)(struct backend *b);
	void (*rollback)(struct backend *b);
	int (*probe)(struct backend *b);        /* a small durable write that changes nothing */
	/* a piece of work that no client waits for; true: there was some.  @must: only what presses */
	bool (*tidy)(struct backend *b, bool must);
	bool (*untidy)(const struct backend *b);
	int (*load)(struct backend *b,
		    int (*each)(void *arg, const char *kind, const char *ns, const char *name,
				uint64_t rev, const char *bytes, size_t len), void *arg);
	int (*load_claims)(struct backend *b,
			   int (*each)(void *arg, const char *kind, const char *key,
				       const char *owner, int64_t free_after), void *arg);
	int (*meta_get)(struct backend *b, const char *key, char *buf, size_t size);
	int (*meta_put)(struct backend *b, const char *key, const char *value);
	/* whether some of what was committed up to @rev may be lost */
	bool (*lost)(struct backend *b, uint64_t rev);
	int (*history)(struct backend *b, const char *only, uint64_t after, unsigned max,
		       int (*each)(void *arg, uint64_t rev, enum store_event_type type,
				   const char *kind, const char *ns, const char *name,
				   const char *bytes, size_t len, const char *prev,
				   size_t prev_len), void *arg);
};

int sqlite_open(const struct store_config *conf, struct backend **ret, char error[STORE_WORDS]);
int sqlite_open_view(const char *path, struct backend **ret, char error[STORE_WORDS]);
int sqlite_integrity(struct backend *b, void (*each)(void *arg, const char *words), void *arg);
int memory_open(const struct store_config *conf, struct backend **ret);

/** first_revision() - the revision before the first one of a new store */
static inline uint64_t first_revision(const struct store_config *conf)
{
	return conf->now_ms > 1 ? (uint64_t)conf->now_ms - 1 : 0;
}

#endif
