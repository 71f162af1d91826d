/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.c - no TLS: keep GnuTLS asleep
 *
 * Room: libmicrohttpd is linked with GnuTLS and starts it when the process does, which touches
 * memory of it, of p11-kit and of nettle that is never used here: the API is a Unix socket only.
 * GnuTLS offers the first function for its own constructor; the second one is what libmicrohttpd's
 * constructor calls.  netd's CMakeLists.txt exports both.  May include: libc.
 */
__attribute__((visibility("default"))) int _gnutls_global_init_skip(void);
__attribute__((visibility("default"))) int gnutls_global_init(void);

int _gnutls_global_init_skip(void)
{
	return 1;
}

int gnutls_global_init(void)
{
	return 0;
}
