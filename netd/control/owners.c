/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * owners.c - what refers to an owner that is gone goes too
 *
 * Room: control.  Theory: metadata.ownerReferences of a dependent name its owners by uid.  When the
 * last of them is gone, the dependent is removed; while one lives, only the dangling references are.
 * A reference to a kind that is not served says nothing, and neither Nodes, Namespaces nor Networks
 * are ever removed so: others depend on them.  An owner that is deleted with the policy Foreground
 * or Orphan is marked and holds a finalizer.  Foreground removes the dependents as if the owner were
 * gone, Orphan takes their references away; when no dependent is left the finalizer goes, and with
 * the last finalizer the owner.
 *
 * Which uids are referred to is counted from what commits, so a deletion costs one look-up unless
 * something depends on it.  A round looks at committed versions only, and is one transaction; its
 * commit tells us of what it changed, which begins the next.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUND_WRITES 200        /* with tombstones and addresses below LIMIT_BATCH_WRITES */
#define MAX_WAITING  64         /* owners with a policy in one round */
#define RETRY_MS     1000

/** How many dependents refer to a uid. */
struct owned {
	size_t n;
	char uid[];
};

enum fate { FATE_LIVES, FATE_GONE, FATE_FOREGROUND, FATE_ORPHANS };

static const char *const finalizers[] = {
	[FATE_FOREGROUND] = "foregroundDeletion",
	[FATE_ORPHANS] = "orphan",
};

struct waiting {
	struct object *owner;
	enum fate fate;
	size_t dependents;
};

struct round {
	struct control *control;
	struct txn *txn;
	struct waiting waiting[MAX_WAITING];
	size_t nwaiting, writes;
};

/* Out of memory only means that a deletion may go unnoticed until the next start. */
static void count_owner(struct control *control, const char *uid, bool more)
{
	struct owned *o = map_get(&control->owned, uid);
	size_t size = sizeof(*o) + strlen(uid) + 1;

	if (more && !o) {
		o = calloc(1, size);
		if (!o || map_put(&control->owned, memcpy(o->uid, uid, strlen(uid) + 1), o) < 0) {
			free(o);
			return;
		}
	}
	if (!o)
		return;
	o->n = more ? o->n + 1 : o->n - 1;
	if (o->n)
		return;
	map_del(&control->owned, uid);
	free(o);
}

static void count_owners(struct control *control, const struct object *obj, bool more)
{
	for (size_t i = 0; obj && i < obj->meta->nowners; i++)
		count_owner(control, obj->meta->owners[i].uid, more);
}

static bool is_served(const struct owner *owner)
{
	char buf[64];

	for (size_t k = 0; owner->kind && owner->api_version && k < KIND_COUNT; k++)
		if (strcmp(kinds[k].name, owner->kind) == 0 &&
		    strcmp(kind_api_version(&kinds[k], buf), owner->api_version) == 0)
			return true;
	return false;
}

/* An owner is of the same namespace or of none. */
static struct object *find_owner(const struct control *control, const struct meta *meta,
				 const struct owner *owner)
{
	struct object *obj = state_by_uid(control->state, owner->uid);

	if (!obj || (*obj->meta->ns && strcmp(obj->meta->ns, meta->ns) != 0))
		return NULL;
	return obj;
}

static bool misses_owner(const struct control *control, const struct object *obj)
{
	for (size_t i = 0; i < obj->meta->nowners; i++)
		if (is_served(&obj->meta->owners[i]) &&
		    !find_owner(control, obj->meta, &obj->meta->owners[i]))
			return true;
	return false;
}

/* Whether an owner waits for @obj to go or to let it go. */
static bool is_waited_for(const struct control *control, const struct object *obj)
{
	for (size_t i = 0; obj && i < obj->meta->nowners; i++) {
		const struct object *owner = state_by_uid(control->state, obj->meta->owners[i].uid);

		if (owner && owner->meta->deleted)
			return true;
	}
	return false;
}

void owners_changed(struct control *control, const struct object *old, const struct object *now)
{
	bool wake = now ? misses_owner(control, now) || (now->meta->deleted &&
							 now->meta->nfinalizers)
			: map_get(&control->owned, old->meta->uid) != NULL;

	count_owners(control, now, true);
	count_owners(control, old, false);
	wake = wake || is_waited_for(control, old) || is_waited_for(control, now);
	if (wake && !loop_timer_armed(control->owner_timer))
		loop_timer_set(control->owner_timer, 0);
}

static bool has_finalizer(const struct doc *doc, const char *name, size_t *ret)
{
	size_t n = doc_len(doc, "metadata.finalizers");
	char path[48];

	for (size_t i = 0; i < n; i++) {
		const char *got;

		snprintf(path, sizeof(path), "metadata.finalizers[%zu]", i);
		got = doc_str(doc, path);
		if (!got || strcmp(got, name) != 0)
			continue;
		*ret = i;
		return true;
	}
	return false;
}

/* First pass: the owners with a policy. */
static int note_waiting(void *arg, struct object *obj)
{
	struct round *round = arg;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	enum fate fate = FATE_LIVES;
	size_t at;

	if (!obj->meta->deleted || !obj->meta->nfinalizers || round->nwaiting == MAX_WAITING)
		return 0;
	doc = object_doc(obj);
	if (!doc)
		return -ENOMEM;
	if (has_finalizer(doc, finalizers[FATE_ORPHANS], &at))
		fate = FATE_ORPHANS;
	else if (has_finalizer(doc, finalizers[FATE_FOREGROUND], &at))
		fate = FATE_FOREGROUND;
	if (fate != FATE_LIVES)
		round->waiting[round->nwaiting++] = (struct waiting){ obj, fate, 0 };
	return 0;
}

static enum fate fate_of(struct round *round, const struct meta *meta, const struct owner *owner)
{
	const struct object *obj = find_owner(round->control, meta, owner);

	for (size_t i = 0; obj && i < round->nwaiting; i++) {
		if (strcmp(round->waiting[i].owner->meta->uid, owner->uid) != 0)
			continue;
		round->waiting[i].dependents++;
		return round->waiting[i].fate;
	}
	return obj || !is_served(owner) ? FATE_LIVES : FATE_GONE;
}

static int remove_one(struct round *round, struct object *obj)
{
	int r = remove_object(round->txn, obj);

	round->writes += r > 0;
	return r < 0 ? r : 0;
}

static int strip(struct round *round, struct object *obj, const bool *drop)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(obj);
	struct object *stripped;
	char path[64];

	if (!doc)
		return -ENOMEM;
	for (size_t i = obj->meta->nowners; i-- > 0;) {
		snprintf(path, sizeof(path), "metadata.ownerReferences[%zu]", i);
		if (drop[i])
			doc_remove(doc, path);
	}
	if (!doc_len(doc, "metadata.ownerReferences"))
		doc_remove(doc, "metadata.ownerReferences");
	round->writes++;
	return txn_put(round->txn, obj->kind, doc, obj, &stripped);
}

static bool may_go(const struct kind *kind)
{
	return kind->id != KIND_NODE && kind->id != KIND_NAMESPACE && kind->id != KIND_NETWORK;
}

static int judge(struct round *round, struct object *obj, bool *drop)
{
	size_t lives = 0, orphans = 0, stale = 0;

	for (size_t i = 0; i < obj->meta->nowners; i++) {
		enum fate fate = fate_of(round, obj->meta, &obj->meta->owners[i]);

		lives += fate == FATE_LIVES;
		orphans += fate == FATE_ORPHANS;
		drop[i] = fate == FATE_GONE || fate == FATE_ORPHANS;
		stale += drop[i];
	}
	if (!lives && !orphans && may_go(obj->kind))
		return remove_one(round, obj);
	return stale ? strip(round, obj, drop) : 0;
}

/* Second pass: the dependents; one with a write under way is looked at when that has committed. */
static int judge_dependent(void *arg, struct object *obj)
{
	struct round *round = arg;
	const struct meta *meta = obj->meta;
	bool *drop;
	int r;

	if (!meta->nowners ||
	    state_get(round->control->state, obj->kind, meta->ns, meta->name) != obj)
		return 0;
	if (round->writes >= ROUND_WRITES)
		return 1;
	drop = calloc(meta->nowners, sizeof(*drop));
	if (!drop)
		return -ENOMEM;
	r = judge(round, obj, drop);
	free(drop);
	return r;
}

/* Third pass: nothing depends on it any more. */
static int release(struct round *round, const struct waiting *w)
{
	const struct meta *meta = w->owner->meta;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *obj;
	char path[48];
	size_t at;
	int r;

	if (state_accepted(round->control->state, w->owner->kind, meta->ns, meta->name) != w->owner)
		return 0;
	doc = object_doc(w->owner);
	if (!doc)
		return -ENOMEM;
	if (!has_finalizer(doc, finalizers[w->fate], &at))
		return 0;
	snprintf(path, sizeof(path), "metadata.finalizers[%zu]", at);
	doc_remove(doc, path);
	round->writes++;
	r = txn_put(round->txn, w->owner->kind, doc, w->owner, &obj);
	if (r < 0 || obj->meta->nfinalizers || doc_int(doc, "metadata.deletionGracePeriodSeconds", 0))
		return r;
	return txn_delete(round->txn, obj, NULL);
}

static int each_kind(struct round *round, int (*each)(void *arg, struct object *obj))
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < KIND_COUNT; k++)
		r = state_each_accepted(round->control->state, &kinds[k], NULL, each, round);
	return r;
}

static void round_done(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == -ESHUTDOWN)
		return;
	if (rc < 0)
		write_failed(control, "owner_collection_failed", rc, error);
	loop_timer_set(control->owner_timer, rc < 0 ? RETRY_MS : 0);
}

static int run_round(struct round *round)
{
	int r = each_kind(round, note_waiting);

	if (r == 0)
		r = each_kind(round, judge_dependent);
	for (size_t i = 0; r == 0 && i < round->nwaiting; i++)
		if (!round->waiting[i].dependents)
			r = release(round, &round->waiting[i]);
	return r;
}

/* Rounds follow each other until one has nothing to write. */
void owners_collect(void *arg)
{
	struct control *control = arg;
	struct round round = { .control = control };
	int r;

	if (!state_chosen(control->state, "owners"))
		return;
	r = txn_new(control->state, &round.txn);

	if (r == 0)
		r = run_round(&round);
	if (r < 0) {
		txn_drop(round.txn);
		if (r != -ESHUTDOWN)
			loop_timer_set(control->owner_timer, RETRY_MS);
		return;
	}
	if (round.writes)
		txn_submit(round.txn, false, round_done, control);
	else
		txn_drop(round.txn);
}

static int count_one(void *arg, struct object *obj)
{
	count_owners(arg, obj, true);
	return 0;
}

/* What went while netd was not there to see it. */
void owners_start(struct control *control)
{
	for (size_t k = 0; k < KIND_COUNT; k++)
		state_each(control->state, &kinds[k], NULL, count_one, control);
	loop_timer_set(control->owner_timer, 0);
}

void owners_free(struct control *control)
{
	struct owned *o;
	size_t pos = 0;

	while ((o = map_next(&control->owned, &pos)))
		free(o);
	map_fini(&control->owned);
}
