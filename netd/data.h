/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * data.h - the database as main() sees it
 */
#ifndef NETD_DATA_H
#define NETD_DATA_H

#include <netd/netd.h>

#define EXIT_DATABASE 3         /* damaged, or not for this netd: trying again does not help */

/** data_open() - netd->store, netd->node and netd->state; negative errno with the words in @why */
int data_open(struct netd *netd, char why[256]);
/*
 * Steps of that, which shared.c takes too; as it.
 */
/** data_check_store() - it is the database that made what is in the kernel */
int data_check_store(struct netd *netd, char why[256]);
/** data_node_config() - netd->node, from what was told and what is kept with the data */
int data_node_config(struct netd *netd, char why[256]);
/** data_check_name() - the node is called as it was, or has no pods; netd->state is there */
int data_check_name(struct netd *netd, char why[256]);
/** data_path() - of the database, malloc'd; NULL: no memory */
char *data_path(const struct conf *conf);
/** data_tell() - what was lost, if anything; when the controllers are there */
void data_tell(struct netd *netd);
/** data_forget() - which database the kernel's content is of: there is none any more */
int data_forget(const struct conf *conf);
/** data_advice() - what to do about an error of data_open(), or of shared_open() */
const char *data_advice(int r, bool shared);
/** data_exit() - the exit status for it */
int data_exit(int r);
/** data_check() - netd --check: says what is wrong; the exit status */
int data_check(const struct conf *conf);
/** data_backup() - netd --backup FILE; the exit status */
int data_backup(const struct conf *conf);

#endif
