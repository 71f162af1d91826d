/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * strategic.c - strategic merge patch
 *
 * Room (codec): API-CONTRACT 7.  A merge patch in which lists that have a row in merge_keys.c are
 * merged element by element, and in which members that begin with '$' say what else is to be done;
 * they never reach the result.  The walk knows its place as merge_keys.c spells it.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/codec/json.h>
#include <netd/codec/patch.h>
#include <stdio.h>

#define DIRECTIVE "$patch"
#define RETAIN    "$retainKeys"
#define ORDER     "$setElementOrder/"
#define SCRAP     "$deleteFromPrimitiveList/"

struct walk {
	const struct kind *kind;
	char *why;
	size_t steps;               /* comparisons made: finding an element is linear */
	size_t len;
	char path[256];
};

static int merge_map(struct walk *w, json_t *target, const json_t *patch);

static int malformed(const struct walk *w, const char *key, const char *what)
{
	snprintf(w->why, 160, "%.70s%s%.30s: %s", w->path, w->len && *key ? "." : "",
		 key, what);
	return -EINVAL;
}

/* Where no rule can be, the place is not known any more, and need not be. */
static size_t enter(struct walk *w, const char *key)
{
	size_t was = w->len, room = sizeof(w->path) - w->len;
	int n = snprintf(w->path + w->len, room, "%s%s", w->len ? "." : "", key);

	if (n > 0)
		w->len += (size_t)n < room ? (size_t)n : room - 1;
	return was;
}

static void leave(struct walk *w, size_t was)
{
	w->len = was;
	w->path[was] = '\0';
}

static int count(struct walk *w, const json_t *list)
{
	w->steps += 1 + json_array_size(list);
	if (w->steps <= LIMIT_PATCH_STEPS)
		return 0;
	snprintf(w->why, 160, "%.70s: the lists are too long to be merged", w->path);
	return -E2BIG;
}

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* "" when @patch has none; NULL: it is not one of the three */
static const char *directive(const json_t *patch)
{
	const json_t *v = json_object_get(patch, DIRECTIVE);
	const char *word = json_string_value(v);

	if (!v)
		return "";
	if (!word || (strcmp(word, "merge") != 0 && strcmp(word, "replace") != 0 &&
		      strcmp(word, "delete") != 0))
		return NULL;
	return word;
}

static bool says(const json_t *patch, const char *word)
{
	const char *got = directive(patch);

	return got && strcmp(got, word) == 0;
}

/* What replaces as a whole is taken as it is, but for nulls and what begins with a '$'. */
static void clean(json_t *v)
{
	json_t *child;
	const char *key;
	void *next;
	size_t i;

	json_array_foreach(v, i, child)
		clean(child);
	if (!json_is_object(v))
		return;
	json_object_foreach_safe(v, next, key, child) {
		if (json_is_null(child) || key[0] == '$')
			json_object_del(v, key);
		else
			clean(child);
	}
}

static int replace(json_t *target, const char *key, const json_t *value)
{
	json_t *copy = json_clone(value);

	if (!copy)
		return -ENOMEM;
	clean(copy);
	return json_object_set_new_nocheck(target, key, copy) < 0 ? -ENOMEM : 0;
}

static const json_t *identity(const struct merge_rule *rule, const json_t *elem)
{
	return rule->key ? json_object_get(elem, rule->key) : elem;
}

/* Index of the first element from @i on that is the one called @id, or the length. */
static size_t find_element(const struct merge_rule *rule, const json_t *list, const json_t *id,
			   size_t i)
{
	for (; i < json_array_size(list); i++) {
		const json_t *other = identity(rule, json_array_get(list, i));

		if (other && json_equal(other, id))
			break;
	}
	return i;
}

static int scrap_elements(struct walk *w, const struct merge_rule *rule, json_t *list,
			  const json_t *id)
{
	size_t i = 0;
	int r = count(w, list);

	while (r == 0 && (i = find_element(rule, list, id, i)) < json_array_size(list))
		json_array_remove(list, i);
	return r;
}

static int merge_scalar(struct walk *w, const struct merge_rule *rule, json_t *list, json_t *elem)
{
	int r = count(w, list);

	if (json_is_object(elem) || json_is_array(elem) || json_is_null(elem))
		return malformed(w, "", "the elements of this list are plain values");
	if (r < 0 || find_element(rule, list, elem, 0) < json_array_size(list))
		return r;
	return json_array_append(list, elem) < 0 ? -ENOMEM : 0;
}

static int merge_element(struct walk *w, const struct merge_rule *rule, json_t *list,
			 json_t *elem)
{
	const json_t *id = identity(rule, elem);
	json_t *target;
	size_t i;
	int r = count(w, list);

	if (r < 0 || says(elem, "replace"))
		return r;
	if (!json_is_object(elem) || !id || json_is_null(id))
		return malformed(w, "", "an element lacks the merge key");
	if (!directive(elem))
		return malformed(w, DIRECTIVE, "must be merge, replace or delete");
	if (says(elem, "delete"))
		return scrap_elements(w, rule, list, id);
	i = find_element(rule, list, id, 0);
	if (i < json_array_size(list))
		return merge_map(w, json_array_get(list, i), elem);
	target = json_object();
	if (!target || json_array_append_new(list, target) < 0)
		return -ENOMEM;
	return merge_map(w, target, elem);
}

static int merge_list(struct walk *w, const struct merge_rule *rule, json_t *list,
		      const json_t *patch)
{
	json_t *elem;
	size_t i;
	int r = 0;

	json_array_foreach(patch, i, elem)
		if (rule->key && says(elem, "replace"))
			json_array_clear(list);
	json_array_foreach(patch, i, elem) {
		r = rule->key ? merge_element(w, rule, list, elem)
			      : merge_scalar(w, rule, list, elem);
		if (r < 0)
			break;
	}
	return r;
}

static int list_member(struct walk *w, json_t *target, const char *key, const json_t *value)
{
	const struct merge_rule *rule = merge_rule_find(w->kind, w->path);
	json_t *list = json_object_get(target, key);

	if (!rule)
		return replace(target, key, value);
	if (!json_is_array(list)) {
		list = json_array();
		if (!list || json_object_set_new_nocheck(target, key, list) < 0)
			return -ENOMEM;
	}
	return merge_list(w, rule, list, value);
}

static int map_member(struct walk *w, json_t *target, const char *key, const json_t *value)
{
	json_t *map = json_object_get(target, key);

	if (says(value, "delete")) {
		json_object_del(target, key);
		return 0;
	}
	if (!json_is_object(map)) {
		map = json_object();
		if (!map || json_object_set_new_nocheck(target, key, map) < 0)
			return -ENOMEM;
	}
	return merge_map(w, map, value);
}

static int merge_member(struct walk *w, json_t *target, const char *key, const json_t *value)
{
	size_t was = enter(w, key);
	int r = 0;

	if (json_is_null(value))
		json_object_del(target, key);
	else if (json_is_object(value))
		r = map_member(w, target, key, value);
	else if (json_is_array(value))
		r = list_member(w, target, key, value);
	else
		r = replace(target, key, value);
	leave(w, was);
	return r;
}

static int retain_keys(struct walk *w, json_t *target, const json_t *patch)
{
	const struct merge_rule names = { .key = NULL };
	const json_t *keep = json_object_get(patch, RETAIN);
	const char *key;
	json_t *v;
	void *next;

	if (keep && !json_is_array(keep))
		return malformed(w, RETAIN, "must be a list of names");
	if (!keep)
		return 0;
	json_object_foreach_safe(target, next, key, v) {
		json_t *name = json_string_nocheck(key);
		bool kept = !name || find_element(&names, keep, name, 0) < json_array_size(keep);
		int r = name ? count(w, keep) : -ENOMEM;

		json_decref(name);
		if (r < 0)
			return r;
		if (!kept)
			json_object_del(target, key);
	}
	return 0;
}

/* The elements that @order names, in its order, and behind them the others. */
static int order_list(struct walk *w, const struct merge_rule *rule, json_t *list,
		      const json_t *order)
{
	json_t *sorted = json_array(), *elem;
	size_t i, k;
	int r = sorted ? 0 : -ENOMEM;

	json_array_foreach(order, i, elem) {
		const json_t *id = identity(rule, elem);

		if (r == 0)
			r = count(w, list);
		for (k = 0; r == 0 && id &&
		     (k = find_element(rule, list, id, k)) < json_array_size(list);) {
			r = json_array_append(sorted, json_array_get(list, k)) < 0 ? -ENOMEM : 0;
			json_array_remove(list, k);
		}
	}
	if (r == 0 && (json_array_extend(sorted, list) < 0 || json_array_clear(list) < 0 ||
		       json_array_extend(list, sorted) < 0))
		r = -ENOMEM;
	json_decref(sorted);
	return r;
}

static int scrap_list(struct walk *w, const struct merge_rule *rule, json_t *list,
		      const json_t *scrap)
{
	json_t *elem;
	size_t i;
	int r = 0;

	json_array_foreach(scrap, i, elem)
		r = r < 0 ? r : scrap_elements(w, rule, list, elem);
	return r;
}

/* "$prefix/F": @act on the list F, if there is one and it is one that merges. */
static int run_directives(struct walk *w, json_t *target, const json_t *patch, const char *prefix,
			  int (*act)(struct walk *w, const struct merge_rule *rule, json_t *list,
				     const json_t *value))
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		const char *name = key + strlen(prefix);
		const struct merge_rule *rule;
		json_t *list;
		size_t was;

		if (!starts(key, prefix))
			continue;
		if (!json_is_array(value))
			return malformed(w, key, "must be a list");
		was = enter(w, name);
		rule = merge_rule_find(w->kind, w->path);
		list = json_object_get(target, name);
		if (rule && json_is_array(list))
			r = act(w, rule, list, value);
		leave(w, was);
		if (r < 0)
			return r;
	}
	return 0;
}

static int merge_map(struct walk *w, json_t *target, const json_t *patch)
{
	const char *word = directive(patch), *key;
	json_t *value;
	int r;

	if (!word)
		return malformed(w, DIRECTIVE, "must be merge, replace or delete");
	if (strcmp(word, "replace") == 0 || strcmp(word, "delete") == 0)
		json_object_clear(target);
	if (strcmp(word, "delete") == 0)
		return 0;
	r = retain_keys(w, target, patch);
	if (r == 0)
		r = run_directives(w, target, patch, SCRAP, scrap_list);
	if (r < 0)
		return r;
	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		if (key[0] != '$')
			r = merge_member(w, target, key, value);
		if (r < 0)
			return r;
	}
	return run_directives(w, target, patch, ORDER, order_list);
}

int doc_strategic_patch(const struct kind *kind, struct doc *doc, const struct doc *patch,
			char why[160])
{
	struct walk w = { .kind = kind, .why = why };

	return merge_map(&w, doc->root, patch->root);
}
