/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_rest.c - any text as a few requests: paths, queries, headers, bodies, through every handler
 *
 * A request is "METHOD PATH?QUERY", headers, an empty line and a body of one line; a further one may
 * follow.  Every request is answered once, with a code of API-CONTRACT; a refusal is a Status that
 * says why, and changes nothing, as do a dry run and who may only read; what is answered as JSON is
 * JSON, and a line of a watch is an event.
 */
#include "json.h"
#include "world.h"

#define REQUESTS_MAX 6

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at && c != '\x10' ? (int)(at - digits) : -1;
}

/* As the http room leaves it: a malformed escape stays. */
static char *unescape(char *text)
{
	char *out = text;

	for (const char *p = text; *p; p++) {
		int high = *p == '%' ? hex(p[1]) : -1, low = high < 0 ? -1 : hex(p[2]);

		if (low < 0 || !(high | low)) {
			*out++ = *p;
			continue;
		}
		*out++ = (char)(high << 4 | low);
		p += 2;
	}
	*out = '\0';
	return text;
}

static void add_pair(struct pairs *pairs, const char *name, const char *value)
{
	if (pairs->n < ARRAY_SIZE(pairs->v))
		pairs->v[pairs->n++] = (struct pair){ name, value };
}

static void parse_query(struct request *req, char *query)
{
	char *part;

	while ((part = strsep(&query, "&"))) {
		char *value = strchr(part, '=');

		if (value)
			*value++ = '\0';
		add_pair(&req->query, unescape(part), value ? unescape(value) : "");
	}
}

/* false: nothing is left */
static bool parse_request(const char **data, size_t *size, struct request *req)
{
	char *line = fuzz_line(data, size, &req->arena), *path;

	if (!line)
		return false;
	req->method = strsep(&line, " ");
	path = strsep(&line, " ");
	if (path && strchr(path, '?'))
		parse_query(req, strchr(path, '?') + 1);
	if (path)
		path[strcspn(path, "?")] = '\0';
	req->path = path && *path == '/' ? unescape(path) : "/";
	while ((line = fuzz_line(data, size, &req->arena)) && *line) {
		char *name = strsep(&line, ":");

		if (line)
			add_pair(&req->headers, name, line + strspn(line, " "));
	}
	req->body = fuzz_line(data, size, &req->arena);
	if (!req->body)
		req->body = "";
	req->len = strlen(req->body);
	return true;
}

static bool is_known(unsigned code)
{
	static const unsigned codes[] = {
		200, 201, 202, 304, 400, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 429, 504,
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

static void check_refusal(const struct request *req)
{
	_cleanup_(doc_freep) struct doc *doc = fuzz_parse(req->answer->data, req->answer->len);
	const char *message = doc_str(doc, "message"), *reason = doc_str(doc, "reason");

	must(strcmp(doc_str(doc, "kind"), "Status") == 0);
	must(doc_int(doc, "code", 0) == req->code && message && *message && reason && *reason);
	for (size_t i = 0; i < doc_len(doc, "details.causes"); i++) {
		char path[64];

		snprintf(path, sizeof(path), "details.causes[%zu].message", i);
		must(doc_str(doc, path));
	}
}

/* The tag of what is read is its version. */
static void check_object(const struct request *req, const struct doc *doc)
{
	const char *tag = pair_of(&req->sent, "ETag", true), *kind = doc_str(doc, "kind");
	const char *rev = doc_str(doc, "metadata.resourceVersion");

	must(kind && *kind);
	if (tag && strcmp(kind, "Status") != 0)
		must(rev && strncmp(tag + 1, rev, strlen(rev)) == 0);
}

static void check_answer(const struct request *req)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;

	must(req->answers == 1);
	if (!req->code || req->stream)
		return;
	if (!is_known(req->code))
		fprintf(stderr, "%s %s: %u %s\n", req->method, req->path, req->code,
			req->answer ? req->answer->data : "");
	must(is_known(req->code));
	if (req->code == 304 || !req->answer)
		return;
	if (req->code >= 400) {
		check_refusal(req);
		return;
	}
	if (req->type && strncmp(req->type, "application/json", 16) == 0) {
		doc = fuzz_parse(req->answer->data, req->answer->len);
		if (strncmp(req->path, "/api", 4) == 0)
			check_object(req, doc);
	}
}

static void check_line(const char *line, size_t len)
{
	static const char *const types[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" };
	_cleanup_(doc_freep) struct doc *doc = fuzz_parse(line, len);
	const char *type = doc_str(doc, "type");
	bool known = false;

	for (size_t i = 0; type && i < ARRAY_SIZE(types); i++)
		known |= strcmp(types[i], type) == 0;
	must(known && doc_str(doc, "object.kind"));
}

static void check_stream(const struct http_stream *s)
{
	const char *at = s->text.data, *end;
	size_t left = s->text.len;

	while (left && (end = memchr(at, '\n', left))) {
		check_line(at, (size_t)(end - at));
		left -= (size_t)(end + 1 - at);
		at = end + 1;
	}
	must(!left || !s->ended);
}

static void ask(struct world *w, struct request *req)
{
	const char *dry = pair_of(&req->query, "dryRun", false);
	bool view = pair_of(&req->headers, "X-View", true);
	uint64_t before = state_revision(w->state);

	req->peer = (struct http_peer){ .door = "fuzz", .name = "uid:0",
					.role = view ? ROLE_VIEW : ROLE_ADMIN };
	world_ask(w, req, pair_of(&req->headers, "X-Goes-Away", true) != NULL);
	check_answer(req);
	if (view || req->code >= 400 || (dry && *dry) || strcmp(req->method, "GET") == 0)
		must(state_revision(w->state) == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data;
	struct world w;

	world_open(&w);
	for (int i = 0; i < REQUESTS_MAX && size; i++) {
		struct request req = { 0 };

		if (parse_request(&rest, &size, &req))
			ask(&w, &req);
		world_request_fini(&req);
	}
	for (size_t i = 0; i < w.nstreams; i++)
		check_stream(w.streams[i]);
	world_close(&w);
	return 0;
}
