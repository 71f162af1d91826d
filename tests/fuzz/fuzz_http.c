/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_http.c - any bytes on a connection, through libmicrohttpd and the http room
 *
 * A server for each input, so that one does not depend on another.  What a handler is shown is
 * what it may rely on: a path that begins with '/', a body within its limit.  Every request is
 * answered, at once, later or as a stream, and each stream is closed.
 */
#include "fuzz.h"

#include <errno.h>
#include <netd/base/limits.h>
#include <netd/http/server.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE_MS 20000       /* far above what any input takes */
#define QUIET_TURNS 4           /* of the loop, with nothing happening: nothing will */
#define LATE_MAX    32

struct world {
	struct loop *loop;
	struct http *http;
	struct loop_watch *watch;
	struct loop_timer *late, *patience, *quiet;
	struct request *waiting[LATE_MAX];
	size_t nwaiting;
	int fd;
	unsigned streams, quiet_turns;
};

struct stream {
	struct world *world;
	size_t left;
	bool fails;
};

static ssize_t read_stream(void *arg, char *buf, size_t max)
{
	struct stream *s = arg;
	size_t n = max < s->left ? max : s->left;

	memset(buf, 'x', n);
	s->left -= n;
	return n ? (ssize_t)n : -1;
}

static void close_stream(void *arg)
{
	struct stream *s = arg;

	s->world->streams--;
	free(s);
}

static void begin_stream(struct world *w, struct request *req, size_t size)
{
	struct stream *s = malloc(sizeof(*s));

	must(s);
	*s = (struct stream){ w, size, false };
	must(http_stream(req, "text/plain", read_stream, close_stream, s));
	w->streams++;
}

/* "/p" says how much comes, "/pq" does not, "/pf" fails in the middle. */
static ssize_t read_body(void *arg, char *buf, size_t max)
{
	struct stream *s = arg;
	size_t n = max < s->left ? max : s->left;

	if (s->fails && n == s->left)
		return -ENOMEM;
	memset(buf, 'x', n);
	s->left -= n;
	return (ssize_t)n;
}

static void produce(struct world *w, struct request *req, char how)
{
	struct http_body body = { .size = how == 'q' ? 0 : 150000, .held = 100,
				  .read = read_body, .close = close_stream };
	struct stream *s = malloc(sizeof(*s));

	must(s);
	*s = (struct stream){ w, 150000, how == 'f' };
	w->streams++;
	must(http_produce(req, "text/plain", &body, s) == 0);
}

static void gone(void *arg)
{
	*(struct request **)arg = NULL;
}

static void on_late(void *arg)
{
	struct world *w = arg;

	for (size_t i = 0; i < w->nwaiting; i++) {
		if (w->waiting[i])
			http_reply(w->waiting[i], 200, "text/plain", bytes_new("late", 4));
		w->waiting[i] = NULL;
	}
	w->nwaiting = 0;
}

static void answer_late(struct world *w, struct request *req)
{
	w->waiting[w->nwaiting] = req;
	http_on_abort(req, gone, &w->waiting[w->nwaiting++]);
	loop_timer_set(w->late, 0);
}

static void check_unescape(const char *path)
{
	char *copy = strdup(path);
	size_t len;

	must(copy);
	len = request_unescape(NULL, NULL, copy);
	must(len == strlen(copy) && len <= strlen(path));
	must(strchr(path, '%') || strcmp(copy, path) == 0);
	free(copy);
}

static void handle(void *arg, struct request *req)
{
	static const char *const params[] = { "watch", "a", "labelSelector", "" };
	struct world *w = arg;
	const char *path = request_path(req), *body;
	size_t len, values = 0;

	w->quiet_turns = 0;
	body = request_body(req, &len);
	must(request_peer(req)->role == ROLE_VIEW && request_peer(req)->name);
	must(path[0] == '/' && request_method(req)[0]);
	must(body[len] == 0 && len <= LIMIT_BODY_BYTES);
	must(!request_too_large(req) || !len);
	check_unescape(path);
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		values += request_query(req, params[i]) != NULL;
	values += request_query_bool(req, "watch");
	values += request_header(req, "accept") != NULL;
	http_header(req, "X-Path", values ? "values" : "none");
	if (path[1] == 's')
		begin_stream(w, req, path[2] == 'b' ? 200000 : 7);
	else if (path[1] == 'p')
		produce(w, req, path[2]);
	else if (path[1] == 'l' && w->nwaiting < LATE_MAX)
		answer_late(w, req);
	else
		http_reply(req, path[1] == 'n' ? 404 : 200, "text/plain",
			   path[1] == 'e' ? NULL : bytes_new(body, len));
}

static void on_answer(void *arg, uint32_t events)
{
	struct world *w = arg;
	char buf[65536];
	ssize_t n;

	(void)events;
	w->quiet_turns = 0;
	do {
		n = read(w->fd, buf, sizeof(buf));
	} while (n > 0);
	if (n == 0 || errno != EAGAIN)
		loop_stop(w->loop);
}

static void too_long(void *arg)
{
	(void)arg;
	must(!"everything is answered");
}

/*
 * All of it is one thread, so what is going on shows in every turn.  libmicrohttpd does not notice
 * the end of what a client sends when it comes together with the last bytes, and waits.
 */
static void on_quiet(void *arg)
{
	struct world *w = arg;

	if (++w->quiet_turns > QUIET_TURNS && !w->nwaiting && !w->streams)
		loop_stop(w->loop);
	loop_timer_set(w->quiet, 0);
}

/* The kernel gives the listening socket a name that is no file's. */
static void open_door(struct world *w)
{
	struct http_config conf = { .handle = handle, .arg = w };
	struct http_door door = { .name = "fuzz", .role = ROLE_VIEW };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);

	door.sock.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(door.sock.fd >= 0 && w->fd >= 0);
	must(bind(door.sock.fd, (struct sockaddr *)&sa, sizeof(sa.sun_family)) == 0);
	must(listen(door.sock.fd, 1) == 0);
	must(getsockname(door.sock.fd, (struct sockaddr *)&sa, &len) == 0);
	must(connect(w->fd, (struct sockaddr *)&sa, len) == 0);
	must(http_open(w->loop, &conf, &w->http) == 0 && http_door_open(w->http, &door) == 0);
	must(loop_watch_fd(w->loop, w->fd, EPOLLIN, on_answer, w, &w->watch) == 0);
}

/* Inputs are shorter than a socket's buffer. */
static void converse(struct world *w, const uint8_t *data, size_t size)
{
	ssize_t n = send(w->fd, data, size, MSG_NOSIGNAL);

	must(n == (ssize_t)size || size == 0);
	shutdown(w->fd, SHUT_WR);
	loop_timer_set(w->patience, PATIENCE_MS);
	loop_timer_set(w->quiet, 0);
	must(loop_run(w->loop) == 0);
	loop_unwatch(w->watch);
	close(w->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { 0 };

	if (size > 65536)
		return 0;
	must(loop_new(&w.loop) == 0);
	must(loop_timer_new(w.loop, on_late, &w, &w.late) == 0);
	must(loop_timer_new(w.loop, too_long, &w, &w.patience) == 0);
	must(loop_timer_new(w.loop, on_quiet, &w, &w.quiet) == 0);
	open_door(&w);
	converse(&w, data, size);
	http_close(w.http);
	must(!w.streams);
	loop_timer_free(w.late);
	loop_timer_free(w.patience);
	loop_timer_free(w.quiet);
	loop_free(w.loop);
	return 0;
}
