/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * records.c - what of a scope no sweep would find, written down under the run directory
 *
 * Room: on the kernel thread (records_sweep() of a purge: on the caller's).  May include: inner.h,
 * netd/base, include/podnet.
 *
 * A route has no mark but its protocol, and a link in a namespace that is not ours stands where
 * nobody looks; both outlive their object when the store lost it, by a backup that was put back or a
 * purge.  So a scope has a file with a line for each: the namespace's name and identity, and what is
 * there.  The line comes first and goes last.
 * #syscalls: mkdir mkdirat open openat read write close fstat newfstatat statx getdents64
 * #syscalls: rename renameat renameat2 unlink unlinkat
 */
#include "inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

DEFINE_CLEANUP(struct podnet_set, podnet_set_free)

#define RECORD_MAX  4096
#define NEW         ".new"          /* no scope has this name */
#define HOME        "."             /* the node's own namespace */

int records_open(const char *run_dir)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/routes", run_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	mkdir(run_dir, 0755);
	mkdir(path, 0755);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Also the time of change: the number of a namespace that is gone is given to the next one. */
static int identify(struct podnet *ctx, const char *netns, char ret[64])
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (strcmp(netns, HOME) == 0) {
		snprintf(ret, 64, "-");
		return 0;
	}
	fd = podnet_netns_open(ctx, netns, NULL);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -ENOENT;
	snprintf(ret, 64, "%llu.%llu.%lu", (unsigned long long)st.st_ino,
		 (unsigned long long)st.st_ctim.tv_sec, (unsigned long)st.st_ctim.tv_nsec);
	return 0;
}

static int line_of(struct kernel *k, const struct kernel_task *task, char ret[RECORD_MAX / 4])
{
	const char *netns = task->netns[0] ? task->netns[0] : HOME;
	char id[64];

	if (!task->record || k->records < 0 || identify(k->ctx, netns, id) < 0)
		return 0;
	return snprintf(ret, RECORD_MAX / 4, "%s %s %s\n", netns, id, task->record);
}

static void read_file(int dir, const char *name, char ret[RECORD_MAX])
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, RECORD_MAX - 1);

	ret[n > 0 ? n : 0] = '\0';
}

static int write_file(int dir, const char *name, int flags, const char *text)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags,
					0600);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -EIO;
}

int records_add(struct kernel *k, const struct kernel_task *task)
{
	char line[RECORD_MAX / 4], have[RECORD_MAX];

	if (line_of(k, task, line) <= 0)
		return 0;
	read_file(k->records, task->scope, have);
	if (strstr(have, line))
		return 0;
	/* a wish that changed more often than it came true: the newest are kept */
	return write_file(k->records, task->scope,
			  strlen(have) + strlen(line) < RECORD_MAX ? O_APPEND : O_TRUNC, line);
}

void records_settle(struct kernel *k, const struct kernel_task *task)
{
	char line[RECORD_MAX / 4], have[RECORD_MAX];

	if (line_of(k, task, line) <= 0)
		return;
	read_file(k->records, task->scope, have);
	if (strcmp(have, line) != 0 && write_file(k->records, NEW, O_TRUNC, line) == 0)
		renameat(k->records, NEW, k->records, task->scope);
}

void records_drop(struct kernel *k, const char *scope)
{
	if (k->records >= 0)
		unlinkat(k->records, scope, 0);
}

/* "10.9.0.0/16 254 0", or "link br0" */
static int add_wish(struct podnet_set *set, const char *netns, const char *what)
{
	struct podnet_route route = { .netns = netns, .type = PODNET_ROUTE_UNREACHABLE };
	struct podnet_link link = { .netns = netns };
	char text[64], tail;

	if (sscanf(what, "link %15s%c", text, &tail) == 1) {
		link.name = text;
		return podnet_set_bridge(set, &link, NULL);
	}
	if (sscanf(what, "%63s %u %u%c", text, &route.table, &route.metric, &tail) != 3 ||
	    podnet_prefix_parse(text, &route.dst) < 0)
		return -EINVAL;
	return podnet_set_route(set, &route, NULL);
}

struct leftovers {
	struct podnet *ctx;
	void (*line)(const char *text, void *arg);
	void *arg;
};

static int each_line(const char *text, void *arg)
{
	const struct leftovers *l = arg;

	l->line(text, l->arg);
	return 0;
}

static int take_away(const struct leftovers *l, const char *scope, const char *netns,
		     const char *what)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_plan *plan = NULL;
	int r = podnet_set_new(&set, scope, NULL);

	if (r == 0 && add_wish(set, strcmp(netns, HOME) ? netns : NULL, what) < 0)
		return 0;                       /* not written by us */
	if (r == 0)
		r = podnet_plan_absent(l->ctx, set, 0, &plan, NULL);
	if (r > 0) {
		podnet_plan_each(plan, each_line, (void *)(uintptr_t)l);
		r = podnet_plan_commit(l->ctx, plan, NULL);
	}
	podnet_plan_free(plan);
	return r;
}

static int take_line(const struct leftovers *l, const char *scope, const char *line)
{
	char netns[256], id[64], now[64];
	int at = 0;

	if (sscanf(line, "%255s %63s %n", netns, id, &at) != 2 || !at ||
	    identify(l->ctx, netns, now) < 0 || strcmp(id, now) != 0)
		return 0;                       /* the namespace is gone, and all of it */
	return take_away(l, scope, netns, line + at);
}

static int take_file(const struct leftovers *l, int dir, const char *scope)
{
	char have[RECORD_MAX], *rest = have, *line;
	int changes = 0, r = 0;

	read_file(dir, scope, have);
	while (r >= 0 && (line = strsep(&rest, "\n"))) {
		r = take_line(l, scope, line);
		changes += r > 0 ? r : 0;
	}
	if (r >= 0)
		unlinkat(dir, scope, 0);
	return r < 0 ? r : changes;
}

int records_sweep(struct podnet *ctx, int dir, bool (*keep)(const char *scope, void *arg),
		  void (*line)(const char *text, void *arg), void *arg)
{
	struct leftovers l = { .ctx = ctx, .line = line, .arg = arg };
	int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = fd < 0 ? NULL : fdopendir(fd);
	int changes = 0, failed = 0;
	struct dirent *entry;

	if (!files) {
		closep(&fd);
		return dir < 0 ? 0 : -EIO;
	}
	while ((entry = readdir(files))) {
		int r = 0;

		if (entry->d_name[0] != '.' && !(keep && keep(entry->d_name, arg)))
			r = take_file(&l, dir, entry->d_name);
		changes += r > 0 ? r : 0;
		failed = r < 0 ? r : failed;
	}
	closedir(files);
	return failed < 0 ? failed : changes;
}
