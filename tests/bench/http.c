/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * http.c - the client, watches, and a closed loop of many connections
 *
 * Room: tests/bench; sockets and libc.
 */
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX 1024
#define PATIENCE_MS 60000

static void make_room(char **buf, size_t *room, size_t need)
{
	size_t n = *room ? *room : 16384;
	char *p;

	if (need <= *room)
		return;
	while (n < need)
		n *= 2;
	p = realloc(*buf, n);
	if (!p)
		die("out of memory");
	*buf = p;
	*room = n;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sun.sun_path))
		die("%s: too long for a socket", path);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int connect_port(const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		return fd;
	close(fd);
	return -1;
}

bool http_try_open(struct http *h, const char *where)
{
	*h = (struct http){ .fd = *where == '/' ? connect_unix(where) : connect_port(where) };
	return h->fd >= 0;
}

void http_open(struct http *h, const char *where)
{
	if (!http_try_open(h, where))
		die("%s: %s", where, strerror(errno));
}

void http_close(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	free(h->buf);
	*h = (struct http){ .fd = -1 };
}

void http_send(struct http *h, const char *method, const char *path, const char *body)
{
	char msg[HEAD_MAX + 8192];
	size_t blen = body ? strlen(body) : 0;
	int n = snprintf(msg, sizeof(msg),
			 "%s %s HTTP/1.1\r\nHost: podnet\r\nContent-Type: application/json\r\n"
			 "%s%s%sContent-Length: %zu\r\n\r\n%s", method, path,
			 h->accept ? "Accept: " : "", h->accept ? h->accept : "",
			 h->accept ? "\r\n" : "", blen, body ? body : "");

	if (n < 0 || (size_t)n >= sizeof(msg))
		die("request too long: %s %s", method, path);
	if (send(h->fd, msg, (size_t)n, MSG_NOSIGNAL) != n)
		die("%s %s: %s", method, path, strerror(errno));
}

static void drop_taken(struct http *h)
{
	memmove(h->buf, h->buf + h->taken, h->len - h->taken);
	h->len -= h->taken;
	h->taken = 0;
}

void http_read(struct http *h)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	ssize_t n;

	if (h->taken)
		drop_taken(h);
	make_room(&h->buf, &h->room, h->len + 65536);
	/* mostly the caller has seen already that there is something */
	n = recv(h->fd, h->buf + h->len, h->room - h->len - 1, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		if (poll(&p, 1, PATIENCE_MS) <= 0)
			die("netd said nothing for %d s", PATIENCE_MS / 1000);
		n = recv(h->fd, h->buf + h->len, h->room - h->len - 1, 0);
	}
	if (n <= 0)
		die("netd closed the connection: %s", n < 0 ? strerror(errno) : "end of stream");
	h->len += (size_t)n;
	h->buf[h->len] = '\0';
}

/* The end of the head, behind its blank line; NULL: not all of it is here. */
static char *head_end(const struct http *h)
{
	char *end = memmem(h->buf, h->len, "\r\n\r\n", 4);

	return end ? end + 4 : NULL;
}

static const char *header(const char *head, const char *end, const char *name)
{
	size_t n = strlen(name);
	const char *line = head;

	while ((line = memmem(line, (size_t)(end - line), "\r\n", 2))) {
		line += 2;
		if (!strncasecmp(line, name, n) && line[n] == ':')
			return line + n + 1;
	}
	return NULL;
}

/* Take the frames of a chunked body away in place.  Return: its length, or -1: not all is here. */
static ssize_t unchunk(char *body, const char *end, const char **ret_end)
{
	char *to = body, *at = body;

	/* first look whether all of it is here: the frames are still needed if not */
	for (;;) {
		char *crlf = memmem(at, (size_t)(end - at), "\r\n", 2);
		size_t n;

		if (!crlf)
			return -1;
		n = strtoul(at, NULL, 16);
		if ((size_t)(end - crlf) < n + 4)
			return -1;
		at = crlf + 2 + n + 2;
		if (n == 0)
			break;
	}
	*ret_end = at;
	for (at = body;;) {
		size_t n = strtoul(at, &at, 16);

		at = strchr(at, '\n') + 1;
		if (n == 0)
			break;
		memmove(to, at, n);
		to += n;
		at += n + 2;
	}
	*to = '\0';
	return to - body;
}

bool http_take(struct http *h, struct http_reply *ret)
{
	const char *length, *coding, *rest;
	char *body;
	ssize_t n;

	if (h->taken)
		drop_taken(h);
	body = h->len ? head_end(h) : NULL;
	if (!body)
		return false;
	coding = header(h->buf, body, "Transfer-Encoding");
	length = header(h->buf, body, "Content-Length");
	if (coding) {
		n = unchunk(body, h->buf + h->len, &rest);
		if (n < 0)
			return false;
	} else {
		n = length ? (ssize_t)strtoul(length, NULL, 10) : 0;
		if (h->buf + h->len - body < n)
			return false;
		rest = body + n;
	}
	*ret = (struct http_reply){ .body = body, .len = (size_t)n };
	if (sscanf(h->buf, "HTTP/1.1 %d", &ret->status) != 1)
		die("not an answer: %.40s", h->buf);
	h->taken = (size_t)(rest - h->buf);
	return true;
}

struct http_reply http_call(struct http *h, const char *method, const char *path, const char *body)
{
	struct http_reply reply;

	http_send(h, method, path, body);
	while (!http_take(h, &reply))
		http_read(h);
	return reply;
}

struct http_reply http_must(struct http *h, const char *method, const char *path, const char *body)
{
	struct http_reply reply = http_call(h, method, path, body);

	if (reply.status != 200 && reply.status != 201)
		die("%s %s: %d %.*s", method, path, reply.status, (int)reply.len, reply.body);
	return reply;
}

void watch_open(struct watch *w, const char *where, const char *path, const char *body)
{
	*w = (struct watch){ 0 };
	http_open(&w->h, where);
	http_send(&w->h, body ? "POST" : "GET", path, body);
	while (!w->begun)
		watch_read(w);
}

void watch_close(struct watch *w)
{
	http_close(&w->h);
	free(w->text);
	*w = (struct watch){ .h.fd = -1 };
}

static bool take_head(struct watch *w)
{
	char *end = head_end(&w->h);

	if (!end)
		return false;
	if (strncmp(w->h.buf, "HTTP/1.1 200", 12) != 0)
		die("watch refused: %.*s", (int)w->h.len, w->h.buf);
	w->begun = true;
	w->h.taken = (size_t)(end - w->h.buf);
	drop_taken(&w->h);
	return true;
}

/* Move what has come of one chunk to the text.  Return: false: read more. */
static bool take_chunk(struct watch *w, size_t *at)
{
	const char *from = w->h.buf + *at, *end = w->h.buf + w->h.len;
	size_t have = (size_t)(end - from), n;
	const char *crlf;

	if (w->chunk == 0) {
		crlf = memmem(from, have, "\r\n", 2);
		if (!crlf)
			return false;
		w->chunk = strtoul(from, NULL, 16);
		if (w->chunk == 0)
			die("netd ended the watch");
		w->chunk += 2;
		*at += (size_t)(crlf + 2 - from);
		return true;
	}
	n = have < w->chunk ? have : w->chunk;
	if (n == 0)
		return false;
	w->chunk -= n;
	*at += n;
	if (w->chunk < 2)           /* its last bytes are the CRLF behind it */
		n = n + w->chunk > 2 ? n + w->chunk - 2 : 0;
	make_room(&w->text, &w->room, w->len + n + 1);
	memcpy(w->text + w->len, from, n);
	w->len += n;
	return true;
}

void watch_read(struct watch *w)
{
	size_t at = 0;

	http_read(&w->h);
	if (!w->begun && !take_head(w))
		return;
	while (take_chunk(w, &at))
		;
	w->h.taken = at;
	drop_taken(&w->h);
}

const char *watch_line(struct watch *w)
{
	char *line, *end;

	line = w->text + w->taken;
	end = w->len > w->taken ? memchr(line, '\n', w->len - w->taken) : NULL;
	if (!end) {
		if (w->taken) {
			memmove(w->text, line, w->len - w->taken);
			w->len -= w->taken;
			w->taken = 0;
		}
		return NULL;
	}
	*end = '\0';
	w->taken = (size_t)(end + 1 - w->text);
	return line;
}

bool text_of(const char *json, const char *name, char *buf, size_t size)
{
	char key[64];
	const char *at = json;
	size_t n;

	snprintf(key, sizeof(key), "\"%s\"", name);
	while ((at = strstr(at, key))) {
		at += strlen(key);
		at += strspn(at, " :");
		if (*at != '"')
			continue;
		n = strcspn(at + 1, "\"");
		if (n >= size)
			return false;
		memcpy(buf, at + 1, n);
		buf[n] = '\0';
		return true;
	}
	return false;
}
