/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mounts.c - is what netd mounts seen by others?
 *
 * Room: reads mountinfo.  May include: netd/base.
 *
 * A pinned namespace is a mount.  In a mount namespace of netd's own, as many options of a unit
 * make one, it would stay there: the mount of the directory is then a slave of the one it was
 * copied from ("master:"), also when it has been shared again since, or is private.  A private
 * one is as it should be where nothing is ever shared, and in a lab, which has a network of its
 * own as well; so it is refused only beside the network of process 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <netd/guard/guard.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct spread {
	bool found, shared, slave;
};

/* A line of proc_pid_mountinfo(5): the fields from the seventh to "-" tell. */
static void read_line(char *line, uint64_t id, struct spread *ret)
{
	char *rest = line, *field;
	int n = 0;

	if (strtoull(line, NULL, 10) != id)
		return;
	ret->found = true;
	while ((field = strsep(&rest, " ")) && strcmp(field, "-") != 0) {
		if (++n <= 6)
			continue;
		ret->shared |= strncmp(field, "shared:", 7) == 0;
		ret->slave |= strncmp(field, "master:", 7) == 0;
	}
}

static void look(uint64_t id, struct spread *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (file && !ret->found && getline(&line, &size, file) > 0)
		read_line(line, id, ret);
	if (file)
		fclose(file);
}

/* false also where there is no telling. */
static bool same_as_first(const char *which)
{
	char path[32];
	struct stat own, first;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", which);
	if (stat(path, &own) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/1/ns/%s", which);
	return stat(path, &first) == 0 && own.st_ino == first.st_ino && own.st_dev == first.st_dev;
}

int guard_mounts(const char *dir, char why[256])
{
	struct spread spread = { 0 };
	struct statx st;

	if (statx(AT_FDCWD, dir, 0, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
		return 0;               /* not there, or before Linux 5.8 */
	look(st.stx_mnt_id, &spread);
	if (!spread.slave && (spread.shared || !same_as_first("net") || same_as_first("mnt")))
		return 0;
	snprintf(why, 256, "%.60s: a mount namespace of its own hides from all others what netd mounts "
		 "there; the unit must be without ProtectSystem=, PrivateTmp= and the like: see "
		 "netd(8), MOUNT NAMESPACES", dir);
	return -EXDEV;
}
