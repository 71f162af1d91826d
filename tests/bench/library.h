/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * library.h - attaching a pod with libpodnet, as an embedder does it
 *
 * Room: tests/bench; the public headers only.
 */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include "kernel.h"

struct library;
/** @pool: keep so many namespaces ready, 0: none */
struct library *library_open(unsigned pool);
void library_close(struct library *l);
/** library_fill() - make ready what was taken, outside of what is measured */
void library_fill(struct library *l);
/** library_give() - what an allocator gives next, which the pool makes ahead */
void library_give(struct library *l, struct place *p);
/** library_attach() - declare, plan as new, commit */
void library_attach(struct library *l, const struct place *p);
void library_detach(struct library *l, const struct place *p);
/** library_changes() - what a second plan of the same set would change: 0 when all is so */
int library_changes(struct library *l, const struct place *p);

#endif
