/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * primitives.c - a namespace, a veth pair into it and an address at each end, verb by verb
 *
 *	sudo ./primitives           makes it, makes it again (0 changes), takes it away
 *	sudo ./primitives --keep    leaves it there, to be looked at:
 *	sudo ip netns exec hello ping -c 1 10.99.0.1
 *	sudo ./primitives --down    takes it away
 *
 * Build it outside of podnet's tree: cc primitives.c $(pkg-config --cflags --libs podnet)
 */
#include <podnet/podnet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct podnet_netns hello = { .name = "hello" };

static const struct podnet_veth pair = { .end = {
	{ .name = "hello-host", .flags = PODNET_LINK_UP },
	{ .netns = "hello", .name = "eth0", .flags = PODNET_LINK_UP },
} };

static int failed(const struct podnet_error *err)
{
	char text[512];

	podnet_error_text(err, text, sizeof(text));
	fprintf(stderr, "primitives: %s\n", text);
	return 1;
}

static int address(struct podnet *ctx, const char *netns, const char *link, const char *text,
		   struct podnet_error *err)
{
	struct podnet_addr addr = { .netns = netns, .link = link };

	podnet_prefix_parse(text, &addr.prefix);
	return podnet_addr_ensure(ctx, &addr, err);
}

/* every verb returns how many changes it made to the kernel, or a negative errno */
static int up(struct podnet *ctx, struct podnet_error *err)
{
	int changes = 0, r;

	r = podnet_netns_ensure(ctx, &hello, err);
	if (r < 0)
		return r;
	changes += r;
	r = podnet_veth_ensure(ctx, &pair, err);
	if (r < 0)
		return r;
	changes += r;
	r = address(ctx, NULL, "hello-host", "10.99.0.1/24", err);
	if (r < 0)
		return r;
	changes += r;
	r = address(ctx, "hello", "eth0", "10.99.0.2/24", err);
	return r < 0 ? r : changes + r;
}

static int down(struct podnet *ctx, struct podnet_error *err)
{
	/* one end goes with the other, and each takes its addresses along */
	int links = podnet_link_absent(ctx, NULL, "hello-host", err), r;

	if (links < 0)
		return links;
	r = podnet_netns_absent(ctx, "hello", err);
	return r < 0 ? r : links + r;
}

static int show(const char *what, int r)
{
	if (r >= 0)
		printf("%s: %d changes\n", what, r);
	return r;
}

int main(int argc, char **argv)
{
	bool only_down = argc > 1 && strcmp(argv[1], "--down") == 0;
	bool keep = argc > 1 && strcmp(argv[1], "--keep") == 0;
	struct podnet_error err = { 0 };
	struct podnet *ctx;
	int r = 0, gone = 0;

	if (podnet_open(&ctx, NULL, &err) < 0)
		return failed(&err);
	if (!only_down)
		r = show("up", up(ctx, &err));
	if (!only_down && r >= 0)
		r = show("up once more", up(ctx, &err));
	/* also what a failure left half made */
	if (!keep)
		gone = show("down", down(ctx, r < 0 ? NULL : &err));
	podnet_close(ctx);
	return r < 0 || gone < 0 ? failed(&err) : 0;
}
