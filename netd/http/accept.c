/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * accept.c - a door's listening descriptor
 *
 * Room: http.  libmicrohttpd takes no more connections once it has its most, whoever they are of;
 * so they are accepted here, where callers are counted, and handed to it one by one.  Without a free
 * descriptor a caller who waits makes room, and accepting rests for a moment: the listening
 * descriptor would call at once again.  accept(2) wants a descriptor before it looks for somebody,
 * so its refusal says something only in the first call of a turn, when there is somebody.
 * May include: netd/base, libmicrohttpd.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/base/log.h>
#include <netd/http/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ACCEPTS_PER_TURN    64
#define REST_MS             100

struct caller *caller_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* A caller is libmicrohttpd's from here to there. */
void door_notify(void *cls, struct MHD_Connection *conn, void **context,
		 enum MHD_ConnectionNotificationCode what)
{
	struct door *door = cls;

	(void)conn;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*context = take_ptr(door->adding);
	else
		caller_free(*context);
}

/* A peer whose machine is gone says nothing: a silent stream would wait for it. */
static void keep_alive(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 }, { IPPROTO_TCP, TCP_KEEPCNT, 6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

static void add(struct door *door, int fd, const struct sockaddr_storage *addr, socklen_t len)
{
	door->adding = caller_new(door, fd, addr);
	if (!door->adding) {
		close(fd);
		return;
	}
	if (!door->adding->local)
		keep_alive(fd);
	MHD_add_connection(door->daemon, fd, (const struct sockaddr *)addr, len);
	caller_free(take_ptr(door->adding));    /* it was not taken, and is closed */
	door->pending = true;
}

static void on_connect(void *arg, uint32_t events);

static void go_on(void *arg)
{
	struct door *door = arg;

	if (loop_watch_fd(door->http->loop, door->conf.sock.fd, EPOLLIN, on_connect, door,
			  &door->listening) < 0)
		loop_timer_set(door->rest, REST_MS);
}

static void rest(struct door *door, int err)
{
	log_event(LOG_LEVEL_WARNING, "accept_failed", "door=%s err=\"%s\"", door->name,
		  strerror(err));
	callers_make_room(door->http);
	loop_unwatch(take_ptr(door->listening));
	loop_timer_set(door->rest, REST_MS);
}

static void on_connect(void *arg, uint32_t events)
{
	struct door *door = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage addr = { 0 };
		socklen_t len = sizeof(addr);
		int fd = accept4(door->conf.sock.fd, (struct sockaddr *)&addr, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			add(door, fd, &addr, len);
		else if (!i && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			rest(door, errno);
		if (fd < 0)
			return;
	}
}

int door_listen(struct door *door)
{
	int r = loop_timer_new(door->http->loop, go_on, door, &door->rest);

	return r < 0 ? r : loop_watch_fd(door->http->loop, door->conf.sock.fd, EPOLLIN, on_connect, door,
					 &door->listening);
}

void door_stop_listening(struct door *door)
{
	loop_unwatch(take_ptr(door->listening));
	loop_timer_free(take_ptr(door->rest));
}
