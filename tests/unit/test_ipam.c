/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_ipam.c - blocks and addresses: rows, cool-down, and a random run beside a naive model
 */
#include <lib/testlib.h>
#include <errno.h>
#include <netd/model/ipam.h>
#include <netinet/in.h>
#include <stdio.h>

DEFINE_CLEANUP(struct ipam, ipam_free)

static struct network net_of(const char *v4, unsigned len4, const char *v6, unsigned len6)
{
	struct network net = { .meta = { .name = "n" } };

	if (v4) {
		net.cidrs[net.ncidrs] = prefix(v4);
		net.block_len[net.ncidrs++] = (uint8_t)len4;
	}
	if (v6) {
		net.cidrs[net.ncidrs] = prefix(v6);
		net.block_len[net.ncidrs++] = (uint8_t)len6;
	}
	return net;
}

static struct ipam *fresh(void)
{
	struct ipam *ipam = NULL;

	assert_int_equal(ipam_new(&ipam), 0);
	assert_int_equal(ipam_set_node(ipam, "me"), 0);
	return ipam;
}

/* "ADDRESS BLOCK" or the error's number */
static const char *take(struct ipam *ipam, const struct network *net, int family,
			const char *want, int64_t now, char out[128])
{
	struct podnet_prefix ip = { 0 }, block = { 0 }, wanted = { 0 };
	char a[PODNET_PREFIX_STRLEN], b[PODNET_PREFIX_STRLEN] = "-";
	int r;

	if (want)
		wanted = prefix(want);
	r = ipam_take(ipam, net, family, want ? &wanted : NULL, "pod", now, &ip, &block);
	if (r < 0) {
		assert_int_equal(ip.family | block.family, 0);
		snprintf(out, 128, "%s", strerrorname_np(-r));
		return out;
	}
	if (block.family)
		podnet_prefix_format(&block, b);
	snprintf(out, 128, "%s %s", podnet_prefix_format_addr(&ip, a), b);
	return out;
}

static const struct step {
	const char *says;       /* load KIND KEY OWNER FREE | take FAMILY [WANT] | give IP FREE */
	const char *want;       /* of a take */
} steps[] = {
	{ "take 4", "10.0.0.2 10.0.0.0/29" },
	{ "take 4", "10.0.0.3 -" },
	{ "take 6", "fd00::2 fd00::/64" },
	{ "take 4 10.0.0.3", "EADDRINUSE" },
	{ "take 4 10.0.0.0", "EADDRNOTAVAIL" },
	{ "take 4 10.0.0.1", "EADDRNOTAVAIL" },
	{ "take 4 10.0.0.7", "EADDRNOTAVAIL" },
	{ "take 4 10.0.1.2", "ERANGE" },
	{ "take 4 fd00::5", "ERANGE" },
	{ "take 6 fd00::1", "EADDRNOTAVAIL" },
	{ "take 6 fd00::", "EADDRNOTAVAIL" },
	{ "take 6 fd00::ffff:1:2", "fd00::ffff:1:2 -" },
	{ "take 6 fd00::ffff:1:2", "EADDRINUSE" },
	{ "take 6 fd00:0:0:9::77", "fd00:0:0:9::77 fd00:0:0:9::/64" },
	{ "give fd00::ffff:1:2 100", NULL },
	{ "take 6 fd00::ffff:1:2", "EADDRINUSE" },
	{ "time 100", NULL },
	{ "take 6 fd00::ffff:1:2", "fd00::ffff:1:2 -" },
	{ "take 4", "10.0.0.4 -" },
	{ "take 4", "10.0.0.5 -" },
	{ "take 4", "10.0.0.6 -" },
	{ "give 10.0.0.3 160", NULL },
	{ "load block n/10.0.0.8/29 other 0", NULL },
	{ "take 4 10.0.0.10", "ERANGE" },
	{ "take 4", "10.0.0.18 10.0.0.16/29" },
	{ "give 10.0.0.18 0", NULL },
	{ "unblock 10.0.0.16/29", NULL },
	{ "take 4 10.0.0.30", "10.0.0.30 10.0.0.24/29" },
	{ "time 160", NULL },
	{ "take 4", "10.0.0.3 -" },
	{ "take 4", "10.0.0.26 -" },
	{ "time 1000", NULL },
	{ "give 10.0.0.2 0", NULL },
	{ "give 10.0.0.4 1060", NULL },
	{ "load ip n/10.0.0.4 pod 0", NULL },
	{ "time 2000", NULL },
	{ "take 4 10.0.0.4", "EADDRINUSE" },
	{ "take 4", "10.0.0.2 -" },
	{ "give 10.0.0.26 2060", NULL },
	{ "unblock 10.0.0.24/29", NULL },       /* and comes back with its Node */
	{ "load block n/10.0.0.24/29 me 0", NULL },
	{ "take 4", "10.0.0.27 -" },
	{ "take 4 10.0.0.26", "EADDRINUSE" },
	{ "take 4 10.0.0.30", "EADDRINUSE" },
	{ "time 2060", NULL },
	{ "take 4 10.0.0.26", "10.0.0.26 -" },
};

static void run_step(struct ipam *ipam, const struct network *net, const struct step *s,
		     int64_t *now)
{
	char a[40] = "", b[64] = "", c[40] = "", got[128];
	struct podnet_prefix ip;
	long long n = 0;

	if (sscanf(s->says, "time %lld", &n) == 1) {
		*now = n;
	} else if (sscanf(s->says, "give %39s %lld", a, &n) == 2) {
		ip = prefix(a);
		ipam_give(ipam, "n", &ip, n);
	} else if (sscanf(s->says, "unblock %39s", a) == 1) {
		ip = prefix(a);
		ipam_give_block(ipam, "n", &ip);
	} else if (sscanf(s->says, "load %39s %63s %39s %lld", a, b, c, &n) == 4) {
		assert_int_equal(ipam_load(ipam, a, b, c, n), 0);
	} else {
		assert_true(sscanf(s->says, "take %39s %63s", a, b) >= 1);
		take(ipam, net, a[0] == '4' ? AF_INET : AF_INET6, b[0] ? b : NULL, *now, got);
		if (strcmp(got, s->want) != 0)
			fail_msg("step %d, %s: %s and not %s", (int)(s - steps), s->says, got,
				 s->want);
	}
}

static void rows(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct network net = net_of("10.0.0.0/24", 29, "fd00::/48", 64);
	int64_t now = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		run_step(ipam, &net, &steps[i], &now);
}

static void exhaustion(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct network net = net_of("10.0.0.0/28", 30, NULL, 0);
	const struct podnet_prefix *blocks;
	char got[128];

	(void)state;
	assert_string_equal(take(ipam, &net, AF_INET6, NULL, 0, got), "ENOSPC");
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.0.4/30", "other", 0), 0);
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 0, got), "10.0.0.2 10.0.0.0/30");
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 0, got), "10.0.0.10 10.0.0.8/30");
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 0, got), "10.0.0.14 10.0.0.12/30");
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 0, got), "ENOSPC");
	assert_int_equal(ipam_used(ipam, "n"), 3);
	assert_int_equal(ipam_blocks(ipam, "n", &blocks), 3);
	assert_int_equal(blocks[1].addr[3], 8);
	ipam_forget(ipam, "n");
	assert_int_equal(ipam_used(ipam, "n"), 0);
	assert_int_equal(ipam_blocks(ipam, "n", &blocks), 0);
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 0, got), "10.0.0.2 10.0.0.0/30");
}

/* rows come in any order, and are the same picture as what was taken */
static void loading(void **state)
{
	static const char *const bad[] = { "n", "/10.0.0.1", "n/x", "n/10.0.0.0/33" };
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct network net = net_of("10.0.0.0/16", 24, "fd00::/48", 64);
	char got[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ipam_load(ipam, "ip", bad[i], "p", 0), -EINVAL);
	assert_int_equal(ipam_load(ipam, "port", "n/10.0.0.1", "p", 0), -EINVAL);
	assert_int_equal(ipam_load(ipam, "ip", "n/10.0.0.2", "p", 0), 0);
	assert_int_equal(ipam_load(ipam, "ip", "n/10.0.0.3", "p", 50), 0);
	assert_int_equal(ipam_load(ipam, "ip", "n/10.0.7.3", "p", 0), 0);
	assert_int_equal(ipam_load(ipam, "ip", "n/fd00::2", "p", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.0.0/24", "me", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/fd00::/64", "me", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.0.0/24", "me", 0), 0);
	assert_int_equal(ipam_used(ipam, "n"), 4);
	assert_string_equal(take(ipam, &net, AF_INET, "10.0.0.3", 49, got), "EADDRINUSE");
	assert_string_equal(take(ipam, &net, AF_INET, NULL, 49, got), "10.0.0.4 -");
	assert_string_equal(take(ipam, &net, AF_INET, "10.0.0.3", 50, got), "10.0.0.3 -");
	assert_string_equal(take(ipam, &net, AF_INET6, NULL, 50, got), "fd00::3 -");
	assert_string_equal(take(ipam, &net, AF_INET, "10.0.7.3", 50, got), "EADDRINUSE");
}

/* The naive model: an array that says of each address until when it is taken. */
#define SPAN    128             /* 10.0.0.0/25 in blocks of /27 */
#define HELD    INT64_MAX

static unsigned rnd(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static bool usable(unsigned i)
{
	return i % 32 > 1 && i % 32 < 31;
}

static unsigned index_of(const struct podnet_prefix *ip)
{
	assert_int_equal(ip->len, 32);
	return ip->addr[3];
}

struct race {
	struct ipam *ipam;
	struct network net;
	int64_t until[SPAN], now;
	unsigned seed;
};

static void random_take(struct race *g)
{
	struct podnet_prefix ip = { 0 }, block = { 0 };
	unsigned open = 0;
	int r;

	for (unsigned i = 0; i < SPAN; i++)
		open += usable(i) && g->until[i] <= g->now;
	r = ipam_take(g->ipam, &g->net, AF_INET, NULL, "p", g->now, &ip, &block);
	assert_int_equal(r, open ? 0 : -ENOSPC);
	if (r < 0)
		return;
	assert_true(usable(index_of(&ip)));
	assert_true(g->until[index_of(&ip)] <= g->now);
	g->until[index_of(&ip)] = HELD;
}

static void random_want(struct race *g)
{
	struct podnet_prefix want = prefix("10.0.0.0"), ip = { 0 }, block = { 0 };
	unsigned i = rnd(&g->seed) % SPAN;
	bool open = usable(i) && g->until[i] <= g->now;
	int r;

	want.addr[3] = (uint8_t)i;
	r = ipam_take(g->ipam, &g->net, AF_INET, &want, "p", g->now, &ip, &block);
	assert_int_equal(r, open ? 0 : usable(i) ? -EADDRINUSE : -EADDRNOTAVAIL);
	if (r == 0)
		g->until[i] = HELD;
}

static void random_give(struct race *g)
{
	struct podnet_prefix ip = prefix("10.0.0.0");
	unsigned i = rnd(&g->seed) % SPAN;
	int64_t free_after = rnd(&g->seed) % 4 ? g->now + rnd(&g->seed) % 60 : 0;

	if (g->until[i] != HELD)
		return;
	ip.addr[3] = (uint8_t)i;
	ipam_give(g->ipam, "n", &ip, free_after);
	g->until[i] = free_after;
}

/* a release whose transaction failed: the address is held as before */
static void random_back(struct race *g)
{
	unsigned i = rnd(&g->seed) % SPAN;
	char key[32];

	if (!usable(i) || g->until[i] <= g->now)
		return;
	snprintf(key, sizeof(key), "n/10.0.0.%u", i);
	assert_int_equal(ipam_load(g->ipam, "ip", key, "p", 0), 0);
	g->until[i] = HELD;
}

/* a Node was deleted and came back: what is held is, and what cools down does */
static void random_block(struct race *g)
{
	struct podnet_prefix block = prefix("10.0.0.0/27");
	char key[32];

	if (rnd(&g->seed) % 20)
		return;
	block.addr[3] = (uint8_t)(rnd(&g->seed) % SPAN / 32 * 32);
	snprintf(key, sizeof(key), "n/10.0.0.%u/27", block.addr[3]);
	ipam_give_block(g->ipam, "n", &block);
	assert_int_equal(ipam_load(g->ipam, "block", key, "me", 0), 0);
}

static void beside_a_model(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct race g = { .ipam = ipam, .net = net_of("10.0.0.0/25", 27, NULL, 0), .seed = 7 };
	void (*const moves[])(struct race *g) = {
		random_take, random_take, random_take, random_want, random_give, random_give,
		random_give, random_give, random_back, random_block,
	};

	(void)state;
	for (int i = 0; i < 200000; i++) {
		moves[rnd(&g.seed) % ARRAY_SIZE(moves)](&g);
		g.now += rnd(&g.seed) % 5 == 0;
	}
}

/* one that was just freed comes last: all others are given before it */
static void turns(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct network net = net_of("10.0.0.0/24", 24, NULL, 0);
	struct podnet_prefix ip = { 0 }, block = { 0 };

	(void)state;
	for (unsigned i = 0; i < 10 * 253; i++) {
		assert_int_equal(ipam_take(ipam, &net, AF_INET, NULL, "p", i, &ip, &block), 0);
		assert_int_equal(ip.addr[3], i % 253 + 2);
		ipam_give(ipam, "n", &ip, 0);
	}
}

static void thousands(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct network net = net_of("10.0.0.0/8", 22, "fd00::/48", 64);
	struct podnet_prefix ip = { 0 }, block = { 0 };
	const struct podnet_prefix *blocks;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(ipam_take(ipam, &net, AF_INET, NULL, "p", 0, &ip, &block), 0);
		assert_int_equal(ipam_take(ipam, &net, AF_INET6, NULL, "p", 0, &ip, &block), 0);
	}
	assert_int_equal(ipam_used(ipam, "n"), 200000);
	assert_int_equal(ipam_blocks(ipam, "n", &blocks), 98 + 2);
}

/* @held: what was taken before the failure */
static int work(struct ipam *ipam, const struct network *net, size_t *held)
{
	struct podnet_prefix ip, block, far = prefix("fd00::9:9:9:9");
	int r = ipam_load(ipam, "ip", "n/10.0.9.9", "p", 5);

	*held = r == 0;
	for (int i = 0; i < 40 && r == 0; i++) {
		r = ipam_take(ipam, net, AF_INET, NULL, "p", 0, &ip, &block);
		*held += r == 0;
	}
	if (r == 0) {
		r = ipam_take(ipam, net, AF_INET6, &far, "p", 0, &ip, &block);
		*held += r == 0;
	}
	return r < 0 ? r : ipam_load(ipam, "block", "n/10.0.8.0/28", "other", 0);
}

static void failing_allocations(void **state)
{
	struct network net = net_of("10.0.0.0/16", 28, "fd00::/48", 64);
	const struct podnet_prefix *blocks;
	size_t held;
	long k = 1;

	(void)state;
	for (;; k++) {
		_cleanup_(ipam_freep) struct ipam *ipam = fresh();
		int r;

		allocfail_at(k);
		r = work(ipam, &net, &held);
		if (!allocfail_hit())
			break;
		allocfail_at(0);
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(ipam_used(ipam, "n"), held);
		assert_int_equal(ipam_blocks(ipam, "n", &blocks),
				 (held + 11) / 13 + (held == 42));
	}
	allocfail_at(0);
	assert_int_equal(held, 42);
	assert_true(k > 10);
}

/* What is foretold comes true, round the end of a block and across two, past what is taken. */
static void foretold(void **state)
{
	struct network net = net_of("10.0.0.0/24", 28, "fd00::/64", 64);
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct podnet_prefix next[64], ip, block;
	size_t n, i;

	(void)state;
	assert_int_equal(ipam_peek(ipam, "n", AF_INET, 8, next), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(ipam_take(ipam, &net, AF_INET, NULL, "pod", 0, &ip, &block), 0);
	ip = prefix("10.0.0.27");
	assert_int_equal(ipam_take(ipam, &net, AF_INET, &ip, "pod", 0, &ip, &block), 0);
	for (i = 5; i < 9; i++) {
		ip = prefix("10.0.0.0");
		ip.addr[3] = (uint8_t)i;
		ipam_give(ipam, "n", &ip, 0);
	}
	assert_int_equal(ipam_peek(ipam, "n", AF_INET, 3, next), 3);
	n = ipam_peek(ipam, "n", AF_INET, ARRAY_SIZE(next), next);
	assert_int_equal(n, 4 + 5);     /* of the second block 13 less 7 and the one asked for */
	for (i = 0; i < n; i++) {
		assert_int_equal(ipam_take(ipam, &net, AF_INET, NULL, "pod", 0, &ip, &block), 0);
		assert_memory_equal(&ip, &next[i], sizeof(ip));
	}
	assert_int_equal(ipam_peek(ipam, "n", AF_INET, 8, next), 0);
	assert_int_equal(ipam_peek(ipam, "n", AF_INET6, 8, next), 0);
	assert_int_equal(ipam_take(ipam, &net, AF_INET6, NULL, "pod", 0, &ip, &block), 0);
	assert_int_equal(ipam_peek(ipam, "n", AF_INET6, 64, next), 64);
	assert_memory_equal(&next[0], &(struct podnet_prefix[]){ prefix("fd00::3") }, sizeof(ip));
	assert_int_equal(ipam_peek(ipam, "another", AF_INET, 8, next), 0);
}

static int note_held(void *arg, const char *network, const struct podnet_prefix *block)
{
	char text[PODNET_PREFIX_STRLEN], *to = arg;
	size_t at = strlen(to);

	snprintf(to + at, 128 - at, "%s%s/%s", at ? " " : "", network, podnet_prefix_format(block, text));
	return 0;
}

static const char *held(const struct ipam *ipam, const char *uid, char out[128])
{
	out[0] = '\0';
	assert_int_equal(ipam_each_held(ipam, uid, note_held, out), 0);
	return out;
}

/* Blocks of other nodes by who has them, as claims come and go. */
static void others_blocks(void **state)
{
	_cleanup_(ipam_freep) struct ipam *ipam = fresh();
	struct podnet_prefix block = prefix("10.0.4.0/24");
	char out[128];

	(void)state;
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.4.0/24", "other", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "m/10.1.4.0/24", "other", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.5.0/24", "third", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.6.0/24", "me", 0), 0);
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.4.0/24", "other", 0), 0);
	assert_string_equal(ipam_news(ipam), "third");
	assert_string_equal(ipam_news(ipam), "other");
	assert_null(ipam_news(ipam));
	assert_string_equal(held(ipam, "other", out), "n/10.0.4.0/24 m/10.1.4.0/24");
	assert_string_equal(held(ipam, "me", out), "");
	assert_string_equal(held(ipam, "nobody", out), "");
	ipam_give_block(ipam, "n", &block);
	assert_string_equal(ipam_news(ipam), "other");
	assert_string_equal(held(ipam, "other", out), "m/10.1.4.0/24");
	assert_int_equal(ipam_load(ipam, "block", "n/10.0.4.0/24", "third", 0), 0);
	assert_string_equal(held(ipam, "third", out), "n/10.0.5.0/24 n/10.0.4.0/24");
	block = prefix("10.0.4.0/25");
	assert_int_equal(ipam_hold(ipam, "n", &block, "fourth"), -EADDRINUSE);
	block = prefix("10.0.6.0/23");
	assert_int_equal(ipam_hold(ipam, "n", &block, "fourth"), -EADDRINUSE);
	block = prefix("10.0.8.0/22");
	assert_int_equal(ipam_hold(ipam, "n", &block, "fourth"), 0);
	assert_string_equal(held(ipam, "fourth", out), "n/10.0.8.0/22");
	ipam_give_block(ipam, "n", &block);
	assert_string_equal(held(ipam, "fourth", out), "");
	ipam_forget(ipam, "n");
	assert_string_equal(held(ipam, "third", out), "");
	assert_string_equal(held(ipam, "other", out), "m/10.1.4.0/24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_blocks),
		cmocka_unit_test(rows),
		cmocka_unit_test(exhaustion),
		cmocka_unit_test(loading),
		cmocka_unit_test(beside_a_model),
		cmocka_unit_test(turns),
		cmocka_unit_test(foretold),
		cmocka_unit_test(thousands),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
