/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_raw.c - the least that services can cost: their elements by libmnl
 *
 * Room: tests/bench; libmnl and the kernel's headers, nothing of libpodnet.
 *
 * One transaction makes a table, a chain to go to, and maps of the types and sizes that libpodnet
 * makes; then the elements, a list of at most 60,000 bytes a message, one sendto() for all.  There
 * are no rules: they are the same few whatever the number of services.
 */
#include "services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "floor"
#define LIST_MAX 60000
#define MESSAGE_MAX (72 * 1024)

enum { IPADDR = 7, PROTO = 12, SERVICE = 13, INTEGER = 4, BITS = 6 };

static const struct raw_map {
	const char *name;
	uint32_t flags, key_type, key_len, data_type, data_len;
} maps[] = {
	{ "services", NFT_SET_MAP, (IPADDR << BITS | PROTO) << BITS | SERVICE, 12,
	  NFT_DATA_VERDICT, 0 },
	{ "cluster-ips", 0, IPADDR, 4, 0, 0 },
	{ "backends", NFT_SET_MAP, (IPADDR << BITS | SERVICE) << BITS | INTEGER, 12,
	  IPADDR << BITS | SERVICE, 8 },
	{ "hairpins", 0, IPADDR << BITS | IPADDR, 8, 0, 0 },
};
enum { SERVICES, CLUSTER_IPS, BACKENDS, HAIRPINS };

struct raw {
	struct mnl_socket *sock;
	char *buf;
	size_t len, cap;
	struct nlmsghdr *nlh;
	struct nlattr *list;        /* of elements, being filled */
	uint32_t seq;
};

static void finish(struct raw *r)
{
	if (r->list)
		mnl_attr_nest_end(r->nlh, r->list);
	if (r->nlh)
		r->len += NLMSG_ALIGN(r->nlh->nlmsg_len);
	r->nlh = NULL;
	r->list = NULL;
}

static struct nlmsghdr *message(struct raw *r, uint16_t type, uint16_t flags, uint8_t family,
				uint16_t res_id)
{
	struct nfgenmsg *nfg;

	finish(r);
	if (r->cap - r->len < MESSAGE_MAX) {
		r->cap = r->cap ? 2 * r->cap : 4 * MESSAGE_MAX;
		r->buf = realloc(r->buf, r->cap);
		if (!r->buf)
			die("out of memory");
	}
	r->nlh = mnl_nlmsg_put_header(r->buf + r->len);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	r->nlh->nlmsg_seq = ++r->seq;
	nfg = mnl_nlmsg_put_extra_header(r->nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
	return r->nlh;
}

static struct nlmsghdr *request(struct raw *r, uint16_t type, uint16_t flags)
{
	return message(r, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
}

static void begin(struct raw *r)
{
	r->len = 0;
	message(r, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

static void await_ack(struct raw *r, uint32_t last)
{
	char buf[8192];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(r->sock, buf, sizeof(buf));
		int left = (int)n;

		if (n < 0)
			die("floor: %s", strerror(errno));
		for (struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type == NLMSG_ERROR && e->error)
				die("floor: message %u of %u: %s", nlh->nlmsg_seq, last,
				    strerror(-e->error));
			if (nlh->nlmsg_type == NLMSG_ERROR && nlh->nlmsg_seq == last)
				return;
		}
	}
}

static struct took commit(struct raw *r, uint64_t start)
{
	uint32_t last = r->nlh->nlmsg_seq;
	struct took took;
	uint64_t sent;
	int room;

	r->nlh->nlmsg_flags |= NLM_F_ACK;
	message(r, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	finish(r);
	room = (int)r->len + 4096;
	if (r->len > 65536)
		setsockopt(mnl_socket_get_fd(r->sock), SOL_SOCKET, SO_SNDBUFFORCE, &room,
			   sizeof(room));
	sent = now_ns();
	if (mnl_socket_sendto(r->sock, r->buf, r->len) < 0)
		die("floor: send: %s", strerror(errno));
	took.kernel = ms_since(sent);
	await_ack(r, last);
	took.all = ms_since(start);
	return took;
}

static void put_map(struct raw *r, const struct raw_map *m, unsigned need, uint32_t id)
{
	struct nlmsghdr *nlh = request(r, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *desc;
	uint32_t size = 192;

	while (size < need + need / 8)
		size *= 2;
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, m->name);
	mnl_attr_put_u32(nlh, NFTA_SET_FLAGS, htonl(m->flags));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_TYPE, htonl(m->key_type));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_LEN, htonl(m->key_len));
	if (m->flags & NFT_SET_MAP) {
		mnl_attr_put_u32(nlh, NFTA_SET_DATA_TYPE, htonl(m->data_type));
		mnl_attr_put_u32(nlh, NFTA_SET_DATA_LEN, htonl(m->data_len));
	}
	mnl_attr_put_u32(nlh, NFTA_SET_ID, htonl(id));
	desc = mnl_attr_nest_start(nlh, NFTA_SET_DESC);
	mnl_attr_put_u32(nlh, NFTA_SET_DESC_SIZE, htonl(size));
	mnl_attr_nest_end(nlh, desc);
}

static void put_chain(struct raw *r, const char *name)
{
	struct nlmsghdr *nlh = request(r, NFT_MSG_NEWCHAIN, NLM_F_CREATE);

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
}

static void begin_list(struct raw *r, unsigned map, bool add)
{
	struct nlmsghdr *nlh = request(r, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
				       add ? NLM_F_CREATE : 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, maps[map].name);
	r->list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_value(struct nlmsghdr *nlh, uint16_t attr, const void *value, size_t size)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, attr);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, size, value);
	mnl_attr_nest_end(nlh, nest);
}

/* @chain: of a verdict; @data: of a map */
static void put_element(struct raw *r, unsigned map, bool add, const void *key, const char *chain,
			const void *data)
{
	struct nlattr *elem, *value, *verdict;

	if (r->list && r->nlh->nlmsg_len > LIST_MAX)
		begin_list(r, map, add);
	elem = mnl_attr_nest_start(r->nlh, NFTA_LIST_ELEM);
	put_value(r->nlh, NFTA_SET_ELEM_KEY, key, maps[map].key_len);
	if (data)
		put_value(r->nlh, NFTA_SET_ELEM_DATA, data, maps[map].data_len);
	if (chain) {
		value = mnl_attr_nest_start(r->nlh, NFTA_SET_ELEM_DATA);
		verdict = mnl_attr_nest_start(r->nlh, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(r->nlh, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_GOTO));
		mnl_attr_put_strz(r->nlh, NFTA_VERDICT_CHAIN, chain);
		mnl_attr_nest_end(r->nlh, verdict);
		mnl_attr_nest_end(r->nlh, value);
	}
	mnl_attr_nest_end(r->nlh, elem);
}

static const char *chain_of(unsigned slots, char name[32])
{
	snprintf(name, 32, "tcp4-random-%u", slots);
	return name;
}

static void put_service(struct raw *r, unsigned i, bool add, const char *chain)
{
	struct { in_addr_t ip; uint8_t proto, pad[3]; uint16_t port, pad2; } key = {
		.ip = service_ip(i), .proto = IPPROTO_TCP, .port = htons(SERVICE_PORT),
	};

	put_element(r, SERVICES, add, &key, add ? chain : NULL, NULL);
}

static void put_backend(struct raw *r, const struct shape *s, unsigned i, uint32_t slot, bool add)
{
	struct { in_addr_t ip; uint16_t port, pad; uint32_t slot; } key = {
		.ip = service_ip(i), .port = htons(SERVICE_PORT), .slot = slot,
	};
	struct { in_addr_t ip; uint16_t port, pad; } data = { 0 };
	unsigned port;

	data.ip = endpoint_of(s, i, slot, &port);
	data.port = htons((uint16_t)port);
	put_element(r, BACKENDS, add, &key, NULL, add ? &data : NULL);
}

static void put_hairpin(struct raw *r, const struct shape *s, unsigned i, unsigned k)
{
	unsigned port;
	in_addr_t pair[2] = { endpoint_of(s, i, k, &port) };

	pair[1] = pair[0];
	put_element(r, HAIRPINS, true, pair, NULL, NULL);
}

/* Endpoints of the server have one address. */
static unsigned put_hairpins(struct raw *r, const struct shape *s, bool dry)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->services; i++)
		for (unsigned k = 0; k < s->endpoints; k++) {
			if (!endpoint_is_local(s, i, k) ||
			    (s->served && k && i + 1 == s->services))
				continue;
			if (!dry)
				put_hairpin(r, s, i, k);
			n++;
		}
	return n;
}

static void put_tables(struct raw *r, const struct shape *s)
{
	const unsigned need[] = { s->services, s->services, s->services * s->endpoints,
				  put_hairpins(r, s, true) };
	char name[32];

	mnl_attr_put_strz(request(r, NFT_MSG_NEWTABLE, NLM_F_CREATE), NFTA_TABLE_NAME, TABLE);
	for (unsigned k = s->endpoints; k < s->endpoints + 2; k++)
		put_chain(r, chain_of(k, name));
	for (unsigned i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		put_map(r, &maps[i], need[i], i + 1);
}

struct took raw_load(struct raw *r, const struct shape *s)
{
	uint64_t start = now_ns();
	char name[32];

	begin(r);
	put_tables(r, s);
	begin_list(r, SERVICES, true);
	for (unsigned i = 0; i < s->services; i++)
		put_service(r, i, true, chain_of(s->endpoints, name));
	begin_list(r, CLUSTER_IPS, true);
	for (unsigned i = 0; i < s->services; i++) {
		in_addr_t ip = service_ip(i);

		put_element(r, CLUSTER_IPS, true, &ip, NULL, NULL);
	}
	begin_list(r, BACKENDS, true);
	for (unsigned i = 0; i < s->services; i++)
		for (unsigned k = 0; k < s->endpoints; k++)
			put_backend(r, s, i, k, true);
	if (put_hairpins(r, s, true))
		begin_list(r, HAIRPINS, true);
	put_hairpins(r, s, false);
	return commit(r, start);
}

struct took raw_endpoint(struct raw *r, const struct shape *s, unsigned i, bool more)
{
	uint64_t start = now_ns();
	char name[32];

	begin(r);
	begin_list(r, SERVICES, false);
	put_service(r, i, false, NULL);
	if (!more) {
		begin_list(r, BACKENDS, false);
		put_backend(r, s, i, s->endpoints, false);
	}
	begin_list(r, SERVICES, true);
	put_service(r, i, true, chain_of(s->endpoints + more, name));
	if (more) {
		begin_list(r, BACKENDS, true);
		put_backend(r, s, i, s->endpoints, true);
	}
	return commit(r, start);
}

struct took raw_service(struct raw *r, const struct shape *s, unsigned i, bool there)
{
	in_addr_t ip = service_ip(i);
	uint64_t start = now_ns();
	char name[32];

	begin(r);
	begin_list(r, SERVICES, there);
	put_service(r, i, there, chain_of(s->endpoints, name));
	begin_list(r, CLUSTER_IPS, there);
	put_element(r, CLUSTER_IPS, there, &ip, NULL, NULL);
	begin_list(r, BACKENDS, there);
	for (unsigned k = 0; k < s->endpoints; k++)
		put_backend(r, s, i, k, there);
	return commit(r, start);
}

struct raw *raw_open(void)
{
	struct raw *r = calloc(1, sizeof(*r));

	if (!r || !(r->sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) ||
	    mnl_socket_bind(r->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		die("floor: no memory or no socket");
	return r;
}

void raw_close(struct raw *r)
{
	mnl_socket_close(r->sock);
	free(r->buf);
	free(r);
}

void raw_clear(void)
{
	static const char *const argv[] = { "nft", "flush", "ruleset", NULL };
	struct command cmd = { .argv = argv, .netns = -1 };

	command_run(&cmd);
	nap_ms(60);             /* the kernel frees behind a grace period */
}
