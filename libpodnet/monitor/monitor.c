/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor.c - what changed in the kernel, as a pollable descriptor
 *
 * Room: two listening sockets behind one epoll descriptor, and the ids that other namespaces have
 * in ours.  Changes nothing but those ids.  May include: libpodnet/netns, nl, base, libmnl, linux/.
 *
 * "ours" is told by the port id of the socket that asked for a change.  Port ids are unique per
 * namespace and protocol only, so a stranger's socket in another namespace may carry one of ours:
 * rare, and an event is a hint.
 *
 * One commit to nf_tables sends many messages.  They are folded: one event for each run of
 * messages up to NEWGEN, so that loading ten thousand elements is one event and not thousands.
 * Folding ends with each read, so a commit that is still being told becomes two events at most.
 * #syscalls: recvmsg fstat newfstatat statx close
 */
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libpodnet/base/base.h>
#include <libpodnet/netns/netns.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MONITOR_RCVBUF (8 * 1024 * 1024)
#define MONITOR_DATAGRAM (32 * 1024)
#define MONITOR_BURST 8192          /* datagrams of one socket in one read */

struct podnet_monitor {
	struct podnet *ctx;
	struct nl rt, nft;          /* nft.fd is -1 where the kernel has no nf_tables */
	int epoll_fd;
	int32_t own_nsid;           /* the id that our own namespace has in itself; or -1 */
	char table[32];             /* our nf_tables table */
	bool nft_pending;
	struct podnet_event nft_ev;
	uint8_t buf[MONITOR_DATAGRAM] __attribute__((aligned(8)));
};

DEFINE_CLEANUP(struct podnet_monitor, podnet_monitor_close)

struct delivery {
	void (*each)(const struct podnet_event *ev, void *arg);
	void *arg;
	int n;
};

static void deliver(struct delivery *d, const struct podnet_event *ev)
{
	d->each(ev, d->arg);
	d->n++;
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_route(struct podnet_monitor *mon)
{
	static const uint32_t groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH,
		RTNLGRP_TC, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
	};
	int on = 1, r = nl_listen(&mon->rt, NETLINK_ROUTE, groups, ARRAY_SIZE(groups),
				  MONITOR_RCVBUF);

	if (r < 0)
		return r;
	/* without it, events of our own namespace only */
	setsockopt(mon->rt.fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on));
	return watch(mon->epoll_fd, mon->rt.fd);
}

static int open_nft(struct podnet_monitor *mon)
{
	static const uint32_t groups[] = { NFNLGRP_NFTABLES };
	int r = nl_listen(&mon->nft, NETLINK_NETFILTER, groups, ARRAY_SIZE(groups),
			  MONITOR_RCVBUF);

	/* a kernel without netfilter has nothing to tell */
	if (r == -EPROTONOSUPPORT || r == -ENOENT || r == -EINVAL)
		return 0;
	return r < 0 ? r : watch(mon->epoll_fd, mon->nft.fd);
}

static int open_here(void *arg)
{
	struct podnet_monitor *mon = arg;
	int r = open_route(mon);

	return r < 0 ? r : open_nft(mon);
}

struct nsid_request {
	struct nlmsghdr nlh;
	struct rtgenmsg gen;
	uint8_t pad[3];
	struct nlattr fd_hdr;
	uint32_t fd;
	struct nlattr id_hdr;
	int32_t id;
};

static void nsid_request(struct nsid_request *q, uint16_t type, int fd)
{
	*q = (struct nsid_request){
		.nlh = { .nlmsg_type = type },
		.fd_hdr = { NLA_HDRLEN + sizeof(q->fd), NETNSA_FD },
		.fd = (uint32_t)fd,
		.id_hdr = { NLA_HDRLEN + sizeof(q->id), NETNSA_NSID },
		.id = NETNSA_NSID_NOT_ASSIGNED,
	};
	/* a request for an id may not hold one: the last attribute is left out */
	q->nlh.nlmsg_len = type == RTM_GETNSID ? offsetof(struct nsid_request, id_hdr) :
						 sizeof(*q);
}

static int nsid_attr(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == NETNSA_NSID && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
		*(int32_t *)data = (int32_t)mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_nsid(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWNSID)
		mnl_attr_parse(nlh, NLMSG_ALIGN(sizeof(struct rtgenmsg)), nsid_attr, arg);
	return 0;
}

static int nsid_of(struct podnet *ctx, int fd, int32_t *ret, struct podnet_error *err)
{
	struct nsid_request q;

	*ret = NETNSA_NSID_NOT_ASSIGNED;
	nsid_request(&q, RTM_GETNSID, fd);
	return nl_get(&ctx->rt, &q.nlh, on_nsid, ret, err);
}

static int assign(struct podnet *ctx, int fd, struct podnet_error *err)
{
	struct nsid_request q;
	int r;

	nsid_request(&q, RTM_NEWNSID, fd);
	r = nl_get(&ctx->rt, &q.nlh, on_nsid, &(int32_t){ 0 }, err);
	return r == -EEXIST ? 0 : r;        /* somebody was faster: it has one */
}

static int monitor_new(struct podnet *ctx, struct podnet_monitor **ret, struct podnet_error *err)
{
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = calloc(1, sizeof(*mon));
	bool daemon = strcmp(ctx->owner, "netd") == 0;
	int r;

	if (!mon)
		return pn_err(err, -ENOMEM, "monitor_open", NULL, NULL);
	mon->ctx = ctx;
	mon->rt.fd = mon->nft.fd = -1;
	mon->own_nsid = -1;
	snprintf(mon->table, sizeof(mon->table), daemon ? "podnet%s" : "podnet-%s",
		 daemon ? "" : ctx->owner);
	mon->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (mon->epoll_fd < 0)
		return pn_err(err, -errno, "monitor_open", NULL, NULL);
	r = pn_in_netns(ctx->netns_fd, open_here, mon);
	if (r < 0)
		return pn_err(err, r, "monitor_open", NULL, NULL);
	*ret = take_ptr(mon);
	return 0;
}

int podnet_monitor_open(struct podnet *ctx, struct podnet_monitor **ret, struct podnet_error *err)
{
	_cleanup_(podnet_monitor_closep) struct podnet_monitor *mon = NULL;
	int r = monitor_new(ctx, &mon, err);

	/*
	 * Asking for a link of another namespace whose other end is here gives ours an id in itself
	 * (rtnl_fill_link_netnsid()), and from then on our own events carry that.  So it has one
	 * before anybody listens; who may not give it, does not ask for such links either.
	 */
	if (r == 0)
		assign(ctx, ctx->netns_fd, NULL);
	if (r == 0)
		r = nsid_of(ctx, ctx->netns_fd, &mon->own_nsid, err);
	if (r < 0)
		return r;
	ctx->nft_ears = mon->nft.fd;
	*ret = take_ptr(mon);
	return 0;
}

void podnet_monitor_close(struct podnet_monitor *mon)
{
	if (!mon)
		return;
	if (mon->ctx->nft_ears == mon->nft.fd)
		mon->ctx->nft_ears = -1;
	nl_close(&mon->rt);
	nl_close(&mon->nft);
	closep(&mon->epoll_fd);
	free(mon);
}

int podnet_monitor_fd(const struct podnet_monitor *mon)
{
	return mon->epoll_fd;
}

/* one datagram and the id of its namespace; 0 when nothing waits */
static ssize_t receive(struct podnet_monitor *mon, int fd, int32_t *nsid)
{
	union { struct cmsghdr hdr; char room[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { .iov_base = mon->buf, .iov_len = sizeof(mon->buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -ENOBUFS;            /* part of it is lost all the same */
	*nsid = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(nsid, CMSG_DATA(c), sizeof(*nsid));
	}
	if (*nsid == mon->own_nsid)
		*nsid = -1;
	return n;
}

static void flush_nft(struct podnet_monitor *mon, struct delivery *d)
{
	if (mon->nft_pending)
		deliver(d, &mon->nft_ev);
	mon->nft_pending = false;
}

static void fold_nft(struct podnet_monitor *mon, const struct nlmsghdr *nlh,
		     const struct pn_notice *n, struct delivery *d)
{
	if (!mon->nft_pending) {
		mon->nft_ev = n->ev;
		mon->nft_ev.alias = "";
		mon->nft_pending = true;
	} else {
		mon->nft_ev.table |= n->ev.table;
		mon->nft_ev.deleted |= n->ev.deleted;
		mon->nft_ev.ours &= n->ev.ours;
	}
	if ((nlh->nlmsg_type & 0xff) == NFT_MSG_NEWGEN)
		flush_nft(mon, d);
}

static void on_message(struct podnet_monitor *mon, bool nft, const struct nlmsghdr *nlh,
		       int32_t nsid, struct delivery *d)
{
	struct pn_notice n;

	memset(&n.ev, 0, sizeof(n.ev));
	n.ev.peer_nsid = -1;
	n.alias[0] = '\0';
	n.portid = 0;
	n.table = mon->table;
	if (nft ? !pn_notice_nft(nlh, &n) : !pn_notice_route(nlh, &n))
		return;
	n.ev.nsid = nsid;
	n.ev.alias = n.alias;
	n.ev.ours = pn_context_owns(mon->ctx, n.portid) ||
		    (nft && n.portid && n.portid == mon->ctx->nft.portid);
	if (nft)
		fold_nft(mon, nlh, &n, d);
	else
		deliver(d, &n.ev);
}

static int read_socket(struct podnet_monitor *mon, struct nl *nl, struct delivery *d)
{
	const struct podnet_event overrun = {
		.type = PODNET_EVENT_OVERRUN, .nsid = -1, .alias = "",
	};
	int32_t nsid = -1;
	ssize_t left;

	/* bounded, for a busy kernel could keep us here: what is left wakes the caller again */
	for (int i = 0; i < MONITOR_BURST; i++) {
		const struct nlmsghdr *nlh = (const void *)mon->buf;

		left = receive(mon, nl->fd, &nsid);
		if (left == 0)
			break;
		if (left < 0 && left != -ENOBUFS)
			return (int)left;
		if (left < 0)
			deliver(d, &overrun);
		while (left > 0 && mnl_nlmsg_ok(nlh, (int)left)) {
			on_message(mon, nl == &mon->nft, nlh, nsid, d);
			left -= NLMSG_ALIGN(nlh->nlmsg_len);
			nlh = (const void *)((const uint8_t *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
		}
	}
	return 0;
}

int podnet_monitor_read(struct podnet_monitor *mon,
			void (*each)(const struct podnet_event *ev, void *arg), void *arg,
			struct podnet_error *err)
{
	struct delivery d = { .each = each, .arg = arg };
	int r = read_socket(mon, &mon->rt, &d);

	if (r == 0 && mon->nft.fd >= 0)
		r = read_socket(mon, &mon->nft, &d);
	flush_nft(mon, &d);
	return r < 0 ? pn_err(err, r, "monitor_read", NULL, NULL) : d.n;
}

int podnet_nsid(struct podnet *ctx, const char *netns, struct podnet_error *err)
{
	_cleanup_close_ int fd = -1;
	int32_t id = -1;
	struct stat st;
	int r = pn_netns_resolve(ctx, netns, &fd, err);

	if (r < 0)
		return r;
	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_ino == ctx->netns_ino))
		return pn_err(err, -EINVAL, "nsid", "netns", NULL);     /* -1 is our own */
	r = nsid_of(ctx, fd, &id, err);
	if (r < 0 || id >= 0)
		return r < 0 ? r : id;
	r = assign(ctx, fd, err);
	if (r == 0)
		r = nsid_of(ctx, fd, &id, err);
	if (r < 0 || id >= 0)
		return r < 0 ? r : id;
	return pn_err(err, -ENODATA, "nsid", "netns", NULL);
}
