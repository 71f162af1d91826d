/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lost.c - endpoints of a node that is lost leave Services after a grace
 *
 * Room: reconcile.  Each reader sees it in the Node alone and counts the grace by its own steady clock,
 * from when it saw the Node so, or from what the Node says when that is longer ago.  Its slices say the
 * same for others, when somebody has written it there (control/orphans.c).
 */
#include "inner.h"
#include "services.h"

#include <errno.h>
#include <netd/base/log.h>

struct lost {
	uint64_t until_us;          /* the grace; monotonic */
	bool out;                   /* it is over */
	char name[];
};

static void arm(struct reconcile *rec)
{
	uint64_t now = now_monotonic_us(), at = UINT64_MAX;
	const struct lost *l;
	size_t pos = 0;

	while ((l = map_next(&rec->lost, &pos)))
		if (!l->out && l->until_us < at)
			at = l->until_us;
	loop_timer_set(rec->lost_timer, at == UINT64_MAX ? -1 : at <= now ? 0 :
		       (int64_t)((at - now + 999) / 1000));
}

void lost_due(void *arg)
{
	struct reconcile *rec = arg;
	uint64_t now = now_monotonic_us();
	struct lost *l;
	size_t pos = 0;

	while ((l = map_next(&rec->lost, &pos))) {
		if (l->out || l->until_us > now)
			continue;
		l->out = true;
		log_event(LOG_LEVEL_WARNING, "node_endpoints_left", "node=%s", l->name);
		services_mark_node(rec, l->name);
	}
	arm(rec);
}

/* What is left of the grace: never more than all of it, whatever the clocks say. */
static uint64_t left_us(const struct reconcile *rec, const struct node *node)
{
	int64_t grace = rec->node->node_grace_s, since = now_realtime_s() - node->lost_since;

	if (since < 0 || !node->lost_since)
		since = 0;
	return (uint64_t)(since > grace ? 0 : grace - since) * 1000000;
}

static void add(struct reconcile *rec, const struct object *node)
{
	const char *name = node->meta->name;
	struct lost *l = calloc(1, sizeof(*l) + strlen(name) + 1);

	if (l)
		memcpy(l->name, name, strlen(name) + 1);
	if (!l || map_put(&rec->lost, l->name, l) < 0) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=lost");
		free(l);
		return;
	}
	l->until_us = now_monotonic_us() + left_us(rec, node->node);
	arm(rec);
}

void lost_changed(struct reconcile *rec, const struct object *any, const struct object *now)
{
	struct lost *l;

	if (any->kind->id != KIND_NODE || strcmp(any->meta->name, rec->node->node_name) == 0)
		return;
	l = map_get(&rec->lost, any->meta->name);
	if (now && now->node->lost && !l)
		add(rec, now);
	if ((now && now->node->lost) || !l)
		return;
	map_del(&rec->lost, any->meta->name);
	if (l->out)
		services_mark_node(rec, l->name);
	free(l);
}

static int begin_one(void *arg, struct object *node)
{
	lost_changed(arg, node, node);
	return 0;
}

void lost_begin(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, begin_one, rec);
}

int lost_names(const struct reconcile *rec, const char ***ret, size_t *n)
{
	const struct lost *l;
	size_t pos = 0;

	*n = 0;
	*ret = calloc(rec->lost.n + 1, sizeof(**ret));
	while (*ret && (l = map_next(&rec->lost, &pos)))
		if (l->out)
			(*ret)[(*n)++] = l->name;
	return *ret ? 0 : -ENOMEM;
}

void lost_free(struct reconcile *rec)
{
	struct lost *l;
	size_t pos = 0;

	while ((l = map_next(&rec->lost, &pos)))
		free(l);
	map_fini(&rec->lost);
	loop_timer_free(rec->lost_timer);
}
