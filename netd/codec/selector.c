/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selector.c - what a query asks for, and whether an object is meant
 *
 * Room (codec).  The grammar of labels is in selector_text.c.  May include: model, netd/base.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/selector.h>
#include <stdio.h>

static const struct selectable names[] = {
	{ "metadata.name", NULL, NULL },
	{ "metadata.namespace", NULL, NULL },
	{ NULL, NULL, NULL },
};

static const struct selectable *find(const struct selectable *rows, const char *field)
{
	for (; rows && rows->field; rows++)
		if (strcmp(rows->field, field) == 0)
			return rows;
	return NULL;
}

static int parse_field(const struct kind *kind, char *text, struct field_term *ret, char why[160])
{
	char *op = strchr(text, '=');

	if (!op) {
		snprintf(why, 160, "invalid selector: \"%.80s\"; can't understand \"%.20s\"", text,
			 text);
		return -EINVAL;
	}
	ret->negated = op > text && op[-1] == '!';
	ret->value = op + (op[1] == '=' ? 2 : 1);
	op[-(int)ret->negated] = '\0';
	ret->field = find(names, text);
	if (!ret->field)
		ret->field = find(kind->selectable, text);
	if (ret->field)
		return 0;
	snprintf(why, 160, "field label not supported: %.100s", text);
	return -EINVAL;
}

static int parse_fields(const struct kind *kind, const char *fields, struct arena *arena,
			struct selector *ret, char why[160])
{
	char *text = arena_strdup(arena, fields), *term;
	size_t max = 1;
	int r = 0;

	for (const char *p = fields; *p; p++)
		max += *p == ',';
	ret->fields = arena_alloc(arena, max * sizeof(*ret->fields));
	if (!text || !ret->fields)
		return -ENOMEM;
	while (r == 0 && (term = strsep(&text, ",")))
		if (*term)
			r = parse_field(kind, term, &ret->fields[ret->nfields++], why);
	return r;
}

int selector_parse(const struct kind *kind, const char *labels, const char *fields,
		   struct arena *arena, struct selector *ret, char why[160])
{
	int r = label_selector_parse(labels ? labels : "", arena, &ret->labels, why);

	ret->nfields = 0;
	return r < 0 || !fields ? r : parse_fields(kind, fields, arena, ret, why);
}

bool selector_is_all(const struct selector *sel)
{
	return !sel->labels.n && !sel->nfields;
}

static bool is_name(const struct field_term *t)
{
	return t->field == &names[0] || t->field == &names[1];
}

bool selector_needs_doc(const struct selector *sel)
{
	for (size_t i = 0; i < sel->nfields; i++)
		if (!is_name(&sel->fields[i]))
			return true;
	return false;
}

bool selector_needs_object(const struct selector *sel)
{
	return sel->labels.n || selector_needs_doc(sel);
}

static bool term_holds(const struct field_term *t, const char *value)
{
	return (strcmp(value, t->value) == 0) != t->negated;
}

bool selector_matches_name(const struct selector *sel, const char *ns, const char *name)
{
	for (size_t i = 0; i < sel->nfields; i++)
		if (!term_holds(&sel->fields[i], sel->fields[i].field == &names[0] ? name : ns))
			return false;
	return true;
}

bool selector_matches_meta(const struct selector *sel, const struct meta *meta)
{
	return selector_matches_name(sel, meta->ns, meta->name) &&
	       label_selector_matches(&sel->labels, meta);
}

/* As text: what is neither a string nor a number nor a truth value has none. */
static const char *field_text(const struct doc *doc, const struct selectable *row, char buf[24])
{
	const json_t *v = doc_at(doc, row->path ? row->path : row->field);

	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_boolean(v))
		return json_is_true(v) ? "true" : "false";
	if (json_is_integer(v)) {
		snprintf(buf, 24, "%lld", (long long)json_integer_value(v));
		return buf;
	}
	return row->absent ? row->absent : "";
}

bool selector_matches(const struct selector *sel, const struct doc *doc)
{
	const json_t *labels = sel->labels.n ? doc_at(doc, "metadata.labels") : NULL;
	char buf[24];

	for (size_t i = 0; i < sel->nfields; i++)
		if (!term_holds(&sel->fields[i], field_text(doc, sel->fields[i].field, buf)))
			return false;
	for (size_t i = 0; i < sel->labels.n; i++) {
		const struct requirement *req = &sel->labels.v[i];

		if (!requirement_holds(req, json_string_value(json_object_get(labels, req->key))))
			return false;
	}
	return true;
}
