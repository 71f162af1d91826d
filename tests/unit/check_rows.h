/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check_rows.h - bodies by table: a patch over a sample, and the causes that are said of it
 */
#ifndef TESTS_CHECK_ROWS_H
#define TESTS_CHECK_ROWS_H

#include <lib/testlib.h>
#include <netd/codec/kind.h>
#include <stdio.h>

static const char *const samples[KIND_COUNT] = {
	[KIND_NAMESPACE] = "namespace-shop", [KIND_NODE] = "node-worker", [KIND_POD] = "pod-web",
	[KIND_EVENT] = "event-note", [KIND_NETWORK] = "network-storage",
	[KIND_NETNS] = "networknamespace-con", [KIND_VETH] = "veth-con",
	[KIND_BRIDGE] = "bridge-br0", [KIND_ROUTE] = "route-con-default",
	[KIND_TUNNEL] = "tunnel-udp", [KIND_SERVICE] = "service-web", [KIND_ENDPOINTS] = "endpoints-outside",
	[KIND_ENDPOINT_SLICE] = "endpointslice-outside", [KIND_NETWORK_POLICY] = "networkpolicy-web",
};

/* want: each cause as "REASON field message-start", joined by '|'; "" is none */
struct check_case {
	enum kind_id kind;
	const char *patch, *want;
	const char *old;        /* patch over the sample that makes the old object; NULL: create */
};

/* what a member is by itself; NULL: it is not there */
struct default_case {
	enum kind_id kind;
	const char *patch, *path, *want;
};

static char *read_sample(enum kind_id kind)
{
	static char text[8192];
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "api/samples/%s.json", samples[kind]);
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s cannot be opened: run from the top of the tree", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* quotes are single ones in the tables */
static struct doc *patched(enum kind_id kind, const char *patch_text)
{
	_cleanup_(doc_freep) struct doc *patch = NULL;
	const char *sample = read_sample(kind);
	struct doc *doc = NULL;
	char text[4096], why[160];

	snprintf(text, sizeof(text), "%s", patch_text);
	if (strchr(text, '\'') && !strchr(text, '"'))
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
	if (doc_parse(sample, strlen(sample), &doc, why) < 0 ||
	    doc_parse_patch(text, strlen(text), &patch, why) < 0)
		fail_msg("%s: %s", text, why);
	assert_int_equal(doc_merge_patch(doc, patch), 0);
	return doc;
}

static void assert_causes(const struct check_case *c, const struct causes *causes)
{
	static const char skip[] = "FieldValue";
	const char *want = c->want;
	size_t i;

	assert_false(causes->failed);
	for (i = 0; i < causes->n && *want; i++) {
		const struct cause *cause = &causes->v[i];
		size_t len = strcspn(want, "|");
		char got[1024];
		const char *reason = cause_reason_name(cause->reason) + sizeof(skip) - 1;

		snprintf(got, sizeof(got), "%s %s %s",
			 cause->reason == CAUSE_TYPE ? "Type" : reason, cause->field,
			 cause->message);
		if (strncmp(got, want, len) != 0)
			fail_msg("%s %s\n got: %s\nwant: %.*s", kinds[c->kind].name, c->patch,
				 got, (int)len, want);
		want += len + (want[len] == '|');
	}
	if (*want)
		fail_msg("%s %s: nothing said of: %s", kinds[c->kind].name, c->patch, want);
	if (i < causes->n)
		fail_msg("%s %s: unexpected: %s: %s", kinds[c->kind].name, c->patch,
			 causes->v[i].field, causes->v[i].message);
}

static void run_check(const struct check_case *c)
{
	_cleanup_(doc_freep) struct doc *doc = patched(c->kind, c->patch), *old = NULL;
	const struct kind *kind = &kinds[c->kind];
	struct causes causes = { 0 };

	if (c->old) {
		old = patched(c->kind, c->old);
		assert_int_equal(kind->defaults(old), 0);
	}
	assert_int_equal(kind->defaults(doc), 0);
	kind_check(kind, doc, old, &causes);
	assert_causes(c, &causes);
	causes_fini(&causes);
}

/* And a second time nothing changes. */
static inline void run_default(const struct default_case *c)
{
	_cleanup_(doc_freep) struct doc *doc = patched(c->kind, c->patch), *again = NULL;
	const char *got;

	assert_int_equal(kinds[c->kind].defaults(doc), 0);
	got = doc_str(doc, c->path);
	if (!got || !c->want)
		assert_ptr_equal(got, c->want);
	else
		assert_string_equal(got, c->want);
	again = doc_copy(doc);
	assert_int_equal(kinds[c->kind].defaults(again), 0);
	assert_true(doc_equal(doc, again));
}

#endif
