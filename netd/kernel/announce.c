/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * announce.c - the neighbours are told which load-balancer addresses are here
 *
 * Room: on the kernel thread.  May include: inner.h, netd/base, include/podnet, linux/.
 *
 * An address is announced when the node has it, when something of the node's had to be repaired,
 * and when the link to the neighbours comes up; twice each time, as a frame may be lost (RFC 5227,
 * section 2.3: ANNOUNCE_NUM, ANNOUNCE_INTERVAL; RFC 4861, section 7.2.6).
 */
#include "inner.h"

#include <errno.h>
#include <net/if.h>
#include <netd/base/log.h>
#include <stdio.h>

#define TIMES       2
#define INTERVAL_US 2000000

struct announced {
	struct kernel_announce is;
	unsigned left;              /* times to come */
	bool up;                    /* its link, as last heard */
};

static struct announced *find(struct kernel *k, const struct kernel_announce *is)
{
	for (size_t i = 0; i < k->nannounced; i++)
		if (memcmp(&k->announced[i].is, is, sizeof(*is)) == 0)
			return &k->announced[i];
	return NULL;
}

void kernel_announce_take(struct kernel *k, struct kernel_task *task)
{
	struct announced *v = calloc(task->nannounce + 1, sizeof(*v));
	bool repaired = task->drift && task->changes;

	if (!v) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=announce");
		return;
	}
	for (size_t i = 0; i < task->nannounce; i++) {
		const struct announced *old = find(k, &task->announce[i]);

		v[i].is = task->announce[i];
		v[i].up = old ? old->up : true;
		v[i].left = old && !repaired ? old->left : TIMES;
		if (v[i].left == TIMES)
			k->announce_at = 1;
	}
	free(k->announced);
	k->announced = v;
	k->nannounced = task->nannounce;
}

void kernel_announce_link(struct kernel *k, const struct podnet_event *ev)
{
	bool up = !ev->deleted && (ev->flags & IFF_UP) && (ev->flags & IFF_RUNNING);

	for (size_t i = 0; i < k->nannounced; i++) {
		struct announced *a = &k->announced[i];

		if (strcmp(a->is.link, ev->link) != 0)
			continue;
		if (up && !a->up) {
			a->left = TIMES;
			k->announce_at = 1;
		}
		a->up = up;
	}
}

/* A link that is down is announced on when it comes up; what else fails may succeed the next time. */
static void announce_one(struct kernel *k, struct announced *a)
{
	char text[256], quoted[300], ip[PODNET_PREFIX_STRLEN];
	struct podnet_error err = { 0 };
	int r = podnet_announce(k->ctx, a->is.link, &a->is.ip, &err);

	a->left--;
	if (r == -ENETDOWN || r == -ENOENT)
		a->up = false;
	if (r == 0 || a->left || r == -ENETDOWN || r == -ENOENT || r == -EOPNOTSUPP)
		return;
	podnet_error_text(&err, text, sizeof(text));
	log_event(LOG_LEVEL_WARNING, "announce_failed", "ip=%s err=%s",
		  podnet_prefix_format_addr(&a->is.ip, ip), log_quote(text, quoted, sizeof(quoted)));
}

void kernel_announce(struct kernel *k, uint64_t now)
{
	if (!k->announce_at || k->announce_at > now)
		return;
	k->announce_at = 0;
	for (size_t i = 0; i < k->nannounced; i++) {
		if (k->announced[i].left)
			announce_one(k, &k->announced[i]);
		if (k->announced[i].left)
			k->announce_at = now + INTERVAL_US;
	}
}
