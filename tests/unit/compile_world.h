/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * compile_world.h - networks with blocks on this node
 */
#ifndef TESTS_COMPILE_WORLD_H
#define TESTS_COMPILE_WORLD_H

#include <errno.h>
#include <netd/compile/compile.h>
#include <stdio.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>
#include <tests/unit/golden_set.h>

/** The networks of the tests, with their blocks on this node. */
struct world {
	struct network nets[4];
	struct podnet_prefix blocks[4][3];
	size_t nblocks[4];
};

static void add_network(struct world *w, size_t i, const char *name, enum network_type type,
			bool isolation, const char *v4, const char *v6)
{
	struct network *net = &w->nets[i];

	net->meta.name = name;
	net->meta.uid = name;
	net->type = type;
	net->isolation = isolation;
	net->masquerade = true;
	net->cidrs[net->ncidrs++] = prefix(v4);
	if (v6)
		net->cidrs[net->ncidrs++] = prefix(v6);
}

static void add_block(struct world *w, size_t i, const char *block)
{
	w->blocks[i][w->nblocks[i]++] = prefix(block);
}

static void make_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	add_network(w, 0, "default", NETWORK_ROUTED, true, "10.244.0.0/16", "fd12:3456:789a::/48");
	add_block(w, 0, "10.244.0.0/22");
	add_block(w, 0, "fd12:3456:789a::/64");
	add_block(w, 0, "10.244.8.0/22");
	add_network(w, 1, "storage", NETWORK_BRIDGE, true, "10.5.0.0/16", "fd55::/48");
	add_block(w, 1, "10.5.0.0/24");
	add_block(w, 1, "fd55::/64");
	w->nets[1].mtu = 9000;
	w->nets[1].masquerade = false;
	add_network(w, 2, "a-very-long-network-name", NETWORK_BRIDGE, false, "10.6.0.0/24", NULL);
	add_block(w, 2, "10.6.0.0/24");
	add_network(w, 3, "second", NETWORK_ROUTED, true, "10.7.0.0/16", NULL);
	add_block(w, 3, "10.7.4.0/22");
}

static const struct network *find(void *arg, const char *name)
{
	struct world *w = arg;

	for (size_t i = 0; i < ARRAY_SIZE(w->nets); i++)
		if (strcmp(w->nets[i].meta.name, name) == 0)
			return &w->nets[i];
	return NULL;
}

static size_t blocks(void *arg, const char *name, const struct podnet_prefix **ret)
{
	struct world *w = arg;
	const struct network *net = find(arg, name);

	if (!net)
		return 0;
	*ret = w->blocks[net - w->nets];
	return w->nblocks[net - w->nets];
}

static struct compile_input input(struct world *w)
{
	static const struct node_config conf = {
		.service_cidrs = { { AF_INET, 16, { 10, 96 } }, { AF_INET6, 112, { 0xfd, 0x09 } } },
		.nservice_cidrs = 2,
	};

	return (struct compile_input){ .conf = &conf, .mtu = 1500, .network = find,
				       .blocks = blocks, .arg = w };
}

#endif
