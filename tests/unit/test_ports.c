/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_ports.c - what a pod's published ports mean: which places of the node, which frontends
 *
 * The node has 10.0.0.10, 192.0.2.1 and fd00:1::10; what comes of a row is told as text, AT:PORT>TO,
 * "~" where a relay is asked for, "!" where it cannot be; frontends stand behind "=".
 */
#include <netd/compile/compile.h>
#include <netinet/in.h>
#include <stdio.h>
#include <tests/lib/testlib.h>
#include <tests/unit/told.h>

static const struct row {
	const char *says;
	const char *ip;             /* "": none; of the port */
	int protocol;
	uint16_t first, last, to;
	const char *ips;            /* the pod's: "4", "6", "46" */
	const char *places;
} rows[] = {
	{ "one port, both families", "", PORT_TCP, 80, 80, 8080, "46",
	  "10.0.0.10:80>10.244.0.5:8080=80 192.0.2.1:80>10.244.0.5:8080=80 "
	  "fd00:1::10:80>fd00::5:8080=80 127.0.0.1:80>10.244.0.5:8080~ ::1:80>fd00::5:8080~" },
	{ "an IPv4 pod: the loopback joins families", "", PORT_UDP, 53, 53, 53, "4",
	  "10.0.0.10:53>10.244.0.5:53=53 192.0.2.1:53>10.244.0.5:53=53 "
	  "127.0.0.1:53>10.244.0.5:53~ ::1:53>10.244.0.5:53~" },
	{ "no address yet", "", PORT_TCP, 80, 80, 80, "", "" },
	{ "every IPv4 address", "0.0.0.0", PORT_TCP, 80, 80, 80, "46",
	  "10.0.0.10:80>10.244.0.5:80=80 192.0.2.1:80>10.244.0.5:80=80 127.0.0.1:80>10.244.0.5:80~" },
	{ "every IPv6 address", "::", PORT_TCP, 80, 80, 80, "46",
	  "fd00:1::10:80>fd00::5:80=80 ::1:80>fd00::5:80~" },
	{ "one address", "192.0.2.1", PORT_TCP, 80, 80, 80, "4", "192.0.2.1:80>10.244.0.5:80=80" },
	{ "the loopback", "127.0.0.2", PORT_TCP, 80, 80, 80, "46", "127.0.0.2:80>10.244.0.5:80~" },
	{ "another's address", "192.0.2.2", PORT_TCP, 80, 80, 80, "4", "192.0.2.2:80!" },
	{ "an address of another family", "fd00:1::10", PORT_TCP, 80, 80, 80, "4", "fd00:1::10:80!" },
	{ "a range", "10.0.0.10", PORT_SCTP, 8000, 8100, 8000, "4",
	  "10.0.0.10:8000-8100>10.244.0.5:8000=8000-8100" },
	{ "a range that is moved", "10.0.0.10", PORT_UDP, 8000, 8002, 9000, "4",
	  "10.0.0.10:8000-8002>10.244.0.5:9000=8000>9000,8001>9001,8002>9002" },
	{ "to the last port", "10.0.0.10", PORT_UDP, 65534, 65535, 1, "4",
	  "10.0.0.10:65534-65535>10.244.0.5:1=65534>1,65535>2" },
};

static int on_frontend(void *arg, const struct podnet_frontend *f)
{
	struct told *t = arg;

	assert_int_equal(f->nendpoints, 1);
	assert_int_equal(f->endpoints->local, 1);
	add(t, "%s%u", t->text[strlen(t->text) - 1] == '=' ? "" : ",", f->port);
	if (f->last_port)
		add(t, "-%u", f->last_port);
	assert_int_equal(f->endpoints->port == 0, f->last_port != 0);
	if (f->endpoints->port && f->port > 1000)
		add(t, ">%u", f->endpoints->port);
	return 0;
}

static int on_place(void *arg, const struct compile_port *p)
{
	char ip[PODNET_PREFIX_STRLEN];
	struct told *t = arg;

	add(t, "%s%s:%u", *t->text ? " " : "", podnet_prefix_format_addr(&p->at, ip), p->first);
	if (p->first != p->last)
		add(t, "-%u", p->last);
	if (p->why) {
		add(t, "!");
		return 0;
	}
	add(t, ">%s:%u%s", podnet_prefix_format_addr(&p->to, ip), p->to_port, p->relayed ? "~" : "=");
	return compile_port_frontends(p, on_frontend, t);
}

static void ports(void **state)
{
	const struct podnet_prefix addresses[] = { prefix("10.0.0.10"), prefix("192.0.2.1"),
						   prefix("fd00:1::10") };
	const struct row *row = *state;
	struct pod_port port = { .protocol = row->protocol, .first = row->first, .last = row->last,
				 .to = row->to };
	struct pod_network net = { .nips = strlen(row->ips) };
	struct pod pod = { .attached = &net, .nattached = net.nips > 0, .ports = &port, .nports = 1 };
	struct told told = { "" };
	const struct compile_ports in = { addresses, 3, on_place, &told };

	if (*row->ip)
		port.ip = prefix(row->ip);
	for (size_t i = 0; i < net.nips; i++)
		net.ips[i] = prefix(row->ips[i] == '4' ? "10.244.0.5" : "fd00::5");
	assert_int_equal(compile_ports(&in, &pod), 0);
	assert_string_equal(told.text, row->places);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = (struct CMUnitTest){ rows[i].says, ports, NULL, NULL,
						(void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
