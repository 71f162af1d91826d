/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_slots.c - which endpoint has which slot: weights, changes that cost little, Maglev
 */
#include <libpodnet/nft/services.h>
#include <netinet/in.h>
#include <tests/lib/testlib.h>

static struct podnet_endpoint endpoint(uint8_t last, uint16_t weight)
{
	return (struct podnet_endpoint){ .ip = { AF_INET, 32, { 10, 244, 0, last } }, .port = 80,
					 .weight = weight, .local = last & 1 };
}

static struct svc_dests dests(const struct podnet_endpoint *v, size_t n, uint32_t flags)
{
	const struct podnet_frontend f = { .flags = flags, .endpoints = v, .nendpoints = n };
	struct svc_dests ret = { 0 };

	assert_int_equal(svc_dests_of(&f, false, &ret), 0);
	return ret;
}

static size_t count(const struct svc_dests *d, uint8_t last)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->v[i].addr[3] == last;
	return n;
}

static const struct weights_case {
	uint16_t weights[3];
	size_t slots[3];
} weights_cases[] = {
	{ { 1, 1, 1 }, { 1, 1, 1 } },
	{ { 0, 0, 0 }, { 1, 1, 1 } },
	{ { 2, 4, 6 }, { 1, 2, 3 } },
	{ { 3, 1, 1 }, { 3, 1, 1 } },
	{ { 256, 128, 128 }, { 2, 1, 1 } },
};

static void weights(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(weights_cases); i++) {
		const struct weights_case *c = &weights_cases[i];
		struct podnet_endpoint v[3];
		struct svc_dests d;

		for (uint8_t k = 0; k < 3; k++)
			v[k] = endpoint(k, c->weights[k]);
		d = dests(v, 3, 0);
		for (uint8_t k = 0; k < 3; k++)
			assert_int_equal(count(&d, k), c->slots[k]);
		free(d.v);
	}
}

/* What changes between two lists of slots: each is an element of a map. */
static size_t changes(const struct svc_dests *a, const struct svc_dests *b)
{
	size_t most = a->n > b->n ? a->n : b->n, n = 0;

	for (size_t i = 0; i < most; i++)
		n += i >= a->n || i >= b->n || svc_dest_cmp(&a->v[i], &b->v[i]) != 0;
	return n;
}

static void few_changes(void **state)
{
	struct podnet_endpoint v[50];
	struct svc_dests old, want, kept = { 0 }, again = { 0 };

	(void)state;
	for (uint8_t i = 0; i < 50; i++)
		v[i] = endpoint(i, 0);
	old = dests(v, 49, 0);
	want = dests(v, 50, 0);
	assert_int_equal(svc_slots(&old, &want, &kept), 0);
	assert_int_equal(kept.n, 50);
	assert_int_equal(changes(&old, &kept), 1);
	free(want.v);
	v[7] = v[49];                   /* one in the middle goes */
	want = dests(v, 49, 0);
	assert_int_equal(svc_slots(&kept, &want, &again), 0);
	assert_int_equal(again.n, 49);
	assert_int_equal(count(&again, 7), 0);
	assert_int_equal(changes(&kept, &again), 2);
	free(old.v);
	free(want.v);
	free(kept.v);
	free(again.v);
}

static void maglev(void **state)
{
	static uint16_t before[PODNET_MAGLEV_SLOTS], after[PODNET_MAGLEV_SLOTS];
	struct podnet_endpoint v[100];
	struct svc_dests all, fewer;
	size_t moved = 0, share[100] = { 0 };

	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		v[i] = endpoint(i, 5);
	all = dests(v, 100, PODNET_FRONTEND_MAGLEV);
	fewer = dests(v, 99, PODNET_FRONTEND_MAGLEV);
	assert_int_equal(all.n, 100);           /* weights do not count */
	assert_int_equal(svc_maglev(&all, before), 0);
	assert_int_equal(svc_maglev(&fewer, after), 0);
	for (size_t i = 0; i < PODNET_MAGLEV_SLOTS; i++) {
		share[before[i]]++;
		moved += before[i] != 99 && before[i] != after[i];
	}
	for (size_t i = 0; i < 100; i++)
		assert_in_range(share[i], PODNET_MAGLEV_SLOTS / 100, PODNET_MAGLEV_SLOTS / 100 + 1);
	assert_true(moved * 100 <= 2 * (size_t)PODNET_MAGLEV_SLOTS);
	free(all.v);
	free(fewer.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights), cmocka_unit_test(few_changes), cmocka_unit_test(maglev),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
