/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_rules.c - the services' chains and their rules
 *
 * Room: what the table does; nothing is read or sent.  May include: services.h,
 * libpodnet/base.
 *
 *   hook          chain, what it does for the first packet of a connection
 *   prerouting    -110 service-sources      who may not come is dropped
 *   output        -100 service-prerouting   a frontend's endpoint becomes the destination
 *   input,           0 service-refuse       what has no endpoint is refused or dropped; so are
 *   forward, output                         packets, later ones too, that belong to no connection
 *   postrouting,    99 service-remember     where a client of a sticky frontend went
 *   input
 *   postrouting,    98 service-count        every packet of a connection: see service_count.c
 *   input
 *   postrouting    100 service-masquerade   an endpoint to itself; from outside to another node; and
 *                                           the node as a frontend
 */
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>

#define SEED 0x70646e74         /* of the source hash: the same on all nodes */
#define TRIES 16                /* all of them fail less than once in 65,536 connections */

static const uint8_t nfprotos[SVC_FAMILIES] = { NFPROTO_IPV4, NFPROTO_IPV6 };

void svc_chain_fini(struct svc_chain *c)
{
	for (size_t i = 0; i < c->nrules; i++)
		nft_rule_fini(&c->rules[i]);
	c->nrules = 0;
}

/* The next rule of a chain. */
static struct nft_rule *rule(struct svc_chain *c)
{
	struct nft_rule *r = &c->rules[c->nrules++];

	nft_rule_init(r, c->chain.table, c->name, NULL);
	return r;
}

static struct nft_rule *family_rule(struct svc_chain *c, uint8_t family)
{
	struct nft_rule *r = rule(c);

	nft_match_family(r, nfprotos[family]);
	return r;
}

static void chain(struct svc_chain *c, const char *table, const char *name)
{
	*c = (struct svc_chain){ .chain = { .table = table } };
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->chain.name = c->name;
}

void svc_chain_init(struct svc_chain *c, const char *table, const char *name)
{
	chain(c, table, name);
}

struct nft_rule *svc_chain_rule(struct svc_chain *c)
{
	return rule(c);
}

static void key_frontend(struct nft_rule *r, uint8_t family)
{
	nft_key_addr(r, nfprotos[family], NFT_DESTINATION);
	nft_key_l4proto(r);
	nft_key_port(r, NFT_DESTINATION);
}

/* The same for intervals. */
static void key_range(struct nft_rule *r, uint8_t family)
{
	nft_key_addr(r, nfprotos[family], NFT_DESTINATION);
	nft_key_l4proto_be(r);
	nft_key_port(r, NFT_DESTINATION);
}

static void key_node_port(struct nft_rule *r)
{
	nft_key_l4proto(r);
	nft_key_port(r, NFT_DESTINATION);
}

static const char *name_of(uint8_t family, uint8_t map, char name[NFT_NAME_SIZE])
{
	struct nft_map m;

	svc_map("", family, map, name, &m);
	return name;
}

static void in_range(struct nft_rule *r, uint8_t family, enum nft_end end, uint8_t range, bool not)
{
	char name[NFT_NAME_SIZE];
	struct nft_set set;

	svc_range("", family, range, name, &set);
	nft_key_addr(r, nfprotos[family], end);
	nft_match_set(r, name, not);
}

static void to_map(struct nft_rule *r, uint8_t family, uint8_t map)
{
	char name[NFT_NAME_SIZE];

	nft_verdict_map(r, name_of(family, map, name));
}

static void at_frontend(struct svc_chain *c, uint8_t family, uint8_t map)
{
	struct nft_rule *r = family_rule(c, family);

	key_frontend(r, family);
	to_map(r, family, map);
}

/* Only on the addresses that ports of the node are for. */
static void at_node_port(struct svc_chain *c, uint8_t family, uint8_t map)
{
	struct nft_rule *r = family_rule(c, family);
	char name[NFT_NAME_SIZE];

	nft_key_addr(r, nfprotos[family], NFT_DESTINATION);
	nft_match_set(r, name_of(family, SVC_NODE_IPS, name), false);
	key_node_port(r);
	to_map(r, family, map);
}

static void at_port_range(struct svc_chain *c, uint8_t family)
{
	struct nft_rule *r = family_rule(c, family);
	char name[NFT_NAME_SIZE];

	key_range(r, family);
	nft_dnat_addr_map(r, nfprotos[family], name_of(family, SVC_PORT_RANGES, name));
}

static const char *const choosers[SVC_FAMILIES] = { "classes4", "classes6" };

static void services_rules(struct svc_chain *c)
{
	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		at_frontend(c, f, SVC_STICKY);
		nft_verdict(family_rule(c, f), NFT_JUMP, choosers[f]);
		at_frontend(c, f, SVC_SERVICES);
		at_node_port(c, f, SVC_STICKY_PORTS);
		at_node_port(c, f, SVC_NODE_PORTS);
		at_port_range(c, f);
	}
}

static void refuse_rules(struct svc_chain *c)
{
	struct nft_rule *r = rule(c);

	nft_match_l4proto(r, 6);
	nft_reject(r, NFT_REJECT_TCP_RST, 0);
	nft_reject(rule(c), NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
}

static void no_service_rules(struct svc_chain *c)
{
	char name[NFT_NAME_SIZE];

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r;

		at_frontend(c, f, SVC_NO_ENDPOINTS);
		at_node_port(c, f, SVC_NO_ENDPOINT_PORTS);
		r = family_rule(c, f);
		nft_key_addr(r, nfprotos[f], NFT_DESTINATION);
		nft_match_set(r, name_of(f, SVC_CLUSTER_IPS, name), false);
		nft_verdict(r, NFT_GOTO, "refuse");
		r = family_rule(c, f);
		in_range(r, f, NFT_DESTINATION, SVC_NETS, false);
		nft_verdict(r, NF_DROP, NULL);
	}
}

/*
 * TCP that connection tracking calls invalid, out of every window say, passes untranslated: to a
 * client it comes from nobody it knows, to the node for nobody who listens, and either answers with
 * a reset that ends the connection.  So it is dropped, and the ends send again.
 */
static void stray_rules(struct svc_chain *c)
{
	char name[NFT_NAME_SIZE];

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r = family_rule(c, f);

		in_range(r, f, NFT_SOURCE, SVC_PODS, false);
		nft_verdict(r, NF_DROP, NULL);
		r = family_rule(c, f);
		in_range(r, f, NFT_DESTINATION, SVC_NETS, false);
		nft_verdict(r, NF_DROP, NULL);
		r = family_rule(c, f);
		key_frontend(r, f);
		nft_match_set(r, name_of(f, SVC_PUBLISHED, name), false);
		nft_verdict(r, NF_DROP, NULL);
		r = family_rule(c, f);
		nft_key_addr(r, nfprotos[f], NFT_DESTINATION);
		nft_match_set(r, name_of(f, SVC_NODE_IPS, name), false);
		key_node_port(r);
		nft_match_set(r, name_of(f, SVC_PUBLISHED_PORTS, name), false);
		nft_verdict(r, NF_DROP, NULL);
		r = family_rule(c, f);
		key_range(r, f);
		nft_match_set(r, name_of(f, SVC_PUBLISHED_RANGES, name), false);
		nft_verdict(r, NF_DROP, NULL);
	}
}

static void sources_rules(struct svc_chain *c)
{
	char name[NFT_NAME_SIZE];

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r = family_rule(c, f);

		key_frontend(r, f);
		nft_match_set(r, name_of(f, SVC_RESTRICTED, name), false);
		nft_key_addr(r, nfprotos[f], NFT_SOURCE);
		nft_key_addr(r, nfprotos[f], NFT_DESTINATION);
		nft_key_l4proto_be(r);
		nft_key_port(r, NFT_DESTINATION);
		nft_match_set(r, name_of(f, SVC_ALLOWED, name), true);
		nft_verdict(r, NF_DROP, NULL);
	}
}

/* A port of the connection is of a type only where a protocol was matched before. */
static void remember_rules(struct svc_chain *c, uint8_t family)
{
	for (int i = 0; i < SVC_PROTOS; i++) {
		struct nft_rule *r = rule(c);

		nft_match_l4proto(r, svc_protocols[i]);
		nft_key_ct_addr(r, nfprotos[family]);
		nft_key_l4proto(r);
		nft_key_ct_port(r);
		to_map(r, family, SVC_REMEMBER);
	}
	for (int i = 0; i < SVC_PROTOS; i++) {
		struct nft_rule *r = rule(c);
		char name[NFT_NAME_SIZE];

		nft_match_l4proto(r, svc_protocols[i]);
		nft_key_ct_addr(r, nfprotos[family]);
		nft_match_set(r, name_of(family, SVC_NODE_IPS, name), false);
		nft_key_l4proto(r);
		nft_key_ct_port(r);
		to_map(r, family, SVC_REMEMBER_PORTS);
	}
}

static void remember4_rules(struct svc_chain *c)
{
	remember_rules(c, SVC_V4);
}

static void remember6_rules(struct svc_chain *c)
{
	remember_rules(c, SVC_V6);
}

/*
 * What the node sends to an address of its own has that address as its source (Linux
 * net/ipv4/route.c, ip_route_output_key_hash_rcu(); RFC 6724, 5, rule 1), and is led on as such.
 */
static void masquerade_rules(struct svc_chain *c)
{
	char name[NFT_NAME_SIZE];

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r = rule(c);

		nft_match_dnat(r);
		nft_match_family(r, nfprotos[f]);
		nft_key_addr(r, nfprotos[f], NFT_SOURCE);
		nft_key_addr(r, nfprotos[f], NFT_DESTINATION);
		nft_match_set(r, name_of(f, SVC_HAIRPINS, name), false);
		nft_masquerade(r, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
		r = rule(c);
		nft_match_dnat(r);
		nft_match_family(r, nfprotos[f]);
		in_range(r, f, NFT_SOURCE, SVC_PODS, true);
		nft_match_local_source(r, true);
		in_range(r, f, NFT_DESTINATION, SVC_LOCAL_PODS, true);
		nft_masquerade(r, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
		r = rule(c);
		nft_match_dnat(r);
		nft_match_family(r, nfprotos[f]);
		nft_key_addr(r, nfprotos[f], NFT_SOURCE);
		nft_match_set(r, name_of(f, SVC_CLUSTER_IPS, name), false);
		nft_masquerade(r, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	}
}

/* Pods and this node are inside; the rest of the world has come from outside. */
static void by_source(struct svc_chain *c, uint8_t family, bool port)
{
	for (int step = 0; step < 3; step++) {
		struct nft_rule *r;

		if (step == 1) {
			r = rule(c);
			nft_match_local_source(r, false);
			nft_match_family(r, nfprotos[family]);
		} else {
			r = family_rule(c, family);
		}
		if (step == 0)
			in_range(r, family, NFT_SOURCE, SVC_PODS, false);
		if (port)
			key_node_port(r);
		else
			key_frontend(r, family);
		to_map(r, family, (step == 2 ? SVC_OUTSIDE : SVC_INSIDE) + (port ? SVC_AT_PORT : 0));
	}
}

static void by_source4(struct svc_chain *c)
{
	by_source(c, SVC_V4, false);
}

static void by_source6(struct svc_chain *c)
{
	by_source(c, SVC_V6, false);
}

static void port_by_source4(struct svc_chain *c)
{
	by_source(c, SVC_V4, true);
}

static void port_by_source6(struct svc_chain *c)
{
	by_source(c, SVC_V6, true);
}

static void drop_outside(struct svc_chain *c, uint8_t family)
{
	struct nft_rule *r = family_rule(c, family);

	in_range(r, family, NFT_SOURCE, SVC_PODS, false);
	nft_verdict(r, NFT_GOTO, "refuse");
	r = rule(c);
	nft_match_local_source(r, false);
	nft_verdict(r, NFT_GOTO, "refuse");
	nft_verdict(rule(c), NF_DROP, NULL);
}

static void drop_outside4(struct svc_chain *c)
{
	drop_outside(c, SVC_V4);
}

static void drop_outside6(struct svc_chain *c)
{
	drop_outside(c, SVC_V6);
}

static void jump_services(struct svc_chain *c)
{
	nft_verdict(rule(c), NFT_JUMP, "services");
}

static void jump_no_service(struct svc_chain *c)
{
	struct nft_rule *r = rule(c);

	nft_match_new(r);
	nft_verdict(r, NFT_JUMP, "no-service");
	r = rule(c);
	nft_match_invalid(r);
	nft_match_l4proto(r, 6);
	nft_verdict(r, NFT_JUMP, "stray");
}

static void jump_sources(struct svc_chain *c)
{
	struct nft_rule *r = rule(c);

	nft_match_new(r);
	nft_verdict(r, NFT_JUMP, "sources");
}

static void jump_remember(struct svc_chain *c)
{
	static const char *const names[SVC_FAMILIES] = { "remember4", "remember6" };

	for (uint8_t f = 0; f < SVC_FAMILIES; f++) {
		struct nft_rule *r = rule(c);

		nft_match_new(r);
		nft_match_dnat(r);
		nft_match_family(r, nfprotos[f]);
		nft_verdict(r, NFT_JUMP, names[f]);
	}
}

/* Each is behind those that it leads to. */
static const struct static_row {
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
	void (*rules)(struct svc_chain *c);
} static_rows[] = {
	{ "refuse", NULL, 0, 0, refuse_rules },
	{ "drop-outside4", NULL, 0, 0, drop_outside4 },
	{ "drop-outside6", NULL, 0, 0, drop_outside6 },
	{ "by-source4", NULL, 0, 0, by_source4 },
	{ "by-source6", NULL, 0, 0, by_source6 },
	{ "port-by-source4", NULL, 0, 0, port_by_source4 },
	{ "port-by-source6", NULL, 0, 0, port_by_source6 },
	{ "services", NULL, 0, 0, services_rules },
	{ "no-service", NULL, 0, 0, no_service_rules },
	{ "stray", NULL, 0, 0, stray_rules },
	{ "sources", NULL, 0, 0, sources_rules },
	{ "remember4", NULL, 0, 0, remember4_rules },
	{ "remember6", NULL, 0, 0, remember6_rules },
	{ "sources-prerouting", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST - 10, jump_sources },
	{ "sources-output", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST - 10, jump_sources },
	{ "services-prerouting", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST, jump_services },
	{ "services-output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST, jump_services },
	{ "refuse-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, jump_no_service },
	{ "refuse-forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, jump_no_service },
	{ "refuse-output", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER, jump_no_service },
	{ "remember-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC - 1, jump_remember },
	{ "remember-postrouting", "filter", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC - 1,
	  jump_remember },
	{ "services-postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, masquerade_rules },
};

bool svc_static(const char *table, size_t i, struct svc_chain *ret)
{
	const struct static_row *row;

	if (i >= ARRAY_SIZE(static_rows))
		return svc_count_chain(table, i - ARRAY_SIZE(static_rows), ret);
	row = &static_rows[i];
	chain(ret, table, row->name);
	ret->chain.type = row->type;
	ret->chain.hook = row->hook;
	ret->chain.priority = row->priority;
	row->rules(ret);
	return true;
}

/* One try: what no slot is called leads nowhere, and the next rule tries again. */
static void pick(struct svc_chain *c, uint8_t family, const struct svc_verdict *v, uint32_t slots)
{
	uint8_t map = (uint8_t)(SVC_BACKENDS + v->scope * SVC_PROTOS + v->proto);
	struct nft_rule *r = family_rule(c, family);
	char name[NFT_NAME_SIZE];

	nft_match_l4proto(r, svc_protocols[v->proto]);
	if (v->scope < SVC_PORT_ALL)
		nft_key_addr(r, nfprotos[family], NFT_DESTINATION);
	nft_key_port(r, NFT_DESTINATION);
	if (v->maglev)
		nft_key_source_hash(r, nfprotos[family], v->slots, SEED);
	else
		nft_key_random(r, slots);
	nft_dnat_map(r, nfprotos[family], name_of(family, map, name));
}

void svc_balance(const char *table, uint8_t family, const struct svc_verdict *v,
		 struct svc_chain *ret)
{
	char name[NFT_NAME_SIZE];

	svc_chain_name(family, v, NULL, name);
	chain(ret, table, name);
	if (v->maglev || v->slots <= 2) {
		pick(ret, family, v, v->slots);
		return;
	}
	for (int i = 0; i < TRIES; i++)
		pick(ret, family, v, v->slots);
	pick(ret, family, v, v->slots / 2);     /* all of these are there */
}

void svc_choose(const struct podnet_services *s, uint8_t family, struct svc_chain *ret)
{
	chain(ret, s->table, choosers[family]);
	for (uint8_t m = SVC_CLASS; m < SVC_MAPS; m++) {
		char set[NFT_NAME_SIZE], to[NFT_NAME_SIZE];
		struct svc_verdict v;
		struct nft_rule *r;

		if (!svc_class(m, &v) || !svc_knows_chain(s, family, &v))
			continue;
		svc_chain_name(family, &v, NULL, to);
		r = family_rule(ret, family);
		key_frontend(r, family);
		nft_match_set(r, name_of(family, m, set), false);
		nft_verdict(r, NFT_GOTO, to);
	}
}

void svc_sticky(const char *table, const struct svc_key *key, uint32_t seconds,
		struct svc_chain ret[2])
{
	uint8_t nfproto = nfprotos[key->family];
	uint64_t ms = (uint64_t)seconds * 1000;
	char names[2][NFT_NAME_SIZE], name[NFT_NAME_SIZE];
	struct nft_map maps[2];
	struct nft_rule *r;

	svc_sticky_maps(table, key, names, maps);
	svc_chain_name(key->family, &(struct svc_verdict){ .to = SVC_ASK_STICKY }, key, name);
	chain(&ret[0], table, name);
	r = rule(&ret[0]);
	nft_match_l4proto(r, svc_protocols[key->proto]);
	nft_match_family(r, nfproto);
	nft_dnat_by_source(r, nfproto, names[0], names[1]);
	svc_chain_name(key->family, &(struct svc_verdict){ .to = SVC_SET_STICKY }, key, name);
	chain(&ret[1], table, name);
	r = family_rule(&ret[1], key->family);
	nft_remember_addr(r, nfproto, names[0], ms);
	r = rule(&ret[1]);
	nft_match_l4proto(r, svc_protocols[key->proto]);
	nft_match_family(r, nfproto);
	nft_remember_port(r, nfproto, names[1], ms);
}
