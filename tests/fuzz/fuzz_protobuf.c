/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_protobuf.c - any bytes as the body of each kind that can be in that form
 *
 * What is read is a document that is written, read again and is the same, and that can be checked.
 */
#include "json.h"

#include <netd/codec/protobuf.h>

static void parse(const struct kind *kind, const char *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct causes causes = { 0 };
	char why[160] = "";

	if (protobuf_parse(kind, data, size, &doc, why) < 0) {
		must(why[0]);
		return;
	}
	fuzz_reread(doc);
	if (kind->defaults(doc) == 0)
		kind_check(kind, doc, NULL, &causes);
	must(!causes.failed);
	causes_fini(&causes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (protobuf_knows(&kinds[i]))
			parse(&kinds[i], (const char *)data, size);
	return 0;
}
