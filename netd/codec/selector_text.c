/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selector_text.c - label selectors, from the text of a query and from objects
 *
 * Room (codec).  Source: API-CONTRACT 6; the grammar is that of the Kubernetes query parameter
 * labelSelector.  May include: model, netd/base.
 */
#include <ctype.h>
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/json.h>
#include <netd/codec/selector.h>
#include <netd/codec/tape.h>
#include <stdio.h>
#include <stdlib.h>

struct scan {
	const char *text, *at;
	struct arena *arena;
	char *why;
};

static void skip_blanks(struct scan *s)
{
	while (isspace((unsigned char)*s->at))
		s->at++;
}

static int fail(const struct scan *s, const char *what)
{
	snprintf(s->why, 160, "unable to parse labelSelector: %s at \"%.40s\"", what, s->at);
	return -EINVAL;
}

/* A word: a key, a value or an operator in letters; may be empty. */
static char *take_word(struct scan *s)
{
	size_t len;
	char *word;

	skip_blanks(s);
	len = strcspn(s->at, " \t\r\n\v\f,()=!<>");
	word = arena_strndup(s->arena, s->at, len);
	s->at += len;
	skip_blanks(s);
	return word;
}

static int add_value(struct requirement *req, const char *value, const struct scan *s)
{
	if (format_label_value(value))
		return fail(s, "a value that is no label value");
	req->values[req->nvalues++] = value;
	return 0;
}

/* "(a,b)": an empty value may stand between the commas */
static int scan_values(struct scan *s, struct requirement *req)
{
	size_t max = 1;
	int r;

	if (*s->at++ != '(') {
		s->at--;
		return fail(s, "expected '('");
	}
	for (const char *p = s->at; *p && *p != ')'; p++)
		max += *p == ',';
	req->values = arena_alloc(s->arena, max * sizeof(*req->values));
	if (!req->values)
		return -ENOMEM;
	do {
		const char *value = take_word(s);

		r = value ? add_value(req, value, s) : -ENOMEM;
	} while (r == 0 && *s->at == ',' && s->at++);
	if (r < 0)
		return r;
	if (*s->at != ')')
		return fail(s, "expected ',' or ')'");
	s->at++;
	skip_blanks(s);
	return 0;
}

static int scan_equal(struct scan *s, struct requirement *req)
{
	const char *value = take_word(s);

	req->values = arena_alloc(s->arena, sizeof(*req->values));
	if (!value || !req->values)
		return -ENOMEM;
	return add_value(req, value, s);
}

static int scan_bound(struct scan *s, struct requirement *req)
{
	const char *text = take_word(s);
	char *end;

	if (!text)
		return -ENOMEM;
	errno = 0;
	req->bound = strtoll(text, &end, 10);
	return errno || !*text || *end ? fail(s, "expected a whole number") : 0;
}

static int scan_in(struct scan *s, struct requirement *req)
{
	const char *word = take_word(s);

	if (!word)
		return -ENOMEM;
	if (strcmp(word, "in") != 0 && strcmp(word, "notin") != 0)
		return fail(s, "expected an operator");
	req->op = *word == 'i' ? REQ_IN : REQ_NOT_IN;
	return scan_values(s, req);
}

/* What follows a key. */
static int scan_operator(struct scan *s, struct requirement *req)
{
	switch (*s->at) {
	case '\0':
	case ',':
		req->op = REQ_EXISTS;
		return 0;
	case '=':
		s->at += s->at[1] == '=' ? 2 : 1;
		req->op = REQ_IN;
		return scan_equal(s, req);
	case '!':
		if (s->at[1] != '=')
			return fail(s, "expected an operator");
		s->at += 2;
		req->op = REQ_NOT_IN;
		return scan_equal(s, req);
	case '>':
	case '<':
		req->op = *s->at++ == '>' ? REQ_GREATER : REQ_LESS;
		return scan_bound(s, req);
	default:
		return scan_in(s, req);
	}
}

static int scan_requirement(struct scan *s, struct requirement *req)
{
	bool absent = *s->at == '!';

	s->at += absent;
	req->key = take_word(s);
	if (!req->key)
		return -ENOMEM;
	if (format_qualified(req->key))
		return fail(s, "expected a label key");
	if (!absent)
		return scan_operator(s, req);
	req->op = REQ_ABSENT;
	return 0;
}

int label_selector_parse(const char *text, struct arena *arena, struct label_selector *ret,
			 char why[160])
{
	struct scan s = { .text = text, .at = text, .arena = arena, .why = why };
	size_t max = 1;
	int r = 0;

	ret->n = 0;
	skip_blanks(&s);
	if (!*s.at)
		return 0;
	for (const char *p = text; *p; p++)
		max += *p == ',';
	ret->v = arena_alloc(arena, max * sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	do {
		skip_blanks(&s);
		r = scan_requirement(&s, &ret->v[ret->n++]);
	} while (r == 0 && *s.at == ',' && s.at++);
	return r == 0 && *s.at ? fail(&s, "expected ',' or the end") : r;
}

/* ---- a LabelSelector in an object ---- */

static const char *const operators[] = {
	[REQ_IN] = "In", [REQ_NOT_IN] = "NotIn", [REQ_EXISTS] = "Exists",
	[REQ_ABSENT] = "DoesNotExist",
};

static int find_operator(const char *text)
{
	for (size_t i = 0; text && i < ARRAY_SIZE(operators); i++)
		if (strcmp(operators[i], text) == 0)
			return (int)i;
	return -1;
}

static const char *member(const json_t *v, const char *name)
{
	return json_string_value(json_object_get(v, name));
}

/* An object that was stored may be of an older version: what is no string is an empty one. */
static char *copy_text(struct arena *arena, const struct value *v)
{
	const char *text = value_text(v);

	return arena_strdup(arena, text ? text : "");
}

static int decode_values(const struct value *list, struct arena *arena, struct requirement *req)
{
	const struct value *v;

	req->values = arena_alloc(arena, (value_len(list) + 1) * sizeof(*req->values));
	if (!req->values)
		return -ENOMEM;
	value_each(list, v) {
		req->values[req->nvalues] = copy_text(arena, v);
		if (!req->values[req->nvalues++])
			return -ENOMEM;
	}
	return 0;
}

static int decode_label(const char *key, const struct value *value, struct arena *arena,
			struct requirement *req)
{
	req->op = REQ_IN;
	req->key = arena_strdup(arena, key);
	req->values = arena_alloc(arena, sizeof(*req->values));
	if (!req->key || !req->values)
		return -ENOMEM;
	req->values[req->nvalues++] = copy_text(arena, value);
	return req->values[0] ? 0 : -ENOMEM;
}

static int decode_expression(const struct value *v, struct arena *arena, struct requirement *req)
{
	int op = find_operator(value_text(value_member(v, "operator")));

	req->op = op < 0 ? REQ_EXISTS : (enum requirement_op)op;
	req->key = copy_text(arena, value_member(v, "key"));
	return req->key ? decode_values(value_member(v, "values"), arena, req) : -ENOMEM;
}

int label_selector_decode(const struct value *sel, struct arena *arena, struct label_selector *ret)
{
	const struct value *map = value_member(sel, "matchLabels"), *name, *v;
	const struct value *list = value_member(sel, "matchExpressions");

	ret->n = 0;
	ret->v = arena_alloc(arena, (value_len(map) + value_len(list) + 1) * sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	value_each_member(map, name, v)
		if (v->type != VALUE_NULL && decode_label(name->text, v, arena, &ret->v[ret->n++]) < 0)
			return -ENOMEM;
	value_each(list, v)
		if (decode_expression(v, arena, &ret->v[ret->n++]) < 0)
			return -ENOMEM;
	return 0;
}

static void check_expression(const json_t *v, const char *path, size_t i, struct causes *causes)
{
	const char *key = member(v, "key"), *op = member(v, "operator"), *why;
	size_t n = json_array_size(json_object_get(v, "values"));
	char at[256];
	int found = find_operator(op);

	snprintf(at, sizeof(at), "%s.matchExpressions[%zu].key", path, i);
	why = key ? format_qualified(key) : NULL;
	if (why)
		causes_add(causes, CAUSE_INVALID, at, key, "%s", why);
	snprintf(at, sizeof(at), "%s.matchExpressions[%zu].operator", path, i);
	if (op && found < 0)
		causes_add(causes, CAUSE_INVALID, at, op, "not a valid selector operator");
	snprintf(at, sizeof(at), "%s.matchExpressions[%zu].values", path, i);
	if ((found == REQ_IN || found == REQ_NOT_IN) && !n)
		causes_add(causes, CAUSE_REQUIRED, at, NULL,
			   "must be specified when `operator` is 'In' or 'NotIn'");
	if ((found == REQ_EXISTS || found == REQ_ABSENT) && n)
		causes_add(causes, CAUSE_FORBIDDEN, at, NULL,
			   "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
}

void label_selector_check(const struct doc *doc, const char *path, struct causes *causes)
{
	json_t *sel = doc_at(doc, path);
	const json_t *list = json_object_get(sel, "matchExpressions"), *v;
	size_t i;

	json_array_foreach(list, i, v)
		check_expression(v, path, i, causes);
}
