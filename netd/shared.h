/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shared.h - the store of a cluster as main() sees it
 */
#ifndef NETD_SHARED_H
#define NETD_SHARED_H

#include <netd/netd.h>

/** shared_open() - as data_open(), with etcd as the store and the database as its replica */
int shared_open(struct netd *netd, char why[256]);
/** shared_reseed() - netd --reseed; the exit status */
int shared_reseed(struct netd *netd);

#endif
