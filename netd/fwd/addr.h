/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * addr.h - an address of wire.h as the kernel wants it
 *
 * Room: with wire.h what netd and podnet-fwd both include.  May include: wire.h, libc.
 */
#ifndef NETD_FWD_ADDR_H
#define NETD_FWD_ADDR_H

#include <netd/fwd/wire.h>
#include <netinet/in.h>

/** fwd_sockaddr() - for bind(2) and the like; returns its length */
static inline socklen_t fwd_sockaddr(const struct fwd_addr *a, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;

	*ret = (struct sockaddr_storage){ .ss_family = a->family };
	if (a->family == AF_INET6) {
		v6->sin6_port = a->port_be;
		__builtin_memcpy(&v6->sin6_addr, a->addr, sizeof(v6->sin6_addr));
		return sizeof(*v6);
	}
	v4->sin_port = a->port_be;
	__builtin_memcpy(&v4->sin_addr, a->addr, sizeof(v4->sin_addr));
	return sizeof(*v4);
}

/** fwd_name_put() - the tunnel that a message is about */
static inline void fwd_name_put(struct fwd_msg *msg, const char *name)
{
	size_t len = __builtin_strlen(name);

	__builtin_memset(msg->to.addr, 0, sizeof(msg->to.addr));
	__builtin_memcpy(msg->to.addr, name, len < FWD_NAME_SIZE ? len : FWD_NAME_SIZE - 1);
}

static inline void fwd_name_get(const struct fwd_msg *msg, char ret[FWD_NAME_SIZE])
{
	__builtin_memcpy(ret, msg->to.addr, FWD_NAME_SIZE);
	ret[FWD_NAME_SIZE - 1] = 0;
}

#endif
