/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_state.c - committed and accepted versions, transactions that fail, tombstones, loading
 */
#include "state_world.h"

#include <netd/state/state.h>

#define NET    "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":\"Network\",\"metadata\":{\"name\":" \
	       "\"net\",\"uid\":\"uid-net\"},\"spec\":{\"type\":\"routed\",\"cidrs\":" \
	       "[\"10.9.0.0/24\"],\"blockSizes\":[26]}}"

#define ROUTE  "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":\"Route\",\"metadata\":{\"name\":\"r\"," \
	       "\"uid\":\"uid-r\"},\"spec\":{\"nodeName\":\"n\",\"destination\":\"%s\",\"interface\":" \
	       "\"eth0\"}}"

static unsigned tombstones(struct world *w)
{
	unsigned n = 0;

	state_each_tombstone(w->state, count, &n);
	return n;
}

static void readers_see_commits(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);

	put_pod(txn, "a", "", NULL);
	submit(w, txn);
	assert_null(committed(w, "a"));
	assert_non_null(accepted(w, "a"));
	txn = begin_txn(w);
	put_pod(txn, "a", ",\"x\":1", accepted(w, "a"));
	put_pod(txn, "b", "", NULL);
	submit(w, txn);
	settle(w);
	assert_string_equal(w->seen, "+a ~a +b ");
	assert_ptr_equal(committed(w, "a"), accepted(w, "a"));
	assert_ptr_equal(state_by_uid(w->state, "uid-a"), committed(w, "a"));
	assert_int_equal(committed(w, "a")->meta->generation, 2);
	assert_int_equal(state_revision(w->state), committed(w, "b")->rev);
	assert_int_equal(tombstones(w), 1);     /* the first spec of a may be in the kernel */
}

static void same_again_writes_nothing(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	uint64_t rev;

	put_pod(txn, "a", "", NULL);
	submit(w, txn);
	settle(w);
	rev = committed(w, "a")->rev;
	txn = begin_txn(w);
	{
		_cleanup_(doc_freep) struct doc *doc = object_doc(committed(w, "a"));
		struct object *obj;

		doc_set_str(doc, "metadata.resourceVersion", "7");
		assert_int_equal(txn_put(txn, &kinds[KIND_POD], doc, committed(w, "a"), &obj), 0);
		assert_ptr_equal(obj, committed(w, "a"));
	}
	w->waiting++;
	txn_submit(txn, false, answered, w);
	assert_int_equal(w->waiting, 0);        /* answered at once */
	assert_int_equal(committed(w, "a")->rev, rev);
	assert_string_equal(w->seen, "+a ");
}

static void dropped_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	struct podnet_prefix ip;
	struct object *net = put(txn, KIND_NETWORK, NET, NULL);

	assert_int_equal(txn_claim_ip(txn, net->network, AF_INET, NULL, "uid-a", &ip), 0);
	put_pod(txn, "a", "", NULL);
	assert_int_equal(ipam_used(state_ipam(w->state), "net"), 1);
	txn_drop(txn);
	assert_string_equal(w->dropped, "a net ");
	assert_null(accepted(w, "a"));
	assert_int_equal(ipam_used(state_ipam(w->state), "net"), 0);
	assert_int_equal(state_count(w->state, &kinds[KIND_POD]), 0);
}

static void foreign_done(struct store_batch *batch)
{
	struct world *w = batch->arg;

	assert_int_equal(batch->rc, 0);
	arena_fini(&batch->arena);
	w->waiting--;
	loop_stop(w->loop);
}

/* A claim that the store has and ipam does not know: the transaction that wants it fails. */
static void failure_falls_back(void **state)
{
	struct world *w = *state;
	struct store_op op = { .type = STORE_CLAIM, .kind = "ip", .ns = "", .name = "net/10.9.0.9",
			       .owner = "somebody" };
	struct store_batch foreign = { .ops = &op, .n = 1, .done = foreign_done, .arg = w };
	struct txn *txn = begin_txn(w);
	struct podnet_prefix want, ip;
	struct object *before;

	put(txn, KIND_NETWORK, NET, NULL);
	put_pod(txn, "a", "", NULL);
	submit(w, txn);
	settle(w);
	w->waiting++;
	store_submit(w->store, &foreign);
	settle(w);
	before = committed(w, "a");
	w->seen[0] = '\0';
	w->answers = 0;

	podnet_prefix_parse("10.9.0.9", &want);
	txn = begin_txn(w);
	assert_int_equal(txn_claim_ip(txn, state_get(w->state, &kinds[KIND_NETWORK], "", "net")
				      ->network, AF_INET, &want, "uid-b", &ip), 0);
	put_pod(txn, "b", "", NULL);
	submit(w, txn);
	txn = begin_txn(w);
	put_pod(txn, "a", ",\"x\":1", before);
	submit(w, txn);
	txn = begin_txn(w);
	assert_int_equal(txn_delete(txn, accepted(w, "b"), NULL), 0);
	submit(w, txn);
	assert_null(accepted(w, "b"));
	settle(w);

	assert_int_equal(w->answers, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(w->rc[i] < 0);
	assert_string_equal(w->seen, "");
	assert_string_equal(w->dropped, "a b ");
	assert_ptr_equal(accepted(w, "a"), before);
	assert_null(accepted(w, "b"));
	assert_int_equal(ipam_used(state_ipam(w->state), "net"), 0);
	assert_int_equal(tombstones(w), 0);

	txn = begin_txn(w);             /* and it goes on */
	put_pod(txn, "b", "", NULL);
	submit(w, txn);
	settle(w);
	assert_int_equal(w->rc[3], 0);
	assert_string_equal(w->seen, "+b ");
}

static void tombstones_until_torn_down(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	uint64_t rev;

	put_pod(txn, "a", "", NULL);
	submit(w, txn);
	settle(w);
	txn = begin_txn(w);
	put_pod(txn, "a", ",\"x\":1", accepted(w, "a"));
	submit(w, txn);
	settle(w);
	rev = committed(w, "a")->rev;
	txn = begin_txn(w);
	assert_int_equal(txn_delete(txn, accepted(w, "a"), NULL), 0);
	submit(w, txn);
	settle(w);
	assert_int_equal(tombstones(w), 2);
	assert_int_equal(store_revision(w->store), rev + 1);    /* a tombstone has none */
	assert_null(committed(w, "a"));
	close_world(w);
	open_world(w);
	assert_int_equal(tombstones(w), 2);     /* also after a restart */
	txn = begin_txn(w);
	assert_int_equal(txn_teardown_done(txn, "uid-a", rev - 1), 0);
	assert_int_equal(txn_teardown_done(txn, "uid-other", rev), 0);
	submit(w, txn);
	settle(w);
	assert_int_equal(tombstones(w), 1);
	txn = begin_txn(w);
	assert_int_equal(txn_teardown_done(txn, "uid-a", rev), 0);
	submit(w, txn);
	settle(w);
	assert_int_equal(tombstones(w), 0);
}

static void loads_what_was_there(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	struct object *net = put(txn, KIND_NETWORK, NET, NULL);
	struct podnet_prefix ip, block, again;
	const struct podnet_prefix *blocks;
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	uint64_t rev;

	put(txn, KIND_NODE, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\","
	    "\"uid\":\"uid-node\"}}", NULL);
	assert_int_equal(txn_claim_block(txn, net->network, AF_INET, &block), 0);
	assert_int_equal(txn_claim_block(txn, net->network, AF_INET, &again), 0);
	assert_memory_equal(&block, &again, sizeof(block));
	assert_int_equal(txn_claim_ip(txn, net->network, AF_INET, NULL, "uid-a", &ip), 0);
	put_pod(txn, "a", "", NULL);
	submit(w, txn);
	settle(w);
	bytes = bytes_ref(committed(w, "a")->bytes);
	rev = state_revision(w->state);
	close_world(w);
	open_world(w);
	assert_string_equal(committed(w, "a")->bytes->data, bytes->data);
	assert_true(state_revision(w->state) >= rev);
	assert_int_equal(ipam_used(state_ipam(w->state), "net"), 1);
	assert_int_equal(ipam_blocks(state_ipam(w->state), "net", &blocks), 1);
	assert_memory_equal(&blocks[0], &block, sizeof(block));
	txn = begin_txn(w);
	net = state_accepted(w->state, &kinds[KIND_NETWORK], "", "net");
	assert_int_equal(txn_claim_ip(txn, net->network, AF_INET, &ip, "uid-b", &again),
			 -EADDRINUSE);
	assert_int_equal(txn_claim_ip(txn, net->network, AF_INET, NULL, "uid-b", &again), 0);
	assert_memory_not_equal(&ip, &again, sizeof(ip));
	txn_drop(txn);
}

static void each_in_order(void **state)
{
	static const char *const names[] = { "m", "a", "z", "b" };
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_pod(txn, names[i], "", NULL);
	submit(w, txn);
	settle(w);
	state_each(w->state, &kinds[KIND_POD], "default", count, &n);
	assert_int_equal(n, 4);
	n = 0;
	state_each(w->state, &kinds[KIND_POD], "defaul", count, &n);
	state_each(w->state, &kinds[KIND_POD], "default2", count, &n);
	assert_int_equal(n, 0);
	assert_non_null(committed(w, "z"));
}

#define MANY 40

static int in_order(void *arg, struct object *obj)
{
	char *last = arg;

	assert_true(strcmp(last, obj->meta->name) < 0);
	snprintf(last, 16, "%s", obj->meta->name);
	return 0;
}

/* Wherever something changed last, beside it and far away: what is there is found, and nothing else. */
static void found_beside_the_last(void **state)
{
	struct world *w = *state;
	bool there[MANY] = { false };
	char name[16];
	uint32_t seed = 1;

	for (unsigned i = 0; i < 600; i++) {
		struct txn *txn = begin_txn(w);
		unsigned k;

		seed = seed * 1103515245 + 12345;
		/* in a row now and then, forwards and backwards */
		k = i % 100 < 40 ? i % 100 : i % 100 < 60 ? 60 - i % 100 : seed >> 16 & 31;
		snprintf(name, sizeof(name), "p%02u", k);
		if (there[k])
			assert_int_equal(txn_delete(txn, accepted(w, name), NULL), 0);
		else
			put_pod(txn, name, "", NULL);
		there[k] = !there[k];
		submit(w, txn);
		if (i % 7 == 0)
			settle(w);
		for (k = 0; k < MANY; k++) {
			snprintf(name, sizeof(name), "p%02u", k);
			assert_int_equal(accepted(w, name) != NULL, there[k]);
		}
	}
	settle(w);
	name[0] = '\0';
	state_each(w->state, &kinds[KIND_POD], NULL, in_order, name);
}

static void each_after(void **state)
{
	static const struct { const char *ns, *name; unsigned n; } cases[] = {
		{ "default", "a", 3 }, { "default", "aa", 3 }, { "default", "z", 0 },
		{ "default", "", 4 }, { "defaul", "z", 4 }, { "default2", "a", 0 },
	};
	static const char *const names[] = { "m", "a", "z", "b" };
	struct world *w = *state;
	struct txn *txn = begin_txn(w);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_pod(txn, names[i], "", NULL);
	submit(w, txn);
	settle(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned n = 0;

		state_each_after(w->state, &kinds[KIND_POD], NULL, cases[i].ns, cases[i].name,
				 count, &n);
		assert_int_equal(n, cases[i].n);
	}
}

static struct object *put_route(struct txn *txn, const char *to, struct object *old)
{
	char text[256];

	snprintf(text, sizeof(text), ROUTE, to);
	return put(txn, KIND_ROUTE, text, old);
}

static const struct object *same_route(struct world *w, const char *to)
{
	char identity[64];

	snprintf(identity, sizeof(identity), "n//254/0/%s", to);
	return state_same(w->state, &kinds[KIND_ROUTE], identity);
}

/* What is found by its identity is the version that the next write builds upon. */
static void found_by_identity(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	struct object *first = put_route(txn, "10.1.0.0/16", NULL), *last;

	assert_ptr_equal(same_route(w, "10.1.0.0/16"), first);
	assert_null(same_route(w, "10.2.0.0/16"));
	submit(w, txn);
	settle(w);
	txn = begin_txn(w);
	first = state_accepted(w->state, &kinds[KIND_ROUTE], "", "r");
	last = put_route(txn, "10.2.0.0/16", first);
	assert_null(same_route(w, "10.1.0.0/16"));
	assert_ptr_equal(same_route(w, "10.2.0.0/16"), last);
	txn_drop(txn);
	assert_ptr_equal(same_route(w, "10.1.0.0/16"), first);
	assert_null(same_route(w, "10.2.0.0/16"));
	close_world(w);
	open_world(w);
	assert_non_null(same_route(w, "10.1.0.0/16"));
	txn = begin_txn(w);
	assert_int_equal(txn_delete(txn, state_accepted(w->state, &kinds[KIND_ROUTE], "", "r"),
				    &last), 0);
	assert_null(same_route(w, "10.1.0.0/16"));
	submit(w, txn);
	settle(w);
	assert_null(same_route(w, "10.1.0.0/16"));
}

static void closed_begins_nothing(void **state)
{
	struct world *w = *state;
	struct txn *txn;

	state_close(w->state);
	assert_int_equal(txn_new(w->state, &txn), -ESHUTDOWN);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(void)
{
	const struct CMUnitTest rows[] = {
		ROW(readers_see_commits), ROW(same_again_writes_nothing),
		ROW(dropped_leaves_nothing), ROW(failure_falls_back),
		ROW(tombstones_until_torn_down), ROW(loads_what_was_there), ROW(each_in_order),
		ROW(found_beside_the_last),
		ROW(each_after), ROW(found_by_identity), ROW(closed_begins_nothing),
	};

	return cmocka_run_group_tests(rows, NULL, NULL);
}
