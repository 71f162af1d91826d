/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_status.c - Status objects, byte by byte
 */
#include <lib/testlib.h>
#include <jansson.h>
#include <netd/codec/kind.h>

#define HEAD "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"," \
	     "\"message\":"

static const struct status_case {
	struct status st;
	size_t ncauses;         /* taken from the list below */
	const char *want;
} cases[] = {
	{ { .code = 404, .reason = "NotFound", .kind = &kinds[KIND_POD], .name = "x" }, 0,
	  HEAD "\"pods \\\"x\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"x\","
	  "\"kind\":\"pods\"},\"code\":404}" },
	{ { .code = 404, .reason = "NotFound", .kind = &kinds[KIND_NETWORK], .name = "x" }, 0,
	  HEAD "\"networks.podnet.dev \\\"x\\\" not found\",\"reason\":\"NotFound\",\"details\":{"
	  "\"name\":\"x\",\"group\":\"podnet.dev\",\"kind\":\"networks\"},\"code\":404}" },
	{ { .code = 404, .reason = "NotFound" }, 0,
	  HEAD "\"the server could not find the requested resource\",\"reason\":\"NotFound\","
	  "\"code\":404}" },
	{ { .code = 405, .reason = "MethodNotAllowed" }, 0,
	  HEAD "\"the server does not allow this method on the requested resource\","
	  "\"reason\":\"MethodNotAllowed\",\"code\":405}" },
	{ { .code = 401, .reason = "Unauthorized" }, 0,
	  HEAD "\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}" },
	{ { .code = 409, .reason = "AlreadyExists", .kind = &kinds[KIND_POD], .name = "x" }, 0,
	  HEAD "\"pods \\\"x\\\" already exists\",\"reason\":\"AlreadyExists\",\"details\":{"
	  "\"name\":\"x\",\"kind\":\"pods\"},\"code\":409}" },
	{ { .code = 409, .reason = "Conflict", .kind = &kinds[KIND_POD], .name = "x" }, 0,
	  HEAD "\"Operation cannot be fulfilled on pods \\\"x\\\": the object has been modified; "
	  "please apply your changes to the latest version and try again\",\"reason\":\"Conflict\","
	  "\"details\":{\"name\":\"x\",\"kind\":\"pods\"},\"code\":409}" },
	{ { .code = 403, .reason = "Forbidden", .kind = &kinds[KIND_NAMESPACE], .name = "default",
	    .why = "this namespace may not be deleted" }, 0,
	  HEAD "\"namespaces \\\"default\\\" is forbidden: this namespace may not be deleted\","
	  "\"reason\":\"Forbidden\",\"details\":{\"name\":\"default\",\"kind\":\"namespaces\"},"
	  "\"code\":403}" },
	{ { .code = 400, .reason = "BadRequest", .message = "odd \"text\" \xff" }, 0,
	  HEAD "\"odd \\\"text\\\" ?\",\"reason\":\"BadRequest\",\"code\":400}" },
	{ { .code = 503, .reason = "ServiceUnavailable", .message = "wait", .retry_after_s = 1 }, 0,
	  HEAD "\"wait\",\"reason\":\"ServiceUnavailable\",\"details\":{\"retryAfterSeconds\":1},"
	  "\"code\":503}" },
	{ { .code = 422, .reason = "Invalid", .kind = &kinds[KIND_POD], .name = "x" }, 1,
	  HEAD "\"Pod \\\"x\\\" is invalid: spec.a: Required value\",\"reason\":\"Invalid\","
	  "\"details\":{\"name\":\"x\",\"kind\":\"Pod\",\"causes\":[{\"reason\":"
	  "\"FieldValueRequired\",\"message\":\"Required value\",\"field\":\"spec.a\"}]},"
	  "\"code\":422}" },
	{ { .code = 422, .reason = "Invalid", .kind = &kinds[KIND_NETWORK], .name = "x",
	  .uid = "u" },
	  2, HEAD "\"Network.podnet.dev \\\"x\\\" is invalid: [spec.a: Required value, spec.b[0]: "
	  "Invalid value: \\\"v\\\\\\\"\\\": no good]\",\"reason\":\"Invalid\",\"details\":{"
	  "\"name\":\"x\",\"group\":\"podnet.dev\",\"kind\":\"Network\",\"uid\":\"u\",\"causes\":[{"
	  "\"reason\":\"FieldValueRequired\",\"message\":\"Required value\",\"field\":\"spec.a\"},{"
	  "\"reason\":\"FieldValueInvalid\",\"message\":\"Invalid value: \\\"v\\\\\\\"\\\": no "
	  "good\","
	  "\"field\":\"spec.b[0]\"}]},\"code\":422}" },
	{ { .code = 400, .reason = "BadRequest", .kind = &kinds[KIND_NETWORK] }, 3,
	  HEAD "\"Network in version \\\"v1\\\" cannot be handled as a Network: [spec.a: Required "
	  "value, spec.b[0]: Invalid value: \\\"v\\\\\\\"\\\": no good, unknown field "
	  "\\\"spec.c\\\"]\","
	  "\"reason\":\"BadRequest\",\"details\":{\"group\":\"podnet.dev\",\"kind\":\"networks\","
	  "\"causes\":[{\"reason\":\"FieldValueRequired\",\"message\":\"Required value\",\"field\":"
	  "\"spec.a\"},{\"reason\":\"FieldValueInvalid\",\"message\":\"Invalid value: "
	  "\\\"v\\\\\\\"\\\": "
	  "no good\",\"field\":\"spec.b[0]\"},{\"reason\":\"FieldValueUnknown\",\"message\":"
	  "\"unknown "
	  "field \\\"spec.c\\\"\",\"field\":\"spec.c\"}]},\"code\":400}" },
};

static struct bytes *make(const struct status_case *c)
{
	struct status st = c->st;
	struct causes causes = { 0 };
	struct bytes *bytes = NULL;

	if (c->ncauses > 0)
		causes_add(&causes, CAUSE_REQUIRED, "spec.a", NULL, "%s", "");
	if (c->ncauses > 1)
		causes_add(&causes, CAUSE_INVALID, "spec.b[0]", "v\"", "no %s", "good");
	if (c->ncauses > 2)
		causes_add(&causes, CAUSE_UNKNOWN, "spec.c", NULL, "%s", "");
	st.causes = c->ncauses ? &causes : NULL;
	if (!causes.failed)
		bytes = status_bytes(&st);
	causes_fini(&causes);
	return bytes;
}

static void golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(bytes_unrefp) struct bytes *bytes = make(&cases[i]);

		assert_non_null(bytes);
		assert_string_equal(bytes->data, cases[i].want);
	}
}

static void success(void **state)
{
	_cleanup_(bytes_unrefp) struct bytes *net = status_success(&kinds[KIND_NETWORK], "n", "u");
	_cleanup_(bytes_unrefp) struct bytes *node = status_success(&kinds[KIND_NODE], "n", NULL);

	(void)state;
	assert_string_equal(net->data, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
			    "\"status\":\"Success\",\"details\":{\"name\":\"n\",\"group\":"
			    "\"podnet.dev\",\"kind\":\"networks\",\"uid\":\"u\"}}");
	assert_string_equal(node->data, "{\"kind\":\"Status\",\"apiVersion\":\"v1\","
	  "\"metadata\":{},"
			    "\"status\":\"Success\",\"details\":{\"name\":\"n\",\"kind\":"
			    "\"nodes\"}}");
}

/* message of a cause by reason, without the text around */
static const struct { enum cause_reason reason; const char *value, *why, *want; } words[] = {
	{ CAUSE_REQUIRED, NULL, "", "Required value" },
	{ CAUSE_REQUIRED, NULL, "why", "Required value: why" },
	{ CAUSE_INVALID, "x", "why", "Invalid value: \"x\": why" },
	{ CAUSE_INVALID, NULL, "why", "Invalid value: why" },
	{ CAUSE_INVALID, "a\nb", "", "Invalid value: \"a\\x0ab\"" },
	{ CAUSE_NOT_SUPPORTED, "x", "supported values: \"A\"",
	  "Unsupported value: \"x\": supported values: \"A\"" },
	{ CAUSE_FORBIDDEN, NULL, "why", "Forbidden: why" },
	{ CAUSE_DUPLICATE, "x", "", "Duplicate value: \"x\"" },
	{ CAUSE_TOO_MANY, "3", "must have at most 2 items", "Too many: 3: must have at most 2 "
	  "items" },
	{ CAUSE_TYPE, "x", "must be an integer", "Invalid value: \"x\": must be an integer" },
	{ CAUSE_UNKNOWN, NULL, "", "unknown field \"f\"" },
};

static void cause_messages(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		causes_add(&causes, words[i].reason, "f", words[i].value, "%s", words[i].why);
		assert_int_equal(causes.n, i + 1);
		assert_string_equal(causes.v[i].message, words[i].want);
	}
	causes_fini(&causes);
}

/* a long value is cut between characters */
static void long_value(void **state)
{
	struct causes causes = { 0 };
	char value[600] = "";

	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
		struct status st = { .code = 422, .reason = "Invalid", .causes = &causes };

		memset(value, 'x', lead);
		for (size_t i = lead; i + 3 < sizeof(value); i += 3)
			memcpy(value + i, "\xe2\x82\xac", 4);
		causes_add(&causes, CAUSE_INVALID, "f", value, "%s", "");
		bytes = status_bytes(&st);
		assert_null(strchr(bytes->data, '?'));
		assert_non_null(strstr(bytes->data, "\xe2\x82\xac...\\\""));
	}
	causes_fini(&causes);
}

static void failing_allocations(void **state)
{
	(void)state;
	json_set_alloc_funcs(malloc, free);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (long k = 1;; k++) {
			_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;

			allocfail_at(k);
			bytes = make(&cases[i]);
			if (!allocfail_hit())
				break;
			assert_null(bytes);
		}
		allocfail_at(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(success),
		cmocka_unit_test(cause_messages),
		cmocka_unit_test(long_value),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
