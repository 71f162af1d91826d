/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cluster_raw.c - the least that paths to other nodes can cost, and a look at what is there
 *
 * Room: tests/bench; libmnl only, nothing of libpodnet.
 *
 * What is sent is what netd sends: a route for each block, by the other's address where that is on
 * this node's L2, else through a VXLAN device with an entry of the FDB and a neighbour for each
 * gateway.  256 acks fit a socket's buffer, so batches have 128 messages.
 */
#include "cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTOCOL 142
#define BATCH 128
#define TUNNEL 1000             /* ifindex */
#define UPLINK 1001

static bool on_link(unsigned i)
{
	return i % 2 == 0;
}

static uint32_t address_of(unsigned i)
{
	return htonl(0x0a000000u | (on_link(i) ? 1u : 2u) << 16 | (i / 250 + 1) << 8 | (i % 250 + 1));
}

static uint32_t block4(unsigned i)
{
	return htonl(0x0a800000u + (i + 1) * 1024);
}

static struct in6_addr block6(unsigned i)
{
	struct in6_addr ip = { .s6_addr = { 0xfd, 0x55, [6] = (uint8_t)((i + 1) >> 8), (uint8_t)(i + 1) } };

	return ip;
}

void cluster_texts(unsigned i, char *address, char *v4, char *v6)
{
	uint32_t ip = address_of(i), block = block4(i);
	struct in6_addr six = block6(i);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET, &ip, address, 64);
	snprintf(v4, 64, "%s/22", inet_ntop(AF_INET, &block, text, sizeof(text)));
	snprintf(v6, 64, "%s/64", inet_ntop(AF_INET6, &six, text, sizeof(text)));
}

/* ---- a socket in a namespace ---- */

struct opening {
	int netns;                  /* -1: a new one */
	int bus;
	unsigned groups;
	struct mnl_socket *ret;
};

static void *open_inside(void *arg)
{
	struct opening *o = arg;
	struct mnl_socket *s;

	if (o->netns >= 0 ? setns(o->netns, CLONE_NEWNET) < 0 : unshare(CLONE_NEWNET) < 0)
		return NULL;
	s = mnl_socket_open2(o->bus, SOCK_CLOEXEC);
	if (s && mnl_socket_bind(s, o->groups, MNL_SOCKET_AUTOPID) == 0)
		o->ret = s;
	return NULL;
}

struct mnl_socket *cluster_socket(int netns, int bus, unsigned groups)
{
	struct opening o = { netns, bus, groups, NULL };
	pthread_t thread;

	if (pthread_create(&thread, NULL, open_inside, &o) != 0 || pthread_join(thread, NULL) != 0 ||
	    !o.ret)
		die("cluster: no socket in the namespace");
	return o.ret;
}

/* ---- looking ---- */

struct cluster_eye {
	struct mnl_socket *ask, *hear;
	char buf[65536];
	unsigned seq;
};

struct cluster_eye *cluster_eye_open(int netns)
{
	struct cluster_eye *eye = calloc(1, sizeof(*eye));
	int room = 4 * 1024 * 1024;

	if (!eye)
		die("out of memory");
	eye->ask = cluster_socket(netns, NETLINK_ROUTE, 0);
	eye->hear = cluster_socket(netns, NETLINK_ROUTE, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
	setsockopt(mnl_socket_get_fd(eye->hear), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return eye;
}

void cluster_eye_close(struct cluster_eye *eye)
{
	mnl_socket_close(eye->ask);
	mnl_socket_close(eye->hear);
	free(eye);
}

static int has(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;

	if (mnl_attr_get_type(attr) < 32)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static int count_one(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[32] = { 0 };
	struct cluster_count *c = arg;

	if (nlh->nlmsg_type == RTM_NEWROUTE) {
		const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

		mnl_attr_parse(nlh, sizeof(*rtm), has, tb);
		c->routes += rtm->rtm_protocol == PROTOCOL && (tb[RTA_GATEWAY] || tb[RTA_VIA]);
	}
	if (nlh->nlmsg_type == RTM_NEWNEIGH) {
		const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

		mnl_attr_parse(nlh, sizeof(*ndm), has, tb);
		c->fdb += ndm->ndm_family == AF_BRIDGE && tb[NDA_DST];
		c->neighbours += ndm->ndm_family != AF_BRIDGE && tb[NDA_PROTOCOL] &&
				 mnl_attr_get_u8(tb[NDA_PROTOCOL]) == PROTOCOL &&
				 ndm->ndm_state & NUD_PERMANENT;
	}
	return MNL_CB_OK;
}

/* Torn by a change: what it gathered is looked at again by who waits. */
static void dump(struct cluster_eye *eye, int type, uint8_t family, size_t head, struct cluster_count *c)
{
	char request[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	int r = MNL_CB_OK;

	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++eye->seq;
	*(uint8_t *)mnl_nlmsg_put_extra_header(nlh, head) = family;
	mnl_socket_sendto(eye->ask, nlh, nlh->nlmsg_len);
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(eye->ask, eye->buf, sizeof(eye->buf));
		struct nlmsghdr *at = (void *)eye->buf;
		int left = (int)n;

		if (n <= 0)
			die("cluster: receive: %s", strerror(errno));
		/* libmnl would stop in the middle of a torn dump */
		for (; mnl_nlmsg_ok(at, left); at = mnl_nlmsg_next(at, &left))
			at->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
		r = mnl_cb_run(eye->buf, (size_t)n, eye->seq, 0, count_one, c);
	}
}

struct cluster_count cluster_count(struct cluster_eye *eye)
{
	struct cluster_count c = { 0 };

	dump(eye, RTM_GETROUTE, AF_INET, sizeof(struct rtmsg), &c);
	dump(eye, RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg), &c);
	dump(eye, RTM_GETNEIGH, AF_BRIDGE, sizeof(struct ndmsg), &c);
	dump(eye, RTM_GETNEIGH, AF_INET, sizeof(struct ndmsg), &c);
	dump(eye, RTM_GETNEIGH, AF_INET6, sizeof(struct ndmsg), &c);
	return c;
}

struct awaited {
	uint32_t v4;
	struct in6_addr v6;
	unsigned seen;
};

static int hear_one(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[32] = { 0 };
	struct awaited *a = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(struct rtmsg), has, tb);
	if (!tb[RTA_DST])
		return MNL_CB_OK;
	if (mnl_attr_get_payload_len(tb[RTA_DST]) == 4)
		a->seen |= memcmp(mnl_attr_get_payload(tb[RTA_DST]), &a->v4, 4) == 0 ? 1 : 0;
	else
		a->seen |= memcmp(mnl_attr_get_payload(tb[RTA_DST]), &a->v6, 16) == 0 ? 2 : 0;
	return MNL_CB_OK;
}

/* Its buffer may have been full, and then what is told next would be lost. */
void cluster_drain(struct cluster_eye *eye)
{
	int fd = mnl_socket_get_fd(eye->hear);

	while (recv(fd, eye->buf, sizeof(eye->buf), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
}

void cluster_await(struct cluster_eye *eye, unsigned i)
{
	struct awaited a = { .v4 = block4(i), .v6 = block6(i) };

	while (a.seen != 3) {
		ssize_t n = mnl_socket_recvfrom(eye->hear, eye->buf, sizeof(eye->buf));

		if (n < 0 && errno != ENOBUFS)
			die("cluster: receive: %s", strerror(errno));
		if (n > 0)
			mnl_cb_run(eye->buf, (size_t)n, 0, 0, hear_one, &a);
	}
}

/* ---- the floor ---- */

struct raw {
	struct mnl_socket *s;
	struct mnl_nlmsg_batch *batch;
	char buf[65536], answer[65536];
	unsigned seq, waiting;
};

static void flush(struct raw *r)
{
	if (!r->waiting)
		return;
	if (mnl_socket_sendto(r->s, mnl_nlmsg_batch_head(r->batch), mnl_nlmsg_batch_size(r->batch)) < 0)
		die("cluster: send: %s", strerror(errno));
	mnl_nlmsg_batch_reset(r->batch);
	while (r->waiting) {
		ssize_t n = mnl_socket_recvfrom(r->s, r->answer, sizeof(r->answer));
		struct nlmsghdr *nlh = (void *)r->answer;
		int left = (int)n;

		if (n < 0)
			die("cluster: acks: %s", strerror(errno));
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left), r->waiting--) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR || err->error)
				die("cluster: refused: %s", strerror(-err->error));
		}
	}
}

static struct nlmsghdr *message(struct raw *r, int type, int flags, const void *head, size_t len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(r->batch));

	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	nlh->nlmsg_seq = ++r->seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), head, len);
	return nlh;
}

static void next(struct raw *r)
{
	mnl_nlmsg_batch_next(r->batch);
	if (++r->waiting == BATCH)
		flush(r);
}

static void link_of(struct raw *r, const char *name, uint32_t index, const char *kind, uint32_t id)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nlmsghdr *nlh = message(r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	struct nlattr *info, *data;
	uint16_t port = htons(4789);

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	if (id) {
		data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
		mnl_attr_put_u32(nlh, IFLA_VXLAN_ID, id);
		mnl_attr_put_u8(nlh, IFLA_VXLAN_LEARNING, 0);
		mnl_attr_put(nlh, IFLA_VXLAN_PORT, sizeof(port), &port);
		mnl_attr_nest_end(nlh, data);
	}
	mnl_attr_nest_end(nlh, info);
	next(r);
}

static void address(struct raw *r, uint32_t index, uint32_t ip, uint8_t len)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET, .ifa_prefixlen = len, .ifa_index = index };
	struct nlmsghdr *nlh = message(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa, sizeof(ifa));

	mnl_attr_put_u32(nlh, IFA_LOCAL, ip);
	mnl_attr_put_u32(nlh, IFA_ADDRESS, ip);
	next(r);
}

static void route(struct raw *r, int family, const void *dst, uint8_t len, const void *via, uint32_t index,
		  bool onlink)
{
	struct rtmsg rtm = {
		.rtm_family = (uint8_t)family, .rtm_dst_len = len, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = PROTOCOL, .rtm_type = RTN_UNICAST, .rtm_flags = onlink ? RTNH_F_ONLINK : 0,
	};
	size_t size = family == AF_INET ? 4 : 16;
	struct nlmsghdr *nlh = message(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm, sizeof(rtm));

	mnl_attr_put(nlh, RTA_DST, size, dst);
	mnl_attr_put(nlh, RTA_GATEWAY, size, via);
	mnl_attr_put_u32(nlh, RTA_OIF, index);
	next(r);
}

static void neighbour(struct raw *r, int family, const void *dst, size_t size, const uint8_t mac[6])
{
	struct ndmsg ndm = {
		.ndm_family = (uint8_t)family, .ndm_ifindex = TUNNEL,
		.ndm_state = NUD_PERMANENT | (family == AF_BRIDGE ? NUD_NOARP : 0),
		.ndm_flags = family == AF_BRIDGE ? NTF_SELF : 0,
	};
	struct nlmsghdr *nlh = message(r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &ndm, sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, size, dst);
	mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	next(r);
}

static void node(struct raw *r, unsigned i)
{
	uint8_t mac[6] = { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };
	struct in6_addr six = block6(i), via = { .s6_addr = { 0xfe, 0x80, [14] = mac[4], mac[5] } };
	uint32_t ip = address_of(i), four = block4(i);

	via.s6_addr[8] = 2;
	neighbour(r, AF_BRIDGE, &ip, 4, mac);
	neighbour(r, AF_INET6, &via, 16, mac);
	if (!on_link(i))
		neighbour(r, AF_INET, &four, 4, mac);
	route(r, AF_INET, &four, 22, on_link(i) ? &ip : &four, on_link(i) ? UPLINK : TUNNEL, !on_link(i));
	route(r, AF_INET6, &six, 64, &via, TUNNEL, true);
}

static struct raw *new_namespace(void)
{
	struct raw *r = calloc(1, sizeof(*r));

	if (!r)
		die("out of memory");
	r->s = cluster_socket(-1, NETLINK_ROUTE, 0);
	r->batch = mnl_nlmsg_batch_start(r->buf, sizeof(r->buf) / 2);
	link_of(r, "uplink", UPLINK, "bridge", 0);
	address(r, UPLINK, htonl(0x0a01000a), 16);
	link_of(r, "tunnel", TUNNEL, "vxlan", 142);
	address(r, TUNNEL, htonl(0x0a800001), 32);
	flush(r);
	return r;
}

void raw_close(struct raw *r)
{
	mnl_nlmsg_batch_stop(r->batch);
	mnl_socket_close(r->s);
	free(r);
}

static void nodes(struct raw *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		node(r, i);
	flush(r);
}

double cluster_raw(unsigned n)
{
	struct raw *r = new_namespace();
	uint64_t start = now_ns();
	double took;

	nodes(r, n);
	took = ms_since(start);
	raw_close(r);
	return took;
}

struct raw *raw_open(unsigned n)
{
	struct raw *r = new_namespace();

	nodes(r, n);
	return r;
}

double raw_one(struct raw *r, unsigned i)
{
	uint64_t start = now_ns();

	node(r, i);
	flush(r);
	return ms_since(start);
}
