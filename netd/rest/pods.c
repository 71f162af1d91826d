/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pods.c - what creating and deleting a Pod does beyond the generic
 *
 * Room: rest.  A pod's addresses are claimed in the transaction that creates it, so status says
 * them from the first version on.  May include: codec, state, model, reconcile.h, netd/base.
 */
#include "internal.h"
#include <stdio.h>
#include <sys/socket.h>

#define FIELD_NETWORKS "metadata.annotations[podnet.dev/networks]"
#define FIELD_MAC      "metadata.annotations[podnet.dev/mac]"
#define FIELD_IPS      "metadata.annotations[podnet.dev/ips]"

static int prepare(struct call *c, struct doc *doc, const struct object *old)
{
	const char *node = old && old->pod->node_name ? old->pod->node_name
			   : state_config(c->rest->state)->node_name;
	const char *given = doc_str(doc, "spec.nodeName");

	if ((given && *given) || (!given && doc_has(doc, "spec.nodeName")))
		return 0;           /* also what is no string: the checks say so */
	return doc_set_str(doc, "spec.nodeName", node) == -ENOMEM ? -ENOMEM : 0;
}

/* Building status.networks and podIPs of one pod. */
struct admission {
	struct call *c;
	struct txn *txn;
	struct doc *doc;
	const struct pod *pod;
	const char *uid;
	size_t nnetworks;           /* the networks attached so far */
	size_t used_requests;
};

static const struct podnet_prefix *requested(struct admission *a, const char *network, int family)
{
	const char *first = a->pod->nnetworks ? a->pod->networks[0] : "default";

	for (size_t i = 0; i < a->pod->nip_requests; i++) {
		const struct pod_ip_request *q = &a->pod->ip_requests[i];

		if (q->ip.family == family && strcmp(q->network ? q->network : first, network) == 0)
			return &q->ip;
	}
	return NULL;
}

static int refuse_ip(struct admission *a, int r, const struct network *net,
		     const struct podnet_prefix *want)
{
	char text[PODNET_PREFIX_STRLEN];
	struct causes *causes = &a->c->refusal.causes;
	int64_t left = r == -EADDRINUSE && want ? state_cooling(a->c->rest->state, net->meta.name, want)
						: 0;

	if (left)               /* nothing is wrong with the wish: later it can be had */
		return refuse(a->c, 409, "Conflict", "Operation cannot be fulfilled on pods \"%s\": the "
			      "address %s was freed a moment ago and can be had again in %lld s",
			      a->c->name, podnet_prefix_format_addr(want, text), (long long)left);
	if (r == -EADDRINUSE && want)
		causes_add(causes, CAUSE_INVALID, FIELD_IPS, podnet_prefix_format_addr(want, text),
			   "the address is taken");
	else if (r == -EADDRNOTAVAIL && want)
		causes_add(causes, CAUSE_INVALID, FIELD_IPS, podnet_prefix_format_addr(want, text),
			   "the address is reserved: the first two of a block, and of IPv4 the last, "
			   "are the network's own");
	else if (r == -ERANGE && want)
		causes_add(causes, CAUSE_INVALID, FIELD_IPS, podnet_prefix_format_addr(want, text),
			   "not an address this node can give in network \"%s\"", net->meta.name);
	else if (r == -ENOSPC)
		return refuse(a->c, 503, "ServiceUnavailable", "no free address in network \"%s\"",
			      net->meta.name);
	else
		return refuse_memory(a->c);
	return refuse_causes(a->c);
}

static int set_at(struct doc *doc, const char *value, const char *fmt, size_t i, size_t k)
{
	char path[96];

	snprintf(path, sizeof(path), fmt, i, k);
	return doc_set_str(doc, path, value);
}

static int claim_ip(struct admission *a, const struct network *net, int family, size_t k)
{
	const struct podnet_prefix *want = requested(a, net->meta.name, family);
	char text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix ip;
	int r = txn_claim_ip(a->txn, net, family, want, a->uid, &ip);

	if (r < 0)
		return refuse_ip(a, r, net, want);
	a->used_requests += want != NULL;
	podnet_prefix_format_addr(&ip, text);
	r = set_at(a->doc, text, "status.networks[%zu].ips[%zu]", a->nnetworks, k);
	if (r == 0 && !a->nnetworks)
		r = set_at(a->doc, text, "status.podIPs[%zu].ip", k, 0);
	if (r == 0 && !a->nnetworks && !k)
		r = doc_set_str(a->doc, "status.podIP", text);
	return r < 0 ? refuse_memory(a->c) : 0;
}

static int describe(struct admission *a, const char *name, bool default_route)
{
	static const uint8_t none[6];
	size_t i = a->nnetworks;
	char text[64];
	int r = set_at(a->doc, name, "status.networks[%zu].name", i, 0);

	snprintf(text, sizeof(text), "eth%zu", i);
	if (r == 0)
		r = set_at(a->doc, text, "status.networks[%zu].interface", i, 0);
	snprintf(text, sizeof(text), "status.networks[%zu].defaultRoute", i);
	if (r == 0)
		r = doc_set_bool(a->doc, text, default_route);
	if (r == 0 && !i && memcmp(a->pod->mac, none, sizeof(none)) != 0)
		r = set_at(a->doc, podnet_mac_format(a->pod->mac, text), "status.networks[%zu].mac",
			   0, 0);
	return r < 0 ? refuse_memory(a->c) : 0;
}

/* Two links of one bridge with the same MAC address take each other's frames. */
struct twin {
	const char *network;
	const uint8_t *mac;
	const struct object *pod;
};

static int find_twin(void *arg, struct object *obj)
{
	struct twin *t = arg;

	for (size_t i = 0; i < obj->pod->nattached; i++)
		if (strcmp(obj->pod->attached[i].network, t->network) == 0 &&
		    memcmp(obj->pod->attached[i].mac, t->mac, 6) == 0)
			t->pod = obj;
	return t->pod != NULL;
}

static int check_mac(struct admission *a, const struct network *net)
{
	static const uint8_t none[6];
	struct twin t = { .network = net->meta.name, .mac = a->pod->mac };
	char text[PODNET_MAC_STRLEN];

	if (a->nnetworks || net->type != NETWORK_BRIDGE || !memcmp(t.mac, none, sizeof(none)))
		return 0;
	state_each_accepted(a->c->rest->state, &kinds[KIND_POD], NULL, find_twin, &t);
	if (!t.pod)
		return 0;
	causes_add(&a->c->refusal.causes, CAUSE_INVALID, FIELD_MAC,
		   podnet_mac_format(t.mac, text), "is the address of pod \"%s/%s\" in network "
		   "\"%s\"", t.pod->meta->ns, t.pod->meta->name, net->meta.name);
	return refuse_causes(a->c);
}

static int attach(struct admission *a, const char *name)
{
	const char *route = a->pod->default_route;
	const struct object *net = state_accepted(a->c->rest->state, &kinds[KIND_NETWORK], "", name);
	int r;

	if (!net) {
		causes_add(&a->c->refusal.causes, CAUSE_INVALID, FIELD_NETWORKS, name,
			   "there is no such Network");
		return refuse_causes(a->c);
	}
	r = check_mac(a, net->network);
	if (r < 0)
		return r;
	r = describe(a, name, route ? strcmp(route, name) == 0 : a->nnetworks == 0);
	for (size_t k = 0; r == 0 && k < net->network->ncidrs; k++)
		r = claim_ip(a, net->network, net->network->cidrs[k].family, k);
	a->nnetworks++;
	return r;
}

static int attach_all(struct admission *a)
{
	int r = 0;

	if (!a->pod->nnetworks)
		r = attach(a, "default");
	for (size_t i = 0; r == 0 && i < a->pod->nnetworks; i++)
		r = attach(a, a->pod->networks[i]);
	if (r < 0 || a->used_requests == a->pod->nip_requests)
		return r;
	causes_add(&a->c->refusal.causes, CAUSE_INVALID, FIELD_IPS,
		   doc_str(a->doc, "metadata.annotations[\"podnet.dev/ips\"]"),
		   "an address must be of a network of the pod, and one a family");
	return refuse_causes(a->c);
}

/* The addresses of the node; a hostNetwork pod has no others. */
static int host_ips(struct admission *a)
{
	const struct reconcile *rec = a->c->rest->reconcile;
	struct podnet_prefix ips[2];
	size_t n = rec ? reconcile_node_ips(rec, ips) : 0;
	char text[PODNET_PREFIX_STRLEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		podnet_prefix_format_addr(&ips[i], text);
		r = set_at(a->doc, text, "status.hostIPs[%zu].ip", i, 0);
		if (r == 0 && a->pod->host_network)
			r = set_at(a->doc, text, "status.podIPs[%zu].ip", i, 0);
		if (r == 0 && !i)
			r = doc_set_str(a->doc, "status.hostIP", text);
		if (r == 0 && !i && a->pod->host_network)
			r = doc_set_str(a->doc, "status.podIP", text);
	}
	return r < 0 ? refuse_memory(a->c) : 0;
}

static int first_status(struct doc *doc)
{
	char now[24];
	int r = doc_set_str(doc, "status.phase", "Pending");

	time_format(now_realtime_s(), now);
	if (r == 0)
		r = doc_set_str(doc, "status.qosClass", "BestEffort");
	if (r == 0)
		r = doc_set_condition(doc, "status.conditions", "PodScheduled", "True", NULL, NULL, now);
	return r < 0 ? r : 0;
}

static int admit(struct call *c, struct txn *txn, struct doc *doc)
{
	const char *here = state_config(c->rest->state)->node_name;
	struct admission a = { .c = c, .txn = txn, .doc = doc };
	int r = first_status(doc);

	if (r < 0)
		return refuse_memory(c);
	a.pod = kind_decode_doc(c->kind, doc, request_arena(c->req));
	a.uid = arena_strdup(request_arena(c->req), doc_str(doc, "metadata.uid"));
	if (!a.pod || !a.uid)
		return refuse_memory(c);
	if (strcmp(a.pod->node_name, here) != 0)    /* another node gives its addresses */
		return 0;
	r = host_ips(&a);
	if (r == 0 && !a.pod->host_network)
		r = attach_all(&a);
	return r;
}

/* Grace: what is asked for, else what the pod says, else none. */
static int retire(struct call *c, struct doc *doc, const struct object *obj, int64_t grace_s)
{
	int64_t now = now_realtime_s(), grace = grace_s >= 0 ? grace_s : obj->pod->grace_s;
	char text[24];
	int r;

	(void)c;
	if (grace <= 0)
		return 0;
	if (obj->meta->deleted && obj->meta->deleted <= now + grace)
		return 1;           /* it ends before that already */
	time_format(now + grace, text);
	r = doc_set_str(doc, "metadata.deletionTimestamp", text);
	if (r == 0)
		r = doc_set_int(doc, "metadata.deletionGracePeriodSeconds", grace);
	return r < 0 ? r : 1;
}

/* Index of a condition in @doc, or the length of the list. */
static size_t find_condition(const struct doc *doc, const char *type)
{
	size_t n = doc_len(doc, "status.conditions"), i;
	char path[48];

	for (i = 0; i < n; i++) {
		const char *t;

		snprintf(path, sizeof(path), "status.conditions[%zu].type", i);
		t = doc_str(doc, path);
		if (t && strcmp(t, type) == 0)
			break;
	}
	return i;
}

/* The conditions that the body leaves out stay: a merge patch of one would drop the others. */
static int keep_conditions(struct doc *doc, const struct doc *was, const struct pod *pod)
{
	char from[32], to[32];
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->nconditions; i++) {
		size_t n = doc_len(doc, "status.conditions");

		if (find_condition(doc, pod->conditions[i].type) < n)
			continue;
		snprintf(from, sizeof(from), "status.conditions[%zu]", i);
		snprintf(to, sizeof(to), "status.conditions[%zu]", n);
		r = doc_set_copy(doc, to, was, from);
	}
	return r;
}

static const char *ready_status(const struct doc *doc)
{
	char path[48];
	const char *status;

	snprintf(path, sizeof(path), "status.conditions[%zu].status", find_condition(doc, "Ready"));
	status = doc_str(doc, path);
	return status ? status : "";
}

/*
 * The addresses are the server's, for claims hang on them.  Whoever sets Ready has it: from then on
 * the server leaves that condition alone, but with readiness gates it follows from the others, and
 * with probes from these.
 */
static int keep_status(struct doc *doc, const struct object *old)
{
	static const char *const kept[] = {
		"status.networks", "status.podIP", "status.podIPs", "status.bootID",
		"status.readyByUser",
	};
	_cleanup_(doc_freep) struct doc *was = object_doc(old);
	bool taken = was && *ready_status(doc) &&
		     strcmp(ready_status(doc), ready_status(was)) != 0;
	bool probed = was && pod_is_probed(was);
	int r = was ? 0 : -ENOMEM;
	char now[24];

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kept); i++)
		r = doc_set_copy(doc, kept[i], was, kept[i]);
	if (r == 0)
		r = keep_conditions(doc, was, old->pod);
	if (r < 0)
		return r;
	time_format(now_realtime_s(), now);
	if (probed)
		r = doc_set_copy(doc, "status.containerStatuses", was, "status.containerStatuses");
	if (r == 0 && probed)
		r = pod_set_containers_ready(doc, now);
	if (r == 0)
		r = pod_set_ready(doc, true, now);
	return r == 0 && taken ? doc_set_bool(doc, "status.readyByUser", true) : r;
}

static void accepted(struct rest *rest, struct object *obj)
{
	if (rest->reconcile)
		reconcile_hint(rest->reconcile, obj);
}

const struct kind_hooks pod_hooks = {
	.prepare = prepare,
	.admit = admit,
	.keep_status = keep_status,
	.retire = retire,
	.accepted = accepted,
};
