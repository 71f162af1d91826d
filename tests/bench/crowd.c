/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crowd.c - what a thousand watches, and then a hostile user beside them, cost everybody else
 *
 * Room: tests/bench.  200 writes a second and looks at /healthz, in three stages of one run: alone;
 * with a thousand watches that hear of each write; with another user's idle connections, dripping
 * headers, watches and lists that are never read.  Who reads must hear of every write once.
 */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ALL_FILES 0666          /* for the hostile user; in a sandbox */

struct load_of {
	const struct bench *b;
	struct daemon d;
	unsigned readers, writes, serial;
	double alone_s, crowd_s, hostile_s;
	struct hostile hostile;
	struct pace alone, crowd, hostility;
};

static void many_files(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void make_objects(struct load_of *l)
{
	char body[256];
	struct http h;

	http_open(&h, l->d.socket);
	for (unsigned i = 0; i < CROWD_OBJECTS; i++) {
		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"crowd-%u\"},"
			 "\"involvedObject\":{\"namespace\":\"default\"}}", i);
		http_must(&h, "POST", CROWD_EVENTS, body);
	}
	http_close(&h);
}

static struct pace stage(struct load_of *l, double seconds)
{
	struct pace p = { .socket = l->d.socket, .pid = l->d.pid, .seconds = seconds,
			  .writes = l->writes, .serial = &l->serial };

	pace_run(&p);
	return p;
}

static void forget(struct pace *p)
{
	series_fini(&p->write);
	series_fini(&p->health);
}

static void tell_times(const struct load_of *l, const char *what, const struct series *s,
		       const struct series *alone)
{
	struct figure f = { .what = what, .unit = "ms", .series = s };

	if (alone) {
		f.peer = "its p99, to the p99 alone";
		f.peer_ratio = series_at(s, 0.99) / series_at(alone, 0.99);
	}
	figure_print(l->b, &f);
}

static void tell_memory(const struct load_of *l, const char *what, unsigned long kib)
{
	figure_print(l->b, &(struct figure){ .what = what, .unit = "MiB", .value = kib / 1024.0 });
}

static void tell_stage(const struct load_of *l, const char *const what[4], const struct pace *p)
{
	const struct pace *alone = p == &l->alone ? NULL : &l->alone;

	tell_times(l, what[0], &p->write, alone ? &alone->write : NULL);
	tell_times(l, what[1], &p->health, alone ? &alone->health : NULL);
	tell_memory(l, what[2], p->peak.rss);
	tell_memory(l, what[3], p->peak.uss);
}

static void tell_heard(const struct load_of *l, const struct heard *h)
{
	const struct { const char *what; unsigned long long n; } bad[] = {
		{ "events that a reader did not get", h->lost },
		{ "events that a reader got twice", h->doubled },
		{ "events out of order", h->disordered },
	};

	figure_print(l->b, &(struct figure){ .what = "events read by all readers",
		.unit = "events", .value = (double)h->events });
	figure_print(l->b, &(struct figure){ .what = "write sent until a reader has it, p50",
		.unit = "ms", .value = h->p50 });
	figure_print(l->b, &(struct figure){ .what = "write sent until a reader has it, p99",
		.unit = "ms", .value = h->p99 });
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		figure_print(l->b, &(struct figure){ .what = bad[i].what, .unit = "events",
			.value = (double)bad[i].n, .goal = "0", .met = bad[i].n == 0 });
}

static void tell(const struct load_of *l, const struct heard *h)
{
	static const char *const alone[4] = {
		"write, alone", "/healthz, alone", "RSS at most, alone", "USS at most, alone",
	};
	static const char *const crowd[4] = {
		"write, beside the readers", "/healthz, beside the readers",
		"RSS at most, with the readers", "USS at most, with the readers",
	};
	static const char *const hostile[4] = {
		"write, beside readers and a hostile user",
		"/healthz, beside readers and a hostile user",
		"RSS at most, with readers and a hostile user",
		"USS at most, with readers and a hostile user",
	};

	tell_stage(l, alone, &l->alone);
	tell_stage(l, crowd, &l->crowd);
	tell_stage(l, hostile, &l->hostility);
	tell_heard(l, h);
}

static int run(const struct bench *b)
{
	struct load_of l = {
		.b = b, .readers = b->smoke ? 50 : 1000, .writes = 200,
		.alone_s = rounds_of(b, 60, 1) / 3.0, .crowd_s = rounds_of(b, 60, 1),
		.hostile_s = rounds_of(b, 60, 1),
		.hostile = { .idle = b->smoke ? 500 : 10000, .slow = b->smoke ? 20 : 500,
			     .stopped = b->smoke ? 20 : 500 },
	};
	struct readers *readers;
	struct heard heard;
	char netd[600];
	struct bench copy = *b;
	unsigned most;
	int pid;

	many_files();
	copy.netd = daemon_alone(b, netd, sizeof(netd));
	daemon_start(&copy, "crowd", NULL, NULL, &l.d);
	if (chmod(l.d.socket, ALL_FILES) < 0)
		die("crowd: the socket's mode");
	make_objects(&l);
	l.alone = stage(&l, l.alone_s);
	most = (unsigned)((l.crowd_s + l.hostile_s) * l.writes) + 1000;
	readers = readers_start(l.d.socket, l.readers, l.serial, most);
	l.crowd = stage(&l, l.crowd_s);
	l.hostile.socket = l.d.socket;
	pid = hostile_start(&l.hostile);
	l.hostility = stage(&l, l.hostile_s);
	hostile_stop(pid);
	readers_finish(readers, l.serial, &heard);
	tell(&l, &heard);
	forget(&l.alone);
	forget(&l.crowd);
	forget(&l.hostility);
	daemon_stop(&l.d);
	return heard.lost || heard.doubled || heard.disordered;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "crowd", run);
}
