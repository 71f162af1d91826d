/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * orphans.c - pods and EndpointSlices of Nodes that are lost are not ready; what is of those that are gone goes
 *
 * Room: control.  Only of a store that nodes share, and by a node that is chosen among those that live, a
 * grace after it saw the Node so.  Whoever deletes the Node of a machine that is gone leaves what its netd
 * would have taken away: that goes, as by Kubernetes' pod garbage collector, and so do the primitives
 * that were declared there.  Of a Node that is there, but not heard of (lost.c), pods that were Ready are
 * marked, as by Kubernetes' node controller, and its slices are kept meanwhile, which say the same of its
 * endpoints; its netd takes that back (pods.c, slices.c).  What is of this node, or of one that is heard
 * of, is never touched.
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

enum node_is { NODE_HERE, NODE_LOST, NODE_GONE };

/** A Node that something names. */
struct missing {
	enum node_is is;            /* NODE_LOST or NODE_GONE */
	uint64_t until_us;          /* the grace; monotonic */
	size_t pods, slices, others;    /* that were marked or removed */
	bool met;                   /* in the sweep under way */
	bool kept;                  /* NODE_LOST, and this node stands in for it */
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
	return obj->kind->id == KIND_ENDPOINT_SLICE ? obj->slice->keeper : object_node(obj);
}

static enum node_is how_is(const struct control *control, const char *name)
{
	const struct object *node;

	if (!name || !*name || state_node_lives(control->state, name))
		return NODE_HERE;
	node = state_get(control->state, &kinds[KIND_NODE], "", name);
	if (!node)
		return NODE_GONE;
	return node->node->lost ? NODE_LOST : NODE_HERE;
}

static bool is_kept(const struct control *control, const struct missing *m)
{
	return m && m->kept && how_is(control, m->name) == NODE_LOST;
}

bool orphans_keep(const struct control *control, const char *node)
{
	return node && is_kept(control, map_get(&control->missing, node));
}

const char *orphans_next(const struct control *control, size_t *pos)
{
	const struct missing *m;

	while ((m = map_next(&control->missing, pos)))
		if (is_kept(control, m))
			return m->name;
	return NULL;
}

static struct missing *note(struct sweep *s, const char *node, enum node_is is)
{
	struct missing *m = map_get(&s->control->missing, node);
	uint64_t grace_us = (uint64_t)state_config(s->control->state)->node_grace_s * 1000000;

	if (m && m->is == is)
		return m;
	if (!m) {
		m = calloc(1, sizeof(*m) + strlen(node) + 1);
		if (!m)
			return NULL;
		memcpy(m->name, node, strlen(node) + 1);
		if (map_put(&s->control->missing, m->name, m) < 0) {
			free(m);
			return NULL;
		}
	}
	m->is = is;
	m->until_us = s->now_us + grace_us;
	m->pods = m->slices = m->others = 0;
	m->kept = false;
	return m;
}

/* 1, 0: it is so already, or a negative errno */
static int remove_one(struct sweep *s, struct missing *m, struct object *obj)
{
	int r = remove_object(s->txn, obj);

	if (r <= 0)
		return r;
	if (obj->kind->id == KIND_POD) {
		m->pods++;
		control_event(s->control, obj, "Normal", "NodeGone", "there is no Node %s any more",
			      m->name);
	} else if (obj->kind->id == KIND_ENDPOINT_SLICE) {
		m->slices++;
	} else {
		m->others++;
	}
	return 1;
}

static int mark_one(struct sweep *s, struct missing *m, struct object *pod)
{
	const struct condition *ready = pod_condition(pod->pod, "Ready");
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *marked;
	char now[24];
	int r;

	if (!ready || strcmp(ready->status, "True") != 0)
		return 0;
	doc = object_doc(pod);
	time_format(now_realtime_s(), now);
	r = doc ? pod_set_unheard(doc, now) : -ENOMEM;
	if (r > 0)
		r = txn_put(s->txn, pod->kind, doc, pod, &marked);
	if (r < 0)
		return r;
	m->pods++;
	return 1;
}

/* Its slices may be as another left them that stood in for it before. */
static void keep(struct sweep *s, struct missing *m)
{
	if (m->kept)
		return;
	m->kept = true;
	slices_start(s->control);
	log_event(LOG_LEVEL_WARNING, "node_pods_unready", "node=%s", m->name);
}

static int judge(void *arg, struct object *obj)
{
	struct sweep *s = arg;
	const char *node = node_of(obj);
	enum node_is is = how_is(s->control, node);
	struct missing *m;
	int r = 0;

	if (is == NODE_HERE)
		return 0;
	m = note(s, node, is);
	if (!m)
		return -ENOMEM;
	m->met = true;
	if (m->until_us > s->now_us || !state_chosen(s->control->state, node)) {
		m->kept = false;
		return 0;
	}
	if (s->writes >= ROUND_WRITES)
		return 1;
	if (is == NODE_LOST)
		keep(s, m);
	if (is == NODE_GONE)
		r = remove_one(s, m, obj);
	else if (obj->kind->id == KIND_POD)
		r = mark_one(s, m, obj);
	if (r < 0)
		return r;
	s->writes += (size_t)r;
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
		if (m->is == NODE_GONE && (m->pods || m->slices || m->others))
			log_event(LOG_LEVEL_WARNING, "node_remains_removed",
				  "node=%s pods=%zu slices=%zu others=%zu", m->name, m->pods, m->slices,
				  m->others);
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
	static const int of_nodes[] = { KIND_POD, KIND_ENDPOINT_SLICE, KIND_ROUTE, KIND_TUNNEL,
					KIND_VETH, KIND_BRIDGE, KIND_NETNS };
	const struct state *state = s->control->state;
	struct missing *m;
	size_t pos = 0;
	int r = txn_new(s->control->state, &s->txn);

	while ((m = map_next(&s->control->missing, &pos)))
		m->met = false;
	for (size_t i = 0; i < ARRAY_SIZE(of_nodes) && r == 0; i++)
		r = state_each_accepted(state, &kinds[of_nodes[i]], NULL, judge, s);
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

	if (!state_is_shared(control->state) || how_is(control, node) == NODE_HERE)
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
