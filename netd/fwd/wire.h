/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire.h - what netd and podnet-fwd say to each other
 *
 * Room: with addr.h what both sides include.  May include: libc.
 *
 * A Unix socket of packets (SOCK_SEQPACKET) at RUN-DIR/fwd.sock; podnet-fwd listens, and its user
 * and root may connect.  A packet is an array of struct fwd_msg.  netd says HELLO first, and is
 * told what is held: HELD for each, DONE behind the last.  Then it changes that, one message a
 * packet, and hears nothing more unless something could not be done: LOST.  A newer connection
 * ends an older one; what is held stays when the last one ends.
 */
#ifndef NETD_FWD_WIRE_H
#define NETD_FWD_WIRE_H

#include <stdint.h>

#define FWD_SOCKET  "fwd.sock"  /* in the run directory */
#define FWD_VERSION 1
#define FWD_BATCH   64          /* messages of a packet */

enum fwd_type {
	FWD_HELLO = 1,              /* n is FWD_VERSION */
	FWD_HELD, FWD_DONE,
	FWD_PUT,                    /* hold the socket that comes along, bound at `at` */
	FWD_AIM,                    /* of one that is held: another `to` */
	FWD_DROP,                   /* close it, and its connections */
	FWD_END,                    /* close all, and exit */
	FWD_LOST,                   /* `at` is not held */
};

/** An address and port; also the key of what is held. */
struct fwd_addr {
	uint8_t family;             /* AF_INET, AF_INET6; of `to` 0: nothing is relayed */
	uint8_t protocol;           /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t port_be;
	uint8_t addr[16];
};

struct fwd_msg {
	uint32_t type, n;
	struct fwd_addr at, to;
};

#endif
