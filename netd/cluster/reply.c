/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reply.c - what etcd answers, decoded
 *
 * Room: cluster; pure.  The gateway's JSON is read by jansson.  A stream wraps each line in
 * "result"; an error is an object with "error" or "message" and gRPC's number "code".
 * May include: netd/base, jansson.
 */
#include "inner.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* gRPC's status codes (google.rpc.Code). */
enum grpc { GRPC_INVALID = 3, GRPC_DEADLINE = 4, GRPC_DENIED = 7, GRPC_EXHAUSTED = 8,
	    GRPC_RANGE = 11, GRPC_UNAUTHENTICATED = 16 };

static int64_t number(const json_t *obj, const char *name)
{
	const json_t *v = json_object_get(obj, name);

	if (json_is_integer(v))
		return json_integer_value(v);
	return json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : 0;
}

static const char *text(const json_t *obj, const char *name)
{
	const char *s = json_string_value(json_object_get(obj, name));

	return s ? s : "";
}

/*
 * It was refused as a whole.  All else may be told when it has been proposed: the server stops, its own
 * connection to itself is closed, the leader goes.
 */
static bool is_sure(const char *words)
{
	return strstr(words, "no leader") || strstr(words, "while dialing");
}

static int error_of(const char *words, int64_t code)
{
	if (strstr(words, "compacted"))
		return -ESTALE;
	if (strstr(words, "database space exceeded"))
		return -ENOSPC;
	if (strstr(words, "request is too large") || strstr(words, "larger than max"))
		return -EMSGSIZE;
	if (strstr(words, "too many requests"))
		return -EAGAIN;
	if (strstr(words, "requested lease not found"))
		return -ENOENT;
	switch (code) {
	case GRPC_DENIED:
	case GRPC_UNAUTHENTICATED:
		return -EACCES;
	case GRPC_DEADLINE:
		return -ETIMEDOUT;
	case GRPC_EXHAUSTED:
		return -EMSGSIZE;
	case GRPC_RANGE:
		return -ESTALE;
	case GRPC_INVALID:
		return -EINVAL;
	default:
		return is_sure(words) ? -ENOTCONN : -ETIMEDOUT;
	}
}

/* True: @root is an error. */
static bool take_error(const json_t *root, struct answer *ret)
{
	const json_t *inner = json_object_get(root, "error");
	const char *words = text(root, "message");
	int64_t code = number(root, "code");

	if (json_is_object(inner)) {            /* of a stream */
		words = text(inner, "message");
		code = number(inner, "grpc_code");
	} else if (json_is_string(inner)) {
		words = json_string_value(inner);
	} else if (!*words) {
		return false;
	}
	ret->rc = error_of(words, code);
	snprintf(ret->words, sizeof(ret->words), "etcd: %s", words);
	return true;
}

static int take_kv(struct answer *ret, const json_t *from, bool deleted, struct etcd_kv *kv)
{
	size_t len;

	kv->key = take_base64(&ret->arena, text(from, "key"), &len);
	kv->value = take_base64(&ret->arena, text(from, "value"), &kv->len);
	kv->created = number(from, "create_revision");
	kv->modified = number(from, "mod_revision");
	kv->deleted = deleted;
	return !kv->key || !kv->value ? -EPROTO : 0;
}

static int take_kvs(struct answer *ret, const json_t *kvs)
{
	size_t n = json_array_size(kvs);
	struct etcd_kv *v = arena_alloc(&ret->arena, (n + 1) * sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_kv(ret, json_array_get(kvs, i), false, &v[i]);
	ret->reply.kvs = v;
	ret->reply.n = n;
	return r;
}

/* What a failed transaction was to see: ranges of one key each. */
static int take_seen(struct answer *ret, const json_t *responses)
{
	size_t n = json_array_size(responses);
	struct etcd_kv *v = arena_alloc(&ret->arena, (n + 1) * sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	ret->reply.kvs = v;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *range = json_object_get(json_array_get(responses, i), "response_range");
		const json_t *kvs = json_object_get(range, "kvs");

		if (json_array_size(kvs))
			r = take_kv(ret, json_array_get(kvs, 0), false, &v[ret->reply.n++]);
	}
	return r;
}

static int take_events(struct answer *ret, const json_t *events)
{
	size_t n = json_array_size(events);
	struct etcd_kv *v = arena_alloc(&ret->arena, (n + 1) * sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *e = json_array_get(events, i);

		r = take_kv(ret, json_object_get(e, "kv"), strcmp(text(e, "type"), "DELETE") == 0,
			    &v[i]);
	}
	ret->reply.kvs = v;
	ret->reply.n = n;
	return r;
}

static int take_answer(const json_t *root, bool stream, struct answer *ret)
{
	const json_t *header = json_object_get(root, "header");

	if (!json_is_object(header))
		return -EPROTO;
	ret->reply.revision = number(header, "revision");
	ret->reply.succeeded = json_is_true(json_object_get(root, "succeeded"));
	ret->reply.more = json_is_true(json_object_get(root, "more"));
	ret->reply.lease = number(root, "ID");
	ret->reply.ttl_s = number(root, "TTL");
	ret->created = json_is_true(json_object_get(root, "created"));
	ret->canceled = json_is_true(json_object_get(root, "canceled"));
	ret->compacted = number(root, "compact_revision");
	if (ret->canceled)
		snprintf(ret->words, sizeof(ret->words), "etcd: %s", text(root, "cancel_reason"));
	if (stream)
		return take_events(ret, json_object_get(root, "events"));
	if (json_object_get(root, "responses") && !ret->reply.succeeded)
		return take_seen(ret, json_object_get(root, "responses"));
	return take_kvs(ret, json_object_get(root, "kvs"));
}

int reply_parse(const char *in, size_t len, bool stream, struct answer *ret)
{
	json_error_t why;
	json_t *root = json_loadb(in, len, 0, &why);
	const json_t *body = root, *result = json_object_get(root, "result");
	int r = 0;

	if (!root)
		return json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
	if (json_is_object(result))             /* keepalive is a stream too */
		body = result;
	if (!take_error(root, ret))
		r = take_answer(body, stream, ret);
	json_decref(root);
	return r;
}
