/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * golden_set.h - a compiled set against its golden file
 */
#ifndef TESTS_GOLDEN_SET_H
#define TESTS_GOLDEN_SET_H

#include <errno.h>
#include <stdio.h>
#include <tests/lib/testlib.h>

/* Compares @set with the golden file, or writes it. */
static void golden(const char *name, const struct podnet_set *set, const struct podnet_nat *nat)
{
	_cleanup_free_ char *text = NULL, *want = NULL;
	char path[256], buf[PODNET_PREFIX_STRLEN];
	size_t size = 0, len;
	FILE *out = open_memstream(&text, &size), *file;

	assert_non_null(out);
	podnet_set_print(set, out);
	for (size_t i = 0; nat && i < nat->ninside; i++)
		fprintf(out, "nat inside %s\n", podnet_prefix_format(&nat->inside[i], buf));
	for (size_t i = 0; nat && i < nat->nmasquerade; i++)
		fprintf(out, "nat masquerade %s\n", podnet_prefix_format(&nat->masquerade[i], buf));
	fclose(out);
	snprintf(path, sizeof(path), "tests/golden/compile/%s.plan", name);
	if (getenv("PODNET_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(text, 1, size, file), size);
		fclose(file);
	}
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	want = calloc(1, 65536);
	assert_non_null(want);
	len = fread(want, 1, 65535, file);
	fclose(file);
	want[len] = '\0';
	assert_string_equal(text, want);
}

#endif
