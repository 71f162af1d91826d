/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tls.c - the doors of `listen`: where HTTP meets the keys
 *
 * Room: main's.  A request that a web page could have sent is nobody's, whatever it shows: it has an
 * Origin, says where it was fetched from, or calls the server by a name that is none of its own
 * (DNS rebinding).  All others are who their certificate or token says, else nobody.
 * May include: every room of netd.
 */
#include <errno.h>
#include <netd/pki/pki.h>
#include <netd/tls.h>
#include <netinet/in.h>
#include <stdio.h>

#define LOOK_MS         3600000     /* at the calendar */
#define MAX_NAMES       (4 + KERNEL_MAX_ADDRESSES + LIMIT_LISTEN + LIMIT_SAN)

struct tls {
	const struct conf *conf;
	struct arena arena;
	struct pki_config pki_conf;
	struct pki *pki;
	struct http_tls http;
	struct http_socket socks[LIMIT_LISTEN];     /* until http has them */
	struct reconcile *reconcile;                /* NULL: not yet */
	struct loop_timer *timer;
};

static bool is_wildcard(const struct podnet_prefix *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->addr, zero, sizeof(zero)) == 0;
}

/* Of the first listener, as seen from this machine. */
static const char *server_url(struct arena *arena, const struct conf_listen *l)
{
	bool v6 = l->ip.family == AF_INET6;
	char text[PODNET_PREFIX_STRLEN];

	podnet_prefix_format_addr(&l->ip, text);
	if (is_wildcard(&l->ip))
		snprintf(text, sizeof(text), v6 ? "::1" : "127.0.0.1");
	return arena_printf(arena, v6 ? "https://[%s]:%u" : "https://%s:%u", text, l->port);
}

static int pki_config(const struct conf *conf, struct arena *arena, struct pki_config *ret,
		      char why[256])
{
	*ret = (struct pki_config){
		.dir = conf->pki_dir, .kubeconfig = conf->kubeconfig, .tokens = conf->token_file,
		.server = conf->nlisten ? server_url(arena, &conf->listen[0]) : "",
	};
	if (ret->server)
		return 0;
	snprintf(why, 256, "out of memory");
	return -ENOMEM;
}

struct names {
	const char *v[MAX_NAMES];
	char text[MAX_NAMES][PODNET_PREFIX_STRLEN];
	size_t n;
};

static void add_name(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return;
	if (names->n < MAX_NAMES)
		names->v[names->n++] = name;
}

static void add_ip(struct names *names, const struct podnet_prefix *ip)
{
	if (!is_wildcard(ip) && names->n < MAX_NAMES)
		add_name(names, podnet_prefix_format_addr(ip, names->text[names->n]));
}

static struct pki_names names_of(const struct tls *tls, struct names *names)
{
	const struct conf *conf = tls->conf;
	const struct podnet_prefix *ips = conf->node_ips;
	size_t n = conf->nnode_ips;

	if (tls->reconcile)
		n = reconcile_node_addresses(tls->reconcile, &ips);
	names->n = 0;
	add_name(names, "localhost");
	add_name(names, "127.0.0.1");
	add_name(names, "::1");
	add_name(names, conf->node_name);
	for (size_t i = 0; i < n; i++)
		add_ip(names, &ips[i]);
	for (size_t i = 0; i < conf->nlisten; i++)
		add_ip(names, &conf->listen[i].ip);
	for (size_t i = 0; i < conf->ntls_san; i++)
		add_name(names, conf->tls_san[i]);
	return (struct pki_names){ names->v, names->n };
}

static int listen_at(const struct conf_listen *l, struct http_socket *ret, char why[256])
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(l->port) };
	char text[PODNET_PREFIX_STRLEN];
	int r;

	memcpy(&v6.sin6_addr, l->ip.addr, 16);
	memcpy(&v4.sin_addr, l->ip.addr, 4);
	r = l->ip.family == AF_INET6 ?
		http_listen_tcp((const struct sockaddr *)&v6, sizeof(v6), ret) :
		http_listen_tcp((const struct sockaddr *)&v4, sizeof(v4), ret);
	if (r < 0)
		snprintf(why, 256, "listen: %s port %u: %s", podnet_prefix_format_addr(&l->ip, text),
			 l->port, strerror(-r));
	return r;
}

static void begin(void *arg, void *session)
{
	struct tls *tls = arg;

	pki_session_begin(tls->pki, session);
}

static bool pending(void *session)
{
	return pki_session_pending(session);
}

DEFINE_CLEANUP(struct tls, tls_stop)

int tls_start(const struct conf *conf, struct tls **ret, char why[256])
{
	_cleanup_(tls_stopp) struct tls *tls = NULL;
	struct names names;
	struct pki_names wanted;
	int r;

	if (!conf->nlisten)
		return 0;
	snprintf(why, 256, "out of memory");
	tls = calloc(1, sizeof(*tls));
	if (!tls)
		return -ENOMEM;
	tls->conf = conf;
	for (size_t i = 0; i < LIMIT_LISTEN; i++)
		tls->socks[i].fd = -1;
	wanted = names_of(tls, &names);
	r = pki_config(conf, &tls->arena, &tls->pki_conf, why);
	for (size_t i = 0; r == 0 && i < conf->nlisten; i++)
		r = listen_at(&conf->listen[i], &tls->socks[i], why);
	if (r == 0)
		r = pki_open(&tls->pki_conf, &wanted, now_realtime_s(), &tls->pki, why);
	if (r < 0)
		return r;
	tls->http = (struct http_tls){
		.priorities = pki_priorities, .trust = pki_trust(tls->pki),
		.certificate = (void (*)(void))pki_certificate, .begin = begin,
		.pending = pending, .arg = tls,
	};
	*ret = take_ptr(tls);
	return 0;
}

int tls_prepare(const struct conf *conf, char why[256])
{
	struct tls tls = { .conf = conf };
	struct pki *pki = NULL;
	struct pki_names wanted;
	struct names names;
	int r;

	if (!conf->nlisten)
		return 0;
	wanted = names_of(&tls, &names);
	r = pki_config(conf, &tls.arena, &tls.pki_conf, why);
	if (r == 0)
		r = pki_open(&tls.pki_conf, &wanted, now_realtime_s(), &pki, why);
	pki_close(pki);
	arena_fini(&tls.arena);
	return r;
}

static const char *foreign(const struct tls *tls, struct request *req)
{
	static const char *const headers[] = { "Origin", "Sec-Fetch-Site" };
	const char *host = request_header(req, "Host"), *why;

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (request_header(req, headers[i]))
			return arena_printf(request_arena(req), "requests of web pages are not served: "
					    "header %s", headers[i]);
	if (pki_is_our_host(tls->pki, host))
		return NULL;
	why = arena_printf(request_arena(req), "the host \"%.255s\" is none of this server's names "
			   "(tls-san)", host ? host : "");
	return why ? why : "no memory";
}

static void identify(void *arg, struct request *req, struct http_peer *peer)
{
	static const enum http_role roles[] = {
		[PKI_NOBODY] = ROLE_NONE, [PKI_VIEW] = ROLE_VIEW, [PKI_ADMIN] = ROLE_ADMIN,
	};
	struct tls *tls = arg;
	struct pki_identity who = { 0 };
	const char *name;
	int r;

	peer->role = ROLE_NONE;
	peer->foreign = foreign(tls, req);
	if (peer->foreign)
		return;
	r = pki_identify_session(tls->pki, request_tls_session(req), now_realtime_s(), &who);
	if (r < 0)
		r = pki_identify_header(tls->pki, request_header(req, "Authorization"), &who);
	name = r < 0 ? NULL : arena_strdup(request_arena(req), who.name);
	if (!name)
		return;
	peer->name = name;
	peer->role = roles[who.role];
}

static void on_look(void *arg)
{
	struct tls *tls = arg;
	struct names names;
	struct pki_names wanted = names_of(tls, &names);

	pki_renew(tls->pki, &wanted, now_realtime_s());
	loop_timer_set(tls->timer, LOOK_MS);
}

/* The node's addresses may be others now. */
static void on_change(void *arg, const struct object *was, const struct object *is)
{
	struct tls *tls = arg;

	if ((was ? was : is)->kind->id == KIND_NODE)
		loop_timer_set(tls->timer, 0);
}

int tls_open(struct tls *tls, struct loop *loop, struct state *state, struct reconcile *rec,
	     struct http *http)
{
	int r;

	if (!tls)
		return 0;
	tls->reconcile = rec;
	r = loop_timer_new(loop, on_look, tls, &tls->timer);
	if (r == 0)
		r = state_observe(state, &(struct state_observer){ .changed = on_change, .arg = tls });
	for (size_t i = 0; r == 0 && i < tls->conf->nlisten; i++) {
		struct http_door door = {
			.name = "tls", .sock = tls->socks[i], .tls = &tls->http,
			.identify = identify, .arg = tls,
		};

		tls->socks[i].fd = -1;
		r = http_door_open(http, &door);
	}
	if (r == 0)
		loop_timer_set(tls->timer, LOOK_MS);
	return r;
}

void tls_stop(struct tls *tls)
{
	if (!tls)
		return;
	loop_timer_free(tls->timer);
	pki_close(tls->pki);
	for (size_t i = 0; i < LIMIT_LISTEN; i++)
		closep(&tls->socks[i].fd);
	arena_fini(&tls->arena);
	free(tls);
}

void tls_each_path(const struct conf *conf, void (*each)(void *arg, const char *path), void *arg)
{
	struct pki_config pki = {
		.dir = conf->pki_dir, .kubeconfig = conf->kubeconfig, .tokens = conf->token_file,
	};

	if (conf->nlisten)
		pki_each_path(&pki, each, arg);
}

int tls_check(const struct conf *conf, char why[256])
{
	struct pki_config pki = {
		.dir = conf->pki_dir, .kubeconfig = conf->kubeconfig, .tokens = conf->token_file,
	};

	return conf->nlisten ? pki_check(&pki, why) : 0;
}

static int print(struct buf *text, const char *end, char why[256])
{
	int r = 0;

	if (fwrite(text->data, 1, text->len, stdout) != text->len || fputs(end, stdout) < 0 ||
	    fflush(stdout) != 0) {
		snprintf(why, 256, "cannot print: %m");
		r = -EIO;
	}
	explicit_bzero(text->data, text->len);
	buf_fini(text);
	return r;
}

int tls_new_token(const struct conf *conf, char why[256])
{
	struct arena arena = { 0 };
	struct pki_config pki;
	struct buf text = { 0 };
	int r = pki_config(conf, &arena, &pki, why);

	if (r == 0)
		r = pki_new_token(&pki, conf->argument, &text, why);
	arena_fini(&arena);
	if (r == 0)
		return print(&text, "\n", why);
	buf_fini(&text);
	return r;
}

int tls_new_kubeconfig(const struct conf *conf, char why[256])
{
	struct arena arena = { 0 };
	struct pki_config pki;
	struct buf text = { 0 };
	int r;

	if (!conf->nlisten) {
		snprintf(why, 256, "listen is not set, so there is no server to name");
		return -EINVAL;
	}
	r = pki_config(conf, &arena, &pki, why);
	if (r == 0)
		r = pki_new_kubeconfig(&pki, conf->argument, now_realtime_s(), &text, why);
	arena_fini(&arena);
	if (r == 0)
		return print(&text, "", why);
	buf_fini(&text);
	return r;
}
