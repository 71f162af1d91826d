/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pin.c - namespaces by name: bind mounts under netns_dir, records under run_dir
 *
 * Room: files and mounts.  May include: libpodnet/base, include/podnet.
 *
 * An inode number alone does not tell a namespace from the next one that is made: the kernel
 * hands out the lowest free number.  The time of change of the namespace's file does, since the
 * pin itself keeps that file alive (fs/nsfs.c), so a record holds both.
 *
 * Order: record, file, mount; then mount, file, record to take away.  So after a crash whatever
 * is ours has a record, and a name without one is foreign.  The record is made anew when it
 * belongs to an earlier boot or another namespace.
 * #syscalls: open openat read close flock fstat stat lstat newfstatat statx mkdir mkdirat mknod
 * #syscalls: mknodat readlink readlinkat symlinkat renameat renameat2 unlink unlinkat
 * #syscalls: open_tree:OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH
 * #syscalls: move_mount:MOVE_MOUNT_F_EMPTY_PATH umount2:MNT_DETACH|UMOUNT_NOFOLLOW
 * #syscalls: mount:MS_SHARED|MS_REC mount:MS_BIND|MS_REC mount:MS_BIND
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpodnet/base/base.h>
#include <libpodnet/netns/netns.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define RECORD_MAX 160
#define RECORD_NEW "fd:new"         /* no namespace can have this name */

struct record {
	char boot[9];
	uint64_t inode, ctime;
	char owner[16], scope[PN_SCOPE_MAX + 1];
};

static uint64_t ctime_of(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;
}

static void pin_path(const struct podnet *ctx, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", ctx->netns_dir, name);
}

static int fail(struct podnet_error *err, int code, const char *step, const char *field,
		const char *name)
{
	pn_err(err, code, step, field, NULL);
	pn_err_object(err, name);
	return code;
}

static int read_boot(struct podnet *ctx)
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (ctx->boot[0])
		return 0;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ctx->boot, sizeof(ctx->boot) - 1);
	if (n == (ssize_t)sizeof(ctx->boot) - 1)
		return 0;
	ctx->boot[0] = '\0';
	return n < 0 ? -errno : -EIO;
}

static int make_dirs(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", dir);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_records(struct podnet *ctx)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/netns", ctx->run_dir);
	r = make_dirs(path);
	if (r < 0)
		return r;
	ctx->records_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ctx->records_fd < 0 ? -errno : 0;
}

/*
 * As ip-netns(8): a shared mount point, so that pins reach other mount namespaces and unpinning
 * takes them away there too.  The lock keeps two processes from stacking two mounts.
 */
static int share_pins(struct podnet *ctx)
{
	const char *dir = ctx->netns_dir;
	_cleanup_close_ int lock = -1;
	int r = make_dirs(dir);

	if (r < 0)
		return r;
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return -errno;
	if (mount("", dir, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)                /* EINVAL: it is not a mount point yet */
		return -errno;
	if (mount(dir, dir, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", dir, "none", MS_SHARED | MS_REC, NULL) < 0)
		return -errno;
	return 0;
}

static int prepare(struct podnet *ctx, struct podnet_error *err)
{
	int r = read_boot(ctx);

	if (r < 0)
		return pn_err(err, r, "boot_id", NULL, NULL);
	if (ctx->records_fd < 0)
		r = open_records(ctx);
	if (r < 0)
		return fail(err, r, "netns_prepare", "run_dir", ctx->run_dir);
	if (!ctx->pins_ready)
		r = share_pins(ctx);
	if (r < 0)
		return fail(err, r, "netns_prepare", "netns_dir", ctx->netns_dir);
	ctx->pins_ready = true;
	return 0;
}

static void record_text(const struct podnet *ctx, const struct stat *st, const char *scope,
			char text[RECORD_MAX])
{
	snprintf(text, RECORD_MAX, "%s:%" PRIu64 ".%" PRIu64 ":%s:%s", ctx->boot,
		 (uint64_t)st->st_ino, ctime_of(st), ctx->owner, scope ? scope : "");
}

/* 1: there is one and it could be read; 0: none; -EBADMSG: one that we did not write */
static int record_read(const struct podnet *ctx, const char *name, struct record *ret)
{
	char path[PATH_MAX], text[RECORD_MAX];
	struct record rec = { 0 };
	int end = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/netns/%s", ctx->run_dir, name);
	n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
		       errno == EINVAL ? -EBADMSG : -errno;
	text[n] = '\0';
	if (sscanf(text, "%8[0-9a-f]:%" SCNu64 ".%" SCNu64 ":%15[a-z0-9-]:%n", rec.boot,
		   &rec.inode, &rec.ctime, rec.owner, &end) != 4 || !end)
		return -EBADMSG;
	snprintf(rec.scope, sizeof(rec.scope), "%s", text + end);
	*ret = rec;
	return 1;
}

/* what is at the name, without the record: 0 or a negative errno; @st is of the namespace */
static int look_at_file(const struct podnet *ctx, const char *path, struct stat *st,
			struct pn_netns_state *ret)
{
	if (stat(path, st) == 0) {
		ret->there = true;
		ret->mounted = st->st_dev == ctx->netns_dev;
		ret->inode = ret->mounted ? st->st_ino : 0;
		return 0;
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return -errno;
	ret->there = lstat(path, st) == 0;  /* a link to a process that has ended */
	return 0;
}

int pn_netns_look(struct podnet *ctx, const char *name, struct pn_netns_state *ret)
{
	struct pn_netns_state state = { 0 };
	struct record rec = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int r = read_boot(ctx);

	if (r == 0)
		r = pn_netns_name_check(name);
	if (r < 0)
		return r;
	pin_path(ctx, name, path);
	r = look_at_file(ctx, path, &st, &state);
	if (r < 0)
		return r;
	r = record_read(ctx, name, &rec);
	if (r < 0 && r != -EBADMSG)
		return r;
	state.recorded = r != 0;
	snprintf(state.owner, sizeof(state.owner), "%s", rec.owner);
	if (r > 0 && state.mounted && rec.inode == st.st_ino && rec.ctime == ctime_of(&st) &&
	    strcmp(rec.boot, ctx->boot) == 0) {
		state.ours = strcmp(rec.owner, ctx->owner) == 0;
		snprintf(state.scope, sizeof(state.scope), "%s", rec.scope);
	}
	if (r > 0 && !state.mounted && strcmp(rec.owner, ctx->owner) == 0) {
		state.left = true;
		snprintf(state.scope, sizeof(state.scope), "%s", rec.scope);
	}
	*ret = state;
	return 0;
}

/* an empty regular file, as a crash between its making and the mount leaves it */
static bool is_leftover(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

/** What is pinned. */
struct pin {
	int fd, tree;               /* the namespace; its mount if that was made ahead, or -1 */
	const char *name, *record;
};

int pn_netns_tree(int fd)
{
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int mount_on(const struct pin *pin, const char *path)
{
	char from[64];

	if (pin->tree >= 0 && move_mount(pin->tree, "", AT_FDCWD, path,
					 MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	snprintf(from, sizeof(from), "/proc/thread-self/fd/%d", pin->fd);
	return mount(from, path, "none", MS_BIND, NULL) < 0 ? -errno : 0;
}

static int mount_new(struct podnet *ctx, const struct pin *pin, const char *path)
{
	int r = mount_on(pin, path);

	if (r < 0) {
		unlink(path);
		unlinkat(ctx->records_fd, pin->name, 0);
	}
	return r;
}

/*
 * Something is at the name, or was recorded there.  Under the lock nobody of ours is at work on
 * it, so what is no namespace is what a crash left.
 */
static int pin_over(struct podnet *ctx, const struct pin *pin, const char *path)
{
	struct pn_netns_state state;
	struct stat st;
	int r = pn_netns_look(ctx, pin->name, &state);

	if (r < 0)
		return r;
	if (state.mounted)
		return fstat(pin->fd, &st) == 0 && st.st_ino == state.inode ? 0 : -EEXIST;
	if (state.there && !is_leftover(path))
		return -EEXIST;
	if (unlinkat(ctx->records_fd, pin->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (symlinkat(pin->record, ctx->records_fd, pin->name) < 0)
		return -errno;
	if (!state.there && mknod(path, S_IFREG, 0) < 0)
		return -errno;
	r = mount_new(ctx, pin, path);
	return r < 0 ? r : 1;
}

static int pin_locked(struct podnet *ctx, const struct pin *pin)
{
	char path[PATH_MAX];
	int r;

	pin_path(ctx, pin->name, path);
	if (symlinkat(pin->record, ctx->records_fd, pin->name) < 0)
		return errno == EEXIST ? pin_over(ctx, pin, path) : -errno;
	if (mknod(path, S_IFREG, 0) == 0) {
		r = mount_new(ctx, pin, path);
		return r < 0 ? r : 1;
	}
	r = -errno;
	unlinkat(ctx->records_fd, pin->name, 0);
	return r == -EEXIST ? pin_over(ctx, pin, path) : r;
}

static int with_lock(struct podnet *ctx, const struct pin *pin)
{
	int r;

	if (flock(ctx->records_fd, LOCK_EX) < 0)
		return -errno;
	r = pin_locked(ctx, pin);
	flock(ctx->records_fd, LOCK_UN);
	return r;
}

int pn_netns_pin_fd(struct podnet *ctx, int fd, int tree, const char *name, const char *scope,
		    struct podnet_error *err)
{
	char record[RECORD_MAX];
	const struct pin pin = { .fd = fd, .tree = tree, .name = name, .record = record };
	struct stat st;
	int r;

	if (pn_netns_name_check(name) < 0)
		return pn_err(err, -EINVAL, "netns_pin", "name", NULL);
	if (pn_netns_scope_check(scope) < 0)
		return pn_err(err, -EINVAL, "netns_pin", "scope", NULL);
	if (fstat(fd, &st) < 0)
		return fail(err, -errno, "netns_pin", "netns", name);
	r = prepare(ctx, err);
	if (r < 0)
		return r;
	record_text(ctx, &st, scope, record);
	r = with_lock(ctx, &pin);
	if (r == -ENOENT) {
		/* one of the directories was taken away under us: make them anew, once */
		close(take_fd(ctx->records_fd));
		ctx->pins_ready = false;
		r = prepare(ctx, err);
		if (r < 0)
			return r;
		r = with_lock(ctx, &pin);
	}
	return r < 0 ? fail(err, r, "netns_pin", r == -EEXIST ? "name" : NULL, name) : r;
}

static int unpin_locked(struct podnet *ctx, const char *name)
{
	struct pn_netns_state state;
	char path[PATH_MAX];
	int r = pn_netns_look(ctx, name, &state);
	bool foreign_record;

	if (r < 0)
		return r;
	pin_path(ctx, name, path);
	foreign_record = state.recorded && strcmp(state.owner, ctx->owner) != 0;
	if (state.mounted ? !state.ours : foreign_record && state.there)
		return -EPERM;
	if (!state.mounted && state.there && !is_leftover(path))
		return -EPERM;
	if (!state.there && (!state.recorded || foreign_record))
		return 0;
	if (state.mounted && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return -errno;
	if (state.there && unlink(path) < 0 && errno != ENOENT)
		return -errno;
	if (state.recorded && unlinkat(ctx->records_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return 1;
}

/* taking away prepares no directory: where there is none there is nothing to take */
static int lock_records(struct podnet *ctx)
{
	char path[PATH_MAX];

	if (ctx->records_fd < 0) {
		snprintf(path, sizeof(path), "%s/netns", ctx->run_dir);
		ctx->records_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (ctx->records_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return flock(ctx->records_fd, LOCK_EX) < 0 ? -errno : 1;
}

int pn_netns_unpin(struct podnet *ctx, const char *name, struct podnet_error *err)
{
	int r, locked;

	if (pn_netns_name_check(name) < 0)
		return pn_err(err, -EINVAL, "netns_unpin", "name", NULL);
	locked = lock_records(ctx);
	if (locked < 0)
		return fail(err, locked, "netns_unpin", NULL, name);
	r = unpin_locked(ctx, name);
	if (locked)
		flock(ctx->records_fd, LOCK_UN);
	return r < 0 ? fail(err, r, "netns_unpin", r == -EPERM ? "name" : NULL, name) : r;
}

static int rescope_locked(struct podnet *ctx, const char *name, const char *scope)
{
	struct pn_netns_state state;
	char path[PATH_MAX], record[RECORD_MAX];
	struct stat st;
	int r = pn_netns_look(ctx, name, &state);

	if (r < 0)
		return r;
	if (!state.mounted)
		return -ENOENT;
	if (!state.ours)
		return -EPERM;
	if (strcmp(state.scope, scope) == 0)
		return 0;
	pin_path(ctx, name, path);
	if (stat(path, &st) < 0)
		return -errno;
	/* beside it and over it, so that no crash leaves it unrecorded */
	record_text(ctx, &st, scope, record);
	unlinkat(ctx->records_fd, RECORD_NEW, 0);
	if (symlinkat(record, ctx->records_fd, RECORD_NEW) < 0 ||
	    renameat(ctx->records_fd, RECORD_NEW, ctx->records_fd, name) < 0)
		return -errno;
	return 1;
}

int pn_netns_rescope(struct podnet *ctx, const char *name, const char *scope,
		     struct podnet_error *err)
{
	int r, locked;

	if (pn_netns_scope_check(scope) < 0)
		return pn_err(err, -EINVAL, "netns_rescope", "scope", NULL);
	locked = lock_records(ctx);
	if (locked <= 0)
		return fail(err, locked < 0 ? locked : -ENOENT, "netns_rescope", NULL, name);
	r = rescope_locked(ctx, name, scope ? scope : "");
	flock(ctx->records_fd, LOCK_UN);
	return r < 0 ? fail(err, r, "netns_rescope", "name", name) : r;
}
