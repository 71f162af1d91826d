/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket.c - the listening Unix socket
 *
 * Room: one path in the file system.  The socket is bound beside its path and renamed there when it
 * has its mode and group, so nobody connects to one that is half made.  A socket that somebody
 * listens on is never taken away.  May include: netd/base, libc.
 * #syscalls: lstat newfstatat statx unlink unlinkat close
 */
#include <errno.h>
#include <grp.h>
#include <netd/base/log.h>
#include <netd/http/server.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 512

static int address(const char *path, const char *suffix, struct sockaddr_un *sa)
{
	int n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s%s", path, suffix);

	sa->sun_family = AF_UNIX;
	return n < 0 || (size_t)n >= sizeof(sa->sun_path) ? -ENAMETOOLONG : 0;
}

/* 0: the path is free to be replaced.  Only a refusal proves that nobody listens. */
static int probe(const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/*
 * The group is a wish: a system without it has a socket for root alone.  It is a system group, so
 * it stands in /etc/group; the name service would load modules for some 300 KiB of private memory.
 */
static void give_to_group(const char *path, const char *group)
{
	FILE *file = group ? fopen("/etc/group", "re") : NULL;
	struct group gr, *found = NULL;
	char buf[16384];

	while (file && fgetgrent_r(file, &gr, buf, sizeof(buf), &found) == 0 &&
	       strcmp(gr.gr_name, group) != 0)
		found = NULL;
	if (found && lchown(path, (uid_t)-1, found->gr_gid) < 0)
		log_event(LOG_LEVEL_WARNING, "socket_group_failed", "group=%s err=\"%m\"", group);
	if (file)
		fclose(file);
}

/*
 * The directory may be another user's, and we root: so the socket is born with its mode, and no
 * call here follows a symbolic link that was put in its place.
 */
static int bind_file(int fd, const struct sockaddr_un *sa)
{
	mode_t before = umask(0117);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	umask(before);
	return r;
}

static int place(int fd, const struct sockaddr_un *temp, const struct sockaddr_un *sa,
		 const char *group, struct stat *file)
{
	give_to_group(temp->sun_path, group);
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	if (lstat(temp->sun_path, file) < 0 || rename(temp->sun_path, sa->sun_path) < 0)
		return -errno;
	return 0;
}

int http_listen(const char *path, const char *group, struct http_socket *ret)
{
	struct sockaddr_un sa = { 0 }, temp = { 0 };
	_cleanup_close_ int fd = -1;
	struct stat file;
	char suffix[24];
	int r;

	snprintf(suffix, sizeof(suffix), ".%ld", (long)getpid());
	if (address(path, "", &sa) < 0 || address(path, suffix, &temp) < 0)
		return -ENAMETOOLONG;
	r = probe(&sa);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(temp.sun_path);      /* of an earlier process that had our number */
	r = bind_file(fd, &temp);
	if (r < 0)
		return r;
	r = place(fd, &temp, &sa, group, &file);
	if (r < 0) {
		unlink(temp.sun_path);
		return r;
	}
	*ret = (struct http_socket){ take_fd(fd), file.st_dev, file.st_ino };
	return 0;
}

/* The file only if it is what we made: another netd may have replaced it meanwhile. */
void http_unlisten(const char *path, struct http_socket *sock)
{
	struct stat st;

	closep(&sock->fd);
	if (path && lstat(path, &st) == 0 && st.st_dev == sock->dev && st.st_ino == sock->ino)
		unlink(path);
}
