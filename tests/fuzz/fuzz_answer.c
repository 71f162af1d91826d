/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_answer.c - any bytes as the answer to a probe, which a pod may send
 *
 * Nothing beside it is read, the location lies in it, and where it leads to is the same host and can
 * stand in a request.
 */
#include "fuzz.h"

#include <netd/control/probe.h>

static void follow(const struct probe_answer *a)
{
	static const struct probe probe;
	struct probe_url from = { .host = "10.0.0.1", .port = 80 }, to;
	const char *bad = "";
	struct buf out = { 0 };
	bool relative;

	if (probe_url_set(&from, "/a/b?c") < 0)
		return;
	if (probe_url_follow(&from, a->location, a->location_len, &to, &relative) == FOLLOW_IT) {
		must(strcmp(to.host, from.host) == 0 && to.port && to.target[0] == '/');
		for (const char *c = to.target; *c; c++)
			must(*c > ' ' && *c < 0x7f);
		must(probe_request(&probe, &to, relative, &out, &bad) == 0);
		free(to.target);
	}
	buf_fini(&out);
	free(from.target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probe_answer a;
	char *copy = malloc(size ? size : 1);
	ssize_t n;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	n = probe_answer_read(copy, size, &a);
	must(n <= (ssize_t)size);
	if (n > 0) {
		must(a.code >= 200 && a.length >= -1);
		must(!a.location || (a.location >= copy && a.location + a.location_len <= copy + n));
	}
	if (n > 0 && a.location)
		follow(&a);
	free(copy);
	return 0;
}
