/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * causes.h - all that is wrong with a body, each by field path: details.causes[] of a Status
 */
#ifndef NETD_CAUSES_H
#define NETD_CAUSES_H

#include <netd/base/base.h>

enum cause_reason {
	CAUSE_REQUIRED,             /* FieldValueRequired: "Required value: why" */
	CAUSE_INVALID,              /* FieldValueInvalid: "Invalid value: \"x\": why" */
	CAUSE_NOT_SUPPORTED,        /* FieldValueNotSupported */
	CAUSE_FORBIDDEN,            /* FieldValueForbidden */
	CAUSE_DUPLICATE,            /* FieldValueDuplicate */
	CAUSE_TOO_MANY,             /* FieldValueTooMany */
	CAUSE_TYPE,                 /* wrong JSON type: 400 on POST and PUT, 422 on PATCH */
	CAUSE_UNKNOWN,              /* unknown field of one of our kinds: 400 */
	/* these two are of no field; their message is what @fmt says */
	CAUSE_NAMESPACE_TERMINATING,
	CAUSE_REVISION_TOO_LARGE,   /* ResourceVersionTooLarge */
};

struct cause {
	enum cause_reason reason;
	const char *field;          /* "spec.ports[0].name" */
	const char *message;        /* as API-CONTRACT 9 spells it */
};

struct causes {
	struct arena arena;
	struct cause *v;
	size_t n, cap;
	bool failed;                /* no memory: answer 500 */
};

#define CAUSES_MAX 256          /* an answer names at most so many */

/** causes_add() - @value is the offending text, to be quoted, or NULL; @fmt says why and may be "" */
void causes_add(struct causes *c, enum cause_reason reason, const char *field, const char *value,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/** causes_add_bare() - the same of a @value that is no text: a number, a list; without quotes */
void causes_add_bare(struct causes *c, enum cause_reason reason, const char *field,
		     const char *value, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
const char *cause_reason_name(enum cause_reason reason);
void causes_fini(struct causes *c);

#endif
