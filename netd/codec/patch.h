/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patch.h - the three ways to say what is to change in an object (API-CONTRACT 7)
 *
 * Room (codec): documents only; whether the result is a valid object is kind_check()'s.
 */
#ifndef NETD_PATCH_H
#define NETD_PATCH_H

#include <netd/codec/kind.h>

enum patch_type {
	PATCH_MERGE,                /* RFC 7386 */
	PATCH_JSON,                 /* RFC 6902 */
	PATCH_STRATEGIC,            /* merge, but lists with a merge key are merged by it */
};

/**
 * patch_parse() - text to a patch, its nulls kept
 * Return: 0, -EINVAL (not JSON, or not an object, or of PATCH_JSON not a list), -ENOMEM.
 */
int patch_parse(enum patch_type type, const char *text, size_t len, struct doc **ret,
		char why[160]);
/**
 * patch_apply() - change @doc, an object of @kind; its result has no nulls
 *
 * Return: 0; or, and then @doc is of no use any more, -EINVAL (no such patch: malformed), -ENOENT
 * (it does not fit the object: a path is missing, a test fails), -E2BIG (more work or a larger
 * result than one request may ask for), -ENOMEM.
 */
int patch_apply(enum patch_type type, const struct kind *kind, struct doc *doc,
		const struct doc *patch, char why[160]);

/* json_patch.c, strategic.c; the same errors */
int doc_json_patch(struct doc *doc, const struct doc *patch, char why[160]);
int doc_strategic_patch(const struct kind *kind, struct doc *doc, const struct doc *patch,
			char why[160]);

/* merge_keys.c */
struct merge_rule {
	const char *kind;           /* "": every kind */
	const char *path;           /* members joined by '.', without the indexes of lists */
	const char *key;            /* what tells elements apart; NULL: a set of scalars */
};
/** merge_rule_find() - NULL: the list at @path is replaced as a whole */
const struct merge_rule *merge_rule_find(const struct kind *kind, const char *path);

#endif
