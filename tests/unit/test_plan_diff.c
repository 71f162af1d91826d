/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_plan_diff.c - (want, have) to ordered lines
 *
 * Room: unit tests; no kernel.  Both sides of a row are declared by the public calls; what is
 * "had" is marked and changed as an observation would have it.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <libpodnet/plan/inner.h>
#include <sys/socket.h>

enum part {
	NETNS = 1 << 0, PAIR = 1 << 1, ADDR = 1 << 2, HOST_ROUTE = 1 << 3, DEFAULT = 1 << 4,
	NEIGH = 1 << 5, LIMIT = 1 << 6, IN_LIMIT = 1 << 7, BRIDGE = 1 << 8, FORWARD = 1 << 9,
	RULE = 1 << 10, LO = 1 << 11, PORT_SYSCTL = 1 << 12, ADDR6 = 1 << 13,
	VXLAN = 1 << 14, FDB = 1 << 15, TUN = 1 << 16,
	POD = NETNS | PAIR | ADDR | HOST_ROUTE | DEFAULT | NEIGH,
};

/* how what is had differs from what was declared */
enum twist {
	AS_IS, MTU, DOWN, FOREIGN_LINK, FOREIGN_ADDR, FOREIGN_ADDR_OTHER, FOREIGN_ROUTE, UNPAIRED,
	HALF, DOOMED, OTHER_RATE, BROKEN, OTHER_MAC, LEARNED, OTHER_TABLE, OTHER_VALUE, KIND,
	NOT_COVERED, OTHER_MASTER, OTHER_LENGTH, ISOLATED, OTHER_ID, OTHER_DST, NOT_PERSISTENT,
};

static const struct row {
	const char *says;
	uint32_t want, have;
	enum twist twist;
	uint32_t mode;
	int r;                          /* or the conflict's errno */
	const char *lines;              /* the conflicting object when r is negative */
} rows[] = {
	{ "nothing", 0, 0, AS_IS, 0, 0, "" },
	{ "all is there", POD | LIMIT | RULE | FORWARD, POD | LIMIT | RULE | FORWARD, AS_IS, 0, 0, "" },
	{ "a pod, made", POD, 0, AS_IS, 0, 0,
	  "netns add blue\n"
	  "link add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "route add 10.0.0.2/32 dev pn0\n"
	  "neigh add pn0 10.0.0.2 lladdr 02:00:00:00:00:02\n"
	  "link set blue eth0 up\n"
	  "addr add blue eth0 10.0.0.2/32\n"
	  "route add blue 169.254.1.1/32 dev eth0\n"
	  "route add blue default via 169.254.1.1 dev eth0\n" },
	{ "bridge before port, limit last", PAIR | BRIDGE | LIMIT | IN_LIMIT, 0, AS_IS, 0, 0,
	  "link add br0 type bridge up\n"
	  "link add piIFB type ifb up\n"
	  "link add pn0 type veth peer eth0 in blue mtu 1400 master br0 up\n"
	  "limit add pn0 rate 8000000 burst 65536\n"
	  "limit add pn0 incoming rate 4000000 burst 32768\n"
	  "link set blue eth0 up\n" },
	{ "sysctl: general ones first, those of a link after it", PAIR | FORWARD | PORT_SYSCTL, 0,
	  AS_IS, 0, 0,
	  "sysctl set ipv4/ip_forward 1\n"
	  "link add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "sysctl set ipv4/conf/pn0/rp_filter 0\n"
	  "link set blue eth0 up\n" },
	{ "the pair went: what was on it is made again", POD, POD & ~(PAIR | ADDR | HOST_ROUTE |
	  DEFAULT | NEIGH), AS_IS, 0, 0,
	  "link add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "route add 10.0.0.2/32 dev pn0\n"
	  "neigh add pn0 10.0.0.2 lladdr 02:00:00:00:00:02\n"
	  "link set blue eth0 up\n"
	  "addr add blue eth0 10.0.0.2/32\n"
	  "route add blue 169.254.1.1/32 dev eth0\n"
	  "route add blue default via 169.254.1.1 dev eth0\n" },
	{ "mtu is set in place", POD, POD, MTU, 0, 0,
	  "link set pn0 mtu 1400\nlink set blue eth0 mtu 1400\n" },
	{ "down is set up", POD, POD, DOWN, 0, 0, "link set pn0 up\n" },
	{ "master is set in place", PAIR | BRIDGE, PAIR | BRIDGE, OTHER_MASTER, 0, 0,
	  "link set pn0 master br0\n" },
	{ "not the peer it should have", PAIR | ADDR, PAIR | ADDR, UNPAIRED, 0, 0,
	  "link del pn0\nlink del blue eth0\n"
	  "link add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "link set blue eth0 up\naddr add blue eth0 10.0.0.2/32\n" },
	{ "one end only", PAIR, PAIR, HALF, 0, 0,
	  "link del pn0\nlink add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "link set blue eth0 up\n" },
	{ "another kind of ours", BRIDGE, BRIDGE, KIND, 0, 0,
	  "link del br0\nlink add br0 type bridge up\n" },
	{ "a doomed link bars the name", PAIR, PAIR, DOOMED, 0, 0,
	  "link del pn0\nlink add pn0 type veth peer eth0 in blue mtu 1400 up\n"
	  "link set blue eth0 up\n" },
	{ "a foreign link", POD, POD, FOREIGN_LINK, 0, -EEXIST, "link blue eth0" },
	{ "a foreign bridge", BRIDGE, BRIDGE, FOREIGN_LINK, 0, -EEXIST, "link br0" },
	{ "the same address, foreign", ADDR, ADDR, FOREIGN_ADDR, 0, 0, "" },
	{ "another address, foreign", ADDR, ADDR, FOREIGN_ADDR_OTHER, 0, -EEXIST,
	  "addr blue eth0 10.0.0.2/32" },
	{ "an IPv6 address with another length goes first", PAIR | ADDR6, PAIR | ADDR6, OTHER_LENGTH,
	  PN_DIFF_NAMED, 0, "addr del blue eth0 fd00::2/128\naddr add blue eth0 fd00::2/64\n" },
	{ "a port that was isolated", PAIR | BRIDGE, PAIR | BRIDGE, ISOLATED, 0, 0,
	  "link set pn0 up isolated off hairpin off\n" },
	{ "a foreign route", HOST_ROUTE, HOST_ROUTE, FOREIGN_ROUTE, 0, -EEXIST,
	  "route 10.0.0.2/32 dev pn0" },
	{ "lo is foreign and only set", LO, LO, DOWN, 0, 0, "link set lo up\n" },
	{ "undeclared and ours: goes, users first", PAIR, PAIR | ADDR | DEFAULT | HOST_ROUTE, AS_IS, 0,
	  0, "route del 10.0.0.2/32 dev pn0\nroute del blue default dev eth0\n"
	  "route del blue 169.254.1.1/32 dev eth0\naddr del blue eth0 10.0.0.2/32\n" },
	{ "undeclared between declared ones", PAIR | ADDR | NEIGH, PAIR | ADDR | NEIGH | HOST_ROUTE,
	  AS_IS, 0, 0, "route del 10.0.0.2/32 dev pn0\n" },
	{ "undeclared after a greater key", PAIR | DEFAULT, PAIR | DEFAULT | HOST_ROUTE | LIMIT, AS_IS,
	  0, 0, "limit del pn0\nroute del 10.0.0.2/32 dev pn0\n" },
	{ "undeclared, ours, on a link of others: stays", 0, ADDR | HOST_ROUTE, NOT_COVERED, 0, 0, "" },
	{ "undeclared, in a set of one: stays", 0, ADDR | HOST_ROUTE, AS_IS, PN_DIFF_NAMED, 0, "" },
	{ "undeclared and foreign: stays", 0, ADDR, FOREIGN_ADDR, 0, 0, "" },
	{ "rate is set in place", LIMIT, LIMIT, OTHER_RATE, 0, 0,
	  "limit set pn0 rate 8000000 burst 65536\n" },
	{ "nothing leads to the bucket", IN_LIMIT, IN_LIMIT, BROKEN, 0, 0,
	  "limit del pn0 incoming\nlimit add pn0 incoming rate 4000000 burst 32768\n" },
	{ "neighbour's mac is set", NEIGH, NEIGH, OTHER_MAC, 0, 0,
	  "neigh set pn0 10.0.0.2 lladdr 02:00:00:00:00:02\n" },
	{ "a learnt neighbour becomes permanent", NEIGH, NEIGH, LEARNED, 0, 0,
	  "neigh set pn0 10.0.0.2 lladdr 02:00:00:00:00:02\n" },
	{ "vxlan: the device, then who is behind it", VXLAN | FDB, 0, AS_IS, 0, 0,
	  "link add vx0 type vxlan id 7 local 10.0.0.1 dstport 4789 mtu 1450 up\n"
	  "fdb add vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "vxlan of another id", VXLAN | FDB, VXLAN | FDB, OTHER_ID, 0, 0, "link del vx0\n"
	  "link add vx0 type vxlan id 7 local 10.0.0.1 dstport 4789 mtu 1450 up\n"
	  "fdb add vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "who is elsewhere", VXLAN | FDB, VXLAN | FDB, OTHER_DST, 0, 0,
	  "fdb set vx0 02:00:00:00:00:02 dst 10.0.0.2\n" },
	{ "who is not there any more", VXLAN, VXLAN | FDB, AS_IS, 0, 0,
	  "fdb del vx0 02:00:00:00:00:02\n" },
	{ "who is there also elsewhere: of others it stays", FDB, FDB, FOREIGN_LINK, 0, 0, "" },
	{ "absent: entries go with their device", VXLAN | FDB, VXLAN | FDB, AS_IS, PN_DIFF_ABSENT, 0,
	  "link del vx0\n" },
	{ "tun", TUN, 0, AS_IS, 0, 0, "link add tun0 type tun mode tun vnet_hdr mtu 1472 up\n" },
	{ "tun that would go with its program", TUN, TUN, NOT_PERSISTENT, 0, 0,
	  "link del tun0\nlink add tun0 type tun mode tun vnet_hdr mtu 1472 up\n" },
	{ "rule of another table", RULE, RULE, OTHER_TABLE, 0, 0,
	  "rule del ipv4 priority 100 from 10.0.0.0/8 table 7\n"
	  "rule add ipv4 priority 100 from 10.0.0.0/8 table 5\n" },
	{ "sysctl", FORWARD, FORWARD, OTHER_VALUE, 0, 0, "sysctl set ipv4/ip_forward 1\n" },
	{ "absent: the namespace takes all but the route", POD | FORWARD, POD | FORWARD, AS_IS,
	  PN_DIFF_ABSENT, 0,
	  "route del 10.0.0.2/32 dev pn0\nsysctl del ipv4/ip_forward\n"
	  "link del pn0\nnetns del blue\n" },
	{ "absent in a namespace that was adopted", POD & ~NETNS, POD & ~NETNS, AS_IS,
	  PN_DIFF_ABSENT, 0, "link del blue eth0\n" },
	{ "absent: foreign stays", PAIR | ADDR, PAIR | ADDR, FOREIGN_LINK, PN_DIFF_ABSENT, 0,
	  "addr del blue eth0 10.0.0.2/32\n" },
	{ "absent verb: foreign is said", BRIDGE, BRIDGE, FOREIGN_LINK,
	  PN_DIFF_ABSENT | PN_DIFF_STRICT, -EPERM, "link br0" },
	{ "absent again", POD, 0, AS_IS, PN_DIFF_ABSENT, 0, "" },
	{ "absent never touches lo", LO, LO, FOREIGN_LINK, PN_DIFF_ABSENT, 0, "" },
};

static void declare_pair(struct podnet_set *set, uint32_t parts, struct podnet_error *err)
{
	const struct podnet_veth veth = { .end = {
		{ .name = "pn0", .flags = PODNET_LINK_UP, .mtu = 1400,
		  .master = parts & BRIDGE ? "br0" : NULL },
		{ .netns = "blue", .name = "eth0", .flags = PODNET_LINK_UP, .mtu = 1400 } } };
	const struct podnet_link br = { .name = "br0", .flags = PODNET_LINK_UP };
	const struct podnet_link lo = { .name = "lo", .flags = PODNET_LINK_UP };

	if (parts & NETNS)
		podnet_set_netns(set, &(struct podnet_netns){ .name = "blue" }, err);
	if (parts & BRIDGE)
		podnet_set_bridge(set, &br, err);
	if (parts & PAIR)
		podnet_set_veth(set, &veth, err);
	if (parts & LO)
		podnet_set_link(set, &lo, err);
}

static void declare_ip(struct podnet_set *set, uint32_t parts, struct podnet_error *err)
{
	const struct podnet_addr addr = { .netns = "blue", .link = "eth0",
					  .prefix = prefix("10.0.0.2/32") };
	const struct podnet_addr addr6 = { .netns = "blue", .link = "eth0",
					   .prefix = prefix("fd00::2/64") };
	const struct podnet_route host = { .dst = prefix("10.0.0.2/32"), .link = "pn0" };
	const struct podnet_route gateway = { .netns = "blue", .dst = prefix("169.254.1.1/32"),
					      .link = "eth0" };
	const struct podnet_route all = { .netns = "blue", .dst = prefix("0.0.0.0/0"),
					  .via = prefix("169.254.1.1"), .link = "eth0" };
	const struct podnet_neigh neigh = { .link = "pn0", .addr = prefix("10.0.0.2"),
					    .mac = { 2, 0, 0, 0, 0, 2 } };
	const struct podnet_rule rule = { .family = AF_INET, .priority = 100, .table = 5,
					  .from = prefix("10.0.0.0/8") };

	if (parts & ADDR)
		podnet_set_addr(set, &addr, err);
	if (parts & ADDR6)
		podnet_set_addr(set, &addr6, err);
	if (parts & HOST_ROUTE)
		podnet_set_route(set, &host, err);
	if (parts & DEFAULT)
		podnet_set_route(set, &gateway, err);
	if (parts & DEFAULT)
		podnet_set_route(set, &all, err);
	if (parts & NEIGH)
		podnet_set_neigh(set, &neigh, err);
	if (parts & RULE)
		podnet_set_rule(set, &rule, err);
}

static void declare_overlay(struct podnet_set *set, uint32_t parts, struct podnet_error *err)
{
	const struct podnet_vxlan vxlan = {
		.link = { .name = "vx0", .flags = PODNET_LINK_UP, .mtu = 1450 }, .id = 7,
		.local = prefix("10.0.0.1") };
	const struct podnet_fdb fdb = { .link = "vx0", .mac = { 2, 0, 0, 0, 0, 2 },
					.dst = prefix("10.0.0.2") };
	const struct podnet_tun tun = {
		.link = { .name = "tun0", .flags = PODNET_LINK_UP, .mtu = 1472 },
		.flags = PODNET_TUN_VNET_HDR };

	if (parts & VXLAN)
		podnet_set_vxlan(set, &vxlan, err);
	if (parts & FDB)
		podnet_set_fdb(set, &fdb, err);
	if (parts & TUN)
		podnet_set_tun(set, &tun, err);
}

static void declare_rest(struct podnet_set *set, uint32_t parts, struct podnet_error *err)
{
	const struct podnet_limit out = { .link = "pn0", .rate = 8000000, .burst = 65536 };
	const struct podnet_limit in = { .link = "pn0", .rate = 4000000, .incoming = true };
	const struct podnet_sysctl forward = { .key = "ipv4/ip_forward", .value = " 1 " };
	const struct podnet_sysctl port = { .key = "ipv4/conf/pn0/rp_filter", .value = "0" };

	if (parts & LIMIT)
		podnet_set_limit(set, &out, err);
	if (parts & IN_LIMIT)
		podnet_set_limit(set, &in, err);
	if (parts & FORWARD)
		podnet_set_sysctl(set, &forward, err);
	if (parts & PORT_SYSCTL)
		podnet_set_sysctl(set, &port, err);
}

static struct podnet_set *declare(uint32_t parts)
{
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;
	uint16_t ns;

	test_ok(podnet_set_new(&set, "blue", &err), &err);
	/* both sides of a row number the namespaces alike */
	test_ok(pn_set_ref(set, "blue", &ns), &err);
	test_ok(pn_set_ref(set, "", &ns), &err);
	declare_pair(set, parts, &err);
	declare_ip(set, parts, &err);
	declare_overlay(set, parts, &err);
	declare_rest(set, parts, &err);
	assert_int_equal(set->error.code, 0);
	return set;
}

static void twist_link(struct pn_obj *obj, enum twist twist)
{
	struct pn_link_attrs *dev = &obj->u.dev;
	bool host = !strcmp(obj->link, "pn0");

	if (twist == MTU)
		dev->mtu = 1500;
	if (twist == DOWN && strcmp(obj->link, "eth0"))
		dev->flags = 0;
	if (twist == FOREIGN_LINK)
		obj->is = 0;
	if (twist == UNPAIRED || twist == HALF || twist == DOOMED) {
		dev->peer_ns = 0;
		memset(dev->peer, 0, sizeof(dev->peer));
	}
	if (twist == DOOMED)
		obj->is = PN_DOOMED;
	if (twist == KIND)
		dev->type = PN_IFB;
	if (twist == ISOLATED && host)
		dev->flags |= PODNET_LINK_ISOLATED;
	if (twist == OTHER_ID)
		dev->vxlan.id = 8;
	if (twist == NOT_PERSISTENT)
		dev->tun.persistent = 0;
	if (twist == OTHER_MASTER && host)
		memcpy(dev->master, "br1", 4);
}

static void twist_obj(struct pn_obj *obj, enum twist twist)
{
	obj->is = PN_OURS | PN_COVERED;
	if (obj->kind == PN_LINK)
		twist_link(obj, twist);
	if (obj->kind == PN_LINK && !strcmp(obj->link, "lo"))
		obj->is = 0;
	if (twist == NOT_COVERED)
		obj->is = PN_OURS;
	if (obj->kind == PN_ADDR && (twist == FOREIGN_ADDR || twist == FOREIGN_ADDR_OTHER)) {
		obj->is = 0;
		obj->u.addr.no_prefix_route = twist == FOREIGN_ADDR_OTHER;
	}
	if (obj->kind == PN_ADDR && twist == OTHER_LENGTH)
		obj->u.addr.prefix.len = 128;
	if (obj->kind == PN_ROUTE && twist == FOREIGN_ROUTE)
		obj->is = 0;
	if (obj->kind == PN_LIMIT && twist == OTHER_RATE)
		obj->u.limit.rate = 16000;
	if (obj->kind == PN_LIMIT && twist == BROKEN)
		obj->u.limit.broken = 1;
	if (obj->kind == PN_NEIGH && twist == OTHER_MAC)
		obj->u.neigh.mac[5] = 9;
	if (obj->kind == PN_NEIGH && twist == LEARNED)
		obj->u.neigh.learned = 1;
	if (obj->kind == PN_FDB && twist == OTHER_DST)
		obj->u.fdb.dst.addr[3] = 9;
	if (obj->kind == PN_RULE && twist == OTHER_TABLE)
		obj->u.rule.table = 7;
	if (obj->kind == PN_SYSCTL && twist == OTHER_VALUE)
		obj->u.sysctl.value[0] = '0';
}

static void observe(struct podnet_set *had, enum twist twist)
{
	size_t kept = 0;

	for (size_t i = 0; i < had->objs.n; i++) {
		struct pn_obj *obj = &had->objs.v[i];

		twist_obj(obj, twist);
		if ((twist == HALF || twist == DOOMED) && !strcmp(obj->link, "eth0"))
			continue;
		had->objs.v[kept++] = *obj;
	}
	had->objs.n = kept;
}

/* the ifb's name is a hash, which is no business of these rows */
static void anonymise(char *text)
{
	char name[PODNET_IFNAME_SIZE], *at;

	pn_limit_ifb("pn0", name);
	at = strstr(text, name);
	if (at) {
		memcpy(at, "piIFB", 5);
		memmove(at + 5, at + strlen(name), strlen(at + strlen(name)) + 1);
	}
}

/* true when the row holds */
static bool run_row(const struct row *row)
{
	struct podnet_set *want = declare(row->want), *had = declare(row->have);
	char text[4096] = "", line[PN_LINE_SIZE];
	const struct pn_obj *conflict = NULL;
	struct pn_ops ops = { 0 };
	bool good;
	int r;

	observe(had, row->twist);
	r = pn_diff(&want->objs, &had->objs, row->mode, &ops, &conflict);
	if (r < 0 && conflict)
		pn_name_object(want, conflict, text, sizeof(text));
	pn_order(&ops, want);
	for (size_t i = 0; i < ops.n && r == 0; i++) {
		pn_line(want, &ops.v[i], line, sizeof(line));
		strncat(text, line, sizeof(text) - strlen(text) - 1);
		strncat(text, "\n", sizeof(text) - strlen(text) - 1);
	}
	anonymise(text);
	good = r == row->r && !strcmp(text, row->lines);
	if (!good)
		print_error("%s: %d\n%sinstead of %d\n%s", row->says, r, text, row->r, row->lines);
	free(ops.v);
	podnet_set_free(want);
	podnet_set_free(had);
	return good;
}

static void rows_hold(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		bad += !run_row(&rows[i]);
	assert_int_equal(bad, 0);
}

static void dropped_namespace_dooms_its_pair(void **state)
{
	struct podnet_set *want = declare(POD), *had = declare(POD);
	const struct pn_obj *conflict = NULL;
	struct pn_ops ops = { 0 };
	int doomed = 0;

	(void)state;
	observe(had, AS_IS);
	assert_int_equal(pn_diff(&want->objs, &had->objs, PN_DIFF_ABSENT, &ops, &conflict), 0);
	for (size_t i = 0; i < ops.n; i++)
		doomed += ops.v[i].doom && ops.v[i].obj.kind == PN_LINK;
	assert_int_equal(doomed, 1);
	free(ops.v);
	podnet_set_free(want);
	podnet_set_free(had);
}

static void allocations_may_fail(void **state)
{
	struct podnet_set *want = declare(POD | LIMIT), *had = declare(POD | IN_LIMIT | RULE);
	const struct pn_obj *conflict = NULL;

	(void)state;
	observe(had, UNPAIRED);
	for (long k = 1;; k++) {
		struct pn_ops ops = { 0 };
		int r;

		allocfail_at(k);
		r = pn_diff(&want->objs, &had->objs, 0, &ops, &conflict);
		free(ops.v);
		if (!allocfail_hit()) {
			allocfail_at(0);
			assert_int_equal(r, 0);
			assert_true(k > 2);
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
	podnet_set_free(want);
	podnet_set_free(had);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_hold),
		cmocka_unit_test(dropped_namespace_dooms_its_pair),
		cmocka_unit_test(allocations_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
