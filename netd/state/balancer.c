/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balancer.c - load-balancer addresses of Services in a transaction
 *
 * Room: state.  They are claims like the addresses of pods, of a network that no Network is called.
 * Its blocks are all of IPv4 and all of IPv6, whatever the pool is at present: so every address of a
 * pool can be given, the first and the last too, and a pool that was changed leaves what it gave
 * with who has it.  What a Service holds stands in status.loadBalancer.ingress and nowhere else,
 * and its class says that this is so.
 * May include: codec, model, store.h, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/codec/service.h>
#include <stdio.h>
#include <sys/socket.h>

#define LIST        "status.loadBalancer.ingress"
#define IN_ORDER    256u        /* so many are given in order, others from a random one on */
#define SPAN_MAX    65536u      /* addresses of a large pool that are given by themselves */

static unsigned width(int family)
{
	return family == AF_INET6 ? 128 : 32;
}

static bool same(const struct podnet_prefix *a, const struct podnet_prefix *b)
{
	return a->family == b->family && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static bool among(const struct podnet_prefix *v, size_t n, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < n; i++)
		if (same(&v[i], ip))
			return true;
	return false;
}

bool service_holds_balancer_ip(const struct service *svc, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < svc->ningress && svc->from_pool; i++)
		if (same(&svc->ingress[i].ip, ip))
			return true;
	return false;
}

static const struct podnet_prefix *pool_of(const struct state *state, int family)
{
	for (size_t i = 0; i < state->conf->nbalancer_cidrs; i++)
		if (state->conf->balancer_cidrs[i].family == family)
			return &state->conf->balancer_cidrs[i];
	return NULL;
}

static int claim(struct txn *txn, const struct podnet_prefix *ip, const char *uid)
{
	const struct network net = {
		.meta = { .name = CLAIM_BALANCERS }, .ncidrs = 2,
		.cidrs = { { .family = AF_INET }, { .family = AF_INET6 } },
	};
	struct podnet_prefix got;

	return txn_claim_ip(txn, &net, ip->family, ip, uid, &got);
}

int txn_release_balancer_ip(struct txn *txn, const struct podnet_prefix *ip)
{
	return txn_release_ip(txn, CLAIM_BALANCERS, ip, 0);
}

static struct podnet_prefix nth(const struct podnet_prefix *cidr, uint32_t n)
{
	struct podnet_prefix p = *cidr;

	p.len = (uint8_t)width(cidr->family);
	for (unsigned at = p.len / 8; n && at-- > 0; n >>= 8)
		p.addr[at] |= (uint8_t)n;
	return p;
}

static int claim_any(struct txn *txn, const struct podnet_prefix *pool,
		     const struct balancer_ask *ask, struct podnet_prefix *ret)
{
	unsigned bits = width(pool->family) - pool->len;
	uint32_t n = bits < 16 ? 1u << bits : SPAN_MAX, start = 0;
	int r = -ENOSPC;

	if (n > IN_ORDER)
		(void)random_bytes(&start, sizeof(start));      /* any number will do */
	for (uint32_t i = 0; i < n; i++) {
		struct podnet_prefix ip = nth(pool, (start % n + i) % n);

		if (among(ask->avoid, ask->navoid, &ip))
			continue;
		r = claim(txn, &ip, ask->uid);
		if (r == 0)
			*ret = ip;
		if (r != -EADDRINUSE && r != -EADDRNOTAVAIL)
			return r;
	}
	return -ENOSPC;
}

static int claim_wanted(struct txn *txn, const struct podnet_prefix *pool,
			const struct podnet_prefix *ip, struct balancer_ask *ask)
{
	int r = -ERANGE;

	if (pool && podnet_prefix_contains(pool, ip))
		r = among(ask->avoid, ask->navoid, ip) ? -EADDRINUSE : claim(txn, ip, ask->uid);
	if (r < 0)
		ask->fault = *ip;
	return r == -EADDRNOTAVAIL ? -ERANGE : r;
}

static const struct podnet_prefix *wanted(const struct service *svc, int family)
{
	for (size_t i = 0; i < svc->nwanted_ips; i++)
		if (svc->wanted_ips[i].family == family)
			return &svc->wanted_ips[i];
	return NULL;
}

/* The address of one family: 1 it is in @ret, 0 there is none to be had. */
static int grant(struct txn *txn, int family, const struct service *now, const struct service *old,
		 struct balancer_ask *ask, struct podnet_prefix *ret)
{
	const struct podnet_prefix *pool = pool_of(txn->state, family), *want = wanted(now, family);
	int r;

	for (size_t i = 0; old && old->from_pool && i < old->ningress; i++) {
		*ret = old->ingress[i].ip;
		if (ret->family == family && (!want || same(want, ret)))
			return 1;
	}
	if (want) {
		*ret = *want;
		r = claim_wanted(txn, pool, want, ask);
	} else {
		r = pool ? claim_any(txn, pool, ask, ret) : -ENOSPC;
	}
	return r == -ENOSPC ? 0 : r < 0 ? r : 1;
}

static int put(struct doc *doc, const struct podnet_prefix *ips, size_t n)
{
	char path[48], text[PODNET_PREFIX_STRLEN];
	int r = 0;

	doc_remove(doc, LIST);
	for (size_t i = 0; r == 0 && i < n; i++) {
		snprintf(path, sizeof(path), LIST "[%zu].ip", i);
		r = doc_set_str(doc, path, podnet_prefix_format_addr(&ips[i], text));
		snprintf(path, sizeof(path), LIST "[%zu].ipMode", i);
		if (r == 0)
			r = doc_set_str(doc, path, "VIP");
	}
	return r < 0 ? -ENOMEM : 0;
}

static bool has_family(const struct service *svc, int family)
{
	for (size_t i = 0; i < svc->nfamilies; i++)
		if ((svc->families[i] == FAMILY_IPV6 ? AF_INET6 : AF_INET) == family)
			return true;
	return false;
}

int txn_grant_balancer(struct txn *txn, struct doc *doc, const struct service *now,
		       const struct service *old, struct balancer_ask *ask)
{
	struct podnet_prefix ips[2];
	size_t n = 0;
	int r;

	ask->missing = 0;
	for (size_t i = 0; i < now->nwanted_ips; i++)
		if (!has_family(now, now->wanted_ips[i].family)) {
			ask->fault = now->wanted_ips[i];
			return -ERANGE;
		}
	for (size_t i = 0; i < now->nfamilies; i++) {
		int family = now->families[i] == FAMILY_IPV6 ? AF_INET6 : AF_INET;

		r = grant(txn, family, now, old, ask, &ips[n]);
		if (r < 0)
			return r;
		n += (size_t)r;
		ask->missing += r == 0;
	}
	return put(doc, ips, n);
}
