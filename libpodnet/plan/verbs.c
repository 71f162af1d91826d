/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verbs.c - ensure and absent of one object: a set of one, planned and committed
 *
 * Room: thin.  May include: plan/inner.h, include/podnet.
 *
 * A set of one never deletes what it does not name: what another call made stays.
 */
#include "inner.h"

#include <errno.h>
#include <sys/socket.h>

#define VERB_SCOPE "verb"
#define ABSENT (PN_DIFF_ABSENT | PN_DIFF_STRICT | PN_DIFF_ANY_SCOPE | PN_DIFF_NAMED)

DEFINE_CLEANUP(struct podnet_set, podnet_set_free)
DEFINE_CLEANUP(struct podnet_plan, podnet_plan_free)
#define _cleanup_set_ _cleanup_(podnet_set_freep)
#define _cleanup_plan_ _cleanup_(podnet_plan_freep)

/* @r: what declaring returned */
static int carry(struct podnet *ctx, const struct podnet_set *set, int r, uint32_t mode,
		 struct podnet_error *err)
{
	_cleanup_plan_ struct podnet_plan *plan = NULL;

	if (r < 0)
		return r;
	r = pn_plan_make(ctx, set, 0, mode, &plan, err);
	return r > 0 ? podnet_plan_commit(ctx, plan, err) : r;
}

int podnet_veth_ensure(struct podnet *ctx, const struct podnet_veth *spec,
		       struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_veth(set, spec, err);
	return carry(ctx, set, r, PN_DIFF_NAMED, err);
}

int podnet_bridge_ensure(struct podnet *ctx, const struct podnet_link *spec,
			 struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_bridge(set, spec, err);
	return carry(ctx, set, r, PN_DIFF_NAMED, err);
}

int podnet_vxlan_ensure(struct podnet *ctx, const struct podnet_vxlan *spec,
			struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_vxlan(set, spec, err);
	return carry(ctx, set, r, PN_DIFF_NAMED, err);
}

int podnet_tun_ensure(struct podnet *ctx, const struct podnet_tun *spec, struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_tun(set, spec, err);
	return carry(ctx, set, r, PN_DIFF_NAMED, err);
}

static int link_verb(struct podnet *ctx, const struct podnet_link *spec, uint32_t mode,
		     struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_link(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_link_ensure(struct podnet *ctx, const struct podnet_link *spec,
		       struct podnet_error *err)
{
	return link_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_link_absent(struct podnet *ctx, const char *netns, const char *name,
		       struct podnet_error *err)
{
	struct podnet_link spec = { .netns = netns, .name = name };

	return link_verb(ctx, &spec, ABSENT, err);
}

static int addr_verb(struct podnet *ctx, const struct podnet_addr *spec, uint32_t mode,
		     struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_addr(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_addr_ensure(struct podnet *ctx, const struct podnet_addr *spec,
		       struct podnet_error *err)
{
	return addr_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_addr_absent(struct podnet *ctx, const struct podnet_addr *spec,
		       struct podnet_error *err)
{
	return addr_verb(ctx, spec, ABSENT, err);
}

static int route_verb(struct podnet *ctx, const struct podnet_route *spec, uint32_t mode,
		      struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_route(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_route_ensure(struct podnet *ctx, const struct podnet_route *spec,
			struct podnet_error *err)
{
	return route_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_route_absent(struct podnet *ctx, const struct podnet_route *spec,
			struct podnet_error *err)
{
	/* only the key matters here: where the route leads need not be said */
	struct podnet_route key = {
		.netns = spec->netns, .dst = spec->dst, .table = spec->table,
		.metric = spec->metric, .type = PODNET_ROUTE_UNREACHABLE,
	};

	return route_verb(ctx, &key, ABSENT, err);
}

static int rule_verb(struct podnet *ctx, const struct podnet_rule *spec, uint32_t mode,
		     struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_rule(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_rule_ensure(struct podnet *ctx, const struct podnet_rule *spec,
		       struct podnet_error *err)
{
	return rule_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_rule_absent(struct podnet *ctx, const struct podnet_rule *spec,
		       struct podnet_error *err)
{
	return rule_verb(ctx, spec, ABSENT, err);
}

static int neigh_verb(struct podnet *ctx, const struct podnet_neigh *spec, uint32_t mode,
		      struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_neigh(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_neigh_ensure(struct podnet *ctx, const struct podnet_neigh *spec,
			struct podnet_error *err)
{
	return neigh_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_neigh_absent(struct podnet *ctx, const struct podnet_neigh *spec,
			struct podnet_error *err)
{
	return neigh_verb(ctx, spec, ABSENT, err);
}

static int fdb_verb(struct podnet *ctx, const struct podnet_fdb *spec, uint32_t mode,
		    struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_fdb(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_fdb_ensure(struct podnet *ctx, const struct podnet_fdb *spec, struct podnet_error *err)
{
	return fdb_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_fdb_absent(struct podnet *ctx, const struct podnet_fdb *spec, struct podnet_error *err)
{
	struct podnet_fdb key = *spec;

	/* not part of the key */
	key.dst = (struct podnet_prefix){ .family = AF_INET, .len = 32 };
	return fdb_verb(ctx, &key, ABSENT, err);
}

static int limit_verb(struct podnet *ctx, const struct podnet_limit *spec, uint32_t mode,
		      struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_limit(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_limit_ensure(struct podnet *ctx, const struct podnet_limit *spec,
			struct podnet_error *err)
{
	return limit_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_limit_absent(struct podnet *ctx, const struct podnet_limit *spec,
			struct podnet_error *err)
{
	struct podnet_limit key = *spec;

	key.rate = key.rate ? key.rate : 1000;          /* not part of the key */
	return limit_verb(ctx, &key, ABSENT, err);
}

static int sysctl_verb(struct podnet *ctx, const struct podnet_sysctl *spec, uint32_t mode,
		       struct podnet_error *err)
{
	_cleanup_set_ struct podnet_set *set = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_sysctl(set, spec, err);
	return carry(ctx, set, r, mode, err);
}

int podnet_sysctl_ensure(struct podnet *ctx, const struct podnet_sysctl *spec,
			 struct podnet_error *err)
{
	return sysctl_verb(ctx, spec, PN_DIFF_NAMED, err);
}

int podnet_sysctl_absent(struct podnet *ctx, const struct podnet_sysctl *spec,
			 struct podnet_error *err)
{
	struct podnet_sysctl key = { .netns = spec->netns, .key = spec->key, .value = "" };

	/* one that was never changed by us is as it should be */
	return sysctl_verb(ctx, &key, PN_DIFF_ABSENT | PN_DIFF_NAMED, err);
}

int podnet_sysctl_get(struct podnet *ctx, const struct podnet_sysctl *spec, char *buf,
		      size_t size, struct podnet_error *err)
{
	struct podnet_sysctl key = { .netns = spec->netns, .key = spec->key, .value = "" };
	_cleanup_set_ struct podnet_set *set = NULL;
	_cleanup_plan_ struct podnet_plan *plan = NULL;
	const char *value = NULL;
	int r = podnet_set_new(&set, VERB_SCOPE, err);

	if (r == 0)
		r = podnet_set_sysctl(set, &key, err);
	if (r == 0)
		r = pn_plan_new(ctx, set, 0, PN_DIFF_NAMED, &plan, err);
	if (r == 0)
		r = pn_observe(ctx, plan, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->have.n; i++) {
		if (plan->have.v[i].kind == PN_SYSCTL)
			value = plan->have.v[i].u.sysctl.value;
	}
	if (!value)
		return pn_err(err, -ENOENT, "sysctl_get", "key", NULL);
	if (strlen(value) >= size)
		return pn_err(err, -ENOSPC, "sysctl_get", NULL, NULL);
	memcpy(buf, value, strlen(value) + 1);
	return (int)strlen(value);
}
