/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * context.h - what a context holds: its sockets, its namespace, whose marks it writes
 */
#ifndef PN_CONTEXT_H
#define PN_CONTEXT_H

#include <libpodnet/nl/nl.h>
#include <podnet/context.h>

struct podnet {
	struct nl rt;               /* NETLINK_ROUTE, in the context's namespace */
	struct nl nft;              /* NETLINK_NETFILTER; opened at first use, fd -1 before */
	int netns_fd;               /* the context's namespace */
	char owner[16];
	char *netns_dir, *run_dir;
	uint8_t protocol;
	uint32_t next_index;        /* ifindex for the next link we make, see plan/apply.c */
	struct nl_batch batch;      /* reused */
	void (*debug)(void *arg, const char *line);
	void *debug_arg;
};

#endif
