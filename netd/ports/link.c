/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link.c - the connection to podnet-fwd
 *
 * Room: ports.
 *
 * Nothing waits: what does not fit into the socket stays in the queue until it does.  A connection
 * that ends was podnet-fwd's end, so nothing is held any more, and it is started or waited for.
 * #syscalls: socket:AF_UNIX connect sendto sendmsg recvfrom close
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/log.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_LEAST_MS   5
#define WAIT_MOST_MS    1000
#define GIVE_UP_US      2000000     /* a start without podnet-fwd waits no longer */
#define RETRY_MS        3000        /* for a port that another process has */

static void dial(struct ports *p);

static void set_ready(struct ports *p)
{
	if (p->ready)
		return;
	p->ready = true;
	p->conf.settled(p->conf.arg);
}

/* Is there anything that podnet-fwd is for? */
static bool needed_now(const struct ports *p)
{
	return p->nreal || p->ntunnels || !p->ready;
}

static void ended(struct ports *p)
{
	log_event(LOG_LEVEL_WARNING, "fwd_lost", "socket=%s", p->socket);
	loop_unwatch(p->watch);
	p->watch = NULL;
	drop_fd(&p->fd);
	p->state = LINK_OFF;
	p->events = 0;
	holds_parted(p);
	carried_parted(p);
	p->wait_ms = WAIT_LEAST_MS;
	if (needed_now(p))
		dial(p);
}

/* ---- to podnet-fwd ---- */

int link_say(const struct ports *p, const void *packet, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FWD_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)packet, len };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *c;

		head.msg_control = control.bytes;
		head.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(p->fd, &head, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int say(const struct ports *p, const struct fwd_msg *msg, int fd)
{
	return link_say(p, msg, sizeof(*msg), &fd, fd >= 0);
}

/* What is to be said of @h now; type 0: nothing. */
static struct fwd_msg news(const struct hold *h)
{
	struct fwd_msg msg = { .at = h->at, .to = h->to };

	if (!h->list)
		msg.type = h->has ? FWD_DROP : 0;
	else if (h->fd >= 0)
		msg.type = FWD_PUT;
	else if (h->has && h->moved)
		msg.type = FWD_AIM;
	return msg;
}

static void said(struct ports *p, struct hold *h)
{
	if (!h->list) {
		hold_remove(p, h);
		return;
	}
	h->has |= h->fd >= 0;
	h->moved = false;
	drop_fd(&h->fd);
}

static void on_link(void *arg, uint32_t events);

static int watch(struct ports *p, uint32_t events)
{
	if (p->events == events)
		return 0;
	loop_unwatch(p->watch);
	p->watch = NULL;
	p->events = events;
	return loop_watch_fd(p->conf.loop, p->fd, events, on_link, p, &p->watch);
}

static int pump(struct ports *p)
{
	struct hold *h;
	int rc;

	while ((h = p->queue)) {
		struct fwd_msg msg = news(h);
		int r = msg.type ? say(p, &msg, msg.type == FWD_PUT ? h->fd : -1) : 0;

		if (r == -EAGAIN)
			return watch(p, EPOLLIN | EPOLLOUT);
		if (r < 0)
			return r;
		p->queue = h->next_queued;
		if (!p->queue)
			p->queue_end = &p->queue;
		h->queued = false;
		said(p, h);
	}
	rc = carried_pump(p);
	if (rc == -EAGAIN)
		return watch(p, EPOLLIN | EPOLLOUT);
	return rc < 0 ? rc : watch(p, EPOLLIN);
}

void link_kick(struct ports *p)
{
	if (p->state == LINK_UP && watch(p, EPOLLIN | EPOLLOUT) < 0)
		loop_timer_set(p->redial, 0);
}

void link_queue(struct ports *p, struct hold *h)
{
	if (h->queued)
		return;
	h->queued = true;
	h->next_queued = NULL;
	*p->queue_end = h;
	p->queue_end = &h->next_queued;
	link_kick(p);           /* the first one: from the loop, when whoever declares them has ended */
}

/* ---- from podnet-fwd ---- */

static void held(struct ports *p, const struct fwd_msg *msg)
{
	struct hold *h = hold_get(p, &msg->at, true);

	if (!h)
		return;
	h->has = true;
	if (!h->list)
		h->to = msg->to;
	h->moved = memcmp(&h->to, &msg->to, sizeof(h->to)) != 0;
}

static void lost(struct ports *p, const struct fwd_msg *msg)
{
	struct hold *h = hold_get(p, &msg->at, false);

	log_event(LOG_LEVEL_WARNING, "port_not_held", "port=%u", ntohs(msg->at.port_be));
	if (!h)
		return;
	h->has = false;
	link_retry(p);
}

void link_retry(struct ports *p)
{
	if (!loop_timer_armed(p->retry))
		loop_timer_set(p->retry, RETRY_MS);
}

static void done(struct ports *p)
{
	bool told_off = p->told_off;

	p->state = LINK_UP;
	p->told_off = false;
	p->wait_ms = WAIT_LEAST_MS;
	log_event(LOG_LEVEL_INFO, "fwd_met", "socket=%s", p->socket);
	if (told_off)
		carried_told(p);
	holds_settle(p);
	carried_settle(p);
	set_ready(p);
}

static void take(struct ports *p, const struct fwd_msg *msg)
{
	switch ((enum fwd_type)msg->type) {
	case FWD_HELD:
		held(p, msg);
		break;
	case FWD_DONE:
		done(p);
		break;
	case FWD_LOST:
		lost(p, msg);
		break;
	case FWD_TUNNEL_HELD:
		carried_held(p, msg);
		break;
	case FWD_TUNNEL_LOST:
		carried_lost(p, msg);
		break;
	case FWD_HELLO:
	case FWD_PUT:
	case FWD_AIM:
	case FWD_DROP:
	case FWD_END:
	case FWD_TUNNEL:
	case FWD_TUNNEL_PEER:
	case FWD_TUNNEL_READY:
	case FWD_TUNNEL_DROP:
	case FWD_COUNT:
	case FWD_COUNTS:
		break;
	}
}

union packet {
	struct fwd_msg v[FWD_BATCH];
	struct fwd_counts counts[FWD_COUNTS_BATCH];
};

static void take_packet(struct ports *p, const union packet *packet, size_t len)
{
	if (packet->v[0].type == FWD_COUNTS) {
		carried_counted(p, packet->counts, len / sizeof(packet->counts[0]));
		return;
	}
	for (size_t k = 0; k < len / sizeof(packet->v[0]) && p->fd >= 0; k++)
		take(p, &packet->v[k]);
}

static void on_link(void *arg, uint32_t events)
{
	union packet packet;
	struct ports *p = arg;
	ssize_t n = 0;

	(void)events;
	for (int i = 0; i < 64 && p->fd >= 0; i++) {
		n = recv(p->fd, &packet, sizeof(packet), MSG_DONTWAIT);
		if (n <= 0)
			break;
		take_packet(p, &packet, (size_t)n);
	}
	if (p->fd < 0)
		return;
	if (n == 0 || (n < 0 && errno != EAGAIN) || pump(p) < 0)
		ended(p);
}

/* ---- connecting ---- */

static int try_connect(struct ports *p)
{
	const struct fwd_msg hello = { .type = FWD_HELLO, .n = FWD_VERSION };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int r;

	if (strlen(p->socket) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, p->socket, strlen(p->socket));
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	r = connect(p->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
	if (r == 0)
		r = say(p, &hello, -1);
	if (r == 0)
		r = watch(p, EPOLLIN);
	p->events = r < 0 ? 0 : p->events;
	if (r < 0)
		drop_fd(&p->fd);
	else
		p->state = LINK_ASKED;
	return r;
}

/* At once, and again when what it started should have come up long ago. */
static void ask_starter(struct ports *p, int why)
{
	bool turn = p->wait_ms == WAIT_LEAST_MS || p->wait_ms == WAIT_MOST_MS;

	if (turn && p->conf.mode == PORTS_START && p->conf.starter >= 0 &&
	    (why == -ENOENT || why == -ECONNREFUSED))
		send(p->conf.starter, "s", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (p->wait_ms < WAIT_MOST_MS || p->told_off)
		return;
	log_event(LOG_LEVEL_WARNING, "fwd_missing", "socket=%s err=\"%s\"", p->socket, strerror(-why));
	p->told_off = true;
	carried_told(p);
}

static void dial(struct ports *p)
{
	bool late = p->begun_us && now_monotonic_us() - p->begun_us > GIVE_UP_US;
	int r = p->state == LINK_OFF ? try_connect(p) : 0;

	if (r < 0) {
		ask_starter(p, r);
		loop_timer_set(p->redial, p->wait_ms);
		p->wait_ms = p->wait_ms * 2 < WAIT_MOST_MS ? p->wait_ms * 2 : WAIT_MOST_MS;
	}
	if (r < 0 && late)
		set_ready(p);
}

static void on_redial(void *arg)
{
	struct ports *p = arg;

	if (p->state != LINK_OFF && !p->watch)
		ended(p);
	else if (needed_now(p))
		dial(p);
}

/* For those that another process had: somebody may have ended. */
static void on_retry(void *arg)
{
	struct ports *p = arg;

	holds_settle(p);
}

void link_need(struct ports *p)
{
	if (!loop_timer_armed(p->redial))
		loop_timer_set(p->redial, 0);
}

void ports_begin(struct ports *p, bool needed)
{
	int r;

	p->begun_us = now_monotonic_us();
	p->wait_ms = WAIT_LEAST_MS;
	if (p->conf.mode == PORTS_NO ||
	    loop_timer_new(p->conf.loop, on_redial, p, &p->redial) < 0 ||
	    loop_timer_new(p->conf.loop, on_retry, p, &p->retry) < 0) {
		p->conf.mode = PORTS_NO;
		set_ready(p);
		return;
	}
	if (needed || p->ntunnels) {
		dial(p);
		return;
	}
	r = try_connect(p);             /* one that holds what nobody wants any more */
	if (r < 0)
		set_ready(p);
}

void link_fini(struct ports *p)
{
	loop_unwatch(p->watch);
	closep(&p->fd);
	loop_timer_free(p->redial);
	loop_timer_free(p->retry);
}

int ports_end(const char *socket_path)
{
	const struct fwd_msg end = { .type = FWD_END };
	const struct timeval patience = { 5, 0 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct fwd_msg v[FWD_BATCH];
	ssize_t n;

	if (fd < 0 || strlen(socket_path) >= sizeof(at.sun_path))
		return fd < 0 ? -errno : -ENAMETOOLONG;
	memcpy(at.sun_path, socket_path, strlen(socket_path));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? 0 : -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, &end, sizeof(end), MSG_NOSIGNAL) < 0)
		return -errno;
	do
		n = recv(fd, v, sizeof(v), 0);
	while (n > 0);
	return n < 0 && errno != ECONNRESET ? -errno : 1;
}
