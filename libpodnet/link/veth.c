/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * veth.c - the creating message of a veth pair: the other end, born where it belongs
 *
 * Room: bytes; sends nothing.  May include: nl, base, include/podnet, linux/.
 *
 * Moving a device into a namespace waits for two RCU grace periods (20 ms), so the peer is made
 * there at once.  IFF_UP on the peer gives ENOTCONN: it is brought up by a message of its own.
 */
#include <libpodnet/link/link.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

void pn_put_veth_info(const struct pn_put *p, const struct pn_obj *obj)
{
	struct nlattr *data, *peer;
	struct ifinfomsg *ifi;

	(void)obj;
	nl_put_str(p->b, IFLA_INFO_KIND, "veth", NULL);
	data = nl_nest(p->b, IFLA_INFO_DATA);
	peer = nl_nest(p->b, VETH_INFO_PEER);
	ifi = nl_reserve(p->b, sizeof(*ifi));
	ifi->ifi_index = (int)p->peer_index;
	pn_put_link_common(p, p->peer);
	if (p->peer_fd >= 0)
		nl_put_u32(p->b, IFLA_NET_NS_FD, (uint32_t)p->peer_fd, "netns");
	nl_nest_end(p->b, peer);
	nl_nest_end(p->b, data);
}
