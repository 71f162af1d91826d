/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mirror.c - the EndpointSlices of Endpoints that somebody wrote for a Service without a selector
 *
 * Room: control.  Source: Kubernetes' endpointslicemirroring and endpoints controllers.  Of each
 * subset and family one slice, with the first ADDRESSES_MAX addresses; who says skip-mirror, or is
 * the lock of a leader, is left alone.  When its Service goes, such Endpoints go with it.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVICE_NAME    "kubernetes.io/service-name"
#define SKIP            "endpointslice.kubernetes.io/skip-mirror"
#define LEADER          "control-plane.alpha.kubernetes.io/leader"
#define MANAGER         "endpointslicemirroring-controller.k8s.io"
#define ADDRESSES_MAX   1000
#define RETRY_MS        1000

struct mirroring {
	struct control *control;
	struct txn *txn;
	const struct object *service;
	struct doc *from;               /* the Endpoints; NULL: nothing is mirrored */
	struct object **held;           /* slices that are there; borrowed */
	size_t nheld, used;
};

static bool is_mirror(const struct object *slice)
{
	const char *by = meta_label(slice->meta, LABEL_MANAGED_BY);

	return by && strcmp(by, MANAGER) == 0 && slice->slice->service;
}

static int add_held(void *arg, struct object *slice)
{
	struct mirroring *m = arg;
	struct object **grown;

	if (!is_mirror(slice) || strcmp(slice->slice->service, m->service->meta->name) != 0)
		return 0;
	grown = reallocarray(m->held, m->nheld + 1, sizeof(struct object *));
	if (!grown)
		return -ENOMEM;
	m->held = grown;
	m->held[m->nheld++] = slice;
	return 0;
}

/* ---- one slice ---- */

static int put_endpoint(struct doc *to, size_t at, const struct doc *from, const char *path, bool ready)
{
	static const char *const members[] = { "hostname", "nodeName", "targetRef" };
	char there[64], here[96];
	int r;

	snprintf(here, sizeof(here), "%s.ip", path);
	snprintf(there, sizeof(there), "endpoints[%zu].addresses[0]", at);
	r = doc_set_copy(to, there, from, here);
	snprintf(there, sizeof(there), "endpoints[%zu].conditions.ready", at);
	if (r == 0)
		r = doc_set_bool(to, there, ready);
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++) {
		snprintf(here, sizeof(here), "%s.%s", path, members[i]);
		snprintf(there, sizeof(there), "endpoints[%zu].%s", at, members[i]);
		if (doc_has(from, here))
			r = doc_set_copy(to, there, from, here);
	}
	return r;
}

/* How many; or a negative errno. */
static int put_endpoints(struct doc *to, const struct doc *from, size_t subset, bool v6)
{
	static const char *const lists[] = { "addresses", "notReadyAddresses" };
	size_t n = 0;
	int r = 0;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		char path[64];
		size_t all;

		snprintf(path, sizeof(path), "subsets[%zu].%s", subset, lists[k]);
		all = doc_len(from, path);
		for (size_t i = 0; i < all && n < ADDRESSES_MAX && r == 0; i++) {
			char ip[80];
			const char *text;

			snprintf(path, sizeof(path), "subsets[%zu].%s[%zu]", subset, lists[k], i);
			snprintf(ip, sizeof(ip), "%s.ip", path);
			text = doc_str(from, ip);
			if (text && (strchr(text, ':') != NULL) == v6)
				r = put_endpoint(to, n++, from, path, k == 0);
		}
	}
	return r < 0 ? r : (int)n;
}

static int put_ports(struct doc *to, const struct doc *from, size_t subset)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "subsets[%zu].ports", subset);
	r = doc_set_copy(to, "ports", from, path);
	if (r == 0)
		r = doc_set_list(to, "ports");
	for (size_t i = 0; i < doc_len(to, "ports") && r == 0; i++) {
		snprintf(path, sizeof(path), "ports[%zu].name", i);
		if (!doc_has(to, path))
			r = doc_set_str(to, path, "");
	}
	return r;
}

static int put_meta(struct doc *to, const struct mirroring *m)
{
	char ref[512];
	int r = doc_set_copy(to, "metadata.labels", m->from, "metadata.labels");

	service_owner_ref(m->service, ref);
	if (r == 0)
		r = doc_set_str(to, "metadata.labels[\"" SERVICE_NAME "\"]", m->service->meta->name);
	if (r == 0)
		r = doc_set_str(to, "metadata.labels[\"" LABEL_MANAGED_BY "\"]", MANAGER);
	return r < 0 ? r : doc_set_json(to, "metadata.ownerReferences", ref);
}

static struct doc *new_slice(const struct mirroring *m)
{
	const struct meta *owner = m->service->meta;
	char prefix[64], name[64];

	snprintf(prefix, sizeof(prefix), "%.57s-", owner->name);
	if (name_generate(prefix, name) < 0)
		return NULL;
	return new_object(&kinds[KIND_ENDPOINT_SLICE], owner->ns, name);
}

/* One that is there, of this family, is written over; a further one is made. */
static int write_slice(struct mirroring *m, size_t subset, bool v6)
{
	enum ip_family family = v6 ? FAMILY_IPV6 : FAMILY_IPV4;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *old = NULL, *ret;
	size_t at = m->used;
	int r;

	while (at < m->nheld && m->held[at]->slice->family != family)
		at++;
	if (at < m->nheld)
		old = m->held[at];
	doc = old ? object_doc(old) : new_slice(m);
	if (!doc)
		return -ENOMEM;
	doc_remove(doc, "endpoints");
	r = doc_set_str(doc, "addressType", v6 ? "IPv6" : "IPv4");
	if (r == 0)
		r = put_endpoints(doc, m->from, subset, v6);
	if (r <= 0)
		return r;
	r = put_ports(doc, m->from, subset);
	if (r == 0)
		r = put_meta(doc, m);
	if (r == 0)
		r = txn_put(m->txn, &kinds[KIND_ENDPOINT_SLICE], doc, old, &ret);
	if (old) {
		m->held[at] = m->held[m->used];
		m->held[m->used++] = old;
	}
	return r;
}

/* ---- all of a Service ---- */

static bool is_mirrored(const struct object *service, const struct object *endpoints)
{
	const char *skip = endpoints ? meta_label(endpoints->meta, SKIP) : NULL;

	return endpoints && !service->service->nselector && !endpoints->meta->deleted &&
	       service->service->type != SERVICE_EXTERNAL_NAME && (!skip || strcmp(skip, "true") != 0) &&
	       !meta_annotation(endpoints->meta, LEADER);
}

static int write_all(struct mirroring *m)
{
	char prefix[64];
	int r;

	snprintf(prefix, sizeof(prefix), "%.57s-", m->service->meta->name);
	r = state_each_named(m->control->state, &kinds[KIND_ENDPOINT_SLICE], m->service->meta->ns,
			     prefix, add_held, m);
	for (size_t i = 0; m->from && i < doc_len(m->from, "subsets"); i++)
		for (int v6 = 0; v6 < 2 && r == 0; v6++)
			r = write_slice(m, i, v6 != 0);
	for (size_t i = m->used; i < m->nheld && r == 0; i++)
		r = txn_delete(m->txn, m->held[i], NULL);
	free(m->held);
	return r;
}

static int mirror_one(struct control *control, struct txn *txn, const char *ns, const char *name)
{
	const struct object *place = state_accepted(control->state, &kinds[KIND_NAMESPACE], "", ns);
	struct object *service = state_accepted(control->state, &kinds[KIND_SERVICE], ns, name);
	struct object *endpoints = state_accepted(control->state, &kinds[KIND_ENDPOINTS], ns, name);
	_cleanup_(doc_freep) struct doc *from = NULL;
	struct mirroring m = { .control = control, .txn = txn, .service = service };

	if (!place || place->namespace->terminating)
		return 0;
	if (!service)
		return endpoints && state_chosen(control->state, endpoints->meta->uid) &&
		       !meta_annotation(endpoints->meta, LEADER) ?
		       txn_delete(txn, endpoints, NULL) : 0;
	if (service->meta->deleted || !state_chosen(control->state, service->meta->uid))
		return 0;
	if (is_mirrored(service, endpoints)) {
		from = object_doc(endpoints);
		if (!from)
			return -ENOMEM;
	}
	m.from = from;
	return write_all(&m);
}

/* ---- which Services ---- */

static void mark(struct control *control, const char *ns, const char *name)
{
	marks_add(&control->mirrored, ns, name);
	if (!loop_timer_armed(control->mirror_timer))
		loop_timer_set(control->mirror_timer, 0);
}

static bool has_endpoints(const struct control *control, const struct meta *service)
{
	return state_accepted(control->state, &kinds[KIND_ENDPOINTS], service->ns, service->name) != NULL;
}

void mirror_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;

	if (any->kind->id == KIND_SERVICE && has_endpoints(control, any->meta))
		mark(control, any->meta->ns, any->meta->name);
	else if (any->kind->id == KIND_ENDPOINTS &&
		 state_accepted(control->state, &kinds[KIND_SERVICE], any->meta->ns, any->meta->name))
		mark(control, any->meta->ns, any->meta->name);
	else if (any->kind->id == KIND_ENDPOINT_SLICE && is_mirror(any))
		mark(control, any->meta->ns, any->slice->service);
}

void mirror_write(void *arg)
{
	struct control *control = arg;
	struct txn *txn = NULL;
	int r = txn_new(control->state, &txn);

	if (r == 0)
		r = marks_take(&control->mirrored, control, txn, mirror_one);
	if (r < 0) {
		txn_drop(txn);
		loop_timer_set(control->mirror_timer, RETRY_MS);
		return;
	}
	control_submit(control, txn, false);
	if (control->mirrored.of.n)
		loop_timer_set(control->mirror_timer, 0);
}

static int start_one(void *arg, struct object *endpoints)
{
	struct control *control = arg;

	if (state_get(control->state, &kinds[KIND_SERVICE], endpoints->meta->ns, endpoints->meta->name))
		mark(control, endpoints->meta->ns, endpoints->meta->name);
	return 0;
}

void mirror_start(struct control *control)
{
	state_each(control->state, &kinds[KIND_ENDPOINTS], NULL, start_one, control);
}
