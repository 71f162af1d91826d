/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_services.c - Service, EndpointSlice, Endpoints, NetworkPolicy: defaults, checks, structs
 */
#include <netd/codec/kind.h>
#include "check_rows.h"
#include <netd/model/selector.h>
#include <netinet/in.h>

#define SPEC(more) "{'spec':{" more "}}"
#define NODE_PORT_TYPE "'type':'NodePort'"
#define ONE_PORT "'ports':[{'port':80}]"
#define PLAIN(more) SPEC("'type':'ClusterIP'," ONE_PORT "," more)
#define BALANCER(more) SPEC("'type':'LoadBalancer'," ONE_PORT "," more)
#define PORTS(more) SPEC("'ports':[" more "]")
#define EXTERNAL(more) SPEC("'type':'ExternalName','ports':null,'sessionAffinity':null" more)

static const struct check_case cases[] = {
	/* names and ports */
	{ KIND_SERVICE, "{}", "", NULL },
	{ KIND_SERVICE, "{'metadata':{'name':'1a'}}", "Invalid metadata.name Invalid value: \"1a\": a "
	  "DNS-1035 label", NULL },
	{ KIND_SERVICE, "{'metadata':{'name':'a.b'}}", "Invalid metadata.name Invalid value: \"a.b\"",
	  NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'a=3, b=256'}}}", "", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'a=0'}}}",
	  "Invalid metadata.annotations[podnet.dev/weights] Invalid value: \"a=0\"", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'a'}}}",
	  "Invalid metadata.annotations[podnet.dev/weights]", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'a=1, ab=2, a=1, c=1,ab=3'}}}",
	  "Duplicate metadata.annotations[podnet.dev/weights] Duplicate value: \"a\"|"
	  "Duplicate metadata.annotations[podnet.dev/weights] Duplicate value: \"ab\"", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':''}}}", "", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'web-1.a=1, Web_1=2, b =3'}}}",
	  "Invalid metadata.annotations[podnet.dev/weights] Invalid value: \"Web_1\": no Pod can have this name|"
	  "Invalid metadata.annotations[podnet.dev/weights] Invalid value: \"b \": no Pod can have this name", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/algorithm':'rr'}}}",
	  "NotSupported metadata.annotations[podnet.dev/algorithm] Unsupported value: \"rr\": "
	  "supported values: \"maglev\"", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/wieghts':'a=1'}}}",
	  "Forbidden metadata.annotations[podnet.dev/wieghts]", NULL },
	{ KIND_SERVICE, "{'spec':null}", "Required spec.ports Required value", NULL },
	{ KIND_SERVICE, SPEC("'ports':[]"), "Required spec.ports Required value", NULL },
	{ KIND_SERVICE, SPEC("'ports':'x'"), "Type spec.ports Invalid value: \"x\"", NULL },
	{ KIND_SERVICE, PORTS("{'port':80},{'name':'b','port':81}"),
	  "Required spec.ports[0].name Required value", NULL },
	{ KIND_SERVICE, PORTS("{'name':'a','port':80},{'name':'a','port':81}"),
	  "Duplicate spec.ports[1].name Duplicate value: \"a\"", NULL },
	{ KIND_SERVICE, PORTS("{'name':'a','port':80},{'name':'b','port':80}"),
	  "Duplicate spec.ports[1] Duplicate value: 80", NULL },
	{ KIND_SERVICE, PORTS("{'name':'a','port':80},{'name':'b','port':80,'protocol':'UDP'}"), "",
	  NULL },
	{ KIND_SERVICE, PORTS("{'name':'a','port':80,'nodePort':30001},{'name':'b','port':81,"
	  "'nodePort':30001}"), "Duplicate spec.ports[1].nodePort Duplicate value: 30001", NULL },
	{ KIND_SERVICE, PORTS("{'name':'a','port':80,'nodePort':30001},{'name':'b','port':81,"
	  "'nodePort':30001,'protocol':'UDP'}"), "", NULL },
	{ KIND_SERVICE, PORTS("{}"), "Required spec.ports[0].port Required value", NULL },
	{ KIND_SERVICE, PORTS("{'port':0}"), "Invalid spec.ports[0].port Invalid value: 0|"
	  "Invalid spec.ports[0].targetPort", NULL },
	{ KIND_SERVICE, PORTS("{'port':'80'}"), "Type spec.ports[0].port Invalid value: \"80\"", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'protocol':'ICMP'}"),
	  "NotSupported spec.ports[0].protocol Unsupported value: \"ICMP\"", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'targetPort':'8080'}"),
	  "Invalid spec.ports[0].targetPort Invalid value: \"8080\": must contain at least one", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'targetPort':70000}"),
	  "Invalid spec.ports[0].targetPort Invalid value: 70000", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'targetPort':true}"), "Type spec.ports[0].targetPort", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'targetPort':''}"), "", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'name':'A_'}"), "Invalid spec.ports[0].name", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'appProtocol':'a b'}"), "Invalid spec.ports[0].appProtocol",
	  NULL },
	{ KIND_SERVICE, SPEC("'type':'ClusterIP'"), "Forbidden spec.ports[0].nodePort Forbidden: may "
	  "not be used when type is 'ClusterIP'", NULL },
	{ KIND_SERVICE, SPEC("'type':'Other'"), "NotSupported spec.type Unsupported value: \"Other\"|"
	  "Forbidden spec.ports[0].nodePort", NULL },
	{ KIND_SERVICE, SPEC("'selector':{'a':'x y'}"), "Invalid spec.selector Invalid value: \"x y\"",
	  NULL },
	{ KIND_SERVICE, "{'metadata':{'name':'a234567890a234567890a234567890a234567890a234567890a234567890a234'}}",
	  "Invalid metadata.name", NULL },
	{ KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/load-balancer-ips':'192.0.2.1,192.0.2.2'}}}",
	  "Invalid metadata.annotations[podnet.dev/load-balancer-ips]", NULL },
	{ KIND_SERVICE, PORTS("{'port':65536}"), "Invalid spec.ports[0].port Invalid value: 65536|"
	  "Invalid spec.ports[0].targetPort", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'nodePort':-1}"), "Invalid spec.ports[0].nodePort Invalid value: -1", NULL },
	{ KIND_SERVICE, PORTS("{'port':80,'nodePort':65536}"), "Invalid spec.ports[0].nodePort Invalid value: 65536",
	  NULL },
	{ KIND_SERVICE, PORTS("{'port':80.5}"), "Type spec.ports[0].port", NULL },
	{ KIND_SERVICE, SPEC("'selector':{'a b':'x'}"), "Invalid spec.selector Invalid value: \"a b\"", NULL },
	{ KIND_SERVICE, SPEC("'selector':['a']"), "Type spec.selector", NULL },
	{ KIND_SERVICE, SPEC("'publishNotReadyAddresses':'yes'"), "Type spec.publishNotReadyAddresses", NULL },
	/* addresses and families */
	{ KIND_SERVICE, PLAIN("'clusterIP':'10.96.0.0/24'"), "Invalid spec.clusterIPs[0]", NULL },
	{ KIND_SERVICE, PLAIN("'externalIPs':'192.0.2.1'"), "Type spec.externalIPs", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerClass':'a b'"), "Invalid spec.loadBalancerClass", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerSourceRanges':['10.0.0.0/33']"),
	  "Invalid spec.loadBalancerSourceRanges[0]", NULL },
	{ KIND_SERVICE, SPEC("'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':'5'}}"),
	  "Type spec.sessionAffinityConfig.clientIP.timeoutSeconds", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIP':'10.96.0.9'"), "", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.8']"),
	  "Invalid spec.clusterIPs Invalid value: \"10.96.0.8\": element [0] must match clusterIP",
	  NULL },
	{ KIND_SERVICE, PLAIN("'clusterIP':'x'"),
	  "Invalid spec.clusterIPs[0] Invalid value: \"x\": must be empty, 'None', or", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIP':'None'"), "", NULL },
	{ KIND_SERVICE, SPEC("'type':'ClusterIP','ports':null,'clusterIP':'None'"), "", NULL },
	{ KIND_SERVICE, SPEC("'clusterIP':'None'"), "Invalid spec.clusterIPs[0] Invalid value: "
	  "\"None\": may not be set to 'None' for NodePort services", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['None','10.0.0.1']"), "Invalid spec.clusterIPs Invalid "
	  "value: [\"None\",\"10.0.0.1\"]: 'None' must be", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['10.96.0.9','None']"),
	  "Invalid spec.clusterIPs[1] Invalid value: \"None\": must be a valid IP", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['1.1.1.1','fd00::1','1.1.1.2']"),
	  "TooMany spec.clusterIPs Too many: 3", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['10.96.0.9','10.96.0.8']"), "Invalid spec.clusterIPs Invalid value: "
	  "[\"10.96.0.9\",\"10.96.0.8\"]: may specify no more than one IP for each IP family", NULL },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['fd00::1','fd00::1']"), "Duplicate spec.clusterIPs[1] Duplicate value|"
	  "Invalid spec.clusterIPs Invalid value: ", NULL },
	{ KIND_SERVICE, PLAIN("'ipFamilies':['IPv6'],'clusterIP':'10.96.0.9'"),
	  "Invalid spec.clusterIPs[0] Invalid value: \"10.96.0.9\": expected an IPv6 value", NULL },
	{ KIND_SERVICE, PLAIN("'ipFamilies':['IPv4','IPv4']"), "Duplicate spec.ipFamilies[1]", NULL },
	{ KIND_SERVICE, PLAIN("'ipFamilies':['IPv5']"), "NotSupported spec.ipFamilies[0]", NULL },
	{ KIND_SERVICE, PLAIN("'ipFamilies':['IPv4','IPv6'],'ipFamilyPolicy':'SingleStack'"),
	  "Invalid spec.ipFamilyPolicy Invalid value: \"SingleStack\"", NULL },
	{ KIND_SERVICE, PLAIN("'ipFamilyPolicy':'Both'"), "NotSupported spec.ipFamilyPolicy", NULL },
	/* outside */
	{ KIND_SERVICE, EXTERNAL(""), "Required spec.externalName Required value", NULL },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'example.com.'"), "", NULL },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'a_b'"), "Invalid spec.externalName Invalid value: "
	  "\"a_b\"", NULL },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'a.b','clusterIP':'None','ipFamilies':['IPv4']"),
	  "Forbidden spec.clusterIP Forbidden: may not be set for ExternalName services|"
	  "Forbidden spec.clusterIPs|Forbidden spec.ipFamilies", NULL },
	{ KIND_SERVICE, PLAIN("'externalTrafficPolicy':'Local'"), "Invalid spec.externalTrafficPolicy "
	  "Invalid value: \"Local\": may only be set for externally-accessible services", NULL },
	{ KIND_SERVICE, PLAIN("'externalTrafficPolicy':'Local','externalIPs':['192.0.2.1']"), "", NULL },
	{ KIND_SERVICE, SPEC("'externalTrafficPolicy':'Near','internalTrafficPolicy':'Far'"),
	  "NotSupported spec.internalTrafficPolicy|NotSupported spec.externalTrafficPolicy", NULL },
	{ KIND_SERVICE, PLAIN("'externalIPs':['127.0.0.1','169.254.1.1','ff02::1','0.0.0.0','x']"),
	  "Invalid spec.externalIPs[4] Invalid value: \"x\"|"
	  "Invalid spec.externalIPs[0] Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)|"
	  "Invalid spec.externalIPs[1] Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)|"
	  "Invalid spec.externalIPs[2] Invalid value: \"ff02::1\": may not be a multicast|"
	  "Invalid spec.externalIPs[3] Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0 or ::)", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerSourceRanges':['10.0.0.1/8','fd00::/8'],"
	  "'loadBalancerClass':'a.b/c','externalTrafficPolicy':'Local','healthCheckNodePort':30500"),
	  "", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerSourceRanges':[' 10.0.0.0/8 ','\\tfd00::/8']"), "", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerSourceRanges':['10.0.0 .0/8']"),
	  "Invalid spec.loadBalancerSourceRanges[0]", NULL },
	{ KIND_SERVICE, BALANCER("'loadBalancerSourceRanges':['10.0.0.1']"),
	  "Invalid spec.loadBalancerSourceRanges[0]", NULL },
	{ KIND_SERVICE, BALANCER("'healthCheckNodePort':30500"), "Invalid spec.healthCheckNodePort",
	  NULL },
	{ KIND_SERVICE, SPEC("'loadBalancerSourceRanges':['10.0.0.0/8'],'loadBalancerClass':'a/b',"
	  "'allocateLoadBalancerNodePorts':false"), "Forbidden spec.loadBalancerSourceRanges|Forbidden "
	  "spec.loadBalancerClass|Forbidden spec.allocateLoadBalancerNodePorts", NULL },
	/* affinity, distribution */
	{ KIND_SERVICE, SPEC("'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':0}}"),
	  "Invalid spec.sessionAffinityConfig.clientIP.timeoutSeconds", NULL },
	{ KIND_SERVICE, SPEC("'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':86401}}"),
	  "Invalid spec.sessionAffinityConfig.clientIP.timeoutSeconds", NULL },
	{ KIND_SERVICE, SPEC("'sessionAffinity':'None','sessionAffinityConfig':{'clientIP':"
	  "{'timeoutSeconds':0}}"), "", NULL },
	{ KIND_SERVICE, SPEC("'sessionAffinity':'Cookie'"), "NotSupported spec.sessionAffinity", NULL },
	{ KIND_SERVICE, SPEC("'trafficDistribution':'PreferClose'"), "", NULL },
	{ KIND_SERVICE, SPEC("'trafficDistribution':'Best'"), "NotSupported spec.trafficDistribution",
	  NULL },
	/* updates */
	{ KIND_SERVICE, SPEC("'clusterIP':'10.96.0.9'"), "", SPEC("'clusterIP':'10.96.0.9'") },
	{ KIND_SERVICE, SPEC("'clusterIP':'10.96.0.8'"), "Invalid spec.clusterIPs[0] Invalid value: "
	  "\"10.96.0.8\": may not change once set", SPEC("'clusterIP':'10.96.0.9'") },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'a.b'"), "", SPEC("'clusterIP':'10.96.0.9'") },
	{ KIND_SERVICE, SPEC("'clusterIPs':['10.96.0.9'],'ipFamilies':['IPv4']"), "",
	  SPEC("'clusterIPs':['10.96.0.9','fd00::9'],'ipFamilies':['IPv4','IPv6']") },
	{ KIND_SERVICE, SPEC("'clusterIPs':['10.96.0.9','fd00::8']"), "Invalid spec.clusterIPs[1] "
	  "Invalid value: \"fd00::8\": may not change", SPEC("'clusterIPs':['10.96.0.9','fd00::9']") },
	{ KIND_SERVICE, SPEC("'ipFamilies':['IPv6']"), "Invalid spec.ipFamilies[0] Invalid value: "
	  "\"IPv6\": may not change", SPEC("'ipFamilies':['IPv4']") },
	{ KIND_SERVICE, BALANCER("'loadBalancerClass':'a/c'"), "Invalid spec.loadBalancerClass Invalid "
	  "value: \"a/c\": may not change", BALANCER("'loadBalancerClass':'a/b'") },
	{ KIND_SERVICE, BALANCER("'externalTrafficPolicy':'Local','healthCheckNodePort':30001"),
	  "Invalid spec.healthCheckNodePort Invalid value: 30001: field is immutable",
	  BALANCER("'externalTrafficPolicy':'Local','healthCheckNodePort':30002") },
	/* slices */
	{ KIND_ENDPOINT_SLICE, "{}", "", NULL },
	{ KIND_ENDPOINT_SLICE, "{'endpoints':null,'ports':null}", "", NULL },
	{ KIND_ENDPOINT_SLICE, "{'addressType':null}", "Required addressType Required value", NULL },
	{ KIND_ENDPOINT_SLICE, "{'addressType':'FQDN'}", "NotSupported addressType", NULL },
	{ KIND_ENDPOINT_SLICE, "{'addressType':'IPv6'}", "Invalid endpoints[0].addresses[0] Invalid "
	  "value: \"192.0.2.10\": must be an IPv6 address", NULL },
	{ KIND_ENDPOINT_SLICE, "{'addressType':'IPv6','endpoints':[{'addresses':['fd00::1']}]}",
	  "Invalid addressType Invalid value: \"IPv6\": field is immutable", "{}" },
	{ KIND_ENDPOINT_SLICE, "{'endpoints':[{}]}", "Required endpoints[0].addresses Required", NULL },
	{ KIND_ENDPOINT_SLICE, "{'endpoints':[{'addresses':[]}]}", "Required endpoints[0].addresses",
	  NULL },
	{ KIND_ENDPOINT_SLICE, "{'endpoints':[{'addresses':['127.0.0.1','192.0.2.1','192.0.2.1']}]}",
	  "Duplicate endpoints[0].addresses[2]|Invalid endpoints[0].addresses[0] Invalid value: "
	  "\"127.0.0.1\": may not be in the loopback", NULL },
	{ KIND_ENDPOINT_SLICE, "{'endpoints':[{'addresses':['192.0.2.1'],'hostname':'a.b','conditions':"
	  "{'ready':'yes'}}]}", "Type endpoints[0].conditions.ready|Invalid endpoints[0].hostname",
	  NULL },
	{ KIND_ENDPOINT_SLICE, "{'ports':[{'port':1},{'port':2}]}",
	  "Duplicate ports[1].name Duplicate value: \"\"", NULL },
	{ KIND_ENDPOINT_SLICE, "{'ports':[{'port':0,'protocol':'X'}]}",
	  "NotSupported ports[0].protocol|Invalid ports[0].port", NULL },
	{ KIND_ENDPOINTS, "{}", "", NULL },
	{ KIND_ENDPOINTS, "{'subsets':null}", "", NULL },
	{ KIND_ENDPOINTS, "{'subsets':[{}]}", "Required subsets[0] Required value: must specify `a", NULL },
	{ KIND_ENDPOINTS, "{'subsets':[{'addresses':[{'ip':'x'}],'notReadyAddresses':[{},{'ip':"
	  "'127.0.0.1'}],'ports':[{}]}]}", "Invalid subsets[0].addresses[0].ip|Required "
	  "subsets[0].notReadyAddresses[0].ip|Required subsets[0].ports[0].port|Invalid "
	  "subsets[0].notReadyAddresses[1].ip Invalid value: \"127.0.0.1\"", NULL },
	/* policies */
	{ KIND_NETWORK_POLICY, "{}", "", NULL },
	{ KIND_NETWORK_POLICY, "{'spec':null}", "", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'policyTypes':['Ingress','Ingress']"), "Duplicate spec.policyTypes"
	  "[1]", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'policyTypes':['In']"), "NotSupported spec.policyTypes[0]", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'ingress':[{}],'egress':[{}]"), "", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'ingress':[{'from':[{}]}]"), "Required spec.ingress[0].from[0] "
	  "Required value: must specify a peer", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'egress':[{'to':[{'podSelector':{},'ipBlock':{'cidr':'10.0.0.0/8'"
	  "}}]}]"), "Forbidden spec.egress[0].to[0] Forbidden: may not specify both ipBlock", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'egress':[{'to':[{'ipBlock':{'cidr':'10.0.0.1'}},{'ipBlock':{}}]}]"),
	  "Invalid spec.egress[0].to[0].ipBlock.cidr|Required spec.egress[0].to[1].ipBlock.cidr", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'egress':[{'to':[{'ipBlock':{'cidr':'10.0.0.1/8','except':["
	  "'10.0.0.0/8','10.1.0.0/16','11.0.0.0/16','fd00::/16','x']}}]}]"),
	  "Invalid spec.egress[0].to[0].ipBlock.except[4]|"
	  "Invalid spec.egress[0].to[0].ipBlock.except[0] Invalid value: \"10.0.0.0/8\": must be a s|"
	  "Invalid spec.egress[0].to[0].ipBlock.except[2]|Invalid spec.egress[0].to[0].ipBlock.except[3]",
	  NULL },
	{ KIND_NETWORK_POLICY, SPEC("'ingress':[{'ports':[{'port':0},{'port':'80'},{'endPort':5},"
	  "{'port':'a','endPort':5},{'port':9,'endPort':8},{'protocol':'X'},{'port':9,'endPort':9}]}]"),
	  "Invalid spec.ingress[0].ports[0].port|Invalid spec.ingress[0].ports[1].port|"
	  "NotSupported spec.ingress[0].ports[5].protocol|"
	  "Invalid spec.ingress[0].ports[2].endPort Invalid value: 5: may not be specified when `p|"
	  "Invalid spec.ingress[0].ports[3].endPort Invalid value: 5: may not be specified when `p|"
	  "Invalid spec.ingress[0].ports[4].endPort Invalid value: 8: must be greater", NULL },
	{ KIND_NETWORK_POLICY, SPEC("'podSelector':{'matchLabels':{'a':'x y'},'matchExpressions':["
	  "{'key':'a','operator':'In','values':[]},{'key':'a','operator':'Exists','values':['x']},"
	  "{'key':'a','operator':'Like'},{'operator':'Exists'},{'key':'b','operator':'NotIn',"
	  "'values':['-']}]}"),
	  "Required spec.podSelector.matchExpressions[3].key|Invalid spec.podSelector.matchLabels|"
	  "Required spec.podSelector.matchExpressions[0].values|"
	  "Forbidden spec.podSelector.matchExpressions[1].values|"
	  "Invalid spec.podSelector.matchExpressions[2].operator|"
	  "Invalid spec.podSelector.matchExpressions[4].values[0]", NULL },
};

static void bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_check(&cases[i]);
}

static const struct default_case defaults[] = {
	{ KIND_SERVICE, "{'spec':{'type':null}}", "spec.type", "ClusterIP" },
	{ KIND_SERVICE, "{}", "spec.ports[0].protocol", "TCP" },
	{ KIND_SERVICE, "{}", "spec.ports[0].targetPort", "http" },
	{ KIND_SERVICE, "{}", "spec.internalTrafficPolicy", "Cluster" },
	{ KIND_SERVICE, "{}", "spec.externalTrafficPolicy", "Cluster" },
	{ KIND_SERVICE, PLAIN("'a':1"), "spec.externalTrafficPolicy", NULL },
	{ KIND_SERVICE, PLAIN("'externalIPs':['192.0.2.1']"), "spec.externalTrafficPolicy", "Cluster" },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'a.b'"), "spec.internalTrafficPolicy", NULL },
	{ KIND_SERVICE, EXTERNAL(",'externalName':'a.b'"), "spec.sessionAffinity", "None" },
	{ KIND_SERVICE, PLAIN("'clusterIP':'10.96.0.9'"), "spec.clusterIPs[0]", "10.96.0.9" },
	{ KIND_SERVICE, PLAIN("'clusterIPs':['10.96.0.9']"), "spec.clusterIP", "10.96.0.9" },
	{ KIND_ENDPOINT_SLICE, "{}", "ports[0].protocol", "TCP" },
	{ KIND_ENDPOINTS, "{}", "subsets[0].ports[0].protocol", "TCP" },
	{ KIND_NETWORK_POLICY, "{'spec':{'policyTypes':null}}", "spec.policyTypes[1]", "Egress" },
	{ KIND_NETWORK_POLICY, "{'spec':{'policyTypes':null,'egress':[]}}", "spec.policyTypes[0]",
	  "Ingress" },
	{ KIND_NETWORK_POLICY, "{'spec':{'policyTypes':null,'egress':[]}}", "spec.policyTypes[1]", NULL },
	{ KIND_NETWORK_POLICY, "{}", "spec.ingress[0].ports[0].protocol", "TCP" },
};

/* More than a port's backends may weigh in all: podnet/service.h. */
static void weights_in_all(void **state)
{
	static const char path[] = "metadata.annotations[\"podnet.dev/weights\"]";
	char text[256 * 12] = "";
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 256; i++) {
		_cleanup_(doc_freep) struct doc *doc = NULL;
		struct causes causes = { 0 };

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%sp%d=256", i ? "," : "", i);
		if (i < 254)
			continue;
		doc = patched(KIND_SERVICE, "{}");
		assert_int_equal(doc_set_str(doc, path, text), 0);
		kind_check(&kinds[KIND_SERVICE], doc, NULL, &causes);
		assert_int_equal(causes.n, i == 255);
		if (causes.n)
			assert_string_equal(causes.v[0].message, "Invalid value: 65536: the sum of the weights "
					    "must be at most 65524");
		if (causes.n)
			assert_string_equal(causes.v[0].field, "metadata.annotations[podnet.dev/weights]");
		causes_fini(&causes);
	}
}

static void defaulting(void **state)
{
	_cleanup_(doc_freep) struct doc *lb = patched(KIND_SERVICE, BALANCER("'a':1"));
	_cleanup_(doc_freep) struct doc *slice = patched(KIND_ENDPOINT_SLICE,
							 "{'endpoints':null,'ports':null}");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		run_default(&defaults[i]);
	assert_int_equal(kinds[KIND_SERVICE].defaults(lb), 0);
	assert_int_equal(doc_int(lb, "spec.ports[0].targetPort", 0), 80);
	assert_true(doc_bool(lb, "spec.allocateLoadBalancerNodePorts", false));
	assert_int_equal(doc_int(lb, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", 0), 10800);
	assert_true(doc_has(lb, "status.loadBalancer"));
	assert_int_equal(kinds[KIND_ENDPOINT_SLICE].defaults(slice), 0);
	assert_true(doc_has(slice, "endpoints") && doc_has(slice, "ports"));
}

static const void *decoded(enum kind_id id, const char *patch, struct arena *arena)
{
	_cleanup_(doc_freep) struct doc *doc = patched(id, patch);
	void *model;

	assert_int_equal(kinds[id].defaults(doc), 0);
	model = kind_decode_doc(&kinds[id], doc, arena);
	assert_non_null(model);
	return model;
}

static void service_struct(void **state)
{
	struct arena arena = { 0 };
	const struct service *svc = decoded(KIND_SERVICE, SPEC("'clusterIPs':['10.96.0.9','fd00::9'],"
		"'ipFamilies':['IPv4','IPv6'],'ipFamilyPolicy':'PreferDualStack',"
		"'internalTrafficPolicy':'Local'"), &arena);

	(void)state;
	assert_int_equal(svc->type, SERVICE_NODE_PORT);
	assert_int_equal(svc->ncluster_ips, 2);
	assert_int_equal(svc->cluster_ips[1].family, AF_INET6);
	assert_int_equal(svc->nfamilies, 2);
	assert_int_equal(svc->families[1], FAMILY_IPV6);
	assert_int_equal(svc->family_policy, POLICY_PREFER_DUAL);
	assert_int_equal(svc->internal_policy, TRAFFIC_LOCAL);
	assert_int_equal(svc->external_policy, TRAFFIC_CLUSTER);
	assert_true(svc->client_ip_affinity && svc->affinity_s == 10800 && !svc->headless);
	assert_int_equal(svc->nports, 2);
	assert_string_equal(svc->ports[0].target.name, "http");
	assert_int_equal(svc->ports[0].node_port, 30080);
	assert_int_equal(svc->ports[1].target.number, 5353);
	assert_int_equal(svc->ports[1].protocol, PORT_UDP);
	assert_string_equal(svc->selector[0].key, "app");
	svc = decoded(KIND_SERVICE, PLAIN("'clusterIP':'None'"), &arena);
	assert_true(svc->headless && svc->ncluster_ips == 0);
	arena_fini(&arena);
}

static void slice_struct(void **state)
{
	struct arena arena = { 0 };
	const struct endpoint_slice *slice = decoded(KIND_ENDPOINT_SLICE, "{}", &arena);

	(void)state;
	assert_string_equal(slice->service, "outside");
	assert_int_equal(slice->nendpoints, 1);
	assert_true(slice->endpoints[0].ready && slice->endpoints[0].serving);
	assert_false(slice->endpoints[0].terminating);
	assert_string_equal(slice->endpoints[0].node_name, "node1");
	assert_string_equal(slice->endpoints[0].target_uid, "1-2");
	assert_int_equal(slice->ports[0].port, 8080);
	slice = decoded(KIND_ENDPOINT_SLICE, "{'endpoints':[{'addresses':['192.0.2.1'],'conditions':"
			"{'ready':false,'terminating':true}}]}", &arena);
	assert_false(slice->endpoints[0].ready);
	assert_true(slice->endpoints[0].serving && slice->endpoints[0].terminating);
	arena_fini(&arena);
}

static void policy_struct(void **state)
{
	struct arena arena = { 0 };
	const struct network_policy *np = decoded(KIND_NETWORK_POLICY, "{}", &arena);

	(void)state;
	assert_true(np->pods && np->isolates_ingress && np->isolates_egress);
	assert_string_equal(np->pods->v[0].values[0], "web");
	assert_int_equal(np->ningress, 1);
	assert_int_equal(np->ingress[0].npeers, 2);
	assert_non_null(np->ingress[0].peers[0].pods);
	assert_null(np->ingress[0].peers[0].namespaces);
	assert_int_equal(np->ingress[0].peers[0].pods->v[0].op, REQ_IN);
	assert_string_equal(np->ingress[0].peers[0].pods->v[0].values[0], "front");
	assert_non_null(np->ingress[0].peers[1].namespaces);
	assert_int_equal(np->ingress[0].peers[1].namespaces->n, 0);
	assert_string_equal(np->ingress[0].ports[0].port.name, "http");
	assert_int_equal(np->ingress[0].ports[1].end_port, 8010);
	assert_int_equal(np->egress[0].peers[0].cidr.len, 8);
	assert_int_equal(np->egress[0].peers[0].nexcept, 1);
	np = decoded(KIND_NETWORK_POLICY, "{'spec':null}", &arena);
	assert_true(np->pods && np->isolates_ingress && !np->isolates_egress);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(weights_in_all),
		cmocka_unit_test(defaulting),
		cmocka_unit_test(service_struct),
		cmocka_unit_test(slice_struct),
		cmocka_unit_test(policy_struct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
