/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pods.c - what creating and deleting a Pod does beyond the generic
 *
 * Room: rest.  A pod's addresses are claimed in the transaction that creates it, so status says
 * them from the first version on.  May include: codec, state, model, reconcile.h, netd/base.
 */
#include "internal.h"
#include <stdio.h>

static int prepare(struct call *c, struct doc *doc, const struct object *old)
{
	const char *node = old && old->pod->node_name ? old->pod->node_name
			   : state_config(c->rest->state)->node_name;
	const char *given = doc_str(doc, "spec.nodeName");

	if ((given && *given) || (!given && doc_has(doc, "spec.nodeName")))
		return 0;           /* also what is no string: the checks say so */
	return doc_set_str(doc, "spec.nodeName", node) == -ENOMEM ? -ENOMEM : 0;
}

/* Why a pod could not have its addresses, as a refusal. */
static int refuse_attach(struct call *c, const struct attach_fault *f)
{
	struct causes *causes = &c->refusal.causes;
	const struct podnet_prefix *ip = &f->ip;
	char text[PODNET_PREFIX_STRLEN];
	int64_t left = f->rc == -EADDRINUSE && ip->family ? state_cooling(c->rest->state, f->network, ip) : 0;

	if (left)               /* nothing is wrong with the wish: later it can be had */
		return refuse(c, 409, "Conflict", "Operation cannot be fulfilled on pods \"%s\": the "
			      "address %s was freed a moment ago and can be had again in %lld s",
			      c->name, podnet_prefix_format_addr(ip, text), (long long)left);
	if (f->rc == -ENOSPC)
		return refuse(c, 503, "ServiceUnavailable", "no free address in network \"%s\"",
			      f->network);
	if (f->rc == -ENOMEM)
		return refuse_memory(c);
	causes_add(causes, CAUSE_INVALID, f->field, f->value, "%s", f->words);
	return refuse_causes(c);
}

static int set_at(struct doc *doc, const char *value, const char *fmt, size_t i)
{
	char path[96];

	snprintf(path, sizeof(path), fmt, i);
	return doc_set_str(doc, path, value);
}

/* The addresses of the node; a hostNetwork pod has no others. */
static int host_ips(struct call *c, struct doc *doc, const struct pod *pod)
{
	const struct reconcile *rec = c->rest->reconcile;
	struct podnet_prefix ips[2];
	size_t n = rec ? reconcile_node_ips(rec, ips) : 0;
	char text[PODNET_PREFIX_STRLEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		podnet_prefix_format_addr(&ips[i], text);
		r = set_at(doc, text, "status.hostIPs[%zu].ip", i);
		if (r == 0 && pod->host_network)
			r = set_at(doc, text, "status.podIPs[%zu].ip", i);
		if (r == 0 && !i)
			r = doc_set_str(doc, "status.hostIP", text);
		if (r == 0 && !i && pod->host_network)
			r = doc_set_str(doc, "status.podIP", text);
	}
	return r < 0 ? refuse_memory(c) : 0;
}

static int first_status(struct doc *doc)
{
	char now[24];
	int r = doc_set_str(doc, "status.phase", "Pending");

	time_format(now_realtime_s(), now);
	if (r == 0)
		r = doc_set_str(doc, "status.qosClass", "BestEffort");
	if (r == 0)
		r = doc_set_condition(doc, "status.conditions", "PodScheduled", "True", NULL, NULL, now);
	return r < 0 ? r : 0;
}

static int admit(struct call *c, struct txn *txn, struct doc *doc)
{
	const char *here = state_config(c->rest->state)->node_name;
	struct attach_fault fault = { 0 };
	const struct pod *pod;
	int r = first_status(doc);

	if (r < 0)
		return refuse_memory(c);
	pod = kind_decode_doc(c->kind, doc, request_arena(c->req));
	if (!pod)
		return refuse_memory(c);
	if (strcmp(pod->node_name, here) != 0)      /* another node gives its addresses */
		return 0;
	r = host_ips(c, doc, pod);
	if (r < 0 || pod->host_network)
		return r;
	r = txn_attach_pod(txn, doc, pod, &fault);
	return r < 0 ? refuse_attach(c, &fault) : 0;
}

/* What is asked for, else what the pod says, else none. */
static int64_t grace_of(const struct object *obj, int64_t grace_s)
{
	return grace_s >= 0 ? grace_s : obj->pod->grace_s;
}

static bool at_once(const struct object *obj, int64_t grace_s)
{
	return grace_of(obj, grace_s) <= 0;
}

static int retire(struct call *c, struct doc *doc, const struct object *obj, int64_t grace_s)
{
	int64_t now = now_realtime_s(), grace = grace_of(obj, grace_s);
	char text[24];
	int r;

	(void)c;
	if (grace <= 0)
		return 0;
	if (obj->meta->deleted && obj->meta->deleted <= now + grace)
		return 1;           /* it ends before that already */
	time_format(now + grace, text);
	r = doc_set_str(doc, "metadata.deletionTimestamp", text);
	if (r == 0)
		r = doc_set_int(doc, "metadata.deletionGracePeriodSeconds", grace);
	return r < 0 ? r : 1;
}

/* Index of a condition in @doc, or the length of the list. */
static size_t find_condition(const struct doc *doc, const char *type)
{
	size_t n = doc_len(doc, "status.conditions"), i;
	char path[48];

	for (i = 0; i < n; i++) {
		const char *t;

		snprintf(path, sizeof(path), "status.conditions[%zu].type", i);
		t = doc_str(doc, path);
		if (t && strcmp(t, type) == 0)
			break;
	}
	return i;
}

/* The conditions that the body leaves out stay: a merge patch of one would drop the others. */
static int keep_conditions(struct doc *doc, const struct doc *was, const struct pod *pod)
{
	char from[32], to[32];
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->nconditions; i++) {
		size_t n = doc_len(doc, "status.conditions");

		if (find_condition(doc, pod->conditions[i].type) < n)
			continue;
		snprintf(from, sizeof(from), "status.conditions[%zu]", i);
		snprintf(to, sizeof(to), "status.conditions[%zu]", n);
		r = doc_set_copy(doc, to, was, from);
	}
	return r;
}

static const char *ready_status(const struct doc *doc)
{
	char path[48];
	const char *status;

	snprintf(path, sizeof(path), "status.conditions[%zu].status", find_condition(doc, "Ready"));
	status = doc_str(doc, path);
	return status ? status : "";
}

/*
 * The addresses are the server's, for claims hang on them.  Whoever sets Ready has it: from then on
 * the server leaves that condition alone, but with readiness gates it follows from the others, and
 * with probes from these.
 */
static int keep_status(struct doc *doc, const struct object *old)
{
	static const char *const kept[] = {
		"status.networks", "status.podIP", "status.podIPs", "status.bootID",
		"status.readyByUser",
	};
	_cleanup_(doc_freep) struct doc *was = object_doc(old);
	bool taken = was && *ready_status(doc) &&
		     strcmp(ready_status(doc), ready_status(was)) != 0;
	bool probed = was && pod_is_probed(was);
	int r = was ? 0 : -ENOMEM;
	char now[24];

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kept); i++)
		r = doc_set_copy(doc, kept[i], was, kept[i]);
	if (r == 0)
		r = keep_conditions(doc, was, old->pod);
	if (r < 0)
		return r;
	time_format(now_realtime_s(), now);
	if (probed)
		r = doc_set_copy(doc, "status.containerStatuses", was, "status.containerStatuses");
	if (r == 0 && probed)
		r = pod_set_containers_ready(doc, now);
	if (r == 0)
		r = pod_set_ready(doc, true, now);
	return r == 0 && taken ? doc_set_bool(doc, "status.readyByUser", true) : r;
}

static void accepted(struct rest *rest, struct object *obj)
{
	if (rest->reconcile)
		reconcile_hint(rest->reconcile, obj);
}

const struct kind_hooks pod_hooks = {
	.prepare = prepare,
	.admit = admit,
	.keep_status = keep_status,
	.retire = retire,
	.at_once = at_once,
	.accepted = accepted,
};
