/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.h - a number of services, and the ways to have them in the kernel
 *
 * Room: tests/bench.  Service @i has a cluster IP and one TCP port; every tenth endpoint is this
 * node's.  The endpoints of the last service can be a real server, so that packets can be sent
 * through the one that every list has last.
 */
#ifndef BENCH_SERVICES_H
#define BENCH_SERVICES_H

#include "http.h"

#include <netinet/in.h>

#define SERVICE_PORT 80
#define SERVER_PORT 8080        /* and those behind it, one for each endpoint of the last service */

struct shape {
	unsigned services, endpoints;   /* endpoints: of each */
	bool served;                /* the last one's endpoints are the server's */
};
in_addr_t service_ip(unsigned i);           /* network order */
/** endpoint_of() - the @k-th of service @i; *@port in the host's order */
in_addr_t endpoint_of(const struct shape *s, unsigned i, unsigned k, unsigned *port);
bool endpoint_is_local(const struct shape *s, unsigned i, unsigned k);
#define SERVER_IP 0x0af40003u   /* 10.244.0.3, host order */

/** How long a change took: all of it, and the system call in it that hands it to the kernel. */
struct took {
	double all, kernel;         /* ms */
};

/** The same elements by libmnl alone: messages made beforehand, sent, acknowledged. */
struct raw;
struct raw *raw_open(void);     /* of the namespace that the caller is in */
void raw_close(struct raw *r);
struct took raw_load(struct raw *r, const struct shape *s);
/** raw_endpoint() - service @i has one endpoint more, or that one less again */
struct took raw_endpoint(struct raw *r, const struct shape *s, unsigned i, bool more);
struct took raw_service(struct raw *r, const struct shape *s, unsigned i, bool there);
void raw_clear(void);           /* no table is left, of whoever; waits until the memory is free */

/** podnet/service.h as an embedder uses it. */
struct balancer;
struct balancer *balancer_open(void);
void balancer_close(struct balancer *b);
/** balancer_again() - close it, and open another that is told what the first has left */
struct balancer *balancer_again(struct balancer *b);
/** balancer_declare() - everything, to the handle only */
void balancer_declare(struct balancer *b, const struct shape *s);
/** balancer_commit() - *@changes: elements and what else was changed */
struct took balancer_commit(struct balancer *b, int *changes);
struct took balancer_endpoint(struct balancer *b, const struct shape *s, unsigned i, bool more);
struct took balancer_service(struct balancer *b, const struct shape *s, unsigned i, bool there);

/** Rules as kube-proxy writes them, loaded by programs of Debian's. */
enum peer { PEER_IPTABLES, PEER_LEGACY, PEER_NFT, PEERS };
const char *peer_name(enum peer p);
bool peer_there(enum peer p, const char *dir);
/** peer_load() - in ms; below 0: it failed */
double peer_load(enum peer p, const struct shape *s, const char *dir);
double peer_endpoint(enum peer p, const struct shape *s, unsigned i, const char *dir);
void peer_clear(enum peer p);

/** What the kernel has taken for itself: slabs, per-CPU memory, vmalloc; MiB. */
double kernel_mib(void);

/** A node with a client's and a server's pod on it, in network namespaces of their own. */
struct world;
struct world *world_open(void);
void world_enter(struct world *w);  /* the caller is on that node then */
void world_close(struct world *w);
/** world_first() - microseconds until a datagram to @to from a new port is answered; < 0: never */
double world_first(struct world *w, in_addr_t to, unsigned port);
/** world_connections() - connections in a second: made, answered by a byte, closed */
double world_connections(struct world *w, in_addr_t to, unsigned port, unsigned ms);
/** world_turns() - round trips of a byte in a second, on one connection */
double world_turns(struct world *w, in_addr_t to, unsigned port, unsigned ms);

#endif
