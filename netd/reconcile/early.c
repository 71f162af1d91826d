/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * early.c - what can be done for a pod while its write is on the way to the disk
 *
 * Room: reconcile; pure but for memory.  The loop has nothing else to do for a pod until its commit:
 * so its set is compiled then, and the status it will have if all goes well.  Both are of one
 * version, the newest that was accepted, and are thrown away when what they were made from changes.
 * Nothing reaches the kernel or a watcher before the commit.
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
	rec->early.status = status_of_running(rec, obj);
}

struct podnet_set *early_take_set(struct reconcile *rec, const struct object *obj)
{
	return obj == rec->early.obj ? take_ptr(rec->early.set) : NULL;
}

struct doc *early_take_status(struct reconcile *rec, const struct object *obj)
{
	return obj == rec->early.obj ? take_ptr(rec->early.status) : NULL;
}
