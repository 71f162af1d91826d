/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * carry.c - UDP tunnels: their devices are the kernel's, their packets podnet-fwd's
 *
 * Room: reconcile.
 *
 * A Tunnel's device is made like any other link; when it is there, podnet-fwd gets its queues by way
 * of the ports room.  What podnet-fwd carried before netd started it goes on carrying: all tunnels of
 * the store are declared before it is met, and those of nobody go when the first pass has ended.
 */
#include "inner.h"
#include "services.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

/* A host's own packets to what is behind us come from its address of the underlay. */
#define OWN_ADDRESS 1

static bool is_udp(const struct object *obj)
{
	return obj && obj->kind->id == KIND_TUNNEL && obj->tunnel->type == TUNNEL_UDP;
}

static struct fwd_addr place_of(const struct podnet_prefix *address, uint32_t port)
{
	struct fwd_addr at = { .family = address->family, .protocol = IPPROTO_UDP,
			       .port_be = htons((uint16_t)port) };

	memcpy(at.addr, address->addr, sizeof(at.addr));
	return at;
}

static struct fwd_prefix prefix_of(const struct podnet_prefix *p)
{
	struct fwd_prefix ret = { .family = p->family, .len = p->len };

	memcpy(ret.addr, p->addr, sizeof(ret.addr));
	return ret;
}

static const enum fwd_framing framings[] = {
	[TUNNEL_RAW] = FWD_RAW, [TUNNEL_PI] = FWD_PI, [TUNNEL_FASTPATH] = FWD_FAST,
};

static void fill_peer(const struct tunnel_peer *from, struct fwd_prefix *v, struct ports_tunnel_peer *ret)
{
	for (size_t i = 0; i < from->ncidrs; i++)
		v[i] = prefix_of(&from->cidrs[i]);
	v[from->ncidrs] = prefix_of(&from->address);
	*ret = (struct ports_tunnel_peer){
		.at = place_of(&from->address, from->port),
		.framing = framings[from->framing],
		.prefixes = v, .nprefixes = from->ncidrs + OWN_ADDRESS,
	};
}

int carry_tunnel(struct reconcile *rec, const struct tunnel *t, const struct podnet_prefix *local,
		  size_t nlocal)
{
	_cleanup_free_ struct ports_tunnel_peer *peers = calloc(t->npeers + 1, sizeof(*peers));
	_cleanup_free_ struct fwd_prefix *v = NULL;
	size_t n = nlocal, at = nlocal;

	for (size_t i = 0; i < t->npeers; i++)
		n += t->peers[i].ncidrs + OWN_ADDRESS;
	v = calloc(n + 1, sizeof(*v));
	if (!peers || !v)
		return -ENOMEM;
	for (size_t i = 0; i < nlocal; i++)
		v[i] = prefix_of(&local[i]);
	for (size_t i = 0; i < t->npeers; i++) {
		fill_peer(&t->peers[i], v + at, &peers[i]);
		at += peers[i].nprefixes;
	}
	return ports_tunnel_put(rec->services->ports, &(struct ports_tunnel){
		.name = t->interface, .at = place_of(&t->local, t->port), .local = v, .nlocal = nlocal,
		.peers = peers, .npeers = t->npeers,
	});
}

const char *carry_why(int rc)
{
	if (rc == -EOPNOTSUPP)
		return "it takes podnet-fwd, and netd was started with --fwd no";
	if (rc == -ENOTCONN)
		return "podnet-fwd, which is to carry its packets, is not running";
	return strerror(-rc);
}

/* Earlier versions whose device is another's now, or nobody's. */
static void drop_past(struct reconcile *rec, const struct scope *scope, const struct object *now)
{
	for (size_t i = 0; i < scope->npast; i++) {
		const struct object *past = scope->past[i];

		if (is_udp(past) && (!is_udp(now) ||
				     strcmp(past->tunnel->interface, now->tunnel->interface) != 0))
			ports_tunnel_drop(rec->services->ports, past->tunnel->interface);
	}
}

/* Made all the same, of either type: the address may come, and then all is there. */
static int find_local(const struct tunnel *t, struct podnet_error *err)
{
	struct fwd_addr at = place_of(&t->local, 0);
	char text[PODNET_PREFIX_STRLEN];

	if (ports_is_here(&at))
		return 0;
	*err = (struct podnet_error){ .code = -EADDRNOTAVAIL, .step = "tunnel_local",
				      .why = "no address of this node" };
	snprintf(err->object, sizeof(err->object), "spec.local %s",
		 podnet_prefix_format_addr(&t->local, text));
	return err->code;
}

int carry_made(struct reconcile *rec, const struct scope *scope, struct podnet_error *err)
{
	const struct tunnel *t;
	char text[PODNET_PREFIX_STRLEN];
	int r;

	drop_past(rec, scope, scope->sent);
	if (scope->sent->kind->id != KIND_TUNNEL)
		return 0;
	t = scope->sent->tunnel;
	r = is_udp(scope->sent) ? carry_tunnel(rec, t, NULL, 0) : 0;
	if (r >= 0)
		return find_local(t, err);
	*err = (struct podnet_error){ .code = r, .step = "tunnel_carry" };
	snprintf(err->object, sizeof(err->object), "tunnel %s at %s port %u", t->interface,
		 podnet_prefix_format_addr(&t->local, text), t->port);
	err->why = r == -EOPNOTSUPP || r == -ENOTCONN ? carry_why(r) : NULL;
	return r;
}

void carry_gone(struct reconcile *rec, const struct scope *scope)
{
	drop_past(rec, scope, NULL);
}

static int begin_one(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;

	/* what is wrong with it is told when its device is there */
	if (is_udp(obj) && scope_is_ours(rec, obj))
		carry_tunnel(rec, obj->tunnel, NULL, 0);
	return 0;
}

void carry_begin(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_TUNNEL], NULL, begin_one, rec);
}

struct changed {
	struct reconcile *rec;
	const char *name;
};

static int mark_changed(void *arg, struct object *obj)
{
	const struct changed *c = arg;
	struct scope *scope = scope_find(c->rec, obj->meta->uid);

	if (scope && is_udp(obj) && strcmp(obj->tunnel->interface, c->name) == 0)
		reconcile_mark(c->rec, scope, MARK_DRIFT);
	return 0;
}

void carry_changed(void *arg, const char *name)
{
	struct reconcile *rec = arg;
	struct changed c = { rec, name };

	tunnels_changed(rec, name);
	if (rec->begun)
		state_each(rec->conf.state, &kinds[KIND_TUNNEL], NULL, mark_changed, &c);
}

/* ---- counters ---- */

void reconcile_tunnels_ask(struct reconcile *rec)
{
	ports_tunnels_ask(rec->services->ports);
}

void reconcile_tunnels_each(const struct reconcile *rec,
			    void (*each)(void *arg, const char *name, const struct fwd_counts *c),
			    void *arg)
{
	ports_tunnels_each(rec->services->ports, each, arg);
}
