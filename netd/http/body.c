/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * body.c - an answer that is made while it is sent
 *
 * Room: one response whose reader libmicrohttpd asks for a piece whenever the socket takes more, so
 * that between two pieces of a large answer others have their turn.  Unlike a stream it always has
 * something to say until it ends, and the connection lives on.  May include: netd/base,
 * libmicrohttpd.
 */
#include <errno.h>
#include <netd/http/server.h>

#define BLOCK_BYTES (64 * 1024)     /* of a known size; a chunk is what fits the connection's buffer */

struct body {
	ssize_t (*read)(void *arg, char *buf, size_t max);
	void (*close)(void *arg);
	void *arg;
};

static ssize_t read_piece(void *cls, uint64_t pos, char *buf, size_t max)
{
	const struct body *body = cls;
	ssize_t n = body->read(body->arg, buf, max);

	(void)pos;
	if (n == 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void body_free(void *cls)
{
	struct body *body = cls;

	body->close(body->arg);
	free(body);
}

int http_produce(struct request *req, const char *content_type, const struct http_body *conf,
		 void *arg)
{
	uint64_t size = conf->size ? conf->size : MHD_SIZE_UNKNOWN;
	struct body *body = malloc(sizeof(*body));
	struct MHD_Response *response = NULL;

	if (body) {
		*body = (struct body){ conf->read, conf->close, arg };
		response = MHD_create_response_from_callback(size, BLOCK_BYTES, read_piece, body,
							     body_free);
	}
	if (!response) {
		free(body);
		return -ENOMEM;
	}
	caller_hold(req->caller, conf->held);
	request_finish(req, MHD_HTTP_OK, response, content_type);
	return 0;
}
