/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route.c - routes
 *
 * Room: bytes and structs; sends nothing.  May include: link/object.h, nl, base, include/podnet,
 * libmnl, linux/.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/ip/ip.h>
#include <libpodnet/link/link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

static const struct { uint8_t rtn; const char *word; } types[] = {
	[PODNET_ROUTE_UNICAST]     = { RTN_UNICAST,     "" },
	[PODNET_ROUTE_UNREACHABLE] = { RTN_UNREACHABLE, "unreachable " },
	[PODNET_ROUTE_BLACKHOLE]   = { RTN_BLACKHOLE,   "blackhole " },
	[PODNET_ROUTE_LOCAL]       = { RTN_LOCAL,       "local " },
};

static const struct pn_attr route_attrs[] = {
	PN_ATTR(link,           PN_SAID,  false),
	PN_ATTR(u.route.via,    PN_EXACT, false),
	PN_ATTR(u.route.src,    PN_SAID,  false),
	PN_ATTR(u.route.mtu,    PN_EXACT, false),
	PN_ATTR(u.route.type,   PN_EXACT, false),
	PN_ATTR(u.route.onlink, PN_EXACT, false),
};

static bool prefix_ok(const struct podnet_prefix *p, uint8_t family)
{
	return p->family == family && p->len <= pn_prefix_size(p) * 8;
}

int pn_route_check(const struct podnet_route *spec, struct podnet_error *err)
{
	uint8_t family = spec->dst.family;
	struct podnet_prefix masked = podnet_prefix_mask(&spec->dst);

	if ((family != AF_INET && family != AF_INET6) || !prefix_ok(&spec->dst, family))
		return pn_err(err, -EINVAL, "route_check", "dst", NULL);
	if (memcmp(&masked, &spec->dst, sizeof(masked)))
		return pn_err_why(err, -EINVAL, "route_check", "dst", "host bits are set");
	/* IPv4 by a gateway of IPv6 (RFC 8950), and not the other way round */
	if (spec->via.family && !prefix_ok(&spec->via, family) && !prefix_ok(&spec->via, AF_INET6))
		return pn_err(err, -EINVAL, "route_check", "via", NULL);
	if (spec->src.family && !prefix_ok(&spec->src, family))
		return pn_err(err, -EINVAL, "route_check", "src", NULL);
	if ((unsigned int)spec->type >= ARRAY_SIZE(types))
		return pn_err(err, -EINVAL, "route_check", "type", NULL);
	if (spec->link && !pn_ifname_ok(spec->link))
		return pn_err(err, -EINVAL, "route_check", "link", NULL);
	if (!spec->link && !spec->via.family && spec->type == PODNET_ROUTE_UNICAST)
		return pn_err_why(err, -EINVAL, "route_check", "link", "neither link nor via");
	if (spec->onlink && (!spec->via.family || !spec->link))
		return pn_err_why(err, -EINVAL, "route_check", "onlink", "needs via and link");
	return 0;
}

static int route_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	int r = pn_prefix_cmp(&a->u.route.dst, &b->u.route.dst);

	if (r)
		return r;
	if (a->u.route.table != b->u.route.table)
		return a->u.route.table < b->u.route.table ? -1 : 1;
	return (a->u.route.metric > b->u.route.metric) - (a->u.route.metric < b->u.route.metric);
}

static void put_addr(const struct pn_put *p, uint16_t attr, const struct podnet_prefix *a,
		     const char *field)
{
	if (a->family)
		nl_put(p->b, attr, a->addr, pn_prefix_size(a), field);
}

/* of its own family, or with it */
static void put_gateway(const struct pn_put *p, const struct pn_route_attrs *r)
{
	struct { uint16_t family; uint8_t addr[16]; } via = { .family = r->via.family };

	if (!r->via.family || r->via.family == r->dst.family) {
		put_addr(p, RTA_GATEWAY, &r->via, "via");
		return;
	}
	memcpy(via.addr, r->via.addr, sizeof(via.addr));
	nl_put(p->b, RTA_VIA, &via, sizeof(via), "via");
}

static void put_key(const struct pn_put *p, struct rtmsg *rtm, const struct pn_obj *obj)
{
	const struct pn_route_attrs *r = &obj->u.route;

	rtm->rtm_family = r->dst.family;
	rtm->rtm_dst_len = r->dst.len;
	rtm->rtm_protocol = p->protocol;
	rtm->rtm_type = types[r->type].rtn;
	rtm->rtm_table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_COMPAT;
	nl_put_u32(p->b, RTA_TABLE, r->table, "table");
	if (r->dst.len)
		put_addr(p, RTA_DST, &r->dst, "dst");
	if (r->metric)
		nl_put_u32(p->b, RTA_PRIORITY, r->metric, "metric");
	if (p->index)
		nl_put_u32(p->b, RTA_OIF, p->index, "link");
}

static uint8_t scope_of(const struct pn_route_attrs *r)
{
	if (r->type == PODNET_ROUTE_LOCAL)
		return RT_SCOPE_HOST;
	return r->type == PODNET_ROUTE_UNICAST && !r->via.family ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static void route_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	const struct pn_route_attrs *r = &obj->u.route;
	uint16_t flags = NLM_F_CREATE | (verb == PN_ADD ? NLM_F_EXCL : NLM_F_REPLACE);
	struct nlattr *metrics;
	struct rtmsg *rtm;

	if (verb == PN_DEL) {
		rtm = nl_msg(p->b, RTM_DELROUTE, 0, sizeof(*rtm), "route_delete", p->tag);
		rtm->rtm_scope = RT_SCOPE_NOWHERE;      /* any */
		put_key(p, rtm, obj);
		return;
	}
	rtm = nl_msg(p->b, RTM_NEWROUTE, flags, sizeof(*rtm), "route_add", p->tag);
	rtm->rtm_scope = scope_of(r);
	rtm->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
	put_key(p, rtm, obj);
	put_gateway(p, r);
	put_addr(p, RTA_PREFSRC, &r->src, "src");
	if (!r->mtu)
		return;
	metrics = nl_nest(p->b, RTA_METRICS);
	nl_put_u32(p->b, RTAX_MTU, r->mtu, "mtu");
	nl_nest_end(p->b, metrics);
}

static void route_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
			uint32_t changed, const char *peer_ns)
{
	const struct pn_route_attrs *r = &obj->u.route;
	char dst[PODNET_PREFIX_STRLEN], via[PODNET_PREFIX_STRLEN] = "", more[64] = "";
	bool all = !r->dst.len, v6 = r->dst.family == AF_INET6;
	int n = 0;

	(void)changed;
	(void)peer_ns;
	podnet_prefix_format(&r->dst, dst);
	if (r->via.family && verb != PN_DEL)
		podnet_prefix_format_addr(&r->via, via);
	if (r->table != RT_TABLE_MAIN)
		n = snprintf(more, sizeof(more), " table %u", r->table);
	if (r->metric != (v6 ? 1024 : 0))
		n += snprintf(more + n, sizeof(more) - (size_t)n, " metric %u", r->metric);
	if (r->mtu && verb != PN_DEL)
		snprintf(more + n, sizeof(more) - (size_t)n, " mtu %u", r->mtu);
	snprintf(buf, size, "%s%s%s%s%s%s%s%s", types[r->type].word,
		 all ? (v6 ? "default6" : "default") : dst,
		 !*via ? "" : r->via.family == r->dst.family ? " via " : " via inet6 ", via,
		 *obj->link ? " dev " : "", obj->link, more,
		 r->onlink && verb != PN_DEL ? " onlink" : "");
}

const struct pn_kind pn_route_kind = {
	"route", route_attrs, ARRAY_SIZE(route_attrs), route_cmp, route_put, route_print,
};

struct nlmsghdr *pn_route_request(void *buf, uint8_t family, uint32_t table, uint32_t index,
				  uint8_t protocol)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_protocol = protocol;
	rtm->rtm_table = table < 256 ? (uint8_t)table : 0;
	if (table >= 256)
		mnl_attr_put_u32(nlh, RTA_TABLE, table);
	if (index)
		mnl_attr_put_u32(nlh, RTA_OIF, index);
	return nlh;
}

struct nlmsghdr *pn_route_get_request(void *buf, const struct podnet_prefix *dst)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = dst->family;
	/* one address is asked for; of a prefix its first (net/ipv4/route.c, strict checking) */
	rtm->rtm_dst_len = (uint8_t)(pn_prefix_size(dst) * 8);
	rtm->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(nlh, RTA_DST, pn_prefix_size(dst), dst->addr);
	return nlh;
}

static void copy_addr(struct podnet_prefix *to, uint8_t family, uint8_t len,
		      const struct nlattr *attr)
{
	to->family = family;
	to->len = len;
	if (mnl_attr_get_payload_len(attr) == pn_prefix_size(to))
		memcpy(to->addr, mnl_attr_get_payload(attr), pn_prefix_size(to));
}

/* struct rtvia: a family, and what follows */
static void copy_via(struct podnet_prefix *to, const struct nlattr *attr)
{
	const uint8_t *via = mnl_attr_get_payload(attr);
	uint16_t family = 0;

	if (mnl_attr_get_payload_len(attr) == sizeof(family) + sizeof(to->addr))
		memcpy(&family, via, sizeof(family));
	if (family != AF_INET6)
		return;
	to->family = AF_INET6;
	to->len = 128;
	memcpy(to->addr, via + sizeof(family), sizeof(to->addr));
}

static uint32_t mtu_of(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics) {
		if (mnl_attr_get_type(attr) == RTAX_MTU && mnl_attr_get_payload_len(attr) >= 4)
			return mnl_attr_get_u32(attr);
	}
	return 0;
}

static void parse_attr(const struct nlattr *attr, uint8_t family, struct pn_obj *ret)
{
	struct pn_route_attrs *r = &ret->u.route;
	uint8_t whole = family == AF_INET6 ? 128 : 32;
	bool word = mnl_attr_get_payload_len(attr) >= 4;

	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		copy_addr(&r->dst, family, r->dst.len, attr);
		return;
	case RTA_GATEWAY:
		copy_addr(&r->via, family, whole, attr);
		return;
	case RTA_VIA:
		copy_via(&r->via, attr);
		return;
	case RTA_PREFSRC:
		copy_addr(&r->src, family, whole, attr);
		return;
	case RTA_OIF:
		ret->index = word ? mnl_attr_get_u32(attr) : 0;
		return;
	case RTA_PRIORITY:
		r->metric = word ? mnl_attr_get_u32(attr) : 0;
		return;
	case RTA_TABLE:
		r->table = word ? mnl_attr_get_u32(attr) : 0;
		return;
	case RTA_METRICS:
		r->mtu = mtu_of(attr);
		return;
	}
}

int pn_route_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	size_t type = 0;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    (rtm->rtm_flags & RTM_F_CLONED) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return -EPROTO;
	while (type < ARRAY_SIZE(types) && types[type].rtn != rtm->rtm_type)
		type++;
	if (type == ARRAY_SIZE(types))
		return -EPROTO;
	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_ROUTE;
	ret->u.route.type = (uint8_t)type;
	ret->u.route.dst.family = rtm->rtm_family;
	ret->u.route.dst.len = rtm->rtm_dst_len;
	ret->u.route.table = rtm->rtm_table;
	ret->u.route.onlink = !!(rtm->rtm_flags & RTNH_F_ONLINK);
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
		parse_attr(attr, rtm->rtm_family, ret);
	/* IPv6 shows lo as the link of a route that leads nowhere */
	if (type != PODNET_ROUTE_UNICAST && type != PODNET_ROUTE_LOCAL)
		ret->index = 0;
	*protocol = rtm->rtm_protocol;
	return 0;
}
