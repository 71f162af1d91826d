/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_nft_ranges.c - prefixes to disjoint ranges, and the difference of two such sets
 */
#include <libpodnet/nft/nft.h>
#include <stdio.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>

static const struct case_ {
	const char *says;
	const char *prefixes[6];
	const char *want;           /* "from-to from-to" */
} cases[] = {
	{ "none", { NULL }, "" },
	{ "one", { "10.0.0.0/24" }, "10.0.0.0-10.0.0.255" },
	{ "host bits are ignored", { "10.0.0.77/24" }, "10.0.0.0-10.0.0.255" },
	{ "one inside another", { "10.0.0.0/8", "10.1.0.0/16" }, "10.0.0.0-10.255.255.255" },
	{ "the wider one later", { "10.1.0.0/16", "10.0.0.0/8" }, "10.0.0.0-10.255.255.255" },
	{ "same start, other lengths", { "10.0.0.0/24", "10.0.0.0/8", "10.0.0.0/16" },
	  "10.0.0.0-10.255.255.255" },
	{ "touching", { "10.0.1.0/24", "10.0.0.0/24" }, "10.0.0.0-10.0.1.255" },
	{ "one address between", { "10.0.0.0/32", "10.0.0.2/32" },
	  "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.2" },
	{ "a gap after one that holds others", { "10.0.0.0/24", "10.0.0.5/32", "10.0.2.0/24" },
	  "10.0.0.0-10.0.0.255 10.0.2.0-10.0.2.255" },
	{ "twice", { "10.0.0.0/24", "10.0.0.0/24" }, "10.0.0.0-10.0.0.255" },
	{ "all", { "0.0.0.0/0", "10.0.0.0/24" }, "0.0.0.0-255.255.255.255" },
	{ "the last address", { "255.255.255.255/32", "255.255.255.254/32", "0.0.0.0/32" },
	  "0.0.0.0-0.0.0.0 255.255.255.254-255.255.255.255" },
	{ "IPv6 over a byte border", { "fd00::ff/128", "fd00::100/128", "fd00::102/127" },
	  "fd00::ff-fd00::100 fd00::102-fd00::103" },
	{ "all of IPv6", { "8000::/1", "::/1" },
	  "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
};

static void add_text(struct nft_ranges *r, const char *text)
{
	struct podnet_prefix p = { 0 };

	assert_int_equal(podnet_prefix_parse(text, &p), 0);
	r->size = p.family == AF_INET ? 4 : 16;
	assert_int_equal(nft_ranges_add(r, &p), 0);
}

static void ranges_text(const struct nft_ranges *r, char *buf, size_t size)
{
	struct podnet_prefix p = { .family = r->size == 4 ? AF_INET : AF_INET6 };
	char from[PODNET_PREFIX_STRLEN], to[PODNET_PREFIX_STRLEN];
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < r->n; i++) {
		memcpy(p.addr, r->v[i].from, sizeof(p.addr));
		podnet_prefix_format_addr(&p, from);
		memcpy(p.addr, r->v[i].to, sizeof(p.addr));
		podnet_prefix_format_addr(&p, to);
		len += (size_t)snprintf(buf + len, size - len, "%s%s-%s", i ? " " : "", from, to);
		assert_true(len < size);
	}
}

static void normalise(void **state)
{
	const struct case_ *c = *state;
	struct nft_ranges r = { .size = 4 };
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(c->prefixes) && c->prefixes[i]; i++)
		add_text(&r, c->prefixes[i]);
	nft_ranges_normalise(&r);
	ranges_text(&r, text, sizeof(text));
	assert_string_equal(text, c->want);
	nft_ranges_fini(&r);
}

static void minus(void **state)
{
	struct nft_ranges a = { 0 }, b = { 0 }, gone = { 0 }, fresh = { 0 };
	char text[512];

	(void)state;
	add_text(&a, "10.0.0.0/24");
	add_text(&a, "10.2.0.0/24");
	add_text(&a, "10.4.0.0/24");
	add_text(&b, "10.1.0.0/24");
	add_text(&b, "10.2.0.0/24");
	add_text(&b, "10.4.0.0/23");
	assert_int_equal(nft_ranges_minus(&a, &b, &gone), 0);
	assert_int_equal(nft_ranges_minus(&b, &a, &fresh), 0);
	ranges_text(&gone, text, sizeof(text));
	assert_string_equal(text, "10.0.0.0-10.0.0.255 10.4.0.0-10.4.0.255");
	ranges_text(&fresh, text, sizeof(text));
	assert_string_equal(text, "10.1.0.0-10.1.0.255 10.4.0.0-10.4.1.255");
	nft_ranges_fini(&a);
	nft_ranges_fini(&b);
	nft_ranges_fini(&gone);
	nft_ranges_fini(&fresh);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(cases) + 1] = { { "minus", minus, NULL, NULL, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		tests[i + 1] = (struct CMUnitTest){ cases[i].says, normalise, NULL, NULL,
						    (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("nft_ranges", tests, NULL, NULL);
}
