/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.c - what a door with TLS has more than others
 *
 * Room: options of libmicrohttpd, the session behind a connection, and a TCP socket that listens.
 * What certificates mean is the door's owner's.
 *
 * libmicrohttpd 0.9.75 takes a connection in its handshake for one that can be read at once: with
 * epoll it would turn round it for as long as the client makes it wait.  So until its first request
 * a connection is suspended whenever there is nothing of it to read, and watched here.
 * GnuTLS's own time-out of a handshake waits in poll(2); so that is the caller's (caller.c).
 * May include: netd/base, libmicrohttpd.
 */
#include <errno.h>
#include <netd/http/server.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#define BACKLOG 512

void tls_options(const struct http_tls *tls, struct MHD_OptionItem items[TLS_OPTIONS])
{
	size_t n = 0;

	if (tls) {
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
						      (void *)(uintptr_t)tls->priorities };
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0,
						      (void *)(uintptr_t)tls->trust };
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
						      (void *)(uintptr_t)tls->certificate };
	}
	items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
}

static void *session_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return info ? info->tls_session : NULL;
}

void tls_begin(struct door *door, struct MHD_Connection *conn, struct caller *c)
{
	const struct http_tls *tls = door->conf.tls;

	if (!tls)
		return;
	tls->begin(tls->arg, session_of(conn));
	if (!c)
		return;
	c->shaking = conn;
	LIST_INSERT_HEAD(&door->shaking, c, others);
}

static void resume(struct caller *c)
{
	if (!c->answer)
		return;
	loop_unwatch(take_ptr(c->answer));
	c->door->pending = true;
	MHD_resume_connection(c->shaking);
}

static void on_answer(void *arg, uint32_t events)
{
	(void)events;
	resume(arg);
}

void tls_rest(struct door *door)
{
	struct caller *c;

	LIST_FOREACH(c, &door->shaking, others)
		if (!c->answer && !door->conf.tls->pending(session_of(c->shaking)) &&
		    loop_watch_fd(door->http->loop, c->fd, EPOLLIN, on_answer, c, &c->answer) == 0)
			MHD_suspend_connection(c->shaking);
}

void tls_begun(struct caller *c)
{
	if (!c->shaking)
		return;
	LIST_REMOVE(c, others);
	loop_unwatch(take_ptr(c->answer));
	c->shaking = NULL;
}

void tls_close(struct door *door)
{
	struct caller *c, *next;

	for (c = LIST_FIRST(&door->shaking); c; c = next) {
		next = LIST_NEXT(c, others);
		resume(c);
		tls_begun(c);
	}
}

void *request_tls_session(const struct request *req)
{
	return req->door->conf.tls ? session_of(req->conn) : NULL;
}

int http_listen_tcp(const struct sockaddr *sa, socklen_t len, struct http_socket *ret)
{
	_cleanup_close_ int fd = socket(sa->sa_family,
					SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (sa->sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		return -errno;
	if (bind(fd, sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret = (struct http_socket){ .fd = take_fd(fd) };
	return 0;
}
