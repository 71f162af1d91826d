/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_announce.c - neighbours hear at once whose an address is, and what cannot be announced
 *
 * Room: the public headers, as an embedder; what a neighbour in n1 believes is asked of ip(8).
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <tests/lib/testlib.h>

#define PAIR "ip netns add n1 && ip link add d0 address 02:00:00:00:00:01 type veth peer name e0 netns n1 && " \
	"ip link set d0 up && ip -n n1 link set e0 up && ip -n n1 addr add 10.0.0.9/24 dev e0 && " \
	"ip -n n1 addr add fd00::9/64 dev e0 nodad && "
/* another one had it, and was heard of just now: the kernel holds on to that for a second (arp(7), locktime) */
#define BELIEVED(ip) "ip -n n1 neigh replace " ip " dev e0 lladdr 02:00:00:00:00:99 nud reachable"
#define KNOWN(ip) "ip -n n1 neigh show " ip " dev e0 | grep -q 02:00:00:00:00:01"

static const struct row {
	const char *says, *before, *link, *ip;
	int want;
	const char *field;
	const char *seen;           /* shell: succeeds when the neighbour knows */
} rows[] = {
	{ "IPv4", PAIR "ip addr add 10.0.0.5/32 dev lo && " BELIEVED("10.0.0.5"), "d0", "10.0.0.5", 0,
	  NULL, KNOWN("10.0.0.5") },
	{ "IPv6", PAIR "ip addr add fd00::5/128 dev d0 nodad && " BELIEVED("fd00::5"), "d0", "fd00::5",
	  0, NULL, KNOWN("fd00::5") },
	{ "IPv6, deprecated", PAIR "ip addr add fd00::5/128 dev d0 nodad preferred_lft 0 && "
	  BELIEVED("fd00::5"), "d0", "fd00::5", 0, NULL, KNOWN("fd00::5") },
	{ "IPv6 of nobody", PAIR "true", "d0", "fd00::6", -EADDRNOTAVAIL, NULL, NULL },
	{ "no such link", "true", "d0", "10.0.0.5", -ENOENT, NULL, NULL },
	{ "a link without MACs", "ip link set lo up", "lo", "10.0.0.5", -EOPNOTSUPP, "link", NULL },
	{ "a link that is down", "ip link add d0 type veth peer name d1", "d0", "10.0.0.5", -ENETDOWN,
	  "link", NULL },
	{ "no link", "true", "", "10.0.0.5", -EINVAL, "link", NULL },
	{ "no address", "true", "lo", NULL, -EINVAL, "ip", NULL },
};

static bool comes_true(const char *seen)
{
	for (int i = 0; i < 2000; i++) {        /* there is no event to wait for in a shell */
		if (sh(seen) == 0)
			return true;
		test_run("sleep", "0.01", NULL);
	}
	return false;
}

static void announce(void **state)
{
	const struct row *row = *state;
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_prefix ip = prefix(row->ip);
	struct podnet_error err = { 0 };

	assert_int_equal(sh(row->before), 0);
	if (row->seen)
		assert_int_not_equal(sh(row->seen), 0);
	assert_int_equal(podnet_announce(ctx, row->link, &ip, &err), row->want);
	if (row->want)
		assert_int_equal(err.code, row->want);
	if (row->field)
		assert_string_equal(err.field, row->field);
	if (row->seen)
		assert_true(comes_true(row->seen));
}

/* A context is bound to its namespace, wherever the thread is that calls. */
static void from_its_own_namespace(void **state)
{
	_cleanup_(podnet_closep) struct podnet *there = NULL;
	struct podnet_prefix ip = prefix("10.0.0.7");
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(PAIR "ip addr add 10.0.0.1/24 dev d0 && "
			    "ip -n n1 link set e0 address 02:00:00:00:00:02 && "
			    "ip neigh replace 10.0.0.7 dev d0 lladdr 02:00:00:00:00:99 nud stale"), 0);
	test_ok(podnet_open_in(&there, "n1", NULL, &err), &err);
	test_ok(podnet_announce(there, "e0", &ip, &err), &err);
	assert_true(comes_true("ip neigh show 10.0.0.7 dev d0 | grep -q 02:00:00:00:00:02"));
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, announce, netns_setup, NULL,
						(void *)(uintptr_t)&rows[i] };
	tests[ARRAY_SIZE(rows)] = (struct CMUnitTest)
		cmocka_unit_test_setup(from_its_own_namespace, netns_setup);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
