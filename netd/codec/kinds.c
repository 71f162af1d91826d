/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kinds.c - the rows of all kinds, finding one, and what is the same for each
 *
 * Room (codec).  May include: model, netd/base.
 */
#include <errno.h>
#include <inttypes.h>
#include <netd/codec/meta.h>
#include <netd/codec/rows.h>
#include <stdio.h>

const struct kind kinds[KIND_SERVED] = {
	[KIND_NAMESPACE] = {
		.id = KIND_NAMESPACE, .group = "", .version = "v1", .plural = "namespaces",
		.singular = "namespace", .name = "Namespace", .short_names = "ns",
		.categories = "", .store_name = "namespaces", .has_status = true,
		.delete_returns_object = true, .name_is_label = true, .fields = namespace_fields,
		.defaults = namespace_defaults, .decode = namespace_decode,
		.selectable = namespace_selectable,
	},
	[KIND_NODE] = {
		.id = KIND_NODE, .group = "", .version = "v1", .plural = "nodes",
		.singular = "node", .name = "Node", .short_names = "no", .categories = "",
		.store_name = "nodes", .has_status = true, .in_kernel = true, .fields = node_fields,
		.defaults = node_defaults, .check = node_check, .decode = node_decode,
		.selectable = node_selectable,
	},
	[KIND_POD] = {
		.id = KIND_POD, .group = "", .version = "v1", .plural = "pods",
		.singular = "pod", .name = "Pod", .short_names = "po", .categories = "all",
		.store_name = "pods", .namespaced = true, .has_status = true, .in_kernel = true,
		.delete_returns_object = true, .fields = pod_fields, .defaults = pod_defaults,
		.check = pod_check, .decode = pod_decode,
		.selectable = pod_selectable,
	},
	[KIND_EVENT] = {
		.id = KIND_EVENT, .group = "", .version = "v1", .plural = "events",
		.singular = "event", .name = "Event", .short_names = "ev", .categories = "",
		.store_name = "events", .namespaced = true, .fields = event_fields,
		.defaults = event_defaults, .check = event_check, .decode = event_decode,
		.selectable = event_selectable, .put_creates = true,
	},
	[KIND_NETWORK] = {
		.id = KIND_NETWORK, .group = "podnet.dev", .version = "v1", .plural = "networks",
		.singular = "network", .name = "Network", .short_names = "net",
		.categories = "podnet", .store_name = "networks.podnet.dev", .has_status = true,
		.ours = true, .in_kernel = true, .fields = network_fields,
		.defaults = network_defaults, .check = network_check, .decode = network_decode,
	},
	[KIND_NETNS] = {
		.id = KIND_NETNS, .group = "podnet.dev", .version = "v1",
		.plural = "networknamespaces", .singular = "networknamespace",
		.name = "NetworkNamespace", .short_names = "netns", .categories = "podnet",
		.store_name = "networknamespaces.podnet.dev", .has_status = true, .ours = true,
		.in_kernel = true, .name_is_label = true, .fields = netns_fields,
		.defaults = primitive_defaults, .check = netns_check, .decode = netns_decode,
	},
	[KIND_VETH] = {
		.id = KIND_VETH, .group = "podnet.dev", .version = "v1", .plural = "veths",
		.singular = "veth", .name = "Veth", .short_names = "", .categories = "podnet",
		.store_name = "veths.podnet.dev", .has_status = true, .ours = true,
		.in_kernel = true, .fields = veth_fields, .defaults = primitive_defaults,
		.check = veth_check, .decode = veth_decode,
	},
	[KIND_BRIDGE] = {
		.id = KIND_BRIDGE, .group = "podnet.dev", .version = "v1", .plural = "bridges",
		.singular = "bridge", .name = "Bridge", .short_names = "br",
		.categories = "podnet", .store_name = "bridges.podnet.dev", .has_status = true,
		.ours = true, .in_kernel = true, .fields = bridge_fields,
		.defaults = primitive_defaults, .check = bridge_check, .decode = bridge_decode,
	},
	[KIND_ROUTE] = {
		.id = KIND_ROUTE, .group = "podnet.dev", .version = "v1", .plural = "routes",
		.singular = "route", .name = "Route", .short_names = "rt",
		.categories = "podnet", .store_name = "routes.podnet.dev", .has_status = true,
		.ours = true, .in_kernel = true, .fields = route_fields,
		.defaults = route_defaults, .check = route_check, .decode = route_decode,
		.identity = offsetof(struct route, identity),
	},
	[KIND_TUNNEL] = {
		.id = KIND_TUNNEL, .group = "podnet.dev", .version = "v1", .plural = "tunnels",
		.singular = "tunnel", .name = "Tunnel", .short_names = "tun",
		.categories = "podnet", .store_name = "tunnels.podnet.dev", .has_status = true,
		.ours = true, .in_kernel = true, .fields = tunnel_fields,
		.defaults = tunnel_defaults, .check = tunnel_check, .decode = tunnel_decode,
	},
	[KIND_SERVICE] = {
		.id = KIND_SERVICE, .group = "", .version = "v1", .plural = "services",
		.singular = "service", .name = "Service", .short_names = "svc",
		.categories = "all", .store_name = "services", .namespaced = true,
		.put_creates = true,
		.has_status = true, .name_is_label = true, .fields = service_fields,
		.selectable = service_selectable, .defaults = service_defaults,
		.check = service_check, .check_status = service_check_status,
		.decode = service_decode,
	},
	[KIND_ENDPOINTS] = {
		.id = KIND_ENDPOINTS, .group = "", .version = "v1", .plural = "endpoints",
		.singular = "endpoints", .name = "Endpoints", .short_names = "ep",
		.categories = "", .store_name = "endpoints", .namespaced = true,
		.put_creates = true,
		.fields = endpoints_fields, .defaults = endpoints_defaults,
		.check = endpoints_check, .decode = endpoints_decode,
	},
	[KIND_ENDPOINT_SLICE] = {
		.id = KIND_ENDPOINT_SLICE, .group = "discovery.k8s.io", .version = "v1",
		.plural = "endpointslices", .singular = "endpointslice",
		.name = "EndpointSlice", .short_names = "", .categories = "",
		.store_name = "endpointslices.discovery.k8s.io", .namespaced = true,
		.fields = slice_fields, .defaults = slice_defaults, .check = slice_check,
		.decode = slice_decode,
	},
	[KIND_NETWORK_POLICY] = {
		.id = KIND_NETWORK_POLICY, .group = "networking.k8s.io", .version = "v1",
		.plural = "networkpolicies", .singular = "networkpolicy",
		.name = "NetworkPolicy", .short_names = "netpol", .categories = "",
		.store_name = "networkpolicies.networking.k8s.io", .namespaced = true,
		.fields = policy_fields, .defaults = policy_defaults, .check = policy_check,
		.decode = policy_decode,
	},
	[KIND_COUNT] = {
		.id = KIND_ENDPOINT_SLICE, .group = "discovery.k8s.io", .version = "v1beta1",
		.plural = "endpointslices", .singular = "endpointslice",
		.name = "EndpointSlice", .short_names = "", .categories = "",
		.store_name = "endpointslices.discovery.k8s.io", .namespaced = true,
		.stored = &kinds[KIND_ENDPOINT_SLICE], .to_stored = slice_beta_in,
		.from_stored = slice_beta_out,
	},
};

const struct kind *kind_find(const char *group, const char *version, const char *plural)
{
	for (size_t i = 0; i < KIND_SERVED; i++)
		if (strcmp(kinds[i].plural, plural) == 0 && strcmp(kinds[i].group, group) == 0 &&
		    strcmp(kinds[i].version, version) == 0)
			return &kinds[i];
	return NULL;
}

const struct kind *kind_by_store_name(const char *store_name)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (strcmp(kinds[i].store_name, store_name) == 0)
			return &kinds[i];
	return NULL;
}

const char *kind_api_version(const struct kind *kind, char buf[64])
{
	snprintf(buf, 64, "%s%s%s", kind->group, kind->group[0] ? "/" : "", kind->version);
	return buf;
}

static int set_version(const struct kind *kind, struct doc *doc)
{
	char api[64];

	return doc_set_str(doc, "apiVersion", kind_api_version(kind, api)) == -ENOMEM ? -ENOMEM : 0;
}

int kind_take_in(const struct kind *served, struct doc *doc)
{
	int r = served->stored ? served->to_stored(doc) : 0;

	return r < 0 || !served->stored ? r : set_version(served->stored, doc);
}

int kind_hand_out(const struct kind *served, struct doc *doc)
{
	const char *name = doc_str(doc, "kind");
	int r;

	if (!served->stored || !name || strcmp(name, served->name) != 0)
		return 0;
	r = served->from_stored(doc);
	return r < 0 ? r : set_version(served, doc);
}

struct bytes *kind_bytes(const struct kind *served, struct bytes *stored)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160];

	if (!served->stored)
		return bytes_ref(stored);
	if (doc_parse(stored->data, stored->len, &doc, why) < 0 || kind_hand_out(served, doc) < 0)
		return NULL;
	return doc_bytes(doc);
}

int kind_decode(const struct kind *kind, const char *bytes, size_t len, struct arena *arena,
		void **ret)
{
	_cleanup_(tape_fini) struct tape tape;
	char why[160];
	void *model;
	int r;

	tape_init(&tape);
	r = tape_read(&tape, bytes, len, why);
	if (r == 0 && !value_is(tape.v, VALUE_OBJECT))
		r = -EINVAL;
	if (r < 0)
		return r;
	model = kind->decode(tape.v, arena);
	if (!model)
		return -ENOMEM;
	*ret = model;
	return 0;
}

void *kind_decode_doc(const struct kind *kind, const struct doc *doc, struct arena *arena)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);
	void *model;

	return bytes && kind_decode(kind, bytes->data, bytes->len, arena, &model) == 0 ? model : NULL;
}

/* A string stands in the tape where it stands in the text. */
struct bytes *kind_restamp(const struct tape *tape, const struct bytes *stored, uint64_t rev)
{
	const struct value *v = value_at(tape->v, "metadata.resourceVersion");
	struct buf b = { 0 };
	struct bytes *ret;
	size_t at;

	if (!value_is(v, VALUE_STRING))
		return NULL;
	at = (size_t)(v->text - tape->text);
	if (stored->data[at + v->n] != '"')     /* a character is escaped */
		return NULL;
	buf_add(&b, stored->data, at);
	buf_printf(&b, "%" PRIu64, rev);
	buf_add(&b, stored->data + at + v->n, stored->len - at - v->n);
	ret = buf_bytes(&b);
	buf_fini(&b);
	return ret;
}

/* Both are told as of a wrong type: 400 where a whole object was sent. */
static void check_type(const struct kind *kind, const struct doc *doc, struct causes *causes)
{
	const char *version = doc_str(doc, "apiVersion"), *name = doc_str(doc, "kind");
	char want[64];

	kind_api_version(kind, want);
	if (version && version[0] && strcmp(version, want) != 0)
		causes_add(causes, CAUSE_TYPE, "apiVersion", version,
			   "does not match the expected API version (%s)", want);
	if (name && name[0] && strcmp(name, kind->name) != 0)
		causes_add(causes, CAUSE_TYPE, "kind", name,
			   "does not match the expected kind (%s)", kind->name);
}

void kind_check(const struct kind *kind, const struct doc *doc, const struct doc *old,
		struct causes *causes)
{
	check_type(kind, doc, causes);
	field_check(kind->fields, doc, "", kind->ours, causes);
	meta_check(kind, doc, causes);
	if (kind->check)
		kind->check(doc, old, causes);
}

void kind_check_status(const struct kind *kind, const struct doc *doc, struct causes *causes)
{
	for (const struct field *f = kind->fields; f->name; f++)
		if (strcmp(f->name, "status") == 0)
			field_check(f->sub, doc, "status", false, causes);
	if (kind->check_status)
		kind->check_status(doc, causes);
}
