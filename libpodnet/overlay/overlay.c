/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay.c - the forwarder's handle: its queues, what it knows of peers, who serves it
 *
 * Room: overlay.
 *
 * Theory of operation.  The list of peers is the callers', under a lock.  A queue works with a table
 * that is made of it and never changes: when it has read something it looks whether the list is another
 * one by now, makes the table of that if no other queue has, and lets the old one go.  So a change
 * costs the packets nothing, many changes at once cost one table, and nothing is freed that is still
 * used.  What there is no memory for is tried again in the next turn.
 * #syscalls: ioctl:TUNGETIFF ioctl:TUNSETOFFLOAD ioctl:TUNSETVNETHDRSZ setsockopt getsockopt
 * #syscalls: fcntl epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 write read writev close
 */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define RETRY_MS        100         /* for memory */
#define RECEIVE_BUFFER (16 << 20)   /* bytes; each piece that waits is charged with its memory */

struct podnet_overlay {
	pthread_mutex_t lock;       /* of what follows */
	struct peer **peers;
	size_t npeers, cap;
	struct podnet_prefix *local;
	size_t nlocal;
	uint64_t order;
	struct fastpath fastpath;
	struct table *table;
	atomic_ulong version;       /* of the list; written under the lock */

	int stop;                   /* eventfd */
	atomic_bool stopping;
	uint32_t busy_us;
	unsigned int nqueues;
	struct queue *queues[];
};

/* ---- tables ---- */

void pn_refresh(struct queue *q)
{
	struct podnet_overlay *ov = q->ov;
	uint64_t version = atomic_load(&ov->version);

	if (q->table && q->table->version == version)
		return;
	pthread_mutex_lock(&ov->lock);
	version = atomic_load(&ov->version);
	if (!ov->table || ov->table->version != version) {
		struct table *t = pn_table_make(ov->peers, ov->npeers, ov->local, ov->nlocal);

		if (t) {
			t->version = version;
			pn_table_unref(ov->table);
			ov->table = t;
		}
	}
	if (ov->table && ov->table != q->table) {
		pn_table_unref(q->table);
		q->table = ov->table;
		atomic_fetch_add(&q->table->refs, 1);
	}
	pthread_mutex_unlock(&ov->lock);
}

static void changed(struct podnet_overlay *ov)
{
	atomic_fetch_add(&ov->version, 1);
}

static struct listed listed(struct podnet_overlay *ov)
{
	return (struct listed){ ov->peers, ov->npeers, ov->local, ov->nlocal };
}

/* ---- queues ---- */

static int write_piece(void *arg, const struct iovec *iov, size_t niov)
{
	struct queue *q = arg;
	size_t skip = q->vnet ? 0 : 1;

	return writev(q->tun, iov + skip, (int)(niov - skip)) < 0 ? -errno : 0;
}

static void queue_free(struct queue *q)
{
	if (!q)
		return;
	closep(&q->tun);
	closep(&q->udp);
	closep(&q->epoll);
	pn_table_unref(q->table);
	free(q->arena);
	free(q->messages);
	free(q->merge.room);
	free(q->incoming);
	free(q);
}

DEFINE_CLEANUP(struct queue, queue_free)

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* Offloads of the device, as many as it knows; USO is of Linux 6.2. */
static int set_up_tun(struct queue *q, bool plain, struct podnet_error *err)
{
	const unsigned int tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	const unsigned int udp = TUN_F_USO4 | TUN_F_USO6;
	int size = sizeof(struct virtio_net_hdr);
	struct ifreq ifr = { 0 };

	if (ioctl(q->tun, TUNGETIFF, &ifr) < 0)
		return pn_err(err, -EINVAL, "overlay_open", "tun", NULL);
	if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI))
		return pn_err_why(err, -EINVAL, "overlay_open", "tun",
				  "it is no TUN device without packet information (IFF_TUN, IFF_NO_PI)");
	q->vnet = ifr.ifr_flags & IFF_VNET_HDR;
	if (!q->vnet)
		return 0;
	if (ioctl(q->tun, TUNSETVNETHDRSZ, &size) < 0)
		return pn_err(err, -errno, "overlay_open", "tun", NULL);
	if (plain)
		return ioctl(q->tun, TUNSETOFFLOAD, 0) < 0 ?
			pn_err(err, -errno, "overlay_open", "tun", NULL) : 0;
	q->merge.udp = ioctl(q->tun, TUNSETOFFLOAD, tcp | udp) == 0;
	if (!q->merge.udp && ioctl(q->tun, TUNSETOFFLOAD, tcp) < 0)
		return pn_err(err, -errno, "overlay_open", "tun", NULL);
	q->merge.tcp = true;
	return 0;
}

static int set_up_udp(struct queue *q, bool plain, struct podnet_error *err)
{
	int protocol = 0, on = 1, size = RECEIVE_BUFFER;
	socklen_t len = sizeof(protocol);

	if (getsockopt(q->udp, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 ||
	    protocol != IPPROTO_UDP)
		return pn_err_why(err, -EINVAL, "overlay_open", "udp", "it is no UDP socket");
	if (setsockopt(q->udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(q->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* what peers' kernels sent and ours did not take has no checksum: RFC 6935 */
	setsockopt(q->udp, SOL_UDP, UDP_NO_CHECK6_RX, &on, sizeof(on));
	if (plain)
		return 0;
	q->gso = true;
	setsockopt(q->udp, SOL_UDP, UDP_GRO, &on, sizeof(on));     /* without it they come one by one */
	return 0;
}

static int watch(int epoll, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* The descriptors are taken only when all else is done. */
static int queue_make(struct podnet_overlay *ov, const struct podnet_overlay_spec *spec,
		      unsigned int i, struct podnet_error *err)
{
	_cleanup_(queue_freep) struct queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return pn_err(err, -ENOMEM, "overlay_open", NULL, NULL);
	q->ov = ov;
	q->tun = q->udp = -1;
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	q->arena = malloc(ARENA);
	q->messages = malloc((size_t)MESSAGES * MESSAGE_SIZE);
	q->merge.room = malloc(PIECE_MAX);
	if (q->epoll < 0 || !q->arena || !q->messages || !q->merge.room ||
	    pn_incoming_new(&q->incoming, q->messages) < 0)
		return pn_err(err, q->epoll < 0 ? -errno : -ENOMEM, "overlay_open", NULL, NULL);
	q->merge.write = write_piece;
	q->merge.arg = q;
	q->tun = spec->tun[i];
	q->udp = spec->udp[i];
	r = set_up_tun(q, spec->plain, err);
	if (r == 0)
		r = set_up_udp(q, spec->plain, err);
	if (r == 0) {
		r = set_nonblocking(q->tun);
		r = r < 0 ? r : set_nonblocking(q->udp);
		r = r < 0 ? r : watch(q->epoll, q->tun);
		r = r < 0 ? r : watch(q->epoll, q->udp);
		if (r < 0)
			pn_err(err, r, "overlay_open", NULL, NULL);
	}
	if (r < 0)
		q->tun = q->udp = -1;
	else
		ov->queues[ov->nqueues++] = take_ptr(q);
	return r;
}

/* ---- the handle ---- */

static const struct fastpath no_fastpath = { .in = -1, .out = -1, .peers = -1, .counts = -1 };

static void let_go(struct podnet_overlay *ov)
{
	for (unsigned int i = 0; i < ov->nqueues; i++)
		ov->queues[i]->tun = ov->queues[i]->udp = -1;
	ov->fastpath = no_fastpath;
}

void podnet_overlay_close(struct podnet_overlay *ov)
{
	if (!ov)
		return;
	pn_fastpath_close(&ov->fastpath);
	for (unsigned int i = 0; i < ov->nqueues; i++)
		queue_free(ov->queues[i]);
	pn_table_unref(ov->table);
	for (size_t i = 0; i < ov->npeers; i++)
		pn_peer_unref(ov->peers[i]);
	free(ov->peers);
	free(ov->local);
	closep(&ov->stop);
	pthread_mutex_destroy(&ov->lock);
	free(ov);
}

DEFINE_CLEANUP(struct podnet_overlay, podnet_overlay_close)

static bool prefixes_ok(const struct podnet_prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((v[i].family != AF_INET || v[i].len > 32) &&
		    (v[i].family != AF_INET6 || v[i].len > 128))
			return false;
	return true;
}

int podnet_overlay_open(const struct podnet_overlay_spec *spec, struct podnet_overlay **ret,
			struct podnet_error *err)
{
	_cleanup_(podnet_overlay_closep) struct podnet_overlay *ov = NULL;
	struct listed now;
	int r;

	if (!spec->queues || spec->queues > PODNET_OVERLAY_QUEUES_MAX)
		return pn_err(err, -EINVAL, "overlay_open", "queues", NULL);
	if (!spec->tun || !spec->udp)
		return pn_err(err, -EINVAL, "overlay_open", spec->tun ? "udp" : "tun", NULL);
	ov = calloc(1, sizeof(*ov) + spec->queues * sizeof(ov->queues[0]));
	if (!ov)
		return pn_err(err, -ENOMEM, "overlay_open", NULL, NULL);
	pthread_mutex_init(&ov->lock, NULL);
	ov->busy_us = spec->busy_us;
	ov->fastpath = no_fastpath;
	ov->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = ov->stop < 0 ? pn_err(err, -errno, "overlay_open", NULL, NULL) : 0;
	if (r == 0)
		r = podnet_overlay_local(ov, spec->local, spec->nlocal, err);
	for (unsigned int i = 0; i < spec->queues && r == 0; i++)
		r = queue_make(ov, spec, i, err);
	if (r == 0 && pn_fastpath_take(&ov->fastpath, spec->fastpath, spec->udp[0]) < 0)
		r = pn_err(err, -EINVAL, "overlay_open", "udp", NULL);
	if (r < 0) {
		let_go(ov);
		return r;
	}
	now = listed(ov);
	pn_fastpath_of_us(&ov->fastpath, &now, ov->local, ov->nlocal);
	*ret = take_ptr(ov);
	return 0;
}

/* ---- peers ---- */

static struct peer **find(struct podnet_overlay *ov, const struct podnet_prefix *address, uint16_t port)
{
	struct sockaddr_storage at;
	socklen_t len;

	if (pn_socket_address(address, port, &at, &len) < 0)
		return NULL;
	for (size_t i = 0; i < ov->npeers; i++)
		if (pn_peer_at(ov->peers[i], &at))
			return &ov->peers[i];
	return NULL;
}

static const char *wrong_member(const struct podnet_overlay_peer *peer)
{
	if (peer->address.family != AF_INET && peer->address.family != AF_INET6)
		return "address";
	if (!peer->port)
		return "port";
	if ((unsigned int)peer->framing > PODNET_OVERLAY_FASTPATH)
		return "framing";
	return prefixes_ok(peer->prefixes, peer->nprefixes) ? NULL : "prefixes";
}

static int put(struct podnet_overlay *ov, const struct podnet_overlay_peer *spec)
{
	struct peer **slot = find(ov, &spec->address, spec->port), *p;
	struct { struct peer **v; size_t n, cap; } list = { ov->peers, ov->npeers, ov->cap };
	struct peer *before = NULL;
	struct listed all;

	if (!slot && pn_grow(&list) < 0)
		return -ENOMEM;
	ov->peers = list.v;
	ov->cap = list.cap;
	p = pn_peer_make(spec, slot ? *slot : NULL);
	if (!p)
		return -ENOMEM;
	p->order = ++ov->order;
	pn_fastpath_count_begin(&ov->fastpath, p->counters);
	if (!slot)
		slot = &ov->peers[ov->npeers++];
	else
		before = *slot;
	*slot = p;
	changed(ov);
	/* what is new comes first: meanwhile nobody else gets what is its before and behind */
	all = listed(ov);
	pn_fastpath_of_peer(&ov->fastpath, &all, p->prefixes, p->nprefixes);
	if (before)
		pn_fastpath_of_peer(&ov->fastpath, &all, before->prefixes, before->nprefixes);
	pn_peer_unref(before);
	return 0;
}

int podnet_overlay_peer_put(struct podnet_overlay *ov, const struct podnet_overlay_peer *peer,
			    struct podnet_error *err)
{
	const char *wrong = wrong_member(peer);
	int r;

	if (wrong)
		return pn_err(err, -EINVAL, "overlay_peer_put", wrong, NULL);
	pthread_mutex_lock(&ov->lock);
	r = put(ov, peer);
	pthread_mutex_unlock(&ov->lock);
	return r < 0 ? pn_err(err, r, "overlay_peer_put", NULL, NULL) : 0;
}

int podnet_overlay_peer_delete(struct podnet_overlay *ov, const struct podnet_prefix *address,
			       uint16_t port)
{
	struct peer **slot, *gone;
	struct listed all;

	pthread_mutex_lock(&ov->lock);
	slot = find(ov, address, port);
	if (slot) {
		gone = *slot;
		*slot = ov->peers[--ov->npeers];
		changed(ov);
		all = listed(ov);
		pn_fastpath_of_peer(&ov->fastpath, &all, gone->prefixes, gone->nprefixes);
		pn_fastpath_count_end(&ov->fastpath, gone->counters);
		pn_peer_unref(gone);
	}
	pthread_mutex_unlock(&ov->lock);
	return slot ? 0 : -ENOENT;
}

int podnet_overlay_local(struct podnet_overlay *ov, const struct podnet_prefix *local, size_t nlocal,
			 struct podnet_error *err)
{
	struct podnet_prefix *copy, *before;
	struct listed now;
	size_t nbefore;

	if (!prefixes_ok(local, nlocal))
		return pn_err(err, -EINVAL, "overlay_local", "local", NULL);
	copy = malloc(nlocal ? nlocal * sizeof(*copy) : 1);
	if (!copy)
		return pn_err(err, -ENOMEM, "overlay_local", NULL, NULL);
	if (nlocal)
		memcpy(copy, local, nlocal * sizeof(*copy));
	pthread_mutex_lock(&ov->lock);
	before = ov->local;
	nbefore = ov->nlocal;
	ov->local = copy;
	ov->nlocal = nlocal;
	changed(ov);
	now = listed(ov);
	pn_fastpath_of_us(&ov->fastpath, &now, copy, nlocal);
	pn_fastpath_of_us(&ov->fastpath, &now, before, nbefore);
	free(before);
	pthread_mutex_unlock(&ov->lock);
	return 0;
}

/* ---- service ---- */

int podnet_overlay_fd(const struct podnet_overlay *ov, unsigned int queue)
{
	return queue < ov->nqueues ? ov->queues[queue]->epoll : -1;
}

int podnet_overlay_turn(struct podnet_overlay *ov, unsigned int queue)
{
	struct queue *q = ov->queues[queue];
	int in, out;

	pn_refresh(q);
	if (!q->table)
		return -ENOMEM;
	in = pn_queue_in(q);
	out = pn_queue_out(q);
	return out < 0 ? out : in | out;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* Work comes in bursts: looking again costs less than to sleep and to be woken. */
static int look_on(struct podnet_overlay *ov, unsigned int queue)
{
	uint64_t end = now_us() + ov->busy_us;
	int r = 0;

	while (r == 0 && now_us() < end) {
		sched_yield();
		r = podnet_overlay_turn(ov, queue);
	}
	return r;
}

/* Until there is work or an end; @ms -1: for as long as it takes. */
static int wait_for_work(const struct podnet_overlay *ov, const struct queue *q, int ms)
{
	struct pollfd p[] = { { ov->stop, POLLIN, 0 }, { q->tun, POLLIN, 0 }, { q->udp, POLLIN, 0 } };

	/* without memory there is work that cannot be done */
	return poll(p, ms < 0 ? 3 : 1, ms) < 0 && errno != EINTR ? -errno : 0;
}

int podnet_overlay_run(struct podnet_overlay *ov, unsigned int queue, struct podnet_error *err)
{
	int r = queue < ov->nqueues ? 1 : -EINVAL;

	while (r >= 0 && !atomic_load_explicit(&ov->stopping, memory_order_relaxed)) {
		r = podnet_overlay_turn(ov, queue);
		if (r == 1 && ov->busy_us) {
			while (r == 1)
				r = podnet_overlay_turn(ov, queue);
			r = r < 0 ? r : look_on(ov, queue);
		}
		if (r == 0)
			r = wait_for_work(ov, ov->queues[queue], -1);
		else if (r == -ENOMEM)
			r = wait_for_work(ov, ov->queues[queue], RETRY_MS);
	}
	return r < 0 ? pn_err(err, r, "overlay_run", NULL, NULL) : 0;
}

int podnet_overlay_fastpath_underlay(const struct podnet_overlay *ov)
{
	return pn_fastpath_underlay(&ov->fastpath);
}

void podnet_overlay_stop(struct podnet_overlay *ov)
{
	uint64_t one = 1;
	ssize_t n;

	atomic_store(&ov->stopping, true);
	n = write(ov->stop, &one, sizeof(one));     /* is never read: all queues see it */
	(void)n;
}

/* ---- counters ---- */

static const char *const drop_names[PODNET_OVERLAY_DROPS] = {
	[PODNET_OVERLAY_IN_STRANGER] = "in_stranger",
	[PODNET_OVERLAY_IN_MALFORMED] = "in_malformed",
	[PODNET_OVERLAY_IN_SOURCE] = "in_source",
	[PODNET_OVERLAY_IN_DESTINATION] = "in_destination",
	[PODNET_OVERLAY_IN_REFUSED] = "in_refused",
	[PODNET_OVERLAY_OUT_MALFORMED] = "out_malformed",
	[PODNET_OVERLAY_OUT_SOURCE] = "out_source",
	[PODNET_OVERLAY_OUT_NO_PEER] = "out_no_peer",
	[PODNET_OVERLAY_OUT_REFUSED] = "out_refused",
};

const char *podnet_overlay_drop_name(enum podnet_overlay_drop why)
{
	return (unsigned int)why < PODNET_OVERLAY_DROPS ? drop_names[why] : NULL;
}

int podnet_overlay_peer_stats(struct podnet_overlay *ov, const struct podnet_prefix *address,
			      uint16_t port, struct podnet_overlay_peer_stats *ret)
{
	struct peer **slot;

	pthread_mutex_lock(&ov->lock);
	slot = find(ov, address, port);
	if (slot) {
		const struct counters *c = (*slot)->counters;

		*ret = (struct podnet_overlay_peer_stats){
			.in_packets = atomic_load(&c->in_packets), .in_bytes = atomic_load(&c->in_bytes),
			.out_packets = atomic_load(&c->out_packets),
			.out_bytes = atomic_load(&c->out_bytes),
			.in_dropped = atomic_load(&c->in_dropped),
			.out_dropped = atomic_load(&c->out_dropped),
		};
		pn_fastpath_count_add(&ov->fastpath, c, ret);
	}
	pthread_mutex_unlock(&ov->lock);
	return slot ? 0 : -ENOENT;
}

void podnet_overlay_stats(struct podnet_overlay *ov, struct podnet_overlay_stats *ret)
{
	*ret = (struct podnet_overlay_stats){ { 0 } };
	for (unsigned int i = 0; i < ov->nqueues; i++)
		for (int why = 0; why < PODNET_OVERLAY_DROPS; why++)
			ret->dropped[why] += atomic_load(&ov->queues[i]->dropped[why]);
}
