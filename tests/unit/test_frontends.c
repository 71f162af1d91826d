/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_frontends.c - what a Service and its slices mean: which frontends, with which endpoints
 *
 * A row is a Service in words; each endpoint is a letter of the list below.  What comes of it is
 * told as text: ADDRESS:PORT flags [endpoints], and * behind one of this node, ! behind one that
 * only who comes from outside may reach.
 */
#include <netd/compile/compile.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/testlib.h>
#include <tests/unit/told.h>

#define CLUSTER_IP "10.96.0.9"

static const struct row {
	const char *says;
	enum service_type type;
	enum traffic_policy inside, outside;
	const char *endpoints;      /* a: ready, here; b: ready, elsewhere; c: leaving, here;
				       d: leaving, elsewhere; e: not ready, here; z: b's in zone z;
				       u: taken for lost with its node, here; v: elsewhere */
	const char *keeper;         /* of the slice */
	const char *annotation, *wish;
	bool headless, sticky, other_proxy;
	const char *external;
	const char *ingress, *range;        /* of the pool */
	const char *frontends;
} rows[] = {
	{ .says = "ready ones", .endpoints = "abe", .frontends = "10.96.0.9:80 c [1* 2]" },
	{ .says = "none ready: those that leave", .endpoints = "cde", .frontends = "10.96.0.9:80 c [3* 4]" },
	{ .says = "ready ones, and who leaves keeps what it has", .endpoints = "acde",
	  .frontends = "10.96.0.9:80 c [1* 3*~ 4~]" },
	{ .says = "none at all", .endpoints = "e", .frontends = "10.96.0.9:80 c []" },
	{ .says = "the same twice counts once", .endpoints = "aab", .frontends = "10.96.0.9:80 c [1* 2]" },
	{ .says = "internal Local", .inside = TRAFFIC_LOCAL, .endpoints = "ab",
	  .frontends = "10.96.0.9:80 cd [1*]" },
	{ .says = "internal Local, one that leaves", .inside = TRAFFIC_LOCAL, .endpoints = "bc",
	  .frontends = "10.96.0.9:80 cd [3*]" },
	{ .says = "internal Local, none here", .inside = TRAFFIC_LOCAL, .endpoints = "b",
	  .frontends = "10.96.0.9:80 cd []" },
	{ .says = "node port", .type = SERVICE_NODE_PORT, .endpoints = "ab",
	  .frontends = "10.96.0.9:80 c [1* 2] node:30080 [1* 2]" },
	{ .says = "external Local", .type = SERVICE_NODE_PORT, .outside = TRAFFIC_LOCAL,
	  .endpoints = "ab", .frontends = "10.96.0.9:80 c [1* 2] node:30080 o [1* 2]" },
	{ .says = "external Local, here only one that leaves", .type = SERVICE_NODE_PORT,
	  .outside = TRAFFIC_LOCAL, .endpoints = "bc",
	  .frontends = "10.96.0.9:80 c [2 3*~] node:30080 o [2 3*!]" },
	{ .says = "internal Local leaves the outside alone", .type = SERVICE_NODE_PORT,
	  .inside = TRAFFIC_LOCAL, .endpoints = "b",
	  .frontends = "10.96.0.9:80 cd [] node:30080 [2]" },
	{ .says = "external address", .external = "203.0.113.5", .endpoints = "b",
	  .frontends = "10.96.0.9:80 c [2] 203.0.113.5:80 [2]" },
	{ .says = "affinity", .sticky = true, .endpoints = "a", .frontends = "10.96.0.9:80 cs60 [1*]" },
	{ .says = "weights", .annotation = "podnet.dev/weights=pod1=3, pod2=7", .endpoints = "ab",
	  .frontends = "10.96.0.9:80 c [1*x3 2x7]" },
	{ .says = "maglev", .annotation = "podnet.dev/algorithm=maglev", .endpoints = "ab",
	  .frontends = "10.96.0.9:80 cm [1* 2]" },
	{ .says = "same node", .wish = "PreferSameNode", .endpoints = "ab",
	  .frontends = "10.96.0.9:80 c [1*]" },
	{ .says = "same node, none there", .wish = "PreferSameNode", .endpoints = "b",
	  .frontends = "10.96.0.9:80 c [2]" },
	{ .says = "same zone", .wish = "PreferClose", .endpoints = "bz",
	  .frontends = "10.96.0.9:80 c [5]" },
	{ .says = "an address of the pool", .type = SERVICE_LOAD_BALANCER, .ingress = "192.0.2.7",
	  .endpoints = "ab", .frontends = "10.96.0.9:80 c [1* 2] 192.0.2.7:80 a [1* 2]" },
	{ .says = "one that the node has itself", .type = SERVICE_LOAD_BALANCER, .ingress = "192.0.2.1",
	  .endpoints = "a", .frontends = "10.96.0.9:80 c [1*] 192.0.2.1:80 [1*]" },
	{ .says = "a status that is not its type's", .type = SERVICE_NODE_PORT, .ingress = "192.0.2.7",
	  .endpoints = "a", .frontends = "10.96.0.9:80 c [1*] node:30080 [1*]" },
	{ .says = "a range", .type = SERVICE_LOAD_BALANCER, .ingress = "192.0.2.7",
	  .range = "198.51.100.0/24", .endpoints = "a",
	  .frontends = "10.96.0.9:80 c [1*] 192.0.2.7:80 a<198.51.100.0/24 [1*]" },
	{ .says = "a range that the node is in", .type = SERVICE_LOAD_BALANCER, .ingress = "192.0.2.7",
	  .range = "192.0.2.0/30", .endpoints = "a",
	  .frontends = "10.96.0.9:80 c [1*] 192.0.2.7:80 a<192.0.2.0/30<192.0.2.7/32 [1*]" },
	{ .says = "a range of the other family", .type = SERVICE_LOAD_BALANCER, .ingress = "192.0.2.7",
	  .range = "fd00::/64", .endpoints = "a",
	  .frontends = "10.96.0.9:80 c [1*] 192.0.2.7:80 a<0.0.0.0/32 [1*]" },
	{ .says = "own pods that others took for lost", .endpoints = "bue", .keeper = "here",
	  .frontends = "10.96.0.9:80 c [2 7*]" },
	{ .says = "pods of another node that is lost", .endpoints = "av", .keeper = "there",
	  .frontends = "10.96.0.9:80 c [1*]" },
	{ .says = "written by hand", .endpoints = "bu", .frontends = "10.96.0.9:80 c [2]" },
	{ .says = "headless", .headless = true, .endpoints = "a", .frontends = "" },
	{ .says = "external name", .type = SERVICE_EXTERNAL_NAME, .endpoints = "a", .frontends = "" },
	{ .says = "another's to serve", .other_proxy = true, .endpoints = "a", .frontends = "" },
};

static int each(void *arg, const struct podnet_frontend *f)
{
	char ip[PODNET_PREFIX_STRLEN];
	struct told *t = arg;

	podnet_prefix_format_addr(&f->ip, ip);
	add(t, "%s%s:%u %s%s%s%s%s", *t->text ? " " : "", strcmp(ip, "0.0.0.0") ? ip : "node", f->port,
	    f->flags & PODNET_FRONTEND_CLUSTER_IP ? "c" : "",
	    f->flags & PODNET_FRONTEND_DROP ? "d" : "",
	    f->flags & PODNET_FRONTEND_OUTSIDE_LOCAL ? "o" : "",
	    f->flags & PODNET_FRONTEND_MAGLEV ? "m" : "",
	    f->flags & PODNET_FRONTEND_ALONE ? "a" : "");
	for (size_t i = 0; i < f->nsources; i++)
		add(t, "<%s", podnet_prefix_format(&f->sources[i], ip));
	if (f->sticky_s)
		add(t, "s%u", f->sticky_s);
	add(t, "%s[", t->text[strlen(t->text) - 1] == ' ' ? "" : " ");
	for (size_t i = 0; i < f->nendpoints; i++) {
		const struct podnet_endpoint *e = &f->endpoints[i];

		assert_int_equal(e->port, 8080);
		add(t, "%s%u%s%s", i ? " " : "", e->ip.addr[3], e->local ? "*" : "",
		    e->outside_only ? "!" : e->leaving ? "~" : "");
		if (e->weight != 1)
			add(t, "x%u", e->weight);
	}
	add(t, "]");
	return 0;
}

static struct endpoint endpoint_of(char letter, struct podnet_prefix *ip, char pod[8])
{
	static const char letters[] = "?abcdz?uv";
	struct endpoint e = { .addresses = ip, .naddresses = 1, .target_name = pod };
	const char *at = strchr(letters, letter);

	*ip = (struct podnet_prefix){ AF_INET, 32, { 10, 244, 0, at ? (uint8_t)(at - letters) : 6 } };
	snprintf(pod, 8, "pod%u", ip->addr[3]);
	e.node_name = strchr("aceu", letter) ? "here" : "there";
	e.zone = letter == 'z' ? "z" : "y";
	e.ready = strchr("abz", letter) != NULL;
	e.serving = e.ready || strchr("cduv", letter);
	e.terminating = letter == 'c' || letter == 'd';
	return e;
}

static void frontends(void **state)
{
	const struct row *row = *state;
	struct service_port port = { .protocol = PORT_TCP, .port = 80, .node_port =
				     row->type == SERVICE_NODE_PORT ? 30080 : 0 };
	struct podnet_prefix ips[8], cluster = prefix(CLUSTER_IP), external = prefix(row->external);
	struct podnet_prefix own = prefix("192.0.2.1"), range = prefix(row->range);
	struct service_ingress ingress = { prefix(row->ingress) };
	struct kv label = { "service.kubernetes.io/service-proxy-name", "other" };
	struct endpoint_port target = { .protocol = PORT_TCP, .port = 8080 };
	char pods[8][8], text[64] = "", *value;
	struct endpoint endpoints[8];
	struct kv annotation = { text, "" };
	struct endpoint_slice slice = { .endpoints = endpoints, .ports = &target, .nports = 1,
					.keeper = row->keeper };
	const struct endpoint_slice *slices[] = { &slice };
	struct told told = { "" };
	struct service svc = {
		.type = row->type, .headless = row->headless, .cluster_ips = { cluster },
		.ncluster_ips = 1, .ports = &port, .nports = 1, .external_ips = &external,
		.nexternal_ips = row->external != NULL, .internal_policy = row->inside,
		.external_policy = row->outside, .client_ip_affinity = row->sticky, .affinity_s = 60,
		.traffic_distribution = row->wish, .ingress = &ingress, .ningress = row->ingress != NULL,
		.from_pool = row->ingress != NULL, .source_ranges = &range,
		.nsource_ranges = row->range != NULL,
		.meta = { .labels = &label, .nlabels = row->other_proxy, .annotations = &annotation,
			  .nannotations = row->annotation != NULL },
	};
	const struct compile_services in = { .node_name = "here", .zone = "z", .own = &own, .nown = 1,
					     .each = each, .arg = &told };

	if (row->annotation) {
		snprintf(text, sizeof(text), "%s", row->annotation);
		value = strchr(text, '=');
		*value = '\0';
		annotation.value = value + 1;
	}
	for (const char *c = row->endpoints; *c; c++, slice.nendpoints++)
		endpoints[slice.nendpoints] = endpoint_of(*c, &ips[slice.nendpoints],
							  pods[slice.nendpoints]);
	assert_int_equal(compile_service(&in, &svc, slices, 1), 0);
	assert_string_equal(told.text, row->frontends);
}

static int count(void *arg, const struct podnet_frontend *f)
{
	size_t *n = arg;

	*n += f->nendpoints;
	return 0;
}

/* Two slices of 1,000 endpoints have 300 in common; of two ports, which find the same ones. */
static void many(void **state)
{
	static struct podnet_prefix ips[1700];
	static struct endpoint v[1700];
	struct service_port ports[2] = { { .name = "a", .port = 80 }, { .name = "b", .port = 81 } };
	struct endpoint_port targets[2] = { { .name = "a", .port = 8080 },
					    { .name = "b", .port = 8081 } };
	struct endpoint_slice one = { .endpoints = v, .nendpoints = 1000, .ports = targets,
				      .nports = 2 };
	struct endpoint_slice other = one;
	const struct endpoint_slice *slices[] = { &one, &other };
	struct service svc = { .cluster_ips = { prefix(CLUSTER_IP) }, .ncluster_ips = 1,
			       .ports = ports, .nports = 2 };
	size_t n = 0;
	const struct compile_services in = { .node_name = "here", .each = count, .arg = &n };

	(void)state;
	other.endpoints = v + 700;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		ips[i] = (struct podnet_prefix){ AF_INET, 32, { 10, 244, (uint8_t)(i >> 8),
								(uint8_t)i } };
		v[i] = (struct endpoint){ .addresses = &ips[i], .naddresses = 1, .ready = true };
	}
	assert_int_equal(compile_service(&in, &svc, slices, 2), 0);
	assert_int_equal(n, 2 * ARRAY_SIZE(v));
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1] = { [ARRAY_SIZE(rows)] = cmocka_unit_test(many) };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, frontends, NULL, NULL,
						(void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests_name("frontends", tests, NULL, NULL);
}
