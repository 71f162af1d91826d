/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * send.c - transactions of this node on their way to etcd
 *
 * Room: state.  Each object of a transaction goes with its claims, as one transaction of etcd: a
 * part.  It holds only if nothing that it was built upon has changed there.  Parts that build upon
 * each other follow each other, others are under way together.  More claims than etcd takes at once go
 * ahead of their object, and what it lets go follows it: another's never is, and what it cannot have
 * after all is given back; what is left of that, of a netd that died between, unowned.c collects.  A transaction is told of when what it
 * has written has come back on the one road there is (deliver.c), or when etcd has refused it, and
 * then not before what it ran into is here, so that who tries again builds upon that.
 *
 * What became of a request without an answer nobody knows.  It counts as failed, and the addresses
 * it took stay taken until this node is up to date again.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

#define PARTS_MAX   64          /* under way at a time */
#define CLAIMS_MAX  60          /* in a part: etcd takes 128 operations */
#define SOON_MS     20

/** One transaction of etcd. */
struct part {
	struct txn *txn;
	struct txn_write *write;    /* NULL: claims alone */
	const struct part *after;   /* of the same object, which must have happened; NULL: none */
	size_t first, end;          /* its operations of the batch */
	int64_t revision;           /* etcd's, when it has happened */
	bool sent, done, refused;
};

static bool is_object(const struct store_op *op)
{
	return op->type == STORE_PUT || op->type == STORE_DELETE;
}

/* Claims stand before the object that they are of; this is behind it. */
static size_t group_end(const struct txn *txn, size_t first)
{
	size_t i = first;

	while (i < txn->batch.n && !is_object(&txn->batch.ops[i]))
		i++;
	return i < txn->batch.n ? i + 1 : i;
}

/* Of what does not fit in one part: what is claimed, the object, what is released. */
static int order_group(struct store_op *ops, size_t n, size_t *object)
{
	_cleanup_free_ struct store_op *sorted = calloc(n, sizeof(*sorted));
	size_t at = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < n; i++)
		if (ops[i].type == STORE_CLAIM)
			sorted[at++] = ops[i];
	*object = at;
	sorted[at++] = ops[n - 1];
	for (size_t i = 0; i + 1 < n; i++)
		if (ops[i].type != STORE_CLAIM)
			sorted[at++] = ops[i];
	memcpy(ops, sorted, n * sizeof(*ops));
	return 0;
}

static int split_group(struct txn *txn, size_t first, size_t end, size_t *writes)
{
	bool whole = is_object(&txn->batch.ops[end - 1]);
	size_t object = end - 1 - first;
	const struct part *before = NULL;
	int r = 0;

	if (whole && end - first > CLAIMS_MAX)
		r = order_group(&txn->batch.ops[first], end - first, &object);
	object += first;
	for (size_t at = first; r == 0 && at < end; at += CLAIMS_MAX) {
		struct part *p = &txn->parts[txn->nparts++];

		*p = (struct part){ .txn = txn, .first = at, .after = before,
				    .end = at + CLAIMS_MAX < end ? at + CLAIMS_MAX : end };
		if (whole && object >= at && object < p->end)
			p->write = &txn->writes[(*writes)++];
		before = whole ? p : NULL;
	}
	return r;
}

static int split(struct txn *txn)
{
	size_t writes = 0, end;
	int r = 0;

	txn->parts = calloc(txn->batch.n + 1, sizeof(*txn->parts));
	if (!txn->parts)
		return -ENOMEM;
	for (size_t first = 0; r == 0 && first < txn->batch.n; first = end) {
		end = group_end(txn, first);
		r = split_group(txn, first, end, &writes);
	}
	return r;
}

static void expect_claim(struct cluster *c, struct etcd_txn *t, const struct store_op *op)
{
	char key[KEY_SIZE], full[KEY_SIZE];
	const struct shared_claim *claim;

	key_of_claim(op->kind, op->name, key);
	if (op->type == STORE_CLAIM) {
		etcd_txn_expect(t, key, 0);
		etcd_txn_put(t, key, op->owner, strlen(op->owner), 0);
		etcd_txn_see(t, key);
		return;
	}
	snprintf(full, sizeof(full), "%s/%s", op->kind, op->name);
	claim = map_get(&c->claims, full);
	if (!claim)
		return;                 /* nobody has it */
	if (claim->modified)
		etcd_txn_expect(t, key, claim->modified);
	etcd_txn_delete(t, key);
}

static void put_object(struct cluster *c, struct etcd_txn *t, const struct txn_write *w)
{
	const struct object *any = w->now ? w->now : w->last;
	struct meta ns = { .ns = "", .name = any->meta->ns };
	char key[KEY_SIZE], of[KEY_SIZE];

	key_of_object(w->kind, any->meta, key);
	etcd_txn_expect(t, key, w->before ? (int64_t)(w->before->rev - c->base) : 0);
	etcd_txn_see(t, key);
	if (!w->before && w->kind->namespaced)
		etcd_txn_exists(t, key_of_object(&kinds[KIND_NAMESPACE], &ns, of));
	if (w->now)
		etcd_txn_put(t, key, w->now->bytes->data, w->now->bytes->len, 0);
	else
		etcd_txn_delete(t, key);
}

/* ---- the end of a transaction ---- */

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

static void settle(struct cluster *c, struct txn *txn)
{
	unlink_pending(c, txn);
	if (txn->batch.rc < 0)
		give_back(c, txn);
	if (c->settled_last)
		c->settled_last->next = txn;
	else
		c->settled = txn;
	c->settled_last = txn;
}

static bool under_way(const struct txn *txn)
{
	for (size_t i = 0; i < txn->nparts; i++)
		if (txn->parts[i].sent && !txn->parts[i].done)
			return true;
	return false;
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

static void fall_back(struct cluster *c, const struct txn_write *w)
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

static void fail(struct cluster *c, struct txn *txn, int rc, const char *words);

/* The newest first: each falls back to what is left. */
static void fail_dependents(struct cluster *c, const struct txn *failed)
{
	for (struct txn *t = c->first; t; t = t->next)
		if (t != failed && t->batch.rc == 0 && builds_upon(t, failed))
			fail(c, t, -ECANCELED, "what it builds upon was refused");
}

static void fail(struct cluster *c, struct txn *txn, int rc, const char *words)
{
	if (txn->batch.rc < 0)
		return;
	txn->batch.rc = rc;
	snprintf(txn->batch.error, sizeof(txn->batch.error), "%s", words);
	fail_dependents(c, txn);
	for (size_t i = txn->nwrites; i-- > 0;)
		if (!txn->writes[i].happened)
			fall_back(c, &txn->writes[i]);
}

static bool may_be_told(const struct cluster *c, const struct txn *txn)
{
	if (c->link != LINK_UP && c->link != LINK_FOLLOWING)
		return true;            /* it has happened, or has not: that is known */
	return txn->seen <= c->committed;
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
		txn_revert_effects(txn);
	if (txn->done)
		txn->done(txn->arg, rc, txn->batch.error);
	txn_free(txn);
}

static void tell_settled(struct cluster *c)
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

void send_free_limbo(struct cluster *c)
{
	struct txn *next;

	for (struct txn *t = take_ptr(c->limbo); t; t = next) {
		next = t->next;
		txn_revert_effects(t);
		txn_free(t);
	}
}

/* ---- what etcd says ---- */

static void succeeded(struct cluster *c, struct part *p, int64_t revision)
{
	uint64_t rev = c->base + (uint64_t)revision;
	struct txn_write *w = p->write;

	p->revision = revision;
	if (p->txn->seen < revision)
		p->txn->seen = revision;
	if (w)
		w->happened = true;
	if (w && (restamp(w->now, rev) < 0 || restamp(w->last, rev) < 0))
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=restamp");
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
		loop_timer_set(c->soon, SOON_MS);
	}
	fail(c, p->txn, -ECANCELED, "another node has changed what it builds upon");
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
		fail(c, txn, rc == -EPROTO ? -ETIMEDOUT : rc, words);
	if (rc < 0 && is_cut_off(rc))
		cluster_lost(c, rc, "EtcdUnreachable", words);
	else
		send_wake(c);
}

/* ---- sending ---- */

static bool is_ready(const struct part *p)
{
	if (p->sent || (p->after && !p->after->revision))
		return false;
	return !(p->write && p->write->before && p->write->before->rev >= OBJECT_PROVISIONAL);
}

static int send_part(struct cluster *c, struct part *p)
{
	struct etcd_txn t = { 0 };
	int r;

	for (size_t i = p->first; i < p->end; i++)
		if (!is_object(&p->txn->batch.ops[i]))
			expect_claim(c, &t, &p->txn->batch.ops[i]);
	if (p->write)
		put_object(c, &t, p->write);
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
		if (is_ready(&txn->parts[i]) && send_part(c, &txn->parts[i]) < 0)
			fail(c, txn, -ENOMEM, "no memory");
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
			settle(c, t);
	}
	tell_settled(c);
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
			fail(c, t, rc, words);
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

static bool stays_here(const struct store_op *op)
{
	return op->quiet;
}

static int copy_op(struct txn *to, const struct store_op *op)
{
	struct store_op copy = *op;

	copy.name = arena_strdup(&to->batch.arena, op->name);
	return copy.name ? txn_op(to, &copy) : -ENOMEM;
}

/* Tombstones are this node's: they need not wait for etcd. */
static int move_local(struct txn *from, struct txn **ret)
{
	struct txn *to = NULL;
	size_t kept = 0;
	int r = txn_new(from->state, &to);

	for (size_t i = 0; r == 0 && i < from->batch.n; i++) {
		if (stays_here(&from->batch.ops[i]))
			r = copy_op(to, &from->batch.ops[i]);
		else
			from->batch.ops[kept++] = from->batch.ops[i];
	}
	if (r < 0) {
		txn_drop(to);
		return r;
	}
	from->batch.n = kept;
	kept = 0;
	for (size_t i = 0; r == 0 && i < from->neffects; i++) {
		if (from->effects[i].type != EFFECT_UNTOMB) {
			from->effects[kept++] = from->effects[i];
			continue;
		}
		r = txn_effect(to, &from->effects[i]);
		object_unref(from->effects[i].object);
	}
	from->neffects = kept;
	*ret = to;
	return r;
}

static bool has_local(const struct txn *txn)
{
	for (size_t i = 0; i < txn->batch.n; i++)
		if (stays_here(&txn->batch.ops[i]))
			return true;
	return false;
}

static void refuse_now(struct cluster *c, struct txn *txn, int rc, const char *words)
{
	txn->batch.rc = 0;
	fail(c, txn, rc, words);
	txn_revert_effects(txn);
	if (txn->done)
		txn->done(txn->arg, rc, words);
	txn_free(txn);
}

void send_submit(struct cluster *c, struct txn *txn)
{
	struct txn *local = NULL;
	int r = has_local(txn) ? move_local(txn, &local) : 0;

	if (local && !txn->batch.n) {
		txn_store(local, true, txn->done, txn->arg);
		txn_free(txn);
		return;
	}
	if (local)
		txn_store(local, true, NULL, NULL);
	if (!txn->batch.n && !c->first) {
		if (txn->done)
			txn->done(txn->arg, r, "");
		txn_free(txn);
		return;
	}
	if (r == 0)
		r = split(txn);
	if (r < 0 || c->link != LINK_UP) {
		refuse_now(c, txn, r < 0 ? r : -ENOTCONN, r < 0 ? "no memory" : c->words);
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
