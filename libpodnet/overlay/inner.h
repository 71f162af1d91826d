/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the overlay room share
 *
 * Room: podnet/overlay.h.  No netlink, no file is opened here.  May include: libpodnet/base,
 * include/podnet, linux/.
 *
 *   files    wire.c    an IP packet looked at, framing, checksums
 *            peers.c   who has an address, who sends from a socket address; pure
 *            segment.c a piece of the device -> datagrams; pure
 *            merge.c   packets of a peer -> pieces for the device; pure but for handing them on
 *            out.c     device to socket      in.c    socket to device
 *            overlay.c the handle, its queues and their threads
 *            fastpath*.c  what the kernel carries by itself, between two ends that let it
 */
#ifndef PN_OVERLAY_INNER_H
#define PN_OVERLAY_INNER_H

#include <libpodnet/base/base.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <podnet/overlay.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4   /* headers of Linux before 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define PIECE_MAX   65535u          /* of an IP packet; more is none */
#define PI_SIZE     4u
/* struct virtio_net_hdr and what stands ahead of a datagram; the packet itself is aligned */
#define HEAD_ROOM   16u

/* ---- wire.c ---- */

/** An address as two numbers; IPv4 in the lower half. */
struct addr {
	uint64_t hi, lo;
};

/** An IP packet, whole. */
struct packet {
	uint8_t *ip;
	uint32_t len;               /* as its header says */
	uint8_t version;            /* 4 or 6 */
	uint8_t protocol;           /* behind the IP header; 0: a fragment, or a header we pass by */
	uint16_t l4, data;          /* offsets: transport header and payload; data 0: neither TCP nor UDP */
	struct addr src, dst;
};

/** pn_packet_look() - false: @len bytes at @ip are no whole IP packet; what is behind one is left out */
bool pn_packet_look(uint8_t *ip, size_t len, struct packet *ret);
/** pn_sum_add() - to a ones' complement sum, as of RFC 1071; @p begins at an even offset of the data */
uint64_t pn_sum_add(uint64_t sum, const uint8_t *p, size_t len);
/** pn_sum_copy() - the same, and the bytes to @to, read once */
uint64_t pn_sum_copy(uint64_t sum, uint8_t *to, const uint8_t *p, size_t len);
/** pn_sum_fold() - to 16 bits, not complemented, in the order of memory */
uint16_t pn_sum_fold(uint64_t sum);
/** pn_sum_pseudo() - of the addresses, @protocol and @len bytes of transport */
uint64_t pn_sum_pseudo(const struct packet *p, uint8_t protocol, uint32_t len);
/** pn_ip_finish() - @len bytes from @ip on: the header's length field, and IPv4's checksum */
void pn_ip_finish(uint8_t *ip, uint8_t version, uint16_t header, uint32_t len);
/** pn_framing_put() - what stands ahead of the packet: bytes, in @pi */
size_t pn_framing_put(enum podnet_overlay_framing framing, uint8_t version, uint8_t pi[PI_SIZE]);
/** pn_framing_take() - how many bytes to skip; negative: that is not how this peer sends */
int pn_framing_take(enum podnet_overlay_framing framing, const uint8_t *data, size_t len);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}
static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

/* ---- peers.c ---- */

struct peer {
	atomic_uint refs;
	struct sockaddr_storage at;
	socklen_t at_len;
	enum podnet_overlay_framing framing;
	struct podnet_prefix *prefixes;
	size_t nprefixes;
	uint64_t order;             /* a later one has a prefix that both have */
	struct counters {
		atomic_ulong in_packets, in_bytes, out_packets, out_bytes, in_dropped, out_dropped;
		atomic_uint refs;
		uint32_t index;     /* of those of the fast path; 0: none */
	} *counters;                /* of all that were at this address */
};

/** Who has which addresses: ranges that follow each other, each to the next one's start. */
struct ranges {
	struct range { struct addr from; void *owner; } *v;
	size_t n, cap;
};

/** What a queue works with: never changed once it is made. */
struct table {
	atomic_uint refs;
	uint64_t version;
	struct ranges peers[2], local[2];   /* IPv4, IPv6 */
	bool others;                /* `local` is not what is ours, but what is not */
	struct peer **by_source;    /* open addressing, a power of two; each holds a reference */
	size_t nslots, npeers;
};

struct addr pn_prefix_addr(const struct podnet_prefix *p);
/** pn_ranges_make() - 0 or -ENOMEM; @owners NULL: of each one the prefix itself */
struct range_source {
	const struct podnet_prefix *prefix;
	void *owner;
	uint64_t order;
};
int pn_ranges_make(struct range_source *v, size_t n, struct ranges ret[2]);
void pn_ranges_fini(struct ranges r[2]);
/** pn_ranges_find() - the owner of the longest prefix that holds @a, or NULL */
void *pn_ranges_find(const struct ranges *r, struct addr a);

struct peer *pn_peer_make(const struct podnet_overlay_peer *spec, struct peer *before);
void pn_peer_unref(struct peer *p);
/** pn_peer_at() - does @p send from there? */
bool pn_peer_at(const struct peer *p, const struct sockaddr_storage *at);
int pn_socket_address(const struct podnet_prefix *address, uint16_t port, struct sockaddr_storage *ret,
		   socklen_t *len);

struct table *pn_table_make(struct peer *const *peers, size_t npeers, const struct podnet_prefix *local,
			 size_t nlocal);
void pn_table_unref(struct table *t);
struct peer *pn_table_source(const struct table *t, const struct sockaddr_storage *at);

static inline struct peer *pn_table_owner(const struct table *t, uint8_t version, struct addr a)
{
	return pn_ranges_find(&t->peers[version == 6], a);
}
static inline bool pn_table_local(const struct table *t, uint8_t version, struct addr a)
{
	return !pn_ranges_find(&t->local[version == 6], a) == t->others;
}

/* ---- segment.c ---- */

#define DATAGRAMS   256u            /* that wait to be sent, at most */
#define HEAD_MAX    512u            /* of one datagram: framing and all headers */
#define CUT_ROOM    (68u * 1024)    /* what a piece is when it is cut, unless its datagrams are tiny */
#define CUT_SIZE    (4 * CUT_ROOM)

struct datagram {
	struct peer *peer;
	uint8_t *at;
	uint32_t len;
};

/** What goes to the socket next; packets that were not cut lie in the queue's buffer until it is sent. */
struct out {
	struct datagram v[DATAGRAMS];
	size_t n;
	uint8_t cut[CUT_SIZE];      /* those that were, one behind the other */
	size_t ncut;                /* bytes */
};

/**
 * pn_segment() - @p, as the device gave it with @vnet, to datagrams for @peer
 * @flush: called when @o is full, empties it
 *
 * HEAD_ROOM bytes ahead of the packet are ours.  The packet is written to; if @vnet names a kind of
 * GSO it is not needed any more.
 * Return: how many datagrams, or -EINVAL: what @vnet says cannot be.
 */
int pn_segment(struct out *o, const struct virtio_net_hdr *vnet, struct packet *p, struct peer *peer,
	    void (*flush)(void *arg), void *arg);

/* ---- merge.c ---- */

#define MERGE_MAX   64u             /* packets of a piece; also UDP_MAX_SEGMENTS of older kernels */
#define PIECE_IOV   3               /* vnet, the first packet, payload of the others if there are any */

/** The piece that is being made of what comes from one peer. */
struct merge {
	struct virtio_net_hdr vnet;
	struct packet first;        /* where it came */
	uint8_t *room;              /* PIECE_MAX bytes; payload of the others, one behind the other */
	uint32_t packets;           /* 0: there is nothing */
	uint32_t len;               /* of the packet that it makes */
	uint16_t size;              /* payload of each but the last; 0: nothing can follow */
	uint16_t last_id;
	bool sealed;                /* nothing can follow any more */
	bool tcp, udp;              /* what may be joined */
	int (*write)(void *arg, const struct iovec *iov, size_t niov);
	void *arg;
	uint32_t refused;           /* packets that @write did not take */
};

/** pn_merge_add() - the packet goes on with what is there, or that is handed on; a first one must stay there */
void pn_merge_add(struct merge *m, const struct packet *p);
/** pn_merge_flush() - hand on what is there */
void pn_merge_flush(struct merge *m);

/* ---- overlay.c ---- */

#define MESSAGES    32u             /* received in one call */
#define ARENA       (4u * 65536u)   /* packets of the device that wait to be sent */

struct queue {
	struct podnet_overlay *ov;
	int tun, udp, epoll;
	bool vnet;                  /* a struct virtio_net_hdr is ahead of each packet */
	bool gso;                   /* the socket takes UDP_SEGMENT */
	struct table *table;
	struct out out;
	uint8_t *arena;             /* ARENA */
	struct merge merge;
	uint8_t *messages;          /* MESSAGES of MESSAGE_SIZE */
	struct incoming *incoming;
	atomic_ulong dropped[PODNET_OVERLAY_DROPS];
};

static inline void drop(struct queue *q, enum podnet_overlay_drop why, unsigned long n)
{
	atomic_fetch_add_explicit(&q->dropped[why], n, memory_order_relaxed);
}
static inline void count(atomic_ulong *counter, unsigned long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/**
 * pn_refresh() - a table of the list as it is now; nothing may point into the old one
 *
 * Called behind a read: who has changed the list and sends then is treated by the new one.
 */
void pn_refresh(struct queue *q);

/* ---- in.c, out.c: 1: there was something; 0: nothing; negative: the device is gone ---- */

int pn_incoming_new(struct incoming **ret, uint8_t *messages);
int pn_queue_in(struct queue *q);
/** pn_queue_take() - @len bytes from @from, datagrams of @part each; pn_merge_flush() comes behind the last */
void pn_queue_take(struct queue *q, const struct sockaddr_storage *from, uint8_t *data, size_t len, size_t part);
int pn_queue_out(struct queue *q);

#define MESSAGE_SIZE (HEAD_ROOM + 65536u)

/* ---- fastpath.c ---- */

struct fastpath {
	int in, out, peers, counts; /* descriptors; -1: there is none */
	struct sockaddr_storage at; /* ours */
	uint32_t last_index;
};

union bpf_attr;
/** pn_bpf() - bpf(2), with a negative errno */
int pn_bpf(int cmd, union bpf_attr *attr, size_t size);
/** pn_fastpath_take() - 0: @fds, if there are any, are @f's; @udp: a socket of ours */
int pn_fastpath_take(struct fastpath *f, const int *fds, int udp);
void pn_fastpath_close(struct fastpath *f);
int pn_fastpath_underlay(const struct fastpath *f);
/**
 * pn_fastpath_prefix() - who has @prefix now, and whether it is ours
 * @owner: NULL: nobody
 *
 * Return: 0, or a negative errno: nothing is carried by the kernel any more.
 */
void pn_fastpath_prefix(struct fastpath *f, const struct podnet_prefix *prefix, const struct peer *owner,
		       bool local);

/* ---- fastpath_tell.c ---- */

/** What a handle knows; borrowed */
struct listed {
	struct peer *const *peers;
	size_t npeers;
	const struct podnet_prefix *local;
	size_t nlocal;
};
/** pn_fastpath_of_peer() - a peer has @v now, or had; 0, or a negative errno as pn_fastpath_prefix() */
void pn_fastpath_of_peer(struct fastpath *f, const struct listed *l, const struct podnet_prefix *v, size_t n);
/** pn_fastpath_of_us() - @v is ours now, or was */
void pn_fastpath_of_us(struct fastpath *f, const struct listed *l, const struct podnet_prefix *v, size_t n);

/* ---- fastpath.c, counters ---- */

void pn_fastpath_count_begin(struct fastpath *f, struct counters *c);
void pn_fastpath_count_end(const struct fastpath *f, const struct counters *c);
void pn_fastpath_count_add(const struct fastpath *f, const struct counters *c,
			   struct podnet_overlay_peer_stats *ret);

#endif
