/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * txn.c - building transactions: writes, deletions, tombstones
 *
 * Room: state.  Each function adds operations to the batch of the store, and the effects that
 * committing or failing has in memory.  May include: store.h, codec, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <stdio.h>

int txn_new(struct state *state, struct txn **ret)
{
	struct txn *txn = state->closed ? NULL : calloc(1, sizeof(*txn));

	if (!txn)
		return state->closed ? -ESHUTDOWN : -ENOMEM;
	txn->state = state;
	txn->view = state->cluster ? cluster_view(state->cluster) : 0;
	*ret = txn;
	return 0;
}

void txn_free(struct txn *txn)
{
	for (size_t i = 0; i < txn->nwrites; i++) {
		object_unref(txn->writes[i].before);
		object_unref(txn->writes[i].now);
		object_unref(txn->writes[i].last);
	}
	for (size_t i = 0; i < txn->neffects; i++)
		object_unref(txn->effects[i].object);
	free(txn->writes);
	free(txn->effects);
	free(txn->parts);
	free(txn->batch.ops);
	arena_fini(&txn->batch.arena);
	free(txn);
}

void txn_drop(struct txn *txn)
{
	if (!txn)
		return;
	txn_revert(txn);
	txn_free(txn);
}

/* Room for one more element in a list of @size each. */
static int reserve(void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 4;
	void *p;

	if (n < *cap)
		return 0;
	p = realloc(*list, more * size);
	if (!p)
		return -ENOMEM;
	*list = p;
	*cap = more;
	return 0;
}

int txn_op(struct txn *txn, const struct store_op *op)
{
	void *list = txn->batch.ops;
	int r = reserve(&list, txn->batch.n, &txn->ops_cap, sizeof(*txn->batch.ops));

	txn->batch.ops = list;
	if (r == 0)
		txn->batch.ops[txn->batch.n++] = *op;
	return r;
}

int txn_effect(struct txn *txn, const struct txn_effect *effect)
{
	void *list = txn->effects;
	int r = reserve(&list, txn->neffects, &txn->effects_cap, sizeof(*txn->effects));

	txn->effects = list;
	if (r < 0)
		return r;
	txn->effects[txn->neffects] = *effect;
	object_ref(effect->object);
	txn->neffects++;
	return 0;
}

int txn_write(struct txn *txn, const struct kind *kind, struct object *before, struct object *now,
	      struct object *last)
{
	void *list = txn->writes;
	int r = reserve(&list, txn->nwrites, &txn->writes_cap, sizeof(*txn->writes));

	txn->writes = list;
	if (r < 0)
		return r;
	txn->writes[txn->nwrites++] = (struct txn_write){
		.kind = kind, .before = object_ref(before), .now = object_ref(now),
		.last = object_ref(last),
	};
	return 0;
}

bool txn_writes(const struct txn *txn, const struct kind *kind, const char *ns, const char *name,
		struct object **ret)
{
	for (size_t i = txn->reverted ? 0 : txn->nwrites; i-- > 0;) {
		const struct txn_write *w = &txn->writes[i];
		const struct meta *meta = (w->now ? w->now : w->last)->meta;

		if (w->pending || w->kind != kind || strcmp(meta->name, name) != 0 ||
		    strcmp(meta->ns, ns) != 0)
			continue;
		*ret = w->now;
		return true;
	}
	return false;
}

/* The write is in the batch; make it the accepted version. */
static int add_write(struct txn *txn, const struct kind *kind, struct object *before,
		     struct object *now, struct object *last)
{
	const struct object *any = now ? now : last;
	int r = txn_write(txn, kind, before, now, last);

	if (r < 0)
		return r;
	r = cache_accept(&txn->state->caches[kind->id], any->meta, now);
	if (r < 0) {
		txn->nwrites--;
		object_unref(before);
		object_unref(now);
		object_unref(last);
	}
	return r;
}

/*
 * Kept for the kernel part: what may still be there of an earlier version.  It is this node's own: no
 * event tells of it, and it has no revision.
 */
int txn_tombstone(struct txn *txn, struct object *obj)
{
	char *name = arena_printf(&txn->batch.arena, "%s.%llu", obj->meta->uid,
				  (unsigned long long)obj->rev);
	struct store_op op = {
		.type = STORE_PUT,
		.kind = TEARDOWN_KIND,
		.ns = "",
		.name = name,
		.bytes = obj->bytes,
		.quiet = true,
	};
	int r = name ? txn_effect(txn, &(struct txn_effect){ EFFECT_TOMB, .object = obj }) : -ENOMEM;

	return r < 0 ? r : txn_op(txn, &op);
}

static int stamp(struct doc *doc, uint64_t rev)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)rev);
	return doc_set_str(doc, "metadata.resourceVersion", text);
}

/* What the new version differs in, and its generation.  1: nothing but the revision. */
static int compare(struct doc *doc, const struct object *old, bool *spec_changed,
		   bool *marks_changed)
{
	_cleanup_(doc_freep) struct doc *was = object_doc(old);
	int64_t generation;
	int r;

	if (!was)
		return -ENOMEM;
	*spec_changed = !doc_equal_at(doc, was, "spec");
	*marks_changed = !doc_equal_at(doc, was, "metadata.annotations");
	generation = doc_int(was, "metadata.generation", 0);
	r = stamp(doc, old->rev);
	if (r == 0 && generation)
		r = doc_set_int(doc, "metadata.generation", generation + *spec_changed);
	if (r < 0)
		return r;
	return doc_equal(doc, was);
}

static int encode(struct txn *txn, const struct kind *kind, struct doc *doc, struct object **ret)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	struct state *state = txn->state;
	uint64_t rev = state->cluster ? cluster_provisional(state->cluster)
				      : store_next_revision(state->store);
	int r = stamp(doc, rev);

	if (r < 0)
		return r;
	bytes = doc_bytes(doc);
	return bytes ? object_read(kind, bytes, rev, ret) : -ENOMEM;
}

DEFINE_CLEANUP(struct object, object_unref)

int txn_put(struct txn *txn, const struct kind *kind, struct doc *doc, struct object *old,
	    struct object **ret)
{
	_cleanup_(object_unrefp) struct object *obj = NULL;
	bool spec_changed = false, marks_changed = false;
	int r;

	if (old)
		r = compare(doc, old, &spec_changed, &marks_changed);
	else
		r = kind->id == KIND_EVENT ? 0 : doc_set_int(doc, "metadata.generation", 1);
	if (r < 0)
		return r;
	if (r > 0) {
		*ret = old;
		return 0;
	}
	if (old && !txn->state->cluster && kind->in_kernel && (spec_changed || marks_changed))
		r = txn_tombstone(txn, old);
	if (r == 0)
		r = encode(txn, kind, doc, &obj);
	if (r == 0)
		r = txn_op(txn, &(struct store_op){ .type = STORE_PUT, .rev = obj->rev,
			   .kind = kind->store_name, .ns = obj->meta->ns, .name = obj->meta->name,
			   .bytes = obj->bytes, .prev = old ? old->bytes : NULL });
	if (r == 0)
		r = add_write(txn, kind, old, obj, NULL);
	if (r == 0)
		*ret = obj;     /* the write counts it */
	return r;
}

static int release_all(struct txn *txn, struct object *obj)
{
	if (obj->kind->id == KIND_POD)
		return txn_release_ips(txn, obj->pod);
	if (obj->kind->id == KIND_NETWORK)
		return txn_release_network(txn, obj->network);
	if (obj->kind->id == KIND_NODE)
		return txn_release_blocks(txn, obj->meta->uid);
	if (obj->kind->id == KIND_SERVICE)
		return txn_release_service(txn, obj->service, NULL);
	return 0;
}

int txn_delete(struct txn *txn, struct object *obj, struct object **last)
{
	_cleanup_(object_unrefp) struct object *gone = NULL;
	const struct kind *kind = obj->kind;
	int r = release_all(txn, obj);

	if (r == 0 && kind->in_kernel && !txn->state->cluster)
		r = txn_tombstone(txn, obj);
	if (r == 0)
		r = object_restamp(obj, store_next_revision(txn->state->store), &gone);
	if (r == 0)
		r = txn_op(txn, &(struct store_op){ .type = STORE_DELETE, .rev = gone->rev,
			   .kind = kind->store_name, .ns = gone->meta->ns,
			   .name = gone->meta->name, .bytes = gone->bytes, .prev = obj->bytes });
	if (r == 0)
		r = add_write(txn, kind, obj, NULL, gone);
	if (r == 0 && last)
		*last = gone;
	return r;
}

static int forget_tombstone(struct txn *txn, struct tombstone *t)
{
	struct object *last = t->last;
	char *name = arena_printf(&txn->batch.arena, "%s.%llu", last->meta->uid,
				  (unsigned long long)last->rev);
	struct store_op op = { .type = STORE_DELETE, .kind = TEARDOWN_KIND, .ns = "", .name = name,
			       .quiet = true };
	int r = name ? txn_effect(txn, &(struct txn_effect){ EFFECT_UNTOMB, .object = last })
		     : -ENOMEM;

	if (r < 0)
		return r;
	t->going = true;
	return txn_op(txn, &op);
}

int txn_teardown_done(struct txn *txn, const char *uid, uint64_t rev)
{
	struct state *state = txn->state;
	int r = 0;

	for (size_t i = 0; r == 0 && i < state->ntombs; i++) {
		struct tombstone *t = &state->tombs[i];

		if (!t->going && t->last->rev <= rev && strcmp(t->last->meta->uid, uid) == 0)
			r = forget_tombstone(txn, t);
	}
	return r;
}
