/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dispatch.c - from method and path to a handler
 *
 * Room: rest.  Theory: every resource has the same shapes of path, so the table holds the verbs of
 * each shape, once, and the rows of kinds[] fill in group, version and plural.  A path that fits no
 * shape is 404; a shape without that method is 405.  Few paths are no resource; they stand in a
 * table of their own (special.c) and are looked at first.
 * May include: http, codec, state, netd/base.
 */
#include "read.h"
#include "special.h"
#include <netd/base/limits.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>
#include <stdlib.h>

enum shape {
	SHAPE_EVERYWHERE, SHAPE_COLLECTION, SHAPE_ITEM, SHAPE_STATUS,
	SHAPE_FINALIZE,             /* of a Namespace */
	SHAPE_STATS,                /* of a Service */
};

static const struct verb_route {
	enum shape shape;
	const char *method, *verb;
	int (*handle)(struct call *c);
	bool writes;
} verbs[] = {
	{ SHAPE_EVERYWHERE, "GET",    "list",    verb_list,    false },
	{ SHAPE_COLLECTION, "GET",    "list",    verb_list,    false },
	{ SHAPE_COLLECTION, "POST",   "create",  verb_create,  true },
	{ SHAPE_COLLECTION, "DELETE", "deletecollection", verb_delete_collection, true },
	{ SHAPE_ITEM,       "GET",    "get",     verb_get,     false },
	{ SHAPE_ITEM,       "PUT",    "update",  verb_replace, true },
	{ SHAPE_ITEM,       "PATCH",  "patch",   verb_patch,   true },
	{ SHAPE_ITEM,       "DELETE", "delete",  verb_delete,  true },
	{ SHAPE_STATUS,     "GET",    "get",     verb_get,     false },
	{ SHAPE_STATUS,     "PUT",    "update",  verb_replace, true },
	{ SHAPE_STATUS,     "PATCH",  "patch",   verb_patch,   true },
	{ SHAPE_FINALIZE,   "PUT",    "update",  verb_finalize, true },
	{ SHAPE_STATS,      "GET",    "get",     verb_stats,   false },
};

static const struct kind_hooks no_hooks;

const struct kind_hooks *hooks_of(const struct kind *kind)
{
	static const struct kind_hooks *const table[KIND_COUNT] = {
		[KIND_NAMESPACE] = &namespace_hooks,
		[KIND_NODE] = &node_hooks,
		[KIND_POD] = &pod_hooks,
		[KIND_NETWORK] = &network_hooks,
		[KIND_NETNS] = &node_local_hooks,
		[KIND_VETH] = &node_local_hooks,
		[KIND_BRIDGE] = &node_local_hooks,
		[KIND_ROUTE] = &route_hooks,
		[KIND_TUNNEL] = &tunnel_hooks,
		[KIND_SERVICE] = &service_hooks,
	};

	return table[kind->id] ? table[kind->id] : &no_hooks;
}

/* The longest path of a resource: apis GROUP VERSION namespaces NS PLURAL NAME status. */
#define MAX_SEGMENTS 8

/* Cuts @text in place.  An empty segment, but for one at the end, fits nothing. */
static size_t split(char *text, const char *segments[MAX_SEGMENTS])
{
	size_t n = 0;
	char *part;

	if (*text++ != '/')
		return 0;
	while ((part = strsep(&text, "/"))) {
		if (!*part && !text && n)
			break;
		if (!*part || n == MAX_SEGMENTS)
			return 0;
		segments[n++] = part;
	}
	return n;
}

/* What is behind the plural. */
static bool fit_item(struct call *c, const char **seg, size_t n, enum shape *shape)
{
	c->name = n > 0 ? seg[0] : NULL;
	c->status = n == 2 && c->kind->has_status && strcmp(seg[1], "status") == 0;
	*shape = n == 0 ? SHAPE_COLLECTION : n == 1 ? SHAPE_ITEM : SHAPE_STATUS;
	if (n == 2 && c->kind->id == KIND_NAMESPACE && strcmp(seg[1], "finalize") == 0) {
		*shape = SHAPE_FINALIZE;
		return true;
	}
	if (n == 2 && c->kind->id == KIND_SERVICE && strcmp(seg[1], "stats") == 0) {
		*shape = SHAPE_STATS;
		return true;
	}
	return n < 2 || c->status;
}

static void find_kind(struct call *c, const char *group, const char *version, const char *plural)
{
	c->served = kind_find(group, version, plural);
	c->kind = kind_stored(c->served);
}

/* What is behind the version: PLURAL..., or namespaces/NS/PLURAL... */
static bool fit_resource(struct call *c, const char *group, const char *version, const char **seg,
			 size_t n, enum shape *shape)
{
	if (!n)
		return false;
	if (n >= 3 && strcmp(seg[0], "namespaces") == 0) {
		find_kind(c, group, version, seg[2]);
		c->ns = seg[1];
		if (c->kind && c->kind->namespaced)
			return fit_item(c, seg + 3, n - 3, shape);
	}
	find_kind(c, group, version, seg[0]);
	c->ns = "";
	if (!c->kind)
		return false;
	if (!c->kind->namespaced)
		return fit_item(c, seg + 1, n - 1, shape);
	c->ns = NULL;
	*shape = SHAPE_EVERYWHERE;
	return n == 1;
}

static bool fit(struct call *c, const char **seg, size_t n, enum shape *shape)
{
	if (n >= 2 && strcmp(seg[0], "api") == 0)
		return fit_resource(c, "", seg[1], seg + 2, n - 2, shape);
	if (n >= 3 && strcmp(seg[0], "apis") == 0)
		return fit_resource(c, seg[1], seg[2], seg + 3, n - 3, shape);
	return false;
}

static enum answer answer_of(const struct verb_route *v)
{
	if (v->writes || v->shape == SHAPE_STATS)
		return ANSWER_PLAIN;
	return v->shape <= SHAPE_COLLECTION ? ANSWER_COLLECTION : ANSWER_ITEM;
}

static const struct verb_route *find_verb(enum shape shape, const char *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verbs[i].shape == shape && strcmp(verbs[i].method, method) == 0)
			return &verbs[i];
	return NULL;
}

static int run(struct call *c, const struct verb_route *v)
{
	int r;

	if (v->writes && request_peer(c->req)->role < ROLE_ADMIN)
		return refuse_role(c);
	if (request_busy(c->req))
		return refuse_busy(c, request_busy(c->req));
	r = check_accept(c, answer_of(v));
	if (r == 0 && request_too_large(c->req))
		r = refuse(c, 413, "RequestEntityTooLarge", "the body is larger than %d bytes",
			   LIMIT_BODY_BYTES);
	if (r == 0 && v->writes)
		r = check_dry_run(c);
	if (r == 0 && v->writes)
		r = check_field_validation(c);
	return r < 0 ? r : v->handle(c);
}

/* A path that fits nothing; what kubectl asks of a container runtime is told why. */
static int refuse_path(struct call *c, const char **seg, size_t n)
{
	static const char *const of_runtimes[] = { "log", "exec", "attach", "portforward" };
	bool of_pod = n && c->kind && c->kind->id == KIND_POD && c->name;

	for (size_t i = 0; of_pod && i < ARRAY_SIZE(of_runtimes); i++)
		if (strcmp(seg[n - 1], of_runtimes[i]) == 0)
			return refuse(c, 404, "NotFound", "pods/%s is not served: podnet holds the "
				      "networks of pods and runs no containers", seg[n - 1]);
	return refuse(c, 404, "NotFound", "the server could not find the requested resource");
}

/* Nobody is told what there is; the log is told what nobody wanted to write. */
static int route(struct call *c, char *path)
{
	const struct http_peer *peer = request_peer(c->req);
	bool known = peer->role >= ROLE_VIEW, fits;
	const struct verb_route *v;
	const char *seg[MAX_SEGMENTS];
	enum shape shape;
	size_t n;

	if (!path)
		return refuse_memory(c);
	if (known && special_handle(c, path))
		return 0;
	n = split(path, seg);
	if (known && discovery_handle(c, seg, n))
		return 0;
	fits = fit(c, seg, n, &shape);
	v = fits ? find_verb(shape, request_method(c->req)) : NULL;
	if (v) {
		c->verb = v->verb;
		c->writes = v->writes;
	}
	if (peer->foreign)
		return refuse(c, 403, "Forbidden", "%s", peer->foreign);
	if (!known)
		return refuse(c, 401, "Unauthorized", "Unauthorized");
	if (v)
		return run(c, v);
	if (fits)
		return refuse(c, 405, "MethodNotAllowed", "the server does not allow this method "
			      "on the requested resource");
	return refuse_path(c, seg, n);
}

void rest_handle(void *arg, struct request *req)
{
	struct call c = { .rest = arg, .req = req };

	metric_add(METRIC_HTTP_REQUESTS, 1);
	if (route(&c, arena_strdup(request_arena(req), request_path(req))) == 0)
		return;
	if (c.writes)
		audit_refused(&c);
	reply_refusal(&c);
}

/* Of the subresource @sub, NULL: of the resource itself. */
static bool is_of(const struct verb_route *v, const char *sub)
{
	const char *is = v->shape == SHAPE_STATUS ? "status" :
			 v->shape == SHAPE_FINALIZE ? "finalize" :
			 v->shape == SHAPE_STATS ? "stats" : NULL;

	return is && sub ? strcmp(is, sub) == 0 : is == sub;
}

void route_verbs(const char *sub, struct buf *out)
{
	static const char *const order[] = {
		"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
	};
	bool some = false;

	for (size_t o = 0; o < ARRAY_SIZE(order); o++) {
		/* a watch is a list with a parameter */
		const char *verb = strcmp(order[o], "watch") == 0 ? "list" : order[o];
		bool has = false;

		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			has |= is_of(&verbs[i], sub) && strcmp(verbs[i].verb, verb) == 0;
		if (has)
			buf_printf(out, "%s\"%s\"", some ? "," : "", order[o]);
		some |= has;
	}
}

static void print_kind(const struct kind *kind, const struct verb_route *v)
{
	static const char *const tails[] = {
		[SHAPE_EVERYWHERE] = "", [SHAPE_COLLECTION] = "", [SHAPE_ITEM] = "/{name}",
		[SHAPE_STATUS] = "/{name}/status", [SHAPE_FINALIZE] = "/{name}/finalize",
		[SHAPE_STATS] = "/{name}/stats",
	};
	bool in_ns = kind->namespaced && v->shape != SHAPE_EVERYWHERE;

	if ((v->shape == SHAPE_STATUS && !kind->has_status) ||
	    (v->shape == SHAPE_EVERYWHERE && !kind->namespaced) ||
	    (v->shape == SHAPE_FINALIZE && kind->id != KIND_NAMESPACE) ||
	    (v->shape == SHAPE_STATS && kind->id != KIND_SERVICE))
		return;
	printf("%s /%s%s%s/%s%s/%s%s\n", v->method, *kind->group ? "apis" : "api",
	       *kind->group ? "/" : "", kind->group, kind->version,
	       in_ns ? "/namespaces/{namespace}" : "", kind->plural, tails[v->shape]);
}

void rest_routes_print(void)
{
	special_print();
	discovery_print();
	for (size_t k = 0; k < KIND_SERVED; k++)
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			print_kind(&kinds[k], &verbs[i]);
}

int rest_new(const struct rest_config *conf, struct rest **ret)
{
	struct rest *rest = calloc(1, sizeof(*rest));

	if (!rest)
		return -ENOMEM;
	rest->loop = conf->loop;
	rest->state = conf->state;
	rest->reconcile = conf->reconcile;
	*ret = rest;
	return 0;
}

void rest_free(struct rest *rest)
{
	if (!rest)
		return;
	select_forget(rest);
	free(rest);
}
