/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.c - libmicrohttpd inside our loop
 *
 * Room: a daemon of libmicrohttpd for each door, without threads of its own: its epoll descriptor
 * lies in our loop.  That descriptor says nothing about connections that were resumed, or that have
 * more to write than one pass of MHD_run() does; so MHD_run() is called at the end of a turn for as
 * long as libmicrohttpd has something to do at once, a bounded number of times, and the wait of the
 * next turn is cut to what MHD_get_timeout() allows.  May include: netd/base, libmicrohttpd.
 * #syscalls: accept accept4 epoll_wait epoll_pwait epoll_ctl recvfrom recvmsg sendto sendmsg writev
 * #syscalls: setsockopt getsockopt shutdown close
 */
#include <errno.h>
#include <limits.h>
#include <netd/base/limits.h>
#include <netd/http/server.h>
#include <sys/epoll.h>

#define RUNS_PER_TURN       16
#define RUNS_AT_CLOSE       256
#define STREAMS_PER_TURN    64      /* a quarter of a millisecond; others have their turn then */
#define LEAVING             256     /* connections that were cut and are not gone yet */

/* How long libmicrohttpd lets us wait; -1: until something happens. */
static int64_t patience_ms(const struct door *door)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (door->pending)
		return 0;
	return MHD_get_timeout(door->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

static void run(struct door *door, unsigned runs)
{
	do {
		door->pending = false;
		MHD_run(door->daemon);
		tls_rest(door);
	} while (--runs && patience_ms(door) == 0);
}

static void on_ready(void *arg, uint32_t events)
{
	struct door *door = arg;

	(void)events;
	door->pending = true;
}

static int64_t before_turn(void *arg)
{
	const struct http *http = arg;
	int64_t wait = -1;

	for (const struct door *door = http->doors; door; door = door->next) {
		int64_t ms = TAILQ_EMPTY(&door->woken) ? patience_ms(door) : 0;

		if (ms >= 0 && (wait < 0 || ms < wait))
			wait = ms;
	}
	return wait;
}

static void after_turn(void *arg)
{
	struct http *http = arg;

	for (struct door *door = http->doors; door; door = door->next) {
		if (door->pending && !TAILQ_EMPTY(&door->woken))
			run(door, 1);           /* answers go ahead of watches */
		streams_resume(door, STREAMS_PER_TURN);
		if (patience_ms(door) == 0)
			run(door, RUNS_PER_TURN);
	}
}

/* Takes the descriptor. */
static int start_daemon(struct door *door)
{
	const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	const struct http_limits *limits = &door->http->limits;
	struct MHD_OptionItem tls[TLS_OPTIONS];
	const union MHD_DaemonInfo *info;

	tls_options(door->conf.tls, tls);
	door->daemon = MHD_start_daemon(flags | (door->conf.tls ? MHD_USE_TLS : 0), 0, NULL, NULL,
		request_answer, door,
		MHD_OPTION_ARRAY, tls,
		MHD_OPTION_LISTEN_SOCKET, door->conf.sock.fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)(limits->connections + LIMIT_REFUSALS + LEAVING),
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)limits->stall_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HEAD_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, callers_notify, door,
		MHD_OPTION_URI_LOG_CALLBACK, request_begun, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, door,
		MHD_OPTION_UNESCAPE_CALLBACK, request_unescape, NULL,
		MHD_OPTION_END);
	if (!door->daemon)
		return -EIO;
	door->conf.sock.fd = -1;
	info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	return loop_watch_fd(door->http->loop, info->epoll_fd, EPOLLIN, on_ready, door,
			     &door->watch);
}

static void door_free(struct door *door)
{
	if (!door)
		return;
	loop_unwatch(door->watch);
	if (door->daemon)
		MHD_stop_daemon(door->daemon);
	http_unlisten(door->path, &door->conf.sock);
	free(door->name);
	free(door->path);
	free(door);
}
DEFINE_CLEANUP(struct door, door_free)

int http_door_open(struct http *http, const struct http_door *conf)
{
	_cleanup_(door_freep) struct door *door = calloc(1, sizeof(*door));
	struct door **last = &http->doors;
	struct http_socket sock = conf->sock;
	int r;

	if (!door) {
		http_unlisten(conf->path, &sock);
		return -ENOMEM;
	}
	door->http = http;
	TAILQ_INIT(&door->woken);
	door->conf = *conf;
	door->conf.name = door->name = strdup(conf->name);
	door->conf.path = door->path = conf->path ? strdup(conf->path) : NULL;
	if (!door->name || (conf->path && !door->path))
		return -ENOMEM;
	r = start_daemon(door);
	if (r < 0)
		return r;
	while (*last)
		last = &(*last)->next;
	*last = take_ptr(door);
	return 0;
}

int http_open(struct loop *loop, const struct http_config *conf, struct http **ret)
{
	struct http *http = calloc(1, sizeof(*http));
	int r;

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->conf = *conf;
	callers_limits(conf->limits, &http->limits);
	r = loop_timer_new(loop, requests_watch, http, &http->waiting);
	if (r == 0)
		r = loop_each_turn(loop, before_turn, after_turn, http);
	if (r < 0) {
		loop_timer_free(http->waiting);
		free(http);
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
	http->closing = true;
	for (struct request *req = http->requests; req; req = req->next)
		request_close(req);
	while (http->doors) {
		struct door *door = http->doors;

		http->doors = door->next;
		tls_close(door);
		streams_resume(door, UINT_MAX);
		run(door, RUNS_AT_CLOSE);
		door_free(door);
	}
	loop_timer_free(http->waiting);
	map_fini(&http->clients);
	free(http);
}
