/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doc.c - documents: made from text, copied, compared
 *
 * Room (codec).  Members keep the order in which the user gave them.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <stdio.h>

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

/* takes @copy, which may be NULL */
static int keep(json_t *into, const char *key, json_t *copy)
{
	return key ? json_object_set_new_nocheck(into, key, copy) :
		     json_array_append_new(into, copy);
}

/* json_deep_copy() leaves out, silently, what it has no memory for. */
json_t *json_clone(const json_t *v)
{
	json_t *from = (json_t *)(uintptr_t)v, *copy, *child;
	const char *key;
	int r = 0;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return json_incref(from);
	copy = json_is_object(v) ? json_object() : json_array();
	if (!copy)
		return NULL;
	json_object_foreach(from, key, child)
		r |= keep(copy, key, json_clone(child));
	json_array_foreach(from, i, child)
		r |= keep(copy, NULL, json_clone(child));
	if (r == 0)
		return copy;
	json_decref(copy);
	return NULL;
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

static int parse(const char *text, size_t len, json_type wanted, struct doc **ret, char why[160])
{
	struct doc *doc;
	json_t *root;
	int r = json_parse(text, len, &root, why);

	if (r < 0)
		return r;
	if (json_typeof(root) != wanted) {
		json_decref(root);
		snprintf(why, 160, "the body must be a JSON %s",
			 wanted == JSON_OBJECT ? "object" : "list");
		return -EINVAL;
	}
	doc = wrap(root);
	if (!doc) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	*ret = doc;
	return 0;
}

int doc_parse_patch(const char *text, size_t len, struct doc **ret, char why[160])
{
	return parse(text, len, JSON_OBJECT, ret, why);
}

int doc_parse_list(const char *text, size_t len, struct doc **ret, char why[160])
{
	return parse(text, len, JSON_ARRAY, ret, why);
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
	return wrap(json_clone(doc->root));
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
