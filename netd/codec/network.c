/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * network.c - podnet.dev/v1 Network
 *
 * Room (codec).  May include: model, netd/base, include/podnet/ip.h.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/rows.h>
#include <netinet/in.h>
#include <stdio.h>

#define BLOCK_LEN_V4    22
#define BLOCK_LEN_V6    64
#define HOST_BITS_MIN   2       /* a block holds a network's own addresses and one to give */

static const char *const types[] = {
	[NETWORK_ROUTED] = "routed", [NETWORK_BRIDGE] = "bridge", NULL
};

static const char *const backends[] = {
	[BACKEND_AUTO] = "auto", [BACKEND_DIRECT] = "direct", [BACKEND_VXLAN] = "vxlan",
	[BACKEND_UDP] = "udp", NULL
};

static const struct field spec_fields[] = {
	{ .name = "type", .type = FIELD_ENUM, .values = types,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(network, type) },
	{ .name = "cidrs", .type = FIELD_LIST, .elem = FIELD_CIDR, .min = 1, .max = 2,
	  .flags = FIELD_REQUIRED | FIELD_STORED | FIELD_INLINE | FIELD_COUNTED,
	  INLINE_AT(network, cidrs), .count = offsetof(struct network, ncidrs) },
	{ .name = "blockSizes", .type = FIELD_LIST, .elem = FIELD_INT, .min = 0, .max = 128 },
	{ .name = "mtu", .type = FIELD_INT, .min = 576, .max = 65535, .flags = FIELD_STORED,
	  AT(network, mtu) },
	{ .name = "masquerade", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(network, masquerade) },
	{ .name = "isolation", .type = FIELD_BOOL, .flags = FIELD_STORED, AT(network, isolation) },
	{ .name = "backend", .type = FIELD_ENUM, .values = backends,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(network, backend) },
	{ 0 }
};

static const struct field block_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN },
	{ .name = "cidr", .type = FIELD_CIDR },
	{ 0 }
};

static const struct field status_fields[] = {
	{ .name = "observedGeneration", .type = FIELD_INT },
	{ .name = "blocks", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = block_fields },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

const struct field network_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields, .flags = FIELD_REQUIRED },
	STATUS_FIELD(status_fields),
	{ 0 }
};

static const char *list_path(const char *list, size_t i, char buf[40])
{
	snprintf(buf, 40, "spec.%s[%zu]", list, i);
	return buf;
}

static int cidr_at(const struct doc *doc, size_t i, struct podnet_prefix *ret)
{
	char path[40];
	const char *text = doc_str(doc, list_path("cidrs", i, path));

	if (!text || format_cidr(text))
		return -EINVAL;
	return podnet_prefix_parse(text, ret);
}

static int default_block(const struct podnet_prefix *cidr)
{
	int len = cidr->family == AF_INET ? BLOCK_LEN_V4 : BLOCK_LEN_V6;

	return cidr->len > len ? cidr->len : len;
}

static int default_blocks(struct doc *doc)
{
	size_t n = doc_len(doc, "spec.cidrs");
	struct podnet_prefix cidr;
	char path[40];
	int r = 0;

	if (doc_has(doc, "spec.blockSizes") || n == 0 || n > 2)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (cidr_at(doc, i, &cidr) < 0)
			return 0;               /* the check says what is wrong with it */
	for (size_t i = 0; i < n && r == 0; i++) {
		cidr_at(doc, i, &cidr);
		r = doc_set_int(doc, list_path("blockSizes", i, path), default_block(&cidr));
	}
	return r;
}

int network_defaults(struct doc *doc)
{
	int r = default_str(doc, "spec.type", types[NETWORK_ROUTED]);

	if (r == 0)
		r = default_blocks(doc);
	if (r == 0)
		r = default_bool(doc, "spec.masquerade", true);
	if (r == 0)
		r = default_bool(doc, "spec.isolation", true);
	return r < 0 ? r : default_str(doc, "spec.backend", backends[BACKEND_AUTO]);
}

static int width(const struct podnet_prefix *cidr)
{
	return cidr->family == AF_INET ? 32 : 128;
}

static void check_cidr(const struct doc *doc, size_t i, struct causes *causes)
{
	const char *text, *range;
	struct podnet_prefix cidr;
	char path[40];

	if (cidr_at(doc, i, &cidr) < 0)
		return;
	text = doc_str(doc, list_path("cidrs", i, path));
	range = format_reserved(&cidr);
	if (range)
		causes_add(causes, CAUSE_INVALID, path, text,
			   "overlaps with %s, whose addresses pods cannot have", range);
	if (cidr.len > width(&cidr) - HOST_BITS_MIN)
		causes_add(causes, CAUSE_INVALID, path, text,
			   "is too small: at most /%d", width(&cidr) - HOST_BITS_MIN);
}

static void check_block_size(const struct doc *doc, size_t i, struct causes *causes)
{
	struct podnet_prefix cidr;
	char path[40];
	int64_t size = doc_int(doc, list_path("blockSizes", i, path), -1);

	if (size < 0 || cidr_at(doc, i, &cidr) < 0)
		return;
	if (size >= cidr.len && size <= width(&cidr) - HOST_BITS_MIN)
		return;
	doc_cause(causes, CAUSE_INVALID, doc, path,
		  "must be between %d, the length of its CIDR, and %d", cidr.len,
		  width(&cidr) - HOST_BITS_MIN);
}

static void check_pair(const struct doc *doc, struct causes *causes)
{
	size_t n = doc_len(doc, "spec.cidrs"), nblocks = doc_len(doc, "spec.blockSizes");
	struct podnet_prefix a, b;

	if (n == 2 && cidr_at(doc, 0, &a) == 0 && cidr_at(doc, 1, &b) == 0 && a.family == b.family)
		causes_add(causes, CAUSE_INVALID, "spec.cidrs[1]", doc_str(doc, "spec.cidrs[1]"),
			   "must be of the other family: at most one CIDR a family");
	if (doc_has(doc, "spec.blockSizes") && n <= 2 && nblocks != n)
		doc_cause(causes, CAUSE_INVALID, doc, "spec.blockSizes",
			  "must have one entry for each of spec.cidrs");
}

static void check_mtu(const struct doc *doc, struct causes *causes)
{
	int64_t mtu = doc_int(doc, "spec.mtu", 0);
	struct podnet_prefix cidr;
	bool v6 = false;

	for (size_t i = 0; i < 2; i++)
		v6 |= cidr_at(doc, i, &cidr) == 0 && cidr.family == AF_INET6;
	if (!v6 || mtu < 576 || mtu >= 1280)
		return;
	doc_cause(causes, CAUSE_INVALID, doc, "spec.mtu", "must be at least 1280 with IPv6");
}

void network_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	for (size_t i = 0; i < 2; i++) {
		check_cidr(doc, i, causes);
		check_block_size(doc, i, causes);
	}
	check_pair(doc, causes);
	check_mtu(doc, causes);
	check_immutable(doc, old, "spec.type", causes);
	check_immutable(doc, old, "spec.cidrs", causes);
	check_immutable(doc, old, "spec.blockSizes", causes);
}

void *network_decode(const struct value *doc, struct arena *arena)
{
	struct network *net = arena_alloc(arena, sizeof(*net));
	const struct value *sizes = value_at(doc, "spec.blockSizes");

	if (!net)
		return NULL;
	net->masquerade = true;
	net->isolation = true;
	if (kind_fill(doc, network_fields, arena, net) < 0)
		return NULL;
	for (size_t i = 0; i < net->ncidrs; i++) {
		const struct value *v = value_elem(sizes, i);

		net->block_len[i] = (uint8_t)(value_is(v, VALUE_INTEGER) ? v->integer :
					      default_block(&net->cidrs[i]));
	}
	return net;
}
