/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_doc.c - any bytes as a document: what parses is written, read again and is the same
 */
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL, *copy = NULL, *patch = NULL, *list = NULL;
	const char *text = (const char *)data;
	char why[160] = "";

	if (doc_parse_list(text, size, &list, why) == 0)
		must(!doc_has(list, "a") && !doc_len(list, "a[0].b"));
	if (doc_parse(text, size, &doc, why) < 0) {
		must(why[0]);
		return 0;
	}
	fuzz_reread(doc);
	copy = doc_copy(doc);
	must(copy && doc_equal(doc, copy));
	must(doc_parse_patch(text, size, &patch, why) == 0);
	must(doc_merge_patch(copy, patch) == 0);
	/* a null takes away what stands there: nothing of it is new */
	must(doc_equal(doc, copy));
	if (doc_set_condition(copy, "status.conditions", "Ready", "True", "R", "M", "T") >= 0)
		must(doc_set_condition(copy, "status.conditions", "Ready", "True", "R", "M", "U") == 0);
	fuzz_reread(copy);
	return 0;
}
