/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unowned.c - numbers of the cluster that are claimed for an object that is not there
 *
 * Room: state.  Many claims go to etcd ahead of their object (parts.c).  A netd that dies or is cut off
 * between leaves them, and nobody else could have them ever again.  What is owned by nobody for longer
 * than an object can be on its way is released, if it is the same claim still, by the node that is
 * chosen for it.  Blocks are none of it: they go with their Node.
 * May include: netd/cluster/etcd.h, netd/base.
 */
#include "cluster_inner.h"
#include <netd/base/log.h>
#include <stdio.h>

#define REQUEST_S   10          /* longer than an object may follow its claims */
#define ROUND       64          /* requests at a time */

/* What became of it is seen in the claims. */
static void answered(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	(void)arg;
	(void)rc;
	(void)words;
	(void)reply;
}

void unowned_release(struct cluster *c, struct etcd_txn *txn)
{
	if (!c->etcd)                   /* netd is stopping */
		etcd_txn_fini(txn);
	else if (etcd_txn_send(c->etcd, txn, answered, c) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=claims");
}

static void release(struct cluster *c, const struct shared_claim *claim)
{
	struct etcd_txn t = { 0 };
	char key[KEY_SIZE];

	snprintf(key, sizeof(key), KEY_CLAIMS "%s", claim->key);
	etcd_txn_holds(&t, key, claim->owner);          /* a uid: nobody is called so again */
	if (claim->modified)
		etcd_txn_expect(&t, key, claim->modified);
	etcd_txn_delete(&t, key);
	unowned_release(c, &t);
	log_event(LOG_LEVEL_WARNING, "unowned_claim_released", "claim=%s owner=%s", claim->key,
		  claim->owner);
}

/* For how long nobody has had it, in us; 0: somebody has, or that is not this file's. */
static uint64_t alone_us(const struct cluster *c, struct shared_claim *claim, uint64_t now_us)
{
	if (strncmp(claim->key, "ip/", 3) != 0 || state_by_uid(c->state, claim->owner)) {
		claim->alone_us = 0;
		return 0;
	}
	if (!claim->alone_us)
		claim->alone_us = now_us;
	return now_us - claim->alone_us;
}

void unowned_look(void *arg)
{
	struct cluster *c = arg;
	uint64_t now = now_monotonic_us();
	uint64_t grace = ((uint64_t)c->state->conf->node_grace_s + REQUEST_S) * 1000000;
	struct shared_claim *claim;
	size_t pos = 0, n = 0;

	if (c->link != LINK_UP)
		return;                 /* begun again when it is */
	while (n < ROUND && (claim = map_next(&c->claims, &pos))) {
		if (alone_us(c, claim, now) < grace || !state_chosen(c->state, claim->key))
			continue;
		release(c, claim);
		n++;
	}
	loop_timer_set(c->unowned, (int64_t)(grace / 2000));
}
