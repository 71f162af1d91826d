/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * causes.c - the list of what is wrong with a body
 *
 * Room (model): text only.  May include: netd/base, libc.
 */
#include <netd/model/causes.h>
#include <stdio.h>

#define VALUE_MAX 160           /* bytes of an offending value that are told */

static const struct {
	const char *name, *start;
} reasons[] = {
	[CAUSE_REQUIRED] = { "FieldValueRequired", "Required value" },
	[CAUSE_INVALID] = { "FieldValueInvalid", "Invalid value" },
	[CAUSE_NOT_SUPPORTED] = { "FieldValueNotSupported", "Unsupported value" },
	[CAUSE_FORBIDDEN] = { "FieldValueForbidden", "Forbidden" },
	[CAUSE_DUPLICATE] = { "FieldValueDuplicate", "Duplicate value" },
	[CAUSE_TOO_MANY] = { "FieldValueTooMany", "Too many" },
	[CAUSE_TYPE] = { "FieldValueTypeInvalid", "Invalid value" },
	[CAUSE_UNKNOWN] = { "FieldValueUnknown", "unknown field" },
	[CAUSE_NAMESPACE_TERMINATING] = { "NamespaceTerminating", NULL },
	[CAUSE_REVISION_TOO_LARGE] = { "ResourceVersionTooLarge", NULL },
};

const char *cause_reason_name(enum cause_reason reason)
{
	return reasons[reason].name;
}

/* A text is in quotes and escaped as Go's %q does it; cut between characters. */
static void tell(const char *value, bool bare, char out[VALUE_MAX + 16])
{
	size_t n = 0;

	if (!bare)
		out[n++] = '"';
	for (; *value && n < VALUE_MAX; value++) {
		unsigned char c = (unsigned char)*value;

		if (!bare && (c == '"' || c == '\\'))
			out[n++] = '\\';
		if (c < 0x20)
			n += (size_t)snprintf(out + n, 8, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	if (*value) {
		while (((unsigned char)*value & 0xc0) == 0x80 && n > 1) {
			value--;
			n--;
		}
		memcpy(out + n, "...", 3);
		n += 3;
	}
	if (!bare)
		out[n++] = '"';
	out[n] = '\0';
}

static char *compose(struct causes *c, enum cause_reason reason, const char *field,
		     const char *value, bool bare, const char *why)
{
	const char *start = reasons[reason].start, *colon = why[0] ? ": " : "";
	char told[VALUE_MAX + 16];

	if (!start)
		return arena_strdup(&c->arena, why);
	if (reason == CAUSE_UNKNOWN)
		return arena_printf(&c->arena, "%s \"%s\"", start, field);
	if (reason == CAUSE_TOO_MANY && value)
		return arena_printf(&c->arena, "%s: %s%s%s", start, value, colon, why);
	if (!value || reason == CAUSE_REQUIRED || reason == CAUSE_FORBIDDEN)
		return arena_printf(&c->arena, "%s%s%s", start, colon, why);
	tell(value, bare, told);
	return arena_printf(&c->arena, "%s: %s%s%s", start, told, colon, why);
}

static struct cause *grow(struct causes *c)
{
	size_t cap = c->cap ? 2 * c->cap : 8;
	struct cause *v;

	if (c->n < c->cap)
		return &c->v[c->n];
	v = realloc(c->v, cap * sizeof(*v));
	if (!v)
		return NULL;
	c->v = v;
	c->cap = cap;
	return &c->v[c->n];
}

static void add(struct causes *c, enum cause_reason reason, const char *field, const char *value,
		bool bare, const char *fmt, va_list ap)
{
	struct cause *slot;
	char why[512];

	if (c->failed || c->n >= CAUSES_MAX)
		return;
	vsnprintf(why, sizeof(why), fmt, ap);
	slot = grow(c);
	if (!slot) {
		c->failed = true;
		return;
	}
	slot->reason = reason;
	slot->field = arena_strdup(&c->arena, field);
	slot->message = compose(c, reason, field, value, bare, why);
	if (!slot->field || !slot->message)
		c->failed = true;
	else
		c->n++;
}

void causes_add(struct causes *c, enum cause_reason reason, const char *field, const char *value,
		const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, reason, field, value, false, fmt, ap);
	va_end(ap);
}

void causes_add_bare(struct causes *c, enum cause_reason reason, const char *field,
		     const char *value, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, reason, field, value, true, fmt, ap);
	va_end(ap);
}

void causes_fini(struct causes *c)
{
	free(c->v);
	arena_fini(&c->arena);
	*c = (struct causes){ 0 };
}
