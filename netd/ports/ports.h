/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.h - ports of the node that are published, kept from other processes and relayed
 *
 * Room: on the control loop.  May include: netd/fwd/wire.h, netd/guard, netd/base, podnet/overlay.h.
 *
 * Theory of operation.  A hold is an address and port of the node, with an owner (a pod, a
 * Service): two owners of one is a conflict, told here.  Its socket is made by netd, which may bind
 * low ports and learns at once that another process has one, and is given to podnet-fwd, when that
 * is there, which keeps it whatever becomes of netd and relays what is on the loopback.  The table here is the wish:
 * a podnet-fwd that is met, or met again, tells what it holds, and the difference is sent.
 *
 * A list of an owner is declared whole each time: ports_mark(), ports_put() for each,
 * ports_sweep().  Before netd has met podnet-fwd once, or has given up waiting for it, nothing is
 * declared (ports_ready()).
 *
 * A tunnel is the device of an overlay and the sockets it is joined to; podnet-fwd carries its packets.
 *
 *   files    holds.c    the table        link.c    the connection to podnet-fwd
 *            carried.c  tunnels
 *            socket.c   sockets made     starter.c who starts it
 */
#ifndef NETD_PORTS_H
#define NETD_PORTS_H

#include <netd/base/base.h>
#include <netd/base/loop.h>
#include <netd/fwd/wire.h>

enum ports_mode {
	PORTS_START,                /* podnet-fwd is started where it does not answer */
	PORTS_WAIT,                 /* somebody else does that */
	PORTS_NO,                   /* nothing is held, only conflicts are told */
};

struct ports;
struct ports_config {
	struct loop *loop;
	enum ports_mode mode;
	const char *socket;         /* copied */
	int starter;                /* of starter_begin(); stays the caller's; -1: none */
	bool fastpath;              /* the kernel may carry between peers that let it */
	/* what ports_put() says of one of @owner's is another thing now; @arg only takes note */
	void (*changed)(void *arg, void *owner);
	/* behind those, and when it is ready first: nothing is under way here */
	void (*settled)(void *arg);
	/* a tunnel is not carried any more, or ports_tunnel_put() would say another thing; takes note */
	void (*tunnel_changed)(void *arg, const char *name);
	void *arg;
};

struct hold;
/** The holds of one owner; zeroed. */
struct port_list {
	struct hold *first;
};

int ports_new(const struct ports_config *conf, struct ports **ret);
/** ports_free() - what podnet-fwd holds stays held.  NULL is fine. */
void ports_free(struct ports *p);
/** ports_begin() - meet podnet-fwd; @needed: start it, there will be something to hold */
void ports_begin(struct ports *p, bool needed);
bool ports_ready(const struct ports *p);

void ports_mark(struct port_list *list);
/** ports_other() - owner of another list that has this one or, to port @last, one of these */
void *ports_other(const struct ports *p, const struct port_list *list, const struct fwd_addr *at,
		  uint16_t last);
/** ports_claim() - @list has all ports from @at's to @last: nobody else of ours has, and that is all */
int ports_claim(struct ports *p, struct port_list *list, void *owner, const struct fwd_addr *at,
		uint16_t last);
/**
 * ports_put() - @list has this one
 * @real: false: only as by ports_claim()
 *
 * Return: 0; -EADDRINUSE: another process has it, or what bind(2) said, and it is tried again by
 * itself; -EEXIST: another owner has it; -ENOMEM.
 */
int ports_put(struct ports *p, struct port_list *list, void *owner, const struct fwd_addr *at,
	      const struct fwd_addr *to, bool real);
/** ports_sweep() - true: some went */
bool ports_sweep(struct ports *p, struct port_list *list);
/** ports_whole() - all owners have declared: what podnet-fwd holds of nobody's goes */
void ports_whole(struct ports *p);

/** A device that is there, or will be soon, and who is behind it.  Arrays are borrowed. */
struct ports_tunnel {
	const char *name;           /* of the device */
	struct fwd_addr at;         /* ours on the underlay */
	const struct fwd_prefix *local;         /* see podnet/overlay.h */
	size_t nlocal;
	const struct ports_tunnel_peer {
		struct fwd_addr at;
		enum fwd_framing framing;
		const struct fwd_prefix *prefixes;
		size_t nprefixes;
	} *peers;
	size_t npeers;
};
/**
 * ports_tunnel_put() - have podnet-fwd carry it, as it is said now
 *
 * Idempotent.  Return: 0; -EADDRINUSE and what else open(2), ioctl(2), bind(2) said, and it is for
 * the caller to try again; -EOPNOTSUPP: there is to be no podnet-fwd; -ENOTCONN: it has not been there
 * for a while, and tunnel_changed() will say when it is; -E2BIG, -ENOMEM.
 */
int ports_tunnel_put(struct ports *p, const struct ports_tunnel *t);
void ports_tunnel_drop(struct ports *p, const char *name);
/** ports_tunnel_fast() - has it a fast path?  tunnel_changed() says when that is another thing */
bool ports_tunnel_fast(const struct ports *p, const char *name);
/** ports_tunnels_moved() - addresses of the node may be on other devices by now */
void ports_tunnels_moved(struct ports *p);
/** ports_is_here() - may a socket of this node have the address?  The port is ignored */
bool ports_is_here(const struct fwd_addr *at);
/** ports_tunnels_whole() - all that are wanted have been put: what else podnet-fwd carries goes */
void ports_tunnels_whole(struct ports *p);
/** ports_tunnels_ask() - have the counters told */
void ports_tunnels_ask(struct ports *p);
/** ports_tunnels_each() - counters as they were told last, of peers and of drops (see wire.h) */
void ports_tunnels_each(const struct ports *p,
			void (*each)(void *arg, const char *name, const struct fwd_counts *c), void *arg);

/**
 * ports_end() - tell a podnet-fwd that listens at @socket to end, and wait until it has
 *
 * Return: 1, 0: there is none, or a negative errno.
 */
int ports_end(const char *socket);

/**
 * starter_begin() - a process that starts podnet-fwd each time it is sent a byte
 * @program: descriptor of podnet-fwd, stays the caller's; @socket, @user: its arguments
 *
 * Called when the rights have been dropped and before there are threads: netd itself may execute
 * nothing.  It ends with netd.
 * Return: a descriptor, or a negative errno.
 */
int starter_begin(int program, const char *socket, const char *user);

#endif
