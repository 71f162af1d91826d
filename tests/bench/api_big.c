/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api_big.c - 10,000 pods: lists, watches, gets and puts beside etcd and SQLite, in turns
 *
 * Room: tests/bench.  The pods have the network of their node, so that the kernel has nothing to do.
 * What a list is compared with: the same bytes sent by a process that does nothing else (floor), a
 * range of etcd over the same objects, and a SQLite loop that reads them all and sends nothing.
 */
#include "api.h"
#include "etcd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PODS "/api/v1/namespaces/default/pods"
#define TABLE "application/json;as=Table;g=meta.k8s.io;v=v1"
#define CLIENTS 8

struct big {
	const struct bench *b;
	struct daemon d;
	struct etcd etcd;
	bool has_etcd;
	struct commit *commit;
	unsigned pods, serial;
	char *object;               /* one of them, as it is read */
	char before[32];            /* the revision before they were made */
	double seconds;             /* of one turn */
};

enum measure {
	GET_1, GET_8, PUT_1, PUT_8,                     /* ours, a second */
	ETCD_GET_1, ETCD_GET_8, ETCD_PUT_1, ETCD_PUT_8,
	SELECT, INSERT,
	LIST_JSON, LIST_TABLE, LIST_LABEL, LIST_PAGED,  /* milliseconds */
	LIST_FLOOR, ETCD_RANGE, SELECT_ALL,
	WATCH_HISTORY, WATCH_INITIAL, ETCD_WATCH,
	MEASURES
};

static void make_pod(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg;
	snprintf(path, path_size, PODS);
	snprintf(body, size, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
		 "\"bench-%07u\",\"labels\":{\"app\":\"web\",\"shard\":\"%u\"}},\"spec\":{"
		 "\"hostNetwork\":true,\"containers\":[{\"name\":\"web\",\"image\":\"web:1\"}]}}", i,
		 i % 10);
}

static void make_route(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	struct big *g = arg;

	(void)i;
	api_route(g->serial++, path, path_size, body, size);
}

static void make_get(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	const struct big *g = arg;

	(void)body, (void)size;
	snprintf(path, path_size, PODS "/bench-%07u", i % g->pods);
}

static void make_health(void *arg, unsigned i, char *path, size_t path_size, char *body, size_t size)
{
	(void)arg, (void)i, (void)body, (void)size;
	snprintf(path, path_size, "/healthz");
}

static double ours(struct big *g, const char *method, unsigned clients,
		   void (*make)(void *, unsigned, char *, size_t, char *, size_t))
{
	struct load l = { .socket = g->d.socket, .nclients = clients, .make = make, .arg = g,
			  .method = method };

	return api_rate(&l, g->seconds, NULL);
}

static double of_etcd(struct big *g, unsigned clients,
		      void (*make)(void *, unsigned, char *, size_t, char *, size_t))
{
	struct load l = { .socket = g->etcd.port, .nclients = clients, .make = make,
			  .arg = &g->etcd, .method = "POST" };

	return api_rate(&l, g->seconds, NULL);
}

static double of_sqlite(struct big *g, bool insert)
{
	uint64_t start = now_ns();
	unsigned n = 0;

	for (; ms_since(start) < g->seconds * 1e3; n++) {
		if (insert)
			commit_once(g->commit);
		else
			commit_select(g->commit, n % g->pods);
	}
	return rate_of(n, start);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Return: milliseconds of the first page; @next: the token of the next one, "" is the last. */
static double list(struct big *g, struct http *h, const char *query, const char *each, char next[512])
{
	char path[1024];
	struct http_reply reply;
	uint64_t start;
	double ms;

	snprintf(path, sizeof(path), PODS "%s", query);
	start = now_ns();
	reply = http_must(h, "GET", path, NULL);
	ms = ms_since(start);
	if (each && count(reply.body, each) != g->pods)
		die("api: a list of %u instead of %u objects", count(reply.body, each), g->pods);
	if (!text_of(reply.body, "continue", next, 512))
		next[0] = '\0';
	return ms;
}

static double list_once(struct big *g, const char *query, const char *accept, const char *each)
{
	char next[512];
	struct http h;
	double ms;

	http_open(&h, g->d.socket);
	h.accept = accept;
	ms = list(g, &h, query, each, next);
	http_close(&h);
	return ms;
}

/* In pages of 500, as kubectl asks for them. */
static double list_paged(struct big *g)
{
	char next[512] = "", query[600];
	struct http h;
	double ms = 0;

	http_open(&h, g->d.socket);
	do {
		snprintf(query, sizeof(query), "?limit=500%s%s", *next ? "&continue=" : "", next);
		ms += list(g, &h, query, NULL, next);
	} while (*next);
	http_close(&h);
	return ms;
}

static _Noreturn void send_all(int fd, const char *text, size_t len)
{
	char head[128], get[4096];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);

	if (read(fd, get, sizeof(get)) <= 0 || write(fd, head, (size_t)n) != n)
		_exit(1);
	while (len) {
		ssize_t sent = write(fd, text, len);

		if (sent <= 0)
			_exit(1);
		text += sent;
		len -= (size_t)sent;
	}
	_exit(0);
}

/* The same answer from a process that has it ready. */
static double list_floor(struct big *g)
{
	struct http h, from;
	struct http_reply reply;
	uint64_t start;
	double ms;
	int fds[2];
	pid_t pid;

	http_open(&from, g->d.socket);
	reply = http_must(&from, "GET", PODS, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || (pid = fork()) < 0)
		die("floor: %s", strerror(errno));
	if (pid == 0)
		send_all(fds[1], reply.body, reply.len);
	close(fds[1]);
	h = (struct http){ .fd = fds[0] };
	start = now_ns();
	http_must(&h, "GET", "/", NULL);
	ms = ms_since(start);
	http_close(&h);
	http_close(&from);
	waitpid(pid, NULL, 0);
	return ms;
}

static double etcd_range(struct big *g)
{
	char path[64], body[512];
	struct http_reply reply;
	struct http h;
	uint64_t start;
	double ms;

	etcd_make_range(&g->etcd, 0, path, sizeof(path), body, sizeof(body));
	http_open(&h, g->etcd.port);
	start = now_ns();
	reply = http_must(&h, "POST", path, body);
	ms = ms_since(start);
	if (count(reply.body, "\"key\"") != g->pods)
		die("etcd: a range of %u keys", count(reply.body, "\"key\""));
	http_close(&h);
	return ms;
}

static double select_all(struct big *g)
{
	uint64_t start = now_ns();

	if (!commit_select_all(g->commit))
		die("the peer has no rows");
	return ms_since(start);
}

/* Until @n times @what has come. */
static double hear(struct watch *w, const char *what, unsigned n, uint64_t start)
{
	unsigned heard = 0;
	const char *line;

	while (heard < n) {
		while ((line = watch_line(w)))
			heard += count(line, what);
		if (heard < n)
			watch_read(w);
	}
	watch_close(w);
	return ms_since(start);
}

static double watch_all(struct big *g, const char *query)
{
	uint64_t start = now_ns();
	struct watch w;
	char path[256];

	snprintf(path, sizeof(path), PODS "?watch=1%s", query);
	watch_open(&w, g->d.socket, path, NULL);
	return hear(&w, "{\"type\":\"ADDED\"", g->pods, start);
}

static double watch_etcd(struct big *g)
{
	uint64_t start = now_ns();
	struct watch w;

	etcd_watch(&g->etcd, 1, &w);
	return hear(&w, "\"kv\"", g->pods, start);
}

/* Of the pods' creation; changes of their status come between and are heard too. */
static double watch_history(struct big *g)
{
	char query[64];

	snprintf(query, sizeof(query), "&resourceVersion=%s", g->before);
	return watch_all(g, query);
}

static double measure(struct big *g, enum measure what)
{
	switch (what) {
	case GET_1:         return ours(g, "GET", 1, make_get);
	case GET_8:         return ours(g, "GET", CLIENTS, make_get);
	case PUT_1:         return ours(g, "POST", 1, make_route);
	case PUT_8:         return ours(g, "POST", CLIENTS, make_route);
	case ETCD_GET_1:    return of_etcd(g, 1, etcd_make_get);
	case ETCD_GET_8:    return of_etcd(g, CLIENTS, etcd_make_get);
	case ETCD_PUT_1:    return of_etcd(g, 1, etcd_make_put);
	case ETCD_PUT_8:    return of_etcd(g, CLIENTS, etcd_make_put);
	case SELECT:        return of_sqlite(g, false);
	case INSERT:        return of_sqlite(g, true);
	case LIST_JSON:     return list_once(g, "", NULL, "\"podIP\"");
	case LIST_TABLE:    return list_once(g, "", TABLE, "\"cells\"");
	case LIST_LABEL:    return list_once(g, "?labelSelector=shard%3D3", NULL, NULL);
	case LIST_PAGED:    return list_paged(g);
	case LIST_FLOOR:    return list_floor(g);
	case ETCD_RANGE:    return etcd_range(g);
	case SELECT_ALL:    return select_all(g);
	case WATCH_HISTORY: return watch_history(g);
	case WATCH_INITIAL: return watch_all(g, "");
	case ETCD_WATCH:    return watch_etcd(g);
	case MEASURES:      break;
	}
	return 0;
}

/* Each row is told once by itself, and then against each peer. */
static const struct row {
	enum measure what;
	const char *says;
	enum measure peers[3];          /* MEASURES ends them */
} rows[] = {
	{ GET_1, "GET of one pod of 10,000, 1 client", { SELECT, ETCD_GET_1, MEASURES } },
	{ GET_8, "GET of one pod of 10,000, 8 clients", { SELECT, ETCD_GET_8, MEASURES } },
	{ PUT_1, "POST of a Route, 1 client", { INSERT, ETCD_PUT_1, MEASURES } },
	{ PUT_8, "POST of a Route, 8 clients", { INSERT, ETCD_PUT_8, MEASURES } },
	{ LIST_JSON, "list of 10,000 pods, JSON", { SELECT_ALL, ETCD_RANGE, MEASURES } },
	{ LIST_TABLE, "list of 10,000 pods, Table", { SELECT_ALL, ETCD_RANGE, MEASURES } },
	{ LIST_LABEL, "list of 1,000 of 10,000 pods by a label", { MEASURES } },
	{ LIST_PAGED, "list of 10,000 pods in 20 pages", { ETCD_RANGE, MEASURES } },
	{ WATCH_HISTORY, "watch of 10,000 pods made, from the history", { ETCD_WATCH, MEASURES } },
	{ WATCH_INITIAL, "watch of 10,000 pods, from what is there", { ETCD_WATCH, MEASURES } },
};

static const char *const peer_names[MEASURES] = {
	[SELECT] = "SQLite select", [INSERT] = "fsync'd SQLite inserts",
	[SELECT_ALL] = "SQLite loop over all", [ETCD_GET_1] = "etcd range of one key",
	[ETCD_GET_8] = "etcd range of one key", [ETCD_PUT_1] = "etcd put",
	[ETCD_PUT_8] = "etcd put", [ETCD_RANGE] = "etcd range of all", [ETCD_WATCH] = "etcd watch",
};

static bool is_rate(enum measure what)
{
	return what < LIST_JSON;
}

static bool of_peer(const struct big *g, enum measure what)
{
	switch (what) {
	case ETCD_GET_1: case ETCD_GET_8: case ETCD_PUT_1: case ETCD_PUT_8:
	case ETCD_RANGE: case ETCD_WATCH:
		return g->has_etcd;
	default:
		return true;
	}
}

/* How many times as fast as the peer: the median over the rounds. */
static double times(const struct series *a, const struct series *b, bool rate)
{
	struct series ratios = { 0 };
	double median;

	for (size_t i = 0; i < a->n; i++)
		series_add(&ratios, rate ? a->v[i] / b->v[i] : b->v[i] / a->v[i]);
	median = series_at(&ratios, 0.5);
	series_fini(&ratios);
	return median;
}

static void tell(const struct big *g, const struct row *row, const struct series *got)
{
	const struct series *s = &got[row->what];
	bool list = row->what >= LIST_JSON && row->what <= LIST_PAGED && row->what != LIST_LABEL;
	struct figure f = { .what = row->says, .unit = is_rate(row->what) ? "1/s" : "ms" };

	if (is_rate(row->what))
		f.value = series_at(s, 0.5);
	else
		f.series = s;
	if (list)
		f.floor_ratio = 1 / times(s, &got[LIST_FLOOR], false);
	if (row->peers[0] == MEASURES)
		figure_print(g->b, &f);
	for (const enum measure *p = row->peers; *p != MEASURES; p++) {
		if (!got[*p].n)
			continue;
		f.peer = peer_names[*p];
		f.peer_ratio = times(s, &got[*p], is_rate(row->what));
		figure_print(g->b, &f);
	}
}

static void turns(struct big *g)
{
	struct series got[MEASURES] = { 0 };
	unsigned n = rounds_of(g->b, 15, 1);

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < MEASURES; k++)
			if (of_peer(g, k))
				series_add(&got[k], measure(g, k));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tell(g, &rows[i], got);
	for (unsigned k = 0; k < MEASURES; k++)
		series_fini(&got[k]);
}

/* Health checks while @accept is listed without a pause by somebody else; NULL: while nothing is. */
static void health(struct big *g, const char *says, const char *accept)
{
	struct load l = { .socket = g->d.socket, .nclients = 1, .make = make_health,
			  .method = "GET" };
	struct series latency = { 0 };
	pid_t pid = accept ? fork() : 0;

	if (accept && pid == 0)
		for (;;)
			list_once(g, "", accept, NULL);
	if (pid < 0)
		die("fork: %s", strerror(errno));
	api_rate(&l, g->b->smoke ? 0.1 : 3, &latency);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	figure_print(g->b, &(struct figure){ .what = says, .unit = "ms", .series = &latency });
	series_fini(&latency);
}

/* All are made, and their status is written, before anything is measured. */
static void fill(struct big *g)
{
	struct load l = { .socket = g->d.socket, .nclients = CLIENTS, .n = g->pods,
			  .make = make_pod, .arg = g, .method = "POST" };
	struct load_result res;
	struct http_reply reply;
	struct http h;

	http_open(&h, g->d.socket);
	reply = http_must(&h, "GET", PODS, NULL);
	if (!text_of(reply.body, "resourceVersion", g->before, sizeof(g->before)))
		die("api: a list without a resourceVersion");
	load_run(&l, &res);
	if (res.failed)
		die("api: %u of the first writes failed", res.failed);
	series_fini(&res.latency);
	do {
		nap_ms(20);
		reply = http_must(&h, "GET", PODS, NULL);
	} while (count(reply.body, "\"podIP\"") < g->pods);
	reply = http_must(&h, "GET", PODS "/bench-0000000", NULL);
	g->object = strdup(reply.body);
	http_close(&h);
}

static void fill_peers(struct big *g)
{
	struct load l = { .socket = g->etcd.port, .nclients = CLIENTS, .n = g->pods,
			  .make = etcd_make_put, .arg = &g->etcd, .method = "POST" };
	struct load_result res;
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/big", g->b->dir);        /* beside netd's database */
	g->commit = commit_open(dir, strlen(g->object));
	for (unsigned i = 0; i < g->pods; i++)
		commit_once(g->commit);
	g->has_etcd = etcd_start(g->b, &g->etcd);
	if (!g->has_etcd)
		return;
	g->etcd.value = g->object;
	g->etcd.keys = g->pods;
	load_run(&l, &res);
	if (res.failed)
		die("etcd: %u of the first writes failed", res.failed);
	series_fini(&res.latency);
}

void api_big(const struct bench *b)
{
	struct big g = { .b = b, .pods = b->smoke ? 200 : 10000, .seconds = b->smoke ? 0.05 : 0.2 };

	daemon_start(b, "big", NULL, NULL, &g.d);
	fill(&g);
	fill_peers(&g);
	health(&g, "healthz, nothing else going on", NULL);
	health(&g, "healthz, while 10,000 pods are listed as JSON", "application/json");
	health(&g, "healthz, while 10,000 pods are listed as a Table", TABLE);
	turns(&g);
	if (g.has_etcd)
		etcd_stop(&g.etcd);
	commit_close(g.commit);
	daemon_stop(&g.d);
	free(g.object);
}
