/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ref.c - references to network namespaces, and new ones without a name
 *
 * Room: descriptors of namespaces.  May include: libpodnet/nl, libpodnet/base, include/podnet.
 * #syscalls: open openat fcntl ioctl:NS_GET_NSTYPE close
 */
#include <errno.h>
#include <fcntl.h>
#include <libpodnet/base/base.h>
#include <libpodnet/netns/netns.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

int pn_netns_name_check(const char *name)
{
	size_t n = name ? strnlen(name, PODNET_NETNS_NAME_MAX + 1) : 0;

	if (n == 0 || n > PODNET_NETNS_NAME_MAX || memchr(name, '/', n))
		return -EINVAL;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	/* such a file could be made, but no reference could name it */
	return strncmp(name, "pid:", 4) == 0 || strncmp(name, "fd:", 3) == 0 ? -EINVAL : 0;
}

int pn_netns_scope_check(const char *scope)
{
	if (!scope)
		return 0;
	return strlen(scope) > PN_SCOPE_MAX || strpbrk(scope, ": \t\n") ? -EINVAL : 0;
}

/* decimal, 0..INT_MAX, nothing around it; or -EINVAL */
static int parse_number(const char *text)
{
	long long v = 0;

	if (!*text || strlen(text) > 10)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (*text - '0');
	}
	return v > INT_MAX ? -EINVAL : (int)v;
}

static int open_path(const char *path)
{
	/* whatever the path is, opening it must neither block nor become a terminal */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		return fd;
	return errno == ESRCH || errno == ENOTDIR ? -ENOENT : -errno;
}

static int open_pid(const char *number)
{
	int pid = parse_number(number);
	char path[64];

	if (pid <= 0)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return open_path(path);
}

static int borrow_fd(const char *number)
{
	int fd = parse_number(number);

	if (fd < 0)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		return fd;
	return errno == EBADF ? -ENOENT : -errno;
}

static int open_name(const struct podnet *ctx, const char *name)
{
	char path[PATH_MAX];

	if (pn_netns_name_check(name) < 0)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s", ctx->netns_dir, name);
	return open_path(path);
}

int pn_netns_resolve(struct podnet *ctx, const char *ref, int *ret, struct podnet_error *err)
{
	_cleanup_close_ int fd = -1;
	bool by_name = false;

	if (!ref || !*ref) {
		*ret = -1;
		return 0;
	}
	if (strchr(ref, '/'))
		fd = open_path(ref);
	else if (strncmp(ref, "pid:", 4) == 0)
		fd = open_pid(ref + 4);
	else if (strncmp(ref, "fd:", 3) == 0)
		fd = borrow_fd(ref + 3);
	else
		fd = open_name(ctx, ref), by_name = true;
	if (fd >= 0 && ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		/* a name whose file is plain is one whose namespace is gone */
		close(fd);
		fd = by_name ? -ENOENT : -EINVAL;
	}
	if (fd < 0) {
		pn_err_why(err, fd, "netns_open", "netns",
			   fd == -EINVAL ? "it is not a network namespace" :
			   fd == -ENOENT ? "there is no such network namespace" : NULL);
		pn_err_object(err, ref);
		return fd;
	}
	*ret = take_fd(fd);
	return 0;
}

struct making {
	int fd;
	struct nl rt;
	bool want_rt;
};

static int make_here(void *arg)
{
	_cleanup_close_ int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct making *m = arg;
	int r;

	if (fd < 0)
		return -errno;
	r = m->want_rt ? nl_open(&m->rt, NETLINK_ROUTE) : 0;
	if (r < 0)
		return r;
	m->fd = take_fd(fd);
	return 0;
}

int pn_netns_make(struct podnet *ctx, int *fd, struct nl *rt, struct podnet_error *err)
{
	struct making m = { .fd = -1, .want_rt = rt != NULL };
	int r = pn_in_netns(PN_NETNS_NEW, make_here, &m);

	if (r < 0)
		return pn_err(err, r, "netns_make", NULL, NULL);
	*fd = m.fd;
	if (rt) {
		*rt = m.rt;
		pn_context_own_portid(ctx, rt->portid);
	}
	return 0;
}

void pn_netns_put_lo_up(struct nl_batch *b, const void *tag)
{
	struct ifinfomsg *ifi = nl_msg(b, RTM_NEWLINK, 0, sizeof(*ifi), "lo_up", tag);

	ifi->ifi_index = 1;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
}
