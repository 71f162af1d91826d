/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns_core.c - the columns of Pod, Node, Namespace and Event
 *
 * Room (codec): cells by path.  May include: netd/base, jansson.
 */
#include <ctype.h>
#include <inttypes.h>
#include <netd/codec/columns.h>
#include <stdio.h>

const struct column namespace_columns[] = {
	COLUMN_NAME,
	{ .name = "Status", .path = "status.phase", .absent = "",
	  .description = "Active, or Terminating while what is in it is being removed" },
	COLUMN_AGE,
	{ 0 }
};

/* Pod: what its containers say together. */
struct containers {
	int64_t restarts, ready;
	const char *reason;
	char made[32];              /* of the reason, where it is a number */
	bool running;
};

static void end_reason(struct containers *c, const json_t *terminated)
{
	int64_t sig = json_integer_value(json_object_get(terminated, "signal"));
	int64_t code = json_integer_value(json_object_get(terminated, "exitCode"));

	snprintf(c->made, sizeof(c->made), sig ? "Signal:%" PRId64 : "ExitCode:%" PRId64,
		 sig ? sig : code);
	c->reason = c->made;
}

static void add_container(struct containers *c, const json_t *status)
{
	const json_t *state = json_object_get(status, "state");
	const json_t *terminated = json_object_get(state, "terminated");
	const char *waits = find_text(json_object_get(state, "waiting"), "reason");
	const char *ended = find_text(terminated, "reason");

	c->restarts += json_integer_value(json_object_get(status, "restartCount"));
	if (waits) {
		c->reason = waits;
	} else if (ended) {
		c->reason = ended;
	} else if (terminated) {
		end_reason(c, terminated);
	} else if (json_is_true(json_object_get(status, "ready")) &&
		   json_object_get(state, "running")) {
		c->running = true;
		c->ready++;
	}
}

static void read_containers(const struct doc *doc, struct containers *c)
{
	const json_t *list = doc_at(doc, "status.containerStatuses");
	const char *said = doc_str(doc, "status.reason"), *ready;

	*c = (struct containers){ .reason = doc_str(doc, "status.phase") };
	if (said && *said)
		c->reason = said;
	for (size_t i = json_array_size(list); i--;)
		add_container(c, json_array_get(list, i));
	if (c->reason && strcmp(c->reason, "Completed") == 0 && c->running) {
		ready = find_condition(doc, "Ready");
		c->reason = ready && strcmp(ready, "True") == 0 ? "Running" : "NotReady";
	}
}

static void pod_ready(const struct doc *doc, struct buf *out)
{
	struct containers c;

	read_containers(doc, &c);
	buf_printf(out, "%" PRId64 "/%zu", c.ready, doc_len(doc, "spec.containers"));
}

static void pod_status(const struct doc *doc, struct buf *out)
{
	const char *said = doc_str(doc, "status.reason");
	struct containers c;

	read_containers(doc, &c);
	if (doc_has(doc, "metadata.deletionTimestamp"))
		c.reason = said && strcmp(said, "NodeLost") == 0 ? "Unknown" : "Terminating";
	buf_str(out, c.reason ? c.reason : "Unknown");
}

static void pod_restarts(const struct doc *doc, struct buf *out)
{
	struct containers c;

	read_containers(doc, &c);
	buf_printf(out, "%" PRId64, c.restarts);
}

static void pod_gates(const struct doc *doc, struct buf *out)
{
	const json_t *gates = doc_at(doc, "spec.readinessGates"), *gate;
	size_t i, open = 0;

	if (!json_array_size(gates)) {
		buf_str(out, "<none>");
		return;
	}
	json_array_foreach(gates, i, gate) {
		const char *type = find_text(gate, "conditionType");
		const char *status = type ? find_condition(doc, type) : NULL;

		open += status && strcmp(status, "True") == 0;
	}
	buf_printf(out, "%zu/%zu", open, json_array_size(gates));
}

const struct column pod_columns[] = {
	COLUMN_NAME,
	{ .name = "Ready", .cell = pod_ready,
	  .description = "Containers that run and are ready, of how many" },
	{ .name = "Status", .cell = pod_status, .description = "Phase, or why it is not running" },
	{ .name = "Restarts", .type = "integer", .cell = pod_restarts,
	  .description = "Restarts of its containers" },
	COLUMN_AGE,
	{ .name = "IP", .priority = 1, .path = "status.podIP", .description = "First address" },
	{ .name = "Node", .priority = 1, .path = "spec.nodeName", .description = "Where it is" },
	{ .name = "Nominated Node", .priority = 1, .path = "status.nominatedNodeName",
	  .description = "Where it may be soon" },
	{ .name = "Readiness Gates", .priority = 1, .cell = pod_gates,
	  .description = "Conditions that must hold before it is ready, and how many do" },
	{ 0 }
};

static void node_status(const struct doc *doc, struct buf *out)
{
	const char *ready = find_condition(doc, "Ready");

	buf_str(out, !ready ? "Unknown" : strcmp(ready, "True") == 0 ? "Ready" : "NotReady");
	if (doc_bool(doc, "spec.unschedulable", false))
		buf_str(out, ",SchedulingDisabled");
}

static void node_roles(const struct doc *doc, struct buf *out)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	const json_t *labels = doc_at(doc, "metadata.labels");
	struct cut_list list = { .out = out };
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)labels, key, v) {
		if (strncmp(key, prefix, sizeof(prefix) - 1) == 0 && key[sizeof(prefix) - 1])
			cut_list_add(&list, "%s", key + sizeof(prefix) - 1);
		else if (strcmp(key, "kubernetes.io/role") == 0 && json_string_length(v))
			cut_list_add(&list, "%s", json_string_value(v));
	}
	cut_list_end(&list, "<none>");
}

static void node_address(const struct doc *doc, const char *type, struct buf *out)
{
	const json_t *list = doc_at(doc, "status.addresses"), *v;
	size_t i;

	json_array_foreach(list, i, v) {
		const char *is = find_text(v, "type"), *address = find_text(v, "address");

		if (!is || !address || strcmp(is, type) != 0)
			continue;
		buf_str(out, address);
		return;
	}
	buf_str(out, "<none>");
}

static void node_internal(const struct doc *doc, struct buf *out)
{
	node_address(doc, "InternalIP", out);
}

static void node_external(const struct doc *doc, struct buf *out)
{
	node_address(doc, "ExternalIP", out);
}

const struct column node_columns[] = {
	COLUMN_NAME,
	{ .name = "Status", .cell = node_status, .description = "Condition Ready" },
	{ .name = "Roles", .cell = node_roles, .description = "From its labels" },
	COLUMN_AGE,
	{ .name = "Version", .path = "status.nodeInfo.kubeletVersion", .absent = "",
	  .description = "Of what runs the pods there" },
	{ .name = "Internal-IP", .priority = 1, .cell = node_internal,
	  .description = "First address inside" },
	{ .name = "External-IP", .priority = 1, .cell = node_external,
	  .description = "First address outside" },
	{ .name = "OS-Image", .priority = 1, .path = "status.nodeInfo.osImage",
	  .absent = "<unknown>", .description = "Its distribution" },
	{ .name = "Kernel-Version", .priority = 1, .path = "status.nodeInfo.kernelVersion",
	  .absent = "<unknown>", .description = "Its kernel" },
	{ .name = "Container-Runtime", .priority = 1, .absent = "<unknown>",
	  .path = "status.nodeInfo.containerRuntimeVersion", .description = "Its runtime" },
	{ 0 }
};

static const char *event_first_time(const struct doc *doc)
{
	const char *first = doc_str(doc, "firstTimestamp");

	return first ? first : doc_str(doc, "eventTime");
}

static void event_first(const struct doc *doc, struct buf *out)
{
	add_age(event_first_time(doc), out);
}

static void event_last(const struct doc *doc, struct buf *out)
{
	const char *last = doc_str(doc, "lastTimestamp");

	add_age(last ? last : event_first_time(doc), out);
}

static void event_object(const struct doc *doc, struct buf *out)
{
	const char *kind = doc_str(doc, "involvedObject.kind");
	const char *name = doc_str(doc, "involvedObject.name");

	for (; kind && *kind; kind++)
		buf_add(out, (char[]){ (char)tolower((unsigned char)*kind) }, 1);
	buf_printf(out, "/%s", name ? name : "");
}

static void event_source(const struct doc *doc, struct buf *out)
{
	const char *component = doc_str(doc, "source.component");
	const char *host = doc_str(doc, "source.host");

	if (!component)
		component = doc_str(doc, "reportingComponent");
	buf_printf(out, "%s%s%s", component ? component : "", host ? ", " : "", host ? host : "");
}

const struct column event_columns[] = {
	{ .name = "Last Seen", .cell = event_last, .description = "When it happened last" },
	{ .name = "Type", .path = "type", .absent = "", .description = "Normal or Warning" },
	{ .name = "Reason", .path = "reason", .absent = "", .description = "In one word" },
	{ .name = "Object", .cell = event_object, .description = "What it is about" },
	{ .name = "Subobject", .priority = 1, .path = "involvedObject.fieldPath", .absent = "",
	  .description = "Which part of it" },
	{ .name = "Source", .priority = 1, .cell = event_source, .description = "Who says so" },
	{ .name = "Message", .path = "message", .absent = "", .description = "In words" },
	{ .name = "First Seen", .priority = 1, .cell = event_first,
	  .description = "When it happened first" },
	{ .name = "Count", .type = "integer", .priority = 1, .path = "count", .absent = "0",
	  .description = "How often it happened" },
	{ .name = "Name", .format = "name", .priority = 1, .path = "metadata.name",
	  .description = "Name of the event" },
	{ 0 }
};
