/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod_annotations.c - what a pod asks for beside its spec: networks, addresses, bandwidth
 *
 * Room (codec): one splitter serves the check and the decoding, so that what passed the first is
 * what the second finds.  May include: model, netd/base, include/podnet/ip.h, jansson.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/json.h>
#include <netd/codec/rows.h>
#include <stdio.h>

#define NETWORKS_MAX    16      /* of one pod */
#define KEY_NETWORKS    "podnet.dev/networks"
#define KEY_ROUTE       "podnet.dev/default-route"
#define KEY_IPS         "podnet.dev/ips"
#define KEY_MAC         "podnet.dev/mac"
#define KEY_NETNS       "podnet.dev/netns"
#define KEY_PORTS       "podnet.dev/ports"
#define KEY_ORIGIN      "podnet.dev/origin"
#define KEY_INGRESS     "kubernetes.io/ingress-bandwidth"
#define KEY_EGRESS      "kubernetes.io/egress-bandwidth"
#define FIELD(key)      "metadata.annotations[" key "]"
#define PATH(key)       "metadata.annotations[\"" key "\"]"

static const char blanks[] = " \t\r\n";

char *pod_annotation_item(const char **at, struct arena *arena, int *r)
{
	const char *begin = *at, *end;
	char *item;

	if (!begin)
		return NULL;
	end = strchrnul(begin, ',');
	*at = *end ? end + 1 : NULL;
	begin += strspn(begin, blanks);
	while (end > begin && strchr(blanks, end[-1]))
		end--;
	if (end < begin)
		end = begin;
	item = arena_strndup(arena, begin, (size_t)(end - begin));
	*r = item ? 0 : -ENOMEM;
	return item;
}

static size_t count_items(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ',';
	return n;
}

struct names {
	const char **v;
	size_t n;
};

static int split_networks(const char *text, struct arena *arena, struct names *ret)
{
	struct names names = { 0 };
	char *item;
	int r = 0;

	*ret = names;
	if (!text || !text[0])
		return 0;
	names.v = arena_alloc(arena, count_items(text) * sizeof(*names.v));
	if (!names.v)
		return -ENOMEM;
	while ((item = pod_annotation_item(&text, arena, &r)))
		names.v[names.n++] = item;
	if (r == 0)
		*ret = names;
	return r;
}

/* "[NETWORK=]ADDR": the address's text, and the network's name or NULL; cuts @item */
static const char *split_request(char *item, const char **network)
{
	char *sign = strchr(item, '='), *end;

	*network = NULL;
	if (!sign)
		return item;
	for (end = sign; end > item && strchr(blanks, end[-1]); end--)
		;
	*end = '\0';
	*network = item;
	return sign + 1 + strspn(sign + 1, blanks);
}

static bool among(const struct names *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return n == 0 && names->n == 0 && strcmp(name, "default") == 0;
}

static void check_networks(const struct names *names, struct causes *causes)
{
	char text[24];

	for (size_t i = 0; i < names->n && i < NETWORKS_MAX; i++) {
		const char *why = format_subdomain(names->v[i]);

		if (why)
			causes_add(causes, CAUSE_INVALID, FIELD(KEY_NETWORKS), names->v[i],
				   "%s", why);
		else if (i && among(names, i, names->v[i]))
			causes_add(causes, CAUSE_DUPLICATE, FIELD(KEY_NETWORKS), names->v[i],
				   "%s", "");
	}
	if (names->n <= NETWORKS_MAX)
		return;
	snprintf(text, sizeof(text), "%zu", names->n);
	causes_add(causes, CAUSE_TOO_MANY, FIELD(KEY_NETWORKS), text,
		   "must have at most %d items", NETWORKS_MAX);
}

static bool same_request(const struct pod_ip_request *a, const struct pod_ip_request *b,
			 const char *first)
{
	return a->ip.family == b->ip.family &&
	       strcmp(a->network ? a->network : first, b->network ? b->network : first) == 0;
}

static void check_request(const struct names *names, const struct pod_ip_request *v, size_t i,
			  const char *text, struct causes *causes)
{
	const char *first = names->n ? names->v[0] : "default";
	const char *special = format_special(&v[i].ip);

	if (special)
		causes_add(causes, CAUSE_INVALID, FIELD(KEY_IPS), text,
			   "is %s, which a pod cannot have", special);
	if (v[i].network && !among(names, names->n, v[i].network))
		causes_add(causes, CAUSE_INVALID, FIELD(KEY_IPS), v[i].network,
			   "is not one of the pod's networks");
	for (size_t k = 0; k < i; k++) {
		if (!same_request(&v[k], &v[i], first))
			continue;
		causes_add(causes, CAUSE_INVALID, FIELD(KEY_IPS), text,
			   "must be the only address of its family and network");
		return;
	}
}

static void check_ips(const char *text, const struct names *names, struct causes *causes)
{
	struct pod_ip_request v[2 * NETWORKS_MAX] = { 0 };
	size_t n = 0;
	char *item;
	int r = 0;

	while (text && text[0] && n < ARRAY_SIZE(v) &&
	       (item = pod_annotation_item(&text, &causes->arena, &r))) {
		const char *address = split_request(item, &v[n].network);

		if (format_address(address)) {
			causes_add(causes, CAUSE_INVALID, FIELD(KEY_IPS), address,
				   "must be a valid IP address, or NETWORK=ADDRESS");
			continue;
		}
		podnet_prefix_parse(address, &v[n].ip);
		check_request(names, v, n++, address, causes);
	}
	if (r < 0)
		causes->failed = true;
	else if (n == ARRAY_SIZE(v) && text)
		causes_add(causes, CAUSE_TOO_MANY, FIELD(KEY_IPS), NULL,
			   "must have at most %zu items", ARRAY_SIZE(v));
}

static void check_format(const struct doc *doc, const char *path, const char *field,
			 const char *(*format)(const char *s), struct causes *causes)
{
	const char *value = doc_str(doc, path), *why = value ? format(value) : NULL;

	if (why)
		causes_add(causes, CAUSE_INVALID, field, value, "%s", why);
}

/* A pod of the node's own network has nothing that could be asked for. */
static void check_host_network(const struct doc *doc, struct causes *causes)
{
	static const struct {
		const char *path, *field;
	} keys[] = {
		{ PATH(KEY_NETWORKS), FIELD(KEY_NETWORKS) },
		{ PATH(KEY_ROUTE), FIELD(KEY_ROUTE) },
		{ PATH(KEY_IPS), FIELD(KEY_IPS) },
		{ PATH(KEY_MAC), FIELD(KEY_MAC) },
		{ PATH(KEY_NETNS), FIELD(KEY_NETNS) },
		{ PATH(KEY_PORTS), FIELD(KEY_PORTS) },
	};

	if (!doc_bool(doc, "spec.hostNetwork", false))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (doc_has(doc, keys[i].path))
			causes_add(causes, CAUSE_FORBIDDEN, keys[i].field, NULL,
				   "may not be used when hostNetwork is true");
}

static bool is_known(const char *key)
{
	static const char *const keys[] = {
		KEY_NETWORKS, KEY_ROUTE, KEY_IPS, KEY_MAC, KEY_NETNS, KEY_PORTS, KEY_ORIGIN
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* Under our own prefix a name that means nothing is a misspelt one.  What was stored may stay. */
static void check_known(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char prefix[] = "podnet.dev/";
	json_t *notes = doc_at(doc, "metadata.annotations"), *value;
	const json_t *before = old ? doc_at(old, "metadata.annotations") : NULL;
	char field[96];
	const char *key;

	json_object_foreach(notes, key, value) {
		if (strncmp(key, prefix, sizeof(prefix) - 1) != 0 || is_known(key) ||
		    json_object_get(before, key))
			continue;
		snprintf(field, sizeof(field), "metadata.annotations[%.70s]", key);
		causes_add(causes, CAUSE_FORBIDDEN, field, NULL, "there is no such annotation: "
			   KEY_NETWORKS ", " KEY_ROUTE ", " KEY_IPS ", " KEY_MAC ", " KEY_NETNS
			   ", " KEY_PORTS " and " KEY_ORIGIN " are known");
	}
}

void pod_check_annotations(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const char *route = doc_str(doc, PATH(KEY_ROUTE));
	struct names names = { 0 };

	if (!doc_len(doc, "metadata.annotations"))
		return;
	check_known(doc, old, causes);
	if (split_networks(doc_str(doc, PATH(KEY_NETWORKS)), &causes->arena, &names) < 0) {
		causes->failed = true;
		return;
	}
	check_networks(&names, causes);
	if (route && route[0] && !among(&names, names.n, route))
		causes_add(causes, CAUSE_INVALID, FIELD(KEY_ROUTE), route,
			   "is not one of the pod's networks");
	check_ips(doc_str(doc, PATH(KEY_IPS)), &names, causes);
	check_format(doc, PATH(KEY_MAC), FIELD(KEY_MAC), format_mac, causes);
	check_format(doc, PATH(KEY_NETNS), FIELD(KEY_NETNS), format_netns_path, causes);
	check_format(doc, PATH(KEY_INGRESS), FIELD(KEY_INGRESS), format_bandwidth, causes);
	check_format(doc, PATH(KEY_EGRESS), FIELD(KEY_EGRESS), format_bandwidth, causes);
	pod_check_ports(doc, causes);
	check_host_network(doc, causes);
}

static int decode_ips(struct pod *pod, const char *text, struct arena *arena)
{
	struct pod_ip_request *v;
	size_t n = 0;
	char *item;
	int r = 0;

	if (!text || !text[0])
		return 0;
	v = arena_alloc(arena, count_items(text) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	while ((item = pod_annotation_item(&text, arena, &r))) {
		const char *address = split_request(item, &v[n].network);

		if (podnet_prefix_parse(address, &v[n].ip) == 0)
			n++;
	}
	if (r < 0)
		return r;
	pod->ip_requests = v;
	pod->nip_requests = n;
	return 0;
}

/* An empty one is as good as none. */
static const char *annotation(const struct meta *meta, const char *key)
{
	const char *value = meta_annotation(meta, key);

	return value && value[0] ? value : NULL;
}

/* The strings live in the decoded annotations already. */
int pod_decode_annotations(struct pod *pod, struct arena *arena)
{
	const struct meta *meta = &pod->meta;
	struct names names;
	const char *text;
	int r;

	if (!meta->nannotations)
		return 0;
	r = split_networks(meta_annotation(meta, KEY_NETWORKS), arena, &names);
	if (r == 0)
		r = decode_ips(pod, meta_annotation(meta, KEY_IPS), arena);
	if (r < 0)
		return r;
	pod->networks = names.v;
	pod->nnetworks = names.n;
	pod->default_route = annotation(meta, KEY_ROUTE);
	pod->netns = annotation(meta, KEY_NETNS);
	pod->origin = annotation(meta, KEY_ORIGIN);
	podnet_mac_parse(meta_annotation(meta, KEY_MAC), pod->mac);
	text = meta_annotation(meta, KEY_INGRESS);
	if (text)
		quantity_parse(text, &pod->ingress_bps);
	text = meta_annotation(meta, KEY_EGRESS);
	if (text)
		quantity_parse(text, &pod->egress_bps);
	return 0;
}
