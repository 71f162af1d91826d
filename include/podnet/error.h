/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/error.h - why a call failed
 *
 * Every function that can fail returns 0 (or a count) or a negative errno, and takes a caller-owned
 * struct podnet_error as its last parameter, which may be NULL.
 */
#ifndef PODNET_ERROR_H
#define PODNET_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_API __attribute__((visibility("default")))

/** Why a call failed.  Caller-owned, written on failure only; reporting allocates nothing. */
struct podnet_error {
	int         code;           /* negative errno, the number the call returned */
	const char *step;           /* static text: what was being done, "veth_create" */
	const char *field;          /* static text: member of the spec at fault, or NULL */
	char        object[96];     /* which object, as the plan prints it, or "" */
	char        kernel[128];    /* the kernel's own words (extended ack), or "" */
	const char *why;            /* static text: ours, where the kernel was not asked, or NULL */
};

/**
 * podnet_error_text() - one line for people: "addr_add 10.0.0.1/32 dev eth0: prefix: Invalid
 * argument (kernel: ...)", or "(...)" with the reason that is ours
 * @buf: receives at most @size bytes, always terminated
 *
 * Return: the length of the whole text, as snprintf(3).
 */
PODNET_API int podnet_error_text(const struct podnet_error *err, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
