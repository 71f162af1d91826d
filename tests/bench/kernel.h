/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h - raw netlink: the floor of an attach, and quick looks at the kernel
 *
 * Room: tests/bench; libmnl and the kernel's headers, nothing of libpodnet.
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include "bench.h"

#include <netinet/in.h>

/** Where a pod is, for every way of making one. */
struct place {
	char name[64];              /* of the namespace: a file under /run/netns */
	char link[16];              /* the host's end */
	struct in_addr ip4;
	struct in6_addr ip6;
};
/** place_of() - the @i-th pod of a way of attaching, whose number is @way */
void place_of(unsigned way, unsigned i, struct place *ret);

/** The fastest sequence of raw netlink known (see floor.c). */
struct floor;
struct floor *floor_open(void);
void floor_close(struct floor *f);
void floor_attach(struct floor *f, const struct place *p);
void floor_detach(struct floor *f, const struct place *p);
unsigned floor_requests(const struct floor *f);     /* netlink requests of one attach */
/** floor_netns() - only a new namespace, pinned: what a runtime does before it calls a plugin */
void floor_netns(const char *path);

/** A socket for looking, opened in the namespace at @path, or of descriptor @fd when NULL. */
struct probe;
struct probe *probe_open(const char *path, int fd);     /* NULL: there is no such namespace */
void probe_close(struct probe *p);

struct probe_link {
	bool there;
	unsigned index, flags, mtu, master;
	char name[16];
};
struct probe_link probe_link(struct probe *p, const char *name);        /* by name */
struct probe_link probe_link_index(struct probe *p, unsigned index);
/** probe_route() - ifindex of the host's route to @ip with length 32, 0: none */
unsigned probe_route(struct probe *p, struct in_addr ip);
bool probe_reaches(struct probe *p, struct in_addr ip);     /* there is any route to it */
bool probe_has_addr(struct probe *p, unsigned index, struct in_addr ip);
bool probe_nft_table(struct probe *p, const char *name);    /* family inet */

struct probe_count {
	unsigned links;             /* with those that wait in a pool */
	unsigned routes;            /* IPv4 and IPv6, of @protocol, to hosts */
};
struct probe_count probe_count(struct probe *p, uint8_t protocol);

#endif
