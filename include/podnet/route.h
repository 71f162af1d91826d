/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/route.h - routes, policy rules and neighbours
 *
 * Ours carry the context's protocol (rtm_protocol; FRA_PROTOCOL; NDA_PROTOCOL).  A route that does
 * not is foreign: never changed or deleted; a wish for the same key is a conflict (-EEXIST).
 * Key of a route: namespace, table, destination, metric.  Source: rtnetlink(7), ip-route(8),
 * ip-rule(8), ip-neighbour(8).
 */
#ifndef PODNET_ROUTE_H
#define PODNET_ROUTE_H

#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

enum podnet_route_type {
	PODNET_ROUTE_UNICAST,
	PODNET_ROUTE_UNREACHABLE,
	PODNET_ROUTE_BLACKHOLE,
	PODNET_ROUTE_LOCAL,
};

struct podnet_route {
	const char *netns;              /* reference, see netns.h */
	struct podnet_prefix dst;       /* host bits zero; 0.0.0.0/0 or ::/0 is the default route */
	struct podnet_prefix via;       /* gateway; family 0: on link; may be IPv6 for IPv4 (RFC 8950) */
	struct podnet_prefix src;       /* preferred source; family 0: the kernel chooses */
	const char *link;               /* may be NULL with via, or when the type needs none */
	uint32_t    table;              /* 0: main (254) */
	uint32_t    metric;             /* priority; 0: the kernel's (0, or 1024 for IPv6) */
	uint32_t    mtu;                /* bytes, 0: none */
	enum podnet_route_type type;
	bool        onlink;             /* take the gateway as reachable on @link */
};

struct podnet_route_info {
	struct podnet_route route;
	uint8_t     protocol;
	bool        ours;
};

/** A policy rule.  Key: namespace, family, priority and its selectors. */
struct podnet_rule {
	const char *netns;
	uint8_t     family;             /* AF_INET or AF_INET6 */
	uint32_t    priority;           /* 1..32765: what the kernel's own rules leave free */
	struct podnet_prefix from, to;  /* family 0: any */
	uint32_t    mark, mask;         /* mask 0: any */
	const char *iif;                /* NULL: any */
	uint32_t    table;              /* 1..2^32-1 */
};

struct podnet_rule_info {
	struct podnet_rule rule;
	uint8_t     protocol;
	bool        ours;
};

/**
 * A permanent neighbour entry.  Key: namespace, link, address.
 *
 * An all-zero @mac means that of the link's veth peer, when the pair is declared in the same set:
 * so a routed pod and its node know each other, also when the pair comes from a pool.  Anywhere
 * else it is -EINVAL, with @err->field "mac", at the commit.
 */
struct podnet_neigh {
	const char *netns;
	const char *link;
	struct podnet_prefix addr;      /* length 32 or 128 */
	uint8_t     mac[6];
	bool        proxy;              /* answer for it instead (NTF_PROXY); mac is ignored */
};

struct podnet_neigh_info {
	struct podnet_neigh neigh;
	uint16_t    state;              /* NUD_* */
	bool        ours;
};

PODNET_API int podnet_route_ensure(struct podnet *ctx, const struct podnet_route *spec,
				   struct podnet_error *err);
PODNET_API int podnet_route_absent(struct podnet *ctx, const struct podnet_route *spec,
				   struct podnet_error *err);
PODNET_API int podnet_route_list(struct podnet *ctx, const char *netns,
				 int (*each)(const struct podnet_route_info *info, void *arg),
				 void *arg, struct podnet_error *err);

PODNET_API int podnet_rule_ensure(struct podnet *ctx, const struct podnet_rule *spec,
				  struct podnet_error *err);
PODNET_API int podnet_rule_absent(struct podnet *ctx, const struct podnet_rule *spec,
				  struct podnet_error *err);
PODNET_API int podnet_rule_list(struct podnet *ctx, const char *netns,
				int (*each)(const struct podnet_rule_info *info, void *arg),
				void *arg, struct podnet_error *err);

PODNET_API int podnet_neigh_ensure(struct podnet *ctx, const struct podnet_neigh *spec,
				   struct podnet_error *err);
PODNET_API int podnet_neigh_absent(struct podnet *ctx, const struct podnet_neigh *spec,
				   struct podnet_error *err);
PODNET_API int podnet_neigh_list(struct podnet *ctx, const char *netns,
				 int (*each)(const struct podnet_neigh_info *info, void *arg),
				 void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
