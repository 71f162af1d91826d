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

#endif
