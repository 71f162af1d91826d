/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_selector.c - any text as labelSelector and as fieldSelector, or as a LabelSelector in JSON
 *
 * Three lines: the labels of a query, its fields, an object.  A selector of names and labels alone
 * says of an object the same as of its decoded metadata; what was checked decodes.
 */
#include "json.h"

#include <netd/codec/selector.h>
#include <netd/codec/tape.h>

static const char pod[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\","
	"\"labels\":{\"app\":\"web\",\"tier\":\"2\",\"a\":\"\",\"example.com/x\":\"Y\"}},\"spec\":{"
	"\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\"}}";

static void query(const struct kind *kind, const char *labels, const char *fields,
		  const struct doc *doc)
{
	const char *ns = doc_str(doc, "metadata.namespace"), *name = doc_str(doc, "metadata.name");
	const struct pod *model;
	struct arena arena = { 0 };
	struct selector sel;
	char why[160] = "";
	bool is;

	if (selector_parse(kind, labels, fields, &arena, &sel, why) < 0) {
		must(why[0]);
	} else {
		is = selector_matches(&sel, doc);
		must(is || !selector_is_all(&sel));
		if (ns && name && !selector_needs_object(&sel))
			must(selector_matches_name(&sel, ns, name) == is);
		model = kind_decode_doc(&kinds[KIND_POD], doc, &arena);
		if (ns && name && model && !selector_needs_doc(&sel))
			must(selector_matches_meta(&sel, &model->meta) == is);
	}
	arena_fini(&arena);
}

/* The same words in an object: what its check lets pass decodes and can be asked. */
static void object(const struct doc *doc)
{
	struct label_selector sel = { 0 };
	struct causes causes = { 0 };
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	_cleanup_(tape_fini) struct tape tape = { 0 };
	struct arena arena = { 0 };
	char why[160];
	const struct kv labels[] = { { "app", "web" }, { "tier", "2" } };
	const struct meta meta = { .labels = (struct kv *)(uintptr_t)labels,
				   .nlabels = ARRAY_SIZE(labels) };

	label_selector_check(doc, "spec.podSelector", &causes);
	if (!causes.n) {
		bytes = doc_bytes(doc);
		must(bytes && tape_read(&tape, bytes->data, bytes->len, why) == 0);
		must(label_selector_decode(value_at(tape.v, "spec.podSelector"), &arena, &sel) == 0);
		must(label_selector_matches(&sel, &meta) || sel.n);
	}
	causes_fini(&causes);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	const char *rest = (const char *)data;
	struct arena arena = { 0 };
	char *labels = fuzz_line(&rest, &size, &arena), *fields = fuzz_line(&rest, &size, &arena);
	char why[160];

	if (!size || doc_parse(rest, size, &doc, why) < 0)
		doc = fuzz_parse(pod, sizeof(pod) - 1);
	for (size_t i = 0; i < KIND_COUNT; i++)
		query(&kinds[i], NULL, fields, doc);
	query(&kinds[KIND_POD], labels, NULL, doc);
	query(&kinds[KIND_POD], labels, fields, doc);
	object(doc);
	arena_fini(&arena);
	return 0;
}
