/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dump.c - documents to compact text
 *
 * Room (codec): our own writer, since it runs for every stored version: no allocation but the
 * growing buffer, and reals in the shortest form that reads back the same.
 * May include: netd/base, jansson.
 */
#include <netd/codec/json.h>
#include <stdio.h>

#define ROOM    1000        /* most objects are smaller; it is given back at once, whatever it is */

void json_dump_text(const char *s, size_t len, struct buf *b)
{
	size_t from = 0;

	buf_add(b, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s + from, i - from);
		from = i + 1;
		if (c == '"' || c == '\\')
			buf_add(b, (char[]){ '\\', (char)c }, 2);
		else if (c == '\n')
			buf_add(b, "\\n", 2);
		else if (c == '\t')
			buf_add(b, "\\t", 2);
		else
			buf_printf(b, "\\u%04x", c);
	}
	buf_add(b, s + from, len - from);
	buf_add(b, "\"", 1);
}

/* A real stays a real: jansson tells 80 and 80.0 apart by the point. */
static void dump_real(double v, struct buf *b)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_str(b, text);
	if (!strpbrk(text, ".e"))
		buf_add(b, ".0", 2);
}

static void dump_member(const char *key, size_t len, const json_t *v, bool first, struct buf *b)
{
	if (!first)
		buf_add(b, ",", 1);
	json_dump_text(key, len, b);
	buf_add(b, ":", 1);
	json_dump_buf(v, b);
}

static void dump_object(const json_t *obj, struct buf *b)
{
	bool first = true;
	const char *key;
	json_t *child;

	buf_add(b, "{", 1);
	json_object_foreach((json_t *)(uintptr_t)obj, key, child) {
		dump_member(key, strlen(key), child, first, b);
		first = false;
	}
	buf_add(b, "}", 1);
}

static void dump_array(const json_t *list, struct buf *b)
{
	json_t *child;
	size_t i;

	buf_add(b, "[", 1);
	json_array_foreach(list, i, child) {
		if (i)
			buf_add(b, ",", 1);
		json_dump_buf(child, b);
	}
	buf_add(b, "]", 1);
}

void json_dump_buf(const json_t *v, struct buf *b)
{
	char number[24];

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		dump_object(v, b);
		return;
	case JSON_ARRAY:
		dump_array(v, b);
		return;
	case JSON_STRING:
		json_dump_text(json_string_value(v), json_string_length(v), b);
		return;
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
		buf_str(b, number);
		return;
	case JSON_REAL:
		dump_real(json_real_value(v), b);
		return;
	case JSON_TRUE:
		buf_add(b, "true", 4);
		return;
	case JSON_FALSE:
		buf_add(b, "false", 5);
		return;
	case JSON_NULL:
		buf_add(b, "null", 4);
		return;
	}
}

struct bytes *doc_bytes(const struct doc *doc)
{
	static const char *const head[] = { "apiVersion", "kind", "metadata" };
	struct buf b = { 0 };
	struct bytes *ret;
	const char *key;
	json_t *child;

	buf_room(&b, ROOM);
	buf_add(&b, "{", 1);
	for (size_t i = 0; i < ARRAY_SIZE(head); i++) {
		child = json_object_get(doc->root, head[i]);
		if (child)
			dump_member(head[i], strlen(head[i]), child, b.len <= 1, &b);
	}
	json_object_foreach(doc->root, key, child) {
		if (strcmp(key, head[0]) && strcmp(key, head[1]) && strcmp(key, head[2]))
			dump_member(key, strlen(key), child, b.len <= 1, &b);
	}
	buf_add(&b, "}", 1);
	ret = buf_bytes(&b);
	buf_fini(&b);
	return ret;
}
