/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paths.c - what leads to the pods of other nodes: a scope for each of their Node objects
 *
 * Room: reconcile.
 *
 * A path follows from the other's Node, the blocks it holds, the Networks, and what this node is.  So
 * what the kernel has of one cannot be made again from an earlier version of the Node alone: the set
 * that went there last is kept, and the next one replaces it.  What was there before netd started is
 * found by its kind: sweep in kernel/task.c.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>

/** The other's blocks, with what leads to each. */
struct blocks {
	const struct state *state;
	struct compile_block v[2];
	size_t n;
};

static enum network_backend backend_of(const struct state *state, const char *network)
{
	const struct object *net = state_get(state, &kinds[KIND_NETWORK], "", network);

	return net ? net->network->backend : BACKEND_AUTO;
}

static void find_blocks(struct blocks *b, const struct node *node)
{
	for (size_t i = 0; i < node->npod_cidrs; i++)
		b->v[b->n++] = (struct compile_block){
			.prefix = podnet_prefix_mask(&node->pod_cidrs[i]),
			.backend = backend_of(b->state, "default"),
		};
}

static int compile(const struct compile_input *in, const struct reconcile *rec,
		   const struct object *obj, struct podnet_set **ret, char missing[COMPILE_MISSING],
		   struct podnet_error *err)
{
	struct blocks b = { .state = rec->conf.state };
	struct compile_path path = { .node = obj->node, .blocks = b.v };

	find_blocks(&b, obj->node);
	path.nblocks = b.n;
	return compile_path(in, &path, ret, missing, err);
}

static void say(struct reconcile *rec, struct scope *scope, const char *missing)
{
	const char *before = scope->missing ? scope->missing : "";

	if (strcmp(before, missing) == 0)
		return;
	rec->nmissing += (*missing != 0) - (*before != 0);
	free(scope->missing);
	scope->missing = *missing ? strdup(missing) : NULL;
	if (*missing && !scope->missing)
		rec->nmissing--;
	rec->paths_due = true;
}

void paths_failed(struct reconcile *rec, struct scope *scope, const char *why)
{
	char text[COMPILE_MISSING];

	snprintf(text, sizeof(text), "node %.60s: %.120s", scope->now->meta->name, why);
	say(rec, scope, text);
}

static int put_routes(const struct blocks *b, struct kernel_task *task)
{
	task->routes = calloc(b->n + 1, sizeof(*task->routes));
	if (!task->routes)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++)
		task->routes[task->nroutes++] = b->v[i].prefix;
	return 0;
}

int paths_ensure(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err)
{
	struct blocks b = { .state = rec->conf.state };
	char missing[COMPILE_MISSING];
	int r = compile(in, rec, scope->now, &task->set, missing, err);

	if (r == 0 && !scope->made && scope->npast)
		compile(in, rec, scope->past[scope->npast - 1], &scope->made, missing, NULL);
	if (r < 0)
		return r;
	find_blocks(&b, scope->now->node);
	r = put_routes(&b, task);
	if (r < 0)
		return r;
	free(scope->lacking);
	scope->lacking = *missing ? strdup(missing) : NULL;
	task->was = take_ptr(scope->made);
	return 0;
}

int paths_absent(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err)
{
	char missing[COMPILE_MISSING];

	task->set = take_ptr(scope->made);
	return task->set ? 0 : compile(in, rec, scope->past[scope->npast - 1], &task->set, missing,
				       err);
}

void paths_done(struct reconcile *rec, struct scope *scope, struct kernel_task *task)
{
	if (task->rc < 0 && task->was)
		podnet_set_include(task->set, task->was, NULL);
	podnet_set_free(scope->made);
	scope->made = task->type == KERNEL_ENSURE || task->rc < 0 ? take_ptr(task->set) : NULL;
	rec->paths_due |= !scope->tried;
	if (task->type == KERNEL_ENSURE && task->rc >= 0)
		say(rec, scope, scope->lacking ? scope->lacking : "");
}

void paths_forget(struct reconcile *rec, struct scope *scope)
{
	say(rec, scope, "");
	podnet_set_free(take_ptr(scope->made));
	rec->paths_due = true;
}

static bool is_path(const struct reconcile *rec, const struct object *obj)
{
	return obj->kind->id == KIND_NODE && strcmp(obj->meta->name, rec->node->node_name) != 0;
}

static int mark(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = is_path(rec, obj) ? scope_find(rec, obj->meta->uid) : NULL;

	if (scope)
		reconcile_mark(rec, scope, 0);
	return 0;
}

void paths_mark(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, mark, rec);
}

struct search {
	const struct reconcile *rec;
	const char *missing;
	bool untried;
	size_t n;
};

static int look(void *arg, struct object *obj)
{
	struct search *s = arg;
	const struct scope *scope = is_path(s->rec, obj) ? scope_find(s->rec, obj->meta->uid) : NULL;

	s->n += scope != NULL;
	s->untried |= scope && !scope->tried;
	if (scope && !s->missing)
		s->missing = scope->missing;
	return 0;
}

void paths_report(const struct reconcile *rec, char text[PATHS_TEXT], struct node_report *report)
{
	struct search s = { .rec = rec };

	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, look, &s);
	report->others = s.n;
	report->missing = s.untried ? NULL : "";
	if (s.untried || !s.missing)
		return;
	snprintf(text, PATHS_TEXT, rec->nmissing > 1 ? "%s; and %zu more" : "%s", s.missing,
		 rec->nmissing - 1);
	report->missing = text;
}

/** What is kept of routes to others, at start. */
struct keep {
	struct reconcile *rec;
	struct kernel_task *task;
	size_t cap;
};

static int keep_route(struct keep *keep, const struct podnet_prefix *dst)
{
	struct kernel_task *task = keep->task;
	size_t cap = keep->cap ? 2 * keep->cap : 64;
	struct podnet_prefix *v;

	if (task->nroutes == keep->cap) {
		v = realloc(task->routes, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		task->routes = v;
		keep->cap = cap;
	}
	task->routes[task->nroutes++] = *dst;
	return 0;
}

static int keep_node(void *arg, struct object *obj)
{
	struct keep *keep = arg;
	struct blocks b = { .state = keep->rec->conf.state };
	int r = 0;

	if (!is_path(keep->rec, obj))
		return 0;
	find_blocks(&b, obj->node);
	for (size_t i = 0; r == 0 && i < b.n; i++)
		r = keep_route(keep, &b.v[i].prefix);
	return r;
}

/* What a user declared may lead there as well. */
static int keep_declared(void *arg, struct object *obj)
{
	return keep_route(arg, &obj->route->destination);
}

static int add_inside(void *arg, struct object *obj)
{
	struct kernel_task *task = arg;

	for (size_t i = 0; i < obj->network->ncidrs; i++)
		task->inside[task->ninside++] = obj->network->cidrs[i];
	return 0;
}

static int prefix_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct podnet_prefix));
}

int paths_sweep(struct reconcile *rec, struct kernel_task *task)
{
	const struct state *state = rec->conf.state;
	struct keep keep = { .rec = rec, .task = task };
	int r = state_each(state, &kinds[KIND_NODE], NULL, keep_node, &keep);

	if (r == 0)
		r = state_each(state, &kinds[KIND_ROUTE], NULL, keep_declared, &keep);
	if (r == 0)
		task->inside = calloc(2 * state_count(state, &kinds[KIND_NETWORK]) + 1,
				      sizeof(*task->inside));
	if (r < 0 || !task->inside)
		return -ENOMEM;
	if (task->nroutes)
		qsort(task->routes, task->nroutes, sizeof(*task->routes), prefix_cmp);
	return state_each(state, &kinds[KIND_NETWORK], NULL, add_inside, task);
}
