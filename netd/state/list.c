/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.c - everything that etcd has, compared with what is here
 *
 * Room: state.  For a node without a replica, and for one that was away so long that what it missed is
 * compacted.  All pages are of one revision.  What differs is delivered in the order of revisions;
 * what has gone gets a number between, which was given to nothing that is left: a watcher here sees
 * each change once, and a crash between two transactions of the replica leaves all that is older.
 * May include: netd/cluster/etcd.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 200

struct change {
	uint64_t rev;
	struct etcd_kv kv;          /* key NULL: it has gone, and ... */
	const struct object *gone;
};

struct listing {
	struct cluster *cluster;
	int64_t revision;
	struct arena arena;
	struct map there;           /* keys of objects */
	struct change *v;
	size_t n, cap;
	bool dead;                  /* an answer is under way, and nobody wants it */
};

static void list_free(struct listing *l)
{
	if (!l)
		return;
	arena_fini(&l->arena);
	map_fini(&l->there);
	free(l->v);
	free(l);
}

static int add(struct listing *l, const struct change *change)
{
	size_t cap = l->cap ? 2 * l->cap : 256;
	struct change *v;

	if (l->n == l->cap) {
		v = reallocarray(l->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *change;
	return 0;
}

static int copy(struct listing *l, const struct etcd_kv *kv, uint64_t rev)
{
	struct change change = { .rev = rev, .kv = *kv };
	char *value = arena_alloc(&l->arena, kv->len + 1);

	change.kv.key = arena_strdup(&l->arena, kv->key);
	change.kv.value = value;
	if (!value || !change.kv.key)
		return -ENOMEM;
	memcpy(value, kv->value, kv->len);
	return add(l, &change);
}

static int take_object(struct listing *l, const struct etcd_kv *kv)
{
	uint64_t rev = l->cluster->base + (uint64_t)kv->modified;
	const struct kind *kind;
	const struct slot *s;
	const char *ns, *name;
	char buf[KEY_SIZE], *key = arena_strdup(&l->arena, kv->key);

	if (!key || map_put(&l->there, key, key) < 0)
		return -ENOMEM;
	if (!key_object(kv->key, buf, &kind, &ns, &name))
		return 0;
	s = cache_slot(&l->cluster->state->caches[kind->id], ns, name);
	return s && s->committed && s->committed->rev == rev ? 0 : copy(l, kv, rev);
}

static int take(struct listing *l, const struct etcd_kv *kv)
{
	if (strncmp(kv->key, KEY_OBJECTS, strlen(KEY_OBJECTS)) == 0)
		return take_object(l, kv);
	if (strncmp(kv->key, KEY_LEASES, strlen(KEY_LEASES)) == 0)
		lease_list(l->cluster, kv);
	return strncmp(kv->key, KEY_CLAIMS, strlen(KEY_CLAIMS)) == 0 ? copy(l, kv, 0) : 0;
}

static int take_gone(void *arg, struct object *obj)
{
	struct listing *l = arg;
	char key[KEY_SIZE];

	if (map_get(&l->there, key_of_object(obj->kind, obj->meta, key)))
		return 0;
	return add(l, &(struct change){ .gone = object_ref(obj) });
}

static int by_rev(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->rev != y->rev)
		return x->rev < y->rev ? -1 : 1;
	return (y->gone != NULL) - (x->gone != NULL);
}

/* What has gone has no revision yet and stands in front, before claims, which have none. */
static void number_gone(struct listing *l)
{
	uint64_t next = l->cluster->state->revision + 1;
	size_t gone = 0, at;

	while (gone < l->n && l->v[gone].gone)
		gone++;
	at = gone;
	for (size_t i = 0; i < gone; i++, next++) {
		while (at < l->n && l->v[at].rev <= next)
			next += l->v[at++].rev == next;
		l->v[i].rev = next;
	}
}

static int deliver_change(struct delivery *d, const struct change *change, uint64_t known)
{
	const struct object *gone = change->gone;

	d->quiet = change->rev <= known;
	if (!gone && !change->rev)
		return deliver_claim(d, &change->kv);
	return gone ? deliver_gone(d, gone->kind, gone->meta->ns, gone->meta->name, change->rev)
		    : deliver_put(d, &change->kv, change->rev);
}

static int deliver_all(struct listing *l)
{
	struct cluster *c = l->cluster;
	uint64_t known = c->state->revision;
	struct delivery d = { 0 };
	int r = delivery_begin(c, false, &d);

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		r = deliver_change(&d, &l->v[i], known);
		if (r < 0 || d.events < DELIVERY_EVENTS)
			continue;
		r = delivery_end(&d, c->seen);
		if (r == 0)
			r = delivery_begin(c, false, &d);
	}
	if (r < 0) {
		txn_drop(d.txn);
		return r;
	}
	return delivery_end(&d, l->revision);
}

/* All that came by the watch or were loaded count as any other: only what is in this list is listed. */
static void begin_claims(struct cluster *c)
{
	struct shared_claim *claim;
	size_t pos = 0;

	while ((claim = map_next(&c->claims, &pos)))
		claim->listed = false;
}

/* Claims that nobody has any more. */
static int drop_claims(struct listing *l)
{
	struct cluster *c = l->cluster;
	struct shared_claim *claim;
	struct delivery d = { 0 };
	size_t pos = 0, n = 0;
	char (*keys)[KEY_SIZE] = calloc(c->claims.n + 1, sizeof(*keys));
	int r = keys ? delivery_begin(c, false, &d) : -ENOMEM;

	while (r == 0 && (claim = map_next(&c->claims, &pos))) {
		if (!claim->listed)
			snprintf(keys[n++], KEY_SIZE, KEY_CLAIMS "%s", claim->key);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = deliver_claim(&d, &(struct etcd_kv){ .key = keys[i], .value = "", .deleted = true });
	free(keys);
	if (r < 0) {
		txn_drop(d.txn);
		return r;
	}
	return delivery_end(&d, l->revision);
}

static int set_node(void *arg, const char *kind, const char *key, const char *owner)
{
	struct cluster *c = arg;
	const char *slash = strchr(key, '/');
	char network[300];
	struct podnet_prefix p;

	if (strcmp(owner, c->state->node_uid) != 0 || !slash ||
	    podnet_prefix_parse(slash + 1, &p) < 0)
		return 0;
	snprintf(network, sizeof(network), "%.*s", (int)(slash - key), key);
	ipam_give_block(c->state->ipam, network, &p);
	return ipam_load(c->state->ipam, kind, key, owner, 0);
}

/* A node that lost its disk finds its Node there, and its blocks are its own again. */
static int find_node(struct listing *l)
{
	struct state *state = l->cluster->state;
	struct object *obj = NULL;
	int r;

	for (size_t i = 0; i < l->n; i++) {
		const struct change *change = &l->v[i];

		if (change->gone || !change->rev)
			continue;
		obj = state_accepted(state, &kinds[KIND_NODE], "", state->conf->node_name);
		break;
	}
	if (!obj || strcmp(state->node_uid, obj->meta->uid) == 0)
		return 0;
	r = state_set_node(state, obj->meta->uid);
	return r < 0 ? r : claims_each(l->cluster, "block/", set_node, l->cluster);
}

static int finish(struct listing *l)
{
	struct cluster *c = l->cluster;
	int r = 0;

	for (size_t i = 0; r == 0 && i < KIND_COUNT; i++)
		r = state_each(c->state, &kinds[i], NULL, take_gone, l);
	if (r < 0)
		return r;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_rev);
	number_gone(l);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_rev);
	begin_claims(c);
	r = deliver_all(l);
	if (r == 0)
		r = drop_claims(l);
	return r < 0 ? r : find_node(l);
}

static void page(void *arg, int rc, const char *words, const struct etcd_reply *reply);

static int ask(struct listing *l, const char *behind)
{
	char from[KEY_SIZE + 2], end[64];
	struct etcd_range range = { .from = from, .end = etcd_prefix_end(KEY_ALL, end),
				    .limit = PAGE, .revision = l->revision };

	snprintf(from, sizeof(from), "%s%s", behind ? behind : KEY_ALL, behind ? "\1" : "");
	return etcd_get(l->cluster->etcd, &range, page, l);
}

static void done(struct listing *l, int r)
{
	struct cluster *c = l->cluster;

	for (size_t i = 0; i < l->n; i++)
		object_unref((struct object *)(uintptr_t)l->v[i].gone);
	c->listing = NULL;
	list_free(l);
	if (r < 0) {
		cluster_lost(c, r, "EtcdUnreachable", strerror(-r));
		return;
	}
	c->must_list = false;
	cluster_follow(c);
}

static void page(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct listing *l = arg;
	struct cluster *c = l->cluster;

	if (l->dead) {
		list_free(l);
		return;
	}
	if (rc < 0) {
		c->listing = NULL;
		list_free(l);
		cluster_lost(c, rc, "EtcdUnreachable", words);
		return;
	}
	for (size_t i = 0; rc == 0 && i < reply->n; i++)
		rc = take(l, &reply->kvs[i]);
	if (rc == 0 && reply->more && reply->n) {
		rc = ask(l, reply->kvs[reply->n - 1].key);
		if (rc == 0)
			return;
	}
	done(l, rc == 0 ? finish(l) : rc);
}

void list_drop(struct cluster *c)
{
	if (c->listing)
		c->listing->dead = true;        /* its answer frees it */
	c->listing = NULL;
}

int list_begin(struct cluster *c, int64_t revision)
{
	struct listing *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->cluster = c;
	l->revision = revision;
	c->part = true;
	r = store_meta_put(c->state->store, CLUSTER_META_WHOLE, "no");
	if (r == 0)
		r = ask(l, NULL);
	if (r < 0) {
		list_free(l);
		return r;
	}
	c->listing = l;
	c->link = LINK_LISTING;
	return 0;
}
