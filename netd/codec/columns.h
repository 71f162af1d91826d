/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns.h - what `kubectl get` shows of an object: a table of columns a kind
 *
 * Room (codec): inner header.  Cells are texts made from the stored document by path.  Source:
 * API-CONTRACT 10; the words are those of kubernetes/pkg/printers/internalversion.
 */
#ifndef NETD_CODEC_COLUMNS_H
#define NETD_CODEC_COLUMNS_H

#include <netd/codec/json.h>
#include <netd/codec/kind.h>

struct column {
	const char *name;           /* NULL ends a table */
	const char *type;           /* NULL: "string"; else "integer" */
	const char *format;         /* NULL: none */
	const char *description;
	int priority;               /* 1: only with -o wide */
	const char *path;           /* the value there, or @absent */
	const char *absent;         /* NULL: "<none>" */
	void (*cell)(const struct doc *doc, struct buf *out);   /* instead of @path */
};

#define COLUMN_NAME \
	{ .name = "Name", .format = "name", .path = "metadata.name", .description = \
	  "Name of the object, unique among its kind in its namespace" }
#define COLUMN_AGE \
	{ .name = "Age", .cell = cell_age, .description = "Time since it was created" }

extern const struct column namespace_columns[], node_columns[], pod_columns[], event_columns[];
extern const struct column service_columns[], slice_columns[], endpoints_columns[];
extern const struct column policy_columns[];
extern const struct column network_columns[], netns_columns[], veth_columns[], bridge_columns[];
extern const struct column route_columns[], tunnel_columns[];

/** columns_of() - never NULL: a kind without a table of its own shows name and age */
const struct column *columns_of(const struct kind *kind);
/** column_text() - one cell, as text */
void column_text(const struct column *column, const struct doc *doc, struct buf *out);

void cell_age(const struct doc *doc, struct buf *out);
/** add_age() - of a time in the text form, "<unknown>" for none */
void add_age(const char *time, struct buf *out);
/** add_labels() - k=v,... of a map, sorted; "<none>" */
void add_labels(const json_t *map, struct buf *out);
/** add_selector() - a LabelSelector in the grammar of labelSelector; "<none>" */
void add_selector(const json_t *selector, struct buf *out);
/** find_condition() - its status, or NULL */
const char *find_condition(const struct doc *doc, const char *type);
/** find_text() - a string member, or NULL */
const char *find_text(const json_t *object, const char *member);

/** A list that is cut: "a,b,c + 2 more...". */
struct cut_list {
	struct buf *out;
	size_t n, max;              /* max 0: never cut */
};
void cut_list_add(struct cut_list *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void cut_list_end(struct cut_list *list, const char *none);

#endif
