/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * refuse.c - from a reason to the Status that says so
 *
 * Room: rest.  May include: http, codec, metrics, netd/base.
 */
#include "internal.h"
#include <netd/metrics/metrics.h>
#include <stdio.h>


static int set(struct call *c, unsigned code, const char *reason, const char *message)
{
	c->refusal.code = code;
	c->refusal.reason = reason;
	c->refusal.message = message;
	return -EINVAL;
}

int refuse(struct call *c, unsigned code, const char *reason, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return set(c, code, reason, arena_strdup(request_arena(c->req), text));
}

int refuse_other(struct call *c, unsigned code, const char *reason, const struct kind *kind,
		 const char *name)
{
	c->refusal.kind = kind;
	c->refusal.name = name;
	return set(c, code, reason, NULL);
}

int refuse_object(struct call *c, unsigned code, const char *reason)
{
	return refuse_other(c, code, reason, c->kind, c->name);
}

int refuse_conflict(struct call *c)
{
	return refuse_object(c, 409, "Conflict");
}

int refuse_role(struct call *c)
{
	const struct http_peer *peer = request_peer(c->req);

	c->refusal.why = arena_printf(request_arena(c->req), "\"%s\" has the role view, which may "
				      "not %s", peer->name, c->verb);
	return refuse_object(c, 403, "Forbidden");
}

int refuse_busy(struct call *c, const char *why)
{
	c->refusal.retry_after_s = 1;
	return refuse(c, 429, "TooManyRequests", "%s", why);
}

int refuse_held(struct call *c)
{
	return refuse_busy(c, "answers that were asked for have not been taken yet");
}

int refuse_memory(struct call *c)
{
	return set(c, 500, "InternalError", "out of memory");
}

/* A body of the wrong shape was never an object: 400, but for a patch, whose result it is. */
static bool is_malformed(const struct call *c)
{
	const struct causes *causes = &c->refusal.causes;

	for (size_t i = 0; i < causes->n; i++)
		if (causes->v[i].reason == CAUSE_UNKNOWN ||
		    (causes->v[i].reason == CAUSE_TYPE && !c->patching))
			return true;
	return false;
}

/* Unknown fields are told in Kubernetes' words, behind what else is wrong. */
static void join(struct buf *b, const struct causes *causes, bool unknown)
{
	const char *before = unknown ? "strict decoding error: " : "";

	for (size_t i = 0; i < causes->n; i++) {
		const struct cause *cause = &causes->v[i];

		if ((cause->reason == CAUSE_UNKNOWN) != unknown)
			continue;
		buf_printf(b, "%s%s%s%s%s", b->len ? ", " : "", before,
			   unknown ? "" : cause->field, unknown ? "" : ": ", cause->message);
		before = "";
	}
}

static const char *join_causes(struct call *c)
{
	struct buf b = { 0 };
	char *text = NULL;

	join(&b, &c->refusal.causes, false);
	join(&b, &c->refusal.causes, true);
	if (!b.failed)
		text = arena_printf(request_arena(c->req), "%s in version \"%s\" cannot be handled "
				    "as a %s: %.*s", c->kind->name, c->kind->version, c->kind->name,
				    (int)b.len, b.data);
	buf_fini(&b);
	return text;
}

int refuse_causes(struct call *c)
{
	if (c->refusal.causes.failed)
		return refuse_memory(c);
	if (!c->refusal.causes.n)
		return 0;
	if (is_malformed(c))
		return set(c, 400, "BadRequest", join_causes(c));
	return refuse_object(c, 422, "Invalid");
}

unsigned store_code(int rc)
{
	switch (rc) {
	case -ENOSPC:
		return 507;
	case -ECANCELED:
		return 409;
	case -ETIMEDOUT:
		return 504;
	case -EMSGSIZE:
		return 413;
	default:
		return 503;
	}
}

int refuse_store(struct call *c, int rc, const char *words)
{
	const char *why = words && *words ? words : strerror(-rc);

	if (rc == -ENOSPC)
		return refuse(c, store_code(rc), "InsufficientStorage",
			      "no room for the write, which was not made: %s", why);
	if (rc == -ECANCELED)
		return refuse_conflict(c);
	if (rc == -EMSGSIZE)
		return refuse(c, store_code(rc), "RequestEntityTooLarge", "%s", why);
	if (rc == -ETIMEDOUT)
		return refuse(c, store_code(rc), "Timeout",
			      "nobody knows whether the write was made: %s", why);
	if (rc == -ENOTCONN || rc == -EAGAIN)
		c->refusal.retry_after_s = 2;
	return refuse(c, store_code(rc), "ServiceUnavailable",
		      "the store takes no writes, and this one was not made: %s", why);
}

/*
 * Large answers that nobody takes would be kept, one for each connection.  Of a write, which has
 * happened, the client is told whatever it holds: its next body is refused.
 */
static bool refuse_large(struct request *req, const struct bytes *body)
{
	struct call c = { .req = req };

	if (!body || body->len < LARGE_BYTES || strcmp(request_method(req), "GET") != 0 ||
	    request_may_hold(req, body->len))
		return false;
	refuse_held(&c);
	reply_refusal(&c);
	return true;
}

void reply_json(struct request *req, unsigned code, struct bytes *body)
{
	if (refuse_large(req, body)) {
		bytes_unref(body);
		return;
	}
	metric_time(METRIC_TIME_REQUEST, now_monotonic_us() - request_started_us(req));
	if (code >= 400)
		metric_add(METRIC_HTTP_ERRORS, 1);
	http_reply(req, code, "application/json", body);
}

void reply_text(struct request *req, unsigned code, const char *type, const char *text)
{
	struct bytes *body = bytes_new(text, strlen(text));

	if (refuse_large(req, body)) {
		bytes_unref(body);
		return;
	}
	if (code >= 400)
		metric_add(METRIC_HTTP_ERRORS, 1);
	http_reply(req, body ? code : 500, type, body);
}

void reply_refusal(struct call *c)
{
	const struct refusal *r = &c->refusal;
	struct status st = {
		.code = r->code ? r->code : 500,
		.reason = r->reason ? r->reason : "InternalError",
		.message = r->message,
		.why = r->why,
		.kind = r->kind,
		.name = r->name,
		.uid = r->uid,
		.causes = r->causes.n ? &r->causes : NULL,
		.retry_after_s = r->retry_after_s,
	};
	struct bytes *body;

	if (!r->code)
		st.message = "out of memory";
	body = status_bytes(&st);
	if (st.retry_after_s) {
		char text[16];

		snprintf(text, sizeof(text), "%d", st.retry_after_s);
		http_header(c->req, "Retry-After", text);
	}
	causes_fini(&c->refusal.causes);
	reply_json(c->req, st.code, body);
}
