/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.c - published ports of pods, and the node ports of Services, held on this node
 *
 * Room: reconcile.
 *
 * Each place where a pod publishes is held first and programmed then, so that a port which another
 * process or another pod has is not taken from it; the pod's condition podnet.dev/PortsPublished
 * says so and names who has it, and it is tried again when that one goes.  A node port is
 * Kubernetes' to give, so it is programmed all the same, with a warning.  Pods that had their ports
 * when netd ended have them when it starts: their condition is what tells, so they are looked at
 * before those that had not.
 */
#include "services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netd/base/log.h>
#include <netinet/in.h>
#include <stdio.h>

#define CONDITION   "podnet.dev/PortsPublished"
#define HELD_MAX    1024            /* ports of a range beyond which none of it is kept or relayed */

static bool is_unpublished(const struct pod *pod)
{
	for (size_t i = 0; i < pod->nconditions; i++)
		if (pod->conditions[i].type && strcmp(pod->conditions[i].type, CONDITION) == 0)
			return strcmp(pod->conditions[i].status, "False") == 0;
	return false;
}

/* What has ended publishes nothing any more (Kubernetes frees its ports as well). */
static bool publishes(const struct reconcile *rec, const struct object *obj)
{
	const struct pod *pod = obj->pod;

	if (!pod->nports || !scope_is_ours(rec, obj))
		return false;
	return !pod->phase || (strcmp(pod->phase, "Succeeded") != 0 && strcmp(pod->phase, "Failed") != 0);
}

static bool same_place(const struct object *a, const struct object *b)
{
	const struct pod *x = a->pod, *y = b->pod;

	if (strcmp(a->meta->uid, b->meta->uid) != 0 || !x->nattached != !y->nattached)
		return false;
	return !x->nattached || memcmp(x->attached[0].ips, y->attached[0].ips,
				       sizeof(x->attached[0].ips)) == 0;
}

void ports_note(struct reconcile *rec, struct object *old, struct object *now)
{
	const struct object *any = now ? now : old;
	bool wanted = now && publishes(rec, now), news;
	struct services *s = rec->services;
	struct svc *svc;
	char key[560];

	if (!(old && old->pod->nports) && !(now && now->pod->nports))
		return;
	snprintf(key, sizeof(key), "pod:%s/%s", any->meta->ns, any->meta->name);
	svc = map_get(&s->by_name, key);
	if (!svc && wanted)
		svc = services_get(s, key);
	if (!svc)
		return;
	news = !wanted || !svc->pod || !same_place(svc->pod, now);
	object_unref(svc->pod);
	svc->pod = wanted ? object_ref(now) : NULL;
	if (news)
		services_mark(s, svc);
}

struct beginning {
	struct reconcile *rec;
	bool published;
};

static int begin_pod(void *arg, struct object *obj)
{
	const struct beginning *b = arg;

	if (obj->pod->nports && is_unpublished(obj->pod) != b->published)
		ports_note(b->rec, NULL, obj);
	return 0;
}

void ports_begin_pods(struct reconcile *rec, bool published)
{
	struct beginning b = { rec, published };

	state_each_here(rec->conf.state, &kinds[KIND_POD], begin_pod, &b);
}

bool ports_needed(const struct services *s)
{
	const struct svc *svc;
	size_t pos = 0;

	while ((svc = map_next(&s->by_name, &pos)))
		if (svc->pod || (svc->service && svc->service->service->type >= SERVICE_NODE_PORT &&
				 compile_service_is_proxied(svc->service->service)))
			return true;
	return false;
}

/* ---- what could not be ---- */

static void refuse(struct making *m, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct making *m, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (m->reason)
		return;
	m->reason = reason;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "TCP" : protocol == IPPROTO_UDP ? "UDP" : "SCTP";
}

/* "port 80/TCP of 10.0.0.10" */
static const char *words(const struct podnet_prefix *at, uint16_t port, uint8_t protocol, char buf[96])
{
	char ip[PODNET_PREFIX_STRLEN];

	snprintf(buf, 96, "port %u/%s of %s", port, protocol_name(protocol),
		 podnet_prefix_format_addr(at, ip));
	return buf;
}

static void refuse_other(struct making *m, const struct podnet_prefix *at, uint16_t port,
			 uint8_t protocol, const struct svc *other)
{
	char text[96], who[600];

	refuse(m, "HostPortConflict", "%s is published by %.120s already",
	       words(at, port, protocol, text), services_who(other, who));
}

static void refuse_error(struct making *m, const struct podnet_prefix *at, uint16_t port,
			 uint8_t protocol, int why)
{
	char text[96];

	if (why == -EADDRINUSE)
		refuse(m, "HostPortInUse", "%s is in use by another process",
		       words(at, port, protocol, text));
	else
		refuse(m, "HostPortFailed", "%s: %s", words(at, port, protocol, text), strerror(-why));
}

/* ---- holding ---- */

static struct fwd_addr address(const struct podnet_prefix *ip, uint8_t protocol, uint32_t port)
{
	struct fwd_addr a = { .family = ip->family, .protocol = protocol, .port_be = htons((uint16_t)port) };

	memcpy(a.addr, ip->addr, sizeof(a.addr));
	return a;
}


/* 0; 1: one could not be, see the refusal; -ENOMEM */
static int hold_place(struct making *m, const struct compile_port *p)
{
	struct ports *ports = m->rec->services->ports;
	int first_rc = 0;

	if (p->last - p->first >= HELD_MAX) {
		struct fwd_addr at = address(&p->at, p->protocol, p->first);

		return ports_claim(ports, &m->svc->holds, m->svc, &at, p->last);
	}
	for (uint32_t port = p->first; port <= p->last; port++) {
		struct fwd_addr at = address(&p->at, p->protocol, port), to = { .family = 0 };
		int r;

		if (p->relayed)
			to = address(&p->to, p->protocol, p->to_port + port - p->first);
		r = ports_put(ports, &m->svc->holds, m->svc, &at, &to, p->protocol != IPPROTO_SCTP);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && !first_rc) {
			refuse_error(m, &p->at, (uint16_t)port, p->protocol, r);
			first_rc = 1;
		}
	}
	return first_rc;
}

static int on_frontend(void *arg, const struct podnet_frontend *f)
{
	struct making *m = arg;
	struct svc *other = NULL;
	int r = services_front(m, f, &other);

	if (r > 0)
		refuse_other(m, &f->ip, f->port, f->protocol, other);
	return r < 0 ? r : 0;
}

static int on_place(void *arg, const struct compile_port *p)
{
	struct making *m = arg;
	struct fwd_addr at = address(&p->at, p->protocol, p->first);
	struct svc *other;
	char text[96];
	int r;

	if (p->why) {
		refuse(m, "HostAddressMissing", "%s: it %s",
		       words(&p->at, p->first, p->protocol, text), p->why);
		return 0;
	}
	other = ports_other(m->rec->services->ports, &m->svc->holds, &at, p->last);
	if (other) {
		services_wait(m);
		refuse_other(m, &p->at, p->first, p->protocol, other);
		return 0;
	}
	r = hold_place(m, p);
	if (r != 0)
		return r < 0 ? r : 0;
	return compile_port_frontends(p, on_frontend, m);
}

int ports_compile(struct making *m)
{
	struct compile_ports in = { .each = on_place, .arg = m };

	in.naddresses = reconcile_node_addresses(m->rec, &in.addresses);
	return compile_ports(&in, m->svc->pod->pod);
}

/* ---- node ports ---- */

static void warn_in_use(struct making *m, const struct podnet_prefix *at, uint16_t port,
			uint8_t protocol, int why)
{
	char text[96];

	m->in_use = true;
	if (m->svc->warned)
		return;
	m->svc->warned = true;
	control_event(m->rec->conf.control, m->svc->service, "Warning", "NodePortInUse",
		      "%s: %s; what comes to it goes to the Service all the same",
		      words(at, port, protocol, text),
		      why == -EADDRINUSE ? "another process listens there" : strerror(-why));
}

/* Where a node port is held: on the node's address, and on the loopback, which is relayed there. */
static size_t node_places(const struct making *m, const struct podnet_frontend *f,
			  struct podnet_prefix ret[3])
{
	static const struct podnet_prefix loopbacks[] = {
		{ AF_INET, 32, { 127, 0, 0, 1 } }, { AF_INET6, 128, { [15] = 1 } },
	};
	bool single = m->svc->service->service->ncluster_ips == 1;
	size_t n = 0;

	for (size_t i = 0; i < m->rec->nips; i++)
		if (m->rec->ips[i].family == f->ip.family)
			ret[n++] = m->rec->ips[i];
	for (size_t i = 0; n && i < 2; i++)
		if (single || loopbacks[i].family == f->ip.family)
			ret[n++] = loopbacks[i];
	return n;
}

static bool serves_node(const struct podnet_frontend *f)
{
	for (size_t i = 0; i < f->nendpoints; i++)
		if (!f->endpoints[i].leaving && !f->endpoints[i].outside_only)
			return true;
	return false;
}

/*
 * The relay accepts before it knows that nobody serves.  So without endpoints the kernel refuses in
 * its stead: a frontend there, which has none.
 */
static int refuse_relayed(struct making *m, const struct podnet_frontend *f, const struct podnet_prefix *at)
{
	const struct podnet_frontend nobody = { .ip = *at, .protocol = f->protocol, .port = f->port };
	struct svc *other;
	int r;

	if (m->rec->conf.fwd_mode == PORTS_NO || f->protocol == IPPROTO_SCTP || serves_node(f))
		return 0;
	r = services_front(m, &nobody, &other);
	return r < 0 ? r : 0;
}

int ports_node_port(struct making *m, const struct podnet_frontend *f, struct svc **other)
{
	struct ports *ports = m->rec->services->ports;
	struct podnet_prefix v[3];
	size_t n = node_places(m, f, v);

	for (size_t i = 0; i < n; i++) {
		struct fwd_addr at = address(&v[i], f->protocol, f->port);

		*other = ports_other(ports, &m->svc->holds, &at, f->port);
		if (!*other)
			continue;
		services_wait(m);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		struct fwd_addr at = address(&v[i], f->protocol, f->port), to = { .family = 0 };
		int r;

		if (i)
			to = address(&v[0], f->protocol, f->port);
		r = ports_put(ports, &m->svc->holds, m->svc, &at, &to, f->protocol != IPPROTO_SCTP);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			warn_in_use(m, &v[i], f->port, f->protocol, r);
		else if (i && refuse_relayed(m, f, &v[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- telling ---- */

/* 1: it said something else before; 0; -ENOMEM */
static int put_condition(struct reconcile *rec, const struct port_outcome *o)
{
	const struct meta *meta = o->pod->meta;
	struct state *state = rec->conf.state;
	struct object *base = state_accepted(state, &kinds[KIND_POD], meta->ns, meta->name), *ret;
	_cleanup_(txn_dropp) struct txn *txn = NULL;
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char now[24];
	int r;

	if (!base || strcmp(base->meta->uid, meta->uid) != 0)
		return 0;               /* it goes, or went */
	doc = object_doc(base);
	if (!doc)
		return -ENOMEM;
	time_format(now_realtime_s(), now);
	r = doc_set_condition(doc, "status.conditions", CONDITION, o->reason ? "False" : "True",
			      o->reason ? o->reason : "Published", o->reason ? o->why : NULL, now);
	if (r <= 0)
		return r;
	r = txn_new(state, &txn);
	if (r == 0)
		r = txn_put(txn, &kinds[KIND_POD], doc, base, &ret);
	if (r < 0)
		return r;
	txn_submit(take_ptr(txn), true, rewrite_written, rec);
	return 1;
}

static void tell(struct reconcile *rec, const struct port_outcome *o)
{
	char quoted[600];

	if (put_condition(rec, o) <= 0 || !o->reason)
		return;
	log_event(LOG_LEVEL_WARNING, "port_not_published", "pod=%s/%s reason=%s err=%s",
		  o->pod->meta->ns, o->pod->meta->name, o->reason,
		  log_quote(o->why, quoted, sizeof(quoted)));
	control_event(rec->conf.control, o->pod, "Warning", o->reason, "%s", o->why);
}

/* In order: one that is compiled twice is as it was found last. */
int ports_outcome(struct making *m)
{
	struct services *s = m->rec->services;
	struct port_outcome *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->pod = object_ref(m->svc->pod);
	o->reason = m->reason;
	memcpy(o->why, m->why, sizeof(o->why));
	if (s->outcomes)
		s->last_outcome->next = o;
	else
		s->outcomes = o;
	s->last_outcome = o;
	return 0;
}

void ports_tell(struct reconcile *rec, struct services *s)
{
	while (s->outcomes) {
		struct port_outcome *o = s->outcomes;

		s->outcomes = o->next;
		if (rec)
			tell(rec, o);
		object_unref(o->pod);
		free(o);
	}
}

/* ---- what the ports room says ---- */

static void on_changed(void *arg, void *owner)
{
	const struct reconcile *rec = arg;

	services_mark(rec->services, owner);
}

static void on_settled(void *arg)
{
	services_send(arg);
}

int ports_start(struct reconcile *rec)
{
	const struct ports_config conf = {
		.loop = rec->conf.loop, .mode = rec->conf.fwd_mode, .socket = rec->conf.fwd_socket,
		.starter = rec->conf.fwd_starter, .changed = on_changed, .settled = on_settled,
		.tunnel_changed = carry_changed, .fastpath = rec->conf.udp_fastpath,
		.arg = rec,
	};

	return ports_new(&conf, &rec->services->ports);
}

void ports_moved(struct reconcile *rec)
{
	struct svc *svc;
	size_t pos = 0;

	while ((svc = map_next(&rec->services->by_name, &pos)))
		if (svc->pod || svc->holds.first)
			services_mark(rec->services, svc);
	services_send(rec);
}
