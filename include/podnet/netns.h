/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/netns.h - network namespaces
 *
 * Wherever a spec names a namespace it is by reference, a string:
 *
 *   NULL or ""    the context's own namespace
 *   "blue"        the one pinned at <netns_dir>/blue, as ip-netns(8) does it
 *   "/proc/.."    any path that holds a slash: adopted, never unpinned by us
 *   "pid:1234"    the namespace of a process
 *   "fd:7"        a descriptor of the caller's, borrowed for the call
 *
 * A namespace carries no mark of its own, so ours are recorded under <run_dir>/netns with their
 * inode and the boot id; one without a valid record is foreign and is never deleted.
 */
#ifndef PODNET_NETNS_H
#define PODNET_NETNS_H

#include <podnet/context.h>
#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PODNET_NETNS_NAME_MAX 255

/** A namespace to make.  Zero-initialise. */
struct podnet_netns {
	const char *name;           /* 1..255 bytes, no '/', not "pid:.." or "fd:.." */
	const char *scope;          /* whose it is: recorded with it, 0..63 bytes; see plan.h */
};

/** What is known about a pinned namespace.  Borrowed for the callback. */
struct podnet_netns_info {
	const char *name;           /* file name under netns_dir */
	const char *scope;          /* as recorded, or "" */
	uint64_t    inode;          /* st_ino of the namespace: its identity while it lives */
	bool        ours;           /* recorded by this owner, and still the same namespace, or stale */
	bool        stale;          /* the name is there but no namespace is mounted on it */
};

/**
 * podnet_netns_ensure() - make and pin a namespace, lo up
 *
 * Idempotent.  A namespace of that name that is not ours is never changed, and is a conflict, as
 * in a plan; it need not be made ours to be used: any spec may refer to it by its name.
 * Return: the number of kernel changes made (0: it was so already); -EINVAL, -EEXIST (a foreign
 * one is there; @err->object names it), -EPERM (CAP_SYS_ADMIN), -ENOSPC
 * (user.max_net_namespaces).  Source: namespaces(7), ip-netns(8).
 */
PODNET_API int podnet_netns_ensure(struct podnet *ctx, const struct podnet_netns *spec,
				   struct podnet_error *err);

/**
 * podnet_netns_absent() - unpin a namespace of ours
 *
 * The kernel destroys it, and its links, in the background once no process and no descriptor
 * holds it.
 * Return: the number of changes; -EPERM with @err->field "name" when it is foreign.
 */
PODNET_API int podnet_netns_absent(struct podnet *ctx, const char *name, struct podnet_error *err);

/**
 * podnet_netns_get() - look at one
 * @ret: its name is the caller's, its scope is good until the next call with @ctx
 *
 * Return: 0 or -ENOENT.
 */
PODNET_API int podnet_netns_get(struct podnet *ctx, const char *name, struct podnet_netns_info *ret,
				struct podnet_error *err);

/**
 * podnet_netns_list() - every name under netns_dir, ours and foreign
 * @each: stops the listing by a non-zero return, which is then returned
 */
PODNET_API int podnet_netns_list(struct podnet *ctx,
				 int (*each)(const struct podnet_netns_info *info, void *arg),
				 void *arg, struct podnet_error *err);

/**
 * podnet_netns_open() - a descriptor of a namespace, CLOEXEC, for setns(2); the caller closes it
 * @netns: a reference
 *
 * Return: the descriptor, -ENOENT, -EINVAL (not a network namespace).
 */
PODNET_API int podnet_netns_open(struct podnet *ctx, const char *netns, struct podnet_error *err);

/**
 * podnet_netns_pin() - give a namespace that exists a name under netns_dir, and record it as ours
 * @netns: a reference, commonly "fd:N" or "pid:N"
 *
 * Return: 1, 0 (the same namespace is pinned there already), -EEXIST (another one is).
 */
PODNET_API int podnet_netns_pin(struct podnet *ctx, const char *netns,
				const struct podnet_netns *spec, struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
