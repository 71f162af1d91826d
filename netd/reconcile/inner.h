/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the reconcile room share
 */
#ifndef NETD_RECONCILE_INNER_H
#define NETD_RECONCILE_INNER_H

#include <netd/compile/compile.h>
#include <netd/reconcile/reconcile.h>

#define NODE_SCOPE      "node"
#define SERVICES_SCOPE  "services"

DEFINE_CLEANUP(struct object, object_unref)
DEFINE_CLEANUP(struct kernel_task, kernel_task_free)

/** One object's share of the kernel, or the node's. */
struct scope {
	char uid[64];
	struct object *now;         /* what must be so; NULL: nothing any more, or the node's */
	struct object *sent;        /* the version under way */
	/* earlier versions, oldest first, of which something may still be in the kernel */
	struct object **past;
	size_t npast, sent_past;    /* sent_past: how many there were when the task was sent */
	bool node;
	bool dirty, urgent, drift;  /* must be looked at; a client waits; what is found is drift */
	bool running;               /* a task is under way */
	bool held;                  /* the kernel may hold something of it */
	bool dead;                  /* freed when taken from the last queue that it is in */
	bool ahead;                 /* the newest version was sent and is not committed: early.c */
	struct { struct scope *next; bool in; } queued[2];
	bool tried, first, failing;
	bool stood;                 /* the newest version has been in the kernel, whole */
	unsigned failures;
	char *why;                  /* of the last failure, as it was logged; NULL: none */
	/* of another's Node (paths.c): what the kernel has of it; and which of its pods nothing leads to */
	struct podnet_set *made;
	char *missing, *lacking;    /* as it is told, as the last set has it; NULL: none */
	uint8_t tunnels;            /* that it needs, bits of compile_tunnel; counted */
	uint64_t retry_at, sent_at; /* monotonic us */
	/* what its status says: host addresses of which epoch, and which generation */
	uint64_t told;
	int64_t told_generation;
	size_t blocks;              /* of a Network: of this node, when it was compiled last */
	struct scope *next_failing;
};

struct reconcile {
	struct reconcile_config conf;
	const struct node_config *node;
	struct kernel *kernel;
	struct map scopes;
	/* wait for a place among those under way: [0] clients wait for them, [1] the rest */
	struct { struct scope *head, *last; unsigned under_way; } queues[2];
	bool pumping, pump_later;
	struct scope *failing;
	struct loop_timer *retry, *resync, *rewrite;
	struct map lost;            /* lost.c: nodes that nobody hears of */
	struct loop_timer *lost_timer;
	bool unwritten;             /* a write of ours failed: rewrite.c */
	struct kernel_facts facts;
	struct podnet_prefix ips[2];
	size_t nips;
	uint64_t epoch;             /* of the host addresses */
	bool begun;
	size_t first_left;          /* scopes of the first pass that have not ended */
	size_t blocks;              /* of this node when the node's set was last compiled */
	size_t routes;              /* scopes of Routes */
	struct services *services;
	struct health *health;
	struct { struct object *obj; struct podnet_set *set; struct doc *status; } early;
	struct traffic *traffic;
	struct compile_link links[KERNEL_MAX_LINKS];    /* of the facts */
	size_t nmissing;            /* scopes to whose nodes something leads not */
	bool paths_due;             /* the Node does not say what it should of them */
	bool told_strict;           /* that the uplink may drop what comes by them */
	/* tunnels.c, bits of compile_tunnel: that the node has, and that somebody needs */
	unsigned tunnels, tunnels_wanted;
	size_t users[COMPILE_TUNNELS];
	uint64_t linger[COMPILE_TUNNELS];       /* not needed, and kept until then; 0: not so */
	struct turn *turns;
	struct loop_timer *turn_timer;
	bool no_vxlan;
	bool carry_due;             /* podnet-fwd is to be told who is behind UDP tunnels */
	unsigned carried;           /* tunnels that it was told of, bits */
	int carry_rc[COMPILE_TUNNELS];          /* what came of it */
	bool fast[2];               /* by which families of the underlay they have a fast path */
	/* what the kernel thread was told of addresses to come; NULL: nothing yet */
	struct kernel_next *next;
	size_t nnext;
	bool node_known, node_ok;
	char node_why[256];
};

/* scope.c */
/** scope_get() - made if absent; NULL: no memory */
struct scope *scope_get(struct reconcile *rec, const char *uid);
struct scope *scope_find(const struct reconcile *rec, const char *uid);
void scope_free(struct reconcile *rec, struct scope *scope);
void scope_fini(struct scope *scope);
void scope_end(struct scope *scope);        /* scope_fini() unless a queue has it */
/** scope_set_now() - the newest version; counted */
void scope_set_now(struct reconcile *rec, struct scope *scope, struct object *now);
int scope_add_past(struct scope *scope, struct object *old);
void scope_drop_past(struct scope *scope, size_t i);
void scope_fail(struct reconcile *rec, struct scope *scope);
void scope_mend(struct reconcile *rec, struct scope *scope);
/** scope_is_ours() - an object of a kind with kernel state, on this node */
bool scope_is_ours(const struct reconcile *rec, const struct object *obj);
/**
 * scope_may_be_here() - of another node, and yet something of it may be in this kernel
 *
 * Until it was made immutable, the nodeName of a primitive could be changed when it had been made.
 */
bool scope_may_be_here(const struct reconcile *rec, const struct object *obj);

/* reconcile.c */
enum mark {
	MARK_URGENT = 1 << 0,
	MARK_DRIFT = 1 << 1,
};
void reconcile_mark(struct reconcile *rec, struct scope *scope, unsigned marks);
/** reconcile_idle() - nothing that a client waits for waits for a place */
bool reconcile_idle(const struct reconcile *rec);
/* ---- carry.c ---- */

/** carry_begin() - those of the store, before podnet-fwd is met */
void carry_begin(struct reconcile *rec);
/** carry_made() - the scope's device is there.  0, or negative with @err: nothing can be carried */
int carry_made(struct reconcile *rec, const struct scope *scope, struct podnet_error *err);
/** carry_gone() - the scope has no version any more; before its device goes, so that nobody wonders */
void carry_gone(struct reconcile *rec, const struct scope *scope);
/**
 * carry_tunnel() - have podnet-fwd carry the packets of @t's device
 * @local: what is behind us; none: all that is behind no peer
 *
 * Return: as ports_tunnel_put().
 */
int carry_tunnel(struct reconcile *rec, const struct tunnel *t, const struct podnet_prefix *local,
		  size_t nlocal);
/** carry_why() - what it returned, in words */
const char *carry_why(int rc);
/** carry_changed() - of struct ports_config */
void carry_changed(void *arg, const char *name);

void reconcile_mark_all(struct reconcile *rec, unsigned marks);
/** reconcile_begin() - the first pass, when the node's addresses and MTU are known */
void reconcile_begin(struct reconcile *rec);
/** reconcile_gone() - @old is not wanted any more, and something of it may be in the kernel */
void reconcile_gone(struct reconcile *rec, struct object *old);
/** reconcile_pump() - send what waits, as far as there are places */
void reconcile_pump(struct reconcile *rec);
void reconcile_arm_retry(struct reconcile *rec);

/* ahead.c */
/** ahead_tell() - the kernel thread's pool, which addresses the next pods will have, if it is news */
void ahead_tell(struct reconcile *rec);

/* want.c */
/** want_task() - compile; *@ret NULL: there is nothing to ask of the kernel */
int want_task(struct reconcile *rec, struct scope *scope, struct kernel_task **ret,
	      struct podnet_error *err);
/** want_input() - for what needs no look at other objects */
void want_input(struct reconcile *rec, struct compile_input *in);
/** want_compile() - the set of a version that may not be committed yet */
int want_compile(struct reconcile *rec, struct object *obj, struct podnet_set **ret);

/* early.c */
void early_make(struct reconcile *rec, struct object *pod);
/** early_send() - to the kernel, if that is right before the commit */
void early_send(struct reconcile *rec);
/** early_committed() - is @now what was sent before?  It is known then, and asks for nothing more */
bool early_committed(struct scope *scope, const struct object *now);
/** early_dropped() - of struct state_observer */
void early_dropped(void *rec, const struct object *obj);
/** early_drop() - what it was made from has changed */
void early_drop(struct reconcile *rec);
/** early_take_set() - of just this version, or NULL */
struct podnet_set *early_take_set(struct reconcile *rec, const struct object *obj);
/** early_status() - the status too, now that nothing waits for it */
void early_status(struct reconcile *rec);
struct doc *early_take_status(struct reconcile *rec, const struct object *obj);

/* result.c */
void result_done(void *arg, struct kernel_task *task);
/** result_without_task() - the scope needs nothing of the kernel, or could not be compiled */
void result_without_task(struct reconcile *rec, struct scope *scope, int rc,
			 const struct podnet_error *err);

/* depend.c */
/** depend_mark() - what lives in or on things of this scope must be looked at */
void depend_mark(struct reconcile *rec, const struct scope *scope);
void depend_mark_network(struct reconcile *rec, const char *network);

/* same.c */
/** same_as_other() - @obj is a Route that would be another's route in the kernel, and whose */
bool same_as_other(struct reconcile *rec, const struct object *obj, struct podnet_error *err);
/** same_mark() - Routes that would be a route of this pod must be looked at */
void same_mark(struct reconcile *rec, struct object *pod);

/* services.c */
int services_new(struct reconcile *rec);
void services_free(struct services *s);
/** services_begin() - all of them, before the node's first task */
void services_begin(struct reconcile *rec);
/** services_changed() - a Service or an EndpointSlice, or something else */
void services_changed(struct reconcile *rec, struct object *old, struct object *now);
void services_done(struct reconcile *rec, const struct kernel_task *task);
/** services_mended() - the node's scope has sent all that is declared */
void services_mended(struct reconcile *rec);
/** services_ready() - all that there was at the start is in the kernel, or could not be brought there */
bool services_ready(const struct services *s);

/* health.c */
int health_start(struct reconcile *rec);
void health_stop(struct reconcile *rec);
/** health_changed() - a Service; @now NULL: it is gone, and @any was its last version */
void health_changed(struct reconcile *rec, const struct object *any, struct object *now);
/** health_moved() - the node has other addresses */
void health_moved(struct reconcile *rec);
/** services_each_front() - the frontends of a Service that are in the kernel; their keys only */
void services_each_front(const struct reconcile *rec, const struct object *service,
			 void (*each)(void *arg, const struct service *svc,
				      const struct podnet_frontend *f), void *arg);

/* traffic.c */
int traffic_new(struct reconcile *rec);
void traffic_free(struct traffic *t);
void traffic_done(struct reconcile *rec, const struct kernel_task *task);

/* balanced.c */
/** balanced_get() - addresses of the pool that Services hold; malloc'd, also when there are none */
int balanced_get(const struct reconcile *rec, struct podnet_prefix **ret, size_t *n);
/** balanced_moved() - other addresses are the node's own */
void balanced_moved(struct reconcile *rec);

/* paths.c */
#define PATHS_TEXT (COMPILE_MISSING + 40)
/** paths_ensure() - the set of another's Node, and what the kernel has of it */
int paths_ensure(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err);
int paths_absent(struct reconcile *rec, const struct compile_input *in, struct scope *scope,
		 struct kernel_task *task, struct podnet_error *err);
/** paths_done() - keep what the kernel has now; takes the task's set */
void paths_done(struct reconcile *rec, struct scope *scope, struct kernel_task *task);
void paths_failed(struct reconcile *rec, struct scope *scope, const char *why);
/** paths_forget() - the Node is gone */
void paths_forget(struct reconcile *rec, struct scope *scope);
/** paths_mark() - all of them must be looked at */
void paths_mark(struct reconcile *rec);
/** paths_stand() - to some node there is one: something may be under way there */
bool paths_stand(const struct reconcile *rec);
/** paths_carry() - the tunnel of this number, a UDP one, with all who are behind it */
int paths_carry(struct reconcile *rec, unsigned number);
/** paths_news() - those whose blocks have changed */
void paths_news(struct reconcile *rec);
/** paths_begin() - before the first pass: which tunnels there must be */
void paths_begin(struct reconcile *rec);
/** paths_tunnels() - that a Node's path needs now, and will when its Networks' backends have turned */
unsigned paths_tunnels(const struct reconcile *rec, const struct compile_input *in,
		       const struct object *obj);
void paths_report(const struct reconcile *rec, char text[PATHS_TEXT], struct node_report *report);
/** paths_sweep() - which routes to others are kept at the start */
int paths_sweep(struct reconcile *rec, struct kernel_task *task);

/* tunnels.c */
/** tunnels_backend() - by which paths of @net lead as yet */
enum network_backend tunnels_backend(const struct reconcile *rec, const struct network *net);
/** tunnels_turn() - a Network was written; before paths_mark() */
void tunnels_turn(struct reconcile *rec, const struct network *old, const struct network *now);
void tunnels_need(struct reconcile *rec, struct scope *scope, unsigned bits);
/** tunnels_count() - what the path to @obj needs, before it is looked at */
void tunnels_count(struct reconcile *rec, struct scope *scope, const struct object *obj);
/** tunnels_refused() - the node's task failed: there may be a device that the kernel does not know */
void tunnels_refused(struct reconcile *rec, int code);
/** tunnels_settle() - what was counted becomes what the node has */
void tunnels_settle(struct reconcile *rec);
void tunnels_due(void *rec);
/** tunnels_carry() - tell podnet-fwd what UDP tunnels lead to */
void tunnels_carry(struct reconcile *rec);
/** tunnels_fast() - by which families of the underlay paths have a fast path here; set only to true */
void tunnels_fast(const struct reconcile *rec, bool ret[2]);
/** tunnels_missing() - a tunnel that paths need and nobody carries, with why, or NULL */
const char *tunnels_missing(const struct reconcile *rec, const char **why);
/** tunnels_changed() - podnet-fwd does not carry the tunnel of this name any more */
void tunnels_changed(struct reconcile *rec, const char *name);
void tunnels_free(struct reconcile *rec);

/* overlap.c */
/** overlap_put() - a Tunnel's condition OverlapsCluster, and an Event when it becomes true */
int overlap_put(const struct reconcile *rec, struct doc *doc, const struct object *obj, const char *now);
/** overlap_mark() - Nodes, blocks or addresses of the node are others: look at Tunnels again */
void overlap_mark(struct reconcile *rec);

/* status.c */
struct outcome {
	bool ok;
	const char *reason, *message;   /* when not */
	uint64_t inode;                 /* of a NetworkNamespace */
};
/** status_put() - the object's status as the outcome says; nothing is written when it is so */
int status_put(struct reconcile *rec, struct txn *txn, struct scope *scope,
	       const struct outcome *outcome);
/** status_of_running() - what status_put() would write of a pod if all went well; NULL: no memory */
struct doc *status_of_running(const struct reconcile *rec, const struct object *pod);

/* rewrite.c */
/** rewrite_written() - what is called when a write of ours has ended */
void rewrite_written(void *rec, int rc, const char *error);
void rewrite_mended(void *rec);
void rewrite_all(void *rec);

/* lost.c */
void lost_begin(struct reconcile *rec);
/** lost_changed() - a Node, @now NULL: it is gone; others than Nodes are passed over */
void lost_changed(struct reconcile *rec, const struct object *any, const struct object *now);
void lost_due(void *rec);
/** lost_names() - nodes whose grace is over; *@ret is malloc'd.  0 or -ENOMEM */
int lost_names(const struct reconcile *rec, const char ***ret, size_t *n);
void lost_free(struct reconcile *rec);

/* node.c */
void node_facts(void *arg, const struct kernel_facts *facts);
void node_report(struct reconcile *rec);
#define TOLD_NODES 100          /* of so many a Network's status tells the blocks */
/** node_mark_networks() - what stands in their status may be another thing */
void node_mark_networks(struct reconcile *rec);
size_t node_count_blocks(const struct reconcile *rec);
/** node_blocks() - those of one Network */
size_t node_blocks(const struct reconcile *rec, const struct object *network);
/** node_short_of_blocks() - the scope of the pod's Network @i, if it does not know of all; or NULL */
struct scope *node_short_of_blocks(const struct reconcile *rec, const struct pod *pod, size_t i);
/** node_has_blocks() - the node and the pod's Networks know of all that its addresses are from */
bool node_has_blocks(const struct reconcile *rec, const struct pod *pod);

#endif
