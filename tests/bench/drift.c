/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drift.c - damage, and how long until it is repaired
 *
 * Room: tests/bench.  The damage is done by ip(8) and nft(8), as an administrator would; meanwhile
 * the kernel is looked at by netlink every 0.1 ms.  The time runs from the first look that finds it
 * broken to the first that finds it whole.  A repair between two looks counts as nothing and is
 * told as "unseen"; a kind that was never seen broken has not been measured and misses its goal.
 */
#include "http.h"
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define PODS "/api/v1/namespaces/default/pods"
#define V1 "/apis/podnet.dev/v1"
#define COUNT 50
#define LOOK_US 100
#define GIVE_UP_MS 15000
#define GONE_MS 200             /* after the command has ended: nothing was broken */

struct pod {
	char ns[64], path[192], link[IF_NAMESIZE];
	struct in_addr ip;
	unsigned mtu;
};

struct run {
	const struct bench *b;
	struct daemon d;
	struct probe *host;
	struct pod pod[COUNT];
	unsigned n;
	struct pod *now;            /* the one that is damaged */
	struct probe *inside;       /* in its namespace, while that is the same */
	ino_t inode;
};

static bool pod_inside(struct run *r, const struct pod *pod)
{
	struct in_addr far = { .s_addr = inet_addr("203.0.113.1") };
	struct probe_link eth0;
	struct stat st;

	if (stat(pod->path, &st) < 0)
		return false;
	if (st.st_ino != r->inode || !r->inside) {
		probe_close(r->inside);
		r->inside = probe_open(pod->path, -1);
		r->inode = st.st_ino;
	}
	if (!r->inside)
		return false;
	eth0 = probe_link(r->inside, "eth0");
	return eth0.there && (eth0.flags & IFF_UP) && eth0.mtu == pod->mtu &&
	       probe_has_addr(r->inside, eth0.index, pod->ip) && probe_reaches(r->inside, far);
}

static bool pod_outside(struct run *r, const struct pod *pod)
{
	unsigned oif = probe_route(r->host, pod->ip);
	struct probe_link l = { 0 };

	if (oif)
		l = probe_link_index(r->host, oif);
	return l.there && (l.flags & IFF_UP) && l.mtu == pod->mtu;
}

static bool pod_whole(struct run *r)
{
	return pod_outside(r, r->now) && pod_inside(r, r->now);
}

static bool routes_whole(struct run *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (!probe_route(r->host, r->pod[i].ip))
			return false;
	return true;
}

static bool bridge_whole(struct run *r)
{
	struct in_addr ip = { .s_addr = inet_addr("172.18.0.1") };
	struct probe_link br = probe_link(r->host, "benchbr"), port[2];

	port[0] = probe_link(r->host, "veth-red");
	port[1] = probe_link(r->host, "veth-blue");
	return br.there && (br.flags & IFF_UP) && probe_has_addr(r->host, br.index, ip) &&
	       port[0].master == br.index && port[1].master == br.index;
}

static bool nft_whole(struct run *r)
{
	return probe_nft_table(r->host, "podnet");
}

/** A kind of damage.  In the command, %L is the pod's link on the host, %N its namespace, %I its IP. */
struct kind {
	const char *what;
	const char *command[10];
	bool (*whole)(struct run *r);
};
static const struct kind kinds[] = {
	{ "ip link del, host end", { "ip", "link", "del", "%L" }, pod_whole },
	{ "ip link del, inside the pod", { "ip", "-n", "%N", "link", "del", "eth0" }, pod_whole },
	{ "ip addr del, inside the pod",
	  { "ip", "-n", "%N", "addr", "del", "%I/32", "dev", "eth0" }, pod_whole },
	{ "ip route flush, the node's", { "ip", "route", "flush", "proto", "142" }, routes_whole },
	{ "ip route flush, inside the pod",
	  { "ip", "-n", "%N", "route", "flush", "table", "main" }, pod_whole },
	{ "ip netns del", { "ip", "netns", "del", "%N" }, pod_whole },
	{ "ip link set down", { "ip", "link", "set", "%L", "down" }, pod_whole },
	{ "ip link set down, inside the pod",
	  { "ip", "-n", "%N", "link", "set", "eth0", "down" }, pod_whole },
	{ "changed MTU", { "ip", "link", "set", "%L", "mtu", "1300" }, pod_whole },
	{ "deleted bridge with two ports", { "ip", "link", "del", "benchbr" }, bridge_whole },
	{ "nft delete table inet podnet", { "nft", "delete", "table", "inet", "podnet" },
	  nft_whole },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void fill_in(const char *pattern, const struct pod *pod, char *buf, size_t size)
{
	char ip[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &pod->ip, ip, sizeof(ip));
	if (!strncmp(pattern, "%L", 2))
		snprintf(buf, size, "%s%s", pod->link, pattern + 2);
	else if (!strncmp(pattern, "%N", 2))
		snprintf(buf, size, "%s%s", pod->ns, pattern + 2);
	else if (!strncmp(pattern, "%I", 2))
		snprintf(buf, size, "%s%s", ip, pattern + 2);
	else
		snprintf(buf, size, "%s", pattern);
}

static int start_damage(struct run *r, const struct kind *k)
{
	const char *argv[11] = { 0 };
	struct command cmd = { .argv = argv, .netns = r->d.netns };
	char words[10][80];
	int i;

	for (i = 0; i < 10 && k->command[i]; i++) {
		fill_in(k->command[i], r->now, words[i], sizeof(words[i]));
		argv[i] = words[i];
	}
	return command_start(&cmd);
}

/* Return: milliseconds from broken to whole, or -1 when it was never seen broken. */
static double damage(struct run *r, const struct kind *k)
{
	const struct timespec look = { .tv_nsec = LOOK_US * 1000 };
	uint64_t broken = 0, ended = 0, start = now_ns();
	int pid = start_damage(r, k), status = 0;

	for (;;) {
		bool whole = k->whole(r);

		if (!whole && !broken)
			broken = now_ns();
		if (!ended && waitpid(pid, &status, WNOHANG) == pid) {
			ended = now_ns();
			if (status)
				die("drift: %s: the damage failed", k->what);
		}
		if (whole && broken && ended)
			return ms_since(broken);
		if (whole && !broken && ended && ms_since(ended) > GONE_MS)
			return -1;
		if (ms_since(start) > GIVE_UP_MS)
			die("drift: %s of %s: not repaired in %d s", k->what, r->now->ns,
			    GIVE_UP_MS / 1000);
		nanosleep(&look, NULL);
	}
}

/* A repaired pod may have another link than before. */
static void find_link(struct run *r, struct pod *pod)
{
	struct probe_link l = probe_link_index(r->host, probe_route(r->host, pod->ip));

	if (!l.there)
		die("drift: %s has no link", pod->ns);
	snprintf(pod->link, sizeof(pod->link), "%s", l.name);
}

static void measure(struct run *r, const struct kind *k, unsigned n)
{
	struct series s = { 0 };
	unsigned i, unseen = 0;
	double ms;

	for (i = 0; i < n; i++) {
		r->now = &r->pod[i % r->n];
		find_link(r, r->now);
		ms = damage(r, k);
		if (ms >= 0)
			series_add(&s, ms);
		unseen += ms < 0;
		nap_ms(r->b->smoke ? 20 : 100);
	}
	if (unseen)
		fprintf(stderr, "drift: %s: %u of %u not seen broken\n", k->what, unseen, n);
	figure_print(r->b, &(struct figure){ .what = k->what, .unit = "ms", .series = &s,
		     .goal = "p99 < 100 ms", .met = s.n > 0 && series_at(&s, 0.99) < 100 });
	series_fini(&s);
}

static void make_pod(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg;
	snprintf(path, path_size, PODS);
	snprintf(body, size, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
		 "\"drift-%u\"},\"spec\":{\"containers\":[]}}", i);
}

static void learn_pod(struct run *r, struct http *h, unsigned i)
{
	struct pod *pod = &r->pod[i];
	struct http_reply reply;
	char path[128], text[64], dir[sizeof(r->d.netns_dir)];
	uint64_t start = now_ns();

	memcpy(dir, r->d.netns_dir, sizeof(dir));
	snprintf(path, sizeof(path), PODS "/drift-%u", i);
	do {
		reply = http_must(h, "GET", path, NULL);
		if (ms_since(start) > GIVE_UP_MS)
			die("drift: pod %u is not running", i);
	} while (!text_of(reply.body, "phase", text, sizeof(text)) || strcmp(text, "Running") != 0);
	if (!text_of(reply.body, "podIP", text, sizeof(text)))
		die("drift: pod %u has no address", i);
	pod->ip.s_addr = inet_addr(text);
	snprintf(pod->ns, sizeof(pod->ns), "drift-%u.default", i);
	snprintf(pod->path, sizeof(pod->path), "%s/drift-%u.default", dir, i);
	pod->mtu = probe_link_index(r->host, probe_route(r->host, pod->ip)).mtu;
	if (!pod->mtu)
		die("drift: pod %u has no link", i);
}

/* The bridge with two namespaces of the talk's second step. */
static void make_bridge(struct run *r, struct http *h)
{
	static const char *const names[] = { "red", "blue" };
	char body[512];
	unsigned i;

	http_must(h, "POST", V1 "/bridges", "{\"metadata\":{\"name\":\"benchbr\"},\"spec\":"
		  "{\"addresses\":[\"172.18.0.1/24\"]}}");
	for (i = 0; i < 2; i++) {
		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"}}", names[i]);
		http_must(h, "POST", V1 "/networknamespaces", body);
		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ends\":["
			 "{\"name\":\"veth-%s\",\"bridge\":\"benchbr\"},{\"name\":\"eth0\","
			 "\"networkNamespace\":\"%s\",\"addresses\":[\"172.18.0.%u/24\"]}]}}",
			 names[i], names[i], names[i], i + 2);
		http_must(h, "POST", V1 "/veths", body);
	}
	for (i = 0; i < 500 && !bridge_whole(r); i++)
		nap_ms(10);
	if (!bridge_whole(r))
		die("drift: the bridge was not made");
}

static int run(const struct bench *b)
{
	struct run r = { .b = b, .n = b->smoke ? 3 : COUNT };
	struct load l = { .nclients = 4, .n = r.n, .make = make_pod, .method = "POST" };
	struct load_result res;
	struct http h;
	unsigned i;

	daemon_start(b, "drift", "/run/netns", NULL, &r.d);
	r.host = probe_open(NULL, r.d.netns);
	if (!r.host)
		die("drift: no socket in netd's namespace");
	l.socket = r.d.socket;
	load_run(&l, &res);
	series_fini(&res.latency);
	http_open(&h, r.d.socket);
	for (i = 0; i < r.n; i++)
		learn_pod(&r, &h, i);
	make_bridge(&r, &h);
	http_close(&h);
	nap_ms(b->smoke ? 50 : 500);
	for (i = 0; i < KINDS; i++)
		measure(&r, &kinds[i], rounds_of(b, 50, 1));
	probe_close(r.inside);
	probe_close(r.host);
	daemon_stop(&r.d);
	return 0;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "drift", run);
}
