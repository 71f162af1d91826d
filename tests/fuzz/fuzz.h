/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz.h - what the fuzzers share: how one is called, what must hold, a line at a time
 *
 * Room: tests/fuzz.  A fuzzer is one function over bytes; libFuzzer calls it with what it thinks of
 * (cmake -DPODNET_FUZZ=ON), replay.c with what stands in corpus/.  What must hold is said by must().
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <netd/base/base.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what) do { \
	if (!(what)) { \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
		abort(); \
	} \
} while (0)

/** fuzz_line() - the next line, without its end, as text up to a NUL in it; NULL: nothing is left */
static inline char *fuzz_line(const char **data, size_t *size, struct arena *arena)
{
	const char *begin = *data, *end;
	size_t len;

	if (!*size)
		return NULL;
	end = memchr(begin, '\n', *size);
	len = end ? (size_t)(end - begin) : *size;
	*data = begin + len + (end != NULL);
	*size -= len + (end != NULL);
	return arena_strndup(arena, begin, len);
}

#endif
