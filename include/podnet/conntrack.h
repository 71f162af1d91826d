/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/conntrack.h - what the kernel remembers of connections, listed and deleted
 *
 * An entry of connection tracking has two ways: that of the packets as they were sent first, and
 * that of the answers, which tells where NAT led them.  So "who wanted 10.96.0.10:53 and was led to
 * 10.244.0.5" is a filter on the original destination and on the source of the reply.  What a
 * filter says is asked of the kernel where it can look for itself (CTA_FILTER, CTA_STATUS, CTA_MARK:
 * Linux 5.8 and later), and checked here all the same.  Nothing gathers the table: entries are
 * passed on, or deleted, as they are read.
 *
 * An entry may come twice, or not at all, when the kernel's table is resized meanwhile.  Needs
 * CAP_NET_ADMIN.  Works also where the library was built without nftables.
 *
 * Sources: Linux net/netfilter/nf_conntrack_netlink.c, include/uapi/linux/netfilter/
 * nfnetlink_conntrack.h and nf_conntrack_common.h.
 */
#ifndef PODNET_CONNTRACK_H
#define PODNET_CONNTRACK_H

#include <podnet/context.h>
#include <podnet/ip.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bits of an entry's status, as the kernel has them (enum ip_conntrack_status). */
enum podnet_conntrack_status {
	PODNET_CONNTRACK_REPLIED = 1 << 1,      /* packets were seen both ways */
	PODNET_CONNTRACK_ASSURED = 1 << 2,      /* never dropped to make room */
	PODNET_CONNTRACK_SRC_NAT = 1 << 4,
	PODNET_CONNTRACK_DST_NAT = 1 << 5,
};

/** Packets of one way. */
struct podnet_conntrack_way {
	struct podnet_prefix src, dst;  /* length 32 or 128 */
	uint16_t    sport, dport;       /* 0 of protocols that have none */
	uint64_t    packets, bytes;     /* 0 where the sysctl nf_conntrack_acct is off */
};

struct podnet_conntrack {
	uint8_t     protocol;           /* IPPROTO_* */
	uint16_t    zone;
	uint32_t    status;             /* enum podnet_conntrack_status, and bits that it lacks */
	uint32_t    mark;
	uint32_t    timeout_s;          /* until it is forgotten */
	struct podnet_conntrack_way original, reply;
};

/** Which entries.  Zeroed: all. */
struct podnet_conntrack_filter {
	uint8_t     family;             /* AF_INET, AF_INET6; 0: both */
	uint8_t     protocol;           /* 0: any */
	struct podnet_prefix dst;       /* of the original way, an address or a net; family 0: any */
	uint16_t    dport;              /* 0: any */
	struct podnet_prefix endpoint;  /* who answers: source of the reply; family 0: anybody */
	uint16_t    endpoint_port;      /* 0: any */
	uint32_t    status, status_mask;        /* the bits of the mask are as in status */
	uint32_t    mark, mark_mask;
	uint16_t    zone;
	uint8_t     one_zone;           /* 1: of this zone only; 0: @zone is ignored */
};

/**
 * podnet_conntrack_list() - pass on each entry
 * @filter: NULL: all
 * @each:   0: go on; anything else stops, and is returned.  Must not call this context's functions.
 *
 * Return: 0, what @each returned, -EINVAL (@err->field names the filter's member), -EPERM,
 * -EOPNOTSUPP (the kernel has no connection tracking).
 */
PODNET_API int podnet_conntrack_list(struct podnet *ctx,
				     const struct podnet_conntrack_filter *filter,
				     int (*each)(const struct podnet_conntrack *entry, void *arg),
				     void *arg, struct podnet_error *err);
/**
 * podnet_conntrack_delete() - forget entries: the next packet is that of a new connection
 * @match: 1: this one goes too; 0: it stays; negative: stop, and return that.  NULL: all go.
 *
 * One that is gone already, or was replaced by another of the same addresses, is none of ours.
 * Return: how many went, or as podnet_conntrack_list().
 */
PODNET_API int podnet_conntrack_delete(struct podnet *ctx,
				       const struct podnet_conntrack_filter *filter,
				       int (*match)(const struct podnet_conntrack *entry, void *arg),
				       void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
