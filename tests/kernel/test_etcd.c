/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_etcd.c - netd's client of etcd, with the real one on loopback
 *
 * Room: netd/cluster by its header.  etcd is unpacked by tests/run, or installed; without it the
 * suite is skipped.
 */
#include <tests/lib/testlib.h>

#include <errno.h>
#include <fcntl.h>
#include <netd/cluster/etcd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY "http://127.0.0.1:1"
#define URL    "http://127.0.0.1:2379"

struct world {
	struct loop *loop;
	struct etcd *etcd;
	struct loop_timer *limit;
	char dir[64], *program;
	const char *both;               /* members of which it is one, NULL: it is alone */
	pid_t pid;
	int rc, events, ended, answers;
	bool late;
	struct etcd_reply reply;        /* without its keys */
	char seen[512];                 /* keys and values of the last answer, or of all events */
	int64_t compacted;
	struct etcd_watch *watch;
};

static char *program(void)
{
	const char *said = getenv("ETCD");
	char path[600];

	if (said)
		return strdup(said);
	if (!getcwd(path, sizeof(path)))
		return NULL;
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/build/etcd/usr/bin/etcd");
	return strdup(access(path, X_OK) == 0 ? path : "/usr/bin/etcd");
}

static void start(struct world *w)
{
	w->pid = fork();
	if (w->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
	execl(w->program, w->program, "--data-dir", w->dir, "--listen-client-urls", URL,
	      "--advertise-client-urls", URL, "--listen-peer-urls", "http://127.0.0.1:2380",
	      "--max-txn-ops", "512", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
	      "--initial-cluster", w->both ? w->both : "default=http://127.0.0.1:2380", (char *)NULL);
	_exit(255);
}

static void halt(struct world *w)
{
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	w->pid = 0;
}

static void note(struct world *w, const struct etcd_kv *kvs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(w->seen);

		snprintf(w->seen + at, sizeof(w->seen) - at, "%s%s%s=%s", at ? " " : "",
			 kvs[i].deleted ? "-" : "", kvs[i].key, kvs[i].value);
	}
}

static void done(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct world *w = arg;

	(void)words;
	w->rc = rc;
	w->seen[0] = '\0';
	if (reply) {
		w->reply = *reply;
		note(w, reply->kvs, reply->n);
	}
	loop_stop(w->loop);
}

static void too_late(void *arg)
{
	struct world *w = arg;

	w->late = true;
	loop_stop(w->loop);
}

static void await(struct world *w)
{
	loop_timer_set(w->limit, 30000);
	assert_int_equal(loop_run(w->loop), 0);
	assert_false(w->late);
}

static int get(struct world *w, const char *from, const char *end)
{
	const struct etcd_range range = { .from = from, .end = end };

	assert_int_equal(etcd_get(w->etcd, &range, done, w), 0);
	await(w);
	return w->rc;
}

static int put(struct world *w, const char *key, const char *value, int64_t was)
{
	struct etcd_txn t = { 0 };

	etcd_txn_expect(&t, key, was);
	etcd_txn_put(&t, key, value, strlen(value), 0);
	etcd_txn_see(&t, key);
	assert_int_equal(etcd_txn_send(w->etcd, &t, done, w), 0);
	await(w);
	return w->rc;
}

static void wait_for_etcd(struct world *w)
{
	for (int i = 0; i < 3000 && get(w, "x", NULL) < 0; i++)
		usleep(10000);          /* it says to nobody when it listens */
	assert_int_equal(w->rc, 0);
}

static void open_client(struct world *w, const char *first)
{
	const char *urls[] = { first, URL };
	const struct etcd_config conf = { .loop = w->loop, .urls = urls, .nurls = 2,
					  .timeout_ms = 20000 };
	char why[ETCD_WORDS];

	assert_int_equal(etcd_open(&conf, &w->etcd, why), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (netns_setup(state) < 0)
		return -1;
	w->program = program();
	if (!w->program || access(w->program, X_OK) < 0) {
		fputs("no etcd: tests/lib/unpack etcd-server etcd build/etcd\n", stderr);
		if (!getenv("PODNET_TEST_STRICT"))
			exit(77);
		return -1;
	}
	assert_int_equal(sh("ip link set lo up"), 0);
	snprintf(w->dir, sizeof(w->dir), "/run/etcd");
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(loop_timer_new(w->loop, too_late, w, &w->limit), 0);
	open_client(w, NOBODY);
	start(w);
	wait_for_etcd(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	halt(w);
	etcd_close(w->etcd);
	loop_timer_free(w->limit);
	loop_free(w->loop);
	free(w->program);
	free(w);
	return 0;
}

static void keys(void **state)
{
	struct world *w = *state;
	int64_t first;
	char end[64];

	assert_int_equal(put(w, "/a/1", "one", 0), 0);
	assert_true(w->reply.succeeded);
	first = w->reply.revision;
	assert_int_equal(put(w, "/a/2", "", 0), 0);
	assert_int_equal(w->reply.revision, first + 1);
	assert_int_equal(get(w, "/a/", etcd_prefix_end("/a/", end)), 0);
	assert_string_equal(w->seen, "/a/1=one /a/2=");
	assert_int_equal(put(w, "/a/1", "two", 0), 0);          /* it is there */
	assert_false(w->reply.succeeded);
	assert_string_equal(w->seen, "/a/1=one");
	assert_int_equal(put(w, "/a/1", "two", first), 0);
	assert_true(w->reply.succeeded);
}

static void too_large(void **state)
{
	struct world *w = *state;
	char *value = malloc(2000001);

	memset(value, 'x', 2000000);
	value[2000000] = '\0';
	assert_int_equal(put(w, "/large", value, 0), -EMSGSIZE);
	value[1100000] = '\0';
	assert_int_equal(put(w, "/large", value, 0), 0);
	free(value);
}

static void on_events(void *arg, int64_t revision, const struct etcd_kv *kvs, size_t n)
{
	struct world *w = arg;

	w->reply.revision = revision;
	note(w, kvs, n);
	w->events += (int)n;
	if (w->events >= 3)
		loop_stop(w->loop);
}

static void on_end(void *arg, int rc, const char *words, int64_t compacted)
{
	struct world *w = arg;

	(void)words;
	w->rc = rc;
	w->ended++;
	w->compacted = compacted;
	w->watch = NULL;
	loop_stop(w->loop);
}

/* Beside a watch, whose events stay noted. */
static void answered(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct world *w = arg;

	(void)words;
	(void)reply;
	w->rc = rc;
	w->answers++;
	loop_stop(w->loop);
}

static void watching(void **state)
{
	struct world *w = *state;
	const struct etcd_watcher watcher = { on_events, on_end, w };
	struct etcd_txn t = { 0 };

	assert_int_equal(put(w, "/w/1", "a", 0), 0);
	assert_int_equal(etcd_watch_open(w->etcd, "/w/", w->reply.revision, &watcher, &w->watch), 0);
	etcd_txn_put(&t, "/w/2", "b", 1, 0);
	etcd_txn_delete(&t, "/w/1");
	etcd_txn_put(&t, "/v", "not watched", 11, 0);
	w->seen[0] = '\0';
	assert_int_equal(etcd_txn_send(w->etcd, &t, answered, w), 0);
	while (w->events < 3 || !w->answers)    /* an answer that came later would be taken for the next one's */
		await(w);
	assert_non_null(strstr(w->seen, "/w/1=a"));
	assert_non_null(strstr(w->seen, "-/w/1="));
	assert_null(strstr(w->seen, "/v"));
	halt(w);
	await(w);
	assert_int_equal(w->ended, 1);
	start(w);
	wait_for_etcd(w);
	assert_int_equal(sh("curl -s 127.0.0.1:2379/v3/kv/compaction -d '{\"revision\":\"3\"}' >/dev/null"), 0);
	assert_int_equal(etcd_watch_open(w->etcd, "/w/", 1, &watcher, &w->watch), 0);
	while (w->ended < 2)
		await(w);
	assert_int_equal(w->rc, -ESTALE);
	assert_int_equal(w->compacted, 3);
}

/* The second of two, without which neither has a leader. */
static pid_t start_second(struct world *w)
{
	const char *both = "default=http://127.0.0.1:2380,two=http://127.0.0.1:2382";
	pid_t pid;

	halt(w);
	assert_int_equal(sh("rm -rf /run/etcd"), 0);
	w->both = both;
	start(w);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
	execl(w->program, w->program, "--name", "two", "--data-dir", "/run/etcd2", "--initial-cluster", both,
	      "--listen-client-urls", "http://127.0.0.1:2381", "--advertise-client-urls",
	      "http://127.0.0.1:2381", "--listen-peer-urls", "http://127.0.0.1:2382",
	      "--initial-advertise-peer-urls", "http://127.0.0.1:2382", (char *)NULL);
	_exit(255);
}

/* A watch of a member that is left alone ends. */
static void leaderless(void **state)
{
	struct world *w = *state;
	const struct etcd_watcher watcher = { on_events, on_end, w };
	pid_t second = start_second(w);

	wait_for_etcd(w);
	assert_int_equal(etcd_watch_open(w->etcd, "/w/", 1, &watcher, &w->watch), 0);
	w->events = 2;
	assert_int_equal(put(w, "/w/1", "a", 0), 0);
	while (w->events < 3)
		await(w);
	kill(second, SIGKILL);
	waitpid(second, NULL, 0);
	while (!w->ended)
		await(w);
	assert_int_equal(w->rc, -ENOTCONN);
}

static void leases(void **state)
{
	struct world *w = *state;
	struct etcd_txn t = { 0 };
	int64_t lease;

	assert_int_equal(etcd_lease_grant(w->etcd, 60, done, w), 0);
	await(w);
	assert_int_equal(w->rc, 0);
	lease = w->reply.lease;
	assert_true(lease != 0);
	etcd_txn_put(&t, "/l/1", "me", 2, lease);
	assert_int_equal(etcd_txn_send(w->etcd, &t, done, w), 0);
	await(w);
	assert_int_equal(etcd_lease_keep(w->etcd, lease, done, w), 0);
	await(w);
	assert_int_equal(w->reply.ttl_s, 60);
	assert_int_equal(etcd_lease_revoke(w->etcd, lease, done, w), 0);
	await(w);
	assert_int_equal(get(w, "/l/1", NULL), 0);
	assert_string_equal(w->seen, "");
	assert_int_equal(etcd_lease_keep(w->etcd, lease, done, w), 0);
	await(w);
	assert_int_equal(w->reply.ttl_s, 0);
}

static void one_done(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct world *w = arg;

	(void)words;
	(void)reply;
	w->rc = w->rc < 0 ? w->rc : rc;
	if (--w->events == 0)
		loop_stop(w->loop);
}

/* Which endpoint is asked moves on once, though more than one request has not reached it. */
static void two_at_once(void **state)
{
	struct world *w = *state;

	etcd_next_endpoint(w->etcd);
	assert_string_equal(etcd_endpoint(w->etcd), NOBODY);
	w->events = 2;
	for (int i = 0; i < 2; i++)
		assert_int_equal(etcd_get(w->etcd, &(struct etcd_range){ .from = "/a" }, one_done, w), 0);
	await(w);
	assert_int_equal(w->rc, 0);
	assert_string_equal(etcd_endpoint(w->etcd), URL);
}

static void nobody(void **state)
{
	struct world *w = *state;

	halt(w);
	assert_int_equal(get(w, "/a", NULL), -ENOTCONN);
	assert_int_equal(put(w, "/a", "x", 0), -ENOTCONN);
	w->rc = 0;
	assert_int_equal(etcd_get(w->etcd, &(struct etcd_range){ .from = "/a" }, done, w), 0);
	etcd_close(w->etcd);
	w->etcd = NULL;
	assert_int_equal(w->rc, -ESHUTDOWN);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(keys), ROW(too_large), ROW(watching), ROW(leaderless), ROW(two_at_once), ROW(leases),
		ROW(nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
