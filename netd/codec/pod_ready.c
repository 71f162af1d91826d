/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod_ready.c - conditions ContainersReady and Ready of a pod
 *
 * Room (codec): as Kubernetes has it.  The containers are ready when each of them is and the network
 * is programmed; the pod is, when they are and every condition that spec.readinessGates names is there
 * and True.  Without gates and probes a client may say it instead.  That its node is not heard of makes
 * a pod that was Ready not so, with a reason by which its node knows what to take back.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/probe.h>
#include <stdio.h>

#define CONDITIONS "status.conditions"

static const json_t *find(const struct doc *doc, const char *type)
{
	return json_condition(doc_at(doc, CONDITIONS), type);
}

static const char *text_of(const json_t *condition, const char *member)
{
	return json_string_value(json_object_get(condition, member));
}

/* status of the condition @type, or NULL: there is none */
static const char *status_of(const struct doc *doc, const char *type)
{
	return text_of(find(doc, type), "status");
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

/* The same condition under another type. */
static int copy(struct doc *doc, const char *from, const char *to, const char *now)
{
	const json_t *c = find(doc, from);
	const char *status = text_of(c, "status"), *why = text_of(c, "reason");
	const char *words = text_of(c, "message");
	char reason[128], message[1024], was[16];

	snprintf(was, sizeof(was), "%s", status ? status : "False");
	snprintf(reason, sizeof(reason), "%s", why ? why : "");
	snprintf(message, sizeof(message), "%s", words ? words : "");
	return doc_set_condition(doc, CONDITIONS, to, was, why ? reason : NULL,
				 words ? message : NULL, now);
}

bool pod_container_is_probed(const struct doc *doc, size_t i)
{
	return probe_runs(json_array_get(doc_at(doc, "spec.containers"), i));
}

bool pod_is_probed(const struct doc *doc)
{
	size_t n = doc_len(doc, "spec.containers");

	for (size_t i = 0; i < n; i++)
		if (pod_container_is_probed(doc, i))
			return true;
	return false;
}

int pod_set_container_ready(struct doc *doc, const char *container, bool ready)
{
	json_t *status;
	size_t i;

	json_array_foreach(doc_at(doc, "status.containerStatuses"), i, status) {
		const char *name = json_string_value(json_object_get(status, "name"));

		if (!name || strcmp(name, container) != 0)
			continue;
		if (json_is_true(json_object_get(status, "ready")) == ready)
			return 0;
		return json_object_set_new(status, "ready", json_boolean(ready)) < 0 ? -ENOMEM : 1;
	}
	return 0;
}

/* A status that does not say is of a client who left it out. */
static bool is_unready(const struct doc *doc, const char *container)
{
	json_t *status;
	size_t i;

	json_array_foreach(doc_at(doc, "status.containerStatuses"), i, status) {
		const char *name = json_string_value(json_object_get(status, "name"));

		if (name && container && strcmp(name, container) == 0)
			return json_is_false(json_object_get(status, "ready"));
	}
	return true;
}

int pod_set_containers_ready(struct doc *doc, const char *now)
{
	static const char type[] = "ContainersReady";
	const char *network = status_of(doc, "NetworkReady");
	json_t *list = doc_at(doc, "spec.containers"), *container;
	char why[512] = "containers with unready status: [";
	size_t i, n = 0, at = strlen(why);
	int r;

	if (network && strcmp(network, "True") != 0)
		return copy(doc, "NetworkReady", type, now);
	json_array_foreach(list, i, container) {
		const char *name = json_string_value(json_object_get(container, "name"));

		if (is_unready(doc, name) && at < sizeof(why) - 80)
			at += (size_t)snprintf(why + at, sizeof(why) - at, "%s%.63s",
					       n++ ? " " : "", name ? name : "");
	}
	snprintf(why + at, sizeof(why) - at, "]");
	r = doc_set_condition(doc, CONDITIONS, type, n ? "False" : "True",
			      n ? "ContainersNotReady" : NULL, n ? why : NULL, now);
	return r < 0 ? r : 0;
}

int pod_set_ready(struct doc *doc, bool by_user, const char *now)
{
	const char *containers = status_of(doc, "ContainersReady"), *reason = NULL;
	char why[512] = "";
	int r;

	if (!doc_len(doc, "spec.readinessGates")) {
		if (by_user && !pod_is_probed(doc))
			return 0;
		r = copy(doc, "ContainersReady", "Ready", now);
		return r < 0 ? r : 1;
	}
	if (!containers || strcmp(containers, "True") != 0)
		reason = "ContainersNotReady";
	else if (closed_gate(doc, why))
		reason = "ReadinessGatesNotReady";
	r = doc_set_condition(doc, CONDITIONS, "Ready", reason ? "False" : "True", reason,
			      why[0] ? why : NULL, now);
	return r < 0 ? r : 1;
}

int pod_set_unheard(struct doc *doc, const char *now)
{
	const char *ready = status_of(doc, "Ready");

	if (!ready || strcmp(ready, "True") != 0)
		return 0;
	return doc_set_condition(doc, CONDITIONS, "Ready", "False", POD_UNHEARD,
				 "netd of the node is not heard of any more", now);
}

/* Only what was Ready is marked so: what a client had said was True. */
int pod_set_heard(struct doc *doc, bool by_user, const char *now)
{
	const char *reason = text_of(find(doc, "Ready"), "reason");
	int r;

	if (!reason || strcmp(reason, POD_UNHEARD) != 0)
		return 0;
	r = pod_set_ready(doc, by_user, now);
	return r ? r : doc_set_condition(doc, CONDITIONS, "Ready", "True", NULL, NULL, now);
}
