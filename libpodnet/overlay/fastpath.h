/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fastpath.h - what the BPF programs and who loads them both know
 *
 * Room: overlay; included by fastpath.bpf.c and fastpath.c.  May include: linux/.
 */
#ifndef PN_OVERLAY_FASTPATH_H
#define PN_OVERLAY_FASTPATH_H

#include <linux/types.h>

/* Flags of bpf_skb_adjust_room() of Linux 6.3, which Debian 12's headers do not have */
#define FASTPATH_DECAP_L3_IPV4 (1u << 7)
#define FASTPATH_DECAP_L3_IPV6 (1u << 8)

/* A constant of 64 bits in a program that is replaced when it is loaded: the mark and one of these */
#define FASTPATH_MARK 0x706f646e65740000ull
enum { FASTPATH_PEERS = 1, FASTPATH_COUNTS, FASTPATH_PORT, FASTPATH_TUN };

/** Of the trie (BPF_MAP_TYPE_LPM_TRIE); an IPv4 prefix is one of ::ffff:0:0/96. */
struct fastpath_key {
	__u32 len;
	__u8 addr[16];
};

enum {
	FASTPATH_LOCAL = 1,     /* ours */
	FASTPATH_PEER = 2,      /* of a peer that has a fast path */
	FASTPATH_SIX = 4,       /* which is reached by IPv6 */
	FASTPATH_FROM = 8,      /* of a peer whose bare packets are taken, whatever it takes */
};
struct fastpath_value {
	__u32 flags;
	__u32 index;            /* of its counters */
	/* IP and UDP header to the peer, lengths 0; IPv4's checksum field: the sum, not complemented */
	__u8 head[48] __attribute__((aligned(8)));
};

/** In and out; of all processors one each (BPF_MAP_TYPE_PERCPU_HASH). */
struct fastpath_count {
	struct { __u64 packets, bytes; } v[2];
};

#endif
