/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * compile.h - API objects to desired kernel objects; pure
 *
 * Room: no kernel, no store, no clock, no log.  All that a pod, a network, a node or a primitive
 * means in the kernel is decided here, and tested with arrays and golden files without root.
 */
#ifndef NETD_COMPILE_H
#define NETD_COMPILE_H

#include <netd/model/model.h>
#include <podnet/nat.h>
#include <podnet/plan.h>
#include <podnet/service.h>

/** What the node reaches without a gateway, and by which link. */
struct compile_link {
	struct podnet_prefix prefix;
	const char *name;
};

/** What a compilation may look at besides the object itself.  Borrowed. */
struct compile_input {
	const struct node_config *conf;
	uint32_t mtu;                           /* of pod links where the network says none */
	bool has_ipv4;                          /* the node has an IPv4 address of its own */
	const char *uplinks[2];                 /* of IPv4, IPv6: its link to others; "" or NULL */
	bool narrow;                            /* that of IPv4 has too small an MTU for IPv6 */
	const struct podnet_prefix *balanced;   /* load-balancer addresses of the pool, of Services */
	size_t nbalanced;
	const struct podnet_prefix *own;        /* addresses that the node has anyway */
	size_t nown;
	const struct compile_link *links;
	size_t nlinks;
	struct podnet_prefix underlay[2];       /* where others send: IPv4, IPv6; family 0: none */
	uint32_t underlay_mtu;                  /* of the link to others, whatever was said of pods */
	unsigned tunnels;                       /* that the node has, as bits of compile_tunnel */
	bool no_vxlan;                          /* the kernel knows no such device */
	size_t others;                          /* nodes beside this one */
	uint32_t neighbours[2];                 /* that the kernel allows now; 0: not known */
	/* network by name; NULL: there is none */
	const struct network *(*network)(void *arg, const char *name);
	/* this node's blocks of a network */
	size_t (*blocks)(void *arg, const char *name, const struct podnet_prefix **ret);
	void *arg;
};

/**
 * compile_ahead() - what a pod's only link by a routed network has, whatever its addresses
 *
 * It can be made before the pod is known: the gateways' neighbours, and the default routes.
 */
int compile_ahead(struct podnet_set **ret, struct podnet_error *err);
/** compile_ahead_of_one() - and what it has besides when these are its addresses */
int compile_ahead_of_one(const struct podnet_prefix *ips, size_t n, struct podnet_set **ret,
			 struct podnet_error *err);
/* Each: a new set in *@ret, scope the object's uid; 0, -ENOMEM, or -EINVAL, -ENOENT with @err. */
int compile_pod(const struct compile_input *in, const struct pod *pod, struct podnet_set **ret,
		struct podnet_error *err);
int compile_network(const struct compile_input *in, const struct network *net,
		    struct podnet_set **ret, struct podnet_error *err);
int compile_netns(const struct compile_input *in, const struct netns *ns, struct podnet_set **ret,
		  struct podnet_error *err);
int compile_veth(const struct compile_input *in, const struct veth *veth, struct podnet_set **ret,
		 struct podnet_error *err);
int compile_bridge(const struct compile_input *in, const struct bridge *br,
		   struct podnet_set **ret, struct podnet_error *err);
int compile_route(const struct compile_input *in, const struct route *route,
		  struct podnet_set **ret, struct podnet_error *err);
int compile_tunnel(const struct compile_input *in, const struct tunnel *tunnel,
		   struct podnet_set **ret, struct podnet_error *err);
/** compile_vxlan_mac() - of the VXLAN device at the underlay's @address, where nobody says another */
void compile_vxlan_mac(uint32_t id, const struct podnet_prefix *address, uint8_t ret[6]);
/**
 * compile_node() - what the node needs whatever its pods are: forwarding, the gateway addresses,
 * unreachable routes for its blocks, load-balancer addresses; and the nft table (arrays malloc'd, the caller frees)
 */
int compile_node(const struct compile_input *in, const struct network *const *networks,
		 size_t nnetworks, struct podnet_set **ret, struct podnet_nat *nat,
		 struct podnet_error *err);

/** A block of another node, and how packets should get there. */
struct compile_block {
	struct podnet_prefix prefix;
	enum network_backend backend;
};
struct compile_path {
	const struct node *node;                /* the other one */
	const struct compile_block *blocks;
	size_t nblocks;
};
/** Tunnels of the node, one of each type and family of the underlay, as bits. */
enum compile_tunnel {
	COMPILE_VXLAN4 = 1 << 0,
	COMPILE_VXLAN6 = 1 << 1,
	COMPILE_UDP4 = 1 << 2,
	COMPILE_UDP6 = 1 << 3,
};
#define COMPILE_TUNNELS 4
#define COMPILE_TUNNEL_PREFIX "pn-"     /* of their devices' names; nobody else's begin so */
/** The devices' names, in the order of the bits; ends with NULL. */
extern const char *const compile_tunnel_names[COMPILE_TUNNELS + 1];
/** compile_tunnels() - bits of the tunnels that @path needs */
unsigned compile_tunnels(const struct compile_input *in, const struct compile_path *path);

/** What an event can name that is a path's: a prefix, or a MAC address and what is behind it. */
struct compile_sign {
	struct podnet_prefix prefix;
	uint8_t mac[6];
};
#define COMPILE_MISSING 192
struct compile_way {
	struct podnet_set *set;
	struct compile_sign *signs;             /* malloc'd */
	size_t nsigns;
	/* the first block that nothing leads to, and why; "": there is none */
	char missing[COMPILE_MISSING];
};
/** compile_path() - what leads to the pods of another node; the caller ends *@ret, after success */
int compile_path(const struct compile_input *in, const struct compile_path *path,
		 struct compile_way *ret, struct podnet_error *err);
void compile_way_fini(struct compile_way *way);

/**
 * compile_announcer() - which of @nodes answers and announces a load-balancer address
 *
 * Rendezvous hashing: all nodes choose alike without asking each other, and when one comes or goes,
 * only its own addresses move.  Return: an index; @n is not 0.
 */
size_t compile_announcer(const char *const *nodes, size_t n, const struct podnet_prefix *ip);
/** compile_announce_on() - the link on which this node announces @ip, or NULL: it does not */
const char *compile_announce_on(const struct compile_input *in, const struct podnet_prefix *ip);

/** What services are compiled for, and who is told of their frontends. */
struct compile_services {
	const char *node_name, *zone;           /* zone NULL: not known */
	const struct podnet_prefix *own;        /* addresses of the node */
	size_t nown;
	/* nodes that are lost: their endpoints are none */
	const char *const *lost;
	size_t nlost;
	/* borrowed for the call; a negative return stops and is returned */
	int (*each)(void *arg, const struct podnet_frontend *f);
	void *arg;
};

/** compile_service_is_proxied() - has it frontends at all, and are they ours to make? */
bool compile_service_is_proxied(const struct service *svc);
/** compile_service() - tell each frontend of @svc, with the endpoints of @slices.  0 or -ENOMEM. */
int compile_service(const struct compile_services *in, const struct service *svc,
		    const struct endpoint_slice *const *slices, size_t nslices);
/**
 * compile_service_nets() - all pod networks, and the blocks of this node
 * @inside: room for two a network; @local: malloc'd, the caller frees, also after -ENOMEM
 */
int compile_service_nets(const struct compile_input *in, const struct network *const *networks,
			 size_t n, struct podnet_prefix *inside, size_t *ninside,
			 struct podnet_prefix **local, size_t *nlocal);

/** A place of the node where ports of a pod are published. */
struct compile_port {
	struct podnet_prefix at;        /* an address of the node, or of the loopback */
	uint8_t protocol;               /* IPPROTO_* */
	uint16_t first, last;
	struct podnet_prefix to;        /* the pod's address; its port for the first one */
	uint16_t to_port;
	bool relayed;                   /* on the loopback: a relay's, no frontend's */
	const char *why;                /* not NULL: it cannot be published there, and why */
};
struct compile_ports {
	const struct podnet_prefix *addresses;  /* of the node */
	size_t naddresses;
	/* borrowed for the call; a negative return stops and is returned */
	int (*each)(void *arg, const struct compile_port *p);
	void *arg;
};
/** compile_ports() - tell each place where @pod publishes; one told again replaces the first */
int compile_ports(const struct compile_ports *in, const struct pod *pod);
/** compile_port_frontends() - tell what a place is in the kernel: one frontend, or some */
int compile_port_frontends(const struct compile_port *p,
			   int (*each)(void *arg, const struct podnet_frontend *f), void *arg);

/* metric of the node's unreachable routes: behind the kernel's own prefix routes (0; IPv6: 256) */
#define COMPILE_NODE_METRIC 8192

/** compile_link_name() - name of the host's end: "pn" and 13 base32 letters of a hash */
const char *compile_link_name(const char *uid, const char *network, char buf[16]);
/** compile_bridge_name() - name of a bridge network's bridge on this node */
const char *compile_bridge_name(const struct network *net, char buf[16]);

#endif
