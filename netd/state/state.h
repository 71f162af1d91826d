/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * state.h - every object, as bytes and as a decoded struct, and the writes under way
 *
 * Room: the control loop's picture of the store.  Each object has a committed version, which
 * readers see, and, while writes are under way, a newer accepted one, which the next write is
 * checked against and built upon.  A transaction gathers writes and claims, becomes one batch of
 * the store, and when that has committed, its events are published in order and the observers told.
 * If it fails, everything accepted on top of it fails too and the accepted versions fall back.
 *
 * May include: store, watch, codec, model, metrics, netd/base.
 */
#ifndef NETD_STATE_H
#define NETD_STATE_H

#include <netd/codec/kind.h>
#include <netd/model/ipam.h>
#include <netd/store/store.h>
#include <netd/watch/hub.h>

/** One version of an object.  Immutable once it is committed; counted. */
struct object {
	unsigned refs;
	const struct kind *kind;
	uint64_t rev;
	bool pending;               /* of a pod that etcd does not have yet: pending.c */
	bool offered;               /* ... and may have: it was handed in, and nobody knows */
	bool settling;              /* of one that was deleted here: its row is being dropped */
	struct bytes *bytes;
	struct arena arena;
	union {
		const void *model;
		const struct meta *meta;    /* every model struct begins with it */
		const struct namespace *namespace;
		const struct node *node;
		const struct pod *pod;
		const struct network *network;
		const struct netns *netns;
		const struct veth *veth;
		const struct bridge *bridge;
		const struct route *route;
		const struct tunnel *tunnel;
		const struct service *service;
		const struct endpoint_slice *slice;
		const struct network_policy *policy;
		const struct event *event;
	};
};
/* A version that the store of a cluster has not seen has such a number, which no revision ever is. */
#define OBJECT_PROVISIONAL (1ull << 62)
struct object *object_ref(struct object *obj);
void object_unref(struct object *obj);
/** object_doc() - its bytes parsed, to build the next version from; NULL: no memory */
struct doc *object_doc(const struct object *obj);
/** object_unattached() - a pod that has no addresses yet, or has ended: nothing of it is in a kernel */
bool object_unattached(const struct object *obj);
/** object_node() - the node in whose kernel alone it is, NULL: none, or every node's */
const char *object_node(const struct object *obj);

#define STATE_META_NODE "node"      /* of the store: the name of the Node that ran here last */

/** What a look at a database has found. */
struct state_check {
	size_t objects, claims, events, problems;
	uint64_t revision;          /* the counter */
	char node[256];             /* which ran here last; "": not known */
	size_t pods;                /* of that Node, while it is there */
};
/**
 * state_check() - whether what is in a database of store_open_view() is sound
 *
 * The database's own look at itself; every row is an object or an event; each claim is its owner's
 * and the owner holds it, nothing is claimed twice or held without a claim; no row has a revision
 * above the counter.  @problem is called for each thing that is not so.
 * Return: 0 or negative errno: it could not be read to its end.
 */
int state_check(struct store *view, void (*problem)(void *arg, const char *words), void *arg,
		struct state_check *ret);

struct state;
struct state_observer {
	/* after the commit, in order; @old NULL: added, @now NULL: deleted.  Borrowed. */
	void (*changed)(void *arg, const struct object *old, const struct object *now);
	void *arg;
	/* may be NULL: writes failed for a while and succeed again */
	void (*mended)(void *arg);
	/* may be NULL: other nodes live than before */
	void (*nodes)(void *arg);
	/* may be NULL: etcd has not taken a pod that was made here without it, and which goes */
	void (*refused)(void *arg, const struct object *pod, const char *why);
	/* may be NULL: @obj, accepted and not committed, will never be.  Borrowed. */
	void (*dropped)(void *arg, const struct object *obj);
	/* @changed is told of what this node has, as state_each_here() */
	bool here;
};

int state_new(struct loop *loop, struct store *store, const struct node_config *conf,
	      struct state **ret, char error[STORE_WORDS]);         /* loads everything */
/** state_new_shared() - the same of a replica: cluster.h */
struct cluster;
int state_new_shared(struct loop *loop, struct store *store, const struct node_config *conf,
		     struct cluster *cluster, struct state **ret, char error[STORE_WORDS]);
void state_free(struct state *state);
/**
 * state_close() - before store_close(), and before the observers go: nobody is told of what commits
 * from now on, and no transaction is begun (-ESHUTDOWN)
 */
void state_close(struct state *state);
int state_observe(struct state *state, const struct state_observer *observer);  /* kept, at most 8 */

/** state_is_shared() - with other nodes */
bool state_is_shared(const struct state *state);
/** state_pending() - Pods that were made or deleted while etcd was away, and that it does not know of yet */
size_t state_pending(const struct state *state);
/** state_node_lives() - it is heard of; without a cluster that is this one */
bool state_node_lives(const struct state *state, const char *name);
/**
 * state_chosen() - is this the node that does what is to be done once for @key?
 *
 * By rendezvous hashing among those that live, so all choose alike without asking each other; for a
 * moment two may, and writes of both are the same or conflict.
 */
bool state_chosen(const struct state *state, const char *key);

struct hub *state_hub(struct state *state);
struct ipam *state_ipam(struct state *state);
const struct node_config *state_config(const struct state *state);
uint64_t state_revision(const struct state *state);         /* of the last commit published */
/** state_lost() - whether who has seen revision @rev may have seen what is lost: store_lost() */
bool state_lost(const struct state *state, uint64_t rev);
/** state_health() - 0, or what writes fail with, and its words: store_health() */
int state_health(const struct state *state, const char **words);

/*
 * Of one pod, and of accepted ones, this node sees what it made and deleted by itself while etcd was away
 * (pending.c); who goes through committed ones sees what the cluster has, as do watchers.
 */
/** state_get() - the committed version, borrowed until the next turn; NULL: there is none */
struct object *state_get(const struct state *state, const struct kind *kind, const char *ns,
			 const char *name);
/** state_accepted() - what the next write builds upon */
struct object *state_accepted(const struct state *state, const struct kind *kind, const char *ns,
			      const char *name);
/** state_same() - the accepted object of this identity (kind.h), or NULL */
struct object *state_same(const struct state *state, const struct kind *kind,
			  const char *identity);
/** state_each() - committed objects in order of namespace, name; @ns NULL: all.  Non-zero stops. */
int state_each(const struct state *state, const struct kind *kind, const char *ns,
	       int (*each)(void *arg, struct object *obj), void *arg);
/** state_each_here() - the same as this node has them: for what concerns its kernel; not in order */
int state_each_here(const struct state *state, const struct kind *kind,
		    int (*each)(void *arg, struct object *obj), void *arg);
/** state_each_after() - state_each(), beginning behind an object, which need not be there; of @ns if given */
int state_each_after(const struct state *state, const struct kind *kind, const char *ns,
		     const char *after_ns, const char *after_name,
		     int (*each)(void *arg, struct object *obj), void *arg);
/** state_each_accepted() - the same over the accepted versions; @each may delete, not create */
int state_each_accepted(const struct state *state, const struct kind *kind, const char *ns,
			int (*each)(void *arg, struct object *obj), void *arg);
/** state_each_named() - the same over those of @ns whose names begin with @prefix */
int state_each_named(const struct state *state, const struct kind *kind, const char *ns,
		     const char *prefix, int (*each)(void *arg, struct object *obj), void *arg);
size_t state_count(const struct state *state, const struct kind *kind);
/** state_set_node() - this node's uid, the owner of the blocks it claims; state_new() sets it
 * when the Node is there already */
int state_set_node(struct state *state, const char *uid);
/** state_by_uid() - the committed object with this uid, or NULL */
struct object *state_by_uid(const struct state *state, const char *uid);

/*
 * Transactions.  Build, then submit or drop.  Every function returns 0 or -ENOMEM, and what the
 * comment says.
 */
struct txn;
int txn_new(struct state *state, struct txn **ret);         /* also -ESHUTDOWN */
void txn_drop(struct txn *txn);                             /* takes claims in ipam back */
DEFINE_CLEANUP(struct txn, txn_drop)

/**
 * txn_put() - write a document; sets metadata.resourceVersion in @doc
 * @old: the accepted version it was built from, NULL: create
 *
 * When nothing but the revision would change (API-CONTRACT 5), nothing is written and *@ret is @old.
 * metadata.generation counts the changes of spec.  -EINVAL: @doc does not decode.  *@ret is
 * borrowed until the transaction is gone.
 */
int txn_put(struct txn *txn, const struct kind *kind, struct doc *doc, struct object *old,
	    struct object **ret);
/**
 * txn_delete() - remove, and release the addresses of a Pod and the blocks of a Network or Node; keeps a
 * tombstone for kinds with kernel state, until txn_teardown_done()
 */
int txn_delete(struct txn *txn, struct object *obj, struct object **last);
/** txn_claim_ip() - through ipam_take(); its errors are returned and nothing is claimed */
int txn_claim_ip(struct txn *txn, const struct network *network, int family,
		 const struct podnet_prefix *want, const char *owner, struct podnet_prefix *ret);
/** state_cooling() - seconds until @ip, which was freed, can be had again; 0: it does not cool down */
int64_t state_cooling(const struct state *state, const char *network, const struct podnet_prefix *ip);
/** Why a pod cannot have what it asks for. */
struct attach_fault {
	int rc;                     /* -EADDRINUSE, -EADDRNOTAVAIL, -ERANGE, -ENOSPC, -EINVAL, -ENOMEM */
	const char *field;          /* static text */
	char value[256];            /* of that field */
	char words[400];            /* what is wrong with it */
	char network[256];
	struct podnet_prefix ip;    /* that was asked for; family 0: none */
};
/**
 * txn_attach_pod() - claim a pod's addresses, and say so in the status of @doc
 * @pod: @doc decoded, of this node and not with the node's network
 * Return: 0, or @fault->rc
 */
int txn_attach_pod(struct txn *txn, struct doc *doc, const struct pod *pod,
		   struct attach_fault *fault);
/** txn_hold_block() - one of another Node, by its uid; 0, -EADDRINUSE (it overlaps another), -ENOMEM */
int txn_hold_block(struct txn *txn, const char *network, const struct podnet_prefix *block,
		   const char *uid);
/** txn_claim_block() - the node's first block of @network and @family, claimed if there is none */
int txn_claim_block(struct txn *txn, const struct network *network, int family,
		    struct podnet_prefix *ret);
/** txn_release_ips() - every address the pod holds, with the cool-down */
int txn_release_ips(struct txn *txn, const struct pod *pod);
/** txn_release_blocks() - those of another Node; @uid NULL: of every Node that is gone, with a line in the log */
int txn_release_blocks(struct txn *txn, const char *uid);
/** txn_release_network() - blocks and addresses of a network that is deleted */
int txn_release_network(struct txn *txn, const struct network *network);
/**
 * txn_claim_service_ip() - a cluster IP of @family: @want, or any
 * Return: 0; -ENOSPC (none left, or no service CIDR of @family), and of @want as ipam_take().
 */
int txn_claim_service_ip(struct txn *txn, int family, const struct podnet_prefix *want,
			 const char *owner, struct podnet_prefix *ret);
/** txn_claim_node_port() - @want, or 0: any; 0, -ENOSPC, -EADDRINUSE, -ERANGE */
int txn_claim_node_port(struct txn *txn, uint32_t want, const char *owner, uint32_t *ret);
int txn_release_balancer_ip(struct txn *txn, const struct podnet_prefix *ip);
/** txn_release_service() - what @svc holds, but for what @kept holds too; free at once */
int txn_release_service(struct txn *txn, const struct service *svc, const struct service *kept);
/** What an address of the pool is asked for with, and why it could not be had. */
struct balancer_ask {
	const char *uid;                        /* of the Service */
	const struct podnet_prefix *avoid;      /* the node's own and the like: nobody's to have */
	size_t navoid;
	struct podnet_prefix fault;             /* of -EADDRINUSE and -ERANGE: the address asked for */
	size_t missing;                         /* of 0: families without an address, the pool is full */
};
/**
 * txn_grant_balancer() - into the status of @doc: an address of the pool for each of its families
 * @now: @doc decoded, a Service from the pool; @old: what it holds already, or NULL
 *
 * What it holds it keeps, unless it asks for another one.  What is given up is for
 * txn_release_service().  Return: 0; -EADDRINUSE, -ERANGE (not of the pool, or of no family of the
 * Service), -ENOMEM.
 */
int txn_grant_balancer(struct txn *txn, struct doc *doc, const struct service *now,
		       const struct service *old, struct balancer_ask *ask);
/** service_holds_balancer_ip() - has @svc this address of the pool? */
bool service_holds_balancer_ip(const struct service *svc, const struct podnet_prefix *ip);
bool service_holds_port(const struct service *svc, uint32_t port);      /* 0: whether some has none */
bool service_holds_ip(const struct service *svc, const struct podnet_prefix *ip);
/**
 * txn_submit() - hand to the store; the txn is gone
 * @soft: only status that the kernel can tell again: no fsync
 * @done: called after commit and publishing with 0, or with the error and its words; may be NULL.
 *        Before the return when there is nothing to write and nothing under way.
 */
void txn_submit(struct txn *txn, bool soft, void (*done)(void *arg, int rc, const char *error),
		void *arg);

/**
 * Tombstones: deleted objects, and earlier versions of changed ones, whose kernel objects may
 * still be there.  Loaded at start.
 */
int state_each_tombstone(const struct state *state,
			 int (*each)(void *arg, struct object *last), void *arg);
/** txn_teardown_done() - forget the tombstones of @uid up to revision @rev (soft is enough) */
int txn_teardown_done(struct txn *txn, const char *uid, uint64_t rev);

#endif
