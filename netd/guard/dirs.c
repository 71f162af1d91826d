/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirs.c - directories that are made, checked, and given to netd's user
 *
 * Room: names and owners of files; works as root in directories of others, so by descriptor.
 * May include: netd/base.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netd/guard/guard.h>
#include <stdio.h>
#include <sys/stat.h>

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

static int failed(const char *path, int r, char why[256])
{
	snprintf(why, 256, "%.180s: %s", path, strerror(-r));
	return r;
}

static bool only_root_writes(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_part(int at, const char *name)
{
	struct stat st;
	int fd = openat(at, name, DIR_FLAGS | O_NOFOLLOW);

	if (fd >= 0)
		return fd;
	if (errno != ENOTDIR && errno != ELOOP)
		return -errno;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
		return -ENOTDIR;
	if (!only_root_writes(at))
		return -ELOOP;
	fd = openat(at, name, DIR_FLAGS);
	return fd < 0 ? -errno : fd;
}

static int make_part(int at, const char *name, mode_t mode)
{
	int fd = open_part(at, name), r;
	mode_t before;

	if (fd != -ENOENT)
		return fd;
	before = umask(0);              /* others work in some of them, whatever netd's files are */
	r = mkdirat(at, name, mode) < 0 && errno != EEXIST ? -errno : 0;
	umask(before);
	return r < 0 ? r : open_part(at, name);
}

static int open_dir(struct guard_dir *dir, char why[256])
{
	_cleanup_close_ int fd = open("/", DIR_FLAGS);
	char path[4096], *rest = path, *part;
	unsigned depth = 0;

	if (fd < 0 || strlen(dir->path) >= sizeof(path))
		return failed(dir->path, fd < 0 ? -errno : -ENAMETOOLONG, why);
	memcpy(path, dir->path, strlen(dir->path) + 1);
	while ((part = strsep(&rest, "/"))) {
		bool last = !rest || !rest[strspn(rest, "/")];
		int next;

		if (!*part)
			continue;
		next = make_part(fd, part, last ? dir->mode : 0755);
		if (next < 0)
			return failed(dir->path, next, why);
		close(fd);
		fd = next;
		depth++;
	}
	if (depth < 2) {                /* /run, /tmp: others are at home there */
		snprintf(why, 256, "%.180s: cannot be netd's own directory", dir->path);
		return -EINVAL;
	}
	dir->fd = take_fd(fd);
	return 0;
}

int guard_dirs_open(struct guard_dir *dirs, size_t n, char why[256])
{
	for (size_t i = 0; i < n; i++) {
		int r = open_dir(&dirs[i], why);

		if (r < 0)
			return r;
	}
	return 0;
}

void guard_dirs_close(struct guard_dir *dirs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		closep(&dirs[i].fd);
		dirs[i].fd = -1;
	}
}

struct giving {
	uid_t from;
	const struct guard_user *to;
};

static int give_fd(const struct giving *g, int fd)
{
	if (fchownat(fd, "", g->to->uid, (gid_t)-1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* Another's file stays, and so does one with a second name, which may be anywhere. */
static int give_file(const struct giving *g, int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != g->from)
		return 0;
	return give_fd(g, fd);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int give_files(const struct giving *g, int fd)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *de;
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		closep(&own);
		return -errno;
	}
	while (r == 0 && (de = readdir(dir)))
		r = give_file(g, own, de->d_name);
	return r;
}

static int give_inside(const struct giving *g, int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, DIR_FLAGS | O_NOFOLLOW);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? give_file(g, at, name) :
		       errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0 || st.st_uid != g->from)
		return 0;
	r = give_files(g, fd);
	return r < 0 ? r : give_fd(g, fd);
}

/* The directory last: a start that was cut short is done again.  Only root can give. */
static int give_dir(const struct guard_dir *dir, const struct guard_user *user)
{
	struct giving g = { .to = user };
	struct stat st;
	int r = 0;

	if (geteuid() != 0)
		return 0;
	if (fstat(dir->fd, &st) < 0)
		return -errno;
	/* in a directory that is given already, root may have put a backup back */
	g.from = st.st_uid == user->uid ? 0 : st.st_uid;
	for (size_t i = 0; r == 0 && dir->inside && dir->inside[i]; i++)
		r = give_inside(&g, dir->fd, dir->inside[i]);
	return r < 0 ? r : give_fd(&g, dir->fd);
}

int guard_dirs_give(const struct guard_dir *dirs, size_t n, const struct guard_user *user,
		    char why[256])
{
	for (size_t i = 0; i < n; i++) {
		int r = give_dir(&dirs[i], user);

		if (r < 0)
			return failed(dirs[i].path, r, why);
	}
	return 0;
}

/* The directory that a file is in, as guard_dirs_open() finds it, but none is made. */
static int open_parent(const char *path, const char **name)
{
	_cleanup_close_ int fd = open("/", DIR_FLAGS);
	char text[4096], *rest = text, *part;

	*name = strrchr(path, '/') + 1;
	if (fd < 0 || *name - path >= (ptrdiff_t)sizeof(text))
		return fd < 0 ? -errno : -ENAMETOOLONG;
	memcpy(text, path, (size_t)(*name - path));
	text[*name - path] = 0;
	while ((part = strsep(&rest, "/"))) {
		int next;

		if (!*part)
			continue;
		next = open_part(fd, part);
		if (next < 0)
			return next;
		close(fd);
		fd = next;
	}
	return take_fd(fd);
}

int guard_file_give(const char *path, const struct guard_user *user, char why[256])
{
	struct giving g = { .to = user };
	_cleanup_close_ int fd = -1;
	const char *name;
	struct stat st;
	int r;

	if (geteuid() != 0)
		return 0;
	fd = open_parent(path, &name);
	r = fd < 0 ? fd : 0;
	if (r == 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0)
		return r == -ENOENT ? 0 : failed(path, r, why);
	/* back to root it goes from anybody, for root has few capabilities too */
	if (st.st_uid == user->uid || (st.st_uid != 0 && user->uid != 0))
		return 0;
	g.from = st.st_uid;
	r = give_file(&g, fd, name);
	return r < 0 ? failed(path, r, why) : 0;
}

int guard_dirs_check(const struct guard_dir *dirs, size_t n, char why[256])
{
	for (size_t i = 0; i < n; i++) {
		if (access(dirs[i].path, W_OK | X_OK) == 0 || errno != EACCES)
			continue;
		snprintf(why, 256, "%.130s: closed to uid %u: the directories above must let it pass, "
			 "and this one be its own (netd --prepare)", dirs[i].path,
			 (unsigned)geteuid());
		return -EACCES;
	}
	return 0;
}
