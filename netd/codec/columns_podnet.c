/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns_podnet.c - the columns of the kinds that are our own
 *
 * Room (codec): cells by path.  May include: netd/base, jansson.
 */
#include <netd/codec/columns.h>

static void cell_ready(const struct doc *doc, struct buf *out)
{
	const char *ready = find_condition(doc, "Ready");

	buf_str(out, ready ? ready : "Unknown");
}

static void strings_at(const struct doc *doc, const char *path, struct buf *out)
{
	const json_t *strings = doc_at(doc, path), *v;
	struct cut_list list = { .out = out };
	size_t i;

	json_array_foreach(strings, i, v)
		if (json_is_string(v))
			cut_list_add(&list, "%s", json_string_value(v));
	cut_list_end(&list, "<none>");
}

#define COLUMN_READY \
	{ .name = "Ready", .cell = cell_ready, .description = "Whether the kernel has it so" }
#define COLUMN_NODE \
	{ .name = "Node", .priority = 1, .path = "spec.nodeName", .description = "Where it is" }
#define COLUMN_NETNS \
	{ .name = "NetNS", .path = "spec.networkNamespace", .absent = "<node>", \
	  .description = "Network namespace it is in" }

static void network_cidrs(const struct doc *doc, struct buf *out)
{
	strings_at(doc, "spec.cidrs", out);
}

static void network_blocks(const struct doc *doc, struct buf *out)
{
	const json_t *blocks = doc_at(doc, "status.blocks"), *v;
	struct cut_list list = { .out = out };
	size_t i;

	json_array_foreach(blocks, i, v) {
		const char *cidr = json_string_value(json_object_get(v, "cidr"));
		const char *node = json_string_value(json_object_get(v, "nodeName"));

		if (cidr && node)
			cut_list_add(&list, "%s: %s", node, cidr);
	}
	cut_list_end(&list, "<none>");
}

const struct column network_columns[] = {
	COLUMN_NAME,
	{ .name = "Type", .path = "spec.type", .absent = "routed",
	  .description = "routed or bridge" },
	{ .name = "CIDRs", .cell = network_cidrs, .description = "Where its addresses come from" },
	{ .name = "Masquerade", .path = "spec.masquerade", .absent = "true",
	  .description = "Whether what leaves gets the node's address" },
	COLUMN_READY,
	COLUMN_AGE,
	{ .name = "Blocks", .priority = 1, .cell = network_blocks,
	  .description = "What the nodes have of its CIDRs" },
	{ .name = "MTU", .priority = 1, .path = "spec.mtu", .absent = "<auto>",
	  .description = "Of its interfaces" },
	{ 0 }
};

const struct column netns_columns[] = {
	COLUMN_NAME,
	{ .name = "Path", .path = "spec.path", .absent = "<own>",
	  .description = "The namespace it was made around" },
	COLUMN_READY,
	COLUMN_AGE,
	COLUMN_NODE,
	{ 0 }
};

/* con/veth2: the namespace, where it is not the node's, and the interface */
static void veth_ends(const struct doc *doc, struct buf *out)
{
	const json_t *ends = doc_at(doc, "spec.ends"), *v;
	struct cut_list list = { .out = out };
	size_t i;

	json_array_foreach(ends, i, v) {
		const char *netns = find_text(v, "networkNamespace"), *name = find_text(v, "name");

		cut_list_add(&list, "%s%s%s", netns ? netns : "", netns ? "/" : "",
			     name ? name : "?");
	}
	cut_list_end(&list, "<none>");
}

const struct column veth_columns[] = {
	COLUMN_NAME,
	{ .name = "Ends", .cell = veth_ends, .description = "Namespace and interface of both" },
	COLUMN_READY,
	COLUMN_AGE,
	{ .name = "MTU", .priority = 1, .path = "spec.mtu", .absent = "<auto>",
	  .description = "Of both ends" },
	COLUMN_NODE,
	{ 0 }
};

static void own_interface(const struct doc *doc, struct buf *out)
{
	const char *name = doc_str(doc, "spec.interface");

	name = name ? name : doc_str(doc, "metadata.name");
	buf_str(out, name ? name : "");
}

static void own_addresses(const struct doc *doc, struct buf *out)
{
	strings_at(doc, "spec.addresses", out);
}

const struct column bridge_columns[] = {
	COLUMN_NAME,
	{ .name = "Interface", .cell = own_interface, .description = "Its name in the kernel" },
	COLUMN_NETNS,
	{ .name = "Addresses", .cell = own_addresses, .description = "The bridge's own" },
	COLUMN_READY,
	COLUMN_AGE,
	{ .name = "MTU", .priority = 1, .path = "spec.mtu", .absent = "<auto>",
	  .description = "Of the bridge" },
	COLUMN_NODE,
	{ 0 }
};

/* its gateway and its interface, or what it is when it leads nowhere */
static void route_via(const struct doc *doc, struct buf *out)
{
	const char *gateway = doc_str(doc, "spec.gateway"), *type = doc_str(doc, "spec.type");
	const char *interface = doc_str(doc, "spec.interface");

	if (!gateway && !interface)
		buf_str(out, type ? type : "<none>");
	else
		buf_printf(out, "%s%s%s", gateway ? gateway : "", gateway && interface ? "," : "",
			   interface ? interface : "");
}

const struct column route_columns[] = {
	COLUMN_NAME,
	{ .name = "Destination", .path = "spec.destination", .description = "Where to" },
	{ .name = "Via", .cell = route_via, .description = "Gateway and interface" },
	COLUMN_NETNS,
	COLUMN_READY,
	COLUMN_AGE,
	{ .name = "Table", .priority = 1, .path = "spec.table", .absent = "254",
	  .description = "Routing table" },
	{ .name = "Metric", .priority = 1, .path = "spec.metric", .absent = "0",
	  .description = "Less is preferred" },
	COLUMN_NODE,
	{ 0 }
};

/* where it leads: the peers' addresses */
static void tunnel_peers(const struct doc *doc, struct buf *out)
{
	const json_t *peers = doc_at(doc, "spec.peers"), *peer;
	struct cut_list list = { .out = out };
	size_t i;

	json_array_foreach(peers, i, peer) {
		const char *address = find_text(peer, "address");

		if (address)
			cut_list_add(&list, "%s", address);
	}
	cut_list_end(&list, "<none>");
}

const struct column tunnel_columns[] = {
	COLUMN_NAME,
	{ .name = "Type", .path = "spec.type", .description = "udp or vxlan" },
	{ .name = "Interface", .cell = own_interface, .description = "Its name in the kernel" },
	{ .name = "Addresses", .cell = own_addresses, .description = "The interface's own" },
	{ .name = "Peers", .cell = tunnel_peers, .description = "Where it leads" },
	COLUMN_READY,
	COLUMN_AGE,
	{ .name = "Local", .priority = 1, .path = "spec.local",
	  .description = "This end, on the underlay" },
	{ .name = "Port", .priority = 1, .path = "spec.port", .description = "UDP" },
	{ .name = "MTU", .priority = 1, .path = "spec.mtu", .absent = "<auto>",
	  .description = "Of the interface" },
	COLUMN_NODE,
	{ 0 }
};
