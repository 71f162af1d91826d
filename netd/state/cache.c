/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cache.c - the objects of one kind in order of namespace and name, and the tombstones
 *
 * Room: state; memory only.  A sorted array: lists and watches want the order, look-ups are a
 * binary search, and a version costs two pointers.  May include: netd/base.
 */
#include "internal.h"
#include <endian.h>
#include <errno.h>

static const struct meta *slot_meta(const struct slot *s)
{
	return s->accepted ? s->accepted->meta : s->committed->meta;
}

static int key_cmp(const struct slot *s, const char *ns, const char *name)
{
	const struct meta *m = slot_meta(s);
	int cmp = strcmp(m->ns, ns);

	return cmp ? cmp : strcmp(m->name, name);
}

/* Whoever comes next is often beside whoever came last, or the same: its version has committed. */
static void near_last(const struct cache *c, const char *ns, const char *name, size_t *low,
		      size_t *high)
{
	size_t next = c->last + 1;
	int cmp;

	if (next > c->n)
		return;
	cmp = key_cmp(&c->slots[c->last], ns, name);
	if (cmp >= 0) {
		*high = c->last;
		*low = cmp ? 0 : c->last;
	} else if (next == c->n || key_cmp(&c->slots[next], ns, name) >= 0) {
		*low = *high = next;
	} else {
		*low = next + 1;
	}
}

size_t cache_find(const struct cache *c, const char *ns, const char *name, bool *found)
{
	size_t low = 0, high = c->n;

	near_last(c, ns, name, &low, &high);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (key_cmp(&c->slots[mid], ns, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < c->n && key_cmp(&c->slots[low], ns, name) == 0;
	return low;
}

struct slot *cache_slot(const struct cache *c, const char *ns, const char *name)
{
	bool found;
	size_t i = cache_find(c, ns, name, &found);

	return found ? &c->slots[i] : NULL;
}

static int make_room(struct cache *c)
{
	size_t cap = c->cap + c->cap / 2 + 8;
	struct slot *slots;

	if (c->n < c->cap)
		return 0;
	slots = realloc(c->slots, cap * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	c->slots = slots;
	c->cap = cap;
	return 0;
}

static int insert(struct cache *c, size_t i)
{
	if (make_room(c) < 0)
		return -ENOMEM;
	memmove(&c->slots[i + 1], &c->slots[i], (c->n - i) * sizeof(*c->slots));
	c->slots[i] = (struct slot){ 0 };
	c->n++;
	return 0;
}

static const char *identity_of(const struct object *obj)
{
	size_t at = obj ? obj->kind->identity : 0;

	return at ? *(const char *const *)((const char *)obj->model + at) : NULL;
}

static int index_add(struct cache *c, struct object *obj)
{
	const char *identity = identity_of(obj);

	return identity ? map_put(&c->by_identity, identity, obj) : 0;
}

/* Unless it is by now another one's, or that of its next version. */
static void index_remove(struct cache *c, const struct object *obj)
{
	const char *identity = identity_of(obj);

	if (identity && map_get(&c->by_identity, identity) == obj)
		map_del(&c->by_identity, identity);
}

static int set(struct cache *c, const struct meta *key, bool commit, struct object *obj)
{
	struct object **where, *was;
	bool found;
	size_t i = cache_find(c, key->ns, key->name, &found);

	if (!found && !obj)
		return 0;
	if (!commit && index_add(c, obj) < 0)
		return -ENOMEM;
	if (!found && insert(c, i) < 0) {
		index_remove(c, obj);
		return -ENOMEM;
	}
	c->last = i;
	where = commit ? &c->slots[i].committed : &c->slots[i].accepted;
	was = *where;
	*where = object_ref(obj);
	if (!commit && was != obj)
		index_remove(c, was);
	if (!c->slots[i].committed && !c->slots[i].accepted) {
		c->n--;
		memmove(&c->slots[i], &c->slots[i + 1], (c->n - i) * sizeof(*c->slots));
	}
	object_unref(was);      /* may be what @key lives in */
	return 0;
}

int cache_append(struct cache *c, struct object *obj)
{
	if (make_room(c) < 0 || index_add(c, obj) < 0)
		return -ENOMEM;
	c->slots[c->n++] = (struct slot){ object_ref(obj), object_ref(obj) };
	return 0;
}

/** A slot with the beginnings of its names, so that a comparison seldom has to fetch them. */
struct sortable {
	uint64_t ns, name;
	struct slot slot;
};

static uint64_t beginning(const char *s)
{
	char head[8] = { 0 };
	uint64_t n;

	memcpy(head, s, strnlen(s, sizeof(head)));
	memcpy(&n, head, sizeof(n));
	return be64toh(n);
}

static int sortable_cmp(const void *a, const void *b)
{
	const struct sortable *x = a, *y = b;
	const struct meta *m = slot_meta(&y->slot);

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	if (x->name != y->name && !(x->ns & 0xff))     /* all of the namespace is in it */
		return x->name < y->name ? -1 : 1;
	return key_cmp(&x->slot, m->ns, m->name);
}

int cache_sort(struct cache *c, const struct object **twice)
{
	struct sortable *v = calloc(c->n + 1, sizeof(*v));

	*twice = NULL;
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++) {
		const struct meta *m = slot_meta(&c->slots[i]);

		v[i] = (struct sortable){ beginning(m->ns), beginning(m->name), c->slots[i] };
	}
	qsort(v, c->n, sizeof(*v), sortable_cmp);
	for (size_t i = 0; i < c->n; i++) {
		c->slots[i] = v[i].slot;
		if (i && sortable_cmp(&v[i - 1], &v[i]) == 0)
			*twice = c->slots[i].committed;
	}
	free(v);
	return 0;
}

int cache_accept(struct cache *c, const struct meta *key, struct object *obj)
{
	return set(c, key, false, obj);
}

int cache_commit(struct cache *c, const struct meta *key, struct object *obj)
{
	return set(c, key, true, obj);
}

int tombstone_add(struct state *state, struct object *last)
{
	if (state->ntombs == state->tombs_cap) {
		size_t cap = state->tombs_cap + state->tombs_cap / 2 + 8;
		struct tombstone *tombs = realloc(state->tombs, cap * sizeof(*tombs));

		if (!tombs)
			return -ENOMEM;
		state->tombs = tombs;
		state->tombs_cap = cap;
	}
	state->tombs[state->ntombs++] = (struct tombstone){ object_ref(last), false };
	return 0;
}

struct tombstone *tombstone_find(struct state *state, const char *uid, uint64_t rev)
{
	for (size_t i = 0; i < state->ntombs; i++)
		if (state->tombs[i].last->rev == rev &&
		    strcmp(state->tombs[i].last->meta->uid, uid) == 0)
			return &state->tombs[i];
	return NULL;
}

void tombstone_remove(struct state *state, const char *uid, uint64_t rev)
{
	struct tombstone *t = tombstone_find(state, uid, rev);

	if (!t)
		return;
	object_unref(t->last);
	*t = state->tombs[--state->ntombs];
}
