/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balancer.c - Services that wait for an address of the load-balancer pool
 *
 * Room: control.  A Service gets its addresses in the write that asks for them (rest/services.c).
 * Who came when none was left, or when there was no pool yet, waits here: all of them are tried
 * again when a Service gives one back, at start, and when the node has told what its own are.  An
 * Event says once that it waits.  One that names no class and has an ingress is somebody else's.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/socket.h>

#define RETRY_MS 1000

/** A Service that has fewer addresses than families. */
struct waiting {
	char *key;                  /* NAMESPACE/NAME */
	bool told;
};

static size_t missing(const struct control *control, const struct service *svc)
{
	bool pool = state_config(control->state)->nbalancer_cidrs > 0;

	if (svc->type != SERVICE_LOAD_BALANCER || svc->meta.deleted)
		return 0;
	if (svc->from_pool)
		return svc->nfamilies > svc->ningress ? svc->nfamilies - svc->ningress : 0;
	return pool && !svc->load_balancer_class && !svc->ningress ? svc->nfamilies : 0;
}

static void waiting_free(struct waiting *w)
{
	if (!w)
		return;
	free(w->key);
	free(w);
}

static void look_soon(struct control *control)
{
	if (control->waiting.n && control->node_known && !loop_timer_armed(control->balancer_timer))
		loop_timer_set(control->balancer_timer, 0);
}

static void note(struct control *control, const struct object *obj, bool waits)
{
	char key[320];
	struct waiting *w;

	snprintf(key, sizeof(key), "%s/%s", obj->meta->ns, obj->meta->name);
	w = map_get(&control->waiting, key);
	if (!waits && w) {
		map_del(&control->waiting, key);
		waiting_free(w);
	}
	if (!waits || w)
		return;
	w = calloc(1, sizeof(*w));
	if (w)
		w->key = strdup(key);
	if (w && w->key && map_put(&control->waiting, w->key, w) == 0)
		return;
	waiting_free(w);
	log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=balancer");
}

static bool gave_back(const struct service *old, const struct service *now)
{
	for (size_t i = 0; old->from_pool && i < old->ningress; i++)
		if (!now || !service_holds_balancer_ip(now, &old->ingress[i].ip))
			return true;
	return false;
}

void balancer_changed(struct control *control, const struct object *old, const struct object *now)
{
	if ((now ? now : old)->kind->id != KIND_SERVICE)
		return;
	note(control, now ? now : old, now && missing(control, now->service));
	if ((now && missing(control, now->service)) ||
	    (old && gave_back(old->service, now ? now->service : NULL)))
		look_soon(control);
}

static void tell(struct control *control, const struct object *obj, int r,
		 const struct balancer_ask *ask)
{
	const struct node_config *conf = state_config(control->state);
	char text[PODNET_PREFIX_STRLEN];
	const char *why = conf->nbalancer_cidrs ? "the pool has no free address of a family that it asks for" :
						  "no pool is configured (load-balancer-cidr)";

	if (r == 0)
		control_event(control, obj, "Warning", "NoLoadBalancerAddress", "%s", why);
	else
		control_event(control, obj, "Warning", "NoLoadBalancerAddress",
			      "%s cannot be had of the pool%s",
			      podnet_prefix_format_addr(&ask->fault, text),
			      r == -EADDRINUSE ? ": it is another's" : "");
}

/* 1: it has got one; 0: it waits on. */
static int try_one(struct control *control, struct txn *txn, struct object *obj,
		   struct balancer_ask *ask)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(obj);
	struct service now = *obj->service;
	size_t before = missing(control, obj->service);
	struct object *put;
	int r = doc ? 0 : -ENOMEM;

	now.from_pool = true;           /* as it will be */
	if (r == 0 && !obj->service->from_pool)
		r = doc_set_str(doc, "spec.loadBalancerClass", SERVICE_POOL_CLASS);
	if (r == 0)
		r = txn_grant_balancer(txn, doc, &now, obj->service, ask);
	if (r < 0 || ask->missing >= before)
		return r;
	r = txn_put(txn, obj->kind, doc, obj, &put);
	return r < 0 ? r : 1;
}

static void try_waiting(struct control *control, struct waiting *w)
{
	struct balancer_ask ask = { .avoid = control->node.reserved,
				    .navoid = control->node.nreserved };
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	const char *slash = strchr(w->key, '/');
	struct object *obj;
	char ns[64];
	int r;

	snprintf(ns, sizeof(ns), "%.*s", (int)(slash - w->key), w->key);
	obj = state_accepted(control->state, &kinds[KIND_SERVICE], ns, slash + 1);
	if (!obj || !missing(control, obj->service) || !state_chosen(control->state, obj->meta->uid))
		return;                 /* its commit is under way */
	ask.uid = obj->meta->uid;
	r = txn_new(control->state, &txn);
	if (r == 0)
		r = try_one(control, txn, obj, &ask);
	if (r > 0) {
		control_submit(control, take_ptr(txn), false);
		return;
	}
	if (r == -ENOMEM || r == -ESHUTDOWN)
		loop_timer_set(control->balancer_timer, RETRY_MS);
	else if (!w->told)
		tell(control, obj, r, &ask);
	w->told = true;
}

void balancer_look(void *arg)
{
	struct control *control = arg;
	struct waiting *w;
	size_t pos = 0;

	while ((w = map_next(&control->waiting, &pos)))
		try_waiting(control, w);
}

void balancer_node(struct control *control, const struct node_report *report)
{
	bool first = !control->node_known;

	control->node = *report;
	control->node.reason = control->node.message = NULL;
	control->node_known = true;
	if (first)
		look_soon(control);
}

int balancer_start_one(void *arg, struct object *obj)
{
	struct control *control = arg;

	note(control, obj, missing(control, obj->service));
	return 0;
}

void balancer_free(struct control *control)
{
	struct waiting *w;
	size_t pos = 0;

	while ((w = map_next(&control->waiting, &pos)))
		waiting_free(w);
	map_fini(&control->waiting);
}
