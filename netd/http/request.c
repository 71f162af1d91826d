/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * request.c - one request from its first line to its answer
 *
 * Room: libmicrohttpd calls request_answer() once when the header is there, once per piece of the
 * body, and once at the end; after a resume it calls again, and there the answer is queued.
 * While suspended a connection is in nobody's epoll set, so who wants to know that the client is
 * gone watches the descriptor for a hang-up meanwhile; not from the first moment, since most are
 * answered before anybody has lost patience.  May include: netd/base, libmicrohttpd.
 * #syscalls: getsockopt
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/http/server.h>
#include <sys/epoll.h>

#define WATCH_MS    300         /* of waiting */
#define BODY_ROOM   1024        /* for a body, at first */
#define DROP_BYTES  (128 * LIMIT_BODY_BYTES)    /* of too large a body, so that its 413 is read */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place.  Text with a malformed escape, or one of NUL, stays as it was sent. */
size_t request_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
	char *out = s;

	(void)cls;
	(void)conn;
	for (const char *p = strchr(s, '%'); p; p = strchr(p + 3, '%'))
		if (hex(p[1]) < 0 || hex(p[2]) < 0 || (p[1] == '0' && p[2] == '0'))
			return strlen(s);
	for (const char *p = s; *p; p++) {
		if (*p == '%') {
			*out++ = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
	return (size_t)(out - s);
}

/* RFC 9112, 3.2.2: a server accepts the absolute form too. */
static const char *path_of(struct arena *a, const char *url)
{
	const char *host;

	if (*url == '/')
		return arena_strdup(a, url);
	host = strstr(url, "://");
	if (!host)
		return arena_printf(a, "/%s", url);
	host = strchr(host + 3, '/');
	return arena_strdup(a, host ? host : "/");
}

/* What the door knows, then what it asks: the header is there. */
static void identify(struct request *req)
{
	const struct http_door *door = &req->door->conf;
	const struct caller *c = req->caller;

	req->peer = (struct http_peer){
		.door = req->door->name, .client = c->client->name, .name = c->client->name,
		.role = door->role,
		.pid = (uint32_t)c->cred.pid, .uid = c->cred.uid, .gid = c->cred.gid,
	};
	if (door->identify)
		door->identify(door->arg, req, &req->peer);
}

static struct request *request_new(struct door *door, struct MHD_Connection *conn,
				   const char *url, const char *method)
{
	struct caller *caller = caller_of(conn);
	struct http *http = door->http;
	struct request *req;

	if (!caller || caller->gone)
		return NULL;
	req = calloc(1, sizeof(*req));
	if (!req)
		return NULL;
	req->door = door;
	req->conn = conn;
	req->caller = caller;
	req->path = path_of(&req->arena, url);
	req->method = arena_strdup(&req->arena, method);
	if (!req->path || !req->method) {
		arena_fini(&req->arena);
		free(req);
		return NULL;
	}
	identify(req);
	if (req->caller->over)
		req->busy = "there are too many connections";
	req->last = &req->headers;
	req->started_us = now_monotonic_us();
	req->next = http->requests;
	req->link = &http->requests;
	if (req->next)
		req->next->link = &req->next;
	http->requests = req;
	return req;
}

/*
 * What was announced, for most bodies are small, and there are as many at a time as clients: for a piece
 * of a KiB or more malloc(3) puts all small ones that are free together again (glibc, _int_malloc()).
 */
static size_t first_room(const struct request *req)
{
	return req->announced && req->announced < BODY_ROOM ? req->announced + 1 : BODY_ROOM;
}

static bool body_add(struct request *req, const char *data, size_t len)
{
	size_t cap = req->cap ? req->cap : first_room(req);
	char *body;

	if (req->len + len > LIMIT_BODY_BYTES)
		req->too_large = true;
	while (cap < req->len + len + 1)
		cap *= 2;
	if (cap != req->cap && !caller_may_hold(req->caller, cap - req->cap))
		req->busy = "too much is being sent and not taken";
	if (req->too_large || req->busy || !req->peer.role) {   /* nobody's body is not kept */
		req->dropped += len;
		return req->dropped <= DROP_BYTES;
	}
	if (cap != req->cap) {
		body = realloc(req->body, cap);
		if (!body)
			return false;
		caller_hold(req->caller, cap - req->cap);
		req->body = body;
		req->cap = cap;
	}
	memcpy(req->body + req->len, data, len);
	req->len += len;
	req->body[req->len] = '\0';
	return true;
}

static void watch_later(struct request *req)
{
	struct loop_timer *timer = req->door->http->waiting;

	if (req->abort && !req->hangup && !loop_timer_armed(timer))
		loop_timer_set(timer, WATCH_MS);
}

static enum MHD_Result queue_response(struct request *req)
{
	struct MHD_Response *response = take_ptr(req->response);
	enum MHD_Result r;

	if (!req->stream)
		caller_answering(req->caller);
	r = MHD_queue_response(req->conn, req->code, response);
	MHD_destroy_response(response);
	return r;
}

/*
 * Whoever waits for a 100 (Continue), or announces more than we are ready to drop, is answered
 * before the body; libmicrohttpd then closes the connection.
 */
static bool refused_early(struct request *req)
{
	const char *length = request_header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long n = length ? strtoull(length, NULL, 10) : 0;

	req->announced = n;
	req->too_large = n > LIMIT_BODY_BYTES &&
			 (n > DROP_BYTES || request_header(req, MHD_HTTP_HEADER_EXPECT));
	return req->too_large;
}

/* The whole request is there, or the connection was resumed. */
static enum MHD_Result proceed(struct request *req)
{
	struct http *http = req->door->http;

	if (req->state == REQUEST_READING) {
		if (http->closing)
			return MHD_NO;
		caller_busy(req->caller);
		if (req->too_large || req->busy) {
			free(req->body);
			req->body = NULL;
			req->len = 0;
		}
		req->state = REQUEST_HANDLING;
		http->conf.handle(http->conf.arg, req);
	}
	switch (req->state) {
	case REQUEST_ANSWERED:
		return req->response ? queue_response(req) : MHD_NO;
	case REQUEST_HANDLING:
		req->state = REQUEST_WAITING;
		MHD_suspend_connection(req->conn);
		watch_later(req);
		return MHD_YES;
	case REQUEST_WAITING:           /* resumed because the server ends */
	case REQUEST_ABORTED:
	case REQUEST_READING:
		break;
	}
	return MHD_NO;
}

/* The first line is there; what it returns is the request until there is one. */
void *request_begun(void *cls, const char *uri, struct MHD_Connection *conn)
{
	(void)cls;
	(void)uri;
	if (caller_of(conn))
		caller_reading(caller_of(conn));
	return NULL;
}

enum MHD_Result request_answer(void *cls, struct MHD_Connection *conn, const char *url,
			       const char *method, const char *version, const char *data,
			       size_t *len, void **con_cls)
{
	struct request *req = *con_cls;

	(void)version;
	if (!req) {
		req = request_new(cls, conn, url, method);
		*con_cls = req;
		if (!req || !refused_early(req))
			return req ? MHD_YES : MHD_NO;
		return proceed(req);
	}
	if (*len && req->state == REQUEST_READING) {
		bool ok = body_add(req, data, *len);

		*len = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	return proceed(req);
}

void request_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		       enum MHD_RequestTerminationCode why)
{
	struct request *req = *con_cls;

	(void)cls;
	(void)conn;
	(void)why;
	if (!req)
		return;
	*con_cls = NULL;
	loop_unwatch(req->hangup);
	if (req->state == REQUEST_WAITING && req->abort)
		req->abort(req->abort_arg);
	if (req->response)
		MHD_destroy_response(req->response);
	if (req->stream)
		stream_orphan(req->stream);
	caller_answered(req->caller);
	*req->link = req->next;
	if (req->next)
		req->next->link = req->link;
	free(req->body);
	arena_fini(&req->arena);
	free(req);
}

void request_resume(struct request *req)
{
	if (!req->stream)       /* a stream is suspended again soon */
		loop_unwatch(take_ptr(req->hangup));
	req->door->pending = true;
	MHD_resume_connection(req->conn);
}

/*
 * EPOLLHUP comes unasked, and only when both directions are shut: a half-closed client waits.  Over
 * TCP a client that is gone looks like that too, so there a stream ends with it.
 */
void request_watch_hangup(struct request *req, void (*fn)(void *arg, uint32_t events), void *arg)
{
	uint32_t events = req->stream && !req->caller->local ? EPOLLRDHUP : 0;

	if (!req->hangup)
		(void)loop_watch_fd(req->door->http->loop, req->caller->fd, events, fn, arg,
				    &req->hangup);
}

static void on_hangup(void *arg, uint32_t events)
{
	struct request *req = arg;

	(void)events;
	req->state = REQUEST_ABORTED;
	req->abort(req->abort_arg);
	request_resume(req);
}

void requests_watch(void *arg)
{
	const struct http *http = arg;

	for (struct request *req = http->requests; req; req = req->next)
		if (req->state == REQUEST_WAITING && req->abort)
			request_watch_hangup(req, on_hangup, req);
}

void request_close(struct request *req)
{
	if (req->stream) {
		stream_close(req->stream);
		return;
	}
	if (req->state != REQUEST_WAITING)
		return;
	req->state = REQUEST_ABORTED;
	if (req->abort)
		req->abort(req->abort_arg);
	request_resume(req);
}

const char *request_method(const struct request *req)
{
	return req->method;
}

const char *request_path(const struct request *req)
{
	return req->path;
}

struct lookup {
	const char *name, *value;
};

static enum MHD_Result match(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct lookup *l = cls;

	(void)kind;
	if (strcmp(key, l->name) != 0)      /* libmicrohttpd's own look-up ignores case */
		return MHD_YES;
	l->value = value ? value : "";
	return MHD_NO;
}

const char *request_query(const struct request *req, const char *name)
{
	struct lookup l = { .name = name };

	MHD_get_connection_values(req->conn, MHD_GET_ARGUMENT_KIND, match, &l);
	return l.value;
}

bool request_query_bool(const struct request *req, const char *name)
{
	const char *value = request_query(req, name);

	return value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

const char *request_header(const struct request *req, const char *name)
{
	return MHD_lookup_connection_value(req->conn, MHD_HEADER_KIND, name);
}

const char *request_body(const struct request *req, size_t *len)
{
	*len = req->len;
	return req->body ? req->body : "";
}

const struct http_peer *request_peer(const struct request *req)
{
	return &req->peer;
}

const char *request_busy(const struct request *req)
{
	return req->busy;
}

bool request_may_hold(const struct request *req, size_t bytes)
{
	return caller_may_hold(req->caller, bytes);
}

bool request_may_stream(const struct request *req)
{
	return caller_may_stream(req->caller);
}

bool request_too_large(const struct request *req)
{
	return req->too_large;
}

struct arena *request_arena(struct request *req)
{
	return &req->arena;
}

uint64_t request_started_us(const struct request *req)
{
	return req->started_us;
}

void http_header(struct request *req, const char *name, const char *value)
{
	struct header *h = arena_alloc(&req->arena, sizeof(*h));

	if (!h)
		return;
	h->name = arena_strdup(&req->arena, name);
	h->value = arena_strdup(&req->arena, value);
	if (!h->name || !h->value)
		return;
	*req->last = h;
	req->last = &h->next;
}

/* A @response of NULL means that memory ran out: the connection is closed without an answer. */
void request_finish(struct request *req, unsigned code, struct MHD_Response *response,
		    const char *content_type)
{
	bool waiting = req->state == REQUEST_WAITING;

	if (req->state != REQUEST_HANDLING && !waiting) {
		if (response)
			MHD_destroy_response(response);
		return;
	}
	if (response && req->caller->over)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (response && content_type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	for (const struct header *h = req->headers; response && h; h = h->next)
		MHD_add_response_header(response, h->name, h->value);
	req->response = response;
	req->code = code;
	req->state = REQUEST_ANSWERED;
	if (waiting)
		request_resume(req);
}

static void unref(void *arg)
{
	bytes_unref(arg);
}

void http_reply(struct request *req, unsigned code, const char *content_type, struct bytes *body)
{
	struct MHD_Response *response;

	if (body)
		caller_hold(req->caller, body->len);
	if (body)
		response = MHD_create_response_from_buffer_with_free_callback_cls(
			body->len, body->data, unref, body);
	else
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!response)
		bytes_unref(body);
	request_finish(req, code, response, content_type);
}

void http_reply_static(struct request *req, unsigned code, const char *content_type,
		       const void *data, size_t len)
{
	/* it is only read, but the type of the argument does not say so */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);

	request_finish(req, code, response, content_type);
}

void http_on_abort(struct request *req, void (*fn)(void *arg), void *arg)
{
	req->abort = fn;
	req->abort_arg = arg;
	if (req->state == REQUEST_WAITING)
		watch_later(req);
}
