/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.c - pointers found by a hash, with open addressing
 *
 * Room: memory only.  May include: libc.
 *
 * Linear probing in a table that is at most three quarters full.  A removal moves what follows back
 * into the gap, so there are no marks of the deleted (Knuth, TAOCP 3, 6.4, algorithm R).
 */
#include <errno.h>
#include <libpodnet/base/base.h>

void *pn_table_get(const struct pn_table *t, uint64_t hash,
		   bool (*same)(const void *item, const void *key), const void *key)
{
	for (size_t i = hash; t->cap; i++) {
		struct pn_slot *slot = &t->v[i & (t->cap - 1)];

		if (!slot->item)
			return NULL;
		if (slot->hash == hash && same(slot->item, key))
			return slot->item;
	}
	return NULL;
}

static void insert(struct pn_table *t, uint64_t hash, void *item)
{
	size_t i = hash & (t->cap - 1);

	while (t->v[i].item)
		i = (i + 1) & (t->cap - 1);
	t->v[i] = (struct pn_slot){ hash, item };
	t->n++;
}

int pn_table_add(struct pn_table *t, uint64_t hash, void *item)
{
	struct pn_table grown = { .cap = t->cap ? 2 * t->cap : 64 };

	if (4 * (t->n + 1) > 3 * t->cap) {
		grown.v = calloc(grown.cap, sizeof(*grown.v));
		if (!grown.v)
			return -ENOMEM;
		for (size_t i = 0; i < t->cap; i++)
			if (t->v[i].item)
				insert(&grown, t->v[i].hash, t->v[i].item);
		free(t->v);
		*t = grown;
	}
	insert(t, hash, item);
	return 0;
}

void pn_table_remove(struct pn_table *t, uint64_t hash, const void *item)
{
	size_t mask = t->cap - 1, gap = hash & mask;

	while (t->v[gap].item != item)
		gap = (gap + 1) & mask;
	for (size_t i = (gap + 1) & mask; t->v[i].item; i = (i + 1) & mask) {
		size_t home = t->v[i].hash & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;       /* its place is behind the gap */
		t->v[gap] = t->v[i];
		gap = i;
	}
	t->v[gap] = (struct pn_slot){ 0, NULL };
	t->n--;
}

void *pn_table_next(const struct pn_table *t, size_t *i)
{
	while (*i < t->cap) {
		void *item = t->v[(*i)++].item;

		if (item)
			return item;
	}
	return NULL;
}
