/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_doc.c - any bytes as a document: what parses is written, read again and is the same
 */
#include <netd/codec/doc.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL, *again = NULL, *patch = NULL;
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	char why[160];

	if (doc_parse((const char *)data, size, &doc, why) < 0)
		return 0;
	bytes = doc_bytes(doc);
	if (!bytes || doc_parse(bytes->data, bytes->len, &again, why) < 0 || !doc_equal(doc, again))
		abort();
	if (doc_parse_patch((const char *)data, size, &patch, why) < 0 ||
	    doc_merge_patch(again, patch) < 0 ||
	    doc_set_condition(again, "status.conditions", "Ready", "True", "R", "M", "T") < 0)
		return 0;
	return 0;
}
