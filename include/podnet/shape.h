/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/shape.h - bandwidth limits and per-namespace sysctls
 *
 * A limit is a token bucket (tc-tbf(8)) at the root of a link, with our handle 8e:.  Where traffic
 * *into* a link must be limited, or where the other side must not be able to undo it, it is
 * redirected through an ifb device (u32 and mirred) that has the bucket.
 */
#ifndef PODNET_SHAPE_H
#define PODNET_SHAPE_H

#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A limit.  Key: namespace, link, direction. */
struct podnet_limit {
	const char *netns;
	const char *link;
	bool        incoming;       /* what arrives on the link (through ifb); else what leaves it */
	uint64_t    rate;           /* bits per second, 1000..2^63-1 */
	uint32_t    burst;          /* bytes; 0: what 20 ms at the rate carry, at least 32 KiB */
};

struct podnet_limit_info {
	struct podnet_limit limit;
	bool        ours;
};

PODNET_API int podnet_limit_ensure(struct podnet *ctx, const struct podnet_limit *spec,
				   struct podnet_error *err);
PODNET_API int podnet_limit_absent(struct podnet *ctx, const struct podnet_limit *spec,
				   struct podnet_error *err);
PODNET_API int podnet_limit_list(struct podnet *ctx, const char *netns,
				 int (*each)(const struct podnet_limit_info *info, void *arg),
				 void *arg, struct podnet_error *err);

/** A sysctl of one namespace.  The value before the first change is recorded under run_dir. */
struct podnet_sysctl {
	const char *netns;
	const char *key;            /* below /proc/sys/net/, slashes: "ipv4/ip_forward" */
	const char *value;          /* as written; compared without surrounding blanks */
};

PODNET_API int podnet_sysctl_ensure(struct podnet *ctx, const struct podnet_sysctl *spec,
				    struct podnet_error *err);
/** podnet_sysctl_absent() - put back what was recorded */
PODNET_API int podnet_sysctl_absent(struct podnet *ctx, const struct podnet_sysctl *spec,
				    struct podnet_error *err);
/** podnet_sysctl_get() - read @spec->key into @buf, without blanks around.  Return: length or error. */
PODNET_API int podnet_sysctl_get(struct podnet *ctx, const struct podnet_sysctl *spec, char *buf,
				 size_t size, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
