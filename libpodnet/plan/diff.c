/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * diff.c - what must be done so that the kernel's objects are as wished
 *
 * Room: pure functions from (want, have) to operations.  No kernel, no clock, no log: tested with
 * arrays and without root.  May include: plan/inner.h, base, include/podnet.
 *
 * One walk over two sorted arrays.  Kinds are so numbered that what holds others comes first
 * (namespace, link, then what is on links), so when an object goes, what it takes with it is known
 * before the walk gets there, and is neither deleted by hand nor taken for present.
 */
#include "inner.h"

#include <errno.h>

struct walk {
	const struct pn_objs *want, *have;
	uint32_t mode;
	struct pn_ops *out;
	const struct pn_obj **conflict;
	struct pn_objs gone;            /* links that go, as keys */
	struct { uint16_t *v; size_t n, cap; } gone_ns;
};

static int emit(struct walk *w, enum pn_verb verb, const struct pn_obj *obj, uint32_t changed)
{
	struct pn_op *op;

	if (pn_grow(w->out) < 0)
		return -ENOMEM;
	op = &w->out->v[w->out->n++];
	memset(op, 0, sizeof(*op));
	op->obj = *obj;
	op->verb = (uint8_t)verb;
	op->changed = changed;
	return 0;
}

static int refuse(struct walk *w, const struct pn_obj *have, int code)
{
	*w->conflict = have;
	return code;
}

static bool ns_goes(const struct walk *w, uint16_t ns)
{
	for (size_t i = 0; i < w->gone_ns.n; i++) {
		if (w->gone_ns.v[i] == ns)
			return true;
	}
	return false;
}

static bool link_goes(const struct walk *w, uint16_t ns, const char *name)
{
	return *name && pn_objs_link(&w->gone, ns, name);
}

static bool on_link(const struct pn_obj *obj)
{
	return obj->kind == PN_ADDR || obj->kind == PN_ROUTE || obj->kind == PN_NEIGH ||
	       obj->kind == PN_FDB || obj->kind == PN_LIMIT;
}

/*
 * It disappears together with what holds it.  A link whose other end's namespace is dropped goes
 * some time later, in the background, and until then its routes would lead nowhere: these are
 * deleted by hand.
 */
static bool goes_along(const struct walk *w, const struct pn_obj *have)
{
	const struct pn_obj *link;

	if (have->kind != PN_NETNS && ns_goes(w, have->ns))
		return true;
	if (!on_link(have) || !link_goes(w, have->ns, have->link))
		return false;
	link = pn_objs_link(&w->gone, have->ns, have->link);
	return have->kind != PN_ROUTE || !ns_goes(w, link->u.dev.peer_ns) || !link->u.dev.peer[0];
}

static bool differs(const struct pn_attr *attr, const struct pn_obj *want,
		    const struct pn_obj *have)
{
	static const uint8_t none[64];
	const uint8_t *x = (const uint8_t *)want + attr->off;
	const uint8_t *y = (const uint8_t *)have + attr->off;
	uint32_t bits, on;

	switch ((enum pn_attr_how)attr->how) {
	case PN_EXACT:
		return memcmp(x, y, attr->size) != 0;
	case PN_SAID:
		return memcmp(x, none, attr->size) != 0 && memcmp(x, y, attr->size) != 0;
	case PN_FLAGS:
		memcpy(&bits, x, sizeof(bits));
		memcpy(&on, y, sizeof(on));
		return (bits & ~on) || (on & ~bits & pn_link_off(want));
	}
	return false;
}

static uint32_t changes(const struct pn_obj *want, const struct pn_obj *have, bool *recreate)
{
	const struct pn_kind *kind = pn_kinds[want->kind];
	uint32_t changed = 0;

	*recreate = false;
	for (size_t i = 0; i < kind->nattrs; i++) {
		if (!differs(&kind->attrs[i], want, have))
			continue;
		changed |= 1u << i;
		*recreate |= kind->attrs[i].recreate;
	}
	return changed;
}

static int del_link(struct walk *w, const struct pn_obj *have)
{
	bool paired = have->u.dev.type == PN_VETH && have->u.dev.peer[0];
	int r = pn_objs_insert(&w->gone, have);

	if (r < 0)
		return r;
	/* deleting one end deletes the other: the second one is only noted as gone */
	if (paired && link_goes(w, have->u.dev.peer_ns, have->u.dev.peer))
		return 0;
	r = emit(w, PN_DEL, have, 0);
	if (r == 0 && paired && ns_goes(w, have->u.dev.peer_ns) && !(have->is & PN_DOOMED))
		w->out->v[w->out->n - 1].doom = true;
	return r;
}

static int del(struct walk *w, const struct pn_obj *have)
{
	int r;

	if (have->kind == PN_LINK)
		return del_link(w, have);
	if (have->kind == PN_NETNS) {
		r = pn_grow(&w->gone_ns);
		if (r < 0)
			return r;
		w->gone_ns.v[w->gone_ns.n++] = have->ns;
	}
	return emit(w, PN_DEL, have, 0);
}

/* an end of a pair that can stay: there, and the other end is what it should be */
static bool end_stays(const struct pn_obj *want, const struct pn_obj *have)
{
	bool recreate;

	if (!have || (have->is & PN_DOOMED))
		return false;
	changes(want, have, &recreate);
	return !recreate;
}

static bool foreign(const struct pn_obj *have)
{
	return have && !(have->is & (PN_OURS | PN_DOOMED));
}

static int veth(struct walk *w, const struct pn_obj *want)
{
	const struct pn_obj *other = pn_objs_link(w->want, want->u.dev.peer_ns, want->u.dev.peer);
	const struct pn_obj *have = pn_objs_find(w->have, want);
	const struct pn_obj *far = other ? pn_objs_find(w->have, other) : NULL;
	uint32_t changed;
	bool recreate;
	int r = 0;

	if (foreign(have))
		return refuse(w, have, -EEXIST);
	if (foreign(far))
		return refuse(w, far, -EEXIST);
	if (end_stays(want, have) && other && end_stays(other, far)) {
		changed = changes(want, have, &recreate);
		return changed ? emit(w, PN_SET, want, changed) : 0;
	}
	if (have)
		r = del_link(w, have);
	if (r < 0)
		return r;
	return want->u.dev.end == 0 ? emit(w, PN_ADD, want, 0)
				    : emit(w, PN_SET, want, PN_LINK_AFTER_BIRTH);
}

static int both(struct walk *w, const struct pn_obj *want, const struct pn_obj *have)
{
	bool recreate, any = want->kind == PN_LINK && want->u.dev.type == PN_ANY;
	bool mild = want->kind == PN_ADDR || want->kind == PN_NEIGH || want->kind == PN_FDB;
	uint32_t changed = changes(want, have, &recreate);
	int r;

	if (want->kind == PN_NETNS)
		return foreign(have) ? refuse(w, have, -EEXIST) : 0;
	if (have->is & PN_DOOMED)
		changed = recreate = true;
	if (want->kind == PN_SYSCTL || any)
		return changed ? emit(w, PN_SET, want, changed) : 0;
	/* the same address by somebody else's hand serves as well; it stays theirs */
	if (foreign(have) && (changed || !mild))
		return refuse(w, have, -EEXIST);
	if (!changed)
		return 0;
	if (!recreate)
		return emit(w, PN_SET, want, changed);
	r = del(w, have);
	return r < 0 ? r : emit(w, PN_ADD, want, 0);
}

static int want_only(struct walk *w, const struct pn_obj *want)
{
	if (want->kind == PN_LINK && want->u.dev.type == PN_VETH)
		return veth(w, want);
	/* of a link that exists, and of sysctls, only values are ever wished */
	if (want->kind == PN_SYSCTL || (want->kind == PN_LINK && want->u.dev.type == PN_ANY))
		return emit(w, PN_SET, want, ~0u);
	return emit(w, PN_ADD, want, 0);
}

static int match(struct walk *w, const struct pn_obj *want, const struct pn_obj *have)
{
	if (w->mode & PN_DIFF_ABSENT) {
		if (have->is & PN_OURS)
			return del(w, have);
		return w->mode & PN_DIFF_STRICT ? refuse(w, have, -EPERM) : 0;
	}
	if (want->kind == PN_LINK && want->u.dev.type == PN_VETH)
		return veth(w, want);
	return both(w, want, have);
}

static int have_only(struct walk *w, const struct pn_obj *have)
{
	const uint8_t enough = PN_OURS | PN_COVERED;

	if ((w->mode & PN_DIFF_NAMED) && !(have->is & PN_WAS))
		return 0;
	return (have->is & enough) == enough && !(have->is & PN_DOOMED) ? del(w, have) : 0;
}

static int run(struct walk *w)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < w->want->n || j < w->have->n)) {
		const struct pn_obj *want = i < w->want->n ? &w->want->v[i] : NULL;
		const struct pn_obj *have = j < w->have->n ? &w->have->v[j] : NULL;
		int cmp = !want ? 1 : !have ? -1 : pn_obj_cmp(want, have);

		i += cmp <= 0;
		j += cmp >= 0;
		/* what goes along with its holder is as good as not there */
		if (cmp >= 0 && goes_along(w, have))
			have = NULL;
		if (cmp > 0)
			r = have ? have_only(w, have) : 0;
		else if (cmp == 0 && have)
			r = match(w, want, have);
		else if (!(w->mode & PN_DIFF_ABSENT))
			r = want_only(w, want);
	}
	return r;
}

int pn_diff(const struct pn_objs *want, const struct pn_objs *have, uint32_t mode,
	    struct pn_ops *out, const struct pn_obj **conflict)
{
	struct walk w = { .want = want, .have = have, .mode = mode, .out = out,
			  .conflict = conflict };
	int r = run(&w);

	free(w.gone.v);
	free(w.gone_ns.v);
	return r;
}
