/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/vxlan.h - VXLAN devices between nodes, and where each MAC address behind one is
 *
 * Nothing is learned and nothing is flooded: who is where is declared, an entry of the forwarding
 * database (FDB) and a permanent neighbour (route.h) for each peer.  So there is no multicast
 * group, no ARP on the underlay, and no peer that can move another's address to itself.
 * Source: RFC 7348, ip-link(8), bridge(8), Linux drivers/net/vxlan.
 */
#ifndef PODNET_VXLAN_H
#define PODNET_VXLAN_H

#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_VXLAN_PORT   4789        /* IANA's, RFC 7348 section 8 */
#define PODNET_VXLAN_ID_MAX 16777215    /* 24 bits */

/** The checksum of outer UDP headers.  What is inside has its own anyway. */
enum podnet_vxlan_csum {
	PODNET_VXLAN_CSUM_DEFAULT,  /* none on IPv4 (RFC 7348, 4.1); on IPv6 there is one (RFC 8200, 8.1) */
	PODNET_VXLAN_CSUM_ON,
	PODNET_VXLAN_CSUM_OFF,      /* on IPv6 also taken from others without one (RFC 6935) */
};

/** A VXLAN device.  What differs from the kernel's, but for MTU and MAC, makes the device anew. */
struct podnet_vxlan {
	struct podnet_link link;    /* mtu: the underlay's less 50 (IPv4) or 70 (IPv6) */
	uint32_t    id;             /* VNI, 1..PODNET_VXLAN_ID_MAX */
	struct podnet_prefix local; /* source of outer packets; length 32 or 128 */
	uint16_t    port;           /* UDP, here and at the peers; 0: PODNET_VXLAN_PORT */
	const char *dev;            /* link by which outer packets leave; NULL: as the routes say */
	enum podnet_vxlan_csum csum;
};

/**
 * A MAC address behind a VXLAN device.  Key: namespace, link, mac.
 *
 * Such an entry bears no mark: it is ours when its link is, and nobody else has any business there.
 */
struct podnet_fdb {
	const char *netns;          /* reference, see netns.h */
	const char *link;           /* name of the VXLAN device */
	uint8_t     mac[6];         /* of the peer's device: unicast, not zero */
	struct podnet_prefix dst;   /* the peer's address on the underlay; length 32 or 128 */
};

struct podnet_fdb_info {
	struct podnet_fdb fdb;      /* dst.family 0: not behind a tunnel */
	uint16_t    state;          /* NUD_* */
	bool        ours;           /* the link carries this context's owner */
};

/**
 * podnet_vxlan_ensure() - a VXLAN device of ours
 *
 * Return: changes made; -EINVAL (@err->field names the member), -EEXIST: the name is taken, or
 * another device has that id on that port, which the kernel says in @err->kernel.
 */
PODNET_API int podnet_vxlan_ensure(struct podnet *ctx, const struct podnet_vxlan *spec,
				   struct podnet_error *err);

PODNET_API int podnet_fdb_ensure(struct podnet *ctx, const struct podnet_fdb *spec,
				 struct podnet_error *err);
/** podnet_fdb_absent() - only the key matters.  -EPERM: the link is not ours. */
PODNET_API int podnet_fdb_absent(struct podnet *ctx, const struct podnet_fdb *spec,
				 struct podnet_error *err);
/** podnet_fdb_list() - what VXLAN devices know, all of them when @link is NULL; not ports of bridges */
PODNET_API int podnet_fdb_list(struct podnet *ctx, const char *netns, const char *link,
			       int (*each)(const struct podnet_fdb_info *info, void *arg),
			       void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
