/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pool.c - namespaces made ahead: filled, handed out by name and by a plan, gone with their
 * owner
 *
 * Room: the public headers, as an embedder; ip(8) is the second opinion.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tests/lib/testlib.h>
#include <unistd.h>

#define ENDS (PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN)
#define LINKS_GO(n) "for i in $(seq 1200); do test $(ip link show type veth |" \
	"grep -c 'pn[a-z2-7]\\{13\\}@') = " n " && exit 0; sleep 0.05; done; exit 1"

static struct podnet_set *declare(uint32_t mtu, const char *master)
{
	const struct podnet_prefix addr = prefix("10.0.0.2"), via = prefix("169.254.1.1");
	const struct podnet_veth veth = { .end = {
		{ .name = "pn0", .flags = ENDS | (master ? PODNET_LINK_ISOLATED : 0), .mtu = mtu,
		  .master = master },
		{ .netns = "blue", .name = "eth0", .flags = ENDS, .mtu = mtu } } };
	const struct podnet_addr inside = { .netns = "blue", .link = "eth0", .prefix = addr };
	const struct podnet_route host = { .dst = addr, .link = "pn0" };
	const struct podnet_route link = { .netns = "blue", .dst = via, .link = "eth0" };
	const struct podnet_route out = { .netns = "blue", .dst = prefix("0.0.0.0/0"), .via = via,
					  .link = "eth0" };
	const struct podnet_neigh to = { .link = "pn0", .addr = addr };
	const struct podnet_neigh back = { .netns = "blue", .link = "eth0", .addr = via };
	const struct podnet_netns netns = { .name = "blue" };
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;

	test_ok(podnet_set_new(&set, "pod-1", &err), &err);
	podnet_set_netns(set, &netns, &err);
	podnet_set_veth(set, &veth, &err);
	podnet_set_addr(set, &inside, &err);
	podnet_set_route(set, &host, &err);
	podnet_set_route(set, &link, &err);
	podnet_set_route(set, &out, &err);
	podnet_set_neigh(set, &to, &err);
	test_ok(podnet_set_neigh(set, &back, &err), &err);
	return set;
}

static struct podnet_pool *new_pool(struct podnet *ctx, uint32_t mtu, const char *master)
{
	const struct podnet_pool_spec spec = { .size = 4, .mtu = mtu, .master = master };
	struct podnet_error err = { 0 };
	struct podnet_pool *pool = NULL;

	test_ok(podnet_pool_new(ctx, &spec, &pool, &err), &err);
	return pool;
}

static int apply(struct podnet *ctx, struct podnet_set *set, uint32_t flags,
		 struct podnet_pool *pool, struct podnet_error *err)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	int r = podnet_plan_make(ctx, set, flags, &plan, err);

	if (r > 0)
		podnet_plan_pool(plan, pool);
	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

static void fills_up_to_its_size(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 0, NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_pool_ready(pool), 0);
	assert_int_equal(test_ok(podnet_pool_fill(pool, 3, &err), &err), 3);
	assert_int_equal(test_ok(podnet_pool_fill(pool, 3, &err), &err), 1);
	assert_int_equal(test_ok(podnet_pool_fill(pool, 3, &err), &err), 0);
	assert_int_equal(podnet_pool_ready(pool), 4);
	assert_int_equal(sh("test $(ip link show | grep -c 'alias podnet:lib:pool') = 4"), 0);
	podnet_pool_free(take_ptr(pool));
	assert_int_equal(sh(LINKS_GO("0")), 0);
}

static void specs_are_checked(void **state)
{
	static const struct { struct podnet_pool_spec spec; const char *field; } bad[] = {
		{ { .size = 0 }, "size" }, { { .size = 1025 }, "size" },
		{ { .size = 1, .mtu = 67 }, "mtu" }, { { .size = 1, .inside = "a b" }, "name" },
		{ { .size = 1, .master = "" }, "master" },
	};
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct podnet_error err = { 0 };
		struct podnet_pool *pool = NULL;

		assert_int_equal(podnet_pool_new(ctx, &bad[i].spec, &pool, &err), -EINVAL);
		assert_string_equal(err.field, bad[i].field);
		assert_null(pool);
	}
}

static void taken_by_name_and_without(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 1400, NULL);
	char link[PODNET_IFNAME_SIZE] = "", command[256];
	struct podnet_error err = { 0 };
	int fd;

	(void)state;
	assert_int_equal(podnet_pool_take(pool, "a", "s", link, &err), -EAGAIN);
	test_ok(podnet_pool_fill(pool, 2, &err), &err);
	fd = podnet_pool_take(pool, "a", "s", link, &err);
	test_ok(fd, &err);
	close(fd);
	snprintf(command, sizeof(command), "ip link show %s | grep -q 'podnet:lib:s$' &&"
		 "ip -n a link show eth0 up | grep -q 'mtu 1400' && ip -n a link show lo up | grep -q lo",
		 link);
	assert_int_equal(sh(command), 0);
	assert_int_equal(podnet_pool_take(pool, "a", "s", link, &err), -EEXIST);
	assert_int_equal(podnet_pool_ready(pool), 1);
	fd = podnet_pool_take(pool, NULL, NULL, link, &err);
	test_ok(fd, &err);
	close(fd);
	assert_int_equal(sh(LINKS_GO("1")), 0);
}

static void a_plan_takes_from_it(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	uint32_t flags = (uint32_t)(uintptr_t)*state;
	struct podnet_error err = { 0 };

	assert_int_equal(sh("ip link set lo up; ip addr add 10.255.0.1/32 dev lo"), 0);
	ctx = test_open(NULL);
	pool = new_pool(ctx, 1400, NULL);
	test_ok(podnet_pool_fill(pool, 2, &err), &err);
	assert_int_equal(test_ok(apply(ctx, set, flags, pool, &err), &err), 9);
	assert_int_equal(podnet_pool_ready(pool), 1);
	/* the link keeps its own name, and is known by its mark and its other end */
	assert_int_equal(sh("! ip link show pn0 2>/dev/null"), 0);
	assert_int_equal(sh("ip netns exec blue ping -c1 -w20 10.255.0.1 >/dev/null"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
	assert_int_equal(sh("ip route del 10.0.0.2; ip -n blue link set eth0 down"), 0);
	assert_true(test_ok(apply(ctx, set, 0, NULL, &err), &err) > 1);
	assert_int_equal(sh("ip netns exec blue ping -c1 -w20 10.255.0.1 >/dev/null"), 0);
	assert_true(test_ok(podnet_plan_absent(ctx, set, 0, &plan, &err), &err) == 3);
	test_ok(podnet_plan_commit(ctx, plan, &err), &err);
	assert_int_equal(sh("! ip route | grep -q 10.0.0.2; ! test -e /run/netns/blue"), 0);
	assert_int_equal(sh(LINKS_GO("1")), 0);
}

/* a gateway a family; with @other, one that the declared pod does not have */
static struct podnet_pool *new_pool_ahead(struct podnet *ctx, bool other)
{
	const struct podnet_prefix via = prefix("169.254.1.1"), via6 = prefix("fe80::1");
	const struct podnet_neigh back = { .netns = "any", .link = "eth0", .addr = via };
	const struct podnet_neigh back6 = { .netns = "any", .link = "eth0", .addr = via6 };
	const struct podnet_route link = { .netns = "any", .dst = via, .link = "eth0" };
	const struct podnet_route out = { .netns = "any", .dst = prefix("0.0.0.0/0"), .via = via,
					  .link = "eth0", .mtu = other ? 1200 : 0 };
	const struct podnet_route out6 = { .netns = "any", .dst = prefix("::/0"), .via = via6,
					   .link = "eth0", .onlink = true };
	struct podnet_pool_spec spec = { .size = 4, .mtu = 1400 };
	_cleanup_(podnet_set_freep) struct podnet_set *ahead = NULL;
	struct podnet_error err = { 0 };
	struct podnet_pool *pool = NULL;

	test_ok(podnet_set_new(&ahead, "ahead", &err), &err);
	podnet_set_neigh(ahead, &back, &err);
	podnet_set_route(ahead, &link, &err);
	podnet_set_route(ahead, &out, &err);
	if (other) {
		podnet_set_neigh(ahead, &back6, &err);
		podnet_set_route(ahead, &out6, &err);
	}
	spec.ahead = ahead;
	test_ok(podnet_pool_new(ctx, &spec, &pool, &err), &err);
	return pool;
}

static void what_all_have_is_made_ahead(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	bool other = (bool)(uintptr_t)*state;
	struct podnet_error err = { 0 };
	char link[PODNET_IFNAME_SIZE];
	int fd;

	assert_int_equal(sh("ip link set lo up; ip addr add 10.255.0.1/32 dev lo"), 0);
	ctx = test_open(NULL);
	pool = new_pool_ahead(ctx, other);
	test_ok(podnet_pool_fill(pool, 2, &err), &err);
	assert_int_equal(test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err), 9);
	assert_int_equal(podnet_pool_ready(pool), 1);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
	assert_int_equal(sh("ip netns exec blue ping -c1 -w20 10.255.0.1 >/dev/null"), 0);
	assert_int_equal(sh("! ip -n blue -6 route | grep -q default; ! ip -n blue neigh | grep fe80;"
			    "! ip -n blue route | grep -q mtu"), 0);
	fd = podnet_pool_take(pool, "a", "s", link, &err);
	test_ok(fd, &err);
	close(fd);
	assert_int_equal(sh("ip -n a route | grep -q 'default via 169.254.1.1'"), 0);
	assert_int_equal(sh("ip -n a neigh | grep -q '169.254.1.1.* PERMANENT'"), 0);
}

static void ahead_is_checked(void **state)
{
	const struct podnet_addr addr = { .netns = "any", .link = "eth0",
					  .prefix = prefix("10.0.0.2") };
	const struct podnet_route elsewhere = { .netns = "any", .dst = prefix("10.0.0.2"),
						.link = "eth1" };
	const struct podnet_route outside = { .dst = prefix("10.0.0.2"), .link = "eth0" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);

	(void)state;
	for (int i = 0; i < 3; i++) {
		_cleanup_(podnet_set_freep) struct podnet_set *ahead = NULL;
		struct podnet_pool_spec spec = { .size = 1 };
		struct podnet_pool *pool = NULL;
		struct podnet_error err = { 0 };

		test_ok(podnet_set_new(&ahead, "ahead", &err), &err);
		if (i == 0)
			test_ok(podnet_set_addr(ahead, &addr, &err), &err);
		else
			test_ok(podnet_set_route(ahead, i == 1 ? &elsewhere : &outside, &err), &err);
		spec.ahead = ahead;
		assert_int_equal(podnet_pool_new(ctx, &spec, &pool, &err), -EINVAL);
		assert_string_equal(err.field, "ahead");
		assert_null(pool);
	}
}

/* for a pod that will have the addresses in @text, separated by blanks; in @netns, on @link */
static int add_for(struct podnet_pool *pool, const char *text, const char *netns, const char *link,
		   struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *own = NULL;
	char copy[128], *word, *rest = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	test_ok(podnet_set_new(&own, "own", err), err);
	while ((word = strsep(&rest, " "))) {
		const struct podnet_addr addr = { .netns = netns, .link = link,
						  .prefix = prefix(word) };
		const struct podnet_neigh to = { .link = "host", .addr = prefix(word) };

		test_ok(podnet_set_addr(own, &addr, err), err);
		test_ok(podnet_set_neigh(own, &to, err), err);
	}
	return podnet_pool_add(pool, own, err);
}

/* The one that was made for it, from between others; nothing leads to those that wait. */
static void made_for_one(void **state)
{
	const struct podnet_prefix of[] = { prefix("10.0.0.1"), prefix("10.0.0.2"),
					    prefix("10.0.0.3") };
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip link set lo up; ip addr add 10.255.0.1/32 dev lo"), 0);
	ctx = test_open(NULL);
	pool = new_pool_ahead(ctx, false);
	test_ok(podnet_pool_fill(pool, 1, &err), &err);
	test_ok(add_for(pool, "10.0.0.1", "any", "eth0", &err), &err);
	test_ok(add_for(pool, "10.0.0.2", "any", "eth0", &err), &err);
	test_ok(add_for(pool, "10.0.0.3", "any", "eth0", &err), &err);
	assert_int_equal(add_for(pool, "10.0.0.4", "any", "eth0", &err), -ENOSPC);
	assert_int_equal(sh("! ip route get 10.0.0.2 2>/dev/null"), 0);
	assert_int_equal(test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err), 9);
	assert_true(podnet_pool_has(pool, &of[0], 1));
	assert_false(podnet_pool_has(pool, &of[1], 1));
	assert_true(podnet_pool_has(pool, &of[2], 1));
	assert_false(podnet_pool_has(pool, of, 2));
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
	assert_int_equal(sh("ip netns exec blue ping -c1 -w20 10.255.0.1 >/dev/null"), 0);
}

struct guess {
	const char *for_one, *for_another;
	bool used;
};

/*
 * A wrong guess costs time only: the oldest goes, with what it must have and nothing else; but not
 * where its addresses would take the routes of their family along.
 */
static void made_for_others(void **state)
{
	const struct guess *row = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	struct podnet_prefix first;
	struct podnet_error err = { 0 };

	assert_int_equal(sh("ip link set lo up; ip addr add 10.255.0.1/32 dev lo"), 0);
	ctx = test_open(NULL);
	pool = new_pool_ahead(ctx, true);
	test_ok(add_for(pool, row->for_one, "any", "eth0", &err), &err);
	test_ok(add_for(pool, row->for_another, "any", "eth0", &err), &err);
	test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err);
	assert_int_equal(podnet_pool_ready(pool), row->used ? 1 : 2);
	first = prefix(row->for_one);
	assert_int_equal(podnet_pool_has(pool, &first, 1), !row->used);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
	assert_int_equal(sh("test $(ip -n blue -o addr show eth0 | wc -l) = 1"), 0);
	assert_int_equal(sh("link=$(ip -o route get 10.0.0.2 | grep -o 'pn[a-z0-9]*');"
			    "test $(ip neigh show dev $link | grep -c PERMANENT) = 1 &&"
			    "ip neigh show dev $link | grep -q '^10.0.0.2 '"), 0);
	assert_int_equal(sh("ip -n blue route | grep -q 'default via 169.254.1.1'"), 0);
	assert_int_equal(sh("ip netns exec blue ping -c1 -w20 10.255.0.1 >/dev/null"), 0);
}

static void what_is_for_one_is_checked(void **state)
{
	static const struct { const char *netns, *link; } bad[] = {
		{ "any", "eth1" }, { NULL, "eth0" },
	};
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 1400, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct podnet_error err = { 0 };

		assert_int_equal(add_for(pool, "10.0.0.2", bad[i].netns, bad[i].link, &err), -EINVAL);
		assert_string_equal(err.field, "own");
		assert_int_equal(podnet_pool_ready(pool), 0);
	}
	assert_int_equal(sh(LINKS_GO("0")), 0);
}

static void only_what_fits_is_taken(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1300, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 1400, NULL);
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(podnet_pool_fill(pool, 1, &err), &err);
	test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err);
	assert_int_equal(podnet_pool_ready(pool), 1);
	assert_int_equal(sh("ip link show pn0 >/dev/null"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
}

static void an_empty_pool_is_no_hindrance(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 1400, NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err), 9);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
}

static void a_taken_name_is_no_loss(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip netns add blue"), 0);
	ctx = test_open(NULL);
	pool = new_pool(ctx, 1400, NULL);
	test_ok(podnet_pool_fill(pool, 1, &err), &err);
	assert_int_equal(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), -EEXIST);
	assert_string_equal(err.object, "netns blue");
	assert_int_equal(podnet_pool_ready(pool), 1);
}

/*
 * A pair keeps the pool's mark: it is its namespace's, also for a process that dies before it does
 * more than pinning.  With a mark that says nothing, it is made anew.
 */
static void a_pair_is_known_by_its_namespace(void **state)
{
	bool known = !(bool)(uintptr_t)*state;
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 0, NULL);
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(0, NULL);
	char host[PODNET_IFNAME_SIZE], command[128];
	struct podnet_error err = { 0 };
	int fd;

	assert_int_equal(test_ok(podnet_pool_fill(pool, 1, &err), &err), 1);
	fd = podnet_pool_take(pool, "blue", "pod-1", host, &err);
	assert_true(test_ok(fd, &err) >= 0);
	close(fd);
	snprintf(command, sizeof(command), "ip link set %s alias %s", host,
		 known ? "podnet:lib:pool" : "another");
	assert_int_equal(sh(command), 0);
	assert_true(test_ok(apply(ctx, set, 0, NULL, &err), &err) > 0);
	assert_int_equal(apply(ctx, set, 0, NULL, &err), 0);
	assert_int_equal(sh("ip link show pn0 >/dev/null 2>&1"), known);
	snprintf(command, sizeof(command), "ip link show %s >/dev/null 2>&1", host);
	assert_int_equal(sh(command), !known);
}

static bool is_pod(const char *scope, void *arg)
{
	(void)arg;
	return !strcmp(scope, "pod-1");
}

static int marked_links(void)
{
	int n = 0;

	while (n < 9) {
		char command[96];

		snprintf(command, sizeof(command),
			 "test $(ip link show | grep -c 'alias podnet:lib:pool') = %d", n);
		if (sh(command) == 0)
			break;
		n++;
	}
	return n;
}

/* the pool's mark alone says nothing: what is in a pool or pinned stays, what is neither goes */
static void a_sweep_looks_where_a_pair_leads(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = new_pool(ctx, 1400, NULL);
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, NULL);
	_cleanup_close_ int held = -1;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(test_ok(podnet_pool_fill(pool, 3, &err), &err), 3);
	test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err);
	held = podnet_netns_open(ctx, "blue", &err);
	assert_true(test_ok(held, &err) >= 0);
	assert_int_equal(test_ok(podnet_sweep(ctx, is_pod, NULL, NULL, &err), &err), 0);
	assert_int_equal(marked_links(), 3);
	assert_int_equal(apply(ctx, set, 0, NULL, &err), 0);
	assert_int_equal(sh("ip netns del blue"), 0);
	assert_int_equal(marked_links(), 3);
	test_ok(podnet_sweep(ctx, is_pod, NULL, NULL, &err), &err);
	assert_int_equal(marked_links(), 2);
	assert_int_equal(podnet_pool_ready(pool), 2);
}

static void on_a_bridge(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare(1400, "br0");
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	_cleanup_(podnet_pool_freep) struct podnet_pool *pool = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("ip link add br0 type bridge; ip link set br0 up"), 0);
	ctx = test_open(NULL);
	pool = new_pool(ctx, 1400, "br0");
	test_ok(podnet_pool_fill(pool, 1, &err), &err);
	test_ok(apply(ctx, set, PODNET_PLAN_FRESH, pool, &err), &err);
	assert_int_equal(podnet_pool_ready(pool), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, NULL, &err), &err), 0);
	assert_int_equal(sh("bridge -d link | grep -q 'isolated on'"), 0);
}

/* killed, so nothing of ours runs any more: the kernel alone cleans up */
static void dies_with_its_process(void **state)
{
	struct podnet_error err = { 0 };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct podnet *ctx = NULL;
		struct podnet_pool *pool = NULL;
		const struct podnet_pool_spec spec = { .size = 4 };

		if (podnet_open(&ctx, NULL, &err) < 0 ||
		    podnet_pool_new(ctx, &spec, &pool, &err) < 0 ||
		    podnet_pool_fill(pool, 4, &err) != 4)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(sh(LINKS_GO("0")), 0);
}

#define ROW(says, fn, row) { says, fn, netns_setup, NULL, (void *)(uintptr_t)(row) }

int main(void)
{
	static const struct guess used = { "10.0.0.1", "10.0.0.3 fd00::3", true };
	static const struct guess not = { "fd00::1", "fd00::2", false };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fills_up_to_its_size, netns_setup),
		cmocka_unit_test_setup(specs_are_checked, netns_setup),
		cmocka_unit_test_setup(taken_by_name_and_without, netns_setup),
		ROW("a plan takes from it", a_plan_takes_from_it, 0),
		ROW("a fresh plan takes from it", a_plan_takes_from_it, PODNET_PLAN_FRESH),
		ROW("what all have is made ahead", what_all_have_is_made_ahead, 0),
		ROW("what one has not is taken away", what_all_have_is_made_ahead, 1),
		cmocka_unit_test_setup(ahead_is_checked, netns_setup),
		cmocka_unit_test_setup(made_for_one, netns_setup),
		ROW("a wrong guess", made_for_others, &used),
		ROW("a guess of no use", made_for_others, &not),
		cmocka_unit_test_setup(what_is_for_one_is_checked, netns_setup),
		cmocka_unit_test_setup(only_what_fits_is_taken, netns_setup),
		cmocka_unit_test_setup(an_empty_pool_is_no_hindrance, netns_setup),
		cmocka_unit_test_setup(a_taken_name_is_no_loss, netns_setup),
		ROW("a pair is known by its namespace", a_pair_is_known_by_its_namespace, 0),
		ROW("a pair with another mark is made anew", a_pair_is_known_by_its_namespace, 1),
		cmocka_unit_test_setup(a_sweep_looks_where_a_pair_leads, netns_setup),
		cmocka_unit_test_setup(on_a_bridge, netns_setup),
		cmocka_unit_test_setup(dies_with_its_process, netns_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
