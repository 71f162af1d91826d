/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world_store.c - store.h without a thread or a disk
 *
 * Room: tests/fuzz.  It begins with a few objects, so that there is something to read and to write
 * upon; what is submitted waits for world_commit(); the history is a list.
 */
#include "world.h"

#include <errno.h>

#define FIRST_REVISION 1000
#define HISTORY_MAX    256

struct record {
	uint64_t rev;
	enum store_event_type type;
	char *kind, *ns, *name;
	struct bytes *bytes, *prev;
};

struct store {
	uint64_t rev;
	struct store_batch *first, *last;
	struct record history[HISTORY_MAX];
	size_t n;
	struct arena arena;
};

#define META(name, uid, ns, more) \
	"\"metadata\":{\"name\":\"" name "\"," ns "\"uid\":\"uid-" uid "\"," \
	"\"resourceVersion\":\"1000\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\"" more "}"
#define IN_DEFAULT "\"namespace\":\"default\","

static const struct {
	const char *kind, *ns, *name, *text;
} objects[] = {
	{ "namespaces", "", "default", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
	  META("default", "default", "", ",\"labels\":{\"kubernetes.io/metadata.name\":\"default\"}")
	  ",\"spec\":{\"finalizers\":[\"kubernetes\"]},\"status\":{\"phase\":\"Active\"}}" },
	{ "networks.podnet.dev", "", "default", "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":"
	  "\"Network\"," META("default", "network", "", "") ",\"spec\":{\"type\":\"routed\",\"cidrs\":"
	  "[\"10.244.0.0/16\"],\"blockSizes\":[22],\"masquerade\":true}}" },
	{ "nodes", "", "n", "{\"apiVersion\":\"v1\",\"kind\":\"Node\"," META("n", "n", "", "")
	  ",\"spec\":{\"podCIDR\":\"10.244.0.0/22\"}}" },
	{ "pods", "default", "web", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
	  META("web", "web", IN_DEFAULT, ",\"labels\":{\"app\":\"web\"},\"finalizers\":[\"a/b\"]")
	  ",\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":"
	  "\"Pending\"}}" },
	{ "routes.podnet.dev", "", "r", "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":\"Route\","
	  META("r", "r", "", "") ",\"spec\":{\"nodeName\":\"n\",\"type\":\"blackhole\",\"destination\":"
	  "\"10.1.0.0/24\"}}" },
};

int store_open(const struct store_config *conf, struct store **ret, char error[STORE_WORDS])
{
	(void)conf, (void)error;
	*ret = calloc(1, sizeof(**ret));
	must(*ret);
	(*ret)->rev = FIRST_REVISION;
	return 0;
}

void store_close(struct store *store)
{
	for (size_t i = 0; i < store->n; i++) {
		bytes_unref(store->history[i].bytes);
		bytes_unref(store->history[i].prev);
	}
	arena_fini(&store->arena);
	free(store);
}

int store_health(const struct store *store, const char **words)
{
	(void)store;
	*words = "";
	return 0;
}

void store_on_health(struct store *store, void (*changed)(void *arg), void *arg)
{
	(void)store, (void)changed, (void)arg;
}

bool store_lost(struct store *store, uint64_t rev)
{
	(void)store, (void)rev;
	return false;
}

uint64_t store_revision(const struct store *store)
{
	return store->rev;
}

uint64_t store_next_revision(struct store *store)
{
	return ++store->rev;
}

void store_seen(struct store *store, uint64_t rev)
{
	(void)store, (void)rev;
}

int store_meta_get(struct store *store, const char *key, char *buf, size_t size)
{
	(void)store, (void)key, (void)buf, (void)size;
	return -ENOENT;
}

int store_meta_put(struct store *store, const char *key, const char *value)
{
	(void)store, (void)key, (void)value;
	return 0;
}

void store_submit(struct store *store, struct store_batch *batch)
{
	batch->node.next = NULL;
	if (store->last)
		store->last->node.next = &batch->node;
	else
		store->first = batch;
	store->last = batch;
}

static void keep(struct store *s, const struct store_op *op)
{
	struct record *r = &s->history[s->n];

	if (op->type > STORE_DELETE || s->n == HISTORY_MAX || op->kind[0] == '~')
		return;
	s->n++;
	*r = (struct record){
		.rev = op->rev, .kind = arena_strdup(&s->arena, op->kind),
		.ns = arena_strdup(&s->arena, op->ns), .name = arena_strdup(&s->arena, op->name),
		.bytes = bytes_ref(op->bytes), .prev = op->prev ? bytes_ref(op->prev) : NULL,
		.type = op->type == STORE_DELETE ? STORE_DELETED :
			op->prev ? STORE_MODIFIED : STORE_ADDED,
	};
}

bool world_commit(struct store *s)
{
	struct store_batch *batch = s->first;

	if (!batch)
		return false;
	s->first = (struct store_batch *)(void *)batch->node.next;
	if (!s->first)
		s->last = NULL;
	for (size_t i = 0; i < batch->n; i++)
		keep(s, &batch->ops[i]);
	batch->done(batch);
	return true;
}

int store_load(struct store *store,
	       int (*each)(void *arg, const char *kind, const char *ns, const char *name,
			   uint64_t rev, const char *bytes, size_t len), void *arg)
{
	int r = 0;

	(void)store;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(objects); i++)
		r = each(arg, objects[i].kind, objects[i].ns, objects[i].name, FIRST_REVISION,
			 objects[i].text, strlen(objects[i].text));
	return r;
}

int store_load_claims(struct store *store,
		      int (*each)(void *arg, const char *kind, const char *key, const char *owner,
				  int64_t free_after), void *arg)
{
	(void)store, (void)each, (void)arg;
	return 0;
}

int store_history(struct store *store, const char *kind, uint64_t after, unsigned max,
		  int (*each)(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
			      const char *ns, const char *name, const char *bytes, size_t len,
			      const char *prev, size_t prev_len), void *arg)
{
	unsigned told = 0;

	if (after < FIRST_REVISION)
		return -ESTALE;
	for (size_t i = 0; i < store->n && told < max; i++) {
		const struct record *e = &store->history[i];
		int r;

		if (e->rev <= after || (kind && strcmp(kind, e->kind) != 0))
			continue;
		r = each(arg, e->rev, e->type, e->kind, e->ns, e->name, e->bytes->data,
			 e->bytes->len, e->prev ? e->prev->data : NULL, e->prev ? e->prev->len : 0);
		if (r < 0)
			return r;
		told++;
	}
	return (int)told;
}
