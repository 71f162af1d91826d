/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.c - quick looks at the kernel: a few microseconds a question
 *
 * Room: tests/bench; libmnl only.  It answers "is it repaired?" without libpodnet, which is what is
 * being tested.
 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct probe {
	struct mnl_socket *rt, *nf;
	unsigned seq;
	int netns;                  /* while it is being opened */
	char buf[1024];             /* the question */
	char answer[65536];
};

static struct mnl_socket *open_socket(int bus)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);

	return s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 ? s : NULL;
}

static void *open_inside(void *arg)
{
	struct probe *p = arg;

	if (setns(p->netns, CLONE_NEWNET) < 0)
		return NULL;
	p->rt = open_socket(NETLINK_ROUTE);
	p->nf = open_socket(NETLINK_NETFILTER);
	return NULL;
}

struct probe *probe_open(const char *path, int fd)
{
	struct probe *p = calloc(1, sizeof(*p));
	pthread_t thread;

	if (!p)
		die("out of memory");
	p->netns = path ? open(path, O_RDONLY | O_CLOEXEC) : fd;
	if (p->netns >= 0 && pthread_create(&thread, NULL, open_inside, p) == 0)
		pthread_join(thread, NULL);
	if (path && p->netns >= 0)
		close(p->netns);
	if (p->rt && p->nf)
		return p;
	probe_close(p);
	return NULL;
}

void probe_close(struct probe *p)
{
	if (!p)
		return;
	if (p->rt)
		mnl_socket_close(p->rt);
	if (p->nf)
		mnl_socket_close(p->nf);
	free(p);
}

static void *start(struct probe *p, struct nlmsghdr **nlh, int type, int flags, size_t len)
{
	*nlh = mnl_nlmsg_put_header(p->buf);
	(*nlh)->nlmsg_type = (uint16_t)type;
	(*nlh)->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	(*nlh)->nlmsg_seq = ++p->seq;
	return mnl_nlmsg_put_extra_header(*nlh, len);
}

/* One try.  Return: 0, or the kernel's refusal, or -EINTR when a dump was interrupted by a change. */
static int ask_once(struct probe *p, struct mnl_socket *s, mnl_cb_t each, void *arg)
{
	unsigned port = mnl_socket_get_portid(s);
	bool dump = ((struct nlmsghdr *)p->buf)->nlmsg_flags & NLM_F_DUMP;
	bool torn = false;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(s, p->buf, ((struct nlmsghdr *)p->buf)->nlmsg_len) < 0)
		die("probe: send: %s", strerror(errno));
	do {
		ssize_t n = mnl_socket_recvfrom(s, p->answer, sizeof(p->answer));
		struct nlmsghdr *nlh = (void *)p->answer;
		int left = (int)n;

		if (n < 0)
			die("probe: receive: %s", strerror(errno));
		/* libmnl stops in the middle of a torn dump; read it to its end, or the next
		 * question would get the rest of this answer */
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			torn |= !!(nlh->nlmsg_flags & NLM_F_DUMP_INTR);
			nlh->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
		}
		r = mnl_cb_run(p->answer, (size_t)n, p->seq, port, each, arg);
		if (r < 0)
			return -errno;
	} while (dump && r > MNL_CB_STOP);
	return torn ? -EINTR : 0;
}

/*
 * Send what was built in p->buf and hand each answer to @each; @arg (of @size) starts afresh with
 * every try.  Return: false when the kernel says that there is no such thing.  Anything else is
 * fatal: a question that was not answered must not pass for "gone".
 */
static bool ask(struct probe *p, struct mnl_socket *s, mnl_cb_t each, void *arg, size_t size)
{
	char first[64];
	int r = -EINTR, i;

	if (size > sizeof(first))
		die("probe: an answer of %zu bytes", size);
	memcpy(first, arg, size);
	for (i = 0; i < 1000 && r == -EINTR; i++) {
		memcpy(arg, first, size);
		r = ask_once(p, s, each, arg);
	}
	if (r == 0)
		return true;
	if (r == -ENODEV || r == -ENOENT || r == -ENETUNREACH || r == -EHOSTUNREACH || r == -ESRCH)
		return false;
	die("probe: %s", strerror(-r));
}

static int parse_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct probe_link *l = arg;
	const struct nlattr *attr;

	*l = (struct probe_link){ .there = true, .index = (unsigned)ifi->ifi_index,
				  .flags = ifi->ifi_flags };
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		if (mnl_attr_get_type(attr) == IFLA_MTU)
			l->mtu = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			snprintf(l->name, sizeof(l->name), "%.15s", mnl_attr_get_str(attr));
		else if (mnl_attr_get_type(attr) == IFLA_MASTER)
			l->master = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

struct probe_link probe_link(struct probe *p, const char *name)
{
	struct probe_link l = { 0 };
	struct nlmsghdr *nlh;

	start(p, &nlh, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	ask(p, p->rt, parse_link, &l, sizeof(l));
	return l;
}

struct probe_link probe_link_index(struct probe *p, unsigned index)
{
	struct probe_link l = { 0 };
	struct nlmsghdr *nlh;
	struct ifinfomsg *ifi = start(p, &nlh, RTM_GETLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)index;
	ask(p, p->rt, parse_link, &l, sizeof(l));
	return l;
}

/** What RTM_GETROUTE said. */
struct hop {
	bool there;
	unsigned len, oif;
};

static int parse_hop(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct hop *hop = arg;

	hop->there = rtm->rtm_type == RTN_UNICAST;
	hop->len = rtm->rtm_dst_len;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_OIF)
			hop->oif = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static struct hop lookup(struct probe *p, struct in_addr ip)
{
	struct hop hop = { 0 };
	struct nlmsghdr *nlh;
	struct rtmsg *rtm = start(p, &nlh, RTM_GETROUTE, 0, sizeof(*rtm));

	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 32;
	rtm->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(nlh, RTA_DST, sizeof(ip), &ip);
	ask(p, p->rt, parse_hop, &hop, sizeof(hop));
	return hop;
}

unsigned probe_route(struct probe *p, struct in_addr ip)
{
	struct hop hop = lookup(p, ip);

	return hop.there && hop.len == 32 ? hop.oif : 0;
}

bool probe_reaches(struct probe *p, struct in_addr ip)
{
	return lookup(p, ip).there;
}

/** Looking for one address in a dump. */
struct sought {
	unsigned index;
	struct in_addr ip;
	bool found;
};

static int match_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct sought *s = arg;
	const struct nlattr *attr;

	if (ifa->ifa_index != s->index)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
		if (mnl_attr_get_type(attr) == IFA_LOCAL &&
		    !memcmp(mnl_attr_get_payload(attr), &s->ip, sizeof(s->ip)))
			s->found = true;
	return MNL_CB_OK;
}

bool probe_has_addr(struct probe *p, unsigned index, struct in_addr ip)
{
	struct sought s = { .index = index, .ip = ip };
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa = start(p, &nlh, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));

	ifa->ifa_family = AF_INET;
	return ask(p, p->rt, match_addr, &s, sizeof(s)) && s.found;
}

static int seen(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	*(bool *)arg = true;
	return MNL_CB_OK;
}

bool probe_nft_table(struct probe *p, const char *name)
{
	bool there = false;
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg = start(p, &nlh, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0,
				     sizeof(*nfg));

	nfg->nfgen_family = 1;      /* NFPROTO_INET */
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	return ask(p, p->nf, seen, &there, sizeof(there)) && there;
}

static int count_link(const struct nlmsghdr *nlh, void *arg)
{
	struct probe_count *c = arg;

	(void)nlh;
	c->links++;
	return MNL_CB_OK;
}

/** What routes are counted. */
struct counted {
	uint8_t protocol;
	unsigned n;
};

static int count_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct counted *c = arg;
	bool host = rtm->rtm_dst_len == (rtm->rtm_family == AF_INET ? 32 : 128);

	c->n += host && rtm->rtm_protocol == c->protocol && rtm->rtm_type == RTN_UNICAST;
	return MNL_CB_OK;
}

struct probe_count probe_count(struct probe *p, uint8_t protocol)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct counted routes = { .protocol = protocol };
	struct probe_count c = { 0 };
	struct nlmsghdr *nlh;
	size_t i;

	start(p, &nlh, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	ask(p, p->rt, count_link, &c, sizeof(c));
	for (i = 0; i < sizeof(families); i++) {
		struct rtmsg *rtm = start(p, &nlh, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));

		rtm->rtm_family = families[i];
		ask(p, p->rt, count_route, &routes, sizeof(routes));
	}
	c.routes = routes.n;
	return c;
}
