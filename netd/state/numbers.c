/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * numbers.c - cluster IPs and node ports of Services in a transaction
 *
 * Room: state.  Both are claims like the addresses of pods, of two networks that no Network is
 * called: "~services" has the service CIDRs as its blocks, and "~node-ports" is 0.0.0.0/16, whose
 * address 0.0.A.B stands for port 256 * A + B.  So one unique key guards each, they are taken when
 * the transaction is built and freed when it commits; a freed one can be had at once.
 * May include: model, store.h, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <sys/socket.h>

/* Among these only asked-for numbers are looked for first; the rest is given by itself. */
#define BAND_IPS_MIN    16
#define BAND_IPS_MAX    256
#define BAND_PORTS_MAX  128
#define SPAN_MAX        65536u      /* addresses of a large CIDR that are given */

static struct network services_of(const struct state *state)
{
	const struct node_config *conf = state->conf;
	struct network net = { .meta = { .name = CLAIM_SERVICES }, .ncidrs = conf->nservice_cidrs };

	for (size_t i = 0; i < net.ncidrs; i++) {
		net.cidrs[i] = conf->service_cidrs[i];
		net.block_len[i] = conf->service_cidrs[i].len;
	}
	return net;
}

static struct network node_ports(void)
{
	return (struct network){
		.meta = { .name = CLAIM_NODE_PORTS }, .ncidrs = 1, .block_len = { 16 },
		.cidrs = { { .family = AF_INET, .len = 16 } },
	};
}

struct podnet_prefix claim_port(uint32_t port)
{
	return (struct podnet_prefix){
		.family = AF_INET, .len = 32, .addr = { 0, 0, (uint8_t)(port >> 8), (uint8_t)port },
	};
}

static unsigned width(const struct podnet_prefix *p)
{
	return p->family == AF_INET ? 32 : 128;
}

/* Address number @n of @cidr; @n fits behind its length. */
static struct podnet_prefix nth(const struct podnet_prefix *cidr, uint32_t n)
{
	struct podnet_prefix p = *cidr;

	p.len = (uint8_t)width(cidr);
	for (unsigned at = p.len / 8; n && at-- > 0; n >>= 8)
		p.addr[at] |= (uint8_t)n;
	return p;
}

static uint32_t random_below(uint32_t n)
{
	uint32_t v = 0;

	(void)random_bytes(&v, sizeof(v));      /* any number will do */
	return n ? v % n : 0;
}

static uint32_t between(uint32_t v, uint32_t least, uint32_t most)
{
	return v < least ? least : v > most ? most : v;
}

/*
 * The first free one of @n, tried from a random one behind the band on, and round; then the band.
 * Each try is a look at a bit.
 */
static int claim_any(struct txn *txn, const struct network *net, const struct podnet_prefix *first,
		     uint32_t n, uint32_t band, const char *owner, struct podnet_prefix *ret)
{
	uint32_t upper = n - band, start = random_below(upper);
	int r = -ENOSPC;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = i < upper ? band + (start + i) % upper : i - upper;
		struct podnet_prefix want = nth(first, at);

		r = txn_claim_ip(txn, net, first->family, &want, owner, ret);
		if (r != -EADDRINUSE && r != -EADDRNOTAVAIL)
			return r;
	}
	return -ENOSPC;
}

int txn_claim_service_ip(struct txn *txn, int family, const struct podnet_prefix *want,
			 const char *owner, struct podnet_prefix *ret)
{
	struct network net = services_of(txn->state);

	if (want)
		return txn_claim_ip(txn, &net, family, want, owner, ret);
	for (size_t i = 0; i < net.ncidrs; i++) {
		unsigned bits = width(&net.cidrs[i]) - net.cidrs[i].len;
		uint32_t n = bits < 16 ? 1u << bits : SPAN_MAX;
		uint32_t band = n > BAND_IPS_MIN ? between(n / 16, BAND_IPS_MIN, BAND_IPS_MAX) : 0;

		if (net.cidrs[i].family == family)
			return claim_any(txn, &net, &net.cidrs[i], n, band == n ? 0 : band, owner, ret);
	}
	return -ENOSPC;
}

int txn_claim_node_port(struct txn *txn, uint32_t want, const char *owner, uint32_t *ret)
{
	const struct node_config *conf = txn->state->conf;
	uint32_t n = conf->node_port_max - conf->node_port_min + 1;
	uint32_t band = n > 32 ? between(n / 32, 16, BAND_PORTS_MAX) : 0;
	struct network net = node_ports();
	struct podnet_prefix address = claim_port(want), got = { 0 };
	uint32_t upper = n - band, start = random_below(upper);
	int r = -ENOSPC;

	if (want && (want < conf->node_port_min || want > conf->node_port_max))
		return -ERANGE;
	if (want)
		r = txn_claim_ip(txn, &net, AF_INET, &address, owner, &got);
	for (uint32_t i = 0; !want && i < n; i++) {
		uint32_t at = i < upper ? band + (start + i) % upper : i - upper;

		address = claim_port(conf->node_port_min + at);
		r = txn_claim_ip(txn, &net, AF_INET, &address, owner, &got);
		if (r != -EADDRINUSE)
			break;
	}
	if (r == 0)
		*ret = (uint32_t)got.addr[2] << 8 | got.addr[3];
	return r == -EADDRINUSE && !want ? -ENOSPC : r;
}

static int release(struct txn *txn, const char *network, const struct podnet_prefix *ip)
{
	return txn_release_ip(txn, network, ip, 0);
}

static int release_service_ip(struct txn *txn, const struct podnet_prefix *ip)
{
	return release(txn, CLAIM_SERVICES, ip);
}

static int release_node_port(struct txn *txn, uint32_t port)
{
	struct podnet_prefix address = claim_port(port);

	return release(txn, CLAIM_NODE_PORTS, &address);
}

bool service_holds_port(const struct service *svc, uint32_t port)
{
	if (svc->health_check_port == port)
		return true;
	for (size_t i = 0; i < svc->nports; i++)
		if (svc->ports[i].node_port == port)
			return true;
	return false;
}

bool service_holds_ip(const struct service *svc, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < svc->ncluster_ips; i++)
		if (svc->cluster_ips[i].family == ip->family &&
		    memcmp(svc->cluster_ips[i].addr, ip->addr, sizeof(ip->addr)) == 0)
			return true;
	return false;
}

/* A number that stands there twice is released once. */
bool service_port_seen(const struct service *svc, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (svc->ports[k].node_port == svc->ports[i].node_port)
			return true;
	return false;
}

int txn_release_service(struct txn *txn, const struct service *svc, const struct service *kept)
{
	static const struct service none;
	uint32_t health = svc->health_check_port;
	int r = 0;

	if (!kept)
		kept = &none;
	for (size_t i = 0; r == 0 && i < svc->ncluster_ips; i++)
		if (!service_holds_ip(kept, &svc->cluster_ips[i]))
			r = release_service_ip(txn, &svc->cluster_ips[i]);
	for (size_t i = 0; r == 0 && i < svc->nports; i++) {
		uint32_t port = svc->ports[i].node_port;

		if (port && port != health && !service_port_seen(svc, i) && !service_holds_port(kept, port))
			r = release_node_port(txn, port);
	}
	for (size_t i = 0; r == 0 && i < svc->ningress && svc->from_pool; i++)
		if (svc->ingress[i].ip.family && !service_holds_balancer_ip(kept, &svc->ingress[i].ip))
			r = txn_release_balancer_ip(txn, &svc->ingress[i].ip);
	if (r == 0 && health && !service_holds_port(kept, health))
		r = release_node_port(txn, health);
	return r;
}
