/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * floor.c - the least a pod can cost: raw netlink with every index chosen
 *
 * Room: tests/bench; libmnl only, nothing of libpodnet.
 *
 * It makes the same kernel objects as a routed dual-stack pod of libpodnet: a helper thread does
 * unshare(CLONE_NEWNET), opens its socket there and pins the namespace; then one batch on the
 * host's long-lived socket (veth with its peer born in the pod, mark, no address generation, up, a
 * route and a neighbour a family), and one in the pod (lo and eth0 up, address, neighbour and
 * default route a family), and RTM_GETLINK of both ends, which waits until the carrier has settled.
 * Detaching is the host's routes, which would go with the link, a lazy umount and an unlink; the
 * kernel does the rest later.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define PROTOCOL 142
#define POD_INDEX 2             /* eth0: lo has 1 in every namespace */

struct floor {
	struct mnl_socket *host;
	char *buf;
	struct mnl_nlmsg_batch *batch;
	unsigned requests, seq, index;
};

/** What the helper thread makes. */
struct born {
	const char *path;
	struct mnl_socket *pod;     /* socket inside; only when @want_socket */
	int fd;
	bool want_socket;
	int error;
};

void place_of(unsigned way, unsigned i, struct place *ret)
{
	*ret = (struct place){ 0 };
	snprintf(ret->name, sizeof(ret->name), "w%u-%u", way, i);
	snprintf(ret->link, sizeof(ret->link), "bw%u-%u", way, i);
	ret->ip4.s_addr = htonl(0x0a800000u | way << 16 | (i & 0xffff));
	ret->ip6.s6_addr[0] = 0xfd;
	ret->ip6.s6_addr[11] = (uint8_t)way;
	ret->ip6.s6_addr[14] = (uint8_t)(i >> 8);
	ret->ip6.s6_addr[15] = (uint8_t)i;
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
		return s;
	return NULL;
}

static void *make_netns(void *arg)
{
	struct born *b = arg;
	int pin;

	if (unshare(CLONE_NEWNET) < 0)
		goto failed;
	if (b->want_socket && !(b->pod = open_socket()))
		goto failed;
	b->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	pin = open(b->path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	if (b->fd < 0 || pin < 0)
		goto failed;
	close(pin);
	if (mount("/proc/thread-self/ns/net", b->path, "none", MS_BIND, NULL) < 0)
		goto failed;
	return NULL;
failed:
	b->error = errno;
	return NULL;
}

static void born_in_thread(struct born *b)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, make_netns, b) != 0 || pthread_join(thread, NULL) != 0)
		die("floor: no thread");
	if (b->error)
		die("floor: %s: %s", b->path, strerror(b->error));
}

void floor_netns(const char *path)
{
	struct born b = { .path = path };

	born_in_thread(&b);
	close(b.fd);
}

static struct nlmsghdr *message(struct floor *f, int type, int flags, const void *body, size_t len)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(f->batch));

	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	nlh->nlmsg_seq = ++f->seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), body, len);
	return nlh;
}

static void next(struct floor *f)
{
	f->requests++;
	if (!mnl_nlmsg_batch_next(f->batch))
		die("floor: batch too long");
}

static void await_acks(struct mnl_socket *s, unsigned want)
{
	char buf[32768];

	while (want) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		int left = (int)n;
		struct nlmsghdr *nlh;

		if (n < 0)
			die("floor: receive: %s", strerror(errno));
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;           /* the link that GETLINK asked for */
			if (e->error)
				die("floor: request type %u: %s", e->msg.nlmsg_type,
				    strerror(-e->error));
			want--;
		}
	}
}

static void put_end(struct nlmsghdr *nlh, const char *name, uint8_t last)
{
	const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, last };

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, 1);
}

static void put_veth(struct floor *f, const char *name, unsigned index, int pod_fd)
{
	struct ifinfomsg host = { .ifi_index = (int)index }, pod = { .ifi_index = POD_INDEX };
	struct nlmsghdr *nlh = message(f, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &host,
				       sizeof(host));
	struct nlattr *info, *data, *peer;

	put_end(nlh, name, 1);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(pod)), &pod, sizeof(pod));
	put_end(nlh, "eth0", 2);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)pod_fd);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	next(f);
}

/* Address generation off before the link is up: after it the pod has already sent. */
static void put_values(struct floor *f, unsigned index, const char *alias)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct nlmsghdr *nlh = message(f, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	struct nlattr *spec, *af;

	if (alias)
		mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	af = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, af);
	mnl_attr_nest_end(nlh, spec);
	next(f);
}

static void put_up(struct floor *f, unsigned index)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index, .ifi_flags = IFF_UP,
				 .ifi_change = IFF_UP };

	message(f, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	next(f);
}

static void put_settle(struct floor *f, unsigned index)
{
	struct ifinfomsg ifi = { .ifi_index = (int)index };
	struct nlmsghdr *nlh = message(f, RTM_GETLINK, 0, &ifi, sizeof(ifi));

	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	next(f);
}

static void put_addr(struct floor *f, uint8_t family, const void *ip, size_t len)
{
	struct ifaddrmsg ifa = { .ifa_family = family, .ifa_prefixlen = (uint8_t)(len * 8),
				 .ifa_index = POD_INDEX };
	struct nlmsghdr *nlh = message(f, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa,
				       sizeof(ifa));
	uint32_t flags = IFA_F_PERMANENT | IFA_F_NODAD;

	mnl_attr_put(nlh, IFA_LOCAL, len, ip);
	mnl_attr_put(nlh, IFA_ADDRESS, len, ip);
	mnl_attr_put_u32(nlh, IFA_FLAGS,
			 flags | (family == AF_INET6 ? IFA_F_NOPREFIXROUTE : 0));
	next(f);
}

static void put_neigh(struct floor *f, uint8_t family, const void *ip, size_t len, unsigned index,
		      uint8_t last)
{
	const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, last };
	struct ndmsg ndm = { .ndm_family = family, .ndm_ifindex = (int)index,
			     .ndm_state = NUD_PERMANENT };
	struct nlmsghdr *nlh = message(f, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &ndm,
				       sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, len, ip);
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(mac), mac);
	mnl_attr_put_u8(nlh, NDA_PROTOCOL, PROTOCOL);
	next(f);
}

/* @dst NULL: the default route, by @via; else the host route of the pod. */
static void put_route(struct floor *f, int type, uint8_t family, const void *dst, const void *via,
		      size_t len, unsigned index)
{
	struct rtmsg rtm = {
		.rtm_family = family, .rtm_dst_len = (uint8_t)(dst ? len * 8 : 0),
		.rtm_table = RT_TABLE_MAIN, .rtm_protocol = PROTOCOL, .rtm_type = RTN_UNICAST,
		.rtm_scope = dst ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_flags = via ? RTNH_F_ONLINK : 0,
	};
	int flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *nlh = message(f, type, flags, &rtm, sizeof(rtm));

	if (dst)
		mnl_attr_put(nlh, RTA_DST, len, dst);
	if (via)
		mnl_attr_put(nlh, RTA_GATEWAY, len, via);
	if (index)
		mnl_attr_put_u32(nlh, RTA_OIF, index);
	next(f);
}

static void send_batch(struct floor *f, struct mnl_socket *s, unsigned n)
{
	if (mnl_socket_sendto(s, mnl_nlmsg_batch_head(f->batch),
			      mnl_nlmsg_batch_size(f->batch)) < 0)
		die("floor: send: %s", strerror(errno));
	await_acks(s, n);
	mnl_nlmsg_batch_reset(f->batch);
}

static void attach_host(struct floor *f, const struct place *p, unsigned index, int pod_fd)
{
	unsigned before = f->requests;
	char alias[96];

	snprintf(alias, sizeof(alias), "podnet:floor:%s", p->name);
	put_veth(f, p->link, index, pod_fd);
	put_values(f, index, alias);
	put_up(f, index);
	put_route(f, RTM_NEWROUTE, AF_INET, &p->ip4, NULL, 4, index);
	put_route(f, RTM_NEWROUTE, AF_INET6, &p->ip6, NULL, 16, index);
	put_neigh(f, AF_INET, &p->ip4, 4, index, 2);
	put_neigh(f, AF_INET6, &p->ip6, 16, index, 2);
	send_batch(f, f->host, f->requests - before);
}

static void attach_pod(struct floor *f, const struct place *p, struct mnl_socket *pod)
{
	unsigned before = f->requests;
	struct in_addr gw4;
	struct in6_addr gw6;

	inet_pton(AF_INET, "169.254.1.1", &gw4);
	inet_pton(AF_INET6, "fe80::1", &gw6);
	put_up(f, 1);
	put_values(f, POD_INDEX, NULL);
	put_up(f, POD_INDEX);
	put_addr(f, AF_INET, &p->ip4, 4);
	put_addr(f, AF_INET6, &p->ip6, 16);
	put_neigh(f, AF_INET, &gw4, 4, POD_INDEX, 1);
	put_neigh(f, AF_INET6, &gw6, 16, POD_INDEX, 1);
	put_route(f, RTM_NEWROUTE, AF_INET, NULL, &gw4, 4, POD_INDEX);
	put_route(f, RTM_NEWROUTE, AF_INET6, NULL, &gw6, 16, POD_INDEX);
	put_settle(f, POD_INDEX);
	send_batch(f, pod, f->requests - before);
}

void floor_attach(struct floor *f, const struct place *p)
{
	char path[128];
	struct born b = { .path = path, .want_socket = true };
	unsigned before;

	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	born_in_thread(&b);
	f->index++;
	f->requests = 0;
	attach_host(f, p, f->index, b.fd);
	attach_pod(f, p, b.pod);
	before = f->requests;
	put_settle(f, f->index);
	send_batch(f, f->host, f->requests - before);
	mnl_socket_close(b.pod);
	close(b.fd);
}

void floor_detach(struct floor *f, const struct place *p)
{
	unsigned kept = f->requests;
	char path[128];

	put_route(f, RTM_DELROUTE, AF_INET, &p->ip4, NULL, 4, 0);
	put_route(f, RTM_DELROUTE, AF_INET6, &p->ip6, NULL, 16, 0);
	send_batch(f, f->host, 2);
	f->requests = kept;
	snprintf(path, sizeof(path), "/run/netns/%s", p->name);
	if (umount2(path, MNT_DETACH) < 0 || unlink(path) < 0)
		die("floor: %s: %s", path, strerror(errno));
}

unsigned floor_requests(const struct floor *f)
{
	return f->requests;
}

struct floor *floor_open(void)
{
	struct floor *f = calloc(1, sizeof(*f));

	if (!f || !(f->buf = malloc(65536)) || !(f->host = open_socket()))
		die("floor: no memory or no socket");
	f->batch = mnl_nlmsg_batch_start(f->buf, 32768);
	f->index = 100000;          /* away from what the kernel gives out by itself */
	return f;
}

void floor_close(struct floor *f)
{
	mnl_nlmsg_batch_stop(f->batch);
	mnl_socket_close(f->host);
	free(f->buf);
	free(f);
}
