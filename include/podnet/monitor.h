/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/monitor.h - what changed in the kernel, as a pollable descriptor
 *
 * One socket hears links, addresses, routes, rules, neighbours, FDB and qdiscs of the context's
 * namespace and of every namespace that has an id in it (NETLINK_LISTEN_ALL_NSID; the far end of a
 * veth gets one by itself); a second one hears nf_tables.  Events are hints: read the kernel again
 * before acting on one.
 */
#ifndef PODNET_MONITOR_H
#define PODNET_MONITOR_H

#include <podnet/context.h>
#include <podnet/ip.h>
#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

enum podnet_event_type {
	PODNET_EVENT_LINK,
	PODNET_EVENT_ADDR,
	PODNET_EVENT_ROUTE,
	PODNET_EVENT_RULE,
	PODNET_EVENT_NEIGH,
	PODNET_EVENT_FDB,           /* of a VXLAN device; never told as ours, for the kernel does not say */
	PODNET_EVENT_QDISC,
	PODNET_EVENT_NFT,           /* somebody committed; @table is set when it was about our table */
	PODNET_EVENT_FORWARDING,    /* net.ipv4.ip_forward or net.ipv6.conf.all.forwarding was set */
	PODNET_EVENT_OVERRUN,       /* events were lost (ENOBUFS): everything may have changed */
};

/** One event.  Borrowed for the callback; what the kernel did not say is zero. */
struct podnet_event {
	enum podnet_event_type type;
	bool        deleted;        /* RTM_DEL*; else made or changed */
	bool        ours;           /* caused by a socket of this context */
	int32_t     nsid;           /* id of the namespace as seen from ours, -1: ours itself */
	uint32_t    index;          /* ifindex, or 0 */
	char        link[PODNET_IFNAME_SIZE];   /* LINK: name */
	const char *alias;          /* LINK: ifalias or "" */
	uint32_t    flags;          /* LINK: IFF_*; NEIGH, FDB: NUD_* state */
	uint32_t    mtu;            /* LINK */
	uint32_t    master;         /* LINK: ifindex */
	int32_t     peer_nsid;      /* LINK: id of the other end's namespace, -1: the same, or not said */
	struct podnet_prefix prefix;    /* ADDR, ROUTE (destination), NEIGH, FDB (destination) */
	uint32_t    table;          /* ROUTE: table id; NFT: 1 when it is our table */
	uint8_t     protocol;       /* ROUTE, ADDR, RULE, NEIGH */
	uint8_t     mac[6];         /* FDB */
};

struct podnet_monitor;

/**
 * podnet_monitor_open() - start to listen.  @ctx must outlive the monitor.
 *
 * The context's namespace gets an id in itself, if it has none and the caller may give it one
 * (CAP_NET_ADMIN): events carry it, and it would come unasked later.
 */
PODNET_API int podnet_monitor_open(struct podnet *ctx, struct podnet_monitor **ret,
				   struct podnet_error *err);
PODNET_API void podnet_monitor_close(struct podnet_monitor *mon);
/** podnet_monitor_fd() - readable when events wait (an epoll(7) descriptor over the sockets) */
PODNET_API int podnet_monitor_fd(const struct podnet_monitor *mon);
/**
 * podnet_monitor_read() - deliver what waits, never block
 *
 * Return: number of events delivered, or a negative errno.
 */
PODNET_API int podnet_monitor_read(struct podnet_monitor *mon,
				   void (*each)(const struct podnet_event *ev, void *arg),
				   void *arg, struct podnet_error *err);
/**
 * podnet_nsid() - the id of a namespace as seen from the context's, given one if it has none
 *
 * Return: the id (0 or more) or a negative errno.  Source: RTM_NEWNSID, RTM_GETNSID.
 */
PODNET_API int podnet_nsid(struct podnet *ctx, const char *netns, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
