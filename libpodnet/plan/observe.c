/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * observe.c - what the kernel has of a set: namespaces and links
 *
 * Room: reads, changes nothing.  May include: plan/inner.h, link, netns, nl, base, include/podnet.
 *
 * A namespace that this scope made, or any that is not the context's own, is read as a whole: it is
 * small.  The context's own may hold thousands of pods, so there only what the set names is asked
 * for, one by one: a link by its name, and a link from a pool, which has a name of its own, through
 * its other end.
 */
#include "inner.h"

#include <errno.h>

struct links {
	struct podnet_plan *plan;
	uint16_t ns;
	size_t devs, have;              /* to forget what an interrupted dump gathered */
	int rc;
};

static bool is_owned(const struct podnet_plan *plan, const struct pn_link_seen *seen)
{
	return !strncmp(seen->alias, plan->owner_alias, strlen(plan->owner_alias));
}

static bool is_marked(const struct podnet_plan *plan, const struct pn_link_seen *seen)
{
	if (plan->mode & PN_DIFF_ANY_SCOPE)
		return is_owned(plan, seen);
	return !strcmp(seen->alias, plan->alias);
}

static bool is_pooled(const struct podnet_plan *plan, const struct pn_link_seen *seen)
{
	size_t n = strlen(plan->owner_alias);

	return !strncmp(seen->alias, plan->owner_alias, n) && !strcmp(seen->alias + n, PN_POOL_SCOPE);
}

static bool is_doomed(const struct podnet_plan *plan, const struct pn_link_seen *seen)
{
	return seen->group == PN_DOOMED_GROUP && is_owned(plan, seen);
}

/* @name: declared; the kernel's may differ */
static int note_link(struct podnet_plan *plan, uint16_t ns, const char *name,
		     struct pn_link_seen *seen)
{
	struct pn_dev *dev = pn_dev_add(plan, ns, name);
	struct pn_obj *obj = &seen->obj;
	int r;

	if (!dev)
		return -ENOMEM;
	obj->ns = ns;
	memcpy(obj->link, dev->name, sizeof(obj->link));
	if (is_doomed(plan, seen)) {
		obj->is = PN_DOOMED;
	} else {
		dev->index = obj->index;
		dev->peer = seen->peer;
		dev->type = obj->u.dev.type;
		dev->bucket = seen->bucket;
		memcpy(dev->mac, obj->u.dev.mac, sizeof(dev->mac));
		dev->covered = plan->spaces[ns].ours || is_marked(plan, seen);
		dev->owned = is_owned(plan, seen);
		if (is_marked(plan, seen))
			obj->is = PN_OURS | PN_COVERED;
		else if (is_pooled(plan, seen))
			obj->is = PN_POOLED;
	}
	/* resolved to a name at the end, when all links are known */
	memcpy(obj->u.dev.master, &seen->master, sizeof(seen->master));
	memcpy(obj->u.dev.vxlan.dev, &seen->lower, sizeof(seen->lower));
	r = pn_objs_insert(&plan->have, obj);
	return r < 0 ? r : 0;
}

static int each_link(const struct nlmsghdr *nlh, void *arg)
{
	struct links *l = arg;
	struct pn_link_seen seen;

	if (pn_link_parse(nlh, &seen) < 0)
		return 0;
	return note_link(l->plan, l->ns, seen.obj.link, &seen);
}

static void forget(void *arg)
{
	struct links *l = arg;
	size_t kept = 0;

	l->plan->devs.n = l->devs;
	for (size_t i = 0; i < l->plan->have.n; i++) {
		const struct pn_obj *obj = &l->plan->have.v[i];

		if (obj->kind != PN_LINK || obj->ns != l->ns)
			l->plan->have.v[kept++] = *obj;
	}
	l->plan->have.n = kept;
}

static int dump_links(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns,
		  struct podnet_error *err)
{
	struct links l = { .plan = plan, .ns = ns, .devs = plan->devs.n };
	uint8_t buf[256] __attribute__((aligned(8)));
	struct nl *nl;
	int r = pn_space_nl(ctx, &plan->spaces[ns], &nl, err);

	if (r < 0)
		return r;
	return nl_dump(nl, pn_link_request(buf, 0, NULL), each_link, forget, &l, err);
}

static int keep_seen(const struct nlmsghdr *nlh, void *arg)
{
	return pn_link_parse(nlh, arg) < 0 ? -EPROTO : 0;
}

/* 1: there, 0: not */
static int ask_link(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns, uint32_t index,
		    const char *name, struct pn_link_seen *seen)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct podnet_error err;
	struct nl *nl;
	int r = pn_space_nl(ctx, &plan->spaces[ns], &nl, NULL);

	if (r == 0)
		r = nl_get(nl, pn_link_request(buf, index, name), keep_seen, seen, &err);
	if (r == -ENODEV || r == -ENOENT)
		return 0;
	return r < 0 ? r : 1;
}

static int look_name(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns, const char *name)
{
	struct pn_link_seen seen;
	int r;

	if (!*name || pn_dev_find(plan, ns, name))
		return 0;
	r = ask_link(ctx, plan, ns, 0, name, &seen);
	if (r > 0)
		return note_link(plan, ns, name, &seen);
	if (r == 0 && !pn_dev_add(plan, ns, name))
		return -ENOMEM;
	return r;
}

static int keep_nsid(const struct nlmsghdr *nlh, void *arg)
{
	*(int32_t *)arg = pn_nsid_parse(nlh);
	return 0;
}

/*
 * The end inside of a pair, by its name, without a socket in its namespace: a veth pair across
 * namespaces has given each an id in the other.  1: there, 0: not.
 */
static int ask_inside(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns, const char *name,
		      struct pn_link_seen *seen)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct pn_space *space = &plan->spaces[ns];
	int32_t nsid = -1;
	int r = 0;

	if (space->fd < 0 && !space->own)
		r = pn_netns_resolve(ctx, plan->set->refs.v[ns].name, &space->fd, NULL);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && space->nl.fd < 0 && space->fd >= 0)
		nl_get(&ctx->rt, pn_nsid_request(buf, space->fd), keep_nsid, &nsid, NULL);
	if (r < 0 || nsid < 0)
		return r < 0 ? r : ask_link(ctx, plan, ns, 0, name, seen);
	r = nl_get(&ctx->rt, pn_link_request_in(buf, nsid, name), keep_seen, seen, NULL);
	return r == -ENODEV || r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/*
 * A host end from a pool: the one that the end inside points to, if it carries our mark or the
 * pool's.  The pool's is as good, where the namespace is recorded as this scope's: see pool.c.
 */
static int look_through(struct podnet *ctx, struct podnet_plan *plan, const struct pn_obj *want)
{
	uint16_t there = want->u.dev.peer_ns;
	const struct pn_dev *known = pn_dev_find(plan, there, want->u.dev.peer);
	struct pn_link_seen in, out;
	int r;

	if (!plan->spaces[there].there || pn_objs_link(&plan->have, want->ns, want->link))
		return 0;
	memset(&in, 0, sizeof(in));
	if (known) {
		in.obj.index = known->index;
		in.obj.u.dev.type = known->type;
		in.peer = known->peer;
	}
	r = known ? 1 : ask_inside(ctx, plan, there, want->u.dev.peer, &in);
	if (r <= 0 || in.obj.u.dev.type != PN_VETH || !in.peer)
		return r < 0 ? r : 0;
	r = ask_link(ctx, plan, want->ns, in.peer, NULL, &out);
	if (r <= 0 || out.obj.u.dev.type != PN_VETH || out.peer != in.obj.index)
		return r < 0 ? r : 0;
	if (is_pooled(plan, &out) && plan->spaces[there].ours)
		snprintf(out.alias, sizeof(out.alias), "%s", plan->alias);
	if (!is_marked(plan, &out))
		return 0;
	return note_link(plan, want->ns, want->link, &out);
}

/* everything the set names in the context's own namespace */
static int look_named(struct podnet *ctx, struct podnet_plan *plan)
{
	char ifb[PODNET_IFNAME_SIZE];
	int r = 0;

	for (size_t i = 0; i < plan->want.n && r == 0; i++) {
		const struct pn_obj *want = &plan->want.v[i];

		if (!plan->spaces[want->ns].own)
			continue;
		r = look_name(ctx, plan, want->ns, want->link);
		if (r < 0 || want->kind != PN_LINK || want->u.dev.type != PN_VETH)
			continue;
		if (want->u.dev.end == 0)
			r = look_through(ctx, plan, want);
		/* a limit that is no longer declared shows by its ifb */
		pn_limit_ifb(want->link, ifb);
		if (r == 0 && !(plan->mode & PN_DIFF_NAMED))
			r = look_name(ctx, plan, want->ns, ifb);
	}
	return r;
}

/* the two ends of a declared pair are what they claim to be */
static void join_pairs(struct podnet_plan *plan)
{
	for (size_t i = 0; i < plan->want.n; i++) {
		const struct pn_obj *want = &plan->want.v[i];
		struct pn_obj *here, *there;
		bool blind;

		if (want->kind != PN_LINK || want->u.dev.type != PN_VETH)
			continue;
		here = pn_objs_find(&plan->have, want);
		there = pn_objs_link(&plan->have, want->u.dev.peer_ns, want->u.dev.peer);
		/* a namespace that goes is not looked into: the end that is seen speaks for both */
		blind = (plan->mode & PN_DIFF_ABSENT) && plan->spaces[want->u.dev.peer_ns].ours;
		if (!here || here->u.dev.type != PN_VETH || (!there && !blind))
			continue;
		if (there) {
			const struct pn_dev *x = pn_dev_find(plan, want->ns, want->link);
			const struct pn_dev *y = pn_dev_find(plan, there->ns, there->link);

			if (!x || !y || x->peer != y->index || y->peer != x->index || !x->index)
				continue;
			/* the mark of one end is enough: a crash may have spared the other */
			here->is |= there->is & (PN_OURS | PN_COVERED);
		}
		here->u.dev.peer_ns = want->u.dev.peer_ns;
		memcpy(here->u.dev.peer, want->u.dev.peer, sizeof(here->u.dev.peer));
	}
}

/*
 * An end with the pool's mark whose other end is not what it was, or that was renamed: the pair goes
 * and is made anew.
 */
static void take_unmarked(struct podnet_plan *plan)
{
	for (size_t i = 0; i < plan->have.n; i++) {
		struct pn_obj *have = &plan->have.v[i];

		if (have->kind != PN_LINK || !(have->is & PN_POOLED) || (have->is & PN_OURS) ||
		    !plan->spaces[have->ns].ours)
			continue;
		have->is |= PN_OURS | PN_COVERED;
		have->u.dev.type = PN_OTHER;
		if (!pn_objs_find(&plan->want, have))
			have->is |= PN_WAS;
	}
}

/* lo is set up with the namespace and stays up; nobody declares it, so it is a wish when it is down */
static int want_lo(struct podnet_plan *plan)
{
	struct pn_obj want;
	int r = 0;

	for (size_t i = 0; i < plan->have.n && r >= 0; i++) {
		const struct pn_obj *have = &plan->have.v[i];

		if (have->kind != PN_LINK || !plan->spaces[have->ns].ours ||
		    strcmp(have->link, "lo") != 0 || (have->u.dev.flags & PODNET_LINK_UP))
			continue;
		memset(&want, 0, sizeof(want));
		want.kind = PN_LINK;
		want.ns = have->ns;
		memcpy(want.link, have->link, sizeof(want.link));
		want.u.dev.type = PN_ANY;
		want.u.dev.flags = PODNET_LINK_UP;
		r = pn_objs_insert(&plan->want, &want);
	}
	return r < 0 ? r : 0;
}

/* an ifindex in the place of a name becomes the name, or "" */
static int name_one(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns,
		    char name[PODNET_IFNAME_SIZE])
{
	const struct pn_dev *dev;
	struct pn_link_seen seen;
	uint32_t index;
	int r;

	memcpy(&index, name, sizeof(index));
	memset(name, 0, PODNET_IFNAME_SIZE);
	if (!index)
		return 0;
	dev = pn_dev_at(plan, ns, index);
	if (dev) {
		memcpy(name, dev->name, sizeof(dev->name));
		return 0;
	}
	r = ask_link(ctx, plan, ns, index, NULL, &seen);
	if (r > 0)
		memcpy(name, seen.obj.link, sizeof(seen.obj.link));
	return r < 0 ? r : 0;
}

static int name_others(struct podnet *ctx, struct podnet_plan *plan)
{
	int r = 0;

	for (size_t i = 0; i < plan->have.n && r == 0; i++) {
		struct pn_obj *have = &plan->have.v[i];

		if (have->kind != PN_LINK)
			continue;
		r = name_one(ctx, plan, have->ns, have->u.dev.master);
		if (r == 0)
			r = name_one(ctx, plan, have->ns, have->u.dev.vxlan.dev);
	}
	return r;
}

static int observe_links(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	bool absent = plan->mode & PN_DIFF_ABSENT;
	int r = 0;

	for (size_t i = 0; i < plan->nspaces && r == 0; i++) {
		const struct pn_space *space = &plan->spaces[i];

		if (space->there && !space->own && !(absent && space->ours))
			r = dump_links(ctx, plan, (uint16_t)i, err);
	}
	if (r == 0)
		r = look_named(ctx, plan);
	if (r == 0)
		r = name_others(ctx, plan);
	if (r < 0)
		return err && err->code == r ? r : pn_err(err, r, "observe_links", NULL, NULL);
	join_pairs(plan);
	take_unmarked(plan);
	r = want_lo(plan);
	return r < 0 ? pn_err(err, r, "observe_links", NULL, NULL) : 0;
}

/* which namespaces there are */
static int observe_space(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns,
			 struct podnet_error *err)
{
	const struct pn_ref *ref = &plan->set->refs.v[ns];
	struct pn_space *space = &plan->spaces[ns];
	struct pn_obj obj = { .kind = PN_NETNS, .ns = ns };
	struct podnet_error why = { 0 };
	struct pn_netns_state state;
	int r;

	if (space->own) {
		space->there = true;
		return 0;
	}
	if (ref->declared) {
		r = pn_netns_look(ctx, ref->name, &state);
		if (r < 0)
			return pn_err(err, r, "netns_look", "netns", NULL);
		/* a name without a namespace is as good as not there, but goes with its set */
		obj.is = PN_OURS | PN_COVERED;
		if (!state.mounted && state.left && (plan->mode & PN_DIFF_ABSENT) &&
		    !strcmp(state.scope, plan->set->scope))
			r = pn_objs_insert(&plan->have, &obj);
		if (!state.mounted)
			return r < 0 ? pn_err(err, r, "observe_netns", NULL, NULL) : 0;
		space->ours = state.ours && !strcmp(state.scope, plan->set->scope);
		obj.is = space->ours ? PN_OURS | PN_COVERED : 0;
		r = pn_objs_insert(&plan->have, &obj);
		if (r < 0)
			return pn_err(err, r, "observe_netns", NULL, NULL);
	}
	/* one that goes is not looked into, and must not be held */
	if ((plan->mode & PN_DIFF_ABSENT) && space->ours) {
		space->there = true;
		return 0;
	}
	if (space->fd < 0) {
		r = pn_netns_resolve(ctx, ref->name, &space->fd, &why);
		if (r == -ENOENT && (ref->declared || (plan->mode & PN_DIFF_ABSENT)))
			return 0;
		if (r < 0 && err)
			*err = why;
		if (r < 0)
			return r;
	}
	space->there = true;
	space->own = space->fd < 0;
	return 0;
}

int pn_observe(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->nspaces && r == 0; i++)
		r = observe_space(ctx, plan, (uint16_t)i, err);
	if (r == 0)
		r = observe_links(ctx, plan, err);
	if (r == 0)
		r = pn_observe_ip(ctx, plan, err);
	if (r == 0)
		r = pn_observe_fdb(ctx, plan, err);
	if (r == 0)
		r = pn_observe_limits(ctx, plan, err);
	if (r == 0)
		r = pn_observe_sysctls(ctx, plan, err);
	for (size_t i = 0; i < plan->want.n && r == 0; i++) {
		struct pn_obj *want = &plan->want.v[i];

		if (want->kind == PN_NEIGH && want->u.neigh.of_peer)
			pn_peer_mac(plan, want->ns, want->link, want->u.neigh.mac);
	}
	return r;
}
