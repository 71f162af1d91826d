/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_plan.c - a routed pod by a plan: packets pass, drift is repaired, foreign things stay
 *
 * Room: the public headers, as an embedder; ip(8) breaks things and is the second opinion.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <tests/lib/testlib.h>

#define ENDS (PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN)
#define NODE_UP "ip link set lo up; ip addr add 10.255.0.1/32 dev lo;" \
	"ip addr add fdff::1/128 dev lo"

/* one family of a pod: both sides know the other by permanent neighbours */
static void declare_family(struct podnet_set *set, const char *ns, const char *ip,
			   const char *gateway, const char *all, struct podnet_error *err)
{
	const struct podnet_prefix addr = prefix(ip), via = prefix(gateway);
	const struct podnet_addr inside = { .netns = ns, .link = "eth0", .prefix = addr };
	const struct podnet_route host = { .dst = addr, .link = "pn0" };
	const struct podnet_route link = { .netns = ns, .dst = via, .link = "eth0" };
	const struct podnet_route out = { .netns = ns, .dst = prefix(all), .via = via,
					  .link = "eth0" };
	const struct podnet_neigh to = { .link = "pn0", .addr = addr };
	const struct podnet_neigh back = { .netns = ns, .link = "eth0", .addr = via };

	podnet_set_addr(set, &inside, err);
	podnet_set_route(set, &host, err);
	podnet_set_route(set, &link, err);
	podnet_set_route(set, &out, err);
	podnet_set_neigh(set, &to, err);
	podnet_set_neigh(set, &back, err);
}

static struct podnet_set *declare_in(const char *ns, bool made)
{
	const struct podnet_veth veth = { .end = {
		{ .name = "pn0", .flags = ENDS, .mtu = 1400 },
		{ .netns = ns, .name = "eth0", .flags = ENDS, .mtu = 1400 } } };
	const struct podnet_netns netns = { .name = ns };
	struct podnet_error err = { 0 };
	struct podnet_set *set = NULL;

	test_ok(podnet_set_new(&set, "pod-1", &err), &err);
	if (made)
		podnet_set_netns(set, &netns, &err);
	test_ok(podnet_set_veth(set, &veth, &err), &err);
	declare_family(set, ns, "10.0.0.2", "169.254.1.1", "0.0.0.0/0", &err);
	declare_family(set, ns, "fd00::2", "fe80::1", "::/0", &err);
	assert_int_equal(err.code, 0);
	return set;
}

static int apply(struct podnet *ctx, struct podnet_set *set, uint32_t flags,
		 struct podnet_error *err)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	int r = podnet_plan_make(ctx, set, flags, &plan, err);

	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

static int unapply(struct podnet *ctx, struct podnet_set *set, struct podnet_error *err)
{
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	int r = podnet_plan_absent(ctx, set, 0, &plan, err);

	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

/* one datagram to @ip and back, from inside @ns: the very first packet must pass */
static int echo_child(const char *ns, const char *ip, int port)
{
	struct timeval patience = { .tv_sec = 20 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	char path[64], back[8] = "";
	int fd, s;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return 10;
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, ip, &to.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (sendto(s, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)) != 5)
		return 11;
	return recv(s, back, sizeof(back), 0) == 5 && !memcmp(back, "hello", 5) ? 0 : 12;
}

static bool echoes(const char *ns)
{
	struct sockaddr_in at = { .sin_family = AF_INET }, from;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 0;
	struct timeval patience = { .tv_sec = 20 };
	socklen_t len = sizeof(at);
	char text[8];
	pid_t pid;

	assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&at, &len), 0);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	pid = fork();
	if (pid == 0)
		_exit(echo_child(ns, "10.255.0.1", ntohs(at.sin_port)));
	len = sizeof(from);
	if (recvfrom(s, text, sizeof(text), 0, (struct sockaddr *)&from, &len) == 5)
		sendto(s, text, 5, 0, (struct sockaddr *)&from, len);
	close(s);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int first_line(const char *line, void *arg)
{
	snprintf(arg, 256, "%s", line);
	return 1;
}

static void a_pod_comes_and_goes(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	uint32_t flags = (uint32_t)(uintptr_t)*state;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	assert_int_equal(sh(NODE_UP), 0);
	ctx = test_open(NULL);
	assert_int_equal(test_ok(apply(ctx, set, flags, &err), &err), 15);
	assert_true(echoes("blue"));
	assert_int_equal(sh("ip netns exec blue ping -6 -c1 -w20 fdff::1 >/dev/null"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
	/* a plan that believes in nothing finds out, and changes nothing */
	assert_int_equal(test_ok(apply(ctx, set, PODNET_PLAN_FRESH, &err), &err), 0);
	assert_int_equal(sh("! ip -n blue -6 addr show dev eth0 | grep -q fe80"), 0);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(sh("! test -e /run/netns/blue"), 0);
	assert_int_equal(sh("! ip route | grep -q 10.0.0.2; ! ip -6 route | grep -q fd00::2"), 0);
	assert_int_equal(test_ok(unapply(ctx, set, &err), &err), 0);
	assert_int_equal(sh("for i in $(seq 1200); do ip link show pn0 2>/dev/null >&2 || exit 0;"
			    "sleep 0.05; done; exit 1"), 0);
	assert_int_equal(sh("test -z \"$(ls /run/netns)\" && test -z \"$(ls /run/podnet/netns)\""), 0);
}

static const struct drift { const char *says, *how, *line; } drifts[] = {
	{ "link deleted", "ip link del pn0", "link add pn0 type veth peer eth0 in blue mtu 1400 up "
	  "addrgenmode none" },
	{ "link deleted inside", "ip -n blue link del eth0", NULL },
	{ "address deleted", "ip -n blue addr del 10.0.0.2/32 dev eth0", NULL },
	{ "address 6 deleted", "ip -n blue addr del fd00::2/128 dev eth0",
	  "addr add blue eth0 fd00::2/128" },
	{ "routes flushed", "ip route flush table main; ip -6 route flush table main", NULL },
	{ "routes flushed inside", "ip -n blue route flush table main", NULL },
	{ "route led elsewhere", "ip route replace 10.0.0.2 dev lo proto 142",
	  "route set 10.0.0.2/32 dev pn0" },
	{ "namespace deleted", "ip netns del blue", NULL },
	{ "down", "ip link set pn0 down", NULL },
	{ "down inside", "ip -n blue link set eth0 down", NULL },
	{ "mtu", "ip link set pn0 mtu 1500", "link set pn0 mtu 1400" },
	{ "mtu inside", "ip -n blue link set eth0 mtu 1300", "link set blue eth0 mtu 1400" },
	{ "neighbour deleted", "ip neigh del 10.0.0.2 dev pn0", NULL },
	{ "neighbour changed", "ip neigh replace 10.0.0.2 dev pn0 lladdr 02:00:00:00:00:01 proto 142",
	  NULL },
	/* shown, so that the kernel is through with what "up" began, and takes packets */
	{ "renamed", "ip link set pn0 down; ip link set pn0 name x0; ip link set x0 up; "
	  "ip link show x0 >/dev/null; ip -n blue link show eth0 >/dev/null", NULL },
	{ "route added", "ip route add 10.0.0.3 dev pn0 proto 142", "route del 10.0.0.3/32 dev pn0" },
	{ "route added inside", "ip -n blue route add 10.7.0.0/16 dev eth0 proto 142",
	  "route del blue 10.7.0.0/16 dev eth0" },
};

static void drift_is_repaired(void **state)
{
	const struct drift *drift = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_plan_freep) struct podnet_plan *plan = NULL;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };
	char line[256] = "";

	assert_int_equal(sh(NODE_UP), 0);
	ctx = test_open(NULL);
	test_ok(apply(ctx, set, 0, &err), &err);
	assert_int_equal(sh(drift->how), 0);
	assert_true(test_ok(podnet_plan_make(ctx, set, 0, &plan, &err), &err) > 0);
	podnet_plan_each(plan, first_line, line);
	if (drift->line)
		assert_string_equal(line, drift->line);
	assert_true(test_ok(podnet_plan_commit(ctx, plan, &err), &err) > 0);
	assert_true(echoes("blue"));
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
}

static const struct conflict { const char *says, *before, *object, *still; } conflicts[] = {
	{ "a link of that name", "ip link add pn0 type bridge", "link pn0", "ip link show pn0" },
	{ "a link of another scope", "ip link add pn0 type bridge; ip link set pn0 alias "
	  "podnet:lib:pod-10", "link pn0", "ip link show pn0" },
	{ "a link of another owner", "ip link add pn0 type bridge; ip link set pn0 alias "
	  "podnet:lib2:pod-1", "link pn0", "ip link show pn0" },
	{ "a route to that address", "ip route add 10.0.0.2 dev lo", "route 10.0.0.2/32",
	  "ip route | grep -q '10.0.0.2 dev lo'" },
};

static void conflicts_are_named(void **state)
{
	const struct conflict *c = *state;
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	assert_int_equal(sh(NODE_UP), 0);
	assert_int_equal(sh(c->before), 0);
	ctx = test_open(NULL);
	assert_int_equal(apply(ctx, set, 0, &err), -EEXIST);
	assert_string_equal(err.object, c->object);
	assert_non_null(err.why);
	assert_string_equal(err.kernel, "");
	/* also when the plan did not look: the kernel refuses, and the same is said */
	memset(&err, 0, sizeof(err));
	assert_int_equal(apply(ctx, set, PODNET_PLAN_FRESH, &err), -EEXIST);
	assert_string_equal(err.object, c->object);
	unapply(ctx, set, &err);
	assert_int_equal(sh(c->still), 0);
}

static void others_in_the_same_place_stay(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(NODE_UP), 0);
	ctx = test_open(NULL);
	test_ok(apply(ctx, set, 0, &err), &err);
	assert_int_equal(sh("ip link add pn00 type bridge; ip link set pn00 alias podnet:lib:pod-11;"
			    "ip route add 10.0.0.4 dev pn0 proto 143; ip route add 10.0.0.5 dev lo proto 142;"
			    "ip -n blue addr add 10.6.0.1/24 dev eth0;"
			    "ip -n blue link add x0 type bridge;"
			    "ip -n blue neigh add 10.6.0.9 dev eth0 lladdr 02:00:00:00:00:01"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
	assert_int_equal(sh("ip link set pn0 mtu 1500"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 1);
	assert_int_equal(sh("ip -n blue addr | grep -q 10.6.0.1 && ip -n blue link show x0 >/dev/null &&"
			    "ip route | grep -q '10.0.0.4 dev pn0' && ip -n blue neigh | grep -q 10.6.0.9"), 0);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(sh("ip link show pn00 >/dev/null && ip route | grep -q '10.0.0.5 dev lo'"), 0);
}

static void an_adopted_namespace_stays(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	_cleanup_(podnet_closep) struct podnet *ctx = NULL;
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh(NODE_UP "; ip netns add cni; ip -n cni link set lo up"), 0);
	set = declare_in("/run/netns/cni", false);
	ctx = test_open(NULL);
	test_ok(apply(ctx, set, 0, &err), &err);
	assert_true(echoes("cni"));
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(sh("ip netns exec cni true && ! ip link show pn0 2>/dev/null &&"
			    "! ip -n cni link show eth0 2>/dev/null"), 0);
	assert_int_equal(test_ok(unapply(ctx, set, &err), &err), 0);
}

static void a_held_namespace_is_reaped(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };
	int held;

	(void)state;
	assert_int_equal(podnet_doomed_reap(ctx, &err), 0);
	test_ok(apply(ctx, set, 0, &err), &err);
	held = podnet_netns_open(ctx, "blue", &err);
	assert_true(held >= 0);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(sh("ip link show pn0 >/dev/null"), 0);
	/* the name is in the way of a new pod of the same name: it is freed, then used */
	test_ok(apply(ctx, set, 0, &err), &err);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
	close(held);
	held = podnet_netns_open(ctx, "blue", &err);
	assert_true(test_ok(unapply(ctx, set, &err), &err) > 0);
	assert_int_equal(podnet_doomed_reap(ctx, &err), 1);
	assert_int_equal(sh("ip link show pn0 2>/dev/null"), 1);
	assert_int_equal(podnet_doomed_reap(ctx, &err), 0);
	close(held);
}

static void a_changed_set_changes_the_pod(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_set_freep) struct podnet_set *more = declare_in("blue", true);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	const struct podnet_addr addr = { .netns = "blue", .link = "eth0",
					  .prefix = prefix("10.0.0.3/32") };
	const struct podnet_limit limit = { .link = "pn0", .rate = 8000000, .incoming = true };
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(podnet_set_addr(more, &addr, &err), &err);
	test_ok(podnet_set_limit(more, &limit, &err), &err);
	test_ok(apply(ctx, more, 0, &err), &err);
	assert_int_equal(sh("ip -n blue addr show dev eth0 | grep -q 10.0.0.3 &&"
			    "tc filter show dev pn0 parent ffff: | grep -q mirred"), 0);
	/* the address, the redirection and its ifb go, and nothing else */
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 3);
	assert_int_equal(sh("! ip -n blue addr show dev eth0 | grep -q 10.0.0.3 &&"
			    "! ip link show type ifb | grep -q : &&"
			    "! tc qdisc show dev pn0 | grep -q ingress"), 0);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
}

/* the kernel has an IPv6 address once on a link: the old one must go before the new one comes */
static void an_address_changes_its_length(void **state)
{
	static const char *const lengths[] = { "fd00::9/128", "fd00::9/64", "fd00::9/128" };
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
		const struct podnet_addr addr = { .netns = "blue", .link = "eth0",
						  .prefix = prefix(lengths[i]) };

		test_ok(podnet_set_addr(set, &addr, &err), &err);
		test_ok(apply(ctx, set, PODNET_PLAN_NAMED, &err), &err);
		assert_int_equal(test_ok(apply(ctx, set, PODNET_PLAN_NAMED, &err), &err), 0);
	}
	assert_int_equal(sh("ip -n blue addr show dev eth0 | grep -q fd00::9/128"), 0);
}

static void taken_ifindexes_are_passed_over(void **state)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = declare_in("blue", true);
	_cleanup_(podnet_closep) struct podnet *ctx = test_open(NULL);
	struct podnet_link bridge = { .name = "probe" };
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(podnet_bridge_ensure(ctx, &bridge, &err), &err);
	/* the next three are somebody else's by then */
	assert_int_equal(sh("i=$(cat /sys/class/net/probe/ifindex 2>/dev/null ||"
			    "ip -o link show probe | cut -d: -f1);"
			    "for k in 1 2 3; do ip link add t$k index $((i+k)) type bridge || exit 1; done"), 0);
	test_ok(apply(ctx, set, PODNET_PLAN_FRESH, &err), &err);
	assert_int_equal(test_ok(apply(ctx, set, 0, &err), &err), 0);
}

#define ROW(says, fn, row) { says, fn, netns_setup, NULL, (void *)(uintptr_t)(row) }
#define FIXED 8

int main(void)
{
	struct CMUnitTest tests[FIXED + ARRAY_SIZE(drifts) + ARRAY_SIZE(conflicts)] = {
		ROW("a pod, observed", a_pod_comes_and_goes, 0),
		ROW("a pod, fresh", a_pod_comes_and_goes, PODNET_PLAN_FRESH),
		cmocka_unit_test_setup(others_in_the_same_place_stay, netns_setup),
		cmocka_unit_test_setup(an_adopted_namespace_stays, netns_setup),
		cmocka_unit_test_setup(a_held_namespace_is_reaped, netns_setup),
		cmocka_unit_test_setup(a_changed_set_changes_the_pod, netns_setup),
		cmocka_unit_test_setup(an_address_changes_its_length, netns_setup),
		cmocka_unit_test_setup(taken_ifindexes_are_passed_over, netns_setup),
	};
	size_t n = FIXED;

	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++)
		tests[n++] = (struct CMUnitTest)ROW(drifts[i].says, drift_is_repaired, &drifts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(conflicts); i++)
		tests[n++] = (struct CMUnitTest)ROW(conflicts[i].says, conflicts_are_named,
						    &conflicts[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
