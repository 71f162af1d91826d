/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.c - that this node lives, and which others do
 *
 * Room: state.  Beside its Node each netd keeps a key that goes by itself when it is not heard of: who
 * finds another's there under its own name does not begin.  Putting the key is also how a node knows
 * that it has caught up: it sees its own change come.
 * May include: netd/cluster/etcd.h, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

static const char *own_key(const struct cluster *c, char buf[KEY_SIZE])
{
	snprintf(buf, KEY_SIZE, KEY_LEASES "%s", c->state->conf->node_name);
	return buf;
}

static void tell(struct cluster *c)
{
	const struct state *state = c->state;

	for (size_t i = 0; i < state->nobservers; i++)
		if (state->observers[i].nodes)
			state->observers[i].nodes(state->observers[i].arg);
}

/* FNV-1a, 64 bits, and mixed once more: names differ in few letters. */
static uint64_t score(const char *node, const char *key)
{
	uint64_t h = 0xcbf29ce484222325ull;
	const char *parts[] = { node, key };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *s = parts[i];

		do {
			h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
		} while (*s++);
	}
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	return h ^ h >> 33;
}

bool state_node_lives(const struct state *state, const char *name)
{
	return strcmp(name, state->conf->node_name) == 0 ||
	       (state->cluster && map_get(&state->cluster->nodes, name));
}

bool state_chosen(const struct state *state, const char *key)
{
	const char *mine = state->conf->node_name, *name;
	uint64_t best = score(mine, key), other;
	size_t pos = 0;

	while (state->cluster && (name = map_next(&state->cluster->nodes, &pos))) {
		other = score(name, key);
		if (other > best || (other == best && strcmp(name, mine) > 0))
			return false;
	}
	return true;
}

static void note(struct cluster *c, const char *name, bool alive)
{
	char *known = map_get(&c->nodes, name);

	if (alive && !known) {
		known = strdup(name);
		if (known && map_put(&c->nodes, known, known) < 0)
			free(known);
	} else if (!alive && known) {
		free(map_del(&c->nodes, name));
	}
}

void lease_list(struct cluster *c, const struct etcd_kv *kv)
{
	note(c, kv->key + strlen(KEY_LEASES), true);
}

static void lost(struct cluster *c, int rc, const char *words)
{
	cluster_lost(c, rc, rc == -EADDRINUSE ? "NameInUse" : "EtcdUnreachable", words);
}

static void put(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;

	if (c->link != LINK_FOLLOWING && c->link != LINK_UP)
		return;
	if (rc < 0) {
		lost(c, rc, words);
	} else if (!reply->succeeded) {
		lost(c, -EAGAIN, "another netd registers under this node's name");
	} else {
		c->lease_rev = reply->revision;
		c->kept_us = now_monotonic_us();
		loop_timer_set(c->keep, LEASE_S * 1000 / 3);
		cluster_up(c);
	}
}

static void looked(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;
	const struct etcd_kv *kv = NULL;
	struct etcd_txn t = { 0 };
	char key[KEY_SIZE], why[STORE_WORDS];

	if (c->link != LINK_FOLLOWING && c->link != LINK_UP)
		return;
	if (rc < 0) {
		lost(c, rc, words);
		return;
	}
	own_key(c, key);
	lease_free(c);
	for (size_t i = 0; i < reply->n; i++) {
		lease_list(c, &reply->kvs[i]);
		if (strcmp(reply->kvs[i].key, key) == 0)
			kv = &reply->kvs[i];
	}
	tell(c);
	if (kv && strcmp(kv->value, c->identity) != 0) {
		snprintf(why, sizeof(why), "another netd lives under the name of node %.150s: choose "
			 "another --node-name", c->state->conf->node_name);
		lost(c, -EADDRINUSE, why);
		return;
	}
	etcd_txn_expect(&t, key, kv ? kv->modified : 0);
	etcd_txn_put(&t, key, c->identity, strlen(c->identity), c->lease);
	if (etcd_txn_send(c->etcd, &t, put, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

static void granted(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;
	char end[64];
	const struct etcd_range range = { .from = KEY_LEASES, .end = etcd_prefix_end(KEY_LEASES, end) };

	if (c->link != LINK_FOLLOWING && c->link != LINK_UP)
		return;
	if (rc < 0) {
		lost(c, rc, words);
		return;
	}
	c->lease = reply->lease;
	if (etcd_get(c->etcd, &range, looked, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

void lease_register(struct cluster *c)
{
	c->lease_rev = 0;
	if (etcd_lease_grant(c->etcd, LEASE_S, granted, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

/* Also while what was missed comes, which may take longer than the lease lasts. */
static bool is_registered(const struct cluster *c)
{
	return c->lease_rev && (c->link == LINK_FOLLOWING || c->link == LINK_UP);
}

static void kept(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;

	if (!is_registered(c))
		return;
	if (rc < 0) {
		lost(c, rc, words);
		return;
	}
	if (!reply->ttl_s) {            /* etcd has not heard of us for too long */
		lease_register(c);
		return;
	}
	c->kept_us = now_monotonic_us();
	loop_timer_set(c->keep, LEASE_S * 1000 / 3);
}

/* The watch has not brought what etcd has answered long ago, though it is open. */
static bool is_deaf(const struct cluster *c)
{
	const struct txn *first = c->settled;

	return first && first->seen > c->seen &&
	       now_monotonic_us() - first->settled_us > 2000000ull * LEASE_S;
}

void lease_keep(void *arg)
{
	struct cluster *c = arg;

	if (!is_registered(c))
		return;
	if (is_deaf(c))
		lost(c, -ETIMEDOUT, "what was written does not come back");
	else if (etcd_lease_keep(c->etcd, c->lease, kept, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

/* The key that stands for this node has gone, and not an earlier one. */
static bool is_forgotten(const struct cluster *c, const struct etcd_kv *kv, const char *name)
{
	return kv->deleted && c->lease_rev && kv->modified > c->lease_rev &&
	       strcmp(name, c->state->conf->node_name) == 0;
}

void lease_event(struct cluster *c, const struct etcd_kv *kv)
{
	const char *name = kv->key + strlen(KEY_LEASES);
	bool lived = map_get(&c->nodes, name);

	note(c, name, !kv->deleted);
	if (lived == kv->deleted)
		tell(c);
	if (is_forgotten(c, kv, name))
		lease_register(c);
}

void lease_free(struct cluster *c)
{
	char *name;
	size_t pos = 0;

	while ((name = map_next(&c->nodes, &pos)))
		free(name);
	map_fini(&c->nodes);
	c->nodes = (struct map){ 0 };
}
