/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * negotiate.c - headers, query parameters and bodies (API-CONTRACT 2 and 6)
 *
 * Room: rest.  May include: http, codec, netd/base.
 */
#include "internal.h"
#include <netd/codec/protobuf.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Length of the media type at @s: up to ';', ',' or the end, without blanks behind. */
static size_t type_len(const char *s)
{
	size_t n = strcspn(s, ";,");

	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	return n;
}

static bool type_is(const char *s, const char *type)
{
	return type_len(s) == strlen(type) && strncasecmp(s, type, strlen(type)) == 0;
}

bool media_type_is(const char *header, const char *type)
{
	return header && type_is(header, type);
}

int check_content_type(struct call *c, const char *wanted)
{
	const char *type = request_header(c->req, "Content-Type");

	if (!type || !*type || type_is(type, wanted))
		return 0;
	return refuse(c, 415, "UnsupportedMediaType",
		      "the body of this request must be %s, not: %.200s", wanted,
		      type);
}

int refuse_dry_run(struct call *c, const char *value)
{
	causes_add(&c->refusal.causes, CAUSE_NOT_SUPPORTED, "dryRun", value,
		   "supported values: \"All\"");
	return refuse(c, 422, "Invalid", "dryRun: Unsupported value: \"%.80s\": supported values: "
		      "\"All\"", value);
}

int check_dry_run(struct call *c)
{
	const char *value = request_query(c->req, "dryRun");

	if (!value || !*value)
		return 0;
	c->dry_run = strcmp(value, "All") == 0;
	return c->dry_run ? 0 : refuse_dry_run(c, value);
}

static int refuse_body(struct call *c, int r, const char *why)
{
	if (r == -ENOMEM)
		return refuse_memory(c);
	return r < 0 ? refuse(c, 400, "BadRequest", "the body is not valid: %s", why) : 0;
}

int parse_body(struct call *c, struct doc **ret)
{
	size_t len;
	const char *body = request_body(c->req, &len);
	char why[160];

	if (!len)
		return refuse(c, 400, "BadRequest", "the request has no body");
	return refuse_body(c, doc_parse(body, len, ret, why), why);
}

int parse_object(struct call *c, struct doc **ret)
{
	size_t len;
	const char *body = request_body(c->req, &len);
	char why[160];
	int r;

	if (protobuf_knows(c->kind) &&
	    media_type_is(request_header(c->req, "Content-Type"), PROTOBUF_TYPE))
		return refuse_body(c, protobuf_parse(c->kind, body, len, ret, why), why);
	r = check_content_type(c, "application/json");
	return r < 0 ? r : parse_body(c, ret);
}

int parse_revision(struct call *c, const char *param, const char **text, uint64_t *ret)
{
	const char *value = request_query(c->req, param);
	char *end;

	*text = value && *value ? value : NULL;
	*ret = 0;
	if (!*text)
		return 0;
	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (*end || errno || !isdigit((unsigned char)*value))
		return refuse(c, 400, "BadRequest", "%s: Invalid value: \"%.80s\": must be a number",
			      param, value);
	return 0;
}
