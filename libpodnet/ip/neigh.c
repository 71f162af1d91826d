/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * neigh.c - permanent neighbours, and addresses that we answer for
 *
 * Room: bytes and structs; sends nothing.  May include: link/object.h, nl, base, include/podnet,
 * libmnl, linux/.
 *
 * What the kernel learnt by itself is nobody's wish: a permanent entry replaces it.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/ip/ip.h>
#include <libpodnet/link/link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

static const struct pn_attr neigh_attrs[] = {
	PN_ATTR(u.neigh.mac,     PN_SAID,  false),
	PN_ATTR(u.neigh.learned, PN_EXACT, false),
};

int pn_neigh_check(const struct podnet_neigh *spec, struct podnet_error *err)
{
	uint8_t family = spec->addr.family;

	if (!pn_ifname_ok(spec->link))
		return pn_err(err, -EINVAL, "neigh_check", "link", NULL);
	if ((family != AF_INET && family != AF_INET6) ||
	    spec->addr.len != pn_prefix_size(&spec->addr) * 8)
		return pn_err(err, -EINVAL, "neigh_check", "addr", NULL);
	if (!spec->proxy && (spec->mac[0] & 1))
		return pn_err_why(err, -EINVAL, "neigh_check", "mac", "a multicast address");
	return 0;
}

static int neigh_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	int r = strcmp(a->link, b->link);

	r = r ? r : pn_prefix_cmp(&a->u.neigh.addr, &b->u.neigh.addr);
	return r ? r : (int)a->u.neigh.proxy - (int)b->u.neigh.proxy;
}

static void neigh_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	const struct pn_neigh_attrs *n = &obj->u.neigh;
	uint16_t flags = NLM_F_CREATE | (verb == PN_ADD ? NLM_F_EXCL : NLM_F_REPLACE);
	struct ndmsg *ndm;

	if (verb == PN_DEL)
		ndm = nl_msg(p->b, RTM_DELNEIGH, 0, sizeof(*ndm), "neigh_delete", p->tag);
	else
		ndm = nl_msg(p->b, RTM_NEWNEIGH, flags, sizeof(*ndm), "neigh_add", p->tag);
	ndm->ndm_family = n->addr.family;
	ndm->ndm_ifindex = (int)p->index;
	ndm->ndm_flags = n->proxy ? NTF_PROXY : 0;
	nl_put(p->b, NDA_DST, n->addr.addr, pn_prefix_size(&n->addr), "addr");
	if (verb == PN_DEL)
		return;
	ndm->ndm_state = NUD_PERMANENT;
	if (!n->proxy)
		nl_put(p->b, NDA_LLADDR, n->mac, 6, "mac");
	nl_put_u8(p->b, NDA_PROTOCOL, p->protocol, NULL);
}

static void neigh_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
			uint32_t changed, const char *peer_ns)
{
	static const uint8_t none[6];
	char addr[PODNET_PREFIX_STRLEN], mac[PODNET_MAC_STRLEN] = "peer";
	const struct pn_neigh_attrs *n = &obj->u.neigh;

	(void)changed;
	(void)peer_ns;
	podnet_prefix_format_addr(&n->addr, addr);
	if (memcmp(n->mac, none, sizeof(none)))
		podnet_mac_format(n->mac, mac);
	if (n->proxy)
		snprintf(buf, size, "%s proxy %s", obj->link, addr);
	else if (verb == PN_DEL)
		snprintf(buf, size, "%s %s", obj->link, addr);
	else
		snprintf(buf, size, "%s %s lladdr %s", obj->link, addr, mac);
}

const struct pn_kind pn_neigh_kind = {
	"neigh", neigh_attrs, ARRAY_SIZE(neigh_attrs), neigh_cmp, neigh_put, neigh_print,
};

static struct ndmsg *request(void *buf, struct nlmsghdr **nlh)
{
	*nlh = mnl_nlmsg_put_header(buf);
	(*nlh)->nlmsg_type = RTM_GETNEIGH;
	return mnl_nlmsg_put_extra_header(*nlh, sizeof(struct ndmsg));
}

struct nlmsghdr *pn_neigh_request(void *buf, bool proxy)
{
	struct nlmsghdr *nlh;
	struct ndmsg *ndm = request(buf, &nlh);

	ndm->ndm_flags = proxy ? NTF_PROXY : 0;
	return nlh;
}

struct nlmsghdr *pn_neigh_get_request(void *buf, uint32_t index, const struct pn_neigh_attrs *n)
{
	struct nlmsghdr *nlh;
	struct ndmsg *ndm = request(buf, &nlh);

	ndm->ndm_family = n->addr.family;
	ndm->ndm_ifindex = (int)index;
	ndm->ndm_flags = n->proxy ? NTF_PROXY : 0;
	mnl_attr_put(nlh, NDA_DST, pn_prefix_size(&n->addr), n->addr.addr);
	return nlh;
}

int pn_neigh_parse(const struct nlmsghdr *nlh, struct pn_obj *ret, uint8_t *protocol,
		   uint16_t *state)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	bool addr = false;

	if (nlh->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm) ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return -EPROTO;
	*protocol = 0;
	*state = ndm->ndm_state;
	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_NEIGH;
	ret->index = (uint32_t)ndm->ndm_ifindex;
	ret->u.neigh.proxy = !!(ndm->ndm_flags & NTF_PROXY);
	ret->u.neigh.learned = !ret->u.neigh.proxy && !(ndm->ndm_state & NUD_PERMANENT);
	ret->u.neigh.addr.family = ndm->ndm_family;
	ret->u.neigh.addr.len = ndm->ndm_family == AF_INET6 ? 128 : 32;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm)) {
		size_t len = mnl_attr_get_payload_len(attr);
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NDA_DST && len == pn_prefix_size(&ret->u.neigh.addr)) {
			memcpy(ret->u.neigh.addr.addr, mnl_attr_get_payload(attr), len);
			addr = true;
		} else if (type == NDA_LLADDR && len == 6) {
			memcpy(ret->u.neigh.mac, mnl_attr_get_payload(attr), len);
		} else if (type == NDA_PROTOCOL && len >= 1) {
			*protocol = mnl_attr_get_u8(attr);
		}
	}
	return addr ? 0 : -EPROTO;
}
