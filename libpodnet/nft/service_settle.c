/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_settle.c - connections that the kernel still leads where nobody serves any more
 *
 * Room: which entries of connection tracking are stale; podnet/conntrack.h deletes them.  May
 * include: services.h, libpodnet/base.
 *
 * Rules see the first packet of a connection only; the rest follows its entry, for ever when a UDP
 * client never pauses.  An entry is stale when it was meant for a frontend of ours and who answers
 * is none of its endpoints: that needs no knowledge of what happened, so nothing that went while
 * nobody looked is missed, and right entries survive any restart.  TCP that got an answer is left
 * to its ends, and so is an answered UDP exchange without NAT: a process of the node had that.
 *
 * Looked at are frontends that changed, all in one pass, and each twice: a packet that was under
 * way when the commit came may make its entry after the first look.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <netinet/in.h>
#include <podnet/conntrack.h>

#define FEW_KEYS 2                  /* each costs a walk, and all together cost two or three */
#define FEW_ENDPOINTS 16            /* not worth an index */

/* ---- which frontends are to be looked at ---- */

static bool same_key(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct svc_key)) == 0;
}

static bool is_due(const struct svc_unsettled *u, const struct svc_key *key)
{
	return pn_table_get(&u->keys, pn_hash(key, sizeof(*key)), same_key, key);
}

static bool is_all(const struct podnet_services *s)
{
	return s->unsettled[0].all || s->unsettled[1].all;
}

static void forget(struct svc_unsettled *u)
{
	size_t i = 0;

	for (void *key; (key = pn_table_next(&u->keys, &i)); )
		free(key);
	free(u->keys.v);
	*u = (struct svc_unsettled){ 0 };
}

void svc_settled(struct podnet_services *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->unsettled); i++)
		forget(&s->unsettled[i]);
}

void svc_unsettle(struct podnet_services *s, const struct svc_key *key)
{
	struct svc_unsettled *u = &s->unsettled[0];
	struct svc_key *copy;

	if (is_due(u, key))
		return;
	copy = malloc(sizeof(*copy));
	if (copy)
		*copy = *key;
	if (copy && pn_table_add(&u->keys, pn_hash(key, sizeof(*key)), copy) == 0)
		return;
	/* no memory for one: then all, which needs none */
	free(copy);
	u->all = true;
}

/* Slots of who stays are kept, so an endpoint that went shows in them; too often is no harm. */
static bool may_lose(const struct svc_dests *old, const struct svc_dests *new)
{
	return new->n < old->n || (old->n && memcmp(old->v, new->v, old->n * sizeof(*old->v)) != 0);
}

bool svc_unsettles(const struct svc_front *old, const struct svc_front *new)
{
	return !old || !new || !old->all.n || may_lose(&old->all, &new->all) ||
	       may_lose(&old->local, &new->local) || may_lose(&old->leaving, &new->leaving);
}

/* ---- what is stale ---- */

static int add_all(struct svc_dests *to, const struct svc_dests *from)
{
	for (size_t i = 0; i < from->n; i++) {
		if (pn_grow(to) < 0)
			return -ENOMEM;
		to->v[to->n++] = from->v[i];
	}
	return 0;
}

static bool among(const struct svc_dests *dests, const struct svc_dest *dest)
{
	for (size_t i = 0; i < dests->n; i++)
		if (svc_dest_cmp(&dests->v[i], dest) == 0)
			return true;
	return false;
}

/* Sorted once, when a long list is first asked; a front never changes. */
static int index_endpoints(struct svc_front *f)
{
	if (f->known.n)
		return 0;
	if (add_all(&f->known, &f->all) < 0 || add_all(&f->known, &f->local) < 0 ||
	    add_all(&f->known, &f->leaving) < 0) {
		f->known.n = 0;
		return -ENOMEM;
	}
	qsort(f->known.v, f->known.n, sizeof(*f->known.v), svc_dest_cmp);
	return 0;
}

int svc_serves(struct svc_front *f, const struct svc_dest *dest)
{
	int r;

	if (f->all.n + f->local.n + f->leaving.n <= FEW_ENDPOINTS)
		return among(&f->all, dest) || among(&f->local, dest) || among(&f->leaving, dest);
	r = index_endpoints(f);
	if (r < 0)
		return r;
	return bsearch(dest, f->known.v, f->known.n, sizeof(*f->known.v), svc_dest_cmp) != NULL;
}

static bool is_node_ip(const struct podnet_services *s, const struct svc_key *key)
{
	size_t size = key->family == SVC_V4 ? 4 : 16;

	for (size_t i = 0; i < s->node_ips.n; i++)
		if (s->node_ips.v[i].family == key->family &&
		    memcmp(s->node_ips.v[i].key, key->addr, size) == 0)
			return true;
	return false;
}

struct svc_entry *svc_meant_for(const struct podnet_services *s, const struct svc_key *key)
{
	struct svc_entry *e = svc_find(s, key);
	struct svc_key port = *key;

	memset(port.addr, 0, sizeof(port.addr));
	return e || !is_node_ip(s, key) ? e : svc_find(s, &port);
}

static bool due(const struct podnet_services *s, const struct svc_key *key)
{
	return is_due(&s->unsettled[0], key) || is_due(&s->unsettled[1], key);
}

/*
 * 1: the entry was meant for this frontend and is stale; 0: it is right; -ENOENT: none of ours.
 * The endpoint of a range has no port of its own.
 */
static int judge(const struct podnet_services *s, const struct svc_key *key,
		 const struct podnet_conntrack *c)
{
	struct svc_dest dest = { .port_be = key->last_be ? 0 : htons(c->reply.sport) };
	const struct svc_entry *e = svc_find(s, key);
	bool listed = due(s, key);
	int r;

	if (!e && !listed)
		return -ENOENT;
	if (!listed && !is_all(s))
		return 0;
	if (!e || !e->sent)
		return 1;
	memcpy(dest.addr, c->reply.src.addr, sizeof(dest.addr));
	r = svc_serves(e->sent, &dest);
	return r < 0 ? r : !r;
}

static bool key_of(const struct podnet_conntrack *c, struct svc_key *ret)
{
	*ret = (struct svc_key){
		.family = c->original.dst.family == AF_INET ? SVC_V4 : SVC_V6,
		.port_be = htons(c->original.dport),
	};
	memcpy(ret->addr, c->original.dst.addr, sizeof(ret->addr));
	for (ret->proto = 0; ret->proto < SVC_PROTOS; ret->proto++)
		if (svc_protocols[ret->proto] == c->protocol)
			return true;
	return false;
}

static int judge_ranges(const struct podnet_services *s, const struct svc_key *key,
			const struct podnet_conntrack *c)
{
	for (size_t i = 0; i < s->due_ranges.n; i++) {
		const struct svc_key *r = &s->due_ranges.v[i];
		uint16_t port = ntohs(key->port_be);

		if (r->family == key->family && r->proto == key->proto && port >= ntohs(r->port_be) &&
		    port <= ntohs(r->last_be) && memcmp(r->addr, key->addr, sizeof(r->addr)) == 0)
			return judge(s, r, c);
	}
	return -ENOENT;
}

static int is_stale(const struct podnet_conntrack *c, void *arg)
{
	const struct podnet_services *s = arg;
	bool nat = c->status & PODNET_CONNTRACK_DST_NAT;
	struct svc_key key;
	int r;

	if (c->status & PODNET_CONNTRACK_REPLIED && (c->protocol != IPPROTO_UDP || !nat))
		return 0;
	if (!key_of(c, &key))
		return 0;
	r = judge(s, &key, c);
	if (r == -ENOENT)
		r = judge_ranges(s, &key, c);
	if (r == -ENOENT && is_node_ip(s, &key)) {
		memset(key.addr, 0, sizeof(key.addr));
		r = judge(s, &key, c);
	}
	return r == -ENOENT ? 0 : r;
}

/* ---- the passes ---- */

struct cursor {
	size_t list, at;
};

/* The next frontend that is due; one that is for the first and the second look comes once. */
static const struct svc_key *next_due(const struct podnet_services *s, struct cursor *c)
{
	const struct svc_key *key;

	for (; c->list < ARRAY_SIZE(s->unsettled); c->list++, c->at = 0)
		while ((key = pn_table_next(&s->unsettled[c->list].keys, &c->at)))
			if (c->list == 0 || !is_due(&s->unsettled[0], key))
				return key;
	return NULL;
}

/** What the frontends to be looked at are of. */
struct kinds {
	bool family[SVC_FAMILIES], udp;
	size_t n;
};

static void add_kind(struct kinds *k, const struct svc_key *key)
{
	k->family[key->family] = true;
	k->udp |= key->proto == SVC_UDP;
	k->n++;
}

static struct kinds kinds_of(const struct podnet_services *s)
{
	struct kinds k = { .n = 0 };
	struct cursor c = { 0 };

	for (const struct svc_key *key; (key = next_due(s, &c)); )
		add_kind(&k, key);
	if (is_all(s)) {
		size_t at = 0;

		for (const struct svc_entry *e; (e = pn_table_next(&s->entries, &at)); )
			add_kind(&k, &e->key);
		k.n += FEW_KEYS + 1;
	}
	return k;
}

static uint8_t af(int family)
{
	return family == SVC_V4 ? AF_INET : AF_INET6;
}

static int pass(struct podnet_services *s, const struct podnet_conntrack_filter *f, int *gone,
		struct podnet_error *err)
{
	int r = podnet_conntrack_delete(s->ctx, f, is_stale, s, err);

	*gone += r > 0 ? r : 0;
	return r < 0 ? r : 0;
}

/* One frontend: to its address, or to its port wherever. */
static int pass_key(struct podnet_services *s, const struct svc_key *key, int *gone,
		    struct podnet_error *err)
{
	static const uint8_t none[16];
	struct podnet_conntrack_filter f = {
		.family = af(key->family), .protocol = svc_protocols[key->proto],
		.dport = key->last_be ? 0 : ntohs(key->port_be),
	};

	if (key->proto != SVC_UDP)
		f.status_mask = PODNET_CONNTRACK_REPLIED;
	if (memcmp(key->addr, none, sizeof(none)) != 0) {
		f.dst = (struct podnet_prefix){ .family = f.family,
						.len = key->family == SVC_V4 ? 32 : 128 };
		memcpy(f.dst.addr, key->addr, sizeof(f.dst.addr));
	}
	return pass(s, &f, gone, err);
}

static int pass_few(struct podnet_services *s, int *gone, struct podnet_error *err)
{
	struct cursor c = { 0 };
	int r = 0;

	for (const struct svc_key *key; r == 0 && (key = next_due(s, &c)); )
		r = pass_key(s, key, gone, err);
	return r;
}

/* All that has no answer yet; then all UDP that was led somewhere. */
static int pass_many(struct podnet_services *s, const struct kinds *k, int *gone,
		     struct podnet_error *err)
{
	struct podnet_conntrack_filter f = { .status_mask = PODNET_CONNTRACK_REPLIED };
	int r;

	if (!k->family[SVC_V4] || !k->family[SVC_V6])
		f.family = af(k->family[SVC_V4] ? SVC_V4 : SVC_V6);
	r = pass(s, &f, gone, err);
	f = (struct podnet_conntrack_filter){
		.protocol = IPPROTO_UDP, .status = PODNET_CONNTRACK_DST_NAT,
		.status_mask = PODNET_CONNTRACK_DST_NAT,
	};
	for (int i = 0; i < SVC_FAMILIES && r == 0 && k->udp; i++) {
		f.family = af(i);
		if (k->family[i])
			r = pass(s, &f, gone, err);
	}
	return r;
}

static int add_range(struct podnet_services *s, const struct svc_key *key)
{
	if (!key->last_be)
		return 0;
	if (pn_grow(&s->due_ranges) < 0)
		return -ENOMEM;
	s->due_ranges.v[s->due_ranges.n++] = *key;
	return 0;
}

/* Those that a port cannot be looked up in. */
static int find_ranges(struct podnet_services *s)
{
	bool all = is_all(s);
	struct cursor c = { 0 };
	size_t at = 0;
	int r = 0;

	s->due_ranges.n = 0;
	for (const struct svc_key *key; r == 0 && (key = next_due(s, &c)); )
		r = add_range(s, key);
	for (const struct svc_entry *e;
	     all && r == 0 && (e = pn_table_next(&s->entries, &at)); )
		r = add_range(s, &e->key);
	return r;
}

int podnet_services_unsettled(const struct podnet_services *s)
{
	return is_all(s) || s->unsettled[0].keys.n || s->unsettled[1].keys.n;
}

int podnet_services_settle(struct podnet_services *s, struct podnet_error *err)
{
	struct kinds k = kinds_of(s);
	int gone = 0, r = find_ranges(s);

	if (r < 0)
		return pn_err(err, r, "services_settle", NULL, NULL);
	if (k.n && k.n <= FEW_KEYS)
		r = pass_few(s, &gone, err);
	else if (k.family[SVC_V4] || k.family[SVC_V6])
		r = pass_many(s, &k, &gone, err);
	if (r < 0)
		return r;
	forget(&s->unsettled[1]);
	s->unsettled[1] = s->unsettled[0];
	s->unsettled[0] = (struct svc_unsettled){ 0 };
	return gone;
}
