/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * state_world.h - a state with its database, what its observers were told, and writes that are awaited
 */
#ifndef TESTS_STATE_WORLD_H
#define TESTS_STATE_WORLD_H

#include <errno.h>
#include <netd/state/cluster.h>
#include <netd/state/state.h>
#include <netd/store/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>
#include <unistd.h>

#define POD    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\"," \
	       "\"namespace\":\"default\",\"uid\":\"uid-%s\"},\"spec\":{\"containers\":[]," \
	       "\"nodeName\":\"n\"%s}}"

struct world {
	struct loop *loop;
	struct store *store;
	struct state *state;
	struct cluster *cluster;    /* a replica of one whose etcd is not there; NULL: it is no replica */
	struct node_config conf;
	char dir[64], path[96], error[STORE_WORDS];
	char seen[512];             /* what the observer was told */
	char dropped[256];          /* and of what will never be committed */
	char here[512];             /* and who looks at what this node has */
	unsigned waiting;
	int rc[8];
	unsigned answers;
	uint64_t last_rev;
};

static inline void on_change(void *arg, const struct object *old, const struct object *now)
{
	struct world *w = arg;
	const struct object *any = now ? now : old;
	size_t len = strlen(w->seen);

	snprintf(w->seen + len, sizeof(w->seen) - len, "%c%s ", !now ? '-' : old ? '~' : '+',
		 any->meta->name);
	if (now)
		assert_true(now->rev > w->last_rev);
	if (now)
		w->last_rev = now->rev;
	assert_true(hub_revision(state_hub(w->state)) >= any->rev);
}

static inline void on_here(void *arg, const struct object *old, const struct object *now)
{
	struct world *w = arg;
	size_t len = strlen(w->here);

	snprintf(w->here + len, sizeof(w->here) - len, "%c%s ", !now ? '-' : old ? '~' : '+',
		 (now ? now : old)->meta->uid);
}

static inline void on_dropped(void *arg, const struct object *obj)
{
	struct world *w = arg;
	size_t len = strlen(w->dropped);

	snprintf(w->dropped + len, sizeof(w->dropped) - len, "%s ", obj->meta->name);
}

static inline void open_world(struct world *w)
{
	struct store_config conf = { .path = w->path, .loop = w->loop, .now_ms = 1700000000000 };
	struct state_observer observer = { .changed = on_change, .dropped = on_dropped, .arg = w };
	struct state_observer here = { .changed = on_here, .arg = w, .here = true };

	assert_int_equal(store_open(&conf, &w->store, w->error), 0);
	assert_int_equal(state_new_shared(w->loop, w->store, &w->conf, w->cluster, &w->state, w->error), 0);
	assert_int_equal(state_set_node(w->state, "uid-node"), 0);
	assert_int_equal(state_observe(w->state, &observer), 0);
	assert_int_equal(state_observe(w->state, &here), 0);
	w->last_rev = state_revision(w->state);
}

static inline void close_world(struct world *w)
{
	cluster_stop(w->cluster);
	state_close(w->state);
	store_close(w->store);
	state_free(w->state);
}

static inline int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->conf = (struct node_config){ .node_name = "n" };
	snprintf(w->dir, sizeof(w->dir), "/tmp/podnet-state-XXXXXX");
	if (!mkdtemp(w->dir) || loop_new(&w->loop) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/netd.db", w->dir);
	*state = w;
	open_world(w);
	return 0;
}

static inline int end(void **state)
{
	static const char *const files[] = { "netd.db", "netd.db-wal", "netd.db-shm" };
	struct world *w = *state;
	char path[128];

	close_world(w);
	cluster_free(w->cluster);
	loop_free(w->loop);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
		unlink(path);
	}
	rmdir(w->dir);
	free(w);
	return 0;
}

static inline void answered(void *arg, int rc, const char *error)
{
	struct world *w = arg;

	(void)error;
	w->rc[w->answers++ % ARRAY_SIZE(w->rc)] = rc;
	if (--w->waiting == 0)
		loop_stop(w->loop);
}

static inline void submit(struct world *w, struct txn *txn)
{
	w->waiting++;
	txn_submit(txn, false, answered, w);
}

static inline void settle(struct world *w)
{
	if (w->waiting)
		assert_int_equal(loop_run(w->loop), 0);
}

static inline struct txn *begin_txn(struct world *w)
{
	struct txn *txn;

	assert_int_equal(txn_new(w->state, &txn), 0);
	return txn;
}

static inline struct doc *parse(const char *text)
{
	struct doc *doc;
	char why[160];

	assert_int_equal(doc_parse(text, strlen(text), &doc, why), 0);
	return doc;
}

static inline struct object *put(struct txn *txn, enum kind_id kind, const char *text, struct object *old)
{
	_cleanup_(doc_freep) struct doc *doc = parse(text);
	struct object *obj;

	assert_int_equal(txn_put(txn, &kinds[kind], doc, old, &obj), 0);
	return obj;
}

static inline struct object *put_pod(struct txn *txn, const char *name, const char *more,
				     struct object *old)
{
	char text[512];

	snprintf(text, sizeof(text), POD, name, name, more);
	return put(txn, KIND_POD, text, old);
}

static inline struct object *committed(struct world *w, const char *name)
{
	return state_get(w->state, &kinds[KIND_POD], "default", name);
}

static inline struct object *accepted(struct world *w, const char *name)
{
	return state_accepted(w->state, &kinds[KIND_POD], "default", name);
}

static inline int count(void *arg, struct object *obj)
{
	(void)obj;
	++*(unsigned *)arg;
	return 0;
}

#endif
