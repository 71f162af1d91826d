/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * etcd.h - a real etcd to compare with: Debian's, on loopback, its data on the disk under test
 *
 * Room: tests/bench.  Spoken to by its JSON gateway, as netd will use it: no gRPC, keys and values
 * in base64.
 */
#ifndef BENCH_ETCD_H
#define BENCH_ETCD_H

#include "http.h"

struct etcd {
	pid_t pid;
	char port[8];
	const char *value;              /* of every put: the object, borrowed */
	unsigned next;                  /* key of the next put */
	unsigned keys;                  /* of range: how many there are */
};
/** etcd_start() - false: there is no etcd on this machine */
bool etcd_start(const struct bench *b, struct etcd *ret);
void etcd_stop(struct etcd *e);

/* What a struct load asks for: POST, @arg is the struct etcd. */
void etcd_make_put(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size);
void etcd_make_get(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size);
void etcd_make_range(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size);
/** etcd_revision() - of the store now */
unsigned long etcd_revision(struct etcd *e);
/** etcd_watch() - all keys from a revision on; each line holds events as "kv" */
void etcd_watch(struct etcd *e, unsigned long revision, struct watch *ret);

#endif
