/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apply.c - operations into batches, one socket a namespace
 *
 * Room: changes the kernel.  May include: plan/inner.h, link, ip, netns, nl, base, context.h.
 *
 * Requests gather in one batch as long as they are for the same namespace; a change of namespace
 * sends.  Nothing that is made is looked up afterwards: ifindexes and MACs are chosen (born.c).
 * Whatever is in the way unseen shows as -EEXIST or -EBUSY: then the kernel is read again, and the
 * rest is planned anew, a few times at most.
 */
#include "inner.h"

#include <errno.h>

#define ATTEMPTS 5

struct run {
	struct podnet *ctx;
	struct podnet_plan *plan;
	struct podnet_error *err;
	uint16_t ns;                    /* of what is in the batch */
	int waiting, done;              /* operations in the batch, and sent */
	bool pooled;                    /* namespace and pair come from the pool */
	struct pn_pool_view view;       /* where the plan has them */
	uint32_t ends[2];               /* the pair: inside, at home */
	struct pn_objs own;             /* and what was made in it for one pod */
};

/* what shall go and is not there any more, and a second look at something, are no failures */
static bool tolerate(const struct nl_op *op, int rc)
{
	size_t n = strlen(op->step);
	bool del = n > 7 && !strcmp(op->step + n - 7, "_delete");

	if (!strcmp(op->step, "limit_delete") && rc == -EINVAL)
		return true;
	if (!strcmp(op->step, "link_settle"))
		return true;
	return del && (rc == -ENOENT || rc == -ENODEV || rc == -ESRCH || rc == -EADDRNOTAVAIL);
}

static int flush(struct run *run)
{
	struct pn_space *space = &run->plan->spaces[run->ns];
	const void *failed = NULL;
	char line[PN_LINE_SIZE];
	struct nl *nl;
	int r;

	if (!run->ctx->batch.n && !run->ctx->batch.sticky) {
		run->done += run->waiting;      /* all of it was made ahead */
		run->waiting = 0;
		return 0;
	}
	r = pn_space_nl(run->ctx, space, &nl, run->err);
	if (r < 0)
		return r;
	run->ctx->batch.tolerate = tolerate;
	r = nl_batch_send(nl, &run->ctx->batch, &failed, run->err);
	run->ctx->batch.tolerate = NULL;
	if (r < 0 && failed) {
		const struct pn_op *op = failed;

		pn_name_object(run->plan->set, &op->obj, line, sizeof(line));
		pn_err_object(run->err, line);
	}
	if (r == 0)
		run->done += run->waiting;
	run->waiting = 0;
	return r;
}

/* the batch is for @ns and has room for an operation */
static int turn_to(struct run *run, uint16_t ns)
{
	struct nl_batch *b = &run->ctx->batch;
	int r = 0;

	/* an operation is at most eight requests */
	if (run->ns != ns || b->n + 8 > NL_BATCH_MAX || !nl_batch_room(b))
		r = flush(run);
	if (r < 0)
		return r;
	run->ns = ns;
	if (run->plan->spaces[ns].lo_pending) {
		run->plan->spaces[ns].lo_pending = false;
		pn_netns_put_lo_up(b, NULL);
	}
	return 0;
}

static int no_link(struct run *run, const struct pn_op *op, const char *field, int code)
{
	char line[PN_LINE_SIZE];

	pn_err_why(run->err, code, "link_find", field,
		   code != -ENODEV && code != -ENOENT ? NULL :
		   !strcmp(field, "master") ? "its bridge is not there" : "its link is not there");
	pn_name_object(run->plan->set, &op->obj, line, sizeof(line));
	pn_err_object(run->err, line);
	return code;
}

static int note_birth(struct run *run, const struct pn_obj *obj, uint32_t index)
{
	struct pn_dev *dev = pn_dev_add(run->plan, obj->ns, obj->link);

	if (!dev)
		return pn_err(run->err, -ENOMEM, "link_create", NULL, NULL);
	dev->index = index;
	dev->type = obj->u.dev.type;
	dev->born = obj->u.dev.type == PN_VETH;
	memcpy(dev->mac, obj->u.dev.mac, sizeof(dev->mac));
	return 0;
}

static uint32_t choose_index(struct run *run, uint16_t ns)
{
	struct pn_space *space = &run->plan->spaces[ns];

	return space->next_index ? space->next_index++ : pn_next_index(run->ctx);
}

/* marked and set up before it outlives its descriptor: who is killed in between leaves none */
static int create_tun(struct run *run, const struct pn_obj *obj, struct pn_put *p)
{
	_cleanup_close_ int fd = -1;
	int r = flush(run);

	if (r == 0)
		r = fd = pn_tun_birth(run->ctx, run->plan, obj, p->index, run->err);
	if (r < 0)
		return r;
	p->up_at_birth = false;
	pn_link_kind.put(p, PN_ADD, obj);
	r = flush(run);
	return r < 0 ? r : pn_tun_keep(fd);
}

static int create_link(struct run *run, const struct pn_op *op, struct pn_put *p)
{
	const struct pn_link_attrs *dev = &op->obj.u.dev;
	struct pn_obj obj = op->obj, peer = { 0 };
	const struct pn_obj *far = pn_objs_link(&run->plan->want, dev->peer_ns, dev->peer);
	int r;

	pn_choose_mac(run->ctx, run->plan, &obj);
	p->index = choose_index(run, obj.ns);
	p->up_at_birth = (dev->flags & PODNET_LINK_UP) && !(dev->flags & PODNET_LINK_NO_ADDRGEN);
	r = note_birth(run, &obj, p->index);
	if (r == 0 && dev->type == PN_VETH && far) {
		peer = *far;
		pn_choose_mac(run->ctx, run->plan, &peer);
		p->peer = &peer;
		p->peer_index = choose_index(run, peer.ns);
		p->peer_fd = peer.ns == obj.ns ? -1 : run->plan->spaces[peer.ns].fd;
		if (run->plan->spaces[peer.ns].own && peer.ns != obj.ns)
			p->peer_fd = run->ctx->netns_fd;
		r = note_birth(run, &peer, p->peer_index);
	}
	if (r < 0)
		return r;
	if (dev->type == PN_TUN)
		return create_tun(run, &obj, p);
	pn_link_kind.put(p, PN_ADD, &obj);
	return 0;
}

/* a pair from the pool is there, up and marked: only what belongs to its port is missing */
static void adopt_link(const struct pn_op *op, struct pn_put *p)
{
	struct pn_obj obj = op->obj;

	obj.u.dev.flags &= PODNET_LINK_ISOLATED | PODNET_LINK_HAIRPIN;
	if (!obj.u.dev.flags)
		return;
	p->alias = NULL;
	p->changed = PN_LINK_AFTER_BIRTH;
	p->master = 0;
	pn_link_kind.put(p, PN_SET, &obj);
}

/* the ifindex of another link that this one names; "": none */
static int find_other(struct run *run, const struct pn_op *op, const char *name,
		      const char *field, uint32_t *ret)
{
	struct pn_dev *dev;
	int r;

	if (op->verb == PN_DEL || !*name)
		return 0;
	r = pn_dev_get(run->ctx, run->plan, op->obj.ns, name, &dev);
	if (r < 0)
		return no_link(run, op, field, r);
	*ret = dev->index;
	return 0;
}

static int find_link(struct run *run, const struct pn_op *op, struct pn_put *p)
{
	struct pn_dev *dev;
	int r;

	if (op->verb == PN_DEL)
		p->index = op->obj.index;
	if (op->verb == PN_DEL || !op->obj.link[0])
		return 0;
	r = pn_dev_get(run->ctx, run->plan, op->obj.ns, op->obj.link, &dev);
	if (r < 0)
		return no_link(run, op, op->obj.kind == PN_LINK ? "name" : "link",
			       op->obj.kind == PN_LINK && r == -ENODEV ? -ENOENT : r);
	p->index = dev->index;
	return 0;
}

static int later_link_del(const struct podnet_plan *plan, const struct pn_op *op)
{
	int n = 0;

	for (const struct pn_op *o = plan->ops.v; o < plan->ops.v + plan->ops.n; o++) {
		if (o->verb == PN_DEL && o->obj.kind == PN_LINK && o->obj.ns == op->obj.ns &&
		    !o->doom && !(o->obj.is & PN_DOOMED))
			n += o < op ? 1 : o > op ? 0x10000 : 0;
	}
	return n;                       /* low half: before it, high half: after it */
}

/*
 * Deleting one link waits for an RCU grace period; a group of links waits once.  So two or more
 * are put into the doomed group first and go in one request.
 */
static void delete_link(struct run *run, const struct pn_op *op, struct pn_put *p)
{
	int others = op->doom || (op->obj.is & PN_DOOMED) ? 0 : later_link_del(run->plan, op);

	if (op->doom || others)
		p->group = PN_DOOMED_GROUP;
	pn_link_kind.put(p, PN_DEL, &op->obj);
	if (others && !(others >> 16))
		pn_put_group_del(p, PN_DOOMED_GROUP);
}

/* A link that is set up again must settle as a new one does, and so must its other end. */
static void note_change(struct run *run, const struct pn_op *op)
{
	const struct pn_link_attrs *link = &op->obj.u.dev;
	struct pn_dev *ends[] = {
		pn_dev_find(run->plan, op->obj.ns, op->obj.link),
		pn_dev_find(run->plan, link->peer_ns, link->peer),
	};

	if (link->type != PN_VETH || !(op->changed & PN_LINK_AFTER_BIRTH))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i] && ends[i]->index)
			ends[i]->born = true;
	}
}

static int put_link(struct run *run, const struct pn_op *op, struct pn_put *p)
{
	int r = find_other(run, op, op->obj.u.dev.master, "master", &p->master);

	if (r == 0)
		r = find_other(run, op, op->obj.u.dev.vxlan.dev, "dev", &p->lower);
	if (r < 0)
		return r;
	if (op->obj.u.dev.type != PN_ANY)
		p->alias = run->plan->alias;
	if (op->verb == PN_ADD && !run->pooled)
		return create_link(run, op, p);
	r = find_link(run, op, p);
	if (r < 0)
		return r;
	if (op->verb == PN_DEL) {
		delete_link(run, op, p);
	} else if (op->verb == PN_ADD) {
		adopt_link(op, p);
	/* the end inside of a pooled pair is as it must be, and its mark is that of the other */
	} else if (!run->pooled || op->changed != PN_LINK_AFTER_BIRTH) {
		pn_link_kind.put(p, PN_SET, &op->obj);
		note_change(run, op);
	}
	return 0;
}

static int put_other(struct run *run, const struct pn_op *op, struct pn_put *p)
{
	static const uint8_t none[6];
	struct pn_obj obj = op->obj;
	char name[PODNET_IFNAME_SIZE];
	struct pn_dev *ifb;
	int r;

	if (run->pooled && op->verb == PN_ADD &&
	    pn_pool_has(run->plan->pool, &run->own, &run->view, &obj))
		return 0;
	r = find_link(run, op, p);
	if (r < 0)
		return r;
	if (obj.kind == PN_NEIGH && obj.u.neigh.of_peer && op->verb != PN_DEL) {
		pn_peer_mac(run->plan, obj.ns, obj.link, obj.u.neigh.mac);
		if (!memcmp(obj.u.neigh.mac, none, sizeof(none)))
			return no_link(run, op, "mac", -EINVAL);
	}
	if (obj.kind == PN_LIMIT && obj.u.limit.incoming && op->verb != PN_DEL) {
		pn_limit_ifb(obj.link, name);
		r = pn_dev_get(run->ctx, run->plan, obj.ns, name, &ifb);
		if (r < 0)
			return no_link(run, op, "link", r);
		p->helper = ifb->index;
	}
	pn_kinds[obj.kind]->put(p, (enum pn_verb)op->verb, &obj);
	return 0;
}

/*
 * What was made ahead and this plan does not want.  Addresses go last: with the last one of a link
 * the kernel takes away its IPv4 routes (net/ipv4/fib_frontend.c, fib_inetaddr_event()).
 */
static int drop_excess(struct run *run, bool addresses)
{
	struct pn_put p = { .b = &run->ctx->batch, .protocol = run->ctx->protocol };
	const struct pn_obj *obj;
	size_t i = 0;
	int r = 0;

	while (r == 0 && (obj = pn_pool_excess(run->plan->pool, &run->own, &run->view, &i))) {
		bool home = pn_pool_at_home(obj);

		if ((obj->kind == PN_ADDR) != addresses)
			continue;
		p.index = run->ends[home];
		r = turn_to(run, home ? run->view.home : run->view.inside);
		if (r == 0)
			pn_kinds[obj->kind]->put(&p, PN_DEL, obj);
	}
	return r;
}

static int take_pooled(struct run *run, const struct pn_op *op, const struct pn_obj *host,
		       const struct pn_obj *inside)
{
	struct pn_space *space = &run->plan->spaces[op->obj.ns];
	struct pn_obj end[2] = { *host, *inside };
	struct pn_pool_entry e;
	struct pn_dev *dev;
	int r;

	run->view = (struct pn_pool_view){ .want = &run->plan->want, .inside = inside->ns,
					   .home = host->ns, .link = host->link };
	r = pn_pool_pop(run->plan->pool, &run->view, run->plan->set->refs.v[op->obj.ns].name,
			op->obj.u.netns.scope, &e, run->err);
	if (r < 0)
		return r;
	run->own = e.own;
	space->fd = e.fd;
	space->nl = e.nl;
	space->there = space->ours = true;
	memcpy(end[0].u.dev.mac, e.host_mac, 6);
	memcpy(end[1].u.dev.mac, e.inside_mac, 6);
	for (int i = 0; i < 2; i++) {
		r = note_birth(run, &end[i], i ? e.inside : e.host);
		dev = pn_dev_find(run->plan, end[i].ns, end[i].link);
		if (r < 0 || !dev)
			return r < 0 ? r : -ENOMEM;
		dev->born = false;              /* its carrier has settled long ago */
	}
	run->pooled = true;
	run->ends[0] = e.inside;
	run->ends[1] = e.host;
	return drop_excess(run, false);
}

/* the one pair that is made between the namespace @op makes and the context's own */
static const struct pn_obj *pair_of(const struct podnet_plan *plan, const struct pn_op *op)
{
	const struct pn_obj *found = NULL;
	size_t netns = 0, links = 0;

	for (size_t i = 0; i < plan->ops.n; i++) {
		const struct pn_op *o = &plan->ops.v[i];

		netns += o->obj.kind == PN_NETNS && o->verb == PN_ADD;
		if (o->obj.kind != PN_LINK || o->verb != PN_ADD)
			continue;
		links++;
		if (o->obj.u.dev.type == PN_VETH && o->obj.u.dev.peer_ns == op->obj.ns &&
		    plan->spaces[o->obj.ns].own)
			found = &o->obj;
	}
	return netns == 1 && links == 1 ? found : NULL;
}

static int add_netns(struct run *run, const struct pn_op *op)
{
	struct podnet_plan *plan = run->plan;
	struct pn_space *space = &plan->spaces[op->obj.ns];
	const struct pn_obj *host = plan->pool ? pair_of(plan, op) : NULL, *inside = NULL;
	const char *name = plan->set->refs.v[op->obj.ns].name;
	int r;

	if (host)
		inside = pn_objs_link(&plan->want, host->u.dev.peer_ns, host->u.dev.peer);
	if (inside && pn_pool_fits(plan->pool, host, inside)) {
		r = take_pooled(run, op, host, inside);
		if (r != -EAGAIN)
			return r;
	}
	r = pn_netns_make(run->ctx, &space->fd, &space->nl, run->err);
	if (r < 0)
		return r;
	r = pn_netns_pin_fd(run->ctx, space->fd, -1, name, op->obj.u.netns.scope, run->err);
	if (r < 0) {
		nl_close(&space->nl);
		close(space->fd);
		space->fd = -1;
		return r;
	}
	space->there = space->ours = space->lo_pending = true;
	space->next_index = 2;          /* 1 is lo */
	return 0;
}

/* our own hold on it must go as well, or the kernel would wait for the plan to be freed */
static int drop_netns(struct run *run, const struct pn_op *op)
{
	struct pn_space *space = &run->plan->spaces[op->obj.ns];
	int r = pn_netns_unpin(run->ctx, run->plan->set->refs.v[op->obj.ns].name, run->err);

	nl_close(&space->nl);
	if (space->fd >= 0)
		close(space->fd);
	space->fd = -1;
	space->there = space->ours = false;
	return r;
}

/* not by netlink, so at once */
static int step_aside(struct run *run, const struct pn_op *op)
{
	int r = flush(run);

	if (r < 0)
		return r;
	if (op->obj.kind == PN_SYSCTL)
		r = pn_sysctl_apply(run->ctx, run->plan, op, run->err);
	else if (op->verb == PN_ADD)
		r = add_netns(run, op);
	else
		r = drop_netns(run, op);
	if (r < 0) {
		char line[PN_LINE_SIZE];

		pn_name_object(run->plan->set, &op->obj, line, sizeof(line));
		pn_err_object(run->err, line);
		return r;
	}
	run->done++;
	return 0;
}

static int step(struct run *run, const struct pn_op *op)
{
	struct pn_put p = {
		.b = &run->ctx->batch, .tag = op, .protocol = run->ctx->protocol,
		.changed = op->changed, .peer_fd = -1,
	};
	char line[PN_LINE_SIZE];
	int r;

	if (run->ctx->debug) {
		pn_line(run->plan->set, op, line, sizeof(line));
		pn_debug(run->ctx, "%s", line);
	}
	if (op->obj.kind == PN_SYSCTL || op->obj.kind == PN_NETNS)
		return step_aside(run, op);
	r = turn_to(run, op->obj.ns);
	if (r == 0)
		r = op->obj.kind == PN_LINK ? put_link(run, op, &p) : put_other(run, op, &p);
	if (r == 0)
		run->waiting++;
	return r;
}

/* the carrier of what was born: first where the batch is already, then elsewhere */
static int settle(struct run *run)
{
	uint16_t here = run->ns;
	int r = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < run->plan->devs.n && r == 0; i++) {
			const struct pn_dev *dev = &run->plan->devs.v[i];
			struct pn_put p = { .b = &run->ctx->batch, .index = dev->index };

			if (!dev->born || (dev->ns == here) == pass)
				continue;
			r = turn_to(run, dev->ns);
			if (r == 0)
				pn_put_link_settle(&p);
		}
	}
	for (size_t i = 0; i < run->plan->nspaces && r == 0; i++) {
		if (run->plan->spaces[i].lo_pending)
			r = turn_to(run, (uint16_t)i);
	}
	return r < 0 ? r : flush(run);
}

/* forget what a failure left unsent */
static void drop_batch(struct nl_batch *b)
{
	b->len = 0;
	b->n = 0;
	b->nlh = NULL;
	b->sticky = 0;
}

static int carry_out(struct run *run)
{
	int r = 0;

	run->pooled = false;
	drop_batch(&run->ctx->batch);
	for (size_t i = 0; i < run->plan->ops.n && r == 0; i++)
		r = step(run, &run->plan->ops.v[i]);
	if (r == 0 && run->pooled)
		r = drop_excess(run, true);
	if (r == 0)
		r = settle(run);
	run->waiting = 0;
	drop_batch(&run->ctx->batch);
	free(run->own.v);
	memset(&run->own, 0, sizeof(run->own));
	return r;
}

int podnet_plan_commit(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err)
{
	/* an attempt may fail and the next one succeed: the caller's is written on failure only */
	struct podnet_error why = { 0 };
	struct run run = { .ctx = ctx, .plan = plan, .err = &why };
	int r = 0;

	for (int i = 0; i < ATTEMPTS && plan->ops.n; i++) {
		r = carry_out(&run);
		if (r == 0)
			break;
		/* what stays so, and the kernel has a word for, is nobody's race */
		if ((r != -EEXIST && r != -EBUSY) || (i + 1 == ATTEMPTS && *why.kernel))
			break;
		memset(&why, 0, sizeof(why));
		r = pn_plan_again(ctx, plan, &why);
		if (r < 0)
			break;
		r = plan->ops.n ? pn_err_why(&why, -EAGAIN, "plan_commit", NULL,
					     "others change the same objects") : 0;
	}
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : run.done;
}

int podnet_doomed_reap(struct podnet *ctx, struct podnet_error *err)
{
	struct pn_put p = { .b = &ctx->batch };
	struct podnet_error why = { 0 };
	int r;

	drop_batch(&ctx->batch);
	pn_put_group_del(&p, PN_DOOMED_GROUP);
	r = nl_batch_send(&ctx->rt, &ctx->batch, NULL, &why);
	if (r == -ENODEV)
		return 0;
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : 1;
}
