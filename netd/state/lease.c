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
	const struct etcd_kv *kv = rc == 0 && reply->n ? &reply->kvs[0] : NULL;
	struct etcd_txn t = { 0 };
	char key[KEY_SIZE], why[STORE_WORDS];

	if (c->link != LINK_FOLLOWING && c->link != LINK_UP)
		return;
	if (rc < 0) {
		lost(c, rc, words);
		return;
	}
	if (kv && strcmp(kv->value, c->identity) != 0) {
		snprintf(why, sizeof(why), "another netd lives under the name of node %.150s: choose "
			 "another --node-name", c->state->conf->node_name);
		lost(c, -EADDRINUSE, why);
		return;
	}
	etcd_txn_expect(&t, own_key(c, key), kv ? kv->modified : 0);
	etcd_txn_put(&t, key, c->identity, strlen(c->identity), c->lease);
	if (etcd_txn_send(c->etcd, &t, put, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

static void granted(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;
	struct etcd_range range = { 0 };
	char key[KEY_SIZE];

	if (c->link != LINK_FOLLOWING && c->link != LINK_UP)
		return;
	if (rc < 0) {
		lost(c, rc, words);
		return;
	}
	c->lease = reply->lease;
	range.from = own_key(c, key);
	if (etcd_get(c->etcd, &range, looked, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

void lease_register(struct cluster *c)
{
	c->lease_rev = 0;
	if (etcd_lease_grant(c->etcd, LEASE_S, granted, c) < 0)
		lost(c, -ENOMEM, "no memory");
}

static void kept(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;

	if (c->link != LINK_UP)
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

void lease_keep(void *arg)
{
	struct cluster *c = arg;

	if (c->link == LINK_UP && etcd_lease_keep(c->etcd, c->lease, kept, c) < 0)
		lost(c, -ENOMEM, "no memory");
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

void lease_event(struct cluster *c, const struct etcd_kv *kv)
{
	note(c, kv->key + strlen(KEY_LEASES), !kv->deleted);
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
