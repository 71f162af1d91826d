/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heap.c - room for much that is about to be allocated
 *
 * Room: memory only.  May include: netd/base, libc.
 *
 * The C library lets the heap of a thread that is not the first grow by the page, each by a system
 * call that changes a mapping, while page faults of the other threads wait (glibc, malloc/arena.c,
 * grow_heap()).  What was given back lies free at the heap's end, and is taken from there.
 *
 * Where tens of thousands of objects are loaded, an eighth of the time goes into page faults.  There
 * huge pages are asked for; trim.c gives back by the page what was too much.
 * #syscalls: madvise brk
 */
#include <malloc.h>
#include <netd/base/base.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE   (100 * 1024)    /* less than what malloc(3) maps by itself */
#define PIECES  64              /* the heap of a thread has no more than 64 MiB anyway */
#define STEP    (8 * 1024 * 1024)
#define PAD     (128 * 1024)    /* glibc's own */
#define PAGE    4096u
#define HEAP_MAX (64u * 1024 * 1024)    /* glibc, HEAP_MAX_SIZE: the heap of a thread begins at a multiple */

static char *marked;            /* how far the first thread's heap is told of; NULL: small pages */

void heap_grow(size_t bytes)
{
	void *v[PIECES];
	size_t n = bytes / PIECE < PIECES ? bytes / PIECE : PIECES;

	for (size_t i = 0; i < n; i++)
		v[i] = malloc(PIECE);
	for (size_t i = 0; i < n; i++)
		free(v[i]);
}

/* The kernel gives a huge page only where nothing was touched before, so the heap grows by more. */
void heap_huge(void)
{
	mallopt(M_TOP_PAD, STEP);
	marked = sbrk(0);
}

void heap_grown(void)
{
	char *end = sbrk(0), *from = (char *)(((uintptr_t)marked + PAGE - 1) & ~(uintptr_t)(PAGE - 1));

	if (!marked)
		return;
	if (end > from)
		madvise(from, (size_t)(end - from), MADV_HUGEPAGE);
	marked = end;
}

void heap_huge_thread(void)
{
	void *here = malloc(1);
	uintptr_t heap = (uintptr_t)here & ~(uintptr_t)(HEAP_MAX - 1);

	if (here && (char *)here > (char *)sbrk(0))
		madvise((void *)heap, HEAP_MAX, MADV_HUGEPAGE);
	free(here);
}

void heap_small(void)
{
	mallopt(M_TOP_PAD, PAD);
	marked = NULL;
}
