/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * room.h - what the files of compile share
 *
 * Room: pure.  Declaring is sticky (plan.h): the first refusal stays in the set, so the code below
 * reads like the set, and compile_end() says once how it went.
 */
#ifndef NETD_COMPILE_ROOM_H
#define NETD_COMPILE_ROOM_H

#include <netd/compile/compile.h>

DEFINE_CLEANUP(struct podnet_set, podnet_set_free)

#define GATEWAY4 "169.254.1.1"
#define GATEWAY6 "fe80::1"

/** What is being built: the set, and the first error. */
struct building {
	struct podnet_set *set;
	struct podnet_error *err;   /* may be NULL */
	int rc;
};

/** compile_note() - keep the first refusal */
void compile_note(struct building *b, int r);
/** compile_fail() - an error of ours, with a static step and field; returns @code */
int compile_fail(struct podnet_error *err, int code, const char *step, const char *field,
		 const char *object);
/** compile_mtu() - of the links of @net: at least 1280 where they have IPv6 (RFC 8200, 5) */
uint32_t compile_mtu(const struct compile_input *in, const struct network *net);
/** compile_mac() - of the end inside, where others must know it beforehand */
void compile_mac(const char *uid, const char *network, uint8_t ret[6]);
/** compile_link_local() - the IPv6 address that RFC 4291, appendix A, makes of a MAC; length of a host */
struct podnet_prefix compile_link_local(const uint8_t mac[6]);
/** compile_gateway() - the link-local gateway of routed networks, length of a host */
struct podnet_prefix compile_gateway(uint8_t family);
/** compile_any() - 0.0.0.0/0 or ::/0 */
struct podnet_prefix compile_any(uint8_t family);
/** compile_host() - @p with the length of a host */
struct podnet_prefix compile_host(const struct podnet_prefix *p);
/** compile_first() - the first address behind the block's own, which is the network's; @len bits */
struct podnet_prefix compile_first(const struct podnet_prefix *block, uint8_t len);

/* path.c */
/** compile_underlay_room() - the MTU that the underlay leaves for links of @net */
uint32_t compile_underlay_room(const struct compile_input *in, const struct network *net);
/** compile_put_tunnels() - the devices of in->tunnels, with an address of this node's blocks */
void compile_put_tunnels(struct building *b, const struct compile_input *in);

/* balancer.c */
/** compile_is_own() - @ip is among the node's own addresses */
bool compile_is_own(const struct podnet_prefix *own, size_t n, const struct podnet_prefix *ip);
/** compile_balanced() - the load-balancer addresses that this node answers */
void compile_balanced(struct building *b, const struct compile_input *in);

#endif
