/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pod_update.c - what of a pod may change after it was created
 *
 * Room (codec): API-CONTRACT 15.4.  Both specs are compared after what may change was made equal
 * in a copy of the new one.  May include: model, netd/base, jansson.
 */
#include <netd/codec/probe.h>
#include <netd/codec/rows.h>
#include <stdio.h>

#define MAY_CHANGE "pod updates may not change fields other than `spec.containers[*].image`, " \
	"`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only " \
	"additions to existing tolerations), and `spec.nodeName` where it was empty"

/* @obj's member becomes what it is in @old; 0 or -1: no memory */
static int take_member(json_t *obj, const json_t *old, const char *key)
{
	json_t *value = json_object_get(old, key);

	if (value)
		return json_object_set(obj, key, value);
	json_object_del(obj, key);
	return 0;
}

static int take_images(json_t *spec, const json_t *old, const char *list)
{
	json_t *containers = json_object_get(spec, list), *container;
	const json_t *before = json_object_get(old, list);
	size_t i;

	json_array_foreach(containers, i, container)
		if (i < json_array_size(before) &&
		    take_member(container, json_array_get(before, i), "image") < 0)
			return -1;
	return 0;
}

static bool holds(const json_t *list, const json_t *elem)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_equal(v, elem))
			return true;
	return false;
}

/* every old toleration is still there: the additions are fine */
static int take_tolerations(json_t *spec, const json_t *old)
{
	const json_t *now = json_object_get(spec, "tolerations");
	const json_t *before = json_object_get(old, "tolerations");
	json_t *v;
	size_t i;

	json_array_foreach(before, i, v)
		if (!holds(now, v))
			return 0;
	return take_member(spec, old, "tolerations");
}

static int take_node_name(json_t *spec, const json_t *old)
{
	const char *before = json_string_value(json_object_get(old, "nodeName"));

	return before && before[0] ? 0 : take_member(spec, old, "nodeName");
}

static void check_deadline(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char path[] = "spec.activeDeadlineSeconds";
	int64_t before = doc_int(old, path, 0), now = doc_int(doc, path, 0);

	if (!before || (now && now <= before))
		return;
	doc_cause(causes, CAUSE_INVALID, doc, path, "%s",
		  now ? "must be less than or equal to previous value" :
		  "must not update from a positive integer to nil value");
}

/* A netd before this one stored probes as they were sent. */
static int take_defaults(json_t *before)
{
	return before && default_probes(json_object_get(before, "containers")) == 0 &&
	       default_probes(json_object_get(before, "initContainers")) == 0 ? 0 : -1;
}

static void check_spec(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	const json_t *was = doc_at(old, "spec"), *now = doc_at(doc, "spec");
	json_t *spec, *before;

	if (!now || !was || !json_is_object(now) || json_equal(now, was))
		return;
	spec = json_clone(now);
	before = json_clone(was);
	if (!spec || take_defaults(before) < 0 || take_images(spec, before, "containers") < 0 ||
	    take_images(spec, before, "initContainers") < 0 ||
	    take_tolerations(spec, before) < 0 || take_node_name(spec, before) < 0 ||
	    take_member(spec, before, "activeDeadlineSeconds") < 0)
		causes->failed = true;
	else if (!json_equal(spec, before))
		causes_add(causes, CAUSE_FORBIDDEN, "spec", NULL, "%s", MAY_CHANGE);
	json_decref(spec);
	json_decref(before);
}

/* What a pod was made with stands in its annotations too. */
static void check_annotations(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	static const char *const fixed[] = {
		"podnet.dev/networks", "podnet.dev/default-route", "podnet.dev/ips",
		"podnet.dev/mac", "podnet.dev/netns", "podnet.dev/ports"
	};
	char path[96], field[96];

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		snprintf(path, sizeof(path), "metadata.annotations[\"%s\"]", fixed[i]);
		snprintf(field, sizeof(field), "metadata.annotations[%s]", fixed[i]);
		if (!doc_equal_at(doc, old, path))
			causes_add(causes, CAUSE_INVALID, field, doc_str(doc, path),
				   "field is immutable");
	}
}

void pod_check_update(const struct doc *doc, const struct doc *old, struct causes *causes)
{
	check_deadline(doc, old, causes);
	check_spec(doc, old, causes);
	check_annotations(doc, old, causes);
}
