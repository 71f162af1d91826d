/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod_ready.c - Ready of a pod that has readiness gates
 *
 * Room (codec): as Kubernetes has it: the containers are ready, and every condition that
 * spec.readinessGates names is there and True.  May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/kind.h>
#include <stdio.h>

/* status of the condition @type, or NULL: there is none */
static const char *status_of(const struct doc *doc, const char *type)
{
	json_t *list = doc_at(doc, "status.conditions"), *c;
	size_t i;

	json_array_foreach(list, i, c) {
		const char *name = json_string_value(json_object_get(c, "type"));

		if (name && strcmp(name, type) == 0)
			return json_string_value(json_object_get(c, "status"));
	}
	return NULL;
}

/* The first gate that is closed, in Kubernetes' words; false: all are open. */
static bool closed_gate(const struct doc *doc, char why[512])
{
	json_t *gates = doc_at(doc, "spec.readinessGates"), *gate;
	size_t i;

	json_array_foreach(gates, i, gate) {
		const char *type = json_string_value(json_object_get(gate, "conditionType"));
		const char *status = type ? status_of(doc, type) : "True";

		if (status && strcmp(status, "True") == 0)
			continue;
		if (status)
			snprintf(why, 512, "the status of pod readiness gate \"%.317s\" is not "
				 "\"True\", but %.20s", type, status);
		else
			snprintf(why, 512, "corresponding condition of pod readiness gate "
				 "\"%.317s\" does not exist.", type);
		return true;
	}
	return false;
}

int pod_gate_ready(struct doc *doc, const char *now)
{
	const char *containers = status_of(doc, "ContainersReady"), *reason = NULL;
	char why[512] = "";
	int r;

	if (!doc_len(doc, "spec.readinessGates"))
		return 0;
	if (!containers || strcmp(containers, "True") != 0)
		reason = "ContainersNotReady";
	else if (closed_gate(doc, why))
		reason = "ReadinessGatesNotReady";
	r = doc_set_condition(doc, "status.conditions", "Ready", reason ? "False" : "True", reason,
			      why[0] ? why : NULL, now);
	return r < 0 ? r : 1;
}
