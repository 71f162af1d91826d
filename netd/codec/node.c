/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * node.c - v1 Node
 *
 * Room (codec): API-CONTRACT 15.3.  May include: model, netd/base, include/podnet/ip.h.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/rows.h>
#include <netinet/in.h>

#define ADDRESS_FIELD "metadata.annotations[" NODE_ADDRESS "]"
#define ADDRESS_PATH  "metadata.annotations[\"" NODE_ADDRESS "\"]"
#define FASTPATH_PATH "metadata.annotations[\"" NODE_FASTPATH "\"]"
#define LOCAL_PATH    "metadata.annotations[\"" NODE_LINK_LOCAL "\"]"

static const char *const address_types[] = {
	"Hostname", "InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", NULL
};

static const struct field taint_fields[] = {
	{ .name = "key", .type = FIELD_QUALIFIED, .flags = FIELD_REQUIRED },
	{ .name = "value", .type = FIELD_STRING },
	{ .name = "effect", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ 0 }
};

static const struct field spec_fields[] = {
	{ .name = "podCIDR", .type = FIELD_CIDR },
	{ .name = "podCIDRs", .type = FIELD_LIST, .elem = FIELD_CIDR, .max = 2,
	  .flags = FIELD_STORED | FIELD_INLINE | FIELD_COUNTED, INLINE_AT(node, pod_cidrs),
	  .count = offsetof(struct node, npod_cidrs) },
	{ .name = "unschedulable", .type = FIELD_BOOL },
	{ .name = "providerID", .type = FIELD_STRING },
	{ .name = "taints", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = taint_fields },
	{ 0 }
};

static const struct field address_fields[] = {
	{ .name = "type", .type = FIELD_ENUM, .values = address_types, .flags = FIELD_REQUIRED },
	{ .name = "address", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ 0 }
};

static const struct field status_fields[] = {
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = address_fields },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ .name = "nodeInfo", .type = FIELD_STRING_MAP },
	{ .name = "capacity", .type = FIELD_OBJECT },
	{ .name = "allocatable", .type = FIELD_OBJECT },
	{ 0 }
};

const struct field node_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields },
	STATUS_FIELD(status_fields),
	{ 0 }
};

int node_defaults(struct doc *doc)
{
	const char *one = doc_str(doc, "spec.podCIDR");
	int r = 0;

	if (one && one[0] && !doc_has(doc, "spec.podCIDRs"))
		r = doc_set_str(doc, "spec.podCIDRs[0]", one);
	else if (doc_str(doc, "spec.podCIDRs[0]"))
		r = default_str(doc, "spec.podCIDR", doc_str(doc, "spec.podCIDRs[0]"));
	return r == -EINVAL ? 0 : r;
}

static void check_address(const struct doc *doc, struct causes *causes)
{
	const char *text = doc_str(doc, ADDRESS_PATH);
	struct podnet_prefix ips[2];
	const char *why = text ? format_hosts(text, ips) : NULL;

	if (why)
		causes_add(causes, CAUSE_INVALID, ADDRESS_FIELD, text, "%s", why);
}

void node_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *one = doc_str(doc, "spec.podCIDR");
	const char *first = doc_str(doc, "spec.podCIDRs[0]");
	const char *second = doc_str(doc, "spec.podCIDRs[1]");

	if (one && first && strcmp(one, first) != 0)
		causes_add(causes, CAUSE_INVALID, "spec.podCIDRs[0]", first,
			   "must be equal to spec.podCIDR");
	if (first && second && !strchr(first, ':') == !strchr(second, ':'))
		causes_add(causes, CAUSE_INVALID, "spec.podCIDRs", second,
			   "must have at most one CIDR of each family");
	if (old && doc_len(old, "spec.podCIDRs") && !doc_equal_at(doc, old, "spec.podCIDRs"))
		causes_add(causes, CAUSE_FORBIDDEN, "spec.podCIDRs", NULL,
			   "may be set once and not changed");
	check_address(doc, causes);
}

/* The first of each family that the Node shows as its own. */
static void decode_addresses(const struct value *list, struct podnet_prefix ret[2])
{
	const struct value *v;

	value_each(list, v) {
		const char *type = value_text(value_member(v, "type"));
		const char *text = value_text(value_member(v, "address"));
		struct podnet_prefix ip;

		if (!type || !text || strcmp(type, "InternalIP") != 0 || strchr(text, '/') ||
		    podnet_prefix_parse(text, &ip) < 0 || format_special(&ip))
			continue;
		if (!ret[ip.family == AF_INET6].family)
			ret[ip.family == AF_INET6] = ip;
	}
}

/* Only such an address is one of a link (RFC 4291, 2.4). */
static void decode_link_local(const char *text, struct podnet_prefix *ret)
{
	struct podnet_prefix ip;

	if (text && !strchr(text, '/') && podnet_prefix_parse(text, &ip) == 0 &&
	    ip.family == AF_INET6 && ip.addr[0] == 0xfe && (ip.addr[1] & 0xc0) == 0x80)
		*ret = ip;
}

static bool is_lost(const struct value *conditions, int64_t *since)
{
	const struct value *v;

	value_each(conditions, v) {
		const char *type = value_text(value_member(v, "type"));
		const char *status = value_text(value_member(v, "status"));

		if (!type || !status || strcmp(type, "Ready") != 0)
			continue;
		type = value_text(value_member(v, "lastTransitionTime"));
		if (!type || time_parse(type, since) < 0)
			*since = 0;
		return strcmp(status, "Unknown") == 0;
	}
	return false;
}

static void decode_fastpath(const char *text, bool ret[2])
{
	ret[0] = text && strstr(text, "IPv4");
	ret[1] = text && strstr(text, "IPv6");
}

void *node_decode(const struct value *doc, struct arena *arena)
{
	struct node *node = kind_new(doc, node_fields, sizeof(*node), arena);
	const char *said = value_text(value_at(doc, ADDRESS_PATH));

	if (!node)
		return NULL;
	decode_link_local(value_text(value_at(doc, LOCAL_PATH)), &node->link_local);
	decode_fastpath(value_text(value_at(doc, FASTPATH_PATH)), node->fastpath);
	if (!said || format_hosts(said, node->underlay)) {
		memset(node->underlay, 0, sizeof(node->underlay));
		decode_addresses(value_at(doc, "status.addresses"), node->underlay);
	}
	node->lost = is_lost(value_at(doc, "status.conditions"), &node->lost_since);
	return node;
}
