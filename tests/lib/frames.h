/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frames.h - the end of a wire in the test's own hands
 *
 * Node 1 has a fast path; node 2's end of the wire is the test's, which sends from there what it likes and
 * reads what arrives.  Nobody serves node 1's forwarder until the kernel has done its part.  All runs on one
 * processor, so what has been sent before is dealt with before.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include "forwarder.h"

struct bench {
	struct nodes w;
	struct node *one;
	int wire;                   /* node 2's u0, all frames */
	int device;                 /* node 1's t0, all packets */
	int fence;                  /* node 1's u0 */
};

void bench_open(struct bench *b, bool six);
void bench_close(struct bench *b);
/** settle() - all that was sent from the wire before is where it goes to */
void settle(struct bench *b);

#define DATA 56
#define OUTER 14                /* where it begins in a frame */
#define UDP4 (OUTER + 20)
#define IN4 (UDP4 + 8)
#define UDP6 (OUTER + 40)
#define IN6 (UDP6 + 8)

void put_mac(uint8_t *at, uint8_t node);
bool is_six(const char *ip);
/** put_datagram() - an IP packet with @data bytes by UDP, which are there, checksum 0; returns its length */
size_t put_datagram(uint8_t *ip, const char *from, const char *to, uint16_t sport, uint16_t dport, size_t data);
void put_udp_sum(uint8_t *ip);

#endif
