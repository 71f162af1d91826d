/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * state.c - what the control loop knows of every object
 *
 * Room: state.  Reading; load.c fills it at start.
 *
 * Each object has two versions.  The committed one is what the store has and what readers and
 * watchers see.  The accepted one is what the last transaction made of it, committed or not, and
 * the next write is checked against it; so a hundred patches of one object can be under way in one
 * group commit.  A failed commit takes every accepted version back to the committed one.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>

struct history {
	int (*each)(void *arg, const struct hub_event *ev);
	void *arg;
};

static int history_event(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
			 const char *ns, const char *name, const char *bytes, size_t len,
			 const char *prev, size_t prev_len)
{
	static const enum hub_type types[] = {
		[STORE_ADDED] = HUB_ADDED,
		[STORE_MODIFIED] = HUB_MODIFIED,
		[STORE_DELETED] = HUB_DELETED,
	};
	_cleanup_(bytes_unrefp) struct bytes *now = NULL, *before = NULL;
	const struct kind *k = kind_by_store_name(kind);
	struct history *h = arg;

	if (!k)
		return 0;
	now = bytes_new(bytes, len);
	before = prev ? bytes_new(prev, prev_len) : NULL;
	if (!now || (prev && !before))
		return -ENOMEM;
	return h->each(h->arg, &(struct hub_event){ rev, types[type], k, ns, name, now, before, NULL });
}

static int history(void *arg, const void *kind, uint64_t after, unsigned max,
		   int (*each)(void *each_arg, const struct hub_event *ev), void *each_arg)
{
	struct state *state = arg;
	struct history h = { each, each_arg };

	return store_history(state->store, ((const struct kind *)kind)->store_name, after, max, history_event, &h);
}

static void on_health(void *arg)
{
	struct state *state = arg;
	const char *words;
	bool failing = state_health(state, &words) < 0;

	metric_set(METRIC_STORE_FAILING, failing);
	for (size_t i = 0; !failing && i < state->nobservers; i++)
		if (state->observers[i].mended)
			state->observers[i].mended(state->observers[i].arg);
}

bool state_lost(const struct state *state, uint64_t rev)
{
	return store_lost(state->store, rev);
}

int state_health(const struct state *state, const char **words)
{
	int r = store_health(state->store, words);

	return r == 0 && state->cluster ? cluster_health(state->cluster, words) : r;
}

void state_health_changed(struct state *state)
{
	on_health(state);
}

int state_new_shared(struct loop *loop, struct store *store, const struct node_config *conf,
		     struct cluster *cluster, struct state **ret, char error[STORE_WORDS])
{
	struct state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return state_fail(error, -ENOMEM, "state");
	state->loop = loop;
	state->store = store;
	state->conf = conf;
	state->cluster = cluster;
	if (cluster)
		cluster_of(cluster, state);
	state->revision = store_revision(store);
	r = ipam_new(&state->ipam);
	if (r == 0)
		r = hub_new(&state->hub, state->revision, history, state);
	r = r < 0 ? state_fail(error, r, "state") : state_load(state, error);
	if (r < 0) {
		state_free(state);
		return r;
	}
	store_on_health(store, on_health, state);
	on_health(state);
	*ret = state;
	return 0;
}

int state_new(struct loop *loop, struct store *store, const struct node_config *conf,
	      struct state **ret, char error[STORE_WORDS])
{
	return state_new_shared(loop, store, conf, NULL, ret, error);
}

void cache_fini(struct cache *c)
{
	for (size_t i = 0; i < c->n; i++) {
		object_unref(c->slots[i].committed);
		object_unref(c->slots[i].accepted);
	}
	free(c->slots);
	map_fini(&c->by_identity);
}

void state_free(struct state *state)
{
	if (!state)
		return;
	for (size_t i = 0; i < KIND_COUNT; i++)
		cache_fini(&state->caches[i]);
	for (size_t i = 0; i < state->ntombs; i++)
		object_unref(state->tombs[i].last);
	free(state->tombs);
	map_fini(&state->by_uid);
	pending_free(state);
	hub_free(state->hub);
	ipam_free(state->ipam);
	free(state);
}

void state_close(struct state *state)
{
	state->closed = true;
	state->nobservers = 0;
}

int state_observe(struct state *state, const struct state_observer *observer)
{
	if (state->nobservers == MAX_OBSERVERS)
		return -ENOSPC;
	state->observers[state->nobservers++] = *observer;
	return 0;
}

bool state_is_shared(const struct state *state)
{
	return state->cluster != NULL;
}

struct hub *state_hub(struct state *state)
{
	return state->hub;
}

struct ipam *state_ipam(struct state *state)
{
	return state->ipam;
}

const struct node_config *state_config(const struct state *state)
{
	return state->conf;
}

uint64_t state_revision(const struct state *state)
{
	return state->revision;
}

int state_set_node(struct state *state, const char *uid)
{
	snprintf(state->node_uid, sizeof(state->node_uid), "%s", uid);
	return ipam_set_node(state->ipam, uid);
}

/* Of pods this node may have others than the cluster. */
static bool has_view(const struct state *state, const struct kind *kind)
{
	return kind->id == KIND_POD && pending_any(state);
}

struct object *state_get(const struct state *state, const struct kind *kind, const char *ns,
			 const char *name)
{
	struct slot *s = cache_slot(&state->caches[kind->id], ns, name);

	if (has_view(state, kind))
		return pending_view(state, s, ns, name, false);
	return s ? s->committed : NULL;
}

struct object *state_accepted(const struct state *state, const struct kind *kind, const char *ns,
			      const char *name)
{
	struct slot *s = cache_slot(&state->caches[kind->id], ns, name);

	if (has_view(state, kind))
		return pending_view(state, s, ns, name, true);
	return s ? s->accepted : NULL;
}

struct object *state_same(const struct state *state, const struct kind *kind, const char *identity)
{
	return map_get(&state->caches[kind->id].by_identity, identity);
}

/** Which objects are gone through: of a namespace, or all; whose names begin so. */
struct choice {
	const char *ns, *prefix;
	bool accepted;
	bool here;                  /* as this node has them */
};

static bool is_chosen(const struct choice *choice, const struct meta *meta)
{
	return !choice->ns || (strcmp(meta->ns, choice->ns) == 0 &&
			       (!choice->prefix || strncmp(meta->name, choice->prefix,
							   strlen(choice->prefix)) == 0));
}

/* Those that the cluster has nothing of; the others stood among its own. */
static int each_made(const struct state *state, const struct choice *choice,
		     int (*each)(void *arg, struct object *obj), void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < state->made.n; i++) {
		const struct slot *s = &state->made.slots[i];
		struct object *obj = choice->accepted ? s->accepted : s->committed;

		if (obj && is_chosen(choice, obj->meta) &&
		    !cache_slot(&state->caches[KIND_POD], obj->meta->ns, obj->meta->name))
			r = each(arg, obj);
	}
	return r;
}

static int each_slot(const struct state *state, const struct kind *kind,
		     const struct choice *choice, size_t i,
		     int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct cache *c = &state->caches[kind->id];
	bool accepted = choice->accepted, here = (accepted || choice->here) && has_view(state, kind);
	size_t n;
	int r = 0;

	while (r == 0 && i < c->n) {
		const struct slot *s = &c->slots[i];
		struct object *obj = accepted ? s->accepted : s->committed;
		const struct object *any = obj ? obj : accepted ? s->committed : s->accepted;

		if (!is_chosen(choice, any->meta))
			break;
		n = c->n;
		if (here)
			obj = pending_view(state, s, any->meta->ns, any->meta->name, accepted);
		r = obj ? each(arg, obj) : 0;
		i += c->n >= n;         /* else @each has deleted one that had not committed */
	}
	return r == 0 && here ? each_made(state, choice, each, arg) : r;
}

static size_t first_slot(const struct state *state, const struct kind *kind, const char *ns)
{
	bool found;

	return ns ? cache_find(&state->caches[kind->id], ns, "", &found) : 0;
}

int state_each(const struct state *state, const struct kind *kind, const char *ns,
	       int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct choice choice = { .ns = ns };

	return each_slot(state, kind, &choice, first_slot(state, kind, ns), each, arg);
}

int state_each_here(const struct state *state, const struct kind *kind,
		    int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct choice choice = { .here = true };

	return each_slot(state, kind, &choice, 0, each, arg);
}

int state_each_after(const struct state *state, const struct kind *kind, const char *ns,
		     const char *after_ns, const char *after_name,
		     int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct choice choice = { .ns = ns };
	bool found;
	size_t i = cache_find(&state->caches[kind->id], after_ns, after_name, &found);

	return each_slot(state, kind, &choice, i + found, each, arg);
}

int state_each_accepted(const struct state *state, const struct kind *kind, const char *ns,
			int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct choice choice = { .ns = ns, .accepted = true };

	return each_slot(state, kind, &choice, first_slot(state, kind, ns), each, arg);
}

int state_each_named(const struct state *state, const struct kind *kind, const char *ns,
		     const char *prefix, int (*each)(void *arg, struct object *obj), void *arg)
{
	const struct choice choice = { .ns = ns, .prefix = prefix, .accepted = true };
	bool found;

	return each_slot(state, kind, &choice,
			 cache_find(&state->caches[kind->id], ns, prefix, &found), each, arg);
}

size_t state_count(const struct state *state, const struct kind *kind)
{
	return state->caches[kind->id].n;
}

struct object *state_by_uid(const struct state *state, const char *uid)
{
	return map_get(&state->by_uid, uid);
}

int state_each_tombstone(const struct state *state, int (*each)(void *arg, struct object *last),
			 void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < state->ntombs; i++)
		r = each(arg, state->tombs[i].last);
	return r;
}
