/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vxlan.c - what is particular to VXLAN devices
 *
 * Room: bytes and structs; sends nothing.  May include: nl, base, include/podnet, libmnl, linux/.
 *
 * The kernel could change some of it in place, but not identity, address and port; a device that
 * differs in anything is made anew (drivers/net/vxlan, vxlan_nl2conf()).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <sys/socket.h>

static bool is_host(const struct podnet_prefix *p)
{
	return (p->family == AF_INET || p->family == AF_INET6) && p->len == pn_prefix_size(p) * 8;
}

int pn_vxlan_check(const struct podnet_vxlan *spec, struct podnet_error *err)
{
	static const char step[] = "vxlan_check";

	if (spec->id < 1 || spec->id > PODNET_VXLAN_ID_MAX)
		return pn_err(err, -EINVAL, step, "id", NULL);
	if (!is_host(&spec->local))
		return pn_err(err, -EINVAL, step, "local", NULL);
	if (spec->dev && !pn_ifname_ok(spec->dev))
		return pn_err(err, -EINVAL, step, "dev", NULL);
	if ((unsigned int)spec->csum > PODNET_VXLAN_CSUM_OFF)
		return pn_err(err, -EINVAL, step, "csum", NULL);
	return 0;
}

void pn_vxlan_fill(const struct podnet_vxlan *spec, struct pn_obj *ret)
{
	struct pn_vxlan_attrs *v = &ret->u.dev.vxlan;
	enum podnet_vxlan_csum csum = spec->csum;

	if (csum == PODNET_VXLAN_CSUM_DEFAULT)
		csum = spec->local.family == AF_INET6 ? PODNET_VXLAN_CSUM_ON : PODNET_VXLAN_CSUM_OFF;
	v->id = spec->id;
	v->port = spec->port ? spec->port : PODNET_VXLAN_PORT;
	v->csum = (uint8_t)csum;
	v->fixed = 1;
	v->local = spec->local;
	if (spec->dev)
		snprintf(v->dev, sizeof(v->dev), "%s", spec->dev);
}

void pn_put_vxlan_info(const struct pn_put *p, const struct pn_obj *obj)
{
	const struct pn_vxlan_attrs *v = &obj->u.dev.vxlan;
	bool v6 = v->local.family == AF_INET6, off = v->csum == PODNET_VXLAN_CSUM_OFF;
	uint16_t port_be = htons(v->port);
	struct nlattr *data;

	nl_put_str(p->b, IFLA_INFO_KIND, "vxlan", NULL);
	data = nl_nest(p->b, IFLA_INFO_DATA);
	nl_put_u32(p->b, IFLA_VXLAN_ID, v->id, "id");
	nl_put(p->b, v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, v->local.addr,
	       pn_prefix_size(&v->local), "local");
	nl_put(p->b, IFLA_VXLAN_PORT, &port_be, sizeof(port_be), "port");
	nl_put_u8(p->b, IFLA_VXLAN_LEARNING, !v->fixed, NULL);
	if (!v6)
		nl_put_u8(p->b, IFLA_VXLAN_UDP_CSUM, !off, "csum");
	if (v6 && off) {
		nl_put_u8(p->b, IFLA_VXLAN_UDP_ZERO_CSUM6_TX, 1, "csum");
		nl_put_u8(p->b, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1, "csum");
	}
	if (p->lower)
		nl_put_u32(p->b, IFLA_VXLAN_LINK, p->lower, "dev");
	nl_nest_end(p->b, data);
}

static void parse_local(const struct nlattr *attr, uint8_t family, struct pn_vxlan_attrs *v)
{
	v->local.family = family;
	v->local.len = family == AF_INET6 ? 128 : 32;
	if (mnl_attr_get_payload_len(attr) == pn_prefix_size(&v->local))
		memcpy(v->local.addr, mnl_attr_get_payload(attr), pn_prefix_size(&v->local));
}

/* what of it is said twice, for each family */
static uint8_t csum_of(const struct nlattr *data, bool v6)
{
	const struct nlattr *on = pn_attr_inside(data, IFLA_VXLAN_UDP_CSUM);
	const struct nlattr *off = pn_attr_inside(data, IFLA_VXLAN_UDP_ZERO_CSUM6_TX);
	bool yes = v6 ? !off || !pn_attr_u8(off) : !on || pn_attr_u8(on);

	return yes ? PODNET_VXLAN_CSUM_ON : PODNET_VXLAN_CSUM_OFF;
}

void pn_vxlan_parse(const struct nlattr *data, struct pn_link_seen *ret)
{
	struct pn_vxlan_attrs *v = &ret->obj.u.dev.vxlan;
	const struct nlattr *attr;

	v->fixed = 1;
	mnl_attr_for_each_nested(attr, data) {
		uint16_t type = mnl_attr_get_type(attr), port_be;

		if (type == IFLA_VXLAN_ID) {
			v->id = pn_attr_u32(attr);
		} else if (type == IFLA_VXLAN_LOCAL) {
			parse_local(attr, AF_INET, v);
		} else if (type == IFLA_VXLAN_LOCAL6) {
			parse_local(attr, AF_INET6, v);
		} else if (type == IFLA_VXLAN_PORT && mnl_attr_get_payload_len(attr) == 2) {
			memcpy(&port_be, mnl_attr_get_payload(attr), sizeof(port_be));
			v->port = ntohs(port_be);
		} else if (type == IFLA_VXLAN_LEARNING && pn_attr_u8(attr)) {
			v->fixed = 0;
		} else if (type == IFLA_VXLAN_LINK) {
			ret->lower = pn_attr_u32(attr);
		}
	}
	v->csum = csum_of(data, v->local.family == AF_INET6);
}

void pn_vxlan_print(const struct pn_obj *obj, char *buf, size_t size)
{
	const struct pn_vxlan_attrs *v = &obj->u.dev.vxlan;
	char local[PODNET_PREFIX_STRLEN];
	bool csum = v->csum == PODNET_VXLAN_CSUM_ON;

	snprintf(buf, size, "id %u local %s dstport %u%s%s%s", v->id,
		 podnet_prefix_format_addr(&v->local, local), v->port, *v->dev ? " dev " : "",
		 v->dev, csum == (v->local.family == AF_INET6) ? "" : csum ? " udpcsum" : " noudpcsum");
}
