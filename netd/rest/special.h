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
/** refuse_method() - true: it was not a GET, and that is answered */
bool refuse_method(struct call *c);

/** discovery_handle() - true: the path is of discovery, and answered; @seg: cut at each '/' */
bool discovery_handle(struct call *c, const char *const *seg, size_t n);
void discovery_print(void);

/* openapi.c */
void openapi_v2(struct call *c);
void openapi_v3(struct call *c);
void openapi_yaml(struct call *c);

/* dispatch.c: "get","list" ... of a kind's collection and items, or of its status */
void route_verbs(bool status, struct buf *out);

#endif
