/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/service.h - one stable address in front of many endpoints, balanced by nftables
 *
 * A handle holds what is declared for one namespace: networks, and frontends, each an address and
 * port (or a port of the node) with the endpoints behind it.  Declaring only remembers; a commit
 * sends what changed since the last one as one atomic transaction: rules are static and few, and
 * what changes is elements of shared maps.  Table `inet podnet` (owner "netd") or
 * `inet podnet-OWNER`, beside what nat.h keeps there.
 *
 * A published port is a frontend as well: an address of the node and a port, with one endpoint, the
 * pod; `last_port` makes it a range of ports, which is one element of a map whatever its length.
 *
 * A new connection takes an endpoint with equal chance (numgen random; a number that is no
 * endpoint's is drawn again), or by weight, or by a hash of where it comes from (Maglev).  It is
 * masqueraded only when an endpoint reaches itself, when it comes from outside and leaves for
 * another node, or when the node itself speaks as a frontend's address (that of a frontend with
 * PODNET_FRONTEND_CLUSTER_IP or PODNET_FRONTEND_ALONE).  Present only where the library was built
 * with nftables; else every call returns -EOPNOTSUPP.
 *
 * A commit is for new connections.  Those that are there follow what the kernel remembers of them:
 * podnet_services_settle() makes it forget what leads to endpoints that went.
 *
 * Sources: nft(8); Linux net/netfilter/nf_tables_api.c, nft_numgen.c, nft_hash.c; the semantics
 * are those of Service and EndpointSlice in the Kubernetes API.
 */
#ifndef PODNET_SERVICE_H
#define PODNET_SERVICE_H

#include <podnet/context.h>
#include <podnet/ip.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_MAGLEV_SLOTS 16381   /* a prime: Eisenbud et al., Maglev, NSDI 2016 */
#define PODNET_ENDPOINTS_MAX 16381  /* of one frontend; their weights are at most 4 times that in all */
#define PODNET_WEIGHT_MAX 256

struct podnet_services;             /* opaque; used by one thread at a time, like its context */

/** Where what comes to a frontend may go. */
struct podnet_endpoint {
	struct podnet_prefix ip;    /* of the frontend's family; the length is ignored */
	uint16_t port;              /* 1..65535 */
	uint16_t weight;            /* 0 counts as 1; at most PODNET_WEIGHT_MAX; not for Maglev */
	uint8_t local;              /* 1: a pod of this node */
	uint8_t outside_only;       /* 1, and local: only for who comes from outside and, by
				       PODNET_FRONTEND_OUTSIDE_LOCAL, reaches no others */
	uint8_t leaving;            /* 1: takes nothing new, keeps what it has until it is gone */
};

enum podnet_frontend_flags {
	PODNET_FRONTEND_CLUSTER_IP = 1 << 0,    /* other ports of the address are refused */
	PODNET_FRONTEND_OUTSIDE_LOCAL = 1 << 1, /* who comes from outside reaches local endpoints
						   only, unmasqueraded; without any it is dropped */
	PODNET_FRONTEND_DROP = 1 << 2,          /* without endpoints: drop, do not refuse */
	PODNET_FRONTEND_MAGLEV = 1 << 3,        /* by a hash of the source, consistently */
	PODNET_FRONTEND_ALONE = 1 << 4,         /* of an address outside of the service networks, which
						   is nothing else: its other ports are refused too */
};

/** An address and port, or a port of the node.  Arrays are borrowed for the call. */
struct podnet_frontend {
	/* len 0 and address zero: a port of the node, of ip.family; else the length is ignored */
	struct podnet_prefix ip;
	uint8_t protocol;           /* IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP */
	uint16_t port;              /* 1..65535 */
	uint32_t flags;             /* enum podnet_frontend_flags */
	uint32_t sticky_s;          /* seconds that a client keeps its endpoint; 0: no affinity */
	const struct podnet_prefix *sources;    /* who may come; none: everybody */
	size_t nsources;
	const struct podnet_endpoint *endpoints;
	size_t nendpoints;
	/*
	 * 0: one port.  Else all from `port` to this one, at an address, to at most one endpoint, and
	 * a packet keeps its port: the endpoint's own is 0.  No flags, no affinity, no sources.
	 * Ranges of one address and protocol must not overlap, or the commit is refused with -EEXIST
	 * and @err->object names two that do; a single port wins over a range that holds it.
	 */
	uint16_t last_port;
};

/** The networks that services are about.  Arrays are borrowed for the call. */
struct podnet_service_nets {
	const struct podnet_prefix *inside;     /* pod networks of all nodes: not "outside" */
	size_t ninside;
	const struct podnet_prefix *local;      /* of this node's pods: never masqueraded to */
	size_t nlocal;
	const struct podnet_prefix *services;   /* service networks: other addresses are dropped */
	size_t nservices;
	const struct podnet_prefix *node_ips;   /* on which ports of the node answer */
	size_t nnode_ips;
};

/** podnet_services_new() - an empty handle.  @ctx must outlive it.  Return: 0 or -ENOMEM. */
PODNET_API int podnet_services_new(struct podnet *ctx, struct podnet_services **ret,
				   struct podnet_error *err);
/** podnet_services_free() - forgets; the kernel stays as it is.  NULL is fine. */
PODNET_API void podnet_services_free(struct podnet_services *services);

/** podnet_services_nets() - declare the networks, whole; the commit after a change reads all.  Return: 0, -EINVAL or -ENOMEM. */
PODNET_API int podnet_services_nets(struct podnet_services *services,
				    const struct podnet_service_nets *nets,
				    struct podnet_error *err);
/**
 * podnet_services_set() - declare a frontend, or what it is like now
 *
 * The key is family, address, protocol, port and last port.  Nothing reaches the kernel before the commit.
 * Return: 0; -EINVAL (@err->field names the member, nothing was remembered; also of more than
 * PODNET_ENDPOINTS_MAX endpoints); -ENOMEM.
 */
PODNET_API int podnet_services_set(struct podnet_services *services,
				   const struct podnet_frontend *frontend,
				   struct podnet_error *err);
/** podnet_services_absent() - no such frontend any more; only the key counts.  0 also without. */
PODNET_API int podnet_services_absent(struct podnet_services *services,
				      const struct podnet_frontend *frontend,
				      struct podnet_error *err);
/** podnet_services_doubt() - read the kernel at the next commit: somebody else wrote there */
PODNET_API void podnet_services_doubt(struct podnet_services *services);
/**
 * podnet_services_commit() - the kernel is as declared
 *
 * The first commit, and one after podnet_services_doubt(), reads what is there and sends the
 * difference; others send what was declared since.  After a failure the next one reads again.
 * Return: number of changes (0: it was so); -EEXIST (ranges of ports overlap, nothing was sent),
 * -EPERM, -EAGAIN (others commit again and again),
 * -EOPNOTSUPP, -ENOMEM.
 */
PODNET_API int podnet_services_commit(struct podnet_services *services, struct podnet_error *err);
/** podnet_services_unsettled() - 1 while podnet_services_settle() has something to look at, else 0 */
PODNET_API int podnet_services_unsettled(const struct podnet_services *services);
/**
 * podnet_services_settle() - forget connections that lead to who serves them no more
 *
 * Of frontends that changed since, and after the first commit of all: entries of connection
 * tracking that were meant for a frontend, and are answered by none of its endpoints.  UDP goes,
 * and what has no answer yet; TCP that has one is left to its ends.  One or two walks of the
 * kernel's table for any number of changes, nothing of it kept.  A packet that was under way during
 * the commit may come back to the old endpoint, so what was looked at stays unsettled for one more
 * call: make that a moment (100 ms) later.
 * Return: how many entries went; as podnet_conntrack_delete().
 */
PODNET_API int podnet_services_settle(struct podnet_services *services, struct podnet_error *err);

/**
 * podnet_services_keep() - what spares the next handle reading all elements
 * @ret: @len bytes to be free()d, of this library on this machine; to be kept where nobody else writes
 *
 * For a program that ends and begins again: they name the boot, the namespace and the generation of
 * nf_tables, and hold a sum over all that was sent.  The first commit of a handle that is told them
 * reads no elements where nobody at all has committed since and as much is declared as was sent.
 * With a monitor of changes by others, read that once more behind this call: if it tells of the table,
 * what is here is not what the kernel has, and must be thrown away.
 * Return: 0; -EAGAIN: what is declared is not committed, or in doubt, or somebody commits just now;
 * -ENOMEM, -EOPNOTSUPP.  Source: Linux net/netfilter/nf_tables_api.c, nf_tables_valid_genid();
 * socket(7), SO_NETNS_COOKIE in net/core/sock.c.
 */
PODNET_API int podnet_services_keep(struct podnet_services *services, void **ret, size_t *len,
				    struct podnet_error *err);
/**
 * podnet_services_kept() - what another handle has left; before the first commit, @data is copied
 *
 * Whatever has changed since makes that commit read all of it, as without.
 * Return: 0; -EINVAL: it is cut off; -ENOMEM, -EOPNOTSUPP.
 */
PODNET_API int podnet_services_kept(struct podnet_services *services, const void *data, size_t len,
				    struct podnet_error *err);

/** What went through a frontend to one of its endpoints, since there was traffic. */
struct podnet_service_counts {
	struct podnet_prefix ip;    /* the frontend, as in struct podnet_frontend */
	uint8_t protocol;
	uint16_t port;
	struct podnet_prefix endpoint;          /* family 0: those that went, together */
	uint16_t endpoint_port;
	uint64_t connections;       /* first packets; of UDP too */
	uint64_t packets_in, bytes_in;          /* to the endpoint; bytes with the IP header */
	uint64_t packets_out, bytes_out;        /* from it */
};
/**
 * podnet_services_counts() - read what the kernel has counted
 * @each: several times for one pair of frontend and endpoint: its members are to be added up
 *
 * Before the first commit there is nothing to tell.  Counted is what passes on, behind postrouting or into the node: a packet that the kernel or a
 * card will cut (GSO) is one.  At most 65,536 pairs a family are counted, those that came first.
 * Those of endpoints that went are taken out here and kept as one sum with the frontend, in the
 * handle.  What came after podnet_services_absent() begins at 0, also at the address of one that
 * went.  Reads all of it, some 1 us a pair: nothing for the way of a packet or of a commit, but of
 * one that brings a frontend where another one went since.
 * Return: 0, what @each returned when it was negative, or as podnet_services_commit().
 */
PODNET_API int podnet_services_counts(struct podnet_services *services,
				      int (*each)(const struct podnet_service_counts *counts,
						  void *arg),
				      void *arg, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
