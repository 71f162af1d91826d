/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod_ports.c - the ports that a pod publishes on its node: hostPort, and podnet.dev/ports
 *
 * Room (codec): a list of containers[].ports[] with a hostPort, and of the annotation's items,
 *
 *   [IP:]FIRST[-LAST][:PORT[-LAST]][/PROTOCOL]      8000-8100:9000-9100/udp, [fd00::1]:53/tcp
 *
 * as `docker run -p` has them; without a PORT it is the node's own number.  One parser serves the
 * check and the decoding.  May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/json.h>
#include <netd/codec/rows.h>
#include <stdio.h>
#include <sys/socket.h>

#define ITEMS_MAX   64          /* of the annotation */
#define MOVED_MAX   1024        /* ports of a range whose ends differ: each is an element */
#define KEY         "podnet.dev/ports"
#define FIELD       "metadata.annotations[" KEY "]"
#define PATH        "metadata.annotations[\"" KEY "\"]"

/* "FIRST[-LAST]", and where it ends. */
static const char *read_range(const char *at, uint16_t *first, uint16_t *last)
{
	uint16_t *const to[] = { first, last };
	int i = 0;

	for (;; i++, at++) {
		unsigned long n = 0;
		size_t digits = strspn(at, "0123456789");

		if (!digits || digits > 5)
			return NULL;
		for (const char *end = at + digits; at < end; at++)
			n = 10 * n + (unsigned long)(*at - '0');
		if (n < 1 || n > 65535)
			return NULL;
		*to[i] = (uint16_t)n;
		if (i == 0)
			*last = *first;
		if (*at != '-' || i == 1)
			return *first <= *last ? at : NULL;
	}
}

/* "ADDRESS:" or "[ADDRESS]:", if it begins so. */
static const char *read_address(const char *at, struct podnet_prefix *ret)
{
	bool v6 = *at == '[';
	size_t n = v6 ? strcspn(at + 1, "]") : strspn(at, "0123456789.");
	const char *behind = at + n + (v6 ? 2 : 0);
	char text[64];

	if ((!v6 && !memchr(at, '.', n)) || n >= sizeof(text))
		return v6 ? NULL : at;
	if (v6 && at[1 + n] != ']')
		return NULL;
	memcpy(text, at + v6, n);
	text[n] = '\0';
	if (strchr(text, '/') || podnet_prefix_parse(text, ret) < 0 || *behind != ':' ||
	    (ret->family == AF_INET6) != v6)
		return NULL;
	return behind + 1;
}

static bool read_protocol(const char *text, int *ret)
{
	static const char *const names[] = { "tcp", "udp", "sctp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(text, names[i]) != 0)
			continue;
		*ret = (int)i;
		return true;
	}
	return false;
}

static bool is_any(const struct podnet_prefix *ip)
{
	static const uint8_t none[16];

	return memcmp(ip->addr, none, sizeof(none)) == 0;
}

/* All addresses, and the loopback, can be published at. */
static bool can_be_published(const struct podnet_prefix *ip)
{
	return !ip->family || is_any(ip) || !format_reserved(ip) ||
	       strcmp(format_special(ip) ?: "", "a loopback address") == 0;
}

/* NULL, or what is wrong with it. */
static const char *parse(const char *item, struct pod_port *ret)
{
	static const char form[] = "must be [IP:]PORT[-PORT][:PORT[-PORT]][/PROTOCOL] with ports from 1 to "
				   "65535 and protocol tcp, udp or sctp";
	uint16_t to_last;
	const char *at;

	*ret = (struct pod_port){ .protocol = PORT_TCP };
	at = read_address(item, &ret->ip);
	at = at ? read_range(at, &ret->first, &ret->last) : NULL;
	ret->to = ret->first;
	to_last = ret->last;
	if (at && *at == ':')
		at = read_range(at + 1, &ret->to, &to_last);
	if (!at || (*at && *at != '/') || (*at && !read_protocol(at + 1, &ret->protocol)))
		return form;
	if (!can_be_published(&ret->ip))
		return "must not have a link-local, multicast or reserved address";
	if (to_last - ret->to != ret->last - ret->first)
		return "must have as many ports on both sides";
	if (ret->to != ret->first && ret->last - ret->first >= MOVED_MAX)
		return "a range of more than 1024 ports must have the same numbers on both sides";
	return NULL;
}

/* Without an address it is of both families. */
static bool same_place(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	if (is_any(a) && is_any(b))
		return !a->family || !b->family || a->family == b->family;
	return a->family == b->family && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static bool overlap(const struct pod_port *a, const struct pod_port *b)
{
	return a->protocol == b->protocol && a->first <= b->last && b->first <= a->last &&
	       same_place(&a->ip, &b->ip);
}

static bool known(const struct pod_port *v, size_t n, const struct pod_port *is)
{
	for (size_t i = 0; i < n; i++)
		if (overlap(&v[i], is))
			return true;
	return false;
}

static bool read_host_port(const json_t *port, struct pod_port *ret)
{
	json_int_t n = json_integer_value(json_object_get(port, "hostPort"));
	const char *protocol = json_string_value(json_object_get(port, "protocol"));
	const char *ip = json_string_value(json_object_get(port, "hostIP"));

	*ret = (struct pod_port){ .first = (uint16_t)n, .last = (uint16_t)n };
	return n > 0 && n <= 65535 && protocol && read_protocol(protocol, &ret->protocol) &&
	       (!ip || !*ip || podnet_prefix_parse(ip, &ret->ip) == 0);
}

static bool is_host_port(const struct doc *doc, const struct pod_port *is)
{
	json_t *container, *port;
	size_t i, k;

	json_array_foreach(doc_at(doc, "spec.containers"), i, container)
		json_array_foreach(json_object_get(container, "ports"), k, port) {
			struct pod_port host;

			if (read_host_port(port, &host) && overlap(&host, is))
				return true;
		}
	return false;
}

void pod_check_ports(const struct doc *doc, struct causes *causes)
{
	const char *text = doc_str(doc, PATH), *item, *why;
	struct pod_port v[ITEMS_MAX];
	size_t n = 0;
	int r = 0;

	while (text && text[0] && n < ITEMS_MAX &&
	       (item = pod_annotation_item(&text, &causes->arena, &r))) {
		why = parse(item, &v[n]);
		if (why)
			causes_add(causes, CAUSE_INVALID, FIELD, item, "%s", why);
		else if (known(v, n, &v[n]) || is_host_port(doc, &v[n]))
			causes_add(causes, CAUSE_DUPLICATE, FIELD, item, "%s", "");
		else
			n++;
	}
	if (r < 0)
		causes->failed = true;
	else if (n == ITEMS_MAX && text)
		causes_add(causes, CAUSE_TOO_MANY, FIELD, NULL, "must have at most %d items",
			   ITEMS_MAX);
}

static size_t count(const struct pod *pod)
{
	const char *text = meta_annotation(&pod->meta, KEY);
	size_t n = text && *text;

	for (; text && *text; text++)
		n += *text == ',';
	for (size_t i = 0; i < pod->ncontainers; i++)
		for (size_t k = 0; k < pod->containers[i].nports; k++)
			n += pod->containers[i].ports[k].host_port != 0;
	return n;
}

static void add_host_ports(struct pod *pod, const struct container *c)
{
	for (size_t i = 0; i < c->nports; i++) {
		const struct container_port *p = &c->ports[i];

		if (!p->host_port)
			continue;
		pod->ports[pod->nports++] = (struct pod_port){
			.ip = p->host_ip, .protocol = p->protocol, .first = (uint16_t)p->host_port,
			.last = (uint16_t)p->host_port, .to = (uint16_t)p->number,
		};
	}
}

int pod_decode_ports(struct pod *pod, struct arena *arena)
{
	const char *text = meta_annotation(&pod->meta, KEY), *item;
	size_t n = count(pod);
	int r = 0;

	if (!n || pod->host_network)    /* its ports are the node's already */
		return 0;
	pod->ports = arena_alloc(arena, n * sizeof(*pod->ports));
	if (!pod->ports)
		return -ENOMEM;
	for (size_t i = 0; i < pod->ncontainers; i++)
		add_host_ports(pod, &pod->containers[i]);
	while (text && text[0] && (item = pod_annotation_item(&text, arena, &r)))
		if (!parse(item, &pod->ports[pod->nports]))
			pod->nports++;
	return r;
}
