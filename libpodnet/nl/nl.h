/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nl.h - netlink framing: sockets, batches with an ack for each request, dumps
 *
 * Room: bytes to and from the kernel, and nothing about what they mean.  The only room that opens
 * netlink sockets.  May include: libpodnet/base, include/podnet/error.h, libmnl, linux/.
 *
 * A batch is built calmly, sent once, and every ack is read.  Putters return nothing: the first
 * that does not fit makes the batch sticky, and nl_batch_send() says so.  rtnetlink is not a
 * transaction: after a refusal the rest of the datagram runs all the same.  256 acks fit a default
 * receive buffer and 512 overrun it, so a batch holds at most NL_BATCH_MAX requests.
 */
#ifndef PN_NL_H
#define PN_NL_H

#include <linux/netlink.h>
#include <podnet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NL_BATCH_MAX 128
#define NL_BATCH_BYTES (64 * 1024)

/** A socket, bound to the namespace it was opened in. */
struct nl {
	int fd;
	uint32_t portid;
	uint32_t seq;               /* of the next request */
};

/** nl_open() - @protocol NETLINK_ROUTE or NETLINK_NETFILTER, in the calling thread's namespace */
int nl_open(struct nl *nl, int protocol);
/** nl_open_at() - the same in another namespace, by a helper thread that ends before the return */
int nl_open_at(struct nl *nl, int protocol, int netns_fd);
/**
 * nl_listen() - a socket that is a member of multicast groups, with a receive buffer of @rcvbuf
 * bytes (as much as allowed, where CAP_NET_ADMIN is missing)
 */
int nl_listen(struct nl *nl, int protocol, const uint32_t *groups, size_t n, int rcvbuf);
/** nl_hear() - become a member of one more group, or leave it.  0 or negative errno. */
int nl_hear(int fd, uint32_t group, bool on);
/** nl_close() - a closed one (fd -1) is fine */
void nl_close(struct nl *nl);

/** One request of a batch, for its error. */
struct nl_op {
	const char *step;           /* static text */
	const void *tag;            /* the builder's own: which operation this request belongs to */
	uint32_t at;                /* offset of its header in the batch */
	int rc;                     /* after the send: 0 or negative errno */
	uint8_t nfields;
	struct { uint16_t off; const char *field; } fields[12];     /* in the order they were put */
};

struct nl_batch {
	uint8_t *buf;
	size_t len;                 /* bytes of finished messages and the one being built */
	struct nlmsghdr *nlh;       /* the one being built */
	uint32_t first_seq;
	uint32_t n;                 /* requests */
	int sticky;                 /* negative errno of the first thing that did not fit */
	bool (*tolerate)(const struct nl_op *op, int rc);  /* true: this refusal is no failure */
	struct nl_op ops[NL_BATCH_MAX];
};

int nl_batch_init(struct nl_batch *b);
void nl_batch_fini(struct nl_batch *b);
/** nl_batch_room() - false when another request might not fit: send first */
bool nl_batch_room(const struct nl_batch *b);

/** nl_msg() - start a request; @header bytes of zeroed fixed header are reserved and returned */
void *nl_msg(struct nl_batch *b, uint16_t type, uint16_t flags, size_t header, const char *step,
	     const void *tag);
void nl_put(struct nl_batch *b, uint16_t attr, const void *data, size_t len, const char *field);
void nl_put_u8(struct nl_batch *b, uint16_t attr, uint8_t v, const char *field);
void nl_put_u16(struct nl_batch *b, uint16_t attr, uint16_t v, const char *field);
void nl_put_u32(struct nl_batch *b, uint16_t attr, uint32_t v, const char *field);
void nl_put_u64(struct nl_batch *b, uint16_t attr, uint64_t v, const char *field);
void nl_put_str(struct nl_batch *b, uint16_t attr, const char *v, const char *field);
struct nlattr *nl_nest(struct nl_batch *b, uint16_t attr);
void nl_nest_end(struct nl_batch *b, struct nlattr *nest);
/** nl_reserve() - zeroed bytes inside the current message, such as the ifinfomsg of a veth peer */
void *nl_reserve(struct nl_batch *b, size_t len);

/**
 * nl_batch_send() - one datagram, then its acks
 *
 * Empties the batch.  Each ops[i].rc tells its own fate, until the next nl_msg().
 * Return: 0 or the first refusal that is not tolerated, with @err: step, field (from the offset in
 * the extended ack) and the kernel's text; @failed receives its tag.
 */
int nl_batch_send(struct nl *nl, struct nl_batch *b, const void **failed, struct podnet_error *err);

/**
 * nl_dump() - send one dump request built by the caller (NLM_F_DUMP is added) and read all of it
 * @each:  per message; non-zero stops and is returned
 * @reset: called before a repeat, when the dump was interrupted (NLM_F_DUMP_INTR), to forget what
 *         @each gathered; at most 8 repeats, then -EAGAIN
 */
int nl_dump(struct nl *nl, struct nlmsghdr *request, int (*each)(const struct nlmsghdr *, void *),
	    void (*reset)(void *), void *arg, struct podnet_error *err);
/** nl_get() - one request, one answer: @each is called for it.  -ENOENT and -ENODEV are usual. */
int nl_get(struct nl *nl, struct nlmsghdr *request, int (*each)(const struct nlmsghdr *, void *),
	   void *arg, struct podnet_error *err);

#endif
