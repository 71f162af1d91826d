/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scale.c - 3,000 pods by 8 clients: made, watched, listed, deleted, and nothing left
 *
 * Room: tests/bench.  Also a test: exit status 1 when the state is wrong, never when it is slow.
 */
#include "http.h"
#include "kernel.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define PODS "/api/v1/namespaces/default/pods"
#define COUNT 3000
#define CLIENTS 8
#define PROTOCOL 142

struct run {
	const struct bench *b;
	struct daemon d;
	struct watch watch;
	unsigned n, running, deleted;
	bool *is_running, *is_deleted;
	in_addr_t *address;
	unsigned wrong;
};

static void expect(struct run *r, bool right, const char *what, unsigned long got)
{
	if (right)
		return;
	fprintf(stderr, "scale: WRONG: %s: %lu\n", what, got);
	r->wrong++;
}

static void make_pod(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg;
	snprintf(path, path_size, PODS);
	snprintf(body, size, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
		 "\"scale-%u\"},\"spec\":{\"containers\":[]}}", i);
}

static void make_delete(void *arg, unsigned i, char *path, size_t path_size, char *body,
			size_t size)
{
	(void)arg, (void)body, (void)size;
	snprintf(path, path_size, PODS "/scale-%u", i);
}

static void hear(void *arg, const char *line)
{
	struct run *r = arg;
	const char *name = strstr(line, "\"scale-");
	char text[64];
	unsigned i;

	if (!name)
		return;
	i = (unsigned)strtoul(name + 7, NULL, 10);
	if (i >= r->n)
		return;
	if (strstr(line, "DELETED")) {
		r->deleted += !r->is_deleted[i];
		r->is_deleted[i] = true;
		return;
	}
	if (r->is_running[i] || !text_of(line, "phase", text, sizeof(text)) ||
	    strcmp(text, "Running") != 0)
		return;
	if (!text_of(line, "podIP", text, sizeof(text)))
		expect(r, false, "running without an address, pod", i);
	r->address[i] = inet_addr(text);
	r->is_running[i] = true;
	r->running++;
}

static void await(struct run *r, const unsigned *count, const char *what)
{
	const char *line;
	struct pollfd p = { .fd = r->watch.h.fd, .events = POLLIN };

	while (*count < r->n) {
		while ((line = watch_line(&r->watch)))
			hear(r, line);
		if (*count >= r->n)
			return;
		if (poll(&p, 1, 60000) <= 0) {
			expect(r, false, what, *count);
			return;
		}
		watch_read(&r->watch);
	}
}

static int by_address(const void *a, const void *b)
{
	in_addr_t x = *(const in_addr_t *)a, y = *(const in_addr_t *)b;

	return (x > y) - (x < y);
}

static void check_distinct(struct run *r)
{
	unsigned i, same = 0;

	qsort(r->address, r->n, sizeof(*r->address), by_address);
	for (i = 1; i < r->n; i++)
		same += r->address[i] == r->address[i - 1];
	expect(r, same == 0, "addresses given twice", same);
}

static void tell(struct run *r, const char *what, const char *unit, double value, const char *goal,
		 bool met)
{
	figure_print(r->b, &(struct figure){ .what = what, .unit = unit, .value = value,
					     .goal = goal, .met = met });
}

static void tell_memory(struct run *r, const char *const what[2], double goal_mib, const char *goal)
{
	struct memory m = memory_of(r->d.pid);

	tell(r, what[0], "MiB", (double)m.uss / 1024, goal, (double)m.uss / 1024 < goal_mib);
	tell(r, what[1], "MiB", (double)m.rss / 1024, NULL, false);
}

static unsigned pins(const struct run *r)
{
	DIR *dir = opendir(r->d.netns_dir);
	const struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Addresses that have an owner: a released one has none and cools down.  Blocks are the node's. */
static unsigned long claims(const struct run *r)
{
	static const char sql[] = "SELECT count(*) FROM claim WHERE kind <> 'block' "
				  "AND owner <> ''";
	sqlite3_stmt *stmt = NULL;
	unsigned long n = ~0ul;
	sqlite3 *db;

	if (sqlite3_open_v2(r->d.db, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		n = (unsigned long)sqlite3_column_int64(stmt, 0);
	else
		fprintf(stderr, "scale: %s: %s\n", r->d.db, sqlite3_errmsg(db));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

/* Once the pool is full, and so again when pods have taken from it. */
static struct probe_count count_settled(struct probe *p)
{
	struct probe_count now = probe_count(p, PROTOCOL), was;
	unsigned same = 0;

	while (same < 4) {
		was = now;
		nap_ms(50);
		now = probe_count(p, PROTOCOL);
		same = now.links == was.links ? same + 1 : 0;
	}
	return now;
}

/* What is looked for at the end is there now, so that not finding it then means something. */
static void check_full(struct run *r, struct probe *p, struct probe_count before)
{
	struct probe_count now = count_settled(p);

	expect(r, now.links == before.links + r->n, "links with all pods there", now.links);
	expect(r, now.routes >= before.routes + r->n, "routes with all pods there", now.routes);
	expect(r, pins(r) == r->n, "namespaces with all pods there", pins(r));
	expect(r, claims(r) >= r->n, "claims with all pods there", claims(r));
}

/* The kernel destroys namespaces in the background, and their links with them. */
static void check_empty(struct run *r, struct probe *p, struct probe_count before)
{
	struct probe_count now = probe_count(p, PROTOCOL);
	uint64_t start = now_ns();

	while ((now.links > before.links || now.routes > before.routes || pins(r)) &&
	       ms_since(start) < 60000) {
		nap_ms(20);
		now = probe_count(p, PROTOCOL);
	}
	tell(r, "from the last DELETED event until the kernel is empty", "ms", ms_since(start),
	     NULL, false);
	expect(r, now.links == before.links, "links more than at the start",
	       now.links - before.links);
	expect(r, now.routes == before.routes, "routes more than at the start",
	       now.routes - before.routes);
	expect(r, pins(r) == 0, "namespaces left", pins(r));
	expect(r, claims(r) == 0, "claims left", claims(r));
}

static void create(struct run *r, struct load *l)
{
	struct load_result res;
	uint64_t start = now_ns();

	load_run(l, &res);
	expect(r, res.failed == 0, "creations refused", res.failed);
	await(r, &r->running, "pods running");
	tell(r, "3,000 pods from the first POST to the last Running", "s", ms_since(start) / 1e3,
	     NULL, false);
	tell(r, "pods to Running", "1/s", r->n / ms_since(start) * 1e3, NULL, false);
	figure_print(r->b, &(struct figure){ .what = "POST of a pod, 8 clients", .unit = "ms",
					     .series = &res.latency });
	series_fini(&res.latency);
}

static void list(struct run *r)
{
	struct series ms = { 0 };
	struct http_reply reply;
	struct http h;
	unsigned i, n = 0;
	const char *at;

	http_open(&h, r->d.socket);
	for (i = 0; i < (r->b->smoke ? 2u : 10u); i++) {
		uint64_t start = now_ns();

		reply = http_must(&h, "GET", PODS, NULL);
		series_add(&ms, ms_since(start));
	}
	for (at = reply.body; (at = strstr(at, "\"podIP\"")); at += 7)
		n++;
	expect(r, n == r->n, "pods in the list", n);
	http_close(&h);
	figure_print(r->b, &(struct figure){ .what = "list of 3,000 pods", .unit = "ms",
					     .series = &ms });
	series_fini(&ms);
}

static void delete_all(struct run *r, struct load *l)
{
	struct load_result res;
	uint64_t start = now_ns();

	l->method = "DELETE";
	l->make = make_delete;
	load_run(l, &res);
	expect(r, res.failed == 0, "deletions refused", res.failed);
	await(r, &r->deleted, "pods deleted");
	tell(r, "3,000 pods from the first DELETE to the last event", "s", ms_since(start) / 1e3,
	     NULL, false);
	figure_print(r->b, &(struct figure){ .what = "DELETE of a pod, 8 clients", .unit = "ms",
					     .series = &res.latency });
	series_fini(&res.latency);
}

static int run(const struct bench *b)
{
	static const char *const rest[2] = { "USS of netd at rest", "RSS of netd at rest" };
	static const char *const full[2] = { "USS of netd at 3,000 pods",
					     "RSS of netd at 3,000 pods" };
	static const char *const after[2] = { "USS of netd when all are deleted",
					      "RSS of netd when all are deleted" };
	struct run r = { .b = b, .n = b->smoke ? 20 : COUNT };
	struct load l = { .nclients = CLIENTS, .n = r.n, .make = make_pod, .arg = &r,
			  .method = "POST", .watch = &r.watch, .line = hear };
	struct bench alone = *b;
	struct probe_count before;
	struct probe *p;
	char path[600];

	r.is_running = calloc(r.n, sizeof(*r.is_running));
	r.is_deleted = calloc(r.n, sizeof(*r.is_deleted));
	r.address = calloc(r.n, sizeof(*r.address));
	if (!r.is_running || !r.is_deleted || !r.address)
		die("out of memory");
	alone.netd = daemon_alone(b, path, sizeof(path));
	daemon_start(&alone, "scale", NULL, NULL, &r.d);
	nap_ms(b->smoke ? 50 : 1000);
	p = probe_open(NULL, r.d.netns);
	if (!p)
		die("scale: no socket in netd's namespace");
	before = count_settled(p);
	expect(&r, before.links >= 3, "links at the start: lo and the uplink's two", before.links);
	tell_memory(&r, rest, 4, "< 4 MiB");
	l.socket = r.d.socket;
	watch_open(&r.watch, r.d.socket, PODS "?watch=1", NULL);
	create(&r, &l);
	check_distinct(&r);
	check_full(&r, p, before);
	tell_memory(&r, full, 24, "< 24 MiB");
	list(&r);
	tell_memory(&r, (const char *const[]){ "USS of netd at 3,000 pods, after lists",
					       "RSS of netd at 3,000 pods, after lists" },
		    24, "< 24 MiB");
	delete_all(&r, &l);
	check_empty(&r, p, before);
	tell_memory(&r, after, 24, NULL);
	tell(&r, "what was wrong", "things", r.wrong, "0", r.wrong == 0);
	probe_close(p);
	watch_close(&r.watch);
	daemon_stop(&r.d);
	free(r.is_running);
	free(r.is_deleted);
	free(r.address);
	return r.wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "scale", run);
}
