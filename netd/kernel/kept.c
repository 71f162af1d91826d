/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kept.c - how this netd leaves the services in the kernel, for the next one
 *
 * Room: on the kernel thread, at its begin and its end.  May include: inner.h, netd/base,
 * include/podnet.
 *
 * To read back some 100,000 endpoints takes as long as the rest of a start.  So at an orderly end a
 * file in the run directory says what state the kernel is in (podnet_services_keep()), and where it is
 * in that state still, nothing is read.  A netd that was killed has left an older state, or none: then
 * all is read.  What somebody did to the table, and no task has looked at yet, is in no sum: then
 * nothing is left either.
 * #syscalls: open openat read write close fstat newfstatat statx
 * #syscalls: rename renameat renameat2 unlink unlinkat
 */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_MAX (16 * 1024 * 1024)

static char *path_of(const struct kernel *k, const char *end)
{
	char *path;

	return asprintf(&path, "%s/services%s", k->run_dir, end) < 0 ? NULL : path;
}

static int write_all(const char *path, const char *data, size_t len)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* There is room again at the next end: without the file all is read. */
static void put(const struct kernel *k, const void *data, size_t len)
{
	_cleanup_free_ char *path = path_of(k, ""), *fresh = path_of(k, ".new");
	int r;

	if (!path || !fresh)
		return;
	unlink(fresh);
	r = write_all(fresh, data, len);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r == 0)
		return;
	unlink(fresh);
	log_event(LOG_LEVEL_WARNING, "services_not_kept", "err=\"%s\"", strerror(-r));
}

void kernel_keep(struct kernel *k)
{
	_cleanup_free_ void *data = NULL;
	size_t len;

	if (!k->services || !k->services_told || !k->nets_told ||
	    podnet_services_keep(k->services, &data, &len, NULL) < 0)
		return;
	kernel_read_events(k);
	if (!k->foreign && len <= KEPT_MAX)
		put(k, data, len);
}

void kernel_kept(struct kernel *k)
{
	_cleanup_free_ char *path = path_of(k, ""), *data = NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > KEPT_MAX)
		return;
	data = malloc((size_t)st.st_size);
	if (data && read(fd, data, (size_t)st.st_size) == st.st_size)
		podnet_services_kept(k->services, data, (size_t)st.st_size, NULL);
}
