/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_set_check.c - declaring: what is refused, with which field; duplicates; failing allocations
 *
 * Room: unit tests; no kernel.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <libpodnet/plan/inner.h>
#include <sys/socket.h>

#define MAC_MULTICAST { 1, 2, 3, 4, 5, 6 }

static struct podnet_set *new_set(void)
{
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;

	test_ok(podnet_set_new(&set, "blue", &err), &err);
	return set;
}

/* one error: its field; the set remembers it */
static void expect(struct podnet_set *set, int r, const struct podnet_error *err, int want,
		   const char *field, const char *says)
{
	if (r != want)
		fail_msg("%s: %d instead of %d", says, r, want);
	if (field && (!err->field || strcmp(err->field, field)))
		fail_msg("%s: field %s instead of %s", says, err->field ? err->field : "none", field);
	if (want < 0)
		assert_int_equal(set->error.code, want);
	podnet_set_free(set);
}

static const struct scope_case { const char *scope; int want; } scopes[] = {
	{ "blue", 0 }, { "default.web-1", 0 }, { "", -EINVAL }, { NULL, -EINVAL },
	{ "a:b", -EINVAL }, { "a b", -EINVAL },
	{ "0123456789012345678901234567890123456789012345678901234567890123", -EINVAL },
	{ "012345678901234567890123456789012345678901234567890123456789012", 0 },
};

static void scope_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		struct podnet_set *set = NULL;

		assert_int_equal(podnet_set_new(&set, scopes[i].scope, NULL), scopes[i].want);
		assert_true((set != NULL) == (scopes[i].want == 0));
		podnet_set_free(set);
	}
}

static const struct link_case {
	const char *says; struct podnet_link spec; int want; const char *field;
} links[] = {
	{ "plain",             { .name = "br0" },                        0,       NULL },
	{ "15 bytes",          { .name = "abcdefghijklmno" },            0,       NULL },
	{ "16 bytes",          { .name = "abcdefghijklmnop" },           -EINVAL, "name" },
	{ "no name",           { .name = NULL },                         -EINVAL, "name" },
	{ "empty",             { .name = "" },                           -EINVAL, "name" },
	{ "dot",               { .name = "." },                          -EINVAL, "name" },
	{ "dots",              { .name = ".." },                         -EINVAL, "name" },
	{ "slash",             { .name = "a/b" },                        -EINVAL, "name" },
	{ "colon",             { .name = "a:b" },                        -EINVAL, "name" },
	{ "blank",             { .name = "a b" },                        -EINVAL, "name" },
	{ "template",          { .name = "br%d" },                       -EINVAL, "name" },
	{ "least mtu",         { .name = "br0", .mtu = 68 },             0,       NULL },
	{ "less than that",    { .name = "br0", .mtu = 67 },             -EINVAL, "mtu" },
	{ "greatest mtu",      { .name = "br0", .mtu = 65535 },          0,       NULL },
	{ "more than that",    { .name = "br0", .mtu = 65536 },          -EINVAL, "mtu" },
	{ "multicast mac",     { .name = "br0", .mac = MAC_MULTICAST },  -EINVAL, "mac" },
	{ "bad master",        { .name = "p0", .master = "a/b" },        -EINVAL, "master" },
	{ "a flag too many",   { .name = "br0", .flags = 1 << 6 },       -EINVAL, "flags" },
};

static void link_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();
		int r = podnet_set_bridge(set, &links[i].spec, &err);

		expect(set, r, &err, links[i].want, links[i].field, links[i].says);
	}
}

static const struct route_case {
	const char *says, *dst, *via, *src, *link;
	enum podnet_route_type type;
	bool onlink;
	int want;
	const char *field;
} routes[] = {
	{ "on link",        "10.0.0.0/24",  NULL,       NULL,        "eth0", 0, 0, 0,       NULL },
	{ "default",        "0.0.0.0/0",    "10.0.0.1", NULL,        NULL,   0, 0, 0,       NULL },
	{ "default 6",      "::/0",         "fe80::1",  NULL,        "eth0", 0, 0, 0,       NULL },
	{ "nowhere",        "10.0.0.0/8",   NULL,       NULL,        NULL,   1, 0, 0,       NULL },
	{ "no dst",         NULL,           NULL,       NULL,        "eth0", 0, 0, -EINVAL, "dst" },
	{ "host bits",      "10.0.0.1/24",  NULL,       NULL,        "eth0", 0, 0, -EINVAL, "dst" },
	{ "4 by 6",         "10.0.0.0/24",  "fe80::1",  NULL,        "eth0", 0, 0, 0,       NULL },
	{ "6 by 4",         "fd00::/64",    "10.0.0.1", NULL,        "eth0", 0, 0, -EINVAL, "via" },
	{ "src of another", "10.0.0.0/24",  NULL,       "fd00::1",   "eth0", 0, 0, -EINVAL, "src" },
	{ "no way out",     "10.0.0.0/24",  NULL,       NULL,        NULL,   0, 0, -EINVAL, "link" },
	{ "bad link",       "10.0.0.0/24",  NULL,       NULL,        "a b",  0, 0, -EINVAL, "link" },
	{ "no such type",   "10.0.0.0/24",  NULL,       NULL,        "eth0", 9, 0, -EINVAL, "type" },
	{ "onlink alone",   "10.0.0.0/24",  NULL,       NULL,        "eth0", 0, 1, -EINVAL, "onlink" },
};

static void route_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct route_case *c = &routes[i];
		struct podnet_route spec = {
			.dst = prefix(c->dst), .via = prefix(c->via), .src = prefix(c->src),
			.link = c->link, .type = c->type, .onlink = c->onlink,
		};
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();
		int r = podnet_set_route(set, &spec, &err);

		expect(set, r, &err, c->want, c->field, c->says);
	}
}

static const struct rule_case {
	const char *says; struct podnet_rule spec; int want; const char *field;
} rules[] = {
	{ "plain",        { .family = AF_INET, .priority = 100, .table = 5 },     0, NULL },
	{ "no family",    { .priority = 100, .table = 5 },                        -EINVAL, "family" },
	{ "no priority",  { .family = AF_INET, .table = 5 },                      -EINVAL, "priority" },
	{ "the kernel's", { .family = AF_INET, .priority = 32766, .table = 5 },   -EINVAL, "priority" },
	{ "no table",     { .family = AF_INET6, .priority = 1 },                  -EINVAL, "table" },
	{ "mark, no mask", { .family = AF_INET, .priority = 1, .table = 5, .mark = 1 },
							                          -EINVAL, "mark" },
	{ "bad iif",      { .family = AF_INET, .priority = 1, .table = 5, .iif = "" },
							                          -EINVAL, "iif" },
};

static void rule_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();
		int r = podnet_set_rule(set, &rules[i].spec, &err);

		expect(set, r, &err, rules[i].want, rules[i].field, rules[i].says);
	}
}

static const struct vxlan_case {
	const char *says; struct podnet_vxlan spec; const char *local; int want; const char *field;
} vxlans[] = {
	{ "plain",           { .link.name = "vx0", .id = 1 },                "10.0.0.1", 0, NULL },
	{ "IPv6",            { .link.name = "vx0", .id = 1 },                "fd00::1", 0, NULL },
	{ "greatest id",     { .link.name = "vx0", .id = 16777215 },         "10.0.0.1", 0, NULL },
	{ "more than that",  { .link.name = "vx0", .id = 16777216 },         "10.0.0.1", -EINVAL, "id" },
	{ "no id",           { .link.name = "vx0" },                         "10.0.0.1", -EINVAL, "id" },
	{ "no local",        { .link.name = "vx0", .id = 1 },                NULL,  -EINVAL, "local" },
	{ "local network",   { .link.name = "vx0", .id = 1 },         "10.0.0.0/8", -EINVAL, "local" },
	{ "bad name",        { .link.name = "v/0", .id = 1 },                "10.0.0.1", -EINVAL, "name" },
	{ "bad dev",         { .link.name = "vx0", .id = 1, .dev = "" },     "10.0.0.1", -EINVAL, "dev" },
	{ "no such csum",    { .link.name = "vx0", .id = 1, .csum = 3 },     "10.0.0.1", -EINVAL, "csum" },
	{ "multicast mac",   { .link = { .name = "vx0", .mac = MAC_MULTICAST }, .id = 1 },
							                     "10.0.0.1", -EINVAL, "mac" },
};

static void vxlan_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vxlans); i++) {
		struct podnet_vxlan spec = vxlans[i].spec;
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();

		spec.local = prefix(vxlans[i].local);
		expect(set, podnet_set_vxlan(set, &spec, &err), &err, vxlans[i].want,
		       vxlans[i].field, vxlans[i].says);
	}
}

static const struct tun_case {
	const char *says; struct podnet_tun spec; int want; const char *field;
} tuns[] = {
	{ "plain",        { .link.name = "tun0" },                                      0, NULL },
	{ "all flags",    { .link.name = "tun0", .flags = 7 },                          0, NULL },
	{ "one more",     { .link.name = "tun0", .flags = 8 },                    -EINVAL, "flags" },
	{ "a port's",     { .link = { .name = "tun0", .flags = PODNET_LINK_HAIRPIN } }, -EINVAL, "flags" },
	{ "a mac",        { .link = { .name = "tun0", .mac = { 2 } } },           -EINVAL, "mac" },
	{ "a master",     { .link = { .name = "tun0", .master = "br0" } },        -EINVAL, "master" },
	{ "bad name",     { .link.name = "tun%d" },                               -EINVAL, "name" },
	{ "small mtu",    { .link = { .name = "tun0", .mtu = 67 } },              -EINVAL, "mtu" },
};

static void tun_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tuns); i++) {
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();

		expect(set, podnet_set_tun(set, &tuns[i].spec, &err), &err, tuns[i].want,
		       tuns[i].field, tuns[i].says);
	}
}

static const struct fdb_case {
	const char *says; struct podnet_fdb spec; const char *dst; int want; const char *field;
} fdbs[] = {
	{ "plain",          { .link = "vx0", .mac = { 2 } },         "10.0.0.2", 0, NULL },
	{ "IPv6",           { .link = "vx0", .mac = { 2 } },         "fd00::2",  0, NULL },
	{ "no link",        { .mac = { 2 } },                        "10.0.0.2", -EINVAL, "link" },
	{ "no mac",         { .link = "vx0" },                       "10.0.0.2", -EINVAL, "mac" },
	{ "multicast mac",  { .link = "vx0", .mac = MAC_MULTICAST }, "10.0.0.2", -EINVAL, "mac" },
	{ "no destination", { .link = "vx0", .mac = { 2 } },         NULL,       -EINVAL, "dst" },
	{ "a network",      { .link = "vx0", .mac = { 2 } },         "10.0.0.0/8", -EINVAL, "dst" },
};

static void fdb_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fdbs); i++) {
		struct podnet_fdb spec = fdbs[i].spec;
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();

		spec.dst = prefix(fdbs[i].dst);
		expect(set, podnet_set_fdb(set, &spec, &err), &err, fdbs[i].want, fdbs[i].field,
		       fdbs[i].says);
	}
}

static const struct limit_case {
	const char *says; struct podnet_limit spec; int want; const char *field;
} limits[] = {
	{ "least",     { .link = "eth0", .rate = 1000 },                     0,       NULL },
	{ "less",      { .link = "eth0", .rate = 999 },                      -EINVAL, "rate" },
	{ "greatest",  { .link = "eth0", .rate = INT64_MAX },                0,       NULL },
	{ "more",      { .link = "eth0", .rate = (uint64_t)INT64_MAX + 1 },  -EINVAL, "rate" },
	{ "no link",   { .rate = 1000 },                                     -EINVAL, "link" },
};

static void limit_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();
		int r = podnet_set_limit(set, &limits[i].spec, &err);

		expect(set, r, &err, limits[i].want, limits[i].field, limits[i].says);
	}
}

static const struct sysctl_case {
	const char *key, *value; int want; const char *field;
} sysctls[] = {
	{ "ipv4/ip_forward", "1",             0,       NULL },
	{ "ipv4/conf/eth0.5/rp_filter", "0",  0,       NULL },
	{ "../kernel/core_pattern", "x",      -EINVAL, "key" },
	{ "/ipv4/ip_forward", "1",            -EINVAL, "key" },
	{ "ipv4//ip_forward", "1",            -EINVAL, "key" },
	{ "ipv4/ip forward", "1",             -EINVAL, "key" },
	{ "", "1",                            -EINVAL, "key" },
	{ NULL, "1",                          -EINVAL, "key" },
	{ "ipv4/ip_forward", "1\n",           -EINVAL, "value" },
	{ "ipv4/ip_forward", NULL,            -EINVAL, "value" },
};

static void sysctl_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		struct podnet_sysctl spec = { .key = sysctls[i].key, .value = sysctls[i].value };
		struct podnet_error err = { 0 };
		struct podnet_set *set = new_set();
		int r = podnet_set_sysctl(set, &spec, &err);

		expect(set, r, &err, sysctls[i].want, sysctls[i].field,
		       sysctls[i].key ? sysctls[i].key : "no key");
	}
}

static void twice_is_fine_but_not_differently(void **state)
{
	const struct podnet_addr one = { .link = "eth0", .prefix = prefix("10.0.0.1/24") };
	struct podnet_addr other = one;
	struct podnet_error err = { 0 };
	struct podnet_set *set = new_set();

	(void)state;
	test_ok(podnet_set_addr(set, &one, &err), &err);
	test_ok(podnet_set_addr(set, &one, &err), &err);
	assert_int_equal(set->objs.n, 1);
	other.no_prefix_route = true;
	assert_int_equal(podnet_set_addr(set, &other, &err), -EEXIST);
	assert_string_equal(err.object, "addr eth0 10.0.0.1/24");
	/* the error sticks, so that a caller may look at the last call only */
	memset(&err, 0, sizeof(err));
	assert_int_equal(podnet_set_addr(set, &one, &err), -EEXIST);
	assert_string_equal(err.step, "addr_check");
	podnet_set_free(set);
}

static void own_end_comes_first(void **state)
{
	const struct podnet_veth spec = { .end = { { .netns = "blue", .name = "eth0" },
						   { .name = "pnblue" } } };
	struct podnet_error err = { 0 };
	struct podnet_set *set = new_set();
	uint16_t own;

	(void)state;
	test_ok(podnet_set_veth(set, &spec, &err), &err);
	test_ok(pn_set_ref(set, NULL, &own), &err);
	assert_int_equal(pn_objs_link(&set->objs, own, "pnblue")->u.dev.end, 0);
	podnet_set_free(set);
}

static int declare_all(struct podnet_set **ret, struct podnet_error *err)
{
	const struct podnet_veth veth = { .end = { { .name = "pnblue" },
						   { .netns = "blue", .name = "eth0" } } };
	const struct podnet_limit limit = { .link = "pnblue", .rate = 1000000, .incoming = true };
	struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, "blue", err);

	if (r < 0)
		return r;
	podnet_set_netns(set, &(struct podnet_netns){ .name = "blue" }, err);
	podnet_set_veth(set, &veth, err);
	for (int i = 0; i < 20; i++) {
		struct podnet_addr addr = { .link = "pnblue", .prefix = prefix("10.0.0.1/24") };

		addr.prefix.addr[3] = (uint8_t)i;
		podnet_set_addr(set, &addr, err);
	}
	r = podnet_set_limit(set, &limit, err);
	*ret = set;
	return r;
}

static void allocations_may_fail(void **state)
{
	(void)state;
	for (long k = 1;; k++) {
		struct podnet_error err = { 0 };
		struct podnet_set *set = NULL;
		int r;

		allocfail_at(k);
		r = declare_all(&set, &err);
		podnet_set_free(set);
		if (!allocfail_hit()) {
			allocfail_at(0);
			assert_int_equal(r, 0);
			assert_true(k > 5);
			return;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(err.code, -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scope_is_checked),
		cmocka_unit_test(link_is_checked),
		cmocka_unit_test(route_is_checked),
		cmocka_unit_test(rule_is_checked),
		cmocka_unit_test(vxlan_is_checked),
		cmocka_unit_test(tun_is_checked),
		cmocka_unit_test(fdb_is_checked),
		cmocka_unit_test(limit_is_checked),
		cmocka_unit_test(sysctl_is_checked),
		cmocka_unit_test(twice_is_fine_but_not_differently),
		cmocka_unit_test(own_end_comes_first),
		cmocka_unit_test(allocations_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
