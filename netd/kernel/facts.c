/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * facts.c - what the node is: its addresses, the MTU of its uplink, and who drops beside us
 *
 * Room: on the kernel thread; reads only.  May include: inner.h, include/podnet.
 *
 * The kernel has one limit of neighbours for all namespaces, and shows it in the first one only.
 *
 * The underlay is what is not ours.  Addresses of the link that has the default route come first,
 * then those of other devices, then of bridges and the like, then global ones on lo.
 * #syscalls: open openat read close fstat newfstatat
 */
#include "inner.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

#define MAX_SEEN_LINKS 256           /* foreign links that are looked at */
#define DEFAULT_MTU 1500         /* what a drifted link is put back to, where no uplink says more */

struct underlay_link {
	char name[PODNET_IFNAME_SIZE];
	uint32_t mtu;
	bool plain;                 /* no kind: a device of the machine, or lo */
};
struct underlay_addr {
	struct podnet_prefix addr;
	unsigned rank;
	char link[PODNET_IFNAME_SIZE];
};
struct underlay {
	struct underlay_link links[MAX_SEEN_LINKS];
	size_t nlinks;
	struct underlay_addr addrs[KERNEL_MAX_ADDRESSES];
	size_t naddrs;
	struct podnet_prefix taken[KERNEL_MAX_TAKEN];
	size_t ntaken;
	struct kernel_link near[KERNEL_MAX_LINKS];
	size_t nnear;
	struct kernel_link local[KERNEL_MAX_LINKS];     /* link-local addresses of IPv6 */
	size_t nlocal;
	struct podnet_prefix reserved[KERNEL_MAX_RESERVED];
	size_t nreserved;
	char uplink[PODNET_IFNAME_SIZE];
	uint32_t metric;
	bool uplink_v4;
};

static int each_link(const struct podnet_link_info *info, void *arg)
{
	struct underlay *u = arg;
	struct underlay_link *link = &u->links[u->nlinks];

	if (info->ours || u->nlinks == MAX_SEEN_LINKS)
		return 0;
	snprintf(link->name, sizeof(link->name), "%s", info->link.name);
	link->mtu = info->link.mtu;
	/* the uplink of a namespace is a veth */
	link->plain = !*info->kind || strcmp(info->kind, "veth") == 0;
	u->nlinks++;
	return 0;
}

static const struct underlay_link *find(const struct underlay *u, const char *name)
{
	size_t i;

	for (i = 0; i < u->nlinks; i++)
		if (strcmp(u->links[i].name, name) == 0)
			return &u->links[i];
	return NULL;
}

static bool link_local(const struct podnet_prefix *p)
{
	static const uint8_t v4[] = { 169, 254 };

	if (p->family == AF_INET)
		return memcmp(p->addr, v4, sizeof(v4)) == 0;
	return (p->addr[0] == 0xfe && (p->addr[1] & 0xc0) == 0x80) || p->addr[0] == 0xff;
}

/* Routes come before addresses, so an address is mostly in what is known already. */
static void take(struct underlay *u, const struct podnet_prefix *p)
{
	size_t i;

	for (i = 0; i < u->ntaken; i++)
		if (podnet_prefix_contains(&u->taken[i], p))
			return;
	if (u->ntaken < KERNEL_MAX_TAKEN && !link_local(p))
		u->taken[u->ntaken++] = *p;
}

static void reserve(struct underlay *u, struct podnet_prefix ip)
{
	ip.len = ip.family == AF_INET6 ? 128 : 32;
	for (size_t i = 0; i < u->nreserved; i++)
		if (podnet_prefix_contains(&u->reserved[i], &ip))
			return;
	if (u->nreserved < KERNEL_MAX_RESERVED && !link_local(&ip))
		u->reserved[u->nreserved++] = ip;
}

/* Two addresses alone are two hosts (RFC 3021, RFC 6164). */
static void reserve_subnet(struct underlay *u, const struct podnet_prefix *p)
{
	struct podnet_prefix end = podnet_prefix_mask(p);

	if (p->len >= (p->family == AF_INET6 ? 127 : 31))
		return;
	reserve(u, end);
	if (p->family == AF_INET6)
		return;
	for (unsigned bit = p->len; bit < 32; bit++)
		end.addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	reserve(u, end);
}

static void reach(struct underlay *u, const struct podnet_route *route)
{
	struct kernel_link *link = &u->near[u->nnear];

	if (u->nnear == KERNEL_MAX_LINKS || strcmp(route->link, "lo") == 0 || link_local(&route->dst))
		return;
	link->prefix = route->dst;
	snprintf(link->link, sizeof(link->link), "%s", route->link);
	u->nnear++;
}

/* The kernel makes a route of each address; the address is what counts, and it may be ours. */
static bool of_address(const struct podnet_route_info *info)
{
	const struct podnet_prefix *dst = &info->route.dst;

	return info->protocol == RTPROT_KERNEL && dst->len == (dst->family == AF_INET6 ? 128 : 32);
}

/* The IPv4 default route with the least metric, else the IPv6 one. */
static int each_route(const struct podnet_route_info *info, void *arg)
{
	const struct podnet_route *route = &info->route;
	bool v4 = route->dst.family == AF_INET;
	struct underlay *u = arg;

	if (info->ours || !route->link || !*route->link)
		return 0;
	if (route->type != PODNET_ROUTE_UNICAST || (route->table && route->table != 254))
		return 0;
	if (route->via.family)
		reserve(u, route->via);
	if (route->dst.len) {
		if (!route->via.family && find(u, route->link) && !of_address(info)) {
			take(u, &route->dst);
			reserve_subnet(u, &route->dst);
			reach(u, route);
		}
		return 0;
	}
	if (!find(u, route->link) || (*u->uplink && u->uplink_v4 > v4))
		return 0;
	if (*u->uplink && u->uplink_v4 == v4 && u->metric <= route->metric)
		return 0;
	snprintf(u->uplink, sizeof(u->uplink), "%s", route->link);
	u->metric = route->metric;
	u->uplink_v4 = v4;
	return 0;
}

static unsigned rank_of(const struct underlay *u, const struct underlay_link *link)
{
	if (strcmp(link->name, u->uplink) == 0)
		return 0;
	if (strcmp(link->name, "lo") == 0)
		return 3;
	return link->plain ? 1 : 2;
}

static int each_addr(const struct podnet_addr_info *info, void *arg)
{
	struct underlay *u = arg;
	const struct underlay_link *link = find(u, info->addr.link);
	struct underlay_addr now = { .addr = info->addr.prefix };
	size_t i;

	if (info->ours || !link)
		return 0;
	if (info->scope == RT_SCOPE_LINK && info->addr.prefix.family == AF_INET6 &&
	    u->nlocal < KERNEL_MAX_LINKS) {
		u->local[u->nlocal].prefix = info->addr.prefix;
		u->local[u->nlocal].prefix.len = 128;
		memcpy(u->local[u->nlocal++].link, link->name, sizeof(link->name));
	}
	if (info->scope != 0)
		return 0;
	reserve_subnet(u, &info->addr.prefix);
	reserve(u, info->addr.prefix);
	now.addr.len = now.addr.family == AF_INET6 ? 128 : 32;
	now.rank = rank_of(u, link);
	snprintf(now.link, sizeof(now.link), "%s", link->name);
	take(u, &now.addr);
	/* insertion keeps the kernel's order among equals; the worst falls off a full list */
	for (i = u->naddrs; i > 0 && u->addrs[i - 1].rank > now.rank; i--)
		if (i < KERNEL_MAX_ADDRESSES)
			u->addrs[i] = u->addrs[i - 1];
	if (i == KERNEL_MAX_ADDRESSES)
		return 0;
	u->addrs[i] = now;
	if (u->naddrs < KERNEL_MAX_ADDRESSES)
		u->naddrs++;
	return 0;
}

/* The first address of a family is the best one. */
static void put_uplinks(const struct underlay *u, struct kernel_facts *ret)
{
	for (size_t i = u->naddrs; i-- > 0; ) {
		char *to = ret->uplinks[u->addrs[i].addr.family == AF_INET6];

		if (strcmp(u->addrs[i].link, "lo") != 0)
			memcpy(to, u->addrs[i].link, PODNET_IFNAME_SIZE);
	}
}

static void put_link_local(const struct underlay *u, struct kernel_facts *ret)
{
	for (size_t i = u->nlocal; i-- > 0; )
		if (strcmp(u->local[i].link, ret->uplinks[0]) == 0)
			ret->link_local = u->local[i].prefix;
}

static uint32_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned n = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%u", &n) != 1)
		n = 0;
	fclose(file);
	return n;
}

/* The larger of the two is what holds (Documentation/networking/ip-sysctl.rst): 1 strict, 2 loose. */
static bool is_strict(const char *link)
{
	char path[80];
	uint32_t all = read_number("/proc/sys/net/ipv4/conf/all/rp_filter"), own;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", link);
	own = *link ? read_number(path) : 0;
	return *link && (all > own ? all : own) == 1;
}

static int each_dropper(const struct podnet_dropper *dropper, void *arg)
{
	struct kernel_facts *facts = arg;
	size_t used = strlen(facts->dropper);

	if (dropper->hook == PODNET_HOOK_FORWARD)
		snprintf(facts->dropper + used, sizeof(facts->dropper) - used, "%s%s %s %s",
			 used ? ", " : "", dropper->family, dropper->table, dropper->chain);
	return 0;
}

int kernel_facts_read(struct podnet *ctx, struct kernel_facts *ret, struct podnet_error *err)
{
	_cleanup_free_ struct underlay *u = calloc(1, sizeof(*u));
	const struct underlay_link *uplink;
	size_t i;
	int r;

	if (!u)
		return -ENOMEM;
	r = podnet_link_list(ctx, NULL, each_link, u, err);
	if (r >= 0)
		r = podnet_route_list(ctx, NULL, each_route, u, err);
	if (r >= 0)
		r = podnet_addr_list(ctx, NULL, NULL, each_addr, u, err);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < u->naddrs; i++)
		ret->addresses[i] = u->addrs[i].addr;
	ret->naddresses = u->naddrs;
	put_uplinks(u, ret);
	put_link_local(u, ret);
	ret->strict = is_strict(ret->uplinks[0]);
	memcpy(ret->taken, u->taken, sizeof(ret->taken));
	ret->ntaken = u->ntaken;
	memcpy(ret->links, u->near, sizeof(ret->links));
	ret->nlinks = u->nnear;
	memcpy(ret->reserved, u->reserved, sizeof(ret->reserved));
	ret->nreserved = u->nreserved;
	uplink = find(u, u->uplink);
	ret->mtu = uplink ? uplink->mtu : DEFAULT_MTU;
	ret->neighbours[0] = read_number("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
	ret->neighbours[1] = read_number("/proc/sys/net/ipv6/neigh/default/gc_thresh3");
	/* only to tell; without nftables there is nobody to tell of */
	podnet_droppers(ctx, each_dropper, ret, NULL);
	return 0;
}

int kernel_look(struct kernel *k, struct kernel_facts *ret, struct podnet_error *err)
{
	return kernel_facts_read(k->ctx, ret, err);
}
