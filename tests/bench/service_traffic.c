/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_traffic.c - packets: straight to a pod, through few services, through many, through peers
 *
 * Room: tests/bench.  Two nodes stand side by side, one with few services and one with many, and
 * take turns, each time through the last service; the ratio of a round is of neighbours in time.
 */
#include "service_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRSTS 100              /* new connections whose median is a sample */

struct side {
	struct shape s;
	struct world *w;
	struct balancer *b;
};

static int own_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("the benchmark's namespace: %s", strerror(errno));
	return fd;
}

static void back_to(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns: %s", strerror(errno));
	close(netns);
}

static double first_us(struct world *w, in_addr_t to, unsigned port)
{
	struct series v = { 0 };
	double us;

	for (unsigned i = 0; i < FIRSTS; i++) {
		us = world_first(w, to, port);
		if (us < 0)
			die("a service does not answer: %s", strerror(errno));
		series_add(&v, us);
	}
	us = series_at(&v, 0.5);
	series_fini(&v);
	return us;
}

static void side_open(struct side *side, unsigned services, unsigned endpoints)
{
	int ours = own_netns();

	side->s = (struct shape){ services, endpoints, true };
	side->w = world_open();
	world_enter(side->w);
	side->b = balancer_open();
	balancer_declare(side->b, &side->s);
	balancer_commit(side->b, NULL);
	back_to(ours);
}

static void side_close(struct side *side)
{
	balancer_close(side->b);
	world_close(side->w);
}

static in_addr_t last_ip(const struct shape *s)
{
	return service_ip(s->services - 1);
}

/* The geometric mean of @v and its 95% interval, by Student's t (1.96 for many rounds). */
static void tell_ratio(const struct bench *b, const struct shape *s, const char *what,
		       const struct series *v)
{
	static const char *const edges[] = { "lower edge", "upper edge" };
	double sum = 0, squares = 0, mean, half, edge[2];
	double n = (double)v->n, t = v->n < 30 ? 2.1 : 2.0;
	char text[160];

	for (size_t i = 0; i < v->n; i++)
		sum += log(v->v[i]);
	mean = sum / n;
	for (size_t i = 0; i < v->n; i++)
		squares += (log(v->v[i]) - mean) * (log(v->v[i]) - mean);
	half = v->n > 1 ? t * sqrt(squares / (n - 1) / n) : 0;
	edge[0] = exp(mean - half);
	edge[1] = exp(mean + half);
	tell_value(b, s, what, "ratio", exp(mean));
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s, %s of the 95%% interval", what, edges[i]);
		tell_goal(b, s, text, "ratio", edge[i], "0.9 to 1.1", edge[i] > 0.9 && edge[i] < 1.1);
	}
}

struct sample {
	double first, rate;
};

static struct sample sample(const struct bench *b, struct world *w, in_addr_t to, unsigned port)
{
	return (struct sample){ first_us(w, to, port),
				world_connections(w, to, port, b->smoke ? 20 : 200) };
}

enum { FEW, MANY, STRAIGHT, SIDES };

static void compare(const struct bench *b, struct side side[2])
{
	static const char *const names[SIDES] = { "through the last service",
		"through the last service", "straight to the pod" };
	struct series first[SIDES] = { 0 }, rate[SIDES] = { 0 }, firsts = { 0 }, rates = { 0 };
	unsigned rounds = rounds_of(b, 40, 2);
	char what[128];

	for (unsigned r = 0; r < rounds; r++) {
		struct sample got[SIDES];

		for (unsigned k = 0; k < SIDES; k++) {
			unsigned i = (r + k) % SIDES;
			bool straight = i == STRAIGHT;

			got[i] = sample(b, side[straight ? FEW : i].w,
					straight ? htonl(SERVER_IP) : last_ip(&side[i].s),
					straight ? SERVER_PORT : SERVICE_PORT);
			series_add(&first[i], got[i].first);
			series_add(&rate[i], got[i].rate);
		}
		series_add(&firsts, got[MANY].first / got[FEW].first);
		series_add(&rates, got[MANY].rate / got[FEW].rate);
	}
	for (int i = 0; i < SIDES; i++) {
		const struct shape *s = &side[i == STRAIGHT ? FEW : i].s;

		snprintf(what, sizeof(what), "first packet answered, %s", names[i]);
		tell_value(b, s, what, "us", series_at(&first[i], 0.5));
		snprintf(what, sizeof(what), "connections, %s", names[i]);
		tell_value(b, s, what, "1/s", series_at(&rate[i], 0.5));
		series_fini(&first[i]);
		series_fini(&rate[i]);
	}
	tell_ratio(b, &side[MANY].s, "first packet, against few services", &firsts);
	tell_ratio(b, &side[MANY].s, "connections a second, against few services", &rates);
	series_fini(&firsts);
	series_fini(&rates);
}

static void turns(const struct bench *b, struct side side[2])
{
	struct series ratio = { 0 }, rate[2] = { 0 };
	unsigned rounds = rounds_of(b, 20, 2), ms = b->smoke ? 20 : 150;

	for (unsigned r = 0; r < rounds; r++) {
		double straight = world_turns(side[MANY].w, htonl(SERVER_IP), SERVER_PORT, ms);
		double through = world_turns(side[MANY].w, last_ip(&side[MANY].s), SERVICE_PORT, ms);

		series_add(&rate[0], straight);
		series_add(&rate[1], through);
		series_add(&ratio, through / straight);
	}
	tell_value(b, &side[MANY].s, "round trips straight to the pod", "1/s",
		   series_at(&rate[0], 0.5));
	tell_value(b, &side[MANY].s, "round trips through the last service", "1/s",
		   series_at(&rate[1], 0.5));
	tell_value(b, &side[MANY].s, "round trips, service against straight", "ratio",
		   series_at(&ratio, 0.5));
	series_fini(&ratio);
	series_fini(&rate[0]);
	series_fini(&rate[1]);
}

/* A node without any rule: what the pods and their links can do. */
static void bare(const struct bench *b, const struct shape *s)
{
	struct world *w = world_open();
	struct sample got = sample(b, w, htonl(SERVER_IP), SERVER_PORT);

	tell_value(b, s, "first packet answered, straight, no rules at all", "us", got.first);
	tell_value(b, s, "connections, straight, no rules at all", "1/s", got.rate);
	world_close(w);
}

void traffic_rounds(const struct bench *b)
{
	struct side side[2];

	side_open(&side[FEW], 10, 1);
	side_open(&side[MANY], b->smoke ? 100 : 45000, 1);
	bare(b, &side[FEW].s);
	sample(b, side[FEW].w, last_ip(&side[FEW].s), SERVICE_PORT);       /* warm */
	compare(b, side);
	turns(b, side);
	side_close(&side[FEW]);
	side_close(&side[MANY]);
}

/* ---- kube-proxy's shapes ---- */

static void tell_peer(const struct bench *b, const struct shape *s, enum peer p, const char *what,
		      const char *unit, double value)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", peer_name(p), what);
	tell_value(b, s, text, unit, value);
}

static void peer_changes(const struct bench *b, const struct shape *s, enum peer p)
{
	unsigned rounds = s->services > 1000 ? 2 : b->smoke ? 1 : 5;
	struct series v = { 0 };

	for (unsigned i = 0; i < rounds; i++) {
		double ms = peer_endpoint(p, s, i, b->dir);

		if (ms >= 0)
			series_add(&v, ms);
	}
	if (v.n)
		tell_peer(b, s, p, "one endpoint more", "ms", series_at(&v, 0.5));
	series_fini(&v);
}

static void one_peer(const struct bench *b, const struct shape *s, enum peer p)
{
	struct shape served = { s->services, s->endpoints, true };
	struct world *w = world_open();
	double before = kernel_mib(), ms;
	struct sample got;
	int ours = own_netns();

	world_enter(w);
	ms = peer_load(p, &served, b->dir);
	tell_peer(b, s, p, "load", "ms", ms);
	if (ms >= 0) {
		tell_peer(b, s, p, "kernel memory", "MiB", kernel_mib() - before);
		got = sample(b, w, last_ip(&served), SERVICE_PORT);
		tell_peer(b, s, p, "first packet answered", "us", got.first);
		tell_peer(b, s, p, "connections", "1/s", got.rate);
		peer_changes(b, &served, p);
	}
	peer_clear(p);
	back_to(ours);
	world_close(w);
}

void peer_rounds(const struct bench *b, const struct shape *s)
{
	for (enum peer p = 0; p < PEERS; p++) {
		if (!peer_there(p, b->dir)) {
			fprintf(stderr, "services: %s: not on this machine, left out\n", peer_name(p));
			continue;
		}
		one_peer(b, s, p);
	}
}
