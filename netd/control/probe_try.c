/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_try.c - one try of a probe: connect, ask, read as much of the answer as decides
 *
 * Room: control; one socket and one timer on the control loop, which nothing here waits for.  The whole
 * try, redirects included, has the probe's timeout.  The body is read to its end, up to 10 KiB: a server
 * that is cut off in the middle would log it each time.  Words are those of a kubelet.
 * May include: probe.h, netd/base, libc.
 * #syscalls: socket:AF_INET socket:AF_INET6 connect getsockopt sendto recvfrom close
 */
#include "probe.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX        (64 * 1024)
#define BODY_MAX        (10 * 1024)
#define HOPS_MAX        10

struct probe_try {
	struct loop *loop;
	const struct probe *probe;
	struct podnet_prefix to;
	struct probe_url url;
	bool own_host;              /* the user's Host header is for this address */
	unsigned hops;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;
	bool connected, ended;
	struct buf out, in;         /* in: up to the end of the head */
	size_t sent, body;
	char tail[5];               /* the last of the body: of chunks, "0" and two ends of lines */
	struct probe_answer answer;
	void (*done)(void *arg, enum probe_result result, const char *words);
	void *arg;
	enum probe_result result;
	char words[PROBE_WORDS];
};

static void hang_up(struct probe_try *t)
{
	loop_unwatch(t->watch);
	t->watch = NULL;
	closep(&t->fd);
	t->fd = -1;
	t->connected = false;
	buf_fini(&t->out);
	buf_fini(&t->in);
	t->out = t->in = (struct buf){ 0 };
	t->sent = t->body = 0;
	memset(t->tail, 0, sizeof(t->tail));
}

void probe_try_free(struct probe_try *t)
{
	if (!t)
		return;
	hang_up(t);
	loop_timer_free(t->timer);
	free(t->url.target);
	free(t);
}

/* It is told from the timer, so nobody is called back out of his own call. */
__attribute__((format(printf, 3, 4)))
static void end(struct probe_try *t, enum probe_result result, const char *fmt, ...)
{
	char url[PROBE_WORDS / 2];
	va_list ap;
	int n = 0;

	t->ended = true;
	t->result = result;
	if (t->probe->type == PROBE_HTTP && !t->answer.code)
		n = snprintf(t->words, sizeof(t->words), "Get \"%s\": ",
			     probe_url_text(&t->url, url, sizeof(url)));
	va_start(ap, fmt);
	vsnprintf(t->words + n, sizeof(t->words) - (size_t)n, fmt, ap);
	va_end(ap);
	hang_up(t);
	loop_timer_set(t->timer, 0);
}

/* "dial tcp 10.244.0.2:80: connect: connection refused" */
static void end_errno(struct probe_try *t, const char *call, int error)
{
	char why[96], ip[PODNET_PREFIX_STRLEN];
	bool v6 = t->to.family == AF_INET6;

	snprintf(why, sizeof(why), "%s", strerror(error));
	why[0] = (char)tolower((unsigned char)why[0]);
	end(t, PROBE_FAILURE, "dial tcp %s%s%s:%u: %s: %s", v6 ? "[" : "",
	    podnet_prefix_format_addr(&t->to, ip), v6 ? "]" : "", t->url.port, call, why);
}

static void connect_now(struct probe_try *t);

static void judge(struct probe_try *t)
{
	if (t->answer.code >= 400 || t->answer.code < 200)
		end(t, PROBE_FAILURE, "HTTP probe failed with statuscode: %u", t->answer.code);
	else if (t->answer.code >= 300)
		end(t, PROBE_WARNING, "Probe terminated redirects");
	else
		end(t, PROBE_SUCCESS, "%s", "");
}

static bool redirects(const struct probe_answer *a)
{
	return a->location && (a->code == 301 || a->code == 302 || a->code == 303 ||
			       a->code == 307 || a->code == 308);
}

static void follow(struct probe_try *t)
{
	struct probe_url next;
	bool relative;

	switch (probe_url_follow(&t->url, t->answer.location, t->answer.location_len, &next,
				 &relative)) {
	case FOLLOW_NOT:
		judge(t);
		return;
	case FOLLOW_FAILED:
		t->answer.code = 0;
		end(t, PROBE_FAILURE, "failed to parse Location header");
		return;
	case FOLLOW_IT:
		break;
	}
	free(t->url.target);
	t->url = next;
	t->own_host = t->own_host && relative;
	hang_up(t);
	t->answer = (struct probe_answer){ 0 };
	if (++t->hops >= HOPS_MAX)
		end(t, PROBE_FAILURE, "stopped after %d redirects", HOPS_MAX);
	else
		connect_now(t);
}

static void take_body(struct probe_try *t, const char *data, size_t n)
{
	size_t keep = sizeof(t->tail), take = n < keep ? n : keep;

	memmove(t->tail, t->tail + take, keep - take);
	memcpy(t->tail + keep - take, data + n - take, take);
	t->body += n;
}

static bool is_whole(const struct probe_try *t)
{
	if (t->answer.code == 204 || t->answer.code == 304 || t->body >= BODY_MAX)
		return true;
	if (t->answer.chunked)
		return memcmp(t->tail, "0\r\n\r\n", sizeof(t->tail)) == 0;
	return t->answer.length >= 0 && t->body >= (size_t)t->answer.length;
}

static void take(struct probe_try *t, const char *data, size_t n)
{
	ssize_t head;

	if (t->answer.code) {
		take_body(t, data, n);
		return;
	}
	buf_add(&t->in, data, n);
	head = t->in.failed || t->in.len > HEAD_MAX ? -EINVAL
	       : probe_answer_read(t->in.data, t->in.len, &t->answer);
	if (head > 0) {
		take_body(t, t->in.data + head, t->in.len - (size_t)head);
		return;
	}
	t->answer.code = 0;
	if (head < 0)
		end(t, PROBE_FAILURE, "net/http: HTTP/1.x transport connection broken: malformed "
		    "HTTP response");
}

static void at_end(struct probe_try *t, int error)
{
	bool cut = t->answer.length > 0 && t->body < (size_t)t->answer.length;

	if (t->answer.code && !error && !cut) {
		judge(t);
		return;
	}
	t->answer.code = 0;
	if (error)
		end_errno(t, "read", error);
	else
		end(t, PROBE_FAILURE, cut ? "unexpected EOF" : "EOF");
}

static void on_answer(struct probe_try *t)
{
	char data[4096];
	ssize_t n = recv(t->fd, data, sizeof(data), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		at_end(t, n < 0 ? errno : 0);
		return;
	}
	take(t, data, (size_t)n);
	if (t->ended || !t->answer.code)
		return;
	if (redirects(&t->answer))
		follow(t);
	else if (is_whole(t))
		judge(t);
}

static void on_event(void *arg, uint32_t events);

static int watch(struct probe_try *t, uint32_t events)
{
	loop_unwatch(t->watch);
	t->watch = NULL;
	return loop_watch_fd(t->loop, t->fd, events, on_event, t, &t->watch);
}

static void on_room(struct probe_try *t)
{
	ssize_t n = send(t->fd, t->out.data + t->sent, t->out.len - t->sent, MSG_NOSIGNAL);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_errno(t, "write", errno);
		return;
	}
	t->sent += (size_t)n;
	if (t->sent < t->out.len)
		return;
	r = watch(t, EPOLLIN);
	if (r < 0)
		end(t, PROBE_UNKNOWN, "%s", strerror(-r));
}

static void on_connected(struct probe_try *t)
{
	const char *bad = "";
	socklen_t len = sizeof(int);
	int error = 0, r;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		end_errno(t, "connect", error);
		return;
	}
	t->connected = true;
	if (t->probe->type == PROBE_TCP) {
		end(t, PROBE_SUCCESS, "%s", "");
		return;
	}
	r = probe_request(t->probe, &t->url, t->own_host, &t->out, &bad);
	if (r < 0)
		end(t, r == -EINVAL ? PROBE_FAILURE : PROBE_UNKNOWN,
		    "net/http: invalid header field value for \"%.100s\"", bad);
	else
		on_room(t);
}

static void on_event(void *arg, uint32_t events)
{
	struct probe_try *t = arg;

	if (t->ended)
		return;
	if (!t->connected)
		on_connected(t);
	else if (t->sent < t->out.len)
		on_room(t);
	else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_answer(t);
}

static socklen_t address_of(const struct probe_try *t, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = t->to.family;
	if (t->to.family == AF_INET) {
		memcpy(&four->sin_addr, t->to.addr, sizeof(four->sin_addr));
		four->sin_port = htons(t->url.port);
		return sizeof(*four);
	}
	memcpy(&six->sin6_addr, t->to.addr, sizeof(six->sin6_addr));
	six->sin6_port = htons(t->url.port);
	return sizeof(*six);
}

static void connect_now(struct probe_try *t)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(t, &address);
	int r;

	t->fd = socket(t->to.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0) {
		end(t, PROBE_UNKNOWN, "socket: %s", strerror(errno));
		return;
	}
	if (connect(t->fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS) {
		end_errno(t, "connect", errno);
		return;
	}
	r = watch(t, EPOLLOUT);
	if (r < 0)
		end(t, PROBE_UNKNOWN, "%s", strerror(-r));
}

static void on_timer(void *arg)
{
	struct probe_try *t = arg;

	if (t->ended) {
		t->done(t->arg, t->result, t->words);
		return;
	}
	t->answer.code = 0;
	if (!t->connected)
		end_errno(t, "connect", ETIMEDOUT);
	else
		end(t, PROBE_FAILURE, "context deadline exceeded (Client.Timeout exceeded while "
		    "awaiting headers)");
}

DEFINE_CLEANUP(struct probe_try, probe_try_free)

int probe_try_start(struct loop *loop, const struct probe *probe, const struct podnet_prefix *to,
		    uint16_t port, void (*done)(void *arg, enum probe_result result,
						const char *words),
		    void *arg, struct probe_try **ret)
{
	_cleanup_(probe_try_freep) struct probe_try *t = calloc(1, sizeof(*t));
	char ip[PODNET_PREFIX_STRLEN];
	int r;

	if (!t)
		return -ENOMEM;
	*t = (struct probe_try){ .loop = loop, .probe = probe, .to = *to, .own_host = true,
				 .fd = -1, .done = done, .arg = arg };
	t->url.port = port;
	snprintf(t->url.host, sizeof(t->url.host), "%s", podnet_prefix_format_addr(to, ip));
	r = loop_timer_new(loop, on_timer, t, &t->timer);
	if (r == 0)
		r = probe_url_set(&t->url, probe->path);
	if (r < 0)
		return r;
	loop_timer_set(t->timer, (int64_t)probe->timeout_s * 1000);
	connect_now(t);
	*ret = take_ptr(t);
	return 0;
}
