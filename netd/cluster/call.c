/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * call.c - one request to the gateway, and which endpoint it is sent to
 *
 * Room: cluster.  Endpoints are asked one at a time: the first that answers is asked until it does
 * not.  A request that surely did not arrive goes to the next one, and one that may have only if it
 * changes nothing.  May include: netd/base, libcurl.
 */
#include "inner.h"
#include <errno.h>
#include <netd/base/log.h>
#include <netdb.h>
#include <stdio.h>

static size_t take_data(char *data, size_t size, size_t n, void *arg)
{
	struct call *call = arg;

	if (call->reply.len + n * size > REPLY_MAX) {
		call->too_large = true;
		return 0;
	}
	buf_add(&call->reply, data, n * size);
	return call->reply.failed ? 0 : n * size;
}

static void set_tls(CURL *easy, const struct etcd *etcd)
{
	if (etcd->ca)
		etcd->lib.easy_setopt(easy, CURLOPT_CAINFO, etcd->ca);
	if (etcd->cert)
		etcd->lib.easy_setopt(easy, CURLOPT_SSLCERT, etcd->cert);
	if (etcd->key)
		etcd->lib.easy_setopt(easy, CURLOPT_SSLKEY, etcd->key);
}

/*
 * What a stalled connection is found by: a stream has no time limit.  And a member without a leader would
 * keep it open and tell nothing; it ends it for who asks as etcd's own client does (WithRequireLeader), in
 * the gateway's words.
 */
static void set_stream(CURL *easy, const struct etcd *etcd)
{
	etcd->lib.easy_setopt(easy, CURLOPT_HTTPHEADER, etcd->watch_headers);
	etcd->lib.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	etcd->lib.easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 5L);
	etcd->lib.easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 3L);
	etcd->lib.easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

static int set_options(struct call *call, bool stream)
{
	struct etcd *etcd = call->etcd;
	CURL *easy = call->easy;
	char url[320];

	call->at = etcd->at;
	snprintf(url, sizeof(url), "%.250s%s", etcd->urls[call->at], call->path);
	etcd->lib.easy_setopt(easy, CURLOPT_URL, url);
	etcd->lib.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	etcd->lib.easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	etcd->lib.easy_setopt(easy, CURLOPT_PROXY, "");
	etcd->lib.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	etcd->lib.easy_setopt(easy, CURLOPT_HTTPHEADER, etcd->headers);
	etcd->lib.easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	etcd->lib.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
	etcd->lib.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_data);
	etcd->lib.easy_setopt(easy, CURLOPT_WRITEDATA, call);
	etcd->lib.easy_setopt(easy, CURLOPT_PRIVATE, call);
	etcd->lib.easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	etcd->lib.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)etcd->timeout_ms / 2);
	set_tls(easy, etcd);
	if (stream)
		set_stream(easy, etcd);
	else
		etcd->lib.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)etcd->timeout_ms);
	return 0;
}

int call_begin(struct call *call, bool stream)
{
	call->error[0] = '\0';
	call->reply.len = 0;
	if (!call->easy)
		call->easy = call->etcd->lib.easy_init();
	if (!call->easy)
		return -ENOMEM;
	call->etcd->lib.easy_reset(call->easy);
	set_options(call, stream);
	return call->etcd->lib.multi_add_handle(call->etcd->multi, call->easy) == CURLM_OK ? 0 : -ENOMEM;
}

void call_drop(struct call *call)
{
	if (call->easy) {
		call->etcd->lib.multi_remove_handle(call->etcd->multi, call->easy);
		call->etcd->lib.easy_cleanup(call->easy);
	}
	free(call->body);
	buf_fini(&call->reply);
}

static void call_free(struct call *call)
{
	if (call->link) {
		*call->link = call->next;
		if (call->next)
			call->next->link = call->link;
	}
	call_drop(call);
	free(call);
}

int call_send(struct etcd *etcd, const char *path, char *body, bool safe, etcd_done done, void *arg)
{
	struct call *call = body && !etcd->closing ? calloc(1, sizeof(*call)) : NULL;

	if (!call) {
		free(body);
		return -ENOMEM;
	}
	*call = (struct call){ .etcd = etcd, .path = path, .body = body, .safe = safe, .done = done,
			       .arg = arg };
	if (call_begin(call, false) < 0) {
		call_free(call);
		return -ENOMEM;
	}
	call->next = etcd->calls;
	call->link = &etcd->calls;
	if (call->next)
		call->next->link = &call->next;
	etcd->calls = call;
	return 0;
}

static int curl_error(const struct call *call, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ENOTCONN;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EACCES;
	case CURLE_WRITE_ERROR:
		return call->too_large ? -EPROTO : -ENOMEM;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		break;
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		long sent = 0;      /* bytes; a connection that was there already took no time to make */

		call->etcd->lib.easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
		return sent ? -ETIMEDOUT : -ENOTCONN;
	}
	return -ETIMEDOUT;              /* sent, and no answer came */
}

int call_error(struct call *call, CURLcode code, char words[ETCD_WORDS])
{
	const struct etcd *etcd = call->etcd;

	if (code == CURLE_OK)
		return 0;
	snprintf(words, ETCD_WORDS, "%.80s: %.110s", etcd->shown[call->at],
		 call->error[0] ? call->error : etcd->lib.easy_strerror(code));
	return curl_error(call, code);
}

static bool try_again(struct call *call, int rc)
{
	bool may = rc == -ENOTCONN || rc == -EACCES || (rc == -ETIMEDOUT && call->safe);

	if (!may || call->etcd->closing)
		return false;
	if (call->at == call->etcd->at)         /* else another call was first to find it out */
		etcd_next_endpoint(call->etcd);
	return ++call->tries < call->etcd->nurls && call_begin(call, false) == 0;
}

static void answer(struct call *call, int rc, const char *words)
{
	struct answer a = { 0 };

	if (rc == 0) {
		rc = reply_parse(call->reply.data ? call->reply.data : "", call->reply.len, false, &a);
		words = rc < 0 ? "the answer is none of etcd's" : a.words;
		rc = rc < 0 ? rc : a.rc;
	}
	if (rc < 0 && try_again(call, rc)) {
		arena_fini(&a.arena);
		return;
	}
	call->done(call->arg, rc, words, rc == 0 ? &a.reply : NULL);
	arena_fini(&a.arena);
	call_free(call);
}

void call_ended(struct call *call, CURLcode code)
{
	char words[ETCD_WORDS] = "";
	struct etcd_watch *watch = NULL;

	for (struct etcd_watch *w = call->etcd->watches; w; w = w->next)
		if (&w->call == call)
			watch = w;
	if (watch)
		watch_ended(watch, code);
	else
		answer(call, call_error(call, code, words), words);
}

static void shut(struct call *call)
{
	call->done(call->arg, -ESHUTDOWN, "netd is stopping", NULL);
	call_free(call);
}

void etcd_next_endpoint(struct etcd *etcd)
{
	etcd->at = (etcd->at + 1) % etcd->nurls;
}

const char *etcd_endpoint(const struct etcd *etcd)
{
	return etcd->shown[etcd->at];
}

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

/* Of a name: what looking it up takes is loaded now, as no code can be later. */
static void look_up(const char *url)
{
	const char *host = strstr(url, "://") + 3;      /* of one that is shown */
	struct addrinfo *found = NULL;
	char name[256];

	if (*host == '[')
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":/"), host);
	if (getaddrinfo(name, NULL, NULL, &found) == 0)
		freeaddrinfo(found);
}

static int copy_urls(struct etcd *etcd, const struct etcd_config *conf, char why[ETCD_WORDS])
{
	for (size_t i = 0; i < conf->nurls && i < ETCD_URLS; i++) {
		size_t n = strlen(conf->urls[i]);
		char shown[256];

		log_urls(conf->urls[i], shown, sizeof(shown));

		if (strncmp(conf->urls[i], "http://", 7) != 0 &&
		    strncmp(conf->urls[i], "https://", 8) != 0) {
			snprintf(why, ETCD_WORDS, "%.120s: http:// or https:// wanted", shown);
			return -EINVAL;
		}
		if (copy(&etcd->urls[etcd->nurls], conf->urls[i]) < 0 ||
		    copy(&etcd->shown[etcd->nurls], shown) < 0)
			return -ENOMEM;
		look_up(shown);
		while (n && etcd->urls[etcd->nurls][n - 1] == '/')
			etcd->urls[etcd->nurls][--n] = '\0';
		etcd->nurls++;
	}
	return etcd->nurls ? 0 : -EINVAL;
}

static int make_headers(struct etcd *etcd)
{
	struct curl_slist *more;

	/* no "100 Continue" first: it costs a round trip */
	etcd->headers = etcd->lib.slist_append(NULL, "Expect:");
	etcd->watch_headers = etcd->lib.slist_append(NULL, "Expect:");
	if (!etcd->headers || !etcd->watch_headers)
		return -ENOMEM;
	more = etcd->lib.slist_append(etcd->watch_headers, "Grpc-Metadata-hasleader: true");
	return more ? 0 : -ENOMEM;
}

int etcd_open(const struct etcd_config *conf, struct etcd **ret, char why[ETCD_WORDS])
{
	_cleanup_(etcd_closep) struct etcd *etcd = calloc(1, sizeof(*etcd));
	int r = etcd ? lib_load(&etcd->lib, why, ETCD_WORDS) : -ENOMEM;

	if (r < 0)
		return r;
	snprintf(why, ETCD_WORDS, "no memory");
	etcd->loop = conf->loop;
	etcd->timeout_ms = conf->timeout_ms ? conf->timeout_ms : 5000;
	r = copy_urls(etcd, conf, why);
	if (r == 0)
		r = copy(&etcd->ca, conf->ca);
	if (r == 0)
		r = copy(&etcd->cert, conf->cert);
	if (r == 0)
		r = copy(&etcd->key, conf->key);
	if (r == 0)
		r = drive_start(etcd);
	if (r < 0)
		return r;
	r = make_headers(etcd);
	if (r == 0)
		*ret = take_ptr(etcd);
	return r;
}

void etcd_close(struct etcd *etcd)
{
	if (!etcd)
		return;
	etcd->closing = true;
	while (etcd->watches)
		etcd_watch_close(etcd->watches);
	while (etcd->calls)
		shut(etcd->calls);
	drive_stop(etcd);
	if (etcd->headers)
		etcd->lib.slist_free_all(etcd->headers);
	if (etcd->watch_headers)
		etcd->lib.slist_free_all(etcd->watch_headers);
	for (size_t i = 0; i < ARRAY_SIZE(etcd->urls); i++) {
		free(etcd->urls[i]);
		free(etcd->shown[i]);
	}
	free(etcd->ca);
	free(etcd->cert);
	free(etcd->key);
	lib_unload(&etcd->lib);
	free(etcd);
}
