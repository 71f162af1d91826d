/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.c - the handle: what is declared, and what the kernel has of it
 *
 * Room: podnet/service.h.  May include: services.h, libpodnet/base.
 *
 * Each frontend has two versions, as it is wanted and as it was sent.  They are immutable and
 * replaced whole; what differs between them is the next transaction.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static int reject(struct podnet_error *err, const char *field, const char *why)
{
	return pn_err_why(err, -EINVAL, "services_set", field, why);
}

int podnet_services_new(struct podnet *ctx, struct podnet_services **ret, struct podnet_error *err)
{
	struct podnet_services *s = calloc(1, sizeof(*s));

	if (!s)
		return pn_err(err, -ENOMEM, "services_new", NULL, NULL);
	s->ctx = ctx;
	s->doubt = true;
	nft_table_name(ctx, s->table);
	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int i = 0; i < SVC_RANGES; i++)
			s->ranges[f][i].size = f == SVC_V4 ? 4 : 16;
	*ret = s;
	return 0;
}

static void entry_free(struct svc_entry *e)
{
	if (e->sent != e->want)
		svc_front_free(e->sent);
	svc_front_free(e->want);
	free(e);
}

void svc_forget_refs(struct podnet_services *s)
{
	size_t i = 0;

	for (struct svc_ref *r; (r = pn_table_next(&s->refs, &i)); )
		free(r);
	free(s->refs.v);
	s->refs = (struct pn_table){ 0 };
}

void podnet_services_free(struct podnet_services *s)
{
	size_t i = 0;

	if (!s)
		return;
	for (struct svc_entry *e; (e = pn_table_next(&s->entries, &i)); )
		entry_free(e);
	free(s->entries.v);
	svc_forget_refs(s);
	svc_kept_free(s->kept);
	svc_settled(s);
	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int k = 0; k < SVC_RANGES; k++)
			nft_ranges_fini(&s->ranges[f][k]);
	free(s->node_ips.v);
	free(s->dirty.v);
	free(s->due_ranges.v);
	free(s->went.v);
	free(s->chains.v);
	free(s);
}

/* ---- networks ---- */

static int family_of(const struct podnet_prefix *p)
{
	return p->family == AF_INET && p->len <= 32 ? SVC_V4 :
	       p->family == AF_INET6 && p->len <= 128 ? SVC_V6 : -1;
}

static int set_range(struct nft_ranges ranges[SVC_FAMILIES][SVC_RANGES], enum svc_range which,
		     const struct podnet_prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int family = family_of(&v[i]);
		int r = family < 0 ? -EINVAL : nft_ranges_add(&ranges[family][which], &v[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Returns true when they differ. */
static bool swap_ranges(struct podnet_services *s,
			struct nft_ranges ranges[SVC_FAMILIES][SVC_RANGES])
{
	bool differ = false;

	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int i = 0; i < SVC_RANGES; i++) {
			struct nft_ranges old = s->ranges[f][i];

			nft_ranges_normalise(&ranges[f][i]);
			differ |= old.n != ranges[f][i].n ||
				  (old.n && memcmp(old.v, ranges[f][i].v, old.n * sizeof(*old.v)));
			s->ranges[f][i] = ranges[f][i];
			ranges[f][i] = old;
		}
	return differ;
}

static bool same_elems(const struct svc_elems *a, const struct svc_elems *b)
{
	return a->n == b->n && (!a->n || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static bool has_elem(const struct svc_elems *elems, const struct svc_elem *e)
{
	for (size_t i = 0; i < elems->n; i++)
		if (svc_elem_cmp(&elems->v[i], e) == 0)
			return true;
	return false;
}

static int add_node_ips(struct svc_elems *out, const struct podnet_prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct svc_elem e = { .map = SVC_NODE_IPS };
		int family = family_of(&v[i]);

		if (family < 0)
			return -EINVAL;
		e.family = (uint8_t)family;
		memcpy(e.key, v[i].addr, family == SVC_V4 ? 4 : 16);
		if (!has_elem(out, &e))
			svc_add(out, &e);
	}
	return out->rc;
}

int podnet_services_nets(struct podnet_services *s, const struct podnet_service_nets *nets,
			 struct podnet_error *err)
{
	struct nft_ranges ranges[SVC_FAMILIES][SVC_RANGES] = { 0 };
	struct svc_elems ips = { 0 };
	const char *field = "inside";
	int r;

	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int i = 0; i < SVC_RANGES; i++)
			ranges[f][i].size = f == SVC_V4 ? 4 : 16;
	r = set_range(ranges, SVC_PODS, nets->inside, nets->ninside);
	if (r == 0) {
		field = "local";
		r = set_range(ranges, SVC_LOCAL_PODS, nets->local, nets->nlocal);
	}
	if (r == 0) {
		field = "services";
		r = set_range(ranges, SVC_NETS, nets->services, nets->nservices);
	}
	if (r == 0) {
		field = "node_ips";
		r = add_node_ips(&ips, nets->node_ips, nets->nnode_ips);
	}
	if (r == 0) {
		/* rare, and every rule may mean something else then */
		s->doubt |= swap_ranges(s, ranges) || !same_elems(&s->node_ips, &ips);
		free(s->node_ips.v);
		s->node_ips = ips;
		ips = (struct svc_elems){ 0 };
	}
	for (int f = 0; f < SVC_FAMILIES; f++)
		for (int i = 0; i < SVC_RANGES; i++)
			nft_ranges_fini(&ranges[f][i]);
	free(ips.v);
	return r < 0 ? pn_err(err, r, "services_nets", r == -EINVAL ? field : NULL, NULL) : 0;
}

/* ---- frontends ---- */

static bool same_key(const void *item, const void *key)
{
	return memcmp(&((const struct svc_entry *)item)->key, key, sizeof(struct svc_key)) == 0;
}

static int make_key(const struct podnet_frontend *f, struct svc_key *ret, struct podnet_error *err)
{
	static const uint8_t none[16];
	int family = family_of(&f->ip);

	if (family < 0)
		return reject(err, "ip", "an IPv4 or IPv6 address wanted");
	if (memcmp(f->ip.addr, none, sizeof(none)) == 0 && f->ip.len)
		return reject(err, "ip", "the unspecified address");
	if (!f->port)
		return reject(err, "port", "1 to 65535 wanted");
	if (f->last_port && f->last_port < f->port)
		return reject(err, "last_port", "not less than the first one wanted");
	if (f->last_port && memcmp(f->ip.addr, none, sizeof(none)) == 0)
		return reject(err, "last_port", "a range is at an address");
	*ret = (struct svc_key){ .family = (uint8_t)family, .port_be = htons(f->port),
				 .last_be = htons(f->last_port) };
	memcpy(ret->addr, f->ip.addr, family == SVC_V4 ? 4 : 16);
	switch (f->protocol) {
	case IPPROTO_TCP:
		ret->proto = SVC_TCP;
		return 0;
	case IPPROTO_UDP:
		ret->proto = SVC_UDP;
		return 0;
	case IPPROTO_SCTP:
		ret->proto = SVC_SCTP;
		return 0;
	}
	return reject(err, "protocol", "TCP, UDP or SCTP wanted");
}

static int check(const struct podnet_frontend *f, struct podnet_error *err)
{
	uint64_t slots = 0;

	if (f->nendpoints && !f->endpoints)
		return reject(err, "endpoints", "NULL with a count");
	if (f->nsources && !f->sources)
		return reject(err, "sources", "NULL with a count");
	if (f->flags & ~(uint32_t)(PODNET_FRONTEND_CLUSTER_IP | PODNET_FRONTEND_OUTSIDE_LOCAL |
				   PODNET_FRONTEND_DROP | PODNET_FRONTEND_MAGLEV |
				   PODNET_FRONTEND_ALONE))
		return reject(err, "flags", "an unknown one");
	for (size_t i = 0; i < f->nendpoints; i++) {
		const struct podnet_endpoint *e = &f->endpoints[i];

		if (e->ip.family != f->ip.family)
			return reject(err, "endpoints", "an address of another family");
		if (!e->port != !!f->last_port)
			return reject(err, "endpoints", f->last_port ? "port: 0 wanted" :
				      "port: 1 to 65535 wanted");
		if (e->weight > PODNET_WEIGHT_MAX)
			return reject(err, "endpoints", "weight: at most 256");
		slots += e->weight ? e->weight : 1;
	}
	if (f->nendpoints > PODNET_ENDPOINTS_MAX || slots > 4 * PODNET_ENDPOINTS_MAX)
		return reject(err, "endpoints", "too many, or too large weights");
	if (f->last_port && (f->nendpoints > 1 || f->flags || f->sticky_s || f->nsources))
		return reject(err, "last_port", "a range has one endpoint, and nothing more");
	for (size_t i = 0; i < f->nsources; i++)
		if (f->sources[i].family != f->ip.family || family_of(&f->sources[i]) < 0)
			return reject(err, "sources", "a prefix of another family");
	if (f->sticky_s > 30 * 86400)
		return reject(err, "sticky_s", "at most 30 days");
	return 0;
}

static int make_front(const struct podnet_frontend *f, const struct svc_key *key,
		      const struct svc_front *old, struct svc_front **ret)
{
	static const struct svc_dests none;
	_cleanup_(svc_front_freep) struct svc_front *n = calloc(1, sizeof(*n));
	bool keeps = old && !((old->flags | f->flags) & PODNET_FRONTEND_MAGLEV);
	struct svc_dests want = { 0 };
	int r = n ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	n->key = *key;
	n->flags = f->flags;
	n->sticky_s = f->sticky_s;
	n->sources.size = key->family == SVC_V4 ? 4 : 16;
	for (int local = 0; local < 2 && r == 0; local++) {
		const struct svc_dests *had = !keeps ? &none : local ? &old->local : &old->all;

		r = svc_dests_of(f, local, &want);
		if (r == 0)
			r = svc_slots(had, &want, local ? &n->local : &n->all);
		free(want.v);
		want = (struct svc_dests){ 0 };
	}
	if (r == 0)
		r = svc_leaving_of(f, &n->leaving);
	for (size_t i = 0; i < f->nsources && r == 0; i++)
		r = nft_ranges_add(&n->sources, &f->sources[i]);
	if (r < 0)
		return r;
	nft_ranges_normalise(&n->sources);
	*ret = take_ptr(n);
	return 0;
}

static bool same_dests(const struct svc_dests *a, const struct svc_dests *b)
{
	return a->n == b->n && (!a->n || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static bool same_front(const struct svc_front *a, const struct svc_front *b)
{
	return a->flags == b->flags && a->sticky_s == b->sticky_s && same_dests(&a->all, &b->all) &&
	       same_dests(&a->local, &b->local) && same_dests(&a->leaving, &b->leaving) &&
	       a->sources.n == b->sources.n &&
	       (!a->sources.n ||
		memcmp(a->sources.v, b->sources.v, a->sources.n * sizeof(*a->sources.v)) == 0);
}

static int mark(struct podnet_services *s, struct svc_entry *e)
{
	if (e->dirty)
		return 0;
	if (pn_grow(&s->dirty) < 0)
		return -ENOMEM;
	s->dirty.v[s->dirty.n++] = e;
	e->dirty = true;
	return 0;
}

struct svc_entry *svc_find(const struct podnet_services *s, const struct svc_key *key)
{
	return pn_table_get(&s->entries, pn_hash(key, sizeof(*key)), same_key, key);
}

static struct svc_entry *find_or_add(struct podnet_services *s, const struct svc_key *key)
{
	struct svc_entry *e = svc_find(s, key);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (e)
		e->key = *key;
	if (e && pn_table_add(&s->entries, pn_hash(key, sizeof(*key)), e) < 0) {
		free(e);
		return NULL;
	}
	return e;
}

static int replace(struct podnet_services *s, struct svc_entry *e, struct svc_front *want)
{
	if (mark(s, e) < 0) {
		svc_front_free(want);
		return -ENOMEM;
	}
	if (e->want != e->sent)
		svc_front_free(e->want);
	e->want = want;
	return 0;
}

int podnet_services_set(struct podnet_services *s, const struct podnet_frontend *frontend,
			struct podnet_error *err)
{
	struct svc_front *front;
	struct svc_entry *e;
	struct svc_key key;
	int r = make_key(frontend, &key, err);

	if (r == 0)
		r = check(frontend, err);
	if (r < 0)
		return r;
	e = find_or_add(s, &key);
	r = e ? make_front(frontend, &key, e->want ? e->want : e->sent, &front) : -ENOMEM;
	if (r == 0 && e->want && same_front(e->want, front)) {
		svc_front_free(front);
		return 0;
	}
	if (r == 0 && !e->want)
		svc_count_comes(s, &key);
	if (r == 0)
		r = replace(s, e, front);
	return r < 0 ? pn_err(err, r, "services_set", NULL, NULL) : 0;
}

int podnet_services_absent(struct podnet_services *s, const struct podnet_frontend *frontend,
			   struct podnet_error *err)
{
	struct svc_entry *e;
	struct svc_key key;
	int r = make_key(frontend, &key, err);

	if (r < 0)
		return r;
	e = svc_find(s, &key);
	if (!e || !e->want)
		return 0;
	r = e->sent ? svc_count_went(s, &key) : 0;
	if (r == 0)
		r = replace(s, e, NULL);
	e->anew = e->sent;
	return r < 0 ? pn_err(err, r, "services_absent", NULL, NULL) : 0;
}

bool svc_knows_chain(const struct podnet_services *s, uint8_t family, const struct svc_verdict *v)
{
	for (size_t i = 0; i < s->chains.n; i++)
		if (s->chains.v[i].family == family &&
		    memcmp(&s->chains.v[i].v, v, sizeof(*v)) == 0)
			return true;
	return false;
}

int svc_know_chain(struct podnet_services *s, uint8_t family, const struct svc_verdict *v)
{
	if (pn_grow(&s->chains) < 0)
		return -ENOMEM;
	s->chains.v[s->chains.n].family = family;
	s->chains.v[s->chains.n++].v = *v;
	return 0;
}

/* ---- elements that several frontends need ---- */

static bool same_elem(const void *item, const void *key)
{
	return svc_elem_cmp(&((const struct svc_ref *)item)->elem, key) == 0;
}

int svc_ref(struct podnet_services *s, const struct svc_elem *e, int by)
{
	uint64_t hash = pn_hash(e, offsetof(struct svc_elem, key) + NFT_KEY_SIZE);
	struct svc_ref *ref = pn_table_get(&s->refs, hash, same_elem, e);

	if (!ref) {
		ref = calloc(1, sizeof(*ref));
		if (ref)
			ref->elem = *e;
		if (!ref || pn_table_add(&s->refs, hash, ref) < 0) {
			free(ref);
			return -ENOMEM;
		}
	}
	ref->n += (uint32_t)by;
	if (ref->n == 0) {
		pn_table_remove(&s->refs, hash, ref);
		free(ref);
		return 1;
	}
	return by > 0 && ref->n == (uint32_t)by;
}

/* ---- commit ---- */

void svc_sent(struct podnet_services *s)
{
	for (size_t i = 0; i < s->dirty.n; i++) {
		struct svc_entry *e = s->dirty.v[i];

		if (svc_unsettles(e->sent, e->want))
			svc_unsettle(s, &e->key);
		if (e->sent != e->want)
			svc_front_free(e->sent);
		e->sent = e->want;
		e->dirty = false;
		if (e->want)
			continue;
		pn_table_remove(&s->entries, pn_hash(&e->key, sizeof(e->key)), e);
		free(e);
	}
	s->dirty.n = 0;
}

void podnet_services_doubt(struct podnet_services *s)
{
	s->doubt = true;
}

struct keys {
	struct svc_key *v;
	size_t n, cap;
};

static int place_cmp(const struct svc_key *a, const struct svc_key *b)
{
	int r = memcmp(a->addr, b->addr, sizeof(a->addr));

	if (r == 0)
		r = a->family - b->family;
	return r ? r : a->proto - b->proto;
}

static int range_cmp(const void *a, const void *b)
{
	const struct svc_key *x = a, *y = b;
	int r = place_cmp(x, y);

	return r ? r : ntohs(x->port_be) - ntohs(y->port_be);
}

static int refuse_ranges(const struct svc_key *a, const struct svc_key *b, struct podnet_error *err)
{
	static const char *const names[SVC_PROTOS] = { "tcp", "udp", "sctp" };
	struct podnet_prefix ip = { .family = a->family == SVC_V4 ? AF_INET : AF_INET6 };
	char addr[PODNET_PREFIX_STRLEN], text[96];

	memcpy(ip.addr, a->addr, sizeof(ip.addr));
	snprintf(text, sizeof(text), "%s %s ports %u-%u and %u-%u", podnet_prefix_format_addr(&ip, addr),
		 names[a->proto], ntohs(a->port_be), ntohs(a->last_be), ntohs(b->port_be),
		 ntohs(b->last_be));
	pn_err_why(err, -EEXIST, "services_commit", "last_port", "ranges overlap");
	pn_err_object(err, text);
	return -EEXIST;
}

static int collect_ranges(const struct podnet_services *s, struct keys *ret)
{
	const struct svc_entry *e;
	size_t pos = 0;

	while ((e = pn_table_next(&s->entries, &pos))) {
		if (!e->want || !e->key.last_be)
			continue;
		if (pn_grow(ret) < 0)
			return -ENOMEM;
		ret->v[ret->n++] = e->key;
	}
	return 0;
}

/* The kernel refuses them as well, and tells not which (net/netfilter/nft_set_pipapo.c). */
static int check_ranges(const struct podnet_services *s, struct podnet_error *err)
{
	struct keys keys = { 0 };
	bool changed = false;
	int r = 0;

	for (size_t i = 0; i < s->dirty.n && !changed; i++)
		changed = s->dirty.v[i]->want && s->dirty.v[i]->key.last_be;
	if (changed && collect_ranges(s, &keys) < 0)
		r = pn_err(err, -ENOMEM, "services_commit", NULL, NULL);
	if (keys.n)
		qsort(keys.v, keys.n, sizeof(*keys.v), range_cmp);
	for (size_t i = 1; i < keys.n && r == 0; i++)
		if (place_cmp(&keys.v[i - 1], &keys.v[i]) == 0 &&
		    ntohs(keys.v[i].port_be) <= ntohs(keys.v[i - 1].last_be))
			r = refuse_ranges(&keys.v[i - 1], &keys.v[i], err);
	free(keys.v);
	return r;
}

int podnet_services_commit(struct podnet_services *s, struct podnet_error *err)
{
	struct podnet_error why = { 0 };    /* of what svc_sync() then puts right */
	int r = check_ranges(s, err);

	if (r == 0)
		r = nft_socket(s->ctx, err);
	if (r == 0)
		r = nft_table_claim(s->ctx, err);
	if (r < 0)
		return r;
	svc_count_begin(s);
	if (!s->doubt) {
		r = svc_send(s, &why);
		if (r >= 0)
			return r;
		s->doubt = true;
	}
	r = svc_sync(s, r == -ENOSPC, err);
	if (r >= 0)
		s->doubt = false;
	return r;
}
