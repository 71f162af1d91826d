/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * accept.c - the header Accept: the first media range that can be served decides
 *
 * Room: rest.  Source: API-CONTRACT 2 and 10.  Weights are not looked at: the clients of this API
 * list what they want in order.  May include: http, codec, netd/base.
 */
#include "read.h"
#include <ctype.h>
#include <strings.h>

/* A piece of a header, without the blanks around it. */
struct piece {
	const char *at;
	size_t len;
};

/* Takes the text up to @end off @rest; false: nothing is left. */
static bool take_piece(const char **rest, size_t *len, char end, struct piece *ret)
{
	const char *stop;

	if (!*rest)
		return false;
	stop = memchr(*rest, end, *len);
	ret->at = *rest;
	ret->len = stop ? (size_t)(stop - *rest) : *len;
	*len -= ret->len + (stop != NULL);
	*rest = stop ? stop + 1 : NULL;
	while (ret->len && isspace((unsigned char)*ret->at)) {
		ret->at++;
		ret->len--;
	}
	while (ret->len && isspace((unsigned char)ret->at[ret->len - 1]))
		ret->len--;
	return true;
}

static bool is(const struct piece *p, const char *text)
{
	return p->len == strlen(text) && strncasecmp(p->at, text, p->len) == 0;
}

/* The parameters that ask for another form of the object. */
struct asked {
	struct piece as, group, version;
};

static void take_parameter(const struct piece *p, struct asked *asked)
{
	const char *rest = p->at;
	size_t len = p->len;
	struct piece key, value;

	if (!take_piece(&rest, &len, '=', &key) || !rest)
		return;
	value = (struct piece){ rest, len };
	if (is(&key, "as"))
		asked->as = value;
	else if (is(&key, "g"))
		asked->group = value;
	else if (is(&key, "v"))
		asked->version = value;
}

static bool fits(const struct asked *asked, enum answer answer, struct form *form)
{
	bool table = is(&asked->as, "Table");
	bool list = is(&asked->as, "PartialObjectMetadataList");
	bool one = is(&asked->as, "PartialObjectMetadata");

	form->type = FORM_PLAIN;
	if (!asked->as.len)
		return true;
	if (answer == ANSWER_PLAIN || !is(&asked->group, "meta.k8s.io"))
		return false;
	if (!table && !one && !(list && answer == ANSWER_COLLECTION))
		return false;
	form->type = table ? FORM_TABLE : FORM_METADATA;
	form->version = is(&asked->version, "v1") ? "v1" :
			is(&asked->version, "v1beta1") ? "v1beta1" : NULL;
	return form->version != NULL;
}

static bool serves(const struct piece *range, enum answer answer, struct form *form)
{
	struct asked asked = { 0 };
	const char *rest = range->at;
	size_t len = range->len;
	struct piece type, parameter;

	if (!take_piece(&rest, &len, ';', &type))
		return false;
	if (!is(&type, "application/json") && !is(&type, "*/*") && !is(&type, "application/*"))
		return false;
	while (take_piece(&rest, &len, ';', &parameter))
		take_parameter(&parameter, &asked);
	return fits(&asked, answer, form);
}

static int parse_include(struct call *c)
{
	const char *text = request_query(c->req, "includeObject");

	if (!text || !*text || strcmp(text, "Metadata") == 0)
		c->form.include = INCLUDE_METADATA;
	else if (strcmp(text, "Object") == 0)
		c->form.include = INCLUDE_OBJECT;
	else if (strcmp(text, "None") == 0)
		c->form.include = INCLUDE_NONE;
	else
		return refuse(c, 400, "BadRequest", "includeObject: Invalid value: \"%.80s\": must "
			      "be Metadata, Object or None", text);
	return 0;
}

int check_accept(struct call *c, enum answer answer)
{
	const char *accept = request_header(c->req, "Accept");
	const char *rest = accept;
	size_t len = accept ? strlen(accept) : 0;
	struct piece range;

	if (!len)
		return 0;
	while (take_piece(&rest, &len, ',', &range)) {
		if (!serves(&range, answer, &c->form))
			continue;
		return c->form.type == FORM_TABLE ? parse_include(c) : 0;
	}
	c->form.type = FORM_PLAIN;
	return refuse(c, 406, "NotAcceptable", "only application/json%s can be served, not: %.200s",
		      answer == ANSWER_PLAIN ? "" : ", also with as=Table and as=PartialObjectMetadata"
		      "[List] of meta.k8s.io/v1,", accept);
}
