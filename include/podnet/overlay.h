/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/overlay.h - carry IP packets of a TUN device to other nodes in UDP datagrams
 *
 * A forwarder joins the queues of one TUN device to as many UDP sockets.  A packet that the kernel
 * routes to the device goes to the peer that has its destination, by the longest prefix; a datagram
 * of a peer becomes a packet of the device.  A datagram holds one IP packet, bare or behind the
 * 4 bytes of struct tun_pi, so that `socat TUN:...,iff-no-pi UDP:...` or `socat TUN:... UDP:...`
 * can be the other end.
 *
 * What is not right is dropped and counted: a datagram that does not come from a peer's address and
 * port, that is no whole IP packet, whose inner source is not the peer's, or whose inner destination
 * is not ours; a packet of the device that no peer has, or whose source is not ours.
 *
 * A device with IFF_VNET_HDR hands over, and takes, TCP and UDP in pieces of up to 64 KiB
 * (TUNSETOFFLOAD): they are cut into datagrams of the size that the sender asked for with their
 * checksums finished, and sent as few calls (UDP_SEGMENT); what arrives (UDP_GRO) is checked and
 * joined again where that changes nothing that the receiver could see.  It all happens on one node,
 * so whatever the other end does, what is on the wire is plain.  Without IFF_VNET_HDR packets are
 * carried one by one.
 *
 * Two ends that both have a fast path (podnet_overlay_fastpath_open()) and are told so of each other
 * need no program: the kernel puts the same datagrams around the packets, and takes them off, itself,
 * in pieces of up to 64 KiB as far as links carry them.  What it is not sure of, and what is to be
 * dropped, comes here as ever.
 *
 * No thread is made here.  Each queue is served by one thread of the caller's, by
 * podnet_overlay_run(), or by podnet_overlay_turn() whenever podnet_overlay_fd() is readable; all
 * other calls may come from any thread at any time, but for podnet_overlay_close(), which comes
 * when no queue is being served.  None of them needs a right of its own.
 *
 * Source: Linux drivers/net/tun.c, include/uapi/linux/virtio_net.h; udp(7); bpf(2); RFC 791, 8200, 9293.
 */
#ifndef PODNET_OVERLAY_H
#define PODNET_OVERLAY_H

#include <podnet/error.h>
#include <podnet/ip.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_OVERLAY_QUEUES_MAX 64

enum podnet_overlay_framing {
	PODNET_OVERLAY_RAW,         /* the IP packet: socat's iff-no-pi */
	PODNET_OVERLAY_PI,          /* flags 0 and the EtherType ahead of it: socat's default */
	/*
	 * RAW for a peer that has a fast path; where this end has one too the kernel carries what it
	 * can.  Of a peer that has none this must not be said: pieces may reach it whole, with
	 * checksums that are still to be filled in.
	 */
	PODNET_OVERLAY_FASTPATH,
};

/* Descriptors of a fast path */
#define PODNET_OVERLAY_FASTPATH_FDS 4

struct podnet_overlay;

/** What a forwarder joins.  Zeroed members mean what they say. */
struct podnet_overlay_spec {
	/* queues of one TUN device (IFF_TUN, IFF_NO_PI; several: IFF_MULTI_QUEUE) */
	const int *tun;
	/* bound UDP sockets of one address and port, as many (several: SO_REUSEPORT) */
	const int *udp;
	unsigned int queues;        /* 1..PODNET_OVERLAY_QUEUES_MAX */
	/* what may be sent from here and is taken here; none: all that no peer has by more than "/0" */
	const struct podnet_prefix *local;
	size_t nlocal;
	/* microseconds that podnet_overlay_run() goes on looking, after there was work, before it sleeps */
	uint32_t busy_us;
	bool plain;                 /* packets one by one, whatever the device could do */
	/* PODNET_OVERLAY_FASTPATH_FDS of podnet_overlay_fastpath_open(); NULL: all goes through here */
	const int *fastpath;
};

/** Another node.  Its address and port are its name. */
struct podnet_overlay_peer {
	struct podnet_prefix address;   /* of its datagrams; the length is ignored */
	uint16_t port;              /* host order, 1..65535 */
	enum podnet_overlay_framing framing;
	/* what is behind it: sent to it, and all that it may send from */
	const struct podnet_prefix *prefixes;
	size_t nprefixes;
};

/**
 * Packets as they are on the wire, and bytes of them, without what is around them.  Of a piece that
 * the kernel carried whole they are reckoned from its length.
 */
struct podnet_overlay_peer_stats {
	uint64_t in_packets, in_bytes;
	uint64_t out_packets, out_bytes;
	uint64_t in_dropped;        /* came from it, for whatever reason */
	uint64_t out_dropped;       /* were for it, and its socket did not take them */
};

/** Why something was dropped.  In: of the socket; out: of the device. */
enum podnet_overlay_drop {
	PODNET_OVERLAY_IN_STRANGER,     /* from nobody we know */
	PODNET_OVERLAY_IN_MALFORMED,    /* no whole IP packet, or other framing */
	PODNET_OVERLAY_IN_SOURCE,       /* inner source not the peer's */
	PODNET_OVERLAY_IN_DESTINATION,  /* inner destination not ours */
	PODNET_OVERLAY_IN_REFUSED,      /* the device did not take it: it is down, say */
	PODNET_OVERLAY_OUT_MALFORMED,
	PODNET_OVERLAY_OUT_SOURCE,      /* not ours */
	PODNET_OVERLAY_OUT_NO_PEER,     /* nobody has the destination */
	PODNET_OVERLAY_OUT_REFUSED,     /* the socket did not take it: no route to the peer, say */
	PODNET_OVERLAY_DROPS            /* how many there are */
};

struct podnet_overlay_stats {
	uint64_t dropped[PODNET_OVERLAY_DROPS];     /* packets; a piece of up to 64 KiB is one */
};

/** podnet_overlay_drop_name() - "in_stranger" and the like; static text, NULL: no such reason */
PODNET_API const char *podnet_overlay_drop_name(enum podnet_overlay_drop why);

/**
 * podnet_overlay_underlay() - the device that has an address
 *
 * In the network namespace of the caller; needs no right.
 * Return: its index, -EADDRNOTAVAIL: none has it, or what getifaddrs(3) said.
 */
PODNET_API int podnet_overlay_underlay(const struct podnet_prefix *address);

/**
 * podnet_overlay_fastpath_open() - let the kernel carry between a device and its peers
 * @tun: a queue of the device
 * @udp: a socket, bound to the address and port that the peers know; stays the caller's, as @tun does
 * @ret: to be given to podnet_overlay_open(), or closed; with them the fast path goes
 *
 * Two programs (tcx: Linux 6.6) are linked to the TUN device and to the Ethernet device that has the
 * socket's address, in the network namespace of the caller; other programs there go on, those behind
 * see what these leave.  What the kernel carries passes by the netfilter hooks of the outer packets,
 * not of the inner ones, and routes that are found by the device that packets come from are those of
 * the TUN device; while its forwarding is off, nothing is carried so.
 * Needs CAP_BPF and CAP_NET_ADMIN; who is given the descriptors needs neither.
 * Return: 0; -EOPNOTSUPP: this kernel or the underlay's device has no place for it; -EADDRNOTAVAIL: no
 * device has the socket's address (a socket that is bound to none among them); -EPERM, -ENOMEM, or
 * what bpf(2) said.
 */
PODNET_API int podnet_overlay_fastpath_open(int tun, int udp, int ret[PODNET_OVERLAY_FASTPATH_FDS],
					    struct podnet_error *err);

/**
 * podnet_overlay_open() - join a device to its sockets, without any peer
 * @spec: copied, but for the descriptors
 * @ret:  to be closed by podnet_overlay_close()
 *
 * On success the descriptors are the handle's; they are made non-blocking, and the device's
 * offloads, which are all its queues', are set.  On failure they stay the caller's.
 * Return: 0, -EINVAL (@err->field names the member: no TUN device without packet information, no
 * UDP socket, ...), -ENOMEM, or what ioctl(2), setsockopt(2) said.
 */
PODNET_API int podnet_overlay_open(const struct podnet_overlay_spec *spec,
				   struct podnet_overlay **ret, struct podnet_error *err);
/** podnet_overlay_close() - with its descriptors; NULL is fine */
PODNET_API void podnet_overlay_close(struct podnet_overlay *ov);

/**
 * podnet_overlay_peer_put() - add a peer, or replace the one of this address and port
 * @peer: copied
 *
 * Idempotent; the counters of one that is replaced go on.  Packets that are under way are treated
 * as before or as after, those that come when it has returned as after.  Of two peers with the same
 * prefix the one that was put last has it.
 * Return: 0, -EINVAL (@err->field names the member), -ENOMEM.  A fast path that cannot be told is given
 * up: all packets come here then.
 */
PODNET_API int podnet_overlay_peer_put(struct podnet_overlay *ov,
				       const struct podnet_overlay_peer *peer,
				       struct podnet_error *err);
/** podnet_overlay_peer_delete() - 0, or -ENOENT: there is none of this address and port */
PODNET_API int podnet_overlay_peer_delete(struct podnet_overlay *ov,
					  const struct podnet_prefix *address, uint16_t port);
/** podnet_overlay_local() - other prefixes in place of spec.local; copied.  0, -EINVAL, -ENOMEM */
PODNET_API int podnet_overlay_local(struct podnet_overlay *ov, const struct podnet_prefix *local,
				    size_t nlocal, struct podnet_error *err);

/**
 * podnet_overlay_run() - serve a queue until podnet_overlay_stop()
 * @queue: 0 to spec.queues - 1
 *
 * Sleeps while there is nothing to do.  Return: 0, or a negative errno when the device is gone.
 */
PODNET_API int podnet_overlay_run(struct podnet_overlay *ov, unsigned int queue,
				  struct podnet_error *err);
/**
 * podnet_overlay_fastpath_underlay() - where the fast path takes what peers send
 *
 * Return: index of the device, or 0: there is no fast path, or it was given up, or its device is gone; with
 * another handle there may be another one.
 */
PODNET_API int podnet_overlay_fastpath_underlay(const struct podnet_overlay *ov);

/** podnet_overlay_stop() - each podnet_overlay_run(), also one that comes later, returns soon */
PODNET_API void podnet_overlay_stop(struct podnet_overlay *ov);

/** podnet_overlay_fd() - of a queue: an epoll(7) descriptor, readable when there is work */
PODNET_API int podnet_overlay_fd(const struct podnet_overlay *ov, unsigned int queue);
/**
 * podnet_overlay_turn() - do a bounded share of a queue's work
 *
 * Waits for nothing, except up to 10 ms for room in a socket that is full.
 * Return: 1: there may be more; 0: there was nothing; a negative errno: the device is gone.
 */
PODNET_API int podnet_overlay_turn(struct podnet_overlay *ov, unsigned int queue);

/** podnet_overlay_peer_stats() - 0, or -ENOENT */
PODNET_API int podnet_overlay_peer_stats(struct podnet_overlay *ov,
					 const struct podnet_prefix *address, uint16_t port,
					 struct podnet_overlay_peer_stats *ret);
PODNET_API void podnet_overlay_stats(struct podnet_overlay *ov, struct podnet_overlay_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
