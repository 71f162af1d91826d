/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * early.c - what can be done for a pod while its write is on the way to the disk
 *
 * Room: reconcile.  The loop has nothing else to do for a pod until its commit: so its set is compiled
 * then, and the status it will have if all goes well.  Both are of one version, the newest that was
 * accepted, and are thrown away when what they were made from changes.
 *
 * A pod from the pool takes the kernel less time than a commit takes the disk, so it is asked for
 * meanwhile too, and the status is written right behind the pod, in its transaction or in the next one.
 * Watchers and clients hear of either after its commit and not before.  A pod that is not committed
 * after all is taken away again; one that a crash has left is of nobody whom the store knows, and goes
 * with the sweep of the next start.  Not so where another node may refuse the pod, nor for a
 * namespace that somebody brings, which would stay behind with what was put into it.
 */
#include "inner.h"

void early_drop(struct reconcile *rec)
{
	object_unref(take_ptr(rec->early.obj));
	podnet_set_free(take_ptr(rec->early.set));
	doc_free(take_ptr(rec->early.status));
}

void early_make(struct reconcile *rec, struct object *obj)
{
	early_drop(rec);
	if (!rec->begun || !scope_is_ours(rec, obj) || want_compile(rec, obj, &rec->early.set) < 0)
		return;
	rec->early.obj = object_ref(obj);
}

static bool may_send(const struct reconcile *rec, const struct object *pod)
{
	const char *words;

	return kernel_is_ready(rec->kernel) && !pod->pod->netns &&
	       !state_is_shared(rec->conf.state) && reconcile_idle(rec) &&
	       state_health(rec->conf.state, &words) == 0 &&
	       node_has_blocks(rec, pod->pod) && !scope_find(rec, pod->meta->uid);
}

void early_send(struct reconcile *rec)
{
	struct object *pod = rec->early.obj;
	struct scope *scope = pod && may_send(rec, pod) ? scope_get(rec, pod->meta->uid) : NULL;

	if (!scope)
		return;
	scope_set_now(rec, scope, pod);
	scope->ahead = true;
	reconcile_mark(rec, scope, MARK_URGENT);
}

bool early_committed(struct scope *scope, const struct object *now)
{
	bool sent = scope->ahead && scope->now == now;

	scope->ahead = false;
	return sent;
}

void early_dropped(void *arg, const struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = scope_find(rec, obj->meta->uid);

	if (!scope || !scope->ahead || scope->now != obj)
		return;
	scope->ahead = false;
	reconcile_gone(rec, scope->now);
}

void early_status(struct reconcile *rec)
{
	const struct object *pod = rec->early.obj;
	const struct scope *scope = pod ? scope_find(rec, pod->meta->uid) : NULL;

	if (pod && (!scope || scope->running))
		rec->early.status = status_of_running(rec, pod);
}

struct podnet_set *early_take_set(struct reconcile *rec, const struct object *obj)
{
	return obj == rec->early.obj ? take_ptr(rec->early.set) : NULL;
}

struct doc *early_take_status(struct reconcile *rec, const struct object *obj)
{
	return obj == rec->early.obj ? take_ptr(rec->early.status) : NULL;
}
