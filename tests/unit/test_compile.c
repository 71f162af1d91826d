/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_compile.c - what API objects mean in the kernel, against golden files
 *
 * tests/golden/compile/NAME.plan holds the printed set of each row.  PODNET_GOLDEN=write writes
 * them anew; read the diff before it is committed.
 */
#include <netd/compile/compile.h>
#include <tests/unit/compile_world.h>

#define UID "0b7e6f4a-1111-4222-8333-94a5b6c7d8e9"

/* ---- pods ---- */

static struct pod_network attached(const char *network, const char *interface, const char *v4,
				   const char *v6, bool is_default)
{
	struct pod_network att = {
		.network = network, .interface = interface, .default_route = is_default,
	};

	att.ips[att.nips++] = prefix(v4);
	if (v6)
		att.ips[att.nips++] = prefix(v6);
	return att;
}

static void pod_v4(struct pod *pod)
{
	pod->attached[0] = attached("second", "eth0", "10.7.4.2", NULL, true);
	pod->nattached = 1;
}

static void pod_dual(struct pod *pod)
{
	pod->attached[0] = attached("default", "eth0", "10.244.0.2", "fd12:3456:789a::2", true);
	pod->nattached = 1;
}

static void pod_mac(struct pod *pod)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

	pod_dual(pod);
	memcpy(pod->attached[0].mac, mac, 6);
}

static void pod_second_network(struct pod *pod)
{
	pod_dual(pod);
	pod->attached[1] = attached("second", "eth1", "10.7.4.3", NULL, false);
	pod->nattached = 2;
}

static void pod_default_by_second(struct pod *pod)
{
	pod_second_network(pod);
	pod->attached[0].default_route = false;
	pod->attached[1].default_route = true;
}

static void pod_bridge_isolated(struct pod *pod)
{
	pod->attached[0] = attached("storage", "eth0", "10.5.0.2", "fd55::2", true);
	pod->nattached = 1;
}

static void pod_bridge_plain(struct pod *pod)
{
	pod->attached[0] = attached("a-very-long-network-name", "eth0", "10.6.0.2", NULL, true);
	pod->nattached = 1;
}

/* the block is the whole CIDR: no route of the CIDR beside the address's own */
static void pod_bridge_second(struct pod *pod)
{
	pod_dual(pod);
	pod->attached[1] = attached("a-very-long-network-name", "eth1", "10.6.0.3", NULL, false);
	pod->attached[2] = attached("storage", "eth2", "10.5.0.3", "fd55::3", false);
	pod->nattached = 3;
}

static void pod_limits(struct pod *pod)
{
	pod_v4(pod);
	pod->ingress_bps = 10000000;
	pod->egress_bps = 5000000;
}

static void pod_around(struct pod *pod)
{
	pod_limits(pod);
	pod->netns = "/proc/1234/ns/net";
}

static void pod_host_network(struct pod *pod)
{
	pod->host_network = true;
}

static const struct pod_case {
	const char *name;
	void (*fill)(struct pod *pod);
} pod_cases[] = {
	{ "pod-v4", pod_v4 },
	{ "pod-dual", pod_dual },
	{ "pod-mac", pod_mac },
	{ "pod-second-network", pod_second_network },
	{ "pod-default-by-second", pod_default_by_second },
	{ "pod-bridge-isolated", pod_bridge_isolated },
	{ "pod-bridge-plain", pod_bridge_plain },
	{ "pod-bridge-second", pod_bridge_second },
	{ "pod-limits", pod_limits },
	{ "pod-around-namespace", pod_around },
	{ "pod-host-network", pod_host_network },
};

static void pods(void **state)
{
	struct pod_network att[3] = { 0 };
	struct world w;
	struct compile_input in = input(&w);

	(void)state;
	make_world(&w);
	for (size_t i = 0; i < ARRAY_SIZE(pod_cases); i++) {
		struct pod pod = {
			.meta = { .ns = "shop", .name = "web", .uid = UID }, .attached = att,
		};
		_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
		struct podnet_error err = { 0 };

		pod_cases[i].fill(&pod);
		test_ok(compile_pod(&in, &pod, &set, &err), &err);
		golden(pod_cases[i].name, set, NULL);
	}
}

static void pod_without_its_network(void **state)
{
	struct pod_network att = attached("nowhere", "eth0", "10.9.0.2", NULL, true);
	struct pod pod = {
		.meta = { .ns = "shop", .name = "web", .uid = UID },
		.attached = &att, .nattached = 1,
	};
	struct podnet_set *set = NULL;
	struct podnet_error err = { 0 };
	struct world w;
	struct compile_input in = input(&w);

	(void)state;
	make_world(&w);
	assert_int_equal(compile_pod(&in, &pod, &set, &err), -ENOENT);
	assert_null(set);
	assert_string_equal(err.field, "network");
	assert_string_equal(err.object, "nowhere");
}

/* ---- networks and the node ---- */

static void networks(void **state)
{
	static const char *const names[] = {
		"network-routed", "network-bridge-isolated", "network-bridge-plain",
	};
	struct world w;
	struct compile_input in = input(&w);

	(void)state;
	make_world(&w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
		struct podnet_error err = { 0 };

		test_ok(compile_network(&in, &w.nets[i], &set, &err), &err);
		golden(names[i], set, NULL);
	}
}

static void check_node(struct world *w, const char *name, size_t from, size_t n)
{
	const struct network *nets[4];
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct compile_input in = input(w);
	struct podnet_error err = { 0 };
	struct podnet_nat nat;

	for (size_t i = 0; i < n; i++)
		nets[i] = &w->nets[from + i];
	test_ok(compile_node(&in, nets, n, &set, &nat, &err), &err);
	golden(name, set, &nat);
	free((void *)(uintptr_t)nat.inside);
	free((void *)(uintptr_t)nat.masquerade);
}

static void node(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	check_node(&w, "node", 0, 4);
	check_node(&w, "node-v4-only", 3, 1);
	check_node(&w, "node-no-networks", 0, 0);
}

/* ---- load-balancer addresses ---- */

/* IPv4 on lo, IPv6 on the uplink, and what the node has itself nowhere. */
static void balanced(void **state)
{
	const struct podnet_prefix ips[] = { prefix("192.0.2.7"), prefix("fd00:7::7"), prefix("192.0.2.8") };
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL, *without = NULL;
	struct podnet_error err = { 0 };
	struct compile_input in;
	struct podnet_nat nat;
	struct world w;

	(void)state;
	make_world(&w);
	in = input(&w);
	in.balanced = ips;
	in.nbalanced = ARRAY_SIZE(ips);
	in.own = &ips[2];
	in.nown = 1;
	in.uplinks[0] = "eth0";
	in.uplinks[1] = "eth1";
	test_ok(compile_node(&in, NULL, 0, &set, &nat, &err), &err);
	golden("node-balanced", set, NULL);
	free((void *)(uintptr_t)nat.inside);
	free((void *)(uintptr_t)nat.masquerade);
	assert_string_equal(compile_announce_on(&in, &ips[0]), "eth0");
	assert_string_equal(compile_announce_on(&in, &ips[1]), "eth1");
	assert_null(compile_announce_on(&in, &ips[2]));
	in.uplinks[1] = "";
	assert_string_equal(compile_announce_on(&in, &ips[1]), "eth0");
	in.uplinks[0] = NULL;
	assert_null(compile_announce_on(&in, &ips[0]));
	test_ok(compile_node(&in, NULL, 0, &without, &nat, &err), &err);
	golden("node-balanced-no-uplink", without, NULL);
	free((void *)(uintptr_t)nat.inside);
	free((void *)(uintptr_t)nat.masquerade);
}

/* Each has about its share, whatever the order; without one of them only its own move. */
static void announcers(void **state)
{
	const char *const nodes[] = { "node1", "node2", "node3", "node4" };
	const char *const turned[] = { "node4", "node3", "node2", "node1" };
	size_t share[4] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct podnet_prefix ip = { AF_INET, 32, { 192, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		size_t of4 = compile_announcer(nodes, 4, &ip), of3 = compile_announcer(nodes, 3, &ip);

		share[of4]++;
		assert_int_equal(compile_announcer(turned, 4, &ip), 3 - of4);
		if (of4 < 3)
			assert_int_equal(of3, of4);
	}
	for (size_t i = 0; i < 4; i++)          /* 1,000 and 5 sigma */
		assert_in_range(share[i], 1000 - 137, 1000 + 137);
}

/* ---- primitives ---- */

static void primitive_netns(void **state)
{
	struct netns ns = { .meta = { .name = "con", .uid = UID } };
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL, *adopted = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(compile_netns(NULL, &ns, &set, &err), &err);
	golden("netns", set, NULL);
	ns.path = "pid:7";
	test_ok(compile_netns(NULL, &ns, &adopted, &err), &err);
	golden("netns-adopted", adopted, NULL);
}

static void primitive_veth(void **state)
{
	struct podnet_prefix here = prefix("172.16.0.1/24"), there = prefix("172.16.0.2/24");
	struct veth veth = {
		.meta = { .name = "v", .uid = UID }, .mtu = 1400,
		.ends = {
			{ .name = "veth10", .addresses = &here, .naddresses = 1 },
			{ .netns = "con", .name = "veth11", .mac = { 2, 0, 0, 0, 0, 9 },
			  .addresses = &there, .naddresses = 1 },
		},
	};
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL, *bridged = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(compile_veth(NULL, &veth, &set, &err), &err);
	golden("veth", set, NULL);
	veth.ends[0].bridge = "br0";
	veth.ends[0].naddresses = 0;
	test_ok(compile_veth(NULL, &veth, &bridged, &err), &err);
	golden("veth-on-bridge", bridged, NULL);
}

static void primitive_bridge(void **state)
{
	struct podnet_prefix addrs[] = { prefix("172.16.0.1/24"), prefix("fd00::1/64") };
	struct bridge br = {
		.meta = { .name = "br0", .uid = UID }, .addresses = addrs, .naddresses = 2,
	};
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(compile_bridge(NULL, &br, &set, &err), &err);
	golden("bridge", set, NULL);
}

static void primitive_route(void **state)
{
	static const char *const types[] = { NULL, "unicast", "unreachable", "blackhole" };
	char name[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		bool leads = i < 2;
		struct route route = {
			.meta = { .name = "r", .uid = UID }, .netns = "con",
			.destination = prefix("10.9.0.0/16"), .metric = 7, .type = types[i],
			.interface = leads ? "veth11" : NULL, .on_link = leads,
		};
		_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
		struct podnet_error err = { 0 };

		if (leads)
			route.gateway = prefix("172.16.0.1");
		test_ok(compile_route(NULL, &route, &set, &err), &err);
		snprintf(name, sizeof(name), "route-%s", types[i] ? types[i] : "default-type");
		golden(name, set, NULL);
	}
}

/* ---- names ---- */

static void link_names(void **state)
{
	char a[16], b[16], c[16];

	(void)state;
	compile_link_name(UID, "default", a);
	compile_link_name(UID, "storage", b);
	compile_link_name("0b7e6f4a-1111-4222-8333-94a5b6c7d8ea", "default", c);
	assert_int_equal(strlen(a), 15);
	assert_int_equal(strspn(a + 2, "abcdefghijklmnopqrstuvwxyz234567"), 13);
	assert_memory_equal(a, "pn", 2);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	/* netd must know its links again after an upgrade */
	assert_string_equal(a, "pnfqepjo5xl2tmu");
}

static void bridge_names(void **state)
{
	struct network net = { .meta = { .name = "twelve-bytes" } };
	char buf[16];

	(void)state;
	assert_string_equal(compile_bridge_name(&net, buf), "br-twelve-bytes");
	net.meta.name = "thirteen-byte";
	assert_int_equal(strlen(compile_bridge_name(&net, buf)), 15);
	assert_memory_equal(buf, "br-", 3);
	assert_memory_not_equal(buf, "br-thirteen", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods),
		cmocka_unit_test(pod_without_its_network),
		cmocka_unit_test(networks),
		cmocka_unit_test(node),
		cmocka_unit_test(balanced),
		cmocka_unit_test(announcers),
		cmocka_unit_test(primitive_netns),
		cmocka_unit_test(primitive_veth),
		cmocka_unit_test(primitive_bridge),
		cmocka_unit_test(primitive_route),
		cmocka_unit_test(link_names),
		cmocka_unit_test(bridge_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
