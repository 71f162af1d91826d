/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/addr.h - addresses on links
 *
 * Ours carry IFA_PROTO = the context's protocol (Linux 5.18).  Duplicate address detection is off
 * for ours: the address is chosen by us and unique by construction (RFC 4862 section 5.4 would
 * cost one to two seconds).  Key: namespace, link, address, and for
 * IPv4 the length, as in the kernel: an IPv6 address with another length is made anew.
 */
#ifndef PODNET_ADDR_H
#define PODNET_ADDR_H

#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

struct podnet_addr {
	const char *netns;          /* reference, see netns.h */
	const char *link;           /* name of the link */
	struct podnet_prefix prefix;    /* with host bits: 10.0.0.1/24 */
	bool        no_prefix_route;    /* do not add the route of the prefix (IFA_F_NOPREFIXROUTE) */
	bool        local;          /* IPv4: scope host, so it is never chosen as a source; as 127/8 is */
	bool        deprecated;     /* IPv6: chosen as a source only where there is no other (RFC 4862, 5.5.4) */
};

struct podnet_addr_info {
	struct podnet_addr addr;
	bool        ours;
	uint8_t     scope;          /* RT_SCOPE_* */
};

PODNET_API int podnet_addr_ensure(struct podnet *ctx, const struct podnet_addr *spec,
				  struct podnet_error *err);
PODNET_API int podnet_addr_absent(struct podnet *ctx, const struct podnet_addr *spec,
				  struct podnet_error *err);
/** @link may be NULL: all links */
PODNET_API int podnet_addr_list(struct podnet *ctx, const char *netns, const char *link,
				int (*each)(const struct podnet_addr_info *info, void *arg),
				void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
