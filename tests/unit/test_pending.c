/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pending.c - which pods a node without etcd makes and deletes by itself, and who sees them
 */
#include "state_world.h"

#include <netd/state/cluster_inner.h>
#include <netinet/in.h>

static void reopen_with(struct world *w, const char *url)
{
	const struct etcd_config conf = { .loop = w->loop, .urls = &url, .nurls = 1 };

	close_world(w);
	cluster_free(w->cluster);
	assert_int_equal(cluster_new(&conf, &w->cluster, w->error), 0);
	w->seen[0] = w->here[0] = '\0';
	open_world(w);
}

static void reopen_as_replica(struct world *w)
{
	reopen_with(w, "http://127.0.0.1:1");
}

/** One write, and what this node and the cluster have then: names, in order. */
struct alone_case {
	const char *says;
	char verb;                  /* + make, ~ write again, - delete */
	const char *name, *uid;     /* uid: when it is made */
	const char *node;           /* when it is made */
	bool runtimes, reopened;    /* it has podnet.dev/origin; netd has died before it */
	int rc;
	const char *here, *shared, *told;
	unsigned rows;              /* that wait for etcd */
};

static int name_it(void *arg, struct object *obj)
{
	char *names = arg;

	snprintf(names + strlen(names), 64, "%s ", obj->meta->uid);
	return 0;
}

static void write_alone(struct world *w, const struct alone_case *c)
{
	struct object *old = accepted(w, c->name), *obj;
	_cleanup_(doc_freep) struct doc *doc = old ? object_doc(old) : NULL;
	struct txn *txn = begin_txn(w);
	char text[512];

	snprintf(text, sizeof(text), "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\","
		 "\"namespace\":\"default\",\"uid\":\"%s\",\"annotations\":{%s}},\"spec\":{\"nodeName\":\"%s\","
		 "\"hostNetwork\":true}}", c->name, c->uid ? c->uid : "",
		 c->runtimes ? "\"podnet.dev/origin\":\"cni\"" : "", c->node ? c->node : "");
	if (c->verb == '+') {
		put(txn, KIND_POD, text, NULL);
	} else if (c->verb == '-') {
		assert_int_equal(txn_delete(txn, old, NULL), 0);
	} else {
		assert_int_equal(doc_set_str(doc, "status.phase", "Running"), 0);
		assert_int_equal(txn_put(txn, &kinds[KIND_POD], doc, old, &obj), 0);
	}
	w->answers = 0;
	submit(w, txn);
	settle(w);
	assert_int_equal(w->rc[0], c->rc);
}

static int count_row(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		     const char *bytes, size_t len)
{
	(void)ns;
	(void)name;
	(void)rev;
	(void)bytes;
	(void)len;
	*(unsigned *)arg += !strcmp(kind, "~made") || !strcmp(kind, "~unmade");
	return 0;
}

/* As a dry run does. */
static void build_and_drop(struct world *w, const char *name)
{
	struct object *old = accepted(w, name), *obj;
	size_t n = state_count(w->state, &kinds[KIND_POD]);

	for (unsigned turn = 0; old && turn < 3; turn++) {
		_cleanup_(doc_freep) struct doc *doc = object_doc(old);
		struct txn *txn = begin_txn(w);

		obj = old;
		if (turn > 0)
			assert_int_equal(doc_set_str(doc, "status.phase", "Failed"), 0);
		if (turn > 0)
			assert_int_equal(txn_put(txn, &kinds[KIND_POD], doc, old, &obj), 0);
		if (turn != 1)
			assert_int_equal(txn_delete(txn, obj, NULL), 0);
		txn_drop(txn);
		assert_ptr_equal(accepted(w, name), old);
		assert_int_equal(state_count(w->state, &kinds[KIND_POD]), n);
	}
}

/* What a node without etcd takes for itself, and who sees it. */
static void alone(void **state)
{
	static const struct alone_case cases[] = {
		{ "a runtime's pod", '+', "c", "c1", "n", true, false, 0, "a1 b1 c1 ", "a1 b1 ", "+c1 ", 1 },
		{ "nobody's", '+', "d", "d1", "n", false, false, -ENOTCONN, "a1 b1 c1 ", "a1 b1 ", "", 1 },
		{ "another node's", '+', "d", "d1", "m", true, false, -ENOTCONN, "a1 b1 c1 ", "a1 b1 ", "", 1 },
		{ "its status", '~', "c", NULL, NULL, false, false, 0, "a1 b1 c1 ", "a1 b1 ", "~c1 ", 1 },
		{ "that of one that etcd has", '~', "a", NULL, NULL, false, false, -ENOTCONN, "a1 b1 c1 ",
		  "a1 b1 ", "", 1 },
		{ "one that etcd has goes", '-', "a", NULL, NULL, false, false, 0, "b1 c1 ", "a1 b1 ", "-a1 ", 2 },
		{ "nobody's stays", '-', "b", NULL, NULL, false, false, -ENOTCONN, "b1 c1 ", "a1 b1 ", "", 2 },
		{ "and is made anew", '+', "a", "a2", "n", true, false, 0, "a2 b1 c1 ", "a1 b1 ", "+a2 ", 3 },
		{ "after a restart one goes", '-', "c", NULL, NULL, false, true, 0, "a2 b1 ", "a1 b1 ", "-c1 ", 3 },
		{ "after another a name is free", '+', "c", "c2", "n", true, true, 0, "a2 b1 c2 ", "a1 b1 ", "+c2 ", 4 },
		{ "and what is there goes at once", '-', "c", NULL, NULL, false, false, 0, "a2 b1 ", "a1 b1 ", "-c2 ", 3 },
	};
	struct world *w = *state;
	struct txn *txn;

	write_alone(w, &(struct alone_case){ "", '+', "a", "a1", "n", true, false, 0, "", "", "", 0 });
	write_alone(w, &(struct alone_case){ "", '+', "b", "b1", "n", false, false, 0, "", "", "", 0 });
	reopen_as_replica(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct alone_case *c = &cases[i];
		char here[64] = "", shared[64] = "", each[64] = "";
		unsigned rows = 0;

		if (c->reopened)
			reopen_as_replica(w);
		w->here[0] = '\0';
		write_alone(w, c);
		build_and_drop(w, c->name);
		for (const char *name = "abcd"; *name; name++) {
			struct object *obj = committed(w, (char[]){ *name, '\0' });

			assert_ptr_equal(obj, accepted(w, (char[]){ *name, '\0' }));
			if (obj)
				name_it(here, obj);
		}
		state_each(w->state, &kinds[KIND_POD], NULL, name_it, shared);
		state_each_here(w->state, &kinds[KIND_POD], name_it, each);
		assert_int_equal(store_load(w->store, count_row, &rows), 0);
		if (strcmp(here, c->here) || strcmp(shared, c->shared) || strcmp(w->here, c->told) ||
		    strlen(each) != strlen(here) || *w->seen || rows != c->rows)
			fail_msg("%s: here %s(%s), shared %s, told %s%s, %u rows", c->says, here, each, shared,
				 w->here, w->seen, rows);
	}
	txn = begin_txn(w);             /* what else is in a transaction needs etcd, and all of it is refused */
	assert_int_equal(txn_delete(txn, accepted(w, "a"), NULL), 0);
	put_pod(txn, "d", "", NULL);
	w->answers = 0;
	submit(w, txn);
	settle(w);
	assert_int_equal(w->rc[0], -ENOTCONN);
	assert_string_equal(accepted(w, "a")->meta->uid, "a2");
}

static void submit_settled(struct world *w, struct object *last)
{
	struct txn *txn = begin_txn(w);

	assert_int_equal(pending_settled(txn, last), 0);
	w->waiting++;
	txn_store(txn, true, answered, w);
}

/* Whoever sees that etcd has it no more asks for its row to go; also before the store has done that. */
static void settled_twice(void **state)
{
	struct world *w = *state;
	struct object *last;
	unsigned rows = 0;
	size_t pos = 0;

	write_alone(w, &(struct alone_case){ "", '+', "a", "a1", "n", true, false, 0, "", "", "", 0 });
	reopen_as_replica(w);
	write_alone(w, &(struct alone_case){ "", '-', "a", NULL, NULL, false, false, 0, "", "", "", 0 });
	last = map_next(&w->state->unmade, &pos);
	assert_non_null(last);
	w->answers = 0;
	submit_settled(w, last);
	submit_settled(w, last);
	settle(w);
	assert_int_equal(w->rc[0], 0);
	assert_int_equal(w->rc[1], 0);
	assert_int_equal(state_pending(w->state), 0);
	assert_int_equal(store_load(w->store, count_row, &rows), 0);
	assert_int_equal(rows, 0);
}

/* What was missed may take longer than the lease lasts: it is kept meanwhile, and has gone by nothing older. */
static void lease(void **state)
{
	const struct etcd_kv gone = { .key = KEY_LEASES "n", .modified = 7, .deleted = true };
	struct world *w = *state;
	struct cluster *c;

	reopen_as_replica(w);
	c = w->cluster;
	c->link = LINK_FOLLOWING;
	c->lease_rev = 7;
	lease_event(c, &gone);
	assert_int_equal(c->lease_rev, 7);
	lease_keep(c);                  /* asks, and nobody answers */
	assert_int_equal(cluster_await(c, 5000), -ENOTCONN);
	c->link = LINK_UP;
	c->lease_rev = 6;
	lease_event(c, &gone);
	assert_int_equal(c->lease_rev, 0);
	assert_int_equal(cluster_await(c, 5000), -ENOTCONN);
}

/* What ends while netd stops asks etcd for nothing more. */
static void stopped(void **state)
{
	struct world *w = *state;
	struct etcd_txn t = { 0 };

	reopen_as_replica(w);
	cluster_stop(w->cluster);
	cluster_lost(w->cluster, -EIO, "ReplicaFails", "the database failed");
	etcd_txn_delete(&t, KEY_CLAIMS "ip/n/10.0.0.1");
	unowned_release(w->cluster, &t);
	assert_null(t.success.data);
}

/* One that failed is in the list until it is told of, and makes nothing. */
static void reverted(void **state)
{
	struct world *w = *state;
	struct txn *txn = begin_txn(w);
	struct object *got = NULL, *obj = put_pod(txn, "c", "", NULL);

	assert_true(txn_writes(txn, &kinds[KIND_POD], "default", "c", &got));
	assert_ptr_equal(got, obj);
	txn_revert(txn);
	assert_false(txn_writes(txn, &kinds[KIND_POD], "default", "c", &got));
	txn_free(txn);
}

static void interrupt(void *loop)
{
	loop_stop(loop);
}

/* What was on the stack below is there no more. */
static __attribute__((noinline)) void scribble(void)
{
	volatile unsigned char below[4096];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0xff;
}

/* A signal comes while etcd is asked at the start; what is answered when netd stops, nobody waits for. */
static void interrupted(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct world *w = *state;
	struct loop_timer *signal;
	struct cluster_meta meta;
	char url[64];

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(at.sin_port));
	reopen_with(w, url);
	assert_int_equal(loop_timer_new(w->loop, interrupt, w->loop, &signal), 0);
	loop_timer_set(signal, 50);
	assert_int_equal(cluster_look(w->cluster, &meta, w->error), -EINTR);
	assert_null(w->cluster->turn.meta);
	scribble();
	cluster_stop(w->cluster);
	loop_timer_free(signal);
	close(fd);
}

static void write_label(struct world *w, const char *value, bool soft)
{
	struct object *old = accepted(w, "c"), *obj;
	_cleanup_(doc_freep) struct doc *doc = object_doc(old);
	struct txn *txn = begin_txn(w);

	assert_int_equal(doc_set_str(doc, "metadata.labels.a", value), 0);
	assert_int_equal(txn_put(txn, &kinds[KIND_POD], doc, old, &obj), 0);
	w->waiting++;
	txn_submit(txn, soft, answered, w);
}

/* Of a pod that was made here: who writes says if it may be lost, and what it is the same as is there first. */
static void durable(void **state)
{
	struct world *w = *state;

	reopen_as_replica(w);
	write_alone(w, &(struct alone_case){ "", '+', "c", "c1", "n", true, false, 0, "", "", "", 0 });
	w->answers = 0;
	write_label(w, "1", true);
	assert_true(w->state->last->batch.soft);
	write_label(w, "2", false);
	assert_false(w->state->last->batch.soft);
	write_label(w, "2", false);
	assert_int_equal(w->answers, 0);
	settle(w);
	assert_int_equal(w->answers, 3);
	write_label(w, "2", false);
	assert_int_equal(w->answers, 4);
}

/* What was delivered is in the replica before etcd is asked again: a list has to know of it. */
static void delivered_first(void **state)
{
	struct world *w = *state;
	struct cluster *c;

	reopen_as_replica(w);
	c = w->cluster;
	c->seen = c->committed + 1;
	loop_timer_set(c->retry, 0);
	assert_int_equal(cluster_wait(c, 100), 0);
	assert_int_equal(c->link, LINK_AWAY);
	c->committed = c->seen;
	assert_int_equal(cluster_await(c, 5000), -ENOTCONN);    /* it asks, and nobody answers */
}

DEFINE_CLEANUP(struct object, object_unref)

/* A version of the pod that is called p, with @labels and @status; nobody has accepted it. */
static struct object *version(const char *labels, const char *status)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	struct object *obj;
	char text[512];

	snprintf(text, sizeof(text), "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\","
		 "\"namespace\":\"default\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":1,"
		 "\"labels\":{%s}},\"spec\":{\"nodeName\":\"n\"},\"status\":{%s}}", labels, status);
	bytes = bytes_new(text, strlen(text));
	assert_non_null(bytes);
	assert_int_equal(object_read(&kinds[KIND_POD], bytes, 7, &obj), 0);
	return obj;
}

/* The database of a node that etcd has told of @now; its version @is was handed in, and written to be @made. */
static struct txn *amend(struct world *w, struct object *made, struct object *is, struct object *now)
{
	struct txn *txn = begin_txn(w);

	put(txn, KIND_POD, now->bytes->data, committed(w, "p"));
	submit(w, txn);
	settle(w);
	reopen_as_replica(w);
	w->cluster->link = LINK_UP;
	hand_in_seen(w->cluster, made, is);
	hand_in(w->cluster);
	return w->cluster->first;
}

/* What was written since is kept until etcd has it, or will never have it. */
static void amended(void **state)
{
	static const struct { int rc; bool kept; } cases[] = {
		{ -ENOTCONN, true }, { -ETIMEDOUT, true }, { -ECANCELED, true }, { -ENOSPC, true },
		{ -EACCES, true }, { -ENOMEM, true }, { -EMSGSIZE, false }, { -EINVAL, false },
	};
	_cleanup_(object_unrefp) struct object *made = version("\"a\":\"1\"", ""), *is = version("", "");
	struct world *w = *state;
	struct txn *txn = amend(w, made, is, is);
	struct cluster *c = w->cluster;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_non_null(txn);
		assert_null(c->handed);
		outcome_fail(c, txn, cases[i].rc, "");
		assert_int_equal(cluster_await(c, 5000), -ENOTCONN);   /* it is told of */
		if (!!c->handed != cases[i].kept)
			fail_msg("%s: %s", strerror(-cases[i].rc), c->handed ? "kept" : "lost");
		assert_true(!cases[i].kept || loop_timer_armed(c->hand_in));
		hand_in_free(c);
		loop_timer_set(c->retry, -1);
		c->link = LINK_UP;
		hand_in_seen(c, made, is);
		hand_in(c);
		txn = c->first;
	}
}

/** Labels and status, each as it was handed in, as it was written here and as etcd has it: what is sent then. */
struct merge_case {
	const char *says, *labels[3], *status[3];
	const char *sent_labels, *sent_status;      /* NULL: nothing is sent */
};

static const struct merge_case merges[] = {
	{ "nothing was written", { "", "", "" }, { "", "", "" }, NULL, NULL },
	{ "here alone", { "", "\"a\":\"1\"", "" }, { "", "\"phase\":\"Running\"", "" },
	  "\"a\":\"1\"", "\"phase\":\"Running\"" },
	{ "a label here, the node's status there", { "", "\"a\":\"1\"", "" }, { "", "", "\"phase\":\"Running\"" },
	  "\"a\":\"1\"", "\"phase\":\"Running\"" },
	{ "it had ended before the node wrote", { "", "", "" },
	  { "", "\"phase\":\"Succeeded\"", "\"phase\":\"Running\"" }, "", "\"phase\":\"Succeeded\"" },
	{ "its addresses are those that it has", { "", "", "" },
	  { "\"podIP\":\"10.0.0.1\"", "\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"", "\"podIP\":\"10.0.0.2\"" },
	  "", "\"phase\":\"Running\",\"podIP\":\"10.0.0.2\"" },
	{ "it has ended meanwhile", { "", "", "" },
	  { "", "\"phase\":\"Running\"", "\"phase\":\"Failed\"" }, NULL, NULL },
	{ "both wrote a label: status all the same", { "", "\"a\":\"1\"", "\"a\":\"2\"" },
	  { "", "\"phase\":\"Running\"", "" }, "\"a\":\"2\"", "\"phase\":\"Running\"" },
};

static void merged(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		const struct merge_case *m = &merges[i];
		_cleanup_(object_unrefp) struct object *is = version(m->labels[0], m->status[0]);
		_cleanup_(object_unrefp) struct object *made = version(m->labels[1], m->status[1]);
		_cleanup_(object_unrefp) struct object *now = version(m->labels[2], m->status[2]), *want = NULL;
		_cleanup_(doc_freep) struct doc *sent = NULL, *as = NULL;
		struct txn *txn;

		assert_int_equal(begin(state), 0);
		txn = amend(*state, made, is, now);
		if (!txn != !m->sent_labels)
			fail_msg("%s: %s", m->says, txn ? txn->writes[0].now->bytes->data : "nothing is sent");
		if (txn) {
			want = version(m->sent_labels, m->sent_status);
			sent = object_doc(txn->writes[0].now);
			as = object_doc(want);
			if (!doc_equal_at(sent, as, "metadata.labels") || !doc_equal_at(sent, as, "status"))
				fail_msg("%s: %s", m->says, txn->writes[0].now->bytes->data);
		}
		assert_int_equal(end(state), 0);
	}
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(void)
{
	const struct CMUnitTest rows[] = {
		ROW(alone), ROW(settled_twice), ROW(lease), ROW(stopped), ROW(interrupted), ROW(reverted),
		ROW(durable), ROW(delivered_first), ROW(amended), cmocka_unit_test(merged),
	};

	return cmocka_run_group_tests(rows, NULL, NULL);
}
