/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path.c - reading and writing documents by path
 *
 * Room (codec): spec.ends[0].name and metadata.annotations["podnet.dev/mac"].  Paths are our own
 * text, never a client's; one that cannot be read leads nowhere.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/path.h>

static int bracket_step(const char **at, struct path_step *s)
{
	const char *p = *at + 1, *end;
	size_t index = 0;

	if (*p == '"') {
		end = strstr(p + 1, "\"]");
		if (!end)
			return -EINVAL;
		*s = (struct path_step){ .key = p + 1, .len = (size_t)(end - p - 1) };
		*at = end + 2;
		return 1;
	}
	for (end = p; *end >= '0' && *end <= '9' && end - p < 9; end++)
		index = index * 10 + (size_t)(*end - '0');
	if (end == p || *end != ']')
		return -EINVAL;
	*s = (struct path_step){ .index = index };
	*at = end + 1;
	return 1;
}

int path_next(const char **at, struct path_step *s)
{
	const char *p = *at;

	if (!*p)
		return 0;
	if (*p == '[')
		return bracket_step(at, s);
	if (*p == '.')
		p++;
	s->key = p;
	s->len = strcspn(p, ".[");
	*at = p + s->len;
	return s->len ? 1 : -EINVAL;
}

static json_t *child_of(const json_t *v, const struct path_step *s)
{
	if (s->key)
		return json_object_getn(v, s->key, s->len);
	return json_array_get(v, s->index);
}

json_t *doc_at(const struct doc *doc, const char *path)
{
	json_t *v = doc->root;
	struct path_step s;
	int r;

	while (v && (r = path_next(&path, &s)) != 0)
		v = r > 0 ? child_of(v, &s) : NULL;
	return json_is_null(v) ? NULL : v;
}

bool doc_has(const struct doc *doc, const char *path)
{
	return doc_at(doc, path) != NULL;
}

const char *doc_str(const struct doc *doc, const char *path)
{
	return json_string_value(doc_at(doc, path));
}

int64_t doc_int(const struct doc *doc, const char *path, int64_t absent)
{
	const json_t *v = doc_at(doc, path);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool doc_bool(const struct doc *doc, const char *path, bool absent)
{
	const json_t *v = doc_at(doc, path);

	return json_is_boolean(v) ? json_is_true(v) : absent;
}

bool doc_is_list(const struct doc *doc, const char *path)
{
	return json_is_array(doc_at(doc, path));
}

size_t doc_len(const struct doc *doc, const char *path)
{
	const json_t *v = doc_at(doc, path);

	return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

bool doc_equal_at(const struct doc *a, const struct doc *b, const char *path)
{
	const json_t *va = doc_at(a, path), *vb = doc_at(b, path);

	if (!va || !vb)
		return va == vb;
	return json_equal(va, vb) == 1;
}

/* takes @value */
static int set_child(json_t *v, const struct path_step *s, json_t *value)
{
	int r;

	if (!value)
		return -ENOMEM;
	if (s->key && json_is_object(v)) {
		r = json_object_setn_new(v, s->key, s->len, value);
		return r < 0 ? -ENOMEM : 0;
	}
	if (s->key || !json_is_array(v) || s->index > json_array_size(v)) {
		json_decref(value);
		return -EINVAL;
	}
	if (s->index < json_array_size(v))
		r = json_array_set_new(v, s->index, value);
	else
		r = json_array_append_new(v, value);
	return r < 0 ? -ENOMEM : 0;
}

/* the container at @s, made when it is missing; @next says which type is needed */
static int enter(json_t **v, const struct path_step *s, const struct path_step *next)
{
	json_t *child = child_of(*v, s);
	int r;

	if (!child || json_is_null(child)) {
		child = next->key ? json_object() : json_array();
		r = set_child(*v, s, child);
		if (r < 0)
			return r;
	}
	if (next->key ? !json_is_object(child) : !json_is_array(child))
		return -EINVAL;
	*v = child;
	return 0;
}

int doc_put(struct doc *doc, const char *path, json_t *value)
{
	json_t *v = doc->root;
	struct path_step s, next;
	int r = path_next(&path, &s);

	if (r <= 0) {
		json_decref(value);
		return -EINVAL;
	}
	while ((r = path_next(&path, &next)) > 0) {
		r = enter(&v, &s, &next);
		if (r < 0)
			break;
		s = next;
	}
	if (r < 0) {
		json_decref(value);
		return r;
	}
	return set_child(v, &s, value);
}

int doc_set_str(struct doc *doc, const char *path, const char *value)
{
	return value ? doc_put(doc, path, json_text(value)) : -EINVAL;
}

int doc_set_int(struct doc *doc, const char *path, int64_t value)
{
	return doc_put(doc, path, json_integer(value));
}

int doc_set_bool(struct doc *doc, const char *path, bool value)
{
	return doc_put(doc, path, json_boolean(value));
}

int doc_set_list(struct doc *doc, const char *path)
{
	const json_t *there = doc_at(doc, path);

	if (there)
		return json_is_array(there) ? 0 : -EINVAL;
	return doc_put(doc, path, json_array());
}

int doc_set_object(struct doc *doc, const char *path)
{
	const json_t *there = doc_at(doc, path);

	if (there)
		return json_is_object(there) ? 0 : -EINVAL;
	return doc_put(doc, path, json_object());
}

int doc_set_json(struct doc *doc, const char *path, const char *json)
{
	char why[160];
	json_t *value;
	int r = json_parse(json, strlen(json), &value, why);

	if (r < 0)
		return r;
	return doc_put(doc, path, value);
}

int doc_set_copy(struct doc *doc, const char *path, const struct doc *from, const char *from_path)
{
	const json_t *value = doc_at(from, from_path);

	if (value)
		return doc_put(doc, path, json_clone(value));
	doc_remove(doc, path);
	return 0;
}

void doc_remove(struct doc *doc, const char *path)
{
	json_t *parent = NULL, *v = doc->root;
	struct path_step s = { 0 };

	while (v) {
		struct path_step next;
		int r = path_next(&path, &next);

		if (r < 0)
			return;
		if (r == 0)
			break;
		parent = v;
		s = next;
		v = child_of(v, &s);
	}
	if (!v || !parent)
		return;
	if (s.key)
		json_object_deln(parent, s.key, s.len);
	else
		json_array_remove(parent, s.index);
}
