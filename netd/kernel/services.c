/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.c - frontends from the loop to libpodnet's handle, and the commit
 *
 * Room: on the kernel thread, but for the copies, which the sender makes.  May include: inner.h,
 * netd/base, metrics, include/podnet.
 *
 * The handle is told the networks by the node's task and the frontends by tasks of their own, the
 * first of them in parts.  Before both have come once, what is declared is not whole, and committing
 * it would take away what an earlier netd left.
 *
 * Connections to endpoints that went are looked for after the commit, when no client waits: one
 * pass for all that changed meanwhile, and a second one a moment later for packets that were under
 * way.  A pass costs a walk or more of the kernel's table (10 ms each when it is empty and has
 * 262,144 buckets, some 50 ms when 236,000 entries are in it).  So changes gather between two passes:
 * the first of a storm is looked for at once, the others a quarter of a second later, and never more
 * than a fifth of the thread's time goes into it.
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>

#define LOOKS_APART_US  250000
#define RETRY_US        1000000
#define FRONTEND_BYTES  1024    /* that the handle takes for one, mostly */
#define SENT_BYTES      256     /* and when it is sent */

static int grow(struct kernel_services *s, struct podnet_frontend **v, size_t n, size_t *cap)
{
	struct podnet_frontend *grown;

	if (n < *cap)
		return 0;
	*cap = *cap ? 2 * *cap : 16;
	grown = arena_alloc(&s->arena, *cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (n)
		memcpy(grown, *v, n * sizeof(*grown));
	*v = grown;
	return 0;
}

static void *copy(struct kernel_services *s, const void *from, size_t size)
{
	void *to = arena_alloc(&s->arena, size + 1);

	if (to && size)
		memcpy(to, from, size);
	return to;
}

int kernel_services_set(struct kernel_services *s, const struct podnet_frontend *f)
{
	struct podnet_frontend *to;

	if (grow(s, &s->set, s->nset, &s->set_cap) < 0)
		return -ENOMEM;
	to = &s->set[s->nset];
	*to = *f;
	to->endpoints = copy(s, f->endpoints, f->nendpoints * sizeof(*f->endpoints));
	to->sources = copy(s, f->sources, f->nsources * sizeof(*f->sources));
	if (!to->endpoints || !to->sources)
		return -ENOMEM;
	s->nset++;
	return 0;
}

int kernel_services_absent(struct kernel_services *s, const struct podnet_frontend *f)
{
	if (grow(s, &s->absent, s->nabsent, &s->absent_cap) < 0)
		return -ENOMEM;
	s->absent[s->nabsent++] = *f;
	return 0;
}

void kernel_services_free(struct kernel_services *s)
{
	if (!s)
		return;
	arena_fini(&s->arena);
	free(s);
}

static int open_handle(struct kernel *k, struct podnet_error *err)
{
	int r;

	if (k->services)
		return 0;
	r = podnet_services_new(k->ctx, &k->services, err);
	if (r == 0)
		kernel_kept(k);
	return r;
}

static int commit(struct kernel *k, struct kernel_task *task)
{
	int r;

	if (!k->services_told || !k->nets_told)
		return 0;
	fault_point("services-before-commit");
	r = podnet_services_commit(k->services, &task->err);
	fault_point("services-after-commit");
	if (r >= 0 && podnet_services_unsettled(k->services))
		k->settle_at = k->settle_rest ? k->settle_rest : 1;
	return r;
}

void kernel_settle(struct kernel *k, uint64_t now)
{
	struct podnet_error err = { 0 };
	char text[256], quoted[300];
	uint64_t end;
	int r;

	if (!k->settle_at || k->settle_at > now)
		return;
	r = podnet_services_settle(k->services, &err);
	end = now_monotonic_us();
	k->settle_rest = end + (4 * (end - now) > LOOKS_APART_US ? 4 * (end - now) : LOOKS_APART_US);
	k->settle_at = 0;
	if (r < 0) {
		podnet_error_text(&err, text, sizeof(text));
		log_event(LOG_LEVEL_WARNING, "conntrack_failed", "err=%s",
			  log_quote(text, quoted, sizeof(quoted)));
		k->settle_at = end + RETRY_US;
		return;
	}
	metric_add(METRIC_CONNTRACK_DELETED, r);
	metric_time(METRIC_TIME_CONNTRACK, end - now);
	if (podnet_services_unsettled(k->services))
		k->settle_at = k->settle_rest;
}

int kernel_take_services(struct kernel *k, struct kernel_task *task)
{
	const struct kernel_services *s = task->services;
	int r = open_handle(k, &task->err);

	/* built without nftables: that matters to those only who have services */
	if (r == -EOPNOTSUPP && !s->nset)
		return 0;
	heap_grow(s->nset * FRONTEND_BYTES);
	for (size_t i = 0; i < s->nabsent && r == 0; i++)
		r = podnet_services_absent(k->services, &s->absent[i], &task->err);
	for (size_t i = 0; i < s->nset && r == 0; i++)
		r = podnet_services_set(k->services, &s->set[i], &task->err);
	k->services_n += s->nset;
	if (r < 0 && s->more)
		k->services_err = task->err;
	if (r < 0 || s->more)
		return r;
	if (!k->services_told && k->services_err.code < 0) {
		task->err = k->services_err;
		return task->err.code;
	}
	if (!k->services_told)
		heap_grow(k->services_n * SENT_BYTES);
	k->services_told = true;
	r = commit(k, task);
	task->changes += r > 0 ? r : 0;
	return r < 0 ? r : 0;
}

int kernel_node_services(struct kernel *k, struct kernel_task *task)
{
	int r = open_handle(k, &task->err);
	bool heard;

	if (r == -EOPNOTSUPP)
		return 0;
	if (r == 0)
		r = podnet_services_nets(k->services, &task->nets, &task->err);
	if (r < 0)
		return r;
	k->nets_told = true;
	if (!task->drift)
		return commit(k, task);
	/* what is heard of from here on may be later than what is read */
	podnet_services_doubt(k->services);
	heard = k->foreign;
	k->foreign = false;
	r = commit(k, task);
	k->foreign |= heard && r < 0;
	return r;
}
