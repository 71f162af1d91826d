/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * order.c - operations in the order in which they can be done
 *
 * Room: pure.  May include: plan/inner.h, base, include/podnet.
 *
 * Unuse before unmake, then make before use.  Inside that, operations of one namespace stand
 * together, for each change of namespace is one more send: links are made with the context's own
 * namespace last, and what is on them begins with it, so a pod takes two sends.
 */
#include "inner.h"

enum phase { UNUSE, UNLINK, UNPIN, PIN, PREPARE, LINK, USE };

static uint32_t phase_of(const struct pn_op *op)
{
	if (op->verb == PN_DEL) {
		if (op->obj.kind == PN_NETNS)
			return UNPIN;
		return op->obj.kind == PN_LINK ? UNLINK : UNUSE;
	}
	if (op->obj.kind == PN_NETNS)
		return PIN;
	if (op->obj.kind == PN_SYSCTL)
		return pn_sysctl_of_link(op->obj.u.sysctl.key) ? USE : PREPARE;
	return op->obj.kind == PN_LINK && op->verb == PN_ADD ? LINK : USE;
}

/* within a phase and a namespace */
static uint32_t rank_of(const struct pn_op *op, uint32_t phase)
{
	static const uint8_t types[] = {
		[PN_ANY] = 0, [PN_BRIDGE] = 1, [PN_IFB] = 2, [PN_VETH] = 3, [PN_VXLAN] = 4,
		[PN_TUN] = 5, [PN_OTHER] = 6,
	};
	uint32_t rank = op->obj.kind * 2u;

	if (phase == LINK)
		return types[op->obj.u.dev.type];
	if (phase == UNUSE)
		return PN_NKINDS * 2u - rank;
	if (op->obj.kind == PN_SYSCTL)          /* about a link: after it, before its addresses */
		return PN_LINK * 2u + 1;
	/* a gateway must be reachable by a route that is there already */
	return rank + (op->obj.kind == PN_ROUTE && op->obj.u.route.via.family);
}

static int by_order(const void *a, const void *b)
{
	const struct pn_op *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

void pn_order(struct pn_ops *ops, const struct podnet_set *set)
{
	for (size_t i = 0; i < ops->n; i++) {
		struct pn_op *op = &ops->v[i];
		uint32_t phase = phase_of(op);
		uint64_t ns = *set->refs.v[op->obj.ns].name ? op->obj.ns + 1u : 0;

		if (phase == LINK)
			ns = 0xffff - ns;
		op->order = (uint64_t)phase << 60 | ns << 40 |
			    (uint64_t)rank_of(op, phase) << 32 | (uint64_t)(i & 0xffffffff);
	}
	if (ops->n)
		qsort(ops->v, ops->n, sizeof(*ops->v), by_order);
}
