/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rewrite.c - what could not be written is written later
 *
 * Room: reconcile.  A status, and the word that something is gone from the kernel, are written when
 * the kernel is so, and nobody waits for them.  When such a write fails, the disk being full say,
 * everything is looked at once more as soon as writes succeed: what the kernel has is told again
 * where it is not told yet, and tombstones that stand for nothing any more go.
 */
#include "inner.h"

#include <errno.h>

#define LATER_MS        1000
#define MOST            400     /* tombstones in a transaction */

void rewrite_written(void *arg, int rc, const char *error)
{
	struct reconcile *rec = arg;
	const char *words;

	(void)error;
	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	rec->unwritten = true;
	if (state_health(rec->conf.state, &words) == 0)     /* else rewrite_mended() is called */
		loop_timer_set(rec->rewrite, LATER_MS);
}

void rewrite_mended(void *arg)
{
	struct reconcile *rec = arg;

	if (rec->unwritten)
		loop_timer_set(rec->rewrite, 0);
}

struct forgetting {
	struct reconcile *rec;
	struct txn *txn;
	size_t n;
};

/* Done with, unless a scope still has it among what may be in the kernel. */
static bool is_done(const struct reconcile *rec, const struct object *last)
{
	const struct scope *scope = scope_find(rec, last->meta->uid);

	if (!scope)
		return true;
	if (scope->npast)
		return last->rev < scope->past[0]->rev;
	return scope->now && last->rev < scope->now->rev;
}

static int forget_one(void *arg, struct object *last)
{
	struct forgetting *f = arg;

	if (!scope_is_ours(f->rec, last) || !is_done(f->rec, last))
		return 0;
	if (f->n++ == MOST)
		return 1;
	return txn_teardown_done(f->txn, last->meta->uid, last->rev);
}

/* Return: 1 when there are more. */
static int forget(struct reconcile *rec)
{
	struct forgetting f = { .rec = rec };
	int r = txn_new(rec->conf.state, &f.txn);

	if (r == 0)
		r = state_each_tombstone(rec->conf.state, forget_one, &f);
	if (r < 0 || !f.n)
		txn_drop(f.txn);
	else
		txn_submit(f.txn, true, rewrite_written, rec);
	return r;
}

void rewrite_all(void *arg)
{
	struct reconcile *rec = arg;
	const char *words;
	struct scope *scope;
	size_t pos = 0;

	if (!rec->begun || !rec->unwritten || state_health(rec->conf.state, &words) < 0)
		return;
	rec->unwritten = false;
	while ((scope = map_next(&rec->scopes, &pos)))
		scope->told = 0;
	if (forget(rec) != 0)
		rewrite_written(rec, -EAGAIN, NULL);
	if (rec->node_known)
		node_report(rec);
	reconcile_mark_all(rec, 0);
}
