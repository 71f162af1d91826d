/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the kernel room share; all of it belongs to the kernel thread
 */
#ifndef NETD_KERNEL_INNER_H
#define NETD_KERNEL_INNER_H

#include <netd/kernel/kernel.h>
#include <pthread.h>

/** A link of ours as it was last seen, so that the kernel's own events about it say nothing new. */
struct klink {
	uint32_t index, mtu, master;
	int32_t peer_nsid;          /* id of the other end's namespace, -1: none */
	bool up;
	char name[PODNET_IFNAME_SIZE];
};
/** The same in the node's namespace, with its scope; key in the map is the index as text. */
struct khome {
	char key[12];
	struct klink link;
	char scope[];
};
/** Something in the node's namespace that is one scope's. */
struct ksign {
	struct kscope *scope;
	struct podnet_prefix behind;    /* a MAC address; family 0: the key is a prefix */
	char key[PODNET_PREFIX_STRLEN];
};
struct kscope {
	struct kns *ns[2];          /* NULL: none */
	struct ksign *signs;
	size_t nsigns;
	unsigned queued;            /* tasks that will look at all of it anyway */
	bool home, marked;
	struct kscope *next_home, *next_mark;
	char name[64];
};
/** A namespace under netns_dir that scopes live in. */
struct kns {
	int nsid;                   /* -1: not known */
	bool learn;
	bool watched;               /* made while we listened: the first news are its birth */
	struct kns *next_learn;
	struct kscope **users;
	size_t nusers;
	struct klink *links;
	size_t nlinks;
	char name[];
};
struct kindex {
	struct map scopes, spaces, homes, signs;
	struct kns **by_nsid;
	size_t nby_nsid;
	struct kscope *home_scopes; /* those with `home` */
	struct kns *learn;
	struct kscope *marks;
	bool all;                   /* everything may have changed */
};

int index_put(struct kindex *ix, const struct kernel_task *task);
void index_drop(struct kindex *ix, const char *scope);
struct kscope *index_scope(const struct kindex *ix, const char *scope);
struct kns *index_nsid(const struct kindex *ix, int32_t nsid);
/** index_relearn() - the scope's namespaces may be other ones now; @made: they were not there */
void index_relearn(struct kindex *ix, const struct kscope *scope, bool made);
/** index_learn() - ask for the ids of namespaces that are new */
void index_learn(struct kindex *ix, struct podnet *ctx);
void index_mark_name(struct kindex *ix, const char *scope);
void index_mark_space(struct kindex *ix, const struct kns *ns);
void index_mark_home(struct kindex *ix);    /* "node", and scopes with routes in its namespace */
/** index_mark_sign() - whose route leads to @prefix, or whose neighbour it is, if that is known */
void index_mark_sign(struct kindex *ix, const struct podnet_prefix *prefix);
/** index_mark_mac() - who has @mac behind something else than @dst; NULL: behind nothing any more */
void index_mark_mac(struct kindex *ix, const uint8_t mac[6], const struct podnet_prefix *dst);
void index_mark_signs(struct kindex *ix);
struct khome *index_home(const struct kindex *ix, uint32_t link);
int index_home_put(struct kindex *ix, const char *scope, const struct klink *link);
void index_home_del(struct kindex *ix, uint32_t link);
void index_fini(struct kindex *ix);

struct kernel {
	struct kernel_config conf;
	char *netns_dir, *run_dir;
	struct queue *in, *done, *notes;
	struct loop_watch *done_watch, *notes_watch;
	pthread_t thread;
	bool started;
	/* messages that are themselves only: a hint, and the end */
	struct qnode hint, stop;
	bool hint_sent;             /* atomic */
	uint32_t pool_ready;        /* atomic; the thread writes it */

	/* the kernel thread's */
	struct podnet *ctx;
	struct podnet_monitor *mon;
	struct podnet_pool *pool;
	struct podnet_services *services;
	bool services_told, nets_told;      /* both: what is declared is whole */
	size_t services_n;          /* frontends that were told */
	struct podnet_error services_err;   /* of a part that could not be told: it is never whole then */
	bool foreign;               /* somebody else wrote to the table, and nobody has looked yet */
	int epoll, inotify, records;
	bool inotify_on, stopping, hinted;
	struct kernel_task *next;   /* the latest KERNEL_NEXT, NULL: none yet */
	bool pool_broken;           /* making one failed: not again until a task got through */
	uint64_t fill_at;           /* monotonic us: what was taken is made anew from then on */
	struct kernel_task *head[2], **tail[2];     /* [0] urgent, [1] the rest */
	unsigned urgent_run;        /* urgent tasks since anything else was looked at */
	struct kindex index;
	struct { uint32_t v[16]; size_t n; } down;  /* links that are not ours, seen down; the last ones */
	bool tunnel_lost;           /* a tunnel of the node's went, with all that lay on it */
	struct kernel_facts facts;
	bool facts_known;
	uint64_t facts_at, reap_at, reap_by;        /* monotonic us; 0: not due */
	uint64_t facts_rest;        /* not before: reading them must not eat the thread */
	uint64_t settle_at, settle_rest;            /* the same of connections that may be stale */
	struct announced *announced;
	size_t nannounced;
	uint64_t announce_at;                       /* the same of addresses to be announced */
};

/* pool.c */
/** kernel_fill_pool() - one more, if it is wanted and due.  true: there may be more to do */
bool kernel_fill_pool(struct kernel *k);
/** kernel_fill_at() - when there is something to do for the pool, monotonic us; 0: there is not */
uint64_t kernel_fill_at(const struct kernel *k);
/** kernel_rest_pool() - a task has run: its client comes first */
void kernel_rest_pool(struct kernel *k);
int kernel_open_pool(struct kernel *k, struct podnet_error *err);
/* task.c */
void kernel_run(struct kernel *k, struct kernel_task *task);
int kernel_context(const char *netns_dir, const char *run_dir, bool nft_owner, struct podnet **ret,
		   struct podnet_error *err);
/* records.c */
/** records_open() - the directory's descriptor, or an error */
int records_open(const char *run_dir);
/** records_add() - before anything of an ENSURE is made */
int records_add(struct kernel *k, const struct kernel_task *task);
/** records_settle() - all of an ENSURE is so, and nothing of earlier versions left */
void records_settle(struct kernel *k, const struct kernel_task *task);
void records_drop(struct kernel *k, const char *scope);
/** records_sweep() - what scopes have left that nobody keeps; @keep NULL: nobody keeps any */
int records_sweep(struct podnet *ctx, int dir, bool (*keep)(const char *scope, void *arg),
		  void (*line)(const char *text, void *arg), void *arg);
/* services.c */
/** kernel_take_services() - declare what a task of KERNEL_SERVICES brings, and commit */
int kernel_take_services(struct kernel *k, struct kernel_task *task);
/** kernel_node_services() - the same for what the node's task brings */
int kernel_node_services(struct kernel *k, struct kernel_task *task);
void kernel_services_free(struct kernel_services *s);
/** kernel_settle() - connections to who serves them no more, when it is time for them */
void kernel_settle(struct kernel *k, uint64_t now);
/* kept.c */
/** kernel_kept() - tell a new handle what an earlier netd has left */
void kernel_kept(struct kernel *k);
/** kernel_keep() - the same for the next netd; the last that is done */
void kernel_keep(struct kernel *k);
/* counts.c */
/** kernel_read_counts() - the result of a task of KERNEL_COUNTS */
int kernel_read_counts(struct kernel *k, struct kernel_task *task);
/* announce.c */
/** kernel_announce_take() - those of the node's task; what is new is announced at once */
void kernel_announce_take(struct kernel *k, struct kernel_task *task);
/** kernel_announce_link() - a link was heard of: what is announced there is, again, when it came up */
void kernel_announce_link(struct kernel *k, const struct podnet_event *ev);
/** kernel_announce() - when it is time for them */
void kernel_announce(struct kernel *k, uint64_t now);
/* events.c */
void kernel_read_events(struct kernel *k);
void kernel_read_names(struct kernel *k);       /* inotify */
void kernel_watch_names(struct kernel *k);
void kernel_send_marks(struct kernel *k);
void kernel_seed_links(struct kernel *k);
/* facts.c */
int kernel_facts_read(struct podnet *ctx, struct kernel_facts *ret, struct podnet_error *err);

/** A message to the loop. */
struct kernel_note {
	struct qnode node;
	bool facts;
	struct kernel_facts is;
	char scope[64];             /* "": everything */
};

#endif
