/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * etcd.h - a client of etcd v3 by its JSON gateway
 *
 * Room: keys, values and revisions; knows no objects.  Everything is asked on the loop's thread and
 * answered there, later, by a callback: never before the call returns.  Source: etcd's api_reference_v3 and
 * api_grpc_gateway: bytes are base64, 64-bit numbers are strings, what is zero is left out, and a
 * watch is one answer that never ends, a JSON object a line.
 *
 * May include: netd/base.
 */
#ifndef NETD_ETCD_H
#define NETD_ETCD_H

#include <netd/base/loop.h>

#define ETCD_WORDS      200
#define ETCD_URLS       8       /* endpoints at most */

struct etcd;
struct etcd_config {
	struct loop *loop;
	const char *const *urls;        /* http://ADDRESS:PORT or https:// */
	size_t nurls;
	const char *ca, *cert, *key;    /* PEM files, NULL: none; read at each connection */
	unsigned timeout_ms;            /* of one request; 0: 5000 */
};

/** etcd_open() - nothing is asked yet.  0, -EINVAL (a URL), -ENOENT (no libcurl), -ENOMEM; @why says it */
int etcd_open(const struct etcd_config *conf, struct etcd **ret, char why[ETCD_WORDS]);
/** etcd_close() - what is under way is answered with -ESHUTDOWN; watches end without a word */
void etcd_close(struct etcd *etcd);
DEFINE_CLEANUP(struct etcd, etcd_close)
/** etcd_endpoint() - the one that is asked at present, for the log */
const char *etcd_endpoint(const struct etcd *etcd);
/** etcd_next_endpoint() - the one in use is no good: ask another from now on */
void etcd_next_endpoint(struct etcd *etcd);

/** One key.  Borrowed while the callback runs; the value has a NUL behind it. */
struct etcd_kv {
	const char *key, *value;
	size_t len;                     /* of the value */
	int64_t created, modified;      /* revisions */
	bool deleted;                   /* of a watch: it went at `modified` */
};

struct etcd_reply {
	int64_t revision;               /* of the store, when it answered */
	bool succeeded;                 /* of a transaction */
	const struct etcd_kv *kvs;      /* of a range; of what a failed transaction was to see */
	size_t n;
	bool more;                      /* of a range: behind the last one there are others */
	int64_t lease, ttl_s;           /* of a lease; ttl_s 0: there is no such lease any more */
};

/**
 * etcd_done - @rc 0: @reply, borrowed.  Else @words, and @reply NULL:
 * -ENOTCONN  it did not reach etcd, or etcd refused it as a whole (no leader)
 * -ETIMEDOUT it may have reached etcd, or not
 * -ESTALE    the revision is compacted
 * -ENOSPC    etcd takes no more (its quota)
 * -EACCES    TLS or authentication
 * -EAGAIN    etcd is busy, and did not take it
 * -EMSGSIZE  larger than etcd takes
 * -EPROTO    the answer is none of etcd's
 * -ESHUTDOWN etcd_close()
 */
typedef void (*etcd_done)(void *arg, int rc, const char *words, const struct etcd_reply *reply);

/** What a range asks for: the keys from @from up to before @end. */
struct etcd_range {
	const char *from, *end;         /* end NULL: the one key */
	unsigned limit;                 /* 0: all of them */
	int64_t revision;               /* 0: the newest */
};
/** etcd_get() - 0 or -ENOMEM: then @done is not called.  Tried at each endpoint. */
int etcd_get(struct etcd *etcd, const struct etcd_range *range, etcd_done done, void *arg);
/** etcd_prefix_end() - the first key behind all that begin with @prefix, which is ASCII */
const char *etcd_prefix_end(const char *prefix, char buf[64]);

/** A transaction being built.  A failed allocation is sticky: etcd_txn_send() says so. */
struct etcd_txn {
	struct buf compare, success, failure;
};
/** etcd_txn_expect() - @key was last written at @modified; 0: it is not there */
void etcd_txn_expect(struct etcd_txn *txn, const char *key, int64_t modified);
void etcd_txn_exists(struct etcd_txn *txn, const char *key);
/** etcd_txn_holds() - @key has just this text */
void etcd_txn_holds(struct etcd_txn *txn, const char *key, const char *value);
/** etcd_txn_still() - no key that begins with @prefix was written after @revision */
void etcd_txn_still(struct etcd_txn *txn, const char *prefix, int64_t revision);
/** etcd_txn_put() - @lease 0: none.  One key may be written once. */
void etcd_txn_put(struct etcd_txn *txn, const char *key, const char *value, size_t len,
		  int64_t lease);
void etcd_txn_delete(struct etcd_txn *txn, const char *key);
/** etcd_txn_see() - what is there, if a comparison fails */
void etcd_txn_see(struct etcd_txn *txn, const char *key);
/**
 * etcd_txn_send() - all or nothing, and all of it has one revision; @txn is empty afterwards
 *
 * Sent once: another endpoint is tried only where it surely did not arrive.  0 or -ENOMEM: then
 * @done is not called.
 */
int etcd_txn_send(struct etcd *etcd, struct etcd_txn *txn, etcd_done done, void *arg);
void etcd_txn_fini(struct etcd_txn *txn);

/** etcd_lease_grant() - a new lease; reply->lease.  0 or -ENOMEM */
int etcd_lease_grant(struct etcd *etcd, int64_t ttl_s, etcd_done done, void *arg);
int etcd_lease_keep(struct etcd *etcd, int64_t lease, etcd_done done, void *arg);
int etcd_lease_revoke(struct etcd *etcd, int64_t lease, etcd_done done, void *arg);

/** What is told of a watch. */
struct etcd_watcher {
	/* changes in order, whole revisions; n 0: nothing up to @revision */
	void (*events)(void *arg, int64_t revision, const struct etcd_kv *kvs, size_t n);
	/* it has ended, and @compacted is not 0 when that is why: what is older is lost */
	void (*ended)(void *arg, int rc, const char *words, int64_t compacted);
	void *arg;
};
struct etcd_watch;
/** etcd_watch_open() - keys that begin with @prefix, from revision @from on.  0 or -ENOMEM */
int etcd_watch_open(struct etcd *etcd, const char *prefix, int64_t from,
		    const struct etcd_watcher *watcher, struct etcd_watch **ret);
void etcd_watch_close(struct etcd_watch *watch);        /* NULL is fine; safe in its callbacks */

#endif
