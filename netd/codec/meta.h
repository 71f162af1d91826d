/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.h - the envelope that all kinds share
 *
 * Room (codec): inner header.
 */
#ifndef NETD_CODEC_META_H
#define NETD_CODEC_META_H

#include <netd/codec/field.h>
#include <netd/codec/kind.h>

extern const struct field meta_fields[];
extern const struct field condition_fields[];   /* elements, to struct condition */

/* Rows that each kind's table begins with, and what a status of conditions alone looks like. */
#define ENVELOPE_FIELDS \
	{ .name = "apiVersion", .type = FIELD_STRING }, \
	{ .name = "kind", .type = FIELD_STRING }, \
	{ .name = "metadata", .type = FIELD_OBJECT, .sub = meta_fields, .flags = FIELD_OPEN }
#define STATUS_FIELD(table) \
	{ .name = "status", .type = FIELD_OBJECT, .sub = table, \
	  .flags = FIELD_SERVER | FIELD_OPEN }
extern const struct field plain_status_fields[];

/** meta_check() - the rules of names, labels, annotations, finalizers, owners */
void meta_check(const struct kind *kind, const struct doc *doc, struct causes *causes);
/** kind_new() - the struct, of @size and zero but for what the table decodes; NULL: no memory */
void *kind_new(const struct value *doc, const struct field *fields, size_t size,
	       struct arena *arena);
/** kind_fill() - into a struct that holds its defaults already, meta at its begin; 0 or -ENOMEM */
int kind_fill(const struct value *doc, const struct field *fields, struct arena *arena, void *base);

/* defaults: 0 also where something of another type is in the way, which the check then says */
int default_str(struct doc *doc, const char *path, const char *value);
int default_bool(struct doc *doc, const char *path, bool value);
int default_list(struct doc *doc, const char *path);
int default_object(struct doc *doc, const char *path);

/** doc_cause() - causes_add() of the value at @path of @doc; absent: none is told */
void doc_cause(struct causes *c, enum cause_reason reason, const struct doc *doc, const char *path,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/** check_immutable() - the value at @path may not differ from the old object's */
void check_immutable(const struct doc *doc, const struct doc *old, const char *path,
		     struct causes *causes);

#endif
