/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_protobuf.c - any bytes as the body of a Namespace or a Service: what is read is a document
 * that is written, read again and is the same
 */
#include <netd/codec/protobuf.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct kind service = { .group = "", .version = "v1", .name = "Service" };
	const struct kind *kind = size % 2 ? &service : &kinds[KIND_NAMESPACE];
	_cleanup_(doc_freep) struct doc *doc = NULL, *again = NULL;
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	char why[160] = "";

	if (protobuf_parse(kind, (const char *)data, size, &doc, why) < 0) {
		if (!why[0])
			abort();
		return 0;
	}
	bytes = doc_bytes(doc);
	if (!bytes || doc_parse(bytes->data, bytes->len, &again, why) < 0 || !doc_equal(doc, again))
		abort();
	return 0;
}
