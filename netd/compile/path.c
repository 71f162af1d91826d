/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path.c - how packets get to the pods of another node
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * A path is chosen for a pair of nodes and a block.  Direct, where the other's address lies in a
 * prefix that a link of ours reaches without a gateway: a route of the block by that address.  All
 * nodes choose by what the Node says, and nobody is asked.
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

/** One block's way. */
struct way {
	enum { WAY_NONE, WAY_DIRECT } how;
	const char *link;
	const char *why;            /* WAY_NONE: what is missing */
};

/* The link that reaches @ip without a gateway, or NULL. */
static const struct compile_link *link_to(const struct compile_input *in,
					  const struct podnet_prefix *ip)
{
	const struct compile_link *best = NULL;

	for (size_t i = 0; i < in->nlinks; i++)
		if (podnet_prefix_contains(&in->links[i].prefix, ip) &&
		    (!best || best->prefix.len < in->links[i].prefix.len))
			best = &in->links[i];
	return best;
}

/* What no backend can mend. */
static const char *flaw(const struct compile_input *in, const struct node *node)
{
	const struct podnet_prefix *ips = node->underlay;

	if (!ips[0].family && !ips[1].family)
		return "it says no address of its own";
	for (size_t i = 0; i < 2; i++)
		if (ips[i].family && compile_is_own(in->own, in->nown, &ips[i]))
			return "its address is this node's too";
	return NULL;
}

static struct way choose(const struct compile_input *in, const struct node *node,
			 const struct compile_block *block)
{
	const struct podnet_prefix *ip = &node->underlay[block->prefix.family == AF_INET6];
	const struct compile_link *link = ip->family ? link_to(in, ip) : NULL;
	bool may = block->backend == BACKEND_AUTO || block->backend == BACKEND_DIRECT;

	if (may && link)
		return (struct way){ .how = WAY_DIRECT, .link = link->name };
	return (struct way){ .why = ip->family ? "it is on none of this node's links" :
			     "it has no address of the block's family" };
}

static void put_block(struct building *b, const struct node *node, const struct way *way,
		      const struct podnet_prefix *block)
{
	struct podnet_route route = { .dst = podnet_prefix_mask(block), .link = way->link };

	if (way->how == WAY_DIRECT)
		route.via = node->underlay[block->family == AF_INET6];
	compile_note(b, podnet_set_route(b->set, &route, b->err));
}

static void say_missing(const struct node *node, const struct podnet_prefix *block,
			const char *why, char missing[COMPILE_MISSING])
{
	char text[PODNET_PREFIX_STRLEN];

	if (*missing)
		return;             /* the first one is told */
	snprintf(missing, COMPILE_MISSING, "no path to %s of node %s: %s",
		 podnet_prefix_format(block, text), node->meta.name, why);
}

int compile_path(const struct compile_input *in, const struct compile_path *path,
		 struct podnet_set **ret, char missing[COMPILE_MISSING], struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	const char *why = flaw(in, path->node);
	struct building b = { .err = err };

	*missing = '\0';
	b.rc = podnet_set_new(&set, path->node->meta.uid, err);
	if (b.rc < 0)
		return b.rc;
	b.set = set;
	for (size_t i = 0; i < path->nblocks; i++) {
		const struct compile_block *block = &path->blocks[i];
		struct way way = { .why = why };

		if (!why)
			way = choose(in, path->node, block);
		if (way.how == WAY_NONE)
			say_missing(path->node, &block->prefix, way.why, missing);
		else
			put_block(&b, path->node, &way, &block->prefix);
	}
	if (b.rc < 0)
		return b.rc;
	*ret = take_ptr(set);
	return 0;
}
