/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reconcile.c - what must be looked at, and in which order
 *
 * Room: reconcile.
 *
 * Theory.  A scope is one object's share of the kernel.  It is level-triggered: whatever happens
 * (a write, a kernel event, a timer, the start) only marks it dirty; a dirty scope is compiled from
 * the newest committed version and sent, and at most one task of it is under way.  What a client
 * waits for has a queue of its own, ahead of repairs, resyncs and the first pass.  Both have few
 * places: what waits is neither compiled nor in anybody's way, and what is deleted before its turn
 * came costs the kernel nothing, so that clients who write faster than a kernel can make and unmake
 * namespaces leave no work behind that nobody wants any more.
 *
 * A version that the kernel may hold and that is not wanted any more is kept in `past`, as the
 * store keeps its tombstone, until a task has replaced it or taken it away.
 * #syscalls: sched_yield
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <sched.h>
#include <stdio.h>

/* Tasks under way at a time: enough that the kernel thread never waits for the loop. */
static const unsigned places[2] = { 32, 16 };

static void send(struct reconcile *rec, struct scope *scope)
{
	struct kernel_task *task = NULL;
	struct podnet_error err = { 0 };
	int r = want_task(rec, scope, &task, &err);

	scope->dirty = scope->urgent = scope->drift = false;
	object_unref(scope->sent);
	scope->sent = scope->now ? object_ref(scope->now) : NULL;
	scope->sent_past = scope->npast;
	if (scope->npast)
		scope->stood = false;   /* another version: what it changes is no repair */
	metric_add(METRIC_RECONCILES, 1);
	if (!task) {
		result_without_task(rec, scope, r, &err);
		return;
	}
	scope->running = scope->held = true;
	scope->sent_at = now_monotonic_us();
	rec->queues[task->urgent ? 0 : 1].under_way++;
	kernel_submit(rec->kernel, task);
}

static void enqueue(struct reconcile *rec, struct scope *scope)
{
	unsigned i = scope->urgent ? 0 : 1;

	if (scope->queued[i].in)
		return;
	scope->queued[i].in = true;
	scope->queued[i].next = NULL;
	if (rec->queues[i].head)
		rec->queues[i].last->queued[i].next = scope;
	else
		rec->queues[i].head = scope;
	rec->queues[i].last = scope;
}

static struct scope *dequeue(struct reconcile *rec, unsigned i)
{
	struct scope *scope = rec->queues[i].head;

	if (!scope)
		return NULL;
	rec->queues[i].head = scope->queued[i].next;
	scope->queued[i].in = false;
	return scope;
}

static void pump_queue(struct reconcile *rec, unsigned i)
{
	while (rec->queues[i].head && rec->queues[i].under_way < places[i]) {
		struct scope *scope = dequeue(rec, i);

		if (scope->dead)
			scope_end(scope);
		else if (scope->dirty && !scope->running)
			send(rec, scope);
	}
}

void reconcile_pump(struct reconcile *rec)
{
	if (rec->pumping)               /* a result without a task: the outer call goes on */
		return;
	rec->pumping = true;
	rec->pump_later = false;
	pump_queue(rec, 0);
	pump_queue(rec, 1);
	rec->pumping = false;
}

static void set_marks(struct scope *scope, unsigned marks)
{
	scope->dirty = true;
	scope->urgent |= (marks & MARK_URGENT) != 0;
	scope->drift |= (marks & MARK_DRIFT) != 0;
}

bool reconcile_idle(const struct reconcile *rec)
{
	return !rec->queues[0].head && rec->queues[0].under_way < places[0];
}

void reconcile_mark(struct reconcile *rec, struct scope *scope, unsigned marks)
{
	set_marks(scope, marks);
	if (scope->running)
		return;
	enqueue(rec, scope);
	reconcile_pump(rec);
}

/* When the answers of this turn of the loop have gone out. */
static void mark_later(struct reconcile *rec, struct scope *scope, unsigned marks)
{
	set_marks(scope, marks);
	if (scope->running)
		return;
	enqueue(rec, scope);
	rec->pump_later = true;
}

static int64_t before_turn(void *arg)
{
	struct reconcile *rec = arg;

	if (rec->begun)
		paths_news(rec);
	if (rec->pump_later)
		reconcile_pump(rec);
	if (rec->carry_due && rec->begun)
		tunnels_carry(rec);
	if (rec->paths_due && rec->node_known)
		node_report(rec);
	return -1;
}

void reconcile_mark_all(struct reconcile *rec, unsigned marks)
{
	struct scope *scope;
	size_t pos = 0;

	while ((scope = map_next(&rec->scopes, &pos))) {
		set_marks(scope, marks);
		if (!scope->running)
			enqueue(rec, scope);
	}
	reconcile_pump(rec);
}

static void on_dirty(void *arg, const char *uid)
{
	struct reconcile *rec = arg;
	struct scope *scope = uid ? scope_find(rec, uid) : NULL;

	if (!rec->begun)
		return;
	if (!uid)
		reconcile_mark_all(rec, MARK_DRIFT);
	else if (scope)
		reconcile_mark(rec, scope, MARK_DRIFT);
}

static void on_resync(void *arg)
{
	struct reconcile *rec = arg;

	loop_timer_set(rec->resync, (int64_t)rec->conf.resync_s * 1000);
	if (rec->begun)
		reconcile_mark_all(rec, MARK_DRIFT);
}

void reconcile_arm_retry(struct reconcile *rec)
{
	uint64_t now = now_monotonic_us(), at = UINT64_MAX;
	struct scope *scope;

	for (scope = rec->failing; scope; scope = scope->next_failing)
		if (!scope->running && scope->retry_at < at)
			at = scope->retry_at;
	if (at == UINT64_MAX)
		loop_timer_set(rec->retry, -1);
	else
		loop_timer_set(rec->retry, at <= now ? 0 : (int64_t)((at - now + 999) / 1000));
}

static void on_retry(void *arg)
{
	struct reconcile *rec = arg;
	uint64_t now = now_monotonic_us();
	struct scope *scope;

	for (scope = rec->failing; scope; scope = scope->next_failing) {
		if (scope->running || scope->retry_at > now)
			continue;
		scope->retry_at = UINT64_MAX;   /* until it fails again */
		scope->dirty = true;
		enqueue(rec, scope);
	}
	reconcile_arm_retry(rec);
	reconcile_pump(rec);
}

/* A write of status is no news to the kernel; annotations of ours may be. */
static bool same_annotations(const struct meta *a, const struct meta *b)
{
	size_t i;

	if (a->nannotations != b->nannotations)
		return false;
	for (i = 0; i < a->nannotations; i++)
		if (strcmp(a->annotations[i].key, b->annotations[i].key) != 0 ||
		    strcmp(a->annotations[i].value, b->annotations[i].value) != 0)
			return false;
	return true;
}

/* Where a Node is stands in its status. */
static bool moved(const struct object *old, const struct object *now)
{
	return now->kind->id == KIND_NODE && memcmp(old->node->underlay, now->node->underlay,
						    sizeof(now->node->underlay)) != 0;
}

static bool is_news(const struct object *old, const struct object *now)
{
	return !old || !now || moved(old, now) || old->meta->generation != now->meta->generation ||
	       !same_annotations(old->meta, now->meta);
}

static void mark_node(struct reconcile *rec)
{
	struct scope *scope = scope_find(rec, NODE_SCOPE);

	if (scope)
		reconcile_mark(rec, scope, MARK_URGENT);
}

/* A pod may have made its network claim a block; either may know of it already, as it was claimed. */
static void mark_blocks(struct reconcile *rec, const struct pod *pod)
{
	struct scope *scope;
	size_t i;

	if (node_count_blocks(rec) != rec->blocks)
		mark_node(rec);
	for (i = 0; i < pod->nattached; i++) {
		scope = node_short_of_blocks(rec, pod, i);
		if (scope)
			reconcile_mark(rec, scope, MARK_URGENT);
	}
}

void reconcile_gone(struct reconcile *rec, struct object *old)
{
	struct scope *scope = scope_get(rec, old->meta->uid);

	if (!scope || scope_add_past(scope, old) < 0) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=reconcile");
		return;                 /* the tombstone stays for the next start */
	}
	scope->held |= !scope->now;
	scope_set_now(rec, scope, NULL);
	mark_later(rec, scope, MARK_URGENT);
}

static void on_written(struct reconcile *rec, struct object *old, struct object *now)
{
	struct scope *scope = scope_get(rec, now->meta->uid);
	bool news = is_news(old, now), sent = scope && early_committed(scope, now);

	if (!scope) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=reconcile");
		return;
	}
	scope->held |= old && !scope->now;      /* not seen being made: it came from elsewhere */
	if (news && old && scope_add_past(scope, old) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=reconcile");
	scope_set_now(rec, scope, now);
	if (old && old->pending && !now->pending) {
		scope->told = 0;        /* what was handed in may say less of its status */
		reconcile_mark(rec, scope, 0);
	}
	if (!news)
		return;
	if (now->kind->id == KIND_POD && !old)
		mark_blocks(rec, now->pod);
	if (now->kind->id == KIND_NODE && strcmp(now->meta->name, rec->node->node_name) != 0) {
		tunnels_count(rec, scope, now);
		tunnels_settle(rec);
	}
	if (!sent)
		reconcile_mark(rec, scope, MARK_URGENT);
	if (now->kind->id == KIND_POD && !old)
		same_mark(rec, now);
}

static void on_changed(void *arg, const struct object *was, const struct object *is)
{
	struct reconcile *rec = arg;
	struct object *old = (struct object *)(uintptr_t)was, *now = (struct object *)(uintptr_t)is;
	const struct object *any = now ? now : old;

	if (!rec->begun)
		return;
	lost_changed(rec, any, now);
	services_changed(rec, old, now);
	if (old && now && scope_is_ours(rec, old) &&
	    (strcmp(old->meta->uid, now->meta->uid) != 0 || !scope_is_ours(rec, now))) {
		reconcile_gone(rec, old);
		old = NULL;
	}
	if (!scope_is_ours(rec, any) && (now || !scope_may_be_here(rec, any)))
		return;
	if (old && now && !scope_is_ours(rec, old))
		old = NULL;             /* it has its addresses now */
	if (now)
		on_written(rec, old, now);
	else
		reconcile_gone(rec, old);
	if (any->kind->id == KIND_NODE && is_news(old, now))
		overlap_mark(rec);
	/* what nodes have of Networks is told there; each writes of itself */
	if (any->kind->id == KIND_NODE && (!old || !now) &&
	    state_count(rec->conf.state, any->kind) <= TOLD_NODES + 1 &&
	    state_chosen(rec->conf.state, any->meta->uid))
		node_mark_networks(rec);
	if (any->kind->id != KIND_NETWORK || !is_news(old, now))
		return;
	mark_node(rec);
	early_drop(rec);
	ahead_tell(rec);
	if (old && now)
		tunnels_turn(rec, old->network, now->network);
	paths_mark(rec);
	if (old && now)
		depend_mark_network(rec, now->meta->name);
}

static int start_object(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = scope_is_ours(rec, obj) ? scope_get(rec, obj->meta->uid) : NULL;

	if (!scope)
		return scope_is_ours(rec, obj) ? -ENOMEM : 0;
	scope->held = true;
	scope_set_now(rec, scope, obj);
	return 0;
}

static int start_tombstone(void *arg, struct object *last)
{
	struct reconcile *rec = arg;
	bool here = scope_is_ours(rec, last) || scope_may_be_here(rec, last);
	struct scope *scope = here ? scope_get(rec, last->meta->uid) : NULL;

	if (!scope)
		return here ? -ENOMEM : 0;
	scope->held = true;
	return scope_add_past(scope, last);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * What is ours in the kernel and of nobody whom the store knows.  Before all that clients ask for: what a
 * crash has left of a pod that was not committed may have the name or the address that is given next.
 */
static int send_sweep(struct reconcile *rec)
{
	_cleanup_(kernel_task_freep) struct kernel_task *task = kernel_task_new(KERNEL_SWEEP, "");
	struct scope *scope;
	size_t pos = 0;

	if (task)
		task->scopes = calloc(rec->scopes.n + 1, sizeof(*task->scopes));
	if (!task || !task->scopes)
		return -ENOMEM;
	while ((scope = map_next(&rec->scopes, &pos))) {
		task->scopes[task->nscopes] = strdup(scope->uid);
		if (!task->scopes[task->nscopes])
			return -ENOMEM;
		task->nscopes++;
	}
	qsort(task->scopes, task->nscopes, sizeof(*task->scopes), text_cmp);
	if (paths_sweep(rec, task) < 0)
		return -ENOMEM;
	task->urgent = true;
	kernel_submit(rec->kernel, take_ptr(task));
	return 0;
}

static void start_scope(struct reconcile *rec, struct scope *scope)
{
	scope->first = true;
	rec->first_left++;
	scope->dirty = true;
	enqueue(rec, scope);
}

static int start_kind(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = scope_find(rec, obj->meta->uid);

	if (scope && !scope->first)
		start_scope(rec, scope);
	return 0;
}

/* Makers before users, so that a first pass after a boot fails nowhere. */
static void start_scopes(struct reconcile *rec)
{
	static const enum kind_id order[] = {
		KIND_NETWORK, KIND_NODE, KIND_NETNS, KIND_POD, KIND_BRIDGE, KIND_VETH, KIND_TUNNEL,
		KIND_ROUTE,
	};
	struct scope *scope;
	size_t i, pos = 0;

	/* the dead first: a successor may bear the same name */
	while ((scope = map_next(&rec->scopes, &pos)))
		if (!scope->now)
			start_scope(rec, scope);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		state_each_here(rec->conf.state, &kinds[order[i]], start_kind, rec);
}

void reconcile_begin(struct reconcile *rec)
{
	struct scope *node = scope_get(rec, NODE_SCOPE);
	int r = node ? 0 : -ENOMEM;
	size_t i;

	rec->begun = true;
	if (node)
		node->node = true;
	for (i = 0; r == 0 && i < KIND_COUNT; i++)
		if (kinds[i].in_kernel)
			r = state_each_here(rec->conf.state, &kinds[i], start_object, rec);
	if (r == 0)
		r = state_each_tombstone(rec->conf.state, start_tombstone, rec);
	if (r == 0)
		r = send_sweep(rec);
	if (r < 0)
		log_event(LOG_LEVEL_ERROR, "first_pass_failed", "err=\"%s\"", strerror(-r));
	paths_begin(rec);
	lost_begin(rec);
	services_begin(rec);
	ahead_tell(rec);
	start_scopes(rec);
	reconcile_pump(rec);
}

static int start_kernel(struct reconcile *rec, struct podnet_error *err)
{
	struct podnet_set *ahead = NULL;
	struct kernel_config conf = {
		.loop = rec->conf.loop, .pool = rec->conf.pool, .pool_mtu = rec->conf.mtu,
		.pool_own = compile_ahead_of_one,
		.done = result_done, .dirty = on_dirty, .facts = node_facts, .arg = rec,
	};
	int r;

	r = compile_ahead(&ahead, err);
	if (r < 0)
		return r;
	conf.pool_ahead = ahead;
	r = kernel_start(rec->kernel, &conf, err);
	podnet_set_free(ahead);
	return r;
}

DEFINE_CLEANUP(struct reconcile, reconcile_stop)

static int fail(struct podnet_error *err, int code)
{
	if (err)
		*err = (struct podnet_error){ .code = code, .step = "reconcile_start" };
	return code;
}

int reconcile_start(const struct reconcile_config *conf, struct reconcile **ret,
		    struct podnet_error *err)
{
	_cleanup_(reconcile_stopp) struct reconcile *rec = calloc(1, sizeof(*rec));
	int r;

	if (!rec) {
		kernel_stop(conf->kernel);
		return fail(err, -ENOMEM);
	}
	rec->conf = *conf;
	rec->kernel = conf->kernel;
	rec->node = state_config(conf->state);
	rec->epoch = 1;
	r = services_new(rec);
	if (r == 0)
		r = health_start(rec);
	if (r == 0)
		r = traffic_new(rec);
	if (r == 0)
		r = loop_timer_new(conf->loop, on_retry, rec, &rec->retry);
	if (r == 0)
		r = loop_timer_new(conf->loop, on_resync, rec, &rec->resync);
	if (r == 0)
		r = loop_timer_new(conf->loop, lost_due, rec, &rec->lost_timer);
	if (r == 0)
		r = loop_timer_new(conf->loop, rewrite_all, rec, &rec->rewrite);
	if (r == 0)
		r = loop_timer_new(conf->loop, tunnels_due, rec, &rec->turn_timer);
	if (r == 0)
		r = loop_each_turn(conf->loop, before_turn, NULL, rec);
	if (r < 0)
		return fail(err, r);
	r = start_kernel(rec, err);
	if (r < 0)
		return r;
	r = state_observe(conf->state, &(struct state_observer){
			  .changed = on_changed, .arg = rec, .here = true,
			  .mended = rewrite_mended, .dropped = early_dropped });
	if (r < 0)
		return fail(err, r);
	if (conf->resync_s)
		loop_timer_set(rec->resync, (int64_t)conf->resync_s * 1000);
	*ret = take_ptr(rec);
	return 0;
}

void reconcile_stop(struct reconcile *rec)
{
	struct scope *scope;
	size_t pos = 0;
	unsigned i;

	if (!rec)
		return;
	kernel_stop(rec->kernel);
	loop_timer_free(rec->retry);
	loop_timer_free(rec->resync);
	loop_timer_free(rec->rewrite);
	tunnels_free(rec);
	loop_each_turn_end(rec->conf.loop, rec);
	for (i = 0; i < 2; i++)
		while ((scope = dequeue(rec, i)))
			if (scope->dead)
				scope_end(scope);
	while ((scope = map_next(&rec->scopes, &pos)))
		scope_fini(scope);
	map_fini(&rec->scopes);
	health_stop(rec);
	services_free(rec->services);
	lost_free(rec);
	early_drop(rec);
	traffic_free(rec->traffic);
	free(rec->next);
	free(rec);
}

bool reconcile_ready(const struct reconcile *rec)
{
	return rec->begun && !rec->first_left && services_ready(rec->services);
}

void reconcile_hint(struct reconcile *rec, struct object *pod)
{
	kernel_hint(rec->kernel);
	/* on this processor the store's thread may wait for us: it goes first, the disk takes long */
	sched_yield();
	early_make(rec, pod);
	early_send(rec);
	early_status(rec);
}

size_t reconcile_node_ips(const struct reconcile *rec, struct podnet_prefix ret[2])
{
	memcpy(ret, rec->ips, sizeof(rec->ips));
	return rec->nips;
}
