/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read.h - what reading takes beside its handlers: forms of the answer, entity tags, pages
 *
 * Room: rest only.
 */
#ifndef REST_READ_H
#define REST_READ_H

#include "internal.h"
#include <netd/codec/form.h>

/* accept.c: what a path can be answered with */
enum answer { ANSWER_PLAIN, ANSWER_ITEM, ANSWER_COLLECTION };
/** check_accept() - the first form of the Accept header that can be served, to c->form; or 406 */
int check_accept(struct call *c, enum answer answer);

/* etag.c: a resourceVersion in quotes is the entity tag of the plain form */
/** etag_send() - the header ETag; before the answer */
void etag_send(struct call *c, uint64_t rev);
/** etag_unchanged() - a GET whose If-None-Match names the version */
bool etag_unchanged(struct call *c, const struct object *obj);

/* page.c: continue tokens: which snapshot, and the last object sent of it */
struct page {
	uint64_t rev;
	const char *ns, *name;      /* in the arena */
};
/** page_token() - opaque text; NULL: no memory */
const char *page_token(const struct page *page, struct arena *arena);
/** page_parse() - 0, -EINVAL (it is none of ours), -ENOMEM */
int page_parse(const char *token, struct arena *arena, struct page *ret);

/* snapshot.c: the objects of a kind as they were at an earlier revision */
struct snapshot;
/**
 * snapshot_open() - what has changed since @rev, from the history
 * Return: 0, -ESTALE (the history does not reach back so far, or too much has changed), -ENOMEM.
 */
int snapshot_open(struct state *state, const struct kind *kind, const char *ns, uint64_t rev,
		  struct snapshot **ret);
void snapshot_free(struct snapshot *s);
DEFINE_CLEANUP(struct snapshot, snapshot_free)
/** snapshot_each() - in order of namespace, name; the bytes are borrowed until the next turn */
int snapshot_each(const struct snapshot *s,
		  int (*each)(void *arg, const char *ns, const char *name, struct bytes *bytes),
		  void *arg);

#endif
