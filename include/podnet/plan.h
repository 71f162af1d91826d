/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/plan.h - declare what must be so, see what would change, make it so
 *
 *	podnet_set_new(&want, "blue");                      declare: pure, no kernel
 *	podnet_set_netns(want, &(struct podnet_netns){ .name = "blue" });
 *	podnet_set_veth(want, ...); podnet_set_addr(want, ...);
 *	podnet_plan_make(ctx, want, 0, &plan, &err);        observe, then compare
 *	podnet_plan_print(plan, stdout);                    a line an operation
 *	podnet_plan_commit(ctx, plan, &err);                batches, one send a namespace
 *
 * A set has a scope, a short name that every mark carries.  What carries the mark of this owner
 * and scope and is not declared is deleted; what carries another mark or none is foreign, and a
 * wish that meets it is a conflict (-EEXIST, the object named), never a change.  Planning an
 * applied set again gives an empty plan.  A link declared by the set is recognised by its mark, or
 * by the namespace it leads to, so a set from a pool keeps the link's own name.
 */
#ifndef PODNET_PLAN_H
#define PODNET_PLAN_H

#include <podnet/addr.h>
#include <podnet/link.h>
#include <podnet/netns.h>
#include <podnet/route.h>
#include <podnet/shape.h>
#include <podnet/tun.h>
#include <podnet/vxlan.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct podnet_set;
struct podnet_plan;
struct podnet_pool;

/**
 * podnet_set_new() - an empty set of desired objects
 * @scope: 1..63 bytes, no ':' or blank; part of each mark
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
PODNET_API int podnet_set_new(struct podnet_set **ret, const char *scope, struct podnet_error *err);
PODNET_API void podnet_set_free(struct podnet_set *set);

/*
 * Declare an object; specs are copied.  Checked at once: -EINVAL with @err->field, -EEXIST when the
 * same key was declared with other values, -ENOMEM.  Declaring the same thing twice is fine.
 * An error sticks to the set, so a caller may check the last call, or podnet_plan_make(), only.
 */
PODNET_API int podnet_set_netns(struct podnet_set *set, const struct podnet_netns *spec,
				struct podnet_error *err);
PODNET_API int podnet_set_veth(struct podnet_set *set, const struct podnet_veth *spec,
			       struct podnet_error *err);
PODNET_API int podnet_set_bridge(struct podnet_set *set, const struct podnet_link *spec,
				 struct podnet_error *err);
PODNET_API int podnet_set_vxlan(struct podnet_set *set, const struct podnet_vxlan *spec,
				struct podnet_error *err);
PODNET_API int podnet_set_tun(struct podnet_set *set, const struct podnet_tun *spec,
			      struct podnet_error *err);
PODNET_API int podnet_set_link(struct podnet_set *set, const struct podnet_link *spec,
			       struct podnet_error *err);
PODNET_API int podnet_set_addr(struct podnet_set *set, const struct podnet_addr *spec,
			       struct podnet_error *err);
PODNET_API int podnet_set_route(struct podnet_set *set, const struct podnet_route *spec,
				struct podnet_error *err);
PODNET_API int podnet_set_rule(struct podnet_set *set, const struct podnet_rule *spec,
			       struct podnet_error *err);
PODNET_API int podnet_set_neigh(struct podnet_set *set, const struct podnet_neigh *spec,
				struct podnet_error *err);
PODNET_API int podnet_set_fdb(struct podnet_set *set, const struct podnet_fdb *spec,
			      struct podnet_error *err);
PODNET_API int podnet_set_limit(struct podnet_set *set, const struct podnet_limit *spec,
				struct podnet_error *err);
PODNET_API int podnet_set_sysctl(struct podnet_set *set, const struct podnet_sysctl *spec,
				 struct podnet_error *err);

/**
 * podnet_set_include() - declare what @other declares as well
 *
 * Of a key that both have, @set keeps its own values.  Return: 0, -ENOMEM.
 */
PODNET_API int podnet_set_include(struct podnet_set *set, const struct podnet_set *other,
				  struct podnet_error *err);

/**
 * podnet_set_print() - what is declared, one line an object, as the plan that makes it prints it
 *
 * Pure, no kernel.  Return: lines.
 */
PODNET_API int podnet_set_print(const struct podnet_set *set, FILE *out);

enum podnet_plan_flags {
	/*
	 * Nothing of the set exists yet, as far as the caller knows: plan without observing.
	 * When the kernel says otherwise (-EEXIST), commit observes and plans again by itself.
	 */
	PODNET_PLAN_FRESH = 1 << 0,
	/*
	 * Delete nothing that neither the set nor its earlier version names.  For sets that share
	 * namespaces and links: an address or a route that lies there may be another set's.
	 */
	PODNET_PLAN_NAMED = 1 << 1,
};

/**
 * podnet_plan_make() - compare a set with the kernel
 * @want: borrowed until podnet_plan_free()
 *
 * Return: number of operations planned (0: nothing to do), or a negative errno; -EEXIST when the
 * set meets something foreign (@err->object names it).
 */
PODNET_API int podnet_plan_make(struct podnet *ctx, const struct podnet_set *want, uint32_t flags,
				struct podnet_plan **ret, struct podnet_error *err);

/**
 * podnet_plan_replace() - the same, where the set was another one before
 * @was: earlier versions, borrowed; what they declare and @want does not is deleted, when it
 *       carries this owner's mark (routes, addresses and rules carry no scope)
 */
PODNET_API int podnet_plan_replace(struct podnet *ctx, const struct podnet_set *want,
				   const struct podnet_set *was, uint32_t flags,
				   struct podnet_plan **ret, struct podnet_error *err);

/**
 * podnet_plan_absent() - plan to take away everything that carries this set's mark
 *
 * Only namespaces and links named in the set are looked at.
 * Return: as podnet_plan_make().
 */
PODNET_API int podnet_plan_absent(struct podnet *ctx, const struct podnet_set *set, uint32_t flags,
				  struct podnet_plan **ret, struct podnet_error *err);

/** podnet_plan_pool() - let commit take namespaces with their links from @pool, while it has any */
PODNET_API void podnet_plan_pool(struct podnet_plan *plan, struct podnet_pool *pool);

/** podnet_plan_print() - one line an operation, "addr add blue eth0 10.0.0.2/32".  Return: lines. */
PODNET_API int podnet_plan_print(const struct podnet_plan *plan, FILE *out);

/**
 * podnet_plan_each() - the same lines, for a caller that has no FILE
 * @each: stops by a non-zero return
 */
PODNET_API int podnet_plan_each(const struct podnet_plan *plan,
				int (*each)(const char *line, void *arg), void *arg);

/**
 * podnet_plan_commit() - carry it out, in order
 *
 * Not a transaction: what was done before a refusal stays, and making the plan again shows what
 * is left.  The carrier of new veth pairs has settled when it returns: the first packet passes.
 * Return: number of operations done, or a negative errno.
 */
PODNET_API int podnet_plan_commit(struct podnet *ctx, struct podnet_plan *plan,
				  struct podnet_error *err);
PODNET_API void podnet_plan_free(struct podnet_plan *plan);

/**
 * podnet_sweep() - take away what carries this owner's mark
 * @keep: true for a scope whose namespaces and links stay; NULL: nothing stays, and our routes,
 *        addresses, rules, neighbours, limits and sysctls in the context's namespace go as well
 * @line: told each thing, as the plan prints it; may be NULL
 *
 * What waits in a pool of this context stays; in one of another process under the same owner it
 * does not.  For a restart after scopes were lost, and for uninstalling.  Return: number of changes.
 */
PODNET_API int podnet_sweep(struct podnet *ctx, bool (*keep)(const char *scope, void *arg),
			    void (*line)(const char *text, void *arg), void *arg,
			    struct podnet_error *err);

/**
 * podnet_doomed_reap() - delete, in one request, links whose namespace somebody still holds
 *
 * podnet_plan_absent() drops a namespace and leaves its links to the kernel; a process that still
 * lives in it keeps them.  They were put in a link group of their own; this deletes that group.
 * Return: 1, or 0 when there was none.
 */
PODNET_API int podnet_doomed_reap(struct podnet *ctx, struct podnet_error *err);

/*
 * A pool: namespaces with a veth pair made ahead, for plans that make one namespace with one veth
 * pair from it to the context's own.  What is there already costs nothing at hand-out: routes and
 * neighbours that all pods have, and, as far as the caller knows them beforehand, the addresses of
 * the pods to come.
 */
struct podnet_pool_spec {
	uint32_t size;              /* how many to keep ready, 1..1024 */
	uint32_t mtu;               /* of both ends, 0: the kernel's */
	const char *inside;         /* name of the end inside; default "eth0" */
	const char *master;         /* bridge of the host's end, or NULL */
	/*
	 * Routes and neighbours of the end inside that all pods have, made ahead as well: copied,
	 * may be NULL.  They name one namespace, whatever its name, and that link.  What a plan
	 * does not want of them is taken away at hand-out.
	 */
	const struct podnet_set *ahead;
};

PODNET_API int podnet_pool_new(struct podnet *ctx, const struct podnet_pool_spec *spec,
			       struct podnet_pool **ret, struct podnet_error *err);
/** podnet_pool_free() - give up what was not handed out; the kernel takes it back */
PODNET_API void podnet_pool_free(struct podnet_pool *pool);
/** podnet_pool_fill() - make at most @max more.  Return: how many were made, or an error. */
PODNET_API int podnet_pool_fill(struct podnet_pool *pool, uint32_t max, struct podnet_error *err);
/**
 * podnet_pool_add() - make one more, with something of its own
 * @own: addresses, routes and neighbours of the end inside, in one namespace of whatever name;
 *       neighbours of the host's end, in the context's, on a link of whatever name.  Copied.
 *       A plan that wants all of it takes this one before any other.
 *
 * It is a guess, not a promise: a plan that finds nothing made for it takes one without anything of
 * its own, else the oldest, and has taken away what it does not want.  Nothing outside leads to an
 * address that waits.  podnet_pool_take() leaves in it what is there.
 * Return: 0, -ENOSPC (the pool is full), -EINVAL, -ENOMEM, or what the kernel refused.
 */
PODNET_API int podnet_pool_add(struct podnet_pool *pool, const struct podnet_set *own,
			       struct podnet_error *err);
/** podnet_pool_has() - does one wait that was made with all of these addresses? */
PODNET_API bool podnet_pool_has(const struct podnet_pool *pool, const struct podnet_prefix *ips,
				size_t n);
/** podnet_pool_ready() - how many are ready */
PODNET_API uint32_t podnet_pool_ready(const struct podnet_pool *pool);
/**
 * podnet_pool_take() - hand one out, by descriptor (the caller closes it), and by name if @name
 * @name:  pin it there and record it as ours with @scope; NULL: descriptor only
 *
 * Return: the descriptor; -EAGAIN when the pool is empty; -EEXIST when the name is taken.
 */
PODNET_API int podnet_pool_take(struct podnet_pool *pool, const char *name, const char *scope,
				char host_link[PODNET_IFNAME_SIZE], struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
