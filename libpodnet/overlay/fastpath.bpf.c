/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fastpath.bpf.c - packets between a TUN device and the wire that never leave the kernel
 *
 * Room: overlay; BPF programs, clang's, not the library's compiler's: fastpath.py makes
 * fastpath.bpf.h of this, and a test holds the two together.  May include: linux/.
 *
 * Theory of operation.  `out` stands at the exit of the TUN device, `in` at the entrance of the
 * underlay's.  Each takes what it is sure of and leaves all else, by going on as if it were not
 * there, to the program behind the device and the socket: what is to be dropped is dropped, and
 * counted, there.  Sure is: inner source and destination are one ours and one of a peer's that has
 * a fast path too, the outer addresses and ports are that peer's and ours, and lengths agree.
 * Pieces of up to 64 KiB go on whole, with their checksums to be filled in, as far as links carry
 * them; so only who has `in` may be sent them.  A UDP checksum of 0, which no socket sends, tells
 * datagrams of `out` from others: in theirs the checksum that is open is the outer one.
 *
 * What the programs know stands in one trie of prefixes; it is written by fastpath.c.
 * Source: bpf-helpers(7); Linux net/core/filter.c; RFC 6935 (UDP checksum 0 over IPv6).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "fastpath.h"

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NEXT    (-1)            /* TCX_NEXT */
#define DROP    2               /* TCX_DROP */
#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const skb_load)(const void *skb, __u32 at, void *to, __u32 len) = (void *)BPF_FUNC_skb_load_bytes;
static long (*const skb_store)(void *skb, __u32 at, const void *from, __u32 len, __u64 flags) =
	(void *)BPF_FUNC_skb_store_bytes;
static long (*const adjust_room)(void *skb, __s32 by, __u32 mode, __u64 flags) = (void *)BPF_FUNC_skb_adjust_room;
static long (*const change_head)(void *skb, __u32 by, __u64 flags) = (void *)BPF_FUNC_skb_change_head;
static long (*const fib_lookup)(void *skb, struct bpf_fib_lookup *p, int len, __u32 flags) =
	(void *)BPF_FUNC_fib_lookup;
static long (*const check_mtu)(void *skb, __u32 ifindex, __u32 *len, __s32 more, __u64 flags) =
	(void *)BPF_FUNC_check_mtu;
static long (*const redirect)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect;
static long (*const redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh *p, int len, __u64 flags) =
	(void *)BPF_FUNC_redirect_neigh;

/* What is known only when it is loaded; fastpath.c puts it there. */
#define LOADED(what) ({ __u64 v; __asm__("%0 = %1 ll" : "=r"(v) : "i"(FASTPATH_MARK + (what))); v; })

struct addresses {
	struct fastpath_key src, dst;
	__u32 len;              /* of the packet, as its header has it */
};

/* Addresses of IPv6 that stand for IPv4's, here; on the wire they are nobody's. */
INLINE int is_mapped(const struct fastpath_key *k)
{
	const __u32 *word = (const void *)k->addr;

	return !(word[0] | word[1]) && word[2] == swap32(0xffff);
}

/*
 * Of the packet at @at, 0: of none that is sure; IPv4 addresses are mapped into IPv6's (RFC 4291, 2.5.5.2).
 * What `in` is not sure of, `out` may not be either: nobody fills in its checksum any more.
 */
INLINE int look(struct __sk_buff *skb, __u32 at, struct addresses *a)
{
	__u8 first;
	__u16 len;

	if (skb_load(skb, at, &first, 1))
		return 0;
	*a = (struct addresses){ .src.len = 128, .dst.len = 128 };
	if (first == 0x45) {
		a->src.addr[10] = a->src.addr[11] = a->dst.addr[10] = a->dst.addr[11] = 0xff;
		if (skb_load(skb, at + 2, &len, 2) || skb_load(skb, at + 12, a->src.addr + 12, 4) ||
		    skb_load(skb, at + 16, a->dst.addr + 12, 4))
			return 0;
		a->len = swap16(len);
		return 4;
	}
	if (first >> 4 != 6 || skb_load(skb, at + 4, &len, 2) || skb_load(skb, at + 8, a->src.addr, 16) ||
	    skb_load(skb, at + 24, a->dst.addr, 16))
		return 0;
	a->len = swap16(len) + 40;
	return is_mapped(&a->src) || is_mapped(&a->dst) ? 0 : 6;
}

/*
 * Of each packet that a piece is cut into, with IP's; 0: TCP does not follow IP.  What is cut of UDP the kernel
 * takes for a tunnel's when it has come out of one, wherever it is cut then (__udp_gso_segment()), and drops it.
 */
INLINE __u32 header(struct __sk_buff *skb, __u32 at, int version)
{
	__u32 ip = version == 4 ? 20 : 40;
	__u8 protocol, offset;

	if (skb_load(skb, at + (version == 4 ? 9 : 6), &protocol, 1))
		return 0;
	if (protocol != IPPROTO_TCP || skb_load(skb, at + ip + 12, &offset, 1))
		return 0;
	return ip + (offset >> 4) * 4;
}

/* @header of a piece, that is cut into packets of @size; both 0: it is one packet */
INLINE void count(__u32 index, int out, __u32 len, __u32 head, __u32 size)
{
	struct fastpath_count *c = map_lookup((void *)LOADED(FASTPATH_COUNTS), &index);
	__u32 more = size && head && len > head ? (len - head - 1) / size : 0;

	if (!c)
		return;
	c->v[out].packets += 1 + more;
	c->v[out].bytes += len + (__u64)more * head;
}

/* ---- out ---- */

INLINE __u16 ipv4_sum(const __u8 *head, __u32 len)
{
	const __u16 *check = (const void *)(head + 10);
	__u32 sum = *check + swap16((__u16)len);

	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~((sum & 0xffff) + (sum >> 16));
}

/*
 * Where the peer is; 0: nowhere, or @len bytes do not go there in one piece.  A neighbour that is to be
 * found first is the forwarder's socket's: what waits for it here would go on by the inner packet's route.
 */
INLINE __u32 route(struct __sk_buff *skb, const struct fastpath_value *to, __u32 len, struct bpf_redir_neigh *hop)
{
	struct bpf_fib_lookup p = { .l4_protocol = IPPROTO_UDP, .ifindex = skb->ifindex };

	p.tot_len = (__u16)len;
	if (to->flags & FASTPATH_SIX) {
		p.family = 10;
		__builtin_memcpy(p.ipv6_src, to->head + 8, 16);
		__builtin_memcpy(p.ipv6_dst, to->head + 24, 16);
	} else {
		p.family = 2;
		__builtin_memcpy(&p.ipv4_src, to->head + 12, 4);
		__builtin_memcpy(&p.ipv4_dst, to->head + 16, 4);
	}
	if (fib_lookup(skb, &p, sizeof(p), 0))
		return 0;
	hop->nh_family = p.family;
	__builtin_memcpy(hop->ipv6_nh, p.ipv6_dst, 16);
	return p.ifindex;
}

INLINE void finish(__u8 *head, int six, __u32 inner)
{
	__u16 *ip_len = (void *)(head + (six ? 4 : 2)), *udp_len = (void *)(head + (six ? 44 : 24));

	*udp_len = swap16((__u16)(inner + 8));
	*ip_len = swap16((__u16)(inner + (six ? 8 : 28)));
	if (!six)
		*(__u16 *)(void *)(head + 10) = ipv4_sum(head, inner + 28);
}

INLINE int leave(struct __sk_buff *skb, const struct fastpath_value *to, int six, __u32 len, int version)
{
	__u32 over = six ? 48 : 28, size = skb->gso_size, head_of_each = size ? header(skb, 0, version) : 0, ifindex;
	struct bpf_redir_neigh hop = { 0 };
	__u8 ether[14] __attribute__((aligned(8))) = { 0 }, head[48] __attribute__((aligned(8)));

	if (size && !head_of_each)
		return NEXT;
	ifindex = route(skb, to, over + (size ? head_of_each + size : len), &hop);
	if (!ifindex)
		return NEXT;
	if (adjust_room(skb, (__s32)over, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
			(six ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4)))
		return NEXT;
	__builtin_memcpy(head, to->head, sizeof(head));
	finish(head, six, len);
	*(__u16 *)(void *)(ether + 12) = swap16(six ? ETH_P_IPV6 : ETH_P_IP);
	if (change_head(skb, sizeof(ether), 0) || skb_store(skb, 0, ether, sizeof(ether), 0) ||
	    skb_store(skb, sizeof(ether), head, over, 0))
		return DROP;
	count(to->index, 1, len, head_of_each, size);
	return (int)redirect_neigh(ifindex, &hop, sizeof(hop), 0);
}

SECTION("tc_out") int out(struct __sk_buff *skb)
{
	const struct fastpath_value *to, *from;
	struct addresses a;
	int version = look(skb, 0, &a);

	if (!version || a.len != skb->len || a.len > 65535 - 48)
		return NEXT;
	to = map_lookup((void *)LOADED(FASTPATH_PEERS), &a.dst);
	from = map_lookup((void *)LOADED(FASTPATH_PEERS), &a.src);
	if (!to || !(to->flags & FASTPATH_PEER) || !from || !(from->flags & FASTPATH_LOCAL))
		return NEXT;
	return to->flags & FASTPATH_SIX ? leave(skb, to, 1, a.len, version) : leave(skb, to, 0, a.len, version);
}

/* ---- in ---- */

/* Is it the outer header of @from, seen from the other end? */
INLINE int answers(const struct fastpath_value *from, const __u8 *head, int six)
{
	const __u64 *a = (const void *)(from->head + 8), *b = (const void *)(head + 8);
	const __u32 *p = (const void *)(from->head + 12), *q = (const void *)(head + 12);
	const __u32 *port = (const void *)(from->head + (six ? 40 : 20)), *porq = (const void *)(head + (six ? 40 : 20));

	if (!(from->flags & FASTPATH_FROM) || !(from->flags & FASTPATH_SIX) != !six)
		return 0;
	if (*port != (*porq >> 16 | *porq << 16))
		return 0;
	if (six)
		return a[0] == b[2] && a[1] == b[3] && a[2] == b[0] && a[3] == b[1];
	return p[0] == q[1] && p[1] == q[0];
}

/* As IPv4 would find it: the sum with the checksum is all ones. */
INLINE int sum_is_right(const __u8 *head)
{
	const __u16 *h = (const void *)head;
	__u32 sum = (__u32)h[0] + h[1] + h[2] + h[3] + h[4] + h[5] + h[6] + h[7] + h[8] + h[9];

	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

/* A whole datagram to our port that `out` has sent: no options, no fragment, nothing behind it. */
INLINE int is_datagram(struct __sk_buff *skb, const __u8 *head, int six)
{
	__u32 over = six ? 48 : 28, len = skb->len - ETH_HLEN;
	const __u16 *h = (const void *)head, *udp = h + (six ? 20 : 10);
	__u32 port = (__u32)LOADED(FASTPATH_PORT);

	if (udp[1] != (__u16)port || udp[3] || skb->len < ETH_HLEN + over || swap16(udp[2]) != len - (over - 8))
		return 0;
	if (six)
		return head[0] >> 4 == 6 && head[6] == IPPROTO_UDP && swap16(h[2]) == len - 40;
	return head[0] == 0x45 && head[9] == IPPROTO_UDP && !(h[3] & swap16(0x3fff)) && swap16(h[1]) == len &&
	       sum_is_right(head);
}

/* The kernel drops what it hands over and the device's MTU does not hold; the forwarder does not. */
INLINE int fits(struct __sk_buff *skb, __u32 len)
{
	return skb->gso_size || check_mtu(skb, (__u32)LOADED(FASTPATH_TUN), &len, 0, 0) == 0;
}

INLINE int enter(struct __sk_buff *skb, int six)
{
	__u32 over = six ? 48 : 28, size = skb->gso_size, head_of_each;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	const struct fastpath_value *from, *to;
	struct addresses a;
	__u64 room[6] = { 0 };
	__u8 *head = (void *)room;
	int inner;

	if (skb_load(skb, ETH_HLEN, head, over) || !is_datagram(skb, head, six))
		return NEXT;
	inner = look(skb, ETH_HLEN + over, &a);
	if (!inner || a.len != skb->len - ETH_HLEN - over)
		return NEXT;
	from = map_lookup((void *)LOADED(FASTPATH_PEERS), &a.src);
	to = map_lookup((void *)LOADED(FASTPATH_PEERS), &a.dst);
	if (!from || !answers(from, head, six) || !to || !(to->flags & FASTPATH_LOCAL) || !fits(skb, a.len))
		return NEXT;
	if (six && inner == 4)
		flags |= FASTPATH_DECAP_L3_IPV4;
	if (!six && inner == 6)
		flags |= FASTPATH_DECAP_L3_IPV6;
	head_of_each = size ? header(skb, ETH_HLEN + over, inner) : 0;
	if (size && !head_of_each)
		return NEXT;
	if (adjust_room(skb, -(__s32)over, BPF_ADJ_ROOM_MAC, flags))
		return NEXT;
	count(from->index, 0, a.len, head_of_each, size);
	return (int)redirect((__u32)LOADED(FASTPATH_TUN), BPF_F_INGRESS);
}

SECTION("tc_in") int in(struct __sk_buff *skb)
{
	if (skb->pkt_type != 0 || skb->vlan_present)     /* PACKET_HOST */
		return NEXT;
	if (skb->protocol == swap16(ETH_P_IP))
		return enter(skb, 0);
	if (skb->protocol == swap16(ETH_P_IPV6))
		return enter(skb, 1);
	return NEXT;
}
