/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attach.c - attach and detach of one pod, six ways, in rounds that take turns
 *
 * Room: tests/bench.  Each round attaches and detaches one pod each way and then waits until the
 * kernel has cleaned up behind it (a dropped link lives on for 20 to 40 ms and its clean-up takes
 * the rtnetlink lock), so no way pays for the one before it.  The durable commit is measured in the
 * same rounds on the disk that holds netd's database.
 *
 * After such a pause a processor has forgotten all it knew, and so short a thing as taking a
 * namespace from a pool costs several times what it costs the next one.  So pods are also attached
 * in a row, as they come when a host starts or somebody asks for many; there the clean-up is waited
 * for behind the whole row.
 */
#include "http.h"
#include "library.h"
#include "peers.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PODS "/api/v1/namespaces/default/pods"
#define ROW_BYTES 1200          /* about what a pod is as JSON */
#define SETTLE_MS 60
#define POOL 32
#define ROW 16          /* less than the pool has */

enum way { FLOOR, LIBRARY, POOLED, REST, REST_POOLED, CNI_BRIDGE, NETAVARK, WAYS };

/** A netd and the two connections of its client. */
struct client {
	struct daemon d;
	struct http http;
	struct watch watch;
};

struct run {
	const struct bench *b;
	struct floor *floor;
	struct library *fresh, *pooled;
	struct client rest[2];      /* without a pool, with one */
	struct commit *commit;
	int peers;                  /* namespace of CNI and netavark */
	unsigned serial;
	bool there[WAYS];
	struct series up[WAYS], down[WAYS], gone[2], replied[2], commits;
};

static void client_open(const struct bench *b, struct client *c, const char *name,
			const char *pool)
{
	const char *flags[] = { "--pool", pool, NULL };

	daemon_start(b, name, NULL, flags, &c->d);
	http_open(&c->http, c->d.socket);
	watch_open(&c->watch, c->d.socket, PODS "?watch=1", NULL);
}

static void client_close(struct client *c)
{
	http_close(&c->http);
	watch_close(&c->watch);
	daemon_stop(&c->d);
}

/* Is this the watch event that is waited for: of this pod, of this type or in this phase? */
static bool is_event(const char *line, const char *pod, const char *type, const char *phase)
{
	char text[128];

	if (!strstr(line, pod))
		return false;
	if (type)
		return text_of(line, "type", text, sizeof(text)) && !strcmp(text, type);
	return text_of(line, "phase", text, sizeof(text)) && !strcmp(text, phase);
}

/* One request, and the event that says it is done; @replied: when its answer came, in ms. */
static double rest_once(struct client *c, const char *method, const char *path, const char *body,
			const char *pod, double *replied)
{
	bool deleting = !strcmp(method, "DELETE");
	struct http_reply reply = { 0 };
	uint64_t start = now_ns();
	double done = 0;
	const char *line;

	*replied = 0;
	http_send(&c->http, method, path, body);
	while (*replied <= 0 || done <= 0) {
		struct pollfd p[2] = { { .fd = c->http.fd, .events = POLLIN },
				       { .fd = c->watch.h.fd, .events = POLLIN } };

		if (poll(p, 2, 20000) <= 0)
			die("%s of %s: nothing for 20 s (reply %s)", method, pod,
			    *replied > 0 ? "came" : "did not come");
		if (p[0].revents) {
			http_read(&c->http);
			if (http_take(&c->http, &reply))
				*replied = ms_since(start);
		}
		if (p[1].revents)
			watch_read(&c->watch);
		while ((line = watch_line(&c->watch)))
			if (is_event(line, pod, deleting ? "DELETED" : NULL, "Running"))
				done = ms_since(start);
	}
	if (reply.status != 200 && reply.status != 201)
		die("%s of %s: %d", method, pod, reply.status);
	return done;
}

static void rest_attach(struct run *r, enum way way, const struct place *p)
{
	char body[256];
	double at;

	snprintf(body, sizeof(body), "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":"
		 "{\"name\":\"%s\"},\"spec\":{\"containers\":[]}}", p->name);
	series_add(&r->up[way], rest_once(&r->rest[way - REST], "POST", PODS, body, p->name, &at));
	series_add(&r->replied[way - REST], at);
}

static void rest_detach(struct run *r, enum way way, const struct place *p)
{
	char path[128];
	double at;

	snprintf(path, sizeof(path), PODS "/%s", p->name);
	series_add(&r->gone[way - REST],
		   rest_once(&r->rest[way - REST], "DELETE", path, NULL, p->name, &at));
	series_add(&r->down[way], at);
}

static void rest_round(struct run *r, enum way way, const struct place *p)
{
	rest_attach(r, way, p);
	nap_ms(SETTLE_MS);          /* the pool fills up again: not what the deletion waits for */
	rest_detach(r, way, p);
}

static bool attach(struct run *r, enum way way, const struct place *p)
{
	switch (way) {
	case FLOOR:
		floor_attach(r->floor, p);
		return true;
	case LIBRARY:
		library_attach(r->fresh, p);
		return true;
	case POOLED:
		library_attach(r->pooled, p);
		return true;
	case CNI_BRIDGE:
		return cni_attach(r->peers, p);
	case NETAVARK:
		return netavark_attach(r->peers, p);
	case REST:
	case REST_POOLED:
	case WAYS:
		break;
	}
	return false;
}

static bool detach(struct run *r, enum way way, const struct place *p)
{
	switch (way) {
	case FLOOR:
		floor_detach(r->floor, p);
		return true;
	case LIBRARY:
		library_detach(r->fresh, p);
		return true;
	case POOLED:
		library_detach(r->pooled, p);
		return true;
	case CNI_BRIDGE:
		return cni_detach(r->peers, p);
	case NETAVARK:
		return netavark_detach(r->peers, p);
	case REST:
	case REST_POOLED:
	case WAYS:
		break;
	}
	return false;
}

static void one(struct run *r, enum way way)
{
	struct place p;
	uint64_t start;
	double up;

	place_of(way, ++r->serial, &p);
	if (way == REST || way == REST_POOLED) {
		rest_round(r, way, &p);
		return;
	}
	if (way == POOLED)
		library_give(r->pooled, &p);
	start = now_ns();
	if (!attach(r, way, &p)) {
		fprintf(stderr, "attach: a peer failed and is left out\n");
		r->there[way] = false;
		return;
	}
	up = ms_since(start);
	if ((way == LIBRARY && library_changes(r->fresh, &p)) ||
	    (way == POOLED && library_changes(r->pooled, &p)))
		die("attach: the pod is not as declared");
	start = now_ns();
	if (!detach(r, way, &p))
		die("attach: detaching failed");
	series_add(&r->down[way], ms_since(start));
	series_add(&r->up[way], up);
	if (way == POOLED)
		library_fill(r->pooled);
}

static void rounds(struct run *r, unsigned n, unsigned ways)
{
	unsigned i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < WAYS; k++) {
			enum way way = (enum way)((i + k) % WAYS);

			if (!(ways & 1u << way) || !r->there[way])
				continue;
			one(r, way);
			nap_ms(SETTLE_MS);
		}
		if (ways & 1u << REST)
			series_add(&r->commits, commit_once(r->commit));
	}
}

static void tell(struct run *r, const char *what, const struct series *s, double ratio,
		 const char *peer, double peer_ratio, const char *goal, bool met)
{
	struct figure f = { .what = what, .unit = "ms", .series = s, .floor_ratio = ratio,
			    .peer = peer, .peer_ratio = peer_ratio, .goal = goal, .met = met };

	if (s->n)
		figure_print(r->b, &f);
}

static void tell_attach(struct run *r)
{
	double m[WAYS], commit = series_at(&r->commits, 0.5);
	int i;

	for (i = 0; i < WAYS; i++)
		m[i] = series_at(&r->up[i], 0.5);
	tell(r, "attach, raw netlink floor", &r->up[FLOOR], 1, NULL, 0, NULL, false);
	tell(r, "attach, durable commit beside", &r->commits, 0, NULL, 0, NULL, false);
	tell(r, "attach, libpodnet", &r->up[LIBRARY], m[LIBRARY] / m[FLOOR], NULL, 0,
	     "<= 1.15 x floor", m[LIBRARY] <= 1.15 * m[FLOOR]);
	tell(r, "attach, libpodnet from the pool", &r->up[POOLED], m[POOLED] / m[FLOOR], NULL, 0,
	     "< 0.1 x floor", m[POOLED] < 0.1 * m[FLOOR]);
	tell(r, "attach, REST to Running", &r->up[REST], m[REST] / m[FLOOR], "commit + 1.2 x floor",
	     m[REST] / (commit + 1.2 * m[FLOOR]), "<= commit + 1.2 x floor",
	     m[REST] <= commit + 1.2 * m[FLOOR]);
	tell(r, "attach, REST to the answer of POST", &r->replied[0],
	     series_at(&r->replied[0], 0.5) / m[FLOOR], NULL, 0, NULL, false);
	tell(r, "attach, REST from the pool to Running", &r->up[REST_POOLED],
	     m[REST_POOLED] / m[FLOOR], "commit + 0.5 x floor",
	     m[REST_POOLED] / (commit + 0.5 * m[FLOOR]), "<= commit + 0.5 x floor",
	     m[REST_POOLED] <= commit + 0.5 * m[FLOOR]);
	tell(r, "attach, REST from the pool to the answer of POST", &r->replied[1],
	     series_at(&r->replied[1], 0.5) / m[FLOOR], NULL, 0, NULL, false);
}

static void tell_peer(struct run *r, enum way peer, enum way ours, const char *what,
		      const char *name, double times, const char *goal)
{
	double ratio = series_at(&r->up[peer], 0.5) / series_at(&r->up[ours], 0.5);

	if (r->up[peer].n)
		tell(r, what, &r->up[ours], 0, name, ratio, goal, ratio >= times);
}

static void tell_peers(struct run *r)
{
	double floor = series_at(&r->up[FLOOR], 0.5);

	tell(r, "attach, CNI bridge and host-local", &r->up[CNI_BRIDGE],
	     series_at(&r->up[CNI_BRIDGE], 0.5) / floor, NULL, 0, NULL, false);
	tell(r, "attach, netavark", &r->up[NETAVARK], series_at(&r->up[NETAVARK], 0.5) / floor,
	     NULL, 0, NULL, false);
	tell_peer(r, CNI_BRIDGE, POOLED, "attach, libpodnet from the pool against CNI",
		  "CNI bridge + host-local", 100, ">= 100 times faster");
	tell_peer(r, CNI_BRIDGE, REST_POOLED, "attach, REST from the pool against CNI",
		  "CNI bridge + host-local", 10, ">= 10 times faster");
	tell_peer(r, NETAVARK, REST_POOLED, "attach, REST from the pool against netavark",
		  "netavark", 30, ">= 30 times faster");
}

static void tell_detach(struct run *r)
{
	static const char *const names[WAYS] = {
		"detach, raw netlink floor", "detach, libpodnet", "detach, libpodnet from the pool",
		"detach, REST answer of DELETE", "detach, REST with a pool, answer of DELETE",
		"detach, CNI bridge and host-local", "detach, netavark",
	};
	double floor = series_at(&r->down[FLOOR], 0.5), commit = series_at(&r->commits, 0.5);
	int i;

	for (i = 0; i < WAYS; i++) {
		double m = series_at(&r->down[i], 0.5);

		if (i == REST || i == REST_POOLED)
			tell(r, names[i], &r->down[i], m / floor, "commit", m / commit,
			     "<= commit + 0.3 ms", m <= commit + 0.3);
		else
			tell(r, names[i], &r->down[i], m / floor, NULL, 0, NULL, false);
	}
	tell(r, "detach, REST to the DELETED event", &r->gone[0], 0, NULL, 0, NULL, false);
}

static void attach_in_a_row(struct run *r, enum way way, struct place *p)
{
	uint64_t start;

	place_of(way, ++r->serial, p);
	if (way == REST_POOLED) {
		rest_attach(r, way, p);
		return;
	}
	if (way == POOLED)
		library_give(r->pooled, p);
	start = now_ns();
	if (!attach(r, way, p))
		die("attach: attaching failed");
	series_add(&r->up[way], ms_since(start));
}

static void detach_in_a_row(struct run *r, enum way way, const struct place *p)
{
	uint64_t start;

	if (way == REST_POOLED) {
		rest_detach(r, way, p);
		return;
	}
	start = now_ns();
	if (!detach(r, way, p))
		die("attach: detaching failed");
	series_add(&r->down[way], ms_since(start));
}

/* One row of pods each way; what is there is left standing until the row has ended. */
static void in_a_row(struct run *r, enum way way)
{
	struct place p[ROW];
	unsigned i;

	for (i = 0; i < ROW; i++)
		attach_in_a_row(r, way, &p[i]);
	for (i = 0; i < ROW; i++)
		detach_in_a_row(r, way, &p[i]);
	nap_ms(SETTLE_MS);
	if (way == POOLED)
		library_fill(r->pooled);
	nap_ms(SETTLE_MS);          /* netd's pool fills up again by itself */
}

static void tell_rows(struct run *r)
{
	double floor = series_at(&r->up[FLOOR], 0.5), m[] = {
		[LIBRARY] = series_at(&r->up[LIBRARY], 0.5),
		[POOLED] = series_at(&r->up[POOLED], 0.5),
	};

	tell(r, "attach in a row, raw netlink floor", &r->up[FLOOR], 1, NULL, 0, NULL, false);
	tell(r, "attach in a row, durable commit beside", &r->commits, 0, NULL, 0, NULL, false);
	tell(r, "attach in a row, libpodnet", &r->up[LIBRARY], m[LIBRARY] / floor, NULL, 0,
	     "<= 1.15 x floor", m[LIBRARY] <= 1.15 * floor);
	tell(r, "attach in a row, libpodnet from the pool", &r->up[POOLED], m[POOLED] / floor, NULL,
	     0, "< 0.1 x floor", m[POOLED] < 0.1 * floor);
	tell(r, "attach in a row, REST from the pool to Running", &r->up[REST_POOLED],
	     series_at(&r->up[REST_POOLED], 0.5) / floor, NULL, 0, NULL, false);
	tell(r, "attach in a row, CNI bridge and host-local", &r->up[CNI_BRIDGE],
	     series_at(&r->up[CNI_BRIDGE], 0.5) / floor, NULL, 0, NULL, false);
	tell_peer(r, CNI_BRIDGE, POOLED, "attach in a row, libpodnet from the pool against CNI",
		  "CNI bridge + host-local", 100, ">= 100 times faster");
	tell_peer(r, CNI_BRIDGE, REST_POOLED, "attach in a row, REST from the pool against CNI",
		  "CNI bridge + host-local", 10, ">= 10 times faster");
	tell(r, "detach in a row, raw netlink floor", &r->down[FLOOR], 1, NULL, 0, NULL, false);
	tell(r, "detach in a row, libpodnet from the pool", &r->down[POOLED],
	     series_at(&r->down[POOLED], 0.5) / series_at(&r->down[FLOOR], 0.5), NULL, 0, NULL,
	     false);
	tell(r, "detach in a row, REST with a pool, answer of DELETE", &r->down[REST_POOLED],
	     series_at(&r->down[REST_POOLED], 0.5) / series_at(&r->down[FLOOR], 0.5), NULL, 0, NULL,
	     false);
}

static void forget(struct run *r)
{
	int i;

	for (i = 0; i < WAYS; i++) {
		series_fini(&r->up[i]);
		series_fini(&r->down[i]);
	}
	for (i = 0; i < 2; i++) {
		series_fini(&r->gone[i]);
		series_fini(&r->replied[i]);
	}
	series_fini(&r->commits);
}

static void rows(struct run *r, unsigned n)
{
	static const enum way ways[] = { FLOOR, LIBRARY, POOLED, REST_POOLED, CNI_BRIDGE };
	const unsigned nways = sizeof(ways) / sizeof(ways[0]);

	forget(r);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < nways; k++) {
			enum way way = ways[(i + k) % nways];

			/* it is slow: a fifth of the rounds */
			if (r->there[way] && (way != CNI_BRIDGE || i % 5 == 0))
				in_a_row(r, way);
		}
		for (unsigned k = 0; k < ROW; k++)
			series_add(&r->commits, commit_once(r->commit));
	}
	tell_rows(r);
}

/* The same two ways with @n pods standing. */
static void crowded(struct run *r, unsigned n, unsigned standing, unsigned nrounds)
{
	char what[3][80];
	struct place p;
	double floor;
	unsigned i;

	for (i = standing; i < n; i++) {
		place_of(8, i, &p);
		floor_attach(r->floor, &p);
	}
	nap_ms(500);
	forget(r);
	rounds(r, nrounds, 1u << FLOOR | 1u << LIBRARY | 1u << POOLED);
	floor = series_at(&r->up[FLOOR], 0.5);
	snprintf(what[0], sizeof(what[0]), "attach at %u pods, raw netlink floor", n);
	snprintf(what[1], sizeof(what[1]), "attach at %u pods, libpodnet", n);
	snprintf(what[2], sizeof(what[2]), "attach at %u pods, libpodnet from the pool", n);
	tell(r, what[0], &r->up[FLOOR], 1, NULL, 0, NULL, false);
	tell(r, what[1], &r->up[LIBRARY], series_at(&r->up[LIBRARY], 0.5) / floor, NULL, 0,
	     "<= 1.3 x floor", series_at(&r->up[LIBRARY], 0.5) <= 1.3 * floor);
	tell(r, what[2], &r->up[POOLED], series_at(&r->up[POOLED], 0.5) / floor, NULL, 0,
	     "<= 1.3 x floor", series_at(&r->up[POOLED], 0.5) <= 1.3 * floor);
}

static int peers_netns(void)
{
	static const char *const lo_up[] = { "ip", "link", "set", "lo", "up", NULL };
	struct command up = { .argv = lo_up };

	floor_netns("/run/peers");
	up.netns = open("/run/peers", O_RDONLY | O_CLOEXEC);
	if (up.netns < 0 || command_run(&up) != 0)
		die("the peers' namespace");
	return up.netns;
}

static int run(const struct bench *b)
{
	struct run r = { .b = b, .there = { true, true, true, true, true } };
	unsigned n = rounds_of(b, 200, 2);

	r.floor = floor_open();
	r.fresh = library_open(0);
	r.pooled = library_open(b->smoke ? ROW + 1 : POOL);
	client_open(b, &r.rest[0], "nopool", "0");
	client_open(b, &r.rest[1], "pool", b->smoke ? "2" : "32");
	r.commit = commit_open(b->dir, ROW_BYTES);
	r.peers = peers_netns();
	r.there[CNI_BRIDGE] = cni_there();
	r.there[NETAVARK] = netavark_there();
	nap_ms(b->smoke ? 50 : 500);
	rounds(&r, n / 10 + 1, ~(1u << CNI_BRIDGE | 1u << NETAVARK));      /* warm */
	forget(&r);
	rounds(&r, n / 5 + 1, ~0u);                 /* the peers are slow: a fifth of the rounds */
	rounds(&r, n - n / 5 - 1, ~(1u << CNI_BRIDGE | 1u << NETAVARK));
	tell_attach(&r);
	tell_peers(&r);
	tell_detach(&r);
	client_close(&r.rest[0]);
	rows(&r, n / 5 + 1);
	client_close(&r.rest[1]);
	crowded(&r, b->smoke ? 3 : 1000, 0, n / 2 + 1);
	crowded(&r, b->smoke ? 6 : 3000, b->smoke ? 3 : 1000, n / 2 + 1);
	forget(&r);
	library_close(r.pooled);
	library_close(r.fresh);
	floor_close(r.floor);
	commit_close(r.commit);
	return 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "attach", run);
}
