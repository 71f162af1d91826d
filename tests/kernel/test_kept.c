/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kept.c - what one handle of the services leaves to the next: when it spares reading, and
 * that whatever happened in between is found all the same
 *
 * nft(8) is who else commits.  Whether elements were read is told to the context's debug callback.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <tests/lib/testlib.h>

#define ADD " add element inet podnet cluster-ips4 '{ 192.0.2.1 }'"
#define LIST "nft list table inet podnet"

struct handle {
	struct podnet *ctx;
	struct podnet_services *s;
	bool spared;                /* no element was read */
};

static void on_debug(void *arg, const char *line)
{
	bool *spared = arg;

	*spared |= strncmp(line, "services kept ", 14) == 0;
}

static void open_handle(struct handle *h)
{
	struct podnet_options opts = { .size = sizeof(opts), .owner = "netd", .debug = on_debug,
				       .debug_arg = &h->spared };
	struct podnet_error err = { 0 };

	*h = (struct handle){ 0 };
	test_ok(podnet_open(&h->ctx, &opts, &err), &err);
	test_ok(podnet_services_new(h->ctx, &h->s, &err), &err);
}

static void close_handle(struct handle *h)
{
	podnet_services_free(h->s);
	podnet_close(h->ctx);
}

/* "abc": as many endpoints of a frontend at @ip; NULL: no such frontend. */
static void declare(struct handle *h, const char *ip, const char *endpoints, uint32_t sticky_s)
{
	struct podnet_frontend f = { .ip = prefix(ip), .protocol = IPPROTO_TCP, .port = 80,
				     .flags = PODNET_FRONTEND_CLUSTER_IP, .sticky_s = sticky_s };
	struct podnet_endpoint v[8];
	struct podnet_error err = { 0 };
	char text[32];

	for (const char *c = endpoints; c && *c; c++) {
		snprintf(text, sizeof(text), "10.244.0.%d", *c - 'a' + 1);
		v[f.nendpoints++] = (struct podnet_endpoint){ .ip = prefix(text), .port = 8080, .local = 1 };
	}
	f.endpoints = v;
	test_ok(endpoints ? podnet_services_set(h->s, &f, &err) :
			    podnet_services_absent(h->s, &f, &err), &err);
}

static void declare_all(struct handle *h, const char *node_ip)
{
	const struct podnet_prefix inside = prefix("10.244.0.0/16"), services = prefix("10.96.0.0/16");
	const struct podnet_prefix ip = prefix(node_ip);
	const struct podnet_service_nets nets = { &inside, 1, &inside, 1, &services, 1, &ip, 1 };
	struct podnet_error err = { 0 };

	test_ok(podnet_services_nets(h->s, &nets, &err), &err);
	declare(h, "10.96.0.1", "abc", 0);
	declare(h, "10.96.0.2", "ab", 0);
	declare(h, "10.96.0.3", "", 0);
	declare(h, "10.96.0.4", "ab", 60);
}

static int commit(struct handle *h)
{
	struct podnet_error err = { 0 };

	return test_ok(podnet_services_commit(h->s, &err), &err);
}

/** In between, and what is declared then. */
static const struct row {
	const char *says, *command;
	const char *node_ip;        /* NULL: the same */
	const char *first;          /* endpoints of the first frontend; NULL: the same */
	bool cut, turned;           /* what is handed over: without its end; a byte of it another one */
	bool spared;
	int changes;                /* -1: some */
} rows[] = {
	{ "nothing", NULL, NULL, NULL, false, false, true, 0 },
	{ "nothing, and nft only looked", LIST " >/dev/null", NULL, NULL, false, false, true, 0 },
	{ "another table is made", "nft add table inet other", NULL, NULL, false, false, false, 0 },
	{ "an element is added", "nft" ADD, NULL, NULL, false, false, false, 1 },
	{ "an element is added and deleted", "nft" ADD " && nft delete element inet podnet cluster-ips4 '{ 192.0.2.1 }'",
	  NULL, NULL, false, false, false, 0 },
	{ "a map is flushed", "nft flush map inet podnet tcp-backends4", NULL, NULL, false, false, false, -1 },
	{ "a rule is added", "nft insert rule inet podnet services accept", NULL, NULL, false, false, false, -1 },
	{ "all is flushed", "nft flush ruleset", NULL, NULL, false, false, false, -1 },
	{ "all is flushed, and loaded by nft", LIST " >/run/t && nft flush ruleset && nft -f /run/t", NULL, NULL,
	  false, false, false, 0 },
	{ "an endpoint went", NULL, NULL, "ab", false, false, false, -1 },
	{ "an endpoint is another one", NULL, NULL, "abd", false, false, false, -1 },
	{ "an endpoint came", NULL, NULL, "abcd", false, false, false, -1 },
	{ "the node has another address", NULL, "10.0.0.11", NULL, false, false, false, 2 },
	{ "it is cut off", NULL, NULL, NULL, true, false, false, 0 },
	{ "it is another's", NULL, NULL, NULL, false, true, false, 0 },
};

/* The endpoints of the first frontend came in another order than that of their addresses. */
static void leave(struct handle *h, void **data, size_t *len)
{
	struct podnet_error err = { 0 };

	declare_all(h, "10.0.0.10");
	declare(h, "10.96.0.1", "bc", 0);
	assert_true(commit(h) > 0);
	declare(h, "10.96.0.1", "abc", 0);
	declare(h, "10.96.0.9", "ab", 0);
	assert_true(commit(h) > 0);
	declare(h, "10.96.0.9", NULL, 0);
	assert_int_equal(podnet_services_keep(h->s, data, len, &err), -EAGAIN);
	assert_true(commit(h) > 0);
	assert_int_equal(sh(LIST " | sort >/run/before"), 0);
	for (int i = 0; i < 2; i++) {           /* it changes nothing */
		free(*data);
		test_ok(podnet_services_keep(h->s, data, len, &err), &err);
	}
	assert_int_equal(sh(LIST " | sort | diff /run/before - >&2"), 0);
}

static void between(void **state)
{
	const struct row *row = *state;
	_cleanup_free_ void *data = NULL;
	struct podnet_error err = { 0 };
	struct handle was, is;
	size_t len;
	int n;

	open_handle(&was);
	leave(&was, &data, &len);
	close_handle(&was);
	if (row->command)
		assert_int_equal(sh(row->command), 0);
	open_handle(&is);
	((uint8_t *)data)[30] ^= row->turned;
	assert_int_equal(podnet_services_kept(is.s, data, len - row->cut, &err), row->cut ? -EINVAL : 0);
	declare_all(&is, row->node_ip ? row->node_ip : "10.0.0.10");
	if (row->first)
		declare(&is, "10.96.0.1", row->first, 0);
	n = commit(&is);
	assert_true(row->changes < 0 ? n > 0 : n == row->changes);
	assert_int_equal(is.spared, row->spared);
	if (row->changes >= 0 && !row->node_ip)       /* slots of what was made anew are others */
		assert_int_equal(sh(LIST " | sort | diff /run/before - >&2"), 0);
	podnet_services_doubt(is.s);
	assert_int_equal(commit(&is), 0);
	/* and goes on from there */
	declare(&is, "10.96.0.1", "cd", 0);
	assert_true(commit(&is) > 0);
	podnet_services_doubt(is.s);
	assert_int_equal(commit(&is), 0);
	close_handle(&is);
}

/* The same was done in another namespace, which has the same generation then. */
static void elsewhere(void **state)
{
	_cleanup_free_ void *data = NULL, *other = NULL;
	struct podnet_error err = { 0 };
	struct handle was, is;
	size_t len, other_len;

	(void)state;
	open_handle(&was);
	leave(&was, &data, &len);
	close_handle(&was);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	open_handle(&was);
	leave(&was, &other, &other_len);
	close_handle(&was);
	assert_int_equal(sh("nft flush map inet podnet tcp-backends4"), 0);
	for (int i = 0; i < 2; i++) {
		open_handle(&is);
		test_ok(podnet_services_kept(is.s, i ? other : data, len, &err), &err);
		declare_all(&is, "10.0.0.10");
		assert_int_equal(commit(&is) > 0, i == 0);
		assert_false(is.spared);
		close_handle(&is);
	}
}

/* Nothing is left of what is not in the kernel, or may not be. */
static void not_left(void **state)
{
	struct podnet_error err = { 0 };
	struct handle h;
	void *data = NULL;
	size_t len;

	(void)state;
	open_handle(&h);
	assert_int_equal(podnet_services_keep(h.s, &data, &len, &err), -EAGAIN);
	declare_all(&h, "10.0.0.10");
	commit(&h);
	podnet_services_doubt(h.s);
	assert_int_equal(podnet_services_keep(h.s, &data, &len, &err), -EAGAIN);
	commit(&h);
	assert_int_equal(sh("nft delete table inet podnet"), 0);
	assert_true(podnet_services_keep(h.s, &data, &len, &err) < 0);
	assert_null(data);
	assert_int_not_equal(sh(LIST " 2>/dev/null"), 0);
	close_handle(&h);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 2] = {
		cmocka_unit_test_setup(elsewhere, netns_setup),
		cmocka_unit_test_setup(not_left, netns_setup),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i + 2] = (struct CMUnitTest){ rows[i].says, between, netns_setup, NULL,
						    (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
