/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * load.c - from the rows of the store to objects, at start
 *
 * Room: state.  What carries no object is taken out of the kernel, so a row that cannot be read must
 * not be passed over: its object may well be running.  netd then does not start, says which row it
 * is, and leaves the kernel alone.  May include: store.h, codec, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <stdio.h>

int state_fail(char error[STORE_WORDS], int r, const char *what)
{
	snprintf(error, STORE_WORDS, "%s: %s", what, strerror(-r));
	return r;
}

/* What does not agree between a row and the object in it; NULL: nothing. */
static const char *disagrees(const struct row *row, const struct object *obj)
{
	const struct meta *meta = obj->meta;
	char key[128];

	if (!meta->uid || !*meta->uid)
		return "has no uid";
	if (!row->tombstone) {
		if (strcmp(row->ns, meta->ns) != 0 || strcmp(row->name, meta->name) != 0)
			return "is the row of another object";
		return row->rev != meta->rev ? "is not of the revision that its row says" : NULL;
	}
	snprintf(key, sizeof(key), "%.64s.%llu", meta->uid, (unsigned long long)meta->rev);
	return strcmp(row->name, key) != 0 ? "is the row of another object" : NULL;
}

static int complain(const struct row *row, const char *what, const char *more,
		    char why[STORE_WORDS])
{
	snprintf(why, STORE_WORDS, "%.60s %.60s%s%.80s %s%s%.80s", row->kind, row->ns,
		 *row->ns ? "/" : "", row->name, what, *more ? ": " : "", more);
	return -EBADMSG;
}

int row_object(struct row *row, const char *text, size_t len, struct object **ret,
	       char why[STORE_WORDS])
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = bytes_new(text, len);
	_cleanup_(doc_freep) struct doc *doc = NULL;
	const struct kind *kind;
	const char *wrong;
	char more[160];
	int r = bytes ? doc_parse(text, len, &doc, more) : -ENOMEM;

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return complain(row, "is no object", more, why);
	row->tombstone = strcmp(row->kind, TEARDOWN_KIND) == 0;
	kind = row->tombstone ? object_kind_of(doc) : kind_by_store_name(row->kind);
	if (!kind)
		return complain(row, "is of a kind that this netd does not know", "", why);
	r = object_new(kind, doc, bytes, row->rev, ret);
	if (r < 0)
		return r;
	wrong = disagrees(row, *ret);
	if (!wrong)
		return 0;
	object_unref(take_ptr(*ret));
	return complain(row, wrong, "", why);
}

struct loading {
	struct state *state;
	char *error;
};

static int keep_object(struct loading *l, const struct row *row, struct object *obj)
{
	struct state *state = l->state;
	struct cache *c = &state->caches[obj->kind->id];

	if (cache_slot(c, obj->meta->ns, obj->meta->name) || map_get(&state->by_uid, obj->meta->uid))
		return complain(row, "is there twice, by name or by uid", "", l->error);
	if (cache_commit(c, obj->meta, obj) < 0 || cache_accept(c, obj->meta, obj) < 0)
		return -ENOMEM;
	return map_put(&state->by_uid, obj->meta->uid, obj);
}

static int load_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		       const char *text, size_t len)
{
	struct row row = { .kind = kind, .ns = ns, .name = name, .rev = rev };
	struct loading *l = arg;
	struct object *obj;
	int r = row_object(&row, text, len, &obj, l->error);

	if (r < 0)
		return r;
	if (row.tombstone)      /* it is kept under a later revision than its own */
		obj->rev = obj->meta->rev;
	r = row.tombstone ? tombstone_add(l->state, obj) : keep_object(l, &row, obj);
	object_unref(obj);
	return r;
}

static int load_claim(void *arg, const char *kind, const char *key, const char *owner,
		      int64_t free_after)
{
	const struct loading *l = arg;
	int r = ipam_load(l->state->ipam, kind, key, owner, claim_cooling(free_after));

	if (r != -EINVAL)
		return r;
	snprintf(l->error, STORE_WORDS, "the claim %.60s %.100s cannot be read", kind, key);
	return -EBADMSG;
}

/* The Node comes before the claims: only its own blocks are this node's. */
int state_load(struct state *state, char error[STORE_WORDS])
{
	struct loading l = { state, error };
	struct object *node;
	int r;

	error[0] = '\0';
	r = store_load(state->store, load_object, &l);
	if (r < 0)
		return error[0] ? r : state_fail(error, r, "reading the objects");
	node = state_get(state, &kinds[KIND_NODE], "", state->conf->node_name);
	r = node ? state_set_node(state, node->meta->uid) : 0;
	if (r == 0)
		r = store_load_claims(state->store, load_claim, &l);
	return r < 0 && !error[0] ? state_fail(error, r, "reading the claims") : r;
}
