/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * task.c - one desired set to the kernel: plan, commit, say what was done
 *
 * Room: on the kernel thread (kernel_purge(): on the caller's).  May include: inner.h, netd/base,
 * metrics, include/podnet.
 */
#include "inner.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netd/base/fault.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>
#include <sys/stat.h>

DEFINE_CLEANUP(struct podnet_set, podnet_set_free)

#define LINES_MAX       1024
#define REAP_DELAY_US   100000  /* the kernel takes a dropped namespace apart in 20 to 40 ms */
#define REAP_LATEST_US  1000000

struct kernel_task *kernel_task_new(enum kernel_task_type type, const char *scope)
{
	struct kernel_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->type = type;
	snprintf(task->scope, sizeof(task->scope), "%s", scope);
	return task;
}

void kernel_task_free(struct kernel_task *task)
{
	size_t i;

	if (!task)
		return;
	podnet_set_free(task->set);
	podnet_set_free(task->was);
	free((void *)(uintptr_t)task->nat.inside);
	free((void *)(uintptr_t)task->nat.masquerade);
	free((void *)(uintptr_t)task->nets.inside);
	free((void *)(uintptr_t)task->nets.local);
	free((void *)(uintptr_t)task->nets.node_ips);
	free(task->announce);
	kernel_services_free(task->services);
	for (i = 0; i < task->nscopes; i++)
		free(task->scopes[i]);
	free(task->scopes);
	free(task->routes);
	free(task->signs);
	free(task->inside);
	free(task->next);
	free(task->netns[0]);
	free(task->netns[1]);
	free(task->record);
	free(task->pin);
	free(task->counts);
	free(task->lines);
	free(task);
}

/* What was done, a line each, cut at a line's end when it gets long. */
static int add_line(const char *line, void *arg)
{
	struct kernel_task *task = arg;
	size_t have = task->lines ? strlen(task->lines) : 0, len = strlen(line);
	char *lines;

	if (have + len + 2 > LINES_MAX)
		return 1;
	lines = realloc(task->lines, have + len + 2);
	if (!lines)
		return 1;
	task->lines = lines;
	snprintf(lines + have, len + 2, "%s%s", have ? "\n" : "", line);
	return 0;
}

static int pin_get(struct podnet *ctx, const char *name, const char *scope)
{
	struct podnet_netns_info info;

	if (podnet_netns_get(ctx, name, &info, NULL) < 0)
		return 0;
	return info.ours && !info.stale && info.scope && strcmp(info.scope, scope) == 0;
}

/*
 * The node's own namespace: what a pod is made of would be the node's, its default route and the
 * limits too, and so would what goes with the pod.
 */
static int refuse_own(struct kernel *k, struct kernel_task *task, int fd)
{
	_cleanup_close_ int own = podnet_netns_open(k->ctx, NULL, &task->err);
	struct stat a, b;

	if (own < 0)
		return own;
	if (fstat(fd, &a) < 0 || fstat(own, &b) < 0)
		return -errno;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return 0;
	task->err = (struct podnet_error){
		.code = -EINVAL, .step = "netns_pin", .field = "netns",
		.why = "it is the network namespace of the node itself",
	};
	snprintf(task->err.object, sizeof(task->err.object), "%s", task->pin);
	return -EINVAL;
}

/*
 * A pinned namespace stays the pod's whatever becomes of the process it was taken from, so one
 * that is there already with the scope's mark is not looked up again.
 */
static int pin(struct kernel *k, struct kernel_task *task)
{
	struct podnet_netns spec = { .name = task->netns[0], .scope = task->scope };
	_cleanup_close_ int fd = -1;
	char ref[16];
	int r;

	if (!task->pin || pin_get(k->ctx, task->netns[0], task->scope))
		return 0;
	fd = podnet_netns_open(k->ctx, task->pin, &task->err);
	r = fd < 0 ? fd : refuse_own(k, task, fd);
	if (r < 0)
		return r;
	snprintf(ref, sizeof(ref), "fd:%d", fd);
	r = podnet_netns_pin(k->ctx, ref, &spec, &task->err);
	if (r > 0)
		add_line("netns pin", task);
	return r;
}

static int nat(struct kernel *k, struct kernel_task *task)
{
	int r;

	if (!task->has_nat)
		return 0;
	r = podnet_nat_ensure(k->ctx, &task->nat, &task->err);
	if (r > 0)
		add_line("nft set inet podnet", task);
	/* built without nftables: that matters to those only who ask for it */
	return r == -EOPNOTSUPP && !task->nat.nmasquerade ? 0 : r;
}

static int commit(struct kernel *k, struct kernel_task *task, struct podnet_plan *plan, int planned)
{
	int r = 0;

	if (task->fresh && k->pool)
		podnet_plan_pool(plan, k->pool);
	if (!task->fresh && planned > 0)
		podnet_plan_each(plan, add_line, task);
	fault_point("kernel-before-commit");
	if (planned > 0)
		r = podnet_plan_commit(k->ctx, plan, &task->err);
	fault_point("kernel-after-commit");
	podnet_plan_free(plan);
	return r;
}

static bool is_node_link(const struct kernel_task *task, const char *name)
{
	for (size_t i = 0; task->node_links && task->node_links[i]; i++)
		if (strcmp(task->node_links[i], name) == 0)
			return true;
	return false;
}

static int was_link(const struct podnet_link_info *info, void *arg)
{
	struct kernel_task *task = arg;
	struct podnet_vxlan vxlan;
	struct podnet_tun tun;

	if (info->ours && info->tun) {
		tun = *info->tun;
		tun.link = (struct podnet_link){ .name = info->link.name };
		return podnet_set_tun(task->was, &tun, &task->err);
	}
	if (!info->ours || !info->vxlan)
		return 0;
	vxlan = *info->vxlan;
	vxlan.link = (struct podnet_link){ .name = info->link.name };
	return podnet_set_vxlan(task->was, &vxlan, &task->err);
}

/* Asked for by name: the node has as many links as pods. */
static int was_links(struct kernel *k, struct kernel_task *task)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && task->node_links && task->node_links[i]; i++) {
		r = podnet_link_get(k->ctx, NULL, task->node_links[i], was_link, task, &task->err);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

static int was_addr(const struct podnet_addr_info *info, void *arg)
{
	struct kernel_task *task = arg;
	struct podnet_addr addr = { .link = info->addr.link, .prefix = info->addr.prefix };
	bool node = strcmp(info->addr.link, "lo") == 0 || info->addr.deprecated ||
		    is_node_link(task, info->addr.link);

	return info->ours && node ? podnet_set_addr(task->was, &addr, &task->err) : 0;
}

static int was_route(const struct podnet_route_info *info, void *arg)
{
	const struct podnet_route *route = &info->route;
	struct kernel_task *task = arg;

	bool service = route->type == PODNET_ROUTE_UNICAST && !route->via.family;

	if (!info->ours || (route->type != PODNET_ROUTE_UNREACHABLE && !service) ||
	    route->metric != task->node_metric)
		return 0;
	return podnet_set_route(task->was, &(struct podnet_route){
		.dst = route->dst, .type = route->type, .table = route->table,
		.metric = route->metric, .link = service ? route->link : NULL,
	}, &task->err);
}

/* cannot fail: what has no inode was taken away meanwhile, and that is told */
static void look_inode(struct kernel *k, struct kernel_task *task)
{
	struct podnet_netns_info info;

	if (task->tell_inode && podnet_netns_get(k->ctx, task->netns[0], &info, NULL) == 0)
		task->inode = info.inode;
}

/* The node has no earlier version in the store; what is the node's shows by its kind. */
static int find_was(struct kernel *k, struct kernel_task *task)
{
	int r;

	if (!task->node_metric || task->was)
		return 0;
	r = podnet_set_new(&task->was, task->scope, &task->err);
	if (r >= 0)
		r = was_links(k, task);
	if (r >= 0)
		r = podnet_addr_list(k->ctx, NULL, NULL, was_addr, task, &task->err);
	/* a repair need not look: the routes are what they were, and the tables may be long */
	if (r >= 0 && !task->drift)
		r = podnet_route_list(k->ctx, NULL, was_route, task, &task->err);
	return r < 0 ? r : 0;
}

static int ensure(struct kernel *k, struct kernel_task *task)
{
	/* scopes share namespaces and links: a Route lies on the link of a Veth */
	uint32_t flags = PODNET_PLAN_NAMED | (task->fresh ? PODNET_PLAN_FRESH : 0);
	struct podnet_plan *plan = NULL;
	int r = pin(k, task);

	if (r < 0)
		return r;
	task->changes += r;
	r = records_add(k, task);
	if (r == 0)
		r = find_was(k, task);
	if (r < 0)
		return r;
	if (task->was)
		r = podnet_plan_replace(k->ctx, task->set, task->was, flags, &plan, &task->err);
	else
		r = podnet_plan_make(k->ctx, task->set, flags, &plan, &task->err);
	if (r >= 0)
		r = commit(k, task, plan, r);
	if (r < 0)
		return r;
	task->changes += r;
	r = nat(k, task);
	if (r < 0)
		return r;
	task->changes += r;
	r = task->has_nat ? kernel_node_services(k, task) : 0;
	if (r < 0)
		return r;
	if (r > 0)
		add_line("nft set services", task);
	task->changes += r;
	records_settle(k, task);
	if (task->has_nat)
		kernel_announce_take(k, task);
	look_inode(k, task);
	return 0;
}

static int unpin(struct kernel *k, struct kernel_task *task)
{
	int r;

	if (!task->pin || !pin_get(k->ctx, task->netns[0], task->scope))
		return 0;
	r = podnet_netns_absent(k->ctx, task->netns[0], &task->err);
	return r == -ENOENT ? 0 : r;
}

static int absent(struct kernel *k, struct kernel_task *task)
{
	struct podnet_plan *plan = NULL;
	uint64_t now = now_monotonic_us();
	int r;

	index_drop(&k->index, task->scope);
	fault_point("kernel-before-absent");
	r = podnet_plan_absent(k->ctx, task->set, 0, &plan, &task->err);
	if (r > 0)
		r = podnet_plan_commit(k->ctx, plan, &task->err);
	podnet_plan_free(plan);
	if (r < 0)
		return r;
	task->changes += r;
	r = unpin(k, task);
	fault_point("kernel-after-absent");
	if (r < 0)
		return r;
	task->changes += r;
	records_drop(k, task->scope);
	k->reap_at = now + REAP_DELAY_US;
	if (!k->reap_by)
		k->reap_by = now + REAP_LATEST_US;
	if (k->reap_at > k->reap_by)
		k->reap_at = k->reap_by;
	return 0;
}

static int scope_cmp(const void *key, const void *member)
{
	return strcmp(key, *(char *const *)member);
}

struct sweep {
	const struct kernel *k;
	struct kernel_task *task;
};

static void add_sweep_line(const char *line, void *arg)
{
	const struct sweep *sweep = arg;

	add_line(line, sweep->task);
}

/* Tasks of clients go ahead, so what was made since the sweep was asked for stays too. */
static bool keep(const char *scope, void *arg)
{
	const struct sweep *sweep = arg;

	if (index_scope(&sweep->k->index, scope))
		return true;
	return sweep->task->nscopes && bsearch(scope, sweep->task->scopes, sweep->task->nscopes,
					       sizeof(*sweep->task->scopes), scope_cmp);
}

static int prefix_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct podnet_prefix));
}

struct strays {
	const struct kernel_task *task;
	struct podnet_set *set;
};

/* What led to another node's pods before netd was there to see that it should not any more. */
static int stray(const struct podnet_route_info *info, void *arg)
{
	const struct podnet_route *route = &info->route;
	const struct strays *s = arg;
	const struct kernel_task *task = s->task;
	size_t i = 0;

	if (!info->ours || route->type != PODNET_ROUTE_UNICAST || !route->via.family ||
	    (route->table && route->table != RT_TABLE_MAIN))
		return 0;
	while (i < task->ninside && !podnet_prefix_contains(&task->inside[i], &route->dst))
		i++;
	if (i == task->ninside || (task->nroutes && bsearch(&route->dst, task->routes, task->nroutes,
							   sizeof(*task->routes), prefix_cmp)))
		return 0;
	return podnet_set_route(s->set, route, NULL);
}

static int sweep_routes(struct kernel *k, struct kernel_task *task)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct strays s = { .task = task };
	struct podnet_plan *plan = NULL;
	int r = podnet_set_new(&set, "strays", &task->err);

	s.set = set;
	if (r >= 0)
		r = podnet_route_list(k->ctx, NULL, stray, &s, &task->err);
	if (r >= 0)
		r = podnet_plan_absent(k->ctx, set, 0, &plan, &task->err);
	if (r > 0) {
		podnet_plan_each(plan, add_line, task);
		r = podnet_plan_commit(k->ctx, plan, &task->err);
	}
	podnet_plan_free(plan);
	return r;
}

static int sweep_all(struct kernel *k, struct kernel_task *task)
{
	struct sweep sweep = { .k = k, .task = task };
	/* before the names of namespaces go, by which they are found */
	int left = records_sweep(k->ctx, k->records, keep, add_sweep_line, &sweep);
	int r = podnet_sweep(k->ctx, keep, add_sweep_line, &sweep, &task->err);

	if (r >= 0) {
		task->changes += r + (left > 0 ? left : 0);
		r = sweep_routes(k, task);
	}
	if (r < 0)
		return r;
	task->changes += r;
	return left < 0 ? left : 0;
}

void kernel_run(struct kernel *k, struct kernel_task *task)
{
	uint64_t start = now_monotonic_us();
	struct kscope *scope = index_scope(&k->index, task->scope);

	fault_point("kernel-task-taken");
	if (scope && scope->queued)
		scope->queued--;
	switch (task->type) {
	case KERNEL_ENSURE:
		task->rc = ensure(k, task);
		break;
	case KERNEL_ABSENT:
		task->rc = absent(k, task);
		scope = NULL;
		break;
	case KERNEL_SWEEP:
		task->rc = sweep_all(k, task);
		break;
	case KERNEL_SERVICES:
		task->rc = kernel_take_services(k, task);
		break;
	case KERNEL_COUNTS:
		task->rc = kernel_read_counts(k, task);
		break;
	case KERNEL_NEXT:           /* thread.c keeps it */
		break;
	}
	if (scope)
		index_relearn(&k->index, scope, task->fresh);
	metric_add(METRIC_KERNEL_OPERATIONS, task->changes);
	metric_time(METRIC_TIME_KERNEL, now_monotonic_us() - start);
	queue_push(k->done, &task->node);
}

int kernel_context(const char *netns_dir, const char *run_dir, bool nft_owner, struct podnet **ret,
		   struct podnet_error *err)
{
	struct podnet_options opts = {
		.size = sizeof(opts), .owner = "netd", .netns_dir = netns_dir, .run_dir = run_dir,
		.nft_owner = nft_owner,
	};

	return podnet_open(ret, &opts, err);
}

struct purge {
	void (*line)(void *arg, const char *text);
	void *arg;
};

static void purge_line(const char *text, void *arg)
{
	const struct purge *purge = arg;

	if (purge->line)
		purge->line(purge->arg, text);
}

int kernel_purge(const char *netns_dir, const char *run_dir, void (*line)(void *arg, const char *),
		 void *arg, struct podnet_error *err)
{
	struct purge purge = { .line = line, .arg = arg };
	_cleanup_close_ int records = -1;
	struct podnet *ctx = NULL;
	int total = 0, r = kernel_context(netns_dir, run_dir, false, &ctx, err);

	if (r < 0)
		return r;
	records = records_open(run_dir);
	total = records_sweep(ctx, records, NULL, purge_line, &purge);
	total = total > 0 ? total : 0;
	r = podnet_sweep(ctx, NULL, purge_line, &purge, err);
	total += r > 0 ? r : 0;
	if (r >= 0)
		r = podnet_nat_absent(ctx, err);
	if (r > 0)
		purge_line("nft del inet podnet", &purge);
	total += r > 0 ? r : 0;
	if (r >= 0 || r == -EOPNOTSUPP)
		r = podnet_doomed_reap(ctx, err);
	total += r > 0 ? r : 0;
	podnet_close(ctx);
	return r < 0 ? r : total;
}
