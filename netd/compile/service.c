/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.c - a Service and its EndpointSlices to frontends
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * Semantics are those of Kubernetes: ready endpoints, else those that serve while they terminate;
 * internalTrafficPolicy decides for the cluster IPs, externalTrafficPolicy for what is reached from
 * outside (node ports, external and load-balancer addresses).  Inside of the cluster an address for
 * the outside counts as Cluster, whatever the policy.  A source range counts for load-balancer
 * addresses only.
 */
#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <netinet/in.h>

#define PROXY_LABEL     "service.kubernetes.io/service-proxy-name"
#define HEADLESS_LABEL  "service.kubernetes.io/headless"
#define WEIGHTS         "podnet.dev/weights"
#define ALGORITHM       "podnet.dev/algorithm"

static const uint8_t protocols[] = {
	[PORT_TCP] = IPPROTO_TCP, [PORT_UDP] = IPPROTO_UDP, [PORT_SCTP] = IPPROTO_SCTP,
};

/** One endpoint that could serve, of the port and family under way. */
struct candidate {
	const struct endpoint *is;
	struct podnet_endpoint to;
	bool local, ready;
	bool chosen;                    /* it is among those that are told */
};

/** Those of one port; two slices may name the same one. */
struct candidates {
	struct candidate *v;
	size_t n, cap;
	/* where each is, behind 0: open addressing, twice @cap places; NULL while there are few */
	uint32_t *index;
};
#define FEW 32

struct building_service {
	const struct compile_services *in;
	const struct service *svc;
	const struct endpoint_slice *const *slices;
	size_t nslices;
	struct candidates found;
	struct podnet_endpoint *v;      /* as many as were found */
	size_t n;
	int rc;
};

bool compile_service_is_proxied(const struct service *svc)
{
	return svc->type != SERVICE_EXTERNAL_NAME && !svc->headless &&
	       !meta_label(&svc->meta, PROXY_LABEL) && !meta_label(&svc->meta, HEADLESS_LABEL);
}

/* "web-1=3, web-2=1": by the name of the pod; 1 where nothing is said. */
static uint16_t weight_of(const struct service *svc, const char *pod)
{
	const char *at = meta_annotation(&svc->meta, WEIGHTS);
	size_t len = pod ? strlen(pod) : 0;

	for (; at && len && *at; at += strcspn(at, ","), at += *at == ',') {
		at += strspn(at, " ");
		if (strncmp(at, pod, len) == 0 && at[len] == '=') {
			unsigned long n = strtoul(at + len + 1, NULL, 10);

			return n > PODNET_WEIGHT_MAX ? PODNET_WEIGHT_MAX : (uint16_t)n;
		}
	}
	return 1;
}

static bool same_name(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_at(const struct candidate *c, const struct podnet_prefix *ip, uint32_t port)
{
	return c->to.port == port && memcmp(c->to.ip.addr, ip->addr, sizeof(ip->addr)) == 0;
}

/* The place of an endpoint in the index, or the free one where it belongs (FNV-1a). */
static uint32_t *place_of(const struct candidates *c, const struct podnet_prefix *ip, uint32_t port)
{
	size_t mask = 2 * c->cap - 1, i;
	uint64_t h = 0xcbf29ce484222325u ^ port;

	for (size_t k = 0; k < sizeof(ip->addr); k++)
		h = (h ^ ip->addr[k]) * 0x100000001b3u;
	for (i = (h ^ h >> 32) & mask; c->index[i]; i = (i + 1) & mask)
		if (is_at(&c->v[c->index[i] - 1], ip, port))
			break;
	return &c->index[i];
}

static bool known(const struct candidates *c, const struct podnet_prefix *ip, uint32_t port)
{
	if (c->index)
		return *place_of(c, ip, port) != 0;
	for (size_t i = 0; i < c->n; i++)
		if (is_at(&c->v[i], ip, port))
			return true;
	return false;
}

static void index_last(struct candidates *c)
{
	const struct podnet_endpoint *to = &c->v[c->n - 1].to;

	if (c->index)
		*place_of(c, &to->ip, to->port) = (uint32_t)c->n;
}

static int make_room(struct candidates *c)
{
	size_t cap = c->cap ? 2 * c->cap : 16, n = c->n;
	struct candidate *v;

	if (c->n < c->cap)
		return 0;
	v = reallocarray(c->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	c->v = v;
	c->cap = cap;
	if (cap <= FEW)
		return 0;
	free(c->index);
	c->index = calloc(2 * cap, sizeof(*c->index));
	for (c->n = 1; c->index && c->n <= n; c->n++)
		index_last(c);
	c->n = n;
	return c->index ? 0 : -ENOMEM;
}

static bool is_lost(const struct compile_services *in, const char *node)
{
	for (size_t i = 0; node && i < in->nlost; i++)
		if (strcmp(in->lost[i], node) == 0)
			return true;
	return false;
}

static int add_candidate(struct building_service *b, const struct endpoint_slice *s,
			 const struct endpoint *e, uint32_t port)
{
	struct candidates *c = &b->found;

	if (!e->naddresses || is_lost(b->in, e->node_name) || known(c, &e->addresses[0], port))
		return 0;
	if (make_room(c) < 0)
		return -ENOMEM;
	c->v[c->n] = (struct candidate){
		.is = e, .ready = endpoint_is_ready(s, e, b->in->node_name),
		.local = e->node_name && strcmp(e->node_name, b->in->node_name) == 0,
		.to = { .ip = e->addresses[0], .port = (uint16_t)port,
			.weight = weight_of(b->svc, e->target_name) },
	};
	c->v[c->n].to.local = c->v[c->n].local;
	c->n++;
	index_last(c);
	return 0;
}

static int find_in_slice(struct building_service *b, const struct endpoint_slice *s,
			 const struct service_port *port)
{
	int r = 0;

	for (size_t i = 0; i < s->nports && r == 0; i++) {
		const struct endpoint_port *p = &s->ports[i];

		if (!p->port || p->protocol != port->protocol || !same_name(p->name, port->name))
			continue;
		for (size_t k = 0; k < s->nendpoints && r == 0; k++)
			r = add_candidate(b, s, &s->endpoints[k], p->port);
	}
	return r;
}

static int find_candidates(struct building_service *b, const struct service_port *port, int family)
{
	enum ip_family want = family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	int r = 0;

	b->found.n = 0;
	if (b->found.index)
		memset(b->found.index, 0, 2 * b->found.cap * sizeof(*b->found.index));
	for (size_t i = 0; i < b->nslices && r == 0; i++)
		if (b->slices[i]->family == want)
			r = find_in_slice(b, b->slices[i], port);
	if (r < 0 || !b->found.n)
		return r;
	free(b->v);
	b->v = calloc(b->found.n, sizeof(*b->v));
	return b->v ? 0 : -ENOMEM;
}

/* Where a Service would rather go, when it can. */
static bool near(const struct building_service *b, const struct candidate *c)
{
	const char *wish = b->svc->traffic_distribution;

	if (!wish)
		return true;
	if (strcmp(wish, "PreferSameNode") == 0)
		return c->local;
	return b->in->zone && c->is->zone && strcmp(b->in->zone, c->is->zone) == 0;
}

static bool is_ready(const struct candidate *c)
{
	return c->ready;
}

static bool is_leaving(const struct candidate *c)
{
	return c->is->serving && c->is->terminating;
}

static void take(struct building_service *b, bool (*wanted)(const struct candidate *), bool local,
		 bool nearby)
{
	b->n = 0;
	for (size_t i = 0; i < b->found.n; i++) {
		struct candidate *c = &b->found.v[i];

		c->chosen = wanted(c) && (c->local || !local) && (!nearby || near(b, c));
		if (c->chosen)
			b->v[b->n++] = c->to;
	}
}

/* Ready ones near by, ready ones, those that serve to their end: the first of it that is not none. */
static void choose(struct building_service *b, bool local)
{
	take(b, is_ready, local, true);
	if (!b->n)
		take(b, is_ready, local, false);
	if (!b->n)
		take(b, is_leaving, local, false);
}

/* All of the cluster, and of this node those that leave when none of it is ready. */
static void choose_outside(struct building_service *b)
{
	bool ready = false;

	choose(b, false);
	for (size_t i = 0; i < b->found.n; i++)
		ready |= b->found.v[i].local && b->found.v[i].ready;
	for (size_t i = 0; i < b->found.n; i++) {
		struct candidate *c = &b->found.v[i];

		if (!c->local || !(ready ? is_ready(c) : is_leaving(c)) || c->chosen)
			continue;
		c->chosen = true;
		b->v[b->n] = c->to;
		b->v[b->n++].outside_only = 1;
	}
}

/* Who terminates and still serves keeps what it has, while new connections go elsewhere. */
static void add_leaving(struct building_service *b)
{
	for (size_t i = 0; i < b->found.n; i++) {
		const struct candidate *c = &b->found.v[i];

		if (!is_leaving(c) || c->chosen)
			continue;
		b->v[b->n] = c->to;
		b->v[b->n++].leaving = 1;
	}
}

static void tell(struct building_service *b, struct podnet_frontend *f)
{
	const char *algorithm = meta_annotation(&b->svc->meta, ALGORITHM);

	if (b->rc < 0)
		return;
	if (algorithm && strcmp(algorithm, "maglev") == 0)
		f->flags |= PODNET_FRONTEND_MAGLEV;
	f->sticky_s = b->svc->client_ip_affinity ? b->svc->affinity_s : 0;
	f->endpoints = b->v;
	f->nendpoints = b->n;
	b->rc = b->in->each(b->in->arg, f);
}

static struct podnet_frontend frontend(const struct podnet_prefix *ip,
				       const struct service_port *port, uint32_t flags)
{
	struct podnet_frontend f = {
		.ip = *ip, .protocol = protocols[port->protocol], .port = (uint16_t)port->port,
		.flags = flags,
	};

	return f;
}

static void tell_cluster_ips(struct building_service *b, const struct service_port *port,
			     int family)
{
	bool local = b->svc->internal_policy == TRAFFIC_LOCAL;
	uint32_t flags = PODNET_FRONTEND_CLUSTER_IP | (local ? PODNET_FRONTEND_DROP : 0);

	choose(b, local);
	add_leaving(b);
	for (size_t i = 0; i < b->svc->ncluster_ips; i++) {
		struct podnet_frontend f = frontend(&b->svc->cluster_ips[i], port, flags);

		if (b->svc->cluster_ips[i].family == family)
			tell(b, &f);
	}
}

static size_t ranges_of(const struct service *svc, int family, struct podnet_prefix *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < svc->nsource_ranges; i++)
		if (svc->source_ranges[i].family == family)
			ret[n++] = svc->source_ranges[i];
	return n;
}

/*
 * What the node sends to an address of its own has that address as its source, so where the node
 * may come, it may come as this one.
 */
static size_t add_self(const struct building_service *b, const struct podnet_prefix *ip,
		       struct podnet_prefix *ranges, size_t n)
{
	for (size_t i = 0; i < b->in->nown; i++)
		for (size_t k = 0; k < n; k++) {
			if (!podnet_prefix_contains(&ranges[k], &b->in->own[i]))
				continue;
			ranges[n] = *ip;
			ranges[n].len = ip->family == AF_INET6 ? 128 : 32;
			return n + 1;
		}
	return n;
}

/* A range of the other family only: then nobody of this one may come. */
static void tell_ingress(struct building_service *b, const struct service_port *port, int family,
			 uint32_t flags)
{
	static const struct podnet_prefix nobody[2] = { { AF_INET, 32, { 0 } },
							{ AF_INET6, 128, { 0 } } };
	struct podnet_prefix *ranges = calloc(b->svc->nsource_ranges + 2, sizeof(*ranges));
	size_t n, known = ranges ? ranges_of(b->svc, family, ranges) : 0;

	if (!ranges)
		b->rc = -ENOMEM;
	for (size_t i = 0; ranges && i < b->svc->ningress; i++) {
		struct podnet_frontend f = frontend(&b->svc->ingress[i].ip, port, flags);

		if (f.ip.family != family)
			continue;
		if (b->svc->from_pool && !compile_is_own(b->in->own, b->in->nown, &f.ip))
			f.flags |= PODNET_FRONTEND_ALONE;
		n = known ? add_self(b, &f.ip, ranges, known) : 0;
		f.sources = n || !b->svc->nsource_ranges ? ranges : &nobody[family != AF_INET];
		f.nsources = n ? n : b->svc->nsource_ranges > 0;
		tell(b, &f);
	}
	free(ranges);
}

static void tell_outside(struct building_service *b, const struct service_port *port, int family)
{
	bool local = b->svc->external_policy == TRAFFIC_LOCAL;
	uint32_t flags = local ? PODNET_FRONTEND_OUTSIDE_LOCAL : 0;
	struct podnet_prefix node = { .family = (uint8_t)family };

	if (local)
		choose_outside(b);
	else
		choose(b, false);
	add_leaving(b);
	for (size_t i = 0; i < b->svc->nexternal_ips; i++) {
		struct podnet_frontend f = frontend(&b->svc->external_ips[i], port, flags);

		if (f.ip.family == family)
			tell(b, &f);
	}
	if (b->svc->type == SERVICE_LOAD_BALANCER)
		tell_ingress(b, port, family, flags);
	if (port->node_port) {
		struct podnet_frontend f = frontend(&node, port, flags);

		f.port = (uint16_t)port->node_port;
		tell(b, &f);
	}
}

static bool has_family(const struct service *svc, int family)
{
	for (size_t i = 0; i < svc->ncluster_ips; i++)
		if (svc->cluster_ips[i].family == family)
			return true;
	return false;
}

int compile_service(const struct compile_services *in, const struct service *svc,
		    const struct endpoint_slice *const *slices, size_t nslices)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct building_service b = { in, svc, slices, nslices, { 0 }, NULL, 0, 0 };

	if (!compile_service_is_proxied(svc))
		return 0;
	for (size_t i = 0; i < svc->nports && b.rc == 0; i++)
		for (size_t f = 0; f < 2 && b.rc == 0; f++) {
			if (!has_family(svc, families[f]))
				continue;
			b.n = 0;
			b.rc = find_candidates(&b, &svc->ports[i], families[f]);
			if (b.rc == 0)
				tell_cluster_ips(&b, &svc->ports[i], families[f]);
			if (b.rc == 0)
				tell_outside(&b, &svc->ports[i], families[f]);
		}
	free(b.found.v);
	free(b.found.index);
	free(b.v);
	return b.rc;
}

int compile_service_nets(const struct compile_input *in, const struct network *const *networks,
			 size_t n, struct podnet_prefix *inside, size_t *ninside,
			 struct podnet_prefix **local, size_t *nlocal)
{
	*ninside = *nlocal = 0;
	*local = NULL;
	for (size_t i = 0; i < n; i++) {
		const struct podnet_prefix *blocks = NULL;
		size_t k, nblocks = in->blocks(in->arg, networks[i]->meta.name, &blocks);
		struct podnet_prefix *grown = reallocarray(*local, *nlocal + nblocks + 1,
							   sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*local = grown;
		for (k = 0; k < nblocks; k++)
			grown[(*nlocal)++] = podnet_prefix_mask(&blocks[k]);
		for (k = 0; k < networks[i]->ncidrs; k++)
			inside[(*ninside)++] = podnet_prefix_mask(&networks[i]->cidrs[k]);
	}
	return 0;
}
