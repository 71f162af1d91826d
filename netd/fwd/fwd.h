/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fwd.h - what the files of podnet-fwd share
 *
 * Room: podnet-fwd, one process; all but tunnels' packets on one thread.  May include: wire.h,
 * netd/base, netd/guard, podnet/overlay.h.
 *
 * Theory of operation.  netd keeps the wish, podnet-fwd the sockets: bound ones, made by netd, that
 * keep others from a published port, and of them those on the loopback, which it relays to a pod;
 * and the queues of tunnels, between which it carries packets.
 * It decides nothing, opens no file, and has no capability.  While netd is away, or is another one,
 * it goes on; a netd that comes asks what is held and changes what differs.
 *
 *   files    main.c   arguments, rights, the loop
 *            hold.c   what is held
 *            peer.c   netd's connection
 *            tcp.c    relayed connections       udp.c    relayed datagrams, by client
 *            tunnel.c tunnels, and their threads
 */
#ifndef NETD_FWD_H
#define NETD_FWD_H

#include <netd/base/base.h>
#include <netd/base/loop.h>
#include <netd/fwd/addr.h>
#include <podnet/overlay.h>

#define FWD_KEY_SIZE (2 * sizeof(struct fwd_addr) + 1)
#define FWD_SCRATCH  65536

struct pair;
struct session;

/** A socket that is held. */
struct hold {
	struct fwd *fwd;
	struct fwd_addr at, to;
	int fd;
	struct loop_watch *watch;   /* of what is relayed */
	struct pair *pairs;         /* TCP */
	struct map sessions;        /* UDP: struct session by client */
	char key[FWD_KEY_SIZE];
};

struct fwd {
	struct loop *loop;
	struct map holds;           /* struct hold, by key */
	struct map tunnels;         /* struct tunnel, by name */
	int door;                   /* where netd connects */
	int lock;                   /* a name: there is one podnet-fwd at a place */
	struct loop_watch *door_watch;
	struct peer {
		int fd;             /* -1: there is none */
		struct loop_watch *watch;
		bool telling;       /* what is held, from these positions of the maps on */
		size_t told, told_tunnels;
	} peer;
	bool failed;                /* to be ended with status 1 */
	int spare;                  /* a descriptor to let go when there is none left */
	uint64_t refused_at;        /* when the want of descriptors was told last */
	/* UDP sessions, least recently used first */
	struct session *oldest, *newest;
	size_t nsessions;
	struct loop_timer *expiry;
	uint8_t scratch[FWD_SCRATCH];
};

/* ---- hold.c ---- */

const char *fwd_key(const struct fwd_addr *at, char ret[FWD_KEY_SIZE]);
/** hold_put() - takes @fd, also when it fails.  0 or a negative errno */
int hold_put(struct fwd *f, const struct fwd_msg *msg, int fd);
/** hold_aim() - relay to another place from now on; connections that are there stay */
int hold_aim(struct fwd *f, const struct fwd_msg *msg);
void hold_drop(struct fwd *f, const struct fwd_addr *at);
void holds_fini(struct fwd *f);

/* ---- peer.c ---- */

int peer_listen(struct fwd *f, const char *path, char why[256]);
/** peer_say() - something that netd did not ask for; without a netd it is nothing */
void peer_say(struct fwd *f, const struct fwd_msg *msg);
void peer_fini(struct fwd *f);

/* ---- tcp.c ---- */

/** tcp_accept() - connections are waiting at @h */
void tcp_accept(void *hold, uint32_t events);
/** tcp_end() - reset all connections of @h */
void tcp_end(struct hold *h);

/* ---- udp.c ---- */

int udp_start(struct fwd *f);
void udp_receive(void *hold, uint32_t events);
/** udp_end() - forget the clients of @h */
void udp_end(struct hold *h);
void udp_stop(struct fwd *f);

/* ---- tunnel.c ---- */

/** Descriptors that came along; who takes them sets n to 0. */
struct fwd_fds {
	int v[FWD_FDS];
	size_t n;
};
/**
 * tunnel_take() - what netd says of a tunnel, with the prefixes behind it
 *
 * Return: 0, or a negative errno: it is not carried.
 */
int tunnel_take(struct fwd *f, const struct fwd_msg *msg, const struct fwd_prefix *v,
		struct fwd_fds *fds);
void tunnel_drop(struct fwd *f, const char *name);
/** tunnels_gather() - FWD_TUNNEL_HELD of those from *@pos on.  How many. */
size_t tunnels_gather(const struct fwd *f, size_t *pos, struct fwd_msg v[FWD_BATCH]);
/** tunnels_count() - all counters, to @say */
void tunnels_count(const struct fwd *f, void (*say)(void *arg, const struct fwd_counts *c), void *arg);
void tunnels_fini(struct fwd *f);

#endif
