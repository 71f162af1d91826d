/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.c - from a set to a plan
 *
 * Room: joins observe, diff and order.  May include: plan/inner.h, netns, nl, base.
 */
#include "inner.h"

#include <errno.h>

static void init_spaces(struct podnet_plan *plan)
{
	for (size_t i = 0; i < plan->nspaces; i++) {
		struct pn_space *space = &plan->spaces[i];

		space->fd = -1;
		space->nl.fd = -1;
		space->own = !*plan->set->refs.v[i].name;
		space->there = space->own;
	}
}

static int copy_objs(struct pn_objs *to, const struct pn_objs *from)
{
	if (!from->n)
		return 0;
	to->v = malloc(from->n * sizeof(*to->v));
	if (!to->v)
		return -ENOMEM;
	memcpy(to->v, from->v, from->n * sizeof(*to->v));
	to->n = to->cap = from->n;
	return 0;
}

int pn_plan_new(struct podnet *ctx, const struct podnet_set *set, uint32_t flags, uint32_t mode,
		struct podnet_plan **ret, struct podnet_error *err)
{
	struct podnet_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return pn_err(err, -ENOMEM, "plan_make", NULL, NULL);
	plan->set = set;
	plan->flags = flags;
	plan->mode = mode;
	snprintf(plan->alias, sizeof(plan->alias), "podnet:%s:%s", ctx->owner, set->scope);
	snprintf(plan->owner_alias, sizeof(plan->owner_alias), "podnet:%s:", ctx->owner);
	plan->spaces = calloc(set->refs.n ? set->refs.n : 1, sizeof(*plan->spaces));
	if (!plan->spaces || copy_objs(&plan->want, &set->objs) < 0) {
		podnet_plan_free(plan);
		return pn_err(err, -ENOMEM, "plan_make", NULL, NULL);
	}
	plan->nspaces = set->refs.n;
	init_spaces(plan);
	*ret = plan;
	return 0;
}

static int compare(struct podnet_plan *plan, struct podnet_error *err)
{
	const struct pn_obj *conflict = NULL;
	int r;

	plan->ops.n = 0;
	r = pn_diff(&plan->want, &plan->have, plan->mode, &plan->ops, &conflict);
	if (r < 0) {
		pn_err_why(err, r, "plan_make", conflict ? "name" : NULL,
			   conflict ? "it is foreign: there already, and not made for this object"
				    : NULL);
		if (conflict && err)
			pn_name_object(plan->set, conflict, err->object, sizeof(err->object));
		return r;
	}
	pn_order(&plan->ops, plan->set);
	return (int)plan->ops.n;
}

/*
 * Observe, where what an earlier version declared is looked for as well.  What of it is found and
 * carries the owner's mark is then ours to take away.
 */
static int observe(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < plan->gone.n && r >= 0; i++)
		r = pn_objs_insert(&plan->want, &plan->gone.v[i]);
	r = r < 0 ? pn_err(err, r, "plan_make", NULL, NULL) : pn_observe(ctx, plan, err);
	for (size_t i = 0; i < plan->want.n && plan->gone.n; i++)
		if (!pn_objs_find(&plan->gone, &plan->want.v[i]))
			plan->want.v[kept++] = plan->want.v[i];
	if (plan->gone.n)
		plan->want.n = kept;
	for (size_t i = 0; i < plan->have.n && plan->gone.n; i++)
		if (pn_objs_find(&plan->gone, &plan->have.v[i]))
			plan->have.v[i].is |= PN_COVERED | PN_WAS;
	return r;
}

int pn_plan_again(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	int r;

	plan->have.n = plan->devs.n = plan->ops.n = 0;
	plan->flags = PN_PLAN_BROAD;
	for (size_t i = 0; i < plan->nspaces; i++)
		plan->spaces[i].there = plan->spaces[i].own;
	r = observe(ctx, plan, err);
	return r < 0 ? r : compare(plan, err);
}

/* references to namespaces that the set does not make must be good, and are opened */
static int open_refs(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->nspaces && r == 0; i++) {
		const struct pn_ref *ref = &plan->set->refs.v[i];
		struct pn_space *space = &plan->spaces[i];

		if (space->own || ref->declared)
			continue;
		r = pn_netns_resolve(ctx, ref->name, &space->fd, err);
		space->there = r == 0;
		space->own = r == 0 && space->fd < 0;
	}
	return r;
}

int pn_plan_make(struct podnet *ctx, const struct podnet_set *set, uint32_t flags, uint32_t mode,
		 struct podnet_plan **ret, struct podnet_error *err)
{
	struct podnet_error why = { 0 };
	struct podnet_plan *plan;
	bool blind = (flags & PODNET_PLAN_FRESH) && !(mode & PN_DIFF_ABSENT);
	int r;

	if (set->error.code) {
		if (err)
			*err = set->error;
		return set->error.code;
	}
	r = pn_plan_new(ctx, set, flags, mode, &plan, err);
	if (r < 0)
		return r;
	r = blind ? open_refs(ctx, plan, &why) : pn_observe(ctx, plan, &why);
	if (r >= 0)
		r = compare(plan, &why);
	if (r < 0) {
		podnet_plan_free(plan);
		if (err)
			*err = why;
		return r;
	}
	*ret = plan;
	return r;
}

int pn_plan_make_with(struct podnet *ctx, struct podnet_set *merged, struct pn_objs *gone,
		      uint32_t mode, struct podnet_plan **ret, struct podnet_error *err)
{
	struct podnet_plan *plan;
	int r = pn_plan_new(ctx, merged, 0, mode, &plan, err);

	if (r < 0) {
		podnet_set_free(merged);
		free(gone->v);
		return r;
	}
	plan->merged = merged;
	plan->gone = *gone;
	r = observe(ctx, plan, err);
	if (r >= 0)
		r = compare(plan, err);
	if (r < 0) {
		podnet_plan_free(plan);
		return r;
	}
	*ret = plan;
	return r;
}

int podnet_plan_make(struct podnet *ctx, const struct podnet_set *want, uint32_t flags,
		     struct podnet_plan **ret, struct podnet_error *err)
{
	return pn_plan_make(ctx, want, flags, flags & PODNET_PLAN_NAMED ? PN_DIFF_NAMED : 0, ret,
			    err);
}

int podnet_plan_absent(struct podnet *ctx, const struct podnet_set *set, uint32_t flags,
		       struct podnet_plan **ret, struct podnet_error *err)
{
	return pn_plan_make(ctx, set, flags, PN_DIFF_ABSENT, ret, err);
}

void podnet_plan_pool(struct podnet_plan *plan, struct podnet_pool *pool)
{
	plan->pool = pool;
}

void podnet_plan_free(struct podnet_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->nspaces; i++) {
		nl_close(&plan->spaces[i].nl);
		if (plan->spaces[i].fd >= 0)
			close(plan->spaces[i].fd);
	}
	free(plan->spaces);
	podnet_set_free(plan->merged);
	free(plan->gone.v);
	free(plan->want.v);
	free(plan->have.v);
	free(plan->ops.v);
	free(plan->devs.v);
	free(plan);
}
