/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.c - looking into what every object has, and the names made from it
 *
 * Room (model): pure functions.  May include: netd/base, libc.
 */
#include <netd/model/model.h>
#include <stdio.h>

static const char *find(const struct kv *v, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].key, key) == 0)
			return v[i].value;
	return NULL;
}

const char *meta_annotation(const struct meta *meta, const char *key)
{
	return find(meta->annotations, meta->nannotations, key);
}

const char *meta_label(const struct meta *meta, const char *key)
{
	return find(meta->labels, meta->nlabels, key);
}

/* FNV-1a: the name must be the same in every run and version */
static uint64_t fnv(const char *s, uint64_t h)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return h;
}

const char *pod_netns_name(const struct pod *pod, char buf[256])
{
	const char *name = pod->meta.name, *ns = pod->meta.ns;
	int len = snprintf(buf, 256, "%s.%s", name, ns);
	uint64_t h;

	if (len < 256)
		return buf;
	h = fnv(ns, fnv(".", fnv(name, 0xcbf29ce484222325ULL)));
	snprintf(buf + 255 - 17, 18, "-%016llx", (unsigned long long)h);
	return buf;
}

const struct condition *pod_condition(const struct pod *pod, const char *type)
{
	for (size_t i = 0; i < pod->nconditions; i++)
		if (strcmp(pod->conditions[i].type, type) == 0)
			return &pod->conditions[i];
	return NULL;
}

bool pod_is_unheard(const struct pod *pod)
{
	const struct condition *ready = pod_condition(pod, "Ready");

	return ready && ready->reason && strcmp(ready->reason, POD_UNHEARD) == 0;
}

/* What serves and neither leaves nor is ready is made of a pod that is unheard only (control/slices.c). */
bool endpoint_is_ready(const struct endpoint_slice *slice, const struct endpoint *e, const char *node)
{
	return e->ready || (e->serving && !e->terminating && slice->keeper &&
			    strcmp(slice->keeper, node) == 0);
}
