/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.c - what Service, EndpointSlice, Endpoints and NetworkPolicy share
 *
 * Room (codec).  May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/ports.h>
#include <netinet/in.h>

const char *const port_protocols[] = {
	[PORT_TCP] = "TCP", [PORT_UDP] = "UDP", [PORT_SCTP] = "SCTP", NULL
};
const char *const ip_families[] = { [FAMILY_IPV4] = "IPv4", [FAMILY_IPV6] = "IPv6", NULL };

int fill_member(json_t *obj, const char *key, json_t *value)
{
	if (!value)
		return -ENOMEM;
	if (!json_is_object(obj) || json_object_get(obj, key)) {
		json_decref(value);
		return 0;
	}
	return json_object_set_new(obj, key, value) < 0 ? -ENOMEM : 0;
}

int fill_protocols(json_t *ports)
{
	json_t *port;
	size_t i;
	int r = 0;

	json_array_foreach(ports, i, port)
		r = r < 0 ? r : fill_member(port, "protocol", json_string("TCP"));
	return r;
}

void check_labels_at(const json_t *map, const char *field, struct causes *causes)
{
	const char *key, *why;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)map, key, v) {
		const char *value = json_string_value(v);

		why = format_qualified(key);
		if (why)
			causes_add(causes, CAUSE_INVALID, field, key, "%s", why);
		why = value ? format_label_value(value) : NULL;
		if (why)
			causes_add(causes, CAUSE_INVALID, field, value, "%s", why);
	}
}

static bool is_link_local(const struct podnet_prefix *p)
{
	if (p->family == AF_INET)
		return p->addr[0] == 169 && p->addr[1] == 254;
	return p->addr[0] == 0xfe && (p->addr[1] & 0xc0) == 0x80;
}

void check_host(const char *address, const char *field, struct causes *causes)
{
	static const struct {
		const char *piece, *says;
	} words[] = {
		{ "unspecified", "unspecified (0.0.0.0 or ::)" },
		{ "loopback", "in the loopback range (127.0.0.0/8, ::1/128)" },
		{ "link-local", "in the link-local range (169.254.0.0/16, fe80::/10)" },
	};
	struct podnet_prefix p;
	const char *special;

	if (!address || !address[0] || format_address(address) ||
	    podnet_prefix_parse(address, &p) < 0)
		return;
	special = is_link_local(&p) ? "link-local" : format_special(&p);
	for (size_t i = 0; special && i < ARRAY_SIZE(words); i++)
		if (strstr(special, words[i].piece))
			special = words[i].says;
	if (special)
		causes_add(causes, CAUSE_INVALID, field, address, "may not be %s", special);
}
