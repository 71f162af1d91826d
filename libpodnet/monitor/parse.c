/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parse.c - notifications of rtnetlink and nf_tables as events
 *
 * Room: pure functions on bytes.  May include: libpodnet/base, libmnl, linux/, include/podnet.
 */
#include "parse.h"

#include <libmnl/libmnl.h>
#include <libpodnet/base/base.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#define ATTR_MAX 64

struct attrs {
	const struct nlattr *v[ATTR_MAX];
};

static int keep(const struct nlattr *attr, void *data)
{
	struct attrs *tb = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTR_MAX)
		tb->v[type] = attr;
	return MNL_CB_OK;
}

/* the fixed header, or NULL when the message is too short for it; @tb receives what follows */
static const void *open_message(const struct nlmsghdr *nlh, size_t header, struct attrs *tb)
{
	memset(tb, 0, sizeof(*tb));
	if (mnl_nlmsg_get_payload_len(nlh) < header)
		return NULL;
	mnl_attr_parse(nlh, (unsigned int)header, keep, tb);
	return mnl_nlmsg_get_payload(nlh);
}

static uint32_t get_u32(const struct attrs *tb, int type, uint32_t otherwise)
{
	const struct nlattr *a = tb->v[type];

	if (!a || mnl_attr_get_payload_len(a) < sizeof(uint32_t))
		return otherwise;
	return mnl_attr_get_u32(a);
}

static uint8_t get_u8(const struct attrs *tb, int type)
{
	const struct nlattr *a = tb->v[type];

	return a && mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
}

static void get_text(const struct attrs *tb, int type, char *ret, size_t size)
{
	const struct nlattr *a = tb->v[type];

	if (a)
		snprintf(ret, size, "%.*s", (int)mnl_attr_get_payload_len(a),
			 mnl_attr_get_str(a));
}

static void get_prefix(const struct attrs *tb, int type, uint8_t family, uint8_t len,
		       struct podnet_prefix *ret)
{
	const struct nlattr *a = tb->v[type];
	size_t size = family == AF_INET ? 4 : 16;

	if (family != AF_INET && family != AF_INET6)
		return;
	ret->family = family;
	ret->len = len;
	if (a && mnl_attr_get_payload_len(a) >= size)
		memcpy(ret->addr, mnl_attr_get_payload(a), size);
}

static bool on_link(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct ifinfomsg *ifi = open_message(nlh, sizeof(*ifi), &tb);

	/* AF_BRIDGE: the same link once more, seen as a port */
	if (!ifi || ifi->ifi_family != AF_UNSPEC)
		return false;
	n->ev.type = PODNET_EVENT_LINK;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELLINK;
	n->ev.index = (uint32_t)ifi->ifi_index;
	n->ev.flags = ifi->ifi_flags;
	n->ev.mtu = get_u32(&tb, IFLA_MTU, 0);
	n->ev.master = get_u32(&tb, IFLA_MASTER, 0);
	n->ev.peer_nsid = (int32_t)get_u32(&tb, IFLA_LINK_NETNSID, UINT32_MAX);
	get_text(&tb, IFLA_IFNAME, n->ev.link, sizeof(n->ev.link));
	get_text(&tb, IFLA_IFALIAS, n->alias, sizeof(n->alias));
	return true;
}

static bool on_addr(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct ifaddrmsg *ifa = open_message(nlh, sizeof(*ifa), &tb);

	if (!ifa)
		return false;
	n->ev.type = PODNET_EVENT_ADDR;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELADDR;
	n->ev.index = ifa->ifa_index;
	n->ev.protocol = get_u8(&tb, IFA_PROTO);
	/* IFA_ADDRESS is the far end on a point-to-point link */
	get_prefix(&tb, tb.v[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS, ifa->ifa_family,
		   ifa->ifa_prefixlen, &n->ev.prefix);
	return true;
}

static bool on_route(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct rtmsg *rtm = open_message(nlh, sizeof(*rtm), &tb);

	if (!rtm || rtm->rtm_flags & RTM_F_CLONED)
		return false;
	n->ev.type = PODNET_EVENT_ROUTE;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELROUTE;
	n->ev.index = get_u32(&tb, RTA_OIF, 0);
	n->ev.table = get_u32(&tb, RTA_TABLE, rtm->rtm_table);
	n->ev.protocol = rtm->rtm_protocol;
	get_prefix(&tb, RTA_DST, rtm->rtm_family, rtm->rtm_dst_len, &n->ev.prefix);
	return true;
}

static bool on_rule(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct fib_rule_hdr *frh = open_message(nlh, sizeof(*frh), &tb);

	if (!frh)
		return false;
	n->ev.type = PODNET_EVENT_RULE;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELRULE;
	n->ev.table = get_u32(&tb, FRA_TABLE, frh->table);
	n->ev.protocol = get_u8(&tb, FRA_PROTOCOL);
	return true;
}

/* Entries of a device's own; those of bridges are learned with the traffic, and nobody's wish. */
static bool on_fdb(const struct nlmsghdr *nlh, const struct ndmsg *ndm, const struct attrs *tb,
		   struct pn_notice *n)
{
	const struct nlattr *mac = tb->v[NDA_LLADDR], *dst = tb->v[NDA_DST];
	bool v6 = dst && mnl_attr_get_payload_len(dst) == 16;

	if (!(ndm->ndm_flags & NTF_SELF) || !mac || mnl_attr_get_payload_len(mac) != 6)
		return false;
	n->ev.type = PODNET_EVENT_FDB;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELNEIGH;
	n->ev.index = (uint32_t)ndm->ndm_ifindex;
	n->ev.flags = ndm->ndm_state;
	memcpy(n->ev.mac, mnl_attr_get_payload(mac), sizeof(n->ev.mac));
	if (dst)
		get_prefix(tb, NDA_DST, v6 ? AF_INET6 : AF_INET, v6 ? 128 : 32, &n->ev.prefix);
	return true;
}

static bool on_neigh(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct ndmsg *ndm = open_message(nlh, sizeof(*ndm), &tb);

	if (ndm && ndm->ndm_family == AF_BRIDGE)
		return on_fdb(nlh, ndm, &tb, n);
	if (!ndm || (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return false;
	n->ev.type = PODNET_EVENT_NEIGH;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELNEIGH;
	n->ev.index = (uint32_t)ndm->ndm_ifindex;
	n->ev.flags = ndm->ndm_state;
	n->ev.protocol = get_u8(&tb, NDA_PROTOCOL);
	get_prefix(&tb, NDA_DST, ndm->ndm_family, ndm->ndm_family == AF_INET ? 32 : 128,
		   &n->ev.prefix);
	return true;
}

static bool on_tc(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;
	const struct tcmsg *tcm = open_message(nlh, sizeof(*tcm), &tb);

	if (!tcm)
		return false;
	n->ev.type = PODNET_EVENT_QDISC;
	n->ev.deleted = nlh->nlmsg_type == RTM_DELQDISC || nlh->nlmsg_type == RTM_DELTFILTER;
	n->ev.index = (uint32_t)tcm->tcm_ifindex;
	return true;
}

/* Of one link it tells as each is made; only what is set for all is of interest. */
static bool on_netconf(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	struct attrs tb;

	if (!open_message(nlh, NLMSG_ALIGN(sizeof(struct netconfmsg)), &tb))
		return false;
	n->ev.type = PODNET_EVENT_FORWARDING;
	return tb.v[NETCONFA_FORWARDING] &&
	       (int32_t)get_u32(&tb, NETCONFA_IFINDEX, 0) == NETCONFA_IFINDEX_ALL;
}

bool pn_notice_route(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	static const struct {
		uint16_t make, drop;
		bool (*parse)(const struct nlmsghdr *nlh, struct pn_notice *n);
	} kinds[] = {
		{ RTM_NEWLINK,    RTM_DELLINK,    on_link },
		{ RTM_NEWADDR,    RTM_DELADDR,    on_addr },
		{ RTM_NEWROUTE,   RTM_DELROUTE,   on_route },
		{ RTM_NEWRULE,    RTM_DELRULE,    on_rule },
		{ RTM_NEWNEIGH,   RTM_DELNEIGH,   on_neigh },
		{ RTM_NEWQDISC,   RTM_DELQDISC,   on_tc },
		{ RTM_NEWTFILTER, RTM_DELTFILTER, on_tc },
		{ RTM_NEWNETCONF, RTM_NEWNETCONF, on_netconf },
	};

	n->portid = nlh->nlmsg_pid;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (nlh->nlmsg_type == kinds[i].make || nlh->nlmsg_type == kinds[i].drop)
			return kinds[i].parse(nlh, n);
	}
	return false;
}

/*
 * A commit is told as its tables, chains, rules, sets and elements, then one NEWGEN.  In all but
 * NEWGEN, and in flowtables, attribute 1 of the message is the name of the table.
 */
bool pn_notice_nft(const struct nlmsghdr *nlh, struct pn_notice *n)
{
	uint16_t type = nlh->nlmsg_type & 0xff;
	struct attrs tb;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    !open_message(nlh, sizeof(struct nfgenmsg), &tb))
		return false;
	n->ev.type = PODNET_EVENT_NFT;
	n->portid = nlh->nlmsg_pid;
	if (type == NFT_MSG_NEWGEN)
		return true;
	n->ev.deleted = type == NFT_MSG_DELTABLE;
	if (tb.v[NFTA_TABLE_NAME]) {
		char table[64];

		get_text(&tb, NFTA_TABLE_NAME, table, sizeof(table));
		n->ev.table = strcmp(table, n->table) == 0;
	}
	return true;
}
