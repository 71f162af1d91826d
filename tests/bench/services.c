/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.c - services by number: into the kernel, changed, kept, and packets through them
 *
 * Room: tests/bench.  The floor and the library take turns, each with an empty kernel before it.
 * The kernel's part of a change is the system call that hands it over: nf_tables does all of it
 * within.  kube-proxy's shapes are loaded once at sizes where that takes less than a minute;
 * 45,000 x 1 and 5,000 x 50 are left out, for its nftables shape is quadratic (10,000: half a
 * minute).  Other work on the machine shows in everything: look at ratios.
 */
#include "service_run.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

in_addr_t service_ip(unsigned i)
{
	return htonl(0x0a600100u + i);
}

in_addr_t endpoint_of(const struct shape *s, unsigned i, unsigned k, unsigned *port)
{
	bool real = s->served && i + 1 == s->services;

	*port = SERVER_PORT + (real ? k : 0);
	return htonl(real ? SERVER_IP : 0x0af40100u + i * (s->endpoints + 1) + k);
}

bool endpoint_is_local(const struct shape *s, unsigned i, unsigned k)
{
	return (i * s->endpoints + k) % 10 == 0;
}

double kernel_mib(void)
{
	static const char *const rows[] = { "Slab:", "Percpu:", "VmallocUsed:" };
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kib, sum = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			if (strncmp(line, rows[i], strlen(rows[i])) == 0 &&
			    sscanf(line + strlen(rows[i]), "%lu", &kib) == 1)
				sum += kib;
	if (f)
		fclose(f);
	return (double)sum / 1024;
}

static void print(const struct bench *b, const struct shape *s, const char *what, struct figure *f)
{
	char text[200];

	snprintf(text, sizeof(text), "%u services x %u: %s", s->services, s->endpoints, what);
	f->what = text;
	figure_print(b, f);
}

void tell_series(const struct bench *b, const struct shape *s, const char *what,
		 const struct series *v, const char *goal, bool met)
{
	print(b, s, what, &(struct figure){ .unit = strstr(what, "RSS") ? "MiB" : "ms", .series = v,
					    .goal = goal, .met = met });
}

void tell_goal(const struct bench *b, const struct shape *s, const char *what, const char *unit,
	       double value, const char *goal, bool met)
{
	print(b, s, what, &(struct figure){ .unit = unit, .value = value, .goal = goal, .met = met });
}

void tell_value(const struct bench *b, const struct shape *s, const char *what, const char *unit,
		double value)
{
	tell_goal(b, s, what, unit, value, NULL, false);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void forget_data(const struct bench *b, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	snprintf(path, sizeof(path), "/run/%s", name);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/** The kernel's part and the whole, of one kind of change. */
struct both {
	struct series all, kernel;
};

static void both_add(struct both *to, struct took t)
{
	series_add(&to->all, t.all);
	series_add(&to->kernel, t.kernel);
}

static void both_fini(struct both *v)
{
	series_fini(&v->all);
	series_fini(&v->kernel);
}

enum { LOAD, ENDPOINT, SERVICE, AGAIN, KEPT, TABLE, KINDS };

struct sides {
	struct both floor[KINDS], ours[KINDS];
	struct series memory;
	int changes;                /* of starts with nothing changed */
};

static void floor_round(struct sides *r, const struct shape *s, unsigned n)
{
	struct raw *raw = raw_open();

	both_add(&r->floor[LOAD], raw_load(raw, s));
	for (unsigned k = 0; k < n; k++) {
		unsigned i = (unsigned)((uint64_t)k * 7919 % s->services);

		both_add(&r->floor[ENDPOINT], raw_endpoint(raw, s, i, true));
		both_add(&r->floor[ENDPOINT], raw_endpoint(raw, s, i, false));
		both_add(&r->floor[SERVICE], raw_service(raw, s, s->services + k, true));
		raw_service(raw, s, s->services + k, false);
	}
	raw_close(raw);
	raw_clear();
}

static struct took declare_and_commit(struct balancer *b, const struct shape *s, int *changes)
{
	uint64_t start = now_ns();
	struct took took;

	balancer_declare(b, s);
	took = balancer_commit(b, changes);
	took.all = ms_since(start);
	return took;
}

/* The rules and the maps, which are the same whatever the number of services: the floor has none. */
static void table_round(struct sides *r)
{
	struct balancer *b = balancer_open();

	both_add(&r->ours[TABLE], balancer_commit(b, NULL));
	balancer_close(b);
	raw_clear();
}

/* A service more is one at an address where none was: the next one has another. */
static void our_round(struct sides *r, const struct shape *s, unsigned n)
{
	double before = kernel_mib();
	struct balancer *b = balancer_open();
	int changes = 0;

	both_add(&r->ours[LOAD], declare_and_commit(b, s, NULL));
	nap_ms(60);             /* what a transaction is made of is freed behind a grace period */
	series_add(&r->memory, kernel_mib() - before);
	for (unsigned k = 0; k < n; k++) {
		unsigned i = (unsigned)((uint64_t)k * 7919 % s->services);

		both_add(&r->ours[ENDPOINT], balancer_endpoint(b, s, i, true));
		both_add(&r->ours[ENDPOINT], balancer_endpoint(b, s, i, false));
		both_add(&r->ours[SERVICE], balancer_service(b, s, s->services + k, true));
		balancer_service(b, s, s->services + k, false);
	}
	balancer_close(b);
	b = balancer_open();
	both_add(&r->ours[AGAIN], declare_and_commit(b, s, &changes));
	r->changes += changes;
	b = balancer_again(b);
	both_add(&r->ours[KEPT], declare_and_commit(b, s, &changes));
	r->changes += changes;
	balancer_close(b);
	raw_clear();
}

static void tell_kind(const struct bench *b, const struct shape *s, const struct sides *r,
		      int kind, const char *const what[3])
{
	double floor = series_at(&r->floor[kind].kernel, 0.5);
	double ours = series_at(&r->ours[kind].kernel, 0.5);

	tell_series(b, s, what[0], &r->floor[kind].kernel, NULL, false);
	print(b, s, what[1], &(struct figure){ .unit = "ms", .series = &r->ours[kind].kernel,
		.floor_ratio = ours / floor, .goal = "<= 1.5 x floor", .met = ours <= 1.5 * floor });
	print(b, s, what[2], &(struct figure){ .unit = "ms", .series = &r->ours[kind].all,
		.floor_ratio = series_at(&r->ours[kind].all, 0.5) /
			       series_at(&r->floor[kind].all, 0.5) });
}

/* What a floor with the same rules would be: its elements, and the table that has none. */
static void tell_beside_table(const struct bench *b, const struct shape *s, const struct sides *r)
{
	double table = series_at(&r->ours[TABLE].kernel, 0.5);
	double ratio = series_at(&r->ours[LOAD].kernel, 0.5) /
		       (series_at(&r->floor[LOAD].kernel, 0.5) + table);

	tell_series(b, s, "libpodnet, the table without services, kernel part",
		    &r->ours[TABLE].kernel, NULL, false);
	tell_goal(b, s, "libpodnet, load, kernel part, by the floor and the table without services",
		  "x", ratio, "<= 1.5", ratio <= 1.5);
}

static void library_rounds(const struct bench *b, const struct shape *s)
{
	static const char *const names[][3] = {
		{ "raw netlink floor, load", "libpodnet, load, kernel part",
		  "libpodnet, load, from declaring to programmed" },
		{ "raw netlink floor, one endpoint more or less",
		  "libpodnet, one endpoint more or less, kernel part",
		  "libpodnet, one endpoint more or less" },
		{ "raw netlink floor, a service more", "libpodnet, a service more, kernel part",
		  "libpodnet, a service more" },
	};
	unsigned rounds = rounds_of(b, 9, 1);
	struct sides r = { 0 };

	for (unsigned i = 0; i < rounds; i++) {
		floor_round(&r, s, b->smoke ? 2 : 40);
		our_round(&r, s, b->smoke ? 2 : 40);
		table_round(&r);
	}
	for (int kind = 0; kind < AGAIN; kind++)
		tell_kind(b, s, &r, kind, names[kind]);
	tell_beside_table(b, s, &r);
	tell_series(b, s, "libpodnet, a start with nothing changed", &r.ours[KEPT].all, "< 300 ms",
		    series_at(&r.ours[KEPT].all, 0.5) < 300);
	tell_series(b, s, "libpodnet, the same when nothing was left by the one before",
		    &r.ours[AGAIN].all, NULL, false);
	tell_goal(b, s, "libpodnet, changes that those starts made", "things", r.changes, "0",
		  r.changes == 0);
	tell_goal(b, s, "kernel memory", "MiB", series_at(&r.memory, 0.5),
		  s->services * s->endpoints == 20000 ? "< 4 MiB" : NULL,
		  series_at(&r.memory, 0.5) < 4);
	for (int kind = 0; kind < KINDS; kind++) {
		both_fini(&r.floor[kind]);
		both_fini(&r.ours[kind]);
	}
	series_fini(&r.memory);
}

static int run(const struct bench *b)
{
	static const struct shape shapes[] = {
		{ 10, 2, false }, { 1000, 2, false }, { 10000, 2, false }, { 45000, 1, false },
		{ 5000, 50, false },
	};
	static const struct shape tiny[] = { { 10, 2, false }, { 30, 5, false } };
	const struct shape *v = b->smoke ? tiny : shapes;
	size_t n = b->smoke ? sizeof(tiny) / sizeof(*tiny) : sizeof(shapes) / sizeof(*shapes);

	for (size_t i = 0; i < n; i++) {
		library_rounds(b, &v[i]);
		netd_rounds(b, &v[i]);
		if (v[i].services <= 10000 && v[i].endpoints == 2)
			peer_rounds(b, &v[i]);
	}
	traffic_rounds(b);
	return 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "services", run);
}
