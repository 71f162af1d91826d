/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster_many.c - ten netds and one etcd: from a write on one of them to the kernels of all
 *
 * Room: tests/bench.  Each netd has a network namespace of its own, and a link to the bridge where
 * etcd is.  That a change is in a kernel its nf_tables tells: a socket in each namespace hears of
 * commits.
 */
#include "cluster.h"
#include "etcd.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES_MAX 10
#define SERVICES "/api/v1/namespaces/default/services"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

struct member {
	struct daemon d;
	struct mnl_socket *nft;
	char name[16], ip[24];
	bool heard;
};
struct many {
	const struct bench *b;
	struct etcd etcd;
	struct member v[NODES_MAX + 1];     /* the last: one that comes later */
	unsigned n, wrong;
	struct http h;              /* to the first */
};

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *fmt, ...)
{
	struct command cmd = { .netns = -1 };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cmd.argv = (const char *const[]){ "sh", "-c", text, NULL };
	if (command_run(&cmd) != 0)
		die("%s", text);
}

static void place(struct many *m, unsigned i)
{
	struct member *one = &m->v[i];

	snprintf(one->name, sizeof(one->name), "many%u", i);
	snprintf(one->ip, sizeof(one->ip), "10.9.0.%u", 10 + i);
	daemon_place(m->b, one->name, NULL, &one->d);
	sh("ip link add wire%u type veth peer name eth%u && ip link set wire%u master shared up && "
	   "ip link set eth%u netns /proc/%d/fd/%d", i, i, i, i, getpid(), one->d.netns);
	sh("nsenter --net=/proc/%d/fd/%d sh -c 'ip addr add %s/24 dev eth%u; ip link set eth%u up'",
	   getpid(), one->d.netns, one->ip, i, i);
}

static void start(struct many *m, unsigned i)
{
	struct member *one = &m->v[i];
	const char *flags[] = {
		"--node-name", one->name, "--node-ip", one->ip, "--etcd", "http://10.9.0.1:2379",
		"--cluster-cidr", "10.128.0.0/10,fd55::/48", "--pool", "0", NULL,
	};

	daemon_again(m->b, one->name, flags, &one->d);
}

/* ---- one change, everywhere ---- */

static void listen_everywhere(struct many *m)
{
	for (unsigned i = 0; i < m->n; i++)
		m->v[i].nft = cluster_socket(m->v[i].d.netns, NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
}

/* Until every kernel has told of a commit since the last call. */
static bool await_everywhere(struct many *m)
{
	struct pollfd p[NODES_MAX];
	char buf[65536];
	unsigned left = m->n;

	for (unsigned i = 0; i < m->n; i++)
		m->v[i].heard = false;
	while (left) {
		for (unsigned i = 0; i < m->n; i++)
			p[i] = (struct pollfd){ .fd = mnl_socket_get_fd(m->v[i].nft), .events = POLLIN };
		if (poll(p, m->n, 20000) <= 0)
			return false;
		for (unsigned i = 0; i < m->n; i++) {
			if (!(p[i].revents & POLLIN) ||
			    mnl_socket_recvfrom(m->v[i].nft, buf, sizeof(buf)) <= 0)
				continue;
			left -= !m->v[i].heard;
			m->v[i].heard = true;
		}
	}
	return true;
}

static void drain(struct many *m)
{
	char buf[65536];

	for (unsigned i = 0; i < m->n; i++) {
		struct pollfd p = { .fd = mnl_socket_get_fd(m->v[i].nft), .events = POLLIN };

		while (poll(&p, 1, 0) > 0)
			mnl_socket_recvfrom(m->v[i].nft, buf, sizeof(buf));
	}
}

static void slice(char *body, size_t size, unsigned endpoint)
{
	snprintf(body, size, "{\"metadata\":{\"name\":\"one-1\",\"labels\":{\"kubernetes.io/service-name\":"
		 "\"one\"}},\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":80,\"protocol\":"
		 "\"TCP\"}],\"endpoints\":[{\"addresses\":[\"10.200.0.%u\"]}]}", 1 + endpoint % 200);
}

/* What the bridge, and so etcd, has received from the nodes or sent to them. */
static double wire_bytes(void)
{
	static const char *const names[] = { "rx_bytes", "tx_bytes" };
	double sum = 0;

	for (size_t i = 0; i < 2; i++) {
		char path[80], text[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/net/shared/statistics/%s", names[i]);
		f = fopen(path, "re");
		if (f && fgets(text, sizeof(text), f))
			sum += strtod(text, NULL);
		if (f)
			fclose(f);
	}
	return sum;
}

/* What etcd has been asked, by all its methods. */
static double requests(const struct many *m)
{
	struct http_reply reply;
	struct http h;
	double sum = 0;

	http_open(&h, m->etcd.port);
	reply = http_call(&h, "GET", "/metrics", NULL);
	for (const char *at = reply.body; at && (at = strstr(at, "\ngrpc_server_started_total{")); at++) {
		const char *value = strchr(at + 1, '}');

		sum += value ? strtod(value + 1, NULL) : 0;
	}
	http_close(&h);
	return sum;
}

static void tell(const struct many *m, struct figure f)
{
	figure_print(m->b, &f);
}

static void changes(struct many *m, unsigned rounds)
{
	struct series took = { 0 };
	char body[512];
	double bytes, asked;

	http_must(&m->h, "POST", SERVICES, "{\"metadata\":{\"name\":\"one\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
	slice(body, sizeof(body), 0);
	http_must(&m->h, "POST", SLICES, body);
	nap_ms(1000);
	drain(m);
	bytes = wire_bytes();
	asked = requests(m);
	for (unsigned i = 1; i <= rounds; i++) {
		uint64_t start_ns = now_ns();

		slice(body, sizeof(body), i);
		http_must(&m->h, "PUT", SLICES "/one-1", body);
		if (!await_everywhere(m)) {
			fprintf(stderr, "cluster: WRONG: a change is not in every kernel: %u\n", i);
			m->wrong++;
			return;
		}
		series_add(&took, ms_since(start_ns));
		nap_ms(20);
		drain(m);
	}
	bytes = wire_bytes() - bytes;
	asked = requests(m) - asked;
	tell(m, (struct figure){
		.what = "PUT of an EndpointSlice on one of 10 nodes, to the kernels of all", .unit = "ms",
		.series = &took, .goal = "p99 under 100 ms", .met = series_at(&took, 0.99) < 100,
	});
	tell(m, (struct figure){ .what = "bytes to and from etcd of such a change", .unit = "KiB",
				 .value = bytes / 1024 / rounds });
	tell(m, (struct figure){ .what = "requests to etcd of such a change", .unit = "",
				 .value = asked / rounds });
	series_fini(&took);
}

/* ---- a fresh node ---- */

static void make_service(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg;
	snprintf(path, path_size, SERVICES);
	snprintf(body, size, "{\"metadata\":{\"name\":\"svc-%u\"},\"spec\":{\"ports\":[{\"port\":80}]}}", i);
}

static void fresh(struct many *m)
{
	struct load load = {
		.socket = m->v[0].d.socket, .nclients = 16, .n = m->b->smoke ? 50 : 10000,
		.make = make_service, .method = "POST",
	};
	struct load_result result = { 0 };
	uint64_t start_ns;
	double took;

	load_run(&load, &result);
	if (result.failed) {
		fprintf(stderr, "cluster: WRONG: Services were not made: %u\n", result.failed);
		m->wrong++;
	}
	place(m, m->n);
	start_ns = now_ns();
	start(m, m->n);
	took = ms_since(start_ns);
	tell(m, (struct figure){
		.what = "a fresh node, from its start to ready, 10,000 Services in etcd", .unit = "ms",
		.value = took, .goal = "under 3000 ms", .met = took < 3000,
	});
	daemon_stop(&m->v[m->n].d);
	series_fini(&result.latency);
}

unsigned cluster_many(const struct bench *b)
{
	struct many m = { .b = b, .n = b->smoke ? 3 : NODES_MAX };

	sh("ip link add shared type bridge && ip addr add 10.9.0.1/24 dev shared && ip link set shared up");
	if (!etcd_start(b, &m.etcd)) {
		fprintf(stderr, "cluster: there is no etcd here\n");
		return 0;
	}
	for (unsigned i = 0; i < m.n; i++) {
		place(&m, i);
		start(&m, i);
	}
	http_open(&m.h, m.v[0].d.socket);
	listen_everywhere(&m);
	changes(&m, rounds_of(b, 200, 5));
	fresh(&m);
	http_close(&m.h);
	for (unsigned i = 0; i < m.n; i++) {
		mnl_socket_close(m.v[i].nft);
		daemon_stop(&m.v[i].d);
	}
	etcd_stop(&m.etcd);
	return m.wrong;
}
