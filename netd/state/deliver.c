/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deliver.c - what etcd tells becomes a transaction of the replica
 *
 * Room: state.  The one road on which a version of an object comes into memory: decoded, or where
 * this node wrote it the very version that was built here; then the replica, then the subscribers
 * and the observers, in order.  What comes a second time is passed over.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

DEFINE_CLEANUP(struct object, object_unref)

/*
 * A netd has written it, on one line and under some revision, of which only the digits are another now.
 * What is not so, whoever wrote it, is written anew.  0, -EINVAL (no JSON), -ENOMEM.
 */
static int stamp(const struct bytes *as, uint64_t rev, struct bytes **ret)
{
	_cleanup_(tape_fini) struct tape tape = { 0 };
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160], text[24];
	int r = tape_read(&tape, as->data, as->len, why);

	if (r < 0)
		return r;
	*ret = memchr(as->data, '\n', as->len) ? NULL : kind_restamp(&tape, as, rev);
	if (*ret)
		return 0;
	r = doc_parse(as->data, as->len, &doc, why);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)rev);
	if (doc_set_str(doc, "metadata.resourceVersion", text) == 0)
		*ret = doc_bytes(doc);
	return *ret ? 0 : -ENOMEM;
}

/* Whoever has a pointer to it sees the change: nobody but who wrote it does. */
int restamp(struct object *obj, uint64_t rev)
{
	struct bytes *bytes;
	int r;

	if (!obj || obj->rev == rev)
		return 0;
	r = stamp(obj->bytes, rev, &bytes);
	if (r < 0)
		return r;
	bytes_unref(obj->bytes);
	obj->bytes = bytes;
	obj->rev = rev;
	((struct meta *)(uintptr_t)obj->meta)->rev = rev;
	return 0;
}

static int decode(const struct kind *kind, const char *text, size_t len, uint64_t rev,
		  struct object **ret)
{
	_cleanup_(bytes_unrefp) struct bytes *as = bytes_new(text, len), *bytes = NULL;
	int r = as ? stamp(as, rev, &bytes) : -ENOMEM;

	return r < 0 ? r : object_read(kind, bytes, rev, ret);
}

/* What the last change that was delivered made of it, committed or not. */
static struct object *newest(struct cluster *c, const struct kind *kind, const char *ns,
			     const char *name, const struct delivery *d)
{
	const struct slot *s = cache_slot(&c->state->caches[kind->id], ns, name);
	struct object *obj = s ? s->committed : NULL;

	if (s && s->accepted == s->committed)
		return obj;
	for (const struct txn *t = c->state->first; t; t = t->next)
		(void)txn_writes(t, kind, ns, name, &obj);
	if (d)
		(void)txn_writes(d->txn, kind, ns, name, &obj);
	return obj;
}

/* Unless a write of ours is under way, which is built upon what was there before. */
static int accept(struct delivery *d, const struct kind *kind, const struct meta *key,
		  struct object *before, struct object *now, uint64_t rev)
{
	struct cache *cache = &d->cluster->state->caches[kind->id];
	const struct slot *s = cache_slot(cache, key->ns, key->name);
	const struct object *accepted = s ? s->accepted : NULL;

	if (accepted == before || (accepted && accepted->rev <= rev))
		return cache_accept(cache, key, now);
	return 0;
}

static int add(struct delivery *d, const struct kind *kind, struct object *before,
	       struct object *now, struct object *last, uint64_t rev)
{
	const struct object *any = now ? now : last;
	int r = txn_op(d->txn, &(struct store_op){
		.type = now ? STORE_PUT : STORE_DELETE, .rev = rev, .kind = kind->store_name,
		.ns = any->meta->ns, .name = any->meta->name, .bytes = any->bytes,
		.prev = before ? before->bytes : NULL, .quiet = d->quiet });

	if (r == 0)
		r = mine_changed(d->txn, before, now);
	if (r == 0)
		r = txn_write(d->txn, kind, before, now, last);
	if (r == 0 && kind->id == KIND_POD)
		r = pending_settle(d->txn, before, now);
	if (r == 0)
		r = accept(d, kind, any->meta, before, now, rev);
	d->events++;
	return r;
}

static void complain(const struct etcd_kv *kv, const char *why)
{
	char key[2 * KEY_SIZE], words[STORE_WORDS];

	log_event(LOG_LEVEL_ERROR, "cluster_object_unreadable", "key=%s err=%s",
		  log_quote(kv->key, key, sizeof(key)), log_quote(why, words, sizeof(words)));
}

static int put_foreign(struct delivery *d, const struct kind *kind, const char *ns,
		       const char *name, struct object *before, const struct etcd_kv *kv,
		       uint64_t rev)
{
	_cleanup_(object_unrefp) struct object *now = NULL;
	int r = decode(kind, kv->value, kv->len, rev, &now);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || strcmp(now->meta->ns, ns) != 0 || strcmp(now->meta->name, name) != 0 ||
	    !now->meta->uid || !*now->meta->uid) {
		complain(kv, r < 0 ? "it is no object" : "it is not what its key says");
		return 0;
	}
	return add(d, kind, before, now, NULL, rev);
}

int deliver_put(struct delivery *d, const struct etcd_kv *kv, uint64_t rev)
{
	struct cluster *c = d->cluster;
	const struct kind *kind;
	struct txn_write *w;
	struct object *before;
	const char *ns, *name;
	char buf[KEY_SIZE];

	if (!key_object(kv->key, buf, &kind, &ns, &name)) {
		complain(kv, "no object is called so");
		return 0;
	}
	before = newest(c, kind, ns, name, d);
	if (before && before->rev >= rev)
		return 0;
	w = send_adopt(c, kind, ns, name, kv);
	if (w && w->now && w->now->rev == rev)
		return add(d, kind, before, w->now, NULL, rev);
	return put_foreign(d, kind, ns, name, before, kv, rev);
}

int deliver_gone(struct delivery *d, const struct kind *kind, const char *ns, const char *name,
		 uint64_t rev)
{
	struct object *before = newest(d->cluster, kind, ns, name, d);
	_cleanup_(object_unrefp) struct object *last = NULL;
	int r;

	if (!before || before->rev >= rev)
		return 0;
	r = decode(kind, before->bytes->data, before->bytes->len, rev, &last);
	return r < 0 ? r : add(d, kind, before, NULL, last, rev);
}

static int row(struct delivery *d, const char *kind, const char *key, const char *owner)
{
	struct arena *arena = &d->txn->batch.arena;
	struct store_op op = {
		.type = STORE_RELEASE, .kind = arena_strdup(arena, kind), .ns = "",
		.name = arena_strdup(arena, key),
	};
	int r = op.kind && op.name ? txn_op(d->txn, &op) : -ENOMEM;

	if (r < 0 || !owner)
		return r;
	op.type = STORE_CLAIM;
	op.cooled = true;
	op.owner = arena_strdup(arena, owner);
	return op.owner ? txn_op(d->txn, &op) : -ENOMEM;
}

static int give(struct cluster *c, const char *kind, const char *key)
{
	const char *slash = strchr(key, '/');
	_cleanup_free_ char *network = slash ? strndup(key, (size_t)(slash - key)) : NULL;
	struct podnet_prefix p;

	if (!network)
		return slash ? -ENOMEM : 0;
	if (podnet_prefix_parse(slash + 1, &p) < 0)
		return 0;
	if (strcmp(kind, "block") == 0)
		ipam_give_block(c->state->ipam, network, &p);
	else
		ipam_give(c->state->ipam, network, &p, 0);
	return 0;
}

static void forget(struct shared_claim *claim)
{
	if (!claim)
		return;
	free(claim->owner);
	free(claim);
}
DEFINE_CLEANUP(struct shared_claim, forget)

static int note(struct cluster *c, const char *key, const char *owner, int64_t modified)
{
	_cleanup_(forgetp) struct shared_claim *made = NULL;
	struct shared_claim *claim = map_get(&c->claims, key);
	char *copy = strdup(owner);

	if (!copy)
		return -ENOMEM;
	if (!claim) {
		made = calloc(1, sizeof(*made) + strlen(key) + 1);
		if (!made || map_put(&c->claims, memcpy(made->key, key, strlen(key) + 1), made) < 0) {
			free(copy);
			return -ENOMEM;
		}
		claim = take_ptr(made);
	}
	free(claim->owner);
	claim->owner = copy;
	claim->modified = modified;
	claim->alone_us = 0;
	claim->listed = true;
	return 0;
}

int claims_note(struct cluster *c, const char *kind, const char *key, const char *owner)
{
	char text[KEY_SIZE];

	snprintf(text, sizeof(text), "%s/%s", kind, key);
	return note(c, text, owner, 0);
}

void claims_again(struct cluster *c, const char *kind, const char *network,
		  const struct podnet_prefix *p)
{
	char text[PODNET_PREFIX_STRLEN], key[KEY_SIZE];
	const struct shared_claim *claim;

	if (!c)
		return;
	if (strcmp(kind, "block") == 0)
		podnet_prefix_format(p, text);
	else
		podnet_prefix_format_addr(p, text);
	snprintf(key, sizeof(key), "%s/%s/%s", kind, network, text);
	claim = map_get(&c->claims, key);
	if (claim && ipam_load(c->state->ipam, kind, key + strlen(kind) + 1, claim->owner, 0) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=claims");
}

int claims_each(struct cluster *c, const char *prefix,
		int (*each)(void *arg, const char *kind, const char *key, const char *owner), void *arg)
{
	const struct shared_claim *claim;
	size_t pos = 0;
	int r = 0;

	while (r == 0 && (claim = map_next(&c->claims, &pos))) {
		const char *slash = strchr(claim->key, '/');
		char kind[32];

		if (!slash || strncmp(claim->key, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(kind, sizeof(kind), "%.*s", (int)(slash - claim->key), claim->key);
		r = each(arg, kind, slash + 1, claim->owner);
	}
	return r;
}

void claims_free(struct cluster *c)
{
	struct shared_claim *claim;
	size_t pos = 0;

	while ((claim = map_next(&c->claims, &pos)))
		forget(claim);
	map_fini(&c->claims);
}

int deliver_claim(struct delivery *d, const struct etcd_kv *kv)
{
	struct cluster *c = d->cluster;
	const char *full = kv->key + strlen(KEY_CLAIMS), *slash = strchr(full, '/');
	char kind[32];
	int r;

	if (!slash || (size_t)(slash - full) >= sizeof(kind))
		return 0;
	snprintf(kind, sizeof(kind), "%.*s", (int)(slash - full), full);
	if (kv->deleted) {
		forget(map_del(&c->claims, full));
		r = give(c, kind, slash + 1);
		return r < 0 ? r : row(d, kind, slash + 1, NULL);
	}
	r = ipam_load(c->state->ipam, kind, slash + 1, kv->value, 0);
	if (r == -EINVAL) {
		complain(kv, "no claim is called so");
		return 0;
	}
	if (r == 0)
		r = note(c, full, kv->value, kv->modified);
	return r < 0 ? r : row(d, kind, slash + 1, kv->value);
}

int delivery_begin(struct cluster *c, bool quiet, struct delivery *ret)
{
	*ret = (struct delivery){ .cluster = c, .quiet = quiet };
	return txn_new(c->state, &ret->txn);
}

/* The replica could not be written: nothing that was delivered since counts. */
static void delivered(void *arg, int rc, const char *error)
{
	struct txn *txn = arg;
	struct cluster *c = txn->state->cluster;

	if (rc == -ESHUTDOWN)
		return;
	if (rc < 0) {
		c->seen = c->committed;
		c->must_list = true;
		cluster_lost(c, rc, "ReplicaFails", error);
		return;
	}
	c->committed = txn->seen;
	if (c->state->revision < c->base + (uint64_t)txn->seen)
		c->state->revision = c->base + (uint64_t)txn->seen;
	cluster_up(c);
	send_wake(c);
}

int delivery_end(struct delivery *d, int64_t seen)
{
	struct cluster *c = d->cluster;
	struct txn *txn = take_ptr(d->txn);

	c->seen = txn->seen = seen;
	store_seen(c->state->store, c->base + (uint64_t)seen);
	txn_store(txn, true, delivered, txn);
	return 0;
}

static int deliver_one(struct delivery *d, const struct etcd_kv *kv)
{
	struct cluster *c = d->cluster;
	uint64_t rev = c->base + (uint64_t)kv->modified;
	const struct kind *kind;
	const char *ns, *name;
	char buf[KEY_SIZE];

	if (strncmp(kv->key, KEY_LEASES, strlen(KEY_LEASES)) == 0) {
		lease_event(c, kv);
		return 0;
	}
	if (strncmp(kv->key, KEY_CLAIMS, strlen(KEY_CLAIMS)) == 0)
		return deliver_claim(d, kv);
	if (strncmp(kv->key, KEY_OBJECTS, strlen(KEY_OBJECTS)) != 0)
		return 0;
	if (!kv->deleted)
		return deliver_put(d, kv, rev);
	return key_object(kv->key, buf, &kind, &ns, &name) ? deliver_gone(d, kind, ns, name, rev) : 0;
}

/* A transaction of the replica ends only between two revisions. */
int deliver(struct cluster *c, const struct etcd_kv *kvs, size_t n, int64_t seen)
{
	struct delivery d = { 0 };
	int r = delivery_begin(c, false, &d);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (d.events >= DELIVERY_EVENTS && kvs[i].modified != kvs[i - 1].modified) {
			r = delivery_end(&d, kvs[i - 1].modified);
			if (r == 0)
				r = delivery_begin(c, false, &d);
		}
		if (r == 0)
			r = deliver_one(&d, &kvs[i]);
	}
	if (r < 0) {
		txn_drop(d.txn);
		return r;
	}
	return delivery_end(&d, seen);
}
