/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http.h - requests and answers, over libmicrohttpd; knows no networks and no JSON
 *
 * The only room that sees libmicrohttpd, run with external epoll on the control loop.  A server has
 * doors: a door is where clients come in, with what it knows of them; all doors share one handler.
 * What a peer may do is its role, given by the door or, request by request, by the door's
 * identify(); the handler asks for it, this room lets everybody in.  A handler
 * answers at once with http_reply(), or keeps the request and answers later from the same thread
 * (the connection is suspended meanwhile), or opens a stream.  libmicrohttpd 0.9.75 does not wake
 * its epoll descriptor when a connection is resumed: the server runs it in the same turn.
 */
#ifndef NETD_HTTP_H
#define NETD_HTTP_H

#include <netd/base/loop.h>
#include <sys/socket.h>

struct http;
struct request;

/** What a peer may do; each role includes those before it. */
enum http_role {
	ROLE_NONE,                  /* nobody we know: 401 */
	ROLE_VIEW,                  /* reads */
	ROLE_ADMIN,                 /* and writes */
};

/** Who asks.  Strings live as long as the request. */
struct http_peer {
	const char *door;           /* its name */
	const char *client;         /* whose limits count: "uid:1000", or an address */
	const char *name;           /* the same, or what identify() says; never NULL */
	enum http_role role;
	const char *foreign;        /* NULL, or why nobody at all is served who asks like this: 403 */
	uint32_t pid, uid, gid;     /* SO_PEERCRED of a Unix socket, else 0 */
};

/** What listens. */
struct http_socket {
	int fd;
	uint64_t dev, ino;          /* of a Unix socket's file */
};

/**
 * TLS of a door.  What is GnuTLS's is handed through as it is: sessions are a gnutls_session_t.
 * Borrowed until http_close().
 */
struct http_tls {
	const char *priorities, *trust;     /* trust: authorities in PEM; clients are asked, not told */
	void (*certificate)(void);          /* a gnutls_certificate_retrieve_function2 */
	void (*begin)(void *arg, void *session);    /* before the handshake */
	bool (*pending)(void *session);     /* it holds what nobody has read yet */
	void *arg;
};

/** One way in.  Strings are copied, @sock is taken, also when the door cannot be opened. */
struct http_door {
	const char *name;           /* for the log: "admin" */
	enum http_role role;        /* of all who come in here, if identify() does not say otherwise */
	struct http_socket sock;
	const char *path;           /* of a Unix socket: removed in the end; else NULL */
	const struct http_tls *tls; /* NULL: none */
	/* by the header of each request; may be NULL.  @peer is filled with what the door knows */
	void (*identify)(void *arg, struct request *req, struct http_peer *peer);
	void *arg;                  /* of identify() */
};

/** What a client, a user on a Unix socket or else an address, and all together may have. */
struct http_limits {
	int connections, client_connections;
	int streams, client_streams;
	size_t held_bytes, client_held_bytes;   /* bodies and answers under way */
	uint32_t idle_ms;           /* without a request's first line */
	uint32_t handshake_ms;      /* the same for the first one, where there is TLS */
	uint32_t request_ms;        /* from there until it is whole */
	uint32_t reply_ms;          /* until the answer is taken, if it is no stream */
	uint32_t stall_s;           /* without a byte taken, also of a stream */
};

struct http_config {
	const struct http_limits *limits;   /* NULL: those of netd/base/limits.h */
	void (*handle)(void *arg, struct request *req);
	void *arg;
};

/**
 * http_listen() - a Unix socket at @path, which is replaced if nobody listens on it
 * @group: its group if such a group exists; mode 0660.  May be NULL
 *
 * Apart from the doors, for who may give a socket to a group only until he gives up his rights.
 * Clients wait from now on, and are answered when a door is opened.
 */
int http_listen(const char *path, const char *group, struct http_socket *ret);
/** http_listen_tcp() - the same, for a door with TLS */
int http_listen_tcp(const struct sockaddr *sa, socklen_t len, struct http_socket *ret);
/** http_unlisten() - for what no door has taken */
void http_unlisten(const char *path, struct http_socket *sock);

int http_open(struct loop *loop, const struct http_config *conf, struct http **ret);
/** http_door_open() - let clients in; open until http_close() */
int http_door_open(struct http *http, const struct http_door *conf);
void http_close(struct http *http);         /* ends every stream, answers nothing more */

/* The request.  What these return lives until it is answered. */
const char *request_method(const struct request *req);      /* upper case */
const char *request_path(const struct request *req);        /* decoded, begins with '/' */
/** request_query() - first value of a parameter, decoded; NULL when absent, "" when empty */
const char *request_query(const struct request *req, const char *name);
bool request_query_bool(const struct request *req, const char *name);   /* API-CONTRACT 2 */
const char *request_header(const struct request *req, const char *name);    /* or NULL */
const char *request_body(const struct request *req, size_t *len);       /* NUL behind it */
const struct http_peer *request_peer(const struct request *req);
/** request_tls_session() - after its handshake; NULL: the door has no TLS */
void *request_tls_session(const struct request *req);
/** request_too_large() - the body passed LIMIT_BODY_BYTES and was not kept: answer 413 */
bool request_too_large(const struct request *req);
/** request_busy() - NULL, or why it cannot be served now, and has no body: answer 429 */
const char *request_busy(const struct request *req);
/** request_may_hold() - false: the client takes too little of its answers for one of @bytes: 429 */
bool request_may_hold(const struct request *req, size_t bytes);
/** request_may_stream() - false: there are too many streams, of this client or in all: 429 */
bool request_may_stream(const struct request *req);
/** request_arena() - freed with the request */
struct arena *request_arena(struct request *req);
uint64_t request_started_us(const struct request *req);

/** http_header() - add a response header before the answer; both are copied */
void http_header(struct request *req, const char *name, const char *value);
/** http_reply() - answer, from the loop's thread; @req is gone.  A reference of @body is taken. */
void http_reply(struct request *req, unsigned code, const char *content_type, struct bytes *body);
/** http_reply_static() - the same with bytes that last as long as the program */
void http_reply_static(struct request *req, unsigned code, const char *content_type,
		       const void *data, size_t len);
/** A body that is made piece by piece. */
struct http_body {
	uint64_t size;              /* 0: not known beforehand */
	size_t held;                /* bytes that are kept until it is sent */
	/* copy at most @max bytes to @buf and return how many; 0: the end; negative: it cannot go on,
	 * and the connection is cut.  Called in the loop's turns; the request lives as long. */
	ssize_t (*read)(void *arg, char *buf, size_t max);
	void (*close)(void *arg);   /* called once, when it is sent or the client has gone */
};
/** http_produce() - answer 200 with such a body; 0, or -ENOMEM: nothing was answered or closed */
int http_produce(struct request *req, const char *content_type, const struct http_body *conf,
		 void *arg);
/** http_on_abort() - called when the client goes away before the answer; then never answer */
void http_on_abort(struct request *req, void (*fn)(void *arg), void *arg);

/**
 * http_stream() - answer 200 with chunks, headers at once
 * @read:  copy at most @max bytes to @buf and return how many; 0: nothing now, wait for
 *         http_stream_wake(); -1: end of the stream.  A slow reader is simply not asked.
 * @close: called once, when the stream has ended for whatever reason
 */
struct http_stream;
struct http_stream *http_stream(struct request *req, const char *content_type,
				ssize_t (*read)(void *arg, char *buf, size_t max),
				void (*close)(void *arg), void *arg);
void http_stream_wake(struct http_stream *stream);
/**
 * http_stream_on_end() - @end is called with the stream's argument when the server stops; then @read
 * finishes what it has begun and returns -1.  Without it the stream ends where it is.
 */
void http_stream_on_end(struct http_stream *stream, void (*end)(void *arg));
/** http_stream_cut() - end it in the middle, whatever of it was not taken yet */
void http_stream_cut(struct http_stream *stream);

#endif
