/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.h - what services.c and ports.c share: who has which frontends
 *
 * Room: reconcile.  A pod that publishes ports is looked at as a Service is: it has frontends,
 * and those that are another's it waits for.
 */
#ifndef NETD_RECONCILE_SERVICES_H
#define NETD_RECONCILE_SERVICES_H

#include "inner.h"

#include <netd/ports/ports.h>

/** A frontend that is ours in the kernel. */
struct front {
	char key[64];
	struct svc *owner;
	struct podnet_frontend is;      /* its key only */
	bool kept;                      /* while its owner is compiled */
	struct front *next;             /* of the owner */
};

/** A Service by its name, also while only slices of it are known; or a pod that publishes. */
struct svc {
	char *key;                      /* NAMESPACE/NAME; of a pod "pod:NAMESPACE/NAME" */
	struct object *service, *pod;
	struct object **slices;
	size_t nslices;
	struct front *fronts;
	struct port_list holds;         /* ports of the node that are its own */
	bool warned;                    /* that a node port is in use */
	bool dirty, waits;              /* waits: it wants a frontend of another's */
	bool ended;                     /* what it has was of a Service that is no more */
	bool balanced;                  /* it is in that list */
	struct svc *next_dirty, *next_balanced;
};

/** What came of a pod's ports, to be told when the kernel has them. */
struct port_outcome {
	struct object *pod;
	const char *reason;             /* NULL: they are published */
	char why[256];
	struct port_outcome *next;
};

struct services {
	struct map by_name;             /* struct svc */
	struct port_outcome *outcomes, *last_outcome;
	struct map fronts;              /* struct front */
	struct ports *ports;
	struct svc *dirty, *balanced;   /* balanced: those with addresses of the pool */
	size_t nwaiting;
	bool under_way, begun, whole;
	bool told;                      /* the kernel thread has answered once */
	bool failed;                    /* what was sent is not all in the kernel */
	bool node_due;                  /* those have changed: the node's turn, when the rest was sent */
};

/** While one task is made. */
struct making {
	struct reconcile *rec;
	struct kernel_services *out;
	struct svc *svc;
	const char *zone;               /* of this node, or NULL */
	const char *const *lost;        /* nodes whose endpoints are out */
	size_t nlost;
	bool in_use;                    /* a node port of it is another process's */
	char taken[900];                /* of a Service: what is another's already, in words */
	unsigned ntaken_more;           /* that there is no room for in those */
	/* of a pod: the first port that could not be published, and why */
	const char *reason;
	char why[256];
};

/* ---- services.c ---- */

/** services_get() - made if absent; NULL: no memory */
struct svc *services_get(struct services *s, const char *key);
void services_mark(struct services *s, struct svc *svc);
/** services_send() - what is marked, unless a task is under way */
void services_send(struct reconcile *rec);
/**
 * services_front() - the service or pod under way has this frontend
 *
 * Return: 0; 1: it is another's, who stands in *@other, and the one under way waits; -ENOMEM.
 */
int services_front(struct making *m, const struct podnet_frontend *f, struct svc **other);
/** services_wait() - the one under way wants what another has */
void services_wait(struct making *m);
/** services_who() - "Service shop/web", "pod shop/web" */
const char *services_who(const struct svc *svc, char buf[600]);

/** services_mark_node() - those with endpoints on a node, and send them */
void services_mark_node(struct reconcile *rec, const char *node);

/* ---- balanced.c ---- */

/** balanced_note() - @svc is about to be @now */
void balanced_note(struct services *s, struct svc *svc, const struct object *now);
/** balanced_changed() - what is no more is not answered any more, before its ports go */
void balanced_changed(struct reconcile *rec, const struct object *now);
/** balanced_sent() - what is new is answered, when its ports were sent */
void balanced_sent(struct reconcile *rec);

/* ---- ports.c ---- */

int ports_start(struct reconcile *rec);
/** ports_note() - a pod that was, that is; of others nothing */
void ports_note(struct reconcile *rec, struct object *old, struct object *now);
/** ports_begin_pods() - those of the store that were published (or were not) when netd ended */
void ports_begin_pods(struct reconcile *rec, bool published);
/** ports_compile() - all that the pod under way publishes */
int ports_compile(struct making *m);
/** ports_node_port() - a frontend at a port of the node: hold it.  As services_front() */
int ports_node_port(struct making *m, const struct podnet_frontend *f, struct svc **other);
/** ports_outcome() - remember what came of the pod under way.  0 or -ENOMEM */
int ports_outcome(struct making *m);
/** ports_tell() - what is remembered, as conditions and Events; @rec NULL: forget it */
void ports_tell(struct reconcile *rec, struct services *s);
/** ports_moved() - the node has other addresses */
void ports_moved(struct reconcile *rec);
/** ports_needed() - is there anything to hold? */
bool ports_needed(const struct services *s);

#endif
