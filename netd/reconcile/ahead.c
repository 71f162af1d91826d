/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ahead.c - which addresses the next pods will have
 *
 * Room: reconcile.  Of a pod's share of the kernel its addresses are the dearest, and what the
 * allocator gives next is known.  The kernel thread is told, so that they wait in its pool.
 */
#include "inner.h"

#include <netd/base/limits.h>
#include <sys/socket.h>

/* A pod that says nothing has an address of each CIDR of Network "default", in this order. */
static size_t guess(const struct reconcile *rec, struct kernel_next *ret, size_t max)
{
	const struct object *net = state_get(rec->conf.state, &kinds[KIND_NETWORK], "", "default");
	const struct ipam *ipam = state_ipam(rec->conf.state);
	struct podnet_prefix ips[LIMIT_POOL + 1];
	size_t n = net && net->network->type == NETWORK_ROUTED ? max : 0;

	for (size_t i = 0; n && i < net->network->ncidrs; i++) {
		int family = net->network->cidrs[i].family;

		n = ipam_peek(ipam, net->network->meta.name, family, n, ips);
		for (size_t k = 0; k < n; k++) {
			ret[k].ips[i] = ips[k];
			ret[k].n = i + 1;
		}
	}
	return n;
}

void ahead_tell(struct reconcile *rec)
{
	size_t max = rec->conf.pool ? rec->conf.pool : 1, n;
	struct kernel_next *next = rec->begun ? calloc(max, sizeof(*next)) : NULL;
	struct kernel_task *task;

	if (!next)
		return;                 /* it is told another time */
	n = guess(rec, next, max);
	if (rec->next && n == rec->nnext && memcmp(next, rec->next, n * sizeof(*next)) == 0) {
		free(next);
		return;
	}
	task = kernel_task_new(KERNEL_NEXT, "");
	if (task)
		task->next = calloc(max, sizeof(*next));
	if (!task || !task->next) {
		kernel_task_free(task);
		free(next);
		return;
	}
	memcpy(task->next, next, n * sizeof(*next));
	task->nnext = n;
	free(rec->next);
	rec->next = next;
	rec->nnext = n;
	kernel_submit(rec->kernel, task);
}
