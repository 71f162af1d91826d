/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * special.c - the paths that are no resource: version, health, metrics, discovery
 *
 * Room: rest.  May include: http, codec, state, reconcile.h, netd/base.
 * #syscalls: uname
 */
#include "special.h"
#include <podnet/podnet.h>
#include <stdio.h>
#include <sys/utsname.h>

/* Nine strings, all of them asked for by some client (API-CONTRACT 3). */
static void version(struct call *c)
{
	struct utsname u = { 0 };
	struct buf b = { 0 };
	struct bytes *body;

	uname(&u);
	buf_printf(&b, "{\"major\":\"1\",\"minor\":\"30\",\"gitVersion\":\"v1.30.0+podnet-%s\","
		   "\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":"
		   "\"1970-01-01T00:00:00Z\",\"goVersion\":\"none\",\"compiler\":\"%s\","
		   "\"platform\":\"linux/%s\"}", podnet_version(),
#ifdef __clang__
		   "clang",
#else
		   "gcc",
#endif
		   strcmp(u.machine, "x86_64") == 0 ? "amd64"
		   : strcmp(u.machine, "aarch64") == 0 ? "arm64" : u.machine);
	body = buf_bytes(&b);
	buf_fini(&b);
	reply_json(c->req, body ? 200 : 500, body);
}

static void health(struct call *c)
{
	reply_text(c->req, 200, "text/plain", "ok");
}

static void ready(struct call *c)
{
	bool passed = c->rest->reconcile && reconcile_ready(c->rest->reconcile);
	char text[STORE_WORDS + 64] = "ok";
	const char *words;
	int health = state_health(c->rest->state, &words);

	if (!state_get(c->rest->state, &kinds[KIND_NODE], "",
		       state_config(c->rest->state)->node_name))
		passed = false;
	if (health < 0)
		snprintf(text, sizeof(text), "not ready: the store takes no writes: %s", words);
	else if (!passed)
		snprintf(text, sizeof(text),
			 "not ready: the first pass over everything is under way");
	reply_text(c->req, passed && health == 0 ? 200 : 503, "text/plain", text);
}

static const struct special {
	const char *path;
	void (*handle)(struct call *c);
} specials[] = {
	{ "/version", version },
	{ "/healthz", health },
	{ "/livez", health },
	{ "/readyz", ready },
	{ "/metrics", metrics_get },
};

bool special_handle(struct call *c, const char *path)
{
	size_t len = strlen(path);

	len -= len > 1 && path[len - 1] == '/';
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		if (strlen(specials[i].path) != len || strncmp(specials[i].path, path, len) != 0)
			continue;
		if (refuse_method(c))
			return true;
		specials[i].handle(c);
		return true;
	}
	return openapi_handle(c, path, len);
}

bool refuse_method(struct call *c)
{
	if (strcmp(request_method(c->req), "GET") == 0)
		return false;
	refuse(c, 405, "MethodNotAllowed",
	       "the server does not allow this method on the requested resource");
	reply_refusal(c);
	return true;
}

void special_print(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++)
		printf("GET %s\n", specials[i].path);
	puts("GET /openapi.yaml\nGET /openapi/v2\nGET /openapi/v3\nGET /openapi/v3/api/v1\n"
	     "GET /openapi/v3/apis/{group}/{version}");
}
