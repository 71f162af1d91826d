/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * value.c - finding one's way in a text that was read
 *
 * Room (codec).  May include: netd/base.
 */
#include <netd/codec/path.h>
#include <netd/codec/tape.h>

static const struct value *member(const struct value *object, const char *name, size_t len)
{
	const struct value *key, *v;

	value_each_member(object, key, v)
		if (key->n == len && memcmp(key->text, name, len) == 0)
			return v->type == VALUE_NULL ? NULL : v;
	return NULL;
}

const struct value *value_member(const struct value *v, const char *name)
{
	return member(v, name, strlen(name));
}

const struct value *value_elem(const struct value *v, size_t i)
{
	const struct value *elem;

	if (value_is(v, VALUE_LIST) && i < v->n)
		value_each(v, elem)
			if (i-- == 0)
				return elem->type == VALUE_NULL ? NULL : elem;
	return NULL;
}

const struct value *value_at(const struct value *v, const char *path)
{
	struct path_step s;
	int r;

	while (v && (r = path_next(&path, &s)) != 0) {
		if (r < 0)
			return NULL;
		v = s.key ? member(v, s.key, s.len) : value_elem(v, s.index);
	}
	return v;
}
