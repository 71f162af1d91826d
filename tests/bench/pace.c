/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pace.c - writes and looks at /healthz at their time, and how long each takes
 *
 * Room: tests/bench.  An open loop: a request is late from the moment it was due, also when it could
 * not be sent because all connections waited, so that a server that stands still is seen to.
 */
#include "crowd.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 64
#define LOOKERS 16              /* connections that ask for /healthz */
#define HEALTH_HZ 50
#define MEMORY_NS 250000000u

struct connection {
	struct http h;
	bool busy;
	uint64_t due;
};

struct pacing {
	struct pace *p;
	struct connection write[WRITERS], look[LOOKERS];
	uint64_t start, end, memory_at;
	unsigned writes, looks;                 /* begun */
};

static void remember_peak(struct pacing *pc)
{
	struct memory now = memory_of(pc->p->pid);

	if (now.rss > pc->p->peak.rss)
		pc->p->peak.rss = now.rss;
	if (now.uss > pc->p->peak.uss)
		pc->p->peak.uss = now.uss;
	pc->memory_at = now_ns() + MEMORY_NS;
}

static void send_write(struct pacing *pc, struct connection *c)
{
	unsigned serial = (*pc->p->serial)++;
	char path[128], body[512];

	snprintf(path, sizeof(path), CROWD_EVENTS "/crowd-%u", serial % CROWD_OBJECTS);
	snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"crowd-%u\",\"annotations\":"
		 "{\"serial\":\"%u\",\"sent\":\"%llu\"}},\"involvedObject\":{\"namespace\":"
		 "\"default\"}}", serial % CROWD_OBJECTS, serial, (unsigned long long)now_ns());
	http_send(&c->h, "PUT", path, body);
}

static struct connection *free_one(struct connection *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!c[i].busy)
			return &c[i];
	return NULL;
}

static void begin(struct connection *c, uint64_t due)
{
	c->busy = true;
	c->due = due;
}

/* Send what is due.  Return: when the next one is. */
static uint64_t send_due(struct pacing *pc)
{
	uint64_t every = 1000000000u / pc->p->writes, look_every = 1000000000u / HEALTH_HZ;
	uint64_t write_due = pc->start + pc->writes * every, now = now_ns();
	uint64_t look_due = pc->start + pc->looks * look_every;
	struct connection *c;

	while (write_due <= now && write_due < pc->end && (c = free_one(pc->write, WRITERS))) {
		begin(c, write_due);
		send_write(pc, c);
		write_due = pc->start + ++pc->writes * every;
	}
	while (look_due <= now && look_due < pc->end && (c = free_one(pc->look, LOOKERS))) {
		begin(c, look_due);
		http_send(&c->h, "GET", "/healthz", NULL);
		look_due = pc->start + ++pc->looks * look_every;
	}
	return write_due < look_due ? write_due : look_due;
}

static void take(struct connection *c, struct series *s)
{
	struct http_reply reply;

	http_read(&c->h);
	if (!http_take(&c->h, &reply))
		return;
	if (reply.status != 200)
		die("crowd: %d %.*s", reply.status, (int)reply.len, reply.body);
	series_add(s, ms_since(c->due));
	c->busy = false;
}

static bool any_busy(const struct connection *c, unsigned n)
{
	bool busy = false;

	for (unsigned i = 0; i < n; i++)
		busy |= c[i].busy;
	return busy;
}

static void to_poll(struct pollfd *p, const struct connection *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = c[i].busy ? c[i].h.fd : -1, .events = POLLIN };
}

static void turn(struct pacing *pc)
{
	uint64_t next = send_due(pc), now = now_ns();
	int wait_ms = next > now ? (int)((next - now) / 1000000) : 0;
	struct pollfd p[WRITERS + LOOKERS];

	to_poll(p, pc->write, WRITERS);
	to_poll(p + WRITERS, pc->look, LOOKERS);
	if (poll(p, WRITERS + LOOKERS, wait_ms < 5 ? wait_ms : 5) < 0)
		die("crowd: poll");
	for (unsigned i = 0; i < WRITERS; i++)
		if (p[i].revents)
			take(&pc->write[i], &pc->p->write);
	for (unsigned i = 0; i < LOOKERS; i++)
		if (p[WRITERS + i].revents)
			take(&pc->look[i], &pc->p->health);
	if (now_ns() >= pc->memory_at)
		remember_peak(pc);
}

void pace_run(struct pace *p)
{
	struct pacing *pc = calloc(1, sizeof(*pc));

	if (!pc)
		die("out of memory");
	pc->p = p;
	for (unsigned i = 0; i < WRITERS; i++)
		http_open(&pc->write[i].h, p->socket);
	for (unsigned i = 0; i < LOOKERS; i++)
		http_open(&pc->look[i].h, p->socket);
	pc->start = now_ns();
	pc->end = pc->start + (uint64_t)(p->seconds * 1e9);
	while (now_ns() < pc->end || any_busy(pc->write, WRITERS) || any_busy(pc->look, LOOKERS))
		turn(pc);
	remember_peak(pc);
	for (unsigned i = 0; i < WRITERS; i++)
		http_close(&pc->write[i].h);
	for (unsigned i = 0; i < LOOKERS; i++)
		http_close(&pc->look[i].h);
	free(pc);
}
