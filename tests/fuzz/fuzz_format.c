/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_format.c - any text as an address, a prefix, a MAC address, a time, a quantity, a name
 *
 * What parses is written, read again and is the same value; what a format lets pass parses.
 */
#include "fuzz.h"

#include <netd/codec/format.h>
#include <podnet/ip.h>

static void prefix(const char *text)
{
	struct podnet_prefix p, again, masked;
	char buf[PODNET_PREFIX_STRLEN];

	if (podnet_prefix_parse(text, &p) < 0)
		return;
	must(podnet_prefix_parse(podnet_prefix_format(&p, buf), &again) == 0);
	must(memcmp(&p, &again, sizeof(p)) == 0);
	masked = podnet_prefix_mask(&p);
	again = podnet_prefix_mask(&masked);
	must(memcmp(&masked, &again, sizeof(masked)) == 0);
	must(podnet_prefix_contains(&p, &p) && podnet_prefix_contains(&masked, &p));
	must(podnet_prefix_parse(podnet_prefix_format_addr(&p, buf), &again) == 0);
	must(memcmp(p.addr, again.addr, sizeof(p.addr)) == 0);
}

static void mac(const char *text)
{
	uint8_t value[6], again[6];
	char buf[PODNET_MAC_STRLEN];

	if (podnet_mac_parse(text, value) < 0)
		return;
	must(podnet_mac_parse(podnet_mac_format(value, buf), again) == 0);
	must(memcmp(value, again, sizeof(value)) == 0);
}

static void when(const char *text)
{
	int64_t s, again;
	char buf[24];

	if (time_parse(text, &s) < 0)
		return;
	time_format(s, buf);
	must(time_parse(buf, &again) == 0 && s == again);
}

static void bandwidth(const char *text)
{
	uint64_t bits = 0;

	if (!format_bandwidth(text)) {
		must(quantity_parse(text, &bits) == 0);
		must(bits >= 1000 && bits <= 1000000000000000);
	}
}

static void formats(const char *text)
{
	struct podnet_prefix p;
	int64_t s;

	if (!format_address(text) || !format_net(text) || !format_prefix(text) || !format_cidr(text))
		must(podnet_prefix_parse(text, &p) == 0);
	if (!format_cidr(text))
		must(!format_net(text) && !format_destination(text));
	if (!format_label(text))
		must(!format_subdomain(text) && !format_label_value(text) && !format_qualified(text));
	if (!format_own_ifname(text))
		must(!format_ifname(text));
	if (!format_time(text))
		must(time_parse(text, &s) == 0);
	(void)format_port_name(text);
	(void)format_netns_path(text);
	(void)format_quantity(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	prefix(text);
	mac(text);
	when(text);
	bandwidth(text);
	formats(text);
	free(text);
	return 0;
}
