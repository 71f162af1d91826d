/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cache.c - the objects of one kind in order of namespace and name, and the tombstones
 *
 * Room: state; memory only.  A sorted array: lists and watches want the order, look-ups are a
 * binary search, and a version costs two pointers.  May include: netd/base.
 */
#include "internal.h"
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

size_t cache_find(const struct cache *c, const char *ns, const char *name, bool *found)
{
	size_t low = 0, high = c->n;

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

/* The new slot is empty: the caller fills it before anything is looked up. */
int cache_insert(struct cache *c, const char *ns, const char *name, struct slot **ret)
{
	bool found;
	size_t i = cache_find(c, ns, name, &found);

	if (!found && c->n == c->cap) {
		size_t cap = c->cap + c->cap / 2 + 8;
		struct slot *slots = realloc(c->slots, cap * sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		c->slots = slots;
		c->cap = cap;
	}
	if (!found) {
		memmove(&c->slots[i + 1], &c->slots[i], (c->n - i) * sizeof(*c->slots));
		c->slots[i] = (struct slot){ 0 };
		c->n++;
	}
	*ret = &c->slots[i];
	return 0;
}

void cache_drop_empty(struct cache *c, size_t i)
{
	if (c->slots[i].committed || c->slots[i].accepted)
		return;
	c->n--;
	memmove(&c->slots[i], &c->slots[i + 1], (c->n - i) * sizeof(*c->slots));
}

void cache_set(struct object **where, struct object *obj)
{
	struct object *was = *where;

	*where = object_ref(obj);
	object_unref(was);
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
