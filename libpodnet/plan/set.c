/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * set.c - wishes: checked, copied, interned, sorted
 *
 * Room: pure.  May include: plan/inner.h, link, ip, base, include/podnet.
 */
#include "inner.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#define REFS_MAX 4096

const struct pn_kind *const pn_kinds[PN_NKINDS] = {
	[PN_NETNS] = &pn_netns_kind, [PN_SYSCTL] = &pn_sysctl_kind, [PN_LINK] = &pn_link_kind,
	[PN_ADDR]  = &pn_addr_kind,  [PN_ROUTE]  = &pn_route_kind,  [PN_RULE] = &pn_rule_kind,
	[PN_NEIGH] = &pn_neigh_kind, [PN_FDB]    = &pn_fdb_kind,    [PN_LIMIT] = &pn_limit_kind,
};

int pn_obj_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	if (a->ns != b->ns)
		return (int)a->ns - (int)b->ns;
	return pn_kinds[a->kind]->cmp(a, b);
}

/* the first that is not less than @key */
static size_t place(const struct pn_objs *objs, const struct pn_obj *key)
{
	size_t lo = 0, hi = objs->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pn_obj_cmp(&objs->v[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct pn_obj *pn_objs_find(const struct pn_objs *objs, const struct pn_obj *key)
{
	size_t at = place(objs, key);

	return at < objs->n && pn_obj_cmp(&objs->v[at], key) == 0 ? &objs->v[at] : NULL;
}

struct pn_obj *pn_objs_link(const struct pn_objs *objs, uint16_t ns, const char *name)
{
	struct pn_obj key = { .kind = PN_LINK, .ns = ns };

	snprintf(key.link, sizeof(key.link), "%s", name);
	return pn_objs_find(objs, &key);
}

int pn_objs_insert(struct pn_objs *objs, const struct pn_obj *obj)
{
	size_t at = place(objs, obj);
	int r;

	if (at < objs->n && pn_obj_cmp(&objs->v[at], obj) == 0)
		return 1;
	r = pn_grow(objs);
	if (r < 0)
		return r;
	memmove(&objs->v[at + 1], &objs->v[at], (objs->n - at) * sizeof(*obj));
	objs->v[at] = *obj;
	objs->n++;
	return 0;
}

int podnet_set_new(struct podnet_set **ret, const char *scope, struct podnet_error *err)
{
	struct podnet_set *set;

	if (!scope || !*scope || pn_netns_scope_check(scope) < 0)
		return pn_err(err, -EINVAL, "set_new", "scope", NULL);
	set = calloc(1, sizeof(*set));
	if (!set)
		return pn_err(err, -ENOMEM, "set_new", NULL, NULL);
	snprintf(set->scope, sizeof(set->scope), "%s", scope);
	*ret = set;
	return 0;
}

void podnet_set_free(struct podnet_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->refs.n; i++)
		free(set->refs.v[i].name);
	free(set->refs.v);
	free(set->objs.v);
	free(set);
}

/* the first error stays, and is what later calls return */
static int stick(struct podnet_set *set, const struct podnet_error *why, struct podnet_error *err)
{
	if (!set->error.code)
		set->error = *why;
	if (err)
		*err = set->error;
	return set->error.code;
}

int pn_set_ref(struct podnet_set *set, const char *name, uint16_t *ret)
{
	char *copy;
	int r;

	name = name ? name : "";
	for (size_t i = 0; i < set->refs.n; i++) {
		if (!strcmp(set->refs.v[i].name, name)) {
			*ret = (uint16_t)i;
			return 0;
		}
	}
	if (set->refs.n == REFS_MAX)
		return -E2BIG;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	r = pn_grow(&set->refs);
	if (r < 0) {
		free(copy);
		return r;
	}
	set->refs.v[set->refs.n].name = copy;
	*ret = (uint16_t)set->refs.n++;
	return 0;
}

static int add(struct podnet_set *set, const struct pn_obj *obj, const char *step,
	       struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	const struct pn_obj *same;
	int r = pn_objs_insert(&set->objs, obj);

	if (r == 0)
		return 0;
	same = r > 0 ? pn_objs_find(&set->objs, obj) : NULL;
	if (same && !memcmp(same, obj, sizeof(*obj)))
		return 0;
	pn_err(&why, r > 0 ? -EEXIST : r, step, NULL, r > 0 ? "declared twice, differently" : NULL);
	pn_name_object(set, obj, why.object, sizeof(why.object));
	return stick(set, &why, err);
}

/* an object of @kind in @netns, or the reason that sticks */
static int begin(struct podnet_set *set, struct pn_obj *obj, enum pn_kind_id kind,
		 const char *netns, const char *link, const char *step, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	int r;

	memset(obj, 0, sizeof(*obj));
	if (set->error.code)
		return stick(set, &set->error, err);
	r = pn_set_ref(set, netns, &obj->ns);
	if (r < 0) {
		pn_err(&why, r, step, "netns", NULL);
		return stick(set, &why, err);
	}
	obj->kind = (uint8_t)kind;
	if (link)
		snprintf(obj->link, sizeof(obj->link), "%s", link);
	return 0;
}

int podnet_set_netns(struct podnet_set *set, const struct podnet_netns *spec,
		     struct podnet_error *err)
{
	const char *scope = spec->scope ? spec->scope : set->scope;
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = 0;

	if (!spec->name || pn_netns_name_check(spec->name) < 0 || strchr(spec->name, ':'))
		r = pn_err(&why, -EINVAL, "netns_check", "name", NULL);
	else if (pn_netns_scope_check(scope) < 0)
		r = pn_err(&why, -EINVAL, "netns_check", "scope", NULL);
	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_NETNS, spec->name, NULL, "netns_check", err);
	if (r < 0)
		return r;
	snprintf(obj.u.netns.scope, sizeof(obj.u.netns.scope), "%s", scope);
	set->refs.v[obj.ns].declared = true;
	return add(set, &obj, "netns_check", err);
}

static int begin_link(struct podnet_set *set, struct pn_obj *obj, const struct podnet_link *spec,
		      enum pn_link_type type, const char *step, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	int r = pn_link_check(spec, step, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, obj, PN_LINK, spec->netns, spec->name, step, err);
	if (r < 0)
		return r;
	obj->u.dev.type = (uint8_t)type;
	obj->u.dev.flags = spec->flags;
	obj->u.dev.mtu = spec->mtu;
	memcpy(obj->u.dev.mac, spec->mac, 6);
	if (spec->master)
		snprintf(obj->u.dev.master, sizeof(obj->u.dev.master), "%s", spec->master);
	return 0;
}

int podnet_set_veth(struct podnet_set *set, const struct podnet_veth *spec,
		    struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj end[2];
	/* the end in the context's own namespace comes first: the creating message is sent there */
	bool away = spec->end[0].netns && *spec->end[0].netns;
	bool home = !spec->end[1].netns || !*spec->end[1].netns;
	int first = away && home, r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = begin_link(set, &end[i], &spec->end[i ^ first], PN_VETH, "veth_check", err);
	if (r < 0)
		return r;
	if (end[0].ns == end[1].ns && !strcmp(end[0].link, end[1].link)) {
		pn_err_why(&why, -EINVAL, "veth_check", "name", "both ends have the same name");
		return stick(set, &why, err);
	}
	for (int i = 0; i < 2; i++) {
		end[i].u.dev.end = (uint8_t)i;
		end[i].u.dev.peer_ns = end[!i].ns;
		memcpy(end[i].u.dev.peer, end[!i].link, sizeof(end[i].u.dev.peer));
	}
	r = add(set, &end[0], "veth_check", err);
	return r < 0 ? r : add(set, &end[1], "veth_check", err);
}

int podnet_set_bridge(struct podnet_set *set, const struct podnet_link *spec,
		      struct podnet_error *err)
{
	struct pn_obj obj;
	int r = begin_link(set, &obj, spec, PN_BRIDGE, "bridge_check", err);

	return r < 0 ? r : add(set, &obj, "bridge_check", err);
}

int podnet_set_vxlan(struct podnet_set *set, const struct podnet_vxlan *spec,
		     struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_vxlan_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin_link(set, &obj, &spec->link, PN_VXLAN, "vxlan_check", err);
	if (r < 0)
		return r;
	pn_vxlan_fill(spec, &obj);
	return add(set, &obj, "vxlan_check", err);
}

int podnet_set_tun(struct podnet_set *set, const struct podnet_tun *spec, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_tun_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin_link(set, &obj, &spec->link, PN_TUN, "tun_check", err);
	if (r < 0)
		return r;
	pn_tun_fill(spec, &obj);
	return add(set, &obj, "tun_check", err);
}

int podnet_set_link(struct podnet_set *set, const struct podnet_link *spec,
		    struct podnet_error *err)
{
	struct pn_obj obj;
	int r = begin_link(set, &obj, spec, PN_ANY, "link_check", err);

	return r < 0 ? r : add(set, &obj, "link_check", err);
}

int podnet_set_addr(struct podnet_set *set, const struct podnet_addr *spec,
		    struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_addr_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_ADDR, spec->netns, spec->link, "addr_check", err);
	if (r < 0)
		return r;
	obj.u.addr.prefix = spec->prefix;
	obj.u.addr.no_prefix_route = spec->no_prefix_route;
	obj.u.addr.local = spec->prefix.family == AF_INET &&
			   (spec->local || spec->prefix.addr[0] == 127);
	obj.u.addr.deprecated = spec->prefix.family == AF_INET6 && spec->deprecated;
	return add(set, &obj, "addr_check", err);
}

int podnet_set_route(struct podnet_set *set, const struct podnet_route *spec,
		     struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_route_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_ROUTE, spec->netns, spec->link, "route_check", err);
	if (r < 0)
		return r;
	obj.u.route.dst = spec->dst;
	obj.u.route.via = spec->via;
	obj.u.route.src = spec->src;
	/* a gateway is an address: its length says nothing */
	obj.u.route.via.len = spec->via.family ? (uint8_t)(pn_prefix_size(&spec->via) * 8) : 0;
	obj.u.route.src.len = spec->src.family ? (uint8_t)(pn_prefix_size(&spec->src) * 8) : 0;
	obj.u.route.table = spec->table ? spec->table : RT_TABLE_MAIN;
	obj.u.route.metric = spec->metric;
	if (!spec->metric && spec->dst.family == AF_INET6)
		obj.u.route.metric = 1024;
	obj.u.route.mtu = spec->mtu;
	obj.u.route.type = (uint8_t)spec->type;
	obj.u.route.onlink = spec->onlink;
	return add(set, &obj, "route_check", err);
}

int podnet_set_rule(struct podnet_set *set, const struct podnet_rule *spec,
		    struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_rule_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_RULE, spec->netns, NULL, "rule_check", err);
	if (r < 0)
		return r;
	obj.u.rule.family = spec->family;
	obj.u.rule.priority = spec->priority;
	if (spec->from.len)
		obj.u.rule.from = podnet_prefix_mask(&spec->from);
	if (spec->to.len)
		obj.u.rule.to = podnet_prefix_mask(&spec->to);
	obj.u.rule.mark = spec->mark;
	obj.u.rule.mask = spec->mask;
	obj.u.rule.table = spec->table;
	if (spec->iif)
		snprintf(obj.u.rule.iif, sizeof(obj.u.rule.iif), "%s", spec->iif);
	return add(set, &obj, "rule_check", err);
}

int podnet_set_neigh(struct podnet_set *set, const struct podnet_neigh *spec,
		     struct podnet_error *err)
{
	static const uint8_t none[6];
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_neigh_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_NEIGH, spec->netns, spec->link, "neigh_check", err);
	if (r < 0)
		return r;
	obj.u.neigh.addr = spec->addr;
	obj.u.neigh.proxy = spec->proxy;
	obj.u.neigh.of_peer = !spec->proxy && !memcmp(spec->mac, none, 6);
	if (!spec->proxy)
		memcpy(obj.u.neigh.mac, spec->mac, 6);
	return add(set, &obj, "neigh_check", err);
}

int podnet_set_fdb(struct podnet_set *set, const struct podnet_fdb *spec, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	int r = pn_fdb_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_FDB, spec->netns, spec->link, "fdb_check", err);
	if (r < 0)
		return r;
	memcpy(obj.u.fdb.mac, spec->mac, sizeof(obj.u.fdb.mac));
	obj.u.fdb.dst = spec->dst;
	return add(set, &obj, "fdb_check", err);
}

int podnet_set_limit(struct podnet_set *set, const struct podnet_limit *spec,
		     struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct podnet_link ifb = { .netns = spec->netns, .flags = PODNET_LINK_UP };
	char name[PODNET_IFNAME_SIZE];
	struct pn_obj obj;
	int r = 0;

	if (!pn_ifname_ok(spec->link))
		r = pn_err(&why, -EINVAL, "limit_check", "link", NULL);
	else if (spec->rate < 1000 || spec->rate > INT64_MAX)
		r = pn_err(&why, -EINVAL, "limit_check", "rate", NULL);
	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_LIMIT, spec->netns, spec->link, "limit_check", err);
	if (r < 0)
		return r;
	obj.u.limit.incoming = spec->incoming;
	obj.u.limit.rate = spec->rate / 8 * 8;          /* the kernel counts bytes */
	obj.u.limit.burst = spec->burst ? spec->burst : pn_limit_burst(spec->rate);
	r = add(set, &obj, "limit_check", err);
	if (r < 0 || !spec->incoming)
		return r;
	pn_limit_ifb(spec->link, name);
	ifb.name = name;
	r = begin_link(set, &obj, &ifb, PN_IFB, "limit_check", err);
	obj.is = PN_HIDDEN;
	return r < 0 ? r : add(set, &obj, "limit_check", err);
}

int podnet_set_sysctl(struct podnet_set *set, const struct podnet_sysctl *spec,
		      struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct pn_obj obj;
	const char *value;
	size_t n;
	int r = pn_sysctl_check(spec, &why);

	if (r < 0)
		return stick(set, &why, err);
	r = begin(set, &obj, PN_SYSCTL, spec->netns, NULL, "sysctl_check", err);
	if (r < 0)
		return r;
	value = spec->value + strspn(spec->value, " \t");
	n = strlen(value);
	while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	snprintf(obj.u.sysctl.key, sizeof(obj.u.sysctl.key), "%s", spec->key);
	memcpy(obj.u.sysctl.value, value, n);
	return add(set, &obj, "sysctl_check", err);
}
