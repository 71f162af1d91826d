/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parse.c - from a text that was read to jansson's values
 *
 * Room (codec).  May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/tape.h>
#include <stdio.h>

static json_t *make(const struct value *v);

static json_t *make_list(const struct value *v)
{
	json_t *list = json_array();
	const struct value *elem;
	int r = list ? 0 : -1;

	value_each(v, elem)
		if (r == 0)
			r = json_array_append_new(list, make(elem));
	if (r == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *make_object(const struct value *v)
{
	const struct value *name, *member;
	json_t *object = json_object();
	int r = object ? 0 : -1;

	value_each_member(v, name, member)
		if (r == 0)
			r = json_object_setn_new_nocheck(object, name->text, name->n, make(member));
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

/* NULL: no memory, which jansson takes for an element or a member and says so */
static json_t *make(const struct value *v)
{
	switch ((enum value_type)v->type) {
	case VALUE_NULL:
		return json_null();
	case VALUE_FALSE:
		return json_false();
	case VALUE_TRUE:
		return json_true();
	case VALUE_INTEGER:
		return json_integer(v->integer);
	case VALUE_REAL:
		return json_real(v->real);
	case VALUE_STRING:
		return json_stringn_nocheck(v->text, v->n);
	case VALUE_LIST:
		return make_list(v);
	case VALUE_OBJECT:
		return make_object(v);
	}
	return NULL;
}

int json_parse(const char *text, size_t len, json_t **ret, char why[160])
{
	struct tape t;
	json_t *v = NULL;
	int r;

	tape_init(&t);
	r = tape_read(&t, text, len, why);
	if (r == 0) {
		v = make(t.v);
		r = v ? 0 : -ENOMEM;
	}
	tape_fini(&t);
	if (r == 0)
		*ret = v;
	else if (r == -ENOMEM)
		snprintf(why, 160, "out of memory");
	return r;
}
