/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * endpoints.c - the Endpoints of a Service, for clients that know no EndpointSlices
 *
 * Room: control.  Source: API-CONTRACT 15.6; Kubernetes' endpoints controller.  They are made of the
 * slices that were made of a Service's selector, of its first family: one subset for the slices with
 * the same ports, ready addresses before others, at most ADDRESSES_MAX of them.  Nobody here reads
 * them, so they are written softly and a little later: a storm of changes is one write.  Those that
 * somebody wrote for a Service without a selector are left alone.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

#define OVER_CAPACITY   "endpoints.kubernetes.io/over-capacity"
#define ADDRESSES_MAX   1000
#define GATHER_MS       50
#define RETRY_MS        1000

struct subset {
	struct buf ports;           /* as JSON; those alike are one subset */
	struct buf list[2];         /* addresses: ready, and not */
	size_t n[2];
};

struct gathering {
	const struct object *service;
	size_t prefix;              /* of the names of its slices, "SERVICE-" */
	enum ip_family family;
	struct subset *v;
	size_t n, addresses;
	bool not_ready;             /* the second time round */
	bool cut;
};

/* ---- what the slices say ---- */

static void put_ports(struct buf *b, const struct endpoint_slice *slice)
{
	static const char *const protocols[] = { "TCP", "UDP", "SCTP" };

	buf_str(b, "[");
	for (size_t i = 0; i < slice->nports; i++) {
		const struct endpoint_port *p = &slice->ports[i];

		buf_printf(b, "%s{", i ? "," : "");
		if (p->name)
			buf_printf(b, "\"name\":\"%s\",", p->name);
		buf_printf(b, "\"port\":%u,\"protocol\":\"%s\"", p->port, protocols[p->protocol]);
		if (p->app_protocol)
			buf_printf(b, ",\"appProtocol\":\"%s\"", p->app_protocol);
		buf_str(b, "}");
	}
	buf_str(b, "]");
	buf_add(b, "", 1);
}

/* Anybody may have written a slice that says it is ours. */
static bool is_plain(const char *s)
{
	if (!s)
		return false;
	while ((unsigned char)*s >= ' ' && *s != '"' && *s != '\\')
		s++;
	return !*s;
}

static void put_address(struct subset *s, bool ready, const struct endpoint *e)
{
	struct buf *b = &s->list[!ready];
	char ip[PODNET_PREFIX_STRLEN];

	buf_printf(b, "%s{\"ip\":\"%s\"", s->n[!ready]++ ? "," : "[",
		   podnet_prefix_format_addr(&e->addresses[0], ip));
	if (e->hostname)
		buf_printf(b, ",\"hostname\":\"%s\"", e->hostname);
	if (e->node_name)
		buf_printf(b, ",\"nodeName\":\"%s\"", e->node_name);
	if (is_plain(e->target_kind) && is_plain(e->target_ns) && is_plain(e->target_name) &&
	    is_plain(e->target_uid))
		buf_printf(b, ",\"targetRef\":{\"kind\":\"%s\",\"namespace\":\"%s\",\"name\":\"%s\","
			   "\"uid\":\"%s\"}", e->target_kind, e->target_ns, e->target_name,
			   e->target_uid);
	buf_str(b, "}");
}

static struct subset *subset_of(struct gathering *g, const struct endpoint_slice *slice)
{
	struct buf ports = { 0 };
	struct subset *grown;

	put_ports(&ports, slice);
	if (ports.failed)
		goto out;
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->v[i].ports.data, ports.data) == 0) {
			buf_fini(&ports);
			return &g->v[i];
		}
	grown = reallocarray(g->v, g->n + 1, sizeof(*grown));
	if (!grown)
		goto out;
	g->v = grown;
	g->v[g->n] = (struct subset){ .ports = ports };
	return &g->v[g->n++];
out:
	buf_fini(&ports);
	return NULL;
}

/* One that leaves and does not count as ready is in neither list. */
static int gather_slice(struct gathering *g, const struct endpoint_slice *slice)
{
	struct subset *s = slice->nendpoints ? subset_of(g, slice) : NULL;

	if (slice->nendpoints && !s)
		return -ENOMEM;
	for (size_t i = 0; i < slice->nendpoints; i++) {
		const struct endpoint *e = &slice->endpoints[i];

		if (!e->naddresses || e->ready == g->not_ready || (!e->ready && e->terminating))
			continue;
		if (g->addresses == ADDRESSES_MAX) {
			g->cut = true;
			break;
		}
		g->addresses++;
		put_address(s, e->ready, e);
		if (s->list[0].failed || s->list[1].failed)
			return -ENOMEM;
	}
	return 0;
}

static int each_slice(void *arg, struct object *slice)
{
	struct gathering *g = arg;
	const struct meta *owner = g->service->meta;
	int r;

	if (strncmp(slice->meta->name, owner->name, g->prefix) != 0)
		return 1;               /* they stand behind each other */
	if (!slice->slice->service || strcmp(slice->slice->service, owner->name) != 0 ||
	    slice->slice->family != g->family || !slice_is_made(slice))
		return 0;
	r = gather_slice(g, slice->slice);
	return r < 0 ? r : 0;
}

static int gather(struct control *control, struct gathering *g)
{
	const struct meta *owner = g->service->meta;
	char prefix[64];
	int r = 0;

	g->prefix = (size_t)snprintf(prefix, sizeof(prefix), "%.57s", owner->name);
	for (int i = 0; i < 2 && r >= 0; i++) {
		g->not_ready = i > 0;
		r = state_each_after(control->state, &kinds[KIND_ENDPOINT_SLICE], owner->ns,
				     owner->ns, prefix, each_slice, g);
	}
	return r < 0 ? r : 0;
}

/* ---- what is written ---- */

static void put_subset(struct buf *out, const struct subset *s)
{
	static const char *const names[] = { "addresses", "notReadyAddresses" };

	if (!s->n[0] && !s->n[1])
		return;
	buf_str(out, out->len > 1 ? ",{" : "{");
	for (size_t i = 0; i < 2; i++)
		if (s->n[i]) {
			buf_printf(out, "\"%s\":", names[i]);
			buf_add(out, s->list[i].data, s->list[i].len);
			buf_str(out, "],");
		}
	buf_printf(out, "\"ports\":%s}", s->ports.data);
}

static int set_subsets(struct doc *doc, const struct gathering *g)
{
	struct buf out = { 0 };
	int r = 0;

	buf_str(&out, "[");
	for (size_t i = 0; i < g->n; i++)
		put_subset(&out, &g->v[i]);
	buf_str(&out, "]");
	buf_add(&out, "", 1);
	if (out.failed)
		r = -ENOMEM;
	else if (g->addresses)
		r = doc_set_json(doc, "subsets", out.data);
	else
		doc_remove(doc, "subsets");
	buf_fini(&out);
	return r;
}

static int set_labels(struct doc *doc, const struct object *service)
{
	_cleanup_(doc_freep) struct doc *of = object_doc(service);
	int r = of ? doc_set_copy(doc, "metadata.labels", of, "metadata.labels") : -ENOMEM;

	if (r == 0 && service->service->headless)
		r = doc_set_str(doc, "metadata.labels[\"" LABEL_HEADLESS "\"]", "");
	return r;
}

static int set_content(struct doc *doc, const struct gathering *g)
{
	static const char cut[] = "metadata.annotations[\"" OVER_CAPACITY "\"]";
	char ref[512];
	int r = set_labels(doc, g->service);

	service_owner_ref(g->service, ref);
	if (r == 0)
		r = doc_set_json(doc, "metadata.ownerReferences", ref);
	if (r == 0 && g->cut)
		r = doc_set_str(doc, cut, "truncated");
	else if (r == 0)
		doc_remove(doc, cut);
	return r < 0 ? r : set_subsets(doc, g);
}

static int write_endpoints(struct control *control, struct txn *txn, const struct gathering *g)
{
	const struct kind *kind = &kinds[KIND_ENDPOINTS];
	const struct meta *owner = g->service->meta;
	struct object *old = state_accepted(control->state, kind, owner->ns, owner->name), *ret;
	_cleanup_(doc_freep) struct doc *doc = old ? object_doc(old)
						   : new_object(kind, owner->ns, owner->name);
	int r = doc ? set_content(doc, g) : -ENOMEM;

	return r < 0 ? r : txn_put(txn, kind, doc, old, &ret);
}

static int endpoints_of(struct control *control, struct txn *txn, const char *ns, const char *name)
{
	const struct object *place = state_accepted(control->state, &kinds[KIND_NAMESPACE], "", ns);
	struct object *service = service_that_chooses(control, ns, name);
	struct gathering g = { .service = service };
	int r;

	if (!service || !place || place->namespace->terminating || !service->service->nfamilies ||
	    !state_chosen(control->state, service->meta->uid))
		return 0;
	g.family = service->service->families[0];
	r = gather(control, &g);
	if (r == 0)
		r = write_endpoints(control, txn, &g);
	for (size_t i = 0; i < g.n; i++) {
		buf_fini(&g.v[i].ports);
		buf_fini(&g.v[i].list[0]);
		buf_fini(&g.v[i].list[1]);
	}
	free(g.v);
	return r;
}

/* ---- which Services ---- */

static void mark(struct control *control, const char *ns, const char *name)
{
	marks_add(&control->endpointed, ns, name);
	if (!loop_timer_armed(control->endpoints_timer))
		loop_timer_set(control->endpoints_timer, GATHER_MS);
}

void endpoints_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;

	if ((any->kind->id == KIND_SERVICE && now && now->service->nselector) ||
	    any->kind->id == KIND_ENDPOINTS)
		mark(control, any->meta->ns, any->meta->name);
	else if (any->kind->id == KIND_ENDPOINT_SLICE && any->slice->service && slice_is_made(any))
		mark(control, any->meta->ns, any->slice->service);
}

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	write_failed(control, "endpoints_write_failed", rc, error);
	endpoints_start(control);
	loop_timer_set(control->endpoints_timer, RETRY_MS);
}

void endpoints_write(void *arg)
{
	struct control *control = arg;
	struct txn *txn = NULL;
	int r = txn_new(control->state, &txn);

	if (r == 0)
		r = marks_take(&control->endpointed, control, txn, endpoints_of);
	if (r < 0) {
		txn_drop(txn);
		loop_timer_set(control->endpoints_timer, RETRY_MS);
		return;
	}
	txn_submit(txn, true, written, control);
	if (control->endpointed.of.n)
		loop_timer_set(control->endpoints_timer, GATHER_MS);
}

int endpoints_start_one(void *arg, struct object *service)
{
	if (service->service->nselector)
		mark(arg, service->meta->ns, service->meta->name);
	return 0;
}

void endpoints_start(struct control *control)
{
	state_each(control->state, &kinds[KIND_SERVICE], NULL, endpoints_start_one, control);
}
