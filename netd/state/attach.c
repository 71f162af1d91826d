/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attach.c - a pod's networks and addresses in a transaction
 *
 * Room: state.  They are claimed in the transaction that says so in status.networks and podIPs: with
 * the pod itself where its node makes it, and as soon as its node sees it where another one did.
 * May include: codec, model, store.h, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <stdio.h>

#define FIELD_NETWORKS "metadata.annotations[podnet.dev/networks]"
#define FIELD_MAC      "metadata.annotations[podnet.dev/mac]"
#define FIELD_IPS      "metadata.annotations[podnet.dev/ips]"

/** Building status.networks and podIPs of one pod. */
struct attaching {
	struct txn *txn;
	struct doc *doc;
	const struct pod *pod;
	struct attach_fault *fault;
	size_t nnetworks;           /* the networks attached so far */
	size_t used_requests;
};

static int fault(struct attaching *a, int rc, const char *field, const char *value,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static int fault(struct attaching *a, int rc, const char *field, const char *value,
		 const char *fmt, ...)
{
	struct attach_fault *f = a->fault;
	va_list ap;

	f->rc = rc;
	f->field = field;
	snprintf(f->value, sizeof(f->value), "%s", value ? value : "");
	va_start(ap, fmt);
	vsnprintf(f->words, sizeof(f->words), fmt, ap);
	va_end(ap);
	return rc;
}

static int no_memory(struct attaching *a)
{
	return fault(a, -ENOMEM, "", "", "out of memory");
}

static const struct podnet_prefix *requested(struct attaching *a, const char *network, int family)
{
	const char *first = a->pod->nnetworks ? a->pod->networks[0] : "default";

	for (size_t i = 0; i < a->pod->nip_requests; i++) {
		const struct pod_ip_request *q = &a->pod->ip_requests[i];

		if (q->ip.family == family && strcmp(q->network ? q->network : first, network) == 0)
			return &q->ip;
	}
	return NULL;
}

static int fault_ip(struct attaching *a, int r, const struct network *net,
		    const struct podnet_prefix *want)
{
	char text[PODNET_PREFIX_STRLEN];

	snprintf(a->fault->network, sizeof(a->fault->network), "%s", net->meta.name);
	if (want)
		a->fault->ip = *want;
	if (r == -EADDRINUSE && want)
		return fault(a, r, FIELD_IPS, podnet_prefix_format_addr(want, text),
			     "the address is taken");
	if (r == -EADDRNOTAVAIL && want)
		return fault(a, r, FIELD_IPS, podnet_prefix_format_addr(want, text),
			     "the address is reserved: the first two of a block, and of IPv4 the last, "
			     "are the network's own");
	if (r == -ERANGE && want)
		return fault(a, r, FIELD_IPS, podnet_prefix_format_addr(want, text),
			     "not an address this node can give in network \"%s\"", net->meta.name);
	if (r == -ENOSPC)
		return fault(a, r, "", "", "no free address in network \"%s\"", net->meta.name);
	return no_memory(a);
}

static int set_at(struct doc *doc, const char *value, const char *fmt, size_t i, size_t k)
{
	char path[96];

	snprintf(path, sizeof(path), fmt, i, k);
	return doc_set_str(doc, path, value);
}

static int claim_ip(struct attaching *a, const struct network *net, int family, size_t k)
{
	const struct podnet_prefix *want = requested(a, net->meta.name, family);
	char text[PODNET_PREFIX_STRLEN];
	struct podnet_prefix ip;
	int r = txn_claim_ip(a->txn, net, family, want, a->pod->meta.uid, &ip);

	if (r < 0)
		return fault_ip(a, r, net, want);
	a->used_requests += want != NULL;
	podnet_prefix_format_addr(&ip, text);
	r = set_at(a->doc, text, "status.networks[%zu].ips[%zu]", a->nnetworks, k);
	if (r == 0 && !a->nnetworks)
		r = set_at(a->doc, text, "status.podIPs[%zu].ip", k, 0);
	if (r == 0 && !a->nnetworks && !k)
		r = doc_set_str(a->doc, "status.podIP", text);
	return r < 0 ? no_memory(a) : 0;
}

static int describe(struct attaching *a, const char *name, bool default_route)
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
	return r < 0 ? no_memory(a) : 0;
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

static int check_mac(struct attaching *a, const struct network *net)
{
	static const uint8_t none[6];
	struct twin t = { .network = net->meta.name, .mac = a->pod->mac };
	char text[PODNET_MAC_STRLEN];

	if (a->nnetworks || net->type != NETWORK_BRIDGE || !memcmp(t.mac, none, sizeof(none)))
		return 0;
	state_each_accepted(a->txn->state, &kinds[KIND_POD], NULL, find_twin, &t);
	if (!t.pod)
		return 0;
	return fault(a, -EINVAL, FIELD_MAC, podnet_mac_format(t.mac, text), "is the address of pod "
		     "\"%.63s/%.150s\" in network \"%.150s\"", t.pod->meta->ns, t.pod->meta->name,
		     net->meta.name);
}

static int attach(struct attaching *a, const char *name)
{
	const char *route = a->pod->default_route;
	const struct object *net = state_accepted(a->txn->state, &kinds[KIND_NETWORK], "", name);
	int r;

	if (!net)
		return fault(a, -EINVAL, FIELD_NETWORKS, name, "there is no such Network");
	r = check_mac(a, net->network);
	if (r < 0)
		return r;
	r = describe(a, name, route ? strcmp(route, name) == 0 : a->nnetworks == 0);
	for (size_t k = 0; r == 0 && k < net->network->ncidrs; k++)
		r = claim_ip(a, net->network, net->network->cidrs[k].family, k);
	a->nnetworks++;
	return r;
}

int txn_attach_pod(struct txn *txn, struct doc *doc, const struct pod *pod,
		   struct attach_fault *ret)
{
	struct attaching a = { .txn = txn, .doc = doc, .pod = pod, .fault = ret };
	int r = 0;

	if (!pod->nnetworks)
		r = attach(&a, "default");
	for (size_t i = 0; r == 0 && i < pod->nnetworks; i++)
		r = attach(&a, pod->networks[i]);
	if (r < 0 || a.used_requests == pod->nip_requests)
		return r;
	return fault(&a, -EINVAL, FIELD_IPS, doc_str(doc, "metadata.annotations[\"podnet.dev/ips\"]"),
		     "an address must be of a network of the pod, and one a family");
}
