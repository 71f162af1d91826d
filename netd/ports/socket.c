/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket.c - the sockets that keep others from a port
 *
 * Room: ports.
 *
 * What is only kept never listens, so whoever gets past the rules of nft is refused as if nobody
 * were there; of UDP a filter lets no datagram wait in it.  An address need not be there yet.
 * #syscalls: socket:AF_INET socket:AF_INET6 setsockopt bind close
 */
#include "inner.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int bind_to(int fd, const struct fwd_addr *at)
{
	struct sockaddr_storage sa;
	socklen_t len = fwd_sockaddr(at, &sa);

	return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

/*
 * Connections of an earlier user that are dying keep a port for a minute, but from one with
 * SO_REUSEADDR; taken away again, others may not do the same with this one.
 */
static int reserve_tcp(int fd, const struct fwd_addr *at)
{
	int r = bind_to(fd, at);

	if (r != -EADDRINUSE)
		return r;
	r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0)
		r = bind_to(fd, at);
	return r < 0 ? r : set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
}

/* It is podnet-fwd that listens: who connects before it can accept is better refused. */
static int relay_tcp(int fd, const struct fwd_addr *at)
{
	int r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	return r < 0 ? r : bind_to(fd, at);
}

static int reserve_udp(int fd, const struct fwd_addr *at)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = { 1, &none };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	return bind_to(fd, at);
}

int socket_make(const struct fwd_addr *at, bool relayed)
{
	bool tcp = at->protocol == IPPROTO_TCP, v6 = at->family == AF_INET6;
	int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	_cleanup_close_ int fd = socket(at->family, type, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = v6 ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
	if (r == 0)
		r = set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (r < 0)
		return r;
	if (relayed)
		r = tcp ? relay_tcp(fd, at) : bind_to(fd, at);
	else
		r = tcp ? reserve_tcp(fd, at) : reserve_udp(fd, at);
	return r < 0 ? r : take_fd(fd);
}

/* Whatever link it is on: the kernel is asked, not a list.  For want of a descriptor it is taken as here. */
bool ports_is_here(const struct fwd_addr *at)
{
	_cleanup_close_ int fd = socket(at->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct fwd_addr any = *at;

	any.port_be = 0;
	return fd < 0 || bind_to(fd, &any) != -EADDRNOTAVAIL;
}
