/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - what the files of codec share about documents
 *
 * Room (codec): inner header; nobody outside includes it.
 */
#ifndef NETD_CODEC_JSON_H
#define NETD_CODEC_JSON_H

#include <jansson.h>
#include <netd/codec/doc.h>
#include <netd/model/causes.h>

struct doc {
	json_t *root;
};

/** doc_at() - borrowed value at @path ("": the root); NULL: absent, null or not reachable */
json_t *doc_at(const struct doc *doc, const char *path);
/** doc_put() - takes @value also when it fails; NULL @value is -ENOMEM */
int doc_put(struct doc *doc, const char *path, json_t *value);
/** json_text() - a string; bytes that are not UTF-8 become '?'.  NULL: no memory */
json_t *json_text(const char *s);
/** json_utf8() - whether all of it is valid UTF-8 */
bool json_utf8(const unsigned char *s, size_t len);
/** json_parse() - any value; 0, -EINVAL with @why, -ENOMEM */
int json_parse(const char *text, size_t len, json_t **ret, char why[160]);
/** json_clone() - deep copy that shares scalars, which nobody changes in place; NULL: no memory */
json_t *json_clone(const json_t *v);
/** json_dump_buf() - compact text, members in their order */
void json_dump_buf(const json_t *v, struct buf *b);
/** json_dump_text() - a string in quotes */
void json_dump_text(const char *s, size_t len, struct buf *b);
/** json_cause() - causes_add() of the value @v; NULL: none is told */
void json_cause(struct causes *c, enum cause_reason reason, const char *field, const json_t *v,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/** json_condition() - the one of this type in a list of conditions, borrowed, or NULL */
json_t *json_condition(const json_t *list, const char *type);
/** json_strip_nulls() - null members of objects are absent ones */
void json_strip_nulls(json_t *v);

#endif
