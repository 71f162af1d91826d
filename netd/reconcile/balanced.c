/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balanced.c - addresses of the pool that Services hold, for the node's set
 *
 * Room: reconcile.
 *
 * An address is answered after its ports were sent, and not any more before they go: in between,
 * whoever listens on all addresses of the node would be reached by it.
 */
#include "services.h"

#include <errno.h>

static size_t held(const struct object *obj)
{
	const struct service *svc = obj && obj->kind->id == KIND_SERVICE ? obj->service : NULL;

	return svc && svc->from_pool && compile_service_is_proxied(svc) ? svc->ningress : 0;
}

static bool same_held(const struct object *a, const struct object *b)
{
	size_t n = held(a);

	if (n != held(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!service_holds_balancer_ip(b->service, &a->service->ingress[i].ip))
			return false;
	return true;
}

void balanced_note(struct services *s, struct svc *svc, const struct object *now)
{
	struct svc **at = &s->balanced;

	s->node_due |= !same_held(svc->service, now);
	if (svc->balanced == (held(now) > 0))
		return;
	svc->balanced = !svc->balanced;
	if (svc->balanced) {
		svc->next_balanced = s->balanced;
		s->balanced = svc;
		return;
	}
	while (*at != svc)
		at = &(*at)->next_balanced;
	*at = svc->next_balanced;
}

int balanced_get(const struct reconcile *rec, struct podnet_prefix **ret, size_t *n)
{
	size_t count = 0;

	for (const struct svc *svc = rec->services->balanced; svc; svc = svc->next_balanced)
		count += held(svc->service);
	*n = 0;
	*ret = calloc(count + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (const struct svc *svc = rec->services->balanced; svc; svc = svc->next_balanced)
		for (size_t i = 0; i < held(svc->service); i++)
			if (svc->service->service->ingress[i].ip.family)
				(*ret)[(*n)++] = svc->service->service->ingress[i].ip;
	return 0;
}

static void mark_node(struct reconcile *rec)
{
	struct scope *node = scope_find(rec, NODE_SCOPE);

	rec->services->node_due = false;
	if (node)
		reconcile_mark(rec, node, MARK_URGENT);
}

void balanced_changed(struct reconcile *rec, const struct object *now)
{
	if (rec->services->node_due && !held(now))
		mark_node(rec);
}

void balanced_sent(struct reconcile *rec)
{
	const struct services *s = rec->services;

	if (s->node_due && s->begun && !s->dirty)
		mark_node(rec);
}

void balanced_moved(struct reconcile *rec)
{
	for (struct svc *svc = rec->services->balanced; svc; svc = svc->next_balanced)
		services_mark(rec->services, svc);
	services_send(rec);
}
