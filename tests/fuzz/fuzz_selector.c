/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_selector.c - any text as labelSelector and as fieldSelector
 */
#include <netd/codec/selector.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct selector sel;
	struct doc *doc = doc_new();
	char *text = strndup((const char *)data, size), why[160];

	if (text && doc) {
		if (selector_parse(&kinds[KIND_POD], text, NULL, &arena, &sel, why) == 0)
			selector_matches(&sel, doc);
		if (selector_parse(&kinds[KIND_POD], NULL, text, &arena, &sel, why) == 0)
			selector_matches(&sel, doc);
	}
	doc_free(doc);
	free(text);
	arena_fini(&arena);
	return 0;
}
