/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * file.c - small files, whole or not at all
 *
 * Room: what is written is made beside its path, synced, and put there in one step, so a reader
 * never sees half of it, and after a crash there is the old one or the new.  The name it is made
 * under is always the same: what a crash left there is swept by the next.  What is made belongs to
 * the owner of the directory of keys, whoever runs this.  May include: netd/base, gnutls, libc.
 * #syscalls: open openat read pread64 write fsync fchmod link linkat rename renameat renameat2
 * #syscalls: unlink unlinkat flock stat fstat newfstatat statx geteuid close
 */
#include "inner.h"
#include <errno.h>
#include <fcntl.h>
#include <netd/base/limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static int failed(const char *path, char why[256])
{
	int r = -errno;

	snprintf(why, 256, "%.200s: %s", path, strerror(-r));
	return r;
}

static int read_all(int fd, gnutls_datum_t *d)
{
	size_t size = LIMIT_KEY_FILE_BYTES;

	d->data = gnutls_malloc(size + 1);
	if (!d->data)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, d->data + d->size, size + 1 - d->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		d->size += (unsigned)n;
		if (d->size > size)
			return -EFBIG;
	}
	d->data[d->size] = '\0';
	return 0;
}

int file_read(const char *path, gnutls_datum_t *ret, char why[256])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_datum_ gnutls_datum_t d = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(path, why);
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (!S_ISREG(st.st_mode))
		return failed(path, why);
	errno = -read_all(fd, &d);
	if (errno)
		return failed(path, why);
	*ret = d;
	d = (gnutls_datum_t){ 0 };
	return 0;
}

/* To the owner of the directory; only root may give, and only root needs to. */
static int give(int fd, const struct pki_config *conf)
{
	struct stat st;

	if (geteuid() != 0 || stat(conf->dir, &st) < 0)
		return 0;
	return fchown(fd, st.st_uid, st.st_gid);
}

static int write_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)data + at, len - at);

		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd);
}

/* Durable, as its name in the directory. */
static int sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash && slash > path ? (size_t)(slash - path) : 1);
	_cleanup_close_ int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 ? -1 : fsync(fd);
}

static int make(const char *temp, const struct pki_config *conf, mode_t mode, const void *data,
		size_t len)
{
	_cleanup_close_ int fd = -1;

	if (unlink(temp) < 0 && errno != ENOENT)
		return -1;
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, mode) < 0 || give(fd, conf) < 0)
		return -1;
	return write_all(fd, data, len);
}

/* link(2) never replaces what somebody put there meanwhile. */
static int place(const char *temp, const char *path, bool replace)
{
	if (replace)
		return rename(temp, path);
	return link(temp, path) < 0 ? -1 : unlink(temp);
}

int file_write(const char *path, const struct pki_config *conf, mode_t mode, bool replace,
	       const void *data, size_t len, char why[256])
{
	char temp[512];
	int r;

	if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp)) {
		errno = ENAMETOOLONG;
		return failed(path, why);
	}
	if (make(temp, conf, mode, data, len) < 0 || place(temp, path, replace) < 0 ||
	    sync_dir(path) < 0) {
		r = failed(path, why);
		unlink(temp);
		return r;
	}
	return 0;
}

/* What stands there may lack its last newline. */
static int append(int fd, const struct pki_config *conf, const char *line)
{
	struct stat st;
	char last = '\n';

	if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return -1;
	if (st.st_size == 0 && (fchmod(fd, 0600) < 0 || give(fd, conf) < 0))
		return -1;
	if (st.st_size && pread(fd, &last, 1, st.st_size - 1) < 0)
		return -1;
	if (last != '\n' && write_all(fd, "\n", 1) < 0)
		return -1;
	return write_all(fd, line, strlen(line));
}

int file_append(const char *path, const struct pki_config *conf, const char *line, char why[256])
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || append(fd, conf, line) < 0 || sync_dir(path) < 0)
		return failed(path, why);
	return 0;
}
