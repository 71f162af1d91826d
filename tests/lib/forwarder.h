/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * forwarder.h - what the suites of podnet/overlay.h share: devices, sockets, nodes of one switch, traffic
 */
#ifndef FORWARDER_H
#define FORWARDER_H

#include "testlib.h"

#include <podnet/overlay.h>
#include <pthread.h>
#include <sys/socket.h>

#define PORT 9000

/** make_tun() - t0, or a queue of it; @flags: IFF_TUN and the like */
int make_tun(short flags);
/** make_udp() - bound to @ip and @port (0: any), with SO_REUSEPORT */
int make_udp(const char *ip, uint16_t port);
/** socket_at() - an address as bind(2) takes it; returns its length */
socklen_t socket_at(const char *ip, uint16_t port, struct sockaddr_storage *ret);

/** internet_sum() - RFC 1071 of @len bytes and of @s, complemented */
uint16_t internet_sum(const uint8_t *p, size_t len, uint32_t s);
void put16(uint8_t *p, uint16_t v);

uint64_t dropped(struct podnet_overlay *ov, enum podnet_overlay_drop why);
/** told() - all counters, for somebody who looks at a failure; static */
const char *told(struct podnet_overlay *ov);

/* ---- nodes ---- */

#define NODES_MAX 3

/*
 * A node is a namespace with u0, a veth to the switch (br0 of the namespace that the row began in, where
 * its end is p1, p2, ...), and t0, whose forwarder nobody serves unless asked: what arrives then came by
 * the fast path.  Node 1 has 10.0.0.1 and fd01::1 on u0, 172.16.1.1 and fd00:0:0:1::1 on t0.
 */
struct node {
	int number, netns;
	int tun;                    /* the handle's, borrowed */
	struct podnet_overlay *ov;
	pthread_t thread;
	bool served;
};

struct nodes {
	int home;                   /* the switch */
	unsigned int n;
	bool six;                   /* the outer addresses are IPv6 */
	struct node v[NODES_MAX];
};

/** nodes_open() - with fast paths, and each other for peers */
void nodes_open(struct nodes *w, unsigned int n, bool six);
void nodes_close(struct nodes *w);
/** enter() - a namespace, for this thread and what it starts */
void enter(int netns);
/** sh_in() - a line for the shell in a namespace; $1: the node's number.  Fails the row if it fails. */
void sh_in(const struct node *n, const char *command);
/** open_node() - its TUN device, socket and handle; without peers */
void open_node(struct nodes *w, struct node *n, bool fast);
/** peer_of() - @of, as others know it; @nets: 2, filled */
struct podnet_overlay_peer peer_of(const struct nodes *w, const struct node *of, struct podnet_prefix *nets);
void put_node(const struct nodes *w, const struct node *at, const struct node *peer,
	      enum podnet_overlay_framing framing);
/** serve() - a thread that forwards; no second one */
void serve(struct node *n);
/** turns() - do what there is to be done, in this thread */
void turns(struct node *n);
/** outer(), inner() - addresses of a node; static, good for some calls */
const char *outer(bool six, int number);
const char *inner(bool six, int number);
struct podnet_overlay_peer_stats stats_of(const struct nodes *w, const struct node *at, const struct node *peer);

/* ---- traffic ---- */

/** udp_passes() - is a datagram of @len bytes from @a to @b there within @ms, as it was? */
bool udp_passes(const struct node *a, const char *from, const struct node *b, const char *to, size_t len, int ms);
/** udp_pieces_pass() - the same for @n of 1,000 bytes that are sent as one piece (UDP_SEGMENT) */
bool udp_pieces_pass(const struct node *a, const char *from, const struct node *b, const char *to, size_t n, int ms);
/** stream() - @bytes by TCP from @a to @b, compared; fails the row */
void stream(const struct node *a, const char *from, const struct node *b, const char *to, size_t bytes);
/** programs() - of tcx at a device of this namespace */
int programs(const char *device, bool egress);

#endif
