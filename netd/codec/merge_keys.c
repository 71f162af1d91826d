/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * merge_keys.c - which lists a strategic merge patch merges, and by what
 *
 * Room (codec): one flat table beside the kinds, API-CONTRACT 7.  The rules of Kubernetes' types
 * (patchMergeKey in k8s.io/api); NetworkPolicy, EndpointSlice, Endpoints and Event have none.
 */
#include <netd/codec/patch.h>

#define CONTAINER(list) \
	{ "Pod", "spec." list, "name" }, \
	{ "Pod", "spec." list ".ports", "containerPort" }, \
	{ "Pod", "spec." list ".env", "name" }, \
	{ "Pod", "spec." list ".volumeMounts", "mountPath" }, \
	{ "Pod", "spec." list ".volumeDevices", "devicePath" }

static const struct merge_rule rules[] = {
	{ "", "metadata.ownerReferences", "uid" },
	{ "", "metadata.finalizers", NULL },
	CONTAINER("containers"),
	CONTAINER("initContainers"),
	CONTAINER("ephemeralContainers"),
	{ "Pod", "spec.volumes", "name" },
	{ "Pod", "spec.imagePullSecrets", "name" },
	{ "Pod", "spec.hostAliases", "ip" },
	{ "Pod", "spec.topologySpreadConstraints", "topologyKey" },
	{ "Pod", "status.conditions", "type" },
	{ "Pod", "status.podIPs", "ip" },
	{ "Pod", "status.hostIPs", "ip" },
	{ "Service", "spec.ports", "port" },
	{ "Service", "status.conditions", "type" },
	{ "Node", "spec.podCIDRs", NULL },
	{ "Node", "status.conditions", "type" },
	{ "Node", "status.addresses", "type" },
	{ "Namespace", "status.conditions", "type" },
};

const struct merge_rule *merge_rule_find(const struct kind *kind, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].path, path) == 0 &&
		    (!*rules[i].kind || strcmp(rules[i].kind, kind->name) == 0))
			return &rules[i];
	return NULL;
}
