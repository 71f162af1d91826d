/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mine.c - what of a change in the cluster concerns this node's kernel and its blocks
 *
 * Room: state.  Whoever makes a change, the node that has the object in its kernel keeps the
 * tombstone and the claims of its pods' addresses, in its own database and in the same transaction in
 * which the change comes into its replica.  May include: codec, model, store.h, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>

static bool is_mine(const struct state *state, const struct object *obj)
{
	const char *node = object_node(obj);

	return obj->kind->in_kernel && !object_unattached(obj) && !pending_unmade(state, obj) &&
	       (!node || strcmp(node, state->conf->node_name) == 0);
}

static bool spec_changed(const struct object *before, const struct object *now, int *r)
{
	_cleanup_(doc_freep) struct doc *was = object_doc(before), *is = object_doc(now);

	*r = was && is ? 0 : -ENOMEM;
	return *r == 0 && (!doc_equal_at(is, was, "spec") ||
			   !doc_equal_at(is, was, "metadata.annotations"));
}

static bool holds(const struct pod *pod, const char *network, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < pod->nattached; i++)
		for (size_t k = 0; k < pod->attached[i].nips; k++)
			if (strcmp(pod->attached[i].network, network) == 0 &&
			    memcmp(&pod->attached[i].ips[k], ip, sizeof(*ip)) == 0)
				return true;
	return false;
}

/* What @pod has and @other has not. */
static int each_ip(struct txn *txn, const struct object *pod, const struct object *other,
		   int (*each)(struct txn *txn, const char *network, const struct podnet_prefix *ip,
			       const char *uid))
{
	int r = 0;

	for (size_t i = 0; pod && i < pod->pod->nattached; i++) {
		const struct pod_network *net = &pod->pod->attached[i];

		for (size_t k = 0; r == 0 && k < net->nips; k++)
			if (!other || !holds(other->pod, net->network, &net->ips[k]))
				r = each(txn, net->network, &net->ips[k], pod->meta->uid);
	}
	return r;
}

static int take_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip,
		   const char *uid)
{
	return txn_hold_ip(txn, network, ip, uid);
}

static int give_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip,
		   const char *uid)
{
	(void)uid;
	return txn_free_ip(txn, network, ip, IPAM_COOL_DOWN_S);
}

int mine_changed(struct txn *txn, struct object *before, struct object *now)
{
	const struct state *state = txn->state;
	bool was = before && is_mine(state, before), is = now && is_mine(state, now);
	bool same = was && is && strcmp(before->meta->uid, now->meta->uid) == 0;
	int r = 0;

	if (was && (!same || spec_changed(before, now, &r)) && r == 0)
		r = txn_tombstone(txn, before);
	if (r == 0 && before && !now && before->kind->id == KIND_NETWORK)
		r = txn_forget_network(txn, before->network);
	if (r < 0 || (!was && !is) || (now ? now : before)->kind->id != KIND_POD)
		return r;
	r = each_ip(txn, was ? before : NULL, same ? now : NULL, give_ip);
	return r < 0 ? r : each_ip(txn, is ? now : NULL, same ? before : NULL, take_ip);
}
