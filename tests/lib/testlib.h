/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * testlib.h - what the suites share: cmocka, a sandbox per row, failing allocations
 */
#ifndef TESTLIB_H
#define TESTLIB_H

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpodnet/base/base.h>
#include <podnet/podnet.h>
#include <stdbool.h>

DEFINE_CLEANUP(struct podnet, podnet_close)
DEFINE_CLEANUP(struct podnet_monitor, podnet_monitor_close)
DEFINE_CLEANUP(struct podnet_set, podnet_set_free)
DEFINE_CLEANUP(struct podnet_plan, podnet_plan_free)
DEFINE_CLEANUP(struct podnet_pool, podnet_pool_free)

/**
 * netns_setup() - cmocka fixture: a fresh network namespace, and a fresh tmpfs on /run
 *
 * The mount namespace is private, so nothing on the host is touched and nothing has to be cleaned:
 * the default directories /run/netns and /run/podnet are this row's alone.  lo is down.
 * Without the rights to do so the program ends with 77 (skipped), or fails when
 * PODNET_TEST_STRICT is set.
 */
int netns_setup(void **state);

/** test_open() - a context of @owner (NULL: the default) in the current namespace; never fails */
struct podnet *test_open(const char *owner);
/** test_ok() - fail the row with the text of @err when @r is negative; returns @r */
int test_ok(int r, const struct podnet_error *err);
/** test_run() - run a program, arguments up to NULL.  Return: its exit status. */
int test_run(const char *program, ...) __attribute__((sentinel));
/** sh() - a line for the shell.  Return: its exit status. */
int sh(const char *command);
/** prefix() - an address or a prefix from its text, NULL: family 0; fails the row when it is none */
struct podnet_prefix prefix(const char *text);

/**
 * allocfail_at() - let the @k-th allocation from now fail (1: the next one), 0: none
 *
 * Counts malloc, calloc, realloc, reallocarray, strdup and strndup as called by code linked
 * statically into the test; those inside libc are not counted.
 */
void allocfail_at(long k);
/** allocfail_hit() - true when the failure has happened; false: fewer than k were made */
bool allocfail_hit(void);

#endif
