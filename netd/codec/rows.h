/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rows.h - the pieces of each kind's row, one file a kind
 *
 * Room (codec): inner header; kinds.c joins them.
 */
#ifndef NETD_CODEC_ROWS_H
#define NETD_CODEC_ROWS_H

#include <netd/codec/meta.h>
#include <netd/codec/selector.h>

extern const struct field namespace_fields[], node_fields[], pod_fields[], event_fields[];
extern const struct field network_fields[], netns_fields[], veth_fields[], bridge_fields[];
extern const struct field route_fields[], tunnel_fields[], service_fields[], endpoints_fields[], slice_fields[];
extern const struct field policy_fields[];

/* selectable.c */
extern const struct selectable namespace_selectable[], node_selectable[], pod_selectable[];
extern const struct selectable event_selectable[], service_selectable[];

int namespace_defaults(struct doc *doc);
void *namespace_decode(const struct value *doc, struct arena *arena);

int node_defaults(struct doc *doc);
void node_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *node_decode(const struct value *doc, struct arena *arena);

int pod_defaults(struct doc *doc);
void pod_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *pod_decode(const struct value *doc, struct arena *arena);
/* pod_update.c: what may not change after create */
void pod_check_update(const struct doc *doc, const struct doc *old, struct causes *causes);
/* pod_annotations.c: podnet.dev/... and the bandwidths */
void pod_check_annotations(const struct doc *doc, const struct doc *old, struct causes *causes);
int pod_decode_annotations(struct pod *pod, struct arena *arena);
/**
 * pod_annotation_item() - text between commas without the blanks around it, copied
 *
 * Return: NULL at the end or, with @r -ENOMEM, without memory.
 */
char *pod_annotation_item(const char **at, struct arena *arena, int *r);
/* pod_ports.c: podnet.dev/ports, and hostPort */
void pod_check_ports(const struct doc *doc, struct causes *causes);
int pod_decode_ports(struct pod *pod, struct arena *arena);

int event_defaults(struct doc *doc);
void event_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *event_decode(const struct value *doc, struct arena *arena);

int network_defaults(struct doc *doc);
void network_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *network_decode(const struct value *doc, struct arena *arena);

int primitive_defaults(struct doc *doc);
/* of a kind that lives on one node */
void check_node_name(const struct doc *doc, const struct doc *old, struct causes *causes);
/* spec.mtu, against the families of the addresses in @list */
void check_link_mtu(const struct doc *doc, const char *list, struct causes *causes);
/* spec.interface, or metadata.name in its place */
void check_interface(const struct doc *doc, struct causes *causes);
void netns_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *netns_decode(const struct value *doc, struct arena *arena);
void veth_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *veth_decode(const struct value *doc, struct arena *arena);
void bridge_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *bridge_decode(const struct value *doc, struct arena *arena);

int route_defaults(struct doc *doc);
void route_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *route_decode(const struct value *doc, struct arena *arena);

int tunnel_defaults(struct doc *doc);
void tunnel_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *tunnel_decode(const struct value *doc, struct arena *arena);

int service_defaults(struct doc *doc);
void *service_decode(const struct value *doc, struct arena *arena);
/* service_check.c */
void service_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void service_check_status(const struct doc *doc, struct causes *causes);

int endpoints_defaults(struct doc *doc);
void endpoints_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *endpoints_decode(const struct value *doc, struct arena *arena);

int slice_defaults(struct doc *doc);
void slice_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *slice_decode(const struct value *doc, struct arena *arena);
/* slice_beta.c */
int slice_beta_in(struct doc *doc);
int slice_beta_out(struct doc *doc);

int policy_defaults(struct doc *doc);
void policy_check(const struct doc *doc, const struct doc *old, struct causes *causes);
void *policy_decode(const struct value *doc, struct arena *arena);

#endif
