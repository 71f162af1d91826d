/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_settle.c - which connections the services' handle makes the kernel forget
 *
 * conntrack(8) makes the entries and says what is left.  Names in brackets are lines of the case
 * list.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/testlib.h>

DEFINE_CLEANUP(struct podnet_services, podnet_services_free)

/* source port of the client: the name of the entry */
#define NAT(proto, port, dst, dport, to, rest) { port, "conntrack -I -p " proto " -s 10.0.0.1 -d " dst \
	" --sport " #port " --dport " #dport " --dst-nat " to " -t 100 " rest " 2>/dev/null" }
#define PLAIN(proto, port, dst, dport, rest) { port, "conntrack -I -p " proto " -s 10.0.0.1 -d " dst \
	" -r " dst " -q 10.0.0.1 --sport " #port " --dport " #dport " --reply-port-src " #dport \
	" --reply-port-dst " #port " -t 100 " rest " 2>/dev/null" }
#define REPLIED "-u SEEN_REPLY,ASSURED"

/** Entries that are there before each row. */
static const struct entry {
	unsigned int port;
	const char *command;
} entries[] = {
	NAT("udp", 1001, "10.96.0.10", 53, "10.244.0.5:8053", REPLIED),
	NAT("udp", 1002, "10.96.0.10", 53, "10.244.0.6:8053", REPLIED),
	NAT("udp", 1003, "10.96.0.10", 53, "10.244.0.6:8053", ""),
	NAT("udp", 1004, "10.96.0.10", 53, "10.244.0.7:8053", REPLIED),
	NAT("udp", 1005, "10.96.0.10", 53, "10.244.0.5:9999", REPLIED),
	NAT("tcp", 1006, "10.96.0.10", 80, "10.244.0.6:8080", "--state SYN_SENT"),
	NAT("tcp", 1007, "10.96.0.10", 80, "10.244.0.6:8080", "--state ESTABLISHED " REPLIED),
	NAT("tcp", 1008, "10.96.0.10", 80, "10.244.0.5:8080", "--state SYN_SENT"),
	NAT("udp", 1009, "10.0.0.10", 30053, "10.244.0.6:8053", REPLIED),
	PLAIN("udp", 1010, "10.0.0.10", 30053, ""),
	PLAIN("udp", 1011, "10.0.0.10", 30053, REPLIED),
	/* none of ours: another port, address, protocol, somebody else's node port */
	NAT("udp", 1012, "10.96.0.10", 54, "10.244.0.6:8053", REPLIED),
	NAT("udp", 1013, "10.96.9.10", 53, "10.244.0.6:8053", REPLIED),
	NAT("udp", 1014, "10.0.0.11", 30053, "10.244.0.6:8053", REPLIED),
	NAT("udp", 1015, "10.96.0.10", 80, "10.244.0.6:8080", ""),
	PLAIN("tcp", 1016, "192.0.2.1", 443, "--state SYN_SENT"),
	/* a range of ports, and beside it */
	NAT("udp", 1017, "10.0.0.10", 8005, "10.244.0.5:8005", REPLIED),
	NAT("udp", 1018, "10.0.0.10", 8010, "10.244.0.6:8010", REPLIED),
	NAT("udp", 1019, "10.0.0.10", 8011, "10.244.0.6:8011", REPLIED),
	NAT("tcp", 1020, "10.0.0.10", 8005, "10.244.0.6:8005", "--state SYN_SENT"),
};

/** What is declared: letters of endpoints of the three frontends; NULL: no such frontend. */
struct wish {
	const char *dns, *web, *port;
};

static const struct row {
	const char *says;
	struct wish before, after;
	const char *gone;           /* source ports, in order */
	int restart;                /* the second wish is another handle's, which looks at all */
} rows[] = {
	/* whenever somebody looks: 1005 went to another port, 1010 to nobody */
	{ "the first look", { "567", "56", "6" }, { "567", "56", "6" }, "1005 1010", 0 },
	{ "an endpoint of one", { "567", "56", "6" }, { "57", "56", "6" },
	  "1002 1003 1005", 0 },
	{ "two of two [I11]", { "567", "56", "6" }, { "5", "5", "6" }, "1002 1003 1004 1005 1006",
	  0 },
	{ "scaled to zero [I8]", { "567", "56", "6" }, { "", "", "" },
	  "1001 1002 1003 1004 1005 1006 1008 1009 1010", 0 },
	{ "frontends deleted", { "567", "56", "6" }, { NULL, NULL, NULL },
	  "1001 1002 1003 1004 1005 1006 1008 1009 1010", 0 },
	{ "one that leaves keeps what it has", { "567", "56", "6" }, { "56l", "56", "6" }, "1005", 0 },
	{ "one that left", { "56l", "56", "6" }, { "56", "56", "6" }, "1004 1005", 0 },
	{ "one more touches nothing", { "567", "56", "6" }, { "5678", "56", "6" }, "", 0 },
	{ "another first one [I5]", { NULL, "56", NULL }, { "8", "56", "6" },
	  "1001 1002 1003 1004 1005 1010", 0 },
	{ "a restart, nothing changed [I9]", { "567", "56", "6" }, { "567", "56", "6" }, "1005 1010", 1 },
	{ "a restart, one went meanwhile", { "567", "56", "6" }, { "57", "56", "6" },
	  "1002 1003 1005 1010", 1 },
	{ "a restart, a frontend went meanwhile", { "567", "56", "6" }, { NULL, "56", NULL },
	  "1001 1002 1003 1004 1005 1009 1010", 1 },
};

static void declare(struct podnet_services *s, const char *ip, uint8_t protocol, uint16_t port,
		    uint16_t to, const char *endpoints)
{
	struct podnet_endpoint v[8] = { 0 };
	struct podnet_frontend f = {
		.ip = prefix(ip), .protocol = protocol, .port = port, .endpoints = v,
		.flags = ip ? PODNET_FRONTEND_CLUSTER_IP : 0,
	};
	struct podnet_error err = { 0 };
	char text[32];

	f.ip.family = AF_INET;
	if (!endpoints) {
		test_ok(podnet_services_absent(s, &f, &err), &err);
		return;
	}
	for (const char *at = endpoints; *at; at++) {
		bool leaves = *at == 'l';       /* 10.244.0.7 */

		snprintf(text, sizeof(text), "10.244.0.%c", leaves ? '7' : *at);
		v[f.nendpoints++] = (struct podnet_endpoint){
			.ip = prefix(text), .port = to, .local = 1, .leaving = leaves,
		};
	}
	test_ok(podnet_services_set(s, &f, &err), &err);
}

static void wish(struct podnet_services *s, const struct wish *w)
{
	struct podnet_prefix node_ip = prefix("10.0.0.10"), net = prefix("10.96.0.0/16");
	const struct podnet_service_nets nets = { .node_ips = &node_ip, .nnode_ips = 1,
						  .services = &net, .nservices = 1 };
	struct podnet_error err = { 0 };

	test_ok(podnet_services_nets(s, &nets, &err), &err);
	declare(s, "10.96.0.10", IPPROTO_UDP, 53, 8053, w->dns);
	declare(s, "10.96.0.10", IPPROTO_TCP, 80, 8080, w->web);
	declare(s, NULL, IPPROTO_UDP, 30053, 8053, w->port);
	test_ok(podnet_services_commit(s, &err), &err);
}

static int each(const struct podnet_conntrack *c, void *arg)
{
	*(unsigned int *)arg |= 1u << (c->original.sport - 1001);
	return 0;
}

/* Source ports of those that are not there. */
static void missing(struct podnet *ctx, char text[256])
{
	struct podnet_error err = { 0 };
	unsigned int left = 0;

	test_ok(podnet_conntrack_list(ctx, NULL, each, &left, &err), &err);
	*text = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (!(left & 1u << i))
			snprintf(text + strlen(text), 256 - strlen(text), "%s%u", *text ? " " : "",
				 entries[i].port);
}

static void settled(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = NULL, *again = NULL;
	const struct row *row = *state;
	bool first = row == rows;
	struct podnet_error err = { 0 };
	char text[256];

	test_ok(podnet_services_new(ctx, &s, &err), &err);
	test_ok(podnet_services_new(ctx, &again, &err), &err);
	if (!first) {
		wish(s, &row->before);
		while (podnet_services_unsettled(s))
			test_ok(podnet_services_settle(s, &err), &err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(sh(entries[i].command), 0);
	missing(ctx, text);
	assert_string_equal(text, "");
	wish(row->restart ? again : s, &row->after);
	missing(ctx, text);
	assert_string_equal(text, "");
	test_ok(podnet_services_settle(row->restart ? again : s, &err), &err);
	missing(ctx, text);
	assert_string_equal(text, row->gone);
}

/* What is made after the first look goes with the second, and then there is nothing to look at. */
static void twice(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(podnet_services_new(ctx, &s, &err), &err);
	assert_false(podnet_services_unsettled(s));
	wish(s, &(struct wish){ "56", "5", "6" });
	assert_true(podnet_services_unsettled(s));
	for (int i = 0; i < 2; i++)
		test_ok(podnet_services_settle(s, &err), &err);
	assert_false(podnet_services_unsettled(s));
	wish(s, &(struct wish){ "5", "5", "6" });
	assert_int_equal(test_ok(podnet_services_settle(s, &err), &err), 0);
	assert_int_equal(sh(entries[1].command), 0);
	assert_true(podnet_services_unsettled(s));
	assert_int_equal(test_ok(podnet_services_settle(s, &err), &err), 1);
	assert_false(podnet_services_unsettled(s));
	assert_int_equal(sh(entries[1].command), 0);
	assert_int_equal(test_ok(podnet_services_settle(s, &err), &err), 0);
}

static void declare_range(struct podnet_services *s, const char *to)
{
	const struct podnet_endpoint e = { .ip = prefix(to ? to : "10.244.0.1"), .local = 1 };
	const struct podnet_frontend f = {
		.ip = prefix("10.0.0.10"), .protocol = IPPROTO_UDP, .port = 8000, .last_port = 8010,
		.endpoints = &e, .nendpoints = 1,
	};
	struct podnet_error err = { 0 };

	test_ok(to ? podnet_services_set(s, &f, &err) : podnet_services_absent(s, &f, &err), &err);
	test_ok(podnet_services_commit(s, &err), &err);
	while (podnet_services_unsettled(s))
		test_ok(podnet_services_settle(s, &err), &err);
}

/* Its endpoint changes, it goes; and it went while nobody looked. */
static void range(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = NULL, *again = NULL;
	struct podnet_error err = { 0 };
	char text[256];

	(void)state;
	test_ok(podnet_services_new(ctx, &s, &err), &err);
	test_ok(podnet_services_new(ctx, &again, &err), &err);
	declare_range(s, "10.244.0.5");
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(sh(entries[i].command), 0);
	declare_range(s, "10.244.0.6");
	missing(ctx, text);
	assert_string_equal(text, "1017");
	podnet_services_doubt(s);
	declare_range(s, "10.244.0.6");
	declare_range(s, NULL);
	missing(ctx, text);
	assert_string_equal(text, "1017 1018");
	declare_range(s, "10.244.0.6");
	assert_int_equal(sh(entries[17].command), 0);
	declare_range(again, NULL);
	missing(ctx, text);
	assert_string_equal(text, "1017 1018");
}

static void before_each(void)
{
	assert_int_equal(sh("ip link set lo up && ip addr add 10.0.0.10/24 dev lo"), 0);
}

static int setup(void **state)
{
	int r = netns_setup(state);

	if (r == 0)
		before_each();
	return r;
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 2];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, settled, setup, NULL,
						(void *)(uintptr_t)&rows[i] };
	tests[ARRAY_SIZE(rows)] = (struct CMUnitTest)cmocka_unit_test_setup(twice, setup);
	tests[ARRAY_SIZE(rows) + 1] = (struct CMUnitTest)cmocka_unit_test_setup(range, setup);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
