/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heap.c - room for much that is about to be allocated
 *
 * Room: memory only.  May include: netd/base, libc.
 *
 * The C library lets the heap of a thread that is not the first grow by the page, each by a system
 * call that changes a mapping, while page faults of the other threads wait (glibc, malloc/arena.c,
 * grow_heap()).  What was given back lies free at the heap's end, and is taken from there.
 */
#include <netd/base/base.h>
#include <stdlib.h>

#define PIECE   (100 * 1024)    /* less than what malloc(3) maps by itself */
#define PIECES  64              /* the heap of a thread has no more than 64 MiB anyway */

void heap_grow(size_t bytes)
{
	void *v[PIECES];
	size_t n = bytes / PIECE < PIECES ? bytes / PIECE : PIECES;

	for (size_t i = 0; i < n; i++)
		v[i] = malloc(PIECE);
	for (size_t i = 0; i < n; i++)
		free(v[i]);
}
