/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unused.c - members that are unknown, or known and not implemented
 *
 * Room (codec): the fields of k8s.io/api that podnet does nothing with, as one flat table, and one
 * walk beside a kind's own table.  A row stands for all that is below it.  Whoever implements a
 * field removes its row.  May include: model (causes), netd/base, jansson.
 */
#include <netd/codec/field.h>
#include <netd/codec/json.h>
#include <netd/codec/unused.h>
#include <stdio.h>

/* Not worth telling: defaults that clients send along, and what only describes. */
#define QUIET true

#define CONTAINER(list) \
	{ "Pod", "spec." list ".args", false }, \
	{ "Pod", "spec." list ".command", false }, \
	{ "Pod", "spec." list ".env", false }, \
	{ "Pod", "spec." list ".envFrom", false }, \
	{ "Pod", "spec." list ".imagePullPolicy", QUIET }, \
	{ "Pod", "spec." list ".lifecycle", false }, \
	{ "Pod", "spec." list ".livenessProbe", false }, \
	{ "Pod", "spec." list ".resizePolicy", QUIET }, \
	{ "Pod", "spec." list ".resources", false }, \
	{ "Pod", "spec." list ".restartPolicy", false }, \
	{ "Pod", "spec." list ".restartPolicyRules", false }, \
	{ "Pod", "spec." list ".securityContext", false }, \
	{ "Pod", "spec." list ".startupProbe", false }, \
	{ "Pod", "spec." list ".stdin", false }, \
	{ "Pod", "spec." list ".stdinOnce", false }, \
	{ "Pod", "spec." list ".terminationMessagePath", QUIET }, \
	{ "Pod", "spec." list ".terminationMessagePolicy", QUIET }, \
	{ "Pod", "spec." list ".tty", false }, \
	{ "Pod", "spec." list ".volumeDevices", false }, \
	{ "Pod", "spec." list ".volumeMounts", false }, \
	{ "Pod", "spec." list ".workingDir", false }

static const struct {
	const char *kind, *path;
	bool quiet;
} rows[] = {
	{ "", "metadata.selfLink", QUIET },
	{ "", "metadata.clusterName", QUIET },
	{ "", "metadata.managedFields", QUIET },
	CONTAINER("containers"),
	CONTAINER("initContainers"),
	{ "Pod", "spec.containers.readinessProbe.exec", false },
	{ "Pod", "spec.containers.readinessProbe.grpc", false },
	{ "Pod", "spec.containers.readinessProbe.httpGet.scheme=HTTPS", false },
	{ "Pod", "spec.initContainers.readinessProbe", false },
	{ "Pod", "spec.activeDeadlineSeconds", false },
	{ "Pod", "spec.affinity", false },
	{ "Pod", "spec.automountServiceAccountToken", QUIET },
	{ "Pod", "spec.dnsConfig", false },
	{ "Pod", "spec.dnsPolicy", QUIET },
	{ "Pod", "spec.enableServiceLinks", QUIET },
	{ "Pod", "spec.ephemeralContainers", false },
	{ "Pod", "spec.hostAliases", false },
	{ "Pod", "spec.hostIPC", false },
	{ "Pod", "spec.hostPID", false },
	{ "Pod", "spec.hostUsers", false },
	{ "Pod", "spec.hostnameOverride", false },
	{ "Pod", "spec.imagePullSecrets", false },
	{ "Pod", "spec.nodeSelector", false },
	{ "Pod", "spec.os", QUIET },
	{ "Pod", "spec.overhead", false },
	{ "Pod", "spec.preemptionPolicy", QUIET },
	{ "Pod", "spec.priority", QUIET },
	{ "Pod", "spec.priorityClassName", false },
	{ "Pod", "spec.resourceClaims", false },
	{ "Pod", "spec.resources", false },
	{ "Pod", "spec.restartPolicy", QUIET },
	{ "Pod", "spec.runtimeClassName", false },
	{ "Pod", "spec.schedulerName", QUIET },
	{ "Pod", "spec.schedulingGates", false },
	{ "Pod", "spec.securityContext", false },
	{ "Pod", "spec.serviceAccount", QUIET },
	{ "Pod", "spec.serviceAccountName", QUIET },
	{ "Pod", "spec.setHostnameAsFQDN", false },
	{ "Pod", "spec.shareProcessNamespace", false },
	{ "Pod", "spec.tolerations", QUIET },
	{ "Pod", "spec.topologySpreadConstraints", false },
	{ "Pod", "spec.volumes", false },
	{ "Node", "spec.configSource", false },
	{ "Node", "spec.externalID", QUIET },
	{ "Node", "spec.providerID", QUIET },
	{ "Node", "spec.taints", false },
	{ "Node", "spec.unschedulable", false },
	{ "Event", "firstTimestamp", QUIET },
	{ "Event", "deprecatedCount", QUIET },
	{ "Service", "spec.topologyKeys", QUIET },
	{ "Service", "spec.ipFamily", QUIET },
	{ "NetworkPolicy", "spec", false },
};

/* The place twice: with the indexes of lists for the user, without them for the table. */
struct walk {
	const struct kind *kind;
	struct causes *unknown, *ignored;
	struct place {
		size_t len;
		char text[512];
	} full, plain;
};

static void note_object(struct walk *w, const struct field *table, const json_t *obj,
			const json_t *old);

__attribute__((format(printf, 2, 3)))
static void append(struct place *p, const char *fmt, ...)
{
	size_t room = sizeof(p->text) - p->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		p->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void append_member(struct place *p, const char *name)
{
	size_t len = strlen(name);

	if (p->len + len + 2 > sizeof(p->text)) {
		append(p, "%s%s", p->len ? "." : "", name);
		return;
	}
	if (p->len)
		p->text[p->len++] = '.';
	memcpy(p->text + p->len, name, len + 1);
	p->len += len;
}

static void cut(struct place *p, size_t len)
{
	p->len = len;
	p->text[len] = '\0';
}

/* A row may be about one value alone: PATH=VALUE. */
static bool is_row(const char *row, const char *path, size_t len, const json_t *v)
{
	const char *value = json_string_value(v);

	if (*row != *path || strncmp(row, path, len) != 0)
		return false;
	return !row[len] || (row[len] == '=' && value && strcmp(row + len + 1, value) == 0);
}

/* 1: nothing is done with it, and that is told; 0: it has no row; -1: it is not worth telling */
static int find_row(const struct walk *w, const json_t *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (is_row(rows[i].path, w->plain.text, w->plain.len, v) &&
		    (!*rows[i].kind || strcmp(rows[i].kind, w->kind->name) == 0))
			return rows[i].quiet ? -1 : 1;
	return 0;
}

static const struct field *find_field(const struct field *table, const char *name)
{
	for (; table->name; table++)
		if (*table->name == *name && strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

/* An empty object or list, false, 0 and "" say no more than nothing. */
static bool says_nothing(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return json_object_size(v) == 0;
	case JSON_ARRAY:
		return json_array_size(v) == 0;
	case JSON_STRING:
		return json_string_length(v) == 0;
	case JSON_INTEGER:
		return json_integer_value(v) == 0;
	case JSON_REAL: case JSON_TRUE:
		return false;
	case JSON_FALSE: case JSON_NULL:
		break;
	}
	return true;
}

static void note_elements(struct walk *w, const struct field *f, const json_t *list,
			  const json_t *old)
{
	size_t len = w->full.len, i;
	json_t *elem;

	json_array_foreach(list, i, elem) {
		append(&w->full, "[%zu]", i);
		if (json_is_object(elem))
			note_object(w, f->sub, elem, json_array_get(old, i));
		cut(&w->full, len);
	}
}

static void note_member(struct walk *w, const struct field *f, const json_t *v, const json_t *old)
{
	int row = find_row(w, v);

	if (row > 0 && !says_nothing(v))
		causes_add(w->ignored, CAUSE_UNKNOWN, w->full.text, NULL, "%s", "");
	if (row != 0 && (!f || strcmp(w->plain.text, "spec") != 0))    /* members of a spec are looked at */
		return;
	if (!f && !old)
		causes_add(w->unknown, CAUSE_UNKNOWN, w->full.text, NULL, "%s", "");
	if (!f || !f->sub || (f->flags & FIELD_SERVER))
		return;
	if (f->type == FIELD_OBJECT && json_is_object(v))
		note_object(w, f->sub, v, old);
	else if (f->type == FIELD_LIST && f->elem == FIELD_OBJECT && json_is_array(v))
		note_elements(w, f, v, old);
}

static void note_object(struct walk *w, const struct field *table, const json_t *obj,
			const json_t *old)
{
	size_t full = w->full.len, plain = w->plain.len;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)obj, key, v) {
		const json_t *was = json_object_get(old, key);

		if (was && json_equal(was, v))
			continue;
		append_member(&w->full, key);
		append_member(&w->plain, key);
		note_member(w, find_field(table, key), v, was);
		cut(&w->full, full);
		cut(&w->plain, plain);
	}
}

/* The node's own link is not shaped. */
static void note_bandwidth(struct walk *w, const struct doc *doc, const struct doc *old)
{
#define ROW(key) { "metadata.annotations[\"" key "\"]", "metadata.annotations[" key "]" }
	static const struct { const char *path, *field; } keys[] = {
		ROW("kubernetes.io/ingress-bandwidth"), ROW("kubernetes.io/egress-bandwidth"),
	};
#undef ROW

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (doc_has(doc, keys[i].path) && (!old || !doc_equal_at(doc, old, keys[i].path)))
			causes_add(w->ignored, CAUSE_UNKNOWN, keys[i].field, NULL, "%s", "");
}

/* Where a place in a table chooses, there is nothing to weigh. */
static void note_weights(struct walk *w, const struct doc *doc, const struct doc *old)
{
	static const char weights[] = "metadata.annotations[\"podnet.dev/weights\"]";
	static const char path[] = "metadata.annotations[\"podnet.dev/algorithm\"]";
	const char *algorithm = doc_str(doc, path);

	if (!algorithm || strcmp(algorithm, "maglev") != 0 || !doc_has(doc, weights))
		return;
	if (!old || !doc_equal_at(doc, old, weights) || !doc_equal_at(doc, old, path))
		causes_add(w->ignored, CAUSE_UNKNOWN, "metadata.annotations[podnet.dev/weights]", NULL,
			   "%s", "");
}

void kind_unused(const struct kind *kind, const struct doc *doc, const struct doc *old,
		 struct causes *unknown, struct causes *ignored)
{
	struct walk w = { .kind = kind, .unknown = unknown, .ignored = ignored };
	const struct field *metadata = find_field(kind->fields, "metadata");

	if (!kind->ours) {
		note_object(&w, kind->fields, doc->root, old ? old->root : NULL);
		if (kind->id == KIND_POD && doc_bool(doc, "spec.hostNetwork", false))
			note_bandwidth(&w, doc, old);
		if (kind->id == KIND_SERVICE)
			note_weights(&w, doc, old);
		return;
	}
	append(&w.full, "metadata");
	append(&w.plain, "metadata");
	note_object(&w, metadata->sub, doc_at(doc, "metadata"),
		    old ? doc_at(old, "metadata") : NULL);
}
