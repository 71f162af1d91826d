/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.c - the one place where a thread changes its network namespace
 *
 * Room: a short-lived thread per call, joined before the return, so that no thread of the caller
 * ever leaves its namespace and none of ours outlives a call.  May include: libc.
 * #syscalls: clone:CLONE_THREAD unshare:CLONE_NEWNET setns:CLONE_NEWNET set_robust_list rseq
 * #syscalls: rt_sigprocmask mmap:0 mprotect:0 munmap madvise futex exit
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

/* enough for a netlink receive buffer, and small to map */
#define HELPER_STACK (256 * 1024)

struct helper {
	int netns_fd;
	int (*fn)(void *arg);
	void *arg;
	int rc;
};

static void *helper_main(void *data)
{
	struct helper *h = data;
	int r = h->netns_fd == PN_NETNS_NEW ? unshare(CLONE_NEWNET) :
					      setns(h->netns_fd, CLONE_NEWNET);

	h->rc = r < 0 ? -errno : h->fn(h->arg);
	return NULL;
}

static int helper_start(pthread_t *thread, struct helper *h)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	/* a program with much thread-local storage may need more than this: then the default */
	pthread_attr_setstacksize(&attr, HELPER_STACK);
	r = pthread_create(thread, &attr, helper_main, h);
	pthread_attr_destroy(&attr);
	if (r == EINVAL)
		r = pthread_create(thread, NULL, helper_main, h);
	return -r;
}

int pn_in_netns(int netns_fd, int (*fn)(void *arg), void *arg)
{
	struct helper h = { .netns_fd = netns_fd, .fn = fn, .arg = arg };
	sigset_t all, old;
	pthread_t thread;
	int r;

	/* the caller's signal handlers must not run in another namespace */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = helper_start(&thread, &h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return h.rc;
}
