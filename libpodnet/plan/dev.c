/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dev.c - the links a plan knows, and the sockets of its namespaces
 *
 * Room: one question to the kernel for one link.  May include: plan/inner.h, link, netns, nl, base.
 *
 * Marks, routes and addresses name a link by ifindex; a plan names it by its declared name.  The
 * table here joins the two, also for links from a pool, whose own name is another one.
 */
#include "inner.h"

#include <errno.h>

int pn_space_nl(struct podnet *ctx, struct pn_space *space, struct nl **ret,
		struct podnet_error *err)
{
	int r;

	if (space->own) {
		*ret = &ctx->rt;
		return 0;
	}
	if (space->nl.fd < 0) {
		r = nl_open_at(&space->nl, NETLINK_ROUTE, space->fd);
		if (r < 0)
			return pn_err(err, r, "netns_enter", "netns", NULL);
		pn_context_own_portid(ctx, space->nl.portid);
	}
	*ret = &space->nl;
	return 0;
}

struct pn_dev *pn_dev_find(const struct podnet_plan *plan, uint16_t ns, const char *name)
{
	for (size_t i = 0; i < plan->devs.n; i++) {
		struct pn_dev *dev = &plan->devs.v[i];

		if (dev->ns == ns && !strcmp(dev->name, name))
			return dev;
	}
	return NULL;
}

struct pn_dev *pn_dev_at(const struct podnet_plan *plan, uint16_t ns, uint32_t index)
{
	for (size_t i = 0; index && i < plan->devs.n; i++) {
		struct pn_dev *dev = &plan->devs.v[i];

		if (dev->ns == ns && dev->index == index)
			return dev;
	}
	return NULL;
}

struct pn_dev *pn_dev_add(struct podnet_plan *plan, uint16_t ns, const char *name)
{
	struct pn_dev *dev = pn_dev_find(plan, ns, name);

	if (!dev) {
		if (pn_grow(&plan->devs) < 0)
			return NULL;
		dev = &plan->devs.v[plan->devs.n++];
	}
	memset(dev, 0, sizeof(*dev));
	dev->ns = ns;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	return dev;
}

static int keep_seen(const struct nlmsghdr *nlh, void *arg)
{
	return pn_link_parse(nlh, arg) < 0 ? -EPROTO : 0;
}

int pn_dev_get(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns, const char *name,
	       struct pn_dev **ret)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct pn_dev *dev = pn_dev_find(plan, ns, name);
	struct pn_link_seen seen;
	struct nl *nl = NULL;
	int r;

	if (!dev || !dev->index) {
		r = pn_space_nl(ctx, &plan->spaces[ns], &nl, NULL);
		if (r == 0)
			r = nl_get(nl, pn_link_request(buf, 0, name), keep_seen, &seen, NULL);
		if (r < 0)
			return r;
		dev = pn_dev_add(plan, ns, name);
		if (!dev)
			return -ENOMEM;
		dev->index = seen.obj.index;
		dev->peer = seen.peer;
		dev->type = seen.obj.u.dev.type;
		memcpy(dev->mac, seen.obj.u.dev.mac, sizeof(dev->mac));
	}
	*ret = dev;
	return 0;
}

bool pn_peer_mac(const struct podnet_plan *plan, uint16_t ns, const char *link, uint8_t ret[6])
{
	const struct pn_obj *want = pn_objs_link(&plan->want, ns, link);
	const struct pn_dev *dev;

	if (!want || want->u.dev.type != PN_VETH)
		return false;
	dev = pn_dev_find(plan, want->u.dev.peer_ns, want->u.dev.peer);
	if (!dev || !dev->index)
		return false;
	memcpy(ret, dev->mac, sizeof(dev->mac));
	return true;
}
