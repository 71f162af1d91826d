/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link.c - what is common to all network devices: check, compare, put, print
 *
 * Room: bytes and structs; sends nothing.  May include: nl, base, include/podnet, linux/.
 *
 * The kernel takes the alias only from a message about a link that exists, and the address
 * generation mode only before the link is up, so a new link is up to four messages of one datagram:
 * creation, mark with mode, up, bridge port.  A datagram is one system call, hence a process that
 * is killed leaves either a marked link or none.
 */
#include <errno.h>
#include <libpodnet/link/link.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

enum { A_TYPE, A_PEER_NS, A_PEER, A_FLAGS, A_MTU, A_MAC, A_MASTER, A_VXLAN, A_TUN };
_Static_assert(PN_LINK_AFTER_BIRTH == (1u << A_FLAGS | 1u << A_MASTER), "see link.h");
#define SAYS(p, attr) ((p)->changed & (1u << (attr)))

static const struct pn_attr link_attrs[] = {
	[A_TYPE]    = PN_ATTR(u.dev.type,    PN_SAID, true),
	[A_PEER_NS] = PN_ATTR(u.dev.peer_ns, PN_SAID, true),
	[A_PEER]    = PN_ATTR(u.dev.peer,    PN_SAID, true),
	[A_FLAGS]   = PN_ATTR(u.dev.flags,   PN_FLAGS, false),
	[A_MTU]     = PN_ATTR(u.dev.mtu,     PN_SAID, false),
	[A_MAC]     = PN_ATTR(u.dev.mac,     PN_SAID, false),
	[A_MASTER]  = PN_ATTR(u.dev.master,  PN_SAID, false),
	[A_VXLAN]   = PN_ATTR(u.dev.vxlan,   PN_SAID, true),
	[A_TUN]     = PN_ATTR(u.dev.tun,     PN_SAID, true),
};

bool pn_ifname_ok(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (n < 1 || n >= PODNET_IFNAME_SIZE || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		/* '%' is a template to the kernel: it would choose the number itself */
		if (c <= ' ' || c == '/' || c == ':' || c == '%' || c == 0x7f || c == 0xa0)
			return false;
	}
	return true;
}

int pn_link_check(const struct podnet_link *spec, const char *step, struct podnet_error *err)
{
	static const uint8_t none[6];

	if (!pn_ifname_ok(spec->name))
		return pn_err(err, -EINVAL, step, "name", NULL);
	if (spec->mtu && (spec->mtu < 68 || spec->mtu > 65535))
		return pn_err(err, -EINVAL, step, "mtu", NULL);
	if (memcmp(spec->mac, none, sizeof(none)) && (spec->mac[0] & 1))
		return pn_err_why(err, -EINVAL, step, "mac", "a multicast address");
	if (spec->master && !pn_ifname_ok(spec->master))
		return pn_err(err, -EINVAL, step, "master", NULL);
	if (spec->flags & ~(PODNET_LINK_NO_SNOOPING * 2u - 1))
		return pn_err(err, -EINVAL, step, "flags", NULL);
	return 0;
}

/* what a port and a bridge have of their own; the rest an administrator may add to */
uint32_t pn_link_off(const struct pn_obj *want)
{
	const struct pn_link_attrs *dev = &want->u.dev;

	if (dev->type == PN_BRIDGE)
		return PODNET_LINK_PROXY_ARP_PVLAN;
	if (dev->type == PN_VETH && dev->master[0])
		return PODNET_LINK_ISOLATED | PODNET_LINK_HAIRPIN;
	return 0;
}

static int link_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	return strcmp(a->link, b->link);
}

static struct ifinfomsg *start(const struct pn_put *p, uint16_t type, uint16_t flags,
			       const char *step)
{
	struct ifinfomsg *ifi = nl_msg(p->b, type, flags, sizeof(*ifi), step, p->tag);

	ifi->ifi_index = (int)p->index;
	return ifi;
}

static bool is_zero(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return !memcmp(mac, none, sizeof(none));
}

void pn_put_link_common(const struct pn_put *p, const struct pn_obj *obj)
{
	nl_put_str(p->b, IFLA_IFNAME, obj->link, "name");
	/* a bridge follows its ports' MTU unless it was told its own after it was made */
	if (obj->u.dev.mtu && obj->u.dev.type != PN_BRIDGE)
		nl_put_u32(p->b, IFLA_MTU, obj->u.dev.mtu, "mtu");
	if (!is_zero(obj->u.dev.mac))
		nl_put(p->b, IFLA_ADDRESS, obj->u.dev.mac, 6, "mac");
	/* one queue each way: veth makes one per CPU else, which takes twice the time */
	nl_put_u32(p->b, IFLA_NUM_TX_QUEUES, 1, NULL);
	nl_put_u32(p->b, IFLA_NUM_RX_QUEUES, 1, NULL);
}

static void (*const infos[])(const struct pn_put *p, const struct pn_obj *obj) = {
	[PN_VETH] = pn_put_veth_info, [PN_BRIDGE] = pn_put_bridge_info,
	[PN_IFB] = pn_put_ifb_info, [PN_VXLAN] = pn_put_vxlan_info,
};

/* a TUN device is there already: no message can make one */
static void put_creation(const struct pn_put *p, const struct pn_obj *obj)
{
	struct ifinfomsg *ifi = start(p, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "link_create");
	struct nlattr *info;

	if (p->up_at_birth)
		ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	pn_put_link_common(p, obj);
	if (p->group)
		nl_put_u32(p->b, IFLA_GROUP, p->group, NULL);
	if (p->master)
		nl_put_u32(p->b, IFLA_MASTER, p->master, "master");
	info = nl_nest(p->b, IFLA_LINKINFO);
	infos[obj->u.dev.type](p, obj);
	nl_nest_end(p->b, info);
}

static void put_af(const struct pn_put *p, const struct pn_obj *obj)
{
	uint32_t flags = obj->u.dev.flags;
	/* a link below IPv6's least MTU has no IPv6 part that could be told anything */
	bool addrgen = (flags & PODNET_LINK_NO_ADDRGEN) &&
		       !(obj->u.dev.mtu && obj->u.dev.mtu < 1280);
	bool pvlan = flags & PODNET_LINK_PROXY_ARP_PVLAN;
	bool inet = pvlan || (pn_link_off(obj) & PODNET_LINK_PROXY_ARP_PVLAN);
	struct nlattr *spec, *af, *conf;

	if (!addrgen && !inet)
		return;
	spec = nl_nest(p->b, IFLA_AF_SPEC);
	if (addrgen) {
		af = nl_nest(p->b, AF_INET6);
		nl_put_u8(p->b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE, "flags");
		nl_nest_end(p->b, af);
	}
	if (inet) {
		af = nl_nest(p->b, AF_INET);
		conf = nl_nest(p->b, IFLA_INET_CONF);
		nl_put_u32(p->b, IPV4_DEVCONF_PROXY_ARP_PVLAN, pvlan, "flags");
		/* else it would tell the ports to talk to each other directly */
		if (pvlan)
			nl_put_u32(p->b, IPV4_DEVCONF_SEND_REDIRECTS, 0, "flags");
		nl_nest_end(p->b, conf);
		nl_nest_end(p->b, af);
	}
	nl_nest_end(p->b, spec);
}

/* of a port of a bridge: the kernel wants it after the master is set, by a message of its own */
static void put_port(const struct pn_put *p, const struct pn_obj *obj, bool born)
{
	uint32_t flags = obj->u.dev.flags, off = born ? 0 : pn_link_off(obj);
	uint32_t said = (flags | off) & (PODNET_LINK_ISOLATED | PODNET_LINK_HAIRPIN);
	struct nlattr *info, *data;

	if (!said)
		return;
	start(p, RTM_NEWLINK, 0, "bridge_port_set");
	info = nl_nest(p->b, IFLA_LINKINFO);
	nl_put_str(p->b, IFLA_INFO_SLAVE_KIND, "bridge", NULL);
	data = nl_nest(p->b, IFLA_INFO_SLAVE_DATA);
	if (said & PODNET_LINK_ISOLATED)
		nl_put_u8(p->b, IFLA_BRPORT_ISOLATED, !!(flags & PODNET_LINK_ISOLATED), "flags");
	if (said & PODNET_LINK_HAIRPIN)
		nl_put_u8(p->b, IFLA_BRPORT_MODE, !!(flags & PODNET_LINK_HAIRPIN), "flags");
	nl_nest_end(p->b, data);
	nl_nest_end(p->b, info);
}

static void put_snooping(const struct pn_put *p, const struct pn_obj *obj)
{
	struct nlattr *info;

	if (obj->u.dev.type != PN_BRIDGE || !(obj->u.dev.flags & PODNET_LINK_NO_SNOOPING))
		return;
	start(p, RTM_NEWLINK, 0, "bridge_set");
	info = nl_nest(p->b, IFLA_LINKINFO);
	pn_put_bridge_info(p, obj);
	nl_nest_end(p->b, info);
}

static void put_up(const struct pn_put *p)
{
	struct ifinfomsg *ifi = start(p, RTM_NEWLINK, 0, "link_up");

	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
}

/* mark, values and mode: one message */
static void put_values(const struct pn_put *p, const struct pn_obj *obj)
{
	start(p, RTM_NEWLINK, 0, "link_set");
	if (p->alias)
		nl_put(p->b, IFLA_IFALIAS, p->alias, strlen(p->alias), NULL);
	if (SAYS(p, A_MTU) && obj->u.dev.mtu)
		nl_put_u32(p->b, IFLA_MTU, obj->u.dev.mtu, "mtu");
	if (SAYS(p, A_MAC) && !is_zero(obj->u.dev.mac))
		nl_put(p->b, IFLA_ADDRESS, obj->u.dev.mac, 6, "mac");
	if (SAYS(p, A_MASTER) && p->master)
		nl_put_u32(p->b, IFLA_MASTER, p->master, "master");
	if (SAYS(p, A_FLAGS))
		put_af(p, obj);
}

static void put_flags(const struct pn_put *p, const struct pn_obj *obj, bool born)
{
	if ((obj->u.dev.flags & PODNET_LINK_UP) && !p->up_at_birth)
		put_up(p);
	if (SAYS(p, A_FLAGS) || SAYS(p, A_MASTER))
		put_port(p, obj, born);
}

static void link_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	struct pn_put only = *p;

	switch (verb) {
	case PN_ADD:
		if (obj->u.dev.type != PN_TUN)
			put_creation(p, obj);
		only.changed = 1u << A_FLAGS;
		if (obj->u.dev.type == PN_BRIDGE || obj->u.dev.type == PN_TUN)
			only.changed |= 1u << A_MTU;
		put_values(&only, obj);
		put_flags(&only, obj, true);
		return;
	case PN_SET:
		put_values(p, obj);
		if (SAYS(p, A_FLAGS))
			put_snooping(p, obj);
		put_flags(p, obj, p->changed == PN_LINK_AFTER_BIRTH);
		return;
	case PN_DEL:
		if (p->group)
			pn_put_link_mark(p, NULL, p->group);
		else
			start(p, RTM_DELLINK, 0, "link_delete");
		return;
	}
}

void pn_put_link_mark(const struct pn_put *p, const char *alias, uint32_t group)
{
	start(p, RTM_NEWLINK, 0, "link_mark");
	if (alias)
		nl_put(p->b, IFLA_IFALIAS, alias, strlen(alias), NULL);
	nl_put_u32(p->b, IFLA_GROUP, group, NULL);
}

void pn_put_link_settle(const struct pn_put *p)
{
	start(p, RTM_GETLINK, 0, "link_settle");
	nl_put_u32(p->b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, NULL);
}

void pn_put_group_del(const struct pn_put *p, uint32_t group)
{
	nl_msg(p->b, RTM_DELLINK, 0, sizeof(struct ifinfomsg), "group_delete", p->tag);
	nl_put_u32(p->b, IFLA_GROUP, group, NULL);
}

static size_t add_text(char *buf, size_t size, size_t at, const char *word, const char *value)
{
	int n = at < size ? snprintf(buf + at, size - at, " %s%s%s", word, *value ? " " : "", value)
			  : 0;

	return at + (size_t)n;
}

static size_t print_values(char *buf, size_t size, size_t at, const struct pn_obj *obj, uint32_t ch,
			   uint32_t off)
{
	static const struct { uint32_t bit; const char *word; } words[] = {
		{ PODNET_LINK_UP, "up" }, { PODNET_LINK_ISOLATED, "isolated" },
		{ PODNET_LINK_HAIRPIN, "hairpin" }, { PODNET_LINK_PROXY_ARP_PVLAN, "proxy_arp_pvlan" },
		{ PODNET_LINK_NO_ADDRGEN, "addrgenmode none" },
		{ PODNET_LINK_NO_SNOOPING, "mcast_snooping 0" },
	};
	char text[PODNET_MAC_STRLEN];

	if ((ch & (1u << A_MTU)) && obj->u.dev.mtu) {
		snprintf(text, sizeof(text), "%u", obj->u.dev.mtu);
		at = add_text(buf, size, at, "mtu", text);
	}
	if ((ch & (1u << A_MAC)) && !is_zero(obj->u.dev.mac))
		at = add_text(buf, size, at, "address", podnet_mac_format(obj->u.dev.mac, text));
	if ((ch & (1u << A_MASTER)) && obj->u.dev.master[0])
		at = add_text(buf, size, at, "master", obj->u.dev.master);
	for (size_t i = 0; (ch & (1u << A_FLAGS)) && i < ARRAY_SIZE(words); i++) {
		if (obj->u.dev.flags & words[i].bit)
			at = add_text(buf, size, at, words[i].word, "");
		else if (off & words[i].bit)
			at = add_text(buf, size, at, words[i].word, "off");
	}
	return at;
}

static void link_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
		       uint32_t changed, const char *peer_ns)
{
	static const char *const types[] = {
		"any", "veth", "bridge", "ifb", "vxlan", "tun", "other",
	};
	size_t at = (size_t)snprintf(buf, size, "%s", obj->link);
	char own[128] = "";

	if (verb == PN_DEL)
		return;
	if (verb == PN_ADD) {
		at = add_text(buf, size, at, "type", types[obj->u.dev.type]);
		if (obj->u.dev.type == PN_VETH)
			at = add_text(buf, size, at, "peer", obj->u.dev.peer);
		if (obj->u.dev.type == PN_VETH && *peer_ns)
			at = add_text(buf, size, at, "in", peer_ns);
		if (obj->u.dev.type == PN_VXLAN)
			pn_vxlan_print(obj, own, sizeof(own));
		else if (obj->u.dev.type == PN_TUN)
			pn_tun_print(obj, own, sizeof(own));
		if (*own)
			at = add_text(buf, size, at, own, "");
		changed = ~0u;
	}
	print_values(buf, size, at, obj, changed,
		     verb == PN_ADD || changed == PN_LINK_AFTER_BIRTH ? 0 : pn_link_off(obj));
}

const struct pn_kind pn_link_kind = {
	"link", link_attrs, ARRAY_SIZE(link_attrs), link_cmp, link_put, link_print,
};
