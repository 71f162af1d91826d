/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_selector.c - selectors of labels and fields: what they match, and what is none
 */
#include <lib/testlib.h>
#include <errno.h>
#include <netd/codec/selector.h>
#include <netd/codec/tape.h>

#define OBJECT "{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"labels\":{\"app\":\"web\"," \
	"\"tier\":\"\",\"rank\":\"7\",\"podnet.dev/zone\":\"a\"}}," \
	"\"spec\":{\"nodeName\":\"n1\",\"hostNetwork\":true},\"status\":{\"phase\":\"Running\"}}"

/* want: 1 matches OBJECT, 0 does not, or the error */
static const struct { const char *labels, *fields; int want; } cases[] = {
	{ NULL, NULL, 1 },
	{ "", "", 1 },
	{ "app", NULL, 1 },
	{ "nope", NULL, 0 },
	{ "!nope", NULL, 1 },
	{ "! nope", NULL, 1 },
	{ "!app", NULL, 0 },
	{ "app=web", NULL, 1 },
	{ "app==web", NULL, 1 },
	{ " app = web ", NULL, 1 },
	{ "app=db", NULL, 0 },
	{ "app!=db", NULL, 1 },
	{ "app!=web", NULL, 0 },
	{ "nope!=web", NULL, 1 },
	{ "tier=", NULL, 1 },
	{ "app=", NULL, 0 },
	{ "app in (db,web)", NULL, 1 },
	{ "app in ( db , web )", NULL, 1 },
	{ "app in(web)", NULL, 1 },
	{ "app in (db)", NULL, 0 },
	{ "tier in (,x)", NULL, 1 },
	{ "app notin (db)", NULL, 1 },
	{ "app notin (db,web)", NULL, 0 },
	{ "nope notin (db)", NULL, 1 },
	{ "rank>6", NULL, 1 },
	{ "rank > 7", NULL, 0 },
	{ "rank<8", NULL, 1 },
	{ "app<8", NULL, 0 },
	{ "nope>1", NULL, 0 },
	{ "in=web", NULL, 0 },
	{ "podnet.dev/zone=a,app=web,!nope,rank in (7),tier", NULL, 1 },
	{ "podnet.dev/zone=b,app=web", NULL, 0 },
	{ ",", NULL, -EINVAL },
	{ "app,", NULL, -EINVAL },
	{ "=web", NULL, -EINVAL },
	{ "app web", NULL, -EINVAL },
	{ "app=we b", NULL, -EINVAL },
	{ "app=web=x", NULL, -EINVAL },
	{ "app in web", NULL, -EINVAL },
	{ "app in (web", NULL, -EINVAL },
	{ "app in (web))", NULL, -EINVAL },
	{ "app!web", NULL, -EINVAL },
	{ "rank>x", NULL, -EINVAL },
	{ "rank>", NULL, -EINVAL },
	{ "rank>99999999999999999999", NULL, -EINVAL },
	{ "-app=web", NULL, -EINVAL },
	{ "a/b/c=web", NULL, -EINVAL },
	{ "app=-web", NULL, -EINVAL },
	{ "app=\xff", NULL, -EINVAL },
	{ NULL, "metadata.name=web-1", 1 },
	{ NULL, "metadata.name==web-1,metadata.namespace=shop", 1 },
	{ NULL, "metadata.name!=web-1", 0 },
	{ NULL, "metadata.namespace=default", 0 },
	{ NULL, "spec.nodeName=n1", 1 },
	{ NULL, "spec.nodeName=", 0 },
	{ NULL, "status.podIP=", 1 },
	{ NULL, "spec.hostNetwork=true", 1 },
	{ NULL, "spec.nodeName=n1,status.phase!=Failed,status.phase!=Succeeded", 1 },
	{ "app=web", "status.phase=Running", 1 },
	{ "app=db", "status.phase=Running", 0 },
	{ "app=web", "status.phase=Pending", 0 },
	{ NULL, "spec.containers=x", -EINVAL },
	{ NULL, "metadata.name", -EINVAL },
	{ NULL, "=x", -EINVAL },
	{ NULL, "metadata.name>x", -EINVAL },
};

static int match(const char *labels, const char *fields)
{
	struct arena arena = { 0 };
	struct selector sel;
	struct doc *doc;
	char why[160] = "";
	int r = selector_parse(&kinds[KIND_POD], labels, fields, &arena, &sel, why);

	assert_int_equal(doc_parse(OBJECT, strlen(OBJECT), &doc, why), 0);
	if (r == 0)
		r = selector_matches(&sel, doc);
	else
		assert_true(*why);
	if (r >= 0 && !selector_needs_object(&sel))
		assert_int_equal(selector_matches_name(&sel, "shop", "web-1"), r);
	doc_free(doc);
	arena_fini(&arena);
	return r;
}

static void test_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (match(cases[i].labels, cases[i].fields) != cases[i].want)
			fail_msg("row %zu: %s %s: %d", i, cases[i].labels, cases[i].fields,
				 match(cases[i].labels, cases[i].fields));
}

/* a LabelSelector in an object; errors: how many its check finds */
static const struct { const char *json; int want; size_t errors; } objects[] = {
	{ "{}", 1, 0 },
	{ "{\"matchLabels\":{\"app\":\"web\"}}", 1, 0 },
	{ "{\"matchLabels\":{\"app\":\"web\",\"tier\":\"x\"}}", 0, 0 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"db\",\"web\"]}]}",
	  1, 0 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"web\"]}]}", 0, 0 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}", 1, 0 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"DoesNotExist\"}]}", 0, 0 },
	{ "{\"matchLabels\":{\"app\":\"web\"},"
	  "\"matchExpressions\":[{\"key\":\"nope\",\"operator\":\"Exists\"}]}", 0, 0 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Is\"}]}", -1, 1 },
	{ "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\"}]}", -1, 1 },
	{ "{\"matchExpressions\":[{\"key\":\"-\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}", -1, 2 },
};

static void check_object(size_t i)
{
	struct arena arena = { 0 };
	struct kv labels[] = { { "app", "web" } };
	const struct meta meta = { .labels = labels, .nlabels = 1 };
	struct label_selector sel;
	struct causes causes = { 0 };
	struct doc *doc = doc_new();
	struct tape tape = { 0 };
	char why[160];

	assert_int_equal(doc_set_json(doc, "spec.selector", objects[i].json), 0);
	label_selector_check(doc, "spec.selector", &causes);
	assert_int_equal(causes.n, objects[i].errors);
	if (!causes.n) {
		assert_int_equal(tape_read(&tape, objects[i].json, strlen(objects[i].json), why), 0);
		assert_int_equal(label_selector_decode(tape.v, &arena, &sel), 0);
		assert_int_equal(label_selector_matches(&sel, &meta), objects[i].want);
	}
	tape_fini(&tape);
	causes_fini(&causes);
	doc_free(doc);
	arena_fini(&arena);
}

static void test_object(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		check_object(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_object),
	};

	return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
