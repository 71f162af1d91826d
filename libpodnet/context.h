/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * context.h - what a context holds: its sockets, its namespace, whose marks it writes
 */
#ifndef PN_CONTEXT_H
#define PN_CONTEXT_H

#include <libpodnet/nl/nl.h>
#include <podnet/context.h>

#define PN_OWN_PORTIDS 256

/** A member of a list; @at is what points to it, NULL when the list itself is gone. */
struct pn_member {
	struct pn_member *next, **at;
};

struct podnet {
	struct nl rt;               /* NETLINK_ROUTE, in the context's namespace */
	struct nl nft;              /* NETLINK_NETFILTER; opened at first use, fd -1 before */
	struct nl ct[2];            /* the same, for conntrack: see conntrack/conntrack.c */
	int netns_fd;               /* the context's namespace */
	uint64_t netns_dev, netns_ino;      /* of it; all namespaces are on one device */
	char owner[16];
	char *netns_dir, *run_dir;
	uint8_t protocol;
	bool nft_owner;             /* see struct podnet_options; false too where the kernel cannot */
	bool nft_claimed;           /* nft/table.c has seen to it */
	uint32_t next_index;        /* ifindex for the next link we make, see plan/apply.c */
	struct nl_batch batch;      /* reused */
	void (*debug)(void *arg, const char *line);
	void *debug_arg;
	/* see pn_context_own_portid() */
	uint32_t own_portids[PN_OWN_PORTIDS];
	uint32_t own_next;
	/* netns/netns.c: prepared at the first pin */
	int records_fd;             /* <run_dir>/netns, or -1 */
	char boot[9];               /* first 8 hex digits of the boot id, or "" */
	bool pins_ready;            /* netns_dir is a shared mount point */
	char scope[64];             /* backs what podnet_netns_get() returned last */
	struct pn_member *pools;    /* plan/pool.c: those of this context */
	int nft_ears;               /* monitor/monitor.c: its socket for nf_tables, or -1 */
};

/**
 * pn_context_own_portid() - remember the port id of a socket this context opened somewhere
 *
 * So that a monitor tells events this context caused from others; call it after each nl_open_at().
 * pn_netns_make() has done so for its socket.  The most recent PN_OWN_PORTIDS are kept.
 */
void pn_context_own_portid(struct podnet *ctx, uint32_t portid);
/** pn_context_owns() - true for a port id remembered, or of the context's own sockets */
bool pn_context_owns(const struct podnet *ctx, uint32_t portid);

/** pn_debug() - one line to the debug callback, when there is one */
__attribute__((format(printf, 2, 3)))
void pn_debug(const struct podnet *ctx, const char *fmt, ...);

#endif
