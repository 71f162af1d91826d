/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parts.c - a transaction of this node cut into transactions of etcd, and what each asks
 *
 * Room: state.  Each object of a transaction goes with its claims, as one transaction of etcd: a
 * part.  It holds only if nothing that it was built upon has changed there.  More claims than etcd
 * takes at once go ahead of their object, and what it lets go follows it: another's never is.  A
 * version that the same transaction deletes is not sent: another node would delete it too.  What is
 * this node's own goes to its database instead.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <stdio.h>

#define CLAIMS_MAX  60          /* in a part: etcd takes 128 operations */

/* ---- the cut ---- */

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

/* Behind its own claims stand those of the deletion. */
static struct txn_write *pass_through(struct txn *txn, size_t first, size_t *writes)
{
	size_t at = group_end(txn, first) - 1;
	struct txn_write *w;

	if (*writes + 1 >= txn->nwrites)
		return NULL;
	w = &txn->writes[*writes];
	if (w[1].now || !w->now || w[1].before != w->now)
		return NULL;
	++*writes;
	txn->batch.n--;
	memmove(&txn->batch.ops[at], &txn->batch.ops[at + 1],
		(txn->batch.n - at) * sizeof(*txn->batch.ops));
	return w;
}

static int split_group(struct txn *txn, size_t first, size_t end, size_t *writes,
		       struct txn_write *through)
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
			p->write = &txn->writes[(*writes)++], p->through = through;
		before = whole ? p : NULL;
	}
	return r;
}

int parts_split(struct txn *txn)
{
	size_t writes = 0, end;
	int r = 0;

	txn->parts = calloc(txn->batch.n + 1, sizeof(*txn->parts));
	if (!txn->parts)
		return -ENOMEM;
	for (size_t first = 0; r == 0 && first < txn->batch.n; first = end) {
		struct txn_write *through = pass_through(txn, first, &writes);

		end = group_end(txn, first);
		r = split_group(txn, first, end, &writes, through);
	}
	return r;
}

/* ---- what a part asks ---- */

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

static bool is_attached(const struct object *pod, const char *network)
{
	for (size_t i = 0; pod && i < pod->pod->nattached; i++)
		if (strcmp(pod->pod->attached[i].network, network) == 0)
			return true;
	return false;
}

/*
 * A pod that is attached to a Network, and the end of a Network, know nothing of each other: the one holds
 * while the Network is there, the other if no pod was written that its node has not seen.
 */
static void expect_network(struct etcd_txn *t, const struct txn *txn, const struct txn_write *w)
{
	const struct object *pod = w->kind->id == KIND_POD ? w->now : NULL;
	char key[KEY_SIZE];

	for (size_t i = 0; pod && i < pod->pod->nattached; i++) {
		struct meta net = { .ns = "", .name = pod->pod->attached[i].network };

		if (!is_attached(w->before, net.name))
			etcd_txn_exists(t, key_of_object(&kinds[KIND_NETWORK], &net, key));
	}
	if (w->kind->id == KIND_NETWORK && !w->now) {
		snprintf(key, sizeof(key), KEY_OBJECTS "%s/", kinds[KIND_POD].store_name);
		etcd_txn_still(t, key, txn->view);
	}
}

const struct object *part_before(const struct part *p)
{
	return !p->write ? NULL : p->through ? p->through->before : p->write->before;
}

static void put_object(struct cluster *c, struct etcd_txn *t, const struct part *p)
{
	const struct txn_write *w = p->write;
	const struct object *before = part_before(p);
	const struct object *any = w->now ? w->now : w->last;
	struct meta ns = { .ns = "", .name = any->meta->ns };
	char key[KEY_SIZE], of[KEY_SIZE];

	key_of_object(w->kind, any->meta, key);
	etcd_txn_expect(t, key, before ? (int64_t)(before->rev - c->base) : 0);
	etcd_txn_see(t, key);
	if (!before && w->kind->namespaced)
		etcd_txn_exists(t, key_of_object(&kinds[KIND_NAMESPACE], &ns, of));
	if (w->now)
		etcd_txn_put(t, key, w->now->bytes->data, w->now->bytes->len, 0);
	else
		etcd_txn_delete(t, key);
}

void part_ask(struct cluster *c, const struct part *p, struct etcd_txn *t)
{
	for (size_t i = p->first; i < p->end; i++)
		if (!is_object(&p->txn->batch.ops[i]))
			expect_claim(c, t, &p->txn->batch.ops[i]);
	if (!p->write)
		return;
	expect_network(t, p->txn, p->write);
	put_object(c, t, p);
}

/* ---- what is not for etcd ---- */

static bool stays_here(const struct store_op *op)
{
	return op->quiet;
}

static bool has_local(const struct txn *txn)
{
	for (size_t i = 0; i < txn->batch.n; i++)
		if (stays_here(&txn->batch.ops[i]))
			return true;
	return false;
}

static int copy_op(struct txn *to, const struct store_op *op)
{
	struct store_op copy = *op;

	copy.name = arena_strdup(&to->batch.arena, op->name);
	return copy.name ? txn_op(to, &copy) : -ENOMEM;
}

/* Tombstones are this node's: they need not wait for etcd. */
int parts_take_local(struct txn *from, struct txn **ret)
{
	struct txn *to = NULL;
	size_t kept = 0;
	int r;

	*ret = NULL;
	if (!has_local(from))
		return 0;
	r = txn_new(from->state, &to);

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
