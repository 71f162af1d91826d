/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlap.c - what a Tunnel leads away from the cluster
 *
 * Room: reconcile.
 *
 * A prefix behind a peer that lies in a block of a node, or in the addresses of Services, has the
 * longer route and wins.  It may be meant, and blocks are claimed long after the Tunnel was accepted:
 * so it is told, by a condition and an Event, and not refused.  A wider prefix is none: the block's
 * own route wins.
 */
#include "inner.h"

#include <stdio.h>

#define TEXT_MAX 400

/** Looking for the first one. */
struct search {
	const struct reconcile *rec;
	const struct tunnel *tunnel;
	const char *whose;          /* of what is looked at now */
	char *text;                 /* TEXT_MAX; "": none yet */
};

static void look_at(struct search *s, const struct tunnel_peer *peer, const struct podnet_prefix *theirs)
{
	char mine[PODNET_PREFIX_STRLEN], of[PODNET_PREFIX_STRLEN];

	for (size_t i = 0; i < peer->ncidrs; i++) {
		if (!podnet_prefix_contains(theirs, &peer->cidrs[i]))
			continue;
		snprintf(s->text, TEXT_MAX, "spec.peers[%zu].cidrs[%zu]: %s leads away from %s, %s",
			 (size_t)(peer - s->tunnel->peers), i,
			 podnet_prefix_format(&peer->cidrs[i], mine), podnet_prefix_format(theirs, of),
			 s->whose);
		return;
	}
}

static int look(struct search *s, const struct podnet_prefix *theirs)
{
	for (size_t i = 0; i < s->tunnel->npeers && !*s->text; i++)
		look_at(s, &s->tunnel->peers[i], theirs);
	return *s->text != 0;
}

static int look_at_block(void *arg, const char *network, const struct podnet_prefix *block)
{
	(void)network;
	return look(arg, block);
}

static int look_at_own(void *arg, struct object *network)
{
	struct search *s = arg;
	const struct podnet_prefix *blocks = NULL;
	size_t n = ipam_blocks(state_ipam(s->rec->conf.state), network->meta->name, &blocks);

	for (size_t i = 0; i < n && !*s->text; i++)
		look(s, &blocks[i]);
	return *s->text != 0;
}

/* To one without an address no path of ours can lead: then it is the Tunnel that does. */
static int look_at_node(void *arg, struct object *obj)
{
	struct search *s = arg;
	const struct node *node = obj->node;
	char whose[300];

	if (!node->underlay[0].family && !node->underlay[1].family)
		return 0;
	snprintf(whose, sizeof(whose), "a block of Node \"%s\"", obj->meta->name);
	s->whose = whose;
	for (size_t i = 0; i < node->npod_cidrs && !*s->text; i++)
		look(s, &node->pod_cidrs[i]);
	if (!*s->text)
		ipam_each_held(state_ipam(s->rec->conf.state), obj->meta->uid, look_at_block, s);
	return *s->text != 0;
}

static void look_around(struct search *s)
{
	const struct state *state = s->rec->conf.state;
	const struct node_config *conf = s->rec->node;

	s->whose = "which Services have their addresses of";
	for (size_t i = 0; i < conf->nservice_cidrs; i++)
		look(s, &conf->service_cidrs[i]);
	for (size_t i = 0; i < conf->nbalancer_cidrs; i++)
		look(s, &conf->balancer_cidrs[i]);
	s->whose = "a block of this node";
	if (!*s->text)
		state_each(state, &kinds[KIND_NETWORK], NULL, look_at_own, s);
	if (!*s->text)
		state_each(state, &kinds[KIND_NODE], NULL, look_at_node, s);
}

int overlap_put(const struct reconcile *rec, struct doc *doc, const struct object *obj, const char *now)
{
	static const char list[] = "status.conditions", type[] = "OverlapsCluster";
	char text[TEXT_MAX] = "";
	int r;

	look_around(&(struct search){ .rec = rec, .tunnel = obj->tunnel, .text = text });
	if (!*text) {
		r = doc_set_condition(doc, list, type, "False", "None", NULL, now);
		return r < 0 ? r : 0;
	}
	r = doc_set_condition(doc, list, type, "True", "LeadsAway", text, now);
	if (r > 0)
		control_event(rec->conf.control, obj, "Warning", type, "%s", text);
	return r < 0 ? r : 0;
}

static int mark(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;
	struct scope *scope = scope_find(rec, obj->meta->uid);

	if (scope)
		reconcile_mark(rec, scope, 0);
	return 0;
}

void overlap_mark(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_TUNNEL], NULL, mark, rec);
}
