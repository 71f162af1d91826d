/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_base.c - arenas, buffers, maps, times, ids, quoting of netd/base
 */
#include "lib/testlib.h"

#include <errno.h>
#include <netd/base/base.h>
#include <netd/base/log.h>
#include <stdio.h>

static const struct time_case {
	const char *text;
	int want;
	int64_t s;
} times[] = {
	{ "1970-01-01T00:00:00Z", 0, 0 },
	{ "2006-01-02T15:04:05Z", 0, 1136214245 },
	{ "2006-01-02t15:04:05z", 0, 1136214245 },
	{ "0001-01-01T03:04:03+03:00", 0, -62135596557 },
	{ "0001-01-01T03:04:03+05:00", -EINVAL, 0 },
	{ "9999-12-31T23:59:59-01:00", -EINVAL, 0 },
	{ "2006-01-02T15:04:05+00:00", 0, 1136214245 },
	{ "2006-01-02T15:04:05.999999999Z", 0, 1136214245 },
	{ "2006-01-02T17:04:05+02:00", 0, 1136214245 },
	{ "2006-01-02T14:34:05-00:30", 0, 1136214245 },
	{ "2024-02-29T00:00:00Z", 0, 1709164800 },
	{ "2023-02-29T00:00:00Z", -EINVAL, 0 },
	{ "2100-02-29T00:00:00Z", -EINVAL, 0 },
	{ "2006-13-02T15:04:05Z", -EINVAL, 0 },
	{ "2006-01-02T24:04:05Z", -EINVAL, 0 },
	{ "2006-01-02T15:04:05", -EINVAL, 0 },
	{ "2006-01-02T15:04:05.Z", -EINVAL, 0 },
	{ "2006-01-02T15:04:05Zx", -EINVAL, 0 },
	{ "2006-01-02T15:04:05+0200", -EINVAL, 0 },
	{ "2006-01-02 15:04:05Z", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
};

static void time_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		int64_t s = -7;

		assert_int_equal(time_parse(times[i].text, &s), times[i].want);
		assert_int_equal(s, times[i].want ? -7 : times[i].s);
	}
}

/* Each day of 0001 to 9999, as gmtime(3) has it. */
static void time_days(void **state)
{
	(void)state;
	for (int64_t s = -62135596800; s < 253402300800; s += 86399) {
		char text[24];
		int64_t back;

		time_format(s, text);
		if (time_parse(text, &back) < 0 || back != s)
			fail_msg("%s: %lld is not %lld", text, (long long)back, (long long)s);
	}
}

static const struct { int64_t s; const char *want; } formats[] = {
	{ 0, "1970-01-01T00:00:00Z" },
	{ 1136214245, "2006-01-02T15:04:05Z" },
	{ -1, "1969-12-31T23:59:59Z" },
	{ INT64_MAX, "9999-12-31T23:59:59Z" },
	{ INT64_MIN, "0001-01-01T00:00:00Z" },
};

static void time_formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		char text[24];

		time_format(formats[i].s, text);
		assert_string_equal(text, formats[i].want);
	}
}

static void arena_memory(void **state)
{
	struct arena a = { 0 };
	char *first = NULL;

	(void)state;
	for (size_t size = 0; size < 5000; size += 7) {
		char *p = arena_alloc(&a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 8, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0x55, size);
		if (size == 7)
			first = p;
	}
	assert_int_equal(first[6], 0x55);
	assert_string_equal(arena_strdup(&a, "text"), "text");
	assert_string_equal(arena_strndup(&a, "text", 2), "te");
	assert_string_equal(arena_printf(&a, "%s/%d", "a", 7), "a/7");
	assert_null(arena_strdup(&a, NULL));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_fini(&a);
	assert_null(a.chunk);
}

/* What is large has a chunk of its own, and the small chunk is used on. */
static void arena_waste(void **state)
{
	struct arena a = { 0 };
	char *small = arena_alloc(&a, 8), *large = arena_alloc(&a, 100000);

	(void)state;
	assert_non_null(large);
	assert_ptr_equal(arena_alloc(&a, 8), small + 8);
	arena_fini(&a);
}

static void bytes_and_buffers(void **state)
{
	struct buf b = { 0 };
	struct bytes *y;

	(void)state;
	y = buf_bytes(&b);
	assert_int_equal(y->len, 0);
	assert_string_equal(y->data, "");
	bytes_unref(y);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	buf_str(&b, "end");
	buf_add(&b, "\0x", 2);
	y = buf_bytes(&b);
	assert_int_equal(y->len, 10 + 90 * 2 + 900 * 3 + 1000 + 3 + 2);
	assert_memory_equal(y->data + y->len - 5, "end\0x", 6);
	assert_ptr_equal(bytes_ref(y), y);
	bytes_unref(y);
	assert_int_equal(y->data[0], '0');
	bytes_unref(y);
	buf_fini(&b);
	buf_room(&b, 10);
	buf_str(&b, "123456789");       /* with its end it fits */
	assert_int_equal(b.cap, 10);
	buf_room(&b, 5);
	buf_str(&b, "0");
	assert_string_equal(b.data, "1234567890");
	buf_fini(&b);
	b.failed = true;
	buf_str(&b, "x");
	assert_null(buf_bytes(&b));
	bytes_unref(NULL);
}

/* Against an array: random puts and removals of few keys, so that runs form and are closed. */
static void map_against_array(void **state)
{
	static char keys[200][8];
	void *model[200] = { 0 };
	struct map m = { 0 };
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
	assert_null(map_get(&m, "key1"));
	assert_null(map_del(&m, "key1"));
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand_r(&seed) % 200;

		if (rand_r(&seed) % 2) {
			model[i] = &model[rand_r(&seed) % 200];
			assert_int_equal(map_put(&m, keys[i], model[i]), 0);
			assert_int_equal(map_add(&m, keys[i], &m), -EEXIST);
		} else if (!model[i]) {
			model[i] = &model[i];
			assert_int_equal(map_add(&m, keys[i], model[i]), 0);
		} else {
			assert_ptr_equal(map_del(&m, keys[i]), model[i]);
			model[i] = NULL;
		}
		i = (size_t)rand_r(&seed) % 200;
		assert_ptr_equal(map_get(&m, keys[i]), model[i]);
	}
	for (size_t i = 0; i < 200; i++)
		assert_ptr_equal(map_get(&m, keys[i]), model[i]);
	map_fini(&m);
}

static void map_iterates(void **state)
{
	static const char *const keys[] = { "a", "b", "c", "", "a longer key than eight bytes" };
	struct map m = { 0 };
	size_t pos = 0, seen = 0;
	const char *value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(map_put(&m, keys[i], (void *)(uintptr_t)keys[i]), 0);
	while ((value = map_next(&m, &pos))) {
		assert_ptr_equal(map_get(&m, value), value);
		seen++;
	}
	assert_int_equal(seen, ARRAY_SIZE(keys));
	assert_int_equal(m.n, ARRAY_SIZE(keys));
	map_fini(&m);
}

/* More than are drawn at a time, each another one. */
static void many_uuids(void)
{
	struct uuids from = { .left = 0 };
	char made[50][37];

	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		uuid_next(&from, made[i]);
		assert_int_equal(strlen(made[i]), 36);
		assert_int_equal(made[i][14], '4');
		assert_non_null(strchr("89ab", made[i][19]));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(made[i], made[k]);
	}
}

static void uuids(void **state)
{
	char a[37], b[37];

	(void)state;
	uuid_make(a);
	uuid_make(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	many_uuids();
}

static const struct { const char *text, *want; } quotes[] = {
	{ "plain", "\"plain\"" },
	{ "two words", "\"two words\"" },
	{ "say \"hi\" \\", "\"say \\\"hi\\\" \\\\\"" },
	{ "line\nend\x7f", "\"line\\x0aend\\x7f\"" },
	{ "csi \xc2\x9b", "\"csi \\xc2\\x9b\"" },
	{ "0123456789012345678901234567890123456789", "\"0123456789012345678901234\"" },
};

static void log_texts(void **state)
{
	enum log_level level = LOG_LEVEL_ERROR;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(quotes); i++) {
		char buf[32];

		assert_string_equal(log_quote(quotes[i].text, buf, sizeof(buf)), quotes[i].want);
	}
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_texts), cmocka_unit_test(time_days),
		cmocka_unit_test(time_formats),
		cmocka_unit_test(arena_memory), cmocka_unit_test(arena_waste),
		cmocka_unit_test(bytes_and_buffers), cmocka_unit_test(map_against_array),
		cmocka_unit_test(map_iterates), cmocka_unit_test(uuids),
		cmocka_unit_test(log_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
