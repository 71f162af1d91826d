/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * failio.c - writes to the database fail when a test says so
 *
 * Room: tests only; a library that is preloaded into netd.  The environment names a file of two
 * numbers, mapped by both sides: the errno that writes fail with (0: none), and that of fsync.
 * Only files that are called netd.db something are concerned.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct {
	pthread_once_t once;
	volatile int *wish;
} failio = { .once = PTHREAD_ONCE_INIT };

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
EXPORT int fdatasync(int fd);
EXPORT int fsync(int fd);

static void open_wish(void)
{
	const char *path = getenv("PODNET_FAILIO");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	failio.wish = p == MAP_FAILED ? NULL : p;
	if (fd >= 0)
		close(fd);
}

static int wish(int fd, int which)
{
	char link[32], path[512];
	int wanted;
	ssize_t n;

	pthread_once(&failio.once, open_wish);
	wanted = failio.wish ? failio.wish[which] : 0;
	if (!wanted)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return strstr(path, "/netd.db") ? wanted : 0;
}

#define INSTEAD(which, type, name, args, pass) \
	type name args \
	{ \
		type (*real) args = (type (*) args)(uintptr_t)dlsym(RTLD_NEXT, #name); \
		int err = wish(fd, which); \
		if (err) { \
			errno = err; \
			return -1; \
		} \
		return real pass; \
	}
INSTEAD(0, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
INSTEAD(0, ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
INSTEAD(1, int, fdatasync, (int fd), (fd))
INSTEAD(1, int, fsync, (int fd), (fd))
