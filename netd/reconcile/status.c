/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * status.c - outcomes as status
 *
 * Room: reconcile.  Built upon the newest accepted version, so a write that is under way is never
 * undone; what the user says of readiness by the status subresource stays.
 */
#include "inner.h"

#include <errno.h>
#include <stdio.h>

static int condition(struct doc *doc, const char *type, const struct outcome *outcome,
		     const char *reason, const char *now)
{
	int r;

	if (outcome->ok)
		r = doc_set_condition(doc, "status.conditions", type, "True", reason, NULL, now);
	else
		r = doc_set_condition(doc, "status.conditions", type, "False", outcome->reason,
				      outcome->message, now);
	return r < 0 ? r : 0;
}

static int put_host_ips(const struct reconcile *rec, struct doc *doc, bool host_network)
{
	char text[PODNET_PREFIX_STRLEN], json[160];
	int at = 1;
	size_t i;

	if (!rec->nips)
		return 0;
	json[0] = '[';
	for (i = 0; i < rec->nips; i++)
		at += snprintf(json + at, sizeof(json) - (size_t)at, "%s{\"ip\":\"%s\"}",
			       i ? "," : "", podnet_prefix_format_addr(&rec->ips[i], text));
	snprintf(json + at, sizeof(json) - (size_t)at, "]");
	podnet_prefix_format_addr(&rec->ips[0], text);
	if (doc_set_str(doc, "status.hostIP", text) < 0 ||
	    doc_set_json(doc, "status.hostIPs", json) < 0)
		return -ENOMEM;
	if (!host_network)
		return 0;
	if (doc_set_str(doc, "status.podIP", text) < 0 ||
	    doc_set_json(doc, "status.podIPs", json) < 0)
		return -ENOMEM;
	return 0;
}

static int put_container(struct doc *doc, size_t i, const char *now)
{
	char to[64], from[64], json[192];
	int r;

	snprintf(to, sizeof(to), "status.containerStatuses[%zu]", i);
	snprintf(json, sizeof(json), "{\"imageID\":\"\",\"ready\":%s,\"started\":true,"
		 "\"restartCount\":0,\"state\":{\"running\":{\"startedAt\":\"%s\"}}}",
		 pod_container_is_probed(doc, i) ? "false" : "true", now);
	r = doc_set_json(doc, to, json);
	snprintf(from, sizeof(from), "spec.containers[%zu].name", i);
	snprintf(to, sizeof(to), "status.containerStatuses[%zu].name", i);
	if (r == 0)
		r = doc_set_copy(doc, to, doc, from);
	snprintf(from, sizeof(from), "spec.containers[%zu].image", i);
	snprintf(to, sizeof(to), "status.containerStatuses[%zu].image", i);
	if (r == 0)
		r = doc_set_copy(doc, to, doc, from);
	if (r == 0 && !doc_str(doc, to))
		r = doc_set_str(doc, to, "");
	return r;
}

/*
 * There is no kubelet: a container is whatever process joins the namespace, and runs with it.  One with
 * a probe is not ready until that says so (control/probes.c).
 */
static int put_containers(struct doc *doc, const char *now)
{
	size_t i, n = doc_len(doc, "spec.containers");
	int r = 0;

	if (doc_len(doc, "status.containerStatuses") == n)
		return doc_set_list(doc, "status.containerStatuses");
	doc_remove(doc, "status.containerStatuses");
	r = doc_set_list(doc, "status.containerStatuses");
	for (i = 0; r == 0 && i < n; i++)
		r = put_container(doc, i, now);
	return r;
}

static int put_pod_conditions(struct doc *doc, const struct pod *pod,
			      const struct outcome *outcome, const char *now)
{
	static const struct outcome yes = { .ok = true };
	int r = condition(doc, "PodScheduled", &yes, NULL, now);

	if (r == 0)
		r = condition(doc, "Initialized", &yes, NULL, now);
	if (r == 0)
		r = condition(doc, "NetworkReady", outcome, "Programmed", now);
	if (r == 0 && outcome->ok)
		r = put_containers(doc, now);
	if (r == 0)
		r = pod_set_containers_ready(doc, now);
	if (r == 0)
		r = pod_set_ready(doc, pod->ready_by_user, now);
	return r < 0 ? r : 0;
}

static int put_pod(const struct reconcile *rec, struct doc *doc, const struct pod *pod,
		   const struct outcome *outcome, const char *now)
{
	int r = put_pod_conditions(doc, pod, outcome, now);

	if (r == 0)
		r = put_host_ips(rec, doc, pod->host_network);
	if (r < 0 || !outcome->ok)
		return r;
	if (doc_set_str(doc, "status.phase", "Running") < 0 ||
	    doc_set_str(doc, "status.bootID", rec->node->boot_id) < 0)
		return -ENOMEM;
	if (!doc_str(doc, "status.startTime") && doc_set_str(doc, "status.startTime", now) < 0)
		return -ENOMEM;
	return 0;
}

/** What a node has of a Network, being gathered. */
struct blocks {
	const char *network;
	struct podnet_prefix *v;    /* malloc'd */
	size_t n;
};

static int add_block(void *arg, const char *network, const struct podnet_prefix *block)
{
	struct blocks *b = arg;
	struct podnet_prefix *grown;

	if (strcmp(network, b->network) != 0)
		return 0;
	grown = reallocarray(b->v, b->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	b->v = grown;
	b->v[b->n++] = *block;
	return 0;
}

static int by_family(const void *x, const void *y)
{
	const struct podnet_prefix *a = x, *b = y;

	return a->family != b->family ? (a->family > b->family) - (a->family < b->family)
				      : memcmp(a->addr, b->addr, sizeof(a->addr));
}

struct telling {
	const struct reconcile *rec;
	struct doc *doc;
	const char *network;
	size_t n;
};

static int tell_blocks(struct telling *t, const char *node, struct blocks *b)
{
	char path[48], text[PODNET_PREFIX_STRLEN];
	int r = 0;

	if (b->n)
		qsort(b->v, b->n, sizeof(*b->v), by_family);
	for (size_t i = 0; r == 0 && i < b->n; i++, t->n++) {
		snprintf(path, sizeof(path), "status.blocks[%zu].nodeName", t->n);
		r = doc_set_str(t->doc, path, node);
		snprintf(path, sizeof(path), "status.blocks[%zu].cidr", t->n);
		if (r == 0)
			r = doc_set_str(t->doc, path, podnet_prefix_format(&b->v[i], text));
	}
	return r;
}

static int put_blocks_of(void *arg, struct object *node)
{
	struct telling *t = arg;
	const struct ipam *ipam = state_ipam(t->rec->conf.state);
	const struct podnet_prefix *own = NULL;
	struct blocks b = { .network = t->network };
	size_t n = 0;
	int r;

	if (strcmp(node->meta->name, t->rec->node->node_name) == 0)
		n = ipam_blocks(ipam, t->network, &own);
	r = ipam_each_held(ipam, node->meta->uid, add_block, &b);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_block(&b, t->network, &own[i]);
	if (r == 0)
		r = tell_blocks(t, node->meta->name, &b);
	free(b.v);
	return r;
}

/*
 * Of all nodes, in one order: whichever writes it writes the same.  Of many none: each that comes or goes
 * would be a large write, which every node reads.
 */
static int put_blocks(const struct reconcile *rec, struct doc *doc, const char *network)
{
	struct telling t = { .rec = rec, .doc = doc, .network = network };
	int r;

	doc_remove(doc, "status.blocks");
	r = doc_set_list(doc, "status.blocks");
	if (r < 0 || state_count(rec->conf.state, &kinds[KIND_NODE]) > TOLD_NODES)
		return r;
	return state_each(rec->conf.state, &kinds[KIND_NODE], NULL, put_blocks_of, &t);
}

/* Not refused any more, and perhaps meant: pods work, but what is there on the node is cut off. */
static int put_overlap(const struct reconcile *rec, struct doc *doc, const struct network *net,
		       const char *now)
{
	char ours[PODNET_PREFIX_STRLEN], theirs[PODNET_PREFIX_STRLEN], text[160];
	const struct podnet_prefix *other = NULL;
	size_t i;
	int r;

	for (i = 0; i < net->ncidrs && !other; i++)
		other = reconcile_node_overlap(rec, &net->cidrs[i]);
	if (!other) {
		r = doc_set_condition(doc, "status.conditions", "OverlapsHost", "False", "None", NULL,
				      now);
		return r < 0 ? r : 0;
	}
	snprintf(text, sizeof(text), "%s overlaps %s, an address or a connected route of this node",
		 podnet_prefix_format(&net->cidrs[i - 1], ours),
		 podnet_prefix_format(other, theirs));
	r = doc_set_condition(doc, "status.conditions", "OverlapsHost", "True", "HostRoute", text, now);
	return r < 0 ? r : 0;
}

static int put_other(const struct reconcile *rec, struct doc *doc, const struct object *sent,
		     const struct outcome *outcome, const char *now)
{
	int r = condition(doc, "Ready", outcome, "Programmed", now);

	if (r == 0)
		r = doc_set_int(doc, "status.observedGeneration", sent->meta->generation);
	if (r == 0 && outcome->inode)
		r = doc_set_int(doc, "status.inode", (int64_t)outcome->inode);
	if (r == 0 && sent->kind->id == KIND_NETWORK)
		r = put_overlap(rec, doc, sent->network, now);
	if (r == 0 && sent->kind->id == KIND_NETWORK)
		r = put_blocks(rec, doc, sent->meta->name);
	if (r == 0 && sent->kind->id == KIND_TUNNEL)
		r = overlap_put(rec, doc, sent, now);
	return r;
}

struct doc *status_of_running(const struct reconcile *rec, const struct object *pod)
{
	static const struct outcome ok = { .ok = true };
	_cleanup_(doc_freep) struct doc *doc = object_doc(pod);
	char now[24];

	time_format(now_realtime_s(), now);
	if (!doc || put_pod(rec, doc, pod->pod, &ok, now) < 0)
		return NULL;
	return take_ptr(doc);
}

/* The document that @base becomes by the outcome. */
static struct doc *outcome_doc(struct reconcile *rec, const struct object *sent,
			       const struct object *base, const struct outcome *outcome)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char now[24];
	int r;

	if (outcome->ok && (doc = early_take_status(rec, base)))
		return take_ptr(doc);
	doc = object_doc(base);
	if (!doc)
		return NULL;
	time_format(now_realtime_s(), now);
	if (sent->kind->id == KIND_POD)
		r = put_pod(rec, doc, base->pod, outcome, now);
	else
		r = put_other(rec, doc, sent, outcome, now);
	return r < 0 ? NULL : take_ptr(doc);
}

int status_put(struct reconcile *rec, struct txn *txn, struct scope *scope,
	       const struct outcome *outcome)
{
	const struct object *sent = scope->sent ? scope->sent : scope->now;
	const struct meta *meta = sent->meta;
	struct object *base = state_accepted(rec->conf.state, sent->kind, meta->ns, meta->name);
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *ret = NULL;

	if (!base || strcmp(base->meta->uid, meta->uid) != 0 || sent->kind->id == KIND_NODE)
		return 0;               /* it goes, or went; or is the other's to write */
	doc = outcome_doc(rec, sent, base, outcome);
	return doc ? txn_put(txn, sent->kind, doc, base, &ret) : -ENOMEM;
}
