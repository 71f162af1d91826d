/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * allocfail.c - the k-th allocation fails
 *
 * Room: tests only; linked with -Wl,--wrap, so that libc and the sanitizers keep their own.
 */
#include "testlib.h"

#include <errno.h>

/* the hooks have no argument to carry state in, hence these two */
static long countdown;
static bool hit;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void allocfail_at(long k)
{
	__atomic_store_n(&hit, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&countdown, k, __ATOMIC_SEQ_CST);
}

bool allocfail_hit(void)
{
	return __atomic_load_n(&hit, __ATOMIC_SEQ_CST);
}

static bool now(void)
{
	if (__atomic_load_n(&countdown, __ATOMIC_SEQ_CST) <= 0 ||
	    __atomic_sub_fetch(&countdown, 1, __ATOMIC_SEQ_CST) != 0)
		return false;
	__atomic_store_n(&hit, true, __ATOMIC_SEQ_CST);
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return now() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return now() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return now() ? NULL : __real_strndup(s, n);
}
