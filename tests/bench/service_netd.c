/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_netd.c - services in netd: from stored objects to the kernel, and one change of one
 *
 * Room: tests/bench.  The Services have no selectors, and their EndpointSlices are written by hand,
 * as other nodes would write them.  That a change has reached the kernel is heard from the kernel
 * itself: a transaction of nf_tables is announced when it has taken effect.
 */
#include "service_run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICES "/api/v1/namespaces/default/services"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define CLIENTS 32

static const char *const flags[] = { "--pool", "0", "--service-cidr", "10.96.0.0/12", "--log-level",
				     "warning", NULL };

struct node {
	const struct bench *b;
	const struct shape *s;
	struct daemon d;
	struct http http;
	int events;                 /* nf_tables' announcements */
};

static void put_slice(const struct shape *s, unsigned i, unsigned n, char *body, size_t size)
{
	size_t at = (size_t)snprintf(body, size, "{\"metadata\":{\"name\":\"s%u-1\",\"labels\":"
		"{\"kubernetes.io/service-name\":\"s%u\"}},\"addressType\":\"IPv4\",\"ports\":"
		"[{\"name\":\"\",\"port\":%u,\"protocol\":\"TCP\"}],\"endpoints\":[", i, i, SERVER_PORT);

	for (unsigned k = 0; k < n && at < size; k++) {
		unsigned port;
		struct in_addr ip = { .s_addr = endpoint_of(s, i, k, &port) };

		at += (size_t)snprintf(body + at, size - at,
				       "%s{\"addresses\":[\"%s\"],\"nodeName\":\"node%d\"}",
				       k ? "," : "", inet_ntoa(ip),
				       endpoint_is_local(s, i, k) ? 1 : 2);
	}
	if (at < size)
		snprintf(body + at, size - at, "]}");
}

static void make_service(void *arg, unsigned i, char *path, size_t path_size, char *body,
			 size_t size)
{
	(void)arg;
	snprintf(path, path_size, SERVICES);
	snprintf(body, size, "{\"metadata\":{\"name\":\"s%u\"},\"spec\":{\"ports\":[{\"port\":%u,"
		 "\"targetPort\":%u}]}}", i, SERVICE_PORT, SERVER_PORT);
}

static void make_slice(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	const struct node *n = arg;

	snprintf(path, path_size, SLICES);
	put_slice(n->s, i, n->s->endpoints, body, size);
}

static void fill(struct node *n, const char *what)
{
	struct load l = { .socket = n->d.socket, .nclients = CLIENTS, .n = n->s->services,
			  .make = make_service, .arg = n, .method = "POST" };
	struct load_result res[2];

	load_run(&l, &res[0]);
	l.make = make_slice;
	load_run(&l, &res[1]);
	if (res[0].failed || res[1].failed)
		die("%s: %u writes were refused", what, res[0].failed + res[1].failed);
	tell_value(n->b, n->s, "netd, POST of Services and slices by 32 clients", "1/s",
		   2e3 * n->s->services / (res[0].ms + res[1].ms));
	series_fini(&res[0].latency);
	series_fini(&res[1].latency);
}

static void listen_to_kernel(struct node *n)
{
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), group = NFNLGRP_NFTABLES;
	int room = 8 << 20;
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };

	if (ours < 0 || setns(n->d.netns, CLONE_NEWNET) < 0)
		die("netd's namespace: %s", strerror(errno));
	n->events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (n->events < 0 || bind(n->events, (struct sockaddr *)&nl, sizeof(nl)) < 0 ||
	    setsockopt(n->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		die("nf_tables' announcements: %s", strerror(errno));
	setsockopt(n->events, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (setns(ours, CLONE_NEWNET) < 0)
		die("setns: %s", strerror(errno));
	close(ours);
}

static void drain(const struct node *n)
{
	char buf[8192];

	while (recv(n->events, buf, sizeof(buf), 0) > 0)
		;
}

/** Of one write, ms: from the request to the kernel, and from the answer to the kernel. */
struct heard {
	double whole, after;
};

static struct heard write_and_hear(struct node *n, const char *method, const char *path,
				   const char *body)
{
	struct pollfd p[2] = { { .fd = n->http.fd, .events = POLLIN },
			       { .fd = n->events, .events = POLLIN } };
	double answered = -1, kernel = -1;
	struct http_reply reply;
	uint64_t start;

	drain(n);
	start = now_ns();
	http_send(&n->http, method, path, body);
	while (answered < 0 || kernel < 0) {
		if (poll(p, 2, 20000) <= 0)
			die("%s %s: nothing for 20 s", method, path);
		if (p[1].revents && kernel < 0) {
			kernel = ms_since(start);
			p[1].fd = -1;
		}
		if (!p[0].revents)
			continue;
		http_read(&n->http);
		if (http_take(&n->http, &reply))
			answered = ms_since(start);
	}
	if (reply.status != 200 && reply.status != 201)
		die("%s %s: %d %.*s", method, path, reply.status, (int)reply.len, reply.body);
	return (struct heard){ kernel, kernel > answered ? kernel - answered : 0 };
}

static struct heard change_endpoints(struct node *n, unsigned i, unsigned endpoints)
{
	char path[128], body[8000];

	snprintf(path, sizeof(path), SLICES "/s%u-1", i);
	put_slice(n->s, i, endpoints, body, sizeof(body));
	return write_and_hear(n, "PUT", path, body);
}

static struct heard add_service(struct node *n, bool there)
{
	char path[128], body[512];

	make_service(NULL, n->s->services, path, sizeof(path), body, sizeof(body));
	if (!there)
		snprintf(path, sizeof(path), SERVICES "/s%u", n->s->services);
	return write_and_hear(n, there ? "POST" : "DELETE", path, there ? body : NULL);
}

static void changes(struct node *n)
{
	struct series whole = { 0 }, after = { 0 }, added = { 0 }, added_after = { 0 };
	unsigned rounds = rounds_of(n->b, 200, 3);

	for (unsigned k = 0; k < rounds; k++) {
		unsigned i = (unsigned)((uint64_t)k * 7919 % n->s->services);
		struct heard h = change_endpoints(n, i, n->s->endpoints + 1);

		series_add(&whole, h.whole);
		series_add(&after, h.after);
		h = change_endpoints(n, i, n->s->endpoints);
		series_add(&whole, h.whole);
		series_add(&after, h.after);
		h = add_service(n, true);
		series_add(&added, h.whole);
		series_add(&added_after, h.after);
		add_service(n, false);
	}
	tell_series(n->b, n->s, "netd, one endpoint more or less, from the answer to the kernel",
		    &after, "< 1 ms", series_at(&after, 0.5) < 1);
	tell_series(n->b, n->s, "netd, one endpoint more or less, from the request to the kernel",
		    &whole, "< 10 ms", series_at(&whole, 0.5) < 10);
	tell_series(n->b, n->s, "netd, a service more, from the answer to the kernel", &added_after,
		    "< 1 ms", series_at(&added_after, 0.5) < 1);
	tell_series(n->b, n->s, "netd, a service more, from the request to the kernel", &added,
		    "< 10 ms", series_at(&added, 0.5) < 10);
	series_fini(&whole);
	series_fini(&after);
	series_fini(&added);
	series_fini(&added_after);
}

static double operations(struct node *n)
{
	struct http_reply reply = http_must(&n->http, "GET", "/metrics", NULL);
	const char *at = strstr(reply.body, "\npodnet_kernel_operations_total ");

	return at ? strtod(strchr(at, ' '), NULL) : -1;
}

/* The largest that it ever was. */
static double peak_mib(pid_t pid)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kib / 1024;
}

static double start(struct node *n)
{
	uint64_t begin = now_ns();
	double ms;

	daemon_again(n->b, "services", flags, &n->d);
	ms = ms_since(begin);
	http_open(&n->http, n->d.socket);
	return ms;
}

static void halt(struct node *n)
{
	http_close(&n->http);
	daemon_halt(&n->d);
}

/* Everything, or all endpoints. */
static void flush(const struct node *n, bool all)
{
	static const char *const argv[2][7] = {
		{ "nft", "flush", "map", "inet", "podnet", "tcp-backends4", NULL },
		{ "nft", "flush", "ruleset", NULL },
	};
	struct command cmd = { .argv = argv[all], .netns = n->d.netns };

	if (command_run(&cmd) != 0)
		die("nft flush");
	nap_ms(60);
}

/* What netd leaves at an orderly end. */
static void forget_kept(void)
{
	if (unlink("/run/services/services") < 0)
		die("/run/services/services: %s", strerror(errno));
}

static double cold_goal(const struct shape *s)
{
	return s->services <= 10000 && s->endpoints == 2 ? 150 : s->endpoints == 1 ? 500 : 600;
}

static void starts(struct node *n)
{
	struct series cold = { 0 }, warm = { 0 }, killed = { 0 }, other = { 0 };
	struct series rss = { 0 }, peak = { 0 };
	unsigned rounds = rounds_of(n->b, 5, 1);
	double changed = 0;
	char goal[32];

	for (unsigned k = 0; k < rounds; k++) {
		halt(n);
		flush(n, true);
		series_add(&cold, start(n));
		series_add(&rss, (double)memory_of(n->d.pid).rss / 1024);
		series_add(&peak, peak_mib(n->d.pid));
		halt(n);
		series_add(&warm, start(n));
		changed += operations(n);
		halt(n);
		forget_kept();
		series_add(&killed, start(n));
		changed += operations(n);
		halt(n);
		flush(n, false);
		series_add(&other, start(n));
	}
	snprintf(goal, sizeof(goal), "< %.0f ms", cold_goal(n->s));
	tell_series(n->b, n->s, "netd, from its start to ready, with nothing in the kernel", &cold,
		    goal, series_at(&cold, 0.5) < cold_goal(n->s));
	tell_series(n->b, n->s, "netd, from its start to ready, with nothing changed", &warm,
		    "< 300 ms", series_at(&warm, 0.5) < 300);
	tell_series(n->b, n->s, "netd, the same behind one that was killed", &killed, NULL, false);
	tell_goal(n->b, n->s, "netd, changes that those starts made", "things", changed, "0",
		  changed == 0);
	tell_series(n->b, n->s, "netd, from its start to ready, with every endpoint another one", &other,
		    "< 1 s", series_at(&other, 0.5) < 1000);
	tell_series(n->b, n->s, "netd, RSS when it is ready", &rss,
		    n->s->services <= 10000 && n->s->endpoints == 2 ? "< 48 MiB" : NULL,
		    series_at(&rss, 0.5) < 48);
	tell_series(n->b, n->s, "netd, RSS at its highest until then", &peak, NULL, false);
	series_fini(&cold);
	series_fini(&warm);
	series_fini(&killed);
	series_fini(&other);
	series_fini(&rss);
	series_fini(&peak);
}

void netd_rounds(const struct bench *b, const struct shape *s)
{
	struct node n = { .b = b, .s = s };
	char what[64];

	snprintf(what, sizeof(what), "services%ux%u", s->services, s->endpoints);
	daemon_start(b, "services", NULL, flags, &n.d);
	http_open(&n.http, n.d.socket);
	fill(&n, what);
	starts(&n);
	listen_to_kernel(&n);
	changes(&n);
	close(n.events);
	http_close(&n.http);
	daemon_stop(&n.d);
	forget_data(b, "services");
}
