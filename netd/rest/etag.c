/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * etag.c - entity tags: the resourceVersion of an object, for clients that speak plain HTTP
 *
 * Room: rest.  Source: RFC 9110, 8.8.3 and 13.1.  A tag is of the plain form only; what it guards is
 * the same as metadata.resourceVersion in a body guards, but the refusal is a 412.
 * May include: http, state, netd/base.
 */
#include "read.h"
#include <inttypes.h>
#include <stdio.h>

void etag_send(struct call *c, uint64_t rev)
{
	char tag[32];

	snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", rev);
	http_header(c->req, "ETag", tag);
}

/* "*", or a list of quoted tags; W/ before one makes no difference to us. */
static bool names(const char *header, uint64_t rev)
{
	char tag[32];
	size_t len = (size_t)snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", rev);

	while (*header) {
		header += strspn(header, " \t,");
		if (strncmp(header, "W/", 2) == 0)
			header += 2;
		if (*header == '*')
			return true;
		if (strncmp(header, tag, len) == 0)
			return true;
		header += strcspn(header, ",");
	}
	return false;
}

bool etag_unchanged(struct call *c, const struct object *obj)
{
	const char *none = request_header(c->req, "If-None-Match");

	return c->form.type == FORM_PLAIN && none && names(none, obj->rev);
}

int check_absent(struct call *c)
{
	if (!request_header(c->req, "If-Match"))
		return 0;               /* and no tag is one of If-None-Match */
	return refuse(c, 412, "PreconditionFailed", "%s \"%s\" is not there, which the header If-Match rules "
		      "out", c->kind->store_name, c->name);
}

int check_match(struct call *c, const struct object *obj)
{
	const char *match = request_header(c->req, "If-Match");
	const char *none = request_header(c->req, "If-None-Match");

	if ((!match || names(match, obj->rev)) && (!none || !names(none, obj->rev)))
		return 0;
	refuse_object(c, 412, "PreconditionFailed");
	return refuse(c, 412, "PreconditionFailed", "%s \"%s\" has the entity tag \"%" PRIu64
		      "\", which the header %s rules out", c->kind->store_name, c->name, obj->rev,
		      match && !names(match, obj->rev) ? "If-Match" : "If-None-Match");
}
