/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rule.c - policy rules
 *
 * Room: bytes and structs; sends nothing.  May include: link/object.h, nl, base, include/podnet,
 * libmnl, linux/.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/ip/ip.h>
#include <libpodnet/link/link.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#define HIGHEST_PRIORITY 32765          /* 32766 and 32767 are the kernel's own */

static const struct pn_attr rule_attrs[] = {
	PN_ATTR(u.rule.table, PN_EXACT, true),
};

static bool selector_ok(const struct podnet_prefix *p, uint8_t family)
{
	return !p->family || (p->family == family && p->len <= pn_prefix_size(p) * 8);
}

int pn_rule_check(const struct podnet_rule *spec, struct podnet_error *err)
{
	if (spec->family != AF_INET && spec->family != AF_INET6)
		return pn_err(err, -EINVAL, "rule_check", "family", NULL);
	if (!spec->priority || spec->priority > HIGHEST_PRIORITY)
		return pn_err(err, -EINVAL, "rule_check", "priority", NULL);
	if (!selector_ok(&spec->from, spec->family))
		return pn_err(err, -EINVAL, "rule_check", "from", NULL);
	if (!selector_ok(&spec->to, spec->family))
		return pn_err(err, -EINVAL, "rule_check", "to", NULL);
	if (spec->mark & ~spec->mask)
		return pn_err_why(err, -EINVAL, "rule_check", "mark", "bits outside the mask");
	if (spec->iif && !pn_ifname_ok(spec->iif))
		return pn_err(err, -EINVAL, "rule_check", "iif", NULL);
	if (!spec->table)
		return pn_err(err, -EINVAL, "rule_check", "table", NULL);
	return 0;
}

/* all but the table, in the order of the struct; the members are zeroed, so bytes compare */
static int rule_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	struct pn_rule_attrs x = a->u.rule, y = b->u.rule;

	x.table = y.table = 0;
	return memcmp(&x, &y, sizeof(x));
}

static void rule_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	const struct pn_rule_attrs *r = &obj->u.rule;
	struct fib_rule_hdr *hdr;

	if (verb == PN_DEL)
		hdr = nl_msg(p->b, RTM_DELRULE, 0, sizeof(*hdr), "rule_delete", p->tag);
	else
		hdr = nl_msg(p->b, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*hdr), "rule_add",
			     p->tag);
	hdr->family = r->family;
	hdr->action = FR_ACT_TO_TBL;
	hdr->table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_COMPAT;
	hdr->src_len = r->from.len;
	hdr->dst_len = r->to.len;
	nl_put_u32(p->b, FRA_TABLE, r->table, "table");
	nl_put_u32(p->b, FRA_PRIORITY, r->priority, "priority");
	nl_put_u8(p->b, FRA_PROTOCOL, p->protocol, NULL);
	if (r->from.len)
		nl_put(p->b, FRA_SRC, r->from.addr, pn_prefix_size(&r->from), "from");
	if (r->to.len)
		nl_put(p->b, FRA_DST, r->to.addr, pn_prefix_size(&r->to), "to");
	if (r->mask) {
		nl_put_u32(p->b, FRA_FWMARK, r->mark, "mark");
		nl_put_u32(p->b, FRA_FWMASK, r->mask, "mask");
	}
	if (r->iif[0])
		nl_put_str(p->b, FRA_IIFNAME, r->iif, "iif");
}

static void rule_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
		       uint32_t changed, const char *peer_ns)
{
	const struct pn_rule_attrs *r = &obj->u.rule;
	char from[PODNET_PREFIX_STRLEN] = "all", to[PODNET_PREFIX_STRLEN] = "", mark[40] = "";

	(void)verb;
	(void)changed;
	(void)peer_ns;
	if (r->from.len)
		podnet_prefix_format(&r->from, from);
	if (r->to.len)
		podnet_prefix_format(&r->to, to);
	if (r->mask)
		snprintf(mark, sizeof(mark), " fwmark 0x%x/0x%x", r->mark, r->mask);
	snprintf(buf, size, "%s priority %u from %s%s%s%s%s%s table %u",
		 r->family == AF_INET6 ? "ipv6" : "ipv4", r->priority, from, *to ? " to " : "", to,
		 mark, r->iif[0] ? " iif " : "", r->iif, r->table);
}

const struct pn_kind pn_rule_kind = {
	"rule", rule_attrs, ARRAY_SIZE(rule_attrs), rule_cmp, rule_put, rule_print,
};

struct nlmsghdr *pn_rule_request(void *buf, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *hdr;

	nlh->nlmsg_type = RTM_GETRULE;
	hdr = mnl_nlmsg_put_extra_header(nlh, sizeof(*hdr));
	hdr->family = family;
	return nlh;
}

static void parse_selector(struct podnet_prefix *to, uint8_t family, uint8_t len,
			   const struct nlattr *attr)
{
	to->family = family;
	to->len = len;
	if (mnl_attr_get_payload_len(attr) == pn_prefix_size(to))
		memcpy(to->addr, mnl_attr_get_payload(attr), pn_prefix_size(to));
}

static void parse_attr(const struct nlattr *attr, const struct fib_rule_hdr *hdr,
		       struct pn_rule_attrs *r, uint8_t *protocol)
{
	size_t len = mnl_attr_get_payload_len(attr);
	uint32_t word = len >= 4 ? mnl_attr_get_u32(attr) : 0;

	switch (mnl_attr_get_type(attr)) {
	case FRA_SRC:
		parse_selector(&r->from, hdr->family, hdr->src_len, attr);
		return;
	case FRA_DST:
		parse_selector(&r->to, hdr->family, hdr->dst_len, attr);
		return;
	case FRA_PRIORITY:
		r->priority = word;
		return;
	case FRA_FWMARK:
		r->mark = word;
		return;
	case FRA_FWMASK:
		r->mask = word;
		return;
	case FRA_TABLE:
		r->table = word;
		return;
	case FRA_IIFNAME:
		len = len < sizeof(r->iif) ? len : sizeof(r->iif) - 1;
		memcpy(r->iif, mnl_attr_get_payload(attr), len);
		return;
	case FRA_PROTOCOL:
		*protocol = len ? mnl_attr_get_u8(attr) : 0;
		return;
	}
}

int pn_rule_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol)
{
	const struct fib_rule_hdr *hdr = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*hdr) ||
	    (hdr->family != AF_INET && hdr->family != AF_INET6) || hdr->action != FR_ACT_TO_TBL)
		return -EPROTO;
	*protocol = 0;
	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_RULE;
	ret->u.rule.family = hdr->family;
	ret->u.rule.table = hdr->table;
	mnl_attr_for_each(attr, nlh, sizeof(*hdr)) {
		uint16_t type = mnl_attr_get_type(attr);

		/* selectors that we cannot express: somebody else's */
		if (type == FRA_OIFNAME || type == FRA_UID_RANGE || type == FRA_IP_PROTO ||
		    type == FRA_SPORT_RANGE || type == FRA_DPORT_RANGE || type == FRA_L3MDEV)
			return -EPROTO;
		parse_attr(attr, hdr, &ret->u.rule, protocol);
	}
	return 0;
}
