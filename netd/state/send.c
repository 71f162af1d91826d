/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * send.c - transactions of this node on their way to etcd
 *
 * Room: state.  Parts (parts.c) that build upon each other follow each other, others are under way
 * together.  What etcd has answered is the outcome (outcome.c); what it tells before that it has
 * answered is taken for it.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>

#define PARTS_MAX   64          /* under way at a time */
#define SOON_MS     20

/* ---- what etcd says ---- */

static void succeeded(struct cluster *c, struct part *p, int64_t revision)
{
	uint64_t rev = c->base + (uint64_t)revision;
	struct txn_write *const writes[] = { p->through, p->write };

	p->revision = revision;
	if (p->txn->seen < revision)
		p->txn->seen = revision;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		struct txn_write *w = writes[i];

		if (w)
			w->happened = true;
		if (w && (restamp(w->now, rev) < 0 || restamp(w->last, rev) < 0))
			log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=restamp");
	}
}

/* The newest of what stands in the way; what has gone cannot be seen. */
static void refused(struct cluster *c, struct part *p, const struct etcd_reply *reply)
{
	int64_t seen = 0;

	p->refused = true;
	for (size_t i = 0; i < reply->n; i++)
		if (reply->kvs[i].modified > seen)
			seen = reply->kvs[i].modified;
	if (seen <= c->committed) {
		p->txn->late = true;
		if (!loop_timer_armed(c->soon))         /* each would put off those before it */
			loop_timer_set(c->soon, SOON_MS);
	}
	outcome_fail(c, p->txn, -ECANCELED, "another node has changed what it builds upon");
	p->txn->seen = p->txn->seen > seen ? p->txn->seen : seen;
}

static bool is_cut_off(int rc)
{
	return rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -EACCES || rc == -EPROTO;
}

static void answered(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct part *p = arg;
	struct txn *txn = p->txn;
	struct cluster *c = txn->state->cluster;

	c->under_way--;
	p->done = true;
	if (rc == 0 && (reply->succeeded || p->revision))
		succeeded(c, p, reply->succeeded ? reply->revision : p->revision);
	else if (rc == 0)
		refused(c, p, reply);
	else if (!p->revision)          /* else it was seen to happen */
		outcome_fail(c, txn, rc == -EPROTO ? -ETIMEDOUT : rc, words);
	if (rc < 0 && is_cut_off(rc))
		cluster_lost(c, rc, "EtcdUnreachable", words);
	else
		send_wake(c);
}

/* ---- sending ---- */

static bool is_ready(const struct part *p)
{
	const struct object *before = part_before(p);

	if (p->sent || (p->after && !p->after->revision))
		return false;
	return !before || before->rev < OBJECT_PROVISIONAL;
}

static int send_part(struct cluster *c, struct part *p)
{
	struct etcd_txn t = { 0 };
	int r;

	part_ask(c, p, &t);
	p->sent = true;
	r = etcd_txn_send(c->etcd, &t, answered, p);
	if (r == 0)
		c->under_way++;
	else
		p->done = true;
	return r;
}

static void send_txn(struct cluster *c, struct txn *txn)
{
	for (size_t i = 0; i < txn->nparts && txn->batch.rc == 0 && c->under_way < PARTS_MAX; i++)
		if (is_ready(&txn->parts[i]) && send_part(c, &txn->parts[i]) < 0) {
			outcome_fail(c, txn, -ENOMEM, "no memory");
			loop_timer_set(c->soon, 0);             /* no answer tells of it */
		}
}

static bool under_way(const struct txn *txn)
{
	for (size_t i = 0; i < txn->nparts; i++)
		if (txn->parts[i].sent && !txn->parts[i].done)
			return true;
	return false;
}

/* Without parts nothing is written: it waits for what it was found to be the same as. */
static bool is_settled(const struct cluster *c, const struct txn *txn)
{
	if (under_way(txn) || (!txn->nparts && c->first != txn))
		return false;
	for (size_t i = 0; txn->batch.rc == 0 && i < txn->nparts; i++)
		if (!txn->parts[i].done)
			return false;
	return !txn->late;
}

void send_wake(struct cluster *c)
{
	struct txn *next;

	for (struct txn *t = c->first; t && c->link == LINK_UP; t = t->next)
		send_txn(c, t);
	for (struct txn *t = c->first; t; t = next) {
		next = t->next;
		if (is_settled(c, t))
			outcome_settle(c, t);
	}
	outcome_tell(c);
}

void send_soon(void *arg)
{
	struct cluster *c = arg;

	for (struct txn *t = c->first; t; t = t->next)
		t->late = false;
	send_wake(c);
}

void send_fail_all(struct cluster *c, int rc, const char *words)
{
	for (struct txn *t = c->first; t; t = t->next) {
		t->late = false;
		if (!under_way(t) && !is_settled(c, t))
			outcome_fail(c, t, rc, words);
	}
	send_wake(c);
}

static struct txn_write *adopt_of(struct cluster *c, struct txn *list, const struct kind *kind,
				  const char *ns, const char *name, const struct etcd_kv *kv)
{
	for (struct txn *t = list; t; t = t->next)
		for (size_t i = 0; i < t->nparts; i++) {
			struct part *p = &t->parts[i];
			const struct object *now = p->write ? p->write->now : NULL;

			if (!p->sent || !now || p->write->kind != kind ||
			    strcmp(now->meta->name, name) != 0 || strcmp(now->meta->ns, ns) != 0)
				continue;
			if (!p->revision && now->bytes->len == kv->len &&
			    memcmp(now->bytes->data, kv->value, kv->len) == 0)
				succeeded(c, p, kv->modified);
			if (p->revision == kv->modified)
				return p->write;
		}
	return NULL;
}

struct txn_write *send_adopt(struct cluster *c, const struct kind *kind, const char *ns,
			     const char *name, const struct etcd_kv *kv)
{
	struct txn_write *w = adopt_of(c, c->first, kind, ns, name, kv);

	return w ? w : adopt_of(c, c->settled, kind, ns, name, kv);
}

static void refuse_now(struct cluster *c, struct txn *txn, int rc, const char *words)
{
	txn->batch.rc = 0;
	outcome_fail(c, txn, rc, words);
	txn_revert_effects(txn);
	if (txn->done)
		txn->done(txn->arg, rc, words);
	txn_free(txn);
}

/* Nothing is written; but what it is the same as may not be in the database yet. */
static void same(struct cluster *c, struct txn *txn, int r)
{
	if (r == 0 && c->state->first) {
		txn_store(txn, true, txn->done, txn->arg);
		return;
	}
	if (txn->done)
		txn->done(txn->arg, r, "");
	txn_free(txn);
}

void send_submit(struct cluster *c, struct txn *txn)
{
	struct txn *local = NULL;
	int r = parts_take_local(txn, &local);

	if (local && !txn->batch.n) {
		txn_store(local, true, txn->done, txn->arg);
		txn_free(txn);
		return;
	}
	if (local)
		txn_store(local, true, NULL, NULL);
	if (!txn->batch.n && !c->first) {
		same(c, txn, r);
		return;
	}
	if (r == 0)
		r = pending_take(c, txn);
	if (r > 0)
		return;
	if (r == 0)
		r = parts_split(txn);
	if (r < 0 || c->link != LINK_UP) {
		refuse_now(c, txn, r < 0 ? r : -ENOTCONN, r < 0 ? strerror(-r) : c->words);
		return;
	}
	txn->batch.rc = 0;
	if (c->last)
		c->last->next = txn;
	else
		c->first = txn;
	c->last = txn;
	send_txn(c, txn);
}
