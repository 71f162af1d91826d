/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipam_set.h - the addresses of one block as bits, addresses that are cooling down, others' blocks
 *
 * Room (model): inner header of ipam.c.
 */
#ifndef NETD_MODEL_IPAM_SET_H
#define NETD_MODEL_IPAM_SET_H

#include <netd/model/model.h>

#define IPAM_WINDOW 65536       /* addresses of a block that have a bit */

/** One of the node's blocks.  Bits: 1 is taken, cooling down, or never given. */
struct ipam_block {
	struct podnet_prefix prefix;
	uint64_t *bits;
	uint32_t slots, nfree, cursor;
};
int ipam_block_init(struct ipam_block *b, const struct podnet_prefix *prefix);
void ipam_block_fini(struct ipam_block *b);
/** ipam_block_slot() - @ip's bit, or -1: it has none */
int64_t ipam_block_slot(const struct ipam_block *b, const struct podnet_prefix *ip);
/** ipam_block_reserved() - addresses of a block that no pod gets */
bool ipam_block_reserved(const struct podnet_prefix *block, const struct podnet_prefix *ip);
bool ipam_block_test(const struct ipam_block *b, uint32_t slot);
void ipam_block_mark(struct ipam_block *b, uint32_t slot, bool taken);
/** ipam_block_next() - the next free slot behind the last one given, or -1 */
int64_t ipam_block_next(struct ipam_block *b);
/** ipam_block_peek() - as ipam_block_next() would behind @cursor, which is moved on; -1: none */
int64_t ipam_block_peek(const struct ipam_block *b, uint32_t *cursor);
struct podnet_prefix ipam_block_address(const struct ipam_block *b, uint32_t slot);

/** Addresses that cool down, the soonest free first: a binary heap. */
struct ipam_cooling {
	struct ipam_cool {
		int64_t free_after;
		struct podnet_prefix ip;
	} *v;
	size_t n, cap;
};
int ipam_cooling_reserve(struct ipam_cooling *c);           /* room for one more; 0 or -ENOMEM */
void ipam_cooling_add(struct ipam_cooling *c, const struct podnet_prefix *ip, int64_t free_after);
bool ipam_cooling_remove(struct ipam_cooling *c, const struct podnet_prefix *ip);
/** ipam_cooling_until() - when @ip is free; 0: it does not cool down */
int64_t ipam_cooling_until(const struct ipam_cooling *c, const struct podnet_prefix *ip);
/** ipam_cooling_pop() - one that is free at @now; false: none */
bool ipam_cooling_pop(struct ipam_cooling *c, int64_t now, struct podnet_prefix *ip);
void ipam_cooling_fini(struct ipam_cooling *c);

/** Blocks of other nodes, by the node's uid, and whose have changed. */
struct ipam_held {
	struct map holders;
	struct holder *news;
};
/** ipam_held_add() - @network is borrowed until it is dropped; 0 or -ENOMEM */
int ipam_held_add(struct ipam_held *held, const char *network, const struct podnet_prefix *prefix,
		  const char *uid);
/** ipam_held_drop() - whoever has it; @prefix NULL: all of the network */
void ipam_held_drop(struct ipam_held *held, const char *network, const struct podnet_prefix *prefix);
const char *ipam_held_news(struct ipam_held *held);
int ipam_held_each(const struct ipam_held *held, const char *uid,
		   int (*each)(void *arg, const char *network, const struct podnet_prefix *block),
		   void *arg);
void ipam_held_fini(struct ipam_held *held);

bool ipam_same(const struct podnet_prefix *a, const struct podnet_prefix *b);

#endif
