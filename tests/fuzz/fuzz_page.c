/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_page.c - any text as a continue token
 *
 * What was understood, written again and read again, says the same.
 */
#include "fuzz.h"

#include <netd/rest/read.h>

static void check(const struct page *page, struct arena *arena)
{
	const char *token = page_token(page, arena);
	struct page again;

	must(token && page_parse(token, arena, &again) == 0);
	must(again.rev == page->rev && strcmp(again.ns, page->ns) == 0 &&
	     strcmp(again.name, page->name) == 0);
}

/* The first byte says whether the rest is a token, or what a token would hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct page page = { .rev = 1, .ns = "" };
	char *text = size ? arena_strndup(&arena, (const char *)data + 1, size - 1) : NULL;

	if (text && data[0] & 1 && page_parse(text, &arena, &page) == 0)
		check(&page, &arena);
	if (text && !(data[0] & 1) && *text && strlen(text) <= 253 && !strchr(text, '/')) {
		page.name = text;
		check(&page, &arena);
	}
	arena_fini(&arena);
	return 0;
}
