/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_check_tunnel.c - what is said of Tunnels that are not right, by field
 *
 * Room: unit tests; no kernel.
 */
#include "check_rows.h"

#include <netd/codec/kind.h>

static const struct check_case rows[] = {
	{ KIND_TUNNEL, "{}", "", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':null,'addresses':null,'interface':null}}", "", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':null,'local':null}}",
	  "Required spec.type Required|Required spec.local Required", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'gre'}}", "NotSupported spec.type Unsupported value: \"gre\": "
	  "supported values: \"udp\", \"vxlan\"", NULL },
	{ KIND_TUNNEL, "{'spec':{'port':null}}", "Required spec.port Required value: a tunnel of type "
	  "udp", NULL },
	{ KIND_TUNNEL, "{'spec':{'port':0,'mtu':67,'interface':'pnabcdefghij234'}}",
	  "Invalid spec.interface Invalid value: \"pnabcdefghij234\"|Invalid spec.port Invalid value: 0"
	  "|Invalid spec.mtu Invalid value: 67", NULL },
	{ KIND_TUNNEL, "{'spec':{'port':65536,'mtu':65504}}", "Invalid spec.port Invalid value: 65536|"
	  "Invalid spec.mtu Invalid value: 65504: must be at most 65503: what is around", NULL },
	{ KIND_TUNNEL, "{'spec':{'id':7,'macAddress':'02:00:00:00:00:01'}}",
	  "Forbidden spec.id Forbidden: a tunnel of type udp has none|"
	  "Forbidden spec.macAddress Forbidden: a tunnel", NULL },
	{ KIND_TUNNEL, "{'metadata':{'name':'much-too-long-name'},'spec':{'interface':null}}",
	  "Required spec.interface Required value: metadata.name cannot name", NULL },
	{ KIND_TUNNEL, "{'spec':{'mtu':1000,'addresses':['fd00::1/64']}}",
	  "Invalid spec.mtu Invalid value: 1000: must be at least 1280", NULL },
	{ KIND_TUNNEL, "{'spec':{'mtu':1000,'peers':[{'address':'10.0.0.20','cidrs':['fd00::/64']}]}}",
	  "Invalid spec.mtu Invalid value: 1000: must be at least 1280", NULL },
	{ KIND_TUNNEL, "{'spec':{'local':'x','peers':null}}", "Invalid spec.local Invalid", NULL },
	{ KIND_TUNNEL, "{'spec':{'local':'127.0.0.1'}}",
	  "Invalid spec.local Invalid value: \"127.0.0.1\": is ", NULL },
	{ KIND_TUNNEL, "{'spec':{'local':'fe80::1','peers':null}}", "Invalid spec.local Invalid", NULL },
	{ KIND_TUNNEL, "{'spec':{'local':'172.16.2.9'}}", "Invalid spec.peers[1].cidrs[0] Invalid value: "
	  "\"172.16.2.0/24\": contains spec.local: the tunnel would lead into itself", NULL },
	{ KIND_TUNNEL, "{'spec':{'addresses':['10.0.0.1/33','1.2.3.4/24','1.2.3.4/24']}}",
	  "Invalid spec.addresses[0] Invalid|Duplicate spec.addresses[2] Duplicate", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{}]}}",
	  "Required spec.peers[0].address Required|Required spec.peers[0].cidrs Required", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':[]}]}}",
	  "Required spec.peers[0].cidrs Required", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'224.0.0.1','port':0,'framing':'odd','x':1,"
	  "'macAddress':'02:00:00:00:00:01','cidrs':['10.9.0.1/16','10.8.0.0/16','10.8.0.0/16']}]}}",
	  "Invalid spec.peers[0].port Invalid value: 0|Invalid spec.peers[0].cidrs[0] Invalid value: "
	  "\"10.9.0.1/16\": must have zero|Duplicate spec.peers[0].cidrs[2] Duplicate|NotSupported "
	  "spec.peers[0].framing Unsupported|Unknown spec.peers[0].x unknown field|Forbidden "
	  "spec.peers[0].macAddress Forbidden|Invalid spec.peers[0].address Invalid value: \"224.0.0.1\""
	  ": is ", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'fd00::2','cidrs':['10.9.0.0/16']},"
	  "{'address':'10.0.0.10','cidrs':['10.8.0.0/16']}]}}",
	  "Invalid spec.peers[0].address Invalid value: \"fd00::2\": must be of the family of spec.local|"
	  "Invalid spec.peers[1].address Invalid value: \"10.0.0.10\": must not be spec.local", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':['10.9.0.0/16']},"
	  "{'address':'10.0.0.20','port':9000,'cidrs':['10.8.0.0/16']},"
	  "{'address':'10.0.0.20','port':9001,'cidrs':['10.7.0.0/16']}]}}",
	  "Duplicate spec.peers[1].address Duplicate value: \"10.0.0.20\": spec.peers[0]", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':['10.9.1.0/24','10.9.0.0/16']},"
	  "{'address':'10.0.0.30','cidrs':['10.9.0.0/16','10.9.1.2/32']}]}}",
	  "Invalid spec.peers[1].cidrs[0] Invalid value: \"10.9.0.0/16\": overlaps with "
	  "spec.peers[0].cidrs[1]|Invalid spec.peers[0].cidrs[1] Invalid value: \"10.9.0.0/16\": overlaps "
	  "with spec.peers[0].cidrs[0]|Invalid spec.peers[1].cidrs[1] Invalid value: \"10.9.1.2/32\": "
	  "overlaps with spec.peers[0].cidrs[1]", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':['0.0.0.0/0','::/0']}]}}",
	  "Invalid spec.peers[0].cidrs[0] Invalid value: \"0.0.0.0/0\": contains spec.local|Invalid "
	  "spec.peers[0].cidrs[0] Invalid value: \"0.0.0.0/0\": contains spec.peers[0].address", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':['224.0.0.0/24','127.0.0.0/8',"
	  "'169.254.7.0/24','0.0.0.0/8','fe80::/64','ff02::/16','::1/128']}]}}",
	  "Invalid spec.peers[0].cidrs[0] Invalid value: \"224.0.0.0/24\": is in 224.0.0.0/4, which no peer|"
	  "Invalid spec.peers[0].cidrs[1] Invalid value: \"127.0.0.0/8\": is in 127|"
	  "Invalid spec.peers[0].cidrs[2] Invalid value: \"169.254.7.0/24\": is in 169|"
	  "Invalid spec.peers[0].cidrs[3] Invalid value: \"0.0.0.0/8\": is in 0|"
	  "Invalid spec.peers[0].cidrs[4] Invalid value: \"fe80::/64\": is in fe80|"
	  "Invalid spec.peers[0].cidrs[5] Invalid value: \"ff02::/16\": is in ff00|"
	  "Invalid spec.peers[0].cidrs[6] Invalid value: \"::1/128\": is in ::/127", NULL },
	{ KIND_TUNNEL, "{'spec':{'peers':[{'address':'10.0.0.20','cidrs':['128.0.0.0/1','::/0']}]}}", "",
	  NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','id':1}}", "Forbidden spec.peers[0].framing Forbidden: a "
	  "tunnel of type vxlan has none|Forbidden spec.peers[1].port Forbidden|"
	  "Forbidden spec.peers[1].framing Forbidden", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','peers':null}}", "Required spec.id Required value: a "
	  "tunnel of type vxlan", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','id':16777216,'peers':null,'mtu':65486}}",
	  "Invalid spec.id Invalid value: 16777216|Invalid spec.mtu Invalid value: 65486: must be at most "
	  "65485", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','id':7,'peers':null,'macAddress':'02:00:00:00:00:01'}}",
	  "", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','id':7,'macAddress':'02:00:00:00:00:01','peers':["
	  "{'address':'10.0.0.2','macAddress':'02:00:00:00:00:02','cidrs':['10.9.0.0/16']},"
	  "{'address':'10.0.0.3','macAddress':'02:00:00:00:00:01','cidrs':['10.8.0.0/16']},"
	  "{'address':'10.0.0.4','macAddress':'02:00:00:00:00:0A','cidrs':['10.7.0.0/16']},"
	  "{'address':'10.0.0.5','macAddress':'02:00:00:00:00:0a','cidrs':['10.6.0.0/16']}]}}",
	  "Duplicate spec.peers[1].macAddress Duplicate value: \"02:00:00:00:00:01\"|"
	  "Duplicate spec.peers[3].macAddress Duplicate value: \"02:00:00:00:00:0a\"", NULL },
	{ KIND_TUNNEL, "{'spec':{'type':'vxlan','id':7,'peers':null}}",
	  "Invalid spec.type Invalid value: \"vxlan\": field is immutable", "{}" },
	{ KIND_TUNNEL, "{'spec':{'port':9001,'peers':null}}", "", "{}" },
};

static void bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		run_check(&rows[i]);
}

static void the_port_of_vxlan(void **state)
{
	static const struct { const char *patch; int64_t want; } ports[] = {
		{ "{'spec':{'type':'vxlan','port':null}}", 4789 },
		{ "{'spec':{'type':'vxlan'}}", 9000 },
		{ "{'spec':{'port':null}}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		_cleanup_(doc_freep) struct doc *doc = patched(KIND_TUNNEL, ports[i].patch);

		assert_int_equal(kinds[KIND_TUNNEL].defaults(doc), 0);
		assert_int_equal(doc_int(doc, "spec.port", 0), ports[i].want);
	}
}

/* as many as may be, each beside the next: no pair of them is looked at */
static void many_peers(void **state)
{
	_cleanup_(doc_freep) struct doc *doc = patched(KIND_TUNNEL, "{'spec':{'peers':null}}");
	struct causes causes = { 0 };
	char path[64], text[32];

	(void)state;
	for (size_t i = 0; i < 1024; i++) {
		snprintf(path, sizeof(path), "spec.peers[%zu].address", i);
		snprintf(text, sizeof(text), "10.1.%zu.%zu", i / 256, i % 256);
		assert_int_equal(doc_set_str(doc, path, text), 0);
		for (size_t k = 0; k < 16; k++) {
			snprintf(path, sizeof(path), "spec.peers[%zu].cidrs[%zu]", i, k);
			snprintf(text, sizeof(text), "172.%zu.%zu.%zu/32", 16 + i / 256, i % 256, k);
			assert_int_equal(doc_set_str(doc, path, text), 0);
		}
	}
	kind_check(&kinds[KIND_TUNNEL], doc, NULL, &causes);
	assert_int_equal(causes.n, 0);
	assert_int_equal(doc_set_str(doc, "spec.peers[1024].address", "10.2.0.1"), 0);
	assert_int_equal(doc_set_str(doc, "spec.peers[1024].cidrs[0]", "10.3.0.0/16"), 0);
	kind_check(&kinds[KIND_TUNNEL], doc, NULL, &causes);
	assert_int_equal(causes.n, 1);
	assert_string_equal(causes.v[0].field, "spec.peers");
	causes_fini(&causes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(the_port_of_vxlan),
		cmocka_unit_test(many_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
