/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * set.c - interval sets of addresses in the kernel: read, make, fill
 *
 * Room: sets and their elements, whoever's they are.  May include: libpodnet/nl, libpodnet/base,
 * libmnl, libnftnl.
 *
 * A range is two elements: its first address, and the one behind its last with the flag
 * INTERVAL_END; a range that reaches the end of all addresses has no second one.  The user data
 * tells nft(8) that keys are in network order; without it a listing shows them swapped.
 * Source: Linux net/netfilter/nft_set_rbtree.c, nftables src/segtree.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* nftables include/datatype.h: what nft(8) writes into sets, no kernel interface */
#define TYPE_IPADDR          7
#define TYPE_IP6ADDR         8
#define BYTEORDER_BIG_ENDIAN 2

/* bytes of elements in a message; the list's attribute length has 16 bits */
#define ELEMENTS_MAX 60000

struct set_udata {
	uint8_t type, len;
	uint8_t value[4];           /* host order */
};

static struct set_udata key_order(void)
{
	const uint32_t order = BYTEORDER_BIG_ENDIAN;
	struct set_udata u = { NFTNL_UDATA_SET_KEYBYTEORDER, sizeof(u.value), { 0 } };

	memcpy(u.value, &order, sizeof(order));
	return u;
}

static uint32_t key_type(const struct nft_set *set)
{
	return set->size == 4 ? TYPE_IPADDR : TYPE_IP6ADDR;
}

static void put_set(struct nft_txn *t, const struct nft_set *set, uint32_t id)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL,
					   "nft_set_create", set->name);
	struct set_udata u = key_order();

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set->name);
	mnl_attr_put_u32(nlh, NFTA_SET_FLAGS, htonl(NFT_SET_INTERVAL));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_TYPE, htonl(key_type(set)));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_LEN, htonl(set->size));
	mnl_attr_put_u32(nlh, NFTA_SET_ID, htonl(id));
	mnl_attr_put(nlh, NFTA_SET_USERDATA, sizeof(u), &u);
}

void nft_set_delete(struct nft_txn *t, const struct nft_set *set)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_DELSET, 0, "nft_set_delete", set->name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set->name);
}

static struct nlmsghdr *elements_msg(struct nft_txn *t, const struct nft_set *set, uint16_t type)
{
	bool add = type == NFT_MSG_NEWSETELEM;
	struct nlmsghdr *nlh = nft_txn_msg(t, type, add ? NLM_F_CREATE | NLM_F_EXCL : 0,
					   add ? "nft_set_add" : "nft_set_remove", set->name);

	if (nlh) {
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	}
	return nlh;
}

static void flush(struct nft_txn *t, const struct nft_set *set)
{
	elements_msg(t, set, NFT_MSG_DELSETELEM);
}

static void put_element(struct nlmsghdr *nlh, const uint8_t *key, uint8_t size, bool end)
{
	struct nlattr *element = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct nlattr *value;

	if (end)
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	value = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, size, key);
	mnl_attr_nest_end(nlh, value);
	mnl_attr_nest_end(nlh, element);
}

/* to += or -= 1 over @size bytes; false when it wraps */
static bool step(uint8_t *addr, uint8_t size, int by)
{
	for (int i = size - 1; i >= 0; i--) {
		addr[i] = (uint8_t)(addr[i] + by);
		if (addr[i] != (by > 0 ? 0x00 : 0xff))
			return true;
	}
	return false;
}

static void put_elements(struct nft_txn *t, const struct nft_set *set, uint16_t type,
		      const struct nft_ranges *ranges)
{
	size_t i = 0;

	while (i < ranges->n) {
		struct nlmsghdr *nlh = elements_msg(t, set, type);
		struct nlattr *list;

		if (!nlh)
			return;
		list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (; i < ranges->n && nlh->nlmsg_len < ELEMENTS_MAX; i++) {
			uint8_t end[16];

			memcpy(end, ranges->v[i].to, sizeof(end));
			put_element(nlh, ranges->v[i].from, set->size, false);
			if (step(end, set->size, 1))
				put_element(nlh, end, set->size, true);
		}
		mnl_attr_nest_end(nlh, list);
	}
}

/* fill a set that is in place.  Return: number of changes or -ENOMEM. */
static int repair_elements(struct nft_txn *t, const struct nft_set *set,
			   const struct nft_ranges *want, const struct nft_set_seen *have)
{
	struct nft_ranges gone = { 0 }, fresh = { 0 };
	int r = nft_ranges_minus(&have->ranges, want, &gone);

	if (r == 0)
		r = nft_ranges_minus(want, &have->ranges, &fresh);
	if (r == 0) {
		put_elements(t, set, NFT_MSG_DELSETELEM, &gone);
		put_elements(t, set, NFT_MSG_NEWSETELEM, &fresh);
		r = (int)(gone.n + fresh.n);
	}
	nft_ranges_fini(&gone);
	nft_ranges_fini(&fresh);
	return r;
}

int nft_set_repair(struct nft_txn *t, const struct nft_set *set, const struct nft_ranges *want,
		   const struct nft_set_seen *have, uint32_t id)
{
	if (have->there && !have->wrong && !have->odd)
		return repair_elements(t, set, want, have);
	if (have->there && have->wrong)
		nft_set_delete(t, set);
	if (have->there && !have->wrong)
		flush(t, set);
	else
		put_set(t, set, id);
	put_elements(t, set, NFT_MSG_NEWSETELEM, want);
	return 1 + (int)want->n;
}

/* ---- reading ---- */

struct element {
	uint8_t key[16];
	uint8_t start;              /* 0: an end; sorts before a start at the same address */
};

struct reading {
	const struct nft_set *set;
	struct nft_set_seen *seen;
	struct { struct element *v; size_t n, cap; } elements;
};

static int on_set(const struct nlmsghdr *nlh, void *arg)
{
	const struct set_udata want = key_order();
	struct reading *rd = arg;
	uint32_t flags = 0, type = 0, len = 0;
	const struct nlattr *attr;
	bool ordered = false;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		uint16_t what = mnl_attr_get_type(attr), size = mnl_attr_get_payload_len(attr);

		if (what == NFTA_SET_FLAGS && size == sizeof(flags))
			flags = ntohl(mnl_attr_get_u32(attr));
		else if (what == NFTA_SET_KEY_TYPE && size == sizeof(type))
			type = ntohl(mnl_attr_get_u32(attr));
		else if (what == NFTA_SET_KEY_LEN && size == sizeof(len))
			len = ntohl(mnl_attr_get_u32(attr));
		else if (what == NFTA_SET_USERDATA && size >= sizeof(want))
			ordered = memcmp(mnl_attr_get_payload(attr), &want, sizeof(want)) == 0;
	}
	rd->seen->there = true;
	rd->seen->wrong = flags != NFT_SET_INTERVAL || type != key_type(rd->set) ||
			  len != rd->set->size || !ordered;
	return 0;
}

static int keep_element(struct reading *rd, const struct nlattr *nest)
{
	const struct nlattr *attr, *value;
	struct element e = { .start = 1 };
	bool keyed = false;
	int r;

	mnl_attr_for_each_nested(attr, nest) {
		uint16_t what = mnl_attr_get_type(attr);

		if (what == NFTA_SET_ELEM_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) == 0) {
			uint32_t flags = ntohl(mnl_attr_get_u32(attr));

			e.start = !(flags & NFT_SET_ELEM_INTERVAL_END);
			rd->seen->odd |= (flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END) != 0;
		}
		if (what != NFTA_SET_ELEM_KEY)
			continue;
		mnl_attr_for_each_nested(value, attr) {
			if (mnl_attr_get_type(value) != NFTA_DATA_VALUE ||
			    mnl_attr_get_payload_len(value) != rd->set->size)
				continue;
			memcpy(e.key, mnl_attr_get_payload(value), rd->set->size);
			keyed = true;
		}
	}
	if (!keyed) {
		rd->seen->odd = true;
		return 0;
	}
	r = pn_grow(&rd->elements);
	if (r == 0)
		rd->elements.v[rd->elements.n++] = e;
	return r;
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *element;
	int r = 0;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(element, attr) {
			r = keep_element(arg, element);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void forget(void *arg)
{
	struct reading *rd = arg;

	rd->elements.n = 0;
	rd->seen->odd = false;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct element));
}

/* an end closes the range before it; an end without one is nft's mark at address 0 */
static int to_ranges(struct reading *rd)
{
	struct nft_ranges *out = &rd->seen->ranges;
	const struct element *v = rd->elements.v;
	size_t n = rd->elements.n;

	if (n)
		qsort(rd->elements.v, n, sizeof(*v), by_key);
	for (size_t i = 0; i < n; i++) {
		struct nft_range *range;
		int r;

		if (!v[i].start)
			continue;
		r = pn_grow(out);
		if (r < 0)
			return r;
		range = &out->v[out->n++];
		memcpy(range->from, v[i].key, sizeof(range->from));
		if (i + 1 == n) {
			memset(range->to, 0xff, rd->set->size);
			continue;
		}
		rd->seen->odd |= v[i + 1].start;
		memcpy(range->to, v[i + 1].key, sizeof(range->to));
		step(range->to, rd->set->size, -1);
	}
	return 0;
}

int nft_set_see(struct nl *nl, const struct nft_set *set, struct nft_set_seen *ret,
		struct podnet_error *err)
{
	struct reading rd = { .set = set, .seen = ret };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh;
	int r;

	ret->ranges.size = set->size;
	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETSET, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set->name);
	r = nl_get(nl, nlh, on_set, &rd, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return pn_err(err, r, "nft_set_get", NULL, why.kernel);
	if (ret->wrong)
		return 0;
	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETSETELEM, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	r = nl_dump(nl, nlh, on_elements, forget, &rd, &why);
	if (r == 0)
		r = to_ranges(&rd);
	free(rd.elements.v);
	return r < 0 ? pn_err(err, r, "nft_set_dump", NULL, why.kernel) : 0;
}
