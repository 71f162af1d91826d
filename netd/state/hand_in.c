/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hand_in.c - what a node did by itself while etcd was away is done in etcd
 *
 * Room: state.  Deletions first, each of the pod with that uid and no other; then what was made, if
 * nothing is called so.  What etcd does not take goes from here, for etcd's is what all others see.  All
 * of it may be tried again: what had been done is found in what has been delivered.
 *
 * A pod that others' finalizers hold has left this kernel, and another may have its addresses by now: it
 * is marked in etcd as one that has ended and has none.  From then on it is there for this node as for
 * all, but where the one that was made under its name waits for it.
 * May include: netd/cluster/etcd.h, codec, model, netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>

#define RETRY_MS    1000

/* Of a link that is lost its own line tells; else once, however often it is tried again. */
static void log_failure(struct cluster *c, int rc, const char *error)
{
	char quoted[2 * STORE_WORDS];

	if (c->link != LINK_UP || rc == -ECANCELED || rc == c->hand_in_rc)
		return;
	c->hand_in_rc = rc;
	log_event(LOG_LEVEL_WARNING, "hand_in_failed", "err=%s",
		  log_quote(error, quoted, sizeof(quoted)));
}

static void handed_in(void *arg, int rc, const char *error)
{
	struct cluster *c = arg;

	if (rc < 0)
		log_failure(c, rc, error);
	if (rc < 0 && rc != -ESHUTDOWN)
		loop_timer_set(c->hand_in, rc == -ECANCELED ? 0 : RETRY_MS);
}

static bool is_same(const struct object *a, const struct object *b)
{
	return a && strcmp(a->meta->uid, b->meta->uid) == 0;
}

static const struct slot *slot_of(const struct cluster *c, const struct object *pod)
{
	return cache_slot(&c->state->caches[KIND_POD], pod->meta->ns, pod->meta->name);
}

/* ---- deletions ---- */

/* Others' finalizers hold it: it is marked, and waits for them. */
static int mark(struct txn *txn, struct object *obj)
{
	_cleanup_(doc_freep) struct doc *doc = object_doc(obj);
	int64_t at = now_realtime_s();
	struct object *marked;
	char now[24];
	int r;

	if (obj->meta->deleted && obj->meta->deleted < at)
		at = obj->meta->deleted;
	time_format(at, now);
	r = doc ? doc_set_str(doc, "metadata.deletionTimestamp", now) : -ENOMEM;
	if (r == 0)
		r = doc_set_int(doc, "metadata.deletionGracePeriodSeconds", 0);
	if (r == 0)
		r = doc_set_json(doc, "status", "{\"phase\":\"Failed\"}");
	return r < 0 ? r : txn_put(txn, obj->kind, doc, obj, &marked);
}

static bool is_marked(const struct object *obj)
{
	return obj->meta->deleted && obj->meta->nfinalizers && object_unattached(obj);
}

static int settle(struct cluster *c, struct object *last)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int r;

	if (last->settling)
		return 0;
	r = txn_new(c->state, &txn);
	if (r == 0)
		r = pending_settled(txn, last);
	if (r == 0)
		txn_store(take_ptr(txn), true, handed_in, c);
	return r;
}

static int delete_pod(struct cluster *c, struct object *last)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	const struct slot *s = slot_of(c, last);
	struct object *obj = s && is_same(s->accepted, last) ? s->accepted : NULL;
	bool same = s && is_same(s->committed, last);
	int r;

	if (!obj)
		return same ? 0 : settle(c, last);      /* or it is on its way */
	if (is_marked(obj))
		return obj != s->committed || pending_waits(c->state, obj) ? 0 : settle(c, last);
	r = txn_new(c->state, &txn);
	if (r == 0)
		r = obj->meta->nfinalizers ? mark(txn, obj) : txn_delete(txn, obj, NULL);
	if (r == 0)
		txn_submit(take_ptr(txn), false, handed_in, c);
	return r;
}

/* ---- what was made ---- */

static bool holds(const struct cluster *c, const char *network, const struct podnet_prefix *ip)
{
	const struct podnet_prefix *blocks;
	size_t n = ipam_blocks(c->state->ipam, network, &blocks);

	for (size_t i = 0; i < n; i++)
		if (podnet_prefix_contains(&blocks[i], ip))
			return true;
	return false;
}

/* Its Network, or this node's Node, may have been deleted meanwhile. */
static bool has_address(const struct cluster *c, const struct pod *pod)
{
	for (size_t i = 0; i < pod->nattached; i++)
		for (size_t k = 0; k < pod->attached[i].nips; k++)
			if (!holds(c, pod->attached[i].network, &pod->attached[i].ips[k]))
				return false;
	return true;
}

/* Why etcd cannot have it; NULL: it can, as far as is known here. */
static const char *objection(const struct cluster *c, const struct object *made,
			     const struct object *other)
{
	const struct object *ns = state_get(c->state, &kinds[KIND_NAMESPACE], "", made->meta->ns);

	if (other)
		return "another pod has been made under its name";
	if (!ns)
		return "its namespace is not there any more";
	if (ns->namespace->terminating)
		return "its namespace is being terminated";
	return has_address(c, made->pod) ? NULL : "its addresses are not this node's any more";
}

static int refuse(struct cluster *c, struct object *made, const char *why)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	int r = txn_new(c->state, &txn);

	if (r == 0)
		r = mine_changed(txn, made, NULL);
	if (r == 0)
		r = pending_drop(txn, made);
	if (r < 0)
		return r;
	log_event(LOG_LEVEL_WARNING, "pod_refused", "pod=%s/%s err=\"%s\"", made->meta->ns,
		  made->meta->name, why);
	for (size_t i = 0; i < c->state->nobservers; i++)
		if (c->state->observers[i].refused)
			c->state->observers[i].refused(c->state->observers[i].arg, made, why);
	txn_store(take_ptr(txn), false, handed_in, c);
	return 0;
}

/* As a version of its own, which etcd's revision is written to. */
static int offer(struct cluster *c, struct object *made)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	_cleanup_(doc_freep) struct doc *doc = object_doc(made);
	struct object *obj;
	int r = doc ? txn_new(c->state, &txn) : -ENOMEM;

	if (r == 0)
		r = txn_put(txn, made->kind, doc, NULL, &obj);
	if (r < 0)
		return r;
	made->offered = true;
	txn_submit(take_ptr(txn), false, handed_in, c);
	return 0;
}

static int create_pod(struct cluster *c, struct object *made)
{
	const struct slot *s = slot_of(c, made);
	const struct object *other = !s ? NULL : s->accepted ? s->accepted : s->committed;
	const char *why;

	if (other && is_same(other, made))
		return 0;               /* it is on its way */
	if (other && (!s->accepted || pending_unmade(c->state, other)))
		return 0;               /* that goes: pending_moved() */
	why = objection(c, made, other);
	return why ? refuse(c, made, why) : offer(c, made);
}

/* ---- what was written after it was handed in ---- */

/* It came back as it was handed in; an earlier time without an answer, perhaps, and has changed since. */
struct handed {
	struct cluster *cluster;
	struct object *made;        /* its newest version here */
	struct object *is;          /* etcd's */
	struct handed *next;
};

static void handed_free(struct handed *h)
{
	object_unref(h->made);
	object_unref(h->is);
	free(h);
}

static void keep(struct cluster *c, struct handed *h)
{
	h->next = c->handed;
	c->handed = h;
}

void hand_in_seen(struct cluster *c, struct object *made, struct object *is)
{
	struct handed *h = calloc(1, sizeof(*h));

	if (!h) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=hand_in");
		return;
	}
	*h = (struct handed){ .cluster = c, .made = object_ref(made), .is = object_ref(is) };
	keep(c, h);
	loop_timer_set(c->hand_in, 0);
}

void hand_in_free(struct cluster *c)
{
	struct handed *h;

	while ((h = c->handed)) {
		c->handed = h->next;
		handed_free(h);
	}
}

/* With etcd again, or upon what it has been built on meanwhile, or when there is room. */
static void try_again(struct handed *h, int rc)
{
	keep(h->cluster, h);
	loop_timer_set(h->cluster->hand_in, rc == -ECANCELED ? 0 : RETRY_MS);
}

static void amended(void *arg, int rc, const char *error)
{
	struct handed *h = arg;

	if (rc < 0)
		log_failure(h->cluster, rc, error);
	if (rc == 0 || rc == -ESHUTDOWN || rc == -EMSGSIZE || rc == -EINVAL)
		handed_free(h);         /* done, or etcd will never take it */
	else
		try_again(h, rc);
}

/* The three that are compared, and what comes of them; it begins as what is there. */
struct amendment {
	struct doc *made, *was, *is, *to;
};

static void amendment_fini(struct amendment *a)
{
	doc_free(a->made);
	doc_free(a->was);
	doc_free(a->is);
	doc_free(a->to);
}

/* Each by itself.  Where both have written, etcd's stays, which others have seen. */
static int amend_members(struct amendment *a, const struct object *now)
{
	static const char *const members[] = {
		"metadata.labels", "metadata.annotations", "metadata.finalizers", "metadata.ownerReferences",
		"metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds", "spec",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
		if (doc_equal_at(a->made, a->was, members[i]) || doc_equal_at(a->made, a->is, members[i]))
			continue;
		if (doc_equal_at(a->is, a->was, members[i]))
			r = doc_set_copy(a->to, members[i], a->made, members[i]);
		else
			log_event(LOG_LEVEL_WARNING, "hand_in_overtaken", "pod=%s/%s member=%s", now->meta->ns,
				  now->meta->name, members[i]);
	}
	return r;
}

static bool has_ended(const struct doc *pod)
{
	const char *phase = doc_str(pod, "status.phase");

	return phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0);
}

/*
 * It is this node's own.  What a runtime was told is written here counts, for what was written meanwhile was
 * built upon less; but addresses that have changed are as they are now, and what has ended has ended.
 */
static int amend_status(struct amendment *a)
{
	static const char *const addresses[] = { "status.networks", "status.podIP", "status.podIPs" };
	int r = 0;

	if (doc_equal_at(a->made, a->was, "status") || (has_ended(a->is) && !has_ended(a->was)))
		return 0;
	r = doc_set_copy(a->to, "status", a->made, "status");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(addresses); i++)
		if (!doc_equal_at(a->is, a->was, addresses[i]))
			r = doc_set_copy(a->to, addresses[i], a->is, addresses[i]);
	return r;
}

/* What was written here, upon what etcd has by now. */
static int amendment(const struct handed *h, const struct object *now, struct doc **ret)
{
	_cleanup_(amendment_fini) struct amendment a = {
		object_doc(h->made), object_doc(h->is), object_doc(now), object_doc(now),
	};
	int r = a.made && a.was && a.is && a.to ? amend_members(&a, now) : -ENOMEM;

	if (r == 0)
		r = amend_status(&a);
	if (r == 0)
		*ret = take_ptr(a.to);
	return r;
}

static void amend(struct cluster *c, struct handed *h)
{
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	const struct slot *s = slot_of(c, h->made);
	struct object *was = s && is_same(s->accepted, h->made) ? s->accepted : NULL, *obj = NULL;
	int r = was ? amendment(h, was, &doc) : -ENOENT;

	if (r == 0)
		r = txn_new(c->state, &txn);
	if (r == 0)
		r = txn_put(txn, was->kind, doc, was, &obj);
	if (r == -ENOMEM)
		try_again(h, r);
	else if (r < 0 || obj == was)
		handed_free(h);
	else
		txn_submit(take_ptr(txn), false, amended, h);
}

static void amend_all(struct cluster *c)
{
	struct handed *next;

	for (struct handed *h = take_ptr(c->handed); h; h = next) {
		next = h->next;
		amend(c, h);
	}
}

void hand_in(void *arg)
{
	struct cluster *c = arg;
	const struct cache *made = &c->state->made;
	struct object *last;
	size_t pos = 0;
	int r = 0;

	if (c->link != LINK_UP)
		return;                 /* cluster_up() calls again */
	amend_all(c);
	if (!pending_any(c->state))
		return;
	if (!c->state->nobservers) {    /* netd has not begun to look */
		loop_timer_set(c->hand_in, RETRY_MS);
		return;
	}
	while (r == 0 && (last = map_next(&c->state->unmade, &pos)))
		r = delete_pod(c, last);
	for (size_t i = 0; r == 0 && i < made->n; i++)
		if (made->slots[i].accepted)
			r = create_pod(c, made->slots[i].accepted);
	if (r < 0)
		loop_timer_set(c->hand_in, RETRY_MS);
}
