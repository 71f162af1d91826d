/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.c - base64 (RFC 4648, 4) as the gateway writes bytes
 *
 * Room: cluster; pure.  May include: netd/base.
 */
#include "inner.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void put_base64(struct buf *out, const char *data, size_t len)
{
	const unsigned char *in = (const unsigned char *)data;
	char piece[256];
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned v = (unsigned)in[i] << 16 | (left > 1 ? in[i + 1] << 8 : 0) |
			     (left > 2 ? in[i + 2] : 0);

		piece[n++] = letters[v >> 18];
		piece[n++] = letters[v >> 12 & 63];
		piece[n++] = left > 1 ? letters[v >> 6 & 63] : '=';
		piece[n++] = left > 2 ? letters[v & 63] : '=';
		if (n == sizeof(piece)) {
			buf_add(out, piece, n);
			n = 0;
		}
	}
	buf_add(out, piece, n);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *take_base64(struct arena *arena, const char *text, size_t *len)
{
	size_t n = strlen(text), have = 0;
	char *out = n % 4 ? NULL : arena_alloc(arena, n / 4 * 3 + 1);
	unsigned v = 0;

	*len = 0;
	while (out && n && text[n - 1] == '=' && have++ < 2)
		n--;
	for (size_t i = 0; out && i < n; i++) {
		int digit = value_of(text[i]);

		if (digit < 0)
			return NULL;
		v = v << 6 | (unsigned)digit;
		if (i % 4)
			out[(*len)++] = (char)(v >> (6 - 2 * (i % 4)));
	}
	return out;
}
