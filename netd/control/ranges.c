/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ranges.c - Services with numbers that are outside of what is configured now
 *
 * Room: control.  A start may have another service-cidr or node-port-range than the one before.
 * What Services have they keep; Events say, as in Kubernetes, which of them are to be made anew.
 * May include: state, model.
 */
#include "internal.h"
#include <stdio.h>

static bool in_range(const struct node_config *conf, const struct podnet_prefix *ip)
{
	for (size_t i = 0; i < conf->nservice_cidrs; i++)
		if (podnet_prefix_contains(&conf->service_cidrs[i], ip))
			return true;
	return false;
}

static void check_port(struct control *control, const struct object *obj, uint32_t port)
{
	const struct node_config *conf = state_config(control->state);

	if (port && (port < conf->node_port_min || port > conf->node_port_max))
		control_event(control, obj, "Warning", "PortOutOfRange",
			      "Port %u is not within the port range %u-%u; please recreate service", port,
			      conf->node_port_min, conf->node_port_max);
}

static void check_ip(struct control *control, const struct object *obj, const struct podnet_prefix *ip)
{
	const struct node_config *conf = state_config(control->state);
	char text[PODNET_PREFIX_STRLEN], cidrs[2][PODNET_PREFIX_STRLEN] = { "", "" };

	if (in_range(conf, ip))
		return;
	for (size_t i = 0; i < conf->nservice_cidrs; i++)
		podnet_prefix_format(&conf->service_cidrs[i], cidrs[i]);
	control_event(control, obj, "Warning", "ClusterIPOutOfRange",
		      "Cluster IP %s is not within the service CIDR %s%s%s; please recreate service",
		      podnet_prefix_format_addr(ip, text), cidrs[0], *cidrs[1] ? "," : "", cidrs[1]);
}

int ranges_start_one(void *arg, struct object *obj)
{
	const struct service *svc = obj->service;

	for (size_t i = 0; i < svc->ncluster_ips && !svc->headless; i++)
		check_ip(arg, obj, &svc->cluster_ips[i]);
	for (size_t i = 0; i < svc->nports; i++)
		check_port(arg, obj, svc->ports[i].node_port);
	check_port(arg, obj, svc->health_check_port);
	return 0;
}
