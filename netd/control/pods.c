/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pods.c - pods whose grace has ended, by time or as grace.c says, go; those that others took for lost
 * with their node are as they were; and what a reboot means for pods
 *
 * Room: control.  May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>

#define RETRY_US     1000000
#define BATCH_WRITES 200

static void arm(struct control *control, uint64_t left_us)
{
	control->grace_at = now_monotonic_us() + left_us;
	loop_timer_set(control->grace_timer, (int64_t)((left_us + 999) / 1000));
}

/* A pod ends on its node; of a node that is not there any more, on whichever. */
static bool is_ours(const struct control *control, const struct object *pod)
{
	const char *node = pod->pod->node_name;

	return !node || strcmp(node, state_config(control->state)->node_name) == 0 ||
	       !state_get(control->state, &kinds[KIND_NODE], "", node);
}

/* Their node is this one, which is heard of again (orphans.c). */
static bool is_heard(const struct control *control, const struct object *pod)
{
	const char *node = pod->pod->node_name;

	return pod_is_unheard(pod->pod) && node &&
	       strcmp(node, state_config(control->state)->node_name) == 0;
}

void pods_changed(struct control *control, const struct object *now)
{
	uint64_t left;

	if (is_heard(control, now))
		arm(control, 0);
	if (!now->meta->deleted || now->meta->nfinalizers || !is_ours(control, now))
		return;
	left = grace_left_us(control, now);
	if (!control->grace_at || now_monotonic_us() + left < control->grace_at)
		arm(control, left);
}

struct expiry {
	struct control *control;
	struct txn *txn;
	uint64_t next;              /* what is left of the grace that ends first */
	bool more;                  /* there is one */
	size_t writes;
};

/* @left: of its time; 1: it is not done in this transaction */
static int not_now(struct expiry *e, uint64_t left)
{
	if (!left && e->writes < BATCH_WRITES) {
		e->writes++;
		return 0;
	}
	if (!e->more || left < e->next)
		e->next = left;
	e->more = true;
	return 1;
}

static int take_back(struct expiry *e, struct object *pod)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *obj;
	char now[24];
	int r;

	if (not_now(e, 0))
		return 0;
	doc = object_doc(pod);
	time_format(now_realtime_s(), now);
	r = doc ? pod_set_heard(doc, pod->pod->ready_by_user, now) : -ENOMEM;
	return r < 0 ? r : txn_put(e->txn, pod->kind, doc, pod, &obj);
}

static void expired(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc < 0 && rc != -ESHUTDOWN) {
		write_failed(control, "pod_expiry_failed", rc, error);
		arm(control, RETRY_US);
	}
}

/* A runtime's need not wait for etcd, as the others may have to; whose revisions are etcd's in any case. */
static int expire_alone(struct control *control, struct object *pod)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int r = txn_new(control->state, &txn);

	if (r == 0)
		r = txn_delete(txn, pod, NULL);
	if (r == 0)
		txn_submit(take_ptr(txn), false, expired, control);
	return r;
}

static int expire_one(void *arg, struct object *pod)
{
	struct expiry *e = arg;

	if (!pod->meta->deleted || pod->meta->nfinalizers || !is_ours(e->control, pod))
		return is_heard(e->control, pod) ? take_back(e, pod) : 0;
	if (not_now(e, grace_left_us(e->control, pod)))
		return 0;
	if (pod->pod->origin && state_is_shared(e->control->state))
		return expire_alone(e->control, pod);
	return txn_delete(e->txn, pod, NULL);
}

void pods_expire(void *arg)
{
	struct control *control = arg;
	struct expiry e = { .control = control };
	int r = txn_new(control->state, &e.txn);

	control->grace_at = 0;
	if (r == 0)
		r = state_each_accepted(control->state, &kinds[KIND_POD], NULL, expire_one, &e);
	if (r < 0) {
		txn_drop(e.txn);
		arm(control, RETRY_US);
		return;
	}
	if (e.more)
		arm(control, e.next);
	if (e.writes)
		txn_submit(e.txn, false, expired, control);
	else
		txn_drop(e.txn);
}

/* Its namespace went with the boot: status begins again, with the addresses it has. */
static int reset(struct txn *txn, struct object *pod)
{
	static const char *const gone[] = {
		"status.bootID", "status.startTime", "status.conditions", "status.containerStatuses",
	};
	_cleanup_(doc_freep) struct doc *doc = object_doc(pod);
	struct object *obj;
	char now[24];
	int r;

	if (!doc)
		return -ENOMEM;
	time_format(now_realtime_s(), now);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		doc_remove(doc, gone[i]);
	r = doc_set_str(doc, "status.phase", "Pending");
	if (r == 0)
		r = doc_set_condition(doc, "status.conditions", "PodScheduled", "True", NULL, NULL, now);
	return r < 0 ? r : txn_put(txn, pod->kind, doc, pod, &obj);
}

struct reboot {
	struct control *control;
	struct txn *txn;
	size_t writes;
};

static int after_reboot(void *arg, struct object *pod)
{
	struct reboot *b = arg;
	const char *boot = pod->pod->boot_id;

	if (!boot || strcmp(boot, state_config(b->control->state)->boot_id) == 0 ||
	    !is_ours(b->control, pod))
		return 0;
	if (b->writes >= BATCH_WRITES)
		return 1;
	b->writes++;
	if (!pod->pod->netns && !pod->pod->origin)
		return reset(b->txn, pod);
	control_event(b->control, pod, "Normal", "Rebooted",
		      "the node has rebooted and the namespace that was brought is gone");
	return txn_delete(b->txn, pod, NULL);
}

/* In transactions of a bearable size; each looks at the accepted versions of the one before. */
int pods_after_reboot(struct control *control)
{
	struct reboot b = { .control = control };
	int r;

	do {
		b.writes = 0;
		r = txn_new(control->state, &b.txn);
		if (r == 0)
			r = state_each_accepted(control->state, &kinds[KIND_POD], NULL,
						after_reboot, &b);
		if (r < 0 || !b.writes)
			txn_drop(b.txn);
		else
			control_submit(control, b.txn, false);
	} while (r > 0);
	return r;
}
