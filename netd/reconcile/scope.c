/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scope.c - the scopes that are known, and what is remembered of each
 *
 * Room: reconcile.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>

#define RETRY_FIRST_US  100000
#define RETRY_LAST_US   60000000

struct scope *scope_find(const struct reconcile *rec, const char *uid)
{
	return map_get(&rec->scopes, uid);
}

struct scope *scope_get(struct reconcile *rec, const char *uid)
{
	struct scope *scope = scope_find(rec, uid);

	if (scope)
		return scope;
	scope = calloc(1, sizeof(*scope));
	if (!scope)
		return NULL;
	snprintf(scope->uid, sizeof(scope->uid), "%s", uid);
	if (map_put(&rec->scopes, scope->uid, scope) == 0)
		return scope;
	free(scope);
	return NULL;
}

void scope_fini(struct scope *scope)
{
	object_unref(scope->now);
	object_unref(scope->sent);
	while (scope->npast)
		scope_drop_past(scope, scope->npast - 1);
	free(scope->past);
	podnet_set_free(scope->made);
	free(scope->missing);
	free(scope->lacking);
	free(scope->why);
	free(scope);
}

void scope_end(struct scope *scope)
{
	if (!scope->queued[0].in && !scope->queued[1].in)
		scope_fini(scope);
}

void scope_free(struct reconcile *rec, struct scope *scope)
{
	map_del(&rec->scopes, scope->uid);
	scope_mend(rec, scope);
	scope_set_now(rec, scope, NULL);
	scope->dead = true;
	scope_end(scope);
}

static bool is_route(const struct object *obj)
{
	return obj && obj->kind->id == KIND_ROUTE;
}

void scope_set_now(struct reconcile *rec, struct scope *scope, struct object *now)
{
	struct object *before = scope->now;

	rec->routes += is_route(now);
	rec->routes -= is_route(before);
	scope->now = now ? object_ref(now) : NULL;
	object_unref(before);
}

int scope_add_past(struct scope *scope, struct object *old)
{
	struct object **past = realloc(scope->past, (scope->npast + 1) * sizeof(*past));

	if (!past)
		return -ENOMEM;
	scope->past = past;
	past[scope->npast++] = object_ref(old);
	return 0;
}

void scope_drop_past(struct scope *scope, size_t i)
{
	if (i >= scope->npast)
		return;
	object_unref(scope->past[i]);
	scope->npast--;
	memmove(&scope->past[i], &scope->past[i + 1], (scope->npast - i) * sizeof(*scope->past));
}

/* Exponential, and spread by a quarter so that what failed together does not return together. */
void scope_fail(struct reconcile *rec, struct scope *scope)
{
	unsigned shift = scope->failures < 10 ? scope->failures : 10;
	uint64_t wait = (uint64_t)RETRY_FIRST_US << shift;
	uint32_t noise = 0;

	if (wait > RETRY_LAST_US)
		wait = RETRY_LAST_US;
	random_bytes(&noise, sizeof(noise));
	wait = wait * 3 / 4 + wait / 2 * (noise % 1024) / 1024;
	scope->failures++;
	scope->retry_at = now_monotonic_us() + wait;
	if (!scope->failing) {
		scope->failing = true;
		scope->next_failing = rec->failing;
		rec->failing = scope;
	}
	reconcile_arm_retry(rec);
}

void scope_mend(struct reconcile *rec, struct scope *scope)
{
	struct scope **p;

	scope->failures = 0;
	free(scope->why);
	scope->why = NULL;
	if (!scope->failing)
		return;
	scope->failing = false;
	for (p = &rec->failing; *p; p = &(*p)->next_failing) {
		if (*p == scope) {
			*p = scope->next_failing;
			return;
		}
	}
}

bool scope_is_ours(const struct reconcile *rec, const struct object *obj)
{
	const char *node;

	if (!obj->kind->in_kernel || object_unattached(obj))
		return false;
	node = object_node(obj);
	return !node || strcmp(node, rec->node->node_name) == 0;
}

bool scope_may_be_here(const struct reconcile *rec, const struct object *obj)
{
	return obj->kind->in_kernel && obj->kind->id != KIND_POD && !scope_is_ours(rec, obj);
}
