/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/link.h - network devices: what is common to all kinds, and bridges and veth pairs
 *
 * VXLAN devices are in vxlan.h, TUN devices in tun.h.
 *
 * A spec says what must be so; a zero member says nothing.  Verbs: ensure, absent, get, list.
 * ensure and absent return the number of kernel changes they made; 0 says that it was so already.
 * A link that ensure makes carries our mark, the alias "podnet:OWNER:SCOPE" (ifalias, see
 * ip-link(8)); only marked links are ever changed in kind or deleted.  A pair from a pool keeps the
 * alias "podnet:OWNER:pool": its scope is the one recorded with the namespace it leads to.
 *
 * Source: rtnetlink(7), ip-link(8), Linux include/uapi/linux/if_link.h.
 */
#ifndef PODNET_LINK_H
#define PODNET_LINK_H

#include <podnet/ip.h>
#include <podnet/netns.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_IFNAME_SIZE 16       /* IFNAMSIZ: 15 bytes and the NUL */

/** Attributes of a link, each a bit so that "not said" differs from "off". */
enum podnet_link_flags {
	PODNET_LINK_UP          = 1 << 0,   /* administratively up */
	PODNET_LINK_ISOLATED    = 1 << 1,   /* bridge port: no traffic to other isolated ports */
	PODNET_LINK_HAIRPIN     = 1 << 2,   /* bridge port: may send back where it came from */
	PODNET_LINK_PROXY_ARP_PVLAN = 1 << 3,   /* bridge (a sysctl): answer ARP for other ports */
	PODNET_LINK_NO_ADDRGEN  = 1 << 4,   /* no automatic IPv6 link-local address */
	PODNET_LINK_NO_SNOOPING = 1 << 5,   /* bridge: multicast snooping off */
};

/** One link as it must be.  Strings are copied by the plan and borrowed by the verbs. */
struct podnet_link {
	const char *netns;          /* reference, see netns.h */
	const char *name;           /* 1..15 bytes, no '/', ':' or blank, not "." or ".." */
	uint32_t    flags;          /* enum podnet_link_flags */
	uint32_t    mtu;            /* bytes, 68..65535 (RFC 791; 1280 for IPv6, RFC 8200); 0: kernel's */
	uint8_t     mac[6];         /* all zero: chosen at creation, from the mark */
	const char *master;         /* a bridge in the same namespace, or NULL: none said */
};

/** A veth pair.  Both ends are made in one message, each born in its namespace. */
struct podnet_veth {
	struct podnet_link end[2];
};

struct podnet_vxlan;                /* vxlan.h */
struct podnet_tun;                  /* tun.h */

/** A link as the kernel has it.  Borrowed for the callback. */
struct podnet_link_info {
	struct podnet_link link;    /* all members said; link.netns is the reference asked with */
	uint32_t    index;          /* ifindex */
	const char *kind;           /* "veth", "bridge", "vxlan", "tun"; "" without one, as eth0 or lo */
	const char *alias;          /* ifalias or "" */
	bool        ours;           /* alias carries this context's owner */
	bool        running;        /* IFF_RUNNING: carrier */
	uint32_t    peer_index;     /* ifindex of the other end (IFLA_LINK), 0: none */
	int32_t     peer_nsid;      /* id of its namespace as seen from the link's, -1: the same */
	const struct podnet_vxlan *vxlan;   /* of a VXLAN device, but for its link; else NULL */
	const struct podnet_tun *tun;       /* of a TUN device, the same */
};

PODNET_API int podnet_veth_ensure(struct podnet *ctx, const struct podnet_veth *spec,
				  struct podnet_error *err);
PODNET_API int podnet_bridge_ensure(struct podnet *ctx, const struct podnet_link *spec,
				    struct podnet_error *err);

/**
 * podnet_link_ensure() - attributes of a link that exists and may be foreign, such as lo
 *
 * Only what the spec says is changed; never its kind, never deleted.
 * Return: number of changes, -ENOENT, -EINVAL.
 */
PODNET_API int podnet_link_ensure(struct podnet *ctx, const struct podnet_link *spec,
				  struct podnet_error *err);

/** podnet_link_absent() - delete a link of ours (with its peer).  -EPERM: it is foreign. */
PODNET_API int podnet_link_absent(struct podnet *ctx, const char *netns, const char *name,
				  struct podnet_error *err);
PODNET_API int podnet_link_list(struct podnet *ctx, const char *netns,
				int (*each)(const struct podnet_link_info *info, void *arg),
				void *arg, struct podnet_error *err);
/** podnet_link_get() - call @each for one link.  Return: what @each returned, or -ENOENT. */
PODNET_API int podnet_link_get(struct podnet *ctx, const char *netns, const char *name,
			       int (*each)(const struct podnet_link_info *info, void *arg),
			       void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
