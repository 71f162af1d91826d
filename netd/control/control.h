/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.h - controllers: what keeps API objects true to each other
 *
 * Room: on the control loop, through state's transactions only.  May include: state, codec, model,
 * store.h, watch, metrics, netd/base.
 */
#ifndef NETD_CONTROL_H
#define NETD_CONTROL_H

#include <netd/state/state.h>

struct control;
/** control_start() - namespaces default and kube-system, Network "default", this Node; then watch */
int control_start(struct loop *loop, struct state *state, struct control **ret);
void control_stop(struct control *control);

/** What the node reports of itself; the reconciler calls it when it learns something. */
struct node_report {
	struct podnet_prefix addresses[16];
	size_t naddresses;
	struct podnet_prefix reserved[96];  /* no Service may have them: own, gateways', of subnets */
	size_t nreserved;
	bool ready;
	const char *reason, *message;       /* of condition Ready */
	const char *dropper;                /* nft chains of others that drop, or "" */
	size_t others;                      /* nodes beside this one */
	struct podnet_prefix link_local;    /* told to others; family 0: none */
	bool fastpath[2];                   /* told to others; by family of the underlay */
	/* to whose pods something leads not, and why; "": to all of them; NULL: it is not known yet */
	const char *missing;
};
void control_node(struct control *control, const struct node_report *report);

/**
 * control_event() - record an Event about an object; equal ones (object, reason, message) only
 * count up; written behind other writes, softly
 * @type: "Normal" or "Warning"
 */
void control_event(struct control *control, const struct object *about, const char *type,
		   const char *reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
