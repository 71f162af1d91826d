/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the plan room share
 *
 * set.c, diff.c, order.c and print.c are pure; observe.c reads the kernel; apply.c, born.c and
 * pool.c change it.  May include: link, ip, netns, nl, base, context.h, include/podnet.
 *
 * How a commit flows: a set holds wishes (struct pn_obj, sorted).  observe.c reads what there is
 * into objects of the same form, and a table of links (struct pn_dev) that says which ifindex a
 * declared name has.  diff.c walks both and emits operations, order.c sorts them, apply.c turns
 * them into batches, one socket a namespace.
 */
#ifndef PN_PLAN_INNER_H
#define PN_PLAN_INNER_H

#include <libpodnet/context.h>
#include <libpodnet/ip/ip.h>
#include <libpodnet/link/link.h>
#include <libpodnet/netns/netns.h>
#include <podnet/plan.h>

#define PN_LINE_SIZE 512
#define PN_POOL_SCOPE "pool"            /* in the mark of links made ahead, taken or not */

struct pn_objs {
	struct pn_obj *v;
	size_t n, cap;
};

/** A namespace that a set refers to. */
struct pn_ref {
	char *name;                     /* as the caller wrote it; "" is the context's own */
	bool declared;                  /* by podnet_set_netns() */
};

struct podnet_set {
	char scope[PN_SCOPE_MAX + 1];
	struct { struct pn_ref *v; size_t n, cap; } refs;
	struct pn_objs objs;            /* sorted by pn_obj_cmp() */
	struct podnet_error error;      /* sticky; code 0: none */
};

struct pn_op {
	struct pn_obj obj;
	uint8_t verb;                   /* enum pn_verb */
	bool doom;                      /* DEL of a link: its namespace goes, the kernel does it */
	uint32_t changed;               /* SET: bit i is attrs[i] of the kind */
	uint64_t order;
};
struct pn_ops {
	struct pn_op *v;
	size_t n, cap;
};

enum pn_diff_mode {
	PN_DIFF_ABSENT = 1 << 0,        /* nothing is wanted */
	PN_DIFF_STRICT = 1 << 1,        /* -EPERM when what shall go is foreign */
	PN_DIFF_ANY_SCOPE = 1 << 2,     /* a mark of this owner is ours, whatever its scope */
	PN_DIFF_NAMED = 1 << 3,         /* what is not declared stays, also if it is ours */
};

/* beside enum podnet_plan_flags: observe without filters, for something unseen was in the way */
#define PN_PLAN_BROAD (1u << 31)

/** A link that the plan knows by its declared name. */
struct pn_dev {
	uint16_t ns;
	bool covered;                   /* what is ours on it and not declared goes */
	bool owned;                     /* it carries the mark of this owner, of whatever scope */
	bool bucket;                    /* there is a tbf at its root */
	bool born;                      /* made or set up by this commit: its carrier must settle */
	uint8_t type;
	uint32_t index;                 /* 0: looked for, not there */
	uint32_t peer;                  /* ifindex of the other end, in its namespace */
	uint8_t mac[6];
	char name[PODNET_IFNAME_SIZE];
};

/** A namespace while a plan is made and carried out. */
struct pn_space {
	int fd;                         /* -1: the context's own, or not there */
	struct nl nl;                   /* fd -1: not opened */
	bool own, there;
	bool ours;                      /* made by this scope: everything in it is observed */
	bool lo_pending;                /* just made: lo up goes into its first batch */
	uint32_t next_index;            /* of a namespace just made; 0: choose as in the context's */
};

struct pn_pool_entry {
	int fd, tree;                   /* the namespace, and the mount that will pin it */
	struct nl nl;
	char name[PODNET_IFNAME_SIZE];  /* host end; the kernel's name of it for good */
	uint32_t host, inside;
	uint8_t host_mac[6], inside_mac[6];
	struct pn_objs own;             /* made for one pod, as namespace 0 */
};

struct podnet_plan {
	const struct podnet_set *set;
	struct podnet_pool *pool;
	uint32_t flags, mode;
	struct pn_objs want, have;
	struct pn_objs gone;            /* what an earlier version declared and this one does not */
	struct podnet_set *merged;      /* owned: `set`, when it was made of two versions */
	struct pn_ops ops;
	struct { struct pn_dev *v; size_t n, cap; } devs;
	struct pn_space *spaces;        /* one per ref of the set */
	size_t nspaces;
	char alias[PN_ALIAS_SIZE];
	char owner_alias[PN_ALIAS_SIZE];        /* "podnet:OWNER:" */
};

extern const struct pn_kind *const pn_kinds[PN_NKINDS];
extern const struct pn_kind pn_netns_kind;

/* set.c */
/** pn_obj_cmp() - by kind, namespace and the kind's key */
int pn_obj_cmp(const struct pn_obj *a, const struct pn_obj *b);
/** pn_objs_find() - the object with the key of @key, or NULL */
struct pn_obj *pn_objs_find(const struct pn_objs *objs, const struct pn_obj *key);
/** pn_objs_insert() - keep sorted.  0, 1: there was one of that key (it stays), -ENOMEM. */
int pn_objs_insert(struct pn_objs *objs, const struct pn_obj *obj);
/** pn_objs_link() - the link @name in namespace @ns, or NULL */
struct pn_obj *pn_objs_link(const struct pn_objs *objs, uint16_t ns, const char *name);
int pn_set_ref(struct podnet_set *set, const char *name, uint16_t *ret);

/* diff.c: pure */
int pn_diff(const struct pn_objs *want, const struct pn_objs *have, uint32_t mode,
	    struct pn_ops *out, const struct pn_obj **conflict);
/* order.c: pure; @own[i]: namespace i is the context's own */
void pn_order(struct pn_ops *ops, const struct podnet_set *set);
/* print.c: pure */
void pn_line(const struct podnet_set *set, const struct pn_op *op, char *buf, size_t size);
void pn_name_object(const struct podnet_set *set, const struct pn_obj *obj, char *buf, size_t size);

/* observe.c, look.c */
int pn_observe(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);
int pn_space_nl(struct podnet *ctx, struct pn_space *space, struct nl **ret,
		struct podnet_error *err);
struct pn_dev *pn_dev_find(const struct podnet_plan *plan, uint16_t ns, const char *name);
struct pn_dev *pn_dev_at(const struct podnet_plan *plan, uint16_t ns, uint32_t index);
struct pn_dev *pn_dev_add(struct podnet_plan *plan, uint16_t ns, const char *name);
/** pn_dev_get() - as pn_dev_find(), else asked of the kernel.  -ENODEV. */
int pn_dev_get(struct podnet *ctx, struct podnet_plan *plan, uint16_t ns, const char *name,
	       struct pn_dev **ret);
int pn_observe_ip(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);
int pn_observe_fdb(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);
int pn_observe_limits(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);
int pn_observe_sysctls(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);
/** pn_peer_mac() - the MAC of the veth peer of a link of the set.  false: not known. */
bool pn_peer_mac(const struct podnet_plan *plan, uint16_t ns, const char *link, uint8_t ret[6]);

/* sysctl.c */
/** pn_sysctl_apply() - write a value, or put back what was recorded */
int pn_sysctl_apply(struct podnet *ctx, struct podnet_plan *plan, const struct pn_op *op,
		    struct podnet_error *err);

/* plan.c */
int pn_plan_make(struct podnet *ctx, const struct podnet_set *set, uint32_t flags, uint32_t mode,
		 struct podnet_plan **ret, struct podnet_error *err);
/** pn_plan_make_with() - of two versions; @merged and @gone are taken over, also on failure */
int pn_plan_make_with(struct podnet *ctx, struct podnet_set *merged, struct pn_objs *gone,
		      uint32_t mode, struct podnet_plan **ret, struct podnet_error *err);
/** pn_plan_new() - without observing; pn_plan_make() and the lists start with it */
int pn_plan_new(struct podnet *ctx, const struct podnet_set *set, uint32_t flags, uint32_t mode,
		struct podnet_plan **ret, struct podnet_error *err);
/** pn_plan_again() - observe without filters and compare anew.  Return: operations or an error. */
int pn_plan_again(struct podnet *ctx, struct podnet_plan *plan, struct podnet_error *err);

/* born.c */
/** pn_next_index() - an ifindex that was not in use lately */
uint32_t pn_next_index(struct podnet *ctx);
/** pn_choose_mac() - where the wish says none, one that is always the same for it */
void pn_choose_mac(const struct podnet *ctx, const struct podnet_plan *plan, struct pn_obj *obj);
/** pn_tun_birth() - a TUN device that goes with the descriptor returned; or an error */
int pn_tun_birth(struct podnet *ctx, const struct podnet_plan *plan, const struct pn_obj *obj,
		 uint32_t index, struct podnet_error *err);

/* pool.c */
/** pn_pool_fits() - the pool's links are as these two ends want them */
bool pn_pool_fits(const struct podnet_pool *pool, const struct pn_obj *host,
		  const struct pn_obj *inside);
/** Where a plan has what the pool made ahead without knowing the plan. */
struct pn_pool_view {
	const struct pn_objs *want;
	uint16_t inside, home;          /* the pod's namespace, and the context's own */
	const char *link;               /* the host's end, as it is declared */
};
/** pn_pool_has() - @obj, wanted by the plan, was made ahead just as it is; @own: of the one taken */
bool pn_pool_has(const struct podnet_pool *pool, const struct pn_objs *own,
		 const struct pn_pool_view *view, const struct pn_obj *obj);
/** pn_pool_excess() - the next thing made ahead that is not so in @view; @i: where to go on */
const struct pn_obj *pn_pool_excess(const struct podnet_pool *pool, const struct pn_objs *own,
				    const struct pn_pool_view *view, size_t *i);
/** pn_pool_at_home() - what pn_pool_excess() gave is on the host's end, and not inside */
bool pn_pool_at_home(const struct pn_obj *obj);
/** pn_pool_holds() - the link waits in a pool of this context */
bool pn_pool_holds(const struct podnet *ctx, uint32_t index);
/**
 * pn_pool_pop() - pin one at @name and hand it out, if possible one that was made for @view
 * @view: NULL: whichever
 * @ret:  the caller's, with what it holds
 *
 * Return: 0, -EAGAIN (empty), or why it cannot be pinned.
 */
int pn_pool_pop(struct podnet_pool *pool, const struct pn_pool_view *view, const char *name,
		const char *scope, struct pn_pool_entry *ret, struct podnet_error *err);

#endif
