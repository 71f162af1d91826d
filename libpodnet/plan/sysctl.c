/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sysctl.c - sysctls of a plan: what they are, and what they were before us
 *
 * Room: /proc/sys/net inside a namespace, by a helper thread; records under <run_dir>/sysctl.
 * May include: plan/inner.h, ip, base, include/podnet.
 *
 * A sysctl carries no mark.  The value it had before our first change is kept in a file named after
 * owner, namespace (inode) and key; where there is such a file, the value is ours.
 * #syscalls: open openat read write close access faccessat faccessat2 fstat newfstatat statx
 * #syscalls: mkdir mkdirat unlink unlinkat
 */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct job {
	struct podnet *ctx;
	struct podnet_plan *plan;
	uint16_t ns;
	const struct pn_op *op;
	const char *value;
	char *old;
	size_t size;
	const char *field;
};

static int fd_of(const struct podnet *ctx, const struct pn_space *space)
{
	return space->own ? ctx->netns_fd : space->fd;
}

static int record_path(const struct podnet *ctx, const struct pn_space *space, const char *key,
		       char *buf, size_t size)
{
	struct stat st;
	int n;

	if (fstat(fd_of(ctx, space), &st) < 0)
		return -errno;
	n = snprintf(buf, size, "%s/sysctl/%s.%llu.%s", ctx->run_dir, ctx->owner,
		     (unsigned long long)st.st_ino, key);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	for (char *c = buf + n - strlen(key); *c; c++) {
		if (*c == '/')
			*c = ',';
	}
	return 0;
}

static int record_read(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

static int record_write(const struct podnet *ctx, const char *path, const char *value)
{
	_cleanup_close_ int fd = -1;
	char dir[512];
	size_t n = strlen(value);

	snprintf(dir, sizeof(dir), "%s/sysctl", ctx->run_dir);
	mkdir(ctx->run_dir, 0755);
	mkdir(dir, 0755);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	return write(fd, value, n) == (ssize_t)n ? 0 : -EIO;
}

static int read_all(void *data)
{
	struct job *j = data;
	char path[512];

	for (size_t i = 0; i < j->plan->want.n; i++) {
		const struct pn_obj *want = &j->plan->want.v[i];
		struct pn_obj have;
		int r;

		if (want->kind != PN_SYSCTL || want->ns != j->ns)
			continue;
		have = *want;
		memset(have.u.sysctl.value, 0, sizeof(have.u.sysctl.value));
		r = pn_sysctl_read(want->u.sysctl.key, have.u.sysctl.value,
				   sizeof(have.u.sysctl.value));
		if (r < 0)              /* not there: writing it says why */
			continue;
		/* bytes after the text must be zero to compare */
		memset(have.u.sysctl.value + r, 0, sizeof(have.u.sysctl.value) - (size_t)r);
		r = record_path(j->ctx, &j->plan->spaces[j->ns], want->u.sysctl.key, path,
				sizeof(path));
		have.is = r == 0 && access(path, F_OK) == 0 ? PN_OURS : 0;
		r = pn_objs_insert(&j->plan->have, &have);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool any_sysctl(const struct podnet_plan *plan, uint16_t ns)
{
	for (size_t i = 0; i < plan->want.n; i++) {
		if (plan->want.v[i].kind == PN_SYSCTL && plan->want.v[i].ns == ns)
			return true;
	}
	return false;
}

int pn_observe_sysctls(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->nspaces && r == 0; i++) {
		struct job j = { .ctx = ctx, .plan = plan, .ns = (uint16_t)i };

		if ((plan->mode & PN_DIFF_ABSENT) && plan->spaces[i].ours)
			continue;
		if (plan->spaces[i].there && any_sysctl(plan, j.ns))
			r = pn_in_netns(fd_of(ctx, &plan->spaces[i]), read_all, &j);
	}
	return r < 0 ? pn_err(err, r, "observe_sysctls", NULL, NULL) : 0;
}

static int change(void *data)
{
	struct job *j = data;
	const char *key = j->op->obj.u.sysctl.key;
	int r;

	j->field = "key";
	if (j->old) {
		r = pn_sysctl_read(key, j->old, j->size);
		if (r < 0)
			return r;
	}
	if (!j->value)
		return 0;
	r = pn_sysctl_write(key, j->value);
	if (r != -ENOENT)
		j->field = "value";
	return r;
}

int pn_sysctl_apply(struct podnet *ctx, struct podnet_plan *plan, const struct pn_op *op,
		    struct podnet_error *err)
{
	struct pn_space *space = &plan->spaces[op->obj.ns];
	char path[512], text[sizeof(op->obj.u.sysctl.value)];
	struct job j = { .ctx = ctx, .plan = plan, .op = op };
	int r = record_path(ctx, space, op->obj.u.sysctl.key, path, sizeof(path));

	if (r < 0)
		return pn_err(err, r, "sysctl_record", NULL, NULL);
	if (op->verb == PN_DEL) {
		r = record_read(path, text, sizeof(text));
		if (r < 0)
			return pn_err(err, r, "sysctl_record", NULL, NULL);
		j.value = text;
	} else if (!space->ours && access(path, F_OK) < 0) {
		/* first the record, then the change; a namespace of this scope goes as a whole */
		j.old = text;
		j.size = sizeof(text);
		r = pn_in_netns(fd_of(ctx, space), change, &j);
		if (r < 0)
			return pn_err(err, r, "sysctl_read", j.field, NULL);
		r = record_write(ctx, path, text);
		if (r < 0)
			return pn_err(err, r, "sysctl_record", NULL, NULL);
		j.old = NULL;
	}
	if (op->verb != PN_DEL)
		j.value = op->obj.u.sysctl.value;
	r = pn_in_netns(fd_of(ctx, space), change, &j);
	if (r < 0)
		return pn_err(err, r, "sysctl_set", j.field, NULL);
	if (op->verb == PN_DEL)
		unlink(path);
	return 0;
}
