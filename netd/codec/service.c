/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.c - v1 Service: its table and defaults
 *
 * Room (codec): API-CONTRACT 15.5.  What depends on the node's configuration or on other Services
 * (addresses, families, node ports) is filled in by rest/services.c; the rules are service_check.c's.
 * May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <errno.h>
#include <netd/codec/ports.h>
#include <netd/codec/rows.h>
#include <netd/codec/service.h>
#include <stdio.h>

#define AFFINITY_S  10800
#define PORTS_MAX   1000        /* a slice holds the list of them, with the longest names too */

static const char *const types[] = {
	[SERVICE_CLUSTER_IP] = "ClusterIP", [SERVICE_NODE_PORT] = "NodePort",
	[SERVICE_LOAD_BALANCER] = "LoadBalancer", [SERVICE_EXTERNAL_NAME] = "ExternalName", NULL
};
static const char *const affinities[] = { "None", "ClientIP", NULL };
static const char *const traffic_policies[] = {
	[TRAFFIC_CLUSTER] = "Cluster", [TRAFFIC_LOCAL] = "Local", NULL
};
static const char *const family_policies[] = {
	[POLICY_SINGLE_STACK] = "SingleStack", [POLICY_PREFER_DUAL] = "PreferDualStack",
	[POLICY_REQUIRE_DUAL] = "RequireDualStack", NULL
};
static const char *const distributions[] = {
	"PreferClose", "PreferSameZone", "PreferSameNode", NULL
};

static const struct field port_fields[] = {
	{ .name = "name", .type = FIELD_LABEL, .flags = FIELD_STORED, AT(service_port, name) },
	{ .name = "protocol", .type = FIELD_ENUM, .values = port_protocols,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(service_port, protocol) },
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(service_port, port) },
	{ .name = "targetPort", .type = FIELD_PORT_REF, .min = 1, .max = 65535,
	  .flags = FIELD_STORED, AT(service_port, target) },
	{ .name = "nodePort", .type = FIELD_INT, .min = 0, .max = 65535, .flags = FIELD_STORED,
	  AT(service_port, node_port) },
	{ .name = "appProtocol", .type = FIELD_QUALIFIED, .flags = FIELD_STORED,
	  AT(service_port, app_protocol) },
	{ 0 }
};

static const struct field client_ip_fields[] = {
	{ .name = "timeoutSeconds", .type = FIELD_INT, .min = 1, .max = 86400,
	  .flags = FIELD_STORED, AT(service, affinity_s) },
	{ 0 }
};

static const struct field affinity_fields[] = {
	{ .name = "clientIP", .type = FIELD_OBJECT, .sub = client_ip_fields },
	{ 0 }
};

static const struct field spec_fields[] = {
	{ .name = "type", .type = FIELD_ENUM, .values = types,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(service, type) },
	{ .name = "clusterIP", .type = FIELD_STRING },
	{ .name = "clusterIPs", .type = FIELD_LIST, .elem = FIELD_STRING, .max = 2,
	  .flags = FIELD_UNIQUE },
	{ .name = "ipFamilies", .type = FIELD_LIST, .elem = FIELD_ENUM, .values = ip_families,
	  .max = 2, .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_INDEX | FIELD_INLINE |
	  FIELD_COUNTED, INLINE_AT(service, families), .count = offsetof(struct service, nfamilies) },
	{ .name = "ipFamilyPolicy", .type = FIELD_ENUM, .values = family_policies,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(service, family_policy) },
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = port_fields,
	  .max = PORTS_MAX, .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(service, ports, nports) },
	{ .name = "selector", .type = FIELD_STRING_MAP, .flags = FIELD_STORED,
	  LIST_AT(service, selector, nselector) },
	{ .name = "externalName", .type = FIELD_STRING, .flags = FIELD_STORED,
	  AT(service, external_name) },
	{ .name = "externalIPs", .type = FIELD_LIST, .elem = FIELD_ADDRESS,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(service, external_ips, nexternal_ips) },
	{ .name = "sessionAffinity", .type = FIELD_ENUM, .values = affinities },
	{ .name = "sessionAffinityConfig", .type = FIELD_OBJECT, .sub = affinity_fields },
	{ .name = "internalTrafficPolicy", .type = FIELD_ENUM, .values = traffic_policies,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(service, internal_policy) },
	{ .name = "externalTrafficPolicy", .type = FIELD_ENUM, .values = traffic_policies,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(service, external_policy) },
	{ .name = "healthCheckNodePort", .type = FIELD_INT, .min = 0, .max = 65535,
	  .flags = FIELD_STORED, AT(service, health_check_port) },
	{ .name = "publishNotReadyAddresses", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(service, publish_not_ready) },
	{ .name = "loadBalancerIP", .type = FIELD_STRING },
	{ .name = "loadBalancerSourceRanges", .type = FIELD_LIST, .elem = FIELD_NET,
	  .flags = FIELD_STORED | FIELD_COUNTED | FIELD_BLANKS, LIST_AT(service, source_ranges, nsource_ranges) },
	{ .name = "loadBalancerClass", .type = FIELD_QUALIFIED, .flags = FIELD_STORED,
	  AT(service, load_balancer_class) },
	{ .name = "allocateLoadBalancerNodePorts", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(service, allocate_node_ports) },
	{ .name = "trafficDistribution", .type = FIELD_ENUM, .values = distributions,
	  .flags = FIELD_STORED, AT(service, traffic_distribution) },
	{ 0 }
};

static const struct field ingress_fields[] = {
	{ .name = "ip", .type = FIELD_ADDRESS, .flags = FIELD_STORED, AT(service_ingress, ip) },
	{ .name = "hostname", .type = FIELD_SUBDOMAIN },
	{ .name = "ipMode", .type = FIELD_STRING },
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT },
	{ 0 }
};

static const struct field balancer_fields[] = {
	{ .name = "ingress", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = ingress_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(service, ingress, ningress) },
	{ 0 }
};

static const struct field status_fields[] = {
	{ .name = "loadBalancer", .type = FIELD_OBJECT, .sub = balancer_fields },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE },
	{ 0 }
};

const struct field service_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields },
	STATUS_FIELD(status_fields),
	{ 0 }
};

enum service_type service_type_of(const struct doc *doc)
{
	const char *type = doc_str(doc, "spec.type");

	for (int i = 0; type && types[i]; i++)
		if (strcmp(types[i], type) == 0)
			return (enum service_type)i;
	return SERVICE_CLUSTER_IP;
}

static bool is_headless(enum service_type type, const char *ip, const char *first)
{
	if (!ip || !ip[0])
		ip = first;
	return ip && strcmp(ip, "None") == 0 && type != SERVICE_EXTERNAL_NAME;
}

bool service_is_headless(const struct doc *doc)
{
	return is_headless(service_type_of(doc), doc_str(doc, "spec.clusterIP"),
			   doc_str(doc, "spec.clusterIPs[0]"));
}

bool service_has_node_ports(const struct doc *doc)
{
	enum service_type type = service_type_of(doc);

	return type == SERVICE_NODE_PORT || type == SERVICE_LOAD_BALANCER;
}

bool service_is_external(const struct doc *doc)
{
	return service_has_node_ports(doc) ||
	       (service_type_of(doc) == SERVICE_CLUSTER_IP && doc_len(doc, "spec.externalIPs"));
}

bool service_checks_health(const struct doc *doc)
{
	const char *policy = doc_str(doc, "spec.externalTrafficPolicy");

	return service_type_of(doc) == SERVICE_LOAD_BALANCER && policy &&
	       strcmp(policy, traffic_policies[TRAFFIC_LOCAL]) == 0;
}

static bool is_from_pool(enum service_type type, const char *class)
{
	return type == SERVICE_LOAD_BALANCER && class && strcmp(class, SERVICE_POOL_CLASS) == 0;
}

bool service_is_from_pool(const struct doc *doc)
{
	return is_from_pool(service_type_of(doc), doc_str(doc, "spec.loadBalancerClass"));
}

int service_parse_ips(const char *text, struct podnet_prefix ret[2])
{
	int n = 0;

	while (n < 2) {
		size_t len = strcspn(text, ", ");
		char ip[PODNET_PREFIX_STRLEN];

		snprintf(ip, sizeof(ip), "%.*s", (int)len, text);
		if (len >= sizeof(ip) || strchr(ip, '/') || podnet_prefix_parse(ip, &ret[n]) < 0)
			return -EINVAL;
		text += len;
		text += strspn(text, " ");
		n++;
		if (*text != ',')
			break;
		text += 1 + strspn(text + 1, " ");
	}
	return *text || (n == 2 && ret[0].family == ret[1].family) ? -EINVAL : n;
}

/* 0 and "" mean absent: the port itself. */
static int default_target(json_t *port)
{
	const json_t *number = json_object_get(port, "port"), *v = json_object_get(port, "targetPort");

	if ((json_is_integer(v) && json_integer_value(v) == 0) ||
	    (json_is_string(v) && !json_string_length(v)))
		json_object_del(port, "targetPort");
	if (!json_is_integer(number))
		return 0;
	return fill_member(port, "targetPort", json_integer(json_integer_value(number)));
}

static int default_ports(struct doc *doc)
{
	json_t *ports = doc_at(doc, "spec.ports"), *port;
	size_t i;
	int r = fill_protocols(ports);

	json_array_foreach(ports, i, port)
		r = r < 0 ? r : default_target(port);
	return r;
}

static int passable(int r)
{
	return r == -EINVAL ? 0 : r;    /* something of another type: the check says so */
}

static int default_affinity(struct doc *doc)
{
	static const char path[] = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
	int r = default_str(doc, "spec.sessionAffinity", affinities[0]);
	const char *affinity = doc_str(doc, "spec.sessionAffinity");

	if (r < 0 || !affinity)
		return r;
	if (strcmp(affinity, affinities[0]) == 0)
		doc_remove(doc, "spec.sessionAffinityConfig");
	else if (strcmp(affinity, affinities[1]) == 0 && !doc_has(doc, path))
		r = passable(doc_set_int(doc, path, AFFINITY_S));
	return r;
}

/* clusterIP and clusterIPs[0] say the same. */
static int mirror_cluster_ip(struct doc *doc)
{
	const char *one = doc_str(doc, "spec.clusterIP"), *first = doc_str(doc, "spec.clusterIPs[0]");
	int r = 0;

	if (one && one[0] && !doc_len(doc, "spec.clusterIPs"))
		r = doc_set_str(doc, "spec.clusterIPs[0]", one);
	else if (first && first[0])
		r = default_str(doc, "spec.clusterIP", first);
	return passable(r);
}

int service_defaults(struct doc *doc)
{
	int r = default_str(doc, "spec.type", types[SERVICE_CLUSTER_IP]);

	if (r == 0)
		r = mirror_cluster_ip(doc);
	if (r == 0)
		r = default_affinity(doc);
	if (r == 0)
		r = default_ports(doc);
	if (r == 0 && service_type_of(doc) != SERVICE_EXTERNAL_NAME)
		r = default_str(doc, "spec.internalTrafficPolicy", "Cluster");
	if (r == 0 && service_is_external(doc))
		r = default_str(doc, "spec.externalTrafficPolicy", "Cluster");
	if (r == 0 && service_type_of(doc) == SERVICE_LOAD_BALANCER)
		r = default_bool(doc, "spec.allocateLoadBalancerNodePorts", true);
	return r < 0 ? r : default_object(doc, "status.loadBalancer");
}

static void decode_cluster_ips(const struct value *ips, struct service *svc)
{
	for (size_t i = 0; i < 2; i++) {
		const char *ip = value_text(value_elem(ips, i));

		if (ip && podnet_prefix_parse(ip, &svc->cluster_ips[svc->ncluster_ips]) == 0)
			svc->ncluster_ips++;
	}
}

/* The annotation says it of two families; spec.loadBalancerIP alone can say one only. */
static void decode_wanted(const char *balancer_ip, struct service *svc)
{
	const char *text = meta_annotation(&svc->meta, SERVICE_POOL_IPS);
	int n;

	if (!text)
		text = balancer_ip;
	n = text ? service_parse_ips(text, svc->wanted_ips) : 0;
	svc->nwanted_ips = n > 0 ? (size_t)n : 0;
}

void *service_decode(const struct value *doc, struct arena *arena)
{
	struct service *svc = arena_alloc(arena, sizeof(*svc));
	const struct value *spec = value_member(doc, "spec");
	const struct value *ips = value_member(spec, "clusterIPs");
	const char *affinity = value_text(value_member(spec, "sessionAffinity"));

	if (!svc)
		return NULL;
	svc->allocate_node_ports = true;
	if (kind_fill(doc, service_fields, arena, svc) < 0)
		return NULL;
	svc->headless = is_headless(svc->type, value_text(value_member(spec, "clusterIP")),
				    value_text(value_elem(ips, 0)));
	svc->client_ip_affinity = affinity && strcmp(affinity, affinities[1]) == 0;
	svc->from_pool = is_from_pool(svc->type, svc->load_balancer_class);
	decode_cluster_ips(ips, svc);
	decode_wanted(value_text(value_member(spec, "loadBalancerIP")), svc);
	return svc;
}
