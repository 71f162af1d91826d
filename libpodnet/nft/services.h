/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.h - what the files of the services share
 *
 * Room: nft, the second user of the shared table.  May include: nft.h, libpodnet/base,
 * include/podnet/.
 *
 * Theory of operation.  Frontends are in classes: those of at most 1, 2, 4, 8 ... slots.  A packet
 * to one finds its address, protocol and port in the set of a class, and goes to the chain of it,
 * which puts a random number below 1, 2, 4, 8 ... behind address and port: the map `backends` says
 * which endpoint that is.  Where it says nothing, for more than half of the numbers are slots, the
 * next rule tries another number, so that each slot is as likely as any other.  A frontend is an
 * element, an endpoint is an element, and one endpoint more changes its own, and the frontend's only
 * when it is in another class then.  Chains of a class are made when first used and stay.  A range
 * of ports has one endpoint and is one element, an interval, of the map `port-ranges`.
 *
 * The sets of classes could be one map of verdicts, as `services` is for what is asked for by where
 * a client is, and `node-ports`.  But the kernel follows each element of such a map that a hook
 * leads to whenever one is added (nft_table_validate()): a change of one among 45,000 costs 5 ms.
 *
 *   files    services.c       the handle: what is declared, what was sent
 *            service_slots.c  which endpoint has which slot; pure
 *            service_elems.c  a frontend as elements of maps; pure
 *            service_names.c  names and types of maps, names of chains
 *            service_rules.c  the chains and their rules
 *            service_send.c   what changed since, as one transaction
 *            service_seen.c   the kernel read, with what is wanted beside it
 *            service_kept.c   the kernel not read, since nobody has committed anything
 *            service_sync.c   compared, and put right
 *            service_sticky.c clients whose endpoint went
 *            service_settle.c connections whose endpoint went
 *            service_count.c  what is counted, and told
 */
#ifndef PN_NFT_SERVICES_H
#define PN_NFT_SERVICES_H

#include <libpodnet/base/base.h>
#include <libpodnet/nft/nft.h>
#include <podnet/service.h>

/* Where an endpoint list counts: at an address or at a port of the node, all or the local ones. */
enum svc_scope { SVC_ALL, SVC_LOCAL, SVC_PORT_ALL, SVC_PORT_LOCAL, SVC_SCOPES };
enum svc_proto { SVC_TCP, SVC_UDP, SVC_SCTP, SVC_PROTOS };
enum { SVC_V4, SVC_V6, SVC_FAMILIES };

/* Each is there once a family; what is at an address comes first, then the same at a port. */
enum svc_map {
	SVC_SERVICES,               /* where a frontend goes */
	SVC_INSIDE,                 /* the same by where a client is, when that matters */
	SVC_OUTSIDE,
	SVC_NO_ENDPOINTS,           /* refused, or dropped */
	SVC_STICKY,                 /* asked first: has the client an endpoint? */
	SVC_REMEMBER,               /* asked last: remember it */
	SVC_NODE_PORTS, SVC_INSIDE_PORTS, SVC_OUTSIDE_PORTS, SVC_NO_ENDPOINT_PORTS,
	SVC_STICKY_PORTS, SVC_REMEMBER_PORTS,
	SVC_RESTRICTED, SVC_ALLOWED,
	/* what is no cluster IP */
	SVC_PUBLISHED, SVC_PUBLISHED_PORTS, SVC_PUBLISHED_RANGES,
	SVC_CLUSTER_IPS, SVC_HAIRPINS, SVC_NODE_IPS,
	SVC_PORT_RANGES,            /* its data here: the address in 16 bytes, the last port */
	SVC_BACKENDS,               /* SVC_SCOPES x SVC_PROTOS of them, made when first used */
	SVC_CLASS = SVC_BACKENDS + SVC_SCOPES * SVC_PROTOS,     /* SVC_PROTOS x SVC_CLASSES */
#define SVC_CLASSES 18              /* of at most 1, 2, 4 ... 65536 slots, and of Maglev */
#define SVC_MAGLEV (SVC_CLASSES - 1)
	SVC_MAPS = SVC_CLASS + SVC_PROTOS * SVC_CLASSES,
};
#define SVC_AT_PORT (SVC_NODE_PORTS - SVC_SERVICES)

/* Interval sets, once a family. */
enum svc_range { SVC_PODS, SVC_LOCAL_PODS, SVC_NETS, SVC_RANGES };

enum svc_goto { SVC_REFUSE, SVC_DROP, SVC_DROP_OUTSIDE, SVC_BY_SOURCE, SVC_PORT_BY_SOURCE,
		SVC_ASK_STICKY, SVC_SET_STICKY, SVC_BALANCE };

/** What a map of verdicts maps to. */
struct svc_verdict {
	uint8_t to;                 /* enum svc_goto */
	uint8_t scope, proto;       /* of SVC_BALANCE: enum svc_scope, enum svc_proto */
	uint8_t maglev;
	uint32_t slots;             /* of the class */
};

/** One element of one map, zeroed before it is filled: compared by bytes. */
struct svc_elem {
	uint8_t map, family;        /* enum svc_map; SVC_V4 or SVC_V6 */
	uint8_t key[NFT_KEY_SIZE];
	union {
		uint8_t data[NFT_KEY_SIZE];
		struct {
			uint64_t chain;         /* hash of its name; 0: dropped */
			struct svc_verdict verdict;     /* not of what the kernel told */
		} to;
	} u;
};

struct svc_elems {
	struct svc_elem *v;
	size_t n, cap;
	int rc;                     /* -ENOMEM, then the rest does nothing */
};

/** An endpoint: address and port as they lie in a map's data. */
struct svc_dest {
	uint8_t addr[16];
	uint16_t port_be;
};

struct svc_dests {
	struct svc_dest *v;
	size_t n, cap;
};

/** What makes a frontend another one. */
struct svc_key {
	uint8_t family, proto;      /* SVC_V4 or SVC_V6; enum svc_proto */
	uint16_t port_be;
	uint16_t last_be;           /* of a range of ports; 0: one port */
	uint8_t addr[16];           /* zero: a port of the node */
};

/** A frontend as it is declared; never changed, replaced. */
struct svc_front {
	struct svc_key key;
	uint32_t flags, sticky_s;
	struct svc_dests all;       /* in the order of their slots; of Maglev: as declared, sorted */
	struct svc_dests local;
	struct svc_dests leaving;       /* sorted: not balanced to, and what they have is right */
	struct svc_dests known;         /* service_settle.c: all of these, sorted; or none */
	struct nft_ranges sources;
};

/* ---- service_slots.c ---- */

/** svc_dests_of() - the endpoints of a frontend, as often as their weights say, sorted */
int svc_dests_of(const struct podnet_frontend *f, bool local_only, struct svc_dests *ret);
/** svc_leaving_of() - those that take nothing new, sorted */
int svc_leaving_of(const struct podnet_frontend *f, struct svc_dests *ret);
/**
 * svc_slots() - the slots of @want, which is sorted
 * @old: the slots so far; who stays keeps them, so that few elements change
 */
int svc_slots(const struct svc_dests *old, const struct svc_dests *want, struct svc_dests *ret);
/** svc_maglev() - PODNET_MAGLEV_SLOTS indexes into @dests, consistent when one goes or comes */
int svc_maglev(const struct svc_dests *dests, uint16_t *ret);
int svc_dest_cmp(const void *a, const void *b);

/* ---- service_elems.c ---- */

void svc_front_free(struct svc_front *f);
DEFINE_CLEANUP(struct svc_front, svc_front_free)
/** svc_front_elems() - append what @f is in the kernel; elements that frontends share as well */
void svc_front_elems(const struct svc_front *f, struct svc_elems *out);
void svc_add(struct svc_elems *out, const struct svc_elem *e);
/** svc_shared() - elements of this map are several frontends' */
bool svc_shared(uint8_t map);
/** svc_is_verdict() - elements of this map are chains to go to */
bool svc_is_verdict(uint8_t map);
/** svc_elem_key() - what frontend an element of a map of verdicts, a class or ranges is about */
struct svc_key svc_elem_key(const struct svc_elem *e);
/** svc_class() - the chain that a class, which is a map, leads to; false: it is none */
bool svc_class(uint8_t map, struct svc_verdict *ret);
/** svc_leads_to() - the chain of a class that an element leads to; false: to none */
bool svc_leads_to(const struct svc_elem *e, struct svc_verdict *ret);
int svc_elem_cmp(const void *a, const void *b);     /* by map, family and key */
bool svc_elem_same(const struct svc_elem *a, const struct svc_elem *b);

/* ---- service_names.c ---- */

extern const uint8_t svc_protocols[SVC_PROTOS];     /* IPPROTO_* */

/** svc_chain_name() - where a verdict leads; the sticky ones need the element's key */
void svc_chain_name(uint8_t family, const struct svc_verdict *v, const struct svc_key *key,
		    char ret[NFT_NAME_SIZE]);
/** svc_is_sticky() - "STEM-tcp4-...": of a frontend with affinity */
bool svc_is_sticky(const char *name);
/** svc_balance_parse() - the verdict that leads to a chain of this name; false: none does */
bool svc_balance_parse(const char *name, uint8_t *family, struct svc_verdict *ret);
void svc_map(const char *table, uint8_t family, uint8_t map, char name[NFT_NAME_SIZE],
	     struct nft_map *ret);
void svc_range(const char *table, uint8_t family, uint8_t range, char name[NFT_NAME_SIZE],
	       struct nft_set *ret);
/** svc_sticky_maps() - its two maps: to the address, to the port */
void svc_sticky_maps(const char *table, const struct svc_key *key, char names[2][NFT_NAME_SIZE],
		     struct nft_map ret[2]);

/* ---- service_rules.c ---- */

/** A chain that is wanted, with its rules. */
struct svc_chain {
	char name[NFT_NAME_SIZE];
	struct nft_chain chain;     /* its name is the one above */
	struct nft_rule rules[SVC_PROTOS * SVC_CLASSES];
	size_t nrules;
};

void svc_chain_init(struct svc_chain *c, const char *table, const char *name);
void svc_chain_fini(struct svc_chain *c);
/** svc_chain_rule() - the next rule of a chain */
struct nft_rule *svc_chain_rule(struct svc_chain *c);
/** svc_static() - the @i-th of the chains that are always there; false: there is none */
bool svc_static(const char *table, size_t i, struct svc_chain *ret);
/** svc_balance() - the chain of a class */
void svc_balance(const char *table, uint8_t family, const struct svc_verdict *v,
		 struct svc_chain *ret);
/** svc_choose() - the chain that leads to those of the classes which are there */
void svc_choose(const struct podnet_services *s, uint8_t family, struct svc_chain *ret);
/** svc_sticky() - the two chains of a frontend with affinity */
void svc_sticky(const char *table, const struct svc_key *key, uint32_t seconds,
		struct svc_chain ret[2]);

/* ---- service_count.c ---- */

/** What was counted: there, and back. */
struct svc_counts {
	uint64_t connections, packets[2], bytes[2];
};

/* Sets that count, once a family: first packets, packets to endpoints, packets from them. */
enum svc_count { SVC_COUNT_NEW, SVC_COUNT_THERE, SVC_COUNT_BACK, SVC_COUNTS };

void svc_count_set(const char *table, uint8_t family, uint8_t which, char name[NFT_NAME_SIZE],
		   struct nft_map *ret);
/** svc_count_chain() - the @i-th chain that counts; false: there is none */
bool svc_count_chain(const char *table, size_t i, struct svc_chain *ret);
/** svc_count_went() - a frontend goes.  0 or -ENOMEM */
int svc_count_went(struct podnet_services *s, const struct svc_key *key);
/** svc_count_comes() - one that is not there comes: had one that went what it will count? */
void svc_count_comes(struct podnet_services *s, const struct svc_key *key);
/** svc_count_begin() - before it is sent: take out what the other one has counted */
void svc_count_begin(struct podnet_services *s);

/* ---- services.c: the handle ---- */

/** What is known of one frontend: as declared, and as the kernel has it. */
struct svc_entry {
	struct svc_key key;
	struct svc_front *want, *sent;  /* NULL: none; the same pointer when nothing changed */
	bool dirty;
	bool anew;                  /* another one than was sent: its counters begin at 0 */
	struct svc_counts past;     /* of endpoints that went */
};

struct svc_ref {
	struct svc_elem elem;       /* of a map that is shared */
	uint32_t n;
};

/** Frontends whose connections are to be looked at. */
struct svc_unsettled {
	struct pn_table keys;       /* struct svc_key, owned */
	bool all;
};

struct podnet_services {
	struct podnet *ctx;
	char table[NFT_NAME_SIZE];
	struct pn_table entries;    /* struct svc_entry, by key */
	struct pn_table refs;       /* struct svc_ref, by map, family and key: what was sent */
	struct { struct svc_entry **v; size_t n, cap; } dirty;
	/* of classes that are there */
	struct { struct { uint8_t family; struct svc_verdict v; } *v; size_t n, cap; } chains;
	struct nft_ranges ranges[SVC_FAMILIES][SVC_RANGES];
	struct svc_elems node_ips;
	uint32_t room[SVC_FAMILIES][SVC_MAPS];  /* elements a map can hold; 0: it is not there */
	uint32_t held[SVC_FAMILIES][SVC_MAPS];
	struct svc_unsettled unsettled[2];      /* [1]: was looked at once */
	struct { struct svc_key *v; size_t n, cap; } due_ranges;        /* of these; while they are */
	struct { struct svc_key *v; size_t n, cap; } went;      /* and may have counted */
	bool recount;               /* what these counted is in the way of another's */
	struct svc_kept *kept;      /* what another handle has left; until the kernel was read once */
	bool doubt;                 /* the kernel is to be read */
	bool synced;                /* it was, once */
};

/** svc_find() - the entry of a frontend, or NULL */
struct svc_entry *svc_find(const struct podnet_services *s, const struct svc_key *key);

/** svc_knows_chain() - the chain of a class is there; svc_know_chain() - from now on */
bool svc_knows_chain(const struct podnet_services *s, uint8_t family, const struct svc_verdict *v);
int svc_know_chain(struct podnet_services *s, uint8_t family, const struct svc_verdict *v);
/** svc_ref() - @by more frontends need a shared element.  1: it comes or goes; 0; or -ENOMEM. */
int svc_ref(struct podnet_services *s, const struct svc_elem *e, int by);
void svc_forget_refs(struct podnet_services *s);
/** svc_sent() - all that is wanted is now sent, and its connections are to be looked at */
void svc_sent(struct podnet_services *s);

/* ---- service_send.c ---- */

/** svc_put_elems() - @elems, sorted by map, into a transaction */
void svc_put_elems(const struct podnet_services *s, struct nft_txn *t,
		   const struct svc_elems *elems, uint16_t type);
/** svc_put_map() - make a map with room for @need elements and more */
void svc_put_map(struct podnet_services *s, struct nft_txn *t, uint8_t family, uint8_t map,
		 uint32_t need);
/** svc_put_chain() - make a chain and its rules; @c is freed */
void svc_put_chain(struct nft_txn *t, struct svc_chain *c);
/** svc_put_sticky() - make the maps and chains of a frontend with affinity */
void svc_put_sticky(const struct podnet_services *s, struct nft_txn *t, const struct svc_front *f);
/** svc_send() - send what is dirty.  Return: changes; -ENOSPC: a map is full, make all anew. */
int svc_send(struct podnet_services *s, struct podnet_error *err);

/* ---- service_sticky.c ---- */

/** svc_forget_clients() - of endpoints that @f has no more; what they had is chosen anew */
int svc_forget_clients(struct podnet_services *s, const struct svc_front *f,
		       struct podnet_error *err);

/* ---- service_settle.c ---- */

/** svc_unsettles() - may the second leave connections astray that the first had? */
bool svc_unsettles(const struct svc_front *old, const struct svc_front *new);
void svc_unsettle(struct podnet_services *s, const struct svc_key *key);
void svc_settled(struct podnet_services *s);    /* nothing is to be looked at */
/** svc_meant_for() - what a connection to this address and port is for; NULL: none of ours */
struct svc_entry *svc_meant_for(const struct podnet_services *s, const struct svc_key *key);
/** svc_serves() - 1: an endpoint of @f, one that leaves too; 0; or -ENOMEM */
int svc_serves(struct svc_front *f, const struct svc_dest *dest);

/* ---- service_seen.c ---- */

/** What the kernel has. */
struct svc_seen {
	bool table, awake;
	struct nft_map_seen maps[SVC_FAMILIES][SVC_MAPS];
	struct svc_elems elems;     /* sorted */
	struct nft_set_seen ranges[SVC_FAMILIES][SVC_RANGES];
	struct { char (*v)[NFT_NAME_SIZE]; size_t n, cap; } chains;    /* all of the table */
	bool anew;                  /* something is of another type, or too small: no comparing */
	bool same;                  /* its elements are those that are wanted, and were not read */
	/* while one map is read */
	uint8_t map, family;
	size_t start;
};

/** svc_see() - read all of it; @seen zeroed by the caller, who frees it in any case */
int svc_see(struct podnet_services *s, struct svc_seen *seen, struct podnet_error *err);
void svc_seen_fini(struct svc_seen *seen);
/** svc_seen_chain() - is there a chain of this name? */
bool svc_seen_chain(const struct svc_seen *seen, const char *name);
/** svc_want_all() - all elements that are wanted; endpoints keep the slots they are seen in */
int svc_want_all(struct podnet_services *s, const struct svc_seen *seen, struct svc_elems *out);
/**
 * svc_wanted() - the same, sorted if they are to be compared or sent, and counted
 * @out: with `seen->same` they are in it
 */
int svc_wanted(struct podnet_services *s, struct svc_seen *seen, struct svc_elems *out);

/* ---- service_kept.c ---- */

void svc_kept_free(struct svc_kept *k);
DEFINE_CLEANUP(struct svc_kept, svc_kept_free)
/**
 * svc_recall() - is all as another handle left it?  Then `seen->same`, and @want has all elements
 * @generation: as it is now
 */
int svc_recall(struct podnet_services *s, uint32_t generation, struct svc_seen *seen,
	       struct svc_elems *want);

/* ---- service_sync.c ---- */

/**
 * svc_sync() - read all of it, send the difference
 * @anew: do not compare, make all maps anew
 *
 * Return: number of changes, or a negative errno.
 */
int svc_sync(struct podnet_services *s, bool anew, struct podnet_error *err);

#endif
