/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * limit.c - a token bucket at the root of a link, or behind its ingress
 *
 * Room: bytes and structs; sends nothing.  May include: nl, base, include/podnet, libmnl, linux/.
 *
 * The bucket is tbf with handle 8e:, which is also its mark.  What arrives on a link cannot be
 * queued there: a u32 filter that matches everything redirects it (mirred) to an ifb device, and
 * the bucket is at the root of that.  A changed rate is a change of the qdisc in place: what is
 * queued stays queued.  Source: tc-tbf(8), Linux net/sched/sch_tbf.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libpodnet/link/link.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdio.h>

#define INGRESS_HANDLE 0xffff0000u
#define FILTER_PRIORITY 0x8eu
#define TICK_NS 64                      /* PSCHED_TICKS2NS(1), Linux include/net/pkt_sched.h */
#define LEAST_BURST (32 * 1024)

static const struct pn_attr limit_attrs[] = {
	PN_ATTR(u.limit.broken, PN_EXACT, true),
	PN_ATTR(u.limit.rate,   PN_EXACT, false),
	PN_ATTR(u.limit.burst,  PN_EXACT, false),
};

void pn_limit_ifb(const char *link, char ret[PODNET_IFNAME_SIZE])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t h = pn_hash(link, strlen(link));

	memcpy(ret, "pi", 2);
	for (int i = 2; i < PODNET_IFNAME_SIZE - 1; i++, h >>= 5)
		ret[i] = i < 14 ? digits[h & 31] : '0';
	ret[PODNET_IFNAME_SIZE - 1] = '\0';
}

uint32_t pn_limit_burst(uint64_t rate)
{
	uint64_t burst = rate / 8 / 50;

	if (burst < LEAST_BURST)
		return LEAST_BURST;
	return burst > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)burst;
}

static int limit_cmp(const struct pn_obj *a, const struct pn_obj *b)
{
	int r = strcmp(a->link, b->link);

	return r ? r : (int)a->u.limit.incoming - (int)b->u.limit.incoming;
}

static struct tcmsg *start(const struct pn_put *p, uint16_t type, uint16_t flags, uint32_t index,
			   const char *step)
{
	struct tcmsg *tcm = nl_msg(p->b, type, flags, sizeof(*tcm), step, p->tag);

	tcm->tcm_ifindex = (int)index;
	return tcm;
}

static void put_bucket(const struct pn_put *p, uint16_t flags, uint32_t index,
		       const struct pn_obj *obj)
{
	uint64_t rate = obj->u.limit.rate / 8, room = obj->u.limit.burst + rate / 20;
	struct tc_tbf_qopt opt = { .rate.linklayer = TC_LINKLAYER_ETHERNET };
	struct tcmsg *tcm = start(p, RTM_NEWQDISC, flags, index, "limit_set");
	struct nlattr *options;

	tcm->tcm_parent = TC_H_ROOT;
	tcm->tcm_handle = PN_LIMIT_HANDLE;
	/* the queue holds 50 ms more than the bucket: longer would be delay, shorter would be loss */
	opt.limit = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
	opt.rate.rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	nl_put_str(p->b, TCA_KIND, "tbf", NULL);
	options = nl_nest(p->b, TCA_OPTIONS);
	nl_put(p->b, TCA_TBF_PARMS, &opt, sizeof(opt), "rate");
	if (rate > UINT32_MAX)
		nl_put_u64(p->b, TCA_TBF_RATE64, rate, "rate");
	nl_put_u32(p->b, TCA_TBF_BURST, obj->u.limit.burst, "burst");
	nl_nest_end(p->b, options);
}

static void put_redirect(const struct pn_put *p)
{
	/* one key, all zero: it masks everything away, so everything matches */
	uint8_t all[sizeof(struct tc_u32_sel) + sizeof(struct tc_u32_key)] = { 0 };
	const struct tc_u32_sel sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
	struct tc_mirred to = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR };
	struct tcmsg *tcm = start(p, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, p->index,
				  "limit_redirect");
	struct nlattr *options, *actions, *action, *mirred;

	memcpy(all, &sel, sizeof(sel));
	tcm->tcm_parent = INGRESS_HANDLE;
	tcm->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	to.ifindex = p->helper;
	nl_put_str(p->b, TCA_KIND, "u32", NULL);
	options = nl_nest(p->b, TCA_OPTIONS);
	nl_put(p->b, TCA_U32_SEL, all, sizeof(all), NULL);
	actions = nl_nest(p->b, TCA_U32_ACT);
	action = nl_nest(p->b, 1);
	nl_put_str(p->b, TCA_ACT_KIND, "mirred", NULL);
	mirred = nl_nest(p->b, TCA_ACT_OPTIONS);
	nl_put(p->b, TCA_MIRRED_PARMS, &to, sizeof(to), NULL);
	nl_nest_end(p->b, mirred);
	nl_nest_end(p->b, action);
	nl_nest_end(p->b, actions);
	nl_nest_end(p->b, options);
}

static void put_ingress(const struct pn_put *p, uint16_t type, uint16_t flags, const char *step)
{
	struct tcmsg *tcm = start(p, type, flags, p->index, step);

	tcm->tcm_parent = TC_H_INGRESS;
	tcm->tcm_handle = INGRESS_HANDLE;
	nl_put_str(p->b, TCA_KIND, "ingress", NULL);
}

static void limit_put(const struct pn_put *p, enum pn_verb verb, const struct pn_obj *obj)
{
	uint32_t bucket = obj->u.limit.incoming ? p->helper : p->index;
	/* the ifb is ours alone; the root of a link may have been given a qdisc meanwhile */
	uint16_t flags = NLM_F_CREATE | (obj->u.limit.incoming ? NLM_F_REPLACE : NLM_F_EXCL);
	struct tcmsg *tcm;

	switch (verb) {
	case PN_ADD:
		put_bucket(p, flags, bucket, obj);
		if (!obj->u.limit.incoming)
			return;
		put_ingress(p, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, "limit_ingress");
		put_redirect(p);
		return;
	case PN_SET:
		put_bucket(p, NLM_F_CREATE | NLM_F_REPLACE, bucket, obj);
		return;
	case PN_DEL:
		if (obj->u.limit.incoming) {
			put_ingress(p, RTM_DELQDISC, 0, "limit_delete");
			return;
		}
		tcm = start(p, RTM_DELQDISC, 0, p->index, "limit_delete");
		tcm->tcm_parent = TC_H_ROOT;
		tcm->tcm_handle = PN_LIMIT_HANDLE;
		return;
	}
}

static void limit_print(char *buf, size_t size, enum pn_verb verb, const struct pn_obj *obj,
			uint32_t changed, const char *peer_ns)
{
	const char *way = obj->u.limit.incoming ? " incoming" : "";

	(void)changed;
	(void)peer_ns;
	if (verb == PN_DEL)
		snprintf(buf, size, "%s%s", obj->link, way);
	else
		snprintf(buf, size, "%s%s rate %llu burst %u", obj->link, way,
			 (unsigned long long)obj->u.limit.rate, obj->u.limit.burst);
}

const struct pn_kind pn_limit_kind = {
	"limit", limit_attrs, ARRAY_SIZE(limit_attrs), limit_cmp, limit_put, limit_print,
};

static struct nlmsghdr *request(void *buf, uint16_t type, uint32_t index, uint32_t parent)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;

	nlh->nlmsg_type = type;
	/* without it the kernel tells the answer to whoever monitors qdiscs, and not to who asked */
	if (type == RTM_GETQDISC)
		nlh->nlmsg_flags = NLM_F_ECHO;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = (int)index;
	tcm->tcm_parent = parent;
	return nlh;
}

struct nlmsghdr *pn_limit_request(void *buf, uint32_t index)
{
	return request(buf, RTM_GETQDISC, index, TC_H_ROOT);
}

struct nlmsghdr *pn_ingress_request(void *buf, uint32_t index)
{
	return request(buf, RTM_GETQDISC, index, TC_H_INGRESS);
}

struct nlmsghdr *pn_filter_request(void *buf, uint32_t index)
{
	return request(buf, RTM_GETTFILTER, index, INGRESS_HANDLE);
}

static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static bool kind_is(const struct nlattr *attr, const char *kind)
{
	size_t n = strlen(kind) + 1;

	return attr && mnl_attr_get_payload_len(attr) == n &&
	       !memcmp(mnl_attr_get_payload(attr), kind, n);
}

static const struct tcmsg *attrs_of(const struct nlmsghdr *nlh, uint16_t type,
				    const struct nlattr **kind, const struct nlattr **options)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*kind = *options = NULL;
	if (nlh->nlmsg_type != type || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm))
		return NULL;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm)) {
		if (mnl_attr_get_type(attr) == TCA_KIND)
			*kind = attr;
		else if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			*options = attr;
	}
	return tcm;
}

/* the kernel keeps the bucket as the time it lasts at the rate, rounded to its ticks */
static uint32_t burst_of(uint64_t rate, uint32_t ticks)
{
	double bytes = (double)rate * (double)ticks * TICK_NS / 1e9;

	return bytes > (double)UINT32_MAX ? UINT32_MAX : (uint32_t)(bytes + 0.5);
}

int pn_limit_parse(const struct nlmsghdr *nlh, struct pn_obj *ret)
{
	const struct nlattr *kind, *options, *attr;
	const struct tcmsg *tcm = attrs_of(nlh, RTM_NEWQDISC, &kind, &options);
	struct tc_tbf_qopt opt;
	uint64_t rate;

	memset(ret, 0, sizeof(*ret));
	ret->kind = PN_LIMIT;
	if (!tcm)
		return 0;
	ret->index = (uint32_t)tcm->tcm_ifindex;
	attr = find(options, TCA_TBF_PARMS);
	if (tcm->tcm_handle != PN_LIMIT_HANDLE || !kind_is(kind, "tbf") || !attr ||
	    mnl_attr_get_payload_len(attr) < sizeof(opt))
		return tcm->tcm_handle != 0 ? -EEXIST : 0;
	memcpy(&opt, mnl_attr_get_payload(attr), sizeof(opt));
	rate = opt.rate.rate;
	attr = find(options, TCA_TBF_RATE64);
	if (attr && mnl_attr_get_payload_len(attr) == sizeof(rate))
		rate = mnl_attr_get_u64(attr);
	ret->u.limit.rate = rate * 8;
	ret->u.limit.burst = burst_of(rate, opt.buffer);
	return 1;
}

bool pn_limit_near(uint32_t a, uint32_t b)
{
	uint32_t gap = a > b ? a - b : b - a;

	return gap <= 64 || gap <= a / 100;
}

bool pn_ingress_parse(const struct nlmsghdr *nlh)
{
	const struct nlattr *kind, *options;

	return attrs_of(nlh, RTM_NEWQDISC, &kind, &options) && kind_is(kind, "ingress");
}

int pn_filter_parse(const struct nlmsghdr *nlh, uint32_t *to)
{
	const struct nlattr *kind, *options, *attr;
	const struct tcmsg *tcm = attrs_of(nlh, RTM_NEWTFILTER, &kind, &options);
	struct tc_mirred mirred;

	if (!tcm || TC_H_MAJ(tcm->tcm_info) >> 16 != FILTER_PRIORITY || !kind_is(kind, "u32"))
		return 0;
	attr = find(find(find(options, TCA_U32_ACT), 1), TCA_ACT_OPTIONS);
	attr = find(attr, TCA_MIRRED_PARMS);
	if (attr && mnl_attr_get_payload_len(attr) >= sizeof(mirred)) {
		memcpy(&mirred, mnl_attr_get_payload(attr), sizeof(mirred));
		*to = mirred.ifindex;
	}
	return 1;
}
