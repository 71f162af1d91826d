/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.c - the store without a database: for tests
 *
 * Room: maps and an array of events behind one lock.  apply() makes all the room that a change
 * needs, so that commit() cannot fail; an entry that was only made room for has no value.
 * May include: netd/base, libc.
 */
#include <errno.h>
#include <netd/base/limits.h>
#include <netd/store/backend.h>
#include <pthread.h>
#include <stdio.h>

struct object {
	char *kind, *ns, *name;     /* in the arena; as is the map's key */
	uint64_t rev;
	struct bytes *bytes;        /* NULL: not there */
};

struct claim {
	char *kind, *key, *owner;   /* owner: malloc, NULL: not claimed; "": cooling down */
	int64_t free_after;
};

struct event {
	uint64_t rev;
	enum store_event_type type;
	struct object *object;
	struct bytes *bytes, *prev;
};

struct change {
	const struct store_op *op;
	struct object *object;
	struct claim *claim;
	char *owner;                /* what the claim will have */
};

struct memory {
	struct backend b;
	pthread_mutex_t lock;
	struct arena arena;         /* names live as long as the store */
	struct map objects, claims, meta;
	struct event *events;
	size_t n_events, cap_events, keep;
	uint64_t trimmed;
	struct change *changes;
	size_t n_changes, cap_changes;
};

static struct memory *of(struct backend *b)
{
	return (struct memory *)b;
}

static int grow(void **v, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *p;

	if (n < *cap)
		return 0;
	p = realloc(*v, more * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*cap = more;
	return 0;
}

static struct object *object_of(struct memory *m, const struct store_op *op)
{
	char *key = arena_printf(&m->arena, "%s/%s/%s", op->kind, op->ns, op->name);
	struct object *o = key ? map_get(&m->objects, key) : NULL;

	if (o || !key)
		return o;
	o = arena_alloc(&m->arena, sizeof(*o));
	if (!o)
		return NULL;
	o->kind = arena_strdup(&m->arena, op->kind);
	o->ns = arena_strdup(&m->arena, op->ns);
	o->name = arena_strdup(&m->arena, op->name);
	if (!o->kind || !o->ns || !o->name || map_put(&m->objects, key, o) < 0)
		return NULL;
	return o;
}

static struct claim *claim_of(struct memory *m, const struct store_op *op)
{
	char *key = arena_printf(&m->arena, "%s/%s", op->kind, op->name);
	struct claim *c = key ? map_get(&m->claims, key) : NULL;

	if (c || !key)
		return c;
	c = arena_alloc(&m->arena, sizeof(*c));
	if (!c)
		return NULL;
	c->kind = arena_strdup(&m->arena, op->kind);
	c->key = arena_strdup(&m->arena, op->name);
	if (!c->kind || !c->key || map_put(&m->claims, key, c) < 0)
		return NULL;
	return c;
}

static int begin(struct backend *b, bool durable)
{
	(void)durable;
	pthread_mutex_lock(&of(b)->lock);
	return 0;
}

static void changes_drop(struct memory *m)
{
	for (size_t i = 0; i < m->n_changes; i++)
		free(m->changes[i].owner);
	m->n_changes = 0;
	pthread_mutex_unlock(&m->lock);
}

static void rollback(struct backend *b)
{
	changes_drop(of(b));
}

/* Who has @claim as the open transaction sees it. */
static const char *owner_of(const struct memory *m, const struct claim *claim, int64_t *free_after)
{
	for (size_t i = m->n_changes; i-- > 0;) {
		if (m->changes[i].claim != claim)
			continue;
		*free_after = m->changes[i].op->free_after;
		return m->changes[i].owner;
	}
	*free_after = claim->free_after;
	return claim->owner;
}

static int apply_claim(struct memory *m, struct change *change)
{
	const struct store_op *op = change->op;
	const char *owner;
	int64_t free_after;

	change->claim = claim_of(m, op);
	if (!change->claim)
		return -ENOMEM;
	owner = owner_of(m, change->claim, &free_after);
	if (op->type == STORE_RELEASE) {
		if (op->owner && (!owner || strcmp(owner, op->owner) != 0))
			return 1;
		if (!owner || op->free_after <= now_realtime_s())
			return 0;
	} else if (owner && strcmp(owner, op->owner) != 0 &&
		   (*owner || (!op->cooled && free_after > now_realtime_s()))) {
		snprintf(m->b.error, sizeof(m->b.error), "%s %s is claimed", op->kind, op->name);
		return -EEXIST;
	}
	change->owner = strdup(op->type == STORE_CLAIM ? op->owner : "");
	return change->owner ? 0 : -ENOMEM;
}

static int apply(struct backend *b, const struct store_op *op)
{
	struct memory *m = of(b);
	struct change change = { .op = op };
	int r = grow((void **)&m->changes, &m->cap_changes, m->n_changes, sizeof(*m->changes));

	if (r == 0 && (op->type == STORE_CLAIM || op->type == STORE_RELEASE)) {
		r = apply_claim(m, &change);
	} else if (r == 0) {
		change.object = object_of(m, op);
		r = change.object ? grow((void **)&m->events, &m->cap_events,
					 m->n_events + m->n_changes, sizeof(*m->events)) : -ENOMEM;
	}
	if (r == 0)
		m->changes[m->n_changes++] = change;
	return r < 0 ? r : 0;
}

static int ceiling(struct backend *b, uint64_t rev)
{
	(void)b;
	(void)rev;
	return 0;
}

static void trim(struct memory *m)
{
	size_t n = m->n_events > m->keep + m->keep / 8 ? m->n_events - m->keep : 0;

	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		m->trimmed = m->events[i].rev;
		bytes_unref(m->events[i].bytes);
		bytes_unref(m->events[i].prev);
	}
	m->n_events -= n;
	memmove(m->events, m->events + n, m->n_events * sizeof(*m->events));
}

static void commit_object(struct memory *m, const struct change *c)
{
	enum store_event_type type = c->op->type == STORE_DELETE ? STORE_DELETED :
				     c->object->bytes ? STORE_MODIFIED : STORE_ADDED;

	if (!c->op->quiet)
		m->events[m->n_events++] = (struct event){
			c->op->rev, type, c->object, bytes_ref(c->op->bytes),
			bytes_ref(c->op->prev) };
	bytes_unref(c->object->bytes);
	c->object->bytes = type == STORE_DELETED ? NULL : bytes_ref(c->op->bytes);
	c->object->rev = c->op->rev;
}

static int commit(struct backend *b)
{
	struct memory *m = of(b);

	for (size_t i = 0; i < m->n_changes; i++) {
		struct change *c = &m->changes[i];

		if (c->object) {
			commit_object(m, c);
			continue;
		}
		free(c->claim->owner);
		c->claim->owner = take_ptr(c->owner);
		c->claim->free_after = c->op->free_after;
	}
	trim(m);
	changes_drop(m);
	return 0;
}

static int probe(struct backend *b)
{
	(void)b;
	return 0;
}

static bool lost(struct backend *b, uint64_t rev)
{
	(void)b;
	(void)rev;
	return false;
}

static bool tidy(struct backend *b, bool must)
{
	(void)b;
	(void)must;
	return false;
}

static bool untidy(const struct backend *b)
{
	(void)b;
	return false;
}

static int load(struct backend *b,
		int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			    uint64_t rev, const char *bytes, size_t len), void *arg)
{
	struct memory *m = of(b);
	const struct object *o;
	size_t pos = 0;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	while (r >= 0 && (o = map_next(&m->objects, &pos)))
		if (o->bytes)
			r = each(arg, o->kind, o->ns, o->name, o->rev, o->bytes->data,
				 o->bytes->len);
	pthread_mutex_unlock(&m->lock);
	return r < 0 ? r : 0;
}

static int load_claims(struct backend *b,
		       int (*each)(void *arg, const char *kind, const char *key, const char *owner,
				   int64_t free_after), void *arg)
{
	struct memory *m = of(b);
	const struct claim *c;
	size_t pos = 0;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	while (r >= 0 && (c = map_next(&m->claims, &pos)))
		if (c->owner)
			r = each(arg, c->kind, c->key, c->owner, c->free_after);
	pthread_mutex_unlock(&m->lock);
	return r < 0 ? r : 0;
}

static int meta_get(struct backend *b, const char *key, char *buf, size_t size)
{
	const char *value = map_get(&of(b)->meta, key);

	if (!value)
		return -ENOENT;
	if (strlen(value) >= size)
		return -ENOBUFS;
	snprintf(buf, size, "%s", value);
	return 0;
}

static int meta_put(struct backend *b, const char *key, const char *value)
{
	struct memory *m = of(b);
	char *k, *v;
	int r = -ENOMEM;

	pthread_mutex_lock(&m->lock);
	k = arena_strdup(&m->arena, key);
	v = arena_strdup(&m->arena, value);
	if (k && v)
		r = map_put(&m->meta, k, v);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int history(struct backend *b, const char *only, uint64_t after, unsigned max,
		   int (*each)(void *arg, uint64_t rev, enum store_event_type type,
			       const char *kind, const char *ns, const char *name,
			       const char *bytes, size_t len, const char *prev, size_t prev_len),
		   void *arg)
{
	struct memory *m = of(b);
	int n = 0, r = 0;
	size_t i = 0;

	pthread_mutex_lock(&m->lock);
	if (after < m->trimmed)
		r = -ESTALE;
	while (i < m->n_events && m->events[i].rev <= after)
		i++;
	for (; r == 0 && i < m->n_events && (unsigned)n < max; i++) {
		const struct event *e = &m->events[i];

		if (only && strcmp(e->object->kind, only) != 0)
			continue;
		n++;
		r = each(arg, e->rev, e->type, e->object->kind, e->object->ns, e->object->name,
			 e->bytes->data, e->bytes->len, e->prev ? e->prev->data : NULL,
			 e->prev ? e->prev->len : 0);
	}
	pthread_mutex_unlock(&m->lock);
	return r < 0 ? r : n;
}

static void memory_close(struct backend *b, uint64_t rev)
{
	struct memory *m = of(b);
	struct object *o;
	struct claim *c;
	size_t pos = 0;

	(void)rev;
	while ((o = map_next(&m->objects, &pos)))
		bytes_unref(o->bytes);
	for (pos = 0; (c = map_next(&m->claims, &pos));)
		free(c->owner);
	for (size_t i = 0; i < m->n_events; i++) {
		bytes_unref(m->events[i].bytes);
		bytes_unref(m->events[i].prev);
	}
	map_fini(&m->objects);
	map_fini(&m->claims);
	map_fini(&m->meta);
	arena_fini(&m->arena);
	free(m->events);
	free(m->changes);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct backend_ops memory_ops = {
	.close = memory_close, .begin = begin, .apply = apply, .ceiling = ceiling,
	.commit = commit, .rollback = rollback, .probe = probe, .tidy = tidy, .untidy = untidy, .load = load,
	.load_claims = load_claims, .meta_get = meta_get, .meta_put = meta_put, .history = history, .lost = lost,
};

int memory_open(const struct store_config *conf, struct backend **ret)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	m->b = (struct backend){ .ops = &memory_ops, .rev = first_revision(conf) };
	m->b.ceiling = UINT64_MAX;
	m->trimmed = m->b.rev;
	m->keep = conf->history_events ? conf->history_events : LIMIT_HISTORY_EVENTS;
	*ret = &m->b;
	return 0;
}
