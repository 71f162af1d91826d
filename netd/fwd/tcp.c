/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tcp.c - connections to the loopback, each joined to one to a pod
 *
 * Room: podnet-fwd.
 *
 * What is read from one end is written to the other at once; what does not fit waits in a buffer of
 * that direction, and until it is gone nothing more is read there, so a slow reader slows its
 * writer and costs 64 KiB.  The end of one direction is passed on and the other goes on; an error
 * or a reset of either end resets both.  An end for which there is nothing to do is not watched: a
 * hang-up that waits behind data would be told again and again.
 * #syscalls: accept4 socket:AF_INET socket:AF_INET6 connect getsockopt setsockopt shutdown
 * #syscalls: recvfrom sendto close
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/fwd/fwd.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS         64          /* of one socket in a turn */
#define TELL_US         60000000    /* that descriptors are short is told once a minute */

struct end {
	struct pair *pair;
	int fd;
	struct loop_watch *watch;
	uint32_t events;            /* that it is watched for */
	uint8_t *data;              /* read here, not yet written at the other end */
	size_t at, len;
	bool ended, passed;         /* no more comes from here; that was passed on */
};

struct pair {
	struct hold *hold;
	struct pair *next, **before;
	bool connecting;
	struct end end[2];          /* the client's, the pod's */
};

static struct end *other(const struct end *e)
{
	return &e->pair->end[e == &e->pair->end[0]];
}

static void pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		loop_unwatch(p->end[i].watch);
		closep(&p->end[i].fd);
		free(p->end[i].data);
	}
	*p->before = p->next;
	if (p->next)
		p->next->before = p->before;
	free(p);
}

/* A close that the other side sees as what it is: not the end of what was sent. */
static void reset(struct pair *p)
{
	const struct linger now = { .l_onoff = 1 };

	for (int i = 0; i < 2; i++)
		if (p->end[i].fd >= 0)
			setsockopt(p->end[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	pair_free(p);
}

/* ---- moving bytes; each: 0 or a negative errno ---- */

static int flush(struct end *from)
{
	struct end *to = other(from);

	while (from->len) {
		ssize_t n = send(to->fd, from->data + from->at, from->len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		from->at += (size_t)n;
		from->len -= (size_t)n;
	}
	free(from->data);
	from->data = NULL;
	return 0;
}

static int keep(struct end *from, const uint8_t *data, size_t len)
{
	from->data = malloc(len);
	if (!from->data)
		return -ENOMEM;
	memcpy(from->data, data, len);
	from->at = 0;
	from->len = len;
	return 0;
}

/* A turn's worth; the loop comes back when there is more. */
static int fetch(struct end *from)
{
	uint8_t *scratch = from->pair->hold->fwd->scratch;
	ssize_t n = recv(from->fd, scratch, FWD_SCRATCH, 0), sent;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	from->ended = n == 0;
	if (n == 0)
		return 0;
	sent = send(other(from)->fd, scratch, (size_t)n, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return -errno;
	if (sent < 0)
		sent = 0;
	return sent == n ? 0 : keep(from, scratch + sent, (size_t)(n - sent));
}

static int move(struct end *from)
{
	int r = from->len ? flush(from) : 0;

	if (r == 0 && !from->len && !from->ended)
		r = fetch(from);
	if (r < 0 || from->len || !from->ended || from->passed)
		return r;
	from->passed = true;
	/* ENOTCONN: it has gone meanwhile, which the other direction will find */
	return shutdown(other(from)->fd, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
}

/* ---- watching ---- */

static void on_end(void *arg, uint32_t events);

static int watch(struct end *e, uint32_t events)
{
	struct loop *loop = e->pair->hold->fwd->loop;

	if (e->events == events)
		return 0;
	loop_unwatch(e->watch);
	e->watch = NULL;
	e->events = events;
	return events ? loop_watch_fd(loop, e->fd, events, on_end, e, &e->watch) : 0;
}

static int watch_both(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct end *e = &p->end[i];
		bool in = !e->ended && !e->len && !p->connecting;
		bool out = other(e)->len || (i == 1 && p->connecting);
		int r = watch(e, (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0));

		if (r < 0)
			return r;
	}
	return 0;
}

static int connected(struct pair *p)
{
	int why = 0;
	socklen_t len = sizeof(why);

	if (getsockopt(p->end[1].fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		return -errno;
	p->connecting = false;
	return -why;
}

static void on_end(void *arg, uint32_t events)
{
	struct pair *p = ((struct end *)arg)->pair;
	int r = p->connecting ? connected(p) : 0;

	(void)events;
	for (int i = 0; i < 2 && r == 0; i++)
		r = move(&p->end[i]);
	if (r == 0 && p->end[0].passed && p->end[1].passed) {
		pair_free(p);
		return;
	}
	if (r == 0)
		r = watch_both(p);
	if (r < 0)
		reset(p);
}

/* ---- beginning ---- */

static int dial(const struct fwd_addr *to)
{
	struct sockaddr_storage at;
	socklen_t len = fwd_sockaddr(to, &at);
	int fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, len) < 0 && errno != EINPROGRESS) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static void set_options(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static bool is_short(int r)
{
	return r == -EMFILE || r == -ENFILE;
}

static void tell_short(const struct hold *h)
{
	struct fwd *f = h->fwd;
	uint64_t now = now_monotonic_us();

	if (f->refused_at && now - f->refused_at < TELL_US)
		return;
	log_event(LOG_LEVEL_WARNING, "no_descriptors", "port=%u", ntohs(h->at.port_be));
	f->refused_at = now;
}

static void begin(struct hold *h, int client)
{
	struct pair *p = calloc(1, sizeof(*p));
	int r;

	if (!p) {
		close(client);
		return;
	}
	*p = (struct pair){ .hold = h, .next = h->pairs, .before = &h->pairs, .connecting = true };
	if (p->next)
		p->next->before = &p->next;
	h->pairs = p;
	p->end[0] = (struct end){ .pair = p, .fd = client };
	p->end[1] = (struct end){ .pair = p, .fd = dial(&h->to) };
	r = p->end[1].fd < 0 ? p->end[1].fd : 0;
	if (r == 0) {
		set_options(client);
		set_options(p->end[1].fd);
		r = watch_both(p);
	}
	if (is_short(r))
		tell_short(h);
	if (r < 0)
		reset(p);
}

/*
 * No descriptor is left: who waits is refused, by the one that was spared for that, rather than
 * left to wait.  True: there was somebody.
 */
static bool refuse(struct hold *h)
{
	const struct linger now = { .l_onoff = 1 };
	struct fwd *f = h->fwd;
	int fd;

	closep(&f->spare);
	fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fd);
	}
	f->spare = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tell_short(h);
	return fd >= 0;
}

void tcp_accept(void *hold, uint32_t events)
{
	struct hold *h = hold;

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			begin(h, fd);
		else if (!is_short(-errno) || !refuse(h))
			return;
	}
}

void tcp_end(struct hold *h)
{
	while (h->pairs)
		reset(h->pairs);
}
