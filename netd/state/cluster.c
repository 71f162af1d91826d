/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster.c - one store for many nodes
 *
 * Room: state.
 *
 * Theory.  etcd has the objects, and the claims of which there is one set for all nodes: blocks,
 * cluster IPs, node ports, load-balancer addresses.  A node's database is a replica of it, and holds
 * beside that what is the node's own.  There is one road into memory: the watch.  Whatever it
 * delivers, be it another node's change or this one's own, is decoded, becomes a transaction of the
 * replica, and when that has committed it is published, so that memory, replica and subscribers
 * agree as they do on a single node (deliver.c).  A transaction of this node goes to etcd with what it
 * was built upon as its condition (send.c), and is told of as done when it has come back.
 *
 * A version has the revision that etcd gave its transaction, added to a base, which is larger than
 * all that anybody saw before etcd was seeded (seed.c).  One object a transaction: no two have the same.
 *
 * The link goes through: looking (is it the etcd that we know?), listing (only where the watch
 * cannot begin behind what is here), following (the watch is open; our lease is put, and its coming
 * says that we have caught up), up.  Whatever fails leads back to "away": what is here is read, no
 * write is taken, and another look follows, at the next endpoint.  Nothing is ever deleted because etcd
 * is away, empty, or another one.
 *
 * May include: netd/cluster/etcd.h, store.h, codec, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

#define START_MS    30000
#define RETRY_MS    200
#define RETRY_MAX   2000

/* ---- running the loop for an answer ---- */

static void too_late(void *arg)
{
	cluster_answer(arg, -ETIMEDOUT);
}

void cluster_answer(struct cluster *c, int rc)
{
	if (!c->turn.waiting)
		return;
	c->turn.waiting = false;
	c->turn.rc = rc;
	loop_stop(c->loop);
}

int cluster_await(struct cluster *c, int64_t limit_ms)
{
	int r;

	c->turn.waiting = true;
	loop_timer_set(c->turn.limit, limit_ms);
	r = loop_run(c->loop);
	loop_timer_set(c->turn.limit, -1);
	if (c->turn.waiting) {          /* a signal */
		c->turn.waiting = false;
		return r < 0 ? r : -EINTR;
	}
	return c->turn.rc;
}

int cluster_wait(struct cluster *c, int64_t ms)
{
	int r = cluster_await(c, ms);

	return r == -ETIMEDOUT ? 0 : r;
}

/* ---- KEY_META ---- */

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static int parse_meta(const struct etcd_kv *kv, struct cluster_meta *ret)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160];
	int r = doc_parse(kv->value, kv->len, &doc, why);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || !doc_str(doc, "id") || !doc_str(doc, "base"))
		return -EBADMSG;
	copy(ret->id, sizeof(ret->id), doc_str(doc, "id"));
	ret->base = strtoull(doc_str(doc, "base"), NULL, 10);
	ret->seeding = doc_bool(doc, "seeding", false);
	copy(ret->local_prefix, sizeof(ret->local_prefix), doc_str(doc, "localPrefix"));
	copy(ret->service_prefix, sizeof(ret->service_prefix), doc_str(doc, "servicePrefix"));
	ret->there = true;
	return 0;
}

static int take_meta(const struct etcd_reply *reply, struct cluster_meta *ret)
{
	*ret = (struct cluster_meta){ .revision = reply->revision };
	return reply->n ? parse_meta(&reply->kvs[0], ret) : 0;
}

static void looked_at_start(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;

	if (!c->turn.meta)              /* it comes too late, or netd is stopping */
		return;
	if (rc == 0) {
		rc = take_meta(reply, c->turn.meta);
		words = rc < 0 ? "what " KEY_META " says cannot be read" : "";
	}
	copy(c->words, sizeof(c->words), words);
	cluster_answer(c, rc);
}

/* Twice: one that has only just begun may leave a question without an answer. */
int cluster_look(struct cluster *c, struct cluster_meta *ret, char error[STORE_WORDS])
{
	const struct etcd_range range = { .from = KEY_META };
	int r = -ETIMEDOUT;

	c->turn.meta = ret;
	for (int tries = 0; r == -ETIMEDOUT && tries < 2; tries++) {
		r = etcd_get(c->etcd, &range, looked_at_start, c);
		if (r == 0)
			r = cluster_await(c, START_MS * 2);
	}
	c->turn.meta = NULL;
	if (r < 0)
		copy(error, STORE_WORDS, c->words[0] ? c->words : strerror(-r));
	return r;
}

/* ---- the link ---- */

/*
 * The Node is where one looks, and without etcd it cannot be written: this node shows it so.  It is
 * no new version, and no watcher is told.
 */
static int show(struct cluster *c, struct object *node)
{
	const struct kind *kind = &kinds[KIND_NODE];
	struct cache *cache = &c->state->caches[KIND_NODE];
	_cleanup_(doc_freep) struct doc *doc = object_doc(node);
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	struct object *shown;
	char now[24];
	int r;

	time_format(now_realtime_s(), now);
	r = doc ? doc_set_condition(doc, "status.conditions", "podnet.dev/ClusterStore",
				    c->rc ? "False" : "True", c->rc ? c->reason : "EtcdFollowed",
				    c->rc ? c->words : "what etcd has is known here", now) : -ENOMEM;
	if (r <= 0)
		return r;
	bytes = doc_bytes(doc);
	r = bytes ? object_read(kind, bytes, node->rev, &shown) : -ENOMEM;
	if (r < 0)
		return r;
	map_del(&c->state->by_uid, shown->meta->uid);   /* its key is the old one's, which goes */
	r = cache_accept(cache, shown->meta, shown);
	if (r == 0)
		r = cache_commit(cache, shown->meta, shown);
	if (r == 0)
		r = map_put(&c->state->by_uid, shown->meta->uid, shown);
	object_unref(shown);
	return r;
}

static void show_node(struct cluster *c)
{
	const char *name = c->state->conf->node_name;
	const struct slot *s = cache_slot(&c->state->caches[KIND_NODE], "", name);

	if (s && s->committed && s->accepted == s->committed && show(c, s->committed) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=cluster");
}

static void set_why(struct cluster *c, int rc, const char *reason, const char *words)
{
	char quoted[2 * STORE_WORDS];
	bool news = !c->rc || strcmp(c->reason, reason) != 0;

	c->rc = rc;
	copy(c->reason, sizeof(c->reason), reason);
	snprintf(c->words, sizeof(c->words), "%s%.220s", rc == -EADDRINUSE ? "" : "the cluster's store: ",
		 words);
	if (!news)
		return;
	log_event(LOG_LEVEL_ERROR, "etcd_lost", "reason=%s err=%s", reason,
		  log_quote(words, quoted, sizeof(quoted)));
	show_node(c);
	state_health_changed(c->state);
}

void cluster_lost(struct cluster *c, int rc, const char *reason, const char *words)
{
	unsigned shift = c->failures < 4 ? c->failures : 4;
	int64_t wait = (int64_t)RETRY_MS << shift;

	if (rc == -ESHUTDOWN || !c->etcd)       /* netd is stopping */
		return;
	etcd_watch_close(take_ptr(c->watch));
	list_drop(c);
	c->link = LINK_AWAY;
	if (rc == -ESTALE)
		c->must_list = true;
	etcd_next_endpoint(c->etcd);
	set_why(c, rc, reason, words);
	c->failures++;
	loop_timer_set(c->keep, -1);
	loop_timer_set(c->retry, rc == -ESTALE ? 0 : wait < RETRY_MAX ? wait : RETRY_MAX);
	send_fail_all(c, -ENOTCONN, c->words);
	cluster_answer(c, rc);
}

void cluster_up(struct cluster *c)
{
	if (c->link != LINK_FOLLOWING || !c->lease_rev || c->committed < c->lease_rev)
		return;
	c->link = LINK_UP;
	c->failures = c->hand_in_rc = 0;
	if (c->part)
		(void)store_meta_put(c->state->store, CLUSTER_META_WHOLE, "yes");
	c->part = false;
	loop_timer_set(c->unowned, 0);
	loop_timer_set(c->hand_in, 0);
	outcome_free_limbo(c);
	if (c->rc)
		log_event(LOG_LEVEL_INFO, "etcd_found", "endpoint=%s revision=%llu",
			  etcd_endpoint(c->etcd), (unsigned long long)c->state->revision);
	c->rc = 0;
	c->reason[0] = c->words[0] = '\0';
	show_node(c);
	state_health_changed(c->state);
	cluster_answer(c, 0);
}

static void on_events(void *arg, int64_t revision, const struct etcd_kv *kvs, size_t n)
{
	struct cluster *c = arg;
	bool progress = !n;         /* with changes it may be of what comes behind them */
	int r = 0;

	for (; n && kvs->modified <= c->seen; kvs++)
		n--;
	if (n)
		r = deliver(c, kvs, n, kvs[n - 1].modified);
	else if (progress && revision > c->seen)
		r = deliver(c, NULL, 0, revision);
	if (r < 0) {
		c->must_list = true;
		cluster_lost(c, r, "ReplicaFails", strerror(-r));
	}
}

static void on_ended(void *arg, int rc, const char *words, int64_t compacted)
{
	struct cluster *c = arg;

	c->watch = NULL;
	cluster_lost(c, compacted ? -ESTALE : rc, "EtcdUnreachable", words);
}

/*
 * From what was seen last, not behind it: where etcd has been compacted at the very next change, and that
 * was a deletion, it would neither be told nor said to be gone.
 */
void cluster_follow(struct cluster *c)
{
	const struct etcd_watcher watcher = { on_events, on_ended, c };

	c->link = LINK_FOLLOWING;
	if (etcd_watch_open(c->etcd, KEY_ALL, c->seen ? c->seen : 1, &watcher, &c->watch) < 0)
		cluster_lost(c, -ENOMEM, "EtcdUnreachable", "no memory");
	else
		lease_register(c);
}

/* What is wrong with it, or NULL. */
static const char *judge(struct cluster *c, const struct cluster_meta *meta, const char **reason)
{
	*reason = "EtcdEmpty";
	if (!meta->there)
		return "etcd is empty: netd --reseed fills it from the replica of a node";
	*reason = "EtcdSeeding";
	if (meta->seeding)
		return "etcd is being seeded by another node";
	*reason = "EtcdOther";
	if (strcmp(meta->id, c->id) != 0)
		return "etcd has the objects of another cluster";
	*reason = "EtcdBehind";
	if (meta->base == c->base && meta->revision < c->seen)
		return "etcd is at an earlier revision than it was: empty it, and netd --reseed fills it "
		       "from the replica of a node";
	return NULL;
}

static int new_base(struct cluster *c, const struct cluster_meta *meta)
{
	char text[24];

	if (meta->base == c->base)
		return 0;
	c->base = meta->base;
	c->seen = c->committed = 0;
	c->must_list = true;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->base);
	return store_meta_put(c->state->store, CLUSTER_META_BASE, text);
}

static void looked(void *arg, int rc, const char *words, const struct etcd_reply *reply)
{
	struct cluster *c = arg;
	const char *reason = "EtcdUnreachable", *wrong;
	struct cluster_meta meta;

	if (c->link != LINK_LOOKING)
		return;
	if (rc == 0)
		rc = take_meta(reply, &meta);
	if (rc < 0) {
		cluster_lost(c, rc, reason, *words ? words : "what " KEY_META " says cannot be read");
		return;
	}
	wrong = judge(c, &meta, &reason);
	rc = wrong ? -ENODATA : new_base(c, &meta);
	if (rc < 0) {
		cluster_lost(c, rc, reason, wrong ? wrong : strerror(-rc));
		return;
	}
	if (!c->must_list)
		cluster_follow(c);
	else if (list_begin(c, meta.revision) < 0)
		cluster_lost(c, -ENOMEM, "EtcdUnreachable", "no memory");
}

static void look(void *arg)
{
	struct cluster *c = arg;
	const struct etcd_range range = { .from = KEY_META };
	const char *words;

	if (store_health(c->state->store, &words) < 0) {
		loop_timer_set(c->retry, RETRY_MAX);
		return;
	}
	if (c->committed < c->seen) {   /* a list is compared with what has been committed */
		loop_timer_set(c->retry, RETRY_MS);
		return;
	}
	c->link = LINK_LOOKING;
	if (etcd_get(c->etcd, &range, looked, c) < 0)
		cluster_lost(c, -ENOMEM, "EtcdUnreachable", "no memory");
}

void cluster_of(struct cluster *c, struct state *state)
{
	c->state = state;
}

uint64_t cluster_provisional(struct cluster *c)
{
	return OBJECT_PROVISIONAL | ++c->provisional;
}

int64_t cluster_view(const struct cluster *c)
{
	return c->committed;
}

int cluster_health(const struct cluster *c, const char **words)
{
	*words = c->rc ? c->words : "";
	return c->rc ? -ENOTCONN : 0;
}

/* ---- beginning and end ---- */

int cluster_new(const struct etcd_config *conf, struct cluster **ret, char error[STORE_WORDS])
{
	struct cluster *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	copy(error, STORE_WORDS, "no memory");
	if (r < 0)
		return r;
	c->loop = conf->loop;
	/* by this number a node knows its own write again: no other may have the same */
	r = random_bytes(&c->provisional, sizeof(c->provisional));
	c->provisional &= (OBJECT_PROVISIONAL >> 1) - 1;
	if (r == 0)
		r = etcd_open(conf, &c->etcd, error);
	if (r == 0)
		r = loop_timer_new(c->loop, look, c, &c->retry);
	if (r == 0)
		r = loop_timer_new(c->loop, lease_keep, c, &c->keep);
	if (r == 0)
		r = loop_timer_new(c->loop, send_soon, c, &c->soon);
	if (r == 0)
		r = loop_timer_new(c->loop, unowned_look, c, &c->unowned);
	if (r == 0)
		r = loop_timer_new(c->loop, hand_in, c, &c->hand_in);
	if (r == 0)
		r = loop_timer_new(c->loop, too_late, c, &c->turn.limit);
	if (r < 0) {
		cluster_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void cluster_stop(struct cluster *c)
{
	if (!c || !c->etcd)
		return;
	etcd_watch_close(take_ptr(c->watch));
	list_drop(c);
	c->link = LINK_AWAY;
	etcd_close(take_ptr(c->etcd));
	if (c->state)
		send_fail_all(c, -ESHUTDOWN, "netd is stopping");
	if (c->state)
		outcome_free_limbo(c);
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	cluster_stop(c);
	loop_timer_free(c->retry);
	loop_timer_free(c->keep);
	loop_timer_free(c->soon);
	loop_timer_free(c->unowned);
	loop_timer_free(c->hand_in);
	loop_timer_free(c->turn.limit);
	claims_free(c);
	hand_in_free(c);
	lease_free(c);
	free(c);
}

/* What the replica has is known up to the last change in it. */
static void begin_behind(struct cluster *c)
{
	uint64_t rev = c->state->revision;

	c->seen = c->committed = rev > c->base ? (int64_t)(rev - c->base) : 0;
}

static bool is_whole(const struct cluster *c)
{
	char text[8];

	return store_meta_get(c->state->store, CLUSTER_META_WHOLE, text, sizeof(text)) >= 0 &&
	       strcmp(text, "yes") == 0;
}

int cluster_start(struct cluster *c, const struct cluster_meta *meta, const char *identity,
		  bool away, bool fresh, char error[STORE_WORDS])
{
	int r;

	copy(c->id, sizeof(c->id), meta->id);
	copy(c->identity, sizeof(c->identity), identity);
	c->base = meta->base;
	c->words[0] = '\0';
	begin_behind(c);
	c->must_list = fresh || !is_whole(c);
	c->rc = -ENOTCONN;
	copy(c->reason, sizeof(c->reason), "Starting");
	if (away) {
		cluster_lost(c, -ENOTCONN, "EtcdUnreachable", "etcd was not reached at the start");
		return 0;
	}
	look(c);
	r = cluster_await(c, START_MS);
	if (r == -EADDRINUSE || r == -EINTR) {
		copy(error, STORE_WORDS, r == -EINTR ? "stopped by a signal" : c->words);
		return r;
	}
	if (r < 0 && fresh) {
		copy(error, STORE_WORDS, c->words[0] ? c->words : strerror(-r));
		return r;
	}
	return 0;
}
