/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replace.c - a set that was another one before
 *
 * Room: pure, but for the call of the planner.  May include: plan/inner.h, base, include/podnet.
 *
 * Routes, addresses and rules carry the mark of the owner and not of the scope, so what a set no
 * longer declares cannot be told from what another set of this owner has.  The earlier version
 * tells: what it declared and the present one does not is looked for as if it were wanted, and is
 * then no longer wanted.  Both versions get one table of namespaces, in a set of the plan's own.
 */
#include "inner.h"

#include <errno.h>

static int map_ref(struct podnet_set *merged, const struct podnet_set *from, uint16_t ns,
		   uint16_t *ret)
{
	const struct pn_ref *ref = &from->refs.v[ns];
	int r = pn_set_ref(merged, ref->name, ret);

	if (r == 0 && ref->declared)
		merged->refs.v[*ret].declared = true;
	return r;
}

/* the objects of @from, with its namespaces numbered as in @merged, that are not in @but */
static int map_objs(struct podnet_set *merged, const struct podnet_set *from,
		    const struct pn_objs *but, struct pn_objs *to)
{
	for (size_t i = 0; i < from->objs.n; i++) {
		struct pn_obj obj = from->objs.v[i];
		int r = map_ref(merged, from, obj.ns, &obj.ns);

		if (r == 0 && obj.kind == PN_LINK && obj.u.dev.type == PN_VETH)
			r = map_ref(merged, from, obj.u.dev.peer_ns, &obj.u.dev.peer_ns);
		if (r == 0 && !(but && pn_objs_find(but, &obj)))
			r = pn_objs_insert(to, &obj);
		if (r < 0)
			return r;
	}
	return 0;
}

static int merge(const struct podnet_set *want, const struct podnet_set *was,
		 struct podnet_set **ret, struct pn_objs *gone, struct podnet_error *err)
{
	struct podnet_set *merged = NULL;
	int r = podnet_set_new(&merged, want->scope, err);

	if (r < 0)
		return r;
	r = map_objs(merged, want, NULL, &merged->objs);
	if (r == 0)
		r = map_objs(merged, was, &merged->objs, gone);
	if (r < 0) {
		podnet_set_free(merged);
		return pn_err(err, r, "plan_replace", NULL, NULL);
	}
	*ret = merged;
	return 0;
}

int podnet_set_include(struct podnet_set *set, const struct podnet_set *other,
		       struct podnet_error *err)
{
	int r = map_objs(set, other, NULL, &set->objs);

	return r < 0 ? pn_err(err, r, "set_include", NULL, NULL) : 0;
}

int podnet_plan_replace(struct podnet *ctx, const struct podnet_set *want,
			const struct podnet_set *was, uint32_t flags, struct podnet_plan **ret,
			struct podnet_error *err)
{
	struct podnet_set *merged = NULL;
	struct pn_objs gone = { 0 };
	int r;

	if (!was || was->error.code || want->error.code)
		return podnet_plan_make(ctx, want, flags, ret, err);
	r = merge(want, was, &merged, &gone, err);
	if (r == 0)
		return pn_plan_make_with(ctx, merged, &gone,
					 flags & PODNET_PLAN_NAMED ? PN_DIFF_NAMED : 0, ret, err);
	free(gone.v);
	return r;
}
