/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bootstrap.c - what is always there: two Namespaces, the default Network, this Node
 *
 * Room: control.  Made when absent, in one transaction; what is there stays as it is, for a CIDR in
 * use cannot be changed by a flag.  May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/socket.h>

static int ensure_namespace(struct control *control, struct txn *txn, const char *name)
{
	const struct kind *kind = &kinds[KIND_NAMESPACE];
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *obj;
	int r;

	if (state_accepted(control->state, kind, "", name))
		return 0;
	doc = new_object(kind, "", name);
	r = doc ? doc_set_str(doc, "metadata.labels[\"kubernetes.io/metadata.name\"]", name)
		: -ENOMEM;
	if (r == 0)
		r = doc_set_json(doc, "spec.finalizers", "[\"kubernetes\"]");
	if (r == 0)
		r = doc_set_str(doc, "status.phase", "Active");
	return r < 0 ? r : txn_put(txn, kind, doc, NULL, &obj);
}

static void warn_changed(const struct node_config *conf, const struct network *net)
{
	char ours[PODNET_PREFIX_STRLEN], theirs[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; i < conf->ncluster_cidrs; i++) {
		const struct podnet_prefix *a = &conf->cluster_cidrs[i], *b = NULL;

		for (size_t k = 0; k < net->ncidrs; k++)
			if (net->cidrs[k].family == a->family)
				b = &net->cidrs[k];
		if (conf->cidr_said[i] && (!b || memcmp(a, b, sizeof(*a)) != 0))
			log_event(LOG_LEVEL_WARNING, "cluster_cidr_kept", "stored=%s configured=%s",
				  b ? podnet_prefix_format(b, theirs) : "none",
				  podnet_prefix_format(a, ours));
	}
}

static int set_network_spec(const struct node_config *conf, struct doc *doc)
{
	char path[32], text[PODNET_PREFIX_STRLEN];
	int r = doc_set_str(doc, "spec.type", "routed");

	for (size_t i = 0; r == 0 && i < conf->ncluster_cidrs; i++) {
		const struct podnet_prefix *p = &conf->cluster_cidrs[i];
		uint8_t len = conf->block_len[p->family == AF_INET6];

		snprintf(path, sizeof(path), "spec.cidrs[%zu]", i);
		r = doc_set_str(doc, path, podnet_prefix_format(p, text));
		snprintf(path, sizeof(path), "spec.blockSizes[%zu]", i);
		if (r == 0)
			r = doc_set_int(doc, path, len < p->len ? p->len : len);
	}
	if (r == 0)
		r = doc_set_bool(doc, "spec.masquerade", true);
	return r < 0 ? r : doc_set_bool(doc, "spec.isolation", true);
}

static int ensure_network(struct control *control, struct txn *txn, struct object **ret)
{
	const struct node_config *conf = state_config(control->state);
	const struct kind *kind = &kinds[KIND_NETWORK];
	_cleanup_(doc_freep) struct doc *doc = NULL;
	int r;

	*ret = state_accepted(control->state, kind, "", "default");
	if (*ret) {
		warn_changed(conf, (*ret)->network);
		return 0;
	}
	doc = new_object(kind, "", "default");
	r = doc ? set_network_spec(conf, doc) : -ENOMEM;
	if (r == 0 && kind->defaults)
		r = kind->defaults(doc);
	return r < 0 ? r : txn_put(txn, kind, doc, NULL, ret);
}

/* spec.podCIDRs: the node's first block of each family of the default network. */
static int set_pod_cidrs(struct txn *txn, const struct network *net, struct doc *doc)
{
	char path[32], text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix block;
	int r = 0;

	for (size_t i = 0; r == 0 && i < net->ncidrs; i++) {
		r = txn_claim_block(txn, net, net->cidrs[i].family, &block);
		if (r < 0)
			return r;
		podnet_prefix_format(&block, text);
		snprintf(path, sizeof(path), "spec.podCIDRs[%zu]", i);
		r = doc_set_str(doc, path, text);
		if (r == 0 && i == 0)
			r = doc_set_str(doc, "spec.podCIDR", text);
	}
	return r;
}

static int ensure_node(struct control *control, struct txn *txn, const struct network *net)
{
	const struct node_config *conf = state_config(control->state);
	const struct kind *kind = &kinds[KIND_NODE];
	struct object *old = state_accepted(control->state, kind, "", conf->node_name), *obj;
	_cleanup_(doc_freep) struct doc *doc = old ? object_doc(old)
						   : new_object(kind, "", conf->node_name);
	int r = doc ? state_set_node(control->state, doc_str(doc, "metadata.uid")) : -ENOMEM;

	if (r == 0)
		r = set_node_facts(conf, doc);
	if (r == 0)
		r = set_pod_cidrs(txn, net, doc);
	return r < 0 ? r : txn_put(txn, kind, doc, old, &obj);
}

int bootstrap(struct control *control)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	struct object *net;
	int r = txn_new(control->state, &txn);

	if (r == 0)
		r = ensure_namespace(control, txn, "default");
	if (r == 0)
		r = ensure_namespace(control, txn, "kube-system");
	if (r == 0)
		r = ensure_network(control, txn, &net);
	if (r == 0)
		r = ensure_node(control, txn, net->network);
	if (r == 0)
		r = txn_release_blocks(txn, NULL);
	if (r < 0)
		return r;
	control_submit(control, take_ptr(txn), false);
	return 0;
}
