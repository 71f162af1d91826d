/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * told.h - what a callback was told, as one line of text that a row can be compared with
 */
#ifndef TESTS_TOLD_H
#define TESTS_TOLD_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct told {
	char text[4096];
};

static void add(struct told *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct told *t, const char *fmt, ...)
{
	size_t n = strlen(t->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->text + n, sizeof(t->text) - n, fmt, ap);
	va_end(ap);
}

#endif
