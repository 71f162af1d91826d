/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - what must hold of every document that is written, and which kind one is of
 */
#ifndef FUZZ_JSON_H
#define FUZZ_JSON_H

#include "fuzz.h"

#include <netd/codec/kind.h>

/** fuzz_parse() - bytes of ours: they are a document, or a fault */
static inline struct doc *fuzz_parse(const char *text, size_t len)
{
	struct doc *doc = NULL;
	char why[160] = "";

	if (doc_parse(text, len, &doc, why) < 0)
		fprintf(stderr, "%s: %.*s\n", why, (int)len, text);
	must(doc);
	return doc;
}

/** fuzz_reread() - what is written is read again and is the same */
static inline void fuzz_reread(const struct doc *doc)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);
	_cleanup_(doc_freep) struct doc *again = NULL;

	must(bytes);
	again = fuzz_parse(bytes->data, bytes->len);
	must(doc_equal(doc, again));
}

/** fuzz_kind() - the row that a document says it is of, else the one that @byte chooses */
static inline const struct kind *fuzz_kind(const struct doc *doc, uint8_t byte)
{
	const char *name = doc_str(doc, "kind"), *version = doc_str(doc, "apiVersion");
	const struct kind *found = NULL;
	char api[64];

	for (size_t i = 0; name && i < KIND_SERVED; i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		if (!found || (version && strcmp(kind_api_version(&kinds[i], api), version) == 0))
			found = &kinds[i];
	}
	return found ? found : &kinds[byte % KIND_SERVED];
}

#endif
