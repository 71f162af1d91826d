/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.h - the doors of `listen`: where HTTP meets the keys
 *
 * Room: main's.  May include: every room of netd.
 */
#ifndef NETD_TLS_H
#define NETD_TLS_H

#include <netd/conf.h>
#include <netd/http/http.h>
#include <netd/reconcile/reconcile.h>

struct tls;

/**
 * tls_start() - sockets and keys; *@ret stays NULL when nothing is to listen
 *
 * Makes and renews what it writes outside of pki-dir, so before root is dropped.
 */
int tls_start(const struct conf *conf, struct tls **ret, char why[256]);
/** tls_open() - let clients in, and follow the node's addresses and the calendar */
int tls_open(struct tls *tls, struct loop *loop, struct state *state, struct reconcile *rec,
	     struct http *http);
void tls_stop(struct tls *tls);             /* after http_close(), before loop_free() */
/** tls_each_path() - what must belong to the user that netd becomes; see pki_each_path() */
void tls_each_path(const struct conf *conf, void (*each)(void *arg, const char *path), void *arg);

/* Actions of the command line: 0, or negative and @why. */
/** tls_prepare() - as tls_start() for the keys, and nothing listens */
int tls_prepare(const struct conf *conf, char why[256]);
int tls_check(const struct conf *conf, char why[256]);
int tls_new_token(const struct conf *conf, char why[256]);          /* prints it */
int tls_new_kubeconfig(const struct conf *conf, char why[256]);

#endif
