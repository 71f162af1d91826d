/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket.c - netlink sockets, here and in other namespaces
 *
 * Room: the only file that calls socket(2) for netlink.  May include: libpodnet/base, linux/.
 * #syscalls: socket:AF_NETLINK bind getsockname setsockopt close
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nl/nl.h>
#include <sys/socket.h>

int nl_open(struct nl *nl, int protocol)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);
	int on = 1;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	/* a kernel without them says less in its refusals, and filters dumps less strictly */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (protocol == NETLINK_ROUTE)
		setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	nl->portid = addr.nl_pid;
	nl->seq = 1;
	nl->fd = take_fd(fd);
	return 0;
}

struct open_at {
	struct nl nl;
	int protocol;
};

static int open_there(void *data)
{
	struct open_at *o = data;

	return nl_open(&o->nl, o->protocol);
}

int nl_open_at(struct nl *nl, int protocol, int netns_fd)
{
	struct open_at o = { .protocol = protocol };
	int r = netns_fd < 0 ? -EBADF : pn_in_netns(netns_fd, open_there, &o);

	if (r < 0)
		return r;
	*nl = o.nl;
	return 0;
}

int nl_hear(int fd, uint32_t group, bool on)
{
	int option = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

	return setsockopt(fd, SOL_NETLINK, option, &group, sizeof(group)) < 0 ? -errno : 0;
}

int nl_listen(struct nl *nl, int protocol, const uint32_t *groups, size_t n, int rcvbuf)
{
	_cleanup_(nl_close) struct nl made = { .fd = -1 };
	int r = nl_open(&made, protocol);

	if (r < 0)
		return r;
	if (setsockopt(made.fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) < 0)
		setsockopt(made.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	for (size_t i = 0; i < n && r == 0; i++)
		r = nl_hear(made.fd, groups[i], true);
	if (r < 0)
		return r;
	*nl = made;
	made.fd = -1;
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}
