/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base.h - ground of libpodnet: cleanup by scope, errors, vectors, hashes
 *
 * Room: no netlink, no kernel but threads.  May include: include/podnet/error.h, libc.
 */
#ifndef PN_BASE_H
#define PN_BASE_H

#include <libpodnet/base/cleanup.h>
#include <podnet/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** pn_err() - fill @err (may be NULL) and return @code, so that an error is one line */
int pn_err(struct podnet_error *err, int code, const char *step, const char *field,
	   const char *kernel);
/** pn_err_why() - the same, with a static reason that is ours and not the kernel's */
int pn_err_why(struct podnet_error *err, int code, const char *step, const char *field,
	       const char *why);
/** pn_err_object() - name the object of an error that is already filled; returns err->code or 0 */
void pn_err_object(struct podnet_error *err, const char *object);

/**
 * pn_in_netns() - run @fn in a helper thread that has entered @netns_fd; joined before return
 * @netns_fd: or PN_NETNS_NEW: a new namespace, which ends with the thread unless @fn opens it
 *
 * Return: what @fn returned, or why the thread or the namespace could not be had.
 */
#define PN_NETNS_NEW (-1)
int pn_in_netns(int netns_fd, int (*fn)(void *arg), void *arg);

/** pn_hash() - 64-bit FNV-1a, for names and MACs; not for untrusted tables */
uint64_t pn_hash(const void *data, size_t len);

/*
 * Growing arrays: struct { T *v; size_t n, cap; } and pn_grow(&x), which makes room for one more
 * zeroed element.  0 or -ENOMEM.
 */
#define pn_grow(vec) \
	pn_vec_grow((void **)&(vec)->v, &(vec)->cap, (vec)->n, sizeof(*(vec)->v))
int pn_vec_grow(void **v, size_t *cap, size_t n, size_t size);

/** Items found by a hash.  Zeroed: empty.  The items are the owner's, the array is free()d by him. */
struct pn_table {
	struct pn_slot { uint64_t hash; void *item; } *v;
	size_t n, cap;
};

void *pn_table_get(const struct pn_table *t, uint64_t hash,
		   bool (*same)(const void *item, const void *key), const void *key);
/** pn_table_add() - one that is not there yet.  0 or -ENOMEM. */
int pn_table_add(struct pn_table *t, uint64_t hash, void *item);
/** pn_table_remove() - one that is there */
void pn_table_remove(struct pn_table *t, uint64_t hash, const void *item);
/** pn_table_next() - each item in some order, from *@i 0; NULL behind the last */
void *pn_table_next(const struct pn_table *t, size_t *i);

#endif
