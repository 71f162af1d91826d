/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map.c - sets and maps with keys of several fields: make, fill, read
 *
 * Room: what a key is made of and how nft(8) is told so; whose it is, is not known here.
 * May include: libpodnet/nl, libpodnet/base, libmnl, libnftnl.
 *
 * Each field of a key is padded to 32 bits, addresses and ports in network order, a slot in that of
 * the host.  A field that no type names (a slot, the number that balances) is described by user
 * data as `typeof`, the expression that would yield it: without it nft can neither print nor load
 * the map.  The data of such a map is a port of one protocol, for `typeof th dport` is refused when
 * nft 1.0.6 loads what it printed; that is why there is a map for each protocol.
 * Sources: nftables src/datatype.c, src/mnl.c, src/payload.c; Linux net/netfilter/nf_tables_api.c.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* what nft(8) writes into sets, no kernel interface */
enum { TYPE_INTEGER = 4, TYPE_IPADDR = 7, TYPE_IP6ADDR = 8, TYPE_PROTO = 12, TYPE_SERVICE = 13 };
enum { EXPR_PAYLOAD = 7, EXPR_CONCAT = 13, EXPR_NUMGEN = 23 };
enum { DESC_UDP = 6, DESC_TCP = 8, DESC_SCTP = 10, DESC_IP = 12, DESC_IP6 = 13 };
#define TYPE_BITS           6
#define BYTEORDER_HOST      0
#define BYTEORDER_BIG       2
#define UDATA_DATA_INTERVAL 6       /* newer than libnftnl 1.2.4's header */
#define FIELD_IP_DADDR      12
#define FIELD_IP6_DADDR     9
#define FIELD_DPORT         2

#define ELEMENTS_MAX 60000          /* bytes in a message; the list's length has 16 bits */
#define UDATA_MAX 255

static const struct field {
	uint8_t type, size;
} fields[] = {
	[NFT_F_ADDR4] = { TYPE_IPADDR, 4 }, [NFT_F_ADDR6] = { TYPE_IP6ADDR, 16 },
	[NFT_F_PROTO] = { TYPE_PROTO, 1 }, [NFT_F_PORT] = { TYPE_SERVICE, 2 },
	[NFT_F_SLOT] = { TYPE_INTEGER, 4 },
};

static uint32_t padded(uint32_t size)
{
	return (size + 3) & ~3u;
}

static uint32_t nfields(const enum nft_field *f)
{
	uint32_t n = 0;

	while (n < NFT_FIELDS && f[n] != NFT_F_END)
		n++;
	return n;
}

static uint32_t type_of(const enum nft_field *f)
{
	uint32_t type = 0;

	for (uint32_t i = 0; i < nfields(f); i++)
		type = type << TYPE_BITS | fields[f[i]].type;
	return type;
}

static uint32_t fields_size(const enum nft_field *f)
{
	uint32_t n = nfields(f), size = 0;

	if (n == 1)
		return fields[f[0]].size;
	for (uint32_t i = 0; i < n; i++)
		size += padded(fields[f[i]].size);
	return size;
}

/* ---- user data: nested records of type, length, value ---- */

struct udata {
	uint8_t v[UDATA_MAX];
	uint32_t len;
};

static uint32_t open_record(struct udata *u, uint8_t type)
{
	u->v[u->len] = type;
	u->len += 2;
	return u->len;
}

static void close_record(struct udata *u, uint32_t start)
{
	u->v[start - 1] = (uint8_t)(u->len - start);
}

static void put_number(struct udata *u, uint8_t type, uint32_t value)
{
	uint32_t start = open_record(u, type);

	memcpy(u->v + u->len, &value, sizeof(value));
	u->len += sizeof(value);
	close_record(u, start);
}

static void put_payload(struct udata *u, uint32_t desc, uint32_t field)
{
	uint32_t start;

	put_number(u, 0, EXPR_PAYLOAD);
	start = open_record(u, 1);
	put_number(u, 0, desc);
	put_number(u, 1, field);
	close_record(u, start);
}

static void put_random(struct udata *u)
{
	uint32_t start;

	put_number(u, 0, EXPR_NUMGEN);
	start = open_record(u, 1);
	put_number(u, 0, NFT_NG_RANDOM);
	put_number(u, 1, 2);
	put_number(u, 2, 0);
	close_record(u, start);
}

static void put_field(struct udata *u, enum nft_field f, uint8_t protocol)
{
	uint32_t l4 = protocol == 6 ? DESC_TCP : protocol == 17 ? DESC_UDP : DESC_SCTP;

	switch (f) {
	case NFT_F_ADDR4:
		put_payload(u, DESC_IP, FIELD_IP_DADDR);
		break;
	case NFT_F_ADDR6:
		put_payload(u, DESC_IP6, FIELD_IP6_DADDR);
		break;
	case NFT_F_PORT:
		put_payload(u, l4, FIELD_DPORT);
		break;
	case NFT_F_SLOT:
		put_random(u);
		break;
	case NFT_F_PROTO:
	case NFT_F_END:
		break;
	}
}

static void put_typeof(struct udata *u, uint8_t type, const enum nft_field *f, uint8_t protocol)
{
	uint32_t start = open_record(u, type), list, one;

	put_number(u, 0, EXPR_CONCAT);
	list = open_record(u, 1);
	for (uint32_t i = 0; protocol && i < nfields(f); i++) {
		one = open_record(u, (uint8_t)i);
		put_field(u, f[i], protocol);
		close_record(u, one);
	}
	close_record(u, list);
	close_record(u, start);
}

static void describe(const struct nft_map *m, struct udata *u)
{
	bool concat = nfields(m->key) > 1;
	uint32_t ndata = nfields(m->data);

	*u = (struct udata){ .len = 0 };
	put_number(u, NFTNL_UDATA_SET_KEYBYTEORDER, concat ? BYTEORDER_HOST : BYTEORDER_BIG);
	if (m->verdicts || ndata)
		put_number(u, NFTNL_UDATA_SET_DATABYTEORDER,
			   ndata == 1 ? BYTEORDER_BIG : BYTEORDER_HOST);
	if (concat)
		put_typeof(u, NFTNL_UDATA_SET_KEY_TYPEOF, m->key, m->protocol);
	if (m->protocol)
		put_typeof(u, NFTNL_UDATA_SET_DATA_TYPEOF, m->data, m->protocol);
	if (m->verdicts || ndata)
		put_number(u, UDATA_DATA_INTERVAL, 0);
}

static uint32_t flags_of(const struct nft_map *m)
{
	uint32_t flags = m->verdicts || nfields(m->data) ? NFT_SET_MAP : 0;

	if (m->interval)
		flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
	if (m->counts)
		flags |= NFT_SET_EVAL;
	return m->dynamic ? flags | NFT_SET_EVAL | NFT_SET_TIMEOUT : flags;
}

static uint32_t data_type(const struct nft_map *m)
{
	return m->verdicts ? (uint32_t)NFT_DATA_VERDICT : type_of(m->data);
}

/* ---- writing ---- */

static void put_desc(struct nlmsghdr *nlh, const struct nft_map *m)
{
	struct nlattr *desc = mnl_attr_nest_start(nlh, NFTA_SET_DESC), *list, *one;

	mnl_attr_put_u32(nlh, NFTA_SET_DESC_SIZE, htonl(m->size));
	if (m->interval) {
		list = mnl_attr_nest_start(nlh, NFTA_SET_DESC_CONCAT);
		for (uint32_t i = 0; i < nfields(m->key); i++) {
			one = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
			mnl_attr_put_u32(nlh, NFTA_SET_FIELD_LEN, htonl(fields[m->key[i]].size));
			mnl_attr_nest_end(nlh, one);
		}
		mnl_attr_nest_end(nlh, list);
	}
	mnl_attr_nest_end(nlh, desc);
}

static void put_counter(struct nlmsghdr *nlh)
{
	struct nlattr *expr = mnl_attr_nest_start(nlh, NFTA_SET_EXPR);

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "counter");
	mnl_attr_nest_end(nlh, mnl_attr_nest_start(nlh, NFTA_EXPR_DATA));
	mnl_attr_nest_end(nlh, expr);
}

void nft_map_put(struct nft_txn *t, const struct nft_map *m, uint32_t id)
{
	struct nlmsghdr *nlh = nft_txn_msg(t, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL,
					   "nft_map_create", m->name);
	struct udata u;

	if (!nlh)
		return;
	describe(m, &u);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, m->table);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, m->name);
	mnl_attr_put_u32(nlh, NFTA_SET_FLAGS, htonl(flags_of(m)));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_TYPE, htonl(type_of(m->key)));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_LEN, htonl(fields_size(m->key)));
	if (flags_of(m) & NFT_SET_MAP) {
		mnl_attr_put_u32(nlh, NFTA_SET_DATA_TYPE, htonl(data_type(m)));
		mnl_attr_put_u32(nlh, NFTA_SET_DATA_LEN, htonl(fields_size(m->data)));
	}
	mnl_attr_put_u32(nlh, NFTA_SET_ID, htonl(id));
	put_desc(nlh, m);
	if (m->counts)
		put_counter(nlh);
	mnl_attr_put(nlh, NFTA_SET_USERDATA, u.len, u.v);
}

void nft_map_delete(struct nft_txn *t, const struct nft_map *m)
{
	nft_set_delete(t, &(struct nft_set){ m->table, m->name, 0 });
}

static void end_list(struct nft_elems *e)
{
	if (e->list && e->t->nlh)
		mnl_attr_nest_end(e->t->nlh, e->list);
	e->list = NULL;
}

static bool begin_list(struct nft_elems *e)
{
	bool add = e->type == NFT_MSG_NEWSETELEM;
	struct nlmsghdr *nlh = nft_txn_msg(e->t, e->type, add ? NLM_F_CREATE : 0,
					   add ? "nft_map_add" : "nft_map_remove", e->map->name);

	if (!nlh)
		return false;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, e->map->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, e->map->name);
	e->list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	return true;
}

static void put_value(struct nlmsghdr *nlh, uint16_t attr, const void *value, uint32_t size)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, attr);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, size, value);
	mnl_attr_nest_end(nlh, nest);
}

static void put_verdict(struct nlmsghdr *nlh, int32_t verdict, const char *chain)
{
	struct nlattr *data = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_DATA);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);

	mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl((uint32_t)verdict));
	if (chain)
		mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, data);
}

void nft_elems_put(struct nft_elems *e, const struct nft_elem *elem)
{
	uint32_t size = fields_size(e->map->key);
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	if (e->list && e->t->nlh && e->t->nlh->nlmsg_len > ELEMENTS_MAX)
		end_list(e);
	if (!e->list && !begin_list(e))
		return;
	nlh = e->t->nlh;
	nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	put_value(nlh, NFTA_SET_ELEM_KEY, elem->key, size);
	if (e->map->interval)
		put_value(nlh, NFTA_SET_ELEM_KEY_END, elem->end, size);
	if (e->type == NFT_MSG_NEWSETELEM && e->map->verdicts)
		put_verdict(nlh, elem->verdict, elem->chain);
	else if (e->type == NFT_MSG_NEWSETELEM && nfields(e->map->data))
		put_value(nlh, NFTA_SET_ELEM_DATA, elem->data, fields_size(e->map->data));
	mnl_attr_nest_end(nlh, nest);
}

void nft_elems_end(struct nft_elems *e)
{
	end_list(e);
}

/* ---- reading ---- */

struct reading {
	const struct nft_map *map;
	struct nft_map_seen *seen;
	int (*each)(void *arg, const struct nft_elem *elem);
	void (*reset)(void *arg);
	void *arg;
};

static uint32_t number(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static bool same_bytes(const struct nlattr *attr, const struct udata *u)
{
	return mnl_attr_get_payload_len(attr) == u->len &&
	       memcmp(mnl_attr_get_payload(attr), u->v, u->len) == 0;
}

static int on_map(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *inner;
	struct reading *rd = arg;
	const struct nft_map *m = rd->map;
	uint32_t got[NFTA_SET_MAX + 1] = { 0 };
	bool described = false;
	struct udata u;

	describe(m, &u);
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		uint16_t what = mnl_attr_get_type(attr);

		if (what == NFTA_SET_USERDATA)
			described = same_bytes(attr, &u);
		if (what <= NFTA_SET_MAX)
			got[what] = number(attr);
		if (what != NFTA_SET_DESC)
			continue;
		mnl_attr_for_each_nested(inner, attr) {
			if (mnl_attr_get_type(inner) == NFTA_SET_DESC_SIZE)
				rd->seen->size = number(inner);
		}
	}
	rd->seen->there = true;
	rd->seen->wrong = got[NFTA_SET_FLAGS] != flags_of(m) || !described ||
			  got[NFTA_SET_KEY_TYPE] != type_of(m->key) ||
			  got[NFTA_SET_KEY_LEN] != fields_size(m->key) ||
			  (flags_of(m) & NFT_SET_MAP && got[NFTA_SET_DATA_TYPE] != data_type(m));
	return 0;
}

static void keep_value(const struct nlattr *nest, uint8_t *to, size_t size)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == NFTA_DATA_VALUE &&
		    mnl_attr_get_payload_len(attr) <= size)
			memcpy(to, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	}
}

static void keep_verdict(const struct nlattr *data, struct nft_elem *e)
{
	const struct nlattr *outer, *attr;

	mnl_attr_for_each_nested(outer, data) {
		if (mnl_attr_get_type(outer) != NFTA_DATA_VERDICT)
			continue;
		mnl_attr_for_each_nested(attr, outer) {
			if (mnl_attr_get_type(attr) == NFTA_VERDICT_CODE)
				e->verdict = (int32_t)number(attr);
			else if (mnl_attr_get_type(attr) == NFTA_VERDICT_CHAIN &&
				 mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
				e->chain = mnl_attr_get_str(attr);
		}
	}
}

static uint64_t number64(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == 8 ? be64toh(mnl_attr_get_u64(attr)) : 0;
}

static void keep_counter(const struct nlattr *expr, struct nft_elem *e)
{
	const struct nlattr *outer, *attr;

	mnl_attr_for_each_nested(outer, expr) {
		if (mnl_attr_get_type(outer) != NFTA_EXPR_DATA)
			continue;
		mnl_attr_for_each_nested(attr, outer) {
			if (mnl_attr_get_type(attr) == NFTA_COUNTER_PACKETS)
				e->packets = number64(attr);
			else if (mnl_attr_get_type(attr) == NFTA_COUNTER_BYTES)
				e->bytes = number64(attr);
		}
	}
}

static int on_element(const struct reading *rd, const struct nlattr *nest)
{
	struct nft_elem e = { .verdict = 0 };
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_SET_ELEM_KEY:
			keep_value(attr, e.key, sizeof(e.key));
			break;
		case NFTA_SET_ELEM_KEY_END:
			keep_value(attr, e.end, sizeof(e.end));
			break;
		case NFTA_SET_ELEM_DATA:
			if (rd->map->verdicts)
				keep_verdict(attr, &e);
			else
				keep_value(attr, e.data, sizeof(e.data));
			break;
		case NFTA_SET_ELEM_EXPR:
			if (rd->map->counts)
				keep_counter(attr, &e);
			break;
		}
	}
	return rd->each(rd->arg, &e);
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *element;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(element, attr) {
			int r = on_element(arg, element);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static void on_reset(void *arg)
{
	struct reading *rd = arg;

	rd->reset(rd->arg);
}

int nft_map_see(struct nl *nl, const struct nft_map *m, struct nft_map_seen *ret,
		struct podnet_error *err)
{
	struct reading rd = { .map = m, .seen = ret };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh;
	int r;

	*ret = (struct nft_map_seen){ 0 };
	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETSET, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, m->table);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, m->name);
	r = nl_get(nl, nlh, on_map, &rd, &why);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? pn_err(err, r, "nft_map_get", NULL, why.kernel) : 0;
}

int nft_map_elements(struct nl *nl, const struct nft_map *m,
		     int (*each)(void *arg, const struct nft_elem *elem),
		     void (*reset)(void *arg), void *arg, struct podnet_error *err)
{
	struct reading rd = { .map = m, .each = each, .reset = reset, .arg = arg };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error why = { 0 };
	struct nlmsghdr *nlh;
	int r;

	nlh = nftnl_nlmsg_build_hdr((char *)buf, NFT_MSG_GETSETELEM, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, m->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, m->name);
	r = nl_dump(nl, nlh, on_elements, on_reset, &rd, &why);
	return r < 0 ? pn_err(err, r, "nft_map_dump", NULL, why.kernel) : 0;
}
