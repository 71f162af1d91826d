/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route.c - podnet.dev/v1 Route
 *
 * Room (codec).  May include: model, netd/base, include/podnet/ip.h.
 */
#include <errno.h>
#include <netd/codec/rows.h>
#include <netinet/in.h>

#define TABLE_MAIN  254         /* RT_TABLE_MAIN, where a route without a table goes */
#define METRIC_NODE 8192        /* COMPILE_NODE_METRIC, of what netd itself needs */
#define METRIC_V6   1024        /* IP6_RT_PRIO_USER, what the kernel makes of an IPv6 metric of 0 */

static const char *const types[] = { "unicast", "unreachable", "blackhole", NULL };

static const struct field spec_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(route, node_name) },
	{ .name = "networkNamespace", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(route, netns) },
	{ .name = "destination", .type = FIELD_DESTINATION,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(route, destination) },
	{ .name = "gateway", .type = FIELD_ADDRESS, .flags = FIELD_STORED, AT(route, gateway) },
	{ .name = "interface", .type = FIELD_IFNAME, .flags = FIELD_STORED, AT(route, interface) },
	{ .name = "source", .type = FIELD_ADDRESS, .flags = FIELD_STORED, AT(route, source) },
	{ .name = "table", .type = FIELD_INT, .min = 1, .max = UINT32_MAX, .flags = FIELD_STORED,
	  AT(route, table) },
	{ .name = "metric", .type = FIELD_INT, .min = 0, .max = UINT32_MAX, .flags = FIELD_STORED,
	  AT(route, metric) },
	{ .name = "mtu", .type = FIELD_INT, .min = 68, .max = 65535, .flags = FIELD_STORED,
	  AT(route, mtu) },
	{ .name = "type", .type = FIELD_ENUM, .values = types, .flags = FIELD_STORED,
	  AT(route, type) },
	{ .name = "onLink", .type = FIELD_BOOL, .flags = FIELD_STORED, AT(route, on_link) },
	{ 0 }
};

const struct field route_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields, .flags = FIELD_REQUIRED },
	STATUS_FIELD(plain_status_fields),
	{ 0 }
};

int route_defaults(struct doc *doc)
{
	return default_str(doc, "spec.type", types[0]);
}

static bool given(const struct doc *doc, const char *path)
{
	const char *s = doc_str(doc, path);

	return s && s[0];
}

static int family_of(const struct doc *doc, const char *path)
{
	const char *s = doc_str(doc, path);

	if (!s || !s[0])
		return AF_UNSPEC;
	return strchr(s, ':') ? AF_INET6 : AF_INET;
}

static void check_family(const struct doc *doc, const char *path, struct causes *causes)
{
	int family = family_of(doc, path);

	if (family && given(doc, "spec.destination") &&
	    family != family_of(doc, "spec.destination"))
		causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path),
			   "must be of the family of spec.destination");
}

/* Of the kernel's table a plan could not tell whose it is. */
static void check_metric(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char path[] = "spec.metric";

	if (given(doc, "spec.networkNamespace") || doc_int(doc, path, 0) != METRIC_NODE ||
	    (old && doc_int(old, path, 0) == METRIC_NODE))
		return;
	doc_cause(causes, CAUSE_INVALID, doc, path, "%d is the metric of netd's own routes",
		  METRIC_NODE);
}

void route_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *type = doc_str(doc, "spec.type");
	bool unicast = !type || !type[0] || strcmp(type, types[0]) == 0;
	bool gateway = given(doc, "spec.gateway"), interface = given(doc, "spec.interface");

	check_node_name(doc, old, causes);
	check_metric(doc, old, causes);
	check_family(doc, "spec.gateway", causes);
	check_family(doc, "spec.source", causes);
	if (unicast && !gateway && !interface)
		causes_add(causes, CAUSE_REQUIRED, "spec.gateway", NULL,
			   "a unicast route needs a gateway or an interface");
	if (!unicast && gateway)
		causes_add(causes, CAUSE_FORBIDDEN, "spec.gateway", NULL,
			   "a route of type %s has no gateway", type);
	if (!unicast && interface)
		causes_add(causes, CAUSE_FORBIDDEN, "spec.interface", NULL,
			   "a route of type %s has no interface", type);
	if (doc_bool(doc, "spec.onLink", false) && (!gateway || !interface))
		causes_add(causes, CAUSE_REQUIRED, gateway ? "spec.interface" : "spec.gateway",
			   NULL, "onLink needs both a gateway and an interface");
}

/* What the kernel tells routes apart by; where nothing is said, what it makes of that. */
static const char *identity_of(const struct route *r, struct arena *arena)
{
	struct podnet_prefix to = podnet_prefix_mask(&r->destination);
	char text[PODNET_PREFIX_STRLEN];
	uint32_t metric = !r->metric && to.family == AF_INET6 ? METRIC_V6 : r->metric;

	return arena_printf(arena, "%s/%s/%u/%u/%s", r->node_name ? r->node_name : "",
			    r->netns ? r->netns : "", r->table ? r->table : TABLE_MAIN, metric,
			    to.family ? podnet_prefix_format(&to, text) : "");
}

void *route_decode(const struct value *doc, struct arena *arena)
{
	struct route *route = kind_new(doc, route_fields, sizeof(*route), arena);

	if (!route)
		return NULL;
	if (!route->type)
		route->type = types[0];
	route->identity = identity_of(route, arena);
	return route->identity ? route : NULL;
}
