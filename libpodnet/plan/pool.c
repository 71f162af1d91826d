/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - namespaces with a veth pair made ahead
 *
 * Room: makes and hands out.  May include: plan/inner.h, link, netns, nl, base, context.h.
 *
 * An entry is an anonymous namespace, held by our descriptor alone, with a netlink socket open in
 * it; lo and both ends are up, address generation is off and the carrier has settled; routes and
 * neighbours inside that all pods have are there, and what one pod is expected to have, its
 * addresses above all: of what a pod needs they cost the most.  Both ifindexes and MACs are known,
 * so handing out needs neither a thread nor a question.  Nothing leads to an address that waits:
 * the route of the host's end comes with the plan, so a guess that was wrong is in nobody's way.  A pool whose process dies goes by itself: the last
 * descriptor takes the namespace with it, and that the pair.
 *
 * A pair that a plan takes keeps the pool's mark: writing another one has the kernel look at the
 * whole IPv6 routing table.  Whose it is says the record of the namespace it leads to.
 * #syscalls: getrandom
 */
#include "inner.h"

#include <errno.h>
#include <sys/random.h>

#define POOL_MAX 1024
#define TRIES 4

struct podnet_pool {
	struct pn_member among;         /* the context's pools; the first member: see pn_pool_holds() */
	struct podnet *ctx;
	struct podnet_pool_spec spec;
	char inside[PODNET_IFNAME_SIZE], master[PODNET_IFNAME_SIZE];
	char alias[PN_ALIAS_SIZE];
	struct pn_objs ahead;           /* routes and neighbours inside, as namespace 0 */
	struct pn_pool_entry *v;
	uint32_t n;
};

/* what is made ahead knows two namespaces: the one inside, and the one that the host's end is in */
enum { INSIDE, HOME };

/* the one namespace inside that the set names; all others are none */
static uint16_t inside_of(const struct podnet_set *set)
{
	for (size_t i = 0; i < set->objs.n; i++)
		if (*set->refs.v[set->objs.v[i].ns].name)
			return set->objs.v[i].ns;
	return UINT16_MAX;
}

static bool may_be_ahead(const struct podnet_pool *pool, const struct podnet_set *set,
			 const struct pn_obj *obj, bool of_one)
{
	bool kind = obj->kind == PN_ROUTE || obj->kind == PN_NEIGH ||
		    (of_one && obj->kind == PN_ADDR);

	if (!*set->refs.v[obj->ns].name)
		return of_one && obj->kind == PN_NEIGH;
	return kind && !strcmp(obj->link, pool->inside) && obj->ns == inside_of(set);
}

/* what the caller wants ahead, checked and copied: it is not kept, nor is its namespace's name */
static int copy_ahead(const struct podnet_pool *pool, const struct podnet_set *set, bool of_one,
		      struct pn_objs *to, struct podnet_error *err)
{
	const char *step = of_one ? "pool_add" : "pool_new", *field = of_one ? "own" : "ahead";

	if (set->error.code) {
		if (err)
			*err = set->error;
		return set->error.code;
	}
	for (size_t i = 0; i < set->objs.n; i++) {
		struct pn_obj obj = set->objs.v[i];

		if (!may_be_ahead(pool, set, &obj, of_one))
			return pn_err(err, -EINVAL, step, field, NULL);
		obj.ns = *set->refs.v[obj.ns].name ? INSIDE : HOME;
		if (obj.ns == HOME)     /* the host's end has the kernel's name for it */
			memset(obj.link, 0, sizeof(obj.link));
		if (pn_objs_insert(to, &obj) < 0)
			return pn_err(err, -ENOMEM, step, NULL, NULL);
	}
	/* as many as the inner batch holds beside lo, the link and its settling */
	if (pool->ahead.n + (of_one ? to->n : 0) > NL_BATCH_MAX - 8)
		return pn_err(err, -EINVAL, step, field, NULL);
	return 0;
}

static void join(struct podnet_pool *pool)
{
	struct podnet *ctx = pool->ctx;

	pool->among.next = ctx->pools;
	pool->among.at = &ctx->pools;
	if (ctx->pools)
		ctx->pools->at = &pool->among.next;
	ctx->pools = &pool->among;
}

static void leave(struct podnet_pool *pool)
{
	if (pool->among.at)
		*pool->among.at = pool->among.next;
	if (pool->among.next)
		pool->among.next->at = pool->among.at;
}

bool pn_pool_holds(const struct podnet *ctx, uint32_t index)
{
	for (const struct pn_member *m = ctx->pools; m; m = m->next) {
		const struct podnet_pool *pool = (const void *)m;

		for (uint32_t i = 0; i < pool->n; i++)
			if (pool->v[i].host == index)
				return true;
	}
	return false;
}

int podnet_pool_new(struct podnet *ctx, const struct podnet_pool_spec *spec,
		    struct podnet_pool **ret, struct podnet_error *err)
{
	const char *inside = spec->inside ? spec->inside : "eth0";
	struct podnet_link link = { .name = inside, .mtu = spec->mtu, .master = spec->master };
	struct podnet_pool *pool;
	int r = pn_link_check(&link, "pool_new", err);

	if (r < 0)
		return r;
	if (!spec->size || spec->size > POOL_MAX)
		return pn_err(err, -EINVAL, "pool_new", "size", NULL);
	pool = calloc(1, sizeof(*pool));
	if (pool)
		pool->v = calloc(spec->size, sizeof(*pool->v));
	if (!pool || !pool->v) {
		free(pool);
		return pn_err(err, -ENOMEM, "pool_new", NULL, NULL);
	}
	pool->ctx = ctx;
	join(pool);
	pool->spec = *spec;
	snprintf(pool->inside, sizeof(pool->inside), "%s", inside);
	snprintf(pool->master, sizeof(pool->master), "%s", spec->master ? spec->master : "");
	snprintf(pool->alias, sizeof(pool->alias), "podnet:%s:" PN_POOL_SCOPE, ctx->owner);
	pool->spec.ahead = NULL;
	r = spec->ahead ? copy_ahead(pool, spec->ahead, false, &pool->ahead, err) : 0;
	if (r < 0) {
		podnet_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

static void entry_fini(struct pn_pool_entry *e)
{
	nl_close(&e->nl);
	closep(&e->tree);
	closep(&e->fd);
	e->tree = e->fd = -1;
	free(e->own.v);
	memset(&e->own, 0, sizeof(e->own));
}

void podnet_pool_free(struct podnet_pool *pool)
{
	if (!pool)
		return;
	leave(pool);
	for (uint32_t i = 0; i < pool->n; i++)
		entry_fini(&pool->v[i]);
	free(pool->ahead.v);
	free(pool->v);
	free(pool);
}

uint32_t podnet_pool_ready(const struct podnet_pool *pool)
{
	return pool->n;
}

static int choose_names(struct podnet_pool *pool, struct pn_pool_entry *e)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t random[25];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	memcpy(e->name, "pn", 2);
	for (int i = 0; i < 13; i++)
		e->name[2 + i] = digits[random[i] & 31];
	e->name[15] = '\0';
	memcpy(e->host_mac, random + 13, 6);
	memcpy(e->inside_mac, random + 19, 6);
	e->host_mac[0] = (uint8_t)((e->host_mac[0] & 0xfc) | 0x02);
	e->inside_mac[0] = (uint8_t)((e->inside_mac[0] & 0xfc) | 0x02);
	e->host = pn_next_index(pool->ctx);
	e->inside = 2;                  /* 1 is lo */
	return 0;
}

static void describe(const struct podnet_pool *pool, const struct pn_pool_entry *e,
		     struct pn_obj *host, struct pn_obj *inside)
{
	memset(host, 0, sizeof(*host));
	host->kind = PN_LINK;
	host->u.dev.type = PN_VETH;
	host->u.dev.flags = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN;
	host->u.dev.mtu = pool->spec.mtu;
	*inside = *host;
	inside->u.dev.end = 1;
	snprintf(host->link, sizeof(host->link), "%s", e->name);
	snprintf(inside->link, sizeof(inside->link), "%s", pool->inside);
	memcpy(host->u.dev.mac, e->host_mac, 6);
	memcpy(inside->u.dev.mac, e->inside_mac, 6);
}

static int keep_index(const struct nlmsghdr *nlh, void *arg)
{
	struct pn_link_seen seen;

	if (pn_link_parse(nlh, &seen) < 0)
		return -EPROTO;
	*(uint32_t *)arg = seen.obj.index;
	return 0;
}

static void put_ahead(const struct podnet_pool *pool, const struct pn_pool_entry *e,
		      const struct pn_objs *objs, uint16_t ns, const struct pn_put *p)
{
	struct pn_put only = *p;

	only.protocol = pool->ctx->protocol;
	/* first what leads to the gateways, then what leads through them */
	for (size_t i = 0; i < 2 * objs->n; i++) {
		struct pn_obj obj = objs->v[i % objs->n];
		bool through = obj.kind == PN_ROUTE && obj.u.route.via.family;

		if (obj.ns != ns || through != (i >= objs->n))
			continue;
		if (obj.kind == PN_NEIGH && obj.u.neigh.of_peer)
			memcpy(obj.u.neigh.mac, ns == HOME ? e->inside_mac : e->host_mac,
			       sizeof(obj.u.neigh.mac));
		pn_kinds[obj.kind]->put(&only, PN_ADD, &obj);
	}
}

static int make_pair(struct podnet_pool *pool, struct pn_pool_entry *e, uint32_t master,
		     struct podnet_error *err)
{
	struct nl_batch *b = &pool->ctx->batch;
	struct pn_obj host, inside;
	struct pn_put p = {
		.b = b, .alias = pool->alias, .index = e->host, .peer_index = e->inside,
		.peer_fd = e->fd, .peer = &inside, .master = master,
	};
	int r;

	describe(pool, e, &host, &inside);
	pn_link_kind.put(&p, PN_ADD, &host);
	r = nl_batch_send(&pool->ctx->rt, b, NULL, err);
	if (r < 0)
		return r;
	p.index = e->inside;
	p.master = 0;
	p.changed = PN_LINK_AFTER_BIRTH;
	pn_netns_put_lo_up(b, NULL);
	pn_link_kind.put(&p, PN_SET, &inside);
	put_ahead(pool, e, &e->own, INSIDE, &p);        /* addresses: a route may name one */
	put_ahead(pool, e, &pool->ahead, INSIDE, &p);
	pn_put_link_settle(&p);
	r = nl_batch_send(&e->nl, b, NULL, err);
	if (r < 0)
		return r;
	p.index = e->host;
	put_ahead(pool, e, &e->own, HOME, &p);
	pn_put_link_settle(&p);
	return nl_batch_send(&pool->ctx->rt, b, NULL, err);
}

static int make_entry(struct podnet_pool *pool, const struct podnet_set *own,
		      struct pn_pool_entry *e, struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	uint32_t master = 0;
	int r;

	memset(e, 0, sizeof(*e));
	e->fd = e->tree = e->nl.fd = -1;
	r = own ? copy_ahead(pool, own, true, &e->own, err) : 0;
	if (r < 0)
		return r;
	if (pool->master[0])
		r = nl_get(&pool->ctx->rt, pn_link_request(buf, 0, pool->master), keep_index,
			   &master, NULL);
	if (r < 0)
		return pn_err(err, r, "pool_fill", "master", NULL);
	r = pn_netns_make(pool->ctx, &e->fd, &e->nl, err);
	if (r == 0)
		e->tree = pn_netns_tree(e->fd);
	for (int i = 0; i < TRIES && r == 0; i++) {
		r = choose_names(pool, e);
		if (r < 0)
			return pn_err(err, r, "pool_fill", NULL, NULL);
		r = make_pair(pool, e, master, err);
		if (r != -EEXIST && r != -EBUSY)
			return r;
		r = i + 1 < TRIES ? 0 : r;      /* the ifindex was taken: the next one */
	}
	return r;
}

/* one more, behind the others: the first has waited longest */
static int add_entry(struct podnet_pool *pool, const struct podnet_set *own,
		     struct podnet_error *err)
{
	struct pn_pool_entry e;
	int r = make_entry(pool, own, &e, err);

	if (r < 0)
		entry_fini(&e);
	else
		pool->v[pool->n++] = e;
	return r;
}

int podnet_pool_fill(struct podnet_pool *pool, uint32_t max, struct podnet_error *err)
{
	uint32_t made = 0;

	for (; made < max && pool->n < pool->spec.size; made++) {
		int r = add_entry(pool, NULL, err);

		if (r < 0)
			return r;
	}
	return (int)made;
}

int podnet_pool_add(struct podnet_pool *pool, const struct podnet_set *own,
		    struct podnet_error *err)
{
	if (pool->n == pool->spec.size)
		return pn_err_why(err, -ENOSPC, "pool_add", NULL, "the pool is full");
	return add_entry(pool, own, err);
}

static bool has_addr(const struct pn_objs *own, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < own->n; i++)
		if (own->v[i].kind == PN_ADDR && !pn_prefix_cmp(&own->v[i].u.addr.prefix, ip))
			return true;
	return false;
}

bool podnet_pool_has(const struct podnet_pool *pool, const struct podnet_prefix *ips, size_t n)
{
	for (uint32_t i = 0; i < pool->n; i++) {
		size_t k = 0;

		while (k < n && has_addr(&pool->v[i].own, &ips[k]))
			k++;
		if (k == n)
			return true;
	}
	return false;
}

bool pn_pool_fits(const struct podnet_pool *pool, const struct pn_obj *host,
		  const struct pn_obj *inside)
{
	static const uint8_t none[6];
	const uint32_t made = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN;
	const uint32_t port = PODNET_LINK_ISOLATED | PODNET_LINK_HAIRPIN;

	return host->u.dev.mtu == pool->spec.mtu && inside->u.dev.mtu == pool->spec.mtu &&
	       !strcmp(inside->link, pool->inside) && !strcmp(host->u.dev.master, pool->master) &&
	       !inside->u.dev.master[0] && !(inside->u.dev.flags & ~made) &&
	       !(host->u.dev.flags & ~(made | port)) && !memcmp(host->u.dev.mac, none, 6) &&
	       !memcmp(inside->u.dev.mac, none, 6);
}

static bool same(const struct pn_obj *a, const struct pn_obj *b)
{
	const struct pn_neigh_attrs *x = &a->u.neigh, *y = &b->u.neigh;

	if (a->kind == PN_ROUTE)
		return !memcmp(&a->u.route, &b->u.route, sizeof(a->u.route));
	if (a->kind == PN_ADDR)
		return !memcmp(&a->u.addr, &b->u.addr, sizeof(a->u.addr));
	return x->of_peer == y->of_peer && (x->of_peer || !memcmp(x->mac, y->mac, sizeof(x->mac)));
}

/* is @obj, made ahead, wanted just so by the plan of @view? */
static bool wanted(const struct pn_pool_view *view, const struct pn_obj *obj)
{
	struct pn_obj key = *obj;
	const struct pn_obj *found;

	key.ns = obj->ns == HOME ? view->home : view->inside;
	if (obj->ns == HOME)
		snprintf(key.link, sizeof(key.link), "%s", view->link);
	found = pn_objs_find(view->want, &key);
	return found && !strcmp(found->link, key.link) && same(found, obj);
}

static bool has(const struct pn_objs *objs, const struct pn_obj *key)
{
	const struct pn_obj *found = pn_objs_find(objs, key);

	return found && !strcmp(found->link, key->link) && same(found, key);
}

bool pn_pool_has(const struct podnet_pool *pool, const struct pn_objs *own,
		 const struct pn_pool_view *view, const struct pn_obj *obj)
{
	struct pn_obj key = *obj;

	if (obj->ns != view->inside && (obj->ns != view->home || strcmp(obj->link, view->link)))
		return false;
	key.ns = obj->ns == view->inside ? INSIDE : HOME;
	if (key.ns == HOME)
		memset(key.link, 0, sizeof(key.link));
	return has(&pool->ahead, &key) || has(own, &key);
}

const struct pn_obj *pn_pool_excess(const struct podnet_pool *pool, const struct pn_objs *own,
				    const struct pn_pool_view *view, size_t *i)
{
	while (*i < pool->ahead.n + own->n) {
		size_t k = (*i)++;
		const struct pn_obj *obj = k < pool->ahead.n ? &pool->ahead.v[k]
							     : &own->v[k - pool->ahead.n];

		if (!wanted(view, obj))
			return obj;
	}
	return NULL;
}

bool pn_pool_at_home(const struct pn_obj *obj)
{
	return obj->ns == HOME;
}

static bool all_wanted(const struct pn_objs *own, const struct pn_pool_view *view)
{
	for (size_t i = 0; i < own->n; i++)
		if (!wanted(view, &own->v[i]))
			return false;
	return own->n > 0;
}

/* Its addresses can go when others of their families come: see drop_excess() in apply.c. */
static bool of_use(const struct pn_objs *own, const struct pn_pool_view *view)
{
	for (size_t i = 0; i < own->n; i++) {
		uint8_t family = own->v[i].u.addr.prefix.family;
		bool found = own->v[i].kind != PN_ADDR;

		for (size_t k = 0; k < view->want->n && !found; k++) {
			const struct pn_obj *want = &view->want->v[k];

			found = want->kind == PN_ADDR && want->ns == view->inside &&
				!strcmp(want->link, own->v[i].link) &&
				want->u.addr.prefix.family == family;
		}
		if (!found)
			return false;
	}
	return true;
}

/*
 * The one that was made for what is wanted; else the newest that was made for nobody; else the
 * oldest: who it was made for may have come and gone.
 */
static uint32_t choose(const struct podnet_pool *pool, const struct pn_pool_view *view)
{
	uint32_t nobodys = pool->n, oldest = pool->n;

	for (uint32_t i = 0; i < pool->n; i++) {
		const struct pn_objs *own = &pool->v[i].own;

		if (view && all_wanted(own, view))
			return i;
		if (!own->n)
			nobodys = i;
		else if (oldest == pool->n && (!view || of_use(own, view)))
			oldest = i;
	}
	return nobodys < pool->n ? nobodys : oldest;
}

int pn_pool_pop(struct podnet_pool *pool, const struct pn_pool_view *view, const char *name,
		const char *scope, struct pn_pool_entry *ret, struct podnet_error *err)
{
	uint32_t at = choose(pool, view);
	struct pn_pool_entry *e = &pool->v[at];
	int r = 0;

	if (at == pool->n)
		return pn_err_why(err, -EAGAIN, "pool_take", NULL, "the pool is empty");
	if (name)
		r = pn_netns_pin_fd(pool->ctx, e->fd, e->tree, name, scope, err);
	if (r < 0)
		return r;
	closep(&e->tree);
	e->tree = -1;
	*ret = *e;
	pool->n--;
	memmove(e, e + 1, (size_t)(&pool->v[pool->n] - e) * sizeof(*e));
	return 0;
}

int podnet_pool_take(struct podnet_pool *pool, const char *name, const char *scope,
		     char host_link[PODNET_IFNAME_SIZE], struct podnet_error *err)
{
	struct pn_put p = { .b = &pool->ctx->batch };
	struct pn_pool_entry e;
	char alias[PN_ALIAS_SIZE];
	int r;

	if ((name && pn_netns_name_check(name) < 0))
		return pn_err(err, -EINVAL, "pool_take", "name", NULL);
	if (pn_netns_scope_check(scope) < 0)
		return pn_err(err, -EINVAL, "pool_take", "scope", NULL);
	r = pn_pool_pop(pool, NULL, name, scope, &e, err);
	if (r < 0)
		return r;
	free(take_ptr(e.own.v));
	snprintf(alias, sizeof(alias), "podnet:%s:%s", pool->ctx->owner, scope ? scope : "");
	p.index = e.host;
	pn_put_link_mark(&p, alias, 0);
	r = nl_batch_send(&pool->ctx->rt, &pool->ctx->batch, NULL, err);
	if (r < 0) {
		entry_fini(&e);
		return r;
	}
	nl_close(&e.nl);
	memcpy(host_link, e.name, PODNET_IFNAME_SIZE);
	return e.fd;
}
