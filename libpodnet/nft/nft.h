/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nft.h - inner interface of the nft room: one table, transactions, interval sets, rules
 *
 * Room: what nat.c and its later siblings (services, policies) share.  May include:
 * libpodnet/nl, libpodnet/base, include/podnet/, libmnl, libnftnl.
 *
 * Theory of operation.  All users write into one table, `inet podnet`.  Each user owns the sets
 * and chains that it names and nothing else: it never flushes the table, and what it does not know
 * it leaves alone.  A user reads the generation id, then its own objects, compares them with what
 * they should be, and puts the repair into one transaction that carries the generation id.  The
 * kernel refuses it with ERESTART when anybody committed in between, before anything is applied;
 * then the user reads again.  Rules are few and static; what changes are elements of sets, and
 * they are sent as a difference.
 *
 * Functions that put something into a transaction return nothing: the first that fails makes the
 * transaction sticky, and nft_txn_send() says so.
 */
#ifndef PN_NFT_H
#define PN_NFT_H

#include <libnftnl/rule.h>
#include <libpodnet/context.h>
#include <podnet/ip.h>

#define NFT_NAME_SIZE 64            /* of our table, sets and chains */
#define NFT_TEXT_SIZE 2048          /* of a rule as text */
#define NFT_REPEATS 64              /* how often others may get in between before we give up */

/* ---- txn.c: one atomic batch ---- */

struct nft_op {
	const char *step;           /* static text */
	char object[NFT_NAME_SIZE]; /* name of what it is about */
};

struct nft_txn {
	struct nl *nl;
	uint8_t *buf;
	size_t len, cap;            /* bytes of finished messages; bytes allocated */
	struct nlmsghdr *nlh;       /* the one being built */
	uint32_t first_seq;         /* of the batch header; operation i has first_seq + 1 + i */
	int sticky;                 /* negative errno of the first thing that did not fit */
	struct { struct nft_op *v; size_t n, cap; } ops;
};

/** nft_socket() - the context's netfilter socket, opened at first use: 0 or negative errno */
int nft_socket(struct podnet *ctx, struct podnet_error *err);
/** nft_generation() - the id of the ruleset as it is now */
int nft_generation(struct nl *nl, uint32_t *ret, struct podnet_error *err);

/** nft_txn_init() - start a batch; @generation 0: whatever others did in between */
void nft_txn_init(struct nft_txn *t, struct nl *nl, uint32_t generation);
void nft_txn_fini(struct nft_txn *t);
/**
 * nft_txn_msg() - start a message of family inet; the header has room for 64 KiB behind it
 * @object: name of what it is about, for the error
 *
 * Return: the header, good until the next call; NULL when the transaction is sticky.
 */
struct nlmsghdr *nft_txn_msg(struct nft_txn *t, uint16_t type, uint16_t flags, const char *step,
			     const char *object);
/**
 * nft_txn_send() - commit all of it or nothing
 *
 * Return: 0; -ERESTART: somebody else committed since @generation, nothing was applied; -ENOBUFS:
 * the answer was lost, read the kernel to know; else the first refusal, and nothing was applied.
 */
int nft_txn_send(struct nft_txn *t, struct podnet_error *err);

/* ---- table.c: the table that all users share ---- */

/** nft_table_name() - "podnet" for the daemon, else "podnet-OWNER" */
void nft_table_name(const struct podnet *ctx, char ret[NFT_NAME_SIZE]);
/** nft_table_seen() - 1 there and in force, 0 there but dormant, -ENOENT, or another error */
int nft_table_seen(struct nl *nl, const char *table, struct podnet_error *err);
/**
 * nft_table_claim() - before the first change: a table that is there is owned, or not, as the context
 * wants it.  One that cannot become so is deleted, and made anew by who asks for it.
 */
int nft_table_claim(struct podnet *ctx, struct podnet_error *err);
/** nft_table_put() - make it, or wake a dormant one; @owned: by this socket alone */
void nft_table_put(struct nft_txn *t, const char *table, bool owned);

/* ---- range.c, set.c: interval sets of addresses ---- */

/** Addresses from..to, both included; network order, the first @size of struct nft_ranges count. */
struct nft_range {
	uint8_t from[16], to[16];
};

struct nft_ranges {
	struct nft_range *v;
	size_t n, cap;
	uint8_t size;               /* 4 or 16 */
};

void nft_ranges_fini(struct nft_ranges *r);
/** nft_ranges_add() - append a prefix; its host bits are ignored.  0 or -ENOMEM. */
int nft_ranges_add(struct nft_ranges *r, const struct podnet_prefix *p);
/** nft_ranges_normalise() - sort, and join what overlaps or touches: disjoint, with gaps between */
void nft_ranges_normalise(struct nft_ranges *r);
/** nft_ranges_minus() - append to @ret the ranges of @a that are not, just so, in @b; both sorted */
int nft_ranges_minus(const struct nft_ranges *a, const struct nft_ranges *b,
		     struct nft_ranges *ret);

struct nft_set {
	const char *table, *name;
	uint8_t size;               /* 4: ipv4_addr, 16: ipv6_addr */
};

/** What the kernel has of a set. */
struct nft_set_seen {
	bool there;
	bool wrong;                 /* of another type, or with other flags: must be made anew */
	bool odd;                   /* its elements make no plain ranges: must be filled anew */
	struct nft_ranges ranges;   /* sorted */
};

/** nft_set_see() - read one; @ret zeroed by the caller, and its ranges his to free */
int nft_set_see(struct nl *nl, const struct nft_set *set, struct nft_set_seen *ret,
		struct podnet_error *err);
void nft_set_delete(struct nft_txn *t, const struct nft_set *set);

/** nft_set_repair() - make or fill it.  Return: number of changes or -ENOMEM. */
int nft_set_repair(struct nft_txn *t, const struct nft_set *set, const struct nft_ranges *want,
		   const struct nft_set_seen *have, uint32_t id);

/* ---- map.c: sets and maps with keys of several fields ---- */

enum nft_field { NFT_F_END, NFT_F_ADDR4, NFT_F_ADDR6, NFT_F_PROTO, NFT_F_PORT, NFT_F_SLOT };

#define NFT_FIELDS 5
#define NFT_KEY_SIZE 40             /* two IPv6 addresses, a protocol, a port */
#define NFT_KEY_LONGEST 44          /* and another port, of a set that counts */

struct nft_map {
	const char *table, *name;
	enum nft_field key[NFT_FIELDS];
	enum nft_field data[NFT_FIELDS];        /* none: a set, or @verdicts */
	bool verdicts;
	bool interval;              /* elements are ranges in each field */
	bool dynamic;               /* packets add elements, which time out */
	bool counts;                /* packets add elements, which count them */
	uint8_t protocol;           /* of the ports in it, where a slot wants `typeof` */
	uint32_t size;              /* elements it must hold at most */
};

struct nft_elem {
	uint8_t key[NFT_KEY_LONGEST];
	uint8_t end[NFT_KEY_SIZE];  /* of an interval: the last key */
	uint8_t data[NFT_KEY_SIZE];
	int32_t verdict;            /* NFT_GOTO, NFT_JUMP, NF_DROP */
	const char *chain;          /* borrowed */
	uint64_t packets, bytes;    /* of a set that counts */
};

/** What the kernel has of a map. */
struct nft_map_seen {
	bool there;
	bool wrong;                 /* of another type: must be made anew */
	uint32_t size;
};

/** Elements on their way into a transaction, in as many messages as they need. */
struct nft_elems {
	struct nft_txn *t;
	const struct nft_map *map;
	uint16_t type;              /* NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM */
	struct nlattr *list;
};

void nft_map_put(struct nft_txn *t, const struct nft_map *m, uint32_t id);
void nft_map_delete(struct nft_txn *t, const struct nft_map *m);
/** nft_elems_put() - one more; nothing else is put into the transaction before nft_elems_end() */
void nft_elems_put(struct nft_elems *e, const struct nft_elem *elem);
void nft_elems_end(struct nft_elems *e);
/** nft_map_see() - is it there, and of this type? */
int nft_map_see(struct nl *nl, const struct nft_map *m, struct nft_map_seen *ret,
		struct podnet_error *err);
/** nft_map_elements() - each of its elements; @reset: forget them, the dump begins anew */
int nft_map_elements(struct nl *nl, const struct nft_map *m,
		     int (*each)(void *arg, const struct nft_elem *elem),
		     void (*reset)(void *arg), void *arg, struct podnet_error *err);

/* ---- rule.c: rules as wholes ---- */

/** A rule being built; after the first failure the rest does nothing. */
struct nft_rule {
	struct nftnl_rule *rule;
	int rc;                     /* 0 or negative errno */
	unsigned int words;         /* of 32 bits: how long the key under way is */
};

/** nft_rule_init() - @comment is what `nft list` prints behind the rule, 1..127 bytes, or NULL */
void nft_rule_init(struct nft_rule *r, const char *table, const char *chain, const char *comment);
void nft_rule_fini(struct nft_rule *r);
/** nft_rule_put() - append it to its chain */
void nft_rule_put(struct nft_txn *t, const struct nft_rule *r);
/**
 * nft_rule_text() - expressions and comment as text, the same for a built rule and one read back
 *
 * Return: 0, or -E2BIG: the text does not fit, so it is none of ours.
 */
int nft_rule_text(const struct nftnl_rule *rule, char buf[NFT_TEXT_SIZE]);

/* ---- chain.c: a chain and all of its rules ---- */

struct nft_chain {
	const char *table, *name;
	const char *type;           /* "nat", "filter"; NULL: not on a hook */
	uint32_t hook;              /* NF_INET_* */
	int32_t priority;
};

/** What the kernel has of a chain. */
struct nft_chain_seen {
	bool there;
	bool wrong;                 /* on another hook: must be made anew */
	bool rules_wrong;
	size_t nrules;              /* whoever wrote them */
};

void nft_chain_put(struct nft_txn *t, const struct nft_chain *c);
/** nft_chain_flush() - delete its rules */
void nft_chain_flush(struct nft_txn *t, const struct nft_chain *c);
void nft_chain_delete(struct nft_txn *t, const struct nft_chain *c);
/** nft_chain_names() - the name of each chain of a table; as nft_map_elements() */
int nft_chain_names(struct nl *nl, const char *table, int (*each)(void *arg, const char *name),
		    void (*reset)(void *arg), void *arg, struct podnet_error *err);
/** nft_chain_see() - is it there, with just these rules? */
int nft_chain_see(struct nl *nl, const struct nft_chain *chain, const struct nft_rule *rules,
		  size_t n, struct nft_chain_seen *ret, struct podnet_error *err);

/* ---- expr.c: what a rule is made of, from left to right; @nfproto NFPROTO_IPV4 or _IPV6 ---- */

enum nft_end { NFT_SOURCE, NFT_DESTINATION };

/* fields of a key, which the next look-up takes */
void nft_key_addr(struct nft_rule *r, uint8_t nfproto, enum nft_end end);
void nft_key_l4proto(struct nft_rule *r);
/** nft_key_l4proto_be() - the same for a set of intervals, where nft orders the bytes */
void nft_key_l4proto_be(struct nft_rule *r);
void nft_key_port(struct nft_rule *r, enum nft_end end);
/** nft_key_ct_addr(), nft_key_ct_port() - where the connection was meant to go before any NAT */
void nft_key_ct_addr(struct nft_rule *r, uint8_t nfproto);
void nft_key_ct_port(struct nft_rule *r);
/** nft_key_reply_addr(), nft_key_reply_port() - where it went after all NAT: who replies */
void nft_key_reply_addr(struct nft_rule *r, uint8_t nfproto);
void nft_key_reply_port(struct nft_rule *r);
/** nft_key_random() - a number below @mod, another one for each connection */
void nft_key_random(struct nft_rule *r, uint32_t mod);
/** nft_key_source_hash() - a number below @mod that the source address and port decide */
void nft_key_source_hash(struct nft_rule *r, uint8_t nfproto, uint32_t mod, uint32_t seed);

void nft_match_family(struct nft_rule *r, uint8_t nfproto);
void nft_match_l4proto(struct nft_rule *r, uint8_t protocol);
/** nft_match_not_prefix() - an address of the packet is not in @p */
void nft_match_not_prefix(struct nft_rule *r, uint8_t nfproto, enum nft_end end,
			  const struct podnet_prefix *p);
/** nft_match_new() - the first packet of a connection */
void nft_match_new(struct nft_rule *r);
/** nft_match_invalid() - of no connection, by what connection tracking knows */
void nft_match_invalid(struct nft_rule *r);
/** nft_match_dnat() - of a connection whose destination was changed */
void nft_match_dnat(struct nft_rule *r);
/** nft_match_first_dnat() - the same, and this is its first packet, by UDP too */
void nft_match_first_dnat(struct nft_rule *r);
/** nft_match_reply() - of the way back, or of the way there */
void nft_match_reply(struct nft_rule *r, bool reply);
/** nft_match_not_loopback() - it did not come in by lo */
void nft_match_not_loopback(struct nft_rule *r);
/** nft_match_out_prefix() - it goes out by a link whose name begins with @name, and goes on */
void nft_match_out_prefix(struct nft_rule *r, const char *name);
/** nft_match_tcp_syn() - a segment that opens a TCP connection, of either side */
void nft_match_tcp_syn(struct nft_rule *r);
/** nft_match_local_source() - the source is (not) an address of this node */
void nft_match_local_source(struct nft_rule *r, bool not);
/** nft_match_set() - the key is (not) in a set */
void nft_match_set(struct nft_rule *r, const char *set, bool not);

/** nft_verdict_map() - what the key maps to happens */
void nft_verdict_map(struct nft_rule *r, const char *map);
/** nft_dnat_map() - to the address and port that the key maps to, if to any */
void nft_dnat_map(struct nft_rule *r, uint8_t nfproto, const char *map);
/** nft_dnat_addr_map() - to the address that the key maps to, if to any, at the same port */
void nft_dnat_addr_map(struct nft_rule *r, uint8_t nfproto, const char *map);
/** nft_dnat_by_source() - to the address and the port that the source address maps to */
void nft_dnat_by_source(struct nft_rule *r, uint8_t nfproto, const char *addrs, const char *ports);
/** nft_remember_addr(), nft_remember_port() - map the source to where the connection went */
void nft_remember_addr(struct nft_rule *r, uint8_t nfproto, const char *map, uint64_t timeout_ms);
void nft_remember_port(struct nft_rule *r, uint8_t nfproto, const char *map, uint64_t timeout_ms);
/** nft_count() - the packet counts for the key in a set that counts */
void nft_count(struct nft_rule *r, const char *set);
/** nft_clamp_mss() - of a TCP segment with SYN: the maximum segment size at most what the route has room for */
void nft_clamp_mss(struct nft_rule *r);
/** nft_masquerade() - with @flags NF_NAT_RANGE_* */
void nft_masquerade(struct nft_rule *r, uint32_t flags);
/** nft_reject() - @type NFT_REJECT_* */
void nft_reject(struct nft_rule *r, uint32_t type, uint8_t code);
/** nft_verdict() - NF_DROP, NFT_GOTO or NFT_JUMP with a chain */
void nft_verdict(struct nft_rule *r, int32_t verdict, const char *chain);

#endif
