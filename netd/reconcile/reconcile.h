/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reconcile.h - the kernel is kept as the stored objects say
 *
 * Room: on the control loop.  What changed (an object, a kernel event, a timer, the start) marks
 * scopes dirty; a dirty scope is compiled and sent to the kernel thread; its result becomes status,
 * an Event, or a retry with backoff.  At most one task of a scope is under way; marks made
 * meanwhile are kept.  May include: state, store.h, codec, control.h, compile, model, kernel.h,
 * metrics, netd/base, include/podnet.
 */
#ifndef NETD_RECONCILE_H
#define NETD_RECONCILE_H

#include <netd/control/control.h>
#include <netd/kernel/kernel.h>
#include <netd/ports/ports.h>
#include <netd/state/state.h>

struct reconcile;
struct reconcile_config {
	struct loop *loop;
	struct state *state;
	struct control *control;    /* told about the node; records Events */
	struct kernel *kernel;      /* open; taken, also when the start fails */
	uint32_t resync_s;          /* everything is looked at again that often; 0: never */
	uint32_t pool;
	uint32_t mtu;
	const struct podnet_prefix *node_ips;   /* configured; n 0: as the kernel's facts say */
	size_t nnode_ips;
	/* published ports: see ports.h; a copy is made of the path */
	enum ports_mode fwd_mode;
	const char *fwd_socket;
	int fwd_starter;
	bool udp_fastpath;          /* see ports.h */
};
int reconcile_start(const struct reconcile_config *conf, struct reconcile **ret,
		    struct podnet_error *err);
void reconcile_stop(struct reconcile *rec);
/** reconcile_ready() - the first pass over everything has ended */
bool reconcile_ready(const struct reconcile *rec);
/** reconcile_hint() - a pod was accepted and is being committed: what can be prepared is */
void reconcile_hint(struct reconcile *rec, struct object *pod);
/** reconcile_node_ips() - host addresses of this node, at most one a family */
size_t reconcile_node_ips(const struct reconcile *rec, struct podnet_prefix ret[2]);
/** reconcile_node_addresses() - all that the Node shows; borrowed until the next turn */
size_t reconcile_node_addresses(const struct reconcile *rec, const struct podnet_prefix **ret);
/** reconcile_reserved() - what no Service may have: see struct kernel_facts; the same */
size_t reconcile_reserved(const struct reconcile *rec, const struct podnet_prefix **ret);
/** reconcile_node_overlap() - an address or a connected route of this node in or around @p, or NULL */
const struct podnet_prefix *reconcile_node_overlap(const struct reconcile *rec,
						   const struct podnet_prefix *p);

/** reconcile_tunnels_ask() - have podnet-fwd tell what it has carried */
void reconcile_tunnels_ask(struct reconcile *rec);
/** reconcile_tunnels_each() - what was told last; see ports_tunnels_each() */
void reconcile_tunnels_each(const struct reconcile *rec,
			    void (*each)(void *arg, const char *name, const struct fwd_counts *c),
			    void *arg);

/** What went to one endpoint by one port of a Service, since there was traffic. */
struct traffic_row {
	size_t port;                /* of spec.ports */
	struct podnet_prefix endpoint;          /* family 0: those that went, together */
	uint16_t endpoint_port;
	uint64_t connections;
	uint64_t packets[2], bytes[2];          /* to the endpoint, from it */
};
struct traffic;
/**
 * reconcile_traffic() - read what this node's kernel has counted
 * @waits: however long the kernel thread is at something else; false: a second, then for nothing
 * @done:  later, on this thread; @t lasts as long as the call.  0 or -ENOMEM: it is never called.
 */
int reconcile_traffic(struct reconcile *rec, bool waits,
		      void (*done)(void *arg, const struct traffic *t), void *arg);
/** reconcile_traffic_forget() - nobody waits with this @arg any more */
void reconcile_traffic_forget(struct reconcile *rec, const void *arg);
/** traffic_rows() - those of a Service, by port and endpoint; *@ret is the caller's to free().  0 or -ENOMEM. */
int traffic_rows(const struct traffic *t, const struct object *service, struct traffic_row **ret,
		 size_t *n);
/** traffic_any() - false: there are no rows of any */
bool traffic_any(const struct traffic *t);
/** traffic_add() - add up what two rows counted */
void traffic_add(struct traffic_row *to, const struct traffic_row *from);

#endif
