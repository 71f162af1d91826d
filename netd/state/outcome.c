/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * outcome.c - what has become of a transaction of this node, and when it is told of
 *
 * Room: state.  A transaction is told of when what it has written has come back on the one road there
 * is (deliver.c), or when etcd has refused it, and then not before what it ran into is here, so that
 * who tries again builds upon that.  What is built upon one that fails fails with it, and claims that
 * went ahead of an object that did not follow are given back; what is left of that, of a netd that
 * died between, unowned.c collects.
 *
 * What became of a request without an answer nobody knows.  It counts as failed, and the addresses
 * it took stay taken until this node is up to date again.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

static void unlink_pending(struct cluster *c, struct txn *txn)
{
	struct txn **at = &c->first, *before = NULL;

	while (*at && *at != txn) {
		before = *at;
		at = &(*at)->next;
	}
	if (!*at)
		return;
	*at = txn->next;
	if (c->last == txn)
		c->last = before;
	txn->next = NULL;
}

/* Claims that went ahead of an object that surely did not follow. */
static bool is_unowned(const struct txn *txn, size_t i)
{
	if (!txn->parts[i].revision || txn->parts[i].write)
		return false;
	for (size_t k = i + 1; k < txn->nparts && txn->parts[k].after; k++)
		if (txn->parts[k].write)
			return !txn->parts[k].sent || txn->parts[k].refused;
	return false;
}

static void give_back(struct cluster *c, const struct txn *txn)
{
	for (size_t i = 0; i < txn->nparts; i++) {
		const struct part *p = &txn->parts[i];
		struct etcd_txn t = { 0 };
		char key[KEY_SIZE];

		if (!is_unowned(txn, i))
			continue;
		for (size_t k = p->first; k < p->end; k++) {
			key_of_claim(txn->batch.ops[k].kind, txn->batch.ops[k].name, key);
			etcd_txn_expect(&t, key, p->revision);
			etcd_txn_delete(&t, key);
		}
		unowned_release(c, &t);
	}
}

void outcome_settle(struct cluster *c, struct txn *txn)
{
	unlink_pending(c, txn);
	txn->settled_us = now_monotonic_us();
	if (txn->batch.rc < 0)
		give_back(c, txn);
	if (c->settled_last)
		c->settled_last->next = txn;
	else
		c->settled = txn;
	c->settled_last = txn;
}

/* @before is of a transaction that may still succeed, or has. */
static bool is_pending(const struct cluster *c, const struct object *before)
{
	for (const struct txn *t = c->first; before && t; t = t->next)
		for (size_t i = 0; i < t->nwrites; i++)
			if (t->writes[i].now == before && t->batch.rc == 0)
				return true;
	return false;
}

void outcome_fall_back(struct cluster *c, const struct txn_write *w)
{
	const struct meta *key = (w->now ? w->now : w->last)->meta;
	struct cache *cache = &c->state->caches[w->kind->id];
	const struct slot *s = cache_slot(cache, key->ns, key->name);
	struct object *to = s ? s->committed : NULL;

	for (const struct txn *t = c->state->first; t; t = t->next)
		(void)txn_writes(t, w->kind, key->ns, key->name, &to);
	if (is_pending(c, w->before))
		to = w->before;
	if (cache_accept(cache, key, to) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cache");
}

static bool builds_upon(const struct txn *txn, const struct txn *failed)
{
	for (size_t i = 0; i < txn->nwrites; i++)
		for (size_t k = 0; txn->writes[i].before && k < failed->nwrites; k++)
			if (txn->writes[i].before == failed->writes[k].now)
				return true;
	return false;
}

/* The newest first: each falls back to what is left. */
static void fail_dependents(struct cluster *c, const struct txn *failed)
{
	for (struct txn *t = c->first; t; t = t->next)
		if (t != failed && t->batch.rc == 0 && builds_upon(t, failed))
			outcome_fail(c, t, -ECANCELED, "what it builds upon was refused");
}

void outcome_fail(struct cluster *c, struct txn *txn, int rc, const char *words)
{
	if (txn->batch.rc < 0)
		return;
	txn->batch.rc = rc;
	snprintf(txn->batch.error, sizeof(txn->batch.error), "%s", words);
	fail_dependents(c, txn);
	for (size_t i = txn->nwrites; i-- > 0;)
		if (!txn->writes[i].happened)
			outcome_fall_back(c, &txn->writes[i]);
}

static bool may_be_told(const struct cluster *c, const struct txn *txn)
{
	if (c->link != LINK_UP && c->link != LINK_FOLLOWING)
		return true;            /* it has happened, or has not: that is known */
	return txn->seen <= c->committed;
}

/* A pod that is there after all has the addresses that were given back for it. */
static void hold_again(struct state *state, const struct txn_write *w)
{
	const char *node = w->kind->id == KIND_POD && w->now ? w->now->pod->node_name : NULL;
	bool mine = node && strcmp(node, state->conf->node_name) == 0;
	const struct object *obj = mine ? state_by_uid(state, w->now->meta->uid) : NULL;
	char text[PODNET_PREFIX_STRLEN], key[KEY_SIZE];
	int r = 0;

	if (!obj || pending_unmade(state, obj))
		return;
	for (size_t i = 0; i < obj->pod->nattached; i++) {
		const struct pod_network *net = &obj->pod->attached[i];

		for (size_t k = 0; r == 0 && k < net->nips; k++) {
			snprintf(key, sizeof(key), "%s/%s", net->network,
				 podnet_prefix_format_addr(&net->ips[k], text));
			r = ipam_load(state->ipam, "ip", key, obj->meta->uid, 0);
		}
	}
	if (r < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=claims");
}

/* What is there after all was refused for being there: it had been sent twice. */
static void take_back(struct state *state, struct txn *txn)
{
	txn_revert_effects(txn);
	for (size_t i = 0; i < txn->nwrites; i++)
		hold_again(state, &txn->writes[i]);
}

static void tell(struct cluster *c, struct txn *txn)
{
	int rc = txn->batch.rc;

	if (rc == -ETIMEDOUT) {
		struct txn *held = txn;

		if (held->done)
			held->done(held->arg, rc, held->batch.error);
		held->done = NULL;
		held->next = c->limbo;
		c->limbo = held;
		return;
	}
	if (rc < 0)
		take_back(c->state, txn);
	if (txn->done)
		txn->done(txn->arg, rc, txn->batch.error);
	txn_free(txn);
}

void outcome_tell(struct cluster *c)
{
	struct txn *list = c->settled, *left = NULL, *last = NULL, *next;

	c->settled = c->settled_last = NULL;
	for (; list; list = next) {
		next = list->next;
		list->next = NULL;
		if (may_be_told(c, list)) {
			tell(c, list);
			continue;
		}
		if (last)
			last->next = list;
		else
			left = list;
		last = list;
	}
	if (!left)
		return;
	last->next = c->settled;        /* what has been settled meanwhile stands behind */
	c->settled = left;
	if (!c->settled_last)
		c->settled_last = last;
}

void outcome_free_limbo(struct cluster *c)
{
	struct txn *next;

	for (struct txn *t = take_ptr(c->limbo); t; t = next) {
		next = t->next;
		take_back(c->state, t);
		txn_free(t);
	}
}
