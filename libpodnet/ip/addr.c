/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * addr.c - addresses on links
 *
 * Room: bytes and structs; sends nothing.  May include: link/object.h, nl, base, include/podnet,
 * libmnl, linux/.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/ip/ip.h>
#include <libpodnet/link/link.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

static const struct pn_attr addr_attrs[] = {
	PN_ATTR(u.addr.prefix.len, PN_EXACT, true),
	PN_ATTR(u.addr.no_prefix_route, PN_EXACT, true),
	PN_ATTR(u.addr.local, PN_EXACT, true),
	PN_ATTR(u.addr.deprecated, PN_EXACT, true),
};

int pn_addr_check(const struct podnet_addr *spec, struct podnet_error *err)
{
	if (!pn_ifname_ok(spec->link))
		return pn_err(err, -EINVAL, "addr_check", "link", NULL);
	if (spec->prefix.family != AF_INET && spec->prefix.family != AF_INET6)
		return pn_err(err, -EINVAL, "addr_check", "prefix", NULL);
	if (spec->prefix.len > pn_prefix_size(&spec->prefix) * 8)
		return pn_err(err, -EINVAL, "addr_check", "prefix", NULL);
	return 0;
}

/*
 * A link has an IPv6 address once, whatever its length (net/ipv6/addrconf.c, ipv6_add_addr()); of
 * an IPv4 address it may have one for each length (net/ipv4/devinet.c, __inet_insert_ifa()).
 */
static int addr_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	const struct podnet_prefix *x = &a->u.addr.prefix, *y = &b->u.addr.prefix;
	int r = strcmp(a->link, b->link);

	if (r || x->family != AF_INET6 || y->family != AF_INET6)
		return r ? r : pn_prefix_cmp(x, y);
	return memcmp(x->addr, y->addr, sizeof(x->addr));
}

static void addr_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	const struct podnet_prefix *a = &obj->u.addr.prefix;
	static const struct ifa_cacheinfo unpreferred = { .ifa_valid = UINT32_MAX };
	uint32_t flags = IFA_F_PERMANENT | IFA_F_NODAD;
	struct ifaddrmsg *ifa;

	if (verb == PN_DEL)
		ifa = nl_msg(p->b, RTM_DELADDR, 0, sizeof(*ifa), "addr_delete", p->tag);
	else
		ifa = nl_msg(p->b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa), "addr_add",
			     p->tag);
	ifa->ifa_family = a->family;
	ifa->ifa_prefixlen = a->len;
	ifa->ifa_index = p->index;
	if (obj->u.addr.local)
		ifa->ifa_scope = RT_SCOPE_HOST;
	nl_put(p->b, IFA_LOCAL, a->addr, pn_prefix_size(a), "prefix");
	nl_put(p->b, IFA_ADDRESS, a->addr, pn_prefix_size(a), "prefix");
	if (verb == PN_DEL)
		return;
	if (obj->u.addr.no_prefix_route)
		flags |= IFA_F_NOPREFIXROUTE;
	nl_put_u32(p->b, IFA_FLAGS, flags, "no_prefix_route");
	if (obj->u.addr.deprecated)
		nl_put(p->b, IFA_CACHEINFO, &unpreferred, sizeof(unpreferred), "deprecated");
	nl_put_u8(p->b, IFA_PROTO, p->protocol, NULL);
}

static void addr_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
		       uint32_t changed, const char *peer_ns)
{
	char text[PODNET_PREFIX_STRLEN];
	bool bare = verb != PN_DEL && obj->u.addr.no_prefix_route;
	bool local = verb != PN_DEL && obj->u.addr.local;
	bool deprecated = verb != PN_DEL && obj->u.addr.deprecated;

	(void)changed;
	(void)peer_ns;
	snprintf(buf, size, "%s %s%s%s%s", obj->link, podnet_prefix_format(&obj->u.addr.prefix, text),
		 bare ? " noprefixroute" : "", local ? " scope host" : "",
		 deprecated ? " preferred_lft 0" : "");
}

const struct pn_kind pn_addr_kind = {
	"addr", addr_attrs, ARRAY_SIZE(addr_attrs), addr_cmp, addr_put, addr_print,
};

struct nlmsghdr *pn_addr_request(void *buf, uint32_t index)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = RTM_GETADDR;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_index = index;
	return nlh;
}

int pn_addr_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *addr = NULL, *local = NULL;
	uint32_t flags = 0;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return -EPROTO;
	*protocol = 0;
	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_ADDR;
	ret->index = ifa->ifa_index;
	ret->u.addr.prefix.family = ifa->ifa_family;
	ret->u.addr.prefix.len = ifa->ifa_prefixlen;
	ret->u.addr.scope = ifa->ifa_scope;
	ret->u.addr.local = ifa->ifa_family == AF_INET && ifa->ifa_scope == RT_SCOPE_HOST;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		size_t len = mnl_attr_get_payload_len(attr);
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFA_ADDRESS)
			addr = attr;
		else if (type == IFA_LOCAL)
			local = attr;
		else if (type == IFA_FLAGS && len >= 4)
			flags = mnl_attr_get_u32(attr);
		else if (type == IFA_PROTO && len >= 1)
			*protocol = mnl_attr_get_u8(attr);
	}
	/* IPv4: the address itself is IFA_LOCAL; IPv6 without a peer has IFA_ADDRESS only */
	addr = local ? local : addr;
	if (!addr || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6) ||
	    mnl_attr_get_payload_len(addr) != pn_prefix_size(&ret->u.addr.prefix))
		return -EPROTO;
	memcpy(ret->u.addr.prefix.addr, mnl_attr_get_payload(addr),
	       mnl_attr_get_payload_len(addr));
	ret->u.addr.no_prefix_route = !!(flags & IFA_F_NOPREFIXROUTE);
	ret->u.addr.deprecated = ifa->ifa_family == AF_INET6 && (flags & IFA_F_DEPRECATED);
	return 0;
}
