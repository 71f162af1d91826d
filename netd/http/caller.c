/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * caller.c - connections: whose each is, what it may hold, and how long each step may take
 *
 * Room: http.  Theory: what is limited is a client: a user on a Unix socket, an address elsewhere.
 * libmicrohttpd accepts whoever comes until it has its most, and then nobody; so ours are met before.
 * A connection waits from its first moment, and from each answer, until its next request is whole;
 * while it waits it can make room: at its client's limit the oldest of that client goes, at the
 * limit of all the oldest of the client that has most.  So idle connections cost only their owner,
 * and who comes back is let in.  Where none waits, all being at work, a newcomer is let in to be told
 * 429.  Bytes that a client makes us keep, bodies that are not whole and answers it does not take,
 * are counted for it too.  A step that takes too long ends the connection: by shutdown(2), which is
 * seen as its end by libmicrohttpd, or by who watches a suspended connection.
 * May include: netd/base, metrics, libmicrohttpd.
 * #syscalls: prlimit64:0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/http/server.h>
#include <netd/metrics/metrics.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define RESERVED_FILES 64       /* for the rest of netd, when connections have all others */

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Descriptors are for pods too, three each: a quarter of them may be connections. */
void callers_limits(const struct http_limits *asked, struct http_limits *ret)
{
	struct rlimit files = { LIMIT_CONNECTIONS * 4, 0 };

	*ret = asked ? *asked : (struct http_limits){
		.connections = LIMIT_CONNECTIONS, .client_connections = LIMIT_CLIENT_CONNECTIONS,
		.streams = LIMIT_WATCHES, .client_streams = LIMIT_CLIENT_WATCHES,
		.held_bytes = LIMIT_HELD_BYTES, .client_held_bytes = LIMIT_CLIENT_HELD_BYTES,
		.idle_ms = LIMIT_IDLE_SECONDS * 1000,
		.handshake_ms = LIMIT_HANDSHAKE_SECONDS * 1000, .request_ms = LIMIT_REQUEST_SECONDS * 1000,
		.reply_ms = LIMIT_REPLY_SECONDS * 1000, .stall_s = LIMIT_STALL_SECONDS,
	};
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur / 4 >= (rlim_t)ret->connections)
		return;
	ret->connections = (int)files.rlim_cur / 4;
	ret->client_connections = least(ret->client_connections, ret->connections / 2);
	ret->streams = least(ret->streams, ret->connections / 4 * 3);
	ret->client_streams = least(ret->client_streams, ret->client_connections / 2);
}

/* "uid:1000", or an address; IPv4 looks the same by whichever socket it comes. */
static void print_client(struct caller *c, const struct sockaddr *addr, char name[64])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
	socklen_t len = sizeof(c->cred);

	if (addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, name, 64);
	else if (addr->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], name, 64);
	else if (addr->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, name, 64);
	else if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &len) == 0)
		snprintf(name, 64, "uid:%u", c->cred.uid);
	else
		snprintf(name, 64, "unknown");
}

static void client_unref(struct http *http, struct client *client)
{
	if (!client || --client->refs)
		return;
	map_del(&http->clients, client->name);
	free(client);
}

static struct client *client_get(struct http *http, const char *name)
{
	struct client *client = map_get(&http->clients, name);

	if (client) {
		client->refs++;
		return client;
	}
	client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->refs = 1;
	snprintf(client->name, sizeof(client->name), "%s", name);
	TAILQ_INIT(&client->waiting);
	if (map_put(&http->clients, client->name, client) < 0) {
		free(client);
		return NULL;
	}
	return client;
}

static void count(struct caller *c, int n)
{
	struct http *http = c->door->http;

	c->client->callers += n;
	http->callers += n;
	metric_set(METRIC_HTTP_CONNECTIONS, http->callers);
}

static void stop_waiting(struct caller *c)
{
	if (c->waits)
		TAILQ_REMOVE(&c->client->waiting, c, next);
	c->waits = false;
}

void caller_cut(struct caller *c)
{
	if (c->gone)
		return;
	c->gone = true;
	stop_waiting(c);
	count(c, -1);
	loop_timer_set(c->timer, -1);
	shutdown(c->fd, SHUT_RDWR);
	metric_add(METRIC_HTTP_CUT, 1);
}

static void too_late(void *arg)
{
	caller_cut(arg);
}

static void begin_wait(struct caller *c, uint32_t ms)
{
	if (c->gone)
		return;
	stop_waiting(c);
	TAILQ_INSERT_TAIL(&c->client->waiting, c, next);
	c->waits = true;
	loop_timer_set(c->timer, ms);
}

/* Who has most, of those that could give one. */
static struct client *heaviest(struct http *http)
{
	struct client *client, *most = NULL;
	size_t pos = 0;

	while ((client = map_next(&http->clients, &pos)))
		if (!TAILQ_EMPTY(&client->waiting) && (!most || client->callers > most->callers))
			most = client;
	return most;
}

static bool cut_oldest(struct client *client)
{
	if (!client || TAILQ_EMPTY(&client->waiting))
		return false;
	caller_cut(TAILQ_FIRST(&client->waiting));
	return true;
}

static bool make_room(struct http *http)
{
	return cut_oldest(heaviest(http));
}

/* Descriptors are given from the lowest on, so a high one says that there are few. */
static bool is_last(int fd)
{
	struct rlimit files = { 0 };

	return getrlimit(RLIMIT_NOFILE, &files) == 0 &&
	       (rlim_t)fd + RESERVED_FILES >= files.rlim_cur;
}

/* False: not even to be told that there are too many. */
static bool admit(struct caller *c)
{
	struct http *http = c->door->http;
	const struct http_limits *l = &http->limits;

	c->over = (c->client->callers >= l->client_connections && !cut_oldest(c->client)) ||
		  (http->callers >= l->connections && !make_room(http));
	if (is_last(c->fd) && !make_room(http))
		return false;
	return c->client->callers < l->client_connections + LIMIT_REFUSALS &&
	       http->callers < l->connections + LIMIT_REFUSALS;
}

/* What was held for a request, and its stream. */
static void release(struct caller *c)
{
	struct http *http = c->door->http;

	c->client->held -= c->held;
	http->held -= c->held;
	c->client->streams -= c->stream;
	http->streams -= c->stream;
	c->held = 0;
	c->stream = false;
}

static void caller_free(struct caller *c)
{
	if (!c)
		return;
	if (c->client) {
		count(c, c->gone ? 0 : -1);
		release(c);
		stop_waiting(c);
		client_unref(c->door->http, c->client);
	}
	tls_begun(c);
	loop_timer_free(c->timer);
	free(c);
}
DEFINE_CLEANUP(struct caller, caller_free)

/* A peer whose machine is gone says nothing: a silent stream would wait for it. */
static void set_tcp(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 }, { IPPROTO_TCP, TCP_KEEPCNT, 6 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },    /* the pieces of a handshake are small */
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

static struct caller *caller_new(struct door *door, int fd, const struct sockaddr *addr)
{
	const struct http_limits *limits = &door->http->limits;
	_cleanup_(caller_freep) struct caller *c = calloc(1, sizeof(*c));
	char name[64];
	bool welcome;

	if (!c || loop_timer_new(door->http->loop, too_late, c, &c->timer) < 0)
		return NULL;
	c->door = door;
	c->fd = fd;
	c->local = addr->sa_family == AF_UNIX;
	print_client(c, addr, name);
	c->client = client_get(door->http, name);
	if (!c->client)
		return NULL;
	if (!c->local)
		set_tcp(fd);
	welcome = admit(c);
	count(c, 1);
	if (welcome)
		begin_wait(c, door->conf.tls ? limits->handshake_ms : limits->idle_ms);
	else
		caller_cut(c);
	return take_ptr(c);
}

/* The caller is libmicrohttpd's from here to there. */
void callers_notify(void *cls, struct MHD_Connection *conn, void **context,
		    enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *fd, *addr;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		caller_free(*context);
		return;
	}
	fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	addr = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (fd && addr)
		*context = caller_new(cls, fd->connect_fd, addr->client_addr);
	tls_begin(cls, conn, *context);
}

struct caller *caller_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void caller_reading(struct caller *c)
{
	tls_begun(c);
	begin_wait(c, c->door->http->limits.request_ms);
}

void caller_busy(struct caller *c)
{
	stop_waiting(c);
	loop_timer_set(c->timer, -1);
}

void caller_answering(struct caller *c)
{
	if (!c->gone)
		loop_timer_set(c->timer, c->door->http->limits.reply_ms);
}

void caller_answered(struct caller *c)
{
	release(c);
	begin_wait(c, c->door->http->limits.idle_ms);
}

bool caller_may_hold(const struct caller *c, size_t bytes)
{
	const struct http *http = c->door->http;

	return c->client->held + bytes <= http->limits.client_held_bytes &&
	       http->held + bytes <= http->limits.held_bytes;
}

void caller_hold(struct caller *c, size_t bytes)
{
	c->held += bytes;
	c->client->held += bytes;
	c->door->http->held += bytes;
}

bool caller_may_stream(const struct caller *c)
{
	const struct http *http = c->door->http;

	return c->client->streams < http->limits.client_streams &&
	       http->streams < http->limits.streams;
}

/* Some thousand readers who stop reading would have the kernel keep a socket's usual most for each. */
void caller_streams(struct caller *c)
{
	int bytes = LIMIT_STREAM_BYTES;

	if (c->stream)
		return;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	c->stream = true;
	c->client->streams++;
	c->door->http->streams++;
}
