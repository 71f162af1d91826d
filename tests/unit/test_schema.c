/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_schema.c - the fields that the codec checks and the schemas of api/openapi.yaml, side by side
 *
 * Both ways: a field of one that the other lacks, another type, bound or set of values, a member that
 * only one of them requires, an object that is open in one alone.
 */
#include <jansson.h>
#include <lib/testlib.h>
#include <netd/codec/field.h>
#include <netd/codec/kind.h>
#include <stdarg.h>
#include <stdio.h>

/* Where a check beyond the table is narrower: as many block sizes as CIDRs. */
static const char *const narrower[] = { "Network.spec.blockSizes" };

struct pair {
	json_t *schemas;
	char path[256];
	unsigned wrong;
};

__attribute__((format(printf, 2, 3)))
static void complain(struct pair *p, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", p->path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" (api/schemas)\n", stderr);
	p->wrong++;
}

/* A schema with its references and its allOf put together; a new reference. */
static json_t *whole(const struct pair *p, json_t *schema)
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	json_t *all = json_object_get(schema, "allOf"), *made, *part;
	size_t i;

	if (ref)
		return whole(p, json_object_get(p->schemas, strrchr(ref, '/') + 1));
	made = json_copy(schema);
	json_array_foreach(all, i, part) {
		json_t *one = whole(p, part);

		json_object_update(made, one);
		json_decref(one);
	}
	return made;
}

static void compare_object(struct pair *p, const struct field *table, json_t *schema, bool strict);

static bool is_type(const json_t *schema, const char *type)
{
	const char *is = json_string_value(json_object_get(schema, "type"));

	return is && strcmp(is, type) == 0;
}

static void compare_number(struct pair *p, const json_t *schema, const char *key, int64_t want,
			   bool said)
{
	const json_t *is = json_object_get(schema, key);

	if (said != (is != NULL) || (is && json_integer_value(is) != want))
		complain(p, "%s is %lld, and %lld in the codec's table%s", key,
			 (long long)json_integer_value(is), (long long)want, said ? "" : " (none)");
}

static void compare_values(struct pair *p, const struct field *f, const json_t *schema)
{
	const json_t *values = json_object_get(schema, "enum");
	size_t n = 0;

	while (f->values[n] && json_array_size(values) > n &&
	       strcmp(f->values[n], json_string_value(json_array_get(values, n))) == 0)
		n++;
	if (f->values[n] || n != json_array_size(values))
		complain(p, "its enum is not that of the codec, in its order, from value %zu on", n);
}

static void compare_format(struct pair *p, enum field_type type, const json_t *schema)
{
	const char *is = json_string_value(json_object_get(schema, "format"));
	/* FIELD_NET takes more than that: blanks around it */
	const char *want = type == FIELD_TIME ? "date-time" : type == FIELD_CIDR ? "cidr" : NULL;

	if (want && (!is || strcmp(is, want) != 0))
		complain(p, "its format must be %s", want);
}

static void compare_value(struct pair *p, const struct field *f, enum field_type type,
			  json_t *schema, bool strict)
{
	static const char *const names[] = {
		[FIELD_INT] = "integer", [FIELD_BOOL] = "boolean", [FIELD_STRING_MAP] = "object",
		[FIELD_OBJECT] = "object", [FIELD_LIST] = "array",
	};
	const char *name = type < ARRAY_SIZE(names) && names[type] ? names[type] : "string";

	if (type == FIELD_ANY)
		return;
	if (type == FIELD_PORT_REF) {
		json_t *number = json_array_get(json_object_get(schema, "oneOf"), 0);

		compare_number(p, number, "minimum", f->min, true);
		compare_number(p, number, "maximum", f->max, true);
		return;
	}
	if (!is_type(schema, name)) {
		complain(p, "its type must be %s", name);
		return;
	}
	if (type == FIELD_INT) {
		compare_number(p, schema, "minimum", f->min, f->min || f->max);
		compare_number(p, schema, "maximum", f->max, f->min || f->max);
	}
	if (type == FIELD_ENUM)
		compare_values(p, f, schema);
	if (type == FIELD_STRING_MAP &&
	    !is_type(json_object_get(schema, "additionalProperties"), "string"))
		complain(p, "must be a map of strings");
	if (type == FIELD_OBJECT && f->sub)
		compare_object(p, f->sub, schema, strict);
	compare_format(p, type, schema);
}

static bool is_narrower(const struct pair *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(narrower); i++)
		if (strcmp(narrower[i], p->path) == 0)
			return true;
	return false;
}

static void compare_list(struct pair *p, const struct field *f, json_t *schema, bool strict)
{
	bool unique = (f->flags & FIELD_UNIQUE) && f->elem != FIELD_OBJECT;
	json_t *items = whole(p, json_object_get(schema, "items"));

	if (!is_narrower(p)) {
		compare_number(p, schema, "minItems", f->min, f->min != 0);
		compare_number(p, schema, "maxItems", f->max, f->max != 0);
	}
	if (unique != json_is_true(json_object_get(schema, "uniqueItems")))
		complain(p, "uniqueItems must be %s", unique ? "true" : "absent");
	snprintf(p->path + strlen(p->path), sizeof(p->path) - strlen(p->path), "[]");
	compare_value(p, f, f->elem, items, strict);
	json_decref(items);
}

static bool requires(const json_t *schema, const char *name)
{
	json_t *required = json_object_get(schema, "required"), *v;
	size_t i;

	json_array_foreach(required, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	return false;
}

static void compare_field(struct pair *p, const struct field *f, json_t *schema, bool strict)
{
	json_t *found = json_object_get(json_object_get(schema, "properties"), f->name), *member;
	size_t len = strlen(p->path);

	snprintf(p->path + len, sizeof(p->path) - len, ".%s", f->name);
	if (!found) {
		complain(p, "the codec knows it, and the schema does not");
	} else {
		member = whole(p, found);
		if (requires(schema, f->name) != ((f->flags & FIELD_REQUIRED) != 0))
			complain(p, "is required by one of the two");
		strict = strict && !(f->flags & FIELD_OPEN);
		if (f->type == FIELD_LIST && is_type(member, "array"))
			compare_list(p, f, member, strict);
		else
			compare_value(p, f, f->type, member, strict);
		json_decref(member);
	}
	p->path[len] = '\0';
}

static bool knows(const struct field *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

static void compare_object(struct pair *p, const struct field *table, json_t *schema, bool strict)
{
	json_t *properties = json_object_get(schema, "properties"), *member;
	const json_t *more = json_object_get(schema, "additionalProperties");
	const char *name;

	for (const struct field *f = table; f->name; f++)
		compare_field(p, f, schema, strict);
	json_object_foreach(properties, name, member)
		if (!knows(table, name) && !json_is_true(json_object_get(member, "writeOnly")))
			complain(p, "the schema has %s, and the codec does not know it", name);
	if (!(strict ? json_is_false(more) : json_is_true(more)))
		complain(p, "additionalProperties must be %s", strict ? "false" : "true");
}

static json_t *load(void)
{
	json_error_t error;
	json_t *document = json_load_file(OPENAPI_JSON, 0, &error);

	if (!document)
		fail_msg("%s: %s", OPENAPI_JSON, error.text);
	return document;
}

static void kinds_and_schemas(void **state)
{
	json_t *document = load();
	struct pair p = { .schemas = json_object_get(json_object_get(document, "components"),
						     "schemas") };

	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		snprintf(p.path, sizeof(p.path), "%s", kinds[i].name);
		compare_object(&p, kinds[i].fields, json_object_get(p.schemas, kinds[i].name),
			       kinds[i].ours);
	}
	json_decref(document);
	assert_int_equal(p.wrong, 0);
}

/* What is not seen is not compared. */
static void differences(void **state)
{
	static const struct field inner[] = { { .name = "x", .type = FIELD_BOOL }, { 0 } };
	static const char *const values[] = { "a", "b", NULL };
	static const struct field table[] = {
		{ .name = "a", .type = FIELD_INT, .min = 1, .max = 9 },
		{ .name = "b", .type = FIELD_ENUM, .values = values },
		{ .name = "c", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = inner, .max = 2 },
		{ .name = "d", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
		{ .name = "e", .type = FIELD_TIME },
		{ 0 }
	};
	static const struct { const char *members; unsigned wrong; } cases[] = {
		{ "\"a\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}", 0 },
		{ "\"a\":{\"type\":\"integer\",\"minimum\":1}", 1 },
		{ "\"a\":{\"type\":\"string\"}", 1 },
		{ "\"b\":{\"type\":\"string\",\"enum\":[\"a\"]}", 1 },
		{ "\"b\":{\"type\":\"string\",\"enum\":[\"a\",\"b\",\"c\"]}", 1 },
		{ "\"c\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}", 3 },
		{ "\"d\":null", 1 },
		{ "\"e\":{\"type\":\"string\"}", 1 },
		{ "\"f\":{\"type\":\"string\"}", 1 },
	};
	static const char all[] = "{\"additionalProperties\":true,\"required\":[\"d\"],\"properties\":{"
		"\"a\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9},"
		"\"b\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]},"
		"\"c\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"object\","
		"\"additionalProperties\":true,\"properties\":{\"x\":{\"type\":\"boolean\"}}}},"
		"\"d\":{\"type\":\"string\"},\"e\":{\"type\":\"string\",\"format\":\"date-time\"}}}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *schema = json_loads(all, 0, NULL);
		char text[256];
		json_t *changed;
		struct pair p = { .path = "case" };

		snprintf(text, sizeof(text), "{%s}", cases[i].members);
		changed = json_loads(text, 0, NULL);
		json_object_update(json_object_get(schema, "properties"), changed);
		json_object_del(json_object_get(schema, "properties"),
				strstr(text, "null") ? "d" : "");
		compare_object(&p, table, schema, false);
		json_decref(changed);
		json_decref(schema);
		assert_int_equal(p.wrong, cases[i].wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_and_schemas),
		cmocka_unit_test(differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
