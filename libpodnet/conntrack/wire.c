/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire.c - filters to requests, messages to entries, one compared with the other
 *
 * Room: bytes and structs; sends nothing.  May include: conntrack.h, libpodnet/base, libmnl, linux/.
 */
#include "conntrack.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* Which fields of a tuple count: nf_internals.h has them, and no header for us does. */
enum { FILTER_SRC = 1 << 0, FILTER_DST = 1 << 1, FILTER_PROTO = 1 << 3, FILTER_SPORT = 1 << 4,
       FILTER_DPORT = 1 << 5 };

/* ---- filters ---- */

static bool net_ok(const struct podnet_prefix *p, uint8_t family)
{
	if (!p->family)
		return true;
	if (family && p->family != family)
		return false;
	return (p->family == AF_INET && p->len <= 32) || (p->family == AF_INET6 && p->len <= 128);
}

int ct_check(const struct podnet_conntrack_filter *f, struct podnet_error *err)
{
	const char *field = NULL;

	if (f->family && f->family != AF_INET && f->family != AF_INET6)
		field = "family";
	else if (!net_ok(&f->dst, f->family))
		field = "dst";
	else if (!net_ok(&f->endpoint, f->dst.family ? f->dst.family : f->family))
		field = "endpoint";
	else if (f->status & ~f->status_mask)
		field = "status";
	else if (f->mark & ~f->mark_mask)
		field = "mark";
	return field ? pn_err(err, -EINVAL, "conntrack_check", field, NULL) : 0;
}

static uint8_t family_of(const struct podnet_conntrack_filter *f)
{
	return f->family ? f->family : f->dst.family ? f->dst.family : f->endpoint.family;
}

/*
 * The kernel compares whole addresses only, and those of IPv6 the wrong way round: it leaves out
 * the equal ones (ctnetlink_filter_match_tuple(), also in 6.18).
 */
static bool is_host(const struct podnet_prefix *p)
{
	return p->family == AF_INET && p->len == 32;
}

static void put_addr(struct nlmsghdr *nlh, const struct podnet_prefix *p, uint16_t attr)
{
	struct nlattr *ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	if (is_host(p))
		mnl_attr_put(nlh, attr, 4, p->addr);
	mnl_attr_nest_end(nlh, ip);
}

static void put_proto(struct nlmsghdr *nlh, uint8_t protocol, uint16_t attr, uint16_t port)
{
	struct nlattr *proto = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, protocol);
	if (port)
		mnl_attr_put_u16(nlh, attr, htons(port));
	mnl_attr_nest_end(nlh, proto);
}

/* Without a family the kernel takes no tuple, and without a protocol no port. */
static void put_tuples(struct nlmsghdr *nlh, const struct podnet_conntrack_filter *f)
{
	uint32_t orig = is_host(&f->dst) ? FILTER_DST : 0, reply = is_host(&f->endpoint) ? FILTER_SRC : 0;
	struct nlattr *nest;

	if (f->protocol) {
		orig |= FILTER_PROTO | (f->dport ? FILTER_DPORT : 0);
		reply |= f->endpoint_port ? FILTER_PROTO | FILTER_SPORT : 0;
	}
	if (!family_of(f) || !(orig | reply))
		return;
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	put_addr(nlh, &f->dst, CTA_IP_V4_DST);
	put_proto(nlh, f->protocol, CTA_PROTO_DST_PORT, f->dport);
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_REPLY);
	put_addr(nlh, &f->endpoint, CTA_IP_V4_SRC);
	put_proto(nlh, f->protocol, CTA_PROTO_SRC_PORT, f->endpoint_port);
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, orig);
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, reply);
	mnl_attr_nest_end(nlh, nest);
}

struct nlmsghdr *ct_request(void *buf, const struct podnet_conntrack_filter *f, bool kernel)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nfg->version = NFNETLINK_V0;
	if (!kernel)
		return nlh;
	nfg->nfgen_family = family_of(f);
	if (f->status_mask) {
		mnl_attr_put_u32(nlh, CTA_STATUS, htonl(f->status));
		mnl_attr_put_u32(nlh, CTA_STATUS_MASK, htonl(f->status_mask));
	}
	if (f->mark_mask) {
		mnl_attr_put_u32(nlh, CTA_MARK, htonl(f->mark));
		mnl_attr_put_u32(nlh, CTA_MARK_MASK, htonl(f->mark_mask));
	}
	if (f->one_zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, htons(f->zone));
	put_tuples(nlh, f);
	return nlh;
}

static bool in_net(const struct podnet_prefix *net, const struct podnet_prefix *addr)
{
	return !net->family || (net->family == addr->family && podnet_prefix_contains(net, addr));
}

bool ct_matches(const struct podnet_conntrack_filter *f, const struct podnet_conntrack *c)
{
	return (!f->family || f->family == c->original.dst.family) &&
	       (!f->protocol || f->protocol == c->protocol) &&
	       (!f->dport || f->dport == c->original.dport) &&
	       (!f->endpoint_port || f->endpoint_port == c->reply.sport) &&
	       (c->status & f->status_mask) == f->status && (c->mark & f->mark_mask) == f->mark &&
	       (!f->one_zone || f->zone == c->zone) && in_net(&f->dst, &c->original.dst) &&
	       in_net(&f->endpoint, &c->reply.src);
}

/* ---- messages ---- */

/* Attributes by number; those beyond @max, or shorter than @least bytes, count as absent. */
static void index_attrs(const struct nlattr **tb, uint16_t max, const struct nlattr *attr)
{
	uint16_t type = mnl_attr_get_type(attr);

	if (type <= max)
		tb[type] = attr;
}

static void nest_attrs(const struct nlattr *nest, const struct nlattr **tb, uint16_t max)
{
	const struct nlattr *attr;

	if (!nest)
		return;
	mnl_attr_for_each_nested(attr, nest)
		index_attrs(tb, max, attr);
}

static uint64_t number(const struct nlattr *attr)
{
	const uint8_t *at = attr ? mnl_attr_get_payload(attr) : NULL;
	uint64_t n = 0;

	/* all of them are in network order */
	for (uint16_t i = 0; at && i < mnl_attr_get_payload_len(attr) && i < 8; i++)
		n = n << 8 | at[i];
	return n;
}

static void take_addr(const struct nlattr *v4, const struct nlattr *v6, struct podnet_prefix *ret)
{
	if (v4 && mnl_attr_get_payload_len(v4) == 4) {
		*ret = (struct podnet_prefix){ .family = AF_INET, .len = 32 };
		memcpy(ret->addr, mnl_attr_get_payload(v4), 4);
	} else if (v6 && mnl_attr_get_payload_len(v6) == 16) {
		*ret = (struct podnet_prefix){ .family = AF_INET6, .len = 128 };
		memcpy(ret->addr, mnl_attr_get_payload(v6), 16);
	}
}

static void take_way(const struct nlattr *nest, const struct nlattr *counters,
		     struct podnet_conntrack_way *ret, uint8_t *protocol)
{
	const struct nlattr *tuple[CTA_TUPLE_MAX + 1] = { 0 }, *ip[CTA_IP_MAX + 1] = { 0 };
	const struct nlattr *proto[CTA_PROTO_MAX + 1] = { 0 }, *count[CTA_COUNTERS_MAX + 1] = { 0 };

	nest_attrs(nest, tuple, CTA_TUPLE_MAX);
	nest_attrs(tuple[CTA_TUPLE_IP], ip, CTA_IP_MAX);
	nest_attrs(tuple[CTA_TUPLE_PROTO], proto, CTA_PROTO_MAX);
	nest_attrs(counters, count, CTA_COUNTERS_MAX);
	take_addr(ip[CTA_IP_V4_SRC], ip[CTA_IP_V6_SRC], &ret->src);
	take_addr(ip[CTA_IP_V4_DST], ip[CTA_IP_V6_DST], &ret->dst);
	*protocol = (uint8_t)number(proto[CTA_PROTO_NUM]);
	ret->sport = (uint16_t)number(proto[CTA_PROTO_SRC_PORT]);
	ret->dport = (uint16_t)number(proto[CTA_PROTO_DST_PORT]);
	ret->packets = number(count[CTA_COUNTERS_PACKETS]);
	ret->bytes = number(count[CTA_COUNTERS_BYTES]);
}

int ct_parse(const struct nlmsghdr *nlh, struct podnet_conntrack *ret)
{
	const struct nlattr *attr, *tb[CTA_MAX + 1] = { 0 };
	uint8_t reply;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return -EPROTO;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		index_attrs(tb, CTA_MAX, attr);
	*ret = (struct podnet_conntrack){
		.zone = (uint16_t)number(tb[CTA_ZONE]), .status = (uint32_t)number(tb[CTA_STATUS]),
		.mark = (uint32_t)number(tb[CTA_MARK]),
		.timeout_s = (uint32_t)number(tb[CTA_TIMEOUT]),
	};
	take_way(tb[CTA_TUPLE_ORIG], tb[CTA_COUNTERS_ORIG], &ret->original, &ret->protocol);
	take_way(tb[CTA_TUPLE_REPLY], tb[CTA_COUNTERS_REPLY], &ret->reply, &reply);
	return ret->original.dst.family && ret->reply.src.family ? 0 : -EPROTO;
}
