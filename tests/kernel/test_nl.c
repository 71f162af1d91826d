/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_nl.c - netlink against the kernel: acks, refusals with their text, full batches, dumps
 *
 * Room: kernel tests, each row in a namespace of its own.
 */
#include "lib/testlib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libpodnet/nl/nl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/stat.h>

#define LO 1

struct fixture {
	struct nl nl;
	struct nl_batch b;
};

static int setup(void **state)
{
	struct fixture *f;

	if (netns_setup(state) < 0)
		return -1;
	f = calloc(1, sizeof(*f));
	*state = f;
	return f && nl_open(&f->nl, NETLINK_ROUTE) == 0 ? nl_batch_init(&f->b) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nl_close(&f->nl);
	nl_batch_fini(&f->b);
	free(f);
	return 0;
}

static void put_lo_up(struct nl_batch *b)
{
	struct ifinfomsg *ifi = nl_msg(b, RTM_NEWLINK, 0, sizeof(*ifi), "lo_up", "lo");

	ifi->ifi_index = LO;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
}

static void put_addr(struct nl_batch *b, uint32_t index, uint32_t host, const char *tag)
{
	struct ifaddrmsg *ifa = nl_msg(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa),
				       "addr_add", tag);
	uint32_t addr = htonl(host);

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 32;
	ifa->ifa_index = index;
	nl_put_u32(b, IFA_LOCAL, addr, "prefix");
}

static void put_dummy(struct nl_batch *b, const char *kind, uint32_t mtu)
{
	struct ifinfomsg *ifi = nl_msg(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi),
				       "link_add", kind);
	struct nlattr *info;

	(void)ifi;
	nl_put_str(b, IFLA_IFNAME, "x0", "name");
	if (mtu)
		nl_put_u32(b, IFLA_MTU, mtu, "mtu");
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, kind, "kind");
	nl_nest_end(b, info);
}

static void acks(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { .code = 77 };

	put_lo_up(&f->b);
	put_addr(&f->b, LO, 0x0a000001, "a");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, &err), 0);
	assert_int_equal(err.code, 77);         /* success writes nothing */
	assert_int_equal(f->b.ops[0].rc, 0);
	assert_int_equal(f->b.ops[1].rc, 0);
}

static void refusal(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	const void *failed = NULL;

	put_addr(&f->b, LO, 0x0a000001, "first");
	put_addr(&f->b, LO, 0x0a000001, "again");
	put_addr(&f->b, 4711, 0x0a000002, "nowhere");
	put_addr(&f->b, LO, 0x0a000003, "last");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, &failed, &err), -EEXIST);
	assert_string_equal(failed, "again");   /* the first refusal, the rest ran */
	assert_string_equal(err.step, "addr_add");
	assert_int_equal(f->b.ops[0].rc, 0);
	assert_int_equal(f->b.ops[1].rc, -EEXIST);
	assert_int_equal(f->b.ops[2].rc, -ENODEV);
	assert_int_equal(f->b.ops[3].rc, 0);
}

static bool exists_is_fine(const struct nl_op *op, int rc)
{
	(void)op;
	return rc == -EEXIST;
}

static void tolerated(void **state)
{
	struct fixture *f = *state;
	const void *failed = f;

	f->b.tolerate = exists_is_fine;
	put_addr(&f->b, LO, 0x0a000001, "first");
	put_addr(&f->b, LO, 0x0a000001, "again");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, &failed, NULL), 0);
	assert_null(failed);
	assert_int_equal(f->b.ops[1].rc, -EEXIST);
}

/* the kernel's words, and the offset in its extended ack as the name of the member */
static void text_and_field(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	struct rtmsg *rtm;

	put_lo_up(&f->b);
	rtm = nl_msg(&f->b, RTM_NEWROUTE, NLM_F_CREATE, sizeof(*rtm), "route_add", NULL);
	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 40;
	rtm->rtm_table = RT_TABLE_MAIN;
	nl_put_u32(&f->b, RTA_DST, 0, "to");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, &err), -EINVAL);
	assert_string_equal(err.step, "route_add");
	assert_true(err.kernel[0] != '\0');

	/* a name that is too long: the kernel points at the attribute */
	nl_msg(&f->b, RTM_NEWLINK, NLM_F_CREATE, sizeof(struct ifinfomsg), "link_add", NULL);
	nl_put_u32(&f->b, IFLA_MTU, 1400, "mtu");
	nl_put_str(&f->b, IFLA_IFNAME, "a-name-that-is-far-too-long", "name");
	assert_true(nl_batch_send(&f->nl, &f->b, NULL, &err) < 0);
	assert_string_equal(err.field, "name");
	assert_true(err.kernel[0] != '\0');

	/* inside a nest */
	put_dummy(&f->b, "nosuchkind", 0);
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, &err), -EOPNOTSUPP);
	assert_string_equal(err.step, "link_add");
}

static void full_batches(void **state)
{
	struct fixture *f = *state;

	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < NL_BATCH_MAX; i++)
			put_addr(&f->b, LO, 0x0a000000 + round * NL_BATCH_MAX + i, "x");
		assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, NULL), 0);
		for (uint32_t i = 0; i < NL_BATCH_MAX; i++)
			assert_int_equal(f->b.ops[i].rc, 0);
	}
}

/* all refused, each with text: the longest acks */
static void full_batch_refused(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };

	for (uint32_t i = 0; i < NL_BATCH_MAX; i++)
		put_dummy(&f->b, "nosuchkind", 0);
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, &err), -EOPNOTSUPP);
	for (uint32_t i = 0; i < NL_BATCH_MAX; i++)
		assert_int_equal(f->b.ops[i].rc, -EOPNOTSUPP);
}

/* acks that nobody has read belong to an earlier batch and must not count for this one */
static void late_acks(void **state)
{
	struct fixture *f = *state;

	put_addr(&f->b, 4711, 0x0a000001, "early");
	((struct nlmsghdr *)f->b.buf)->nlmsg_seq = f->nl.seq++;
	assert_int_equal(send(f->nl.fd, f->b.buf, f->b.len, 0), f->b.len);
	f->b.len = f->b.n = 0;
	put_addr(&f->b, LO, 0x0a000001, "now");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, NULL), 0);
}

/* refusals lost by a receive buffer that is too small: an error, never a success */
static void lost_acks(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	int tiny = 1;

	setsockopt(f->nl.fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny));
	for (uint32_t i = 0; i < NL_BATCH_MAX; i++)
		put_addr(&f->b, i + 1 < NL_BATCH_MAX ? 4711 : LO, 0x0a000001 + i, "x");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, &err), -ENOBUFS);
	assert_string_equal(err.step, "batch_acks");
	assert_int_not_equal(f->b.ops[NL_BATCH_MAX - 1].rc, 0);
}

struct counting {
	int n, stop_at, resets;
};

static int count(const struct nlmsghdr *nlh, void *arg)
{
	struct counting *c = arg;

	if (nlh->nlmsg_type == RTM_NEWADDR || nlh->nlmsg_type == RTM_NEWLINK)
		c->n++;
	return c->stop_at && c->n == c->stop_at ? 42 : 0;
}

static void forget(void *arg)
{
	struct counting *c = arg;

	c->n = 0;
	c->resets++;
}

struct ask {
	struct nlmsghdr nlh;
	union { struct ifaddrmsg ifa; struct ifinfomsg ifi; } u;
};

static void addr_dump(struct ask *ask)
{
	memset(ask, 0, sizeof(*ask));
	ask->nlh.nlmsg_len = NLMSG_LENGTH(sizeof(ask->u.ifa));
	ask->nlh.nlmsg_type = RTM_GETADDR;
	ask->u.ifa.ifa_family = AF_INET;
}

static void dump(void **state)
{
	struct fixture *f = *state;
	struct counting c = { 0 };
	struct podnet_error err = { 0 };
	struct ask ask;

	full_batches(state);
	addr_dump(&ask);
	test_ok(nl_dump(&f->nl, &ask.nlh, count, forget, &c, &err), &err);
	assert_int_equal(c.n, 20 * NL_BATCH_MAX);
	assert_int_equal(c.resets, 0);
	/* given up in the middle, the socket is free for the next one */
	c = (struct counting){ .stop_at = 3 };
	assert_int_equal(nl_dump(&f->nl, &ask.nlh, count, forget, &c, &err), 42);
	assert_int_equal(c.n, 3);
	c = (struct counting){ 0 };
	assert_int_equal(nl_dump(&f->nl, &ask.nlh, count, forget, &c, &err), 0);
	assert_int_equal(c.n, 20 * NL_BATCH_MAX);
}

struct meddling {
	struct counting c;
	struct nl nl;
	struct nl_batch b;
	int times;                  /* how often to change what is being dumped */
	uint32_t next;
};

/* changes the addresses while they are dumped, so that the kernel marks it as interrupted */
static int meddle(const struct nlmsghdr *nlh, void *arg)
{
	struct meddling *m = arg;

	if (m->times > 0 && m->c.n == 1) {
		m->times--;
		put_addr(&m->b, LO, m->next++, "meddle");
		assert_int_equal(nl_batch_send(&m->nl, &m->b, NULL, NULL), 0);
	}
	return count(nlh, &m->c);
}

static void forget_meddling(void *arg)
{
	struct meddling *m = arg;

	forget(&m->c);
}

static void interrupted_dump(void **state)
{
	static struct meddling m;       /* large, and zeroed anew below */
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	struct ask ask;

	memset(&m, 0, sizeof(m));
	full_batches(state);
	assert_int_equal(nl_open(&m.nl, NETLINK_ROUTE), 0);
	assert_int_equal(nl_batch_init(&m.b), 0);
	m.next = 0x0b000000;
	m.times = 2;
	addr_dump(&ask);
	test_ok(nl_dump(&f->nl, &ask.nlh, meddle, forget_meddling, &m, &err), &err);
	assert_int_equal(m.c.resets, 2);
	assert_int_equal(m.c.n, 20 * NL_BATCH_MAX + 2);
	/* without end: given up after a bounded number of repeats */
	m.times = 1000;
	m.c = (struct counting){ 0 };
	assert_int_equal(nl_dump(&f->nl, &ask.nlh, meddle, forget_meddling, &m, &err), -EAGAIN);
	assert_int_equal(m.c.resets, 8);
	nl_close(&m.nl);
	nl_batch_fini(&m.b);
}

static void refused_dump(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	struct counting c = { 0 };
	struct ask ask;

	/* strict checking is on: a dump of addresses may not carry a prefix length */
	addr_dump(&ask);
	ask.u.ifa.ifa_prefixlen = 24;
	assert_int_equal(nl_dump(&f->nl, &ask.nlh, count, forget, &c, &err), -EINVAL);
	assert_int_equal(c.n, 0);
	assert_true(err.kernel[0] != '\0');
	/* an index that is not there: refused at once or at the end, but refused */
	addr_dump(&ask);
	ask.u.ifa.ifa_index = 4711;
	assert_int_equal(nl_dump(&f->nl, &ask.nlh, count, forget, &c, &err), -ENODEV);
}

static void get(void **state)
{
	struct fixture *f = *state;
	struct podnet_error err = { 0 };
	struct counting c = { 0 };
	struct ask ask = {
		.nlh = { .nlmsg_len = NLMSG_LENGTH(sizeof(ask.u.ifi)), .nlmsg_type = RTM_GETLINK },
		.u.ifi.ifi_index = LO,
	};

	assert_int_equal(nl_get(&f->nl, &ask.nlh, count, &c, &err), 0);
	assert_int_equal(c.n, 1);
	ask.u.ifi.ifi_index = 4711;
	assert_int_equal(nl_get(&f->nl, &ask.nlh, count, &c, &err), -ENODEV);
	assert_int_equal(c.n, 1);
	ask.u.ifi.ifi_index = LO;
	c = (struct counting){ .stop_at = 1 };
	assert_int_equal(nl_get(&f->nl, &ask.nlh, count, &c, &err), 42);
}

static void open_elsewhere(void **state)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct fixture *f = *state;
	struct nl there = { .fd = -1 };
	struct stat before, after;

	assert_int_equal(netns_setup(state), 0);
	*state = f;
	assert_int_equal(stat("/proc/self/ns/net", &before), 0);
	assert_int_equal(nl_open_at(&there, NETLINK_ROUTE, here), 0);
	assert_int_equal(stat("/proc/self/ns/net", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);      /* this thread went nowhere */
	put_addr(&f->b, LO, 0x0a000001, "there");
	assert_int_equal(nl_batch_send(&there, &f->b, NULL, NULL), 0);
	put_addr(&f->b, LO, 0x0a000001, "where it is already");
	assert_int_equal(nl_batch_send(&f->nl, &f->b, NULL, NULL), -EEXIST);
	nl_close(&there);
	close(here);
	assert_int_equal(nl_open_at(&there, NETLINK_ROUTE, here), -EBADF);
	assert_int_equal(nl_open_at(&there, NETLINK_ROUTE, -1), -EBADF);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(acks), ROW(refusal), ROW(tolerated), ROW(text_and_field), ROW(full_batches),
		ROW(full_batch_refused), ROW(late_acks), ROW(lost_acks), ROW(dump),
		ROW(interrupted_dump), ROW(refused_dump), ROW(get), ROW(open_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
