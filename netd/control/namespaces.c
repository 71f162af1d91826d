/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namespaces.c - a Namespace that is being deleted is emptied, and then goes
 *
 * Room: control.  Nothing new can be made in it (rest refuses), so each round leaves less; a round
 * is one transaction, and its commit starts the next.  Objects with finalizers are marked and wait.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>

#define ROUND_WRITES 200        /* with tombstones and addresses below LIMIT_BATCH_WRITES */
#define RETRY_MS     1000

struct round {
	struct control *control;
	struct txn *txn;
	size_t writes, waiting;     /* waiting: for their finalizers */
};

static int mark(struct round *round, struct object *obj)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(obj);
	struct object *marked;
	int r;

	round->waiting++;
	if (obj->meta->deleted)
		return 0;
	r = doc ? mark_deleted(doc) : -ENOMEM;
	if (r == 0)
		r = txn_put(round->txn, obj->kind, doc, obj, &marked);
	round->writes++;
	return r;
}

static int remove_one(void *arg, struct object *obj)
{
	struct round *round = arg;

	if (round->writes >= ROUND_WRITES)
		return 1;
	if (obj->meta->nfinalizers)
		return mark(round, obj);
	round->writes++;
	return txn_delete(round->txn, obj, NULL);
}

static int count_one(void *arg, struct object *obj)
{
	(void)obj;
	++*(size_t *)arg;
	return 0;
}

/* What has committed and not yet gone. */
static size_t content(const struct control *control, const char *ns)
{
	size_t n = 0;

	for (size_t i = 0; i < KIND_COUNT; i++)
		if (kinds[i].namespaced)
			state_each(control->state, &kinds[i], ns, count_one, &n);
	return n;
}

static int empty_one(void *arg, struct object *ns)
{
	struct round *round = arg;
	struct state *state = round->control->state;
	const char *name = ns->meta->name;
	size_t before = round->writes + round->waiting;
	int r = 0;

	if (!ns->namespace->terminating || !state_chosen(state, ns->meta->uid))
		return 0;
	for (size_t i = 0; r == 0 && i < KIND_COUNT; i++)
		if (kinds[i].namespaced)
			r = state_each_accepted(state, &kinds[i], name, remove_one, round);
	if (r != 0 || round->writes + round->waiting != before)
		return r;
	if (content(round->control, name) || ns->meta->nfinalizers || ns->namespace->held)
		return 0;
	round->writes++;
	return txn_delete(round->txn, ns, NULL);
}

static void round_done(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == -ESHUTDOWN)
		return;
	if (rc < 0)
		write_failed(control, "namespace_emptying_failed", rc, error);
	loop_timer_set(control->empty_timer, rc < 0 ? RETRY_MS : 0);
}

void namespaces_empty(void *arg)
{
	struct control *control = arg;
	struct round round = { .control = control };
	int r = txn_new(control->state, &round.txn);

	if (r == 0)
		r = state_each_accepted(control->state, &kinds[KIND_NAMESPACE], NULL, empty_one,
					&round);
	if (r < 0) {
		txn_drop(round.txn);
		loop_timer_set(control->empty_timer, RETRY_MS);
		return;
	}
	if (round.writes)       /* else what is under way or waits calls us when it changes */
		txn_submit(round.txn, false, round_done, control);
	else
		txn_drop(round.txn);
}

static int is_terminating(void *arg, struct object *ns)
{
	(void)arg;
	return ns->namespace->terminating;
}

static bool any_terminating(struct control *control)
{
	return state_each_accepted(control->state, &kinds[KIND_NAMESPACE], NULL, is_terminating,
				   NULL) != 0;
}

/* A Namespace began to end, or something in one that ends has changed or gone. */
void namespaces_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;
	const struct object *ns = any;

	if (any->kind->id != KIND_NAMESPACE)
		ns = any->kind->namespaced ? state_get(control->state, &kinds[KIND_NAMESPACE], "",
						       any->meta->ns) : NULL;
	else if (!now)
		return;
	if (ns && ns->namespace->terminating && !loop_timer_armed(control->empty_timer))
		loop_timer_set(control->empty_timer, 0);
}

void namespaces_start(struct control *control)
{
	if (any_terminating(control))
		loop_timer_set(control->empty_timer, 0);
}
