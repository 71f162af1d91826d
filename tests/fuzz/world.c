/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world.c - the http room's functions over a request in memory, and a reconciler without a kernel
 *
 * Room: tests/fuzz; see world.h.
 */
#include "world.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netinet/in.h>
#include <strings.h>

#define READS_MAX 64            /* of one stream in one turn */

struct reconcile {
	bool ready;
};

const char *pair_of(const struct pairs *pairs, const char *name, bool any_case)
{
	for (size_t i = 0; i < pairs->n; i++)
		if ((any_case ? strcasecmp : strcmp)(pairs->v[i].name, name) == 0)
			return pairs->v[i].value;
	return NULL;
}

const char *request_method(const struct request *req)
{
	return req->method;
}

const char *request_path(const struct request *req)
{
	return req->path;
}

const char *request_query(const struct request *req, const char *name)
{
	return pair_of(&req->query, name, false);
}

bool request_query_bool(const struct request *req, const char *name)
{
	const char *value = request_query(req, name);

	return value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

const char *request_header(const struct request *req, const char *name)
{
	return pair_of(&req->headers, name, true);
}

const char *request_body(const struct request *req, size_t *len)
{
	*len = req->len;
	return req->body;
}

const struct http_peer *request_peer(const struct request *req)
{
	return &req->peer;
}

bool request_too_large(const struct request *req)
{
	(void)req;
	return false;
}

const char *request_busy(const struct request *req)
{
	(void)req;
	return NULL;
}

bool request_may_hold(const struct request *req, size_t bytes)
{
	(void)req;
	return bytes <= LIMIT_CLIENT_HELD_BYTES;
}

bool request_may_stream(const struct request *req)
{
	(void)req;
	return true;
}

struct arena *request_arena(struct request *req)
{
	return &req->arena;
}

uint64_t request_started_us(const struct request *req)
{
	(void)req;
	return 0;
}

void http_header(struct request *req, const char *name, const char *value)
{
	struct pair *p = &req->sent.v[req->sent.n];

	must(!strpbrk(name, "\r\n: ") && !strpbrk(value, "\r\n"));
	if (req->sent.n == ARRAY_SIZE(req->sent.v))
		return;
	p->name = arena_strdup(&req->arena, name);
	p->value = arena_strdup(&req->arena, value);
	req->sent.n++;
}

void http_reply(struct request *req, unsigned code, const char *content_type, struct bytes *body)
{
	req->answers++;
	req->code = code;
	req->type = content_type;
	bytes_unref(req->answer);
	req->answer = body;
}

void http_reply_static(struct request *req, unsigned code, const char *content_type,
		       const void *data, size_t len)
{
	http_reply(req, code, content_type, bytes_new(data, len));
}

/* Pieces of any size: a client takes what it takes. */
int http_produce(struct request *req, const char *content_type, const struct http_body *conf,
		 void *arg)
{
	struct buf out = { 0 };
	char piece[4096];
	size_t max = 1;
	ssize_t n;

	while ((n = conf->read(arg, piece, max)) > 0) {
		must((size_t)n <= max);
		buf_add(&out, piece, (size_t)n);
		max = max * 5 % 4095 + 1;
	}
	conf->close(arg);
	must(n == 0 && (!conf->size || conf->size == out.len));
	http_reply(req, 200, content_type, buf_bytes(&out));
	buf_fini(&out);
	return 0;
}

void http_on_abort(struct request *req, void (*fn)(void *arg), void *arg)
{
	req->abort = fn;
	req->abort_arg = arg;
}

struct http_stream *http_stream(struct request *req, const char *content_type,
				ssize_t (*read)(void *arg, char *buf, size_t max),
				void (*close)(void *arg), void *arg)
{
	struct http_stream *s = calloc(1, sizeof(*s));

	must(s);
	*s = (struct http_stream){ .read = read, .close = close, .arg = arg };
	req->answers++;
	req->code = 200;
	req->type = content_type;
	req->stream = s;
	return s;
}

void http_stream_wake(struct http_stream *stream)
{
	(void)stream;               /* it is read at the end of each turn */
}

void http_stream_on_end(struct http_stream *stream, void (*end)(void *arg))
{
	(void)stream, (void)end;    /* it ends with its reader */
}

void http_stream_cut(struct http_stream *stream)
{
	(void)stream;               /* nothing lasts so long */
}

bool reconcile_ready(const struct reconcile *rec)
{
	return rec->ready;
}

void reconcile_hint(struct reconcile *rec, struct object *pod)
{
	(void)rec;
	(void)pod;
}

size_t reconcile_node_ips(const struct reconcile *rec, struct podnet_prefix ret[2])
{
	(void)rec;
	return podnet_prefix_parse("192.0.2.1", &ret[0]) == 0;
}

int reconcile_traffic(struct reconcile *rec, bool waits,
		      void (*done)(void *arg, const struct traffic *t), void *arg)
{
	(void)rec;
	(void)waits;
	done(arg, NULL);
	return 0;
}

void reconcile_traffic_forget(struct reconcile *rec, const void *arg)
{
	(void)rec;
	(void)arg;
}

void reconcile_tunnels_ask(struct reconcile *rec)
{
	(void)rec;
}

void reconcile_tunnels_each(const struct reconcile *rec,
			    void (*each)(void *arg, const char *name, const struct fwd_counts *c), void *arg)
{
	const struct fwd_counts c = { .msg = { .at = { .family = AF_INET6 } } };

	(void)rec;
	each(arg, "t0", &c);
}

int traffic_rows(const struct traffic *t, const struct object *service, struct traffic_row **ret,
		 size_t *n)
{
	(void)t;
	(void)service;
	*ret = NULL;
	*n = 0;
	return 0;
}

bool traffic_any(const struct traffic *t)
{
	return t != NULL;
}

void traffic_add(struct traffic_row *to, const struct traffic_row *from)
{
	to->connections += from->connections;
}

size_t reconcile_reserved(const struct reconcile *rec, const struct podnet_prefix **ret)
{
	(void)rec;
	*ret = NULL;
	return 0;
}

const struct podnet_prefix *reconcile_node_overlap(const struct reconcile *rec,
						   const struct podnet_prefix *p)
{
	(void)rec, (void)p;
	return NULL;
}

void world_open(struct world *w)
{
	static struct reconcile reconcile = { .ready = true };
	struct rest_config conf;
	char error[STORE_WORDS];

	log_init(LOG_LEVEL_ERROR);
	*w = (struct world){ .conf = {
		.node_name = "n", .netns_dir = "/run/netns", .run_dir = "/run/podnet",
		.ncluster_cidrs = 1, .block_len = { 22, 64 }, .nservice_cidrs = 1,
		.nbalancer_cidrs = 1,
		.node_port_min = 30000, .node_port_max = 32767,
	} };
	must(podnet_prefix_parse("10.244.0.0/16", &w->conf.cluster_cidrs[0]) == 0);
	must(podnet_prefix_parse("10.96.0.0/16", &w->conf.service_cidrs[0]) == 0);
	must(loop_new(&w->loop) == 0);
	must(store_open(NULL, &w->store, error) == 0);
	must(state_new(w->loop, w->store, &w->conf, &w->state, error) == 0);
	conf = (struct rest_config){ .loop = w->loop, .state = w->state, .reconcile = &reconcile };
	must(rest_new(&conf, &w->rest) == 0);
}

static void close_stream(struct http_stream *s)
{
	s->close(s->arg);
	buf_fini(&s->text);
	free(s);
}

void world_close(struct world *w)
{
	for (size_t i = 0; i < w->nstreams; i++)
		close_stream(w->streams[i]);
	rest_free(w->rest);
	state_close(w->state);
	store_close(w->store);
	state_free(w->state);
	loop_free(w->loop);
}

static void read_stream(struct http_stream *s)
{
	char buf[256];
	ssize_t n = 1;

	for (int i = 0; i < READS_MAX && n > 0 && !s->ended; i++) {
		n = s->read(s->arg, buf, i ? sizeof(buf) : 3);
		must(n <= (ssize_t)sizeof(buf));
		if (n > 0)
			buf_add(&s->text, buf, (size_t)n);
		s->ended = n < 0;
	}
}

void world_ask(struct world *w, struct request *req, bool goes_away)
{
	rest_handle(w->rest, req);
	if (goes_away && !req->answers && req->abort) {
		req->abort(req->abort_arg);
		req->answers++;
		req->code = 0;
	}
	while (world_commit(w->store))
		;
	if (req->stream && w->nstreams < STREAMS_MAX)
		w->streams[w->nstreams++] = req->stream;
	else if (req->stream)
		close_stream(req->stream);
	for (size_t i = 0; i < w->nstreams; i++)
		read_stream(w->streams[i]);
}

void world_request_fini(struct request *req)
{
	bytes_unref(req->answer);
	arena_fini(&req->arena);
}
