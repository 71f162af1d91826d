/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_balance.c - the services' table on a real kernel: what is made, changed, repaired
 *
 * nft(8) is the second opinion: it lists what the library made, loads it again, and breaks it.
 * That packets go where they should is tests/e2e's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/testlib.h>

#define GOLDEN "tests/golden/nft/services.nft"
#define SAME_AS_GOLDEN "nft list table inet podnet | diff -u " GOLDEN " - >&2"
/* what was made anew is listed last, and a time-out runs */
#define SAME_BUT_FOR_ORDER "sort " GOLDEN " >/run/golden; nft list table inet podnet 2>/dev/null | " \
	"sort | diff /run/golden - "

DEFINE_CLEANUP(struct podnet_services, podnet_services_free)

struct services {
	struct podnet *ctx;
	struct podnet_services *s;
};

static struct podnet_endpoint endpoint(const char *ip, uint16_t port, uint16_t weight, bool local)
{
	return (struct podnet_endpoint){ prefix(ip), port, weight, local, 0 };
}

/** A frontend of the golden table; "4" and "6" are ports of the node. */
static const struct row {
	const char *ip;
	uint8_t protocol;
	uint16_t port;
	uint32_t flags, sticky_s;
	bool sources;
	const char *endpoints;      /* which of those below */
} rows[] = {
	{ "10.96.0.10", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 0, false, "ab" },
	{ "10.96.0.10", IPPROTO_UDP, 53, PODNET_FRONTEND_CLUSTER_IP, 0, false, "cd" },
	{ "10.96.0.11", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 0, false, "" },
	{ "10.96.0.12", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP | PODNET_FRONTEND_DROP, 0, false,
	  "" },
	{ "10.96.0.13", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 10800, false, "ab" },
	{ "203.0.113.7", IPPROTO_TCP, 80, PODNET_FRONTEND_OUTSIDE_LOCAL, 0, true, "ab" },
	{ "203.0.113.8", IPPROTO_SCTP, 80, PODNET_FRONTEND_OUTSIDE_LOCAL, 0, false, "b" },
	{ "4", IPPROTO_TCP, 30080, PODNET_FRONTEND_OUTSIDE_LOCAL, 60, false, "ab" },
	{ "4", IPPROTO_UDP, 30053, 0, 0, false, "" },
	{ "fd12:9::10", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 300, false, "s" },
	{ "6", IPPROTO_TCP, 30080, 0, 0, false, "s" },
};

static struct podnet_endpoint endpoint_of(char letter)
{
	switch (letter) {
	case 'a':
		return endpoint("10.244.0.5", 8080, 0, true);
	case 'b':
		return endpoint("10.244.4.6", 8080, 0, false);
	case 'c':
		return endpoint("10.244.0.5", 53, 2, true);
	case 'd':
		return endpoint("10.244.0.6", 53, 4, true);
	}
	return endpoint("fd12:3456::5", 8080, 0, true);
}

static struct podnet_frontend frontend_of(const struct row *row)
{
	struct podnet_frontend f = { .protocol = row->protocol, .port = row->port,
				     .flags = row->flags, .sticky_s = row->sticky_s };

	f.ip = *row->ip == '4' && !row->ip[1] ? (struct podnet_prefix){ .family = AF_INET } :
	       *row->ip == '6' && !row->ip[1] ? (struct podnet_prefix){ .family = AF_INET6 } :
	       prefix(row->ip);
	return f;
}

static void set(struct podnet_services *s, const struct row *row)
{
	const struct podnet_prefix sources[] = { prefix("192.0.2.0/24"), prefix("192.0.3.0/24"),
						 prefix("198.51.100.7") };
	struct podnet_frontend f = frontend_of(row);
	struct podnet_endpoint v[8];
	struct podnet_error err = { 0 };

	for (const char *c = row->endpoints; *c; c++)
		v[f.nendpoints++] = endpoint_of(*c);
	f.endpoints = v;
	f.sources = sources;
	f.nsources = row->sources ? ARRAY_SIZE(sources) : 0;
	test_ok(podnet_services_set(s, &f, &err), &err);
}

static int commit(struct podnet_services *s)
{
	struct podnet_error err = { 0 };

	return test_ok(podnet_services_commit(s, &err), &err);
}

/* One of each kind that leaves another trace in the table. */
static void declare(struct podnet_services *s)
{
	const struct podnet_prefix inside[] = { prefix("10.244.0.0/16"), prefix("fd12:3456::/48") };
	const struct podnet_prefix local[] = { prefix("10.244.0.0/22"), prefix("fd12:3456::/64") };
	const struct podnet_prefix services[] = { prefix("10.96.0.0/16"), prefix("fd12:9::/112") };
	const struct podnet_prefix ips[] = { prefix("10.0.0.10"), prefix("fd12:1::10") };
	const struct podnet_service_nets nets = { inside, 2, local, 2, services, 2, ips, 2 };
	struct podnet_error err = { 0 };

	test_ok(podnet_services_nets(s, &nets, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		set(s, &rows[i]);
}

static struct podnet_services *open_services(struct podnet *ctx)
{
	struct podnet_services *s = NULL;
	struct podnet_error err = { 0 };

	test_ok(podnet_services_new(ctx, &s, &err), &err);
	return s;
}

static void made_once(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	_cleanup_(podnet_services_freep) struct podnet_services *again = open_services(ctx);

	(void)state;
	declare(s);
	assert_int_not_equal(commit(s), 0);
	assert_int_equal(commit(s), 0);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 0);
	if (getenv("PODNET_GOLDEN"))
		assert_int_equal(sh("nft list table inet podnet >" GOLDEN), 0);
	assert_int_equal(sh(SAME_AS_GOLDEN), 0);
	declare(again);
	assert_int_equal(commit(again), 0);
	/* nft prints what it can load, also while it is there, and what it loads is as good as ours */
	assert_int_equal(sh("nft list table inet podnet > /run/services.nft && "
			    "nft -c -f /run/services.nft && "
			    "nft delete table inet podnet && nft -f /run/services.nft"), 0);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(made_once, netns_setup),
	};

	return cmocka_run_group_tests_name("services", tests, NULL, NULL);
}
