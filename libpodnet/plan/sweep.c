/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep.c - take away what carries this owner's mark
 *
 * Room: namespaces by their records, links by their alias or, from a pool, by the namespace they
 * lead to, in one group; the rest is gathered by
 * the lists into a set, and that set is made absent.  May include: plan/inner.h, link, ip, netns,
 * nl, base, include/podnet.
 * #syscalls: open openat getdents64 fstat newfstatat statx unlinkat close
 */
#include "inner.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

DEFINE_CLEANUP(struct podnet_set, podnet_set_free)
DEFINE_CLEANUP(struct podnet_plan, podnet_plan_free)
#define _cleanup_set_ _cleanup_(podnet_set_freep)
#define _cleanup_plan_ _cleanup_(podnet_plan_freep)

struct sweep {
	struct podnet *ctx;
	bool (*keep)(const char *scope, void *arg);
	void (*line)(const char *text, void *arg);
	void *arg;
	struct podnet_set *set;
	struct podnet_error *err;
	struct { char (*v)[PODNET_NETNS_NAME_MAX + 1]; size_t n, cap; } names;
	struct { uint32_t *v; size_t n, cap; } links;
	struct { int32_t *v; size_t n, cap; } pins;
	bool pins_known;
	int changes;
};

static bool kept(const struct sweep *s, const char *scope)
{
	return s->keep && s->keep(scope, s->arg);
}

static void tell(struct sweep *s, const char *what, const char *name)
{
	char text[PN_LINE_SIZE];

	s->changes++;
	snprintf(text, sizeof(text), "%s %s", what, name);
	if (s->line)
		s->line(text, s->arg);
}

static int each_netns(const struct podnet_netns_info *info, void *arg)
{
	struct sweep *s = arg;

	if (!info->ours || kept(s, info->scope))
		return 0;
	if (pn_grow(&s->names) < 0)
		return -ENOMEM;
	snprintf(s->names.v[s->names.n++], sizeof(*s->names.v), "%s", info->name);
	return 0;
}

static int sweep_netns(struct sweep *s)
{
	int r = podnet_netns_list(s->ctx, each_netns, s, s->err);

	for (size_t i = 0; i < s->names.n && r >= 0; i++) {
		r = podnet_netns_absent(s->ctx, s->names.v[i], s->err);
		if (r >= 0)
			tell(s, "netns del", s->names.v[i]);
	}
	return r < 0 ? r : 0;
}

static int keep_nsid(const struct nlmsghdr *nlh, void *arg)
{
	*(int32_t *)arg = pn_nsid_parse(nlh);
	return 0;
}

static int each_pin(const struct podnet_netns_info *info, void *arg)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_close_ int fd = -1;
	struct sweep *s = arg;
	int32_t nsid = -1;

	if (!info->ours || info->stale || pn_netns_resolve(s->ctx, info->name, &fd, NULL) < 0)
		return 0;
	nl_get(&s->ctx->rt, pn_nsid_request(buf, fd), keep_nsid, &nsid, NULL);
	if (nsid < 0)
		return 0;
	if (pn_grow(&s->pins) < 0)
		return -ENOMEM;
	s->pins.v[s->pins.n++] = nsid;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* the ids of namespaces that are recorded as ours, sorted; asked for once, and only if needed */
static int find_pins(struct sweep *s)
{
	int r;

	if (s->pins_known)
		return 0;
	r = podnet_netns_list(s->ctx, each_pin, s, s->err);
	if (r == 0 && s->pins.n)
		qsort(s->pins.v, s->pins.n, sizeof(*s->pins.v), by_number);
	s->pins_known = r == 0;
	return r;
}

/*
 * A link with the pool's mark is of use while its namespace waits in a pool, or is pinned.  Any
 * other is on its way out, or was of a namespace that lost its pin and that a process still holds.
 * The kernel may be at it already, so it is not told as a change.
 */
static int each_pooled(struct sweep *s, const struct podnet_link_info *info)
{
	int r = 0;

	if (!pn_pool_holds(s->ctx, info->index))
		r = find_pins(s);
	if (r < 0 || pn_pool_holds(s->ctx, info->index) ||
	    (s->pins.n && bsearch(&info->peer_nsid, s->pins.v, s->pins.n, sizeof(*s->pins.v),
				  by_number)))
		return r;
	if (pn_grow(&s->links) < 0)
		return -ENOMEM;
	s->links.v[s->links.n++] = info->index;
	return 0;
}

static int each_link(const struct podnet_link_info *info, void *arg)
{
	struct sweep *s = arg;
	const char *scope = info->ours ? strrchr(info->alias, ':') : NULL;

	if (scope && !strcmp(scope + 1, PN_POOL_SCOPE))
		return each_pooled(s, info);
	if (!scope || kept(s, scope + 1))
		return 0;
	if (pn_grow(&s->links) < 0)
		return -ENOMEM;
	s->links.v[s->links.n++] = info->index;
	tell(s, "link del", info->link.name);
	return 0;
}

static int doom(struct sweep *s, size_t from, size_t to)
{
	struct nl_batch *b = &s->ctx->batch;

	for (size_t i = from; i < to; i++) {
		struct pn_put p = { .b = b, .index = s->links.v[i], .group = PN_DOOMED_GROUP };

		pn_put_link_mark(&p, NULL, p.group);
	}
	return nl_batch_send(&s->ctx->rt, b, NULL, s->err);
}

static bool gone_already(const struct nl_op *op, int rc)
{
	(void)op;
	return rc == -ENODEV;
}

static int sweep_links(struct sweep *s)
{
	int r = podnet_link_list(s->ctx, NULL, each_link, s, s->err);

	s->ctx->batch.tolerate = gone_already;
	for (size_t i = 0; i < s->links.n && r == 0; i += NL_BATCH_MAX / 2)
		r = doom(s, i, i + NL_BATCH_MAX / 2 < s->links.n ? i + NL_BATCH_MAX / 2 : s->links.n);
	s->ctx->batch.tolerate = NULL;
	return r < 0 ? r : podnet_doomed_reap(s->ctx, s->err);
}

static int each_route(const struct podnet_route_info *info, void *arg)
{
	struct sweep *s = arg;

	return info->ours ? podnet_set_route(s->set, &info->route, s->err) : 0;
}

static int each_rule(const struct podnet_rule_info *info, void *arg)
{
	struct sweep *s = arg;

	return info->ours ? podnet_set_rule(s->set, &info->rule, s->err) : 0;
}

static int each_addr(const struct podnet_addr_info *info, void *arg)
{
	struct sweep *s = arg;

	return info->ours ? podnet_set_addr(s->set, &info->addr, s->err) : 0;
}

static int each_neigh(const struct podnet_neigh_info *info, void *arg)
{
	struct sweep *s = arg;

	return info->ours ? podnet_set_neigh(s->set, &info->neigh, s->err) : 0;
}

static int each_limit(const struct podnet_limit_info *info, void *arg)
{
	struct sweep *s = arg;

	return info->ours ? podnet_set_limit(s->set, &info->limit, s->err) : 0;
}

/* A record is named "OWNER.INODE.ipv4,ip_forward"; those of this namespace are put back. */
static int each_record(struct sweep *s, const char *name, const char *mine)
{
	struct podnet_sysctl spec = { .value = "" };
	char key[96];

	if (strncmp(name, mine, strlen(mine)) != 0)
		return 0;
	snprintf(key, sizeof(key), "%s", name + strlen(mine));
	for (char *c = key; *c; c++)
		if (*c == ',')
			*c = '/';
	spec.key = key;
	spec.value = "0";
	return podnet_set_sysctl(s->set, &spec, s->err);
}

static int gather_sysctls(struct sweep *s)
{
	char path[512], mine[64];
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int r = 0;

	if (fstat(s->ctx->netns_fd, &st) < 0)
		return pn_err(s->err, -errno, "sweep", NULL, NULL);
	snprintf(path, sizeof(path), "%s/sysctl", s->ctx->run_dir);
	snprintf(mine, sizeof(mine), "%s.%llu.", s->ctx->owner, (unsigned long long)st.st_ino);
	dir = opendir(path);
	while (dir && r == 0 && (entry = readdir(dir)))
		r = each_record(s, entry->d_name, mine);
	if (dir)
		closedir(dir);
	return r;
}

/* What is left of them were about links that are gone: there is nothing to put back. */
static void drop_records(struct sweep *s)
{
	char path[512], mine[64];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (fstat(s->ctx->netns_fd, &st) < 0)
		return;
	snprintf(path, sizeof(path), "%s/sysctl", s->ctx->run_dir);
	snprintf(mine, sizeof(mine), "%s.%llu.", s->ctx->owner, (unsigned long long)st.st_ino);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, mine, strlen(mine)) == 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static int each_line(const char *text, void *arg)
{
	struct sweep *s = arg;

	if (s->line)
		s->line(text, s->arg);
	return 0;
}

static int sweep_rest(struct sweep *s)
{
	_cleanup_plan_ struct podnet_plan *plan = NULL;
	int r = gather_sysctls(s);

	if (r == 0)
		r = podnet_route_list(s->ctx, NULL, each_route, s, s->err);
	if (r == 0)
		r = podnet_rule_list(s->ctx, NULL, each_rule, s, s->err);
	if (r == 0)
		r = podnet_addr_list(s->ctx, NULL, NULL, each_addr, s, s->err);
	if (r == 0)
		r = podnet_neigh_list(s->ctx, NULL, each_neigh, s, s->err);
	if (r == 0)
		r = podnet_limit_list(s->ctx, NULL, each_limit, s, s->err);
	if (r == 0)
		r = pn_plan_make(s->ctx, s->set, 0, PN_DIFF_ABSENT | PN_DIFF_ANY_SCOPE | PN_DIFF_NAMED,
				 &plan, s->err);
	if (r <= 0)
		return r;
	podnet_plan_each(plan, each_line, s);
	r = podnet_plan_commit(s->ctx, plan, s->err);
	if (r > 0)
		s->changes += r;
	return r < 0 ? r : 0;
}

int podnet_sweep(struct podnet *ctx, bool (*keep)(const char *scope, void *arg),
		 void (*line)(const char *text, void *arg), void *arg, struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	struct sweep s = { .ctx = ctx, .keep = keep, .line = line, .arg = arg, .err = err };
	int r = podnet_set_new(&set, "sweep", err);

	if (r < 0)
		return r;
	s.set = set;
	r = sweep_netns(&s);
	if (r == 0)
		r = sweep_links(&s);
	if (r >= 0 && !keep)
		r = sweep_rest(&s);
	if (r >= 0 && !keep)
		drop_records(&s);
	free(s.names.v);
	free(s.links.v);
	free(s.pins.v);
	return r < 0 ? r : s.changes;
}
