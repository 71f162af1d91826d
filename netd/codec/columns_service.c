/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns_service.c - the columns of Service, EndpointSlice, Endpoints and NetworkPolicy
 *
 * Room (codec): cells by path.  May include: netd/base, jansson.
 */
#include <inttypes.h>
#include <netd/codec/columns.h>

#define SHOWN 3                     /* of ports and addresses, before "+ N more..." */

static bool service_is(const struct doc *doc, const char *type)
{
	const char *is = doc_str(doc, "spec.type");

	return is && strcmp(is, type) == 0;
}

static void add_strings(struct cut_list *list, const json_t *strings)
{
	json_t *v;
	size_t i;

	json_array_foreach(strings, i, v)
		if (json_string_length(v))
			cut_list_add(list, "%s", json_string_value(v));
}

static void service_external(const struct doc *doc, struct buf *out)
{
	const char *name = doc_str(doc, "spec.externalName");
	const json_t *ingress = doc_at(doc, "status.loadBalancer.ingress"), *v;
	bool balanced = service_is(doc, "LoadBalancer");
	struct cut_list list = { .out = out };
	size_t i;

	if (service_is(doc, "ExternalName")) {
		buf_str(out, name ? name : "<none>");
		return;
	}
	json_array_foreach(ingress, i, v) {
		const char *at = find_text(v, "ip");

		at = at ? at : find_text(v, "hostname");
		if (balanced && at)
			cut_list_add(&list, "%s", at);
	}
	add_strings(&list, doc_at(doc, "spec.externalIPs"));
	cut_list_end(&list, balanced ? "<pending>" : "<none>");
}

static void service_ports(const struct doc *doc, struct buf *out)
{
	const json_t *ports = doc_at(doc, "spec.ports"), *v;
	struct cut_list list = { .out = out };
	size_t i;

	json_array_foreach(ports, i, v) {
		int64_t port = json_integer_value(json_object_get(v, "port"));
		int64_t on_node = json_integer_value(json_object_get(v, "nodePort"));
		const char *protocol = find_text(v, "protocol");

		if (on_node)
			cut_list_add(&list, "%" PRId64 ":%" PRId64 "/%s", port, on_node,
				     protocol ? protocol : "TCP");
		else
			cut_list_add(&list, "%" PRId64 "/%s", port, protocol ? protocol : "TCP");
	}
	cut_list_end(&list, "<none>");
}

static void service_selector(const struct doc *doc, struct buf *out)
{
	add_labels(doc_at(doc, "spec.selector"), out);
}

const struct column service_columns[] = {
	COLUMN_NAME,
	{ .name = "Type", .path = "spec.type", .absent = "ClusterIP",
	  .description = "ClusterIP, NodePort, LoadBalancer or ExternalName" },
	{ .name = "Cluster-IP", .path = "spec.clusterIP", .description = "Its first address" },
	{ .name = "External-IP", .cell = service_external, .description = "Addresses outside" },
	{ .name = "Port(s)", .cell = service_ports,
	  .description = "Ports, with the nodes' port behind a colon" },
	COLUMN_AGE,
	{ .name = "Selector", .priority = 1, .cell = service_selector,
	  .description = "Labels of the pods it leads to" },
	{ 0 }
};

static void slice_ports(const struct doc *doc, struct buf *out)
{
	const json_t *ports = doc_at(doc, "ports"), *v;
	struct cut_list list = { .out = out, .max = SHOWN };
	size_t i;

	json_array_foreach(ports, i, v) {
		const json_t *port = json_object_get(v, "port");
		const char *name = find_text(v, "name");

		if (json_is_integer(port))
			cut_list_add(&list, "%" PRId64, (int64_t)json_integer_value(port));
		else
			cut_list_add(&list, "%s", name ? name : "*");
	}
	cut_list_end(&list, "<unset>");
}

static void slice_endpoints(const struct doc *doc, struct buf *out)
{
	const json_t *endpoints = doc_at(doc, "endpoints"), *v;
	struct cut_list list = { .out = out, .max = SHOWN };
	size_t i;

	json_array_foreach(endpoints, i, v)
		add_strings(&list, json_object_get(v, "addresses"));
	cut_list_end(&list, "<unset>");
}

const struct column slice_columns[] = {
	COLUMN_NAME,
	{ .name = "AddressType", .path = "addressType", .absent = "",
	  .description = "IPv4, IPv6 or FQDN" },
	{ .name = "Ports", .cell = slice_ports, .description = "Ports of each endpoint" },
	{ .name = "Endpoints", .cell = slice_endpoints, .description = "Addresses" },
	COLUMN_AGE,
	{ 0 }
};

static void add_endpoint(struct cut_list *list, const json_t *address, const json_t *port)
{
	const char *ip = find_text(address, "ip");
	bool v6 = ip && strchr(ip, ':');

	if (ip && port)
		cut_list_add(list, "%s%s%s:%" PRId64, v6 ? "[" : "", ip, v6 ? "]" : "",
			     (int64_t)json_integer_value(json_object_get(port, "port")));
	else if (ip)
		cut_list_add(list, "%s", ip);
}

static void add_subset(struct cut_list *list, const json_t *subset)
{
	const json_t *addresses = json_object_get(subset, "addresses"), *address;
	const json_t *ports = json_object_get(subset, "ports");
	size_t n = json_array_size(ports), i;

	for (size_t p = 0; p < (n ? n : 1); p++)
		json_array_foreach(addresses, i, address)
			add_endpoint(list, address, json_array_get(ports, p));
}

static void endpoints_addresses(const struct doc *doc, struct buf *out)
{
	const json_t *subsets = doc_at(doc, "subsets"), *v;
	struct cut_list list = { .out = out, .max = SHOWN };
	size_t i;

	json_array_foreach(subsets, i, v)
		add_subset(&list, v);
	cut_list_end(&list, "<none>");
}

const struct column endpoints_columns[] = {
	COLUMN_NAME,
	{ .name = "Endpoints", .cell = endpoints_addresses,
	  .description = "Addresses and ports that are ready" },
	COLUMN_AGE,
	{ 0 }
};

static void policy_selector(const struct doc *doc, struct buf *out)
{
	add_selector(doc_at(doc, "spec.podSelector"), out);
}

const struct column policy_columns[] = {
	COLUMN_NAME,
	{ .name = "Pod-Selector", .cell = policy_selector,
	  .description = "Which pods it is about; <none>: all of the namespace" },
	COLUMN_AGE,
	{ 0 }
};
