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
 *
 * A tunnel is named by its device, in the bytes of `to`.  It is declared whole each time: TUNNEL,
 * with its queues where they are new, and perhaps a fast path, PEER for each peer, READY behind the last; then what was not
 * said again has gone.  Prefixes stand behind the message, n of them.  What it has counted is told
 * for COUNT: COUNTS packets, each an array of struct fwd_counts.
 */
#ifndef NETD_FWD_WIRE_H
#define NETD_FWD_WIRE_H

#include <stdint.h>

#define FWD_SOCKET  "fwd.sock"  /* in the run directory */
#define FWD_VERSION 3
#define FWD_BATCH   64          /* messages of a packet */

enum fwd_type {
	FWD_HELLO = 1,              /* n is FWD_VERSION */
	FWD_HELD, FWD_DONE,
	FWD_PUT,                    /* hold the socket that comes along, bound at `at` */
	FWD_AIM,                    /* of one that is held: another `to` */
	FWD_DROP,                   /* close it, and its connections */
	FWD_END,                    /* close all, and exit */
	FWD_LOST,                   /* `at` is not held */
	/* ours is `at`, behind it are the prefixes; with `to.protocol` times device and socket, and
	   FWD_FASTPATH descriptors of a fast path (podnet/overlay.h) or none */
	FWD_TUNNEL,
	FWD_TUNNEL_PEER,            /* at `at` */
	FWD_TUNNEL_READY,
	FWD_TUNNEL_DROP,
	/* as HELD, and when its fast path was given up; n: index of that one's device, 0: it has none,
	   FWD_NOWHERE: the device is gone */
	FWD_TUNNEL_HELD,
	FWD_TUNNEL_LOST,            /* is not carried, or no more: its device is gone */
	FWD_COUNT, FWD_COUNTS,
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

/* ---- tunnels ---- */

#define FWD_NAME_SIZE 16        /* of a device, with its NUL; the bytes of `to` */
#define FWD_QUEUES    8
#define FWD_FASTPATH  4         /* PODNET_OVERLAY_FASTPATH_FDS */
#define FWD_NOWHERE   UINT32_MAX
#define FWD_FDS       (2 * FWD_QUEUES + FWD_FASTPATH)
#define FWD_PREFIXES  1024      /* of one message */

struct fwd_prefix {
	uint8_t family, len;
	uint8_t addr[16];
};

/** FWD_TUNNEL_PEER: `to.protocol` */
enum fwd_framing { FWD_RAW, FWD_PI, FWD_FAST };

/** What stands in `v` for a peer; its address is msg.at.  Of family 0: what was dropped, by reason. */
enum fwd_count {
	FWD_IN_PACKETS, FWD_IN_BYTES, FWD_OUT_PACKETS, FWD_OUT_BYTES, FWD_IN_DROPPED, FWD_OUT_DROPPED,
};
#define FWD_REASONS 9
struct fwd_counts {
	struct fwd_msg msg;         /* n: 0, or 1 for the last one of all */
	uint64_t v[FWD_REASONS];
};
#define FWD_COUNTS_BATCH 16

#endif
