/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stats.c - what went through Services: the subresource stats, and /metrics
 *
 * Room: rest.  Both wait for one reading of the kernel's counters, which reconcile shares among all
 * who ask.  The subresource tells endpoints; /metrics only ports of Services that had traffic, and
 * METRICS_PORTS of them at most, so that a scrape has a bound; while the kernel thread is at
 * something long it has none of them.
 * May include: http, codec, state, model, reconcile.h, metrics, netd/base, include/podnet.
 */
#include "special.h"
#include <inttypes.h>
#include <netd/metrics/metrics.h>
#include <podnet/ip.h>

#define METRICS_PORTS 1000

/** Who waits for a reading. */
struct waiter {
	struct rest *rest;
	struct request *req;
	const char *ns, *name;      /* of the Service; they live as long as the request */
};

static void client_gone(void *arg)
{
	struct waiter *w = arg;

	reconcile_traffic_forget(w->rest->reconcile, w);
	free(w);
}

static int wait_for(struct call *c, bool waits, void (*done)(void *arg, const struct traffic *t))
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return refuse_memory(c);
	*w = (struct waiter){ c->rest, c->req, c->ns, c->name };
	http_on_abort(c->req, client_gone, w);
	if (reconcile_traffic(c->rest->reconcile, waits, done, w) == 0)
		return 0;
	http_on_abort(c->req, NULL, NULL);
	free(w);
	return refuse_memory(c);
}

/* ---- GET .../services/NAME/stats ---- */

static void put_counts(struct buf *out, const struct traffic_row *row)
{
	static const char *const ways[] = { "received", "sent" };

	buf_printf(out, "\"connections\":%" PRIu64, row->connections);
	for (int i = 0; i < 2; i++)
		buf_printf(out, ",\"%s\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", ways[i],
			   row->packets[i], row->bytes[i]);
}

static void put_endpoint(struct buf *out, const struct traffic_row *row, bool first)
{
	char ip[PODNET_PREFIX_STRLEN];

	buf_printf(out, "%s{\"address\":\"%s\",\"port\":%u,", first ? "" : ",",
		   podnet_prefix_format_addr(&row->endpoint, ip), row->endpoint_port);
	put_counts(out, row);
	buf_str(out, "}");
}

static const char *protocol_name(const struct service_port *port)
{
	static const char *const names[] = {
		[PORT_TCP] = "TCP", [PORT_UDP] = "UDP", [PORT_SCTP] = "SCTP",
	};

	return names[port->protocol];
}

static void put_port(struct buf *out, const struct service_port *port, const struct traffic_row *rows,
		     size_t n)
{
	struct traffic_row all = { .port = 0 };
	bool first = true;

	for (size_t i = 0; i < n; i++)
		traffic_add(&all, &rows[i]);
	buf_str(out, "{");
	if (port->name)
		buf_printf(out, "\"name\":\"%s\",", port->name);
	buf_printf(out, "\"protocol\":\"%s\",\"port\":%u,", protocol_name(port), port->port);
	put_counts(out, &all);
	buf_str(out, ",\"endpoints\":[");
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].endpoint.family)
			continue;
		put_endpoint(out, &rows[i], first);
		first = false;
	}
	buf_str(out, "]}");
}

static struct bytes *stats_of(const struct rest *rest, const struct object *obj,
			      const struct traffic_row *rows, size_t n)
{
	const struct service *svc = obj->service;
	struct buf out = { 0 };
	struct bytes *ret;
	size_t at = 0;

	buf_printf(&out, "{\"apiVersion\":\"podnet.dev/v1\",\"kind\":\"ServiceStats\",\"metadata\":{"
		   "\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"%s\"},\"nodeName\":\"%s\","
		   "\"ports\":[", obj->meta->name, obj->meta->ns, obj->meta->uid,
		   state_config(rest->state)->node_name);
	for (size_t i = 0; i < svc->nports; i++) {
		size_t start = at;

		while (at < n && rows[at].port == i)
			at++;
		if (i)
			buf_str(&out, ",");
		put_port(&out, &svc->ports[i], rows + start, at - start);
	}
	buf_str(&out, "]}");
	ret = buf_bytes(&out);
	buf_fini(&out);
	return ret;
}

static void answer_stats(void *arg, const struct traffic *t)
{
	struct waiter *w = arg;
	struct call c = { .rest = w->rest, .req = w->req, .kind = &kinds[KIND_SERVICE],
			  .ns = w->ns, .name = w->name };
	struct object *obj = state_get(w->rest->state, c.kind, w->ns, w->name);
	struct traffic_row *rows = NULL;
	struct bytes *body = NULL;
	size_t n = 0;

	http_on_abort(w->req, NULL, NULL);
	free(w);
	if (!obj) {                 /* it went meanwhile */
		refuse_object(&c, 404, "NotFound");
		reply_refusal(&c);
		return;
	}
	if (traffic_rows(t, obj, &rows, &n) == 0)
		body = stats_of(c.rest, obj, rows, n);
	free(rows);
	reply_json(c.req, body ? 200 : 500, body);
}

int verb_stats(struct call *c)
{
	if (!state_get(c->rest->state, c->kind, c->ns, c->name))
		return refuse_object(c, 404, "NotFound");
	return wait_for(c, true, answer_stats);
}

/* ---- /metrics ---- */

/** Sums of ports, as many as are told. */
struct sums {
	const struct traffic *t;
	struct sum {
		const struct object *obj;
		struct traffic_row row;
	} *v;
	size_t n, left_out;
};

static int add_service(void *arg, struct object *obj)
{
	struct sums *s = arg;
	struct traffic_row *rows = NULL;
	size_t n = 0;
	int r = traffic_rows(s->t, obj, &rows, &n);

	for (size_t i = 0; i < n; i++) {
		struct sum *last = s->n ? &s->v[s->n - 1] : NULL;

		if (last && last->obj == obj && last->row.port == rows[i].port) {
			traffic_add(&last->row, &rows[i]);
		} else if (s->n < METRICS_PORTS) {
			s->v[s->n++] = (struct sum){ obj, rows[i] };
		} else {
			s->left_out++;
		}
	}
	free(rows);
	return r;
}

static uint64_t value_of(const struct traffic_row *row, int what, int way)
{
	return what == 0 ? row->connections : what == 1 ? row->packets[way] : row->bytes[way];
}

static void put_series(struct buf *out, const struct sums *s, int what)
{
	static const struct { const char *name, *help; } texts[] = {
		{ "podnet_service_connections_total", "New connections by port of a Service." },
		{ "podnet_service_packets_total", "Packets that endpoints received and sent." },
		{ "podnet_service_bytes_total", "Bytes that endpoints received and sent." },
	};
	static const char *const ways[] = { ",way=\"received\"", ",way=\"sent\"" };

	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", texts[what].name, texts[what].help,
		   texts[what].name);
	for (size_t i = 0; i < s->n; i++) {
		const struct service_port *port = &s->v[i].obj->service->ports[s->v[i].row.port];

		for (int way = 0; way < (what ? 2 : 1); way++)
			buf_printf(out, "%s{namespace=\"%s\",service=\"%s\",port=\"%u\","
				   "protocol=\"%s\"%s} %" PRIu64 "\n", texts[what].name,
				   s->v[i].obj->meta->ns, s->v[i].obj->meta->name, port->port,
				   protocol_name(port), what ? ways[way] : "",
				   value_of(&s->v[i].row, what, way));
	}
}

static void put_traffic(struct buf *out, const struct rest *rest, const struct traffic *t)
{
	struct sums s = { .t = t };

	if (!traffic_any(t))
		return;
	s.v = calloc(METRICS_PORTS, sizeof(*s.v));
	if (!s.v)
		return;
	state_each(rest->state, &kinds[KIND_SERVICE], NULL, add_service, &s);
	for (int what = 0; what < 3; what++)
		put_series(out, &s, what);
	buf_printf(out, "# HELP podnet_service_ports_left_out Rows of Services beyond the first %d "
		   "ports, which are not told.\n# TYPE podnet_service_ports_left_out gauge\n"
		   "podnet_service_ports_left_out %zu\n", METRICS_PORTS, s.left_out);
	free(s.v);
}

static void count_objects(struct buf *out, void *arg)
{
	const struct rest *rest = arg;

	buf_str(out, "# HELP podnet_objects Objects stored.\n# TYPE podnet_objects gauge\n");
	for (size_t i = 0; i < KIND_COUNT; i++)
		buf_printf(out, "podnet_objects{kind=\"%s\"} %zu\n", kinds[i].store_name,
			   state_count(rest->state, &kinds[i]));
}

static void answer_metrics(void *arg, const struct traffic *t)
{
	struct waiter *w = arg;
	struct request *req = w->req;
	struct buf b = { 0 };
	struct bytes *body;

	http_on_abort(req, NULL, NULL);
	metrics_text(&b, count_objects, w->rest);
	put_traffic(&b, w->rest, t);
	put_tunnels(&b, w->rest);
	free(w);
	body = buf_bytes(&b);
	buf_fini(&b);
	http_reply(req, body ? 200 : 500, "text/plain; version=0.0.4", body);
}

void metrics_get(struct call *c)
{
	reconcile_tunnels_ask(c->rest->reconcile);
	if (wait_for(c, false, answer_metrics) < 0)
		reply_refusal(c);
}
