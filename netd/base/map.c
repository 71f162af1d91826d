/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map.c - string-keyed hash map
 *
 * Room: memory only.  Clients choose the keys, so the hash is SipHash-1-3 (Aumasson, Bernstein)
 * with a random key per map.  Linear probing, at most three quarters full; a removal shifts the
 * run behind it back, so that there are no tombstones.  May include: netd/base, libpodnet/base/sip.h, libc.
 */
#include <errno.h>
#include <libpodnet/base/sip.h>
#include <netd/base/base.h>

struct map_slot {
	const char *key;            /* NULL: free */
	void *value;
	uint64_t hash;
};

static uint64_t siphash(const uint64_t key[2], const char *s)
{
	size_t len = strlen(s), left = len;
	uint64_t v[4], word;

	sip_begin(v, key);
	for (; left >= 8; left -= 8, s += 8) {
		memcpy(&word, s, 8);
		sip_word(v, word);
	}
	word = 0;
	memcpy(&word, s, left);
	sip_word(v, word | (uint64_t)len << 56);
	v[2] ^= 0xff;
	return sip_end(v);
}

/* The slot that has @key, or the free one where it belongs.  There is always a free one. */
static struct map_slot *find(const struct map *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->cap - 1);

	while (m->slots[i].key &&
	       (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static int grow(struct map *m)
{
	struct map bigger = { .cap = m->cap ? m->cap * 2 : 8, .n = m->n };

	memcpy(bigger.key, m->key, sizeof(bigger.key));
	if (!m->cap && random_bytes(bigger.key, sizeof(bigger.key)) < 0)
		return -ENOMEM;
	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key)
			*find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

void *map_get(const struct map *m, const char *key)
{
	return m->n ? find(m, key, siphash(m->key, key))->value : NULL;
}

static int put(struct map *m, const char *key, void *value, bool replace)
{
	struct map_slot *s;
	uint64_t hash;

	if ((m->n + 1) * 4 > m->cap * 3 && grow(m) < 0)
		return -ENOMEM;
	hash = siphash(m->key, key);
	s = find(m, key, hash);
	if (s->key && !replace)
		return -EEXIST;
	m->n += !s->key;
	*s = (struct map_slot){ key, value, hash };
	return 0;
}

int map_put(struct map *m, const char *key, void *value)
{
	return put(m, key, value, true);
}

int map_add(struct map *m, const char *key, void *value)
{
	return put(m, key, value, false);
}

void *map_del(struct map *m, const char *key)
{
	struct map_slot *s = m->n ? find(m, key, siphash(m->key, key)) : NULL;
	size_t mask = m->cap - 1, hole, i;
	void *value;

	if (!s || !s->key)
		return NULL;
	value = s->value;
	hole = (size_t)(s - m->slots);
	for (i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		/* it may fill the hole unless its home lies behind the hole */
		if (((i - m->slots[i].hash) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_slot){ 0 };
	m->n--;
	return value;
}

void *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->cap) {
		const struct map_slot *s = &m->slots[(*pos)++];

		if (s->key)
			return s->value;
	}
	return NULL;
}

void map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}
