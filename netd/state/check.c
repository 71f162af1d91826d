/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c - whether a database is sound: what netd --check finds
 *
 * Room: state; reads only.  What is held is written down from the objects first, as the keys that
 * claims would have, and then compared with the claims.  May include: store.h, codec, model,
 * netd/base.
 */
#include "cluster_inner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

/** Something that an object holds. */
struct held {
	char *key;                  /* "ip default/10.244.0.5" */
	const char *owner;          /* uid, in `owners` */
	bool claimed;
};

struct checking {
	bool replica;               /* of a cluster's store */
	struct state_check *found;
	void (*problem)(void *arg, const char *words);
	void *arg;
	struct arena arena;
	struct map owners;          /* uid -> name, of all objects */
	struct map held;            /* key -> struct held */
	struct map names;           /* of objects, to find one that is there twice */
	struct map claims;          /* keys as they should be written, of all claims */
	struct map unmade;          /* uids of pods that hold nothing any more */
};

__attribute__((format(printf, 2, 3)))
static void tell(struct checking *c, const char *fmt, ...)
{
	char words[2 * STORE_WORDS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	c->found->problems++;
	c->problem(c->arg, words);
}

static void integrity(void *arg, const char *words)
{
	tell(arg, "the database: %s", words);
}

static int hold(struct checking *c, const char *owner, const char *network,
		const struct podnet_prefix *ip)
{
	char text[PODNET_PREFIX_STRLEN];
	struct held *h = arena_alloc(&c->arena, sizeof(*h));
	const struct held *other;

	podnet_prefix_format_addr(ip, text);
	if (h)
		h->key = arena_printf(&c->arena, "ip %s/%s", network, text);
	if (!h || !h->key)
		return -ENOMEM;
	h->owner = owner;
	other = map_get(&c->held, h->key);
	if (other)
		tell(c, "%s is held by %s and by %s", h->key,
		     (const char *)map_get(&c->owners, other->owner),
		     (const char *)map_get(&c->owners, owner));
	return other ? 0 : map_put(&c->held, h->key, h);
}

static int hold_pod(struct checking *c, const char *owner, const struct pod *pod)
{
	int r = 0;

	for (size_t i = 0; i < pod->nattached; i++)
		for (size_t k = 0; r == 0 && k < pod->attached[i].nips; k++)
			r = hold(c, owner, pod->attached[i].network, &pod->attached[i].ips[k]);
	return r;
}

static int hold_service(struct checking *c, const char *owner, const struct service *svc)
{
	struct podnet_prefix port;
	int r = 0;

	for (size_t i = 0; r == 0 && i < svc->ncluster_ips; i++)
		r = hold(c, owner, CLAIM_SERVICES, &svc->cluster_ips[i]);
	for (size_t i = 0; r == 0 && i < svc->ningress && svc->from_pool; i++)
		if (svc->ingress[i].ip.family)
			r = hold(c, owner, CLAIM_BALANCERS, &svc->ingress[i].ip);
	for (size_t i = 0; r == 0 && i < svc->nports; i++) {
		port = claim_port(svc->ports[i].node_port);
		if (svc->ports[i].node_port && svc->ports[i].node_port != svc->health_check_port &&
		    !service_port_seen(svc, i))
			r = hold(c, owner, CLAIM_NODE_PORTS, &port);
	}
	port = claim_port(svc->health_check_port);
	return r == 0 && svc->health_check_port ? hold(c, owner, CLAIM_NODE_PORTS, &port) : r;
}

static int add_object(struct checking *c, const struct row *row, const struct object *obj)
{
	const struct meta *meta = obj->meta;
	char *name = arena_printf(&c->arena, "%s %s%s%s", row->kind, row->ns, *row->ns ? "/" : "",
				  row->name);
	char *uid = arena_strdup(&c->arena, meta->uid);
	bool here = false;

	if (!name || !uid)
		return -ENOMEM;
	if (map_get(&c->names, name))
		tell(c, "%s is there twice", name);
	if (map_get(&c->owners, uid))
		tell(c, "%s has the uid of %s", name, (const char *)map_get(&c->owners, uid));
	if (map_put(&c->names, name, name) < 0 || map_put(&c->owners, uid, name) < 0)
		return -ENOMEM;
	if (obj->kind->id == KIND_POD && obj->pod->node_name) {
		here = strcmp(obj->pod->node_name, c->found->node) == 0;
		c->found->pods += here;
	}
	if (map_get(&c->unmade, uid))
		return 0;
	if (obj->kind->id == KIND_POD)  /* each node claims the addresses of its own pods */
		return here || !c->replica ? hold_pod(c, uid, obj->pod) : 0;
	return obj->kind->id == KIND_SERVICE ? hold_service(c, uid, obj->service) : 0;
}

/* Their row is called UID.REVISION (pending.c). */
static int find_unmade(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
		       const char *text, size_t len)
{
	struct checking *c = arg;
	char *uid;

	(void)ns;
	(void)rev;
	(void)text;
	(void)len;
	if (strcmp(kind, UNMADE_KIND) != 0)
		return 0;
	uid = arena_printf(&c->arena, "%.*s", (int)strcspn(name, "."), name);
	return uid ? map_put(&c->unmade, uid, uid) : -ENOMEM;
}

static int check_object(void *arg, const char *kind, const char *ns, const char *name, uint64_t rev,
			const char *text, size_t len)
{
	struct row row = { .kind = kind, .ns = ns, .name = name, .rev = rev };
	_cleanup_(bytes_unrefp) struct bytes *bytes = bytes_new(text, len);
	_cleanup_(tape_fini) struct tape tape = { 0 };
	struct checking *c = arg;
	char why[STORE_WORDS];
	struct object *obj;
	int r;

	c->found->objects++;
	if (rev > c->found->revision)
		tell(c, "%s %s/%s has revision %" PRIu64 ", and the counter is at %" PRIu64, kind,
		     ns, name, rev, c->found->revision);
	r = bytes ? row_object(&row, bytes, &tape, &obj, why) : -ENOMEM;
	if (r == -EBADMSG)
		tell(c, "%s", why);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = row.tombstone || row.unmade ? 0 : add_object(c, &row, obj);
	object_unref(obj);
	return r;
}

/* The key as it should be written, so that none can be claimed in two ways; NULL: it is none. */
static char *proper_key(struct checking *c, const char *kind, const char *key)
{
	bool block = strcmp(kind, "block") == 0;
	const char *slash = strchr(key, '/');
	char text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix p;

	if ((!block && strcmp(kind, "ip") != 0) || !slash || slash == key ||
	    podnet_prefix_parse(slash + 1, &p) < 0)
		return NULL;
	if (block)
		podnet_prefix_format(&p, text);
	else
		podnet_prefix_format_addr(&p, text);
	return arena_printf(&c->arena, "%s %.*s/%s", kind, (int)(slash - key), key, text);
}

static void check_holder(struct checking *c, const char *kind, const char *key, const char *owner,
			 const char *proper)
{
	const char *name = map_get(&c->owners, owner);
	struct held *held = map_get(&c->held, proper);

	if (!name && strcmp(kind, "block") == 0)
		return;                 /* of a Node that was deleted: the next start frees it */
	if (!name) {
		tell(c, "the claim %s %s is of %s, which is not there", kind, key, owner);
		return;
	}
	if (strcmp(kind, "ip") != 0)
		return;
	if (!held || strcmp(held->owner, owner) != 0)
		tell(c, "the claim %s %s is of %s, which does not hold it", kind, key, name);
	else
		held->claimed = true;
}

static int check_claim(void *arg, const char *kind, const char *key, const char *owner,
		       int64_t free_after)
{
	struct checking *c = arg;
	char *proper = proper_key(c, kind, key);

	(void)free_after;
	c->found->claims++;
	if (!proper) {
		tell(c, "the claim %s %s cannot be read", kind, key);
		return 0;
	}
	if (map_get(&c->claims, proper))
		tell(c, "%s is claimed twice", proper);
	if (map_put(&c->claims, proper, proper) < 0)
		return -ENOMEM;
	if (*owner)             /* else it cools down, and is nobody's */
		check_holder(c, kind, key, owner, proper);
	return 0;
}

static void check_unclaimed(struct checking *c)
{
	struct held *held;
	size_t pos = 0;

	while ((held = map_next(&c->held, &pos)))
		if (!held->claimed && map_get(&c->owners, held->owner))
			tell(c, "%s is held by %s and not claimed", held->key,
			     (const char *)map_get(&c->owners, held->owner));
}

static bool is_json(const char *text, size_t len)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160];

	return doc_parse(text, len, &doc, why) == 0;
}

static int check_event(void *arg, uint64_t rev, enum store_event_type type, const char *kind,
		       const char *ns, const char *name, const char *bytes, size_t len,
		       const char *prev, size_t prev_len)
{
	struct checking *c = arg;

	c->found->events++;
	if (rev > c->found->revision)
		tell(c, "the history goes to revision %" PRIu64 ", and the counter is at %" PRIu64,
		     rev, c->found->revision);
	if (type > STORE_DELETED || !is_json(bytes, len) || (prev && !is_json(prev, prev_len)))
		tell(c, "the history of %s %s/%s at revision %" PRIu64 " is no object", kind, ns,
		     name, rev);
	return 0;
}

int state_check(struct store *view, void (*problem)(void *arg, const char *words), void *arg,
		struct state_check *ret)
{
	struct checking c = { .found = ret, .problem = problem, .arg = arg };
	char name[280];
	int r;

	*ret = (struct state_check){ .revision = store_revision(view) };
	if (store_meta_get(view, STATE_META_NODE, ret->node, sizeof(ret->node)) < 0)
		ret->node[0] = '\0';
	c.replica = store_meta_get(view, CLUSTER_META_ID, name, sizeof(name)) >= 0;
	snprintf(name, sizeof(name), "%s %s", kinds[KIND_NODE].store_name, ret->node);
	r = store_integrity(view, integrity, &c);
	if (r >= 0)
		r = store_load(view, find_unmade, &c);
	if (r == 0)
		r = store_load(view, check_object, &c);
	if (r == 0)
		r = store_load_claims(view, check_claim, &c);
	if (r == 0)
		check_unclaimed(&c);
	if (!map_get(&c.names, name))
		ret->pods = 0;
	if (r == 0)
		r = store_history(view, NULL, 0, UINT32_MAX, check_event, &c);
	map_fini(&c.owners);
	map_fini(&c.held);
	map_fini(&c.names);
	map_fini(&c.claims);
	map_fini(&c.unmade);
	arena_fini(&c.arena);
	return r < 0 ? r : 0;
}
