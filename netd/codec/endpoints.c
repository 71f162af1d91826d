/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * endpoints.c - discovery.k8s.io/v1 EndpointSlice, and v1 Endpoints
 *
 * Room (codec): API-CONTRACT 15.6.  Lists are always there, for some clients take no null.
 * May include: model, netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/ports.h>
#include <netd/codec/rows.h>
#include <stdio.h>

#define ENDPOINTS_MAX   1000    /* of one slice */
#define ADDRESSES_MAX   100     /* of one endpoint */
#define PORTS_MAX       20000

static const struct field condition_bools[] = {
	{ .name = "ready", .type = FIELD_BOOL, .flags = FIELD_STORED, AT(endpoint, ready) },
	{ .name = "serving", .type = FIELD_BOOL, .flags = FIELD_STORED, AT(endpoint, serving) },
	{ .name = "terminating", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(endpoint, terminating) },
	{ 0 }
};

static const struct field target_fields[] = {
	{ .name = "kind", .type = FIELD_STRING, .flags = FIELD_STORED, AT(endpoint, target_kind) },
	{ .name = "namespace", .type = FIELD_STRING, .flags = FIELD_STORED,
	  AT(endpoint, target_ns) },
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_STORED, AT(endpoint, target_name) },
	{ .name = "uid", .type = FIELD_STRING, .flags = FIELD_STORED, AT(endpoint, target_uid) },
	{ .name = "apiVersion", .type = FIELD_STRING },
	{ .name = "resourceVersion", .type = FIELD_STRING },
	{ .name = "fieldPath", .type = FIELD_STRING },
	{ 0 }
};

static const struct field endpoint_fields[] = {
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_ADDRESS, .min = 1,
	  .max = ADDRESSES_MAX,
	  .flags = FIELD_REQUIRED | FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(endpoint, addresses, naddresses) },
	{ .name = "conditions", .type = FIELD_OBJECT, .sub = condition_bools },
	{ .name = "hostname", .type = FIELD_LABEL, .flags = FIELD_STORED, AT(endpoint, hostname) },
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(endpoint, node_name) },
	{ .name = "zone", .type = FIELD_STRING, .flags = FIELD_STORED, AT(endpoint, zone) },
	{ .name = "targetRef", .type = FIELD_OBJECT, .sub = target_fields },
	{ .name = "hints", .type = FIELD_OBJECT },
	{ .name = "deprecatedTopology", .type = FIELD_STRING_MAP },
	{ 0 }
};

static const struct field slice_port_fields[] = {
	{ .name = "name", .type = FIELD_LABEL, .flags = FIELD_STORED, AT(endpoint_port, name) },
	{ .name = "protocol", .type = FIELD_ENUM, .values = port_protocols,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(endpoint_port, protocol) },
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_STORED,
	  AT(endpoint_port, port) },
	{ .name = "appProtocol", .type = FIELD_QUALIFIED, .flags = FIELD_STORED,
	  AT(endpoint_port, app_protocol) },
	{ 0 }
};

const struct field slice_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "addressType", .type = FIELD_ENUM, .values = ip_families,
	  .flags = FIELD_REQUIRED | FIELD_STORED | FIELD_INDEX, AT(endpoint_slice, family) },
	{ .name = "endpoints", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = endpoint_fields,
	  .max = ENDPOINTS_MAX, .flags = FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(endpoint_slice, endpoints, nendpoints) },
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = slice_port_fields,
	  .max = PORTS_MAX, .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(endpoint_slice, ports, nports) },
	{ 0 }
};

int slice_defaults(struct doc *doc)
{
	json_t *port;
	size_t i;
	int r = default_list(doc, "endpoints");

	if (r == 0)
		r = default_list(doc, "ports");
	json_array_foreach(doc_at(doc, "ports"), i, port)
		r = r < 0 ? r : fill_member(port, "name", json_string(""));
	return r < 0 ? r : fill_protocols(doc_at(doc, "ports"));
}

static void check_addresses(const json_t *endpoint, size_t i, bool v6, struct causes *causes)
{
	json_t *v;
	size_t k;

	json_array_foreach(json_object_get(endpoint, "addresses"), k, v) {
		const char *address = json_string_value(v);
		char field[64];

		snprintf(field, sizeof(field), "endpoints[%zu].addresses[%zu]", i, k);
		if (address && address[0] && (strchr(address, ':') != NULL) != v6)
			causes_add(causes, CAUSE_INVALID, field, address,
				   "must be an %s address", v6 ? "IPv6" : "IPv4");
		check_host(address, field, causes);
	}
}

void slice_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *type = doc_str(doc, "addressType");
	bool v6 = type && strcmp(type, ip_families[FAMILY_IPV6]) == 0;
	json_t *endpoint;
	size_t i;

	check_immutable(doc, old, "addressType", causes);
	json_array_foreach(doc_at(doc, "endpoints"), i, endpoint)
		check_addresses(endpoint, i, v6, causes);
}

/* What says nothing of its conditions is ready and serving. */
static void decode_conditions(const struct value *list, struct endpoint_slice *slice)
{
	struct endpoint *endpoint = slice->endpoints;
	const struct value *v;

	value_each(list, v) {
		const struct value *c = value_member(v, "conditions");

		if (!value_member(c, "ready"))
			endpoint->ready = true;
		if (!value_member(c, "serving"))
			endpoint->serving = true;
		endpoint++;
	}
}

void *slice_decode(const struct value *doc, struct arena *arena)
{
	struct endpoint_slice *slice = kind_new(doc, slice_fields, sizeof(*slice), arena);
	const char *manager;

	if (!slice)
		return NULL;
	slice->service = meta_label(&slice->meta, "kubernetes.io/service-name");
	manager = meta_label(&slice->meta, LABEL_MANAGED_BY);
	if (manager && strcmp(manager, SLICE_MANAGER) == 0)
		slice->keeper = meta_label(&slice->meta, LABEL_NODE);
	decode_conditions(value_member(doc, "endpoints"), slice);
	return slice;
}

static const struct field subset_address_fields[] = {
	{ .name = "ip", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED },
	{ .name = "hostname", .type = FIELD_LABEL },
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN },
	{ .name = "targetRef", .type = FIELD_OBJECT },
	{ 0 }
};

static const struct field subset_port_fields[] = {
	{ .name = "name", .type = FIELD_LABEL },
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_REQUIRED },
	{ .name = "protocol", .type = FIELD_ENUM, .values = port_protocols },
	{ .name = "appProtocol", .type = FIELD_QUALIFIED },
	{ 0 }
};

static const struct field subset_fields[] = {
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = subset_address_fields },
	{ .name = "notReadyAddresses", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = subset_address_fields },
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = subset_port_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

const struct field endpoints_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "subsets", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = subset_fields },
	{ 0 }
};

int endpoints_defaults(struct doc *doc)
{
	json_t *subset;
	size_t i;
	int r = 0;

	json_array_foreach(doc_at(doc, "subsets"), i, subset)
		r = r < 0 ? r : fill_protocols(json_object_get(subset, "ports"));
	return r;
}

static void check_subset(const json_t *subset, size_t i, struct causes *causes)
{
	static const char *const lists[] = { "addresses", "notReadyAddresses" };
	size_t n = 0;
	char field[64];

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		json_t *v;
		size_t at;

		json_array_foreach(json_object_get(subset, lists[k]), at, v) {
			snprintf(field, sizeof(field), "subsets[%zu].%s[%zu].ip", i, lists[k], at);
			check_host(json_string_value(json_object_get(v, "ip")), field, causes);
			n++;
		}
	}
	snprintf(field, sizeof(field), "subsets[%zu]", i);
	if (!n && json_is_object(subset))
		causes_add(causes, CAUSE_REQUIRED, field, NULL,
			   "must specify `addresses` or `notReadyAddresses`");
}

void endpoints_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	json_t *subset;
	size_t i;

	(void)old;
	json_array_foreach(doc_at(doc, "subsets"), i, subset)
		check_subset(subset, i, causes);
}

void *endpoints_decode(const struct value *doc, struct arena *arena)
{
	return kind_new(doc, endpoints_fields, sizeof(struct endpoints), arena);
}
