/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_check.c - the rules of a v1 Service
 *
 * Room (codec): API-CONTRACT 15.5, in the words of Kubernetes.  What the type rules out, what may
 * not change; whether a number is free is asked later.
 * May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <netd/codec/format.h>
#include <netd/codec/ports.h>
#include <netd/codec/rows.h>
#include <netd/codec/service.h>
#include <stdio.h>
#include <stdlib.h>

static bool given(const struct doc *doc, const char *path)
{
	const char *s = doc_str(doc, path);

	return s && s[0];
}

static const char *type_name(const struct doc *doc)
{
	const char *type = doc_str(doc, "spec.type");

	return type ? type : "";
}

/* DNS-1035: its name is a host's, and may not be read as a number. */
static void check_name(const struct doc *doc, struct causes *causes)
{
	static const char *const paths[] = { "metadata.name", "metadata.generateName" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *name = doc_str(doc, paths[i]);

		if (name && name[0] >= '0' && name[0] <= '9')
			causes_add(causes, CAUSE_INVALID, paths[i], name, "a DNS-1035 label must "
				   "consist of lower case alphanumeric characters or '-', start "
				   "with an alphabetic character, and end with an alphanumeric "
				   "character (e.g. 'my-name',  or 'abc-123')");
	}
}

/* Numbers of ports by protocol, as bits. */
struct ports_seen {
	uint8_t bits[3][65536 / 8];
};

/* Whether @key of @port was there before, in the same protocol. */
static bool seen(struct ports_seen *ports, const json_t *port, const char *key)
{
	const char *protocol = json_string_value(json_object_get(port, "protocol"));
	json_int_t n = json_integer_value(json_object_get(port, key));
	uint8_t bit = (uint8_t)(1 << (n & 7)), *at;
	size_t i;

	for (i = 0; protocol && i < ARRAY_SIZE(ports->bits); i++)
		if (strcmp(port_protocols[i], protocol) == 0)
			break;
	if (!protocol || i == ARRAY_SIZE(ports->bits) || n < 1 || n > 65535)
		return false;
	at = &ports->bits[i][n / 8];
	if (*at & bit)
		return true;
	*at |= bit;
	return false;
}

static void check_twins(struct ports_seen twins[2], const json_t *port, const char *path,
			struct causes *causes)
{
	bool twin = seen(&twins[0], port, "port"), node_twin = seen(&twins[1], port, "nodePort");
	char field[64];

	if (twin) {
		json_cause(causes, CAUSE_DUPLICATE, path, json_object_get(port, "port"), "%s", "");
	} else if (node_twin) {
		snprintf(field, sizeof(field), "%s.nodePort", path);
		json_cause(causes, CAUSE_DUPLICATE, field, json_object_get(port, "nodePort"), "%s", "");
	}
}

static void check_port(const struct doc *doc, const json_t *port, bool many, const char *path,
		       struct causes *causes)
{
	const json_t *name = json_object_get(port, "name");
	char field[64];

	snprintf(field, sizeof(field), "%s.name", path);
	if (many && !json_string_length(name) && (!name || json_is_string(name)))
		causes_add(causes, CAUSE_REQUIRED, field, NULL, "%s", "");
	snprintf(field, sizeof(field), "%s.nodePort", path);
	if (!service_has_node_ports(doc) && json_integer_value(json_object_get(port, "nodePort")))
		causes_add(causes, CAUSE_FORBIDDEN, field, NULL,
			   "may not be used when type is '%s'", type_name(doc));
}

static void check_ports(const struct doc *doc, struct causes *causes)
{
	const json_t *ports = doc_at(doc, "spec.ports"), *port;
	_cleanup_free_ struct ports_seen *twins = calloc(2, sizeof(*twins));
	bool many = json_array_size(ports) > 1;
	size_t i;

	if (!json_array_size(ports) && (!ports || json_is_array(ports)) &&
	    !service_is_headless(doc) && service_type_of(doc) != SERVICE_EXTERNAL_NAME)
		causes_add(causes, CAUSE_REQUIRED, "spec.ports", NULL, "%s", "");
	causes->failed |= !twins;
	json_array_foreach(ports, i, port) {
		char path[40];

		if (!json_is_object(port) || !twins)
			return;
		snprintf(path, sizeof(path), "spec.ports[%zu]", i);
		check_port(doc, port, many, path, causes);
		check_twins(twins, port, path, causes);
	}
}

static void check_external_name(const struct doc *doc, struct causes *causes)
{
	static const char *const forbidden[] = {
		"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"
	};
	const char *name = doc_str(doc, "spec.externalName"), *why;
	char text[256];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (given(doc, forbidden[i]) || doc_len(doc, forbidden[i]))
			causes_add(causes, CAUSE_FORBIDDEN, forbidden[i], NULL,
				   "may not be set for ExternalName services");
	if (!name || !name[0]) {
		causes_add(causes, CAUSE_REQUIRED, "spec.externalName", NULL, "%s", "");
		return;
	}
	len = strlen(name);
	snprintf(text, sizeof(text), "%.*s", (int)(len - (name[len - 1] == '.')), name);
	why = format_subdomain(text);
	if (why)
		causes_add(causes, CAUSE_INVALID, "spec.externalName", name, "%s", why);
}

/* clusterIPs, and what stands beside them at the same index. */
static void check_cluster_ip(const struct doc *doc, size_t i, struct causes *causes)
{
	char field[32], family[32];
	const char *ip, *want;

	snprintf(field, sizeof(field), "spec.clusterIPs[%zu]", i);
	snprintf(family, sizeof(family), "spec.ipFamilies[%zu]", i);
	ip = doc_str(doc, field);
	want = doc_str(doc, family);
	if (!ip || (strcmp(ip, "None") == 0 && i == 0))
		return;
	if (format_address(ip))
		causes_add(causes, CAUSE_INVALID, field, ip, "%s",
			   i ? "must be a valid IP address" :
			   "must be empty, 'None', or a valid IP address");
	else if (want && strcmp(want, ip_families[strchr(ip, ':') != NULL]) != 0)
		causes_add(causes, CAUSE_INVALID, field, ip, "expected an %s value as indicated "
			   "by `ipFamilies[%zu]`", want, i);
}

static void check_one_a_family(const struct doc *doc, struct causes *causes)
{
	const char *a = doc_str(doc, "spec.clusterIPs[0]"), *b = doc_str(doc, "spec.clusterIPs[1]");

	if (a && b && !format_address(a) && !format_address(b) && !strchr(a, ':') == !strchr(b, ':'))
		doc_cause(causes, CAUSE_INVALID, doc, "spec.clusterIPs",
			  "may specify no more than one IP for each IP family");
}

static void check_cluster_ips(const struct doc *doc, struct causes *causes)
{
	const char *one = doc_str(doc, "spec.clusterIP"), *first = doc_str(doc, "spec.clusterIPs[0]");

	if (one && one[0] && (!first || strcmp(one, first) != 0))
		causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", first,
			   "element [0] must match clusterIP");
	if (service_is_headless(doc) && service_has_node_ports(doc))
		causes_add(causes, CAUSE_INVALID, "spec.clusterIPs[0]", "None",
			   "may not be set to 'None' for %s services", type_name(doc));
	if (service_is_headless(doc) && doc_len(doc, "spec.clusterIPs") > 1)
		doc_cause(causes, CAUSE_INVALID, doc, "spec.clusterIPs",
			  "'None' must be the first and only value");
	for (size_t i = 0; i < 2; i++)
		check_cluster_ip(doc, i, causes);
	check_one_a_family(doc, causes);
}

static void check_families(const struct doc *doc, struct causes *causes)
{
	const char *policy = doc_str(doc, "spec.ipFamilyPolicy");

	if (policy && strcmp(policy, "SingleStack") == 0 &&
	    (doc_len(doc, "spec.ipFamilies") > 1 || doc_len(doc, "spec.clusterIPs") > 1))
		causes_add(causes, CAUSE_INVALID, "spec.ipFamilyPolicy", policy,
			   "may not be 'SingleStack' with more than one of ipFamilies or clusterIPs");
}

static void check_external(const struct doc *doc, struct causes *causes)
{
	json_t *v;
	size_t i;
	char field[48];

	if (!service_is_external(doc) && given(doc, "spec.externalTrafficPolicy"))
		causes_add(causes, CAUSE_INVALID, "spec.externalTrafficPolicy",
			   doc_str(doc, "spec.externalTrafficPolicy"),
			   "may only be set for externally-accessible services");
	json_array_foreach(doc_at(doc, "spec.externalIPs"), i, v) {
		snprintf(field, sizeof(field), "spec.externalIPs[%zu]", i);
		check_host(json_string_value(v), field, causes);
	}
	if (!service_checks_health(doc) && doc_int(doc, "spec.healthCheckNodePort", 0))
		doc_cause(causes, CAUSE_INVALID, doc, "spec.healthCheckNodePort", "may only be set "
			  "when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
}

static void check_balancer(const struct doc *doc, struct causes *causes)
{
	static const char *const fields[] = {
		"spec.loadBalancerSourceRanges", "spec.loadBalancerClass",
		"spec.allocateLoadBalancerNodePorts"
	};

	if (service_type_of(doc) == SERVICE_LOAD_BALANCER)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (doc_has(doc, fields[i]) && (i > 0 || doc_len(doc, fields[i])) &&
		    (i != 1 || given(doc, fields[i])))
			causes_add(causes, CAUSE_FORBIDDEN, fields[i], NULL,
				   "may only be used when `type` is 'LoadBalancer'");
}

void service_check_status(const struct doc *doc, struct causes *causes)
{
	static const char path[] = "status.loadBalancer.ingress";

	if (service_type_of(doc) != SERVICE_LOAD_BALANCER && doc_len(doc, path))
		causes_add(causes, CAUSE_FORBIDDEN, path, NULL,
			   "may only be used when `spec.type` is LoadBalancer");
}

static bool changed(const struct doc *doc, const struct doc *old, const char *path)
{
	const char *now = doc_str(doc, path), *was = doc_str(old, path);

	return was && was[0] && (!now || strcmp(now, was) != 0);
}

/* Addresses stay while the Service has any; a second one may come and go. */
static void check_update(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char *const firsts[] = { "spec.clusterIPs[0]", "spec.ipFamilies[0]" };
	static const char *const seconds[] = { "spec.clusterIPs[1]", "spec.ipFamilies[1]" };
	static const char class_path[] = "spec.loadBalancerClass";
	static const char health_path[] = "spec.healthCheckNodePort";

	if (service_type_of(doc) != SERVICE_EXTERNAL_NAME &&
	    service_type_of(old) != SERVICE_EXTERNAL_NAME)
		for (size_t i = 0; i < 2; i++) {
			if (changed(doc, old, firsts[i]))
				causes_add(causes, CAUSE_INVALID, firsts[i],
					   doc_str(doc, firsts[i]), "may not change once set");
			if (doc_str(doc, seconds[i]) && changed(doc, old, seconds[i]))
				causes_add(causes, CAUSE_INVALID, seconds[i],
					   doc_str(doc, seconds[i]), "may not change once set");
		}
	if (service_type_of(doc) == SERVICE_LOAD_BALANCER &&
	    service_type_of(old) == SERVICE_LOAD_BALANCER &&
	    (given(doc, class_path) || given(old, class_path)) &&
	    !doc_equal_at(doc, old, class_path))
		causes_add(causes, CAUSE_INVALID, class_path, doc_str(doc, class_path),
			   "may not change once set");
	if (service_checks_health(doc) && service_checks_health(old) &&
	    doc_int(old, health_path, 0) && !doc_equal_at(doc, old, health_path))
		doc_cause(causes, CAUSE_INVALID, doc, health_path, "field is immutable");
}

#define WEIGHTS_MAX 65524   /* in all, of one port: 4 * PODNET_ENDPOINTS_MAX, podnet/service.h */

/** The name of a pod in a list of weights. */
struct weighed {
	const char *name;
	size_t len;
	long weight;
};

static int by_name(const void *a, const void *b)
{
	const struct weighed *x = a, *y = b;
	int r = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);

	return r ? r : (x->len > y->len) - (x->len < y->len);
}

/* "web-1=3, web-2=1": how many, their names in @ret, which has room for them; 0: it is not well formed. */
static size_t read_weights(const char *text, struct weighed *ret)
{
	size_t n = 0;

	while (*text) {
		size_t len = strcspn(text, "=,");
		char *end;
		long weight;

		if (!len || text[len] != '=')
			return 0;
		weight = strtol(text + len + 1, &end, 10);
		ret[n++] = (struct weighed){ text, len, weight };
		if (end == text + len + 1 || weight < 1 || weight > 256 || (*end && *end != ','))
			return 0;
		text = end + (*end == ',');
		text += strspn(text, " ");
	}
	return n;
}

/* A weight for what can be no Pod would never count. */
static void check_weighed(const char *field, const struct weighed *w, struct causes *causes)
{
	char name[260];
	const char *why;

	snprintf(name, sizeof(name), "%.*s", (int)w->len, w->name);
	why = format_subdomain(name);
	if (why)
		causes_add(causes, CAUSE_INVALID, field, name, "no Pod can have this name: %s", why);
}

static void check_weights(const char *field, const char *text, struct causes *causes)
{
	struct weighed *v = calloc(strlen(text) / 2 + 1, sizeof(*v));
	size_t n = v ? read_weights(text, v) : 0;
	char name[260];
	long sum = 0;

	causes->failed |= !v;
	if (*text && !n)
		causes_add(causes, CAUSE_INVALID, field, text,
			   "POD=WEIGHT, each from 1 to 256, joined by commas");
	for (size_t i = 0; i < n; i++) {
		check_weighed(field, &v[i], causes);
		sum += v[i].weight;
	}
	if (sum > WEIGHTS_MAX) {
		snprintf(name, sizeof(name), "%ld", sum);
		causes_add_bare(causes, CAUSE_INVALID, field, name,
				"the sum of the weights must be at most %d", WEIGHTS_MAX);
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 1; i < n; i++) {
		if (by_name(&v[i - 1], &v[i]) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)v[i].len, v[i].name);
		causes_add(causes, CAUSE_DUPLICATE, field, name, "%s", "");
	}
	free(v);
}

/* Under our own prefix a name that means nothing is a misspelt one.  What was stored may stay. */
static void check_annotations(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char prefix[] = "podnet.dev/", weights[] = "podnet.dev/weights";
	static const char algorithm[] = "podnet.dev/algorithm";
	const json_t *before = old ? doc_at(old, "metadata.annotations") : NULL;
	json_t *notes = doc_at(doc, "metadata.annotations"), *value;
	struct podnet_prefix ips[2];
	char field[96];
	const char *key;

	json_object_foreach(notes, key, value) {
		const char *text = json_string_value(value);

		if (!text || strncmp(key, prefix, sizeof(prefix) - 1) != 0 ||
		    json_equal(json_object_get(before, key), value))
			continue;
		snprintf(field, sizeof(field), "metadata.annotations[%.70s]", key);
		if (strcmp(key, weights) != 0 && strcmp(key, algorithm) != 0 &&
		    strcmp(key, SERVICE_POOL_IPS) != 0)
			causes_add(causes, CAUSE_FORBIDDEN, field, NULL, "there is no such "
				   "annotation of a Service: %s, %s and " SERVICE_POOL_IPS
				   " are known", weights, algorithm);
		else if (strcmp(key, weights) == 0)
			check_weights(field, text, causes);
		else if (strcmp(key, algorithm) == 0 && strcmp(text, "maglev") != 0)
			causes_add(causes, CAUSE_NOT_SUPPORTED, field, text,
				   "supported values: \"maglev\"");
		else if (strcmp(key, SERVICE_POOL_IPS) == 0 && service_parse_ips(text, ips) < 0)
			causes_add(causes, CAUSE_INVALID, field, text,
				   "one address, or one of each family, joined by a comma");
	}
}

void service_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_name(doc, causes);
	check_annotations(doc, old, causes);
	check_ports(doc, causes);
	check_labels_at(doc_at(doc, "spec.selector"), "spec.selector", causes);
	if (service_type_of(doc) == SERVICE_EXTERNAL_NAME) {
		check_external_name(doc, causes);
	} else {
		check_cluster_ips(doc, causes);
		check_families(doc, causes);
	}
	check_external(doc, causes);
	check_balancer(doc, causes);
	if (old)
		check_update(doc, old, causes);
}
