/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_paths.c - what leads to pods of other nodes, against golden files; see test_compile.c
 */
#include <netd/compile/compile.h>
#include <tests/unit/compile_world.h>

#define UID "0b7e6f4a-1111-4222-8333-94a5b6c7d8e9"

static const struct path_case {
	const char *name;
	const char *underlay[2];        /* of the other node */
	enum network_backend backend;
	const char *missing;            /* "": nothing */
	unsigned tunnels;
	bool alone;                     /* this node has no address of IPv4 */
	const char *link_local;         /* that the other tells */
	bool no_vxlan;
} path_cases[] = {
	{ "path-direct", { "192.0.2.2", "2001:db8::2" }, BACKEND_DIRECT, .missing = "" },
	{ "path-auto-direct", { "198.51.100.2", NULL }, BACKEND_AUTO, .missing = "", .tunnels = COMPILE_VXLAN4 },
	{ "path-link-local", { "192.0.2.2", NULL }, BACKEND_AUTO, .missing = "", .link_local = "fe80::2" },
	{ "path-auto", { "203.0.113.2", "2001:db8:1::2" }, BACKEND_AUTO, .missing = "", .tunnels = COMPILE_VXLAN4 },
	{ "path-vxlan", { "192.0.2.2", "2001:db8::2" }, BACKEND_VXLAN, .missing = "", .tunnels = COMPILE_VXLAN4 },
	{ "path-udp", { "192.0.2.2", NULL }, BACKEND_UDP, .missing = "", .tunnels = COMPILE_UDP4 },
	{ "path-vxlan6", { "203.0.113.2", "2001:db8:1::2" }, BACKEND_VXLAN, .missing = "", .tunnels = COMPILE_VXLAN6,
	  .alone = true },
	{ "path-other-family", { "203.0.113.2", NULL }, BACKEND_VXLAN,
	  .missing = "no path to 10.244.4.0/22 of node other: this node and it have no address of one family",
	  .alone = true },
	{ "path-no-vxlan", { "203.0.113.2", NULL }, BACKEND_AUTO, .missing = "", .tunnels = COMPILE_UDP4,
	  .no_vxlan = true },
	{ "path-direct-elsewhere", { "203.0.113.2", "2001:db8::2" }, BACKEND_DIRECT,
	  .missing = "no path to 10.244.4.0/22 of node other: it is on none of this node's links" },
	{ "path-nowhere", { NULL, NULL }, BACKEND_AUTO,
	  .missing = "no path to 10.244.4.0/22 of node other: it says no address of its own" },
	{ "path-own-address", { "192.0.2.1", "2001:db8::2" }, BACKEND_AUTO,
	  .missing = "no path to 10.244.4.0/22 of node other: its address is this node's too" },
};

static void paths(void **state)
{
	const struct compile_link links[] = {
		{ prefix("192.0.2.0/24"), "eth0" }, { prefix("2001:db8::/64"), "eth0" },
		{ prefix("198.51.0.0/16"), "eth1" }, { prefix("198.51.100.0/24"), "eth2" },
	};
	const struct podnet_prefix own[] = { prefix("192.0.2.1"), prefix("2001:db8::1") };
	struct compile_input in = {
		.own = own, .nown = 2, .links = links, .nlinks = ARRAY_SIZE(links),
		.underlay = { own[0], own[1] },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(path_cases); i++) {
		const struct path_case *c = &path_cases[i];
		struct node node = { .meta = { .name = "other", .uid = UID } };
		const struct compile_block blocks[] = {
			{ prefix("10.244.4.0/22"), c->backend },
			{ prefix("fd12:3456:789a:4::/64"), c->backend },
		};
		struct compile_path path = { &node, blocks, ARRAY_SIZE(blocks) };
		_cleanup_(compile_way_fini) struct compile_way way = { 0 };
		struct podnet_error err = { 0 };

		in.underlay[0] = c->alone ? (struct podnet_prefix){ 0 } : own[0];
		in.no_vxlan = c->no_vxlan;
		if (c->link_local)
			node.link_local = prefix(c->link_local);
		for (size_t k = 0; k < 2; k++)
			if (c->underlay[k])
				node.underlay[k] = prefix(c->underlay[k]);
		test_ok(compile_path(&in, &path, &way, &err), &err);
		assert_string_equal(way.missing, c->missing);
		assert_int_equal(compile_tunnels(&in, &path), c->tunnels);
		golden(c->name, way.set, NULL);
	}
}

/* The node's end of the tunnels, and what they leave of the underlay's MTU. */
static void tunnels(void **state)
{
	static const struct node_config conf = { .node_name = "node", .vxlan_port = 4789 };
	static const struct {
		enum network_backend backend;
		unsigned tunnels;
		uint32_t mtu;
	} rows[] = {
		{ BACKEND_AUTO, 0, 1500 }, { BACKEND_AUTO, COMPILE_VXLAN4, 1450 },
		{ BACKEND_AUTO, COMPILE_VXLAN4 | COMPILE_VXLAN6, 1430 }, { BACKEND_VXLAN, 0, 1450 }, { BACKEND_UDP, 0, 1472 },
		{ BACKEND_DIRECT, COMPILE_VXLAN4, 1500 },
	};
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_error err = { 0 };
	struct podnet_nat nat;
	struct world w;
	struct compile_input in;

	(void)state;
	make_world(&w);
	in = input(&w);
	in.conf = &conf;
	in.mtu = 0;
	in.underlay_mtu = 1500;
	in.underlay[0] = prefix("192.0.2.1");
	in.underlay[1] = prefix("2001:db8::1");
	in.tunnels = COMPILE_VXLAN4 | COMPILE_VXLAN6 | COMPILE_UDP4 | COMPILE_UDP6;
	in.others = 999;
	in.neighbours[0] = 1024;
	in.neighbours[1] = 8192;
	test_ok(compile_node(&in, NULL, 0, &set, &nat, &err), &err);
	golden("node-tunnels", set, NULL);
	free((void *)(uintptr_t)nat.inside);
	free((void *)(uintptr_t)nat.masquerade);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(podnet_set_freep) struct podnet_set *net = NULL;
		char text[64], *printed = NULL;
		size_t size;
		FILE *out = open_memstream(&printed, &size);

		w.nets[2].backend = rows[i].backend;
		in.tunnels = rows[i].tunnels;
		test_ok(compile_network(&in, &w.nets[2], &net, &err), &err);
		podnet_set_print(net, out);
		fclose(out);
		snprintf(text, sizeof(text), "mtu %u", rows[i].mtu);
		if (!strstr(printed, text))
			fail_msg("row %zu: no %s in %s", i, text, printed);
		free(printed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(tunnels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
