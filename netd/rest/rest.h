/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rest.h - paths and verbs to the state and back
 *
 * Room: one generic handler a verb over the rows of kind.h, and few special paths.  A handler
 * parses (codec), checks (model), writes (state), answers; never the kernel.
 * May include: http, codec, model, state, store.h, watch, reconcile.h, metrics, netd/base.
 */
#ifndef NETD_REST_H
#define NETD_REST_H

#include <netd/http/http.h>
#include <netd/reconcile/reconcile.h>
#include <netd/state/state.h>

struct rest;
struct rest_config {
	struct loop *loop;
	struct state *state;
	struct reconcile *reconcile;
};
int rest_new(const struct rest_config *conf, struct rest **ret);
void rest_free(struct rest *rest);          /* after http_close() */
/** rest_handle() - the handler for http_config */
void rest_handle(void *rest, struct request *req);
/** rest_routes_print() - "GET /api/v1/..." a line, for the lint against api/openapi.yaml */
void rest_routes_print(void);

#endif
