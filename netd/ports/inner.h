/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the ports room share
 */
#ifndef NETD_PORTS_INNER_H
#define NETD_PORTS_INNER_H

#include <netd/fwd/addr.h>
#include <netd/ports/ports.h>

#define KEY_SIZE (2 * sizeof(struct fwd_addr) + 1)

struct hold {
	struct fwd_addr at, to;
	struct port_list *list;     /* NULL: nobody's any more */
	struct hold *next;          /* of the list */
	void *owner;
	uint16_t last;              /* of a claim; host order, 0: of one port */
	struct hold *next_claim;
	bool real, kept;
	bool has;                   /* podnet-fwd has its socket */
	bool moved;                 /* and another `to` */
	int fd;                     /* a socket that is not there yet; -1 */
	int rc;                     /* of the last try to make one */
	bool queued;
	struct hold *next_queued;
	char key[KEY_SIZE];
};

enum link_state {
	LINK_OFF, LINK_ASKED,       /* HELLO is sent, HELD is read */
	LINK_UP,
};

struct ports {
	struct ports_config conf;
	char *socket;
	struct map holds;           /* struct hold, by key */
	struct hold *claims;        /* those of many ports */
	size_t nreal;
	bool ready, whole;
	struct map tunnels;         /* struct tunnel_hold, by name */
	size_t ntunnels;            /* that are wanted */
	bool tunnels_whole;
	struct fwd_counts *counts;  /* as told last; of whatever tunnel */
	size_t ncounts, counts_cap, ntold;      /* ntold: of those that are being told */
	/* link.c */
	enum link_state state;
	int fd;
	struct loop_watch *watch;
	uint32_t events;
	struct loop_timer *redial, *retry;
	int64_t wait_ms;            /* until the next try to connect */
	uint64_t begun_us;
	bool told_off;              /* that it cannot be reached was said */
	struct hold *queue, **queue_end;
};

/* ---- holds.c ---- */

/** hold_get() - by address; @make: one of nobody's where there is none, NULL: no memory */
struct hold *hold_get(struct ports *p, const struct fwd_addr *at, bool make);
/** hold_settle() - make the socket it lacks; while the link is up, have it sent, and what changed */
void hold_settle(struct ports *p, struct hold *h);
/** holds_settle() - all of them, and tell the owners of those that came out otherwise */
void holds_settle(struct ports *p);
/** holds_parted() - podnet-fwd is gone, and what it had */
void holds_parted(struct ports *p);
void hold_remove(struct ports *p, struct hold *h);

/* ---- link.c ---- */

/** link_need() - there is something to hold: connect if we are not */
void link_need(struct ports *p);
/** link_queue() - podnet-fwd is to hear of @h */
void link_queue(struct ports *p, struct hold *h);
/** link_retry() - holds_settle() after a while */
void link_retry(struct ports *p);
/** link_kick() - a tunnel has something to be said */
void link_kick(struct ports *p);
/** link_say() - one packet with @n descriptors.  0, -EAGAIN: not now, or the connection is over */
int link_say(const struct ports *p, const void *packet, size_t len, const int *fds, size_t n);
void link_fini(struct ports *p);

/* ---- carried.c ---- */

void carried_held(struct ports *p, const struct fwd_msg *msg);
void carried_lost(struct ports *p, const struct fwd_msg *msg);
void carried_counted(struct ports *p, const struct fwd_counts *v, size_t n);
/** carried_told() - whether podnet-fwd can be reached is another thing than ports_tunnel_put() said */
void carried_told(struct ports *p);
/** carried_settle() - open what podnet-fwd lacks, and have it said */
void carried_settle(struct ports *p);
/** carried_pump() - say what is to be said.  As link_say() */
int carried_pump(struct ports *p);
void carried_parted(struct ports *p);
void carried_fini(struct ports *p);

/* ---- socket.c ---- */

/**
 * socket_make() - bound at @at; a descriptor or a negative errno
 * @relayed: podnet-fwd will listen or receive at it
 */
int socket_make(const struct fwd_addr *at, bool relayed);

#endif
