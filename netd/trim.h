/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trim.h - memory that is not needed at rest goes back
 */
#ifndef NETD_TRIM_H
#define NETD_TRIM_H

#include <netd/state/state.h>

struct trim;
/** trim_start() - after writes, and once for what only the start needed.  0 or -ENOMEM. */
int trim_start(struct loop *loop, struct state *state, struct trim **ret);
void trim_free(struct trim *trim);      /* after the state; NULL is fine */

#endif
