/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * openapi.c - OpenAPI 2, with what kubectl asks of it
 *
 * Room: rest.  Source: API-CONTRACT 3.1.  kubectl refuses to write when /openapi/v2 fails, and to
 * try without writing (--dry-run=server, diff) unless that document gives the kind's PATCH a
 * parameter dryRun.  So it has that much and no schemas: with a schema that lacks one member, old
 * clients refuse the member.  The document is in protobuf, by the numbers of
 * google/gnostic-models, openapiv2/OpenAPIv2.proto.
 * May include: http, codec, netd/base.
 */
#include "special.h"

/* openapiv2 Document: swagger 1, info 2 {title 1, version 2}, paths 8 {path 2 {name 1, value 2}} */
enum { DOC_SWAGGER = 1, DOC_INFO = 2, DOC_PATHS = 8, INFO_TITLE = 1, INFO_VERSION = 2,
       PATHS_PATH = 2, NAMED_NAME = 1, NAMED_VALUE = 2,
       ITEM_PATCH = 8, OPERATION_PARAMETERS = 8, OPERATION_EXTENSION = 13,
       PARAMETERS_PARAMETER = 1, PARAMETER_NON_BODY = 2, NON_BODY_QUERY = 3,
       QUERY_IN = 2, QUERY_NAME = 4, QUERY_TYPE = 6, ANY_YAML = 2 };

static void put_varint(struct buf *out, size_t n)
{
	unsigned char byte;

	for (; n >= 0x80; n >>= 7) {
		byte = (unsigned char)(n | 0x80);
		buf_add(out, &byte, 1);
	}
	byte = (unsigned char)n;
	buf_add(out, &byte, 1);
}

/* A field of length and bytes: strings, and messages that were built before. */
static void put_bytes(struct buf *out, unsigned field, const char *data, size_t len)
{
	put_varint(out, field << 3 | 2);
	put_varint(out, len);
	buf_add(out, data, len);
}

static void put_text(struct buf *out, unsigned field, const char *text)
{
	put_bytes(out, field, text, strlen(text));
}

/* @inner becomes a field of @out, and is freed. */
static void put_message(struct buf *out, unsigned field, struct buf *inner)
{
	out->failed |= inner->failed;
	put_bytes(out, field, inner->data ? inner->data : "", inner->len);
	buf_fini(inner);
	*inner = (struct buf){ 0 };
}

static void put_parameter(struct buf *operation, const char *name)
{
	struct buf query = { 0 }, non_body = { 0 }, parameter = { 0 }, item = { 0 };

	put_text(&query, QUERY_IN, "query");
	put_text(&query, QUERY_NAME, name);
	put_text(&query, QUERY_TYPE, "string");
	put_message(&non_body, NON_BODY_QUERY, &query);
	put_message(&parameter, PARAMETER_NON_BODY, &non_body);
	put_message(&item, PARAMETERS_PARAMETER, &parameter);
	put_message(operation, OPERATION_PARAMETERS, &item);
}

/* Which kind the operation is about, as YAML within the protobuf. */
static void put_kind(struct buf *operation, const struct kind *kind)
{
	struct buf yaml = { 0 }, any = { 0 }, named = { 0 };

	buf_printf(&yaml, "group: \"%s\"\nkind: %s\nversion: %s\n", kind->group, kind->name,
		   kind->version);
	put_text(&named, NAMED_NAME, "x-kubernetes-group-version-kind");
	put_message(&any, ANY_YAML, &yaml);
	put_message(&named, NAMED_VALUE, &any);
	put_message(operation, OPERATION_EXTENSION, &named);
}

static void put_path(struct buf *paths, const struct kind *kind)
{
	struct buf operation = { 0 }, item = { 0 }, named = { 0 }, path = { 0 };

	buf_printf(&path, "/%s%s%s/%s/%s%s/{name}", *kind->group ? "apis" : "api",
		   *kind->group ? "/" : "", kind->group, kind->version,
		   kind->namespaced ? "namespaces/{namespace}/" : "", kind->plural);
	put_parameter(&operation, "dryRun");
	put_parameter(&operation, "fieldValidation");   /* newer clients leave checking to us */
	put_kind(&operation, kind);
	put_message(&named, NAMED_NAME, &path);
	put_message(&item, ITEM_PATCH, &operation);
	put_message(&named, NAMED_VALUE, &item);
	put_message(paths, PATHS_PATH, &named);
}

void openapi_v2(struct call *c)
{
	struct buf out = { 0 }, info = { 0 }, paths = { 0 };
	struct bytes *body;

	put_text(&out, DOC_SWAGGER, "2.0");
	put_text(&info, INFO_TITLE, "podnet");
	put_text(&info, INFO_VERSION, "v1");
	put_message(&out, DOC_INFO, &info);
	for (size_t i = 0; i < KIND_SERVED; i++)
		put_path(&paths, &kinds[i]);
	put_message(&out, DOC_PATHS, &paths);
	body = buf_bytes(&out);
	buf_fini(&out);
	http_reply(c->req, body ? 200 : 500, "application/octet-stream", body);
}
