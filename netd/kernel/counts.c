/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * counts.c - what services counted, from libpodnet's handle to the loop
 *
 * Room: on the kernel thread.  May include: inner.h, netd/base, include/podnet.
 *
 * libpodnet tells a pair of frontend and endpoint in pieces; the loop gets one row for each,
 * sorted, so that it finds those of a frontend without an index.
 */
#include "inner.h"

#include <errno.h>

struct gathering {
	struct podnet_service_counts *v;
	size_t n, cap;
};

static int gather(const struct podnet_service_counts *counts, void *arg)
{
	struct gathering *g = arg;
	struct podnet_service_counts *grown;

	if (g->n == g->cap) {
		grown = reallocarray(g->v, g->cap ? 2 * g->cap : 64, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		g->v = grown;
		g->cap = g->cap ? 2 * g->cap : 64;
	}
	g->v[g->n++] = *counts;
	return 0;
}

int kernel_counts_cmp(const void *a, const void *b)
{
	const struct podnet_service_counts *x = a, *y = b;
	int r = memcmp(&x->ip, &y->ip, sizeof(x->ip));

	r = r ? r : x->protocol - y->protocol;
	return r ? r : x->port - y->port;
}

static int by_pair(const void *a, const void *b)
{
	const struct podnet_service_counts *x = a, *y = b;
	int r = kernel_counts_cmp(a, b);

	r = r ? r : memcmp(&x->endpoint, &y->endpoint, sizeof(x->endpoint));
	return r ? r : x->endpoint_port - y->endpoint_port;
}

static void add_up(struct podnet_service_counts *to, const struct podnet_service_counts *from)
{
	to->connections += from->connections;
	to->packets_in += from->packets_in;
	to->packets_out += from->packets_out;
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
}

static size_t merge(struct podnet_service_counts *v, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_pair);
	for (size_t i = 0; i < n; i++) {
		if (kept && by_pair(&v[kept - 1], &v[i]) == 0)
			add_up(&v[kept - 1], &v[i]);
		else
			v[kept++] = v[i];
	}
	return kept;
}

int kernel_read_counts(struct kernel *k, struct kernel_task *task)
{
	uint64_t start = now_monotonic_us();
	struct gathering g = { 0 };
	int r = 0;

	if (k->services)
		r = podnet_services_counts(k->services, gather, &g, &task->err);
	if (r < 0) {
		free(g.v);
		return r == -EOPNOTSUPP ? 0 : r;
	}
	task->counts = g.v;
	task->ncounts = merge(g.v, g.n);
	task->took_us = now_monotonic_us() - start;
	return 0;
}
