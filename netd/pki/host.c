/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * host.c - is a Host header one of our names?
 *
 * Room: pure functions on text (RFC 9110, 7.2: a host, or an IPv6 address in brackets, and perhaps a
 * port).  The port is not looked at: it may be that of a forwarder in front of us.
 * May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <arpa/inet.h>
#include <sys/socket.h>

bool host_parse(const char *header, char host[256])
{
	bool brackets = *header == '[';
	const char *start = header + brackets;
	size_t n = strcspn(start, brackets ? "]" : ":");
	const char *rest = start + n;

	if (brackets && *rest++ != ']')
		return false;
	if (!n || n > 255 || (*rest && *rest != ':'))
		return false;
	if (*rest && strspn(rest + 1, "0123456789") != strlen(rest + 1))
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	return true;
}

size_t ip_parse(const char *text, uint8_t ip[16])
{
	if (inet_pton(AF_INET, text, ip) == 1)
		return 4;
	return inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
}

static bool same(const char *a, const char *b)
{
	uint8_t x[16], y[16];
	size_t nx = ip_parse(a, x), ny = ip_parse(b, y);

	if (nx || ny)
		return nx == ny && memcmp(x, y, nx) == 0;
	return strcasecmp(a, b) == 0;
}

bool host_matches(const char *header, const struct pki_names *names, gnutls_x509_crt_t crt)
{
	char host[256];

	if (!header || !host_parse(header, host))
		return false;
	for (size_t i = 0; i < names->n; i++)
		if (same(host, names->v[i]))
			return true;
	return gnutls_x509_crt_check_hostname(crt, host) != 0;
}
