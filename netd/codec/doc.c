/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doc.c - JSON text to document and back
 *
 * Room (codec): parsing with its limits, copies, equality.  Members keep the order in which the
 * user gave them.  Depth is judged before jansson recurses into the text.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/codec/json.h>
#include <stdio.h>

/* One pass over the bytes; what stands in strings does not count. */
static bool too_deep(const char *text, size_t len)
{
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '[') && ++depth > LIMIT_JSON_DEPTH)
			return true;
		else if (!quoted && (c == '}' || c == ']') && depth)
			depth--;
	}
	return false;
}

void json_strip_nulls(json_t *v)
{
	const char *key;
	json_t *child;
	void *next;
	size_t i;

	if (json_is_array(v))
		json_array_foreach(v, i, child)
			json_strip_nulls(child);
	if (!json_is_object(v))
		return;
	json_object_foreach_safe(v, next, key, child) {
		if (json_is_null(child))
			json_object_del(v, key);
		else
			json_strip_nulls(child);
	}
}

/* jansson is silent when an allocation failed */
static int parse_failed(const json_error_t *err, char why[160])
{
	if (!err->text[0] || json_error_code(err) == json_error_out_of_memory) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	snprintf(why, 160, "not valid JSON: line %d, column %d: %.100s", err->line, err->column,
		 err->text);
	return -EINVAL;
}

static int parse(const char *text, size_t len, json_t **ret, char why[160])
{
	json_error_t err = { 0 };
	json_t *root;

	if (too_deep(text, len)) {
		snprintf(why, 160, "JSON nested deeper than %d levels", LIMIT_JSON_DEPTH);
		return -EINVAL;
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &err);
	if (!root)
		return parse_failed(&err, why);
	if (!json_is_object(root)) {
		json_decref(root);
		snprintf(why, 160, "the body must be a JSON object");
		return -EINVAL;
	}
	*ret = root;
	return 0;
}

static struct doc *wrap(json_t *root)
{
	struct doc *doc = root ? malloc(sizeof(*doc)) : NULL;

	if (!doc) {
		json_decref(root);
		return NULL;
	}
	doc->root = root;
	return doc;
}

int doc_parse_patch(const char *text, size_t len, struct doc **ret, char why[160])
{
	struct doc *doc;
	json_t *root;
	int r = parse(text, len, &root, why);

	if (r < 0)
		return r;
	doc = wrap(root);
	if (!doc) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	*ret = doc;
	return 0;
}

int doc_parse(const char *text, size_t len, struct doc **ret, char why[160])
{
	struct doc *doc;
	int r = doc_parse_patch(text, len, &doc, why);

	if (r < 0)
		return r;
	if (memmem(text, len, "null", 4))
		json_strip_nulls(doc->root);
	*ret = doc;
	return 0;
}

struct doc *doc_new(void)
{
	return wrap(json_object());
}

struct doc *doc_copy(const struct doc *doc)
{
	return wrap(json_deep_copy(doc->root));
}

void doc_free(struct doc *doc)
{
	if (!doc)
		return;
	json_decref(doc->root);
	free(doc);
}

bool doc_equal(const struct doc *a, const struct doc *b)
{
	return json_equal(a->root, b->root) == 1;
}

json_t *json_text(const char *s)
{
	_cleanup_free_ char *plain = NULL;
	json_t *v = json_string(s);

	if (v)
		return v;
	plain = strdup(s);
	if (!plain)
		return NULL;
	for (char *p = plain; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(plain);
}
