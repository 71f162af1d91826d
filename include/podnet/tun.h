/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * podnet/tun.h - persistent TUN devices: IP packets to and from a program
 *
 * The kernel makes these by ioctl only, so this is the one link that needs /dev/net/tun; all else
 * about it goes as with other links.  The device is made, marked and only then persistent: a
 * process that is killed in between leaves none.  It has a carrier while a program holds a queue.
 * Source: Linux Documentation/networking/tuntap.rst, drivers/net/tun.c.
 */
#ifndef PODNET_TUN_H
#define PODNET_TUN_H

#include <podnet/link.h>

#ifdef __cplusplus
extern "C" {
#endif

enum podnet_tun_flags {
	PODNET_TUN_PI          = 1 << 0,    /* struct tun_pi, 4 bytes, ahead of each packet */
	PODNET_TUN_VNET_HDR    = 1 << 1,    /* struct virtio_net_hdr ahead of that: segmentation offloads */
	PODNET_TUN_MULTI_QUEUE = 1 << 2,    /* podnet_tun_open() more than once at a time */
};

/** A TUN device.  What differs from the kernel's, but for the MTU, makes the device anew. */
struct podnet_tun {
	struct podnet_link link;    /* no MAC, no master: it is not Ethernet */
	uint32_t    flags;          /* enum podnet_tun_flags */
	/* who may open a queue without CAP_NET_ADMIN: user and group id; 0: nobody */
	uint32_t    owner, group;
};

/** podnet_tun_ensure() - a persistent TUN device of ours.  -ENODEV, -EACCES: /dev/net/tun. */
PODNET_API int podnet_tun_ensure(struct podnet *ctx, const struct podnet_tun *spec,
				 struct podnet_error *err);

/**
 * podnet_tun_open() - a queue of a persistent TUN device, whoever made it
 *
 * The descriptor is non-blocking, close-on-exec and the caller's; one read or write is one packet,
 * in the form that the device's flags say.  It may be passed to another process, which needs no
 * right for it.  The device outlives it.
 * Return: a descriptor; -ENOENT, -EMEDIUMTYPE (no persistent TUN device), -EBUSY (its only queue is
 * taken), -EPERM, -ENODEV or -EACCES (/dev/net/tun).
 */
PODNET_API int podnet_tun_open(struct podnet *ctx, const char *netns, const char *name,
			       struct podnet_error *err);

#ifdef __cplusplus
}
#endif
#endif
