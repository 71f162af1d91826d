/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_firewall.c - who drops beside us: chains of others, as nft(8) and iptables-nft make them
 */
#include <podnet/firewall.h>
#include <stdio.h>
#include <tests/lib/testlib.h>

static const struct row {
	const char *says, *made, *want;
} rows[] = {
	{ "nobody", "true", "" },
	{ "a policy", "nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'",
	  "ip filter FORWARD 2;" },
	{ "a policy that accepts",
	  "nft 'table inet t { chain c { type filter hook forward priority 0; tcp dport 1 drop; }; }'", "" },
	{ "a last rule, as firewalld's",
	  "nft 'table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; "
	  "ct state established accept; counter reject with icmpx admin-prohibited; }; }'",
	  "inet firewalld filter_FORWARD 2;" },
	{ "a rule before the last",
	  "nft 'table inet t { chain c { type filter hook forward priority 0; drop; accept; }; }'", "" },
	{ "several, on their hooks",
	  "nft 'table ip6 six { chain i { type filter hook input priority 0; policy drop; }; "
	  "chain o { type filter hook output priority 0; drop; }; }'", "ip6 six i 1;ip6 six o 3;" },
	{ "not on a hook, and bridges", "nft 'table inet t { chain c { drop; }; }; table bridge b { chain c "
	  "{ type filter hook forward priority 0; policy drop; }; }'", "" },
	{ "ours", "nft 'table inet podnet { chain c { type filter hook forward priority 0; policy drop; }; }'", "" },
	{ "another owner's", "nft 'table inet podnet-x { chain c { type filter hook forward priority 0; policy drop; "
	  "}; }'", "inet podnet-x c 2;" },
};

static int each(const struct podnet_dropper *d, void *arg)
{
	char *text = arg;
	size_t used = strlen(text);

	snprintf(text + used, 256 - used, "%s %s %s %d;", d->family, d->table, d->chain, (int)d->hook);
	return 0;
}

static int stop(const struct podnet_dropper *d, void *arg)
{
	(void)d;
	(void)arg;
	return -42;
}

static void who(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	const struct row *row = *state;
	struct podnet_error err = { 0 };
	char text[256] = "";

	assert_int_equal(sh("nft flush ruleset"), 0);
	assert_int_equal(sh(row->made), 0);
	test_ok(podnet_droppers(ctx, each, text, &err), &err);
	assert_string_equal(text, row->want);
	if (*text)
		assert_int_equal(podnet_droppers(ctx, stop, NULL, &err), -42);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, who, netns_setup, NULL,
						(void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
