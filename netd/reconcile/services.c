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
 * could not send; the node's scope, which sends that too, tries again.  A pod that publishes ports
 * is looked at in the same way: ports.c.
 */
#include "services.h"

#include <errno.h>
#include <netd/base/fault.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <stdio.h>

#define KEY_SIZE 512
#define FIRST_TASK 512          /* frontends in one, when all are sent */

static void svc_free(struct svc *svc)
{
	while (svc->fronts) {
		struct front *f = svc->fronts;

		svc->fronts = f->next;
		free(f);
	}
	object_unref(svc->service);
	object_unref(svc->pod);
	for (size_t i = 0; i < svc->nslices; i++)
		object_unref(svc->slices[i]);
	free(svc->slices);
	free(svc->key);
	free(svc);
}

int services_new(struct reconcile *rec)
{
	rec->services = calloc(1, sizeof(*rec->services));
	return rec->services ? ports_start(rec) : -ENOMEM;
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
	ports_tell(NULL, s);
	ports_free(s->ports);
	free(s);
}

struct svc *services_get(struct services *s, const char *key)
{
	struct svc *svc = map_get(&s->by_name, key);

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

/* "shop/web"; thousands of times at start, and names have at most 253 bytes */
static const char *key_of(const char *ns, const char *name, char key[KEY_SIZE])
{
	size_t n = strnlen(ns, KEY_SIZE / 2 - 1), more = strnlen(name, KEY_SIZE / 2 - 1);

	memcpy(key, ns, n);
	key[n] = '/';
	memcpy(key + n + 1, name, more);
	key[n + 1 + more] = '\0';
	return key;
}

static struct svc *svc_get(struct services *s, const char *ns, const char *name)
{
	char key[KEY_SIZE];

	return services_get(s, key_of(ns, name, key));
}

void services_mark(struct services *s, struct svc *svc)
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

static void note(struct reconcile *rec, struct object *old, struct object *now)
{
	const struct object *any = now ? now : old;
	struct services *s = rec->services;
	struct svc *svc;

	if (any->kind->id == KIND_POD) {
		ports_note(rec, old, now);
		return;
	}
	if (any->kind->id == KIND_SERVICE) {
		svc = svc_get(s, any->meta->ns, any->meta->name);
		if (!svc)
			return;
		balanced_note(s, svc, now);
		svc->ended |= svc->service &&
			      (!now || strcmp(svc->service->meta->uid, now->meta->uid) != 0);
		object_unref(svc->service);
		svc->service = now ? object_ref(now) : NULL;
		health_changed(rec, any, now);
		services_mark(s, svc);
		return;
	}
	svc = owner_of(s, old);
	if (svc) {
		drop_slice(svc, old);
		services_mark(s, svc);
	}
	svc = owner_of(s, now);
	if (svc) {
		put_slice(svc, now);
		services_mark(s, svc);
	}
}

/* ---- what is sent ---- */

/* What makes a frontend another one, each byte as two letters; ready for thousands at a start. */
static void front_key(const struct podnet_frontend *f, char ret[64])
{
	uint8_t bytes[7 + sizeof(f->ip.addr)] = {
		f->protocol, f->ip.family, f->ip.len, (uint8_t)(f->port >> 8), (uint8_t)f->port,
		(uint8_t)(f->last_port >> 8), (uint8_t)f->last_port,
	};

	memcpy(bytes + 7, f->ip.addr, sizeof(f->ip.addr));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		*ret++ = (char)('a' + (bytes[i] >> 4));
		*ret++ = (char)('a' + (bytes[i] & 15));
	}
	*ret = '\0';
}

static struct front *front_add(struct services *s, struct svc *svc, const struct podnet_frontend *f,
			       const char *key)
{
	struct front *front = calloc(1, sizeof(*front));

	if (!front)
		return NULL;
	memcpy(front->key, key, sizeof(front->key));
	front->owner = svc;
	front->is = (struct podnet_frontend){ .ip = f->ip, .protocol = f->protocol, .port = f->port,
					      .last_port = f->last_port };
	if (map_put(&s->fronts, front->key, front) < 0) {
		free(front);
		return NULL;
	}
	front->next = svc->fronts;
	svc->fronts = front;
	return front;
}

const char *services_who(const struct svc *svc, char buf[600])
{
	snprintf(buf, 600, "%s %s", svc->pod ? "pod" : "Service",
		 strncmp(svc->key, "pod:", 4) ? svc->key : svc->key + 4);
	return buf;
}

void services_wait(struct making *m)
{
	m->rec->services->nwaiting += !m->svc->waits;
	m->svc->waits = true;
}

static void note_taken(struct making *m, const struct podnet_frontend *f, const struct svc *other)
{
	char text[PODNET_PREFIX_STRLEN], who[600];
	size_t used = strlen(m->taken);
	int n = snprintf(m->taken + used, sizeof(m->taken) - used, "%s%s port %u is %s's already",
			 used ? ", " : "", f->ip.len ? podnet_prefix_format_addr(&f->ip, text) : "node",
			 f->port, services_who(other, who));

	if ((size_t)n < sizeof(m->taken) - used)
		return;
	m->taken[used] = 0;
	m->ntaken_more++;
}

/* One Event says all of it. */
static void tell_taken(const struct making *m)
{
	char more[32] = "";

	if (!*m->taken)
		return;
	if (m->ntaken_more)
		snprintf(more, sizeof(more), ", and %u more", m->ntaken_more);
	control_event(m->rec->conf.control, m->svc->service, "Warning", "AddressInUse", "%s%s", m->taken,
		      more);
}

int services_front(struct making *m, const struct podnet_frontend *f, struct svc **other)
{
	struct services *s = m->rec->services;
	char key[64] = "";
	struct front *front;

	front_key(f, key);
	front = map_get(&s->fronts, key);
	if (front && front->owner != m->svc) {
		*other = front->owner;
		services_wait(m);
		return 1;
	}
	if (!front)
		front = front_add(s, m->svc, f, key);
	if (!front)
		return -ENOMEM;
	front->kept = true;
	return kernel_services_set(m->out, f);
}

static int on_frontend(void *arg, const struct podnet_frontend *f)
{
	static const uint8_t none[16];
	struct making *m = arg;
	struct svc *other = NULL;
	int r = 0;

	if (memcmp(f->ip.addr, none, sizeof(none)) == 0)
		r = ports_node_port(m, f, &other);
	if (r == 0)
		r = services_front(m, f, &other);
	if (r > 0)
		note_taken(m, f, other);
	return r < 0 ? r : 0;
}

static void wake_waiting(struct services *s)
{
	struct svc *svc;
	size_t pos = 0;

	if (!s->nwaiting)
		return;
	while ((svc = map_next(&s->by_name, &pos)))
		if (svc->waits)
			services_mark(s, svc);
}

/* Those that are not kept are for those who wait. */
static int drop_fronts(struct making *m)
{
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
		map_del(&m->rec->services->fronts, front->key);
		free(front);
		freed = true;
	}
	if (freed)
		wake_waiting(m->rec->services);
	return r;
}

static void unkeep(struct svc *svc)
{
	for (struct front *f = svc->fronts; f; f = f->next)
		f->kept = false;
}

/* Before others want it; and the next of its name begins with none of it, and so counts from 0. */
static int drop_ended(struct reconcile *rec, struct kernel_services *out)
{
	struct services *s = rec->services;
	int r = 0;

	if (!s->begun)                  /* nothing was sent that could end */
		return 0;
	for (struct svc *svc = s->dirty; svc && r == 0; svc = svc->next_dirty) {
		struct making m = { .rec = rec, .out = out, .svc = svc };

		if (!svc->ended)
			continue;
		unkeep(svc);
		r = drop_fronts(&m);
		svc->ended = r < 0;
	}
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
		.node_name = m->rec->node->node_name, .zone = m->zone,
		.lost = m->lost, .nlost = m->nlost,
		.own = m->rec->facts.addresses, .nown = m->rec->facts.naddresses,
		.each = on_frontend, .arg = m,
	};
	const struct endpoint_slice **slices = calloc(m->svc->nslices + 1, sizeof(*slices));
	int r = 0;

	if (!slices)
		return -ENOMEM;
	m->svc->ended = false;
	unkeep(m->svc);
	ports_mark(&m->svc->holds);
	for (size_t i = 0; i < m->svc->nslices; i++)
		slices[i] = m->svc->slices[i]->slice;
	m->rec->services->nwaiting -= m->svc->waits;
	m->svc->waits = false;
	if (m->svc->service) {
		r = compile_service(&in, m->svc->service->service, slices, m->svc->nslices);
		tell_taken(m);
	} else if (m->svc->pod) {
		r = ports_compile(m);
	}
	free(slices);
	m->svc->warned &= m->in_use;
	if (r < 0)
		return r;
	if (ports_sweep(m->rec->services->ports, &m->svc->holds))
		wake_waiting(m->rec->services);
	return drop_fronts(m);
}

static void forget(struct services *s, struct svc *svc)
{
	if (svc->service || svc->pod || svc->nslices || svc->fronts || svc->holds.first || svc->dirty)
		return;
	map_del(&s->by_name, svc->key);
	svc_free(svc);
}

/* Up to so many frontends.  Those that cannot be compiled for want of memory stay marked. */
static int compile_dirty(struct reconcile *rec, struct kernel_services *out, size_t most)
{
	struct services *s = rec->services;
	const char *zone = zone_of(rec);
	_cleanup_free_ const char **lost = NULL;
	size_t nlost = 0;
	int r = drop_ended(rec, out);

	if (r == 0)
		r = lost_names(rec, &lost, &nlost);
	while (s->dirty && r == 0 && out->nset < most) {
		struct making m = { .rec = rec, .out = out, .svc = s->dirty, .zone = zone,
				    .lost = lost, .nlost = nlost };

		s->dirty = m.svc->next_dirty;
		m.svc->dirty = false;
		r = compile_one(&m);
		if (r == 0 && m.svc->pod)
			r = ports_outcome(&m);
		if (r < 0)
			services_mark(s, m.svc);
		else
			forget(s, m.svc);
	}
	if (r == 0 && !s->dirty)
		ports_whole(s->ports);
	return r;
}

/* What came of ports is said when the kernel has them. */
static void tell_ports(struct reconcile *rec)
{
	if (!rec->services->failed)
		ports_tell(rec, rec->services);
}

void services_mended(struct reconcile *rec)
{
	rec->services->failed = false;
	if (!rec->services->under_way)
		tell_ports(rec);
}

static struct kernel_task *make_task(struct reconcile *rec)
{
	struct services *s = rec->services;
	struct kernel_task *task = kernel_task_new(KERNEL_SERVICES, SERVICES_SCOPE);

	if (task)
		task->services = calloc(1, sizeof(*task->services));
	if (!task || !task->services ||
	    compile_dirty(rec, task->services, s->begun ? SIZE_MAX : FIRST_TASK) < 0) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=services");
		kernel_task_free(task);
		return NULL;
	}
	task->services->more = !s->begun && s->dirty;
	task->urgent = true;
	return task;
}

/* At the start the kernel thread takes in what is compiled while the rest is. */
static void submit(struct reconcile *rec)
{
	struct services *s = rec->services;
	struct kernel_task *task;
	bool more = true;

	if (s->under_way || !ports_ready(s->ports) || (!s->dirty && s->begun))
		return;
	while (more) {
		task = make_task(rec);
		if (!task)
			return;
		if (s->begun && !task->services->nset && !task->services->nabsent) {
			kernel_task_free(task);
			tell_ports(rec);
			return;
		}
		more = task->services->more;
		if (!more) {
			fault_point("services-compiled");
			s->under_way = s->begun = true;
			metric_add(METRIC_RECONCILES, 1);
		}
		kernel_submit(rec->kernel, task);
	}
}

void services_send(struct reconcile *rec)
{
	submit(rec);
	balanced_sent(rec);
}

static bool is_on(const struct svc *svc, const char *node)
{
	for (size_t i = 0; i < svc->nslices; i++) {
		const struct endpoint_slice *slice = svc->slices[i]->slice;

		for (size_t k = 0; k < slice->nendpoints; k++)
			if (slice->endpoints[k].node_name && strcmp(slice->endpoints[k].node_name, node) == 0)
				return true;
	}
	return false;
}

void services_mark_node(struct reconcile *rec, const char *node)
{
	struct services *s = rec->services;
	struct svc *svc;
	size_t pos = 0;

	while ((svc = map_next(&s->by_name, &pos)))
		if (is_on(svc, node))
			services_mark(s, svc);
	services_send(rec);
}

void services_changed(struct reconcile *rec, struct object *old, struct object *now)
{
	const struct object *any = now ? now : old;

	if (any->kind->id != KIND_SERVICE && any->kind->id != KIND_ENDPOINT_SLICE &&
	    any->kind->id != KIND_POD)
		return;
	note(rec, old, now);
	balanced_changed(rec, now);
	services_send(rec);
}

static int begin_object(void *arg, struct object *obj)
{
	struct reconcile *rec = arg;

	note(rec, NULL, obj);
	return 0;
}

void services_begin(struct reconcile *rec)
{
	/* what is marked last is looked at first */
	ports_begin_pods(rec, false);
	state_each(rec->conf.state, &kinds[KIND_SERVICE], NULL, begin_object, rec);
	state_each(rec->conf.state, &kinds[KIND_ENDPOINT_SLICE], NULL, begin_object, rec);
	ports_begin_pods(rec, true);
	carry_begin(rec);
	ports_begin(rec->services->ports, ports_needed(rec->services));
	rec->services->node_due = false;        /* its first pass comes anyway, behind these */
	services_send(rec);
}

bool services_ready(const struct services *s)
{
	return s->told;
}

void services_done(struct reconcile *rec, const struct kernel_task *task)
{
	struct scope *node = scope_find(rec, NODE_SCOPE);
	char text[256], quoted[300];

	if (task->services->more)       /* the last of them says how it went */
		return;
	rec->services->under_way = false;
	rec->services->told = true;
	rec->services->failed = task->rc < 0;
	tell_ports(rec);
	if (task->rc < 0) {
		podnet_error_text(&task->err, text, sizeof(text));
		metric_add(METRIC_RECONCILE_FAILURES, 1);
		log_event(LOG_LEVEL_WARNING, "services_failed", "err=%s",
			  log_quote(text, quoted, sizeof(quoted)));
		if (node)
			reconcile_mark(rec, node, 0);
	}
	services_send(rec);
}

void services_each_front(const struct reconcile *rec, const struct object *service,
			 void (*each)(void *arg, const struct service *svc,
				      const struct podnet_frontend *f), void *arg)
{
	const struct svc *svc;
	char key[KEY_SIZE];

	svc = map_get(&rec->services->by_name,
		      key_of(service->meta->ns, service->meta->name, key));
	for (const struct front *f = svc ? svc->fronts : NULL; f; f = f->next)
		each(arg, service->service, &f->is);
}
