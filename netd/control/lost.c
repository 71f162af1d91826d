/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lost.c - Nodes of which nobody hears any more
 *
 * Room: control.  A node whose lease has ended is said to be so: condition Ready becomes Unknown, by
 * the node that is chosen among those that live.  Its netd puts that right when it is back.  It keeps
 * its blocks and its pods: whether it has died, or only cannot be heard, nobody knows; after a grace its
 * endpoints leave Services at each reader (netd/reconcile/lost.c), and what is written of its pods says
 * the same (orphans.c).  A Node that was never Ready is a record.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>

#define LATER_MS    12000       /* when etcd was away, leases are as old as that: more than one lasts */
#define RETRY_MS    1000

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	write_failed(control, "node_lost_failed", rc, error);
	loop_timer_set(control->lost_timer, RETRY_MS);
}

static int judge(void *arg, struct object *node)
{
	struct control *control = arg;
	const char *name = node->meta->name;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	struct object *obj;
	char now[24];
	int r;

	if (node->node->lost || state_node_lives(control->state, name) ||
	    !state_chosen(control->state, name))
		return 0;
	doc = object_doc(node);
	if (!doc)
		return -ENOMEM;
	if (!doc_has_condition(doc, "status.conditions", "Ready"))
		return 0;
	time_format(now_realtime_s(), now);
	r = doc_set_condition(doc, "status.conditions", "Ready", "Unknown", "NodeStatusUnknown",
			      "netd of the node is not heard of any more", now);
	if (r >= 0)
		r = txn_new(control->state, &txn);
	if (r == 0)
		r = txn_put(txn, node->kind, doc, node, &obj);
	if (r < 0)
		return r;
	log_event(LOG_LEVEL_WARNING, "node_lost", "node=%s", name);
	control_event(control, node, "Warning", "NodeNotReady",
		      "netd of the node is not heard of any more");
	txn_submit(take_ptr(txn), false, written, control);
	return 0;
}

void lost_look(void *arg)
{
	struct control *control = arg;
	const char *words;

	if (!state_is_shared(control->state) || state_health(control->state, &words) < 0)
		return;                 /* we would be told when it is */
	if (state_each_accepted(control->state, &kinds[KIND_NODE], NULL, judge, control) < 0)
		loop_timer_set(control->lost_timer, RETRY_MS);
}

void lost_start(struct control *control)
{
	if (!state_is_shared(control->state))
		return;
	loop_timer_set(control->lost_timer, LATER_MS);
}

/* While we follow, a lease that goes has ended. */
void lost_now(struct control *control)
{
	if (state_is_shared(control->state))
		loop_timer_set(control->lost_timer, 0);
}
