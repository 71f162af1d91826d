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
 *
 * Make before break (tunnels.c): the device of a tunnel is the node's, and is there before a path needs
 * it.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>

/** The other's blocks, with what leads to each. */
struct blocks {
	const struct reconcile *rec;
	bool next;
	struct compile_block *v;    /* malloc'd */
	size_t n, cap;
};

static void blocks_fini(struct blocks *b)
{
	free(b->v);
}

static enum network_backend backend_of(const struct reconcile *rec, const char *name, bool next)
{
	const struct object *net = state_get(rec->conf.state, &kinds[KIND_NETWORK], "", name);

	if (!net)
		return BACKEND_AUTO;
	return next ? net->network->backend : tunnels_backend(rec, net->network);
}

/* A claim says what the Node may say too: its first blocks. */
static int add_block(void *arg, const char *network, const struct podnet_prefix *block)
{
	struct compile_block add = { .prefix = podnet_prefix_mask(block) };
	struct blocks *b = arg;
	struct compile_block *v;
	size_t cap = b->cap ? 2 * b->cap : 4;

	for (size_t i = 0; i < b->n; i++)
		if (memcmp(&b->v[i].prefix, &add.prefix, sizeof(add.prefix)) == 0)
			return 0;
	if (b->n == b->cap) {
		v = realloc(b->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		b->v = v;
		b->cap = cap;
	}
	add.backend = backend_of(b->rec, network, b->next);
	b->v[b->n++] = add;
	return 0;
}

/* What the Node says, and what it has claimed besides. */
static int find_blocks(const struct object *obj, struct blocks *b)
{
	const struct node *node = obj->node;
	int r = 0;

	for (size_t i = 0; i < node->npod_cidrs && r == 0; i++)
		r = add_block(b, "default", &node->pod_cidrs[i]);
	return r < 0 ? r : ipam_each_held(state_ipam(b->rec->conf.state), obj->meta->uid, add_block, b);
}

static int compile(const struct compile_input *in, const struct reconcile *rec,
		   const struct object *obj, struct compile_way *ret, struct podnet_error *err)
{
	_cleanup_(blocks_fini) struct blocks b = { .rec = rec };
	struct compile_path path = { .node = obj->node };
	int r = find_blocks(obj, &b);

	path.blocks = b.v;
	path.nblocks = b.n;
	return r < 0 ? r : compile_path(in, &path, ret, err);
}

unsigned paths_tunnels(const struct reconcile *rec, const struct compile_input *in,
		       const struct object *obj)
{
	unsigned bits = 0;

	for (unsigned next = 0; next < 2; next++) {
		_cleanup_(blocks_fini) struct blocks b = { .rec = rec, .next = next };
		struct compile_path path = { .node = obj->node };

		find_blocks(obj, &b);
		path.blocks = b.v;
		path.nblocks = b.n;
		bits |= compile_tunnels(in, &path);
	}
	return bits;
}

static struct scope *path_scope(const struct reconcile *rec, const struct object *obj)
{
	if (strcmp(obj->meta->name, rec->node->node_name) == 0)
		return NULL;
	return scope_find(rec, obj->meta->uid);
}

struct standing {
	const struct reconcile *rec;
	bool any;
};

static int stands(void *arg, struct object *obj)
{
	struct standing *s = arg;
	const struct scope *scope = path_scope(s->rec, obj);

	s->any = scope && !scope->missing;      /* of what was not looked at yet nothing is known */
	return s->any;
}

bool paths_stand(const struct reconcile *rec)
{
	struct standing s = { .rec = rec };

	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, stands, &s);
	return s.any;
}

/** Who is behind a UDP tunnel. */
struct behind {
	struct reconcile *rec;
	bool v6;                    /* the underlay */
	struct tunnel_peer *v;      /* malloc'd, and each one's cidrs */
	size_t n;
	int rc;
};

/* Also of nodes that we send to by another way: they may already or still send by this one. */
static int add_peer(void *arg, struct object *obj)
{
	struct behind *to = arg;
	_cleanup_(blocks_fini) struct blocks b = { .rec = to->rec };
	struct tunnel_peer *peer = &to->v[to->n];
	const struct podnet_prefix *at = &obj->node->underlay[to->v6];

	if (!path_scope(to->rec, obj) || !at->family || find_blocks(obj, &b) < 0 || !b.n)
		return 0;
	peer->cidrs = calloc(b.n, sizeof(*peer->cidrs));
	if (!peer->cidrs)
		return to->rc = -ENOMEM;
	for (; peer->ncidrs < b.n; peer->ncidrs++)
		peer->cidrs[peer->ncidrs] = b.v[peer->ncidrs].prefix;
	peer->address = *at;
	peer->port = to->rec->node->udp_port;
	peer->framing = obj->node->fastpath[to->v6] ? TUNNEL_FASTPATH : TUNNEL_RAW;
	to->n++;
	return 0;
}

int paths_carry(struct reconcile *rec, unsigned number)
{
	struct tunnel t = { .interface = compile_tunnel_names[number], .port = rec->node->udp_port };
	struct behind to = { .rec = rec, .v6 = number & 1 };
	struct compile_input in;

	want_input(rec, &in);
	t.local = in.underlay[to.v6];
	to.v = calloc(state_count(rec->conf.state, &kinds[KIND_NODE]) + 1, sizeof(*to.v));
	if (!to.v)
		return -ENOMEM;
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, add_peer, &to);
	t.peers = to.v;
	t.npeers = to.n;
	if (to.rc == 0 && t.local.family)
		to.rc = carry_tunnel(rec, &t, NULL, 0);
	for (size_t i = 0; i < to.n; i++)
		free(to.v[i].cidrs);
	free(to.v);
	return to.rc;
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

static int put_signs(const struct compile_way *way, struct kernel_task *task)
{
	task->signs = calloc(way->nsigns + 1, sizeof(*task->signs));
	if (!task->signs)
		return -ENOMEM;
	for (size_t i = 0; i < way->nsigns; i++) {
		task->signs[i].prefix = way->signs[i].prefix;
		memcpy(task->signs[i].mac, way->signs[i].mac, sizeof(task->signs[i].mac));
	}
	task->nsigns = way->nsigns;
	return 0;
}

/* What an earlier version of the Node would have, as far as that is known now. */
static void guess_made(struct reconcile *rec, const struct compile_input *in, struct scope *scope)
{
	struct compile_way way = { 0 };

	if (scope->made || !scope->npast ||
	    compile(in, rec, scope->past[scope->npast - 1], &way, NULL) < 0)
		return;
	scope->made = take_ptr(way.set);
	compile_way_fini(&way);
}

int paths_ensure(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err)
{
	struct compile_way way = { 0 };
	int r = compile(in, rec, scope->now, &way, err);

	if (r < 0)
		return r;
	guess_made(rec, in, scope);
	r = put_signs(&way, task);
	if (r == 0) {
		free(scope->lacking);
		scope->lacking = *way.missing ? strdup(way.missing) : NULL;
		task->set = take_ptr(way.set);
		task->was = take_ptr(scope->made);
	}
	compile_way_fini(&way);
	return r;
}

int paths_absent(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err)
{
	guess_made(rec, in, scope);
	task->set = take_ptr(scope->made);
	return task->set ? 0 : podnet_set_new(&task->set, scope->uid, err);
}

void paths_done(struct reconcile *rec, struct scope *scope, struct kernel_task *task)
{
	if (task->rc < 0 && task->was)
		podnet_set_include(task->set, task->was, NULL);
	podnet_set_free(scope->made);
	scope->made = task->type == KERNEL_ENSURE || task->rc < 0 ? take_ptr(task->set) : NULL;
	rec->paths_due |= !scope->tried;
	rec->carry_due |= rec->tunnels & (COMPILE_UDP4 | COMPILE_UDP6);
	if (task->type == KERNEL_ENSURE && task->rc >= 0)
		say(rec, scope, scope->lacking ? scope->lacking : "");
}

void paths_forget(struct reconcile *rec, struct scope *scope)
{
	say(rec, scope, "");
	podnet_set_free(take_ptr(scope->made));
	tunnels_need(rec, scope, 0);
	rec->paths_due = true;
}

/* The devices first: a path through one that is not there yet would fail and wait. */
static int count(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = path_scope(rec, obj);

	if (scope)
		tunnels_count(rec, scope, obj);
	return 0;
}

static int mark(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = path_scope(rec, obj);

	if (scope)
		reconcile_mark(rec, scope, 0);
	return 0;
}

void paths_mark(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, count, rec);
	tunnels_settle(rec);
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, mark, rec);
}

void paths_news(struct reconcile *rec)
{
	const char *uid;

	while ((uid = ipam_news(state_ipam(rec->conf.state)))) {
		struct scope *scope = scope_find(rec, uid);

		overlap_mark(rec);
		if (!scope || !scope->now)
			continue;
		tunnels_count(rec, scope, scope->now);
		tunnels_settle(rec);
		reconcile_mark(rec, scope, 0);
	}
}

void paths_begin(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, count, rec);
	rec->tunnels = rec->tunnels_wanted;
	tunnels_carry(rec);
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
	const struct scope *scope = path_scope(s->rec, obj);

	s->n += scope != NULL;
	s->untried |= scope && !scope->tried;
	if (scope && !s->missing)
		s->missing = scope->missing;
	return 0;
}

void paths_report(const struct reconcile *rec, char text[PATHS_TEXT], struct node_report *report)
{
	struct search s = { .rec = rec };
	const char *tunnel, *why;

	state_each(rec->conf.state, &kinds[KIND_NODE], NULL, look, &s);
	report->others = s.n;
	report->missing = s.untried ? NULL : "";
	if (s.untried)
		return;
	tunnel = tunnels_missing(rec, &why);
	if (tunnel) {
		snprintf(text, PATHS_TEXT, "%s: %s", tunnel, why);
		report->missing = text;
		return;
	}
	if (!s.missing)
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
	_cleanup_(blocks_fini) struct blocks b = { .rec = keep->rec };
	int r;

	if (!path_scope(keep->rec, obj))
		return 0;
	r = find_blocks(obj, &b);
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
