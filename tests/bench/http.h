/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http.h - a keep-alive HTTP/1.1 client, watches, and a netd to speak to
 *
 * Room: tests/bench.  Knows no JSON beyond finding one member's text in a line.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "bench.h"

#include <sys/types.h>

/** One connection.  At most one request is under way. */
struct http {
	int fd;
	char *buf;                  /* what was read and not yet taken */
	size_t len, room;
	size_t taken;               /* bytes of the reply handed out last; dropped by the next call */
	const char *accept;         /* of every request; NULL: no such header */
};
struct http_reply {
	int status;
	const char *body;           /* borrowed until the next call on the connection; NUL behind it */
	size_t len;
};
/** http_try_open() - to the Unix socket at a path, or to a port of the loopback address */
bool http_try_open(struct http *h, const char *where);
void http_open(struct http *h, const char *where);      /* the same, or fatal */
void http_close(struct http *h);
void http_send(struct http *h, const char *method, const char *path, const char *body);
/** http_read() - read once what waits; blocks when nothing does.  The end of the stream is fatal. */
void http_read(struct http *h);
/** http_take() - a whole reply out of what was read.  Return: false: read more. */
bool http_take(struct http *h, struct http_reply *ret);
struct http_reply http_call(struct http *h, const char *method, const char *path, const char *body);
/** http_must() - the same, where anything but 200 and 201 is fatal */
struct http_reply http_must(struct http *h, const char *method, const char *path, const char *body);

/** A watch stream: chunks in, lines out. */
struct watch {
	struct http h;
	bool begun;
	size_t chunk;               /* bytes of the chunk still to come, with its CRLF: 2 more */
	char *text;
	size_t len, room, taken;
};
/** watch_open() - @body: of a POST that asks for it; NULL: a GET */
void watch_open(struct watch *w, const char *where, const char *path, const char *body);
void watch_close(struct watch *w);
void watch_read(struct watch *w);           /* read once and unpack */
/** watch_line() - next whole line, NUL-terminated, borrowed until the next call; NULL: read more */
const char *watch_line(struct watch *w);

/** text_of() - the value of the first member @name that is a string; false: there is none */
bool text_of(const char *json, const char *name, char *buf, size_t size);

/** Closed loop: @nclients connections, each with one request under way, until @n replies. */
struct load {
	const char *socket;         /* or a port, as http_open() */
	unsigned nclients, n;
	double seconds;             /* stop sending after so long; 0: no limit */
	/* the i-th request; body may be NULL */
	void (*make)(void *arg, unsigned i, char *path, size_t path_size, char *body,
		     size_t body_size);
	void *arg;
	const char *method;
	const char *accept;         /* header of each request, or NULL */
	struct watch *watch;        /* drained meanwhile, may be NULL */
	void (*line)(void *arg, const char *line);
};
struct load_result {
	unsigned done, failed;
	double ms;
	struct series latency;      /* ms */
};
void load_run(const struct load *l, struct load_result *ret);

/** A netd in a network namespace of its own, with an uplink, and directories of its own. */
struct daemon {
	pid_t pid;
	int netns;                  /* descriptor of its network namespace */
	char socket[108], netns_dir[128], db[600];
};
/**
 * daemon_alone() - a copy of netd and of its libraries, for measuring memory
 *
 * A page of a file is private only while nobody else maps it, so another netd on the machine, and
 * this benchmark's own SQLite, would make netd look smaller.  The C library, which every process
 * maps, stays shared.  From now on LD_LIBRARY_PATH names the copies.  Return: the path of netd's.
 */
const char *daemon_alone(const struct bench *b, char *buf, size_t size);
/**
 * daemon_start() - spawn and wait until it is ready
 * @name: of its directories; @netns_dir: NULL: one of its own under /run
 * @flags: further ones, NULL-terminated; may be NULL
 */
void daemon_start(const struct bench *b, const char *name, const char *netns_dir,
		  const char *const *flags, struct daemon *ret);
/** daemon_place() - the namespace and the directories alone, for daemon_again() */
void daemon_place(const struct bench *b, const char *name, const char *netns_dir, struct daemon *ret);
void daemon_stop(struct daemon *d);
/** daemon_halt() - its namespace stays; daemon_again() - start it there, with what it had stored */
void daemon_halt(struct daemon *d);
void daemon_again(const struct bench *b, const char *name, const char *const *flags,
		  struct daemon *d);

#endif
