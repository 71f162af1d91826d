/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * utf8.c - what is UTF-8 and what is not
 *
 * Room (codec): RFC 3629.  May include: netd/base, jansson.
 */
#include <netd/codec/json.h>
#include <netd/codec/utf8.h>

/* length of the sequence at @s, 0: it is none; what follows @s must end it */
static size_t sequence(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		   s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

size_t utf8_here(const char *p, const char *end)
{
	unsigned char here[5] = { 0 };

	memcpy(here, p, end - p < 4 ? (size_t)(end - p) : 4);
	return sequence(here);
}

bool json_utf8(const unsigned char *s, size_t len)
{
	const char *p = (const char *)s, *end = p + len;

	while (p < end) {
		size_t n = utf8_here(p, end);

		if (!n)
			return false;
		p += n;
	}
	return true;
}

json_t *json_text(const char *s)
{
	_cleanup_free_ char *plain = NULL;
	size_t at = 0, n;

	while (s[at] && (n = sequence((const unsigned char *)s + at)))
		at += n;
	if (!s[at])
		return json_stringn_nocheck(s, at);
	plain = strdup(s);
	if (!plain)
		return NULL;
	for (char *p = plain; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string_nocheck(plain);
}
