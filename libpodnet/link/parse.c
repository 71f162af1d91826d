/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parse.c - a link as the kernel tells it
 *
 * Room: bytes to structs; sends nothing.  May include: nl, base, include/podnet, libmnl, linux/.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

struct nlmsghdr *pn_link_request(void *buf, uint32_t index, const char *name)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)index;
	if (!index && name)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nlh;
}

struct nlmsghdr *pn_link_request_in(void *buf, int32_t nsid, const char *name)
{
	struct nlmsghdr *nlh = pn_link_request(buf, 0, name);

	mnl_attr_put_u32(nlh, IFLA_TARGET_NETNSID, (uint32_t)nsid);
	return nlh;
}

struct nlmsghdr *pn_nsid_request(void *buf, int fd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETNSID;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)fd);
	return nlh;
}

int32_t pn_nsid_parse(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNSID)
		return NETNSA_NSID_NOT_ASSIGNED;
	mnl_attr_for_each(attr, nlh, sizeof(struct rtgenmsg)) {
		if (mnl_attr_get_type(attr) == NETNSA_NSID && mnl_attr_get_payload_len(attr) >= 4)
			return (int32_t)mnl_attr_get_u32(attr);
	}
	return NETNSA_NSID_NOT_ASSIGNED;
}

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	size_t n = mnl_attr_get_payload_len(attr);

	n = n < size ? n : size - 1;
	memcpy(to, mnl_attr_get_payload(attr), n);
	to[n] = '\0';
}

uint32_t pn_attr_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

uint8_t pn_attr_u8(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 1 ? mnl_attr_get_u8(attr) : 0;
}

const struct nlattr *pn_attr_inside(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static void parse_port(const struct nlattr *data, struct pn_link_seen *s)
{
	const struct nlattr *attr = pn_attr_inside(data, IFLA_BRPORT_ISOLATED);

	if (attr && pn_attr_u8(attr))
		s->obj.u.dev.flags |= PODNET_LINK_ISOLATED;
	attr = pn_attr_inside(data, IFLA_BRPORT_MODE);
	if (attr && pn_attr_u8(attr))
		s->obj.u.dev.flags |= PODNET_LINK_HAIRPIN;
}

static uint8_t type_of(const char *kind)
{
	static const struct { const char *kind; uint8_t type; } types[] = {
		{ "veth", PN_VETH }, { "bridge", PN_BRIDGE }, { "ifb", PN_IFB },
		{ "vxlan", PN_VXLAN }, { "tun", PN_TUN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(kind, types[i].kind))
			return types[i].type;
	}
	return PN_OTHER;
}

/* IFLA_INFO_DATA, of the type */
static void parse_own(const struct nlattr *data, struct pn_link_seen *s)
{
	const struct nlattr *one;

	if (s->obj.u.dev.type == PN_VXLAN)
		pn_vxlan_parse(data, s);
	if (s->obj.u.dev.type == PN_TUN)
		pn_tun_parse(data, s);
	if (s->obj.u.dev.type != PN_BRIDGE)
		return;
	one = pn_attr_inside(data, IFLA_BR_MCAST_SNOOPING);
	if (one && !pn_attr_u8(one))
		s->obj.u.dev.flags |= PODNET_LINK_NO_SNOOPING;
}

static void parse_info(const struct nlattr *info, struct pn_link_seen *s)
{
	const struct nlattr *attr = pn_attr_inside(info, IFLA_INFO_KIND), *data;

	if (attr)
		copy_text(s->kind, sizeof(s->kind), attr);
	data = pn_attr_inside(info, IFLA_INFO_DATA);
	s->obj.u.dev.type = type_of(s->kind);
	if (data)
		parse_own(data, s);
	attr = pn_attr_inside(info, IFLA_INFO_SLAVE_KIND);
	data = pn_attr_inside(info, IFLA_INFO_SLAVE_DATA);
	if (attr && data && mnl_attr_get_payload_len(attr) >= 6 &&
	    !memcmp(mnl_attr_get_payload(attr), "bridge", 6))
		parse_port(data, s);
}

static bool inet_conf(const struct nlattr *conf, unsigned int which)
{
	const uint32_t *v = mnl_attr_get_payload(conf);

	return mnl_attr_get_payload_len(conf) / sizeof(*v) >= which && v[which - 1];
}

static void parse_af(const struct nlattr *spec, struct pn_link_seen *s)
{
	const struct nlattr *af = pn_attr_inside(spec, AF_INET6), *one;

	/* without an IPv6 part there is nothing to generate */
	one = af ? pn_attr_inside(af, IFLA_INET6_ADDR_GEN_MODE) : NULL;
	if (!af || (one && pn_attr_u8(one) == IN6_ADDR_GEN_MODE_NONE))
		s->obj.u.dev.flags |= PODNET_LINK_NO_ADDRGEN;
	af = pn_attr_inside(spec, AF_INET);
	one = af ? pn_attr_inside(af, IFLA_INET_CONF) : NULL;
	if (one && inet_conf(one, IPV4_DEVCONF_PROXY_ARP_PVLAN) &&
	    !inet_conf(one, IPV4_DEVCONF_SEND_REDIRECTS))
		s->obj.u.dev.flags |= PODNET_LINK_PROXY_ARP_PVLAN;
}

static void parse_attr(const struct nlattr *attr, struct pn_link_seen *s)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_text(s->obj.link, sizeof(s->obj.link), attr);
		return;
	case IFLA_MTU:
		s->obj.u.dev.mtu = pn_attr_u32(attr);
		return;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == 6)
			memcpy(s->obj.u.dev.mac, mnl_attr_get_payload(attr), 6);
		return;
	case IFLA_MASTER:
		s->master = pn_attr_u32(attr);
		return;
	case IFLA_LINK:
		s->peer = pn_attr_u32(attr);
		return;
	case IFLA_LINK_NETNSID:
		s->peer_nsid = (int32_t)pn_attr_u32(attr);
		return;
	case IFLA_QDISC:
		s->bucket = mnl_attr_get_payload_len(attr) >= 4 &&
			    !memcmp(mnl_attr_get_payload(attr), "tbf", 4);
		return;
	case IFLA_GROUP:
		s->group = pn_attr_u32(attr);
		return;
	case IFLA_IFALIAS:
		copy_text(s->alias, sizeof(s->alias), attr);
		return;
	case IFLA_LINKINFO:
		parse_info(attr, s);
		return;
	case IFLA_AF_SPEC:
		parse_af(attr, s);
		return;
	}
}

int pn_link_parse(const struct nlmsghdr *nlh, struct pn_link_seen *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return -EPROTO;
	memset(ret, 0, sizeof(*ret));
	ret->peer_nsid = NETNSA_NSID_NOT_ASSIGNED;
	ret->obj.kind = PN_LINK;
	ret->obj.u.dev.type = PN_OTHER;
	ret->obj.index = (uint32_t)ifi->ifi_index;
	if (ifi->ifi_flags & IFF_UP)
		ret->obj.u.dev.flags |= PODNET_LINK_UP;
	ret->running = ifi->ifi_flags & IFF_RUNNING;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
		parse_attr(attr, ret);
	return 0;
}
