/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_elems.c - a frontend as elements of maps
 *
 * Room: pure functions: no kernel, no names.  May include: services.h, libpodnet/base.
 */
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>

void svc_front_free(struct svc_front *f)
{
	if (!f)
		return;
	free(f->all.v);
	free(f->local.v);
	free(f->leaving.v);
	free(f->known.v);
	nft_ranges_fini(&f->sources);
	free(f);
}

void svc_add(struct svc_elems *out, const struct svc_elem *e)
{
	if (!out->rc)
		out->rc = pn_grow(out);
	if (!out->rc)
		out->v[out->n++] = *e;
}

bool svc_shared(uint8_t map)
{
	return map == SVC_CLUSTER_IPS || map == SVC_HAIRPINS;
}

bool svc_is_verdict(uint8_t map)
{
	return map < SVC_RESTRICTED;
}

struct svc_key svc_elem_key(const struct svc_elem *e)
{
	struct svc_key key = { .family = e->family };
	size_t addr = e->family == SVC_V4 ? 4 : 16;
	const uint8_t *at = e->key;

	if (e->map == SVC_PORT_RANGES)
		memcpy(&key.last_be, e->u.data + 16, 2);
	if (e->map < SVC_NODE_PORTS || e->map == SVC_PORT_RANGES || e->map >= SVC_CLASS) {
		memcpy(key.addr, at, addr);
		at += addr;
	}
	key.proto = *at == 6 ? SVC_TCP : *at == 17 ? SVC_UDP : SVC_SCTP;
	memcpy(&key.port_be, at + 4, 2);
	return key;
}

bool svc_class(uint8_t map, struct svc_verdict *ret)
{
	unsigned int i = map - SVC_CLASS, class = i % SVC_CLASSES;

	if (map < SVC_CLASS)
		return false;
	*ret = (struct svc_verdict){
		.to = SVC_BALANCE, .scope = SVC_ALL, .proto = (uint8_t)(i / SVC_CLASSES),
		.maglev = class == SVC_MAGLEV,
		.slots = class == SVC_MAGLEV ? PODNET_MAGLEV_SLOTS : 1u << class,
	};
	return true;
}

bool svc_leads_to(const struct svc_elem *e, struct svc_verdict *ret)
{
	if (!svc_is_verdict(e->map) || e->u.to.verdict.to != SVC_BALANCE)
		return svc_class(e->map, ret);
	*ret = e->u.to.verdict;
	return true;
}

int svc_elem_cmp(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct svc_elem, key) + NFT_KEY_SIZE);
}

bool svc_elem_same(const struct svc_elem *a, const struct svc_elem *b)
{
	if (svc_is_verdict(a->map))
		return a->u.to.chain == b->u.to.chain;
	return memcmp(a->u.data, b->u.data, sizeof(a->u.data)) == 0;
}

/* ---- keys: fields of four bytes, one behind the other ---- */

struct writer {
	uint8_t *at;
};

static void put(struct writer *w, const void *data, size_t len)
{
	memcpy(w->at, data, len);
	w->at += (len + 3) / 4 * 4;
}

static uint8_t number_of(uint8_t proto)
{
	static const uint8_t numbers[SVC_PROTOS] = { 6, 17, 132 };

	return numbers[proto];
}

static size_t addr_size(const struct svc_key *key)
{
	return key->family == SVC_V4 ? 4 : 16;
}

static bool at_port(const struct svc_key *key)
{
	static const uint8_t zero[16];

	return memcmp(key->addr, zero, sizeof(zero)) == 0;
}

static void put_frontend(struct writer *w, const struct svc_key *key)
{
	uint8_t protocol = number_of(key->proto);

	if (!at_port(key))
		put(w, key->addr, addr_size(key));
	put(w, &protocol, 1);
	put(w, &key->port_be, 2);
}

static struct svc_elem element(const struct svc_key *key, uint8_t map)
{
	struct svc_elem e = { .map = map, .family = key->family };

	return e;
}

/* ---- where it goes ---- */

static uint8_t class_of(size_t slots)
{
	uint8_t class = 0;

	while (1u << class < slots)
		class++;
	return class;
}

/* To the chain of its class, by being in the set of it. */
static void classify(const struct svc_front *f, uint8_t class, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, (uint8_t)(SVC_CLASS + f->key.proto * SVC_CLASSES + class));
	struct writer w = { e.key };

	put_frontend(&w, &f->key);
	svc_add(out, &e);
}

static void go(const struct svc_front *f, uint8_t map, struct svc_verdict to, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, at_port(&f->key) ? map + SVC_AT_PORT : map);
	struct writer w = { e.key };
	char name[NFT_NAME_SIZE];

	put_frontend(&w, &f->key);
	e.u.to.verdict = to;
	if (to.to != SVC_DROP) {
		svc_chain_name(f->key.family, &to, &f->key, name);
		e.u.to.chain = pn_hash(name, strlen(name));
	}
	svc_add(out, &e);
}

static void go_to(const struct svc_front *f, uint8_t map, enum svc_goto to, struct svc_elems *out)
{
	go(f, map, (struct svc_verdict){ .to = (uint8_t)to }, out);
}

static enum svc_scope scope_of(const struct svc_front *f, bool local)
{
	if (at_port(&f->key))
		return local ? SVC_PORT_LOCAL : SVC_PORT_ALL;
	return local ? SVC_LOCAL : SVC_ALL;
}

static void put_backend(const struct svc_front *f, enum svc_scope scope, uint32_t slot,
			const struct svc_dest *dest, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, (uint8_t)(SVC_BACKENDS + scope * SVC_PROTOS +
						       f->key.proto));
	struct writer w = { e.key }, data = { e.u.data };

	if (!at_port(&f->key))
		put(&w, f->key.addr, addr_size(&f->key));
	put(&w, &f->key.port_be, 2);
	put(&w, &slot, 4);
	put(&data, dest->addr, addr_size(&f->key));
	put(&data, &dest->port_be, 2);
	svc_add(out, &e);
}

static void put_table(const struct svc_front *f, enum svc_scope scope,
		      const struct svc_dests *dests, struct svc_elems *out)
{
	_cleanup_free_ uint16_t *table = calloc(PODNET_MAGLEV_SLOTS, sizeof(*table));

	if (!table || svc_maglev(dests, table) < 0) {
		out->rc = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < PODNET_MAGLEV_SLOTS; i++)
		put_backend(f, scope, i, &dests->v[table[i]], out);
}

/* The endpoints, and the way to them from @map. */
static void balance(const struct svc_front *f, uint8_t map, bool local, struct svc_elems *out)
{
	const struct svc_dests *dests = local ? &f->local : &f->all;
	bool maglev = f->flags & PODNET_FRONTEND_MAGLEV;
	uint8_t class = maglev ? SVC_MAGLEV : class_of(dests->n);
	struct svc_verdict to = {
		.to = SVC_BALANCE, .scope = (uint8_t)scope_of(f, local), .proto = f->key.proto,
		.maglev = maglev, .slots = maglev ? PODNET_MAGLEV_SLOTS : 1u << class,
	};

	if (!dests->n)
		return;
	if (map == SVC_SERVICES && !at_port(&f->key))
		classify(f, class, out);
	else
		go(f, map, to, out);
	if (maglev) {
		put_table(f, to.scope, dests, out);
		return;
	}
	for (uint32_t i = 0; i < dests->n; i++)
		put_backend(f, to.scope, i, &dests->v[i], out);
}

/* All ports of it go to one endpoint, or are nobody's. */
static void put_range(const struct svc_front *f, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, SVC_PORT_RANGES);
	struct writer w = { e.key };

	if (!f->all.n)
		return;
	put_frontend(&w, &f->key);
	memcpy(e.u.data, f->all.v[0].addr, addr_size(&f->key));
	memcpy(e.u.data + 16, &f->key.last_be, 2);
	svc_add(out, &e);
}

static void put_ways(const struct svc_front *f, struct svc_elems *out)
{
	bool drops = f->flags & PODNET_FRONTEND_DROP;

	if (f->key.last_be) {
		put_range(f, out);
		return;
	}
	if (!f->all.n) {
		go_to(f, SVC_NO_ENDPOINTS, drops ? SVC_DROP : SVC_REFUSE, out);
		return;
	}
	if (!(f->flags & PODNET_FRONTEND_OUTSIDE_LOCAL)) {
		balance(f, SVC_SERVICES, false, out);
		return;
	}
	go_to(f, SVC_SERVICES, at_port(&f->key) ? SVC_PORT_BY_SOURCE : SVC_BY_SOURCE, out);
	balance(f, SVC_INSIDE, false, out);
	balance(f, SVC_OUTSIDE, true, out);
	if (!f->local.n)
		go_to(f, SVC_NO_ENDPOINTS, SVC_DROP_OUTSIDE, out);
}

/* ---- who may come, and what other frontends need as well ---- */

static void put_sources(const struct svc_front *f, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, SVC_RESTRICTED);
	struct writer w = { e.key };

	if (!f->sources.n || at_port(&f->key))
		return;
	put_frontend(&w, &f->key);
	svc_add(out, &e);
	for (size_t i = 0; i < f->sources.n; i++) {
		struct svc_elem range = element(&f->key, SVC_ALLOWED);
		struct writer from = { range.key }, to = { range.u.data };

		put(&from, f->sources.v[i].from, addr_size(&f->key));
		put(&to, f->sources.v[i].to, addr_size(&f->key));
		put_frontend(&from, &f->key);
		put_frontend(&to, &f->key);
		svc_add(out, &range);
	}
}

static void put_published(const struct svc_front *f, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, at_port(&f->key) ? SVC_PUBLISHED_PORTS :
				    f->key.last_be ? SVC_PUBLISHED_RANGES : SVC_PUBLISHED);
	struct writer w = { e.key }, end = { e.u.data };
	struct svc_key last = f->key;

	put_frontend(&w, &f->key);
	last.port_be = f->key.last_be;
	if (last.port_be)
		put_frontend(&end, &last);
	svc_add(out, &e);
}

static int by_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct svc_dest *)0)->addr));
}

static void put_hairpins(const struct svc_front *f, struct svc_elems *out)
{
	_cleanup_free_ struct svc_dest *v = NULL;

	if (!f->local.n)
		return;
	v = malloc(f->local.n * sizeof(*v));
	if (!v) {
		out->rc = -ENOMEM;
		return;
	}
	memcpy(v, f->local.v, f->local.n * sizeof(*v));
	qsort(v, f->local.n, sizeof(*v), by_addr);
	for (size_t i = 0; i < f->local.n; i++) {
		struct svc_elem e = element(&f->key, SVC_HAIRPINS);
		struct writer w = { e.key };

		if (i && by_addr(&v[i], &v[i - 1]) == 0)
			continue;
		put(&w, v[i].addr, addr_size(&f->key));
		put(&w, v[i].addr, addr_size(&f->key));
		svc_add(out, &e);
	}
}

void svc_front_elems(const struct svc_front *f, struct svc_elems *out)
{
	struct svc_elem e = element(&f->key, SVC_CLUSTER_IPS);
	struct writer w = { e.key };

	put_ways(f, out);
	put_sources(f, out);
	put_hairpins(f, out);
	if (f->sticky_s) {
		go_to(f, SVC_STICKY, SVC_ASK_STICKY, out);
		go_to(f, SVC_REMEMBER, SVC_SET_STICKY, out);
	}
	/* what is invalid is dropped by the address where that is of the service networks */
	if (!(f->flags & PODNET_FRONTEND_CLUSTER_IP) || at_port(&f->key))
		put_published(f, out);
	if (!(f->flags & (PODNET_FRONTEND_CLUSTER_IP | PODNET_FRONTEND_ALONE)) || at_port(&f->key))
		return;
	put(&w, f->key.addr, addr_size(&f->key));
	svc_add(out, &e);
}
