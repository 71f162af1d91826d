/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/nat.h - masquerade for what leaves the pod networks, in one nft table
 *
 * Table `inet podnet` (owner "netd") or `inet podnet-OWNER`: two interval sets a family (the
 * networks that are inside; those of them that ask for masquerade), one nat chain at postrouting,
 * and one filter chain at forward where there are tunnels.  What goes from inside to inside keeps its addresses.  One atomic transaction with
 * the generation id (NFNL_MSG nf_tables; ERESTART is retried inside).  Present only where the
 * library was built with nftables; else every call returns -EOPNOTSUPP.
 */
#ifndef PODNET_NAT_H
#define PODNET_NAT_H

#include <podnet/context.h>
#include <podnet/ip.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The whole content of the table.  Arrays are borrowed for the call. */
struct podnet_nat {
	const struct podnet_prefix *inside;     /* pod networks; never masqueraded among themselves */
	size_t ninside;
	const struct podnet_prefix *masquerade; /* sources that are masqueraded when they leave */
	size_t nmasquerade;
	/*
	 * links whose names begin so, 1..15 bytes, are tunnels: TCP connections that are forwarded to
	 * them agree on segments that fit (RFC 9293, 3.7.1).  NULL: there are none.
	 */
	const char *clamp;
};

/**
 * podnet_nat_ensure() - the table is exactly so, in the context's namespace
 *
 * Prefixes may overlap; they are normalised.  A table that was changed by hand is put right.
 * Return: number of changes (0: it was so already); -EINVAL, -EPERM, -EOPNOTSUPP.
 */
PODNET_API int podnet_nat_ensure(struct podnet *ctx, const struct podnet_nat *spec,
				 struct podnet_error *err);
/** podnet_nat_absent() - delete the table.  Return: 1, or 0 when there was none. */
PODNET_API int podnet_nat_absent(struct podnet *ctx, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
