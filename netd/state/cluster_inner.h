/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster_inner.h - what the files of state that speak with etcd share
 *
 * Room: state only.
 */
#ifndef STATE_CLUSTER_INNER_H
#define STATE_CLUSTER_INNER_H

#include "internal.h"
#include <netd/state/cluster.h>

#define KEY_ALL         "/podnet/"
#define KEY_OBJECTS     "/podnet/o/"
#define KEY_CLAIMS      "/podnet/c/"
#define KEY_LEASES      "/podnet/l/"
#define KEY_META        "/podnet/meta"
#define KEY_SIZE        640         /* of a key: kind, namespace and name */

#define LEASE_S         10          /* a node that is not heard of for so long is lost */
#define DELIVERY_EVENTS 256         /* in a transaction of the replica */

enum cluster_link {
	LINK_AWAY,                  /* etcd does not answer, or is not the one it was */
	LINK_LOOKING,               /* reading KEY_META */
	LINK_LISTING,
	LINK_FOLLOWING,             /* the watch is open, and this node's lease not seen in it yet */
	LINK_UP,
};

/** A claim that the whole cluster knows. */
struct shared_claim {
	char *owner;
	int64_t modified;           /* etcd's revision */
	uint64_t alone_us;          /* monotonic: since when no object has been its owner; unowned.c */
	bool listed;                /* while a list is compared */
	char key[];                 /* KIND/KEY */
};

struct listing;
struct handed;

struct cluster {
	struct loop *loop;
	struct etcd *etcd;
	struct state *state;
	char id[40], identity[80];
	uint64_t base;
	enum cluster_link link;
	int rc;                     /* why it is not up, 0: it is */
	char words[STORE_WORDS], reason[32];
	struct etcd_watch *watch;
	struct loop_timer *retry, *keep, *soon, *unowned, *hand_in;
	unsigned failures;
	int64_t seen;               /* etcd's revision up to which everything was delivered ... */
	int64_t committed;          /* ... and is in the replica */
	bool must_list;             /* what was missed is compacted, or counts from another base */
	struct listing *listing;
	bool part;                  /* the replica may lack something until the list has ended */
	int64_t lease, lease_rev;   /* lease_rev: of the key, when it was put */
	uint64_t kept_us;           /* monotonic: when the lease was last answered for */
	struct map claims;          /* struct shared_claim by its key */
	struct map nodes;           /* names of nodes with a lease: struct lease_seen */
	struct txn *first, *last;   /* transactions that wait for etcd, in order */
	struct txn *settled, *settled_last;     /* they have an outcome, and are to be told */
	struct txn *limbo;          /* what they took is not free: nobody knows what became of them */
	struct handed *handed;      /* hand_in.c: pods that have come back */
	int hand_in_rc;             /* why etcd did not take one, as the log has it; 0: it did */
	unsigned under_way;         /* parts that were sent */
	uint64_t provisional;
	struct {                    /* while the loop is run for an answer */
		bool waiting, stopped;
		int rc;
		struct loop_timer *limit;
		struct cluster_meta *meta;      /* what is asked for; NULL: nobody waits for it */
	} turn;
};

/* cluster.c */
/** cluster_lost() - etcd is not to be had: close the watch, refuse what waits, and look again later */
void cluster_lost(struct cluster *c, int rc, const char *reason, const char *words);
/** cluster_up() - everything is known up to now */
void cluster_up(struct cluster *c);
/** cluster_await() - run the loop until cluster_answer(); its @rc, -EINTR or -ETIMEDOUT */
int cluster_await(struct cluster *c, int64_t limit_ms);
void cluster_answer(struct cluster *c, int rc);
/** cluster_follow() - open the watch from what was seen last */
void cluster_follow(struct cluster *c);

/* keys.c */
const char *key_of_object(const struct kind *kind, const struct meta *meta, char buf[KEY_SIZE]);
const char *key_of_claim(const char *kind, const char *key, char buf[KEY_SIZE]);
/** key_object() - what key_of_object() made, cut up in @buf; false: it is none */
bool key_object(const char *key, char buf[KEY_SIZE], const struct kind **kind, const char **ns,
		const char **name);
/** claim_is_shared() - of a claim KIND KEY: all nodes take from the same */
bool claim_is_shared(const char *kind, const char *key);

/* deliver.c */
/** deliver() - changes in order, up to revision @seen, into memory and the replica */
int deliver(struct cluster *c, const struct etcd_kv *kvs, size_t n, int64_t seen);
/** Delivering step by step, for a list. */
struct delivery {
	struct cluster *cluster;
	struct txn *txn;
	size_t events;
	bool quiet;                 /* no history is kept of it */
};
int delivery_begin(struct cluster *c, bool quiet, struct delivery *ret);
int deliver_put(struct delivery *d, const struct etcd_kv *kv, uint64_t rev);
int deliver_gone(struct delivery *d, const struct kind *kind, const char *ns, const char *name,
		 uint64_t rev);
int deliver_claim(struct delivery *d, const struct etcd_kv *kv);
int delivery_end(struct delivery *d, int64_t seen);
/** restamp() - the revision that etcd gave to a version that nobody has seen yet */
int restamp(struct object *obj, uint64_t rev);

/* mine.c */
/** mine_changed() - tombstones and addresses of what is this node's */
int mine_changed(struct txn *txn, struct object *before, struct object *now);

/* parts.c */
/** One transaction of etcd. */
struct part {
	struct txn *txn;
	struct txn_write *write;    /* NULL: claims alone */
	struct txn_write *through;  /* the version that @write deletes at once; NULL: none */
	const struct part *after;   /* of the same object, which must have happened; NULL: none */
	size_t first, end;          /* its operations of the batch */
	int64_t revision;           /* etcd's, when it has happened */
	bool sent, done, refused;
};
/** parts_split() - fill txn->parts; 0 or -ENOMEM */
int parts_split(struct txn *txn);
/** parts_take_local() - what is for the node's own database alone, as a transaction; NULL: nothing */
int parts_take_local(struct txn *from, struct txn **ret);
/** part_before() - the version that it is built upon, or NULL */
const struct object *part_before(const struct part *p);
/** part_ask() - into @t: what is expected, what is written then, and what is to be seen else */
void part_ask(struct cluster *c, const struct part *p, struct etcd_txn *t);

/* outcome.c */
/** outcome_fail() - with all that builds upon it; the first reason counts */
void outcome_fail(struct cluster *c, struct txn *txn, int rc, const char *words);
/** outcome_fall_back() - the accepted version is what it is without this write */
void outcome_fall_back(struct cluster *c, const struct txn_write *w);
/** outcome_settle() - it waits for etcd no more, and is to be told of */
void outcome_settle(struct cluster *c, struct txn *txn);
/** outcome_tell() - those of whom it may be told */
void outcome_tell(struct cluster *c);
/** outcome_free_limbo() - what became of them is known now: the node is up to date */
void outcome_free_limbo(struct cluster *c);

/* send.c */
void send_wake(struct cluster *c);          /* what can be sent is sent, what has ended is told */
void send_fail_all(struct cluster *c, int rc, const char *words);
/** send_adopt() - the version of ours that @kv is, or NULL; it has its revision then */
struct txn_write *send_adopt(struct cluster *c, const struct kind *kind, const char *ns,
			     const char *name, const struct etcd_kv *kv);

void send_soon(void *cluster);              /* those that wait for what cannot be seen */

/* pending.c */
/**
 * pending_take() - a transaction that needs no etcd
 * Return: 1: it is on its way to the replica; 0: it is for etcd; -ECANCELED: it is not yet, -ENOMEM.
 */
int pending_take(struct cluster *c, struct txn *txn);
/** pending_settle() - rows that stand for nothing any more now that a change is delivered */
int pending_settle(struct txn *txn, struct object *before, struct object *now);
/** pending_drop() - the row of a pod that was made here, and what is known of it */
int pending_drop(struct txn *txn, struct object *made);
/** pending_waits() - one that was made here is called as @obj, and is shown in its place */
bool pending_waits(const struct state *state, const struct object *obj);
/** pending_settled() - the row of a pod that was deleted here */
int pending_settled(struct txn *txn, struct object *last);

/* hand_in.c */
void hand_in(void *cluster);
/** hand_in_seen() - @made is in etcd as @is */
void hand_in_seen(struct cluster *c, struct object *made, struct object *is);
void hand_in_free(struct cluster *c);

/* unowned.c */
void unowned_look(void *cluster);
/** unowned_release() - send it; if that fails they are found again */
void unowned_release(struct cluster *c, struct etcd_txn *txn);

/* list.c */
int list_begin(struct cluster *c, int64_t revision);
/** list_drop() - what comes of the one under way is not wanted any more */
void list_drop(struct cluster *c);

/* lease.c */
void lease_register(struct cluster *c);
void lease_event(struct cluster *c, const struct etcd_kv *kv);
void lease_keep(void *cluster);
void lease_list(struct cluster *c, const struct etcd_kv *kv);
void lease_free(struct cluster *c);

#endif
