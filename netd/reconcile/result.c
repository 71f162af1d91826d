/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * result.c - what became of a task: status, an Event, a log line, a retry
 *
 * Room: reconcile.
 */
#include "inner.h"
#include "services.h"

#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>

#define TEXT_MAX        512
#define KICK_US         50000

static const char *reason_of(const struct podnet_error *err)
{
	const char *field = err->field ? err->field : "";

	switch (err->code) {
	case -EEXIST:
		return "NameConflict";
	case -ENOENT:
		if (strcmp(field, "network") == 0)
			return "NetworkNotFound";
		return strcmp(field, "link") == 0 ? "LinkNotFound" : "NamespaceNotFound";
	case -EADDRNOTAVAIL:
		return "AddressNotFound";
	case -ENODEV:
		return "LinkNotFound";
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		return "GatewayUnreachable";
	case -EPERM:
	case -EACCES:
		return "NotPermitted";
	case -EINVAL:
		return "Invalid";
	default:
		return "KernelError";
	}
}

/* One line for a log or a message: "link add ...; addr add ...". */
static const char *one_line(const char *lines, char *buf, size_t size)
{
	size_t at = 0;

	for (; lines && *lines && at + 3 < size; lines++) {
		buf[at++] = *lines == '\n' ? ';' : *lines;
		if (*lines == '\n')
			buf[at++] = ' ';
	}
	buf[at] = '\0';
	return buf;
}

static const struct object *any_version(const struct scope *scope)
{
	if (scope->now || !scope->npast)
		return scope->now;
	return scope->past[scope->npast - 1];
}

static bool is_path(const struct scope *scope)
{
	const struct object *obj = any_version(scope);

	return obj && obj->kind->id == KIND_NODE;
}

/* A path is this node's, whoever it leads to. */
static struct object *about(struct reconcile *rec, const struct scope *scope)
{
	if (!scope->node && !is_path(scope))
		return scope->now;
	return state_get(rec->conf.state, &kinds[KIND_NODE], "", rec->node->node_name);
}

static const char *name_of(const struct scope *scope)
{
	const struct object *obj = any_version(scope);

	return obj ? obj->meta->name : scope->uid;
}

static const char *kind_of(const struct scope *scope)
{
	const struct object *obj = any_version(scope);

	return obj ? obj->kind->name : "Node";
}

/* When something has come true, what failed may wait for just that. */
static void kick_failing(struct reconcile *rec)
{
	uint64_t soon = now_monotonic_us() + KICK_US;
	struct scope *scope;

	for (scope = rec->failing; scope; scope = scope->next_failing)
		if (scope->retry_at > soon && !scope->running)
			scope->retry_at = soon;
	if (rec->failing)
		reconcile_arm_retry(rec);
}

static void write_status(struct reconcile *rec, struct scope *scope, const struct outcome *outcome,
			 uint64_t teardown_rev)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int r = txn_new(rec->conf.state, &txn);

	fault_point("status-before-write");
	if (r == 0 && outcome)
		r = status_put(rec, txn, scope, outcome);
	if (r == 0 && teardown_rev)
		r = txn_teardown_done(txn, scope->uid, teardown_rev);
	if (r < 0) {
		log_event(LOG_LEVEL_ERROR, "status_failed", "kind=%s name=%s err=\"%s\"",
			  kind_of(scope), name_of(scope), strerror(-r));
		rewrite_written(rec, r, NULL);
		return;
	}
	txn_submit(take_ptr(txn), true, rewrite_written, rec);
}

static void end_first(struct reconcile *rec, struct scope *scope)
{
	if (!scope->first)
		return;
	scope->first = false;
	if (--rec->first_left)
		return;
	ports_tunnels_whole(rec->services->ports);
	log_event(LOG_LEVEL_INFO, "ready", "scopes=%zu operations=%lld", rec->scopes.n,
		  (long long)metric_get(METRIC_KERNEL_OPERATIONS));
}

static void tell_node(struct reconcile *rec, bool ok, const char *why)
{
	if (rec->node_known && rec->node_ok == ok && (ok || strcmp(why, rec->node_why) == 0))
		return;
	rec->node_known = true;
	rec->node_ok = ok;
	snprintf(rec->node_why, sizeof(rec->node_why), "%s", why);
	node_report(rec);
}

static void gone(struct reconcile *rec, struct scope *scope)
{
	bool path = is_path(scope);

	scope_drop_past(scope, scope->sent_past - 1);
	if (scope->npast) {
		reconcile_mark(rec, scope, MARK_URGENT);
		return;
	}
	if (path)
		paths_forget(rec, scope);
	write_status(rec, scope, NULL, UINT64_MAX);
	end_first(rec, scope);
	scope_free(rec, scope);
}

static void tell_repair(struct reconcile *rec, struct scope *scope, const struct kernel_task *task)
{
	char line[TEXT_MAX], quoted[TEXT_MAX * 2];
	struct object *obj = about(rec, scope);

	one_line(task->lines, line, sizeof(line));
	metric_add(METRIC_DRIFT_REPAIRED, 1);
	log_event(LOG_LEVEL_INFO, "repaired", "kind=%s name=%s changes=%d did=%s", kind_of(scope),
		  name_of(scope), task->changes, log_quote(line, quoted, sizeof(quoted)));
	if (obj && is_path(scope))
		control_event(rec->conf.control, obj, "Normal", "Repaired",
			      "the kernel had drifted on the path to node %s; done: %s", name_of(scope),
			      line);
	else if (obj)
		control_event(rec->conf.control, obj, "Normal", "Repaired",
			      "the kernel had drifted; done: %s", line);
}

/* True when the status cannot differ from what was written last. */
static bool told(const struct reconcile *rec, const struct scope *scope, bool was_failing,
		 int changes)
{
	const struct object *sent = scope->sent;

	if (sent->kind->id == KIND_NODE)
		return true;            /* that is the other's to write */
	return !was_failing && !changes && scope->told == rec->epoch &&
	       scope->told_generation == sent->meta->generation &&
	       sent->kind->id != KIND_NETWORK && sent->kind->id != KIND_TUNNEL;
}

static void made(struct reconcile *rec, struct scope *scope, const struct kernel_task *task,
		 bool was_failing)
{
	struct outcome ok = { .ok = true, .inode = task ? task->inode : 0 };
	int changes = task ? task->changes : 0;
	uint64_t before = 0;

	scope->tried = scope->stood = true;
	if (scope->sent_past) {
		scope_drop_past(scope, scope->sent_past - 1);
		before = scope->sent->rev - 1;
		if (scope->sent_past > 1) {     /* one earlier version at a time */
			before = 0;
			scope->dirty = true;
		}
	}
	if (scope->node && changes)     /* a block more, perhaps */
		overlap_mark(rec);
	if (scope->node)
		tell_node(rec, true, "");
	else if (before || !told(rec, scope, was_failing, changes))
		write_status(rec, scope, &ok, before);
	if (!scope->node) {
		scope->told = rec->epoch;
		scope->told_generation = scope->sent->meta->generation;
	}
	end_first(rec, scope);
}

/* Once, however often it is tried again: the Event counts. */
static void log_failure(struct scope *scope, const char *reason, const char *text)
{
	char quoted[TEXT_MAX * 2];

	if (scope->why && strcmp(scope->why, text) == 0)
		return;
	free(scope->why);
	scope->why = strdup(text);
	log_event(LOG_LEVEL_WARNING, "reconcile_failed", "kind=%s name=%s reason=%s err=%s",
		  kind_of(scope), name_of(scope), reason,
		  log_quote(text, quoted, sizeof(quoted)));
}

/* What is wrong with what, for who declared it; which call found it out stands in the log. */
static const char *plain_text(const struct podnet_error *err, char *buf, size_t size)
{
	struct podnet_error said = *err;

	if (!err->object[0]) {
		podnet_error_text(err, buf, size);
		return buf;
	}
	if (err->why) {
		snprintf(buf, size, "%s: %s", err->object, err->why);
		return buf;
	}
	said.step = err->object;
	said.object[0] = '\0';
	said.field = NULL;
	podnet_error_text(&said, buf, size);
	return buf;
}

static void failed(struct reconcile *rec, struct scope *scope, const struct podnet_error *err)
{
	char text[TEXT_MAX], plain[TEXT_MAX];
	const char *reason = reason_of(err);
	struct outcome outcome = { .reason = reason, .message = plain };
	struct object *obj = about(rec, scope);

	plain_text(err, plain, sizeof(plain));
	podnet_error_text(err, text, sizeof(text));
	scope->tried = true;
	metric_add(METRIC_RECONCILE_FAILURES, 1);
	log_failure(scope, reason, text);
	if (scope->node)
		tunnels_refused(rec, err->code);
	if (scope->node)
		tell_node(rec, false, plain);
	else if (scope->now && is_path(scope))
		paths_failed(rec, scope, plain);
	else if (scope->now)
		write_status(rec, scope, &outcome, 0);
	if (obj && is_path(scope))
		control_event(rec->conf.control, obj, "Warning", reason, "path to node %s: %s",
			      name_of(scope), plain);
	else if (obj)
		control_event(rec->conf.control, obj, "Warning", reason, "%s", plain);
	end_first(rec, scope);
	scope_fail(rec, scope);
}

void result_without_task(struct reconcile *rec, struct scope *scope, int rc,
			 const struct podnet_error *err)
{
	struct podnet_error own = { .code = rc, .step = "compile" };
	bool was_failing = scope->failing;

	if (rc < 0) {
		failed(rec, scope, err->code ? err : &own);
		return;
	}
	scope_mend(rec, scope);
	if (!scope->now && !scope->node) {
		gone(rec, scope);
		return;
	}
	while (scope->npast > 1)        /* none of them had anything in the kernel */
		scope_drop_past(scope, 0);
	scope->sent_past = scope->npast;
	made(rec, scope, NULL, was_failing);
}

static void swept(struct kernel_task *task)
{
	char line[TEXT_MAX], quoted[TEXT_MAX * 2];

	if (task->rc < 0)
		podnet_error_text(&task->err, line, sizeof(line));
	else
		one_line(task->lines, line, sizeof(line));
	if (task->rc < 0)
		log_event(LOG_LEVEL_WARNING, "sweep_failed", "err=%s",
			  log_quote(line, quoted, sizeof(quoted)));
	else if (task->changes)
		log_event(LOG_LEVEL_INFO, "swept", "changes=%d did=%s", task->changes,
			  log_quote(line, quoted, sizeof(quoted)));
}

static void finish(struct reconcile *rec, struct scope *scope, const struct kernel_task *task)
{
	struct podnet_error own = { .code = task->rc, .step = "apply" };
	bool was_failing = scope->failing;

	if (task->rc < 0) {
		scope->drift |= task->drift;    /* whichever try repairs it, it is a repair */
		failed(rec, scope, task->err.code ? &task->err : &own);
		return;
	}
	if (task->type == KERNEL_ENSURE && !scope->node && carry_made(rec, scope, &own) < 0) {
		failed(rec, scope, &own);
		return;
	}
	scope_mend(rec, scope);
	if (scope->node)
		services_mended(rec);
	if (scope->node)                /* the device of a UDP tunnel may be another one */
		rec->carry_due |= rec->tunnels & (COMPILE_UDP4 | COMPILE_UDP6);
	if (task->changes)
		kick_failing(rec);
	if (task->type == KERNEL_ABSENT) {
		gone(rec, scope);
		return;
	}
	if (task->drift && task->changes && scope->stood)
		tell_repair(rec, scope, task);
	if (task->changes && !task->fresh)
		depend_mark(rec, scope);
	made(rec, scope, task, was_failing);
}

void result_done(void *arg, struct kernel_task *task)
{
	struct reconcile *rec = arg;
	struct scope *scope = NULL;
	bool taken;                     /* something new: perhaps a pod, from the pool */

	switch (task->type) {
	case KERNEL_SWEEP:
		swept(task);
		break;
	case KERNEL_SERVICES:
		services_done(rec, task);
		break;
	case KERNEL_COUNTS:
		traffic_done(rec, task);
		break;
	case KERNEL_NEXT:
		break;
	case KERNEL_ENSURE:
	case KERNEL_ABSENT:
		scope = scope_find(rec, task->scope);
		rec->queues[task->urgent ? 0 : 1].under_way--;
		break;
	}
	if (scope) {
		metric_time(METRIC_TIME_RECONCILE, now_monotonic_us() - scope->sent_at);
		scope->running = false;
		if (is_path(scope))
			paths_done(rec, scope, task);
		finish(rec, scope, task);
	}
	/* marks that were made meanwhile; the scope itself may be gone */
	scope = scope ? scope_find(rec, task->scope) : NULL;
	if (scope && scope->dirty && !scope->running)
		reconcile_mark(rec, scope, 0);
	taken = task->fresh;
	kernel_task_free(task);
	reconcile_pump(rec);
	if (taken)
		ahead_tell(rec);
}
