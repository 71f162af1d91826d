/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slice_beta.c - discovery.k8s.io/v1beta1 EndpointSlice, stored as v1
 *
 * Room (codec): API-CONTRACT 12.  v1beta1 says in each endpoint's map `topology` what v1 says in
 * nodeName and zone; what else stands there v1 keeps in deprecatedTopology.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/rows.h>

static const struct {
	const char *member, *key;
} places[] = {
	{ "nodeName", "kubernetes.io/hostname" },
	{ "zone", "topology.kubernetes.io/zone" },
};

/* One endpoint from v1beta1 to v1; 0 or -1: no memory. */
static int endpoint_in(json_t *endpoint)
{
	json_t *topology = json_object_get(endpoint, "topology");
	int r = 0;

	if (!json_is_object(topology))
		return 0;               /* of another type: the check of v1 does not know it */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++) {
		json_t *value = json_object_get(topology, places[i].key);

		if (value && !json_object_get(endpoint, places[i].member))
			r = json_object_set(endpoint, places[i].member, value);
		json_object_del(topology, places[i].key);
	}
	if (r == 0 && json_object_size(topology))
		r = json_object_set(endpoint, "deprecatedTopology", topology);
	json_object_del(endpoint, "topology");
	return r;
}

static int endpoint_out(json_t *endpoint)
{
	json_t *rest = json_object_get(endpoint, "deprecatedTopology");
	json_t *topology = json_is_object(rest) ? json_clone(rest) : json_object();
	int r = topology ? 0 : -1;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++) {
		json_t *value = json_object_get(endpoint, places[i].member);

		if (value)
			r = json_object_set(topology, places[i].key, value);
	}
	if (r == 0 && json_object_size(topology))
		r = json_object_set(endpoint, "topology", topology);
	json_decref(topology);
	json_object_del(endpoint, "deprecatedTopology");
	json_object_del(endpoint, "zone");      /* nodeName v1beta1 has as well */
	return r;
}

static int each_endpoint(struct doc *doc, int (*change)(json_t *endpoint))
{
	json_t *endpoint;
	size_t i;

	json_array_foreach(doc_at(doc, "endpoints"), i, endpoint)
		if (json_is_object(endpoint) && change(endpoint) < 0)
			return -ENOMEM;
	return 0;
}

int slice_beta_in(struct doc *doc)
{
	return each_endpoint(doc, endpoint_in);
}

int slice_beta_out(struct doc *doc)
{
	return each_endpoint(doc, endpoint_out);
}
