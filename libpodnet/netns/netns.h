/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * netns.h - network namespaces, as the plan room and the context use them
 *
 * Room: references, new namespaces, pins under netns_dir and their records under run_dir.  Sends
 * nothing by netlink but "lo up".  May include: libpodnet/nl, libpodnet/base, include/podnet.
 *
 * A record is a symbolic link <run_dir>/netns/<name>, made by one system call and read by one; its
 * target is "<boot>:<inode>.<ctime>:<owner>:<scope>".  It is made before the pin and dropped after
 * it, so whatever a crash leaves of ours can be told from what is foreign.  Pins and records change
 * under a lock (flock(2) on the directory of the records).
 */
#ifndef PN_NETNS_H
#define PN_NETNS_H

#include <libpodnet/context.h>
#include <podnet/netns.h>

#define PN_SCOPE_MAX 63

/** pn_netns_name_check() - 0 or -EINVAL: 1..255 bytes, no '/', no ".", "..", "pid:*", "fd:*" */
int pn_netns_name_check(const char *name);
/** pn_netns_scope_check() - 0 or -EINVAL: NULL or 0..63 bytes, no ':' or blank */
int pn_netns_scope_check(const char *scope);

/**
 * pn_netns_resolve() - reference to descriptor
 * @ref: see podnet/netns.h
 * @fd:  receives a descriptor (CLOEXEC, the caller closes it), or -1 for the context's own
 *       namespace (NULL or "")
 *
 * Return: 0, -ENOENT, -EINVAL (not a network namespace), with @err->field "netns".
 */
int pn_netns_resolve(struct podnet *ctx, const char *ref, int *fd, struct podnet_error *err);

/**
 * pn_netns_make() - a new namespace without a name, lo down
 * @fd: receives its descriptor
 * @rt: receives a NETLINK_ROUTE socket in it (its port id is remembered as ours); may be NULL
 *
 * Both belong to the caller.  Done by a helper thread that ends before the return, so @fd holds
 * the namespace alone.  Put pn_netns_put_lo_up() into the first batch that @rt sends.
 * Return: 0, -EPERM, -ENOSPC (user.max_net_namespaces), -EAGAIN (no thread).
 */
int pn_netns_make(struct podnet *ctx, int *fd, struct nl *rt, struct podnet_error *err);
/** pn_netns_put_lo_up() - one request: lo up (ifindex 1, in every namespace) */
void pn_netns_put_lo_up(struct nl_batch *b, const void *tag);

/** pn_netns_tree() - the mount that pins @fd, made ahead.  Return: a descriptor, or -1: none. */
int pn_netns_tree(int fd);

/**
 * pn_netns_pin_fd() - bind mount @fd on <netns_dir>/@name and record it as ours
 * @tree:  from pn_netns_tree(), or -1; stays the caller's
 * @scope: recorded; NULL: ""
 *
 * What a crash left at the name (a plain file, a record) is replaced.
 * Return: 1; 0 when the same namespace is pinned there already (its record is left as it is);
 * -EEXIST when another one is.
 */
int pn_netns_pin_fd(struct podnet *ctx, int fd, int tree, const char *name, const char *scope,
		    struct podnet_error *err);

/**
 * pn_netns_unpin() - drop pin and record of a namespace of ours
 *
 * Lazy: returns at once, the kernel cleans up when nobody holds it.  Heals what a crash left.
 * Return: 1; 0 when there was nothing; -EPERM when it is foreign.
 */
int pn_netns_unpin(struct podnet *ctx, const char *name, struct podnet_error *err);

/** What is at a name. */
struct pn_netns_state {
	bool there;                 /* there is a file of that name */
	bool mounted;               /* ... and a network namespace on it */
	bool recorded;              /* there is a record of that name, of any owner, valid or not */
	bool ours;                  /* mounted, and a valid record of this owner says so */
	bool left;                  /* not mounted, but recorded by this owner: a crash left the name */
	uint64_t inode;             /* of the namespace, 0 when not mounted */
	char owner[16];             /* of the record, or "" */
	char scope[PN_SCOPE_MAX + 1];       /* of the record when it is valid or left, or "" */
};

/**
 * pn_netns_look() - two system calls, no descriptor left open
 *
 * Return: 0 (also when nothing is there: all of @ret is zero) or a negative errno.
 */
int pn_netns_look(struct podnet *ctx, const char *name, struct pn_netns_state *ret);

/**
 * pn_netns_rescope() - rewrite the record of a namespace of ours with another scope
 *
 * Return: 1, 0 (it had that scope), -EPERM (foreign), -ENOENT.
 */
int pn_netns_rescope(struct podnet *ctx, const char *name, const char *scope,
		     struct podnet_error *err);

#endif
