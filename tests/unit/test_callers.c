/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_callers.c - what clients of netd/http may have: connections, streams, bytes, time
 *
 * The server runs on a thread of its own, with limits so small that a row meets them at once.  On
 * its TCP door a client is an address of the loopback network.
 */
#include "lib/testlib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/http/http.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LARGE   (16 * 1024 * 1024)      /* more than sockets hold */
#define HEAD    " HTTP/1.1\r\nHost: x\r\n"

struct server {
	pthread_t thread;
	struct loop *loop;
	struct http *http;
	struct loop_watch *watch;
	uint16_t port_be;
	int stop;
	unsigned closes;                /* of streams; atomic */
};

static void close_stream(void *arg)
{
	__atomic_add_fetch(&((struct server *)arg)->closes, 1, __ATOMIC_RELAXED);
}

static ssize_t read_nothing(void *arg, char *buf, size_t max)
{
	(void)arg;
	(void)buf;
	(void)max;
	return 0;
}

static ssize_t read_zeros(void *arg, char *buf, size_t max)
{
	(void)arg;
	memset(buf, '0', max);
	return (ssize_t)max;
}

static void answer(struct request *req, unsigned code, const char *text)
{
	http_reply(req, code, "text/plain", bytes_new(text, strlen(text)));
}

static void large(struct request *req)
{
	char *text = calloc(1, LARGE);

	http_reply(req, 200, NULL, bytes_new(text, LARGE));
	free(text);
}

static void handle(void *arg, struct request *req)
{
	const char *path = request_path(req);
	bool zeros = strcmp(path, "/zeros") == 0;
	size_t len;

	request_body(req, &len);
	if (request_busy(req)) {
		assert_int_equal(len, 0);
		answer(req, 429, request_busy(req));
	} else if (strcmp(path, "/large") == 0 && request_may_hold(req, LARGE)) {
		large(req);
	} else if (strcmp(path, "/large") == 0) {
		answer(req, 429, "not taken");
	} else if ((zeros || strcmp(path, "/stream") == 0) && request_may_stream(req)) {
		http_stream(req, NULL, zeros ? read_zeros : read_nothing, close_stream, arg);
	} else if (strcmp(path, "/stream") == 0) {
		answer(req, 429, "streams");
	} else {
		answer(req, 200, request_peer(req)->client);
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

static int listen_anywhere(uint16_t *port_be)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port_be = sa.sin_port;
	return fd;
}

static void start(struct server *s, const struct http_limits *limits)
{
	struct http_config conf = { .limits = limits, .handle = handle, .arg = s };
	struct http_door door = { .name = "tcp", .role = ROLE_ADMIN };

	assert_int_equal(loop_new(&s->loop), 0);
	door.sock.fd = listen_anywhere(&s->port_be);
	s->stop = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(http_open(s->loop, &conf, &s->http), 0);
	assert_int_equal(http_door_open(s->http, &door), 0);
	assert_int_equal(loop_watch_fd(s->loop, s->stop, EPOLLIN, on_stop, s, &s->watch), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void finish(struct server *s)
{
	assert_int_equal(write(s->stop, &(uint64_t){ 1 }, 8), 8);
	pthread_join(s->thread, NULL);
	loop_unwatch(s->watch);
	loop_free(s->loop);
	close(s->stop);
}

/* A connection from 127.0.0.@host. */
static int come(const struct server *s, unsigned host)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = s->port_be;
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until @mark has come; whether it did before the end, and before @other. */
static bool hears_first(int fd, const char *mark, const char *other)
{
	char buf[4096] = "";
	size_t n = 0;

	while (!strstr(buf, mark)) {
		ssize_t got = recv(fd, buf + n, sizeof(buf) - n - 1, 0);

		assert_false(got < 0 && errno == EAGAIN);
		if (got <= 0)
			return false;
		n += (size_t)got;
		buf[n] = '\0';
		if (other && strstr(buf, other))
			return false;
	}
	return true;
}

static bool hears(int fd, const char *mark)
{
	return hears_first(fd, mark, NULL);
}

static bool is_served(int fd)
{
	say(fd, "GET /" HEAD "\r\n");
	return hears(fd, "127.0.0.");
}

static bool is_cut(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static int stream_of(const struct server *s, unsigned host)
{
	int fd = come(s, host);

	say(fd, "GET /stream" HEAD "\r\n");
	assert_true(hears(fd, "HTTP/1.1 200 "));
	return fd;
}

static const struct http_limits roomy = {
	.connections = 64, .client_connections = 32, .streams = 16, .client_streams = 8,
	.held_bytes = 8 * LARGE, .client_held_bytes = 4 * LARGE,
	.idle_ms = 60000, .request_ms = 60000, .reply_ms = 60000, .stall_s = 60,
};

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* The oldest one that waits goes; used lately is young. */
static void own_idle_make_room(void **state)
{
	struct http_limits few = roomy;
	struct server s = { 0 };
	int fds[8];

	(void)state;
	few.client_connections = 4;
	start(&s, &few);
	for (int i = 0; i < 4; i++) {
		fds[i] = come(&s, 1);
		assert_true(is_served(fds[i]));
	}
	assert_true(is_served(fds[0]));
	for (int i = 4; i < 6; i++)
		fds[i] = come(&s, 1);
	assert_true(is_cut(fds[1]));
	assert_true(is_cut(fds[2]));
	for (int i = 0; i < 6; i = i ? i + 1 : 3)
		assert_true(is_served(fds[i]));
	close_all(fds, 6);
	finish(&s);
}

/* At the limit of all, who has most gives. */
static void flood_costs_its_owner(void **state)
{
	struct http_limits few = roomy;
	struct server s = { 0 };
	int fds[6];

	(void)state;
	few.connections = 4;
	start(&s, &few);
	fds[0] = come(&s, 2);
	assert_true(is_served(fds[0]));
	for (int i = 1; i < 4; i++) {
		fds[i] = come(&s, 1);
		assert_true(is_served(fds[i]));
	}
	fds[4] = come(&s, 3);
	assert_true(is_served(fds[4]));
	assert_true(is_cut(fds[1]));
	assert_true(is_served(fds[0]));
	close_all(fds, 5);
	finish(&s);
}

/* Nobody waits: a newcomer is told, and all who work go on. */
static void too_many_at_work(void **state)
{
	struct http_limits few = roomy;
	struct server s = { 0 };
	int fds[3], more;

	(void)state;
	few.client_connections = 3;
	start(&s, &few);
	for (int i = 0; i < 3; i++)
		fds[i] = stream_of(&s, 1);
	for (int i = 0; i < 3; i++) {
		more = come(&s, 1);
		say(more, "POST /" HEAD "Content-Length: 3\r\n\r\nabc");
		assert_true(hears(more, "too many connections"));
		assert_true(is_cut(more));
		close(more);
	}
	more = come(&s, 2);
	assert_true(is_served(more));
	close(more);
	assert_int_equal(__atomic_load_n(&s.closes, __ATOMIC_RELAXED), 0);
	close(fds[2]);
	while (__atomic_load_n(&s.closes, __ATOMIC_RELAXED) == 0)
		usleep(1000);
	more = come(&s, 1);
	assert_true(is_served(more));
	close(more);
	close_all(fds, 2);
	finish(&s);
}

static void too_many_streams(void **state)
{
	struct http_limits few = roomy;
	struct server s = { 0 };
	int fds[3], more;

	(void)state;
	few.client_streams = 2;
	few.streams = 3;
	start(&s, &few);
	fds[0] = stream_of(&s, 1);
	fds[1] = stream_of(&s, 1);
	more = come(&s, 1);
	say(more, "GET /stream" HEAD "\r\n");
	assert_true(hears(more, "HTTP/1.1 429 "));
	assert_true(is_served(more));
	fds[2] = stream_of(&s, 2);
	close(more);
	more = come(&s, 3);
	say(more, "GET /stream" HEAD "\r\n");
	assert_true(hears(more, "HTTP/1.1 429 "));
	close(fds[2]);
	while (__atomic_load_n(&s.closes, __ATOMIC_RELAXED) == 0)
		usleep(1000);
	fds[2] = stream_of(&s, 3);
	close(more);
	close_all(fds, 3);
	finish(&s);
}

/* Again, if we were too slow. */
static int stream_in_time(const struct server *s)
{
	static const char ask[] = "GET /stream" HEAD "\r\n";

	for (;;) {
		int fd = come(s, 1);

		if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) == (ssize_t)strlen(ask) && hears(fd, "HTTP/1.1 200 "))
			return fd;
		close(fd);
	}
}

/* However it drips. */
static const struct drip {
	const char *says, *before;
} drips[] = {
	{ "nothing at all", "" },
	{ "half a first line", "GET /a" },
	{ "headers", "GET /" HEAD "X-A: " },
	{ "a body", "POST /" HEAD "Content-Length: 1000000\r\n\r\n" },
	{ "a chunk", "POST /" HEAD "Transfer-Encoding: chunked\r\n\r\nfffff\r\n" },
	{ "a second request", "GET /" HEAD "\r\nPOST /" HEAD "Content-Length: 1000000\r\n\r\n" },
};

static void slow_requests_are_cut(void **state)
{
	const struct drip *d = *state;
	struct http_limits short_time = roomy;
	struct server s = { 0 };
	struct timeval tick = { .tv_usec = 5000 };
	char buf[4096];
	int stream, fd;
	unsigned closes;
	ssize_t n;

	short_time.request_ms = short_time.idle_ms = short_time.reply_ms = 200;
	start(&s, &short_time);
	stream = stream_in_time(&s);
	closes = __atomic_load_n(&s.closes, __ATOMIC_RELAXED);
	fd = come(&s, 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	send(fd, d->before, strlen(d->before), MSG_NOSIGNAL);
	do {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EAGAIN && *d->before)
			send(fd, "a", 1, MSG_NOSIGNAL);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	close(fd);
	assert_int_equal(__atomic_load_n(&s.closes, __ATOMIC_RELAXED), closes);      /* it may be silent */
	close(stream);
	finish(&s);
}

/* To the end, which comes before any patience does; how much. */
static size_t drain(int fd)
{
	char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		total += (size_t)n;
	assert_false(n < 0 && errno == EAGAIN);
	return total;
}

static bool is_kept(int fd, const char *body)
{
	char head[128];

	snprintf(head, sizeof(head), "POST /" HEAD "Content-Length: %zu\r\n\r\n", strlen(body));
	say(fd, head);
	say(fd, body);
	return hears_first(fd, "\r\n\r\n127.0.0.", "\r\n\r\ntoo much");
}

/* Whoever takes an answer too slowly is cut, and what he held is free; others of the same client are not. */
static void answers_are_to_be_taken(void **state)
{
	struct http_limits limits = roomy;
	struct server s = { 0 };
	char *body = calloc(1, 700001);
	int fd, other;

	(void)state;
	memset(body, 'x', 700000);
	limits.reply_ms = 100;
	limits.client_held_bytes = LARGE + 512 * 1024;
	start(&s, &limits);
	fd = come(&s, 1);
	other = come(&s, 1);
	say(fd, "GET /large" HEAD "\r\n");
	assert_true(hears(fd, "HTTP/1.1 200 "));
	while (!is_kept(other, body))
		usleep(1000);
	assert_true(is_served(other));
	assert_true(drain(fd) < LARGE);
	close(fd);
	close(other);
	free(body);
	finish(&s);
}

/* An answer that nobody takes: no other large one, no body, for this client; until it is gone. */
static void bytes_are_counted(void **state)
{
	struct http_limits limits = roomy;
	struct server s = { 0 };
	char *body = calloc(1, 700001);
	int fd, other, fellow;

	(void)state;
	memset(body, 'x', 700000);
	limits.client_held_bytes = LARGE + 512 * 1024;
	start(&s, &limits);
	fd = come(&s, 1);
	say(fd, "GET /large" HEAD "\r\n");
	assert_true(hears(fd, "HTTP/1.1 200 "));
	fellow = come(&s, 1);
	say(fellow, "GET /large" HEAD "\r\n");
	assert_true(hears(fellow, "\r\n\r\nnot taken"));
	assert_true(is_served(fellow));
	other = come(&s, 2);
	assert_true(is_kept(other, body));
	close(other);
	other = come(&s, 1);
	say(other, "POST /" HEAD "Content-Length: 700000\r\n\r\n");
	say(other, body);
	assert_true(hears(other, "\r\n\r\ntoo much"));
	assert_true(is_kept(other, "short"));
	close(fd);
	while (!is_kept(fellow, body))
		usleep(1000);
	close(fellow);
	close(other);
	free(body);
	finish(&s);
}

/* Reads nothing: cut, although the stream always has more. */
static void stalled_stream_is_cut(void **state)
{
	struct http_limits limits = roomy;
	struct server s = { 0 };
	int fd, quiet;

	(void)state;
	limits.stall_s = 1;
	start(&s, &limits);
	quiet = stream_of(&s, 1);
	fd = come(&s, 1);
	say(fd, "GET /zeros" HEAD "\r\n");
	while (__atomic_load_n(&s.closes, __ATOMIC_RELAXED) == 0)
		usleep(10000);
	close(fd);
	assert_int_equal(__atomic_load_n(&s.closes, __ATOMIC_RELAXED), 1);
	close(quiet);
	finish(&s);
}

/* So few descriptors are left that the rest of netd needs them. */
static void few_descriptors(void **state)
{
	struct rlimit was, tight;
	struct server s = { 0 };
	int waits, fd;

	(void)state;
	start(&s, &roomy);
	waits = come(&s, 1);
	assert_true(is_served(waits));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	tight = was;
	fd = dup(waits);
	close(fd);
	tight.rlim_cur = (rlim_t)fd + 65;       /* for the client, the server, and 63 more */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	fd = come(&s, 2);
	assert_true(is_cut(waits));
	assert_true(is_served(fd));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	close(fd);
	close(waits);
	finish(&s);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		cmocka_unit_test(own_idle_make_room), cmocka_unit_test(flood_costs_its_owner),
		cmocka_unit_test(too_many_at_work), cmocka_unit_test(too_many_streams),
		cmocka_unit_test(answers_are_to_be_taken), cmocka_unit_test(bytes_are_counted),
		cmocka_unit_test(stalled_stream_is_cut), cmocka_unit_test(few_descriptors),
	};
	struct CMUnitTest tests[ARRAY_SIZE(plain) + ARRAY_SIZE(drips)];

	memcpy(tests, plain, sizeof(plain));
	for (size_t i = 0; i < ARRAY_SIZE(drips); i++)
		tests[ARRAY_SIZE(plain) + i] = (struct CMUnitTest){
			drips[i].says, slow_requests_are_cut, NULL, NULL,
			(void *)(uintptr_t)&drips[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
