/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stream.c - an answer that goes on: chunks, as they come
 *
 * Room: one response per stream, whose reader libmicrohttpd asks when the socket takes more.  With
 * nothing to say the connection is suspended until http_stream_wake(), and then for its turn: what
 * is said to a thousand readers at once would hold up everybody else.  From the first time on its
 * descriptor is watched for a hang-up, so that a reader who went away is noticed at once.  One who
 * takes nothing for too long is libmicrohttpd's to end.  The connection ends with the stream.
 * May include: netd/base, libmicrohttpd.
 */
#include <netd/http/server.h>

#define BLOCK_BYTES 1024        /* only for HTTP/1.0; chunks use the connection's buffer */

struct http_stream {
	struct request *req;        /* NULL: freed before us */
	TAILQ_ENTRY(http_stream) next;      /* of those that were woken */
	ssize_t (*read)(void *arg, char *buf, size_t max);
	void (*end)(void *arg);     /* NULL: it may end anywhere */
	void (*close)(void *arg);
	void *arg;
	bool idle, woken, ended, broken;
};

static void take_from_queue(struct http_stream *s)
{
	if (s->woken)
		TAILQ_REMOVE(&s->req->door->woken, s, next);
	s->woken = false;
}

static void on_hangup(void *arg, uint32_t events)
{
	struct http_stream *s = arg;

	(void)events;
	loop_unwatch(take_ptr(s->req->hangup));
	s->broken = true;
	http_stream_wake(s);
}

static ssize_t read_chunk(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_stream *s = cls;
	ssize_t n;

	(void)pos;
	if (s->broken)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = s->ended && !s->end ? -1 : s->read(s->arg, buf, max);
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n > 0)
		return n;
	s->idle = true;
	MHD_suspend_connection(s->req->conn);
	request_watch_hangup(s->req, on_hangup, s);
	return 0;
}

/* libmicrohttpd is done with the response: after the last chunk, or when the connection broke. */
static void stream_free(void *cls)
{
	struct http_stream *s = cls;

	if (s->req) {
		take_from_queue(s);
		s->req->stream = NULL;
	}
	s->close(s->arg);
	free(s);
}

struct http_stream *http_stream(struct request *req, const char *content_type,
				ssize_t (*read)(void *arg, char *buf, size_t max),
				void (*close)(void *arg), void *arg)
{
	struct http_stream *s;
	struct MHD_Response *response;

	if (req->state != REQUEST_HANDLING && req->state != REQUEST_WAITING)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct http_stream){ .req = req, .read = read, .close = close, .arg = arg };
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_chunk, s,
						     stream_free);
	if (!response) {
		free(s);
		return NULL;
	}
	http_header(req, MHD_HTTP_HEADER_CONNECTION, "close");
	loop_unwatch(take_ptr(req->hangup));    /* of who waited for an answer */
	caller_streams(req->caller);
	req->stream = s;
	request_finish(req, MHD_HTTP_OK, response, content_type);
	return s;
}

void http_stream_wake(struct http_stream *s)
{
	if (!s->idle || !s->req || s->woken)
		return;
	s->woken = true;
	TAILQ_INSERT_TAIL(&s->req->door->woken, s, next);
}

void http_stream_on_end(struct http_stream *s, void (*end)(void *arg))
{
	s->end = end;
}

void streams_resume(struct door *door, unsigned most)
{
	struct http_stream *s;

	while (most-- && (s = TAILQ_FIRST(&door->woken))) {
		take_from_queue(s);
		s->idle = false;
		request_resume(s->req);
	}
}

void http_stream_cut(struct http_stream *s)
{
	if (s->req)
		caller_cut(s->req->caller);
}

void stream_orphan(struct http_stream *s)
{
	take_from_queue(s);
	s->req = NULL;
}

void stream_close(struct http_stream *s)
{
	s->ended = true;
	if (s->end)
		s->end(s->arg);
	http_stream_wake(s);
}
