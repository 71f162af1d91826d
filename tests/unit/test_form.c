/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_form.c - cells of Tables, ages and bare metadata, by table
 */
#include <lib/testlib.h>
#include <netd/codec/columns.h>
#include <netd/codec/form.h>

static const struct cells_case {
	const struct column *columns;
	const char *object, *want;      /* @want: the cells but for the age, joined by '|' */
} cells_cases[] = {
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"}}", "p|0/0|Unknown|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n\",\"containers\":"
	  "[{},{}],\"readinessGates\":[{\"conditionType\":\"a\"},{\"conditionType\":\"b\"}]},"
	  "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\",\"nominatedNodeName\":\"m\","
	  "\"conditions\":[{\"type\":\"a\",\"status\":\"True\"}],\"containerStatuses\":["
	  "{\"ready\":true,\"restartCount\":2,\"state\":{\"running\":{}}},{\"restartCount\":3,"
	  "\"ready\":true,\"state\":{}}]}}", "p|1/2|Running|5|10.0.0.1|n|m|1/2" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"phase\":\"Pending\","
	  "\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]}}",
	  "p|0/0|ImagePullBackOff|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"phase\":\"Failed\","
	  "\"containerStatuses\":[{\"state\":{\"terminated\":{\"exitCode\":3}}}]}}",
	  "p|0/0|ExitCode:3|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"phase\":\"Failed\","
	  "\"containerStatuses\":[{\"state\":{\"terminated\":{\"signal\":9,\"exitCode\":3}}}]}}",
	  "p|0/0|Signal:9|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"phase\":\"Running\","
	  "\"containerStatuses\":[{\"state\":{\"terminated\":{\"reason\":\"Completed\"}}},"
	  "{\"ready\":true,\"state\":{\"running\":{}}}]}}",
	  "p|1/0|NotReady|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"phase\":\"Failed\",\"reason\":"
	  "\"Evicted\"}}", "p|0/0|Evicted|0|<none>|<none>|<none>|<none>" },
	{ pod_columns, "{\"metadata\":{\"name\":\"p\",\"deletionTimestamp\":\"x\"},\"status\":"
	  "{\"phase\":\"Running\"}}", "p|0/0|Terminating|0|<none>|<none>|<none>|<none>" },
	{ node_columns, "{\"metadata\":{\"name\":\"n\"}}",
	  "n|Unknown|<none>||<none>|<none>|<unknown>|<unknown>|<unknown>" },
	{ node_columns, "{\"metadata\":{\"name\":\"n\",\"labels\":{\"node-role.kubernetes.io/edge\":\"\","
	  "\"kubernetes.io/role\":\"x\",\"other\":\"y\"}},\"spec\":{\"unschedulable\":true},\"status\":{"
	  "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"addresses\":[{\"type\":"
	  "\"Hostname\",\"address\":\"h\"},{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"},{\"type\":"
	  "\"InternalIP\",\"address\":\"fd::1\"},{\"type\":\"ExternalIP\",\"address\":\"198.51.100.1\"}],"
	  "\"nodeInfo\":{\"kubeletVersion\":\"v\",\"osImage\":\"o\",\"kernelVersion\":\"k\","
	  "\"containerRuntimeVersion\":\"r\"}}}",
	  "n|Ready,SchedulingDisabled|edge,x|v|192.0.2.1|198.51.100.1|o|k|r" },
	{ node_columns, "{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
	  "\"status\":\"Unknown\"}]}}",
	  "n|NotReady|<none>||<none>|<none>|<unknown>|<unknown>|<unknown>" },
	{ namespace_columns, "{\"metadata\":{\"name\":\"n\"},\"status\":{\"phase\":\"Active\"}}",
	  "n|Active" },
	{ event_columns, "{\"metadata\":{\"name\":\"e\"},\"type\":\"Normal\",\"reason\":\"R\","
	  "\"message\":\"M\",\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\",\"fieldPath\":\"f\"},"
	  "\"source\":{\"component\":\"netd\",\"host\":\"n\"},\"count\":4}",
	  "<unknown>|Normal|R|pod/p|f|netd, n|M|<unknown>|4|e" },
	{ service_columns, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"ClusterIP\","
	  "\"clusterIP\":\"10.96.0.1\",\"selector\":{\"b\":\"2\",\"a\":\"1\"},\"ports\":[{\"port\":80,"
	  "\"protocol\":\"TCP\"},{\"port\":53,\"protocol\":\"UDP\"}],\"externalIPs\":[\"192.0.2.1\"]}}",
	  "s|ClusterIP|10.96.0.1|192.0.2.1|80/TCP,53/UDP|a=1,b=2" },
	{ service_columns, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"NodePort\","
	  "\"clusterIP\":\"None\",\"ports\":[{\"port\":80,\"nodePort\":30080}]}}",
	  "s|NodePort|None|<none>|80:30080/TCP|<none>" },
	{ service_columns, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"LoadBalancer\","
	  "\"clusterIP\":\"10.96.0.1\"}}", "s|LoadBalancer|10.96.0.1|<pending>|<none>|<none>" },
	{ service_columns, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"LoadBalancer\","
	  "\"externalIPs\":[\"192.0.2.1\"]},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":"
	  "\"198.51.100.1\"},{\"hostname\":\"h\"}]}}}",
	  "s|LoadBalancer|<none>|198.51.100.1,h,192.0.2.1|<none>|<none>" },
	{ service_columns, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"ExternalName\","
	  "\"externalName\":\"example.org\"}}", "s|ExternalName|<none>|example.org|<none>|<none>" },
	{ slice_columns, "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"IPv4\",\"ports\":[{\"port\":1},"
	  "{\"name\":\"x\"},{},{\"port\":4},{\"port\":5}],\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]},"
	  "{\"addresses\":[\"10.0.0.2\",\"10.0.0.3\"]},{\"addresses\":[\"10.0.0.4\"]}]}",
	  "s|IPv4|1,x,* + 2 more...|10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..." },
	{ slice_columns, "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"IPv6\",\"ports\":[],"
	  "\"endpoints\":[]}", "s|IPv6|<unset>|<unset>" },
	{ endpoints_columns, "{\"metadata\":{\"name\":\"s\"},\"subsets\":[{\"addresses\":[{\"ip\":"
	  "\"10.0.0.1\"},{\"ip\":\"fd::1\"}],\"ports\":[{\"port\":80},{\"port\":443}]}]}",
	  "s|10.0.0.1:80,[fd::1]:80,10.0.0.1:443 + 1 more..." },
	{ endpoints_columns, "{\"metadata\":{\"name\":\"s\"},\"subsets\":[{\"addresses\":[{\"ip\":"
	  "\"10.0.0.1\"}]}]}", "s|10.0.0.1" },
	{ endpoints_columns, "{\"metadata\":{\"name\":\"s\"}}", "s|<none>" },
	{ policy_columns, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"podSelector\":{}}}", "n|<none>" },
	{ policy_columns, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"podSelector\":{\"matchLabels\":"
	  "{\"b\":\"\",\"a\":\"1\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"In\",\"values\":"
	  "[\"z\",\"y\"]},{\"key\":\"d\",\"operator\":\"NotIn\",\"values\":[\"x\"]},{\"key\":\"e\","
	  "\"operator\":\"Exists\"},{\"key\":\"f\",\"operator\":\"DoesNotExist\"}]}}}",
	  "n|a=1,b=,c in (y,z),d notin (x),e,!f" },
	{ network_columns, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"cidrs\":[\"10.0.0.0/8\","
	  "\"fd00::/48\"],\"masquerade\":false,\"mtu\":1400},\"status\":{\"blocks\":[{\"nodeName\":"
	  "\"a\",\"cidr\":\"10.0.0.0/24\"},{\"nodeName\":\"b\",\"cidr\":\"10.0.1.0/24\"}],"
	  "\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}}",
	  "n|routed|10.0.0.0/8,fd00::/48|false|False|a: 10.0.0.0/24,b: 10.0.1.0/24|1400" },
	{ netns_columns, "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"path\":\"pid:5\"}}",
	  "n|pid:5|Unknown|<none>" },
	{ bridge_columns, "{\"metadata\":{\"name\":\"br0\"},\"spec\":{\"addresses\":[\"10.0.0.1/24\"]}}",
	  "br0|br0|<node>|10.0.0.1/24|Unknown|<auto>|<none>" },
	{ route_columns, "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"destination\":\"default\","
	  "\"gateway\":\"10.0.0.1\",\"interface\":\"eth0\",\"networkNamespace\":\"con\",\"metric\":7}}",
	  "r|default|10.0.0.1,eth0|con|Unknown|254|7|<none>" },
	{ route_columns, "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"destination\":\"10.0.0.0/8\","
	  "\"type\":\"blackhole\"}}", "r|10.0.0.0/8|blackhole|<node>|Unknown|254|0|<none>" },
	{ tunnel_columns, "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"type\":\"udp\",\"local\":"
	  "\"10.0.0.1\",\"port\":9000,\"addresses\":[\"172.16.0.1/24\"],\"peers\":[{\"address\":"
	  "\"10.0.0.2\"},{\"address\":\"10.0.0.3\"}]}}",
	  "t|udp|t|172.16.0.1/24|10.0.0.2,10.0.0.3|Unknown|10.0.0.1|9000|<auto>|<none>" },
};

static void cells(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cells_cases); i++) {
		const struct cells_case *k = &cells_cases[i];
		_cleanup_(doc_freep) struct doc *doc = NULL;
		struct buf out = { 0 };
		char why[160] = "";

		assert_int_equal(doc_parse(k->object, strlen(k->object), &doc, why), 0);
		for (const struct column *c = k->columns; c->name; c++) {
			if (c->cell == cell_age)
				continue;
			if (c != k->columns)
				buf_add(&out, "|", 1);
			column_text(c, doc, &out);
		}
		buf_add(&out, "", 1);
		if (strcmp(out.data, k->want) != 0)
			fail_msg("row %zu: got %s, want %s", i, out.data, k->want);
		buf_fini(&out);
	}
}

static void ages(void **state)
{
	enum { M = 60, H = 60 * M, D = 24 * H, Y = 365 * D };
	static const struct { int64_t s; const char *want; } table[] = {
		{ -2, "<invalid>" }, { -1, "0s" }, { 0, "0s" }, { 119, "119s" }, { 120, "2m" },
		{ 121, "2m1s" }, { 10 * M - 1, "9m59s" }, { 10 * M, "10m" }, { 3 * H - 1, "179m" },
		{ 3 * H, "3h" }, { 3 * H + M, "3h1m" }, { 8 * H, "8h" }, { 2 * D - 1, "47h" },
		{ 2 * D, "2d" }, { 2 * D + H, "2d1h" }, { 8 * D - 1, "7d23h" }, { 8 * D + H, "8d" },
		{ 2ll * Y - 1, "729d" }, { 2ll * Y, "2y" }, { 2ll * Y + D, "2y1d" },
		{ 8ll * Y + D, "8y" }, { 100ll * Y, "100y" },
	};
	char buf[24];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_string_equal(duration_human(table[i].s, buf), table[i].want);
}

#define OBJECT "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"," \
	       "\"resourceVersion\":\"7\"},\"status\":{\"phase\":\"Active\"}}"
#define PARTIAL "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\"," \
		"\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"7\"}}"
#define ROW "{\"cells\":[\"n\",\"Active\",\"<unknown>\"],\"object\":"

static void forms(void **state)
{
	static const struct {
		struct form form;
		const char *want;
	} table[] = {
		{ { .type = FORM_PLAIN }, OBJECT },
		{ { .type = FORM_METADATA, .version = "v1" }, PARTIAL },
		{ { FORM_TABLE, INCLUDE_NONE, "v1beta1" },
		  "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1beta1\",\"metadata\":{"
		  "\"resourceVersion\":\"7\"},\"columnDefinitions\":null,\"rows\":[" ROW "null}]}" },
		{ { FORM_TABLE, INCLUDE_METADATA, "v1" },
		  "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
		  "\"resourceVersion\":\"7\"},\"columnDefinitions\":null,\"rows\":[" ROW PARTIAL
		  "}]}" },
		{ { FORM_TABLE, INCLUDE_OBJECT, "v1" },
		  "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
		  "\"resourceVersion\":\"7\"},\"columnDefinitions\":null,\"rows\":[" ROW OBJECT
		  "}]}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_(bytes_unrefp) struct bytes *object = bytes_new(OBJECT, strlen(OBJECT));
		_cleanup_(bytes_unrefp) struct bytes *got = NULL;

		assert_non_null(object);
		got = form_object(&table[i].form, &kinds[KIND_NAMESPACE], object, false);
		assert_non_null(got);
		assert_string_equal(got->data, table[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells), cmocka_unit_test(ages), cmocka_unit_test(forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
