/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patch.h - any bytes as a target and a patch, one line each
 *
 * Without a second line the text is the patch of a small Pod; a target says of which kind it is.
 * What a patch makes is written, read again and is the same; what it refuses, it refuses with words.
 */
#ifndef FUZZ_PATCH_H
#define FUZZ_PATCH_H

#include "json.h"

#include <errno.h>
#include <netd/codec/patch.h>

/* A merge patch says what is so afterwards, so once more changes nothing (RFC 7386). */
static inline void fuzz_patch_again(const struct kind *kind, struct doc *doc,
				    const struct doc *patch)
{
	_cleanup_(doc_freep) struct doc *once = doc_copy(doc);
	char why[160] = "";

	must(once && patch_apply(PATCH_MERGE, kind, doc, patch, why) == 0);
	must(doc_equal(doc, once));
}

static inline int fuzz_patch(enum patch_type type, const char *data, size_t size)
{
	static const char pod[] = "{\"metadata\":{\"finalizers\":[\"a\"],\"ownerReferences\":[{\"uid\""
		":\"1\"}]},\"spec\":{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80}]}]}}";
	const char *line = memchr(data, '\n', size), *text = line ? line + 1 : data;
	_cleanup_(doc_freep) struct doc *doc = NULL, *patch = NULL;
	const struct kind *kind;
	char why[160] = "";
	int r;

	r = line ? doc_parse(data, (size_t)(line - data), &doc, why)
		 : doc_parse(pod, sizeof(pod) - 1, &doc, why);
	if (r < 0 || patch_parse(type, text, size - (size_t)(text - data), &patch, why) < 0)
		return 0;
	kind = kind_stored(fuzz_kind(doc, KIND_POD));
	r = patch_apply(type, kind, doc, patch, why);
	if (r < 0) {
		must(why[0] && (r == -EINVAL || r == -ENOENT || r == -E2BIG));
		return 0;
	}
	fuzz_reread(doc);
	if (type == PATCH_MERGE)
		fuzz_patch_again(kind, doc, patch);
	return 0;
}

#endif
