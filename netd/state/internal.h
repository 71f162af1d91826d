/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * internal.h - what the files of the state room share
 *
 * Room: state only.
 */
#ifndef STATE_INTERNAL_H
#define STATE_INTERNAL_H

#include <netd/codec/tape.h>
#include <netd/state/state.h>

/* Of rows in the store; no API kind can be called so. */
#define TEARDOWN_KIND "~teardown"       /* tombstones */
#define MADE_KIND     "~made"           /* pods that etcd does not have yet: pending.c */
#define UNMADE_KIND   "~unmade"         /* pods that it still has */

/** The versions of one object.  It is there while either is; equal pointers: nothing under way. */
struct slot {
	struct object *committed, *accepted;
};

/** Sorted by namespace, name; and the accepted versions by their identity, where the kind has one. */
struct cache {
	struct slot *slots;
	size_t n, cap;
	size_t last;                /* where something changed last; may be behind the end */
	struct map by_identity;
};

struct tombstone {
	struct object *last;
	bool going;                 /* its removal is under way */
};

#define MAX_OBSERVERS 8

struct state {
	struct loop *loop;
	struct store *store;
	struct hub *hub;
	struct ipam *ipam;
	const struct node_config *conf;
	struct cache caches[KIND_COUNT];
	struct map by_uid;
	struct cache made;          /* pending.c: pods of this node that etcd does not have yet */
	struct map unmade;          /* ... and last versions of those that it still has, by uid */
	struct tombstone *tombs;
	size_t ntombs, tombs_cap;
	struct state_observer observers[MAX_OBSERVERS];
	size_t nobservers;
	struct txn *first, *last;   /* under way, in order */
	uint64_t revision;
	char node_uid[64];
	size_t nlost;               /* blocks of Nodes that are gone, as they were loaded */
	struct cluster *cluster;    /* NULL: the database is the store */
	bool closed;
};

/** object_new() - decode @doc, which @bytes were read to; takes no reference of @bytes but its own */
int object_new(const struct kind *kind, const struct value *doc, struct bytes *bytes, uint64_t rev,
	       struct object **ret);
/** object_read() - the same of @bytes that were not read yet; 0, -EINVAL (no JSON), -ENOMEM */
int object_read(const struct kind *kind, struct bytes *bytes, uint64_t rev, struct object **ret);
/** object_restamp() - the same version under another revision; 0 or -ENOMEM */
int object_restamp(const struct object *obj, uint64_t rev, struct object **ret);
/** object_kind_of() - a tombstone says by its apiVersion and kind what it was */
const struct kind *object_kind_of(const struct value *doc);

/** cache_find() - index of the slot, or where it belongs; *@found says which */
size_t cache_find(const struct cache *c, const char *ns, const char *name, bool *found);
struct slot *cache_slot(const struct cache *c, const char *ns, const char *name);
/**
 * cache_accept(), cache_commit() - set one version of the object called so; NULL: it is gone.  A
 * slot without any version goes, also between a creation and a deletion that are both under way.
 */
int cache_accept(struct cache *c, const struct meta *key, struct object *obj);
int cache_commit(struct cache *c, const struct meta *key, struct object *obj);
/**
 * cache_append() - both versions of an object, at the end; while the store is read, in its order
 * cache_sort() - then.  0 or -ENOMEM; @twice: one of two that are called the same, or NULL
 */
int cache_append(struct cache *c, struct object *obj);
void cache_fini(struct cache *c);
int cache_sort(struct cache *c, const struct object **twice);

int tombstone_add(struct state *state, struct object *last);
void tombstone_remove(struct state *state, const char *uid, uint64_t rev);
struct tombstone *tombstone_find(struct state *state, const char *uid, uint64_t rev);

/** One write of a transaction; the counted versions keep alive what its store operation borrows. */
struct txn_write {
	const struct kind *kind;
	struct object *before;      /* the accepted version it was built upon, or NULL */
	struct object *now;         /* NULL: deleted */
	struct object *last;        /* deleted: the last state under the revision of the deletion */
	bool happened;              /* in etcd */
	bool pending;               /* of this node alone: pending.c */
};

enum txn_effect_type {
	EFFECT_TOMB,                /* object: a tombstone appears */
	EFFECT_UNTOMB,              /* object: it goes */
	EFFECT_CLAIM_IP,            /* taken when built; given back when it fails */
	EFFECT_CLAIM_BLOCK,
	EFFECT_RELEASE_IP,          /* given when committed */
	EFFECT_RELEASE_BLOCK,
	EFFECT_FORGET_NETWORK,
	EFFECT_UNMADE,              /* object: deleted here; forgotten when it fails */
	EFFECT_SETTLING,            /* object: its row goes; it has not when it fails */
	EFFECT_SETTLED,             /* object: etcd does not have it any more either, or as one that ends */
};

struct txn_effect {
	enum txn_effect_type type;
	struct object *object;
	const char *network;        /* in the batch's arena */
	struct podnet_prefix prefix;
	int64_t free_after;
};

struct txn {
	struct store_batch batch;   /* first: done() gets it */
	struct txn *next;
	struct state *state;
	struct txn_write *writes;
	struct txn_effect *effects;
	size_t nwrites, neffects, ops_cap, writes_cap, effects_cap;
	bool reverted;
	void (*done)(void *arg, int rc, const char *error);
	void *arg;
	/* on its way to etcd, or from there */
	struct part *parts;         /* parts.c */
	size_t nparts;
	int64_t seen;               /* etcd's revision that is known when it is done */
	int64_t view;               /* and that it was built upon */
	uint64_t settled_us;        /* monotonic: since when it is to be told of */
	bool late;                  /* what it ran into is not seen yet */
};

int txn_op(struct txn *txn, const struct store_op *op);
/** txn_release_ip() - nobody may have it for @cool_s seconds */
int txn_release_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip,
		   int64_t cool_s);
/** claim_is_lost() - a block of a Node that is not there any more */
bool claim_is_lost(const struct state *state, const char *kind, const char *owner);
int txn_effect(struct txn *txn, const struct txn_effect *effect);
/** claim_cooling() - of a row's time: by the clock that ipam is asked with, and never over the cool-down */
int64_t claim_cooling(int64_t free_after);
/** txn_commit() - the store has it: publish; txn_revert() - it failed or is dropped */
void txn_commit(struct txn *txn);
void txn_revert(struct txn *txn);
void txn_free(struct txn *txn);
/** txn_revert_effects() - what txn_revert() does but for the versions */
void txn_revert_effects(struct txn *txn);
/** txn_write() - a write of which the batch has the operation; its version is not accepted yet */
int txn_write(struct txn *txn, const struct kind *kind, struct object *before, struct object *now,
	      struct object *last);
/**
 * txn_writes() - *@ret: what it makes of this object, NULL: it is gone.  false: nothing, or it was taken back,
 * and *@ret stays
 */
bool txn_writes(const struct txn *txn, const struct kind *kind, const char *ns, const char *name,
		struct object **ret);
/** txn_tombstone() - what may be in the kernel of a version that is not wanted any more */
int txn_tombstone(struct txn *txn, struct object *obj);
/** txn_hold_ip(), txn_free_ip() - rows of the replica: an address of this node's pod */
int txn_hold_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip, const char *uid);
int txn_free_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip, int64_t cool_s);
/** txn_forget_network() - its blocks and addresses in memory */
int txn_forget_network(struct txn *txn, const struct network *network);
/** txn_store() - hand to the database, whatever the objects' store is */
void txn_store(struct txn *txn, bool soft, void (*done)(void *arg, int rc, const char *error),
	       void *arg);

/* state.c */
void state_health_changed(struct state *state);
/* pending.c */
/** pending_any() - this node has made or deleted pods, and etcd does not know */
bool pending_any(const struct state *state);
/** pending_view() - what this node has of a pod; @shared: what the cluster has, NULL: nothing */
struct object *pending_view(const struct state *state, const struct slot *shared, const char *ns,
			    const char *name, bool accepted);
/** pending_unmade() - it was deleted here, and its kernel objects and addresses are gone */
bool pending_unmade(const struct state *state, const struct object *obj);
/** pending_commit() - a write that is pending */
void pending_commit(struct state *state, const struct txn_write *w);
/** pending_revert() - false: it has nothing to do with what is pending */
bool pending_revert(struct state *state, const struct txn_write *w);
/** pending_hides() - what this node sees of a change in the cluster, whose write has committed */
void pending_hides(const struct state *state, const struct txn_write *w, struct object **was,
		   struct object **is);
/** pending_moved() - the same when all have been told: what waited for it goes on */
void pending_moved(struct state *state, const struct txn_write *w);
void pending_forget(struct state *state, const struct object *obj);
/** pending_load() - of a row; before cache_sort().  0, -EEXIST, -ENOMEM */
int pending_load(struct state *state, struct object *obj, bool unmade);
void pending_free(struct state *state);
/* send.c */
/** send_submit() - hand to etcd */
void send_submit(struct cluster *cluster, struct txn *txn);
/* cluster.c */
void cluster_of(struct cluster *cluster, struct state *state);
/** cluster_provisional() - a revision for a version that etcd has not seen */
uint64_t cluster_provisional(struct cluster *cluster);
/** cluster_view() - etcd's revision up to which everything is here */
int64_t cluster_view(const struct cluster *cluster);
int cluster_health(const struct cluster *cluster, const char **words);
/* deliver.c */
int claims_note(struct cluster *cluster, const char *kind, const char *key, const char *owner);
void claims_free(struct cluster *cluster);
/** claims_again() - what a failed transaction gave back in memory is another's meanwhile */
void claims_again(struct cluster *cluster, const char *kind, const char *network,
		  const struct podnet_prefix *p);
/** claims_each() - those whose key begins with @prefix; non-zero ends it */
int claims_each(struct cluster *cluster, const char *prefix,
		int (*each)(void *arg, const char *kind, const char *key, const char *owner),
		void *arg);

/* load.c */
/* numbers.c: networks that no Network is called */
#define CLAIM_SERVICES      "~services"
#define CLAIM_NODE_PORTS    "~node-ports"
#define CLAIM_BALANCERS     "~balancers"        /* balancer.c */
struct podnet_prefix claim_port(uint32_t port);
/** service_port_seen() - a port before @i has the same node port */
bool service_port_seen(const struct service *svc, size_t i);

int state_load(struct state *state, char error[STORE_WORDS]);
int state_fail(char error[STORE_WORDS], int r, const char *what);

/** The key of a row of the store. */
struct row {
	const char *kind, *ns, *name;
	uint64_t rev;
	bool tombstone, made, unmade;   /* set by row_object(): of an object, and no row of its kind */
};
/**
 * row_object() - the object of a row; -EBADMSG: it cannot be one, and @why says it
 * @tape: room to read it to
 */
int row_object(struct row *row, struct bytes *bytes, struct tape *tape, struct object **ret,
	       char why[STORE_WORDS]);

#endif
