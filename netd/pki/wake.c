/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wake.c - GnuTLS sleeps until somebody wants TLS
 *
 * Room: libmicrohttpd is linked with GnuTLS and starts it when the process starts, which costs a
 * netd with Unix sockets alone some 0.9 MiB of private memory.  GnuTLS has a switch against its
 * own constructor, GNUTLS_SKIP_GLOBAL_INIT, and none against libmicrohttpd's, which calls
 * gnutls_global_init(): so the program has a function of that name, which comes first and does
 * nothing, and wake() calls the one behind it.  Whatever else uses GnuTLS in this process, a
 * libcurl for instance, must come after wake() too.  May include: gnutls, libc.
 */
#include "inner.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

__attribute__((visibility("default")))
GNUTLS_SKIP_GLOBAL_INIT

__attribute__((visibility("default"))) int gnutls_global_init(void)
{
	return 0;
}

int pki_wake(char why[256])
{
	return wake(why);
}

int wake(char why[256])
{
	int (*start)(void) = (int (*)(void))dlsym(RTLD_NEXT, "gnutls_global_init");

	if (start)
		return tls_failed(start(), "GnuTLS", why);
	snprintf(why, 256, "GnuTLS is not there");
	return -ENOSYS;
}
