/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fastpath_open.c - the programs of the fast path are loaded and linked to their devices
 *
 * Room: overlay.  The only file of it that needs rights.
 * #syscalls: bpf:BPF_MAP_CREATE bpf:BPF_PROG_LOAD bpf:BPF_LINK_CREATE ioctl:TUNGETIFF
 * #syscalls: ioctl:SIOCGIFINDEX ioctl:SIOCGIFNAME ioctl:SIOCGIFHWADDR socket:AF_UNIX getsockname socket:AF_NETLINK bind sendto recvmsg close
 */
#include "fastpath.h"
#include "inner.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "fastpath.bpf.h"

#define PREFIXES_MAX  (1u << 20)    /* memory is taken as they come */
#define PEERS_MAX     (1u << 16)    /* less than a MiB before they come */
#define TCX_INGRESS   46            /* enum bpf_attach_type of Linux 6.6 */
#define TCX_EGRESS    47

/** What a program is told when it is loaded; by FASTPATH_* */
struct loaded {
	uint32_t v[FASTPATH_TUN + 1];
};

static int map_create(enum bpf_map_type type, uint32_t key, uint32_t value, uint32_t most)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = key;
	attr.value_size = value;
	attr.max_entries = most;
	attr.map_flags = BPF_F_NO_PREALLOC;
	return pn_bpf(BPF_MAP_CREATE, &attr, sizeof(attr));
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* A mark is in the halves of two instructions. */
static void fill_in(struct bpf_insn *code, size_t n, const struct loaded *what)
{
	for (size_t i = 0; i + 1 < n; i++) {
		uint64_t v = (uint64_t)(uint32_t)code[i + 1].imm << 32 | (uint32_t)code[i].imm;
		uint64_t which = v - FASTPATH_MARK;

		if (code[i].code != (BPF_LD | BPF_DW | BPF_IMM) || !which || which > FASTPATH_TUN)
			continue;
		code[i].imm = (int32_t)what->v[which];
		code[i + 1].imm = 0;
		if (which == FASTPATH_PEERS || which == FASTPATH_COUNTS)
			code[i].src_reg = BPF_PSEUDO_MAP_FD;
	}
}

static int load(const __u64 *program, size_t size, const struct loaded *what)
{
	_cleanup_free_ struct bpf_insn *code = malloc(size);
	union bpf_attr attr;

	if (!code)
		return -ENOMEM;
	memcpy(code, program, size);
	fill_in(code, size / sizeof(*code), what);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)(size / sizeof(*code));
	attr.license = (uintptr_t)"GPL";
	memcpy(attr.prog_name, "podnet", sizeof("podnet"));
	return pn_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}
#else   /* the instructions are in the other order */
static int load(const __u64 *program, size_t size, const struct loaded *what)
{
	(void)program;
	(void)size;
	(void)what;
	return -EOPNOTSUPP;
}
#endif

static int attach(int program, unsigned int ifindex, uint32_t where)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = where;
	r = pn_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
	return r == -EINVAL ? -EOPNOTSUPP : r;      /* before Linux 6.6 */
}

/* ---- the devices ---- */

static const void *address_of(const struct sockaddr *at)
{
	return at->sa_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr :
					   (const void *)&((const struct sockaddr_in *)(const void *)at)->sin_addr;
}

static bool has_address(const struct ifaddrs *i, uint8_t family, const void *address)
{
	return i->ifa_addr && i->ifa_addr->sa_family == family &&
	       memcmp(address_of(i->ifa_addr), address, family == AF_INET6 ? 16 : 4) == 0;
}

/* As ifa_flags has no index, by its name. */
static int device_with(uint8_t family, const void *address)
{
	struct ifaddrs *all, *i;
	int r;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (i = all; i && !has_address(i, family, address); i = i->ifa_next)
		;
	r = i ? (int)if_nametoindex(i->ifa_name) : 0;
	freeifaddrs(all);
	return r ? r : -EADDRNOTAVAIL;
}

int podnet_overlay_underlay(const struct podnet_prefix *address)
{
	return device_with(address->family, address->addr);
}

/* What has the address that the socket is bound to; only below an Ethernet header `in` finds its own. */
static int underlay_of(int udp, struct sockaddr_storage *at)
{
	socklen_t len = sizeof(*at);
	struct ifreq ifr = { 0 };
	int r;

	if (getsockname(udp, (struct sockaddr *)at, &len) < 0)
		return -errno;
	r = device_with((uint8_t)at->ss_family, address_of((struct sockaddr *)at));
	if (r < 0)
		return r;
	if (!if_indextoname((unsigned int)r, ifr.ifr_name) || ioctl(udp, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	return ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER ? r : -EOPNOTSUPP;
}

static int device_of(int tun, int udp)
{
	struct ifreq ifr = { .ifr_ifindex = 0 };

	return ioctl(tun, TUNGETIFF, &ifr) < 0 || ioctl(udp, SIOCGIFINDEX, &ifr) < 0 ? -errno : ifr.ifr_ifindex;
}

static in_port_t port_of(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET ? ((const struct sockaddr_in *)(const void *)at)->sin_port :
					  ((const struct sockaddr_in6 *)(const void *)at)->sin6_port;
}

static int load_and_attach(int tun, int underlay, in_port_t port, int fds[PODNET_OVERLAY_FASTPATH_FDS])
{
	struct loaded what = { .v = { [FASTPATH_PEERS] = (uint32_t)fds[2], [FASTPATH_COUNTS] = (uint32_t)fds[3],
				      [FASTPATH_PORT] = port, [FASTPATH_TUN] = (uint32_t)tun } };
	_cleanup_close_ int in = load(fastpath_in, sizeof(fastpath_in), &what);
	_cleanup_close_ int out = load(fastpath_out, sizeof(fastpath_out), &what);

	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	fds[0] = attach(in, (unsigned int)underlay, TCX_INGRESS);
	if (fds[0] < 0)
		return fds[0];
	fds[1] = attach(out, (unsigned int)tun, TCX_EGRESS);
	return fds[1] < 0 ? fds[1] : 0;
}

int podnet_overlay_fastpath_open(int tun, int udp, int ret[PODNET_OVERLAY_FASTPATH_FDS],
				 struct podnet_error *err)
{
	struct sockaddr_storage at = { .ss_family = AF_UNSPEC };
	int fds[PODNET_OVERLAY_FASTPATH_FDS] = { -1, -1, -1, -1 };
	int device = device_of(tun, udp), underlay = underlay_of(udp, &at), r;

	if (device < 0 || underlay < 0)
		return pn_err(err, device < 0 ? device : underlay, "overlay_fastpath_open",
			      device < 0 ? "tun" : "udp", NULL);
	fds[2] = map_create(BPF_MAP_TYPE_LPM_TRIE, sizeof(struct fastpath_key), sizeof(struct fastpath_value),
			    PREFIXES_MAX);
	fds[3] = map_create(BPF_MAP_TYPE_PERCPU_HASH, sizeof(uint32_t), sizeof(struct fastpath_count), PEERS_MAX);
	r = fds[2] < 0 ? fds[2] : fds[3] < 0 ? fds[3] : load_and_attach(device, underlay, port_of(&at), fds);
	for (int i = 0; i < PODNET_OVERLAY_FASTPATH_FDS; i++) {
		if (r < 0)
			closep(&fds[i]);
		else
			ret[i] = fds[i];
	}
	return r < 0 ? pn_err(err, r, "overlay_fastpath_open", NULL, NULL) : 0;
}
