/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.c - fieldValidation, and the warnings about what is kept and not used
 *
 * Room: rest.  Source: API-CONTRACT 2 and 4.  Without the parameter it is Warn, as in Kubernetes.
 * Members that Kubernetes has and podnet does not implement are never an error: a manifest for a
 * cluster may be used here.  May include: http, codec, netd/base.
 */
#include "internal.h"
#include <netd/codec/unused.h>
#include <stdio.h>

#define MAX_WARNINGS 24         /* headers; what is beyond them is not told */
#define MAX_TEXT     240

int check_field_validation(struct call *c)
{
	static const char *const words[] = {
		[FIELDS_WARN] = "Warn", [FIELDS_IGNORE] = "Ignore", [FIELDS_STRICT] = "Strict",
	};
	const char *value = request_query(c->req, "fieldValidation");

	if (!value || !*value)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], value) != 0)
			continue;
		c->fields = (enum field_validation)i;
		return 0;
	}
	causes_add(&c->refusal.causes, CAUSE_NOT_SUPPORTED, "fieldValidation", value,
		   "supported values: \"Ignore\", \"Warn\", \"Strict\"");
	return refuse(c, 422, "Invalid", "fieldValidation: Unsupported value: \"%.80s\": supported "
		      "values: \"Ignore\", \"Warn\", \"Strict\"", value);
}

/* RFC 7234, 5.5: warn-code, warn-agent, quoted text.  The text holds a user's words: no byte of
 * them may end the header. */
static void warn(struct call *c, const char *what, const char *field, const char *then)
{
	char header[2 * MAX_TEXT + 32] = "299 - \"", text[MAX_TEXT];
	size_t n = strlen(header);

	snprintf(text, sizeof(text), "%s%.160s%s", what, field, then);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			header[n++] = '\\';
		header[n++] = *p < 0x20 || *p > 0x7e ? '?' : *p;
	}
	header[n++] = '"';
	header[n] = '\0';
	http_header(c->req, "Warning", header);
}

static void warn_all(struct call *c, const struct causes *unknown, const struct causes *ignored)
{
	size_t n = 0;

	for (size_t i = 0; i < unknown->n && n++ < MAX_WARNINGS; i++)
		warn(c, "unknown field \"", unknown->v[i].field, "\"");
	for (size_t i = 0; i < ignored->n && n++ < MAX_WARNINGS; i++)
		if (c->kind->id == KIND_NETWORK_POLICY)
			warn(c, "", c->kind->name, " is accepted but not enforced: no packet is stopped by it");
		else
			warn(c, "", ignored->v[i].field, c->kind->id == KIND_SERVICE ?
			     " is accepted but not used with podnet.dev/algorithm maglev" :
			     " is accepted but not implemented");
}

void warn_node(struct call *c, const struct doc *doc)
{
	const char *name = doc_str(doc, "spec.nodeName");

	if (c->kind->in_kernel && c->kind->id != KIND_NETWORK && name && *name &&
	    !state_accepted(c->rest->state, &kinds[KIND_NODE], "", name))
		warn(c, "spec.nodeName: there is no Node \"", name, "\"");
}

/* Unknown fields of a strict request stand beside whatever else is wrong. */
void check_fields(struct call *c, const struct doc *doc, const struct doc *was)
{
	struct causes unknown = { 0 }, ignored = { 0 };
	bool strict = c->fields == FIELDS_STRICT;

	if (c->fields == FIELDS_IGNORE)
		return;
	kind_unused(c->kind, doc, was, strict ? &c->refusal.causes : &unknown, &ignored);
	warn_all(c, &unknown, &ignored);
	causes_fini(&unknown);
	causes_fini(&ignored);
}
