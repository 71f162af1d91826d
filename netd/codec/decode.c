/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * decode.c - a document's values into a model struct, by the same tables that check it
 *
 * Room (codec).  What does not fit its row is passed over: a document was checked before it was
 * stored, and one that an older version stored must still load.  Structs are kept by the thousand,
 * so words of the tables are shared and not copied.
 * May include: model, netd/base, include/podnet/ip.h.
 */
#include <errno.h>
#include <netd/codec/field.h>
#include <netd/codec/format.h>
#include <netd/codec/tape.h>
#include <netd/model/model.h>

struct target {
	struct arena *arena;
	char *base;
};

static int decode_object(const struct target *t, const struct field *table, const struct value *obj);

static void store_int(const struct field *f, int64_t v, void *at)
{
	uint32_t small = (uint32_t)v;

	if (f->width == sizeof(v))
		memcpy(at, &v, sizeof(v));
	else if (f->width == sizeof(small))
		memcpy(at, &small, sizeof(small));
	else
		*(uint8_t *)at = (uint8_t)v;
}

static int store_text(const struct target *t, const char *const *values, const char *s, void *at)
{
	const char *copy = NULL;

	for (; values && *values && !copy; values++)
		if (strcmp(*values, s) == 0)
			copy = *values;
	if (!copy && s[0])
		copy = arena_strdup(t->arena, s);
	if (!copy && s[0])
		return -ENOMEM;
	memcpy(at, &copy, sizeof(copy));
	return 0;
}

static void store_index(const struct field *f, const char *s, void *at)
{
	for (int i = 0; f->values[i]; i++)
		if (strcmp(f->values[i], s) == 0)
			memcpy(at, &i, sizeof(i));
}

static void store_prefix(const char *s, void *at)
{
	struct podnet_prefix p;

	if (strcmp(s, "default") == 0)
		s = "0.0.0.0/0";
	if (podnet_prefix_parse(s, &p) == 0)
		memcpy(at, &p, sizeof(p));
}

static void store_net(const char *s, void *at)
{
	struct podnet_prefix p;
	char text[256];

	if (podnet_prefix_parse(field_trim(s, text), &p) < 0)
		return;
	p = podnet_prefix_mask(&p);
	memcpy(at, &p, sizeof(p));
}

static int store_string(const struct target *t, const struct field *f, enum field_type type,
			const char *s, void *at)
{
	uint64_t quantity;
	int64_t time;

	switch (type) {
	case FIELD_ADDRESS: case FIELD_PREFIX: case FIELD_CIDR: case FIELD_DESTINATION:
		store_prefix(s, at);
		return 0;
	case FIELD_NET:
		store_net(s, at);
		return 0;
	case FIELD_PORT_REF:
		return store_text(t, NULL, s, &((struct port_ref *)at)->name);
	case FIELD_MAC:
		podnet_mac_parse(s, at);
		return 0;
	case FIELD_TIME:
		if (time_parse(s, &time) == 0)
			memcpy(at, &time, sizeof(time));
		return 0;
	case FIELD_QUANTITY:
		if (quantity_parse(s, &quantity) == 0)
			memcpy(at, &quantity, sizeof(quantity));
		return 0;
	case FIELD_ENUM:
		if (!(f->flags & FIELD_INDEX))
			return store_text(t, f->values, s, at);
		store_index(f, s, at);
		return 0;
	case FIELD_STRING: case FIELD_LABEL: case FIELD_SUBDOMAIN: case FIELD_QUALIFIED:
	case FIELD_PORT_NAME: case FIELD_IFNAME: case FIELD_OWN_IFNAME: case FIELD_NETNS_PATH:
		return store_text(t, f->values, s, at);
	case FIELD_ANY: case FIELD_INT: case FIELD_BOOL: case FIELD_STRING_MAP:
	case FIELD_OBJECT: case FIELD_LIST:
		break;
	}
	return 0;
}

/* kubectl keeps a copy of the whole object in one, which nobody here asks for */
static bool worth_keeping(const char *key, const struct value *v)
{
	return value_is(v, VALUE_STRING) &&
	       strcmp(key, "kubectl.kubernetes.io/last-applied-configuration") != 0;
}

static int store_map(const struct target *t, const struct field *f, const struct value *obj)
{
	struct kv *kv = arena_alloc(t->arena, value_len(obj) * sizeof(*kv));
	const struct value *key, *v;
	size_t n = 0;

	if (!kv)
		return -ENOMEM;
	value_each_member(obj, key, v) {
		if (!worth_keeping(key->text, v))
			continue;
		kv[n].key = arena_strndup(t->arena, key->text, key->n);
		kv[n].value = arena_strndup(t->arena, v->text, v->n);
		if (!kv[n].key || !kv[n].value)
			return -ENOMEM;
		n++;
	}
	memcpy(t->base + f->offset, &kv, sizeof(kv));
	memcpy(t->base + f->count, &n, sizeof(n));
	return 0;
}

static int store_scalar(const struct target *t, const struct field *f, enum field_type type,
			const struct value *v, void *at)
{
	if (v->type == VALUE_STRING)
		return store_string(t, f, type, v->text, at);
	if (type == FIELD_INT && v->type == VALUE_INTEGER)
		store_int(f, v->integer, at);
	if (type == FIELD_PORT_REF && v->type == VALUE_INTEGER)
		((struct port_ref *)at)->number = (uint32_t)v->integer;
	if (type == FIELD_BOOL && (v->type == VALUE_TRUE || v->type == VALUE_FALSE))
		*(bool *)at = v->type == VALUE_TRUE;
	return 0;
}

static int store_elems(const struct target *t, const struct field *f, const struct value *list,
		       size_t n, char *elems)
{
	const struct value *v;
	size_t i = 0;
	int r = 0;

	value_each(list, v) {
		struct target elem = { t->arena, elems + i * f->width };

		if (r < 0 || i++ == n)
			break;
		if (f->elem == FIELD_OBJECT)
			r = decode_object(&elem, f->sub, v);
		else
			r = store_scalar(t, f, f->elem, v, elem.base);
	}
	return r;
}

static int store_list(const struct target *t, const struct field *f, const struct value *list)
{
	size_t n = value_len(list);
	char *elems = t->base + f->offset;
	int r;

	if ((f->flags & FIELD_INLINE) && n > (size_t)f->max)
		n = (size_t)f->max;
	if (n == 0)
		return 0;
	if (!(f->flags & FIELD_INLINE))
		elems = arena_alloc(t->arena, n * f->width);
	if (!elems)
		return -ENOMEM;
	r = store_elems(t, f, list, n, elems);
	if (r < 0)
		return r;
	if (!(f->flags & FIELD_INLINE))
		memcpy(t->base + f->offset, &elems, sizeof(elems));
	if (f->flags & FIELD_COUNTED)
		memcpy(t->base + f->count, &n, sizeof(n));
	return 0;
}

static int decode_value(const struct target *t, const struct field *f, const struct value *v)
{
	if (f->type == FIELD_OBJECT)
		return f->sub && !(f->flags & FIELD_APART) ? decode_object(t, f->sub, v) : 0;
	if (!(f->flags & FIELD_STORED))
		return 0;
	if (f->type == FIELD_LIST)
		return value_is(v, VALUE_LIST) ? store_list(t, f, v) : 0;
	if (f->type == FIELD_STRING_MAP)
		return value_is(v, VALUE_OBJECT) && v->n ? store_map(t, f, v) : 0;
	return store_scalar(t, f, f->type, v, t->base + f->offset);
}

static bool is_called(const struct field *f, const char *name)
{
	return f->name[0] == name[0] && strcmp(f->name, name) == 0;
}

/* The row of a member, which mostly stands behind the one that was found before it. */
static const struct field *find_row(const struct field *table, const struct field *from,
				    const char *name)
{
	for (const struct field *f = from; f->name; f++)
		if (is_called(f, name))
			return f;
	for (const struct field *f = table; f != from; f++)
		if (is_called(f, name))
			return f;
	return NULL;
}

static int decode_object(const struct target *t, const struct field *table, const struct value *obj)
{
	const struct field *from = table, *row;
	const struct value *name, *v;
	int r = 0;

	value_each_member(obj, name, v) {
		row = v->type == VALUE_NULL ? NULL : find_row(table, from, name->text);
		if (!row)
			continue;
		from = row + 1;
		r = decode_value(t, row, v);
		if (r < 0)
			break;
	}
	return r;
}

int field_decode(const struct field *table, const struct value *v, struct arena *arena, void *base)
{
	struct target t = { arena, base };

	return decode_object(&t, table, v);
}
