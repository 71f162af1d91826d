/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - one try of a probe, and what HTTP has to do with it
 *
 * Room: control only.  probe_http.c speaks in texts and knows no sockets.
 */
#ifndef CONTROL_PROBE_H
#define CONTROL_PROBE_H

#include <netd/base/loop.h>
#include <netd/model/model.h>

#define PROBE_HOST_MAX  256
#define PROBE_WORDS     512     /* what a try says of itself */

/** Where a request goes. */
struct probe_url {
	char host[PROBE_HOST_MAX];  /* an IPv6 address without its brackets */
	uint16_t port;
	char *target;               /* path and query; of the heap */
};
/** probe_url_text() - http://host:port/path, cut if it must */
const char *probe_url_text(const struct probe_url *url, char *ret, size_t size);
/** probe_url_set() - a path of a user's, made such that it can stand in a request; 0 or -ENOMEM */
int probe_url_set(struct probe_url *url, const char *path);

enum probe_follow { FOLLOW_IT, FOLLOW_NOT, FOLLOW_FAILED };
/**
 * probe_url_follow() - where a redirect leads, RFC 3986, 5.2
 *
 * @ret is written when it is to be followed: to the same host, and without TLS.  *@relative: the
 * location named no host.  FOLLOW_FAILED: no memory, or nothing that can be read.
 */
enum probe_follow probe_url_follow(const struct probe_url *from, const char *location, size_t len,
				   struct probe_url *ret, bool *relative);

/** probe_request() - the request; a header that cannot be sent: -EINVAL, and *@bad names it */
int probe_request(const struct probe *probe, const struct probe_url *url, bool own_host,
		  struct buf *out, const char **bad);

/** The head of an answer. */
struct probe_answer {
	unsigned code;
	const char *location;       /* within the head; NULL: none */
	size_t location_len;
	int64_t length;             /* of the body; -1: until the end, or in chunks */
	bool chunked;
};
/** probe_answer_read() - its length when it is whole, 0 before, -EINVAL: no HTTP */
ssize_t probe_answer_read(const char *data, size_t len, struct probe_answer *ret);

enum probe_result {
	PROBE_SUCCESS, PROBE_FAILURE,
	PROBE_WARNING,              /* a success with something to be said */
	PROBE_UNKNOWN,              /* it could not be tried */
};
struct probe_try;
/**
 * probe_try_start() - connect, and with PROBE_HTTP ask
 * @probe: borrowed until it is done
 * @to:    whom; @port
 * @done:  called once, from the loop and not from in here, with words that last for the call
 *
 * Return: 0 or -ENOMEM.
 */
int probe_try_start(struct loop *loop, const struct probe *probe, const struct podnet_prefix *to,
		    uint16_t port, void (*done)(void *arg, enum probe_result result,
						const char *words),
		    void *arg, struct probe_try **ret);
void probe_try_free(struct probe_try *t);   /* also from within @done; NULL is fine */

#endif
