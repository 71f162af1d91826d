/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod.c - v1 Pod: its table, defaults and rules
 *
 * Room (codec): API-CONTRACT 15.4.  terminationGracePeriodSeconds has no default here: only one
 * that the user gave makes a deletion wait.  May include: model, netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/ports.h>
#include <netd/codec/probe.h>
#include <netd/codec/rows.h>
#include <stdio.h>

static const char *const protocols[] = { "TCP", "UDP", "SCTP", NULL };
static const char *const pull_policies[] = { "Always", "IfNotPresent", "Never", NULL };
static const char *const restart_policies[] = { "Always", "OnFailure", "Never", NULL };
static const char *const dns_policies[] = {
	"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", NULL
};
static const char *const phases[] = {
	"Pending", "Running", "Succeeded", "Failed", "Unknown", NULL
};
static const char *const usual_networks[] = { "default", NULL };
static const char *const usual_interfaces[] = { "eth0", "eth1", NULL };

static const struct field port_fields[] = {
	{ .name = "containerPort", .type = FIELD_INT, .min = 1, .max = 65535,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(container_port, number) },
	{ .name = "name", .type = FIELD_PORT_NAME, .flags = FIELD_STORED,
	  AT(container_port, name) },
	{ .name = "protocol", .type = FIELD_ENUM, .values = protocols,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(container_port, protocol) },
	{ .name = "hostPort", .type = FIELD_INT, .min = 0, .max = 65535, .flags = FIELD_STORED,
	  AT(container_port, host_port) },
	{ .name = "hostIP", .type = FIELD_ADDRESS, .flags = FIELD_STORED,
	  AT(container_port, host_ip) },
	{ 0 }
};

static const struct field env_fields[] = {
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ .name = "value", .type = FIELD_STRING },
	{ 0 }
};

static const struct field container_fields[] = {
	{ .name = "name", .type = FIELD_LABEL, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(container, name) },
	{ .name = "image", .type = FIELD_STRING, .flags = FIELD_REQUIRED },
	{ .name = "imagePullPolicy", .type = FIELD_ENUM, .values = pull_policies },
	{ .name = "command", .type = FIELD_LIST, .elem = FIELD_STRING },
	{ .name = "args", .type = FIELD_LIST, .elem = FIELD_STRING },
	{ .name = "workingDir", .type = FIELD_STRING },
	{ .name = "ports", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = port_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(container, ports, nports) },
	{ .name = "env", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = env_fields },
	{ .name = "resources", .type = FIELD_OBJECT },
	{ .name = "securityContext", .type = FIELD_OBJECT },
	{ .name = "readinessProbe", .type = FIELD_OBJECT, .sub = probe_fields,
	  .flags = FIELD_APART },
	{ .name = "livenessProbe", .type = FIELD_OBJECT, .sub = probe_fields,
	  .flags = FIELD_APART },
	{ .name = "startupProbe", .type = FIELD_OBJECT, .sub = probe_fields,
	  .flags = FIELD_APART },
	{ 0 }
};

static const struct field toleration_fields[] = {
	{ .name = "key", .type = FIELD_STRING },
	{ .name = "operator", .type = FIELD_STRING },
	{ .name = "value", .type = FIELD_STRING },
	{ .name = "effect", .type = FIELD_STRING },
	{ .name = "tolerationSeconds", .type = FIELD_INT },
	{ 0 }
};

static const struct field gate_fields[] = {
	{ .name = "conditionType", .type = FIELD_QUALIFIED, .flags = FIELD_REQUIRED },
	{ 0 }
};

static const struct field spec_fields[] = {
	{ .name = "containers", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = container_fields, .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(pod, containers, ncontainers) },
	{ .name = "initContainers", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = container_fields, .flags = FIELD_UNIQUE },
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(pod, node_name) },
	{ .name = "hostNetwork", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(pod, host_network) },
	{ .name = "terminationGracePeriodSeconds", .type = FIELD_INT, .min = 0, .max = INT32_MAX,
	  .flags = FIELD_STORED, AT(pod, grace_s) },
	{ .name = "activeDeadlineSeconds", .type = FIELD_INT, .min = 1, .max = INT32_MAX },
	{ .name = "restartPolicy", .type = FIELD_ENUM, .values = restart_policies },
	{ .name = "dnsPolicy", .type = FIELD_ENUM, .values = dns_policies },
	{ .name = "hostname", .type = FIELD_LABEL, .flags = FIELD_STORED, AT(pod, hostname) },
	{ .name = "subdomain", .type = FIELD_LABEL, .flags = FIELD_STORED, AT(pod, subdomain) },
	{ .name = "schedulerName", .type = FIELD_STRING },
	{ .name = "serviceAccountName", .type = FIELD_STRING },
	{ .name = "nodeSelector", .type = FIELD_STRING_MAP },
	{ .name = "tolerations", .type = FIELD_LIST, .elem = FIELD_OBJECT,
	  .sub = toleration_fields },
	{ .name = "readinessGates", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = gate_fields },
	{ .name = "securityContext", .type = FIELD_OBJECT },
	{ .name = "dnsConfig", .type = FIELD_OBJECT },
	{ .name = "affinity", .type = FIELD_OBJECT },
	{ .name = "volumes", .type = FIELD_LIST, .elem = FIELD_OBJECT },
	{ .name = "hostAliases", .type = FIELD_LIST, .elem = FIELD_OBJECT },
	{ .name = "enableServiceLinks", .type = FIELD_BOOL },
	{ .name = "hostPID", .type = FIELD_BOOL },
	{ .name = "hostIPC", .type = FIELD_BOOL },
	{ .name = "shareProcessNamespace", .type = FIELD_BOOL },
	{ .name = "automountServiceAccountToken", .type = FIELD_BOOL },
	{ .name = "priority", .type = FIELD_INT },
	{ 0 }
};

static const struct field attached_fields[] = {
	{ .name = "name", .type = FIELD_STRING, .values = usual_networks, .flags = FIELD_STORED,
	  AT(pod_network, network) },
	{ .name = "interface", .type = FIELD_STRING, .values = usual_interfaces,
	  .flags = FIELD_STORED, AT(pod_network, interface) },
	{ .name = "ips", .type = FIELD_LIST, .elem = FIELD_ADDRESS, .max = 2,
	  .flags = FIELD_STORED | FIELD_INLINE | FIELD_COUNTED, INLINE_AT(pod_network, ips),
	  .count = offsetof(struct pod_network, nips) },
	{ .name = "mac", .type = FIELD_MAC, .flags = FIELD_STORED, AT(pod_network, mac) },
	{ .name = "defaultRoute", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(pod_network, default_route) },
	{ 0 }
};

static const struct field ip_fields[] = {
	{ .name = "ip", .type = FIELD_ADDRESS, .flags = FIELD_STORED, AT(pod_ip, ip) },
	{ 0 }
};

static const struct field status_fields[] = {
	{ .name = "phase", .type = FIELD_ENUM, .values = phases, .flags = FIELD_STORED,
	  AT(pod, phase) },
	{ .name = "conditions", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = condition_fields,
	  .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(pod, conditions, nconditions) },
	{ .name = "networks", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = attached_fields,
	  .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(pod, attached, nattached) },
	{ .name = "bootID", .type = FIELD_STRING, .flags = FIELD_STORED, AT(pod, boot_id) },
	{ .name = "readyByUser", .type = FIELD_BOOL, .flags = FIELD_STORED,
	  AT(pod, ready_by_user) },
	{ .name = "podIP", .type = FIELD_ADDRESS },
	{ .name = "podIPs", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = ip_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(pod, ips, nips) },
	{ .name = "hostIP", .type = FIELD_ADDRESS },
	{ .name = "hostIPs", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = ip_fields },
	{ .name = "startTime", .type = FIELD_TIME },
	{ .name = "message", .type = FIELD_STRING },
	{ .name = "reason", .type = FIELD_STRING },
	{ .name = "qosClass", .type = FIELD_STRING },
	{ .name = "containerStatuses", .type = FIELD_LIST, .elem = FIELD_OBJECT },
	{ 0 }
};

const struct field pod_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields },
	STATUS_FIELD(status_fields),
	{ 0 }
};

/* A digest or a tag that is not "latest" never changes: no need to look for a newer one. */
static const char *pull_policy(const char *image)
{
	const char *slash = strrchr(image, '/'), *tag = strrchr(image, ':');

	if (strchr(image, '@'))
		return "IfNotPresent";
	if (!tag || (slash && tag < slash))
		return "Always";
	return strcmp(tag, ":latest") == 0 ? "Always" : "IfNotPresent";
}

static int default_port(json_t *port, bool host_network)
{
	const json_t *number = json_object_get(port, "containerPort");
	const json_t *host = json_object_get(port, "hostPort");
	int r = fill_member(port, "protocol", json_string("TCP"));

	if (r < 0 || !host_network || !json_is_integer(number) || json_integer_value(host) != 0)
		return r;
	if (json_is_integer(host))
		return 0;               /* an explicit 0 is the user's, and refused */
	return fill_member(port, "hostPort", json_integer(json_integer_value(number)));
}

static int default_containers(struct doc *doc, const char *path)
{
	bool host_network = doc_bool(doc, "spec.hostNetwork", false);
	json_t *list = doc_at(doc, path), *container, *port;
	size_t i, k;
	int r = 0;

	json_array_foreach(list, i, container) {
		const char *image = json_string_value(json_object_get(container, "image"));
		json_t *ports = json_object_get(container, "ports");

		if (image)
			r = fill_member(container, "imagePullPolicy", json_string(pull_policy(image)));
		json_array_foreach(ports, k, port)
			r = r < 0 ? r : default_port(port, host_network);
		if (r < 0)
			return r;
	}
	return default_probes(list);
}

int pod_defaults(struct doc *doc)
{
	static const struct {
		const char *path, *value;
	} words[] = {
		{ "spec.restartPolicy", "Always" },
		{ "spec.dnsPolicy", "ClusterFirst" },
		{ "spec.schedulerName", "default-scheduler" },
		{ "status.phase", "Pending" },
	};
	int r = default_list(doc, "spec.containers");

	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		r = default_str(doc, words[i].path, words[i].value);
	if (r == 0)
		r = default_object(doc, "spec.securityContext");
	if (r == 0)
		r = default_bool(doc, "spec.enableServiceLinks", true);
	if (r == 0)
		r = default_containers(doc, "spec.containers");
	return r < 0 ? r : default_containers(doc, "spec.initContainers");
}

/* The same host port twice: (hostIP, protocol, number); of names, the name. */
static bool same_member(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return x && y ? json_equal(x, y) : x == y;
}

static bool same_host_port(const json_t *a, const json_t *b)
{
	return same_member(a, b, "hostPort") && same_member(a, b, "protocol") &&
	       same_member(a, b, "hostIP");
}

struct port_walk {
	const json_t *containers;
	struct causes *causes;
	bool host_network;
	size_t seen;                /* ports looked at: the search is quadratic */
};

/* whether @port's value at @key stands in a port before it */
static bool seen_before(const struct port_walk *w, const json_t *port,
			bool (*same)(const json_t *a, const json_t *b))
{
	json_t *container, *other;
	size_t i, k;

	json_array_foreach(w->containers, i, container) {
		json_t *ports = json_object_get(container, "ports");

		json_array_foreach(ports, k, other) {
			if (other == port)
				return false;
			if (same(port, other))
				return true;
		}
	}
	return false;
}

static bool same_name(const json_t *a, const json_t *b)
{
	return same_member(a, b, "name");
}

static void check_port(struct port_walk *w, const char *path, const json_t *port)
{
	const char *name = json_string_value(json_object_get(port, "name"));
	const json_t *given = json_object_get(port, "hostPort");
	json_int_t host = json_integer_value(given);
	json_int_t number = json_integer_value(json_object_get(port, "containerPort"));
	char field[96];

	snprintf(field, sizeof(field), "%s.name", path);
	if (name && name[0] && w->seen < 512 && seen_before(w, port, same_name))
		causes_add(w->causes, CAUSE_DUPLICATE, field, name, "%s", "");
	snprintf(field, sizeof(field), "%s.hostPort", path);
	if (host && w->seen < 512 && seen_before(w, port, same_host_port))
		json_cause(w->causes, CAUSE_DUPLICATE, field, given, "%s", "");
	if (w->host_network && host != number && given)
		json_cause(w->causes, CAUSE_INVALID, field, given,
			   "must match containerPort when hostNetwork is true");
	w->seen++;
}

static void check_ports(const struct doc *doc, struct causes *causes)
{
	struct port_walk w = { .containers = doc_at(doc, "spec.containers"), .causes = causes,
			       .host_network = doc_bool(doc, "spec.hostNetwork", false) };
	json_t *container, *port;
	size_t i, k;

	json_array_foreach(w.containers, i, container) {
		json_t *ports = json_object_get(container, "ports");

		json_array_foreach(ports, k, port) {
			char path[80];

			snprintf(path, sizeof(path), "spec.containers[%zu].ports[%zu]", i, k);
			check_port(&w, path, port);
		}
	}
}

void pod_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_ports(doc, causes);
	check_probes(doc, causes);
	pod_check_annotations(doc, old, causes);
	if (old)
		pod_check_update(doc, old, causes);
}

void *pod_decode(const struct value *doc, struct arena *arena)
{
	struct pod *pod = kind_new(doc, pod_fields, sizeof(*pod), arena);

	if (!pod || pod_decode_annotations(pod, arena) < 0 || pod_decode_ports(pod, arena) < 0 ||
	    decode_probes(pod, doc, arena) < 0)
		return NULL;
	return pod;
}
