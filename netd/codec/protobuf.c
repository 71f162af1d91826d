/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * protobuf.c - protobuf wire format to a document, by tables of field numbers
 *
 * Room (codec): the numbers are those of k8s.io/api and apimachinery's generated.proto.  Each
 * message is a table; how deep a body nests is bounded by how deep the tables do.  Zero and empty
 * mean absent, as in the Go types, and so nothing is made of them.
 * May include: netd/base, jansson.
 */
#include <errno.h>
#include <netd/codec/json.h>
#include <netd/codec/protobuf.h>
#include <stdio.h>

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum type {
	TYPE_STRING, TYPE_INT, TYPE_BOOL,
	TYPE_STRINGS,               /* repeated */
	TYPE_MAP,                   /* of strings: repeated messages {1 key, 2 value} */
	TYPE_MESSAGE, TYPE_MESSAGES,
	TYPE_INT_OR_STRING,         /* {1 type, 2 int, 3 string} */
};

struct message {
	unsigned number;            /* 0 ends the table */
	const char *name;
	enum type type;
	const struct message *sub;
};

/* What is left of a message. */
struct span {
	const unsigned char *p, *end;
};

struct value {
	unsigned number;
	enum wire wire;
	uint64_t n;                 /* of a varint */
	struct span bytes;
};

static const struct message owner[] = {
	{ 1, "kind", TYPE_STRING, NULL },
	{ 3, "name", TYPE_STRING, NULL },
	{ 4, "uid", TYPE_STRING, NULL },
	{ 5, "apiVersion", TYPE_STRING, NULL },
	{ 6, "controller", TYPE_BOOL, NULL },
	{ 7, "blockOwnerDeletion", TYPE_BOOL, NULL },
	{ 0 }
};

static const struct message metadata[] = {
	{ 1, "name", TYPE_STRING, NULL },
	{ 2, "generateName", TYPE_STRING, NULL },
	{ 3, "namespace", TYPE_STRING, NULL },
	{ 5, "uid", TYPE_STRING, NULL },
	{ 6, "resourceVersion", TYPE_STRING, NULL },
	{ 11, "labels", TYPE_MAP, NULL },
	{ 12, "annotations", TYPE_MAP, NULL },
	{ 13, "ownerReferences", TYPE_MESSAGES, owner },
	{ 14, "finalizers", TYPE_STRINGS, NULL },
	{ 0 }
};

static const struct message namespace_spec[] = {
	{ 1, "finalizers", TYPE_STRINGS, NULL },
	{ 0 }
};

static const struct message namespace[] = {
	{ 1, "metadata", TYPE_MESSAGE, metadata },
	{ 2, "spec", TYPE_MESSAGE, namespace_spec },
	{ 0 }
};

static const struct message port[] = {
	{ 1, "name", TYPE_STRING, NULL },
	{ 2, "protocol", TYPE_STRING, NULL },
	{ 3, "port", TYPE_INT, NULL },
	{ 4, "targetPort", TYPE_INT_OR_STRING, NULL },
	{ 5, "nodePort", TYPE_INT, NULL },
	{ 6, "appProtocol", TYPE_STRING, NULL },
	{ 0 }
};

static const struct message client_ip[] = {
	{ 1, "timeoutSeconds", TYPE_INT, NULL },
	{ 0 }
};

static const struct message affinity_config[] = {
	{ 1, "clientIP", TYPE_MESSAGE, client_ip },
	{ 0 }
};

static const struct message service_spec[] = {
	{ 1, "ports", TYPE_MESSAGES, port },
	{ 2, "selector", TYPE_MAP, NULL },
	{ 3, "clusterIP", TYPE_STRING, NULL },
	{ 4, "type", TYPE_STRING, NULL },
	{ 5, "externalIPs", TYPE_STRINGS, NULL },
	{ 7, "sessionAffinity", TYPE_STRING, NULL },
	{ 8, "loadBalancerIP", TYPE_STRING, NULL },
	{ 9, "loadBalancerSourceRanges", TYPE_STRINGS, NULL },
	{ 10, "externalName", TYPE_STRING, NULL },
	{ 11, "externalTrafficPolicy", TYPE_STRING, NULL },
	{ 12, "healthCheckNodePort", TYPE_INT, NULL },
	{ 13, "publishNotReadyAddresses", TYPE_BOOL, NULL },
	{ 14, "sessionAffinityConfig", TYPE_MESSAGE, affinity_config },
	{ 17, "ipFamilyPolicy", TYPE_STRING, NULL },
	{ 18, "clusterIPs", TYPE_STRINGS, NULL },
	{ 19, "ipFamilies", TYPE_STRINGS, NULL },
	{ 20, "allocateLoadBalancerNodePorts", TYPE_BOOL, NULL },
	{ 21, "loadBalancerClass", TYPE_STRING, NULL },
	{ 22, "internalTrafficPolicy", TYPE_STRING, NULL },
	{ 23, "trafficDistribution", TYPE_STRING, NULL },
	{ 0 }
};

static const struct message service[] = {
	{ 1, "metadata", TYPE_MESSAGE, metadata },
	{ 2, "spec", TYPE_MESSAGE, service_spec },
	{ 0 }
};

static const struct {
	const char *kind;
	const struct message *message;
} kinds_known[] = {
	{ "Namespace", namespace },
	{ "Service", service },
};

static const struct message *message_of(const struct kind *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds_known); i++)
		if (!kind->ours && strcmp(kinds_known[i].kind, kind->name) == 0)
			return kinds_known[i].message;
	return NULL;
}

bool protobuf_knows(const struct kind *kind)
{
	return message_of(kind) != NULL;
}

static bool take_varint(struct span *s, uint64_t *ret)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 70 && s->p < s->end; shift += 7) {
		unsigned char byte = *s->p++;

		if (shift == 63 && byte > 1)
			return false;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*ret = n;
		return true;
	}
	return false;
}

static bool take_bytes(struct span *s, uint64_t len, struct span *ret)
{
	if (len > (uint64_t)(s->end - s->p))
		return false;
	*ret = (struct span){ s->p, s->p + len };
	s->p += len;
	return true;
}

/* 1: a field, 0: the end, -EINVAL */
static int next_value(struct span *s, struct value *v)
{
	uint64_t key, len;
	bool ok = false;            /* also of groups, which are of protobuf 1 and never sent */

	*v = (struct value){ 0 };
	if (s->p == s->end)
		return 0;
	if (!take_varint(s, &key) || !(key >> 3) || key >> 3 > 536870911)
		return -EINVAL;
	v->number = (unsigned)(key >> 3);
	v->wire = (enum wire)(key & 7);
	switch (v->wire) {
	case WIRE_VARINT:
		ok = take_varint(s, &v->n);
		break;
	case WIRE_BYTES:
		ok = take_varint(s, &len) && take_bytes(s, len, &v->bytes);
		break;
	case WIRE_FIXED64:
		ok = take_bytes(s, 8, &v->bytes);
		break;
	case WIRE_FIXED32:
		ok = take_bytes(s, 4, &v->bytes);
		break;
	}
	return ok ? 1 : -EINVAL;
}

/* NULL with *@r -EINVAL (no UTF-8, or a NUL in it) or -ENOMEM. */
static json_t *text(const struct span *s, int *r)
{
	size_t len = (size_t)(s->end - s->p);
	json_t *v = NULL;

	if (!memchr(s->p, 0, len) && json_utf8(s->p, len)) {
		v = json_stringn_nocheck((const char *)s->p, len);
		*r = v ? 0 : -ENOMEM;
	} else {
		*r = -EINVAL;
	}
	return v;
}

/* Takes @value. */
static int set(json_t *obj, const char *name, json_t *value)
{
	return json_object_set_new_nocheck(obj, name, value) < 0 ? -ENOMEM : 0;
}

/* The list of that name, made when it is missing; NULL: no memory. */
static json_t *list_of(json_t *obj, const char *name)
{
	json_t *list = json_object_get(obj, name);

	if (list)
		return list;
	list = json_array();
	return list && set(obj, name, list) == 0 ? list : NULL;
}

static int decode(const struct message *table, struct span s, json_t *obj);

static int add_string(json_t *obj, const char *name, const struct span *s, bool repeated)
{
	json_t *list, *v;
	int r;

	if (s->p == s->end && !repeated)
		return 0;
	v = text(s, &r);
	if (!v)
		return r;
	if (!repeated)
		return set(obj, name, v);
	list = list_of(obj, name);
	if (!list) {
		json_decref(v);
		return -ENOMEM;
	}
	return json_array_append_new(list, v) < 0 ? -ENOMEM : 0;
}

static int add_int(json_t *obj, const struct message *f, uint64_t n)
{
	if (!n)
		return 0;
	if (f->type == TYPE_BOOL)
		return set(obj, f->name, json_true());
	return set(obj, f->name, json_integer((int64_t)n));
}

/* A message that comes twice is merged, as the format says. */
static int add_message(json_t *obj, const struct message *f, const struct span *s)
{
	json_t *v = f->type == TYPE_MESSAGE ? json_object_get(obj, f->name) : NULL, *list;
	int r;

	if (v)
		return decode(f->sub, *s, v);
	v = json_object();
	if (!v)
		return -ENOMEM;
	if (f->type == TYPE_MESSAGE) {
		r = set(obj, f->name, v);
	} else {
		list = list_of(obj, f->name);
		if (!list)
			json_decref(v);
		r = !list || json_array_append_new(list, v) < 0 ? -ENOMEM : 0;
	}
	return r < 0 ? r : decode(f->sub, *s, v);
}

static int add_entry(json_t *obj, const char *name, struct span s)
{
	struct value v, key = { 0 }, value = { 0 };
	json_t *map = json_object_get(obj, name), *k, *val;
	int r;

	while ((r = next_value(&s, &v)) > 0) {
		if (v.number == 1 && v.wire == WIRE_BYTES)
			key = v;
		if (v.number == 2 && v.wire == WIRE_BYTES)
			value = v;
	}
	if (r < 0)
		return r;
	if (!map) {
		map = json_object();
		if (!map || set(obj, name, map) < 0)
			return -ENOMEM;
	}
	k = key.number ? text(&key.bytes, &r) : json_string("");
	val = r < 0 ? NULL : value.number ? text(&value.bytes, &r) : json_string("");
	if (r == 0)
		r = k && val ? set(map, json_string_value(k), json_incref(val)) : -ENOMEM;
	json_decref(k);
	json_decref(val);
	return r;
}

static int add_int_or_string(json_t *obj, const char *name, struct span s)
{
	struct value v, word = { 0 };
	uint64_t type = 0, n = 0;
	int r;

	while ((r = next_value(&s, &v)) > 0) {
		if (v.number == 1 && v.wire == WIRE_VARINT)
			type = v.n;
		if (v.number == 2 && v.wire == WIRE_VARINT)
			n = v.n;
		if (v.number == 3 && v.wire == WIRE_BYTES)
			word = v;
	}
	if (r < 0)
		return r;
	if (type == 1)
		return word.number ? add_string(obj, name, &word.bytes, false) : 0;
	return n ? set(obj, name, json_integer((int64_t)n)) : 0;
}

static int add_value(json_t *obj, const struct message *f, const struct value *v)
{
	bool number = f->type == TYPE_INT || f->type == TYPE_BOOL;

	if (v->wire != (number ? WIRE_VARINT : WIRE_BYTES))
		return -EINVAL;
	switch (f->type) {
	case TYPE_INT: case TYPE_BOOL:
		return add_int(obj, f, v->n);
	case TYPE_STRING: case TYPE_STRINGS:
		return add_string(obj, f->name, &v->bytes, f->type == TYPE_STRINGS);
	case TYPE_MAP:
		return add_entry(obj, f->name, v->bytes);
	case TYPE_MESSAGE: case TYPE_MESSAGES:
		return add_message(obj, f, &v->bytes);
	case TYPE_INT_OR_STRING:
		return add_int_or_string(obj, f->name, v->bytes);
	}
	return 0;
}

static int decode(const struct message *table, struct span s, json_t *obj)
{
	struct value v;
	int r;

	while ((r = next_value(&s, &v)) > 0) {
		const struct message *f = table;

		while (f->number && f->number != v.number)
			f++;
		r = f->number ? add_value(obj, f, &v) : 0;
		if (r < 0)
			return r;
	}
	return r;
}

/* runtime.Unknown {1 TypeMeta {1 apiVersion, 2 kind}, 2 raw, 3 contentEncoding, 4 contentType} */
static int decode_unknown(const struct message *table, struct span s, json_t *obj)
{
	static const struct message type_meta[] = {
		{ 1, "apiVersion", TYPE_STRING, NULL },
		{ 2, "kind", TYPE_STRING, NULL },
		{ 0 }
	};
	struct value v;
	int r;

	while ((r = next_value(&s, &v)) > 0) {
		if (v.number <= 2 && v.wire != WIRE_BYTES)
			return -EINVAL;
		if (v.number == 1)
			r = decode(type_meta, v.bytes, obj);
		else if (v.number == 2)
			r = decode(table, v.bytes, obj);
		if (r < 0)
			return r;
	}
	return r;
}

int protobuf_parse(const struct kind *kind, const char *data, size_t len, struct doc **ret,
		   char why[160])
{
	static const char magic[4] = { 'k', '8', 's', '\0' };
	_cleanup_(doc_freep) struct doc *doc = doc_new();
	struct span s = { (const unsigned char *)data, (const unsigned char *)data + len };
	int r;

	if (!doc) {
		snprintf(why, 160, "out of memory");
		return -ENOMEM;
	}
	if (len < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0) {
		snprintf(why, 160, "not protobuf of Kubernetes: it does not begin with \"k8s\"");
		return -EINVAL;
	}
	s.p += sizeof(magic);
	r = decode_unknown(message_of(kind), s, doc->root);
	if (r < 0) {
		snprintf(why, 160, "%s", r == -ENOMEM ? "out of memory" :
			 "not protobuf: cut off, of another type or not UTF-8");
		return r;
	}
	*ret = take_ptr(doc);
	return 0;
}
