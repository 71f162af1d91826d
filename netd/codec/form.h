/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * form.h - the forms in which an object, a list or an event of a watch can be sent
 *
 * Room (codec): the plain form is the stored bytes; a Table has a row of cells for each object; the
 * metadata form has nothing but metadata.  Source: API-CONTRACT 10.
 */
#ifndef NETD_FORM_H
#define NETD_FORM_H

#include <netd/codec/kind.h>

struct form {
	enum form_type { FORM_PLAIN, FORM_TABLE, FORM_METADATA } type;
	/* what a row of a Table has beside its cells */
	enum form_include { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE } include;
	const char *version;        /* of meta.k8s.io: "v1" or "v1beta1", static; unless plain */
};

/**
 * form_object() - one object, of a GET or of a watch's event
 * @columns: with the definitions of a Table's columns: the first event has them
 *
 * Return: a reference; NULL: no memory.
 */
struct bytes *form_object(const struct form *form, const struct kind *kind, struct bytes *object,
			  bool columns);
/** form_bookmark() - the object of a BOOKMARK; @initial_end: of the one after the first events */
struct bytes *form_bookmark(const struct form *form, const struct kind *kind, uint64_t rev,
			    bool initial_end);

struct form_list {
	uint64_t rev;
	const char *next;           /* continue token, or NULL */
	int64_t remaining;          /* -1: not said */
};
/**
 * form_list_begin(), form_list_end() - what stands around the items
 * @list: in one of the two, in the other NULL: what is not known at the begin is said in the end
 */
void form_list_begin(const struct form *form, const struct kind *kind,
		     const struct form_list *list, struct buf *out);
/** form_list_item() - 0 or -ENOMEM */
int form_list_item(const struct form *form, const struct kind *kind, const char *object, size_t len,
		   bool first, struct buf *out);
void form_list_end(const struct form_list *list, struct buf *out);

/** duration_human() - as kubectl says it: 5s, 3m20s, 2d4h, 3y */
const char *duration_human(int64_t seconds, char buf[24]);

#endif
