/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * marks.c - Services that must be looked at again, and what is the same for all that is made of them
 *
 * Room: control.  A mark is a name; however often a Service changes before its turn, it is looked at
 * once.  May include: state, codec, model, netd/base.
 */
#include "internal.h"
#include <errno.h>
#include <netd/base/log.h>
#include <stdio.h>
#include <stdlib.h>

void marks_add(struct marks *marks, const char *ns, const char *name)
{
	char key[320], *kept;

	snprintf(key, sizeof(key), "%s/%s", ns, name);
	if (map_get(&marks->of, key))
		return;
	kept = strdup(key);
	if (kept && map_put(&marks->of, kept, kept) == 0)
		return;
	free(kept);
	log_event(LOG_LEVEL_ERROR, "out_of_memory", "where=marks");
}

/* The next one, taken out; NULL: there is none.  What moves into a gap is not passed over. */
static char *take(struct marks *marks)
{
	char *key = map_next(&marks->of, &marks->at);

	if (!key) {
		marks->at = 0;
		key = map_next(&marks->of, &marks->at);
	}
	if (!key)
		return NULL;
	map_del(&marks->of, key);
	marks->at--;
	return key;
}

int marks_take(struct marks *marks, struct control *control, struct txn *txn,
	       int (*each)(struct control *control, struct txn *txn, const char *ns, const char *name))
{
	char *keys[MARKS_ROUND];
	size_t n = 0;
	int r = 0;

	while (n < MARKS_ROUND && (keys[n] = take(marks)))
		n++;
	for (size_t i = 0; i < n && r == 0; i++) {
		const char *slash = strchr(keys[i], '/');
		char ns[64];

		snprintf(ns, sizeof(ns), "%.*s", (int)(slash - keys[i]), keys[i]);
		r = each(control, txn, ns, slash + 1);
	}
	for (size_t i = 0; i < n; i++)          /* what was done goes with the transaction */
		if (r == 0 || map_get(&marks->of, keys[i]) || map_put(&marks->of, keys[i], keys[i]) < 0)
			free(keys[i]);
	return r;
}

struct object *service_that_chooses(struct control *control, const char *ns, const char *name)
{
	struct object *service = state_accepted(control->state, &kinds[KIND_SERVICE], ns, name);

	return service && service->service->nselector &&
	       service->service->type != SERVICE_EXTERNAL_NAME ? service : NULL;
}

void marks_free(struct marks *marks)
{
	size_t pos = 0;
	char *key;

	while ((key = map_next(&marks->of, &pos)))
		free(key);
	map_fini(&marks->of);
}

bool slice_is_made(const struct object *slice)
{
	const char *by = meta_label(slice->meta, LABEL_MANAGED_BY);

	return by && strcmp(by, SLICE_MANAGER) == 0;
}

const char *service_owner_ref(const struct object *service, char ret[512])
{
	snprintf(ret, 512, "[{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"name\":\"%s\","
		 "\"uid\":\"%s\",\"controller\":true,\"blockOwnerDeletion\":true}]",
		 service->meta->name, service->meta->uid);
	return ret;
}
