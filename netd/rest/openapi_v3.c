/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * openapi_v3.c - OpenAPI 3, a document for each group and version, and the whole as one file
 *
 * Room: rest.  Source: API-CONTRACT 3.1.  The documents of the groups say what kubectl looks for:
 * which query parameters a kind's PATCH knows.  They have no schemas, and name no type of patch:
 * with either, kubectl would take our word for its own types'.  The whole, with schemas, is
 * api/openapi.yaml, served as it is.  May include: http, codec, netd/base.
 */
#include "special.h"

static void reply(struct call *c, struct buf *out)
{
	struct bytes *body = buf_bytes(out);

	buf_fini(out);
	reply_json(c->req, body ? 200 : 500, body);
}

/* A path of discovery, which is also what kubectl calls the document: api/v1, apis/G/V. */
static void add_version(const struct kind *kind, struct buf *out)
{
	buf_printf(out, "%s%s%s/%s", *kind->group ? "apis" : "api", *kind->group ? "/" : "",
		   kind->group, kind->version);
}

static bool is_first(const struct kind *kind)
{
	return kind == kind_first(kind->group, kind->version);
}

void openapi_v3(struct call *c)
{
	struct buf out = { 0 };

	buf_str(&out, "{\"paths\":{\"openapi.yaml\":{\"serverRelativeURL\":\"/openapi.yaml\"}");
	for (const struct kind *k = kinds; k < kinds + KIND_SERVED; k++) {
		if (!is_first(k))
			continue;
		buf_str(&out, ",\"");
		add_version(k, &out);
		buf_str(&out, "\":{\"serverRelativeURL\":\"/openapi/v3/");
		add_version(k, &out);
		buf_str(&out, "\"}");
	}
	buf_str(&out, "}}");
	reply(c, &out);
}

static void add_path(const struct kind *kind, struct buf *out)
{
	static const char *const parameters[] = { "dryRun", "fieldValidation" };

	buf_str(out, "\"/");
	add_version(kind, out);
	buf_printf(out, "/%s%s/{name}\":{\"patch\":{\"parameters\":[",
		   kind->namespaced ? "namespaces/{namespace}/" : "", kind->plural);
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		buf_printf(out, "%s{\"name\":\"%s\",\"in\":\"query\",\"schema\":{\"type\":\"string\"}}",
			   i ? "," : "", parameters[i]);
	buf_printf(out, "],\"responses\":{\"200\":{\"description\":\"OK\"}},"
		   "\"x-kubernetes-group-version-kind\":{\"group\":\"%s\",\"version\":\"%s\","
		   "\"kind\":\"%s\"}}}", kind->group, kind->version, kind->name);
}

void openapi_v3_version(struct call *c, const struct kind *first)
{
	struct buf out = { 0 };

	buf_str(&out, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"podnet\",\"version\":\"v1\"},"
		"\"paths\":{");
	for (const struct kind *k = first; k < kinds + KIND_SERVED; k++) {
		if (strcmp(k->group, first->group) != 0 || strcmp(k->version, first->version) != 0)
			continue;
		if (k != first)
			buf_add(&out, ",", 1);
		add_path(k, &out);
	}
	buf_str(&out, "}}");
	reply(c, &out);
}

/* The file itself, taken in by the assembler. */
__asm__(".pushsection .rodata\n"
	"openapi_yaml_begin:\n"
	".incbin \"" OPENAPI_YAML "\"\n"
	"openapi_yaml_end:\n"
	".byte 0\n"
	".popsection\n");
extern const char openapi_yaml_begin[] __attribute__((visibility("hidden")));
extern const char openapi_yaml_end[] __attribute__((visibility("hidden")));

void openapi_yaml(struct call *c)
{
	size_t len = (size_t)((uintptr_t)openapi_yaml_end - (uintptr_t)openapi_yaml_begin);
	struct bytes *body = bytes_new(openapi_yaml_begin, len);

	http_reply(c->req, body ? 200 : 500, "application/yaml", body);
}
