/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discovery.c - which groups, versions, resources and verbs there are
 *
 * Room: rest.  Source: API-CONTRACT 3.  All of it comes from the rows of kinds[] and the table of
 * verbs, in the order of the rows: a client takes the first version that knows a name.
 * May include: http, codec, netd/base.
 */
#include "special.h"
#include <stdio.h>

static void reply(struct call *c, struct buf *out)
{
	struct bytes *body = buf_bytes(out);

	buf_fini(out);
	reply_json(c->req, body ? 200 : 500, body);
}

/* True for the first row of a group, or of a group and version. */
static bool is_first(const struct kind *kind, bool of_version)
{
	for (const struct kind *k = kinds; k < kind; k++)
		if (strcmp(k->group, kind->group) == 0 &&
		    (!of_version || strcmp(k->version, kind->version) == 0))
			return false;
	return true;
}

/* The first row of a group and version (NULL: any). */
static const struct kind *kind_first(const char *group, const char *version)
{
	for (size_t i = 0; i < KIND_SERVED; i++)
		if (strcmp(kinds[i].group, group) == 0 &&
		    (!version || strcmp(kinds[i].version, version) == 0))
			return &kinds[i];
	return NULL;
}

static void core_versions(struct call *c)
{
	const char *host = request_header(c->req, "Host");
	struct buf out = { 0 };
	bool plain = host && *host;

	for (const char *p = host; p && *p; p++)
		plain &= *p > ' ' && *p < 0x7f && *p != '"' && *p != '\\';
	buf_printf(&out, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
		   "\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/0\","
		   "\"serverAddress\":\"%s\"}]}", plain ? host : "podnet");
	reply(c, &out);
}

static void add_version(const char *group, const char *version, struct buf *out)
{
	buf_printf(out, "{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}", group, version, version);
}

/* The members of an APIGroup; the version that comes first in the table is the preferred one. */
static void add_group(const struct kind *first, struct buf *out)
{
	bool some = false;

	buf_printf(out, "\"name\":\"%s\",\"versions\":[", first->group);
	for (const struct kind *k = first; k < kinds + KIND_SERVED; k++) {
		if (strcmp(k->group, first->group) != 0 || !is_first(k, true))
			continue;
		if (some)
			buf_add(out, ",", 1);
		add_version(k->group, k->version, out);
		some = true;
	}
	buf_str(out, "],\"preferredVersion\":");
	add_version(first->group, first->version, out);
}

static void groups(struct call *c)
{
	struct buf out = { 0 };
	bool some = false;

	buf_str(&out, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (const struct kind *k = kinds; k < kinds + KIND_SERVED; k++) {
		if (!*k->group || !is_first(k, false))
			continue;
		buf_str(&out, some ? ",{" : "{");
		add_group(k, &out);
		buf_add(&out, "}", 1);
		some = true;
	}
	buf_str(&out, "]}");
	reply(c, &out);
}

static void one_group(struct call *c, const struct kind *first)
{
	struct buf out = { 0 };

	buf_str(&out, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",");
	add_group(first, &out);
	buf_add(&out, "}", 1);
	reply(c, &out);
}

/* "a,b" as a member with a list of strings */
static void add_words(const char *member, const char *words, struct buf *out)
{
	if (!words || !*words)
		return;
	buf_printf(out, ",\"%s\":[", member);
	for (const char *sep = ""; *words; sep = ",") {
		size_t len = strcspn(words, ",");

		buf_printf(out, "%s\"%.*s\"", sep, (int)len, words);
		words += len + (words[len] == ',');
	}
	buf_add(out, "]", 1);
}

/* A resource, or its subresource @sub. */
static void add_resource(const struct kind *kind, const char *sub, struct buf *out)
{
	bool stats = sub && strcmp(sub, "stats") == 0;      /* the only one of another kind */

	buf_printf(out, "{\"name\":\"%s%s%s\",\"singularName\":\"%s\",\"namespaced\":%s,"
		   "%s\"kind\":\"%s\",\"verbs\":[", kind->plural, sub ? "/" : "", sub ? sub : "",
		   sub ? "" : kind->singular, kind->namespaced ? "true" : "false",
		   stats ? "\"group\":\"podnet.dev\",\"version\":\"v1\"," : "",
		   stats ? "ServiceStats" : kind->name);
	route_verbs(sub, out);
	buf_add(out, "]", 1);
	if (!sub) {
		add_words("shortNames", kind->short_names, out);
		add_words("categories", kind->categories, out);
	}
	buf_add(out, "}", 1);
}

static void add_subresource(const struct kind *kind, const char *sub, struct buf *out)
{
	buf_add(out, ",", 1);
	add_resource(kind, sub, out);
}

static void resources(struct call *c, const struct kind *first)
{
	struct buf out = { 0 };
	char api[64];

	buf_printf(&out, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s\","
		   "\"resources\":[", kind_api_version(first, api));
	for (const struct kind *k = first; k < kinds + KIND_SERVED; k++) {
		if (strcmp(k->group, first->group) != 0 || strcmp(k->version, first->version) != 0)
			continue;
		if (k != first)
			buf_add(&out, ",", 1);
		add_resource(k, NULL, &out);
		if (k->has_status)
			add_subresource(k, "status", &out);
		if (k->id == KIND_NAMESPACE)
			add_subresource(k, "finalize", &out);
		if (k->id == KIND_SERVICE)
			add_subresource(k, "stats", &out);
	}
	buf_str(&out, "]}");
	reply(c, &out);
}

/* NULL: of the roots, or there is no such group or version; *@known says which */
static const struct kind *find_path(const char *const *seg, size_t n, bool *known)
{
	bool core = strcmp(seg[0], "api") == 0;
	const struct kind *kind = NULL;

	if (n == 1) {
		*known = true;
		return NULL;
	}
	if (core && n == 2)
		kind = kind_first("", seg[1]);
	else if (!core && *seg[1])
		kind = kind_first(seg[1], n == 3 ? seg[2] : NULL);
	*known = kind != NULL;
	return kind;
}

bool discovery_handle(struct call *c, const char *const *seg, size_t n)
{
	bool core, known;
	const struct kind *kind;

	if (n < 1 || n > 3 || (strcmp(seg[0], "api") != 0 && strcmp(seg[0], "apis") != 0))
		return false;
	core = strcmp(seg[0], "api") == 0;
	if (core && n > 2)
		return false;
	kind = find_path(seg, n, &known);
	if (!known)
		return false;
	if (refuse_method(c))
		return true;
	if (!kind && core)
		core_versions(c);
	else if (!kind)
		groups(c);
	else if (core || n == 3)
		resources(c, kind);
	else
		one_group(c, kind);
	return true;
}

void discovery_print(void)
{
	puts("GET /api\nGET /api/v1\nGET /apis\nGET /apis/{group}\nGET /apis/{group}/{version}");
}
