/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * internal.h - what the controllers share
 *
 * Room: control only.
 */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

#include <dirent.h>
#include <netd/control/control.h>

/** Services to be looked at: marks.c. */
struct marks {
	struct map of;                      /* NAMESPACE/NAME, its own value */
	size_t at;                          /* where the next of them is looked for */
};

struct control {
	struct loop *loop;
	struct state *state;
	struct loop_timer *empty_timer;     /* namespaces.c */
	struct loop_timer *node_timer;      /* node.c */
	struct node_report *said;           /* the last report, in its arena; NULL: none yet */
	struct arena said_arena;
	uint64_t node_at;                   /* monotonic us: when the Node was last put right */
	struct loop_timer *grace_timer;     /* pods.c */
	uint64_t grace_at;                  /* monotonic us; 0: nothing waits */
	struct loop_timer *attach_timer;    /* attach.c */
	struct loop_timer *lost_timer;      /* lost.c */
	struct loop_timer *look_timer;      /* grace.c */
	struct leaving *leaving;
	DIR *proc;                          /* a round is under way; else NULL */
	bool look_failed;                   /* ... and not every process could be looked at */
	struct loop_timer *owner_timer;     /* owners.c */
	struct map owned;                   /* uid -> struct owned */
	struct loop_timer *orphan_timer;    /* orphans.c */
	struct map missing;                 /* name of a Node that is lost or gone -> struct missing */
	struct loop_timer *slice_timer;     /* slices.c */
	struct loop_timer *endpoints_timer; /* endpoints.c */
	struct loop_timer *mirror_timer;    /* mirror.c */
	struct marks sliced, endpointed, mirrored;  /* Services to be looked at */
	struct loop_timer *balancer_timer;  /* balancer.c */
	struct map waiting;                 /* NAMESPACE/NAME -> struct waiting */
	struct node_report node;            /* the last one, but for its words */
	bool node_known;
	struct probes *probes;              /* probes.c */
	struct map selectors;               /* slices.c: label that Services ask for -> struct asked */
	struct loop_timer *event_timer;     /* events.c */
	struct map pending;                 /* name of the Event -> struct pending_event */
	struct loop_timer *redo_timer;      /* control.c */
	bool unwritten;                     /* a write of control_submit() failed */
	size_t dropped;                     /* Events that there was no room for */
};

/**
 * control_submit() - with the word for the log if it fails, and then what is done at the start is
 * done once more when writes succeed
 */
void control_submit(struct control *control, struct txn *txn, bool soft);
/** write_failed() - the line in the log */
void write_failed(const struct control *control, const char *event, int rc, const char *error);
/** mark_deleted() - deletionTimestamp now, no grace: it waits for its finalizers */
int mark_deleted(struct doc *doc);
/**
 * remove_object() - it goes; where others' finalizers hold it, it is marked and waits for them
 *
 * Return: 1, 0 (it is marked already) or a negative errno, upon which the caller drops the transaction.
 */
int remove_object(struct txn *txn, struct object *obj);
/** new_object() - apiVersion, kind, metadata with name, uid and creationTimestamp */
struct doc *new_object(const struct kind *kind, const char *ns, const char *name);

int bootstrap(struct control *control);
/** set_node_facts() - labels, nodeInfo and capacity */
int set_node_facts(const struct node_config *conf, struct doc *doc);
void node_changed(struct control *control, const struct object *old, const struct object *now);
void node_restate(void *control);
/** node_tell() - what was said of this node last, where it is not written so */
void node_tell(struct control *control);
void node_free(struct control *control);

void namespaces_start(struct control *control);
void namespaces_changed(struct control *control, const struct object *old, const struct object *now);
void namespaces_empty(void *control);

void owners_start(struct control *control);
void owners_changed(struct control *control, const struct object *old, const struct object *now);
void owners_collect(void *control);
void owners_free(struct control *control);

/** orphans_start() - Nodes may be lost or gone, or be there again */
void orphans_start(struct control *control);
/** orphans_next() - the lost nodes whose slices this node keeps meanwhile, one by one; NULL: no more */
const char *orphans_next(const struct control *control, size_t *pos);
/** orphans_keep() - is this one of them?  NULL is not */
bool orphans_keep(const struct control *control, const char *node);
void orphans_changed(struct control *control, const struct object *old, const struct object *now);
void orphans_look(void *control);
void orphans_free(struct control *control);

/** selectors_changed() - a Service as it was and as it is, either NULL */
void selectors_changed(struct control *control, const struct object *old, const struct object *now);
/** selectors_each() - names of Services of its namespace that may choose a pod; some twice */
void selectors_each(struct control *control, const struct meta *pod,
		    void (*each)(void *arg, const char *name), void *arg);
void selectors_free(struct control *control);

#define LABEL_HEADLESS   "service.kubernetes.io/headless"
#define MARKS_ROUND      64
/** marks_add() - NAMESPACE/NAME, once; what there is no memory for is logged */
void marks_add(struct marks *marks, const char *ns, const char *name);
/**
 * marks_take() - up to MARKS_ROUND of them; @each is 0 or a negative errno,
 * upon which the caller drops the transaction and all that were taken are marked again
 */
int marks_take(struct marks *marks, struct control *control, struct txn *txn,
	       int (*each)(struct control *control, struct txn *txn, const char *ns, const char *name));
/** service_that_chooses() - the accepted version of one that chooses pods, or NULL */
struct object *service_that_chooses(struct control *control, const char *ns, const char *name);
void marks_free(struct marks *marks);
/** slice_is_made() - of a selector, by this controller on whatever node */
bool slice_is_made(const struct object *slice);
/** service_owner_ref() - metadata.ownerReferences of what is made of a Service */
const char *service_owner_ref(const struct object *service, char ret[512]);

int slices_know_one(void *arg, struct object *service);         /* once, before what follows */
void slices_start(struct control *control);
int slices_start_one(void *arg, struct object *service);        /* the same, of one; as below */
void slices_changed(struct control *control, const struct object *old, const struct object *now);
void slices_write(void *control);

void endpoints_start(struct control *control);
int endpoints_start_one(void *arg, struct object *service);
void endpoints_changed(struct control *control, const struct object *old, const struct object *now);
void endpoints_write(void *control);

void mirror_start(struct control *control);
void mirror_changed(struct control *control, const struct object *old, const struct object *now);
void mirror_write(void *control);

/** ranges_start_one() - tell of a Service whose cluster IPs or node ports are not of today's ranges */
int ranges_start_one(void *arg, struct object *service);

int balancer_start_one(void *arg, struct object *service);
void balancer_changed(struct control *control, const struct object *old, const struct object *now);
/** balancer_node() - which addresses are nobody's to have */
void balancer_node(struct control *control, const struct node_report *report);
void balancer_look(void *control);
void balancer_free(struct control *control);

int probes_new(struct control *control);
void probes_start(struct control *control);
void probes_changed(struct control *control, const struct object *old, const struct object *now);
void probes_free(struct probes *probes);

void attach_changed(struct control *control, const struct object *now);
void attach_all(void *control);

/** lost_start() - nodes may be lost, or heard of again */
void lost_start(struct control *control);
/** lost_now() - one of them is, or is heard of again */
void lost_now(struct control *control);
void lost_look(void *control);

int pods_after_reboot(struct control *control);
void pods_changed(struct control *control, const struct object *now);
void pods_expire(void *control);

/**
 * grace_left_us() - what is left of the grace of a pod that is being deleted, 0: it is over
 *
 * By a clock that nobody sets, from when this was first asked; and over when nothing runs in its
 * namespace any more, which is looked for from then on.
 */
uint64_t grace_left_us(struct control *control, const struct object *pod);
void grace_forget(struct control *control, const struct object *pod);
void grace_look(void *control);
void grace_free(struct control *control);

void events_flush(void *control);
void events_free(struct control *control);

#endif
