/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.c - kernel events to dirty scopes
 *
 * Room: on the kernel thread; changes nothing in the kernel, but for a renamed link, which goes.
 * May include: inner.h, netd/base, metrics, include/podnet.
 *
 * What we caused ourselves says nothing.  Of the rest, only what takes away or changes something
 * of ours matters: what others add beside it is theirs.  The kernel tells a link's state again and
 * again (carrier, queues), so a link is compared with how it was last seen.
 * #syscalls: read mkdir mkdirat inotify_add_watch
 */
#include "inner.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <errno.h>
#include <net/if.h>
#include <netd/metrics/metrics.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MARK            "podnet:netd:"
#define POOL            "pool"      /* in place of the scope, on pairs that were made ahead */
#define LO              1           /* its index in each namespace */
#define FACTS_DELAY_US  20000

static const char *scope_of(const char *alias)
{
	size_t n = strlen(MARK);

	return strncmp(alias, MARK, n) == 0 ? alias + n : NULL;
}

/* The prefix is reserved: a link so named and without a mark is one of ours in the making. */
static bool is_reserved(const char *name)
{
	return strncmp(name, "pn", 2) == 0 && strlen(name) == PODNET_IFNAME_SIZE - 1;
}

static bool is_tunnel(const char *name)
{
	return strncmp(name, "pn-", 3) == 0;
}

static struct klink seen(const struct podnet_event *ev)
{
	struct klink link = {
		.index = ev->index, .mtu = ev->mtu, .master = ev->master,
		.peer_nsid = ev->peer_nsid, .up = ev->flags & IFF_UP,
	};

	memcpy(link.name, ev->link, sizeof(link.name));
	return link;
}

static bool same(const struct klink *a, const struct klink *b)
{
	return a->index == b->index && a->mtu == b->mtu && a->master == b->master &&
	       a->up == b->up && strcmp(a->name, b->name) == 0;
}

/*
 * Under another name it is nobody's, and a plan, which looks by names, would not see it: it goes, and
 * the plan makes another.  The host's end of a pod is found through the pod, whatever its name.
 */
static void drop_renamed(struct kernel *k, const struct klink *before, const struct klink *now)
{
	if (strcmp(before->name, now->name) != 0 && !is_reserved(before->name))
		podnet_link_absent(k->ctx, NULL, now->name, NULL);
}

static void facts_due(struct kernel *k)
{
	uint64_t at = now_monotonic_us() + FACTS_DELAY_US;

	if (!k->facts_at)
		k->facts_at = at > k->facts_rest ? at : k->facts_rest;
}

/* a link from the pool is of whoever lives in the namespace it leads to */
static void mark_link(struct kernel *k, const char *scope, const struct klink *link)
{
	const struct kns *ns = strcmp(scope, POOL) ? NULL : index_nsid(&k->index, link->peer_nsid);

	if (ns)
		index_mark_space(&k->index, ns);
	else
		index_mark_name(&k->index, scope);
}

/*
 * What other scopes have on a tunnel of the node's went with it, without a word, whoever took it away
 * or down: when it is there again they must look.
 */
static void on_tunnel(struct kernel *k, const struct podnet_event *ev, const struct khome *home)
{
	bool up = !ev->deleted && (ev->flags & IFF_UP);

	if (up && (k->tunnel_lost || (home && !home->link.up)))
		index_mark_signs(&k->index);
	k->tunnel_lost = ev->deleted || (k->tunnel_lost && !up);
}

/*
 * A link of others that went down has taken the routes by it along, of which no event told; when it is
 * up again whose they are must look.
 */
static void on_foreign_link(struct kernel *k, const struct podnet_event *ev)
{
	size_t i = 0;

	while (i < k->down.n && k->down.v[i] != ev->index)
		i++;
	if (ev->deleted || !(ev->flags & IFF_UP)) {
		if (i == k->down.n && i < ARRAY_SIZE(k->down.v))
			k->down.n++;
		k->down.v[i < ARRAY_SIZE(k->down.v) ? i : 0] = ev->index;
		return;
	}
	if (i == k->down.n)
		return;
	k->down.v[i] = k->down.v[--k->down.n];
	index_mark_signs(&k->index);
}

static void on_home_link(struct kernel *k, const struct podnet_event *ev)
{
	const char *scope = scope_of(ev->alias);
	struct khome *home = index_home(&k->index, ev->index);
	struct klink now = seen(ev);

	if (!ev->ours && home && scope && !ev->deleted)
		drop_renamed(k, &home->link, &now);
	if (!ev->ours && home && (ev->deleted || !scope || !same(&home->link, &now)))
		mark_link(k, home->scope, &home->link);
	if (!ev->ours && !home && scope && (ev->deleted || !now.up))
		mark_link(k, scope, &now);
	/* its routes went with it and no event told; the link's scope does not know of a Route's */
	if (!ev->ours && home && now.up && !home->link.up)
		index_mark_home(&k->index);
	if (is_tunnel(ev->link) && (home || scope))
		on_tunnel(k, ev, home);
	if (!ev->ours && !home && !scope && !is_reserved(ev->link)) {
		facts_due(k);
		on_foreign_link(k, ev);
		kernel_announce_link(k, ev);
	}
	if (ev->deleted) {
		index_home_del(&k->index, ev->index);
		return;
	}
	/* not every message about a pair tells where the other end is */
	if (home && now.peer_nsid < 0)
		now.peer_nsid = home->link.peer_nsid;
	if (home && scope && strcmp(home->scope, scope) == 0)
		home->link = now;
	else if (scope && index_home_put(&k->index, scope, &now) < 0)
		k->index.all = true;    /* what cannot be remembered is looked at */
}

/* The default route, and what an administrator adds: it may lead where a Network is. */
static bool node_route(const struct podnet_event *ev)
{
	return ev->type == PODNET_EVENT_ROUTE && ev->prefix.family &&
	       (ev->prefix.len == 0 || ev->protocol == RTPROT_BOOT ||
		ev->protocol == RTPROT_STATIC);
}

/* A permanent entry of ours that somebody made another one. */
static bool lost_neigh(const struct podnet_event *ev)
{
	return ev->type == PODNET_EVENT_NEIGH && ev->protocol == PODNET_ROUTE_PROTOCOL &&
	       !(ev->flags & NUD_PERMANENT);
}

/* What bears no mark: of a link of ours it is ours. */
static bool by_link(const struct podnet_event *ev)
{
	return ev->type == PODNET_EVENT_QDISC || ev->type == PODNET_EVENT_FDB;
}

static bool of_ours_gone(const struct podnet_event *ev)
{
	if (by_link(ev))
		return true;
	return lost_neigh(ev) || (ev->deleted && ev->protocol == PODNET_ROUTE_PROTOCOL);
}

/*
 * `ip route replace` tells of the new route only, and that is its administrator's by protocol.  An
 * address that was replaced serves as well.
 */
static bool in_place_of_ours(const struct podnet_event *ev)
{
	uint8_t host = ev->prefix.family == AF_INET6 ? 128 : 32;

	if (ev->deleted || ev->prefix.family == 0)
		return false;
	return ev->type == PODNET_EVENT_ROUTE &&
	       (ev->protocol == RTPROT_BOOT || ev->protocol == RTPROT_STATIC) &&
	       (ev->prefix.len == 0 || ev->prefix.len == host);
}

/*
 * A route that is gone, or another's in its place, or not any more; a neighbour that is gone or not
 * permanent; a MAC address behind nothing, or something else.
 */
static void mark_sign(struct kernel *k, const struct podnet_event *ev)
{
	if (ev->type == PODNET_EVENT_ROUTE || (ev->type == PODNET_EVENT_NEIGH && of_ours_gone(ev)))
		index_mark_sign(&k->index, &ev->prefix);
	if (ev->type == PODNET_EVENT_FDB)
		index_mark_mac(&k->index, ev->mac, ev->deleted ? NULL : &ev->prefix);
}

/*
 * On a tunnel of the node's the neighbours and the FDB are those of paths, who know them by their signs
 * (mark_sign()).  The kernel names nobody as who changed the FDB or took a neighbour away: each Node
 * that comes or goes would have the node look at all it has.
 */
static bool is_signed(const struct podnet_event *ev, const struct khome *home)
{
	return strcmp(home->scope, "node") == 0 &&
	       (ev->type == PODNET_EVENT_FDB || ev->type == PODNET_EVENT_NEIGH);
}

static void on_home(struct kernel *k, const struct podnet_event *ev)
{
	struct khome *home;

	if (ev->type == PODNET_EVENT_LINK) {
		on_home_link(k, ev);
		return;
	}
	if (ev->ours)
		return;
	home = ev->index ? index_home(&k->index, ev->index) : NULL;
	if (!home && ev->protocol != PODNET_ROUTE_PROTOCOL &&
	    (ev->type == PODNET_EVENT_ADDR || node_route(ev)))
		facts_due(k);
	mark_sign(k, ev);
	if (home && is_signed(ev, home))
		return;
	if (home && (of_ours_gone(ev) || in_place_of_ours(ev)))
		mark_link(k, home->scope, &home->link);
	if (by_link(ev) || !of_ours_gone(ev))
		return;
	/* a route of nobody's link may be the node's, or one that a user declared */
	if (!home || ev->type == PODNET_EVENT_ROUTE || ev->type == PODNET_EVENT_RULE)
		index_mark_home(&k->index);
}

static struct klink *inner_link(const struct kns *ns, uint32_t index)
{
	size_t i;

	for (i = 0; i < ns->nlinks; i++)
		if (ns->links[i].index == index)
			return &ns->links[i];
	return NULL;
}

static int put_inner(struct kns *ns, const struct klink *link)
{
	struct klink *links = realloc(ns->links, (ns->nlinks + 1) * sizeof(*links));

	if (!links)
		return -ENOMEM;
	ns->links = links;
	links[ns->nlinks++] = *link;
	return 0;
}

static void on_inner_link(struct kernel *k, struct kns *ns, const struct podnet_event *ev)
{
	struct klink *link = inner_link(ns, ev->index), now = seen(ev);
	bool marked = scope_of(ev->alias) != NULL;
	bool birth = !link && ns->watched;

	if (!ev->ours && now.index == LO && !now.up && !ev->deleted)
		index_mark_space(&k->index, ns);
	if (!link && !marked)
		return;
	if (!ev->ours && !birth && (ev->deleted || !link || !marked || !same(link, &now)))
		index_mark_space(&k->index, ns);
	if (ev->deleted) {
		if (link)
			*link = ns->links[--ns->nlinks];
		return;
	}
	if (link)
		*link = now;
	else if (put_inner(ns, &now) < 0)
		k->index.all = true;
}

static void on_inside(struct kernel *k, const struct podnet_event *ev)
{
	struct kns *ns = index_nsid(&k->index, ev->nsid);

	if (!ns)
		return;
	if (ev->type == PODNET_EVENT_LINK)
		on_inner_link(k, ns, ev);
	else if (!ev->ours && by_link(ev) && inner_link(ns, ev->index))
		index_mark_space(&k->index, ns);
	else if (!ev->ours && !by_link(ev) &&
		 (of_ours_gone(ev) || (in_place_of_ours(ev) && inner_link(ns, ev->index))))
		index_mark_space(&k->index, ns);
}

static int seed_link(const struct podnet_link_info *info, void *arg)
{
	struct kernel *k = arg;
	const char *scope = scope_of(info->alias);
	const struct khome *home;
	struct klink link = {
		.index = info->index, .mtu = info->link.mtu,
		.master = info->link.master ? if_nametoindex(info->link.master) : 0,
		.peer_nsid = info->peer_nsid,
		.up = info->link.flags & PODNET_LINK_UP,
	};

	snprintf(link.name, sizeof(link.name), "%s", info->link.name);
	home = index_home(&k->index, link.index);
	if (home && scope)
		drop_renamed(k, &home->link, &link);    /* what told of it was lost */
	if (scope && index_home_put(&k->index, scope, &link) < 0)
		return -ENOMEM;
	return 0;
}

void kernel_seed_links(struct kernel *k)
{
	if (podnet_link_list(k->ctx, NULL, seed_link, k, NULL) < 0)
		k->index.all = true;
}

static void on_event(const struct podnet_event *ev, void *arg)
{
	struct kernel *k = arg;

	if (ev->type == PODNET_EVENT_OVERRUN) {
		metric_add(METRIC_OVERRUNS, 1);
		kernel_seed_links(k);
		k->index.all = k->foreign = true;
		facts_due(k);
		return;
	}
	if (ev->type == PODNET_EVENT_NFT) {
		k->foreign |= ev->table && !ev->ours;
		if (ev->table && !ev->ours)
			index_mark_name(&k->index, "node");
		if (!ev->table && !ev->ours)
			facts_due(k);
		return;
	}
	if (ev->type == PODNET_EVENT_FORWARDING) {
		if (ev->nsid < 0)
			index_mark_name(&k->index, "node");
		return;
	}
	if (ev->nsid < 0)
		on_home(k, ev);
	else
		on_inside(k, ev);
}

void kernel_read_events(struct kernel *k)
{
	index_learn(&k->index, k->ctx);
	if (podnet_monitor_read(k->mon, on_event, k, NULL) < 0)
		k->index.all = k->foreign = true;
	kernel_send_marks(k);
}

/* `ip netns del` takes the name; the namespace itself may live on, or say nothing as it dies. */
void kernel_read_names(struct kernel *k)
{
	union { struct inotify_event ev; char room[4096]; } buf;
	ssize_t len;

	while ((len = read(k->inotify, &buf, sizeof(buf))) > 0) {
		const char *at = buf.room;

		while (at < buf.room + len) {
			const struct inotify_event *ev = (const void *)at;
			struct kns *ns = ev->len ? map_get(&k->index.spaces, ev->name) : NULL;

			if (ns)
				index_mark_space(&k->index, ns);
			k->index.all |= (ev->mask & IN_Q_OVERFLOW) != 0;
			k->inotify_on &= !(ev->mask & IN_IGNORED);
			at += sizeof(*ev) + ev->len;
		}
	}
	kernel_send_marks(k);
}

/* The directory may come later than we do, with the first pin. */
void kernel_watch_names(struct kernel *k)
{
	if (k->inotify_on || k->inotify < 0)
		return;
	mkdir(k->netns_dir, 0755);
	k->inotify_on = inotify_add_watch(k->inotify, k->netns_dir,
					  IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR) >= 0;
}

static void send_mark(struct kernel *k, const char *scope)
{
	struct kernel_note *note = calloc(1, sizeof(*note));

	if (!note) {
		k->index.all = true;    /* told at the next turn */
		return;
	}
	memcpy(note->scope, scope, strlen(scope));
	queue_push(k->notes, &note->node);
}

void kernel_send_marks(struct kernel *k)
{
	bool all = k->index.all;

	k->index.all = false;
	if (all)
		send_mark(k, "");
	while (k->index.marks) {
		struct kscope *scope = k->index.marks;

		k->index.marks = scope->next_mark;
		scope->marked = false;
		if (!all)
			send_mark(k, scope->name);
	}
}
