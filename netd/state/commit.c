/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit.c - what a transaction becomes: published, or taken back
 *
 * Room: state.  The store commits in the order of submission and calls back in that order; if one
 * fails, everything under way was built on top of it and is taken back at once, so that nothing new
 * is built upon what cannot commit.  May include: store.h, watch, metrics, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>

/* No memory to publish is no reason to undo a commit: the subscribers read the store's history. */
static void publish(struct state *state, const struct txn_write *w)
{
	const struct object *obj = w->now ? w->now : w->last;
	struct hub_event ev = {
		.rev = obj->rev,
		.type = !w->now ? HUB_DELETED : w->before ? HUB_MODIFIED : HUB_ADDED,
		.kind = w->kind,
		.ns = obj->meta->ns,
		.name = obj->meta->name,
		.bytes = obj->bytes,
		.prev = w->before ? w->before->bytes : NULL,
	};

	if (obj->rev > state->revision)
		state->revision = obj->rev;
	if (hub_publish(state->hub, &ev) < 0)
		log_event(LOG_LEVEL_ERROR, "publish_failed", "rev=%llu",
			  (unsigned long long)ev.rev);
	metric_add(METRIC_WRITES, 1);
}

static void index_uid(struct state *state, const struct txn_write *w)
{
	if (w->before)
		map_del(&state->by_uid, w->before->meta->uid);
	if (w->now && map_put(&state->by_uid, w->now->meta->uid, w->now) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=uid_index");
}

/* Who is told of what this node has is not told of what its own version stands before. */
static void tell(struct state *state, const struct txn_write *w)
{
	struct object *was = w->before, *is = w->now;
	bool hidden = w->kind->id == KIND_POD && pending_any(state);

	if (hidden)
		pending_hides(state, w, &was, &is);
	for (size_t k = 0; k < state->nobservers; k++) {
		const struct state_observer *o = &state->observers[k];

		if (!o->here)
			o->changed(o->arg, w->before, w->now);
		else if (was || is)
			o->changed(o->arg, was, is);
	}
	if (hidden)
		pending_moved(state, w);
}

static void commit_write(struct state *state, struct txn_write *w)
{
	const struct object *any = w->now ? w->now : w->last;

	if (w->pending) {
		pending_commit(state, w);
		return;
	}
	if (cache_commit(&state->caches[w->kind->id], any->meta, w->now) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cache");
	index_uid(state, w);
	publish(state, w);
	tell(state, w);
}

static void commit_effect(struct state *state, const struct txn_effect *e)
{
	switch (e->type) {
	case EFFECT_TOMB:
		if (tombstone_add(state, e->object) < 0)
			log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=tombstones");
		break;
	case EFFECT_UNTOMB:
		tombstone_remove(state, e->object->meta->uid, e->object->rev);
		break;
	case EFFECT_RELEASE_IP:
		ipam_give(state->ipam, e->network, &e->prefix, e->free_after);
		break;
	case EFFECT_RELEASE_BLOCK:
		ipam_give_block(state->ipam, e->network, &e->prefix);
		break;
	case EFFECT_FORGET_NETWORK:
		ipam_forget(state->ipam, e->network);
		break;
	case EFFECT_SETTLED:
		pending_forget(state, e->object);
		break;
	case EFFECT_CLAIM_IP:
	case EFFECT_CLAIM_BLOCK:
	case EFFECT_UNMADE:
	case EFFECT_SETTLING:
		break;
	}
}

void txn_commit(struct txn *txn)
{
	for (size_t i = 0; i < txn->neffects; i++)
		commit_effect(txn->state, &txn->effects[i]);
	for (size_t i = 0; i < txn->nwrites; i++)
		commit_write(txn->state, &txn->writes[i]);
	fault_point("commit-published");
}

static void revert_effect(struct state *state, const struct txn_effect *e)
{
	struct tombstone *t;

	switch (e->type) {
	case EFFECT_CLAIM_IP:
		ipam_give(state->ipam, e->network, &e->prefix, 0);
		claims_again(state->cluster, "ip", e->network, &e->prefix);
		break;
	case EFFECT_CLAIM_BLOCK:
		ipam_give_block(state->ipam, e->network, &e->prefix);
		claims_again(state->cluster, "block", e->network, &e->prefix);
		break;
	case EFFECT_UNTOMB:
		t = tombstone_find(state, e->object->meta->uid, e->object->rev);
		if (t)
			t->going = false;
		break;
	case EFFECT_UNMADE:
		pending_forget(state, e->object);
		break;
	case EFFECT_SETTLING:
		e->object->settling = false;
		break;
	case EFFECT_SETTLED:
	case EFFECT_TOMB:
	case EFFECT_RELEASE_IP:
	case EFFECT_RELEASE_BLOCK:
	case EFFECT_FORGET_NETWORK:
		break;
	}
}

static void revert_write(struct state *state, const struct txn_write *w)
{
	const struct object *any = w->now ? w->now : w->last;

	if (pending_revert(state, w))
		return;
	if (cache_accept(&state->caches[w->kind->id], any->meta, w->before) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cache");
	for (size_t k = 0; w->now && k < state->nobservers; k++)
		if (state->observers[k].dropped)
			state->observers[k].dropped(state->observers[k].arg, w->now);
}

void txn_revert_effects(struct txn *txn)
{
	for (size_t i = txn->neffects; i-- > 0;)
		revert_effect(txn->state, &txn->effects[i]);
}

/* The newest first: each puts back what it was built upon, down to the committed version. */
void txn_revert(struct txn *txn)
{
	if (txn->reverted)
		return;
	txn->reverted = true;
	for (size_t i = txn->nwrites; i-- > 0;)
		revert_write(txn->state, &txn->writes[i]);
	txn_revert_effects(txn);
}

static void revert_newest_first(struct txn *txn)
{
	struct txn *reversed = NULL;

	/* The list is short-lived: turn it round, revert, and turn it back. */
	for (struct txn *next; txn; txn = next) {
		next = txn->next;
		txn->next = reversed;
		reversed = txn;
	}
	for (struct txn *next, *prev = NULL; reversed; reversed = next) {
		next = reversed->next;
		txn_revert(reversed);
		reversed->next = prev;
		prev = reversed;
	}
}

static void submitted_done(struct store_batch *batch)
{
	struct txn *txn = (struct txn *)batch;
	struct state *state = txn->state;

	if (batch->commit_us) {         /* told by the first batch of each transaction */
		metric_add(METRIC_COMMITS, 1);
		metric_time(METRIC_TIME_COMMIT, batch->commit_us);
	}
	if (batch->rc < 0 && !txn->reverted)
		revert_newest_first(state->first);
	state->first = txn->next;
	if (!state->first)
		state->last = NULL;
	if (batch->rc == 0 && !txn->reverted)
		txn_commit(txn);
	else
		metric_add(METRIC_COMMIT_FAILURES, 1);
	if (txn->done)
		txn->done(txn->arg, batch->rc, batch->error);
	txn_free(txn);
}

static void answer_at_once(struct txn *txn, int rc, const char *error,
			   void (*done)(void *arg, int rc, const char *error), void *arg)
{
	if (rc < 0)
		txn_revert(txn);
	if (done)
		done(arg, rc, error);
	txn_free(txn);
}

void txn_store(struct txn *txn, bool soft, void (*done)(void *arg, int rc, const char *error),
	       void *arg)
{
	struct state *state = txn->state;

	txn->done = done;
	txn->arg = arg;
	txn->batch.soft = soft;
	txn->batch.done = submitted_done;
	if (state->last)
		state->last->next = txn;
	else
		state->first = txn;
	state->last = txn;
	store_submit(state->store, &txn->batch);
}

void txn_submit(struct txn *txn, bool soft, void (*done)(void *arg, int rc, const char *error),
		void *arg)
{
	struct state *state = txn->state;

	if (state->closed) {
		answer_at_once(txn, -ESHUTDOWN, "netd is stopping", done, arg);
	} else if (state->cluster) {
		txn->done = done;
		txn->arg = arg;
		txn->batch.soft = soft;
		send_submit(state->cluster, txn);
	} else if (!txn->batch.n && !state->first) {
		answer_at_once(txn, 0, "", done, arg);
	} else {
		txn_store(txn, soft, done, arg);
	}
}
