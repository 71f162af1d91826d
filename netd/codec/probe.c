/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.c - the probes of a container: their tables, defaults and rules
 *
 * Room (codec): as Kubernetes has them (k8s.io/api core/v1 Probe, validateProbe()).  netd runs readiness
 * probes by TCP and HTTP; all others are kept.  May include: model, netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/ports.h>
#include <netd/codec/probe.h>
#include <stdio.h>

#define HEADER_CHARS "-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char *const schemes[] = { "HTTP", "HTTPS", NULL };
static const char *const kinds_of_probe[] = { "livenessProbe", "readinessProbe", "startupProbe" };

static const struct field header_fields[] = {
	{ .name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_STORED,
	  AT(probe_header, name) },
	{ .name = "value", .type = FIELD_STRING, .flags = FIELD_STORED, AT(probe_header, value) },
	{ 0 }
};

static const struct field http_fields[] = {
	{ .name = "path", .type = FIELD_STRING, .flags = FIELD_STORED, AT(probe, path) },
	{ .name = "port", .type = FIELD_PORT_REF, .min = 1, .max = 65535,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(probe, port) },
	{ .name = "host", .type = FIELD_STRING, .flags = FIELD_STORED, AT(probe, host) },
	{ .name = "scheme", .type = FIELD_ENUM, .values = schemes },
	{ .name = "httpHeaders", .type = FIELD_LIST, .elem = FIELD_OBJECT, .sub = header_fields,
	  .flags = FIELD_STORED | FIELD_COUNTED, LIST_AT(probe, headers, nheaders) },
	{ 0 }
};

static const struct field tcp_fields[] = {
	{ .name = "port", .type = FIELD_PORT_REF, .min = 1, .max = 65535,
	  .flags = FIELD_REQUIRED | FIELD_STORED, AT(probe, port) },
	{ .name = "host", .type = FIELD_STRING, .flags = FIELD_STORED, AT(probe, host) },
	{ 0 }
};

static const struct field exec_fields[] = {
	{ .name = "command", .type = FIELD_LIST, .elem = FIELD_STRING, .min = 1,
	  .flags = FIELD_REQUIRED },
	{ 0 }
};

static const struct field grpc_fields[] = {
	{ .name = "port", .type = FIELD_INT, .min = 1, .max = 65535, .flags = FIELD_REQUIRED },
	{ .name = "service", .type = FIELD_STRING },
	{ 0 }
};

#define SECONDS .type = FIELD_INT, .min = 0, .max = INT32_MAX, .flags = FIELD_STORED

const struct field probe_fields[] = {
	{ .name = "exec", .type = FIELD_OBJECT, .sub = exec_fields },
	{ .name = "httpGet", .type = FIELD_OBJECT, .sub = http_fields },
	{ .name = "tcpSocket", .type = FIELD_OBJECT, .sub = tcp_fields },
	{ .name = "grpc", .type = FIELD_OBJECT, .sub = grpc_fields },
	{ .name = "initialDelaySeconds", SECONDS, AT(probe, delay_s) },
	{ .name = "timeoutSeconds", SECONDS, AT(probe, timeout_s) },
	{ .name = "periodSeconds", SECONDS, AT(probe, period_s) },
	{ .name = "successThreshold", SECONDS, AT(probe, successes) },
	{ .name = "failureThreshold", SECONDS, AT(probe, failures) },
	{ .name = "terminationGracePeriodSeconds", .type = FIELD_INT, .min = 1, .max = INT32_MAX },
	{ 0 }
};

/* ---- defaults ---- */

static int default_probe(json_t *probe)
{
	static const struct {
		const char *name;
		int value;
	} numbers[] = {
		{ "timeoutSeconds", 1 }, { "periodSeconds", 10 }, { "successThreshold", 1 },
		{ "failureThreshold", 3 },
	};
	json_t *http = json_object_get(probe, "httpGet");
	int r = 0;

	if (json_is_object(http)) {
		r = fill_member(http, "path", json_string("/"));
		if (r == 0)
			r = fill_member(http, "scheme", json_string("HTTP"));
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers) && json_is_object(probe); i++)
		r = fill_member(probe, numbers[i].name, json_integer(numbers[i].value));
	return r;
}

int default_probes(json_t *containers)
{
	json_t *container;
	size_t i;
	int r = 0;

	json_array_foreach(containers, i, container)
		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(kinds_of_probe); k++)
			r = default_probe(json_object_get(container, kinds_of_probe[k]));
	return r;
}

/* ---- rules ---- */

static void check_handlers(const json_t *probe, const char *path, struct causes *causes)
{
	static const char *const handlers[] = { "exec", "httpGet", "tcpSocket", "grpc" };
	char field[128];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		const json_t *v = json_object_get(probe, handlers[i]);

		if (!v || json_is_null(v) || !n++)
			continue;
		snprintf(field, sizeof(field), "%s.%s", path, handlers[i]);
		causes_add(causes, CAUSE_FORBIDDEN, field, NULL,
			   "may not specify more than 1 handler type");
	}
	if (!n)
		causes_add(causes, CAUSE_REQUIRED, path, NULL, "must specify a handler type");
}

static void check_headers(const json_t *probe, const char *path, struct causes *causes)
{
	const json_t *list = json_object_get(json_object_get(probe, "httpGet"), "httpHeaders");
	char field[128];
	json_t *header;
	size_t i;

	snprintf(field, sizeof(field), "%s.httpGet.httpHeaders", path);
	json_array_foreach(list, i, header) {
		const char *name = json_string_value(json_object_get(header, "name"));

		if (name && name[strspn(name, HEADER_CHARS)])
			causes_add(causes, CAUSE_INVALID, field, name, "a valid HTTP header must "
				   "consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
				   "regex used for validation is '[-A-Za-z0-9]+')");
	}
}

/* What only one of the three kinds may say. */
static void check_kind(const json_t *probe, bool readiness, const char *path,
		       struct causes *causes)
{
	const json_t *successes = json_object_get(probe, "successThreshold");
	char field[128];

	snprintf(field, sizeof(field), "%s.successThreshold", path);
	if (!readiness && json_integer_value(successes) > 1)
		json_cause(causes, CAUSE_INVALID, field, successes, "must be 1");
	snprintf(field, sizeof(field), "%s.terminationGracePeriodSeconds", path);
	if (readiness && json_is_integer(json_object_get(probe, "terminationGracePeriodSeconds")))
		causes_add(causes, CAUSE_FORBIDDEN, field, NULL,
			   "must not be set for readinessProbes");
}

static void check_container(const json_t *container, const char *at, struct causes *causes)
{
	char path[96];

	for (size_t k = 0; k < ARRAY_SIZE(kinds_of_probe); k++) {
		const json_t *probe = json_object_get(container, kinds_of_probe[k]);

		if (!json_is_object(probe))
			continue;
		snprintf(path, sizeof(path), "%s.%s", at, kinds_of_probe[k]);
		check_handlers(probe, path, causes);
		check_headers(probe, path, causes);
		check_kind(probe, strcmp(kinds_of_probe[k], "readinessProbe") == 0, path, causes);
	}
}

/* An init container that goes on beside the others may have probes; it says restartPolicy. */
static void check_init(const json_t *container, const char *at, struct causes *causes)
{
	char path[96];

	if (json_object_get(container, "restartPolicy")) {
		check_container(container, at, causes);
		return;
	}
	for (size_t k = 0; k < ARRAY_SIZE(kinds_of_probe); k++) {
		snprintf(path, sizeof(path), "%s.%s", at, kinds_of_probe[k]);
		if (json_is_object(json_object_get(container, kinds_of_probe[k])))
			causes_add(causes, CAUSE_FORBIDDEN, path, NULL, "may not be set for init "
				   "containers without restartPolicy=Always");
	}
}

void check_probes(const struct doc *doc, struct causes *causes)
{
	json_t *container;
	char path[48];
	size_t i;

	json_array_foreach(doc_at(doc, "spec.containers"), i, container) {
		snprintf(path, sizeof(path), "spec.containers[%zu]", i);
		check_container(container, path, causes);
	}
	json_array_foreach(doc_at(doc, "spec.initContainers"), i, container) {
		snprintf(path, sizeof(path), "spec.initContainers[%zu]", i);
		check_init(container, path, causes);
	}
}

/* ---- what netd runs ---- */

static bool runs(bool http, const char *scheme, bool tcp)
{
	return http ? !scheme || strcmp(scheme, "HTTPS") != 0 : tcp;
}

bool probe_runs(const json_t *container)
{
	const json_t *probe = json_object_get(container, "readinessProbe");
	const json_t *http = json_object_get(probe, "httpGet");

	return runs(json_is_object(http), json_string_value(json_object_get(http, "scheme")),
		    json_is_object(json_object_get(probe, "tcpSocket")));
}

static bool runs_in(const struct value *probe)
{
	const struct value *http = value_member(probe, "httpGet");

	return runs(value_is(http, VALUE_OBJECT), value_text(value_member(http, "scheme")),
		    value_is(value_member(probe, "tcpSocket"), VALUE_OBJECT));
}

static const struct value *status_of(const struct value *doc, const char *name)
{
	const struct value *status;

	value_each(value_at(doc, "status.containerStatuses"), status) {
		const char *of = value_text(value_member(status, "name"));

		if (of && strcmp(of, name) == 0)
			return status;
	}
	return NULL;
}

static void decode_status(const struct value *status, struct probe *probe)
{
	const char *since = value_text(value_at(status, "state.running.startedAt"));

	probe->known = status != NULL;
	probe->ready = value_is(value_member(status, "ready"), VALUE_TRUE);
	if (!since || time_parse(since, &probe->started) < 0)
		probe->started = 0;
}

static int decode_probe(struct container *container, const struct value *v,
			const struct value *status, struct arena *arena)
{
	struct probe *probe = arena_alloc(arena, sizeof(*probe));

	if (!probe || field_decode(probe_fields, v, arena, probe) < 0)
		return -ENOMEM;
	probe->type = value_member(v, "httpGet") ? PROBE_HTTP : PROBE_TCP;
	probe->period_s = probe->period_s ? probe->period_s : 10;
	probe->timeout_s = probe->timeout_s ? probe->timeout_s : 1;
	probe->successes = probe->successes ? probe->successes : 1;
	probe->failures = probe->failures ? probe->failures : 3;
	decode_status(status, probe);
	container->readiness = probe;
	return 0;
}

int decode_probes(struct pod *pod, const struct value *doc, struct arena *arena)
{
	struct container *container = pod->containers;
	const struct value *v;

	value_each(value_at(doc, "spec.containers"), v) {
		const struct value *probe = value_member(v, "readinessProbe");

		if (runs_in(probe) && container->name &&
		    decode_probe(container, probe, status_of(doc, container->name), arena) < 0)
			return -ENOMEM;
		container++;
	}
	return 0;
}
