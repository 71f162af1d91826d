/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * openapi.c - the OpenAPI documents: api/openapi.yaml, and what clients want made of it
 *
 * Room: rest.  Source: API-CONTRACT 3.1.  api/serve.py makes them when netd is built, and tells why
 * they are as they are.  They lie in the binary, are shared by all that run it, and are never copied.
 * May include: http, netd/base.
 */
#include "special.h"

/* A file, taken in by the assembler. */
#define DOCUMENT(name, path, type, file) \
	__asm__(".pushsection .rodata\n" \
		#name "_begin:\n" \
		".incbin \"" file "\"\n" \
		#name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const char name ## _begin[] __attribute__((visibility("hidden"))); \
	extern const char name ## _end[] __attribute__((visibility("hidden")));
#include OPENAPI_DOCUMENTS
#undef DOCUMENT

static const struct document {
	const char *path, *type, *begin, *end;
} documents[] = {
#define DOCUMENT(name, path, type, file) { path, type, name ## _begin, name ## _end },
#include OPENAPI_DOCUMENTS
#undef DOCUMENT
};

bool openapi_handle(struct call *c, const char *path, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		const struct document *d = &documents[i];

		if (strlen(d->path) != len || strncmp(d->path, path, len) != 0)
			continue;
		if (!refuse_method(c))
			http_reply_static(c->req, 200, d->type, d->begin,
					  (size_t)((uintptr_t)d->end - (uintptr_t)d->begin));
		return true;
	}
	return false;
}
