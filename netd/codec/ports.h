/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.h - what Service, EndpointSlice, Endpoints and NetworkPolicy share
 *
 * Room (codec): inner header.
 */
#ifndef NETD_CODEC_PORTS_H
#define NETD_CODEC_PORTS_H

#include <netd/codec/json.h>
#include <netd/codec/meta.h>

extern const char *const port_protocols[];      /* in the order of enum port_protocol */
extern const char *const ip_families[];         /* in the order of enum ip_family */

/** fill_member() - takes @value; 0 also where there is something, or @obj is no object; -ENOMEM */
int fill_member(json_t *obj, const char *key, json_t *value);
/** fill_protocols() - "TCP" in each port of a list that names none */
int fill_protocols(json_t *ports);
/** check_labels_at() - keys and values of a map as labels have them */
void check_labels_at(const json_t *map, const char *field, struct causes *causes);
/** check_host() - the address of an endpoint: a host's, which others can reach; "" and bad: passed */
void check_host(const char *address, const char *field, struct causes *causes);

#endif
