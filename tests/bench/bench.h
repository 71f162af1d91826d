/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench.h - what the benchmarks share: a sandbox, a clock, series of figures, lines of JSON
 *
 * Room: tests/bench.  A figure is one line of JSON on standard output.  Ratios are of things that
 * were measured in the same run, in rounds that take turns, since the speed of a machine drifts.
 * A benchmark that cannot go on says why and exits with 2; its supervisor cleans up after it.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** What a benchmark is told. */
struct bench {
	const char *name;
	const char *netd;           /* path of the daemon */
	const char *dir;            /* a fresh directory on the disk under test, removed at the end */
	unsigned rounds;            /* 0: the benchmark's own number */
	bool smoke;                 /* only show that it runs */
	const char *only;           /* overlay's: words of the ways to measure, with commas between; NULL: all */
};

/**
 * bench_main() - read the arguments and call @run inside a sandbox
 *
 * The sandbox is a network, mount and PID namespace with a tmpfs at /run; whatever is left in it
 * ends with it, also when @run is killed.
 * Return: the exit status; 77 (skipped) without root or netd.
 */
int bench_main(int argc, char **argv, const char *name, int (*run)(const struct bench *b));

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);
double ms_since(uint64_t start_ns);
void nap_ms(unsigned ms);
double rate_of(unsigned n, uint64_t start_ns);      /* things a second */
unsigned rounds_of(const struct bench *b, unsigned usual, unsigned smoke);
/** asked_for() - is a word of --only in @name?  Without --only all are asked for. */
bool asked_for(const struct bench *b, const char *name);

/** Samples of one quantity. */
struct series {
	double *v;
	size_t n, room;
};
void series_add(struct series *s, double value);
double series_at(const struct series *s, double quantile);  /* 0.5: the median; 0 when empty */
void series_fini(struct series *s);

/** One line of output. */
struct figure {
	const char *what, *unit;
	const struct series *series;    /* printed as p50 and p99; NULL: @value */
	double value;
	double floor_ratio;             /* 0: none */
	const char *peer;               /* what else it is compared with, or NULL */
	double peer_ratio;
	const char *goal;               /* NULL: none, the figure is only told */
	bool met;
};
void figure_print(const struct bench *b, const struct figure *f);

/** Memory of a process in KiB, as /proc/PID/smaps_rollup tells it. */
struct memory {
	unsigned long rss, uss;
};
struct memory memory_of(int pid);

/** Run a program and wait for it, @input on its standard input, its output thrown away. */
struct command {
	const char *const *argv;
	const char *const *env;         /* NULL: ours */
	const char *input;              /* NULL: nothing */
	int netns;                      /* descriptor of the namespace to run in, -1: ours */
};
int command_run(const struct command *cmd);     /* Return: the exit status, or 255 */
int command_start(const struct command *cmd);   /* Return: the process; the caller waits for it */

/** A durable commit of SQLite: WAL, synchronous=FULL, one row a transaction. */
struct commit;
struct commit *commit_open(const char *dir, size_t row_size);
double commit_once(struct commit *c);           /* Return: how long it took, in milliseconds */
void commit_select(struct commit *c, unsigned i);   /* read the i-th row by its key */
size_t commit_select_all(struct commit *c);     /* Return: bytes read */
void commit_close(struct commit *c);

#endif
