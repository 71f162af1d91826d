/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_probe_http.c - the texts of a probe by HTTP
 */
#include <errno.h>
#include <lib/testlib.h>
#include <netd/control/probe.h>

static const struct {
	const char *at, *location;
	enum probe_follow follows;
	const char *to;             /* with "(relative)" before it, if it is */
} rows[] = {
	{ "/a/b?c", "d", FOLLOW_IT, "(relative)http://10.0.0.1:80/a/d" },
	{ "/a/b?c=/x", "?d", FOLLOW_IT, "(relative)http://10.0.0.1:80/a/b?d" },
	{ "/a/b", "/d?e#f", FOLLOW_IT, "(relative)http://10.0.0.1:80/d?e" },
	{ "/a/b", "d e", FOLLOW_IT, "(relative)http://10.0.0.1:80/a/d%20e" },
	{ "/", "http://10.0.0.1/x", FOLLOW_IT, "http://10.0.0.1:80/x" },
	{ "/", "HTTP://u:p@10.0.0.1:8080?y", FOLLOW_IT, "http://10.0.0.1:8080/?y" },
	{ "/", "//10.0.0.1:81", FOLLOW_IT, "http://10.0.0.1:81/" },
	{ "/", "http://10.0.0.2/", FOLLOW_NOT, NULL },
	{ "/", "http://10.0.0.1.example.org/", FOLLOW_NOT, NULL },
	{ "/", "http://[::1]:8080/", FOLLOW_NOT, NULL },
	{ "/", "https://10.0.0.1/", FOLLOW_NOT, NULL },
	{ "/", "javascript:x", FOLLOW_NOT, NULL },
	{ "/", "http://10.0.0.1:0/", FOLLOW_FAILED, NULL },
	{ "/", "http://10.0.0.1:65536/", FOLLOW_FAILED, NULL },
	{ "/", "http:///x", FOLLOW_FAILED, NULL },
	{ "/", "http:x", FOLLOW_FAILED, NULL },
	{ "/", "http://", FOLLOW_FAILED, NULL },
};

static void following(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe_url from = { .host = "10.0.0.1", .port = 80 }, to = { 0 };
		char text[256] = "(relative)";
		bool relative = false;
		enum probe_follow got;

		assert_int_equal(probe_url_set(&from, rows[i].at), 0);
		got = probe_url_follow(&from, rows[i].location, strlen(rows[i].location), &to,
				       &relative);
		if (got != rows[i].follows)
			fail_msg("%s: %d", rows[i].location, got);
		if (got == FOLLOW_IT) {
			probe_url_text(&to, text + (relative ? 10 : 0), 200);
			assert_string_equal(text, rows[i].to);
			free(to.target);
		}
		free(from.target);
	}
}

static const struct {
	const char *text;
	ssize_t length;             /* of the head */
	unsigned code;
	int64_t body;
	const char *location;
} answers[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nx", 39, 200, 12, NULL },
	{ "HTTP/1.0 404\n\nx", 14, 404, -1, NULL },
	{ "HTTP/1.1 302 \r\nLOCATION:\t/a b \r\n\r\n", 34, 302, -1, "/a b" },
	{ "HTTP/1.1 302 x\r\nLocation:\r\n\r\n", 29, 302, -1, NULL },
	{ "HTTP/1.1 100 \r\n\r\nHTTP/1.1 204 \r\n\r\n", 34, 204, -1, NULL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n", 0, 0, 0, NULL },
	{ "HTTP/1.1 200 OK", 0, 0, 0, NULL },
	{ "", 0, 0, 0, NULL },
	{ "\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 20 OK\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 2000\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 099 x\r\n", -EINVAL, 0, 0, NULL },
	{ "ICY 200 OK\r\n\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 200 OK\r\nno colon\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", -EINVAL, 0, 0, NULL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n", -EINVAL, 0, 0, NULL },
};

static void reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct probe_answer a;
		const char *text = answers[i].text, *location = answers[i].location;
		ssize_t got = probe_answer_read(text, strlen(text), &a);

		if (got != answers[i].length)
			fail_msg("%s: %zd", text, got);
		if (got <= 0)
			continue;
		assert_int_equal(a.code, answers[i].code);
		assert_int_equal(a.length, answers[i].body);
		assert_int_equal(a.location_len, location ? strlen(location) : 0);
		if (location)
			assert_memory_equal(a.location, location, strlen(location));
		for (ssize_t cut = 0; cut < got; cut++)         /* in pieces it is the same */
			assert_int_equal(probe_answer_read(text, (size_t)cut, &a), 0);
	}
}

static void asking(void **state)
{
	struct probe_header headers[] = { { "Connection", "keep-alive" }, { "Accept", NULL },
					  { "X", "a\r\nGET / HTTP/1.1" } };
	struct probe probe = { .headers = headers, .nheaders = 2 };
	struct probe_url url = { .host = "fd00::1", .port = 8080 };
	struct buf out = { 0 };
	const char *bad = NULL;

	(void)state;
	assert_int_equal(probe_url_set(&url, "a\r\nHost: x"), 0);
	assert_int_equal(probe_request(&probe, &url, true, &out, &bad), 0);
	buf_add(&out, "", 1);
	assert_string_equal(out.data, "GET /a%0D%0AHost:%20x HTTP/1.1\r\nHost: [fd00::1]:8080\r\n"
			    "User-Agent: kube-probe/1.30\r\nAccept: \r\nConnection: close\r\n\r\n");
	out.len = 0;
	probe.nheaders = 3;
	assert_int_equal(probe_request(&probe, &url, true, &out, &bad), -EINVAL);
	assert_string_equal(bad, "X");
	buf_fini(&out);
	free(url.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(following),
		cmocka_unit_test(reading),
		cmocka_unit_test(asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
