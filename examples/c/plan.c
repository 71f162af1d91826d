/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.c - declare what a pod needs, see what would change, make it so, see that nothing is left
 *
 *	sudo ./plan
 *
 * The pod is routed: a /32 address, a default route to a gateway that is only a neighbour entry,
 * and one route to it on the host.
 */
#include <net/if.h>
#include <podnet/podnet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct podnet_prefix prefix(const char *text)
{
	struct podnet_prefix p = { 0 };

	podnet_prefix_parse(text, &p);
	return p;
}

/* An error sticks to the set, so that only the last call has to be looked at. */
static int declare(struct podnet_set *pod, struct podnet_error *err)
{
	const struct podnet_veth veth = { .end = {
		{ .name = "demo-host", .flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN,
		  .mac = { 2, 0, 0, 0, 0, 1 } },
		{ .netns = "demo", .name = "eth0", .flags = PODNET_LINK_UP },
	} };
	const struct podnet_addr addr = {
		.netns = "demo", .link = "eth0", .prefix = prefix("10.98.0.2/32"),
	};
	const struct podnet_route gateway = {
		.netns = "demo", .link = "eth0", .dst = prefix("169.254.1.1/32"),
	};
	const struct podnet_route out = {
		.netns = "demo", .link = "eth0", .dst = prefix("0.0.0.0/0"),
		.via = prefix("169.254.1.1"),
	};
	const struct podnet_neigh neigh = {
		.netns = "demo", .link = "eth0", .addr = prefix("169.254.1.1"),
		.mac = { 2, 0, 0, 0, 0, 1 },
	};
	const struct podnet_route home = { .link = "demo-host", .dst = prefix("10.98.0.2/32") };
	const struct podnet_netns netns = { .name = "demo" };

	podnet_set_netns(pod, &netns, err);
	podnet_set_veth(pod, &veth, err);
	podnet_set_addr(pod, &addr, err);
	podnet_set_route(pod, &gateway, err);
	podnet_set_route(pod, &out, err);
	podnet_set_neigh(pod, &neigh, err);
	return podnet_set_route(pod, &home, err);
}

/* print a plan and carry it out; @r is what making it returned */
static int carry_out(struct podnet *ctx, const char *what, struct podnet_plan *plan, int r,
		     struct podnet_error *err)
{
	if (r < 0)
		return r;
	printf("%s: %d operations\n", what, r);
	podnet_plan_print(plan, stdout);
	r = podnet_plan_commit(ctx, plan, err);
	podnet_plan_free(plan);
	return r;
}

static int demo(struct podnet *ctx, struct podnet_set *pod, struct podnet_error *err)
{
	struct podnet_plan *plan = NULL;
	int r = declare(pod, err);

	if (r < 0)
		return r;
	r = podnet_plan_make(ctx, pod, 0, &plan, err);
	r = carry_out(ctx, "to make it", plan, r, err);
	if (r < 0)
		return r;
	r = podnet_plan_make(ctx, pod, 0, &plan, err);
	r = carry_out(ctx, "once more", plan, r, err);
	if (r < 0)
		return r;
	r = podnet_plan_absent(ctx, pod, 0, &plan, err);
	r = carry_out(ctx, "to take it away", plan, r, err);
	/* the kernel takes the pair back with its namespace, a moment after that was given up */
	for (int i = 0; i < 100 && if_nametoindex("demo-host"); i++)
		usleep(10000);
	return r;
}

int main(void)
{
	struct podnet_error err = { 0 };
	struct podnet_set *pod = NULL;
	struct podnet *ctx = NULL;
	char text[512];
	int r = podnet_open(&ctx, NULL, &err);

	if (r == 0)
		r = podnet_set_new(&pod, "demo", &err);
	if (r == 0)
		r = demo(ctx, pod, &err);
	podnet_set_free(pod);
	podnet_close(ctx);
	if (r >= 0)
		return 0;
	podnet_error_text(&err, text, sizeof(text));
	fprintf(stderr, "plan: %s\n", text);
	return 1;
}
