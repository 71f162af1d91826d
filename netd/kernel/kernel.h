/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h - the kernel thread: the only place of netd that calls libpodnet's kernel functions
 *
 * Desired sets go in, results come out, over queues.  A scope is one API object's share of the
 * kernel (its uid, or "node"); tasks of one scope run in order.  The thread hears kernel events,
 * maps them to scopes it knows, and says which are dirty; it never repairs by itself, so that
 * every change has its origin in a desired set that the control loop has just compiled.
 * Tasks made by clients go ahead of repairs and resyncs.
 */
#ifndef NETD_KERNEL_H
#define NETD_KERNEL_H

#include <netd/base/base.h>
#include <netd/base/loop.h>
#include <podnet/podnet.h>

enum kernel_task_type {
	KERNEL_ENSURE,              /* make `set` so, and what of `was` is not in it absent */
	KERNEL_ABSENT,              /* take away everything of `set` */
	KERNEL_SWEEP,               /* at start: what is ours and of no scope in `scopes` goes */
	KERNEL_SERVICES,            /* frontends that are new, changed or gone; the first: all */
	KERNEL_COUNTS,              /* read what services counted */
	KERNEL_NEXT,                /* `next`, for the pool; no result comes */
};

/** Frontends on their way; all arrays are the arena's. */
struct kernel_services {
	struct arena arena;
	struct podnet_frontend *set, *absent;
	size_t nset, nabsent, set_cap, absent_cap;
	bool more;                  /* of the first ones: more follow, and then all are committed */
};
/** kernel_services_set() - a copy of @f with its arrays.  0 or -ENOMEM. */
int kernel_services_set(struct kernel_services *s, const struct podnet_frontend *f);
int kernel_services_absent(struct kernel_services *s, const struct podnet_frontend *f);

/**
 * What an event in the node's own namespace may name: a route's destination, a neighbour's address;
 * or, where @mac is not zero, what is behind a MAC address of a VXLAN device.
 */
struct kernel_sign {
	struct podnet_prefix prefix;
	uint8_t mac[6];
};

/** The addresses of a pod to come, one a family. */
struct kernel_next {
	struct podnet_prefix ips[2];
	size_t n;
};

/** An address whose neighbours must know that it is here. */
struct kernel_announce {
	char link[PODNET_IFNAME_SIZE];
	struct podnet_prefix ip;
};

struct kernel_task {
	struct qnode node;
	enum kernel_task_type type;
	char scope[64];
	uint64_t tag;               /* the sender's */
	struct podnet_set *set;     /* owned */
	struct podnet_set *was;     /* owned, may be NULL: what the set was before */
	bool fresh;                 /* nothing of it exists yet: plan without observing */
	bool urgent;                /* a client waits: before repairs */
	bool drift;                 /* what had to be changed was drift: count and name it */
	/*
	 * Where the set lives, so that events find its scope: names under netns_dir, owned, NULL:
	 * none.  `home`: it has routes in the node's own namespace that no link of its own tells.
	 */
	char *netns[2];
	bool home;
	struct kernel_sign *signs;  /* what it has there that is nobody else's; owned */
	size_t nsigns;
	char *record;               /* owned: what is at netns[0] and no sweep finds; see records.c */
	char *pin;                  /* owned: an existing namespace to pin at netns[0], or NULL */
	/*
	 * ENSURE of scope "node" only: addresses of ours on lo or deprecated, and unreachable routes of
	 * ours with this metric, are the node's and go when they are not in the set, as VXLAN devices of
	 * these names with their addresses (static text, ends with NULL); and the nft table
	 */
	uint32_t node_metric;
	const char *const *node_links;
	bool has_nat;
	struct podnet_nat nat;      /* arrays owned, malloc */
	struct podnet_service_nets nets;        /* with `has_nat`; arrays owned, malloc */
	struct kernel_announce *announce;       /* with `has_nat`, all that there are; owned, malloc */
	size_t nannounce;
	struct kernel_services *services;       /* SERVICES; owned */
	bool tell_inode;            /* ENSURE: that of netns[0] */
	char **scopes;              /* SWEEP: sorted, owned */
	size_t nscopes;
	/* SWEEP: routes of ours by a gateway into one of `inside` that are none of `routes` go; owned */
	struct podnet_prefix *inside, *routes;  /* routes: sorted */
	size_t ninside, nroutes;
	struct kernel_next *next;   /* NEXT: of the pods to come, in their order; owned */
	size_t nnext;
	/* result */
	int rc;                     /* 0 or negative errno */
	uint64_t inode;             /* 0: not asked for */
	int changes;                /* kernel operations done */
	struct podnet_service_counts *counts;   /* COUNTS: one a pair, sorted; owned */
	size_t ncounts;
	uint64_t took_us;           /* COUNTS: the reading alone */
	struct podnet_error err;
	char *lines;                /* what was done, a line each, cut at 1 KiB; or NULL */
};
/** kernel_counts_cmp() - the order of `counts`: by frontend, the endpoints of one beside each other */
int kernel_counts_cmp(const void *a, const void *b);
struct kernel_task *kernel_task_new(enum kernel_task_type type, const char *scope);
void kernel_task_free(struct kernel_task *task);

#define KERNEL_MAX_ADDRESSES 16
#define KERNEL_MAX_TAKEN 64         /* what a node has beyond these is not looked at */
#define KERNEL_MAX_LINKS 32
#define KERNEL_MAX_RESERVED 96
/** What is reached without a gateway, and by which link. */
struct kernel_link {
	struct podnet_prefix prefix;
	char link[PODNET_IFNAME_SIZE];
};
/** What the node is, as the kernel tells; underlay only: links that are not ours. */
struct kernel_facts {
	/* global, best first: the default route's */
	struct podnet_prefix addresses[KERNEL_MAX_ADDRESSES];
	size_t naddresses;
	/* of IPv4 and IPv6: the link that the best address is on; "": there is none but lo */
	char uplinks[2][PODNET_IFNAME_SIZE];
	struct podnet_prefix link_local;        /* of IPv6, on uplinks[0]; family 0: none */
	bool strict;                /* uplinks[0] takes only what its answers would leave by (RFC 3704, 2.2) */
	/* what the node reaches without a gateway and what it is itself, link-local left out */
	struct podnet_prefix taken[KERNEL_MAX_TAKEN];
	size_t ntaken;
	struct kernel_link links[KERNEL_MAX_LINKS];
	size_t nlinks;
	/*
	 * Addresses that are nobody's to have beside who has them: the node's own, its gateways', and
	 * those that stand for a subnet that it is on: network and broadcast (RFC 1122, 3.2.1.3), and
	 * the routers' anycast address of IPv6 (RFC 4291, 2.6.1).
	 */
	struct podnet_prefix reserved[KERNEL_MAX_RESERVED];
	size_t nreserved;
	uint32_t mtu;               /* of the default route's link; 1500 (Ethernet) without one */
	/* entries that the table of neighbours may have, of IPv4 and IPv6; 0: not to be seen here */
	uint32_t neighbours[2];
	char dropper[192];          /* nft chains of others that drop what is forwarded; "": none */
};

struct kernel_config {
	struct loop *loop;          /* callbacks are called on its thread */
	/*
	 * Namespaces kept ready, from the first KERNEL_NEXT on and with the addresses it tells; 0: one
	 * is made when a hint comes.
	 */
	uint32_t pool;
	uint32_t pool_mtu;
	const struct podnet_set *pool_ahead;    /* see struct podnet_pool_spec; needed at start */
	/* what a pod of these addresses has beside it; pure, called on the kernel thread */
	int (*pool_own)(const struct podnet_prefix *ips, size_t n, struct podnet_set **ret,
			struct podnet_error *err);
	void (*done)(void *arg, struct kernel_task *task);      /* result; callee frees */
	/* @scope drifted, or NULL: everything may have (events lost, or what concerns all) */
	void (*dirty)(void *arg, const char *scope);
	void (*facts)(void *arg, const struct kernel_facts *facts);     /* at start and on change */
	void *arg;
};

struct kernel;
/**
 * kernel_open() - its sockets, before the thread starts
 * @nft_owner: see struct podnet_options
 *
 * Hearing of changes in other namespaces takes CAP_NET_BROADCAST, of who opens the socket and at
 * that moment (net/netlink/af_netlink.c): the caller may give it up afterwards.
 */
int kernel_open(const char *netns_dir, const char *run_dir, bool nft_owner, struct kernel **ret,
		struct podnet_error *err);
/** kernel_look() - what the node is now; before the thread starts */
int kernel_look(struct kernel *kernel, struct kernel_facts *ret, struct podnet_error *err);
/** kernel_start() - the thread; also after a failure kernel_stop() frees it */
int kernel_start(struct kernel *kernel, const struct kernel_config *conf, struct podnet_error *err);
/** kernel_stop() - after the task at hand; leaves the kernel as it is.  NULL is fine */
void kernel_stop(struct kernel *kernel);
void kernel_submit(struct kernel *kernel, struct kernel_task *task);
/** kernel_hint() - a pod is about to be committed: have a namespace ready for it */
void kernel_hint(struct kernel *kernel);
/** kernel_is_ready() - the pool has a namespace: what is made from it costs the node little */
bool kernel_is_ready(const struct kernel *kernel);
/** kernel_purge() - on the calling thread, no daemon running: all that is ours goes away */
int kernel_purge(const char *netns_dir, const char *run_dir, void (*line)(void *arg, const char *),
		 void *arg, struct podnet_error *err);

#endif
