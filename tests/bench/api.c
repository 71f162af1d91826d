/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api.c - durable writes and reads per second, and how fast a hundred watchers hear
 *
 * Room: tests/bench.  The object written is a Route of another node, which is validated, stored and
 * published like any other but asks nothing of this kernel; a hostNetwork pod adds the reconciler's
 * status.  The peer is one fsync'd SQLite insert per write, on the same disk, in turns.
 */
#include "api.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES "/apis/podnet.dev/v1/routes"
#define PODS "/api/v1/namespaces/default/pods"
#define WATCHERS 100
#define LISTED 1000
#define ROW_BYTES 700

struct run {
	const struct bench *b;
	struct daemon d;
	struct commit *commit;
	unsigned serial;            /* of names: each is used once */
	double seconds;
};

/* Each has a destination of its own, for two Routes cannot have the same. */
void api_route(unsigned n, char *path, size_t path_size, char *body, size_t size)
{
	snprintf(path, path_size, ROUTES);
	snprintf(body, size, "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":\"Route\",\"metadata\":"
		 "{\"name\":\"bench-%07u\"},\"spec\":{\"nodeName\":\"elsewhere\",\"type\":"
		 "\"blackhole\",\"destination\":\"%u.%u.%u.0/24\"}}", n, 10 + (n >> 16 & 63),
		 n >> 8 & 255, n & 255);
}

static void make_route(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct run *r = arg;

	(void)i;
	api_route(r->serial++, path, path_size, body, size);
}

static void make_pod(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct run *r = arg;

	(void)i;
	snprintf(path, path_size, PODS);
	snprintf(body, size, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
		 "\"bench-%07u\"},\"spec\":{\"hostNetwork\":true,\"containers\":[]}}",
		 r->serial++);
}

static void make_get(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg, (void)body, (void)size;
	snprintf(path, path_size, ROUTES "/bench-%07u", i % LISTED);
}

static void make_list(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg, (void)i, (void)body, (void)size;
	snprintf(path, path_size, ROUTES "?labelSelector=");
}

double api_rate(const struct load *load, double seconds, struct series *latency)
{
	struct load l = *load;
	struct load_result res;
	size_t i;

	l.n = 1u << 30;
	l.seconds = seconds;
	load_run(&l, &res);
	if (res.failed)
		die("api: %u of %u requests failed", res.failed, res.done);
	for (i = 0; latency && i < res.latency.n; i++)
		series_add(latency, res.latency.v[i]);
	series_fini(&res.latency);
	return res.done / res.ms * 1e3;
}

/* Return: requests a second. */
static double rate(struct run *r, const char *method, unsigned clients,
		   void (*make)(void *, unsigned, char *, size_t, char *, size_t),
		   struct series *latency)
{
	struct load l = { .socket = r->d.socket, .nclients = clients, .make = make, .arg = r,
			  .method = method };

	return api_rate(&l, r->seconds, latency);
}

static double commit_rate(struct run *r)
{
	uint64_t start = now_ns();
	unsigned n = 0;

	while (ms_since(start) < r->seconds * 1e3) {
		commit_once(r->commit);
		n++;
	}
	return n / ms_since(start) * 1e3;
}

static void tell_rate(struct run *r, const char *what, const struct series *s,
		      const struct series *peer, const struct series *ratios, double goal)
{
	struct figure f = { .what = what, .unit = "1/s", .value = series_at(s, 0.5) };

	if (peer && peer->n) {
		f.peer = "fsync'd SQLite inserts";
		f.peer_ratio = series_at(ratios, 0.5);
	}
	if (goal > 0) {
		f.goal = ">= 5 times the peer";
		f.met = f.peer_ratio >= goal;
	}
	figure_print(r->b, &f);
}

/*
 * Clients 1, 8 and 64, each between two turns of the peer.  A disk changes its speed tenfold within
 * seconds, so turns are short and each ratio is to the mean of the turns before and after.
 */
static void writes(struct run *r, unsigned nrounds, const char *const what[3],
		   void (*make)(void *, unsigned, char *, size_t, char *, size_t), bool goal)
{
	static const unsigned clients[3] = { 1, 8, 64 };
	struct series got[3] = { 0 }, ratios[3] = { 0 }, peer = { 0 };
	unsigned i, k;

	series_add(&peer, commit_rate(r));
	for (i = 0; i < nrounds; i++) {
		for (k = 0; k < 3; k++) {
			double before = peer.v[peer.n - 1], ours;

			ours = rate(r, "POST", clients[k], make, NULL);
			series_add(&peer, commit_rate(r));
			series_add(&got[k], ours);
			series_add(&ratios[k], 2 * ours / (before + peer.v[peer.n - 1]));
		}
	}
	if (goal)
		tell_rate(r, "durable commits of the peer", &peer, NULL, NULL, 0);
	for (k = 0; k < 3; k++) {
		tell_rate(r, what[k], &got[k], &peer, &ratios[k], goal && k == 2 ? 5 : 0);
		series_fini(&got[k]);
		series_fini(&ratios[k]);
	}
	series_fini(&peer);
}

static void reads(struct run *r, unsigned nrounds)
{
	struct series one = { 0 }, eight = { 0 }, lists = { 0 }, latency = { 0 }, of_list = { 0 };
	unsigned i;

	for (i = 0; i < nrounds; i++) {
		series_add(&one, rate(r, "GET", 1, make_get, &latency));
		series_add(&eight, rate(r, "GET", 8, make_get, NULL));
		series_add(&lists, rate(r, "GET", 1, make_list, &of_list));
	}
	tell_rate(r, "GET of one object, 1 client", &one, NULL, NULL, 0);
	figure_print(r->b, &(struct figure){ .what = "GET of one object, 1 client", .unit = "ms",
					     .series = &latency });
	tell_rate(r, "GET of one object, 8 clients", &eight, NULL, NULL, 0);
	tell_rate(r, "list of 1,000 objects, 1 client", &lists, NULL, NULL, 0);
	figure_print(r->b, &(struct figure){ .what = "list of 1,000 objects, 1 client",
					     .unit = "ms", .series = &of_list });
	series_fini(&one);
	series_fini(&eight);
	series_fini(&lists);
	series_fini(&latency);
	series_fini(&of_list);
}

/** A hundred streams, and what each has heard of the objects from @first on. */
struct crowd {
	struct watch watch[WATCHERS];
	unsigned n, first, expected;
	unsigned heard[WATCHERS], wrong;
	unsigned complete;          /* how many have heard all */
};

static void crowd_hear(struct crowd *c, unsigned k)
{
	const char *line, *name;

	watch_read(&c->watch[k]);
	while ((line = watch_line(&c->watch[k]))) {
		unsigned serial;

		name = strstr(line, "\"bench-");
		if (!name || !strstr(line, "ADDED"))
			continue;
		serial = (unsigned)strtoul(name + 7, NULL, 10);
		c->heard[k]++;
		c->wrong += serial < c->first || serial >= c->first + c->expected;
		c->complete += c->heard[k] == c->expected;
	}
}

/*
 * Hear what is there; @also: a further descriptor to wait for.  Return: 0, or when that was found
 * readable, which is before anything was heard.
 */
static uint64_t crowd_turn(struct crowd *c, int also)
{
	struct pollfd p[WATCHERS + 1];
	uint64_t found;
	unsigned k;

	for (k = 0; k < c->n; k++)
		p[k] = (struct pollfd){ .fd = c->watch[k].h.fd, .events = POLLIN };
	p[c->n] = (struct pollfd){ .fd = also, .events = POLLIN };
	if (poll(p, c->n + 1, 30000) <= 0)
		die("api: %u of %u watchers are complete, and nothing comes", c->complete, c->n);
	found = now_ns();
	for (k = 0; k < c->n; k++)
		if (p[k].revents)
			crowd_hear(c, k);
	return p[c->n].revents ? found : 0;
}

static void crowd_expect(struct crowd *c, unsigned first, unsigned n)
{
	memset(c->heard, 0, sizeof(c->heard));
	c->first = first;
	c->expected = n;
	c->complete = 0;
}

/* One write at a time: from its answer until the last watcher has it. */
static void fan_out_latency(struct run *r, struct crowd *c, unsigned n)
{
	struct series last = { 0 }, sent = { 0 };
	struct http_reply reply;
	char path[128], body[512];
	struct http h;
	unsigned i;

	http_open(&h, r->d.socket);
	for (i = 0; i < n; i++) {
		uint64_t answered = 0, found, start = now_ns();

		crowd_expect(c, r->serial, 1);
		make_route(r, 0, path, sizeof(path), body, sizeof(body));
		http_send(&h, "POST", path, body);
		while (!answered || c->complete < c->n) {
			found = crowd_turn(c, answered ? -1 : h.fd);
			if (!found)
				continue;
			http_read(&h);
			if (http_take(&h, &reply))
				answered = found;
		}
		series_add(&last, ms_since(answered));
		series_add(&sent, ms_since(start));
	}
	http_close(&h);
	figure_print(r->b, &(struct figure){ .what = "answer of a write to the last of 100 watchers",
					     .unit = "ms", .series = &last });
	figure_print(r->b, &(struct figure){ .what = "write sent to the last of 100 watchers",
					     .unit = "ms", .series = &sent });
	series_fini(&last);
	series_fini(&sent);
}

/* Eight connections written to in one go, then all is heard. */
static void fan_out_rate(struct run *r, struct crowd *c, unsigned n)
{
	struct http h[8];
	unsigned sent = 0, done = 0, i;
	char path[128], body[512];
	struct http_reply reply;
	uint64_t start = now_ns();
	double ms;

	crowd_expect(c, r->serial, n);
	for (i = 0; i < 8; i++)
		http_open(&h[i], r->d.socket);
	while (done < n || c->complete < c->n) {
		for (i = 0; i < 8 && sent < n; i++, sent++) {
			make_route(r, 0, path, sizeof(path), body, sizeof(body));
			http_send(&h[i], "POST", path, body);
		}
		for (i = 0; i < 8 && done < sent; i++, done++)
			while (!http_take(&h[i], &reply))
				if (crowd_turn(c, h[i].fd))
					http_read(&h[i]);
		if (done == n && c->complete < c->n)
			crowd_turn(c, -1);
	}
	ms = ms_since(start);
	for (i = 0; i < 8; i++)
		http_close(&h[i]);
	figure_print(r->b, &(struct figure){ .what = "events to 100 watchers, 8 writers",
		     .unit = "1/s", .value = (double)c->n * n / ms * 1e3 });
	figure_print(r->b, &(struct figure){ .what = "events lost or not asked for",
		     .unit = "events", .value = c->wrong, .goal = "0", .met = c->wrong == 0 });
}

static void fan_out(struct run *r)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct http_reply list;
	char path[160], rev[32];
	struct http h;
	unsigned k;

	if (!c)
		die("out of memory");
	http_open(&h, r->d.socket);
	list = http_must(&h, "GET", PODS, NULL);    /* any list tells the current version */
	if (!text_of(list.body, "resourceVersion", rev, sizeof(rev)))
		die("api: a list without a resourceVersion");
	snprintf(path, sizeof(path), ROUTES "?watch=1&resourceVersion=%s", rev);
	http_close(&h);
	c->n = r->b->smoke ? 5 : WATCHERS;
	for (k = 0; k < c->n; k++)
		watch_open(&c->watch[k], r->d.socket, path, NULL);
	fan_out_latency(r, c, r->b->smoke ? 2 : 200);
	fan_out_rate(r, c, r->b->smoke ? 16 : 1000);
	for (k = 0; k < c->n; k++)
		watch_close(&c->watch[k]);
	free(c);
}

static int run(const struct bench *b)
{
	static const char *const routes[3] = {
		"POST of a Route of another node, 1 client", "the same, 8 clients",
		"the same, 64 clients",
	};
	static const char *const pods[3] = {
		"POST of a hostNetwork pod, 1 client", "hostNetwork pods, 8 clients",
		"hostNetwork pods, 64 clients",
	};
	struct run r = { .b = b, .seconds = b->smoke ? 0.05 : 0.2 };
	unsigned n = rounds_of(b, 25, 1);
	struct load fill = { .nclients = 8, .n = LISTED, .make = make_route, .method = "POST",
			     .arg = &r };
	struct load_result res;

	daemon_start(b, "api", NULL, NULL, &r.d);
	r.commit = commit_open(b->dir, ROW_BYTES);
	fill.socket = r.d.socket;
	load_run(&fill, &res);
	if (res.failed)
		die("api: %u of the first writes failed", res.failed);
	series_fini(&res.latency);
	reads(&r, n);
	fan_out(&r);
	writes(&r, n, routes, make_route, true);
	writes(&r, n / 3 + 1, pods, make_pod, false);
	commit_close(r.commit);
	daemon_stop(&r.d);
	api_big(b);
	return 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "api", run);
}
