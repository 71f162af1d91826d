/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patch.c - patches of the three types, and the plainest of them: JSON merge patch, RFC 7386
 *
 * Room (codec).  May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/patch.h>
#include <stdio.h>

static int merge(json_t *target, const json_t *patch);

/* What replaces as a whole is taken without its nulls: null means absent everywhere. */
static int replace(json_t *target, const char *key, const json_t *value)
{
	json_t *copy = json_clone(value);

	if (!copy)
		return -ENOMEM;
	json_strip_nulls(copy);
	return json_object_set_new(target, key, copy) < 0 ? -ENOMEM : 0;
}

static int merge_member(json_t *target, const char *key, const json_t *value)
{
	json_t *there = json_object_get(target, key);

	if (json_is_null(value)) {
		json_object_del(target, key);
		return 0;
	}
	if (!json_is_object(value))
		return replace(target, key, value);
	if (!json_is_object(there)) {
		there = json_object();
		if (!there || json_object_set_new(target, key, there) < 0)
			return -ENOMEM;
	}
	return merge(there, value);
}

static int merge(json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		int r = merge_member(target, key, value);

		if (r < 0)
			return r;
	}
	return 0;
}

int doc_merge_patch(struct doc *doc, const struct doc *patch)
{
	return merge(doc->root, patch->root);
}

int patch_parse(enum patch_type type, const char *text, size_t len, struct doc **ret,
		char why[160])
{
	if (type == PATCH_JSON)
		return doc_parse_list(text, len, ret, why);
	return doc_parse_patch(text, len, ret, why);
}

int patch_apply(enum patch_type type, const struct kind *kind, struct doc *doc,
		const struct doc *patch, char why[160])
{
	int r = 0;

	switch (type) {
	case PATCH_MERGE:
		r = doc_merge_patch(doc, patch);
		break;
	case PATCH_JSON:
		r = doc_json_patch(doc, patch, why);
		break;
	case PATCH_STRATEGIC:
		r = doc_strategic_patch(kind, doc, patch, why);
		break;
	}
	if (r == -ENOMEM)
		snprintf(why, 160, "out of memory");
	return r;
}
