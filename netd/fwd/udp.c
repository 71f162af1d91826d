/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * udp.c - datagrams to the loopback, each client's by a socket of its own to a pod
 *
 * Room: podnet-fwd.
 *
 * A client is an address and port; it is forgotten when nothing came or went for a while, as long
 * as conntrack remembers (Linux nf_conntrack_proto_udp.c: 30 s, 120 s after an answer), or when
 * there are too many, the one that was silent longest first.  What does not fit into a socket is
 * lost, as datagrams may be.
 * #syscalls: socket:AF_INET socket:AF_INET6 connect recvfrom sendto close
 */
#include <errno.h>
#include <netd/fwd/fwd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SESSIONS_MAX    4096
#define TURN            64          /* datagrams of one socket */
#define SILENT_US       30000000
#define ANSWERED_US     120000000
#define LOOK_MS         5000

struct session {
	struct hold *hold;
	struct session *older, *newer;
	int fd;
	struct loop_watch *watch;
	struct sockaddr_storage client;
	socklen_t len;
	uint64_t seen_us;
	bool answered;
	char key[FWD_KEY_SIZE];
};

static const char *client_key(const struct sockaddr_storage *client, char ret[FWD_KEY_SIZE])
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)client;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)client;
	struct fwd_addr a = { .family = (uint8_t)client->ss_family };

	if (a.family == AF_INET6) {
		a.port_be = v6->sin6_port;
		memcpy(a.addr, &v6->sin6_addr, sizeof(v6->sin6_addr));
	} else {
		a.port_be = v4->sin_port;
		memcpy(a.addr, &v4->sin_addr, sizeof(v4->sin_addr));
	}
	return fwd_key(&a, ret);
}

/* ---- by when they were seen ---- */

static void unlink_session(struct session *s)
{
	struct fwd *f = s->hold->fwd;

	if (s->older)
		s->older->newer = s->newer;
	else
		f->oldest = s->newer;
	if (s->newer)
		s->newer->older = s->older;
	else
		f->newest = s->older;
}

static void append(struct session *s)
{
	struct fwd *f = s->hold->fwd;

	s->seen_us = now_monotonic_us();
	s->older = f->newest;
	s->newer = NULL;
	if (f->newest)
		f->newest->newer = s;
	else
		f->oldest = s;
	f->newest = s;
}

static void touch(struct session *s)
{
	unlink_session(s);
	append(s);
}

static void session_free(struct session *s)
{
	unlink_session(s);
	s->hold->fwd->nsessions--;
	map_del(&s->hold->sessions, s->key);
	loop_unwatch(s->watch);
	closep(&s->fd);
	free(s);
}

/*
 * Those that were answered live longer, so they may stand before others that are over: what is
 * looked at is bounded by those that were seen in the shorter time.
 */
static void expire(void *arg)
{
	struct fwd *f = arg;
	uint64_t now = now_monotonic_us();
	struct session *s, *next;

	for (s = f->oldest; s && now - s->seen_us > SILENT_US; s = next) {
		next = s->newer;
		if (!s->answered || now - s->seen_us > ANSWERED_US)
			session_free(s);
	}
	if (f->oldest)
		loop_timer_set(f->expiry, LOOK_MS);
}

/* ---- from the pod ---- */

/* An ICMP error has come: the pod does not listen.  There is no way to tell the client. */
static void on_answer(void *arg, uint32_t events)
{
	struct session *s = arg;
	uint8_t *scratch = s->hold->fwd->scratch;

	(void)events;
	for (int i = 0; i < TURN; i++) {
		ssize_t n = recv(s->fd, scratch, FWD_SCRATCH, MSG_DONTWAIT);

		if (n < 0)
			return;
		s->answered = true;
		touch(s);
		sendto(s->hold->fd, scratch, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
		       (struct sockaddr *)&s->client, s->len);
	}
}

/* ---- from a client ---- */

static int dial(struct session *s)
{
	struct sockaddr_storage to;
	socklen_t len = fwd_sockaddr(&s->hold->to, &to);

	s->fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, len) < 0)
		return -errno;
	return loop_watch_fd(s->hold->fwd->loop, s->fd, EPOLLIN, on_answer, s, &s->watch);
}

static struct session *session_new(struct hold *h, const struct sockaddr_storage *client,
				   socklen_t len, const char *key)
{
	struct fwd *f = h->fwd;
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (f->nsessions >= SESSIONS_MAX)
		session_free(f->oldest);
	*s = (struct session){ .hold = h, .fd = -1, .client = *client, .len = len };
	memcpy(s->key, key, sizeof(s->key));
	f->nsessions++;
	append(s);
	if (map_put(&h->sessions, s->key, s) < 0 || dial(s) < 0) {
		session_free(s);
		return NULL;
	}
	if (!loop_timer_armed(f->expiry))
		loop_timer_set(f->expiry, LOOK_MS);
	return s;
}

static struct session *session_of(struct hold *h, const struct sockaddr_storage *client,
				  socklen_t len)
{
	char key[FWD_KEY_SIZE];
	struct session *s = map_get(&h->sessions, client_key(client, key));

	if (!s)
		return session_new(h, client, len, key);
	touch(s);
	return s;
}

void udp_receive(void *hold, uint32_t events)
{
	struct hold *h = hold;
	uint8_t *scratch = h->fwd->scratch;

	(void)events;
	for (int i = 0; i < TURN; i++) {
		struct sockaddr_storage client = { 0 };
		socklen_t len = sizeof(client);
		ssize_t n = recvfrom(h->fd, scratch, FWD_SCRATCH, MSG_DONTWAIT,
				     (struct sockaddr *)&client, &len);
		struct session *s;

		if (n < 0)
			return;
		s = session_of(h, &client, len);
		if (s)
			send(s->fd, scratch, (size_t)n, MSG_NOSIGNAL);
	}
}

void udp_end(struct hold *h)
{
	struct session *s;
	size_t pos;

	for (pos = 0; (s = map_next(&h->sessions, &pos)); pos = 0)
		session_free(s);
	map_fini(&h->sessions);
	h->sessions = (struct map){ 0 };
}

int udp_start(struct fwd *f)
{
	return loop_timer_new(f->loop, expire, f, &f->expiry);
}

void udp_stop(struct fwd *f)
{
	loop_timer_free(f->expiry);
}
