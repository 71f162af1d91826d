/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ranges.h - the addresses of Services, beside those of others
 */
#ifndef NETD_RANGES_H
#define NETD_RANGES_H

#include <netd/netd.h>

/** ranges_check() - service-cidr is free of the node's and of Networks; else -EINVAL, @why names both */
int ranges_check(struct netd *netd, char why[256]);

#endif
