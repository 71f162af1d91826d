/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * announce.c - one ARP request or neighbour advertisement that says whose an address is
 *
 * Room: podnet/announce.h.  May include: libpodnet/base, libpodnet/context.h, include/podnet, linux/.
 * #syscalls: socket:AF_PACKET socket:AF_INET6 setsockopt bind sendto close
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/context.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <podnet/announce.h>
#include <podnet/link.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOPS 255                    /* less has crossed a router, and is not believed (RFC 4861, 7.1.2) */

struct announcement {
	const struct podnet_prefix *ip;
	uint32_t index;
	uint8_t mac[ETH_ALEN];
	bool up;
};

/** RFC 826, of Ethernet and IPv4. */
struct arp_packet {
	uint16_t hardware, protocol;
	uint8_t hardware_len, protocol_len;
	uint16_t operation;
	uint8_t sender_mac[ETH_ALEN], sender[4], target_mac[ETH_ALEN], target[4];
} __attribute__((packed));

/** RFC 4861, 4.4, with the option Target Link-Layer Address. */
struct advertisement {
	struct nd_neighbor_advert head;
	uint8_t option, option_len, mac[ETH_ALEN];
} __attribute__((packed));

static int send_arp(const struct announcement *a)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = (int)a->index, .sll_halen = ETH_ALEN,
	};
	struct arp_packet arp = {
		.hardware = htons(ARPHRD_ETHER), .protocol = htons(ETH_P_IP),
		.hardware_len = ETH_ALEN, .protocol_len = 4, .operation = htons(ARPOP_REQUEST),
	};

	memset(to.sll_addr, 0xff, ETH_ALEN);
	memcpy(arp.sender_mac, a->mac, ETH_ALEN);
	memcpy(arp.sender, a->ip->addr, sizeof(arp.sender));
	memcpy(arp.target, a->ip->addr, sizeof(arp.target));
	if (fd < 0 || sendto(fd, &arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int set(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, option, &value, sizeof(value));
}

/* From the address itself: a neighbour need not know another one, and the kernel fills the checksum. */
static int send_advertisement(const struct announcement *a)
{
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_scope_id = a->index };
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6, .sin6_scope_id = a->index,
		.sin6_addr = { { { 0xff, 2, [15] = 1 } } },
	};
	struct advertisement na = {
		.head = { .nd_na_hdr = { .icmp6_type = ND_NEIGHBOR_ADVERT } },
		.option = ND_OPT_TARGET_LINKADDR, .option_len = 1,
	};

	na.head.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	memcpy(&na.head.nd_na_target, a->ip->addr, sizeof(na.head.nd_na_target));
	memcpy(na.mac, a->mac, ETH_ALEN);
	memcpy(&from.sin6_addr, a->ip->addr, sizeof(from.sin6_addr));
	if (fd < 0 || set(fd, IPV6_MULTICAST_HOPS, HOPS) < 0 ||
	    set(fd, IPV6_MULTICAST_IF, (int)a->index) < 0 || set(fd, IPV6_MULTICAST_LOOP, 0) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    sendto(fd, &na, sizeof(na), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int send_one(void *arg)
{
	const struct announcement *a = arg;

	return a->ip->family == AF_INET ? send_arp(a) : send_advertisement(a);
}

static int found(const struct podnet_link_info *info, void *arg)
{
	struct announcement *a = arg;

	a->index = info->index;
	memcpy(a->mac, info->link.mac, ETH_ALEN);
	a->up = info->link.flags & PODNET_LINK_UP;
	return 0;
}

int podnet_announce(struct podnet *ctx, const char *link, const struct podnet_prefix *ip,
		    struct podnet_error *err)
{
	static const uint8_t none[ETH_ALEN];
	struct announcement a = { .ip = ip };
	int r;

	if (ip->family != AF_INET && ip->family != AF_INET6)
		return pn_err(err, -EINVAL, "announce", "ip", NULL);
	if (!link || !*link)
		return pn_err(err, -EINVAL, "announce", "link", NULL);
	r = podnet_link_get(ctx, NULL, link, found, &a, err);
	if (r < 0)
		return r;
	if (memcmp(a.mac, none, sizeof(none)) == 0)
		r = pn_err_why(err, -EOPNOTSUPP, "announce", "link", "it has no MAC address");
	else if (!a.up)
		r = pn_err(err, -ENETDOWN, "announce", "link", NULL);
	else if ((r = pn_in_netns(ctx->netns_fd, send_one, &a)) < 0)
		pn_err(err, r, "announce", NULL, NULL);
	if (r < 0)
		pn_err_object(err, link);
	return r;
}
