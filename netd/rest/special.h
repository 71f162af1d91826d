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

/**
 * discovery_handle() - true: the path is of discovery, or a group's OpenAPI, and answered
 * @seg: the path, cut at each '/'
 */
bool discovery_handle(struct call *c, const char *const *seg, size_t n);
void discovery_print(void);

/** kind_first() - the first row of a group and version (NULL: any); NULL: there is none */
const struct kind *kind_first(const char *group, const char *version);

/* openapi.c, openapi_v3.c */
void openapi_v2(struct call *c);
void openapi_v3(struct call *c);
/** openapi_v3_version() - the document of the group and version of @first */
void openapi_v3_version(struct call *c, const struct kind *first);
void openapi_yaml(struct call *c);

/* dispatch.c: "get","list" ... of a resource, or of its subresource @sub */
void route_verbs(const char *sub, struct buf *out);

#endif
