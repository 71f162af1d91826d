/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_netd_kernel.c - the kernel thread of netd: tasks, drift, sweep, purge, the node's facts
 *
 * The thread is driven as the reconciler does it, on a real kernel, a namespace per row.
 */
#include <errno.h>
#include <netd/kernel/kernel.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <tests/lib/testlib.h>

#define LATEST_MS 20000

struct rig {
	struct loop *loop;
	struct kernel *kernel;
	struct loop_timer *timer;
	struct kernel_task *done;
	struct kernel_facts facts;
	unsigned nfacts, nall, nother;      /* dirty: everything; scopes not waited for */
	const char *wait_for;       /* a dirty scope ends the wait */
	bool wait_facts, late;
};

static void on_done(void *arg, struct kernel_task *task)
{
	struct rig *rig = arg;

	kernel_task_free(rig->done);
	rig->done = task;
	loop_stop(rig->loop);
}

static void on_dirty(void *arg, const char *scope)
{
	struct rig *rig = arg;

	rig->nall += !scope;
	if (!rig->wait_for || !scope)
		return;
	if (strcmp(scope, rig->wait_for) == 0)
		loop_stop(rig->loop);
	else
		rig->nother++;
}

static void on_facts(void *arg, const struct kernel_facts *facts)
{
	struct rig *rig = arg;

	rig->facts = *facts;
	rig->nfacts++;
	if (rig->wait_facts)
		loop_stop(rig->loop);
}

static void on_late(void *arg)
{
	struct rig *rig = arg;

	rig->late = true;
	loop_stop(rig->loop);
}

static void turn(struct rig *rig)
{
	loop_timer_set(rig->timer, LATEST_MS);
	assert_int_equal(loop_run(rig->loop), 0);
	loop_timer_set(rig->timer, -1);
	if (rig->late)
		fail_msg("nothing within %d ms", LATEST_MS);
}

static void rig_start(struct rig *rig, uint32_t pool)
{
	struct kernel_config conf = {
		.pool = pool, .done = on_done, .dirty = on_dirty, .facts = on_facts, .arg = rig,
	};
	struct podnet_error err = { 0 };

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(loop_timer_new(rig->loop, on_late, rig, &rig->timer), 0);
	conf.loop = rig->loop;
	test_ok(kernel_open("/run/netns", "/run/podnet", false, &rig->kernel, &err), &err);
	test_ok(kernel_start(rig->kernel, &conf, &err), &err);
	rig->wait_facts = true;
	turn(rig);
	rig->wait_facts = false;
}

static void rig_stop(struct rig *rig)
{
	kernel_stop(rig->kernel);
	kernel_task_free(rig->done);
	loop_timer_free(rig->timer);
	loop_free(rig->loop);
}

/* A pod as compile makes one: namespace @scope, host end pn-@scope. */
static struct podnet_set *pod_set(const char *scope, const char *addr, bool declare)
{
	char host[16];
	struct podnet_veth veth = { .end = {
		{ .name = host, .flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN, .mtu = 1500 },
		{ .netns = scope, .name = "eth0", .mtu = 1500,
		  .flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN },
	} };
	struct podnet_addr inside = { .netns = scope, .link = "eth0", .prefix = prefix(addr) };
	struct podnet_route back = { .dst = prefix(addr), .link = host };
	struct podnet_neigh neigh = { .link = host, .addr = prefix(addr) };
	struct podnet_neigh gateway = {
		.netns = scope, .link = "eth0", .addr = prefix("169.254.1.1"),
	};
	struct podnet_route out = {
		.netns = scope, .dst = { .family = AF_INET }, .via = prefix("169.254.1.1"),
		.link = "eth0", .onlink = true,
	};
	struct podnet_set *set;

	snprintf(host, sizeof(host), "pn-%s", scope);
	assert_int_equal(podnet_set_new(&set, scope, NULL), 0);
	if (declare)
		podnet_set_netns(set, &(struct podnet_netns){ .name = scope }, NULL);
	podnet_set_veth(set, &veth, NULL);
	podnet_set_addr(set, &inside, NULL);
	podnet_set_neigh(set, &gateway, NULL);
	podnet_set_neigh(set, &neigh, NULL);
	podnet_set_route(set, &back, NULL);
	assert_int_equal(podnet_set_route(set, &out, NULL), 0);
	return set;
}

static struct kernel_task *pod_task(enum kernel_task_type type, const char *scope,
				    const char *addr)
{
	struct kernel_task *task = kernel_task_new(type, scope);

	assert_non_null(task);
	task->set = pod_set(scope, addr, true);
	task->netns[0] = strdup(scope);
	return task;
}

/* Submit, wait, check the result; the task stays in rig->done. */
static int run(struct rig *rig, struct kernel_task *task)
{
	kernel_submit(rig->kernel, task);
	while (rig->done != task)       /* others may be told first */
		turn(rig);
	test_ok(task->rc, &task->err);
	return task->changes;
}

static int ensure(struct rig *rig, const char *scope, const char *addr, bool fresh)
{
	struct kernel_task *task = pod_task(KERNEL_ENSURE, scope, addr);

	task->fresh = task->urgent = fresh;
	return run(rig, task);
}

static void life(struct rig *rig, const char *scope)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/netns/%s", scope);
	assert_true(ensure(rig, scope, "10.0.0.2", true) > 0);
	assert_int_equal(sh("ip link set lo up; ip addr replace 10.9.9.9/32 dev lo"), 0);
	assert_int_equal(sh("ping -qc1 -w20 10.0.0.2 >/dev/null"), 0);
	assert_int_equal(ensure(rig, scope, "10.0.0.2", false), 0);
	assert_true(run(rig, pod_task(KERNEL_ABSENT, scope, "10.0.0.2")) > 0);
	assert_int_equal(sh("ip route | grep 10.0.0.2"), 1);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(run(rig, pod_task(KERNEL_ABSENT, scope, "10.0.0.2")), 0);
}

static void life_without_pool(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig, 0);
	life(&rig, "one");
	kernel_hint(rig.kernel);
	life(&rig, "two");
	rig_stop(&rig);
}

static void life_with_pool(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig, 2);
	life(&rig, "one");
	life(&rig, "two");
	life(&rig, "three");
	rig_stop(&rig);
}

/* A pod's own set takes only what it names: what others have in its namespace stays. */
static void replaced_and_shared(void **state)
{
	struct kernel_task *task;
	struct rig rig;

	(void)state;
	rig_start(&rig, 0);
	ensure(&rig, "one", "10.0.0.2", true);
	assert_int_equal(sh("ip -n one route add 10.7.7.0/24 dev lo proto 142"), 0);
	task = pod_task(KERNEL_ENSURE, "one", "10.0.0.3");
	task->was = pod_set("one", "10.0.0.2", true);
	assert_true(run(&rig, task) > 0);
	assert_int_equal(sh("ip route | grep -q '10.0.0.3 '"), 0);
	assert_int_equal(sh("ip route | grep -q '10.0.0.2 '"), 1);
	assert_int_equal(sh("ip -n one addr | grep -q '10.0.0.2/'"), 1);
	assert_int_equal(sh("ip -n one route | grep -q '10.7.7.0/'"), 0);
	rig_stop(&rig);
}

/* ---- drift ---- */

static const struct drift {
	const char *says, *command, *scope;
} drifts[] = {
	{ "host end deleted",       "ip link del pn-one",                           "one" },
	{ "inner end deleted",      "ip -n one link del eth0",                      "one" },
	{ "host end down",          "ip link set pn-one down",                      "one" },
	{ "inner end down",         "ip -n one link set eth0 down",                 "one" },
	{ "host end's MTU",         "ip link set pn-one mtu 1400",                  "one" },
	{ "inner end's MTU",        "ip -n one link set eth0 mtu 1400",             "one" },
	{ "inner address deleted",  "ip -n one addr del 10.0.0.2/32 dev eth0",      "one" },
	{ "inner routes flushed",   "ip -n one route flush table main",             "one" },
	{ "inner neighbour",        "ip -n one neigh del 169.254.1.1 dev eth0",     "one" },
	{ "host route deleted",     "ip route del 10.0.0.2",                        "one" },
	{ "host routes flushed",    "ip route flush proto 142",                     "one" },
	{ "host neighbour deleted", "ip neigh del 10.0.0.2 dev pn-one",             "one" },
	{ "a bucket on the link",   "tc qdisc add dev pn-one root pfifo limit 9",   "one" },
	{ "name taken away",        "ip netns del one",                             "one" },
	{ "enslaved",               "ip link add brx type bridge && ip link set pn-one master brx",
									    "one" },
	{ "our table deleted",      "nft delete table inet podnet",                 "node" },
};

static void make_node(struct rig *rig)
{
	struct kernel_task *task = kernel_task_new(KERNEL_ENSURE, "node");
	struct podnet_prefix *inside = calloc(1, sizeof(*inside));

	assert_non_null(task);
	assert_non_null(inside);
	*inside = prefix("10.0.0.0/8");
	assert_int_equal(podnet_set_new(&task->set, "node", NULL), 0);
	task->has_nat = true;
	task->nat = (struct podnet_nat){ .inside = inside, .ninside = 1 };
	run(rig, task);
}

static void check_drift(const struct drift *d, bool restarted)
{
	struct rig rig;

	rig_start(&rig, 0);
	make_node(&rig);
	assert_true(ensure(&rig, "one", "10.0.0.2", true) > 0);
	ensure(&rig, "two", "10.0.0.4", true);
	if (restarted) {                /* one that has seen none of it being made */
		rig_stop(&rig);
		rig_start(&rig, 0);
		make_node(&rig);
		assert_int_equal(ensure(&rig, "one", "10.0.0.2", false), 0);
		assert_int_equal(ensure(&rig, "two", "10.0.0.4", false), 0);
	}
	rig.wait_for = d->scope;
	if (sh(d->command) != 0)
		fail_msg("%s: %s", d->says, d->command);
	turn(&rig);
	assert_int_equal(rig.nall, 0);
	if (strcmp(d->scope, "one") == 0) {
		struct kernel_task *task = pod_task(KERNEL_ENSURE, "one", "10.0.0.2");

		task->drift = true;
		if (strstr(d->command, "master") || strstr(d->command, "tc "))
			kernel_task_free(task);         /* nothing is wished there */
		else if (run(&rig, task) == 0)
			fail_msg("%s: nothing to repair", d->says);
	}
	rig_stop(&rig);
}

static void drift(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++) {
		check_drift(&drifts[i], false);
		assert_int_equal(netns_setup(state), 0);
	}
}

static void drift_after_restart(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(drifts); i++) {
		check_drift(&drifts[i], true);
		assert_int_equal(netns_setup(state), 0);
	}
}

/* What others add is no drift: the next thing told is the one that is. */
static void foreign_is_no_drift(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig, 0);
	ensure(&rig, "one", "10.0.0.2", true);
	ensure(&rig, "two", "10.0.0.4", true);
	rig.wait_for = "two";
	assert_int_equal(sh("ip link add f type bridge && ip link set f up && "
			    "ip addr add 10.50.0.1/24 dev f && "
			    "ip route add 10.60.0.0/16 via 10.50.0.9 && "
			    "ip -n one addr add 10.70.0.1/32 dev eth0 && "
			    "ip -n one route add 10.80.0.0/16 dev eth0 && "
			    "ip -n one link add g type bridge && ip -n one link del g && "
			    "ip link del f && ip -n two link set eth0 down"), 0);
	turn(&rig);
	assert_int_equal(rig.nall, 0);
	assert_int_equal(rig.nother, 0);
	rig_stop(&rig);
}

/* ---- restart ---- */

static void sweep(void **state)
{
	struct kernel_task *task;
	struct rig rig;

	(void)state;
	rig_start(&rig, 1);
	ensure(&rig, "kept", "10.0.0.2", true);
	ensure(&rig, "lost", "10.0.0.4", true);
	rig_stop(&rig);
	assert_int_equal(sh("ip netns add foreign && ip link add pnfake type bridge"), 0);
	rig_start(&rig, 1);
	ensure(&rig, "new", "10.0.0.6", true);
	task = kernel_task_new(KERNEL_SWEEP, "");
	assert_non_null(task);
	task->scopes = calloc(1, sizeof(*task->scopes));
	task->scopes[0] = strdup("kept");
	task->nscopes = 1;
	assert_true(run(&rig, task) > 0);
	assert_int_not_equal(access("/run/netns/lost", F_OK), 0);
	assert_int_equal(access("/run/netns/foreign", F_OK), 0);
	assert_int_equal(sh("ip link show pnfake >/dev/null"), 0);
	assert_int_equal(ensure(&rig, "kept", "10.0.0.2", false), 0);
	assert_int_equal(ensure(&rig, "new", "10.0.0.6", false), 0);
	rig_stop(&rig);
}

static void purge(void **state)
{
	struct podnet_error err = { 0 };
	struct rig rig;

	(void)state;
	rig_start(&rig, 1);
	make_node(&rig);
	ensure(&rig, "one", "10.0.0.2", true);
	rig_stop(&rig);
	assert_int_equal(sh("ip netns add foreign && ip link add pnfake type bridge && "
			    "nft add table inet podnet-other"), 0);
	assert_true(test_ok(kernel_purge("/run/netns", "/run/podnet", NULL, NULL, &err), &err) > 0);
	assert_int_not_equal(access("/run/netns/one", F_OK), 0);
	/* of the pool the kernel may still be taking one apart */
	assert_int_equal(sh("ip -o link | grep podnet: | grep -qv podnet:netd:pool"), 1);
	assert_int_equal(sh("nft list table inet podnet >/dev/null 2>&1"), 1);
	assert_int_equal(sh("nft list table inet podnet-other >/dev/null"), 0);
	assert_int_equal(access("/run/netns/foreign", F_OK), 0);
	assert_int_equal(sh("ip link show pnfake >/dev/null"), 0);
	assert_int_equal(test_ok(kernel_purge("/run/netns", "/run/podnet", NULL, NULL, &err), &err),
			 0);
}

/* ---- a namespace that somebody else made ---- */

static void adopted(void **state)
{
	struct kernel_task *task = kernel_task_new(KERNEL_ENSURE, "one");
	struct stat before, after;
	struct rig rig;

	(void)state;
	rig_start(&rig, 0);
	assert_int_equal(sh("ip netns add theirs"), 0);
	task->set = pod_set("one", "10.0.0.2", false);
	task->netns[0] = strdup("one");
	task->pin = strdup("/run/netns/theirs");
	assert_true(run(&rig, task) > 0);
	assert_int_equal(stat("/run/netns/theirs", &before), 0);
	assert_int_equal(stat("/run/netns/one", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* pinned: it needs no other name any more */
	assert_int_equal(sh("ip netns del theirs"), 0);
	task = kernel_task_new(KERNEL_ENSURE, "one");
	task->set = pod_set("one", "10.0.0.2", false);
	task->netns[0] = strdup("one");
	task->pin = strdup("/run/netns/theirs");
	assert_int_equal(run(&rig, task), 0);
	task = kernel_task_new(KERNEL_ABSENT, "one");
	task->set = pod_set("one", "10.0.0.2", false);
	task->netns[0] = strdup("one");
	task->pin = strdup("/run/netns/theirs");
	assert_true(run(&rig, task) > 0);
	assert_int_not_equal(access("/run/netns/one", F_OK), 0);
	assert_int_equal(sh("ip link show pn-one 2>/dev/null"), 1);
	rig_stop(&rig);
}

/* ---- facts ---- */

static void facts(void **state)
{
	struct podnet_prefix want;
	struct rig rig;

	(void)state;
	rig_start(&rig, 0);
	assert_int_equal(rig.facts.naddresses, 0);
	rig.wait_facts = true;
	assert_int_equal(sh("ip link add da type veth peer name db && "
			    "ip link add dc type bridge && "
			    /* which the kernel would give later than it says that a link is up */
			    "for i in da db dc; do ip link set $i addrgenmode none || exit 1; done && "
			    "ip addr add 10.1.0.1/24 dev dc && ip addr add 10.2.0.1/24 dev db && "
			    "ip addr add 10.3.0.1/24 dev da && ip link set da mtu 1444 && "
			    "ip link set da up && ip link set db up && ip link set dc up && "
			    "ip route add default via 10.3.0.9 dev da"), 0);
	while (rig.facts.naddresses < 3 || rig.facts.mtu != 1444)
		turn(&rig);
	want = prefix("10.3.0.1");
	assert_memory_equal(&rig.facts.addresses[0], &want, sizeof(want));
	want = prefix("10.2.0.1");
	assert_memory_equal(&rig.facts.addresses[1], &want, sizeof(want));
	want = prefix("10.1.0.1");
	assert_memory_equal(&rig.facts.addresses[2], &want, sizeof(want));
	/* pods are no news of the node */
	rig.wait_facts = false;
	rig.nfacts = 0;
	ensure(&rig, "one", "10.0.0.2", true);
	ensure(&rig, "one", "10.0.0.2", false);
	assert_int_equal(rig.nfacts, 0);
	rig_stop(&rig);
}

#define ROW(fn) cmocka_unit_test_setup(fn, netns_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(life_without_pool),
		ROW(life_with_pool),
		ROW(replaced_and_shared),
		ROW(drift),
		ROW(drift_after_restart),
		ROW(foreign_is_no_drift),
		ROW(sweep),
		ROW(purge),
		ROW(adopted),
		ROW(facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
