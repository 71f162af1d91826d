/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_count.c - packets, bytes and connections by frontend and endpoint
 *
 * Room: the sets and chains that count, and reading them.  May include: services.h,
 * libpodnet/base.
 *
 * Packets of a connection that is under way meet none of the rules that balance, so they are
 * counted where each of them passes once: behind postrouting, or on its way into the node.  The
 * key is what connection tracking knows, where it was meant to go and who replies, and the
 * packet itself puts the element into its set when it is the first.  So nothing is added when a
 * frontend or an endpoint is declared, and what has no traffic costs nothing.  A set that is full
 * counts no further endpoints, and balancing goes on.
 *
 * Elements of endpoints that went are taken out when somebody reads; what they counted is kept
 * with the frontend, so that its sum never goes back while it is there.  Those of a frontend that
 * went are taken out then too, or before another one comes to what it had.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <sys/socket.h>

#define PAIRS_MAX 65536             /* frontends with endpoints, of one family */
#define WENT_MAX 1024               /* frontends that went; beyond, any that comes has to do with them */

static const char *const stems[SVC_COUNTS] = { "connections", "to-endpoints", "from-endpoints" };
static const uint8_t nfprotos[SVC_FAMILIES] = { NFPROTO_IPV4, NFPROTO_IPV6 };

void svc_count_set(const char *table, uint8_t family, uint8_t which, char name[NFT_NAME_SIZE],
		   struct nft_map *ret)
{
	enum nft_field addr = family == SVC_V4 ? NFT_F_ADDR4 : NFT_F_ADDR6;

	snprintf(name, NFT_NAME_SIZE, "%s%d", stems[which], family == SVC_V4 ? 4 : 6);
	*ret = (struct nft_map){
		.table = table, .name = name, .counts = true, .size = PAIRS_MAX,
		.key = { addr, NFT_F_PROTO, NFT_F_PORT, addr, NFT_F_PORT },
	};
}

/* ---- chains ---- */

/* A port of the connection is of a type only where a protocol was matched before. */
static void count_rules(struct svc_chain *c, uint8_t family, uint8_t which)
{
	char name[NFT_NAME_SIZE];
	struct nft_map set;

	svc_count_set("", family, which, name, &set);
	for (int i = 0; i < SVC_PROTOS; i++) {
		struct nft_rule *r = svc_chain_rule(c);

		nft_match_l4proto(r, svc_protocols[i]);
		nft_key_ct_addr(r, nfprotos[family]);
		nft_key_l4proto(r);
		nft_key_ct_port(r);
		nft_key_reply_addr(r, nfprotos[family]);
		nft_key_reply_port(r);
		nft_count(r, name);
	}
}

static void chain_name(uint8_t family, uint8_t which, char ret[NFT_NAME_SIZE])
{
	snprintf(ret, NFT_NAME_SIZE, "count-%s%d", stems[which], family == SVC_V4 ? 4 : 6);
}

static void family_rules(struct svc_chain *c, uint8_t family)
{
	for (uint8_t which = 0; which < SVC_COUNTS; which++) {
		struct nft_rule *r = svc_chain_rule(c);
		char name[NFT_NAME_SIZE];

		chain_name(family, which, name);
		if (which == SVC_COUNT_NEW)
			nft_match_first_dnat(r);
		else
			nft_match_reply(r, which == SVC_COUNT_BACK);
		nft_verdict(r, NFT_JUMP, name);
	}
}

/* The node's way to itself leads over lo, and was counted when it set out. */
static void hook_rules(struct svc_chain *c, bool input)
{
	static const char *const names[SVC_FAMILIES] = { "count4", "count6" };

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r = svc_chain_rule(c);

		nft_match_dnat(r);
		if (input)
			nft_match_not_loopback(r);
		nft_match_family(r, nfprotos[f]);
		nft_verdict(r, NFT_JUMP, names[f]);
	}
}

/* Each is behind those that it leads to. */
enum { LEAVES = SVC_FAMILIES * SVC_COUNTS, FAMILIES = LEAVES + SVC_FAMILIES, CHAINS = FAMILIES + 2 };

bool svc_count_chain(const char *table, size_t i, struct svc_chain *ret)
{
	bool input = i == FAMILIES;
	char name[NFT_NAME_SIZE];

	if (i >= CHAINS)
		return false;
	if (i < LEAVES) {
		chain_name(i / SVC_COUNTS, i % SVC_COUNTS, name);
		svc_chain_init(ret, table, name);
		count_rules(ret, i / SVC_COUNTS, i % SVC_COUNTS);
		return true;
	}
	if (i < FAMILIES) {
		svc_chain_init(ret, table, i == LEAVES ? "count4" : "count6");
		family_rules(ret, (uint8_t)(i - LEAVES));
		return true;
	}
	svc_chain_init(ret, table, input ? "count-input" : "count-postrouting");
	ret->chain.type = "filter";
	ret->chain.hook = input ? NF_INET_LOCAL_IN : NF_INET_POST_ROUTING;
	ret->chain.priority = NF_IP_PRI_NAT_SRC - 2;
	hook_rules(ret, input);
	return true;
}

/* ---- reading ---- */

/** One element. */
struct counted {
	uint8_t key[NFT_KEY_LONGEST];
	uint64_t packets, bytes;
};

/** One set, whole: a dump that others interrupt begins anew, and must not be told twice. */
struct reading {
	struct podnet_services *s;
	int (*each)(const struct podnet_service_counts *counts, void *arg);
	void *arg;
	uint8_t family, which;
	struct { struct counted *v; size_t n, cap; } found;
};

static const uint8_t *take(const uint8_t *at, void *to, size_t size)
{
	memcpy(to, at, size);
	return at + (size + 3) / 4 * 4;
}

static bool parse_key(const struct reading *rd, const uint8_t *at, struct svc_key *key,
		      struct svc_dest *dest)
{
	size_t addr = rd->family == SVC_V4 ? 4 : 16;
	uint8_t protocol;

	*key = (struct svc_key){ .family = rd->family };
	*dest = (struct svc_dest){ .port_be = 0 };
	at = take(at, key->addr, addr);
	at = take(at, &protocol, 1);
	at = take(at, &key->port_be, 2);
	at = take(at, dest->addr, addr);
	take(at, &dest->port_be, 2);
	for (key->proto = 0; key->proto < SVC_PROTOS; key->proto++)
		if (svc_protocols[key->proto] == protocol)
			return true;
	return false;
}

static void add_to(struct svc_counts *to, uint8_t which, const struct counted *elem)
{
	int way = which == SVC_COUNT_BACK;

	if (which == SVC_COUNT_NEW) {
		to->connections += elem->packets;
		return;
	}
	to->packets[way] += elem->packets;
	to->bytes[way] += elem->bytes;
}

static int tell(const struct reading *rd, const struct svc_key *key, const struct svc_dest *dest,
		const struct svc_counts *n)
{
	static const uint8_t none[16];
	uint8_t family = key->family == SVC_V4 ? AF_INET : AF_INET6, len = family == AF_INET ? 32 : 128;
	struct podnet_service_counts out = {
		.ip = { .family = family, .len = len }, .protocol = svc_protocols[key->proto],
		.port = ntohs(key->port_be), .connections = n->connections,
		.packets_in = n->packets[0], .bytes_in = n->bytes[0],
		.packets_out = n->packets[1], .bytes_out = n->bytes[1],
	};

	if (memcmp(key->addr, none, sizeof(none)) == 0)
		out.ip.len = 0;
	memcpy(out.ip.addr, key->addr, sizeof(out.ip.addr));
	if (dest) {
		out.endpoint = (struct podnet_prefix){ .family = family, .len = len };
		memcpy(out.endpoint.addr, dest->addr, sizeof(out.endpoint.addr));
		out.endpoint_port = ntohs(dest->port_be);
	}
	return rd->each(&out, rd->arg);
}

/* The frontend of an element, or NULL.  1: and its endpoint serves; 0; or -ENOMEM. */
static int place(const struct reading *rd, const struct counted *elem, struct svc_dest *dest,
		 struct svc_entry **ret)
{
	struct svc_key key;

	*ret = NULL;
	if (!parse_key(rd, elem->key, &key, dest))
		return 0;
	*ret = svc_meant_for(rd->s, &key);
	return *ret && (*ret)->sent ? svc_serves((*ret)->sent, dest) : 0;
}

/* Nobody's, or of another one than that which has its key now. */
static bool is_stray(const struct svc_entry *e)
{
	return !e || !e->sent || e->anew;
}

/* Those of frontends that went stay. */
static void keep_stray(struct reading *rd)
{
	size_t kept = 0;

	for (size_t i = 0; i < rd->found.n; i++) {
		struct svc_entry *e;
		struct svc_dest dest;

		place(rd, &rd->found.v[i], &dest, &e);
		if (is_stray(e))
			rd->found.v[kept++] = rd->found.v[i];
	}
	rd->found.n = kept;
}

/* Those whose endpoint serves are told; the others stay in front. */
static int tell_found(struct reading *rd)
{
	size_t gone = 0;

	for (size_t i = 0; i < rd->found.n; i++) {
		const struct counted *elem = &rd->found.v[i];
		struct svc_counts n = { 0 };
		struct svc_entry *e;
		struct svc_dest dest;
		int r = place(rd, elem, &dest, &e);

		if (r == 0)
			rd->found.v[gone++] = *elem;
		if (r > 0) {
			add_to(&n, rd->which, elem);
			r = tell(rd, &e->key, &dest, &n);
		}
		if (r < 0)
			return r;
	}
	rd->found.n = gone;
	return 0;
}

/* Out of the set, and to the sum of the frontend; when that fails they are there the next time. */
static int drop_gone(struct reading *rd, const struct nft_map *set)
{
	_cleanup_(nft_txn_fini) struct nft_txn t = { 0 };
	struct nft_elems out = { .t = &t, .map = set, .type = NFT_MSG_DELSETELEM };

	int r;

	if (!rd->found.n)
		return 0;
	nft_txn_init(&t, &rd->s->ctx->nft, 0);
	for (size_t i = 0; i < rd->found.n; i++) {
		struct nft_elem elem = { .verdict = 0 };

		memcpy(elem.key, rd->found.v[i].key, sizeof(elem.key));
		nft_elems_put(&out, &elem);
	}
	nft_elems_end(&out);
	r = nft_txn_send(&t, NULL);
	for (size_t i = 0; i < rd->found.n && r == 0; i++) {
		struct svc_entry *e;
		struct svc_dest dest;

		place(rd, &rd->found.v[i], &dest, &e);
		if (!is_stray(e))
			add_to(&e->past, rd->which, &rd->found.v[i]);
	}
	return r;
}

static int on_elem(void *arg, const struct nft_elem *elem)
{
	struct reading *rd = arg;
	struct counted *c;

	if (pn_grow(&rd->found) < 0)
		return -ENOMEM;
	c = &rd->found.v[rd->found.n++];
	memcpy(c->key, elem->key, sizeof(c->key));
	c->packets = elem->packets;
	c->bytes = elem->bytes;
	return 0;
}

static void on_reset(void *arg)
{
	((struct reading *)arg)->found.n = 0;
}

static int read_set(struct reading *rd, struct podnet_error *err)
{
	char name[NFT_NAME_SIZE];
	struct nft_map set;
	int r;

	rd->found.n = 0;
	svc_count_set(rd->s->table, rd->family, rd->which, name, &set);
	r = nft_map_elements(&rd->s->ctx->nft, &set, on_elem, on_reset, rd, err);
	if (r == -ENOENT)       /* somebody took it away, and the next commit brings it back */
		return 0;
	if (r < 0)
		return r;
	if (!rd->each) {
		keep_stray(rd);
		return drop_gone(rd, &set);
	}
	r = tell_found(rd);
	if (r == 0)
		drop_gone(rd, &set);
	return r;
}

static int read_all(struct reading *rd, struct podnet_error *err)
{
	int r = nft_socket(rd->s->ctx, err);

	for (rd->family = 0; rd->family < SVC_FAMILIES && r == 0; rd->family++)
		for (rd->which = 0; rd->which < SVC_COUNTS && r == 0; rd->which++)
			r = read_set(rd, err);
	free(rd->found.v);
	return r;
}

static int tell_past(const struct reading *rd)
{
	static const struct svc_counts none;
	size_t i = 0;
	int r = 0;

	for (const struct svc_entry *e; r == 0 && (e = pn_table_next(&rd->s->entries, &i)); )
		if (memcmp(&e->past, &none, sizeof(none)) != 0)
			r = tell(rd, &e->key, NULL, &e->past);
	return r;
}

int podnet_services_counts(struct podnet_services *s,
			   int (*each)(const struct podnet_service_counts *counts, void *arg),
			   void *arg, struct podnet_error *err)
{
	struct reading rd = { .s = s, .each = each, .arg = arg };
	int r;

	/* before the first commit nobody is known, and all would seem to be gone */
	if (!s->synced)
		return 0;
	svc_count_begin(s);
	r = read_all(&rd, err);
	return r < 0 ? r : tell_past(&rd);
}

/* ---- one that comes where another one was ---- */

int svc_count_went(struct podnet_services *s, const struct svc_key *key)
{
	if (s->went.n == WENT_MAX)
		return 0;
	if (pn_grow(&s->went) < 0)
		return -ENOMEM;
	s->went.v[s->went.n++] = *key;
	return 0;
}

static uint16_t last_port(const struct svc_key *key)
{
	return ntohs(key->last_be ? key->last_be : key->port_be);
}

/* A port of the node is one of its addresses too. */
static bool overlap(const struct svc_key *a, const struct svc_key *b)
{
	static const uint8_t none[16];

	return a->family == b->family && a->proto == b->proto &&
	       ntohs(a->port_be) <= last_port(b) && ntohs(b->port_be) <= last_port(a) &&
	       (memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 ||
		memcmp(a->addr, none, sizeof(none)) == 0 || memcmp(b->addr, none, sizeof(none)) == 0);
}

void svc_count_comes(struct podnet_services *s, const struct svc_key *key)
{
	s->recount |= s->went.n == WENT_MAX;
	for (size_t i = 0; i < s->went.n && !s->recount; i++)
		s->recount = overlap(&s->went.v[i], key);
}

/* When it fails the next commit or reading tries again: counters are in nobody's way. */
void svc_count_begin(struct podnet_services *s)
{
	struct reading rd = { .s = s };
	size_t i = 0;

	if (!s->recount || read_all(&rd, NULL) < 0)
		return;
	s->recount = false;
	s->went.n = 0;
	for (struct svc_entry *e; (e = pn_table_next(&s->entries, &i)); ) {
		if (!e->anew)
			continue;
		e->past = (struct svc_counts){ 0 };
		e->anew = !e->want;
		if (e->anew)            /* it counts until that is sent, and its key is there already */
			svc_count_went(s, &e->key);
	}
}
