/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_annotations.c - any lines as the annotations of a pod: networks, addresses, bandwidth ...
 *
 * What the check lets pass means what it says: as many networks and addresses as are named, each
 * address of one of the networks, and limits in their range.
 */
#include "json.h"

static const char pod[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\","
	"\"namespace\":\"d\",\"uid\":\"u\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}";

static const char *const keys[] = {
	"podnet.dev/networks", "podnet.dev/default-route", "podnet.dev/ips", "podnet.dev/mac",
	"podnet.dev/netns", "podnet.dev/origin", "kubernetes.io/ingress-bandwidth",
	"kubernetes.io/egress-bandwidth", "podnet.dev/ports",
};

static size_t count(const char *text)
{
	size_t n = text && *text ? 1 : 0;

	for (; n && *text; text++)
		n += *text == ',';
	return n;
}

static bool has_network(const struct pod *p, const char *name)
{
	for (size_t i = 0; i < p->nnetworks; i++)
		if (strcmp(p->networks[i], name) == 0)
			return true;
	return !p->nnetworks && strcmp(name, "default") == 0;
}

static void check_meaning(const struct pod *p)
{
	must(p->nnetworks == count(meta_annotation(&p->meta, keys[0])) && p->nnetworks <= 16);
	must(p->nip_requests == count(meta_annotation(&p->meta, keys[2])));
	must(p->nports == count(meta_annotation(&p->meta, keys[8])) && p->nports <= 64);
	for (size_t i = 0; i < p->nports; i++)
		must(p->ports[i].first && p->ports[i].first <= p->ports[i].last && p->ports[i].to &&
		     p->ports[i].to + p->ports[i].last - p->ports[i].first <= 65535);
	must(!p->default_route || has_network(p, p->default_route));
	for (size_t i = 0; i < p->nip_requests; i++)
		must(p->ip_requests[i].ip.family &&
		     (!p->ip_requests[i].network || has_network(p, p->ip_requests[i].network)));
	must(!meta_annotation(&p->meta, keys[6]) || p->ingress_bps >= 1000);
	must(!meta_annotation(&p->meta, keys[7]) || p->egress_bps >= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = fuzz_parse(pod, sizeof(pod) - 1);
	const struct kind *kind = &kinds[KIND_POD];
	const char *rest = (const char *)data;
	struct causes causes = { 0 };
	struct arena arena = { 0 };
	struct pod *model;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = fuzz_line(&rest, &size, &arena);
		char path[96];

		snprintf(path, sizeof(path), "metadata.annotations[\"%s\"]", keys[i]);
		if (value && *value)
			must(doc_set_str(doc, path, value) == 0);
	}
	must(kind->defaults(doc) == 0);
	kind_check(kind, doc, NULL, &causes);
	model = kind_decode_doc(kind, doc, &arena);
	must(model && !causes.failed);
	if (!causes.n)
		check_meaning(model);
	causes_fini(&causes);
	arena_fini(&arena);
	return 0;
}
