/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.c - the published ports of a pod to places on the node, and those to frontends
 *
 * Room: pure.  May include: compile.h, libc.
 *
 * A port without an address of its own is at every address of the node that the pod has one of the
 * same family for, and on the loopback, where a relay is asked for: packets to 127.0.0.1 never
 * leave the node, so they cannot be sent elsewhere.  A relay joins families as well.  A port with
 * an address wins over one without, so it is told last.
 */
#include "compile.h"

#include <errno.h>
#include <netinet/in.h>

static const uint8_t protocols[] = {
	[PORT_TCP] = IPPROTO_TCP, [PORT_UDP] = IPPROTO_UDP, [PORT_SCTP] = IPPROTO_SCTP,
};
static const struct podnet_prefix loopbacks[] = {
	{ AF_INET, 32, { 127, 0, 0, 1 } },
	{ AF_INET6, 128, { [15] = 1 } },
};

static bool is_any(const struct podnet_prefix *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->addr, zero, sizeof(zero)) == 0;
}

static bool is_loopback(const struct podnet_prefix *ip)
{
	return ip->family == AF_INET ? ip->addr[0] == 127 :
	       memcmp(ip->addr, loopbacks[1].addr, sizeof(ip->addr)) == 0;
}

/* What others reach the pod at: of its first network. */
static const struct podnet_prefix *ip_of(const struct pod *pod, int family)
{
	const struct pod_network *net = pod->attached;

	for (size_t i = 0; pod->nattached && i < net->nips; i++)
		if (net->ips[i].family == family)
			return &net->ips[i];
	return NULL;
}

static struct compile_port place(const struct pod_port *p, const struct podnet_prefix *at)
{
	return (struct compile_port){
		.at = *at, .protocol = protocols[p->protocol], .first = p->first, .last = p->last,
		.to_port = p->to,
	};
}

static int tell_loopback(const struct compile_ports *in, const struct pod *pod,
			 const struct pod_port *p, const struct podnet_prefix *at)
{
	const struct podnet_prefix *to = ip_of(pod, at->family);
	struct compile_port port = place(p, at);

	if (!to)
		to = ip_of(pod, at->family == AF_INET ? AF_INET6 : AF_INET);
	if (!to)
		return 0;
	port.to = *to;
	port.relayed = true;
	return in->each(in->arg, &port);
}

static int tell_every(const struct compile_ports *in, const struct pod *pod,
		      const struct pod_port *p)
{
	int r = 0;

	for (size_t i = 0; i < in->naddresses && r == 0; i++) {
		struct compile_port port = place(p, &in->addresses[i]);
		const struct podnet_prefix *to = ip_of(pod, port.at.family);

		if (!to || (p->ip.family && p->ip.family != port.at.family))
			continue;
		port.to = *to;
		r = in->each(in->arg, &port);
	}
	for (size_t i = 0; i < 2 && r == 0; i++)
		if (!p->ip.family || p->ip.family == loopbacks[i].family)
			r = tell_loopback(in, pod, p, &loopbacks[i]);
	return r;
}

static bool among(const struct compile_ports *in, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < in->naddresses; i++)
		if (in->addresses[i].family == ip->family &&
		    memcmp(in->addresses[i].addr, ip->addr, sizeof(ip->addr)) == 0)
			return true;
	return false;
}

static int tell_one(const struct compile_ports *in, const struct pod *pod, const struct pod_port *p)
{
	const struct podnet_prefix *to = ip_of(pod, p->ip.family);
	struct compile_port port = place(p, &p->ip);

	if (is_loopback(&p->ip))
		return tell_loopback(in, pod, p, &p->ip);
	if (!among(in, &p->ip))
		port.why = "is no address of this node";
	else if (!to)
		port.why = "is of a family that the pod has no address of";
	else
		port.to = *to;
	return in->each(in->arg, &port);
}

int compile_ports(const struct compile_ports *in, const struct pod *pod)
{
	int r = 0;

	for (size_t i = 0; i < pod->nports && r == 0; i++)
		if (is_any(&pod->ports[i].ip))
			r = tell_every(in, pod, &pod->ports[i]);
	for (size_t i = 0; i < pod->nports && r == 0; i++)
		if (!is_any(&pod->ports[i].ip))
			r = tell_one(in, pod, &pod->ports[i]);
	return r;
}

int compile_port_frontends(const struct compile_port *p,
			   int (*each)(void *arg, const struct podnet_frontend *f), void *arg)
{
	struct podnet_endpoint to = { .ip = p->to, .local = 1 };
	struct podnet_frontend f = {
		.ip = p->at, .protocol = p->protocol, .port = p->first, .endpoints = &to,
		.nendpoints = 1,
	};
	int r = 0;

	if (p->relayed || p->why)
		return 0;
	if (p->first != p->last && p->first == p->to_port) {
		f.last_port = p->last;
		return each(arg, &f);
	}
	for (uint32_t port = p->first; port <= p->last && r == 0; port++) {
		f.port = (uint16_t)port;
		to.port = (uint16_t)(p->to_port + port - p->first);
		r = each(arg, &f);
	}
	return r;
}
