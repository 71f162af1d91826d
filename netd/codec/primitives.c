/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * primitives.c - podnet.dev/v1 NetworkNamespace, Veth and Bridge
 *
 * Room (codec).  May include: model, netd/base, include/podnet/ip.h.
 */
#include <netd/codec/format.h>
#include <netd/codec/rows.h>
#include <stdio.h>

#define ADDRESSES_MAX 256       /* of one interface */

static const struct field netns_spec_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(netns, node_name) },
	{ .name = "path", .type = FIELD_NETNS_PATH, .flags = FIELD_STORED, AT(netns, path) },
	{ 0 }
};

static const struct field netns_status_fields[] = {
	{ .name = "observedGeneration", .type = FIELD_INT },
	{ .name = "inode", .type = FIELD_INT },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

const struct field netns_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = netns_spec_fields },
	STATUS_FIELD(netns_status_fields),
	{ 0 }
};

static const struct field end_fields[] = {
	{ .name = "name", .type = FIELD_OWN_IFNAME, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(veth_end, name) },
	{ .name = "networkNamespace", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(veth_end, netns) },
	{ .name = "macAddress", .type = FIELD_MAC, .flags = FIELD_STORED, AT(veth_end, mac) },
	{ .name = "bridge", .type = FIELD_IFNAME, .flags = FIELD_STORED, AT(veth_end, bridge) },
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_PREFIX, .max = ADDRESSES_MAX,
	  .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(veth_end, addresses, naddresses) },
	{ 0 }
};

static const struct field veth_spec_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED, AT(veth, node_name) },
	{ .name = "mtu", .type = FIELD_INT, .min = 68, .max = 65535, .flags = FIELD_STORED,
	  AT(veth, mtu) },
	{ .name = "ends", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = end_fields, .min = 2,
	  .max = 2, .flags = FIELD_REQUIRED | FIELD_STORED | FIELD_INLINE, INLINE_AT(veth, ends) },
	{ 0 }
};

const struct field veth_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = veth_spec_fields, .flags = FIELD_REQUIRED },
	STATUS_FIELD(plain_status_fields),
	{ 0 }
};

static const struct field bridge_spec_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(bridge, node_name) },
	{ .name = "interface", .type = FIELD_OWN_IFNAME, .flags = FIELD_STORED,
	  AT(bridge, interface) },
	{ .name = "networkNamespace", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(bridge, netns) },
	{ .name = "mtu", .type = FIELD_INT, .min = 68, .max = 65535, .flags = FIELD_STORED,
	  AT(bridge, mtu) },
	{ .name = "macAddress", .type = FIELD_MAC, .flags = FIELD_STORED, AT(bridge, mac) },
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_PREFIX, .max = ADDRESSES_MAX,
	  .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(bridge, addresses, naddresses) },
	{ 0 }
};

const struct field bridge_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = bridge_spec_fields },
	STATUS_FIELD(plain_status_fields),
	{ 0 }
};

int primitive_defaults(struct doc *doc)
{
	return default_object(doc, "spec");
}

/* The kernel takes IPv6 off a link whose MTU is under the protocol's least, RFC 8200 section 5. */
void check_link_mtu(const struct doc *doc, const char *list, struct causes *causes)
{
	int64_t mtu = doc_int(doc, "spec.mtu", 0);
	size_t n = doc_len(doc, list);
	char path[64];
	bool v6 = false;

	for (size_t i = 0; i < n && i < ADDRESSES_MAX; i++) {
		const char *address;

		snprintf(path, sizeof(path), "%s[%zu]", list, i);
		address = doc_str(doc, path);
		v6 |= address && strchr(address, ':');
	}
	if (!v6 || mtu < 68 || mtu >= 1280)
		return;
	doc_cause(causes, CAUSE_INVALID, doc, "spec.mtu", "must be at least 1280 with IPv6");
}

/*
 * As of a Pod: what is of one node does not move to another, which would have to be told to take it
 * out of its kernel.
 */
void check_node_name(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	if (old && doc_has(old, "spec.nodeName"))
		check_immutable(doc, old, "spec.nodeName", causes);
}

void netns_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_node_name(doc, old, causes);
	check_immutable(doc, old, "spec.path", causes);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

void veth_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *name = doc_str(doc, "spec.ends[1].name");

	check_node_name(doc, old, causes);
	if (name && name[0] && same_text(name, doc_str(doc, "spec.ends[0].name")) &&
	    same_text(doc_str(doc, "spec.ends[0].networkNamespace"),
		      doc_str(doc, "spec.ends[1].networkNamespace")))
		causes_add(causes, CAUSE_DUPLICATE, "spec.ends[1].name", name,
			   "both ends are in the same network namespace");
	check_link_mtu(doc, "spec.ends[0].addresses", causes);
	check_link_mtu(doc, "spec.ends[1].addresses", causes);
}

/* Without spec.interface the object's name is the interface's, and must be able to be. */
void check_interface(const struct doc *doc, struct causes *causes)
{
	const char *interface = doc_str(doc, "spec.interface");
	const char *name = doc_str(doc, "metadata.name"), *why;

	if ((interface && interface[0]) || !name || !name[0])
		return;
	why = format_own_ifname(name);
	if (why)
		causes_add(causes, CAUSE_REQUIRED, "spec.interface", NULL,
			   "metadata.name cannot name the interface: %s", why);
}

void bridge_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_node_name(doc, old, causes);
	check_link_mtu(doc, "spec.addresses", causes);
	check_interface(doc, causes);
}

void *netns_decode(const struct value *doc, struct arena *arena)
{
	return kind_new(doc, netns_fields, sizeof(struct netns), arena);
}

void *veth_decode(const struct value *doc, struct arena *arena)
{
	return kind_new(doc, veth_fields, sizeof(struct veth), arena);
}

void *bridge_decode(const struct value *doc, struct arena *arena)
{
	struct bridge *br = kind_new(doc, bridge_fields, sizeof(*br), arena);

	if (br && !br->interface)
		br->interface = br->meta.name;
	return br;
}
