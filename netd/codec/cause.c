/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cause.c - what is wrong with a value of a document, told with the value
 *
 * Room (codec).  May include: model (causes), netd/base, jansson.
 */
#include <netd/codec/json.h>
#include <netd/codec/meta.h>
#include <stdio.h>

#define WHY_MAX 512

static void add(struct causes *c, enum cause_reason reason, const char *field, const json_t *v,
		const char *why)
{
	struct buf b = { 0 };

	if (!v || json_is_string(v)) {
		causes_add(c, reason, field, json_string_value(v), "%s", why);
		return;
	}
	json_dump_buf(v, &b);
	buf_add(&b, "", 1);
	if (b.failed)
		c->failed = true;
	else
		causes_add_bare(c, reason, field, b.data, "%s", why);
	buf_fini(&b);
}

void json_cause(struct causes *c, enum cause_reason reason, const char *field, const json_t *v,
		const char *fmt, ...)
{
	char why[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	add(c, reason, field, v, why);
}

void doc_cause(struct causes *c, enum cause_reason reason, const struct doc *doc, const char *path,
	       const char *fmt, ...)
{
	char why[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	add(c, reason, path, doc_at(doc, path), why);
}
