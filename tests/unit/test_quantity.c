/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_quantity.c - Kubernetes quantities
 */
#include <lib/testlib.h>
#include <errno.h>
#include <netd/codec/format.h>

static const struct { const char *text; int want; uint64_t value; } cases[] = {
	{ "0", 0, 0 },
	{ "1", 0, 1 },
	{ "+5", 0, 5 },
	{ "007", 0, 7 },
	{ "10M", 0, 10000000 },
	{ "500k", 0, 500000 },
	{ "1G", 0, 1000000000 },
	{ "1T", 0, 1000000000000 },
	{ "1P", 0, 1000000000000000 },
	{ "9E", 0, 9000000000000000000 },
	{ "1Ki", 0, 1024 },
	{ "1Mi", 0, 1048576 },
	{ "3Gi", 0, 3221225472 },
	{ "1Pi", 0, 1125899906842624 },
	{ "7Ei", 0, 8070450532247928832 },
	{ "1.5M", 0, 1500000 },
	{ ".5k", 0, 500 },
	{ "5.k", 0, 5000 },
	{ "0.5Ki", 0, 512 },
	{ "1.0001k", 0, 1001 },
	{ "0.1", 0, 1 },
	{ "1e3", 0, 1000 },
	{ "1E3", 0, 1000 },
	{ "12e-1", 0, 2 },
	{ "3e+6", 0, 3000000 },
	{ "1e-99", 0, 1 },
	{ "0e99", 0, 0 },
	{ "-0", 0, 0 },
	{ "9223372036854775807", -EINVAL, 0 },
	{ "10E", -ERANGE, 0 },
	{ "8Ei", -ERANGE, 0 },
	{ "1e19", -ERANGE, 0 },
	{ "1e99", -ERANGE, 0 },
	{ "-1", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ ".", -EINVAL, 0 },
	{ "M", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ "10m", -EINVAL, 0 },
	{ "10u", -EINVAL, 0 },
	{ "10K", -EINVAL, 0 },
	{ "10ki", -EINVAL, 0 },
	{ "10MB", -EINVAL, 0 },
	{ "10 M", -EINVAL, 0 },
	{ " 10", -EINVAL, 0 },
	{ "1..5", -EINVAL, 0 },
	{ "1.5.5", -EINVAL, 0 },
	{ "1e", -EINVAL, 0 },
	{ "1e+", -EINVAL, 0 },
	{ "1e3k", -EINVAL, 0 },
	{ "1e100", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
	{ "--1", -EINVAL, 0 },
};

static void quantities(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 77;
		int r = quantity_parse(cases[i].text, &v);

		if (r != cases[i].want || v != (r ? 77 : cases[i].value))
			fail_msg("%s: %d, %llu", cases[i].text, r, (unsigned long long)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(quantities) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
