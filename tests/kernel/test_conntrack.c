/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_conntrack.c - the table of connections: what a filter finds, what a deletion leaves
 *
 * conntrack(8) makes the entries and is the second opinion on what is left of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/testlib.h>
#include <time.h>

#define TRACKED "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; " \
	"add rule inet t c ct state new accept' && ip link set lo up"
#define UDP4(src, dst, endpoint, rest) "conntrack -I -p udp -s " src " -d " dst " -r " endpoint \
	" -q " src " --sport 1000 --dport 53 --reply-port-src 8053 --reply-port-dst 1000 -t 100 " \
	rest " 2>/dev/null"
#define TCP4(src, dst, endpoint, state, rest) "conntrack -I -p tcp --state " state " -s " src \
	" -d " dst " -r " endpoint " -q " src " --sport 1000 --dport 80 --reply-port-src 8080 " \
	"--reply-port-dst 1000 -t 100 " rest " 2>/dev/null"

static const char *const entries[] = {
	UDP4("10.0.0.1", "10.96.0.10", "10.244.0.5", "-u SEEN_REPLY,ASSURED -m 5"),
	UDP4("10.0.0.2", "10.96.0.10", "10.244.0.6", "-m 0x15"),
	UDP4("10.0.0.3", "10.96.0.11", "10.244.0.5", "-w 7"),
	TCP4("10.0.0.1", "10.96.0.10", "10.244.0.5", "SYN_SENT", ""),
	TCP4("10.0.0.2", "10.96.0.10", "10.244.0.5", "ESTABLISHED", "-u SEEN_REPLY,ASSURED"),
	UDP4("fd00::1", "fd12::10", "fd13::5", ""),
};

#define N ARRAY_SIZE(entries)

static struct podnet *filled(void)
{
	struct podnet *ctx = test_open(NULL);

	assert_int_equal(sh(TRACKED), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(sh(entries[i]), 0);
	return ctx;
}

/* Bits of the entries by their place in the table above: what is known of each is enough. */
static unsigned int which(const struct podnet_conntrack *c)
{
	if (c->original.dst.family == AF_INET6)
		return 1u << 5;
	if (c->protocol == IPPROTO_TCP)
		return c->original.src.addr[3] == 1 ? 1u << 3 : 1u << 4;
	return 1u << (c->original.src.addr[3] - 1);
}

static int each(const struct podnet_conntrack *c, void *arg)
{
	*(unsigned int *)arg |= which(c);
	return 0;
}

static const struct filter_case {
	const char *says;
	struct podnet_conntrack_filter filter;
	const char *dst, *endpoint;
	unsigned int found;
} filters[] = {
	{ "all", { 0 }, NULL, NULL, 0x3f },
	{ "IPv4", { .family = AF_INET }, NULL, NULL, 0x1f },
	{ "IPv6", { .family = AF_INET6 }, NULL, NULL, 0x20 },
	{ "UDP of both", { .protocol = IPPROTO_UDP }, NULL, NULL, 0x27 },
	{ "UDP of IPv4", { .family = AF_INET, .protocol = IPPROTO_UDP }, NULL, NULL, 0x07 },
	{ "to an address", { 0 }, "10.96.0.10", NULL, 0x1b },
	{ "to a net", { 0 }, "10.96.0.10/31", NULL, 0x1f },
	{ "to an address and port", { .protocol = IPPROTO_UDP, .dport = 53 }, "10.96.0.10", NULL, 0x03 },
	{ "to a port of no protocol", { .dport = 53 }, NULL, NULL, 0x27 },
	{ "to another port", { .protocol = IPPROTO_UDP, .dport = 54 }, "10.96.0.10", NULL, 0 },
	{ "answered by an endpoint", { 0 }, NULL, "10.244.0.5", 0x1d },
	{ "by a net of them", { 0 }, NULL, "10.244.0.0/16", 0x1f },
	{ "by a port of one", { .protocol = IPPROTO_UDP, .endpoint_port = 8053 }, NULL, "10.244.0.5",
	  0x05 },
	{ "to one, answered by one", { .protocol = IPPROTO_UDP, .dport = 53, .endpoint_port = 8053 },
	  "fd12::10", "fd13::5", 0x20 },
	{ "unreplied", { .status_mask = PODNET_CONNTRACK_REPLIED }, NULL, NULL, 0x2e },
	{ "unreplied TCP", { .protocol = IPPROTO_TCP, .status_mask = PODNET_CONNTRACK_REPLIED },
	  NULL, NULL, 0x08 },
	{ "replied", { .status = PODNET_CONNTRACK_REPLIED, .status_mask = PODNET_CONNTRACK_REPLIED },
	  NULL, NULL, 0x11 },
	{ "a mark", { .mark = 5, .mark_mask = UINT32_MAX }, NULL, NULL, 0x01 },
	{ "a bit of marks", { .mark = 1, .mark_mask = 1 }, NULL, NULL, 0x03 },
	{ "a zone", { .zone = 7, .one_zone = 1 }, NULL, NULL, 0x04 },
	{ "zone 0 only", { .zone = 0, .one_zone = 1 }, NULL, NULL, 0x3b },
};

static struct podnet_conntrack_filter filter_of(const struct filter_case *c)
{
	struct podnet_conntrack_filter f = c->filter;

	f.dst = prefix(c->dst);
	f.endpoint = prefix(c->endpoint);
	return f;
}

static void listed(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = filled();
	struct podnet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct podnet_conntrack_filter f = filter_of(&filters[i]);
		unsigned int found = 0;

		test_ok(podnet_conntrack_list(ctx, &f, each, &found, &err), &err);
		if (found != filters[i].found)
			fail_msg("%s: %#x, not %#x", filters[i].says, found, filters[i].found);
	}
}

static int keep_first(const struct podnet_conntrack *c, void *arg)
{
	*(struct podnet_conntrack *)arg = *c;
	return 7;
}

/* Every member of one entry, and that a reader may stop. */
static void told(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = filled();
	struct podnet_conntrack_filter f = { .mark = 5, .mark_mask = UINT32_MAX };
	struct podnet_conntrack c = { 0 };
	struct podnet_prefix want[] = { prefix("10.0.0.1"), prefix("10.96.0.10"), prefix("10.244.0.5") };
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_conntrack_list(ctx, &f, keep_first, &c, &err), 7);
	assert_int_equal(c.protocol, IPPROTO_UDP);
	assert_int_equal(c.mark, 5);
	assert_int_equal(c.zone, 0);
	assert_true(c.timeout_s > 80 && c.timeout_s <= 100);
	assert_true(c.status & PODNET_CONNTRACK_REPLIED && c.status & PODNET_CONNTRACK_ASSURED);
	assert_memory_equal(&c.original.src, &want[0], sizeof(want[0]));
	assert_memory_equal(&c.original.dst, &want[1], sizeof(want[1]));
	assert_memory_equal(&c.reply.src, &want[2], sizeof(want[2]));
	assert_memory_equal(&c.reply.dst, &want[0], sizeof(want[0]));
	assert_int_equal(c.original.sport, 1000);
	assert_int_equal(c.original.dport, 53);
	assert_int_equal(c.reply.sport, 8053);
	assert_int_equal(c.reply.dport, 1000);
}

static void deleted(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = filled();
	struct podnet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct podnet_conntrack_filter f = filter_of(&filters[i]);
		unsigned int left = 0;
		int n;

		assert_int_equal(sh("conntrack -F 2>/dev/null"), 0);
		for (size_t k = 0; k < N; k++)
			assert_int_equal(sh(entries[k]), 0);
		n = test_ok(podnet_conntrack_delete(ctx, &f, NULL, NULL, &err), &err);
		if (n != __builtin_popcount(filters[i].found))
			fail_msg("%s: %d went", filters[i].says, n);
		test_ok(podnet_conntrack_list(ctx, NULL, each, &left, &err), &err);
		assert_int_equal(left, 0x3f & ~filters[i].found);
	}
	assert_int_equal(sh("conntrack -L 2>/dev/null | grep -q '^udp.*zone=7'"), 0);
}

static int udp_or_stop(const struct podnet_conntrack *c, void *arg)
{
	if (c->original.dst.family == AF_INET6 && arg)
		return -ECANCELED;
	return c->protocol == IPPROTO_UDP;
}

static void chosen(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = filled();
	struct podnet_error err = { 0 };
	unsigned int left = 0;
	int stop = 1;

	(void)state;
	assert_int_equal(podnet_conntrack_delete(ctx, NULL, udp_or_stop, &stop, &err), -ECANCELED);
	assert_int_equal(sh(UDP4("10.0.0.1", "10.96.0.10", "10.244.0.5", "")) & ~1, 0);
	test_ok(podnet_conntrack_delete(ctx, NULL, udp_or_stop, NULL, &err), &err);
	test_ok(podnet_conntrack_list(ctx, NULL, each, &left, &err), &err);
	assert_int_equal(left, 0x18);
}

static void refused(void **state)
{
	static const struct { struct podnet_conntrack_filter f; const char *dst, *endpoint, *field; } rows[] = {
		{ { .family = AF_UNIX }, NULL, NULL, "family" },
		{ { .family = AF_INET6 }, "10.0.0.1", NULL, "dst" },
		{ { 0 }, "10.0.0.1", "fd00::1", "endpoint" },
		{ { .status = PODNET_CONNTRACK_REPLIED }, NULL, NULL, "status" },
		{ { .mark = 3, .mark_mask = 1 }, NULL, NULL, "mark" },
	};
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct podnet_conntrack_filter f = rows[i].f;
		struct podnet_error err = { 0 };

		f.dst = prefix(rows[i].dst);
		f.endpoint = prefix(rows[i].endpoint);
		assert_int_equal(podnet_conntrack_delete(ctx, &f, NULL, NULL, &err), -EINVAL);
		assert_string_equal(err.field, rows[i].field);
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* More than several datagrams and batches; a filtered pass over all that stays, and one that takes. */
static void many(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_conntrack_filter f = { .family = AF_INET, .protocol = IPPROTO_UDP };
	struct podnet_error err = { 0 };
	double start;

	(void)state;
	assert_int_equal(sh(TRACKED), 0);
	assert_int_equal(sh("awk 'BEGIN { for (i = 0; i < 40000; i++) print \"-A -t 500 -u SEEN_REPLY "
			    "-s 10.0.0.1 -d \" (i % 4 ? \"192.0.2.1\" : \"10.96.0.10\") \" -r 192.0.2.1 "
			    "-q 10.0.0.1 -p udp --sport \" 1000 + i \" --dport 53 --reply-port-src 53 "
			    "--reply-port-dst \" 1000 + i }' >/run/entries && "
			    "conntrack -R /run/entries 2>/dev/null"), 0);
	f.dst = prefix("10.96.0.10");
	start = seconds();
	assert_int_equal(test_ok(podnet_conntrack_delete(ctx, &f, NULL, NULL, &err), &err), 10000);
	assert_true(seconds() - start < 30);
	assert_int_equal(test_ok(podnet_conntrack_delete(ctx, &f, NULL, NULL, &err), &err), 0);
	assert_int_equal(test_ok(podnet_conntrack_delete(ctx, NULL, NULL, NULL, &err), &err), 30000);
	assert_int_equal(sh("test $(conntrack -C) = 0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(listed, netns_setup),
		cmocka_unit_test_setup(told, netns_setup),
		cmocka_unit_test_setup(deleted, netns_setup),
		cmocka_unit_test_setup(chosen, netns_setup),
		cmocka_unit_test_setup(refused, netns_setup),
		cmocka_unit_test_setup(many, netns_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
