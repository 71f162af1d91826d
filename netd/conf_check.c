/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf_check.c - what was told must go together, and be what networks can be made of
 *
 * Room: see conf.h.  What is wrong here would fail later and with poor words, or never.
 */
#include <errno.h>
#include <netd/codec/format.h>
#include <netd/conf.h>
#include <stdio.h>
#include <sys/socket.h>

#define HOST_BITS_MIN   2       /* as of any Network: its own addresses, and one to give */
#define SERVICE_LEN_V4  28      /* 14 cluster IPs at least */
#define SERVICE_LEN_V6  120

static int say(char why[256], const char *name, const struct podnet_prefix *p, const char *fmt,
	       const char *more, unsigned number)
{
	char text[PODNET_PREFIX_STRLEN];
	int n = snprintf(why, 256, "%s: %s ", name, podnet_prefix_format(p, text));

	snprintf(why + n, 256 - (size_t)n, fmt, more, number);
	return -EINVAL;
}

static int check_range(const char *name, const struct podnet_prefix *p, char why[256])
{
	const char *range = p->family ? format_reserved(p) : NULL;

	return range ? say(why, name, p, "overlaps with %s", range, 0) : 0;
}

static int check_cluster(const struct conf *conf, int i, char why[256])
{
	const struct podnet_prefix *p = &conf->cluster_cidrs[i];
	unsigned most = (p->family == AF_INET ? 32 : 128) - HOST_BITS_MIN;

	if (!p->family)
		return 0;
	if (p->len > most)
		return say(why, "cluster-cidr", p, "is too small%s: at most /%u", "", most);
	if (conf->blocks_said && conf->block_len[i] < p->len)
		return say(why, "block-size", p, "is smaller than a block%s of /%u", "",
			   conf->block_len[i]);
	return check_range("cluster-cidr", p, why);
}

static int check_service(const struct podnet_prefix *p, char why[256])
{
	unsigned most = p->family == AF_INET ? SERVICE_LEN_V4 : SERVICE_LEN_V6;

	if (p->family && p->len > most)
		return say(why, "service-cidr", p, "is too small%s: at most /%u", "", most);
	return check_range("service-cidr", p, why);
}

/* The two of them that overlap, or false. */
static bool overlap(const struct podnet_prefix a[2], const struct podnet_prefix b[2],
		    const struct podnet_prefix *ret[2])
{
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++) {
			if (!a[i].family || a[i].family != b[k].family ||
			    (!podnet_prefix_contains(&a[i], &b[k]) && !podnet_prefix_contains(&b[k], &a[i])))
				continue;
			ret[0] = &a[i];
			ret[1] = &b[k];
			return true;
		}
	return false;
}

static int check_overlap(const struct conf *conf, char why[256])
{
	const struct { const char *name; const struct podnet_prefix *cidrs; } ranges[] = {
		{ "cluster-cidr", conf->cluster_cidrs }, { "service-cidr", conf->service_cidrs },
		{ "load-balancer-cidr", conf->balancer_cidrs },
	};

	const struct podnet_prefix *two[2];
	char other[PODNET_PREFIX_STRLEN], text[80];

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		for (size_t k = 0; k < i; k++) {
			if (!overlap(ranges[i].cidrs, ranges[k].cidrs, two))
				continue;
			snprintf(text, sizeof(text), "%s %s", ranges[k].name,
				 podnet_prefix_format(two[1], other));
			return say(why, ranges[i].name, two[0], "overlaps with %s", text, 0);
		}
	return 0;
}

int conf_check(const struct conf *conf, char why[256])
{
	struct podnet_prefix ips[2];
	const char *wrong = conf->node_address ? format_hosts(conf->node_address, ips) : NULL;
	int r = 0;

	if (wrong) {
		snprintf(why, 256, "node-address: \"%.80s\": %s", conf->node_address, wrong);
		return -EINVAL;
	}

	for (int i = 0; r == 0 && i < 2; i++)
		r = check_cluster(conf, i, why);
	for (int i = 0; r == 0 && i < 2; i++)
		r = check_service(&conf->service_cidrs[i], why);
	for (int i = 0; r == 0 && i < 2; i++)
		r = check_range("load-balancer-cidr", &conf->balancer_cidrs[i], why);
	if (r < 0)
		return r;
	/* Network "default" always has an IPv6 CIDR: one is made where none was given */
	if (conf->mtu && conf->mtu < LIMIT_MTU_IPV6) {
		snprintf(why, 256, "mtu: %u must be at least %u with IPv6, or 0", conf->mtu,
			 LIMIT_MTU_IPV6);
		return -EINVAL;
	}
	if (conf->udp_port == conf->vxlan_port) {
		snprintf(why, 256, "udp-port: %u is vxlan-port already", conf->udp_port);
		return -EINVAL;
	}
	return check_overlap(conf, why);
}
