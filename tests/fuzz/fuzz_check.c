/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_check.c - any body as an object of any kind: defaults, check, decode, Status
 *
 * The kind is the one that the body names, else the first byte's.  Invariants: defaults set twice
 * change nothing more, an object is a legal update of itself, and what was checked decodes.
 */
#include <netd/codec/kind.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kind *kind_for(const struct doc *doc, uint8_t byte)
{
	const char *name = doc_str(doc, "kind");

	for (size_t i = 0; name && i < KIND_COUNT; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return &kinds[byte % KIND_COUNT];
}

static void decode(const struct kind *kind, const struct doc *doc)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);
	struct arena arena = { 0 };
	void *model;

	if (!bytes || kind_decode(kind, bytes->data, bytes->len, &arena, &model) < 0)
		abort();
	arena_fini(&arena);
}

static void refuse(const struct kind *kind, const struct causes *causes)
{
	const struct status st = { .code = 422, .reason = "Invalid", .kind = kind, .name = "x",
				   .causes = causes };
	_cleanup_(bytes_unrefp) struct bytes *bytes = status_bytes(&st);

	if (!bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL, *again = NULL;
	struct causes first = { 0 }, update = { 0 };
	const struct kind *kind;
	char why[160];

	if (!size || doc_parse((const char *)data, size, &doc, why) < 0)
		return 0;
	kind = kind_for(doc, data[size / 2]);
	if (kind->defaults(doc) < 0)
		return 0;
	again = doc_copy(doc);
	if (!again || kind->defaults(again) < 0 || !doc_equal(doc, again))
		abort();
	kind_check(kind, doc, NULL, &first);
	kind_check(kind, again, doc, &update);
	if (first.failed || (!first.n && update.n))
		abort();
	kind_check_status(kind, doc, &update);
	refuse(kind, &first);
	decode(kind, doc);
	causes_fini(&first);
	causes_fini(&update);
	return 0;
}
