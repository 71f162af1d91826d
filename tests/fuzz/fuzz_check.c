/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_check.c - any body as an object of any kind: defaults, check, decode, forms, Status
 *
 * The kind is the one that the body names, else one that a byte chooses; FUZZ_KIND in the
 * environment allows only that one.  Defaults set twice change nothing more; an object is a legal
 * update of itself; what was checked decodes, in every version; each form of it is JSON, a Table's
 * row has a cell for each column; what is said of it is a Status.
 */
#include "json.h"

#include <netd/codec/columns.h>
#include <netd/codec/form.h>
#include <netd/codec/unused.h>

static void decode(const struct kind *kind, const struct doc *doc)
{
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);
	struct arena arena = { 0 };
	void *model;

	must(bytes && kind_decode(kind, bytes->data, bytes->len, &arena, &model) == 0);
	arena_fini(&arena);
}

static void refuse(const struct kind *kind, const struct causes *causes)
{
	const struct status st = { .code = 422, .reason = "Invalid", .kind = kind, .name = "x",
				   .causes = causes };
	_cleanup_(bytes_unrefp) struct bytes *bytes = status_bytes(&st);
	_cleanup_(doc_freep) struct doc *doc = NULL;

	must(bytes);
	doc = fuzz_parse(bytes->data, bytes->len);
	must(doc_len(doc, "details.causes") == causes->n);
	for (size_t i = 0; i < causes->n; i++)
		must(causes->v[i].field && causes->v[i].message[0]);
}

static size_t count_columns(const struct kind *kind)
{
	size_t n = 0;

	while (columns_of(kind)[n].name)
		n++;
	return n;
}

static void show(const struct form *form, const struct kind *kind, struct bytes *bytes)
{
	_cleanup_(bytes_unrefp) struct bytes *one = form_object(form, kind, bytes, true);
	_cleanup_(doc_freep) struct doc *doc = NULL, *all = NULL;
	const struct form_list list = { .rev = 1, .remaining = -1 };
	struct buf out = { 0 };

	must(one);
	doc = fuzz_parse(one->data, one->len);
	if (form->type == FORM_TABLE) {
		must(doc_len(doc, "rows") == 1);
		must(doc_len(doc, "rows[0].cells") == count_columns(kind));
		must(doc_len(doc, "columnDefinitions") == count_columns(kind));
	}
	form_list_begin(form, kind, form->version ? &list : NULL, &out);
	for (int i = 0; i < 2; i++)
		must(form_list_item(form, kind, bytes->data, bytes->len, !i, &out) == 0);
	form_list_end(form->version ? NULL : &list, &out);
	must(!out.failed);
	all = fuzz_parse(out.data, out.len);
	must(doc_str(all, "metadata.resourceVersion"));
	must(doc_len(all, form->type == FORM_TABLE ? "rows" : "items") == 2);
	buf_fini(&out);
}

static void show_all(const struct kind *kind, const struct doc *doc)
{
	static const struct form forms[] = {
		{ .type = FORM_PLAIN },
		{ .type = FORM_TABLE, .include = INCLUDE_METADATA, .version = "v1" },
		{ .type = FORM_TABLE, .include = INCLUDE_OBJECT, .version = "v1beta1" },
		{ .type = FORM_TABLE, .include = INCLUDE_NONE, .version = "v1" },
		{ .type = FORM_METADATA, .version = "v1" },
	};
	_cleanup_(bytes_unrefp) struct bytes *bytes = doc_bytes(doc);

	must(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		show(&forms[i], kind, bytes);
}

/* What a client did not change is not told to it again. */
static void tell_unused(const struct kind *kind, const struct doc *doc)
{
	struct causes unknown = { 0 }, ignored = { 0 };

	kind_unused(kind, doc, NULL, &unknown, &ignored);
	causes_fini(&unknown);
	causes_fini(&ignored);
	unknown = ignored = (struct causes){ 0 };
	kind_unused(kind, doc, doc, &unknown, &ignored);
	must(!unknown.n && !ignored.n);
}

/* A checked object, in each version that it is served in, and back. */
static void serve(const struct kind *kind, const struct doc *doc)
{
	for (size_t i = 0; i < KIND_SERVED; i++) {
		_cleanup_(doc_freep) struct doc *other = NULL;
		struct causes causes = { 0 };

		if (kinds[i].stored != kind)
			continue;
		other = doc_copy(doc);
		must(other && kind_hand_out(&kinds[i], other) == 0);
		fuzz_reread(other);
		must(kind_take_in(&kinds[i], other) == 0 && kind->defaults(other) == 0);
		kind_check(kind, other, NULL, &causes);
		must(!causes.n);
		causes_fini(&causes);
		show_all(&kinds[i], doc);
	}
}

static void check_clean(const struct kind *kind, struct doc *doc)
{
	struct causes update = { 0 };

	kind_check(kind, doc, doc, &update);
	must(!update.n);
	causes_fini(&update);
	fuzz_reread(doc);
	show_all(kind, doc);
	serve(kind, doc);
	if (kind->id != KIND_POD)
		return;
	must(pod_set_containers_ready(doc, "2026-01-02T03:04:05Z") >= 0);
	must(pod_set_ready(doc, true, "2026-01-02T03:04:05Z") >= 0);
}

static void check(const struct kind *kind, struct doc *doc)
{
	_cleanup_(doc_freep) struct doc *again = NULL;
	struct causes causes = { 0 }, status = { 0 };

	if (kind->defaults(doc) < 0)
		return;
	again = doc_copy(doc);
	must(again && kind->defaults(again) == 0 && doc_equal(doc, again));
	kind_check(kind, doc, NULL, &causes);
	kind_check_status(kind, doc, &status);
	must(!causes.failed && !status.failed);
	refuse(kind, &causes);
	refuse(kind, &status);
	decode(kind, doc);
	tell_unused(kind, doc);
	if (!causes.n && !status.n)
		check_clean(kind, doc);
	causes_fini(&causes);
	causes_fini(&status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	const char *only = getenv("FUZZ_KIND");
	const struct kind *served;
	char why[160];

	if (!size || doc_parse((const char *)data, size, &doc, why) < 0)
		return 0;
	served = fuzz_kind(doc, data[size / 2]);
	if (only && strcmp(served->plural, only) != 0)
		return 0;
	if (kind_take_in(served, doc) == 0)
		check(kind_stored(served), doc);
	return 0;
}
