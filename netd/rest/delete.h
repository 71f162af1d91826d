/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delete.h - what DELETE of one object and of a collection share
 *
 * Room: rest only.
 */
#ifndef REST_DELETE_H
#define REST_DELETE_H

#include "internal.h"

struct delete_options {
	int64_t grace_s;            /* -1: not given */
	const char *uid, *rev;      /* preconditions, in the request's arena or NULL */
	const char *finalizer;      /* of the propagation policy: what control does first; or NULL */
};

/* options.c: body and query; sets c->dry_run too */
int delete_options(struct call *c, struct delete_options *ret);
int delete_preconditions(struct call *c, const struct delete_options *o, const struct object *obj);

/* delete.c: 1: it stays, and *@ret is marked as being deleted; 0: nothing holds the object */
int delete_mark(struct call *c, const struct object *obj, const struct delete_options *o,
		struct doc **ret);

#endif
