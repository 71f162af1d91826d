/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pending.c - pods that a node makes and deletes by itself while etcd is away
 *
 * Room: state.
 *
 * Theory.  A runtime cannot wait for etcd: its containers begin and end all the same.  So a pod that
 * says which runtime made it (podnet.dev/origin) is its node's to make and to delete, and while the
 * link is not up that is done in the replica alone.  A pod that was made so is a row of a kind of its
 * own, and in memory stands in `made`, beside what the cluster has; of one that was deleted, and that
 * etcd still has, a row and `unmade` keep the last version.  With both, this node sees more than the
 * cluster: what looks at one pod, or builds upon it, gets this node's view, and so does the kernel;
 * lists, watches, Services and other nodes have the cluster's, until it is handed in (hand_in.c).
 *
 * What is handed in comes back on the road of all changes (deliver.c).  In the same transaction of the
 * replica its row goes, so that at no time it is there twice, or not at all.  A version that was sent
 * and not answered may be in etcd: its pod, if it is deleted before that is known, leaves a row as one
 * that is there.
 * May include: codec, store.h, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>

bool pending_any(const struct state *state)
{
	return state->made.n || state->unmade.n;
}

size_t state_pending(const struct state *state)
{
	return state->made.n + state->unmade.n;
}

bool pending_unmade(const struct state *state, const struct object *obj)
{
	return state->unmade.n && map_get(&state->unmade, obj->meta->uid);
}

static bool same_uid(const struct object *a, const struct object *b)
{
	return strcmp(a->meta->uid, b->meta->uid) == 0;
}

static struct object *version(const struct slot *s, bool accepted)
{
	return !s ? NULL : accepted ? s->accepted : s->committed;
}

/* One that is being handed in is there as the cluster will have it, and built upon so. */
struct object *pending_view(const struct state *state, const struct slot *shared, const char *ns,
			    const char *name, bool accepted)
{
	struct object *made = version(cache_slot(&state->made, ns, name), accepted);
	struct object *obj = version(shared, accepted);

	if (obj && pending_unmade(state, obj))
		obj = NULL;
	return !made || (obj && same_uid(obj, made)) ? obj : made;
}

/* The newest version of the same pod that etcd does not have, or NULL. */
static struct object *made_of(const struct state *state, const struct object *obj)
{
	struct object *made = obj ? version(cache_slot(&state->made, obj->meta->ns,
						       obj->meta->name), true) : NULL;

	return made && same_uid(made, obj) ? made : NULL;
}

/* ---- rows ---- */

static struct store_op made_row(enum store_op_type type, const struct object *obj)
{
	return (struct store_op){
		.type = type, .kind = MADE_KIND, .ns = obj->meta->ns, .name = obj->meta->name,
		.bytes = obj->bytes, .quiet = true,
	};
}

/* Not by name: two that were called the same may both have been deleted. */
static int unmade_row(struct txn *txn, enum store_op_type type, const struct object *last,
		      struct store_op *ret)
{
	*ret = (struct store_op){
		.type = type, .kind = UNMADE_KIND, .ns = "", .bytes = last->bytes, .quiet = true,
		.name = arena_printf(&txn->batch.arena, "%s.%llu", last->meta->uid,
				     (unsigned long long)last->rev),
	};
	return ret->name ? 0 : -ENOMEM;
}

/* Once: until the store has done it, it may be asked for again. */
static int drop_unmade_row(struct txn *txn, struct object *last)
{
	struct store_op op;
	int r;

	if (last->settling)
		return 0;
	r = unmade_row(txn, STORE_DELETE, last, &op);
	if (r == 0)
		r = txn_effect(txn, &(struct txn_effect){ EFFECT_SETTLING, .object = last });
	if (r < 0)
		return r;
	last->settling = true;
	return txn_op(txn, &op);
}

static int remember_unmade(struct state *state, struct object *last)
{
	int r = map_add(&state->unmade, last->meta->uid, last);

	if (r == 0)
		object_ref(last);       /* its key is the object's own */
	return r;
}

int pending_load(struct state *state, struct object *obj, bool unmade)
{
	obj->rev = obj->meta->rev;      /* the row has none */
	obj->pending = obj->offered = !unmade;
	return unmade ? remember_unmade(state, obj) : cache_append(&state->made, obj);
}

void pending_forget(struct state *state, const struct object *obj)
{
	object_unref(map_del(&state->unmade, obj->meta->uid));
}

void pending_free(struct state *state)
{
	struct object *obj;
	size_t pos = 0;

	while ((obj = map_next(&state->unmade, &pos)))
		object_unref(obj);
	map_fini(&state->unmade);
	cache_fini(&state->made);
}

/* ---- committing ---- */

static void tell_here(struct state *state, const struct object *was, const struct object *is)
{
	for (size_t i = 0; i < state->nobservers; i++)
		if (state->observers[i].here)
			state->observers[i].changed(state->observers[i].arg, was, is);
}

void pending_commit(struct state *state, const struct txn_write *w)
{
	const struct meta *key = (w->now ? w->now : w->before)->meta;
	struct object *is;

	if (cache_commit(&state->made, key, w->now) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cache");
	is = state_get(state, w->kind, key->ns, key->name);
	if (w->before || is)
		tell_here(state, w->before, is);
	if (w->before && !w->now && is && same_uid(is, w->before))
		hand_in_seen(state->cluster, w->before, is);
	else if (w->before && !w->now && state->cluster)    /* what it stood before may be seen again */
		loop_timer_set(state->cluster->hand_in, 0);
}

bool pending_revert(struct state *state, const struct txn_write *w)
{
	struct object *before = w->before && w->before->pending ? w->before : NULL;

	if (!w->pending) {              /* it was built as if for the cluster, which has no such version */
		if (before && state->cluster)
			outcome_fall_back(state->cluster, w);
		return before && state->cluster;
	}
	if (cache_accept(&state->made, (w->now ? w->now : w->before)->meta, before) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cache");
	return true;
}

void pending_hides(const struct state *state, const struct txn_write *w, struct object **was,
		   struct object **is)
{
	const struct meta *key = (w->now ? w->now : w->last)->meta;
	bool hidden = version(cache_slot(&state->made, key->ns, key->name), false);

	if (hidden || (*was && pending_unmade(state, *was)))
		*was = NULL;
	if (hidden || (*is && pending_unmade(state, *is)))
		*is = NULL;
}

void pending_moved(struct state *state, const struct txn_write *w)
{
	bool gone = w->before && (!w->now || !same_uid(w->before, w->now));

	if (gone && pending_unmade(state, w->before))
		pending_forget(state, w->before);
	if (state->cluster && (gone || (w->now && pending_unmade(state, w->now))))
		loop_timer_set(state->cluster->hand_in, 0);     /* its name is free, or it is marked */
}

bool pending_waits(const struct state *state, const struct object *obj)
{
	return cache_slot(&state->made, obj->meta->ns, obj->meta->name);
}

int pending_drop(struct txn *txn, struct object *made)
{
	struct store_op op = made_row(STORE_DELETE, made);
	int r = txn_op(txn, &op);

	if (r == 0)
		r = txn_write(txn, made->kind, made, NULL, made);
	if (r < 0)
		return r;
	txn->writes[txn->nwrites - 1].pending = true;
	return cache_accept(&txn->state->made, made->meta, NULL);
}

int pending_settled(struct txn *txn, struct object *last)
{
	int r = drop_unmade_row(txn, last);

	return r < 0 ? r : txn_effect(txn, &(struct txn_effect){ EFFECT_SETTLED, .object = last });
}

int pending_settle(struct txn *txn, struct object *before, struct object *now)
{
	struct state *state = txn->state;
	struct object *made = made_of(state, now), *last = NULL;
	int r = 0;

	if (before && (!now || !same_uid(before, now)))
		last = map_get(&state->unmade, before->meta->uid);
	if (last)                       /* it is forgotten when that has been told */
		r = drop_unmade_row(txn, last);
	return r == 0 && made ? pending_drop(txn, made) : r;
}

/* ---- taking ---- */

static bool is_runtimes(const struct state *state, const struct object *pod)
{
	const char *node = pod->pod->node_name;

	return pod->pod->origin && node && strcmp(node, state->conf->node_name) == 0 &&
	       !object_unattached(pod);
}

/*
 * Without etcd what a runtime makes and deletes; and whatever builds upon what etcd does not have.  A version
 * that is on its way may still get its revision: what is deleted then has to wait for that.
 */
static bool may_take(const struct cluster *c, const struct txn *txn, size_t i)
{
	const struct txn_write *w = &txn->writes[i];

	if (w->kind->id != KIND_POD)
		return false;
	if (w->before && (w->before->pending || (i && w->before == txn->writes[i - 1].now)))
		return true;
	if (c->link == LINK_UP || !is_runtimes(c->state, w->now ? w->now : w->before))
		return false;
	if (!w->before || w->now)       /* made; or written, which is for etcd */
		return !w->before;
	return w->before->rev < OBJECT_PROVISIONAL || made_of(c->state, w->before);
}

/* What else is in the batch is claimed of the whole cluster. */
static bool may_take_all(const struct cluster *c, const struct txn *txn)
{
	if (!txn->nwrites || txn->batch.n != txn->nwrites)
		return false;
	for (size_t i = 0; i < txn->nwrites; i++)
		if (!may_take(c, txn, i))
			return false;
	return true;
}

static bool builds_upon_made(const struct txn *txn)
{
	for (size_t i = 0; i < txn->nwrites; i++)
		if (txn->writes[i].before && txn->writes[i].before->pending)
			return true;
	return false;
}

static int unmake(struct txn *txn, struct object *last)
{
	int r = remember_unmade(txn->state, last);

	if (r < 0)
		return r;
	r = txn_effect(txn, &(struct txn_effect){ EFFECT_UNMADE, .object = last });
	if (r < 0)
		pending_forget(txn->state, last);
	return r;
}

/* Its operation for the cluster becomes a row of this node; of what is deleted, and may be in etcd, another. */
static int take_rows(struct txn *txn, size_t i, struct object *made, struct object *was)
{
	struct object *now = txn->writes[i].now;
	struct store_op row;
	int r;

	if (now || made)
		txn->batch.ops[i] = now ? made_row(STORE_PUT, now) : made_row(STORE_DELETE, made);
	if (now || (made && !made->offered))
		return 0;
	r = unmade_row(txn, STORE_PUT, was, &row);
	if (r == 0 && made)
		r = txn_op(txn, &row);
	else if (r == 0)
		txn->batch.ops[i] = row;
	return r < 0 ? r : unmake(txn, was);
}

/*
 * One was called so of which nobody knows whether etcd has it, and its maker was not told that it has: this
 * one is in its place.
 */
static int supersede(struct txn *txn, const struct object *now)
{
	struct state *state = txn->state;
	int r = 0;

	for (const struct txn *t = state->cluster->limbo; r == 0 && t; t = t->next) {
		struct object *lost = NULL;
		struct store_op row;

		if (!txn_writes(t, now->kind, now->meta->ns, now->meta->name, &lost) || !lost ||
		    pending_unmade(state, lost) || !is_runtimes(state, lost))
			continue;
		r = unmade_row(txn, STORE_PUT, lost, &row);
		if (r == 0)
			r = txn_op(txn, &row);
		if (r == 0)
			r = unmake(txn, lost);
	}
	return r;
}

static int take_write(struct txn *txn, size_t i)
{
	struct txn_write *w = &txn->writes[i];
	struct object *made = made_of(txn->state, w->before), *was = made ? made : w->before;
	int r = mine_changed(txn, was, w->now);

	if (r == 0)
		r = take_rows(txn, i, made, was);
	if (r == 0 && !w->before)
		r = supersede(txn, w->now);
	if (r < 0)
		return r;
	object_ref(was);
	object_unref(w->before);
	w->before = was;
	w->pending = true;
	if (w->now)
		w->now->pending = true;
	if (w->now && made)
		w->now->offered = made->offered;
	return cache_accept(&txn->state->made, (w->now ? w->now : was)->meta, w->now);
}

int pending_take(struct cluster *c, struct txn *txn)
{
	size_t n = txn->nwrites, i;
	int r = 0;

	if (!may_take_all(c, txn))
		return c->link == LINK_UP && builds_upon_made(txn) ? -ECANCELED : 0;
	for (i = n; i-- > 0;)
		outcome_fall_back(c, &txn->writes[i]);
	for (i = 0; i < n && r == 0; i++)
		r = take_write(txn, i);
	if (r < 0) {
		while (i-- > 0)
			(void)pending_revert(c->state, &txn->writes[i]);
		return r;
	}
	txn_store(txn, txn->batch.soft, txn->done, txn->arg);
	return 1;
}
