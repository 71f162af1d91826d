/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json_patch.c - JSON patch, RFC 6902, with the pointers of RFC 6901
 *
 * Room (codec).  What a client can ask for is bounded: the number of operations, and what copying
 * adds, which would double the document with every operation; the depth is looked at in the end.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/codec/json.h>
#include <netd/codec/patch.h>
#include <stdio.h>

struct run {
	struct doc *doc;
	char *why;
	struct arena arena;
	size_t budget;              /* what may still be copied: values and bytes of strings */
	size_t index;               /* of the operation */
	const char *op, *path, *from;
	json_t *value;              /* borrowed, NULL: absent */
};

/* Where a pointer leads: to a member or element that is there, or to where one could be. */
struct place {
	json_t *parent;             /* NULL: the whole document */
	const char *key;
	size_t index;               /* of a list; its length is where "-" points */
	json_t *value;              /* NULL: nothing there */
};

__attribute__((format(printf, 3, 4)))
static int fail(const struct run *run, int r, const char *fmt, ...)
{
	char what[80];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(run->why, 160, "operation %zu (%.10s %.50s): %s", run->index,
		 run->op ? run->op : "?", run->path ? run->path : "", what);
	return r;
}

/* The token that begins at *@p, unescaped in place; *@p moves behind it, NULL at the end. */
static char *next_token(char **p)
{
	char *from = *p, *to = *p, *token = *p;

	while (*from && *from != '/') {
		char c = *from++;

		if (c == '~') {
			if (*from != '0' && *from != '1')
				return NULL;
			c = *from++ == '0' ? '~' : '/';
		}
		*to++ = c;
	}
	*p = *from ? from + 1 : NULL;
	*to = '\0';
	return token;
}

/* Digits without a leading zero; "-" is the element behind the last. */
static bool list_index(const char *token, size_t len, size_t *ret)
{
	size_t n = 0;

	if (strcmp(token, "-") == 0) {
		*ret = len;
		return true;
	}
	if (!*token || strlen(token) > 9 || (token[0] == '0' && token[1]))
		return false;
	for (; *token; token++) {
		if (*token < '0' || *token > '9')
			return false;
		n = n * 10 + (size_t)(*token - '0');
	}
	*ret = n;
	return n <= len;
}

static bool enter(struct place *at, const char *token)
{
	json_t *parent = at->value;

	*at = (struct place){ .parent = parent, .key = token };
	if (json_is_object(parent)) {
		at->value = json_object_get(parent, token);
		return true;
	}
	if (!json_is_array(parent) || !list_index(token, json_array_size(parent), &at->index))
		return false;
	at->value = json_array_get(parent, at->index);
	return true;
}

static int find(struct run *run, const char *pointer, struct place *at)
{
	char *p = arena_strdup(&run->arena, pointer);

	if (!p)
		return -ENOMEM;
	*at = (struct place){ .value = run->doc->root };
	if (!*p)
		return 0;
	if (*p++ != '/')
		return fail(run, -EINVAL, "a pointer begins with '/'");
	while (p) {
		const char *token = next_token(&p);

		if (!token)
			return fail(run, -EINVAL, "in a pointer '~' is followed by 0 or 1");
		if (!enter(at, token))
			return fail(run, -ENOENT, "there is nothing at \"%.40s\"", pointer);
	}
	return 0;
}

static int find_value(struct run *run, const char *pointer, struct place *at)
{
	int r = find(run, pointer, at);

	if (r == 0 && !at->value)
		return fail(run, -ENOENT, "there is nothing at \"%.40s\"", pointer);
	return r;
}

/* Takes @value, which may be NULL for want of memory. */
static int put(struct run *run, const struct place *at, json_t *value, bool insert)
{
	int r;

	if (!value)
		return -ENOMEM;
	if (!at->parent) {
		json_decref(run->doc->root);
		run->doc->root = value;
		return 0;
	}
	if (json_is_object(at->parent))
		r = json_object_set_new_nocheck(at->parent, at->key, value);
	else if (insert)
		r = json_array_insert_new(at->parent, at->index, value);
	else
		r = json_array_set_new(at->parent, at->index, value);
	return r < 0 ? -ENOMEM : 0;
}

static int take_out(struct run *run, const struct place *at)
{
	if (!at->parent)
		return fail(run, -ENOENT, "the whole object cannot be removed");
	if (json_is_object(at->parent))
		json_object_del(at->parent, at->key);
	else
		json_array_remove(at->parent, at->index);
	return 0;
}

/* Counts down what is left of @budget; false: @v is more than that. */
static bool weigh(const json_t *v, size_t *budget)
{
	size_t mine = 1 + (json_is_string(v) ? json_string_length(v) : 0), i;
	json_t *child;
	const char *key;

	if (mine > *budget)
		return false;
	*budget -= mine;
	json_object_foreach((json_t *)(uintptr_t)v, key, child)
		if (!weigh(child, budget))
			return false;
	json_array_foreach(v, i, child)
		if (!weigh(child, budget))
			return false;
	return true;
}

static bool same(const json_t *a, const json_t *b);

static bool same_objects(const json_t *a, const json_t *b)
{
	json_t *v, *other;
	const char *key;

	if (json_object_size(a) != json_object_size(b))
		return false;
	json_object_foreach((json_t *)(uintptr_t)a, key, v) {
		other = json_object_get(b, key);
		if (!other || !same(v, other))
			return false;
	}
	return true;
}

static bool same_lists(const json_t *a, const json_t *b)
{
	json_t *v;
	size_t i;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach(a, i, v)
		if (!same(v, json_array_get(b, i)))
			return false;
	return true;
}

/* RFC 6902, 4.6: numbers are equal by value, 80 and 80.0 too. */
static bool same(const json_t *a, const json_t *b)
{
	if (json_is_object(a) && json_is_object(b))
		return same_objects(a, b);
	if (json_is_array(a) && json_is_array(b))
		return same_lists(a, b);
	if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
		return json_number_value(a) == json_number_value(b);
	return json_equal(a, b) == 1;
}

static int run_add(struct run *run)
{
	struct place at;
	int r = find(run, run->path, &at);

	return r < 0 ? r : put(run, &at, json_clone(run->value), true);
}

static int run_remove(struct run *run)
{
	struct place at;
	int r = find_value(run, run->path, &at);

	return r < 0 ? r : take_out(run, &at);
}

static int run_replace(struct run *run)
{
	struct place at;
	int r = find_value(run, run->path, &at);

	return r < 0 ? r : put(run, &at, json_clone(run->value), false);
}

static int run_move(struct run *run)
{
	size_t len = strlen(run->from);
	struct place from, to;
	json_t *value;
	int r = find_value(run, run->from, &from);

	if (r < 0 || strcmp(run->from, run->path) == 0)
		return r;
	if (strncmp(run->from, run->path, len) == 0 && run->path[len] == '/')
		return fail(run, -ENOENT, "a value cannot be moved into itself");
	value = json_incref(from.value);
	r = take_out(run, &from);
	if (r == 0)
		r = find(run, run->path, &to);
	if (r == 0)
		return put(run, &to, value, true);
	json_decref(value);
	return r;
}

static int run_copy(struct run *run)
{
	struct place from, to;
	int r = find_value(run, run->from, &from);

	if (r == 0)
		r = find(run, run->path, &to);
	if (r < 0)
		return r;
	if (!weigh(from.value, &run->budget))
		return fail(run, -E2BIG, "the patch copies too much");
	return put(run, &to, json_clone(from.value), true);
}

static int run_test(struct run *run)
{
	struct place at;
	int r = find_value(run, run->path, &at);

	if (r < 0 || same(at.value, run->value))
		return r;
	return fail(run, -ENOENT, "the value differs");
}

static const struct {
	const char *name;
	int (*run)(struct run *run);
	bool value, from;           /* needed members */
} ops[] = {
	{ "add",     run_add,     true,  false },
	{ "remove",  run_remove,  false, false },
	{ "replace", run_replace, true,  false },
	{ "move",    run_move,    false, true },
	{ "copy",    run_copy,    false, true },
	{ "test",    run_test,    true,  false },
};

static int run_one(struct run *run, const json_t *op)
{
	run->op = json_string_value(json_object_get(op, "op"));
	run->path = json_string_value(json_object_get(op, "path"));
	run->from = json_string_value(json_object_get(op, "from"));
	run->value = json_object_get(op, "value");
	if (!json_is_object(op))
		return fail(run, -EINVAL, "must be an object");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!run->op || strcmp(run->op, ops[i].name) != 0)
			continue;
		if (!run->path)
			return fail(run, -EINVAL, "path is missing");
		if (ops[i].value && !run->value)
			return fail(run, -EINVAL, "value is missing");
		if (ops[i].from && !run->from)
			return fail(run, -EINVAL, "from is missing");
		return ops[i].run(run);
	}
	return fail(run, -EINVAL, "op must be add, remove, replace, move, copy or test");
}

static bool too_deep(const json_t *v, unsigned left)
{
	json_t *child;
	const char *key;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return false;
	if (!left)
		return true;
	json_object_foreach((json_t *)(uintptr_t)v, key, child)
		if (too_deep(child, left - 1))
			return true;
	json_array_foreach(v, i, child)
		if (too_deep(child, left - 1))
			return true;
	return false;
}

static int check_result(struct doc *doc, char why[160])
{
	if (!json_is_object(doc->root)) {
		snprintf(why, 160, "what the patch makes is not an object");
		return -ENOENT;
	}
	if (too_deep(doc->root, LIMIT_JSON_DEPTH)) {
		snprintf(why, 160, "what the patch makes is nested too deeply");
		return -ENOENT;
	}
	json_strip_nulls(doc->root);
	return 0;
}

int doc_json_patch(struct doc *doc, const struct doc *patch, char why[160])
{
	struct run run = { .doc = doc, .why = why, .budget = LIMIT_BODY_BYTES };
	json_t *op;
	int r = 0;

	if (json_array_size(patch->root) > LIMIT_PATCH_OPS) {
		snprintf(why, 160, "a patch has at most %d operations", LIMIT_PATCH_OPS);
		return -E2BIG;
	}
	json_array_foreach(patch->root, run.index, op) {
		r = run_one(&run, op);
		if (r < 0)
			break;
	}
	arena_fini(&run.arena);
	return r < 0 ? r : check_result(doc, why);
}
