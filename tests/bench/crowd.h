/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crowd.h - the parts of the load: paced requests, a thousand readers, and a hostile user
 *
 * Room: tests/bench.  Readers and the hostile user are processes of their own, so that what is timed
 * is netd and not the program that loads it.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "http.h"

#define CROWD_OBJECTS 50        /* that are written again and again */
#define CROWD_EVENTS "/api/v1/namespaces/default/events"

/** Requests at their time, whether or not those before were answered. */
struct pace {
	const char *socket;
	int pid;                    /* whose memory is looked at meanwhile */
	double seconds;
	unsigned writes;            /* a second */
	unsigned *serial;           /* of the next write; a write carries it, and when it was sent */
	struct series write, health;    /* result: ms from the moment it was due until its answer */
	struct memory peak;         /* result, KiB */
};
void pace_run(struct pace *p);

/** What the readers have to tell. */
struct heard {
	unsigned long long events;  /* in all */
	unsigned long long lost, doubled, disordered;
	double p50, p99;            /* ms from when a write was sent until a reader has it */
};
struct readers;
/** readers_start() - a process with @n watches; returns when all have begun */
struct readers *readers_start(const char *socket, unsigned n, unsigned first, unsigned most);
/** readers_finish() - wait until each has heard of all serials below @end, or nothing more comes */
void readers_finish(struct readers *r, unsigned end, struct heard *ret);

/** What another user does to netd. */
struct hostile {
	const char *socket;
	unsigned idle;              /* connections that say nothing */
	unsigned slow;              /* that say a byte of a header each second */
	unsigned stopped;           /* watches that are never read, and half as many lists */
};
/** hostile_start() - a process; returns when all its connections were made once */
int hostile_start(const struct hostile *h);
void hostile_stop(int pid);

#endif
