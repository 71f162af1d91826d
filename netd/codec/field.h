/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * field.h - an object's members as a table: checked by one walk, decoded by another
 *
 * Room (codec): a kind is mostly its table.  A row names a member of one JSON object, its type and
 * bounds, and where the value goes in the model struct; objects have a table of their own, whose
 * offsets count from the same struct; elements of a list count from the element.
 */
#ifndef NETD_CODEC_FIELD_H
#define NETD_CODEC_FIELD_H

#include <netd/codec/doc.h>
#include <netd/codec/tape.h>
#include <netd/model/causes.h>

enum field_type {
	FIELD_ANY,                  /* kept, never looked at */
	FIELD_STRING, FIELD_INT, FIELD_BOOL,
	FIELD_ENUM,                 /* a string of @values; decodes to it, or to its index */
	FIELD_STRING_MAP,           /* to struct kv */
	FIELD_OBJECT, FIELD_LIST,
	/* strings with a format */
	FIELD_LABEL, FIELD_SUBDOMAIN, FIELD_QUALIFIED, FIELD_PORT_NAME, FIELD_IFNAME,
	FIELD_OWN_IFNAME, FIELD_NETNS_PATH, FIELD_TIME, FIELD_QUANTITY, FIELD_ADDRESS,
	FIELD_PREFIX, FIELD_CIDR, FIELD_DESTINATION, FIELD_MAC,
	FIELD_NET,                  /* a CIDR whose host bits do not matter */
	FIELD_PORT_REF,             /* a port's number or name; to struct port_ref */
};

enum field_flag {
	FIELD_REQUIRED = 1,         /* must be there, and a string not empty */
	FIELD_UNIQUE = 2,           /* elements of a list differ; of objects, their first member */
	FIELD_STORED = 4,           /* goes to the struct */
	FIELD_INDEX = 8,            /* an enum is stored as int, the index in @values */
	FIELD_INLINE = 16,          /* a list's elements lie in the struct itself, at most @max */
	FIELD_COUNTED = 32,         /* a list's length goes to @count */
	FIELD_SERVER = 64,          /* the server's own: decoded, and checked apart (status) */
	FIELD_OPEN = 128,           /* an object whose unknown members are kept in every kind */
	FIELD_APART = 256,          /* an object whose table is of another struct: not decoded with this */
	FIELD_BLANKS = 512,         /* blanks around a text do not count, and are kept */
};

struct field {
	const char *name;           /* NULL ends a table */
	enum field_type type, elem; /* elem: type of a list's elements */
	unsigned flags;
	int64_t min, max;           /* of an integer (0, 0: any), of a list's length (max 0: any) */
	const char *const *values;  /* ends with NULL; of a plain string: words often met, shared */
	const struct field *sub;    /* of an object, or a list's objects */
	uint16_t offset, width;     /* member of the struct; width of a list's element */
	uint16_t count;
};

/* where a value goes */
#define AT(s, m) .offset = offsetof(struct s, m), .width = sizeof(((struct s *)0)->m)
#define LIST_AT(s, m, n) .offset = offsetof(struct s, m), .count = offsetof(struct s, n), \
	.width = sizeof(*((struct s *)0)->m)
#define INLINE_AT(s, m) .offset = offsetof(struct s, m), .width = sizeof(((struct s *)0)->m[0])

/**
 * field_check() - types, ranges, formats, what is required
 * @path:   of @table's object in @doc, "" or "spec"
 * @strict: members that @table does not name are unknown fields
 */
void field_check(const struct field *table, const struct doc *doc, const char *path, bool strict,
		 struct causes *causes);
/** field_decode() - what the checked object @v holds, to @base; 0 or -ENOMEM */
int field_decode(const struct field *table, const struct value *v, struct arena *arena, void *base);
/** field_trim() - @s without the blanks around it, at most 255 bytes of it; @buf */
const char *field_trim(const char *s, char buf[256]);

#endif
