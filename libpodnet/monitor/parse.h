/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parse.h - from a notification to an event
 */
#ifndef PN_MONITOR_PARSE_H
#define PN_MONITOR_PARSE_H

#include <linux/netlink.h>
#include <podnet/monitor.h>

/** What parsing one message needs to know and to remember. */
struct pn_notice {
	struct podnet_event ev;     /* zeroed by the caller */
	char alias[256];            /* backs ev.alias */
	uint32_t portid;            /* of the socket that caused it, 0: the kernel */
	const char *table;          /* our nf_tables table, set by the caller */
};

/** pn_notice_route() - true when it is one of the events we tell of */
bool pn_notice_route(const struct nlmsghdr *nlh, struct pn_notice *n);
/** pn_notice_nft() - the same for nf_tables */
bool pn_notice_nft(const struct nlmsghdr *nlh, struct pn_notice *n);

#endif
