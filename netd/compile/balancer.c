/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balancer.c - the node answers load-balancer addresses, and one node of all does
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * An IPv4 address lies on lo: the kernel answers ARP for it on every link, unless the sysctl
 * arp_ignore forbids it (Linux net/ipv4/arp.c, arp_process()).  IPv6 is answered only on the link
 * that has the address (net/ipv6/ndisc.c, ndisc_recv_ns()), so it lies on the uplink.  Neither is
 * chosen as the source of what the node sends: one is of scope host, the other deprecated.
 */
#include "room.h"

#include <sys/socket.h>

static bool same(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return a->family == b->family && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

bool compile_is_own(const struct podnet_prefix *own, size_t n, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < n; i++)
		if (same(&own[i], ip))
			return true;
	return false;
}

/* FNV-1a, and the finalizer of MurmurHash3: names that differ in their last letter must not be near. */
static uint64_t weight(const char *node, const struct podnet_prefix *ip)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *node; node++)
		h = (h ^ (uint8_t)*node) * 0x100000001b3u;
	for (size_t i = 0; i < sizeof(ip->addr); i++)
		h = (h ^ ip->addr[i]) * 0x100000001b3u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

size_t compile_announcer(const char *const *nodes, size_t n, const struct podnet_prefix *ip)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++) {
		uint64_t a = weight(nodes[i], ip), b = weight(nodes[best], ip);

		if (a > b || (a == b && strcmp(nodes[i], nodes[best]) < 0))
			best = i;
	}
	return best;
}

/* There is one node today: the others' names come in here. */
static bool is_ours(const struct compile_input *in, const struct podnet_prefix *ip)
{
	const char *const nodes[] = { in->conf->node_name };

	return compile_announcer(nodes, ARRAY_SIZE(nodes), ip) == 0 &&
	       !compile_is_own(in->own, in->nown, ip);
}

static const char *uplink(const struct compile_input *in, bool v6)
{
	const char *const names[] = { in->uplinks[v6], in->uplinks[!v6] };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i] && *names[i])
			return names[i];
	return NULL;
}

const char *compile_announce_on(const struct compile_input *in, const struct podnet_prefix *ip)
{
	return is_ours(in, ip) ? uplink(in, ip->family == AF_INET6) : NULL;
}

void compile_balanced(struct building *b, const struct compile_input *in)
{
	for (size_t i = 0; i < in->nbalanced; i++) {
		bool v6 = in->balanced[i].family == AF_INET6;
		const char *link = v6 ? uplink(in, true) : NULL;
		struct podnet_addr addr = {
			.link = link ? link : "lo", .prefix = in->balanced[i], .local = !v6,
			.deprecated = v6, .no_prefix_route = v6,
		};

		addr.prefix.len = v6 ? 128 : 32;
		if (is_ours(in, &in->balanced[i]))
			compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	}
}
