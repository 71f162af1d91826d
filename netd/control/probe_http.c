/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_http.c - the texts of a probe by HTTP: its address, request, the head of an answer
 *
 * Room: control; pure.  RFC 9110 and 9112 as far as a GET goes whose body nobody reads; what a kubelet
 * sends and follows (k8s.io/kubernetes pkg/probe/http).  An answer comes from inside of a pod: nothing in
 * it is taken at its word but a status code, a length and a path on the same host.
 * May include: probe.h, libc.
 */
#include "probe.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define AGENT "kube-probe/1.30"

const char *probe_url_text(const struct probe_url *url, char *ret, size_t size)
{
	bool v6 = strchr(url->host, ':') != NULL;

	snprintf(ret, size, "http://%s%s%s:%u%s", v6 ? "[" : "", url->host, v6 ? "]" : "",
		 url->port, url->target ? url->target : "/");
	return ret;
}

/* What may not stand in a request line as it is. */
static bool must_escape(unsigned char c)
{
	return c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c);
}

static int set_target(struct probe_url *url, const char *path, size_t len)
{
	struct buf b = { 0 };
	size_t i;

	if (!len || path[0] != '/')
		buf_str(&b, "/");
	for (i = 0; i < len && path[i] != '#'; i++) {
		if (must_escape((unsigned char)path[i]))
			buf_printf(&b, "%%%02X", (unsigned char)path[i]);
		else
			buf_add(&b, &path[i], 1);
	}
	buf_add(&b, "", 1);
	if (b.failed) {
		buf_fini(&b);
		return -ENOMEM;
	}
	free(url->target);
	url->target = b.data;
	return 0;
}

int probe_url_set(struct probe_url *url, const char *path)
{
	return set_target(url, path ? path : "/", path ? strlen(path) : 1);
}

/* ---- redirects ---- */

/* "//host:port" at @at, up to @end; what is behind it, or NULL */
static const char *read_host(const char *at, const char *end, struct probe_url *ret)
{
	const char *stop = at, *user, *colon;
	unsigned long port = 80;
	size_t n;

	while (stop < end && !strchr("/?#", *stop))
		stop++;
	user = memrchr(at, '@', (size_t)(stop - at));
	at = user ? user + 1 : at;
	colon = memrchr(at, ':', (size_t)(stop - at));
	if (colon && memchr(colon, ']', (size_t)(stop - colon)))
		colon = NULL;
	n = (size_t)((colon ? colon : stop) - at);
	if (n > 1 && at[0] == '[' && at[n - 1] == ']') {
		at++;
		n -= 2;
	}
	if (!n || n >= sizeof(ret->host))
		return NULL;
	memcpy(ret->host, at, n);
	ret->host[n] = '\0';
	if (colon && colon + 1 < stop)
		port = strtoul(colon + 1, NULL, 10);    /* ends at @stop: the head has no NUL, but a line */
	ret->port = (uint16_t)port;
	return port && port < 65536 ? stop : NULL;
}

/* "http:", "https:": its length, 0: there is none */
static size_t scheme_length(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && (isalnum((unsigned char)at[n]) || strchr("+-.", at[n])))
		n++;
	return n && n < len && at[n] == ':' ? n + 1 : 0;
}

/* Behind the last '/' of where we are; of "?x" behind the whole path. */
static int set_relative(struct probe_url *ret, const struct probe_url *from, const char *at,
			size_t len)
{
	struct buf b = { 0 };
	size_t path = strcspn(from->target, "?"), keep = path;
	int r;

	while (len && at[0] != '?' && keep && from->target[keep - 1] != '/')
		keep--;
	buf_add(&b, from->target, keep);
	buf_add(&b, at, len);
	r = b.failed ? -ENOMEM : set_target(ret, b.data, b.len);
	buf_fini(&b);
	return r;
}

enum probe_follow probe_url_follow(const struct probe_url *from, const char *location, size_t len,
				   struct probe_url *ret, bool *relative)
{
	size_t scheme = scheme_length(location, len);
	const char *at = location + scheme, *end = location + len;
	int r;

	if (scheme && (scheme != 5 || strncasecmp(location, "http:", 5) != 0))
		return FOLLOW_NOT;
	*relative = end - at < 2 || at[0] != '/' || at[1] != '/';
	if (*relative && scheme)
		return FOLLOW_FAILED;
	*ret = (struct probe_url){ .port = from->port };
	memcpy(ret->host, from->host, sizeof(ret->host));
	if (!*relative) {
		at = read_host(at + 2, end, ret);
		if (!at)
			return FOLLOW_FAILED;
		if (strcasecmp(ret->host, from->host) != 0)
			return FOLLOW_NOT;
	}
	if (*relative && at < end && at[0] != '/')
		r = set_relative(ret, from, at, (size_t)(end - at));
	else
		r = set_target(ret, at, (size_t)(end - at));
	return r < 0 ? FOLLOW_FAILED : FOLLOW_IT;
}

/* ---- the request ---- */

static bool can_be_sent(const char *value)
{
	for (; value && *value; value++)
		if ((unsigned char)*value < ' ' && *value != '\t')
			return false;
	return true;
}

/* Of several headers that one is needed of, the last. */
static const char *given(const struct probe *probe, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < probe->nheaders; i++)
		if (strcasecmp(probe->headers[i].name, name) == 0)
			value = probe->headers[i].value ? probe->headers[i].value : "";
	return value;
}

static void put_host(const struct probe_url *url, struct buf *out)
{
	bool v6 = strchr(url->host, ':') != NULL;

	buf_printf(out, "%s%s%s", v6 ? "[" : "", url->host, v6 ? "]" : "");
	if (url->port != 80)
		buf_printf(out, ":%u", url->port);
}

int probe_request(const struct probe *probe, const struct probe_url *url, bool own_host,
		  struct buf *out, const char **bad)
{
	const char *host = own_host ? given(probe, "Host") : NULL;

	buf_printf(out, "GET %s HTTP/1.1\r\nHost: ", url->target);
	if (host && *host)
		buf_str(out, host);
	else
		put_host(url, out);
	buf_str(out, "\r\n");
	if (!given(probe, "User-Agent"))
		buf_str(out, "User-Agent: " AGENT "\r\n");
	if (!given(probe, "Accept"))
		buf_str(out, "Accept: */*\r\n");
	for (size_t i = 0; i < probe->nheaders; i++) {
		const struct probe_header *h = &probe->headers[i];

		*bad = h->name;
		if (!can_be_sent(h->name) || !can_be_sent(h->value))
			return -EINVAL;
		if (strcasecmp(h->name, "Host") != 0 && strcasecmp(h->name, "Connection") != 0)
			buf_printf(out, "%s: %s\r\n", h->name, h->value ? h->value : "");
	}
	buf_str(out, "Connection: close\r\n\r\n");
	return out->failed ? -ENOMEM : 0;
}

/* ---- the answer ---- */

/* "HTTP/1.1 200 OK" */
static int read_status(const char *line, size_t len, struct probe_answer *ret)
{
	unsigned code = 0;

	if (len < 12 || strncmp(line, "HTTP/", 5) != 0 || !isdigit((unsigned char)line[5]) ||
	    line[6] != '.' || !isdigit((unsigned char)line[7]) || line[8] != ' ')
		return -EINVAL;
	for (size_t i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)line[i]))
			return -EINVAL;
		code = code * 10 + (unsigned)(line[i] - '0');
	}
	if (code < 100 || (len > 12 && line[12] != ' '))
		return -EINVAL;
	ret->code = code;
	return 0;
}

static bool is_header(const char *line, size_t len, const char *name, const char **value,
		      size_t *value_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	while (len > n && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*value = line + n;
	*value_len = len - n;
	return true;
}

static int read_length(const char *value, size_t len, int64_t *ret)
{
	int64_t n = 0;

	if (!len || len > 18)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)value[i]))
			return -EINVAL;
		n = n * 10 + (value[i] - '0');
	}
	*ret = n;
	return 0;
}

static int read_header(const char *line, size_t len, struct probe_answer *ret)
{
	const char *value;
	size_t n;

	if (!memchr(line, ':', len))
		return -EINVAL;
	if (is_header(line, len, "Location", &value, &n)) {
		ret->location = n ? value : NULL;
		ret->location_len = n;
	} else if (is_header(line, len, "Content-Length", &value, &n)) {
		return read_length(value, n, &ret->length);
	} else if (is_header(line, len, "Transfer-Encoding", &value, &n)) {
		ret->chunked = true;
	}
	return 0;
}

/* A line ends with LF, CR before it or not. */
static ssize_t read_head(const char *data, size_t len, struct probe_answer *ret)
{
	const char *at = data, *end = data + len, *lf;

	while ((lf = memchr(at, '\n', (size_t)(end - at)))) {
		size_t n = (size_t)(lf - at);
		int r;

		n -= n && at[n - 1] == '\r';
		if (!n && at > data)
			return lf + 1 - data;
		r = at == data ? read_status(at, n, ret) : read_header(at, n, ret);
		if (r < 0)
			return r;
		at = lf + 1;
	}
	return 0;
}

/* What comes before the answer (100, 103) is passed over. */
ssize_t probe_answer_read(const char *data, size_t len, struct probe_answer *ret)
{
	size_t at = 0;

	for (int i = 0; i < 6; i++) {
		ssize_t n;

		*ret = (struct probe_answer){ .length = -1 };
		n = read_head(data + at, len - at, ret);
		if (n <= 0)
			return n;
		at += (size_t)n;
		if (ret->code >= 200)
			return (ssize_t)at;
	}
	return -EINVAL;
}
