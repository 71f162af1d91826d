/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay.h - two nodes on one wire, the ways between them, and traffic
 *
 * Room: tests/bench.  Each way has two namespaces of its own, joined by a veth of MTU 1500, so that
 * all of them can stand side by side and take turns.
 */
#ifndef BENCH_OVERLAY_H
#define BENCH_OVERLAY_H

#include "bench.h"

#include <stdatomic.h>
#include <sys/types.h>

enum way {
	WAY_WIRE,                   /* the veth itself */
	WAY_DIRECT, WAY_OUR_DIRECT, /* a route by the other node's address: by ip(8), by the library */
	WAY_VXLAN, WAY_OUR_VXLAN,   /* the kernel's, static entries: by ip(8) and bridge(8), by the library */
	WAY_SOCAT,                  /* TUN and UDP, as the tutorial has it */
	WAY_ONE_BY_ONE,             /* podnet/overlay.h, a packet at a time; socat's wire format, as the next */
	WAY_OFFLOADS,               /* the same with offloads, as podnet-fwd has it */
	WAY_FASTPATH,               /* and carried by the kernel, as between two of podnet-fwd */
	WAYS
};

/** What the far node counts. */
struct arrived {
	atomic_ulong bytes, datagrams;
	atomic_ulong turns;         /* of the near node: round trips */
};

struct pair {
	enum way way;
	int near, far;              /* namespaces */
	const char *to;             /* the far node's address that goes this way */
	struct arrived *arrived;    /* shared with the server */
	pid_t server;
	bool still;                 /* who sends keeps to the first processor, who receives to the last */
	pid_t carriers[2];          /* processes that carry packets; 0: the kernel does */
};

/** pair_open() - false: this machine lacks what it takes, and said so */
bool pair_open(enum way way, bool still, struct pair *ret);
void pair_close(struct pair *p);
const char *way_name(enum way way);

/** serve() - in @p's far node, from a process of its own: sink, counter, echo */
void serve(struct pair *p);
/** measure_tcp() - Gbit/s of @streams in @ms; *@cpu_s: seconds of all processors a GB */
double measure_tcp(struct pair *p, unsigned streams, unsigned ms, double *cpu_s);
/** measure_udp() - thousands of 64-byte datagrams that arrive in a second */
double measure_udp(struct pair *p, unsigned ms);
/** measure_turns() - microseconds for a byte there and back */
double measure_turns(struct pair *p, unsigned ms);
/**
 * race() - what arrives by @pairs[0] against what arrives by @pairs[1], in turns of @ms, 4 a round
 * @streams: of TCP; 0: 64-byte datagrams
 */
double race(struct pair pairs[2], unsigned streams, unsigned rounds, unsigned ms);
/** carriers_spent() - seconds of processor that its processes have taken so far */
double carriers_spent(const struct pair *p);

void enter_netns(int netns);

/** compare_even() - tells whether @ours is as fast as @theirs: within 5% of 1, surely */
void compare_even(const struct bench *b, enum way ours, enum way theirs);

#endif
