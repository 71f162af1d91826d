/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * load.c - from the rows of the store to objects, at start
 *
 * Room: state.  What carries no object is taken out of the kernel, so a row that cannot be read must
 * not be passed over: its object may well be running.  netd then does not start, says which row it
 * is, and leaves the kernel alone.  May include: store.h, codec, netd/base.
 *
 * Nearly all of the time is decoding, of which each row is a piece of its own.  So batches of them
 * are decoded by a thread that lives as long as that takes, while this one reads on; and by this one
 * when that is not done yet.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define BATCH 512
#define MANY  16                /* batches: where page faults begin to count */
#define ROW_BYTES 2048          /* of an object, mostly */

int state_fail(char error[STORE_WORDS], int r, const char *what)
{
	snprintf(error, STORE_WORDS, "%s: %s", what, strerror(-r));
	return r;
}

/* What does not agree between a row and the object in it; NULL: nothing. */
static const char *disagrees(const struct row *row, const struct object *obj)
{
	const struct meta *meta = obj->meta;
	char key[128];

	if (!meta->uid || !*meta->uid)
		return "has no uid";
	if (!row->tombstone && !row->unmade) {
		if (strcmp(row->ns, meta->ns) != 0 || strcmp(row->name, meta->name) != 0)
			return "is the row of another object";
		return !row->made && row->rev != meta->rev ? "is not of the revision that its row says" : NULL;
	}
	snprintf(key, sizeof(key), "%.64s.%llu", meta->uid, (unsigned long long)meta->rev);
	return strcmp(row->name, key) != 0 ? "is the row of another object" : NULL;
}

static int complain(const struct row *row, const char *what, const char *more,
		    char why[STORE_WORDS])
{
	snprintf(why, STORE_WORDS, "%.60s %.60s%s%.80s %s%s%.80s", row->kind, row->ns,
		 *row->ns ? "/" : "", row->name, what, *more ? ": " : "", more);
	return -EBADMSG;
}

int row_object(struct row *row, struct bytes *bytes, struct tape *tape, struct object **ret,
	       char why[STORE_WORDS])
{
	const struct kind *kind;
	const char *wrong;
	char more[160];
	int r = tape_read(tape, bytes->data, bytes->len, more);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return complain(row, "is no object", more, why);
	if (!value_is(tape->v, VALUE_OBJECT))
		return complain(row, "is no object", "", why);
	row->tombstone = strcmp(row->kind, TEARDOWN_KIND) == 0;
	row->made = strcmp(row->kind, MADE_KIND) == 0;
	row->unmade = strcmp(row->kind, UNMADE_KIND) == 0;
	kind = row->tombstone || row->made || row->unmade ? object_kind_of(tape->v)
							  : kind_by_store_name(row->kind);
	if (!kind)
		return complain(row, "is of a kind that this netd does not know", "", why);
	r = object_new(kind, tape->v, bytes, row->rev, ret);
	if (r < 0)
		return r;
	wrong = disagrees(row, *ret);
	if (!wrong)
		return 0;
	object_unref(take_ptr(*ret));
	return complain(row, wrong, "", why);
}

#define TWICE "is there twice, by name or by uid"

/** A row on its way to being an object. */
struct waiting {
	struct row row;
	struct bytes *bytes;
	struct object *obj;             /* when @rc is 0 */
	int rc;
};

/** Rows that are decoded together, by one thread. */
struct batch {
	struct waiting v[BATCH];
	size_t n;
	struct arena arena;             /* of their keys */
	struct tape tape;               /* of the one that is being decoded */
	char why[STORE_WORDS];          /* of the one that failed, behind which none is decoded */
	pthread_t thread;
	bool away;                      /* it is the thread's */
	bool done;                      /* atomic; the thread is through */
	bool huge;                      /* it is one of many */
};

struct loading {
	struct state *state;
	char *error;
	struct batch *filling, *other;
	size_t nbatches;
};

static int keep_object(struct loading *l, const struct row *row, struct object *obj)
{
	struct state *state = l->state;
	int r = map_add(&state->by_uid, obj->meta->uid, obj);

	if (r == -EEXIST)
		return complain(row, TWICE, "", l->error);
	return r < 0 ? r : cache_append(&state->caches[obj->kind->id], obj);
}

/** A cache that is sorted by a thread. */
struct sorting {
	struct cache *cache;
	const struct object *twice;
	int rc;
};

static void *sort(void *arg)
{
	struct sorting *s = arg;

	s->rc = cache_sort(s->cache, &s->twice);
	return NULL;
}

static int sorted(struct loading *l, const struct sorting *s)
{
	struct row row;

	if (s->rc < 0 || !s->twice)
		return s->rc;
	row = (struct row){ .kind = s->twice->kind->store_name, .ns = s->twice->meta->ns,
			    .name = s->twice->meta->name };
	return complain(&row, TWICE, "", l->error);
}

/* The largest cache by another thread, the rest by this one. */
static int sort_objects(struct loading *l)
{
	struct sorting all[KIND_COUNT + 1] = { { .cache = &l->state->made } }, *largest = all;
	pthread_t thread;
	bool away;
	int r = 0;

	for (size_t i = 0; i < KIND_COUNT; i++) {
		all[i + 1] = (struct sorting){ .cache = &l->state->caches[i] };
		if (all[i + 1].cache->n > largest->cache->n)
			largest = &all[i + 1];
	}
	away = largest->cache->n > BATCH && pthread_create(&thread, NULL, sort, largest) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!away || &all[i] != largest)
			sort(&all[i]);
	if (away)
		pthread_join(thread, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++)
		r = sorted(l, &all[i]);
	return r;
}

static void *decode(void *arg)
{
	struct batch *b = arg;
	int r = 0;

	for (size_t i = 0; i < b->n && r == 0; i++)
		r = b->v[i].rc = row_object(&b->v[i].row, b->v[i].bytes, &b->tape, &b->v[i].obj,
					    b->why);
	__atomic_store_n(&b->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *decode_away(void *arg)
{
	const struct batch *b = arg;

	if (b->huge)
		heap_huge_thread();
	heap_grow(BATCH * ROW_BYTES);
	return decode(arg);
}

static int keep(struct loading *l, struct waiting *w, const char *why)
{
	if (w->rc == -EBADMSG)
		snprintf(l->error, STORE_WORDS, "%s", why);
	if (w->rc < 0)
		return w->rc;
	if (w->row.made || w->row.unmade)
		return pending_load(l->state, w->obj, w->row.unmade);
	if (!w->row.tombstone)
		return keep_object(l, &w->row, w->obj);
	w->obj->rev = w->obj->meta->rev;        /* it is kept under a later revision than its own */
	return tombstone_add(l->state, w->obj);
}

static void forget(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		bytes_unref(b->v[i].bytes);
		object_unref(b->v[i].obj);
	}
	b->n = 0;
	arena_fini(&b->arena);
}

/* What was decoded goes to the state, and the batch is empty again. */
static int take(struct loading *l, struct batch *b)
{
	int r = 0;

	if (b->away)
		pthread_join(b->thread, NULL);
	b->away = false;
	for (size_t i = 0; i < b->n && r == 0; i++)
		r = keep(l, &b->v[i], b->why);
	forget(b);
	return r;
}

static bool send_away(struct batch *b)
{
	b->done = false;
	b->away = pthread_create(&b->thread, NULL, decode_away, b) == 0;
	return b->away;
}

/* The batch is full: the other thread's, or, while that is at work, decoded here. */
static int turn(struct loading *l)
{
	struct batch *full = l->filling;
	bool busy = l->other->away && !__atomic_load_n(&l->other->done, __ATOMIC_ACQUIRE);
	int r;

	full->huge = ++l->nbatches >= MANY;
	if (l->nbatches == MANY)
		heap_huge();
	heap_grown();
	if (busy || !send_away(full)) {
		decode(full);
		return take(l, full);
	}
	r = take(l, l->other);
	l->filling = l->other;
	l->other = full;
	return r;
}

static int load_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		       const char *text, size_t len)
{
	struct loading *l = arg;
	struct batch *b = l->filling;
	struct waiting *w = &b->v[b->n];

	*w = (struct waiting){ .bytes = bytes_new(text, len) };
	w->row = (struct row){ arena_strdup(&b->arena, kind), arena_strdup(&b->arena, ns),
			       arena_strdup(&b->arena, name), .rev = rev };
	b->n++;
	if (!w->bytes || !w->row.kind || !w->row.ns || !w->row.name)
		return -ENOMEM;
	return b->n < BATCH ? 0 : turn(l);
}

static int load_objects(struct loading *l)
{
	_cleanup_free_ struct batch *batches = calloc(2, sizeof(*batches));
	int r, last;

	if (!batches)
		return -ENOMEM;
	l->filling = &batches[0];
	l->other = &batches[1];
	r = store_load(l->state->store, load_object, l);
	if (r == 0) {
		decode(l->filling);
		r = take(l, l->filling);
	}
	forget(l->filling);
	last = take(l, l->other);       /* also after a failure: it has a thread */
	heap_small();
	tape_fini(&batches[0].tape);
	tape_fini(&batches[1].tape);
	r = r < 0 ? r : last;
	return r < 0 ? r : sort_objects(l);
}

static int load_claim(void *arg, const char *kind, const char *key, const char *owner,
		      int64_t free_after)
{
	const struct loading *l = arg;
	int r = ipam_load(l->state->ipam, kind, key, owner, claim_cooling(free_after));

	l->state->nlost += claim_is_lost(l->state, kind, owner);
	if (r == 0 && l->state->cluster && *owner && claim_is_shared(kind, key))
		r = claims_note(l->state->cluster, kind, key, owner);
	if (r != -EINVAL)
		return r;
	snprintf(l->error, STORE_WORDS, "the claim %.60s %.100s cannot be read", kind, key);
	return -EBADMSG;
}

/* The Node comes before the claims: only its own blocks are this node's. */
int state_load(struct state *state, char error[STORE_WORDS])
{
	struct loading l = { .state = state, .error = error };
	struct object *node;
	int r;

	error[0] = '\0';
	r = load_objects(&l);
	if (r < 0)
		return error[0] ? r : state_fail(error, r, "reading the objects");
	node = state_get(state, &kinds[KIND_NODE], "", state->conf->node_name);
	r = node ? state_set_node(state, node->meta->uid) : 0;
	if (r == 0)
		r = store_load_claims(state->store, load_claim, &l);
	return r < 0 && !error[0] ? state_fail(error, r, "reading the claims") : r;
}
