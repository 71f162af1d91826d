/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * condition.c - conditions of a status, keyed by type
 *
 * Room (codec).  May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>

json_t *json_condition(const json_t *list, const char *type)
{
	json_t *c;
	size_t i;

	json_array_foreach(list, i, c) {
		const char *t = json_string_value(json_object_get(c, "type"));

		if (t && strcmp(t, type) == 0)
			return c;
	}
	return NULL;
}

/* 1 changed, 0 as it was, -ENOMEM; NULL removes */
static int set(json_t *obj, const char *key, const char *value)
{
	const char *old = json_string_value(json_object_get(obj, key));

	if (!value)
		return json_object_del(obj, key) == 0;
	if (old && strcmp(old, value) == 0)
		return 0;
	return json_object_set_new(obj, key, json_text(value)) < 0 ? -ENOMEM : 1;
}

static int change(json_t *c, const char *status, const char *reason, const char *message,
		  const char *now)
{
	int changed = set(c, "status", status), r;

	if (changed < 0)
		return changed;
	if (changed || !json_object_get(c, "lastTransitionTime")) {
		r = set(c, "lastTransitionTime", now);
		if (r < 0)
			return r;
		changed |= r;
	}
	r = set(c, "reason", reason);
	if (r < 0)
		return r;
	changed |= r;
	r = set(c, "message", message);
	return r < 0 ? r : changed | r;
}

int doc_set_condition(struct doc *doc, const char *path, const char *type, const char *status,
		      const char *reason, const char *message, const char *now)
{
	json_t *list, *c;
	int r = doc_set_list(doc, path);

	if (r == -EINVAL)           /* what the user put there is no list of conditions */
		r = doc_put(doc, path, json_array());
	if (r < 0)
		return r;
	list = doc_at(doc, path);
	c = json_condition(list, type);
	if (c)
		return change(c, status, reason, message, now);
	c = json_object();
	if (!c || set(c, "type", type) < 0 || change(c, status, reason, message, now) < 0) {
		json_decref(c);
		return -ENOMEM;
	}
	return json_array_append_new(list, c) < 0 ? -ENOMEM : 1;
}

bool doc_has_condition(const struct doc *doc, const char *path, const char *type)
{
	return json_condition(doc_at(doc, path), type) != NULL;
}

static int stamp(json_t *c, const json_t *before, const char *now)
{
	static const char key[] = "lastTransitionTime";
	const json_t *status = json_object_get(c, "status"), *since = json_object_get(c, key);
	bool same = before && json_equal(status, json_object_get(before, "status"));
	json_t *was = json_object_get(before, key);
	int r;

	if (same && !since && was)
		return json_object_set(c, key, was) < 0 ? -ENOMEM : 0;
	if (since && (same || !was || !json_equal(since, was)))
		return 0;               /* whoever changed it says when */
	r = set(c, key, now);
	return r < 0 ? r : 0;
}

int doc_stamp_conditions(struct doc *doc, const struct doc *old, const char *path,
			 const char *now)
{
	const json_t *before = doc_at(old, path);
	json_t *list = doc_at(doc, path), *c;
	size_t i;
	int r = 0;

	json_array_foreach(list, i, c) {
		const char *type = json_string_value(json_object_get(c, "type"));

		if (type && r == 0)
			r = stamp(c, json_condition(before, type), now);
	}
	return r;
}
