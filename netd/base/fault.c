/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.c - kills netd where a test asks for it
 *
 * Room: the environment variable PODNET_FAULT, read once; the count of passages is the only state,
 * and process-wide because the points lie in every room and thread.  May include: netd/base, libc.
 */
#include <netd/base/base.h>
#include <netd/base/fault.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#ifdef PODNET_FAULT
static struct {
	pthread_once_t once;
	char name[64];
	long left;                  /* atomic; passages until the end */
} fault = { .once = PTHREAD_ONCE_INIT };

static void read_wish(void)
{
	const char *wish = getenv("PODNET_FAULT");
	size_t len = wish ? strcspn(wish, ":") : 0;

	if (!len || len >= sizeof(fault.name))
		return;
	memcpy(fault.name, wish, len);
	fault.left = wish[len] ? strtol(wish + len + 1, NULL, 10) : 1;
}

int64_t fault_clock_ms(void)
{
	const char *path = getenv("PODNET_FAULT_CLOCK");
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32] = "";

	return fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ? 0 : strtoll(text, NULL, 10);
}

void fault_point(const char *name)
{
	pthread_once(&fault.once, read_wish);
	if (strcmp(fault.name, name) != 0)
		return;
	if (__atomic_sub_fetch(&fault.left, 1, __ATOMIC_RELAXED) == 0)
		raise(SIGKILL);
}
#endif
