/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster.h - the store that many nodes share, and this node's replica of it
 *
 * Room: state.  etcd holds the objects and the claims that concern the whole cluster; the SQLite
 * database of each node is a replica, and holds what is the node's own: addresses of its pods,
 * tombstones.  cluster.c has the theory.
 *
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#ifndef NETD_STATE_CLUSTER_H
#define NETD_STATE_CLUSTER_H

#include <netd/cluster/etcd.h>
#include <netd/state/state.h>

/* Of a replica's meta rows: which cluster, and what its revisions are added to. */
#define CLUSTER_META_ID     "cluster"
#define CLUSTER_META_BASE   "cluster-base"
#define CLUSTER_META_WHOLE  "cluster-whole"     /* "yes": no list of everything was cut short */

struct cluster;

/** What /podnet/meta says: the cluster, from its seeding on. */
struct cluster_meta {
	char id[40];
	uint64_t base;                  /* resourceVersion less etcd's revision */
	int64_t revision;               /* etcd's, when this was read */
	bool there;                     /* else etcd is empty */
	bool seeding;                   /* somebody is filling it */
	char local_prefix[64], service_prefix[64];      /* made once for all nodes; "": none */
};

/** cluster_new() - nothing is asked yet.  0, -EINVAL (a URL), -ENOMEM, with words */
int cluster_new(const struct etcd_config *conf, struct cluster **ret, char error[STORE_WORDS]);
/** cluster_stop() - before store_close(): what waits for etcd is told that netd stops */
void cluster_stop(struct cluster *cluster);
/** cluster_free() - before the loop goes, behind state_free() */
void cluster_free(struct cluster *cluster);

/*
 * At start, before the loop runs: each runs it until there is an answer.  0, -EINTR: a signal has stopped
 * it; as etcd_done() else, with words.
 */
/** cluster_look() - what is in etcd */
int cluster_look(struct cluster *cluster, struct cluster_meta *ret, char error[STORE_WORDS]);
/** cluster_wait() - let time go by */
int cluster_wait(struct cluster *cluster, int64_t ms);
/**
 * cluster_seed() - fill an empty etcd with what is in @store, under the id and the prefixes of @meta
 *
 * Revisions go on above @meta->base.  Who finds another one at it gets -EEXIST.
 */
int cluster_seed(struct cluster *cluster, struct store *store, const struct cluster_meta *meta,
		 char error[STORE_WORDS]);
/**
 * cluster_start() - bring the state of state_new_shared() up to what etcd has, and follow it from now on
 * @identity: of this netd; another one under the same name of a node is -EADDRINUSE
 * @away:     etcd was not reached: what the replica has must do, and it is tried again and again
 * @fresh:    it is no replica yet: without etcd there is no start
 */
int cluster_start(struct cluster *cluster, const struct cluster_meta *meta, const char *identity,
		  bool away, bool fresh, char error[STORE_WORDS]);

#endif
