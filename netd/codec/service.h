/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.h - what a Service's document says of its type
 *
 * Room (codec): shared by the checks here and by rest/services.c, which fills in what the server
 * chooses.  A type that is none counts as ClusterIP; the check says that it is wrong.
 */
#ifndef NETD_CODEC_SERVICE_H
#define NETD_CODEC_SERVICE_H

#include <netd/codec/doc.h>
#include <netd/model/model.h>

enum service_type service_type_of(const struct doc *doc);
bool service_is_headless(const struct doc *doc);
bool service_has_node_ports(const struct doc *doc);     /* its type can have them */
bool service_is_external(const struct doc *doc);        /* reached from outside of the cluster */
bool service_checks_health(const struct doc *doc);      /* has a healthCheckNodePort */
bool service_is_from_pool(const struct doc *doc);       /* LoadBalancer of SERVICE_POOL_CLASS */
/** service_parse_ips() - "192.0.2.7, fd00::7", one a family; how many, or -EINVAL */
int service_parse_ips(const char *text, struct podnet_prefix ret[2]);

#endif
