/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.h - what the two files about Services share
 *
 * Room: rest only.
 */
#ifndef REST_SERVICES_H
#define REST_SERVICES_H

#include "internal.h"
#include <netd/codec/service.h>

/** service_fill() - what the body leaves out: families, and what the old version was given */
int service_fill(struct call *c, struct doc *doc, const struct object *old);
/** service_is_free() - headless without a selector: of any family, also of none that is served */
bool service_is_free(const struct doc *doc);
bool service_family_served(const struct node_config *conf, const char *family);

#endif
