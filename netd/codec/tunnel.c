/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tunnel.c - podnet.dev/v1 Tunnel
 *
 * Room (codec).  May include: model, netd/base, include/podnet/ip.h.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/codec/rows.h>
#include <netinet/in.h>
#include <stdio.h>

#define ADDRESSES_MAX 256
#define PEERS_MAX     1024
#define CIDRS_MAX     64            /* of one peer */
#define VXLAN_ID_MAX  16777215
#define VXLAN_PORT    4789          /* IANA's */
#define LOCAL         UINT32_MAX    /* in place of a peer's number */

static const char *const types[] = { [TUNNEL_UDP] = "udp", [TUNNEL_VXLAN] = "vxlan", NULL };
static const char *const framings[] = { [TUNNEL_RAW] = "raw", [TUNNEL_PI] = "pi", [TUNNEL_FASTPATH] = "fastpath", NULL };

static const struct field peer_fields[] = {
	{ .name = "address", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(tunnel_peer, address) },
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_STORED,
	  AT(tunnel_peer, port) },
	{ .name = "cidrs", .type = FIELD_LIST, .elem = FIELD_CIDR, .min = 1, .max = CIDRS_MAX,
	  .flags = FIELD_REQUIRED | FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(tunnel_peer, cidrs, ncidrs) },
	{ .name = "framing", .type = FIELD_ENUM, .values = framings,
	  .flags = FIELD_STORED | FIELD_INDEX, AT(tunnel_peer, framing) },
	{ .name = "macAddress", .type = FIELD_MAC, .flags = FIELD_STORED, AT(tunnel_peer, mac) },
	{ 0 }
};

static const struct field spec_fields[] = {
	{ .name = "nodeName", .type = FIELD_SUBDOMAIN, .flags = FIELD_STORED,
	  AT(tunnel, node_name) },
	{ .name = "interface", .type = FIELD_OWN_IFNAME, .flags = FIELD_STORED,
	  AT(tunnel, interface) },
	{ .name = "type", .type = FIELD_ENUM, .values = types,
	  .flags = FIELD_REQUIRED | FIELD_STORED | FIELD_INDEX, AT(tunnel, type) },
	{ .name = "id", .type = FIELD_INT, .min = 1, .max = VXLAN_ID_MAX, .flags = FIELD_STORED,
	  AT(tunnel, id) },
	{ .name = "local", .type = FIELD_ADDRESS, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(tunnel, local) },
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_STORED,
	  AT(tunnel, port) },
	{ .name = "mtu", .type = FIELD_INT, .min = 68, .max = 65535, .flags = FIELD_STORED,
	  AT(tunnel, mtu) },
	{ .name = "macAddress", .type = FIELD_MAC, .flags = FIELD_STORED, AT(tunnel, mac) },
	{ .name = "addresses", .type = FIELD_LIST, .elem = FIELD_PREFIX, .max = ADDRESSES_MAX,
	  .flags = FIELD_UNIQUE | FIELD_STORED | FIELD_COUNTED,
	  LIST_AT(tunnel, addresses, naddresses) },
	{ .name = "peers", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = peer_fields,
	  .max = PEERS_MAX, .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(tunnel, peers, npeers) },
	{ 0 }
};

const struct field tunnel_fields[] = {
	ENVELOPE_FIELDS,
	{ .name = "spec", .type = FIELD_OBJECT, .sub = spec_fields, .flags = FIELD_REQUIRED },
	STATUS_FIELD(plain_status_fields),
	{ 0 }
};

static bool is_type(const struct doc *doc, enum tunnel_type type)
{
	const char *s = doc_str(doc, "spec.type");

	return s && strcmp(s, types[type]) == 0;
}

int tunnel_defaults(struct doc *doc)
{
	if (!is_type(doc, TUNNEL_VXLAN) || doc_has(doc, "spec.port"))
		return 0;
	return doc_set_int(doc, "spec.port", VXLAN_PORT);
}

static const char *peer_path(size_t peer, const char *member, char buf[64])
{
	snprintf(buf, 64, "spec.peers[%zu]%s", peer, member);
	return buf;
}

static const char *cidr_path(size_t peer, size_t cidr, char buf[64])
{
	snprintf(buf, 64, "spec.peers[%zu].cidrs[%zu]", peer, cidr);
	return buf;
}

static bool parse(const struct doc *doc, const char *path, struct podnet_prefix *ret)
{
	const char *text = doc_str(doc, path);

	return text && podnet_prefix_parse(text, ret) == 0;
}

/* what only the other type has */
static void forbid(const struct doc *doc, const char *path, enum tunnel_type type,
		   struct causes *causes)
{
	if (doc_has(doc, path))
		causes_add(causes, CAUSE_FORBIDDEN, path, NULL, "a tunnel of type %s has none",
			   types[type]);
}

static void check_type(const struct doc *doc, struct causes *causes)
{
	size_t n = doc_len(doc, "spec.peers");
	char path[64];

	if (is_type(doc, TUNNEL_UDP)) {
		forbid(doc, "spec.id", TUNNEL_UDP, causes);
		forbid(doc, "spec.macAddress", TUNNEL_UDP, causes);
		if (!doc_has(doc, "spec.port"))
			causes_add(causes, CAUSE_REQUIRED, "spec.port", NULL,
				   "a tunnel of type udp needs one");
	}
	if (is_type(doc, TUNNEL_VXLAN) && !doc_has(doc, "spec.id"))
		causes_add(causes, CAUSE_REQUIRED, "spec.id", NULL,
			   "a tunnel of type vxlan needs one");
	for (size_t i = 0; i < n && i < PEERS_MAX; i++) {
		if (is_type(doc, TUNNEL_UDP)) {
			forbid(doc, peer_path(i, ".macAddress", path), TUNNEL_UDP, causes);
		} else if (is_type(doc, TUNNEL_VXLAN)) {
			forbid(doc, peer_path(i, ".port", path), TUNNEL_VXLAN, causes);
			forbid(doc, peer_path(i, ".framing", path), TUNNEL_VXLAN, causes);
		}
	}
}

/* of the underlay, and one host's */
static bool check_address(const struct doc *doc, const char *path, struct podnet_prefix *ret,
			  struct causes *causes)
{
	const char *special;

	if (!parse(doc, path, ret))
		return false;
	special = format_special(ret);
	/* it is of one link, and there is no way to say of which */
	if (ret->family == AF_INET6 && ret->addr[0] == 0xfe && (ret->addr[1] & 0xc0) == 0x80)
		special = "link-local";
	if (special)
		causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path), "is %s: must be an "
			   "address of the underlay", special);
	return !special;
}

/** What a prefix of the tunnel is, to find those that overlap by sorting. */
struct item {
	struct podnet_prefix p;
	uint32_t peer, cidr;
	bool host;                  /* an address of the underlay; cidr: the peer's port */
};

static int by_prefix(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int r = (int)a->p.family - (int)b->p.family;

	r = r ? r : memcmp(a->p.addr, b->p.addr, sizeof(a->p.addr));
	r = r ? r : (int)a->p.len - (int)b->p.len;
	r = r ? r : (int)a->host - (int)b->host;
	if (r == 0 && a->host)
		r = (a->cidr > b->cidr) - (a->cidr < b->cidr);
	r = r ? r : (a->peer > b->peer) - (a->peer < b->peer);
	return r ? r : (a->cidr > b->cidr) - (a->cidr < b->cidr);
}

static void tell_overlap(const struct doc *doc, const struct item *a, const struct item *b,
			 struct causes *causes)
{
	bool later = a->peer > b->peer || (a->peer == b->peer && a->cidr > b->cidr);
	const struct item *of = later ? a : b, *with = later ? b : a;
	char path[64], other[64];

	cidr_path(of->peer, of->cidr, path);
	causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path), "overlaps with %s",
		   cidr_path(with->peer, with->cidr, other));
}

/* What goes into the tunnel would lead the tunnel's own packets into it. */
static void tell_loop(const struct doc *doc, const struct item *cidr, const struct item *host,
		      struct causes *causes)
{
	char path[64], other[64] = "spec.local";

	cidr_path(cidr->peer, cidr->cidr, path);
	if (host->peer != LOCAL)
		peer_path(host->peer, ".address", other);
	causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path),
		   "contains %s: the tunnel would lead into itself", other);
}

/* two programs of one host may be two peers */
static bool same_peer(const struct item *a, const struct item *b)
{
	return a->host && b->host && a->peer != LOCAL && b->peer != LOCAL && a->cidr == b->cidr &&
	       memcmp(&a->p, &b->p, sizeof(a->p)) == 0;
}

static void tell_twice(const struct doc *doc, const struct item *peer, const struct item *first,
		       struct causes *causes)
{
	char path[64], other[64];

	peer_path(peer->peer, ".address", path);
	causes_add(causes, CAUSE_DUPLICATE, path, doc_str(doc, path), "%s is the same",
		   peer_path(first->peer, "", other));
}

static void check_overlaps(const struct doc *doc, struct item *v, size_t n, struct causes *causes)
{
	const struct item *top = NULL;

	qsort(v, n, sizeof(*v), by_prefix);
	for (size_t i = 0; i < n; i++) {
		if (i && same_peer(&v[i - 1], &v[i]))
			tell_twice(doc, &v[i], &v[i - 1], causes);
		if (!top || !podnet_prefix_contains(&top->p, &v[i].p))
			top = v[i].host ? NULL : &v[i];
		else if (v[i].host)
			tell_loop(doc, top, &v[i], causes);
		/* twice in one list is said of the list */
		else if (top->peer != v[i].peer || top->p.len != v[i].p.len)
			tell_overlap(doc, top, &v[i], causes);
	}
}

/* Nothing that is there can be another host's: this one's own, a link's, a group's. */
static void check_cidr(const struct doc *doc, const char *path, const struct podnet_prefix *p,
		       struct causes *causes)
{
	const char *range = format_inside(p);

	if (range)
		causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path),
			   "is in %s, which no peer can have", range);
}

static size_t add_cidrs(const struct doc *doc, size_t peer, struct item *v, struct causes *causes)
{
	char path[64];
	size_t n = doc_len(doc, peer_path(peer, ".cidrs", path)), added = 0;

	for (size_t i = 0; i < n && i < CIDRS_MAX; i++) {
		struct item *item = &v[added];

		if (!parse(doc, cidr_path(peer, i, path), &item->p))
			continue;
		check_cidr(doc, path, &item->p, causes);
		item->peer = (uint32_t)peer;
		item->cidr = (uint32_t)i;
		added++;
	}
	return added;
}

static size_t add_peer(const struct doc *doc, size_t peer, const struct item *local,
		       struct item *v, struct causes *causes)
{
	char path[64], port[64];
	size_t n = 0;

	peer_path(peer, ".address", path);
	if (check_address(doc, path, &v[0].p, causes)) {
		v[0].host = true;
		v[0].peer = (uint32_t)peer;
		v[0].cidr = (uint32_t)doc_int(doc, peer_path(peer, ".port", port),
					      doc_int(doc, "spec.port", 0));
		n++;
		if (local->host && local->p.family != v[0].p.family)
			causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path),
				   "must be of the family of spec.local");
		else if (local->host && !memcmp(&local->p, &v[0].p, sizeof(v[0].p)))
			causes_add(causes, CAUSE_INVALID, path, doc_str(doc, path),
				   "must not be spec.local");
	}
	return n + add_cidrs(doc, peer, v + n, causes);
}

static size_t count_items(const struct doc *doc, size_t npeers)
{
	size_t n = 1;
	char path[64];

	for (size_t i = 0; i < npeers; i++) {
		size_t ncidrs = doc_len(doc, peer_path(i, ".cidrs", path));

		n += 1 + (ncidrs < CIDRS_MAX ? ncidrs : CIDRS_MAX);
	}
	return n;
}

static void check_peers(const struct doc *doc, struct causes *causes)
{
	size_t npeers = doc_len(doc, "spec.peers"), n = 1;
	_cleanup_free_ struct item *v = NULL;
	struct item local;

	npeers = npeers < PEERS_MAX ? npeers : PEERS_MAX;
	v = calloc(count_items(doc, npeers), sizeof(*v));
	if (!v) {
		causes->failed = true;
		return;
	}
	v[0].peer = LOCAL;
	v[0].host = check_address(doc, "spec.local", &v[0].p, causes);
	n = v[0].host;
	local = v[0];
	for (size_t i = 0; i < npeers; i++)
		n += add_peer(doc, i, &local, v + n, causes);
	check_overlaps(doc, v, n, causes);
}

struct mac {
	uint8_t mac[6];
	uint32_t peer;              /* counted from 1; 0: the device itself */
};

static int by_mac(const void *x, const void *y)
{
	const struct mac *a = x, *b = y;
	int r = memcmp(a->mac, b->mac, sizeof(a->mac));

	return r ? r : (a->peer > b->peer) - (a->peer < b->peer);
}

/* An entry of the forwarding database is found by the address. */
static void check_macs(const struct doc *doc, struct causes *causes)
{
	size_t npeers = doc_len(doc, "spec.peers"), n = 0;
	_cleanup_free_ struct mac *v = NULL;
	char path[64] = "spec.macAddress";

	npeers = npeers < PEERS_MAX ? npeers : PEERS_MAX;
	v = calloc(npeers + 1, sizeof(*v));
	if (!v) {
		causes->failed = true;
		return;
	}
	for (size_t i = 0; i <= npeers; i++) {
		const char *text = doc_str(doc, i ? peer_path(i - 1, ".macAddress", path) : path);

		v[n].peer = (uint32_t)i;
		n += text && podnet_mac_parse(text, v[n].mac) == 0;
	}
	qsort(v, n, sizeof(*v), by_mac);
	for (size_t i = 1; i < n; i++) {
		if (memcmp(v[i].mac, v[i - 1].mac, sizeof(v[i].mac)))
			continue;
		peer_path(v[i].peer - 1, ".macAddress", path);
		causes_add(causes, CAUSE_DUPLICATE, path, doc_str(doc, path), "%s", "");
	}
}

static bool has_ipv6(const struct doc *doc)
{
	size_t n = doc_len(doc, "spec.peers");
	char path[64];

	for (size_t i = 0; i < n && i < PEERS_MAX; i++) {
		size_t ncidrs = doc_len(doc, peer_path(i, ".cidrs", path));

		for (size_t k = 0; k < ncidrs && k < CIDRS_MAX; k++) {
			const char *text = doc_str(doc, cidr_path(i, k, path));

			if (text && strchr(text, ':'))
				return true;
		}
	}
	return false;
}

static void check_tunnel_mtu(const struct doc *doc, struct causes *causes)
{
	bool v6 = strchr(doc_str(doc, "spec.local") ? doc_str(doc, "spec.local") : "", ':');
	int64_t mtu = doc_int(doc, "spec.mtu", 0);
	int outer = (v6 ? 48 : 28) + (is_type(doc, TUNNEL_VXLAN) ? 22 : 4);
	size_t n = causes->n;

	check_link_mtu(doc, "spec.addresses", causes);
	if (n == causes->n && mtu >= 68 && mtu < 1280 && has_ipv6(doc))
		doc_cause(causes, CAUSE_INVALID, doc, "spec.mtu", "must be at least 1280 with IPv6");
	if (mtu > 65535 - outer && mtu <= 65535)
		doc_cause(causes, CAUSE_INVALID, doc, "spec.mtu",
			  "must be at most %d: what is around a packet takes %d bytes",
			  65535 - outer, outer);
}

void tunnel_check(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_node_name(doc, old, causes);
	if (old)
		check_immutable(doc, old, "spec.type", causes);
	check_interface(doc, causes);
	check_type(doc, causes);
	check_peers(doc, causes);
	check_macs(doc, causes);
	check_tunnel_mtu(doc, causes);
}

void *tunnel_decode(const struct value *doc, struct arena *arena)
{
	struct tunnel *t = kind_new(doc, tunnel_fields, sizeof(*t), arena);

	if (!t)
		return NULL;
	if (!t->interface)
		t->interface = t->meta.name;
	for (size_t i = 0; t->type == TUNNEL_UDP && i < t->npeers; i++)
		if (!t->peers[i].port)
			t->peers[i].port = t->port;
	return t;
}
