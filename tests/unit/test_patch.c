/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_patch.c - the three patches by table: what each makes of an object, and what it refuses
 *
 * The texts are JSON with ' for ".  Merge patches have more rows in test_doc.c.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/codec/json.h>
#include <netd/codec/patch.h>
#include <stdio.h>
#include <stdlib.h>
#include <tests/lib/testlib.h>

struct row {
	const char *says, *target, *patch;
	int want;
	const char *result;         /* or a piece of why */
};

/* RFC 6902 appendix A, and the edges of RFC 6901 */
static const struct row json_rows[] = {
	{ "A.1 add a member", "{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]", 0,
	  "{'baz':'qux','foo':'bar'}" },
	{ "A.2 add an element", "{'foo':['bar','baz']}",
	  "[{'op':'add','path':'/foo/1','value':'qux'}]", 0, "{'foo':['bar','qux','baz']}" },
	{ "A.3 remove a member", "{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]", 0,
	  "{'foo':'bar'}" },
	{ "A.4 remove an element", "{'foo':['bar','qux','baz']}",
	  "[{'op':'remove','path':'/foo/1'}]", 0, "{'foo':['bar','baz']}" },
	{ "A.5 replace", "{'baz':'qux','foo':'bar'}",
	  "[{'op':'replace','path':'/baz','value':'boo'}]", 0, "{'baz':'boo','foo':'bar'}" },
	{ "A.6 move", "{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
	  "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]", 0,
	  "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}" },
	{ "A.7 move an element", "{'foo':['all','grass','cows','eat']}",
	  "[{'op':'move','from':'/foo/1','path':'/foo/3'}]", 0,
	  "{'foo':['all','cows','eat','grass']}" },
	{ "A.8 test", "{'baz':'qux','foo':['a',2,'c']}",
	  "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]", 0,
	  "{'baz':'qux','foo':['a',2,'c']}" },
	{ "A.9 a failing test", "{'baz':'qux'}", "[{'op':'test','path':'/baz','value':'bar'}]",
	  -ENOENT, "operation 0 (test /baz): the value differs" },
	{ "A.10 a nested member", "{'foo':'bar'}",
	  "[{'op':'add','path':'/child','value':{'grandchild':{}}}]", 0,
	  "{'foo':'bar','child':{'grandchild':{}}}" },
	{ "A.11 unknown members", "{'foo':'bar'}",
	  "[{'op':'add','path':'/baz','value':'qux','xyz':123}]", 0, "{'foo':'bar','baz':'qux'}" },
	{ "A.12 add where no parent is", "{'foo':'bar'}",
	  "[{'op':'add','path':'/baz/bat','value':'qux'}]", -ENOENT, "there is nothing at" },
	{ "A.13 op twice", "{'foo':'bar'}",
	  "[{'op':'add','path':'/baz','value':'qux','op':'remove'}]", -EINVAL, "duplicate" },
	{ "A.14 ~ is escaped once", "{'/':9,'~1':10}",
	  "[{'op':'test','path':'/~01','value':10}]", 0, "{'/':9,'~1':10}" },
	{ "A.15 strings and numbers", "{'/':9,'~1':10}",
	  "[{'op':'test','path':'/~01','value':'10'}]", -ENOENT, "differs" },
	{ "A.16 add a list", "{'foo':['bar']}",
	  "[{'op':'add','path':'/foo/-','value':['abc','def']}]", 0,
	  "{'foo':['bar',['abc','def']]}" },
	{ "numbers by value", "{'a':80}", "[{'op':'test','path':'/a','value':80.0}]", 0, "{'a':80}" },
	{ "objects in any order", "{'a':{'b':1,'c':[2]}}",
	  "[{'op':'test','path':'/a','value':{'c':[2.0],'b':1}}]", 0, "{'a':{'b':1,'c':[2]}}" },
	{ "copy", "{'a':{'b':[1]}}",
	  "[{'op':'copy','from':'/a','path':'/c'},{'op':'add','path':'/c/b/0','value':0}]", 0,
	  "{'a':{'b':[1]},'c':{'b':[0,1]}}" },
	{ "the whole object", "{'a':1}", "[{'op':'replace','path':'','value':{'b':2}}]", 0,
	  "{'b':2}" },
	{ "null is absent", "{'a':1}", "[{'op':'add','path':'/b','value':null}]", 0, "{'a':1}" },
	{ "an empty key", "{'':1}", "[{'op':'remove','path':'/'}]", 0, "{}" },
	{ "a slash in a key", "{'a':{'x/y':1}}", "[{'op':'remove','path':'/a/x~1y'}]", 0,
	  "{'a':{}}" },
	{ "move to itself", "{'a':1}", "[{'op':'move','from':'/a','path':'/a'}]", 0, "{'a':1}" },
	{ "nothing to do", "{'a':1}", "[]", 0, "{'a':1}" },
	{ "move into itself", "{'a':{'b':1}}", "[{'op':'move','from':'/a','path':'/a/c'}]", -ENOENT,
	  "into itself" },
	{ "replace what is not there", "{}", "[{'op':'replace','path':'/a','value':1}]", -ENOENT,
	  "nothing at \"/a\"" },
	{ "remove what is not there", "{}", "[{'op':'remove','path':'/a'}]", -ENOENT, "nothing" },
	{ "remove all", "{'a':1}", "[{'op':'remove','path':''}]", -ENOENT, "cannot be removed" },
	{ "a result that is no object", "{'a':1}", "[{'op':'add','path':'','value':[1]}]", -ENOENT,
	  "not an object" },
	{ "behind the end", "{'a':[1]}", "[{'op':'add','path':'/a/2','value':1}]", -ENOENT,
	  "nothing" },
	{ "- is no element yet", "{'a':[1]}", "[{'op':'remove','path':'/a/-'}]", -ENOENT, "nothing" },
	{ "a leading zero", "{'a':[1,2]}", "[{'op':'remove','path':'/a/01'}]", -ENOENT, "nothing" },
	{ "an index with a sign", "{'a':[1,2]}", "[{'op':'remove','path':'/a/+1'}]", -ENOENT,
	  "nothing" },
	{ "into a string", "{'a':'b'}", "[{'op':'add','path':'/a/b','value':1}]", -ENOENT,
	  "nothing" },
	{ "no slash", "{'a':1}", "[{'op':'remove','path':'a'}]", -EINVAL, "begins with '/'" },
	{ "a bad escape", "{'a':1}", "[{'op':'remove','path':'/~2'}]", -EINVAL, "0 or 1" },
	{ "an unknown op", "{'a':1}", "[{'op':'merge','path':'/a'}]", -EINVAL, "op must be" },
	{ "no op", "{'a':1}", "[{'path':'/a'}]", -EINVAL, "op must be" },
	{ "no path", "{'a':1}", "[{'op':'remove'}]", -EINVAL, "path is missing" },
	{ "no value", "{'a':1}", "[{'op':'add','path':'/a'}]", -EINVAL, "value is missing" },
	{ "no from", "{'a':1}", "[{'op':'copy','path':'/a'}]", -EINVAL, "from is missing" },
	{ "no object", "{'a':1}", "[7]", -EINVAL, "must be an object" },
	{ "no list", "{'a':1}", "{'op':'remove'}", -EINVAL, "must be a JSON list" },
};

#define TWO_PORTS "{'spec':{'ports':[{'port':80,'name':'a'},{'port':81,'name':'b'}]}}"
#define TWO_C "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'}]}}"

static const struct row strategic_rows[] = {
	{ "as a merge patch", "{'spec':{'a':1,'b':{'c':1}}}",
	  "{'spec':{'a':null,'b':{'d':2},'e':{'f':null,'g':1}}}", 0,
	  "{'spec':{'b':{'c':1,'d':2},'e':{'g':1}}}" },
	{ "an element by its key", TWO_C, "{'spec':{'containers':[{'name':'b','image':'3'}]}}", 0,
	  "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'3'}]}}" },
	{ "a new element", TWO_C, "{'spec':{'containers':[{'name':'c','x':null}]}}", 0,
	  "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'},"
	  "{'name':'c'}]}}" },
	{ "delete an element", TWO_C,
	  "{'spec':{'containers':[{'$patch':'delete','name':'a'}]}}", 0,
	  "{'spec':{'containers':[{'name':'b','image':'2'}]}}" },
	{ "delete one that is not there", TWO_C,
	  "{'spec':{'containers':[{'$patch':'delete','name':'x'}]}}", 0, TWO_C },
	{ "replace the list", TWO_C,
	  "{'spec':{'containers':[{'$patch':'replace'},{'name':'x'}]}}", 0,
	  "{'spec':{'containers':[{'name':'x'}]}}" },
	{ "replace the list by nothing", TWO_C,
	  "{'spec':{'containers':[{'$patch':'replace'}]}}", 0, "{'spec':{'containers':[]}}" },
	{ "keys within elements",
	  "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80},{'containerPort':81}],"
	  "'env':[{'name':'x','value':'1'}]}]}}",
	  "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':81,'name':'w'}],"
	  "'env':[{'name':'y','value':'2'}]}]}}", 0,
	  "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80},{'containerPort':81,"
	  "'name':'w'}],'env':[{'name':'x','value':'1'},{'name':'y','value':'2'}]}]}}" },
	{ "an atomic list", "{'spec':{'tolerations':[{'key':'a'}]}}",
	  "{'spec':{'tolerations':[{'key':'b','x':null}]}}", 0,
	  "{'spec':{'tolerations':[{'key':'b'}]}}" },
	{ "a set of scalars", "{'metadata':{'finalizers':['a','b']}}",
	  "{'metadata':{'finalizers':['b','c']}}", 0, "{'metadata':{'finalizers':['a','b','c']}}" },
	{ "out of a set", "{'metadata':{'finalizers':['a','b']}}",
	  "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a','x']}}", 0,
	  "{'metadata':{'finalizers':['b']}}" },
	{ "into and out of a set", "{'metadata':{'finalizers':['a','b']}}",
	  "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a'],'finalizers':['c']}}", 0,
	  "{'metadata':{'finalizers':['b','c']}}" },
	{ "a set that is cleared", "{'metadata':{'finalizers':['a','b']}}",
	  "{'metadata':{'finalizers':null}}", 0, "{'metadata':{}}" },
	{ "the order of a set", "{'metadata':{'finalizers':['a','b','c']}}",
	  "{'metadata':{'$setElementOrder/finalizers':['c','a']}}", 0,
	  "{'metadata':{'finalizers':['c','a','b']}}" },
	{ "the order of elements", TWO_C,
	  "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'b'},{'name':'a'}],"
	  "'containers':[{'name':'c'}]}}", 0,
	  "{'spec':{'containers':[{'name':'c'},{'name':'b','image':'2'},"
	  "{'name':'a','image':'1'}]}}" },
	{ "the order alone", TWO_C,
	  "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}}", 0,
	  "{'spec':{'containers':[{'name':'b','image':'2'},{'name':'a','image':'1'}]}}" },
	{ "the order of what is not there", "{'spec':{}}",
	  "{'spec':{'$setElementOrder/containers':[{'name':'b'}]}}", 0, "{'spec':{}}" },
	{ "a map replaced", "{'spec':{'a':1,'b':2}}", "{'spec':{'$patch':'replace','c':3}}", 0,
	  "{'spec':{'c':3}}" },
	{ "a map removed", "{'spec':{'a':1},'x':1}", "{'spec':{'$patch':'delete'}}", 0, "{'x':1}" },
	{ "a map merged", "{'spec':{'a':1}}", "{'spec':{'$patch':'merge','b':2}}", 0,
	  "{'spec':{'a':1,'b':2}}" },
	{ "keys retained",
	  "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
	  "{'spec':{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'hostPath':{'path':"
	  "'/x'}}]}}", 0, "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}" },
	{ "directives in what is new", "{}",
	  "{'spec':{'containers':[{'name':'a','$retainKeys':['name'],'ports':[{'$patch':'replace'},"
	  "{'containerPort':1}]}],'$setElementOrder/containers':[{'name':'a'}]}}", 0,
	  "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':1}]}]}}" },
	{ "directives in an atomic list", "{}",
	  "{'spec':{'tolerations':[{'$patch':'replace','key':'a'}]}}", 0,
	  "{'spec':{'tolerations':[{'key':'a'}]}}" },
	{ "another type in the way", "{'spec':{'containers':'x','a':[1]}}",
	  "{'spec':{'containers':[{'name':'a'}],'a':{'b':1}}}", 0,
	  "{'spec':{'containers':[{'name':'a'}],'a':{'b':1}}}" },
	{ "owners by uid", "{'metadata':{'ownerReferences':[{'uid':'1','name':'a'}]}}",
	  "{'metadata':{'ownerReferences':[{'uid':'2','name':'b'},{'$patch':'delete','uid':'1'}]}}",
	  0, "{'metadata':{'ownerReferences':[{'uid':'2','name':'b'}]}}" },
	{ "conditions by type", "{'status':{'conditions':[{'type':'A','status':'True'}]}}",
	  "{'status':{'conditions':[{'type':'A','status':'False'},{'type':'B'}]}}", 0,
	  "{'status':{'conditions':[{'type':'A','status':'False'},{'type':'B'}]}}" },
	{ "no such list in this kind", TWO_PORTS, "{'spec':{'ports':[{'port':81}]}}", 0,
	  "{'spec':{'ports':[{'port':81}]}}" },
	{ "the merge key is missing", TWO_C, "{'spec':{'containers':[{'image':'3'}]}}", -EINVAL,
	  "spec.containers: an element lacks the merge key" },
	{ "an element that is no object", TWO_C, "{'spec':{'containers':['x']}}", -EINVAL,
	  "lacks the merge key" },
	{ "an object in a set", "{}", "{'metadata':{'finalizers':[{}]}}", -EINVAL, "plain values" },
	{ "an unknown directive", "{}", "{'spec':{'$patch':'swap'}}", -EINVAL,
	  "spec.$patch: must be merge, replace or delete" },
	{ "an unknown directive in an element", TWO_C,
	  "{'spec':{'containers':[{'name':'a','$patch':1}]}}", -EINVAL, "spec.containers.$patch" },
	{ "keys to retain that are no list", "{}", "{'spec':{'$retainKeys':'x'}}", -EINVAL,
	  "must be a list" },
	{ "an order that is no list", TWO_C, "{'spec':{'$setElementOrder/containers':{}}}", -EINVAL,
	  "must be a list" },
	{ "no object", "{}", "[]", -EINVAL, "must be a JSON object" },
};

static struct doc *parse(const char *text)
{
	char buf[1024], why[160];
	struct doc *doc = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *p = buf; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_int_equal(doc_parse_patch(buf, strlen(buf), &doc, why), 0);
	return doc;
}

static int run(enum patch_type type, const struct row *row, struct doc *doc, char why[160])
{
	_cleanup_(doc_freep) struct doc *patch = NULL;
	char buf[1024];
	int r;

	snprintf(buf, sizeof(buf), "%s", row->patch);
	for (char *p = buf; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	r = patch_parse(type, buf, strlen(buf), &patch, why);
	return r < 0 ? r : patch_apply(type, &kinds[KIND_POD], doc, patch, why);
}

static void check(enum patch_type type, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_freep) struct doc *doc = parse(rows[i].target), *want = NULL;
		char why[160] = "";
		int r = run(type, &rows[i], doc, why);

		if (r != rows[i].want || (r < 0 && !strstr(why, rows[i].result)))
			fail_msg("%s: %d, %s", rows[i].says, r, why);
		want = r == 0 ? parse(rows[i].result) : NULL;
		if (want && !doc_equal(doc, want))
			fail_msg("%s: %s", rows[i].says, json_dumps(doc->root, 0));
	}
}

static void json_patches(void **state)
{
	(void)state;
	check(PATCH_JSON, json_rows, ARRAY_SIZE(json_rows));
}

static void strategic_patches(void **state)
{
	(void)state;
	check(PATCH_STRATEGIC, strategic_rows, ARRAY_SIZE(strategic_rows));
}

static int apply_text(enum patch_type type, struct buf *text, const char *target)
{
	_cleanup_(doc_freep) struct doc *doc = parse(target), *patch = NULL;
	char why[160];
	int r;

	assert_false(text->failed);
	assert_int_equal(patch_parse(type, text->data, text->len, &patch, why), 0);
	r = patch_apply(type, &kinds[KIND_POD], doc, patch, why);
	buf_fini(text);
	return r;
}

/* What would grow without end is cut off. */
static void bounded(void **state)
{
	struct buf many = { 0 }, doubling = { 0 }, deep = { 0 }, list = { 0 };

	(void)state;
	for (int i = 0; i <= LIMIT_PATCH_OPS; i++)
		buf_printf(&many, "%s{\"op\":\"test\",\"path\":\"/a\",\"value\":1}", i ? "," : "[");
	buf_str(&many, "]");
	assert_int_equal(apply_text(PATCH_JSON, &many, "{'a':1}"), -E2BIG);

	for (int i = 0; i < 100; i++)
		buf_printf(&doubling, "%s{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/%d\"}",
			   i ? "," : "[", i);
	buf_str(&doubling, "]");
	assert_int_equal(apply_text(PATCH_JSON, &doubling, "{'a':{'b':1}}"), -E2BIG);

	for (int i = 0; i < 70; i++)
		buf_printf(&deep, "%s{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/a\"},"
			   "{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a\"},"
			   "{\"op\":\"add\",\"path\":\"/b\",\"value\":{}}", i ? "," : "[");
	buf_str(&deep, "]");
	assert_int_equal(apply_text(PATCH_JSON, &deep, "{'a':{},'b':{}}"), -ENOENT);

	for (int i = 0; i < 5000; i++)
		buf_printf(&list, "%s\"f%d\"", i ? "," : "{\"metadata\":{\"finalizers\":[", i);
	buf_str(&list, "]}}");
	assert_int_equal(apply_text(PATCH_STRATEGIC, &list, "{}"), -E2BIG);
}

static int work(void)
{
	static const char target[] = "{\"spec\":{\"containers\":[{\"name\":\"a\"}]},"
				     "\"metadata\":{\"finalizers\":[\"x\"]}}";
	static const char merge[] = "{\"spec\":{\"containers\":[{\"name\":\"a\",\"i\":1},"
		"{\"name\":\"b\",\"$retainKeys\":[\"name\"]}],\"$setElementOrder/containers\":"
		"[{\"name\":\"b\"}]},\"metadata\":{\"finalizers\":[\"y\"]}}";
	static const char ops[] = "[{\"op\":\"copy\",\"from\":\"/spec\",\"path\":\"/s\"},"
		"{\"op\":\"move\",\"from\":\"/s\",\"path\":\"/t\"},"
		"{\"op\":\"add\",\"path\":\"/t/l\",\"value\":[1]},"
		"{\"op\":\"test\",\"path\":\"/t/l/0\",\"value\":1}]";
	_cleanup_(doc_freep) struct doc *doc = NULL, *a = NULL, *b = NULL;
	char why[160];
	int r = doc_parse(target, sizeof(target) - 1, &doc, why);

	if (r == 0)
		r = patch_parse(PATCH_STRATEGIC, merge, sizeof(merge) - 1, &a, why);
	if (r == 0)
		r = patch_parse(PATCH_JSON, ops, sizeof(ops) - 1, &b, why);
	if (r == 0)
		r = patch_apply(PATCH_STRATEGIC, &kinds[KIND_POD], doc, a, why);
	if (r == 0)
		r = patch_apply(PATCH_JSON, &kinds[KIND_POD], doc, b, why);
	return r;
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
		assert_int_equal(r, -ENOMEM);
	}
	allocfail_at(0);
	assert_int_equal(work(), 0);
	assert_true(k > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_patches),
		cmocka_unit_test(strategic_patches),
		cmocka_unit_test(bounded),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
