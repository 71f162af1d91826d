/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * traffic.c - what went through Services, when somebody asks
 *
 * Room: reconcile.
 *
 * The kernel thread reads the counters only for a request, and all who ask while it reads share
 * what it finds.  The next reading does not begin before four times as long as the last one took,
 * so that asking again and again takes no more than a fifth of the thread.
 */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>

#define LATE_MS 1000

/** Somebody who waits. */
struct asker {
	void (*done)(void *arg, const struct traffic *t);
	void *arg;
	bool waits;                     /* however long it takes */
	struct asker *next;
};

struct traffic {
	struct reconcile *rec;
	struct asker *askers;
	bool under_way;
	struct loop_timer *rest, *late;
	/* while the askers are answered */
	const struct podnet_service_counts *v;
	size_t n;
};

static void send(struct traffic *t)
{
	struct kernel_task *task = kernel_task_new(KERNEL_COUNTS, SERVICES_SCOPE);

	if (!task) {
		traffic_done(t->rec, NULL);
		return;
	}
	task->urgent = true;
	t->under_way = true;
	kernel_submit(t->rec->kernel, task);
}

static void on_rest(void *arg)
{
	struct traffic *t = arg;

	if (t->askers && !t->under_way)
		send(t);
}

/* The kernel thread is at something long: who does not wait is told of nothing. */
static void on_late(void *arg)
{
	struct traffic *t = arg;
	struct asker **at = &t->askers;

	while (*at) {
		struct asker *a = *at;

		if (a->waits) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		a->done(a->arg, t);
		free(a);
	}
}

int traffic_new(struct reconcile *rec)
{
	struct traffic *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->rec = rec;
	rec->traffic = t;
	r = loop_timer_new(rec->conf.loop, on_rest, t, &t->rest);
	return r < 0 ? r : loop_timer_new(rec->conf.loop, on_late, t, &t->late);
}

void traffic_free(struct traffic *t)
{
	if (!t)
		return;
	while (t->askers) {
		struct asker *a = t->askers;

		t->askers = a->next;
		free(a);
	}
	loop_timer_free(t->rest);
	loop_timer_free(t->late);
	free(t);
}

int reconcile_traffic(struct reconcile *rec, bool waits,
		      void (*done)(void *arg, const struct traffic *t), void *arg)
{
	struct asker *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	*a = (struct asker){ done, arg, waits, rec->traffic->askers };
	rec->traffic->askers = a;
	if (!waits && !loop_timer_armed(rec->traffic->late))
		loop_timer_set(rec->traffic->late, LATE_MS);
	if (!rec->traffic->under_way && !loop_timer_armed(rec->traffic->rest))
		send(rec->traffic);
	return 0;
}

void reconcile_traffic_forget(struct reconcile *rec, const void *arg)
{
	struct asker **at = &rec->traffic->askers;

	while (*at) {
		struct asker *a = *at;

		if (a->arg != arg) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		free(a);
	}
}

/* @task NULL: there was no memory to ask, and they are told of nothing. */
void traffic_done(struct reconcile *rec, const struct kernel_task *task)
{
	struct traffic *t = rec->traffic;
	struct asker *a = take_ptr(t->askers), *next;

	if (task) {
		t->under_way = false;
		t->v = task->counts;
		t->n = task->ncounts;
		loop_timer_set(t->late, -1);
		loop_timer_set(t->rest, (int64_t)(4 * task->took_us / 1000));
	}
	for (; a; a = next) {
		next = a->next;
		a->done(a->arg, t);
		free(a);
	}
	t->v = NULL;
	t->n = 0;
}

/* ---- what is told of it ---- */

/* The first row of a frontend. */
static size_t find(const struct traffic *t, const struct podnet_frontend *f)
{
	const struct podnet_service_counts key = { .ip = f->ip, .protocol = f->protocol,
						   .port = f->port };
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (kernel_counts_cmp(&t->v[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_of(const struct podnet_service_counts *c, const struct podnet_frontend *f)
{
	return c->port == f->port && c->protocol == f->protocol &&
	       memcmp(&c->ip, &f->ip, sizeof(c->ip)) == 0;
}

struct rows {
	struct traffic_row *v;
	size_t n, cap;
};

static int add_row(struct rows *rows, size_t port, const struct podnet_service_counts *c)
{
	struct traffic_row *grown;

	if (rows->n == rows->cap) {
		grown = reallocarray(rows->v, rows->cap ? 2 * rows->cap : 8, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		rows->v = grown;
		rows->cap = rows->cap ? 2 * rows->cap : 8;
	}
	rows->v[rows->n++] = (struct traffic_row){
		.port = port, .endpoint = c->endpoint, .endpoint_port = c->endpoint_port,
		.connections = c->connections, .packets = { c->packets_in, c->packets_out },
		.bytes = { c->bytes_in, c->bytes_out },
	};
	return 0;
}

static int by_row(const void *a, const void *b)
{
	const struct traffic_row *x = a, *y = b;
	int r = x->port < y->port ? -1 : x->port > y->port;

	r = r ? r : memcmp(&x->endpoint, &y->endpoint, sizeof(x->endpoint));
	return r ? r : x->endpoint_port - y->endpoint_port;
}

void traffic_add(struct traffic_row *to, const struct traffic_row *from)
{
	to->connections += from->connections;
	for (int way = 0; way < 2; way++) {
		to->packets[way] += from->packets[way];
		to->bytes[way] += from->bytes[way];
	}
}

/* An endpoint has a row for each address that it was reached by: they become one. */
static void merge(struct rows *rows)
{
	size_t kept = 0;

	if (rows->n)
		qsort(rows->v, rows->n, sizeof(*rows->v), by_row);
	for (size_t i = 0; i < rows->n; i++) {
		if (kept && by_row(&rows->v[kept - 1], &rows->v[i]) == 0)
			traffic_add(&rows->v[kept - 1], &rows->v[i]);
		else
			rows->v[kept++] = rows->v[i];
	}
	rows->n = kept;
}

/* The port of the Service that a frontend is of; nports: none any more. */
static size_t port_of(const struct service *svc, const struct podnet_frontend *f)
{
	static const uint8_t protocols[] = { [PORT_TCP] = 6, [PORT_UDP] = 17, [PORT_SCTP] = 132 };
	size_t i = 0;

	for (; i < svc->nports; i++) {
		uint32_t port = f->ip.len ? svc->ports[i].port : svc->ports[i].node_port;

		if (port == f->port && protocols[svc->ports[i].protocol] == f->protocol)
			break;
	}
	return i;
}

struct collecting {
	const struct traffic *t;
	struct rows rows;
	int rc;
};

static void collect(void *arg, const struct service *svc, const struct podnet_frontend *f)
{
	struct collecting *c = arg;
	const struct traffic *t = c->t;
	size_t port = port_of(svc, f);

	if (port == svc->nports)
		return;
	for (size_t i = find(t, f); i < t->n && is_of(&t->v[i], f) && c->rc == 0; i++)
		c->rc = add_row(&c->rows, port, &t->v[i]);
}

int traffic_rows(const struct traffic *t, const struct object *service, struct traffic_row **ret,
		 size_t *n)
{
	struct collecting c = { .t = t };

	if (t->n)
		services_each_front(t->rec, service, collect, &c);
	if (c.rc < 0) {
		free(c.rows.v);
		return c.rc;
	}
	merge(&c.rows);
	*ret = c.rows.v;
	*n = c.rows.n;
	return 0;
}

bool traffic_any(const struct traffic *t)
{
	return t->n > 0;
}
