/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hold.c - the sockets that are held, by protocol, address and port
 *
 * Room: podnet-fwd.
 * #syscalls: listen close
 */
#include <errno.h>
#include <netd/fwd/fwd.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BACKLOG 1024

const char *fwd_key(const struct fwd_addr *at, char ret[FWD_KEY_SIZE])
{
	const uint8_t *bytes = (const uint8_t *)at;

	for (size_t i = 0; i < sizeof(*at); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return ret;
}

static struct hold *find(const struct fwd *f, const struct fwd_addr *at)
{
	char key[FWD_KEY_SIZE];

	return map_get(&f->holds, fwd_key(at, key));
}

/* What is not relayed is never read: netd's filter on the socket lets no datagram wait there. */
static int watch(struct hold *h)
{
	bool tcp = h->at.protocol == IPPROTO_TCP;

	if (h->watch || !h->to.family)
		return 0;
	if (tcp && listen(h->fd, BACKLOG) < 0)
		return -errno;
	return loop_watch_fd(h->fwd->loop, h->fd, EPOLLIN, tcp ? tcp_accept : udp_receive, h,
			     &h->watch);
}

static void hold_free(struct hold *h)
{
	loop_unwatch(h->watch);
	tcp_end(h);
	udp_end(h);
	closep(&h->fd);
	free(h);
}

int hold_put(struct fwd *f, const struct fwd_msg *msg, int fd)
{
	struct hold *h = calloc(1, sizeof(*h));
	int r;

	if (!h) {
		close(fd);
		return -ENOMEM;
	}
	hold_drop(f, &msg->at);
	*h = (struct hold){ .fwd = f, .at = msg->at, .to = msg->to, .fd = fd };
	fwd_key(&h->at, h->key);
	r = watch(h);
	if (r == 0)
		r = map_put(&f->holds, h->key, h);
	if (r < 0)
		hold_free(h);
	return r;
}

int hold_aim(struct fwd *f, const struct fwd_msg *msg)
{
	struct hold *h = find(f, &msg->at);

	if (!h)
		return -ENOENT;
	udp_end(h);
	h->to = msg->to;
	if (!h->to.family) {
		loop_unwatch(h->watch);
		h->watch = NULL;
	}
	return watch(h);
}

void hold_drop(struct fwd *f, const struct fwd_addr *at)
{
	struct hold *h = find(f, at);

	if (!h)
		return;
	map_del(&f->holds, h->key);
	hold_free(h);
}

void holds_fini(struct fwd *f)
{
	struct hold *h;
	size_t pos = 0;

	while ((h = map_next(&f->holds, &pos)))
		hold_free(h);
	map_fini(&f->holds);
}
