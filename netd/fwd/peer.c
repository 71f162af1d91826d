/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peer.c - the connection of netd: what it says is done, what it asks is told
 *
 * Room: podnet-fwd.  Nothing here waits: while the answer to HELLO does not fit into the socket,
 * nothing more is read, so what is held does not change meanwhile.
 * #syscalls: accept4 sendto sendmsg recvmsg close unlink
 */
#include <errno.h>
#include <netd/base/log.h>
#include <netd/fwd/fwd.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

static void hang_up(struct fwd *f)
{
	loop_unwatch(f->peer.watch);
	closep(&f->peer.fd);
	f->peer = (struct peer){ .fd = -1 };
}

static void on_peer(void *arg, uint32_t events);

static void listen_for(struct fwd *f, uint32_t events)
{
	loop_unwatch(f->peer.watch);
	f->peer.watch = NULL;
	if (loop_watch_fd(f->loop, f->peer.fd, events, on_peer, f, &f->peer.watch) < 0)
		hang_up(f);
}

/* 1: sent; 0: it does not fit now; negative: the connection is over. */
static int say(const struct fwd *f, const struct fwd_msg *v, size_t n)
{
	if (send(f->peer.fd, v, n * sizeof(*v), MSG_NOSIGNAL) >= 0)
		return 1;
	return errno == EAGAIN ? 0 : -errno;
}

static size_t gather(const struct fwd *f, size_t *pos, struct fwd_msg v[FWD_BATCH])
{
	size_t n = 0;

	for (struct hold *h; n < FWD_BATCH && (h = map_next(&f->holds, pos)); )
		v[n++] = (struct fwd_msg){ .type = FWD_HELD, .at = h->at, .to = h->to };
	return n;
}

static void tell(struct fwd *f)
{
	struct fwd_msg v[FWD_BATCH];
	int r = 1;

	while (f->peer.telling && r > 0) {
		size_t pos = f->peer.told, tunnels = f->peer.told_tunnels, n = gather(f, &pos, v);

		if (!n)
			n = tunnels_gather(f, &tunnels, v);
		if (!n)
			v[0] = (struct fwd_msg){ .type = FWD_DONE };
		r = say(f, v, n ? n : 1);
		if (r > 0) {
			f->peer.told = pos;
			f->peer.told_tunnels = tunnels;
		}
		if (r > 0 && !n)
			f->peer.telling = false;
	}
	if (r < 0)
		hang_up(f);
	else
		listen_for(f, f->peer.telling ? EPOLLOUT : EPOLLIN);
}

void peer_say(struct fwd *f, const struct fwd_msg *msg)
{
	/* netd reads whatever comes, so that it does not fit is as good as gone */
	if (f->peer.fd >= 0 && say(f, msg, 1) <= 0)
		hang_up(f);
}

static void lost(struct fwd *f, const struct fwd_msg *msg, int why)
{
	struct fwd_msg answer = { .type = FWD_LOST, .at = msg->at };

	log_event(LOG_LEVEL_WARNING, "not_held", "port=%u err=\"%s\"", ntohs(msg->at.port_be),
		  strerror(-why));
	peer_say(f, &answer);
}

static void lost_tunnel(struct fwd *f, const struct fwd_msg *msg, int why)
{
	struct fwd_msg answer = { .type = FWD_TUNNEL_LOST, .to = msg->to };
	char name[FWD_NAME_SIZE];

	fwd_name_get(msg, name);
	log_event(LOG_LEVEL_WARNING, "tunnel_not_carried", "tunnel=%s err=\"%s\"", name, strerror(-why));
	tunnel_drop(f, name);
	peer_say(f, &answer);
}

/* ---- counters ---- */

struct telling {
	struct fwd *f;
	struct fwd_counts v[FWD_COUNTS_BATCH];
	size_t n;
};

/* What does not fit is not told: netd asks again. */
static void send_counts(struct telling *t)
{
	if (t->n)
		send(t->f->peer.fd, t->v, t->n * sizeof(t->v[0]), MSG_NOSIGNAL);
	t->n = 0;
}

static void add_counts(void *arg, const struct fwd_counts *c)
{
	struct telling *t = arg;

	t->v[t->n++] = *c;
	if (t->n == FWD_COUNTS_BATCH)
		send_counts(t);
}

static void tell_counts(struct fwd *f)
{
	const struct fwd_counts last = { .msg = { .type = FWD_COUNTS, .n = 1 } };
	struct telling t = { .f = f };

	tunnels_count(f, add_counts, &t);
	add_counts(&t, &last);
	send_counts(&t);
}

/* Whoever started us starts what is installed now, and netd gives it all that is held. */
static void outdated(struct fwd *f)
{
	log_event(LOG_LEVEL_WARNING, "other_version", "ours=%d", FWD_VERSION);
	f->failed = true;
	loop_stop(f->loop);
}

/** A packet of netd's. */
struct order {
	struct fwd_msg msg;
	struct fwd_prefix v[FWD_PREFIXES];
};

static int take_first(struct fwd_fds *fds)
{
	int fd = fds->n ? fds->v[0] : -1;

	for (size_t i = 1; i < fds->n; i++)
		close(fds->v[i]);
	fds->n = 0;
	return fd;
}

static void obey(struct fwd *f, const struct order *o, struct fwd_fds *fds)
{
	const struct fwd_msg *msg = &o->msg;
	char name[FWD_NAME_SIZE];
	int r = 0, fd;

	switch ((enum fwd_type)msg->type) {
	case FWD_HELLO:
		if (msg->n != FWD_VERSION)
			outdated(f);
		f->peer.telling = true;
		f->peer.told = f->peer.told_tunnels = 0;
		break;
	case FWD_PUT:
		fd = take_first(fds);
		r = fd < 0 ? -EBADF : hold_put(f, msg, fd);
		break;
	case FWD_AIM:
		r = hold_aim(f, msg);
		break;
	case FWD_DROP:
		hold_drop(f, &msg->at);
		break;
	case FWD_END:
		loop_stop(f->loop);
		break;
	case FWD_TUNNEL:
	case FWD_TUNNEL_PEER:
	case FWD_TUNNEL_READY:
		r = tunnel_take(f, msg, o->v, fds);
		if (r < 0)
			lost_tunnel(f, msg, r);
		return;
	case FWD_TUNNEL_DROP:
		fwd_name_get(msg, name);
		tunnel_drop(f, name);
		break;
	case FWD_COUNT:
		tell_counts(f);
		break;
	case FWD_HELD:
	case FWD_DONE:
	case FWD_LOST:
	case FWD_TUNNEL_HELD:
	case FWD_TUNNEL_LOST:
	case FWD_COUNTS:
		break;
	}
	if (r < 0)
		lost(f, msg, r);
}

static void take_fds(struct msghdr *head, struct fwd_fds *fds)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(head);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	fds->n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds->v, CMSG_DATA(c), fds->n * sizeof(int));
}

/* Is it as long as it says?  Only what is about a tunnel has something behind it. */
static bool whole(const struct order *o, size_t len)
{
	bool more = o->msg.type == FWD_TUNNEL || o->msg.type == FWD_TUNNEL_PEER;

	if (len < sizeof(o->msg) || (more && o->msg.n > FWD_PREFIXES))
		return false;
	return len == sizeof(o->msg) + (more ? o->msg.n * sizeof(o->v[0]) : 0);
}

/* One packet.  1: there may be more; 0: not now; negative: the connection is over. */
static int receive(struct fwd *f)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(((struct fwd_fds *)NULL)->v))];
	} control;
	struct order o;
	struct fwd_fds fds = { .n = 0 };
	struct iovec iov = { &o, sizeof(o) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			       .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(f->peer.fd, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	bool good = n > 0 && whole(&o, (size_t)n);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	take_fds(&head, &fds);
	if (good)
		obey(f, &o, &fds);
	while (fds.n)                   /* what nobody took */
		close(fds.v[--fds.n]);
	if (good)
		return 1;
	outdated(f);
	return -EPROTO;
}

static void on_peer(void *arg, uint32_t events)
{
	struct fwd *f = arg;
	int r = 1;

	if (events & EPOLLOUT) {
		tell(f);
		return;
	}
	for (int i = 0; i < 256 && r > 0 && f->peer.fd >= 0 && !f->peer.telling; i++)
		r = receive(f);
	if (r < 0)
		hang_up(f);
	else if (f->peer.telling)
		tell(f);
}

static void on_door(void *arg, uint32_t events)
{
	struct fwd *f = arg;
	int fd = accept4(f->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	hang_up(f);                     /* the older one is of a netd that is no more */
	f->peer.fd = fd;
	listen_for(f, EPOLLIN);
}

static int name_of(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

/*
 * Who was first stays: the name in the abstract space goes with its process (unix(7)), unlike the
 * path, so what is left of that is nobody's.
 */
static int take_place(struct fwd *f, const struct sockaddr_un *at)
{
	size_t len = strlen(at->sun_path);
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (len + 1 > sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path + 1, at->sun_path, len);
	f->lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (f->lock < 0 || bind(f->lock, (struct sockaddr *)&name,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0)
		return -errno;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int peer_listen(struct fwd *f, const char *path, char why[256])
{
	struct sockaddr_un at;
	int r = name_of(path, &at);

	f->door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r == 0)
		r = f->door < 0 ? -errno : take_place(f, &at);
	umask(0177);
	if (r == 0 && (bind(f->door, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		       listen(f->door, 8) < 0))
		r = -errno;
	if (r == 0)
		r = loop_watch_fd(f->loop, f->door, EPOLLIN, on_door, f, &f->door_watch);
	if (r < 0)
		snprintf(why, 256, "%.150s: %s", path,
			 r == -EADDRINUSE ? "another podnet-fwd listens there" : strerror(-r));
	return r;
}

void peer_fini(struct fwd *f)
{
	loop_unwatch(f->door_watch);
	closep(&f->door);
	closep(&f->lock);
	hang_up(f);             /* last: who told us to end waits for that */
}
