/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.c - get and list: dumps with callbacks
 *
 * Room: reads, changes nothing.  May include: plan/inner.h, link, ip, nl, base, include/podnet.
 *
 * A callback may stop a listing; it is called while the dump is read, so it must not use the same
 * context.  A dump that other changes interrupt begins anew, so what it tells is gathered first and
 * called back afterwards: a caller never sees anything twice.
 */
#include "inner.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>


struct found {
	struct pn_obj obj;
	uint8_t protocol;
	uint16_t state;
};

struct listing {
	struct podnet *ctx;
	const char *netns;
	struct podnet_set *set;
	struct podnet_plan *plan;
	struct nl *nl;
	struct { struct pn_link_seen *v; size_t n, cap; } links;
	struct { struct found *v; size_t n, cap; } all;
	size_t kept;                    /* of all, from dumps before this one */
};

static void listing_fini(struct listing *l)
{
	podnet_plan_free(l->plan);
	podnet_set_free(l->set);
	free(l->links.v);
	free(l->all.v);
}

static int each_link(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;

	if (pn_grow(&l->links) < 0)
		return -ENOMEM;
	if (pn_link_parse(nlh, &l->links.v[l->links.n]) == 0)
		l->links.n++;
	return 0;
}

static void forget_links(void *arg)
{
	((struct listing *)arg)->links.n = 0;
}

static void forget(void *arg)
{
	struct listing *l = arg;

	l->all.n = l->kept;
}

/* the namespace is open and its links are known by name */
static int listing_init(struct listing *l, struct podnet *ctx, const char *netns,
			struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct pn_space *space;
	uint16_t ns;
	int r;

	memset(l, 0, sizeof(*l));
	l->ctx = ctx;
	l->netns = netns;
	r = podnet_set_new(&l->set, "list", err);
	if (r == 0)
		r = pn_set_ref(l->set, netns, &ns);
	if (r == 0)
		r = pn_plan_new(ctx, l->set, 0, 0, &l->plan, err);
	if (r < 0)
		return pn_err(err, r, "list", NULL, NULL);
	space = &l->plan->spaces[0];
	if (!space->own) {
		r = pn_netns_resolve(ctx, netns, &space->fd, err);
		if (r < 0)
			return r;
		space->own = space->fd < 0;
	}
	r = pn_space_nl(ctx, space, &l->nl, err);
	if (r < 0)
		return r;
	return nl_dump(l->nl, pn_link_request(buf, 0, NULL), each_link, forget_links, l, err);
}

static const char *name_of(const struct listing *l, uint32_t index)
{
	for (size_t i = 0; index && i < l->links.n; i++) {
		if (l->links.v[i].obj.index == index)
			return l->links.v[i].obj.link;
	}
	return NULL;
}

static bool is_ours(const struct listing *l, const struct pn_link_seen *seen)
{
	return !strncmp(seen->alias, l->plan->owner_alias, strlen(l->plan->owner_alias));
}

/* what is particular to a type; both live as long as the caller's */
static void tell_own(const struct listing *l, const struct pn_link_seen *seen,
		     struct podnet_vxlan *vxlan, struct podnet_tun *tun,
		     struct podnet_link_info *info)
{
	const struct pn_vxlan_attrs *v = &seen->obj.u.dev.vxlan;
	const struct pn_tun_attrs *t = &seen->obj.u.dev.tun;

	*vxlan = (struct podnet_vxlan){
		.id = v->id, .local = v->local, .port = v->port,
		.csum = (enum podnet_vxlan_csum)v->csum, .dev = name_of(l, seen->lower),
	};
	*tun = (struct podnet_tun){ .flags = t->flags, .owner = t->owner, .group = t->group };
	if (seen->obj.u.dev.type == PN_VXLAN)
		info->vxlan = vxlan;
	if (seen->obj.u.dev.type == PN_TUN)
		info->tun = tun;
}

static int tell_link(const struct listing *l, const struct pn_link_seen *seen,
		     int (*each)(const struct podnet_link_info *info, void *arg), void *arg)
{
	struct podnet_vxlan vxlan;
	struct podnet_tun tun;
	struct podnet_link_info info = {
		.link = {
			.netns = l->netns, .name = seen->obj.link, .flags = seen->obj.u.dev.flags,
			.mtu = seen->obj.u.dev.mtu, .master = name_of(l, seen->master),
		},
		.index = seen->obj.index, .kind = seen->kind, .alias = seen->alias,
		.ours = is_ours(l, seen),
		.running = seen->running, .peer_index = seen->peer,
		.peer_nsid = seen->peer_nsid,
	};

	memcpy(info.link.mac, seen->obj.u.dev.mac, sizeof(info.link.mac));
	tell_own(l, seen, &vxlan, &tun, &info);
	return each(&info, arg);
}

int podnet_link_list(struct podnet *ctx, const char *netns,
		     int (*each)(const struct podnet_link_info *info, void *arg), void *arg,
		     struct podnet_error *err)
{
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	for (size_t i = 0; i < l.links.n && r == 0; i++)
		r = tell_link(&l, &l.links.v[i], each, arg);
	return r;
}

int podnet_link_get(struct podnet *ctx, const char *netns, const char *name,
		    int (*each)(const struct podnet_link_info *info, void *arg), void *arg,
		    struct podnet_error *err)
{
	_cleanup_(listing_fini) struct listing l;
	int r;

	if (!pn_ifname_ok(name)) {
		memset(&l, 0, sizeof(l));
		return pn_err(err, -EINVAL, "link_get", "name", NULL);
	}
	r = listing_init(&l, ctx, netns, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.links.n; i++) {
		if (!strcmp(l.links.v[i].obj.link, name))
			return tell_link(&l, &l.links.v[i], each, arg);
	}
	return pn_err(err, -ENOENT, "link_get", "name", NULL);
}

/* room for one more, or NULL */
static struct found *more(struct listing *l)
{
	return pn_grow(&l->all) < 0 ? NULL : &l->all.v[l->all.n];
}

static int each_addr(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct found *f = more(l);

	if (!f)
		return -ENOMEM;
	l->all.n += pn_addr_parse(nlh, &f->obj, &f->protocol) == 0;
	return 0;
}

static int each_route(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct found *f = more(l);

	if (!f)
		return -ENOMEM;
	l->all.n += pn_route_parse(nlh, &f->obj, &f->protocol) == 0;
	return 0;
}

static int each_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct found *f = more(l);

	if (!f)
		return -ENOMEM;
	l->all.n += pn_rule_parse(nlh, &f->obj, &f->protocol) == 0;
	return 0;
}

static int each_neigh(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct found *f = more(l);

	if (!f)
		return -ENOMEM;
	l->all.n += pn_neigh_parse(nlh, &f->obj, &f->protocol, &f->state) == 0;
	return 0;
}

static int gather(struct listing *l, struct nlmsghdr *nlh,
		  int (*each)(const struct nlmsghdr *nlh, void *arg), struct podnet_error *err)
{
	int r;

	l->kept = l->all.n;
	r = nl_dump(l->nl, nlh, each, forget, l, err);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;      /* a kernel without IPv6 */
}

int podnet_addr_list(struct podnet *ctx, const char *netns, const char *link,
		     int (*each)(const struct podnet_addr_info *info, void *arg), void *arg,
		     struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	if (r == 0)
		r = gather(&l, pn_addr_request(buf, 0), each_addr, err);
	for (size_t i = 0; i < l.all.n && r == 0; i++) {
		const struct found *f = &l.all.v[i];
		struct podnet_addr_info info = {
			.addr = {
				.netns = netns, .link = name_of(&l, f->obj.index),
				.prefix = f->obj.u.addr.prefix,
				.no_prefix_route = f->obj.u.addr.no_prefix_route,
				.local = f->obj.u.addr.local,
				.deprecated = f->obj.u.addr.deprecated,
			},
			.ours = f->protocol == ctx->protocol, .scope = f->obj.u.addr.scope,
		};

		if (info.addr.link && (!link || !strcmp(link, info.addr.link)))
			r = each(&info, arg);
	}
	return r;
}

static int tell_route(const struct listing *l, const struct found *f,
		      int (*each)(const struct podnet_route_info *info, void *arg), void *arg)
{
	const struct pn_route_attrs *r = &f->obj.u.route;
	struct podnet_route_info info = {
		.route = {
			.netns = l->netns, .dst = r->dst, .via = r->via, .src = r->src,
			.link = name_of(l, f->obj.index), .table = r->table,
			.metric = r->metric, .mtu = r->mtu,
			.type = (enum podnet_route_type)r->type, .onlink = r->onlink,
		},
		.protocol = f->protocol, .ours = f->protocol == l->ctx->protocol,
	};

	return each(&info, arg);
}

int podnet_route_list(struct podnet *ctx, const char *netns,
		      int (*each)(const struct podnet_route_info *info, void *arg), void *arg,
		      struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	if (r == 0)
		r = gather(&l, pn_route_request(buf, AF_INET, 0, 0, 0), each_route, err);
	if (r == 0)
		r = gather(&l, pn_route_request(buf, AF_INET6, 0, 0, 0), each_route, err);
	for (size_t i = 0; i < l.all.n && r == 0; i++)
		r = tell_route(&l, &l.all.v[i], each, arg);
	return r;
}

int podnet_rule_list(struct podnet *ctx, const char *netns,
		     int (*each)(const struct podnet_rule_info *info, void *arg), void *arg,
		     struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	if (r == 0)
		r = gather(&l, pn_rule_request(buf, AF_INET), each_rule, err);
	if (r == 0)
		r = gather(&l, pn_rule_request(buf, AF_INET6), each_rule, err);
	for (size_t i = 0; i < l.all.n && r == 0; i++) {
		const struct found *f = &l.all.v[i];
		const struct pn_rule_attrs *rule = &f->obj.u.rule;
		struct podnet_rule_info info = {
			.rule = {
				.netns = netns, .family = rule->family, .priority = rule->priority,
				.from = rule->from, .to = rule->to, .mark = rule->mark,
				.mask = rule->mask, .iif = rule->iif[0] ? rule->iif : NULL,
				.table = rule->table,
			},
			.protocol = f->protocol, .ours = f->protocol == ctx->protocol,
		};

		r = each(&info, arg);
	}
	return r;
}

int podnet_neigh_list(struct podnet *ctx, const char *netns,
		      int (*each)(const struct podnet_neigh_info *info, void *arg), void *arg,
		      struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	if (r == 0)
		r = gather(&l, pn_neigh_request(buf, false), each_neigh, err);
	if (r == 0)
		r = gather(&l, pn_neigh_request(buf, true), each_neigh, err);
	for (size_t i = 0; i < l.all.n && r == 0; i++) {
		const struct found *f = &l.all.v[i];
		struct podnet_neigh_info info = {
			.neigh = {
				.netns = netns, .link = name_of(&l, f->obj.index),
				.addr = f->obj.u.neigh.addr, .proxy = f->obj.u.neigh.proxy,
			},
			.state = f->state, .ours = f->protocol == ctx->protocol,
		};

		memcpy(info.neigh.mac, f->obj.u.neigh.mac, sizeof(info.neigh.mac));
		if (info.neigh.link)
			r = each(&info, arg);
	}
	return r;
}

static int each_fdb(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct found *f = more(l);

	if (!f)
		return -ENOMEM;
	l->all.n += pn_fdb_parse(nlh, &f->obj, &f->state) == 0;
	return 0;
}

static int tell_fdb(const struct listing *l, const struct pn_link_seen *seen,
		    int (*each)(const struct podnet_fdb_info *info, void *arg), void *arg)
{
	int r = 0;

	for (size_t i = 0; i < l->all.n && r == 0; i++) {
		const struct found *f = &l->all.v[i];
		struct podnet_fdb_info info = {
			.fdb = { .netns = l->netns, .link = seen->obj.link, .dst = f->obj.u.fdb.dst },
			.state = f->state, .ours = is_ours(l, seen),
		};

		if (f->obj.index != seen->obj.index)
			continue;
		memcpy(info.fdb.mac, f->obj.u.fdb.mac, sizeof(info.fdb.mac));
		r = each(&info, arg);
	}
	return r;
}

int podnet_fdb_list(struct podnet *ctx, const char *netns, const char *link,
		    int (*each)(const struct podnet_fdb_info *info, void *arg), void *arg,
		    struct podnet_error *err)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	if (r == 0)
		r = gather(&l, pn_fdb_request(buf, 0), each_fdb, err);
	for (size_t i = 0; i < l.links.n && r == 0; i++) {
		const struct pn_link_seen *seen = &l.links.v[i];

		if (seen->obj.u.dev.type == PN_VXLAN && (!link || !strcmp(link, seen->obj.link)))
			r = tell_fdb(&l, seen, each, arg);
	}
	return r;
}

static int keep_bucket(const struct nlmsghdr *nlh, void *arg)
{
	struct found *f = arg;

	f->state = pn_limit_parse(nlh, &f->obj) > 0;
	return 0;
}

static bool bucket_of(const struct listing *l, const struct pn_link_seen *seen, struct found *f)
{
	uint8_t buf[256] __attribute__((aligned(8)));

	memset(f, 0, sizeof(*f));
	if (seen->bucket)
		nl_get(l->nl, pn_limit_request(buf, seen->obj.index), keep_bucket, f, NULL);
	return f->state;
}

static int tell_limits(const struct listing *l, const struct pn_link_seen *seen,
		       int (*each)(const struct podnet_limit_info *info, void *arg), void *arg)
{
	char ifb[PODNET_IFNAME_SIZE];
	struct podnet_limit_info info = {
		.limit = { .netns = l->netns, .link = seen->obj.link }, .ours = true,
	};
	struct found f;
	int r = 0;

	if (seen->obj.u.dev.type == PN_IFB)
		return 0;
	if (bucket_of(l, seen, &f)) {
		info.limit.rate = f.obj.u.limit.rate;
		info.limit.burst = f.obj.u.limit.burst;
		r = each(&info, arg);
	}
	pn_limit_ifb(seen->obj.link, ifb);
	for (size_t i = 0; i < l->links.n && r == 0; i++) {
		if (strcmp(l->links.v[i].obj.link, ifb) ||
		    !bucket_of(l, &l->links.v[i], &f))
			continue;
		info.limit.incoming = true;
		info.limit.rate = f.obj.u.limit.rate;
		info.limit.burst = f.obj.u.limit.burst;
		r = each(&info, arg);
	}
	return r;
}

int podnet_limit_list(struct podnet *ctx, const char *netns,
		      int (*each)(const struct podnet_limit_info *info, void *arg), void *arg,
		      struct podnet_error *err)
{
	_cleanup_(listing_fini) struct listing l;
	int r = listing_init(&l, ctx, netns, err);

	for (size_t i = 0; i < l.links.n && r == 0; i++)
		r = tell_limits(&l, &l.links.v[i], each, arg);
	return r;
}
