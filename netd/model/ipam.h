/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipam.h - which addresses and blocks are taken: claims, seen as sets
 *
 * Room: pure book-keeping on the control loop.  The truth is the store's claim rows; this is their
 * picture in memory, changed when a transaction is built and taken back when it fails.
 *
 * Claim kinds and keys: "block" -> "NETWORK/10.244.0.0/22" owned by the node's uid; "ip" ->
 * "NETWORK/10.244.0.5" owned by the pod's uid.  A released address cools down before it is given to
 * another pod.  Addresses are given in turn round each block, so that one just freed comes last.
 */
#ifndef NETD_IPAM_H
#define NETD_IPAM_H

#include <netd/model/model.h>

#define IPAM_COOL_DOWN_S 60

struct ipam;
int ipam_new(struct ipam **ret);
void ipam_free(struct ipam *ipam);

/** ipam_set_node() - whose blocks are ours: before anything is loaded or taken; 0 or -ENOMEM */
int ipam_set_node(struct ipam *ipam, const char *uid);
/**
 * ipam_load() - one claim row at start, in any order; also takes an ipam_give() back
 * @free_after: 0 while it is held
 *
 * Return: 0, -EINVAL (a key or kind that cannot be read; nothing changed), -ENOMEM.
 */
int ipam_load(struct ipam *ipam, const char *kind, const char *key, const char *owner,
	      int64_t free_after);

/**
 * ipam_take() - the next free address of @network in the node's blocks
 * @family:  AF_INET or AF_INET6
 * @want:    a requested address, or NULL
 * @now:     seconds, for the cool-down
 * @block:   set when a further block had to be claimed for it (family 0: none)
 *
 * Address 1 of each block is the network's (gateway of bridge networks); address 0 and, of IPv4,
 * the last (broadcast) are never given.  A requested address in nobody's block claims that block.
 * Marks the address taken.
 * Return: 0; -ENOSPC (no block or address left), -EADDRINUSE (@want is taken or cooling down),
 * -EADDRNOTAVAIL (@want is one of those that are never given), -ERANGE (@want is not in the network's CIDRs or in another node's block), -ENOMEM.
 */
int ipam_take(struct ipam *ipam, const struct network *network, int family,
	      const struct podnet_prefix *want, const char *owner, int64_t now,
	      struct podnet_prefix *ret, struct podnet_prefix *block);
/**
 * ipam_peek() - what the next calls of ipam_take() would give, as things stand
 *
 * Nothing is taken or kept.  Return: how many addresses, at most @n, of the blocks that there are.
 */
size_t ipam_peek(const struct ipam *ipam, const char *network, int family, size_t n,
		 struct podnet_prefix *ret);
/** ipam_cooling() - for how many seconds from @now nobody can have @ip again; 0: it does not cool down */
int64_t ipam_cooling(const struct ipam *ipam, const char *network, const struct podnet_prefix *ip,
		     int64_t now);
/** ipam_give() - free after @free_after; 0 takes a failed ipam_take() back */
void ipam_give(struct ipam *ipam, const char *network, const struct podnet_prefix *ip,
	       int64_t free_after);
/**
 * ipam_hold() - @block is of another node, @owner
 *
 * Return: 0, -EADDRINUSE (it overlaps one that somebody has), -ENOMEM.  Taken back by ipam_give_block().
 */
int ipam_hold(struct ipam *ipam, const char *network, const struct podnet_prefix *block,
	      const char *owner);
void ipam_give_block(struct ipam *ipam, const char *network, const struct podnet_prefix *block);
/** ipam_blocks() - the node's blocks of a network, in the order they were claimed */
size_t ipam_blocks(const struct ipam *ipam, const char *network, const struct podnet_prefix **ret);
/** ipam_each_held() - the blocks of another node, by its uid; non-zero ends it */
int ipam_each_held(const struct ipam *ipam, const char *uid,
		   int (*each)(void *arg, const char *network, const struct podnet_prefix *block),
		   void *arg);
/** ipam_news() - one whose blocks have changed since it was told last; NULL: no more */
const char *ipam_news(struct ipam *ipam);
/** ipam_used() - addresses of @network taken or cooling down */
size_t ipam_used(const struct ipam *ipam, const char *network);
/** ipam_forget() - a network is gone, with its blocks and addresses */
void ipam_forget(struct ipam *ipam, const char *network);

#endif
