/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster.c - what 999 other nodes cost one: all of them at a cold start, and one more
 *
 * Room: tests/bench.  The others are Node objects only.  Half of them are on this node's L2, half
 * behind a router; each has a block of either family.  Beside netd the same messages are sent by
 * cluster_raw.c, which knows all of them beforehand, in a namespace of its own.  Also a test: exit
 * status 1 when something is not in the kernel, never when it is slow.
 */
#include "cluster.h"
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES "/api/v1/nodes"
#define OTHERS 999

static const char *const flags[] = {
	"--cluster-cidr", "10.128.0.0/10,fd55::/48", "--pool", "0", "--resync", "0", NULL
};

struct run {
	const struct bench *b;
	struct daemon d;
	struct http h;
	struct cluster_eye *eye;
	unsigned n, wrong;
};

static void expect(struct run *r, bool right, const char *what, unsigned long got)
{
	if (right)
		return;
	fprintf(stderr, "cluster: WRONG: %s: %lu\n", what, got);
	r->wrong++;
}

static void must(int netns, const char *command)
{
	struct command cmd = { .argv = (const char *const[]){ "sh", "-c", command, NULL },
			       .netns = netns };

	if (command_run(&cmd) != 0)
		die("%s", command);
}

static void post(struct run *r, unsigned i)
{
	char body[512], v4[64], v6[64], address[64];

	cluster_texts(i, address, v4, v6);
	snprintf(body, sizeof(body), "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":"
		 "\"other-%u\",\"annotations\":{\"podnet.dev/node-address\":\"%s\"}},\"spec\":{"
		 "\"podCIDRs\":[\"%s\",\"%s\"]}}", i, address, v4, v6);
	http_must(&r->h, "POST", NODES, body);
}

static void delete(struct run *r, unsigned i)
{
	char path[64];

	snprintf(path, sizeof(path), NODES "/other-%u", i);
	http_must(&r->h, "DELETE", path, NULL);
}

static struct cluster_count want(unsigned n)
{
	return (struct cluster_count){ .routes = 2 * n, .fdb = n, .neighbours = n + n / 2 };
}

static bool same(struct cluster_count a, struct cluster_count b)
{
	return a.routes == b.routes && a.fdb == b.fdb && a.neighbours == b.neighbours;
}

/* Readiness says that all was tried; what is there is counted. */
static void await_all(struct run *r, unsigned n)
{
	uint64_t start = now_ns();
	struct cluster_count got = cluster_count(r->eye);

	while (!same(got, want(n)) && ms_since(start) < 20000) {
		nap_ms(5);
		got = cluster_count(r->eye);
	}
	expect(r, got.routes == want(n).routes, "routes", got.routes);
	expect(r, got.fdb == want(n).fdb, "entries of the FDB", got.fdb);
	expect(r, got.neighbours == want(n).neighbours, "neighbours", got.neighbours);
}

/* What netd left goes, as at a boot. */
static void empty(struct run *r)
{
	must(r->d.netns, "ip link del pn-vxlan4; ip route flush proto 142; ip -6 route flush proto 142");
}

static double start_cold(struct run *r)
{
	uint64_t start;

	http_close(&r->h);
	daemon_halt(&r->d);
	empty(r);
	start = now_ns();
	daemon_again(r->b, "cluster", flags, &r->d);
	http_open(&r->h, r->d.socket);
	return ms_since(start);
}

static void tell(struct run *r, const char *what, const struct series *s, const struct series *floor,
		 const char *goal, double most)
{
	figure_print(r->b, &(struct figure){
		.what = what, .unit = "ms", .series = s, .goal = goal, .met = series_at(s, 0.5) < most,
		.floor_ratio = floor ? series_at(s, 0.5) / series_at(floor, 0.5) : 0,
	});
}

static void cold(struct run *r, unsigned rounds)
{
	struct series all = { 0 }, none = { 0 }, raw = { 0 };

	for (unsigned i = 0; i < rounds; i++)
		series_add(&none, start_cold(r));
	for (unsigned i = 0; i < r->n; i++)
		post(r, i);
	await_all(r, r->n);
	for (unsigned i = 0; i < rounds; i++) {
		series_add(&all, start_cold(r));
		await_all(r, r->n);
		series_add(&raw, cluster_raw(r->n));
	}
	tell(r, "start to ready, alone", &none, NULL, NULL, 0);
	tell(r, "start to ready with 999 other nodes, empty kernel", &all, &raw, "under 500 ms", 500);
	tell(r, "raw netlink, the same messages", &raw, NULL, NULL, 0);
	series_fini(&all);
	series_fini(&none);
	series_fini(&raw);
}

static void one_more(struct run *r, unsigned rounds)
{
	struct series netd = { 0 }, raw = { 0 };
	struct raw *floor = raw_open(r->n);

	for (unsigned i = 0; i < rounds; i++) {
		unsigned node = r->n + i;
		uint64_t start;

		cluster_drain(r->eye);
		start = now_ns();
		post(r, node);
		cluster_await(r->eye, node);
		series_add(&netd, ms_since(start));
		delete(r, node);
		await_all(r, r->n);
		series_add(&raw, raw_one(floor, node));
	}
	raw_close(floor);
	tell(r, "one more node, from POST to the last of it in the kernel", &netd, &raw, "under 5 ms", 5);
	tell(r, "raw netlink, the messages of one node", &raw, NULL, NULL, 0);
	series_fini(&netd);
	series_fini(&raw);
}

static int run(const struct bench *b)
{
	struct run r = { .b = b, .n = b->smoke ? 20 : OTHERS };

	daemon_start(b, "cluster", NULL, flags, &r.d);
	must(r.d.netns, "ip addr add 10.1.0.10/16 dev uplink");
	http_open(&r.h, r.d.socket);
	r.eye = cluster_eye_open(r.d.netns);
	must(r.d.netns, "ip link add pn-vxlan4 type bridge");    /* so that the first has what to delete */
	cold(&r, rounds_of(b, 7, 1));
	one_more(&r, rounds_of(b, 100, 4));
	cluster_eye_close(r.eye);
	http_close(&r.h);
	daemon_stop(&r.d);
	r.wrong += cluster_many(b);
	return r.wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "cluster", run);
}
