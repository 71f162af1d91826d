/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_turns.c - many streams that are woken at once take turns with everything else
 *
 * One thread: the clients have said all they say before the loop runs.
 */
#include "lib/testlib.h"

#include <arpa/inet.h>
#include <netd/http/http.h>
#include <sys/socket.h>

#define STREAMS 300
#define WHOLE   "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"

struct world;

struct stream {
	struct world *world;
	struct http_stream *http;
	bool idle, ready;
};

struct world {
	struct loop *loop;
	struct http *http;
	struct loop_timer *tick;        /* once a turn */
	struct stream streams[STREAMS];
	int fds[STREAMS];
	unsigned opened, idle, spoke, closed, before, most;
	bool leave;                     /* the loop ends when all were woken */
};

static ssize_t speak(void *arg, char *buf, size_t max)
{
	struct stream *s = arg;

	assert_true(max > 0);
	if (!s->ready) {
		s->world->idle += !s->idle;
		s->idle = true;
		return 0;
	}
	s->ready = false;
	s->world->spoke++;
	buf[0] = '!';
	return 1;
}

static void closed(void *arg)
{
	((struct stream *)arg)->world->closed++;
}

static void handle(void *arg, struct request *req)
{
	struct world *w = arg;
	struct stream *s = &w->streams[w->opened++];

	s->world = w;
	s->http = http_stream(req, NULL, speak, closed, s);
	assert_non_null(s->http);
}

static void wake_all(struct world *w)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		w->streams[i].ready = true;
		http_stream_wake(w->streams[i].http);
		http_stream_wake(w->streams[i].http);   /* twice is once */
	}
	w->idle = 0;
}

/* How many have spoken since the turn before. */
static void tick(void *arg)
{
	struct world *w = arg;

	if (w->idle == STREAMS)
		wake_all(w);
	if (w->spoke - w->before > w->most)
		w->most = w->spoke - w->before;
	w->before = w->spoke;
	if (w->spoke == STREAMS || (w->leave && w->streams[STREAMS - 1].ready))
		loop_stop(w->loop);
	else
		loop_timer_set(w->tick, 0);
}

static int listen_anywhere(struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*sa);

	*sa = (struct sockaddr_in){ .sin_family = AF_INET };
	sa->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	assert_int_equal(listen(fd, STREAMS), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	return fd;
}

static int come(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof(*to)), 0);
	assert_int_equal(send(fd, WHOLE, strlen(WHOLE), MSG_NOSIGNAL), strlen(WHOLE));
	return fd;
}

static void open_world(struct world *w)
{
	struct http_config conf = { .handle = handle, .arg = w };
	struct http_door door = { .name = "tcp", .role = ROLE_ADMIN };
	struct sockaddr_in sa;

	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(http_open(w->loop, &conf, &w->http), 0);
	door.sock.fd = listen_anywhere(&sa);
	assert_int_equal(http_door_open(w->http, &door), 0);
	assert_int_equal(loop_timer_new(w->loop, tick, w, &w->tick), 0);
	loop_timer_set(w->tick, 0);
	for (unsigned i = 0; i < STREAMS; i++)
		w->fds[i] = come(&sa);
}

static void close_world(struct world *w)
{
	http_close(w->http);
	loop_timer_free(w->tick);
	loop_free(w->loop);
	for (unsigned i = 0; i < STREAMS; i++)
		close(w->fds[i]);
	assert_int_equal(w->closed, STREAMS);
}

static void a_part_each_turn(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)state;
	open_world(w);
	assert_int_equal(loop_run(w->loop), 0);
	assert_int_equal(w->spoke, STREAMS);
	assert_in_range(w->most, 1, STREAMS / 3);
	close_world(w);
	free(w);
}

/* Clients go while their streams wait for a turn, and so does the server. */
static void gone_before_their_turn(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)state;
	w->leave = true;
	open_world(w);
	assert_int_equal(loop_run(w->loop), 0);
	assert_in_range(w->spoke, 0, STREAMS - 1);
	for (unsigned i = 0; i < STREAMS; i += 2)
		shutdown(w->fds[i], SHUT_RDWR);
	close_world(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_each_turn), cmocka_unit_test(gone_before_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
