/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_compile_tunnel.c - what Tunnels mean in the kernel, against golden files
 *
 * Room: unit tests; no kernel.
 */
#include <netd/compile/compile.h>
#include <tests/unit/golden_set.h>

#define UID "0b7e6f4a-1111-4222-8333-94a5b6c7d8e9"

#define NO_MAC { 0 }
static const struct tunnel_case {
	const char *name, *local, *address;
	enum tunnel_type type;
	uint32_t mtu;
	const char *first, *second, *cidrs[2];
	enum tunnel_framing framing;
	uint8_t mac[6];
} tunnel_cases[] = {
	{ "tunnel-udp", "10.0.0.1", "172.16.0.100/16", TUNNEL_UDP, 0, "10.0.0.2", "10.0.0.3",
	  { "172.16.1.0/24", "172.16.2.0/24" }, TUNNEL_RAW, NO_MAC },
	{ "tunnel-udp-pi", "fd00::1", "172.16.0.100/16", TUNNEL_UDP, 0, "fd00::2", "fd00::3",
	  { "172.16.1.0/24", "fd16::/64" }, TUNNEL_PI, NO_MAC },
	{ "tunnel-vxlan", "10.0.0.1", "172.16.0.100/16", TUNNEL_VXLAN, 0, "10.0.0.2", "10.0.0.3",
	  { "172.16.1.0/24", "fd16::/64" }, TUNNEL_RAW, NO_MAC },
	{ "tunnel-vxlan-6", "fd00::1", "fd17::1/64", TUNNEL_VXLAN, 0, "fd00::2", "fd00::3",
	  { "172.16.1.0/24", "fd16::/64" }, TUNNEL_RAW, NO_MAC },
	{ "tunnel-vxlan-said", "10.0.0.1", "172.16.0.100/16", TUNNEL_VXLAN, 1400, "10.0.0.2",
	  "10.0.0.3", { "172.16.1.0/24", "172.16.2.0/24" }, TUNNEL_RAW, { 2, 0, 0, 0, 0, 9 } },
};

static void tunnels(void **state)
{
	const struct compile_input in = { .underlay_mtu = 1500 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tunnel_cases); i++) {
		const struct tunnel_case *c = &tunnel_cases[i];
		struct podnet_prefix address = prefix(c->address);
		struct podnet_prefix cidrs[] = { prefix(c->cidrs[0]), prefix(c->cidrs[1]) };
		struct tunnel_peer peers[] = {
			{ .address = prefix(c->first), .cidrs = &cidrs[0], .ncidrs = 1 },
			{ .address = prefix(c->second), .cidrs = &cidrs[1], .ncidrs = 1,
			  .framing = c->framing },
		};
		struct tunnel t = {
			.meta = { .name = "t", .uid = UID }, .interface = "t0", .type = c->type,
			.id = c->type == TUNNEL_VXLAN ? 42 : 0, .local = prefix(c->local), .port = 9000,
			.mtu = c->mtu, .addresses = &address, .naddresses = 1, .peers = peers,
			.npeers = 2,
		};
		_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
		struct podnet_error err = { 0 };

		memcpy(t.mac, c->mac, sizeof(t.mac));
		memcpy(peers[1].mac, c->mac, sizeof(t.mac));
		test_ok(compile_tunnel(&in, &t, &set, &err), &err);
		golden(c->name, set, NULL);
	}
}

/* both ends make the same one, and different ones for every device */
static void macs(void **state)
{
	static const struct { uint32_t id; const char *address; } others[] = {
		{ 1, "10.0.0.2" }, { 2, "10.0.0.1" }, { 1, "fd00::1" },
	};
	struct podnet_prefix address = prefix("10.0.0.1");
	uint8_t mac[6], other[6];

	(void)state;
	compile_vxlan_mac(1, &address, mac);
	assert_int_equal(mac[0] & 3, 2);        /* local, unicast */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		address = prefix(others[i].address);
		compile_vxlan_mac(others[i].id, &address, other);
		assert_memory_not_equal(mac, other, sizeof(mac));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels),
		cmocka_unit_test(macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
