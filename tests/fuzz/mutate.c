/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mutate.c - changes of a document that know its kind's fields, for fuzz_check
 *
 * Room: tests/fuzz, with libFuzzer only.  Half of the changes are libFuzzer's own, of bytes; the
 * others take a row of the kind's table and set its member to something of its type, or to something
 * else, remove it, or go into it.  So a body gets past the first check and on to the later ones.
 */
#include "json.h"

#include <netd/codec/field.h>
#include <netd/codec/json.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#define DEPTH_MAX 8

static const char *const words[] = {
	"", "a", "web", "A_b", "a.b", "a-b.example.com", "example.com/x", "default", "None", "lo", "eth0",
	"pn0", "10.0.0.1", "10.0.0.0/24", "10.0.0.1/24", "fd00::1", "fd00::/64", "::", "0.0.0.0/0",
	"127.0.0.1", "169.254.1.1", "224.0.0.1", "fe80::1/64", "02:00:00:00:00:07", "ff:ff:ff:ff:ff:ff",
	"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+01:00", "1", "80", "http", "10M", "1.5G", "3e6",
	"64Ki", "-1", "TCP", "UDP", "SCTP", "IPv4", "IPv6", "True", "False", "In", "NotIn", "Exists",
	"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Local", "Cluster", "/run/netns/x",
	"pid:1", "v1", "Pod", "podnet.dev/v1", "blackhole", "unicast", "\xc3\xa9", "x\ny",
	"podnet.dev/networks", "podnet.dev/ips", "kubernetes.io/ingress-bandwidth", "a,b", "a=10.0.0.9",
};

static const json_int_t numbers[] = {
	0, 1, -1, 2, 24, 32, 64, 68, 80, 128, 1280, 1500, 9000, 30000, 65535, 65536, 86400,
	2147483647, 4294967296, INT64_MAX, INT64_MIN,
};

static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return n ? (*seed >> 16) % n : 0;
}

static json_t *some_word(unsigned *seed)
{
	return json_string(words[pick(seed, ARRAY_SIZE(words))]);
}

static json_t *some_scalar(unsigned *seed)
{
	switch (pick(seed, 6)) {
	case 0: return json_integer(numbers[pick(seed, ARRAY_SIZE(numbers))]);
	case 1: return json_boolean(pick(seed, 2));
	case 2: return json_array();
	case 3: return json_object();
	default: return some_word(seed);
	}
}

static json_t *make_object(const struct field *table, unsigned *seed, int depth);

static json_t *make_type(enum field_type type, const struct field *f, unsigned *seed, int depth)
{
	json_t *v;
	unsigned n = 0;

	switch (type) {
	case FIELD_INT:
		if (f->max > f->min && pick(seed, 2))
			return json_integer(f->min + pick(seed, (unsigned)(f->max - f->min) + 1));
		return json_integer(numbers[pick(seed, ARRAY_SIZE(numbers))]);
	case FIELD_BOOL:
		return json_boolean(pick(seed, 2));
	case FIELD_ENUM:
		while (f->values && f->values[n])
			n++;
		return n ? json_string(f->values[pick(seed, n)]) : some_word(seed);
	case FIELD_OBJECT:
		return f->sub && depth < DEPTH_MAX ? make_object(f->sub, seed, depth + 1) : json_object();
	case FIELD_STRING_MAP:
		v = json_object();
		for (n = pick(seed, 3); n; n--)
			json_object_set_new(v, words[pick(seed, ARRAY_SIZE(words))], some_word(seed));
		return v;
	case FIELD_LIST:
		v = json_array();
		for (n = pick(seed, 4); n; n--)
			json_array_append_new(v, make_type(f->elem, f, seed, depth + 1));
		return v;
	case FIELD_PORT_REF:
		return pick(seed, 2) ? json_integer(pick(seed, 65537)) : some_word(seed);
	default:
		return some_word(seed);
	}
}

static json_t *make_object(const struct field *table, unsigned *seed, int depth)
{
	json_t *v = json_object();

	for (const struct field *f = table; f->name; f++)
		if (f->flags & FIELD_REQUIRED || !pick(seed, 3))
			json_object_set_new(v, f->name, make_type(f->type, f, seed, depth));
	return v;
}

static void change_object(json_t *obj, const struct field *table, unsigned *seed, int depth);

static void change_list(json_t *list, const struct field *f, unsigned *seed, int depth)
{
	size_t n = json_array_size(list), i = n ? pick(seed, (unsigned)n) : 0;

	switch (pick(seed, 5)) {
	case 0:
		json_array_append_new(list, make_type(f->elem, f, seed, depth));
		return;
	case 1:
		json_array_remove(list, i);
		return;
	case 2:
		json_array_append_new(list, json_deep_copy(json_array_get(list, i)));
		return;
	case 3:
		json_array_set_new(list, i, some_scalar(seed));
		return;
	default:
		if (n && f->sub)
			change_object(json_array_get(list, i), f->sub, seed, depth + 1);
	}
}

static void change_object(json_t *obj, const struct field *table, unsigned *seed, int depth)
{
	const struct field *f = table;
	unsigned rows = 0;
	json_t *old;

	while (table && table[rows].name)
		rows++;
	if (!json_is_object(obj) || !rows || depth > DEPTH_MAX)
		return;
	f += pick(seed, rows);
	old = json_object_get(obj, f->name);
	if (json_is_object(old) && f->sub && pick(seed, 4))
		change_object(old, f->sub, seed, depth + 1);
	else if (json_is_array(old) && pick(seed, 8))
		change_list(old, f, seed, depth + 1);
	else if (!pick(seed, 8))
		json_object_del(obj, f->name);
	else if (!pick(seed, 8))
		json_object_set_new(obj, pick(seed, 4) ? f->name : "odd", some_scalar(seed));
	else
		json_object_set_new(obj, f->name, make_type(f->type, f, seed, depth));
}

static const struct kind *kind_to_be(const struct doc *doc, unsigned *seed)
{
	const char *only = getenv("FUZZ_KIND");

	for (size_t i = 0; only && i < KIND_SERVED; i++)
		if (strcmp(kinds[i].plural, only) == 0)
			return &kinds[i];
	return doc && pick(seed, 50) ? fuzz_kind(doc, (uint8_t)*seed) : &kinds[pick(seed, KIND_SERVED)];
}

static size_t change(struct doc *doc, uint8_t *data, size_t max, unsigned seed)
{
	const struct kind *kind = kind_to_be(doc, &seed);
	_cleanup_(bytes_unrefp) struct bytes *bytes = NULL;
	char api[64];

	if (pick(&seed, 20)) {
		json_object_set_new(doc->root, "kind", json_string(kind->name));
		json_object_set_new(doc->root, "apiVersion",
				    json_string(kind_api_version(kind, api)));
	}
	for (unsigned n = 1 + pick(&seed, 4); n; n--)
		change_object(doc->root, kind->fields, &seed, 0);
	bytes = doc_bytes(doc);
	if (!bytes || bytes->len > max)
		return 0;
	memcpy(data, bytes->data, bytes->len);
	return bytes->len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	_cleanup_(doc_freep) struct doc *doc = NULL;
	char why[160];
	size_t n = 0;

	if (seed % 4 == 0)
		return LLVMFuzzerMutate(data, size, max);
	if (!size || doc_parse((const char *)data, size, &doc, why) < 0)
		doc = doc_new();
	if (doc)
		n = change(doc, data, max, seed / 4);
	return n ? n : LLVMFuzzerMutate(data, size, max);
}
