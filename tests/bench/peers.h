/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.h - what others attach a container with: CNI plugins and netavark, from their packages
 *
 * Room: tests/bench.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "kernel.h"

/* Each: run as a container runtime does, IPv4 only.  Return: false: not installed, or it failed. */
bool cni_there(void);
bool netavark_there(void);
bool cni_attach(int netns, const struct place *p);
bool cni_detach(int netns, const struct place *p);
bool netavark_attach(int netns, const struct place *p);
bool netavark_detach(int netns, const struct place *p);

#endif
