/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * patch.c - PATCH: read the accepted version, apply, then the path of PUT
 *
 * Room: rest.  All of it happens in one turn of the loop upon the version that the next write is
 * built on, so a patch without a resourceVersion cannot conflict: there is nothing to retry.
 * May include: http, codec, state, netd/base.
 */
#include "internal.h"
#include <netd/codec/patch.h>

static const struct {
	const char *media;
	enum patch_type type;
} types[] = {
	{ "application/strategic-merge-patch+json", PATCH_STRATEGIC },
	{ "application/merge-patch+json", PATCH_MERGE },
	{ "application/json-patch+json", PATCH_JSON },
};

/* Our own kinds have no strategic patch: clients know no merge keys of theirs. */
static int patch_type(struct call *c, enum patch_type *ret)
{
	const char *said = request_header(c->req, "Content-Type");
	size_t first = c->kind->ours ? 1 : 0;

	for (size_t i = first; i < ARRAY_SIZE(types); i++) {
		if (!media_type_is(said, types[i].media))
			continue;
		*ret = types[i].type;
		return 0;
	}
	return refuse(c, 415, "UnsupportedMediaType", "the body of this request must be %s%s%s or "
		      "%s, not: %.200s", first ? "" : types[0].media, first ? "" : ", ",
		      types[1].media, types[2].media, said ? said : "(none)");
}

static int parse(struct call *c, enum patch_type type, struct doc **ret)
{
	size_t len;
	const char *body = request_body(c->req, &len);
	char why[160];
	int r;

	if (!len)
		return refuse(c, 400, "BadRequest", "the request has no body");
	r = patch_parse(type, body, len, ret, why);
	if (r == -ENOMEM)
		return refuse_memory(c);
	return r < 0 ? refuse(c, 400, "BadRequest", "the patch is not valid: %s", why) : 0;
}

static int apply(struct call *c, enum patch_type type, struct doc *doc, const struct doc *patch)
{
	char why[160];

	switch (patch_apply(type, c->kind, doc, patch, why)) {
	case 0:
		return 0;
	case -EINVAL:
		return refuse(c, 400, "BadRequest", "the patch is not valid: %s", why);
	case -ENOENT:
		causes_add(&c->refusal.causes, CAUSE_INVALID, "patch", NULL, "%s", why);
		return refuse_object(c, 422, "Invalid");
	case -E2BIG:
		return refuse(c, 413, "RequestEntityTooLarge", "the patch is too large: %s", why);
	}
	return refuse_memory(c);
}

int verb_patch(struct call *c)
{
	_cleanup_(doc_freep) struct doc *patch = NULL, *doc = NULL;
	enum patch_type type = PATCH_MERGE;
	struct object *old;
	int r;

	c->patching = true;
	r = patch_type(c, &type);
	if (r == 0)
		r = parse(c, type, &patch);
	if (r < 0)
		return r;
	old = state_accepted(c->rest->state, c->kind, c->ns, c->name);
	if (!old)
		return refuse_object(c, 404, "NotFound");
	doc = object_doc(old);
	if (!doc || kind_hand_out(c->served, doc) < 0)
		return refuse_memory(c);
	r = apply(c, type, doc, patch);
	return r < 0 ? r : write_update(c, doc, old);
}
