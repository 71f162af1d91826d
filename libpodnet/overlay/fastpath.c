/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fastpath.c - the kernel carries what both ends let it: its programs, and what they know
 *
 * Room: overlay.
 *
 * Theory of operation.  fastpath.bpf.c says what the programs do.  Here they are loaded and linked
 * to their devices (tcx, Linux 6.6), which takes rights; and their trie of prefixes is written,
 * which takes none but its descriptor.  A prefix is written as a whole, by who has it in the lists
 * of peers and of what is ours, whenever one of these that names it changes.  The links are
 * descriptors: with the last one of each it is as if there had been no program.
 * What is loaded is under this library's licence by way of its section 3, as GPL, which the kernel
 * asks for.
 * #syscalls: getsockname bpf:BPF_OBJ_GET_INFO_BY_FD bpf:BPF_MAP_UPDATE_ELEM bpf:BPF_MAP_DELETE_ELEM bpf:BPF_MAP_LOOKUP_ELEM close
 */
#include "fastpath.h"
#include "inner.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCESSORS 8192             /* of which each may have a copy of a counter */

int pn_bpf(int cmd, union bpf_attr *attr, size_t size)
{
	int r = (int)syscall(__NR_bpf, cmd, attr, (unsigned int)size);

	return r < 0 ? -errno : r;
}

static int map_call(int cmd, int map, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)value;
	attr.flags = flags;
	return pn_bpf(cmd, &attr, sizeof(attr));
}

/* ---- what the trie says ---- */

static struct fastpath_key key_of(const struct podnet_prefix *prefix)
{
	struct podnet_prefix net = podnet_prefix_mask(prefix);
	struct fastpath_key key = { .len = net.len };

	if (net.family == AF_INET) {
		key.len += 96;
		key.addr[10] = key.addr[11] = 0xff;
		memcpy(key.addr + 12, net.addr, 4);
	} else {
		memcpy(key.addr, net.addr, 16);
	}
	return key;
}

static void put_head4(uint8_t *head, const struct sockaddr_in *from, const struct sockaddr_in *to)
{
	head[0] = 0x45;
	head[6] = 0x40;                 /* not to be cut: the device's MTU fits */
	head[8] = 64;
	head[9] = IPPROTO_UDP;
	memcpy(head + 12, &from->sin_addr, 4);
	memcpy(head + 16, &to->sin_addr, 4);
	memcpy(head + 20, &from->sin_port, 2);
	memcpy(head + 22, &to->sin_port, 2);
	memcpy(head + 10, &(uint16_t){ pn_sum_fold(pn_sum_add(0, head, 20)) }, 2);
}

static void put_head6(uint8_t *head, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to)
{
	head[0] = 0x60;
	head[6] = IPPROTO_UDP;
	head[7] = 64;
	memcpy(head + 8, &from->sin6_addr, 16);
	memcpy(head + 24, &to->sin6_addr, 16);
	memcpy(head + 40, &from->sin6_port, 2);
	memcpy(head + 42, &to->sin6_port, 2);
}

static void put_peer(const struct fastpath *f, const struct peer *p, struct fastpath_value *ret)
{
	const struct sockaddr_in6 *six = (const void *)&p->at;

	if (p->framing == PODNET_OVERLAY_PI || p->at.ss_family != f->at.ss_family)
		return;
	if (p->at.ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
		return;                 /* by which link, only the socket knows */
	/* it may have a fast path before it is known here to have one */
	ret->flags |= FASTPATH_FROM | (p->framing == PODNET_OVERLAY_FASTPATH ? FASTPATH_PEER : 0);
	ret->index = p->counters->index;
	if (p->at.ss_family == AF_INET6) {
		ret->flags |= FASTPATH_SIX;
		put_head6(ret->head, (const void *)&f->at, (const void *)&p->at);
	} else {
		put_head4(ret->head, (const void *)&f->at, (const void *)&p->at);
	}
}

/* An IPv6 prefix that has only addresses which the programs leave, for the keys are IPv4's. */
static bool is_mapped(const struct podnet_prefix *prefix)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return prefix->family == AF_INET6 && prefix->len >= 96 && memcmp(prefix->addr, mapped, sizeof(mapped)) == 0;
}

/*
 * What could not be written would be somebody else's, by a shorter prefix: rather nothing is carried
 * any more.
 */
static void give_up(struct fastpath *f)
{
	drop_fd(&f->out);
	drop_fd(&f->in);
}

void pn_fastpath_prefix(struct fastpath *f, const struct podnet_prefix *prefix, const struct peer *owner,
		       bool local)
{
	struct fastpath_key key = key_of(prefix);
	struct fastpath_value value = { .flags = local ? FASTPATH_LOCAL : 0 };
	int r;

	if (f->peers < 0 || is_mapped(prefix))
		return;
	if (!owner && !local && prefix->len) {
		r = map_call(BPF_MAP_DELETE_ELEM, f->peers, &key, NULL, 0);
		r = r == -ENOENT ? 0 : r;
	} else {
		if (owner)
			put_peer(f, owner, &value);
		r = map_call(BPF_MAP_UPDATE_ELEM, f->peers, &key, &value, BPF_ANY);
	}
	if (r < 0)
		give_up(f);
}

/* ---- counters ---- */

/* All processors' copies; how many there are is the kernel's to know. */
static struct fastpath_count *new_copies(void)
{
	return calloc(PROCESSORS, sizeof(struct fastpath_count));
}

void pn_fastpath_count_begin(struct fastpath *f, struct counters *c)
{
	_cleanup_free_ struct fastpath_count *zero = NULL;

	if (f->counts < 0 || c->index)
		return;
	zero = new_copies();
	c->index = ++f->last_index;
	if (!zero || map_call(BPF_MAP_UPDATE_ELEM, f->counts, &c->index, zero, BPF_ANY) < 0)
		give_up(f);
}

void pn_fastpath_count_end(const struct fastpath *f, const struct counters *c)
{
	if (f->counts >= 0 && c->index)
		map_call(BPF_MAP_DELETE_ELEM, f->counts, &c->index, NULL, 0);
}

void pn_fastpath_count_add(const struct fastpath *f, const struct counters *c,
			   struct podnet_overlay_peer_stats *ret)
{
	_cleanup_free_ struct fastpath_count *v = f->counts >= 0 && c->index ? new_copies() : NULL;

	if (!v || map_call(BPF_MAP_LOOKUP_ELEM, f->counts, &c->index, v, 0) < 0)
		return;
	for (size_t i = 0; i < PROCESSORS; i++) {
		ret->in_packets += v[i].v[0].packets;
		ret->in_bytes += v[i].v[0].bytes;
		ret->out_packets += v[i].v[1].packets;
		ret->out_bytes += v[i].v[1].bytes;
	}
}

/* ---- the handle's part ---- */

int pn_fastpath_underlay(const struct fastpath *f)
{
	/* struct bpf_link_info of Linux 6.6 */
	struct { uint32_t type, id, program, pad, ifindex, attach_type, rest[8]; } info;
	union bpf_attr attr;

	if (f->in < 0)
		return 0;
	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)f->in;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	return pn_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) < 0 ? 0 : (int)info.ifindex;
}

int pn_fastpath_take(struct fastpath *f, const int *fds, int udp)
{
	socklen_t len = sizeof(f->at);

	if (!fds)
		return 0;
	if (getsockname(udp, (struct sockaddr *)&f->at, &len) < 0)
		return -errno;
	f->in = fds[0];
	f->out = fds[1];
	f->peers = fds[2];
	f->counts = fds[3];
	return 0;
}

void pn_fastpath_close(struct fastpath *f)
{
	closep(&f->out);                /* first: what has been sent should still arrive */
	closep(&f->in);
	closep(&f->peers);
	closep(&f->counts);
}
