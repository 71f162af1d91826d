/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ack.h - sending, receiving and acks, shared by batch.c and dump.c
 */
#ifndef PN_NL_ACK_H
#define PN_NL_ACK_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* the kernel fills at most this much of one datagram of a dump (af_netlink.c) */
#define NL_RECV_BYTES (32 * 1024)

/** What NLMSG_ERROR or NLMSG_DONE says. */
struct nl_ack {
	int rc;                     /* 0 or negative errno */
	uint32_t off;               /* of the attribute at fault in the request, or 0 */
	const char *text;           /* the kernel's words, inside the message, or NULL */
};

/** nl_ack_parse() - 0, or -EBADMSG for one that is too short */
int nl_ack_parse(const struct nlmsghdr *nlh, struct nl_ack *ret);
/** nl_send() - one datagram to the kernel: 0 or negative errno */
int nl_send(int fd, const void *buf, size_t len);
/** nl_recv() - one datagram, never waits.  Return: its length; -ENOBUFS, -EIO (nothing there). */
ssize_t nl_recv(int fd, void *buf, size_t size);

#endif
