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
	return (struct podnet_endpoint){ .ip = prefix(ip), .port = port, .weight = weight,
					 .local = local };
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
	/* published ports: from 8000 on and from 1 on they are ranges */
	{ "10.0.0.10", IPPROTO_TCP, 8080, 0, 0, false, "a" },
	{ "10.0.0.10", IPPROTO_UDP, 8000, 0, 0, false, "r" },
	{ "10.0.0.10", IPPROTO_TCP, 8000, 0, 0, false, "r" },
	{ "fd12:1::10", IPPROTO_UDP, 1, 0, 0, false, "R" },
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
	case 'r':
		return endpoint("10.244.0.7", 0, 0, true);
	case 'R':
		return endpoint("fd12:3456::7", 0, 0, true);
	case 'd':
		return endpoint("10.244.0.6", 53, 4, true);
	case 'e':
		return endpoint("10.244.4.7", 53, 2, false);
	}
	return endpoint("fd12:3456::5", 8080, 0, true);
}

static struct podnet_frontend frontend_of(const struct row *row)
{
	struct podnet_frontend f = { .protocol = row->protocol, .port = row->port,
				     .flags = row->flags, .sticky_s = row->sticky_s,
				     .last_port = row->port == 8000 ? 8100 : row->port == 1 ? 65535 : 0 };

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

static void declare_nets(struct podnet_services *s)
{
	const struct podnet_prefix inside[] = { prefix("10.244.0.0/16"), prefix("fd12:3456::/48") };
	const struct podnet_prefix local[] = { prefix("10.244.0.0/22"), prefix("fd12:3456::/64") };
	const struct podnet_prefix services[] = { prefix("10.96.0.0/16"), prefix("fd12:9::/112") };
	const struct podnet_prefix ips[] = { prefix("10.0.0.10"), prefix("fd12:1::10"),
						prefix("10.0.0.10") };
	const struct podnet_service_nets nets = { inside, 2, local, 2, services, 2, ips, 3 };
	struct podnet_error err = { 0 };

	test_ok(podnet_services_nets(s, &nets, &err), &err);
}

/* One of each kind that leaves another trace in the table. */
static void declare(struct podnet_services *s)
{
	declare_nets(s);
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

/* What one feature adds to the table without any: golden/nft/NAME.nft.  @left_out: lines of a pattern. */
static const struct feature {
	const char *name;
	struct row row;
	const char *left_out;
} features[] = {
	{ "none", { .ip = NULL }, NULL },
	{ "cluster-ip", { "10.96.0.10", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 0, false, "ab" }, NULL },
	{ "cluster-ip6", { "fd12:9::10", IPPROTO_UDP, 53, PODNET_FRONTEND_CLUSTER_IP, 0, false, "s" }, NULL },
	{ "weights", { "10.96.0.10", IPPROTO_UDP, 53, PODNET_FRONTEND_CLUSTER_IP, 0, false, "cd" }, NULL },
	/* 16,381 slots, which test_slots looks at */
	{ "maglev", { "10.96.0.10", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP | PODNET_FRONTEND_MAGLEV, 0, false,
		      "ab" }, " [0-9][0-9]* : 10[.]244" },
	{ "affinity", { "10.96.0.13", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 10800, false, "ab" }, NULL },
	{ "no-endpoints", { "10.96.0.11", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP, 0, false, "" }, NULL },
	{ "internal-local", { "10.96.0.12", IPPROTO_TCP, 80, PODNET_FRONTEND_CLUSTER_IP | PODNET_FRONTEND_DROP, 0,
			      false, "" }, NULL },
	{ "node-port", { "4", IPPROTO_TCP, 30080, 0, 0, false, "ab" }, NULL },
	{ "node-port-affinity", { "6", IPPROTO_TCP, 30080, 0, 60, false, "s" }, NULL },
	{ "external-local", { "203.0.113.8", IPPROTO_TCP, 80, PODNET_FRONTEND_OUTSIDE_LOCAL, 0, false, "ab" }, NULL },
	{ "balancer", { "203.0.113.9", IPPROTO_TCP, 80, PODNET_FRONTEND_ALONE, 0, false, "ab" }, NULL },
	{ "source-ranges", { "203.0.113.7", IPPROTO_TCP, 80, 0, 0, true, "a" }, NULL },
	{ "sctp", { "10.96.0.14", IPPROTO_SCTP, 80, PODNET_FRONTEND_CLUSTER_IP, 0, false, "b" }, NULL },
	{ "published", { "10.0.0.10", IPPROTO_TCP, 8080, 0, 0, false, "a" }, NULL },
	{ "published-range", { "10.0.0.10", IPPROTO_UDP, 8000, 0, 0, false, "r" }, NULL },
};

static void golden(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct feature *f = *state;
	char command[512];

	declare_nets(s);
	commit(s);
	assert_int_equal(sh("nft list table inet podnet >/run/none.nft"), 0);
	if (f->row.ip)
		set(s, &f->row);
	commit(s);
	snprintf(command, sizeof(command), "nft list table inet podnet | diff -U2 --suppress-blank-empty -t %s - | sed 1,2d | "
		 "grep -v '%s' >/run/feature.nft; %s /run/feature.nft tests/golden/nft/%s.nft >&2",
		 f->row.ip ? "/run/none.nft" : "/dev/null", f->left_out ? f->left_out : "^@@ -$",
		 getenv("PODNET_GOLDEN") ? "cp" : "diff -u", f->name);
	assert_int_equal(sh(command), 0);
	assert_int_equal(sh("nft list table inet podnet | nft -c -f -"), 0);
}

static const struct drift_case {
	const char *says, *command;
} drifts[] = {
	{ "an element deleted", "nft delete element inet podnet tcp4-random-2 { 10.96.0.10 . tcp . 80 }" },
	{ "an element added", "nft add element inet podnet cluster-ips4 { 192.0.2.1 }" },
	{ "an endpoint changed", "nft 'delete element inet podnet tcp-backends6 "
	  "{ fd12:9::10 . 80 . 0 }; add element inet podnet tcp-backends6 "
	  "{ fd12:9::10 . 80 . 0 : fd12:3456::9 . 8080 }'" },
	{ "a map flushed", "nft flush map inet podnet tcp-backends4" },
	{ "a chain flushed", "nft flush chain inet podnet services" },
	{ "a rule added", "nft insert rule inet podnet services accept" },
	{ "a rule of slots changed", "nft 'flush chain inet podnet tcp4-random-2; "
	  "add rule inet podnet tcp4-random-2 drop'" },
	{ "the policy changed", "nft chain inet podnet refuse-input '{ policy drop; }'" },
	{ "a set of another type", "nft 'flush chain inet podnet sources; "
	  "delete set inet podnet restricted4; add set inet podnet restricted4 { type mark; }'" },
	{ "a range deleted", "nft delete element inet podnet port-ranges4 "
	  "{ 10.0.0.10 . udp . 8000-8100 }" },
	{ "a range changed", "nft 'delete element inet podnet port-ranges4 "
	  "{ 10.0.0.10 . udp . 8000-8100 }; add element inet podnet port-ranges4 "
	  "{ 10.0.0.10 . udp . 8000-8099 : 10.244.0.7 }'" },
	{ "networks flushed", "nft flush set inet podnet pods4" },
	{ "a client's map deleted", "nft 'flush chain inet podnet sticky-tcp4-0a60000d-0050; "
	  "flush chain inet podnet remember-tcp4-0a60000d-0050; "
	  "delete map inet podnet client-tcp4-0a60000d-0050'" },
	{ "the table dormant", "nft add table inet podnet '{ flags dormant; }'" },
	{ "the table flushed", "nft flush table inet podnet" },
	{ "the table deleted", "nft delete table inet podnet" },
	{ "everything flushed", "nft flush ruleset" },
};

static void drift(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct drift_case *c = *state;

	declare(s);
	assert_int_not_equal(commit(s), 0);
	assert_int_equal(sh(c->command), 0);
	assert_int_not_equal(sh(SAME_BUT_FOR_ORDER ">/dev/null"), 0);
	podnet_services_doubt(s);
	assert_int_not_equal(commit(s), 0);
	assert_int_equal(sh(SAME_BUT_FOR_ORDER ">&2"), 0);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 0);
}

static const struct change_case {
	const char *says;
	size_t row;                 /* of the golden table */
	const char *endpoints;      /* NULL: the frontend goes */
	int changes;
} change_cases[] = {
	{ "one endpoint of weight 2 more: its slots, another class instead of one", 0, "abc", 4 },
	{ "one more, and the class stays: itself", 1, "cde", 1 },
	{ "one of two goes", 0, "a", 3 },
	{ "the first of two goes: the last takes its slot", 0, "b", 5 },
	{ "the last goes", 9, "", 3 },
	{ "the frontend goes", 2, NULL, 2 },
	{ "one with affinity goes", 9, NULL, 5 },
	{ "a published port goes: its way, its slot, that it is published", 11, NULL, 3 },
	{ "a range goes", 12, NULL, 2 },
	{ "a range loses its endpoint", 12, "", 1 },
};

/* A frontend as it was, another list of endpoints: that many elements out and in. */
static void change(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct change_case *c = *state;
	struct podnet_frontend gone = frontend_of(&rows[c->row]);
	struct podnet_error err = { 0 };
	struct row row = rows[c->row];

	declare(s);
	commit(s);
	row.endpoints = c->endpoints;
	if (c->endpoints)
		set(s, &row);
	else
		test_ok(podnet_services_absent(s, &gone, &err), &err);
	assert_int_equal(commit(s), c->changes);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 0);
	set(s, &rows[c->row]);
	commit(s);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 0);
}

/* What was counted, and what is told of it when the first frontend is as the second, and again as it was. */
static const struct count_case {
	const char *says;
	/* "c" commit, "a" absent, "s" set, "e" set with its second endpoint, "r" read, "o" set another */
	const char *between;
	uint64_t told;
} count_cases[] = {
	{ "the same again", "sc", 7 },
	{ "an endpoint that comes back", "ecsc", 7 },
	{ "an endpoint that went, read", "ecr", 7 },
	{ "gone, and another in its place", "acsc", 0 },
	{ "another in its place, in one commit", "asc", 0 },
	{ "an endpoint goes before all of it goes", "ecacsc", 0 },
	{ "an endpoint goes and is read before all of it goes", "ecracsc", 0 },
	{ "an endpoint goes and is read, another in one commit", "ecrasc", 0 },
	{ "gone, and another elsewhere", "acocsc", 0 },
	{ "gone while nothing was sent yet", "asasc", 0 },
};

static int add_up(const struct podnet_service_counts *counts, void *arg)
{
	*(uint64_t *)arg += counts->connections;
	return 0;
}

static uint64_t read_counts(struct podnet_services *s)
{
	uint64_t sum = 0;

	assert_int_equal(podnet_services_counts(s, add_up, &sum, NULL), 0);
	return sum;
}

static void counts(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct count_case *c = *state;
	struct podnet_frontend f = frontend_of(&rows[0]);
	struct row second = rows[0];

	second.endpoints = "b";
	set(s, &rows[0]);
	commit(s);
	assert_int_equal(sh("nft add element inet podnet connections4 "
			    "'{ 10.96.0.10 . tcp . 80 . 10.244.0.5 . 8080 counter packets 7 bytes 0 }'"), 0);
	for (const char *step = c->between; *step; step++) {
		if (*step == 'c')
			assert_true(commit(s) >= 0);
		else if (*step == 'r')
			assert_int_equal(read_counts(s), 7);
		else if (*step == 'a')
			assert_int_equal(podnet_services_absent(s, &f, NULL), 0);
		else
			set(s, *step == 's' ? &rows[0] : *step == 'e' ? &second : &rows[9]);
	}
	assert_int_equal(read_counts(s), c->told);
}

static const struct refused_case {
	struct podnet_frontend f;
	const char *field;
} refused_cases[] = {
	{ { .protocol = IPPROTO_TCP, .port = 80 }, "ip" },
	{ { .ip = { AF_INET, 33, { 10 } }, .protocol = IPPROTO_TCP, .port = 80 }, "ip" },
	{ { .ip = { AF_INET, 32, { 0 } }, .protocol = IPPROTO_TCP, .port = 80 }, "ip" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_ICMP, .port = 80 }, "protocol" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP }, "port" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80,
	    .sticky_s = 31 * 86400 }, "sticky_s" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80, .last_port = 79 },
	  "last_port" },
	{ { .ip = { AF_INET, 0, { 0 } }, .protocol = IPPROTO_TCP, .port = 80, .last_port = 90 },
	  "last_port" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80, .last_port = 90,
	    .sticky_s = 1 }, "last_port" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80, .flags = 1 << 9 },
	  "flags" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80, .nendpoints = 2 },
	  "endpoints" },
	{ { .ip = { AF_INET, 32, { 10 } }, .protocol = IPPROTO_TCP, .port = 80, .nsources = 1 },
	  "sources" },
};

static void refused(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct podnet_endpoint six = endpoint("fd00::1", 80, 0, false);
	const struct podnet_prefix range = prefix("fd00::/64");
	struct podnet_frontend f = { .ip = prefix("10.96.0.1"), .protocol = IPPROTO_TCP, .port = 80,
				     .endpoints = &six, .nendpoints = 1 };
	struct podnet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused_cases); i++) {
		err = (struct podnet_error){ 0 };
		assert_int_equal(podnet_services_set(s, &refused_cases[i].f, &err), -EINVAL);
		assert_string_equal(err.field, refused_cases[i].field);
	}
	assert_int_equal(podnet_services_set(s, &f, &err), -EINVAL);
	assert_string_equal(err.field, "endpoints");
	f.nendpoints = 0;
	f.sources = &range;
	f.nsources = 1;
	assert_int_equal(podnet_services_set(s, &f, &err), -EINVAL);
	assert_string_equal(err.field, "sources");
	commit(s);                      /* nothing of it was remembered */
	assert_int_equal(sh("nft list table inet podnet | grep -q 10.96.0.1"), 1);
}

static int publish(struct podnet_services *s, const char *ip, uint8_t protocol, uint16_t first,
		   uint16_t last)
{
	const struct podnet_frontend f = { .ip = prefix(ip), .protocol = protocol, .port = first,
					   .last_port = last };

	return podnet_services_set(s, &f, NULL);
}

/* Two that overlap are named, nothing is sent, and without one of them all is well. */
static void ranges_overlap(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	const struct podnet_frontend one = { .ip = prefix("10.0.0.10"), .protocol = IPPROTO_TCP,
					     .port = 8050, .last_port = 8060 };
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(publish(s, "10.0.0.10", IPPROTO_TCP, 8000, 8100), 0);
	assert_int_equal(publish(s, "10.0.0.10", IPPROTO_TCP, 8101, 8200), 0);
	assert_int_equal(publish(s, "10.0.0.10", IPPROTO_UDP, 8050, 8060), 0);
	assert_int_equal(publish(s, "10.0.0.11", IPPROTO_TCP, 8050, 8060), 0);
	assert_int_not_equal(commit(s), 0);
	assert_int_equal(podnet_services_set(s, &one, NULL), 0);
	assert_int_equal(podnet_services_commit(s, &err), -EEXIST);
	assert_string_equal(err.field, "last_port");
	assert_string_equal(err.object, "10.0.0.10 tcp ports 8000-8100 and 8050-8060");
	assert_int_equal(podnet_services_absent(s, &one, NULL), 0);
	assert_int_equal(commit(s), 0);
}

/** What a monitor heard of nf_tables. */
struct heard {
	unsigned int ours, others, lost;
};

static void on_event(const struct podnet_event *ev, void *arg)
{
	struct heard *h = arg;

	h->lost += ev->type == PODNET_EVENT_OVERRUN;
	if (ev->type == PODNET_EVENT_NFT && ev->table && ev->ours)
		h->ours++;
	else if (ev->type == PODNET_EVENT_NFT && ev->table)
		h->others++;
}

static struct heard hear(struct podnet_monitor *mon)
{
	struct heard h = { 0 };

	assert_true(podnet_monitor_read(mon, on_event, &h, NULL) >= 0);
	return h;
}

/* More than a map was made for, and more than a message and a send buffer hold; twice. */
static void large(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_services_freep) struct podnet_services *s = open_services(ctx);
	_cleanup_(podnet_services_freep) struct podnet_services *again = NULL;
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = NULL;
	const struct podnet_endpoint v[] = { endpoint("10.244.0.5", 8080, 0, true),
					     endpoint("10.244.4.6", 8080, 0, false) };
	enum { N = 5000 };
	struct heard h;

	(void)state;
	commit(s);
	again = open_services(ctx);
	for (int i = 0; i < N; i++) {
		struct podnet_frontend f = {
			.ip = { AF_INET, 32, { 10, 97, (uint8_t)(i >> 8), (uint8_t)i } },
			.protocol = IPPROTO_TCP, .port = 80, .flags = PODNET_FRONTEND_CLUSTER_IP,
			.endpoints = v, .nendpoints = 2,
		};

		assert_int_equal(podnet_services_set(s, &f, NULL), 0);
		assert_int_equal(podnet_services_set(again, &f, NULL), 0);
		if (i == 100)
			assert_true(commit(s) > 100);
	}
	assert_int_equal(podnet_monitor_open(ctx, &mon, NULL), 0);
	assert_true(commit(s) > 4 * (N - 101));
	h = hear(mon);
	assert_int_equal(h.ours + h.lost, 0);           /* 20,000 elements, unheard */
	assert_int_equal(sh("nft delete element inet podnet cluster-ips4 { 10.97.0.1 }"), 0);
	assert_int_equal(hear(mon).others, 1);
	podnet_services_doubt(s);
	assert_int_equal(commit(s), 1);
	assert_int_equal(hear(mon).ours, 1);
	assert_int_equal(commit(s), 0);
	assert_int_equal(commit(again), 0);
}

int main(void)
{
	struct CMUnitTest tests[64] = {
		{ "made once", made_once, netns_setup, NULL, NULL },
		{ "refused", refused, netns_setup, NULL, NULL },
		{ "large", large, netns_setup, NULL, NULL },
		{ "ranges overlap", ranges_overlap, netns_setup, NULL, NULL },
	};
	size_t n = 4;

	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++)
		tests[n++] = (struct CMUnitTest){ drifts[i].says, drift, netns_setup, NULL,
						  (void *)(uintptr_t)&drifts[i] };
	for (size_t i = 0; i < ARRAY_SIZE(change_cases); i++)
		tests[n++] = (struct CMUnitTest){ change_cases[i].says, change, netns_setup, NULL,
						  (void *)(uintptr_t)&change_cases[i] };
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		tests[n++] = (struct CMUnitTest){ features[i].name, golden, netns_setup, NULL,
						  (void *)(uintptr_t)&features[i] };
	for (size_t i = 0; i < ARRAY_SIZE(count_cases); i++)
		tests[n++] = (struct CMUnitTest){ count_cases[i].says, counts, netns_setup, NULL,
						  (void *)(uintptr_t)&count_cases[i] };
	/* the array is longer than what is in it, so the macro cannot count */
	return _cmocka_run_group_tests("balance", tests, n, NULL, NULL);
}
