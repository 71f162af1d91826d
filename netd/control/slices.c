/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slices.c - the EndpointSlices of a Service, from the pods that its selector chooses
 *
 * Room: control.  Source: API-CONTRACT 15.6.  A Service is looked at again when it, one of its
 * slices or a pod that it chooses (or chose) changes; what differs is one transaction a round.
 * This node writes slices of the pods that it hosts, and of those of a lost node while it stands in for
 * it (orphans.c), and touches no others'.  Pods with the same ports share slices, of at most 100
 * endpoints; an endpoint stays in the slice it is in, and a new one goes where there is room, so that
 * one change writes one slice.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SERVICE_NAME    "kubernetes.io/service-name"
#define ZONE            "topology.kubernetes.io/zone"
#define SLICE_MAX       100
#define RETRY_MS        1000

/** An endpoint that must be in a slice. */
struct member {
	const struct object *pod;
	const struct podnet_prefix *ip;
	const char *ports;              /* as they stand in a slice: those alike share one */
	bool placed;
};

struct members {
	struct member *v;
	size_t n, cap;
	int rc;
};

/** One of the Service's slices of this node. */
struct held {
	struct object *obj;
	const char *ports;              /* of the first member put there */
	size_t n;
	bool touched;
};

struct shelf {
	struct held *v;
	size_t n, cap;
	int rc;
};

struct work {
	struct control *control;
	struct txn *txn;
	const struct object *service;
	const char *node, *zone;        /* whose pods; zone: of that node, or NULL */
	enum ip_family family;
	struct members members;
	struct arena lists;             /* of ports */
	struct shelf shelf;
};

static bool selects(const struct object *service, const struct meta *pod)
{
	const struct service *svc = service->service;

	for (size_t i = 0; i < svc->nselector; i++) {
		const char *value = meta_label(pod, svc->selector[i].key);

		if (!value || strcmp(value, svc->selector[i].value) != 0)
			return false;
	}
	return svc->nselector > 0 && svc->type != SERVICE_EXTERNAL_NAME;
}

static bool is_of(const struct object *slice, const char *node)
{
	return slice->slice->keeper && strcmp(slice->slice->keeper, node) == 0;
}

static bool is_ours(const struct control *control, const struct object *slice)
{
	return is_of(slice, state_config(control->state)->node_name) ||
	       orphans_keep(control, slice->slice->keeper);
}

/* ---- which pods, with which ports ---- */

static uint32_t resolve(const struct pod *pod, const struct service_port *port)
{
	if (!port->target.name)
		return port->target.number ? port->target.number : port->port;
	for (size_t i = 0; i < pod->ncontainers; i++)
		for (size_t k = 0; k < pod->containers[i].nports; k++) {
			const struct container_port *p = &pod->containers[i].ports[k];

			if (p->name && strcmp(p->name, port->target.name) == 0 &&
			    p->protocol == (int)port->protocol)
				return p->number;
		}
	return 0;
}

/* The list of ports as JSON; one that does not resolve is left out. */
static void put_ports(struct buf *b, const struct service *svc, const struct pod *pod)
{
	static const char *const protocols[] = { "TCP", "UDP", "SCTP" };

	buf_str(b, "[");
	for (size_t i = 0; i < svc->nports; i++) {
		const struct service_port *p = &svc->ports[i];
		uint32_t number = resolve(pod, p);

		if (!number)
			continue;
		buf_printf(b, "%s{\"name\":\"%s\",\"protocol\":\"%s\",\"port\":%u",
			   b->len > 1 ? "," : "", p->name ? p->name : "", protocols[p->protocol],
			   number);
		if (p->app_protocol)
			buf_printf(b, ",\"appProtocol\":\"%s\"", p->app_protocol);
		buf_str(b, "}");
	}
	buf_str(b, "]");
	buf_add(b, "", 1);
}

static bool depends_on_pod(const struct service *svc)
{
	for (size_t i = 0; i < svc->nports; i++)
		if (svc->ports[i].target.name)
			return true;
	return false;
}

/* Most pods have the list of the one before. */
static const char *list_ports(struct work *w, const struct pod *pod)
{
	const struct members *m = &w->members;
	const char *last = m->n ? m->v[m->n - 1].ports : NULL;
	struct buf b = { 0 };

	if (last && !depends_on_pod(w->service->service))
		return last;
	put_ports(&b, w->service->service, pod);
	if (b.failed)
		last = NULL;
	else if (!last || strcmp(last, b.data) != 0)
		last = arena_strdup(&w->lists, b.data);
	buf_fini(&b);
	return last;
}

static const struct podnet_prefix *ip_of(const struct pod *pod, enum ip_family family)
{
	int wanted = family == FAMILY_IPV4 ? AF_INET : AF_INET6;

	for (size_t i = 0; i < pod->nips; i++)
		if (pod->ips[i].ip.family == wanted)
			return &pod->ips[i].ip;
	return NULL;
}

static bool has_ended(const struct pod *pod)
{
	return pod->phase && (strcmp(pod->phase, "Succeeded") == 0 ||
			      strcmp(pod->phase, "Failed") == 0);
}

static int add_member(void *arg, struct object *pod)
{
	struct work *w = arg;
	const struct podnet_prefix *ip = ip_of(pod->pod, w->family);
	struct members *m = &w->members;
	struct member *grown;

	if (!selects(w->service, pod->meta) || !ip || has_ended(pod->pod) || !pod->pod->node_name ||
	    strcmp(pod->pod->node_name, w->node) != 0)
		return 0;
	if (m->n == m->cap) {
		grown = reallocarray(m->v, m->cap ? 2 * m->cap : 8, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		m->v = grown;
		m->cap = m->cap ? 2 * m->cap : 8;
	}
	m->v[m->n] = (struct member){ .pod = pod, .ip = ip, .ports = list_ports(w, pod->pod) };
	return m->v[m->n++].ports ? 0 : -ENOMEM;
}

/* ---- slices as they are ---- */

static int add_held(void *arg, struct object *slice)
{
	struct work *w = arg;
	struct shelf *s = &w->shelf;
	struct held *grown;

	if (!slice->slice->service || strcmp(slice->slice->service, w->service->meta->name) != 0 ||
	    slice->slice->family != w->family || !is_of(slice, w->node))
		return 0;
	grown = reallocarray(s->v, s->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->v = grown;
	s->v[s->n++] = (struct held){ .obj = slice };
	return 0;
}

static bool holds(const struct held *h, const struct member *m)
{
	for (size_t i = 0; h->obj && i < h->obj->slice->nendpoints; i++) {
		const char *uid = h->obj->slice->endpoints[i].target_uid;

		if (uid && strcmp(uid, m->pod->meta->uid) == 0)
			return true;
	}
	return false;
}

static bool fits(const struct held *h, const struct member *m)
{
	return h->n < SLICE_MAX && (!h->ports || strcmp(h->ports, m->ports) == 0);
}

/* ---- slices as they must be ---- */

/* One of a lost node serves, for all that anybody knows, but is not ready: its own node tells them apart. */
static bool is_ready(const struct pod *pod, bool *serving)
{
	const struct condition *c = pod_condition(pod, "Ready");
	bool ready = c && strcmp(c->status, "True") == 0;

	*serving = ready || pod_is_unheard(pod);
	return ready;
}

static void put_endpoint(struct buf *b, const struct work *w, const struct member *m)
{
	const struct pod *pod = m->pod->pod;
	const struct service *svc = w->service->service;
	bool serving, ready = is_ready(pod, &serving), leaves = m->pod->meta->deleted != 0;
	char ip[PODNET_PREFIX_STRLEN];

	serving = leaves ? ready : serving;
	ready = svc->publish_not_ready || (ready && !leaves);
	buf_printf(b, "%s{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":%s,\"serving\":%s,"
		   "\"terminating\":%s}", b->len > 1 ? "," : "",
		   podnet_prefix_format_addr(m->ip, ip), ready ? "true" : "false",
		   serving ? "true" : "false", leaves ? "true" : "false");
	if (pod->hostname && pod->subdomain && strcmp(pod->subdomain, svc->meta.name) == 0)
		buf_printf(b, ",\"hostname\":\"%s\"", pod->hostname);
	if (w->zone)
		buf_printf(b, ",\"zone\":\"%s\"", w->zone);
	buf_printf(b, ",\"nodeName\":\"%s\",\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"%s\","
		   "\"name\":\"%s\",\"uid\":\"%s\"}}", w->node, m->pod->meta->ns,
		   m->pod->meta->name, m->pod->meta->uid);
}

static int set_label(struct doc *doc, const char *key, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "metadata.labels[\"%s\"]", key);
	return doc_set_str(doc, path, value);
}

static int set_labels(struct doc *doc, const struct work *w)
{
	_cleanup_(doc_freep) struct doc *service = object_doc(w->service);
	int r = service ? doc_set_copy(doc, "metadata.labels", service, "metadata.labels") : -ENOMEM;

	if (r == 0)
		r = set_label(doc, SERVICE_NAME, w->service->meta->name);
	if (r == 0)
		r = set_label(doc, LABEL_MANAGED_BY, SLICE_MANAGER);
	if (r == 0)
		r = set_label(doc, LABEL_NODE, w->node);
	return r == 0 && w->service->service->headless ? set_label(doc, LABEL_HEADLESS, "") : r;
}

static int set_content(struct doc *doc, const struct work *w, const char *ports, struct buf *list)
{
	int r;

	buf_str(list, "]");
	buf_add(list, "", 1);
	if (list->failed)
		return -ENOMEM;
	r = set_labels(doc, w);
	if (r == 0)
		r = doc_set_json(doc, "ports", ports ? ports : "[]");
	return r < 0 ? r : doc_set_json(doc, "endpoints", list->data);
}

/* Slices of this manager are called so, which is how they are found again. */
static void name_prefix(const struct meta *service, char ret[64])
{
	snprintf(ret, 64, "%.57s-", service->name);
}

static struct doc *new_slice(const struct work *w)
{
	const struct meta *owner = w->service->meta;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char prefix[64], name[64], ref[512];
	int r;

	name_prefix(owner, prefix);
	if (name_generate(prefix, name) < 0)
		return NULL;
	doc = new_object(&kinds[KIND_ENDPOINT_SLICE], owner->ns, name);
	service_owner_ref(w->service, ref);
	r = doc ? doc_set_str(doc, "metadata.generateName", prefix) : -ENOMEM;
	if (r == 0)
		r = doc_set_json(doc, "metadata.ownerReferences", ref);
	if (r == 0)
		r = doc_set_str(doc, "addressType", w->family == FAMILY_IPV4 ? "IPv4" : "IPv6");
	return r == 0 ? take_ptr(doc) : NULL;
}

/* The members that were placed into slice @i. */
static int write_slice(struct work *w, const struct held *h, const size_t *places, size_t i)
{
	struct object *obj = h->obj, *ret;
	_cleanup_(doc_freep) struct doc *doc = obj ? object_doc(obj) : new_slice(w);
	struct buf list = { 0 };
	int r = doc ? 0 : -ENOMEM;

	buf_str(&list, "[");
	for (size_t k = 0; k < w->members.n; k++)
		if (places[k] == i)
			put_endpoint(&list, w, &w->members.v[k]);
	if (r == 0)
		r = set_content(doc, w, h->ports, &list);
	buf_fini(&list);
	return r < 0 ? r : txn_put(w->txn, &kinds[KIND_ENDPOINT_SLICE], doc, obj, &ret);
}

static int place_one(struct work *w, size_t *places, size_t k)
{
	struct member *m = &w->members.v[k];
	struct shelf *s = &w->shelf;
	struct held *grown;
	size_t i;

	for (i = 0; i < s->n && !fits(&s->v[i], m); i++)
		;
	if (i == s->n) {
		grown = reallocarray(s->v, s->n + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->v[s->n++] = (struct held){ .obj = NULL };
	}
	if (!s->v[i].ports)
		s->v[i].ports = m->ports;
	s->v[i].n++;
	places[k] = i;
	m->placed = true;
	return 0;
}

/* First where they are, then where there is room. */
static int place(struct work *w, size_t *places)
{
	struct shelf *s = &w->shelf;
	int r = 0;

	for (size_t k = 0; k < w->members.n; k++) {
		struct member *m = &w->members.v[k];

		for (size_t i = 0; i < s->n && !m->placed; i++) {
			if (!holds(&s->v[i], m) || !fits(&s->v[i], m))
				continue;
			s->v[i].ports = m->ports;
			s->v[i].n++;
			places[k] = i;
			m->placed = true;
		}
	}
	for (size_t k = 0; k < w->members.n && r == 0; k++)
		if (!w->members.v[k].placed)
			r = place_one(w, places, k);
	return r;
}

/* A Service without endpoints keeps one slice, which says so. */
static int write_all(struct work *w, const size_t *places)
{
	static const struct held nothing;
	struct shelf *s = &w->shelf;
	size_t written = 0;
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		if (s->v[i].n || (i + 1 == s->n && !written)) {
			r = write_slice(w, &s->v[i], places, i);
			written++;
		} else {
			r = txn_delete(w->txn, s->v[i].obj, NULL);
		}
	}
	return r == 0 && !s->n ? write_slice(w, &nothing, places, SIZE_MAX) : r;
}

static int find_held(struct work *w)
{
	char prefix[64];

	name_prefix(w->service->meta, prefix);
	return state_each_named(w->control->state, &kinds[KIND_ENDPOINT_SLICE], w->service->meta->ns,
				prefix, add_held, w);
}

/* Of a family that the Service has no more. */
static int drop_family(struct work *w)
{
	int r = find_held(w);

	for (size_t i = 0; i < w->shelf.n && r == 0; i++)
		r = txn_delete(w->txn, w->shelf.v[i].obj, NULL);
	free(w->shelf.v);
	return r;
}

static int slices_of_family(struct work *w)
{
	_cleanup_free_ size_t *places = NULL;
	int r = state_each_accepted(w->control->state, &kinds[KIND_POD], w->service->meta->ns,
				    add_member, w);

	if (r == 0)
		r = find_held(w);
	if (r == 0) {
		places = calloc(w->members.n + 1, sizeof(*places));
		r = places ? place(w, places) : -ENOMEM;
	}
	if (r == 0)
		r = write_all(w, places);
	free(w->members.v);
	arena_fini(&w->lists);
	free(w->shelf.v);
	return r;
}

static bool wants_family(const struct service *svc, enum ip_family family)
{
	for (size_t i = 0; i < svc->nfamilies; i++)
		if (svc->families[i] == family)
			return true;
	return false;
}

static const char *zone_of(const struct object *node)
{
	return node ? meta_label(node->meta, ZONE) : NULL;
}

static int slices_of_node(struct control *control, struct txn *txn, const struct object *service,
			  const char *node)
{
	const char *zone = zone_of(state_accepted(control->state, &kinds[KIND_NODE], "", node));
	int r = 0;

	for (int f = FAMILY_IPV4; f <= FAMILY_IPV6 && r == 0; f++) {
		struct work w = { .control = control, .txn = txn, .service = service,
				  .node = node, .zone = zone,
				  .family = (enum ip_family)f };

		r = wants_family(service->service, w.family) ? slices_of_family(&w) : drop_family(&w);
	}
	return r;
}

static int slices_of(struct control *control, struct txn *txn, const char *ns, const char *name)
{
	const struct object *service = service_that_chooses(control, ns, name);
	const char *lost;
	size_t pos = 0;
	int r = 0;

	if (service)
		r = slices_of_node(control, txn, service, state_config(control->state)->node_name);
	while (service && r == 0 && (lost = orphans_next(control, &pos)))
		r = slices_of_node(control, txn, service, lost);
	return r;
}

/* ---- which Services ---- */

static void mark(struct control *control, const char *ns, const char *name)
{
	marks_add(&control->sliced, ns, name);
	if (!loop_timer_armed(control->slice_timer))
		loop_timer_set(control->slice_timer, 0);
}

struct chosen {
	struct control *control;
	const struct meta *pod;
};

static void mark_if_chosen(void *arg, const char *name)
{
	const struct chosen *c = arg;
	const struct object *service = state_get(c->control->state, &kinds[KIND_SERVICE],
						 c->pod->ns, name);

	if (service && selects(service, c->pod))
		mark(c->control, c->pod->ns, name);
}

static void mark_choosers(struct control *control, const struct object *pod)
{
	struct chosen c = { control, pod ? pod->meta : NULL };

	if (pod)
		selectors_each(control, pod->meta, mark_if_chosen, &c);
}

static bool is_chooser(const struct object *service)
{
	return service && service->service->nselector > 0;
}

static bool zone_moved(const struct control *control, const struct object *old,
		       const struct object *now)
{
	const char *a = zone_of(old), *b = zone_of(now);

	return strcmp((now ? now : old)->meta->name, state_config(control->state)->node_name) == 0 &&
	       strcmp(a ? a : "", b ? b : "") != 0;
}

void slices_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;

	if (any->kind->id == KIND_SERVICE) {
		selectors_changed(control, old, now);
		if (is_chooser(now))
			mark(control, now->meta->ns, now->meta->name);
	} else if (any->kind->id == KIND_ENDPOINT_SLICE) {
		if (any->slice->service && is_ours(control, any))
			mark(control, any->meta->ns, any->slice->service);
	} else if (any->kind->id == KIND_POD) {
		mark_choosers(control, old);
		mark_choosers(control, now);
	} else if (any->kind->id == KIND_NODE && zone_moved(control, old, now)) {
		slices_start(control);
	}
}

void slices_write(void *arg)
{
	struct control *control = arg;
	struct txn *txn = NULL;
	int r = txn_new(control->state, &txn);

	if (r == 0)
		r = marks_take(&control->sliced, control, txn, slices_of);
	if (r < 0) {
		txn_drop(txn);
		loop_timer_set(control->slice_timer, RETRY_MS);
		return;
	}
	control_submit(control, txn, false);
	if (control->sliced.of.n)
		loop_timer_set(control->slice_timer, 0);
}

int slices_start_one(void *arg, struct object *service)
{
	if (is_chooser(service))
		mark(arg, service->meta->ns, service->meta->name);
	return 0;
}

int slices_know_one(void *arg, struct object *service)
{
	selectors_changed(arg, NULL, service);
	return 0;
}

void slices_start(struct control *control)
{
	state_each(control->state, &kinds[KIND_SERVICE], NULL, slices_start_one, control);
}
