/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_http.c - netd/http over a real Unix socket
 *
 * The server runs on a thread of its own; the rows are its clients.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <netd/base/limits.h>
#include <netd/http/http.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FLOOD_BYTES (4 * 1024 * 1024)

struct server {
	char dir[64], path[96], view[96];
	char asked_path[96];            /* of the door that asks who it is */
	pthread_t thread;
	struct loop *loop;
	struct http *http;
	struct loop_watch *watch;
	struct loop_timer *timer;
	int stop;
	struct request *late, *held;
	unsigned holds, aborts, closes; /* atomic */
};

struct stream {
	struct server *server;
	struct http_stream *http;
	struct loop_timer *timer;
	size_t left, sent;
	bool ready, endless;
	bool halved, over;          /* it has said one half of a line; it is to say no more lines */
};

static void reply(struct request *req, unsigned code, const char *text)
{
	http_reply(req, code, "text/plain", bytes_new(text, strlen(text)));
}

static void on_late(void *arg)
{
	struct server *s = arg;

	http_header(s->late, "X-Late", "yes");
	reply(take_ptr(s->late), 200, "late");
}

static void on_abort(void *arg)
{
	__atomic_add_fetch(&((struct server *)arg)->aborts, 1, __ATOMIC_RELAXED);
}

/* One line, then silence until the timer; or as much as it takes at once. */
static ssize_t stream_read(void *arg, char *buf, size_t max)
{
	struct stream *st = arg;
	size_t n = max < 7 ? max : 7;

	if (st->halved) {
		st->halved = !st->over;
		memcpy(buf, "ine\n", st->over ? 4 : 0);
		return st->over ? 4 : 0;
	}
	if (st->over)
		return -1;
	if (st->endless)
		return 0;
	if (!st->left)
		return -1;
	if (!st->timer) {
		n = st->left < max ? st->left : max;
		for (size_t i = 0; i < n; i++)
			buf[i] = (char)((st->sent + i) % 251);
		st->left -= n;
		st->sent += n;
		return (ssize_t)n;
	}
	if (!st->ready)
		return 0;
	st->ready = false;
	st->left--;
	memcpy(buf, "a line\n", n);
	loop_timer_set(st->timer, 1);
	return (ssize_t)n;
}

static void stream_tick(void *arg)
{
	struct stream *st = arg;

	st->ready = true;
	http_stream_wake(st->http);
}

static void stream_close(void *arg)
{
	struct stream *st = arg;

	__atomic_add_fetch(&st->server->closes, 1, __ATOMIC_RELAXED);
	loop_timer_free(st->timer);
	free(st);
}

static void stream_over(void *arg)
{
	((struct stream *)arg)->over = true;
}

static void start_stream(struct server *s, struct request *req, const char *path)
{
	struct stream *st = calloc(1, sizeof(*st));

	st->server = s;
	st->left = strcmp(path, "/flood") == 0 ? FLOOD_BYTES : 5;
	st->endless = strcmp(path, "/idle") == 0;
	if (strcmp(path, "/lines") == 0) {
		assert_int_equal(loop_timer_new(s->loop, stream_tick, st, &st->timer), 0);
		loop_timer_set(st->timer, 1);
	}
	st->http = http_stream(req, "application/json", stream_read, stream_close, st);
	if (strcmp(path, "/half") == 0) {
		st->halved = true;
		http_stream_on_end(st->http, stream_over);
	}
}

static void echo(struct request *req)
{
	const char *q = request_query(req, "q"), *type = request_header(req, "content-type");
	struct buf b = { 0 };
	size_t len;
	const char *body = request_body(req, &len);

	buf_printf(&b, "%s %s q=%s b=%d t=%s uid=%d body=%zu:%.20s", request_method(req),
		   request_path(req), q ? q : "(none)", request_query_bool(req, "b"),
		   type ? type : "(none)", request_peer(req)->uid == getuid(), len, body);
	if (request_too_large(req))
		http_reply(req, 413, NULL, NULL);
	else
		http_reply(req, 200, "text/plain", buf_bytes(&b));
	buf_fini(&b);
}

static void who(struct request *req)
{
	const struct http_peer *peer = request_peer(req);
	struct buf b = { 0 };

	buf_printf(&b, "%s %s role=%d uid=%d", peer->door, peer->name, peer->role,
		   peer->uid == getuid());
	http_reply(req, 200, "text/plain", buf_bytes(&b));
	buf_fini(&b);
}

/* A door that knows its clients by a header. */
static void identify(void *arg, struct request *req, struct http_peer *peer)
{
	const char *name = request_header(req, "x-name");

	(void)arg;
	peer->name = name;
	peer->role = name ? ROLE_VIEW : ROLE_NONE;
	if (!name)
		peer->name = "nobody";
}

static void handle(void *arg, struct request *req)
{
	const char *path = request_path(req);
	struct server *s = arg;

	if (strcmp(path, "/who") == 0) {
		who(req);
	} else if (strcmp(path, "/late") == 0) {
		s->late = req;
		loop_timer_set(s->timer, 2);
	} else if (strcmp(path, "/hold") == 0) {
		s->held = req;
		http_on_abort(req, on_abort, s);
		__atomic_add_fetch(&s->holds, 1, __ATOMIC_RELAXED);
	} else if (strcmp(path, "/empty") == 0) {
		http_reply(req, 204, NULL, NULL);
	} else if (strcmp(path, "/lines") == 0 || strcmp(path, "/idle") == 0 ||
		   strcmp(path, "/flood") == 0 || strcmp(path, "/half") == 0) {
		start_stream(s, req, path);
	} else {
		echo(req);
	}
}

static void on_stop(void *arg, uint32_t events)
{
	(void)events;
	loop_stop(((struct server *)arg)->loop);
}

static void *serve(void *arg)
{
	struct server *s = arg;

	loop_run(s->loop);
	http_close(s->http);
	return NULL;
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int begin(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	struct http_config conf = { .handle = handle, .arg = s };
	struct http_door admin = { .name = "admin", .role = ROLE_ADMIN };
	struct http_door view = { .name = "view", .role = ROLE_VIEW };
	struct http_door asks = { .name = "asks", .identify = identify };

	snprintf(s->dir, sizeof(s->dir), "/tmp/podnet-http-XXXXXX");
	if (!mkdtemp(s->dir) || loop_new(&s->loop) < 0)
		return -1;
	snprintf(s->path, sizeof(s->path), "%s/sock", s->dir);
	snprintf(s->view, sizeof(s->view), "%s/view", s->dir);
	snprintf(s->asked_path, sizeof(s->asked_path), "%s/asks", s->dir);
	admin.path = s->path;
	view.path = s->view;
	asks.sock.fd = listen_at(s->asked_path);
	s->stop = eventfd(0, EFD_CLOEXEC);
	if (http_listen(s->path, "no such group", &admin.sock) < 0 ||
	    http_listen(s->view, NULL, &view.sock) < 0 ||
	    http_open(s->loop, &conf, &s->http) < 0 ||
	    http_door_open(s->http, &admin) < 0 || http_door_open(s->http, &view) < 0 ||
	    http_door_open(s->http, &asks) < 0 ||
	    loop_watch_fd(s->loop, s->stop, EPOLLIN, on_stop, s, &s->watch) < 0 ||
	    loop_timer_new(s->loop, on_late, s, &s->timer) < 0)
		return -1;
	*state = s;
	return pthread_create(&s->thread, NULL, serve, s);
}

static void stop(struct server *s)
{
	if (s->stop < 0)
		return;
	assert_int_equal(write(s->stop, &(uint64_t){ 1 }, 8), 8);
	pthread_join(s->thread, NULL);
	close(s->stop);
	s->stop = -1;
}

static int end(void **state)
{
	struct server *s = *state;

	stop(s);
	loop_unwatch(s->watch);
	loop_timer_free(s->timer);
	loop_free(s->loop);
	assert_int_equal(access(s->path, F_OK), -1);    /* the sockets are gone */
	assert_int_equal(access(s->view, F_OK), -1);
	unlink(s->asked_path);
	rmdir(s->dir);
	free(s);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until @end is there, or the connection ends; what it read. */
static const char *receive(int fd, const char *end_mark, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	while (n + 1 < size && (!end_mark || !strstr(buf, end_mark))) {
		ssize_t got = recv(fd, buf + n, size - n - 1, 0);

		if (got < 0)
			fail_msg("recv: %s after: %s", strerror(errno), buf);
		if (got == 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
	}
	return buf;
}

static const struct exchange {
	const char *request, *status, *answer;
} exchanges[] = {
	{ "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q=(none) b=0 t=(none) uid=1 body=0:" },
	{ "GET /a?q=1&q=2&b HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q=1 b=1 " },
	{ "GET /a?q=&b=False HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q= b=0 " },
	{ "GET /a?q&Q=2&b=0 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q= b=0 " },
	{ "GET /a?Q=2 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q=(none) b=0 " },
	{ "GET /a%20b%2Fc?q=x%3D1+2 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a b/c q=x=1 2 " },
	{ "GET /a%2520 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a%20 q=" },
	{ "GET /a%zz%41 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a%zz%41 q=" },
	{ "GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a%4 q=" },
	{ "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a%00b q=" },
	{ "GET http://h/a HTTP/1.1\r\nHost: x\r\n\r\n", "200", "GET /a q=" },
	{ "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "200", "OPTIONS /* q=" },
	{ "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", "200", "BREW /pot q=" },
	{ "POST /p HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	  "Content-Length: 7\r\n\r\n{\"a\":1}", "200",
	  "POST /p q=(none) b=0 t=application/json uid=1 body=7:{\"a\":1}" },
	{ "PATCH /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "200", "body=5:abcde" },
	{ "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", "200", "late" },
	{ "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", "200", "late" },
};

/* All of them on one connection, which stays open. */
static void keep_alive(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_to(s->path);
	char buf[4096], status[32];

	for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++) {
		send_text(fd, exchanges[i].request);
		receive(fd, exchanges[i].answer, buf, sizeof(buf));
		snprintf(status, sizeof(status), "HTTP/1.1 %s ", exchanges[i].status);
		if (!strstr(buf, exchanges[i].answer) || strncmp(buf, status, strlen(status)) != 0)
			fail_msg("%s: %s", exchanges[i].request, buf);
		assert_non_null(strstr(buf, "Content-Type: text/plain\r\n"));
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

static void plain_answers(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_to(s->path);
	char buf[4096];

	send_text(fd, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(fd, "\r\n\r\n", buf, sizeof(buf));
	assert_non_null(strstr(buf, "Content-Length: 4"));
	assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\n");
	send_text(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(receive(fd, "\r\n\r\nlate", buf, sizeof(buf)), "X-Late: yes\r\n"));
	send_text(fd, "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	receive(fd, NULL, buf, sizeof(buf));        /* to its end */
	assert_memory_equal(buf, "HTTP/1.1 204 ", 13);
}

static const struct { size_t size; const char *status; } sizes[] = {
	{ LIMIT_BODY_BYTES, "HTTP/1.1 200 " }, { LIMIT_BODY_BYTES + 1, "HTTP/1.1 413 " },
	{ 3 * LIMIT_BODY_BYTES, "HTTP/1.1 413 " }, { 10, "HTTP/1.1 200 " },
	/* what fills the first room for a body, and what does not fit there */
	{ 1022, "HTTP/1.1 200 " }, { 1023, "HTTP/1.1 200 " }, { 1024, "HTTP/1.1 200 " },
	{ 1025, "HTTP/1.1 200 " }, { 5000, "HTTP/1.1 200 " },
};

static void body_limit(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_to(s->path);
	char buf[4096], head[128];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *body = calloc(1, sizes[i].size + 1);

		memset(body, 'x', sizes[i].size);
		snprintf(head, sizeof(head), "PUT /p HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
			 sizes[i].size);
		send_text(fd, head);
		send_text(fd, body);
		free(body);
		receive(fd, strstr(sizes[i].status, "200") ? ":xxxxx" : "\r\n\r\n", buf,
			sizeof(buf));
		assert_memory_equal(buf, sizes[i].status, strlen(sizes[i].status));
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

static unsigned count_of(const unsigned *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static unsigned await(const unsigned *count, unsigned want)
{
	for (int i = 0; i < 20000 && count_of(count) < want; i++)
		usleep(1000);
	return count_of(count);
}

static void gone_while_held(void **state)
{
	struct server *s = *state;
	int fd = connect_to(s->path);

	send_text(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(await(&s->holds, 1), 1);
	assert_int_equal(count_of(&s->aborts), 0);
	close(fd);
	assert_int_equal(await(&s->aborts, 1), 1);
}

static void half_closed_is_answered(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_to(s->path);
	char buf[4096];

	send_text(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	receive(fd, NULL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "\r\n\r\nlate"));
}

static void stream_of_lines(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_to(s->path);
	char buf[4096];
	unsigned n = 0;

	send_text(fd, "GET /lines HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(fd, NULL, buf, sizeof(buf));
	assert_non_null(strstr(buf, "Transfer-Encoding: chunked\r\n"));
	for (const char *p = buf; (p = strstr(p, "7\r\na line\n\r\n")); p++)
		n++;
	assert_int_equal(n, 5);
	assert_non_null(strstr(buf, "\r\n0\r\n\r\n"));
	assert_int_equal(await(&s->closes, 1), 1);
}

static void headers_before_data(void **state)
{
	struct server *s = *state;
	int fd = connect_to(s->path);
	char buf[4096];

	send_text(fd, "GET /idle HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(fd, "\r\n\r\n", buf, sizeof(buf));
	assert_memory_equal(buf, "HTTP/1.1 200 ", 13);
	assert_int_equal(count_of(&s->closes), 0);
	close(fd);                      /* noticed although nothing is written */
	assert_int_equal(await(&s->closes, 1), 1);
}

/* The server answers others while one reader does not read. */
static void slow_reader(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int slow = connect_to(s->path), other = connect_to(s->path);
	char *all = calloc(1, 2 * FLOOD_BYTES), buf[4096];
	size_t n = 0;
	ssize_t got;

	send_text(slow, "GET /flood HTTP/1.0\r\n\r\n");
	for (int i = 0; i < 50; i++) {
		send_text(other, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
		receive(other, "\r\n\r\nlate", buf, sizeof(buf));
	}
	assert_int_equal(count_of(&s->closes), 0);
	while ((got = recv(slow, all + n, 2 * FLOOD_BYTES - n, 0)) > 0)
		n += (size_t)got;
	assert_true(n > FLOOD_BYTES);
	for (size_t i = 0; i < FLOOD_BYTES; i++)
		if (all[n - FLOOD_BYTES + i] != (char)(i % 251))
			fail_msg("byte %zu is wrong", i);
	assert_int_equal(await(&s->closes, 1), 1);
	free(all);
}

/* Open streams and requests nobody answered: all end, and closing does not hang. */
static void close_with_open_work(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int hold = connect_to(s->path), idle = connect_to(s->path);
	_cleanup_close_ int flood = connect_to(s->path), half = connect_to(s->path);
	char buf[4096];

	send_text(half, "GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(half, "\r\n\r\n", buf, sizeof(buf));
	send_text(hold, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	send_text(idle, "GET /idle HTTP/1.1\r\nHost: x\r\n\r\n");
	send_text(flood, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(idle, "\r\n\r\n", buf, sizeof(buf));
	receive(flood, "\r\n\r\n", buf, sizeof(buf));
	assert_int_equal(await(&s->holds, 1), 1);
	stop(s);
	assert_int_equal(s->aborts, 1);
	assert_int_equal(s->closes, 3);
	assert_string_equal(receive(half, NULL, buf, sizeof(buf)), "4\r\nine\n\r\n0\r\n\r\n");
	assert_string_equal(receive(idle, NULL, buf, sizeof(buf)), "0\r\n\r\n");
	assert_string_equal(receive(hold, NULL, buf, sizeof(buf)), "");
}

/* Each door says who came in by it; the third one asks. */
static void doors(void **state)
{
	struct server *s = *state;
	char buf[4096], name[32];
	const struct { const char *path, *header, *door, *name, *rest; } rows[] = {
		{ s->path, "", "admin", name, "role=2 uid=1" },
		{ s->view, "", "view", name, "role=1 uid=1" },
		{ s->view, "X-Name: eve\r\n", "view", name, "role=1 uid=1" },
		{ s->asked_path, "X-Name: anna\r\n", "asks", "anna", "role=1" },
		{ s->asked_path, "", "asks", "nobody", "role=0" },
	};

	snprintf(name, sizeof(name), "uid:%u", getuid());
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_close_ int fd = connect_to(rows[i].path);
		char want[128];

		snprintf(want, sizeof(want), "%s %s %s", rows[i].door, rows[i].name, rows[i].rest);
		snprintf(buf, sizeof(buf), "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
			 "%s\r\n", rows[i].header);
		send_text(fd, buf);
		if (!strstr(receive(fd, NULL, buf, sizeof(buf)), want))
			fail_msg("row %zu: no \"%s\" in: %s", i, want, buf);
	}
}

static void socket_is_ours(void **state)
{
	struct server *s = *state;
	struct http_socket sock = { .fd = -1 };
	struct stat st;
	char path[128];

	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(http_listen(s->path, NULL, &sock), -EADDRINUSE);
	/* a stale one: bound, and nobody listens */
	snprintf(path, sizeof(path), "%s/stale", s->dir);
	assert_int_equal(link(s->path, path), 0);
	stop(s);
	assert_int_equal(http_listen(path, NULL, &sock), 0);
	http_unlisten(path, &sock);
	assert_int_equal(access(path, F_OK), -1);
	/* a file that is no socket is not ours to remove */
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(http_listen(path, NULL, &sock), -EEXIST);
	unlink(path);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(keep_alive), ROW(plain_answers), ROW(body_limit), ROW(gone_while_held),
		ROW(half_closed_is_answered), ROW(stream_of_lines), ROW(headers_before_data),
		ROW(slow_reader), ROW(close_with_open_work), ROW(doors),
		ROW(socket_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
