/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ip.h - addresses, routes, rules, neighbours and sysctls: check, request, parse
 *
 * Room: bytes and structs; sends nothing (sysctl.c reads and writes /proc/sys/net).
 * May include: link/object.h, nl, base, include/podnet.
 */
#ifndef PN_IP_H
#define PN_IP_H

#include <libpodnet/link/object.h>

/*
 * Checks: 0 or -EINVAL with the field.  Parsers: 0, or -EPROTO for a message that is not one of
 * these or tells what we cannot express; the link is left to the caller, by ret->index.
 * @protocol receives the mark.
 */
int pn_addr_check(const struct podnet_addr *spec, struct podnet_error *err);
int pn_addr_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol);
/** dump of the addresses of a link, or of all when @index is 0 */
struct nlmsghdr *pn_addr_request(void *buf, uint32_t index);

int pn_route_check(const struct podnet_route *spec, struct podnet_error *err);
int pn_route_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol);
/** dump; zero filters nothing */
struct nlmsghdr *pn_route_request(void *buf, uint8_t family, uint32_t table, uint32_t index,
				  uint8_t protocol);
/** the route that a packet to @dst, of a prefix its first address, would take; not a dump */
struct nlmsghdr *pn_route_get_request(void *buf, const struct podnet_prefix *dst);

int pn_rule_check(const struct podnet_rule *spec, struct podnet_error *err);
int pn_rule_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol);
struct nlmsghdr *pn_rule_request(void *buf, uint8_t family);

int pn_neigh_check(const struct podnet_neigh *spec, struct podnet_error *err);
int pn_neigh_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol,
		   uint16_t *state);
/** dump of neighbours, or of the proxied ones */
struct nlmsghdr *pn_neigh_request(void *buf, bool proxy);
/** one, not a dump */
struct nlmsghdr *pn_neigh_get_request(void *buf, uint32_t index, const struct pn_neigh_attrs *n);

int pn_sysctl_check(const struct podnet_sysctl *spec, struct podnet_error *err);
/** of the calling thread's namespace.  Return: length or negative errno. */
int pn_sysctl_read(const char *key, char *buf, size_t size);
int pn_sysctl_write(const char *key, const char *value);
/** pn_sysctl_of_link() - the key is about one link, so it is there only after the link */
bool pn_sysctl_of_link(const char *key);

#endif
