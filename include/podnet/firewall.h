/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/firewall.h - chains of others that drop what podnet lets pass
 *
 * A packet passes a hook of netfilter when the chains of all tables there let it pass: accepting it
 * in ours is not enough (nft(8), "accept" and "drop").  What others drop is theirs to decide; here is
 * who does it, so that a user can be told.  Chains of iptables-nft are seen, those of iptables-legacy
 * are not.  Present only where the library was built with nftables; else -EOPNOTSUPP.
 */
#ifndef PODNET_FIREWALL_H
#define PODNET_FIREWALL_H

#include <podnet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

enum podnet_hook { PODNET_HOOK_INPUT = 1, PODNET_HOOK_FORWARD = 2, PODNET_HOOK_OUTPUT = 3 };

/** A chain on a hook that drops or rejects what none of its rules accepted.  Borrowed for the call. */
struct podnet_dropper {
	const char *family;         /* "ip", "ip6" or "inet", as nft(8) names it */
	const char *table, *chain;
	enum podnet_hook hook;
};

/**
 * podnet_droppers() - the chains, outside of the context's own table, whose policy is drop or whose
 * last rule drops or rejects everything, in the context's namespace
 *
 * Reads only.  At most 64 base chains are looked at.
 * Return: how many there were; or the first negative number that @each returned; -EPERM, -ENOMEM.
 */
PODNET_API int podnet_droppers(struct podnet *ctx,
			       int (*each)(const struct podnet_dropper *dropper, void *arg),
			       void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
