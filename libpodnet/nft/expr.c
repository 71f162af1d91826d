/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * expr.c - rules made of expressions, in the forms that nft(8) makes and can print
 *
 * Room: what a rule is made of, from left to right.  May include: libpodnet/base, libnftnl.
 *
 * nft 1.0.6 recognises expressions by their order and aborts on some it did not make itself, so
 * each function here emits exactly what `nft --debug=netlink` shows for the same words.
 *
 * A key is loaded field by field into neighbouring registers of 32 bits; the look-up that follows
 * takes all of it and begins anew, behind what a map has put there.  Registers are told as the
 * kernel tells them back: those at a multiple of 16 bytes by their old numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <libnftnl/expr.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>

#define WORD 4

static uint32_t reg(unsigned int word)
{
	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static struct nftnl_expr *add(struct nft_rule *r, const char *kind)
{
	struct nftnl_expr *e = r->rc ? NULL : nftnl_expr_alloc(kind);

	if (e)
		nftnl_rule_add_expr(r->rule, e);
	else if (!r->rc)
		r->rc = -ENOMEM;
	return e;
}

/* The register for @size more bytes of the key. */
static uint32_t take(struct nft_rule *r, uint32_t size)
{
	uint32_t ret = reg(r->words);

	r->words += (size + WORD - 1) / WORD;
	return ret;
}

static void set_str(struct nft_rule *r, struct nftnl_expr *e, uint16_t attr, const char *text)
{
	if (nftnl_expr_set_str(e, attr, text) < 0)
		r->rc = -ENOMEM;
}

/* ---- keys ---- */

static void load(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t size, uint32_t to)
{
	struct nftnl_expr *e = add(r, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, to);
}

static void load_meta(struct nft_rule *r, uint32_t key, uint32_t to)
{
	struct nftnl_expr *e = add(r, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, to);
}

static void load_ct(struct nft_rule *r, uint32_t key, int dir, uint32_t to)
{
	struct nftnl_expr *e = add(r, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	if (dir >= 0)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, (uint8_t)dir);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, to);
}

/* RFC 791, RFC 8200 */
static uint32_t addr_offset(uint8_t nfproto, enum nft_end end)
{
	if (nfproto == NFPROTO_IPV4)
		return end == NFT_SOURCE ? 12 : 16;
	return end == NFT_SOURCE ? 8 : 24;
}

static uint32_t addr_size(uint8_t nfproto)
{
	return nfproto == NFPROTO_IPV4 ? 4 : 16;
}

void nft_key_addr(struct nft_rule *r, uint8_t nfproto, enum nft_end end)
{
	uint32_t size = addr_size(nfproto);

	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, end), size, take(r, size));
}

void nft_key_l4proto(struct nft_rule *r)
{
	load_meta(r, NFT_META_L4PROTO, take(r, 1));
}

void nft_key_l4proto_be(struct nft_rule *r)
{
	uint32_t at = take(r, 1);
	struct nftnl_expr *e;

	load_meta(r, NFT_META_L4PROTO, at);
	e = add(r, "byteorder");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, at);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, at);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 2);
}

void nft_key_port(struct nft_rule *r, enum nft_end end)
{
	load(r, NFT_PAYLOAD_TRANSPORT_HEADER, end == NFT_SOURCE ? 0 : 2, 2, take(r, 2));
}

void nft_key_ct_addr(struct nft_rule *r, uint8_t nfproto)
{
	load_ct(r, nfproto == NFPROTO_IPV4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL,
		take(r, addr_size(nfproto)));
}

void nft_key_ct_port(struct nft_rule *r)
{
	load_ct(r, NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, take(r, 2));
}

void nft_key_reply_addr(struct nft_rule *r, uint8_t nfproto)
{
	load_ct(r, nfproto == NFPROTO_IPV4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, IP_CT_DIR_REPLY,
		take(r, addr_size(nfproto)));
}

void nft_key_reply_port(struct nft_rule *r)
{
	load_ct(r, NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, take(r, 2));
}

void nft_key_random(struct nft_rule *r, uint32_t mod)
{
	uint32_t to = take(r, WORD);
	struct nftnl_expr *e = add(r, "numgen");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, mod);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, to);
}

/* What is hashed lies where nft puts it: in the next free registers of 16 bytes. */
void nft_key_source_hash(struct nft_rule *r, uint8_t nfproto, uint32_t mod, uint32_t seed)
{
	uint32_t to = take(r, WORD), size = addr_size(nfproto);
	unsigned int at = (r->words + 3) / 4 * 4;
	struct nftnl_expr *e;

	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, NFT_SOURCE), size, reg(at));
	load(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, reg(at + size / WORD));
	e = add(r, "hash");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, reg(at));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, to);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, size + WORD);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, mod);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, seed);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
}

/* ---- matches ---- */

static void compare(struct nft_rule *r, uint32_t op, const void *data, uint32_t size)
{
	struct nftnl_expr *e = add(r, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	if (nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, size) < 0)
		r->rc = -ENOMEM;
}

static void mask(struct nft_rule *r, const void *m, uint32_t size)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = add(r, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	if (nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, m, size) < 0 ||
	    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, size) < 0)
		r->rc = -ENOMEM;
}

void nft_match_family(struct nft_rule *r, uint8_t nfproto)
{
	load_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	compare(r, NFT_CMP_EQ, &nfproto, sizeof(nfproto));
}

void nft_match_l4proto(struct nft_rule *r, uint8_t protocol)
{
	load_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	compare(r, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

void nft_match_not_prefix(struct nft_rule *r, uint8_t nfproto, enum nft_end end,
			  const struct podnet_prefix *p)
{
	/* nft loads whole bytes only where the length allows, and masks where it does not */
	uint32_t size = p->len % 8 ? addr_size(nfproto) : p->len / 8u;
	uint8_t m[16] = { 0 };

	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, end), size, NFT_REG_1);
	for (unsigned int bit = 0; bit < p->len; bit++)
		m[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (p->len % 8)
		mask(r, m, size);
	compare(r, NFT_CMP_NEQ, p->addr, size);
}

/* One of the bits that the word at register 1 consists of. */
static void match_bit(struct nft_rule *r, uint32_t bit)
{
	static const uint32_t zero;

	mask(r, &bit, sizeof(bit));
	compare(r, NFT_CMP_NEQ, &zero, sizeof(zero));
}

void nft_match_out_prefix(struct nft_rule *r, const char *name)
{
	load_meta(r, NFT_META_OIFNAME, NFT_REG_1);
	compare(r, NFT_CMP_EQ, name, (uint32_t)strlen(name));
}

/* RFC 9293, 3.1: the flags are at byte 13, SYN is 2 and RST 4. */
void nft_match_tcp_syn(struct nft_rule *r)
{
	static const uint8_t bits = 0x06, want = 0x02;

	load(r, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	mask(r, &bits, sizeof(bits));
	compare(r, NFT_CMP_EQ, &want, sizeof(want));
}

void nft_match_new(struct nft_rule *r)
{
	load_ct(r, NFT_CT_STATE, -1, NFT_REG_1);
	match_bit(r, NF_CT_STATE_BIT(IP_CT_NEW));
}

void nft_match_invalid(struct nft_rule *r)
{
	load_ct(r, NFT_CT_STATE, -1, NFT_REG_1);
	match_bit(r, NF_CT_STATE_INVALID_BIT);
}

void nft_match_dnat(struct nft_rule *r)
{
	load_ct(r, NFT_CT_STATUS, -1, NFT_REG_1);
	match_bit(r, IPS_DST_NAT);
}

void nft_match_first_dnat(struct nft_rule *r)
{
	static const uint32_t bits = IPS_DST_NAT | IPS_CONFIRMED, want = IPS_DST_NAT;

	load_ct(r, NFT_CT_STATUS, -1, NFT_REG_1);
	mask(r, &bits, sizeof(bits));
	compare(r, NFT_CMP_EQ, &want, sizeof(want));
}

void nft_match_reply(struct nft_rule *r, bool reply)
{
	uint8_t dir = reply ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL;

	load_ct(r, NFT_CT_DIRECTION, -1, NFT_REG_1);
	compare(r, NFT_CMP_EQ, &dir, sizeof(dir));
}

void nft_match_not_loopback(struct nft_rule *r)
{
	static const uint32_t lo = 1;       /* LOOPBACK_IFINDEX */

	load_meta(r, NFT_META_IIF, NFT_REG_1);
	compare(r, NFT_CMP_NEQ, &lo, sizeof(lo));
}

void nft_match_local_source(struct nft_rule *r, bool not)
{
	static const uint32_t local = RTN_LOCAL;
	struct nftnl_expr *e = add(r, "fib");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	compare(r, not ? NFT_CMP_NEQ : NFT_CMP_EQ, &local, sizeof(local));
}

/* ---- look-ups: they take the key that was loaded ---- */

static struct nftnl_expr *lookup(struct nft_rule *r, const char *set, unsigned int from)
{
	struct nftnl_expr *e = add(r, "lookup");

	if (!e)
		return NULL;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg(from));
	/* as the kernel tells it back */
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	/* by name: a set that the same batch makes is found that way as well */
	set_str(r, e, NFTNL_EXPR_LOOKUP_SET, set);
	return e;
}

void nft_match_set(struct nft_rule *r, const char *set, bool not)
{
	struct nftnl_expr *e = lookup(r, set, 0);

	if (e && not)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	r->words = 0;
}

void nft_verdict_map(struct nft_rule *r, const char *map)
{
	struct nftnl_expr *e = lookup(r, map, 0);

	if (e)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
	r->words = 0;
}

/* The address's register, and how many of 32 bits on the port's is; 0: the port stays. */
static void dnat(struct nft_rule *r, uint8_t nfproto, unsigned int addr, unsigned int port)
{
	struct nftnl_expr *e = add(r, "nat");

	r->words = 0;
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, nfproto);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg(addr));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MAX, reg(addr));
	if (port) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg(port));
		nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MAX, reg(port));
	}
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS |
			   (port ? NF_NAT_RANGE_PROTO_SPECIFIED : 0));
}

static void map_first(struct nft_rule *r, const char *map)
{
	struct nftnl_expr *e = lookup(r, map, 0);

	if (e)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, reg(0));
}

void nft_dnat_map(struct nft_rule *r, uint8_t nfproto, const char *map)
{
	map_first(r, map);
	dnat(r, nfproto, 0, addr_size(nfproto) / WORD);
}

void nft_dnat_addr_map(struct nft_rule *r, uint8_t nfproto, const char *map)
{
	map_first(r, map);
	dnat(r, nfproto, 0, 0);
}

void nft_dnat_by_source(struct nft_rule *r, uint8_t nfproto, const char *addrs, const char *ports)
{
	const char *const maps[] = { addrs, ports };

	for (unsigned int i = 0; i < 2; i++) {
		struct nftnl_expr *e;

		load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, NFT_SOURCE),
		     addr_size(nfproto), reg(4 * i));
		e = lookup(r, maps[i], 4 * i);
		if (e)
			nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, reg(4 * i));
	}
	dnat(r, nfproto, 0, 4);
}

/* ---- statements ---- */

static void remember(struct nft_rule *r, const char *map, uint64_t timeout_ms)
{
	struct nftnl_expr *e = add(r, "dynset");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, reg(0));
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, reg(4));
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, timeout_ms);
	set_str(r, e, NFTNL_EXPR_DYNSET_SET_NAME, map);
}

void nft_remember_addr(struct nft_rule *r, uint8_t nfproto, const char *map, uint64_t timeout_ms)
{
	uint32_t size = addr_size(nfproto);

	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, NFT_SOURCE), size, reg(0));
	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, NFT_DESTINATION), size, reg(4));
	remember(r, map, timeout_ms);
}

void nft_remember_port(struct nft_rule *r, uint8_t nfproto, const char *map, uint64_t timeout_ms)
{
	load(r, NFT_PAYLOAD_NETWORK_HEADER, addr_offset(nfproto, NFT_SOURCE), addr_size(nfproto),
	     reg(0));
	load_ct(r, NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, reg(4));
	remember(r, map, timeout_ms);
}

void nft_count(struct nft_rule *r, const char *set)
{
	struct nftnl_expr *e = add(r, "dynset");

	r->words = 0;
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, reg(0));
	set_str(r, e, NFTNL_EXPR_DYNSET_SET_NAME, set);
}

static void load_mss(struct nft_rule *r)
{
	struct nftnl_expr *e = add(r, "rt");

	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_DREG, NFT_REG_1);
	}
	e = add(r, "byteorder");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 2);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 2);
}

/* Option 2 of a TCP header; the kernel never makes it larger (net/netfilter/nft_exthdr.c). */
void nft_clamp_mss(struct nft_rule *r)
{
	struct nftnl_expr *e;

	load_mss(r);
	e = add(r, "exthdr");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_SREG, NFT_REG_1);
	nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, 2);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, 2);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
}

void nft_masquerade(struct nft_rule *r, uint32_t flags)
{
	struct nftnl_expr *e = add(r, "masq");

	if (e)
		nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, flags);
}

void nft_reject(struct nft_rule *r, uint32_t type, uint8_t code)
{
	struct nftnl_expr *e = add(r, "reject");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, code);
}

void nft_verdict(struct nft_rule *r, int32_t verdict, const char *chain)
{
	struct nftnl_expr *e = add(r, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		set_str(r, e, NFTNL_EXPR_IMM_CHAIN, chain);
}
