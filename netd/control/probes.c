/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probes.c - readiness probes: which containers, when, and what follows of their results
 *
 * Room: control.  A container with a probe starts as its status says: a new one not ready, and one that
 * was ready before netd was restarted ready, until its probe has failed often enough.  Only a change is
 * written, softly, all of one turn in one transaction; as what must be written is compared with what
 * the committed pod says, a write that failed is made again, and one by somebody else is put right.
 * EndpointSlices follow from the pod's condition Ready (slices.c).
 *
 * Each probe has its own period from its first try on.  At the start of netd first tries are spread
 * over the period, and never are more than TRIES_MAX under way: others wait in a row.  A pod that is being deleted is probed
 * until it is gone: it may still serve.  Source: k8s.io/kubernetes pkg/kubelet/prober/worker.go.
 * May include: state, codec, model, metrics, netd/base.
 */
#include "internal.h"
#include "probe.h"
#include <errno.h>
#include <netd/base/log.h>
#include <netd/metrics/metrics.h>
#include <stdlib.h>

#define TRIES_MAX       512
#define BATCH_WRITES    200
#define RETRY_MS        1000
#define EVENTS_MAX      25      /* of one container at once, and then one in each ... */
#define EVENT_EACH_US   300000000
#define AGAIN_US        60000000        /* the same again */

struct prober {
	struct probed *of;
	size_t container;
	struct loop_timer *timer;
	struct probe_try *try;
	struct object *tried;       /* the version whose probe is borrowed */
	uint64_t begun_us;          /* the try under way, or the last one */
	bool last;                  /* results like the last one, how many in a row */
	uint32_t run;
	bool ready;                 /* what status must say, if it is decided */
	bool decided;               /* by the results; else status is left as it is */
	unsigned told;              /* Events, of EVENTS_MAX */
	uint64_t told_us, said_us;
	char *said;                 /* the last one */
	bool waits;
	struct prober *next_waiting;
};

/** A pod of this node with probes. */
struct probed {
	struct control *control;
	struct object *pod;
	struct prober *v;
	size_t n;
};

struct probes {
	struct map pods;            /* uid -> struct probed */
	struct loop_timer *writer;
	unsigned under_way;
	struct prober *waiting, **waiting_end;
};

static const struct container *container_of(const struct prober *p, const struct object *pod)
{
	return &pod->pod->containers[p->container];
}

static const struct probe *probe_of(const struct prober *p)
{
	return container_of(p, p->of->pod)->readiness;
}

/* ---- what follows ---- */

static void write_soon(struct control *control)
{
	if (!loop_timer_armed(control->probes->writer))
		loop_timer_set(control->probes->writer, 0);
}

static bool is_unwritten(const struct prober *p)
{
	return p->decided && p->ready != probe_of(p)->ready;
}

/* As many as a kubelet lets through (client-go tools/record), and of the same in a row one a minute. */
static bool may_tell(struct prober *p, const char *words)
{
	uint64_t now = now_monotonic_us();

	if (p->said && strcmp(p->said, words) == 0 && now - p->said_us < AGAIN_US)
		return false;
	while (p->told && now - p->told_us >= EVENT_EACH_US) {
		p->told--;
		p->told_us += EVENT_EACH_US;
	}
	if (p->told >= EVENTS_MAX)
		return false;
	if (!p->told++)
		p->told_us = now;
	free(p->said);
	p->said = strdup(words);
	p->said_us = now;
	return true;
}

static void tell(struct prober *p, enum probe_result result, const char *words)
{
	static const struct {
		const char *reason, *what;
	} texts[] = {
		[PROBE_FAILURE] = { "Unhealthy", "failed" },
		[PROBE_WARNING] = { "ProbeWarning", "warning" },
		[PROBE_UNKNOWN] = { "Unhealthy", "errored and resulted in unknown state" },
	};

	if (result != PROBE_SUCCESS && may_tell(p, words))
		control_event(p->of->control, p->of->pod, "Warning", texts[result].reason,
			      "Readiness probe %s: %s", texts[result].what, words);
}

static void judge(struct prober *p, enum probe_result result, const char *words)
{
	bool success = result == PROBE_SUCCESS || result == PROBE_WARNING;
	const struct probe *probe = probe_of(p);

	tell(p, result, words);
	if (result == PROBE_UNKNOWN)
		return;
	p->run = p->run && p->last == success ? p->run + 1 : 1;
	p->last = success;
	if (p->run < (success ? probe->successes : probe->failures))
		return;
	p->decided = true;
	p->ready = success;
	if (is_unwritten(p))
		write_soon(p->of->control);
}

/* ---- trying ---- */

static void wait_for_turn(struct prober *p)
{
	uint64_t due = p->begun_us + (uint64_t)probe_of(p)->period_s * 1000000;
	uint64_t now = now_monotonic_us();

	loop_timer_set(p->timer, due > now ? (int64_t)((due - now + 999) / 1000) : 0);
}

static void wait_in_row(struct probes *probes, struct prober *p)
{
	if (!probes->waiting)
		probes->waiting_end = &probes->waiting;
	p->waits = true;
	p->next_waiting = NULL;
	*probes->waiting_end = p;
	probes->waiting_end = &p->next_waiting;
}

static void leave_row(struct probes *probes, struct prober *p)
{
	struct prober **at = &probes->waiting;

	while (*at && *at != p)
		at = &(*at)->next_waiting;
	if (!*at)
		return;
	*at = p->next_waiting;
	if (!*at)
		probes->waiting_end = at;
	p->waits = false;
}

/* A place is free, and who has waited longest has it next turn. */
static void forget_try(struct prober *p)
{
	struct probes *probes = p->of->control->probes;
	struct prober *next = probes->waiting;

	if (!p->try)
		return;
	probes->under_way--;
	if (next) {
		leave_row(probes, next);
		loop_timer_set(next->timer, 0);
	}
	probe_try_free(p->try);
	p->try = NULL;
	object_unref(p->tried);
	p->tried = NULL;
}

static void tried(void *arg, enum probe_result result, const char *words)
{
	struct prober *p = arg;

	judge(p, result, words);        /* the words are the try's */
	forget_try(p);
	wait_for_turn(p);
}

/* The number, or 0; a name is one of the container's own ports. */
static uint32_t port_of(const struct prober *p)
{
	const struct container *c = container_of(p, p->of->pod);
	const struct port_ref *port = &c->readiness->port;

	if (!port->name)
		return port->number;
	for (size_t i = 0; i < c->nports; i++)
		if (c->ports[i].name && strcmp(c->ports[i].name, port->name) == 0)
			return c->ports[i].number;
	return 0;
}

/* NULL, or why there is none: nobody here looks names up. */
static const char *address_of(const struct prober *p, struct podnet_prefix *ret)
{
	const struct pod *pod = p->of->pod->pod;
	const char *host = probe_of(p)->host;

	if (host)
		return podnet_prefix_parse(host, ret) < 0 ? "the host is not an IP address" : NULL;
	if (!pod->nips)
		return "the pod has no address";
	*ret = pod->ips[0].ip;
	return NULL;
}

static void begin_try(struct prober *p)
{
	struct probes *probes = p->of->control->probes;
	struct podnet_prefix to;
	const char *why = address_of(p, &to);
	uint32_t port = port_of(p);

	p->begun_us = now_monotonic_us();
	metric_add(METRIC_PROBES, 1);
	if (!port)
		judge(p, PROBE_UNKNOWN, "the container has no port of that name");
	else if (why)
		judge(p, PROBE_UNKNOWN, why);
	else if (probe_try_start(p->of->control->loop, probe_of(p), &to, (uint16_t)port, tried, p,
				 &p->try) < 0)
		judge(p, PROBE_UNKNOWN, "out of memory");
	if (!p->try) {
		wait_for_turn(p);
		return;
	}
	p->tried = object_ref(p->of->pod);
	probes->under_way++;
}

static void due(void *arg)
{
	struct prober *p = arg;
	struct probes *probes = p->of->control->probes;

	if (probes->under_way >= TRIES_MAX)
		wait_in_row(probes, p);
	else
		begin_try(p);
}

/* ---- writing ---- */

static int write_pod(struct txn *txn, const struct probed *d)
{
	const struct meta *meta = d->pod->meta;
	struct object *base = state_accepted(d->control->state, d->pod->kind, meta->ns, meta->name);
	_cleanup_(doc_freep) struct doc *doc = NULL;
	struct object *ret;
	char now[24];
	int r = 0, changed = 0;

	if (!base || strcmp(base->meta->uid, meta->uid) != 0)
		return 0;
	doc = object_doc(base);
	if (!doc)
		return -ENOMEM;
	for (size_t i = 0; i < d->n && r >= 0; i++) {
		const struct prober *p = &d->v[i];

		if (p->decided)
			r = pod_set_container_ready(doc, container_of(p, d->pod)->name, p->ready);
		changed |= r > 0;
	}
	if (r < 0 || !changed)
		return r;
	time_format(now_realtime_s(), now);
	r = pod_set_containers_ready(doc, now);
	if (r == 0)
		r = pod_set_ready(doc, base->pod->ready_by_user, now);
	return r < 0 ? r : txn_put(txn, base->kind, doc, base, &ret);
}

static bool needs_write(const struct probed *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (is_unwritten(&d->v[i]))
			return true;
	return false;
}

static void written(void *arg, int rc, const char *error)
{
	struct control *control = arg;

	if (rc == 0 || rc == -ESHUTDOWN)
		return;
	write_failed(control, "probe_write_failed", rc, error);
	loop_timer_set(control->probes->writer, RETRY_MS);
}

static void write_all(void *arg)
{
	struct control *control = arg;
	struct txn *txn = NULL;
	struct probed *d;
	size_t pos = 0, n = 0;
	int r = txn_new(control->state, &txn);

	while (r == 0 && n < BATCH_WRITES && (d = map_next(&control->probes->pods, &pos))) {
		if (!needs_write(d))
			continue;
		r = write_pod(txn, d);
		n++;
	}
	if (r < 0) {
		txn_drop(txn);
		loop_timer_set(control->probes->writer, RETRY_MS);
		return;
	}
	if (n == BATCH_WRITES)
		loop_timer_set(control->probes->writer, RETRY_MS / 100);
	txn_submit(txn, true, written, control);
}

/* ---- which pods ---- */

static void probed_free(struct probed *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i].waits)
			leave_row(d->control->probes, &d->v[i]);
		forget_try(&d->v[i]);
		loop_timer_free(d->v[i].timer);
		free(d->v[i].said);
	}
	object_unref(d->pod);
	free(d->v);
	free(d);
}

static void drop(struct probes *probes, const char *uid)
{
	struct probed *d = map_del(&probes->pods, uid);

	if (d)
		probed_free(d);
}

/* One whose network is there, and of whose containers with probes status says something. */
static bool is_probed(const struct control *control, const struct object *pod)
{
	const struct pod *p = pod->pod;
	size_t n = 0;

	if (!p->phase || strcmp(p->phase, "Running") != 0 || !p->node_name ||
	    strcmp(p->node_name, state_config(control->state)->node_name) != 0)
		return false;
	for (size_t i = 0; i < p->ncontainers; i++) {
		if (p->containers[i].readiness && !p->containers[i].readiness->known)
			return false;
		n += p->containers[i].readiness != NULL;
	}
	return n > 0;
}

/* What is left of initialDelaySeconds, by the time of day, which may have been set. */
static uint64_t first_try_us(const struct probe *probe, bool spread)
{
	int64_t delay = probe->delay_s, left = 0;
	uint64_t after, at_random = 0;

	if (delay && probe->started)
		left = probe->started + delay - now_realtime_s();
	else
		left = delay;
	left = left > delay ? delay : left < 0 ? 0 : left;
	after = (uint64_t)left * 1000000;
	if (spread && random_bytes(&at_random, sizeof(at_random)) == 0)
		at_random %= (uint64_t)probe->period_s * 1000000;
	return after > at_random ? after : at_random;
}

static int add_prober(struct probed *d, size_t container, bool spread)
{
	struct prober *p = &d->v[d->n];
	uint64_t after;
	int r;

	*p = (struct prober){ .of = d, .container = container };
	r = loop_timer_new(d->control->loop, due, p, &p->timer);
	if (r < 0)
		return r;
	d->n++;
	after = first_try_us(probe_of(p), spread);
	loop_timer_set(p->timer, (int64_t)((after + 999) / 1000));
	return 0;
}

/* Counting a version does not change what it says. */
static struct object *keep(const struct object *obj)
{
	return object_ref((struct object *)(uintptr_t)obj);
}

static void add(struct control *control, const struct object *pod, bool spread)
{
	struct probed *d = calloc(1, sizeof(*d));
	int r = d ? 0 : -ENOMEM;

	if (r == 0) {
		d->control = control;
		d->pod = keep(pod);
		d->v = calloc(pod->pod->ncontainers, sizeof(*d->v));
		r = d->v ? map_put(&control->probes->pods, d->pod->meta->uid, d) : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < pod->pod->ncontainers; i++)
		if (pod->pod->containers[i].readiness)
			r = add_prober(d, i, spread);
	if (r == 0)
		return;
	log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=probes");
	if (d && map_get(&control->probes->pods, pod->meta->uid) == d)
		map_del(&control->probes->pods, pod->meta->uid);
	if (d)
		probed_free(d);
}

/* The key of the map is the uid of the version that it was put with: it is put anew. */
static void renew(struct control *control, struct probed *d, const struct object *pod)
{
	struct object *was = d->pod;

	map_del(&control->probes->pods, was->meta->uid);
	d->pod = keep(pod);
	if (map_put(&control->probes->pods, d->pod->meta->uid, d) < 0) {
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=probes");
		probed_free(d);
	} else if (needs_write(d)) {
		write_soon(control);
	}
	object_unref(was);
}

void probes_changed(struct control *control, const struct object *old, const struct object *now)
{
	const struct object *any = now ? now : old;
	struct probed *d = map_get(&control->probes->pods, any->meta->uid);

	if (old && strcmp(old->meta->uid, any->meta->uid) != 0)
		drop(control->probes, old->meta->uid);
	if (!now || !is_probed(control, now))
		drop(control->probes, any->meta->uid);
	else if (!d)
		add(control, now, false);
	else
		renew(control, d, now);
}

static int start_one(void *arg, struct object *pod)
{
	if (is_probed(arg, pod))
		add(arg, pod, true);
	return 0;
}

void probes_start(struct control *control)
{
	state_each_here(control->state, &kinds[KIND_POD], start_one, control);
}

int probes_new(struct control *control)
{
	control->probes = calloc(1, sizeof(*control->probes));
	return control->probes ? loop_timer_new(control->loop, write_all, control,
						&control->probes->writer) : -ENOMEM;
}

void probes_free(struct probes *probes)
{
	struct probed *d;
	size_t pos = 0;

	if (!probes)
		return;
	while ((d = map_next(&probes->pods, &pos)))
		probed_free(d);
	map_fini(&probes->pods);
	loop_timer_free(probes->writer);
	free(probes);
}
