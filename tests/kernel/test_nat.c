/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_nat.c - masquerade on a real kernel: what is made, what is repaired, what packets see
 *
 * nft(8) is the second opinion: it lists what the library made, loads it again, and breaks it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <tests/lib/testlib.h>

#define GOLDEN "tests/golden/nft/nat.nft"
#define SAME_AS_GOLDEN "nft list table inet podnet | diff -u " GOLDEN " - >&2"
/* a set that was made anew is listed last */
#define SAME_BUT_FOR_ORDER "sort " GOLDEN " >/run/golden; nft list table inet podnet 2>/dev/null | " \
	"sort | diff /run/golden - "

/* overlapping, touching, with host bits, up to the last address of all */
static int ensure(struct podnet *ctx)
{
	const struct podnet_prefix inside[] = {
		prefix("10.244.0.0/16"), prefix("10.244.8.0/22"), prefix("10.245.0.7/16"),
		prefix("172.20.1.0/24"), prefix("255.255.255.254/31"), prefix("fd12:3456::/48"),
	};
	const struct podnet_prefix masq[] = {
		prefix("10.244.0.0/22"), prefix("10.244.4.0/22"), prefix("fd12:3456::/64"),
		prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	};
	const struct podnet_nat spec = { inside, ARRAY_SIZE(inside), masq, ARRAY_SIZE(masq), NULL };
	struct podnet_error err = { 0 };

	return test_ok(podnet_nat_ensure(ctx, &spec, &err), &err);
}

static void made_once(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_not_equal(ensure(ctx), 0);
	assert_int_equal(ensure(ctx), 0);
	assert_int_equal(sh(SAME_AS_GOLDEN), 0);
	/* nft prints what it can load, and what it loads is as good as ours */
	assert_int_equal(sh("nft list table inet podnet > /run/nat.nft && "
			    "nft delete table inet podnet && nft -f /run/nat.nft"), 0);
	assert_int_equal(ensure(ctx), 0);
	assert_int_equal(podnet_nat_absent(ctx, &err), 1);
	assert_int_equal(podnet_nat_absent(ctx, &err), 0);
	assert_int_equal(sh("test -z \"$(nft list tables)\""), 0);
}

static const struct drift_case {
	const char *says, *command;
	int changes;
} drifts[] = {
	{ "an element deleted", "nft delete element inet podnet inside4 { 172.20.1.0/24 }", 1 },
	{ "an element added", "nft add element inet podnet masq4 { 192.0.2.0/24 }", 1 },
	{ "an IPv6 element replaced", "nft delete element inet podnet masq6 { fd12:3456::/64 } && "
	  "nft add element inet podnet masq6 { fd12:3456::/48 }", 2 },
	{ "a set flushed", "nft flush set inet podnet inside4", 3 },
	{ "a rule deleted", "nft delete rule inet podnet postrouting handle $(nft -a list chain "
	  "inet podnet postrouting | sed -n 's/.*@masq6.*# handle //p')", 2 },
	{ "a rule added", "nft insert rule inet podnet postrouting accept", 2 },
	{ "a rule changed, the comment kept", "nft replace rule inet podnet postrouting handle "
	  "$(nft -a list chain inet podnet postrouting | sed -n 's/.*@masq4.*# handle //p') "
	  "ip saddr @masq4 masquerade comment '\"podnet nat 1: leaves the pod networks\"'", 2 },
	{ "the chain flushed", "nft flush chain inet podnet postrouting", 2 },
	{ "the policy changed", "nft chain inet podnet postrouting '{ policy drop; }'", 3 },
	{ "the chain at another priority", "nft 'flush chain inet podnet postrouting; "
	  "delete chain inet podnet postrouting; add chain inet podnet postrouting "
	  "{ type nat hook postrouting priority 50; }'", 3 },
	{ "a set of another type", "nft 'flush chain inet podnet postrouting; "
	  "delete set inet podnet masq4; add set inet podnet masq4 { type ipv6_addr; }'", 4 },
	{ "the table dormant", "nft add table inet podnet '{ flags dormant; }'", 1 },
	{ "the table flushed", "nft flush table inet podnet", 2 },
	{ "the table deleted", "nft delete table inet podnet", 15 },
	{ "everything flushed", "nft flush ruleset", 15 },
};

static void drift(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	const struct drift_case *c = *state;

	assert_int_not_equal(ensure(ctx), 0);
	assert_int_equal(sh(c->command), 0);
	assert_int_not_equal(sh(SAME_BUT_FOR_ORDER ">/dev/null"), 0);
	assert_int_equal(ensure(ctx), c->changes);
	assert_int_equal(sh(SAME_BUT_FOR_ORDER ">&2"), 0);
	assert_int_equal(ensure(ctx), 0);
}

static const struct clamp_case {
	const char *says, *command, *clamp;
	int changes;
} clamps[] = {
	{ "made", "true", "pn-", 1 },
	{ "there already", "true", "pn-", 0 },
	{ "the rule deleted", "nft flush chain inet podnet tunnels", "pn-", 1 },
	{ "a rule added", "nft add rule inet podnet tunnels accept", "pn-", 1 },
	{ "the chain deleted", "nft 'flush chain inet podnet tunnels; delete chain inet podnet tunnels'",
	  "pn-", 1 },
	{ "the chain on another hook", "nft 'flush chain inet podnet tunnels; "
	  "delete chain inet podnet tunnels; add chain inet podnet tunnels { type filter hook input "
	  "priority 0; }'", "pn-", 1 },
	{ "tunnels of another name", "true", "t", 1 },
	{ "what nft prints loads again", "nft list table inet podnet > /run/nat.nft && "
	  "nft delete table inet podnet && nft -f /run/nat.nft", "t", 0 },
	{ "no tunnels any more", "true", NULL, 1 },
	{ "none still", "true", NULL, 0 },
};

/* One table, row after row. */
static void tunnels(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	struct podnet_nat spec = { 0 };
	struct podnet_error err = { 0 };

	(void)state;
	test_ok(podnet_nat_ensure(ctx, &spec, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(clamps); i++) {
		const struct clamp_case *c = &clamps[i];
		bool golden = c->clamp && strcmp(c->clamp, "pn-") == 0;

		assert_int_equal(sh(c->command), 0);
		spec.clamp = c->clamp;
		if (test_ok(podnet_nat_ensure(ctx, &spec, &err), &err) != c->changes)
			fail_msg("%s: not %d changes", c->says, c->changes);
		if (golden)
			assert_int_equal(sh("nft list chain inet podnet tunnels | diff -u "
					    "tests/golden/nft/tunnels.nft - >&2"), 0);
		assert_int_equal(sh("nft list chain inet podnet tunnels >/dev/null 2>&1") == 0,
				 c->clamp != NULL);
	}
	spec.clamp = "";
	assert_int_equal(podnet_nat_ensure(ctx, &spec, &err), -EINVAL);
	assert_string_equal(err.field, "clamp");
}

/* other tables, and what others put into ours, stay as they are */
static void foreign(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_closep) struct podnet *lib = test_open(NULL);
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(sh("nft 'add table inet podnetx; add table ip podnet; add table inet podnet; "
			    "add set inet podnet theirs { type ipv4_addr; elements = { 10.0.0.1 }; }; "
			    "add chain inet podnet services; "
			    "add rule inet podnet services ip saddr @theirs counter; "
			    "add chain ip podnet postrouting; add rule ip podnet postrouting drop'"), 0);
	assert_int_equal(ensure(ctx), 14);
	assert_int_not_equal(ensure(lib), 0);
	assert_int_equal(sh("nft flush chain inet podnet postrouting"), 0);
	assert_int_equal(ensure(ctx), 2);
	assert_int_equal(ensure(ctx), 0);
	assert_int_equal(sh("nft list chain inet podnet services | grep -q '@theirs counter' && "
			    "nft list set inet podnet theirs | grep -q 10.0.0.1 && "
			    "nft list chain ip podnet postrouting | grep -q drop && "
			    "nft list tables | grep -q 'inet podnetx'"), 0);
	assert_int_equal(podnet_nat_absent(ctx, &err), 1);
	assert_int_equal(ensure(lib), 0);
	assert_int_equal(podnet_nat_absent(lib, &err), 1);
	assert_int_equal(sh("test \"$(nft list tables | sort | tr '\\n' ,)\" = "
			    "'table inet podnetx,table ip podnet,'"), 0);
}

static void refused(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	const struct podnet_prefix bad = { .family = AF_INET, .len = 33 };
	struct podnet_error err = { 0 };

	(void)state;
	assert_int_equal(podnet_nat_ensure(ctx, &(struct podnet_nat){ &bad, 1, NULL, 0, NULL }, &err),
			 -EINVAL);
	assert_string_equal(err.field, "inside");
	assert_int_equal(podnet_nat_ensure(ctx, &(struct podnet_nat){ NULL, 0, NULL, 1, NULL }, &err),
			 -EINVAL);
	assert_string_equal(err.field, "masquerade");
	assert_int_equal(sh("test -z \"$(nft list tables)\""), 0);
}

/* more than one message, more than a default send buffer, and the last half taken away again */
static void large(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	enum { N = 20000 };
	struct podnet_prefix *v = test_calloc(N, sizeof(*v));
	struct podnet_nat spec = { v, N, NULL, 0, NULL };
	struct podnet_error err = { 0 };

	(void)state;
	for (int i = 0; i < N; i++)
		v[i] = (struct podnet_prefix){ AF_INET, 32, { 10, (uint8_t)(i >> 7), (uint8_t)(i << 1) } };
	assert_int_equal(test_ok(podnet_nat_ensure(ctx, &spec, &err), &err), N + 1 + 4 + 1 + 2);
	assert_int_equal(podnet_nat_ensure(ctx, &spec, &err), 0);
	spec.ninside = N / 2;
	assert_int_equal(test_ok(podnet_nat_ensure(ctx, &spec, &err), &err), N / 2);
	assert_int_equal(podnet_nat_ensure(ctx, &spec, &err), 0);
	test_free(v);
}

struct committer {
	struct podnet *ctx;
	atomic_bool stop;
	atomic_int commits;
	int rc;
};

static void *commit_all_the_time(void *arg)
{
	struct committer *c = arg;

	for (uint8_t i = 0; !c->stop && (c->rc >= 0 || c->rc == -EAGAIN); i++) {
		const struct podnet_prefix p = { AF_INET, 24, { 192, 168, i } };

		c->rc = podnet_nat_ensure(c->ctx, &(struct podnet_nat){ &p, 1, NULL, 0, NULL }, NULL);
		/* -EAGAIN: it was crowded out by the row, which commits more often */
		c->commits += c->rc > 0;
		usleep(1000);
	}
	return NULL;
}

static void among_committers(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	struct committer c = { .ctx = test_open("other") };
	struct podnet_error err = { 0 };
	pthread_t thread;

	(void)state;
	ensure(ctx);
	assert_int_equal(pthread_create(&thread, NULL, commit_all_the_time, &c), 0);
	for (int i = 0; i < 300 || (i < 60000 && c.commits < 100); i++) {
		const struct podnet_prefix p = { AF_INET, 24, { 10, 9, (uint8_t)i } };

		assert_int_not_equal(test_ok(podnet_nat_ensure(ctx, &(struct podnet_nat){
			&p, 1, &p, 1, NULL }, &err), &err), 0);
		usleep(500);    /* or the other one would never get in */
	}
	c.stop = true;
	pthread_join(thread, NULL);
	assert_true(c.commits >= 100);
	podnet_close(c.ctx);
	assert_int_not_equal(ensure(ctx), 0);
	assert_int_equal(sh(SAME_AS_GOLDEN), 0);
}

/* ---- packets ---- */

static int udp_socket(void *arg)
{
	int *family = arg;
	const struct timeval wait = { .tv_usec = 200000 };
	const struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(4000) };
	const struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(4000) };
	int fd = socket(*family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    bind(fd, *family == AF_INET ? (const void *)&any4 : (const void *)&any6,
		 *family == AF_INET ? sizeof(any4) : sizeof(any6)) < 0)
		return -errno;
	return fd;
}

static int udp_in(const char *netns, int family)
{
	_cleanup_close_ int ns = open(netns, O_RDONLY | O_CLOEXEC);
	int fd;

	assert_true(ns >= 0);
	fd = pn_in_netns(ns, udp_socket, &family);
	assert_true(fd >= 0);
	return fd;
}

static const struct packet_case {
	const char *says, *to, *source;
} packets[] = {
	{ "to the world: as the node", "192.0.2.2", "192.0.2.1" },
	{ "to an inside prefix: as itself", "10.244.9.9", "10.244.1.2" },
	{ "IPv6 to the world: as the node", "2001:db8::2", "2001:db8::1" },
	{ "IPv6 to an inside prefix: as itself", "fd12:3456:0:9::9", "fd12:3456::2" },
};

static const char topology[] =
	"set -e; ip link set lo up; ip netns add pod; ip netns add world\n"
	"ip link add p type veth peer name eth0 netns pod\n"
	"ip link add w type veth peer name eth0 netns world\n"
	"echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n"
	"ip link set p up; ip link set w up\n"
	"ip addr add 10.244.1.1/24 dev p; ip addr add fd12:3456::1/64 dev p nodad\n"
	"ip addr add 192.0.2.1/24 dev w; ip addr add 2001:db8::1/64 dev w nodad\n"
	"ip -n pod link set eth0 up; ip -n world link set eth0 up; ip -n world link set lo up\n"
	"ip -n pod addr add 10.244.1.2/24 dev eth0; ip -n pod addr add fd12:3456::2/64 dev eth0 nodad\n"
	"ip -n pod route add default via 10.244.1.1; ip -n pod route add default via fd12:3456::1\n"
	"ip -n world addr add 192.0.2.2/24 dev eth0; ip -n world addr add 2001:db8::2/64 dev eth0 nodad\n"
	"ip -n world addr add 10.244.9.9/32 dev lo; ip -n world addr add fd12:3456:0:9::9/128 dev lo nodad\n"
	"ip -n world route add default via 192.0.2.1; ip -n world route add default via 2001:db8::1\n"
	"ip route add 10.244.9.9/32 via 192.0.2.2; ip route add fd12:3456:0:9::9/128 via 2001:db8::2\n";

static void packet(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	const struct packet_case *c = *state;
	struct podnet_prefix to = prefix(c->to), from = { 0 };
	struct sockaddr_storage addr = { .ss_family = to.family };
	struct sockaddr_in6 *sin6 = (void *)&addr;
	struct sockaddr_in *sin = (void *)&addr;
	_cleanup_close_ int pod = -1, world = -1;
	char text[PODNET_PREFIX_STRLEN];
	ssize_t got = -1;

	assert_int_equal(sh(topology), 0);
	ensure(ctx);
	pod = udp_in("/run/netns/pod", to.family);
	world = udp_in("/run/netns/world", to.family);
	sin->sin_port = htons(4000);    /* at the same place in both */
	memcpy(to.family == AF_INET ? (void *)&sin->sin_addr : (void *)&sin6->sin6_addr, to.addr,
	       to.family == AF_INET ? 4 : 16);
	for (int i = 0; i < 100 && got < 0; i++) {
		socklen_t len = sizeof(addr);
		struct sockaddr_storage dst = addr;
		char byte = 'x';

		sendto(pod, &byte, 1, 0, (struct sockaddr *)&dst,
		       to.family == AF_INET ? sizeof(*sin) : sizeof(*sin6));
		got = recvfrom(world, &byte, 1, 0, (struct sockaddr *)&dst, &len);
		if (got == 1)
			addr = dst;
	}
	assert_int_equal(got, 1);
	from.family = to.family;
	memcpy(from.addr, to.family == AF_INET ? (void *)&sin->sin_addr : (void *)&sin6->sin6_addr,
	       to.family == AF_INET ? 4 : 16);
	assert_string_equal(podnet_prefix_format_addr(&from, text), c->source);
}

int main(void)
{
	struct CMUnitTest tests[64] = {
		{ "made once", made_once, netns_setup, NULL, NULL },
		{ "foreign things stay", foreign, netns_setup, NULL, NULL },
		{ "tunnels", tunnels, netns_setup, NULL, NULL },
		{ "refused", refused, netns_setup, NULL, NULL },
		{ "large", large, netns_setup, NULL, NULL },
		{ "among committers", among_committers, netns_setup, NULL, NULL },
	};
	size_t n = 6;

	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++)
		tests[n++] = (struct CMUnitTest){ drifts[i].says, drift, netns_setup, NULL,
						  (void *)(uintptr_t)&drifts[i] };
	for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
		tests[n++] = (struct CMUnitTest){ packets[i].says, packet, netns_setup, NULL,
						  (void *)(uintptr_t)&packets[i] };
	/* the array is longer than what is in it, so the macro cannot count */
	return _cmocka_run_group_tests("nat", tests, n, NULL, NULL);
}
