/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_protobuf.c - bodies in Kubernetes' protobuf form, by table; and every cut of a good one
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/protobuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <tests/lib/testlib.h>

#define BYTES(s) (s), sizeof(s) - 1
#define HEAD "k8s\0"

/* what kubectl 1.33 sends for `create namespace red`, and a Service with everything */
static const char red[] = HEAD "\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x0c"
	"\x0a\x05\x0a\x03red\x12\x00\x1a\x01" "\x00" "\x1a\x00\x22\x00";
static const char web[] = HEAD
	"\x0a\x0d\x0a\x02v1\x12\x07Service\x12w\x0a)\x0a\x03web\x1a\x01nB\x00Z\x07"
	"\x0a\x03" "app\x12\x00" "b\x08\x0a\x01" "a\x12\x03" "b cr\x05x.y/zr\x03q/r"
	"\x12H\x0a\x18\x0a\x04http\x12\x03TCP\x18P\x22\x07\x08\x00\x10\x90?\x1a\x00("
	"\x00\x0a\x0c\x18Q\x22\x08\x08\x01\x1a\x04name\x12\x0a\x0a\x03" "app\x12\x03w"
	"eb\x22\x09" "ClusterIPh\x01r\x05\x0a\x03\x08\xb0T\x1a\x00";

static const struct {
	const char *says, *kind, *data;
	size_t len;
	const char *want;           /* NULL: refused */
} rows[] = {
	{ "a namespace", "Namespace", BYTES(red),
	  "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'red'},'spec':{}}" },
	{ "nothing", "Namespace", BYTES(HEAD), "{}" },
	{ "a message in two parts", "Namespace",
	  BYTES(HEAD "\x12\x05\x0a\x03\x0a\x01" "a" "\x12\x05\x0a\x03\x12\x01" "b"),
	  "{'metadata':{'name':'a','generateName':'b'}}" },
	{ "the last value counts", "Namespace",
	  BYTES(HEAD "\x12\x08\x0a\x06\x0a\x01" "a\x0a\x01" "b"), "{'metadata':{'name':'b'}}" },
	{ "unknown fields of each type", "Namespace",
	  BYTES(HEAD "\x12\x17\xf8\x07\x01" "\xf9\x07" "12345678" "\xfa\x07\x01x" "\xfd\x07" "1234"),
	  "{}" },
	{ "labels without key and value", "Namespace",
	  BYTES(HEAD "\x12\x0a\x0a\x08\x5a\x00\x5a\x04\x12\x02hi"),
	  "{'metadata':{'labels':{'':'hi'}}}" },
	{ "no magic", "Namespace", BYTES("{\"a\":1}"), NULL },
	{ "no bytes", "Namespace", BYTES(""), NULL },
	{ "field number 0", "Namespace", BYTES(HEAD "\x02\x00"), NULL },
	{ "a group", "Namespace", BYTES(HEAD "\x12\x02\x0b\x0c"), NULL },
	{ "a number where text is", "Namespace", BYTES(HEAD "\x12\x04\x0a\x02\x08\x01"), NULL },
	{ "text where a number is", "Service", BYTES(HEAD "\x12\x07\x12\x05\x0a\x03\x1a\x01x"), NULL },
	{ "not UTF-8", "Namespace", BYTES(HEAD "\x12\x05\x0a\x03\x0a\x01\xff"), NULL },
	{ "cut within a character", "Namespace", BYTES(HEAD "\x12\x05\x0a\x03\x0a\x01\xc3"), NULL },
	{ "a NUL in text", "Namespace", BYTES(HEAD "\x12\x06\x0a\x04\x0a\x02" "a\0"), NULL },
	{ "longer than there is", "Namespace", BYTES(HEAD "\x12\x7f\x0a"), NULL },
	{ "a length of 2^64 - 1", "Namespace",
	  BYTES(HEAD "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL },
	{ "a number of 11 bytes", "Namespace",
	  BYTES(HEAD "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL },
	{ "a negative port", "Service",
	  BYTES(HEAD "\x12\x0f\x12\x0d\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	  "{'spec':{'ports':[{'port':-1}]}}" },
};

static struct doc *parse(const char *text)
{
	char buf[512], why[160];
	struct doc *doc = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *p = buf; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_int_equal(doc_parse(buf, strlen(buf), &doc, why), 0);
	return doc;
}

/* Copied to memory of just that size: reading beyond it is found. */
static int run(const char *name, const char *data, size_t len, struct doc **doc)
{
	const struct kind kind = { .group = "", .version = "v1", .name = name };
	char *copy = malloc(len ? len : 1), why[160] = "";
	int r;

	assert_non_null(copy);
	memcpy(copy, data, len);
	assert_true(protobuf_knows(&kind));
	r = protobuf_parse(&kind, copy, len, doc, why);
	free(copy);
	assert_true(r == 0 || why[0]);
	return r;
}

static void reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(doc_freep) struct doc *doc = NULL, *want = NULL;
		int r = run(rows[i].kind, rows[i].data, rows[i].len, &doc);

		if (r != (rows[i].want ? 0 : -EINVAL))
			fail_msg("%s: %d", rows[i].says, r);
		want = rows[i].want ? parse(rows[i].want) : NULL;
		if (want && !doc_equal(doc, want))
			fail_msg("%s: %s", rows[i].says, json_dumps(doc->root, 0));
	}
}

static void a_service(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = NULL, *want = parse(
		"{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':'n','labels':"
		"{'app':''},'annotations':{'a':'b c'},'finalizers':['x.y/z','q/r']},'spec':{'ports':[{"
		"'name':'http','protocol':'TCP','port':80,'targetPort':8080},{'port':81,'targetPort':"
		"'name'}],'selector':{'app':'web'},'type':'ClusterIP','publishNotReadyAddresses':true,"
		"'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':10800}}}}");

	(void)state;
	assert_int_equal(run("Service", BYTES(web), &doc), 0);
	if (!doc_equal(doc, want))
		fail_msg("%s", json_dumps(doc->root, 0));
	for (size_t len = 0; len < sizeof(web) - 1; len++) {
		_cleanup_(doc_freep) struct doc *cut = NULL;

		run("Service", web, len, &cut);     /* no byte behind the end is read */
	}
}

static void of_which_kinds(void **state)
{
	(void)state;
	assert_true(protobuf_knows(&kinds[KIND_NAMESPACE]));
	assert_false(protobuf_knows(&kinds[KIND_POD]));
	assert_false(protobuf_knows(&kinds[KIND_NETWORK]));
}

/* jansson is a shared library: it is given our malloc, which then counts its calls too */
static void failing_allocations(void **state)
{
	const struct kind kind = { .group = "", .version = "v1", .name = "Service" };
	struct doc *doc;
	char why[160];
	long k = 1;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	for (;; k++) {
		int r;

		doc = NULL;
		allocfail_at(k);
		r = protobuf_parse(&kind, BYTES(web), &doc, why);
		if (!allocfail_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(doc);
	}
	allocfail_at(0);
	assert_true(k > 30);
	doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading),
		cmocka_unit_test(a_service),
		cmocka_unit_test(of_which_kinds),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
