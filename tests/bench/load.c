/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * load.c - many keep-alive clients in one thread, each with one request under way
 *
 * Room: tests/bench.  One poll(2) over all of them, so that the load costs the machine little
 * beside what it measures.
 */
#include "http.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 128

struct client {
	struct http h;
	uint64_t sent;
	bool busy;
};

struct running {
	const struct load *l;
	struct client clients[CLIENTS_MAX];
	unsigned next, under_way;
	uint64_t start;
	struct load_result *result;
};

static void send_next(struct running *r, struct client *c)
{
	const struct load *l = r->l;
	char path[512], body[4096] = "";

	c->busy = false;
	if (r->next >= l->n || (l->seconds > 0 && ms_since(r->start) > l->seconds * 1e3))
		return;
	l->make(l->arg, r->next++, path, sizeof(path), body, sizeof(body));
	c->sent = now_ns();
	c->busy = true;
	r->under_way++;
	http_send(&c->h, l->method, path, body[0] ? body : NULL);
}

static void take_reply(struct running *r, struct client *c)
{
	struct http_reply reply;

	http_read(&c->h);
	if (!http_take(&c->h, &reply))
		return;
	series_add(&r->result->latency, ms_since(c->sent));
	r->under_way--;
	r->result->done++;
	if (reply.status != 200 && reply.status != 201 && r->result->failed++ == 0)
		fprintf(stderr, "load: %d %.*s\n", reply.status, (int)reply.len, reply.body);
	send_next(r, c);
}

static void take_lines(const struct load *l)
{
	const char *line;

	watch_read(l->watch);
	while ((line = watch_line(l->watch)))
		if (l->line)
			l->line(l->arg, line);
}

static void turn(struct running *r)
{
	const struct load *l = r->l;
	struct pollfd p[CLIENTS_MAX + 1];
	nfds_t n = l->nclients;
	unsigned i;

	for (i = 0; i < l->nclients; i++)
		p[i] = (struct pollfd){ .fd = r->clients[i].busy ? r->clients[i].h.fd : -1,
					.events = POLLIN };
	if (l->watch)
		p[n++] = (struct pollfd){ .fd = l->watch->h.fd, .events = POLLIN };
	if (poll(p, n, 60000) <= 0)
		die("netd said nothing for a minute, %u requests under way", r->under_way);
	for (i = 0; i < l->nclients; i++)
		if (p[i].revents)
			take_reply(r, &r->clients[i]);
	if (l->watch && p[l->nclients].revents)
		take_lines(l);
}

void load_run(const struct load *l, struct load_result *ret)
{
	struct running *r = calloc(1, sizeof(*r));
	unsigned i;

	if (!r || l->nclients > CLIENTS_MAX)
		die("load: no memory or too many clients");
	*ret = (struct load_result){ 0 };
	r->l = l;
	r->result = ret;
	for (i = 0; i < l->nclients; i++) {
		http_open(&r->clients[i].h, l->socket);
		r->clients[i].h.accept = l->accept;
	}
	r->start = now_ns();
	for (i = 0; i < l->nclients; i++)
		send_next(r, &r->clients[i]);
	while (r->under_way)
		turn(r);
	ret->ms = ms_since(r->start);
	for (i = 0; i < l->nclients; i++)
		http_close(&r->clients[i].h);
	free(r);
}
