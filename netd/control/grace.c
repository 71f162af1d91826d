/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grace.c - a pod that is being deleted and in whose namespace nothing runs need not wait
 *
 * Room: control.  Reads /proc and the names under netns_dir, changes nothing; pods.c deletes.
 * May include: state, model, netd/base.
 *
 * One round looks at every process once, for all pods that wait.  What is found in a pod's
 * namespace is held by a pidfd, and the pod is looked at again when all that was held has ended:
 * nothing is polled.  A round goes over /proc in slices, one a turn of the loop.  New processes
 * have higher numbers, so what is forked meanwhile is met later in the same round (proc(5)).
 *
 * A process counts by its main thread's namespace.  One that leaves the namespace alive is not
 * told of; then the grace ends as it would have anyway.  So it does where a process may not be
 * looked into (ptrace(2), PTRACE_MODE_READ) or could not be held.
 * #syscalls: open openat getdents64 stat newfstatat statx pidfd_open kill:0 epoll_ctl close
 */
#include "internal.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SLICE           64      /* processes a turn: some 0.2 ms */
#define HELD_MAX        32      /* of one pod; the others are found when these have ended */

struct held {
	struct leaving *of;
	struct loop_watch *watch;
	int fd;
	struct held *next;
};

/** A pod within its grace. */
struct leaving {
	struct control *control;
	dev_t dev;
	ino_t ino;                  /* of its namespace; 0: there is none */
	struct held *held;
	size_t nheld;
	bool round;                 /* the round under way is about it */
	bool seen;                  /* ... and has found a process of its */
	bool over, blind;           /* nothing runs there; there is no telling */
	int64_t deleted;            /* what the pod says, and when that is by a clock nobody sets */
	uint64_t until_us;
	char path[512];
	char uid[64];
	struct leaving *next;
};

static struct leaving *find(const struct control *control, const char *uid)
{
	struct leaving *l;

	for (l = control->leaving; l && strcmp(l->uid, uid) != 0; l = l->next)
		;
	return l;
}

static void release(struct held *held)
{
	loop_unwatch(held->watch);
	closep(&held->fd);
	free(held);
}

static void leaving_free(struct leaving *l)
{
	struct held *held;

	while ((held = l->held)) {
		l->held = held->next;
		release(held);
	}
	free(l);
}

void grace_forget(struct control *control, const struct object *pod)
{
	struct leaving *l, **p;

	for (p = &control->leaving; (l = *p); p = &l->next) {
		if (strcmp(l->uid, pod->meta->uid) != 0)
			continue;
		*p = l->next;
		leaving_free(l);
		return;
	}
}

static struct leaving *leaving_new(struct control *control, const struct object *pod)
{
	const struct node_config *conf = state_config(control->state);
	struct leaving *l = calloc(1, sizeof(*l));
	char name[256];

	if (!l)                         /* its grace ends at its time */
		return NULL;
	l->control = control;
	l->blind = pod->pod->host_network || strcmp(pod->pod->node_name, conf->node_name) != 0;
	snprintf(l->uid, sizeof(l->uid), "%s", pod->meta->uid);
	snprintf(l->path, sizeof(l->path), "%s/%s", conf->netns_dir,
		 pod_netns_name(pod->pod, name));
	l->next = control->leaving;
	control->leaving = l;
	if (!l->blind)
		loop_timer_set(control->look_timer, 0);
	return l;
}

/* By the time of day, but no longer than the grace that was given: the clock may have been set back. */
static uint64_t left_by_date(const struct object *pod)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(pod);
	int64_t left = pod->meta->deleted - now_realtime_s();
	int64_t most = doc ? doc_int(doc, "metadata.deletionGracePeriodSeconds", 0) : left;

	left = left > most ? most : left;
	return left > 0 ? (uint64_t)left * 1000000 : 0;
}

uint64_t grace_left_us(struct control *control, const struct object *pod)
{
	struct leaving *l = find(control, pod->meta->uid);
	uint64_t now = now_monotonic_us(), left;

	if (!l || l->deleted != pod->meta->deleted) {
		left = left_by_date(pod);
		if (left && !l)
			l = leaving_new(control, pod);
		if (!l)
			return left;
		l->deleted = pod->meta->deleted;
		l->until_us = now + left;
	}
	return l->over || l->until_us <= now ? 0 : l->until_us - now;
}

static void ended(void *arg, uint32_t events)
{
	struct held *held = arg, **p;
	struct leaving *l = held->of;

	(void)events;
	for (p = &l->held; *p != held; p = &(*p)->next)
		;
	*p = held->next;
	release(held);
	if (--l->nheld == 0)
		loop_timer_set(l->control->look_timer, 0);
}

static bool lives_in(const struct leaving *l, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == l->ino && st.st_dev == l->dev;
}

/* The number may be another process's by now: only what is there still, once held, counts. */
static int hold(struct leaving *l, int pid, const char *path)
{
	struct held *held = calloc(1, sizeof(*held));
	int r;

	if (!held)
		return -ENOMEM;
	held->of = l;
	held->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (held->fd < 0 || !lives_in(l, path)) {
		r = held->fd < 0 && errno != ESRCH ? -errno : 0;
		release(held);
		return r;
	}
	r = loop_watch_fd(l->control->loop, held->fd, EPOLLIN, ended, held, &held->watch);
	if (r < 0) {
		release(held);
		return r;
	}
	held->next = l->held;
	l->held = held;
	l->nheld++;
	l->seen = true;
	return 0;
}

/* Of a process that is being reaped the kernel says EACCES too (fs/proc/namespaces.c). */
static bool hidden(int pid)
{
	if (errno == ENOENT || errno == ESRCH)
		return false;
	return kill(pid, 0) == 0 || errno != ESRCH;
}

static void look_at(struct control *control, int pid)
{
	char path[32];
	struct leaving *l;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (stat(path, &st) < 0) {
		control->look_failed |= hidden(pid);
		return;
	}
	for (l = control->leaving; l; l = l->next) {
		if (!l->round || st.st_ino != l->ino || st.st_dev != l->dev)
			continue;
		l->seen |= l->nheld >= HELD_MAX;
		if (l->nheld < HELD_MAX && hold(l, pid, path) < 0)
			l->blind = true;
	}
}

/* Who is asked about in this round; false: nobody. */
static bool begin(struct control *control)
{
	struct leaving *l;
	bool any = false;
	struct stat st;

	for (l = control->leaving; l; l = l->next) {
		l->round = !l->nheld && !l->over && !l->blind;
		l->seen = false;
		if (!l->round)
			continue;
		any = true;
		if (stat(l->path, &st) < 0)
			memset(&st, 0, sizeof(st));
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return any;
}

static void finish(struct control *control)
{
	bool over = false, again = false;
	struct leaving *l;

	for (l = control->leaving; l; l = l->next) {
		l->blind |= l->round && control->look_failed;
		if (l->round && !l->blind) {
			l->over = !l->seen;
			over |= l->over;
		}
		l->round = false;
		again |= !l->nheld && !l->over && !l->blind;
	}
	if (over)
		loop_timer_set(control->grace_timer, 0);
	if (again)
		loop_timer_set(control->look_timer, 0);
}

void grace_look(void *arg)
{
	struct control *control = arg;
	struct dirent *entry = NULL;
	int i;

	if (!control->proc) {
		if (!begin(control))
			return;
		control->look_failed = false;
		control->proc = opendir("/proc");
		if (!control->proc)
			return;
	}
	for (i = 0; i < SLICE && (entry = readdir(control->proc)); i++)
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(control, (int)strtol(entry->d_name, NULL, 10));
	if (entry) {
		loop_timer_set(control->look_timer, 0);
		return;
	}
	closedir(control->proc);
	control->proc = NULL;
	finish(control);
}

void grace_free(struct control *control)
{
	struct leaving *l;

	while ((l = control->leaving)) {
		control->leaving = l->next;
		leaving_free(l);
	}
	if (control->proc)
		closedir(control->proc);
}
