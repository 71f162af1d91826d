/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store_world.h - a store, and what it says, for the suites about it
 */
#ifndef STORE_WORLD_H
#define STORE_WORLD_H

#include "lib/testlib.h"

#include <errno.h>
#include <netd/store/store.h>
#include <stdio.h>

#define NOW_MS  1700000000000
#define KEEP    200

struct world {
	bool file, replica;
	char dir[64], path[96], error[STORE_WORDS];
	struct loop *loop;
	struct store *store;
	unsigned waiting;
	struct buf seen;            /* what callbacks told, one line each */
	int rcs[8];
	unsigned done;
};

static inline void open_store(struct world *w)
{
	struct store_config conf = { .path = w->file ? w->path : NULL, .loop = w->loop,
				     .now_ms = NOW_MS, .history_events = KEEP,
				     .replica = w->replica };
	int r = store_open(&conf, &w->store, w->error);

	if (r < 0)
		fail_msg("store_open: %s: %s", strerror(-r), w->error);
}

/* Closing waits for the writer, so what it had to tidy up is done. */
static inline void reopen_file(struct world *w)
{
	if (!w->file)
		return;
	store_close(take_ptr(w->store));
	open_store(w);
}

static inline int begin(void **state, bool file)
{
	struct world *w = calloc(1, sizeof(*w));

	w->file = file;
	snprintf(w->dir, sizeof(w->dir), "/tmp/podnet-store-XXXXXX");
	if (!mkdtemp(w->dir) || loop_new(&w->loop) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/netd.db", w->dir);
	*state = w;
	open_store(w);
	return 0;
}

static inline int begin_file(void **state) { return begin(state, true); }
static inline int begin_memory(void **state) { return begin(state, false); }

static inline int end(void **state)
{
	static const char *const files[] = { "netd.db", "netd.db-wal", "netd.db-shm" };
	struct world *w = *state;
	char path[128];

	store_close(w->store);
	loop_free(w->loop);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
		unlink(path);
	}
	rmdir(w->dir);
	buf_fini(&w->seen);
	free(w);
	return 0;
}

static inline void on_done(struct store_batch *b)
{
	struct world *w = b->arg;

	if (w->done < ARRAY_SIZE(w->rcs))
		w->rcs[w->done] = b->rc;
	w->done++;
	snprintf(w->error, sizeof(w->error), "%s", b->error);
	for (size_t i = 0; i < b->n; i++) {
		bytes_unref(b->ops[i].bytes);
		bytes_unref(b->ops[i].prev);
	}
	arena_fini(&b->arena);
	free(b);
	if (--w->waiting == 0)
		loop_stop(w->loop);
}

static inline struct store_batch *batch(struct world *w)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	b->arg = w;
	b->done = on_done;
	b->ops = arena_alloc(&b->arena, 8 * sizeof(*b->ops));
	return b;
}

static inline struct store_op *op(struct store_batch *b, enum store_op_type type, const char *kind,
			   const char *name)
{
	struct store_op *o = &b->ops[b->n++];

	*o = (struct store_op){ .type = type, .kind = kind, .ns = "default",
				.name = arena_strdup(&b->arena, name) };
	return o;
}

static inline struct bytes *text(const char *s)
{
	return s ? bytes_new(s, strlen(s)) : NULL;
}

static inline void put(struct world *w, struct store_batch *b, const char *name, const char *value,
		const char *prev)
{
	struct store_op *o = op(b, STORE_PUT, "pods", name);

	o->rev = store_next_revision(w->store);
	o->bytes = text(value);
	o->prev = text(prev);
}

static inline void del(struct world *w, struct store_batch *b, const char *name, const char *last)
{
	struct store_op *o = op(b, STORE_DELETE, "pods", name);

	o->rev = store_next_revision(w->store);
	o->bytes = text(last);
}

static inline void claim(struct store_batch *b, const char *key, const char *owner)
{
	op(b, STORE_CLAIM, "ip", key)->owner = owner;
}

static inline void release(struct store_batch *b, const char *key, const char *owner, int64_t free_after)
{
	struct store_op *o = op(b, STORE_RELEASE, "ip", key);

	o->owner = owner;
	o->free_after = free_after;
}

static inline void submit(struct world *w, struct store_batch *b)
{
	w->waiting++;
	store_submit(w->store, b);
}

/* The result of the last one. */
static inline int wait_all(struct world *w)
{
	w->done = 0;
	assert_int_equal(loop_run(w->loop), 0);
	return w->rcs[w->done - 1];
}

static inline int run(struct world *w, struct store_batch *b)
{
	submit(w, b);
	return wait_all(w);
}

static inline int see_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		      const char *bytes, size_t len)
{
	struct world *w = arg;

	buf_printf(&w->seen, "%s/%s/%s=%.*s@%d\n", kind, ns, name, (int)len, bytes,
		   (int)(rev - NOW_MS));
	return 0;
}

static inline int see_claim(void *arg, const char *kind, const char *key, const char *owner,
		     int64_t free_after)
{
	struct world *w = arg;

	buf_printf(&w->seen, "%s/%s=%s%s\n", kind, key, owner, free_after ? " cooling" : "");
	return 0;
}

static inline int see_event(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
		     const char *ns, const char *name, const char *bytes, size_t len,
		     const char *prev, size_t prev_len)
{
	struct world *w = arg;

	(void)kind;
	(void)ns;
	buf_printf(&w->seen, "%c%d %s=%.*s<%.*s\n", "AMD"[type], (int)(rev - NOW_MS), name, (int)len,
		   bytes, (int)prev_len, prev ? prev : "");
	return 0;
}

static inline void expect(struct world *w, const char *want)
{
	buf_str(&w->seen, "");
	assert_string_equal(w->seen.data, want);
	buf_fini(&w->seen);
}

static inline void expect_objects(struct world *w, const char *want)
{
	assert_int_equal(store_load(w->store, see_object, w), 0);
	expect(w, want);
}

static inline void expect_claims(struct world *w, const char *want)
{
	assert_int_equal(store_load_claims(w->store, see_claim, w), 0);
	expect(w, want);
}

#endif
