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
#include <sys/queue.h>
#include <sys/socket.h>

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

/* Whose connections are counted together. */
struct client {
	char name[64];                      /* "uid:1000", or an address */
	int refs;                           /* callers, with those that were cut and are still there */
	int callers, streams;
	size_t held;                        /* bytes */
	TAILQ_HEAD(, caller) waiting;       /* callers without a whole request, oldest first */
};

/* One connection, from its beginning until libmicrohttpd has let go of it. */
struct caller {
	struct door *door;
	struct client *client;
	TAILQ_ENTRY(caller) next;           /* of those that wait */
	struct loop_timer *timer;           /* until what it does now takes too long */
	struct ucred cred;                  /* of a Unix socket */
	int fd;
	bool local;                         /* by a Unix socket */
	bool waits, stream;
	bool over;                          /* of too many: its requests are answered 429 */
	bool gone;                          /* was cut */
	size_t held;
	struct MHD_Connection *shaking;     /* TLS before its first request: in the door's list */
	LIST_ENTRY(caller) others;
	struct loop_watch *answer;          /* of the client, while suspended */
};

/* A listening descriptor and the daemon of libmicrohttpd behind it. */
struct door {
	struct http *http;
	struct door *next;
	struct http_door conf;
	char *name, *path;
	LIST_HEAD(, caller) shaking;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	bool pending;                       /* libmicrohttpd must run in this turn */
	TAILQ_HEAD(, http_stream) woken;    /* streams that may have something to say */
};

struct request {
	struct door *door;
	struct caller *caller;
	struct MHD_Connection *conn;
	struct request *next, **link;       /* all of a server's, of every door */
	struct arena arena;
	enum request_state state;
	const char *method, *path;
	char *body;
	size_t len, cap, dropped;
	unsigned long long announced;       /* bytes of the body; 0: none, or nothing was said */
	bool too_large;
	const char *busy;                   /* why it is answered 429 */
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
	struct http_limits limits;
	struct door *doors;
	struct map clients;
	int callers, streams;
	size_t held;
	struct request *requests;
	struct loop_timer *waiting;         /* some wait, and nobody looks whether they are there */
	bool closing;
};

/* caller.c */
void callers_limits(const struct http_limits *asked, struct http_limits *ret);
void callers_notify(void *cls, struct MHD_Connection *conn, void **context,
		    enum MHD_ConnectionNotificationCode what);
struct caller *caller_of(struct MHD_Connection *conn);      /* NULL: there was no memory for it */
void caller_cut(struct caller *c);
void caller_reading(struct caller *c);          /* the first line of a request is there */
void caller_busy(struct caller *c);             /* the whole request is */
void caller_answering(struct caller *c);        /* the answer is being sent, and is no stream */
void caller_answered(struct caller *c);
bool caller_may_hold(const struct caller *c, size_t bytes);
void caller_hold(struct caller *c, size_t bytes);
bool caller_may_stream(const struct caller *c);
void caller_streams(struct caller *c);

/* request.c */
void *request_begun(void *cls, const char *uri, struct MHD_Connection *conn);
enum MHD_Result request_answer(void *cls, struct MHD_Connection *conn, const char *url,
			       const char *method, const char *version, const char *data,
			       size_t *len, void **con_cls);
void request_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		       enum MHD_RequestTerminationCode why);
size_t request_unescape(void *cls, struct MHD_Connection *conn, char *s);
void request_close(struct request *req);        /* the server ends */
void request_resume(struct request *req);
void requests_watch(void *http);                /* who waits for so long may be gone meanwhile */
void request_watch_hangup(struct request *req, void (*fn)(void *arg, uint32_t events), void *arg);
void request_finish(struct request *req, unsigned code, struct MHD_Response *response,
		    const char *content_type);

/* tls.c */
#define TLS_OPTIONS 4
void tls_options(const struct http_tls *tls, struct MHD_OptionItem items[TLS_OPTIONS]);
/** tls_begin() - a connection, before its handshake; @caller may be NULL, for want of memory */
void tls_begin(struct door *door, struct MHD_Connection *conn, struct caller *caller);
/** tls_rest() - after each run: suspend those whose handshake waits for the client */
void tls_rest(struct door *door);
void tls_begun(struct caller *caller);          /* a request, so the handshake is over */
void tls_close(struct door *door);              /* before libmicrohttpd stops */

/* stream.c */
void stream_close(struct http_stream *stream);
void stream_orphan(struct http_stream *stream);     /* its request is freed */
void streams_resume(struct door *door, unsigned most);      /* those who wait longest for it */

#endif
