/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inner.h - what the files of the cluster room share
 */
#ifndef NETD_CLUSTER_INNER_H
#define NETD_CLUSTER_INNER_H

#include <netd/cluster/etcd.h>
#include <netd/cluster/lib.h>

#define REPLY_MAX   (192u * 1024 * 1024)    /* a page of the largest objects, in base64 */

struct etcd {
	struct lib lib;
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;           /* curl's */
	struct call *calls;
	struct etcd_watch *watches;
	char *urls[ETCD_URLS], *shown[ETCD_URLS];   /* shown: without a password, for the log */
	size_t nurls, at;                   /* at: the one that is asked */
	char *ca, *cert, *key;
	unsigned timeout_ms;
	struct curl_slist *headers, *watch_headers;
	bool driving, closing;
};

/** One request and its answer. */
struct call {
	struct etcd *etcd;
	struct call *next, **link;
	CURL *easy;
	const char *path;
	char *body;
	struct buf reply;
	bool too_large;
	bool safe;                          /* may be sent twice */
	size_t at, tries;                   /* at: the endpoint that it was sent to */
	char error[CURL_ERROR_SIZE];
	etcd_done done;
	void *arg;
};

struct etcd_watch {
	struct etcd *etcd;
	struct etcd_watch *next, **link;
	struct call call;                   /* of its own: it is in no list */
	size_t read;                        /* of call.reply */
	struct etcd_watcher w;
	bool dead;                          /* closed within a callback */
};

/* drive.c */
int drive_start(struct etcd *etcd);
void drive_stop(struct etcd *etcd);

/* call.c */
/** call_send() - @body is taken, NULL: no memory.  0 or -ENOMEM */
int call_send(struct etcd *etcd, const char *path, char *body, bool safe, etcd_done done, void *arg);
/** call_begin() - give it to curl at the endpoint in use; 0 or -ENOMEM */
int call_begin(struct call *call, bool stream);
/** call_ended() - curl is through with it, as @code says */
void call_ended(struct call *call, CURLcode code);
/** call_error() - the errno of a transfer that failed, with words; 0: there is an answer */
int call_error(struct call *call, CURLcode code, char words[ETCD_WORDS]);
void call_drop(struct call *call);          /* easy handle, body and reply */

/* watch.c */
void watch_data(struct etcd_watch *watch);
void watch_ended(struct etcd_watch *watch, CURLcode code);

/* text.c */
void put_base64(struct buf *out, const char *data, size_t len);
/** take_base64() - decoded, a NUL behind it, *@len its length; NULL: no memory or none */
char *take_base64(struct arena *arena, const char *text, size_t *len);

/* reply.c */
/** An answer, decoded. */
struct answer {
	struct etcd_reply reply;
	struct arena arena;                 /* kvs and what they hold */
	int64_t compacted;                  /* of a watch */
	bool created, canceled;             /* of a watch */
	int rc;                             /* an error that etcd tells, 0: none */
	char words[ETCD_WORDS];
};
/** reply_parse() - 0, -EPROTO, -ENOMEM; @stream: a line of a watch.  Free by arena_fini(). */
int reply_parse(const char *text, size_t len, bool stream, struct answer *ret);

#endif
