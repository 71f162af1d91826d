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

static uint32_t u32_of(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

static uint8_t u8_of(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 1 ? mnl_attr_get_u8(attr) : 0;
}

/* an attribute inside a nest, or NULL */
static const struct nlattr *inside(const struct nlattr *nest, uint16_t type)
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
	const struct nlattr *attr = inside(data, IFLA_BRPORT_ISOLATED);

	if (attr && u8_of(attr))
		s->obj.u.dev.flags |= PODNET_LINK_ISOLATED;
	attr = inside(data, IFLA_BRPORT_MODE);
	if (attr && u8_of(attr))
		s->obj.u.dev.flags |= PODNET_LINK_HAIRPIN;
}

static void parse_info(const struct nlattr *info, struct pn_link_seen *s)
{
	const struct nlattr *attr = inside(info, IFLA_INFO_KIND), *data, *one;

	if (attr)
		copy_text(s->kind, sizeof(s->kind), attr);
	data = inside(info, IFLA_INFO_DATA);
	one = data && !strcmp(s->kind, "bridge") ? inside(data, IFLA_BR_MCAST_SNOOPING) : NULL;
	if (one && !u8_of(one))
		s->obj.u.dev.flags |= PODNET_LINK_NO_SNOOPING;
	attr = inside(info, IFLA_INFO_SLAVE_KIND);
	data = inside(info, IFLA_INFO_SLAVE_DATA);
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
	const struct nlattr *af = inside(spec, AF_INET6), *one;

	/* without an IPv6 part there is nothing to generate */
	one = af ? inside(af, IFLA_INET6_ADDR_GEN_MODE) : NULL;
	if (!af || (one && u8_of(one) == IN6_ADDR_GEN_MODE_NONE))
		s->obj.u.dev.flags |= PODNET_LINK_NO_ADDRGEN;
	af = inside(spec, AF_INET);
	one = af ? inside(af, IFLA_INET_CONF) : NULL;
	if (one && inet_conf(one, IPV4_DEVCONF_PROXY_ARP_PVLAN) &&
	    !inet_conf(one, IPV4_DEVCONF_SEND_REDIRECTS))
		s->obj.u.dev.flags |= PODNET_LINK_PROXY_ARP_PVLAN;
}

static uint8_t type_of(const char *kind)
{
	static const struct { const char *kind; uint8_t type; } types[] = {
		{ "veth", PN_VETH }, { "bridge", PN_BRIDGE }, { "ifb", PN_IFB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(kind, types[i].kind))
			return types[i].type;
	}
	return PN_OTHER;
}

static void parse_attr(const struct nlattr *attr, struct pn_link_seen *s)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_text(s->obj.link, sizeof(s->obj.link), attr);
		return;
	case IFLA_MTU:
		s->obj.u.dev.mtu = u32_of(attr);
		return;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == 6)
			memcpy(s->obj.u.dev.mac, mnl_attr_get_payload(attr), 6);
		return;
	case IFLA_MASTER:
		s->master = u32_of(attr);
		return;
	case IFLA_LINK:
		s->peer = u32_of(attr);
		return;
	case IFLA_LINK_NETNSID:
		s->peer_nsid = (int32_t)u32_of(attr);
		return;
	case IFLA_QDISC:
		s->bucket = mnl_attr_get_payload_len(attr) >= 4 &&
			    !memcmp(mnl_attr_get_payload(attr), "tbf", 4);
		return;
	case IFLA_GROUP:
		s->group = u32_of(attr);
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
	ret->obj.index = (uint32_t)ifi->ifi_index;
	if (ifi->ifi_flags & IFF_UP)
		ret->obj.u.dev.flags |= PODNET_LINK_UP;
	ret->running = ifi->ifi_flags & IFF_RUNNING;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
		parse_attr(attr, ret);
	ret->obj.u.dev.type = type_of(ret->kind);
	return 0;
}
