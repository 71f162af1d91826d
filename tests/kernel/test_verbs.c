/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_verbs.c - ensure, again, seen, absent, again: every kind, IPv4 and IPv6, here and elsewhere
 *
 * Room: the public headers, as an embedder; ip(8) and tc(8) are the second opinion.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>

enum kind { VETH, BRIDGE, LINK, VXLAN, TUN, FDB, ADDR, ROUTE, RULE, NEIGH, LIMIT, SYSCTL };

#define VX "ip link add vx0 type vxlan id 7 local 10.0.0.1 dstport 4789 nolearning;" \
	"ip link set vx0 alias podnet:lib:verb;"

static const struct row {
	const char *says, *before;      /* shell, run first */
	enum kind kind;
	const char *netns, *a, *b, *c;  /* see carry() */
	const char *seen;               /* shell: succeeds exactly while the object is there */
} rows[] = {
	{ "veth", "true", VETH, NULL, "h0", "c0", NULL, "ip link show h0 && ip link show c0" },
	{ "veth into another", "ip netns add n1", VETH, "n1", "h0", "eth0", NULL,
	  "ip link show h0 && ip -n n1 link show eth0 up" },
	{ "bridge", "true", BRIDGE, NULL, "br0", NULL, NULL,
	  "ip -d link show br0 | grep -q 'alias podnet:lib:verb'" },
	{ "bridge elsewhere", "ip netns add n1", BRIDGE, "n1", "br0", NULL, NULL,
	  "ip -n n1 -d link show br0 | grep -q alias" },
	{ "vxlan", "true", VXLAN, NULL, "vx0", "10.0.0.1", NULL, "ip -d link show vx0 | grep -q"
	  " 'vxlan id 7 local 10.0.0.1 .*dstport 4789 nolearning .*noudpcsum'" },
	{ "vxlan 6 elsewhere, on a port", "ip netns add n1", VXLAN, "n1", "vx0", "fd00::1", "4790",
	  "ip -n n1 -d link show vx0 | grep -q 'id 7 local fd00::1 .*dstport 4790 nolearning'" },
	{ "tun", "true", TUN, NULL, "tun0", NULL, NULL,
	  "ip -d link show tun0 | grep -q 'tun type tun pi off vnet_hdr on multi_queue.* persist on'"},
	{ "tun elsewhere", "ip netns add n1", TUN, "n1", "tun0", NULL, NULL,
	  "ip -n n1 -d link show tun0 | grep -q 'alias podnet:lib:verb'" },
	{ "fdb", VX, FDB, NULL, "vx0", "10.0.0.2", NULL,
	  "bridge fdb show dev vx0 | grep -q '02:00:00:00:00:09 dst 10.0.0.2 self permanent'" },
	{ "address", "ip link set lo up", ADDR, NULL, "lo", "10.1.2.3/24", NULL,
	  "ip addr show lo | grep -q 10.1.2.3/24" },
	{ "address 6", "ip link set lo up", ADDR, NULL, "lo", "fd00::3/64", NULL,
	  "ip addr show lo | grep -q fd00::3/64" },
	{ "deprecated address", "ip link add d0 type veth peer name d1; ip link set d0 up", ADDR, NULL,
	  "d0", "fd00::3/128", "deprecated",
	  "ip addr show d0 | grep -A1 fd00::3/128 | grep -q 'valid_lft forever preferred_lft 0sec'" },
	{ "address elsewhere", "ip netns add n1; ip -n n1 link set lo up", ADDR, "n1", "lo",
	  "fd00::3/64", NULL, "ip -n n1 addr show lo | grep -q fd00::3/64" },
	{ "route", "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up", ROUTE,
	  NULL, "d0", "10.9.0.0/16", NULL, "ip route | grep -q '10.9.0.0/16 dev d0 proto 142'" },
	{ "host route", "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up",
	  ROUTE, NULL, "d0", "10.9.0.1/32", NULL, "ip route | grep -q '10.9.0.1 dev d0 proto 142'" },
	{ "host route 6", "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up",
	  ROUTE, NULL, "d0", "fd09::1/128", NULL, "ip -6 route | grep -q 'fd09::1 dev d0 proto 142'" },
	{ "route 6 in a table", "ip link add d0 type veth peer name d1; ip link set d0 up;"
	  "ip link set d1 up", ROUTE, NULL, "d0", "fd09::/64", "1000",
	  "ip -6 route show table 1000 | grep -q fd09::/64" },
	{ "default via", "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up;"
	  "ip addr add 10.9.0.2/24 dev d0", ROUTE, NULL, "d0", "0.0.0.0/0", NULL,
	  "ip route | grep -q '^default via 10.9.0.1 dev d0'" },
	{ "route by the other family", "ip link add d0 type veth peer name d1; ip link set d0 up;"
	  "ip link set d1 up", ROUTE, NULL, "d0", "10.9.8.0/24", "via6",
	  "ip route | grep -q '^10.9.8.0/24 via inet6 fe80::5 dev d0'" },
	{ "unreachable", "true", ROUTE, NULL, NULL, "10.8.0.0/16", NULL,
	  "ip route | grep -q 'unreachable 10.8.0.0/16'" },
	{ "unreachable 6", "ip link set lo up", ROUTE, NULL, NULL, "fd08::/48", NULL,
	  "ip -6 route | grep -q 'unreachable fd08::/48'" },
	{ "rule", "true", RULE, NULL, "10.0.0.0/8", NULL, NULL,
	  "ip rule | grep -q '^100:.from 10.0.0.0/8 fwmark 0x1/0xff lookup 1000'" },
	{ "rule 6", "true", RULE, NULL, "fd00::/8", NULL, NULL, "ip -6 rule | grep -q '^100:'" },
	{ "neighbour", "ip link add d0 type veth peer name d1; ip link set d0 up", NEIGH, NULL, "d0",
	  "10.0.0.9", NULL, "ip neigh show dev d0 | grep -q 'lladdr 02:00:00:00:00:09 PERMANENT'" },
	{ "neighbour 6", "ip link add d0 type veth peer name d1; ip link set d0 up", NEIGH, NULL, "d0",
	  "fd00::9", NULL, "ip -6 neigh show dev d0 | grep -q 'lladdr 02:00:00:00:00:09 PERMANENT'" },
	{ "proxied neighbour", "ip link add d0 type veth peer name d1; ip link set d0 up", NEIGH, NULL,
	  "d0", "10.0.0.9", "proxy", "ip neigh show proxy | grep -q '10.0.0.9 dev d0'" },
	{ "limit", "ip link add d0 type veth peer name d1; ip link set d0 up", LIMIT, NULL, "d0", NULL,
	  NULL, "tc qdisc show dev d0 | grep -q 'tbf 8e: root.*rate 8Mbit'" },
	{ "limit of what arrives", "ip link add d0 type veth peer name d1; ip link set d0 up", LIMIT,
	  NULL, "d0", "in", NULL, "tc filter show dev d0 parent ffff: | grep -q mirred" },
	/* a machine that forwards hands that down to its new namespaces */
	{ "sysctl", "ip netns add n1; ip netns exec n1 sysctl -qw net.ipv4.ip_forward=0", SYSCTL,
	  "n1", "ipv4/ip_forward", "1", NULL,
	  "ip netns exec n1 cat /proc/sys/net/ipv4/ip_forward | grep -q 1" },
	{ "sysctl here", "true", SYSCTL, NULL, "ipv4/conf/all/rp_filter", "2", NULL,
	  "grep -q 2 /proc/sys/net/ipv4/conf/all/rp_filter" },
};

static int carry_link(struct podnet *ctx, const struct row *row, bool ensure,
		      struct podnet_error *err)
{
	const struct podnet_veth veth = { .end = {
		{ .name = row->a, .flags = PODNET_LINK_UP },
		{ .netns = row->netns, .name = row->b, .flags = PODNET_LINK_UP, .mtu = 1400 } } };
	const struct podnet_link bridge = { .netns = row->netns, .name = row->a,
		.flags = PODNET_LINK_UP | PODNET_LINK_NO_SNOOPING | PODNET_LINK_PROXY_ARP_PVLAN };

	const struct podnet_vxlan vxlan = {
		.link = { .netns = row->netns, .name = row->a, .flags = PODNET_LINK_UP, .mtu = 1450 },
		.id = 7, .local = prefix(row->kind == VXLAN ? row->b : NULL),
		.port = (uint16_t)(row->kind == VXLAN && row->c ? strtoul(row->c, NULL, 10) : 0) };
	const struct podnet_tun tun = {
		.link = { .netns = row->netns, .name = row->a, .flags = PODNET_LINK_UP, .mtu = 1400 },
		.flags = PODNET_TUN_VNET_HDR | PODNET_TUN_MULTI_QUEUE };

	if (!ensure)
		return podnet_link_absent(ctx, row->kind == VETH ? NULL : row->netns, row->a, err);
	if (row->kind == VXLAN)
		return podnet_vxlan_ensure(ctx, &vxlan, err);
	if (row->kind == TUN)
		return podnet_tun_ensure(ctx, &tun, err);
	return row->kind == VETH ? podnet_veth_ensure(ctx, &veth, err)
				 : podnet_bridge_ensure(ctx, &bridge, err);
}

static int carry_route(struct podnet *ctx, const struct row *row, bool ensure,
		       struct podnet_error *err)
{
	struct podnet_route route = { .netns = row->netns, .link = row->a, .dst = prefix(row->b),
				      .table = row->c ? (uint32_t)strtoul(row->c, NULL, 10) : 0 };

	if (!row->a)
		route.type = PODNET_ROUTE_UNREACHABLE;
	if (!route.dst.len)
		route.via = prefix("10.9.0.1");
	if (row->c && !strcmp(row->c, "via6"))
		route.via = prefix("fe80::5");
	return ensure ? podnet_route_ensure(ctx, &route, err) : podnet_route_absent(ctx, &route, err);
}

static int carry_rest(struct podnet *ctx, const struct row *row, bool ensure,
		      struct podnet_error *err)
{
	const struct podnet_limit limit = { .netns = row->netns, .link = row->a, .rate = 8000000,
					    .incoming = row->b != NULL };
	const struct podnet_sysctl sysctl = { .netns = row->netns, .key = row->a, .value = row->b };

	if (row->kind == SYSCTL)
		return ensure ? podnet_sysctl_ensure(ctx, &sysctl, err)
			      : podnet_sysctl_absent(ctx, &sysctl, err);
	return ensure ? podnet_limit_ensure(ctx, &limit, err) : podnet_limit_absent(ctx, &limit, err);
}

static int carry_ip(struct podnet *ctx, const struct row *row, bool ensure,
		    struct podnet_error *err)
{
	struct podnet_prefix p = prefix(row->kind == RULE ? row->a : row->b);
	const struct podnet_addr addr = { .netns = row->netns, .link = row->a, .prefix = p,
					  .deprecated = row->c != NULL };
	const struct podnet_rule rule = { .family = p.family, .priority = 100, .from = p, .mark = 1,
					  .mask = 255, .table = 1000 };
	const struct podnet_neigh neigh = { .link = row->a, .addr = p, .mac = { 2, 0, 0, 0, 0, 9 },
					    .proxy = row->c != NULL };

	const struct podnet_fdb fdb = { .link = row->a, .dst = p, .mac = { 2, 0, 0, 0, 0, 9 } };

	if (row->kind == FDB)
		return ensure ? podnet_fdb_ensure(ctx, &fdb, err) : podnet_fdb_absent(ctx, &fdb, err);
	if (row->kind == ADDR)
		return ensure ? podnet_addr_ensure(ctx, &addr, err)
			      : podnet_addr_absent(ctx, &addr, err);
	if (row->kind == RULE)
		return ensure ? podnet_rule_ensure(ctx, &rule, err)
			      : podnet_rule_absent(ctx, &rule, err);
	return ensure ? podnet_neigh_ensure(ctx, &neigh, err) : podnet_neigh_absent(ctx, &neigh, err);
}

static int carry(struct podnet *ctx, const struct row *row, bool ensure, struct podnet_error *err)
{
	switch (row->kind) {
	case VETH:
	case BRIDGE:
	case LINK:
	case VXLAN:
	case TUN:
		return carry_link(ctx, row, ensure, err);
	case ROUTE:
		return carry_route(ctx, row, ensure, err);
	case ADDR:
	case RULE:
	case NEIGH:
	case FDB:
		return carry_ip(ctx, row, ensure, err);
	case LIMIT:
	case SYSCTL:
		return carry_rest(ctx, row, ensure, err);
	}
	return -EINVAL;
}

static int count_link(const struct podnet_link_info *info, void *arg)
{
	return *(int *)arg += info->ours, 0;
}

static int count_addr(const struct podnet_addr_info *info, void *arg)
{
	return *(int *)arg += info->ours, 0;
}

static int count_route(const struct podnet_route_info *info, void *arg)
{
	return *(int *)arg += info->ours, 0;
}

static int count_rule(const struct podnet_rule_info *info, void *arg)
{
	return *(int *)arg += info->ours, 0;
}

static int count_neigh(const struct podnet_neigh_info *info, void *arg)
{
	return *(int *)arg += info->ours, 0;
}

static int count_fdb(const struct podnet_fdb_info *info, void *arg)
{
	return *(int *)arg += info->ours && info->fdb.dst.len == 32, 0;
}

static int count_limit(const struct podnet_limit_info *info, void *arg)
{
	return *(int *)arg += info->ours && info->limit.rate == 8000000, 0;
}

/* what the lists say is ours; sysctls have none and are read instead */
static int listed(struct podnet *ctx, const struct row *row)
{
	struct podnet_sysctl sysctl = { .netns = row->netns, .key = row->a };
	const char *ns = row->netns;
	char text[32] = "";
	int n = 0;

	switch (row->kind) {
	case VETH:
	case BRIDGE:
	case LINK:
	case VXLAN:
	case TUN:
		assert_int_equal(podnet_link_list(ctx, ns, count_link, &n, NULL), 0);
		return n;
	case ADDR:
		assert_int_equal(podnet_addr_list(ctx, ns, row->a, count_addr, &n, NULL), 0);
		return n;
	case ROUTE:
		assert_int_equal(podnet_route_list(ctx, ns, count_route, &n, NULL), 0);
		return n;
	case RULE:
		assert_int_equal(podnet_rule_list(ctx, ns, count_rule, &n, NULL), 0);
		return n;
	case NEIGH:
		assert_int_equal(podnet_neigh_list(ctx, ns, count_neigh, &n, NULL), 0);
		return n;
	case FDB:
		assert_int_equal(podnet_fdb_list(ctx, ns, row->a, count_fdb, &n, NULL), 0);
		return n;
	case LIMIT:
		assert_int_equal(podnet_limit_list(ctx, ns, count_limit, &n, NULL), 0);
		return n;
	case SYSCTL:
		assert_true(podnet_sysctl_get(ctx, &sysctl, text, sizeof(text), NULL) > 0);
		return !strcmp(text, row->b);
	}
	return -1;
}

static void verbs(void **state)
{
	const struct row *row = *state;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	assert_int_equal(sh(row->before), 0);
	ctx = test_open(NULL);
	assert_int_not_equal(sh(row->seen), 0);
	assert_true(test_ok(carry(ctx, row, true, &err), &err) > 0);
	assert_int_equal(sh(row->seen), 0);
	assert_true(listed(ctx, row) > 0);
	assert_int_equal(test_ok(carry(ctx, row, true, &err), &err), 0);
	assert_true(test_ok(carry(ctx, row, false, &err), &err) > 0);
	assert_int_not_equal(sh(row->seen), 0);
	assert_int_equal(listed(ctx, row), 0);
	assert_int_equal(test_ok(carry(ctx, row, false, &err), &err), 0);
}

static int keep_mtu(const struct podnet_link_info *info, void *arg)
{
	*(uint32_t *)arg = info->link.mtu;
	return info->ours ? 2 : 1;
}

static void foreign_links_are_set_and_never_deleted(void **state)
{
	struct podnet_link spec = { .name = "f0", .flags = PODNET_LINK_UP, .mtu = 1300 };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };
	uint32_t mtu = 0;

	(void)state;
	assert_int_equal(sh("ip link add f0 type veth peer name f1"), 0);
	assert_true(test_ok(podnet_link_ensure(ctx, &spec, &err), &err) > 0);
	assert_int_equal(test_ok(podnet_link_ensure(ctx, &spec, &err), &err), 0);
	assert_int_equal(podnet_link_get(ctx, NULL, "f0", keep_mtu, &mtu, &err), 1);
	assert_int_equal(mtu, 1300);
	assert_int_equal(podnet_link_absent(ctx, NULL, "f0", &err), -EPERM);
	assert_string_equal(err.object, "link f0");
	assert_int_equal(podnet_bridge_ensure(ctx, &spec, &err), -EEXIST);
	assert_string_equal(err.object, "link f0");
	spec.name = "nope";
	assert_int_equal(podnet_link_ensure(ctx, &spec, &err), -ENOENT);
	assert_string_equal(err.field, "name");
	assert_int_equal(podnet_link_get(ctx, NULL, "nope", keep_mtu, &mtu, &err), -ENOENT);
	assert_int_equal(sh("ip link show f0"), 0);
}

static void look_alikes_are_foreign(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("lib");
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip link add a0 type bridge; ip link set a0 alias podnet:libx:verb;"
			    "ip link add a1 type bridge; ip link set a1 alias podnet:lib;"
			    "ip link add a2 type bridge; ip link set a2 alias xpodnet:lib:verb"), 0);
	assert_int_equal(podnet_link_absent(ctx, NULL, "a0", &err), -EPERM);
	assert_int_equal(podnet_link_absent(ctx, NULL, "a1", &err), -EPERM);
	assert_int_equal(podnet_link_absent(ctx, NULL, "a2", &err), -EPERM);
}

static void a_second_address_leaves_the_first(void **state)
{
	const struct podnet_link bridge = { .name = "br0", .flags = PODNET_LINK_UP };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_addr addr = { .link = "br0", .prefix = prefix("10.0.0.1/24") };
	struct podnet_error err = { 0 };
	int n = 0;

	(void)state;
	test_ok(podnet_bridge_ensure(ctx, &bridge, &err), &err);
	test_ok(podnet_addr_ensure(ctx, &addr, &err), &err);
	addr.prefix = prefix("10.0.1.1/24");
	test_ok(podnet_addr_ensure(ctx, &addr, &err), &err);
	addr.prefix = prefix("fd00::1/64");
	test_ok(podnet_addr_ensure(ctx, &addr, &err), &err);
	test_ok(podnet_addr_list(ctx, NULL, "br0", count_addr, &n, &err), &err);
	assert_int_equal(n, 3);
}

static void ports_and_their_flags(void **state)
{
	const struct podnet_link bridge = { .name = "br0", .flags = PODNET_LINK_UP };
	const struct podnet_veth veth = { .end = {
		{ .name = "p0", .master = "br0", .flags = PODNET_LINK_UP | PODNET_LINK_ISOLATED |
		  PODNET_LINK_HAIRPIN | PODNET_LINK_NO_ADDRGEN },
		{ .name = "p1", .flags = PODNET_LINK_UP } } };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_veth_ensure(ctx, &veth, &err), -ENODEV);
	assert_string_equal(err.field, "master");
	test_ok(podnet_bridge_ensure(ctx, &bridge, &err), &err);
	assert_true(test_ok(podnet_veth_ensure(ctx, &veth, &err), &err) > 0);
	assert_int_equal(test_ok(podnet_veth_ensure(ctx, &veth, &err), &err), 0);
	assert_int_equal(sh("ip -d link show p0 | grep -q 'master br0' &&"
			    "bridge -d link show dev p0 | grep -q 'hairpin on' &&"
			    "bridge -d link show dev p0 | grep -q 'isolated on' &&"
			    "ip link set p0 nomaster"), 0);
	assert_int_equal(test_ok(podnet_veth_ensure(ctx, &veth, &err), &err), 1);
	assert_int_equal(sh("bridge -d link show dev p0 | grep -q 'isolated on'"), 0);
	assert_int_equal(sh("ip -6 addr show dev p0 | grep -q fe80"), 1);
}

static void foreign_routes_are_a_conflict(void **state)
{
	const struct podnet_route route = { .dst = prefix("10.7.0.0/16"), .link = "lo" };
	const struct podnet_route host = { .dst = prefix("10.7.0.1/32"), .link = "lo" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip link set lo up; ip route add 10.7.0.0/16 dev lo proto 143;"
			    "ip route add 10.7.0.1 dev lo"), 0);
	assert_int_equal(podnet_route_ensure(ctx, &route, &err), -EEXIST);
	assert_string_equal(err.object, "route 10.7.0.0/16 dev lo");
	assert_int_equal(podnet_route_ensure(ctx, &host, &err), -EEXIST);
	assert_int_equal(podnet_route_absent(ctx, &route, &err), -EPERM);
	assert_int_equal(sh("ip route | grep -q '10.7.0.0/16 dev lo proto 143'"), 0);
}

static void sysctls_go_back(void **state)
{
	const struct podnet_sysctl on = { .key = "ipv4/conf/lo/rp_filter", .value = "1" };
	const struct podnet_sysctl loose = { .key = "ipv4/conf/lo/rp_filter", .value = "2" };
	const struct podnet_sysctl no_key = { .key = "ipv4/nope", .value = "1" };
	const struct podnet_sysctl bad = { .key = "ipv4/ip_forward", .value = "x" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("echo 0 >/proc/sys/net/ipv4/conf/lo/rp_filter"), 0);
	assert_int_equal(test_ok(podnet_sysctl_ensure(ctx, &on, &err), &err), 1);
	assert_int_equal(test_ok(podnet_sysctl_ensure(ctx, &loose, &err), &err), 1);
	assert_int_equal(test_ok(podnet_sysctl_absent(ctx, &on, &err), &err), 1);
	assert_int_equal(sh("grep -q 0 /proc/sys/net/ipv4/conf/lo/rp_filter"), 0);
	assert_int_equal(podnet_sysctl_ensure(ctx, &no_key, &err), -ENOENT);
	assert_string_equal(err.field, "key");
	assert_int_equal(podnet_sysctl_ensure(ctx, &bad, &err), -EINVAL);
	assert_string_equal(err.field, "value");
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 6] = {
		cmocka_unit_test_setup(foreign_links_are_set_and_never_deleted, netns_setup),
		cmocka_unit_test_setup(look_alikes_are_foreign, netns_setup),
		cmocka_unit_test_setup(a_second_address_leaves_the_first, netns_setup),
		cmocka_unit_test_setup(ports_and_their_flags, netns_setup),
		cmocka_unit_test_setup(foreign_routes_are_a_conflict, netns_setup),
		cmocka_unit_test_setup(sysctls_go_back, netns_setup),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[6 + i] = (struct CMUnitTest){ rows[i].says, verbs, netns_setup, NULL,
						    (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
