/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_library.c - the services by podnet/service.h
 *
 * Room: tests/bench; include/podnet only.  The linker hands us the library's sendto(), which is how
 * the kernel's part of a commit is told from ours: a transaction is done within it.
 */
#include "services.h"

#include <podnet/podnet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct balancer {
	struct podnet *ctx;
	struct podnet_services *s;
};

static double in_send;          /* ms since it was last set to 0 */

ssize_t __real_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen);
ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen);

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
		      socklen_t tolen)
{
	uint64_t start = now_ns();
	ssize_t n = __real_sendto(fd, buf, len, flags, to, tolen);

	in_send += ms_since(start);
	return n;
}

static void must(int r, const struct podnet_error *err)
{
	char text[400];

	if (r >= 0)
		return;
	podnet_error_text(err, text, sizeof(text));
	die("library: %s", text);
}

static struct podnet_prefix address(in_addr_t ip)
{
	struct podnet_prefix p = { .family = AF_INET, .len = 32 };

	memcpy(p.addr, &ip, sizeof(ip));
	return p;
}

static void declare(struct balancer *b, const struct shape *s, unsigned i, unsigned n)
{
	struct podnet_endpoint v[64];
	struct podnet_frontend f = {
		.ip = address(service_ip(i)), .protocol = IPPROTO_TCP, .port = SERVICE_PORT,
		.flags = PODNET_FRONTEND_CLUSTER_IP, .endpoints = v, .nendpoints = n,
	};
	struct podnet_error err = { 0 };
	unsigned port;

	for (unsigned k = 0; k < n; k++) {
		v[k] = (struct podnet_endpoint){ .ip = address(endpoint_of(s, i, k, &port)),
						 .local = endpoint_is_local(s, i, k) };
		v[k].port = (uint16_t)port;
	}
	must(podnet_services_set(b->s, &f, &err), &err);
}

void balancer_declare(struct balancer *b, const struct shape *s)
{
	for (unsigned i = 0; i < s->services; i++)
		declare(b, s, i, s->endpoints);
}

struct took balancer_commit(struct balancer *b, int *changes)
{
	struct podnet_error err = { 0 };
	uint64_t start = now_ns();
	struct took took;
	int r;

	in_send = 0;
	r = podnet_services_commit(b->s, &err);
	must(r, &err);
	took = (struct took){ ms_since(start), in_send };
	if (changes)
		*changes = r;
	return took;
}

struct took balancer_endpoint(struct balancer *b, const struct shape *s, unsigned i, bool more)
{
	uint64_t start = now_ns();
	struct took took;

	declare(b, s, i, s->endpoints + more);
	took = balancer_commit(b, NULL);
	took.all = ms_since(start);
	return took;
}

struct took balancer_service(struct balancer *b, const struct shape *s, unsigned i, bool there)
{
	struct podnet_frontend gone = { .ip = address(service_ip(i)), .protocol = IPPROTO_TCP,
					.port = SERVICE_PORT };
	struct podnet_error err = { 0 };
	uint64_t start = now_ns();
	struct took took;

	if (there)
		declare(b, s, i, s->endpoints);
	else
		must(podnet_services_absent(b->s, &gone, &err), &err);
	took = balancer_commit(b, NULL);
	took.all = ms_since(start);
	return took;
}

struct balancer *balancer_open(void)
{
	struct podnet_options opts = { .size = sizeof(opts), .owner = "netd" };
	struct balancer *b = calloc(1, sizeof(*b));
	struct podnet_prefix pods = address(htonl(0x0af40000)), services = address(htonl(0x0a600000));
	struct podnet_prefix node = address(htonl(0x0a00000a));
	struct podnet_service_nets nets = { .inside = &pods, .ninside = 1, .local = &pods,
					    .nlocal = 1, .services = &services, .nservices = 1,
					    .node_ips = &node, .nnode_ips = 1 };
	struct podnet_error err = { 0 };

	if (!b)
		die("out of memory");
	pods.len = 14;
	services.len = 12;
	must(podnet_open(&b->ctx, &opts, &err), &err);
	must(podnet_services_new(b->ctx, &b->s, &err), &err);
	must(podnet_services_nets(b->s, &nets, &err), &err);
	return b;
}

void balancer_close(struct balancer *b)
{
	podnet_services_free(b->s);
	podnet_close(b->ctx);
	free(b);
}

struct balancer *balancer_again(struct balancer *b)
{
	struct podnet_error err = { 0 };
	void *data = NULL;
	size_t len;

	must(podnet_services_keep(b->s, &data, &len, &err), &err);
	balancer_close(b);
	b = balancer_open();
	must(podnet_services_kept(b->s, data, len, &err), &err);
	free(data);
	return b;
}
