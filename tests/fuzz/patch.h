/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patch.h - any bytes as a target and a patch, one line each
 *
 * Without a second line the text is the patch of a small Pod.  What a patch makes is written, read
 * again and is the same; what it refuses, it refuses with words.
 */
#ifndef FUZZ_PATCH_H
#define FUZZ_PATCH_H

#include <netd/codec/patch.h>
#include <stdlib.h>

static inline void fuzz_reread(const struct doc *doc)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);
	_cleanup_(doc_freep) struct doc *again = NULL;
	char why[160];

	if (!bytes || doc_parse(bytes->data, bytes->len, &again, why) < 0 ||
	    !doc_equal(doc, again))
		abort();
}

static inline int fuzz_patch(enum patch_type type, const char *data, size_t size)
{
	static const char pod[] = "{\"metadata\":{\"finalizers\":[\"a\"],\"ownerReferences\":[{\"uid\""
		":\"1\"}]},\"spec\":{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80}]}]}}";
	const char *line = memchr(data, '\n', size), *text = line ? line + 1 : data;
	_cleanup_(doc_freep) struct doc *doc = NULL, *patch = NULL;
	char why[160] = "";
	int r;

	r = line ? doc_parse(data, (size_t)(line - data), &doc, why)
		 : doc_parse(pod, sizeof(pod) - 1, &doc, why);
	if (r < 0 || patch_parse(type, text, size - (size_t)(text - data), &patch, why) < 0)
		return 0;
	r = patch_apply(type, &kinds[KIND_POD], doc, patch, why);
	if (r == 0)
		fuzz_reread(doc);
	else if (!why[0])
		abort();
	return 0;
}

#endif
