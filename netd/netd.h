/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * netd.h - the daemon's one state: its rooms, in the order they start
 *
 * Made in main() and passed down; there is no other.
 */
#ifndef NETD_NETD_H
#define NETD_NETD_H

#include <netd/conf.h>
#include <netd/control/control.h>
#include <netd/http/http.h>
#include <netd/reconcile/reconcile.h>
#include <netd/rest/rest.h>
#include <netd/state/cluster.h>
#include <netd/tls.h>
#include <netd/trim.h>

struct netd {
	struct conf conf;
	struct node_config node;    /* what the rooms may know of conf */
	int lock_fd;                /* state-dir/lock: one netd a database */
	int netns_lock_fd;          /* an abstract socket's name: one netd a network namespace */
	int signal_fd;
	struct http_socket admin, view;     /* until http has them */
	struct tls *tls;            /* NULL: nothing listens by TLS */
	struct kernel *kernel;      /* open, until reconcile takes it */
	int starter_fd;             /* of who starts podnet-fwd */
	struct loop *loop;
	struct loop_watch *signals;
	struct trim *trim;
	struct cluster *cluster;    /* NULL: the database is the store */
	struct store *store;
	struct state *state;
	struct control *control;
	struct reconcile *reconcile;
	struct rest *rest;
	struct http *http;
};

/*
 * begin.c.  Each returns what failed, in a word, and @why; or NULL
 */
/** begin_run() - directories, lock and sockets; then netd gives up root */
const char *begin_run(struct netd *netd, char why[256]);
/** begin_prepare() - the directories only */
const char *begin_prepare(struct netd *netd, char why[256]);
/** begin_check() - whether there is the user, and he can read the tokens; changes nothing */
int begin_check(const struct conf *conf, char why[256]);
const char *begin_purge(struct netd *netd, char why[256]);
const char *end_purge(struct netd *netd, char why[256]);

#endif
