/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * claims.c - addresses and blocks in a transaction
 *
 * Room: state.  An address is taken in ipam when the transaction is built, so that the next one
 * cannot take it too, and freed there only when a release has committed.  How long a freed one cools
 * down is counted here by a clock that nobody sets; the time in its row is for the next start.
 * May include: model, store.h, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <sys/socket.h>

static const char *claim_key(struct txn *txn, const char *network, const struct podnet_prefix *p,
			     bool block)
{
	char text[PODNET_PREFIX_STRLEN];

	if (block)
		podnet_prefix_format(p, text);
	else
		podnet_prefix_format_addr(p, text);
	return arena_printf(&txn->batch.arena, "%s/%s", network, text);
}

/* For what lasts while netd runs: nobody sets it. */
static int64_t steady_s(void)
{
	return (int64_t)(now_monotonic_us() / 1000000) + 1;
}

int64_t claim_cooling(int64_t free_after)
{
	int64_t left = free_after - now_realtime_s();

	if (!free_after)
		return 0;
	return steady_s() + (left < 0 ? 0 : left > IPAM_COOL_DOWN_S ? IPAM_COOL_DOWN_S : left);
}

/* Enters one claim.  The effect comes last: while it is not there, the caller takes back. */
static int add_claim(struct txn *txn, bool block, const char *network,
		     const struct podnet_prefix *p, const char *owner)
{
	struct arena *arena = &txn->batch.arena;
	struct txn_effect effect = {
		.type = block ? EFFECT_CLAIM_BLOCK : EFFECT_CLAIM_IP,
		.network = arena_strdup(arena, network),
		.prefix = *p,
	};
	struct store_op op = {
		.type = STORE_CLAIM,
		.kind = block ? "block" : "ip",
		.ns = "",
		.name = claim_key(txn, network, p, block),
		.owner = arena_strdup(arena, owner),
		.cooled = true,
	};
	int r = effect.network && op.name && op.owner ? 0 : -ENOMEM;

	/* a pod's address becomes a row of the replica with the pod: mine.c */
	if (r == 0 && (!txn->state->cluster || claim_is_shared(op.kind, op.name)))
		r = txn_op(txn, &op);
	return r < 0 ? r : txn_effect(txn, &effect);
}

/* The block first: what is taken back goes in the other order, and a block must be empty then. */
int txn_claim_ip(struct txn *txn, const struct network *network, int family,
		 const struct podnet_prefix *want, const char *owner, struct podnet_prefix *ret)
{
	struct podnet_prefix ip = { 0 }, block = { 0 };
	struct ipam *ipam = txn->state->ipam;
	const char *name = network->meta.name;
	int r, q;

	r = ipam_take(ipam, network, family, want, owner, steady_s(), &ip, &block);
	if (r < 0)
		return r;
	q = block.family ? add_claim(txn, true, name, &block, txn->state->node_uid) : 0;
	r = q < 0 ? q : add_claim(txn, false, name, &ip, owner);
	if (r < 0)
		ipam_give(ipam, name, &ip, 0);
	if (q < 0)
		ipam_give_block(ipam, name, &block);
	if (r == 0)
		*ret = ip;
	return r;
}

int64_t state_cooling(const struct state *state, const char *network, const struct podnet_prefix *ip)
{
	return ipam_cooling(state->ipam, network, ip, steady_s());
}

/* A block is claimed with its first address; here the address is given back at once. */
int txn_claim_block(struct txn *txn, const struct network *network, int family,
		    struct podnet_prefix *ret)
{
	struct podnet_prefix ip = { 0 }, block = { 0 };
	const struct podnet_prefix *blocks;
	const char *name = network->meta.name;
	size_t n = ipam_blocks(txn->state->ipam, name, &blocks);
	int r;

	for (size_t i = 0; i < n; i++)
		if (blocks[i].family == family) {
			*ret = blocks[i];
			return 0;
		}
	r = ipam_take(txn->state->ipam, network, family, NULL, txn->state->node_uid,
		      steady_s(), &ip, &block);
	if (r < 0)
		return r;
	ipam_give(txn->state->ipam, name, &ip, 0);
	if (!block.family)
		return -ENOSPC;
	r = add_claim(txn, true, name, &block, txn->state->node_uid);
	if (r < 0)
		ipam_give_block(txn->state->ipam, name, &block);
	else
		*ret = block;
	return r;
}

int txn_hold_block(struct txn *txn, const char *network, const struct podnet_prefix *block,
		   const char *uid)
{
	int r = ipam_hold(txn->state->ipam, network, block, uid);

	if (r < 0)
		return r;
	r = add_claim(txn, true, network, block, uid);
	if (r < 0)
		ipam_give_block(txn->state->ipam, network, block);
	return r;
}

static int add_release(struct txn *txn, bool block, const char *network,
		       const struct podnet_prefix *p, int64_t free_after)
{
	struct store_op op = {
		.type = STORE_RELEASE,
		.kind = block ? "block" : "ip",
		.ns = "",
		.name = claim_key(txn, network, p, block),
		.free_after = free_after,
	};

	return op.name ? txn_op(txn, &op) : -ENOMEM;
}

int txn_free_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip,
		int64_t cool_s)
{
	struct txn_effect effect = {
		.type = EFFECT_RELEASE_IP,
		.network = arena_strdup(&txn->batch.arena, network),
		.prefix = *ip,
		.free_after = cool_s ? steady_s() + cool_s : 0,
	};
	int r = effect.network ? txn_effect(txn, &effect) : -ENOMEM;

	return r < 0 ? r : add_release(txn, false, network, ip,
				       cool_s ? now_realtime_s() + cool_s : 0);
}

int txn_hold_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip, const char *uid)
{
	struct store_op op = {
		.type = STORE_CLAIM, .kind = "ip", .ns = "",
		.name = claim_key(txn, network, ip, false),
		.owner = arena_strdup(&txn->batch.arena, uid), .cooled = true,
	};
	int r = op.name && op.owner ? add_release(txn, false, network, ip, 0) : -ENOMEM;

	if (r == 0)
		r = ipam_load(txn->state->ipam, "ip", op.name, uid, 0);
	return r < 0 ? r : txn_op(txn, &op);
}

/* Of a cluster memory follows when it has come back: deliver.c, mine.c. */
int txn_release_ip(struct txn *txn, const char *network, const struct podnet_prefix *ip,
		   int64_t cool_s)
{
	if (!txn->state->cluster)
		return txn_free_ip(txn, network, ip, cool_s);
	return claim_is_shared("ip", network) ? add_release(txn, false, network, ip, 0) : 0;
}

int txn_release_ips(struct txn *txn, const struct pod *pod)
{
	int r = 0;

	for (size_t i = 0; i < pod->nattached; i++) {
		const struct pod_network *net = &pod->attached[i];

		for (size_t k = 0; r == 0 && k < net->nips; k++)
			r = txn_release_ip(txn, net->network, &net->ips[k], IPAM_COOL_DOWN_S);
	}
	return r;
}

bool claim_is_lost(const struct state *state, const char *kind, const char *owner)
{
	return strcmp(kind, "block") == 0 && *owner && !state_by_uid(state, owner);
}

struct freeing {
	struct txn *txn;
	const char *uid;            /* NULL: whose Node is gone */
};

static int release_block(void *arg, const char *kind, const char *key, const char *owner,
			 int64_t free_after)
{
	const struct freeing *f = arg;
	struct arena *arena = &f->txn->batch.arena;
	struct store_op op = { .type = STORE_RELEASE, .kind = "block", .ns = "" };
	struct txn_effect effect = { .type = EFFECT_RELEASE_BLOCK };
	const char *slash = strchr(key, '/');
	int r;

	(void)free_after;
	if (f->uid ? strcmp(kind, "block") != 0 || strcmp(owner, f->uid) != 0
		   : !claim_is_lost(f->txn->state, kind, owner))
		return 0;
	if (!slash || podnet_prefix_parse(slash + 1, &effect.prefix) < 0)
		return 0;               /* a start would have refused it */
	if (!f->uid)
		log_event(LOG_LEVEL_WARNING, "lost_block_freed", "block=%s node=%s", key, owner);
	op.name = arena_strdup(arena, key);
	effect.network = arena_printf(arena, "%.*s", (int)(slash - key), key);
	r = op.name && effect.network ? 0 : -ENOMEM;
	if (r == 0 && !f->txn->state->cluster)
		r = txn_effect(f->txn, &effect);
	return r < 0 ? r : txn_op(f->txn, &op);
}

/* Who has a foreign block only the store knows; that of another Node is not claimed by us meanwhile. */
int txn_release_blocks(struct txn *txn, const char *uid)
{
	struct freeing f = { .txn = txn, .uid = uid };

	if (!uid && (!txn->state->nlost || txn->state->cluster))
		return 0;
	return store_load_claims(txn->state->store, release_block, &f);
}

/* The blocks of every node. */
static int release_shared(void *arg, const char *kind, const char *key, const char *owner)
{
	struct txn *txn = arg;
	struct store_op op = { .type = STORE_RELEASE, .kind = "block", .ns = "",
			       .name = arena_strdup(&txn->batch.arena, key) };

	(void)kind;
	(void)owner;
	return op.name ? txn_op(txn, &op) : -ENOMEM;
}

int txn_forget_network(struct txn *txn, const struct network *network)
{
	struct txn_effect effect = {
		.type = EFFECT_FORGET_NETWORK,
		.network = arena_strdup(&txn->batch.arena, network->meta.name),
	};

	return effect.network ? txn_effect(txn, &effect) : -ENOMEM;
}

int txn_release_network(struct txn *txn, const struct network *network)
{
	const struct podnet_prefix *blocks;
	size_t n = ipam_blocks(txn->state->ipam, network->meta.name, &blocks);
	char prefix[300];
	int r;

	snprintf(prefix, sizeof(prefix), "block/%s/", network->meta.name);
	if (txn->state->cluster)
		return claims_each(txn->state->cluster, prefix, release_shared, txn);
	r = txn_forget_network(txn, network);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_release(txn, true, network->meta.name, &blocks[i], 0);
	return r;
}
