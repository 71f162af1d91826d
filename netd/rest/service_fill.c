/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_fill.c - what the body of a Service leaves out, before it is checked
 *
 * Room: rest.  API-CONTRACT 15.5: a PUT without the numbers that were given keeps them; a change of
 * type drops those that no longer apply, where the user left them as they were; families follow
 * from the policy, the addresses and the node's configuration.  Members of a wrong type are passed
 * over: the check that follows names them.
 * May include: codec, state, model, netd/base.
 */
#include "services.h"
#include <stdio.h>
#include <sys/socket.h>

#define IP          "spec.clusterIP"
#define IPS         "spec.clusterIPs"
#define FAMILIES    "spec.ipFamilies"
#define POLICY      "spec.ipFamilyPolicy"
#define HEALTH      "spec.healthCheckNodePort"
#define CLASS       "spec.loadBalancerClass"

static bool given(const struct doc *doc, const char *path)
{
	const char *s = doc_str(doc, path);

	return s && s[0];
}

static bool has_ips(const struct doc *doc)
{
	return service_type_of(doc) != SERVICE_EXTERNAL_NAME;
}

static int copy(struct doc *doc, const struct doc *was, const char *path)
{
	int r = doc_set_copy(doc, path, was, path);

	return r == -EINVAL ? 0 : r;
}

static int keep_ips(struct doc *doc, const struct doc *was)
{
	bool same = doc_equal_at(doc, was, IPS), one = given(doc, IP);

	if (!has_ips(doc) || !has_ips(was))
		return 0;
	if (one && !doc_equal_at(doc, was, IP) && same && doc_len(doc, IPS)) {
		doc_remove(doc, IPS);   /* clusterIP was changed alone: it is what is meant */
		return 0;
	}
	if (!one && (same || !doc_len(doc, IPS))) {
		int r = copy(doc, was, IP);

		return r < 0 ? r : copy(doc, was, IPS);
	}
	return one && doc_equal_at(doc, was, IP) && !doc_len(doc, IPS) ? copy(doc, was, IPS) : 0;
}

static int64_t node_port(const struct doc *doc, size_t i)
{
	char path[40];

	snprintf(path, sizeof(path), "spec.ports[%zu].nodePort", i);
	return doc_int(doc, path, 0);
}

static bool has_node_port(const struct doc *doc, int64_t port)
{
	size_t n = doc_len(doc, "spec.ports");

	for (size_t i = 0; i < n; i++)
		if (node_port(doc, i) == port)
			return true;
	return false;
}

static bool same_name(const struct doc *a, size_t i, const struct doc *b, size_t k)
{
	char path[40];
	const char *x, *y;

	snprintf(path, sizeof(path), "spec.ports[%zu].name", i);
	x = doc_str(a, path);
	snprintf(path, sizeof(path), "spec.ports[%zu].name", k);
	y = doc_str(b, path);
	return strcmp(x ? x : "", y ? y : "") == 0;
}

static int keep_node_port(struct doc *doc, const struct doc *was, size_t i)
{
	size_t n = doc_len(was, "spec.ports");
	char path[40];
	int r;

	for (size_t k = 0; k < n; k++) {
		int64_t port = node_port(was, k);

		if (!port || !same_name(doc, i, was, k) || has_node_port(doc, port))
			continue;
		snprintf(path, sizeof(path), "spec.ports[%zu].nodePort", i);
		r = doc_set_int(doc, path, port);
		return r == -EINVAL ? 0 : r;
	}
	return 0;
}

static int keep_ports(struct doc *doc, const struct doc *was)
{
	size_t n = doc_len(doc, "spec.ports");
	int r = 0;

	if (service_has_node_ports(doc) && service_has_node_ports(was))
		for (size_t i = 0; r == 0 && i < n; i++)
			if (!node_port(doc, i))
				r = keep_node_port(doc, was, i);
	if (r == 0 && service_checks_health(doc) && service_checks_health(was) &&
	    !doc_int(doc, HEALTH, 0))
		r = copy(doc, was, HEALTH);
	return r;
}

/* Of @path, what was left as it was. */
static void drop_same(struct doc *doc, const struct doc *was, const char *path)
{
	if (doc_equal_at(doc, was, path))
		doc_remove(doc, path);
}

static void drop_node_ports(struct doc *doc, const struct doc *was)
{
	size_t n = doc_len(doc, "spec.ports");
	char path[40];

	for (size_t i = 0; i < n; i++)
		if (node_port(doc, i) && !has_node_port(was, node_port(doc, i)))
			return;         /* the user's own, which the check refuses */
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "spec.ports[%zu].nodePort", i);
		doc_remove(doc, path);
	}
}

static void drop_useless(struct doc *doc, const struct doc *was)
{
	bool balanced = service_type_of(was) == SERVICE_LOAD_BALANCER;

	if (has_ips(was) && !has_ips(doc)) {
		bool same = doc_equal_at(doc, was, IPS);

		if (same)
			drop_same(doc, was, IP);
		if (same)
			doc_remove(doc, IPS);
		drop_same(doc, was, FAMILIES);
		drop_same(doc, was, POLICY);
	}
	if (service_has_node_ports(was) && !service_has_node_ports(doc))
		drop_node_ports(doc, was);
	if (service_checks_health(was) && !service_checks_health(doc))
		drop_same(doc, was, HEALTH);
	if (service_is_external(was) && !service_is_external(doc))
		drop_same(doc, was, "spec.externalTrafficPolicy");
	if (balanced && service_type_of(doc) != SERVICE_LOAD_BALANCER) {
		drop_same(doc, was, "spec.allocateLoadBalancerNodePorts");
		drop_same(doc, was, CLASS);
		doc_remove(doc, "status.loadBalancer.ingress");
	}
}

/*
 * Who asks for a load balancer and names none gets one of the pool, where there is one; the class
 * says so from then on, and it may not change.
 */
static int fill_class(const struct node_config *conf, struct doc *doc, const struct doc *was)
{
	bool stays = was && service_type_of(was) == SERVICE_LOAD_BALANCER;
	bool pool = stays ? service_is_from_pool(was) : conf->nbalancer_cidrs > 0;
	int r = 0;

	if (service_type_of(doc) == SERVICE_LOAD_BALANCER && pool && !given(doc, CLASS))
		r = doc_set_str(doc, CLASS, SERVICE_POOL_CLASS);
	return r == -EINVAL ? 0 : r;
}

bool service_is_free(const struct doc *doc)
{
	return service_is_headless(doc) && !doc_len(doc, "spec.selector");
}

static const char *family_name(const struct podnet_prefix *cidr)
{
	return cidr->family == AF_INET6 ? "IPv6" : "IPv4";
}

bool service_family_served(const struct node_config *conf, const char *family)
{
	for (size_t i = 0; i < conf->nservice_cidrs; i++)
		if (strcmp(family_name(&conf->service_cidrs[i]), family) == 0)
			return true;
	return false;
}

static int set_family(struct doc *doc, size_t i, const char *family)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), FAMILIES "[%zu]", i);
	r = doc_set_str(doc, path, family);
	return r == -EINVAL ? 0 : r;
}

/* The families of the addresses that are asked for. */
static int infer_families(struct doc *doc)
{
	const char *one = doc_str(doc, IP);
	char path[32];
	int r = 0;

	if (!doc_len(doc, IPS) && one && one[0] && strcmp(one, "None") != 0)
		return set_family(doc, 0, strchr(one, ':') ? "IPv6" : "IPv4");
	for (size_t i = 0; r == 0 && i < 2; i++) {
		const char *ip;

		snprintf(path, sizeof(path), IPS "[%zu]", i);
		ip = doc_str(doc, path);
		if (!ip || !ip[0] || strcmp(ip, "None") == 0)
			break;
		r = set_family(doc, i, strchr(ip, ':') ? "IPv6" : "IPv4");
	}
	return r;
}

/* From two families to one: the second ones go, where the user left them. */
static void drop_second(struct doc *doc, const struct doc *was)
{
	const char *policy = doc_str(doc, POLICY);

	if (!policy || strcmp(policy, "SingleStack") != 0 || doc_equal_at(doc, was, POLICY))
		return;
	if (doc_equal_at(doc, was, FAMILIES))
		doc_remove(doc, FAMILIES "[1]");
	if (doc_equal_at(doc, was, IPS))
		doc_remove(doc, IPS "[1]");
}

static int choose_policy(struct doc *doc)
{
	bool two = doc_len(doc, FAMILIES) > 1 || doc_len(doc, IPS) > 1 ||
		   (service_is_free(doc) && !doc_len(doc, FAMILIES));
	int r;

	if (doc_has(doc, POLICY) && (!doc_str(doc, POLICY) || given(doc, POLICY)))
		return 0;
	r = doc_set_str(doc, POLICY, two ? "RequireDualStack" : "SingleStack");
	return r == -EINVAL ? 0 : r;
}

static int fill_families(const struct node_config *conf, struct doc *doc)
{
	const char *policy, *first;
	int r = 0;

	if (!doc_len(doc, FAMILIES))
		r = infer_families(doc);
	if (r == 0)
		r = choose_policy(doc);
	if (r == 0 && !doc_len(doc, FAMILIES) && conf->nservice_cidrs)
		r = set_family(doc, 0, family_name(&conf->service_cidrs[0]));
	policy = doc_str(doc, POLICY);
	first = doc_str(doc, FAMILIES "[0]");
	if (r < 0 || !policy || !first || strcmp(policy, "SingleStack") == 0 ||
	    doc_len(doc, FAMILIES) > 1 || (conf->nservice_cidrs < 2 && !service_is_free(doc)))
		return r;
	return set_family(doc, 1, strcmp(first, "IPv4") == 0 ? "IPv6" : "IPv4");
}

static int fill_from(struct doc *doc, const struct doc *was)
{
	int r = keep_ips(doc, was);

	if (r == 0)
		r = keep_ports(doc, was);
	if (r < 0)
		return r;
	drop_useless(doc, was);
	if (!has_ips(doc) || !has_ips(was))
		return 0;
	if (!doc_has(doc, POLICY))
		r = copy(doc, was, POLICY);
	if (r == 0 && !doc_len(doc, FAMILIES) && !doc_has(doc, FAMILIES))
		r = copy(doc, was, FAMILIES);
	drop_second(doc, was);
	return r;
}

int service_fill(struct call *c, struct doc *doc, const struct object *old)
{
	_cleanup_(doc_freep) struct doc *was = old ? object_doc(old) : NULL;
	int r = 0;

	if (old && !was)
		return -ENOMEM;
	if (was)
		r = fill_from(doc, was);
	if (r == 0)
		r = fill_class(state_config(c->rest->state), doc, was);
	if (r < 0 || !has_ips(doc))
		return r;
	return fill_families(state_config(c->rest->state), doc);
}
