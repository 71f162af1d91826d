/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bridge.c - what is particular to bridges and ifb devices in a message about them
 *
 * Room: bytes; sends nothing.  May include: nl, base, include/podnet, linux/.
 */
#include <libpodnet/link/link.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

void pn_put_bridge_info(const struct pn_put *p, const struct pn_obj *obj)
{
	struct nlattr *data;

	nl_put_str(p->b, IFLA_INFO_KIND, "bridge", NULL);
	if (!(obj->u.dev.flags & PODNET_LINK_NO_SNOOPING))
		return;
	data = nl_nest(p->b, IFLA_INFO_DATA);
	nl_put_u8(p->b, IFLA_BR_MCAST_SNOOPING, 0, "flags");
	nl_nest_end(p->b, data);
}

void pn_put_ifb_info(const struct pn_put *p, const struct pn_obj *obj)
{
	(void)obj;
	nl_put_str(p->b, IFLA_INFO_KIND, "ifb", NULL);
}
