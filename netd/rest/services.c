/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.c - the addresses and ports that the server gives to a Service
 *
 * Room: rest.  API-CONTRACT 15.5.  They are claimed in the transaction that writes the Service, so
 * what an answer says is so; what an update no longer needs is free when it has committed.  What
 * the body of an update leaves out is service_fill.c's.
 * May include: codec, state, model, reconcile.h, netd/base.
 */
#include "services.h"
#include <netd/reconcile/reconcile.h>
#include <stdio.h>
#include <sys/socket.h>

/* One Service on its way into the store. */
struct grant {
	struct call *c;
	struct txn *txn;
	struct doc *doc;
	struct service *now;        /* decoded of @doc, and kept like it */
	const struct service *old;  /* what it holds already; NULL: create */
	const char *uid;
};

static int refuse_full(struct call *c, const char *what)
{
	return refuse(c, 503, "ServiceUnavailable", "failed to allocate %s: the range is full", what);
}

/* An address that was asked for and cannot be had. */
static int refuse_ip(struct grant *g, int r, const char *ip)
{
	const struct node_config *conf = state_config(g->c->rest->state);
	char cidrs[2][PODNET_PREFIX_STRLEN] = { "", "" };
	struct causes *causes = &g->c->refusal.causes;

	for (size_t i = 0; i < conf->nservice_cidrs; i++)
		podnet_prefix_format(&conf->service_cidrs[i], cidrs[i]);
	if (r == -EADDRINUSE)
		causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", ip, "failed to allocate IP %s: "
			   "provided IP is already allocated", ip);
	else if (r == -EADDRNOTAVAIL)
		causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", ip, "failed to allocate IP %s: "
			   "provided IP is reserved", ip);
	else if (r == -ERANGE)
		causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", ip, "failed to allocate IP %s: "
			   "the provided IP is not in the valid range. The range of valid IPs is "
			   "%s%s%s", ip, cidrs[0], cidrs[1][0] ? " or " : "", cidrs[1]);
	else
		return refuse_memory(g->c);
	return refuse_causes(g->c);
}

static int grant_ip(struct grant *g, size_t i)
{
	int family = g->now->families[i] == FAMILY_IPV6 ? AF_INET6 : AF_INET, r;
	struct podnet_prefix want, got;
	char path[32], text[PODNET_PREFIX_STRLEN];
	const char *given;

	snprintf(path, sizeof(path), "spec.clusterIPs[%zu]", i);
	given = doc_str(g->doc, path);
	if (given && podnet_prefix_parse(given, &want) == 0) {
		if (g->old && service_holds_ip(g->old, &want))
			return 0;
		r = txn_claim_service_ip(g->txn, family, &want, g->uid, &got);
		return r < 0 ? refuse_ip(g, r, given) : 0;
	}
	r = txn_claim_service_ip(g->txn, family, NULL, g->uid, &got);
	if (r == -ENOSPC)
		return refuse_full(g->c, "a cluster IP");
	if (r == 0)
		r = doc_set_str(g->doc, path, podnet_prefix_format_addr(&got, text));
	if (r == 0 && !i)
		r = doc_set_str(g->doc, "spec.clusterIP", text);
	return r < 0 ? refuse_memory(g->c) : 0;
}

static int grant_ips(struct grant *g)
{
	int r = 0;

	if (g->now->type == SERVICE_EXTERNAL_NAME || g->now->headless)
		return 0;
	for (size_t i = 0; r == 0 && i < g->now->nfamilies; i++)
		r = grant_ip(g, i);
	return r;
}

/* A port that was asked for, at @path. */
static int claim_port(struct grant *g, uint32_t port, const char *path)
{
	const struct node_config *conf = state_config(g->c->rest->state);
	struct causes *causes = &g->c->refusal.causes;
	char text[16];
	uint32_t got;
	int r;

	if (g->old && service_holds_port(g->old, port))
		return 0;
	r = txn_claim_node_port(g->txn, port, g->uid, &got);
	snprintf(text, sizeof(text), "%u", port);
	if (r == -EADDRINUSE)
		causes_add_bare(causes, CAUSE_INVALID, path, text,
				"provided port is already allocated");
	else if (r == -ERANGE)
		causes_add_bare(causes, CAUSE_INVALID, path, text, "provided port is not in the "
				"valid range. The range of valid ports is %u-%u",
				conf->node_port_min, conf->node_port_max);
	else if (r < 0)
		return refuse_memory(g->c);
	return 0;
}

static int give_port(struct grant *g, const char *path, uint32_t *ret)
{
	int r = txn_claim_node_port(g->txn, 0, g->uid, ret);

	if (r == -ENOSPC)
		return refuse_full(g->c, "a nodePort");
	if (r == 0)
		r = doc_set_int(g->doc, path, *ret);
	return r < 0 ? refuse_memory(g->c) : 0;
}

/* Whether @port is there before port @i; then it is claimed already. */
static bool claimed_here(const struct service *svc, size_t i, uint32_t port)
{
	for (size_t k = 0; k < i; k++)
		if (svc->ports[k].node_port == port)
			return true;
	return false;
}

/* The same number over another protocol has the same node port, where no twin has it yet; or 0. */
static uint32_t shared_port(const struct service *svc, size_t i)
{
	uint32_t port = 0;

	for (size_t k = 0; k < svc->nports; k++)
		if (k != i && svc->ports[k].port == svc->ports[i].port && svc->ports[k].node_port)
			port = svc->ports[k].node_port;
	for (size_t k = 0; k < svc->nports; k++)
		if (svc->ports[k].protocol == svc->ports[i].protocol &&
		    svc->ports[k].node_port == port)
			return 0;
	return port;
}

/* What was asked for first: nothing that is given by itself may take it. */
static int claim_ports(struct grant *g)
{
	char path[40];
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->now->nports; i++) {
		uint32_t port = g->now->ports[i].node_port;

		snprintf(path, sizeof(path), "spec.ports[%zu].nodePort", i);
		if (port && !claimed_here(g->now, i, port))
			r = claim_port(g, port, path);
	}
	if (r == 0 && g->now->health_check_port)
		r = claim_port(g, g->now->health_check_port, "spec.healthCheckNodePort");
	return r < 0 ? r : refuse_causes(g->c);
}

static int give_ports(struct grant *g)
{
	bool wanted = g->now->type == SERVICE_NODE_PORT ||
		      (g->now->type == SERVICE_LOAD_BALANCER && g->now->allocate_node_ports);
	char path[40];
	int r = 0;

	for (size_t i = 0; r == 0 && wanted && i < g->now->nports; i++) {
		uint32_t *port = &g->now->ports[i].node_port;
		uint32_t shared = *port ? 0 : shared_port(g->now, i);

		snprintf(path, sizeof(path), "spec.ports[%zu].nodePort", i);
		if (shared) {
			*port = shared;
			r = doc_set_int(g->doc, path, shared) < 0 ? refuse_memory(g->c) : 0;
		} else if (!*port) {
			r = give_port(g, path, port);
		}
	}
	if (r == 0 && service_checks_health(g->doc) && !g->now->health_check_port)
		r = give_port(g, "spec.healthCheckNodePort", &g->now->health_check_port);
	return r;
}

static const char *field_of_request(const struct service *svc)
{
	return meta_annotation(&svc->meta, SERVICE_POOL_IPS) ?
		"metadata.annotations[" SERVICE_POOL_IPS "]" : "spec.loadBalancerIP";
}

static int refuse_balancer(struct grant *g, int r, const struct podnet_prefix *ip)
{
	const struct node_config *conf = state_config(g->c->rest->state);
	char cidrs[2][PODNET_PREFIX_STRLEN] = { "", "" }, text[PODNET_PREFIX_STRLEN];
	struct causes *causes = &g->c->refusal.causes;
	const char *field = field_of_request(g->now);

	if (r != -EADDRINUSE && r != -ERANGE)
		return refuse_memory(g->c);
	for (size_t i = 0; i < conf->nbalancer_cidrs; i++)
		podnet_prefix_format(&conf->balancer_cidrs[i], cidrs[i]);
	podnet_prefix_format_addr(ip, text);
	if (r == -EADDRINUSE)
		causes_add(causes, CAUSE_INVALID, field, text, "failed to allocate IP %s: "
			   "provided IP is already allocated", text);
	else
		causes_add(causes, CAUSE_INVALID, field, text, "failed to allocate IP %s: the pool "
			   "has no such address for this Service. The pool is %s%s%s", text,
			   cidrs[0][0] ? cidrs[0] : "empty", cidrs[1][0] ? " and " : "", cidrs[1]);
	return refuse_causes(g->c);
}

/* A pool that has none left is no reason to refuse: it gets one when one is free. */
static int grant_balancer(struct grant *g)
{
	struct balancer_ask ask = { .uid = g->uid };
	const char *one = doc_str(g->doc, "spec.loadBalancerIP");
	int r;

	if (!g->now->from_pool)
		return 0;
	if (one && *one && !g->now->nwanted_ips) {
		causes_add(&g->c->refusal.causes, CAUSE_INVALID, "spec.loadBalancerIP", one,
			   "must be a valid IP address");
		return refuse_causes(g->c);
	}
	if (g->c->rest->reconcile)
		ask.navoid = reconcile_reserved(g->c->rest->reconcile, &ask.avoid);
	r = txn_grant_balancer(g->txn, g->doc, g->now, g->old, &ask);
	return r < 0 ? refuse_balancer(g, r, &ask.fault) : 0;
}

static int grant(struct call *c, struct txn *txn, struct doc *doc, const struct service *old)
{
	struct grant g = { .c = c, .txn = txn, .doc = doc, .old = old };
	int r;

	g.now = kind_decode_doc(c->kind, doc, request_arena(c->req));
	g.uid = arena_strdup(request_arena(c->req), doc_str(doc, "metadata.uid"));
	if (!g.now || !g.uid)
		return refuse_memory(c);
	r = grant_ips(&g);
	if (r == 0)
		r = grant_balancer(&g);
	if (r == 0)
		r = claim_ports(&g);
	return r < 0 ? r : give_ports(&g);
}

static int admit(struct call *c, struct txn *txn, struct doc *doc)
{
	return grant(c, txn, doc, NULL);
}

static int revise(struct call *c, struct txn *txn, struct doc *doc, const struct object *old)
{
	const struct service *now;
	int r = grant(c, txn, doc, old->service);

	if (r < 0)
		return r;
	now = kind_decode_doc(c->kind, doc, request_arena(c->req));
	return now && txn_release_service(txn, old->service, now) == 0 ? 0 : refuse_memory(c);
}

/* What was given is not a client's to change. */
static int keep_status(struct doc *doc, const struct object *old)
{
	_cleanup_(doc_freep) struct doc *was = old->service->from_pool ? object_doc(old) : NULL;

	if (!old->service->from_pool)
		return 0;
	return was ? doc_set_copy(doc, "status.loadBalancer", was, "status.loadBalancer") : -ENOMEM;
}

static bool has_external(const struct object *old, const struct podnet_prefix *ip)
{
	for (size_t i = 0; old && i < old->service->nexternal_ips; i++)
		if (memcmp(&old->service->external_ips[i], ip, sizeof(*ip)) == 0)
			return true;
	return false;
}

/* Else whoever names it takes the traffic of the Service that is given the address later. */
static void check_external(struct call *c, const struct doc *doc, const struct object *old)
{
	const struct node_config *conf = state_config(c->rest->state);
	char path[40], range[PODNET_PREFIX_STRLEN];
	struct podnet_prefix ip;

	for (size_t i = 0; i < doc_len(doc, "spec.externalIPs"); i++) {
		snprintf(path, sizeof(path), "spec.externalIPs[%zu]", i);
		if (podnet_prefix_parse(doc_str(doc, path), &ip) < 0 || has_external(old, &ip))
			continue;
		for (size_t k = 0; k < conf->nservice_cidrs; k++)
			if (podnet_prefix_contains(&conf->service_cidrs[k], &ip))
				causes_add(&c->refusal.causes, CAUSE_INVALID, path, doc_str(doc, path),
					   "may not be in the range of cluster IPs, %s",
					   podnet_prefix_format(&conf->service_cidrs[k], range));
	}
}

/* What is so of the families also where nobody is asked for an address. */
static int validate(struct call *c, const struct doc *doc, const struct object *old)
{
	const struct node_config *conf = state_config(c->rest->state);
	const char *policy = doc_str(doc, "spec.ipFamilyPolicy");
	struct causes *causes = &c->refusal.causes;
	char path[32];

	check_external(c, doc, old);
	if (service_type_of(doc) == SERVICE_EXTERNAL_NAME || service_is_free(doc))
		return 0;
	if (policy && strcmp(policy, "RequireDualStack") == 0 && conf->nservice_cidrs < 2)
		causes_add(causes, CAUSE_INVALID, "spec.ipFamilyPolicy", policy,
			   "this cluster is not configured for dual-stack services");
	for (size_t i = 0; i < doc_len(doc, "spec.ipFamilies") && i < 2; i++) {
		const char *family;

		snprintf(path, sizeof(path), "spec.ipFamilies[%zu]", i);
		family = doc_str(doc, path);
		if (family && !service_family_served(conf, family))
			causes_add(causes, CAUSE_INVALID, path, family,
				   "not configured on this cluster");
	}
	return 0;
}

const struct kind_hooks service_hooks = {
	.prepare = service_fill,
	.validate = validate,
	.admit = admit,
	.revise = revise,
	.keep_status = keep_status,
};
