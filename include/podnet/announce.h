/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/announce.h - tell the neighbours of a link whose an address is
 *
 * When an address comes to a node from another one, its neighbours go on sending to where it was,
 * until they ask again.  An announcement tells them at once: for IPv4 an ARP request with the
 * address as sender and target (RFC 5227, section 2.3), for IPv6 an unsolicited neighbour
 * advertisement to all nodes, with the flag Override (RFC 4861, section 7.2.6).  It can be lost like
 * any frame, so both standards let it be repeated after a second or two: that is the caller's to do.
 */
#ifndef PODNET_ANNOUNCE_H
#define PODNET_ANNOUNCE_H

#include <podnet/context.h>
#include <podnet/ip.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * podnet_announce() - send one announcement of an address
 * @link: name of the link that the neighbours are on, in the context's namespace
 * @ip:   the address; its length is ignored.  IPv6: it must be on a link of the namespace
 *
 * Opens and closes a socket of its own, in a helper thread that ends before the call returns, and
 * changes nothing.  Needs CAP_NET_RAW and, to enter the namespace, CAP_SYS_ADMIN.
 * Return: 0; -ENOENT (no such link), -EOPNOTSUPP (a link without MAC addresses), -ENETDOWN (it is
 * down), -EADDRNOTAVAIL (IPv6: not an address of this node), -EINVAL (@err->field names the
 * argument), -EPERM.
 * Source: packet(7), ipv6(7); Linux net/ipv4/arp.c (arp_is_garp()), net/ipv6/ndisc.c.
 */
PODNET_API int podnet_announce(struct podnet *ctx, const char *link,
			       const struct podnet_prefix *ip, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
