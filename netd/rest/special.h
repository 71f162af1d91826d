/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * special.h - the paths that are no resource
 *
 * Room: rest only.
 */
#ifndef REST_SPECIAL_H
#define REST_SPECIAL_H

#include "internal.h"

/** special_handle() - true: @path was one of them and is answered */
bool special_handle(struct call *c, const char *path);
void special_print(void);
/** metrics_get() - of /metrics: stats.c */
void metrics_get(struct call *c);
/** put_tunnels() - of /metrics: tunnel_stats.c */
void put_tunnels(struct buf *out, const struct rest *rest);
/** refuse_method() - true: it was not a GET, and that is answered */
bool refuse_method(struct call *c);

/**
 * discovery_handle() - true: the path is of discovery, and answered
 * @seg: the path, cut at each '/'
 */
bool discovery_handle(struct call *c, const char *const *seg, size_t n);
void discovery_print(void);

/** openapi_handle() - true: the first @len bytes of @path name a document, which is the answer */
bool openapi_handle(struct call *c, const char *path, size_t len);

/* dispatch.c: "get","list" ... of a resource, or of its subresource @sub */
void route_verbs(const char *sub, struct buf *out);

#endif
