/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster.h - the nodes of the benchmark "cluster", by raw netlink
 *
 * Room: tests/bench; libmnl and the kernel's headers, nothing of libpodnet.
 */
#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include "bench.h"

/** cluster_texts() - of the @i-th other node: its address, and its blocks; 64 bytes each */
void cluster_texts(unsigned i, char *address, char *v4, char *v6);

struct mnl_socket;
/** cluster_socket() - of a netlink bus, bound to groups, in a namespace; -1: a new one */
struct mnl_socket *cluster_socket(int netns, int bus, unsigned groups);

/** What of paths is in a node's kernel. */
struct cluster_count {
	unsigned routes;            /* IPv4 and IPv6, of our protocol, by a gateway */
	unsigned fdb;               /* with a destination */
	unsigned neighbours;        /* permanent, on the tunnel */
};
/** cluster_many() - some netds that share a real etcd; what is wrong is told and counted */
unsigned cluster_many(const struct bench *b);

struct cluster_eye;
struct cluster_eye *cluster_eye_open(int netns);
void cluster_eye_close(struct cluster_eye *eye);
struct cluster_count cluster_count(struct cluster_eye *eye);
/** cluster_drain() - what was told before is not of interest */
void cluster_drain(struct cluster_eye *eye);
/** cluster_await() - until the routes of both blocks of the @i-th node are told */
void cluster_await(struct cluster_eye *eye, unsigned i);

/** cluster_raw() - all that leads to @n nodes, in a new namespace with a tunnel.  Return: ms */
double cluster_raw(unsigned n);
struct raw;
/** raw_open() - such a namespace with @n nodes in it, for raw_one(): one more, which stays */
struct raw *raw_open(unsigned n);
double raw_one(struct raw *r, unsigned i);
void raw_close(struct raw *r);

#endif
