/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - namespaces made ahead, with the addresses that the next pods will have
 *
 * Room: on the kernel thread.  May include: inner.h, netd/base, metrics, include/podnet.
 *
 * The loop tells which addresses its allocator would give next.  It is a guess: they stay free for
 * anybody, and a pod that has others takes a namespace all the same, with a little more to do.  So
 * nothing is claimed for the pool, and nothing of it is left by a crash.
 *
 * Making one keeps a processor for a millisecond in which the kernel does not let go of it (Linux
 * net/core/net_namespace.c, setup_net()).  Whoever waits for a pod's status would wait for that as
 * well, so what was taken is made anew a moment later, unless little is left.
 */
#include "inner.h"

#include <netd/base/fault.h>
#include <netd/base/limits.h>
#include <netd/metrics/metrics.h>

#define REST_US 5000

static void note_ready(struct kernel *k)
{
	__atomic_store_n(&k->pool_ready, podnet_pool_ready(k->pool), __ATOMIC_RELAXED);
	metric_set(METRIC_POOL_READY, podnet_pool_ready(k->pool));
}

int kernel_open_pool(struct kernel *k, struct podnet_error *err)
{
	struct podnet_pool_spec spec = {
		.size = k->conf.pool ? k->conf.pool : 1, .mtu = k->conf.pool_mtu,
		.ahead = k->conf.pool_ahead,
	};
	struct kernel_facts facts;

	/* links made ahead fit only when they have the MTU that pods will ask for */
	if (!spec.mtu && kernel_facts_read(k->ctx, &facts, NULL) == 0)
		spec.mtu = facts.mtu < LIMIT_MTU_IPV6 ? LIMIT_MTU_IPV6 : facts.mtu;
	return podnet_pool_new(k->ctx, &spec, &k->pool, err);
}

static bool wanted(const struct kernel *k)
{
	uint32_t ready = podnet_pool_ready(k->pool);

	if (k->pool_broken || (k->conf.pool_own && !k->next))
		return false;
	return ready < k->conf.pool || (k->hinted && !ready);
}

uint64_t kernel_fill_at(const struct kernel *k)
{
	uint32_t ready = podnet_pool_ready(k->pool);

	if (!wanted(k))
		return 0;
	return ready < k->conf.pool / 2 || !ready || !k->fill_at ? 1 : k->fill_at;
}

void kernel_rest_pool(struct kernel *k)
{
	k->fill_at = now_monotonic_us() + REST_US;
	k->pool_broken = false;
	note_ready(k);
}

/* The first to come for whom nothing waits; NULL: all have something, or nobody is known. */
static const struct kernel_next *first_without(const struct kernel *k)
{
	for (size_t i = 0; k->next && i < k->next->nnext; i++) {
		const struct kernel_next *next = &k->next->next[i];

		if (!podnet_pool_has(k->pool, next->ips, next->n))
			return next;
	}
	return NULL;
}

static int make_one(struct kernel *k)
{
	const struct kernel_next *next = first_without(k);
	struct podnet_set *own = NULL;
	int r;

	if (!next)
		return podnet_pool_fill(k->pool, 1, NULL);
	r = k->conf.pool_own(next->ips, next->n, &own, NULL);
	if (r == 0)
		r = podnet_pool_add(k->pool, own, NULL);
	podnet_set_free(own);
	return r < 0 ? r : 1;
}

bool kernel_fill_pool(struct kernel *k)
{
	uint64_t at = kernel_fill_at(k);
	int r;

	if (!wanted(k))
		k->hinted = false;
	if (!at || at > now_monotonic_us())
		return false;
	k->hinted = false;
	r = make_one(k);
	fault_point("pool-made");
	note_ready(k);
	k->pool_broken = r < 0;         /* until a task got through again */
	return r > 0;
}
