/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * primitive.c - NetworkNamespace, Veth, Bridge and Route: what the user declared, as it is
 *
 * Room: pure.  Links are up; all else that the user did not say is the kernel's choice, so that
 * what a tutorial does by hand looks the same here.  May include: compile.h, libc.
 */
#include "room.h"

#include <errno.h>

static int begin(struct building *b, struct podnet_set **set, const char *uid,
		 struct podnet_error *err)
{
	*b = (struct building){ .err = err };
	b->rc = podnet_set_new(set, uid, err);
	b->set = *set;
	return b->rc;
}

static int end(const struct building *b, struct podnet_set **set, struct podnet_set **ret)
{
	if (b->rc < 0)
		return b->rc;
	*ret = take_ptr(*set);
	return 0;
}

static void put_addresses(struct building *b, const char *netns, const char *link,
			  const struct podnet_prefix *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct podnet_addr addr = { .netns = netns, .link = link, .prefix = v[i] };

		compile_note(b, podnet_set_addr(b->set, &addr, b->err));
	}
}

/* One that is adopted is pinned by the kernel thread and has nothing else of ours in it. */
int compile_netns(const struct compile_input *in, const struct netns *ns, struct podnet_set **ret,
		  struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_netns spec = { .name = ns->meta.name, .scope = ns->meta.uid };
	struct building b;

	(void)in;
	if (begin(&b, &set, ns->meta.uid, err) < 0)
		return b.rc;
	if (!ns->path)
		compile_note(&b, podnet_set_netns(set, &spec, b.err));
	return end(&b, &set, ret);
}

int compile_veth(const struct compile_input *in, const struct veth *veth, struct podnet_set **ret,
		 struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_veth spec = { 0 };
	struct building b;
	size_t i;

	(void)in;
	if (begin(&b, &set, veth->meta.uid, err) < 0)
		return b.rc;
	for (i = 0; i < 2; i++) {
		const struct veth_end *from = &veth->ends[i];

		spec.end[i] = (struct podnet_link){
			.netns = from->netns, .name = from->name, .flags = PODNET_LINK_UP,
			.mtu = veth->mtu, .master = from->bridge,
		};
		memcpy(spec.end[i].mac, from->mac, sizeof(from->mac));
	}
	compile_note(&b, podnet_set_veth(set, &spec, b.err));
	for (i = 0; i < 2; i++)
		put_addresses(&b, veth->ends[i].netns, veth->ends[i].name,
			      veth->ends[i].addresses, veth->ends[i].naddresses);
	return end(&b, &set, ret);
}

int compile_bridge(const struct compile_input *in, const struct bridge *br,
		   struct podnet_set **ret, struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	const char *name = br->interface ? br->interface : br->meta.name;
	struct podnet_link spec = {
		.netns = br->netns, .name = name, .flags = PODNET_LINK_UP, .mtu = br->mtu,
	};
	struct building b;

	(void)in;
	if (begin(&b, &set, br->meta.uid, err) < 0)
		return b.rc;
	memcpy(spec.mac, br->mac, sizeof(spec.mac));
	compile_note(&b, podnet_set_bridge(set, &spec, b.err));
	put_addresses(&b, br->netns, name, br->addresses, br->naddresses);
	return end(&b, &set, ret);
}

static enum podnet_route_type route_type(const char *text)
{
	if (text && !strcmp(text, "unreachable"))
		return PODNET_ROUTE_UNREACHABLE;
	if (text && !strcmp(text, "blackhole"))
		return PODNET_ROUTE_BLACKHOLE;
	return PODNET_ROUTE_UNICAST;
}

int compile_route(const struct compile_input *in, const struct route *route,
		  struct podnet_set **ret, struct podnet_error *err)
{
	_cleanup_(podnet_set_freep) struct podnet_set *set = NULL;
	struct podnet_route spec = {
		.netns = route->netns, .dst = route->destination, .via = route->gateway,
		.src = route->source, .link = route->interface, .table = route->table,
		.metric = route->metric, .mtu = route->mtu, .type = route_type(route->type),
		.onlink = route->on_link,
	};
	struct building b;

	(void)in;
	if (begin(&b, &set, route->meta.uid, err) < 0)
		return b.rc;
	compile_note(&b, podnet_set_route(set, &spec, b.err));
	return end(&b, &set, ret);
}
