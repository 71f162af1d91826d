/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_tape.c - texts as rows of values: finding one's way, many members, memory that is used again
 *
 * What is JSON and what is not stands in test_doc.c: documents are made of these.
 */
#include <lib/testlib.h>
#include <errno.h>
#include <netd/codec/tape.h>
#include <stdio.h>

static const struct value *read_text(struct tape *t, const char *text)
{
	char why[160] = "";

	if (tape_read(t, text, strlen(text), why) < 0)
		fail_msg("%s: %s", text, why);
	return t->v;
}

/* What ends plain letters, after any number of them: the text of it, what is read, NULL: it is refused. */
static const struct special { const char *text, *want; } specials[] = {
	{ "", "" }, { "\\\"", "\"" }, { "\\\\", "\\" }, { "\\u0041", "A" }, { "\xc3\xa9", "\xc3\xa9" },
	{ "\x7f ", "\x7f " }, { "!#[]", "!#[]" }, { "\x1f", NULL }, { "\n", NULL }, { "\xff", NULL },
	{ "\xc3", NULL }, { "\\x", NULL },
};

static void letters(void **state)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz";
	_cleanup_(tape_fini) struct tape t = { 0 };
	char text[128], want[128], why[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++)
		for (int n = 0; n < 2 * 18; n++) {
			const struct special *c = &specials[i];
			int before = n / 2, behind = n % 2 ? 9 : 0;

			snprintf(text, sizeof(text), "\"%.*s%s%.*s\"", before, plain, c->text, behind, plain);
			if (!c->want) {
				assert_int_equal(tape_read(&t, text, strlen(text), why), -EINVAL);
				continue;
			}
			snprintf(want, sizeof(want), "%.*s%s%.*s", before, plain, c->want, behind, plain);
			assert_string_equal(value_text(read_text(&t, text)), want);
			assert_int_equal(tape_read(&t, text, strlen(text) - 1, why), -EINVAL);
		}
}

static void finding(void **state)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	const struct value *v = read_text(&t, "{\"s\":\"x\",\"n\":7,\"big\":-9223372036854775808,"
		"\"r\":7.5,\"t\":true,\"z\":null,\"l\":[1,null,{\"m\":\"y\"}],\"o\":{\"a.b/c\":\"z\"},"
		"\"\":[],\"esc\":\"\\u00e9\\n\\ud83d\\ude00\"}");

	(void)state;
	assert_int_equal(value_len(v), 10);
	assert_string_equal(value_text(value_member(v, "s")), "x");
	assert_int_equal(value_member(v, "n")->integer, 7);
	assert_true(value_member(v, "big")->integer == INT64_MIN);
	assert_true(value_member(v, "r")->real == 7.5);
	assert_true(value_is(value_member(v, "t"), VALUE_TRUE));
	assert_null(value_member(v, "z"));
	assert_null(value_member(v, "none"));
	assert_null(value_member(value_member(v, "s"), "x"));
	assert_null(value_member(NULL, "x"));
	assert_string_equal(value_text(value_at(v, "l[2].m")), "y");
	assert_null(value_at(v, "l[1]"));
	assert_null(value_at(v, "l[3]"));
	assert_null(value_at(v, "l["));
	assert_null(value_text(value_at(v, "l[0]")));
	assert_string_equal(value_text(value_at(v, "o[\"a.b/c\"]")), "z");
	assert_int_equal(value_len(value_member(v, "")), 0);
	assert_null(value_elem(value_member(v, ""), 0));
	assert_string_equal(value_text(value_member(v, "esc")), "\xc3\xa9\n\xf0\x9f\x98\x80");
	assert_int_equal(value_member(v, "esc")->n, 7);
}

static void walking(void **state)
{
	_cleanup_(tape_fini) struct tape t = { 0 };
	const struct value *v = read_text(&t, "[[],{},[[1]],{\"a\":{\"b\":2}},3]"), *elem, *name;
	size_t n = 0;

	(void)state;
	value_each(v, elem)
		n++;
	assert_int_equal(n, 5);
	value_each(NULL, elem)
		fail();
	value_each(value_elem(v, 1), elem)
		fail();
	value_each_member(value_elem(v, 1), name, elem)
		fail();
	value_each_member(value_elem(v, 3), name, elem) {
		assert_string_equal(name->text, "a");
		assert_int_equal(value_member(elem, "b")->integer, 2);
	}
}

/* An object of @n members; the last one is called as @like is. */
static int read_members(struct tape *t, unsigned n, unsigned like, char why[160])
{
	struct buf b = { 0 };
	int r;

	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s\"m%u\":{\"x\":[%u]}", i ? "," : "{", i + 1 < n ? i : like, i);
	buf_str(&b, "}");
	r = tape_read(t, b.data, b.len, why);
	buf_fini(&b);
	return r;
}

/* Each is compared with each in a small object; a large one is sorted. */
static void twice(void **state)
{
	static const unsigned sizes[] = { 2, 3, 63, 64, 65, 66, 200, 20000 };
	_cleanup_(tape_fini) struct tape t = { 0 };
	char why[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned n = sizes[i], likes[] = { 0, (n - 1) / 2, n - 2 };

		assert_int_equal(read_members(&t, n, n - 1, why), 0);
		assert_int_equal(t.v->n, n);
		for (size_t k = 0; k < ARRAY_SIZE(likes); k++) {
			assert_int_equal(read_members(&t, n, likes[k], why), -EINVAL);
			assert_non_null(strstr(why, "duplicate field \"m"));
		}
	}
}

static void used_again(void **state)
{
	static const char *const texts[] = { "{\"a\":1,\"b\":[1,2,3]}", "[", "{\"a\":\"\\x\"}", "7" };
	_cleanup_(tape_fini) struct tape t = { 0 };
	char why[160];

	(void)state;
	for (size_t i = 0; i < 3 * ARRAY_SIZE(texts); i++)
		tape_read(&t, texts[i % ARRAY_SIZE(texts)], strlen(texts[i % ARRAY_SIZE(texts)]), why);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.v->integer, 7);
	assert_int_equal(read_members(&t, 5000, 4999, why), 0);
	assert_int_equal(value_len(read_text(&t, "[1,2]")), 2);
}

static void failing_allocations(void **state)
{
	struct buf b = { 0 };
	char why[160];

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		buf_printf(&b, "%s\"m%u\":[\"\\n\"]", i ? "," : "{", i);
	buf_str(&b, "}");
	for (long k = 1;; k++) {
		_cleanup_(tape_fini) struct tape t = { 0 };
		int r;

		read_text(&t, "{}");
		allocfail_at(k);
		r = tape_read(&t, b.data, b.len, why);
		if (!allocfail_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(why, "out of memory");
	}
	allocfail_at(0);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters),
		cmocka_unit_test(finding),
		cmocka_unit_test(walking),
		cmocka_unit_test(twice),
		cmocka_unit_test(used_again),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
