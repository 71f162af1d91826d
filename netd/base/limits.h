/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * limits.h - everything a client can make grow has its limit here
 */
#ifndef NETD_LIMITS_H
#define NETD_LIMITS_H

#define LIMIT_BODY_BYTES        (1024 * 1024)   /* one object: 413 above */
#define LIMIT_JSON_DEPTH        64
#define LIMIT_PATCH_OPS         10000           /* operations of a JSON patch: 413 above */
#define LIMIT_PATCH_STEPS       4000000         /* elements looked at by a strategic patch: 413 */
#define LIMIT_HEAD_BYTES        (16 * 1024)     /* request line and headers: 414 or 431 above */
#define LIMIT_CONNECTIONS       4096            /* in all; a quarter of RLIMIT_NOFILE if that is less */
#define LIMIT_CLIENT_CONNECTIONS 2048           /* of a user or an address: one that waits goes, or 429 */
#define LIMIT_REFUSALS          64              /* connections above that which are told so */
#define LIMIT_WATCHES           3072            /* in all: 429 above */
#define LIMIT_CLIENT_WATCHES    1024            /* of a user or an address: 429 above */
#define LIMIT_HELD_BYTES        (256 * 1024 * 1024)     /* bodies and answers under way, in all: 429 above */
#define LIMIT_CLIENT_HELD_BYTES (64 * 1024 * 1024)      /* of a user or an address */
#define LIMIT_IDLE_SECONDS      60              /* a connection without a request */
#define LIMIT_HANDSHAKE_SECONDS 10              /* of TLS, with the first line behind it */
#define LIMIT_REQUEST_SECONDS   30              /* from the first line to the last byte of the body */
#define LIMIT_REPLY_SECONDS     120             /* until an answer is taken, or what a watch begins with */
#define LIMIT_STREAM_BYTES      (32 * 1024)     /* that the kernel keeps for the reader of a watch */
#define LIMIT_STALL_SECONDS     60              /* a reader who takes nothing */
#define LIMIT_ANNOTATIONS_BYTES (256 * 1024)
#define LIMIT_HISTORY_EVENTS    100000          /* watch history kept in the store, unless configured */
#define LIMIT_HISTORY_SECONDS   3600            /* and so old */
#define LIMIT_SNAPSHOT_EVENTS   10000           /* that a page of a list takes back: 410 above */
#define LIMIT_RING_EVENTS       256             /* watch history kept in memory */
#define LIMIT_EVENT_OBJECTS     1000            /* Event objects kept, oldest out */
#define LIMIT_EVENT_SECONDS     3600
#define LIMIT_BATCH_WRITES      512             /* writes in one transaction of the store */
#define LIMIT_POOL              1024
#define LIMIT_LISTEN            4
#define LIMIT_SAN               16
#define LIMIT_ETCD              8               /* endpoints */
#define LIMIT_KEY_FILE_BYTES    (256 * 1024)    /* certificates, keys, tokens */
#define LIMIT_PROOFS            64              /* clients' certificates that were looked at */
#define LIMIT_TOKENS            1024
#define LIMIT_TOKEN_BYTES       256
#define LIMIT_MTU_IPV6          1280u       /* the least of a link with IPv6 (RFC 8200, 5) */

#endif
