/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay.c - from node to node: the wire, routes, VXLAN, socat, podnet-fwd
 *
 * Room: tests/bench.  All ways stand side by side and take turns; a ratio is of two measurements of
 * one round.  Everything, both nodes and all that sends and receives, shares the processors of this
 * machine.  What is to be equal is compared in smaller turns (overlay_even.c).
 */
#include "overlay.h"

#include <math.h>

enum { STREAM, STREAMS4, DATAGRAMS, TURNS, CPU, KINDS };

static const struct { const char *what, *unit; } kinds[KINDS] = {
	{ "TCP, 1 stream", "Gbit/s" }, { "TCP, 4 streams", "Gbit/s" }, { "64-byte UDP", "kpps" },
	{ "round trip", "us" }, { "processor", "s/GB" },
};

struct results {
	bool there[WAYS];
	struct pair pairs[WAYS];
	struct series v[WAYS][KINDS];
};

static void tell(const struct bench *b, const char *what, const char *unit, double value, const char *goal,
		 bool met)
{
	figure_print(b, &(struct figure){ .what = what, .unit = unit, .value = value, .goal = goal,
					  .met = met });
}

static void measure(const struct bench *b, struct results *r, enum way way)
{
	unsigned ms = b->smoke ? 50 : 700;
	struct pair *p = &r->pairs[way];
	double cpu;

	series_add(&r->v[way][STREAM], measure_tcp(p, 1, ms, &cpu));
	series_add(&r->v[way][CPU], cpu);
	series_add(&r->v[way][STREAMS4], measure_tcp(p, 4, ms, NULL));
	series_add(&r->v[way][DATAGRAMS], measure_udp(p, ms));
	series_add(&r->v[way][TURNS], measure_turns(p, ms / 2));
}

/* Of a round in which nothing came through, as may be where there is little time, there is no ratio. */
static void tell_ratio(const struct bench *b, const struct results *r, enum way a, enum way of, int kind,
		       const char *goal, double least)
{
	const struct series *x = &r->v[a][kind], *y = &r->v[of][kind];
	double sum = 0, n = 0;
	char what[160];

	for (size_t i = 0; r->there[a] && r->there[of] && i < x->n; i++)
		if (x->v[i] > 0 && y->v[i] > 0) {
			sum += log(x->v[i] / y->v[i]);
			n++;
		}
	if (n == 0)
		return;
	sum = exp(sum / n);
	snprintf(what, sizeof(what), "%s against %s, %s", way_name(a), way_name(of), kinds[kind].what);
	tell(b, what, "ratio", sum, goal, sum >= least);
}

static void tell_all(const struct bench *b, const struct results *r)
{
	for (int way = 0; way < WAYS; way++)
		for (int kind = 0; r->there[way] && kind < KINDS; kind++) {
			char what[160];

			snprintf(what, sizeof(what), "%s: %s", way_name((enum way)way), kinds[kind].what);
			tell(b, what, kinds[kind].unit, series_at(&r->v[way][kind], 0.5), NULL, false);
		}
	/* on the wire all of them are as socat has it: one packet a datagram */
	tell_ratio(b, r, WAY_OFFLOADS, WAY_SOCAT, STREAM, "at least 6, in the wire format that socat has", 6);
	tell_ratio(b, r, WAY_OFFLOADS, WAY_SOCAT, DATAGRAMS, "at least 2.5, in the wire format that socat has", 2.5);
	tell_ratio(b, r, WAY_ONE_BY_ONE, WAY_SOCAT, STREAM, NULL, 0);
	tell_ratio(b, r, WAY_ONE_BY_ONE, WAY_SOCAT, DATAGRAMS, NULL, 0);
	tell_ratio(b, r, WAY_FASTPATH, WAY_SOCAT, STREAM, "at least 10, between two podnet-fwd", 10);
	tell_ratio(b, r, WAY_FASTPATH, WAY_SOCAT, DATAGRAMS, NULL, 0);
	tell_ratio(b, r, WAY_OFFLOADS, WAY_VXLAN, STREAM, NULL, 0);
	for (int kind = STREAM; kind < KINDS; kind++)
		tell_ratio(b, r, WAY_FASTPATH, WAY_VXLAN, kind, kind == STREAM ? "at least 0.7, between two podnet-fwd" :
			   NULL, 0.7);
}

/* Without packets: its threads sleep. */
static void tell_idle(const struct bench *b, const struct results *r, enum way way)
{
	const struct pair *p = &r->pairs[way];
	char what[160];
	double before;

	nap_ms(200);                    /* what the last measurement left under way */
	before = carriers_spent(p);
	nap_ms(b->smoke ? 50 : 2000);
	before = carriers_spent(p) - before;
	snprintf(what, sizeof(what), "%s, idle: processor", way_name(way));
	tell(b, what, "s", before, "0", before == 0);
}

static int run(const struct bench *b)
{
	static struct results r;
	unsigned rounds = rounds_of(b, 12, 1);

	for (int way = 0; way < WAYS; way++)
		r.there[way] = asked_for(b, way_name((enum way)way)) &&
			       pair_open((enum way)way, false, &r.pairs[way]);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned k = 0; k < WAYS; k++) {
			enum way way = (enum way)((k + round) % WAYS);

			if (r.there[way])
				measure(b, &r, way);
		}
	for (int way = WAY_OFFLOADS; way <= WAY_FASTPATH; way++)
		if (r.there[way])
			tell_idle(b, &r, (enum way)way);
	tell_all(b, &r);
	for (int way = 0; way < WAYS; way++)
		if (r.there[way])
			pair_close(&r.pairs[way]);
	if (r.there[WAY_OUR_DIRECT] && r.there[WAY_DIRECT])
		compare_even(b, WAY_OUR_DIRECT, WAY_DIRECT);
	if (r.there[WAY_OUR_VXLAN] && r.there[WAY_VXLAN])
		compare_even(b, WAY_OUR_VXLAN, WAY_VXLAN);
	return 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "overlay", run);
}
