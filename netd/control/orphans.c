/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * orphans.c - pods and EndpointSlices of Nodes that are not there any more go too
 *
 * Room: control.  Only of a store that nodes share: whoever deletes the Node of a machine that is
 * gone leaves what its netd would have taken away.  A node that is chosen among those that live does
 * it, as Kubernetes' pod garbage collector would, a grace after it saw the Node missing: the Node may
 * be on its way, or come back.  What is of this node, or of one that is heard of, is never touched.
 *
 * The grace is counted anew when etcd has been away, since the Node may have come meanwhile.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdlib.h>

#define ROUND_WRITES 200
#define RETRY_MS     1000

/** A Node that something names. */
struct missing {
	uint64_t until_us;          /* the grace; monotonic */
	size_t pods, slices;        /* that were removed */
	bool met;                   /* in the sweep under way */
	char name[];
};

struct sweep {
	struct control *control;
	struct txn *txn;
	uint64_t now_us;
	size_t writes;
};

static const char *node_of(const struct object *obj)
{
	if (obj->kind->id == KIND_POD)
		return obj->pod->node_name;
	if (obj->kind->id == KIND_ENDPOINT_SLICE && slice_is_made(obj))
		return meta_label(obj->meta, LABEL_NODE);
	return NULL;
}

static bool is_missing(const struct control *control, const char *node)
{
	return node && *node && !state_node_lives(control->state, node) &&
	       !state_get(control->state, &kinds[KIND_NODE], "", node);
}

static struct missing *note(struct sweep *s, const char *node)
{
	struct missing *m = map_get(&s->control->missing, node);
	uint64_t grace_us = (uint64_t)state_config(s->control->state)->node_grace_s * 1000000;

	if (m)
		return m;
	m = calloc(1, sizeof(*m) + strlen(node) + 1);
	if (!m)
		return NULL;
	memcpy(m->name, node, strlen(node) + 1);
	m->until_us = s->now_us + grace_us;
	if (map_put(&s->control->missing, m->name, m) == 0)
		return m;
	free(m);
	return NULL;
}

static int judge(void *arg, struct object *obj)
{
	struct sweep *s = arg;
	const char *node = node_of(obj);
	struct missing *m;
	int r;

	if (!is_missing(s->control, node))
		return 0;
	m = note(s, node);
	if (!m)
		return -ENOMEM;
	m->met = true;
	if (m->until_us > s->now_us || !state_chosen(s->control->state, node))
		return 0;
	if (s->writes >= ROUND_WRITES)
		return 1;
	r = remove_object(s->txn, obj);
	if (r <= 0)
		return r;
	s->writes++;
	if (obj->kind->id == KIND_POD) {
		m->pods++;
		control_event(s->control, obj, "Normal", "NodeGone", "there is no Node %s any more",
			      m->name);
	} else {
		m->slices++;
	}
	return 0;
}

/* Nothing names it any more, or it is there. */
static void forget_unmet(struct control *control)
{
	struct missing *m;
	size_t pos = 0;

	while ((m = map_next(&control->missing, &pos))) {
		if (m->met)
			continue;
		if (m->pods || m->slices)
			log_event(LOG_LEVEL_WARNING, "node_remains_removed",
				  "node=%s pods=%zu slices=%zu", m->name, m->pods, m->slices);
		map_del(&control->missing, m->name);
		free(m);
		pos = 0;                /* the map has changed */
	}
}

/* Whose grace is over is this node's to do now, or when other nodes live than now. */
static void arm(struct control *control, uint64_t now_us)
{
	uint64_t at = UINT64_MAX;
	const struct missing *m;
	size_t pos = 0;

	while ((m = map_next(&control->missing, &pos)))
		if (m->until_us > now_us && m->until_us < at)
			at = m->until_us;
	if (at != UINT64_MAX)
		loop_timer_set(control->orphan_timer, (int64_t)((at - now_us + 999) / 1000));
}

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == -ESHUTDOWN)
		return;
	if (rc < 0)
		write_failed(control, "node_remains_failed", rc, error);
	loop_timer_set(control->orphan_timer, rc < 0 ? RETRY_MS : 0);
}

static int sweep(struct sweep *s)
{
	const struct state *state = s->control->state;
	struct missing *m;
	size_t pos = 0;
	int r = txn_new(s->control->state, &s->txn);

	while ((m = map_next(&s->control->missing, &pos)))
		m->met = false;
	if (r == 0)
		r = state_each_accepted(state, &kinds[KIND_POD], NULL, judge, s);
	if (r == 0)
		r = state_each_accepted(state, &kinds[KIND_ENDPOINT_SLICE], NULL, judge, s);
	return r;
}

void orphans_look(void *arg)
{
	struct control *control = arg;
	struct sweep s = { .control = control, .now_us = now_monotonic_us() };
	const char *words;
	int r;

	if (state_health(control->state, &words) < 0) {
		orphans_free(control);
		return;                 /* we would be told when it is */
	}
	r = sweep(&s);
	if (r < 0) {
		txn_drop(s.txn);
		if (r != -ESHUTDOWN)
			loop_timer_set(control->orphan_timer, RETRY_MS);
		return;
	}
	if (r == 0)
		forget_unmet(control);
	arm(control, s.now_us);
	if (s.writes)
		txn_submit(s.txn, false, written, control);
	else
		txn_drop(s.txn);
}

void orphans_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;
	const char *node = any->kind->id == KIND_NODE ? any->meta->name : now ? node_of(now) : NULL;

	if (!state_is_shared(control->state) || !is_missing(control, node))
		return;
	if (!map_get(&control->missing, node) || !loop_timer_armed(control->orphan_timer))
		loop_timer_set(control->orphan_timer, 0);
}

void orphans_start(struct control *control)
{
	if (state_is_shared(control->state))
		loop_timer_set(control->orphan_timer, 0);
}

void orphans_free(struct control *control)
{
	struct missing *m;
	size_t pos = 0;

	while ((m = map_next(&control->missing, &pos)))
		free(m);
	map_fini(&control->missing);
	control->missing = (struct map){ 0 };
}
