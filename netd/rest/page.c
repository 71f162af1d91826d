/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * page.c - continue tokens
 *
 * Room: rest; pure.  A token is base64url (RFC 4648, 5) of "revision/namespace/name": the revision of
 * the snapshot, and the last object that was sent of it.  May include: netd/base.
 */
#include "read.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* a revision, a namespace, a name, two slashes; longer is none of ours */
#define TOKEN_MAX ((20 + 63 + 253 + 2) * 4 / 3 + 4)

const char *page_token(const struct page *page, struct arena *arena)
{
	const char *text = arena_printf(arena, "%" PRIu64 "/%s/%s", page->rev, page->ns, page->name);
	size_t len = text ? strlen(text) : 0, n = 0;
	char *token = arena_alloc(arena, len * 4 / 3 + 4);
	uint32_t bits = 0;
	unsigned have = 0;

	if (!text || !token)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | (uint8_t)text[i];
		for (have += 8; have >= 6; have -= 6)
			token[n++] = digits[bits >> (have - 6) & 63];
	}
	if (have)
		token[n++] = digits[bits << (6 - have) & 63];
	return token;
}

static int decode(const char *token, char *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (; *token; token++) {
		const char *at = strchr(digits, *token);

		if (!at)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(at - digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		out[n++] = (char)(bits >> have);
		if (!out[n - 1])
			return -EINVAL;
	}
	out[n] = '\0';
	return have < 6 && !(bits & ((1u << have) - 1)) ? 0 : -EINVAL;
}

int page_parse(const char *token, struct arena *arena, struct page *ret)
{
	size_t len = strlen(token);
	char *text, *name, *ns, *end;
	uint64_t rev;

	if (len > TOKEN_MAX)
		return -EINVAL;
	text = arena_alloc(arena, len + 1);
	if (!text)
		return -ENOMEM;
	if (decode(token, text) < 0 || !isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	rev = strtoull(text, &end, 10);
	if (errno || *end != '/' || !rev)
		return -EINVAL;
	ns = end + 1;
	name = strchr(ns, '/');
	if (!name || !name[1] || strchr(name + 1, '/'))
		return -EINVAL;
	*name = '\0';
	*ret = (struct page){ .rev = rev, .ns = ns, .name = name + 1 };
	return 0;
}
