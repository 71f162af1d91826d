/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_unused.c - which members of a body are told as unknown, and which as not implemented
 *
 * The texts are JSON with ' for "; the wanted fields are joined by blanks.
 */
#include <netd/codec/unused.h>
#include <stdio.h>
#include <tests/lib/testlib.h>

static const struct {
	const char *says;
	enum kind_id kind;
	const char *doc, *old, *unknown, *ignored;
} rows[] = {
	{ "nothing", KIND_POD, "{'metadata':{'name':'a','labels':{'x':'y'}},'spec':{}}", NULL, "",
	  "" },
	{ "unknown everywhere", KIND_POD,
	  "{'foo':1,'metadata':{'nam':'a'},'spec':{'bar':{'x':1},'containers':[{'name':'a'},{'nme':"
	  "'b','ports':[{'port':80}]}]}}", NULL,
	  "foo metadata.nam spec.bar spec.containers[1].nme spec.containers[1].ports[0].port", "" },
	{ "not implemented", KIND_POD,
	  "{'spec':{'affinity':{'x':1},'volumes':[{'name':'v'}],'containers':[{'name':'a','args':["
	  "'x'],'livenessProbe':{'httpGet':{'any':1}}}]}}", NULL, "",
	  "spec.affinity spec.volumes spec.containers[0].args spec.containers[0].livenessProbe" },
	{ "probes that are not run", KIND_POD,
	  "{'spec':{'containers':[{'readinessProbe':{'httpGet':{'port':1,'scheme':'HTTP'},'x':1}},"
	  "{'readinessProbe':{'exec':{'command':['a']}}},{'readinessProbe':{'grpc':{'port':1}}},"
	  "{'readinessProbe':{'httpGet':{'scheme':'HTTPS'}}},{'startupProbe':{'tcpSocket':{'port':1}}}]}}",
	  NULL, "spec.containers[0].readinessProbe.x",
	  "spec.containers[1].readinessProbe.exec spec.containers[2].readinessProbe.grpc "
	  "spec.containers[3].readinessProbe.httpGet.scheme spec.containers[4].startupProbe" },
	{ "not worth telling", KIND_POD,
	  "{'spec':{'dnsPolicy':'ClusterFirst','serviceAccount':'x','securityContext':{},'hostPID':"
	  "false,'volumes':[],'containers':[{'terminationMessagePath':'/x','resources':{}}]}}",
	  NULL, "", "" },
	{ "what was there", KIND_POD, "{'foo':1,'spec':{'affinity':{'x':1},'bar':2}}",
	  "{'foo':1,'spec':{'affinity':{'x':1}}}", "spec.bar", "" },
	{ "what changes", KIND_POD, "{'foo':2,'spec':{'affinity':{'x':2}}}",
	  "{'foo':1,'spec':{'affinity':{'x':1}}}", "", "spec.affinity" },
	{ "elements that were there", KIND_POD,
	  "{'spec':{'containers':[{'x':1},{'x':1,'y':1}]}}", "{'spec':{'containers':[{'x':1}]}}",
	  "spec.containers[1].x spec.containers[1].y", "" },
	{ "status is not looked at", KIND_POD, "{'status':{'x':1}}", NULL, "", "" },
	{ "maps have any keys", KIND_POD,
	  "{'metadata':{'annotations':{'a':'b'}},'spec':{'nodeSelector':{'a':'b'}}}", NULL, "",
	  "spec.nodeSelector" },
	{ "what others sent", KIND_POD,
	  "{'metadata':{'managedFields':[1],'selfLink':'x','ownerReferences':[{'uid':'1','x':1}]}}",
	  NULL, "metadata.ownerReferences[0].x", "" },
	{ "a Namespace", KIND_NAMESPACE, "{'spec':{'finalizers':[],'x':1},'data':{}}", NULL,
	  "spec.x data", "" },
	{ "a Node", KIND_NODE, "{'spec':{'taints':[{'key':'a'}],'podCIDR':'1','x':1}}", NULL,
	  "spec.x", "spec.taints" },
	{ "a Node without pods to come", KIND_NODE, "{'spec':{'unschedulable':true}}", NULL, "",
	  "spec.unschedulable" },
	{ "and with them", KIND_NODE, "{'spec':{'unschedulable':false}}",
	  "{'spec':{'unschedulable':true}}", "", "" },
	{ "a policy, and what is unknown in it", KIND_NETWORK_POLICY,
	  "{'spec':{'podSelector':{'x':1},'ingress':[{'from':[{'y':1}]}]}}", NULL,
	  "spec.podSelector.x spec.ingress[0].from[0].y", "spec" },
	{ "a policy that stays", KIND_NETWORK_POLICY, "{'metadata':{'labels':{'a':'b'}},'spec':{'podSelector':{}}}",
	  "{'spec':{'podSelector':{}}}", "", "" },
	{ "the node's own bandwidth", KIND_POD,
	  "{'metadata':{'annotations':{'kubernetes.io/egress-bandwidth':'1M','kubernetes.io/ingress-bandwidth':"
	  "'2M'}},'spec':{'hostNetwork':true}}",
	  "{'metadata':{'annotations':{'kubernetes.io/ingress-bandwidth':'2M'}}}", "",
	  "metadata.annotations[kubernetes.io/egress-bandwidth]" },
	{ "weights beside maglev", KIND_SERVICE,
	  "{'metadata':{'annotations':{'podnet.dev/weights':'a=1','podnet.dev/algorithm':'maglev'}}}", NULL, "",
	  "metadata.annotations[podnet.dev/weights]" },
	{ "weights alone", KIND_SERVICE, "{'metadata':{'annotations':{'podnet.dev/weights':'a=1'}}}", NULL, "", "" },
	{ "a pod's bandwidth", KIND_POD,
	  "{'metadata':{'annotations':{'kubernetes.io/egress-bandwidth':'1M'}}}", NULL, "", "" },
	{ "our own kinds: metadata alone", KIND_NETWORK, "{'metadata':{'x':1},'spec':{'y':1},'z':1}",
	  "{'metadata':{}}", "metadata.x", "" },
	{ "of another type", KIND_POD, "{'metadata':3,'spec':{'containers':[7,{'x':1}]}}", NULL,
	  "spec.containers[1].x", "" },
	{ "ours of another type", KIND_NETWORK, "{'metadata':3}", NULL, "", "" },
};

static struct doc *parse(const char *text)
{
	char buf[512], why[160];
	struct doc *doc = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *p = buf; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_int_equal(doc_parse(buf, strlen(buf), &doc, why), 0);
	return doc;
}

static void assert_fields(const char *says, const struct causes *causes, const char *want)
{
	struct buf got = { 0 };

	buf_str(&got, "");
	for (size_t i = 0; i < causes->n; i++)
		buf_printf(&got, "%s%s", i ? " " : "", causes->v[i].field);
	if (got.len != strlen(want) || (got.len && memcmp(got.data, want, got.len) != 0))
		fail_msg("%s: %.*s", says, (int)got.len, got.data ? got.data : "");
	buf_fini(&got);
}

static void noting(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(doc_freep) struct doc *doc = parse(rows[i].doc);
		_cleanup_(doc_freep) struct doc *old = rows[i].old ? parse(rows[i].old) : NULL;
		struct causes unknown = { 0 }, ignored = { 0 };

		kind_unused(&kinds[rows[i].kind], doc, old, &unknown, &ignored);
		assert_fields(rows[i].says, &unknown, rows[i].unknown);
		assert_fields(rows[i].says, &ignored, rows[i].ignored);
		causes_fini(&unknown);
		causes_fini(&ignored);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
