/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_monitor.c - events: of each kind, from other namespaces, ours or not, lost, nf_tables
 *
 * Room: kernel tests, each row in namespaces of its own.  Events are there when the call that
 * caused them returns, so no row waits.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <libpodnet/netns/netns.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define EVENTS_MAX 512

struct heard {
	size_t n;
	struct podnet_event v[EVENTS_MAX];
	char alias[EVENTS_MAX][64];
};

static void hear(const struct podnet_event *ev, void *arg)
{
	struct heard *h = arg;

	assert_non_null(ev->alias);
	if (h->n == EVENTS_MAX)
		return;
	snprintf(h->alias[h->n], sizeof(h->alias[0]), "%s", ev->alias);
	h->v[h->n++] = *ev;
}

static void listen_now(struct podnet_monitor *mon, struct heard *h)
{
	struct podnet_error err = { 0 };

	h->n = 0;
	test_ok(podnet_monitor_read(mon, hear, h, &err), &err);
}

static int find(const struct heard *h, enum podnet_event_type type, bool deleted)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].type == type && h->v[i].deleted == deleted)
			return (int)i;
	}
	return -1;
}

struct fixture {
	struct podnet *ctx;
	struct podnet_monitor *mon;
	struct heard h;
};

static int setup(void **state)
{
	struct podnet_error err = { 0 };
	struct fixture *f;

	if (netns_setup(state) < 0)
		return -1;
	f = calloc(1, sizeof(*f));
	*state = f;
	if (!f)
		return -1;
	f->ctx = test_open(NULL);
	return test_ok(podnet_monitor_open(f->ctx, &f->mon, &err), &err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	podnet_monitor_close(f->mon);
	podnet_close(f->ctx);
	free(f);
	return 0;
}

static bool readable(const struct podnet_monitor *mon)
{
	struct pollfd p = { .fd = podnet_monitor_fd(mon), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* What IPv6 does with an address it does a little later, on a worker of the kernel's. */
static bool await(const struct podnet_monitor *mon)
{
	struct pollfd p = { .fd = podnet_monitor_fd(mon), .events = POLLIN };

	return poll(&p, 1, 20000) == 1;
}

static const struct event_case {
	const char *command;        /* of ip(8), in one string */
	enum podnet_event_type type;
	bool deleted;
	const char *prefix;         /* of the event, or NULL */
} cases[] = {
	{ "link set lo up",                         PODNET_EVENT_LINK,  false, NULL },
	{ "link add a0 type veth peer name a1",     PODNET_EVENT_LINK,  false, NULL },
	{ "link set a0 up",                         PODNET_EVENT_LINK,  false, NULL },
	{ "link set a1 up",                         PODNET_EVENT_LINK,  false, NULL },
	{ "addr add 10.0.0.1/24 dev a0",            PODNET_EVENT_ADDR,  false, "10.0.0.1/24" },
	{ "addr add fd00::1/64 dev a0 nodad",       PODNET_EVENT_ADDR,  false, "fd00::1/64" },
	{ "route add 10.9.0.0/16 via 10.0.0.2",     PODNET_EVENT_ROUTE, false, "10.9.0.0/16" },
	{ "route add default via 10.0.0.2",         PODNET_EVENT_ROUTE, false, "0.0.0.0/0" },
	{ "route add fd09::/16 via fd00::2",        PODNET_EVENT_ROUTE, false, "fd09::/16" },
	{ "rule add fwmark 1 lookup 100",           PODNET_EVENT_RULE,  false, NULL },
	{ "-6 rule add fwmark 1 lookup 100",        PODNET_EVENT_RULE,  false, NULL },
	{ "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev a0", PODNET_EVENT_NEIGH, false,
	  "10.0.0.2/32" },
	{ "neigh del 10.0.0.2 dev a0",              PODNET_EVENT_NEIGH, true,  "10.0.0.2/32" },
	{ "rule del fwmark 1 lookup 100",           PODNET_EVENT_RULE,  true,  NULL },
	{ "route del 10.9.0.0/16",                  PODNET_EVENT_ROUTE, true,  "10.9.0.0/16" },
	{ "addr del 10.0.0.1/24 dev a0",            PODNET_EVENT_ADDR,  true,  "10.0.0.1/24" },
	{ "link del a0",                            PODNET_EVENT_LINK,  true,  NULL },
};

static bool heard_one(const struct heard *h, const struct event_case *c)
{
	char text[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; i < h->n; i++) {
		const struct podnet_event *ev = &h->v[i];

		if (ev->ours || ev->nsid != -1)
			fail_msg("%s: ours %d nsid %d", c->command, ev->ours, ev->nsid);
		if (ev->type == c->type && ev->deleted == c->deleted &&
		    (!c->prefix || !strcmp(podnet_prefix_format(&ev->prefix, text), c->prefix)))
			return true;
	}
	return false;
}

static void kinds(void **state)
{
	struct fixture *f = *state;
	char command[128];

	assert_false(readable(f->mon));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(command, sizeof(command), "ip %s", cases[i].command);
		assert_int_equal(test_run("sh", "-c", command, NULL), 0);
		do {
			if (!await(f->mon))
				fail_msg("not heard: %s", command);
			listen_now(f->mon, &f->h);
		} while (!heard_one(&f->h, &cases[i]));
	}
}

static void members(void **state)
{
	struct fixture *f = *state;
	struct podnet_event *ev;
	int i;

	assert_int_equal(test_run("sh", "-c", "ip link add br0 type bridge &&"
				  "ip link add a0 index 77 mtu 1400 type veth peer name a1 &&"
				  "ip link set a0 master br0 alias podnet:x:y", NULL), 0);
	listen_now(f->mon, &f->h);
	for (i = (int)f->h.n - 1; i >= 0; i--) {
		if (f->h.v[i].index == 77 && f->h.v[i].type == PODNET_EVENT_LINK)
			break;
	}
	assert_true(i >= 0);
	ev = &f->h.v[i];
	assert_string_equal(ev->link, "a0");
	assert_string_equal(f->h.alias[i], "podnet:x:y");
	assert_int_equal(ev->mtu, 1400);
	assert_int_equal(ev->master, if_nametoindex("br0"));
	assert_int_equal(test_run("sh", "-c", "ip link set a0 up && "
				  "ip route add 10.9.0.0/16 dev a0 proto 142 table 1000", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_ROUTE, false);
	while (i >= 0 && (size_t)i < f->h.n && f->h.v[i].table != 1000)
		i++;
	assert_true(i >= 0 && (size_t)i < f->h.n);
	assert_int_equal(f->h.v[i].protocol, 142);
	assert_int_equal(f->h.v[i].index, 77);
}

static void qdiscs(void **state)
{
	struct fixture *f = *state;
	int i;

	assert_int_equal(test_run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1",
				  NULL), 0);
	listen_now(f->mon, &f->h);
	assert_int_equal(test_run("tc", "qdisc", "add", "dev", "a0", "root", "tbf", "rate", "1mbit",
				  "burst", "10k", "latency", "50ms", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_QDISC, false);
	assert_true(i >= 0);
	assert_int_equal(f->h.v[i].index, if_nametoindex("a0"));
	assert_int_equal(test_run("tc", "qdisc", "del", "dev", "a0", "root", NULL), 0);
	listen_now(f->mon, &f->h);
	assert_true(find(&f->h, PODNET_EVENT_QDISC, true) >= 0);
}

/* of a VXLAN device's own entries; a bridge's are learned, and not told */
static void forwarding(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	struct fixture *f = *state;
	char text[PODNET_PREFIX_STRLEN];
	int i;

	assert_int_equal(sh("ip link add vx0 type vxlan id 7 dstport 4789; ip link add br0 type bridge;"
			    "ip link add a0 type veth peer name a1; ip link set a0 master br0"), 0);
	listen_now(f->mon, &f->h);
	assert_int_equal(sh("bridge fdb add 02:00:00:00:00:09 dev a0 master;"
			    "bridge fdb add 02:00:00:00:00:07 dev vx0 dst 10.0.0.2"), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_FDB, false);
	assert_true(i >= 0);
	assert_int_equal(f->h.v[i].index, if_nametoindex("vx0"));
	assert_memory_equal(f->h.v[i].mac, mac, sizeof(mac));
	assert_string_equal(podnet_prefix_format_addr(&f->h.v[i].prefix, text), "10.0.0.2");
	assert_int_equal(sh("bridge fdb del 02:00:00:00:00:07 dev vx0"), 0);
	listen_now(f->mon, &f->h);
	assert_true(find(&f->h, PODNET_EVENT_FDB, true) >= 0);
}

static void ours(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	int i;

	pn_netns_put_lo_up(&f->ctx->batch, NULL);
	assert_int_equal(nl_batch_send(&f->ctx->rt, &f->ctx->batch, NULL, &err), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_ADDR, false);      /* 127.0.0.1, by the kernel for us */
	assert_true(i >= 0);
	assert_int_equal(test_run("ip", "link", "set", "lo", "down", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_LINK, false);
	assert_true(i >= 0);
	assert_false(f->h.v[i].ours);
	/* a request that the kernel tells of under the port id of who asked */
	struct rtmsg *rtm = nl_msg(&f->ctx->batch, RTM_NEWROUTE, NLM_F_CREATE, sizeof(*rtm), "r",
				   NULL);

	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 32;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_type = RTN_BLACKHOLE;
	rtm->rtm_protocol = 142;
	nl_put_u32(&f->ctx->batch, RTA_DST, 0x0100000a, "to");
	assert_int_equal(nl_batch_send(&f->ctx->rt, &f->ctx->batch, NULL, &err), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_ROUTE, false);
	assert_true(i >= 0);
	assert_true(f->h.v[i].ours);
	assert_int_equal(f->h.v[i].protocol, 142);
}

static void other_namespace(void **state)
{
	const struct podnet_netns blue = { .name = "blue" }, red = { .name = "red" };
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	int id, i;

	assert_int_equal(podnet_netns_ensure(f->ctx, &blue, &err), 1);
	assert_int_equal(podnet_netns_ensure(f->ctx, &red, &err), 1);
	listen_now(f->mon, &f->h);
	/* without an id in ours it is not heard */
	assert_int_equal(test_run("ip", "-n", "blue", "link", "set", "lo", "down", NULL), 0);
	listen_now(f->mon, &f->h);
	assert_int_equal(f->h.n, 0);
	id = test_ok(podnet_nsid(f->ctx, "blue", &err), &err);
	assert_int_equal(podnet_nsid(f->ctx, "blue", &err), id);
	assert_int_not_equal(test_ok(podnet_nsid(f->ctx, "red", &err), &err), id);
	assert_int_equal(test_run("ip", "-n", "blue", "link", "set", "lo", "up", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_LINK, false);
	assert_true(i >= 0);
	assert_int_equal(f->h.v[i].nsid, id);
	assert_false(f->h.v[i].ours);
	assert_int_equal(test_run("ip", "-n", "red", "link", "set", "lo", "down", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_LINK, false);
	assert_int_equal(f->h.v[i].nsid, podnet_nsid(f->ctx, "red", &err));
	assert_int_equal(podnet_nsid(f->ctx, "", &err), -EINVAL);
	assert_int_equal(podnet_nsid(f->ctx, "nothere", &err), -ENOENT);
}

/* our own namespace has an id in itself, from an earlier monitor or another program: still told as -1 */
static void own_id(void **state)
{
	struct fixture *f = *state;
	int i;

	podnet_monitor_close(f->mon);
	f->mon = NULL;
	assert_int_equal(test_run("sh", "-c", "mkdir -p /run/netns && touch /run/netns/self &&"
				  "mount --bind /proc/self/ns/net /run/netns/self &&"
				  "ip netns list-id | grep -q 'name: self'", NULL), 0);
	assert_int_equal(podnet_monitor_open(f->ctx, &f->mon, NULL), 0);
	assert_int_equal(test_run("ip", "link", "set", "lo", "up", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_LINK, false);
	assert_true(i >= 0);
	assert_int_equal(f->h.v[i].nsid, -1);
	assert_int_equal(podnet_nsid(f->ctx, "self", NULL), -EINVAL);
}

/* and nothing gives it one while somebody listens: events would carry it from then on */
static void own_id_later(void **state)
{
	struct fixture *f = *state;
	int i;

	assert_int_equal(test_run("sh", "-c", "mkdir -p /run/netns && touch /run/netns/self &&"
				  "mount --bind /proc/self/ns/net /run/netns/self &&"
				  "! ip netns set self 5 2>/dev/null && ip link set lo up", NULL), 0);
	listen_now(f->mon, &f->h);
	i = find(&f->h, PODNET_EVENT_LINK, false);
	assert_true(i >= 0);
	assert_int_equal(f->h.v[i].nsid, -1);
}

/* the monitor keeps the context's namespace, whatever its thread does */
static void bound(void **state)
{
	_cleanup_(podnet_closep) struct podnet *in = NULL;
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = NULL;
	const struct podnet_netns blue = { .name = "blue" };
	struct fixture *f = *state;

	assert_int_equal(podnet_netns_ensure(f->ctx, &blue, NULL), 1);
	assert_int_equal(podnet_open_in(&in, "blue", NULL, NULL), 0);
	assert_int_equal(podnet_monitor_open(in, &mon, NULL), 0);
	assert_int_equal(test_run("ip", "link", "set", "lo", "up", NULL), 0);
	listen_now(mon, &f->h);         /* what IPv6 does in blue, it may still do */
	assert_true(find(&f->h, PODNET_EVENT_LINK, false) < 0);
	assert_int_equal(test_run("ip", "-n", "blue", "link", "set", "lo", "down", NULL), 0);
	assert_true(readable(mon));
	listen_now(mon, &f->h);
	assert_true(find(&f->h, PODNET_EVENT_LINK, false) >= 0);
}

/* the sockets behind the descriptor, by what /proc says of the epoll descriptor */
static void shrink(const struct podnet_monitor *mon)
{
	char path[64], line[128];
	int fd, tiny = 1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", podnet_monitor_fd(mon));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "tfd: %d", &fd) == 1)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny));
	}
	fclose(f);
}

static void overrun(void **state)
{
	struct fixture *f = *state;

	shrink(f->mon);
	assert_int_equal(test_run("sh", "-c", "for i in $(seq 20); do ip link set lo up;"
				  "ip link set lo down; done", NULL), 0);
	listen_now(f->mon, &f->h);
	assert_true(find(&f->h, PODNET_EVENT_OVERRUN, false) >= 0);
	/* and it goes on */
	listen_now(f->mon, &f->h);
	assert_int_equal(f->h.n, 0);
	assert_int_equal(test_run("ip", "link", "set", "lo", "up", NULL), 0);
	assert_true(readable(f->mon));
	listen_now(f->mon, &f->h);
	assert_true(f->h.n > 0);
}

static const struct nft_case {
	const char *rules;
	bool our_table;
} nft_cases[] = {
	{ "add table inet podnet-lib; add set inet podnet-lib s { type ipv4_addr; }", true },
	{ "add element inet podnet-lib s { 10.0.0.2 }", true },
	{ "add table inet podnet",              false },
	{ "add table inet podnet-lib2",         false },
	{ "delete table inet podnet",           false },
	{ "flush ruleset",                      true },
};

static void nft_commits(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(nft_cases); i++) {
		assert_int_equal(test_run("nft", nft_cases[i].rules, NULL), 0);
		assert_true(readable(f->mon));
		listen_now(f->mon, &f->h);
		assert_int_equal(f->h.n, 1);    /* one commit, one event */
		assert_int_equal(f->h.v[0].type, PODNET_EVENT_NFT);
		assert_int_equal(f->h.v[0].table, nft_cases[i].our_table);
		assert_false(f->h.v[0].ours);
		assert_int_equal(f->h.v[0].nsid, -1);
	}
}

static void owner_netd(void **state)
{
	_cleanup_(podnet_closep) struct podnet *ctx = test_open("netd");
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = NULL;
	struct fixture *f = *state;

	assert_int_equal(podnet_monitor_open(ctx, &mon, NULL), 0);
	assert_int_equal(test_run("nft", "add table inet podnet", NULL), 0);
	listen_now(mon, &f->h);
	assert_int_equal(f->h.n, 1);
	assert_int_equal(f->h.v[0].table, 1);
	assert_int_equal(test_run("nft", "add table inet podnet-netd", NULL), 0);
	listen_now(mon, &f->h);
	assert_int_equal(f->h.v[0].table, 0);
}

static void own_ports(void **state)
{
	struct fixture *f = *state;

	assert_false(pn_context_owns(f->ctx, 0));
	assert_true(pn_context_owns(f->ctx, f->ctx->rt.portid));
	for (uint32_t i = 1; i <= PN_OWN_PORTIDS + 10; i++)
		pn_context_own_portid(f->ctx, 0x80000000u + i);
	assert_true(pn_context_owns(f->ctx, 0x80000000u + PN_OWN_PORTIDS + 10));
	assert_true(pn_context_owns(f->ctx, 0x80000000u + 11));
	assert_false(pn_context_owns(f->ctx, 0x80000000u + 10));        /* forgotten */
}

static void without_memory(void **state)
{
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = NULL;
	struct fixture *f = *state;

	allocfail_at(1);
	assert_int_equal(podnet_monitor_open(f->ctx, &mon, NULL), -ENOMEM);
	allocfail_at(0);
	assert_null(mon);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(kinds), ROW(members), ROW(qdiscs), ROW(forwarding), ROW(ours), ROW(other_namespace), ROW(own_id),
		ROW(own_id_later), ROW(bound), ROW(overrun), ROW(nft_commits), ROW(owner_netd), ROW(own_ports),
		ROW(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
