/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdb.c - MAC addresses behind VXLAN devices
 *
 * Room: bytes and structs; sends nothing.  May include: nl, base, include/podnet, libmnl, linux/.
 *
 * These are neighbour messages of the family AF_BRIDGE.  A unicast MAC has one destination, so
 * that is no part of the key (drivers/net/vxlan, vxlan_fdb_update_existing()).
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

static const uint8_t no_mac[6];

static const struct pn_attr fdb_attrs[] = {
	PN_ATTR(u.fdb.dst,     PN_SAID,  false),
	PN_ATTR(u.fdb.learned, PN_EXACT, false),
};

int pn_fdb_check(const struct podnet_fdb *spec, struct podnet_error *err)
{
	uint8_t family = spec->dst.family;

	if (!pn_ifname_ok(spec->link))
		return pn_err(err, -EINVAL, "fdb_check", "link", NULL);
	if ((spec->mac[0] & 1) || !memcmp(spec->mac, no_mac, sizeof(no_mac)))
		return pn_err_why(err, -EINVAL, "fdb_check", "mac", "not the address of one device");
	if ((family != AF_INET && family != AF_INET6) ||
	    spec->dst.len != pn_prefix_size(&spec->dst) * 8)
		return pn_err(err, -EINVAL, "fdb_check", "dst", NULL);
	return 0;
}

static int fdb_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	int r = strcmp(a->link, b->link);

	return r ? r : memcmp(a->u.fdb.mac, b->u.fdb.mac, sizeof(no_mac));
}

static void fdb_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	const struct pn_fdb_attrs *f = &obj->u.fdb;
	uint16_t flags = NLM_F_CREATE | (verb == PN_ADD ? NLM_F_EXCL : NLM_F_REPLACE);
	struct ndmsg *ndm;

	if (verb == PN_DEL)
		ndm = nl_msg(p->b, RTM_DELNEIGH, 0, sizeof(*ndm), "fdb_delete", p->tag);
	else
		ndm = nl_msg(p->b, RTM_NEWNEIGH, flags, sizeof(*ndm), "fdb_add", p->tag);
	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_ifindex = (int)p->index;
	ndm->ndm_flags = NTF_SELF;
	nl_put(p->b, NDA_LLADDR, f->mac, sizeof(f->mac), "mac");
	if (verb == PN_DEL)
		return;
	ndm->ndm_state = NUD_NOARP | NUD_PERMANENT;
	nl_put(p->b, NDA_DST, f->dst.addr, pn_prefix_size(&f->dst), "dst");
}

static void fdb_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
		      uint32_t changed, const char *peer_ns)
{
	char mac[PODNET_MAC_STRLEN], dst[PODNET_PREFIX_STRLEN];

	(void)changed;
	(void)peer_ns;
	podnet_mac_format(obj->u.fdb.mac, mac);
	if (verb == PN_DEL)
		snprintf(buf, size, "%s %s", obj->link, mac);
	else
		snprintf(buf, size, "%s %s dst %s", obj->link, mac,
			 podnet_prefix_format_addr(&obj->u.fdb.dst, dst));
}

const struct pn_kind pn_fdb_kind = {
	"fdb", fdb_attrs, ARRAY_SIZE(fdb_attrs), fdb_cmp, fdb_put, fdb_print,
};

static struct nlmsghdr *request(void *buf, uint32_t index)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	nlh->nlmsg_type = RTM_GETNEIGH;
	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_ifindex = (int)index;
	return nlh;
}

struct nlmsghdr *pn_fdb_request(void *buf, uint32_t index)
{
	return request(buf, index);
}

struct nlmsghdr *pn_fdb_get_request(void *buf, uint32_t index, const uint8_t mac[6])
{
	struct nlmsghdr *nlh = request(buf, index);
	struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

	ndm->ndm_flags = NTF_SELF;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(no_mac), mac);
	return nlh;
}

static void parse_dst(const struct nlattr *attr, struct podnet_prefix *ret)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len != 4 && len != 16)
		return;
	ret->family = len == 16 ? AF_INET6 : AF_INET;
	ret->len = (uint8_t)(len * 8);
	memcpy(ret->addr, mnl_attr_get_payload(attr), len);
}

int pn_fdb_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint16_t *state)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm) ||
	    ndm->ndm_family != AF_BRIDGE || !(ndm->ndm_flags & NTF_SELF))
		return -EPROTO;
	*state = ndm->ndm_state;
	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_FDB;
	ret->index = (uint32_t)ndm->ndm_ifindex;
	ret->u.fdb.learned = !(ndm->ndm_state & NUD_PERMANENT);
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NDA_LLADDR && mnl_attr_get_payload_len(attr) == sizeof(no_mac))
			memcpy(ret->u.fdb.mac, mnl_attr_get_payload(attr), sizeof(no_mac));
		else if (type == NDA_DST)
			parse_dst(attr, &ret->u.fdb.dst);
	}
	/* all zero: where what has no entry is flooded to */
	return memcmp(ret->u.fdb.mac, no_mac, sizeof(no_mac)) ? 0 : -EPROTO;
}
