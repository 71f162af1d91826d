/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * object.h - one kernel object as a value, and what there is to know about each kind
 *
 * Room: types only.  Objects are flat, hold no pointer and are zeroed before filling, so that
 * bytes compare and a set of them is a sorted array.  A namespace is an index into the set's
 * table of references; a link is its declared name, which need not be the kernel's (a link from a
 * pool keeps its own).  May include: nl, base, include/podnet.
 */
#ifndef PN_OBJECT_H
#define PN_OBJECT_H

#include <libpodnet/base/base.h>
#include <libpodnet/nl/nl.h>
#include <podnet/plan.h>

#define PN_DOOMED_GROUP 0x706e6464u     /* link group of links whose namespace was dropped */
#define PN_ALIAS_SIZE 96                /* "podnet:" owner ":" scope */
#define PN_LIMIT_HANDLE 0x008e0000u     /* 8e: */

enum pn_kind_id {
	PN_NETNS, PN_SYSCTL, PN_LINK, PN_ADDR, PN_ROUTE, PN_RULE, PN_NEIGH, PN_FDB, PN_LIMIT,
	PN_NKINDS
};
enum pn_verb { PN_ADD, PN_SET, PN_DEL };
enum pn_link_type { PN_ANY, PN_VETH, PN_BRIDGE, PN_IFB, PN_VXLAN, PN_TUN, PN_OTHER };

enum pn_obj_flags {
	PN_OURS    = 1 << 0,    /* have: carries the mark of this owner and scope */
	PN_COVERED = 1 << 1,    /* have: deleted when it is ours and not declared */
	PN_DOOMED  = 1 << 2,    /* have: a link that waits for its end, only its name is in the way */
	PN_POOLED  = 1 << 5,    /* have: a link that carries the mark of this owner's pool */
	PN_HIDDEN  = 1 << 3,    /* want: part of another object (the ifb of a limit) */
	PN_WAS     = 1 << 4,    /* have: an earlier version of the set declared it */
};

struct pn_vxlan_attrs {
	uint32_t id;
	uint16_t port;
	uint8_t csum;                   /* never the default */
	uint8_t fixed;                  /* it learns nothing */
	struct podnet_prefix local;
	char dev[PODNET_IFNAME_SIZE];
};

struct pn_tun_attrs {
	uint32_t owner, group, flags;
	uint8_t persistent;
};

struct pn_link_attrs {
	uint32_t flags;                 /* enum podnet_link_flags */
	uint32_t mtu;
	uint16_t peer_ns;               /* veth: where the other end is */
	uint8_t type;                   /* enum pn_link_type */
	uint8_t end;                    /* veth: 0 the end that the creating message is about */
	uint8_t mac[6];
	char master[PODNET_IFNAME_SIZE];
	char peer[PODNET_IFNAME_SIZE];
	struct pn_vxlan_attrs vxlan;    /* all zero for other types, as is tun */
	struct pn_tun_attrs tun;
};

struct pn_route_attrs {
	struct podnet_prefix dst, via, src;
	uint32_t table, metric, mtu;
	uint8_t type, onlink;
};

struct pn_rule_attrs {
	struct podnet_prefix from, to;
	uint32_t priority, mark, mask, table;
	uint8_t family;
	char iif[PODNET_IFNAME_SIZE];
};

struct pn_neigh_attrs {
	struct podnet_prefix addr;
	uint8_t mac[6];
	uint8_t proxy;
	uint8_t of_peer;                /* want: mac is that of the link's veth peer */
	uint8_t learned;                /* have: not permanent, nobody's: ours to replace */
};

struct pn_fdb_attrs {
	uint8_t mac[6];
	struct podnet_prefix dst;
	uint8_t learned;                /* have: not permanent */
};

struct pn_obj {
	uint8_t kind;                   /* enum pn_kind_id */
	uint8_t is;                     /* enum pn_obj_flags; never compared */
	uint16_t ns;
	uint32_t index;                 /* have: ifindex; never compared */
	char link[PODNET_IFNAME_SIZE];
	union {
		struct { char scope[64]; } netns;
		struct { char key[96], value[96]; } sysctl;
		struct pn_link_attrs dev;
		struct {
			struct podnet_prefix prefix;
			uint8_t no_prefix_route, local, deprecated, scope;
		} addr;
		struct pn_route_attrs route;
		struct pn_rule_attrs rule;
		struct pn_neigh_attrs neigh;
		struct pn_fdb_attrs fdb;
		struct { uint64_t rate; uint32_t burst; uint8_t incoming, broken; } limit;
	} u;
};

/* How a member is compared. */
enum pn_attr_how {
	PN_EXACT,                       /* bytes equal */
	PN_SAID,                        /* bytes equal, or the wish is all zero: says nothing */
	PN_FLAGS,                       /* of a link: the wish's bits are on, see pn_link_off() */
};
struct pn_attr {
	uint16_t off, size;
	uint8_t how;
	bool recreate;                  /* the kernel cannot change it in place */
};
#define PN_ATTR(member, how_, recreate_)                                                           \
	{ offsetof(struct pn_obj, member), sizeof(((struct pn_obj *)0)->member), how_, recreate_ }

/** What a putter needs beside the object: names already resolved to what the kernel knows. */
struct pn_put {
	struct nl_batch *b;
	const void *tag;                /* for the error: the operation */
	const char *alias;              /* mark of links */
	uint8_t protocol;               /* mark of all that has a protocol */
	bool up_at_birth;               /* link: IFF_UP may be in the creating message */
	uint32_t changed;               /* PN_SET: bit i is attrs[i]; all ones: whatever is said */
	uint32_t index;                 /* of the link, or for its creation */
	uint32_t master;                /* link: ifindex of the bridge */
	uint32_t lower;                 /* link: ifindex of a VXLAN device's dev */
	uint32_t group;                 /* link: at creation, 0: none */
	uint32_t helper;                /* limit: ifindex of the ifb */
	uint32_t peer_index;            /* link: ifindex for the veth peer */
	int peer_fd;                    /* link: namespace of the veth peer, -1: the same one */
	const struct pn_obj *peer;      /* link: the other end as it must be */
};

struct pn_kind {
	const char *name;               /* as the plan prints it */
	const struct pn_attr *attrs;
	size_t nattrs;
	/** order and identity inside one namespace, as the kernel keys the object */
	int (*cmp)(const struct pn_obj *a, const struct pn_obj *b);
	/** messages that do it; NULL where it is not netlink that does it */
	void (*put)(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj);
	/** what follows the verb and the namespace in a line of the plan; @peer_ns: a veth's */
	void (*print)(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
		      uint32_t changed, const char *peer_ns);
};

extern const struct pn_kind pn_link_kind, pn_fdb_kind, pn_limit_kind;           /* link/ */
extern const struct pn_kind pn_sysctl_kind, pn_addr_kind, pn_route_kind;        /* ip/ */
extern const struct pn_kind pn_rule_kind, pn_neigh_kind;

/** pn_prefix_cmp() - by family, length, bytes */
static inline int pn_prefix_cmp(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return memcmp(a, b, sizeof(*a));
}

static inline size_t pn_prefix_size(const struct podnet_prefix *p)
{
	return p->family == 10 ? 16 : 4;        /* AF_INET6 */
}

#endif
