/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tun.c - what is particular to TUN devices, and the ioctls that make and open them
 *
 * Room: bytes and structs, and /dev/net/tun in the calling thread's namespace.
 * May include: nl, base, include/podnet, libmnl, linux/.
 * #syscalls: open openat close ioctl:TUNSETIFINDEX ioctl:TUNSETIFF ioctl:TUNGETIFF
 * #syscalls: ioctl:TUNSETOWNER ioctl:TUNSETGROUP ioctl:TUNSETPERSIST
 */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define ALL_FLAGS (PODNET_TUN_PI | PODNET_TUN_VNET_HDR | PODNET_TUN_MULTI_QUEUE)

int pn_tun_check(const struct podnet_tun *spec, struct podnet_error *err)
{
	static const uint8_t none[6];
	uint32_t links = PODNET_LINK_UP | PODNET_LINK_NO_ADDRGEN;

	if (memcmp(spec->link.mac, none, sizeof(none)))
		return pn_err_why(err, -EINVAL, "tun_check", "mac", "it is not Ethernet");
	if (spec->link.master)
		return pn_err_why(err, -EINVAL, "tun_check", "master", "it is not Ethernet");
	if ((spec->flags & ~(uint32_t)ALL_FLAGS) || (spec->link.flags & ~links))
		return pn_err(err, -EINVAL, "tun_check", "flags", NULL);
	return 0;
}

void pn_tun_fill(const struct podnet_tun *spec, struct pn_obj *ret)
{
	ret->u.dev.tun.owner = spec->owner;
	ret->u.dev.tun.group = spec->group;
	ret->u.dev.tun.flags = spec->flags;
	ret->u.dev.tun.persistent = 1;
}

void pn_tun_parse(const struct nlattr *data, struct pn_link_seen *ret)
{
	static const struct { uint16_t type; uint32_t flag; } flags[] = {
		{ IFLA_TUN_PI, PODNET_TUN_PI }, { IFLA_TUN_VNET_HDR, PODNET_TUN_VNET_HDR },
		{ IFLA_TUN_MULTI_QUEUE, PODNET_TUN_MULTI_QUEUE },
	};
	struct pn_tun_attrs *t = &ret->obj.u.dev.tun;
	const struct nlattr *attr = pn_attr_inside(data, IFLA_TUN_TYPE);

	/* a TAP device is of the same kind */
	if (!attr || pn_attr_u8(attr) != IFF_TUN) {
		ret->obj.u.dev.type = PN_OTHER;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		attr = pn_attr_inside(data, flags[i].type);
		if (attr && pn_attr_u8(attr))
			t->flags |= flags[i].flag;
	}
	attr = pn_attr_inside(data, IFLA_TUN_OWNER);
	t->owner = attr ? pn_attr_u32(attr) : 0;
	attr = pn_attr_inside(data, IFLA_TUN_GROUP);
	t->group = attr ? pn_attr_u32(attr) : 0;
	attr = pn_attr_inside(data, IFLA_TUN_PERSIST);
	t->persistent = attr && pn_attr_u8(attr);
}

void pn_tun_print(const struct pn_obj *obj, char *buf, size_t size)
{
	const struct pn_tun_attrs *t = &obj->u.dev.tun;
	char user[24] = "", group[24] = "";

	if (t->owner)
		snprintf(user, sizeof(user), " user %u", t->owner);
	if (t->group)
		snprintf(group, sizeof(group), " group %u", t->group);
	snprintf(buf, size, "mode tun%s%s%s%s%s", t->flags & PODNET_TUN_PI ? " pi" : "",
		 t->flags & PODNET_TUN_VNET_HDR ? " vnet_hdr" : "",
		 t->flags & PODNET_TUN_MULTI_QUEUE ? " multi_queue" : "", user, group);
}

static void fill_request(const struct pn_obj *obj, struct ifreq *ifr)
{
	uint32_t flags = obj->u.dev.tun.flags;

	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, obj->link, sizeof(obj->link));
	ifr->ifr_flags = (short)(IFF_TUN | (flags & PODNET_TUN_PI ? 0 : IFF_NO_PI) |
				 (flags & PODNET_TUN_VNET_HDR ? IFF_VNET_HDR : 0) |
				 (flags & PODNET_TUN_MULTI_QUEUE ? IFF_MULTI_QUEUE : 0));
}

int pn_tun_make(const struct pn_obj *obj, uint32_t index)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	const struct pn_tun_attrs *t = &obj->u.dev.tun;
	struct ifreq ifr;

	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	fill_request(obj, &ifr);
	/* one of that name which came meanwhile is another's: never attach to it */
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_TUN_EXCL);
	if (ioctl(fd, TUNSETIFINDEX, &index) < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	if ((t->owner && ioctl(fd, TUNSETOWNER, (unsigned long)t->owner) < 0) ||
	    (t->group && ioctl(fd, TUNSETGROUP, (unsigned long)t->group) < 0))
		return -errno;
	return take_fd(fd);
}

int pn_tun_keep(int fd)
{
	return ioctl(fd, TUNSETPERSIST, 1UL) < 0 ? -errno : 0;
}

int pn_tun_attach(const struct pn_obj *obj)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr;

	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	fill_request(obj, &ifr);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	/* it went since it was seen, and what is there now was made by this very call */
	if (ioctl(fd, TUNGETIFF, &ifr) < 0 || !(ifr.ifr_flags & IFF_PERSIST))
		return -ENOENT;
	return take_fd(fd);
}
