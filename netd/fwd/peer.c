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
		size_t pos = f->peer.told, n = gather(f, &pos, v);

		if (!n)
			v[0] = (struct fwd_msg){ .type = FWD_DONE };
		r = say(f, v, n ? n : 1);
		if (r > 0)
			f->peer.told = pos;
		if (r > 0 && !n)
			f->peer.telling = false;
	}
	if (r < 0)
		hang_up(f);
	else
		listen_for(f, f->peer.telling ? EPOLLOUT : EPOLLIN);
}

static void lost(struct fwd *f, const struct fwd_msg *msg, int why)
{
	struct fwd_msg answer = { .type = FWD_LOST, .at = msg->at };

	log_event(LOG_LEVEL_WARNING, "not_held", "port=%u err=\"%s\"", ntohs(msg->at.port_be),
		  strerror(-why));
	/* netd reads whatever comes, so that it does not fit is as good as gone */
	if (say(f, &answer, 1) <= 0)
		hang_up(f);
}

/* Whoever started us starts what is installed now, and netd gives it all that is held. */
static void outdated(struct fwd *f)
{
	log_event(LOG_LEVEL_WARNING, "other_version", "ours=%d", FWD_VERSION);
	f->failed = true;
	loop_stop(f->loop);
}

static void obey(struct fwd *f, const struct fwd_msg *msg, int fd)
{
	int r = 0;

	switch ((enum fwd_type)msg->type) {
	case FWD_HELLO:
		if (msg->n != FWD_VERSION)
			outdated(f);
		f->peer.telling = true;
		f->peer.told = 0;
		break;
	case FWD_PUT:
		r = fd < 0 ? -EBADF : hold_put(f, msg, fd);
		fd = -1;
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
	case FWD_HELD:
	case FWD_DONE:
	case FWD_LOST:
		break;
	}
	closep(&fd);
	if (r < 0)
		lost(f, msg, r);
}

/* One packet.  1: there may be more; 0: not now; negative: the connection is over. */
static int receive(struct fwd *f)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct fwd_msg msg = { 0 };
	struct iovec iov = { &msg, sizeof(msg) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			       .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(f->peer.fd, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&head) : NULL;
	int fd = -1;

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n == (ssize_t)sizeof(msg)) {
		obey(f, &msg, fd);
		return 1;
	}
	closep(&fd);
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
