/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world.h - netd's rest and state rooms, with stand-ins for what surrounds them
 *
 * Room: tests/fuzz.  Instead of sockets, a database, a kernel and threads: requests as text, a
 * store in memory that commits when the handler has returned, and a reconciler that knows nothing.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "fuzz.h"

#include <netd/http/http.h>
#include <netd/rest/rest.h>
#include <netd/store/store.h>

#define STREAMS_MAX 8

struct pair {
	const char *name, *value;
};

struct pairs {
	struct pair v[16];
	size_t n;
};

/** A request, and what has come of it.  The http room's functions work on it. */
struct request {
	struct arena arena;
	struct http_peer peer;
	const char *method, *path, *body;
	size_t len;
	struct pairs query, headers, sent;
	unsigned answers, code;
	const char *type;
	struct bytes *answer;
	struct http_stream *stream;
	void (*abort)(void *arg);
	void *abort_arg;
};

struct http_stream {
	ssize_t (*read)(void *arg, char *buf, size_t max);
	void (*close)(void *arg);
	void *arg;
	struct buf text;
	bool ended;
};

struct world {
	struct node_config conf;
	struct loop *loop;
	struct store *store;
	struct state *state;
	struct rest *rest;
	struct http_stream *streams[STREAMS_MAX];
	size_t nstreams;
};

void world_open(struct world *w);
void world_close(struct world *w);
/** world_ask() - let the handler have it, commit, and read what streams have to say */
void world_ask(struct world *w, struct request *req, bool goes_away);
void world_request_fini(struct request *req);

/** pair_of() - NULL: there is none; names of headers are the same in either case */
const char *pair_of(const struct pairs *pairs, const char *name, bool any_case);

/** world_commit() - what was submitted is committed, and told.  Return: false: there was nothing. */
bool world_commit(struct store *store);

#endif
