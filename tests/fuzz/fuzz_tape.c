/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_tape.c - any bytes as JSON: what is read is what jansson's own parser reads
 *
 * Ours has limits that jansson has not (depth, digits), and jansson takes "true" with a NUL behind
 * it; else both take the same texts.
 */
#include "fuzz.h"

#include <jansson.h>
#include <netd/codec/tape.h>

static void compare(const struct value *v, const json_t *j);

static void compare_list(const struct value *v, const json_t *j)
{
	const struct value *elem;
	size_t i = 0;

	must(json_is_array(j) && v->n == json_array_size(j));
	value_each(v, elem)
		compare(elem, json_array_get(j, i++));
	must(i == v->n && !value_elem(v, i));
}

static void compare_object(const struct value *v, const json_t *j)
{
	const struct value *name, *member;
	size_t n = 0;

	must(json_is_object(j) && v->n == json_object_size(j));
	value_each_member(v, name, member) {
		must(value_is(name, VALUE_STRING) && strlen(name->text) == name->n);
		must(value_member(v, name->text) == (member->type == VALUE_NULL ? NULL : member));
		compare(member, json_object_get(j, name->text));
		n++;
	}
	must(n == v->n);
}

static void compare(const struct value *v, const json_t *j)
{
	switch ((enum value_type)v->type) {
	case VALUE_NULL:
		must(json_is_null(j));
		return;
	case VALUE_FALSE:
		must(json_is_false(j));
		return;
	case VALUE_TRUE:
		must(json_is_true(j));
		return;
	case VALUE_INTEGER:
		must(json_is_integer(j) && v->integer == json_integer_value(j));
		return;
	case VALUE_REAL:
		must(json_is_real(j) && v->real == json_real_value(j));
		return;
	case VALUE_STRING:
		must(json_is_string(j) && strcmp(v->text, json_string_value(j)) == 0);
		return;
	case VALUE_LIST:
		compare_list(v, j);
		return;
	case VALUE_OBJECT:
		compare_object(v, j);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			       NULL);
	_cleanup_(tape_fini) struct tape t = { 0 };
	char why[160] = "";

	if (tape_read(&t, (const char *)data, size, why) == 0) {
		must(j && t.n == t.v->skip);
		compare(t.v, j);
	} else {
		must(why[0]);
		must(!j || strstr(why, "too deeply") || strstr(why, "too many digits") ||
		     memchr(data, 0, size));
	}
	json_decref(j);
	return 0;
}
