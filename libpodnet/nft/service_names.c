/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_names.c - names and types of the services' maps, names of their chains
 *
 * Room: what things are called, and back; nothing is read or sent.  May include: services.h,
 * libpodnet/base.
 */
#include <libpodnet/base/base.h>
#include <libpodnet/nft/services.h>
#include <stdio.h>

const uint8_t svc_protocols[SVC_PROTOS] = { 6, 17, 132 };

static const char *const proto_names[SVC_PROTOS] = { "tcp", "udp", "sctp" };
static const char *const scope_names[SVC_SCOPES] = { "", "local-", "port-", "port-local-" };

/* ---- maps ---- */

#define ADDR NFT_F_ADDR4        /* of the map's family */
#define FRONTEND { ADDR, NFT_F_PROTO, NFT_F_PORT }
#define NODE_PORT { NFT_F_PROTO, NFT_F_PORT }

static const struct map_row {
	const char *stem;
	enum nft_field key[NFT_FIELDS];
	bool verdicts, interval;
} map_rows[SVC_BACKENDS] = {
	[SVC_SERVICES] = { "services", FRONTEND, true, false },
	[SVC_INSIDE] = { "inside-services", FRONTEND, true, false },
	[SVC_OUTSIDE] = { "outside-services", FRONTEND, true, false },
	[SVC_NO_ENDPOINTS] = { "no-endpoints", FRONTEND, true, false },
	[SVC_STICKY] = { "sticky", FRONTEND, true, false },
	[SVC_REMEMBER] = { "remember", FRONTEND, true, false },
	[SVC_NODE_PORTS] = { "node-ports", NODE_PORT, true, false },
	[SVC_INSIDE_PORTS] = { "inside-ports", NODE_PORT, true, false },
	[SVC_OUTSIDE_PORTS] = { "outside-ports", NODE_PORT, true, false },
	[SVC_NO_ENDPOINT_PORTS] = { "no-endpoint-ports", NODE_PORT, true, false },
	[SVC_STICKY_PORTS] = { "sticky-ports", NODE_PORT, true, false },
	[SVC_REMEMBER_PORTS] = { "remember-ports", NODE_PORT, true, false },
	[SVC_RESTRICTED] = { "restricted", FRONTEND, false, false },
	[SVC_ALLOWED] = { "allowed", { ADDR, ADDR, NFT_F_PROTO, NFT_F_PORT }, false, true },
	[SVC_PUBLISHED] = { "published", FRONTEND, false, false },
	[SVC_PUBLISHED_PORTS] = { "published-ports", NODE_PORT, false, false },
	[SVC_PUBLISHED_RANGES] = { "published-ranges", FRONTEND, false, true },
	[SVC_CLUSTER_IPS] = { "cluster-ips", { ADDR }, false, false },
	[SVC_HAIRPINS] = { "hairpins", { ADDR, ADDR }, false, false },
	[SVC_NODE_IPS] = { "node-ips", { ADDR }, false, false },
	[SVC_PORT_RANGES] = { "port-ranges", FRONTEND, false, true },
};

static int digit(uint8_t family)
{
	return family == SVC_V4 ? 4 : 6;
}

static void set_fields(enum nft_field to[NFT_FIELDS], const enum nft_field from[NFT_FIELDS],
		       uint8_t family)
{
	for (int i = 0; i < NFT_FIELDS; i++)
		to[i] = from[i] == ADDR && family == SVC_V6 ? NFT_F_ADDR6 : from[i];
}

static void backends(uint8_t family, unsigned int which, char name[NFT_NAME_SIZE],
		     struct nft_map *ret)
{
	static const enum nft_field keys[2][NFT_FIELDS] = {
		{ ADDR, NFT_F_PORT, NFT_F_SLOT }, { NFT_F_PORT, NFT_F_SLOT },
	};
	static const enum nft_field data[NFT_FIELDS] = { ADDR, NFT_F_PORT };
	unsigned int scope = which / SVC_PROTOS, proto = which % SVC_PROTOS;

	snprintf(name, NFT_NAME_SIZE, "%s%s-backends%d", scope_names[scope], proto_names[proto],
		 digit(family));
	set_fields(ret->key, keys[scope >= SVC_PORT_ALL], family);
	set_fields(ret->data, data, family);
	ret->protocol = svc_protocols[proto];
}

/* A set of frontends is called as the chain that they go to. */
static void class(uint8_t family, const struct svc_verdict *v, char name[NFT_NAME_SIZE],
		  struct nft_map *ret)
{
	static const enum nft_field frontend[NFT_FIELDS] = FRONTEND;

	svc_chain_name(family, v, NULL, name);
	set_fields(ret->key, frontend, family);
}

void svc_map(const char *table, uint8_t family, uint8_t map, char name[NFT_NAME_SIZE],
	     struct nft_map *ret)
{
	const struct map_row *row = &map_rows[map < SVC_BACKENDS ? map : 0];
	struct svc_verdict v;

	*ret = (struct nft_map){ .table = table, .name = name };
	if (svc_class(map, &v)) {
		class(family, &v, name, ret);
		return;
	}
	if (map >= SVC_BACKENDS) {
		backends(family, map - SVC_BACKENDS, name, ret);
		return;
	}
	snprintf(name, NFT_NAME_SIZE, "%s%d", row->stem, digit(family));
	set_fields(ret->key, row->key, family);
	ret->verdicts = row->verdicts;
	ret->interval = row->interval;
	if (map == SVC_PORT_RANGES)
		set_fields(ret->data, (const enum nft_field[NFT_FIELDS]){ ADDR }, family);
}

void svc_range(const char *table, uint8_t family, uint8_t range, char name[NFT_NAME_SIZE],
	       struct nft_set *ret)
{
	static const char *const stems[SVC_RANGES] = { "pods", "local-pods", "service-nets" };

	snprintf(name, NFT_NAME_SIZE, "%s%d", stems[range], digit(family));
	*ret = (struct nft_set){ table, name, family == SVC_V4 ? 4 : 16 };
}

static void hex(const uint8_t *bytes, size_t n, char *ret)
{
	for (size_t i = 0; i < n; i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

/* "tcp4-0a60000a-0050": names hold no colon, so addresses are hexadecimal */
static void sticky_name(const char *stem, const struct svc_key *key, char ret[NFT_NAME_SIZE])
{
	char addr[33], port[5];

	hex(key->addr, key->family == SVC_V4 ? 4 : 16, addr);
	hex((const uint8_t *)&key->port_be, 2, port);
	snprintf(ret, NFT_NAME_SIZE, "%s-%s%d-%s-%s", stem, proto_names[key->proto],
		 digit(key->family), addr, port);
}

void svc_sticky_maps(const char *table, const struct svc_key *key, char names[2][NFT_NAME_SIZE],
		     struct nft_map ret[2])
{
	static const enum nft_field addr[NFT_FIELDS] = { ADDR };

	for (int i = 0; i < 2; i++) {
		ret[i] = (struct nft_map){ .table = table, .name = names[i], .dynamic = true,
					   .size = 65536 };
		sticky_name(i ? "client-port" : "client", key, names[i]);
		set_fields(ret[i].key, addr, key->family);
		set_fields(ret[i].data, addr, key->family);
	}
	ret[1].data[0] = NFT_F_PORT;
}

/* ---- chains ---- */

void svc_chain_name(uint8_t family, const struct svc_verdict *v, const struct svc_key *key,
		    char ret[NFT_NAME_SIZE])
{
	switch ((enum svc_goto)v->to) {
	case SVC_REFUSE:
		snprintf(ret, NFT_NAME_SIZE, "refuse");
		break;
	case SVC_DROP:
		*ret = '\0';
		break;
	case SVC_DROP_OUTSIDE:
		snprintf(ret, NFT_NAME_SIZE, "drop-outside%d", digit(family));
		break;
	case SVC_BY_SOURCE:
		snprintf(ret, NFT_NAME_SIZE, "by-source%d", digit(family));
		break;
	case SVC_PORT_BY_SOURCE:
		snprintf(ret, NFT_NAME_SIZE, "port-by-source%d", digit(family));
		break;
	case SVC_ASK_STICKY:
		sticky_name("sticky", key, ret);
		break;
	case SVC_SET_STICKY:
		sticky_name("remember", key, ret);
		break;
	case SVC_BALANCE:
		snprintf(ret, NFT_NAME_SIZE, "%s%s%d-%s-%u", scope_names[v->scope],
			 proto_names[v->proto], digit(family), v->maglev ? "maglev" : "random",
			 v->slots);
		break;
	}
}

bool svc_is_sticky(const char *name)
{
	const char *proto = strchr(name, '-');

	for (int i = 0; proto && i < SVC_PROTOS; i++) {
		size_t len = strlen(proto_names[i]);

		if (strncmp(proto + 1, proto_names[i], len) == 0 && proto[1 + len] &&
		    strchr("46", proto[1 + len]) && proto[2 + len] == '-')
			return true;
	}
	return false;
}

bool svc_balance_parse(const char *name, uint8_t *family, struct svc_verdict *ret)
{
	for (unsigned int i = 0; i < SVC_SCOPES * SVC_PROTOS * SVC_FAMILIES * 2; i++) {
		struct svc_verdict v = { .to = SVC_BALANCE, .maglev = i & 1, .scope = i / 4 % SVC_SCOPES,
					 .proto = (uint8_t)(i / 4 / SVC_SCOPES) };
		const char *number = strrchr(name, '-');
		char again[NFT_NAME_SIZE];

		v.slots = number ? (uint32_t)strtoul(number + 1, NULL, 10) : 0;
		if (!v.maglev && v.slots & (v.slots - 1))
			continue;           /* of no class */
		*family = i / 2 % 2;
		svc_chain_name(*family, &v, NULL, again);
		if (v.slots && strcmp(name, again) == 0) {
			*ret = v;
			return true;
		}
	}
	return false;
}
