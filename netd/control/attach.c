/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attach.c - pods of this node that another node has made get their addresses
 *
 * Room: control.  A pod made here has them from its first version on (rest/pods.c).  One that was
 * made by way of another node has none, for only its own node gives addresses of its blocks; what it
 * asks for and cannot have is said in an Event, and tried again.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>

#define ROUND    100
#define RETRY_MS 1000
#define AGAIN_MS 5000           /* what could not be had may be free by then */

static bool waits(const struct control *control, const struct object *pod)
{
	const char *node = pod->pod->node_name;

	return object_unattached(pod) && !pod->meta->deleted && node &&
	       strcmp(node, state_config(control->state)->node_name) == 0;
}

void attach_changed(struct control *control, const struct object *now)
{
	if (waits(control, now) && !loop_timer_armed(control->attach_timer))
		loop_timer_set(control->attach_timer, 0);
}

struct round {
	struct control *control;
	size_t n;
	bool more, failed;
};

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	write_failed(control, "attach_failed", rc, error);
	loop_timer_set(control->attach_timer, rc == -ECANCELED ? 0 : RETRY_MS);
}

static void tell(struct control *control, const struct object *pod, const struct attach_fault *fault)
{
	control_event(control, pod, "Warning", "FailedAttach", "%s%s%s", fault->value,
		      *fault->value ? ": " : "", fault->words);
}

/* Each pod is a transaction of its own: one that cannot be had keeps no other waiting. */
static int attach_one(void *arg, struct object *pod)
{
	struct round *round = arg;
	struct control *control = round->control;
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct attach_fault fault = { 0 };
	struct object *obj;
	int r;

	if (!waits(control, pod))
		return 0;
	if (round->n++ == ROUND) {
		round->more = true;
		return 1;
	}
	doc = object_doc(pod);
	r = doc ? txn_new(control->state, &txn) : -ENOMEM;
	if (r < 0)
		return r;
	r = txn_attach_pod(txn, doc, pod->pod, &fault);
	if (r == 0)
		r = txn_put(txn, pod->kind, doc, pod, &obj);
	if (r == 0) {
		txn_submit(take_ptr(txn), false, written, control);
		return 0;
	}
	tell(control, pod, &fault);
	round->failed = true;
	return r == -ENOMEM ? r : 0;
}

void attach_all(void *arg)
{
	struct control *control = arg;
	struct round round = { .control = control };
	const char *words;
	int r;

	if (state_health(control->state, &words) < 0) {
		loop_timer_set(control->attach_timer, RETRY_MS);
		return;
	}
	r = state_each_accepted(control->state, &kinds[KIND_POD], NULL, attach_one, &round);
	if (r < 0 && r != -ESHUTDOWN)
		loop_timer_set(control->attach_timer, RETRY_MS);
	else if (round.more)
		loop_timer_set(control->attach_timer, 0);
	else if (round.failed)
		loop_timer_set(control->attach_timer, AGAIN_MS);
}
