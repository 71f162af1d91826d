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
struct listed {
	const char *ns, *name;
	struct bytes *bytes;
	const struct object *obj;   /* NULL: it is not like this any more */
};
/**
 * snapshot_each() - in order of namespace, name; all is borrowed until the next turn
 * @after: only those behind it; its name NULL: all
 */
int snapshot_each(const struct snapshot *s, const struct page *after,
		  int (*each)(void *arg, const struct listed *one), void *arg);

/* list.c: the objects of a list, joined while they are sent */
struct list_conf {
	const struct selector *sel; /* in the request's arena */
	uint64_t limit;             /* 0: none */
	struct page after;          /* name NULL: from the beginning; rev: of the snapshot */
};
/** list_answer() - 0: answered, or negative: refused */
int list_answer(struct call *c, const struct list_conf *conf, const struct snapshot *snapshot);

#endif
