/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doc.h - JSON documents by path
 *
 * Room (codec): the only one that sees jansson.  Others hold a `struct doc` and speak in paths:
 * members joined by '.', list indexes in brackets, "spec.ends[0].name"; a member that holds dots is
 * quoted in brackets, metadata.annotations["podnet.dev/mac"].  Explicit null means absent.
 */
#ifndef NETD_DOC_H
#define NETD_DOC_H

#include <netd/base/base.h>

struct doc;

/**
 * doc_parse() - text to document; an object at the top
 * @why: what is wrong and where, for a 400
 *
 * Return: 0, -EINVAL (not JSON, duplicate members, deeper than LIMIT_JSON_DEPTH, not an object),
 * -ENOMEM.
 */
int doc_parse(const char *text, size_t len, struct doc **ret, char why[160]);
/** doc_parse_patch() - the same, with null members kept: they mean something in a merge patch */
int doc_parse_patch(const char *text, size_t len, struct doc **ret, char why[160]);
/** doc_parse_list() - the same with a list at the top, for which every path leads nowhere */
int doc_parse_list(const char *text, size_t len, struct doc **ret, char why[160]);
struct doc *doc_new(void);                          /* {} ; NULL: no memory */
struct doc *doc_copy(const struct doc *doc);        /* deep */
void doc_free(struct doc *doc);
DEFINE_CLEANUP(struct doc, doc_free)
/** doc_bytes() - compact text; apiVersion, kind and metadata first.  NULL: no memory. */
struct bytes *doc_bytes(const struct doc *doc);
bool doc_equal(const struct doc *a, const struct doc *b);

/* Reading.  Returned strings live as long as the document stays unchanged. */
bool doc_has(const struct doc *doc, const char *path);
const char *doc_str(const struct doc *doc, const char *path);       /* NULL: absent or no string */
int64_t doc_int(const struct doc *doc, const char *path, int64_t absent);
bool doc_bool(const struct doc *doc, const char *path, bool absent);
bool doc_is_list(const struct doc *doc, const char *path);
size_t doc_len(const struct doc *doc, const char *path);            /* of a list or object, 0 */
bool doc_equal_at(const struct doc *a, const struct doc *b, const char *path);

/* Writing makes what is missing on the way.  0 or -ENOMEM, -EINVAL when something of another type
 * is in the way. */
int doc_set_str(struct doc *doc, const char *path, const char *value);
int doc_set_int(struct doc *doc, const char *path, int64_t value);
int doc_set_bool(struct doc *doc, const char *path, bool value);
int doc_set_list(struct doc *doc, const char *path);                /* an empty list, if absent */
int doc_set_object(struct doc *doc, const char *path);              /* an empty object, if absent */
int doc_set_json(struct doc *doc, const char *path, const char *json);  /* parsed, replaces */
/* what is absent in @from is removed */
int doc_set_copy(struct doc *doc, const char *path, const struct doc *from, const char *from_path);
void doc_remove(struct doc *doc, const char *path);

/** doc_merge_patch() - RFC 7386 in place, @patch of doc_parse_patch().  0 or -ENOMEM. */
int doc_merge_patch(struct doc *doc, const struct doc *patch);

/**
 * doc_set_condition() - insert or change conditions[type] under @path ("status.conditions")
 *
 * lastTransitionTime moves only when @status changes.  Return: 1 changed, 0 as it was, -ENOMEM.
 */
int doc_set_condition(struct doc *doc, const char *path, const char *type, const char *status,
		      const char *reason, const char *message, const char *now);
/** doc_has_condition() - is there one of this type under @path? */
bool doc_has_condition(const struct doc *doc, const char *path, const char *type);

/**
 * doc_stamp_conditions() - lastTransitionTime of what a client wrote
 *
 * A condition whose status is another than in @old, or that is new, gets @now unless the client says
 * when; one whose status stayed keeps its time.  0 or -ENOMEM.
 */
int doc_stamp_conditions(struct doc *doc, const struct doc *old, const char *path,
			 const char *now);

#endif
