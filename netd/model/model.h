/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * model.h - API objects as read-only structs
 *
 * Room: what the stored bytes mean, and the rules that span objects; no JSON.  A struct is decoded
 * once, lives in an arena of its own, and is never written again; nothing is encoded from it, so it
 * holds only what the other rooms ask for.  Absent strings are NULL, absent lists have n 0.
 */
#ifndef NETD_MODEL_H
#define NETD_MODEL_H

#include <netd/base/base.h>
#include <podnet/ip.h>

enum kind_id {
	KIND_NAMESPACE, KIND_NODE, KIND_POD, KIND_EVENT,
	KIND_NETWORK, KIND_NETNS, KIND_VETH, KIND_BRIDGE, KIND_ROUTE, KIND_TUNNEL,
	KIND_SERVICE, KIND_ENDPOINTS, KIND_ENDPOINT_SLICE, KIND_NETWORK_POLICY,
	KIND_COUNT
};

struct kv {
	const char *key, *value;
};

struct port_ref {               /* a number, or a name to be looked up in a pod */
	uint32_t number;            /* 0: by name, or all */
	const char *name;
};

/** One of metadata.ownerReferences. */
struct owner {
	const char *api_version, *kind, *name, *uid;
};

struct meta {
	const char *ns, *name, *uid;    /* ns "" for cluster scope */
	uint64_t rev;
	int64_t generation;
	int64_t created;                /* seconds since the epoch */
	int64_t deleted;                /* deletionTimestamp, 0: none */
	struct kv *labels, *annotations;
	size_t nlabels, nannotations;
	size_t nfinalizers;
	struct owner *owners;
	size_t nowners;
};
const char *meta_annotation(const struct meta *meta, const char *key);
const char *meta_label(const struct meta *meta, const char *key);

struct condition {
	const char *type, *status, *reason, *message;   /* status "True", "False", "Unknown" */
	int64_t since;                                  /* lastTransitionTime */
};

/* v1 Namespace */
struct namespace {
	struct meta meta;
	bool terminating;
	bool held;                  /* spec.finalizers has others than our own, "kubernetes" */
};

/* v1 Node */
#define NODE_ADDRESS "podnet.dev/node-address"      /* annotation: "IP[,IP]", before the status */
#define NODE_FASTPATH   "podnet.dev/udp-fastpath"   /* annotation of netd's: by which families its kernel carries */
#define NODE_LINK_LOCAL "podnet.dev/link-local"     /* annotation of netd's: where its IPv4 address is */
struct node {
	struct meta meta;
	struct podnet_prefix pod_cidrs[2];
	size_t npod_cidrs;
	bool lost;                  /* condition Ready is Unknown: nobody hears of it */
	int64_t lost_since;             /* as it says; 0: it does not */
	/* where others send what is for its pods: IPv4, IPv6; family 0: it has none */
	struct podnet_prefix underlay[2];
	bool fastpath[2];           /* by the underlay of this family its kernel takes UDP tunnels' packets */
	struct podnet_prefix link_local;        /* of IPv6, on the link of underlay[0]; family 0: not told */
};

/* v1 Pod */
struct pod_network {            /* one attachment, from status.networks (ours) */
	const char *network;        /* name of the Network */
	const char *interface;      /* inside: eth0, eth1 ... */
	struct podnet_prefix ips[2];    /* claimed; length of a host (32, 128) */
	size_t nips;
	uint8_t mac[6];             /* all zero: chosen by the kernel part */
	bool default_route;
};
struct pod_ip_request {
	const char *network;        /* NULL: the first */
	struct podnet_prefix ip;
};
struct container_port {
	const char *name;           /* NULL: unnamed */
	uint32_t number;            /* containerPort */
	int protocol;               /* enum port_protocol */
	uint32_t host_port;         /* 0: none */
	struct podnet_prefix host_ip;   /* family 0: none given */
};
/** What a pod publishes on its node: a hostPort, or an item of podnet.dev/ports. */
struct pod_port {
	struct podnet_prefix ip;    /* family 0: every address; all zero: every one of the family */
	int protocol;               /* enum port_protocol */
	uint16_t first, last;       /* on the node */
	uint16_t to;                /* in the pod, of the first */
};
struct probe_header {
	const char *name, *value;   /* value NULL: empty */
};
enum probe_type { PROBE_TCP, PROBE_HTTP };
struct probe {                  /* a readiness probe that netd runs */
	enum probe_type type;
	const char *host;           /* NULL: the pod's own address */
	struct port_ref port;       /* a name is one of the container's ports */
	const char *path;           /* NULL: "/" */
	struct probe_header *headers;
	size_t nheaders;
	uint32_t delay_s, period_s, timeout_s;
	uint32_t successes, failures;   /* in a row, until it changes */
	/* what status.containerStatuses says of the container */
	bool known, ready;          /* known: it says something */
	int64_t started;            /* 0: not said */
};
struct container {
	const char *name;
	struct container_port *ports;
	size_t nports;
	const struct probe *readiness;  /* NULL: none, or one that netd does not run */
};
struct pod_ip {
	struct podnet_prefix ip;
};
struct pod {
	struct meta meta;
	struct container *containers;
	size_t ncontainers;
	const char *hostname, *subdomain;
	const char *node_name;      /* spec.nodeName */
	bool host_network;
	int64_t grace_s;            /* spec.terminationGracePeriodSeconds when given, else 0 */
	const char **networks;      /* podnet.dev/networks, in order; n 0: "default" */
	size_t nnetworks;
	const char *default_route;  /* podnet.dev/default-route: name of a network, NULL: the first */
	struct pod_ip_request *ip_requests;     /* podnet.dev/ips: "10.244.0.9, storage=10.5.0.7" */
	size_t nip_requests;
	uint8_t mac[6];             /* podnet.dev/mac, of the first interface */
	uint64_t ingress_bps, egress_bps;   /* kubernetes.io/{in,e}gress-bandwidth, 0: none */
	const char *netns;          /* podnet.dev/netns: made around "/path" or "pid:N" */
	const char *origin;         /* podnet.dev/origin */
	struct pod_port *ports;     /* published; none where the network is the node's */
	size_t nports;
	/* status */
	const char *phase;
	struct pod_network *attached;
	size_t nattached;
	struct pod_ip *ips;             /* status.podIPs */
	size_t nips;
	struct condition *conditions;
	size_t nconditions;
	const char *boot_id;        /* status.bootID (ours): the boot in which it was programmed */
	bool ready_by_user;         /* a PATCH of the status subresource set condition Ready */
};
#define POD_UNHEARD "NodeNotReady"  /* reason of Ready False: it was True, but its node is lost */
/** pod_condition() - of status, or NULL */
const struct condition *pod_condition(const struct pod *pod, const char *type);
/** pod_is_unheard() - it was Ready, but its node is lost */
bool pod_is_unheard(const struct pod *pod);
/** pod_netns_name() - file name under netns_dir: "<pod>.<namespace>", over 255 a prefix and a hash */
const char *pod_netns_name(const struct pod *pod, char buf[256]);

/* podnet.dev/v1 Network */
enum network_type { NETWORK_ROUTED, NETWORK_BRIDGE };
/* how packets get to pods of other nodes */
enum network_backend { BACKEND_AUTO, BACKEND_DIRECT, BACKEND_VXLAN, BACKEND_UDP };
struct network {
	struct meta meta;
	enum network_type type;
	enum network_backend backend;
	struct podnet_prefix cidrs[2];  /* at most one a family */
	size_t ncidrs;
	uint8_t block_len[2];           /* prefix length of a node's block, per entry of cidrs */
	uint32_t mtu;
	bool masquerade;                /* default true */
	bool isolation;                 /* bridge: ports are isolated, traffic goes by the node; default true */
};

/* podnet.dev/v1 primitives: node-local.  `netns` is a name under netns_dir, NULL: the node's. */
struct netns {
	struct meta meta;
	const char *node_name;
	const char *path;               /* adopt: "/path" or "pid:N"; NULL: make one */
};
struct veth_end {
	const char *netns, *name, *bridge;
	uint8_t mac[6];
	struct podnet_prefix *addresses;
	size_t naddresses;
};
struct veth {
	struct meta meta;
	const char *node_name;
	uint32_t mtu;
	struct veth_end ends[2];
};
struct bridge {
	struct meta meta;
	const char *node_name, *netns, *interface;      /* interface: default metadata.name */
	uint32_t mtu;
	uint8_t mac[6];
	struct podnet_prefix *addresses;
	size_t naddresses;
};
struct route {
	struct meta meta;
	const char *node_name, *netns, *interface;
	struct podnet_prefix destination, gateway, source;
	uint32_t table, metric, mtu;
	const char *type;               /* unicast (default), unreachable, blackhole */
	bool on_link;
	const char *identity;           /* text that no two routes of a kernel have in common */
};

/* podnet.dev/v1 Tunnel: node-local, in the node's own network namespace */
enum tunnel_type { TUNNEL_UDP, TUNNEL_VXLAN };
enum tunnel_framing {           /* udp: what a datagram to and from a peer holds */
	TUNNEL_RAW,             /* the IP packet */
	TUNNEL_PI,              /* 4 bytes ahead of it: flags 0, EtherType (struct tun_pi) */
	TUNNEL_FASTPATH,        /* as raw; the peer's kernel takes it too, see podnet/overlay.h */
};
struct tunnel_peer {
	struct podnet_prefix address;   /* of its underlay, length of a host, family of `local` */
	uint32_t port;                  /* udp: never 0 */
	/* what is behind it: routed to it, and with its address all that it may send from; disjoint */
	struct podnet_prefix *cidrs;
	size_t ncidrs;
	enum tunnel_framing framing;    /* udp */
	uint8_t mac[6];                 /* vxlan: of its device; all zero: compile_vxlan_mac() */
};
struct tunnel {
	struct meta meta;
	const char *node_name, *interface;      /* interface: default metadata.name */
	enum tunnel_type type;
	uint32_t id;                    /* vxlan: VNI */
	struct podnet_prefix local;     /* this node's address of the underlay, length of a host */
	uint32_t port;                  /* UDP, at local; never 0 */
	uint32_t mtu;                   /* 0: of the underlay less the encapsulation */
	uint8_t mac[6];                 /* vxlan: of the device; all zero: compile_vxlan_mac() */
	struct podnet_prefix *addresses;        /* of the device */
	size_t naddresses;
	struct tunnel_peer *peers;
	size_t npeers;
};

/* What the kinds below share. */
enum port_protocol { PORT_TCP, PORT_UDP, PORT_SCTP };
enum ip_family { FAMILY_IPV4, FAMILY_IPV6 };

/* v1 Service */
enum service_type {
	SERVICE_CLUSTER_IP, SERVICE_NODE_PORT, SERVICE_LOAD_BALANCER, SERVICE_EXTERNAL_NAME
};
enum traffic_policy { TRAFFIC_CLUSTER, TRAFFIC_LOCAL };
enum ip_family_policy { POLICY_SINGLE_STACK, POLICY_PREFER_DUAL, POLICY_REQUIRE_DUAL };
struct service_port {
	const char *name;               /* NULL: unnamed */
	enum port_protocol protocol;
	uint32_t port, node_port;       /* node_port 0: none */
	struct port_ref target;
	const char *app_protocol;
};
struct service_ingress {
	struct podnet_prefix ip;        /* family 0: a host name instead */
};
/* spec.loadBalancerClass of Services whose addresses are ours to give */
#define SERVICE_POOL_CLASS "podnet.dev/pool"
#define SERVICE_POOL_IPS   "podnet.dev/load-balancer-ips"    /* annotation: which of them */
struct service {
	struct meta meta;
	enum service_type type;
	bool headless;                  /* clusterIP "None" */
	struct podnet_prefix cluster_ips[2];
	size_t ncluster_ips;
	enum ip_family families[2];
	size_t nfamilies;
	enum ip_family_policy family_policy;
	struct service_port *ports;
	struct kv *selector;
	struct podnet_prefix *external_ips, *source_ranges;
	struct service_ingress *ingress;        /* status.loadBalancer */
	size_t nports, nselector, nexternal_ips, nsource_ranges, ningress;
	bool from_pool;                 /* LoadBalancer of SERVICE_POOL_CLASS: it holds its ingress */
	struct podnet_prefix wanted_ips[2];     /* asked of the pool, at most one a family */
	size_t nwanted_ips;
	const char *external_name, *load_balancer_class, *traffic_distribution;
	enum traffic_policy internal_policy, external_policy;
	bool client_ip_affinity;
	uint32_t affinity_s;            /* of client_ip_affinity */
	uint32_t health_check_port;     /* 0: none */
	bool publish_not_ready, allocate_node_ports;
};

/* v1 Endpoints: made of slices for others (control/endpoints.c); here nobody reads them */
struct endpoints {
	struct meta meta;
};

/* discovery.k8s.io/v1 EndpointSlice */
#define LABEL_MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define LABEL_NODE       "podnet.dev/node"      /* whose netd keeps the slice */
#define SLICE_MANAGER    "endpointslice-controller.podnet.dev"
struct endpoint {
	struct podnet_prefix *addresses;
	size_t naddresses;
	bool ready, serving, terminating;
	const char *node_name, *zone, *hostname;
	const char *target_kind, *target_ns, *target_name, *target_uid;
};
struct endpoint_port {
	const char *name;               /* NULL: unnamed */
	enum port_protocol protocol;
	uint32_t port;                  /* 0: all */
	const char *app_protocol;
};
struct endpoint_slice {
	struct meta meta;
	const char *service;            /* label kubernetes.io/service-name, NULL: nobody's */
	const char *keeper;             /* the node whose netd made it of a selector, or NULL */
	enum ip_family family;
	struct endpoint *endpoints;
	struct endpoint_port *ports;
	size_t nendpoints, nports;
};
/**
 * endpoint_is_ready() - as the slice says; but of a pod of this node, which others took for lost with
 * its node, this node knows better until it has said so
 */
bool endpoint_is_ready(const struct endpoint_slice *slice, const struct endpoint *e, const char *node);

/* networking.k8s.io/v1 NetworkPolicy */
struct label_selector;          /* selector.h */
struct policy_peer {
	const struct label_selector *pods, *namespaces;     /* NULL: not given, which is not {} */
	struct podnet_prefix cidr, *except;     /* cidr.family 0: selectors */
	size_t nexcept;
};
struct policy_port {
	enum port_protocol protocol;
	struct port_ref port;           /* neither: all of the protocol */
	uint32_t end_port;              /* 0: only port */
};
struct policy_rule {
	struct policy_peer *peers;      /* none: anyone */
	struct policy_port *ports;      /* none: everything */
	size_t npeers, nports;
};
struct network_policy {
	struct meta meta;
	const struct label_selector *pods;
	bool isolates_ingress, isolates_egress;
	struct policy_rule *ingress, *egress;
	size_t ningress, negress;
};

/* v1 Event */
struct event {
	struct meta meta;
	const char *involved_kind, *involved_ns, *involved_name, *involved_uid;
	const char *reason, *message;
	int64_t count, last;
};

/* VNI of the node's own VXLAN devices, on node_config.vxlan_port; the number of our route protocol too */
#define NODE_VXLAN_ID 142

/** Which node this is and what it was told; fixed while netd runs. */
struct node_config {
	const char *node_name;
	const char *netns_dir, *run_dir;
	char boot_id[37];
	struct podnet_prefix cluster_cidrs[2];
	bool cidr_said[2];              /* the administrator said it: else a default, or made by netd */
	size_t ncluster_cidrs;
	uint8_t block_len[2];
	uint32_t mtu;                   /* 0: of the underlay */
	uint16_t vxlan_port, udp_port;
	const char *node_address;       /* of NODE_ADDRESS; NULL: nothing was said */
	struct podnet_prefix service_cidrs[2];  /* the default family's first */
	size_t nservice_cidrs;
	struct podnet_prefix balancer_cidrs[2]; /* the pool of load-balancer addresses, one a family */
	size_t nbalancer_cidrs;
	uint32_t node_port_min, node_port_max;
	uint32_t node_grace_s;          /* until a lost node's endpoints leave, a gone one's pods go */
};

#endif
