/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_doc.c - documents: what is parsed, paths, merge patches, conditions
 */
#include <lib/testlib.h>
#include <errno.h>
#include <jansson.h>
#include <netd/base/limits.h>
#include <netd/codec/doc.h>
#include <stdio.h>

static struct doc *parse(const char *text)
{
	struct doc *doc = NULL;
	char why[160] = "";

	if (doc_parse(text, strlen(text), &doc, why) < 0)
		fail_msg("%s: %s", text, why);
	return doc;
}

static void assert_text(const struct doc *doc, const char *want)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);

	assert_non_null(bytes);
	assert_int_equal(bytes->len, strlen(bytes->data));
	assert_string_equal(bytes->data, want);
}

/* what goes in, what comes out; NULL: refused with a reason that holds @why */
static const struct parse_case {
	const char *text, *want, *why;
} parses[] = {
	{ "{}", "{}", NULL },
	{ " {\n} ", "{}", NULL },
	{ "{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}", NULL },
	{ "{\"z\":1,\"metadata\":{\"b\":1,\"a\":2},\"kind\":\"K\",\"apiVersion\":\"v1\"}",
	  "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"b\":1,\"a\":2},\"z\":1}", NULL },
	{ "{\"a\":null,\"b\":{\"c\":null},\"d\":[{\"e\":null},null]}",
	  "{\"b\":{},\"d\":[{},null]}", NULL },
	{ "{\"a\":80,\"b\":80.0,\"c\":0.1,\"d\":1e3,\"e\":-5}",
	  "{\"a\":80,\"b\":80.0,\"c\":0.1,\"d\":1000.0,\"e\":-5}", NULL },
	{ "{\"a\":9223372036854775807}", "{\"a\":9223372036854775807}", NULL },
	{ "{\"a\":\"\\u00e9\\n\\\"\\\\\\u0001\xe2\x82\xac\"}",
	  "{\"a\":\"\xc3\xa9\\n\\\"\\\\\\u0001\xe2\x82\xac\"}", NULL },
	{ "{\"a\":\"[[[{{{\\\"[\"}", "{\"a\":\"[[[{{{\\\"[\"}", NULL },
	{ "{\"a\":true,\"b\":false,\"c\":[],\"d\":{}}",
	  "{\"a\":true,\"b\":false,\"c\":[],\"d\":{}}", NULL },
	{ "", NULL, "line 1" },
	{ "{", NULL, "not valid JSON" },
	{ "[]", NULL, "must be a JSON object" },
	{ "\"x\"", NULL, "must be a JSON object" },
	{ "null", NULL, "must be a JSON object" },
	{ "{\"a\":1,\"a\":2}", NULL, "duplicate" },
	{ "{\"a\":{\"b\":1,\"b\":1}}", NULL, "duplicate" },
	{ "{\"a\":9223372036854775808}", NULL, "too big" },
	{ "{\"a\":1e999}", NULL, "overflow" },
	{ "{\"a\":\"\\u0000\"}", NULL, "escape" },
	{ "{\"a\":\"\xff\"}", NULL, "UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", NULL, "UTF-8" },
	{ "{\"a\":1}x", NULL, "behind the end" },
	{ "{'a':1}", NULL, "name in quotes" },
	{ "{\"a\" 1}", NULL, "':' expected" },
	{ "{\"a\":1 \"b\":2}", NULL, "',' or '}' expected" },
	{ "{\"a\":[1 2]}", NULL, "',' or ']' expected" },
	{ "{\"a\":1,}", NULL, "name in quotes" },
	{ "{\"a\":[1,]}", NULL, "value is missing" },
	{ "{\n \"a\": x}", NULL, "line 2, column 7: a value" },
	{ "{\"a\":01}", NULL, "malformed" },
	{ "{\"a\":00}", NULL, "malformed" },
	{ "{\"a\":0018080}", NULL, "malformed" },
	{ "{\"a\":-010}", NULL, "malformed" },
	{ "{\"a\":0,\"b\":-0,\"c\":0.0,\"d\":100}", "{\"a\":0,\"b\":0,\"c\":0.0,\"d\":100}", NULL },
	{ "{\"a\":-}", NULL, "malformed" },
	{ "{\"a\":1.}", NULL, "malformed" },
	{ "{\"a\":.5}", NULL, "malformed" },
	{ "{\"a\":1e}", NULL, "malformed" },
	{ "{\"a\":+1}", NULL, "malformed" },
	{ "{\"a\":NaN}", NULL, "value is missing" },
	{ "{\"a\":\"x\ny\"}", NULL, "control character" },
	{ "{\"a\":\"\\x\"}", NULL, "escape" },
	{ "{\"a\":\"\\ud800\"}", NULL, "escape" },
	{ "{\"a\":\"\\udc00\"}", NULL, "escape" },
	{ "{\"a\":\"\\u12", NULL, "no end" },
	{ "{\"a\":\"\\", NULL, "no end" },
	{ "{\"a\":\"\xf0\x9f\x98\"}", NULL, "UTF-8" },
	{ "{\"a\":\"\xc0\x80\"}", NULL, "UTF-8" },
	{ "{\"a\":\"\xe2\x82", NULL, "UTF-8" },
	{ "{\"a\":tru}", NULL, "value is missing" },
	{ "{\"a\":123456789012345678901234567890123456789012345678901234567890123}", NULL,
	  "too many digits" },
	{ "{\"a\":-9223372036854775808,\"b\":0,\"c\":-0.5e-2}",
	  "{\"a\":-9223372036854775808,\"b\":0,\"c\":-0.005}", NULL },
	{ "{\"\\u0061\\/b\":\"\\ud83d\\ude00\\u20ac\\b\"}",
	  "{\"a/b\":\"\xf0\x9f\x98\x80\xe2\x82\xac\\u0008\"}", NULL },
	{ "{\"a\":1,\"\\u0061\":2}", NULL, "duplicate" },
};

static void parsing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parses); i++) {
		const struct parse_case *c = &parses[i];
		_cleanup_(doc_freep) struct doc *doc = NULL;
		char why[160] = "";
		int r = doc_parse(c->text, strlen(c->text), &doc, why);

		if (c->want) {
			assert_int_equal(r, 0);
			assert_text(doc, c->want);
			continue;
		}
		assert_int_equal(r, -EINVAL);
		assert_null(doc);
		if (!strstr(why, c->why))
			fail_msg("%s: \"%s\" does not say %s", c->text, why, c->why);
	}
}

static int parse_depth(unsigned depth)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct buf b = { 0 };
	char why[160];
	int r;

	for (unsigned i = 0; i < depth; i++)
		buf_str(&b, i + 1 < depth ? "{\"a\":" : "{");
	for (unsigned i = 0; i < depth; i++)
		buf_str(&b, "}");
	r = doc_parse(b.data, b.len, &doc, why);
	buf_fini(&b);
	return r;
}

static void depth_limit(void **state)
{
	(void)state;
	assert_int_equal(parse_depth(LIMIT_JSON_DEPTH), 0);
	assert_int_equal(parse_depth(LIMIT_JSON_DEPTH + 1), -EINVAL);
	assert_int_equal(parse_depth(100000), -EINVAL);
}

static void reading(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = parse(
		"{\"s\":\"x\",\"n\":7,\"r\":7.0,\"t\":true,\"l\":[1,{\"m\":\"y\"}],"
		"\"o\":{\"a.b/c\":\"z\",\"d[0]\":1}}");

	(void)state;
	assert_string_equal(doc_str(doc, "s"), "x");
	assert_null(doc_str(doc, "n"));
	assert_null(doc_str(doc, "s.x"));
	assert_int_equal(doc_int(doc, "n", 1), 7);
	assert_int_equal(doc_int(doc, "r", 1), 1);
	assert_int_equal(doc_int(doc, "l[0]", 9), 1);
	assert_string_equal(doc_str(doc, "l[1].m"), "y");
	assert_null(doc_str(doc, "l[2].m"));
	assert_false(doc_has(doc, "l[x]"));
	assert_false(doc_has(doc, "l["));
	assert_false(doc_has(doc, "o[\"a.b"));
	assert_string_equal(doc_str(doc, "o[\"a.b/c\"]"), "z");
	assert_int_equal(doc_int(doc, "o[\"d[0]\"]", 0), 1);
	assert_true(doc_bool(doc, "t", false));
	assert_true(doc_bool(doc, "n", true));
	assert_int_equal(doc_len(doc, "l"), 2);
	assert_int_equal(doc_len(doc, "o"), 2);
	assert_int_equal(doc_len(doc, "s"), 0);
	assert_int_equal(doc_len(doc, ""), 6);
}

static void writing(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = doc_new(), *other = NULL;

	(void)state;
	assert_int_equal(doc_set_str(doc, "spec.ends[0].name", "a"), 0);
	assert_int_equal(doc_set_str(doc, "spec.ends[1].name", "b"), 0);
	assert_int_equal(doc_set_str(doc, "spec.ends[3].name", "c"), -EINVAL);
	assert_int_equal(doc_set_int(doc, "spec.ends.x", 1), -EINVAL);
	assert_int_equal(doc_set_int(doc, "spec[0]", 1), -EINVAL);
	assert_int_equal(doc_set_int(doc, "", 1), -EINVAL);
	assert_int_equal(doc_set_str(doc, "x", NULL), -EINVAL);
	assert_int_equal(doc_set_str(doc, "m.a[\"k/x.y\"]", "v\xff"), 0);
	assert_int_equal(doc_set_list(doc, "l"), 0);
	assert_int_equal(doc_set_list(doc, "spec.ends"), 0);
	assert_int_equal(doc_set_list(doc, "spec"), -EINVAL);
	assert_int_equal(doc_set_object(doc, "spec"), 0);
	assert_int_equal(doc_set_object(doc, "l"), -EINVAL);
	assert_int_equal(doc_set_bool(doc, "l[0]", true), 0);
	assert_int_equal(doc_set_json(doc, "j", "[1,\"x\"]"), 0);
	assert_int_equal(doc_set_json(doc, "j", "[1,"), -EINVAL);
	assert_text(doc, "{\"spec\":{\"ends\":[{\"name\":\"a\"},{\"name\":\"b\"}]},"
			 "\"m\":{\"a\":{\"k/x.y\":\"v?\"}},\"l\":[true],\"j\":[1,\"x\"]}");
	other = doc_copy(doc);
	assert_true(doc_equal(doc, other));
	assert_int_equal(doc_set_copy(doc, "y", other, "spec.ends[1]"), 0);
	doc_remove(doc, "spec.ends[0]");
	doc_remove(doc, "spec.none.x");
	doc_remove(doc, "m.a[\"k/x.y\"]");
	doc_remove(doc, "j");
	doc_remove(doc, "");
	assert_int_equal(doc_set_copy(doc, "l", other, "absent"), 0);
	assert_text(doc, "{\"spec\":{\"ends\":[{\"name\":\"b\"}]},\"m\":{\"a\":{}},"
			 "\"y\":{\"name\":\"b\"}}");
	assert_false(doc_equal(doc, other));
	assert_false(doc_equal_at(doc, other, "spec"));
	assert_true(doc_equal_at(doc, other, "spec.ends[0].none"));
	assert_text(other, "{\"spec\":{\"ends\":[{\"name\":\"a\"},{\"name\":\"b\"}]},"
			   "\"m\":{\"a\":{\"k/x.y\":\"v?\"}},\"l\":[true],\"j\":[1,\"x\"]}");
}

/* RFC 7386 appendix A, as far as both are objects; null members of the target are absent here */
static const struct { const char *target, *patch, *want; } merges[] = {
	{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "{\"e\":null}", "{\"a\":1}", "{\"a\":1}" },
	{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	{ "{\"a\":\"s\"}", "{\"a\":{\"b\":{\"c\":1,\"d\":null}}}", "{\"a\":{\"b\":{\"c\":1}}}" },
	{ "{\"a\":1}", "{\"l\":[{\"x\":null,\"y\":1}]}", "{\"a\":1,\"l\":[{\"y\":1}]}" },
	{ "{\"b\":1,\"a\":2}", "{\"b\":3}", "{\"b\":3,\"a\":2}" },
};

static void merging(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		_cleanup_(doc_freep) struct doc *doc = parse(merges[i].target), *patch = NULL;
		char why[160];

		assert_int_equal(doc_parse_patch(merges[i].patch, strlen(merges[i].patch), &patch,
						 why), 0);
		assert_int_equal(doc_merge_patch(doc, patch), 0);
		assert_text(doc, merges[i].want);
	}
}

static const struct {
	const char *status, *reason, *message, *now;
	int want;
	const char *text;
} conditions[] = {
	{ "False", "Wait", "soon", "T1", 1, "\"status\":\"False\",\"lastTransitionTime\":\"T1\","
	  "\"reason\":\"Wait\",\"message\":\"soon\"" },
	{ "False", "Wait", "soon", "T2", 0, "\"status\":\"False\",\"lastTransitionTime\":\"T1\","
	  "\"reason\":\"Wait\",\"message\":\"soon\"" },
	{ "False", "Wait", NULL, "T3", 1, "\"status\":\"False\",\"lastTransitionTime\":\"T1\","
	  "\"reason\":\"Wait\"" },
	{ "True", "Up", NULL, "T4", 1, "\"status\":\"True\",\"lastTransitionTime\":\"T4\","
	  "\"reason\":\"Up\"" },
	{ "True", NULL, NULL, "T5", 1, "\"status\":\"True\",\"lastTransitionTime\":\"T4\"" },
};

static void setting_conditions(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = parse("{\"status\":{\"conditions\":[1,"
						     "{\"type\":\"A\",\"status\":\"True\"}]}}");
	char want[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		assert_int_equal(doc_set_condition(doc, "status.conditions", "Ready",
						   conditions[i].status, conditions[i].reason,
						   conditions[i].message, conditions[i].now),
				 conditions[i].want);
		snprintf(want, sizeof(want), "{\"status\":{\"conditions\":[1,{\"type\":\"A\","
			 "\"status\":\"True\"},{\"type\":\"Ready\",%s}]}}", conditions[i].text);
		assert_text(doc, want);
	}
	assert_int_equal(doc_set_condition(doc, "new.list", "B", "True", NULL, NULL, "T"), 1);
	assert_string_equal(doc_str(doc, "new.list[0].type"), "B");
}

static int work(void)
{
	static const char text[] = "{\"a\":{\"b\":[1,2.5,\"x\"]},\"c\":null}";
	static const char change[] = "{\"a\":{\"d\":{\"e\":[{\"f\":null}]}},\"g\":\"h\"}";
	_cleanup_(doc_freep) struct doc *doc = NULL, *patch = NULL, *copy = NULL;
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	char why[160];
	int r = doc_parse(text, sizeof(text) - 1, &doc, why);

	if (r < 0 || (r = doc_parse_patch(change, sizeof(change) - 1, &patch, why)) < 0)
		return r;
	if ((r = doc_merge_patch(doc, patch)) < 0)
		return r;
	copy = doc_copy(doc);
	if (!copy)
		return -ENOMEM;
	r = doc_set_condition(copy, "status.conditions", "Ready", "True", "Up", "all", "T");
	if (r < 0 || (r = doc_set_copy(copy, "m.n", doc, "a")) < 0)
		return r;
	bytes = doc_bytes(copy);
	return bytes ? 0 : -ENOMEM;
}

/* jansson is a shared library: it is given our malloc, which then counts its calls too */
static void failing_allocations(void **state)
{
	long k = 1;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	for (;; k++) {
		int r;

		allocfail_at(k);
		r = work();
		if (!allocfail_hit())
			break;
		assert_true(r < 0);
	}
	allocfail_at(0);
	assert_int_equal(work(), 0);
	assert_true(k > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(depth_limit),
		cmocka_unit_test(reading),
		cmocka_unit_test(writing),
		cmocka_unit_test(merging),
		cmocka_unit_test(setting_conditions),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
