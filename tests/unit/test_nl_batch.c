/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_nl_batch.c - building batches: bytes, limits, stickiness, field offsets
 *
 * Room: unit tests; the batches are never sent, but for what a closed socket answers.
 */
#include "lib/testlib.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/nl/nl.h>
#include <linux/rtnetlink.h>

static int setup(void **state)
{
	struct nl_batch *b = calloc(1, sizeof(*b));

	*state = b;
	return b ? nl_batch_init(b) : -1;
}

static int teardown(void **state)
{
	nl_batch_fini(*state);
	free(*state);
	return 0;
}

static void builds(void **state)
{
	struct nl_batch *b = *state;
	struct ifinfomsg *ifi = nl_msg(b, RTM_NEWLINK, NLM_F_CREATE, sizeof(*ifi), "make", b);
	const struct nlmsghdr *nlh = (const void *)b->buf;
	struct nlattr *nest;
	const struct nlattr *a;
	int n = 0;

	ifi->ifi_index = 7;
	nl_put_str(b, IFLA_IFNAME, "eth0", "name");
	nl_put_u32(b, IFLA_MTU, 1400, "mtu");
	nest = nl_nest(b, IFLA_LINKINFO);
	nl_put_u8(b, 1, 9, "inner");
	nl_put_u16(b, 2, 10, NULL);
	nl_put_u64(b, 3, 11, NULL);
	nl_nest_end(b, nest);
	assert_int_equal(b->sticky, 0);
	assert_int_equal(b->n, 1);
	assert_int_equal(nlh->nlmsg_len, b->len);
	assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
	assert_int_equal(((const struct ifinfomsg *)NLMSG_DATA(nlh))->ifi_index, 7);
	mnl_attr_for_each(a, nlh, sizeof(*ifi)) {
		n++;
		if (mnl_attr_get_type(a) == IFLA_MTU)
			assert_int_equal(mnl_attr_get_u32(a), 1400);
		if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			assert_int_equal(a->nla_len, 4 + 8 + 8 + 12);
	}
	assert_int_equal(n, 3);
	/* each field remembers where its attribute starts, counted from the header */
	assert_int_equal(b->ops[0].nfields, 3);
	assert_int_equal(b->ops[0].fields[0].off, 32);
	assert_int_equal(b->ops[0].fields[1].off, 32 + 12);
	assert_string_equal(b->ops[0].fields[1].field, "mtu");
	assert_int_equal(b->ops[0].fields[2].off, 32 + 12 + 8 + 4);
	assert_ptr_equal(b->ops[0].tag, b);
}

static void second_request(void **state)
{
	struct nl_batch *b = *state;

	nl_msg(b, RTM_NEWADDR, 0, sizeof(struct ifaddrmsg), "one", NULL);
	nl_put(b, 1, "abc", 3, NULL);
	nl_msg(b, RTM_NEWADDR, 0, sizeof(struct ifaddrmsg), "two", NULL);
	assert_int_equal(b->n, 2);
	assert_int_equal(b->ops[1].at, 24 + 8);
	assert_int_equal(((struct nlmsghdr *)b->buf)->nlmsg_len, 32);
	assert_memory_equal(nl_reserve(b, 16), "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(((struct nlmsghdr *)(b->buf + 32))->nlmsg_len, 24 + 16);
}

static void too_many(void **state)
{
	struct nl_batch *b = *state;
	struct nl nl = { .fd = -1 };
	struct podnet_error err = { 0 };
	const void *failed = b;
	struct rtmsg *rtm;

	for (int i = 0; i < NL_BATCH_MAX; i++) {
		assert_true(nl_batch_room(b));
		nl_msg(b, RTM_NEWROUTE, 0, sizeof(*rtm), "route", NULL);
	}
	assert_false(nl_batch_room(b));
	assert_int_equal(b->sticky, 0);
	rtm = nl_msg(b, RTM_NEWROUTE, 0, sizeof(*rtm), "one more", NULL);
	rtm->rtm_table = 1;                     /* builders write without asking */
	nl_put_u32(b, 1, 1, "x");
	nl_nest_end(b, nl_nest(b, 2));
	assert_int_equal(b->sticky, -EMSGSIZE);
	assert_int_equal(b->n, NL_BATCH_MAX);
	assert_int_equal(nl_batch_send(&nl, b, &failed, &err), -EMSGSIZE);
	assert_string_equal(err.step, "batch_build");
	assert_null(failed);
	/* and it can be used again */
	assert_int_equal(b->sticky, 0);
	assert_int_equal(b->n, 0);
	nl_msg(b, RTM_NEWROUTE, 0, sizeof(*rtm), "route", NULL);
	assert_int_equal(b->n, 1);
}

static void too_long(void **state)
{
	static const uint8_t big[4000];
	struct nl_batch *b = *state;

	nl_msg(b, RTM_NEWROUTE, 0, sizeof(struct rtmsg), "route", NULL);
	for (int i = 0; i < 16; i++)
		nl_put(b, 1, big, sizeof(big), NULL);
	assert_int_equal(b->sticky, 0);
	assert_false(nl_batch_room(b));
	for (int i = 0; i < 16; i++)
		nl_put(b, 1, big, sizeof(big), NULL);
	assert_int_equal(b->sticky, -EMSGSIZE);
	assert_true(b->len <= NL_BATCH_BYTES);
}

static void one_attribute_too_long(void **state)
{
	static const uint8_t big[5000];
	struct nl_batch *b = *state;

	nl_msg(b, RTM_NEWROUTE, 0, sizeof(struct rtmsg), "route", NULL);
	nl_put(b, 1, big, sizeof(big), NULL);
	assert_int_equal(b->sticky, -EMSGSIZE);
}

static void many_fields(void **state)
{
	struct nl_batch *b = *state;

	nl_msg(b, RTM_NEWROUTE, 0, sizeof(struct rtmsg), "route", NULL);
	for (int i = 0; i < 20; i++)
		nl_put_u32(b, 1, 1, "field");
	assert_int_equal(b->ops[0].nfields, ARRAY_SIZE(b->ops[0].fields));
	assert_int_equal(b->sticky, 0);
}

static void closed_socket(void **state)
{
	struct nl_batch *b = *state;
	struct podnet_error err = { 0 };
	struct nl nl = { .fd = -1 };

	assert_int_equal(nl_batch_send(&nl, b, NULL, &err), 0);     /* nothing to send */
	nl_msg(b, RTM_NEWROUTE, 0, sizeof(struct rtmsg), "route", NULL);
	assert_int_equal(nl_batch_send(&nl, b, NULL, &err), -EBADF);
	assert_string_equal(err.step, "batch_send");
	assert_true(b->ops[0].rc < 0);          /* never taken for done */
}

static void no_memory(void **state)
{
	struct nl_batch b;

	(void)state;
	allocfail_at(1);
	assert_int_equal(nl_batch_init(&b), -ENOMEM);
	nl_batch_fini(&b);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(builds), ROW(second_request), ROW(too_many), ROW(too_long),
		ROW(one_attribute_too_long), ROW(many_fields), ROW(closed_socket),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
