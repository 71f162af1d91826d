/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seed.c - an empty etcd is filled with what a database has
 *
 * Room: state; once in the life of a cluster, and again if its etcd was lost.  Each object is put by
 * itself, for no two of them may have one revision.  The key that names the cluster is put first, so
 * that only one node seeds, and says until the end that it is being done.
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <stdio.h>

#define TOGETHER    16
#define LIMIT_MS    600000

struct item {
	const char *key, *value;
	size_t len;
};

struct seeding {
	struct cluster *cluster;
	const struct cluster_meta *meta;
	struct arena arena;
	struct item *v;
	size_t n, cap, next, under_way;
	int rc;
};

static int add(struct seeding *s, const char *key, const char *value, size_t len)
{
	size_t cap = s->cap ? 2 * s->cap : 256;
	char *copy = arena_alloc(&s->arena, len + 1);
	struct item *v;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, len);
	if (s->n == s->cap) {
		v = reallocarray(s->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct item){ arena_strdup(&s->arena, key), copy, len };
	return s->v[s->n++].key ? 0 : -ENOMEM;
}

static int each_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		       const char *bytes, size_t len)
{
	char key[KEY_SIZE];

	(void)rev;
	if (*kind == '~')               /* this node's own */
		return 0;
	snprintf(key, sizeof(key), KEY_OBJECTS "%s/%s/%s", kind, ns, name);
	return add(arg, key, bytes, len);
}

static int each_claim(void *arg, const char *kind, const char *key, const char *owner,
		      int64_t free_after)
{
	char full[KEY_SIZE];

	if (free_after || !*owner || !claim_is_shared(kind, key))
		return 0;
	return add(arg, key_of_claim(kind, key, full), owner, strlen(owner));
}

static void fill(struct seeding *s);

static void filled(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct seeding *s = arg;

	(void)reply;
	if (rc == -ESHUTDOWN)           /* a signal has ended it, and there is none any more */
		return;
	s->under_way--;
	if (rc < 0 && s->rc == 0) {
		s->rc = rc;
		snprintf(s->cluster->words, sizeof(s->cluster->words), "%s", words);
	}
	fill(s);
}

static void fill(struct seeding *s)
{
	while (s->rc == 0 && s->next < s->n && s->under_way < TOGETHER) {
		const struct item *row = &s->v[s->next++];
		struct etcd_txn t = { 0 };

		etcd_txn_put(&t, row->key, row->value, row->len, 0);
		s->rc = etcd_txn_send(s->cluster->etcd, &t, filled, s);
		s->under_way += s->rc == 0;
	}
	if (!s->under_way)
		cluster_answer(s->cluster, s->rc);
}

static void put(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct seeding *s = arg;

	if (rc == -ESHUTDOWN)
		return;
	if (rc == 0 && !reply->succeeded)
		rc = -EEXIST;
	snprintf(s->cluster->words, sizeof(s->cluster->words), "%s",
		 rc == -EEXIST ? "another node is at it" : words);
	cluster_answer(s->cluster, rc);
}

static int put_meta(struct seeding *s, int64_t was, bool seeding)
{
	const struct cluster_meta *m = s->meta;
	struct etcd_txn t = { 0 };
	char text[512];

	snprintf(text, sizeof(text), "{\"id\":\"%s\",\"base\":\"%llu\",\"seeding\":%s,"
		 "\"localPrefix\":\"%s\",\"servicePrefix\":\"%s\"}", m->id, (unsigned long long)m->base,
		 seeding ? "true" : "false", m->local_prefix, m->service_prefix);
	if (seeding)
		etcd_txn_expect(&t, KEY_META, was);
	etcd_txn_put(&t, KEY_META, text, strlen(text), 0);
	if (etcd_txn_send(s->cluster->etcd, &t, put, s) < 0)
		return -ENOMEM;
	return cluster_await(s->cluster, LIMIT_MS);
}

static int seed(struct seeding *s, struct store *store)
{
	int r = store_load(store, each_object, s);

	if (r == 0)
		r = store_load_claims(store, each_claim, s);
	if (r < 0)
		snprintf(s->cluster->words, sizeof(s->cluster->words), "the database cannot be read");
	if (r == 0)
		r = put_meta(s, s->meta->there ? s->meta->revision : 0, true);
	if (r < 0)
		return r;
	if (s->n) {
		fill(s);
		r = cluster_await(s->cluster, LIMIT_MS);
	}
	return r < 0 ? r : put_meta(s, 0, false);
}

int cluster_seed(struct cluster *c, struct store *store, const struct cluster_meta *meta,
		 char error[STORE_WORDS])
{
	struct seeding s = { .cluster = c, .meta = meta };
	int r = seed(&s, store);

	if (r < 0)
		snprintf(error, STORE_WORDS, "%.200s", c->words[0] ? c->words : strerror(-r));
	arena_fini(&s.arena);
	free(s.v);
	return r;
}
