/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tape.h - a JSON text as a row of values, to be looked at and not changed
 *
 * Room (codec).  A stored object is decoded from one of these, thousands of them at start: reading
 * copies the text once and takes no memory for each value.  What is to be changed is a doc, doc.h.
 */
#ifndef NETD_CODEC_TAPE_H
#define NETD_CODEC_TAPE_H

#include <netd/base/base.h>

/* What most stored objects have at most: values, and bytes of text. */
#define TAPE_FEW    128
#define TAPE_SMALL  1536

enum value_type {
	VALUE_NULL, VALUE_FALSE, VALUE_TRUE, VALUE_INTEGER, VALUE_REAL, VALUE_STRING, VALUE_LIST,
	VALUE_OBJECT
};

/** A value; what is in a list or an object stands right behind it, a member's name before its value. */
struct value {
	uint32_t type : 3;          /* enum value_type */
	uint32_t skip : 29;         /* values from this one to what stands behind all that is in it */
	uint32_t n;                 /* bytes of a string; elements of a list, members of an object */
	union {
		const char *text;       /* ends with NUL, which no string of JSON here has in it */
		int64_t integer;
		double real;
	};
};

/**
 * Zero-initialised, or by tape_init(); read again and again, it keeps its memory.  Not to be copied:
 * a short text and its values lie in it.
 */
struct tape {
	struct value *v;            /* the first one is the whole */
	char *text;
	size_t n, cap, room;
	struct value few[TAPE_FEW];
	char small[TAPE_SMALL];
};

static inline void tape_init(struct tape *t)
{
	t->v = NULL;
	t->text = NULL;
	t->n = t->cap = t->room = 0;
}

/**
 * tape_read() - any text of JSON; what @t held before is gone
 * @why: what is wrong and where, for a 400
 *
 * Return: 0, -EINVAL (not JSON, duplicate members, deeper than LIMIT_JSON_DEPTH), -ENOMEM.
 */
int tape_read(struct tape *t, const char *text, size_t len, char why[160]);
void tape_fini(struct tape *t);

/* Each takes NULL for what is absent, and null is absent as well; values live as long as the tape
 * is not read again. */
const struct value *value_member(const struct value *v, const char *name);
/** value_at() - by path, as doc.h has them */
const struct value *value_at(const struct value *v, const char *path);
/** value_elem() - of a list, at @i */
const struct value *value_elem(const struct value *v, size_t i);

static inline bool value_is(const struct value *v, enum value_type type)
{
	return v && v->type == type;
}

/** value_len() - of a list or object; 0 */
static inline size_t value_len(const struct value *v)
{
	return v && v->type >= VALUE_LIST ? v->n : 0;
}

/** value_text() - of a string, or NULL */
static inline const char *value_text(const struct value *v)
{
	return value_is(v, VALUE_STRING) ? v->text : NULL;
}

static inline const struct value *value_next(const struct value *v)
{
	return v + v->skip;
}

/** value_first() - of what is in @v, when that is of @type; NULL: nothing */
static inline const struct value *value_first(const struct value *v, enum value_type type)
{
	return value_is(v, type) && v->n ? v + 1 : NULL;
}

/** value_after() - of what is in @in the one behind @v, or NULL */
static inline const struct value *value_after(const struct value *in, const struct value *v)
{
	return value_next(v) < value_next(in) ? value_next(v) : NULL;
}

/* over the elements of @list, and the members of @object; neither if it is absent or another type */
#define value_each(list, v) \
	for (v = value_first(list, VALUE_LIST); v; v = value_after(list, v))
#define value_each_member(object, name, v) \
	for (name = value_first(object, VALUE_OBJECT); name && (v = name + 1); \
	     name = value_after(object, v))

#endif
