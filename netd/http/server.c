/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.c - libmicrohttpd inside our loop
 *
 * Room: the daemon of libmicrohttpd, without threads of its own: its epoll descriptor lies in our
 * loop.  That descriptor says nothing about connections that were resumed, or that have more to
 * write than one pass of MHD_run() does; so MHD_run() is called at the end of a turn for as long as
 * libmicrohttpd has something to do at once, a bounded number of times, and the wait of the next
 * turn is cut to what MHD_get_timeout() allows.  May include: netd/base, libmicrohttpd.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/http/server.h>
#include <sys/epoll.h>

#define RUNS_PER_TURN       16
#define RUNS_AT_CLOSE       256
#define IDLE_SECONDS        60
#define CONNECTION_BYTES    (16 * 1024)     /* request line, headers, write buffer */

static void run(struct http *http, unsigned runs)
{
	MHD_UNSIGNED_LONG_LONG ms;

	do {
		http->pending = false;
		MHD_run(http->daemon);
	} while (--runs && (http->pending ||
			    (MHD_get_timeout(http->daemon, &ms) == MHD_YES && ms == 0)));
}

static void on_ready(void *arg, uint32_t events)
{
	struct http *http = arg;

	(void)events;
	http->pending = true;
}

static int64_t before_turn(void *arg)
{
	struct http *http = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	if (http->pending)
		return 0;
	return MHD_get_timeout(http->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

static void after_turn(void *arg)
{
	struct http *http = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	if (http->pending || (MHD_get_timeout(http->daemon, &ms) == MHD_YES && ms == 0))
		run(http, RUNS_PER_TURN);
}

static int start_daemon(struct http *http, int fd)
{
	const union MHD_DaemonInfo *info;

	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		request_answer, http,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)LIMIT_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,
		MHD_OPTION_UNESCAPE_CALLBACK, request_unescape, NULL,
		MHD_OPTION_END);
	if (!http->daemon) {
		close(fd);
		return -EIO;
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	return loop_watch_fd(http->loop, info->epoll_fd, EPOLLIN, on_ready, http, &http->watch);
}

int http_open(struct loop *loop, const struct http_config *conf, struct http **ret)
{
	struct http *http = calloc(1, sizeof(*http));
	int fd, r;

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->conf = *conf;
	http->socket = strdup(conf->socket);
	r = http->socket ? socket_listen(conf->socket, conf->group, &fd, &http->file) : -ENOMEM;
	if (r < 0) {
		free(http->socket);
		free(http);
		return r;
	}
	r = start_daemon(http, fd);
	if (r == 0)
		r = loop_each_turn(loop, before_turn, after_turn, http);
	if (r < 0) {
		http_close(http);
		return r;
	}
	*ret = http;
	return 0;
}

/*
 * Answers that were given are still sent, as far as the clients take them at once.
 * MHD_stop_daemon() wants no connection suspended, so all are resumed first.
 */
void http_close(struct http *http)
{
	if (!http)
		return;
	loop_each_turn_end(http->loop, http);
	loop_unwatch(http->watch);
	socket_unlink(http->socket, &http->file);
	http->closing = true;
	for (struct request *req = http->requests; req; req = req->next)
		request_close(req);
	if (http->daemon) {
		run(http, RUNS_AT_CLOSE);
		MHD_stop_daemon(http->daemon);
	}
	free(http->socket);
	free(http);
}
