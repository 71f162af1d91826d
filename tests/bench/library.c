/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * library.c - the routed dual-stack pod, declared with the public headers
 *
 * Room: tests/bench; include/podnet only.  The set is the one that netd compiles for a pod of the
 * default network (netd/compile/pod.c), and what floor.c makes by hand.
 */
#include "library.h"

#include <podnet/podnet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define POOL_WAY 9              /* of place_of(): its addresses are no other way's */

struct library {
	struct podnet *ctx;
	struct podnet_pool *pool;
	uint32_t size;
	unsigned given, ahead;      /* of the pool's addresses: handed out, made */
};

static void must(int r, const struct podnet_error *err, const char *what)
{
	char text[400];

	if (r >= 0)
		return;
	podnet_error_text(err, text, sizeof(text));
	die("library: %s: %s", what, text);
}

static struct podnet_prefix prefix(uint8_t family, const void *addr)
{
	struct podnet_prefix p = { .family = family, .len = family == AF_INET ? 32 : 128 };

	memcpy(p.addr, addr, family == AF_INET ? 4 : 16);
	return p;
}

static struct podnet_prefix text(const char *s)
{
	struct podnet_prefix p = { 0 };

	podnet_prefix_parse(s, &p);
	return p;
}

/* What does not depend on the address, and so can wait in the pool. */
static void put_gateway(struct podnet_set *set, const char *netns, bool v6)
{
	struct podnet_prefix gateway = text(v6 ? "fe80::1" : "169.254.1.1");

	podnet_set_neigh(set, &(struct podnet_neigh){ .netns = netns, .link = "eth0",
			 .addr = gateway }, NULL);
	podnet_set_route(set, &(struct podnet_route){ .netns = netns,
			 .dst = text(v6 ? "::/0" : "0.0.0.0/0"), .via = gateway, .link = "eth0",
			 .onlink = true }, NULL);
}

/* What an address needs at both ends; the way to it is the route. */
static void put_end(struct podnet_set *set, const struct place *p, struct podnet_prefix ip)
{
	podnet_set_addr(set, &(struct podnet_addr){ .netns = p->name, .link = "eth0", .prefix = ip,
			.no_prefix_route = ip.family == AF_INET6 }, NULL);
	podnet_set_neigh(set, &(struct podnet_neigh){ .link = p->link, .addr = ip }, NULL);
}

static void put_family(struct podnet_set *set, const struct place *p, struct podnet_prefix ip)
{
	bool v6 = ip.family == AF_INET6;

	put_end(set, p, ip);
	podnet_set_route(set, &(struct podnet_route){ .dst = ip, .link = p->link }, NULL);
	put_gateway(set, p->name, v6);
}

static struct podnet_set *declare(const struct place *p)
{
	uint32_t flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN;
	struct podnet_veth veth = { .end = { { .name = p->link, .flags = flags },
					     { .netns = p->name, .name = "eth0",
					       .flags = flags } } };
	struct podnet_netns netns = { .name = p->name, .scope = p->name };
	struct podnet_error err = { 0 };
	struct podnet_set *set;

	must(podnet_set_new(&set, p->name, &err), &err, "set");
	podnet_set_netns(set, &netns, NULL);
	podnet_set_veth(set, &veth, NULL);
	put_family(set, p, prefix(AF_INET, &p->ip4));
	put_family(set, p, prefix(AF_INET6, &p->ip6));
	return set;
}

void library_attach(struct library *l, const struct place *p)
{
	struct podnet_set *set = declare(p);
	struct podnet_error err = { 0 };
	struct podnet_plan *plan;

	must(podnet_plan_make(l->ctx, set, PODNET_PLAN_FRESH, &plan, &err), &err, "plan");
	if (l->pool)
		podnet_plan_pool(plan, l->pool);
	must(podnet_plan_commit(l->ctx, plan, &err), &err, "commit");
	podnet_plan_free(plan);
	podnet_set_free(set);
}

void library_detach(struct library *l, const struct place *p)
{
	struct podnet_set *set = declare(p);
	struct podnet_error err = { 0 };
	struct podnet_plan *plan;

	must(podnet_plan_absent(l->ctx, set, 0, &plan, &err), &err, "plan of absence");
	must(podnet_plan_commit(l->ctx, plan, &err), &err, "commit of absence");
	podnet_plan_free(plan);
	podnet_set_free(set);
}

int library_changes(struct library *l, const struct place *p)
{
	struct podnet_set *set = declare(p);
	struct podnet_error err = { 0 };
	struct podnet_plan *plan;
	int n = podnet_plan_make(l->ctx, set, 0, &plan, &err);

	must(n, &err, "second plan");
	if (n)
		podnet_plan_print(plan, stderr);
	podnet_plan_free(plan);
	podnet_set_free(set);
	return n;
}

/* One more, with the addresses that the one who comes next but so many will be given. */
static void add_ahead(struct library *l)
{
	struct podnet_error err = { 0 };
	struct podnet_set *own = NULL;
	struct place p;

	place_of(POOL_WAY, ++l->ahead, &p);
	must(podnet_set_new(&own, "own", &err), &err, "set");
	put_end(own, &p, prefix(AF_INET, &p.ip4));
	put_end(own, &p, prefix(AF_INET6, &p.ip6));
	must(podnet_pool_add(l->pool, own, &err), &err, "pool");
	podnet_set_free(own);
}

void library_fill(struct library *l)
{
	while (l->pool && podnet_pool_ready(l->pool) < l->size)
		add_ahead(l);
}

void library_give(struct library *l, struct place *p)
{
	struct place given;

	place_of(POOL_WAY, ++l->given, &given);
	p->ip4 = given.ip4;
	p->ip6 = given.ip6;
}

struct library *library_open(unsigned pool)
{
	struct podnet_options opts = { .size = sizeof(opts), .owner = pool ? "pooled" : "fresh" };
	struct podnet_pool_spec spec = { .size = pool };
	struct podnet_set *ahead = NULL;
	struct library *l = calloc(1, sizeof(*l));
	struct podnet_error err = { 0 };

	if (!l)
		die("out of memory");
	must(podnet_open(&l->ctx, &opts, &err), &err, "open");
	l->size = pool;
	must(podnet_set_new(&ahead, "ahead", &err), &err, "set");
	put_gateway(ahead, "pod", false);
	put_gateway(ahead, "pod", true);
	spec.ahead = ahead;
	if (pool)
		must(podnet_pool_new(l->ctx, &spec, &l->pool, &err), &err, "pool");
	podnet_set_free(ahead);
	library_fill(l);
	return l;
}

void library_close(struct library *l)
{
	if (l->pool)
		podnet_pool_free(l->pool);
	podnet_close(l->ctx);
	free(l);
}
