/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_decode.c - stored bytes to structs, kind by kind
 */
#include <lib/testlib.h>
#include <errno.h>
#include <jansson.h>
#include <netd/codec/kind.h>
#include <netd/codec/tape.h>
#include <netinet/in.h>
#include <stdio.h>

#define META(more) "\"metadata\":{\"name\":\"n\",\"uid\":\"u-1\",\"resourceVersion\":" \
	"\"18446744073709551615\",\"generation\":3,\"creationTimestamp\":\"2006-01-02T15:04:05Z\"" \
	more "}"

static const char pod_text[] = "{" META(",\"namespace\":\"ns\",\"labels\":{\"a\":\"b\",\"c\":\"\"},"
	"\"deletionTimestamp\":\"2006-01-02T15:04:06Z\",\"finalizers\":[\"x/y\"],\"annotations\":{"
	"\"podnet.dev/networks\":\" default , storage\",\"podnet.dev/default-route\":\"storage\","
	"\"podnet.dev/ips\":\"10.244.0.9,storage = fd00::7\",\"podnet.dev/mac\":\"02:00:00:00:"
	"00:05\","
	"\"podnet.dev/netns\":\"\",\"podnet.dev/origin\":\"cni\","
	"\"kubectl.kubernetes.io/last-applied-configuration\":\"large\","
	"\"kubernetes.io/ingress-bandwidth\":\"10M\",\"kubernetes.io/egress-bandwidth\":\"1Mi\"}")
	",\"spec\":{\"nodeName\":\"node1\",\"hostNetwork\":false,\"containers\":[],"
	"\"terminationGracePeriodSeconds\":7},"
	"\"status\":{\"phase\":\"Running\",\"bootID\":\"boot\",\"readyByUser\":true,\"networks\":["
	"{\"name\":\"default\",\"interface\":\"eth0\",\"ips\":[\"10.244.0.9\",\"fd00::9\"],"
	"\"mac\":\"02:00:00:00:00:05\"},{\"name\":\"storage\",\"interface\":\"eth7\","
	"\"ips\":[\"fd00::7\"],\"defaultRoute\":true}],\"conditions\":[{\"type\":\"Ready\","
	"\"status\":\"True\",\"lastTransitionTime\":\"1970-01-01T00:00:09Z\"},{\"type\":\"Own\","
	"\"status\":\"False\",\"reason\":\"R\",\"message\":\"M\"}]}}";

struct decoded {
	struct arena arena;
	void *model;
};

static struct decoded decode(enum kind_id kind, const char *text)
{
	struct decoded d = { 0 };
	int r = kind_decode(&kinds[kind], text, strlen(text), &d.arena, &d.model);

	if (r < 0)
		fail_msg("%s: %d", text, r);
	return d;
}

static void assert_ip(const struct podnet_prefix *p, const char *want)
{
	char buf[PODNET_PREFIX_STRLEN];

	assert_string_equal(podnet_prefix_format(p, buf), want);
}

static void meta_of_pod(void **state)
{
	struct decoded d = decode(KIND_POD, pod_text);
	const struct meta *meta = d.model;

	(void)state;
	assert_string_equal(meta->name, "n");
	assert_string_equal(meta->ns, "ns");
	assert_string_equal(meta->uid, "u-1");
	assert_true(meta->rev == UINT64_MAX);
	assert_int_equal(meta->generation, 3);
	assert_int_equal(meta->created, 1136214245);
	assert_int_equal(meta->deleted, 1136214246);
	assert_int_equal(meta->nlabels, 2);
	assert_string_equal(meta_label(meta, "c"), "");
	assert_null(meta_label(meta, "d"));
	assert_string_equal(meta_annotation(meta, "podnet.dev/origin"), "cni");
	assert_null(meta_annotation(meta, "kubectl.kubernetes.io/last-applied-configuration"));
	assert_int_equal(meta->nfinalizers, 1);
	arena_fini(&d.arena);
}

static void pod_wishes(void **state)
{
	struct decoded d = decode(KIND_POD, pod_text);
	const struct pod *pod = d.model;

	(void)state;
	assert_string_equal(pod->node_name, "node1");
	assert_int_equal(pod->grace_s, 7);
	assert_int_equal(pod->nnetworks, 2);
	assert_string_equal(pod->networks[0], "default");
	assert_string_equal(pod->networks[1], "storage");
	assert_string_equal(pod->default_route, "storage");
	assert_int_equal(pod->nip_requests, 2);
	assert_null(pod->ip_requests[0].network);
	assert_ip(&pod->ip_requests[0].ip, "10.244.0.9/32");
	assert_string_equal(pod->ip_requests[1].network, "storage");
	assert_ip(&pod->ip_requests[1].ip, "fd00::7/128");
	assert_int_equal(pod->mac[5], 5);
	assert_null(pod->netns);
	assert_string_equal(pod->origin, "cni");
	assert_int_equal(pod->ingress_bps, 10000000);
	assert_int_equal(pod->egress_bps, 1048576);
	arena_fini(&d.arena);
}

static void assert_port(const struct pod_port *p, const char *ip, int protocol, unsigned int first,
			unsigned int last, unsigned int to)
{
	if (*ip)
		assert_ip(&p->ip, ip);
	else
		assert_int_equal(p->ip.family, 0);
	assert_int_equal(p->protocol, protocol);
	assert_int_equal(p->first, first);
	assert_int_equal(p->last, last);
	assert_int_equal(p->to, to);
}

static void pod_ports(void **state)
{
	struct decoded d = decode(KIND_POD, "{" META(",\"annotations\":{\"podnet.dev/ports\":"
		"\" 8000-8100:9000-9100/udp,[fd00::1]:53/sctp, bad,10.0.0.1:80:8080\"}")
		",\"spec\":{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80},"
		"{\"containerPort\":443,\"hostPort\":8443,\"hostIP\":\"10.0.0.2\","
		"\"protocol\":\"TCP\"}]},{\"name\":\"b\",\"ports\":[{\"containerPort\":53,"
		"\"hostPort\":53,\"protocol\":\"UDP\"}]}]}}");
	const struct pod *pod = d.model;

	(void)state;
	assert_int_equal(pod->nports, 5);
	assert_port(&pod->ports[0], "10.0.0.2/32", PORT_TCP, 8443, 8443, 443);
	assert_port(&pod->ports[1], "", PORT_UDP, 53, 53, 53);
	assert_port(&pod->ports[2], "", PORT_UDP, 8000, 8100, 9000);
	assert_port(&pod->ports[3], "fd00::1/128", PORT_SCTP, 53, 53, 53);
	assert_port(&pod->ports[4], "10.0.0.1/32", PORT_TCP, 80, 80, 8080);
	arena_fini(&d.arena);
	d = decode(KIND_POD, "{" META(",\"annotations\":{\"podnet.dev/ports\":\"80\"}")
		",\"spec\":{\"hostNetwork\":true,\"containers\":[]}}");
	pod = d.model;
	assert_int_equal(pod->nports, 0);
	arena_fini(&d.arena);
}

static void pod_state(void **state)
{
	struct decoded d = decode(KIND_POD, pod_text);
	const struct pod *pod = d.model;

	(void)state;
	assert_string_equal(pod->phase, "Running");
	assert_string_equal(pod->boot_id, "boot");
	assert_true(pod->ready_by_user);
	assert_int_equal(pod->nattached, 2);
	assert_string_equal(pod->attached[0].network, "default");
	assert_string_equal(pod->attached[0].interface, "eth0");
	assert_int_equal(pod->attached[0].nips, 2);
	assert_ip(&pod->attached[0].ips[1], "fd00::9/128");
	assert_int_equal(pod->attached[0].mac[0], 2);
	assert_false(pod->attached[0].default_route);
	assert_string_equal(pod->attached[1].interface, "eth7");
	assert_int_equal(pod->attached[1].nips, 1);
	assert_true(pod->attached[1].default_route);
	assert_int_equal(pod->nconditions, 2);
	assert_string_equal(pod->conditions[0].type, "Ready");
	assert_int_equal(pod->conditions[0].since, 9);
	assert_null(pod->conditions[0].reason);
	assert_string_equal(pod->conditions[1].type, "Own");
	assert_string_equal(pod->conditions[1].message, "M");
	arena_fini(&d.arena);
}

static void core_kinds(void **state)
{
	struct decoded ns = decode(KIND_NAMESPACE, "{" META("") ",\"status\":{\"phase\":"
				   "\"Terminating\"}}");
	struct decoded live = decode(KIND_NAMESPACE, "{" META("") "}");
	struct decoded node = decode(KIND_NODE, "{" META("") ",\"spec\":{\"podCIDRs\":["
				     "\"10.244.0.0/22\",\"fd00::/64\",\"10.0.0.0/8\"]}}");
	struct decoded ev = decode(KIND_EVENT, "{" META(",\"namespace\":\"d\"") ",\"reason\":\"R\","
				   "\"message\":\"M\",\"count\":4,\"lastTimestamp\":"
				   "\"1970-01-01T00:01:00Z\",\"involvedObject\":{\"kind\":\"Pod\","
				   "\"namespace\":\"d\",\"name\":\"p\",\"uid\":\"v\"}}");
	const struct event *event = ev.model;

	(void)state;
	assert_true(((struct namespace *)ns.model)->terminating);
	assert_string_equal(((struct meta *)ns.model)->ns, "");
	assert_false(((struct namespace *)live.model)->terminating);
	assert_int_equal(((struct node *)node.model)->npod_cidrs, 2);
	assert_ip(&((struct node *)node.model)->pod_cidrs[1], "fd00::/64");
	assert_int_equal(((struct node *)node.model)->underlay[0].family, 0);
	assert_string_equal(event->involved_kind, "Pod");
	assert_string_equal(event->involved_ns, "d");
	assert_string_equal(event->involved_name, "p");
	assert_string_equal(event->involved_uid, "v");
	assert_string_equal(event->reason, "R");
	assert_string_equal(event->message, "M");
	assert_int_equal(event->count, 4);
	assert_int_equal(event->last, 60);
	arena_fini(&ns.arena);
	arena_fini(&live.arena);
	arena_fini(&node.arena);
	arena_fini(&ev.arena);
}

/* The first InternalIP of each family, or what the annotation says. */
static void node_addresses(void **state)
{
	static const char status[] = ",\"status\":{\"addresses\":["
		"{\"type\":\"Hostname\",\"address\":\"192.0.2.9\"},"
		"{\"type\":\"ExternalIP\",\"address\":\"203.0.113.1\"},"
		"{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"},"
		"{\"type\":\"InternalIP\",\"address\":\"2001:db8::1\"},"
		"{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"},"
		"{\"type\":\"InternalIP\",\"address\":\"192.0.2.2\"}]}}";
	static const struct { const char *meta, *v4, *v6; } rows[] = {
		{ META(""), "192.0.2.1/32", "2001:db8::1/128" },
		{ META(",\"annotations\":{\"podnet.dev/node-address\":\" 198.51.100.7 \"}"),
		  "198.51.100.7/32", NULL },
		{ META(",\"annotations\":{\"podnet.dev/node-address\":\"fd00::7,198.51.100.7\"}"),
		  "198.51.100.7/32", "fd00::7/128" },
		{ META(",\"annotations\":{\"podnet.dev/node-address\":\"elsewhere\"}"),
		  "192.0.2.1/32", "2001:db8::1/128" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[1024];
		struct decoded d;
		const struct node *node;

		snprintf(text, sizeof(text), "{%s%s", rows[i].meta, status);
		d = decode(KIND_NODE, text);
		node = d.model;
		assert_ip(&node->underlay[0], rows[i].v4);
		if (rows[i].v6)
			assert_ip(&node->underlay[1], rows[i].v6);
		else
			assert_int_equal(node->underlay[1].family, 0);
		arena_fini(&d.arena);
	}
}

static void networks(void **state)
{
	struct decoded a = decode(KIND_NETWORK, "{" META("") ",\"spec\":{\"type\":\"bridge\","
				  "\"cidrs\":"
				  "[\"10.5.0.0/16\",\"fd00::/48\"],\"blockSizes\":[24,72],"
				  "\"mtu\":1400,"
				  "\"masquerade\":false,\"isolation\":false,\"backend\":\"udp\"}}");
	struct decoded b = decode(KIND_NETWORK, "{" META("") ",\"spec\":{\"cidrs\":[\"fd00::/48\","
				  "\"10.5.0.0/24\"]}}");
	const struct network *net = a.model, *plain = b.model;

	(void)state;
	assert_int_equal(net->type, NETWORK_BRIDGE);
	assert_int_equal(net->ncidrs, 2);
	assert_ip(&net->cidrs[0], "10.5.0.0/16");
	assert_int_equal(net->block_len[0], 24);
	assert_int_equal(net->block_len[1], 72);
	assert_int_equal(net->mtu, 1400);
	assert_false(net->masquerade);
	assert_false(net->isolation);
	assert_int_equal(plain->type, NETWORK_ROUTED);
	assert_int_equal(plain->block_len[0], 64);
	assert_int_equal(plain->block_len[1], 24);
	assert_true(plain->masquerade);
	assert_true(plain->isolation);
	assert_int_equal(net->backend, BACKEND_UDP);
	assert_int_equal(plain->backend, BACKEND_AUTO);
	arena_fini(&a.arena);
	arena_fini(&b.arena);
}

static void primitives(void **state)
{
	struct decoded a = decode(KIND_NETNS, "{" META("") ",\"spec\":{\"nodeName\":\"x\",\"path\":"
				  "\"pid:5\"}}");
	struct decoded b = decode(KIND_VETH, "{" META("") ",\"spec\":{\"mtu\":9000,\"ends\":"
				  "[{\"name\":"
				  "\"a\",\"bridge\":\"br0\"},{\"name\":\"b\","
				  "\"networkNamespace\":\"con\","
				  "\"macAddress\":\"02:00:00:00:00:01\",\"addresses\":"
				  "[\"10.0.0.1/24\","
				  "\"fd00::1/64\"]}]}}");
	struct decoded c = decode(KIND_BRIDGE, "{" META("") ",\"spec\":{\"addresses\":"
				  "[\"10.0.0.1/24\"]"
				  "}}");
	struct decoded d = decode(KIND_ROUTE, "{" META("") ",\"spec\":{\"destination\":\"default\","
				  "\"gateway\":\"10.0.0.1\",\"table\":4294967295,\"metric\":5,"
				  "\"onLink\":"
				  "true,\"type\":\"blackhole\"}}");
	struct decoded e = decode(KIND_ROUTE, "{" META("") ",\"spec\":{\"destination\":\"fd00::"
				  "/8\","
				  "\"interface\":\"eth0\"}}");
	const struct veth *veth = b.model;
	const struct route *route = d.model, *plain = e.model;

	(void)state;
	assert_string_equal(((struct netns *)a.model)->path, "pid:5");
	assert_string_equal(((struct netns *)a.model)->node_name, "x");
	assert_int_equal(veth->mtu, 9000);
	assert_string_equal(veth->ends[0].bridge, "br0");
	assert_null(veth->ends[0].netns);
	assert_string_equal(veth->ends[1].netns, "con");
	assert_int_equal(veth->ends[1].mac[5], 1);
	assert_int_equal(veth->ends[1].naddresses, 2);
	assert_ip(&veth->ends[1].addresses[1], "fd00::1/64");
	assert_string_equal(((struct bridge *)c.model)->interface, "n");
	assert_int_equal(((struct bridge *)c.model)->naddresses, 1);
	assert_ip(&route->destination, "0.0.0.0/0");
	assert_ip(&route->gateway, "10.0.0.1/32");
	assert_true(route->table == UINT32_MAX);
	assert_int_equal(route->metric, 5);
	assert_true(route->on_link);
	assert_string_equal(route->type, "blackhole");
	assert_string_equal(plain->type, "unicast");
	assert_string_equal(plain->interface, "eth0");
	assert_int_equal(plain->gateway.family, 0);
	arena_fini(&a.arena);
	arena_fini(&b.arena);
	arena_fini(&c.arena);
	arena_fini(&d.arena);
	arena_fini(&e.arena);
}

static void tunnels(void **state)
{
	struct decoded a = decode(KIND_TUNNEL, "{" META("") ",\"spec\":{\"type\":\"udp\",\"local\":"
				  "\"10.0.0.1\",\"port\":9000,\"addresses\":[\"172.16.0.100/16\"],"
				  "\"peers\":[{\"address\":\"10.0.0.2\",\"cidrs\":[\"10.9.0.0/16\","
				  "\"fd00::/64\"],\"framing\":\"pi\"},{\"address\":\"10.0.0.3\","
				  "\"port\":9001,\"cidrs\":[\"10.8.0.0/16\"]}]}}");
	struct decoded b = decode(KIND_TUNNEL, "{" META("") ",\"spec\":{\"type\":\"vxlan\",\"id\":"
				  "16777215,\"interface\":\"vx0\",\"local\":\"fd00::1\",\"port\":4789,"
				  "\"macAddress\":\"02:00:00:00:00:01\",\"mtu\":1400,\"peers\":[{"
				  "\"address\":\"fd00::2\",\"macAddress\":\"02:00:00:00:00:02\","
				  "\"cidrs\":[\"10.9.0.0/16\"]}]}}");
	const struct tunnel *udp = a.model, *vxlan = b.model;

	(void)state;
	assert_int_equal(udp->type, TUNNEL_UDP);
	assert_string_equal(udp->interface, "n");
	assert_ip(&udp->local, "10.0.0.1/32");
	assert_ip(&udp->addresses[0], "172.16.0.100/16");
	assert_int_equal(udp->npeers, 2);
	assert_int_equal(udp->peers[0].port, 9000);
	assert_int_equal(udp->peers[0].framing, TUNNEL_PI);
	assert_int_equal(udp->peers[0].ncidrs, 2);
	assert_ip(&udp->peers[0].cidrs[1], "fd00::/64");
	assert_int_equal(udp->peers[1].port, 9001);
	assert_int_equal(udp->peers[1].framing, TUNNEL_RAW);
	assert_int_equal(vxlan->type, TUNNEL_VXLAN);
	assert_string_equal(vxlan->interface, "vx0");
	assert_int_equal(vxlan->id, 16777215);
	assert_int_equal(vxlan->mac[5], 1);
	assert_int_equal(vxlan->mtu, 1400);
	assert_ip(&vxlan->peers[0].address, "fd00::2/128");
	assert_int_equal(vxlan->peers[0].mac[5], 2);
	arena_fini(&a.arena);
	arena_fini(&b.arena);
}

/* what an older version stored, or nobody should have, still loads */
static void misfits(void **state)
{
	static const char *const texts[] = {
		"{}", "{\"metadata\":5,\"spec\":[],\"status\":\"x\"}",
		"{\"spec\":{\"cidrs\":[5,\"x\"],\"ends\":[1,2,3],\"addresses\":{},"
		  "\"destination\":{}},"
		"\"status\":{\"networks\":[4,{\"ips\":\"x\"}],\"conditions\":{}},\"metadata\":{"
		"\"labels\":{\"a\":1},\"resourceVersion\":\"x\",\"annotations\":{"
		"\"podnet.dev/ips\":\",=,x=y\",\"podnet.dev/networks\":\",\"}}}",
	};

	(void)state;
	for (int id = 0; id < KIND_COUNT; id++) {
		for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
			struct decoded d = decode(id, texts[i]);

			assert_string_equal(((struct meta *)d.model)->name, "");
			arena_fini(&d.arena);
		}
	}
}

static void finding(void **state)
{
	char buf[64];

	(void)state;
	for (int id = 0; id < KIND_COUNT; id++) {
		const struct kind *k = &kinds[id];

		assert_int_equal(k->id, id);
		assert_ptr_equal(kind_find(k->group, k->version, k->plural), k);
		assert_ptr_equal(kind_by_store_name(k->store_name), k);
	}
	for (int i = KIND_COUNT; i < KIND_SERVED; i++) {
		const struct kind *k = &kinds[i];

		assert_ptr_equal(kind_find(k->group, k->version, k->plural), k);
		assert_ptr_equal(kind_stored(k), &kinds[k->id]);
		assert_ptr_equal(kind_by_store_name(k->store_name), &kinds[k->id]);
	}
	assert_null(kind_find("", "v2", "pods"));
	assert_null(kind_find("podnet.dev", "v1", "pods"));
	assert_null(kind_by_store_name("networks"));
	assert_string_equal(kind_api_version(&kinds[KIND_POD], buf), "v1");
	assert_string_equal(kind_api_version(&kinds[KIND_VETH], buf), "podnet.dev/v1");
}

static void netns_names(void **state)
{
	struct pod pod = { .meta = { .name = "web", .ns = "default" } }, other;
	char name[254], ns[64], buf[256], again[256];

	(void)state;
	assert_string_equal(pod_netns_name(&pod, buf), "web.default");
	memset(name, 'a', 253);
	name[253] = '\0';
	memset(ns, 'b', 63);
	ns[63] = '\0';
	pod.meta.name = name;
	pod.meta.ns = "b";
	assert_int_equal(strlen(pod_netns_name(&pod, buf)), 255);
	assert_string_equal(buf + 250, "aaa.b");
	pod.meta.ns = ns;
	assert_int_equal(strlen(pod_netns_name(&pod, buf)), 255);
	other = pod;
	other.meta.ns = ns + 1;
	assert_string_not_equal(pod_netns_name(&other, again), buf);
	assert_string_equal(pod_netns_name(&pod, again), buf);
}

static void restamped(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"9\"},\"x\":1}",
		  "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1234\"},\"x\":1}" },
		{ "{\"x\":\"\\u00e9\\n\",\"metadata\":{\"resourceVersion\":\"123456\",\"y\":[\"\\t\"]}}",
		  "{\"x\":\"\\u00e9\\n\",\"metadata\":{\"resourceVersion\":\"1234\",\"y\":[\"\\t\"]}}" },
		{ "{\"metadata\":{\"name\":\"a\"},\"resourceVersion\":\"9\"}", NULL },
		{ "{\"metadata\":{\"resourceVersion\":9}}", NULL },
		{ "{\"metadata\":{\"resourceVersion\":\"1\\u0032\"}}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bytes *was = bytes_new(rows[i].text, strlen(rows[i].text));
		_cleanup_(tape_fini) struct tape tape = { 0 };
		struct bytes *now;
		char why[160];

		assert_int_equal(tape_read(&tape, was->data, was->len, why), 0);
		now = kind_restamp(&tape, was, 1234);
		assert_int_equal(now != NULL, rows[i].want != NULL);
		if (now)
			assert_string_equal(now->data, rows[i].want);
		bytes_unref(now);
		bytes_unref(was);
	}
}

static void failing_allocations(void **state)
{
	(void)state;
	json_set_alloc_funcs(malloc, free);
	for (long k = 1;; k++) {
		struct arena arena = { 0 };
		void *model = NULL;
		int r;

		allocfail_at(k);
		r = kind_decode(&kinds[KIND_POD], pod_text, strlen(pod_text), &arena, &model);
		arena_fini(&arena);
		if (!allocfail_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(model);
	}
	allocfail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meta_of_pod),
		cmocka_unit_test(pod_wishes),
		cmocka_unit_test(pod_ports),
		cmocka_unit_test(pod_state),
		cmocka_unit_test(core_kinds),
		cmocka_unit_test(node_addresses),
		cmocka_unit_test(networks),
		cmocka_unit_test(primitives),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(misfits),
		cmocka_unit_test(finding),
		cmocka_unit_test(netns_names),
		cmocka_unit_test(restamped),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
