/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_prefix.c - addresses, prefixes, MACs, error texts and the ground's small functions
 *
 * Room: unit tests, no kernel.
 */
#include "lib/testlib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static const struct parse_case {
	const char *text;
	int want;
	const char *out;            /* formatted again; NULL: not parsed */
} parses[] = {
	{ "10.0.0.1/24",           0,       "10.0.0.1/24" },
	{ "10.0.0.1",              0,       "10.0.0.1/32" },
	{ "0.0.0.0/0",             0,       "0.0.0.0/0" },
	{ "255.255.255.255/32",    0,       "255.255.255.255/32" },
	{ "fd00::/64",             0,       "fd00::/64" },
	{ "FD00:0:0:0:0:0:0:1",    0,       "fd00::1/128" },
	{ "2001:db8:0:1:1:1:1:1",  0,       "2001:db8:0:1:1:1:1:1/128" },
	{ "2001:0:0:1:0:0:0:1/1",  0,       "2001:0:0:1::1/1" },
	{ "::/0",                  0,       "::/0" },
	{ "::ffff:1.2.3.4/96",     0,       "::ffff:1.2.3.4/96" },
	{ "10.0.0.1/33",           -EINVAL, NULL },
	{ "fd00::/129",            -EINVAL, NULL },
	{ "10.0.0.1/",             -EINVAL, NULL },
	{ "10.0.0.1/ 8",           -EINVAL, NULL },
	{ "10.0.0.1/+8",           -EINVAL, NULL },
	{ "10.0.0.1/-1",           -EINVAL, NULL },
	{ "10.0.0.1/08",           -EINVAL, NULL },
	{ "10.0.0.1/24/24",        -EINVAL, NULL },
	{ "10.0.0.1/4294967296",   -EINVAL, NULL },
	{ "10.0.0.1 ",             -EINVAL, NULL },
	{ " 10.0.0.1",             -EINVAL, NULL },
	{ "10.0.0",                -EINVAL, NULL },
	{ "010.0.0.1",             -EINVAL, NULL },
	{ "10.0.0.256",            -EINVAL, NULL },
	{ "fe80::1%eth0",          -EINVAL, NULL },
	{ "/24",                   -EINVAL, NULL },
	{ "",                      -EINVAL, NULL },
	{ ":::",                   -EINVAL, NULL },
	{ "1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8:9", -EINVAL, NULL },
};

static void prefix_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parses); i++) {
		const struct parse_case *c = &parses[i];
		struct podnet_prefix p, untouched;
		char buf[PODNET_PREFIX_STRLEN];

		memset(&p, 0xee, sizeof(p));
		untouched = p;
		if (podnet_prefix_parse(c->text, &p) != c->want)
			fail_msg("\"%s\"", c->text);
		if (c->out)
			assert_string_equal(podnet_prefix_format(&p, buf), c->out);
		else
			assert_memory_equal(&p, &untouched, sizeof(p));
	}
	assert_int_equal(podnet_prefix_parse(NULL, NULL), -EINVAL);
}

static void prefix_bytes(void **state)
{
	const struct podnet_prefix want = { AF_INET, 24, { 10, 1, 2, 3 } };
	struct podnet_prefix p;
	char buf[PODNET_PREFIX_STRLEN];

	(void)state;
	assert_int_equal(podnet_prefix_parse("10.1.2.3/24", &p), 0);
	assert_memory_equal(&p, &want, sizeof(p));      /* what IPv4 does not use is zero */
	assert_string_equal(podnet_prefix_format_addr(&p, buf), "10.1.2.3");
	p.family = 0;
	assert_string_equal(podnet_prefix_format(&p, buf), "none");
}

static const struct mask_case {
	const char *in, *out;
} masks[] = {
	{ "10.1.2.3/24",  "10.1.2.0/24" },
	{ "10.1.2.3/32",  "10.1.2.3/32" },
	{ "10.1.2.3/0",   "0.0.0.0/0" },
	{ "10.1.255.3/17", "10.1.128.0/17" },
	{ "fd00:1:2:3:ffff::1/68", "fd00:1:2:3:f000::/68" },
	{ "fd00::1/128",  "fd00::1/128" },
	{ "fd00::1/0",    "::/0" },
};

static void prefix_mask(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		char buf[PODNET_PREFIX_STRLEN];
		struct podnet_prefix p;

		assert_int_equal(podnet_prefix_parse(masks[i].in, &p), 0);
		p = podnet_prefix_mask(&p);
		assert_string_equal(podnet_prefix_format(&p, buf), masks[i].out);
	}
}

static const struct contains_case {
	const char *outer, *inner;
	int want;
} contains[] = {
	{ "10.0.0.0/8",   "10.1.0.0/16",   1 },
	{ "10.9.9.9/8",   "10.1.0.0/16",   1 },     /* host bits do not count */
	{ "10.0.0.0/8",   "10.0.0.0/8",    1 },
	{ "10.1.0.0/16",  "10.0.0.0/8",    0 },
	{ "10.0.0.0/9",   "10.128.0.0/16", 0 },
	{ "0.0.0.0/0",    "192.0.2.1",     1 },
	{ "::/0",         "192.0.2.1",     0 },
	{ "fd00::/8",     "fd12::1",       1 },
	{ "fd00::/8",     "fe80::1",       0 },
	{ "fd00::1/128",  "fd00::1/128",   1 },
};

static void prefix_contains(void **state)
{
	const struct podnet_prefix none = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contains); i++) {
		struct podnet_prefix outer, inner;

		assert_int_equal(podnet_prefix_parse(contains[i].outer, &outer), 0);
		assert_int_equal(podnet_prefix_parse(contains[i].inner, &inner), 0);
		if (podnet_prefix_contains(&outer, &inner) != contains[i].want)
			fail_msg("%s in %s", contains[i].inner, contains[i].outer);
	}
	assert_int_equal(podnet_prefix_contains(&none, &none), 0);
}

static const struct mac_case {
	const char *text;
	int want;
} macs[] = {
	{ "02:00:00:00:00:01",  0 },
	{ "aA:bB:cC:dD:eE:fF",  0 },
	{ "02:00:00:00:00:1",   -EINVAL },
	{ "02:00:00:00:00:011", -EINVAL },
	{ "02-00-00-00-00-01",  -EINVAL },
	{ "02:00:00:00:00:0g",  -EINVAL },
	{ "0200:00:00:00:00:",  -EINVAL },
	{ "",                   -EINVAL },
	{ NULL,                 -EINVAL },
};

static void mac(void **state)
{
	const uint8_t want[6] = { 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	char buf[PODNET_MAC_STRLEN];
	uint8_t bytes[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
		if (podnet_mac_parse(macs[i].text, bytes) != macs[i].want)
			fail_msg("\"%s\"", macs[i].text);
	}
	assert_int_equal(podnet_mac_parse("aA:bB:cC:dD:eE:fF", bytes), 0);
	assert_memory_equal(bytes, want, sizeof(want));
	assert_string_equal(podnet_mac_format(bytes, buf), "aa:bb:cc:dd:ee:ff");
}

static const struct text_case {
	struct podnet_error err;
	const char *want;
} texts[] = {
	{ { -EINVAL, "addr_add", "prefix", "10.0.0.1/32 dev eth0", "bad thing", NULL },
	  "addr_add 10.0.0.1/32 dev eth0: prefix: Invalid argument (kernel: bad thing)" },
	{ { -EEXIST, "plan_make", "name", "link pn0", "", "foreign" },
	  "plan_make link pn0: name: File exists (foreign)" },
	{ { -ENOENT, "netns_open", NULL, "", "", NULL }, "netns_open: No such file or directory" },
	{ { -EPERM, NULL, NULL, "", "", NULL }, "podnet: Operation not permitted" },
	{ { 0, NULL, NULL, "", "", NULL }, "no error" },
};

static void error_text(void **state)
{
	char buf[256], small[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int n = podnet_error_text(&texts[i].err, buf, sizeof(buf));

		assert_string_equal(buf, texts[i].want);
		assert_int_equal(n, strlen(texts[i].want));
		assert_int_equal(podnet_error_text(&texts[i].err, small, sizeof(small)), n);
		assert_int_equal(strlen(small), sizeof(small) - 1);
	}
}

static void error_fill(void **state)
{
	struct podnet_error err = { .object = "old" };
	char longer[300];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(pn_err(NULL, -EIO, "step", NULL, NULL), -EIO);
	pn_err_object(NULL, "x");
	assert_int_equal(pn_err(&err, -EIO, "step", "field", longer), -EIO);
	assert_string_equal(err.object, "");
	assert_int_equal(strlen(err.kernel), sizeof(err.kernel) - 1);
	pn_err_object(&err, longer);
	assert_int_equal(strlen(err.object), sizeof(err.object) - 1);
}

static void vec_grow(void **state)
{
	struct { int *v; size_t n, cap; } x = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(pn_grow(&x), 0);
		assert_int_equal(x.v[x.n], 0);
		x.v[x.n++] = i + 1;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(x.v[i], i + 1);
	x.n = x.cap;
	allocfail_at(1);
	assert_int_equal(pn_grow(&x), -ENOMEM);
	assert_true(allocfail_hit());
	assert_int_equal(x.v[999], 1000);       /* as it was */
	free(x.v);
}

static void hash(void **state)
{
	(void)state;
	/* from the draft's own test vectors */
	assert_true(pn_hash("", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(pn_hash("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(pn_hash("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefix_parse), cmocka_unit_test(prefix_bytes),
		cmocka_unit_test(prefix_mask), cmocka_unit_test(prefix_contains),
		cmocka_unit_test(mac), cmocka_unit_test(error_text),
		cmocka_unit_test(error_fill), cmocka_unit_test(vec_grow), cmocka_unit_test(hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
