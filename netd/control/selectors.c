/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * selectors.c - which Services may choose a pod, found by the pod's labels
 *
 * Room: control.  A Service stands under one label that its selector asks for, the one which the
 * fewest others ask for, so that a pod costs a look-up a label and not a walk over all Services.
 * May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

/** A label, and the names of the Services of its namespace that stand under it. */
struct asked {
	char **names;
	size_t n, cap;
	char key[];                     /* NAMESPACE/KEY=VALUE */
};

static struct asked *find(const struct control *control, const char *ns, const struct kv *label)
{
	char key[512];

	snprintf(key, sizeof(key), "%s/%s=%s", ns, label->key, label->value);
	return map_get(&control->selectors, key);
}

static struct asked *find_or_add(struct control *control, const char *ns, const struct kv *label)
{
	struct asked *a = find(control, ns, label);
	size_t size = strlen(ns) + strlen(label->key) + strlen(label->value) + 3;

	if (a)
		return a;
	a = calloc(1, sizeof(*a) + size);
	if (!a)
		return NULL;
	snprintf(a->key, size, "%s/%s=%s", ns, label->key, label->value);
	if (map_put(&control->selectors, a->key, a) == 0)
		return a;
	free(a);
	return NULL;
}

static int add_name(struct asked *a, const char *name)
{
	char **grown;

	if (a->n == a->cap) {
		grown = reallocarray(a->names, a->cap ? 2 * a->cap : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		a->names = grown;
		a->cap = a->cap ? 2 * a->cap : 1;
	}
	a->names[a->n] = strdup(name);
	if (!a->names[a->n])
		return -ENOMEM;
	a->n++;
	return 0;
}

static void asked_free(struct asked *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->names[i]);
	free(a->names);
	free(a);
}

static bool chooses(const struct object *service)
{
	return service && service->service->nselector &&
	       service->service->type != SERVICE_EXTERNAL_NAME;
}

static void add(struct control *control, const struct object *service)
{
	const struct service *svc = service->service;
	const struct kv *rarest = &svc->selector[0];
	size_t fewest = SIZE_MAX;
	struct asked *a;

	for (size_t i = 0; i < svc->nselector; i++) {
		a = find(control, service->meta->ns, &svc->selector[i]);
		if ((a ? a->n : 0) >= fewest)
			continue;
		fewest = a ? a->n : 0;
		rarest = &svc->selector[i];
	}
	a = find_or_add(control, service->meta->ns, rarest);
	if (!a || add_name(a, service->meta->name) < 0)
		log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=selectors");
}

static void drop_name(struct control *control, struct asked *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->names[i], name) != 0)
			continue;
		free(a->names[i]);
		a->names[i] = a->names[--a->n];
		break;
	}
	if (a->n)
		return;
	map_del(&control->selectors, a->key);
	asked_free(a);
}

static void drop(struct control *control, const struct object *service)
{
	const struct service *svc = service->service;

	for (size_t i = 0; i < svc->nselector; i++) {
		struct asked *a = find(control, service->meta->ns, &svc->selector[i]);

		if (a)
			drop_name(control, a, service->meta->name);
	}
}

void selectors_changed(struct control *control, const struct object *old, const struct object *now)
{
	if (chooses(old))
		drop(control, old);
	if (chooses(now))
		add(control, now);
}

void selectors_each(struct control *control, const struct meta *pod,
		    void (*each)(void *arg, const char *name), void *arg)
{
	for (size_t i = 0; i < pod->nlabels; i++) {
		const struct asked *a = find(control, pod->ns, &pod->labels[i]);

		for (size_t k = 0; a && k < a->n; k++)
			each(arg, a->names[k]);
	}
}

void selectors_free(struct control *control)
{
	struct asked *a;
	size_t pos = 0;

	while ((a = map_next(&control->selectors, &pos)))
		asked_free(a);
	map_fini(&control->selectors);
}
