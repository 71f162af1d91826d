/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay_even.c - is a way that the library made as fast as the same made by hand?
 *
 * Room: tests/bench.  To tell 5% apart takes more than rounds: where the scheduler puts sender and
 * receiver alone makes a stream a third faster or slower, a connection keeps the window that it
 * found, and two ways that were made alike differ by what they share of a cache.  Here each keeps to
 * a processor of its own, ours and theirs go on and stop in turns of some milliseconds as ours,
 * theirs, theirs, ours, and both are made anew for each sample.
 */
#include "overlay.h"

#include <math.h>

#define TURNS_MS    20
#define ROUNDS      12      /* of 4 turns; with 6 what streams do by chance made the interval wider than 5% */
#define SAMPLES     36
#define STUDENT     2.03    /* t for 95% with so many samples */

static const struct {
	const char *what;
	unsigned streams;
} loads[] = {
	{ "TCP, 1 stream", 1 }, { "TCP, 4 streams", 4 }, { "64-byte UDP", 0 },
};
#define LOADS   (sizeof(loads) / sizeof(loads[0]))

/* The 95% interval of the geometric mean. */
static void tell(const struct bench *b, const char *name, const struct series *logs)
{
	double sum = 0, squares = 0, n = (double)logs->n, half;
	double edge[2];
	char what[160];

	for (size_t i = 0; i < logs->n; i++)
		sum += logs->v[i];
	for (size_t i = 0; i < logs->n; i++)
		squares += pow(logs->v[i] - sum / n, 2);
	half = STUDENT * sqrt(squares / (n - 1) / n);
	edge[0] = exp(sum / n - half);
	edge[1] = exp(sum / n + half);
	snprintf(what, sizeof(what), "%s, 95%% interval %.3f to %.3f", name, edge[0], edge[1]);
	figure_print(b, &(struct figure){ .what = what, .unit = "ratio", .value = exp(sum / n),
					  .goal = "0.95 to 1.05", .met = edge[0] > 0.95 && edge[1] < 1.05 });
}

void compare_even(const struct bench *b, enum way ours, enum way theirs)
{
	struct series logs[LOADS] = { 0 };
	unsigned samples = b->smoke ? 2 : SAMPLES;

	for (unsigned i = 0; i < samples; i++) {
		struct pair pairs[2];

		if (!pair_open(ours, true, &pairs[0]) || !pair_open(theirs, true, &pairs[1]))
			die("the kernel's own ways are not to be had");
		for (size_t k = 0; k < LOADS; k++)
			series_add(&logs[k], log(race(pairs, loads[k].streams, b->smoke ? 1 : ROUNDS, TURNS_MS)));
		pair_close(&pairs[0]);
		pair_close(&pairs[1]);
	}
	for (size_t k = 0; k < LOADS; k++) {
		char name[120];

		snprintf(name, sizeof(name), "%s against %s, %s", way_name(ours), way_name(theirs),
			 loads[k].what);
		tell(b, name, &logs[k]);
		series_fini(&logs[k]);
	}
}
