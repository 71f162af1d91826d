/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * services.c - Services and their EndpointSlices to frontends in the kernel
 *
 * Room: reconcile.
 *
 * A Service is compiled with all of its slices whenever one of them changes; what came of it last
 * time and does not now is taken away.  All that changed while a task was under way is the next
 * task, so a storm of changes costs one transaction at a time.  A frontend belongs to the Service
 * that had it first (two may name one external address): another one that wants it is told so, and
 * has its turn when it is free.  A transaction that failed leaves the kernel thread with what it
 * could not send; the node's scope, which sends that too, tries again.
 */
#include "inner.h"

#include <errno.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>

#define KEY_SIZE 512

/** A frontend that is ours in the kernel. */
struct front {
	char key[64];
	struct svc *owner;
	struct podnet_frontend is;      /* its key only */
	bool kept;                      /* while its owner is compiled */
	struct front *next;             /* of the owner */
};

/** A Service by its name, also while only slices of it are known. */
struct svc {
	char *key;                      /* NAMESPACE/NAME */
	struct object *service;
	struct object **slices;
	size_t nslices;
	struct front *fronts;
	bool dirty, waits;              /* waits: it wants a frontend of another's */
	struct svc *next_dirty;
};

struct services {
	struct map by_name;             /* struct svc */
	struct map fronts;              /* struct front */
	struct svc *dirty;
	size_t nwaiting;
	bool under_way, begun;
};

/** While one task is made. */
struct making {
	struct reconcile *rec;
	struct kernel_services *out;
	struct svc *svc;
};

static void svc_free(struct svc *svc)
{
	while (svc->fronts) {
		struct front *f = svc->fronts;

		svc->fronts = f->next;
		free(f);
	}
	object_unref(svc->service);
	for (size_t i = 0; i < svc->nslices; i++)
		object_unref(svc->slices[i]);
	free(svc->slices);
	free(svc->key);
	free(svc);
}

int services_new(struct reconcile *rec)
{
	rec->services = calloc(1, sizeof(*rec->services));
	return rec->services ? 0 : -ENOMEM;
}

void services_free(struct services *s)
{
	struct svc *svc;
	size_t pos = 0;

	if (!s)
		return;
	while ((svc = map_next(&s->by_name, &pos)))
		svc_free(svc);
	map_fini(&s->by_name);
	map_fini(&s->fronts);
	free(s);
}

static struct svc *svc_get(struct services *s, const char *ns, const char *name)
{
	char key[KEY_SIZE];
	struct svc *svc;

	snprintf(key, sizeof(key), "%s/%s", ns, name);
	svc = map_get(&s->by_name, key);
	if (svc)
		return svc;
	svc = calloc(1, sizeof(*svc));
	if (svc)
		svc->key = strdup(key);
	if (!svc || !svc->key || map_put(&s->by_name, svc->key, svc) < 0) {
		if (svc)
			svc_free(svc);
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=services");
		return NULL;
	}
	return svc;
}

static void mark(struct services *s, struct svc *svc)
{
	if (svc->dirty)
		return;
	svc->dirty = true;
	svc->next_dirty = s->dirty;
	s->dirty = svc;
}

/* ---- what is known of each ---- */

static void drop_slice(struct svc *svc, const struct object *slice)
{
	for (size_t i = 0; i < svc->nslices; i++) {
		if (strcmp(svc->slices[i]->meta->uid, slice->meta->uid) != 0)
			continue;
		object_unref(svc->slices[i]);
		svc->slices[i] = svc->slices[--svc->nslices];
		return;
	}
}

static void put_slice(struct svc *svc, struct object *slice)
{
	struct object **grown;

	drop_slice(svc, slice);
	grown = reallocarray(svc->slices, svc->nslices + 1, sizeof(*grown));
	if (!grown) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=services");
		return;
	}
	svc->slices = grown;
	svc->slices[svc->nslices++] = object_ref(slice);
}

static struct svc *owner_of(struct services *s, const struct object *slice)
{
	return slice && slice->slice->service ?
		svc_get(s, slice->meta->ns, slice->slice->service) : NULL;
}

static void note(struct services *s, struct object *old, struct object *now)
{
	const struct object *any = now ? now : old;
	struct svc *svc;

	if (any->kind->id == KIND_SERVICE) {
		svc = svc_get(s, any->meta->ns, any->meta->name);
		if (!svc)
			return;
		object_unref(svc->service);
		svc->service = now ? object_ref(now) : NULL;
		mark(s, svc);
		return;
	}
	svc = owner_of(s, old);
	if (svc) {
		drop_slice(svc, old);
		mark(s, svc);
	}
	svc = owner_of(s, now);
	if (svc) {
		put_slice(svc, now);
		mark(s, svc);
	}
}

/* ---- what is sent ---- */

static void front_key(const struct podnet_frontend *f, char ret[64])
{
	char ip[PODNET_PREFIX_STRLEN];

	snprintf(ret, 64, "%u/%u/%s", f->protocol, f->port, podnet_prefix_format(&f->ip, ip));
}

static struct front *front_add(struct services *s, struct svc *svc, const struct podnet_frontend *f,
			       const char *key)
{
	struct front *front = calloc(1, sizeof(*front));

	if (!front)
		return NULL;
	memcpy(front->key, key, sizeof(front->key));
	front->owner = svc;
	front->is = (struct podnet_frontend){ .ip = f->ip, .protocol = f->protocol, .port = f->port };
	if (map_put(&s->fronts, front->key, front) < 0) {
		free(front);
		return NULL;
	}
	front->next = svc->fronts;
	svc->fronts = front;
	return front;
}

static void tell_taken(struct making *m, const struct front *front)
{
	char text[PODNET_PREFIX_STRLEN];
	const char *at = podnet_prefix_format_addr(&front->is.ip, text);

	if (!m->svc->waits && m->svc->service)
		control_event(m->rec->conf.control, m->svc->service, "Warning", "AddressInUse",
			      "%s port %u is Service %s's already",
			      front->is.ip.len ? at : "node", front->is.port, front->owner->key);
	m->rec->services->nwaiting += !m->svc->waits;
	m->svc->waits = true;
}

static int on_frontend(void *arg, const struct podnet_frontend *f)
{
	struct making *m = arg;
	struct services *s = m->rec->services;
	char key[64] = "";
	struct front *front;

	front_key(f, key);
	front = map_get(&s->fronts, key);
	if (front && front->owner != m->svc) {
		tell_taken(m, front);
		return 0;
	}
	if (!front)
		front = front_add(s, m->svc, f, key);
	if (!front)
		return -ENOMEM;
	front->kept = true;
	return kernel_services_set(m->out, f);
}

static void wake_waiting(struct services *s)
{
	struct svc *svc;
	size_t pos = 0;

	if (!s->nwaiting)
		return;
	while ((svc = map_next(&s->by_name, &pos)))
		if (svc->waits)
			mark(s, svc);
}

static int drop_fronts(struct making *m)
{
	struct services *s = m->rec->services;
	struct front **at = &m->svc->fronts, *front;
	bool freed = false;
	int r = 0;

	while (r == 0 && (front = *at)) {
		if (front->kept) {
			at = &front->next;
			continue;
		}
		r = kernel_services_absent(m->out, &front->is);
		*at = front->next;
		map_del(&s->fronts, front->key);
		free(front);
		freed = true;
	}
	if (freed)
		wake_waiting(s);
	return r;
}

static const char *zone_of(const struct reconcile *rec)
{
	const struct object *node = state_get(rec->conf.state, &kinds[KIND_NODE], "",
					      rec->node->node_name);

	return node ? meta_label(node->meta, "topology.kubernetes.io/zone") : NULL;
}

static int compile_one(struct making *m)
{
	const struct compile_services in = {
		.node_name = m->rec->node->node_name, .zone = zone_of(m->rec),
		.each = on_frontend, .arg = m,
	};
	const struct endpoint_slice **slices = calloc(m->svc->nslices + 1, sizeof(*slices));
	int r = 0;

	if (!slices)
		return -ENOMEM;
	for (struct front *f = m->svc->fronts; f; f = f->next)
		f->kept = false;
	for (size_t i = 0; i < m->svc->nslices; i++)
		slices[i] = m->svc->slices[i]->slice;
	m->rec->services->nwaiting -= m->svc->waits;
	m->svc->waits = false;
	if (m->svc->service)
		r = compile_service(&in, m->svc->service->service, slices, m->svc->nslices);
	free(slices);
	return r < 0 ? r : drop_fronts(m);
}

static void forget(struct services *s, struct svc *svc)
{
	if (svc->service || svc->nslices || svc->fronts || svc->dirty)
		return;
	map_del(&s->by_name, svc->key);
	svc_free(svc);
}

/* Those that cannot be compiled for want of memory stay marked. */
static int compile_dirty(struct reconcile *rec, struct kernel_services *out)
{
	struct services *s = rec->services;
	struct making m = { .rec = rec, .out = out };
	int r = 0;

	while (s->dirty && r == 0) {
		m.svc = s->dirty;
		s->dirty = m.svc->next_dirty;
		m.svc->dirty = false;
		r = compile_one(&m);
		if (r < 0)
			mark(s, m.svc);
		else
			forget(s, m.svc);
	}
	return r;
}

static void send(struct reconcile *rec)
{
	struct services *s = rec->services;
	struct kernel_task *task;

	if (s->under_way || (!s->dirty && s->begun))
		return;
	task = kernel_task_new(KERNEL_SERVICES, SERVICES_SCOPE);
	if (task)
		task->services = calloc(1, sizeof(*task->services));
	if (!task || !task->services || compile_dirty(rec, task->services) < 0) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=services");
		kernel_task_free(task);
		return;
	}
	if (s->begun && !task->services->nset && !task->services->nabsent) {
		kernel_task_free(task);
		return;
	}
	task->urgent = true;
	s->under_way = s->begun = true;
	metric_add(METRIC_RECONCILES, 1);
	kernel_submit(rec->kernel, task);
}

void services_changed(struct reconcile *rec, struct object *old, struct object *now)
{
	const struct object *any = now ? now : old;

	if (any->kind->id != KIND_SERVICE && any->kind->id != KIND_ENDPOINT_SLICE)
		return;
	note(rec->services, old, now);
	send(rec);
}

static int begin_object(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;

	note(rec->services, NULL, obj);
	return 0;
}

void services_begin(struct reconcile *rec)
{
	state_each(rec->conf.state, &kinds[KIND_SERVICE], NULL, begin_object, rec);
	state_each(rec->conf.state, &kinds[KIND_ENDPOINT_SLICE], NULL, begin_object, rec);
	send(rec);
}

void services_done(struct reconcile *rec, const struct kernel_task *task)
{
	struct scope *node = scope_find(rec, NODE_SCOPE);
	char text[256], quoted[300];

	rec->services->under_way = false;
	if (task->rc < 0) {
		podnet_error_text(&task->err, text, sizeof(text));
		metric_add(METRIC_RECONCILE_FAILURES, 1);
		log_event(LOG_LEVEL_WARNING, "services_failed", "err=%s",
			  log_quote(text, quoted, sizeof(quoted)));
		if (node)
			reconcile_mark(rec, node, 0);
	}
	send(rec);
}
