/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_conf.c - flags and file by rows: what is read, and the words when it cannot be
 */
#include "lib/testlib.h"

#include <netd/conf.c>
#include <netd/conf_check.c>
#include <netd/conf_value.c>
#include <stdio.h>
#include <unistd.h>

#define MAX_ARGS 6

static const struct conf_case {
	const char *says, *file, *args[MAX_ARGS], *error;      /* error: a piece of it, or NULL */
	uint32_t pool, mtu;
} cases[] = {
	{ "defaults", "", { NULL }, NULL, 16, 0 },
	{ "a flag", "", { "--pool", "3" }, NULL, 3, 0 },
	{ "a flag with =", "", { "--pool=3" }, NULL, 3, 0 },
	{ "the file", "# hello\n\npool = 5\nmtu=1400 \n", { NULL }, NULL, 5, 1400 },
	{ "flags win", "pool = 5\nmtu = 1400\n", { "--pool=7" }, NULL, 7, 1400 },
	{ "unknown flag", "", { "--pol=3" }, "--pol", 0, 0 },
	{ "with a suggestion", "", { "--pol=3" }, "pool", 0, 0 },
	{ "unknown in the file", "mtu = 1400\nstate-dri = /x\n", { NULL }, "state-dir", 0, 0 },
	{ "where in the file", "mtu = 1400\nstate-dri = /x\n", { NULL }, ":2", 0, 0 },
	{ "two actions", "", { "--check", "--purge" }, "--purge: another action", 0, 0 },
	{ "no value", "", { "--pool" }, "--pool", 0, 0 },
	{ "not a number", "", { "--pool=many" }, "command line: pool:", 0, 0 },
	{ "history too short", "", { "--history=999" }, "a number from 1000 to 10000000", 0, 0 },
	{ "too large", "", { "--pool=100000" }, "command line: pool:", 0, 0 },
	{ "not a path", "", { "--state-dir=here" }, "command line: state-dir:", 0, 0 },
	{ "host bits", "", { "--cluster-cidr=10.1.2.3/8" }, "command line: cluster-cidr:", 0, 0 },
	{ "two of a family", "", { "--cluster-cidr=10.0.0.0/8,11.0.0.0/8" },
	  "command line: cluster-cidr:", 0, 0 },
	{ "no CIDR", "", { "--cluster-cidr=10.0.0.0" }, "command line: cluster-cidr:", 0, 0 },
	{ "services among the pods", "", { "--service-cidr=10.244.3.0/24" },
	  "service-cidr: 10.244.3.0/24 overlaps with cluster-cidr 10.244.0.0/16", 0, 0 },
	{ "link-local pods", "", { "--cluster-cidr=169.254.0.0/16" },
	  "cluster-cidr: 169.254.0.0/16 overlaps with 169.254.0.0/16", 0, 0 },
	{ "loopback in the file", "cluster-cidr = fe80::/64\n", { NULL },
	  "cluster-cidr: fe80::/64 overlaps with fe80::/10", 0, 0 },
	{ "multicast services", "", { "--service-cidr=224.0.0.0/16" },
	  "service-cidr: 224.0.0.0/16 overlaps with 224.0.0.0/4", 0, 0 },
	{ "no room for pods", "", { "--cluster-cidr=10.244.0.0/31" },
	  "cluster-cidr: 10.244.0.0/31 is too small: at most /30", 0, 0 },
	{ "blocks larger than all", "block-size = 12,64\n", { NULL },
	  "block-size: 10.244.0.0/16 is smaller than a block of /12", 0, 0 },
	{ "no IPv4 block", "", { "--block-size=31,64" },
	  "block-size: \"31,64\" is not valid: a block of IPv4 is from 8 to 30, one of IPv6 from 48 to 120", 0, 0 },
	{ "no IPv6 block", "", { "--block-size=22,47" }, "one of IPv6 from 48 to 120", 0, 0 },
	{ "one block", "", { "--block-size=22" }, "block-size: \"22\" is not valid: V4,V6 wanted", 0, 0 },
	{ "less than a default block", "", { "--cluster-cidr=10.244.0.0/24" }, NULL, 16, 0 },
	{ "one port for two backends", "", { "--udp-port=4789" }, "udp-port: 4789 is vxlan-port already", 0, 0 },
	{ "too short for IPv6", "", { "--mtu=600" }, "mtu: 600 must be at least 1280 with IPv6", 0, 0 },
	{ "just long enough", "", { "--mtu=1280" }, NULL, 16, 1280 },
	{ "no room for services", "", { "--service-cidr=10.1.0.0/29" },
	  "service-cidr: 10.1.0.0/29 is too small: at most /28", 0, 0 },
	{ "no room for services of IPv6", "", { "--service-cidr=10.1.0.0/28,fd00::/121" },
	  "service-cidr: fd00::/121 is too small: at most /120", 0, 0 },
	{ "just room for services", "", { "--service-cidr=10.1.0.0/28,fd00::/120" }, NULL, 16, 0 },
	{ "IPv6 services among the pods", "", { "--cluster-cidr=fd00::/48", "--service-cidr=fd00::/32" },
	  "service-cidr: fd00::/32 overlaps with cluster-cidr fd00::/48", 0, 0 },
	{ "three service CIDRs", "", { "--service-cidr=10.1.0.0/16,fd00::/112,10.2.0.0/16" },
	  "service-cidr:", 0, 0 },
	{ "services of one family", "", { "--service-cidr=10.1.0.0/16,10.2.0.0/16" },
	  "service-cidr: \"10.1.0.0/16,10.2.0.0/16\" is not valid: at most one of each family", 0, 0 },
	{ "pods of one family", "", { "--cluster-cidr=10.1.0.0/16,10.2.0.0/16" }, "at most one of each family", 0, 0 },
	{ "services at a host", "", { "--service-cidr=10.96.0.1/16" },
	  "service-cidr: \"10.96.0.1/16\" is not valid: an address of a host", 0, 0 },
	{ "pods at a host", "", { "--cluster-cidr=fd00::1/48" }, "an address of a host", 0, 0 },
	{ "ports turned round", "", { "--node-port-range=5-4" },
	  "node-port-range: \"5-4\" is not valid: the first is greater", 0, 0 },
	{ "a port that is none", "", { "--node-port-range=5-65536" }, "ports are from 1 to 65535", 0, 0 },
	{ "one port", "", { "--node-port-range=5" }, "node-port-range:", 0, 0 },
	{ "not an address", "", { "--node-ip=10.0.0.0/8" }, "command line: node-ip:", 0, 0 },
	{ "where others send", "node-address = 192.0.2.1, fd00:7::1\n", { NULL }, NULL, 16, 0 },
	{ "two of a family", "", { "--node-address=192.0.2.1,192.0.2.2" }, "node-address: \"192.0.2.1,192.0",
	  0, 0 },
	{ "no port", "", { "--listen=10.0.0.1" }, "listen:", 0, 0 },
	{ "a name for an address", "", { "--listen=localhost:6443" }, "listen:", 0, 0 },
	{ "IPv6 without brackets", "", { "--listen=::1:6443" }, "listen:", 0, 0 },
	{ "IPv4 in brackets", "", { "--listen=[10.0.0.1]:6443" }, "listen:", 0, 0 },
	{ "half a bracket", "", { "--listen=[::1:6443" }, "listen:", 0, 0 },
	{ "a prefix", "", { "--listen=10.0.0.0/8:6443" }, "listen:", 0, 0 },
	{ "port 0", "", { "--listen=10.0.0.1:0" }, "listen:", 0, 0 },
	{ "port 65536", "", { "--listen=10.0.0.1:65536" }, "listen:", 0, 0 },
	{ "a port and more", "", { "--listen=10.0.0.1:64a" }, "listen:", 0, 0 },
	{ "too many", "", { "--listen=10.0.0.1:1,10.0.0.1:2,10.0.0.1:3,10.0.0.1:4,10.0.0.1:5" },
	  "listen:", 0, 0 },
	{ "a name with a blank", "tls-san = a b\n", { NULL }, ":1: tls-san:", 0, 0 },
	{ "a wildcard", "", { "--tls-san=*.example.org" }, "tls-san:", 0, 0 },
	{ "an order in the file", "new-token = admin:x\n", { NULL }, "\"new-token\" is a flag only", 0, 0 },
	{ "an action in the file", "purge = yes\n", { NULL }, ":1: \"purge\" is a flag only: --purge", 0, 0 },
	{ "without its dashes", "", { "purge" }, "did you mean --purge? (--help)", 0, 0 },
	{ "one letter", "", { "-h" }, "\"-h\"; did you mean --help? (--help)", 0, 0 },
	{ "a capital letter", "", { "--Pool=3" }, "did you mean --pool?", 0, 0 },
	{ "like nothing", "", { "--xyz" }, "unknown flag \"--xyz\" (--help)", 0, 0 },
	{ "not what is a flag only", "ver = 1\n", { NULL }, "did you mean vxlan-port?", 0, 0 },
	{ "an order for nobody", "", { "--new-token" }, "ROLE:NAME", 0, 0 },
	{ "no such level", "", { "--log-level=loud" }, "command line: log-level:", 0, 0 },
	{ "a value for none", "", { "--check=1" }, "--check takes no value", 0, 0 },
	{ "a pool of one", "load-balancer-cidr = 192.0.2.7/32, fd00:7::/126\n", { NULL }, NULL, 16, 0 },
	{ "a pool with host bits", "", { "--load-balancer-cidr=192.0.2.7/24" }, "load-balancer-cidr", 0, 0 },
	{ "two pools of a family", "", { "--load-balancer-cidr=192.0.2.0/30,192.0.2.8/30" },
	  "load-balancer-cidr", 0, 0 },
	{ "a pool among pods", "", { "--load-balancer-cidr=10.244.1.0/24" },
	  "load-balancer-cidr: 10.244.1.0/24 overlaps with cluster-cidr 10.244.0.0/16", 0, 0 },
	{ "a pool around Services", "", { "--load-balancer-cidr=10.0.0.0/8", "--cluster-cidr=172.16.0.0/16" },
	  "load-balancer-cidr: 10.0.0.0/8 overlaps with service-cidr 10.96.0.0/16", 0, 0 },
	{ "a pool of multicast", "", { "--load-balancer-cidr=224.0.0.0/24" },
	  "load-balancer-cidr: 224.0.0.0/24 overlaps with 224.0.0.0/4", 0, 0 },
	{ "endpoints", "etcd = http://10.0.0.1:2379, https://[fd00::1]:2379/,http://u:p@etcd.example:1/x\n", { NULL },
	  NULL, 16, 0 },
	{ "no scheme", "", { "--etcd=10.0.0.1:2379" }, "etcd: \"10.0.0.1:2379\" is not valid: a URL begins with", 0, 0 },
	{ "no host", "", { "--etcd=http://" }, "etcd: \"http://\" is not valid: a URL without a host", 0, 0 },
	{ "no host, a port", "", { "--etcd=http://:2379" }, "a URL without a host", 0, 0 },
	{ "no host, a path", "", { "--etcd=http:///x" }, "a URL without a host", 0, 0 },
	{ "IPv6 endpoint without brackets", "", { "--etcd=http://fd00::1:2379" }, "IPv6 stands in brackets", 0, 0 },
	{ "half a bracket of an endpoint", "", { "--etcd=http://[fd00::1" }, "IPv6 stands in brackets", 0, 0 },
	{ "an endpoint with a blank", "", { "--etcd=http://a b:2379" }, "a URL has no blanks", 0, 0 },
	{ "an endpoint's port 0", "", { "--etcd=http://a:0" }, "ports are from 1 to 65535", 0, 0 },
	{ "an endpoint's port 65536", "", { "--etcd=http://a:65536" }, "ports are from 1 to 65535", 0, 0 },
	{ "an endpoint's port of six digits", "", { "--etcd=http://a:100000" }, "ports are from 1 to 65535", 0, 0 },
	{ "an endpoint's port and more", "", { "--etcd=http://a:80x/" }, "ports are from 1 to 65535", 0, 0 },
	{ "an endpoint's port in words", "", { "--etcd=http://a:x" }, "ports are from 1 to 65535", 0, 0 },
	{ "no port behind the colon", "", { "--etcd=http://a:" }, "ports are from 1 to 65535", 0, 0 },
	{ "a password is not shown", "", { "--etcd=https://me:secret@a:0,http://me:other@" },
	  "etcd: \"https://a:0,http://\" is not valid: ports", 0, 0 },
	{ "nor one that is not written as it must be", "", { "--etcd=https://me:sec/re@t,x@a:0,http://b" },
	  "etcd: \"https://a:0,http://b\" is not valid: ports", 0, 0 },
	{ "no endpoint between commas", "", { "--etcd=http://a,,http://b" }, "a URL begins with", 0, 0 },
	{ "no flag at all", "", { "pool" }, "pool", 0, 0 },
};

static void read_one(void **state)
{
	const struct conf_case *c = *state;
	char path[] = "/tmp/podnet-conf-XXXXXX", why[256] = "";
	char *argv[MAX_ARGS + 4] = { (char *)"netd", (char *)"--config", path };
	struct conf conf = { 0 };
	int argc = 3, fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, c->file, strlen(c->file)), (ssize_t)strlen(c->file));
	close(fd);
	for (const char *const *arg = c->args; *arg; arg++)
		argv[argc++] = (char *)(uintptr_t)*arg;
	r = conf_read(&conf, argc, argv, why);
	unlink(path);
	if (c->error) {
		assert_int_equal(r, -EINVAL);
		if (!strstr(why, c->error))
			fail_msg("\"%s\" is not in: %s", c->error, why);
		assert_null(strchr(why, '\n'));
	} else {
		if (r < 0)
			fail_msg("%s", why);
		assert_int_equal(conf.pool, c->pool);
		assert_int_equal(conf.mtu, c->mtu);
	}
	conf_fini(&conf);
}

static void listeners(void **state)
{
	char *argv[] = { (char *)"netd", (char *)"--config=/dev/null",
			 (char *)"--listen=127.0.0.1:6443, [fd00::1]:443",
			 (char *)"--tls-san", (char *)"api.example.org,192.0.2.1", NULL };
	char why[256], text[PODNET_PREFIX_STRLEN];
	struct conf conf = { 0 };

	(void)state;
	assert_int_equal(conf_read(&conf, 5, argv, why), 0);
	assert_int_equal(conf.nlisten, 2);
	assert_string_equal(podnet_prefix_format_addr(&conf.listen[0].ip, text), "127.0.0.1");
	assert_int_equal(conf.listen[0].port, 6443);
	assert_string_equal(podnet_prefix_format_addr(&conf.listen[1].ip, text), "fd00::1");
	assert_int_equal(conf.listen[1].port, 443);
	assert_int_equal(conf.ntls_san, 2);
	assert_string_equal(conf.tls_san[1], "192.0.2.1");
	assert_string_equal(conf.pki_dir, "/etc/podnet/pki");
	conf_fini(&conf);
}

static void families(void **state)
{
	char *argv[] = { (char *)"netd", (char *)"--config=/dev/null",
			 (char *)"--cluster-cidr=fd00::/48,10.1.0.0/16", (char *)"--node-ip=10.0.0.1",
			 (char *)"--block-size=24,72", (char *)"--run-dir=/tmp/x", NULL };
	struct conf conf = { 0 };
	char why[256] = "";

	(void)state;
	if (conf_read(&conf, 6, argv, why) < 0)
		fail_msg("%s", why);
	assert_int_equal(conf.cluster_cidrs[0].family, AF_INET);
	assert_int_equal(conf.cluster_cidrs[1].family, AF_INET6);
	assert_int_equal(conf.nnode_ips, 1);
	assert_int_equal(conf.block_len[0], 24);
	assert_int_equal(conf.block_len[1], 72);
	assert_string_equal(conf.socket, "/tmp/x/netd.sock");
	assert_string_equal(conf.view_socket, "/tmp/x/view.sock");
	conf_fini(&conf);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(cases) + 2];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].says, read_one, NULL, NULL,
						(void *)(uintptr_t)&cases[i] };
	tests[ARRAY_SIZE(cases)] = (struct CMUnitTest)cmocka_unit_test(families);
	tests[ARRAY_SIZE(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(listeners);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
