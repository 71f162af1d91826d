/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.h - what the files of this room share
 *
 * Room: http.  May include: netd/base, libmicrohttpd.
 */
#ifndef NETD_HTTP_SERVER_H
#define NETD_HTTP_SERVER_H

#include <microhttpd.h>
#include <netd/http/http.h>

/*
 * A request is made at its first line and freed when libmicrohttpd has sent the answer.
 *   READING     the body arrives
 *   HANDLING    the handler runs, inside libmicrohttpd's callback
 *   WAITING     the handler kept it; the connection is suspended
 *   ANSWERED    there is a response: queued now, or in the callback after the resume
 *   ABORTED     the client went away; the connection is to be closed
 */
enum request_state { REQUEST_READING, REQUEST_HANDLING, REQUEST_WAITING, REQUEST_ANSWERED,
		     REQUEST_ABORTED };

struct header {
	struct header *next;
	const char *name, *value;
};

/* A listening descriptor and the daemon of libmicrohttpd behind it. */
struct door {
	struct http *http;
	struct door *next;
	struct http_door conf;
	char *name, *path;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	bool pending;                       /* libmicrohttpd must run in this turn */
};

struct request {
	struct door *door;
	struct MHD_Connection *conn;
	struct request *next, **link;       /* all of a server's, of every door */
	struct arena arena;
	enum request_state state;
	const char *method, *path;
	char *body;
	size_t len, cap, dropped;
	bool too_large;
	struct http_peer peer;
	uint64_t started_us;
	struct header *headers, **last;     /* of the answer */
	struct MHD_Response *response;      /* ANSWERED, not queued yet */
	unsigned code;
	struct http_stream *stream;
	void (*abort)(void *arg);
	void *abort_arg;
	struct loop_watch *hangup;          /* while suspended: the peer's end is gone */
};

struct http {
	struct loop *loop;
	struct http_config conf;
	struct door *doors;
	struct request *requests;
	bool closing;
};

/* request.c */
enum MHD_Result request_answer(void *cls, struct MHD_Connection *conn, const char *url,
			       const char *method, const char *version, const char *data,
			       size_t *len, void **con_cls);
void request_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		       enum MHD_RequestTerminationCode why);
size_t request_unescape(void *cls, struct MHD_Connection *conn, char *s);
void request_close(struct request *req);        /* the server ends */
void request_resume(struct request *req);
void request_watch_hangup(struct request *req, void (*fn)(void *arg, uint32_t events), void *arg);
void request_finish(struct request *req, unsigned code, struct MHD_Response *response,
		    const char *content_type);

/* stream.c */
void stream_close(struct http_stream *stream);
void stream_orphan(struct http_stream *stream);     /* its request is freed */

#endif
