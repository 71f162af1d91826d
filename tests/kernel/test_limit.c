/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_limit.c - limits that hold: bytes are counted, and a rate changes while they flow
 *
 * Room: the public headers, as an embedder; tc(8) is the second opinion.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <tests/lib/testlib.h>
#include <time.h>

#define SIZE 1000

/* two namespaces and a pair: 10.0.0.1 here, 10.0.0.2 in "far" */
static void make_pair(void)
{
	assert_int_equal(sh("ip netns add far; ip link add h0 type veth peer name f0 netns far;"
			    "ip addr add 10.0.0.1/24 dev h0; ip link set h0 up; ip link set lo up;"
			    "ip -n far addr add 10.0.0.2/24 dev f0; ip -n far link set f0 up;"
			    "ip netns exec far ping -c1 -w20 10.0.0.1 >/dev/null"), 0);
}

struct ends { int from, to; };

static int udp(const char *ip, struct sockaddr_in *at)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*at);

	at->sin_family = AF_INET;
	inet_pton(AF_INET, ip, &at->sin_addr);
	assert_int_equal(bind(s, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)at, &len), 0);
	return s;
}

/* a socket here and one there, connected; @inward: what is sent arrives on h0 */
static struct ends connect_ends(bool inward)
{
	struct sockaddr_in near = { 0 }, far = { 0 };
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open("/run/netns/far", O_RDONLY | O_CLOEXEC);
	int n = udp("10.0.0.1", &near), f;

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	f = udp("10.0.0.2", &far);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	close(there);
	assert_int_equal(connect(n, (struct sockaddr *)&far, sizeof(far)), 0);
	assert_int_equal(connect(f, (struct sockaddr *)&near, sizeof(near)), 0);
	return inward ? (struct ends){ f, n } : (struct ends){ n, f };
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Bytes a second that arrive for 0.4 s while more is sent than may pass.  @most: bytes a second; of what was
 * sent since this began no more than that passes, the bucket, and what the headers leave, however late we are.
 */
static double received(const struct ends *e, double most)
{
	static char mark;           /* what was sent before is not counted */
	const struct timespec pause = { .tv_nsec = 500000 };
	double start = now(), bytes = 0, seconds;
	char text[SIZE] = { ++mark }, in[SIZE];

	do {
		ssize_t n;

		for (int i = 0; i < 16; i++)
			(void)!send(e->from, text, sizeof(text), 0);
		while ((n = recv(e->to, in, sizeof(in), 0)) > 0)
			bytes += in[0] == mark ? (double)n : 0;
		seconds = now() - start;
		nanosleep(&pause, NULL);
	} while (seconds < 0.4);
	assert_true(bytes < seconds * most + 32768 + 20000);
	return bytes / seconds;
}

/* On a busy machine we may send too little, but not each time. */
static void await_rate(const struct ends *e, double least, double most)
{
	for (int i = 0; i < 50; i++)
		if (received(e, most) > least)
			return;
	fail_msg("never %.0f bytes a second", least);
}

static void the_bucket_restricts(void **state)
{
	bool incoming = *(const bool *)*state;
	struct podnet_limit limit = { .link = "h0", .rate = 4000000, .burst = 32768,
				      .incoming = incoming };
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };
	struct ends e;

	make_pair();
	ctx = test_open(NULL);
	e = connect_ends(incoming);
	await_rate(&e, 2000000, HUGE_VAL);
	assert_true(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err) > 0);
	await_rate(&e, 250000, 500000);
	limit.rate = 12000000;
	assert_int_equal(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err), 1);
	await_rate(&e, 900000, 1500000);
	assert_int_equal(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err), 0);
	assert_true(test_ok(podnet_limit_absent(ctx, &limit, &err), &err) > 0);
	await_rate(&e, 2000000, HUGE_VAL);
	close(e.from);
	close(e.to);
}

static const struct rate_case { uint64_t rate; uint32_t burst; const char *shown; } rates[] = {
	{ 1000,         0,       "rate 1Kbit" },
	{ 8000000,      65536,   "rate 8Mbit burst 64Kb" },
	{ 1000000000,   0,       "rate 1Gbit" },
	{ 34359738376,  0,       "rate 34359" },        /* more bytes a second than 32 bits hold */
	{ 100000000000, 1 << 20, "rate 100Gbit" },
};

static int keep(const struct podnet_limit_info *info, void *arg)
{
	struct podnet_limit *out = arg;

	out->rate = info->limit.rate;
	out->burst = info->limit.burst;
	return 0;
}

static void rates_are_what_they_say(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	make_pair();
	ctx = test_open(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct podnet_limit limit = { .link = "h0", .rate = rates[i].rate,
					      .burst = rates[i].burst }, seen = { 0 };
		char command[128];

		snprintf(command, sizeof(command), "tc qdisc show dev h0 | grep -q '%s'",
			 rates[i].shown);
		assert_int_equal(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err), 1);
		assert_int_equal(sh(command), 0);
		assert_int_equal(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err), 0);
		test_ok(podnet_limit_list(ctx, NULL, keep, &seen, &err), &err);
		assert_true(seen.rate == rates[i].rate);
	}
}

static void foreign_qdiscs_stay(void **state)
{
	const struct podnet_limit out = { .link = "h0", .rate = 8000000 };
	const struct podnet_limit in = { .link = "h0", .rate = 8000000, .incoming = true };
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	make_pair();
	assert_int_equal(sh("tc qdisc add dev h0 root handle 8d: tbf rate 1mbit burst 32kb limit 64kb;"
			    "tc qdisc add dev h0 ingress"), 0);
	ctx = test_open(NULL);
	assert_int_equal(podnet_limit_ensure(ctx, &out, &err), -EEXIST);
	assert_string_equal(err.object, "limit h0");
	assert_int_equal(podnet_limit_ensure(ctx, &in, &err), -EEXIST);
	assert_string_equal(err.object, "limit h0 incoming");
	assert_int_equal(podnet_limit_absent(ctx, &out, &err), -EPERM);
	assert_int_equal(sh("tc qdisc show dev h0 | grep -q 'tbf 8d:' &&"
			    "tc qdisc show dev h0 | grep -q ingress"), 0);
}

static const struct drift { const char *says, *how; bool incoming; } drifts[] = {
	{ "bucket deleted",       "tc qdisc del dev h0 root",                               false },
	{ "bucket changed",       "tc qdisc replace dev h0 root handle 8e: tbf rate 1mbit "
				  "burst 32kb limit 64kb",                                  false },
	{ "filter deleted",       "tc filter del dev h0 parent ffff:",                      true },
	{ "ingress deleted",      "tc qdisc del dev h0 ingress",                            true },
	{ "ifb deleted",          "ip link del $(ip -o link show type ifb | cut -d: -f2)",  true },
	{ "ifb's bucket deleted", "tc qdisc del dev $(ip -o link show type ifb | cut -d: -f2) root",
											    true },
};

static void drift_is_repaired(void **state)
{
	const struct drift *drift = *state;
	const struct podnet_limit limit = { .link = "h0", .rate = 8000000,
					    .incoming = drift->incoming };
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	make_pair();
	ctx = test_open(NULL);
	test_ok(podnet_limit_ensure(ctx, &limit, &err), &err);
	assert_int_equal(sh(drift->how), 0);
	assert_true(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err) > 0);
	assert_int_equal(test_ok(podnet_limit_ensure(ctx, &limit, &err), &err), 0);
	assert_int_equal(sh("tc qdisc show | grep -q 'tbf 8e:.*rate 8Mbit'"), 0);
}

static const bool outward, inward = true;
#define ROW(says, fn, row) { says, fn, netns_setup, NULL, (void *)(uintptr_t)(row) }
#define FIXED 4

int main(void)
{
	struct CMUnitTest tests[FIXED + ARRAY_SIZE(drifts)] = {
		ROW("the bucket restricts what leaves", the_bucket_restricts, &outward),
		ROW("the bucket restricts what arrives", the_bucket_restricts, &inward),
		cmocka_unit_test_setup(rates_are_what_they_say, netns_setup),
		cmocka_unit_test_setup(foreign_qdiscs_stay, netns_setup),
	};

	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++)
		tests[FIXED + i] = (struct CMUnitTest)ROW(drifts[i].says, drift_is_repaired,
							  &drifts[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
